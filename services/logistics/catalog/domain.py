"""What an item is and when its definition holds together."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from chassis.errors import AlreadyExists, FailedPrecondition, InvalidArgument


class Treatment(StrEnum):
    """What accepted goods become in the books."""

    STOCK = "STOCK"
    EXPENSE = "EXPENSE"
    ASSET = "ASSET"


class ValuationMethod(StrEnum):
    """How the cost of an issue is found (PSAP 05 §17, IPSAS 12)."""

    MOVING_AVERAGE = "MOVING_AVERAGE"
    FIFO = "FIFO"
    SPECIFIC = "SPECIFIC"


class ItemCodeTaken(AlreadyExists):
    """Another item has this code."""

    reason = "ITEM_CODE_TAKEN"


class ItemInactive(FailedPrecondition):
    """The item may no longer be requisitioned."""

    reason = "ITEM_INACTIVE"


@dataclass(frozen=True)
class Item:
    """A good or service that can be requisitioned."""

    item_id: UUID
    code: str
    display_name: str
    unit_of_measure: str
    treatment: Treatment
    valuation_method: ValuationMethod | None
    negative_allowed: bool
    unspsc_code: str
    expenditure_account_code: str
    active: bool
    created_at: datetime
    version: int = 1

    def __post_init__(self) -> None:
        is_stock = self.treatment is Treatment.STOCK
        if is_stock and self.valuation_method is None:
            raise InvalidArgument.field("item.valuation_method", "a STOCK item needs a method of valuation")
        if is_stock and not self.expenditure_account_code:
            # Finance books every movement under it; without one the agency's stock journal would stand still there.
            raise InvalidArgument.field("item.expenditure_account_code", "a STOCK item needs its expenditure account")
        if not is_stock and self.valuation_method is not None:
            raise InvalidArgument.field(
                "item.valuation_method", f"a {self.treatment} item is never stock: leave it out"
            )
        if self.negative_allowed and not is_stock:
            raise InvalidArgument.field("item.negative_allowed", f"a {self.treatment} item is never stock")

    def require_active(self) -> None:
        """Refuse with ITEM_INACTIVE when it may no longer be requisitioned."""
        if not self.active:
            raise ItemInactive(
                f"item {self.code} is no longer active; choose another or activate it",
                metadata={"item_id": str(self.item_id), "code": self.code},
            )


@dataclass(frozen=True)
class ItemCreated:
    """Event: an item was added."""

    item: Item


@dataclass(frozen=True)
class ItemChanged:
    """Event: an item's description, account or activity changed."""

    item: Item


# What values stock cannot change under the stock that it valued.
CHANGEABLE = frozenset({"display_name", "unspsc_code", "expenditure_account_code", "active"})


def change(item: Item, values: dict[str, object]) -> Item:
    """`item` with the new `values` of changeable fields, one version on."""
    fixed = sorted(set(values) - CHANGEABLE)
    if fixed:
        raise InvalidArgument.field(
            "update_mask", f"{', '.join(fixed)} cannot change; {', '.join(sorted(CHANGEABLE))} can: make a new item"
        )
    return replace(item, **values, version=item.version + 1)  # type: ignore[arg-type]  # names are checked above
