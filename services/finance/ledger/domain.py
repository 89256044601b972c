"""What a journal entry is, when it balances, and how it is reversed.

Domain rules: §1 (bases, currencies, funds), §2 (which journals touch funds), PSAP 02 and PP 71/2010 for the two
bases. Amounts are minor units; the functional currency is the one of the agency's books.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from enum import Enum
from uuid import UUID

from chassis.dates import Month
from chassis.errors import FailedPrecondition, InvalidArgument, KelolaError
from chassis.money import Money, checked
from services.finance.classification.domain import Area

# Lines of one entry; an event that carries them stays below the size that a broker takes.
LINES_MAX = 2_000

MANUAL = "MANUAL"
# One leg of an act by hand in several books (ledger/joint). Like a manual entry it spends budget lines directly.
JOINT_ENTRY = "JOINT_ENTRY"

# Entries that change the accrual books alone and therefore name no budget line (domain rules §2, "exempt by
# account kind"): stock was paid for at receipt, depreciation and exchange are no expenditure, closing moves sums. A
# credit on a paid invoice is a receivable; only its refund moves funds.
WITHOUT_FUNDS = frozenset(
    {"STOCK_ISSUE", "STOCK_MOVEMENT", "DEPRECIATION", "EXCHANGE_DIFFERENCE", "CLOSING", "OPENING", "CREDIT_RECEIVABLE"}
)


class Basis(Enum):
    """Whose rules a line follows: cash against the budget, or accrual. Each balances by itself."""

    BUDGET = "BUDGET"
    ACCRUAL = "ACCRUAL"


class FundBalancing(Enum):
    """How the funds of an entry balance, each by itself: by its lines as given, or by lines that the engine adds."""

    GIVEN = "GIVEN"
    # What a fund bears for another is owed back to it.
    DUE = "DUE"
    # What funds owe one another goes down: it is paid back, or was owed by mistake.
    SETTLEMENT = "SETTLEMENT"


class EntryRejected(InvalidArgument):
    """The entry is wrong whatever the state of the books."""

    reason = "JOURNAL_INVALID"


class CorrectionUnnamed(InvalidArgument):
    """A correction names no entry, or an entry of the adjustment period is no correction."""

    reason = "CORRECTION_UNNAMED"


class EntryUnbalanced(InvalidArgument):
    """Debits and credits of one basis and fund differ."""

    reason = "JOURNAL_UNBALANCED"


class EntryNotReversible(FailedPrecondition):
    """The entry is put right in the document it came from, not by hand."""

    reason = "ENTRY_NOT_REVERSIBLE"


@dataclass(frozen=True)
class Segments:
    """The dimensions of a line beside fund and account; empty is none."""

    organisation_code: str = ""
    program_code: str = ""
    function_code: str = ""
    location_code: str = ""
    project_code: str = ""
    funding_source_code: str = ""


NO_SEGMENTS = Segments()


@dataclass(frozen=True)
class Line:
    """One line: exactly one of `debit_minor` and `credit_minor` is above zero.

    `functional_minor` is the same amount in the functional currency, on the same side, never negative; None on a
    line in the functional currency itself, and on a line of outside origin that has none. `functional_currency` is
    what its giver took for the functional currency; empty when he left that to the books.
    """

    basis: Basis
    fund_code: str
    account_code: str
    debit_minor: int
    credit_minor: int
    currency: str
    functional_minor: int | None = None
    segments: Segments = NO_SEGMENTS
    budget_line_id: UUID | None = None
    funds_movement_id: UUID | None = None
    document_line_id: UUID | None = None
    counterpart_agency_id: UUID | None = None
    functional_currency: str = ""
    # The other fund of a line between the funds of one agency, whose counterpart agency is then the agency itself.
    counterpart_fund_code: str = ""

    @property
    def amount_minor(self) -> int:
        """The amount, whichever side it is on."""
        return self.debit_minor or self.credit_minor

    def functional(self, currency: str) -> int | None:
        """The amount in the functional `currency`; None when the line has none."""
        if self.functional_minor is not None:
            return self.functional_minor
        return self.amount_minor if self.currency == currency else None

    def mirrored(self) -> Line:
        """The line of a reversal: sides change about, and the funds movement is not taken over."""
        return replace(self, debit_minor=self.credit_minor, credit_minor=self.debit_minor, funds_movement_id=None)


@dataclass(frozen=True)
class JournalEntry:
    """An entry to be posted. `accounting_on` None lets the period rule of domain rules §1 choose it.

    `corrects_id` makes it a correction. `adjusts` puts it into the adjustment period 13 of its accounting day's year,
    `auto_reverse` has its mirror posted on the first day of the month after.
    """

    journal_entry_id: UUID
    agency_id: UUID
    effective_on: date
    accounting_on: date | None
    description: str
    source_kind: str
    source_id: UUID | None
    lines: Sequence[Line]
    reverses_id: UUID | None = None
    area: Area = Area.LEDGER
    late_reason: str = ""
    person_id: UUID | None = None
    corrects_id: UUID | None = None
    adjusts: bool = False
    auto_reverse: bool = False
    # Files of the agency (SHA-256, hexadecimal) that are attached to it when it is posted.
    attachments: Sequence[str] = ()
    # GIVEN on every entry that has no line between funds.
    balancing: FundBalancing = FundBalancing.GIVEN

    @property
    def without_funds(self) -> bool:
        """Whether its lines are exempt from naming a budget line."""
        return self.source_kind in WITHOUT_FUNDS


@dataclass(frozen=True)
class Posted:
    """The verdict on an entry that now stands in the books."""

    entry: JournalEntry
    accounting_on: date
    fiscal_year: int
    period_number: int
    recorded_at: datetime
    functional_currency: str
    # By budget line, what a manual entry spent there; empty for the entries of documents.
    spent: Mapping[UUID, Spent] = field(default_factory=dict)
    # Nodes that only warn and that a manual entry left below zero.
    over_limits: Sequence[OverLimit] = ()


@dataclass(frozen=True)
class OverLimit:
    """A node that only warns, as an entry found it: what it had (minor units) and what was asked of it."""

    budget_line_id: UUID
    asked_minor: int
    available_minor: int


@dataclass(frozen=True)
class Refused:
    """The verdict on an entry that was not posted; nothing of it was kept."""

    entry: JournalEntry
    error: KelolaError


Verdict = Posted | Refused


@dataclass(frozen=True)
class Spent:
    """What a manual entry's tag with a budget line became: its segments, and the movement made on it, if any."""

    segments: Segments
    currency: str
    funds_movement_id: UUID | None
    amount_minor: int


def with_spending(entry: JournalEntry, spent: Mapping[UUID, Spent]) -> JournalEntry:
    """The entry with the segments and movements of its budget lines, as it stands in the books."""
    lines = []
    for line in entry.lines:
        what = spent.get(line.budget_line_id) if line.budget_line_id is not None else None
        if what is not None:
            line = replace(line, segments=what.segments, funds_movement_id=what.funds_movement_id)  # noqa: PLW2901
        lines.append(line)
    return replace(entry, lines=tuple(lines))


def reversal_day(accounting_on: date) -> date:
    """When an accrual of that accounting day reverses by itself: the first day of the next month."""
    return Month.of(accounting_on).next().first


def check(entry: JournalEntry, functional_currency: str) -> None:
    """Refuse an entry that no state of the books could take: sides, range, balance (domain rules §1)."""
    by_hand = entry.source_kind in (MANUAL, JOINT_ENTRY)
    if entry.adjusts and by_hand and entry.corrects_id is None and entry.reverses_id is None:
        raise CorrectionUnnamed(
            "the adjustment period is for corrections: name the entry that this one corrects "
            "(corrects_journal_entry_id)"
        )
    if entry.adjusts and entry.auto_reverse:
        raise EntryRejected("an entry of the adjustment period does not reverse by itself: no month follows it")
    if len(entry.lines) < 2:
        raise EntryRejected("lines: an entry has at least two lines")
    if len(entry.lines) > LINES_MAX:
        raise EntryRejected(f"lines: {len(entry.lines)} given, an entry has at most {LINES_MAX}")
    for number, line in enumerate(entry.lines, start=1):
        if (line.debit_minor > 0) == (line.credit_minor > 0) or min(line.debit_minor, line.credit_minor) < 0:
            raise EntryRejected(f"line {number}: give a debit or a credit above zero, not both")
        checked(line.amount_minor)
        if line.functional_minor is not None:
            if line.functional_minor < 0:
                raise EntryRejected(f"line {number}: the functional amount is not negative; the side tells")
            if line.currency == functional_currency and line.functional_minor != line.amount_minor:
                raise EntryRejected(f"line {number}: a line in {functional_currency} has itself as functional amount")
            checked(line.functional_minor)
            if line.functional_currency not in ("", functional_currency):
                raise EntryRejected(
                    f"line {number}: its functional amount is in {line.functional_currency}, the agency's books are in "
                    f"{functional_currency or 'no currency yet: create its fiscal year'}"
                )
    for (basis, fund_code, currency, functional), difference in imbalances(entry.lines, functional_currency):
        shown = Money(checked(difference), currency)
        raise EntryUnbalanced(
            f"basis {basis.value}, fund {fund_code}: debits less credits are {shown}"
            f"{'' if functional else ' (lines without a functional amount balance in each currency by itself)'}"
            f"{_pair_offered(entry, functional_currency)}",
            metadata={
                "basis": basis.value,
                "fund_code": fund_code,
                "currency": currency,
                "difference_minor": str(difference),
            },
        )


def _pair_offered(entry: JournalEntry, functional_currency: str) -> str:
    """What a refusal says of an entry by hand whose bases balance over their funds, and its funds do not."""
    over_all: dict[Basis, int] = defaultdict(int)
    for (basis, _, _, functional), difference in imbalances(entry.lines, functional_currency):
        if not functional:
            return ""
        over_all[basis] += difference
    if entry.source_kind != MANUAL or any(over_all.values()):
        return ""
    return (
        "; over all funds they are equal: with fund_balancing the entry is given the lines that say what one fund owes "
        "another"
    )


def imbalances(lines: Sequence[Line], functional_currency: str) -> list[tuple[tuple[Basis, str, str, bool], int]]:
    """Where debits and credits differ: (basis, fund, currency, is it the functional sum) with the difference."""
    sums: dict[tuple[Basis, str, str, bool], int] = defaultdict(int)
    for line in lines:
        functional = line.functional(functional_currency)
        amount = line.amount_minor if functional is None else functional
        currency = line.currency if functional is None else functional_currency
        sign = 1 if line.debit_minor else -1
        sums[line.basis, line.fund_code, currency, functional is not None] += sign * amount
    return [(key, difference) for key, difference in sums.items() if difference]


def reversal(
    entry: JournalEntry,
    *,
    journal_entry_id: UUID,
    effective_on: date,
    description: str,
    late_reason: str = "",
    adjustment_on: date | None = None,
) -> JournalEntry:
    """The entry that takes `entry` back: debit and credit change about; turnover shows both (domain rules §10).

    With `adjustment_on`, the last day of a year, it stands in that year's adjustment period.
    """
    return replace(
        entry,
        journal_entry_id=journal_entry_id,
        effective_on=effective_on,
        accounting_on=adjustment_on,
        adjusts=adjustment_on is not None,
        auto_reverse=False,
        corrects_id=None,
        description=description,
        lines=tuple(line.mirrored() for line in entry.lines),
        reverses_id=entry.journal_entry_id,
        late_reason=late_reason,
    )
