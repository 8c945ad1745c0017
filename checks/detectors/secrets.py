"""Credentials that stand in clear text at head and did not at base.

## What it detects
Values in the exact shape that a provider gives its credentials (AWS, GitHub, GitLab, Slack, Stripe, Google, OpenAI, Anthropic, npm, PyPI and
others), private keys with their body, connection strings with a password and a real host, and long random values assigned to a name that says
secret, token, password or key. Sample values, references, encrypted values and values already there at base are passed over.

## Why it matters
What is pushed is copied within minutes, and stays in the history after it is deleted. A credential that was pushed has to be changed.

## Example
```diff
-DATABASE_URL = os.environ["DATABASE_URL"]
+DATABASE_URL = "postgres://app:<a real password>@db.acme.io/app"
```

## What makes it safe
Revoke the credential and make a new one, then read it from the environment or a secret store. Deleting the line is not enough.

## What it cannot see
Short passwords and pass phrases that look like words, secrets split over several lines, secrets in binaries. Values in tests and examples are
told only where a provider's exact shape makes them likely to be real.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from checks.detectors.base import Detector, Rule, not_analysed, together
from checks.model import Change, Confidence, Effect, FileChange, Hazard, Reversible, Severity, Unreadable
from checks.places import Place, place_of
from checks.readers.bulk import written_by_hand

PROVIDER = Rule(
    "secrets/credential-committed", Hazard.SECRET_EXPOSED, Severity.CRITICAL, Reversible.NO, "A provider's credential stands in the diff"
)
KEY = Rule("secrets/private-key-committed", Hazard.SECRET_EXPOSED, Severity.CRITICAL, Reversible.NO, "A private key stands in the diff")
CONNECTION = Rule(
    "secrets/password-in-address",
    Hazard.SECRET_EXPOSED,
    Severity.HIGH,
    Reversible.NO,
    "An address carries a password",
    confidence=Confidence.LIKELY,
)
ASSIGNED = Rule(
    "secrets/random-value-assigned",
    Hazard.SECRET_EXPOSED,
    Severity.MODERATE,
    Reversible.NO,
    "A long random value is assigned to a secret's name",
    confidence=Confidence.POSSIBLE,
)
RULES = (PROVIDER, KEY, CONNECTION, ASSIGNED)

LIMIT = 2 << 20
"""Bytes of one file that are looked through; larger files are data."""


@dataclass(frozen=True, slots=True)
class _Shape:
    """A provider's credential: what it is called, how it is written, and what is secret in it (group 1, else all)."""

    kind: str
    pattern: re.Pattern[bytes]
    severity: Severity = Severity.CRITICAL


def _shape(kind: str, pattern: str, severity: Severity = Severity.CRITICAL) -> _Shape:
    return _Shape(kind, re.compile(rb"(?<![A-Za-z0-9_])" + pattern.encode() + rb"(?![A-Za-z0-9_])"), severity)


# Shapes as the providers document them, and as GitHub's secret scanning lists them
# (docs.github.com/code-security/secret-scanning/introduction/supported-secret-scanning-patterns).
_SHAPES = (
    _shape("AWS access key", r"(?:AKIA|ASIA)([A-Z2-7]{16})", Severity.HIGH),
    _shape("GitHub token", r"gh[pousr]_([A-Za-z0-9]{36})"),
    _shape("GitHub fine-grained token", r"github_pat_([A-Za-z0-9]{22}_[A-Za-z0-9]{59})"),
    _shape("GitLab token", r"gl(?:pat|dt|rt|cbt)-([A-Za-z0-9_-]{20,64})"),
    _shape("Slack token", r"xox[abeoprs]-((?:[0-9]{8,14}-){1,3}[A-Za-z0-9-]{20,64})"),
    _shape("Slack app token", r"xapp-[0-9]-([A-Z0-9]{9,14}-[0-9]{9,15}-[a-f0-9]{60,70})"),
    _shape("Slack webhook", r"https://hooks\.slack\.com/services/T[A-Z0-9]{7,12}/B[A-Z0-9]{7,12}/([A-Za-z0-9]{24})", Severity.HIGH),
    _shape("Stripe live key", r"[rs]k_live_([A-Za-z0-9]{24,110})"),
    _shape("Google API key", r"AIza([0-9A-Za-z_-]{35})", Severity.MODERATE),
    _shape("Google OAuth secret", r"GOCSPX-([A-Za-z0-9_-]{28})", Severity.HIGH),
    _shape("Anthropic key", r"sk-ant-(?:api|admin|oat)[0-9]{2}-([A-Za-z0-9_-]{80,120})"),
    _shape("OpenAI key", r"sk-(?:proj-|svcacct-|admin-)?([A-Za-z0-9_-]{20,80}T3BlbkFJ[A-Za-z0-9_-]{20,80})"),
    _shape("npm token", r"npm_([A-Za-z0-9]{36})"),
    _shape("PyPI token", r"pypi-AgEIcHlwaS5vcmc([A-Za-z0-9_-]{50,200})"),
    _shape("SendGrid key", r"SG\.([A-Za-z0-9_-]{22}\.[A-Za-z0-9_-]{43})"),
    _shape("DigitalOcean token", r"do[opr]_v1_([a-f0-9]{64})"),
    _shape("Hugging Face token", r"hf_([A-Za-z]{34})"),
    _shape("Shopify token", r"shp(?:at|ca|pa|ss)_([a-fA-F0-9]{32})"),
    _shape("Azure storage key", r"AccountKey=([A-Za-z0-9+/]{86}==)"),
    _shape("Databricks token", r"dapi([a-f0-9]{32}(?:-[0-9])?)"),
    _shape("Terraform Cloud token", r"([A-Za-z0-9]{14}\.atlasv1\.[A-Za-z0-9_=-]{60,70})"),
    _shape("Vault token", r"hv[sb]\.([A-Za-z0-9_-]{90,200})"),
    _shape("age secret key", r"AGE-SECRET-KEY-1([QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L]{58})"),
    _shape("Telegram bot token", r"[0-9]{8,10}:(AA[A-Za-z0-9_-]{33})"),
    _shape("Linear key", r"lin_(?:api|oauth)_([A-Za-z0-9]{40,64})"),
    _shape("Grafana token", r"gl(?:sa|c)_([A-Za-z0-9_+/=-]{32,200})"),
)
_HINT = re.compile(
    rb"AKIA|ASIA|gh[pousr]_|github_pat_|gl(?:pat|dt|rt|cbt)-|xox[abeoprs]-|xapp-|hooks\.slack|k_live_|AIza|GOCSPX|sk-ant|T3BlbkFJ|npm_|pypi-AgE|"
    rb"SG\.|do[opr]_v1_|hf_|shp(?:at|ca|pa|ss)_|AccountKey=|dapi|atlasv1|hv[sb]\.|AGE-SECRET|:AA|lin_(?:api|oauth)|gl(?:sa|c)_"
)
_KEY = re.compile(
    rb"-----BEGIN (?:(?:RSA|EC|DSA|OPENSSH) )?PRIVATE KEY-----(?:\\n|\s|\\r|[\"'+,])+([A-Za-z0-9+/=\\\s\"'+,]{120,8000}?)-----END"
)
_ADDRESS = re.compile(
    rb"\b(?P<scheme>postgres(?:ql)?|mysql2?|mariadb|mongodb(?:\+srv)?|rediss?|amqps?|mssql|sqlserver|clickhouse|ftps?|smtps?|https?)(?:\+[a-z0-9]+)?://"
    rb"(?P<user>[^\s:/@\"'<>{}$`\\]{1,80}):(?P<secret>[^\s:/@\"'<>{}$`\\]{6,200})@(?P<host>[A-Za-z0-9.-]{4,200})"
)
_ASSIGN = re.compile(
    rb"(?:password|passwd|passphrase|secret|key|token)[\"']?[ \t]*(?::=|=>|=|:)[ \t]*"
    rb"(?:[\"'`](?P<secret>[A-Za-z0-9+/_=.~-]{20,400})[\"'`]|(?P<bare>[A-Za-z0-9+/_=~-]{24,400})[ \t]*$)",
    re.IGNORECASE | re.MULTILINE,
)
_ASSIGNED_WORD = re.compile(rb"password|passwd|passphrase|secret|key|token")
_WORD_BEFORE = re.compile(rb"[A-Za-z][A-Za-z0-9_.-]*\Z")
_WORD_AT = re.compile(rb"[A-Za-z]+")
_SECRET_NAME = re.compile(
    r"(?:^|[_.-])(?:password|passwd|passphrase|secret|api_?key|apikey|access_?key|secret_?key|private_?key|auth_?token|access_?token|refresh_?token|"
    r"bearer_?token|bot_?token|client_?secret|signing_?key|encryption_?key|master_?key|service_?role_?key|webhook_?secret|jwt_?secret|token)$",
    re.IGNORECASE,
)
_OPEN_NAME = re.compile(
    r"public|publish|anon|hash|digest|sha\d|checksum|integrity|encrypt(?!ion)|sealed|cipher|etag|nonce|example|test|dummy|mock|fake|sample|_id$|path|file|url|arn|name$|ref$",
    re.IGNORECASE,
)
_SAMPLE = re.compile(
    r"example|sample|dummy|fake|test|place-?holder|change|your|xxx|redact|mock|todo|foo|bar|secret|passw|abc|1234|4321|deadbeef|qwerty|demo|default|"
    r"insert|replace|invalid|invented|\.\.\.|\*\*\*|(.)\1{4}|000000|fixture|dev|local|user|admin|root|guest|postgres|token|enter|none|null|undefined",
    re.IGNORECASE,
)
_MACHINE_WRITTEN = re.compile(
    r"(?:^|/)(?:[^/]*lock[^/]*|go\.sum|[^/]*\.(?:svg|map|snap|min\.js|min\.css|csv|ipynb|lock|sum|png|jpe?g|gif|ico|woff2?|pdf|zip|gz|har|wasm|bin|pb|onnx|parquet))\Z|"
    r"(?:^|/)(?:cassettes|__snapshots__|[^/]*\.lproj|locales?|node_modules|vendor|dist|site-packages)/",
    re.IGNORECASE,
)
_PRETEND = re.compile(
    r"(?:^|[/._-])(?:tests?|specs?|examples?|samples?|mocks?|fixtures?|fakes?|dummy|testdata|e2e|snakeoil|localhost|stubs?|demos?|docs?|templates?|dev)(?:[/._-]|$)",
    re.IGNORECASE,
)
_LOCAL_HOST = re.compile(
    r"(?:localhost|127\.|0\.0\.0\.0|host\.docker|.*\.(?:local|test|example|invalid|localhost|internal)\Z|.*example\.|[^.]*\Z|\.)",
    re.IGNORECASE,
)
_PROSE = (".md", ".mdx", ".rst", ".adoc", ".txt", ".html")


@dataclass(frozen=True, slots=True)
class _Hit:
    """One value that looks like a credential: where, not what."""

    rule: Rule
    kind: str
    at: int
    print: str
    """A digest, to tell the same value on both sides; it never leaves this module."""
    severity: Severity
    confidence: Confidence


def detect(change: Change, files: Sequence[FileChange]) -> Iterator[Effect]:
    """The credentials at head that stand nowhere in the changed files at base."""
    hits: list[tuple[FileChange, bytes, _Hit]] = []
    for file in files:
        if file.new is None or not file.new.is_file or (file.old and file.old.oid == file.new.oid) or _MACHINE_WRITTEN.search(file.path):
            continue
        data = _read(change.head_bytes, file)
        if not data and (size := _passed_over(change, file)):
            yield not_analysed(file.path, f"{size:,} bytes are over the limit of {LIMIT:,}", severity=Severity.MODERATE)
        if data and (file.added or any(_hits(change.lines(file).text, file.path))):
            hits.extend((file, data, hit) for hit in _hits(data, file.path))
    if not hits:
        return
    known = {hit.print for file in files if file.old for hit in _all(_read(change.base_bytes, file))}
    told: set[tuple[str, str]] = set()
    for file, data, hit in hits:
        if hit.print in known or (file.path, hit.kind) in told:
            continue
        told.add((file.path, hit.kind))
        yield hit.rule.effect(
            subject=hit.kind,
            path=file.path,
            line=data.count(b"\n", 0, hit.at) + 1,
            severity=hit.severity,
            confidence=hit.confidence,
            message=f"{hit.kind[0].upper()}{hit.kind[1:]} stands here in clear text; whoever can read the repository or its history can use it.",
        )


def _read(read: object, file: FileChange) -> bytes:
    try:
        data: bytes = read(file) or b""  # type: ignore[operator]
    except Unreadable:
        return b""
    return data if len(data) <= LIMIT and b"\0" not in data[:8000] else b""


def _passed_over(change: Change, file: FileChange) -> int:
    """The size of a source file too large to search; 0 for any other file, and for one that was as large before."""
    try:
        data = change.head_bytes(file) or b""
        if len(data) <= LIMIT or not written_by_hand(data, file.path):
            return 0
        return 0 if len(change.base_bytes(file) or b"") > LIMIT and not any(_hits(change.lines(file).text, file.path)) else len(data)
    except Unreadable:
        return 0


_PIPELINE = re.compile(r"(?:^|/)(?:\.github/(?:workflows|actions)|\.circleci|\.buildkite|\.gitlab)/(.*)|(?:^|/)\.gitlab-ci\.ya?ml$")
_CHECKS = re.compile(
    r"(?<![a-z])(?:ci|tests?|testing|e2e|integration|checks?|lint|unit|pr|pull[-_]request|build|smoke|playwright|cypress)(?![a-z])", re.I
)
"""What a pipeline that tests is called: the keys it starts its throw-away application with let nobody in."""


def _print(secret: bytes) -> str:
    return hashlib.sha256(secret).hexdigest()


def _all(data: bytes) -> Iterator[_Hit]:
    """Whatever looks like a credential, without regard to the path: what was there at base is not new, wherever it stood."""
    yield from _hits(data, "x")


def _hits(data: bytes, path: str) -> Iterator[_Hit]:
    pretend = place_of(path) in (Place.TEST, Place.EXAMPLE, Place.VENDORED, Place.DOCUMENTATION) or _PRETEND.search(path) is not None
    prose = path.endswith(_PROSE)
    named = list(_providers(data, pretend or prose)) if _HINT.search(data) else []
    yield from named
    if pretend:
        return
    if b"PRIVATE KEY-----" in data and not prose:
        for found in _KEY.finditer(data):
            if entropy(re.sub(rb"[^A-Za-z0-9+/]", b"", found[1]).decode()) > 4.5:
                yield _Hit(KEY, "a private key", found.start(), _print(found[1]), Severity.CRITICAL, Confidence.CERTAIN)
    if b"://" in data and not prose:
        yield from _addresses(data)
    if not prose:
        # A value that a provider's shape already names is not told twice.
        trial = _PIPELINE.search(path)
        for hit in () if trial and _CHECKS.search(trial[1] or "ci") else _assigned(data):
            if not any(0 <= other.at - hit.at < 120 for other in named):
                yield replace(hit, severity=Severity.LOW) if trial else hit


def _providers(data: bytes, pretend: bool) -> Iterator[_Hit]:
    for shape in _SHAPES:
        for found in shape.pattern.finditer(data):
            value = found[1].decode()
            if not _random(value) or _SAMPLE.search(value if len(value) < 30 else value[:12]) or b"EXAMPLE" in found[0]:
                continue
            severity = Severity.LOW if pretend else shape.severity
            if pretend and shape.severity is not Severity.CRITICAL:
                continue
            yield _Hit(
                PROVIDER, shape.kind, found.start(), _print(found[0]), severity, Confidence.POSSIBLE if pretend else Confidence.LIKELY
            )


def _addresses(data: bytes) -> Iterator[_Hit]:
    for found in _ADDRESS.finditer(data):
        secret, host, user = (found[name].decode("utf-8", "replace") for name in ("secret", "host", "user"))
        if _LOCAL_HOST.match(host) or _SAMPLE.search(secret) or _SAMPLE.search(host) or secret.startswith(("%", "*", "[", "(", "#")):
            continue
        if secret.lower() == user.lower() or entropy(secret) < 2.5 or "%s" in secret or (secret.isalpha() and secret.islower()):
            continue
        yield _Hit(
            CONNECTION,
            f"a password in a {found['scheme'].decode()} address",
            found.start(),
            _print(found["secret"]),
            Severity.HIGH,
            Confidence.LIKELY,
        )


def _assignments(data: bytes) -> Iterator[re.Match[bytes]]:
    """The matches of `_ASSIGN`, tried only where one of its words stands: a search that ignores case is several times slower."""
    end = 0
    for word in _ASSIGNED_WORD.finditer(data.lower()):
        if word.start() >= end and (found := _ASSIGN.match(data, word.start())):
            end = found.end()
            yield found


def _assigned(data: bytes) -> Iterator[_Hit]:
    for found in _assignments(data):
        last = _WORD_AT.match(data, found.start())
        start = _WORD_BEFORE.search(data[max(0, found.start() - 60) : last.end() if last else found.start()])
        name = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", start.group().decode() if start else "")
        if not _SECRET_NAME.search(name) or _OPEN_NAME.search(name):
            continue
        secret = found["secret"] or found["bare"]
        value = secret.decode()
        if _random(value) and not _SAMPLE.search(value) and not value.startswith(("AQI", "ENC", "vault", "sops", "Ag")):
            shown = f"a long random value named {name[-40:]}"
            yield _Hit(ASSIGNED, shown, found.start(), _print(secret), Severity.MODERATE, Confidence.POSSIBLE)


def _random(value: str) -> bool:
    """Whether a value looks drawn at random: enough different characters, digits among letters, and no words."""
    letters = sum(char.isalpha() for char in value)
    digits = sum(char.isdigit() for char in value)
    if letters < 4 or (digits < 2 and not (len(value) > 30 and entropy(value) > 4.2)):
        return False
    if re.fullmatch(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", value.lower()):
        return False
    hexadecimal = re.fullmatch(r"[0-9a-f]+", value.lower()) is not None
    words = re.findall(r"[a-z]{5,}|[A-Z][a-z]{4,}", value)
    if sum(map(len, words)) > len(value) / 3:
        return False
    return entropy(value) > (3.0 if hexadecimal else 3.3)


def entropy(value: str) -> float:
    """Shannon entropy in bits a character."""
    return -sum(n / len(value) * math.log2(n / len(value)) for n in Counter(value).values()) if value else 0.0


DETECTOR = Detector("secrets", "Credentials in clear text", RULES, detect, together)
