"""The demo year on a system of its own: its figures agree with one another, and a second run changes nothing."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any, cast
from xml.etree import ElementTree

import pytest
from google.protobuf.message import Message

from chassis.local.broker import BrokerKind
from cli.connect import system_of
from cli.demo.acting import Government
from cli.demo_year import cast as year_cast
from cli.demo_year import story
from cli.demo_year.clock import YearPlatform
from tests.conftest import BROKER
from tests.system import books
from tests.unit.finance.iso20022 import schema_problems

pytestmark = [pytest.mark.broker, pytest.mark.slow, pytest.mark.timeout(1800)]

_BUCKETS = ("reserved", "obligated", "advanced", "expended", "ordered", "paid")
# Who makes a paper and who checks it; no person of the story does both.
_APART = (
    ("CreateBudgetCeiling", "ApproveBudgetCeiling"),
    ("CreateBudgetRequest", "ReviewBudgetRequest"),
    ("ReviewBudgetRequest", "ApproveBudgetRequest"),
    ("AppropriateBudgetRequest", "ActivateAppropriation"),
    ("ImportAppropriation", "ActivateAppropriation"),
    ("CreateBudgetChange", "ApproveBudgetChange"),
    ("CreateBudgetOverride", "ApproveBudgetOverride"),
    ("CreateRequisition", "ApproveRequisition"),
    ("CreatePurchaseOrder", "ApprovePurchaseOrder"),
    ("CreateReceipt", "AcceptReceipt"),
    ("CreateInvoice", "ApproveInvoice"),
    ("CreateBill", "CertifyBill"),
    ("CreatePaymentRequest", "VerifyPaymentRequest"),
    ("VerifyPaymentRequest", "AuthorisePaymentRequest"),
    ("AuthorisePaymentRequest", "IssuePaymentOrder"),
    ("CreatePayeeAccount", "ApprovePayeeAccount"),
    ("CreatePaymentRun", "ApprovePaymentRun"),
    ("IssuePaymentOrder", "ImportBankFile"),
    ("CreateImprestVoucher", "PayImprestVoucher"),
    ("SoftCloseFiscalPeriod", "HardCloseFiscalPeriod"),
    ("CreateBudgetYearEnd", "ApproveBudgetYearEnd"),
    ("CreateMultiYearAuthorisation", "ApproveMultiYearAuthorisation"),
)


@dataclass
class Told:
    """The year as it was lived, and the system on which it was."""

    platform: YearPlatform
    government: Government
    folder: Path
    summary: dict[str, Any] = field(default_factory=dict)
    callers: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))

    def live(self) -> dict[str, Any]:
        """All acts, from the first one on; the summary as it is written."""
        summary = story.live(self.platform, self.government, self.folder, print)
        loaded: dict[str, Any] = json.loads(json.dumps(summary))
        return loaded

    def witness(self, method: str, request: Message, reply: Message, by: str) -> None:
        """Note who called what."""
        self.callers[method.rpartition("/")[2]].add(by)

    def act(self, title: str) -> list[dict[str, Any]]:
        """The rows of one act."""
        (found,) = [act["rows"] for act in self.summary["acts"] if act["act"] == title]
        return cast("list[dict[str, Any]]", found)

    def line(self, year: int, account: str) -> dict[str, Decimal]:
        """The figures of the health office's line of an account, in rupiah."""
        (row,) = [
            row
            for row in self.summary["lines"]
            if (row["year"], row["unit"], row["account"], row["line_no"]) == (year, year_cast.HEALTH, account, 1)
        ]
        return {name: _amount(value) for name, value in row.items() if str(value).startswith("IDR")}


@pytest.fixture(scope="module")
def told(scratch: Path) -> Iterator[Told]:
    """The year lived once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KELOLA_HOME", str(scratch / "year"))
        with story.at_home() as directory:
            platform = YearPlatform(directory, broker=cast("BrokerKind", BROKER), say=print)
            platform.begin(year_cast.JANUARY)
            with platform, system_of(platform) as system:
                one = Told(platform, Government(system), scratch / "year-files")
                one.government.witness = one.witness
                one.summary = one.live()
                yield one


def _amount(shown: str) -> Decimal:
    """`IDR 1 234.50` -> 1234.50."""
    return Decimal(shown.removeprefix("IDR").replace("\u00a0", "").replace(" ", ""))


def test_every_act_ended_with_every_invariant_holding(told):
    assert len(told.summary["acts"]) > 35
    assert {act["problems"] for act in told.summary["acts"]} == {0}


def test_f1_to_f4_hold_on_every_line_of_both_years(told):
    lines = told.summary["lines"]

    assert {line["year"] for line in lines} == {2025, 2026}
    assert len(lines) == 62
    for line in lines:
        figures = {name: _amount(value) for name, value in line.items() if str(value).startswith("IDR")}
        used = sum(figures[name] for name in _BUCKETS)
        assert figures["revised"] - figures["frozen"] + figures["override"] == figures["available"] + used, line
        assert figures["advanced"] + figures["ordered"] + figures["paid"] <= figures["released"], line
        assert figures["available"] >= 0, line


def test_f5_and_f6_what_is_expended_is_owed_and_what_is_paid_is_realised(told):
    by_unit = {row["unit"]: row for row in told.summary["identities"]}

    assert set(by_unit) == set(year_cast.LINES)
    for row in by_unit.values():
        assert (row["expended"], row["advanced"], row["paid and advanced"]) == (
            row["owed"],
            row["prepaid"],
            row["realised"],
        )
    # The retention of the building, 5 % of 6 000 000 000, is owed until its maintenance ends.
    assert _amount(by_unit[year_cast.HEALTH]["owed"]) == 300_000_000
    # What rupiah and dollars paid in the first year, the first slice of the contract of three years; in the second year
    # the rest of the advice, and what is built of the second slice.
    first, second = 7_827_945_000 + 15_350_000 + 3_000_000_000, 2_000_000_000 + 1_500_000_000
    assert _amount(by_unit[year_cast.HEALTH]["realised"]) == first + second


def test_f7_the_year_ends_as_paid_lapsed_and_carried_and_what_is_carried_out_is_carried_in(told):
    ended = [line for line in told.summary["lines"] if line["closed"]]

    assert len(ended) == 31
    for line in ended:
        whole = sum(_amount(line[name]) for name in ("paid", "lapsed", "carried_out"))
        assert _amount(line["revised"]) == whole, line
    assert sum(_amount(line["virement"]) for line in told.summary["lines"]) == 0
    carried = told.summary["carried"]
    # The rest of the advice contract (O) and the retention of the building (E).
    assert _amount(carried["out"]) == _amount(carried["in"]) == 2_000_000_000 + 300_000_000
    assert sum(_amount(line["carried_in"]) for line in told.summary["lines"]) == _amount(carried["in"])


def test_what_all_currencies_are_worth_balances_on_each_basis(told):
    balances = told.summary["trial_balance"]

    assert {(row["basis"], row["currency"]) for row in balances} == {
        ("BUDGET", "IDR"),
        ("ACCRUAL", "IDR"),
        ("ACCRUAL", "USD"),
        ("ACCRUAL", "SGD"),
    }
    assert all(row["debit"] == row["credit"] for row in balances if row["basis"] == "BUDGET")
    for basis in ("BUDGET", "ACCRUAL"):
        assert sum(_amount(row["worth"]) for row in balances if row["basis"] == basis) == 0
    # 1 000 dollars left the treasury for an expense that the books have in rupiah.
    (dollars,) = [row for row in balances if row["currency"] == "USD"]
    assert (dollars["debit"], dollars["credit"]) == ("USD 27 000", "USD 28 000")


def test_a_transfer_and_the_supplementary_budget_stand_on_their_lines(told):
    travel, stationery = told.line(2025, "5.1.02.04.01.0001"), told.line(2025, "5.1.02.01.01.0024")
    paper, advice = told.line(2025, "5.1.02.01.01.0025"), told.line(2025, "5.1.02.02.08.0018")

    assert (travel["virement"], stationery["virement"]) == (-25_000_000, 25_000_000)
    assert (paper["original"], paper["revised"]) == (0, 25_000_000)
    assert advice["revised"] - advice["original"] == 1_500_000_000


def test_what_was_refused_passes_under_an_override_and_the_supplement_covers_it(told):
    (refused,) = told.act("An order beyond its line is refused")
    (passed,) = told.act("Under an override it passes")
    (covered,) = told.act("The supplementary budget covers it")
    meals = told.line(2025, "5.1.02.01.01.0053")

    # 10 packs at 4 950 000 and 11 % tax. Of the line of 45 900 000 are 44 400 000 reserved for them.
    assert Decimal(refused["asked"]) == 54_945_000 - 44_400_000
    assert (Decimal(refused["available"]), Decimal(refused["short_by"])) == (1_500_000, 9_045_000)
    assert passed["order"] != refused["order"]
    assert (_amount(passed["granted"]), covered["override"]) == (9_045_000, "CLOSED")
    assert (meals["override"], meals["revised"], meals["paid"]) == (0, 54_945_000, 54_945_000)


def test_a_rejected_payment_opens_its_payable_again_and_is_paid_by_a_new_order(told):
    first = {row["payment"]: row for row in told.act("The bank pays two and rejects one before its debit")}
    (again,) = told.act("Ordered anew, and debited")

    assert {row["status"] for row in first.values()} == {"REJECTED", "DEBITED"}
    (rejected,) = [row for row in first.values() if row["status"] == "REJECTED"]
    assert (again["status"], again["gross"]) == ("DEBITED", rejected["gross"])
    assert again["order"] != rejected["order"]


def test_what_was_carried_is_billed_and_paid_in_the_second_year(told):
    advice = told.line(2026, "5.1.02.02.08.0018")
    paid, _ = told.act("And both paid there")

    assert (advice["carried_in"], advice["obligated"], advice["paid"]) == (2_000_000_000, 0, 2_000_000_000)
    assert (paid["status"], paid["order"].endswith("/2026")) == ("DEBITED", True)
    assert _amount(paid["gross"]) == 2_000_000_000


def test_foreign_balances_follow_the_rate_of_each_months_end(told):
    rows = told.act("Foreign balances from September to December")

    assert {row["balance"].split()[0] for row in rows} == {"USD", "SGD"}
    # 12 500 USD: a month's rate rises by 42.25; 8 200 SGD: it falls by 18.40.
    assert {(row["balance"][:3], _amount(row["difference"])) for row in rows} == {
        ("USD", Decimal("528125")),
        ("SGD", Decimal("-150880")),
    }


def test_n5_what_is_ordered_in_dollars_is_paid_in_dollars_and_the_line_bears_every_difference(told):
    rows = told.act("What the line bore (N5)")
    (paid,) = told.act("The training paid from the treasury's dollar account")
    account, line_no = year_cast.TRAINING
    (line,) = [
        row
        for row in told.summary["lines"]
        if (row["year"], row["unit"], row["account"], row["line_no"]) == (2025, year_cast.HEALTH, account, line_no)
    ]

    assert [
        (row["day"], row["movement"], row["stands as"], _amount(row["taken from available"]) // 1000) for row in rows
    ] == [
        ("2025-03-10", "RESERVE", "reserved", 15_000),
        ("2025-03-10", "OBLIGATE", "obligated", 15_000),
        ("2025-03-31", "REVALUE", "obligated", 15_100),
        ("2025-04-30", "REVALUE", "obligated", 15_150),
        ("2025-05-31", "REVALUE", "obligated", 15_200),
        ("2025-06-12", "REVALUE", "obligated", 15_300),
        ("2025-06-12", "EXPEND", "expended", 15_300),
        ("2025-06-30", "REVALUE", "expended", 15_350),
        ("2025-07-31", "REVALUE", "expended", 15_380),
        ("2025-08-31", "REVALUE", "expended", 15_400),
        ("2025-09-15", "ORDER", "ordered", 15_400),
        ("2025-09-15", "REVALUE", "ordered", 15_350),
        ("2025-09-15", "PAY", "paid", 15_350),
    ]
    assert (paid["status"], paid["paid"]) == ("DEBITED", "USD 1 000")
    assert _amount(paid["left the account"]) == 15_350_000
    # Net FXD: a loss of 50 000 = 15 350 000 - 15 300 000, of which the ledger posted a gain of 50 000 at the debit.
    assert [_amount(row["exchange difference"]) for row in rows[-4:]] == [100_000, 100_000, 50_000, 50_000]
    assert (_amount(line["paid"]), _amount(line["obligated"]), _amount(line["expended"])) == (15_350_000, 0, 0)


def test_n6_the_second_years_slice_of_a_contract_of_three_years_is_bound_when_that_year_opens(told):
    signed = told.act("A contract of three years: this year's slice is bound")
    opened = told.act("Its slice is bound before anybody else")
    mosque = told.line(2026, "5.2.03.01.01.0008")

    assert [(row["year"], row["bound since"]) for row in signed] == [(2025, "2025-03-04"), (2026, ""), (2027, "")]
    assert [(row["year"], row["bound since"]) for row in opened] == [
        (2025, "2025-03-04"),
        (2026, "2026-01-02"),
        (2027, ""),
    ]
    assert [_amount(rows[0]["future"]) for rows in (signed, opened)] == [6_000_000_000, 2_000_000_000]
    assert mosque["obligated"] + mosque["paid"] == 4_000_000_000
    assert mosque["carried_in"] == 0
    assert told.line(2025, "5.2.03.01.01.0008")["paid"] == 3_000_000_000


def test_a_running_bill_of_the_second_slice_is_certified_and_paid_in_its_year(told):
    (bill,) = told.act("A running bill of the second slice certified")
    _, paid = told.act("And both paid there")
    mosque = told.line(2026, "5.2.03.01.01.0008")

    # A guarantee stands for retention, and no advance was paid: all of it is claimed.
    assert [_amount(bill[name]) for name in ("gross", "recovered", "retained", "claimed")] == [
        1_500_000_000,
        0,
        0,
        1_500_000_000,
    ]
    assert (paid["status"], paid["order"].endswith("/2026")) == ("DEBITED", True)
    # 1.5 % of income tax is withheld at the order; expenditure stays gross.
    assert (_amount(paid["gross"]), _amount(paid["net"])) == (1_500_000_000, 1_477_500_000)
    buckets = [mosque[name] for name in ("reserved", "obligated", "advanced", "expended", "ordered", "paid")]
    assert buckets == [0, 2_500_000_000, 0, 0, 0, 1_500_000_000]
    assert mosque["available"] == mosque["revised"] - 4_000_000_000
    # The first slice is as it was.
    assert told.line(2025, "5.2.03.01.01.0008")["paid"] == 3_000_000_000


def test_the_banks_files_are_valid_and_the_books_explain_its_statement(told):
    files = {file.name: file.read_bytes() for file in told.folder.glob("*.xml")}
    kinds = {ElementTree.fromstring(content).tag.partition("}")[0].rpartition(":")[2] for content in files.values()}

    assert kinds == {"pain.001.001.09", "pain.002.001.10", "camt.053.001.08"}
    assert {name: problems for name, content in files.items() if (problems := schema_problems(content))} == {}
    rupiah, dollars = told.summary["bank"]
    assert (rupiah["in_books_only"], rupiah["on_statement_only"]) == ("IDR 0", "IDR 0")
    assert _amount(rupiah["statement"]) - _amount(rupiah["books"]) == _amount(rupiah["before_the_story"])
    assert [dollars[name] for name in ("books", "statement", "before_the_story", "in_books_only")] == [
        "USD -1 000",
        "USD 4 000",
        "USD 5 000",
        "USD 0",
    ]
    (file,) = [content for name, content in files.items() if name.startswith("pain.001-USD")]
    assert b'<InstdAmt Ccy="USD">1000.00</InstdAmt>' in file


def test_who_makes_a_paper_does_not_check_it(told):
    for maker, checker in _APART:
        assert told.callers[maker], maker
        assert told.callers[checker], checker
        assert told.callers[maker] & told.callers[checker] == set(), (maker, checker)


def test_lived_again_the_year_changes_nothing_and_is_told_as_before(told):
    before = books.at_rest(told.platform)
    files = {file: file.read_bytes() for file in told.folder.glob("*.xml")}

    again = told.live()

    assert books.changes(before, books.at_rest(told.platform)) == {}
    assert again == told.summary
    assert {file: file.read_bytes() for file in told.folder.glob("*.xml")} == files
