"""A random life of the ledger: whatever comes in whatever order, the books are those of a replay (I7)."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import UUID

import pytest

from chassis.database import transactions_of
from kelola.logistics.v1 import catalog_pb2
from services.logistics.catalog import store as catalog
from services.logistics.stock import usecases
from services.logistics.stock.domain import Draft, Kind, Position, StockShort, UnitCostUnknown
from tests.integration.logistics.store_house import House

METHODS = {
    "average": catalog_pb2.VALUATION_METHOD_MOVING_AVERAGE,
    "fifo": catalog_pb2.VALUATION_METHOD_FIFO,
}
BEGIN = datetime(2026, 3, 1, tzinfo=UTC)


class Dice:
    """Throws movements: most of them in order, some of them late."""

    def __init__(self, seed: int, item_id: UUID, warehouses: list[UUID]) -> None:
        self.random = random.Random(seed)
        self.places = [Position(item_id, warehouse_id) for warehouse_id in warehouses]
        self.hour = 0

    def drafts(self) -> list[Draft]:
        """The drafts of one posting."""
        self.hour += 1
        late = self.random.random() < 0.3
        at = BEGIN + timedelta(hours=self.random.randrange(self.hour) if late else self.hour)
        quantity = Decimal(self.random.randrange(1, 5_000_000)).scaleb(-6) * self.random.choice([1, 10])
        here, there = self.random.sample(self.places, 2)
        kind = self.random.choices(
            [Kind.RECEIPT, Kind.ISSUE, Kind.TRANSFER_OUT, Kind.COUNT_GAIN, Kind.COUNT_LOSS], [4, 5, 2, 1, 1]
        )[0]
        if kind is Kind.RECEIPT:
            return [Draft(kind, here, quantity, at, value_minor=self.random.randrange(10_000_000))]
        if kind is Kind.COUNT_GAIN:
            return [Draft(kind, here, quantity, at)]
        leaving = Draft(kind, here, -quantity, at)
        if kind is Kind.TRANSFER_OUT:
            return [leaving, Draft(Kind.TRANSFER_IN, there, quantity, at, linked_to_previous=True)]
        return [leaving]


@pytest.mark.parametrize("negative_allowed", [False, True], ids=["never negative", "may be negative"])
@pytest.mark.parametrize("method", METHODS)
def test_i7_the_kept_positions_are_those_of_a_replay(logistics: House, seed: int, method: str, negative_allowed: bool):
    print(f"seed {seed}")
    made = logistics.item(valuation_method=METHODS[method], negative_allowed=negative_allowed)
    warehouses = [UUID(logistics.warehouse(code).warehouse_id) for code in ("MAIN", "BRANCH", "DEPOT")]
    dice = Dice(seed, UUID(made.item_id), warehouses)
    transactions = transactions_of(logistics.service.container)
    posted, corrected, refused = 0, 0, 0

    for _ in range(120):
        drafts = dice.drafts()
        try:
            with transactions.work([logistics.agency], subject="test") as session:
                item = catalog.item_by_id(session, UUID(made.item_id))
                added = usecases.post(
                    session,
                    drafts,
                    agency_id=logistics.agency,
                    fund_code="",
                    item=item,
                    currency="IDR",
                    by=None,
                    at=BEGIN + timedelta(hours=dice.hour),
                )
        except (StockShort, UnitCostUnknown):
            refused += 1
        else:
            posted += len(added.movements)
            corrected += len(added.corrections)

    print(f"{posted} movements, {corrected} corrections, {refused} refused")
    assert posted > 20
    assert corrected > 0
    assert logistics.problems() == []
