"""Environment and secrets, read once into a frozen value; the secrets are then taken out of the environment, so that no child inherits them."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import MutableMapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit


@dataclass(frozen=True, slots=True)
class Setting:
    """One environment variable."""

    name: str
    default: str
    help: str
    secret: bool = False


SETTINGS: tuple[Setting, ...] = (
    Setting("INTERLOCK_APP_ID", "", "The App's id, a number"),
    Setting("INTERLOCK_PRIVATE_KEY", "", "The App's private key, in PEM form", secret=True),
    Setting("INTERLOCK_PRIVATE_KEY_FILE", "", "A file with the private key, instead"),
    Setting("INTERLOCK_WEBHOOK_SECRET", "", "The webhook's secret", secret=True),
    Setting("INTERLOCK_WEBHOOK_SECRET_PREVIOUS", "", "The secret before it, while it is being changed", secret=True),
    Setting("INTERLOCK_CLIENT_ID", "", "The App's client id, with which people sign in to the pages"),
    Setting("INTERLOCK_CLIENT_SECRET", "", "The App's client secret", secret=True),
    Setting("INTERLOCK_PRIVATE", "", "`behind-proxy`: whoever reaches this server may see every page, without signing in"),
    Setting("INTERLOCK_GITHUB_URL", "https://github.com", "Where repositories are cloned from"),
    Setting("INTERLOCK_API_URL", "", "The API's address (default: made from INTERLOCK_GITHUB_URL)"),
    Setting("INTERLOCK_PUBLIC_URL", "", "The address people reach this server at, for links"),
    Setting("INTERLOCK_DATA", "var", "Directory of the database and the mirrors"),
    Setting(
        "INTERLOCK_DATABASE_URL", "", "A PostgreSQL database (postgresql://…), for more than one machine; otherwise SQLite", secret=True
    ),
    Setting("INTERLOCK_WORKERS", "2", "Reviews at the same time in this process"),
    Setting("INTERLOCK_MIRROR_QUOTA", "20", "GiB that the mirrors may take"),
    Setting("INTERLOCK_PAST", "500", "Steps of each repository's history that are replayed once, so that a score can be compared; 0: none"),
    Setting("INTERLOCK_METRICS", "127.0.0.1:9464", "Address of `/metrics`, `/livez` and `/readyz`, apart from the door; `off` for none"),
    Setting("INTERLOCK_LOG", "json", "`json` or `text`"),
    Setting("INTERLOCK_TRACES", "", "A collector for OpenTelemetry traces (`http://…:4318`); needs the extra `otel`"),
    Setting("INTERLOCK_RETENTION", "0", "Days after which a record keeps only its digests; 0 keeps all of it for ever"),
    Setting("INTERLOCK_WRITE_SECONDS", "1", "Seconds between two writes to GitHub for one installation; 0 for a server without limits"),
)


class SettingsError(Exception):
    """A setting is wrong: a sentence with its name and the remedy."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """What the App needs to be the App. Never shown: the representation has no values."""

    app_id: int
    private_key: str = field(repr=False)
    webhook_secrets: tuple[bytes, ...] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Client:
    """What people sign in to the pages with."""

    id: str
    secret: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything the server is told from outside."""

    credentials: Credentials | None
    missing: tuple[str, ...]
    """Names of the settings that keep the App from working."""
    github_url: str
    api_url: str
    public_url: str
    data: Path
    workers: int
    mirror_quota: int
    """Bytes."""
    client: Client | None = None
    behind_proxy: bool = False
    """Whether a proxy in front decides who may see the pages."""
    stored: bool = False
    """Whether the credentials are those that the setup page stored."""
    database_url: str = field(default="", repr=False)
    metrics: str = ""
    """host:port of the inner door; empty for none."""
    log: str = "text"
    traces: str = ""
    retention: float = 0.0
    """Seconds that records are kept whole; 0 for ever."""
    write_seconds: float = 1.0
    """Seconds between two writes to GitHub for one installation."""
    past: int = 0
    """Steps of a repository's history that are replayed once."""


def read_settings(environment: MutableMapping[str, str] | None = None) -> Settings:
    """The settings of an environment, whose secrets are removed from it. Raises `SettingsError`."""
    env = os.environ if environment is None else environment
    data = Path(env.get("INTERLOCK_DATA", "").strip() or "var").absolute()
    kept = read_kept(data)
    stored = bool(kept) and not any(env.get(name, "").strip() for name in IDENTITY)
    told = kept if stored else {}
    values = {setting.name: (env.get(setting.name, "") or told.get(setting.name) or setting.default).strip() for setting in SETTINGS}
    for setting in SETTINGS:
        if setting.secret:
            env.pop(setting.name, None)
    github = _address("INTERLOCK_GITHUB_URL", values["INTERLOCK_GITHUB_URL"])
    api = _address("INTERLOCK_API_URL", values["INTERLOCK_API_URL"]) if values["INTERLOCK_API_URL"] else api_of(github)
    credentials, missing = _credentials(values)
    return Settings(
        credentials=credentials,
        missing=missing,
        github_url=github,
        api_url=api,
        public_url=values["INTERLOCK_PUBLIC_URL"].rstrip("/"),
        data=data,
        workers=_number("INTERLOCK_WORKERS", values["INTERLOCK_WORKERS"], 1, 64),
        mirror_quota=_number("INTERLOCK_MIRROR_QUOTA", values["INTERLOCK_MIRROR_QUOTA"], 1, 100_000) << 30,
        client=_client(values),
        behind_proxy=_behind_proxy(values["INTERLOCK_PRIVATE"]),
        stored=stored and credentials is not None,
        database_url=_database(values["INTERLOCK_DATABASE_URL"]),
        metrics=_inner(values["INTERLOCK_METRICS"]),
        log=_log(values["INTERLOCK_LOG"]),
        traces=_address("INTERLOCK_TRACES", values["INTERLOCK_TRACES"]) if values["INTERLOCK_TRACES"] else "",
        retention=_number("INTERLOCK_RETENTION", values["INTERLOCK_RETENTION"], 0, 36500) * 86400.0,
        write_seconds=float(_number("INTERLOCK_WRITE_SECONDS", values["INTERLOCK_WRITE_SECONDS"], 0, 60)),
        past=_number("INTERLOCK_PAST", values["INTERLOCK_PAST"], 0, 10_000),
    )


def database_address(environment: MutableMapping[str, str] | None = None) -> str:
    """INTERLOCK_DATABASE_URL alone, for commands that need nothing else; removed from the environment. Raises `SettingsError`."""
    env = os.environ if environment is None else environment
    return _database(env.pop("INTERLOCK_DATABASE_URL", "").strip())


KEPT = "credentials.json"
"""Where the setup page stores the App's credentials, in the data directory: readable by the server's own user alone."""
IDENTITY = ("INTERLOCK_APP_ID", "INTERLOCK_PRIVATE_KEY", "INTERLOCK_PRIVATE_KEY_FILE")
"""Any of these in the environment: the stored credentials are left alone."""


def read_kept(data: Path) -> dict[str, str]:
    """The settings that the setup page stored; empty if it stored none. Raises `SettingsError`."""
    path = data / KEPT
    try:
        mode = path.stat().st_mode
        if mode & 0o077:
            raise SettingsError(f"{path} can be read by others: chmod 600 {path}")
        values = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError):
        raise SettingsError(f"{path} cannot be read: it is what the setup page stored") from None
    names = {setting.name for setting in SETTINGS}
    if not isinstance(values, dict) or not all(name in names and isinstance(value, str) for name, value in values.items()):
        raise SettingsError(f"{path} is not what the setup page stored")
    return values


def keep(data: Path, values: dict[str, str]) -> None:
    """Store settings in the data directory, readable by this user alone, whole or not at all."""
    data.mkdir(parents=True, exist_ok=True)
    path = data / KEPT
    scratch = path.with_suffix(".new")
    with contextlib.suppress(FileNotFoundError):
        scratch.unlink()
    with os.fdopen(os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        json.dump(values, file, indent=1)
        file.flush()
        os.fsync(file.fileno())
    scratch.replace(path)


def _client(values: dict[str, str]) -> Client | None:
    given = values["INTERLOCK_CLIENT_ID"], values["INTERLOCK_CLIENT_SECRET"]
    if not any(given):
        return None
    if not all(given):
        raise SettingsError("INTERLOCK_CLIENT_ID and INTERLOCK_CLIENT_SECRET are set together or not at all")
    return Client(*given)


def _behind_proxy(value: str) -> bool:
    if value not in ("", "behind-proxy"):
        raise SettingsError(f"INTERLOCK_PRIVATE is empty or behind-proxy; it is {value[:40]!r}")
    return bool(value)


def api_of(github: str) -> str:
    """The API's address of a GitHub: docs.github.com/enterprise-server/rest ("Using the REST API")."""
    return "https://api.github.com" if urlsplit(github).hostname == "github.com" else github + "/api/v3"


def _address(name: str, value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username or parts.query or parts.fragment:
        raise SettingsError(f"{name} is an address such as https://github.example.com, without user or query; it is {value[:80]!r}")
    if parts.scheme == "http" and parts.hostname not in ("127.0.0.1", "localhost", "::1"):
        raise SettingsError(f"{name} must be https: tokens would cross the network in clear text")
    return value.rstrip("/")


def _database(value: str) -> str:
    if value and urlsplit(value).scheme not in ("postgresql", "postgres"):
        raise SettingsError("INTERLOCK_DATABASE_URL is an address such as postgresql://interlock@db.example.com/interlock")
    return value


def _inner(value: str) -> str:
    host, colon, port = value.rpartition(":")
    if value == "off":
        return ""
    if not (host and colon and port.isdigit() and int(port) < 65536):
        raise SettingsError(f"INTERLOCK_METRICS is an address such as 127.0.0.1:9464, or off; it is {value[:60]!r}")
    return value


def _log(value: str) -> str:
    if value not in ("json", "text"):
        raise SettingsError(f"INTERLOCK_LOG is json or text; it is {value[:20]!r}")
    return value


def _number(name: str, value: str, least: int, most: int) -> int:
    if not value.isdigit() or not least <= int(value) <= most:
        raise SettingsError(f"{name} is a whole number from {least} to {most}; it is {value[:20]!r}")
    return int(value)


def _credentials(values: dict[str, str]) -> tuple[Credentials | None, tuple[str, ...]]:
    key = values["INTERLOCK_PRIVATE_KEY"].replace("\\n", "\n")
    if not key and values["INTERLOCK_PRIVATE_KEY_FILE"]:
        try:
            key = Path(values["INTERLOCK_PRIVATE_KEY_FILE"]).read_text(encoding="ascii")
        except (OSError, UnicodeDecodeError):
            raise SettingsError(
                f"INTERLOCK_PRIVATE_KEY_FILE: {values['INTERLOCK_PRIVATE_KEY_FILE'][:200]} cannot be read as text"
            ) from None
    needed = (
        ("INTERLOCK_APP_ID", values["INTERLOCK_APP_ID"]),
        ("INTERLOCK_PRIVATE_KEY", key),
        ("INTERLOCK_WEBHOOK_SECRET", values["INTERLOCK_WEBHOOK_SECRET"]),
    )
    missing = tuple(name for name, value in needed if not value)
    if missing:
        return None, missing
    if not values["INTERLOCK_APP_ID"].isdigit():
        raise SettingsError("INTERLOCK_APP_ID is the App's number, shown on its settings page")
    if "PRIVATE KEY-----" not in key:
        raise SettingsError("INTERLOCK_PRIVATE_KEY is not a key in PEM form: it starts with -----BEGIN RSA PRIVATE KEY-----")
    secrets = tuple(values[name].encode() for name in ("INTERLOCK_WEBHOOK_SECRET", "INTERLOCK_WEBHOOK_SECRET_PREVIOUS") if values[name])
    if any(len(secret) < 20 for secret in secrets):
        raise SettingsError("INTERLOCK_WEBHOOK_SECRET is too short to be safe: at least 20 characters (`openssl rand -hex 32` makes one)")
    return Credentials(int(values["INTERLOCK_APP_ID"]), key, secrets), ()
