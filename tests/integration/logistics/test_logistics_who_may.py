"""Every RPC of logistics × every role × other agencies and bad tokens (T8), and every mutation repeated (T5)."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import grpc
import pytest
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.message import Message

from chassis.policy import Policy
from chassis.testing import call_as, refused
from kelola.logistics.v1 import (
    catalog_pb2,
    purchase_order_pb2,
    receipt_pb2,
    requisition_pb2,
    stock_pb2,
    supplier_pb2,
)
from kelola.type.v1 import options_pb2
from tests.integration.logistics.store_house import House, day, number, request_id, today

MODULES = (catalog_pb2, supplier_pb2, requisition_pb2, purchase_order_pb2, receipt_pb2, stock_pb2)
METHODS = {
    f"{service.name}.{method.name}": method
    for module in MODULES
    for service in module.DESCRIPTOR.services_by_name.values()
    for method in service.methods
}
MUTATIONS = {name for name, method in METHODS.items() if "request_id" in method.input_type.fields_by_name}
ROLES = Policy.load(Path(__file__).parents[3] / "deploy" / "policies").roles()

# The reviewed table: which role may do what; reading is for all of `READERS`.
OFFICES = {
    "requester": {"RequisitionService.CreateRequisition", "RequisitionService.CancelRequisition"},
    "approver": {
        "RequisitionService.ApproveRequisition",
        "RequisitionService.CancelRequisition",
        "StockService.ApproveStockCount",
    },
    "procurement_officer": {
        "SupplierService.CreateSupplier",
        "SupplierService.UpdateSupplier",
        "PurchaseOrderService.CreatePurchaseOrder",
    },
    "commitment_officer": {
        "PurchaseOrderService.ApprovePurchaseOrder",
        "PurchaseOrderService.CancelPurchaseOrder",
        "SupplierService.DebarSupplier",
        "ReceiptService.AcceptReceipt",
    },
    "receiver": {"ReceiptService.CreateReceipt"},
    "storekeeper": {
        "StockService.CreateWarehouse",
        "StockService.IssueStock",
        "StockService.TransferStock",
        "StockService.CreateStockCount",
    },
    "catalog_officer": {"CatalogService.CreateItem", "CatalogService.UpdateItem"},
}
READERS = {
    *(f"logistics.{office}" for office in OFFICES),
    *(f"finance.{office}" for office in ("invoice_clerk", "verifier", "budget_user", "accountant")),
    "auditor",
}
MAY = {name: READERS if name not in MUTATIONS else set() for name in METHODS}
for _office, _names in OFFICES.items():
    for _name in _names:
        MAY[_name] = MAY[_name] | {f"logistics.{_office}"}
# Catalog and suppliers serve the whole government: their rights have no agency.
OF_NO_AGENCY = {name for name in METHODS if name.startswith(("CatalogService", "SupplierService"))}


class Desk:
    """Makes, for each RPC, a fresh request that succeeds for those who may."""

    def __init__(self, house: House) -> None:
        self.house, self.agency = house, str(house.agency)
        self.goods, self.warehouse, self.branch = house.item(), house.warehouse(), house.warehouse("BRANCH")
        house.stocked(self.goods, "100", "1000", self.warehouse)

    def stub(self, name: str) -> Callable[..., Any]:
        """The stub's method."""
        stubs = {
            "CatalogService": self.house.catalog,
            "SupplierService": self.house.suppliers,
            "RequisitionService": self.house.requisitions,
            "PurchaseOrderService": self.house.orders,
            "ReceiptService": self.house.receipts,
            "StockService": self.house.stock,
        }
        service, _, rpc = name.partition(".")
        return getattr(stubs[service], rpc)

    def request(self, name: str) -> Message:
        """A fresh request."""
        rpc = name.partition(".")[2]
        if rpc.startswith(("Get", "List")):
            return self._reading(rpc)
        made: Message = getattr(self, rpc)()
        made.request_id = request_id()  # type: ignore[attr-defined]
        return made

    def _reading(self, rpc: str) -> Message:
        module = next(module for module in MODULES if hasattr(module, f"{rpc}Request"))
        request = getattr(module, f"{rpc}Request")()
        fields = request.DESCRIPTOR.fields_by_name
        if "name" in fields:
            request.name = {
                "GetItem": lambda: self.goods.name,
                "GetSupplier": lambda: self.house.supplier().name,
                "GetRequisition": lambda: self._drafted().name,
                "GetPurchaseOrder": lambda: self._order().name,
                "GetReceipt": lambda: self._receipt().name,
                "GetWarehouse": lambda: self.warehouse.name,
                "GetStockCount": lambda: self._count().name,
            }[rpc]()
        if "agency_id" in fields:
            request.agency_id = self.agency
        if rpc == "GetStockBalance":
            request.item_id = self.goods.item_id
        return request

    def _drafted(self) -> requisition_pb2.Requisition:
        return self.house.requisition(self.house.line(description="Chairs"))

    def _order(self) -> purchase_order_pb2.PurchaseOrder:
        return self.house.order(self._order_line())

    def _order_line(self) -> purchase_order_pb2.PurchaseOrderLine:
        requisition = self.house.approve(self._drafted())
        return purchase_order_pb2.PurchaseOrderLine(
            requisition_line_id=requisition.lines[0].requisition_line_id, quantity=number(1), unit_price=number(1000)
        )

    def _receipt(self) -> receipt_pb2.Receipt:
        return self.house.deliver_goods(self.house.issued_order(), "1", None)

    def _count(self) -> stock_pb2.StockCount:
        request = self.CreateStockCount()
        request.request_id = request_id()
        return self.house.act(self.house.stock.CreateStockCount, request, "storekeeper")

    def CreateItem(self) -> Message:  # named as the RPC
        item = catalog_pb2.Item(
            code=f"X-{uuid4()}",
            display_name="Cleaning",
            unit_of_measure="month",
            treatment=catalog_pb2.GOODS_TREATMENT_EXPENSE,
        )
        return catalog_pb2.CreateItemRequest(item=item)

    def UpdateItem(self) -> Message:
        item = catalog_pb2.Item()
        item.CopyFrom(self.house.item())
        item.display_name = f"Paper {uuid4()}"
        return catalog_pb2.UpdateItemRequest(item=item, update_mask=FieldMask(paths=["display_name"]))

    def CreateSupplier(self) -> Message:
        supplier = supplier_pb2.Supplier(
            legal_entity_id=self.house.legal_entity(), categories=[supplier_pb2.SUPPLIER_CATEGORY_WORKS]
        )
        return supplier_pb2.CreateSupplierRequest(supplier=supplier)

    def UpdateSupplier(self) -> Message:
        supplier = self.house.supplier()
        supplier.documents.add(kind="NIB", number=str(uuid4()), valid_from=day(today()))
        return supplier_pb2.UpdateSupplierRequest(supplier=supplier, update_mask=FieldMask(paths=["documents"]))

    def DebarSupplier(self) -> Message:
        debarment = supplier_pb2.Debarment(valid_from=day(today()), decision_number=str(uuid4()), cause="late")
        return supplier_pb2.DebarSupplierRequest(name=self.house.supplier().name, debarment=debarment)

    def CreateRequisition(self) -> Message:
        requisition = requisition_pb2.Requisition(
            agency_id=self.agency,
            purpose=str(uuid4()),
            currency_code="IDR",
            needed_on=day(today()),
            lines=[self.house.line(description="Chairs")],
        )
        return requisition_pb2.CreateRequisitionRequest(requisition=requisition)

    def ApproveRequisition(self) -> Message:
        return requisition_pb2.ApproveRequisitionRequest(name=self._drafted().name)

    def CancelRequisition(self) -> Message:
        return requisition_pb2.CancelRequisitionRequest(name=self._drafted().name, cause="x")

    def CreatePurchaseOrder(self) -> Message:
        order = purchase_order_pb2.PurchaseOrder(
            agency_id=self.agency,
            supplier_id=self.house.supplier().supplier_id,
            deliver_by=day(today()),
            lines=[self._order_line()],
        )
        return purchase_order_pb2.CreatePurchaseOrderRequest(purchase_order=order)

    def ApprovePurchaseOrder(self) -> Message:
        return purchase_order_pb2.ApprovePurchaseOrderRequest(name=self._order().name)

    def CancelPurchaseOrder(self) -> Message:
        return purchase_order_pb2.CancelPurchaseOrderRequest(name=self._order().name, cause="x")

    def CreateReceipt(self) -> Message:
        order = self.house.issued_order()
        line = receipt_pb2.ReceiptLine(
            purchase_order_line_id=order.lines[0].purchase_order_line_id, delivered_quantity=number(1)
        )
        receipt = receipt_pb2.Receipt(
            agency_id=self.agency,
            purchase_order_id=order.purchase_order_id,
            delivered_on=day(today()),
            lines=[line],
        )
        return receipt_pb2.CreateReceiptRequest(receipt=receipt)

    def AcceptReceipt(self) -> Message:
        return self.house.acceptance(self._receipt(), "1")

    def CreateWarehouse(self) -> Message:
        warehouse = stock_pb2.Warehouse(agency_id=self.agency, code=uuid4().hex, display_name="Another")
        return stock_pb2.CreateWarehouseRequest(warehouse=warehouse)

    def IssueStock(self) -> Message:
        request = self.house.issue(self.goods, self.warehouse, "1")
        request.purpose = str(uuid4())
        return request

    def TransferStock(self) -> Message:
        return stock_pb2.TransferStockRequest(
            agency_id=self.agency,
            from_warehouse_id=self.warehouse.warehouse_id,
            to_warehouse_id=self.branch.warehouse_id,
            item_id=self.goods.item_id,
            quantity=number(1),
            purpose=str(uuid4()),
        )

    def CreateStockCount(self) -> Message:
        count = stock_pb2.StockCount(
            agency_id=self.agency,
            warehouse_id=self.branch.warehouse_id,
            item_id=self.goods.item_id,
            counted_quantity=number(0),
            currency_code="IDR",
            cause=str(uuid4()),
        )
        return stock_pb2.CreateStockCountRequest(stock_count=count)

    def ApproveStockCount(self) -> Message:
        return stock_pb2.ApproveStockCountRequest(name=self._count().name)


@pytest.fixture
def desk(logistics: House) -> Desk:
    """A desk with some stock behind it."""
    return Desk(logistics)


def outcome(method: Callable[..., Any], request: Message, token: str | None) -> grpc.StatusCode:
    """OK, or the refusal's code."""
    try:
        call_as(method, request, token)
    except grpc.RpcError as failure:
        return failure.code()
    return grpc.StatusCode.OK


def token_of(desk: Desk, role: str, agency: UUID | None = None, person: UUID | None = None) -> str:
    """A token of somebody who holds `role`; a service's is its own."""
    agencies = [agency or desk.house.agency]
    if role.startswith("service."):
        name = role.removeprefix("service.")
        return desk.house.keys.service_token(name, audience="logistics", person_id=uuid4(), agencies=agencies)
    return desk.house.keys.token(person or uuid4(), grants=[(role, agencies)])


def test_every_rpc_is_in_the_reviewed_table():
    permissions = {name: method.GetOptions().Extensions[options_pb2.access] for name, method in METHODS.items()}

    assert {name for names in OFFICES.values() for name in names} == MUTATIONS
    assert all(access.permission.startswith("logistics.") and not access.public for access in permissions.values())
    assert set(ROLES) >= READERS


def test_t8_those_who_may_do_and_all_others_do_not(desk: Desk):
    for name, may in MAY.items():
        request = desk.request(name)
        for role in ROLES:
            if role not in may:
                found = outcome(desk.stub(name), request, token_of(desk, role))
                assert (name, role, found) == (name, role, grpc.StatusCode.PERMISSION_DENIED)
        for role in sorted(may):
            found = outcome(desk.stub(name), desk.request(name), token_of(desk, role))
            assert (name, role, found) == (name, role, grpc.StatusCode.OK)


def test_t8_a_bad_token_opens_nothing(desk: Desk):
    person, agencies = uuid4(), [desk.house.agency]
    for name, may in MAY.items():
        role, request = sorted(may)[0], desk.request(name)
        grants = [(role, agencies)]
        bad = [
            None,
            "nonsense",
            desk.house.keys.token(person, grants=grants, lifetime_seconds=-60),
            desk.house.keys.token(person, grants=grants, audience="finance"),
        ]
        found = [outcome(desk.stub(name), request, token) for token in bad]
        assert (name, found) == (name, [grpc.StatusCode.UNAUTHENTICATED] * len(bad))


def test_t8_the_role_in_another_agency_opens_nothing(desk: Desk):
    for name in sorted(set(METHODS) - OF_NO_AGENCY):
        request = desk.request(name)
        stranger = token_of(desk, sorted(MAY[name])[0], agency=uuid4())
        by_name = "name" in request.DESCRIPTOR.fields_by_name
        expected = grpc.StatusCode.NOT_FOUND if by_name else grpc.StatusCode.PERMISSION_DENIED

        assert (name, outcome(desk.stub(name), request, stranger)) == (name, expected)


def test_t5_a_mutation_has_one_effect_and_one_answer(desk: Desk):
    for name in sorted(MUTATIONS):
        role = sorted(MAY[name])[0]
        token, other_person = token_of(desk, role), token_of(desk, role)
        request, other, method = desk.request(name), desk.request(name), desk.stub(name)
        other.request_id = request.request_id  # type: ignore[attr-defined]

        with ThreadPoolExecutor(2) as pool:
            twins = list(pool.map(lambda _, m=method, r=request, t=token: call_as(m, r, t), range(2)))
        later = [call_as(method, request, token) for _ in range(3)]
        mismatch = refused(method, other, token)
        stranger = outcome(method, other, other_person)

        answers = {answer.SerializeToString(deterministic=True) for answer in [*twins, *later]}
        assert (name, len(answers)) == (name, 1)
        assert (name, mismatch.code.name, mismatch.reason) == (name, "FAILED_PRECONDITION", "IDEMPOTENCY_MISMATCH")
        # Another person's key is another namespace: the same id is judged anew there.
        assert (name, stranger) == (name, grpc.StatusCode.OK)
    assert desk.house.problems() == []
