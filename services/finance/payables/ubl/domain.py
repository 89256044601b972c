"""What a UBL invoice or credit note says, in the terms of EN 16931-1, and the rules that it must keep. Pure.

Terms are named as in the standard (BT-1 invoice number, BG-25 invoice line, …), so that a supplier finds what is wrong
by the name that his own software uses. Amounts are exact fractions of the currency's units. The rules are those of
EN 16931-1 chapter 6 (BR-…) and of Peppol BIS Billing 3.0 (PEPPOL-EN16931-R…) that matter before an invoice can be
matched with an order; tax categories other than a rate on the price are left to the supplier. Allowances and charges of
a line are part of its net amount; those of the document are shared over the lines of their tax category, so that the
lines add up to the document.
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
class Adjustment:
    """An allowance or a charge: of the document (BG-20, BG-21) or of a line (BG-27, BG-28).

    `base` and `percent` say how the amount was found, when the supplier says it. A line's has its line's tax category.
    """

    is_charge: bool
    amount: Fraction
    reason: str
    base: Fraction | None = None
    percent: Fraction | None = None
    tax_category: str = ""
    tax_rate: Fraction = Fraction(0)

    @property
    def signed(self) -> Fraction:
        """What it adds; below zero for an allowance."""
        return self.amount if self.is_charge else -self.amount


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
    # Allowances and charges of the line (BG-27, BG-28).
    adjustments: tuple[Adjustment, ...] = ()
    # BT-148 and BT-147: the price before its discount, when the supplier says it, and the discount.
    gross_price: Fraction | None = None
    price_discount: Fraction = Fraction(0)

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
    # Allowances and charges of the document (BG-20, BG-21).
    adjustments: tuple[Adjustment, ...] = ()
    # BT-12: the contract that it is billed under.
    contract_number: str = ""
    wrong_currencies: tuple[str, ...] = field(default=())

    @property
    def total(self) -> Money:
        """What it claims or credits, before what is prepaid: the total with VAT as it was rounded (BT-112 + BT-114)."""
        return money(self.totals.with_tax + self.totals.rounding, self.currency)

    @property
    def rounding(self) -> Money:
        """What its total was rounded by (BT-114); below zero when it was rounded down."""
        return money(self.totals.rounding, self.currency)


def money(amount: Fraction, currency: str) -> Money:
    """An amount that is whole in minor units (checked before, BR-DEC)."""
    return Money(int(amount * 10 ** exponent(currency)), currency)


def problems(document: Document) -> list[Mismatch]:
    """Every rule of the standard that the document breaks."""
    return [
        *_header(document),
        *_lines(document),
        *_adjustments(document),
        *_totals(document),
        *_tax(document),
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
        expected += _sum(line.adjustments)
        if line.net != expected:
            more = ", with its allowances and charges," if line.adjustments else ""
            yield Mismatch(
                "BT-131",
                f"{where}: {plain(line.net)}, quantity × price{more} comes to {plain(expected)} (PEPPOL-EN16931-R120)",
            )
        elif line.net < 0:
            yield Mismatch("BT-136", f"{where}: its allowances are {plain(-line.net)} more than the line is worth")
        if line.gross_price is not None and line.price != line.gross_price - line.price_discount:
            yield Mismatch(
                "BT-146",
                f"{where}: {plain(line.price)}, {plain(line.gross_price)} less {plain(line.price_discount)} comes to "
                f"{plain(line.gross_price - line.price_discount)} (PEPPOL-EN16931-R046)",
            )


@dataclass(frozen=True)
class _Terms:
    """How the standard names an allowance's or a charge's terms, and the rules about them."""

    amount: str
    base: str
    percent: str
    reason: str
    reason_rule: str


_ALLOWANCE, _CHARGE = (
    _Terms("BT-92", "BT-93", "BT-94", "BT-97", "BR-33"),
    _Terms("BT-99", "BT-100", "BT-101", "BT-104", "BR-38"),
)
_LINE_ALLOWANCE, _LINE_CHARGE = (
    _Terms("BT-136", "BT-137", "BT-138", "BT-139", "BR-42"),
    _Terms("BT-141", "BT-142", "BT-143", "BT-144", "BR-44"),
)
# base × percentage may be rounded by the supplier (PEPPOL-EN16931-R040): 0.02 of the currency's unit.
_PERCENT_SLACK = Fraction(2, 100)


def _adjustments(document: Document) -> Iterable[Mismatch]:
    for one in document.adjustments:
        yield from _adjustment(one, _CHARGE if one.is_charge else _ALLOWANCE, "the document")
        if not one.tax_category:
            term, rule = ("BT-102", "BR-37") if one.is_charge else ("BT-95", "BR-32")
            yield Mismatch(term, f"the document: a {_called(one)} has no tax category ({rule})")
    for line in document.lines:
        for one in line.adjustments:
            yield from _adjustment(one, _LINE_CHARGE if one.is_charge else _LINE_ALLOWANCE, f"line {line.number}")


def _adjustment(one: Adjustment, terms: _Terms, where: str) -> Iterable[Mismatch]:
    if one.amount < 0:
        other = "an allowance" if one.is_charge else "a charge"
        yield Mismatch(terms.amount, f"{where}: {plain(one.amount)} is below zero; it is {other} then")
    if not one.reason:
        yield Mismatch(terms.reason, f"{where}: a {_called(one)} gives neither reason nor code ({terms.reason_rule})")
    if one.percent is not None and one.base is None:
        yield Mismatch(terms.base, f"{where}: a percentage without its base (PEPPOL-EN16931-R041)")
    elif one.base is not None and one.percent is None:
        yield Mismatch(terms.percent, f"{where}: a base without its percentage (PEPPOL-EN16931-R042)")
    elif one.base is not None and one.percent is not None:
        expected = one.base * one.percent / 100
        if abs(one.amount - expected) > _PERCENT_SLACK:
            yield Mismatch(
                terms.amount,
                f"{where}: {plain(one.amount)}, {plain(one.percent)} % of {plain(one.base)} is {plain(expected)} "
                "(PEPPOL-EN16931-R040)",
            )


def _called(one: Adjustment) -> str:
    return "charge" if one.is_charge else "allowance"


def _sum(adjustments: Iterable[Adjustment]) -> Fraction:
    return sum((one.signed for one in adjustments), Fraction(0))


def _totals(document: Document) -> Iterable[Mismatch]:
    totals = document.totals
    allowances = [one for one in document.adjustments if not one.is_charge]
    charges = [one for one in document.adjustments if one.is_charge]
    for term, said, expected, rule in (
        ("BT-106", totals.lines, sum((line.net for line in document.lines), Fraction(0)), "BR-CO-10"),
        ("BT-107", totals.allowances, -_sum(allowances), "BR-CO-11"),
        ("BT-108", totals.charges, _sum(charges), "BR-CO-12"),
        ("BT-109", totals.without_tax, totals.lines - totals.allowances + totals.charges, "BR-CO-13"),
        ("BT-110", totals.tax, sum((group.tax for group in document.tax_groups), Fraction(0)), "BR-CO-14"),
        ("BT-112", totals.with_tax, totals.without_tax + totals.tax, "BR-CO-15"),
        ("BT-115", totals.due, totals.with_tax - totals.prepaid + totals.rounding, "BR-CO-16"),
    ):
        if said != expected:
            yield Mismatch(term, f"{plain(said)}, the other terms come to {plain(expected)} ({rule})")
    if totals.prepaid < 0:
        yield Mismatch("BT-113", f"{plain(totals.prepaid)} is below zero")
    if totals.with_tax <= 0:
        yield Mismatch("BT-112", f"{plain(totals.with_tax)} is not above zero")
    elif totals.with_tax + totals.rounding <= 0:
        yield Mismatch("BT-114", f"{plain(totals.rounding)} leaves nothing of the total of {plain(totals.with_tax)}")


def _tax(document: Document) -> Iterable[Mismatch]:
    minor = 10 ** exponent(document.currency)
    keys = {(group.category, group.rate) for group in document.tax_groups}
    if not keys:
        yield Mismatch("BG-23", "the document has no tax breakdown (BR-CO-18)")
    if len(keys) < len(document.tax_groups):
        yield Mismatch("BG-23", "two tax breakdowns have one category and rate (BR-S-08)")
    taxed: list[Line | Adjustment] = [*document.lines, *document.adjustments]
    for category, rate in sorted({(one.tax_category, one.tax_rate) for one in taxed} - keys):
        yield Mismatch("BG-23", f"no tax breakdown for category {category} at {plain(rate)} % (BR-S-01)")
    for group in document.tax_groups:
        where = f"category {group.category} at {plain(group.rate)} %"
        base = sum((document.lines[nth].net for nth in _lines_of(document, group)), Fraction(0))
        base += _sum(_adjustments_of(document, group))
        if group.base != base:
            what = "its lines, allowances and charges" if document.adjustments else "its lines"
            yield Mismatch("BT-116", f"{where}: {plain(group.base)}, {what} come to {plain(base)} (BR-S-08)")
        elif group.base < 0:
            yield Mismatch("BT-116", f"{where}: its allowances are {plain(-group.base)} more than its lines")
        expected = Fraction(round_half_away(group.base * group.rate / 100 * minor), minor)
        # The standard lets the tax be rounded either way: one unit of the currency (BR-CO-17 as Peppol checks it).
        if abs(group.tax - expected) >= 1:
            yield Mismatch("BT-117", f"{where}: {plain(group.tax)}, base × rate is {plain(expected)} (BR-CO-17)")


def _places(document: Document) -> Iterable[Mismatch]:
    """Amounts are whole in the currency's minor units (BR-DEC-…)."""
    minor, totals = 10 ** exponent(document.currency), document.totals
    amounts = [(f"line {line.number}", "BT-131", line.net) for line in document.lines]
    amounts += [
        (f"line {line.number}", "BT-141" if one.is_charge else "BT-136", one.amount)
        for line in document.lines
        for one in line.adjustments
    ]
    amounts += [("the document", "BT-99" if one.is_charge else "BT-92", one.amount) for one in document.adjustments]
    amounts += [("the document", "BT-112", totals.with_tax), ("the document", "BT-110", totals.tax)]
    amounts += [("the document", "BT-113", totals.prepaid), ("the document", "BT-114", totals.rounding)]
    amounts += [("the breakdown", "BT-117", group.tax) for group in document.tax_groups]
    for where, term, amount in amounts:
        if (amount * minor).denominator != 1:
            yield Mismatch(term, f"{where}: {plain(amount)} has more decimals than {document.currency} (BR-DEC)")


@dataclass(frozen=True)
class Share:
    """What a line comes to, in minor units: its net with its part of the document's allowances and charges, its tax."""

    net: int
    tax: int

    @property
    def gross(self) -> int:
        """What the line claims."""
        return self.net + self.tax


def shares(document: Document) -> list[Share]:
    """The document's lines so that they add up to it: Σ net = BT-109, Σ tax = BT-110 (largest remainder, rules §8).

    Allowances and charges of a tax category are shared over its lines by their net amounts, and so is its tax
    afterwards; a category without lines (freight at a rate of its own) is shared over all of them.
    """
    minor = 10 ** exponent(document.currency)
    own = [int(line.net * minor) for line in document.lines]
    net, everyone = list(own), range(len(own))
    for group in document.tax_groups:
        mine = _lines_of(document, group) or everyone
        _share(net, int(_sum(_adjustments_of(document, group)) * minor), mine, [own[nth] for nth in mine])
    taxes = [0] * len(own)
    for group in document.tax_groups:
        mine = _lines_of(document, group) or everyone
        _share(taxes, money(group.tax, document.currency).minor, mine, [net[nth] for nth in mine])
    return [Share(amount, tax) for amount, tax in zip(net, taxes, strict=True)]


def _share(parts: list[int], amount: int, places: Sequence[int], weights: Sequence[int]) -> None:
    """Add `amount` to the parts at `places` by their weights; evenly when they weigh nothing."""
    for nth, one in zip(places, allocate(amount, weights if any(weights) else [1] * len(weights)), strict=True):
        parts[nth] += one


def _lines_of(document: Document, group: TaxGroup) -> list[int]:
    return [
        nth
        for nth, line in enumerate(document.lines)
        if (line.tax_category, line.tax_rate) == (group.category, group.rate)
    ]


def _adjustments_of(document: Document, group: TaxGroup) -> list[Adjustment]:
    return [one for one in document.adjustments if (one.tax_category, one.tax_rate) == (group.category, group.rate)]


def plain(value: Fraction) -> str:
    """A number for people, up to six decimals."""
    millionths = round_half_away(value * 10**6)
    whole, part = divmod(abs(millionths), 10**6)
    return f"{'-' if millionths < 0 else ''}{whole}.{part:06d}".rstrip("0").rstrip(".")
