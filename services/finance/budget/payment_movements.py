"""What payment does to funds: orders, debits, rejections, advances, bills, vouchers of an imprest. Pure.

A part of `FundsAct` (movements.py), which holds the lines and positions and records the movements.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import replace
from fractions import Fraction

from services.finance.budget.domain import Buckets, Key, Movement, MovementKind, Position
from services.finance.classification.fiscal_calendar import Period


class PaymentActs(ABC):
    """The acts of payment on positions that were locked (domain rules §2, the table of movements)."""

    _period: Period

    @abstractmethod
    def _position(self, key: Key) -> Position:
        """The position; DOCUMENT_LINE_UNKNOWN when there is none."""

    @abstractmethod
    def _bucket_movement(self, kind: MovementKind, position: Position, after: Position) -> Movement:
        """Record the difference between two states of a position; LIQUIDATION_EXCEEDED below zero."""

    def order(self, key: Key, amount: int) -> Movement:
        """E -> S: a payment order was issued."""
        return self._shift(MovementKind.ORDER, key, Buckets(expended=-amount, ordered=amount))

    def pay(self, key: Key, amount: int) -> Movement:
        """S -> P: the bank debited the treasury's account."""
        return self._shift(MovementKind.PAY, key, Buckets(ordered=-amount, paid=amount))

    def reject(self, key: Key, amount: int) -> Movement:
        """S -> E: the bank rejected the order before any debit."""
        return self._shift(MovementKind.REJECT, key, Buckets(ordered=-amount, expended=amount))

    def order_prepayment(self, key: Key, amount: int) -> Movement:
        """O -> S: an order was issued for an advance, before delivery."""
        position = self._position(key)
        used = position.used_up(amount, Fraction(0))
        after = replace(used, buckets=used.buckets + Buckets(ordered=amount))
        return self._bucket_movement(MovementKind.ORDER, position, after)

    def pay_prepayment(self, key: Key, amount: int) -> Movement:
        """S -> V: the bank debited an advance."""
        return self._shift(MovementKind.PAY, key, Buckets(ordered=-amount, advanced=amount))

    def reject_prepayment(self, key: Key, amount: int) -> Movement:
        """S -> O: the bank rejected an advance before any debit; the contract is as it was."""
        position = self._position(key)
        after = replace(
            position,
            liquidated=position.liquidated - amount,
            buckets=position.buckets + Buckets(ordered=-amount, obligated=amount),
            schedule={**position.schedule, self._period: position.schedule.get(self._period, 0) + amount},
        )
        return self._bucket_movement(MovementKind.REJECT, position, after)

    def bill(self, key: Key, claimed: int, recovered: int) -> Movement:
        """O -> E by what the creditor still claims, V -> P by what the bill recovers of the advance (N10).

        What is recovered beyond V was closed to P in an earlier year (N11) and moves nothing.
        """
        position = self._position(key)
        used = position.used_up(claimed, Fraction(0))
        settled = min(recovered, position.buckets.advanced)
        after = replace(used, buckets=used.buckets + Buckets(expended=claimed, advanced=-settled, paid=settled))
        return self._bucket_movement(MovementKind.EXPEND, position, after)

    def voucher(self, key: Key, amount: int, *, whole: bool) -> Movement:
        """R -> S: paid in cash from an imprest. With `whole` the reservation ends, its rest is available again."""
        position = self._position(key)
        used = position.used_up(position.open if whole else amount, Fraction(0))
        after = replace(used, buckets=used.buckets + Buckets(ordered=amount), closed=used.open == 0)
        return self._bucket_movement(MovementKind.ORDER, position, after)

    def invalidate(self, key: Key, amount: int) -> Movement:
        """P -> S: the order that validated vouchers was rejected before any debit."""
        return self._shift(MovementKind.REJECT, key, Buckets(paid=-amount, ordered=amount))

    def _shift(self, kind: MovementKind, key: Key, changes: Buckets) -> Movement:
        position = self._position(key)
        return self._bucket_movement(kind, position, replace(position, buckets=position.buckets + changes))
