"""N25: one purchase from end to end, on PostgreSQL, every step and every figure of domain-rules §9."""

from __future__ import annotations

import pytest

from chassis.testing import call_as
from kelola.finance.v1 import account_pb2, payables_pb2
from tests.integration.finance.books import Books, minor
from tests.integration.finance.funds import Unit
from tests.integration.finance.purchase import STOCK, Purchase, requisition, rupiah_of, stock_moved

INV, GRNI, AP, RK_A = "1.1.12", "2.1.06.90", "2.1.06.02", "3.1.03.01"
RK_T, TRANSIT, CASH, VAT, PPH22 = "1.1.13.01", "2.1.07.90", "1.1.01.01", "2.1.01.06.01", "2.1.01.05.02"
BEL, SAL, APR = "5.1.02.01.01", "3.1.02.05", "3.1.02.03"


@pytest.fixture
def unit(books: Books) -> Unit:
    return Unit(books)


def rupiah_balances(agency, **values) -> dict[str, int]:
    """Debit less credit by account in whole rupiah, accounts at nil left out."""
    return {code: minor_units // 100 for code, minor_units in agency.balances(**values).items() if minor_units}


def test_n25_one_purchase_from_end_to_end(unit: Unit):
    (line,) = unit.lines(20_000_000)
    unit.allotted()
    requisition_line = requisition(unit, line, 10, 11_100_000)
    assert unit.figures(line) == (11_100_000, 0, 0, 0, 0, 8_900_000)

    purchase = Purchase(unit, line, 10, 950_000, "0.11", STOCK, requisition_line_id=requisition_line).issued(final=True)
    assert unit.figures(line) == (0, 10_545_000, 0, 0, 0, 9_455_000)

    purchase.accepted(6, stock_number=1)
    stock_moved(unit, 1, "RECEIPT", 6_327_000_00, item_id=purchase.item_id)
    assert unit.figures(line) == (0, 4_218_000, 6_327_000, 0, 0, 9_455_000)
    assert rupiah_balances(unit.agency) == {INV: 6_327_000, GRNI: -6_327_000}

    first = purchase.invoiced(6, 950_000)
    assert first.status == payables_pb2.INVOICE_STATUS_MATCHED
    payable = purchase.approved(first)
    assert unit.figures(line) == (0, 4_218_000, 6_327_000, 0, 0, 9_455_000)
    assert rupiah_balances(unit.agency) == {INV: 6_327_000, AP: -6_327_000}

    order = unit.ordered([payable.payable_id])
    assert (rupiah_of(order.gross), rupiah_of(order.net)) == (6_327_000, 5_614_500)
    assert unit.figures(line) == (0, 4_218_000, 0, 6_327_000, 0, 9_455_000)
    assert rupiah_balances(unit.agency) == {INV: 6_327_000, RK_A: -6_327_000}
    assert rupiah_balances(unit.treasury) == {
        RK_T: 6_327_000,
        TRANSIT: -5_614_500,
        VAT: -627_000,
        PPH22: -85_500,
    }

    unit.debited(order)
    assert unit.figures(line) == (0, 4_218_000, 0, 0, 6_327_000, 9_455_000)
    assert rupiah_balances(unit.treasury) == {
        RK_T: 6_327_000,
        CASH: -5_614_500,
        VAT: -627_000,
        PPH22: -85_500,
    }
    assert rupiah_balances(unit.agency, basis=account_pb2.BASIS_BUDGET) == {
        BEL: 6_327_000,
        SAL: 20_000_000 - 6_327_000,
        APR: -20_000_000,
    }
    assert purchase.seen(first).status == payables_pb2.INVOICE_STATUS_PAID

    purchase.accepted(3, stock_number=2)
    stock_moved(unit, 2, "RECEIPT", 3_163_500_00, item_id=purchase.item_id)
    assert unit.figures(line) == (0, 1_054_500, 3_163_500, 0, 6_327_000, 9_455_000)

    purchase.cancelled_rest()
    assert unit.figures(line) == (0, 0, 3_163_500, 0, 6_327_000, 10_509_500)

    too_many = purchase.invoiced(4, 960_000)
    (hold,) = too_many.holds
    assert too_many.status == payables_pb2.INVOICE_STATUS_HELD
    assert (hold.reason, hold.excess_quantity.value) == (payables_pb2.INVOICE_HOLD_REASON_QUANTITY, "1")
    void = payables_pb2.VoidInvoiceRequest(
        name=too_many.name, explanation="supplier corrects it", request_id=too_many.invoice_id
    )
    call_as(unit.payables.VoidInvoice, void, unit.token("invoice_clerk"))

    second = purchase.invoiced(3, 960_000)
    assert second.status == payables_pb2.INVOICE_STATUS_MATCHED
    payable = purchase.approved(second)
    assert rupiah_of(payable.amount) == 3_196_800
    assert unit.figures(line) == (0, 0, 3_196_800, 0, 6_327_000, 10_476_200)
    assert rupiah_balances(unit.agency)[INV] == 9_523_800
    assert rupiah_balances(unit.agency)[AP] == -3_196_800

    rejected = unit.ordered([payable.payable_id])
    call_as(unit.payables.RejectPaymentOrder, unit.rejection(rejected), unit.token("treasurer"))
    assert unit.figures(line) == (0, 0, 3_196_800, 0, 6_327_000, 10_476_200)
    assert rupiah_balances(unit.agency)[AP] == -3_196_800
    assert TRANSIT not in rupiah_balances(unit.treasury)

    again = unit.ordered([payable.payable_id])
    assert (rupiah_of(again.gross), rupiah_of(again.net)) == (3_196_800, 2_836_800)
    unit.debited(again)
    assert unit.figures(line) == (0, 0, 0, 0, 9_523_800, 10_476_200)
    assert rupiah_balances(unit.agency, basis=account_pb2.BASIS_BUDGET)[BEL] == 9_523_800
    assert rupiah_balances(unit.agency) == {INV: 9_523_800, RK_A: -9_523_800}
    assert rupiah_balances(unit.treasury) == {
        RK_T: 9_523_800,
        CASH: -(5_614_500 + 2_836_800),
        VAT: -(627_000 + 316_800),
        PPH22: -(85_500 + 43_200),
    }
    assert [rejected.order_number, again.order_number] == ["00002/SP2D/2025", "00003/SP2D/2025"]

    # Stock ledger = INV, once logistics has valued the receipt anew by the invoice's variance.
    stock_moved(
        unit, 3, "PRICE_VARIANCE", 33_300_00, item_id=purchase.item_id, invoice=second, order_line_id=purchase.line_id
    )
    control = call_as(
        unit.payables.GetStockControl,
        payables_pb2.GetStockControlRequest(agency_id=str(unit.agency_id)),
        unit.token("invoice_clerk"),
    )
    assert (control.stock_movement_number, minor(control.balance)) == (3, 9_523_800_00)
    assert unit.problems() == []


def test_n21_a_variance_of_goods_partly_issued_reaches_expense_by_the_stock_ledgers_correction(unit: Unit):
    (line,) = unit.lines(20_000_000)
    unit.allotted()
    purchase = Purchase(unit, line, 10, 100_000, treatment=STOCK).issued()
    purchase.accepted(10, stock_number=1)
    stock_moved(unit, 1, "RECEIPT", 1_000_000_00, item_id=purchase.item_id)
    stock_moved(unit, 2, "ISSUE", -600_000_00, item_id=purchase.item_id)

    invoice = purchase.invoiced(10, 102_000)
    purchase.approved(invoice)
    stock_moved(
        unit, 3, "PRICE_VARIANCE", 20_000_00, item_id=purchase.item_id, invoice=invoice, order_line_id=purchase.line_id
    )
    stock_moved(unit, 4, "CORRECTION", -12_000_00, item_id=purchase.item_id, corrected="ISSUE")

    balances = rupiah_balances(unit.agency)
    assert balances[INV] == 400_000 + 8_000
    assert balances[AP] == -1_020_000
    assert sum(amount for code, amount in balances.items() if code.startswith("8.")) == 600_000 + 12_000
    assert unit.figures(line)[2] == 1_020_000
    assert unit.problems() == []


def test_n12_withholding_of_goods_of_ten_million(unit: Unit):
    (line,) = unit.lines(20_000_000)
    unit.allotted()
    purchase = Purchase(unit, line, 10, 1_000_000, "0.11").issued()
    purchase.accepted(10)
    payable = purchase.approved(purchase.invoiced(10, 1_000_000))

    order = unit.ordered([payable.payable_id])
    unit.debited(order)

    withheld = {one.withholding_code: rupiah_of(one.amount) for one in order.withholdings}
    assert withheld == {"PPH22": 150_000, "VAT": 1_100_000}
    assert (rupiah_of(order.gross), rupiah_of(order.net)) == (11_100_000, 9_850_000)
    assert unit.figures(line)[3:5] == (0, 11_100_000)
