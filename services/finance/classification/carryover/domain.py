"""Successors of codes, and the entries that carry balances to them. Pure.

Balances are kept over the years, and nothing is posted to open one (docs/decisions/0013); where an account ends with
its year, what stands on it goes over to its successor on the first day of the next, so that it can be followed from one
classification to the other (PP 71/2010 PSAP 01 on comparability; to verify). Result accounts are closed, not carried.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from uuid import UUID

from chassis.errors import FailedPrecondition, InvalidArgument
from chassis.money import checked
from services.finance.classification.domain import Account, ClassificationConflict
from services.finance.classification.segments import CODES_SHOWN, Segment
from services.finance.ledger.domain import LINES_MAX, Basis, FundBalancing, JournalEntry, Line, Segments
from services.finance.ledger.yearend.domain import OpenEstimate, YearRun

OPENING = "OPENING"
_NO_SEGMENTS = Segments()
# What stands on an account takes four lines at most: its amount, and a rest in the functional currency, out and in.
_HOLDINGS_AN_ENTRY = LINES_MAX // 4


class SuccessionInvalid(InvalidArgument):
    """A code has not exactly one default successor, or an account one of another nature."""

    reason = "SUCCESSION_INVALID"


class CarryOverIncomplete(FailedPrecondition):
    """Codes that hold something end without a successor."""

    reason = "CARRY_OVER_INCOMPLETE"


@dataclass(frozen=True)
class Succession:
    """`new_code` takes the place of `old_code` from a day on; `is_default` of several takes what is carried."""

    code_succession_id: UUID
    segment: Segment
    old_code: str
    new_code: str
    effective_on: date
    is_default: bool
    legal_source: str

    @property
    def family(self) -> tuple[Segment, str, date]:
        """What has exactly one default."""
        return (self.segment, self.old_code, self.effective_on)

    def like(self, other: Succession) -> bool:
        """Whether both say the same but for their ids."""
        return replace(self, code_succession_id=other.code_succession_id) == other


def admit(wanted: Sequence[Succession], present: Iterable[Succession]) -> list[tuple[Succession, bool]]:
    """What each wanted succession becomes: (the succession, is it new). `present` are those of the wanted old codes.

    All successors of a code and day come in one call, so that it has exactly one default from the first moment.
    """
    families: dict[tuple[Segment, str, date], list[Succession]] = defaultdict(list)
    before: dict[tuple[Segment, str, date], list[Succession]] = defaultdict(list)
    for one in wanted:
        families[one.family].append(one)
    for one in present:
        before[one.family].append(one)
    for (segment, old_code, on), members in families.items():
        if segment is Segment.FUND:
            raise SuccessionInvalid(
                f"FUND {old_code}: a fund balances by itself, so it has no successor: it ends when it holds nothing "
                "any more. What it gives to another fund is posted between them (fund_balancing)"
            )
        codes = [one.new_code for one in members]
        defaults = [one.new_code for one in members if one.is_default]
        if old_code in codes or len(set(codes)) != len(codes):
            raise SuccessionInvalid(
                f"{segment.value} {old_code} on {on}: a successor is named twice, or is the code itself"
            )
        if len(defaults) != 1:
            raise SuccessionInvalid(
                f"{segment.value} {old_code} on {on} has {len(defaults)} default successors among "
                f"{', '.join(sorted(codes))}: exactly one takes what is carried",
                metadata={"segment": segment.value, "old_code": old_code, "default_count": str(len(defaults))},
            )
        known = before[segment, old_code, on]
        if known and not _same(members, known):
            raise ClassificationConflict(
                f"{segment.value} {old_code} has its successors on {on} already: "
                f"{', '.join(sorted(one.new_code for one in known))}, with other content; what was carried stays",
                metadata={"code": old_code, "valid_from": str(on)},
            )
    return [_admitted(one, before[one.family]) for one in wanted]


def _same(left: Sequence[Succession], right: Sequence[Succession]) -> bool:
    return len(left) == len(right) and all(any(one.like(other) for other in right) for one in left)


def _admitted(one: Succession, known: Sequence[Succession]) -> tuple[Succession, bool]:
    same = next((other for other in known if one.like(other)), None)
    return (one, True) if same is None else (same, False)


def check_accounts(successions: Iterable[Succession], accounts: Mapping[tuple[str, date], Account]) -> None:
    """Refuse an account's successor of another kind, basis or side, or one that cannot hold what the old one holds.

    `accounts` are by code and day: the old one of the day before, the new one of the day.
    """
    for one in successions:
        if one.segment is not Segment.ACCOUNT:
            continue
        old = accounts[one.old_code, date.fromordinal(one.effective_on.toordinal() - 1)]
        new = accounts[one.new_code, one.effective_on]
        # What a balance is (owed, kept by a subledger, spent under the budget) does not change by its new code.
        for name in ("kind", "basis", "normal_side", "control", "funds_control"):
            if getattr(old, name) != getattr(new, name):
                raise SuccessionInvalid(
                    f"account {one.new_code} cannot follow {one.old_code}: {name} is {getattr(new, name)}, not "
                    f"{getattr(old, name)}",
                    metadata={"old_code": one.old_code, "new_code": one.new_code, "differs": name},
                )
        if old.postable and not new.postable:
            raise SuccessionInvalid(
                f"account {one.new_code} cannot follow {one.old_code}: it is a heading, and nothing may stand on it",
                metadata={"old_code": one.old_code, "new_code": one.new_code, "differs": "postable"},
            )


@dataclass(frozen=True)
class Uncarried:
    """A code that ends without a successor while something stands on it."""

    segment: Segment
    code: str
    has_balance: bool
    has_budget: bool
    has_bank_account: bool = False
    has_journal_template: bool = False


# A fund is kept by itself (PP 71/2010 on accounting entities and their funds; to verify): it outlives what it holds.
_FUNDS_STAY = (
    ". A fund has no successor: settle what it owes and is owed and release what its budget lines hold, or let it hold "
    "on (BatchCreateDimensionValues, the same code from the day of its end)"
)


def incomplete(year: int, uncarried: Sequence[Uncarried]) -> CarryOverIncomplete:
    """The refusal of a carry-over, with the codes that have no successor."""
    codes = [f"{one.segment.value} {one.code}" for one in uncarried]
    shown = ", ".join(codes[:CODES_SHOWN])
    funds = any(one.segment is Segment.FUND for one in uncarried)
    return CarryOverIncomplete(
        f"{len(codes)} codes hold something, end before {year} and have no successor: {shown}; name their successors "
        "(BatchCreateCodeSuccessions), or end the journal templates and bank accounts that name them, then carry over "
        f"again{_FUNDS_STAY if funds else ''}",
        metadata={"code_count": str(len(codes)), "codes": shown},
    )


@dataclass(frozen=True)
class Holding:
    """What stands on an account that ended, with everything that its lines are tagged with; debits less credits.

    `functional_minor` None: of lines that have no functional amount.
    """

    basis: Basis
    fund_code: str
    account_code: str
    successor_code: str
    currency: str
    minor: int
    functional_minor: int | None
    segments: Segments = _NO_SEGMENTS
    budget_line_id: UUID | None = None
    document_line_id: UUID | None = None
    counterpart_agency_id: UUID | None = None
    counterpart_fund_code: str = ""


@dataclass(frozen=True)
class Carried:
    """What went from an account to its successor in one fund and currency; debits less credits."""

    basis: Basis
    fund_code: str
    old_account_code: str
    new_account_code: str
    currency: str
    minor: int


@dataclass(frozen=True)
class CarryOver(YearRun):
    """One carry-over of an agency's balances."""

    carried: tuple[Carried, ...]


def standing(
    held: Sequence[Holding], at_its_end: Mapping[tuple[str, str], int], open_estimates: Iterable[OpenEstimate]
) -> list[Holding]:
    """What goes over of the account of the appropriations, `held`, that has ended: what budgets that outlive the year
    have left, less what went over before. The rest of the account is closed with its year.

    `at_its_end` is what it held on the year's last day by fund and currency, debits less credits: what it holds beyond
    that was carried.
    """
    found = []
    for estimate in open_estimates:
        key = (estimate.fund_code, estimate.currency)
        mine = [one for one in held if (one.fund_code, one.currency) == key]
        if mine:
            carried = sum(one.minor for one in mine) - at_its_end.get(key, 0)
            found.append(
                Holding(
                    Basis.BUDGET,
                    estimate.fund_code,
                    mine[0].account_code,
                    mine[0].successor_code,
                    estimate.currency,
                    carried - estimate.minor,
                    None,
                )
            )
    return [one for one in found if one.minor]


def carry(holdings: Sequence[Holding], functional_currency: str) -> tuple[list[tuple[Line, ...]], list[Carried]]:
    """(the lines of each entry, what went where): every holding out of its account and into the successor."""
    entries = []
    sums: dict[tuple[Basis, str, str, str, str], int] = defaultdict(int)
    for start in range(0, len(holdings), _HOLDINGS_AN_ENTRY):
        part = holdings[start : start + _HOLDINGS_AN_ENTRY]
        lines = [line for holding in part for line in _moved(holding, functional_currency)]
        if lines:
            entries.append(tuple(lines))
    for one in holdings:
        sums[one.basis, one.fund_code, one.account_code, one.successor_code, one.currency] += one.minor
    return entries, [Carried(*key, checked(amount)) for key, amount in sums.items()]


def _moved(holding: Holding, functional_currency: str) -> Iterator[Line]:
    for currency, minor, functional in _parts(holding, functional_currency):
        for code, amount in ((holding.account_code, -minor), (holding.successor_code, minor)):
            yield Line(
                holding.basis,
                holding.fund_code,
                code,
                max(amount, 0),
                max(-amount, 0),
                currency,
                functional,
                segments=holding.segments,
                budget_line_id=holding.budget_line_id,
                document_line_id=holding.document_line_id,
                counterpart_agency_id=holding.counterpart_agency_id,
                counterpart_fund_code=holding.counterpart_fund_code,
            )


def _parts(holding: Holding, functional_currency: str) -> Iterator[tuple[str, int, int | None]]:
    """A holding as what lines can carry: both amounts on one side; what does not fit goes by itself."""
    functional = holding.functional_minor
    if holding.currency == functional_currency or functional is None:
        if holding.minor:
            yield holding.currency, holding.minor, None
        return
    together = holding.minor * functional > 0
    if holding.minor:
        yield holding.currency, holding.minor, abs(functional) if together else 0
    if functional and not together:
        yield functional_currency, functional, None


def entry(
    lines: tuple[Line, ...],
    *,
    journal_entry_id: UUID,
    agency_id: UUID,
    source_id: UUID,
    year: int,
    first_day: date,
    person_id: UUID,
) -> JournalEntry:
    """An entry on the first day of the year; its kind alone may name accounts that have ended."""
    return JournalEntry(
        journal_entry_id=journal_entry_id,
        agency_id=agency_id,
        effective_on=first_day,
        accounting_on=first_day,
        description=f"Balances carried over to the chart of {year}",
        source_kind=OPENING,
        source_id=source_id,
        lines=lines,
        person_id=person_id,
        # Every fund balances already, so that nothing is added: what the funds owe one another is kept with its lines.
        balancing=FundBalancing.DUE if any(line.counterpart_fund_code for line in lines) else FundBalancing.GIVEN,
    )
