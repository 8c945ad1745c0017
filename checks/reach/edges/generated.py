"""What is generated from a schema: the generator's own configuration or command line says from what and to where, and nothing is guessed.

A mention is `kind input > output`. What depends on the schema is what the generator wrote, not the file that configures it. Values that are put
together elsewhere, addresses and paths that leave the repository are left out.

Sources: openapi-generator.tech (openapitools.json, `generate`), orval.dev, openapi-ts.dev, heyapi.dev, github.com/oapi-codegen/oapi-codegen,
the-guild.dev/graphql/codegen, gqlgen.com, relay.dev, buf.build (buf.gen.yaml), protobuf.dev (protoc), docs.sqlc.dev, prisma.io/docs,
docs.pydantic.dev (datamodel-code-generator), github.com/openapi-generators/openapi-python-client.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterator
from typing import Any

from checks.model import Unreadable
from checks.patterns import glob
from checks.reach.edges.base import Extractor, View, folder_of, joined, last, text
from checks.readers import table
from checks.readers.documents import one_yaml, plain_json

MADE = 200
"""Files below one output that are looked at."""
LINES = 2000
"""Command lines of one file that are looked at."""

_KINDS = {
    "api": re.compile(r"\.(?:ya?ml|json)\Z"),
    "graphql": re.compile(r"\.(?:graphqls?|gql)\Z"),
    "proto": re.compile(r"\.(?:proto|fbs|thrift|avsc)\Z"),
    "sql": re.compile(r"\.sql\Z"),
    "prisma": re.compile(r"\.prisma\Z"),
}
"""What a schema of each kind is called."""
_SCHEMA = re.compile("|".join(kind.pattern for kind in _KINDS.values()))
_ELSEWHERE = re.compile(r"[$<>`#\0]|\A[a-z]+://|\A/|\A\Z")

_CODE = re.compile(r"(?:^|/)[^./][^/]*\.(?!md\Z|txt\Z|lock\Z|proto\Z|prisma\Z|sql\Z)\w+\Z")
"""What a generator writes for programs."""

Pairs = Iterator[tuple[str, str, str]]
"""Kind, input and output, as written."""

# --- Configuration files -----------------------------------------------------------------------------------------------------------------


def _several(value: Any) -> list[str]:
    """The paths in a text, a list of texts, or the keys of a list's maps."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, list):
        return [path for item in value for path in (list(item) if isinstance(item, dict) else _several(item)) if isinstance(path, str)]
    return []


def _maps(value: Any) -> list[dict[str, Any]]:
    held = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [item for item in held if isinstance(item, dict)]


def _at(value: Any, *keys: str) -> Any:
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def _openapi_tools(value: dict[str, Any]) -> Pairs:
    for one in _maps(_at(value, "generator-cli", "generators")):
        if one.get("disabled") is not True:
            yield "api", str(one.get("inputSpec") or one.get("glob") or ""), str(one.get("output") or "")


def _openapi_generator(value: dict[str, Any]) -> Pairs:
    yield "api", str(value.get("inputSpec") or ""), str(value.get("outputDir") or "")


def _graphql(value: dict[str, Any]) -> Pairs:
    projects = [value, *_maps(value.get("projects"))]
    for one in (*projects, *(held for project in projects if isinstance(held := _at(project, "extensions", "codegen"), dict))):
        given = [path for key in ("schema", "documents") for path in (*_several(one.get(key)), *_several(value.get(key)))]
        for output, held in one["generates"].items() if isinstance(one.get("generates"), dict) else ():
            for path in dict.fromkeys((*given, *(path for key in ("schema", "documents") for path in _several(_at(held, key))))):
                yield "graphql", path, str(output)


def _gqlgen(value: dict[str, Any]) -> Pairs:
    for path in _several(value.get("schema")):
        for room in ("exec", "model", "federation"):
            for key in ("filename", "dir"):
                yield "graphql", path, str(_at(value, room, key) or "")


def _relay(value: dict[str, Any]) -> Pairs:
    for one in (value, *_maps(value.get("projects"))):
        yield "graphql", str(one.get("schema") or ""), str(one.get("artifactDirectory") or one.get("output") or "")


def _buf(value: dict[str, Any]) -> Pairs:
    inputs = [str(one.get("directory") or one.get("proto_file") or "") for one in _maps(value.get("inputs"))] or ["."]
    for plugin in _maps(value.get("plugins")):
        for path in inputs:
            yield "proto", path, str(plugin.get("out") or "")


def _sqlc(value: dict[str, Any]) -> Pairs:
    for one in (*_maps(value.get("sql")), *_maps(value.get("packages"))):
        outputs = [
            one.get("path"),
            *(held.get("out") for held in _maps(one.get("gen"))),
            *(held.get("out") for held in _maps(one.get("codegen"))),
        ]
        for path in (*_several(one.get("schema")), *_several(one.get("queries"))):
            yield from (("sql", path, str(output)) for output in outputs if output)


_CONFIGURATIONS: tuple[tuple[re.Pattern[bytes], Callable[[dict[str, Any]], Pairs]], ...] = (
    (re.compile(rb"generator-cli"), _openapi_tools),
    (re.compile(rb"inputSpec"), _openapi_generator),
    (re.compile(rb"generates|codegen"), _graphql),
    (re.compile(rb"\bexec\b[^\n]*:|\bmodel\b[^\n]*:"), _gqlgen),
    (re.compile(rb"artifactDirectory"), _relay),
    (re.compile(rb"plugins"), _buf),
    (re.compile(rb"\bsql\b|\bpackages\b"), _sqlc),
)
"""A word that the configuration of a generator has, and how it is read."""


def _configured(data: bytes) -> Pairs:
    try:
        if data.lstrip()[:1] == b"{":
            value = plain_json(data, "configuration", 1 << 20)
        else:
            node = one_yaml(data, "configuration")
            value = node.plain_value() if node is not None else None
    except Unreadable:
        return
    for word, read in _CONFIGURATIONS:
        if isinstance(value, dict) and word.search(data):
            yield from read(value)


_TEXT = r"[\"'`]([^\"'`\n]+)[\"'`]"
_COMMENTS = re.compile(r"(\"[^\"\n]*\"|'[^'\n]*'|`[^`]*`)|//[^\n]*|/\*.*?\*/", re.DOTALL)
_INPUT = re.compile(r"\binput\s*:\s*(?:\{[^{}]*?\b(?:target|path)\s*:\s*)?" + _TEXT)
_OUTPUT = re.compile(r"\boutput\s*:\s*(?:" + _TEXT + r"|\{([^{}]*))")
_PLACE = re.compile(r"\b(?:target|path|schemas)\s*:\s*" + _TEXT)
_SCHEMAS = re.compile(r"\b(?:schema|documents)\s*:\s*(\[[^\]]*\]|" + _TEXT + ")")
_GENERATES = re.compile(r"\bgenerates\s*:\s*\{")
_KEY = re.compile(_TEXT + r"\s*:\s*\{")


def _programmed(data: bytes) -> Pairs:
    """A configuration written as a program: what stands there literally."""
    code = _COMMENTS.sub(lambda match: match[1] or "", text(data))
    for given in _INPUT.finditer(code):
        output = _OUTPUT.search(code, given.end())
        if output is not None:
            for place in [output[1]] if output[1] else _PLACE.findall(output[2]):
                yield "api", given[1], place
    generates = _GENERATES.search(code)
    if generates is not None:
        paths = [path for found in _SCHEMAS.finditer(code) for path in re.findall(_TEXT, found[1])]
        for key in _KEY.findall(code[generates.end() :]):
            yield from (("graphql", path, key) for path in paths)


# --- Command lines -----------------------------------------------------------------------------------------------------------------------

_TOOLS: tuple[tuple[str, str, tuple[str, ...], tuple[str, ...]], ...] = (
    (r"(?:@openapitools/)?openapi-generator(?:-cli)?(?:@\S+)?|swagger-codegen(?:-cli)?", "api", ("-i", "--input-spec"), ("-o", "--output")),
    (r"openapi-typescript(?:@\S+)?", "api", ("",), ("-o", "--output")),
    (r"(?:@hey-api/)?openapi-ts(?:@\S+)?", "api", ("-i", "--input"), ("-o", "--output")),
    (r"swagger-typescript-api(?:@\S+)?", "api", ("-p", "--path"), ("-o", "--output")),
    (r"orval(?:@\S+)?", "api", ("-i", "--input"), ("-o", "--output")),
    (r"(?:\S*/)?oapi-codegen(?:@\S+)?", "api", ("",), ("-o", "--o", "-output")),
    (r"openapi-python-client", "api", ("--path",), ("--output-path",)),
    (r"datamodel-codegen", "api", ("--input",), ("--output",)),
    (r"json2ts|json-schema-to-typescript", "api", ("-i", "--input", ""), ("-o", "--output")),
    (r"quicktype(?:@\S+)?", "api", ("--src", ""), ("-o", "--out")),
    (r"protoc|grpc_tools\.protoc|grpc_tools_node_protoc", "proto", ("",), ("--*_out",)),
    (r"flatc|thrift", "proto", ("",), ("-o", "-out")),
)
"""A command, the kind of schema, and the options that name input and output; "" is what stands alone, `--*_out` each of `protoc`'s outputs."""
_NAMED = re.compile(r"(?:openapi|swagger|orval|codegen|json2ts|json-schema-to-typescript|quicktype|protoc\b|flatc|thrift)")


def _commanded(data: bytes) -> Pairs:
    if not _NAMED.search(code := text(data)):
        return
    if code.lstrip()[:1] == "{":
        try:
            scripts = table(table(plain_json(data, "package.json", 1 << 20)).get("scripts"))
        except Unreadable:
            return
        lines = [line for line in scripts.values() if isinstance(line, str)]
    else:
        lines = re.sub(r"\\\n", " ", code).split("\n")
    for line in lines[:LINES]:
        line = line.strip().removeprefix("//go:generate").lstrip("@-\t ")
        if _NAMED.search(line) and not line.startswith(("#", "//")):
            folder = ""
            for command in re.split(r"&&|\|\||[;|]", line):
                try:
                    words = shlex.split(command, comments=True)
                except ValueError:
                    break
                if words[:1] == ["cd"] and len(words) == 2:
                    folder = joined(folder, words[1])
                    continue
                yield from ((kind, joined(folder, given), joined(folder, made)) for kind, given, made in _command(words) if given and made)


_STARTS = re.compile(
    r"npx|bunx|pnpx|npm|pnpm|yarn|bun|exec|dlx|run|go|python3?|poetry|pipenv|uv|uvx|pdm|hatch|sudo|env|time|nice|cross-env|dotenv|java|tool|sh|bash|-\S*|--|\w+=.*|\S+\.jar"
)
"""What may stand before the tool on its command line."""


def _command(words: list[str]) -> Pairs:
    for at, word in enumerate(words):
        for name, kind, inputs, outputs in _TOOLS:
            if re.fullmatch(name, word):
                given, made = _options(words[at + 1 :], inputs, outputs, _KINDS[kind])
                yield from ((kind, one, other) for one in given for other in made)
                return
        if not _STARTS.fullmatch(word):
            return


def _options(words: list[str], inputs: tuple[str, ...], outputs: tuple[str, ...], schema: re.Pattern[str]) -> tuple[list[str], list[str]]:
    given: list[str] = []
    made: list[str] = []
    waits: list[str] | None = None
    for word in words:
        option, has_value, value = word.partition("=")
        if waits is not None:
            waits.append(word)
            waits = None
        elif option.startswith("-"):
            out = option in outputs or ("--*_out" in outputs and option.endswith("_out"))
            room = made if out else given if option in inputs else None
            if room is not None and has_value:
                room.append(value.rpartition(":")[2] if out else value)
            elif room is not None:
                waits = room
        elif "" in inputs and schema.search(word):
            given.append(word)
    return given, made


# --- The extractor -----------------------------------------------------------------------------------------------------------------------

_PRISMA = re.compile(rb"^[ \t]*generator\s+\w+\s*\{[^}]*?^[ \t]*output\s*=\s*\"([^\"\n]+)\"", re.MULTILINE)
_READS = re.compile(
    r"openapitools\.json\Z|(?:orval|openapi-ts|codegen|graphql)\.config\.\w+\Z|codegen\.(?:ya?ml|json|[cm]?[jt]s)\Z|\.?graphql(?:rc|\.config)(?:\.\w+)?\Z|gqlgen\.ya?ml\Z"
    r"|relay\.config\.json\Z|buf\.gen(?:\.[\w-]+)?\.ya?ml\Z|sqlc\.(?:ya?ml|json)\Z|.*\.prisma\Z|.*openapi.*\.(?:ya?ml|json)\Z"
    r"|package\.json\Z|(?:GNUm|[Mm])akefile\Z|.*\.mk\Z|[Jj]ustfile\Z|Taskfile\.ya?ml\Z|.*\.(?:sh|bash|go)\Z"
)
_ORDINARY = re.compile(
    rb"go:generate|openapi|swagger|orval|codegen|json2ts|json-schema-to|quicktype|protoc|flatc|thrift|generat|sqlc|buf|plugins|sql|schema|exec"
)
_PROGRAM = re.compile(rb"^\s*(?:import\b|export\b|module\.exports|const\b|//|/\*)")


def mentions(data: bytes) -> Iterator[str]:
    """`kind input > output` for each pair that can be known."""
    pairs: list[tuple[str, str, str]] = [("prisma", ".", text(found)) for found in _PRISMA.findall(data)]
    if not pairs and _ORDINARY.search(data):
        pairs += _commanded(data)
        pairs += _programmed(data) if _PROGRAM.match(data) else () if b"package " in data[:4000] else _configured(data)
    for kind, given, made in pairs:
        if not _ELSEWHERE.search(given) and not _ELSEWHERE.search(made):
            yield f"{kind} {given} > {made}"


def _parts(mention: str) -> tuple[str, str, str]:
    kind, _, words = mention.partition(" ")
    given, _, made = words.partition(" > ")
    return kind, given, made


def keys(mention: str) -> Iterator[str]:
    """The last part of the input that is written out."""
    kind, given, _ = _parts(mention)
    plain = [part for part in given.split("/") if part not in ("", ".", "..")]
    while plain and re.search(r"[*?{\[]", plain[-1]):
        plain.pop()
    yield f"{kind} {plain[-1] if plain else '.'}"


def names(path: str, view: View) -> Iterator[str]:
    """A schema goes by its name and by each folder above it."""
    if _SCHEMA.search(path):
        for kind in (kind for kind, pattern in _KINDS.items() if pattern.search(path)):
            yield from (f"{kind} {part}" for part in (*path.split("/"), "."))


def _base(mention: str, source: str, target: str) -> str | None:
    """The folder from which the paths of a mention are written, if they lead to `target`: the file's own, or the root."""
    kind, given, _ = _parts(mention)
    if not _KINDS[kind].search(target):
        return None
    for base in dict.fromkeys((folder_of(source), "")):
        place = joined(base, given)
        if place.startswith("..") or (kind == "prisma" and source != target):
            continue
        if not place or target == place or target.startswith(f"{place}/") or (re.search(r"[*?{]", place) and glob(place).fullmatch(target)):
            return base
    return None


def leads(mention: str, source: str, target: str, view: View) -> bool:
    return _base(mention, source, target) is not None


def makes(mention: str, source: str, target: str, view: View) -> Iterator[str]:
    """The files at head that the generator wrote."""
    kind, _, made = _parts(mention)
    base = _base(mention, source, target)
    place = joined(base or "", made) if base is not None else ".."
    if place.startswith(".."):
        return
    if view.has(place):
        yield place
        return
    found = [path for path in view.below(place, MADE) if _CODE.search(path)]
    among_others = not place or target.startswith(f"{place}/") or folder_of(source) == place
    if kind == "proto":
        # A compiler of protocols writes a file for each, named after it.
        stem = re.escape(last(target).partition(".")[0].lower().replace("-", "_"))
        own = [path for path in found if re.match(stem + r"(?:[._]|\Z)", last(path).lower().replace("-", "_"))]
        found = own if own or among_others else found
    if among_others:
        # What a generator wrote says so.
        found = [path for path in found if b"generated" in view.read(path)[:800].lower()]
    yield from found


GENERATED = Extractor("generated", _READS, "is generated from", mentions, keys, names, leads, makes=makes)

# --- Prisma's client, which is generated into the packages' own folder unless told otherwise ---------------------------------------------

_CLIENT = re.compile(rb"[\"'](?:@prisma/client(?:/[\w./-]+)?|\.prisma/client)[\"']")


def _client_names(path: str, view: View) -> Iterator[str]:
    if path.endswith(".prisma") and not _PRISMA.search(view.read(path)):
        yield "client"


def _client_leads(mention: str, source: str, target: str, view: View) -> bool:
    package = view.above(target, "package.json")
    folder = folder_of(package) if package is not None else ""
    return source != target and (not folder or source.startswith(f"{folder}/"))


CLIENT = Extractor(
    "prisma-client",
    re.compile(r".*\.(?:[cm]?[jt]sx?|vue|svelte)\Z"),
    "uses the client generated from",
    lambda data: ("client",) if _CLIENT.search(data) else (),
    lambda mention: (mention,),
    _client_names,
    _client_leads,
)
