"""deploy/observability asks for figures that the processes have, and every alert says where to read on."""

from __future__ import annotations

import ast
import json
import logging
import re
import shutil
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from chassis.local.services import service_names
from chassis.settings import ServiceSettings
from services.finance.budget.domain import BudgetExceeded
from tests.contract.figures import FIGURES, OF_EVERY_FIGURE, SELDOM, asked, grouped, prometheus_name
from tools.descriptors import ROOT, contracts

_FOLDER = ROOT / "deploy" / "observability"
_SERVICES = service_names()
_KINDS = "counter gauge histogram up_down_counter observable_counter observable_gauge observable_up_down_counter"
_MAKERS = {f"create_{kind}" for kind in _KINDS.split()}


def _yaml(name: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((_FOLDER / name).read_text(encoding="utf-8"))
    return found


_ALERTS = {rule["alert"]: rule for group in _yaml("alerts.yaml")["groups"] for rule in group["rules"]}
_DASHBOARD = json.loads((_FOLDER / "dashboard.json").read_text(encoding="utf-8"))
_PANELS = {panel["title"]: panel for panel in _DASHBOARD["panels"] if panel["type"] != "row"}


def _queries() -> dict[str, str]:
    found = {f"alert {name}": rule["expr"] for name, rule in _ALERTS.items()}
    for title, panel in _PANELS.items():
        for target in panel["targets"]:
            # What Grafana fills in.
            text = target["expr"].replace("$__rate_interval", "5m").replace("$service", "finance|hr")
            found[f"panel {title} {target['refId']}"] = text
    return found


_QUERIES = _queries()


@pytest.mark.parametrize("where", _QUERIES)
def test_queries_name_figures_and_labels_that_there_are(where):
    query = _QUERIES[where]
    series = list(asked(query))

    assert series
    labels: set[str] = set()
    for one in series:
        measured = FIGURES | SELDOM
        assert one.figure in measured, f"{where}: no process measures {one.figure}"
        known = measured[one.figure] | OF_EVERY_FIGURE
        assert one.labels - {"le"} <= known, f"{where}: {one.figure} has no label {one.labels - known}"
        labels |= known
    assert grouped(query) <= labels


def test_an_unknown_figure_would_be_seen():
    (one,) = asked('rate(kelola_outbox_unsend{kelola_service="hr"}[5m]) > 3')

    assert one.figure not in FIGURES
    assert one.labels == {"kelola_service"}
    with pytest.raises(ValueError, match="unclosed"):
        list(asked("sum by (kelola_service) (kelola_outbox_unsent"))


def test_names_are_translated_as_prometheus_has_them():
    assert prometheus_name("rpc.server.call.duration", "s", counter=False) == "rpc_server_call_duration_seconds"
    assert prometheus_name("kelola.outbox.unsent", "{event}", counter=False) == "kelola_outbox_unsent"
    assert prometheus_name("kelola.events.parked", "{event}", counter=True) == "kelola_events_parked_total"


def test_every_instrument_of_the_code_is_known_here():
    """tests/integration/deploy/test_pods.py compares with what the processes send; this tells sooner of a new one."""
    assert {name for name, _ in _instruments()} == {*FIGURES, *SELDOM}


def _instruments() -> Iterator[tuple[str, ast.Call]]:
    """The calls that make an instrument, with its name in Prometheus."""
    for folder in ("chassis", "services", "cli"):
        for file in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
                if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
                    continue
                if node.func.attr not in _MAKERS:
                    continue
                unit = next((ast.literal_eval(one.value) for one in node.keywords if one.arg == "unit"), "")
                counter = node.func.attr in ("create_counter", "create_observable_counter")
                yield prometheus_name(ast.literal_eval(node.args[0]), unit, counter=counter), node


def test_every_alert_waits_is_graded_and_says_where_to_read_on():
    page = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    anchors = {re.sub(r"[^\w\- ]", "", line).strip().lower().replace(" ", "-") for line in _headings(page)}

    for name, rule in _ALERTS.items():
        assert re.fullmatch(r"[1-9]\d*[mh]", rule["for"]), name
        assert rule["labels"]["severity"] in {"critical", "warning", "info"}
        assert rule["annotations"]["summary"]
        file, _, anchor = rule["annotations"]["runbook"].partition("#")
        assert (file, anchor in anchors) == ("docs/operations.md", True), name


def _headings(page: str) -> list[str]:
    return [line.lstrip("#").strip() for line in page.splitlines() if line.startswith("#")]


def test_absence_is_asked_for_each_service_by_name():
    """absent() sees a service only by a matcher; without one, any other service would hide it."""
    for alert, label, value in (
        ("KelolaServiceAbsent", "job", "kelola/{}"),
        ("KelolaRelayAbsent", "kelola_service", "{}"),
    ):
        named = {pair for one in asked(_ALERTS[alert]["expr"]) for pair in one.values}

        assert named == {(label, value.format(service)) for service in _SERVICES}


def test_funds_are_refused_with_the_reason_that_the_rule_counts():
    values = {pair for one in asked(_ALERTS["KelolaFundsRefused"]["expr"]) for pair in one.values}

    assert values == {("kelola_reason", BudgetExceeded.reason)}


def test_durations_leave_streams_out():
    streams = {
        f"{method.service}/{method.proto.name}"
        for method in contracts().methods
        if method.proto.client_streaming or method.proto.server_streaming
    }
    (pattern,) = set(re.findall(r'rpc_method!~"([^"]+)"', _ALERTS["KelolaSlow"]["expr"]))

    assert {name for name in _methods() if re.fullmatch(pattern, name)} == streams


def _methods() -> set[str]:
    return {f"{method.service}/{method.proto.name}" for method in contracts().methods}


def test_the_pools_alert_is_nine_tenths_of_the_pool():
    pool = ServiceSettings.model_fields["database_pool_size"].default

    assert _ALERTS["KelolaPoolExhausted"]["expr"].endswith(f">= {pool * 9 // 10}")


def test_every_alert_is_tried_by_promtools_own_tests():
    tried = (_FOLDER / "alerts_test.yaml").read_text(encoding="utf-8")

    assert {name for name in _ALERTS if name not in tried} == set()


def test_alerts_fire_when_they_should_and_only_then():
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool (of Prometheus) is not on the PATH")
    for command in (["check", "rules", "alerts.yaml"], ["test", "rules", "alerts_test.yaml"]):
        done = subprocess.run([promtool, *command], cwd=_FOLDER, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", ["collector.yaml", "collector-node.yaml"])
def test_collectors_use_what_they_define_and_guard_their_memory_first(name):
    config = _yaml(name)

    for kind, pipeline in config["service"]["pipelines"].items():
        assert set(pipeline["receivers"]) <= set(config["receivers"]), kind
        assert set(pipeline["exporters"]) <= set(config["exporters"]), kind
        assert (pipeline["processors"][0], pipeline["processors"][-1]) == ("memory_limiter", "batch")
        assert set(pipeline["processors"]) <= set(config["processors"])
    used = {part for one in config["service"]["pipelines"].values() for kind in one for part in one[kind]}
    defined = {part for kind in ("receivers", "processors", "exporters") for part in config[kind]}
    assert used == defined
    assert set(config["service"]["extensions"]) == set(config["extensions"])


def test_the_gateway_takes_traces_metrics_and_logs_where_the_chart_sends_them():
    config = _yaml("collector.yaml")
    values = yaml.safe_load((ROOT / "deploy" / "helm" / "kelola" / "values.yaml").read_text(encoding="utf-8"))

    assert set(config["service"]["pipelines"]) == {"traces", "metrics", "logs"}
    door = config["receivers"]["otlp"]["protocols"]["grpc"]["endpoint"]
    assert door == f"0.0.0.0:{values['networkPolicy']['collectorPort']}"


def test_the_node_collector_reads_the_fields_of_our_log_lines(capfd, monkeypatch):
    from opentelemetry.sdk.trace import TracerProvider

    from chassis import telemetry

    # This test's stderr ends with it; services of the same process go on writing to the place that they were given.
    root = logging.getLogger()
    monkeypatch.setattr(root, "handlers", list(root.handlers))
    monkeypatch.setattr(telemetry._behind, "handler", None)
    (parser,) = [one for one in _yaml("collector-node.yaml")["receivers"]["filelog"]["operators"] if "timestamp" in one]
    wanted = {
        parser["timestamp"]["parse_from"],
        parser["severity"]["parse_from"],
        *(one["parse_from"] for one in parser["trace"].values()),
    }
    import structlog

    telemetry.configure_logging(ServiceSettings(service="test"))
    with TracerProvider().get_tracer("test").start_as_current_span("a test"):
        structlog.get_logger("chassis.test").warning("a line")
    lines = [json.loads(line) for line in capfd.readouterr().err.splitlines() if line.startswith("{")]

    assert {f"attributes.{field}" for field in lines[-1]} >= wanted
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", lines[-1]["timestamp"])
    assert lines[-1]["level"] == parser["severity"]["mapping"]["warn"]


def test_the_dashboard_has_panels_that_do_not_overlap_and_knows_every_service():
    taken: set[tuple[int, int]] = set()
    for panel in _DASHBOARD["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, panel["title"]
        assert max(x for x, _ in cells) < 24
        taken |= cells
    ids = [panel["id"] for panel in _DASHBOARD["panels"]]
    (service,) = [one for one in _DASHBOARD["templating"]["list"] if one["name"] == "service"]
    assert len(ids) == len(set(ids))
    assert service["query"].split(",") == _SERVICES
    named = set(re.findall(r"Kelola[A-Z]\w+", json.dumps(_DASHBOARD)))
    assert named <= set(_ALERTS)
