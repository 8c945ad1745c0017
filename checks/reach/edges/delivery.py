"""What delivers: workflows and actions, Kustomize, Helm, Kubernetes objects that name each other, Compose, images, contracts."""

from __future__ import annotations

import re
from collections.abc import Iterator

from checks.reach.edges.base import Extractor, View, folder_of, joined, last, text

# --- YAML: one pass over the lines; every kind of mention says what it is ----------------------------------------------------------------

_USES = re.compile(rb"^[ \t]*(?:-\s*)?uses\s*:\s*[\"']?\./([^\s\"'#@]+)", re.MULTILINE)
_WORKFLOW_RUN = re.compile(rb"workflow_run\s*:\s*\n(?:\s+\w+:.*\n)*?\s+workflows\s*:\s*(\[[^\]]*\]|(?:\n\s*-\s*.+)+)")
_SCRIPT = re.compile(rb"(?<![\w./-])(?:\./)?((?:[\w.-]+/)+[\w.-]+\.(?:sh|bash|py|js|mjs|cjs|ts|rb|ps1))\b")
_LISTED = re.compile(rb"^[ \t]*-\s*(?:path\s*:\s*)?[\"']?((?:\.{0,2}/)?[\w@.-][\w@./-]*)[\"']?\s*(?:#.*)?$", re.MULTILINE)
_PATH = re.compile(
    rb"^\s*(?:-\s*)?(?:path|context|build|chart|file|dockerfile|repository)\s*:\s*[\"']?(?:file://)?((?:\.{0,2}/)?[\w@.-][\w@./-]*)[\"']?\s*(?:#.*)?$",
    re.MULTILINE,
)
_IMAGE = re.compile(rb"^[ \t]*(?:-\s*)?(?:image|repository|newName)\s*:\s*[\"']?([\w.:/@-]+/[\w.-]+)", re.MULTILINE)
_REFERENCES = (
    ("configmap", re.compile(rb"\bconfigMap(?:KeyRef|Ref)?\s*:\s*\n?\s*(?:\w+:\s*\S+\s*\n\s*)?name\s*:\s*[\"']?([\w.-]+)")),
    ("secret", re.compile(rb"\bsecret(?:KeyRef|Ref)?\s*:\s*\n?\s*(?:\w+:\s*\S+\s*\n\s*)?(?:name|secretName)\s*:\s*[\"']?([\w.-]+)|\bsecretName\s*:\s*[\"']?([\w.-]+)")),
    ("serviceaccount", re.compile(rb"^[ \t]*serviceAccount(?:Name)?\s*:\s*[\"']?([\w.-]+)", re.MULTILINE)),
    ("role", re.compile(rb"\broleRef\s*:\s*\n(?:\s+(?!name)\w+:.*\n)*\s+name\s*:\s*[\"']?([\w.:-]+)")),
    ("service", re.compile(rb"\bservice\s*:\s*\n\s+name\s*:\s*[\"']?([\w.-]+)")),
)  # fmt: skip
_KUSTOMIZATION = re.compile(r"(?:^|/)[Kk]ustomization(?:\.ya?ml)?\Z")
_YAML = re.compile(r".*\.(?:ya?ml|yaml\.j2)\Z|[Kk]ustomization\Z")
_KIND = re.compile(rb"^kind\s*:\s*[\"']?(\w+)", re.MULTILINE)
_NAME = re.compile(rb"^metadata[ \t]*:[ \t\r]*\n(?:[ \t]++(?!name\s*:).*\n)*+[ \t]++name\s*:\s*[\"']?([\w.:-]+)", re.MULTILINE)
_SUBJECT = re.compile(
    rb"kind\s*:\s*ServiceAccount[ \t\r]*\n\s*+name\s*:\s*[\"']?([\w.-]+)|name\s*:\s*[\"']?([\w.-]+)[\"']?[ \t\r]*\n\s*+(?:namespace:.*\n\s*+)?kind\s*:\s*ServiceAccount"
)
_TITLE = re.compile(rb"^name\s*:\s*[\"']?([^\"'\n#]+)", re.MULTILINE)
_KINDS = {
    "ConfigMap": "configmap", "Secret": "secret", "ExternalSecret": "secret", "SealedSecret": "secret", "ServiceAccount": "serviceaccount",
    "Role": "role", "ClusterRole": "role", "Service": "service",
}  # fmt: skip
SIZE = 256 << 10
"""Bytes of one YAML file that are looked through."""


def mentions(data: bytes) -> Iterator[str]:
    """`uses …`, `path …`, `run …`, `image …`, and `configmap …` and the like."""
    data = data[:SIZE]
    yield from ("uses " + text(match[1]) for match in _USES.finditer(data))
    yield from ("run " + text(match[1]) for match in _SCRIPT.finditer(data))
    for match in _WORKFLOW_RUN.finditer(data):
        yield from ("workflow " + text(name).strip().lower() for name in re.findall(rb"[\"']?([\w][^\"'\n,\[\]]*)", match[1]))
    listed = (
        _LISTED.findall(data)
        if any(word in data for word in (b"resources:", b"bases:", b"components:", b"patches", b"Files:", b"env_file"))
        else []
    )
    yield from ("path " + text(place) for place in (*listed, *_PATH.findall(data)) if b"/" in place or b"." in place)
    yield from ("image " + last(text(match[1])) for match in _IMAGE.finditer(data))
    for kind, pattern in _REFERENCES:
        yield from (f"{kind} " + text(next(group for group in match.groups() if group)) for match in pattern.finditer(data))


def keys(mention: str) -> Iterator[str]:
    kind, _, words = mention.partition(" ")
    if kind in ("uses", "path", "run"):
        name = last(words)
        yield "path .." if name in ("", ".", "..") else "path " + name
    else:
        yield mention


def names(path: str, view: View) -> Iterator[str]:
    name, folder = last(path), folder_of(path)
    yield "path " + name
    yield "path " + last(folder)
    yield "path .."
    if path.startswith(".github/actions/"):
        yield "path " + path.split("/")[2]
    if name.lower().startswith(("dockerfile", "containerfile")):
        yield "image " + last(folder)
    if _YAML.match(name):
        data = view.read(path)[:SIZE]
        if path.startswith(".github/workflows/") and (title := _TITLE.search(data)):
            yield "workflow " + text(title[1]).strip().lower()
        yield from objects(data)


def objects(data: bytes) -> Iterator[str]:
    """What other objects call those in `data`; a binding goes by the names of the service accounts it gives rights to."""
    for document in re.split(rb"^---.*$", data, flags=re.MULTILINE) if b"kind:" in data else ():
        kind, name = _KIND.search(document), _NAME.search(document)
        word = text(kind[1]) if kind else ""
        if name and word in _KINDS:
            yield f"{_KINDS[word]} {text(name[1])}"
        if word.endswith("Binding"):
            yield from (f"serviceaccount {text(match[1] or match[2])}" for match in _SUBJECT.finditer(document))


def leads(mention: str, source: str, target: str, view: View) -> bool:
    if source == target:
        return False
    kind, _, words = mention.partition(" ")
    if kind not in ("uses", "path", "run"):
        return kind != "service" or _together(source, target)
    if kind == "uses":
        return target == words or target.startswith(f"{words.rstrip('/')}/")
    # Kustomize, Compose and charts write paths from their own folder; Argo CD, Flux and workflows from the root.
    for here in dict.fromkeys((joined(folder_of(source), words), joined("", words))):
        if here == target or (here and here == folder_of(target) and (kind != "run" and _stands_for(target))):
            return True
    return False


def _together(source: str, target: str) -> bool:
    return source.split("/")[:2] == target.split("/")[:2]


def _stands_for(target: str) -> bool:
    """Whether a file stands for its folder: what kustomize, Compose or a chart opens there; or a plain manifest that Argo CD applies."""
    name = last(target)
    return (
        bool(_KUSTOMIZATION.search(target))
        or name.lower().startswith(("dockerfile", "containerfile"))
        or name in ("Chart.yaml", "action.yml", "action.yaml")
    )


YAML = Extractor("yaml", _YAML, "uses", mentions, keys, names, leads)

# --- Charts: every file of a chart is part of what Chart.yaml names ----------------------------------------------------------------------


def _chart_names(path: str, view: View) -> Iterator[str]:
    if ("/templates/" in path or last(path).startswith("values")) and view.above(path, "Chart.yaml"):
        yield "chart"


def _chart_leads(mention: str, source: str, target: str, view: View) -> bool:
    return source != target and view.above(target, "Chart.yaml") == source


CHART = Extractor(
    "chart", re.compile(r"Chart\.yaml\Z"), "is made of", lambda data: ("chart",), lambda mention: (mention,), _chart_names, _chart_leads
)

# --- Images: what a Dockerfile copies and starts from ------------------------------------------------------------------------------------

_COPY = re.compile(rb"^[ \t]*(?:COPY|ADD)\s+((?:--\S+\s+)*)(.+)$", re.MULTILINE | re.IGNORECASE)
_FROM = re.compile(rb"^[ \t]*FROM\s+(?:--\S+\s+)*([\w./:@-]+/[\w.-]+)", re.MULTILINE | re.IGNORECASE)
_DOCKERFILE = re.compile(r"(?:Dockerfile|Containerfile)(?:\..+)?\Z|.*\.(?:dockerfile|containerfile)\Z", re.IGNORECASE)


def _image_mentions(data: bytes) -> Iterator[str]:
    for match in _COPY.finditer(data):
        if b"--from=" not in match[1].lower():
            for source in re.findall(rb"[^\s\[\],\"]+", match[2])[:-1]:
                yield "copy " + text(source)
    yield from ("from " + last(text(match[1])).partition(":")[0] for match in _FROM.finditer(data))


def _image_keys(mention: str) -> Iterator[str]:
    kind, _, place = mention.partition(" ")
    word = last(place)
    if kind == "from" or (word not in ("", ".", "..") and "*" not in word):
        yield f"{kind} {word}"


def _image_names(path: str, view: View) -> Iterator[str]:
    yield from (f"copy {part}" for part in path.split("/"))
    if _DOCKERFILE.match(last(path)):
        yield f"from {last(folder_of(path))}"


def _image_leads(mention: str, source: str, target: str, view: View) -> bool:
    kind, _, place = mention.partition(" ")
    if source == target:
        return False
    if kind == "from":
        return bool(_DOCKERFILE.match(last(target)))
    return any(
        here and (target == here or target.startswith(f"{here}/"))
        for here in (joined(folder_of(source), place.lstrip("/")), joined("", place.lstrip("/")))
    )


IMAGE = Extractor("image", _DOCKERFILE, "copies", _image_mentions, _image_keys, _image_names, _image_leads)

# --- Contracts: schemas that import schemas ----------------------------------------------------------------------------------------------

_SCHEMA = re.compile(r".*\.(?:proto|graphql|gql|thrift|avsc)\Z")
_IMPORTED = re.compile(rb"^[ \t]*(?:import\s+(?:public\s+|weak\s+)?|include\s+|#import\s+)[\"']([^\"'\n]+)[\"']", re.MULTILINE)


def _schema_names(path: str, view: View) -> Iterator[str]:
    if _SCHEMA.match(path):
        yield last(path)


def _schema_leads(mention: str, source: str, target: str, view: View) -> bool:
    return joined(folder_of(source), mention) == target or target == mention or target.endswith("/" + mention.lstrip("./"))


CONTRACT = Extractor(
    "contract",
    _SCHEMA,
    "imports",
    lambda data: (text(match[1]) for match in _IMPORTED.finditer(data)),
    lambda mention: (last(mention),),
    _schema_names,
    _schema_leads,
)
