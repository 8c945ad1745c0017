"""Turns seeds into hostile inputs: what breaks parsers, put where it hurts."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

WORDS: tuple[bytes, ...] = (
    b"\0", b"\xff", b"\xfe\xff", b"\xef\xbb\xbf", b"\xed\xa0\x80", b"\xc0\xaf", b"\xe2\x80\xae", b"\xe2\x80\xa8", b"\xc2\x85", b"\x1b[2J", b"\r", b"\x0b", b"\x0c",
    b"\n", b"\n\n", b"\t", b" " * 40, b"'", b'"', b"'''", b'"""', b"`", b"```", b"\\", b"\\\n", b"\\ud800", b"\\u0000",
    b"(", b")", b"[", b"]", b"{", b"}", b"<", b">", b"[[", b"{{", b"}}", b"${", b"%{", b"$${", b"${{", b"$((", b"$(", b"{{-", b"<%", b"<<EOF\n", b"<<~A\n", b"<<-'X'\n",
    b"#", b"//", b"/*", b"*/", b"--", b"/*!50000 ", b"<!--", b"-->", b"---\n", b"...\n", b"- ", b"- - - ", b": ", b"? ", b"&a ", b"*a", b"<<: *a\n", b"!!binary ", b"!x ", b"| \n", b">-\n", b"%YAML 9\n",
    b"null", b"true", b"on", b"0x", b"1e999", b"NaN", b"9" * 30, b"9" * 5000, b"-", b"2001-13-45", b"1:1:1", b"\xf0\x9f\x92\xa3",
    b";", b";;", b",", b"=", b"==", b"=>", b"?", b":", b"|", b"||", b"&&", b"&", b"@", b"~", b"^", b"*", b"**/", b"../", b"/", b"%s", b"$1",
    b"if ", b"else ", b"end\n", b"fi\n", b"done\n", b"esac\n", b"CASE WHEN ", b"ARRAY[", b"NOT ", b"UNION SELECT ", b"DROP TABLE ", b"$$", b"$a$", b"DELIMITER //\n", b"BEGIN;",
    b"resource \"a\" \"b\" {\n", b"dynamic \"x\" {\n", b"for x in y : ", b"FROM a\n", b"RUN ", b"ONBUILD ", b"# escape=`\n", b"apiVersion: v1\nkind: Pod\n", b"Resources:\n", b"Type: AWS::S3::Bucket\n", b"jobs:\n", b"steps:\n",
    b"[" * 120 + b"]" * 120, b"{" * 120 + b"}" * 120, b"(" * 300, b"[" * 3000, b"{\"a\":" * 1200, b"a: {" * 200, b"a." * 300,
)  # fmt: skip


def _spot(data: bytes, dice: random.Random) -> int:
    return dice.randint(0, len(data))


def _insert(data: bytes, dice: random.Random, others: Sequence[bytes]) -> bytes:
    at = _spot(data, dice)
    return data[:at] + dice.choice(WORDS) + data[at:]


def _replace(data: bytes, dice: random.Random, others: Sequence[bytes]) -> bytes:
    at = _spot(data, dice)
    return data[:at] + dice.choice(WORDS) + data[at + dice.randint(1, 12) :]


def _cut(data: bytes, dice: random.Random, others: Sequence[bytes]) -> bytes:
    at = _spot(data, dice)
    return data[:at] + data[at + dice.choice((1, 2, 5, 20, 100)) :]


def _end(data: bytes, dice: random.Random, others: Sequence[bytes]) -> bytes:
    return data[: _spot(data, dice)]


def _again(data: bytes, dice: random.Random, others: Sequence[bytes]) -> bytes:
    at, size = _spot(data, dice), dice.choice((1, 3, 10, 40, 200))
    return data[:at] + data[at : at + size] * dice.choice((2, 2, 3, 5, 40)) + data[at + size :]


def _flip(data: bytes, dice: random.Random, others: Sequence[bytes]) -> bytes:
    at = _spot(data, dice)
    return data[:at] + bytes((dice.randrange(256),)) + data[at + 1 :]


def _swap(data: bytes, dice: random.Random, others: Sequence[bytes]) -> bytes:
    lines = data.split(b"\n")
    one, two = dice.randrange(len(lines)), dice.randrange(len(lines))
    lines[one], lines[two] = lines[two], lines[one]
    return b"\n".join(lines)


def _indent(data: bytes, dice: random.Random, others: Sequence[bytes]) -> bytes:
    lines = data.split(b"\n")
    at = dice.randrange(len(lines))
    lines[at:] = [b"  " + line if dice.random() < 0.8 else line.lstrip() for line in lines[at:]]
    return b"\n".join(lines)


def _cross(data: bytes, dice: random.Random, others: Sequence[bytes]) -> bytes:
    other = dice.choice(others)
    at, size = _spot(other, dice), dice.choice((5, 50, 400))
    where = _spot(data, dice)
    return data[:where] + other[at : at + size] + data[where:]


_WAYS: tuple[Callable[[bytes, random.Random, Sequence[bytes]], bytes], ...] = (
    _insert, _insert, _replace, _replace, _cut, _cut, _end, _again, _flip, _flip, _swap, _indent, _cross,
)  # fmt: skip
LARGEST = 16 << 10


def mutated(seeds: Sequence[bytes], dice: random.Random) -> bytes:
    """A seed with one to six wounds."""
    data = dice.choice(seeds)
    for _ in range(dice.choice((1, 1, 2, 2, 3, 6))):
        data = dice.choice(_WAYS)(data, dice, seeds)
    return data[:LARGEST]
