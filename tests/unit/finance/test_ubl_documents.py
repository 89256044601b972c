"""UBL documents read: what a right one says, which term a wrong one is told by, what an unsafe one is refused for."""

from __future__ import annotations

import random
from fractions import Fraction

import pytest

from services.finance.payables.ubl import domain, reading, xml
from services.finance.payables.ubl.domain import DocumentKind, UblMismatch
from tests.unit.finance.ubl_samples import Adjusted, BilledLine, document

RIGHT = document([BilledLine("10", "950000", "1"), BilledLine("3", "1000.50", "2")], order="PO/7")


def terms(text: str) -> set[str]:
    """The terms that a document is refused for."""
    try:
        found = domain.problems(reading.read(text.encode()))
    except UblMismatch as refused:
        return set(refused.metadata["terms"].split(","))
    return {one.term for one in found}


def test_a_right_document_is_read_term_by_term():
    read = reading.read(RIGHT.encode())

    assert domain.problems(read) == []
    assert (read.kind, read.number, read.order_number, read.currency) == (
        DocumentKind.INVOICE,
        "INV-2025-001",
        "PO/7",
        "IDR",
    )
    assert [(line.quantity, line.unit_price, line.order_line) for line in read.lines] == [
        (10, 950_000, "1"),
        (3, Fraction(2001, 2), "2"),
    ]
    assert read.total.minor == 950_300_150 + 104_533_016
    assert sum(share.tax for share in domain.shares(read)) == 104_533_016


def test_a_price_for_a_hundred_is_a_price_of_one():
    read = reading.read(document([BilledLine("250", "1000", base="100")]).encode())

    assert read.lines[0].unit_price == 10
    assert domain.problems(read) == []


@pytest.mark.parametrize(
    ("old", "new", "term"),
    [
        ("<cbc:ID>INV-2025-001</cbc:ID>", "", "BT-1"),
        ("2025-03-13", "13.03.2025", "BT-2"),
        ("2025-03-13", "2025-02-30", "BT-2"),
        (">380<", ">389<", "BT-3"),
        ("<cbc:DocumentCurrencyCode>IDR", "<cbc:DocumentCurrencyCode>Rp", "BT-5"),
        ("urn:fdc:peppol.eu:2017:poacc:billing:01:1.0", "urn:other", "BT-23"),
        ("urn:cen.eu:en16931:2017#", "urn:mine#", "BT-24"),
        ('<cbc:PriceAmount currencyID="IDR">950000', '<cbc:PriceAmount currencyID="IDR">950001', "BT-131"),
        ('<cbc:PriceAmount currencyID="IDR">950000', '<cbc:PriceAmount currencyID="USD">950000', "BT-146"),
        ('unitCode="C62">10<', 'unitCode="C62">ten<', "BT-129"),
        ('unitCode="C62">10<', 'unitCode="C62">1e1<', "BT-129"),
        ('unitCode="C62">10<', 'unitCode="C62">-10<', "BT-129"),
        ('LegalMonetaryTotal><cbc:LineExtensionAmount currencyID="IDR">', "\\g<0>1", "BT-106"),
        ('<cbc:TaxExclusiveAmount currencyID="IDR">', "\\g<0>1", "BT-109"),
        ('<cac:TaxTotal><cbc:TaxAmount currencyID="IDR">', "\\g<0>1", "BT-110"),
        ('<cbc:TaxInclusiveAmount currencyID="IDR">', "\\g<0>1", "BT-112"),
        ('<cbc:PayableAmount currencyID="IDR">', "\\g<0>1", "BT-115"),
        ('<cbc:TaxableAmount currencyID="IDR">', "\\g<0>1", "BT-116"),
        ('TaxableAmount><cbc:TaxAmount currencyID="IDR">', "\\g<0>9", "BT-117"),
        (
            "<cac:Item><cbc:Name>Kertas</cbc:Name><cac:ClassifiedTaxCategory><cbc:ID>S</cbc:ID>",
            "<cac:Item><cac:ClassifiedTaxCategory>",
            "BT-151",
        ),
        ("<cac:TaxTotal>", "<cac:AllowanceCharge/><cac:TaxTotal>", "BG-20"),
        ("<cac:Item>", "<cac:AllowanceCharge/><cac:Item>", "BG-27"),
        ("<cbc:PayableAmount", '<cbc:PrepaidAmount currencyID="IDR">5</cbc:PrepaidAmount><cbc:PayableAmount', "BT-115"),
        (
            "<cbc:PayableAmount",
            '<cbc:PayableRoundingAmount currencyID="IDR">5</cbc:PayableRoundingAmount><cbc:PayableAmount',
            "BT-115",
        ),
        (
            "<cbc:PayableAmount",
            '<cbc:PayableRoundingAmount currencyID="IDR">0.001</cbc:PayableRoundingAmount><cbc:PayableAmount',
            "BT-114",
        ),
    ],
)
def test_what_is_wrong_is_told_by_its_term(old: str, new: str, term: str):
    assert old in RIGHT
    broken = RIGHT.replace(old, new.replace("\\g<0>", old), 1)

    assert term in terms(broken)


def test_everything_that_is_wrong_is_told_at_once():
    broken = RIGHT.replace("<cbc:ID>INV-2025-001</cbc:ID>", "").replace("2025-03-13", "soon").replace(">10<", ">x<")

    assert terms(broken) == {"BT-1", "BT-2", "BT-129"}


# 10 % of the order off the paper's line, freight taxed like it, packing of the second line; the ribbon is tax-free.
ADJUSTED = document(
    [
        BilledLine("3", "1000.50", "1", adjusted=(Adjusted("300.15", percent="10", base="3001.50"),)),
        BilledLine("7", "333.33", "2", adjusted=(Adjusted("99.99", charge=True, reason="Kemasan"),)),
        BilledLine("1", "50", "3", rate="0"),
    ],
    order="PO/7",
    adjusted=[
        Adjusted("100.01"),
        Adjusted("250", charge=True, reason="Ongkos kirim"),
        Adjusted("7.77", rate="0", reason="Promosi"),
    ],
    prepaid="1000",
)


def test_allowances_and_charges_of_lines_and_document_come_to_its_totals_to_the_smallest_coin():
    read = reading.read(ADJUSTED.encode())
    shares = domain.shares(read)

    assert domain.problems(read) == []
    # BT-106 2 701.35 + 2 433.30 + 50; BT-107 107.78, BT-108 250: BT-109.
    assert sum(share.net for share in shares) == 532_687
    assert sum(share.tax for share in shares) == 58_131
    assert sum(share.gross for share in shares) == read.total.minor
    # 149.99 over 2 701.35 and 2 433.30: 78.910… and 71.079…, the coin that is left goes to the larger remainder.
    assert [share.net for share in shares] == [270_135 + 7_891, 243_330 + 7_108, 5_000 - 777]


@pytest.mark.parametrize(
    ("old", "new", "term", "rule"),
    [
        ('<cbc:LineExtensionAmount currencyID="IDR">5184', "\\g<0>9", "BT-106", "BR-CO-10"),
        ('<cbc:AllowanceTotalAmount currencyID="IDR">', "\\g<0>1", "BT-107", "BR-CO-11"),
        ('<cbc:ChargeTotalAmount currencyID="IDR">', "\\g<0>1", "BT-108", "BR-CO-12"),
        ('<cbc:TaxExclusiveAmount currencyID="IDR">', "\\g<0>1", "BT-109", "BR-CO-13"),
        ('<cac:TaxTotal><cbc:TaxAmount currencyID="IDR">', "\\g<0>1", "BT-110", "BR-CO-14"),
        ('<cbc:TaxInclusiveAmount currencyID="IDR">', "\\g<0>1", "BT-112", "BR-CO-15"),
        ('<cbc:PrepaidAmount currencyID="IDR">', "\\g<0>1", "BT-115", "BR-CO-16"),
        ('<cbc:TaxableAmount currencyID="IDR">', "\\g<0>1", "BT-116", "BR-S-08"),
        ('<cbc:Amount currencyID="IDR">100.01', '<cbc:Amount currencyID="IDR">100.02', "BT-107", "BR-CO-11"),
        ('<cbc:Amount currencyID="IDR">250', '<cbc:Amount currencyID="IDR">251', "BT-108", "BR-CO-12"),
        ('<cbc:Amount currencyID="IDR">250', '<cbc:Amount currencyID="IDR">-250', "BT-99", "below zero"),
        ('<cbc:Amount currencyID="IDR">100.01', '<cbc:Amount currencyID="USD">100.01', "BT-92", "R051"),
        ('<cbc:Amount currencyID="IDR">99.99', '<cbc:Amount currencyID="IDR">99.98', "BT-131", "R120"),
        ('<cbc:Amount currencyID="IDR">300.15', '<cbc:Amount currencyID="IDR">300.12', "BT-136", "R040"),
        ('<cbc:BaseAmount currencyID="IDR">3001.50</cbc:BaseAmount>', "", "BT-137", "R041"),
        ("<cbc:MultiplierFactorNumeric>10</cbc:MultiplierFactorNumeric>", "", "BT-138", "R042"),
        ("<cbc:AllowanceChargeReason>Ongkos kirim</cbc:AllowanceChargeReason>", "", "BT-104", "BR-38"),
        ("<cbc:AllowanceChargeReason>Kemasan</cbc:AllowanceChargeReason>", "", "BT-144", "BR-44"),
        ("<cbc:ChargeIndicator>true", "<cbc:ChargeIndicator>maybe", "BG-20", "R043"),
        (
            "<cac:TaxCategory><cbc:ID>Z</cbc:ID><cbc:Percent>0</cbc:Percent>",
            "<cac:TaxCategory><cbc:ID>Z</cbc:ID><cbc:Percent>5</cbc:Percent>",
            "BG-23",
            "BR-S-01",
        ),
    ],
)
def test_what_is_wrong_with_allowances_and_totals_is_told_by_its_rule(old: str, new: str, term: str, rule: str):
    assert old in ADJUSTED

    broken = reading_problems(ADJUSTED.replace(old, new.replace("\\g<0>", old), 1))

    assert any(one.startswith(f"{term}:") and rule in one for one in broken), broken


def reading_problems(text: str) -> list[str]:
    """Everything that is wrong with a document, as it is told."""
    try:
        return [str(one) for one in domain.problems(reading.read(text.encode()))]
    except UblMismatch as refused:
        return [f"{one}" for one in str(refused).split("; ")]


def test_what_is_due_is_the_total_less_what_is_prepaid_with_what_it_was_rounded_by():
    """BR-CO-16; the claim is without what is prepaid."""
    read = reading.read(document([BilledLine("3", "333.33")], prepaid="100", rounding="-0.09").encode())

    assert domain.problems(read) == []
    assert (str(read.total), str(read.rounding)) == ("IDR 1 109.90", "IDR -0.09")
    assert read.totals.due == Fraction("1009.90")
    nothing = reading.read(document([BilledLine("1", "1", rate="0")], rounding="-1").encode())
    assert [one.term for one in domain.problems(nothing)] == ["BT-114"]


def test_a_discount_on_a_price_is_a_part_of_it():
    plain = document([BilledLine("2", "90")])
    price = '<cbc:PriceAmount currencyID="IDR">90</cbc:PriceAmount>'
    discount = (
        "<cac:AllowanceCharge><cbc:ChargeIndicator>false</cbc:ChargeIndicator>"
        '<cbc:Amount currencyID="IDR">10</cbc:Amount><cbc:BaseAmount currencyID="IDR">100</cbc:BaseAmount>'
        "</cac:AllowanceCharge>"
    )
    right = plain.replace(price, price + discount)

    assert reading_problems(right) == []
    assert ["R046" in one for one in reading_problems(right.replace(">100<", ">101<"))] == [True]
    assert any("R044" in one for one in reading_problems(right.replace(">false<", ">true<")))


def test_shares_of_any_document_add_up_to_it():
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    numbers = random.Random(seed)
    for _ in range(60):
        rates = [numbers.choice(["11", "0", "7.5"]) for _ in range(numbers.randint(1, 6))]
        lines = [
            BilledLine(
                str(numbers.randint(1, 9)),
                f"{numbers.randint(1, 99_999) / 100:.2f}",
                rate=rate,
                adjusted=(Adjusted(f"{numbers.randint(0, 500) / 100:.2f}", charge=True),),
            )
            for rate in rates
        ]
        adjusted = [
            Adjusted(f"{numbers.randint(1, 900) / 100:.2f}", charge=True, rate=numbers.choice([*rates, "19"]))
            for _ in range(numbers.randint(0, 4))
        ]
        adjusted += [Adjusted("0.01", rate=rates[0])]

        read = reading.read(document(lines, adjusted=adjusted).encode())
        shares = domain.shares(read)

        assert domain.problems(read) == []
        assert sum(share.gross for share in shares) == read.total.minor
        assert sum(share.net for share in shares) == domain.money(read.totals.without_tax, read.currency).minor
        assert all(share.net >= 0 <= share.tax for share in shares)


def test_a_credit_note_names_its_invoice():
    right = document([BilledLine("1", "10")], credit=True, invoice="INV-1")

    assert reading.read(right.encode()).kind is DocumentKind.CREDIT_NOTE
    assert terms(document([BilledLine("1", "10")], credit=True)) == {"BT-25"}
    reference = right[right.index("<cac:BillingReference>") : right.index("</cac:BillingReference>")]
    other = reference.replace("INV-1", "INV-2") + "</cac:BillingReference>"
    with pytest.raises(UblMismatch, match="names 2 invoices"):
        reading.read(right.replace("<cac:BillingReference>", other + "<cac:BillingReference>", 1).encode())


# --- what no supplier's software sends -----------------------------------------------------------------------------


def test_entities_are_refused_before_any_is_read():
    laughs = '<?xml version="1.0"?><!DOCTYPE lolz [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;">]>' + RIGHT.split("?>", 1)[
        1
    ].replace("Café", "&b;")
    outside = RIGHT.replace("?>", '?><!DOCTYPE x SYSTEM "file:///etc/hostname">', 1)

    for text in (laughs, outside):
        with pytest.raises(xml.UblUnsafe, match="document type"):
            reading.read(text.encode())


def test_depth_elements_and_bytes_have_limits():
    deep = "<a>" * 200_000
    many = "<a>" + "<b/>" * (xml.ELEMENTS_MAX + 1) + "</a>"

    with pytest.raises(xml.UblUnsafe, match="nests deeper"):
        xml.parse(deep.encode())
    with pytest.raises(xml.UblUnsafe, match="more than"):
        xml.parse(many.encode())
    with pytest.raises(xml.UblTooLarge):
        xml.parse(b" " * (xml.BYTES_MAX + 1))


def test_another_encoding_is_named():
    latin = document([BilledLine("1", "10")], encoding="ISO-8859-1")
    lying = document([BilledLine("1", "10")])

    with pytest.raises(xml.UblEncoding, match="ISO-8859-1"):
        reading.read(latin.encode("latin-1"))
    with pytest.raises(xml.UblEncoding, match="0xE9"):
        reading.read(lying.encode("latin-1"))
    with pytest.raises(xml.UblEncoding, match="UTF-16"):
        reading.read(lying.encode("utf-16"))
    assert reading.read(b"\xef\xbb\xbf" + lying.encode()).number == "INV-2025-001"


def test_another_document_is_refused():
    for text in (
        "",
        "<Invoice/>",
        "<x>",
        RIGHT[:-20],
        '<Order xmlns="urn:oasis:names:specification:ubl:schema:xsd:Order-2"/>',
    ):
        with pytest.raises(xml.UblInvalid):
            reading.read(text.encode())


def test_whatever_bytes_come_the_answer_is_a_named_refusal_or_a_document():
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    numbers = random.Random(seed)
    original = RIGHT.encode()
    for _ in range(400):
        mutated = bytearray(original)
        for _ in range(numbers.randrange(1, 6)):
            at = numbers.randrange(len(mutated))
            mutated[at : at + numbers.randrange(0, 8)] = numbers.randbytes(numbers.randrange(0, 4))
        try:
            domain.problems(reading.read(bytes(mutated)))
        except (xml.UblInvalid, xml.UblUnsafe, xml.UblEncoding, UblMismatch):
            continue
