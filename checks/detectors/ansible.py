"""Ansible plays and tasks: what they newly delete, whom they newly trust, and which guards they drop.

## What it detects
Tasks that newly remove databases, volumes, cloud resources, directories of data or accounts; sudo rules, admin groups, authorised keys and
world-writable files; firewalls and mandatory access control switched off; rolling limits of a play removed; assertions removed, errors
newly ignored and output newly shown.

## Why it matters
A playbook acts on every host of its inventory at once, as root, the moment it runs. There is no state file that would say what it did.

## Example
`state: present` of a `postgresql_db` task becomes `state: absent` to "reset" a staging database that a group variable also names for production.

## What makes it safe
`serial` and `max_fail_percentage`, an `assert` on the environment before the task, a backup task before a removal, check mode in CI.

## What it cannot see
Values that come from variables and inventories, roles from Galaxy, and what commands and scripts in `shell` tasks do.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from checks.detectors.base import Detector, Rule, not_analysed, together
from checks.model import Change, Confidence, Effect, FileChange, Hazard, Reversible, Severity, Side, Unreadable
from checks.places import Place, place_of
from checks.readers import documents
from checks.readers.documents import Node

_P = Reversible.PARTLY
DATA = Rule(
    "ansible/data-deleted", Hazard.DATA_DESTROYED, Severity.HIGH, Reversible.NO, "A task newly deletes data", confidence=Confidence.LIKELY
)
REMOVED = Rule(
    "ansible/resource-deleted",
    Hazard.RESOURCE_DESTROYED,
    Severity.HIGH,
    _P,
    "A task newly deletes a resource",
    confidence=Confidence.LIKELY,
)
PRIVILEGE = Rule("ansible/privilege-widened", Hazard.PRIVILEGE_WIDENED, Severity.MODERATE, _P, "A task gives someone more rights")
EXPOSED = Rule("ansible/firewall-opened", Hazard.EXPOSURE_WIDENED, Severity.HIGH, _P, "A task switches a firewall off")
GUARD = Rule("ansible/guard-removed", Hazard.PROTECTION_REMOVED, Severity.MODERATE, _P, "A play or host loses a guard")
CHECK = Rule("ansible/check-weakened", Hazard.CHECK_WEAKENED, Severity.LOW, Reversible.YES, "A task no longer fails or is gone")
SHOWN = Rule("ansible/output-shown", Hazard.SECRET_EXPOSED, Severity.MODERATE, _P, "A task's output is no longer hidden")


@dataclass(frozen=True, slots=True, eq=False)
class _Task:
    """One task: its name, its module without the collection, and the module's arguments."""

    name: str
    module: str
    arguments: dict[str, str]
    node: Node
    path: str

    @property
    def title(self) -> str:
        return self.name or self.module


@dataclass(slots=True)
class _File:
    """The plays and tasks of one file."""

    plays: dict[str, Node] = field(default_factory=dict)
    tasks: list[_Task] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Fact:
    """Something a task does that is worth saying if no task did it before."""

    rule: Rule
    what: str
    message: str
    severity: Severity | None = None


def detect(change: Change, files: Sequence[FileChange]) -> Iterator[Effect]:
    before: list[_File] = []
    after: list[_File] = []
    pairs: list[tuple[FileChange, _File, _File]] = []
    for file in files:
        if place_of(file.path) is not Place.DEPLOYED or "/molecule/" in f"/{file.path}":
            continue
        try:
            old = _read(change.base_bytes(file), file.base_path)
        except Unreadable:
            old = None
        try:
            new = _read(change.head_bytes(file), file.path)
        except Unreadable as unreadable:
            if old is not None and (old.plays or old.tasks):
                yield not_analysed(unreadable.path, unreadable.why, unreadable.line)
            continue
        before.append(old or _File())
        after.append(new)
        if old is not None:
            pairs.append((file, old, new))
    had = {(fact.rule.id, fact.what) for one in before for task in one.tasks for fact in _facts(task)}
    said: set[tuple[str, str]] = set()
    for one in after:
        for task in one.tasks:
            for fact in _facts(task):
                key = (fact.rule.id, fact.what)
                if key not in had and key not in said:
                    said.add(key)
                    yield fact.rule.effect(
                        subject=f"{task.title}: {fact.what}", path=task.path, line=task.node.line, severity=fact.severity, after=fact.what,
                        message=fact.message,
                    )  # fmt: skip
    everything = {task.title for one in after for task in one.tasks} | {
        str(sorted(task.arguments.items())) for one in after for task in one.tasks
    }
    for file, old, new in pairs:
        yield from _plays(file, old, new)
        yield from _weakened(file, old, new, everything)


# Reading.

_KEYWORDS = frozenset(
    ["name", "when", "with_items", "loop", "loop_control", "register", "become", "become_user", "become_method", "tags", "notify", "vars", "environment", "ignore_errors", "failed_when", "changed_when", "delegate_to", "run_once", "no_log", "args", "block", "rescue", "always", "until", "retries", "delay", "async", "poll", "check_mode", "diff", "listen", "any_errors_fatal", "ignore_unreachable", "throttle", "timeout", "connection", "remote_user", "module_defaults", "collections", "debugger", "delegate_facts", "local_action", "action", "with_dict", "with_fileglob", "with_nested", "with_together", "with_sequence", "with_subelements", "with_first_found", "with_list", "with_flattened", "port", "hosts"]
)  # fmt: skip


def _read(data: bytes | None, path: str) -> _File:
    out = _File()
    if data is None or not re.search(rb"^\s*-\s", data, re.MULTILINE):
        return out
    in_role = re.search(r"(?:^|/)(?:tasks|handlers)/", path) is not None
    if not in_role and not re.search(rb"^\s*-?\s*(?:hosts|ansible\.builtin\.import_playbook|import_playbook):", data, re.MULTILINE):
        return out
    for node in documents.yaml(data, path):
        for item in node.items or ():
            if item.get("hosts") is not None:
                out.plays[item.string("name") or item.string("hosts") or "play"] = item
                for key in ("pre_tasks", "tasks", "post_tasks", "handlers"):
                    _gather(item.get(key), path, out, 0)
            elif in_role and item.is_map:
                _gather(Node(line=item.line, items=(item,)), path, out, 0)
    return out


def _gather(tasks: Node | None, path: str, out: _File, depth: int) -> None:
    for item in (tasks.items or ()) if tasks is not None and depth < 12 else ():
        if item.get("block") is not None:
            for key in ("block", "rescue", "always"):
                _gather(item.get(key), path, out, depth + 1)
            continue
        module = next(((key, value) for key, value in item.entries() if key not in _KEYWORDS and not key.startswith("with_")), None)
        if module is not None:
            out.tasks.append(
                _Task(item.string("name") or "", module[0].rpartition(".")[2], _arguments(module[1], item.get("args")), item, path)
            )


def _arguments(node: Node, more: Node | None) -> dict[str, str]:
    out: dict[str, str] = {}
    if node.text is not None:
        out = dict(re.findall(r"(\w+)=(\"[^\"]*\"|'[^']*'|\S+)", node.text))
        out["_"] = node.text
    for source in (node, more):
        for key, value in source.entries() if source is not None else ():
            out[key] = value.text if value.text is not None else ",".join(item.text or "" for item in value.items or ())
    return {key: value.strip("\"'") for key, value in out.items()}


# What a task does.

_DATABASES = re.compile(
    r"(?:mysql|postgresql|mssql|mongodb|influxdb|cassandra|clickhouse|oracle)_(?:db|database|table|schema|tablespace|keyspace)\Z"
)
_STORAGE = re.compile(r"(?:docker_volume|podman_volume|lvol|lvg|zfs|zpool|gluster_volume|s3_bucket|rds_instance|rds_cluster|dynamodb_table|ec2_vol|efs|elasticache"
                      r"|gcp_sql_instance|gcp_storage_bucket|gcp_spanner_\w+|azure_rm_(?:storageaccount|sqldatabase|postgresql\w*|mysql\w*|cosmosdb\w*|manageddisk)|redshift|openstack\.volume|volume)\Z")  # fmt: skip
_CLOUD = re.compile(r"(?:ec2_\w+|ec2|ecs_\w+|eks_\w+|elb_\w+|cloudformation|route53\w*|iam_\w+|azure_rm_\w+|gcp_\w+|gce\w*|digital_ocean\w*|k8s|helm|docker_container|docker_stack|docker_swarm\w*"
                    r"|proxmox\w*|vmware_\w+|openstack_\w+|os_\w+|hcloud_\w+|server)\Z")  # fmt: skip
_VALUABLE = re.compile(r"/(?:var/lib|var/opt|srv|data|home|opt|mnt|backup|backups|etc)(?:/[\w.-]+)?/?\Z|/\Z|\*\Z")
_FIREWALLS = re.compile(r"(?:firewalld|ufw|nftables|iptables|netfilter-persistent)(?:\.service)?\Z")
_GROUPS = frozenset({"sudo", "wheel", "admin", "root", "docker", "adm", "lxd"})


def _facts(task: _Task) -> Iterator[_Fact]:
    module, given = task.module, task.arguments
    name = given.get("name") or given.get("path") or given.get("dest") or given.get("db") or given.get("database") or task.title
    absent = given.get("state", "").lower() in ("absent", "deleted", "terminated")
    if absent and _DATABASES.match(module):
        yield _Fact(DATA, f"{module} {name} absent", f"The task “{task.title}” deletes the database object {name}.", Severity.CRITICAL)
    elif absent and _STORAGE.match(module):
        yield _Fact(DATA, f"{module} {name} absent", f"The task “{task.title}” deletes {name} and what is stored in it.")
    elif absent and _CLOUD.match(module):
        yield _Fact(REMOVED, f"{module} {name} absent", f"The task “{task.title}” deletes {name}.")
    elif absent and module == "file" and _VALUABLE.match(given.get("path") or given.get("dest") or ""):
        yield _Fact(DATA, f"file {name} absent", f"The task “{task.title}” deletes {name} and everything below it.")
    elif absent and module == "user" and given.get("remove", "").lower() in ("yes", "true"):
        yield _Fact(
            DATA,
            f"user {name} removed with files",
            f"The task “{task.title}” deletes the account {name} with its home directory.",
            Severity.MODERATE,
        )
    if module == "filesystem" and given.get("force", "").lower() in ("yes", "true"):
        yield _Fact(
            DATA,
            f"filesystem {given.get('dev', name)} forced",
            f"The task “{task.title}” makes a new file system over what is on {given.get('dev', name)}.",
        )
    yield from _rights(task, name, absent)
    if module in ("service", "systemd", "systemd_service") and _FIREWALLS.match(given.get("name", "")):
        if (
            given.get("state") == "stopped"
            or given.get("enabled", "").lower() in ("no", "false")
            or given.get("masked", "").lower() in ("yes", "true")
        ):
            yield _Fact(EXPOSED, f"{given['name']} stopped", f"The task “{task.title}” switches the firewall {given['name']} off.")
    elif module == "ufw" and (
        given.get("state") in ("disabled", "reset") or given.get("policy") == "allow" or given.get("default") == "allow"
    ):
        yield _Fact(EXPOSED, "ufw open", f"The task “{task.title}” lets everything through the firewall.")
    elif module == "iptables" and given.get("policy") == "ACCEPT":
        yield _Fact(EXPOSED, f"iptables {given.get('chain', '')} ACCEPT", f"The task “{task.title}” lets everything through the firewall.")
    if module == "selinux" and given.get("state") in ("permissive", "disabled"):
        yield _Fact(GUARD, f"selinux {given['state']}", f"The task “{task.title}” makes SELinux {given['state']}.", Severity.HIGH)
    if given.get("validate_certs", "").lower() in ("no", "false"):
        yield _Fact(
            GUARD, f"{module} {given.get('url', name)} without certificates", f"The task “{task.title}” no longer checks certificates."
        )


def _rights(task: _Task, name: str, absent: bool) -> Iterator[_Fact]:
    module, given = task.module, task.arguments
    where = given.get("path") or given.get("dest") or ""
    if absent:
        return
    if module == "sudoers" or re.match(r"/etc/sudoers(?:\.d/|\Z)", where):
        text = f"{given.get('line', '')} {given.get('content', '')} {given.get('nopassword', '')}"
        free = "NOPASSWD" in text or module == "sudoers"
        yield _Fact(
            PRIVILEGE, f"sudoers {where or name} {given.get('line', '')}".strip(), f"The task “{task.title}” lets someone act as root{' without a password' if free else ''}.",
            Severity.HIGH,
        )  # fmt: skip
    elif module == "user" and (groups := set(re.split(r"[,\s]+", given.get("groups", ""))) & _GROUPS):
        yield _Fact(
            PRIVILEGE,
            f"user {name} in {', '.join(sorted(groups))}",
            f"The account {name} becomes a member of {', '.join(sorted(groups))}.",
            Severity.HIGH,
        )
    elif module == "authorized_key":
        yield _Fact(PRIVILEGE, f"key of {given.get('user', name)}: {task.title}", f"Another key may log in as {given.get('user', name)}.")
    mode = given.get("mode", "")
    open_ = re.fullmatch(r"0?[0-7]?[0-7][0-7][2367]", mode) or re.search(r"(?:^|,)(?:[ugo]*o[ugo]*|a)[+=][rwxXst]*w", mode)
    if open_ and not re.fullmatch(r"0?1[0-7]{3}", mode):  # a sticky directory is as open as /tmp and as safe
        yield _Fact(PRIVILEGE, f"{where or name} mode {mode}", f"Every account of the host may write {where or name}.")


# What plays and tasks lose.


def _plays(file: FileChange, old: _File, new: _File) -> Iterator[Effect]:
    for name, play in old.plays.items():
        now = new.plays.get(name)
        if now is None and len(old.plays) == len(new.plays) == 1:
            now = next(iter(new.plays.values()))
        if now is None:
            continue
        for key, what in (
            ("serial", "is changed host by host or in batches"),
            ("max_fail_percentage", "stops when too many hosts fail"),
            ("any_errors_fatal", "stops at the first failure"),
        ):
            if play.get(key) is not None and now.get(key) is None:
                yield GUARD.effect(
                    subject=f"play {name} {key}", path=file.path, line=now.line, before=play.string(key) or key,
                    message=f"The play “{name}” no longer {what}: a mistake reaches every host.",
                )  # fmt: skip
        if _true(now.get("become")) and not _true(play.get("become")):
            tasks = [task for task in old.tasks if _true(task.node.get("become"))]
            yield PRIVILEGE.effect(
                subject=f"play {name} become", path=file.path, line=now.key_line("become"), before="false", after="true",
                severity=Severity.LOW, message=f"Every task of the play “{name}” runs as root" + (f", not only {len(tasks)} of them." if tasks else "."),
            )  # fmt: skip


def _true(node: Node | None) -> bool:
    return node is not None and (node.text or "").lower() in ("yes", "true")


def _weakened(file: FileChange, old: _File, new: _File, everything: set[str]) -> Iterator[Effect]:
    named = {task.name: task for task in new.tasks if task.name}
    for task in old.tasks:
        now = named.get(task.name) if task.name else None
        if now is None:
            if (
                task.module in ("assert", "fail")
                and task.title not in everything
                and str(sorted(task.arguments.items())) not in everything
                and file.new is not None
            ):
                yield CHECK.effect(
                    subject=task.title, path=file.base_path, line=task.node.line, side=Side.BASE, before=task.module,
                    message=f"The check “{task.title}” is gone: what it stopped goes on.",
                )  # fmt: skip
            continue
        for key in ("ignore_errors", "failed_when"):
            was, is_now = task.node.get(key), now.node.get(key)
            off = _true(is_now) if key == "ignore_errors" else is_now is not None and (is_now.text or "").lower() in ("no", "false")
            if off and not (_true(was) if key == "ignore_errors" else was is not None and (was.text or "").lower() in ("no", "false")):
                yield CHECK.effect(
                    subject=f"{task.title} {key}", path=file.path, line=now.node.key_line(key), after=f"{key}: {is_now.text if is_now else ''}",
                    message=f"The task “{task.title}” can no longer fail.",
                )  # fmt: skip
        if _true(task.node.get("no_log")) and not now.node.get("no_log"):
            yield SHOWN.effect(
                subject=task.title, path=file.path, line=now.node.line, before="no_log: true",
                message=f"What the task “{task.title}” handles appears in the log.",
            )  # fmt: skip


DETECTOR = Detector(
    name="ansible",
    title="Ansible playbooks",
    rules=(DATA, REMOVED, PRIVILEGE, EXPOSED, GUARD, CHECK, SHOWN),
    detect=detect,
    group=together,
    sure=re.compile(rb"(?m)^[ \t]*+-?[ \t]*+hosts\s*:"),
)
