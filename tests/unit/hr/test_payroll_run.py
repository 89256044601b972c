"""A run's states: who may do what, in which order."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chassis.dates import Month
from chassis.ids import new_id
from services.hr.payroll import domain
from services.hr.payroll.domain import Line, Refusal, Run, RunState, Totals
from services.hr.payroll.rules import PayKind, Side

TOTALS = Totals(payslips=2, gross=1_000, tax_allowance=10, deductions=110, net=900, employer_parts=90)
DAY = date(2026, 4, 1)


def a_run(state: RunState = RunState.COMPUTED, **fields: object) -> Run:
    known = {
        "payroll_run_id": new_id(),
        "agency_id": new_id(),
        "number": "REGULAR/2026-04/1",
        "kind": PayKind.REGULAR,
        "month": Month(2026, 4),
        "fiscal_year": 2026,
        "currency": "IDR",
        "known_at": datetime(2026, 4, 1, tzinfo=UTC),
        "rounding": "HALF_UP",
        "operation_id": new_id(),
        "created_by": new_id(),
        "totals": TOTALS,
    }
    return Run(**{**known, "state": state, **fields})


def test_i9_its_maker_never_approves_it() -> None:
    run = a_run()

    with pytest.raises(domain.MakerMayNotApprove):
        domain.approve(run, by=run.created_by, effective_on=DAY)


@pytest.mark.parametrize("state", [s for s in RunState if s not in (RunState.COMPUTED, RunState.REFUSED_FUNDS)])
def test_only_a_computed_or_refused_run_is_approved_or_cancelled(state: RunState) -> None:
    with pytest.raises(domain.PayrollRunNotComputed):
        domain.approve(a_run(state), by=new_id(), effective_on=DAY)
    with pytest.raises(domain.PayrollRunNotComputed):
        domain.cancel(a_run(state))


def test_a_run_that_pays_nobody_is_not_approved() -> None:
    with pytest.raises(domain.PayrollRunEmpty):
        domain.approve(a_run(totals=Totals()), by=new_id(), effective_on=DAY)


def test_a_refused_run_keeps_the_figures_and_may_be_approved_again() -> None:
    refusal = Refusal("BUDGET_EXCEEDED", "short", {"short_by": "12"})

    refused = domain.refused(a_run(RunState.ACCEPTING), refusal)
    again = domain.approve(refused, by=new_id(), effective_on=DAY)

    assert refused.refusal == refusal
    assert (again.state, again.refusal) == (RunState.ACCEPTING, None)


def test_it_is_paid_when_everything_it_cost_is_debited_and_not_before() -> None:
    run = a_run(RunState.APPROVED)

    half = domain.pay(run, 1_010)
    whole = domain.pay(half, 90)

    assert (half.state, half.paid) == (RunState.APPROVED, 1_010)
    assert whole.state is RunState.PAID


@pytest.mark.parametrize("amount", [0, -1, 1_101])
def test_nothing_or_more_than_it_owes_is_no_payment(amount: int) -> None:
    with pytest.raises(domain.PayrollRunNotComputed):
        domain.pay(a_run(RunState.APPROVED), amount)


sides = st.sampled_from(Side)
lines = st.lists(
    st.builds(
        Line,
        component=st.sampled_from(("BASE_PAY", "RICE_ALLOWANCE", "HEALTH")),
        side=sides,
        amount=st.integers(1, 10**12),
        creditor=st.sampled_from(("TASPEN", "BPJS_HEALTH")),
        budget_line_id=st.sampled_from([new_id(), new_id()]),
        document_line_id=st.one_of(st.none(), st.just(new_id())),
    ),
    max_size=40,
)


@given(lines)
def test_n17_charges_are_net_and_what_is_withheld_and_employers_parts(given_lines: list[Line]) -> None:
    posting = domain.posting(given_lines)

    pay = sum(charge.amount for charge in posting.charges if not charge.creditor)
    assert pay == posting.net + sum(posting.withheld.values())
    assert posting.total == pay + sum(posting.employer_parts.values())
    keys = [(c.document_line_id, c.budget_line_id, c.component, c.creditor) for c in posting.charges]
    assert len(set(keys)) == len(keys)


@given(lines, lines)
def test_n15_a_correction_brings_what_was_paid_to_what_is_known(now: list[Line], paid: list[Line]) -> None:
    owed = domain.retro(Month(2026, 1), now, paid)

    again = domain.retro(Month(2026, 1), now, [*paid, *owed])

    assert again == []
    assert domain.net_of(owed) == domain.net_of(now) - domain.net_of(paid)
