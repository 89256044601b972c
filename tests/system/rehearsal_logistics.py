"""The second government buys, stores, is invoiced and pays: every RPC of logistics, and of finance's payables."""

from __future__ import annotations

import hashlib
from datetime import date
from typing import Any

from chassis.wire import to_date
from kelola.finance.v1 import payables_pb2, payment_clock_pb2
from kelola.logistics.v1 import (
    catalog_pb2,
    purchase_order_pb2,
    receipt_pb2,
    requisition_pb2,
    stock_pb2,
    supplier_pb2,
)
from tests.system.rehearsal import JANUARY_FIRST, TODAY, YEAR, Company, decimal, mask, rupiah
from tests.system.rehearsal_finance import GOODS_ACCOUNT, Budget
from tests.system.rehearsal_identity import legal_entity

_PRICE, _QUANTITY, _HALF = 100_000, 10, 5
_NEEDED_ON = to_date(date(YEAR, 3, 31))


def buy_and_pay(company: Company, budget: Budget) -> None:
    """From the catalogue to the bank."""
    item_id = _item(company)
    supplier_id = _supplier(company)
    _cancelled(company, budget, item_id, supplier_id)
    warehouses = [_warehouse(company, code) for code in ("G-1", "G-2")]
    order = _order(company, requisition(company, budget, item_id), supplier_id)
    _receive(company, order, warehouses[0])
    _store(company, item_id, warehouses)
    payable_id = _invoice(company, order)
    _pay(company, [payable_id])
    _bounce(company)
    _debar(company)


def _item(company: Company) -> str:
    by = "catalog_officer"
    item = company.act(
        catalog_pb2.CreateItemRequest(
            item=catalog_pb2.Item(
                code="UJI-1",
                display_name="Kertas",
                unit_of_measure="rim",
                treatment=catalog_pb2.GOODS_TREATMENT_STOCK,
                valuation_method=catalog_pb2.VALUATION_METHOD_MOVING_AVERAGE,
                expenditure_account_code=GOODS_ACCOUNT,
                active=True,
            )
        ),
        by=by,
    )
    item.display_name = "Kertas A4"
    company.act(catalog_pb2.UpdateItemRequest(item=item, update_mask=mask("display_name")), by=by)
    company.read(catalog_pb2.GetItemRequest(name=item.name), by=by)
    company.read(catalog_pb2.ListItemsRequest(page_size=2), by=by)
    return str(item.item_id)


def _supplier(company: Company) -> str:
    by = "procurement_officer"
    supplier = company.act(
        supplier_pb2.CreateSupplierRequest(
            supplier=supplier_pb2.Supplier(
                legal_entity_id=legal_entity(company), categories=[supplier_pb2.SUPPLIER_CATEGORY_GOODS]
            )
        ),
        by=by,
    )
    supplier.documents.add(kind="NIB", number="UJI", valid_from=JANUARY_FIRST)
    company.act(supplier_pb2.UpdateSupplierRequest(supplier=supplier, update_mask=mask("documents")), by=by)
    company.read(supplier_pb2.GetSupplierRequest(name=supplier.name), by=by)
    company.read(supplier_pb2.ListSuppliersRequest(legal_entity_id=supplier.legal_entity_id), by=by)
    return str(supplier.supplier_id)


def _debar(company: Company) -> None:
    listed = company.read(supplier_pb2.ListSuppliersRequest(page_size=500), by="procurement_officer")
    supplier = next(each for each in listed.suppliers if each.display_name == "CV Uji")
    company.act(
        supplier_pb2.DebarSupplierRequest(
            name=supplier.name,
            debarment=supplier_pb2.Debarment(valid_from=_NEEDED_ON, decision_number="SK-UJI", cause="uji"),
        ),
        by="commitment_officer",
    )


def requisition(company: Company, budget: Budget, item_id: str) -> Any:
    """A requisition of the unit, approved, its funds reserved."""
    made = company.act(
        requisition_pb2.CreateRequisitionRequest(
            requisition=requisition_pb2.Requisition(
                agency_id=company.agencies["unit"],
                purpose="Kebutuhan kantor",
                currency_code="IDR",
                needed_on=_NEEDED_ON,
                lines=[
                    requisition_pb2.RequisitionLine(
                        item_id=item_id,
                        quantity=decimal(_QUANTITY),
                        estimated_unit_price=decimal(_PRICE),
                        budget_line_id=budget.goods,
                    )
                ],
            )
        ),
        by="requester",
    )
    company.refused_to_its_maker(
        requisition_pb2.ApproveRequisitionRequest(name=made.name), maker="requester", checker="requisition_approver"
    )
    company.act(requisition_pb2.ApproveRequisitionRequest(name=made.name), by="requisition_approver")
    company.read(requisition_pb2.ListRequisitionsRequest(agency_id=company.agencies["unit"]), by="requester")
    return _until(
        company,
        requisition_pb2.GetRequisitionRequest(name=made.name),
        "requester",
        requisition_pb2.REQUISITION_STATUS_APPROVED,
    )


def _until(company: Company, request: Any, by: str, status: int) -> Any:
    return company.until(
        lambda: company.read(request, by=by), lambda seen: seen.status == status, f"{request.name} in state {status}"
    )


def _order(company: Company, asked: Any, supplier_id: str, *, sign: bool = True) -> Any:
    made = company.act(
        purchase_order_pb2.CreatePurchaseOrderRequest(
            purchase_order=purchase_order_pb2.PurchaseOrder(
                agency_id=company.agencies["unit"],
                supplier_id=supplier_id,
                deliver_by=_NEEDED_ON,
                lines=[
                    purchase_order_pb2.PurchaseOrderLine(
                        requisition_line_id=asked.lines[0].requisition_line_id,
                        quantity=decimal(_QUANTITY),
                        unit_price=decimal(_PRICE),
                        tax_rate=decimal(0),
                        final=True,
                    )
                ],
            )
        ),
        by="procurement_officer",
    )
    if not sign:
        return made
    company.refused_to_its_maker(
        purchase_order_pb2.ApprovePurchaseOrderRequest(name=made.name),
        maker="procurement_officer",
        checker="commitment_officer",
    )
    company.act(purchase_order_pb2.ApprovePurchaseOrderRequest(name=made.name), by="commitment_officer")
    company.read(
        purchase_order_pb2.ListPurchaseOrdersRequest(agency_id=company.agencies["unit"]), by="procurement_officer"
    )
    return _until(
        company,
        purchase_order_pb2.GetPurchaseOrderRequest(name=made.name),
        "procurement_officer",
        purchase_order_pb2.PURCHASE_ORDER_STATUS_ISSUED,
    )


def _cancelled(company: Company, budget: Budget, item_id: str, supplier_id: str) -> None:
    """An order that is withdrawn before it is signed, and then its requisition."""
    asked = requisition(company, budget, item_id)
    order = _order(company, asked, supplier_id, sign=False)
    company.act(purchase_order_pb2.CancelPurchaseOrderRequest(name=order.name, cause="uji"), by="commitment_officer")
    _until(
        company,
        purchase_order_pb2.GetPurchaseOrderRequest(name=order.name),
        "procurement_officer",
        purchase_order_pb2.PURCHASE_ORDER_STATUS_CANCELLED,
    )
    company.act(requisition_pb2.CancelRequisitionRequest(name=asked.name, cause="uji"), by="requester")
    _until(
        company,
        requisition_pb2.GetRequisitionRequest(name=asked.name),
        "requester",
        requisition_pb2.REQUISITION_STATUS_CANCELLED,
    )


def _warehouse(company: Company, code: str) -> str:
    by, agency_id = "storekeeper", company.agencies["unit"]
    made = company.act(
        stock_pb2.CreateWarehouseRequest(
            warehouse=stock_pb2.Warehouse(agency_id=agency_id, code=code, display_name=f"Gudang {code}")
        ),
        by=by,
    )
    company.read(stock_pb2.GetWarehouseRequest(name=made.name), by=by)
    company.read(stock_pb2.ListWarehousesRequest(agency_id=agency_id), by=by)
    return str(made.warehouse_id)


def _receive(company: Company, order: Any, warehouse_id: str) -> None:
    agency_id = company.agencies["unit"]
    made = company.act(
        receipt_pb2.CreateReceiptRequest(
            receipt=receipt_pb2.Receipt(
                agency_id=agency_id,
                purchase_order_id=order.purchase_order_id,
                warehouse_id=warehouse_id,
                delivery_note="SJ-UJI",
                delivered_on=TODAY,
                lines=[
                    receipt_pb2.ReceiptLine(
                        purchase_order_line_id=order.lines[0].purchase_order_line_id,
                        delivered_quantity=decimal(_QUANTITY),
                    )
                ],
            )
        ),
        by="receiver",
    )
    accept = receipt_pb2.AcceptReceiptRequest(
        name=made.name,
        accepted_on=TODAY,
        inspections=[
            receipt_pb2.Inspection(receipt_line_id=made.lines[0].receipt_line_id, accepted_quantity=decimal(_QUANTITY))
        ],
    )
    company.refused_to_its_maker(accept, maker="receiver", checker="inspector")
    company.act(accept, by="inspector")
    company.read(receipt_pb2.GetReceiptRequest(name=made.name), by="receiver")
    company.read(receipt_pb2.ListReceiptsRequest(agency_id=agency_id), by="receiver")


def _store(company: Company, item_id: str, warehouses: list[str]) -> None:
    by, agency_id = "storekeeper", company.agencies["unit"]
    first, second = warehouses
    company.act(
        stock_pb2.IssueStockRequest(
            agency_id=agency_id, warehouse_id=first, item_id=item_id, quantity=decimal(1), purpose="Pemakaian"
        ),
        by=by,
    )
    company.act(
        stock_pb2.TransferStockRequest(
            agency_id=agency_id,
            from_warehouse_id=first,
            to_warehouse_id=second,
            item_id=item_id,
            quantity=decimal(2),
            purpose="Pemindahan",
        ),
        by=by,
    )
    count = company.act(
        stock_pb2.CreateStockCountRequest(
            stock_count=stock_pb2.StockCount(
                agency_id=agency_id,
                warehouse_id=second,
                item_id=item_id,
                counted_quantity=decimal(1),
                currency_code="IDR",
                cause="Selisih hitung",
            )
        ),
        by=by,
    )
    approve = stock_pb2.ApproveStockCountRequest(name=count.name)
    company.refused_to_its_maker(approve, maker="storekeeper", checker="requisition_approver")
    company.act(approve, by="requisition_approver")
    company.read(stock_pb2.GetStockCountRequest(name=count.name), by=by)
    company.read(stock_pb2.ListStockCountsRequest(agency_id=agency_id), by=by)
    company.read(stock_pb2.GetStockBalanceRequest(agency_id=agency_id, item_id=item_id), by=by)
    company.read(stock_pb2.GetStockValuationRequest(agency_id=agency_id), by=by)
    company.read(stock_pb2.ListStockMovementsRequest(agency_id=agency_id), by=by)
    company.read(payables_pb2.GetStockControlRequest(agency_id=agency_id), by="auditor")


def _invoice(company: Company, order: Any) -> str:
    """Two equal invoices of half the order: the second is held as a possible duplicate, released, and withdrawn."""
    agency_id, by = company.agencies["unit"], "invoice_clerk"
    first = _matched(company, order, "INV-UJI-1", payables_pb2.INVOICE_STATUS_MATCHED)
    second = _matched(company, order, "INV-UJI-2", payables_pb2.INVOICE_STATUS_HELD)
    company.act(
        payables_pb2.ReleaseInvoiceHoldRequest(name=second.name, explanation="Bukan duplikat"), by="budget_user"
    )
    company.act(payables_pb2.VoidInvoiceRequest(name=second.name, explanation="Ditarik"), by=by)
    approve = payables_pb2.ApproveInvoiceRequest(name=first.name, effective_on=TODAY)
    company.refused_to_its_maker(approve, maker="invoice_clerk", checker="budget_user")
    payable = company.act(approve, by="invoice_approver").payable
    company.read(payables_pb2.ListInvoicesRequest(agency_id=agency_id), by=by)
    company.read(payables_pb2.GetPayableRequest(name=payable.name), by=by)
    return str(payable.payable_id)


def _matched(company: Company, order: Any, number: str, status: int) -> Any:
    """Register half the order's value once the order and its receipt are known in finance."""
    agency_id, by = company.agencies["unit"], "invoice_clerk"
    line_id = order.lines[0].purchase_order_line_id
    company.until(
        lambda: company.read(payables_pb2.GetStockControlRequest(agency_id=agency_id), by="auditor"),
        lambda seen: seen.stock_movement_number > 0,
        "the first stock movement in finance",
    )
    made = company.act(
        payables_pb2.CreateInvoiceRequest(
            invoice=payables_pb2.Invoice(
                agency_id=agency_id,
                purchase_order_id=order.purchase_order_id,
                supplier_invoice_number=number,
                invoiced_on=TODAY,
                received_on=TODAY,
                lines=[
                    payables_pb2.InvoiceLine(
                        purchase_order_line_id=line_id, quantity=decimal(_HALF), unit_price=decimal(_PRICE)
                    )
                ],
                total=rupiah(_HALF * _PRICE),
            )
        ),
        by=by,
    )
    return _until(company, payables_pb2.GetInvoiceRequest(name=made.name), by, status)


def _request(company: Company, payable_ids: list[str], agency: str = "unit") -> Any:
    return company.act(
        payables_pb2.CreatePaymentRequestRequest(
            payment_request=payables_pb2.PaymentRequest(
                agency_id=company.agencies[agency], payable_ids=payable_ids, requested_on=TODAY, description="SPP uji"
            )
        ),
        by="expenditure_treasurer",
    )


def statement(request_name: str) -> payables_pb2.StatementOfResponsibility:
    """The budget user's signed statement for a payment request."""
    paper = f"Surat Pernyataan Tanggung Jawab Mutlak: {request_name}".encode()
    return payables_pb2.StatementOfResponsibility(signed_on=TODAY, sha256=hashlib.sha256(paper).hexdigest())


def order_numbered(
    company: Company, payable_ids: list[str], *, as_one_person: bool = False, agency: str = "unit"
) -> Any:
    """A payment order with its number; with `as_one_person`, each step is first tried by the one before it."""
    request = _request(company, payable_ids, agency)
    verify = payables_pb2.VerifyPaymentRequestRequest(name=request.name)
    authorise = payables_pb2.AuthorisePaymentRequestRequest(
        name=request.name, statement_of_responsibility=statement(request.name)
    )
    issue = payables_pb2.IssuePaymentOrderRequest(
        payment_request=request.name, treasury_agency_id=company.agencies["treasury"], issued_on=TODAY
    )
    if as_one_person:
        company.refused_to_its_maker(verify, maker="expenditure_treasurer", checker="verifier")
    company.act(verify, by="verifier")
    if as_one_person:
        company.refused_to_its_maker(authorise, maker="verifier", checker="budget_user")
    company.act(authorise, by="budget_user")
    if as_one_person:
        company.refused_to_its_maker(issue, maker="budget_user", checker="treasurer")
    order = company.act(issue, by="treasurer").payment_order
    return company.until(
        lambda: company.read(payables_pb2.GetPaymentOrderRequest(name=order.name), by="treasurer"),
        lambda seen: seen.status != payables_pb2.PAYMENT_ORDER_STATUS_UNNUMBERED,
        "the number of the payment order",
    )


def _pay(company: Company, payable_ids: list[str]) -> None:
    """A request that is withdrawn, then one that is paid."""
    agency_id = company.agencies["unit"]
    withdrawn = _request(company, payable_ids)
    company.act(
        payables_pb2.WithdrawPaymentRequestRequest(name=withdrawn.name, explanation="Salah"),
        by="expenditure_treasurer",
    )
    returned = payables_pb2.ReturnPaymentRequestRequest(
        name=_request(company, payable_ids).name, explanation="Lampiran kurang"
    )
    company.refused_to_its_maker(returned, maker="expenditure_treasurer", checker="verifier")
    company.act(returned, by="verifier")
    order = order_numbered(company, payable_ids, as_one_person=True)
    company.act(
        payables_pb2.RecordBankDebitRequest(
            name=order.name, bank_reference="BANK-UJI", value_date=TODAY, amount=order.net
        ),
        by="treasurer",
    )
    company.read(payables_pb2.GetPaymentRequestRequest(name=withdrawn.name), by="verifier")
    company.read(payables_pb2.ListPaymentRequestsRequest(agency_id=agency_id), by="verifier")
    company.read(payables_pb2.ListPaymentOrdersRequest(agency_id=agency_id), by="treasurer")
    company.read(payment_clock_pb2.ListPaymentClocksRequest(agency_id=agency_id, page_size=3), by="treasurer")


def pay_at_once(company: Company, payable_id: str, agency: str = "unit") -> None:
    """One payable of an agency through the whole payment chain, to the bank's debit."""
    order = order_numbered(company, [payable_id], agency=agency)
    company.act(
        payables_pb2.RecordBankDebitRequest(
            name=order.name, bank_reference=f"BANK-{order.order_number}", value_date=TODAY, amount=order.net
        ),
        by="treasurer",
    )


def _bounce(company: Company) -> None:
    """The pay of the payroll run, which the bank rejects."""
    listed = company.read(
        payables_pb2.ListPayablesRequest(
            agency_id=company.agencies["unit"], status=payables_pb2.PAYABLE_STATUS_OPEN, page_size=500
        ),
        by="expenditure_treasurer",
    )
    one_source = listed.payables[0].source_document_id
    payables = [each.payable_id for each in listed.payables if each.source_document_id == one_source]
    order = order_numbered(company, payables)
    company.act(
        payables_pb2.RejectPaymentOrderRequest(
            name=order.name, bank_reference="TOLAK-UJI", explanation="Rekening tutup", rejected_on=TODAY
        ),
        by="treasurer",
    )
