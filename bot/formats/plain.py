"""The report as JSON, `interlock/report/1`."""

from __future__ import annotations

import json

from bot.formats import Look
from bot.report_json import as_json
from checks.model import Report


def write(report: Report, _: Look) -> str:
    """One JSON object, in the order of the published schema."""
    return json.dumps(as_json(report), indent=1) + "\n"
