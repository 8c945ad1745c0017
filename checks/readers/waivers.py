"""What the configuration of a scanner lets pass: single results, rules and paths, where each scanner writes them.

Sources: checkov.io (skip-check), docs.snyk.io (.snyk), github.com/anchore/grype (ignore), trivy.dev (.trivyignore.yaml, trivy.yaml), docs.zizmor.sh,
github.com/hadolint/hadolint, docs.kubelinter.io, github.com/IBM/audit-ci, aquasecurity.github.io/tfsec, docs.github.com (CodeQL's
configuration, dependency-review-action), docs.gitguardian.com (.gitguardian.yaml), bandit.readthedocs.io, megalinter.io, docs.safetycli.com,
github.com/rubysec/bundler-audit, brakemanscanner.org, github.com/Yelp/detect-secrets, docs.kics.io, ansible.readthedocs.io/projects/lint,
embarkstudios.github.io/cargo-deny, docs.rs/cargo-audit, google.github.io/osv-scanner, github.com/gitleaks/gitleaks.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from typing import Any

_ROOMS: tuple[tuple[str, tuple[str, ...]], ...] = (
    (r"checkov", ("skip-check", "skip-path")),
    (r"\.snyk\Z", ("ignore.~", "exclude.*")),
    (r"grype|trivyignore", ("*.*",)),
    (r"trivy\.ya?ml\Z", ("scan.skip-dirs", "scan.skip-files", "vulnerability.ignore-unfixed", "vulnerability.ignore-status")),
    (r"zizmor", ("rules.*.ignore", "rules.*.disable")),
    (r"hadolint", ("ignored",)),
    (r"kube-linter", ("checks.exclude",)),
    (r"audit-ci", ("allowlist",)),
    (r"tfsec", ("exclude",)),
    (r"codeql[^/]*/?[^/]*\.ya?ml\Z", ("paths-ignore", "query-filters.*.exclude", "disable-default-queries")),
    (r"dependency-review", ("allow-ghsas", "allow-licenses", "allow-dependencies-licenses")),
    (
        r"\.gitguardian\.ya?ml\Z",
        tuple(
            f"{room}{word}"
            for room in ("", "secret.")
            for word in ("ignored_paths", "ignored-paths", "paths-ignore", "ignored_matches.#", "ignored-matches.#", "matches-ignore.#")
        ),
    ),
    (r"bandit\.ya?ml\Z|/\.bandit\Z", ("skips", "exclude_dirs")),
    (r"mega-linter\.ya?ml\Z", ("DISABLE", "DISABLE_LINTERS", "DISABLE_ERRORS", "DISABLE_ERRORS_LINTERS")),
    (r"safety-policy\.ya?ml\Z", ("security.ignore-vulnerabilities.~", "report.dependency-vulnerabilities.auto-ignore-in-report.vulnerabilities.~")),
    (r"bundler-audit\.ya?ml\Z", ("ignore",)),
    (r"brakeman\.ignore\Z", ("ignored_warnings.*.fingerprint",)),
    (r"\.secrets\.baseline\Z", ("results.*.*.hashed_secret",)),
    (r"kics", ("exclude-queries", "exclude-paths", "exclude-severities", "exclude-categories")),
    (r"ansible-lint", ("skip_list", "exclude_paths")),
    (r"/(?:deny|audit)\.toml\Z", ("advisories.ignore",)),
    (r"osv-scanner\.toml\Z", ("IgnoredVulns.*.id",)),
    (r"gitleaks\.toml\Z", tuple(f"{room}.{word}" for room in ("allowlist", "allowlists.*") for word in ("paths", "regexes", "commits", "stopwords"))),
    (r"/pyproject\.toml\Z", ("tool.bandit.skips", "tool.bandit.exclude_dirs")),
)  # fmt: skip
"""The end of a path and the rooms in that file: `*` is each item or each value under its key, `~` the keys, `#` what may be a secret itself."""


def waived(path: str, value: Any) -> frozenset[str]:
    """What the configuration of the scanner that reads the file at `path` lets pass; nothing for other files."""
    end = "/" + "/".join(path.lower().split("/")[-2:])
    return frozenset(
        text for pattern, rooms in _ROOMS if re.search(pattern, end) for room in rooms for text in _held(value, room.split("."), "")
    )


def _held(value: Any, steps: list[str], label: str) -> Iterator[str]:
    if not steps:
        items = value if isinstance(value, list) else [value]
        yield from (f"{label} {text}".strip() for item in items if (text := _text(item)))
    elif steps[0] == "#":
        for item in value if isinstance(value, list) else []:
            named = item.get("name") if isinstance(item, dict) else None
            yield f"{label} {named or 'match ' + hashlib.sha256(repr(item).encode()).hexdigest()[:8]}".strip()
    elif steps[0] == "~":
        yield from (f"{label} {key}".strip() for key in (value if isinstance(value, dict) else ()))
    elif steps[0] == "*":
        entries = (
            [(f"{label} {key}", item) for key, item in value.items()] if isinstance(value, dict)
            else [(label, item) for item in value] if isinstance(value, list) else []
        )  # fmt: skip
        for inner, item in entries:
            yield from _held(item, steps[1:], inner)
    elif isinstance(value, dict) and steps[0] in value:
        found = value[steps[0]]
        yield from [f"{label} {steps[0]}".strip()] if found is True else _held(found, steps[1:], label)


def _text(item: Any) -> str:
    if isinstance(item, dict):
        return str(item.get("vulnerability") or item.get("id") or item.get("name") or ", ".join(sorted(map(str, item))))[:160]
    return "" if item is None or isinstance(item, bool) else str(item)
