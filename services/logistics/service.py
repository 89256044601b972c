"""The logistics service: its areas and its dependencies."""

from __future__ import annotations

from chassis.clock import Clock
from chassis.database import Database
from chassis.peer import Peer
from chassis.retention import RetentionEntrypoints
from services.logistics.catalog.entrypoints import CatalogEntrypoints
from services.logistics.counting.entrypoints import CountingEntrypoints
from services.logistics.ordering.entrypoints import OrderingEntrypoints
from services.logistics.receiving.entrypoints import ReceivingEntrypoints
from services.logistics.requisition.entrypoints import RequisitionEntrypoints
from services.logistics.stock.entrypoints import StockEntrypoints
from services.logistics.supplier.entrypoints import SupplierEntrypoints
from services.logistics.tables import LogisticsTable


class LogisticsService(
    CatalogEntrypoints,
    SupplierEntrypoints,
    RequisitionEntrypoints,
    OrderingEntrypoints,
    ReceivingEntrypoints,
    StockEntrypoints,
    CountingEntrypoints,
    RetentionEntrypoints,
):
    """Goods and services from the request to the shelf, and from there into use."""

    name = "logistics"
    db = Database(LogisticsTable)
    finance = Peer("finance")
    identity = Peer("identity")
    clock = Clock()
