"""How much a role of Google Cloud or Azure lets its holder do: a short table, the rest by the role's name.

Source: cloud.google.com/iam/docs/understanding-roles, learn.microsoft.com/azure/role-based-access-control/built-in-roles.
"""

from __future__ import annotations

import re

from checks.model import Severity

LOW, MODERATE, HIGH, CRITICAL = Severity.LOW, Severity.MODERATE, Severity.HIGH, Severity.CRITICAL

_GOOGLE = {
    "roles/owner": CRITICAL,
    "roles/editor": HIGH,
    "roles/viewer": LOW,
    "roles/browser": LOW,
    "roles/iam.serviceAccountTokenCreator": HIGH,
    "roles/iam.serviceAccountKeyAdmin": HIGH,
    "roles/iam.serviceAccountAdmin": HIGH,
    "roles/iam.serviceAccountUser": MODERATE,
    "roles/iam.workloadIdentityUser": MODERATE,
    "roles/iam.securityAdmin": CRITICAL,
    "roles/iam.organizationRoleAdmin": CRITICAL,
    "roles/iam.roleAdmin": HIGH,
    "roles/resourcemanager.organizationAdmin": CRITICAL,
    "roles/resourcemanager.projectIamAdmin": CRITICAL,
    "roles/resourcemanager.folderIamAdmin": CRITICAL,
    "roles/secretmanager.secretAccessor": MODERATE,
    "roles/cloudfunctions.admin": HIGH,
    "roles/compute.admin": HIGH,
    "roles/container.admin": HIGH,
    "roles/storage.admin": HIGH,
    "roles/orgpolicy.policyAdmin": CRITICAL,
}
_AZURE = {
    "owner": CRITICAL,
    "user access administrator": CRITICAL,
    "role based access control administrator": CRITICAL,
    "contributor": HIGH,
    "reader": LOW,
    "key vault administrator": HIGH,
    "key vault secrets user": MODERATE,
    "key vault secrets officer": HIGH,
    "virtual machine administrator login": HIGH,
    "storage blob data owner": HIGH,
    "azure kubernetes service rbac cluster admin": HIGH,
    "managed identity operator": MODERATE,
    "acrpull": LOW,
}


def google_role(role: str) -> Severity:
    """How bad it is to grant a Google Cloud role on a project or above."""
    if role in _GOOGLE:
        return _GOOGLE[role]
    if re.search(r"viewer|reader|metricWriter|logWriter|puller", role, re.IGNORECASE):
        return LOW
    return MODERATE if "${" not in role else LOW


def azure_role(name: str) -> Severity:
    """How bad it is to assign an Azure role on a subscription."""
    found = _AZURE.get(name.lower())
    if found is not None:
        return found
    if re.search(r"reader|monitoring|pull|user\b", name, re.IGNORECASE):
        return LOW
    return MODERATE


def azure_scope(scope: str) -> int:
    """How wide an Azure scope is: 4 management group, 3 subscription, 2 resource group, 1 a resource; 0 not known."""
    low = scope.lower()
    if "managementgroup" in low or "management_group" in low:
        return 4
    if re.search(r"resource_group[s.]", low) or re.search(r"/resourcegroups/[^/]+/?\Z", low):
        return 1 if re.search(r"/providers/", low) else 2
    if re.search(r"azurerm_subscription|/subscriptions/[^/]+/?\Z|subscription_id\b|subscription", low) and "/providers/" not in low:
        return 3
    return 1 if re.search(r"azurerm_\w+\.|/providers/", low) else 0
