"""The pages of rules, detectors and safeguards as text: their docstrings are the source."""

from __future__ import annotations

import difflib
import importlib
import inspect

from checks import detectors, safeguards
from checks.safeguards.defaults import NAMES


def explain(name: str | None) -> str:
    """The page of a rule, detector or safeguard; the list of all where no name is given. Raises `RepositoryError` for an unknown one."""
    if name is None:
        return listing()
    known = page(name)
    if known is None:
        from bot.cli import Refused

        names = [*detectors.rules(), *(key.replace("_", "-") for key in detectors.REGISTER), *NAMES]
        close = difflib.get_close_matches(name, names, n=1)
        raise Refused(
            f"there is no rule, detector or safeguard called {name!r}"
            + (f"; did you mean {close[0]}?" if close else "; `interlock explain` lists them")
        )
    return known


def page(name: str) -> str | None:
    """The page in Markdown, None for an unknown name."""
    if name in NAMES:
        return f"# {name}\n\n{_doc('checks.safeguards.' + name.replace('-', '_'))}"
    detector_name, _, rule_name = name.partition("/")
    module = detector_name.replace("-", "_")
    if module not in detectors.REGISTER:
        return None
    detector = detectors.load(module)
    rules = [rule for rule in detector.rules if not rule_name or rule.id == name]
    if not rules:
        return None
    rows = "\n".join(
        f"- `{rule.id}`: {rule.title} ({rule.hazard.value}, {rule.severity.value}, reversible: {rule.reversible.value})" for rule in rules
    )
    return f"# {name}\n\n{rows}\n\n{_doc('checks.detectors.' + module)}"


def listing() -> str:
    """All rules by detector, and all safeguards."""
    parts = ["Rules"]
    for detector in detectors.every():
        parts += ["", detector.title, *(f"  {rule.id:<48} {rule.title}" for rule in detector.rules)]
    parts += ["", "Safeguards", *(f"  {safeguard.name:<24} {safeguard.title}" for safeguard in safeguards.every())]
    return "\n".join(parts)


def _doc(module: str) -> str:
    return inspect.cleandoc(importlib.import_module(module).__doc__ or "")
