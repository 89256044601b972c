"""What payment does to funds: orders, debits, rejections, advances, bills, vouchers of an imprest. Pure.

A part of `FundsAct` (movements.py), which holds the lines and positions and records the movements.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import replace
from decimal import Decimal
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
    def _bucket_movement(
        self, kind: MovementKind, position: Position, after: Position, *, rate: Decimal | None = None
    ) -> Movement:
        """Record the difference between two states of a position; LIQUIDATION_EXCEEDED below zero."""

    def return_delivery(
        self, key: Key, amount: int, quantity: Fraction, *, replaced: bool, foreign: int = 0
    ) -> Movement:
        """E -> O when the goods will be replaced, else E -> available: an acceptance is taken back (N4).

        `foreign` is the amount in the commitment's own currency, when that is not the line's.
        """
        position = self._position(key)
        back = Buckets(expended=-amount, obligated=amount if replaced else 0)
        held = position.foreign and position.foreign.given_back_from("expended", foreign, foreign if replaced else 0)
        after = replace(position, buckets=position.buckets + back, foreign=held)
        if replaced:
            after = replace(
                after,
                liquidated=position.liquidated - amount,
                quantity_liquidated=position.quantity_liquidated - quantity,
                schedule={
                    **position.schedule,
                    self._period: position.schedule.get(self._period, 0) + amount,
                },
            )
        return self._bucket_movement(MovementKind.RELEASE, position, after)

    def vary(self, key: Key, amount: int, foreign: int = 0) -> Movement | None:
        """available <-> E: a matched invoice differs by `amount` from the order's price, `foreign` in its currency."""
        return self._shift(MovementKind.VARIANCE, key, Buckets(expended=amount), foreign) if amount else None

    def order(self, key: Key, amount: int, foreign: int | None = None) -> Movement:
        """E -> S: a payment order was issued."""
        return self._shift(MovementKind.ORDER, key, Buckets(expended=-amount, ordered=amount), foreign)

    def pay(self, key: Key, amount: int, foreign: int | None = None) -> Movement:
        """S -> P: the bank debited the treasury's account."""
        return self._shift(MovementKind.PAY, key, Buckets(ordered=-amount, paid=amount), foreign)

    def reject(self, key: Key, amount: int, foreign: int | None = None) -> Movement:
        """S -> E: the bank rejected the order before any debit."""
        return self._shift(MovementKind.REJECT, key, Buckets(ordered=-amount, expended=amount), foreign)

    def order_prepayment(self, key: Key, amount: int, foreign: int | None = None) -> Movement:
        """O -> S: an order was issued for an advance, before delivery; `foreign` in the contract's own currency."""
        position = self._position(key)
        used, held = position.used_up(amount, Fraction(0), foreign), position.foreign
        if held is not None and used.foreign is not None:
            ordered = Buckets(ordered=held.open - used.foreign.open)
            used = replace(used, foreign=used.foreign.moved(ordered))
        after = replace(used, buckets=used.buckets + Buckets(ordered=amount))
        return self._bucket_movement(MovementKind.ORDER, position, after)

    def pay_prepayment(self, key: Key, amount: int, foreign: int | None = None) -> Movement:
        """S -> V: the bank debited an advance."""
        return self._shift(MovementKind.PAY, key, Buckets(ordered=-amount, advanced=amount), foreign)

    def reject_prepayment(self, key: Key, amount: int, foreign: int = 0) -> Movement:
        """S -> O: the bank rejected an advance before any debit; the contract is as it was."""
        position = self._position(key)
        after = replace(
            position,
            foreign=position.foreign and position.foreign.reopened(foreign),
            liquidated=position.liquidated - amount,
            buckets=position.buckets + Buckets(ordered=-amount, obligated=amount),
            schedule={**position.schedule, self._period: position.schedule.get(self._period, 0) + amount},
        )
        return self._bucket_movement(MovementKind.REJECT, position, after)

    def bill(
        self, key: Key, claimed: int, recovered: int, *, foreign_claimed: int | None = None, rate: Decimal | None = None
    ) -> Movement:
        """O -> E by what the creditor still claims, V -> P by what the bill recovers of the advance (N10).

        What is recovered beyond V was closed to P in an earlier year (N11) and moves nothing. Of a contract in a
        foreign currency `recovered` is in that one and leaves V at its worth; `foreign_claimed` is `claimed` in it.
        """
        position = self._position(key)
        used, held = position.used_up(claimed, Fraction(0), foreign_claimed), position.foreign
        settled = min(recovered, position.buckets.advanced)
        if held is not None and used.foreign is not None:
            own = min(recovered, held.buckets.advanced)
            settled = held.part(position.buckets.advanced, own, held.buckets.advanced) if own else 0
            moved = Buckets(expended=held.open - used.foreign.open, advanced=-own, paid=own)
            used = replace(used, foreign=used.foreign.moved(moved))
        after = replace(used, buckets=used.buckets + Buckets(expended=claimed, advanced=-settled, paid=settled))
        return self._bucket_movement(MovementKind.EXPEND, position, after, rate=rate)

    def voucher(self, key: Key, amount: int, *, whole: bool) -> Movement:
        """R -> S: paid in cash from an imprest. With `whole` the reservation ends, its rest is available again."""
        position = self._position(key)
        used = position.used_up(position.open if whole else amount, Fraction(0))
        after = replace(used, buckets=used.buckets + Buckets(ordered=amount), closed=used.open == 0)
        return self._bucket_movement(MovementKind.ORDER, position, after)

    def invalidate(self, key: Key, amount: int) -> Movement:
        """P -> S: the order that validated vouchers was rejected before any debit."""
        return self._shift(MovementKind.REJECT, key, Buckets(paid=-amount, ordered=amount))

    def refund(
        self, key: Key, amount: int, *, replaced: int, quantity: Fraction, foreign: tuple[int, int] = (0, 0)
    ) -> Movement:
        """P -> available: the creditor paid back; P -> O for the part `replaced`, whose `quantity` comes again.

        `replaced` is at the order's price, so a variance in `amount` goes back to available. `foreign` are both in the
        commitment's own currency, when that is not the line's.
        """
        position = self._position(key)
        after = replace(
            position,
            foreign=position.foreign and position.foreign.given_back_from("paid", *foreign),
            buckets=position.buckets + Buckets(paid=-amount, obligated=replaced),
            liquidated=position.liquidated - replaced,
        )
        if replaced:
            after = replace(
                after,
                quantity_liquidated=max(Fraction(0), position.quantity_liquidated - quantity),
                schedule={**position.schedule, self._period: position.schedule.get(self._period, 0) + replaced},
            )
        return self._bucket_movement(MovementKind.RELEASE, position, after)

    def _shift(self, kind: MovementKind, key: Key, changes: Buckets, foreign: int | None = None) -> Movement:
        """Move between buckets; `foreign` is the amount in the commitment's own currency, when the caller knows."""
        position = self._position(key)
        after, held = replace(position, buckets=position.buckets + changes), position.foreign
        if held is not None:
            after = replace(after, foreign=held.shifted(position.buckets, changes, foreign))
        return self._bucket_movement(kind, position, after)
