"""What a UBL invoice or credit note says, in the terms of EN 16931-1, and the rules that it must keep. Pure.

Terms are named as in the standard (BT-1 invoice number, BG-25 invoice line, …), so that a supplier finds what is wrong
by the name that his own software uses. Amounts are exact fractions of the currency's units. The rules are those of
EN 16931-1 chapter 6 (BR-…) and of Peppol BIS Billing 3.0 (PEPPOL-EN16931-R…) that matter before an invoice can be
matched with an order; tax categories other than a rate on the price are left to the supplier.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date
from enum import Enum
from fractions import Fraction

from chassis.errors import InvalidArgument
from chassis.money import Money, allocate, exponent, round_half_away

EN_16931 = "urn:cen.eu:en16931:2017"
BILLING = "urn:fdc:peppol.eu:2017:poacc:billing:"


class DocumentKind(Enum):
    """Which of the two documents it is."""

    INVOICE = "INVOICE"
    CREDIT_NOTE = "CREDIT_NOTE"

    @property
    def type_codes(self) -> frozenset[str]:
        """What its type code (BT-3, UNTDID 1001) may be: a commercial invoice; a credit note."""
        return frozenset({"380"}) if self is DocumentKind.INVOICE else frozenset({"381"})


@dataclass(frozen=True)
class Mismatch:
    """One thing that is wrong, by the term that it is about."""

    term: str
    what: str

    def __str__(self) -> str:
        return f"{self.term}: {self.what}"


class UblMismatch(InvalidArgument):
    """The document breaks rules of its own standard, or does not fit the order or invoice that it names."""

    reason = "UBL_MISMATCH"

    @classmethod
    def of(cls, mismatches: Sequence[Mismatch]) -> UblMismatch:
        """One refusal that names all of them, the first twenty in words."""
        shown = "; ".join(str(one) for one in mismatches[:20])
        return cls(shown, metadata={"terms": ",".join(dict.fromkeys(one.term for one in mismatches))})


@dataclass(frozen=True)
class Line:
    """One line (BG-25). `number` is BT-126, `order_line` BT-132."""

    number: str
    order_line: str
    quantity: Fraction
    net: Fraction
    price: Fraction
    base_quantity: Fraction
    tax_category: str
    tax_rate: Fraction
    # Allowances and charges of the line (BG-27, BG-28): how many.
    adjustments: int = 0

    @property
    def unit_price(self) -> Fraction:
        """The price of one unit (BT-146 / BT-149)."""
        return self.price / self.base_quantity


@dataclass(frozen=True)
class TaxGroup:
    """One tax breakdown (BG-23)."""

    category: str
    rate: Fraction
    base: Fraction
    tax: Fraction


@dataclass(frozen=True)
class Totals:
    """The document's totals (BG-22); what is not there is None (it may be left out) or nil."""

    lines: Fraction
    allowances: Fraction
    charges: Fraction
    without_tax: Fraction
    tax: Fraction
    with_tax: Fraction
    prepaid: Fraction
    rounding: Fraction
    due: Fraction


@dataclass(frozen=True)
class Document:
    """An invoice or a credit note."""

    kind: DocumentKind
    number: str
    issued_on: date
    type_code: str
    currency: str
    specification: str
    process: str
    order_number: str
    invoice_number: str
    seller_ids: tuple[str, ...]
    buyer_ids: tuple[str, ...]
    lines: tuple[Line, ...]
    tax_groups: tuple[TaxGroup, ...]
    totals: Totals
    # Allowances and charges of the document (BG-20, BG-21): how many.
    adjustments: int = 0
    wrong_currencies: tuple[str, ...] = field(default=())

    @property
    def total(self) -> Money:
        """What it claims or credits (BT-112)."""
        return money(self.totals.with_tax, self.currency)


def money(amount: Fraction, currency: str) -> Money:
    """An amount that is whole in minor units (checked before, BR-DEC)."""
    return Money(int(amount * 10 ** exponent(currency)), currency)


def problems(document: Document) -> list[Mismatch]:
    """Every rule of the standard that the document breaks."""
    return [
        *_header(document),
        *_lines(document),
        *_totals(document),
        *_tax(document),
        *_unsupported(document),
        *_places(document),
    ]


def _header(document: Document) -> Iterable[Mismatch]:
    if not document.specification.startswith(EN_16931):
        yield Mismatch("BT-24", f"{document.specification[:100]!r} is no specification of EN 16931 (BR-01)")
    if document.process and not document.process.startswith(BILLING):
        yield Mismatch("BT-23", f"{document.process[:100]!r} is no billing process of Peppol (PEPPOL-EN16931-R007)")
    if document.type_code not in document.kind.type_codes:
        allowed = ", ".join(sorted(document.kind.type_codes))
        yield Mismatch("BT-3", f"type {document.type_code!r} is not taken in as {document.kind.value}: {allowed}")
    for term_and_currency in document.wrong_currencies:
        term, _, currency = term_and_currency.partition(" ")
        yield Mismatch(term, f"in {currency}, the document is in {document.currency} (PEPPOL-EN16931-R051)")


def _lines(document: Document) -> Iterable[Mismatch]:
    for line in document.lines:
        where = f"line {line.number}"
        if line.quantity <= 0:
            yield Mismatch("BT-129", f"{where}: {plain(line.quantity)} is not above zero")
        if line.price < 0:
            yield Mismatch("BT-146", f"{where}: {plain(line.price)} is below zero (BR-27)")
        minor = 10 ** exponent(document.currency)
        expected = Fraction(round_half_away(line.quantity * line.unit_price * minor), minor)
        if not line.adjustments and line.net != expected:
            yield Mismatch(
                "BT-131",
                f"{where}: {plain(line.net)}, quantity × price comes to {plain(expected)} (PEPPOL-EN16931-R120)",
            )


def _totals(document: Document) -> Iterable[Mismatch]:
    totals = document.totals
    for term, said, expected, rule in (
        ("BT-106", totals.lines, sum((line.net for line in document.lines), Fraction(0)), "BR-CO-10"),
        ("BT-109", totals.without_tax, totals.lines - totals.allowances + totals.charges, "BR-CO-13"),
        ("BT-110", totals.tax, sum((group.tax for group in document.tax_groups), Fraction(0)), "BR-CO-14"),
        ("BT-112", totals.with_tax, totals.without_tax + totals.tax, "BR-CO-15"),
        ("BT-115", totals.due, totals.with_tax - totals.prepaid + totals.rounding, "BR-CO-16"),
    ):
        if said != expected:
            yield Mismatch(term, f"{plain(said)}, the other terms come to {plain(expected)} ({rule})")
    if totals.with_tax <= 0:
        yield Mismatch("BT-112", f"{plain(totals.with_tax)} is not above zero")


def _tax(document: Document) -> Iterable[Mismatch]:
    minor = 10 ** exponent(document.currency)
    keys = {(group.category, group.rate) for group in document.tax_groups}
    for category, rate in sorted({(line.tax_category, line.tax_rate) for line in document.lines} - keys):
        yield Mismatch("BG-23", f"no tax breakdown for category {category} at {plain(rate)} % (BR-S-01)")
    for group in document.tax_groups:
        where = f"category {group.category} at {plain(group.rate)} %"
        mine = [line for line in document.lines if (line.tax_category, line.tax_rate) == (group.category, group.rate)]
        base = sum((line.net for line in mine), Fraction(0))
        if not document.adjustments and group.base != base:
            yield Mismatch("BT-116", f"{where}: {plain(group.base)}, its lines come to {plain(base)} (BR-S-08)")
        expected = Fraction(round_half_away(group.base * group.rate / 100 * minor), minor)
        # The standard lets the tax be rounded either way: one unit of the currency (BR-CO-17 as Peppol checks it).
        if abs(group.tax - expected) >= 1:
            yield Mismatch("BT-117", f"{where}: {plain(group.tax)}, base × rate is {plain(expected)} (BR-CO-17)")


def _unsupported(document: Document) -> Iterable[Mismatch]:
    """What the standard allows and matching with an order's lines cannot carry: refused, never dropped."""
    advice = "have it put into the lines' prices"
    if document.adjustments:
        yield Mismatch("BG-20", f"allowances or charges of the whole document are not taken in: {advice}")
    for line in document.lines:
        if line.adjustments:
            yield Mismatch("BG-27", f"line {line.number}: allowances or charges of a line are not taken in: {advice}")
    if document.totals.prepaid:
        yield Mismatch("BT-113", "a prepaid amount is not taken in: advances are recovered by bills of the contract")
    if document.totals.rounding:
        yield Mismatch("BT-114", "a rounding amount is not taken in: claim the exact total")


def _places(document: Document) -> Iterable[Mismatch]:
    """Amounts are whole in the currency's minor units (BR-DEC-…)."""
    minor, totals = 10 ** exponent(document.currency), document.totals
    amounts = [(f"line {line.number}", "BT-131", line.net) for line in document.lines]
    amounts += [("the document", "BT-112", totals.with_tax), ("the document", "BT-110", totals.tax)]
    amounts += [("the breakdown", "BT-117", group.tax) for group in document.tax_groups]
    for where, term, amount in amounts:
        if (amount * minor).denominator != 1:
            yield Mismatch(term, f"{where}: {plain(amount)} has more decimals than {document.currency} (BR-DEC)")


def line_taxes(document: Document) -> list[int]:
    """The tax of each line in minor units: its group's tax (BT-117) shared by net amounts, so that the parts add up."""
    taxes = [0] * len(document.lines)
    for group in document.tax_groups:
        mine = [
            nth
            for nth, line in enumerate(document.lines)
            if (line.tax_category, line.tax_rate) == (group.category, group.rate)
        ]
        tax = money(group.tax, document.currency).minor
        if mine and tax:
            weights = [document.lines[nth].net for nth in mine]
            for nth, share in zip(mine, allocate(tax, weights if sum(weights) else [1] * len(mine)), strict=True):
                taxes[nth] = share
    return taxes


def plain(value: Fraction) -> str:
    """A number for people, up to six decimals."""
    millionths = round_half_away(value * 10**6)
    whole, part = divmod(abs(millionths), 10**6)
    return f"{'-' if millionths < 0 else ''}{whole}.{part:06d}".rstrip("0").rstrip(".")
