"""GitHub workflows and actions as typed values with lines.

Source: docs.github.com/actions/reference/workflows-and-actions/{workflow-syntax,metadata-syntax}. Nothing is evaluated: an expression stays text.
"""

from __future__ import annotations

import hashlib
import posixpath
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from checks.model import Unreadable
from checks.readers.documents import Node, frozen, one_yaml

JOBS = 500
"""Jobs of one workflow that are read."""
STEPS = 5_000
"""Steps of one workflow that are read."""

Pairs = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Trigger:
    """One event that starts a workflow, with its filters."""

    name: str
    line: int
    filters: tuple[tuple[str, tuple[str, ...]], ...] = ()
    """`branches`, `paths-ignore`, `types`, `workflows`, `cron` and so on, as written."""

    def filter(self, name: str) -> tuple[str, ...] | None:
        """The values of a filter, None where it is not given."""
        return next((values for key, values in self.filters if key == name), None)


@dataclass(frozen=True, slots=True)
class Input:
    """One input of a dispatch, a reusable workflow or an action."""

    name: str
    kind: str
    """`string`, `choice`, `boolean`, `number`, `environment`; `string` where nothing is said."""
    line: int
    default: str = ""
    """What an action's input is where the caller says nothing."""


@dataclass(frozen=True, slots=True)
class Permissions:
    """A `permissions:` block as written."""

    line: int
    scopes: Pairs = ()
    whole: str | None = None
    """`read-all` or `write-all`."""
    known: bool = True
    """False where it is neither a map nor one of the two words."""


@dataclass(frozen=True, slots=True)
class Container:
    """An image that a job or a step runs in or beside."""

    image: str
    line: int
    options: str = ""
    volumes: tuple[str, ...] = ()
    label: str = "container"
    texts: Pairs = ()
    """Environment and credentials: (name, text)."""


@dataclass(frozen=True, slots=True)
class Step:
    """One step."""

    line: int
    index: int
    id: str = ""
    name: str = ""
    uses: str = ""
    uses_line: int = 0
    run: str = ""
    run_line: int = 0
    """The line on which the script's first line stands."""
    shell: str = ""
    condition: str = ""
    condition_line: int = 0
    soft: str = ""
    """`continue-on-error` as written."""
    soft_line: int = 0
    with_: Pairs = ()
    with_lines: tuple[tuple[str, int], ...] = ()
    env: Pairs = ()
    directory: str = ""
    body: str = ""
    """A digest of all that the step does: not its name, id or lines."""

    def input(self, name: str) -> str | None:
        """The text given to an input of the action, the name's case ignored."""
        return next((text for key, text in self.with_ if key.lower() == name), None)

    def input_line(self, name: str) -> int:
        """The line of an input of the action."""
        return next((line for key, line in self.with_lines if key.lower() == name), self.line)

    @property
    def action(self) -> str:
        """The action without its ref: `actions/checkout`."""
        name = self.uses.partition("@")[0].lower()
        return posixpath.normpath(name) if "//" in name or "/." in name or name.endswith("/") else name

    @property
    def label(self) -> str:
        """How a person knows this step."""
        return self.name or self.id or self.uses or (self.run.strip().splitlines() or [f"step {self.index + 1}"])[0][:60]


@dataclass(frozen=True, slots=True)
class Job:
    """One job."""

    id: str
    line: int
    name: str = ""
    needs: tuple[str, ...] = ()
    needs_line: int = 0
    condition: str = ""
    condition_line: int = 0
    environment: str = ""
    environment_line: int = 0
    runs_on: tuple[str, ...] = ()
    runs_on_line: int = 0
    group: str = ""
    containers: tuple[Container, ...] = ()
    permissions: Permissions | None = None
    soft: str = ""
    soft_line: int = 0
    matrix: tuple[tuple[str, tuple[str, ...]], ...] = ()
    matrix_line: int = 0
    matrix_dynamic: bool = False
    env: Pairs = ()
    uses: str = ""
    uses_line: int = 0
    with_: Pairs = ()
    secrets: Pairs = ()
    inherits: bool = False
    """`secrets: inherit`."""
    secrets_line: int = 0
    cancels: bool = False
    """`concurrency.cancel-in-progress: true` of its own."""
    steps: tuple[Step, ...] = ()
    outputs: Pairs = ()
    body: str = ""
    """A digest of what the job does: not its id, name, needs, permissions or lines."""

    @property
    def label(self) -> str:
        """The name of its check, with the matrix left out."""
        return self.name or self.id

    @property
    def contexts(self) -> tuple[str, ...]:
        """The names of the checks it reports, as far as the file itself says: one for each leg of a literal matrix."""
        legs = [""]
        if not self.matrix_dynamic and "${{" not in self.name:
            for _, values in self.matrix:
                legs = [f"{leg}, {value}" if leg else value for leg in legs for value in values][:64]
        return tuple(f"{self.label} ({leg})" if leg else self.label for leg in legs)


@dataclass(frozen=True, slots=True)
class Workflow:
    """A workflow, or an action (then it has one job, whose id is empty)."""

    path: str
    name: str = ""
    action: bool = False
    triggers: tuple[Trigger, ...] = ()
    triggers_line: int = 1
    inputs: tuple[Input, ...] = ()
    permissions: Permissions | None = None
    env: Pairs = ()
    jobs: tuple[Job, ...] = ()
    cancels: bool = False
    shell: str = ""

    def trigger(self, name: str) -> Trigger | None:
        """The trigger `name`, None where there is none."""
        return next((trigger for trigger in self.triggers if trigger.name == name), None)

    def job(self, job_id: str) -> Job | None:
        """The job with this id."""
        return next((job for job in self.jobs if job.id == job_id), None)

    @property
    def events(self) -> frozenset[str]:
        """The names of its triggers."""
        return frozenset(trigger.name for trigger in self.triggers)

    @property
    def only_called(self) -> bool:
        """Whether only other workflows start it: then its token is at most the caller's."""
        return self.action or self.events == {"workflow_call"}


def is_workflow(path: str) -> bool:
    """Whether GitHub runs the file as a workflow: directly below `.github/workflows`."""
    folder, _, name = path.rpartition("/")
    return folder == ".github/workflows" and name.endswith((".yml", ".yaml"))


def is_action(path: str) -> bool:
    """Whether the file is an action's metadata."""
    return path.rpartition("/")[2] in ("action.yml", "action.yaml")


@lru_cache(maxsize=512)
def workflow(data: bytes, path: str) -> Workflow | None:
    """The workflow or action in `data`; None for an empty file or one that is neither. Raises `Unreadable`."""
    root = one_yaml(data, path)
    if root is None:
        return None
    if not root.is_map:
        raise Unreadable(path, "it is not a map, so not a workflow", root.line)
    if is_action(path):
        return _action(root, path)
    jobs = root.get("jobs")
    if jobs is None or not jobs.is_map:
        raise Unreadable(path, "it has no jobs", root.line)
    if len(jobs.pairs or ()) > JOBS:
        raise Unreadable(path, f"it has more than {JOBS} jobs", jobs.line)
    on = root.get("on")
    return Workflow(
        path=path,
        name=root.string("name") or "",
        triggers=tuple(_triggers(on)),
        triggers_line=root.key_line("on"),
        inputs=tuple(_inputs(on)),
        permissions=_permissions(root),
        env=_pairs(root.get("env")),
        jobs=_jobs(root, jobs, path),
        cancels=_cancels(root),
        shell=_text(root.get("defaults", "run", "shell")),
    )


def _action(root: Node, path: str) -> Workflow:
    runs = root.get("runs")
    steps = runs.get("steps") if runs else None
    image = _text(runs.get("image")) if runs else ""
    job = Job(
        id="",
        line=runs.line if runs else root.line,
        name=_text(root.get("name")),
        steps=_steps(steps, path),
        env=_pairs(runs.get("env")) if runs else (),
        containers=(Container(image, runs.key_line("image"), label="image"),) if runs and image else (),
        body=digest(runs),
    )
    given = root.get("inputs")
    inputs = tuple(Input(name, "string", node.line, _text(node.get("default"))) for name, node in given.entries()) if given else ()
    return Workflow(path=path, name=_text(root.get("name")), action=True, inputs=inputs, jobs=(job,))


def _jobs(root: Node, jobs: Node, path: str) -> tuple[Job, ...]:
    out = []
    count = 0
    for key, node in jobs.pairs or ():
        job = _job(key.text or "", key.line, node, path)
        count += len(job.steps)
        if count > STEPS:
            raise Unreadable(path, f"it has more than {STEPS:,} steps", key.line)
        out.append(job)
    return tuple(out)


_NOT_BODY = frozenset({"name", "needs", "permissions", "id"})


def _job(job_id: str, line: int, node: Node, path: str) -> Job:
    environment = node.get("environment")
    runs_on = node.get("runs-on")
    matrix = node.get("strategy", "matrix")
    secrets = node.get("secrets")
    group = runs_on.get("group") if runs_on is not None and runs_on.is_map else None
    labels = runs_on.get("labels") if runs_on is not None and runs_on.is_map else runs_on
    return Job(
        id=job_id,
        line=line,
        name=_text(node.get("name")),
        needs=_words(node.get("needs")),
        needs_line=node.key_line("needs"),
        condition=_text(node.get("if")).strip(),
        condition_line=node.key_line("if"),
        environment=_text(environment.get("name") if environment is not None and environment.is_map else environment),
        environment_line=node.key_line("environment"),
        runs_on=_words(labels),
        runs_on_line=node.key_line("runs-on"),
        group=_text(group),
        containers=tuple(_containers(node)),
        permissions=_permissions(node),
        soft=_text(node.get("continue-on-error")),
        soft_line=node.key_line("continue-on-error"),
        matrix=tuple(
            (name, tuple(_flat(value) for value in values.elements()))
            for name, values in (matrix.entries() if matrix else ())
            if values.is_list
        ),
        matrix_line=matrix.line if matrix else line,
        matrix_dynamic=matrix is not None and (matrix.is_scalar or any(not values.is_list for _, values in matrix.entries())),
        env=_pairs(node.get("env")),
        uses=_uses(node),
        uses_line=node.key_line("uses"),
        with_=_pairs(node.get("with")),
        secrets=_pairs(secrets) if secrets is not None and secrets.is_map else (),
        inherits=secrets is not None and secrets.text == "inherit",
        secrets_line=node.key_line("secrets"),
        cancels=_cancels(node),
        steps=_steps(node.get("steps"), path),
        outputs=_pairs(node.get("outputs")),
        body=digest(node),
    )


def _uses(node: Node) -> str:
    """What an item uses. `$/…` names the workflow's own repository at its own commit: the same as `./…` (docs.github.com, workflow syntax)."""
    text = _text(node.get("uses")).strip()
    return "./" + text[2:] if text.startswith("$/") else text


def _steps(node: Node | None, path: str) -> tuple[Step, ...]:
    if node is None or not node.is_list:
        return ()
    if len(node.elements()) > STEPS:
        raise Unreadable(path, f"it has more than {STEPS:,} steps", node.line)
    # Steps that run side by side stand in a list of their own; for what they may do the order says nothing.
    flat = [inner for item in node.elements() for inner in ((item.get("parallel") or item).elements() if item.is_map else ())]
    return tuple(_step(index, item) for index, item in enumerate(flat) if item.is_map)


def _step(index: int, node: Node) -> Step:
    run = node.get("run")
    with_ = node.get("with")
    return Step(
        line=node.line,
        index=index,
        id=_text(node.get("id")),
        name=_text(node.get("name")),
        uses=_uses(node),
        uses_line=node.key_line("uses"),
        run=_text(run),
        run_line=text_line(run) if run is not None else 0,
        shell=_text(node.get("shell")),
        condition=_text(node.get("if")).strip(),
        condition_line=node.key_line("if"),
        soft=_text(node.get("continue-on-error")),
        soft_line=node.key_line("continue-on-error"),
        with_=_pairs(with_),
        with_lines=tuple((name, text_line(value)) for name, value in (with_.entries() if with_ else ())),
        env=_pairs(node.get("env")),
        directory=_text(node.get("working-directory")),
        body=digest(node),
    )


def text_line(node: Node) -> int:
    """The line on which a scalar's own first line stands: for a block it is the one after its mark."""
    return node.line + 1 if node.text is not None and not node.plain and "\n" in node.text else node.line


def _containers(node: Node) -> Iterator[Container]:
    main = node.get("container")
    if main is not None:
        yield _container(main, "container")
    services = node.get("services")
    for name, value in services.entries() if services else ():
        yield _container(value, f"service {name}")


def _container(node: Node, label: str) -> Container:
    if node.is_scalar:
        return Container(_text(node), node.line, label=label)
    return Container(
        image=_text(node.get("image")),
        line=node.key_line("image"),
        options=_text(node.get("options")),
        volumes=_words(node.get("volumes")),
        label=label,
        texts=_pairs(node.get("credentials")) + _pairs(node.get("env")),
    )


def _permissions(node: Node) -> Permissions | None:
    block = node.get("permissions")
    if block is None:
        return None
    line = node.key_line("permissions")
    if block.is_map:
        return Permissions(line, tuple((name.lower(), _text(value).lower()) for name, value in block.entries()))
    text = _text(block).lower()
    if text in ("read-all", "write-all"):
        return Permissions(line, whole=text)
    return Permissions(line, known=block.is_scalar and block.value is None)


_FILTERS = frozenset({"branches", "branches-ignore", "tags", "tags-ignore", "paths", "paths-ignore", "types", "workflows"})


def _triggers(on: Node | None) -> Iterator[Trigger]:
    if on is None:
        return
    if not on.is_map:
        for item in on.elements():
            yield Trigger(_text(item), item.line)
        return
    for key, value in on.pairs or ():
        name = key.text or ""
        if value.is_map:
            filters = tuple((item, _words(values)) for item, values in value.entries() if item in _FILTERS)
        elif name == "schedule":
            filters = (("cron", tuple(_text(item.get("cron")) for item in value.elements())),)
        else:
            filters = ()
        yield Trigger(name, key.line, filters)


def _inputs(on: Node | None) -> Iterator[Input]:
    for event in ("workflow_dispatch", "workflow_call"):
        inputs = on.get(event, "inputs") if on is not None else None
        for name, node in inputs.entries() if inputs else ():
            yield Input(name.lower(), _text(node.get("type")) or "string", node.line)


def _cancels(node: Node) -> bool:
    value = node.get("concurrency", "cancel-in-progress")
    return value is not None and value.value is True


def _text(node: Node | None) -> str:
    return node.text if node is not None and node.text is not None else ""


def _words(node: Node | None) -> tuple[str, ...]:
    return () if node is None else tuple(_flat(item) for item in node.elements())


def _flat(node: Node) -> str:
    if node.text is not None:
        return node.text
    if node.pairs is not None:
        return "{" + ", ".join(f"{name}: {_flat(value)}" for name, value in node.entries()) + "}"
    return "[" + ", ".join(_flat(item) for item in node.elements()) + "]"


def _pairs(node: Node | None) -> Pairs:
    return tuple((name, _flat(value)) for name, value in node.entries()) if node is not None else ()


def digest(node: Node | None) -> str:
    """A digest of what a job or step does, whatever it is called."""
    if node is None or not node.is_map:
        return ""
    value = frozenset((name, frozen(item)) for name, item in node.entries() if name not in _NOT_BODY)
    return hashlib.sha256(repr(sorted(map(_stable, value))).encode("utf-8", "surrogatepass")).hexdigest()[:16]


def _stable(value: object) -> str:
    if isinstance(value, frozenset):
        return "{" + ",".join(sorted(map(_stable, value))) + "}"
    if isinstance(value, tuple):
        return "(" + ",".join(map(_stable, value)) + ")"
    return repr(value)


@dataclass(frozen=True, slots=True)
class Pair:
    """The same job at base and at head, and the workflows it stands in; one side is missing where it is new or gone."""

    old: Job | None
    new: Job | None
    before: Workflow | None
    after: Workflow | None


@dataclass(frozen=True, slots=True)
class Both:
    """A workflow at base and at head."""

    path: str
    old_path: str
    before: Workflow | None
    after: Workflow | None
    jobs: tuple[Pair, ...] = field(default=())


def pairs(both: Sequence[tuple[str, str, Workflow | None, Workflow | None]]) -> tuple[Both, ...]:
    """Workflows (path, path at base, base, head) with their jobs paired: by id within a file, then by what they do, within the file and across all."""
    done: list[dict[str, Pair]] = []
    lost: list[tuple[int, Job]] = []
    fresh: list[tuple[int, Job]] = []
    for index, (_, _, before, after) in enumerate(both):
        found: dict[str, Pair] = {}
        old = {job.id: job for job in before.jobs} if before else {}
        for job in after.jobs if after else ():
            if job.id in old:
                found[job.id] = Pair(old.pop(job.id), job, before, after)
            else:
                fresh.append((index, job))
        lost += [(index, job) for job in old.values()]
        done.append(found)
    for same_file in (True, False):
        for test in (_same_body, _alike):
            _match(both, done, lost, fresh, same_file, test)
    for index, job in fresh:
        done[index][job.id] = Pair(None, job, both[index][2], both[index][3])
    for index, job in lost:
        done[index]["-" + job.id] = Pair(job, None, both[index][2], both[index][3])
    return tuple(
        Both(path, old_path, before, after, tuple(done[index].values())) for index, (path, old_path, before, after) in enumerate(both)
    )


Same = Callable[[Job, Job], bool]


def _match(
    both: Sequence[tuple[str, str, Workflow | None, Workflow | None]],
    done: list[dict[str, Pair]],
    lost: list[tuple[int, Job]],
    fresh: list[tuple[int, Job]],
    same_file: bool,
    same: Same,
) -> None:
    for item in list(fresh):
        index, job = item
        for gone in lost:
            if (gone[0] == index) == same_file and same(gone[1], job):
                lost.remove(gone)
                fresh.remove(item)
                done[index][job.id] = Pair(gone[1], job, both[gone[0]][2], both[index][3])
                break


def _same_body(old: Job, new: Job) -> bool:
    return bool(old.body) and old.body == new.body


def _alike(old: Job, new: Job) -> bool:
    """Two thirds of the steps are the same, and not only those that every job starts with: the job was renamed and edited."""
    if not old.steps or not new.steps:
        return bool(old.uses) and old.uses.partition("@")[0] == new.uses.partition("@")[0] and old.with_ == new.with_
    common = Counter(step.body for step in old.steps) & Counter(step.body for step in new.steps)
    telling = any(step.body in common and not step.action.startswith(("actions/checkout", "actions/setup-")) for step in new.steps)
    return telling and sum(common.values()) * 3 >= 2 * max(len(old.steps), len(new.steps))
