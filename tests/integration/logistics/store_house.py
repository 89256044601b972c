"""The running logistics service, and the people and acts that its tests need again and again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID, uuid4

import psycopg
from google.protobuf.message import Message
from google.type import date_pb2, decimal_pb2, money_pb2
from sqlalchemy import create_engine
from sqlalchemy.pool import NullPool

from chassis.cloudevent import Event
from chassis.database import sqlalchemy_url, transactions_of
from chassis.testing import RunningService, TestKeys, call_as, running, wait_until
from chassis.verify import Problem, common
from kelola.identity.v1 import organization_events_pb2
from kelola.logistics.v1 import (
    catalog_pb2,
    catalog_pb2_grpc,
    purchase_order_pb2,
    purchase_order_pb2_grpc,
    receipt_pb2,
    receipt_pb2_grpc,
    requisition_pb2,
    requisition_pb2_grpc,
    stock_pb2,
    stock_pb2_grpc,
    supplier_pb2,
    supplier_pb2_grpc,
)
from services.logistics import verify
from services.logistics.service import LogisticsService
from tests.integration.logistics.finance_desk import FinanceDesk, finance_desk

RUPIAH = 100  # minor units


def request_id() -> str:
    """A fresh request id."""
    return str(uuid4())


def number(value: str | int) -> decimal_pb2.Decimal:
    """A decimal of the wire."""
    return decimal_pb2.Decimal(value=str(value))


def day(value: date) -> date_pb2.Date:
    """A day of the wire."""
    return date_pb2.Date(year=value.year, month=value.month, day=value.day)


def today() -> date:
    """The service's civil day (its zone is UTC in tests)."""
    return datetime.now(UTC).date()


def rupiah(money: money_pb2.Money) -> int:
    """Whole rupiah of an amount that has no sen."""
    assert (money.currency_code, money.nanos) == ("IDR", 0)
    return money.units


@dataclass
class House:
    """Logistics with its people: everybody holds one role in `agency`."""

    service: RunningService
    keys: TestKeys
    finance: FinanceDesk
    database: Any
    agency: UUID = field(default_factory=uuid4)
    people: dict[str, UUID] = field(default_factory=dict)

    def __post_init__(self) -> None:
        channel = self.service.channel
        self.catalog = catalog_pb2_grpc.CatalogServiceStub(channel)
        self.suppliers = supplier_pb2_grpc.SupplierServiceStub(channel)
        self.requisitions = requisition_pb2_grpc.RequisitionServiceStub(channel)
        self.orders = purchase_order_pb2_grpc.PurchaseOrderServiceStub(channel)
        self.receipts = receipt_pb2_grpc.ReceiptServiceStub(channel)
        self.stock = stock_pb2_grpc.StockServiceStub(channel)

    def token(self, *roles: str, person: UUID | None = None, agency: UUID | None = None) -> str:
        """A token of the person of the first role, who holds all of them."""
        person = person or self.people.setdefault(roles[0], uuid4())
        return self.keys.token(person, grants=[(f"logistics.{role}", [agency or self.agency]) for role in roles])

    def act(self, rpc: Callable[..., Any], request: Any, *roles: str, **who: Any) -> Any:
        """Call as the person of a role."""
        return call_as(rpc, request, self.token(*roles, **who))

    # --- things that acts need ---

    def item(self, **values: Any) -> catalog_pb2.Item:
        """A stock item valued by moving average, unless `values` say otherwise."""
        asked = {
            "code": f"ATK-{uuid4()}",
            "display_name": "HVS paper A4",
            "unit_of_measure": "rim",
            "treatment": catalog_pb2.GOODS_TREATMENT_STOCK,
            "valuation_method": catalog_pb2.VALUATION_METHOD_MOVING_AVERAGE,
            "expenditure_account_code": "5.1.02.01.01.0024",
        }
        request = catalog_pb2.CreateItemRequest(item=catalog_pb2.Item(**{**asked, **values}), request_id=request_id())
        return self.act(self.catalog.CreateItem, request, "catalog_officer")

    def warehouse(self, code: str = "MAIN", **who: Any) -> stock_pb2.Warehouse:
        """A warehouse of the agency."""
        warehouse = stock_pb2.Warehouse(
            agency_id=str(who.get("agency") or self.agency), code=code, display_name="Main store"
        )
        request = stock_pb2.CreateWarehouseRequest(warehouse=warehouse, request_id=request_id())
        return self.act(self.stock.CreateWarehouse, request, "storekeeper", **who)

    def legal_entity(self, name: str = "CV Sumber Rejeki") -> str:
        """A legal entity, as identity tells of it."""
        legal_entity_id = str(uuid4())
        self.deliver(
            "on_legal_entity_registered",
            organization_events_pb2.LegalEntityRegistered(legal_entity_id=legal_entity_id, display_name=name),
            agency=None,
        )
        return legal_entity_id

    def supplier(self, legal_entity_id: str = "") -> supplier_pb2.Supplier:
        """A supplier of goods."""
        supplier = supplier_pb2.Supplier(
            legal_entity_id=legal_entity_id or self.legal_entity(),
            categories=[supplier_pb2.SUPPLIER_CATEGORY_GOODS],
        )
        request = supplier_pb2.CreateSupplierRequest(supplier=supplier, request_id=request_id())
        return self.act(self.suppliers.CreateSupplier, request, "procurement_officer")

    def line(self, quantity: str = "10", price: str = "1000000", **values: Any) -> requisition_pb2.RequisitionLine:
        """A requisition line, with VAT of 11 % that cannot be recovered."""
        asked: dict[str, Any] = {
            "quantity": number(quantity),
            "estimated_unit_price": number(price),
            "tax_rate": number("0.11"),
            "budget_line_id": str(uuid4()),
        }
        return requisition_pb2.RequisitionLine(**{**asked, **values})

    def requisition(self, *lines: requisition_pb2.RequisitionLine, **who: Any) -> requisition_pb2.Requisition:
        """A drafted requisition."""
        requisition = requisition_pb2.Requisition(
            agency_id=str(who.get("agency") or self.agency),
            purpose="Paper for the second quarter",
            currency_code="IDR",
            needed_on=day(today()),
            lines=lines,
        )
        request = requisition_pb2.CreateRequisitionRequest(requisition=requisition, request_id=request_id())
        return self.act(self.requisitions.CreateRequisition, request, "requester", **who)

    def approve(self, requisition: requisition_pb2.Requisition) -> requisition_pb2.Requisition:
        """Approve a requisition and wait for finance's answer."""
        request = requisition_pb2.ApproveRequisitionRequest(name=requisition.name, request_id=request_id())
        answered = self.act(self.requisitions.ApproveRequisition, request, "approver").requisition
        assert answered.status == requisition_pb2.REQUISITION_STATUS_PENDING
        return self.settled_requisition(requisition.name)

    def settled_requisition(self, name: str) -> requisition_pb2.Requisition:
        """The requisition once it waits for finance no more."""
        waiting = (requisition_pb2.REQUISITION_STATUS_PENDING, requisition_pb2.REQUISITION_STATUS_CANCELLING)

        def settled() -> Any:
            found = self.get_requisition(name)
            return found if found.status not in waiting else None

        return wait_until(settled, what="finance's answer")

    def get_requisition(self, name: str) -> requisition_pb2.Requisition:
        """The requisition as it stands."""
        return self.act(self.requisitions.GetRequisition, requisition_pb2.GetRequisitionRequest(name=name), "requester")

    def order(
        self, *lines: purchase_order_pb2.PurchaseOrderLine, supplier: supplier_pb2.Supplier | None = None
    ) -> purchase_order_pb2.PurchaseOrder:
        """A drafted order."""
        order = purchase_order_pb2.PurchaseOrder(
            agency_id=str(self.agency),
            supplier_id=(supplier or self.supplier()).supplier_id,
            deliver_by=day(today()),
            lines=lines,
        )
        request = purchase_order_pb2.CreatePurchaseOrderRequest(purchase_order=order, request_id=request_id())
        return self.act(self.orders.CreatePurchaseOrder, request, "procurement_officer")

    def sign(self, order: purchase_order_pb2.PurchaseOrder) -> purchase_order_pb2.PurchaseOrder:
        """Sign an order and wait for finance's answer."""
        request = purchase_order_pb2.ApprovePurchaseOrderRequest(name=order.name, request_id=request_id())
        answered = self.act(self.orders.ApprovePurchaseOrder, request, "commitment_officer").purchase_order
        assert answered.status == purchase_order_pb2.PURCHASE_ORDER_STATUS_PENDING
        return self.settled_order(order.name)

    def settled_order(self, name: str) -> purchase_order_pb2.PurchaseOrder:
        """The order once it waits for finance no more."""
        waiting = (
            purchase_order_pb2.PURCHASE_ORDER_STATUS_PENDING,
            purchase_order_pb2.PURCHASE_ORDER_STATUS_CANCELLING,
        )

        def settled() -> Any:
            found = self.get_order(name)
            return found if found.status not in waiting else None

        return wait_until(settled, what="finance's answer")

    def get_order(self, name: str) -> purchase_order_pb2.PurchaseOrder:
        """The order as it stands."""
        request = purchase_order_pb2.GetPurchaseOrderRequest(name=name)
        return self.act(self.orders.GetPurchaseOrder, request, "procurement_officer")

    def issued_order(
        self, *, quantity: str = "10", price: str = "950000", item: catalog_pb2.Item | None = None, final: bool = True
    ) -> purchase_order_pb2.PurchaseOrder:
        """An issued order of one line; by default ten at 950 000 of a requisition of ten at 1 000 000."""
        what = {"item_id": item.item_id} if item else {"description": "Cleaning of the office"}
        requisition = self.approve(self.requisition(self.line(quantity, **what)))
        line = purchase_order_pb2.PurchaseOrderLine(
            requisition_line_id=requisition.lines[0].requisition_line_id,
            quantity=number(quantity),
            unit_price=number(price),
            final=final,
        )
        order = self.sign(self.order(line))
        assert order.status == purchase_order_pb2.PURCHASE_ORDER_STATUS_ISSUED, order
        return order

    def deliver_goods(
        self,
        order: purchase_order_pb2.PurchaseOrder,
        quantity: str,
        warehouse: stock_pb2.Warehouse | None,
        *,
        on: date | None = None,
        **line: Any,
    ) -> receipt_pb2.Receipt:
        """A delivery on the order's first line, under inspection."""
        delivered = receipt_pb2.ReceiptLine(
            purchase_order_line_id=order.lines[0].purchase_order_line_id,
            delivered_quantity=number(quantity),
            **line,
        )
        receipt = receipt_pb2.Receipt(
            agency_id=str(self.agency),
            purchase_order_id=order.purchase_order_id,
            warehouse_id=warehouse.warehouse_id if warehouse else "",
            delivered_on=day(on or today()),
            lines=[delivered],
        )
        request = receipt_pb2.CreateReceiptRequest(receipt=receipt, request_id=request_id())
        return self.act(self.receipts.CreateReceipt, request, "receiver")

    def acceptance(
        self, receipt: receipt_pb2.Receipt, accepted: str, rejected: str = "0", on: date | None = None
    ) -> receipt_pb2.AcceptReceiptRequest:
        """A request to accept a receipt of one line."""
        inspection = receipt_pb2.Inspection(
            receipt_line_id=receipt.lines[0].receipt_line_id,
            accepted_quantity=number(accepted),
            rejected_quantity=number(rejected),
        )
        return receipt_pb2.AcceptReceiptRequest(
            name=receipt.name, accepted_on=day(on or today()), inspections=[inspection], request_id=request_id()
        )

    def accept(self, receipt: receipt_pb2.Receipt, accepted: str, rejected: str = "0") -> receipt_pb2.Receipt:
        """Accept a receipt of one line."""
        request = self.acceptance(receipt, accepted, rejected)
        return self.act(self.receipts.AcceptReceipt, request, "commitment_officer").receipt

    def stocked(self, item: catalog_pb2.Item, quantity: str, price: str, warehouse: stock_pb2.Warehouse) -> None:
        """Goods that came in by a whole order."""
        order = self.issued_order(quantity=quantity, price=price, item=item)
        self.accept(self.deliver_goods(order, quantity, warehouse), quantity)

    def issue(
        self, item: catalog_pb2.Item, warehouse: stock_pb2.Warehouse, quantity: str, **values: Any
    ) -> stock_pb2.IssueStockRequest:
        """A request to issue."""
        return stock_pb2.IssueStockRequest(
            agency_id=str(self.agency),
            warehouse_id=warehouse.warehouse_id,
            item_id=item.item_id,
            quantity=number(quantity),
            purpose="Secretariat",
            request_id=request_id(),
            **values,
        )

    def balance(self, item: catalog_pb2.Item, **values: Any) -> stock_pb2.GetStockBalanceResponse:
        """What is on hand of an item."""
        request = stock_pb2.GetStockBalanceRequest(agency_id=str(self.agency), item_id=item.item_id, **values)
        return self.act(self.stock.GetStockBalance, request, "storekeeper")

    # --- what is behind the door ---

    def deliver(self, method_name: str, message: Any, *, agency: UUID | None) -> None:
        """Hand an event to its method, in the consumer's transaction."""
        container = self.service.container
        entrypoint = next(one for one in container.entrypoints if one.method_name == method_name)
        event = Event(uuid4(), message.DESCRIPTOR.full_name, "test", datetime.now(UTC), agency, 1, None, None, message)
        with (
            container.worker(entrypoint) as method,
            transactions_of(container).begin_event(event) as session,
        ):
            method(event, session)

    @property
    def app_url(self) -> str:
        """The service's own role, past the service."""
        return self.database.app_url

    @property
    def superuser_url(self) -> str:
        """Somebody who may do everything, for tampering."""
        return self.database.superuser_url

    def events(self, message_class: type[Message]) -> list[Any]:
        """The events of a kind, in the order in which they were written."""
        query = "select body from outbox where type = %s order by id"
        with psycopg.connect(self.database.reader_url) as connection:
            rows = connection.execute(query, (message_class.DESCRIPTOR.full_name,)).fetchall()
        return [message_class.FromString(row[0]) for row in rows]

    def event(self, message_class: type[Message]) -> Any:
        """The one event of a kind."""
        (found,) = self.events(message_class)
        return found

    def problems(self) -> list[Problem]:
        """What verification finds in the tables of every service and in logistics' own."""
        engine = create_engine(sqlalchemy_url(self.database.reader_url), poolclass=NullPool)
        with engine.connect() as connection:
            return [*common(connection), *verify.problems(connection)]


@contextmanager
def house(database: Any) -> Iterator[House]:
    """Logistics on a database of its own, with a finance desk as its peer."""
    keys, fresh = TestKeys(), database("logistics")
    with finance_desk() as (desk, address):
        settings = fresh.settings(**{**keys.settings_values("logistics"), "peers": {"finance": address}})
        with running(LogisticsService, settings) as service:
            yield House(service, keys, desk, fresh)
