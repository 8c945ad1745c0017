"""Dockerfiles: who the container runs as, what it is built from, and what gets in on the way.

## What it detects
In the stage that is built by default: a user that was not root and now is; a base image that loses its digest, moves to a floating tag or
comes from another registry; scripts fetched and run in one step; files added from an address without a checksum; a HEALTHCHECK that is gone
or set to NONE; secrets in ARG or ENV; files made setuid or writable for all; checks of packages or certificates switched off.

## Why it matters
A container that runs as root is one flaw away from its host. A tag can be pointed at another image tomorrow, and a script fetched at build
time is whatever its server says that day.

## Example
`FROM node:22@sha256:…` becomes `FROM node:latest`, and `USER node` is gone.

## What makes it safe
A digest with an update bot; `USER` with a number; `RUN --mount=type=secret`; `ADD --checksum`; a pod security standard that refuses root.

## What it cannot see
The user that the base image itself sets; what build arguments are given at build time; images built with another `--target`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from checks.detectors.base import Detector, Rule, by_file, not_analysed, short
from checks.model import Change, Confidence, Effect, FileChange, Hazard, Reversible, Severity, Side, Unreadable
from checks.places import Place, place_of
from checks.readers import dockerfile
from checks.readers.dockerfile import Dockerfile, Instruction

ROOT = Rule("dockerfile/runs-as-root", Hazard.PRIVILEGE_WIDENED, Severity.MODERATE, Reversible.YES, "A container newly runs as root")
UNPINNED = Rule("dockerfile/image-unpinned", Hazard.SUPPLY_CHANGED, Severity.MODERATE, Reversible.YES, "A base image loses its pin")
REGISTRY = Rule(
    "dockerfile/image-source-changed", Hazard.SUPPLY_CHANGED, Severity.MODERATE, Reversible.YES, "A base image comes from elsewhere"
)
FETCHED = Rule(
    "dockerfile/fetched-code-runs", Hazard.SUPPLY_CHANGED, Severity.MODERATE, Reversible.PARTLY, "A build runs what it fetches, unchecked"
)
HEALTH = Rule(
    "dockerfile/healthcheck-removed", Hazard.PROTECTION_REMOVED, Severity.LOW, Reversible.YES, "A container's health is no longer checked"
)
SECRET = Rule("dockerfile/secret-in-image", Hazard.SECRET_EXPOSED, Severity.HIGH, Reversible.NO, "A secret is written into an image")
LOOSE = Rule(
    "dockerfile/files-loosened", Hazard.PRIVILEGE_WIDENED, Severity.LOW, Reversible.YES, "A file becomes setuid or writable for all"
)
UNVERIFIED = Rule(
    "dockerfile/verification-off", Hazard.SUPPLY_CHANGED, Severity.MODERATE, Reversible.YES, "A build stops verifying what it fetches"
)
RULES = (ROOT, UNPINNED, REGISTRY, FETCHED, HEALTH, SECRET, LOOSE, UNVERIFIED)

_RUNS = re.compile(
    r"\b(?:curl|wget)\b[^|;&\n]*(?:\\\n[^|;&\n]*)*\|\s*(?:sudo\s+(?:-\w+\s+)*)?(?:env\s+\S+\s+)?(?:ba|z|da|k)?sh\b|\b(?:ba|z)?sh\s+(?:-c\s+[\"']?\$\(|<\()\s*(?:curl|wget)\b"
)
_SETUID = re.compile(r"\bchmod\s+(?:-\w+\s+)*(?:[ug]*\+s|[2467]7?[0-7]{3}|[0-7]?777|a\+rwx|a\+w|o\+w)\b\s*(\S*)")
_OFF = re.compile(
    r"--allow-unauthenticated\b|--no-check-certificate\b|\bcurl\b[^|;&\n]*\s(?:-\w*k\w*|--insecure)\b|NODE_TLS_REJECT_UNAUTHORIZED[= ]\"?0|--trusted-host\b|--nogpgcheck\b|--no-gpg-checks\b|strict-ssl\s+false|sslVerify\s+false"
)
_SECRET_NAME = re.compile(
    r"(?:^|_)(?:PASSWORD|PASSWD|SECRET|TOKEN|API_?KEY|PRIVATE_?KEY|ACCESS_?KEY|SECRET_?KEY|CREDENTIALS?|CLIENT_SECRET)(?:$|_)",
    re.IGNORECASE,
)
_NO_SECRET = re.compile(r"(?:_FILE|_PATH|_URL|_URI|_NAME|_ID|_TTL|_LENGTH|_HEADER|_EXPIR\w*|_TYPE|_DIR|_LIMIT|_COUNT)$", re.IGNORECASE)
_PLACEHOLDER = re.compile(
    r"\A(?:|\$.*|changeme|placeholder|example|dummy|test|none|null|false|true|secret|password|xxx+|your[-_].*|<.*>|build[-_]?time.*|fake.*|mock.*|sk-?(?:test|fake|dummy|xxx).*|\d{1,4}|postgres|root|admin|unused|notused|na|n/a)\Z",
    re.IGNORECASE,
)


def detect(change: Change, files: Sequence[FileChange]) -> Iterator[Effect]:
    """What one Dockerfile's image may do, or is made of, that it was not before."""
    for file in files:
        if place_of(file.path) is not Place.DEPLOYED or file.new is None or not file.new.is_file:
            continue
        data = change.head_bytes(file)
        if data is None:
            continue
        try:
            before = change.base_bytes(file)
            old = dockerfile.read(before, file.base_path) if before is not None else None
        except Unreadable:
            old = None
        try:
            new = dockerfile.read(data, file.path)
        except Unreadable as unreadable:
            yield not_analysed(unreadable.path, unreadable.why, unreadable.line, severity=Severity.MODERATE)
            continue
        yield from _compared(old, new, file.path)


def _compared(old: Dockerfile | None, new: Dockerfile, path: str) -> Iterator[Effect]:
    if new.final is None:
        return
    if old is not None and old.final is not None:
        yield from _user(old, new, path)
        yield from _images(old, new, path)
        yield from _health(old, new, path)
    yield from _runs(old, new, path)
    yield from _secrets(old, new, path)


def _user_of(file: Dockerfile) -> tuple[str, int] | None:
    """The user of the final stage as set in this file, None where no stage it is built on sets one."""
    if file.final is None:
        return None
    for stage in file.chain(file.final):
        item = stage.last("USER")
        if item is not None:
            return item.text.split()[0] if item.text.split() else "", item.line
    return None


def _is_root(user: str) -> bool:
    return user.partition(":")[0] in ("root", "0", "ContainerAdministrator")


def _user(old: Dockerfile, new: Dockerfile, path: str) -> Iterator[Effect]:
    was, now = _user_of(old), _user_of(new)
    if was is None or _is_root(was[0]):
        return
    assert new.final is not None and old.final is not None
    if now is None:
        same = old.chain(old.final)[-1].base == new.chain(new.final)[-1].base
        yield ROOT.effect(
            subject=path, path=path, line=was[1], side=Side.BASE, before=f"USER {was[0]}", after="no USER", confidence=Confidence.LIKELY if same else Confidence.POSSIBLE,
            message=f"The container no longer runs as {was[0]} but as whatever user its base image sets, root unless it says otherwise.",
        )  # fmt: skip
    elif _is_root(now[0]):
        yield ROOT.effect(
            subject=path,
            path=path,
            line=now[1],
            before=f"USER {was[0]}",
            after=f"USER {now[0]}",
            message=f"The container runs as root instead of {was[0]}.",
        )


def _parts(image: str) -> tuple[str, str, str, str]:
    """Registry, repository, tag and digest of an image reference (docs.docker.com/reference/cli/docker/image/tag)."""
    name, _, digest = image.partition("@")
    head, _, rest = name.partition("/")
    registry = head if rest and ("." in head or ":" in head or head == "localhost") else "docker.io"
    remainder = rest if registry == head else name
    repository, _, tag = remainder.partition(":")
    return registry, repository.removeprefix("library/"), tag, digest


_FLOATING = frozenset({"", "latest", "stable", "main", "master", "edge", "nightly", "dev", "lts", "current", "rolling"})


def _images(old: Dockerfile, new: Dockerfile, path: str) -> Iterator[Effect]:
    """Base images compared by repository; a stage that is new is no change of a pin."""
    names = {stage.name for stage in (*old.stages, *new.stages) if stage.name}
    was = [(_parts(stage.base), stage) for stage in old.stages if stage.base.lower() not in names]
    unchanged = {stage.base for stage in old.stages}
    paired: set[str] = set()
    for stage in new.stages:
        if stage.base in unchanged or stage.base.lower() in names or stage.base in paired:
            continue
        registry, repository, tag, digest = _parts(stage.base)
        twins = [(parts, other) for parts, other in was if parts[1] == repository]
        if not twins:
            twins = [(parts, other) for parts, other in was if parts[1].rpartition("/")[2] == repository.rpartition("/")[2]]
        if not twins:
            continue
        paired.add(stage.base)
        parts, other = next((pair for pair in twins if pair[1].name == stage.name), twins[0])
        if parts[3] and not digest and "$" not in stage.base:
            yield UNPINNED.effect(
                subject=f"{path}: {repository}",
                path=path,
                line=stage.line,
                before=other.base,
                after=stage.base,
                message=f"The image {repository} is taken by tag instead of by digest: what the tag points at can change.",
            )
        elif parts[2] not in _FLOATING and tag in _FLOATING and not digest and "$" not in stage.base:
            yield UNPINNED.effect(
                subject=f"{path}: {repository}",
                path=path,
                line=stage.line,
                before=other.base,
                after=stage.base,
                severity=Severity.LOW,
                message=f"The image {repository} goes from a version to a tag that moves.",
            )
        if (parts[0], parts[1]) != (registry, repository) and "$" not in stage.base + other.base:
            yield REGISTRY.effect(
                subject=f"{path}: {repository} from {registry}",
                path=path,
                line=stage.line,
                before=other.base,
                after=stage.base,
                message=f"The image comes from {registry}/{repository} instead of {parts[0]}/{parts[1]}.",
            )


def _health(old: Dockerfile, new: Dockerfile, path: str) -> Iterator[Effect]:
    assert old.final is not None and new.final is not None
    was = next((item for stage in old.chain(old.final) if (item := stage.last("HEALTHCHECK"))), None)
    now = next((item for stage in new.chain(new.final) if (item := stage.last("HEALTHCHECK"))), None)
    if was is None or was.text.upper() == "NONE" or (now is not None and now.text.upper() != "NONE"):
        return
    yield HEALTH.effect(
        subject=path,
        path=path,
        line=now.line if now else was.line,
        side=Side.HEAD if now else Side.BASE,
        before=short(was.text, 80),
        after="none",
        message="Nothing checks any more whether the container still answers.",
    )


def _all(file: Dockerfile | None) -> tuple[Instruction, ...]:
    return tuple(item for stage in file.stages for item in stage.instructions) if file else ()


def _runs(old: Dockerfile | None, new: Dockerfile, path: str) -> Iterator[Effect]:
    """Patterns in RUN that no RUN of the base had; a new Dockerfile brings them at a lower severity."""
    known = {
        " ".join(match[0].split())
        for item in _all(old)
        if item.name in ("RUN", "ENV")
        for shape in (_RUNS, _SETUID, _OFF)
        for match in shape.finditer(item.text)
    }
    severity = Severity.LOW if old is None else None
    said: set[tuple[str, str]] = set()
    for item in _all(new):
        if item.name in ("RUN", "ENV"):
            for rule, shape, message in (
                (FETCHED, _RUNS, "The build runs a script straight from the network."),
                (LOOSE, _SETUID, "A file in the image becomes setuid, or writable for every user."),
                (UNVERIFIED, _OFF, "The build no longer verifies what it fetches."),
            ):
                for match in shape.finditer(item.text):
                    code = " ".join(match[0].split())
                    if code not in known and (rule.id, code) not in said and not (rule is FETCHED and item.name == "ENV"):
                        said.add((rule.id, code))
                        line = item.line + item.text.count("\n", 0, match.start())
                        yield rule.effect(
                            subject=short(f"{path}: {code}", 160),
                            path=path,
                            line=line,
                            after=short(code, 120),
                            severity=severity,
                            message=message,
                        )
        elif item.name == "ADD" and not any(flag.startswith("--checksum") for flag in item.flags):
            yield from _added(item, old, path, severity)


def _added(item: Instruction, old: Dockerfile | None, path: str, severity: Severity | None) -> Iterator[Effect]:
    known = {word for other in _all(old) if other.name == "ADD" for word in other.words}
    for word in item.words[:-1]:
        if word.startswith(("http://", "https://")) and word not in known:
            # An archive from an address is as unknown as a script, but nothing here runs it.
            yield FETCHED.effect(
                subject=short(f"{path}: {word}", 160),
                path=path,
                line=item.line,
                after=short(word, 120),
                severity=severity or Severity.LOW,
                message="The image takes in a file from the network without a checksum.",
            )


def _secrets(old: Dockerfile | None, new: Dockerfile, path: str) -> Iterator[Effect]:
    known = {key for item in (*(old.arguments if old else ()), *_all(old)) for key, _ in _assigned(item)}
    for item in (*new.arguments, *_all(new)):
        for key, value in _assigned(item):
            if key in known or not _SECRET_NAME.search(key) or _NO_SECRET.search(key):
                continue
            known.add(key)
            literal = value is not None and not _PLACEHOLDER.match(value)
            final = new.final is not None and any(item in stage.instructions for stage in new.chain(new.final))
            if literal:
                yield SECRET.effect(
                    subject=f"{path}: {key}",
                    path=path,
                    line=item.line,
                    after=f"{item.name} {key}",
                    message=f"The value of {key} stands in the Dockerfile, and in every image built from it.",
                )
            elif final and (item.name == "ENV" and value and "$" in value):
                yield SECRET.effect(
                    subject=f"{path}: {key}",
                    path=path,
                    line=item.line,
                    after=f"{item.name} {key}",
                    severity=Severity.MODERATE,
                    confidence=Confidence.LIKELY,
                    message=f"{key} is kept in the image: everyone who can pull it can read it.",
                )


def _assigned(item: Instruction) -> list[tuple[str, str | None]]:
    """The names and values that an ARG or ENV sets."""
    if item.name not in ("ARG", "ENV"):
        return []
    if item.name == "ENV" and "=" not in item.text.split(" ")[0]:
        key, _, value = item.text.partition(" ")
        return [(key, value.strip())]
    found = (
        re.findall(r"([A-Za-z_]\w*)(?:=(\"[^\"]*\"|'[^']*'|[^\s]*))?", item.text) if item.name == "ENV" else [item.text.partition("=")[::2]]
    )
    return [(key.strip(), value.strip().strip("\"'") if value else None) for key, value in found]


DETECTOR = Detector(name="dockerfile", title="Dockerfiles", rules=RULES, detect=detect, group=by_file, sure=True)
