"""What an operator sees: metrics, logs with the delivery's id through all steps, traces, readiness, a dashboard and rules that fit them."""

from __future__ import annotations

import json
import logging
import re
import shutil
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest
import yaml

from bot import logs, metrics, traces
from bot.rounds import Inner
from bot.settings import SettingsError, read_settings
from tests.house import House

DEPLOY = Path(__file__).parent.parent / ".github" / "deploy"
PROMISED = {
    "webhook_total", "webhook_ack_seconds", "queue_depth", "queue_oldest_age_seconds", "evaluation_seconds", "verdict_total",
    "parser_result_total", "sandbox_kills_total", "git_seconds", "mirror_bytes", "github_ratelimit_remaining", "github_errors_total",
    "redelivered_total", "reconciled_total", "check_missing_age_seconds", "gate_escapes_total", "gate_forged_checks_total", "db_busy_total",
}  # fmt: skip


def exposed() -> dict[str, set[str]]:
    """The name of every series in the exposition, with the labels it has."""
    found: dict[str, set[str]] = {}
    for family in metrics.REGISTRY.collect():
        names = {family.name, f"{family.name}_total", f"{family.name}_bucket", f"{family.name}_count", f"{family.name}_sum"}
        for name in names:
            found.setdefault(name, set())
        for sample in family.samples:
            found.setdefault(sample.name, set()).update(sample.labels)
    return found


def test_every_promised_metric_is_there() -> None:
    """The list of what is measured, under one prefix."""
    names = exposed()
    assert {f"interlock_{name}" for name in PROMISED} <= set(names)


def test_no_label_carries_a_repository_or_anyones_text(house: House) -> None:
    """After a review no label has a value outside its closed set."""
    house.propose({"README.md": "# x\n"})
    text = metrics.exposition().decode()
    assert "acme" not in text and "robin" not in text
    assert re.search(r'interlock_webhook_total\{event="pull_request",result="202"\} [1-9]', text)
    assert re.search(r'interlock_evaluation_seconds_count\{stage="assess"\} [1-9]', text)
    assert re.search(r'interlock_verdict_total\{state="pass"\} [1-9]', text)


def test_the_inner_door_answers_and_nothing_else() -> None:
    """`/metrics`, `/livez` and `/readyz` on an address of their own; not ready is 503."""
    fine = [True]
    inner = Inner("127.0.0.1:0", lambda: (fine[0], "ready" if fine[0] else "not ready: starting"))
    try:

        def get(path: str) -> tuple[int, str]:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{inner.port}{path}", timeout=10) as answer:
                    return answer.status, answer.read().decode()
            except urllib.error.HTTPError as error:
                with error:
                    return error.code, error.read().decode()

        assert get("/livez") == (200, "ok\n")
        assert "interlock_verdict_total" in get("/metrics")[1]
        assert get("/readyz")[0] == 200
        fine[0] = False
        assert get("/readyz") == (503, "not ready: starting\n")
        assert get("/")[0] == 404
    finally:
        inner.close()


def test_the_front_door_does_not_serve_metrics(house: House) -> None:
    """What is measured is not public by default."""
    with pytest.raises(urllib.error.HTTPError) as error, urllib.request.urlopen(f"{house.server.url}/metrics", timeout=10):
        pass
    assert error.value.code == 404
    error.value.close()


def test_readiness_says_that_the_database_takes_no_write(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that is full or a database that is away: not ready, and why."""
    app = house.server.app
    assert app.ready()[0] is True

    def refuse(*_: object) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(app.store, "remember", refuse)
    fine, why = app.ready()
    assert not fine and "takes no write" in why
    monkeypatch.undo()


@pytest.mark.parametrize("value", ["9464", "host:", "a:99999", ":9464"])
def test_a_wrong_address_is_told(value: str) -> None:
    """The inner door's address is checked when the settings are read."""
    with pytest.raises(SettingsError, match="INTERLOCK_METRICS"):
        read_settings({"INTERLOCK_METRICS": value})


def lines_of(caplog: pytest.LogCaptureFixture, guid: str) -> list[str]:
    return [text for text in caplog.messages if guid in text]


def test_every_line_of_a_review_names_its_delivery(house: House) -> None:
    """From the delivery to the work it set off: the same id stands in each line, as JSON."""
    kept: list[dict[str, str]] = []

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            kept.append(json.loads(logs.Json().format(record)))

    handler = Keep()
    logger = logging.getLogger("interlock")
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        house.propose({"README.md": "# x\n"})
    finally:
        logger.removeHandler(handler)
    opened = next(one for one in house.github.deliveries if (one.event, one.action) == ("pull_request", "opened"))
    mine = [one for one in kept if opened.guid in (one.get("delivery"), *re.findall(r"[0-9a-f-]{36}", one["message"]))]
    assert any("asks for" in one["message"] for one in mine)
    assert any(one.get("work", "").endswith("/pull/1") for one in mine)


@pytest.mark.parametrize(
    "secret",
    [
        "ghs_123_" + "a.b-c" * 20,
        "github_pat_" + "A1" * 20,
        "Bearer abc.def.ghi",
        "-----BEGIN RSA PRIVATE KEY-----\nabc\n-----END RSA PRIVATE KEY-----",
    ],
)
def test_no_token_is_ever_written(secret: str) -> None:
    """Whatever is logged, a token or key in it is masked, in both forms."""
    record = logging.LogRecord("interlock", logging.INFO, "", 0, "sent %s there", (secret,), None)
    for form in (logs.Json(), logs.Text()):
        text = form.format(record)
        assert "[masked]" in text and secret not in text and "abc" not in text


def test_traces_are_not_loaded_unless_they_are_wanted() -> None:
    """Without a collector nothing of OpenTelemetry is imported."""
    script = "import sys, bot.app; print(any(name.startswith('opentelemetry') for name in sys.modules))"
    told = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=Path(__file__).parent.parent)
    assert told.stdout.strip() == "False"


def test_a_step_is_a_span_with_the_deliverys_id() -> None:
    """Where traces are wanted each step of a review is a span."""
    memory = pytest.importorskip("opentelemetry.sdk.trace.export.in_memory_span_exporter", reason="the extra otel is not installed")
    exporter = memory.InMemorySpanExporter()
    traces.configure("http://127.0.0.1:4318", exporter)
    try:
        with logs.about(delivery="d-1"), traces.step("assess"):
            pass
        traces._TRACER.span_processor.force_flush()
        (span,) = exporter.get_finished_spans()
        assert span.name == "interlock.assess" and span.attributes["interlock.delivery"] == "d-1"
    finally:
        traces.off()


def expressions() -> list[str]:
    """Every expression of the dashboard and of the rules."""
    dashboard = json.loads((DEPLOY / "grafana.json").read_text())
    found = [target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", [])]
    groups = yaml.safe_load((DEPLOY / "prometheus-rules.yml").read_text())["groups"]
    return found + [rule["expr"] for group in groups for rule in group["rules"]]


def test_the_dashboard_and_the_rules_ask_for_what_there_is() -> None:
    """Every series and label they name exists; brackets are closed."""
    metrics.WEBHOOK.labels(event="ping", result="202").inc(0)
    metrics.EVALUATION.labels(stage="assess").observe(0)
    names = exposed()
    asked = expressions()
    assert len(asked) >= 12
    for text in asked:
        used = set(re.findall(r"\binterlock_\w+", text))
        assert used and used <= set(names), text
        assert text.count("(") == text.count(")") and text.count("{") == text.count("}")


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not here (Debian: prometheus)")
def test_promtool_accepts_the_rules() -> None:
    """Prometheus' own check."""
    done = subprocess.run(["promtool", "check", "rules", str(DEPLOY / "prometheus-rules.yml")], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
