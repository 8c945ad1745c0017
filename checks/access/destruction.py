"""Which commands destroy something, skip a question, or run what they download.

Sources: the tools' own manuals (AWS, Google Cloud and Azure command lines, kubectl, Helm, Terraform, Pulumi, CDK, PostgreSQL, MySQL, Redis, MongoDB, git, gh).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from checks.model import Severity
from checks.readers.shell import SHELLS, Command

DATA, RESOURCE = "data", "resource"


@dataclass(frozen=True, slots=True)
class Harm:
    """What a command destroys."""

    kind: str
    """`data` or `resource`."""
    label: str
    """The act without its object: `kubectl delete namespace`."""
    severity: Severity
    local: bool = False
    """It acts on the machine it runs on, which on a hosted runner or in an image build is nobody's."""


_H, _M, _L = Severity.HIGH, Severity.MODERATE, Severity.LOW


def harm(command: Command) -> Harm | None:
    """What the command destroys, None for nothing that is known. A dry run, a question for help and a version destroy nothing."""
    words = command.words
    if not words or _dry(words) or words[-1] in ("--help", "-h", "help", "--version"):
        return None
    judge = _JUDGES.get(command.name)
    return judge(command) if judge else None


def _dry(words: tuple[str, ...]) -> bool:
    return any(
        re.match(r"--?(?:dry-?run|dryrun|what-?if|simulate|no-execute|check)(?:=(?!none$|false$).*)?$", word, re.I)
        or word in ("$DRY_RUN", "${DRY_RUN}")
        for word in words[1:]
    )


def dry(command: Command) -> bool:
    """Whether the command only says what it would do."""
    return _dry(command.words)


def _aws(command: Command) -> Harm | None:
    words = [word for word in command.words[1:] if not word.startswith("-")]
    if len(words) < 2:
        return None
    service, operation = words[0], words[1]
    if service == "s3":
        if operation == "rb" or (operation == "rm" and command.has("--recursive")):
            return Harm(DATA, f"aws s3 {operation}", _H)
        return None
    if not re.match(
        r"(?:delete|terminate|deregister|purge|destroy|schedule-key-deletion|remove-permission-boundary|disable-key|batch-delete)",
        operation,
    ):
        return None
    if operation in (
        "delete-tags",
        "delete-message",
        "delete-message-batch",
        "deregister-targets",
        "deregister-task-definition",
        "delete-invalidation",
        "delete-item",
        "delete-object",
        "delete-comment",
    ):
        return None
    stored = service in (
        "rds",
        "dynamodb",
        "s3api",
        "efs",
        "backup",
        "kms",
        "secretsmanager",
        "redshift",
        "docdb",
        "neptune",
        "elasticache",
        "logs",
        "glacier",
        "fsx",
        "opensearch",
        "es",
        "kinesis",
        "timestream-write",
        "memorydb",
        "athena",
        "glue",
    )
    return Harm(
        DATA if stored else RESOURCE,
        f"aws {service} {operation}",
        _L if operation == "batch-delete-image" else _H if stored or "terminate" in operation or "stack" in operation else _M,
    )


_CLOUD_STORED = frozenset(
    {
        "sql",
        "storage",
        "spanner",
        "bigtable",
        "redis",
        "filestore",
        "firestore",
        "kms",
        "secrets",
        "backups",
        "postgres",
        "mysql",
        "cosmosdb",
        "keyvault",
        "disk",
        "disks",
        "snapshot",
        "snapshots",
        "buckets",
        "db",
        "databases",
        "volumes",
        "group",
    }
)


def _cloud(command: Command) -> Harm | None:
    words = [word for word in command.words[1:] if not word.startswith("-")]
    verbs = [at for at, word in enumerate(words[:6]) if word in ("delete", "purge", "destroy", "rm", "remove")]
    if not verbs or verbs[0] == 0:
        return None
    label = " ".join([command.name, *words[: verbs[0] + 1]])
    stored = bool(_CLOUD_STORED.intersection(words[: verbs[0]]))
    if {"untagged", "tags", "cache", "revisions", "versions"} & set(words[: verbs[0]]) or (
        words[verbs[0]] == "rm" and command.name == "gcloud" and not command.has("-r", "--recursive")
    ):
        return Harm(RESOURCE, label, _L) if not {"cache", "tags"} & set(words) else None
    return Harm(DATA if stored else RESOURCE, label, _H if stored else _M)


_KINDS = {
    "ns": _H, "namespace": _H, "namespaces": _H, "pvc": _H, "pv": _H, "persistentvolumeclaim": _H, "persistentvolume": _H, "persistentvolumeclaims": _H, "crd": _H, "crds": _H,
    "customresourcedefinition": _H, "statefulset": _M, "sts": _M, "deployment": _M, "deploy": _M, "deployments": _M, "service": _M, "svc": _M, "ingress": _M, "all": _H, "node": _M,
    "nodes": _M, "secret": _M, "secrets": _M, "clusterrole": _M, "clusterrolebinding": _M, "cluster": _H, "application": _H, "applications": _H,
}  # fmt: skip


def _kubectl(command: Command) -> Harm | None:
    words = [word for word in command.words[1:] if not word.startswith("-")]
    if "delete" not in words[:3]:
        return None
    kind = next(iter(words[words.index("delete") + 1 :]), "").partition("/")[0].lower()
    if command.has("--all", "-A"):
        return Harm(
            DATA if kind in ("pvc", "ns", "namespace", "namespaces") else RESOURCE,
            f"kubectl delete {kind} --all",
            _M if kind in ("pod", "pods", "job", "jobs") else _H,
        )
    if kind in (
        "pvc",
        "pv",
        "persistentvolumeclaim",
        "persistentvolume",
        "persistentvolumeclaims",
        "ns",
        "namespace",
        "namespaces",
        "crd",
        "crds",
    ):
        return Harm(DATA, f"kubectl delete {kind}", _H)
    if command.has("-f", "--filename", "-k", "--kustomize"):
        return Harm(RESOURCE, "kubectl delete -f", _M)
    if kind in _KINDS:
        return Harm(RESOURCE, f"kubectl delete {kind}", _KINDS[kind])
    return None


def _sub(table: dict[str, tuple[str, Severity]]) -> Callable[[Command], Harm | None]:
    """A judge by the first words that are no flags."""

    def judge(command: Command) -> Harm | None:
        plain = command.arguments
        for size in (3, 2, 1):
            found = table.get(" ".join(plain[:size]))
            if found:
                return Harm(found[0], f"{command.name} {' '.join(plain[:size])}", found[1])
        return None

    return judge


def _terraform(command: Command) -> Harm | None:
    verb = next((word for word in command.words[1:] if word in ("destroy", "apply", "state", "workspace", "run-all")), "")
    if verb == "run-all":
        verb = next((word for word in command.words[1:] if word in ("destroy", "apply")), "")
    if verb == "destroy" or (verb == "apply" and command.has("-destroy", "--destroy")):
        return Harm(RESOURCE, f"{command.name} destroy", _H)
    if verb == "state" and "rm" in command.words:
        return Harm(RESOURCE, f"{command.name} state rm", _M)
    if verb == "workspace" and "delete" in command.words:
        return Harm(RESOURCE, f"{command.name} workspace delete", _M)
    return None


_SQL = re.compile(
    r"\b(?:drop\s+(?:table|database|schema|owned|materialized|column|user|role)|truncate(?:\s+table)?\s|delete\s+from\s+[\w.\"`]+\s*(?:;|$|\"|'))",
    re.I,
)


def _sql(command: Command) -> Harm | None:
    text = " ".join(command.words[1:])
    match = _SQL.search(text)
    return Harm(DATA, f"{command.name} {' '.join(match.group().split()[:2]).lower()}", _H) if match else None


def _redis(command: Command) -> Harm | None:
    word = next((word.lower() for word in command.words[1:] if word.lower() in ("flushall", "flushdb")), None)
    return Harm(DATA, f"redis-cli {word}", _H) if word else None


def _mongo(command: Command) -> Harm | None:
    text = " ".join(command.words[1:])
    match = re.search(r"dropDatabase|\.drop\(|deleteMany\(\s*\{\s*\}", text)
    return Harm(DATA, f"{command.name} {match.group().strip('.(')}", _H) if match else None


def _always(kind: str, severity: Severity, local: bool = False) -> Callable[[Command], Harm | None]:
    return lambda command: Harm(kind, command.name, severity, local)


_MAIN = re.compile(r"(?:^|[:/+])(?:main|master|production|prod|release)(?:$|[/\"])|^\+?HEAD:")


def _git(command: Command) -> Harm | None:
    if command.arguments[:1] != ("push",):
        return None
    if command.has("--mirror"):
        return Harm(DATA, "git push --mirror", _H)
    forced = command.has("--force") or "-f" in command.words or any(word.startswith("+") for word in command.arguments[2:])
    if forced and any(_MAIN.search(word) for word in command.arguments[1:]):
        return Harm(DATA, "git push --force", _H)
    return None


_SAFE = re.compile(
    r"^/(?:tmp|var/tmp|var/cache|var/lib/apt|root/\.(?:cache|npm)|usr/share/(?:doc|man|locale)|dev/shm|github/|home/runner|opt/hostedtoolcache|workspace|builds?/|app/(?:node_modules|dist|build))"
)
_PRECIOUS = re.compile(r"(?:DATA|DATADIR|BACKUPS?|VOLUME|PGDATA|MOUNT|STORAGE|PERSIST\w*|DEPLOY)(?:_?(?:DIR|PATH|ROOT|HOME))?(?![A-Z_])")


def _rm(command: Command) -> Harm | None:
    if not (command.has("-r", "-R", "--recursive")):
        return None
    for target in command.arguments:
        if target in ("/", "/*", "~", "~/", "$HOME", "$HOME/", "$HOME/*", "~/*"):
            return Harm(DATA, f"rm -r {target}", _H, local=True)
        if (
            target.startswith("/")
            and not _SAFE.match(target)
            and target.count("/") <= 3
            and "$" not in target.partition("/")[2].partition("/")[0]
        ):
            return Harm(DATA, "rm -r of an absolute path", _M, local=True)
        if (
            re.match(r"\$\{?(\w+)", target)
            and _PRECIOUS.search(target.split("/")[0])
            and not re.search(r"TMP|TEMP|CACHE|BUILD|DIST|TEST", target)
            and target.count("/") <= 1
            and target.split("/")[-1] in ("", "*", target)
        ):
            return Harm(DATA, "rm -r of a variable", _M, local=True)
    return None


def _dd(command: Command) -> Harm | None:
    return (
        Harm(DATA, "dd of a device", _H, local=True)
        if any(word.startswith("of=/dev/") and word != "of=/dev/null" for word in command.words)
        else None
    )


def _gh(command: Command) -> Harm | None:
    plain = command.arguments
    if plain[:2] in (("repo", "delete"), ("release", "delete"), ("secret", "delete"), ("repo", "archive")):
        return Harm(DATA if plain[0] in ("repo", "release") else RESOURCE, f"gh {plain[0]} {plain[1]}", _H if plain[0] == "repo" else _L)
    if (
        plain[:1] == ("api",)
        and any(word.upper() == "DELETE" or word.upper().endswith("=DELETE") for word in command.words)
        and any(re.match(r"/?repos/[^/]+/[^/]+/?$|.*/(?:branches/.*/protection|rulesets)", word) for word in plain)
    ):
        return Harm(RESOURCE, "gh api DELETE", _H)
    return None


def _gsutil(command: Command) -> Harm | None:
    plain = command.arguments
    if plain[:1] == ("rb",) or (plain[:1] == ("rm",) and command.has("-r", "-R")):
        return Harm(DATA, f"gsutil {plain[0]}", _H)
    return None


def _task(command: Command) -> Harm | None:
    """Database tasks of frameworks: `rails db:drop`, `prisma migrate reset`, `manage.py flush`."""
    text = " ".join(command.words)
    match = _TASKS.search(text)
    return Harm(DATA, match.group(), _M, local=True) if match and "test" not in text.lower() else None


_TASKS = re.compile(
    r"\bdb:drop\b|\bdb:reset\b|\bdb:purge\b|\bmigrate:fresh\b|\bmigrate:reset\b|\bmigrate reset\b|--accept-data-loss\b|\bmanage\.py (?:flush|reset_db)\b|\bdowngrade base\b|\bdb reset --linked\b|\bpg:reset\b|\bschema:drop\b|\bflyway clean\b"
)

_JUDGES: dict[str, Callable[[Command], Harm | None]] = {
    "aws": _aws,
    **dict.fromkeys(("gcloud", "az", "doctl", "linode-cli", "ibmcloud", "oci", "hcloud", "scw", "civo", "eksctl_"), _cloud),
    **dict.fromkeys(("kubectl", "oc"), _kubectl),
    **dict.fromkeys(("terraform", "tofu", "terragrunt"), _terraform),
    **dict.fromkeys(("psql", "mysql", "mariadb", "sqlcmd", "cockroach", "clickhouse-client", "snowsql", "cqlsh", "sqlplus", "bq"), _sql),
    **dict.fromkeys(("mongo", "mongosh"), _mongo),
    **dict.fromkeys(("rails", "rake", "prisma", "npx", "pnpm", "yarn", "npm", "bundle", "python", "python3", "php", "alembic", "sequelize", "supabase", "flyway", "artisan"), _task),
    "redis-cli": _redis,
    "valkey-cli": _redis,
    "git": _git,
    "gh": _gh,
    "gsutil": _gsutil,
    "rm": _rm,
    "dd": _dd,
    "dropdb": _always(DATA, _H),
    "dropuser": _always(RESOURCE, _M),
    "wipefs": _always(DATA, _H, local=True),
    "mkfs": _always(DATA, _H, local=True),
    "mkfs.ext4": _always(DATA, _H, local=True),
    "mkfs.xfs": _always(DATA, _H, local=True),
    "lvremove": _always(DATA, _H, local=True),
    "vgremove": _always(DATA, _H, local=True),
    "mysqladmin": _sub({"drop": (DATA, _H)}),
    "zpool": _sub({"destroy": (DATA, _H)}),
    "zfs": _sub({"destroy": (DATA, _H)}),
    "helm": _sub({"uninstall": (RESOURCE, _M), "delete": (RESOURCE, _M)}),
    "helmfile": _sub({"destroy": (RESOURCE, _H), "delete": (RESOURCE, _H)}),
    "argocd": _sub({"app delete": (RESOURCE, _H), "cluster rm": (RESOURCE, _M), "proj delete": (RESOURCE, _M)}),
    "flux": _sub({"delete": (RESOURCE, _M), "uninstall": (RESOURCE, _H)}),
    "velero": _sub({"backup delete": (DATA, _H), "delete": (DATA, _H), "schedule delete": (DATA, _H)}),
    "eksctl": _sub({"delete cluster": (RESOURCE, _H), "delete nodegroup": (RESOURCE, _M)}),
    "kops": _sub({"delete cluster": (RESOURCE, _H)}),
    "pulumi": _sub({"destroy": (RESOURCE, _H), "stack rm": (RESOURCE, _H), "state delete": (RESOURCE, _M)}),
    "cdk": _sub({"destroy": (RESOURCE, _H)}),
    "sam": _sub({"delete": (RESOURCE, _H)}),
    "serverless": _sub({"remove": (RESOURCE, _H)}),
    "sls": _sub({"remove": (RESOURCE, _H)}),
    "copilot": _sub({"app delete": (RESOURCE, _H), "svc delete": (RESOURCE, _M), "env delete": (RESOURCE, _H)}),
    "fly": _sub({"apps destroy": (RESOURCE, _H), "volumes destroy": (DATA, _H), "pg destroy": (DATA, _H)}),
    "flyctl": _sub({"apps destroy": (RESOURCE, _H), "volumes destroy": (DATA, _H)}),
    "heroku": _sub({"apps:destroy": (RESOURCE, _H), "pg:reset": (DATA, _H), "addons:destroy": (DATA, _H)}),
    "vault": _sub({"secrets disable": (DATA, _H), "kv destroy": (DATA, _H), "kv metadata delete": (DATA, _H)}),
    "etcdctl": _sub({"del": (DATA, _H)}),
    "rabbitmqctl": _sub({"reset": (DATA, _H), "force_reset": (DATA, _H), "delete_vhost": (DATA, _H), "delete_queue": (DATA, _M)}),
    "firebase": _sub({"firestore:delete": (DATA, _H), "projects:delete": (RESOURCE, _H)}),
    "vercel": _sub({"remove": (RESOURCE, _M), "rm": (RESOURCE, _M)}),
    "restic": _sub({"forget": (DATA, _M), "prune": (DATA, _M)}),
    "kafka-topics": lambda command: Harm(DATA, "kafka-topics --delete", _H) if command.has("--delete") else None,
    "kafka-topics.sh": lambda command: Harm(DATA, "kafka-topics --delete", _H) if command.has("--delete") else None,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Skip:
    """A flag that skips a question or a check."""

    flag: str
    means: str
    severity: Severity


_SKIPS: tuple[tuple[frozenset[str], re.Pattern[str], str, Severity], ...] = (
    (frozenset({"terraform", "tofu", "terragrunt"}), re.compile(r"--?auto-approve(?:=true)?$|--terragrunt-non-interactive$"), "applies without asking", _M),
    (frozenset({"terraform", "tofu"}), re.compile(r"-lock=false$"), "does not lock the state", _M),
    (frozenset({"pulumi"}), re.compile(r"--yes$|-y$|--skip-preview$|-f$"), "applies without asking", _M),
    (frozenset({"cdk"}), re.compile(r"--require-approval=?(?:never)?$|--force$"), "deploys without asking", _M),
    (frozenset({"kubectl", "oc"}), re.compile(r"--force$|--grace-period=0$|--validate=false$"), "forces it", _L),
    (frozenset({"helm"}), re.compile(r"--force$|--no-hooks$"), "replaces instead of updating, or leaves out the hooks", _L),
    (frozenset({"gh"}), re.compile(r"--admin$"), "merges past the branch's rules", _H),
    (frozenset({"git"}), re.compile(r"--no-verify$"), "leaves out the hooks that check", _L),
    (frozenset({"aws"}), re.compile(r"--force-delete-without-recovery$|--skip-final-snapshot$|--delete-automated-backups$|--force-destroy$"), "keeps nothing to recover from", _H),
    (frozenset({"prisma", "npx"}), re.compile(r"--accept-data-loss$|--force-reset$"), "accepts that data is lost", _H),
    (frozenset({"argocd"}), re.compile(r"--prune$|--force$"), "deletes what is no longer described", _L),
)  # fmt: skip


def skips(command: Command) -> tuple[Skip, ...]:
    """The questions and checks that the command's flags skip."""
    found = []
    for names, pattern, means, severity in _SKIPS:
        if command.name in names:
            for word in command.words[1:]:
                if pattern.match(word) and not (command.name == "cdk" and word == "--require-approval" and "never" not in command.words):
                    found.append(Skip(word, means, severity))
    return tuple(found)


_FETCH = frozenset({"curl", "wget", "fetch", "aria2c"})
_ADDRESS = re.compile(r"https?://[^\s\"']+|\$\w+")


_HARDENING = {
    "kernel.apparmor_restrict_unprivileged_userns": "0", "kernel.apparmor_restrict_unprivileged_unconfined": "0", "kernel.unprivileged_userns_clone": "1",
    "kernel.randomize_va_space": "0", "kernel.yama.ptrace_scope": "0", "kernel.kptr_restrict": "0", "kernel.dmesg_restrict": "0",
    "kernel.unprivileged_bpf_disabled": "0", "net.core.bpf_jit_harden": "0", "kernel.perf_event_paranoid": "-1", "fs.protected_symlinks": "0",
    "fs.protected_hardlinks": "0", "fs.suid_dumpable": "1", "net.ipv4.tcp_syncookies": "0", "vm.mmap_min_addr": "0",
}  # fmt: skip
"""Kernel settings that protect, and the value that switches each off (docs.kernel.org, admin-guide/sysctl and LSM/Yama)."""
_PROTECTORS = re.compile(
    r"^(?:apparmor|ufw|firewalld|nftables|iptables|auditd|fail2ban|falco\w*|osqueryd?|crowdsec|wazuh-agent|clamav-\w+|falcon-sensor|unattended-upgrades)(?:\.service)?$"
)
"""Services that guard or watch a machine."""


def unguards(command: Command) -> str | None:
    """Which protection of the machine a command switches off, as words; None for none."""
    name, words = command.name, command.words[1:]
    if name == "sysctl":
        for word in words:
            key, given, value = word.partition("=")
            key = key.replace("/", ".")
            if given and (_HARDENING.get(key) == value.strip() or re.fullmatch(r"net\.ipv4\.conf\.\w+\.rp_filter=0", f"{key}={value}")):
                return f"{key}={value.strip()}"
    if name == "setenforce" and words[:1] in (("0",), ("Permissive",), ("permissive",)):
        return "SELinux"
    if name in ("aa-teardown", "aa-disable", "aa-complain"):
        return "AppArmor"
    if name == "ufw" and "disable" in words:
        return "the firewall"
    if name in ("iptables", "ip6tables") and (
        words in (("-F",), ("--flush",)) or words[:3] in (("-P", "INPUT", "ACCEPT"), ("--policy", "INPUT", "ACCEPT"))
    ):
        return "the firewall's rules"
    if name == "nft" and words[:2] == ("flush", "ruleset"):
        return "the firewall's rules"
    if name == "auditctl" and ("-D" in words or words[:2] == ("-e", "0")):
        return "the audit log"
    if name == "spctl" and {"--master-disable", "--global-disable"} & set(words):
        return "Gatekeeper"
    if name in ("systemctl", "service"):
        acts = {"stop", "disable", "mask"} & set(words)
        service = next((word for word in words if _PROTECTORS.match(word)), None)
        return f"the service {service}" if acts and service else None
    return None


def download_run(command: Command) -> str | None:
    """The address (or the variable) whose content is run as it comes; None where nothing is."""
    if command.name in _FETCH and command.into in SHELLS - {"source"}:
        match = _ADDRESS.search(" ".join(command.words[1:]))
        return match.group() if match else "what it downloads"
    if command.words and re.match(r"[$<]\(\s*(?:curl|wget)\b", command.words[0]):
        # What `eval` and `bash -c` were given: the answer itself is the command.
        match = _ADDRESS.search(command.words[0])
        return match.group().rstrip(")") if match else "what it downloads"
    if command.name in ("bash", "sh", "eval", "source", ".", "zsh", "python", "python3") and len(command.words) > 1:
        text = " ".join(command.words[1:])
        if re.search(r"[<$]\(\s*(?:curl|wget)\b", text):
            match = _ADDRESS.search(text)
            return match.group() if match else "what it downloads"
    return None
