"""What was withheld from a payment and is withheld no more, since a credit note takes back a part of it. Pure.

Domain rules §2: a payment withholds when it is ordered, WHT is owed to others, expenditure stays gross; a refund is the
mirror of the payment. So the share of what was withheld goes with the share of the base that is credited: the creditor,
who never had it, refunds the rest, and the treasury owes that much less to whom it withheld for, in the fund of the
credited line. Whether it was remitted already does not change what the creditor owes: what is withheld no more is taken
off the next remittance of its kind (in `id` compensation in a later period, to verify), and until then it is a claim, a
debit on the account of what is withheld. Of kinds that the law of the day does not name nothing is corrected: the
creditor refunds gross, and reclaims what was paid for him himself.

N12, half of it credited: paid 11 100 000, withheld VAT 1 100 000 and PPh 22 150 000, 9 850 000 to the creditor.
Credited 5 000 000 + VAT 550 000; withheld no more VAT 550 000 and PPh 22 75 000; 4 925 000 come, half of what he had.
T Dr CASH 4 925 000, WHT 625 000 / Cr RK-T 5 550 000; A Dr RK-A / Cr receivable 5 550 000; BUDGET Dr SAL / Cr BEL
5 550 000, P -> available 5 550 000. Set off instead: the next payment of 11 100 000 is 5 550 000 less and withholds
1 250 000 - 625 000 of the whole, so that 4 925 000 leave.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from chassis.money import allocate
from services.finance.payables import domain
from services.finance.payables.credit_notes.exchange.domain import share
from services.finance.payables.domain import TaxBase, WithholdingRule


@dataclass(frozen=True)
class Base:
    """Price and tax in minor units of the invoice's currency."""

    net: int
    tax: int

    def __add__(self, other: Base) -> Base:
        return Base(self.net + other.net, self.tax + other.tax)


def by_part(
    withheld: Mapping[str, int], bases: Sequence[TaxBase], rules: Sequence[WithholdingRule]
) -> list[dict[str, int]]:
    """What an order withheld by code, for each of its taxable parts: by the rules, together what it really withheld."""
    by_rule = [domain.withheld([base], rules) for base in bases]
    found: list[dict[str, int]] = [{} for _ in bases]
    for code, amount in sorted(withheld.items()):
        weights = [one.get(code, 0) for one in by_rule]
        if not any(weights):
            continue
        for part, mine in zip(found, allocate(amount, weights), strict=True):
            part[code] = mine
    return found


def corrected(
    withheld: Mapping[str, int], *, of_tax: Collection[str], left: Base, earlier: Base, credited: Base
) -> dict[str, int]:
    """Of what was withheld of one line by code, what is withheld no more for `credited`: cumulative shares of the base.

    `left` is what was left of the line before, `earlier` what notes since the payment credited; the last note takes the
    rest (§8). `of_tax` names the codes whose base is the tax; that of the others is the net.
    """
    whole, until_now = left + earlier, earlier + credited
    found = {}
    for code, amount in sorted(withheld.items()):
        of = (whole.tax, until_now.tax, earlier.tax) if code in of_tax else (whole.net, until_now.net, earlier.net)
        base, now, before = of
        correction = share(amount, now, base) - share(amount, before, base) if base else 0
        if correction:
            found[code] = correction
    return found
