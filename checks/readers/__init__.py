"""Parse once, keep lines. A reader takes bytes and gives plain, picklable values; what it cannot read it says, with a line.

Every reader is bounded: it looks at size and depth before it parses. Values keep the 1-based line they stand on.
"""

from __future__ import annotations

from typing import Any

from checks.model import Unreadable
from checks.readers.bulk import written_by_hand

_STRUCTURED = (".yml", ".yaml", ".toml", ".hcl", ".tf", ".tofu", ".tfvars")
LIMIT = 1 << 20
"""Bytes of one file that are parsed: 1 MiB."""


def text_of(data: bytes, path: str, limit: int = LIMIT) -> str:
    """`data` as text with `\\n` line ends only.

    A byte order mark decides the encoding (UTF-8, UTF-16, UTF-32); without one it must be UTF-8. A lone carriage return becomes a newline,
    because databases and shells read it so. Raises `Unreadable` for more than `limit` bytes, NUL bytes, or bytes that are no text.
    """
    if len(data) > limit:
        ours = path.endswith(_STRUCTURED) or written_by_hand(data, path)
        raise Unreadable(path, f"{len(data):,} bytes are over the limit of {limit:,}", ours=ours).of(data)
    encoding = next((encoding for mark, encoding in _MARKS if data.startswith(mark)), None)
    if encoding is None:
        encoding = "utf-8"
        if b"\0" in data:
            raise Unreadable(path, "it has NUL bytes, so it is not text").of(data)
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        raise Unreadable(path, f"it is not {encoding} text (byte {error.start})").of(data) from None
    return text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")


_MARKS = (
    (b"\xff\xfe\x00\x00", "utf-32"),
    (b"\x00\x00\xfe\xff", "utf-32"),
    (b"\xff\xfe", "utf-16"),
    (b"\xfe\xff", "utf-16"),
    (b"\xef\xbb\xbf", "utf-8-sig"),
)


def table(value: Any) -> dict[Any, Any]:
    """A map that should stand there; an empty one where something else stands."""
    return value if isinstance(value, dict) else {}
