"""How strict the configuration of a checker is: thresholds, strictness switches, rule levels, exclusions and waivers.

Sources: coverage.readthedocs.io (fail_under), pytest-cov, jestjs.io (coverageThreshold), vitest.dev (coverage.thresholds), github.com/istanbuljs/nyc,
docs.codecov.com, docs.gradle.org (jacoco), docs.astral.sh/ruff, mypy.readthedocs.io, typescriptlang.org/tsconfig, eslint.org, biomejs.dev,
golangci-lint.run, docs.rubocop.org, docs.sonarsource.com, pylint.readthedocs.io, phpstan.org (rule levels), and the lists of lines of trivy, gitleaks,
semgrep, grype and tfsec; what scanners are told to let pass elsewhere is in `checks.readers.waivers`.
"""

from __future__ import annotations

import configparser
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from checks.model import Unreadable
from checks.readers import documents, syntax, table, text_of
from checks.readers.toml import loads
from checks.readers.waivers import waived

if TYPE_CHECKING:
    from tree_sitter import Node


@dataclass(frozen=True)
class Strictness:
    """What a checker's configuration asks for."""

    thresholds: Mapping[str, float] = field(default_factory=dict)
    """What must be reached, in per cent."""
    switches: Mapping[str, bool] = field(default_factory=dict)
    """Named strictness options and whether they are on."""
    levels: Mapping[str, int] = field(default_factory=dict)
    """Rule → 0 off, 1 warning, 2 error."""
    chosen: frozenset[str] = frozenset()
    """Checks that are asked for by name."""
    ignored: frozenset[str] = frozenset()
    """Rules and paths left out."""
    waived: frozenset[str] = frozenset()
    """Single results of a scanner that are let pass."""
    inherits: bool = False
    """Takes more from another file, which may say what this one does not."""
    raised: frozenset[str] = frozenset()
    """Rules that are an error somewhere in the file, whatever else is said of them for some paths."""
    allowed: Mapping[str, float] = field(default_factory=dict)
    """How much may be wrong at most, by script and linter; infinite where the script says no number."""


NOTHING = Strictness()
_COVER = ("branches", "functions", "lines", "statements")
_MYPY = re.compile(
    r"strict|disallow_\w+|check_untyped_defs|warn_(?:unreachable|return_any|unused_ignores|redundant_casts)|no_implicit_\w+|strict_\w+|extra_checks\Z"
)
_TSC = re.compile(
    r"strict\w*|noImplicit\w+|noUnused\w+|noUnchecked\w+|exactOptionalPropertyTypes|noFallthroughCasesInSwitch|useUnknownInCatchVariables|checkJs\Z"
)
_WAIVER_FILE = re.compile(r"\.(?:trivyignore|gitleaksignore|semgrepignore|grypeignore|tfsecignore|secretsignore)\Z|\.trivyignore\.")
_LEVEL = {"off": 0, "0": 0, "warn": 1, "1": 1, "info": 1, "error": 2, "2": 2, "on": 2}


@lru_cache(maxsize=256)
def strictness(data: bytes, path: str) -> Strictness:
    """How strict the checker's configuration at `path` is; `NOTHING` where it holds none. Raises `Unreadable`."""
    name = path.rpartition("/")[2].lower()
    if re.search(r"\.[cm]?[jt]s\Z", name):
        return _script(data, path)
    text = text_of(data, path)
    if _WAIVER_FILE.search(name):
        lines = (line.split("#")[0].strip() for line in text.split("\n"))
        return Strictness(waived=frozenset(line for line in lines if line))
    if name.endswith(".toml"):
        return _toml(text, path)
    if name in (".coveragerc", "setup.cfg", "tox.ini", "mypy.ini", ".mypy.ini", "pytest.ini", ".flake8", ".pylintrc", "pylintrc"):
        return _ini(text, path)
    if name.startswith("phpstan"):
        level = re.search(r"^\s+level:\s*(\d+|max)\s*(?:#.*)?$", text, re.MULTILINE)
        return Strictness({"level": 10.0 if level[1] == "max" else float(level[1])} if level else {}, inherits="includes:" in text)
    if name == "sonar-project.properties":
        return _sonar(text)
    if name.endswith((".gradle", ".gradle.kts")):
        return _jacoco(text)
    node = (
        documents.json_node(data, path)
        if name.endswith((".json", ".jsonc")) or text.lstrip()[:1] == "{"
        else documents.one_yaml(data, path)
    )
    value = node.plain_value() if node is not None else None
    return _document(path, name, value) if isinstance(value, dict) else NOTHING


def _number(value: Any) -> float | None:
    match = re.match(r"\s*(\d+(?:\.\d+)?)\s*%?\s*\Z", str(value))
    return float(match[1]) if match else None


def _at(value: Any, *keys: str) -> Any:
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def _texts(value: Any) -> list[str]:
    return (
        [str(item) for item in value if not isinstance(item, dict)]
        if isinstance(value, list)
        else [value]
        if isinstance(value, str)
        else []
    )


def _percentages(prefix: str, value: Any) -> dict[str, float]:
    if not isinstance(value, dict):
        return {}
    return {f"{prefix}{key}": number for key in _COVER if key in value and (number := _number(value[key])) is not None}


def _fail_under(options: Any) -> dict[str, float]:
    match = re.search(r"--cov-fail-under[= ](\d+)", " ".join(_texts(options)) if not isinstance(options, str) else options)
    return {"--cov-fail-under": float(match[1])} if match else {}


def _allowed(scripts: Mapping[str, Any]) -> dict[str, float]:
    """How many warnings each script lets its linter find (eslint.org/docs/latest/use/command-line-interface, stylelint.io, oxc.rs); -1 is any number."""
    out = {}
    for name, script in scripts.items():
        linter = _LINTER.search(script) if isinstance(script, str) else None
        if linter is not None:
            found = [float(number) for number in re.findall(r"--max-warnings[= ](-?\d{1,9})(?!\S)", linter.string)]
            out[f"{name} ({linter[0]} --max-warnings)"] = min((math.inf if number < 0 else number for number in found), default=math.inf)
    return out


_LINTER = re.compile(r"\b(?:eslint|stylelint|next lint|oxlint)\b")


def _toml(text: str, path: str) -> Strictness:
    root = loads(text, path)
    tool = table(root.get("tool"))
    thresholds = {}
    number = _number(_at(tool, "coverage", "report", "fail_under"))
    if number is not None:
        thresholds["fail_under"] = number
    thresholds |= _fail_under(_at(tool, "pytest", "ini_options", "addopts") or "")
    mypy = table(tool.get("mypy"))
    switches = {key: value for key, value in mypy.items() if isinstance(value, bool) and _MYPY.fullmatch(key)}
    for override in mypy.get("overrides") or []:
        if isinstance(override, dict) and override.get("ignore_errors") is True:
            switches |= {f"check of {module}": False for module in _texts(override.get("module"))}
    ruff = root if path.endswith("ruff.toml") else table(tool.get("ruff"))
    lint = {**ruff, **(table(ruff.get("lint")))}
    chosen = frozenset(f"ruff {rule}" for key in ("select", "extend-select") for rule in _texts(lint.get(key)))
    ignored = frozenset(f"ruff {rule}" for key in ("ignore", "extend-ignore") for rule in _texts(lint.get(key)))
    pyright = _at(tool, "pyright", "typeCheckingMode") or _at(tool, "basedpyright", "typeCheckingMode")
    if pyright:
        switches["pyright strict"] = pyright in ("strict", "all", "recommended")
    ignored |= frozenset(f"pylint {rule}" for held in table(tool.get("pylint")).values() for rule in _texts(_at(held, "disable")))
    return Strictness(thresholds, switches, {}, chosen, ignored, waived(path, root), "extend" in ruff)


def _ini(text: str, path: str) -> Strictness:
    parser = configparser.RawConfigParser(strict=False, allow_no_value=True)
    try:
        parser.read_string(text)
    except configparser.Error as error:
        raise Unreadable(path, f"it is not a valid settings file: {str(error)[:60]}") from None
    thresholds: dict[str, float] = {}
    switches: dict[str, bool] = {}
    ignored: set[str] = set()
    for section in parser.sections():
        for key, value in parser.items(section):
            if key == "fail_under" and (number := _number(value)) is not None:
                thresholds["fail_under"] = number
            elif key == "addopts":
                thresholds |= _fail_under(value or "")
            elif section == "mypy" and _MYPY.fullmatch(key) and value:
                switches[key] = value.strip().lower() == "true"
            elif section.startswith("mypy-") and key == "ignore_errors" and (value or "").strip().lower() == "true":
                switches[f"check of {section[5:]}"] = False
            elif key == "disable" and ("pylint" in path or section.startswith("pylint")):
                ignored.update(f"pylint {rule}" for rule in re.findall(r"[\w-]+", re.sub(r"#.*", "", value or "")))
            elif section.endswith("flake8") and key in ("ignore", "extend-ignore"):
                ignored.update(f"flake8 {rule}" for rule in re.findall(r"[A-Z]+\d+", re.sub(r"#.*", "", value or "")))
    return Strictness(thresholds, switches, ignored=frozenset(ignored))


def _sonar(text: str) -> Strictness:
    values = dict(re.findall(r"^[ \t]*+([\w.]+)[ \t]*=[ \t]*+((?:.*\S)?)[ \t\r]*$", text.replace("\\\n", ""), re.MULTILINE))
    ignored = frozenset(
        f"{key} {part.strip()}" for key, value in values.items() if "exclusions" in key for part in value.split(",") if part.strip()
    )
    return Strictness(
        switches={"sonar.qualitygate.wait": values["sonar.qualitygate.wait"] == "true"} if "sonar.qualitygate.wait" in values else {},
        ignored=ignored,
    )


def _jacoco(text: str) -> Strictness:
    code = syntax.blank(text, quotes="")
    found = re.findall(r"\bminimum\s*(?:=|\.set\()\s*[\"']?(0?\.\d+|1(?:\.0+)?)", code) if "acoco" in code else []
    return Strictness({f"jacoco minimum {index + 1}": float(value) * 100 for index, value in enumerate(found)})


def _document(path: str, name: str, value: dict[str, Any]) -> Strictness:
    if re.match(r"tsconfig.*\.json", name) or name == "jsconfig.json":
        options = table(value.get("compilerOptions"))
        return Strictness(
            switches={key: on for key, on in options.items() if isinstance(on, bool) and _TSC.fullmatch(key)}, inherits="extends" in value
        )
    if name == "package.json":
        jest = _at(value, "jest", "coverageThreshold")
        thresholds = {k: v for scope, held in table(jest).items() for k, v in _percentages(f"coverageThreshold.{scope}.", held).items()}
        return Strictness(
            thresholds | _percentages("nyc.", value.get("nyc")),
            levels=_levels(_at(value, "eslintConfig", "rules")),
            inherits=True,
            allowed=_allowed(table(value.get("scripts"))),
        )
    if name.startswith("jest.config"):
        return Strictness(
            {k: v for scope, held in table(value.get("coverageThreshold")).items() for k, v in _percentages(f"{scope}.", held).items()}
        )
    if "nycrc" in name or name.startswith(".c8rc"):
        check = value.get("check-coverage")
        return Strictness(_percentages("", value), {"check-coverage": check} if isinstance(check, bool) else {})
    if "codecov" in name:
        return _codecov(value)
    if "eslintrc" in name or "oxlintrc" in name:
        return Strictness(levels=_levels(value.get("rules")), inherits="extends" in value)
    if name.startswith("biome."):
        groups = _at(value, "linter", "rules") or {}
        rules = {f"{g}/{r}": level for g, held in groups.items() if isinstance(held, dict) for r, level in held.items()}
        on = _at(value, "linter", "enabled")
        return Strictness(
            switches={"linter": on} if isinstance(on, bool) else {},
            levels=_levels({k: v.get("level") if isinstance(v, dict) else v for k, v in rules.items()}),
        )
    if "golangci" in name:
        linters = table(value.get("linters"))
        excluded = (_at(value, "issues", "exclude-rules") or []) + (_at(linters, "exclusions", "rules") or [])
        ignored = {f"linter {item}" for item in _texts(linters.get("disable"))} | {
            f"exclusion {sorted(map(str, rule.items()))}"[:160] for rule in excluded if isinstance(rule, dict)
        }
        return Strictness(chosen=_golangci(linters, table(value.get("formatters"))), ignored=frozenset(ignored))
    if "rubocop" in name:
        return Strictness(
            levels={
                cop: 2 if held["Enabled"] in (True, "pending") else 0
                for cop, held in value.items()
                if isinstance(held, dict) and "Enabled" in held
            },
            inherits="inherit_from" in value or "inherit_gem" in value,
        )
    return Strictness(waived=waived(path, value))


EVERY = "linter of every kind"
"""Stands for all linters there are, where a configuration switches all of them on."""
_STANDARD = ("errcheck", "govet", "ineffassign", "staticcheck", "unused")
_MERGED = {"gosimple": "staticcheck", "stylecheck": "staticcheck", "gas": "gosec", "vet": "govet", "vetshadow": "govet"}


def _golangci(linters: dict[str, Any], formatters: dict[str, Any]) -> frozenset[str]:
    """What golangci-lint runs: the standard linters unless told otherwise, what is enabled, and version 2's formatters, which were linters.

    Source: golangci-lint.run/docs/linters and /docs/product/migration-guide (`linters.default`, merged linters, formatters, `typecheck`).
    """
    default = linters.get("default")
    none = default in ("none", "fast") or linters.get("disable-all") is True
    every = default == "all" or linters.get("enable-all") is True
    names = {_MERGED.get(item, item) for item in (*_texts(linters.get("enable")), *_texts(formatters.get("enable")))} - {"typecheck"}
    names |= set() if none else set(_STANDARD)
    return frozenset({f"linter {item}" for item in names} | ({EVERY} if every else set()))


def _codecov(value: dict[str, Any]) -> Strictness:
    thresholds: dict[str, float] = {}
    switches: dict[str, bool] = {}
    for kind in ("project", "patch"):
        status = _at(value, "coverage", "status", kind)
        if isinstance(status, bool):
            switches[f"{kind} status"] = status
            continue
        for name, held in table(status).items():
            if isinstance(held, dict):
                number = _number(held.get("target"))
                if number is not None:
                    thresholds[f"{kind}.{name}.target"] = number
                slack = _number(held.get("threshold"))
                if slack is not None:
                    thresholds[f"{kind}.{name} less its threshold"] = 100 - slack
                switches[f"{kind}.{name} blocks"] = held.get("informational") is not True
    return Strictness(thresholds, switches)


def _levels(rules: Any) -> dict[str, int]:
    if not isinstance(rules, dict):
        return {}
    plain = {name: held[0] if isinstance(held, list) and held else held for name, held in rules.items()}
    return {name: _LEVEL[str(level).lower()] for name, level in plain.items() if str(level).lower() in _LEVEL}


# --- configuration written as a program --------------------------------------------------------------------------------------------------


def _script(data: bytes, path: str) -> Strictness:
    language = syntax.language_of(path) or "javascript"
    root = syntax.tree(data, path, language).root_node
    thresholds: dict[str, float] = {}
    levels: dict[str, int] = {}
    raised: set[str] = set()
    for node in syntax.walk(root, lambda node: node.type != "comment"):
        if node.type != "pair":
            continue
        key, value = syntax.text(node.child_by_field_name("key")).strip("\"'"), node.child_by_field_name("value")
        above = list(_above(node))
        if (
            key in _COVER
            and value is not None
            and value.type == "number"
            and any(word in ("coverageThreshold", "thresholds", "threshold") for word in above)
        ):
            thresholds[".".join([*reversed(above[:1]), key])] = float(syntax.text(value))
        elif above[:1] == ["rules"] and value is not None:
            inner = value.named_child(0) if value.type == "array" else value
            level = _LEVEL.get(syntax.text(inner).strip("\"'").lower())
            if level is not None:
                levels[key] = min(level, levels.get(key, 2))
                raised |= {key} if level == 2 else set()
    return Strictness(thresholds, levels=levels, inherits=True, raised=frozenset(raised))


def _above(node: Node) -> Iterator[str]:
    here = node.parent
    while here is not None:
        if here.type == "pair":
            yield syntax.text(here.child_by_field_name("key")).strip("\"'")
        here = here.parent
