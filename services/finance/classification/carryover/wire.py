"""Successions and carry-overs between the wire and the domain: no decisions."""

from __future__ import annotations

from chassis import outbox
from chassis.ids import new_id
from chassis.money import Money
from chassis.wire import from_date, resource_name, to_date, to_money, to_timestamp
from kelola.finance.v1 import carry_over_pb2, classification_events_pb2
from services.finance.classification.carryover.domain import CarryOver, Succession, Uncarried
from services.finance.classification.carryover.events import BalancesCarriedOver
from services.finance.classification.segment_wire import segment, segment_number
from services.finance.ledger.wire import basis_value

SUCCESSIONS = "codeSuccessions"


def succession(message: carry_over_pb2.CodeSuccession, field: str) -> Succession:
    """A succession to be made, with a fresh id."""
    return Succession(
        code_succession_id=new_id(),
        segment=segment(message.segment),
        old_code=message.old_code,
        new_code=message.new_code,
        effective_on=from_date(message.effective_on, f"{field}.effective_on"),
        is_default=message.is_default,
        legal_source=message.legal_source,
    )


def succession_message(one: Succession) -> carry_over_pb2.CodeSuccession:
    """A succession."""
    return carry_over_pb2.CodeSuccession(
        name=resource_name(SUCCESSIONS, one.code_succession_id),
        code_succession_id=str(one.code_succession_id),
        segment=segment_number(one.segment),
        old_code=one.old_code,
        new_code=one.new_code,
        effective_on=to_date(one.effective_on),
        is_default=one.is_default,
        legal_source=one.legal_source,
    )


def uncarried_message(one: Uncarried) -> carry_over_pb2.UncarriedCode:
    """A code without successor."""
    return carry_over_pb2.UncarriedCode(
        segment=segment_number(one.segment),
        code=one.code,
        has_balance=one.has_balance,
        has_budget=one.has_budget,
        has_bank_account=one.has_bank_account,
        has_journal_template=one.has_journal_template,
    )


def carry_over_message(one: CarryOver) -> carry_over_pb2.BalanceCarryOver:
    """A carry-over."""
    return carry_over_pb2.BalanceCarryOver(
        balance_carry_over_id=str(one.run_id),
        agency_id=str(one.agency_id),
        year=one.year,
        carried_balances=[
            carry_over_pb2.CarriedBalance(
                basis=basis_value(part.basis),
                fund_code=part.fund_code,
                old_account_code=part.old_account_code,
                new_account_code=part.new_account_code,
                amount=to_money(Money(part.minor, part.currency)),
            )
            for part in one.carried
        ],
        journal_entry_ids=[str(entry_id) for entry_id in one.journal_entry_ids],
        person_id=str(one.person_id),
        recorded_at=to_timestamp(one.recorded_at),
    )


@outbox.translates(BalancesCarriedOver)
def _carried(event: BalancesCarriedOver) -> outbox.Envelope:
    one = event.carry_over
    message = classification_events_pb2.BalancesCarriedOver(
        balance_carry_over_id=str(one.run_id),
        agency_id=str(one.agency_id),
        year=one.year,
        opened_on=to_date(event.opened_on),
        journal_entry_ids=[str(entry_id) for entry_id in one.journal_entry_ids],
    )
    return outbox.Envelope(message, one.run_id, one.agency_id, 1)
