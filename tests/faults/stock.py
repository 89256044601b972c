"""Stock for the load to give out."""

from __future__ import annotations

from google.type import decimal_pb2

from kelola.finance.v1 import payables_pb2, payables_pb2_grpc
from kelola.logistics.v1 import stock_pb2, stock_pb2_grpc
from tests.faults.conftest import Town
from tests.faults.load import rows

# More than any load here gives out.
_QUANTITY = 1_000_000


def stock_up(town: Town, label: str) -> None:
    """A counted and approved opening stock in the agency's warehouse; again is a repeat and changes nothing."""
    count = town.government.do(
        stock_pb2_grpc.StockServiceStub,
        "CreateStockCount",
        stock_pb2.CreateStockCountRequest(
            stock_count=stock_pb2.StockCount(
                agency_id=town.foundation.agencies[label],
                warehouse_id=town.market.warehouses[label],
                item_id=town.market.item_id,
                counted_quantity=decimal_pb2.Decimal(value=str(_QUANTITY)),
                unit_price=decimal_pb2.Decimal(value="1500.25"),
                currency_code="IDR",
                cause="opening",
            )
        ),
        by="storekeeper",
        step=f"fault-stock/count/{label}",
    )
    town.government.do(
        stock_pb2_grpc.StockServiceStub,
        "ApproveStockCount",
        stock_pb2.ApproveStockCountRequest(name=count.name),
        by="requisition_approver",
        step=f"fault-stock/approve-count/{label}",
    )


def finance_follows(town: Town, agency_id: str) -> int:
    """Wait until finance has posted the agency's last stock movement; its number, which is how many there were."""
    [moved] = rows(
        town,
        "logistics",
        "select coalesce(max(stock_movement_number), 0) from stock_movement where agency_id = :a",
        a=agency_id,
    )
    control = town.government.wait(
        lambda: town.government.read(
            payables_pb2_grpc.PayablesServiceStub,
            "GetStockControl",
            payables_pb2.GetStockControlRequest(agency_id=agency_id),
            by="auditor",
        ),
        until=lambda seen: seen.stock_movement_number >= moved[0],
        what="finance's stock control",
    )
    return int(control.stock_movement_number)
