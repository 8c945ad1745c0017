"""The register of extractors: how files of each kind mention others."""

from __future__ import annotations

import re
from functools import lru_cache

from checks.reach.edges import compiled, delivery, generated, javascript, modules, python, ruby, terraform
from checks.reach.edges.base import Extractor

EXTRACTORS: tuple[Extractor, ...] = (
    python.EXTRACTOR,
    javascript.EXTRACTOR,
    compiled.GO,
    compiled.JVM,
    compiled.CSHARP,
    compiled.RUST,
    compiled.PHP,
    ruby.EXTRACTOR,
    terraform.EXTRACTOR,
    delivery.YAML,
    delivery.CHART,
    delivery.IMAGE,
    delivery.CONTRACT,
    modules.MODULES,
    generated.GENERATED,
    generated.CLIENT,
)


_TEST = re.compile(
    r"(?:test_.*|.*_tests?|conftest)\.py\Z|.*_(?:test|spec)\.(?:go|rb|php|exs)\Z|.*\.(?:test|spec|stories|e2e|bench)\.[cm]?[jt]sx?\Z|.*(?:Test|Tests|IT|Spec)\.(?:java|kt|cs|scala|php)\Z"
)
"""Files of test cases by their name: nothing deployed depends on them, and they are not deployed."""


def of_tests(name: str) -> bool:
    """Whether a file of this name holds test cases."""
    return _TEST.match(name) is not None


@lru_cache(maxsize=1 << 16)
def reading(name: str) -> tuple[Extractor, ...]:
    """The extractors that read a file of this name; none for a file of test cases."""
    return () if of_tests(name) else tuple(one for one in EXTRACTORS if one.reads.match(name))


@lru_cache(maxsize=1 << 16)
def reading_versions(name: str) -> str:
    """The names and versions of the extractors that read a file of this name: what they find in a blob is kept under it."""
    return " ".join(f"{one.name}{one.version}" for one in reading(name))
