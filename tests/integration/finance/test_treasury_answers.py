"""The bank's answers on PostgreSQL: each is a fact with one effect, however late, often or contradictory it comes."""

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor
from datetime import date

import grpc
import psycopg
import pytest

from chassis.testing import call_as, refusal
from kelola.finance.v1 import payables_pb2, treasury_pb2
from tests.integration.finance.bank import CASH, Bank, end_to_end, entry, pain_002
from tests.integration.finance.books import YEAR, Books
from tests.integration.finance.funds import Unit
from tests.unit.finance.bank_samples import mutated

TRANSIT = "2.1.07.90"


@pytest.fixture
def bank(books: Books) -> Bank:
    return Bank(Unit(books))


@pytest.fixture
def line(bank: Bank) -> str:
    (line,) = bank.unit.lines(50_000_000)
    bank.unit.allotted()
    return line


@pytest.fixture
def sent(bank: Bank, line: str) -> tuple[treasury_pb2.PaymentRun, payables_pb2.PaymentOrder]:
    """One order at the bank, over 100 000 rupiah."""
    order = bank.order(line)
    return bank.sent(order), order


def events(bank: Bank, key: str) -> list[str]:
    with psycopg.connect(bank.unit.books.superuser_url) as connection:
        rows = connection.execute("select type from outbox where key = %s order by id", (key,)).fetchall()
    return [row[0].rpartition(".")[2] for row in rows]


# --- status reports -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("edition", ["03", "10"])
def test_accepted_moves_no_money_and_rejected_opens_the_payable(bank: Bank, line: str, edition: str):
    accepted, rejected = bank.order(line), bank.order(line, 2)
    run = bank.sent(accepted, rejected)
    statuses = [(end_to_end(run, accepted), "ACSC"), (end_to_end(run, rejected), "RJCT")]

    outcomes = bank.outcomes(pain_002(run, statuses, edition=edition))

    assert sorted(outcomes) == ["ACCEPTED", "REJECTED"]
    assert (bank.status(accepted), bank.status(rejected)) == ("ISSUED", "REJECTED")
    seen = {one.payment_order_id: one.status for one in bank.seen_run(run).instructions}
    assert seen[accepted.payment_order_id] == treasury_pb2.PAYMENT_INSTRUCTION_STATUS_ACCEPTED
    assert seen[rejected.payment_order_id] == treasury_pb2.PAYMENT_INSTRUCTION_STATUS_REJECTED
    assert events(bank, rejected.payment_order_id) == ["PaymentOrdered", "PaymentRejected"]
    assert bank.problems() == []


def test_accepted_then_rejected_is_rejected(bank: Bank, sent):
    run, order = sent
    e2e = end_to_end(run, order)

    outcomes = [
        bank.outcomes(pain_002(run, [(e2e, code)]))[0] for code in ("ACTC", "ACCP", "RJCT", "RJCT", "ACSC", "PDNG")
    ]

    assert outcomes == ["NOTED", "ACCEPTED", "REJECTED", "REPEATED", "CONTRADICTED", "NOTED"]
    assert bank.status(order) == "REJECTED"
    assert bank.problems() == []


def test_a_status_of_the_whole_message_holds_for_what_it_does_not_name(bank: Bank, line: str):
    orders = [bank.order(line), bank.order(line), bank.order(line)]
    run = bank.sent(*orders)

    outcomes = bank.outcomes(pain_002(run, [(end_to_end(run, orders[0]), "ACCP")], group="RJCT"))

    assert sorted(outcomes) == ["ACCEPTED", "REJECTED", "REJECTED"]
    assert [bank.status(order) for order in orders] == ["ISSUED", "REJECTED", "REJECTED"]


def test_a_status_of_nothing_known_has_no_effect(bank: Bank, sent):
    run, order = sent

    outcomes = bank.outcomes(pain_002(run, [("SOMEBODY-ELSES", "RJCT"), ("0" * 32, "RJCT")]))

    assert outcomes == ["UNMATCHED", "UNMATCHED"]
    assert bank.status(order) == "ISSUED"


# --- debits ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("edition", ["02", "08"])
def test_a_booked_debit_pays_the_order_through_the_accounts_own_cash(books: Books, edition: str):
    bank = Bank(Unit(books), account_code="1.1.01.07")
    (line,) = bank.unit.lines(5_000_000)
    bank.unit.allotted()
    order = bank.order(line)
    run = bank.sent(order)
    debit = entry(100_000, e2e=end_to_end(run, order), edition=edition)

    file = bank.imported(bank.statement([debit], opening=500_000, closing=400_000, edition=edition)).bank_file
    listed = bank.did(
        "ListBankEntries",
        treasury_pb2.ListBankEntriesRequest(bank_account_id=bank.account.bank_account_id),
        "reconciler",
    ).bank_entries

    assert bank.status(order) == "DEBITED"
    assert (bank.balance("1.1.01.07"), bank.balance(CASH), bank.balance(TRANSIT)) == (-100_000, 0, 0)
    assert [one.status for one in listed] == [treasury_pb2.BANK_ENTRY_STATUS_MATCHED]
    assert listed[0].bank_statement_id == file.bank_statement_ids[0]
    assert events(bank, order.payment_order_id) == ["PaymentOrdered", "PaymentMade"]
    assert bank.problems() == []


def test_the_same_file_by_eight_callers_at_once_is_one_effect(bank: Bank, sent):
    run, order = sent
    file = bank.statement([entry(100_000, e2e=end_to_end(run, order))], opening=0, closing=-100_000)
    token = bank.token("reconciler")

    def send(_: int) -> treasury_pb2.ImportBankFileResponse:
        return call_as(bank.stub.ImportBankFile, bank.import_request(file), token)

    with ThreadPoolExecutor(8) as pool:
        replies = list(pool.map(send, range(8)))
    later = bank.imported(file)

    assert sorted(reply.already_imported for reply in replies) == [False, *[True] * 7]
    assert later.already_imported
    assert {reply.bank_file.SerializeToString() for reply in [*replies, later]} == {later.bank_file.SerializeToString()}
    assert bank.balance(CASH) == -100_000
    assert bank.problems() == []


def test_the_same_entry_in_two_files_at_once_is_one_effect(bank: Bank, sent):
    run, order = sent
    debit = entry(100_000, e2e=end_to_end(run, order))
    token = bank.token("reconciler")

    def send(file: str) -> treasury_pb2.ImportBankFileResponse:
        return call_as(bank.stub.ImportBankFile, bank.import_request(file), token)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(send, [bank.notification([debit]) for _ in range(4)]))

    assert bank.status(order) == "DEBITED"
    assert bank.balance(CASH) == -100_000
    assert bank.row("select count(*) from bank_entry where agency_id = %s", bank.treasury_id) == (1,)
    assert bank.problems() == []


def test_a_notification_and_then_the_statement_tell_one_debit(bank: Bank, sent):
    run, order = sent
    debit = entry(100_000, e2e=end_to_end(run, order))

    first = bank.outcomes(bank.notification([debit]))
    second = bank.outcomes(bank.statement([debit], opening=0, closing=-100_000))

    assert (first, second) == (["DEBITED"], ["REPEATED"])
    assert bank.balance(CASH) == -100_000
    assert bank.reconciled().difference.units == 0
    assert bank.problems() == []


def test_what_a_person_recorded_is_confirmed_and_not_doubled(bank: Bank, sent):
    run, order = sent
    bank.unit.debited(order)

    outcomes = bank.outcomes(bank.statement([entry(100_000, e2e=end_to_end(run, order))], opening=0, closing=-100_000))

    assert outcomes == ["CONFIRMED"]
    assert bank.balance(CASH) == -100_000
    assert bank.seen_run(run).instructions[0].status == treasury_pb2.PAYMENT_INSTRUCTION_STATUS_DEBITED
    assert bank.problems() == []


def test_an_order_that_was_in_no_run_is_found_by_its_number(bank: Bank, line: str):
    order = bank.order(line)

    outcomes = bank.outcomes(
        bank.statement([entry(100_000, text=f"SP2D {order.order_number} LS")], opening=0, closing=-100_000)
    )

    assert outcomes == ["DEBITED"]
    assert bank.status(order) == "DEBITED"
    assert bank.problems() == []


def test_a_second_debit_another_amount_and_a_stranger_wait_for_a_person(bank: Bank, line: str, sent):
    run, order = sent
    other = bank.order(line, 3)
    other_run = bank.sent(other)
    e2e = end_to_end(run, order)
    entries = [
        entry(100_000, e2e=e2e),
        entry(100_000, e2e=e2e),
        entry(299_999, e2e=end_to_end(other_run, other)),
        entry(7_000, text="biaya administrasi"),
    ]

    outcomes = bank.outcomes(bank.statement(entries, opening=0, closing=-506_999))

    assert sorted(outcomes) == ["CONTRADICTED", "DEBITED", "UNMATCHED", "UNMATCHED"]
    assert (bank.status(order), bank.status(other)) == ("DEBITED", "ISSUED")
    assert bank.balance(CASH) == -100_000
    assert len(bank.unmatched()) == 3
    assert bank.problems() == []


def test_a_debit_after_a_rejection_is_a_contradiction_that_moves_nothing(bank: Bank, sent):
    run, order = sent
    e2e = end_to_end(run, order)
    bank.outcomes(pain_002(run, [(e2e, "RJCT")]))

    outcomes = bank.outcomes(bank.statement([entry(100_000, e2e=e2e)], opening=0, closing=-100_000))

    assert outcomes == ["CONTRADICTED"]
    assert bank.balance(CASH) == 0
    assert bank.reconciled().on_statement_only.units == -100_000
    assert bank.problems() == []


def test_an_entry_of_a_day_before_the_order_does_not_hold_up_its_file(bank: Bank, line: str, sent):
    run, order = sent
    other = bank.order(line)
    other_run = bank.sent(other)
    early = entry(100_000, e2e=end_to_end(run, order), on=date(YEAR, 3, 1))

    outcomes = bank.outcomes(bank.notification([early, entry(100_000, e2e=end_to_end(other_run, other))]))

    assert sorted(outcomes) == ["CONTRADICTED", "DEBITED"]
    assert (bank.status(order), bank.status(other)) == ("ISSUED", "DEBITED")


def test_pending_entries_have_no_effect_and_are_counted(bank: Bank, sent):
    run, order = sent
    pending = entry(100_000, e2e=end_to_end(run, order), status="PDNG")

    reply = bank.imported(bank.statement([pending], opening=0, closing=0))

    assert (reply.bank_file.ignored_count, list(reply.bank_file.answers)) == (1, [])
    assert bank.status(order) == "ISSUED"


def test_a_collected_booking_is_read_as_its_transactions(bank: Bank, line: str):
    orders = [bank.order(line, 1), bank.order(line, 2)]
    run = bank.sent(*orders)
    details = "".join(
        f"<TxDtls><Refs><EndToEndId>{end_to_end(run, order)}</EndToEndId></Refs>"
        f'<Amt Ccy="IDR">{order.net.units}.00</Amt><CdtDbtInd>DBIT</CdtDbtInd></TxDtls>'
        for order in orders
    )
    batch = entry(300_000, detail="").replace("</Ntry>", f"<NtryDtls>{details}</NtryDtls></Ntry>")

    outcomes = bank.outcomes(bank.statement([batch], opening=0, closing=-300_000))

    assert outcomes == ["DEBITED", "DEBITED"]
    assert bank.balance(CASH) == -300_000
    assert bank.problems() == []


def test_debits_told_by_a_statement_and_by_hand_at_once_happen_once(bank: Bank, line: str):
    orders = [bank.order(line) for _ in range(6)]
    run = bank.sent(*orders)
    debits = [entry(100_000, e2e=end_to_end(run, order)) for order in orders]
    file = bank.statement(debits, opening=0, closing=-600_000)

    def by_hand(order: payables_pb2.PaymentOrder) -> str:
        try:
            bank.unit.debited(order)
        except grpc.RpcError as failure:
            return refusal(failure).reason
        return "DONE"

    with ThreadPoolExecutor(7) as pool:
        imported = pool.submit(bank.outcomes, file)
        hands = list(pool.map(by_hand, orders))

    assert set(imported.result()) <= {"DEBITED", "CONFIRMED"}
    assert set(hands) <= {"DONE", "BANK_CONTRADICTION"}
    assert imported.result().count("CONFIRMED") == hands.count("DONE")
    assert bank.balance(CASH) == -600_000
    assert bank.problems() == []


def test_mutated_files_never_end_in_an_error_of_the_server(bank: Bank, line: str):
    """Over the wire: read and taken in, or refused by name; whatever came in, the books agree with the bank."""
    seed = random.SystemRandom().randrange(10**9)
    print(f"seed {seed}")
    chance = random.Random(seed)
    orders = [bank.order(line) for _ in range(4)]
    run = bank.sent(*orders)
    names = [end_to_end(run, order) for order in orders]
    debits = [entry(100_000, e2e=name) for name in names]
    originals = [
        bank.notification(debits),
        bank.statement(debits, opening=0, closing=-400_000),
        pain_002(run, [(name, "RJCT") for name in names]),
        pain_002(run, group="RJCT"),
    ]
    token, outcomes = bank.token("reconciler"), []

    for _ in range(200):
        content = mutated(chance, chance.choice(originals).encode())
        try:
            call_as(bank.stub.ImportBankFile, bank.import_request(content or b" "), token)
        except grpc.RpcError as failure:
            outcomes.append(failure.code())
        else:
            outcomes.append(grpc.StatusCode.OK)

    allowed = {
        grpc.StatusCode.OK,
        grpc.StatusCode.INVALID_ARGUMENT,
        grpc.StatusCode.NOT_FOUND,
        grpc.StatusCode.FAILED_PRECONDITION,
        grpc.StatusCode.OUT_OF_RANGE,
    }
    assert set(outcomes) <= allowed, outcomes
    assert grpc.StatusCode.OK in outcomes
    assert bank.reconciled().unexplained.units == 0
    assert bank.problems() == []
