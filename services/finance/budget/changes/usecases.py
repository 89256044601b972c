"""Budget changes: propose, decide, and write what an approval does: authority, releases, journal, movements."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from sqlmodel import Session

from chassis import outbox
from chassis.errors import NotFound
from chassis.ids import new_id
from chassis.money import Money
from services.finance.approval import usecases as approval
from services.finance.budget import appropriation, authority_store, journals, request_store
from services.finance.budget import store as funds
from services.finance.budget.authority import AuthorityAct
from services.finance.budget.changes import domain, routing, store, virement
from services.finance.budget.changes import events as happened
from services.finance.budget.changes.domain import Change, ChangeKind, ChangeLine, ChangeStatus, ReleasePart
from services.finance.budget.changes.virement import VirementRule, VirementShareExceeded
from services.finance.budget.domain import AllotmentExceeded, Document, DocumentKind, Line, exceeded
from services.finance.budget.events import FundsAllotted
from services.finance.budget.overrides import settling
from services.finance.budget.span import period_within
from services.finance.budget.todate import Release, uncovered
from services.finance.classification.combinations import usecases as combinations
from services.finance.classification.pack import fiscal_calendar


def propose(session: Session, wanted: Change) -> Change:
    """Keep a change as PROPOSED. What could not be approved now is refused now, with the same words."""
    domain.check_form(wanted, fiscal_calendar())
    _check_new_lines(session, wanted)
    lines = funds.lock_lines(session, wanted.agency_id, wanted.line_ids(), lock=False)
    plan = _plan(session, wanted, [*lines, *(store.as_line(wanted, line) for line in wanted.lines if line.new_line)])
    proposed = plan.change
    if not store.insert_change(session, proposed):
        raise domain.ChangeNumberTaken(
            f"the agency has a budget change {wanted.document_number} in {wanted.fiscal_year}",
            metadata={"document_number": wanted.document_number},
        )
    outbox.emit(session, happened.BudgetChangeProposed(proposed))
    routing.begin(session, proposed)
    return proposed


def approve(
    session: Session,
    budget_change_id: UUID,
    *,
    person_id: UUID,
    at: datetime,
    require_roles: Callable[[Change, Collection[VirementRule]], None],
) -> Change:
    """Put a proposed change in force: checked again on the locked lines, then written as one transaction.

    `require_roles` refuses (raises) an approver who does not hold what the change, or the rules that its transfers
    rely on, ask for.
    """
    change = _locked(session, budget_change_id)
    approved = domain.decide(change, ChangeStatus.APPROVED, by=person_id, at=at)
    approval.passed(session, budget_change_id, _said(change), person_id=person_id, step="approve it")
    # Held from here on, so that the hard stop above a new line is not taken away after it was looked at.
    funds.lock_lines(session, change.agency_id, change.line_ids())
    _check_new_lines(session, change)
    taken = store.insert_new_lines(session, change)
    if taken is not None:
        raise _segments_taken(taken)
    ids = change.line_ids() | {line.budget_line_id for line in change.lines}
    lines = settling.expire(
        session,
        change.agency_id,
        funds.lock_lines(session, change.agency_id, ids),
        on=change.effective_on,
    )
    plan = _plan(session, change, lines)
    require_roles(change, plan.rules)
    entry = journals.post_authority(
        session,
        agency_id=change.agency_id,
        document_id=budget_change_id,
        source_kind=DocumentKind.BUDGET_CHANGE.value,
        description=f"Budget change {change.document_number} in force",
        by_fund=_by_fund(plan.act),
        currency=change.currency,
        effective_on=change.effective_on,
        person_id=person_id,
    )
    authority_store.save_authority(session, plan.act.before, plan.act.lines)
    funds.insert_movements(
        session,
        change.agency_id,
        plan.act.movements,
        effective_on=change.effective_on,
        accounting_on=entry.accounting_on if entry else change.effective_on,
        person_id=person_id,
        journal_entry_id=entry.entry.journal_entry_id if entry else None,
    )
    # What covers an override shrinks it.
    settling.settle(session, change.agency_id, plan.act.lines.values(), on=change.effective_on)
    _move_releases(session, change, plan, person_id=person_id, at=at)
    in_force = replace(
        approved, lines=plan.change.lines, journal_entry_id=entry.entry.journal_entry_id if entry else None
    )
    store.save_decision(session, in_force)
    outbox.emit(session, happened.BudgetChangeApproved(in_force, tuple(plan.act.movements)))
    return in_force


def reject(session: Session, budget_change_id: UUID, *, person_id: UUID, reason: str, at: datetime) -> Change:
    """Another person refuses a proposal, with a reason."""
    return _end(session, budget_change_id, ChangeStatus.REJECTED, person_id=person_id, reason=reason, at=at)


def recall(session: Session, budget_change_id: UUID, *, person_id: UUID, reason: str, at: datetime) -> Change:
    """The proposer takes the proposal back."""
    return _end(session, budget_change_id, ChangeStatus.RECALLED, person_id=person_id, reason=reason, at=at)


def _end(
    session: Session, budget_change_id: UUID, status: ChangeStatus, *, person_id: UUID, reason: str, at: datetime
) -> Change:
    change = domain.decide(_locked(session, budget_change_id), status, by=person_id, at=at, reason=reason)
    store.save_decision(session, change)
    outbox.emit(session, happened.BudgetChangeEnded(change))
    approval.recall(session, budget_change_id)
    return change


def get(session: Session, budget_change_id: UUID) -> Change:
    """One change; NOT_FOUND when the caller does not see it."""
    found = store.change(session, budget_change_id)
    if found is None:
        raise NotFound.resource("budget change", budget_change_id)
    return found


def create_rules(session: Session, rules: Sequence[VirementRule]) -> list[tuple[VirementRule, bool]]:
    """Add rules of virement, all or none; (rule, is it new) in the order given."""
    store.lock_rules(session)
    outcome = virement.admit(rules, store.rules_by_code(session, {rule.code for rule in rules}))
    store.add_rules(session, [rule for rule, is_new in outcome if is_new])
    return outcome


# --- what they share -------------------------------------------------------------------------------------------


def _said(change: Change) -> str:
    return f"{change.kind.value} {change.document_number}"


@dataclass(frozen=True)
class _Plan:
    """What a change would do to the lines as they are: authority, releases, and the rules that it relies on."""

    change: Change
    act: AuthorityAct
    rules: list[VirementRule]
    shifts: list[ReleasePart]


def _locked(session: Session, budget_change_id: UUID) -> Change:
    found = store.change(session, budget_change_id, lock=True)
    if found is None:
        raise NotFound.resource("budget change", budget_change_id)
    return found


def _plan(session: Session, change: Change, lines: Sequence[Line]) -> _Plan:
    document = Document(DocumentKind.BUDGET_CHANGE, change.budget_change_id, change.document_number)
    act = AuthorityAct(lines, document=document, new_id=new_id)
    named = change.line_ids() | {line.budget_line_id for line in change.lines}
    domain.check_lines(change, [act.lines[line_id] for line_id in sorted(named)])
    rules = store.rules_on(session, change.effective_on) if change.kind is ChangeKind.VIREMENT else []
    try:
        relied_on = domain.perform(change, act, rules)
    except VirementShareExceeded as refusal:
        gone = store.virements_out(session, UUID(refusal.metadata["budget_line_id"]))
        currency = change.currency
        refusal.metadata["moved_by"] = ", ".join(f"{number} {Money(minor, currency)}" for number, minor in gone)
        raise
    short = act.shortages()
    if short:
        raise exceeded(short, funds.biggest_users(session, short[0].line.budget_line_id))
    shifts: list[ReleasePart] = []
    if change.kind in (ChangeKind.SUPPLEMENTARY, ChangeKind.VIREMENT):
        shifts = _release_shifts(session, change, act)
    if relied_on:
        kept: list[ChangeLine] = [
            replace(line, virement_rule_id=rule.virement_rule_id)
            for line, rule in zip(change.lines, relied_on, strict=True)
        ]
        change = replace(change, lines=tuple(kept))
    return _Plan(change, act, relied_on, shifts)


def _release_shifts(session: Session, change: Change, act: AuthorityAct) -> list[ReleasePart]:
    """Releases that follow; refused when what was requested to date would no longer be covered (F3)."""
    releases = request_store.releases(
        session, sorted(line.from_line_id or line.budget_line_id for line in change.lines)
    )
    shifts = domain.release_shifts(change, act.lines, releases)
    losing = sorted({shift.budget_line_id for shift in shifts if shift.amount < 0})
    requested = request_store.requested(session, losing)
    for line_id in losing:
        rest = [
            *releases[line_id],
            *(Release(s.month_from, s.month_to, s.amount) for s in shifts if s.budget_line_id == line_id),
        ]
        short = uncovered(rest, requested.get(line_id, {}))
        if short is not None:
            line = act.lines[line_id]
            raise AllotmentExceeded(
                f"budget line {line.organisation_code} {line.account_code} ({line_id}): "
                f"{Money(short.reached, line.currency)} were requested to month {short.month}, the releases that "
                f"would stay are {Money(short.allotted, line.currency)}",
                metadata={"budget_line_id": str(line_id), "month": str(short.month)},
            )
    return shifts


def _move_releases(session: Session, change: Change, plan: _Plan, *, person_id: UUID, at: datetime) -> None:
    if not plan.shifts:
        return
    appropriation.check_releaser(
        session, funds.appropriations_of(session, [s.budget_line_id for s in plan.shifts]), person_id
    )
    order_id = new_id()
    parts = [(s.budget_line_id, s.month_from, s.month_to, s.amount) for s in plan.shifts]
    if not authority_store.insert_release_shifts(
        session,
        order_id,
        agency_id=change.agency_id,
        fiscal_year=change.fiscal_year,
        document_number=change.document_number,
        currency=change.currency,
        effective_on=change.effective_on,
        parts=parts,
        person_id=person_id,
        at=at,
    ):
        raise domain.ChangeNumberTaken(
            f"releases move with this change, and the agency has a release {change.document_number} in "
            f"{change.fiscal_year}: recall the change and propose it under another number",
            metadata={"document_number": change.document_number},
        )
    outbox.emit(
        session,
        FundsAllotted(
            order_id,
            change.agency_id,
            change.fiscal_year,
            change.document_number,
            min(period_within(part[1]) for part in parts),
            max(period_within(part[2]) for part in parts),
            len(parts),
            sum(part[3] for part in parts),
            change.currency,
        ),
    )


def _by_fund(act: AuthorityAct) -> dict[str, int]:
    """What the government's authority changes by, per fund: a virement within a fund changes nothing."""
    changes: dict[str, int] = {}
    for movement in act.movements:
        fund = act.lines[movement.budget_line_id].fund_code
        changes[fund] = changes.get(fund, 0) + movement.authority
    return changes


def _check_new_lines(session: Session, change: Change) -> None:
    """New lines stand on accounts of the chart, with segments of their own, and under nodes that are there."""
    new = [line.new_line for line in change.lines if line.new_line is not None]
    if not new:
        return
    appropriation.check_accounts(
        session, {line.account_code for line in new}, on=fiscal_calendar().first_day(change.fiscal_year)
    )
    brought_in = {nth: line.new_line for nth, line in enumerate(change.lines) if line.new_line is not None}
    combinations.check_lines(session, brought_in, on=change.effective_on)
    taken = store.taken_segments(session, change)
    if taken is not None:
        raise _segments_taken(taken)
    wanted = {line.parent_id for line in new if line.parent_id is not None}
    above = {line.budget_line_id: line for line in funds.lock_lines(session, change.agency_id, wanted, lock=False)}
    for line in new:
        if line.parent_id is None:
            if line.uncontrolled:
                raise appropriation.ParentInvalid(
                    "a new line without a parent is a hard stop; leave uncontrolled unset"
                )
            continue
        parent = above[line.parent_id]
        if parent.postable:
            raise appropriation.ParentInvalid(
                f"parent {line.parent_id} is a line of its own; a new line stands under a node that has lines",
                metadata={"parent_budget_line_id": str(line.parent_id)},
            )
        if line.uncontrolled and not _controlled(above, parent):
            raise appropriation.ParentInvalid(
                f"nothing above the new line {line.organisation_code} {line.account_code} is a hard stop; "
                "leave uncontrolled unset"
            )


def _controlled(lines: dict[UUID, Line], node: Line) -> bool:
    while not node.controlling and node.parent_id is not None:
        node = lines[node.parent_id]
    return node.controlling


def _segments_taken(line: domain.NewLine) -> appropriation.BudgetLineConflict:
    return appropriation.BudgetLineConflict(
        f"unit {line.organisation_code}, account {line.account_code}, line_no {line.line_no}: a line with these "
        "segments is there already; name it by its budget_line_id, or give the new one a line_no of its own",
        metadata={
            "organisation_code": line.organisation_code,
            "account_code": line.account_code,
            "line_no": str(line.line_no),
        },
    )
