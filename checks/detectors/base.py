"""What a detector is, and how a crash in one becomes an effect instead of a silence.

A detector is one module of this package with a docstring under five headings (its page), `RULES` and one `DETECTOR`.
The register in `checks.detectors` names the paths that wake it, so that a module is imported only when a change needs it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass

from checks.model import (
    NOT_READ,
    Change,
    Confidence,
    Effect,
    Environment,
    FileChange,
    Hazard,
    Question,
    Reversible,
    Severity,
    Side,
    Unreadable,
)

HEADINGS = ("What it detects", "Why it matters", "Example", "What makes it safe", "What it cannot see")
"""The headings of every detector's docstring, in this order."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One kind of effect a detector can report."""

    id: str
    """`<detector>/<what happens>`, kebab-case: `terraform/resource-destroyed`."""
    hazard: Hazard
    severity: Severity
    """Where nothing else is known; a detector may give another for an effect, the spine steps it by environment."""
    reversible: Reversible
    title: str
    """What happens, as a short phrase: "A resource is destroyed"."""
    question: Question | None = None
    confidence: Confidence = Confidence.CERTAIN

    def effect(
        self,
        *,
        subject: str,
        path: str,
        message: str,
        line: int | None = None,
        side: Side = Side.HEAD,
        before: str | None = None,
        after: str | None = None,
        severity: Severity | None = None,
        confidence: Confidence | None = None,
        reversible: Reversible | None = None,
        hazard: Hazard | None = None,
        environment: Environment | None = None,
        keeps: str | None = None,
        facts: tuple[tuple[str, str], ...] = (),
    ) -> Effect:
        """An effect of this rule; what is not given is the rule's own."""
        return Effect(
            rule=self.id,
            hazard=hazard or self.hazard,
            severity=severity or self.severity,
            confidence=confidence or self.confidence,
            reversible=reversible or self.reversible,
            subject=short(subject, 300),
            path=path,
            line=line,
            side=side,
            message=short(message, 600),
            environment=environment,
            before=None if before is None else short(before),
            after=None if after is None else short(after),
            question=self.question,
            keeps=keeps,
            facts=facts,
        )


def short(text: str, limit: int = 200) -> str:
    """`text` on one line, cut to `limit` characters; bytes that were no text, and controls, stand as escapes."""
    line = " ".join(text.split())
    if not line.isprintable():
        line = "".join(char if char.isprintable() else char.encode("unicode_escape", "backslashreplace").decode() for char in line)
    return line if len(line) <= limit else line[: limit - 1] + "…"


NOT_ANALYSED = Rule(
    "engine/not-analysed",
    Hazard.NOT_ANALYSED,
    Severity.HIGH,
    Reversible.YES,
    "Something could not be analysed",
    confidence=Confidence.CERTAIN,
)
DETECTOR_FAILED = Rule("engine/detector-failed", Hazard.NOT_ANALYSED, Severity.HIGH, Reversible.YES, "A detector failed on this input")


def not_analysed(path: str, why: str, line: int | None = None, side: Side = Side.HEAD, severity: Severity | None = None) -> Effect:
    """The effect of something that cannot be judged: never "no effect"."""
    return NOT_ANALYSED.effect(
        subject=path, path=path, line=line, side=side, severity=severity, after=why, message=f"Could not be analysed: {why}."
    )


Detect = Callable[[Change, Sequence[FileChange]], Iterable[Effect]]
Group = Callable[[FileChange], str]


def by_file(file: FileChange) -> str:
    """Each file alone."""
    return file.path


def by_directory(file: FileChange) -> str:
    """All files of a directory together."""
    return file.path.rpartition("/")[0]


def together(file: FileChange) -> str:
    """All files at once."""
    return ""


@dataclass(frozen=True, slots=True)
class Detector:
    """Derives effects from the two states of the files it is woken for."""

    name: str
    """The module's name in kebab-case; the part of its rules' ids before the slash."""
    title: str
    rules: tuple[Rule, ...]
    detect: Detect
    """Called once per group with the changed files of that group. It reads both states through the change's trees."""
    group: Group = by_file
    sure: bool | re.Pattern[bytes] = False
    """Whether the names that wake it, or these words in a file, leave no doubt that it is its business, so that one which cannot be read is told."""
    version: int = 1
    """Raised when the same input gives other effects, so that kept results are not reused."""


class Watch:
    """Is told of each group of files before a detector takes it, and may refuse. This one never does."""

    def refuses(self, detector: str, members: Sequence[FileChange]) -> str | None:
        """Why this detector must not take these files; None to go on."""
        return None


FREE = Watch()


def run(detector: Detector, change: Change, files: Sequence[FileChange], watch: Watch = FREE) -> Iterator[Effect]:
    """All effects of one detector. What it cannot read, where it crashes and what is refused is an effect; the other groups go on."""
    groups: dict[str, list[FileChange]] = {}
    for file in files:
        groups.setdefault(detector.group(file), []).append(file)
    for members in groups.values():
        refusal = watch.refuses(detector.name, members)
        if refusal is not None:
            yield not_analysed(
                members[0].path, refusal if len(members) == 1 else f"{refusal}, in {detector.name} with {len(members)} files"
            )
            continue
        unread: list[Unreadable] = []
        token = NOT_READ.set(unread)
        told: set[str] = set()
        found: list[Effect] = []
        try:
            found = list(detector.detect(change, members))
            told = {effect.path for effect in found if effect.rule == NOT_ANALYSED.id}
            yield from found
        except Unreadable as unreadable:
            told = {unreadable.path}
            yield not_analysed(unreadable.path, unreadable.why, unreadable.line)
        except (Exception, RecursionError, MemoryError) as error:  # noqa: BLE001 - a crash must become an effect, whatever it is
            yield DETECTOR_FAILED.effect(
                subject=detector.name,
                path=members[0].path,
                after=type(error).__name__,
                message=f"The detector {detector.name} failed with {type(error).__name__} on this file and {len(members) - 1} more; what it would have said is unknown.",
            )
        finally:
            NOT_READ.reset(token)
        spoken = {effect.path for effect in found}
        yield from (effect for effect in _unread(change, members, unread, detector.sure, spoken) if effect.path not in told)


def _unread(
    change: Change, members: Sequence[FileChange], unread: Sequence[Unreadable], known: bool | re.Pattern[bytes], spoken: Collection[str]
) -> Iterator[Effect]:
    """Changed files that could not be read, whatever the detector made of it.

    Always told: at head, and at base not, where one of our own bounds was met. Where a file is `known` to matter every reason is told, and
    mildly also what could be read at base neither and is not the same now, and what can be read again, so that nobody knows what it was.
    """
    if not unread:
        return
    for file in members:
        try:
            base, head = change.base_bytes(file), change.head_bytes(file)
        except Unreadable:
            continue
        here = next((one for one in unread if head is not None and one.path == file.path and one.data == head), None)
        there = next((one for one in unread if base is not None and one.path == file.base_path and one.data == base), None)
        sure = known if isinstance(known, bool) else known.search(head or b"") is not None or known.search(base or b"") is not None
        if here is not None and there is None:
            if here.ours or sure:
                yield not_analysed(file.path, here.why, here.line)
        elif not sure or there is None:
            continue
        elif here is not None:
            if _said(base or b"") != _said(head or b""):
                yield not_analysed(file.path, f"{here.why}, as before; what changed in it is not known", here.line, severity=Severity.LOW)
        elif file.path not in spoken:
            yield not_analysed(
                file.path, f"it could not be read before, so what changed is not known: {there.why}", there.line, Side.BASE, Severity.LOW
            )


def _said(data: bytes) -> list[bytes]:
    """The words of a text outside of lines that are comments in nearly every language."""
    return [word for line in data.split(b"\n") if not line.lstrip().startswith((b"#", b"//")) for word in line.split()]
