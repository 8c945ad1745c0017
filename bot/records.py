"""Every verdict, stored with all it was made of before anyone sees it; and computed again from that, to compare."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from bot import codec
from bot.mirror.change import Range, change
from bot.mirror.objects import Objects
from bot.mirror.runner import GitError
from bot.report_json import as_json
from bot.store import Record, Store, Work
from checks.assess import ENGINE, assess, decide
from checks.evidence import Evidence
from checks.model import Assessment, Pull, Report
from checks.policy import Policy
from checks.risk import percentile

RECORD = ("id", "made", "repository", "pull", "base_ref", "head", "state", "score", "inputs", "report", "previous", "digest")


@dataclass(frozen=True, slots=True)
class Inputs:
    """All that a verdict follows from."""

    repository: str
    repository_id: int
    base: str
    merge_base: str
    head: str
    pull: Pull | None
    policy: Policy
    evidence: Evidence
    assessment: Assessment
    engine: str = ENGINE
    group: bool = False
    """Whether the head is the combined commit of a merge group, and the pull request the one it was made for."""


def append(store: Store, inputs: Inputs, report: Report, base_ref: str, made: float, work: Work | None) -> Record:
    """Store a verdict. Raises `LostLease` when another worker holds the work now."""
    body = codec.dump(inputs)
    text = json.dumps(as_json(report), sort_keys=True)

    def made_after(previous: str) -> Record:
        return Record(
            id=secrets.token_hex(8),
            made=made,
            repository=inputs.repository,
            pull=inputs.pull.number if inputs.pull and not inputs.group else None,
            base_ref=base_ref,
            head=inputs.head,
            state=report.verdict.state.value,
            score=report.assessment.risk.score,
            inputs=body,
            report=text,
            previous=previous,
            digest=_link(previous, codec.digest(body), codec.digest(text)),
        )

    return store.append_record(made_after, work)


def _link(previous: str, inputs: str, report: str) -> str:
    """The digest of a record, from the one before it and the digests of its two texts."""
    return codec.digest(codec.canonical({"previous": previous, "inputs": inputs, "report": report}))


def _digest_of(text: str) -> str:
    """The digest of a text, which stands in its place once it was forgotten."""
    return text if text.startswith("sha256:") else codec.digest(text)


@dataclass(frozen=True, slots=True)
class Replay:
    """A verdict computed again."""

    same: bool
    whole: bool
    """Whether the two trees were read again; otherwise only the decision was repeated, from the kept assessment."""
    recorded: str
    computed: str
    difference: tuple[str, ...]


def replay(record: Record, objects: Objects | None) -> Replay:
    """Compute a recorded verdict again from its stored inputs; with `objects`, from the trees up."""
    inputs = codec.load(Inputs, record.inputs)
    assessment, whole = inputs.assessment, False
    if objects is not None:
        try:
            again = change(objects, Range(inputs.base, inputs.merge_base, inputs.head), inputs.repository, inputs.pull)
            assessment, whole = assess(again, inputs.policy), True
        except GitError:
            whole = False
    report = decide(assessment, inputs.evidence, inputs.policy, inputs.engine)
    then, now = json.loads(record.report), as_json(report)
    then["gate"] = now["gate"] = []
    then.setdefault("exceptions", [])
    for values in (then, now):
        values["analysis"].pop("milliseconds")
        values["risk"].pop("percentile", None)
    difference = tuple(f"{key} differs" for key in now if then.get(key) != now[key])
    return Replay(not difference, whole, codec.digest(codec.canonical(then)), codec.digest(codec.canonical(now)), difference)


def verify(store: Store) -> list[str]:
    """What is wrong with the chain of records: empty when every one is as it was written."""
    wrong: list[str] = []
    previous = ""
    for record in store.every_record():
        expected = _link(record.previous, _digest_of(record.inputs), _digest_of(record.report))
        if record.digest != expected:
            wrong.append(f"record {record.id} was changed after it was written")
        if record.previous != previous:
            wrong.append(f"a record before {record.id} is missing or was put in")
        previous = record.digest
    return wrong


def exported(store: Store) -> Iterator[str]:
    """Every record as one line of JSON, in the order they were made; one past its retention holds digests in place of its texts."""
    for record in store.every_record():
        values = {name: getattr(record, name) for name in RECORD}
        for name in ("inputs", "report"):
            values[name] = json.loads(values[name]) if values[name].startswith("{") else values[name]
        yield json.dumps(values, sort_keys=True, ensure_ascii=False)


def with_gate(report: Report, gate: tuple[str, ...]) -> Report:
    """The report with what is known of the gate's own enforcement."""
    return replace(report, gate=gate)


def with_percentile(report: Report, scores: Sequence[int]) -> Report:
    """The report with where its score lies among the scores of the repository's past; the report itself where there is none."""
    risk = report.assessment.risk
    return (
        replace(report, assessment=replace(report.assessment, risk=replace(risk, percentile=percentile(risk.score, scores))))
        if scores
        else report
    )
