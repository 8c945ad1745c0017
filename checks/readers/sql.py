"""SQL as a sequence of plain operations: what each statement creates, drops, changes, deletes or grants.

PostgreSQL is read by its own parser (libpg_query through pglast). A statement that parser refuses, which is how every other dialect shows, is
read by a small grammar of DDL over tokens (MySQL, T-SQL, SQLite, Oracle, ClickHouse), statement by statement, so that one bad statement does
not hide its neighbours. That grammar is linear in its input, where general parsers of many dialects are exponential in nested brackets and
take what they do not know for something harmless: here a statement that is not recognised is `unread`, never nothing.

Read as a database would: `/*!50000 … */` is code, a lone carriage return ends a line, COPY data is data, psql commands and templates are
placeholders. The bodies of functions and triggers do not run now; the body of a DO block does, and is looked into.
Sources: postgresql.org/docs/18/sql-commands.html; dev.mysql.com/doc/refman/8.4/en/comments.html; learn.microsoft.com/sql/t-sql/statements.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from checks.model import Unreadable
from checks.readers import text_of

DEPTH = 120
"""Levels of brackets in one statement."""
STATEMENTS = 20_000
"""Statements of one file."""
COMPUTED = "template_value"
"""Stands for what a template or an expression would put in."""
NESTED = 3
"""Levels of SQL inside strings inside SQL that are looked into."""


def shown(text: str) -> str:
    """`text` with what stands for a name put together at run time written for people."""
    return text.replace(COMPUTED, "(computed)").replace("{{computed}}", "(computed)")


@dataclass(frozen=True, slots=True)
class Operation:
    """One thing a statement does."""

    verb: str
    """create, drop, rename, type, required, optional, default, undefault, truncate, delete, update, insert, grant, revoke, enable, disable, own, alter."""
    kind: str
    """What it is done to: table, column, index, constraint, trigger, function, view, type, schema, database, policy, rows, role, privilege, …"""
    table: str
    """The table, or "" where there is none."""
    name: str
    """The object itself: a column of `table`, an index, a function; the table again for a table."""
    line: int
    details: tuple[tuple[str, str], ...] = ()
    sure: bool = True
    """False where it stands under a condition or in a string put together at run time."""

    def get(self, key: str) -> str:
        """A detail, or "" where there is none."""
        return next((value for name, value in self.details if name == key), "")

    @property
    def subject(self) -> str:
        """The object's name as a person would say it."""
        if not self.table or self.table == self.name:
            return shown(self.name)
        return shown(f"{self.table}.{self.name}" if self.name else self.table)


@dataclass(frozen=True, slots=True)
class Unread:
    """A statement that cannot be judged."""

    line: int
    why: str
    text: str


@dataclass(frozen=True, slots=True)
class Script:
    """All operations of a text in order, and what could not be read."""

    operations: tuple[Operation, ...] = ()
    unread: tuple[Unread, ...] = ()


@lru_cache(maxsize=512)
def script(data: bytes, path: str) -> Script:
    """The operations of an SQL file. Raises `Unreadable` where it is no text or over the limit."""
    return operations(text_of(data, path), path)


@lru_cache(maxsize=2048)
def operations(text: str, path: str = "", line: int = 1, nested: int = 0) -> Script:
    """The operations of SQL `text` whose first line is `line` of the file at `path`."""
    found: list[Operation] = []
    unread: list[Unread] = []
    if nested > NESTED:
        return Script((), (Unread(line, "it holds SQL inside SQL inside SQL", _short(text)),))
    code = prepared(text, unread)
    if not code.strip():
        return Script((), tuple(unread))
    whole = None if _too_deep(code) else _postgres(code, nested)
    if whole is not None:
        found.extend(whole.operations)
        unread.extend(whole.unread)
    else:
        dialect = _dialect(code)
        statements = list(split(code, dialect))
        if len(statements) > STATEMENTS:
            raise Unreadable(path, f"it has more than {STATEMENTS:,} statements")
        for piece in statements:
            one = None if dialect != "postgres" or _too_deep(piece.text) else _postgres(piece.text, nested)
            one = one or _shallow(piece, nested)
            found.extend(replace(operation, line=operation.line + piece.line - 1) for operation in one.operations)
            unread.extend(replace(item, line=item.line + piece.line - 1) for item in one.unread)
    if line != 1:
        found = [replace(operation, line=operation.line + line - 1) for operation in found]
        unread = [replace(item, line=item.line + line - 1) for item in unread]
    return Script(tuple(found), tuple(sorted(unread, key=lambda item: item.line)))


def name_of(text: str) -> str:
    """A name without quotes, lower case, without the default schema, so that two spellings of one object compare equal."""
    parts = [part.strip('"`[] ') for part in text.strip().split(".")]
    if len(parts) > 1 and parts[-2].lower() in ("public", "dbo"):
        parts = parts[-1:]
    return ".".join(parts).lower()


def _postgres(text: str, nested: int) -> Script | None:
    """`text` as PostgreSQL reads it, None where it does not."""
    from checks.readers import postgres

    return postgres.read(text, nested)


# ---------------------------------------------------------------------------------------------------------------- before parsing

_MYSQL_COMMENT = re.compile(r"/\*M?!\d{0,6}(?=[\s\w`(])")
_COPY = re.compile(r"^[ \t]*copy\s[^;]*\sfrom\s+stdin[^;]*;[^\n]*\n", re.IGNORECASE | re.MULTILINE)
_META = re.compile(r"^[ \t]*\\(\w+|!)([^\n]*)$", re.MULTILINE)
_GEXEC = re.compile(r"\\gexec\b|\\gx?\b|\\gset\b")
_TEMPLATE = re.compile(r"\{\{.{0,400}?\}\}|\{%.{0,400}?%\}|<%.{0,400}?%>|(?<!\$)\$\{[^{}\n]{0,200}\}|#\{[^{}\n]{0,200}\}", re.DOTALL)
_GO = re.compile(r"^[ \t]*+(GO|/)[ \t]*+(\d++)?[ \t]*+;?[ \t]*+$", re.IGNORECASE | re.MULTILINE)
_RUNS_FILE = frozenset({"i", "ir", "include", "include_relative", "!", "copy", "o", "w"})


def prepared(text: str, unread: list[Unread]) -> str:
    """`text` with everything that is not SQL replaced by blanks or placeholders of the same number of lines."""
    if "\\." in text and re.search(r"\bstdin\b", text, re.IGNORECASE):
        text = _without_copy(text)
    if "/*!" in text or "/*M!" in text:
        text = _unwrapped(text)
    if "{{" in text or "${" in text or "<%" in text or "#{" in text or "{%" in text:
        text = _TEMPLATE.sub(_placeholder, text)
    if "\\" in text:

        def meta(match: re.Match[str]) -> str:
            if match[1] in _RUNS_FILE:
                line = text.count("\n", 0, match.start()) + 1
                unread.append(Unread(line, f"the psql command \\{match[1]} runs something from elsewhere", match[0].strip()[:120]))
            return ""

        text = _META.sub(meta, text)
        for match in _GEXEC.finditer(text):
            if match[0] == "\\gexec":
                unread.append(Unread(text.count("\n", 0, match.start()) + 1, "\\gexec runs what a query returns", "\\gexec"))
        text = _GEXEC.sub(";", text)
    return text


def _without_copy(text: str) -> str:
    out: list[str] = []
    at = 0
    for match in _COPY.finditer(text):
        if match.start() < at:
            continue
        end = text.find("\n\\.", match.end() - 1)
        if end < 0:
            break
        out += [text[at : match.end()], "\n" * text.count("\n", match.end(), end + 1)]
        at = end + 3
    return "".join([*out, text[at:]])


def _unwrapped(text: str) -> str:
    out: list[str] = []
    at = 0
    while match := _MYSQL_COMMENT.search(text, at):
        end = text.find("*/", match.end())
        if end < 0:
            break
        out += [text[at : match.start()], " ", text[match.end() : end], " "]
        at = end + 2
    return "".join([*out, text[at:]])


def _placeholder(match: re.Match[str]) -> str:
    text = match[0]
    word = "" if text.startswith(("{%", "<%")) and not text.startswith("<%=") else COMPUTED
    return word + "\n" * text.count("\n")


def _too_deep(text: str) -> bool:
    depth = 0
    comments = 0
    for match in re.finditer(r"[(\[)\]]|/\*|\*/", text):
        if match[0] == "/*":
            comments += 1
            if comments > DEPTH:
                return True
        elif match[0] == "*/":
            comments = max(0, comments - 1)
        elif match[0] in "([":
            depth += 1
            if depth > DEPTH:
                return True
        elif match[0] in ")]":
            depth = max(0, depth - 1)
    return False


# ------------------------------------------------------------------------------------------------------------------------ tokens


@dataclass(frozen=True, slots=True)
class Token:
    """One token: `word` (upper case in `upper`), `name` (quoted), `string`, `number`, `body` (dollar quoted) or `sign`."""

    kind: str
    text: str
    at: int
    end: int

    @property
    def upper(self) -> str:
        return self.text.upper() if self.kind == "word" else ""

    @property
    def name(self) -> bool:
        return self.kind in ("word", "name")


@dataclass(frozen=True, slots=True)
class Piece:
    """One statement with its tokens; `line` is that of its first token."""

    text: str
    line: int
    tokens: tuple[Token, ...]


_BLANK = re.compile(r"\s+|--[^\n]*")
_WORD = re.compile(r"[^\W\d][\w$#]*|@{1,2}\w+|:\w+")
_NUMBER = re.compile(r"\d[\w.]*")
_DOLLAR = re.compile(r"\$(?:[^\W\d]\w*)?\$")


def tokens(text: str, dialect: str) -> Iterator[Token]:
    """The tokens of `text`, comments left out."""
    at, size = 0, len(text)
    escapes = dialect in ("mysql", "clickhouse")
    while at < size:
        head = text[at]
        if match := _BLANK.match(text, at):
            at = match.end()
            continue
        if escapes and head == "#":
            at = (text.find("\n", at) + 1) or size
            continue
        if text.startswith("/*", at):
            at = _comment_end(text, at, nested=not escapes)
            continue
        start = at
        if head == "'" or (head in "eEnNbBxX" and text[at + 1 : at + 2] == "'"):
            quote = at if head == "'" else at + 1
            at = _quoted_end(text, quote, "'", escapes or head in "eE")
            yield Token("string", _unquoted(text[quote + 1 : at - 1], "'"), start, at)
        elif head == '"' or (head == "`" and dialect != "tsql"):
            at = _quoted_end(text, at, head, escapes and head == '"')
            yield Token("name", _unquoted(text[start + 1 : at - 1], head), start, at)
        elif head == "[" and dialect in ("tsql", "sqlite") and (end := text.find("]", at)) > 0:
            at = end + 1
            yield Token("name", text[start + 1 : end], start, at)
        elif head == "$" and not escapes and (match := _DOLLAR.match(text, at)):
            end = text.find(match[0], match.end())
            at = size if end < 0 else end + len(match[0])
            yield Token("body", text[match.end() : size if end < 0 else end], start, at)
        elif match := _WORD.match(text, at):
            at = match.end()
            yield Token("word", match[0], start, at)
        elif match := _NUMBER.match(text, at):
            at = match.end()
            yield Token("number", match[0], start, at)
        else:
            at += 1
            yield Token("sign", head, start, at)


def _comment_end(text: str, at: int, nested: bool) -> int:
    depth = 0
    for match in re.compile(r"/\*|\*/").finditer(text, at):
        if match[0] == "/*":
            depth = depth + 1 if nested or not depth else depth
        else:
            depth -= 1
            if not depth:
                return match.end()
    return len(text)


def _quoted_end(text: str, at: int, quote: str, escapes: bool) -> int:
    at += 1
    while at < len(text):
        if escapes and text[at] == "\\":
            at += 2
        elif text[at] == quote:
            if text[at + 1 : at + 2] != quote:
                return at + 1
            at += 2
        else:
            at += 1
    return len(text)


def _unquoted(text: str, quote: str) -> str:
    return text.replace(quote * 2, quote)


def _dialect(text: str) -> str:
    """Which dialect a text that is no PostgreSQL as a whole is likely written in."""
    if re.search(r"\bon\s+cluster\b|\bengine\s*=?\s*\w*mergetree|\breplicatedm|\blowcardinality\(|\bttl\s+\w+\s*\+", text, re.IGNORECASE):
        return "clickhouse"
    if (_GO.search(text) and not re.search(r"`", text)) or re.search(
        r"\[\w+\]\.\[\w+\]|\bdbo\.|\bnvarchar\b|\bsp_rename\b", text, re.IGNORECASE
    ):
        return "tsql"
    if re.search(r"`\w|\bengine\s*=|\bauto_increment\b|^\s*delimiter\s", text, re.IGNORECASE | re.MULTILINE):
        return "mysql"
    if re.search(r"\bautoincrement\b|\bpragma\s", text, re.IGNORECASE):
        return "sqlite"
    return "postgres"


_HEADS = frozenset(
    [
        "DROP",
        "ALTER",
        "CREATE",
        "TRUNCATE",
        "DELETE",
        "UPDATE",
        "INSERT",
        "EXEC",
        "EXECUTE",
        "GRANT",
        "REVOKE",
        "IF",
        "WHILE",
        "PRINT",
        "DECLARE",
        "MERGE",
        "DENY",
    ]
)
_GUARDS = frozenset({"IF", "ELSE", "WHILE"})
"""T-SQL: what the next statement hangs on (learn.microsoft.com/en-us/sql/t-sql/language-elements/control-of-flow)."""
_QUIETLY_GUARDED = frozenset({"BREAK", "CONTINUE", "RAISERROR", "RETURN", "SELECT", "SET", "THROW"})
"""What else may hang on it, where no statement that changes something follows."""
_ROUTINE = frozenset({"TRIGGER", "PROCEDURE", "PROC", "FUNCTION", "EVENT", "PACKAGE"})
_DELIMITER = re.compile(r"^[ \t]*delimiter[ \t]+(\S+)[ \t]*$", re.IGNORECASE | re.MULTILINE)


def split(text: str, dialect: str) -> Iterator[Piece]:
    """The statements of `text`, each with its tokens; routine bodies (BEGIN … END) stay whole."""
    lines = [0, *(match.end() for match in re.finditer("\n", text))]
    for part, start in _batches(text):
        current: list[Token] = []
        depth = blocks = 0
        for token in tokens(part, dialect):
            if dialect == "tsql" and current and not depth and not blocks and _begins(part, token):
                guard = current[0].upper in _GUARDS and not any(item.upper in _HEADS - _GUARDS for item in current[1:])
                clause = token.upper in ("DROP", "ALTER") and _only_named(current)
                if not guard and not clause and not _routine(current):
                    yield _piece(part, start, lines, _without_ends(current))
                    current = []
            if token.text in ("(", "["):
                depth += token.kind == "sign"
            elif token.text in (")", "]"):
                depth = max(0, depth - (token.kind == "sign"))
            elif token.upper in ("BEGIN", "CASE", "LOOP") and _routine(current):
                blocks += 1
            elif token.upper == "END" and blocks:
                blocks -= 1
            elif token.upper in ("LOOP", "IF", "CASE", "WHILE", "REPEAT") and current and current[-1].upper == "END":
                pass
            if token.text == ";" and token.kind == "sign" and not blocks:
                if current:
                    yield _piece(part, start, lines, current)
                current, depth = [], 0
                continue
            current.append(token)
        if current:
            yield _piece(part, start, lines, _without_ends(current) if dialect == "tsql" and not _routine(current) else current)


def _begins(text: str, token: Token) -> bool:
    """Whether a token begins a T-SQL statement that nothing sets apart from the one before: it stands first on its line."""
    head = token.upper in _HEADS or (token.upper == "SET" and text[token.end :].lstrip().startswith("@"))
    return head and _starts_line(text, token.at)


def _only_named(current: Sequence[Token]) -> bool:
    """Whether the last statement in `current` is an ALTER that has named its object and nothing more: its clause may follow on the next line."""
    start = next((index for index in range(len(current) - 1, -1, -1) if current[index].upper in _HEADS - _GUARDS), None)
    if start is None or current[start].upper != "ALTER":
        return False
    named = current[start + 2 :]
    dots = sum(token.text == "." for token in named)
    return bool(named) and len(named) == 2 * dots + 1 and all(token.name or token.text == "." for token in named)


def _without_ends(current: list[Token]) -> list[Token]:
    """A statement without the END of the block that it stands in."""
    ends = sum(token.upper == "END" for token in current) - sum(token.upper in ("CASE", "BEGIN") for token in current)
    while ends > 0 and len(current) > 1 and current[-1].upper == "END":
        current, ends = current[:-1], ends - 1
    return current


def _routine(current: Sequence[Token]) -> bool:
    return bool(current) and current[0].upper in ("CREATE", "ALTER") and any(token.upper in _ROUTINE for token in current[:9])


def _starts_line(text: str, at: int) -> bool:
    return not text[text.rfind("\n", 0, at) + 1 : at].strip()


def _batches(text: str) -> Iterator[tuple[str, int]]:
    """Parts between GO lines and between DELIMITER lines, with their offsets; inside a DELIMITER part the mark ends statements."""
    marks = list(_DELIMITER.finditer(text))
    if not marks:
        at = 0
        for go in _GO.finditer(text):
            yield text[at : go.start()], at
            at = go.end()
        yield text[at:], at
        return
    at, mark = 0, ";"
    for match in [*marks, None]:
        end = match.start() if match else len(text)
        if mark == ";":
            yield text[at:end], at
        else:
            offset = at
            for part in text[at:end].split(mark):
                yield part, offset
                offset += len(part) + len(mark)
        if match:
            at, mark = match.end(), match[1]


def _piece(text: str, start: int, lines: list[int], current: list[Token]) -> Piece:
    first, last = current[0].at, current[-1].end
    moved = tuple(Token(token.kind, token.text, token.at - first, token.end - first) for token in current)
    return Piece(text[first:last], bisect_right(lines, start + first), moved)


# ------------------------------------------------------------------------------------------------- statements of other dialects

_OBJECTS = {
    "TABLE": "table", "VIEW": "view", "INDEX": "index", "KEY": "index", "SCHEMA": "schema", "DATABASE": "database", "KEYSPACE": "database",
    "TRIGGER": "trigger", "FUNCTION": "function", "PROCEDURE": "function", "PROC": "function", "ROUTINE": "function", "AGGREGATE": "function",
    "TYPE": "type", "DOMAIN": "type", "ENUM": "type", "SEQUENCE": "sequence", "POLICY": "policy", "ROLE": "role", "USER": "role",
    "LOGIN": "role", "EXTENSION": "extension", "DICTIONARY": "table", "COLUMNFAMILY": "table", "CONSTRAINT": "constraint", "RULE": "rule",
    "EVENT": "trigger", "SYNONYM": "view", "PACKAGE": "function", "STATISTICS": "statistics", "TABLESPACE": "database",
    "PUBLICATION": "publication", "SUBSCRIPTION": "subscription", "SERVER": "server", "OPERATOR": "function", "CAST": "function",
    "STREAM": "table", "TASK": "trigger", "STAGE": "table", "PIPE": "trigger",
}  # fmt: skip
_MODIFIERS = frozenset(
    [
        "OR",
        "REPLACE",
        "TEMPORARY",
        "TEMP",
        "GLOBAL",
        "LOCAL",
        "UNLOGGED",
        "UNIQUE",
        "FULLTEXT",
        "SPATIAL",
        "CLUSTERED",
        "NONCLUSTERED",
        "COLUMNSTORE",
        "MATERIALIZED",
        "FOREIGN",
        "EXTERNAL",
        "RECURSIVE",
        "ALGORITHM",
        "DEFINER",
        "EDITIONABLE",
        "NONEDITIONABLE",
        "FORCE",
        "NO",
        "PUBLIC",
        "BITMAP",
        "TRANSIENT",
        "VIRTUAL",
        "CONSTRAINT",
        "EVENT",
        "ALTER",
        "SECURE",
        "LIVE",
        "WINDOW",
    ]
)
_QUIET = frozenset(
    [
        "SELECT",
        "BREAK",
        "CONTINUE",
        "RETURN",
        "SET",
        "USE",
        "SHOW",
        "BEGIN",
        "START",
        "COMMIT",
        "ROLLBACK",
        "END",
        "SAVEPOINT",
        "RELEASE",
        "PRAGMA",
        "COMMENT",
        "ANALYZE",
        "ANALYSE",
        "VACUUM",
        "LOCK",
        "UNLOCK",
        "DECLARE",
        "PRINT",
        "OPTIMIZE",
        "SYSTEM",
        "EXPLAIN",
        "DESCRIBE",
        "WITH",
        "VALUES",
        "INSERT",
        "REPLACE",
        "DESC",
        "ATTACH",
        "RAISERROR",
        "THROW",
        "RETURN",
        "EXCHANGE",
        "KILL",
        "CHECKPOINT",
        "REINDEX",
        "WHENEVER",
        "PROMPT",
        "SPOOL",
        "EXIT",
        "QUIT",
        "REM",
        "CONNECT",
        "FLUSH",
        "NOTIFY",
        "LISTEN",
        "DISCARD",
        "RESET",
        "ABORT",
        "CLUSTER",
        "REFRESH",
        "TABLE",
        "ELSE",
        "MERGE",
        "LOAD",
        "COPY",
        "CHECK",
        "UPSERT",
        "DBCC",
        "WAITFOR",
        "BACKUP",
        "FETCH",
        "OPEN",
        "CLOSE",
        "DEALLOCATE",
        "PREPARE",
    ]
)


class _Words:
    """A cursor over the tokens of one statement."""

    def __init__(self, items: Sequence[Token]) -> None:
        self.items, self.at = items, 0

    def peek(self, ahead: int = 0) -> str:
        index = self.at + ahead
        return (
            self.items[index].upper or (self.items[index].text if self.items[index].kind == "sign" else "")
            if index < len(self.items)
            else ""
        )

    def take(self, *words: str) -> bool:
        """Steps over `words` if they come next."""
        if all(self.peek(index) == word for index, word in enumerate(words)):
            self.at += len(words)
            return True
        return False

    def skip(self, words: frozenset[str]) -> list[str]:
        taken = []
        while self.peek() in words:
            taken.append(self.peek())
            self.at += 1
        return taken

    def exists(self) -> None:
        self.take("IF", "NOT", "EXISTS") or self.take("IF", "EXISTS")

    def name(self) -> str:
        """A dotted name; "" where none comes next."""
        parts: list[str] = []
        while self.at < len(self.items) and (self.items[self.at].name or (self.items[self.at].kind == "string" and not parts)):
            parts.append(self.items[self.at].text)
            self.at += 1
            if self.peek() == "." and self.at + 1 < len(self.items):
                self.at += 1
                continue
            break
        return name_of(".".join(parts))

    def rest(self) -> Sequence[Token]:
        return self.items[self.at :]


def _shallow(piece: Piece, nested: int) -> Script:
    """The operations of one statement by its leading words and, for ALTER TABLE, its clauses."""
    words = _Words(piece.tokens)
    line = 1
    sure = True
    while (words.peek() in _GUARDS or words.peek() == "BEGIN") and len(words.rest()) > 1:
        # T-SQL guards: IF EXISTS (…) DROP …; the statement starts at the next head word outside brackets.
        start = _next_head(words, _HEADS - _GUARDS) or _next_head(words, _QUIETLY_GUARDED)
        if start is None:
            break
        words.at, sure = start, False
    head = words.peek()
    words.at += 1
    try:
        found = list(_STATEMENT.get(head, _no_statement)(words, line))
    except _Opaque as opaque:
        return Script((), (Unread(line, str(opaque), _short(piece.text)),))
    if found or head in _QUIET or head in _STATEMENT:
        return Script(tuple(replace(operation, sure=operation.sure and sure) for operation in found))
    return Script((), (Unread(line, f"the statement {head[:30] or piece.text[:30]!r} is not known", _short(piece.text)),))


class _Opaque(Exception):
    """A statement whose effect cannot be known from its text."""


def _short(text: str) -> str:
    return " ".join(text.split())[:120]


def _next_head(words: _Words, heads: frozenset[str]) -> int | None:
    depth = 0
    for index in range(words.at + 1, len(words.items)):
        token = words.items[index]
        if token.text == "(" and token.kind == "sign":
            depth += 1
        elif token.text == ")" and token.kind == "sign":
            depth -= 1
        elif not depth and token.upper in heads:
            return index
    return None


def _no_statement(words: _Words, line: int) -> Iterable[Operation]:
    return ()


def _all_temporary(tokens: Sequence[Token]) -> bool:
    """T-SQL's own mark of tables that end with their session: `#name, #other` and nothing else."""
    marks = [token.text for token in tokens if token.text != ";"]
    return (
        bool(marks)
        and all(text == ("#", None, ",")[index % 3] if index % 3 != 1 else True for index, text in enumerate(marks))
        and len(marks) % 3 == 2
    )


def _drop(words: _Words, line: int) -> Iterator[Operation]:
    modifiers = words.skip(_MODIFIERS - {"CONSTRAINT"})
    kind = _OBJECTS.get(words.peek())
    if kind is None:
        raise _Opaque(f"DROP {words.peek()[:30]} is not known")
    words.at += 1
    if kind == "view" and "MATERIALIZED" in modifiers:
        kind = "materialized view"
    concurrently = words.take("CONCURRENTLY")
    lenient = words.peek() == "IF"
    words.exists()
    if (modifiers and modifiers[0] in ("TEMPORARY", "TEMP")) or _all_temporary(words.rest()):
        return
    names = [words.name()]
    while words.take(","):
        names.append(words.name())
    table = ""
    if words.take("ON") and words.peek() != "CLUSTER":
        table = words.name()
    details = (
        ("if there", "yes" if lenient else ""),
        ("cascade", "yes" if any(token.upper == "CASCADE" for token in words.rest()) else ""),
    )
    for name in names:
        if not name:
            raise _Opaque(f"the {kind} it drops cannot be read")
        yield Operation(
            "drop",
            kind,
            table or (name if kind == "table" else ""),
            name,
            line,
            (*details, ("concurrently", "yes" if concurrently else "")),
        )


def _create(words: _Words, line: int) -> Iterator[Operation]:
    modifiers = words.skip(_MODIFIERS)
    while words.peek() in ("=", "@") or (words.at < len(words.items) and words.peek() not in _OBJECTS and words.peek() not in ("(", "")):
        # MySQL: DEFINER=`x`@`y` SQL SECURITY DEFINER VIEW …
        words.at += 1
        modifiers += words.skip(_MODIFIERS)
    kind = _OBJECTS.get(words.peek())
    if kind is None:
        return
    words.at += 1
    if kind == "view" and "MATERIALIZED" in modifiers:
        kind = "materialized view"
    concurrently = words.take("CONCURRENTLY")
    conditional = words.peek() == "IF"
    words.exists()
    name = words.name() if words.peek() != "ON" else ""
    rest = words.rest()
    body = " ".join(token.upper or token.text for token in rest)
    details = [("definition", body), ("replace", "yes" if "REPLACE" in modifiers else ""), ("concurrently", "yes" if concurrently else "")]
    table = name if kind == "table" else ""
    if kind in ("index", "trigger", "policy"):
        while words.at < len(words.items) and words.peek() != "ON":
            words.at += 1
        words.at += 1
        table = words.name()
        if "UNIQUE" in modifiers:
            details.append(("unique", "yes"))
    if conditional:
        details.append(("if absent", "yes"))
    if kind == "table" and modifiers[:1] in (["TEMPORARY"], ["TEMP"]):
        details.append(("temporary", "yes"))
    if kind == "role" and re.search(r"\b(SUPERUSER|BYPASSRLS|CREATEROLE)\b", body):
        details.append(("powers", "superuser"))
    if kind == "function" and re.search(r"\bSECURITY DEFINER\b|\bEXECUTE AS OWNER\b", body):
        details.append(("definer", "yes"))
    yield Operation("create", kind, table, name, line, tuple(details))
    if kind == "table":
        if words.take("AS") or words.take("SELECT"):
            return
        for clause in _clauses(_inside(words.rest())):
            yield from _column_or_constraint(_Words(clause), name, line, created=True)


def _inside(items: Sequence[Token]) -> Sequence[Token]:
    """The tokens inside the first bracket pair."""
    depth, start = 0, None
    for index, token in enumerate(items):
        if token.kind != "sign":
            continue
        if token.text == "(":
            depth += 1
            if start is None:
                start = index + 1
        elif token.text == ")":
            depth -= 1
            if start is not None and depth == 0:
                return items[start:index]
    return ()


def _clauses(items: Sequence[Token]) -> Iterator[Sequence[Token]]:
    """`items` cut at commas outside brackets."""
    depth, start = 0, 0
    for index, token in enumerate(items):
        if token.kind != "sign":
            continue
        if token.text in "([":
            depth += 1
        elif token.text in ")]":
            depth -= 1
        elif token.text == "," and depth == 0:
            yield items[start:index]
            start = index + 1
    if start < len(items):
        yield items[start:]


_CONSTRAINTS = frozenset(
    {"CONSTRAINT", "PRIMARY", "FOREIGN", "UNIQUE", "CHECK", "INDEX", "KEY", "FULLTEXT", "SPATIAL", "EXCLUDE", "PERIOD", "PROJECTION"}
)


def _column_or_constraint(words: _Words, table: str, line: int, created: bool = False) -> Iterator[Operation]:
    """`name type …` or a constraint, as stands in CREATE TABLE and after ADD."""
    if words.peek() in _CONSTRAINTS and not (words.peek() in ("KEY", "INDEX", "PERIOD") and words.peek(1) in _TYPES):
        first = words.peek()
        unique = first == "UNIQUE"
        words.at += 1
        name = ""
        if first == "CONSTRAINT":
            name = words.name() if words.peek() not in _CONSTRAINTS else ""
            first = words.peek()
            unique = first == "UNIQUE"
        elif first in ("INDEX", "KEY", "UNIQUE", "FULLTEXT", "SPATIAL"):
            words.skip(frozenset({"INDEX", "KEY"}))
            words.exists()
            name = words.name() if words.peek() != "(" else ""
        kind = "index" if first in ("INDEX", "KEY", "FULLTEXT", "SPATIAL") else "constraint"
        body = " ".join(token.upper or token.text for token in words.rest())
        what = {"FOREIGN": "foreign key", "CHECK": "check", "UNIQUE": "unique", "PRIMARY": "primary key"}.get(first, "")
        details = [("what", what), ("definition", f"{first} {body}"), ("unique", "yes" if unique else "")]
        if "ON DELETE CASCADE" in body:
            details.append(("cascade", "yes"))
        yield Operation("create", kind, table, name, line, tuple(details))
        return
    name = words.name()
    if not name:
        return
    yield Operation("create", "column", table, name, line, tuple(_column_details(words)))


_TYPES = frozenset(
    [
        "INT",
        "INTEGER",
        "BIGINT",
        "SMALLINT",
        "TINYINT",
        "TEXT",
        "VARCHAR",
        "CHAR",
        "BOOLEAN",
        "BOOL",
        "DATE",
        "DATETIME",
        "TIMESTAMP",
        "JSON",
        "JSONB",
        "BLOB",
        "FLOAT",
        "DOUBLE",
        "DECIMAL",
        "NUMERIC",
        "STRING",
    ]
)


def _column_details(words: _Words) -> Iterator[tuple[str, str]]:
    items = words.rest()
    kind: list[str] = []
    index = 0
    depth = 0
    while index < len(items):
        token = items[index]
        if not depth and kind and token.upper in _AFTER_TYPE:
            break
        depth += (token.text == "(") - (token.text == ")") if token.kind == "sign" else 0
        kind.append(token.upper or token.text)
        index += 1
    rest = [token.upper or token.text for token in items[index:]]
    text = " ".join(rest)
    yield "type", type_of("".join(f" {part}" if part[:1].isalnum() else part for part in kind).strip())
    if re.search(r"\bNOT NULL\b", text):
        yield "required", "yes"
    if "DEFAULT" in rest:
        value = rest[rest.index("DEFAULT") + 1 :][:6]
        yield "default", " ".join(value)
        if value and re.match(r"(RAND|RANDOM|UUID|NEWID|GEN_RANDOM_UUID|UUID_GENERATE_V4|CLOCK_TIMESTAMP)\b", value[0].lstrip("(")):
            yield "volatile", "yes"
    if re.search(r"\b(AUTO_INCREMENT|AUTOINCREMENT|IDENTITY|GENERATED|AS \()", text):
        yield "generated", "yes"
    if "REFERENCES" in rest:
        yield "references", rest[rest.index("REFERENCES") + 1] if rest[-1] != "REFERENCES" else ""
    if "UNIQUE" in rest:
        yield "unique", "yes"
    if "PRIMARY" in rest:
        yield "primary", "yes"


_AFTER_TYPE = frozenset(
    [
        "NOT",
        "NULL",
        "DEFAULT",
        "PRIMARY",
        "UNIQUE",
        "REFERENCES",
        "CHECK",
        "AUTO_INCREMENT",
        "AUTOINCREMENT",
        "IDENTITY",
        "COLLATE",
        "COMMENT",
        "GENERATED",
        "AFTER",
        "FIRST",
        "CONSTRAINT",
        "ON",
        "CODEC",
        "TTL",
        "ALIAS",
        "MATERIALIZED",
        "EPHEMERAL",
        "AS",
        "USING",
        "ENCODE",
        "SPARSE",
        "CHARACTER",
        "VISIBLE",
        "INVISIBLE",
        "SETTINGS",
        "REMOVE",
        "KEY",
    ]
)


def _alter(words: _Words, line: int) -> Iterator[Operation]:
    modifiers = words.skip(_MODIFIERS)
    kind = _OBJECTS.get(words.peek())
    if kind is None:
        if words.peek() in ("SYSTEM", "SESSION", "SERVER", "DEFAULT", "AVAILABILITY", "AUTHORIZATION", "RESOURCE", "WAREHOUSE", "ACCOUNT"):
            yield Operation("alter", words.peek().lower(), "", words.peek().lower(), line)
            return
        raise _Opaque(f"ALTER {words.peek()[:30]} is not known")
    del modifiers
    words.at += 1
    words.exists()
    words.take("ONLY")
    table = words.name()
    if kind != "table":
        rest = words.rest()
        text = " ".join(token.upper or token.text for token in rest)
        if words.take("RENAME"):
            words.take("TO")
            yield Operation("rename", kind, "", table, line, (("to", words.name()),))
        elif words.take("OWNER", "TO"):
            yield Operation("own", kind, "", table, line, (("to", words.name()),))
        else:
            details = [("definition", text)]
            if kind == "role" and re.search(r"(?<!NO)\b(SUPERUSER|BYPASSRLS|CREATEROLE)\b", text):
                details.append(("powers", "superuser"))
            yield Operation("alter", kind, "", table, line, tuple(details))
        return
    if words.take("ON", "CLUSTER"):
        words.name() if words.items[words.at : words.at + 1] and words.items[words.at].name else setattr(words, "at", words.at + 1)
        while words.peek() in ("{", "}") or (words.at < len(words.items) and words.items[words.at].kind == "string"):
            words.at += 1
    if words.take("WITH"):
        words.take("CHECK") or words.take("NOCHECK")
    verb = ""
    for clause in _clauses(words.rest()):
        part = _Words(clause)
        if part.peek() == "MODIFY" and part.peek(1) in ("QUERY", "SQL", "SETTING"):
            # ClickHouse: all that follows is a query, or settings.
            yield from _alter_quiet(words, table, line)
            return
        verb = part.peek() if part.peek() in _CLAUSES else verb
        if part.peek() in _CLAUSES:
            part.at += 1
        if verb in _CLAUSES:
            yield from _CLAUSES[verb](part, table, line)
        else:
            raise _Opaque(f"ALTER TABLE … {part.peek()[:30]} is not known")


def _alter_add(words: _Words, table: str, line: int) -> Iterator[Operation]:
    words.take("COLUMN")
    words.exists()
    if words.peek() == "PARTITION":
        return
    if words.peek() == "(":
        for clause in _clauses(_inside(words.rest())):
            yield from _column_or_constraint(_Words(clause), table, line)
        return
    yield from _column_or_constraint(words, table, line)


def _alter_drop(words: _Words, table: str, line: int) -> Iterator[Operation]:
    head = words.peek()
    kinds = {"INDEX": "index", "KEY": "index", "FOREIGN": "constraint", "PRIMARY": "constraint", "CONSTRAINT": "constraint", "CHECK": "constraint",
             "PARTITION": "partition", "SUBPARTITION": "partition", "PROJECTION": "index", "STATISTICS": "statistics", "PERIOD": "constraint",
             "DETACHED": "partition"}  # fmt: skip
    if (head in kinds and len(words.rest()) > 1) or head == "PRIMARY":
        words.at += 1
        words.skip(frozenset({"KEY", "PARTITION"}))
        words.exists()
        what = "foreign key" if head == "FOREIGN" else "primary key" if head == "PRIMARY" else ""
        yield Operation("drop", kinds[head], table, words.name() or what or kinds[head], line, (("what", what),))
        return
    words.take("COLUMN")
    words.exists()
    if words.peek() == "(":
        for clause in _clauses(_inside(words.rest())):
            yield Operation("drop", "column", table, _Words(clause).name(), line)
        return
    if name := words.name():
        yield Operation("drop", "column", table, name, line)


def _alter_modify(words: _Words, table: str, line: int) -> Iterator[Operation]:
    words.take("COLUMN")
    words.exists()
    if words.peek() in ("TTL", "ORDER", "SETTING", "COMMENT", "QUERY", "SAMPLE"):
        if words.peek() == "TTL":
            yield Operation("alter", "lifetime", table, table, line, (("definition", " ".join(token.text for token in words.rest())),))
        return
    if words.peek() == "(":
        for clause in _clauses(_inside(words.rest())):
            yield from _alter_modify(_Words(clause), table, line)
        return
    name = words.name()
    details = dict(_column_details(words))
    if not details.get("type") or words.peek() in ("REMOVE", "MODIFY", "COMMENT", "CODEC", "TTL", "DEFAULT"):
        return
    yield Operation("type", "column", table, name, line, (("to", details["type"]),))
    if details.get("required"):
        yield Operation("required", "column", table, name, line, (("with type", "yes"),))


def _alter_change(words: _Words, table: str, line: int) -> Iterator[Operation]:
    words.take("COLUMN")
    words.exists()
    old, new = words.name(), words.name()
    if old != new:
        yield Operation("rename", "column", table, old, line, (("to", new),))
    details = dict(_column_details(words))
    yield Operation("type", "column", table, new, line, (("to", details.get("type", "")),))
    if details.get("required"):
        yield Operation("required", "column", table, new, line, (("with type", "yes"),))


def _alter_alter(words: _Words, table: str, line: int) -> Iterator[Operation]:
    if words.peek() in ("INDEX", "CHECK", "CONSTRAINT") and len(words.rest()) > 2:
        return
    words.take("COLUMN")
    words.exists()
    name = words.name()
    if words.take("SET", "DATA", "TYPE") or words.take("TYPE"):
        yield Operation("type", "column", table, name, line, (("to", dict(_column_details(words)).get("type", "")),))
    elif words.take("SET", "NOT", "NULL"):
        yield Operation("required", "column", table, name, line)
    elif words.take("DROP", "NOT", "NULL"):
        yield Operation("optional", "column", table, name, line)
    elif words.take("DROP", "DEFAULT"):
        yield Operation("undefault", "column", table, name, line)
    elif words.take("SET", "DEFAULT"):
        yield Operation("default", "column", table, name, line)
    elif words.rest() and words.peek() not in ("SET", "DROP", "ADD", "RESTART"):
        details = dict(_column_details(words))
        yield Operation("type", "column", table, name, line, (("to", details.get("type", "")),))
        if details.get("required"):
            yield Operation("required", "column", table, name, line, (("with type", "yes"),))


def _alter_rename(words: _Words, table: str, line: int) -> Iterator[Operation]:
    if words.take("TO") or words.take("AS"):
        yield Operation("rename", "table", table, table, line, (("to", words.name()),))
        return
    kind = {"INDEX": "index", "KEY": "index", "CONSTRAINT": "constraint"}.get(words.peek(), "column")
    if kind != "column" or words.peek() == "COLUMN":
        words.at += 1
    words.exists()
    old = words.name()
    if words.take("TO"):
        yield Operation("rename", kind, table, old, line, (("to", words.name()),))
    elif old:
        yield Operation("rename", "table", table, table, line, (("to", old),))


def _alter_disable(words: _Words, table: str, line: int) -> Iterator[Operation]:
    if words.take("ROW", "LEVEL", "SECURITY"):
        yield Operation("disable", "row security", table, table, line)
    elif words.take("TRIGGER"):
        yield Operation("disable", "trigger", table, words.name(), line)
    elif words.take("CONSTRAINT"):
        yield Operation("disable", "constraint", table, words.name(), line)


def _alter_nocheck(words: _Words, table: str, line: int) -> Iterator[Operation]:
    words.take("CONSTRAINT")
    yield Operation("disable", "constraint", table, words.name(), line)


def _alter_enable(words: _Words, table: str, line: int) -> Iterator[Operation]:
    if words.take("ROW", "LEVEL", "SECURITY"):
        yield Operation("enable", "row security", table, table, line)


def _alter_delete(words: _Words, table: str, line: int) -> Iterator[Operation]:
    yield Operation("delete", "rows", table, table, line, (("where", _where(words.rest())),))


def _alter_update(words: _Words, table: str, line: int) -> Iterator[Operation]:
    yield Operation("update", "rows", table, table, line, (("where", _where(words.rest())), ("columns", words.peek().lower())))


def _alter_clear(words: _Words, table: str, line: int) -> Iterator[Operation]:
    if words.take("COLUMN"):
        words.exists()
        name = words.name()
        yield Operation("update", "rows", table, table, line, (("where", "none"), ("columns", name)))


def _alter_partition(words: _Words, table: str, line: int) -> Iterator[Operation]:
    if words.take("PARTITION") or words.take("PART"):
        yield Operation("drop" if words.items[0].upper == "TRUNCATE" else "alter", "partition", table, words.name() or "partition", line)


def _alter_owner(words: _Words, table: str, line: int) -> Iterator[Operation]:
    words.take("TO")
    yield Operation("own", "table", table, table, line, (("to", words.name()),))


def _alter_quiet(words: _Words, table: str, line: int) -> Iterator[Operation]:
    yield Operation("alter", "table", table, table, line, (("definition", " ".join(token.text for token in words.rest())),))


_CLAUSES = {
    "ADD": _alter_add, "DROP": _alter_drop, "MODIFY": _alter_modify, "CHANGE": _alter_change, "ALTER": _alter_alter, "RENAME": _alter_rename,
    "DISABLE": _alter_disable, "ENABLE": _alter_enable, "NOCHECK": _alter_nocheck, "DELETE": _alter_delete, "UPDATE": _alter_update,
    "CLEAR": _alter_clear, "TRUNCATE": _alter_partition, "DETACH": _alter_partition, "OWNER": _alter_owner,
    **dict.fromkeys(
        ("ENGINE", "CONVERT", "COMMENT", "SET", "RESET", "ATTACH", "FREEZE", "MATERIALIZE", "AUTO_INCREMENT", "CHECK", "WITH", "ORDER", "CHARACTER", "DEFAULT",
         "ROW_FORMAT", "PARTITION", "ALGORITHM", "LOCK", "VALIDATE", "CLUSTER", "REPLICA", "INHERIT", "NO", "FORCE", "SWITCH", "REBUILD", "MOVE", "COLLATE",
         "REMOVE", "REORGANIZE", "EXCHANGE", "COALESCE", "CHARSET", "RESET", "FETCH", "REPLACE", "SUSPEND", "SWAP", "UNFREEZE", "APPLY", "ATTRIBUTES"),
        _alter_quiet,
    ),
}  # fmt: skip


def _truncate(words: _Words, line: int) -> Iterator[Operation]:
    words.take("TABLE")
    words.exists()
    words.take("ONLY")
    names = [words.name()]
    while words.take(","):
        names.append(words.name())
    for name in names:
        yield Operation("truncate", "rows", name, name, line)


def _top(words: _Words) -> None:
    """Step over T-SQL's `TOP (n)`: which rows are meant is its condition's business, as it mostly stands in a loop."""
    if words.take("TOP"):
        bracket = words.peek() == "("
        while words.rest() and bracket and words.peek() != ")":
            words.at += 1
        words.at += 1
        words.take("PERCENT")


def _delete(words: _Words, line: int) -> Iterator[Operation]:
    _top(words)
    words.skip(frozenset({"FROM", "LOW_PRIORITY", "QUICK", "IGNORE", "ONLY"}))
    name = words.name()
    yield Operation("delete", "rows", name, name, line, (("where", _where(words.rest())),))


def _update(words: _Words, line: int) -> Iterator[Operation]:
    words.skip(frozenset({"LOW_PRIORITY", "IGNORE", "ONLY"}))
    if words.take("STATISTICS"):
        return
    _top(words)
    name = words.name()
    rest = list(words.rest())
    start = next((index for index, token in enumerate(rest) if token.upper == "SET"), 0)
    columns = [_Words(clause).name().rpartition(".")[2] for clause in _clauses(rest[start + 1 :])]
    yield Operation("update", "rows", name, name, line, (("where", _where(rest)), ("columns", ",".join(filter(None, columns)))))


def _where(items: Sequence[Token]) -> str:
    """none, always or some: which rows a condition lets through."""
    depth = 0
    for index, token in enumerate(items):
        depth += (token.text == "(") - (token.text == ")") if token.kind == "sign" else 0
        if token.upper == "WHERE" and depth == 0:
            condition = [item.upper or item.text for item in items[index + 1 :]]
            if condition in (["TRUE"], ["1"]) or (len(condition) == 3 and condition[1] == "=" and condition[0] == condition[2]):
                return "always"
            if len(condition) == 3 and condition[1:] == ["IS", "NULL"]:
                return "null " + condition[0].lower()
            return "some"
        if token.upper == "LIMIT" and depth == 0:
            return "some"
    return "none"


def _rename(words: _Words, line: int) -> Iterator[Operation]:
    if not (words.take("TABLE") or words.take("DATABASE")):
        return
    for clause in _clauses(words.rest()):
        part = _Words(clause)
        old = part.name()
        part.take("TO")
        yield Operation("rename", "table", old, old, line, (("to", part.name()),))


def _grant(words: _Words, line: int) -> Iterator[Operation]:
    yield from _grant_or_revoke("grant", words, line)


def _revoke(words: _Words, line: int) -> Iterator[Operation]:
    yield from _grant_or_revoke("revoke", words, line)


def _grant_or_revoke(verb: str, words: _Words, line: int) -> Iterator[Operation]:
    text = [token.upper or token.text for token in words.rest()]
    end = "TO" if verb == "grant" else "FROM"
    if end not in text:
        raise _Opaque(f"whom this {verb.upper()} is for cannot be read")
    last = len(text) - 1 - text[::-1].index(end)
    on = text.index("ON") if "ON" in text[:last] else last
    to = text[last + 1 :]
    options = " ".join(to[to.index("WITH") :]) if "WITH" in to else ""
    grantees = ", ".join(
        " ".join(token.upper or token.text for token in clause)
        for clause in _clauses(words.rest()[last + 1 : last + 1 + (to.index("WITH") if "WITH" in to else len(to))])
    )
    kind = "privilege" if on < last else "role"
    target = "".join(f" {part}" if part[:1].isalnum() else part for part in text[on + 1 : last]).strip().lower()
    yield Operation(
        verb,
        kind,
        target if kind == "privilege" else "",
        grantees.lower(),
        line,
        (("what", " ".join(text[:on]).lower()), ("options", options.lower())),
    )


def _exec(words: _Words, line: int) -> Iterator[Operation]:
    if words.peek() in ("(", "IMMEDIATE") or words.peek() == "SP_EXECUTESQL":
        yield from _executed(words.rest()[1:])
        return
    name = words.name().rpartition(".")[2]
    strings = [token.text for token in words.rest() if token.kind in ("string", "name")]
    if name == "sp_rename" and len(strings) >= 2:
        old = name_of(strings[0])
        if len(strings) > 2 and strings[2].upper() in ("COLUMN", "INDEX"):
            table, _, part = old.rpartition(".")
            yield Operation("rename", strings[2].lower(), name_of(table), part, line, (("to", strings[1]),))
        else:
            yield Operation("rename", "table", old, old, line, (("to", strings[1]),))
    elif name in ("sp_addrolemember", "sp_addsrvrolemember") and len(strings) >= 2:
        yield Operation("grant", "role", "", strings[1], line, (("what", strings[0]),))


def _executed(tokens: Sequence[Token]) -> Iterator[Operation]:
    """What a statement does that is given as a string from beginning to end: a part that is worked out may be any statement."""
    parts: list[str] = []
    arguments = False
    tokens = [token for token in tokens if token.text != ";"]
    for token in tokens[:-1] if tokens and tokens[-1].upper == "END" else tokens:
        arguments = arguments or token.text == ","
        if token.kind == "string" and not arguments:
            parts.append(token.text)
        elif token.upper in _HEADS or not (arguments or token.text in ("+", "(", ")") or token.upper == "N"):
            parts.clear()
            break
    if not parts:
        raise _Opaque("it runs a statement put together at run time")
    inner = operations("".join(parts), nested=1)
    if inner.unread:
        raise _Opaque(inner.unread[0].why)
    yield from inner.operations


_STATEMENT = {
    "DROP": _drop, "CREATE": _create, "ALTER": _alter, "TRUNCATE": _truncate, "DELETE": _delete, "UPDATE": _update, "RENAME": _rename,
    "GRANT": _grant, "REVOKE": _revoke, "EXEC": _exec, "EXECUTE": _exec, "DENY": _revoke,
    **dict.fromkeys(_QUIET, _no_statement),
}  # fmt: skip


def type_of(text: str) -> str:
    """A column type in one spelling: lower case, without spaces round brackets, common aliases resolved."""
    text = re.sub(r"\s*([(),])\s*", r"\1", text.strip().lower())
    base, bracket, rest = text.partition("(")
    base = " ".join(base.split())
    if base.startswith(("nullable", "lowcardinality")) and rest:
        return type_of(rest.rstrip(")")) if base == "nullable" else f"{base}({rest}"
    return _TYPE_NAMES.get(base, base) + bracket + rest


_TYPE_NAMES = {
    "int": "integer", "int4": "integer", "int8": "bigint", "int2": "smallint", "bool": "boolean", "character varying": "varchar",
    "character": "char", "bpchar": "char", "decimal": "numeric", "float8": "double precision", "float4": "real", "timestamptz": "timestamp with time zone",
    "timestamp without time zone": "timestamp", "serial4": "serial", "serial8": "bigserial", "timetz": "time with time zone", "varbit": "bit varying",
}  # fmt: skip
