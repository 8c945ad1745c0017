"""What is known of resource types: which arguments replace one when they change, which types hold data, and which are themselves a guard.

Facts of the providers' sources (see NOTICE), in two sorted text files: one line is found by searching, nothing is parsed ahead.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib import resources

from checks.model import Reversible, Severity


@dataclass(frozen=True, slots=True)
class Replaced:
    """The arguments of a type that make Terraform destroy and recreate the resource. Nested ones are dotted, without indexes."""

    always: frozenset[str] = frozenset()
    maybe: frozenset[str] = frozenset()
    computed: frozenset[str] = frozenset()
    """Those the provider computes where they are left out: dropping one changes nothing."""


@dataclass(frozen=True, slots=True)
class Stateful:
    """A type that holds something."""

    kind: str
    """database, object store, key, …"""
    recovery: str
    """How it comes back, in words."""

    @property
    def severity(self) -> Severity:
        """Of losing it."""
        return SEVERITIES.get(self.kind, Severity.HIGH)

    @property
    def reversible(self) -> Reversible:
        """Whether it comes back within a window of time."""
        return Reversible.WINDOW if _WINDOW.search(self.recovery) else Reversible.NO


SEVERITIES = {
    "account": Severity.CRITICAL,
    "backup": Severity.CRITICAL,
    "block": Severity.CRITICAL,
    "cluster": Severity.CRITICAL,
    "container": Severity.CRITICAL,
    "database": Severity.CRITICAL,
    "file system": Severity.CRITICAL,
    "key": Severity.CRITICAL,
    "key/secret": Severity.CRITICAL,
    "object store": Severity.CRITICAL,
    "project": Severity.CRITICAL,
    "repository": Severity.CRITICAL,
    "state": Severity.CRITICAL,
    "warehouse": Severity.CRITICAL,
    "object": Severity.MODERATE,
    "keyless secret": Severity.MODERATE,
}
"""How bad the loss of a class is; any other class that holds data is high."""

_WINDOW = re.compile(r"\b\d+(?:-\d+)?[ -]d(?:ay)?s?\b|soft delete|undelete|recovery window|time travel", re.IGNORECASE)


def _read(name: str) -> bytes:
    return b"\n" + resources.files("checks.data").joinpath(name).read_bytes()


@cache
def _replaced() -> bytes:
    return _read("terraform_replaced.txt")


@cache
def _stateful() -> bytes:
    return _read("terraform_stateful.txt")


def _line(text: bytes, name: str, end: bytes) -> str | None:
    at = text.find(b"\n" + name.encode() + end)
    return None if at < 0 else text[at + 1 : text.index(b"\n", at + 1)].decode()


_GOOGLE_IAM = re.compile(r"google_[a-z0-9_]+_iam_(member|binding|policy)\Z")


@lru_cache(maxsize=4096)
def replaced_by(resource_type: str) -> Replaced:
    """The arguments that replace a resource of this type; nothing for a type that is not known."""
    found = _line(_replaced(), resource_type, b" ")
    if found is None:
        google = _GOOGLE_IAM.match(resource_type)
        own = {"member": {"role", "member", "condition"}, "binding": {"role", "condition"}, "policy": set()}
        return Replaced(frozenset(own[google.group(1)])) if google else Replaced()
    words = found.split(" ")[1:]
    return Replaced(
        frozenset(word.rstrip("~") for word in words if not word.startswith("?")),
        frozenset(word[1:].rstrip("~") for word in words if word.startswith("?")),
        frozenset(word.strip("?~") for word in words if word.endswith("~")),
    )


@lru_cache(maxsize=4096)
def stateful(resource_type: str) -> Stateful | None:
    """What a type holds, None where it holds nothing."""
    found = _line(_stateful(), resource_type, b"\t")
    if found is None:
        return None
    _, kind, recovery = found.split("\t")
    return Stateful(kind, recovery)


_HELPERS = re.compile(
    r"(null_resource|terraform_data|time_\w+|local_(sensitive_)?file|random_(string|pet|integer|shuffle|uuid|bytes)|archive_file|"
    r"template_\w+|external|assert_\w+|utils_\w+|context_\w+|validation_\w+|shell_script)\Z"
)
_LIGHT = re.compile(
    r"aws_(iam_(\w+_)?policy(_attachment)?s?(_exclusive)?|iam_(user|group)_\w+|lambda_permission|\w+_policy|\w+_policy_attachment|"
    r"vpc_security_group_(in|e)gress_rule|security_group_rule|network_acl_rule|\w+_association|\w+_attachment|s3_bucket_(acl|ownership_controls)|ec2_tag|ssm_association)\Z"
    r"|azurerm_(role_assignment|role_definition|network_security_rule|\w+_association|\w+_access_policy)\Z"
    r"|google_\w+_iam_(member|binding|policy)\Z|google_(project_service|compute_firewall)\Z"
    r"|aws_(athena_named_query|cloudwatch_query_definition|cloudwatch_dashboard)\Z|(datadog|grafana|newrelic|azurerm|google_monitoring)_(\w+_)?dashboard(_json)?\Z"
    r"|kubernetes_(cluster_)?role(_binding)?(_v1)?\Z|github_(team|membership|team_\w+|repository_collaborators?|issue_label\w*|actions_variable)\Z"
)


def is_helper(resource_type: str) -> bool:
    """Whether a type stands for nothing outside Terraform."""
    return _HELPERS.match(resource_type) is not None


def is_light(resource_type: str) -> bool:
    """Whether a type only permits, connects or shows something (a saved query, a dashboard): nothing stops without it, and it is made again from text."""
    return _LIGHT.match(resource_type) is not None


def loss(resource_type: str) -> tuple[Severity, Reversible]:
    """How bad it is to lose a resource of this type, and whether it comes back."""
    held = stateful(resource_type)
    if held is not None:
        return held.severity, held.reversible
    if is_helper(resource_type) or is_light(resource_type):
        return Severity.LOW, Reversible.YES
    return Severity.MODERATE, Reversible.PARTLY


_GUARDS = re.compile(
    r"azurerm_management_lock|aws_backup_(plan|selection|vault_lock_configuration|vault_policy)|azurerm_backup_(policy|protected)_\w+"
    r"|azurerm_data_protection_backup_(policy|instance)_\w+|google_(compute_(region_)?(resource_policy|disk_resource_policy_attachment)|gke_backup_\w+)"
    r"|aws_dlm_lifecycle_policy|aws_db_instance_automated_backups_replication"
    r"|aws_s3_bucket_(versioning|object_lock_configuration|replication_configuration|server_side_encryption_configuration|logging)"
    r"|aws_s3(_account)?_(bucket_)?public_access_block|aws_ebs_encryption_by_default|aws_ec2_image_block_public_access|aws_ebs_snapshot_block_public_access"
    r"|aws_cloudwatch_(metric_alarm|composite_alarm|anomaly_detector)|aws_route53_health_check|azurerm_monitor_(\w+_)?alert\w*|google_monitoring_alert_policy"
    r"|datadog_(monitor|service_level_objective)|grafana_(rule_group|alert_rule)|pagerduty_service\w*|newrelic_(nrql_)?alert_\w+|opsgenie_\w+"
    r"|aws_cloudtrail(_event_data_store)?|aws_flow_log|aws_guardduty_(detector\w*|organization_\w+)|aws_config_(configuration_recorder\w*|config_rule|conformance_pack|delivery_channel|organization_\w+)"
    r"|aws_securityhub_(account|standards_subscription|organization_\w+)|aws_inspector2_\w+|aws_macie2_account|aws_accessanalyzer_analyzer|aws_detective_graph"
    r"|google_logging_(project|folder|organization)_sink|google_(project|folder|organization)_iam_audit_config|azurerm_monitor_diagnostic_setting"
    r"|azurerm_(security_center|advanced_threat_protection)\w*|azurerm_network_watcher_flow_log|azurerm_mssql_(database|server)_extended_auditing_policy"
    r"|aws_wafv2_web_acl(_association|_logging_configuration)?|aws_waf(regional)?_web_acl(_association)?|aws_shield_protection\w*|google_compute_security_policy|azurerm_web_application_firewall_policy"
    r"|aws_organizations_policy(_attachment)?|google_(project_)?org(anization)?_policy\w*|google_(project|folder|organization)_organization_policy"
    r"|azurerm_(\w+_)?policy_assignment|azurerm_(policy_definition|policy_set_definition)|aws_networkfirewall_(firewall_policy|rule_group|firewall)"
    r"|kubernetes_(network_policy|pod_disruption_budget|limit_range|resource_quota)(_v1)?|aws_appautoscaling_(target|policy)|aws_autoscaling_policy"
    r"|github_(branch_protection(_v3)?|repository_ruleset|organization_ruleset|repository_environment(_deployment_policy)?|repository_dependabot_security_updates)"
)


def is_guard(resource_type: str) -> bool:
    """Whether a type is there to protect, watch or record something else: its removal is a guard removed rather than a thing lost."""
    return _GUARDS.fullmatch(resource_type) is not None


_SPELLINGS = (
    (re.compile(r"(\bdata\.aws_region\.[\w-]+)\.(?:region|id)\b"), r"\1.name"),
    (re.compile(r"(\bdata\.aws_caller_identity\.[\w-]+)\.id\b"), r"\1.account_id"),
    (re.compile(r"(\bdata\.aws_partition\.[\w-]+)\.id\b"), r"\1.partition"),
)
"""Attributes of a data source that are the same value under another name (registry.terraform.io, hashicorp/aws: region, caller identity, partition)."""


def one_spelling(text: str) -> str:
    """A reference in its one spelling."""
    if "data.aws_" in text:
        for pattern, name in _SPELLINGS:
            text = pattern.sub(name, text)
    return text
