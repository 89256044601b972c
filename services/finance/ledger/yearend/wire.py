"""Between year-end closings and the wire."""

from __future__ import annotations

from chassis import outbox
from chassis.money import Money
from chassis.wire import to_money, to_timestamp
from kelola.finance.v1 import fiscal_closing_events_pb2, year_end_pb2
from services.finance.ledger.wire import basis_value
from services.finance.ledger.yearend.domain import YearClosing
from services.finance.ledger.yearend.events import FiscalYearClosed


def closing_message(one: YearClosing) -> year_end_pb2.FiscalYearClosing:
    """A closing."""
    return year_end_pb2.FiscalYearClosing(
        fiscal_year_closing_id=str(one.run_id),
        agency_id=str(one.agency_id),
        year=one.year,
        results=[
            year_end_pb2.FiscalYearResult(
                basis=basis_value(result.basis),
                fund_code=result.fund_code,
                account_code=result.account_code,
                amount=to_money(Money(result.minor, result.currency)),
            )
            for result in one.results
        ],
        open_estimates=[
            year_end_pb2.OpenEstimate(
                fund_code=estimate.fund_code, amount=to_money(Money(estimate.minor, estimate.currency))
            )
            for estimate in one.open_estimates
        ],
        journal_entry_ids=[str(entry_id) for entry_id in one.journal_entry_ids],
        person_id=str(one.person_id),
        recorded_at=to_timestamp(one.recorded_at),
    )


@outbox.translates(FiscalYearClosed)
def _closed(event: FiscalYearClosed) -> outbox.Envelope:
    one = event.closing
    return outbox.Envelope(
        message=fiscal_closing_events_pb2.FiscalYearClosed(
            fiscal_year_closing_id=str(one.run_id),
            agency_id=str(one.agency_id),
            year=one.year,
            journal_entry_ids=[str(entry_id) for entry_id in one.journal_entry_ids],
        ),
        aggregate_id=one.run_id,
        agency_id=one.agency_id,
        sequence=1,
    )
