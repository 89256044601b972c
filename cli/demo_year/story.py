"""The demo year, act by act. After each act every invariant is asked for, as `kelola verify` does."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

from chassis.local.place import home
from chassis.settings import ROOT
from cli.connect import system_of
from cli.demo.acting import DemoStopped, Government
from cli.demo_year import (
    banking,
    beginning,
    budgeting,
    buying,
    cash,
    cast,
    contracting,
    ending,
    figures,
    foreign,
    preparing,
    spanning,
)
from cli.demo_year.abroad import Training
from cli.demo_year.banking import Bank, Claim
from cli.demo_year.buying import Purchase
from cli.demo_year.clock import YearPlatform
from cli.demo_year.contracting import Contract
from cli.demo_year.year import Year, shown, whole_rupiah
from cli.verify import reports
from kelola.finance.v1 import payables_pb2, payables_pb2_grpc

SUMMARY = ROOT / "build" / "demo-year" / "summary.json"
# (title, rows) of each act, as it ends.
Tell = Callable[[str, list[dict[str, Any]]], None]


@contextmanager
def at_home() -> Iterator[Path]:
    """A data folder of its own below the platform's, named to everything that asks for it meanwhile."""
    before, directory = os.environ.get("KELOLA_HOME"), home() / "demo-year"
    os.environ["KELOLA_HOME"] = str(directory)
    try:
        yield directory
    finally:
        if before is None:
            del os.environ["KELOLA_HOME"]
        else:
            os.environ["KELOLA_HOME"] = before


def play(say: Callable[[str], None], tell: Tell, summary_file: Path = SUMMARY) -> dict[str, Any]:
    """Start the platform, live the year, read the books; returns the summary and writes it to `summary_file`."""
    began = time.monotonic()
    with at_home() as directory:
        platform = YearPlatform(directory, say=say)
        platform.begin(cast.JANUARY)
        with platform, system_of(platform) as system:
            summary = live(platform, Government(system), summary_file.parent, tell)
    summary["seconds"] = round(time.monotonic() - began, 1)
    summary_file.write_text(json.dumps(summary, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return summary


def live(platform: YearPlatform, government: Government, folder: Path, tell: Tell) -> dict[str, Any]:
    """All acts, in their order. Safe to repeat: what happened before is answered from then."""
    folder.mkdir(parents=True, exist_ok=True)
    return _Life(platform, government, folder, tell).whole()


@dataclass
class _Life:
    platform: YearPlatform
    government: Government
    folder: Path
    tell: Tell
    acts: list[dict[str, Any]] = field(default_factory=list)
    year: Year = field(init=False)
    bank: Bank = field(init=False)
    dollars: Bank = field(init=False)
    training: Training = field(init=False)
    trained: Claim = field(init=False)
    training_order: Any = field(init=False)
    mosque: Contract = field(init=False)
    mosque_years: str = field(init=False)
    imprest: Any = field(init=False)
    override: Any = field(init=False)
    short: int = field(init=False)  # whole rupiah
    meals_order: Any = field(init=False)

    def whole(self) -> dict[str, Any]:
        """The first year from its budget to its statements, the second one's opening, the books in the end."""
        self.in_january()
        self.in_march()
        self.in_june()
        self.in_september()
        self.in_december()
        ended = self.in_the_new_year()
        books = figures.read_the_books(self.year, ended)
        return {
            "government": "Pemerintah Aceh",
            "fiscal_years": [cast.FISCAL_YEAR, cast.NEXT_YEAR],
            "currency": cast.CURRENCY,
            **books,
            "bank": [one.reconciled(as_of=date(cast.NEXT_YEAR, 12, 31)) for one in (self.bank, self.dollars)],
            "acts": self.acts,
        }

    def act(self, title: str, rows: list[dict[str, Any]]) -> None:
        """An act is over: every invariant of every service holds, or the story stops."""
        problems = [
            f"{report.service} {problem.invariant}: {problem.what}"
            for report in reports()
            for problem in report.problems
        ]
        if problems:
            raise DemoStopped(f"after “{title}” kelola verify found what does not hold:\n  " + "\n  ".join(problems))
        self.acts.append({"act": title, "problems": 0, "rows": rows})
        self.tell(title, rows)

    # --- the acts --------------------------------------------------------------------------------------------------

    def in_january(self) -> None:
        """The budget in force, the first cash."""
        self.year = beginning.lay_the_foundation(self.government)
        beginning.open_the_first_year(self.year)
        self.bank, self.dollars = (
            Bank.open(self.year, self.folder, kept) for kept in (banking.RUPIAH, banking.DOLLARS)
        )
        self.training = Training(self.year)
        budget = cast.published()
        drafts, rows = preparing.prepare(self.year, budget, cast.FISCAL_YEAR)
        self.act("The budget prepared: ceilings, requests, drafts", rows)
        rows = beginning.bring_into_force(self.year, budget, drafts, cast.FISCAL_YEAR)
        self.act("The budget in force (DPA)", rows)
        self.act("The first quarter released (SPD)", beginning.release_quarter(self.year, 1))
        self.imprest, claim = cash.take(self.year, on=date(cast.FISCAL_YEAR, 1, 8))
        self.act("Cash for the year (UP)", self.bank.pay([claim], on=date(cast.FISCAL_YEAR, 1, 9)))

    def in_march(self) -> None:
        """Foreign money, purchases, works begun, one of several years, a payment that the bank rejects."""
        self.platform.turn_to(cast.MARCH)
        self.act("Exchange rates of two currencies", foreign.load_rates(self.year, 1, 3))
        self.act("Foreign receivables", foreign.levy(self.year))
        self.act("Foreign balances at the rate of February's end", foreign.revalue(self.year, 2))
        self.training_order, rows = self.training.order()
        self.act("Training ordered in dollars, at the rate of the day", rows)
        self.act("January and February closed", ending.close_months(self.year, [1, 2]))
        bought = [buying.buy(self.year, purchase) for purchase in self._purchases()]
        self.act("Two purchases, from request to invoice", [row for _, row in bought])
        self.mosque, self.mosque_years, rows = spanning.authorise(self.year)
        self.act("A contract of three years: this year's slice is bound", rows)
        building = self._building
        contracting.sign(self.year, building)
        advance = contracting.advance(self.year, building, 1_200_000_000, on=date(cast.FISCAL_YEAR, 3, 5))
        claims = [claim for claim, _ in bought]
        day = date(cast.FISCAL_YEAR, 3, 12)
        rows = self.bank.pay([*claims, advance], on=day, rejected=claims[0].step)
        self.act("The bank pays two and rejects one before its debit", rows)
        self._correct_and_pay_again(claims[0])

    def in_june(self) -> None:
        """The training delivered, the first bill, the cash replenished, a transfer between lines."""
        self.platform.turn_to(cast.JUNE)
        year = cast.FISCAL_YEAR
        self.act("The second quarter released (SPD)", beginning.release_quarter(self.year, 2))
        foreign.load_rates(self.year, 4, 6)
        rows = [row for number in (3, 4, 5) for row in foreign.revalue(self.year, number)]
        self.act("What is ordered in dollars follows each month's end", self.training.follow((3, 4, 5)))
        self.trained, delivered = self.training.deliver(self.training_order)
        self.act("The training accepted and invoiced in dollars", delivered)
        vouchers = [
            self._voucher("voucher-1", 9_000_000, 8_750_000, date(year, 5, 7)),
            self._voucher("voucher-2", 6_500_000, 6_500_000, date(year, 5, 28)),
        ]
        self.act("Vouchers paid from the cash", vouchers)
        claim, row = contracting.bill(self.year, self._building, 3_600_000_000, number=1, on=date(year, 6, 10))
        self.act("The building's first bill certified", [row])
        claims = [claim, cash.replenish(self.year, self.imprest, on=date(year, 6, 12))]
        self.act("The bill paid, the cash replenished (GU)", self.bank.pay(claims, on=date(year, 6, 16)))
        self.act("A transfer between lines (virement)", budgeting.move_between_lines(self.year, on=date(year, 6, 16)))
        self.act("Foreign balances from March to May", rows)
        self.act("March to May closed", ending.close_months(self.year, [3, 4, 5]))

    def in_september(self) -> None:
        """The dollars paid; a contract refused, the override, the supplementary budget that covers it."""
        self.platform.turn_to(cast.SEPTEMBER)
        year = cast.FISCAL_YEAR
        self.act("The third quarter released (SPD)", beginning.release_quarter(self.year, 3))
        foreign.load_rates(self.year, 7, 9)
        rows = [row for number in (6, 7, 8) for row in foreign.revalue(self.year, number)]
        self.act("Foreign balances from June to August", rows)
        paid = self.dollars.pay([self.trained], on=cast.SEPTEMBER)
        self.act("The training paid from the treasury's dollar account", paid)
        self.act("What the line bore (N5)", self.training.told(paid[0]["order"]))
        self._under_an_override()
        contracting.sign(self.year, self._advice)
        rows = budgeting.supplement(self.year, self.short, on=date(year, 9, 24))
        status = budgeting.status_of(self.year, self.override)
        if status != "CLOSED":
            raise DemoStopped(f"the supplementary budget covers override {self.override.name}, and it is {status}")
        self.act("The supplementary budget covers it", [{**row, "override": status} for row in rows])
        self.act("June to August closed", ending.close_months(self.year, [6, 7, 8]))

    def in_december(self) -> None:
        """The last bills, the cash settled, what will lapse."""
        self.platform.turn_to(cast.DECEMBER)
        year, on = cast.FISCAL_YEAR, date(cast.FISCAL_YEAR, 12, 15)
        self.act("The fourth quarter released (SPD)", beginning.release_quarter(self.year, 4))
        foreign.load_rates(self.year, 10, 12)
        self.act("The dollars are paid", foreign.collect(self.year))
        billed = [
            contracting.bill(self.year, self._building, 2_400_000_000, number=2, on=on, final=True),
            buying.receive_and_invoice(self.year, self._meals, self.meals_order, on=on),
            contracting.bill(self.year, self._advice, 2_000_000_000, number=1, on=on),
            contracting.bill(self.year, self.mosque, spanning.SLICES[0], number=1, on=on, final=True),
        ]
        self.act("The year's last bills certified, the meals delivered and invoiced", [row for _, row in billed])
        self.act("The bills paid", self.bank.pay([claim for claim, _ in billed], on=date(year, 12, 17)))
        rest = cash.CASH
        self._voucher("voucher-3", rest, rest, date(year, 12, 18))
        self.act("The cash settled (nihil)", cash.settle(self.year, self.imprest, on=date(year, 12, 19)))
        self.act("A request that comes too late", ending.reserve_too_late(self.year, on=date(year, 12, 22)))
        rows = [row for number in (9, 10, 11, 12) for row in foreign.revalue(self.year, number)]
        self.act("Foreign balances from September to December", rows)
        self.act("September to November closed", ending.close_months(self.year, [9, 10, 11]))

    def in_the_new_year(self) -> list[str]:
        """The second year opened, the first one ended; what is carried and the second slice are billed and paid.

        The names of the year ends.
        """
        self.platform.turn_to(cast.NEW_YEAR)
        year, on = cast.NEXT_YEAR, date(cast.NEXT_YEAR, 1, 12)
        self.act("The second year's budget in force (DPA)", ending.open_the_second_year(self.year))
        self.mosque, rows = spanning.opened(self.year, self.mosque, self.mosque_years)
        self.act("Its slice is bound before anybody else", rows)
        ended = ending.end_the_budget(self.year)
        self.act("The budget year ends: paid, lapsed, carried", [_without(row, "name") for row in ended])
        self.act("December closed", ending.close_months(self.year, [12]))
        self.act("Results closed, statements issued", ending.close_the_books(self.year, on=on))
        self.act("The second year's first release (SPD)", beginning.release_quarter(self.year, 1, year))
        rest = self._advice.price - 2_000_000_000
        claim, row = contracting.bill(self.year, self._advice, rest, number=2, on=on, final=True)
        self.act("What was carried is billed in the second year", [row])
        running, row = contracting.bill(self.year, self.mosque, spanning.RUNNING, number=2, on=on)
        self.act("A running bill of the second slice certified", [row])
        self.act("And both paid there", self.bank.pay([claim, running], on=date(year, 1, 13)))
        return [row["name"] for row in ended]

    # --- who is in them --------------------------------------------------------------------------------------------

    def _purchases(self) -> list[Purchase]:
        first, second, _ = self.year.suppliers
        on = date(cast.FISCAL_YEAR, 3, 10)
        supplies = self.year.line(cast.COMPUTER_SUPPLIES, unit=cast.STAFF)
        return [
            Purchase("purchase-1", cast.HEALTH, self.year.line(cast.STATIONERY), first, "Alat tulis", 2_500_000, on),
            Purchase("purchase-2", cast.STAFF, supplies, second, "Bahan komputer", 150_000, on),
        ]

    @property
    def _building(self) -> Contract:
        until, signed = date(cast.NEXT_YEAR, 6, 30), date(cast.FISCAL_YEAR, 3, 3)
        return Contract("KTR-1", cast.BUILDING, self.year.suppliers[2], 6_000_000_000, signed, until, retention=True)

    @property
    def _meals(self) -> Purchase:
        line, on = self.year.line(cast.MEALS), date(cast.FISCAL_YEAR, 9, 15)
        caterer = self.year.suppliers[0]
        return Purchase("meals", cast.HEALTH, line, caterer, "Konsumsi siaga", 4_950_000, on, estimate=4_000_000)

    @property
    def _advice(self) -> Contract:
        signed, until = date(cast.FISCAL_YEAR, 9, 17), date(cast.NEXT_YEAR, 3, 31)
        return Contract("KTR-2", cast.ADVICE, self.year.suppliers[1], 4_000_000_000, signed, until)

    def _under_an_override(self) -> None:
        """The meals cost more than was asked for and than their line has: refused, then ordered under an override."""
        requisition = buying.request(self.year, self._meals)
        first = buying.order(self.year, self._meals, requisition)
        if first.refusal.reason != "BUDGET_EXCEEDED":
            raise DemoStopped(f"order {first.purchase_order_number} is beyond its line: {first.refusal}")
        told = {name: first.refusal.figures[name] for name in ("asked", "available", "short_by")}
        self.act("An order beyond its line is refused", [{"order": first.purchase_order_number, **told}])
        self.short = whole_rupiah(told["short_by"])
        self.override = budgeting.override(self.year, self.short, on=date(cast.FISCAL_YEAR, 9, 15))
        self.meals_order = buying.order(self.year, self._meals, requisition, number=2)
        if self.meals_order.HasField("refusal"):
            raise DemoStopped(f"the override gives what was short, and yet: {self.meals_order.refusal.message}")
        row = {"order": self.meals_order.purchase_order_number, "override": self.override.document_number}
        self.act("Under an override it passes", [row | {"granted": shown(self.override.items[0].amount)}])

    def _voucher(self, step: str, approved: int, paid: int, on: date) -> dict[str, Any]:
        return cash.spend(self.year, self.imprest, step, approved, paid, key=cast.STATIONERY, on=on)

    def _correct_and_pay_again(self, claim: Claim) -> None:
        """The payable is open again: its creditor names another account, and it is ordered anew."""
        stub = payables_pb2_grpc.PayablesServiceStub
        request = payables_pb2.GetPayableRequest(name=f"payables/{claim.payable_id}")
        payable = self.government.read(stub, "GetPayable", request, by="expenditure_treasurer")
        on = date(cast.FISCAL_YEAR, 3, 14)
        self.bank.payee(claim.unit, payable.creditor, since=on)
        again = Claim(claim.unit, claim.payable_id, f"{claim.step}/again")
        self.act("Ordered anew, and debited", self.bank.pay([again], on=on))


def _without(row: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in row.items() if key != name}
