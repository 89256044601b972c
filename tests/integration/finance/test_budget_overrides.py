"""Overrides and nodes that only warn, on PostgreSQL over gRPC."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import date

import grpc
import psycopg
import pytest

from chassis.testing import call_as, refusal, refused
from chassis.wire import to_date
from kelola.finance.v1 import budget_override_pb2, budget_pb2, ledger_pb2
from tests.integration.finance.books import YEAR, Books, minor, rid
from tests.integration.finance.changing import FREEZE, MATERIALS, SUPPLEMENTARY, SUPPLIES, Changing, changed
from tests.integration.finance.funds import Unit, a_document, an_item, new_line

OPEN, CLOSED = budget_override_pb2.BUDGET_OVERRIDE_STATUS_OPEN, budget_override_pb2.BUDGET_OVERRIDE_STATUS_CLOSED


@pytest.fixture
def unit(books: Books) -> Changing:
    return Changing(books)


def whole(item: budget_pb2.FundsItem) -> budget_pb2.FundsItem:
    return budget_pb2.FundsItem(document_line_id=item.document_line_id, budget_line_id=item.budget_line_id, final=True)


def test_f2_an_override_lets_exactly_its_amount_pass_and_is_consumed_last(unit: Changing):
    (a,) = unit.lines_of((SUPPLIES, 100))
    assert unit.refused("ReserveFunds", [an_item(a, 110)]).reason == "BUDGET_EXCEEDED"

    override = unit.opened(unit.override((a, 20)))
    unit.did("ReserveFunds", [an_item(a, 95)])
    assert unit.given(override) == [(20, 0)]
    unit.did("ReserveFunds", [an_item(a, 15)])
    short = unit.refused("ReserveFunds", [an_item(a, 11)])

    assert unit.given(override) == [(20, 10)]
    assert (short.metadata["available"], short.metadata["short_by"]) == ("10", "1")
    figures = unit.line(a).figures
    assert (minor(figures.override), minor(figures.available)) == (20_00, 10_00)
    assert unit.override_now(override).decided_role == "finance.budget_authority"
    assert unit.problems() == []


def test_what_comes_back_pays_for_the_excess_before_anybody_spends_it_again(unit: Changing):
    (a,) = unit.lines_of((SUPPLIES, 100))
    override = unit.opened(unit.override((a, 20)))
    first, second = an_item(a, 105), an_item(a, 10)
    unit.did("ReserveFunds", [first])
    unit.did("ReserveFunds", [second])

    unit.did("ReleaseFunds", [whole(second)])

    # 10 came back; 5 of the 15 were beyond the budget and still are: the override gives 5 used and 5 unused.
    assert unit.given(override) == [(10, 5)]
    assert unit.figures(a)[-1] == 5
    assert [minor(m.override_change) for m in unit.movements(a) if m.override_change.units] == [-10_00, 20_00]
    assert unit.problems() == []


def test_a_supplementary_budget_covers_the_override_and_closes_it(unit: Changing):
    (a,) = unit.lines_of((SUPPLIES, 100))
    override = unit.opened(unit.override((a, 20)))
    unit.did("ReserveFunds", [an_item(a, 120)])

    unit.done(unit.change(SUPPLEMENTARY, lines=[changed(a, 30)]))

    assert unit.override_now(override).status == CLOSED
    assert unit.authority(a) == (100, 130, 0, 10)
    assert unit.problems() == []


def test_the_authority_of_an_override_is_no_budget_to_give_away_or_hold_back(unit: Changing):
    a, b = unit.lines_of((SUPPLIES, 100), (MATERIALS, 100))
    unit.opened(unit.override((a, 20)))
    unit.did("ReserveFunds", [an_item(a, 95)])

    giving = unit.not_proposed(unit.transfer(a, b, 6))
    holding = unit.not_proposed(unit.change(FREEZE, lines=[changed(a, 6)]))

    assert (giving.metadata["available"], holding.metadata["available"]) == ("5", "5")


def test_after_its_last_day_the_unused_rest_is_gone_and_the_used_part_is_listed_as_open(unit: Changing):
    (a,) = unit.lines_of((SUPPLIES, 100))
    override = unit.opened(unit.override((a, 20)))
    unit.did("ReserveFunds", [an_item(a, 105)])

    late = unit.refused("ReserveFunds", [an_item(a, 1)], effective_on=to_date(date(YEAR, 7, 1)))
    on_time = unit.did("ReserveFunds", [an_item(a, 1)], effective_on=to_date(date(YEAR, 6, 30)))
    unit.did("ReserveFunds", [an_item(unit.lines_of((MATERIALS, 5))[0], 1)])

    assert late.metadata["available"] == "0"
    assert len(on_time.movements) == 1
    assert unit.given(override) == [(20, 6)]
    listed = call_as(
        unit.overrides.ListBudgetOverrides,
        budget_override_pb2.ListBudgetOverridesRequest(agency_id=str(unit.agency_id), status=OPEN),
        unit.token("budget_officer"),
    )
    assert [one.name for one in listed.budget_overrides] == [override.name]
    assert unit.problems() == []


def test_an_override_that_is_ended_early_keeps_what_was_used(unit: Changing):
    (a,) = unit.lines_of((SUPPLIES, 100))
    used, unused = (unit.opened(unit.override((a, 20))) for _ in range(2))
    unit.did("ReserveFunds", [an_item(a, 105)])

    for override in (used, unused):
        request = budget_override_pb2.CloseBudgetOverrideRequest(name=override.name, request_id=rid())
        call_as(unit.overrides.CloseBudgetOverride, request, unit.token("budget_authority"))

    assert (unit.given(used), unit.given(unused)) == ([(5, 5)], [(0, 0)])
    assert [unit.override_now(one).status for one in (used, unused)] == [OPEN, CLOSED]
    assert unit.figures(a)[-1] == 0
    assert unit.problems() == []


def test_a_manual_entry_uses_an_override_and_the_next_act_catches_up(unit: Changing):
    (a,) = unit.lines_of((SUPPLIES, 100))
    override = unit.opened(unit.override((a, 20)))

    entry = unit.agency.post(unit.agency.spending(a, 115))
    unit.did("ReserveFunds", [an_item(a, 1)])
    assert unit.given(override) == [(20, 16)]
    unit.agency.reverse(entry)
    unit.did("ReserveFunds", [an_item(a, 1)])

    assert unit.given(override) == [(4, 0)]
    assert unit.problems() == []


def test_where_two_stops_are_short_each_needs_its_item(unit: Changing):
    parent = call_as(
        unit.budget.ImportAppropriation, unit.import_request([new_line(0, line_no=9)]), unit.token("budget_officer")
    )
    node = parent.budget_line_ids[0]
    child = call_as(
        unit.budget.ImportAppropriation,
        unit.import_request(
            [new_line(100, parent_budget_line_id=node)],
            appropriation_id=parent.appropriation.appropriation_id,
        ),
        unit.token("budget_officer"),
    )
    unit.activated(child.appropriation)
    (a,) = child.budget_line_ids
    unit.opened(unit.override((a, 10)))
    short = unit.refused("ReserveFunds", [an_item(a, 105)])

    both = unit.opened(unit.override((node, 10)))
    unit.did("ReserveFunds", [an_item(a, 105)])

    assert short.metadata["budget_line_id"] == node
    assert unit.given(both) == [(10, 5)]
    assert unit.problems() == []


def test_whoever_proposed_an_override_does_not_open_it(unit: Changing):
    (a,) = unit.lines_of((SUPPLIES, 100))
    proposed = call_as(unit.overrides.CreateBudgetOverride, unit.override((a, 5)), unit.token("budget_officer"))
    same = unit.as_role("finance.budget_authority", unit.persons["budget_officer"])
    approval = budget_override_pb2.ApproveBudgetOverrideRequest(name=proposed.name, request_id=rid())
    recall = budget_override_pb2.RecallBudgetOverrideRequest(name=proposed.name, request_id=rid())
    rejection = budget_override_pb2.RejectBudgetOverrideRequest(name=proposed.name, reason="no", request_id=rid())

    assert refused(unit.overrides.ApproveBudgetOverride, approval, same).reason == "SAME_PERSON"
    assert refused(unit.overrides.RejectBudgetOverride, rejection, same).reason == "SAME_PERSON"
    assert (
        refused(unit.overrides.RecallBudgetOverride, recall, unit.as_role("finance.budget_officer")).reason
        == "NOT_THE_PROPOSER"
    )
    rejected = call_as(unit.overrides.RejectBudgetOverride, rejection, unit.token("budget_authority")).budget_override
    assert rejected.decision_reason == "no"
    assert unit.authority(a)[-1] == 100


def test_an_override_beyond_its_year_is_refused(unit: Changing):
    (a,) = unit.lines_of((SUPPLIES, 100))
    request = unit.override((a, 5), expires_on=to_date(date(YEAR + 1, 1, 1)))

    refusal_ = refused(unit.overrides.CreateBudgetOverride, request, unit.token("budget_officer"))

    assert refusal_.reason == "BUDGET_OVERRIDE_INVALID"


def test_16_writers_on_a_line_with_overrides_use_exactly_what_there_is(unit: Changing):
    (a,) = unit.lines_of((SUPPLIES, 100))
    override = unit.opened(unit.override((a, 30)))
    token, authority = unit.token("budget_officer"), unit.token("budget_authority")

    def act(n: int) -> str:
        try:
            if n % 8 == 0:
                proposed = call_as(
                    unit.changes.CreateBudgetChange,
                    unit.change(SUPPLEMENTARY, lines=[changed(a, 5)]),
                    token,
                )
                call_as(unit.changes.ApproveBudgetChange, unit.approval(proposed), authority)
                return "GREW"
            item = an_item(a, 7)
            document = a_document()
            call_as(unit.budget.ReserveFunds, unit.funds("ReserveFunds", [item], document=document), token)
            if n % 3 == 0:
                call_as(unit.budget.ReleaseFunds, unit.funds("ReleaseFunds", [whole(item)], document=document), token)
        except grpc.RpcError as failure:
            return refusal(failure).reason
        return "DONE"

    with ThreadPoolExecutor(16) as pool:
        outcomes = list(pool.map(act, range(48)))

    assert set(outcomes) <= {"DONE", "GREW", "BUDGET_EXCEEDED"}
    assert outcomes.count("GREW") == 6
    assert unit.figures(a)[-1] >= 0
    ((open_, consumed),) = unit.given(override)
    assert 0 <= consumed <= open_ <= 30
    assert unit.problems() == []


# --- nodes that only warn --------------------------------------------------------------------------------------


def a_warning_line(unit: Unit, amount: int) -> str:
    request = unit.import_request([new_line(amount, control_mode=budget_pb2.BUDGET_CONTROL_MODE_WARNING)])
    draft = call_as(unit.budget.ImportAppropriation, request, unit.token("budget_officer"))
    unit.activated(draft.appropriation)
    return draft.budget_line_ids[0]


def test_a_node_that_only_warns_lets_pass_records_and_tells(unit: Changing):
    a = a_warning_line(unit, 100)
    document = a_document(document_number="REQ/over")

    unit.did("ReserveFunds", [an_item(a, 90)])
    unit.did("ReserveFunds", [an_item(a, 30)], document=document)

    assert unit.figures(a)[-1] == -20
    assert unit.line(a).control_mode == budget_pb2.BUDGET_CONTROL_MODE_WARNING
    listed = call_as(
        unit.overrides.ListFundsOverLimits,
        budget_override_pb2.ListFundsOverLimitsRequest(budget_line_id=a),
        unit.token("budget_officer"),
    ).funds_over_limits
    assert [(one.document.document_number, minor(one.available), minor(one.over_by)) for one in listed] == [
        ("REQ/over", 10_00, 20_00)
    ]
    with psycopg.connect(unit.books.superuser_url) as connection:
        told = connection.execute(
            "select type from outbox where key = %s order by id", (document.document_id,)
        ).fetchall()
    assert [kind.rpartition(".")[2] for (kind,) in told] == ["FundsWentOverLimit", "FundsReserved"]
    assert unit.problems() == []


def over_limits(unit: Changing) -> list[tuple[str, int, int]]:
    """(document number, available, over by) in whole rupiah of what went over limits in the unit, the oldest first."""
    request = budget_override_pb2.ListFundsOverLimitsRequest(agency_id=str(unit.agency_id))
    listed = call_as(unit.overrides.ListFundsOverLimits, request, unit.token("budget_officer")).funds_over_limits
    return [
        (one.document.document_number, minor(one.available) // 100, minor(one.over_by) // 100)
        for one in reversed(listed)
    ]


def test_a_manual_entry_that_passes_a_warning_node_is_recorded_and_told(unit: Changing):
    a = a_warning_line(unit, 100)
    unit.agency.post(unit.agency.spending(a, 100))

    over = unit.agency.post(unit.agency.spending(a, 30))

    entry_id = over.name.rpartition("/")[2]
    assert unit.figures(a) == (0, 0, 130, 0, 0, -30)
    assert over_limits(unit) == [(entry_id, 0, 30)]
    with psycopg.connect(unit.books.superuser_url) as connection:
        told = connection.execute(
            "select count(*) from outbox where key = %s and type like %s", (entry_id, "%FundsWentOverLimit")
        ).fetchone()
    assert told == (1,)
    assert unit.problems() == []


def test_entries_of_one_batch_pass_a_warning_node_one_after_the_other(unit: Changing):
    a, (b,) = a_warning_line(unit, 100), unit.lines_of((MATERIALS, 50))
    entries = [unit.agency.spending(line, amount) for line, amount in ((a, 90), (a, 20), (b, 60), (a, 5))]
    request = ledger_pb2.BatchCreateJournalEntriesRequest(
        agency_id=str(unit.agency_id), journal_entries=entries, request_id=rid()
    )

    reply = call_as(unit.books.ledger.BatchCreateJournalEntries, request, unit.agency.accountant)

    # The third has no funds on its own line, which stops; it changes nothing for the others.
    ids = [one.journal_entry.name.rpartition("/")[2] for one in reply.results]
    assert [bool(one) for one in ids] == [True, True, False, True]
    assert over_limits(unit) == [(ids[1], 10, 10), (ids[3], -10, 15)]
    assert unit.problems() == []


def test_a_reversal_over_a_warning_limit_warns_nobody(unit: Changing):
    a = a_warning_line(unit, 100)
    over = unit.agency.post(unit.agency.spending(a, 130))

    unit.agency.reverse(over)

    assert (unit.figures(a)[-1], len(over_limits(unit))) == (100, 1)


def test_a_release_on_a_line_over_its_limit_warns_nobody(unit: Changing):
    a = a_warning_line(unit, 100)
    item = an_item(a, 130)
    unit.did("ReserveFunds", [item])
    unit.did(
        "ReleaseFunds",
        [budget_pb2.FundsItem(document_line_id=item.document_line_id, budget_line_id=a, amount=an_item(a, 10).amount)],
    )

    request = budget_override_pb2.ListFundsOverLimitsRequest(agency_id=str(unit.agency_id))
    listed = call_as(unit.overrides.ListFundsOverLimits, request, unit.token("budget_officer"))

    assert len(listed.funds_over_limits) == 1


def test_nobody_takes_from_a_warning_line_what_it_has_used(unit: Changing):
    a = a_warning_line(unit, 100)
    unit.did("ReserveFunds", [an_item(a, 100)])

    assert unit.not_proposed(unit.change(SUPPLEMENTARY, lines=[changed(a, -1)])).reason == "BUDGET_EXCEEDED"


@pytest.mark.parametrize("method", ["CreateBudgetOverride", "ApproveBudgetOverride", "CloseBudgetOverride"])
def test_roles_without_the_permission_give_no_override(unit: Changing, method: str):
    name = "budgetOverrides/x"
    request = {
        "CreateBudgetOverride": unit.override((unit.lines_of((SUPPLIES, 1))[0], 1)),
        "ApproveBudgetOverride": budget_override_pb2.ApproveBudgetOverrideRequest(name=name, request_id=rid()),
        "CloseBudgetOverride": budget_override_pb2.CloseBudgetOverrideRequest(name=name, request_id=rid()),
    }[method]

    assert refused(getattr(unit.overrides, method), request, unit.token("invoice_clerk")).code is (
        grpc.StatusCode.PERMISSION_DENIED
    )
