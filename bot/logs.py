"""The log: one JSON object a line, with the delivery that something was done for; never a token.

`INTERLOCK_LOG=text` makes plain lines of it, for people at a terminal.
"""

from __future__ import annotations

import datetime
import json
import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_ABOUT: ContextVar[dict[str, str]] = ContextVar("about", default={})  # noqa: B039 - never changed, only replaced
_SECRET = re.compile(
    r"gh[pousr]_[A-Za-z0-9_.\-]{10,}|github_pat_\w{10,}|(?<=[Bb]earer )\S+|-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*-----|\Z)",
    re.DOTALL,
)
_OURS = frozenset({"escape", "sha"})
"""Fields that a message may carry beside its text."""


@contextmanager
def about(**fields: str | None) -> Iterator[None]:
    """What is done in the body is done for this delivery, this work: every line says so."""
    token = _ABOUT.set({**_ABOUT.get(), **{name: value for name, value in fields.items() if value}})
    try:
        yield
    finally:
        _ABOUT.reset(token)


def delivery() -> str:
    """The GUID of the delivery that something is being done for; empty for none."""
    return _ABOUT.get().get("delivery", "")


def masked(text: str) -> str:
    """A text without tokens and keys."""
    return _SECRET.sub("[masked]", text)


class Json(logging.Formatter):
    """One object a line."""

    def format(self, record: logging.LogRecord) -> str:
        moment = datetime.datetime.fromtimestamp(record.created, datetime.UTC)
        line = {
            "time": moment.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": masked(record.getMessage()),
            **_ABOUT.get(),
            **{name: str(value) for name, value in vars(record).items() if name in _OURS},
        }
        if record.exc_info:
            line["exception"] = masked(self.formatException(record.exc_info))
        return json.dumps(line, ensure_ascii=False)


class Text(logging.Formatter):
    """Plain lines."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s %(message)s")

    def format(self, record: logging.LogRecord) -> str:
        fields = " ".join(f"{name}={value}" for name, value in _ABOUT.get().items())
        return masked(super().format(record)) + (f" [{fields}]" if fields else "")


def configure(form: str) -> None:
    """Write the log to standard error in one of the two forms."""
    handler = logging.StreamHandler()
    handler.setFormatter(Text() if form == "text" else Json())
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    logging.getLogger("httpx").setLevel(logging.WARNING)
