"""Bank accounts, payees and payment runs on PostgreSQL: who, in which order, how much, and the same file for ever."""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from uuid import uuid4

import grpc
import psycopg
import pytest

from chassis.testing import call_as, refusal, refused
from chassis.wire import to_date
from kelola.finance.v1 import payables_pb2, treasury_pb2
from tests.integration.finance.bank import DAY, P03, Bank, end_to_end, rupiah
from tests.integration.finance.books import YEAR, Books, rid
from tests.integration.finance.funds import Unit
from tests.integration.finance.purchase import Purchase


@pytest.fixture
def bank(books: Books) -> Bank:
    return Bank(Unit(books))


@pytest.fixture
def line(bank: Bank) -> str:
    (line,) = bank.unit.lines(50_000_000)
    bank.unit.allotted()
    return line


def omitted(run: treasury_pb2.PaymentRun) -> dict[str, str]:
    name = treasury_pb2.PaymentOmissionReason.Name
    return {one.payment_order_id: name(one.reason).removeprefix("PAYMENT_OMISSION_REASON_") for one in run.omissions}


def test_a_run_goes_from_draft_to_the_banks_file(bank: Bank, line: str):
    orders = [bank.order(line, 1, 100_000), bank.order(line, 2, 100_000)]

    run = bank.run(*orders)
    approved = bank.approved(run)
    file = bank.exported(run)

    assert (run.instruction_count, run.total.units) == (2, 300_000)
    assert approved.status == treasury_pb2.PAYMENT_RUN_STATUS_APPROVED
    assert file.payment_run.status == treasury_pb2.PAYMENT_RUN_STATUS_EXPORTED
    assert file.message_id == run.payment_run_id.replace("-", "")
    assert hashlib.sha256(file.content).hexdigest() == file.file_sha256 == file.payment_run.file_sha256
    assert b"<CtrlSum>300000.00</CtrlSum>" in file.content
    for order in orders:
        assert f"<EndToEndId>{end_to_end(run, order)}</EndToEndId>".encode() in file.content
        assert f"<InstrId>{order.order_number}</InstrId>".encode() in file.content
    assert bank.problems() == []


def test_nobody_approves_his_own_run_or_payee(bank: Bank, line: str):
    order = bank.order(line)
    run = bank.run(order)
    maker = bank.persons["treasurer"]
    proposed = bank.did("CreatePayeeAccount", bank.payee_account("SUPPLIER-X"), "treasurer")

    own_run = bank.refused("ApprovePaymentRun", bank.approve_request(run), "head", person_id=maker)
    own_payee = bank.refused("ApprovePayeeAccount", bank.approval(proposed), "head", person_id=maker)
    not_his_role = bank.refused("ApprovePaymentRun", bank.approve_request(run), "treasurer")

    assert (own_run.reason, own_payee.reason) == ("SAME_PERSON", "SAME_PERSON")
    assert not_his_role.code is grpc.StatusCode.PERMISSION_DENIED


def test_the_same_run_is_the_same_file_and_no_other_format(bank: Bank, line: str):
    run = bank.run(bank.order(line))
    too_early = bank.refused("ExportPaymentRun", bank.export_request(run), "treasurer")
    bank.approved(run)

    first = bank.exported(run)
    again = bank.exported(run)
    by_another = bank.did("ExportPaymentRun", bank.export_request(run), "treasurer", person_id=uuid4())
    other_format = bank.refused("ExportPaymentRun", bank.export_request(run, P03), "treasurer")

    assert too_early.reason == "OUT_OF_TURN"
    assert first.content == again.content == by_another.content
    assert other_format.reason == "RUN_ALREADY_EXPORTED"
    assert other_format.metadata["file_sha256"] == first.file_sha256


def test_the_cash_limit_counts_orders_and_lists_what_stays_out(bank: Bank, line: str):
    orders = [bank.order(line, units, 100_000) for units in (3, 5, 1)]

    run = bank.run(*orders, cash_limit=rupiah(400_000))

    # All are due on one day: by number, the second does not fit into what the first left, the third does.
    assert [one.order_number for one in run.instructions] == [orders[0].order_number, orders[2].order_number]
    assert omitted(run) == {orders[1].payment_order_id: "OVER_CASH_LIMIT"}
    assert run.total.units == 400_000


def test_no_order_leaves_before_it_has_its_number(bank: Bank, line: str):
    unit = bank.unit
    purchase = Purchase(unit, line, 1, 100_000).issued()
    purchase.accepted(1)
    payable = purchase.approved(purchase.invoiced(1, 100_000))
    bank.payee(payable.creditor)
    authorised = unit.payment_authorised([payable.payable_id])
    # The numberer waits for the series' row as long as this transaction has it.
    with psycopg.connect(unit.books.superuser_url) as series:
        series.execute(
            "insert into number_series (entity_id, kind, year, last_number) values (%s, 'PAYMENT_ORDER', %s, 0)",
            (unit.treasury.agency_id, YEAR),
        )
        issued = call_as(unit.payables.IssuePaymentOrder, unit.issue(authorised), unit.token("treasurer")).payment_order
        alone = bank.refused("CreatePaymentRun", bank.run_request([issued]), "treasurer")
        debited = refused(unit.payables.RecordBankDebit, unit.debit(issued), unit.token("treasurer"))
        waits = bank.status(issued)
        series.rollback()

    assert (issued.order_number, waits) == ("", "UNNUMBERED")
    assert (alone.reason, alone.metadata) == ("RUN_EMPTY", {"not_payable": "1"})
    assert debited.reason == "PAYMENT_ORDER_UNNUMBERED"
    assert bank.run(unit.numbered(issued.name)).instruction_count == 1


def test_urgent_orders_go_first(bank: Bank, line: str):
    orders = [bank.order(line, 1, 100_000) for _ in range(3)]

    run = bank.did(
        "CreatePaymentRun",
        bank.run_request(orders, urgent=[orders[2].payment_order_id], cash_limit=rupiah(200_000)),
        "treasurer",
    )

    assert [one.order_number for one in run.instructions] == [orders[2].order_number, orders[0].order_number]


def test_without_an_approved_payee_account_of_that_day_an_order_stays_out(bank: Bank, line: str):
    no_account, ended, paid = bank.order(line, payee=False), bank.order(line, payee=False), bank.order(line)
    creditor = bank.row(
        "select creditor from payment_order_item join payable using (payable_id) where payment_order_id = %s",
        ended.payment_order_id,
    )[0]
    account = bank.payee(creditor)
    end = treasury_pb2.ClosePayeeAccountRequest(name=account.name, valid_to=to_date(DAY), request_id=rid())
    bank.did("ClosePayeeAccount", end, "treasurer")

    run = bank.run(no_account, ended, paid)
    alone = bank.refused("CreatePaymentRun", bank.run_request([no_account]), "treasurer")

    assert [one.payment_order_id for one in run.instructions] == [paid.payment_order_id]
    assert omitted(run) == dict.fromkeys([no_account.payment_order_id, ended.payment_order_id], "NO_PAYEE_ACCOUNT")
    assert (alone.reason, alone.metadata) == ("RUN_EMPTY", {"no_payee_account": "1"})


def test_a_payee_account_that_ended_since_keeps_the_order_out_of_the_file(bank: Bank, line: str):
    run = bank.run(bank.order(line))
    bank.approved(run)
    account = treasury_pb2.ClosePayeeAccountRequest(
        name=f"payeeAccounts/{run.instructions[0].payee_account_id}", valid_to=to_date(DAY), request_id=rid()
    )
    bank.did("ClosePayeeAccount", account, "treasurer")

    refusal_ = bank.refused("ExportPaymentRun", bank.export_request(run), "treasurer")

    assert refusal_.reason == "PAYEE_ACCOUNT_INVALID"
    assert refusal_.metadata["payment_order_id"] == run.instructions[0].payment_order_id


def test_an_order_is_in_one_live_run_even_when_two_are_made_at_once(bank: Bank, line: str):
    order = bank.order(line)
    token = bank.token("treasurer")

    def make(_: int) -> str:
        try:
            call_as(bank.stub.CreatePaymentRun, bank.run_request(), token)
        except grpc.RpcError as failure:
            return refusal(failure).reason
        return "DONE"

    with ThreadPoolExecutor(6) as pool:
        outcomes = list(pool.map(make, range(6)))
    named = bank.refused("CreatePaymentRun", bank.run_request([order]), "treasurer")

    assert sorted(outcomes) == ["DONE", *["RUN_EMPTY"] * 5]
    assert named.metadata == {"in_another_run": "1"}


def test_two_approvals_at_once_are_one(bank: Bank, line: str):
    run = bank.run(bank.order(line))
    tokens = [bank.token("head", person_id=uuid4()) for _ in range(6)]

    def approve(token: str) -> str:
        try:
            call_as(bank.stub.ApprovePaymentRun, bank.approve_request(run), token)
        except grpc.RpcError as failure:
            return refusal(failure).reason
        return "DONE"

    with ThreadPoolExecutor(6) as pool:
        outcomes = list(pool.map(approve, tokens))

    assert sorted(outcomes) == ["DONE", *["OUT_OF_TURN"] * 5]


def test_an_approver_says_what_he_saw(bank: Bank, line: str):
    run = bank.run(bank.order(line))
    request = bank.approve_request(run)
    request.control_total.units += 1

    assert bank.refused("ApprovePaymentRun", request, "head").reason == "RUN_CHANGED"


def test_an_order_that_was_rejected_since_is_not_exported(bank: Bank, line: str):
    order = bank.order(line)
    run = bank.run(order)
    bank.approved(run)
    call_as(bank.unit.payables.RejectPaymentOrder, bank.unit.rejection(order), bank.unit.token("treasurer"))

    refusal_ = bank.refused("ExportPaymentRun", bank.export_request(run), "treasurer")

    assert (refusal_.reason, refusal_.metadata["status"]) == ("ORDER_NOT_PAYABLE", "REJECTED")


def test_a_cancelled_run_frees_its_orders(bank: Bank, line: str):
    order = bank.order(line)
    run = bank.run(order)
    cancel = treasury_pb2.CancelPaymentRunRequest(name=run.name, explanation="wrong day", request_id=rid())

    cancelled = bank.did("CancelPaymentRun", cancel, "treasurer").payment_run
    second = bank.sent(order)
    too_late = bank.refused(
        "CancelPaymentRun",
        treasury_pb2.CancelPaymentRunRequest(name=second.name, explanation="too late", request_id=rid()),
        "treasurer",
    )

    assert cancelled.status == treasury_pb2.PAYMENT_RUN_STATUS_CANCELLED
    assert second.instructions[0].status == treasury_pb2.PAYMENT_INSTRUCTION_STATUS_SENT
    assert too_late.reason == "OUT_OF_TURN"
    assert bank.problems() == []


def test_a_stopped_order_is_owed_again_and_its_number_stays_used(bank: Bank, line: str):
    kept, stopped = bank.order(line), bank.order(line)
    run = bank.run(kept, stopped)
    bank.approved(run)
    stop = treasury_pb2.StopPaymentOrderRequest(
        name=stopped.name, explanation="payee is in dispute", stopped_on=to_date(DAY), request_id=rid()
    )

    bank.did("StopPaymentOrder", stop, "treasurer")
    changed = bank.seen_run(run)
    unapproved = bank.refused("ExportPaymentRun", bank.export_request(run), "treasurer")
    bank.approved(changed)
    bank.exported(changed)
    payable = bank.row(
        "select payable_id from payment_order_item where payment_order_id = %s", stopped.payment_order_id
    )[0]
    again = bank.unit.ordered([str(payable)])
    at_the_bank = bank.refused(
        "StopPaymentOrder",
        treasury_pb2.StopPaymentOrderRequest(
            name=kept.name, explanation="too late", stopped_on=to_date(DAY), request_id=rid()
        ),
        "treasurer",
    )

    assert bank.unit.order(stopped.name).status == payables_pb2.PAYMENT_ORDER_STATUS_STOPPED
    assert (changed.status, changed.instruction_count) == (treasury_pb2.PAYMENT_RUN_STATUS_DRAFT, 1)
    assert unapproved.reason == "OUT_OF_TURN"
    assert again.order_number > stopped.order_number
    assert at_the_bank.reason == "ORDER_AT_THE_BANK"
    assert bank.problems() == []


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"account_number": "GB82WEST12345698765432", "account_number_kind": 1}, None),
        ({"account_number": "GB82WEST12345698765431", "account_number_kind": 1}, "ACCOUNT_NUMBER_INVALID"),
        ({"account_number": "12-345-678"}, "ACCOUNT_NUMBER_INVALID"),
        ({"holder_name": "Café Nañez"}, "HOLDER_NAME_INVALID"),
        ({"holder_name": "PT A // B"}, "HOLDER_NAME_INVALID"),
        ({"clearing_code": "", "bic": ""}, "INVALID_ARGUMENT"),
    ],
)
def test_payee_accounts_have_a_form_that_banks_take(bank: Bank, values: dict[str, object], reason: str | None):
    request = bank.payee_account(f"SUPPLIER-{uuid4().hex[:8]}", **values)

    if reason is None:
        assert bank.did("CreatePayeeAccount", request, "treasurer").account_number == values["account_number"]
    else:
        assert bank.refused("CreatePayeeAccount", request, "treasurer").reason == reason


def test_a_new_payee_account_ends_the_one_before_it(bank: Bank):
    first = bank.payee("SUPPLIER-Y")
    second = bank.payee("SUPPLIER-Y", valid_from=to_date(date(YEAR, 6, 1)))

    seen = bank.did("GetPayeeAccount", treasury_pb2.GetPayeeAccountRequest(name=first.name), "treasurer")
    listed = bank.did(
        "ListPayeeAccounts",
        treasury_pb2.ListPayeeAccountsRequest(agency_id=str(bank.unit.agency_id), creditor="SUPPLIER-Y"),
        "treasurer",
    )

    assert (seen.valid_to.month, seen.valid_to.day) == (6, 1)
    assert [one.payee_account_id for one in listed.payee_accounts] == [second.payee_account_id, first.payee_account_id]


def test_a_bank_account_has_its_number_and_its_cash_account_for_itself(bank: Bank):
    same_cash = bank.refused("CreateBankAccount", bank.bank_account(account_number="7700000001"), "head")
    same_number = bank.refused("CreateBankAccount", bank.bank_account(account_code="1.1.01.07"), "head")
    no_cash = bank.refused(
        "CreateBankAccount", bank.bank_account(account_code="8.1.02.01", account_number="7700000002"), "head"
    )
    close = treasury_pb2.CloseBankAccountRequest(
        name=bank.account.name, valid_to=to_date(date(YEAR, 7, 1)), request_id=rid()
    )
    bank.did("CloseBankAccount", close, "head")
    after = bank.opened(account_number="7700000003", valid_from=to_date(date(YEAR, 7, 1)))

    assert (same_cash.metadata["shared"], same_number.metadata["shared"]) == ("cash account", "number")
    assert no_cash.code is grpc.StatusCode.INVALID_ARGUMENT
    assert after.account_code == bank.account.account_code


def test_another_treasurys_runs_and_accounts_are_not_found(bank: Bank, line: str, books: Books):
    run = bank.run(bank.order(line))
    stranger = Bank(Unit(books))

    seen = stranger.refused("GetPaymentRun", treasury_pb2.GetPaymentRunRequest(name=run.name), "treasurer")
    used = stranger.refused(
        "CreatePaymentRun",
        stranger.run_request(bank_account_id=bank.account.bank_account_id),
        "treasurer",
    )

    assert seen.code is grpc.StatusCode.NOT_FOUND
    assert used.code is grpc.StatusCode.NOT_FOUND
