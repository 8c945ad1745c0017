"""The report as JUnit XML, for CI systems that show tests: one case for each effect, failed where it stops the change."""

from __future__ import annotations

from xml.etree.ElementTree import Element, SubElement, indent, tostring

from bot.escape import visible
from bot.formats import Look
from bot.formats.judged import Judged, judged
from checks.model import Report


def write(report: Report, _: Look) -> str:
    """A suite: mistakes of the policy and effects that stop the change fail; those that would, if this were enforced, are skipped."""
    assessment = report.assessment
    suite = Element("testsuite", name="interlock")
    for mistake in assessment.mistakes:
        place = f"{mistake.path}:{mistake.line or 1}"
        _failed(_case(suite, "policy", place, mistake.path, mistake.line), "The policy file is wrong", f"{place}: {mistake.message}")
    for one in judged(report):
        _effect(suite, one)
    if not len(suite):
        _case(suite, "interlock", report.verdict.summary, "", None)
    counts: dict[str, str] = {
        "tests": str(len(suite)),
        "failures": str(len(suite.findall("testcase/failure"))),
        "skipped": str(len(suite.findall("testcase/skipped"))),
        "errors": "0",
        "time": f"{assessment.analysis.milliseconds / 1000:.3f}",
    }
    for name, value in counts.items():
        suite.set(name, value)
    root = Element("testsuites", name="interlock")
    for name in ("tests", "failures", "errors", "time"):
        root.set(name, counts[name])
    root.append(suite)
    indent(root, " ")
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + tostring(root, encoding="unicode") + "\n"


def _effect(suite: Element, one: Judged) -> None:
    effect = one.effect
    case = _case(suite, effect.rule, f"{effect.subject} [{effect.id}]", effect.path, effect.line)
    place = f"{effect.path}:{effect.line}" if effect.line else effect.path
    told = f"{place} ({effect.side.value}): {effect.message}"
    needs = f"needs {' and '.join(one.needs)}" if one.needs else ""
    if one.stops:
        _failed(case, f"{effect.severity.value}: {needs}", told)
    elif one.needs:
        SubElement(case, "skipped", message=visible(f"only observed: {effect.message} ({needs})"))
    else:
        SubElement(case, "system-out").text = visible(told)


def _case(suite: Element, group: str, name: str, path: str, line: int | None) -> Element:
    case = SubElement(suite, "testcase", classname=visible(group.replace("/", ".")), name=visible(name, 500), time="0")
    if path:
        case.set("file", visible(path))
    if line:
        case.set("line", str(line))
    return case


def _failed(case: Element, message: str, told: str) -> None:
    SubElement(case, "failure", type="interlock", message=visible(message)).text = visible(told)
