"""What a change keeps from being read, by people or by the detectors.

## What it detects
Content that leaves sight: attributes that newly collapse or suppress a diff, text that becomes binary or a Git LFS pointer, NUL bytes in source,
submodules that move or come from elsewhere, links that leave the repository or stand where a file was judged, invisible and direction-changing
characters newly in source, letters of another alphabet inside names, and paths that some file systems take for one another.

## Why it matters
A reviewer reads a rendered diff, a detector reads text. Each of these makes one of them see less than what a machine will run.

## Example
```
# .gitattributes
-*.png binary
+*.png binary
+*.sql -diff
```
Every later SQL migration is shown as "Binary files differ".

## What makes it safe
Leave the file readable: drop the attribute, commit the text itself, replace a link by its content, write an invisible character as an escape
(`\\u202e`). A submodule is safe when its commit is reviewed in its own repository by the same rules.

## What it cannot see
The content behind an LFS pointer or a submodule. Characters in prose and translations, where other alphabets and directions are right.
"""

from __future__ import annotations

import posixpath
import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache

from checks.detectors.base import Detector, Rule, not_analysed, together
from checks.model import Change, Confidence, Effect, FileChange, Hazard, Reversible, Severity, Side, Unreadable
from checks.patterns import any_of, glob
from checks.places import Place, place_of

DIFF_HIDDEN = Rule("hidden/diff-hidden", Hazard.NOT_ANALYSED, Severity.HIGH, Reversible.YES, "The diff of source files is no longer shown")
NOT_TEXT = Rule("hidden/text-made-binary", Hazard.NOT_ANALYSED, Severity.HIGH, Reversible.YES, "A text file is no longer text")
ELSEWHERE = Rule("hidden/content-elsewhere", Hazard.NOT_ANALYSED, Severity.HIGH, Reversible.YES, "A pointer stands in place of the content")
SUBMODULE = Rule("hidden/submodule-moved", Hazard.NOT_ANALYSED, Severity.MODERATE, Reversible.YES, "A submodule points at other code")
SUBMODULE_SOURCE = Rule(
    "hidden/submodule-source-changed", Hazard.SUPPLY_CHANGED, Severity.HIGH, Reversible.YES, "A submodule is fetched from elsewhere"
)
LINK_OUT = Rule("hidden/link-leaves-tree", Hazard.NOT_ANALYSED, Severity.HIGH, Reversible.YES, "A link points out of the repository")
LINK_OVER = Rule("hidden/link-replaces-file", Hazard.NOT_ANALYSED, Severity.HIGH, Reversible.YES, "A link stands where a file was judged")
CHARACTERS = Rule(
    "hidden/characters-invisible", Hazard.NOT_ANALYSED, Severity.HIGH, Reversible.YES, "Source shows other than what a machine reads"
)
LOOKALIKE = Rule(
    "hidden/letters-imitated",
    Hazard.NOT_ANALYSED,
    Severity.MODERATE,
    Reversible.YES,
    "A word in source mixes alphabets that look alike",
    confidence=Confidence.LIKELY,
)
NAME = Rule("hidden/name-misleads", Hazard.NOT_ANALYSED, Severity.HIGH, Reversible.YES, "A path shows other than what it is")
COLLIDE = Rule("hidden/names-collide", Hazard.NOT_ANALYSED, Severity.MODERATE, Reversible.YES, "Two paths are one on some file systems")

RULES = (DIFF_HIDDEN, NOT_TEXT, ELSEWHERE, SUBMODULE, SUBMODULE_SOURCE, LINK_OUT, LINK_OVER, CHARACTERS, LOOKALIKE, NAME, COLLIDE)

_SOURCE = re.compile(
    r".*\.(?:py|pyi|js|jsx|mjs|cjs|ts|tsx|mts|cts|vue|svelte|go|java|kt|kts|rb|rs|php|cs|c|h|cc|cpp|hpp|m|mm|swift|scala|ex|exs|pl|lua|r|sh|bash|"
    r"zsh|fish|ps1|psm1|bat|cmd|sql|tf|tfvars|hcl|yaml|yml|toml|ini|cfg|conf|json|jsonc|json5|xml|gradle|groovy|proto|graphql|rego|bicep|cue|nix|"
    r"jsonnet|libsonnet|dockerfile|mk|cmake|env|properties|service)\Z|(?:.*/)?(?:Dockerfile|Containerfile|Makefile|Jenkinsfile|Procfile|CODEOWNERS|"
    r"Gemfile|Rakefile|Vagrantfile|Justfile|Tiltfile|Brewfile)[^/]*\Z",
    re.IGNORECASE | re.DOTALL,
)
"""Files a machine runs or obeys, by name."""
_MACHINE_WRITTEN = re.compile(
    r"lock|\bsnap\b|snapshot|generated|\bgen\b|/dist/|/build/|\bmin\b|\.pb\.|_pb2|\.map\b|vendor|third_party|node_modules|fixtures|testdata|"
    r"cassettes|swagger|openapi|checksums|\.sum\b|/migrations/meta/|\.svg|\.csv|\.ipynb|\.golden|mocks?\b|\bpb\b|deepcopy|bindata|\.g\.|\.pnp\.|yarn",
    re.IGNORECASE,
)
_PROSE = re.compile(r"(?:^|[/._-])(?:locales?|i18n|l10n|lang|langs|languages|translations?|messages|strings)(?:[/._-]|$)", re.IGNORECASE)
_LFS = b"version https://git-lfs.github.com/spec/"
_UTF16 = (b"\xff\xfe", b"\xfe\xff", b"\x00\x00\xfe\xff")

# Direction controls: Unicode Bidi_Control (unicode.org/reports/tr9) without the three marks that move nothing by themselves; CVE-2021-42574.
_DIRECTION = re.compile("[\u202a-\u202e\u2066-\u2069]")
# A zero-width character between ASCII word characters: two names that read as one. Right in Persian or Indic text, whose letters are not ASCII.
_ZERO_WIDTH = re.compile("[A-Za-z0-9_][\u200b-\u200d\u2060\ufeff\u180e\u00ad]+(?=[A-Za-z0-9_])")
# Runs of tag characters or variation selectors spell out text nobody sees; flags (black flag + tags) are the one right use of tags.
_PAYLOAD = re.compile("(?<!\U0001f3f4)[\U000e0000-\U000e007f]{3,}|[\ufe00-\ufe0f\U000e0100-\U000e01ef]{4,}")
# Cyrillic and Greek letters drawn as Latin ones (unicode.org/Public/security confusables.txt).
_IMITATIONS = "аеорсухіјѕһԁԛԝАВЕКМНОРСТХІЈЅοΑΒΕΖΗΙΚΜΝΟΡΤΥΧ"
_MIXED = re.compile(rf"(?:[A-Za-z][A-Za-z0-9_]*[{_IMITATIONS}]|[{_IMITATIONS}]+[A-Za-z])[A-Za-z0-9_{_IMITATIONS}]*")
_LETTER = re.compile(r"[\u0370-\u052f]")
_SUSPECT = re.compile(
    rb"\xe2\x80[\x8b-\x8d\xaa-\xae]|\xe2\x81[\xa0\xa6-\xa9]|\xef\xbb\xbf|\xc2\xad|\xe1\xa0\x8e|\xf3\xa0|(?:\xef\xb8[\x80-\x8f]){2}|[\xcd-\xd4][\x80-\xbf]"
)
"""The UTF-8 bytes of everything above: a file without any of these has none of it."""
_TYPICAL = (
    "a.py", "a.ts", "a.tsx", "a.js", "a.go", "a.java", "a.rb", "a.rs", "a.sql", "a.tf", "a.sh", "a.yml", "a.yaml", "a.json", "a.php", "a.cs",
    "Dockerfile", "Makefile", "CODEOWNERS", "package.json", ".github/workflows/a.yml",
)  # fmt: skip


def detect(change: Change, files: Sequence[FileChange]) -> Iterator[Effect]:
    """What these files keep from being read at head and did not at base."""
    for file in files:
        yield from _name(change, file)
        if file.new is None:
            continue
        if file.new.is_submodule:
            yield from _submodule(file)
        elif file.new.is_link:
            yield from _link(change, file)
        elif file.path.rpartition("/")[2] == ".gitattributes":
            yield from _attributes(change, file)
        elif file.path == ".gitmodules":
            yield from _sources(change, file)
        elif _read_by_machines(file.path) and file.old != file.new:
            yield from _content(change, file)
    yield from _collisions(change, files)


@lru_cache(maxsize=8192)
def _judged(path: str) -> frozenset[str]:
    """The detectors that a path wakes, without those that every path wakes."""
    from checks.detectors import REGISTER

    return frozenset(name for name, patterns in REGISTER.items() if "**" not in patterns and any_of(patterns).match(path))


def _read_by_machines(path: str) -> bool:
    return _SOURCE.match(path) is not None or bool(_judged(path))


# --- names -------------------------------------------------------------------------------------------------------------------------------


def _name(change: Change, file: FileChange) -> Iterator[Effect]:
    if file.path.isascii() or file.new is None or change.before.entry(file.path) is not None:
        return
    why = _name_mistake(file.path)
    if why:
        yield NAME.effect(
            subject=file.path, path=file.path, after=why, message=f"The name of this path {why}, so it reads as another path than it is."
        )


def _name_mistake(path: str) -> str | None:
    if any(0xDC80 <= ord(char) <= 0xDCFF for char in path):
        return "is not UTF-8"
    if _DIRECTION.search(path) or any(unicodedata.category(char) == "Cf" and char not in "\u200c\u200d" for char in path):
        return "has invisible or direction-changing characters"
    for part in path.split("/"):
        match = _MIXED.search(part)
        if match and not _LETTER.search(_without(part, match)):
            return "mixes alphabets that look alike"
    return None


def _without(text: str, match: re.Match[str]) -> str:
    """The letters that directly touch a match: a word of another alphabet that runs on is an honest word."""
    return text[max(0, match.start() - 1) : match.start()] + text[match.end() : match.end() + 1]


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", unicodedata.normalize("NFKC", name).casefold())


def _collisions(change: Change, files: Iterable[FileChange]) -> Iterator[Effect]:
    """New names that a file system which ignores case or normal form takes for a neighbour; each folder is listed once."""
    new: dict[str, set[str]] = {}
    for file in files:
        if file.new is None or (file.old is not None and not file.renamed):
            continue
        parts = file.path.split("/")
        for depth in range(len(parts), 0, -1):
            folder, name = "/".join(parts[: depth - 1]), parts[depth - 1]
            if name in new.get(folder, ()) or (depth < len(parts) and change.before.entry("/".join(parts[:depth])) is not None):
                break
            new.setdefault(folder, set()).add(name)
    for folder, names in new.items():
        here: dict[str, list[str]] = {}
        for name in change.after.list(folder):
            here.setdefault(_folded(name), []).append(name)
        for name in sorted(names):
            others = [other for other in here.get(_folded(name), ()) if other != name]
            if others:
                path = f"{folder}/{name}".lstrip("/")
                yield COLLIDE.effect(
                    subject=path,
                    path=path,
                    after=", ".join(sorted(others)),
                    message="Some file systems take this name for that of its neighbour, so which of the two is used depends on the machine.",
                )


# --- entries -----------------------------------------------------------------------------------------------------------------------------


def _submodule(file: FileChange) -> Iterator[Effect]:
    assert file.new is not None
    if file.old is not None and file.old.oid == file.new.oid:
        return
    if file.old is None or not file.old.is_submodule:
        message = "Code of another repository is included here, and nothing of it can be judged from this one."
    else:
        message = "This submodule moves to another commit, and what changes between the two cannot be judged from here."
    before = file.old.oid[:12] if file.old and file.old.is_submodule else None
    yield SUBMODULE.effect(subject=file.path, path=file.path, before=before, after=file.new.oid[:12], message=message)


_SECTION = re.compile(r'\s*\[\s*submodule\s+"(?P<name>.*)"\s*\]\s*\Z')
_SETTING = re.compile(r"\s*(?P<key>[A-Za-z][\w-]*)\s*=\s*+(?P<value>(?:.*\S)?)\s*\Z")


def _modules(data: bytes | None) -> dict[str, tuple[str, int]]:
    """Path of each submodule → (its URL, line): git-scm.com/docs/gitmodules."""
    found: dict[str, dict[str, tuple[str, int]]] = {}
    name = ""
    for number, line in enumerate((data or b"").decode("utf-8", "replace").split("\n"), 1):
        if section := _SECTION.match(line):
            name = section["name"]
        elif name and (setting := _SETTING.match(line)):
            found.setdefault(name, {})[setting["key"].lower()] = (setting["value"], number)
    return {values.get("path", (key, 0))[0]: values["url"] for key, values in found.items() if "url" in values}


def _place_of_url(url: str) -> str:
    """Host and path, whichever protocol and ending."""
    url = re.sub(r"\A(?:[a-z+]+://(?:[^@/]*@)?|[\w.-]+@(?=[\w.-]+:))", "", url.strip())
    return re.sub(r"(?:\.git)?/*\Z", "", url.replace(":", "/", 1)).lower()


def _sources(change: Change, file: FileChange) -> Iterator[Effect]:
    before = _modules(change.before.read(".gitmodules"))
    for path, (url, line) in _modules(change.after.read(".gitmodules")).items():
        if path in before and _place_of_url(before[path][0]) != _place_of_url(url):
            yield SUBMODULE_SOURCE.effect(
                subject=path,
                path=file.path,
                line=line,
                before=_place_of_url(before[path][0]),
                after=_place_of_url(url),
                message="This submodule's code now comes from another repository.",
            )


def _link(change: Change, file: FileChange) -> Iterator[Effect]:
    if file.old is not None and file.old.is_link and file.old.oid == (file.new.oid if file.new else ""):
        return
    target = change.after.target(file.path) or ""
    resolved = posixpath.normpath(posixpath.join(posixpath.dirname(file.path), target))
    if target.startswith(("/", "~")) or resolved.startswith("..") or re.match(r"[A-Za-z]:", target) or resolved.split("/")[0] == ".git":
        quiet = place_of(file.path) in (Place.TEST, Place.EXAMPLE, Place.VENDORED)
        yield LINK_OUT.effect(
            subject=file.path,
            path=file.path,
            after=target,
            severity=Severity.LOW if quiet else None,
            message="This link points out of the repository, so what is read through it depends on the machine.",
        )
        return
    was_file = file.old is not None and file.old.is_file
    missing = _judged(file.path) - _judged(resolved)
    other_kind = _SOURCE.match(file.path) and posixpath.splitext(file.path)[1] != posixpath.splitext(resolved)[1]
    if was_file and (missing or other_kind) and place_of(file.path) is Place.DEPLOYED:
        yield LINK_OVER.effect(
            subject=file.path,
            path=file.path,
            after=target,
            message=f"A link to {target} stands where a file was; the content behind it is not judged as what this path is.",
        )


# --- attributes --------------------------------------------------------------------------------------------------------------------------


def _hiding(data: bytes | None) -> dict[tuple[str, str], int]:
    """(pattern, what hides it) → line, for each line that hides a diff: git-scm.com/docs/gitattributes, github-linguist overrides."""
    found: dict[tuple[str, str], int] = {}
    for number, line in enumerate((data or b"").decode("utf-8", "surrogateescape").split("\n"), 1):
        words = line.split()
        if not words or words[0].startswith(("#", "[attr]")):
            continue
        state: dict[str, str] = {}
        for word in words[1:]:
            name, _, value = word.lstrip("-!").partition("=")
            state[name] = "off" if word.startswith("-") else "unset" if word.startswith("!") else value or "on"
            if name == "binary" and state[name] == "on":
                state["diff"] = "off"
        if state.get("diff") == "off":
            found[(words[0], "-diff")] = number
        elif state.get("linguist-generated", "off") not in ("off", "unset", "false"):
            found[(words[0], "linguist-generated")] = number
    return found


def _pattern(folder: str, pattern: str) -> re.Pattern[str]:
    anchored = pattern.lstrip("/")
    below = f"{folder}/" if folder else ""
    if "/" in pattern.rstrip("/"):
        return glob(below + anchored)
    return glob(f"{below}**/{anchored}")


def _attributes(change: Change, file: FileChange) -> Iterator[Effect]:
    folder = file.path.rpartition("/")[0]
    before = _hiding(change.base_bytes(file))
    after = _hiding(change.head_bytes(file))
    gone = {pattern for pattern, _ in before}
    for (pattern, how), line in after.items():
        if pattern in gone or _MACHINE_WRITTEN.search(pattern):
            continue
        expression = re.compile(_pattern(folder, pattern).pattern + r"\Z", re.IGNORECASE | re.DOTALL)
        below = f"{folder}/" if folder else ""
        typical = [name for name in _TYPICAL if expression.match(below + name)] if "/" not in pattern.strip("/") or "*" in pattern else []
        covered = [
            f.path
            for f in change.files
            if f.new and f.new.is_file and expression.match(f.path) and _source_by_hand(f.path) and f is not file
        ]
        exact = [pattern] if not typical and "*" not in pattern and _SOURCE.match(pattern) and not _MACHINE_WRITTEN.search(pattern) else []
        hidden = covered or typical or exact
        if not hidden or (how == "linguist-generated" and not covered and not _broad(pattern)):
            continue
        yield DIFF_HIDDEN.effect(
            subject=pattern,
            path=file.path,
            line=line,
            after=how,
            severity=None if covered or how == "-diff" else Severity.MODERATE,
            message=f"Diffs of {pattern} are no longer shown in full ({how}), source such as {hidden[0].removeprefix('a.') if typical and not covered else hidden[0]} included.",
        )


def _source_by_hand(path: str) -> bool:
    return _SOURCE.match(path) is not None and not _MACHINE_WRITTEN.search(path)


def _broad(pattern: str) -> bool:
    """Whether a pattern names a kind of file (`*.sql`, `*`, `**/*.ts`) and not a folder or one file."""
    return re.match(r"(?:\*\*/)?\*(?:\.\w+)?\Z", pattern.lstrip("/")) is not None


# --- content -----------------------------------------------------------------------------------------------------------------------------


def _content(change: Change, file: FileChange) -> Iterator[Effect]:
    try:
        data = change.head_bytes(file) or b""
    except Unreadable as unreadable:
        if not _MACHINE_WRITTEN.search(file.path):
            yield not_analysed(file.path, unreadable.why)
        return
    quiet = place_of(file.path) in (Place.TEST, Place.EXAMPLE, Place.VENDORED) or _MACHINE_WRITTEN.search(file.path) is not None
    if data.startswith(_LFS):
        if not quiet and not _base(change, file).startswith(_LFS):
            yield ELSEWHERE.effect(
                subject=file.path,
                path=file.path,
                line=1,
                message="A Git LFS pointer stands here in place of the content that will be used.",
            )
    elif b"\0" in data:
        if not quiet and not data.startswith(_UTF16) and b"\0" not in _base(change, file):
            yield NOT_TEXT.effect(
                subject=file.path,
                path=file.path,
                line=data[: data.index(b"\0")].count(b"\n") + 1,
                message="NUL bytes make this file binary to git, so its diff is not shown, while programs may still run its text.",
            )
    elif not data.isascii() and _SUSPECT.search(_new_text(change, file, data)):
        yield from _characters(change, file, data, quiet)


def _new_text(change: Change, file: FileChange, data: bytes) -> bytes:
    """The lines that are new; all of it where the other side cannot be read."""
    try:
        return data if file.added else change.lines(file).text
    except Unreadable:
        return data


def _base(change: Change, file: FileChange) -> bytes:
    try:
        return change.base_bytes(file) or b""
    except Unreadable:
        return b""


def _characters(change: Change, file: FileChange, data: bytes, quiet: bool) -> Iterator[Effect]:
    text = data.decode("utf-8", "replace").removeprefix("\ufeff")
    prose = _PROSE.search(file.path) is not None
    invisible = [expression for expression in (_DIRECTION, _PAYLOAD, _ZERO_WIDTH) if not prose and expression.search(text)]
    mixed = not prose and not quiet and _MIXED.search(text) is not None
    if not invisible and not mixed:
        return
    known = {line.strip() for line in _base(change, file).decode("utf-8", "replace").split("\n") if not line.isascii()}
    lines = [(number, line) for number, line in enumerate(text.split("\n"), 1) if not line.isascii() and line.strip() not in known]
    for expression in invisible:
        hit = next(((number, match) for number, line in lines if (match := expression.search(line))), None)
        if hit:
            number, match = hit
            shown = ", ".join(sorted({f"U+{ord(char):04X}" for char in match.group() if not char.isascii()}))[:80]
            yield CHARACTERS.effect(
                subject=f"{file.path} {shown}",
                path=file.path,
                line=number,
                after=shown,
                severity=Severity.MODERATE if quiet or expression is _ZERO_WIDTH else None,
                message="Invisible or direction-changing characters make this line show other than what a machine reads.",
            )
    hit = (
        next(((n, m) for n, line in lines for m in _MIXED.finditer(line) if not _LETTER.search(_without(line, m))), None) if mixed else None
    )
    if hit:
        yield LOOKALIKE.effect(
            subject=file.path,
            path=file.path,
            line=hit[0],
            side=Side.HEAD,
            after=hit[1].group().encode("ascii", "backslashreplace").decode()[:80],
            message="A word here mixes Latin letters with letters of another alphabet that look the same, so it is another name than it seems.",
        )


DETECTOR = Detector("hidden", "What a change hides", RULES, detect, together)
