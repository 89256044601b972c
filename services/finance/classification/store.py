"""SQL of the classification."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Row, Select, or_, select, text, tuple_
from sqlmodel import Session

from chassis.ids import new_id
from services.finance.classification.closing.tables import FinancialStatementsRow
from services.finance.classification.domain import (
    Account,
    AccountMapping,
    Area,
    DimensionValue,
    FiscalPeriod,
    FiscalYear,
    Method,
    PeriodState,
)
from services.finance.classification.tables import (
    AccountMappingRow,
    AccountRow,
    DimensionValueRow,
    FiscalPeriodRow,
    FiscalYearRow,
)

_ACCOUNT = tuple(Account.__dataclass_fields__)
_DIMENSION_VALUE = tuple(DimensionValue.__dataclass_fields__)
_MAPPING = tuple(AccountMapping.__dataclass_fields__)


def lock_classification(session: Session) -> None:
    """One writer of the classification at a time: overlaps of days are checked, not constrained.

    (An exclusion constraint over text and dates needs btree_gist, which not every PostgreSQL here has.)
    """
    session.execute(text("select pg_advisory_xact_lock(5107101)"))


def _account(row: AccountRow) -> Account:
    return Account(**{name: getattr(row, name) for name in _ACCOUNT})


def _dimension_value(row: DimensionValueRow) -> DimensionValue:
    return DimensionValue(**{name: getattr(row, name) for name in _DIMENSION_VALUE})


def _mapping(row: AccountMappingRow) -> AccountMapping:
    values = {name: getattr(row, name) for name in _MAPPING}
    return AccountMapping(**(values | {"method": Method(row.method)}))


def accounts_by_code(session: Session, codes: Iterable[str]) -> list[Account]:
    """Every row of these codes, on whatever days."""
    rows = session.scalars(select(AccountRow).where(AccountRow.code.in_(sorted(set(codes)))))
    return [_account(row) for row in rows]


def dimension_values_by_key(session: Session, keys: Iterable[tuple[str, ...]]) -> list[DimensionValue]:
    """Every row of these (kind, code) pairs, on whatever days."""
    pair = tuple_(DimensionValueRow.kind, DimensionValueRow.code)
    rows = session.scalars(select(DimensionValueRow).where(pair.in_(sorted(set(keys)))))
    return [_dimension_value(row) for row in rows]


def accounts_above(session: Session, accounts: Sequence[Account]) -> list[Account]:
    """Every row, on whatever days, of these codes and of all that stand above them on some day."""
    codes = _above(session, "account", [("", code) for a in accounts for code in (a.code, a.parent_code) if code])
    return accounts_by_code(session, {code for _, code in codes})


def dimension_values_above(session: Session, values: Sequence[DimensionValue]) -> list[DimensionValue]:
    """Every row, on whatever days, of these (kind, code) pairs and of all that stand above them on some day."""
    keys = _above(
        session, "dimension_value", [(v.kind, code) for v in values for code in (v.code, v.parent_code) if code]
    )
    return dimension_values_by_key(session, keys)


# The walk keeps each code once, so a ring that is there already ends it. Codes of accounts have no kind.
_ABOVE = {
    table: text(
        f"""
        with recursive above (kind, code) as (
            select w.kind, w.code from unnest(cast(:kinds as text[]), cast(:codes as text[])) w (kind, code)
            union
            select a.kind, t.parent_code from above a join {table} t on {key} where t.parent_code <> ''
        )
        select kind, code from above
        """  # noqa: S608  # only constants
    )
    for table, key in (("account", "t.code = a.code"), ("dimension_value", "t.kind = a.kind and t.code = a.code"))
}


def _above(session: Session, table: str, keys: Collection[tuple[str, str]]) -> list[tuple[str, str]]:
    """These (kind, code) pairs and those of all that stand above them on some day."""
    if not keys:
        return []
    asked = sorted(set(keys))
    rows = session.execute(_ABOVE[table], {"kinds": [kind for kind, _ in asked], "codes": [code for _, code in asked]})
    return [(row.kind, row.code) for row in rows]


def mappings_by_key(session: Session, keys: Iterable[tuple[str, ...]]) -> list[AccountMapping]:
    """Every rule of these (role, prefix) pairs, on whatever days."""
    pair = tuple_(AccountMappingRow.role, AccountMappingRow.expenditure_prefix)
    rows = session.scalars(select(AccountMappingRow).where(pair.in_(sorted(set(keys)))))
    return [_mapping(row) for row in rows]


def add_accounts(session: Session, accounts: Sequence[Account]) -> None:
    """Insert accounts."""
    session.add_all([AccountRow(**{name: getattr(a, name) for name in _ACCOUNT}) for a in accounts])
    session.flush()


def add_dimension_values(session: Session, values: Sequence[DimensionValue]) -> None:
    """Insert dimension values."""
    session.add_all([DimensionValueRow(**{name: getattr(v, name) for name in _DIMENSION_VALUE}) for v in values])
    session.flush()


def add_mappings(session: Session, mappings: Sequence[AccountMapping]) -> None:
    """Insert mapping rules."""
    session.add_all(
        [
            AccountMappingRow(**({name: getattr(m, name) for name in _MAPPING} | {"method": m.method.value}))
            for m in mappings
        ]
    )
    session.flush()


def account(session: Session, account_id: UUID) -> Account | None:
    """One account."""
    row = session.get(AccountRow, account_id)
    return _account(row) if row else None


def dimension_value(session: Session, dimension_value_id: UUID) -> DimensionValue | None:
    """One dimension value."""
    row = session.get(DimensionValueRow, dimension_value_id)
    return _dimension_value(row) if row else None


def _prefixed(column: Any, prefix: str) -> ColumnElement[bool]:
    return column.startswith(prefix, autoescape=True)


def list_accounts(
    session: Session, *, code_prefix: str, valid_on: date | None, after: tuple[Any, ...] | None, limit: int
) -> list[Account]:
    """Accounts by code and first day."""
    query = select(AccountRow).order_by(AccountRow.code, AccountRow.valid_from).limit(limit)
    if code_prefix:
        query = query.where(_prefixed(AccountRow.code, code_prefix))
    if valid_on is not None:
        query = query.where(
            AccountRow.valid_from <= valid_on, or_(AccountRow.valid_to.is_(None), AccountRow.valid_to > valid_on)
        )
    if after is not None:
        query = query.where(tuple_(AccountRow.code, AccountRow.valid_from) > tuple_(*after))
    return [_account(row) for row in session.scalars(query)]


def list_dimension_values(
    session: Session, *, kind: str, code_prefix: str, after: tuple[Any, ...] | None, limit: int
) -> list[DimensionValue]:
    """Values of one dimension by code and first day."""
    row = DimensionValueRow
    query = select(row).where(row.kind == kind).order_by(row.code, row.valid_from).limit(limit)
    if code_prefix:
        query = query.where(_prefixed(row.code, code_prefix))
    if after is not None:
        query = query.where(tuple_(row.code, row.valid_from) > tuple_(*after))
    return [_dimension_value(found) for found in session.scalars(query)]


def list_mappings(session: Session, *, role: str, after: tuple[Any, ...] | None, limit: int) -> list[AccountMapping]:
    """Mapping rules by role, prefix and first day."""
    row = AccountMappingRow
    query = select(row).order_by(row.role, row.expenditure_prefix, row.valid_from).limit(limit)
    if role:
        query = query.where(row.role == role)
    if after is not None:
        query = query.where(tuple_(row.role, row.expenditure_prefix, row.valid_from) > tuple_(*after))
    return [_mapping(found) for found in session.scalars(query)]


def mappings_on(session: Session, roles: Iterable[str], on: date) -> list[AccountMapping]:
    """The rules of `roles` that hold on `on`."""
    row = AccountMappingRow
    query = select(row).where(
        row.role.in_(sorted(set(roles))), row.valid_from <= on, or_(row.valid_to.is_(None), row.valid_to > on)
    )
    return [_mapping(found) for found in session.scalars(query)]


def postable_codes(
    session: Session, codes: Iterable[str], on: date, *, kinds: Collection[str] | None = None
) -> set[str]:
    """Which of `codes` are accounts that lines may name on `on`; with `kinds`, only accounts of these kinds."""
    row = AccountRow
    query = select(row.code).where(
        row.code.in_(sorted(set(codes))),
        row.postable,
        row.valid_from <= on,
        or_(row.valid_to.is_(None), row.valid_to > on),
    )
    if kinds is not None:
        query = query.where(row.kind.in_(sorted(kinds)))
    return set(session.scalars(query))


def add_fiscal_year(session: Session, year: FiscalYear, periods: Sequence[FiscalPeriod], *, at: datetime) -> None:
    """Insert a year and its periods."""
    session.add(
        FiscalYearRow(
            fiscal_year_id=year.fiscal_year_id,
            agency_id=year.agency_id,
            year=year.year,
            functional_currency=year.functional_currency,
        )
    )
    session.add_all(
        [
            FiscalPeriodRow(
                fiscal_period_id=new_id(),
                agency_id=p.agency_id,
                year=p.year,
                number=p.number,
                area=p.area.value,
                starts_on=p.starts_on,
                ends_on=p.ends_on,
                state=p.state.value,
                changed_at=at,
            )
            for p in periods
        ]
    )
    session.flush()


def _fiscal_years() -> Select[Any]:
    """Years with the issue of their statements, where there was one."""
    year, issued = FiscalYearRow, FinancialStatementsRow
    together = (issued.agency_id == year.agency_id) & (issued.year == year.year)
    columns = (year.fiscal_year_id, year.agency_id, year.year, year.functional_currency)
    return select(*columns, issued.issued_on, issued.document_number).outerjoin(issued, together)


def _fiscal_year(row: Row[Any]) -> FiscalYear:
    return FiscalYear(
        row.fiscal_year_id, row.agency_id, row.year, row.functional_currency, row.issued_on, row.document_number or ""
    )


def fiscal_year(session: Session, fiscal_year_id: UUID) -> FiscalYear | None:
    """One fiscal year."""
    row = session.execute(_fiscal_years().where(FiscalYearRow.fiscal_year_id == fiscal_year_id)).first()
    return _fiscal_year(row) if row else None


def fiscal_year_of(session: Session, agency_id: UUID, year: int) -> FiscalYear | None:
    """An agency's year."""
    query = _fiscal_years().where(FiscalYearRow.agency_id == agency_id, FiscalYearRow.year == year)
    row = session.execute(query).first()
    return _fiscal_year(row) if row else None


def functional_currencies(session: Session, agencies: Iterable[UUID] | None = None) -> dict[UUID, str]:
    """The currency of each agency's books (None: of all that are seen), by its latest year; agencies without
    books are left out."""
    rows = session.execute(_CURRENCIES, {"agencies": None if agencies is None else sorted(set(agencies))})
    return {agency_id: currency for agency_id, currency in rows}  # noqa: C416  # dict() takes rows for pairs


# Every posting asks this, so its text is fixed: the database plans it once.
_CURRENCIES = text(
    """
    select agency_id, functional_currency from fiscal_year
    where cast(:agencies as uuid[]) is null or agency_id = any (cast(:agencies as uuid[]))
    order by agency_id, year
    """
)


def list_fiscal_years(
    session: Session, *, agency_id: UUID, after: tuple[Any, ...] | None, limit: int
) -> list[FiscalYear]:
    """An agency's years, in order."""
    query = _fiscal_years().where(FiscalYearRow.agency_id == agency_id).order_by(FiscalYearRow.year).limit(limit)
    if after is not None:
        query = query.where(FiscalYearRow.year > after[0])
    return [_fiscal_year(row) for row in session.execute(query)]


def _period(row: FiscalPeriodRow) -> FiscalPeriod:
    return FiscalPeriod(
        row.agency_id, row.year, row.number, Area(row.area), row.starts_on, row.ends_on, PeriodState(row.state)
    )


def list_periods(
    session: Session,
    *,
    agency_id: UUID,
    year: int,
    area: Area | None = None,
    after: tuple[Any, ...] | None = None,
    limit: int = 100,
) -> list[FiscalPeriod]:
    """An agency's periods of a year, by number and area."""
    row = FiscalPeriodRow
    query = select(row).where(row.agency_id == agency_id, row.year == year).order_by(row.number, row.area).limit(limit)
    if area is not None:
        query = query.where(row.area == area.value)
    if after is not None:
        query = query.where(tuple_(row.number, row.area) > tuple_(*after))
    return [_period(found) for found in session.scalars(query)]


def lock_periods(
    session: Session, *, agency_id: UUID, year: int, numbers: Sequence[int], areas: Sequence[Area]
) -> None:
    """Hold these periods exclusively: waits for the postings under way, which lock in the same order."""
    row = FiscalPeriodRow
    session.execute(
        select(row.fiscal_period_id)
        .where(
            row.agency_id == agency_id,
            row.year == year,
            row.number.in_(list(numbers)),
            row.area.in_([area.value for area in areas]),
        )
        .order_by(row.area, row.number)
        .with_for_update()
    ).all()


def save_states(session: Session, periods: Sequence[FiscalPeriod], *, at: datetime) -> None:
    """Write the states of locked periods."""
    for period in periods:
        session.execute(
            text(
                "update fiscal_period set state = :state, changed_at = :at where agency_id = :agency_id "
                "and area = :area and year = :year and number = :number"
            ),
            {
                "state": period.state.value,
                "at": at,
                "agency_id": period.agency_id,
                "area": period.area.value,
                "year": period.year,
                "number": period.number,
            },
        )
    session.expire_all()
