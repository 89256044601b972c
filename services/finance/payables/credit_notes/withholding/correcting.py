"""What the approval of a credit note on a paid invoice corrects of what its payment withheld."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from fractions import Fraction
from typing import Any
from uuid import UUID

from sqlalchemy import Row
from sqlmodel import Session

from chassis.money import round_half_away
from services.finance.payables import pack as payables_pack
from services.finance.payables import payment_store, withholding
from services.finance.payables.credit_notes.domain import CreditLine, InvoicedLine
from services.finance.payables.credit_notes.withholding import domain, pack, store
from services.finance.payables.credit_notes.withholding.domain import Base
from services.finance.payables.credit_notes.withholding.store import Correction
from services.finance.payables.payment_store import PayablePart


def correct(
    session: Session,
    note: Row[Any],
    lines: Sequence[CreditLine],
    known: Mapping[UUID, InvoicedLine],
    payable_id: UUID,
    *,
    on: date,
) -> int:
    """Keep what is withheld no more of the lines of `note`, which is not approved yet; what that is of its total.

    In minor units of the note's currency: of another one than the books', at the rate that the order withheld at. The
    order, the payable and the note are locked.
    """
    order = store.order_of(session, payable_id)
    payable_ids = payment_store.request_payables(session, [order.payment_request_id])[order.payment_request_id]
    kept = _kept(session, order.payment_order_id, payable_ids)
    if not kept:
        return 0
    codes = pack.corrected_codes(on)
    kept = {code: amount for code, amount in kept.items() if code in codes}
    parts = [one for one in payment_store.parts(session, payable_ids, credited=True) if not one.source.of_payroll]
    rules = payables_pack.withholding_rules(order.currency, order.issued_on)
    by_part = domain.by_part(kept, withholding.bases(parts), rules)
    mine = {
        part.document_line_id: (part, taken)
        for part, taken in zip(parts, by_part, strict=True)
        if part.payable_id == payable_id
    }
    earlier = store.earlier(session, note.invoice_id)
    corrections, own = [], Fraction(0)
    for line in lines:
        part, taken = mine[line.purchase_order_line_id]
        invoiced = known[line.purchase_order_line_id]
        tax_left = invoiced.tax - invoiced.credited_tax
        found = domain.corrected(
            taken,
            of_tax={rule.withholding_code for rule in rules if rule.of_tax},
            left=Base(invoiced.amount - invoiced.credited - tax_left, tax_left),
            earlier=earlier.get(line.purchase_order_line_id, Base(0, 0)),
            credited=Base(line.net, line.tax),
        )
        corrections += [
            Correction(line.purchase_order_line_id, code, part.fund_code, amount) for code, amount in found.items()
        ]
        own += _own(part, sum(found.values()))
    store.insert(session, note.credit_note_id, note.agency_id, corrections)
    return round_half_away(own)


def _kept(session: Session, payment_order_id: UUID, payable_ids: Sequence[UUID]) -> dict[str, int]:
    """What an order withheld of suppliers by code, as if nothing had been set off against its payables."""
    found = dict(payment_store.order_withholdings(session, [payment_order_id]).get(payment_order_id, {}))
    for code, amount in store.set_off(session, payable_ids).items():
        found[code] = found.get(code, 0) + amount
    for code, amount in payment_store.payroll_withholdings(session, payable_ids).items():
        found[code] = found.get(code, 0) - amount
    return found


def _own(part: PayablePart, amount: int) -> Fraction:
    """An amount of the books in the creditor's currency, at what the order stood at."""
    if part.foreign_minor is None or not amount:
        return Fraction(amount)
    return Fraction(amount * part.foreign_minor, part.amount_minor)
