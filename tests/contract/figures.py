"""What the processes measure, as Prometheus shows it, and what a query asks for.

FIGURES is held to the code by tests/integration/deploy/test_pods.py, which runs the processes and compares.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import promql_parser
from opentelemetry.exporter.prometheus import _mapping
from promql_parser import MatchOp

# Set by the collector from the resource: kelola/<service>, and the pod.
OF_EVERY_FIGURE = {"job", "instance"}
FIGURES: dict[str, set[str]] = {
    "rpc_server_call_duration_seconds": {
        *("rpc_system_name", "rpc_method", "rpc_response_status_code", "error_type", "kelola_reason")
    },
    "db_client_connection_count": {"db_client_connection_state"},
    "kelola_outbox_unsent": {"kelola_service"},
    "kelola_outbox_age_seconds": {"kelola_service"},
    "kelola_outbox_parked": {"kelola_service"},
    "kelola_outbox_late": {"kelola_service"},
    "kelola_outbox_days_held": {"kelola_service"},
    "kelola_audit_unchained": {"kelola_service"},
    "kelola_consumer_lag": {"kelola_service"},
    "kelola_events_parked_total": {"kelola_consumer"},
}
# Measured only where something happened that these tests do not bring about.
SELDOM: dict[str, set[str]] = {
    "kelola_retention_removed_total": {"kelola_service", "kelola_table"},
    "kelola_proof_differences_total": {"kelola_service"},
}
_HISTOGRAMS = {"rpc_server_call_duration_seconds"}
_OF_HISTOGRAMS = re.compile("_(bucket|count|sum)$")


def prometheus_name(name: str, unit: str, *, counter: bool) -> str:
    """The name that an OTLP instrument gets in Prometheus (OpenTelemetry's "Prometheus and OpenMetrics Compatibility").

    Dots become underscores, units are written out and those in braces left out, counters end with _total. By the
    Python SDK's own translation, which the collector's follows.
    """
    plain: str = _mapping.sanitize_full_name(name)
    written: str = _mapping.map_unit(unit) if unit else ""
    if written and not plain.endswith(f"_{written}"):
        plain = f"{plain}_{written}"
    return f"{plain}_total" if counter else plain


def label_name(attribute: str) -> str:
    """The label that an attribute becomes."""
    made: str = _mapping.sanitize_attribute(attribute)
    return made


@dataclass(frozen=True)
class Asked:
    """A series that a query names."""

    figure: str
    labels: frozenset[str]
    values: frozenset[tuple[str, str]]


def asked(expression: str) -> Iterator[Asked]:
    """Every series of a PromQL expression, with the labels that are compared; ValueError when it is no PromQL.

    Labels of groupings are checked by `grouped`.
    """
    for selector in _selectors(promql_parser.parse(expression)):
        name = selector.name
        matchers = selector.matchers.matchers
        assert name, f"a series without a name in {expression}"
        equal = frozenset((one.name, one.value) for one in matchers if one.op == MatchOp.Equal)
        figure = _OF_HISTOGRAMS.sub("", name)
        yield Asked(figure if figure in _HISTOGRAMS else name, frozenset(one.name for one in matchers), equal)


def grouped(expression: str) -> set[str]:
    """The labels by which the expression groups."""
    found = re.findall(r"\bby\s*\(([^)]*)\)", expression)
    return {label.strip() for group in found for label in group.split(",") if label.strip()} - {"le"}


def _selectors(node: object) -> Iterator[promql_parser.VectorSelector]:
    if isinstance(node, promql_parser.VectorSelector):
        yield node
        return
    for name in ("vector_selector", "expr", "lhs", "rhs", "param"):
        inner = getattr(node, name, None)
        if inner is not None:
            yield from _selectors(inner)
    for argument in getattr(node, "args", None) or ():
        yield from _selectors(argument)
