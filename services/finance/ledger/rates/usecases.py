"""Rates and revaluations: load, decide, post, note."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

from sqlmodel import Session

from chassis import outbox
from chassis.ids import new_id
from services.finance.classification import mapping
from services.finance.classification import store as calendar
from services.finance.classification.domain import Area
from services.finance.classification.usecases import year_unknown
from services.finance.ledger import usecases as posting
from services.finance.ledger.domain import Refused
from services.finance.ledger.rates import domain, pack, store
from services.finance.ledger.rates.domain import Rate, RateKind, Revaluation, Revalued
from services.finance.ledger.rates.events import ExchangeRateRecorded, ForeignBalancesRevalued


@dataclass(frozen=True)
class Recorded:
    """What became of one rate of a batch."""

    rate: Rate
    is_new: bool
    corrects: Rate | None


def record(session: Session, wanted: Sequence[Rate], *, person_id: UUID) -> list[Recorded]:
    """Add rates, all or none; each with what it became, in the order given."""
    store.lock_rates(session)
    outcome = domain.admit(wanted, store.holding_rates(session, [rate.key for rate in wanted]))
    fresh = [holds for holds, _ in outcome if holds.recorded_at is None]
    added = {rate.key: rate for rate in store.add(session, fresh, person_id=person_id)}
    recorded = [Recorded(added.get(holds.key, holds), holds.key in added, before) for holds, before in outcome]
    outbox.emit_all(session, [ExchangeRateRecorded(one.rate, one.corrects) for one in recorded if one.is_new])
    return recorded


def rate_on(
    session: Session,
    *,
    currency: str,
    functional_currency: str,
    on: date,
    kind: RateKind = RateKind.MIDDLE,
    known_at: datetime | None = None,
) -> tuple[Rate, int]:
    """The rate that holds on a day and its age in days. EXCHANGE_RATE_MISSING when there is none, or too old a one."""
    last = store.last_rate(
        session, currency=currency, functional_currency=functional_currency, kind=kind, on=on, known_at=known_at
    )
    return domain.holding(
        last,
        currency=currency,
        functional_currency=functional_currency,
        on=on,
        kind=kind,
        age_days_max=pack.age_days_max(kind, on),
    )


@dataclass(frozen=True)
class MonthEnd:
    """An agency's foreign balances whose worth is another one at the end of a period."""

    agency_id: UUID
    year: int
    number: int
    on: date
    functional_currency: str
    changed: Sequence[Revalued]


def month_end(session: Session, *, agency_id: UUID, year: int, number: int) -> MonthEnd:
    """What a revaluation at the end of a period would post. Revaluations of the agency wait for one another from here.

    Everything up to the period counts, and what earlier revaluations posted; so a second run posts what changed since,
    or nothing.
    """
    store.lock_revaluation(session, agency_id)
    fiscal_year = calendar.fiscal_year_of(session, agency_id, year)
    if fiscal_year is None:
        raise year_unknown(agency_id, year)
    periods = calendar.list_periods(session, agency_id=agency_id, year=year, area=Area.LEDGER)
    on = next(period.ends_on for period in periods if period.number == number)
    changed = _changed(session, agency_id, fiscal_year.functional_currency, year, number, on)
    return MonthEnd(agency_id, year, number, on, fiscal_year.functional_currency, changed)


def post_revaluation(
    session: Session,
    found: MonthEnd,
    *,
    revaluation_id: UUID,
    movements: Mapping[int, UUID],
    person_id: UUID,
    at: datetime,
) -> Revaluation:
    """Post the differences against FXD and keep the revaluation. `movements`: see `domain.entry`."""
    agency_id, year, number, on, changed = found.agency_id, found.year, found.number, found.on, found.changed
    entry_id = new_id() if changed else None
    if entry_id is not None:
        entry = domain.entry(
            changed,
            journal_entry_id=entry_id,
            agency_id=agency_id,
            source_id=revaluation_id,
            on=on,
            difference_account_code=mapping.account_for(session, "FXD", on=on),
            functional_currency=found.functional_currency,
            person_id=person_id,
            movements=movements,
        )
        (verdict,) = posting.post_each(session, [entry])
        if isinstance(verdict, Refused):
            raise verdict.error
        if (verdict.fiscal_year, verdict.period_number) != (year, number):
            raise domain.RevaluationPeriodNotOpen(
                f"period {year}-{number:02} is closed: the differences of its last day have no place; open it again",
                metadata={"year": str(year), "number": str(number)},
            )
    done = Revaluation(
        revaluation_id,
        agency_id,
        year,
        number,
        on,
        found.functional_currency,
        tuple(changed),
        entry_id,
        person_id,
        at,
    )
    store.add_revaluation(session, done)
    outbox.emit(session, ForeignBalancesRevalued(done))
    return done


def _changed(
    session: Session, agency_id: UUID, functional_currency: str, year: int, number: int, on: date
) -> list[Revalued]:
    prefixes = pack.monetary_prefixes(on)
    balances = [
        balance
        for balance in store.balances(
            session, agency_id, functional_currency=functional_currency, year=year, number=number
        )
        if domain.monetary(balance.account_code, prefixes) and (balance.foreign_minor or balance.carrying_minor)
    ]
    rates = {
        currency: rate_on(session, currency=currency, functional_currency=functional_currency, on=on)[0]
        for currency in sorted({balance.currency for balance in balances})
    }
    return domain.revalue(balances, rates, functional_currency)
