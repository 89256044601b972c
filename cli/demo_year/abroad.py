"""A purchase in dollars, from the order to the bank's debit of the treasury's dollar account: N5 of the domain rules.

What is ordered binds its line at the rate of its day and follows each month's end; what is accepted is owed at the rate
of that day and follows the ledger; what leaves counts in the end. The line bears every difference.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from chassis.dates import Month
from chassis.money import Money
from chassis.wire import from_date, from_money, to_date
from cli.demo.acting import DemoStopped
from cli.demo_year import buying, cast
from cli.demo_year.banking import Claim
from cli.demo_year.buying import Purchase
from cli.demo_year.year import BUDGET, Year, minor
from kelola.finance.v1 import (
    account_pb2,
    budget_pb2,
    funds_revaluation_pb2,
    funds_revaluation_pb2_grpc,
    ledger_pb2,
    ledger_pb2_grpc,
)

_EXCHANGE_DIFFERENCE = "8.5.03.90"
_REVALUE = budget_pb2.FUNDS_MOVEMENT_KIND_REVALUE
_FIGURES = ("reserved", "obligated", "expended", "ordered", "paid")
_ACCEPTED_ON = date(cast.FISCAL_YEAR, 6, 12)


@dataclass
class Training:
    """Ten technicians trained at the maker's, 100 dollars each: the only thing that its budget line pays for."""

    year: Year

    @property
    def purchase(self) -> Purchase:
        """What is bought: a service from abroad, without tax."""
        line = self.year.line(cast.TRAINING)
        what, supplier = "Pelatihan teknisi di pabrik pembuat", self.year.suppliers[1]
        return Purchase(
            "training", cast.HEALTH, line, supplier, what, 100, cast.MARCH,
            currency=cast.DOLLAR, tax_rate="0", deliveries=(buying.QUANTITY,),
        )  # fmt: skip

    def order(self) -> tuple[Any, list[dict[str, Any]]]:
        """The order in dollars, and what it binds."""
        signed = buying.order(self.year, self.purchase, buying.request(self.year, self.purchase))
        if signed.HasField("refusal"):
            raise DemoStopped(f"training: {signed.refusal.message}")
        row = {"order": signed.purchase_order_number, "price": str(from_money(signed.amount))}
        return signed, [row | one for one in self._on_the_line(cast.MARCH)]

    def follow(self, months: Sequence[int]) -> list[dict[str, Any]]:
        """What is ordered at the rates of these months' ends.

        Finance revalues by itself when a month is over, so a call may find it done: the line's movements tell.
        """
        for number in months:
            self.year.government.do(
                funds_revaluation_pb2_grpc.FundsRevaluationServiceStub,
                "RevalueFunds",
                funds_revaluation_pb2.RevalueFundsRequest(
                    agency_id=self.year.unit_id(cast.HEALTH),
                    revalued_on=to_date(Month(cast.FISCAL_YEAR, number).last),
                ),
                by="accountant",
                step=f"training/revalue/{number}",
            )
        return self._on_the_line(Month(cast.FISCAL_YEAR, months[-1]).last)

    def deliver(self, signed: Any) -> tuple[Claim, list[dict[str, Any]]]:
        """The service accepted, the invoice in dollars approved at the order's price: no difference."""
        claim, row = buying.receive_and_invoice(self.year, self.purchase, signed, on=_ACCEPTED_ON)
        return claim, [{**row, "rate": str(cast.rate(cast.DOLLAR, _ACCEPTED_ON)), "owed": row["amount"]}]

    def told(self, order_number: str) -> list[dict[str, Any]]:
        """Every step on the line, as N5 has it; DemoStopped when the ledger's difference at the debit is another."""
        posted = self._posted(f"Payment order {order_number} debited: exchange difference")
        borne = sum(minor(one.ordered_change) for one in self._movements() if one.kind == _REVALUE)
        if posted != borne:
            raise DemoStopped(f"the ledger posted a difference of {posted} at the debit, the line bore {borne}")
        return self._on_the_line(cast.SEPTEMBER)

    def _on_the_line(self, until: date) -> list[dict[str, Any]]:
        """Its movements up to a day in their order, and how the purchase stands on the line after each."""
        sums, difference, rows = dict.fromkeys(_FIGURES, 0), 0, []
        for movement in self._movements():
            if from_date(movement.effective_on) > until:
                break
            changes = {name: minor(getattr(movement, f"{name}_change")) for name in _FIGURES}
            sums = {name: total + changes[name] for name, total in sums.items()}
            if movement.kind == _REVALUE:
                # What is owed is revalued by the ledger; what is only ordered has no entry (domain rules, §2).
                difference += changes["expended"] + changes["ordered"]
            rows.append(
                {
                    "day": str(from_date(movement.effective_on)),
                    "movement": budget_pb2.FundsMovementKind.Name(movement.kind).removeprefix("FUNDS_MOVEMENT_KIND_"),
                    "rate": movement.exchange_rate.value,
                    "stands as": ", ".join(name for name, total in sums.items() if total),
                    "taken from available": str(Money(sum(sums.values()), cast.CURRENCY)),
                    "exchange difference": str(Money(difference, cast.CURRENCY)),
                }
            )
        return rows

    def _movements(self) -> list[Any]:
        """What moved between the line's figures, the oldest first; its budget and releases are no such movements."""
        request = budget_pb2.ListFundsMovementsRequest(budget_line_id=self.purchase.budget_line_id, page_size=500)
        found = self.year.government.pages(BUDGET, "ListFundsMovements", request, by="auditor", rows="funds_movements")
        return [one for one in found if any(minor(getattr(one, f"{name}_change")) for name in _FIGURES)][::-1]

    def _posted(self, description: str) -> int:
        """What the health office's exchange differences were debited, less credited, by entries so described."""
        request = ledger_pb2.ListAccountStatementRequest(
            agency_id=self.year.unit_id(cast.HEALTH),
            account_code=_EXCHANGE_DIFFERENCE,
            basis=account_pb2.BASIS_ACCRUAL,
            currency=cast.CURRENCY,
            page_size=500,
        )
        lines = self.year.government.pages(
            ledger_pb2_grpc.LedgerServiceStub, "ListAccountStatement", request, by="auditor", rows="lines"
        )
        return sum(minor(one.debit) - minor(one.credit) for one in lines if one.description == description)
