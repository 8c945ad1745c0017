"""Spans for OpenTelemetry where `INTERLOCK_TRACES` names a collector; otherwise nothing is loaded and nothing is done.

Needs the extra `otel`. A span carries the name of the step and the delivery's id, never a repository's content.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from bot.logs import delivery
from bot.metrics import EVALUATION

_TRACER: Any = None


class NoTraces(Exception):
    """The packages for traces are not installed: a sentence with the remedy."""


def configure(address: str, exporter: Any = None) -> None:
    """Send spans to a collector (OTLP over HTTP). Raises `NoTraces`."""
    global _TRACER  # noqa: PLW0603 - one tracer for the whole process, set once at its start
    try:
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor

        if exporter is None:
            from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

            exporter = OTLPSpanExporter(endpoint=address.rstrip("/") + "/v1/traces")
    except ImportError:
        raise NoTraces("INTERLOCK_TRACES needs more packages: pip install 'interlock[otel]'") from None
    provider = TracerProvider(resource=Resource.create({"service.name": "interlock"}))
    provider.add_span_processor(BatchSpanProcessor(exporter))
    _TRACER = provider.get_tracer("interlock")


def off() -> None:
    """Make no spans any more."""
    global _TRACER  # noqa: PLW0603 - see `configure`
    _TRACER = None


@contextmanager
def span(name: str, **fields: str) -> Iterator[None]:
    """A span around the body, where traces are wanted."""
    if _TRACER is None:
        yield
        return
    with _TRACER.start_as_current_span(name, attributes={"interlock.delivery": delivery(), **fields}):
        yield


@contextmanager
def step(stage: str) -> Iterator[None]:
    """One step of a review: measured, and a span of its own."""
    started = time.perf_counter()
    try:
        with span(f"interlock.{stage}"):
            yield
    finally:
        EVALUATION.labels(stage=stage).observe(time.perf_counter() - started)
