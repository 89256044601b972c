"""What happened to penalties for late delivery, before it becomes a message (wire.py)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row


@dataclass(frozen=True)
class LateDeliveryPenaltyAssessed:
    """A penalty is proposed: `row` is the proposal with the amount by the rule."""

    row: Row[Any]


@dataclass(frozen=True)
class LateDeliveryPenaltyApproved:
    """A penalty will be kept from the payment: `row` is the approved penalty."""

    row: Row[Any]


@dataclass(frozen=True)
class LateDeliveryPenaltyReduced:
    """A penalty was reduced, or waived: `row` is the penalty with the amount that is left of it."""

    row: Row[Any]
