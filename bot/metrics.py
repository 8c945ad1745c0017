"""What can be counted and measured, for Prometheus. Labels only from closed sets: never a repository's name or anyone's text.

Served on an address of its own, by default of this machine alone: `INTERLOCK_METRICS`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics

disable_created_metrics()  # type: ignore[no-untyped-call]
REGISTRY = CollectorRegistry()
_FAST = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
_SLOW = (0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)


def _counter(name: str, text: str, *labels: str) -> Counter:
    return Counter(f"interlock_{name}", text, labels, registry=REGISTRY)


def _gauge(name: str, text: str, *labels: str) -> Gauge:
    return Gauge(f"interlock_{name}", text, labels, registry=REGISTRY)


def _histogram(name: str, text: str, buckets: tuple[float, ...], *labels: str) -> Histogram:
    return Histogram(f"interlock_{name}", text, labels, registry=REGISTRY, buckets=buckets)


WEBHOOK = _counter("webhook_total", "Requests at the front door, by event and by what became of them.", "event", "result")
WEBHOOK_ACK = _histogram("webhook_ack_seconds", "From the request's head to the answer, of deliveries that were stored.", _FAST)
QUEUE_DEPTH = _gauge("queue_depth", "Work by how it stands; unread are deliveries that nobody has read yet.", "state")
QUEUE_OLDEST = _gauge("queue_oldest_age_seconds", "How long the oldest work that is not dead has been waiting.")
EVALUATION = _histogram("evaluation_seconds", "How long each step of a review took.", _SLOW, "stage")
VERDICT = _counter("verdict_total", "Verdicts that were recorded, by state.", "state")
PARSER_RESULT = _counter("parser_result_total", "Files by the kind of their content and by whether they were read.", "parser", "result")
SANDBOX_KILLS = _counter("sandbox_kills_total", "Analyses that were ended because they went over a bound.", "reason")
GIT = _histogram("git_seconds", "How long git took, by operation.", _SLOW, "op")
MIRROR_BYTES = _gauge("mirror_bytes", "Bytes that the mirrors take.")
RATELIMIT_REMAINING = _gauge(
    "github_ratelimit_remaining", "Requests left in this hour, by installation; 0 is the App itself.", "installation"
)
GITHUB_REQUESTS = _counter("github_requests_total", "Requests sent to GitHub, by status class; 304 costs nothing.", "status")
GITHUB_ERRORS = _counter("github_errors_total", "Requests that GitHub refused or did not answer (0), by status.", "code")
REDELIVERED = _counter("redelivered_total", "Deliveries that GitHub was asked to send again.")
RECONCILED = _counter("reconciled_total", "Pull requests without a current check that were found by looking, not by a delivery.")
CHECK_MISSING_AGE = _gauge(
    "check_missing_age_seconds", "Age of the oldest open pull request found without a current check; 0 when there is none."
)
GATE_ESCAPES = _counter("gate_escapes_total", "Commits that reached a base branch round the gate, by how.", "why")
GATE_FORGED = _counter("gate_forged_checks_total", "Check runs under the gate's name that another App made.")
DB_BUSY = _counter("db_busy_total", "Times that the database could not take a write at once.")
LAST_SWEEP = _gauge("sweep_last_timestamp_seconds", "When deliveries were last compared with GitHub's own list.")

KNOWN_CODES = frozenset({0, 301, 400, 401, 403, 404, 409, 410, 422, 429, 500, 502, 503, 504})


def code(status: int) -> str:
    """A status as a label: of a closed set."""
    return str(status) if status in KNOWN_CODES else "other"


@contextmanager
def timed(histogram: Histogram, **labels: str) -> Iterator[None]:
    """Measure how long the body takes, also where it fails."""
    started = time.perf_counter()
    try:
        yield
    finally:
        (histogram.labels(**labels) if labels else histogram).observe(time.perf_counter() - started)


def observe_queue(waiting: Callable[[], dict[str, float]]) -> None:
    """Read the depth of the queue whenever somebody asks for the metrics."""
    kept: dict[str, float] = {}

    def read(name: str) -> Callable[[], float]:
        def value() -> float:
            # One look at the database for all gauges of one request.
            if name == "waiting" or not kept:
                kept.update(waiting())
            return float(kept.get(name, 0.0))

        return value

    for state in ("waiting", "taken", "dead", "unread"):
        QUEUE_DEPTH.labels(state=state).set_function(read(state))
    QUEUE_OLDEST.set_function(read("oldest"))


def exposition() -> bytes:
    """Everything, in Prometheus' text format."""
    from prometheus_client import generate_latest

    return generate_latest(REGISTRY)


def count_files(analysis: Any) -> None:
    """Count the files of an assessment by whether they were read."""
    PARSER_RESULT.labels(parser="all", result="read").inc(analysis.analysed)
    PARSER_RESULT.labels(parser="all", result="not_analysed").inc(len(analysis.not_analysed))
