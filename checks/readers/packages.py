"""What a package manifest asks for, and where from: each dependency with its source, each registry, each script that runs at installation.

Sources: docs.npmjs.com (package.json, .npmrc), pnpm.io, packaging.python.org (dependency specifiers, PEP 440, 508, 621, 735), pip.pypa.io
(requirements file format), docs.astral.sh/uv, python-poetry.org/docs, go.dev/ref/mod, doc.rust-lang.org/cargo, bundler.io, getcomposer.org.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from checks.readers import documents, table, text_of
from checks.readers.toml import loads


@dataclass(frozen=True, slots=True)
class Dependency:
    """One dependency as asked for."""

    name: str
    wanted: str
    """The version, range or address as written."""
    source: str = "registry"
    """registry, git, url or local."""
    pinned: bool = True
    """Whether the same thing is fetched tomorrow: for git a commit, for a registry any constraint at all."""
    line: int = 0


@dataclass(frozen=True, slots=True)
class Manifest:
    """One manifest or settings file of a package manager."""

    dependencies: tuple[Dependency, ...] = ()
    registries: tuple[tuple[str, str, int], ...] = ()
    """(what for, address, line): where packages are fetched from other than by default."""
    scripts: tuple[tuple[str, str, int], ...] = ()
    """(event, command, line) of scripts that run when somebody installs."""
    built: tuple[str, ...] = ()
    """Dependencies whose own scripts may run."""
    overrides: tuple[tuple[str, str, int], ...] = ()
    """(name, what it is replaced by, line)."""
    hashed: int = 0
    """Dependencies that carry a hash here."""


_SHA = re.compile(r"(?:#|@|rev=|ref=)[0-9a-f]{7,40}\b")
_ANY = frozenset({"", "*", "latest", "x", "next", ">=0", ">=0.0.0", "main", "master"})
EVENTS = ("preinstall", "install", "postinstall", "prepare", "preprepare", "postprepare")


@lru_cache(maxsize=256)
def manifest(data: bytes, path: str) -> Manifest:
    """What the manifest or settings file at `path` asks for. Raises `Unreadable`."""
    name = path.rpartition("/")[2].lower()
    if name == "package.json":
        return _package_json(data, path)
    if name == "composer.json":
        return _composer(data, path)
    text = text_of(data, path)
    if name in ("pnpm-workspace.yaml", "pnpm-workspace.yml"):
        return _pnpm(data, path)
    if name == "pyproject.toml":
        return _pyproject(loads(text, path), text)
    if name == "cargo.toml":
        return _cargo(loads(text, path), text)
    if name == "go.mod":
        return _go_mod(text)
    if name in (".npmrc", ".yarnrc", ".yarnrc.yml", "bunfig.toml", ".pypirc", "pip.conf", "pip.ini", "uv.toml", "go.env"):
        return Manifest(registries=tuple(_settings(text)))
    if name == "gemfile":
        return _gemfile(text)
    if name.endswith((".txt", ".in")):
        return _requirements(text)
    if name in ("pom.xml", "settings.xml") or name.endswith((".gradle", ".gradle.kts")):
        return Manifest(registries=tuple(_maven(text)))
    if "/.cargo/" in f"/{path}":
        return Manifest(registries=tuple(_cargo_settings(loads(text, path), text)))
    return Manifest()


def _line_of(text: str, word: str) -> int:
    at = text.find(word)
    return text.count("\n", 0, at) + 1 if at >= 0 else 0


def _npm(name: str, wanted: str, line: int) -> Dependency:
    if re.match(r"(?:workspace|link|file|portal|catalog|patch):|\.{1,2}/|~/|/", wanted):
        return Dependency(name, wanted, "local", True, line)
    if (
        re.match(r"(?:git(?:\+[a-z]+)?:|git@|ssh:|github:|gitlab:|bitbucket:)", wanted)
        or re.fullmatch(r"[\w.-]+/[\w.-]+(?:#.*)?", wanted)
        or re.match(r"https?://[^ ]+\.git(?:#|$)", wanted)
    ):
        return Dependency(name, wanted, "git", _SHA.search(wanted) is not None, line)
    if re.match(r"https?:", wanted):
        return Dependency(name, wanted, "url", False, line)
    return Dependency(name, wanted, "registry", wanted.strip().lower() not in _ANY, line)


def _package_json(data: bytes, path: str) -> Manifest:
    root = documents.json_node(data, path)
    found: list[Dependency] = []
    for group in ("dependencies", "devDependencies", "optionalDependencies"):
        node = root.get(group)
        found.extend(_npm(name, value.text or "", value.line) for name, value in (node.entries() if node else ()) if value.is_scalar)
    scripts = root.get("scripts")
    events = tuple(
        (name, value.text or "", value.line) for name, value in (scripts.entries() if scripts else ()) if name in EVENTS and value.is_scalar
    )
    built = [
        item.text or ""
        for holder in (root.get("pnpm", "onlyBuiltDependencies"), root.get("trustedDependencies"))
        for item in (holder.elements() if holder else ())
    ]
    overrides = [
        (name, value.text or "", value.line)
        for holder in (root.get("overrides"), root.get("resolutions"), root.get("pnpm", "overrides"))
        for name, value in (holder.entries() if holder and holder.is_map else ())
        if value.is_scalar
    ]
    return Manifest(tuple(found), (), events, tuple(built), tuple(overrides))


def _pnpm(data: bytes, path: str) -> Manifest:
    root = documents.one_yaml(data, path)
    if root is None:
        return Manifest()
    built = [item.text or "" for item in (root.get("onlyBuiltDependencies") or documents.Node(0, items=())).elements()]
    overrides = root.get("overrides")
    return Manifest(
        built=tuple(built),
        overrides=tuple(
            (name, value.text or "", value.line)
            for name, value in (overrides.entries() if overrides and overrides.is_map else ())
            if value.is_scalar
        ),
    )


def _composer(data: bytes, path: str) -> Manifest:
    root = documents.json_node(data, path)
    found: list[Dependency] = []
    for group in ("require", "require-dev"):
        node = root.get(group)
        found.extend(
            Dependency(name, value.text or "", "registry", (value.text or "").lower() not in _ANY | {"dev-master", "dev-main"}, value.line)
            for name, value in (node.entries() if node else ())
        )
    held = root.get("repositories")
    entries = [value for _, value in held.entries()] if held and held.is_map else list(held.elements()) if held else []
    registries = tuple(
        ("repositories", item.string("url") or "", item.line)
        for item in entries
        if item.is_map and item.string("type") != "path" and item.string("url")
    )
    return Manifest(tuple(found), registries)


_REQUIREMENT = re.compile(r"(?P<name>[A-Za-z0-9][\w.-]*)\s*(?:\[[^\]]*\])?\s*(?P<rest>@\s*\S+|[^;#]*)")


def _python(written: str, line: int) -> Dependency | None:
    match = _REQUIREMENT.match(written.strip())
    if not match:
        return None
    rest = match["rest"].strip()
    name = re.sub(r"[-_.]+", "-", match["name"].lower())
    if rest.startswith("@"):
        return _python_address(name, rest[1:].strip(), line)
    return Dependency(name, rest, "registry", rest.replace(" ", "") not in _ANY, line)


def _python_address(name: str, address: str, line: int) -> Dependency:
    if address.startswith("git+"):
        return Dependency(name, address, "git", re.search(r"@[0-9a-f]{7,40}(?:#|$)", address) is not None, line)
    if address.startswith(("file:", ".", "/")):
        return Dependency(name, address, "local", True, line)
    return Dependency(name, address, "url", "#sha256=" in address, line)


def _requirements(text: str) -> Manifest:
    found: list[Dependency] = []
    registries: list[tuple[str, str, int]] = []
    held, start = "", 0
    for number, raw in enumerate(text.split("\n"), 1):
        start = start if held else number
        held += raw.removesuffix("\\") + (" " if raw.endswith("\\") else "")
        if raw.endswith("\\"):
            continue
        line, held = re.sub(r"(?:^|\s)#.*", "", held).strip(), ""
        option = re.match(r"(?:-i|--index-url|--extra-index-url|-f|--find-links|--trusted-host)[ =]\s*(\S+)", line)
        if option:
            registries.append((re.split(r"[ =]", line)[0], option[1], start))
        elif re.match(r"(?:(?:-e|--editable)\s*)?(?:git\+|https?:)", line):
            address = re.sub(r"^(?:-e|--editable)\s*", "", line).split()[0]
            egg = re.search(r"egg=([\w.-]+)", address)
            name = egg[1] if egg else address.split("@")[0].rsplit("/", 1)[-1].removesuffix(".git")
            found.append(_python_address(name, address, start))
        elif line and not line.startswith("-") and (dependency := _python(line.split(" --hash")[0], start)):
            found.append(dependency)
    return Manifest(tuple(found), tuple(registries), hashed=text.count("--hash=sha"))


def _pyproject(root: dict[str, Any], text: str) -> Manifest:
    project = table(root.get("project"))
    tool = table(root.get("tool"))
    written: list[Any] = list(project.get("dependencies") or [])
    for group in (table(project.get("optional-dependencies")), table(root.get("dependency-groups"))):
        written.extend(item for items in group.values() if isinstance(items, list) for item in items)
    found = {d.name: d for item in written if isinstance(item, str) and (d := _python(item, _line_of(text, item)))}
    poetry = table(tool.get("poetry"))
    groups = [table(poetry.get("dependencies")), table(poetry.get("dev-dependencies"))]
    groups += [table(group.get("dependencies")) for group in table(poetry.get("group")).values() if isinstance(group, dict)]
    tables = [(name, value) for group in groups for name, value in group.items()]
    tables += list(table(table(tool.get("uv")).get("sources")).items())
    for name, value in tables:
        found[name.lower()] = _table(name.lower(), value, _line_of(text, name))
    registries = [
        (str(item.get("name") or "index"), str(item["url"]), _line_of(text, str(item["url"])))
        for holder in (table(tool.get("uv")).get("index"), poetry.get("source"))
        for item in (holder if isinstance(holder, list) else [])
        if isinstance(item, dict) and item.get("url")
    ]
    overrides = [(str(item), str(item), _line_of(text, str(item))) for item in table(tool.get("uv")).get("override-dependencies") or []]
    return Manifest(tuple(found.values()), tuple(registries), overrides=tuple(overrides))


def _table(name: str, value: Any, line: int) -> Dependency:
    if isinstance(value, list):
        value = value[0] if value else ""
    if isinstance(value, dict):
        if value.get("git"):
            return Dependency(name, str(value["git"]), "git", bool(re.fullmatch(r"[0-9a-f]{7,40}", str(value.get("rev", "")))), line)
        if value.get("url"):
            return Dependency(name, str(value["url"]), "url", False, line)
        if value.get("path") or value.get("workspace"):
            return Dependency(name, str(value.get("path") or "workspace"), "local", True, line)
        value = value.get("version", "inherited")
    return Dependency(name, str(value), "registry", str(value).strip() not in _ANY, line)


def _cargo(root: dict[str, Any], text: str) -> Manifest:
    holders = [root, table(root.get("workspace")), *(value for value in table(root.get("target")).values() if isinstance(value, dict))]
    found = [
        _table(name, value, _line_of(text, name))
        for holder in holders
        for group in ("dependencies", "dev-dependencies", "build-dependencies")
        for name, value in table(holder.get(group)).items()
    ]
    overrides = []
    for registry in table(root.get("patch")).values():
        for name, value in registry.items():
            dependency = _table(name, value, _line_of(text, name))
            if dependency.source != "local":
                overrides.append((name, dependency.wanted, dependency.line))
    build = table(root.get("package")).get("build")
    return Manifest(
        tuple(found),
        overrides=tuple(overrides),
        scripts=(("build", str(build), _line_of(text, "build")),) if isinstance(build, str) else (),
    )


def _cargo_settings(root: dict[str, Any], text: str) -> Iterator[tuple[str, str, int]]:
    for group in ("source", "registries"):
        for name, value in table(root.get(group)).items():
            address = value.get("registry") or value.get("index") or value.get("replace-with") if isinstance(value, dict) else None
            if address:
                yield f"{group}.{name}", str(address), _line_of(text, str(address))


def _go_mod(text: str) -> Manifest:
    found: list[Dependency] = []
    overrides: list[tuple[str, str, int]] = []
    block = ""
    for number, raw in enumerate(text.split("\n"), 1):
        line = raw.split("//")[0].strip()
        if line.endswith("("):
            block = line[:-1].strip()
            continue
        if line == ")":
            block = ""
            continue
        words = line.split()
        verb = block or (words.pop(0) if words else "")
        if verb == "require" and len(words) >= 2:
            found.append(Dependency(words[0], words[1], line=number))
        elif verb == "replace" and "=>" in words:
            target = words[words.index("=>") + 1 :]
            if target and not target[0].startswith((".", "/")):
                overrides.append((words[0], " ".join(target), number))
    return Manifest(tuple(found), overrides=tuple(overrides))


_ADDRESS = re.compile(r"""(?:https?|sparse\+https?)://[^\s"'#,|]+""")


def _settings(text: str) -> Iterator[tuple[str, str, int]]:
    for number, raw in enumerate(text.split("\n"), 1):
        line = raw.strip()
        if line.startswith(("#", ";")) or ("=" not in line and ":" not in line):
            continue
        key = re.split(r"\s*[=]\s*|:\s", line, maxsplit=1)[0].strip().strip('"')
        if re.search(
            r"registry|index|url|repository|find-links|trusted-host|goproxy|gonosum|gosumdb|goinsecure|goprivate|npmRegistryServer",
            key,
            re.IGNORECASE,
        ) and not key.startswith("//"):
            address = _ADDRESS.search(line)
            yield key, address.group() if address else re.split(r"\s*[=]\s*|:\s", line, maxsplit=1)[-1].strip(), number
        elif re.match(r"(?:strict-ssl|ignore-scripts|package-lock|enableStrictSsl|enableScripts|audit|verify)$", key):
            yield key, re.split(r"\s*[=]\s*|:\s", line, maxsplit=1)[-1].strip(), number


def _gemfile(text: str) -> Manifest:
    found: list[Dependency] = []
    registries: list[tuple[str, str, int]] = []
    for number, raw in enumerate(text.split("\n"), 1):
        line = raw.strip()
        gem = re.match(r"""gem\s*\(?\s*["']([^"']+)["'](.*)""", line)
        source = re.match(r"""source\s*\(?\s*["']([^"']+)["']""", line)
        if source:
            registries.append(("source", source[1], number))
        if gem:
            git = re.search(r"""\b(?:git|github|gist|bitbucket)(?::|\s*=>)\s*["']([^"']+)["']""", gem[2])
            path = re.search(r"""\bpath(?::|\s*=>)""", gem[2])
            wanted = re.search(r"""["']([^"']*\d[^"']*)["']""", gem[2])
            if git:
                found.append(
                    Dependency(gem[1], git[1], "git", re.search(r"""\bref(?::|\s*=>)\s*["'][0-9a-f]{7,40}""", gem[2]) is not None, number)
                )
            else:
                found.append(Dependency(gem[1], wanted[1] if wanted else "any", "local" if path else "registry", True, number))
    return Manifest(tuple(found), tuple(registries))


_PUBLISHES = re.compile(
    r"<distributionManagement>|\b(?:publishing|mavenPublishing|nexusPublishing|uploadArchives)\s*\{"
    r"|\brepositories\s*\.?\s*mavenDeployer\s*\{"
)


def _without_targets(text: str) -> str:
    """The build file with the places that artifacts are published to blanked out, its lines kept: nothing is fetched from there."""
    for found in reversed(list(_PUBLISHES.finditer(text))):
        if found[0].startswith("<"):
            end = text.find("</distributionManagement>", found.end())
        else:
            depth, end = 1, found.end()
            while end < len(text) and depth:
                depth += {"{": 1, "}": -1}.get(text[end], 0)
                end += 1
        end = len(text) if end < 0 else end
        text = text[: found.end()] + re.sub(r"[^\n]", " ", text[found.end() : end]) + text[end:]
    return text


def _maven(text: str) -> Iterator[tuple[str, str, int]]:
    text = _without_targets(text)
    for match in re.finditer(r"<(?:repository|pluginRepository|mirror)>.*?<url>\s*+(.*?)</url>", text, re.DOTALL):
        yield "repository", match[1].strip(), text.count("\n", 0, match.start(1)) + 1
    for match in re.finditer(
        r"""\bmaven\s*(?:\(\s*(?:url\s*=\s*)?["']([^"']+)["']|\{[^}]*?\burl\s*+(?:=\s*+)?(?:uri)?\s*+\(?\s*+["']([^"']+)["'])""", text
    ):
        yield "repository", match[1] or match[2], text.count("\n", 0, match.start()) + 1
