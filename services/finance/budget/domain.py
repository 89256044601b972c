"""The funds ledger as plain values: lines, document positions, movements, and the identities that hold them.

Domain rules §2. Every amount is minor units of the line's currency; quantities are exact fractions. Buckets are named
by their letters there: R reserved, O obligated, V advanced, E expended, S ordered, P paid.

    F1 revised = original + supplementary + virement in - virement out + carried in
    F2 revised - frozen + override = available + R + O + V + E + S + P
    F4 sum of movements = buckets; no bucket of a document line is negative
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from enum import Enum
from fractions import Fraction
from uuid import UUID

from chassis.errors import AlreadyExists, FailedPrecondition, InvalidArgument, NotFound
from chassis.money import Money, round_half_away
from services.finance.budget.buckets import EMPTY
from services.finance.budget.buckets import Buckets as Buckets  # noqa: PLC0414  # a word of this vocabulary
from services.finance.budget.document_kinds import DocumentKind as DocumentKind  # noqa: PLC0414  # another word
from services.finance.budget.foreign.held import ForeignAmount, ForeignChange, ForeignHeld
from services.finance.budget.span import Span
from services.finance.classification.fiscal_calendar import Period


class MovementKind(Enum):
    """What a movement does (domain rules §2, the table of movements)."""

    APPROPRIATE = "APPROPRIATE"
    ALLOT = "ALLOT"
    RESERVE = "RESERVE"
    OBLIGATE = "OBLIGATE"
    RELEASE = "RELEASE"
    EXPEND = "EXPEND"
    ORDER = "ORDER"
    PAY = "PAY"
    REJECT = "REJECT"
    VARIANCE = "VARIANCE"
    TRUE_UP = "TRUE_UP"
    REVALUE = "REVALUE"
    VIREMENT = "VIREMENT"
    FREEZE = "FREEZE"
    OVERRIDE = "OVERRIDE"
    LAPSE = "LAPSE"
    CARRY = "CARRY"
    CLOSE_ADVANCE = "CLOSE_ADVANCE"


class LineStatus(Enum):
    """Where a budget line stands."""

    DRAFT = "DRAFT"
    ACTIVE = "ACTIVE"
    CLOSED = "CLOSED"


class AppropriationStatus(Enum):
    """Where an appropriation stands: being written, in force, or withdrawn before it came into force."""

    DRAFT = "DRAFT"
    ACTIVE = "ACTIVE"
    WITHDRAWN = "WITHDRAWN"


class BudgetExceeded(FailedPrecondition):
    """A hard-stop node would fall below zero (F2). `shortages` are the short nodes, for whoever records the refusal."""

    reason = "BUDGET_EXCEEDED"
    shortages: tuple[Shortage, ...] = ()


class SamePerson(FailedPrecondition):
    """Two acts of one chain that must be two persons' are asked of one (trust I9)."""

    reason = "SAME_PERSON"


class AllotmentExceeded(FailedPrecondition):
    """The releases to date do not cover what is asked (F3)."""

    reason = "ALLOTMENT_EXCEEDED"


class BudgetLineNotUsable(FailedPrecondition):
    """The line is not active, or is a node that takes no movement of its own."""

    reason = "BUDGET_LINE_NOT_ACTIVE"


class BudgetLineUnknown(NotFound):
    """No such line in the agency."""

    reason = "BUDGET_LINE_UNKNOWN"


class DocumentLineOpen(AlreadyExists):
    """The document line holds funds already; adjust it instead."""

    reason = "DOCUMENT_LINE_OPEN"


class DocumentLineUnknown(FailedPrecondition):
    """A document line is named that holds nothing."""

    reason = "DOCUMENT_LINE_UNKNOWN"


class LiquidationExceeded(FailedPrecondition):
    """More is to be used up, freed or paid than the document line holds."""

    reason = "LIQUIDATION_EXCEEDED"


class FundsItemInvalid(InvalidArgument):
    """An item says something that no state of the funds could take."""

    reason = "FUNDS_ITEM_INVALID"


@dataclass(frozen=True)
class Line:
    """A budget line or a node above lines, with what is taken from it."""

    budget_line_id: UUID
    agency_id: UUID
    currency: str
    status: LineStatus = LineStatus.ACTIVE
    fiscal_year: int = 0
    organisation_code: str = ""
    account_code: str = ""
    fund_code: str = ""
    program_code: str = ""
    function_code: str = ""
    location_code: str = ""
    project_code: str = ""
    funding_source_code: str = ""
    parent_id: UUID | None = None
    postable: bool = True
    # A hard stop: never below zero. A node that only warns is no hard stop; what goes beyond it is recorded.
    controlling: bool = True
    warning: bool = False
    original: int = 0
    supplementary: int = 0
    virement_in: int = 0
    virement_out: int = 0
    carried_in: int = 0
    frozen: int = 0
    override: int = 0
    buckets: Buckets = EMPTY
    # A project's line outlives its first fiscal year.
    span: Span | None = None

    @property
    def last_year(self) -> int:
        """The fiscal year that ends the line."""
        return self.span.last_year if self.span else self.fiscal_year

    def covers(self, year: int) -> bool:
        """Whether it is a line of that fiscal year."""
        return self.fiscal_year <= year <= self.last_year

    @property
    def revised(self) -> int:
        """F1."""
        return self.original + self.supplementary + self.virement_in - self.virement_out + self.carried_in

    @property
    def available(self) -> int:
        """F2."""
        return self.revised - self.frozen + self.override - self.buckets.total

    def moved(self, changes: Buckets) -> Line:
        """The line after a movement."""
        return replace(self, buckets=self.buckets + changes)


@dataclass(frozen=True)
class Document:
    """The document in whose name funds move."""

    kind: DocumentKind
    document_id: UUID
    document_number: str


@dataclass(frozen=True)
class Key:
    """What a position is found by: a document line on a budget line."""

    document_line_id: UUID
    budget_line_id: UUID


@dataclass(frozen=True)
class Source:
    """What a document line used up of an earlier one, so that cancelling it can give that back."""

    key: Key
    quantity: Fraction = Fraction(0)
    liquidated: int = 0
    freed: int = 0


@dataclass(frozen=True)
class Position:
    """What one document line holds on one budget line.

    `total` is what it set aside (less what was given back by amount), `liquidated` how much of that is used up;
    what is open (R or O) is the difference. `schedule` phases the open part by period.
    """

    key: Key
    document: Document
    total: int
    opening_movement_id: UUID
    liquidated: int = 0
    quantity_total: Fraction | None = None
    quantity_liquidated: Fraction = Fraction(0)
    buckets: Buckets = EMPTY
    schedule: Mapping[Period, int] = field(default_factory=dict)
    source: Source | None = None
    closed: bool = False
    # The same in the currency of the commitment, when that is not the budget line's.
    foreign: ForeignHeld | None = None

    @property
    def open(self) -> int:
        """What is reserved or obligated and not used up."""
        return self.buckets.reserved + self.buckets.obligated

    def worth_of(self, foreign_minor: int) -> int:
        """What `foreign_minor` of the open foreign amount stands at: the whole with the whole."""
        return self.open if self.foreign is None else self.foreign.worth(foreign_minor, self.open)

    def foreign_part(self, amount: int, quantity: Fraction) -> int:
        """How much of the open foreign amount goes with `amount` that stands for `quantity`."""
        held = self.foreign
        if held is None or amount == self.open:
            return 0 if held is None else held.open
        if quantity and self.quantity_total:
            return held.share(min(Fraction(1), (self.quantity_liquidated + quantity) / self.quantity_total))
        return held.part(held.open, amount, self.open)

    def share(self, quantity: Fraction) -> int:
        """What `quantity` more uses up: round(total × cumulative share) - used up already (N3).

        Cumulative, so that the last step takes the rest and no rounding is left over.
        """
        if self.quantity_total is None:
            raise FundsItemInvalid(
                f"document line {self.key.document_line_id} has no quantity; give the amount to use up"
            )
        cumulative = self.quantity_liquidated + quantity
        if cumulative > self.quantity_total:
            left = self.quantity_total - self.quantity_liquidated
            raise LiquidationExceeded(
                f"{_number(quantity)} of {self.document.kind.value} {self.document.document_number} are to be used up, "
                f"{_number(left)} of {_number(self.quantity_total)} are left",
                metadata={
                    "document_line_id": str(self.key.document_line_id),
                    "quantity": _number(quantity),
                    "quantity_left": _number(left),
                },
            )
        if self.foreign is not None:
            return self.worth_of(self.foreign.share(cumulative / self.quantity_total))
        wanted = round_half_away(Fraction(self.total) * cumulative / self.quantity_total) - self.liquidated
        # An amount given back or used up out of turn may leave less open than the share.
        return max(0, min(wanted, self.open))

    def used_up(self, amount: int, quantity: Fraction, foreign: int | None = None) -> Position:
        """The position after `amount` of what it held open, standing for `quantity`, was used up or freed.

        `foreign` is how much that is in the commitment's own currency, when the caller knows.
        """
        if amount > self.open:
            raise LiquidationExceeded(
                f"{amount} minor units of {self.document.kind.value} {self.document.document_number} are to be used "
                f"up, {self.open} are open",
                metadata={"document_line_id": str(self.key.document_line_id), "open_minor": str(self.open)},
            )
        reserved = min(amount, self.buckets.reserved)
        held = self.foreign
        if held is not None:
            held = held.used_up(self.foreign_part(amount, quantity) if foreign is None else foreign)
        return replace(
            self,
            foreign=held,
            liquidated=self.liquidated + amount,
            quantity_liquidated=self._quantity_after(quantity),
            buckets=self.buckets + Buckets(reserved=-reserved, obligated=-(amount - reserved)),
            schedule=taken_earliest(self.schedule, amount),
        )

    def _quantity_after(self, quantity: Fraction) -> Fraction:
        if self.quantity_total is None:
            return Fraction(0)
        return max(Fraction(0), min(self.quantity_total, self.quantity_liquidated + quantity))


def taken_earliest(schedule: Mapping[Period, int], amount: int) -> dict[Period, int]:
    """The schedule after `amount` was used up: what falls due first goes first."""
    rest, left = amount, {}
    for period in sorted(schedule):
        part = min(rest, schedule[period])
        rest -= part
        if schedule[period] - part:
            left[period] = schedule[period] - part
    return left


@dataclass(frozen=True)
class Movement:
    """One movement: added to the ledger, never edited."""

    funds_movement_id: UUID
    kind: MovementKind
    budget_line_id: UUID
    changes: Buckets
    document: Document
    document_line_id: UUID | None
    position_document_line_id: UUID | None = None
    liquidates_movement_id: UUID | None = None
    authority: int = 0
    frozen: int = 0
    override: int = 0
    foreign: ForeignChange | None = None


@dataclass(frozen=True)
class Item:
    """One document line on one budget line, as a caller asks."""

    document_line_id: UUID
    budget_line_id: UUID
    amount: int | None = None
    # The amount's currency; empty is the budget line's own.
    currency: str = ""
    quantity: Fraction | None = None
    liquidates_document_line_id: UUID | None = None
    liquidated_quantity: Fraction | None = None
    final: bool = False
    schedule: tuple[tuple[Period, int], ...] = ()
    # The amount as the caller gave it, once it was converted to the budget line's currency.
    foreign: ForeignAmount | None = None

    @property
    def key(self) -> Key:
        """Its position's key."""
        return Key(self.document_line_id, self.budget_line_id)


@dataclass(frozen=True)
class Shortage:
    """A hard-stop node (as it was before the act) that has less than is asked of it."""

    line: Line
    asked: int

    @property
    def available(self) -> int:
        """What it has."""
        return self.line.available

    @property
    def short_by(self) -> int:
        """What is missing."""
        return self.asked - self.line.available


def shortages(
    before: Mapping[UUID, Line], after: Mapping[UUID, Line], *, also: Collection[UUID] = ()
) -> list[Shortage]:
    """Every hard-stop node (and node of `also`) that an act took from and that would fall below zero, by id (F2)."""
    found = []
    for budget_line_id in sorted(after):
        was, now = before[budget_line_id], after[budget_line_id]
        if (now.controlling or budget_line_id in also) and now.available < 0 and now.available < was.available:
            found.append(Shortage(was, was.available - now.available))
    return found


def usable(lines: Mapping[UUID, Line], budget_line_id: UUID, *, on: date | None = None) -> Line:
    """The line, if it takes movements: it is active, nothing stands under it, and a project's span holds `on`."""
    line = lines.get(budget_line_id)
    if line is None:
        raise BudgetLineUnknown.resource("budget line", budget_line_id)
    if line.status is not LineStatus.ACTIVE or not line.postable:
        why = (
            f"is {line.status.value}; its appropriation must be activated first"
            if line.postable
            else "has lines under it; name one of those"
        )
        raise BudgetLineNotUsable(
            f"budget line {line.organisation_code} {line.account_code} ({budget_line_id}) {why}",
            metadata={"budget_line_id": str(budget_line_id), "status": line.status.value},
        )
    if on is not None and line.span is not None:
        line.span.check(f"budget line {line.organisation_code} {line.account_code}", budget_line_id, on)
    return line


def nodes(lines: Mapping[UUID, Line], budget_line_id: UUID) -> list[Line]:
    """The line and every node above it, from the bottom up."""
    found: list[Line] = []
    next_id: UUID | None = budget_line_id
    while next_id is not None:
        node = lines.get(next_id)
        if node is None:
            raise BudgetLineUnknown.resource("budget line", next_id)
        found.append(node)
        next_id = node.parent_id
    return found


@dataclass(frozen=True)
class User:
    """A document that holds much of a line: shown to whoever finds too little."""

    document: Document
    amount: int


def exceeded(shortages: Sequence[Shortage], users: Sequence[User] = ()) -> BudgetExceeded:
    """The refusal, with every figure of the first short line, the other short lines, and the line's biggest users."""
    first = shortages[0]
    line = first.line

    def money(minor: int) -> str:
        return str(Money(minor, line.currency))

    biggest = ", ".join(
        f"{user.document.kind.value} {user.document.document_number} {money(user.amount)}" for user in users
    )
    more = "" if len(shortages) == 1 else f"; {len(shortages) - 1} more lines are short"
    bucket = line.buckets
    refusal = BudgetExceeded(
        f"budget line {line.organisation_code} {line.account_code} ({line.budget_line_id}): "
        f"{money(first.asked)} asked, {money(first.available)} available, short by {money(first.short_by)}{more}"
        + (f"; biggest users: {biggest}" if biggest else ""),
        metadata={
            "budget_line_id": str(line.budget_line_id),
            "organisation_code": line.organisation_code,
            "account_code": line.account_code,
            "currency": line.currency,
            "asked": _plain(first.asked, line.currency),
            "available": _plain(first.available, line.currency),
            "short_by": _plain(first.short_by, line.currency),
            "original": _plain(line.original, line.currency),
            "revised": _plain(line.revised, line.currency),
            "frozen": _plain(line.frozen, line.currency),
            "reserved": _plain(bucket.reserved, line.currency),
            "obligated": _plain(bucket.obligated, line.currency),
            "advanced": _plain(bucket.advanced, line.currency),
            "expended": _plain(bucket.expended, line.currency),
            "ordered": _plain(bucket.ordered, line.currency),
            "paid": _plain(bucket.paid, line.currency),
            "biggest_users": biggest,
            "short_lines": ",".join(str(shortage.line.budget_line_id) for shortage in shortages[:20]),
        },
    )
    refusal.shortages = tuple(shortages)
    return refusal


def _plain(minor: int, currency: str) -> str:
    """An amount in the currency's units, for programs: 1234.50."""
    return str(Money(minor, currency)).removeprefix(f"{currency} ").replace(" ", "")


def _number(value: Fraction) -> str:
    """A quantity for people: with up to six decimals."""
    millionths = round_half_away(value * 10**6)
    whole, part = divmod(abs(millionths), 10**6)
    return f"{'-' if millionths < 0 else ''}{whole}.{part:06d}".rstrip("0").rstrip(".")
