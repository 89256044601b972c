"""A change of the approval matrix: proposed by one person, approved or rejected by another, or recalled. Pure.

Who alone may say who must approve what can let himself approve anything, so the matrix is kept apart like the papers
that go through it (domain rules §4; ASVS 5.0 §2.3.5).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, datetime
from enum import Enum
from uuid import UUID

from chassis.errors import AlreadyExists, FailedPrecondition, InvalidArgument
from services.finance.approval.domain import ApprovalSamePerson, Rule, ended


class RuleChangeStatus(Enum):
    """Where a change of the matrix stands in its life."""

    PROPOSED = "PROPOSED"
    APPROVED = "APPROVED"
    REJECTED = "REJECTED"
    RECALLED = "RECALLED"


class RuleChangeNotProposed(FailedPrecondition):
    """The change was decided or recalled already."""

    reason = "APPROVAL_RULE_CHANGE_NOT_PROPOSED"


class NotTheProposer(FailedPrecondition):
    """A proposal is recalled by its proposer."""

    reason = "NOT_THE_PROPOSER"


class RuleChangeNumberTaken(AlreadyExists):
    """The agency has a change of the matrix of that number."""

    reason = "DOCUMENT_NUMBER_TAKEN"


class ApprovalRuleExists(AlreadyExists):
    """A rule of that kind, step, role, amount, nodes and first day is there and says something else."""

    reason = "APPROVAL_RULE_EXISTS"


@dataclass(frozen=True)
class Ending:
    """A rule that ends, and the first day of documents that do not take it any more."""

    approval_rule_id: UUID
    valid_to: date


@dataclass(frozen=True)
class RuleChange:
    """One document; what it adds and ends comes into force together, at the instant of the approval."""

    approval_rule_change_id: UUID
    agency_id: UUID
    document_number: str
    explanation: str
    additions: tuple[Rule, ...]
    endings: tuple[Ending, ...]
    proposed_by: UUID
    proposed_at: datetime
    status: RuleChangeStatus = RuleChangeStatus.PROPOSED
    decided_by: UUID | None = None
    decided_at: datetime | None = None
    decision_reason: str = ""
    version: int = 1


def check_form(change: RuleChange) -> None:
    """Refuse what is wrong whatever the matrix: nothing in it, or one rule twice."""
    if not change.additions and not change.endings:
        raise InvalidArgument.field("approval_rule_change", "adds no rule and ends none; name at least one")
    contents = [content(rule) for rule in change.additions]
    for nth, one in enumerate(contents):
        if one in contents[:nth]:
            raise InvalidArgument.field(f"{addition_field(nth)}", f"is additions[{contents.index(one)}] again")
    ids = [one.approval_rule_id for one in change.endings]
    for nth, rule_id in enumerate(ids):
        if rule_id in ids[:nth]:
            raise InvalidArgument.field(f"{_ending_field(nth)}.approval_rule_id", "is named twice")


def content(rule: Rule) -> tuple[object, ...]:
    """What a rule is about, from when on, and for whom: there is one of each."""
    return (rule.document_kind, rule.step_number, rule.role, rule.amount_from, rule.nodes, rule.valid_from)


def addition_field(nth: int) -> str:
    """Where a rule that comes stands in the request."""
    return f"approval_rule_change.additions[{nth}]"


def _ending_field(nth: int) -> str:
    return f"approval_rule_change.endings[{nth}]"


def admitted(wanted: Rule, present: Rule | None, nth: int) -> Rule:
    """The rule as it comes in: `wanted`, or the one of its content that is `present` and says the same."""
    if present is None:
        return wanted
    if replace(present, approval_rule_id=wanted.approval_rule_id) != wanted:
        until = f" until {present.valid_to}" if present.valid_to else ""
        raise ApprovalRuleExists(
            f"{addition_field(nth)}: rule {present.approval_rule_id} of the same kind, step, role, amount, nodes and "
            f"first day is there{until}, with another number of persons, deadline, escalation, name, source or last "
            "day; end it, and give the new one a later first day",
            metadata={"approval_rule_id": str(present.approval_rule_id)},
        )
    return present


def ending(asked: Ending, rule: Rule, nth: int, *, today: date) -> Ending:
    """The end as it takes effect: never before today, so that no paper that is dated back escapes a rule."""
    day = max(asked.valid_to, today)
    ended(rule, day, f"{_ending_field(nth)}.valid_to")
    return replace(asked, valid_to=day)


def decide(change: RuleChange, status: RuleChangeStatus, *, by: UUID, at: datetime, reason: str = "") -> RuleChange:
    """The change approved, rejected or recalled. Decisions are another person's, a recall is the proposer's own."""
    number = {"document_number": change.document_number}
    if change.status is not RuleChangeStatus.PROPOSED:
        raise RuleChangeNotProposed(
            f"change {change.document_number} of the matrix is {change.status.value} since {change.decided_at}",
            metadata={**number, "status": change.status.value},
        )
    if status is RuleChangeStatus.RECALLED:
        if by != change.proposed_by:
            raise NotTheProposer(
                f"change {change.document_number} of the matrix was proposed by another person, who alone may recall "
                "it; who may approve it may reject it",
                metadata=number,
            )
    elif by == change.proposed_by:
        raise ApprovalSamePerson(
            f"you proposed change {change.document_number} of the matrix: another person decides on it",
            metadata={**number, "person_id": str(by)},
        )
    return replace(
        change, status=status, decided_by=by, decided_at=at, decision_reason=reason, version=change.version + 1
    )
