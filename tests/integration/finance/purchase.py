"""One purchase as logistics tells it: its calls to finance and its events, with the values that it would compute."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from fractions import Fraction
from itertools import count
from typing import Any
from uuid import UUID, uuid4

from google.type import money_pb2
from sqlmodel import Session

from chassis.database import Database, Transactions
from chassis.money import Money, round_half_away
from chassis.testing import call_as
from chassis.wire import to_date, to_money
from kelola.finance.v1 import budget_pb2, payables_pb2
from kelola.logistics.v1 import (
    catalog_pb2,
    ordering_events_pb2,
    receiving_events_pb2,
    stock_events_pb2,
    stock_pb2,
)
from services.finance.payables import event_wire, receiving
from tests.integration.finance.books import FUND, YEAR, minor, rid, rupiah
from tests.integration.finance.funds import Unit, a_document, an_item, quantity

STOCK = catalog_pb2.GOODS_TREATMENT_STOCK
EXPENSE = catalog_pb2.GOODS_TREATMENT_EXPENSE
_numbers = count(1)


def transactions(unit: Unit) -> Transactions:
    """The running service's own transactions."""
    (database,) = [one for one in unit.books.service.container.dependencies if isinstance(one, Database)]
    assert database.transactions is not None
    return database.transactions


@contextmanager
def event_transaction(unit: Unit) -> Iterator[Session]:
    """A consumer's transaction: it sees the unit alone."""
    with transactions(unit).work([unit.agency_id], subject="test") as session:
        yield session


@dataclass
class Purchase:
    """An order of one line."""

    unit: Unit
    budget_line_id: str
    units: int
    unit_price: int
    vat: str = "0"
    treatment: int = EXPENSE
    currency: str = "IDR"
    requisition_line_id: str = ""
    purchase_order_id: str = field(default_factory=lambda: str(uuid4()))
    line_id: str = field(default_factory=lambda: str(uuid4()))
    supplier_id: str = field(default_factory=lambda: str(uuid4()))
    item_id: str = field(default_factory=lambda: str(uuid4()))
    accepted_units: Fraction = Fraction(0)
    accepted_minor: int = 0

    @property
    def net_minor(self) -> int:
        return self.units * self.unit_price * 100

    @property
    def amount_minor(self) -> int:
        return self.net_minor + round_half_away(Fraction(self.net_minor) * Fraction(self.vat))

    def money(self, minor_units: int) -> money_pb2.Money:
        return to_money(Money(minor_units, self.currency))

    def obligated(self, *, final: bool = False) -> Purchase:
        """ObligateFunds as logistics' saga calls it."""
        item = an_item(self.budget_line_id, None, self.units, document_line_id=self.line_id, final=final)
        item.amount.CopyFrom(to_money(Money(self.amount_minor, "IDR")))
        if self.requisition_line_id:
            item.liquidates_document_line_id = self.requisition_line_id
            item.liquidated_quantity.CopyFrom(quantity(self.units))
        document = a_document(
            budget_pb2.FUNDS_DOCUMENT_KIND_PURCHASE_ORDER,
            document_id=self.purchase_order_id,
            document_number=self.number,
        )
        request = self.unit.funds("ObligateFunds", [item], document=document)
        call_as(self.unit.budget.ObligateFunds, request, self.unit.service_token("logistics"))
        return self

    @property
    def number(self) -> str:
        return f"PO/{self.purchase_order_id[:6]}"

    def issued(self, **values: Any) -> Purchase:
        """Obligated, and PurchaseOrderIssued taken in."""
        self.obligated(**values)
        with event_transaction(self.unit) as session:
            receiving.register_order(session, event_wire.order(self.issued_event()))
        return self

    def issued_event(self) -> ordering_events_pb2.PurchaseOrderIssued:
        """PurchaseOrderIssued."""
        line = ordering_events_pb2.IssuedOrderLine(
            purchase_order_line_id=self.line_id,
            requisition_line_id=self.requisition_line_id or str(uuid4()),
            item_id=self.item_id,
            description="office supplies",
            quantity=quantity(self.units),
            unit_price=quantity(self.unit_price),
            tax_rate=quantity(self.vat),
            net_amount=self.money(self.net_minor),
            tax_amount=self.money(self.amount_minor - self.net_minor),
            amount=self.money(self.amount_minor),
            budget_line_id=self.budget_line_id,
            fund_code=FUND,
            treatment=self.treatment,
        )
        return ordering_events_pb2.PurchaseOrderIssued(
            purchase_order_id=self.purchase_order_id,
            agency_id=str(self.unit.agency_id),
            purchase_order_number=self.number,
            supplier_id=self.supplier_id,
            legal_entity_id=str(uuid4()),
            currency_code=self.currency,
            issued_on=to_date(date(YEAR, 3, 5)),
            deliver_by=to_date(date(YEAR, 4, 5)),
            amount=self.money(self.amount_minor),
            lines=[line],
        )

    def accepted(self, units: int, *, stock_number: int = 0) -> receiving_events_pb2.GoodsAccepted:
        """GoodsAccepted taken in: the value is the cumulative share of the order's amount, as logistics computes it."""
        event = self.accepted_event(units, stock_number=stock_number)
        self.take_in(event)
        return event

    def take_in(self, event: receiving_events_pb2.GoodsAccepted) -> None:
        """One acceptance in a consumer's transaction."""
        with event_transaction(self.unit) as session:
            receiving.accrue_delivery(session, event_wire.acceptance(event))

    def accepted_event(self, units: int, *, stock_number: int = 0) -> receiving_events_pb2.GoodsAccepted:
        """GoodsAccepted of `units` more."""
        self.accepted_units += units
        cumulative = round_half_away(Fraction(self.amount_minor) * self.accepted_units / self.units)
        value, self.accepted_minor = cumulative - self.accepted_minor, cumulative
        line = receiving_events_pb2.AcceptedLine(
            receipt_line_id=str(uuid4()),
            purchase_order_line_id=self.line_id,
            budget_line_id=self.budget_line_id,
            fund_code=FUND,
            item_id=self.item_id,
            treatment=self.treatment,
            ordered_quantity=quantity(self.units),
            accepted_quantity=quantity(units),
            cumulative_accepted_quantity=quantity(self.accepted_units),
            unit_price=quantity(self.unit_price),
            value=self.money(value),
            cumulative_value=self.money(cumulative),
            stock_movement_number=stock_number,
            stock_movement_id=str(uuid4()) if stock_number else "",
        )
        return receiving_events_pb2.GoodsAccepted(
            receipt_id=str(uuid4()),
            agency_id=str(self.unit.agency_id),
            receipt_number=f"GRN/{next(_numbers)}",
            purchase_order_id=self.purchase_order_id,
            purchase_order_number=self.number,
            supplier_id=self.supplier_id,
            legal_entity_id=str(uuid4()),
            currency_code=self.currency,
            accepted_on=to_date(date(YEAR, 3, 12)),
            value=self.money(value),
            lines=[line],
        )

    def cancelled_rest(self) -> None:
        """ReleaseFunds as logistics calls it, and PurchaseOrderCancelled taken in."""
        document = a_document(
            budget_pb2.FUNDS_DOCUMENT_KIND_PURCHASE_ORDER,
            document_id=self.purchase_order_id,
            document_number=self.number,
        )
        whole = budget_pb2.FundsItem(document_line_id=self.line_id, budget_line_id=self.budget_line_id, final=True)
        request = self.unit.funds("ReleaseFunds", [whole], document=document)
        call_as(self.unit.budget.ReleaseFunds, request, self.unit.service_token("logistics"))
        with event_transaction(self.unit) as session:
            receiving.cancel_order(session, UUID(self.purchase_order_id), [(UUID(self.line_id), Fraction(1))])

    def invoice(
        self, units: int, price: int, *, number: str | None = None, total: int | None = None, currency: str = "IDR"
    ) -> payables_pb2.CreateInvoiceRequest:
        """A supplier's invoice, in whole units of its currency."""
        net = Fraction(units * price * 100)
        whole = int(net) + round_half_away(net * Fraction(self.vat)) if total is None else total * 100
        line = payables_pb2.InvoiceLine(
            purchase_order_line_id=self.line_id, quantity=quantity(units), unit_price=quantity(price)
        )
        invoice = payables_pb2.Invoice(
            agency_id=str(self.unit.agency_id),
            purchase_order_id=self.purchase_order_id,
            supplier_invoice_number=number or f"INV-{next(_numbers)}",
            invoiced_on=to_date(date(YEAR, 3, 13)),
            received_on=to_date(date(YEAR, 3, 14)),
            lines=[line],
            total=to_money(Money(whole, currency)),
        )
        return payables_pb2.CreateInvoiceRequest(invoice=invoice, request_id=rid())

    def invoiced(self, units: int, price: int, **values: Any) -> payables_pb2.Invoice:
        """A registered invoice."""
        return call_as(
            self.unit.payables.CreateInvoice, self.invoice(units, price, **values), self.unit.token("invoice_clerk")
        )

    def approval(self, invoice: payables_pb2.Invoice, **values: Any) -> payables_pb2.ApproveInvoiceRequest:
        """The request to approve."""
        return payables_pb2.ApproveInvoiceRequest(
            **{
                "name": invoice.name,
                "effective_on": to_date(date(YEAR, 3, 15)),
                "request_id": rid(),
                **values,
            }
        )

    def approved(self, invoice: payables_pb2.Invoice) -> payables_pb2.Payable:
        """The payable that an approval opened."""
        reply = call_as(self.unit.payables.ApproveInvoice, self.approval(invoice), self.unit.token("budget_user"))
        return reply.payable

    def seen(self, invoice: payables_pb2.Invoice) -> payables_pb2.Invoice:
        """The invoice as it stands."""
        return call_as(
            self.unit.payables.GetInvoice,
            payables_pb2.GetInvoiceRequest(name=invoice.name),
            self.unit.token("invoice_clerk"),
        )


def requisition(unit: Unit, budget_line_id: str, units: int, amount: int) -> str:
    """A requisition's line that reserves whole rupiah."""
    item = an_item(budget_line_id, amount, units)
    request = unit.funds("ReserveFunds", [item])
    call_as(unit.budget.ReserveFunds, request, unit.service_token("logistics"))
    return str(item.document_line_id)


def stock_moved(
    unit: Unit,
    number: int,
    kind: str,
    value: int,
    *,
    item_id: str = "",
    corrected: str = "",
    invoice: payables_pb2.Invoice | None = None,
    order_line_id: str = "",
) -> None:
    """StockMovementPosted taken in; `value` in minor units."""
    event = stock_events_pb2.StockMovementPosted(
        stock_movement_id=str(uuid4()),
        agency_id=str(unit.agency_id),
        stock_movement_number=number,
        kind=stock_pb2.StockMovementKind.Value(f"STOCK_MOVEMENT_KIND_{kind}"),
        item_id=item_id or str(uuid4()),
        item_code="ATK-001",
        expenditure_account_code="5.1.02.01.01",
        warehouse_id=str(uuid4()),
        fund_code="",
        quantity=quantity(0),
        value=to_money(Money(value, "IDR")),
        effective_on=to_date(date(YEAR, 3, 16)),
        accounting_on=to_date(date(YEAR, 3, 16)),
        corrected_kind=stock_pb2.StockMovementKind.Value(f"STOCK_MOVEMENT_KIND_{corrected}") if corrected else 0,
        invoice_id=invoice.invoice_id if invoice else "",
        purchase_order_line_id=order_line_id,
    )
    with event_transaction(unit) as session:
        receiving.post_stock_movement(session, event_wire.stock_movement(event))


def rupiah_of(amount: money_pb2.Money) -> int:
    """Whole rupiah of an amount on the wire."""
    return minor(amount) // 100


__all__ = ["EXPENSE", "STOCK", "Purchase", "requisition", "rupiah", "rupiah_of", "stock_moved", "transactions"]
