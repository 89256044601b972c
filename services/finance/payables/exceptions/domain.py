"""Who sees to a held invoice, by when, and what may be decided of it. Pure.

Domain rules §3: a hold is a state with an owner, never a dead end. Deadlines are dated data of the country pack; ages
are whole days of 24 hours by the server's clock.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from uuid import UUID

from chassis.errors import FailedPrecondition, InvalidArgument
from services.finance.payables.domain import HoldReason, SamePerson

# A question to a supplier may not put a hold off for longer than this at a time.
INQUIRY_DAYS_MAX = 90


class ExceptionClosed(FailedPrecondition):
    """The invoice is held no more for what this exception was opened for."""

    reason = "INVOICE_EXCEPTION_CLOSED"


class ExceptionNotOwned(FailedPrecondition):
    """Somebody else, or nobody, owns the exception."""

    reason = "INVOICE_EXCEPTION_NOT_OWNED"


class ExceptionAlreadyOwned(FailedPrecondition):
    """The exception is that person's already."""

    reason = "INVOICE_EXCEPTION_ALREADY_OWNED"


class HoldNotReleasable(FailedPrecondition):
    """A hold of figures is put right by a receipt, a split or another invoice, not by a word."""

    reason = "HOLD_NOT_RELEASABLE"


class FirstOwner(Enum):
    """Who owns an exception when it is opened."""

    # Who registered the invoice: he has the supplier's paper before him.
    REGISTRANT = "REGISTRANT"
    # Nobody: it waits until somebody takes it.
    NOBODY = "NOBODY"


class Action(Enum):
    """What a step of an exception's history was."""

    OPENED = "OPENED"
    REASONS_CHANGED = "REASONS_CHANGED"
    ASSIGNED = "ASSIGNED"
    SUPPLIER_ASKED = "SUPPLIER_ASKED"
    CLOSED = "CLOSED"


class Outcome(Enum):
    """How an exception ended."""

    # A receipt, a split or another invoice put it right.
    RESOLVED = "RESOLVED"
    # A person said that it is no duplicate.
    RELEASED = "RELEASED"
    # A person refused the invoice.
    REJECTED = "REJECTED"
    # Who registered the invoice withdrew it.
    WITHDRAWN = "WITHDRAWN"


@dataclass(frozen=True)
class HoldRule:
    """For one reason of a hold: who owns it at first, and within how many days it has to be decided (dated data)."""

    reason: HoldReason
    first_owner: FirstOwner
    days_max: int


@dataclass(frozen=True)
class Opened:
    """How an exception begins."""

    owner_person_id: UUID | None
    due_at: datetime


def opened(
    reasons: Collection[HoldReason], rules: Sequence[HoldRule], *, registrant_person_id: UUID, at: datetime
) -> Opened:
    """The first owner and the deadline of an invoice held for `reasons`.

    The rule that stands first in the pack names the owner; the shortest deadline counts.
    """
    fitting = [rule for rule in rules if rule.reason in reasons]
    owner = registrant_person_id if fitting[0].first_owner is FirstOwner.REGISTRANT else None
    return Opened(owner, at + timedelta(days=min(rule.days_max for rule in fitting)))


def age_days(opened_at: datetime, now: datetime) -> int:
    """Whole days since it was opened."""
    return max(0, (now - opened_at).days)


def check_open(invoice_number: str, status: str) -> None:
    """Only an open exception can be assigned, asked about or decided."""
    if status != "OPEN":
        raise ExceptionClosed(
            f"the exception of invoice {invoice_number} is {status}: nothing is left to do",
            metadata={"status": status},
        )


def check_assignment(invoice_number: str, owner_person_id: UUID | None, new_owner_person_id: UUID) -> None:
    """Another person than its owner may be given an exception."""
    if owner_person_id == new_owner_person_id:
        raise ExceptionAlreadyOwned(
            f"the exception of invoice {invoice_number} is that person's already",
            metadata={"owner_person_id": str(new_owner_person_id)},
        )


def check_owner(invoice_number: str, owner_person_id: UUID | None, person_id: UUID) -> None:
    """Whoever acts on an exception owns it, so that two do not decide past each other."""
    if owner_person_id != person_id:
        held = "nobody's" if owner_person_id is None else "another person's"
        raise ExceptionNotOwned(
            f"the exception of invoice {invoice_number} is {held}: assign it to yourself first",
            metadata={"owner_person_id": str(owner_person_id or "")},
        )


def check_decision(
    invoice_number: str, reasons: Collection[HoldReason], outcome: Outcome, *, registrant_person_id: UUID, by: UUID
) -> None:
    """Neither released nor rejected by who registered the invoice (I9); released only when it is held as a duplicate.

    A hold of quantity, price, total or currency compares figures: tolerance is the rule's, not a person's (§3).
    """
    if by == registrant_person_id:
        raise SamePerson(
            f"you registered invoice {invoice_number}; another person has to decide of its hold",
            metadata={"earlier_step": f"registered invoice {invoice_number}", "step": "decide of its hold"},
        )
    figures = sorted(reason.value for reason in reasons if reason is not HoldReason.DUPLICATE)
    if outcome is Outcome.RELEASED and figures:
        raise HoldNotReleasable(
            f"invoice {invoice_number} is held for {', '.join(figures)}: split off what matches, wait for the receipt, "
            "or reject it and ask for a right one",
            metadata={"reasons": ",".join(figures)},
        )


def inquiry_due(at: datetime, days: int) -> datetime:
    """Until when a supplier's answer is awaited: 1 to INQUIRY_DAYS_MAX days from now."""
    if not 1 <= days <= INQUIRY_DAYS_MAX:
        raise InvalidArgument.field("answer_days", f"1 to {INQUIRY_DAYS_MAX}")
    return at + timedelta(days=days)
