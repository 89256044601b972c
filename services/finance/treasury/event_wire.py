"""Events of the treasury as messages. No decisions."""

from __future__ import annotations

from typing import Any

from chassis import outbox
from chassis.money import Money
from chassis.wire import to_date, to_money
from kelola.finance.v1 import treasury_events_pb2 as pb
from services.finance.treasury import events


def _run(event: events.RunApproved | events.RunExported) -> dict[str, Any]:
    return {
        "payment_run_id": str(event.payment_run_id),
        "agency_id": str(event.agency_id),
        "instruction_count": event.instruction_count,
        "total": to_money(Money(event.total_minor, event.currency)),
    }


@outbox.translates(events.RunApproved)
def _approved(event: events.RunApproved) -> outbox.Envelope:
    message = pb.PaymentRunApproved(**_run(event))
    return outbox.Envelope(message, event.payment_run_id, event.agency_id, event.version)


@outbox.translates(events.RunExported)
def _exported(event: events.RunExported) -> outbox.Envelope:
    message = pb.PaymentRunExported(file_sha256=event.file_sha256, **_run(event))
    return outbox.Envelope(message, event.payment_run_id, event.agency_id, event.version)


@outbox.translates(events.RunCancelled)
def _cancelled(event: events.RunCancelled) -> outbox.Envelope:
    message = pb.PaymentRunCancelled(
        payment_run_id=str(event.payment_run_id), agency_id=str(event.agency_id), explanation=event.explanation
    )
    return outbox.Envelope(message, event.payment_run_id, event.agency_id, event.version)


def _return(what: events.Returned) -> dict[str, Any]:
    return {
        "payment_return_id": str(what.payment_return_id),
        "payment_order_id": str(what.payment_order_id),
        "agency_id": str(what.paying_agency_id),
        "order_number": what.order_number,
        "amount": to_money(Money(what.amount_minor, what.currency)),
    }


def _of_return(message: Any, what: events.Returned) -> outbox.Envelope:
    return outbox.Envelope(message, what.payment_return_id, what.paying_agency_id, what.version)


@outbox.translates(events.PaymentReturned)
def _returned(event: events.PaymentReturned) -> outbox.Envelope:
    message = pb.PaymentReturned(
        returned_on=to_date(event.what.on), explanation=event.explanation, **_return(event.what)
    )
    return _of_return(message, event.what)


@outbox.translates(events.PaymentReissued)
def _reissued(event: events.PaymentReissued) -> outbox.Envelope:
    return _of_return(pb.PaymentReissued(reissued_on=to_date(event.what.on), **_return(event.what)), event.what)


@outbox.translates(events.ReissuedPaymentMade)
def _made(event: events.ReissuedPaymentMade) -> outbox.Envelope:
    return _of_return(pb.ReissuedPaymentMade(value_date=to_date(event.what.on), **_return(event.what)), event.what)


@outbox.translates(events.EntryUnmatched)
def _unmatched(event: events.EntryUnmatched) -> outbox.Envelope:
    message = pb.BankEntryUnmatched(
        bank_entry_id=str(event.bank_entry_id),
        agency_id=str(event.agency_id),
        bank_account_id=str(event.bank_account_id),
        amount=to_money(Money(event.signed_minor, event.currency)),
        booked_on=to_date(event.booked_on),
        explanation=event.explanation,
    )
    return outbox.Envelope(message, event.bank_entry_id, event.agency_id, 1)


@outbox.translates(events.EntryMatched)
def _matched(event: events.EntryMatched) -> outbox.Envelope:
    message = pb.BankEntryMatched(
        bank_entry_id=str(event.bank_entry_id),
        agency_id=str(event.agency_id),
        payment_order_id=str(event.payment_order_id),
    )
    return outbox.Envelope(message, event.bank_entry_id, event.agency_id, event.version)
