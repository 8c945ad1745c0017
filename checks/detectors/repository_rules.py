"""The rules of the repository itself, where they are kept as files: who must review, what must pass, who may.

## What it detects
Paths that lose their code owner or get another one (computed for every tracked path on both sides, the last match wins, `.github/` before the
root before `docs/`). Branch protection and rulesets in files (`.github/settings.yml`, ruleset JSON) that ask for less. Merge automation (Mergify,
Kodiak, Bulldozer, policy-bot) that merges on fewer conditions. OPA and Sentinel policies that are removed or may now fail. People and
teams that newly get access (organisation files, OWNERS), and GitHub App and Slack App manifests that ask for more.

## Why it matters
These files decide which checks are forced. Weakening one is quiet, and everything merged afterwards is less guarded.

## Example
```diff
 /deploy/  @acme/platform
+*         @acme/everyone
```
The new last line takes `/deploy/` away from its owners: the last match wins.

## What makes it safe
Rules kept on the server (an organisation ruleset) that the repository cannot lower. Let CODEOWNERS own itself and `.github/`.

## What it cannot see
Settings made only in the web pages, who stands behind a team, and tools that keep their rules in files it does not know.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from checks.detectors.base import Detector, Rule, not_analysed, together
from checks.model import Change, Confidence, Effect, FileChange, Hazard, Question, Reversible, Severity, Side, Unreadable
from checks.places import Place, place_of
from checks.readers import codeowners, documents, table, text_of
from checks.readers.toml import loads

OWNERS_LOST = Rule(
    "repository-rules/owners-lost", Hazard.GATE_CHANGED, Severity.HIGH, Reversible.YES, "Paths lose their code owners", Question.FORCED
)
OWNERS_REPLACED = Rule(
    "repository-rules/owners-replaced",
    Hazard.GATE_CHANGED,
    Severity.MODERATE,
    Reversible.YES,
    "Paths get other code owners",
    Question.FORCED,
)
PROTECTION = Rule(
    "repository-rules/protection-weakened",
    Hazard.GATE_CHANGED,
    Severity.HIGH,
    Reversible.YES,
    "A branch's rules ask for less",
    Question.FORCED,
)
MERGING = Rule(
    "repository-rules/merge-conditions-weakened",
    Hazard.GATE_CHANGED,
    Severity.MODERATE,
    Reversible.YES,
    "Merge automation asks for less",
    Question.FORCED,
    Confidence.LIKELY,
)
POLICY = Rule(
    "repository-rules/policy-removed",
    Hazard.CHECK_WEAKENED,
    Severity.MODERATE,
    Reversible.YES,
    "A policy is removed or denies less",
    Question.FORCED,
    Confidence.LIKELY,
)
ACCESS = Rule("repository-rules/access-granted", Hazard.PRIVILEGE_WIDENED, Severity.MODERATE, Reversible.PARTLY, "Somebody gets access")
APP = Rule("repository-rules/app-permission-added", Hazard.PRIVILEGE_WIDENED, Severity.HIGH, Reversible.PARTLY, "An app asks for more")
PUBLIC = Rule(
    "repository-rules/repository-made-public", Hazard.EXPOSURE_WIDENED, Severity.CRITICAL, Reversible.NO, "The repository becomes public"
)
RULES = (OWNERS_LOST, OWNERS_REPLACED, PROTECTION, MERGING, POLICY, ACCESS, APP, PUBLIC)


def detect(change: Change, files: Sequence[FileChange]) -> Iterator[Effect]:
    """What the repository's own rules ask for less, or give more, at head than at base."""
    if any(path in codeowners.PLACES for file in files for path in (file.path, file.base_path)):
        yield from _code_owners(change)
    for file in files:
        if place_of(file.path) is not Place.DEPLOYED or (file.old and file.new and file.old.oid == file.new.oid):
            continue
        for pattern, read in _READERS:
            if pattern.search(file.path) or pattern.search(file.base_path):
                try:
                    yield from read(change, file)
                except Unreadable as unreadable:
                    yield not_analysed(file.path, unreadable.why, unreadable.line)
                break


# --- code owners -------------------------------------------------------------------------------------------------------------------------

PATHS = 60_000
"""Paths whose owners are compared."""


def _code_owners(change: Change) -> Iterator[Effect]:
    try:
        old_path, old = codeowners.effective(change.before.read)
        new_path, new = codeowners.effective(change.after.read)
    except Unreadable as unreadable:
        yield not_analysed(unreadable.path, unreadable.why)
        return
    if [rule[:2] for rule in old] == [rule[:2] for rule in new] or old_path is None:
        return
    paths = (
        [path for path in change.after.paths()[:PATHS] if change.before.entry(path) is not None]
        if len(change.files) < 2000
        else list(change.after.paths()[:PATHS])
    )
    before, after = codeowners.owners_of(old, paths), codeowners.owners_of(new, paths)
    lost = [path for path, was, now in zip(paths, before, after, strict=True) if was and not now]
    other = [(path, was, now) for path, was, now in zip(paths, before, after, strict=True) if was and now and not set(was) & set(now)]
    if lost:
        yield _owner_effect(
            OWNERS_LOST,
            old_path,
            new_path,
            lost,
            sum(map(bool, before)),
            "no longer have a code owner, so nobody in particular must review them",
        )
    other = _without_renames(other, old, new)
    if other:
        yield _owner_effect(
            OWNERS_REPLACED,
            old_path,
            new_path,
            [path for path, _, _ in other],
            len(paths),
            f"now belong to {', '.join(other[0][2][:3])} instead of {', '.join(other[0][1][:3])}",
        )


def _owner_effect(rule: Rule, old_path: str, new_path: str | None, paths: list[str], owned: int, what: str) -> Effect:
    weighty = any(re.match(r"\.github/|.*(?:CODEOWNERS|deploy|infra|terraform|auth|security|migrations?)", path) for path in paths)
    return rule.effect(
        subject=_folders(paths),
        path=new_path or old_path,
        side=Side.HEAD if new_path else Side.BASE,
        after=f"{len(paths)} paths",
        severity=None if weighty or len(paths) * 2 > owned or rule is not OWNERS_LOST else Severity.MODERATE,
        message=f"{len(paths):,} {'path' if len(paths) == 1 else 'paths'} ({_folders(paths)}) {what}.",
    )


def _folders(paths: Sequence[str]) -> str:
    if len(paths) <= 2:
        return ", ".join(paths)
    top = Counter(path.split("/")[0] + ("/" if "/" in path else "") for path in paths)
    return ", ".join(name for name, _ in top.most_common(3)) + (f" and {len(top) - 3} more" if len(top) > 3 else "")


def _without_renames(
    other: list[tuple[str, tuple[str, ...], tuple[str, ...]]], old: codeowners.Owners, new: codeowners.Owners
) -> list[tuple[str, tuple[str, ...], tuple[str, ...]]]:
    """Without teams that only got another name: the old one is nowhere at head, the new one was nowhere at base. A person is no team's new name."""
    had = {owner for _, owners, _ in old for owner in owners}
    have = {owner for _, owners, _ in new for owner in owners}
    return [
        (path, before, after)
        for path, before, after in other
        if set(before) & have or set(after) & had or (any("/" not in owner for owner in after) and any("/" in owner for owner in before))
    ]


# --- branch protection and rulesets ------------------------------------------------------------------------------------------------------

# Keys of the REST API for branch protection and rulesets (docs.github.com/rest/branches/branch-protection, /rest/repos/rules), which the
# files of github.com/repository-settings/app and exported rulesets share.
_ON = frozenset(
    {
        "dismiss_stale_reviews", "dismiss_stale_reviews_on_push", "require_code_owner_reviews", "require_code_owner_review", "require_last_push_approval",
        "enforce_admins", "strict", "required_linear_history", "required_signatures", "required_conversation_resolution", "lock_branch",
        "required_review_thread_resolution", "strict_required_status_checks_policy", "enable_vulnerability_alerts", "enable_automated_security_fixes",
    }
)  # fmt: skip
_OFF = frozenset({"allow_force_pushes", "allow_deletions", "allow_fork_syncing", "do_not_enforce_on_create"})
_SHRINK = frozenset({"contexts", "checks", "required_status_checks", "rules", "branches", "include", "required_deployment_environments"})
_GROW = frozenset({"bypass_actors", "users", "teams", "apps", "exclude", "bypass_pull_request_allowances"})
_COUNT = frozenset({"required_approving_review_count", "required_reviewers"})
_LEVEL = {"disabled": 0, "evaluate": 1, "active": 2}
_PERMISSION = {"none": 0, "read": 1, "pull": 1, "triage": 2, "write": 3, "push": 3, "maintain": 4, "admin": 5}


def _plain(change: Change, file: FileChange) -> tuple[Any, Any]:
    def read(data: bytes | None, path: str) -> Any:
        if not data:
            return None
        if path.endswith(".toml"):
            return loads(text_of(data, path), path)
        nodes = documents.read(data, path)
        return nodes[0].plain_value() if nodes else None

    return read(change.base_bytes(file), file.base_path), read(change.head_bytes(file), file.path)


def _name_of(item: Any) -> str:
    if isinstance(item, dict):
        for key in ("name", "type", "context", "pattern", "actor_id", "username", "login", "slug"):
            if key in item:
                return f"{item[key]}"
        return json.dumps(item, sort_keys=True, default=str)[:200]
    return str(item)


def weaker(old: Any, new: Any, at: tuple[str, ...] = ()) -> Iterator[tuple[str, str, str]]:
    """(where, before, after) of each place where protection asks for less."""
    key = at[-1] if at else ""
    where = ".".join(at)
    if len(at) > 12:
        return
    if key in _ON and old is True and new is not True:
        yield where, "true", "off"
    elif key in _OFF and new is True and old is not True and at:
        yield where, "off", "true"
    elif (key in _COUNT and isinstance(old, int) and (new if isinstance(new, int) else 0) < old) or (
        key == "enforcement" and _LEVEL.get(str(new), 0) < _LEVEL.get(str(old), 0)
    ):
        yield where, str(old), str(new)
    elif key in ("protection", "required_pull_request_reviews", "required_status_checks", "restrictions") and old and not new:
        yield where, "set", "not set"
    elif isinstance(old, dict):
        for name in dict.fromkeys([*old, *(new if isinstance(new, dict) else ())]):
            yield from weaker(old.get(name), new.get(name) if isinstance(new, dict) else None, (*at, str(name)))
    elif isinstance(old, list) or isinstance(new, list):
        before = {_name_of(item): item for item in old or []} if isinstance(old, list) or old is None else {}
        after = {_name_of(item): item for item in new or []} if isinstance(new, list) or new is None else {}
        if key in _SHRINK and set(before) - set(after):
            yield where, ", ".join(sorted(set(before) - set(after)))[:120], "gone"
        if (
            key in _GROW
            and set(after) - set(before)
            and any(part.startswith(("bypass", "restrictions", "dismissal", "conditions", "ref_name")) for part in at)
        ):
            yield where, "", ", ".join(sorted(set(after) - set(before)))[:120]
        for name in set(before) & set(after):
            yield from weaker(before[name], after[name], (*at, name))


def _settings(change: Change, file: FileChange) -> Iterator[Effect]:
    old, new = _plain(change, file)
    if not isinstance(old, dict):
        return
    new = new if isinstance(new, dict) else {}
    side = Side.HEAD if file.new else Side.BASE
    old_repository, new_repository = table(old.get("repository")), table(new.get("repository"))
    if file.new and (
        (old_repository.get("private") is True and new_repository.get("private") is False)
        or new_repository.get("visibility") == "public" != old_repository.get("visibility", "public")
    ):
        yield PUBLIC.effect(
            subject="repository",
            path=file.path,
            message="Everything in this repository, its history included, becomes readable to the world.",
        )
    if not file.new:
        yield PROTECTION.effect(
            subject=file.base_path,
            path=file.base_path,
            side=side,
            message="The file that keeps this repository's protection is gone, so nothing restores it.",
        )
        return
    for where, before, after in weaker({k: v for k, v in old.items() if k != "teams"}, {k: v for k, v in new.items() if k != "teams"}):
        yield PROTECTION.effect(
            subject=where,
            path=file.path,
            side=side,
            before=before,
            after=after,
            message=f"The branch's rules ask for less: {where} goes from {before or 'nothing'} to {after}.",
        )
    for group in ("collaborators", "teams"):
        had = {_name_of(item): _PERMISSION.get(str(item.get("permission")), 0) for item in old.get(group) or [] if isinstance(item, dict)}
        for item in new.get(group) or []:
            if isinstance(item, dict) and _PERMISSION.get(str(item.get("permission")), 0) > had.get(_name_of(item), 0):
                level = str(item.get("permission"))
                yield ACCESS.effect(
                    subject=f"{group}: {_name_of(item)}", path=file.path, after=level,
                    severity=Severity.HIGH if level in ("admin", "maintain") else Severity.MODERATE if level in ("push", "write") else Severity.LOW,
                    message=f"{_name_of(item)} gets {level} access to this repository.",
                )  # fmt: skip


def _ruleset(change: Change, file: FileChange) -> Iterator[Effect]:
    old, new = _plain(change, file)
    if not isinstance(old, dict) or not ({"enforcement", "rules"} <= set(old)):
        return
    if not file.new:
        yield PROTECTION.effect(
            subject=_name_of(old), path=file.base_path, side=Side.BASE, message="A ruleset is removed, and with it all it asked for."
        )
        return
    for where, before, after in weaker(old, new):
        yield PROTECTION.effect(
            subject=where,
            path=file.path,
            before=before,
            after=after,
            message=f"The ruleset asks for less: {where} goes from {before or 'nothing'} to {after}.",
        )


# --- merge automation --------------------------------------------------------------------------------------------------------------------

_CONDITIONS = frozenset(
    {
        "conditions",
        "merge_conditions",
        "queue_conditions",
        "required_statuses",
        "blocking_labels",
        "blocking_title_regex",
        "approval",
        "disapproval",
        "approval_rules",
        "if",
        "ignore",
        "blacklist",
    }
)
_FREER = frozenset({"auto_approve_usernames", "auto_approve_labels", "trigger", "whitelist", "allowlist", "automerge_dependencies"})
_NEEDED = re.compile(r"check-success|status-success|approved|review|author|base|label|conflict|draft|title|#|files|sender", re.IGNORECASE)


def _merging(change: Change, file: FileChange) -> Iterator[Effect]:
    old, new = _plain(change, file)
    for where, before, after in _freer(old, new, ()):
        yield MERGING.effect(subject=where, path=file.path if file.new else file.base_path, side=Side.HEAD if file.new else Side.BASE, before=before, after=after,
                             message=f"Pull requests are merged or approved by a machine on fewer conditions: {where}.")  # fmt: skip


def _freer(old: Any, new: Any, at: tuple[str, ...]) -> Iterator[tuple[str, str | None, str | None]]:
    key = at[-1] if at else ""
    where = ".".join(at)
    if new is None or len(at) > 10:
        return
    if key == "require_automerge_label" and new is False and old is not False:
        yield where, "true", "false"
    elif key == "count" and isinstance(old, int) and isinstance(new, int) and new < old:
        yield where, str(old), str(new)
    elif isinstance(old, dict) and isinstance(new, dict):
        for name in dict.fromkeys([*old, *new]):
            yield from _freer(
                old.get(name, [] if name in _FREER else None),
                new.get(name, [] if name in _CONDITIONS and name in old else None),
                (*at, str(name)),
            )
    elif isinstance(new, list) and (isinstance(old, list) or old is None):
        before, after = {_name_of(item): item for item in old or []}, {_name_of(item): item for item in new}
        if key in _CONDITIONS and old is not None and len(after) < len(before):
            gone = sorted(name for name in set(before) - set(after) if _NEEDED.search(name))
            if gone:
                yield where, ", ".join(gone)[:120], "gone"
        if key in _FREER and set(after) - set(before):
            yield where, None, ", ".join(sorted(set(after) - set(before)))[:120]
        for name in set(before) & set(after):
            yield from _freer(before[name], after[name], (*at, name))


# --- policies as code --------------------------------------------------------------------------------------------------------------------

_DENY = re.compile(r"^[ \t]*(?:deny|violation|warn|fail)\w*(?:\s+contains\b|\[|\s*:?=|\s+if\b|\s*\{)", re.MULTILINE)
_ENFORCED = {"advisory": 0, "soft-mandatory": 1, "hard-mandatory": 2}


def _rego(change: Change, file: FileChange) -> Iterator[Effect]:
    if re.search(r"_test\.rego$|/tests?/", file.base_path):
        return
    before = len(_DENY.findall(text_of(change.base_bytes(file) or b"", file.base_path)))
    after = len(_DENY.findall(text_of(change.head_bytes(file) or b"", file.path)))
    moved = (
        sum(
            len(_DENY.findall(text_of(change.after.read(f.path) or b"", f.path)))
            for f in change.files
            if f.added and f.path.endswith(".rego")
        )
        if before > after
        else 0
    )
    if before > after + moved:
        yield POLICY.effect(subject=file.base_path, path=file.path if file.new else file.base_path, side=Side.HEAD if file.new else Side.BASE,
                            before=f"{before} rules", after=f"{after} rules", message=f"{before - after} of {before} rules of this policy that deny something are gone.")  # fmt: skip


def _sentinel(change: Change, file: FileChange) -> Iterator[Effect]:
    if file.path.endswith(".sentinel"):
        if file.deleted:
            yield POLICY.effect(
                subject=file.path, path=file.path, side=Side.BASE, message="A Sentinel policy is removed, so what it refused passes."
            )
        return
    levels = [
        dict(re.findall(r'policy\s+"([^"]+)"\s*\{[^}]*?enforcement_level\s*=\s*"([\w-]+)"', text_of(data or b"", file.path)))
        for data in (change.base_bytes(file), change.head_bytes(file))
    ]
    for name, level in levels[0].items():
        now = levels[1].get(name)
        if _ENFORCED.get(now or "", -1) < _ENFORCED.get(level, 0):
            yield POLICY.effect(
                subject=name,
                path=file.path,
                before=level,
                after=now or "gone",
                message=f"The policy {name} goes from {level} to {now or 'gone'}, so runs it refused may pass.",
            )


# --- people, keys and apps ---------------------------------------------------------------------------------------------------------------


def _people(value: Any, at: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], str]]:
    """(where, who) of each name in an organisation, team or OWNERS file."""
    if len(at) > 10:
        return
    if isinstance(value, dict):
        for key, below in value.items():
            yield from _people(below, (*at, str(key)))
    elif isinstance(value, list) and at and at[-1] in _ROLES:
        yield from ((at, str(item).lower()) for item in value if isinstance(item, str | int))


_ROLES = {
    "admins": Severity.HIGH,
    "members": Severity.MODERATE,
    "maintainers": Severity.MODERATE,
    "approvers": Severity.LOW,
    "owners": Severity.MODERATE,
    "developers": Severity.MODERATE,
}


def _organisation(change: Change, file: FileChange) -> Iterator[Effect]:
    old, new = _plain(change, file)
    if old is None or not isinstance(new, dict):
        return
    before = set(_people(old))
    names = {who for _, who in before}
    added: dict[tuple[str, ...], list[str]] = {}
    for where, who in _people(new):
        if (where, who) not in before and not (where[-1] in ("approvers",) and who in names):
            added.setdefault(where, []).append(who)
    for where, people in added.items():
        yield ACCESS.effect(
            subject=f"{'.'.join(where)}: {', '.join(people[:5])}", path=file.path, after=", ".join(people[:5]), severity=_ROLES[where[-1]],
            message=f"{', '.join(people[:5])} {'is' if len(people) == 1 else 'are'} newly among the {where[-1]} of {'.'.join(where[:-1]) or file.path}.",
        )  # fmt: skip


def _app(change: Change, file: FileChange) -> Iterator[Effect]:
    old, new = _plain(change, file)
    if not isinstance(old, dict) or not isinstance(new, dict):
        return
    for key in ("default_permissions", "permissions"):
        had, has = old.get(key), new.get(key)
        if isinstance(has, dict) and isinstance(had, dict | None):
            for name, level in has.items():
                if _PERMISSION.get(str(level), 0) > _PERMISSION.get(str(table(had).get(name)), 0) and str(level) in (
                    "read",
                    "write",
                    "admin",
                ):
                    yield APP.effect(
                        subject=f"{key}.{name}",
                        path=file.path,
                        before=str(table(had).get(name, "none")),
                        after=str(level),
                        severity=Severity.MODERATE if level == "read" else None,
                        message=f"Installations of this app are asked for {level} access to {name}.",
                    )
    scopes = [
        {f"{kind}:{scope}" for kind, found in table(table(value.get("oauth_config")).get("scopes")).items() for scope in found or []}
        if isinstance(value.get("oauth_config"), Mapping)
        else set()
        for value in (old, new)
    ]
    wider = sorted(scopes[1] - scopes[0])
    if wider and scopes[0]:
        yield APP.effect(
            subject=", ".join(wider[:5]),
            path=file.path,
            after=", ".join(wider[:5]),
            severity=Severity.MODERATE,
            message=f"Workspaces are asked for more by this app: {', '.join(wider[:5])}.",
        )


_READERS: tuple[tuple[re.Pattern[str], Callable[[Change, FileChange], Iterator[Effect]]], ...] = (
    (re.compile(r"(?:^|/)\.github/settings\.ya?ml\Z"), _settings),
    (re.compile(r"ruleset[^/]*/[^/]+\.json\Z|ruleset[^/]*\.json\Z", re.IGNORECASE), _ruleset),
    (re.compile(r"(?:^|/)(?:\.?mergify\.ya?ml|\.mergify/config\.ya?ml|\.?kodiak\.toml|\.?bulldozer\.ya?ml|\.policy\.ya?ml|policy-bot\.ya?ml)\Z"), _merging),
    (re.compile(r"\.rego\Z"), _rego),
    (re.compile(r"(?:\.sentinel|(?:^|/)sentinel\.hcl)\Z"), _sentinel),
    (re.compile(r"(?:^|/)(?:OWNERS|OWNERS_ALIASES|(?:org|orgs|peribolos|members|teams?)\.ya?ml)\Z|(?:^|/)(?:orgs?|teams|permissions)/(?:.*/)?[^/]+\.ya?ml\Z"), _organisation),
    (re.compile(r"(?:^|/)(?:app\.ya?ml|app-manifest\.(?:json|ya?ml)|(?:slack[-_.])?manifest\.(?:json|ya?ml)|slack[^/]*\.(?:json|ya?ml))\Z"), _app),
)  # fmt: skip

DETECTOR = Detector("repository-rules", "The repository's own rules", RULES, detect, together, sure=True)
