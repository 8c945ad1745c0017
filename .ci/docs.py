"""The documentation as a site: `python .ci/docs.py build/docs`. Pages of `.github/docs`, and what the code says of itself; no network, no script.

A line `<!-- name -->` in a page stands for what the function of that name in `MADE` says; the pages of rules, safeguards and agents are the
docstrings. The look is that of the server's own pages: the same style sheet, copied.
"""

from __future__ import annotations

import html
import importlib
import inspect
import itertools
import json
import re
import shutil
import sys
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from jinja2 import Environment, FileSystemLoader, select_autoescape  # noqa: E402
from markdown_it import MarkdownIt  # noqa: E402
from markdown_it.token import Token  # noqa: E402
from markupsafe import Markup  # noqa: E402

from bot import cli, formats  # noqa: E402
from bot.commands import COMMANDS  # noqa: E402
from bot.settings import SETTINGS  # noqa: E402
from checks import authority, detectors, policy, safeguards  # noqa: E402
from checks.safeguards.defaults import DEFAULTS  # noqa: E402

SOURCE = ROOT / ".github" / "docs"
STATIC = ROOT / "bot" / "pages" / "static"
HOME = formats.HOME
WRITTEN = (
    ("Start", ("index", "verdict", "comparison")),
    ("Reference", ("policy", "commands", "rules/index", "safeguards/index", "agents/index")),
    ("Running it", ("operations", "ci", "security", "decisions")),
)
"""The pages in the order in which the menu has them."""


@dataclass(frozen=True, slots=True)
class Doc:
    """One page: where it stands (without its ending), what the browser calls it, and its text in Markdown."""

    name: str
    text: str

    @property
    def title(self) -> str:
        """The first heading."""
        found = re.search(r"^# (.+)$", self.text, re.MULTILINE)
        return found[1].replace("`", "") if found else self.name

    @property
    def up(self) -> str:
        """The way from here to the site's root."""
        return "../" * self.name.count("/")


def table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    """A table in Markdown; a bar inside a cell stays a bar."""
    cells = [[cell.replace("|", "\\|").replace("\n", " ") for cell in row] for row in [head, tuple("---" for _ in head), *rows]]
    return "\n".join("| " + " | ".join(row) + " |" for row in cells)


def code(text: str) -> str:
    """A name, set as code; nothing for nothing."""
    return f"`{text}`" if text else ""


def page_of(module: str) -> str:
    """A module's docstring."""
    return inspect.cleandoc(importlib.import_module(module).__doc__ or "")


def settings() -> str:
    """Every environment variable of the server."""
    return table(("setting", "meaning", "default"), [(code(one.name), one.help, code(one.default)) for one in SETTINGS])


def comments() -> str:
    """Every command in a comment."""
    return table(("command", "what it does"), [(code(one.usage), one.does) for one in COMMANDS])


def forms() -> str:
    """Every format of a report."""
    return table(("`--format`", "for"), [(code(one.name), one.purpose) for one in formats.FORMS])


def permissions() -> str:
    """What the App asks GitHub for, and why: the remarks of its manifest."""
    found = re.findall(r"^  (\w+): (read|write) # (.+)$", (ROOT / "app.yml").read_text(), re.MULTILINE)
    return table(("permission", "access", "what for"), [(code(name), access, why) for name, access, why in found])


def words() -> str:
    """Every command of the command line, as `--help` prints it."""
    (commands,) = [action for action in cli.parser()._actions if action.dest == "command"]
    parts = []
    for command in cli.COMMANDS:
        examples = "\n".join(command.examples)
        rows = []
        for action in commands.choices[command.name]._actions:  # type: ignore[index,union-attr,call-overload]
            if action.dest != "help":
                name = ", ".join(action.option_strings) or str(action.metavar or action.dest)
                choices = ", ".join(map(str, action.choices or ()))
                rows.append((code(name), (action.help or "") + (f" ({choices})" if choices and action.dest != "format" else "")))
        told = "\n\n" + table(("option", "meaning"), rows) if rows else ""
        parts.append(f"## {command.name}\n\n{command.summary[0].upper()}{command.summary[1:]}.\n\n```sh\n{examples}\n```{told}")
    return "\n\n".join(parts)


def statuses() -> str:
    """What the exit status says."""
    return cli.STATUSES[0].upper() + cli.STATUSES[1:] + "."


def kind(told: dict[str, Any]) -> str:
    """The type that a JSON Schema demands, in words."""
    if "$ref" in told:
        name = told["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    if "const" in told:
        return code(str(told["const"]))
    if "enum" in told:
        return " or ".join(code(one) for one in told["enum"])
    if "anyOf" in told:
        return " or ".join(dict.fromkeys(kind(one) for one in told["anyOf"] if one.get("type") != "null"))
    if told.get("type") == "array":
        return f"list of {kind(told['items'])}"
    if told.get("type") == "object":
        more = told.get("additionalProperties")
        return f"map to {kind(more)}" if isinstance(more, dict) else "map"
    bounds = f" from {told['minimum']} to {told['maximum']}" if "minimum" in told and "maximum" in told else ""
    return {"string": "text", "integer": "whole number"}.get(told.get("type", ""), told.get("type", "")) + bounds


def keys() -> str:
    """Every key of a policy, from the JSON Schema that editors get."""
    schema = policy.schema()
    parts = []
    for name, told in (("The file", schema), *schema["$defs"].items()):
        rows = []
        for key, value in told["properties"].items():
            default = value.get("default")
            shown = "**required**" if key in told.get("required", ()) else code("" if default in (None, "") else str(default))
            rows.append((code(key), kind(value), shown, value.get("description", "")))
        parts.append(f"### {name}\n\n{told.get('description', '')}\n\n" + table(("key", "value", "default", "meaning"), rows))
    return "\n\n".join(parts)


def hazards() -> str:
    """What each hazard needs where no policy says otherwise."""
    rows = []
    for hazard, levels in DEFAULTS.items():
        for least, groups in levels:
            needs = " and ".join("one of " + ", ".join(map(code, group)) if len(group) > 1 else code(group[0]) for group in groups)
            rows.append((code(hazard.value), f"{least} and worse", needs))
    return table(("hazard", "severity", "needs"), rows)


def rules() -> str:
    """All detectors with their rules."""
    parts = []
    for one in detectors.every():
        rows = [(f"[`{rule.id}`]({one.name}.md)", rule.title, code(rule.hazard.value), rule.severity.value) for rule in one.rules]
        parts.append(f"## [{one.title}]({one.name}.md)\n\n" + table(("rule", "what happens", "hazard", "severity"), rows))
    return "\n\n".join(parts)


def guards() -> str:
    """All safeguards."""
    return table(("safeguard", "what it proves"), [(f"[`{one.name}`]({one.name}.md)", one.title) for one in safeguards.every()])


def engines() -> str:
    """All engines for agents."""
    rows = []
    for name in (*authority.ENGINES, "workflows"):
        title, _, where = page_of(f"checks.authority.{name}").partition("\n")[0].partition(": ")
        rows.append((f"[{title.rstrip('.')}]({name.replace('_', '-')}.md)", where))
    return table(("agent", "what is read"), rows)


def security() -> str:
    """SECURITY.md, one level lower."""
    return re.sub(r"^(#+) ", r"#\1 ", (ROOT / "SECURITY.md").read_text().partition("\n")[2].strip(), flags=re.MULTILINE)


def licences() -> str:
    """What the server is made of."""
    locked = re.findall(r"^([A-Za-z0-9._-]+)(?:\[[^]]*\])?==([^ ;\\]+)", (ROOT / "requirements.lock").read_text(), re.MULTILINE)
    direct = {
        re.split(r"[\[<>=~!;]", line)[0].lower() for line in tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    }
    return f"{len(direct)} packages are asked for, {len(locked)} are locked with theirs."


MADE: dict[str, Callable[[], str]] = {
    "settings": settings,
    "comments": comments,
    "formats": forms,
    "permissions": permissions,
    "commands": words,
    "statuses": statuses,
    "policy": keys,
    "hazards": hazards,
    "rules": rules,
    "safeguards": guards,
    "agents": engines,
    "security": security,
    "licences": licences,
}


def written() -> Iterator[Doc]:
    """The pages that were written by hand, with what the code says put in."""
    for _, names in WRITTEN:
        for name in names:
            text = (SOURCE / f"{name}.md").read_text()
            yield Doc(name, re.sub(r"^<!-- ([a-z]+) -->$", lambda match: MADE[match[1]](), text, flags=re.MULTILINE))


def docstrings() -> Iterator[Doc]:
    """A page for each detector, safeguard and engine."""
    for detector in detectors.every():
        rows = [(code(rule.id), rule.title, code(rule.hazard.value), rule.severity.value, rule.reversible.value) for rule in detector.rules]
        head = table(("rule", "what happens", "hazard", "severity", "reversible"), rows)
        yield Doc(
            f"rules/{detector.name}", f"# {detector.title}\n\n{head}\n\n{page_of('checks.detectors.' + detector.name.replace('-', '_'))}"
        )
    for guard in safeguards.every():
        text = page_of("checks.safeguards." + guard.name.replace("-", "_"))
        yield Doc(f"safeguards/{guard.name}", f"# {guard.name}\n\n{text}")
    for engine in (*authority.ENGINES, "workflows"):
        first, _, rest = page_of(f"checks.authority.{engine}").partition("\n")
        title, _, where = first.partition(": ")
        files = f"What is read: {where}\n\n" if where else ""
        yield Doc(f"agents/{engine.replace('_', '-')}", f"# {title.rstrip('.')}\n\n{files}{rest.strip()}")


def slug(text: str, used: set[str]) -> str:
    """The anchor of a heading, as GitHub makes it: lower case, hyphens, a number where it is taken."""
    base = re.sub(r"[^\w\- ]", "", text.lower()).strip().replace(" ", "-") or "part"
    name, number = base, 0
    while name in used:
        number += 1
        name = f"{base}-{number}"
    used.add(name)
    return name


def columns(tokens: list[Token]) -> None:
    """Give each cell the name of its column, which a narrow window shows instead of the table's head."""
    names: list[str] = []
    at = 0
    for token, following in itertools.pairwise(tokens):
        if token.type == "table_open":
            names = []
            token.attrSet("class", "stack")
        elif token.type == "th_open":
            names.append(following.content.replace("`", ""))
        elif token.type == "tr_open":
            at = 0
        elif token.type == "td_open":
            if at and following.content:
                token.attrSet("data-name", names[at])
            at += 1


def as_html(text: str) -> tuple[str, list[tuple[str, str]]]:
    """Markdown as HTML, and its second-level headings with their anchors."""
    markdown = MarkdownIt("commonmark", {"html": False}).enable("table")
    tokens = markdown.parse(text)
    columns(tokens)
    used: set[str] = set()
    inside: list[tuple[str, str]] = []
    for token, following in zip(tokens, [*tokens[1:], Token("", "", 0)], strict=True):
        if token.type == "heading_open":
            words = re.sub(r"\[(.+?)\]\(.*?\)|[`*]", r"\1", following.content)
            name = slug(words, used)
            token.attrSet("id", name)
            if token.tag == "h2":
                inside.append((name, words))
        for child in token.children or ():
            if child.type == "link_open":
                child.attrSet("href", re.sub(r"^([^:#]+)\.md(#.*)?$", r"\1.html\2", str(child.attrGet("href"))))
    made = markdown.renderer.render(tokens, markdown.options, {})
    made = made.replace("<table", '<div class="scroll" tabindex="0" role="region" aria-label="Table"><table').replace(
        "</table>", "</table></div>"
    )
    # A long name in a cell breaks after a slash.
    made = re.sub(r"(?<=<code>)[^<]+(?=</code>(?:</a>)?</td>)", lambda match: match[0].replace("/", "/<wbr>"), made)
    return made.replace("<pre>", '<pre tabindex="0">'), inside


def build(target: Path) -> list[Doc]:
    """Write the site to `target`, anew."""
    shutil.rmtree(target, ignore_errors=True)
    look = Environment(loader=FileSystemLoader(SOURCE), autoescape=select_autoescape(("html",)), trim_blocks=True, lstrip_blocks=True)
    shell = look.get_template("_page.html")
    docs = [*written(), *docstrings()]
    titles = {doc.name: doc.title for doc in docs}
    for doc in docs:
        body, inside = as_html(doc.text)
        menu = [(name, [(one, titles[one]) for one in names]) for name, names in WRITTEN]
        section = doc.name.partition("/")[0] + "/index" if "/" in doc.name else doc.name
        path = target / f"{doc.name}.html"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(
            shell.render(doc=doc, body=Markup(body), inside=inside, menu=menu, here=section, home=HOME),  # noqa: S704 - markup in it was escaped
            encoding="utf-8",
        )
    for file in (STATIC / "interlock.css", STATIC / "icon.svg", SOURCE / "docs.css", ROOT / ".github" / "red-check.svg"):
        shutil.copyfile(file, target / file.name)
    (target / "policy.schema.json").write_text(json.dumps(policy.schema(), indent=1) + "\n", encoding="utf-8")
    return docs


if __name__ == "__main__":
    place = Path(sys.argv[1])
    print(f"{len(build(place))} pages in {html.escape(str(place))}: open {place / 'index.html'}")
