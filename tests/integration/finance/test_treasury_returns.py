"""Payments that come back after their debit (retur SP2D): expenditure stays, the claim lives on, no line pays twice."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import date

import psycopg
import pytest

from chassis.testing import call_as
from chassis.wire import to_date
from kelola.finance.v1 import budget_pb2, payables_pb2, treasury_events_pb2, treasury_pb2
from tests.integration.finance.bank import CASH, Bank, end_to_end, entry, pain_002, rupiah
from tests.integration.finance.books import YEAR, Books, rid
from tests.integration.finance.funds import Unit

TRANSIT, RTN = "2.1.07.90", "2.1.07.91"
BACK = date(YEAR, 3, 24)
AGAIN = date(YEAR, 3, 25)


@pytest.fixture
def bank(books: Books) -> Bank:
    return Bank(Unit(books))


@pytest.fixture
def line(bank: Bank) -> str:
    (line,) = bank.unit.lines(50_000_000)
    bank.unit.allotted()
    return line


@pytest.fixture
def debited(bank: Bank, line: str) -> tuple[treasury_pb2.PaymentRun, payables_pb2.PaymentOrder]:
    """One order over 100 000 rupiah that the bank debited."""
    order = bank.order(line)
    run = bank.sent(order)
    bank.imported(bank.statement([entry(100_000, e2e=end_to_end(run, order))], opening=0, closing=-100_000))
    return run, order


def came_back(run: treasury_pb2.PaymentRun, order: payables_pb2.PaymentOrder, **values: object) -> str:
    """The entry of the money that came back."""
    reason = "<RtrInf><Rsn><Cd>AC01</Cd></Rsn></RtrInf>"
    return entry(100_000, debit=False, e2e=end_to_end(run, order), on=BACK, detail=reason, **values)  # type: ignore[arg-type]


def figures(bank: Bank, line: str) -> budget_pb2.BudgetLine:
    """The budget line as it stands."""
    seen = call_as(
        bank.unit.budget.GetBudgetLine,
        budget_pb2.GetBudgetLineRequest(name=f"budgetLines/{line}"),
        bank.unit.token("budget_officer"),
    )
    seen.etag = ""
    return seen


def creditor(bank: Bank, order: payables_pb2.PaymentOrder) -> str:
    return bank.row(
        "select creditor from payment_order_item join payable using (payable_id) where payment_order_id = %s",
        order.payment_order_id,
    )[0]


def reissue(
    bank: Bank, returned: treasury_pb2.PaymentReturn, account: treasury_pb2.PayeeAccount, on: date = AGAIN
) -> treasury_pb2.ReissuePaymentRequest:
    return treasury_pb2.ReissuePaymentRequest(
        name=returned.name, payee_account=account.name, reissued_on=to_date(on), request_id=rid()
    )


def reissued(bank: Bank, order: payables_pb2.PaymentOrder, **account: object) -> treasury_pb2.PaymentReturn:
    """The open return of an order, ordered anew to a corrected account."""
    (returned,) = [one for one in bank.returns() if one.payment_order_id == order.payment_order_id and one.status == 1]
    corrected = bank.payee(creditor(bank, order), **account)
    return bank.did("ReissuePayment", reissue(bank, returned, corrected), "treasurer").payment_return


def by_hand(order: payables_pb2.PaymentOrder, **values: object) -> treasury_pb2.RecordPaymentReturnRequest:
    return treasury_pb2.RecordPaymentReturnRequest(
        **{
            "payment_order": order.name,
            "bank_reference": "LETTER-1",
            "explanation": "account closed",
            "returned_on": to_date(BACK),
            "amount": order.net,
            "request_id": rid(),
            **values,
        }
    )


def events(bank: Bank, key: str) -> list[tuple[str, int]]:
    with psycopg.connect(bank.unit.books.superuser_url) as connection:
        rows = connection.execute("select type, sequence from outbox where key = %s order by id", (key,)).fetchall()
    return [(row[0].rpartition(".")[2], row[1]) for row in rows]


def test_a_return_and_its_reissue_never_touch_the_budget_line(bank: Bank, line: str, debited):
    run, order = debited
    paid = figures(bank, line)
    bank.imported(bank.statement([came_back(run, order)], opening=-100_000, closing=0, on=BACK))
    after_return = (figures(bank, line), bank.balance(CASH), bank.balance(RTN), bank.balance(TRANSIT))

    returned = reissued(bank, order)
    after_reissue = (figures(bank, line), bank.balance(CASH), bank.balance(RTN), bank.balance(TRANSIT))
    second = bank.sent(execution_on=to_date(AGAIN))
    bank.imported(
        bank.statement([entry(100_000, e2e=end_to_end(second, order), on=AGAIN)], opening=0, closing=-100_000, on=AGAIN)
    )
    after_debit = (figures(bank, line), bank.balance(CASH), bank.balance(RTN), bank.balance(TRANSIT))

    assert paid.figures.paid.units == 100_000
    assert after_return == (paid, 0, -100_000, 0)
    assert after_reissue == (paid, 0, 0, -100_000)
    assert after_debit == (paid, -100_000, 0, 0)
    assert [one.status for one in bank.returns()] == [treasury_pb2.PAYMENT_RETURN_STATUS_PAID]
    assert bank.status(order) == "DEBITED"
    assert [name for name, _ in events(bank, returned.payment_return_id)] == [
        "PaymentReturned",
        "PaymentReissued",
        "ReissuedPaymentMade",
    ]
    sequences = [sequence for _, sequence in events(bank, returned.payment_return_id)]
    assert sequences == sorted(set(sequences))
    assert bank.reconciled().difference.units == 0
    assert bank.problems() == []


def test_the_event_of_a_return_says_whose_payment_came_back(bank: Bank, debited):
    run, order = debited
    bank.imported(bank.notification([came_back(run, order)]))
    (returned,) = bank.returns()

    body, agency_id = bank.row("select body, agency_id from outbox where key = %s", returned.payment_return_id)
    event = treasury_events_pb2.PaymentReturned.FromString(body)

    assert (event.payment_order_id, event.order_number) == (order.payment_order_id, order.order_number)
    assert (event.amount.units, event.explanation) == (100_000, "AC01")
    assert str(agency_id) == event.agency_id == str(bank.unit.agency_id)


def test_debited_then_rejected_is_a_return_and_the_money_is_counted_once(bank: Bank, debited):
    run, order = debited
    e2e = end_to_end(run, order)

    rejected = bank.outcomes(pain_002(run, [(e2e, "RJCT")], on=BACK))
    again = bank.outcomes(pain_002(run, [(e2e, "RJCT")], on=BACK))
    announced = bank.reconciled().in_books_only.units
    money = bank.outcomes(bank.statement([came_back(run, order)], opening=-100_000, closing=0, on=BACK))
    twice = bank.outcomes(bank.statement([came_back(run, order)], opening=0, closing=100_000, on=BACK))

    assert (rejected, again, money, twice) == (["RETURNED"], ["REPEATED"], ["CONFIRMED"], ["CONTRADICTED"])
    assert announced == 100_000
    assert (bank.balance(CASH), bank.balance(RTN)) == (0, -100_000)
    assert bank.status(order) == "DEBITED"
    assert bank.problems() == []


def test_money_back_first_and_the_status_late_is_one_return(bank: Bank, debited):
    run, order = debited

    money = bank.outcomes(bank.notification([came_back(run, order)]))
    status = bank.outcomes(pain_002(run, [(end_to_end(run, order), "RJCT")], on=AGAIN))

    assert (money, status) == (["RETURNED"], ["REPEATED"])
    assert len(bank.returns()) == 1
    assert bank.problems() == []


def test_debit_and_return_on_one_statement_in_any_order(bank: Bank, line: str):
    order = bank.order(line)
    run = bank.sent(order)
    both = [came_back(run, order), entry(100_000, e2e=end_to_end(run, order))]

    outcomes = bank.outcomes(bank.statement(both, opening=0, closing=0, on=BACK))

    assert sorted(outcomes) == ["DEBITED", "RETURNED"]
    assert (bank.balance(CASH), bank.balance(RTN)) == (0, -100_000)
    assert bank.problems() == []


def test_a_bank_that_tells_the_return_eight_times_at_once_is_believed_once(bank: Bank, debited):
    run, order = debited
    files = [pain_002(run, [(end_to_end(run, order), "RJCT")], on=BACK) for _ in range(4)]
    files += [bank.notification([came_back(run, order)]) for _ in range(4)]
    token = bank.token("reconciler")

    def send(file: str) -> int:
        return call_as(bank.stub.ImportBankFile, bank.import_request(file), token).bank_file.answers[0].outcome

    with ThreadPoolExecutor(8) as pool:
        outcomes = [treasury_pb2.BankAnswerOutcome.Name(one).rpartition("_")[2] for one in pool.map(send, files)]

    # Four statuses and four bookings of different references: one return, one booking that stands for it.
    assert outcomes.count("RETURNED") == 1
    assert (bank.balance(CASH), bank.balance(RTN)) == (0, -100_000)
    assert len(bank.returns()) == 1
    assert bank.problems() == []


def test_a_return_told_by_letter_is_recorded_once_and_confirmed_by_the_statement(bank: Bank, debited):
    run, order = debited

    first = bank.did("RecordPaymentReturn", by_hand(order), "reconciler").payment_return
    again = bank.did("RecordPaymentReturn", by_hand(order), "reconciler").payment_return
    another = bank.refused("RecordPaymentReturn", by_hand(order, bank_reference="LETTER-2"), "reconciler")
    money = bank.outcomes(bank.statement([came_back(run, order)], opening=-100_000, closing=0, on=BACK))

    assert first == again
    assert another.reason == "RETURN_NOT_POSSIBLE"
    assert money == ["CONFIRMED"]
    assert bank.problems() == []


def test_what_was_not_debited_and_what_comes_back_in_part_is_no_return(bank: Bank, line: str, debited):
    _, order = debited
    issued = bank.order(line)

    not_debited = bank.refused("RecordPaymentReturn", by_hand(issued), "reconciler")
    in_part = bank.refused("RecordPaymentReturn", by_hand(order, amount=rupiah(60_000)), "reconciler")
    early = bank.refused("RecordPaymentReturn", by_hand(order, returned_on=to_date(date(YEAR, 3, 1))), "reconciler")

    assert (not_debited.reason, in_part.reason) == ("RETURN_NOT_POSSIBLE", "RETURN_NOT_POSSIBLE")
    assert early.fields == ("returned_on",)


def test_a_reissue_goes_to_an_approved_account_of_the_same_creditor_only(bank: Bank, debited):
    run, order = debited
    bank.imported(bank.notification([came_back(run, order)]))
    (returned,) = bank.returns()
    proposed = bank.did("CreatePayeeAccount", bank.payee_account(creditor(bank, order)), "treasurer")
    somebody_elses = bank.payee("SUPPLIER-Z")

    refusals = [
        bank.refused("ReissuePayment", reissue(bank, returned, account), "treasurer").reason
        for account in (proposed, somebody_elses)
    ]
    reissued(bank, order)
    (open_return,) = bank.returns()
    twice = bank.refused("ReissuePayment", reissue(bank, open_return, somebody_elses), "treasurer")

    assert refusals == ["PAYEE_ACCOUNT_INVALID", "PAYEE_ACCOUNT_INVALID"]
    assert twice.reason == "OUT_OF_TURN"


def test_a_reissue_that_the_bank_rejects_leaves_the_claim_open(bank: Bank, line: str, debited):
    run, order = debited
    paid = figures(bank, line)
    bank.imported(bank.notification([came_back(run, order)]))
    reissued(bank, order)
    second = bank.sent(execution_on=to_date(AGAIN))

    outcomes = bank.outcomes(pain_002(second, [(end_to_end(second, order), "RJCT")], on=AGAIN))

    assert outcomes == ["REJECTED"]
    assert (bank.balance(RTN), bank.balance(TRANSIT)) == (-100_000, 0)
    assert [one.status for one in bank.returns()] == [treasury_pb2.PAYMENT_RETURN_STATUS_RETURNED]
    assert figures(bank, line) == paid
    assert bank.problems() == []


def test_a_payment_that_comes_back_twice_can_be_ordered_anew_twice(bank: Bank, line: str, debited):
    run, order = debited
    paid = figures(bank, line)
    for back in (BACK, AGAIN):
        money = entry(100_000, debit=False, e2e=end_to_end(run, order), on=back)
        bank.imported(bank.notification([money]))
        reissued(bank, order)
        run = bank.sent(execution_on=to_date(AGAIN))
        bank.imported(bank.notification([entry(100_000, e2e=end_to_end(run, order), on=AGAIN)]))

    assert [one.status for one in bank.returns()] == [treasury_pb2.PAYMENT_RETURN_STATUS_PAID] * 2
    assert (bank.balance(CASH), bank.balance(RTN), bank.balance(TRANSIT)) == (-100_000, 0, 0)
    assert figures(bank, line) == paid
    assert bank.problems() == []


def test_an_old_answer_after_the_reissue_concerns_the_old_payment(bank: Bank, debited):
    run, order = debited
    bank.imported(bank.notification([came_back(run, order)]))
    reissued(bank, order)
    second = bank.sent(execution_on=to_date(AGAIN))

    late = bank.outcomes(pain_002(run, [(end_to_end(run, order), "RJCT")], on=AGAIN))
    debit = bank.outcomes(bank.notification([entry(100_000, e2e=end_to_end(second, order), on=AGAIN)]))

    assert (late, debit) == (["REPEATED"], ["DEBITED"])
    assert bank.balance(CASH) == -100_000
    assert bank.problems() == []


def test_an_unnamed_credit_is_suggested_and_returned_by_hand(bank: Bank, debited):
    _, order = debited
    bank.imported(
        bank.statement(
            [entry(100_000, debit=False, text=f"RETUR {order.order_number[:5]}", on=BACK)],
            opening=-100_000,
            closing=0,
            on=BACK,
        )
    )
    (found,) = bank.unmatched()

    bank.did("MatchBankEntry", bank.match(found, order), "reconciler")
    (returned,) = bank.returns()

    assert [one.payment_order_id for one in found.suggestions] == [order.payment_order_id]
    assert returned.status == treasury_pb2.PAYMENT_RETURN_STATUS_RETURNED
    assert bank.problems() == []
