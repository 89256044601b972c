"""What payment orders withhold of payables: by the pack's rates of the day, of payroll what the run withheld.

What is withheld no more of a credit that was set off is withheld less (credit_notes/withholding).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from uuid import UUID

from sqlmodel import Session

from chassis.errors import FailedPrecondition
from chassis.money import Money
from services.finance.payables import domain, pack, payment_store
from services.finance.payables.credit_notes.withholding import store as corrections
from services.finance.payables.domain import TaxBase
from services.finance.payables.payment_store import PayablePart


class WithholdingBelowCorrection(FailedPrecondition):
    """Less is withheld of a kind than is to be withheld less for credits that were set off."""

    reason = "WITHHOLDING_BELOW_CORRECTION"


def of_payables(
    session: Session, payable_ids: Sequence[UUID], parts: Sequence[PayablePart], currency: str, on: date
) -> dict[str, int]:
    """What an order of these payables on a day withholds by code, in minor units of the books' `currency` (N12)."""
    taxable = bases(parts)
    found = domain.withheld(taxable, pack.withholding_rules(currency, on)) if taxable else {}
    for code, amount in payment_store.payroll_withholdings(session, payable_ids).items():
        found[code] = found.get(code, 0) + amount
    return less(found, corrections.set_off(session, payable_ids), currency)


def bases(parts: Sequence[PayablePart]) -> list[TaxBase]:
    """The taxable parts, in their order: those that are not pay."""
    taxable = [part for part in parts if not part.source.of_payroll]
    document_net: dict[UUID, int] = {}
    for part in taxable:
        document_net[part.payable_id] = document_net.get(part.payable_id, 0) + part.net_minor
    return [
        TaxBase(part.account_code, part.net_minor, part.tax_minor, document_net[part.payable_id]) for part in taxable
    ]


def less(withheld: Mapping[str, int], corrected: Mapping[str, int], currency: str) -> dict[str, int]:
    """`withheld` by code without what is withheld no more, and without codes of which nothing is left."""
    found = dict(withheld)
    for code, amount in sorted(corrected.items()):
        if found.get(code, 0) < amount:
            raise WithholdingBelowCorrection(
                f"{Money(found.get(code, 0), currency)} is withheld as {code}, {Money(amount, currency)} of it would "
                "be withheld less for credits that are set off against what is paid: set them off against, or pay "
                "them together with, a larger invoice of the creditor of which that is withheld",
                metadata={"withholding_code": code, "corrected_minor": str(amount)},
            )
        found[code] = found.get(code, 0) - amount
    return {code: amount for code, amount in found.items() if amount}
