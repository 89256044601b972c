"""Debts between funds on the wire: no decisions."""

from __future__ import annotations

from chassis.money import Money
from chassis.wire import to_money
from kelola.finance.v1 import interfund_pb2
from services.finance.ledger.interfund.domain import Due
from services.finance.ledger.wire import basis_value


def debt_message(one: Due, currency: str) -> interfund_pb2.InterfundDebt:
    """What one fund owes another."""
    return interfund_pb2.InterfundDebt(
        basis=basis_value(one.basis),
        debtor_fund_code=one.debtor_fund_code,
        creditor_fund_code=one.creditor_fund_code,
        amount=to_money(Money(one.minor, currency)),
    )
