"""Budget changes between the wire and the domain: no decisions."""

from __future__ import annotations

from datetime import date, datetime
from fractions import Fraction
from typing import Any
from uuid import UUID

from chassis import outbox
from chassis.errors import InvalidArgument
from chassis.ids import new_id
from chassis.money import Money
from chassis.wire import (
    from_date,
    from_decimal,
    from_money,
    optional_uuid,
    resource_id,
    resource_name,
    to_date,
    to_decimal,
    to_money,
    to_timestamp,
    to_uuid,
)
from kelola.finance.v1 import budget_change_pb2, budget_events_pb2
from services.finance.budget.changes import events
from services.finance.budget.changes.domain import Change, ChangeInvalid, ChangeKind, ChangeLine, ChangeStatus, NewLine
from services.finance.budget.changes.virement import Ban, Equal, Segment, VirementRule

CHANGES, RULES = "budgetChanges", "virementRules"

_KIND, _STATUS = budget_change_pb2.BudgetChangeKind, budget_change_pb2.BudgetChangeStatus
_SEGMENT = budget_change_pb2.BudgetSegment


def change(message: budget_change_pb2.BudgetChange, *, by: UUID, at: datetime) -> Change:
    """A change to be proposed, with fresh ids."""
    lines = [_line(line, f"budget_change.lines[{nth}]") for nth, line in enumerate(message.lines)]
    lines += [_transfer(one, f"budget_change.transfers[{nth}]") for nth, one in enumerate(message.transfers)]
    currencies = {currency for _, currency in lines}
    if len(currencies) > 1:
        raise ChangeInvalid(f"the amounts are in {', '.join(sorted(currencies))}: a budget change has one currency")
    return Change(
        budget_change_id=new_id(),
        agency_id=to_uuid(message.agency_id, "budget_change.agency_id"),
        fiscal_year=message.fiscal_year,
        kind=_kind(message.kind),
        document_number=message.document_number,
        legal_reference=message.legal_reference,
        explanation=message.explanation,
        currency=next(iter(currencies), ""),
        effective_on=from_date(message.effective_on, "budget_change.effective_on"),
        lines=tuple(line for line, _ in lines),
        proposed_by=by,
        proposed_at=at,
    )


def _line(message: budget_change_pb2.BudgetChangeLine, where: str) -> tuple[ChangeLine, str]:
    amount = from_money(message.amount, f"{where}.amount")
    if message.HasField("new_line") == bool(message.budget_line_id):
        raise InvalidArgument.field(where, "give budget_line_id, or new_line")
    if not message.HasField("new_line"):
        return ChangeLine(to_uuid(message.budget_line_id, f"{where}.budget_line_id"), amount.minor), amount.currency
    new = message.new_line
    return (
        ChangeLine(
            new_id(),
            amount.minor,
            new_line=NewLine(
                organisation_code=new.organisation_code,
                account_code=new.account_code,
                line_no=new.line_no,
                fund_code=new.fund_code,
                program_code=new.program_code,
                function_code=new.function_code,
                location_code=new.location_code,
                project_code=new.project_code,
                funding_source_code=new.funding_source_code,
                display_name=new.display_name,
                parent_id=optional_uuid(new.parent_budget_line_id, f"{where}.new_line.parent_budget_line_id"),
                uncontrolled=new.uncontrolled,
            ),
        ),
        amount.currency,
    )


def _transfer(message: budget_change_pb2.VirementTransfer, where: str) -> tuple[ChangeLine, str]:
    amount = from_money(message.amount, f"{where}.amount")
    line = ChangeLine(
        to_uuid(message.to_budget_line_id, f"{where}.to_budget_line_id"),
        amount.minor,
        from_line_id=to_uuid(message.from_budget_line_id, f"{where}.from_budget_line_id"),
    )
    return line, amount.currency


def change_message(value: Change) -> budget_change_pb2.BudgetChange:
    """One change."""

    def money(minor: int) -> Any:
        return to_money(Money(minor, value.currency))

    return budget_change_pb2.BudgetChange(
        name=resource_name(CHANGES, value.budget_change_id),
        budget_change_id=str(value.budget_change_id),
        agency_id=str(value.agency_id),
        fiscal_year=value.fiscal_year,
        kind=_KIND.Value(f"BUDGET_CHANGE_KIND_{value.kind.value}"),
        document_number=value.document_number,
        legal_reference=value.legal_reference,
        explanation=value.explanation,
        effective_on=to_date(value.effective_on),
        lines=[
            budget_change_pb2.BudgetChangeLine(
                budget_line_id=str(line.budget_line_id),
                new_line=_new_line_message(line.new_line) if line.new_line else None,
                amount=money(line.amount),
            )
            for line in value.lines
            if line.from_line_id is None
        ],
        transfers=[
            budget_change_pb2.VirementTransfer(
                from_budget_line_id=str(line.from_line_id),
                to_budget_line_id=str(line.budget_line_id),
                amount=money(line.amount),
                virement_rule_id=str(line.virement_rule_id or ""),
            )
            for line in value.lines
            if line.from_line_id is not None
        ],
        status=_STATUS.Value(f"BUDGET_CHANGE_STATUS_{value.status.value}"),
        increase=money(value.increase),
        decrease=money(value.decrease),
        proposed_by_person_id=str(value.proposed_by),
        propose_time=to_timestamp(value.proposed_at),
        decided_by_person_id=str(value.decided_by or ""),
        decide_time=to_timestamp(value.decided_at) if value.decided_at else None,
        decision_reason=value.decision_reason,
        journal_entry_id=str(value.journal_entry_id or ""),
        etag=str(value.version),
    )


def _new_line_message(line: NewLine) -> budget_change_pb2.NewBudgetLine:
    return budget_change_pb2.NewBudgetLine(
        fund_code=line.fund_code,
        organisation_code=line.organisation_code,
        program_code=line.program_code,
        account_code=line.account_code,
        function_code=line.function_code,
        location_code=line.location_code,
        project_code=line.project_code,
        funding_source_code=line.funding_source_code,
        line_no=line.line_no,
        display_name=line.display_name,
        parent_budget_line_id=str(line.parent_id or ""),
        uncontrolled=line.uncontrolled,
    )


def _kind(number: int) -> ChangeKind:
    return ChangeKind(_KIND.Name(number).removeprefix("BUDGET_CHANGE_KIND_"))


def optional_kind(number: int) -> ChangeKind | None:
    """The kind that a list asks for; None for every kind."""
    return _kind(number) if number else None


def optional_status(number: int) -> ChangeStatus | None:
    """The state that a list asks for; None for every state."""
    return ChangeStatus(_STATUS.Name(number).removeprefix("BUDGET_CHANGE_STATUS_")) if number else None


def change_id(name: str) -> UUID:
    """The id in `budgetChanges/{uuid}`."""
    return resource_id(CHANGES, name)


# --- rules -----------------------------------------------------------------------------------------------------


def rule(message: budget_change_pb2.VirementRule, where: str) -> VirementRule:
    """A rule to be added, with a fresh id."""
    share = None
    if message.HasField("share_max"):
        share = Fraction(from_decimal(message.share_max, f"{where}.share_max"))
        if not 0 < share <= 1:
            raise InvalidArgument.field(f"{where}.share_max", "above 0 and at most 1: 0.1 is 10 %")
    valid_to: date | None = None
    if message.HasField("valid_to"):
        valid_to = from_date(message.valid_to, f"{where}.valid_to")
    return VirementRule(
        virement_rule_id=new_id(),
        code=message.code,
        from_prefix=message.from_prefix.rstrip("."),
        to_prefix=message.to_prefix.rstrip("."),
        equal=tuple(Equal(_segment(one.segment), one.levels) for one in message.equal_segments),
        may_differ=frozenset(_segment(number) for number in message.may_differ),
        bans=tuple(Ban(one.from_prefix.rstrip("."), one.to_prefix.rstrip(".")) for one in message.bans),
        share_max=share,
        approver_role=message.approver_role,
        legal_source=message.legal_source,
        valid_from=from_date(message.valid_from, f"{where}.valid_from"),
        valid_to=valid_to,
    )


def rule_message(value: VirementRule) -> budget_change_pb2.VirementRule:
    """One rule."""
    return budget_change_pb2.VirementRule(
        name=resource_name(RULES, value.virement_rule_id),
        virement_rule_id=str(value.virement_rule_id),
        code=value.code,
        from_prefix=value.from_prefix,
        to_prefix=value.to_prefix,
        equal_segments=[
            budget_change_pb2.EqualSegment(segment=_segment_number(one.segment), levels=one.levels)
            for one in value.equal
        ],
        may_differ=sorted(_segment_number(segment) for segment in value.may_differ),
        bans=[budget_change_pb2.VirementBan(from_prefix=b.from_prefix, to_prefix=b.to_prefix) for b in value.bans],
        share_max=None if value.share_max is None else to_decimal(value.share_max),
        approver_role=value.approver_role,
        legal_source=value.legal_source,
        valid_from=to_date(value.valid_from),
        valid_to=None if value.valid_to is None else to_date(value.valid_to),
    )


def _segment(number: int) -> Segment:
    return Segment(_SEGMENT.Name(number).removeprefix("BUDGET_SEGMENT_"))


def _segment_number(segment: Segment) -> Any:
    return _SEGMENT.Value(f"BUDGET_SEGMENT_{segment.value}")


# --- events ----------------------------------------------------------------------------------------------------


@outbox.translates(events.BudgetChangeProposed)
def _proposed(event: events.BudgetChangeProposed) -> outbox.Envelope:
    value = event.change
    message = budget_events_pb2.BudgetChangeProposed(
        budget_change_id=str(value.budget_change_id),
        agency_id=str(value.agency_id),
        fiscal_year=value.fiscal_year,
        document_number=value.document_number,
        kind=_KIND.Value(f"BUDGET_CHANGE_KIND_{value.kind.value}"),
        proposed_by_person_id=str(value.proposed_by),
        increase=to_money(Money(value.increase, value.currency)),
        decrease=to_money(Money(value.decrease, value.currency)),
    )
    return outbox.Envelope(message, value.budget_change_id, value.agency_id, value.version)


@outbox.translates(events.BudgetChangeApproved)
def _approved(event: events.BudgetChangeApproved) -> outbox.Envelope:
    value = event.change

    def money(minor: int) -> Any:
        return to_money(Money(minor, value.currency))

    message = budget_events_pb2.AppropriationChanged(
        appropriation_id=str(value.budget_change_id),
        agency_id=str(value.agency_id),
        fiscal_year=value.fiscal_year,
        document_number=value.document_number,
        line_count=len({movement.budget_line_id for movement in event.movements}),
        total=money(sum(movement.authority for movement in event.movements)),
        effective_on=to_date(value.effective_on),
        change_kind=_KIND.Value(f"BUDGET_CHANGE_KIND_{value.kind.value}"),
        line_changes=[
            budget_events_pb2.AppropriationLineChange(
                budget_line_id=str(movement.budget_line_id),
                funds_movement_id=str(movement.funds_movement_id),
                revised_change=money(movement.authority),
                frozen_change=money(movement.frozen),
            )
            for movement in event.movements
        ],
    )
    return outbox.Envelope(message, value.budget_change_id, value.agency_id, value.version)


@outbox.translates(events.BudgetChangeEnded)
def _ended(event: events.BudgetChangeEnded) -> outbox.Envelope:
    value = event.change
    message = budget_events_pb2.BudgetChangeEnded(
        budget_change_id=str(value.budget_change_id),
        agency_id=str(value.agency_id),
        status=_STATUS.Value(f"BUDGET_CHANGE_STATUS_{value.status.value}"),
        decided_by_person_id=str(value.decided_by or ""),
        reason=value.decision_reason,
    )
    return outbox.Envelope(message, value.budget_change_id, value.agency_id, value.version)
