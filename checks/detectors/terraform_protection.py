"""Guards of Terraform resources that go: deletion protection, snapshots, backups, windows, locks, audit, alarms, rollback, checks.

## What it detects
A resource that stays while what guards it goes: `prevent_destroy`, deletion or termination protection, the final snapshot, backups and their
retention, versioning, point-in-time recovery, recovery and deletion windows, purge protection, key rotation, audit logs, alarms, automatic
rollback, pre- and postconditions, checks and validations, the safety catches of the azurerm provider; `force_destroy` and its likes switched
on; `ignore_changes` widened over a guard; and guards that are resources of their own (locks, backup plans, trails, alarms, WAF, organisation policies)
removed. An argument left out counts as its provider's default.

## Why it matters
Nothing breaks when a guard goes, so nobody notices; the next mistake is then not caught. Deletion protection is always switched off in the
change before the one that deletes.

## Example
```hcl
 resource "aws_db_instance" "main" {
-  deletion_protection = true
-  skip_final_snapshot = false
+  skip_final_snapshot = true
```
From now on one `terraform destroy`, or one removed block, deletes the database without a snapshot.

## What makes it safe
Removing the guard in a change of its own, some time before the change that needs it gone, and an organisation's policy (SCP, Azure Policy,
organisation policy) or a vault lock that forbids the deletion whatever the configuration says.

## What it cannot see
Guards set outside Terraform; values that only a plan knows. A guard moved into a module from elsewhere counts as gone from here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from checks.detectors.base import Detector, Rule, together
from checks.model import Change, Confidence, Effect, FileChange, Hazard, Reversible, Severity, Side
from checks.readers.hcl import Block, Expression, scalar
from checks.readers.terraform import Flat, Resource, flat, instances, of_one_side
from checks.readers.terraform_facts import is_guard, stateful
from checks.readers.terraform_steps import Pair, Step, collapsed, companion, judged, line_of, steps, written

GONE = Hazard.PROTECTION_REMOVED
PREVENT = Rule("terraform-protection/prevent-destroy-removed", GONE, Severity.HIGH, Reversible.YES, "prevent_destroy is removed")
DELETION = Rule(
    "terraform-protection/deletion-protection-off", GONE, Severity.HIGH, Reversible.YES, "Deletion protection or a lock is switched off"
)
SNAPSHOT = Rule(
    "terraform-protection/final-snapshot-skipped", GONE, Severity.HIGH, Reversible.YES, "No snapshot is taken on deletion any more"
)
FORCE = Rule("terraform-protection/force-destroy-on", GONE, Severity.HIGH, Reversible.YES, "Deletion takes the contents along")
BACKUPS = Rule("terraform-protection/backups-reduced", GONE, Severity.HIGH, Reversible.WINDOW, "Backups, versions or retention are reduced")
WINDOW = Rule(
    "terraform-protection/recovery-window-shortened",
    GONE,
    Severity.HIGH,
    Reversible.YES,
    "The window in which a deletion can be undone shrinks",
)
ROTATION = Rule("terraform-protection/key-rotation-off", GONE, Severity.MODERATE, Reversible.YES, "A key is not rotated any more")
IGNORED = Rule(
    "terraform-protection/ignore-changes-widened", GONE, Severity.MODERATE, Reversible.YES, "Terraform no longer corrects drift of a guard"
)
CHECKS = Rule(
    "terraform-protection/check-removed",
    Hazard.CHECK_WEAKENED,
    Severity.MODERATE,
    Reversible.YES,
    "A condition, check or validation is removed",
)
ALARM = Rule("terraform-protection/alarm-off", GONE, Severity.MODERATE, Reversible.PARTLY, "An alarm is removed, silenced or relaxed")
AUDIT = Rule("terraform-protection/audit-off", GONE, Severity.HIGH, Reversible.PARTLY, "Audit records are not written any more")
ROLLBACK = Rule("terraform-protection/rollback-off", GONE, Severity.HIGH, Reversible.YES, "Automatic rollback is switched off")
CONTROL = Rule("terraform-protection/control-removed", GONE, Severity.HIGH, Reversible.YES, "A resource that guards others is removed")
CATCH = Rule(
    "terraform-protection/provider-catch-off", GONE, Severity.HIGH, Reversible.YES, "A safety catch of the provider is switched off"
)


@dataclass(frozen=True, slots=True)
class Flag:
    """An argument with a guarded value."""

    rule: Rule
    words: str
    """What is so no longer."""
    guarded: tuple[str, ...] = ("true",)
    default: str = "false"
    """Its value where it is left out."""
    types: str = ""
    """An expression for the resource types it means this for; empty for all."""
    severity: Severity | None = None


_AUDITED = r"aws_cloudtrail.*|aws_guardduty_.*|aws_config_.*|aws_macie2.*|aws_securityhub.*"
FLAGS: Mapping[str, tuple[Flag, ...]] = {
    "deletion_protection": (
        Flag(DELETION, "deletion protection is off", default="true", types=r"google_.*"),
        Flag(DELETION, "deletion protection is off", ("true", "ACTIVE", "ENABLED", "enabled", "active")),
    ),
    "enable_deletion_protection": (Flag(DELETION, "deletion protection is off"),),
    "deletion_protection_enabled": (Flag(DELETION, "deletion protection is off"),),
    "disable_api_termination": (Flag(DELETION, "termination protection is off"),),
    "disable_api_stop": (Flag(DELETION, "stop protection is off", severity=Severity.LOW),),
    "termination_protection": (Flag(DELETION, "termination protection is off"),),
    "termination_protection_enabled": (Flag(DELETION, "termination protection is off"),),
    "delete_protection": (Flag(DELETION, "deletion protection is off"),),
    "delete_protection_state": (Flag(DELETION, "deletion protection is off", ("DELETE_PROTECTION_ENABLED",), ""),),
    "deletion_policy": (Flag(DELETION, "deleting the block deletes the thing", ("PREVENT", "ABANDON", "RETAIN", "Retain"), "DELETE"),),
    "skip_destroy": (Flag(DELETION, "deleting the block deletes the thing", types="aws_.*"),),
    "retain_on_delete": (Flag(DELETION, "deleting the block deletes the thing"),),
    "prevent_delete": (Flag(DELETION, "deletion protection is off"),),
    "skip_final_snapshot": (Flag(SNAPSHOT, "no final snapshot is taken when it is deleted", ("false",)),),
    "skip_final_backup": (Flag(SNAPSHOT, "no final backup is taken when it is deleted", ("false",)),),
    "delete_automated_backups": (Flag(SNAPSHOT, "its automated backups are deleted with it", ("false",), "true"),),
    "force_destroy": (Flag(FORCE, "deleting it deletes what it holds", ("false",)),),
    "force_delete": (Flag(FORCE, "deleting it deletes what it holds", ("false",)),),
    "delete_contents_on_destroy": (Flag(FORCE, "deleting it deletes what it holds", ("false",)),),
    "force_delete_without_recovery": (Flag(FORCE, "deleting it deletes it for good", ("false",)),),
    "versioning.enabled": (Flag(BACKUPS, "earlier versions are not kept"),),
    "versioning_enabled": (Flag(BACKUPS, "earlier versions are not kept"),),
    "versioning_configuration.status": (Flag(BACKUPS, "earlier versions are not kept", ("Enabled",), "Disabled"),),
    "mfa_delete": (Flag(DELETION, "versions can be deleted without a second factor", ("true", "Enabled")),),
    "point_in_time_recovery.enabled": (Flag(BACKUPS, "there is no point-in-time recovery"),),
    "point_in_time_recovery.status": (Flag(BACKUPS, "there is no point-in-time recovery", ("ENABLED",), "DISABLED"),),
    "point_in_time_recovery_enabled": (Flag(BACKUPS, "there is no point-in-time recovery"),),
    "point_in_time_recovery_enablement": (
        Flag(BACKUPS, "there is no point-in-time recovery", ("POINT_IN_TIME_RECOVERY_ENABLED",), "POINT_IN_TIME_RECOVERY_DISABLED"),
    ),
    "backup_configuration.enabled": (Flag(BACKUPS, "no backups are taken"),),
    "backup_policy.status": (Flag(BACKUPS, "no backups are taken", ("ENABLED",), "DISABLED"),),
    "geo_redundant_backup_enabled": (Flag(BACKUPS, "backups stand in one region only", severity=Severity.MODERATE),),
    "geo_redundant_backup": (Flag(BACKUPS, "backups stand in one region only", ("Enabled",), "Disabled", severity=Severity.MODERATE),),
    "geo_backup_policy_enabled": (Flag(BACKUPS, "backups stand in one region only", default="true", severity=Severity.MODERATE),),
    "object_lock_enabled": (Flag(BACKUPS, "objects can be overwritten and deleted", ("true", "Enabled")),),
    "purge_protection_enabled": (Flag(WINDOW, "what is deleted can be purged at once"),),
    "soft_delete_enabled": (Flag(WINDOW, "what is deleted is gone at once", default="true"),),
    "soft_delete": (Flag(WINDOW, "what is deleted is gone at once", ("On", "AlwaysOn"), "On"),),
    "enable_key_rotation": (Flag(ROTATION, "the key is not rotated any more", types=r"aws_kms_.*"),),
    "enable_logging": (Flag(AUDIT, "the trail records nothing", default="true", types=_AUDITED),),
    "is_multi_region_trail": (Flag(AUDIT, "other regions are not recorded", types=_AUDITED),),
    "include_global_service_events": (Flag(AUDIT, "global services are not recorded", default="true", types=_AUDITED),),
    "enable_log_file_validation": (Flag(AUDIT, "changed records are not noticed", types=_AUDITED, severity=Severity.MODERATE),),
    "enable": (Flag(AUDIT, "the detector is off", default="true", types=r"aws_guardduty_detector"),),
    "is_enabled": (Flag(AUDIT, "the recorder is off", default="true", types=_AUDITED),),
    "access_logs.enabled": (Flag(AUDIT, "requests are not recorded", severity=Severity.MODERATE),),
    "actions_enabled": (Flag(ALARM, "the alarm tells nobody", default="true"),),
    "enabled": (Flag(ALARM, "the alarm is off", default="true", types=r"azurerm_monitor_.*alert.*|google_monitoring_alert_policy"),),
    "deployment_circuit_breaker.rollback": (Flag(ROLLBACK, "a failing deployment is not rolled back"),),
    "deployment_circuit_breaker.enable": (Flag(ROLLBACK, "a failing deployment goes on"),),
    "alarms.rollback": (Flag(ROLLBACK, "an alarm does not roll a deployment back"),),
    "auto_rollback_configuration.enabled": (Flag(ROLLBACK, "a failing deployment is not rolled back"),),
}
"""By the end of the argument's path. Sources: the providers' resource documentation, section "Argument Reference"."""


@dataclass(frozen=True, slots=True)
class Amount:
    """An argument that protects less the smaller it is."""

    rule: Rule
    words: str
    default: float | None = None
    """Where it is left out; None: not known, and then only two written values are compared."""
    zero: float | None = None
    """What 0 means, if not nothing."""
    types: str = ""
    severity: Severity | None = None


FOREVER = 1e9
AMOUNTS: Mapping[str, tuple[Amount, ...]] = {
    "backup_retention_period": (Amount(BACKUPS, "backups are kept for {} days instead of {}", 0),),
    "backup_retention_days": (Amount(BACKUPS, "backups are kept for {} days instead of {}", 7),),
    "automatic_backup_retention_days": (Amount(BACKUPS, "backups are kept for {} days instead of {}", 0),),
    "automated_snapshot_retention_period": (Amount(BACKUPS, "snapshots are kept for {} days instead of {}", 1),),
    "snapshot_retention_limit": (Amount(BACKUPS, "{} snapshots are kept instead of {}", 0),),
    "transaction_log_retention_days": (Amount(BACKUPS, "point-in-time recovery reaches back {} days instead of {}"),),
    "retained_backups": (Amount(BACKUPS, "{} backups are kept instead of {}"),),
    "delete_retention_policy.days": (Amount(WINDOW, "deleted blobs can be restored for {} days instead of {}", 0),),
    "container_delete_retention_policy.days": (Amount(WINDOW, "deleted containers can be restored for {} days instead of {}", 0),),
    "retention_policy.days": (Amount(BACKUPS, "it is kept for {} days instead of {}", 0, types=r"azurerm_.*"),),
    "lifecycle.delete_after": (Amount(BACKUPS, "recovery points are kept for {} days instead of {}", FOREVER, types=r"aws_backup_.*"),),
    "retention_daily.count": (Amount(BACKUPS, "{} daily backups are kept instead of {}", types=r"azurerm_.*"),),
    "retention_in_days": (
        Amount(BACKUPS, "logs are kept for {} days instead of {}", FOREVER, FOREVER, r"aws_cloudwatch_log_group", Severity.MODERATE),
        Amount(AUDIT, "audit records are kept for {} days instead of {}", FOREVER, FOREVER, r"azurerm_.*audit.*", Severity.MODERATE),
    ),
    "soft_delete_retention_days": (Amount(WINDOW, "a deletion can be undone for {} days instead of {}", 90),),
    "recovery_window_in_days": (Amount(WINDOW, "a deletion can be undone for {} days instead of {}", 30),),
    "deletion_window_in_days": (Amount(WINDOW, "a deletion can be undone for {} days instead of {}", 30),),
    "deletion_window_in_hours": (Amount(WINDOW, "a deletion can be undone for {} hours instead of {}"),),
    "destroy_scheduled_duration": (Amount(WINDOW, "a deletion can be undone for {} seconds instead of {}", 2_592_000),),
    "retention_duration_seconds": (Amount(WINDOW, "deleted objects can be restored for {} seconds instead of {}", 604_800),),
}
"""By the end of the argument's path."""

EXPIRY = re.compile(
    r"((^|\.)(lifecycle_)?rule\.(expiration|noncurrent_version_expiration)\.(days|noncurrent_days)|lifecycle_rule\.condition\.age"
    r"|delete_after_days_since_\w+|default_table_expiration_ms|default_partition_expiration_ms)\Z"
)
"""Arguments after whose time data is deleted: smaller, or newly there, loses more."""

CATCHES = {
    "key_vault.purge_soft_delete_on_destroy": ("false", "true", "a deleted vault is purged and cannot be restored"),
    "resource_group.prevent_deletion_if_contains_resources": ("true", "true", "a resource group is deleted with everything in it"),
    "virtual_machine.delete_os_disk_on_deletion": ("false", "true", "a machine's disk is deleted with it"),
    "log_analytics_workspace.permanently_delete_on_destroy": ("false", "false", "a deleted workspace cannot be restored"),
    "recovery_service.vm_backup_stop_protection_and_retain_data_on_destroy": (
        "true",
        "false",
        "backups are deleted with the machine's protection",
    ),
    "cognitive_account.purge_soft_delete_on_destroy": ("false", "true", "a deleted account is purged"),
}
"""azurerm `features`: path → (guarded value, default, what happens without). Source: registry.terraform.io azurerm, guide "features-block"."""

REMOVED: tuple[tuple[str, Rule, Severity, str], ...] = (
    (r"azurerm_management_lock", DELETION, Severity.HIGH, "the lock that keeps {} from being deleted is removed"),
    (r"aws_backup_.*|azurerm_backup_.*|azurerm_data_protection_backup_.*|google_compute_.*resource_policy.*|google_gke_backup_.*"
     r"|aws_dlm_lifecycle_policy|aws_db_instance_automated_backups_replication|aws_s3_bucket_(versioning|object_lock_configuration|replication_configuration)",
     BACKUPS, Severity.HIGH, "what made backups or kept versions of {} is removed"),
    (r"aws_cloudwatch_.*|aws_route53_health_check|azurerm_monitor_.*alert.*|google_monitoring_alert_policy|datadog_.*|grafana_.*|pagerduty_.*|newrelic_.*|opsgenie_.*",
     ALARM, Severity.MODERATE, "nobody is told any more when {} goes off"),
    (r"aws_cloudtrail.*|aws_flow_log|aws_guardduty_.*|aws_config_.*|aws_securityhub_.*|aws_inspector2_.*|aws_macie2_account|aws_accessanalyzer_analyzer"
     r"|aws_detective_graph|google_logging_.*|google_.*_audit_config|azurerm_monitor_diagnostic_setting|azurerm_.*auditing_policy"
     r"|azurerm_network_watcher_flow_log|aws_s3_bucket_logging|azurerm_(security_center|advanced_threat_protection).*",
     AUDIT, Severity.HIGH, "{} is removed, and what it recorded or watched is not any more"),
)  # fmt: skip
"""Types whose removal takes a guard away; the first that matches. Public access blocks, encryption and branch protection belong to other detectors."""
ELSEWHERE = re.compile(
    r"aws_s3(_account)?_(bucket_)?public_access_block|aws_.*block_public_access|aws_s3_bucket_server_side_encryption_configuration|aws_ebs_encryption_by_default|github_.*"
)


def detect(change: Change, files: Sequence[FileChange]) -> Iterator[Effect]:
    yield from collapsed(judged(steps(change, files), _judge))


def _judge(step: Step) -> Iterator[Effect]:
    if not step.after:
        return
    for pair in step.kept:
        if pair.new.type != "module" and instances(pair.old, pair.before) != 0:
            yield from _guards(step, pair)
    if step.through is None and step.variables_file is None:
        yield from _removed(step)
        yield from _expiries(step)
        yield from _checks(step)
        yield from _catches(step)


def _said(
    step: Step,
    rule: Rule,
    resource: Resource,
    words: str,
    name: str,
    before: str | None,
    after: str | None,
    sure: bool,
    severity: Severity | None = None,
) -> Effect:
    path, line = step.where(resource)
    if step.through is None and step.variables_file is None:
        line = line_of(resource, name)
    chosen = severity or rule.severity
    if severity is None and rule.severity is Severity.HIGH and rule in (DELETION, FORCE, PREVENT) and stateful(resource.type) is None:
        chosen = Severity.MODERATE
    return rule.effect(
        subject=f"{step.subject(resource.address)} {name}",
        path=path,
        line=line,
        severity=chosen,
        confidence=Confidence.CERTAIN if sure else Confidence.LIKELY,
        before=before,
        after=after,
        message=f"{resource.address}: {words}.",
        facts=(("address", step.subject(resource.address)), ("directory", step.directory)),
    )


def _guards(step: Step, pair: Pair) -> Iterator[Effect]:
    old, new = flat(pair.before), flat(pair.after)
    yield from _prevent(step, pair)
    yield from _ignored(step, pair)
    for path in sorted({*old.values, *new.values}):
        for suffix in _suffixes(path):
            if of_one_side(path.removesuffix(suffix).rstrip("."), old, new):
                continue
            yield from _flag(step, pair, path, _for(FLAGS.get(suffix, ()), pair.new.type), old, new)
            yield from _amount(step, pair, path, _for(AMOUNTS.get(suffix, ()), pair.new.type), old, new)
    yield from _alarm(step, pair, old, new)
    yield from _traffic(step, pair)
    before, after = _earliest(old), _earliest(new)
    if after is not None and (before is None or after < before):
        words = f"data is deleted after {_days(after)}" + (f" instead of {_days(before)}" if before is not None else "")
        yield _said(step, BACKUPS, pair.new, words, "expiry", _number(before), _number(after), True, Severity.MODERATE)
    if (
        pair.new.type.startswith("aws_elasticache")
        and "final_snapshot_identifier" in old.values
        and "final_snapshot_identifier" not in new.values
    ):
        yield _said(
            step, SNAPSHOT, pair.new, "no final snapshot is taken when it is deleted", "final_snapshot_identifier", None, None, True
        )
    logs = _list(old, "enabled_cluster_log_types") - _list(new, "enabled_cluster_log_types")
    if (logs and "enabled_cluster_log_types" not in new.values) or (
        logs and all(value.kind == "list" for value in new.values["enabled_cluster_log_types"])
    ):
        yield _said(
            step,
            AUDIT,
            pair.new,
            f"the logs {', '.join(sorted(logs))} are not written any more",
            "enabled_cluster_log_types",
            ", ".join(sorted(logs)),
            None,
            True,
            Severity.MODERATE,
        )


def _list(at: Flat, path: str) -> frozenset[str]:
    return frozenset(item.key for value in at.values.get(path, ()) for item in value.elements() if item.kind == "literal")


def _suffixes(path: str) -> Iterator[str]:
    parts = path.split(".")
    yield parts[-1]
    if len(parts) > 1:
        yield ".".join(parts[-2:])


def _for(rows: Sequence[Flag] | Sequence[Amount], resource_type: str) -> Flag | Amount | None:
    return next((row for row in rows if not row.types or re.fullmatch(row.types, resource_type)), None)


def _flag(step: Step, pair: Pair, path: str, row: Flag | Amount | None, old: Flat, new: Flat) -> Iterator[Effect]:
    if not isinstance(row, Flag):
        return
    before, sure_before = written(old.values.get(path), row.default)
    after, sure_after = written(new.values.get(path), row.default)
    apart = _APART.get((pair.new.type, path.partition(".")[0]))
    if apart is not None and not new.values.get(path) and companion(step.after, pair.new, apart) is not None:
        return
    if before in row.guarded and after is not None and after not in row.guarded:
        yield _said(step, row.rule, pair.new, row.words, path, before, after, sure_before and sure_after, row.severity)


_APART = {
    ("aws_s3_bucket", "versioning"): "aws_s3_bucket_versioning",
    ("aws_s3_bucket", "object_lock_configuration"): "aws_s3_bucket_object_lock_configuration",
    ("aws_s3_bucket", "replication_configuration"): "aws_s3_bucket_replication_configuration",
}
"""Arguments of a bucket that became resources: registry.terraform.io aws, guide "version-4-upgrade"."""


def _as_number(text: str | None) -> float | None:
    try:
        return float((text or "").rstrip("s"))
    except ValueError:
        return None


def _amount(step: Step, pair: Pair, path: str, row: Flag | Amount | None, old: Flat, new: Flat) -> Iterator[Effect]:
    if not isinstance(row, Amount):
        return
    default = "" if row.default is None else str(row.default)
    before, sure_before = written(old.values.get(path), default)
    after, sure_after = written(new.values.get(path), default)
    one, other = _as_number(before), _as_number(after)
    if one is None or other is None:
        return
    if row.zero is not None:
        one, other = one or row.zero, other or row.zero
    if other < one:
        words = row.words.format(_number(other), "ever" if one >= FOREVER else _number(one)).replace("for ever days", "for ever")
        yield _said(step, row.rule, pair.new, words, path, _number(one), _number(other), sure_before and sure_after, row.severity)


def _number(value: float | None) -> str:
    return "" if value is None else "for ever" if value >= FOREVER else f"{value:g}" if value < 1e6 else str(int(value))


def _days(value: float) -> str:
    """A span as people say it; what is counted in milliseconds has many digits."""
    return _number(value) if value >= FOREVER else f"{_number(value)} milliseconds" if value >= 1e6 else f"{_number(value)} days"


def _earliest(at: Flat) -> float | None:
    found = [
        number
        for path, values in at.values.items()
        if EXPIRY.search(path)
        for value in values
        if value.kind == "literal" and (number := _as_number(scalar(value.value))) is not None
    ]
    return min(found, default=None)


def _traffic(step: Step, pair: Pair) -> Iterator[Effect]:
    """An alias of a function that split its traffic, and gives all of it at once to a version that had none: a canary left out."""
    if pair.new.type != "aws_lambda_alias" or _weights(pair.after):
        return
    before, version = _weights(pair.before), pair.after.get("function_version")
    old = pair.before.get("function_version")
    if not before or version is None or (old is not None and old.text == version.text) or version.key in before or version.text in before:
        return
    shown = ", ".join(sorted(before))
    yield _said(
        step, ROLLBACK, pair.new, "every request goes to the new version at once, as its traffic is no longer split", "routing_config",
        shown, None, True, Severity.MODERATE,
    )  # fmt: skip


def _weights(body: Block) -> frozenset[str]:
    """The versions that get a part of an alias's traffic."""
    return frozenset(
        key.key
        for block in body.nested("routing_config")
        if (value := block.get("additional_version_weights")) is not None
        for key, _ in value.pairs
    )


def _prevent(step: Step, pair: Pair) -> Iterator[Effect]:
    for name, guarded in (("prevent_destroy", True), ("destroy", False)):
        was = any((value := block.get(name)) is not None and value.value is guarded for block in pair.before.nested("lifecycle"))
        now = [value for block in pair.after.nested("lifecycle") if (value := block.get(name)) is not None]
        if was and not any(value.value is guarded or value.kind != "literal" for value in now):
            yield PREVENT.effect(
                subject=step.subject(pair.new.address),
                path=step.where(pair.new)[0],
                line=step.where(pair.new)[1],
                severity=Severity.HIGH if stateful(pair.new.type) is not None else Severity.MODERATE,
                before=f"{name} = {str(guarded).lower()}",
                message=f"{pair.new.address} can be destroyed by a plan: {name} = {str(guarded).lower()} is gone.",
                keeps=f"lifecycle {{\n  {name} = {str(guarded).lower()}\n}}",
                facts=(("address", step.subject(pair.new.address)), ("directory", step.directory)),
            )


def _ignored(step: Step, pair: Pair) -> Iterator[Effect]:
    def names(body: Block) -> frozenset[str]:
        return frozenset(
            item.key.partition(".")[0]
            for block in body.nested("lifecycle")
            if (value := block.get("ignore_changes"))
            for item in value.elements()
        )

    added = names(pair.after) - names(pair.before)
    guards = sorted(name for name in added if name == "all" or name in _GUARD_NAMES)
    if guards:
        everything = "all" in guards
        words = "Terraform corrects no drift of it any more" if everything else f"Terraform no longer corrects drift of {', '.join(guards)}"
        yield _said(step, IGNORED, pair.new, words, "lifecycle.ignore_changes", None, ", ".join(guards), True)


_GUARD_NAMES = frozenset(name.partition(".")[0] for name in (*FLAGS, *AMOUNTS)) - {"enabled", "enable", "lifecycle"} | {"ingress", "policy"}


def _alarm(step: Step, pair: Pair, old: Flat, new: Flat) -> Iterator[Effect]:
    for name in ("alarm_actions", "notification_channels", "action"):
        if name == "action" and "alert" not in pair.new.type:
            continue
        before = old.values.get(name, ()) or ((Expression("list", 0),) * old.blocks.get(name, 0))
        after = new.values.get(name, ())
        had = any(value.items or value.kind != "list" for value in old.values.get(name, ())) or bool(old.blocks.get(name))
        has = any(value.items or value.kind != "list" for value in after) or bool(new.blocks.get(name))
        if before and had and not has:
            yield _said(step, ALARM, pair.new, "the alarm tells nobody any more", name, None, None, True)
    if pair.new.type != "aws_cloudwatch_metric_alarm":
        return
    one, other = (_as_number(written(at.values.get("threshold"), "")[0]) for at in (old, new))
    sign = written(new.values.get("comparison_operator"), "")[0] or ""
    if (
        one is not None
        and other is not None
        and ((sign.startswith("Greater") and other > one) or (sign.startswith("Less") and other < one))
    ):
        yield _said(
            step,
            ALARM,
            pair.new,
            f"the alarm goes off at {_number(other)} instead of {_number(one)}",
            "threshold",
            _number(one),
            _number(other),
            True,
            Severity.LOW,
        )


def _removed(step: Step) -> Iterator[Effect]:
    for resource in step.gone:
        if not is_guard(resource.type) or ELSEWHERE.fullmatch(resource.type) or resource.address in step.after.removed:
            continue
        body = step.before.body(resource)
        if instances(resource, body) in (0, frozenset()):
            continue
        rule, severity, words = next(
            ((rule, severity, words) for types, rule, severity, words in REMOVED if re.fullmatch(types, resource.type)),
            (CONTROL, CONTROL.severity, "{} is removed, and what it guarded is guarded no more"),
        )
        if resource.type.startswith(("aws_appautoscaling", "aws_autoscaling", "kubernetes_")):
            severity = Severity.MODERATE
        guarded = _guarded(resource, body, step)
        if guarded is not None and guarded not in step.after.resources:
            severity = (
                Severity.MODERATE if rule is DELETION else Severity.LOW
            )  # what it guarded goes in the same change, and that is said there
        yield rule.effect(
            subject=resource.address,
            path=resource.path,
            line=resource.line,
            side=Side.BASE,
            severity=severity,
            message=words.format(guarded or resource.address).capitalize() + "."
            if not words.startswith("{}")
            else words.format(resource.address) + ".",
            facts=(("address", resource.address), ("directory", step.directory), ("action", "delete")),
        )


def _guarded(resource: Resource, body: Block, step: Step) -> str | None:
    """The managed resource that a guard refers to first."""
    for value in body.attributes.values():
        for part in value.walk():
            if part.kind == "reference":
                address = ".".join(part.name.split(".")[:2])
                if address in step.before.resources and address != resource.address:
                    return address
    return None


def _expiries(step: Step) -> Iterator[Effect]:
    """A new set of expiry rules over a bucket that was there before."""
    for resource in step.new:
        if resource.type not in ("aws_s3_bucket_lifecycle_configuration", "azurerm_storage_management_policy"):
            continue
        body = step.after.body(resource)
        after = _earliest(flat(body))
        guarded = _guarded(resource, body, step)
        if after is not None and guarded is not None:
            before = _earliest(flat(step.before.body(step.before.resources[guarded])))
            if before is not None and before <= after:
                continue  # the rule stood in the bucket's own block
            yield _said(
                step,
                BACKUPS,
                resource,
                f"data that was kept is deleted after {_days(after)}",
                "expiry",
                None,
                _number(after),
                True,
                Severity.MODERATE,
            )


def _checks(step: Step) -> Iterator[Effect]:
    before, after = step.before, step.after
    for name, placed in before.checks.items():
        if name not in after.checks:
            yield _unchecked(step, f"check.{name}", placed.path, placed.block.line, f"the check {name} is removed", Side.BASE)
    for name, placed in before.variables.items():
        left = after.variables.get(name)
        if left is None or any(
            before_part != after_part for before_part, after_part in ((placed.block.get(n), left.block.get(n)) for n in ("type", "default"))
        ):
            continue  # a variable that takes something else now is checked otherwise
        if len(left.block.nested("validation")) < len(placed.block.nested("validation")):
            yield _unchecked(step, f"var.{name}", left.path, left.block.line, f"a validation of the variable {name} is removed", Side.HEAD)
    for pair in step.changed:
        for kind in ("precondition", "postcondition"):
            if len(pair.after.nested("lifecycle", kind)) < len(pair.before.nested("lifecycle", kind)):
                yield _unchecked(
                    step, pair.new.address, pair.new.path, pair.new.line, f"a {kind} of {pair.new.address} is removed", Side.HEAD
                )


def _unchecked(step: Step, subject: str, path: str, line: int, words: str, side: Side) -> Effect:
    return CHECKS.effect(
        subject=subject, path=path, line=line, side=side, message=f"{words[0].upper()}{words[1:]}: what it stopped goes through."
    )


def _catches(step: Step) -> Iterator[Effect]:
    for name, placed in step.after.providers.items():
        old = step.before.providers.get(name)
        if not name.startswith("azurerm") or old is None:
            continue
        before, after = (
            flat(Block("features", (), 0, 0, {}, block.nested("features")))
            for block in (step.before.resolved(old.block), step.after.resolved(placed.block))
        )
        for path, (guarded, default, words) in CATCHES.items():
            was, now = (written(at.values.get(f"features.{path}"), default)[0] for at in (before, after))
            if was == guarded and now is not None and now != guarded:
                yield CATCH.effect(
                    subject=f"provider.{name} {path}",
                    path=placed.path,
                    line=placed.block.line,
                    before=was,
                    after=now,
                    message=f"The provider {name} now does more on deletion: {words}.",
                )


DETECTOR = Detector(
    name="terraform-protection",
    title="Guards of Terraform resources removed",
    rules=(PREVENT, DELETION, SNAPSHOT, FORCE, BACKUPS, WINDOW, ROTATION, IGNORED, CHECKS, ALARM, AUDIT, ROLLBACK, CONTROL, CATCH),
    detect=detect,
    group=together,
)
