"""What is done with payroll runs: load, decide, save, emit. Finance's part is done by a saga."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any
from uuid import UUID

from sqlmodel import Session

from chassis import outbox, saga
from chassis.dates import Month
from chassis.errors import NotFound
from services.hr.employee import plan
from services.hr.employee import store as employees
from services.hr.employee.domain import Planned
from services.hr.employee.usecases import true_up_plan
from services.hr.payroll import computing, correcting, domain, payee_store, store
from services.hr.payroll.correcting import Claim
from services.hr.payroll.domain import Payment, Posting, Refusal, Run
from services.hr.payroll.pack import Pack
from services.hr.payroll.period import Period
from services.hr.payroll.rules import PayKind
from services.hr.versions import require_etag

# Employments that one transaction computes: a second of work, so that a crash loses no more than that.
CHUNK = 2_000
# Employments whose obligations one call to finance sets anew: about a thousand lines (finance takes 5 000).
TRUE_UP_CHUNK = 100
# Finance may be away for a while; the run waits as ACCEPTING.
_DEADLINE = timedelta(hours=6)


def create_run(
    session: Session,
    *,
    payroll_run_id: UUID,
    agency_id: UUID,
    kind: PayKind,
    month: Month,
    by: UUID,
    pack: Pack,
) -> Run:
    """Begin a run: freeze what is known. One run of an agency at a time is computed or undecided."""
    period = period_of(pack, kind, month)
    employees.lock_facts(session, agency_id, alone=True)
    known_at = employees.knowledge_instant(session)
    sequence = store.runs_of_period(session, agency_id, kind, month) + 1
    run = Run(
        payroll_run_id=payroll_run_id,
        agency_id=agency_id,
        number=f"{kind.value}/{month.year}-{month.month:02d}/{sequence}",
        kind=kind,
        month=month,
        fiscal_year=pack.fiscal_year_of(month),
        currency=pack.currency,
        known_at=known_at,
        rounding=pack.rules_on(month.first).rounding.value,
        operation_id=payroll_run_id,
        created_by=by,
    )
    run = domain.sized(run, store.population_count(session, run, period.month))
    if not store.insert_run(session, run):
        raise domain.PayrollRunOpen(
            "another payroll run of this agency is being computed or waits for approval or funds: "
            "approve or cancel it first",
            metadata={"agency_id": str(agency_id)},
        )
    return run


def period_of(pack: Pack, kind: PayKind, month: Month) -> Period:
    """What the run pays for; NO_EXTRA_PAY where no regulation grants it by then."""
    if kind is PayKind.REGULAR:
        return Period.regular(month, pack.is_free)
    day = pack.entitled_on(kind, month.year)
    if day is None or Month.of(day) > month:
        raise domain.NoExtraPay(
            f"{kind.value} of {month.year}: "
            + (
                "the country pack has no regulation that grants it: add it there when it is issued"
                if day is None
                else f"entitlement begins on {day}: run it for that month or a later one of the year"
            ),
            metadata={"kind": kind.value, "year": str(month.year)},
        )
    return Period.of_day(day)


def compute_chunk(session: Session, payroll_run_id: UUID, after: UUID | None, *, pack: Pack) -> tuple[Run, UUID | None]:
    """Compute the next employments; the run, and the last employment's id, or None when that was all."""
    run = get_run(session, payroll_run_id, lock=True)
    period = period_of(pack, run.kind, run.month)
    people = store.population_after(session, run, period.month, after, CHUNK)
    known = payee_store.payees(session, people, [run.month.year], pack, known_at=run.known_at)
    claims: dict[UUID, Claim] = {}
    if run.kind is PayKind.REGULAR:
        touched = store.touched_months(session, run, [payee.employee_id for payee in known])
        known, claims = correcting.correct(known, touched, run.fiscal_year, pack)
    chunk = computing.compute(run, known, period, pack, claims)
    store.insert_payslips(session, run, chunk.payslips, chunk.lines)
    store.insert_exceptions(session, run, chunk.exceptions)
    if len(people) == CHUNK:
        run = domain.progressed(run, run.employees_done + len(people))
        store.update_run(session, run)
        return run, people[-1].employee_id
    run = domain.computed(run, store.totals(session, payroll_run_id))
    store.update_run(session, run)
    outbox.emit(session, domain.PayrollRunComputed(run))
    return run, None


def approve_run(session: Session, payroll_run_id: UUID, *, etag: str, by: UUID, effective_on: date) -> Run:
    """Approve a computed run; finance is asked to accept it as a debt."""
    run = get_run(session, payroll_run_id, lock=True)
    require_etag(etag, "payroll run", payroll_run_id, run.version)
    run = domain.approve(run, by=by, effective_on=effective_on)
    store.update_run(session, run)
    saga.start(
        session,
        kind="payroll.queue",
        document_id=run.payroll_run_id,
        agency_id=run.agency_id,
        person_id=by,
        deadline=_DEADLINE,
    )
    return run


def may_be_accepted(session: Session, payroll_run_id: UUID, *, saga_id: UUID) -> bool:
    """Whether the run's turn has come: nothing else of its agency is asking finance about obligations."""
    run = get_run(session, payroll_run_id)
    employees.lock_facts(session, run.agency_id, alone=True)
    return not employees.others_asking(session, run.agency_id, employee_id=None, saga_id=saga_id)


def posting_of(session: Session, payroll_run_id: UUID) -> tuple[Run, Posting]:
    """What finance is asked to accept. Payslips never change, so a repeat asks the same."""
    run = get_run(session, payroll_run_id)
    posting = domain.posting(store.charges(session, run))
    off = (posting.net - run.totals.net, posting.total - run.totals.cost)
    if off != (0, 0):
        raise domain.PostingOff(
            f"payroll run {run.number}: lines differ from payslips by {off[0]} in net, {off[1]} in cost (minor units)"
        )
    return run, posting


def record_acceptance(
    session: Session, payroll_run_id: UUID, journal_entry_id: UUID | None, refusal: Refusal | None
) -> Run:
    """What finance said: the run is APPROVED and its commitments used, or REFUSED_FUNDS with the figures."""
    run = get_run(session, payroll_run_id, lock=True)
    if refusal is not None:
        run = domain.refused(run, refusal)
        store.update_run(session, run)
        outbox.emit(session, domain.PayrollRunRefused(run))
        return run
    run = domain.accepted(run, journal_entry_id)
    store.update_run(session, run)
    store.use_commitments(session, run)
    outbox.emit(session, domain.PayrollRunApproved(run))
    return run


def next_true_up(session: Session, payroll_run_id: UUID, after: UUID | None, *, pack: Pack) -> dict[str, Any] | None:
    """What to ask finance for the next employments of an accepted run; None when all are through.

    TRUE_UP sets what is obligated to the newly projected rest of the year (domain rules §5).
    """
    run = get_run(session, payroll_run_id)
    people = store.employees_of_run(session, run, after, TRUE_UP_CHUNK)
    if not people:
        return None
    assert run.effective_on is not None, "an accepted run has its day"
    adjust, obligate = true_up_plan(session, people, run.fiscal_year, pack)
    return {
        "after": str(people[-1].employee_id),
        "effective_on": run.effective_on.isoformat(),
        "number": run.number,
        "adjust": [_entry(employee_id, one) for employee_id, one in adjust],
        "obligate": [_entry(employee_id, one) for employee_id, one in obligate if one.amount],
    }


def _entry(employee_id: UUID, planned: Planned) -> dict[str, Any]:
    return {"employee_id": str(employee_id), **plan.to_json(planned)}


def record_true_up(session: Session, agency_id: UUID, entries: Sequence[dict[str, Any]]) -> None:
    """What finance now has obligated."""
    items = [(UUID(entry["employee_id"]), plan.item_of(plan.from_json(entry))) for entry in entries]
    employees.set_open(session, agency_id, items)


def record_shortfall(session: Session, payroll_run_id: UUID, refusal: Refusal) -> None:
    """A true-up that a line has no room for: the run stands; the next one would stop at its approval."""
    run = domain.short(get_run(session, payroll_run_id, lock=True), refusal)
    store.update_run(session, run)


def cancel_run(session: Session, payroll_run_id: UUID, *, etag: str) -> Run:
    """Drop a run that finance has not accepted."""
    run = get_run(session, payroll_run_id, lock=True)
    require_etag(etag, "payroll run", payroll_run_id, run.version)
    run = domain.cancel(run)
    store.update_run(session, run)
    store.void_payslips(session, payroll_run_id)
    outbox.emit(session, domain.PayrollRunCancelled(run))
    return run


def record_payment(session: Session, payment: Payment) -> Run:
    """The bank debited what a payment order pays of the run; an order counts once."""
    run = get_run(session, payment.payroll_run_id, lock=True)
    if not store.insert_payment(session, run, payment):
        return run
    run = domain.pay(run, payment.amount)
    store.update_run(session, run)
    if run.state is domain.RunState.PAID:
        outbox.emit(session, domain.PayrollRunPaid(run))
    return run


def get_run(session: Session, payroll_run_id: UUID, *, lock: bool = False) -> Run:
    """The run; NOT_FOUND when there is none that the transaction may see."""
    run = store.run_by_id(session, payroll_run_id, lock=lock)
    if run is None:
        raise NotFound.resource("payroll run", payroll_run_id)
    return run
