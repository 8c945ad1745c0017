"""Source too large to read is said to be so; what a machine wrote is not."""

from __future__ import annotations

import pytest

from checks.effects import effects_of
from tests.changes import change_of

_HANDLER = "@login_required\ndef export(request):\n    return 1\n"
_FILLER = "".join(f"def step_{number}(value):\n    return value + {number}\n\n" for number in range(26_000))


def _said(path: str, before: str | None, after: str, detector: str) -> list[str]:
    change = change_of({} if before is None else {path: before}, {path: after})
    return [effect.rule for effect in effects_of(change, only=detector)]


def test_a_guard_removed_in_a_file_too_large_to_parse_is_not_passed_over() -> None:
    """A source file over the limit in which lines of guards differ is reported as not analysed."""
    after = _FILLER + _HANDLER.replace("@login_required\n", "")
    assert _said("shop/views.py", _FILLER + _HANDLER, after, "app_guards") == ["engine/not-analysed"]


def test_other_lines_of_a_large_file_say_nothing() -> None:
    """Where no line of guards differs, the size of the file does not matter."""
    assert _said("shop/views.py", _FILLER + _HANDLER, _FILLER + _HANDLER + "x = 1\n", "app_guards") == []


@pytest.mark.parametrize("path", ["web/app.min.js", "dist/app.js", "shop/models.pb.go"])
def test_large_files_that_machines_write_say_nothing(path: str) -> None:
    """Minified, bundled and generated files are no source."""
    assert _said(path, None, _FILLER * 2, "secrets") == []


def test_a_large_source_file_that_is_not_searched_for_credentials_is_named() -> None:
    """A new source file over the limit of the search is reported as not analysed."""
    assert _said("shop/steps.py", None, _FILLER * 2, "secrets") == ["engine/not-analysed"]
