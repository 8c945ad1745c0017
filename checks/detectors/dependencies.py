"""New code that enters by a dependency's source, not by its ordinary version.

## What it detects
A dependency that newly comes from git or an address instead of a registry, another registry or index, a lock file that fetches from a host it did
not use, hashes that leave a lock file, scripts that newly run at installation, a dependency that is no longer pinned to anything, a replacement
or override, a step back by a major version, and a manifest whose lock file was not brought along. npm, pnpm, Yarn, pip, uv, Poetry, Go, Cargo,
Bundler, Composer, Maven and Gradle.

## Why it matters
Whatever these lines name runs on every developer's machine and in CI with their rights, before any test does.

## Example
```diff
-    "left-pad": "^1.3.0",
+    "left-pad": "github:someone/left-pad",
```
From now on the tip of somebody's branch is installed.

## What makes it safe
A source pinned to a commit, a registry you run, a lock file with hashes, `ignore-scripts`. An ordinary new dependency or version is not reported.

## What it cannot see
What a new version contains, and whether a name is an imitation of another.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from checks.detectors.base import Detector, Rule, by_directory, not_analysed
from checks.model import Change, Confidence, Effect, FileChange, Hazard, Reversible, Severity, Unreadable
from checks.places import Place, place_of
from checks.readers.packages import Dependency, Manifest, manifest

SOURCE = Rule(
    "dependencies/source-changed", Hazard.SUPPLY_CHANGED, Severity.MODERATE, Reversible.PARTLY, "A dependency comes from elsewhere"
)
REGISTRY = Rule(
    "dependencies/registry-changed", Hazard.SUPPLY_CHANGED, Severity.MODERATE, Reversible.PARTLY, "Packages come from another registry"
)
HOST = Rule(
    "dependencies/lock-host-changed", Hazard.SUPPLY_CHANGED, Severity.HIGH, Reversible.PARTLY, "A lock file fetches from another host"
)
HASHES = Rule(
    "dependencies/hashes-removed", Hazard.SUPPLY_CHANGED, Severity.MODERATE, Reversible.YES, "Packages are no longer checked against a hash"
)
SCRIPT = Rule(
    "dependencies/install-script-added", Hazard.SUPPLY_CHANGED, Severity.MODERATE, Reversible.PARTLY, "A script newly runs at installation"
)
UNPINNED = Rule("dependencies/version-unbounded", Hazard.SUPPLY_CHANGED, Severity.LOW, Reversible.YES, "A dependency takes any version")
OVERRIDE = Rule(
    "dependencies/replacement-added", Hazard.SUPPLY_CHANGED, Severity.LOW, Reversible.YES, "A dependency is replaced by another"
)
BACK = Rule(
    "dependencies/major-step-back", Hazard.SUPPLY_CHANGED, Severity.LOW, Reversible.YES, "A dependency steps back by a major version"
)
BEHIND = Rule(
    "dependencies/lock-left-behind",
    Hazard.SUPPLY_CHANGED,
    Severity.LOW,
    Reversible.YES,
    "A lock file does not follow its manifest",
    confidence=Confidence.LIKELY,
)
RULES = (SOURCE, REGISTRY, HOST, HASHES, SCRIPT, UNPINNED, OVERRIDE, BACK, BEHIND)

_LOCKS = {
    "package-lock.json": "package.json", "npm-shrinkwrap.json": "package.json", "yarn.lock": "package.json", "pnpm-lock.yaml": "package.json", "bun.lock": "package.json",
    "uv.lock": "pyproject.toml", "poetry.lock": "pyproject.toml", "pdm.lock": "pyproject.toml", "Cargo.lock": "Cargo.toml", "Gemfile.lock": "Gemfile",
    "composer.lock": "composer.json", "go.sum": "go.mod",
}  # fmt: skip
_FROM = rb"(?:git\+)?(?:https?|ssh|git)://(?:[^/@\"\s]*@)?([A-Za-z0-9.-]+)"
_NPM_HOSTS = re.compile(rb'"resolved": "' + _FROM)
_TOML_HOSTS = re.compile(rb'(?:registry|git|url) = "' + _FROM)
_HOSTS = {
    "package-lock.json": _NPM_HOSTS, "npm-shrinkwrap.json": _NPM_HOSTS, "yarn.lock": re.compile(rb'resolved "' + _FROM),
    "pnpm-lock.yaml": re.compile(rb"tarball: ['\"]?" + _FROM), "uv.lock": _TOML_HOSTS, "poetry.lock": _TOML_HOSTS, "pdm.lock": _TOML_HOSTS,
    "Cargo.lock": re.compile(rb'source = "(?:registry|git|sparse)\+' + _FROM), "Gemfile.lock": re.compile(rb"remote: " + _FROM),
    "composer.lock": re.compile(rb'"(?:source|dist)":\s*\{\s*"type":\s*"[\w-]{1,20}",\s*"url":\s*"' + _FROM),
}  # fmt: skip
"""Where each lock file says what it fetches, literal first so that a scan is fast."""
_ORDINARY = frozenset(
    {
        "registry.npmjs.org", "registry.yarnpkg.com", "files.pythonhosted.org", "pypi.org", "index.crates.io", "static.crates.io", "rubygems.org",
        "repo.packagist.org", "api.github.com", "npm.jsr.io", "download.pytorch.org", "repo.maven.apache.org", "repo1.maven.org",
    }
)  # fmt: skip
_HASH = (b'"integrity":', b"\n  integrity ", b'hash = "', b"\nchecksum = ", b"integrity: sha", b'"shasum":')
_ENTRY = (b'"resolved":', b'\n  resolved "', b"\n  resolution:", b"\n[[package]]", b'"dist":', b"resolution: {")
_PUBLIC = re.compile(
    r"https?://(?:registry\.npmjs\.org|registry\.yarnpkg\.com|pypi\.org/simple|rubygems\.org|repo1?\.maven(?:\.apache)?\.org|plugins\.gradle\.org|dl\.google\.com|maven\.google\.com|packagist\.org|repo\.packagist\.org|download\.pytorch\.org)"
)
_SAFE_SETTING = {
    "strict-ssl": "false",
    "enableStrictSsl": "false",
    "ignore-scripts": "false",
    "enableScripts": "true",
    "package-lock": "false",
}


def detect(change: Change, files: Sequence[FileChange]) -> Iterator[Effect]:
    """What the manifests and lock files of a folder newly take from elsewhere."""
    for file in files:
        if (
            place_of(file.path) is not Place.DEPLOYED
            or (file.old and file.new and file.old.oid == file.new.oid)
            or file.new is None
            or not file.new.is_file
        ):
            continue
        name = file.path.rpartition("/")[2]
        try:
            if name in _LOCKS:
                yield from _lock(change, file)
            elif _MANIFEST.fullmatch(name) or "/.cargo/" in f"/{file.path}":
                old_data, new_data = change.base_bytes(file), change.head_bytes(file)
                new = manifest(new_data or b"", file.path) if new_data else Manifest()
                old = manifest(old_data, file.base_path) if old_data else None
                yield from _manifest(change, file, old, new)
        except Unreadable as unreadable:
            if file.old is None or not _unreadable_before(change, file):
                yield not_analysed(file.path, unreadable.why, unreadable.line, severity=Severity.LOW)


_MANIFEST = re.compile(
    r"package\.json|composer\.json|pyproject\.toml|Cargo\.toml|go\.mod|go\.env|\.npmrc|\.yarnrc(?:\.yml)?|bunfig\.toml|\.pypirc|pip\.(?:conf|ini)|uv\.toml|Gemfile|"
    r"pnpm-workspace\.ya?ml|[^/]*requirements[^/]*\.(?:txt|in)|(?:base|dev|prod|production|test|constraints)\.txt|pom\.xml|[^/]+\.gradle(?:\.kts)?"
)


def _unreadable_before(change: Change, file: FileChange) -> bool:
    try:
        manifest(change.base_bytes(file) or b"", file.base_path)
    except Unreadable:
        return True
    return False


@dataclass(frozen=True, slots=True)
class _Lock:
    """What one lock file says of where packages come from."""

    hosts: Mapping[str, tuple[int, int]]
    """Host → how many packages it gives, and where the first one stands."""
    hashes: int
    entries: int


@lru_cache(maxsize=32)
def _lock_of(data: bytes, name: str) -> _Lock:
    hosts: dict[str, tuple[int, int]] = {}
    for match in _HOSTS[name].finditer(data):
        host = match[1].lower().decode()
        count, first = hosts.get(host, (0, match.start(1)))
        hosts[host] = (count + 1, first)
    return _Lock(hosts, sum(map(data.count, _HASH)), sum(map(data.count, _ENTRY)))


def _lock(change: Change, file: FileChange) -> Iterator[Effect]:
    before, after, name = change.base_bytes(file), change.head_bytes(file) or b"", file.path.rpartition("/")[2]
    if not before or name not in _HOSTS:
        return
    old, new = _lock_of(before, name), _lock_of(after, name)
    for host, (count, first) in new.hosts.items():
        if host in old.hosts or host in _ORDINARY:
            continue
        git = host in ("github.com", "gitlab.com", "bitbucket.org", "codeload.github.com")
        yield HOST.effect(
            subject=host,
            path=file.path,
            line=after.count(b"\n", 0, first) + 1,
            after=f"{count} packages",
            severity=Severity.MODERATE if git else None,
            message=f"{count} {'package is' if count == 1 else 'packages are'} now fetched from {host}, which this lock file did not use before.",
        )
    if old.hashes > 5 and new.hashes * 2 < old.hashes and new.entries * 10 > old.entries * 7:
        yield _hashes(file, (old.hashes, new.hashes))


def _hashes(file: FileChange, count: tuple[int, int]) -> Effect:
    return HASHES.effect(
        subject=file.path,
        path=file.path,
        before=f"{count[0]} hashes",
        after=f"{count[1]} hashes",
        message="Packages are installed without comparing them to a recorded hash, so a changed package goes unnoticed.",
    )


def _manifest(change: Change, file: FileChange, old: Manifest | None, new: Manifest) -> Iterator[Effect]:
    before = old or Manifest()
    yield from _dependencies(file, before, new)
    yield from _registries(file, before, new)
    scripts = {event: command for event, command, _ in before.scripts}
    for event, command, line in new.scripts:
        if (
            command != scripts.get(event)
            and not _HARMLESS.match(command.strip())
            and (event not in ("prepare", "build") or (event not in scripts and old is not None and "&&" not in command))
        ):
            quiet = event in ("prepare", "build") or event in scripts or old is None
            yield SCRIPT.effect(
                subject=event, path=file.path, line=line, before=scripts.get(event), after=command, severity=Severity.LOW if quiet else None,
                message=f"Installing now runs a {'changed' if event in scripts else 'new'} {event} script.",
            )  # fmt: skip
    built = sorted(set(new.built) - set(before.built))
    if built and old is not None:
        yield SCRIPT.effect(
            subject=", ".join(built[:5]),
            path=file.path,
            after=", ".join(built[:5]),
            severity=Severity.LOW,
            message=f"The installation scripts of {', '.join(built[:5])} may newly run.",
        )
    if before.hashed > 5 and new.hashed * 2 < before.hashed and len(new.dependencies) * 10 > len(before.dependencies) * 7:
        yield _hashes(file, (before.hashed, new.hashed))
    replaced = {(name, target) for name, target, _ in before.overrides}
    names = {name for name, _, _ in before.overrides}
    for name, target, line in new.overrides:
        other = file.path.endswith("go.mod") and target.split(" ")[0] != name
        if (name, target) not in replaced and (other or re.search(r"github:|git\+|https?:|npm:", target)) and (name not in names or other):
            yield OVERRIDE.effect(
                subject=name, path=file.path, line=line, after=target, severity=Severity.MODERATE,
                message=f"Wherever {name} is asked for, {target} is used instead.",
            )  # fmt: skip
    if old is not None:
        yield from _left_behind(change, file, before, new)


_HARMLESS = re.compile(
    r"(?:(?:npx |pnpm |yarn |bunx )?(?:exec )?(?:husky|lefthook|simple-git-hooks|is-ci|patch-package|prisma generate|nuxt prepare|svelte-kit sync|only-allow|playwright install)\b[^&;|]*)\Z"
)


def _dependencies(file: FileChange, old: Manifest, new: Manifest) -> Iterator[Effect]:
    had: dict[str, Dependency] = {dependency.name: dependency for dependency in old.dependencies}
    for dependency in new.dependencies:
        was = had.get(dependency.name)
        if was is not None and (was.source, was.wanted, was.pinned) == (dependency.source, dependency.wanted, dependency.pinned):
            continue
        if dependency.source in ("git", "url") and (
            was is None
            or was.source != dependency.source
            or _place(was.wanted) != _place(dependency.wanted)
            or (was.pinned and not dependency.pinned)
        ):
            moving = "" if dependency.pinned else ", and what is there may change any day"
            yield SOURCE.effect(
                subject=dependency.name, path=file.path, line=dependency.line or None, before=was.wanted if was else None, after=_shown(dependency.wanted),
                severity=Severity.LOW if dependency.pinned and dependency.source == "git" else Severity.HIGH if dependency.wanted.startswith(("http:", "git:")) else None,
                message=f"{dependency.name} is installed from {_shown(dependency.wanted)} instead of a registry{moving}.",
            )  # fmt: skip
        elif was is not None and dependency.source == was.source == "registry":
            if was.pinned and not dependency.pinned:
                yield UNPINNED.effect(
                    subject=dependency.name,
                    path=file.path,
                    line=dependency.line or None,
                    before=was.wanted,
                    after=dependency.wanted or "any",
                    message=f"Any version of {dependency.name} is taken from now on.",
                )
            else:
                majors = _major(was.wanted), _major(dependency.wanted)
                if majors[0] is not None and majors[1] is not None and majors[1] < majors[0]:
                    yield BACK.effect(
                        subject=dependency.name,
                        path=file.path,
                        line=dependency.line or None,
                        before=was.wanted,
                        after=dependency.wanted,
                        message=f"{dependency.name} goes back from {was.wanted} to {dependency.wanted}; fixes made in between are lost.",
                    )


def _place(address: str) -> str:
    return re.split(r"[#@]", re.sub(r"^(?:git\+)?(?:\w+://)?(?:git@)?", "", address))[0].removesuffix(".git")


def _shown(address: str) -> str:
    """The address without a password in it."""
    return re.sub(r"//[^/@\s]+@", "//", address)[:120]


def _major(wanted: str) -> int | None:
    """The major version of a plain constraint (`^2.1`, `~=3.0`, `v1.2.3`, `==4`); None for ranges and anything else."""
    match = re.fullmatch(r"(?:\^|~|~=|==|=|>=|~>\s*)?\s*v?(\d{1,4})(?:\.[\w.*+-]*)?", wanted.strip())
    return int(match[1]) if match and int(match[1]) < 1900 else None


def _registries(file: FileChange, old: Manifest, new: Manifest) -> Iterator[Effect]:
    known = {address.rstrip("/") for _, address, _ in old.registries} | {f"{key}={value}" for key, value, _ in old.registries}
    for key, address, line in new.registries:
        if address.rstrip("/") in known or f"{key}={address}" in known or _PUBLIC.match(address):
            continue
        if key in _SAFE_SETTING or key in ("audit", "verify"):
            if address.strip("\"'").lower() == _SAFE_SETTING.get(key):
                yield REGISTRY.effect(
                    subject=key, path=file.path, line=line, after=address, message=f"Installing is less guarded: {key} is {address}."
                )
            continue
        if address.startswith(("${", "$")):
            continue
        insecure = address.startswith("http:")
        scoped = key.startswith(("@", "registries.", "//"))
        yield REGISTRY.effect(
            subject=key, path=file.path, line=line, after=_shown(address),
            severity=Severity.HIGH if insecure else Severity.LOW if scoped else None,
            message=f"Packages are fetched from {_shown(address)}{', unencrypted' if insecure else ''}; whoever runs it decides what is installed.",
        )  # fmt: skip


def _left_behind(change: Change, file: FileChange, old: Manifest, new: Manifest) -> Iterator[Effect]:
    folder, _, name = file.path.rpartition("/")
    asked = [{(d.name, d.wanted) for d in side.dependencies if d.source != "local"} for side in (old, new)]
    if asked[0] == asked[1] or not asked[1] - asked[0]:
        return
    here = change.after.list(folder)
    locks = [lock for lock, owner in _LOCKS.items() if owner == name and lock in here]
    prefix = f"{folder}/" if folder else ""
    if locks and not any(prefix + lock in change.by_path for lock in locks):
        missing = asked[1] - asked[0]
        if name == "go.mod":
            sums = (change.after.read(prefix + "go.sum") or b"").decode("utf-8", "replace")
            missing = {(module, wanted) for module, wanted in missing if f"{module} {wanted} " not in sums}
        added = sorted(name for name, _ in missing)
        if not added:
            return
        yield BEHIND.effect(
            subject=prefix + locks[0], path=file.path, after=", ".join(added[:5]),
            message=f"{locks[0]} does not record what this asks for ({', '.join(added[:5])}), so an installation resolves it anew.",
        )  # fmt: skip


DETECTOR = Detector("dependencies", "Where dependencies come from", RULES, detect, by_directory, sure=True)
