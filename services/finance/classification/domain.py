"""The chart, the dimensions, the mapping and the calendar as plain values.

Sources: Permendagri 90/2019 (regional chart), PP 71/2010 (bases), domain rules §1 (accrual account by dated mapping)
and §7 (period states per area and entity).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from enum import Enum
from typing import TypeVar
from uuid import UUID

from chassis.errors import AlreadyExists, FailedPrecondition, InvalidArgument
from services.finance.classification.fiscal_calendar import FiscalCalendar, Period

MONTHS = 12
# Corrections after the last month, dated its last day (domain rules §7).
ADJUSTMENT_PERIOD = 13
BATCH_MAX = 1_000


class Area(Enum):
    """The areas that close their periods each for itself; the ledger's month closes after the others."""

    LEDGER = "LEDGER"
    PAYABLES = "PAYABLES"
    PAYROLL = "PAYROLL"
    STOCK = "STOCK"


class PeriodState(Enum):
    """FUTURE → OPEN → SOFT_CLOSED (a named authority still posts) → HARD_CLOSED (nobody does)."""

    FUTURE = "FUTURE"
    OPEN = "OPEN"
    SOFT_CLOSED = "SOFT_CLOSED"
    HARD_CLOSED = "HARD_CLOSED"


class Method(Enum):
    """How a mapping rule gives its account."""

    FIXED = "FIXED"
    MIRROR = "MIRROR"


class ClassificationConflict(AlreadyExists):
    """The code is there already with other content, or its days overlap another row's."""

    reason = "CLASSIFICATION_CONFLICT"


class ParentUnknown(FailedPrecondition):
    """The parent code is not there on the child's first day."""

    reason = "PARENT_UNKNOWN"


class ClassificationCycle(FailedPrecondition):
    """On some day a code would stand above itself: nobody could say what lies under it."""

    reason = "CLASSIFICATION_CYCLE"


class AccountNotMapped(FailedPrecondition):
    """The mapping has no account for a role and a budget code on a day."""

    reason = "ACCOUNT_NOT_MAPPED"


class FiscalYearExists(AlreadyExists):
    """The agency has that year."""

    reason = "FISCAL_YEAR_EXISTS"


class FiscalYearUnknown(FailedPrecondition):
    """The agency has no such year."""

    reason = "FISCAL_YEAR_UNKNOWN"


class PeriodOutOfTurn(FailedPrecondition):
    """The period cannot go to the state asked for from where it is."""

    reason = "PERIOD_OUT_OF_TURN"


@dataclass(frozen=True)
class Account:
    """One account of the chart on [valid_from, valid_to)."""

    account_id: UUID
    code: str
    parent_code: str
    display_name: str
    english_name: str
    kind: str
    normal_side: str
    basis: str
    postable: bool
    control: bool
    funds_control: bool
    valid_from: date
    valid_to: date | None = None

    @property
    def key(self) -> tuple[str, ...]:
        """What may hold only once on a day."""
        return (self.code,)

    @property
    def parent_key(self) -> tuple[str, ...] | None:
        """The key of the account above."""
        return (self.parent_code,) if self.parent_code else None

    def like(self, other: Account) -> bool:
        """Whether both say the same but for their ids."""
        return replace(self, account_id=other.account_id) == other


@dataclass(frozen=True)
class DimensionValue:
    """One value of a dimension on [valid_from, valid_to)."""

    dimension_value_id: UUID
    kind: str
    code: str
    parent_code: str
    display_name: str
    valid_from: date
    valid_to: date | None = None

    @property
    def key(self) -> tuple[str, ...]:
        """What may hold only once on a day."""
        return (self.kind, self.code)

    @property
    def parent_key(self) -> tuple[str, ...] | None:
        """The key of the value above."""
        return (self.kind, self.parent_code) if self.parent_code else None

    def like(self, other: DimensionValue) -> bool:
        """Whether both say the same but for their ids."""
        return replace(self, dimension_value_id=other.dimension_value_id) == other


@dataclass(frozen=True)
class AccountMapping:
    """One dated rule: the account for a role and the budget codes that begin with a prefix."""

    account_mapping_id: UUID
    role: str
    expenditure_prefix: str
    method: Method
    account_code: str
    legal_source: str
    valid_from: date
    valid_to: date | None = None

    @property
    def key(self) -> tuple[str, ...]:
        """What may hold only once on a day."""
        return (self.role, self.expenditure_prefix)

    @property
    def parent_key(self) -> tuple[str, ...] | None:
        """Rules have no parent."""
        return None

    def like(self, other: AccountMapping) -> bool:
        """Whether both say the same but for their ids."""
        return replace(self, account_mapping_id=other.account_mapping_id) == other

    def covers(self, expenditure_account_code: str) -> bool:
        """Whether `expenditure_account_code` lies under the prefix, by whole levels: 5.1.02 does not cover 5.1.021."""
        prefix = self.expenditure_prefix
        return not prefix or expenditure_account_code == prefix or expenditure_account_code.startswith(prefix + ".")

    def candidates(self, expenditure_account_code: str) -> list[str]:
        """The account codes that the rule allows, the best first."""
        if self.method is Method.FIXED:
            return [self.account_code]
        code = self.account_code + expenditure_account_code.removeprefix(self.expenditure_prefix)
        found = [code]
        while len(code) > len(self.account_code):
            code = code.rpartition(".")[0]
            found.append(code)
        return found


Row = Account | DimensionValue | AccountMapping
RowT = TypeVar("RowT", Account, DimensionValue, AccountMapping)


def overlaps(left: Row, right: Row) -> bool:
    """Whether two rows of one key hold on a common day."""
    return (left.valid_to is None or right.valid_from < left.valid_to) and (
        right.valid_to is None or left.valid_from < right.valid_to
    )


def admit(wanted: Sequence[RowT], present: Iterable[RowT]) -> list[tuple[RowT, bool]]:
    """What each wanted row becomes: (the row, is it new). Refuses conflicts and rows without their parent.

    `present` are the rows there already with a wanted key or a wanted parent's key. A row that is there with the
    same content is taken as it is, so a loader may run again.
    """
    by_key: dict[tuple[str, ...], list[RowT]] = {}
    for row in present:
        by_key.setdefault(row.key, []).append(row)
    outcome: list[tuple[RowT, bool]] = []
    for row in wanted:
        if row.valid_to is not None and row.valid_to <= row.valid_from:
            raise InvalidArgument.field("valid_to", f"{row.valid_to} is not after valid_from {row.valid_from}")
        others = by_key.setdefault(row.key, [])
        same = next((other for other in others if row.like(other)), None)
        if same is not None:
            outcome.append((same, False))
            continue
        other = next((other for other in others if overlaps(row, other)), None)
        if other is not None:
            until = other.valid_to or "further notice"
            raise ClassificationConflict(
                f"{' '.join(row.key)} holds already from {other.valid_from} until {until} with other content; "
                "end it first, or use another code",
                metadata={"code": row.key[-1], "valid_from": str(other.valid_from)},
            )
        others.append(row)
        outcome.append((row, True))
    for row, is_new in outcome:
        if is_new and row.parent_key is not None:
            parents = by_key.get(row.parent_key, [])
            if not any(
                parent.valid_from <= row.valid_from and (parent.valid_to is None or row.valid_from < parent.valid_to)
                for parent in parents
            ):
                raise ParentUnknown(
                    f"{' '.join(row.key)}: its parent {row.parent_key[-1]} is not there on {row.valid_from}; "
                    "create the parent first or in the same batch",
                    metadata={"code": row.key[-1], "parent_code": row.parent_key[-1]},
                )
    return outcome


# What stands directly above a code on a day: the row that says so.
_Tree = dict[tuple[str, ...], Row]


def check_acyclic(added: Sequence[Row], above: Iterable[Row]) -> None:
    """Refuse rows from which one comes to a code twice on the way up, on whatever day.

    `above` are all rows, of any days, of the added rows' codes and of all codes that stand above them on some day. A
    code that has ended stands where it last stood, as it does for the rules of the approval matrix. A ring that is
    there already is no fault of rows that do not stand under it.
    """
    new = {id(row) for row in added}
    by_day: dict[date, list[Row]] = {}
    for row in (*above, *added):
        by_day.setdefault(row.valid_from, []).append(row)
    tree: _Tree = {}
    for day in sorted(by_day):
        tree.update({row.key: row for row in by_day[day]})
        sound: set[tuple[str, ...]] = set()
        for row in tree.values():
            if id(row) in new:
                _climb(row, tree, day, sound)


def _climb(row: Row, tree: _Tree, day: date, sound: set[tuple[str, ...]]) -> None:
    """Go up from a row; `sound` are the codes whose way up is known to end."""
    way: list[tuple[str, ...]] = []
    key: tuple[str, ...] | None = row.key
    while key is not None and key in tree and key not in sound:
        if key in way:
            codes = [one[-1] for one in way]
            ring = [*codes[codes.index(key[-1]) :], key[-1]]
            raise ClassificationCycle(
                f"{' '.join(row.key)}: on {day} {key[-1]} would stand above itself ({' < '.join(ring)}); give one of "
                "these codes another parent, or let its row begin once another one has ended",
                metadata={"code": row.key[-1], "codes": ",".join(ring[:-1]), "valid_on": str(day)},
            )
        way.append(key)
        key = tree[key].parent_key
    sound.update(way)


@dataclass(frozen=True)
class FiscalYear:
    """A fiscal year of one agency's books; its twelve periods are calendar months."""

    fiscal_year_id: UUID
    agency_id: UUID
    year: int
    functional_currency: str
    statements_issued_on: date | None = None
    statements_document_number: str = ""


@dataclass(frozen=True)
class FiscalPeriod:
    """One period of an agency's year in one area."""

    agency_id: UUID
    year: int
    number: int
    area: Area
    starts_on: date
    ends_on: date
    state: PeriodState


def periods_of(fiscal_year: FiscalYear, calendar: FiscalCalendar) -> list[FiscalPeriod]:
    """The twelve months and the adjustment period of a year in every area, all FUTURE."""
    months = {number: calendar.month_of(Period(fiscal_year.year, number)) for number in range(1, MONTHS + 1)}
    spans = [(number, month.first, month.last) for number, month in months.items()]
    last_day = calendar.last_day(fiscal_year.year)
    spans.append((ADJUSTMENT_PERIOD, last_day, last_day))
    return [
        FiscalPeriod(fiscal_year.agency_id, fiscal_year.year, number, area, starts_on, ends_on, PeriodState.FUTURE)
        for number, starts_on, ends_on in spans
        for area in Area
    ]


# From which state a period may come to which.
_BEFORE: Mapping[PeriodState, PeriodState] = {
    PeriodState.OPEN: PeriodState.FUTURE,
    PeriodState.SOFT_CLOSED: PeriodState.OPEN,
    PeriodState.HARD_CLOSED: PeriodState.SOFT_CLOSED,
}


def move(
    period: FiscalPeriod, state: PeriodState, same_number: Sequence[FiscalPeriod], earlier: Sequence[FiscalPeriod]
) -> FiscalPeriod:
    """`period` in `state`. Refused out of turn.

    `same_number` are the other areas' periods of the month as they will be after this act, `earlier` the earlier
    periods of the area and year: the ledger closes for good after its areas, and months close for good in order.
    """
    if period.state is state:
        return period
    wanted = _BEFORE[state]
    if period.state is not wanted:
        raise PeriodOutOfTurn(
            f"{period.area.value} period {period.year}-{period.number:02} is {period.state.value}; "
            f"only a {wanted.value} one becomes {state.value}",
            metadata={"state": period.state.value, "needed": wanted.value},
        )
    if state is PeriodState.OPEN and period.number == ADJUSTMENT_PERIOD:
        last = next(p for p in earlier if p.number == MONTHS)
        if last.state in (PeriodState.FUTURE, PeriodState.OPEN):
            raise PeriodOutOfTurn(
                f"the adjustment period of {period.year} opens after the last month; {period.area.value} "
                f"{period.year}-{MONTHS} is {last.state.value}: close it first",
                metadata={"state": last.state.value, "needed": PeriodState.SOFT_CLOSED.value},
            )
    if state is PeriodState.HARD_CLOSED:
        if period.area is Area.LEDGER:
            open_areas = [p.area.value for p in same_number if p.state is not PeriodState.HARD_CLOSED]
            if open_areas:
                raise PeriodOutOfTurn(
                    f"the ledger's {period.year}-{period.number:02} closes after its areas; still open: "
                    f"{', '.join(sorted(open_areas))}",
                    metadata={"open_areas": ",".join(sorted(open_areas))},
                )
        still_open = [p for p in earlier if p.state is not PeriodState.HARD_CLOSED]
        if still_open:
            first = min(p.number for p in still_open)
            raise PeriodOutOfTurn(
                f"period {period.year}-{first:02} is not closed for good; periods close in order",
                metadata={"first_open_number": str(first)},
            )
    return replace(period, state=state)
