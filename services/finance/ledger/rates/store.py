"""SQL of exchange rates and revaluations."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import select, text, tuple_
from sqlmodel import Session

from chassis.money import checked
from services.finance.ledger.rates.domain import Balance, Rate, RateKind, Revaluation, Revalued, merged
from services.finance.ledger.rates.tables import (
    ExchangeRateRow,
    ForeignRevaluationItemRow,
    ForeignRevaluationRow,
)

# A balance that is no debt of a budget line.
NOBODY = UUID(int=0)


def lock_rates(session: Session) -> None:
    """One writer of rates at a time: which one holds is decided by what is known."""
    session.execute(text("select pg_advisory_xact_lock(5107103)"))


def lock_revaluation(session: Session, agency_id: UUID) -> None:
    """One revaluation of an agency at a time; taken before anything that posting locks."""
    session.execute(text("select pg_advisory_xact_lock(5107104, hashtext(:id))"), {"id": str(agency_id)})


def _rate(row: ExchangeRateRow) -> Rate:
    return Rate(
        row.exchange_rate_id,
        row.currency,
        row.functional_currency,
        row.rated_on,
        RateKind(row.kind),
        row.rate,
        row.source,
        row.recorded_at,
    )


def holding_rates(session: Session, keys: Iterable[tuple[str, str, str, date]]) -> dict[tuple[Any, ...], Rate]:
    """The rate that holds now for each (currency, functional currency, kind, day) that has one."""
    row = ExchangeRateRow
    key = tuple_(row.currency, row.functional_currency, row.kind, row.rated_on)
    query = select(row).where(key.in_(sorted(set(keys)))).order_by(row.recorded_at, row.exchange_rate_id)
    # Of one day the latest comes last and stays.
    return {found.key: found for found in map(_rate, session.scalars(query))}


def add(session: Session, rates: Sequence[Rate], *, person_id: UUID) -> list[Rate]:
    """Insert rates; they as they are known from now on.

    The instant is read under `lock_rates`: the transaction's start may lie before that of a rate which was recorded
    while it waited, and which it corrects; the later one must hold.
    """
    known_from = session.execute(text("select clock_timestamp()")).scalar_one()
    rows = [
        ExchangeRateRow(
            exchange_rate_id=rate.exchange_rate_id,
            currency=rate.currency,
            functional_currency=rate.functional_currency,
            kind=rate.kind.value,
            rated_on=rate.rated_on,
            rate=rate.rate,
            source=rate.source,
            person_id=person_id,
            recorded_at=known_from,
        )
        for rate in rates
    ]
    session.add_all(rows)
    session.flush()
    return [_rate(row) for row in rows]


def last_rate(
    session: Session, *, currency: str, functional_currency: str, kind: RateKind, on: date, known_at: datetime | None
) -> Rate | None:
    """The rate of the last day on or before `on` that has one, as known at an instant (None: now)."""
    row = ExchangeRateRow
    query = (
        select(row)
        .where(
            row.currency == currency,
            row.functional_currency == functional_currency,
            row.kind == kind.value,
            row.rated_on <= on,
        )
        .order_by(row.rated_on.desc(), row.recorded_at.desc(), row.exchange_rate_id.desc())  # type: ignore[attr-defined]  # columns
        .limit(1)
    )
    if known_at is not None:
        query = query.where(row.recorded_at <= known_at)
    found = session.scalars(query).first()
    return _rate(found) if found else None


def rates(
    session: Session,
    *,
    currency: str,
    rated_from: date | None,
    rated_to: date | None,
    with_corrected: bool,
    after: tuple[Any, ...] | None,
    limit: int,
) -> list[Rate]:
    """Rates, the latest day first; of one day and pair the one that holds, and those before it when asked."""
    found = session.execute(
        text(
            """
            select exchange_rate_id, currency, functional_currency, rated_on, kind, rate, source, recorded_at
            from exchange_rate e
            where (:currency = '' or currency = :currency)
              and (cast(:rated_from as date) is null or rated_on >= :rated_from)
              and (cast(:rated_to as date) is null or rated_on <= :rated_to)
              and (:with_corrected or not exists (
                  select 1 from exchange_rate later
                  where (later.functional_currency, later.currency, later.kind, later.rated_on)
                        = (e.functional_currency, e.currency, e.kind, e.rated_on)
                    and (later.recorded_at, later.exchange_rate_id) > (e.recorded_at, e.exchange_rate_id)))
              and (cast(:after_day as date) is null
                   or (rated_on, currency, exchange_rate_id) < (:after_day, :after_currency, cast(:after_id as uuid)))
            order by rated_on desc, currency desc, exchange_rate_id desc limit :limit
            """
        ),
        {
            "currency": currency,
            "rated_from": rated_from,
            "rated_to": rated_to,
            "with_corrected": with_corrected,
            "after_day": after[0] if after else None,
            "after_currency": after[1] if after else None,
            "after_id": after[2] if after else None,
            "limit": limit,
        },
    )
    return [
        Rate(rate_id, currency_code, functional, rated_on, RateKind(kind), rate, source, recorded_at)
        for rate_id, currency_code, functional, rated_on, kind, rate, source, recorded_at in found
    ]


def balances(session: Session, agency_id: UUID, *, functional_currency: str, year: int, number: int) -> list[Balance]:
    """An agency's accrual balances in foreign currencies up to a period, with what they stand at.

    What a balance stands at is the functional sum of its own lines, and the differences of earlier revaluations, which
    are lines in the functional currency. Lines of outside origin have no functional amount and are left out.
    """
    found = session.execute(
        text(
            """
            with place as (
                select distinct account_code, fund_code, currency from account_balance
                where agency_id = :agency_id and basis = 'ACCRUAL' and currency <> :functional_currency
            ), own as (
                select l.account_code, l.fund_code, l.currency,
                       coalesce(l.budget_line_id, :nobody) as budget_line_id,
                       case when l.budget_line_id is null then :nobody
                            else coalesce(l.document_line_id, :nobody) end as document_line_id,
                       sum(l.debit_minor)::numeric - sum(l.credit_minor) as foreign_sum,
                       sum(l.functional_debit_minor)::numeric - sum(l.functional_credit_minor) as functional_sum
                from place p join journal_line l using (account_code, fund_code, currency)
                where l.agency_id = :agency_id and l.basis = 'ACCRUAL' and l.functional_debit_minor is not null
                  and l.fiscal_year * 100 + l.period_number <= :period
                group by 1, 2, 3, 4, 5
            ), revalued as (
                select i.account_code, i.fund_code, i.currency, i.budget_line_id, i.document_line_id,
                       sum(i.revalued_minor)::numeric - sum(i.carrying_minor) as difference
                from foreign_revaluation r join foreign_revaluation_item i using (foreign_revaluation_id)
                where r.agency_id = :agency_id and r.year * 100 + r.number <= :period
                group by 1, 2, 3, 4, 5
            )
            select account_code, fund_code, currency, nullif(budget_line_id, :nobody) as budget_line_id,
                   nullif(document_line_id, :nobody) as document_line_id, coalesce(o.foreign_sum, 0) as foreign_sum,
                   coalesce(o.functional_sum, 0) + coalesce(r.difference, 0) as carrying
            from own o full join revalued r
                 using (account_code, fund_code, currency, budget_line_id, document_line_id)
            order by 1, 2, 3, 4, 5
            """
        ),
        {
            "agency_id": agency_id,
            "functional_currency": functional_currency,
            "period": year * 100 + number,
            "nobody": NOBODY,
        },
    )
    made = [
        Balance(
            row.account_code,
            row.fund_code,
            row.currency,
            checked(int(row.foreign_sum)),
            checked(int(row.carrying)),
            row.budget_line_id,
            row.document_line_id,
        )
        for row in found
    ]
    return merged(made, _carried(session, {one.budget_line_id for one in made} - {None}))


def _carried(session: Session, budget_line_ids: set[UUID | None]) -> dict[UUID, UUID]:
    """Where the debts of lines of years that ended went, line by line and on to the last one."""
    moved: dict[UUID, UUID] = {}
    while budget_line_ids:
        rows = session.execute(
            text(
                "select budget_line_id, next_budget_line_id from budget_year_end_line"
                " where budget_line_id = any (cast(:ids as uuid[])) and next_budget_line_id is not null"
            ),
            {"ids": list(budget_line_ids)},
        ).all()
        moved |= {row.budget_line_id: row.next_budget_line_id for row in rows}
        budget_line_ids = {row.next_budget_line_id for row in rows} - set(moved)
    return moved


def add_revaluation(session: Session, done: Revaluation) -> None:
    """Insert a revaluation with its items."""
    session.add(ForeignRevaluationRow(**{name: getattr(done, name) for name in ForeignRevaluationRow.model_fields}))
    session.add_all(
        [
            ForeignRevaluationItemRow(
                foreign_revaluation_id=done.foreign_revaluation_id,
                account_code=one.balance.account_code,
                fund_code=one.balance.fund_code,
                currency=one.balance.currency,
                budget_line_id=one.balance.budget_line_id or NOBODY,
                document_line_id=one.balance.document_line_id or NOBODY,
                agency_id=done.agency_id,
                foreign_minor=one.balance.foreign_minor,
                carrying_minor=one.balance.carrying_minor,
                revalued_minor=one.revalued_minor,
                exchange_rate_id=one.rate.exchange_rate_id,
            )
            for one in done.items
        ]
    )
    session.flush()


def revaluations(session: Session, agency_id: UUID, *, after: tuple[UUID] | None, limit: int) -> list[Revaluation]:
    """An agency's revaluations, the newest first."""
    row = ForeignRevaluationRow
    query = (
        select(row)
        .where(row.agency_id == agency_id)
        .order_by(row.foreign_revaluation_id.desc())  # type: ignore[attr-defined]  # a column
        .limit(limit)
    )
    if after is not None:
        query = query.where(row.foreign_revaluation_id < after[0])
    found = list(session.scalars(query))
    items = _items(session, [one.foreign_revaluation_id for one in found])
    return [
        Revaluation(
            **{name: getattr(one, name) for name in row.model_fields},
            items=tuple(items.get(one.foreign_revaluation_id, ())),
        )
        for one in found
    ]


def _items(session: Session, ids: Sequence[UUID]) -> dict[UUID, list[Revalued]]:
    item, rate = ForeignRevaluationItemRow, ExchangeRateRow
    query = (
        select(item, rate)
        .join(rate, rate.exchange_rate_id == item.exchange_rate_id)
        .where(item.foreign_revaluation_id.in_(ids))  # type: ignore[attr-defined]  # a column
        .order_by(item.fund_code, item.account_code, item.currency, item.budget_line_id, item.document_line_id)
    )
    made: dict[UUID, list[Revalued]] = {}
    for one, its_rate in session.execute(query) if ids else ():
        balance = Balance(
            one.account_code,
            one.fund_code,
            one.currency,
            one.foreign_minor,
            one.carrying_minor,
            None if one.budget_line_id == NOBODY else one.budget_line_id,
            None if one.document_line_id == NOBODY else one.document_line_id,
        )
        made.setdefault(one.foreign_revaluation_id, []).append(Revalued(balance, _rate(its_rate), one.revalued_minor))
    return made
