"""What a change does, how far it reaches, what must be proven: values in, values out."""

from __future__ import annotations

from checks.assess import ENGINE, assess, decide
from checks.evidence import OFFLINE, Evidence
from checks.model import Assessment, Change, Effect, Report
from checks.policy import Policy, read_policy

__all__ = ["ENGINE", "OFFLINE", "Assessment", "Change", "Effect", "Evidence", "Policy", "Report", "assess", "decide", "read_policy"]
