"""UBL 2.1 documents (Peppol BIS Billing 3.0) as a supplier's software writes them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

_UBL = "urn:oasis:names:specification:ubl:schema:xsd:"


@dataclass(frozen=True)
class Adjusted:
    """An allowance or a charge: of the document at a tax rate, or of a line."""

    amount: str
    charge: bool = False
    rate: str = "11"
    reason: str = "Rabat"
    percent: str = ""
    base: str = ""

    @property
    def signed(self) -> Decimal:
        return Decimal(self.amount) if self.charge else -Decimal(self.amount)


@dataclass(frozen=True)
class BilledLine:
    """One line: units at a price, perhaps of an order line (BT-132)."""

    units: str
    price: str
    order_line: str = ""
    rate: str = "11"
    base: str = ""
    net: str = ""
    adjusted: tuple[Adjusted, ...] = ()

    @property
    def net_amount(self) -> Decimal:
        if self.net:
            return Decimal(self.net)
        priced = Decimal(self.units) * Decimal(self.price) / Decimal(self.base or "1")
        return priced + sum((one.signed for one in self.adjusted), Decimal(0))


def document(
    lines: Sequence[BilledLine],
    *,
    number: str = "INV-2025-001",
    order: str = "",
    invoice: str = "",
    currency: str = "IDR",
    credit: bool = False,
    seller: str = "",
    encoding: str = "UTF-8",
    issued_on: str = "2025-03-13",
    adjusted: Sequence[Adjusted] = (),
    prepaid: str = "",
    rounding: str = "",
    contract: str = "",
) -> str:
    """A document whose totals are right."""
    root = "CreditNote" if credit else "Invoice"
    net = sum((line.net_amount for line in lines), Decimal(0))
    groups: dict[str, Decimal] = {}
    for line in lines:
        groups[line.rate] = groups.get(line.rate, Decimal(0)) + line.net_amount
    for one in adjusted:
        groups[one.rate] = groups.get(one.rate, Decimal(0)) + one.signed
    allowed = -sum((one.signed for one in adjusted if not one.charge), Decimal(0))
    charged = sum((one.signed for one in adjusted if one.charge), Decimal(0))
    without_tax = net - allowed + charged
    taxes = {rate: (base * Decimal(rate) / 100).quantize(Decimal("0.01")) for rate, base in groups.items()}
    tax = sum(taxes.values(), Decimal(0))

    def amount(name: str, value: Decimal | str) -> str:
        return f'<cbc:{name} currencyID="{currency}">{value}</cbc:{name}>'

    subtotals = "".join(
        f"<cac:TaxSubtotal>{amount('TaxableAmount', groups[rate])}{amount('TaxAmount', taxes[rate])}"
        f"<cac:TaxCategory><cbc:ID>{_category(rate)}</cbc:ID><cbc:Percent>{rate}</cbc:Percent>"
        "<cac:TaxScheme><cbc:ID>VAT</cbc:ID></cac:TaxScheme></cac:TaxCategory></cac:TaxSubtotal>"
        for rate in groups
    )
    body = "".join(_line(line, nth, credit, amount) for nth, line in enumerate(lines, start=1))
    return (
        f'<?xml version="1.0" encoding="{encoding}"?>\n'
        f'<{root} xmlns="{_UBL}{root}-2" xmlns:cac="{_UBL}CommonAggregateComponents-2" '
        f'xmlns:cbc="{_UBL}CommonBasicComponents-2">'
        "<cbc:CustomizationID>urn:cen.eu:en16931:2017#compliant#urn:fdc:peppol.eu:2017:poacc:billing:3.0"
        "</cbc:CustomizationID><cbc:ProfileID>urn:fdc:peppol.eu:2017:poacc:billing:01:1.0</cbc:ProfileID>"
        f"<cbc:ID>{number}</cbc:ID><cbc:IssueDate>{issued_on}</cbc:IssueDate>"
        f"<cbc:{root}TypeCode>{'381' if credit else '380'}</cbc:{root}TypeCode>"
        f"<cbc:Note>Café</cbc:Note><cbc:DocumentCurrencyCode>{currency}</cbc:DocumentCurrencyCode>"
        + (f"<cac:OrderReference><cbc:ID>{order}</cbc:ID></cac:OrderReference>" if order else "")
        + (
            f"<cac:BillingReference><cac:InvoiceDocumentReference><cbc:ID>{invoice}</cbc:ID>"
            "</cac:InvoiceDocumentReference></cac:BillingReference>"
            if invoice
            else ""
        )
        + (
            f"<cac:ContractDocumentReference><cbc:ID>{contract}</cbc:ID></cac:ContractDocumentReference>"
            if contract
            else ""
        )
        + "<cac:AccountingSupplierParty><cac:Party>"
        + (f"<cac:PartyIdentification><cbc:ID>{seller}</cbc:ID></cac:PartyIdentification>" if seller else "")
        + "<cac:PartyLegalEntity><cbc:RegistrationName>Toko Uji</cbc:RegistrationName></cac:PartyLegalEntity>"
        "</cac:Party></cac:AccountingSupplierParty>"
        f"{''.join(_adjusted(one, amount, of_document=True) for one in adjusted)}"
        f"<cac:TaxTotal>{amount('TaxAmount', tax)}{subtotals}</cac:TaxTotal>"
        f"<cac:LegalMonetaryTotal>{amount('LineExtensionAmount', net)}{amount('TaxExclusiveAmount', without_tax)}"
        f"{amount('TaxInclusiveAmount', without_tax + tax)}"
        + (amount("AllowanceTotalAmount", allowed) if allowed else "")
        + (amount("ChargeTotalAmount", charged) if charged else "")
        + (amount("PrepaidAmount", prepaid) if prepaid else "")
        + (amount("PayableRoundingAmount", rounding) if rounding else "")
        + amount("PayableAmount", without_tax + tax - Decimal(prepaid or "0") + Decimal(rounding or "0"))
        + f"</cac:LegalMonetaryTotal>{body}</{root}>"
    )


def _adjusted(one: Adjusted, amount, *, of_document: bool) -> str:
    percent = f"<cbc:MultiplierFactorNumeric>{one.percent}</cbc:MultiplierFactorNumeric>" if one.percent else ""
    category = (
        f"<cac:TaxCategory><cbc:ID>{_category(one.rate)}</cbc:ID><cbc:Percent>{one.rate}</cbc:Percent>"
        "<cac:TaxScheme><cbc:ID>VAT</cbc:ID></cac:TaxScheme></cac:TaxCategory>"
    )
    return (
        f"<cac:AllowanceCharge><cbc:ChargeIndicator>{'true' if one.charge else 'false'}</cbc:ChargeIndicator>"
        f"<cbc:AllowanceChargeReason>{one.reason}</cbc:AllowanceChargeReason>{percent}{amount('Amount', one.amount)}"
        + (amount("BaseAmount", one.base) if one.base else "")
        + (category if of_document else "")
        + "</cac:AllowanceCharge>"
    )


def _category(rate: str) -> str:
    return "S" if Decimal(rate) else "Z"


def _line(line: BilledLine, nth: int, credit: bool, amount) -> str:
    name, quantity = ("CreditNoteLine", "CreditedQuantity") if credit else ("InvoiceLine", "InvoicedQuantity")
    order = (
        f"<cac:OrderLineReference><cbc:LineID>{line.order_line}</cbc:LineID></cac:OrderLineReference>"
        if line.order_line
        else ""
    )
    base = f'<cbc:BaseQuantity unitCode="C62">{line.base}</cbc:BaseQuantity>' if line.base else ""
    return (
        f'<cac:{name}><cbc:ID>{nth}</cbc:ID><cbc:{quantity} unitCode="C62">{line.units}</cbc:{quantity}>'
        f"{amount('LineExtensionAmount', line.net_amount)}{order}"
        f"{''.join(_adjusted(one, amount, of_document=False) for one in line.adjusted)}"
        "<cac:Item><cbc:Name>Kertas</cbc:Name>"
        f"<cac:ClassifiedTaxCategory><cbc:ID>{_category(line.rate)}</cbc:ID><cbc:Percent>{line.rate}</cbc:Percent>"
        "<cac:TaxScheme><cbc:ID>VAT</cbc:ID></cac:TaxScheme></cac:ClassifiedTaxCategory></cac:Item>"
        f"<cac:Price>{amount('PriceAmount', line.price)}{base}</cac:Price></cac:{name}>"
    )
