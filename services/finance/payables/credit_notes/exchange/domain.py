"""What a credit note on an invoice in a foreign currency is in the currency of the books. Pure.

Domain rules §2, Foreign currency: each movement at the rate of its date; the debt is monetary; the budget line bears
every difference. IPSAS 4.24: a transaction is recorded at the rate of its day; 4.27: what is owed is translated at each
closing rate, goods and expenses are not; 4.32: differences at settlement belong to the period (numbers to verify).

- Goods that go back, and a price that falls, leave the books at what they were recorded at: the rate of the delivery,
  of a difference in price that of the invoice's approval. No rate of the credit's own day is needed.
- The payable, and E with it (F5), falls by what the credited share stands at now. The difference goes to FXD, realised,
  and undoes what month ends had recognised of a debt that nobody will pay.
- What the budget line gets back is the cost, and by REVALUE what month ends had taken: what it bore for the share.
- Goods that come again are obligated at the rate of the credit's day, as every O.
- Once the invoice is paid the creditor owes the amount: monetary, at the rate of the credit's day (goods leave at their
  cost, the difference goes to FXD) and revalued each month; no funds move.
- A refund counts as what really came, as the debit did: in the creditor's currency at the rate of its day, in the
  books' currency what the bank changed it to. P falls by it and the line bears or gains the difference, as far as the
  order line has paid anything (F4); what came beyond is other revenue. Against the receivable it makes FXD.

USD 1 000 for 10 units, accepted at 15 300, month end 15 400, credited by 2 units = USD 200:
unpaid: cost 3 060 000, carried 3 080 000: Dr AP 3 080 000 / Cr EXP 3 060 000, FXD 20 000. E 15 400 000 -> 12 320 000:
REVALUE 20 000, RELEASE 3 060 000. The same before the month end: 3 060 000 on both sides, no FXD.
paid with 15 350 000, credited at 15 500: Dr receivable 3 100 000 / Cr EXP 3 060 000, FXD 40 000; 3 120 000 come:
Dr RK-A 3 120 000 / Cr receivable 3 100 000, FXD 20 000; P 15 350 000 -> 12 230 000, BEL - 3 120 000.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from chassis.money import Money, round_half_away
from services.finance.payables.credit_notes.domain import Cost, CreditLine, InvoicedLine, RefundAmountMismatch


@dataclass(frozen=True)
class InBooks:
    """One line of a credit note in the currency of the books, in minor units.

    `carried` is what the payable loses, or the creditor owes (`tax` of it is tax); `cleared` the part of it that is
    received-not-invoiced again. `again` is what the goods that went back are worth if they are obligated anew.
    """

    carried: int
    tax: int
    cleared: int
    cost: Cost
    again: int
    # The currency of the credit note, when that is another one.
    foreign: str | None = None
    # Of `carried`, what the note's total was rounded by: neither price nor tax.
    rounding: int = 0

    @property
    def variance_cost(self) -> int:
        """What the goods' price falls by, at what it was recorded at."""
        return self.cost.whole - self.cost.cleared

    def own(self, minor: int) -> Money | None:
        """An amount of the credit note in its own currency, beside one of the books."""
        return None if self.foreign is None else Money(minor, self.foreign)

    def gained(self, *, leaves: bool) -> int:
        """Cr FXD: what is no longer owed, or is owed back, beyond what goods were recorded at.

        Goods that stay received and not invoiced (not `leaves`) keep their debt at what it stood at.
        """
        return self.carried - self.cost.whole if leaves else self.carried - self.cleared - self.variance_cost


def share(minor: int, part: int, whole: int) -> int:
    """The share of `minor` that goes with `part` of `whole`: all with all, so that nothing is left over (§8)."""
    return minor if part == whole else round_half_away(Fraction(minor) * part / whole)


def in_one_currency(line: CreditLine) -> InBooks:
    """A line of an invoice in the currency of the books: everything is what it says."""
    cost = Cost(line.amount, line.cleared)
    return InBooks(line.amount, line.tax, line.cleared, cost, line.cleared, rounding=line.rounding)


def cost_of(line: CreditLine, invoiced: InvoicedLine) -> Cost:
    """What the credited share was recorded at, of what earlier notes left of the invoice's line."""
    assert invoiced.cost is not None, "a line in a foreign currency keeps what it cost in the books"
    return Cost(
        share(invoiced.cost.whole, line.amount, invoiced.left),
        share(invoiced.cost.cleared, line.cleared, invoiced.cleared - invoiced.credited_cleared),
    )


@dataclass(frozen=True)
class Standing:
    """What a part of an open payable stands at in the currency of the books, `tax` of it tax; `minor` in its own."""

    minor: int
    worth: int
    tax: int


def of_payable(line: CreditLine, invoiced: InvoicedLine, standing: Standing, *, again: int, currency: str) -> InBooks:
    """A line that makes an open payable smaller."""
    return _in_books(
        line,
        cost_of(line, invoiced),
        carried=share(standing.worth, line.amount, standing.minor),
        tax=share(standing.tax, line.tax, invoiced.tax - invoiced.credited_tax),
        again=again,
        currency=currency,
    )


def of_receivable(line: CreditLine, invoiced: InvoicedLine, worth: int, *, currency: str) -> InBooks:
    """A line that the creditor of a paid invoice owes, `worth` at the rate of the day."""
    return _in_books(line, cost_of(line, invoiced), carried=worth, tax=0, again=0, currency=currency)


def _in_books(line: CreditLine, cost: Cost, *, carried: int, tax: int, again: int, currency: str) -> InBooks:
    # An invoice without a price has no debt to share: its goods are then worth what they were recorded at.
    cleared = share(carried, line.cleared, line.amount) if line.amount else cost.cleared
    rounding = share(carried, line.rounding, line.amount) if line.amount else 0
    return InBooks(carried, tax, cleared, cost, again, currency, rounding)


def check_refund(number: str, whole: Money, came: Money, functional_currency: str | None, *, withheld: Money) -> None:
    """A refund is the note's total (`whole`) less what was withheld of it; of a note in a foreign currency also
    anything above nil in that of the books."""
    owed = whole - withheld
    if came == owed or (came.currency == functional_currency and came.minor > 0):
        return
    also = f", or what the bank made of it in {functional_currency}," if functional_currency is not None else ""
    raise RefundAmountMismatch(
        f"credit note {number} is {whole}, of which {withheld} was withheld: {owed}{also} is refunded, {came} came; "
        "clear it up with the creditor",
        metadata={"total": str(whole), "withheld": str(withheld), "owed": str(owed), "refunded": str(came)},
    )


@dataclass(frozen=True)
class Back:
    """What came back for one line in the books' currency: `spent` makes P less, `revenue` is beyond what P holds."""

    spent: int
    revenue: int
    # Of `spent`, what is obligated again for goods that come again.
    again: int

    @property
    def worth(self) -> int:
        """What came."""
        return self.spent + self.revenue


def back(line: CreditLine, worth: int, *, paid: int, replaced: bool) -> Back:
    """How `worth` that came for a line is split: no more than the order line has `paid` makes its expenditure less."""
    spent = min(worth, paid)
    # A line whose price was credited whole before has nothing to share.
    again = min(spent, share(worth, line.cleared, line.amount)) if replaced and line.amount else 0
    return Back(spent, worth - spent, again)
