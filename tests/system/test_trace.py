"""One trace from the first call to the last effect, across gRPC, SQL, the outbox, Kafka, consumers and sagas."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

import pytest
from opentelemetry.trace import SpanKind, get_current_span

from chassis import telemetry
from cli import trace as traces
from kelola.hr.v1 import unit_pb2
from kelola.logistics.v1 import catalog_pb2
from tests.system import rehearsal_hr, rehearsal_logistics
from tests.system.rehearsal import person
from tests.system.rehearsal_finance import budget_of
from tests.system.rehearsal_identity import register

_SECONDS = 20.0
_JOURNEY = "from person to requisition"
# What the journey from person to requisition asks of whom. HR's saga asks identity and finance, logistics' finance.
_STEPS = {
    ("identity", "kelola.identity.v1.PersonService/RegisterPerson"),
    ("hr", "kelola.hr.v1.EmployeeService/HireEmployee"),
    ("hr", "saga employee.obligate"),
    ("identity", "kelola.identity.v1.PersonService/GetPerson"),
    ("finance", "kelola.finance.v1.BudgetService/ObligateFunds"),
    ("logistics", "kelola.logistics.v1.RequisitionService/ApproveRequisition"),
    ("logistics", "saga requisition.reserve"),
    ("finance", "kelola.finance.v1.BudgetService/ReserveFunds"),
}


def _spans(lived, trace_id: str, complete: Callable[[list[traces.Span]], bool]) -> list[traces.Span]:
    """The trace's spans once `complete`; processes write theirs within a moment."""
    telemetry.flush()
    end = time.monotonic() + _SECONDS
    while True:
        found = [span for span in traces.spans(lived.platform.directory / "spans") if span.trace_id == trace_id]
        if complete(found):
            return found
        assert time.monotonic() < end, sorted({(span.service, span.name) for span in found})
        time.sleep(0.3)


def test_one_journey_through_all_four_services_is_one_trace(lived):
    company = lived.company
    budget = budget_of(company)
    unit = company.read(unit_pb2.ListUnitsRequest(agency_id=company.agencies["unit"]), by="hr_officer").units[0]
    item = company.read(catalog_pb2.ListItemsRequest(code="UJI-1"), by="catalog_officer").items[0]

    with telemetry.span(_JOURNEY, kind=SpanKind.INTERNAL, attributes={}):
        trace_id = format(get_current_span().get_span_context().trace_id, "032x")
        company.persons["newcomer"] = register(company, person(90, "newcomer"))
        rehearsal_hr.hire(company, budget, unit.unit_id, "newcomer", 3)
        rehearsal_logistics.requisition(company, budget, item.item_id)

    found = _spans(
        lived, trace_id, lambda spans: _names(spans) >= _STEPS and any(span.name == _JOURNEY for span in spans)
    )
    # This process's spans have the service name of whichever test started its telemetry first.
    assert [span.name for span in found if span.parent_id is None] == [_JOURNEY]


def test_the_trace_of_one_requisition_shows_every_kind_of_work(lived):
    trace_id = lived.summary["trace_of_one_requisition"]

    found = _spans(lived, trace_id, lambda spans: ("logistics", "process kelola.finance.payables.v1") in _names(spans))

    for service, kinds in {
        "logistics": (
            "kelola.logistics.v1.RequisitionService/CreateRequisition",
            "insert requisition",
            "saga requisition.reserve",
            "saga order.obligate",
            "create kelola.logistics.ordering.v1",
            "send kelola.logistics.ordering.v1",
            "process kelola.finance.payables.v1",
        ),
        "finance": (
            "kelola.finance.v1.BudgetService/ReserveFunds",
            "update budget_line",
            "process kelola.logistics.ordering.v1",
            "process kelola.logistics.receiving.v1",
            "kelola.finance.v1.PayablesService/IssuePaymentOrder",
            "create kelola.finance.payables.v1",
            "send kelola.finance.payables.v1",
        ),
    }.items():
        for kind in kinds:
            assert (service, kind) in _names(found)
    assert {span.trace_id for span in found} == {trace_id}
    by_id = {span.span_id: span for span in found}
    orphans = [span for span in found if span.parent_id is not None and span.parent_id not in by_id]
    assert orphans == [], "every span but the journey's own hangs below another of the trace"
    assert [span.name for span in found if span.parent_id is None] == ["requisition 01"]


def _names(spans: Iterable[traces.Span]) -> set[tuple[str, str]]:
    return {(span.service, span.name) for span in spans}


@pytest.mark.parametrize("service", ["identity", "finance", "hr", "logistics"])
def test_no_span_of_the_story_failed_for_a_reason_of_ours(lived, service):
    """Refusals are answers; a span is in error when a server is at fault."""
    failed = [
        span
        for span in traces.spans(lived.platform.directory / "spans")
        if span.service == service and span.failed and span.attributes.get("rpc.response.status_code") == "INTERNAL"
    ]

    assert failed == []
