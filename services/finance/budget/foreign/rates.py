"""The rates that an act on funds needs: of the day, else the last known ones that still hold."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date

from sqlmodel import Session

from services.finance.budget.domain import Line
from services.finance.ledger.rates import usecases as rates
from services.finance.ledger.rates.domain import Rate


def day_rates(
    session: Session, lines: Iterable[Line], currencies: Iterable[str], *, on: date
) -> dict[tuple[str, str], Rate]:
    """By foreign and functional currency; EXCHANGE_RATE_MISSING when one has none that holds on the day.

    Nothing is looked up for amounts in the currency of their lines.
    """
    functional = {line.currency for line in lines}
    wanted = {(foreign, own) for foreign in currencies for own in functional if foreign not in ("", own)}
    return {
        (foreign, own): rates.rate_on(session, currency=foreign, functional_currency=own, on=on)[0]
        for foreign, own in sorted(wanted)
    }
