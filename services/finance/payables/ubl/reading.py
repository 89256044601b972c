"""From a UBL 2.1 tree to the terms of EN 16931 (syntax binding CEN/TS 16931-3-2). No decision but what is missing."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from datetime import date
from fractions import Fraction

from services.finance.payables.ubl.domain import (
    Adjustment,
    Document,
    DocumentKind,
    Line,
    Mismatch,
    TaxGroup,
    Totals,
    UblMismatch,
)
from services.finance.payables.ubl.xml import Element, UblInvalid, parse

_UBL = "urn:oasis:names:specification:ubl:schema:xsd:"
_ROOTS = {
    (f"{_UBL}Invoice-2", "Invoice"): DocumentKind.INVOICE,
    (f"{_UBL}CreditNote-2", "CreditNote"): DocumentKind.CREDIT_NOTE,
}
LINES_MAX = 500
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_DECIMAL = re.compile(r"-?[0-9]{1,18}(\.[0-9]{1,10})?")


def read(content: bytes) -> Document:
    """The document in `content`. UBL_INVALID, UBL_UNSAFE, UBL_ENCODING, or UBL_MISMATCH naming every missing term."""
    root = parse(content)
    kind = _ROOTS.get((root.namespace, root.name))
    if kind is None:
        raise UblInvalid(
            f"the document is {root.name!r} of {root.namespace[:100]!r}; an Invoice or CreditNote of UBL 2.1 is wanted"
        )
    return _Reading(root, kind).document()


class _Reading:
    """One reading; it collects what is missing or malformed, so that all of it is told at once."""

    def __init__(self, root: Element, kind: DocumentKind) -> None:
        self._root, self._kind = root, kind
        self._wrong: list[Mismatch] = []
        self._currencies: list[str] = []
        self._currency = ""

    def document(self) -> Document:
        root = self._root
        self._currency = self._text(root, "DocumentCurrencyCode", "BT-5")
        if self._currency and not re.fullmatch("[A-Z]{3}", self._currency):
            self._wrong.append(Mismatch("BT-5", f"{self._currency[:20]!r} is no currency of ISO 4217"))
        code = "InvoiceTypeCode" if self._kind is DocumentKind.INVOICE else "CreditNoteTypeCode"
        line_name = "InvoiceLine" if self._kind is DocumentKind.INVOICE else "CreditNoteLine"
        elements = list(root.all(line_name))
        if not elements:
            self._wrong.append(Mismatch("BG-25", "the document has no line (BR-16)"))
        if len(elements) > LINES_MAX:
            self._wrong.append(Mismatch("BG-25", f"{len(elements)} lines, an invoice takes at most {LINES_MAX}"))
            elements = elements[:LINES_MAX]
        totals, groups = self._totals(), self._tax_groups()
        document = Document(
            kind=self._kind,
            number=self._text(root, "ID", "BT-1", limit=60),
            issued_on=self._day(root, "IssueDate", "BT-2"),
            type_code=self._text(root, code, "BT-3"),
            currency=self._currency,
            specification=self._text(root, "CustomizationID", "BT-24"),
            process=root.value("ProfileID"),
            order_number=root.value("OrderReference/ID"),
            invoice_number=root.value("BillingReference/InvoiceDocumentReference/ID"),
            seller_ids=self._party_ids("AccountingSupplierParty"),
            buyer_ids=self._party_ids("AccountingCustomerParty"),
            lines=tuple(self._line(element, nth) for nth, element in enumerate(elements, start=1)),
            tax_groups=groups,
            totals=totals,
            adjustments=self._adjustments(root, ""),
            contract_number=root.value("ContractDocumentReference/ID"),
            wrong_currencies=tuple(dict.fromkeys(self._currencies)),
        )
        if self._kind is DocumentKind.CREDIT_NOTE:
            self._one_invoice()
        if self._wrong:
            raise UblMismatch.of(self._wrong)
        return document

    def _one_invoice(self) -> None:
        """A credit note takes back of one invoice; the standard lets it name more (BG-3)."""
        named = {one.text for one in self._root.all("BillingReference/InvoiceDocumentReference/ID")} - {""}
        if not named:
            self._wrong.append(Mismatch("BT-25", "the credit note names no invoice (BG-3)"))
        if len(named) > 1:
            self._wrong.append(
                Mismatch("BT-25", f"the credit note names {len(named)} invoices (BG-3): have one sent for each of them")
            )

    def _line(self, element: Element, nth: int) -> Line:
        number = element.value("ID") or str(nth)
        quantity = "InvoicedQuantity" if self._kind is DocumentKind.INVOICE else "CreditedQuantity"
        base = element.first("Price/BaseQuantity")
        gross_price, price_discount = self._gross_price(element, number)
        line = Line(
            number=number,
            order_line=element.value("OrderLineReference/LineID"),
            quantity=self._number(element, quantity, "BT-129", line=number),
            net=self._amount(element, "LineExtensionAmount", "BT-131", line=number),
            price=self._amount(element, "Price/PriceAmount", "BT-146", line=number),
            base_quantity=Fraction(1)
            if base is None
            else self._number(element, "Price/BaseQuantity", "BT-149", line=number),
            tax_category=element.value("Item/ClassifiedTaxCategory/ID"),
            tax_rate=self._number(element, "Item/ClassifiedTaxCategory/Percent", "BT-152", line=number, optional=True),
            adjustments=self._adjustments(element, number),
            gross_price=gross_price,
            price_discount=price_discount,
        )
        if not line.tax_category:
            self._wrong.append(Mismatch("BT-151", f"line {number} has no tax category (BR-CO-04)"))
        if line.base_quantity <= 0:
            self._wrong.append(Mismatch("BT-149", f"line {number}: the base quantity is not above zero"))
            return replace(line, base_quantity=Fraction(1))
        if not _ends(line.unit_price):
            self._wrong.append(
                Mismatch("BT-149", f"line {number}: price / base quantity has no end as a decimal; price one unit")
            )
        return line

    def _adjustments(self, element: Element, line: str) -> tuple[Adjustment, ...]:
        """The allowances and charges of the document, or of a line."""
        found = []
        for one in element.all("AllowanceCharge"):
            mark, where = one.value("ChargeIndicator"), f"line {line}" if line else "the document"
            if mark not in ("true", "false", "1", "0"):
                said = f"{mark[:20]!r}" if mark else "missing"
                self._wrong.append(
                    Mismatch("BG-27" if line else "BG-20", f"{where}: ChargeIndicator is {said} (PEPPOL-EN16931-R043)")
                )
            charge = mark in ("true", "1")
            amount, base, percent = _terms_of(charge=charge, line=bool(line))
            found.append(
                Adjustment(
                    is_charge=charge,
                    amount=self._amount(one, "Amount", amount, line=line),
                    reason=one.value("AllowanceChargeReason") or one.value("AllowanceChargeReasonCode"),
                    base=self._amount(one, "BaseAmount", base, line=line) if one.first("BaseAmount") else None,
                    percent=self._number(one, "MultiplierFactorNumeric", percent, line=line)
                    if one.first("MultiplierFactorNumeric")
                    else None,
                    tax_category=one.value("TaxCategory/ID"),
                    tax_rate=self._number(
                        one, "TaxCategory/Percent", "BT-103" if charge else "BT-96", line=line, optional=True
                    ),
                )
            )
        return tuple(found)

    def _gross_price(self, element: Element, line: str) -> tuple[Fraction | None, Fraction]:
        """The price before its discount (BT-148) and the discount (BT-147), which the net price has in it already."""
        found = element.first("Price/AllowanceCharge")
        if found is None:
            return None, Fraction(0)
        if found.value("ChargeIndicator") not in ("false", "0"):
            self._wrong.append(
                Mismatch("BT-147", f"line {line}: a price has discounts, and no charges (PEPPOL-EN16931-R044)")
            )
        gross = self._amount(found, "BaseAmount", "BT-148", line=line) if found.first("BaseAmount") else None
        return gross, self._amount(found, "Amount", "BT-147", line=line)

    def _totals(self) -> Totals:
        found = self._root.first("LegalMonetaryTotal")
        if found is None:
            self._wrong.append(Mismatch("BG-22", "the document has no totals (BR-12 to BR-15)"))
            found = Element("", "LegalMonetaryTotal", {})

        def optional(path: str, term: str) -> Fraction:
            return self._amount(found, path, term, optional=True)

        return Totals(
            lines=self._amount(found, "LineExtensionAmount", "BT-106"),
            allowances=optional("AllowanceTotalAmount", "BT-107"),
            charges=optional("ChargeTotalAmount", "BT-108"),
            without_tax=self._amount(found, "TaxExclusiveAmount", "BT-109"),
            tax=sum((self._amount(one, "TaxAmount", "BT-110") for one in self._tax_totals()), Fraction(0)),
            with_tax=self._amount(found, "TaxInclusiveAmount", "BT-112"),
            prepaid=optional("PrepaidAmount", "BT-113"),
            rounding=optional("PayableRoundingAmount", "BT-114"),
            due=self._amount(found, "PayableAmount", "BT-115"),
        )

    def _tax_totals(self) -> list[Element]:
        """The tax total in the document's currency (one in the accounting currency, BT-111, is not ours to check)."""
        found = []
        for element in self._root.all("TaxTotal"):
            amount = element.first("TaxAmount")
            if amount is None or amount.attributes.get("currencyID", self._currency) == self._currency:
                found.append(element)
        return found

    def _tax_groups(self) -> tuple[TaxGroup, ...]:
        return tuple(
            TaxGroup(
                category=group.value("TaxCategory/ID"),
                rate=self._number(group, "TaxCategory/Percent", "BT-119", optional=True),
                base=self._amount(group, "TaxableAmount", "BT-116"),
                tax=self._amount(group, "TaxAmount", "BT-117"),
            )
            for total in self._tax_totals()
            for group in total.all("TaxSubtotal")
        )

    def _party_ids(self, role: str) -> tuple[str, ...]:
        paths: Iterable[str] = ("PartyIdentification/ID", "PartyLegalEntity/CompanyID", "PartyTaxScheme/CompanyID")
        return tuple(
            element.text
            for party in self._root.all(f"{role}/Party")
            for path in paths
            for element in party.all(path)
            if element.text
        )

    # --- terms -----------------------------------------------------------------------------------------------------

    def _text(self, element: Element, path: str, term: str, *, limit: int = 500) -> str:
        value = element.value(path)
        if not value:
            self._wrong.append(Mismatch(term, "missing"))
        if len(value) > limit:
            self._wrong.append(Mismatch(term, f"{len(value)} signs, at most {limit} are taken"))
        return value

    def _day(self, element: Element, path: str, term: str) -> date:
        value = self._text(element, path, term)
        try:
            if value and _DAY.fullmatch(value):
                return date.fromisoformat(value)
        except ValueError:
            pass
        if value:
            self._wrong.append(Mismatch(term, f"{value[:40]!r} is no day such as 2026-03-15"))
        return date.min

    def _amount(self, element: Element, path: str, term: str, *, line: str = "", optional: bool = False) -> Fraction:
        found = element.first(path)
        if found is not None:
            currency = found.attributes.get("currencyID", "")
            if currency != self._currency:
                self._currencies.append(f"{term} {currency[:10] or 'no currency'}")
        return self._number(element, path, term, line=line, optional=optional)

    def _number(self, element: Element, path: str, term: str, *, line: str = "", optional: bool = False) -> Fraction:
        value, where = element.value(path), f"line {line}: " if line else ""
        if _DECIMAL.fullmatch(value):
            return Fraction(value)
        if value or not optional:
            said = f"{value[:40]!r} is no decimal number" if value else "missing"
            self._wrong.append(Mismatch(term, f"{where}{said}"))
        return Fraction(0)


def _terms_of(*, charge: bool, line: bool) -> tuple[str, str, str]:
    """How EN 16931 names amount, base and percentage of an allowance or a charge."""
    if line:
        return ("BT-141", "BT-142", "BT-143") if charge else ("BT-136", "BT-137", "BT-138")
    return ("BT-99", "BT-100", "BT-101") if charge else ("BT-92", "BT-93", "BT-94")


def _ends(value: Fraction) -> bool:
    rest = value.denominator
    for prime in (2, 5):
        while rest % prime == 0:
            rest //= prime
    return rest == 1
