"""Makes the records that Interlock reads as proof: a migration's round trip, the coverage of a change, a practised restore.

Run by the actions beside it, on a runner, with nothing but Python's own library; a plan's digest is made by `interlock plan digest`.
The records hold digests, names, numbers and times: no row of any table, no value of any setting.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime
import hashlib
import json
import os
import re
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit
from xml.etree import ElementTree

ROUND_TRIP, COVERAGE, DRILL = "interlock/round-trip/1", "interlock/coverage/1", "interlock/restore-drill/1"
SECONDS = 1800
"""How long one of the repository's commands may take."""
REPORT = 256 << 20
"""Bytes of a coverage report that are read."""

CATALOGUE = r"""
with theirs as (select oid, nspname from pg_namespace where nspname !~ '^pg_' and nspname <> 'information_schema'),
brought as (select classid, objid from pg_depend where deptype = 'e')
select line from (
 select format('schema %I', nspname) as line from theirs
 union all select format('relation %s %I.%I %s rls=%s/%s %s %s', c.relkind, n.nspname, c.relname, c.relpersistence, c.relrowsecurity,
   c.relforcerowsecurity, array_to_string(c.reloptions, ','), pg_get_expr(c.relpartbound, c.oid))
   from pg_class c join theirs n on n.oid = c.relnamespace where c.relkind in ('r', 'p', 'v', 'm', 'f', 'S')
 union all select format('column %I.%I.%I %s notnull=%s default=%s identity=%s generated=%s collation=%s', n.nspname, c.relname, a.attname,
   format_type(a.atttypid, a.atttypmod), a.attnotnull, pg_get_expr(d.adbin, d.adrelid), a.attidentity, a.attgenerated, l.collname)
   from pg_attribute a join pg_class c on c.oid = a.attrelid join theirs n on n.oid = c.relnamespace
   left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum left join pg_collation l on l.oid = a.attcollation
   where a.attnum > 0 and not a.attisdropped and c.relkind in ('r', 'p', 'v', 'm', 'f')
 union all select format('constraint %I.%s %I %s', n.nspname, coalesce(nullif(o.conrelid, 0)::regclass::text, o.contypid::regtype::text),
   o.conname, pg_get_constraintdef(o.oid)) from pg_constraint o join theirs n on n.oid = o.connamespace
 union all select format('index %s', pg_get_indexdef(i.indexrelid)) from pg_index i join pg_class c on c.oid = i.indexrelid
   join theirs n on n.oid = c.relnamespace
 union all select format('view %I.%I %s', n.nspname, c.relname, pg_get_viewdef(c.oid)) from pg_class c
   join theirs n on n.oid = c.relnamespace where c.relkind in ('v', 'm')
 union all select format('function %s', pg_get_functiondef(p.oid)) from pg_proc p join theirs n on n.oid = p.pronamespace
   where p.prokind in ('f', 'p') and not exists (select from brought b where b.classid = 'pg_proc'::regclass and b.objid = p.oid)
 union all select format('trigger %s enabled=%s', pg_get_triggerdef(t.oid), t.tgenabled) from pg_trigger t
   join pg_class c on c.oid = t.tgrelid join theirs n on n.oid = c.relnamespace where not t.tgisinternal
 union all select format('rule %s', pg_get_ruledef(r.oid)) from pg_rewrite r join pg_class c on c.oid = r.ev_class
   join theirs n on n.oid = c.relnamespace where r.rulename <> '_RETURN'
 union all select format('policy %s %I %s %s using=%s check=%s', p.polrelid::regclass, p.polname, p.polcmd, p.polpermissive,
   pg_get_expr(p.polqual, p.polrelid), pg_get_expr(p.polwithcheck, p.polrelid)) from pg_policy p
 union all select format('type %I.%I %s %s', n.nspname, t.typname, t.typtype, coalesce((select string_agg(quote_literal(e.enumlabel), ','
   order by e.enumsortorder) from pg_enum e where e.enumtypid = t.oid), format_type(nullif(t.typbasetype, 0), t.typtypmod)))
   from pg_type t join theirs n on n.oid = t.typnamespace where t.typtype in ('e', 'd')
 union all select format('sequence %s %s %s %s %s', s.seqrelid::regclass, format_type(s.seqtypid, null), s.seqincrement, s.seqmin, s.seqmax)
   from pg_sequence s join pg_class c on c.oid = s.seqrelid join theirs n on n.oid = c.relnamespace
 union all select format('extension %I', extname) from pg_extension
 union all select format('grant %I.%I %s %s %s', n.nspname, c.relname, coalesce(nullif(x.grantee, 0)::regrole::text, 'public'),
   x.privilege_type, x.is_grantable) from pg_class c join theirs n on n.oid = c.relnamespace, aclexplode(c.relacl) x
   where x.grantee <> c.relowner
) lines order by line collate "C"
"""
"""Everything of a PostgreSQL schema, a line each: postgresql.org/docs/current/catalogs.html. The order of a table's columns is left out: a
column that goes and comes back stands last, and nothing can be done about it."""


class Refused(Exception):
    """No record can be made: a sentence for the log."""


# The repository's own commands.


def scrubbed(more: Mapping[str, str]) -> dict[str, str]:
    """The environment of the repository's commands: nothing of the runner's that could speak for this job."""
    ours = ("ACTIONS_", "INPUT_", "INTERLOCK_")
    files = {"GITHUB_ENV", "GITHUB_PATH", "GITHUB_OUTPUT", "GITHUB_STATE", "GITHUB_STEP_SUMMARY", "GITHUB_TOKEN"}
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ours) and name not in files}
    return {**kept, **given(), **more}


def given() -> dict[str, str]:
    """The lines NAME=value of a secret, for the commands alone."""
    lines = (line.partition("=") for line in os.environ.get("INTERLOCK_GIVEN", "").splitlines())
    return {name: value for name, _, value in lines if re.fullmatch(r"[A-Za-z_]\w*", name)}


def run(command: str, folder: Path, more: Mapping[str, str], silent: bool = False) -> str:
    """Run one of the repository's commands in bash; what it printed. Silent: nothing of it reaches the log. Raises `Refused` where it fails."""
    try:
        done = subprocess.run(
            ["bash", "--noprofile", "--norc", "-euo", "pipefail", "-c", command],
            cwd=folder,
            env=scrubbed(more),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL if silent else None,
            text=True,
            errors="replace",
            timeout=SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise Refused(f"it took more than {SECONDS} s: {command}") from None
    if not silent:
        sys.stderr.write(done.stdout)
    if done.returncode:
        raise Refused(f"it ended with status {done.returncode}: {command}")
    return done.stdout


def git(*words: str) -> str:
    """What git says. Raises `Refused`."""
    done = subprocess.run(["git", *words], capture_output=True, text=True, errors="surrogateescape", check=False)
    if done.returncode:
        raise Refused(f"git {words[0]}: {done.stderr.strip()[-300:]}")
    return done.stdout


# Schemas.


def schema_of(database: str) -> str:
    """The SHA-256 of a database's schema, whatever order it was made in. Raises `Refused`."""
    kind = urlsplit(database).scheme.partition("+")[0]
    if kind in ("postgres", "postgresql"):
        lines = _postgres(re.sub(r"^\w+\+\w+:", "postgresql:", database))
    elif kind in ("sqlite", "sqlite3", "file"):
        lines = _sqlite(urlsplit(database).path.removeprefix("/"))
    else:
        raise Refused(f"a schema is read from postgresql:// and sqlite:/// addresses, not from {kind}://")
    return hashlib.sha256("\n".join(lines).encode("utf-8", "surrogateescape")).hexdigest()


def _postgres(database: str) -> list[str]:
    words = ["psql", "--no-psqlrc", "--quiet", "--no-align", "--tuples-only", "--set=ON_ERROR_STOP=1", f"--dbname={database}"]
    done = subprocess.run([*words, "--command", CATALOGUE], capture_output=True, text=True, errors="surrogateescape", check=False)
    if done.returncode:
        raise Refused(f"the schema could not be read: {done.stderr.strip()[-300:]}")
    return done.stdout.splitlines()


def _sqlite(path: str) -> list[str]:
    if not Path(path).is_file():
        return []
    with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        rows = connection.execute("select type, name, tbl_name, sql from sqlite_master where name not like 'sqlite_%'").fetchall()
    return sorted(f"{kind} {name} {table} {_sorted(sql or '')}" for kind, name, table, sql in rows)


def _sorted(sql: str) -> str:
    """A statement with its definitions in one order: SQLite keeps the text as it was written."""
    text = re.sub(r"\s+", " ", re.sub(r"[\"`\[\]]", "", sql)).strip()
    head, opening, rest = text.partition("(")
    if not opening or not re.match(r"create (temp \w+ |virtual )?table", head, re.IGNORECASE):
        return text
    parts, depth, at = [], 0, 0
    for index, character in enumerate(rest):
        depth += {"(": 1, ")": -1}.get(character, 0)
        if (character == "," and depth == 0) or depth < 0:
            parts.append(rest[at:index].strip())
            at = index + 1
        if depth < 0:
            break
    return f"{head.strip()} ({', '.join(sorted(parts))}){rest[at:]}"


# Round trip.


def round_trip(options: argparse.Namespace) -> dict[str, object]:
    """Up on the base, then up, down and up with the head, and the schema's digest after each."""
    base = git("rev-parse", "--verify", f"{options.base}^{{commit}}").strip()
    merge_base = git("merge-base", base, "HEAD").strip()
    added = [
        name
        for name in git("diff", "--name-only", "-z", "--diff-filter=A", merge_base, "HEAD", "--", *options.migrations).split("\0")
        if name
    ]
    more = {"DATABASE_URL": options.database, "STEPS": str(len(added)), "BASE": merge_base}
    here = Path.cwd() / options.directory
    with tempfile.TemporaryDirectory(prefix="base-") as folder:
        before = Path(folder) / "tree"
        git("worktree", "add", "--quiet", "--detach", str(before), merge_base)
        try:
            there = before / options.directory
            for command in filter(None, (options.prepare, options.start or options.up)):
                run(command, there, more)
        finally:
            git("worktree", "remove", "--force", str(before))
    found = {"start": schema_of(options.database)}
    if options.prepare:
        run(options.prepare, here, more)
    for name, command, like, same, why in (
        ("up", options.up, "start", False, "the migration changed nothing"),
        ("down", options.down, "start", True, "down does not lead back to the schema before"),
        ("again", options.up, "up", True, "up does not lead to the same schema the second time"),
    ):
        run(command, here, more)
        found[name] = schema_of(options.database)
        if (found[name] == found[like]) is not same:
            raise Refused(why)
    return {"schema": ROUND_TRIP, **found}


# Coverage.

Lines = dict[str, tuple[set[int], set[int]]]
"""Path → (lines that can run, lines that ran)."""


def coverage(options: argparse.Namespace) -> dict[str, object]:
    """Which lines of the changed files can run, and which ran; of the others only their kinds, so that a file left out is noticed."""
    root = Path.cwd()
    found: Lines = {}
    for name in options.report:
        path = root / name
        if not path.is_file():
            raise Refused(f"there is no report {name}")
        if path.stat().st_size > REPORT:
            raise Refused(f"{name} is larger than {REPORT >> 20} MiB")
        for file, (able, ran) in _lines(path.read_bytes(), root):
            known = found.setdefault(file, (set(), set()))
            known[0].update(able)
            known[1].update(ran)
    if not found:
        raise Refused(f"{', '.join(options.report)}: no file of this repository is in it")
    wanted = set(found)
    if options.base:
        merge_base = git("merge-base", options.base, "HEAD").strip()
        wanted = set(git("diff", "--name-only", "-z", "--no-renames", "--diff-filter=d", merge_base, "HEAD").split("\0"))
    files = {name: {"lines": sorted(able), "run": sorted(able & ran)} for name, (able, ran) in sorted(found.items()) if name in wanted}
    kinds = sorted({PurePosixPath(name).suffix.removeprefix(".") for name in found} - {""})
    return {"schema": COVERAGE, "files": files, "kinds": kinds}


def _lines(data: bytes, root: Path) -> Iterator[tuple[str, tuple[set[int], set[int]]]]:
    """The files of a report, Cobertura's XML or LCOV, by their path in this repository."""
    if data.lstrip()[:1] == b"<":
        if b"<!ENTITY" in data:
            raise Refused("a report with entities of its own is not read")
        try:
            document = ElementTree.fromstring(data)  # noqa: S314 - entities are refused above, and expat bounds the rest
        except ElementTree.ParseError as error:
            raise Refused(f"the report is no XML: {error}") from None
        folders = [*((one.text or "").strip() for one in document.iter("source")), ""]
        for piece in document.iter("class"):
            name = _place(piece.get("filename") or "", folders, root)
            if name:
                numbers = [(int(line.get("number") or 0), int(line.get("hits") or 0)) for line in piece.iter("line")]
                yield name, ({number for number, _ in numbers}, {number for number, hits in numbers if hits > 0})
        return
    name, able, ran = None, set[int](), set[int]()
    for line in data.decode("utf-8", "replace").splitlines():
        word, _, value = line.strip().partition(":")
        if word == "SF":
            name, able, ran = _place(value, [""], root), set(), set()
        elif word == "DA":
            number, hits = value.split(",")[:2]
            able.add(int(number))
            if int(float(hits)) > 0:
                ran.add(int(number))
        elif word == "end_of_record" and name:
            yield name, (able, ran)


def _place(name: str, folders: Iterable[str], root: Path) -> str | None:
    """Where a report's file stands in this repository; None for one that does not."""
    for folder in folders:
        path = Path(os.path.normpath(root / folder / name))
        if path.is_relative_to(root) and path.is_file():
            return path.relative_to(root).as_posix()
    return None


# Restore drill.


def restore_drill(options: argparse.Namespace) -> dict[str, object]:
    """Restore a backup into a throw-away database and count what came back. What came back is only counted, never shown."""
    more = {"DATABASE_URL": options.database} if options.database else {}
    began = datetime.datetime.now(datetime.UTC)
    taken = _time(run(options.taken, Path.cwd(), more, silent=True).strip()) if options.taken else None
    if taken is not None and taken > began:
        raise Refused("the backup says it was taken in the future")
    run(options.restore, Path.cwd(), more, silent=True)
    said = run(options.count, Path.cwd(), more, silent=True).split()
    rows = int(said[-1]) if said and said[-1].isdigit() else 0
    if rows < options.least:
        raise Refused(f"{rows} rows came back; at least {options.least} were expected")
    ended = datetime.datetime.now(datetime.UTC)
    return {
        "schema": DRILL,
        "stores": [one for one in options.stores if one],
        "taken": taken.isoformat(timespec="seconds") if taken else None,
        "restored": ended.isoformat(timespec="seconds"),
        "seconds": round((ended - began).total_seconds()),
        "rows": rows,
    }


def _time(text: str) -> datetime.datetime:
    try:
        when = datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        raise Refused(f"the time of the backup is not as in 2026-01-31T12:00:00Z: {text[:40]!r}") from None
    return when if when.tzinfo else when.replace(tzinfo=datetime.UTC)


# The command line.


def _words(text: str) -> list[str]:
    """Lines of an input, without empty ones."""
    return [line.strip() for line in text.splitlines() if line.strip()]


def main(words: Sequence[str]) -> int:
    """Make one record. 0: it is written; 1: it cannot be made, and why is said."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, required=True)
    kinds = parser.add_subparsers(required=True)
    trip = kinds.add_parser("round-trip")
    trip.set_defaults(make=round_trip)
    for name in ("database", "base", "up", "down"):
        trip.add_argument(f"--{name}", required=True)
    trip.add_argument("--prepare", default="")
    trip.add_argument("--start", default="")
    trip.add_argument("--directory", default=".")
    trip.add_argument("--migrations", type=_words, default=[])
    lines = kinds.add_parser("coverage")
    lines.set_defaults(make=coverage)
    lines.add_argument("--report", type=_words, required=True)
    lines.add_argument("--base", default="")
    drill = kinds.add_parser("restore-drill")
    drill.set_defaults(make=restore_drill)
    for name in ("restore", "count"):
        drill.add_argument(f"--{name}", required=True)
    drill.add_argument("--stores", type=_words, required=True)
    drill.add_argument("--database", default="")
    drill.add_argument("--taken", default="")
    drill.add_argument("--least", type=int, default=1)
    options = parser.parse_args(words)
    for value in filter(None, given().values()):
        print(f"::add-mask::{value}", flush=True)
    try:
        record = options.make(options)
    except Refused as why:
        print(f"::error title=No proof::{str(why).splitlines()[0][:400]}")
        return 1
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps(record, sort_keys=True) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
