"""What the jobs of GitHub workflows can reach: secrets, environments, machines

## What it detects
A secret that reaches a job, or a third-party action in it, that it did not reach before; all secrets handed on (`secrets: inherit`,
`toJSON(secrets)`); the `environment` of a job that deploys dropped, and with it the reviewers, waiting time and branch rules that stand on
it; a job that moves from a hosted machine to a self-hosted one; a container that becomes privileged.

## Why it matters
Whatever runs in a job can send its secrets away, and a secret once read is gone for good. A protected environment is often the only thing
between a merge and production. A self-hosted or privileged machine keeps what a job left there for the next one.

## Example
```yaml
deploy:
  environment: production   # base; gone at head
```

## What makes it safe
Hand a job only the secrets it names, keep them in an environment with protection rules, pin the actions that receive them to a commit, and use machines that live for one job.

## What it cannot see
What an environment demands (its rules live in the repository's settings), which secrets exist, and what a called workflow in another
repository does with what it is given. GitHub's own token is not counted as a secret here.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from checks.access.checks import ships
from checks.access.workflows import (
    ALL,
    PRIVILEGED,
    STRANGERS,
    both_sides,
    deploys,
    environment_fact,
    gates,
    job_secrets,
    secrets_in,
    texts_of_step,
)
from checks.detectors.base import Detector, Rule, together
from checks.model import Change, Confidence, Effect, Environment, FileChange, Hazard, Reversible, Severity
from checks.places import environment_of
from checks.readers.workflow import Both, Job, Pair, Step, Workflow

REACHES = Rule(
    "workflow-secrets/secret-reaches-job",
    Hazard.SECRET_EXPOSED,
    Severity.MODERATE,
    Reversible.NO,
    "A secret reaches a job that did not have it",
)
TO_ACTION = Rule(
    "workflow-secrets/secret-given-to-action",
    Hazard.SECRET_EXPOSED,
    Severity.MODERATE,
    Reversible.NO,
    "A secret is given to a third-party action",
)
EVERY = Rule("workflow-secrets/all-secrets-handed-on", Hazard.SECRET_EXPOSED, Severity.HIGH, Reversible.NO, "All secrets are handed on")
ENVIRONMENT = Rule(
    "workflow-secrets/environment-dropped",
    Hazard.PROTECTION_REMOVED,
    Severity.HIGH,
    Reversible.YES,
    "A deploying job leaves its environment",
    confidence=Confidence.LIKELY,
)
RUNNER = Rule(
    "workflow-secrets/runs-on-own-machine",
    Hazard.PIPELINE_WIDENED,
    Severity.MODERATE,
    Reversible.PARTLY,
    "A job moves to a self-hosted machine",
)
CONTAINER = Rule(
    "workflow-secrets/container-privileged",
    Hazard.PIPELINE_WIDENED,
    Severity.HIGH,
    Reversible.PARTLY,
    "A job's container becomes privileged",
)
RULES = (REACHES, TO_ACTION, EVERY, ENVIRONMENT, RUNNER, CONTAINER)


def detect(change: Change, files: Sequence[FileChange]) -> Iterable[Effect]:
    """Effects of every changed workflow."""
    sides, unread = both_sides(change, files)
    yield from unread
    moved = _lost(sides)
    for both in sides:
        if both.after is None or both.after.action:
            continue
        yield from _reached(both, both.after, moved)
        yield from _everything(both, both.after)
        yield from _environments(both)
        yield from _machines(both, both.after)
        yield from _containers(both)


# Secrets


def _of(file: Workflow | None, job: Job | None) -> frozenset[str]:
    return job_secrets(file, job) if file is not None and job is not None else frozenset()


def _lost(sides: Sequence[Both]) -> Counter[str]:
    """Secrets that some job no longer gets: one that gains the same was moved, not exposed."""
    lost: Counter[str] = Counter()
    for both in sides:
        for pair in both.jobs:
            lost.update(_of(pair.before, pair.old) - _of(pair.after, pair.new))
    return lost


def _reached(both: Both, after: Workflow, moved: Counter[str]) -> Iterator[Effect]:
    held = frozenset(name for pair in both.jobs for name in _of(pair.before, pair.old))
    gained: list[tuple[Pair, frozenset[str]]] = []
    for pair in both.jobs:
        if pair.new is None:
            continue
        old = _of(pair.before, pair.old)
        fresh = _of(after, pair.new) - old - {ALL}
        if ALL in old:
            fresh = frozenset()
        new = frozenset(name for name in fresh if moved[name] <= 0)
        moved.subtract(fresh)
        if new:
            gained.append((pair, new))
        else:
            yield from _given(both, pair)
    if not gained:
        return
    if both.before is None:
        yield _told(both, after, [pair for pair, _ in gained], frozenset(name for _, names in gained for name in names), held)
        return
    together: dict[frozenset[str], list[Pair]] = {}
    for pair, names in gained:
        together.setdefault(names, []).append(pair)
    for names, jobs in together.items():
        yield _told(both, after, jobs, names, held)


def _told(both: Both, after: Workflow, pairs: Sequence[Pair], names: frozenset[str], held: frozenset[str]) -> Effect:
    jobs = [pair.new for pair in pairs if pair.new is not None]
    ids = ", ".join(job.id for job in jobs[:5]) + (f" and {len(jobs) - 5} more" if len(jobs) > 5 else "")
    foreign = sorted({step.action for job in jobs for step in job.steps if third_party(step.uses) and _secrets_of(step) & names})
    dropped = sorted(frozenset(name for pair in pairs for name in _of(pair.before, pair.old) - _of(after, pair.new)))
    exposed = after.events & PRIVILEGED and not all(gates(job.condition) or job.environment for job in jobs)
    known = names <= held or (len(dropped) >= len(names) and not exposed)
    plain = all(_IDENTIFIES.search(name) and not _OPENS.search(name) for name in names)
    severity = Severity.LOW if known or plain else Severity.HIGH if exposed else Severity.MODERATE
    listed = ", ".join(sorted(names)[:6]) + (" and more" if len(names) > 6 else "")
    whom = f", and {_given_to(foreign[:3])} given {'it' if len(names) == 1 else 'some of them'}" if foreign else ""
    return REACHES.effect(
        subject=f"job {ids}",
        path=both.path,
        line=_line(after, jobs, names),
        before=", ".join(dropped[:6]) or None,
        after=listed,
        severity=severity,
        message=f"{'The secret' if len(names) == 1 else 'The secrets'} {listed} now {'reaches' if len(names) == 1 else 'reach'} the job{'s' if len(jobs) > 1 else ''} {ids}{whom}.",
        facts=environment_fact(jobs),
    )


_IDENTIFIES = re.compile(
    r"(?:^|_)(?:PROJECT|ORG|ORGANI[SZ]ATION|TEAM|TENANT|ACCOUNT|SUBSCRIPTION|CLIENT|APP|APPLICATION|POOL|DISTRIBUTION|ZONE|ROLE)_?(?:ID|IDS|NAME|NUMBER|ARN|SLUG)$"
    r"|(?:^|_)(?:REGION|LOCATION|BUCKET|CLUSTER|NAMESPACE|ENVIRONMENT|HOST|HOSTNAME|DOMAIN|ENDPOINT|REGISTRY|REPOSITORY|USERNAME|USER|EMAIL|ARN|PORT)$"
    r"|(?:^|_)(?:API|BASE|SERVER|SITE|APP|INSTANCE|SERVICE)_?URL$|(?:^|_)WORKLOAD_IDENTITY_PROVIDER$"
)
"""Names of what says where or who and lets nobody in: ids, places, user names, plain addresses."""
_OPENS = re.compile(r"KEY|TOKEN|SECRET|PASS|PWD|CRED|CERT|PRIVATE|WEBHOOK|JSON|DSN|SIGN|AUTH_|_AUTH$")


def _given_to(actions: Sequence[str]) -> str:
    return f"the action{'s' if len(actions) > 1 else ''} {', '.join(actions)} {'are' if len(actions) > 1 else 'is'}"


def _line(file: Workflow, jobs: Sequence[Job], names: frozenset[str]) -> int:
    for job in jobs:
        for step in job.steps:
            if _secrets_of(step) & names:
                return next((line for name, line in step.with_lines if secrets_in(dict(step.with_).get(name, "")) & names), step.line)
        if any(secrets_in(text) & names for _, text in job.secrets):
            return job.secrets_line
    return jobs[0].line if jobs else 1


def _secrets_of(step: Step) -> frozenset[str]:
    return frozenset(name for text in texts_of_step(step) for name in secrets_in(text))


def _given(both: Both, pair: Pair) -> Iterator[Effect]:
    """A secret that the job had, but not this action."""
    if pair.old is None or pair.new is None:
        return
    had = {(step.action, name) for step in pair.old.steps if step.uses for name in _secrets_of(step)}
    actions = {step.action for step in pair.old.steps if step.uses and _secrets_of(step)}
    for step in pair.new.steps:
        if not third_party(step.uses):
            continue
        new = sorted(name for name in _secrets_of(step) if (step.action, name) not in had)
        if new:
            yield TO_ACTION.effect(
                subject=f"{step.action} in job {pair.new.id}",
                path=both.path,
                line=step.line,
                after=", ".join(new),
                severity=Severity.LOW if step.action in actions else None,
                message=f"The secret{'s' if len(new) > 1 else ''} {', '.join(new)} {'are' if len(new) > 1 else 'is'} now given to the third-party action {step.action}.",
                facts=environment_fact([pair.new]),
            )


def third_party(uses: str) -> bool:
    """Whether an action comes from somebody who is neither this repository nor GitHub."""
    return bool(uses) and not uses.startswith(("./", "../", "$/", "actions/", "github/", "docker://")) and "/" in uses


def _everything(both: Both, after: Workflow) -> Iterator[Effect]:
    inherited = any(pair.old is not None and pair.old.inherits for pair in both.jobs)
    given = {_called(pair.old) for pair in both.jobs if pair.old is not None and pair.old.inherits}
    for pair in both.jobs:
        if pair.new is None:
            continue
        if pair.new.inherits and _called(pair.new) in given:
            continue  # the called workflow got everything before, through this job or one of another name
        if pair.new.inherits:
            foreign = not pair.new.uses.startswith(("./", "$/"))
            severity = Severity.HIGH if foreign else Severity.LOW if inherited else Severity.MODERATE
            yield EVERY.effect(
                subject=f"job {pair.new.id}",
                path=both.path,
                line=pair.new.secrets_line,
                after=f"inherit → {pair.new.uses}",
                severity=severity,
                message=f"The workflow {pair.new.uses.partition('@')[0]} now gets every secret there is through the job {pair.new.id}.",
                facts=environment_fact([pair.new]),
            )
        else:
            bag = _whole(pair.new)
            if bag is not None and not (pair.old and _whole(pair.old)):
                yield EVERY.effect(
                    subject=f"job {pair.new.id}",
                    path=both.path,
                    line=bag,
                    after="all secrets",
                    message=f"Every secret there is now reaches a step of the job {pair.new.id}.",
                    facts=environment_fact([pair.new]),
                )


def _called(job: Job) -> str:
    return job.uses.partition("@")[0]


def _whole(job: Job) -> int | None:
    return next((step.line for step in job.steps if ALL in _secrets_of(step)), None)


# Environments


def _environments(both: Both) -> Iterator[Effect]:
    for pair in both.jobs:
        old, new = pair.old, pair.new
        if old is None or new is None or not old.environment or old.environment == new.environment or (new.uses and not old.uses):
            continue
        if not new.environment and not ships(new) and any(_takes_over(other, old, new) for other in both.jobs):
            continue
        was, now = environment_of(old.environment), environment_of(new.environment)
        if new.environment and ("${{" in old.environment + new.environment or was is not Environment.PRODUCTION or now is was):
            continue
        production = was is Environment.PRODUCTION
        renamed = bool(new.environment)
        yield ENVIRONMENT.effect(
            subject=f"job {new.id}",
            path=both.path,
            line=new.environment_line if renamed else new.line,
            before=old.environment,
            after=new.environment or "no environment",
            severity=Severity.MODERATE
            if renamed
            else Severity.CRITICAL
            if production and deploys(new)
            else Severity.HIGH
            if deploys(new)
            else Severity.MODERATE,
            message=f"The job {new.id} no longer runs in the environment {old.environment}, so its reviewers, waiting time and branch rules no longer hold it back.",
        )


def _takes_over(other: Pair, old: Job, new: Job) -> bool:
    """Whether a job that is new waits for what became of the old one and runs in its environment: the job was cut in two."""
    return (
        other.old is None
        and other.new is not None
        and other.new.environment == old.environment
        and (new.id in other.new.needs or ships(other.new))
    )


# Machines

_HOSTED = re.compile(r"ubuntu|windows|macos|linux|\$\{\{|arm|x64|blacksmith|depot|namespace|warp|buildjet|runs-on=", re.I)


def _own_machine(job: Job) -> str | None:
    if "self-hosted" in job.runs_on:
        return ", ".join(job.runs_on)
    if job.group:
        return f"group {job.group}"
    if len(job.runs_on) == 1 and not _HOSTED.search(job.runs_on[0]):
        return job.runs_on[0]
    return None


def _machines(both: Both, after: Workflow) -> Iterator[Effect]:
    before = {machine for pair in both.jobs if pair.old is not None and (machine := _own_machine(pair.old))}
    for pair in both.jobs:
        if pair.new is None or (machine := _own_machine(pair.new)) is None:
            continue
        if (
            (pair.old is not None and _own_machine(pair.old))
            or machine in before
            or (pair.old is not None and not pair.old.runs_on and not pair.old.group)
        ):
            continue
        strangers = bool(after.events & STRANGERS)
        if pair.old is None and not strangers:
            continue
        before.add(machine)
        yield RUNNER.effect(
            subject=f"job {pair.new.id}",
            path=both.path,
            line=pair.new.runs_on_line,
            before=", ".join(pair.old.runs_on) if pair.old else None,
            after=machine,
            severity=Severity.HIGH if strangers and "self-hosted" in pair.new.runs_on else None,
            confidence=Confidence.CERTAIN if "self-hosted" in pair.new.runs_on else Confidence.LIKELY,
            message=f"The job {pair.new.id} now runs on the repository's own machine ({machine}){', also for pull requests from outside' if strangers else ''}.",
        )


_POWERS = re.compile(
    r"--privileged\b|--cap-add\b|--pid[= ]host|--network[= ]host|--userns[= ]host|docker\.sock|--device\b|apparmor[=:]unconfined|seccomp[=:]unconfined"
)


def _powers(job: Job) -> dict[str, int]:
    found: dict[str, int] = {}
    for box in job.containers:
        for text in (box.options, *box.volumes):
            for match in _POWERS.finditer(text):
                found.setdefault(match.group(), box.line)
    return found


def _containers(both: Both) -> Iterator[Effect]:
    held = {power for pair in both.jobs if pair.old is not None for power in _powers(pair.old)}
    for pair in both.jobs:
        if pair.new is None:
            continue
        old = _powers(pair.old) if pair.old is not None else held
        new = {power: line for power, line in _powers(pair.new).items() if power not in old}
        if new:
            yield CONTAINER.effect(
                subject=f"job {pair.new.id}",
                path=both.path,
                line=min(new.values()),
                after=", ".join(new),
                severity=Severity.MODERATE if set(new) <= {"--cap-add", "--network host", "--network=host", "--device"} else None,
                message=f"A container of the job {pair.new.id} now runs with {', '.join(new)}, so that what runs in it can take over the machine.",
            )


DETECTOR = Detector(
    name="workflow-secrets",
    title="What the jobs of GitHub workflows can reach: secrets, environments, machines",
    rules=RULES,
    detect=detect,
    group=together,
    sure=True,
)
