"""UBL documents read: what a right one says, which term a wrong one is told by, what an unsafe one is refused for."""

from __future__ import annotations

import random
from fractions import Fraction

import pytest

from services.finance.payables.ubl import domain, reading, xml
from services.finance.payables.ubl.domain import DocumentKind, UblMismatch
from tests.unit.finance.ubl_samples import BilledLine, document

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
    assert sum(domain.line_taxes(read)) == 104_533_016


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
        ("<cbc:PayableAmount", '<cbc:PrepaidAmount currencyID="IDR">5</cbc:PrepaidAmount><cbc:PayableAmount', "BT-113"),
    ],
)
def test_what_is_wrong_is_told_by_its_term(old: str, new: str, term: str):
    assert old in RIGHT
    broken = RIGHT.replace(old, new.replace("\\g<0>", old), 1)

    assert term in terms(broken)


def test_everything_that_is_wrong_is_told_at_once():
    broken = RIGHT.replace("<cbc:ID>INV-2025-001</cbc:ID>", "").replace("2025-03-13", "soon").replace(">10<", ">x<")

    assert terms(broken) == {"BT-1", "BT-2", "BT-129"}


def test_a_credit_note_names_its_invoice():
    right = document([BilledLine("1", "10")], credit=True, invoice="INV-1")

    assert reading.read(right.encode()).kind is DocumentKind.CREDIT_NOTE
    assert terms(document([BilledLine("1", "10")], credit=True)) == {"BT-25"}


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
