"""A payroll run becomes a debt and is paid, on PostgreSQL: N17 and what must be refused."""

from __future__ import annotations

from datetime import date
from uuid import uuid4

import grpc
import pytest

from chassis.testing import Refusal, call_as, refused
from chassis.wire import to_date
from kelola.finance.v1 import account_pb2, budget_pb2, ledger_pb2, payables_pb2
from tests.integration.finance.books import YEAR, Books, minor, rid, rupiah
from tests.integration.finance.funds import Unit, a_document, an_item, new_line
from tests.integration.finance.purchase import rupiah_of

BASE, TAX_ALLOWANCE, HEALTH = "5.1.01.01.01", "5.1.01.01.07", "5.1.01.01.09"
ACCIDENT, DEATH = "5.1.01.01.10", "5.1.01.01.11"
POSITION = budget_pb2.FUNDS_DOCUMENT_KIND_POSITION

# N17, PX03 with tax taken as 15 833: what each line bears.
CHARGES = {
    BASE: ("BASE_PAY", 6_064_308, ""),
    TAX_ALLOWANCE: ("TAX_ALLOWANCE", 15_833, ""),
    HEALTH: ("HEALTH_EMPLOYER", 230_985, "BPJS_HEALTH"),
    ACCIDENT: ("ACCIDENT_EMPLOYER", 9_504, "TASPEN"),
    DEATH: ("DEATH_EMPLOYER", 28_513, "TASPEN"),
}
NET = 5_645_392
WITHHELD = {"TASPEN": 361_170, "BPJS_HEALTH": 57_746, "STATE_TREASURY": 15_833}


class Post:
    """A filled post whose pay for some months is obligated."""

    def __init__(self, unit: Unit, *, months: int = 2, accounts: tuple[str, ...] = tuple(CHARGES)) -> None:
        self.unit = unit
        draft = call_as(
            unit.budget.ImportAppropriation,
            unit.import_request([new_line(100_000_000, line_no=1, account=account) for account in accounts]),
            unit.token("budget_officer"),
        )
        unit.activated(draft.appropriation)
        self.lines = dict(zip(accounts, draft.budget_line_ids, strict=True))
        self.items = {
            account: an_item(line_id, CHARGES[account][1] * months) for account, line_id in self.lines.items()
        }
        request = unit.funds("ObligateFunds", list(self.items.values()), document=a_document(POSITION))
        call_as(unit.budget.ObligateFunds, request, unit.service_token("hr"))

    def run(self, **values) -> payables_pb2.AcceptPayrollRequest:
        """March's run."""
        charges = [
            payables_pb2.PayrollCharge(
                position_document_line_id=self.items[account].document_line_id,
                budget_line_id=line_id,
                amount=rupiah(CHARGES[account][1]),
                component_code=CHARGES[account][0],
                employer_creditor_code=CHARGES[account][2],
            )
            for account, line_id in self.lines.items()
        ]
        return payables_pb2.AcceptPayrollRequest(
            **{
                "agency_id": str(self.unit.agency_id),
                "payroll_run_id": str(uuid4()),
                "payroll_run_number": "GAJI/2025/03",
                "charges": charges,
                "net": rupiah(NET),
                "withholdings": [
                    payables_pb2.Withholding(withholding_code=code, amount=rupiah(amount))
                    for code, amount in WITHHELD.items()
                ],
                "effective_on": to_date(date(YEAR, 3, 1)),
                "due_on": to_date(date(YEAR, 3, 3)),
                "request_id": rid(),
                **values,
            }
        )

    def accepted(self, request: payables_pb2.AcceptPayrollRequest) -> payables_pb2.AcceptPayrollResponse:
        """Accept it as hr's saga does."""
        return call_as(self.unit.payables.AcceptPayroll, request, self.unit.service_token("hr"))

    def refused(self, request: payables_pb2.AcceptPayrollRequest) -> Refusal:
        """It must be refused."""
        return refused(self.unit.payables.AcceptPayroll, request, self.unit.service_token("hr"))


@pytest.fixture
def unit(books: Books) -> Unit:
    return Unit(books)


def test_n17_the_payroll_journal_and_its_payment(unit: Unit):
    post = Post(unit)
    unit.allotted()

    reply = post.accepted(post.run())

    entry = call_as(
        unit.books.ledger.GetJournalEntry,
        ledger_pb2.GetJournalEntryRequest(name=f"journalEntries/{reply.journal_entry_id}"),
        unit.agency.accountant,
    )
    debits = sorted(minor(line.debit) // 100 for line in entry.lines if minor(line.debit))
    assert debits == sorted([6_064_308, 15_833, 230_985, 9_504, 28_513])
    assert sum(debits) == 6_349_143
    assert unit.agency.balances()["2.1.06.01.01"] == -6_349_143_00
    for account, line_id in post.lines.items():
        month = CHARGES[account][1]
        assert unit.figures(line_id) == (0, month, month, 0, 0, 100_000_000 - 2 * month)

    pay, *employer = reply.payables
    assert (pay.source, rupiah_of(pay.amount)) == (payables_pb2.PAYABLE_SOURCE_PAYROLL, 6_080_141)
    assert {one.withholding_code: rupiah_of(one.amount) for one in pay.withholdings} == WITHHELD
    assert {one.creditor: rupiah_of(one.amount) for one in employer} == {
        "BPJS_HEALTH": 230_985,
        "TASPEN": 9_504 + 28_513,
    }

    order = unit.ordered([pay.payable_id], date(YEAR, 3, 3))
    assert (rupiah_of(order.gross), rupiah_of(order.net)) == (6_080_141, NET)
    unit.debited(order)
    rest = unit.ordered([one.payable_id for one in employer], date(YEAR, 3, 4))
    unit.debited(rest)

    assert rupiah_of(rest.net) == rupiah_of(rest.gross) == 269_002
    treasury = {code: amount // 100 for code, amount in unit.treasury.balances().items() if amount}
    assert treasury == {
        "1.1.13.01": 6_349_143,
        "1.1.01.01": -(NET + 269_002),
        "2.1.01.01.01": -361_170,
        "2.1.01.02.01": -57_746,
        "2.1.01.05.01": -15_833,
    }
    realised = unit.agency.balances(basis=account_pb2.BASIS_BUDGET)
    # BEL is gross, though only the net left.
    assert {account: realised[account] // 100 for account in CHARGES} == {
        account: amount for account, (_, amount, _) in CHARGES.items()
    }
    assert unit.problems() == []


def test_a_run_beyond_its_lines_is_refused_whole_with_every_short_line(unit: Unit):
    post = Post(unit, accounts=(BASE, HEALTH))
    request = post.run(net=rupiah(200_000_000 - sum(WITHHELD.values())))
    request.charges[0].amount.CopyFrom(rupiah(200_000_000))
    request.charges[1].amount.CopyFrom(rupiah(150_000_000))

    refusal = post.refused(request)

    assert refusal.reason == "BUDGET_EXCEEDED"
    assert set(refusal.metadata["short_lines"].split(",")) == set(post.lines.values())
    assert unit.figures(post.lines[BASE])[2] == 0
    assert unit.problems() == []


def test_a_run_is_accepted_once(unit: Unit):
    post = Post(unit)
    request = post.run()
    hr = unit.service_token("hr")
    first = call_as(unit.payables.AcceptPayroll, request, hr)
    repeated = call_as(unit.payables.AcceptPayroll, request, hr)
    other_id = payables_pb2.AcceptPayrollRequest()
    other_id.CopyFrom(request)
    other_id.request_id = rid()

    assert repeated == first
    assert post.refused(other_id).reason == "PAYROLL_ALREADY_ACCEPTED"


def test_charges_that_are_not_net_and_withheld_are_refused(unit: Unit):
    post = Post(unit)

    refusal = post.refused(post.run(net=rupiah(NET - 1)))

    assert (refusal.code, refusal.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "PAYROLL_UNBALANCED")


def test_pay_above_what_the_post_obligated_is_taken_from_available(unit: Unit):
    post = Post(unit, months=1, accounts=(BASE,))
    line_id = post.lines[BASE]
    request = post.run(net=rupiah(7_000_000), withholdings=[])
    request.charges[0].amount.CopyFrom(rupiah(7_000_000))

    post.accepted(request)

    assert unit.figures(line_id) == (0, 0, 7_000_000, 0, 0, 93_000_000)


def test_two_hundred_posts_are_accepted_in_one_journal(unit: Unit):
    post = Post(unit, months=2, accounts=(BASE, HEALTH))
    charges = []
    for _ in range(200):
        items = [an_item(post.lines[account], 300_000) for account in (BASE, HEALTH)]
        call_as(
            unit.budget.ObligateFunds,
            unit.funds("ObligateFunds", items, document=a_document(POSITION)),
            unit.service_token("hr"),
        )
        charges += [
            payables_pb2.PayrollCharge(
                position_document_line_id=item.document_line_id,
                budget_line_id=item.budget_line_id,
                amount=rupiah(100_000),
                component_code=CHARGES[account][0],
                employer_creditor_code=CHARGES[account][2],
            )
            for item, account in zip(items, (BASE, HEALTH), strict=True)
        ]

    reply = post.accepted(post.run(charges=charges, net=rupiah(20_000_000), withholdings=[]))

    assert [rupiah_of(payable.amount) for payable in reply.payables] == [20_000_000, 20_000_000]
    assert unit.figures(post.lines[BASE])[1:3] == (2 * 6_064_308 + 200 * 200_000, 20_000_000)
    assert unit.problems() == []
