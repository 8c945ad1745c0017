"""Settings in another shape than their tool expects: read as if nothing stood there, never a failure of a detector."""

from __future__ import annotations

import pytest

from checks.effects import effects_of
from tests.changes import change_of

ODD = {
    ".golangci.yml": ("linters:\n  enable: [errcheck]\n", "linters: all\n"),
    ".github/settings.yml": ("repository:\n  private: true\n", "repository: mine\n"),
    "pyproject.toml": ("[tool.mypy]\nstrict = true\n", 'tool = "none"\n'),
    "Cargo.toml": ('[package]\nname = "a"\n', 'package = "a"\nworkspace = 1\ntarget = []\n'),
    "tsconfig.json": ('{"compilerOptions": {"strict": true}}', '{"compilerOptions": "strict"}'),
    "biome.json": ('{"linter": {"enabled": true}}', '{"linter": [1]}'),
    "codecov.yml": ("coverage: {status: {project: {default: {target: 80%}}}}\n", "coverage: {status: 'no'}\n"),
    "app/settings.py": ("x = 1\n", b'x = "postgres://user:\xda\xdbaB3$kD9!x@db.internal/x"\n'),
}


@pytest.mark.parametrize("path", ODD)
def test_another_shape_fails_no_detector(path: str) -> None:
    """A text where a map should stand, in either direction."""
    for before, after in (ODD[path], ODD[path][::-1]):
        found = effects_of(change_of({path: before}, {path: after}))
        assert not [effect.message for effect in found if effect.rule == "engine/detector-failed"]
