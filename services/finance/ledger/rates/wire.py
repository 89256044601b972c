"""Between the wire and rates, both ways."""

from __future__ import annotations

from chassis import outbox
from chassis.ids import new_id
from chassis.money import Money
from chassis.wire import from_date, from_decimal, to_date, to_decimal, to_money, to_timestamp
from kelola.finance.v1 import exchange_rate_events_pb2, exchange_rate_pb2
from services.finance.ledger.rates.domain import Rate, RateKind, Revaluation, Revalued
from services.finance.ledger.rates.events import ExchangeRateRecorded, ForeignBalancesRevalued

_KIND = "EXCHANGE_RATE_KIND_"


def kind(value: int) -> RateKind:
    """The kind of a proto enum's number; MIDDLE for unspecified."""
    return RateKind(exchange_rate_pb2.ExchangeRateKind.Name(value).removeprefix(_KIND)) if value else RateKind.MIDDLE


def rate(message: exchange_rate_pb2.ExchangeRate, field: str) -> Rate:
    """A rate to be recorded, with a fresh id."""
    return Rate(
        exchange_rate_id=new_id(),
        currency=message.currency,
        functional_currency=message.functional_currency,
        rated_on=from_date(message.rated_on, f"{field}.rated_on"),
        kind=kind(message.kind),
        rate=from_decimal(message.rate, f"{field}.rate"),
        source=message.source,
    )


def rate_message(one: Rate) -> exchange_rate_pb2.ExchangeRate:
    """A rate."""
    assert one.recorded_at is not None, "a rate that is shown was recorded"
    return exchange_rate_pb2.ExchangeRate(
        exchange_rate_id=str(one.exchange_rate_id),
        currency=one.currency,
        functional_currency=one.functional_currency,
        rated_on=to_date(one.rated_on),
        kind=exchange_rate_pb2.ExchangeRateKind.Value(f"{_KIND}{one.kind.value}"),
        rate=to_decimal(one.rate),
        source=one.source,
        recorded_at=to_timestamp(one.recorded_at),
    )


def revaluation_message(one: Revaluation) -> exchange_rate_pb2.ForeignRevaluation:
    """A revaluation with its items."""
    return exchange_rate_pb2.ForeignRevaluation(
        foreign_revaluation_id=str(one.foreign_revaluation_id),
        agency_id=str(one.agency_id),
        year=one.year,
        number=one.number,
        items=[_item(item, one.functional_currency) for item in one.items],
        journal_entry_id="" if one.journal_entry_id is None else str(one.journal_entry_id),
        person_id=str(one.person_id),
        recorded_at=to_timestamp(one.recorded_at),
    )


def _item(item: Revalued, functional_currency: str) -> exchange_rate_pb2.ForeignRevaluationItem:
    balance = item.balance
    return exchange_rate_pb2.ForeignRevaluationItem(
        account_code=balance.account_code,
        fund_code=balance.fund_code,
        balance=to_money(Money(balance.foreign_minor, balance.currency)),
        rate=to_decimal(item.rate.rate),
        rated_on=to_date(item.rate.rated_on),
        carrying_amount=to_money(Money(balance.carrying_minor, functional_currency)),
        revalued_amount=to_money(Money(item.revalued_minor, functional_currency)),
        difference=to_money(Money(item.difference_minor, functional_currency)),
        budget_line_id=str(balance.budget_line_id or ""),
        document_line_id=str(balance.document_line_id or ""),
    )


@outbox.translates(ExchangeRateRecorded)
def _recorded(event: ExchangeRateRecorded) -> outbox.Envelope:
    return outbox.Envelope(
        message=exchange_rate_events_pb2.ExchangeRateRecorded(
            exchange_rate=rate_message(event.rate),
            corrects_exchange_rate_id="" if event.corrects is None else str(event.corrects.exchange_rate_id),
        ),
        aggregate_id=event.rate.exchange_rate_id,
        agency_id=None,
        # A rate never changes: it has one version.
        sequence=1,
    )


@outbox.translates(ForeignBalancesRevalued)
def _revalued(event: ForeignBalancesRevalued) -> outbox.Envelope:
    one = event.revaluation
    return outbox.Envelope(
        message=exchange_rate_events_pb2.ForeignBalancesRevalued(
            foreign_revaluation_id=str(one.foreign_revaluation_id),
            agency_id=str(one.agency_id),
            revalued_on=to_date(one.revalued_on),
            journal_entry_id="" if one.journal_entry_id is None else str(one.journal_entry_id),
        ),
        aggregate_id=one.foreign_revaluation_id,
        agency_id=one.agency_id,
        sequence=1,
    )
