"""Bank files: what we write is valid and always the same bytes; what we read is never trusted."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta, timezone
from uuid import UUID

import pytest

from chassis.errors import KelolaError
from services.finance.treasury import bank_file, bank_xml, camt, pain001
from services.finance.treasury.domain import Account, NumberKind
from services.finance.treasury.pain001 import Format
from tests.unit.finance.bank_samples import camt_053, camt_054, entry, mutated, pain_002, schema_valid_samples
from tests.unit.finance.iso20022 import schema_problems

RUN = UUID("0198f0f0-0000-7000-8000-000000000001")
TREASURY = Account("RKUD Provinsi", "8800000001", NumberKind.LOCAL, "PDJBIDJAXXX", None, "IDR")
SUPPLIER = Account("CV Maju & Jaya", "1200000001", NumberKind.LOCAL, None, "008", "IDR")
IBAN = Account("O'Neill Ltd", "GB82WEST12345698765432", NumberKind.IBAN, "WESTGB22", None, "IDR")


def message(**values: object) -> pain001.Message:
    payments = [
        pain001.Payment(UUID(int=nth).hex, f"{nth:05d}/SP2D/2026", amount, payee)
        for nth, (amount, payee) in enumerate([(561_450_000, SUPPLIER), (1, IBAN), (10_000, SUPPLIER)], start=1)
    ]
    return pain001.Message(
        **{
            "message_id": pain001.message_id(RUN),
            "created_at": datetime(2026, 3, 21, 8, 30, 15, 999, tzinfo=UTC),
            "debtor": TREASURY,
            "execution_on": date(2026, 3, 23),
            "payments": payments,
            **values,
        }
    )


@pytest.mark.parametrize("edition", list(Format))
def test_what_is_written_keeps_every_rule_of_its_schema(edition: Format):
    assert schema_problems(pain001.write(message(), edition)) == []


@pytest.mark.parametrize("edition", list(Format))
def test_a_debtor_with_an_iban_and_one_payment_is_valid_too(edition: Format):
    alone = message(debtor=IBAN, payments=message().payments[:1])

    assert schema_problems(pain001.write(alone, edition)) == []


@pytest.mark.parametrize("edition", list(Format))
def test_a_payment_abroad_is_in_the_accounts_own_currency(edition: Format):
    account = replace(TREASURY, currency="USD")
    abroad = pain001.Payment("A" * 32, "00008/SP2D/2026", 1_000_50, replace(IBAN, currency="USD", bic="DBSSSGSGXXX"))

    written = pain001.write(message(debtor=account, payments=[abroad]), edition)

    assert schema_problems(written) == []
    assert b'<InstdAmt Ccy="USD">1000.50</InstdAmt>' in written
    assert (b"<Ccy>USD</Ccy>" in written, b"EqvtAmt" in written, b"IDR" in written) == (True, False, False)


# A payment of 1 000 dollars that left an account in rupiah: what was ordered, what was booked, at which rate.
EXCHANGED = (
    '<AmtDtls><InstdAmt><Amt Ccy="USD">1000.00</Amt></InstdAmt><TxAmt><Amt Ccy="IDR">15350000.00</Amt><CcyXchg>'
    "<SrcCcy>IDR</SrcCcy><TrgtCcy>USD</TrgtCcy><UnitCcy>USD</UnitCcy><XchgRate>15350</XchgRate></CcyXchg></TxAmt>"
    '<CntrValAmt><Amt Ccy="USD">1000.00</Amt></CntrValAmt></AmtDtls>'
)


@pytest.mark.parametrize("edition", ["02", "08"])
def test_what_banks_say_of_payments_abroad_is_valid_and_read_in_the_accounts_currency(edition: str):
    exchanged = entry(15_350_000, e2e="A" * 32, edition=edition, detail=EXCHANGED)
    dollars = entry(1_000, e2e="B" * 32, currency="USD", edition=edition)
    files = {
        "IDR": [
            camt_053([exchanged], closing=-15_350_000, edition=edition),
            camt_054([exchanged], edition=edition),
        ],
        "USD": [
            camt_053([dollars], closing=-1_000, currency="USD", edition=edition),
            camt_054([dollars], edition=edition).replace("<Ccy>IDR</Ccy>", "<Ccy>USD</Ccy>"),
        ],
    }

    for currency, texts in files.items():
        for text in texts:
            assert schema_problems(text.encode()) == []
            (told,) = bank_file.read(text.encode()).told
            ((one,), expected) = told.entries, {"IDR": 15_350_000_00, "USD": 1_000_00}[currency]
            assert (one.currency, one.amount, told.account.currency) == (currency, expected, currency)


@pytest.mark.parametrize(
    "amount",
    [
        '<InstdAmt Ccy="USD">1000.00</InstdAmt>',
        '<EqvtAmt><Amt Ccy="IDR">15350000.00</Amt><CcyOfTrf>USD</CcyOfTrf></EqvtAmt>',
    ],
)
@pytest.mark.parametrize("edition", ["03", "10"])
def test_a_status_may_repeat_the_amount_of_a_payment_abroad(edition: str, amount: str):
    plain = pain_002("B" * 32, [("A" * 32, "RJCT")], edition=edition)
    text = plain.replace("</TxInfAndSts>", f"<OrgnlTxRef><Amt>{amount}</Amt></OrgnlTxRef></TxInfAndSts>")

    assert schema_problems(text.encode()) == []
    assert [one.code for one in bank_file.read(text.encode()).statuses.statuses] == ["RJCT"]


def test_the_check_of_the_schema_finds_what_is_wrong():
    good = pain001.write(message(), Format.PAIN_001_001_09).decode()
    broken = {
        "order": good.replace("<PmtMtd>TRF</PmtMtd>\n<Btch", "<Btch")
        .replace("false</BtchBookg>", "false</BtchBookg>\n<PmtMtd>TRF</PmtMtd>"),
        "missing": good.replace("<PmtMtd>TRF</PmtMtd>\n", ""),
        "code": good.replace("<PmtMtd>TRF</PmtMtd>", "<PmtMtd>ZZZ</PmtMtd>"),
        "length": good.replace("00001/SP2D/2026</InstrId>", "0" * 36 + "</InstrId>"),
        "currency": good.replace('Ccy="IDR"', 'Ccy="rupiah"'),
        "unknown": good.replace("<PmtMtd>", "<Foo/><PmtMtd>"),
        "choice": good.replace("<ReqdExctnDt><Dt>2026-03-23</Dt>", "<ReqdExctnDt>"),
        "date": good.replace("2026-03-23", "23.03.2026"),
        "decimals": good.replace("0.01</InstdAmt>", "0.000001</InstdAmt>"),
    }  # fmt: skip

    assert {name for name, text in broken.items() if text == good} == set()
    assert {name for name, text in broken.items() if not schema_problems(text.encode())} == set()


def test_equal_runs_are_equal_bytes_wherever_they_are_written():
    there = message(created_at=datetime(2026, 3, 21, 15, 30, 15, tzinfo=timezone(timedelta(hours=7))))

    assert pain001.write(message(), Format.PAIN_001_001_09) == pain001.write(there, Format.PAIN_001_001_09)


def test_control_sum_and_count_are_those_of_the_payments():
    written = pain001.write(message(), Format.PAIN_001_001_09).decode()

    assert written.count("<NbOfTxs>3</NbOfTxs><CtrlSum>".replace("><", ">\n<")) == 2
    assert written.count("<CtrlSum>5614600.01</CtrlSum>") == 2
    assert written.count("<CdtTrfTxInf>") == 3
    assert "CV Maju &amp; Jaya" in written


# --- reading ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(schema_valid_samples()))
def test_the_samples_that_the_readers_are_tested_with_are_valid(name: str):
    assert schema_problems(schema_valid_samples()[name]) == []


@pytest.mark.parametrize("name", sorted(schema_valid_samples()))
def test_every_edition_is_read(name: str):
    read = bank_file.read(schema_valid_samples()[name])

    if read.statuses is not None:
        assert [(one.code, one.reason_code) for one in read.statuses.statuses] == [("RJCT", "AC04"), ("ACCP", "")]
    else:
        (told,) = read.told
        assert [one.signed for one in told.entries] == [-100_00, 250_00]
        assert told.entries[0].end_to_end_id == "A" * 32
        assert (told.statement is not None) is name.startswith("camt.053")
        if told.statement is not None:
            assert (told.statement.opening, told.statement.closing) == (0, 150_00)


BILLION = """<?xml version="1.0"?><!DOCTYPE lolz [<!ENTITY a "lol"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">
<!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;&b;&b;"><!ENTITY d "&c;&c;&c;&c;&c;&c;&c;&c;&c;&c;">]><Document>&d;</Document>"""
EXTERNAL = """<?xml version="1.0"?><!DOCTYPE d [<!ENTITY x SYSTEM "file:///etc/hostname">]><Document>&x;</Document>"""
PARAMETER = """<?xml version="1.0"?><!DOCTYPE d SYSTEM "http://127.0.0.1:9/evil.dtd"><Document/>"""
DEEP = "<Document>" + "<a>" * 1_000 + "</a>" * 1_000 + "</Document>"
WIDE = "<Document>" + "<a/>" * 120_000 + "</Document>"
UNSAFE, INVALID = "BANK_FILE_UNSAFE", "BANK_FILE_INVALID"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        pytest.param(BILLION.encode(), UNSAFE, id="an entity bomb"),
        pytest.param(EXTERNAL.encode(), UNSAFE, id="an external entity"),
        pytest.param(PARAMETER.encode(), UNSAFE, id="an external document type"),
        pytest.param(BILLION.encode("utf-16"), UNSAFE, id="an entity bomb in UTF-16"),
        pytest.param(DEEP.encode(), UNSAFE, id="endless nesting"),
        pytest.param(WIDE.encode(), UNSAFE, id="endless siblings"),
        pytest.param(b"<a>" + b"x" * bank_xml.BYTES_MAX, "BANK_FILE_TOO_LARGE", id="too many bytes"),
        pytest.param(b"", INVALID, id="nothing"),
        pytest.param(b"MT940 :20:STARTUMS", INVALID, id="no XML"),
        pytest.param(camt_053([]).encode()[:-40], INVALID, id="truncated"),
        pytest.param(camt_053([entry(1, text="Caf\u00e9")]).encode("latin-1"), INVALID, id="Latin-1 that says UTF-8"),
        pytest.param(camt_053([]).replace('"UTF-8"', '"EBCDIC-XX"').encode(), INVALID, id="an unknown encoding"),
        pytest.param(camt_053([]).replace('"UTF-8"', '"shift_jis"').encode(), INVALID, id="a multi-byte encoding"),
        pytest.param(b"<Document>&undefined;</Document>", INVALID, id="an undefined entity"),
        pytest.param(
            camt_053([]).replace("053.001.08", "053.001.99").encode(), "BANK_FILE_FORMAT_UNKNOWN", id="edition"
        ),
        pytest.param(b"<html/>", "BANK_FILE_FORMAT_UNKNOWN", id="another document"),
        pytest.param(
            pain001.write(message(), Format.PAIN_001_001_09), "BANK_FILE_FORMAT_UNKNOWN", id="our own message"
        ),
    ],
)
def test_what_no_bank_sends_is_refused_by_name(content: bytes, reason: str):
    with pytest.raises(KelolaError) as refusal:
        bank_file.read(content)

    assert refusal.value.reason == reason


@pytest.mark.parametrize(
    "broken",
    [
        ('<Amt Ccy="IDR">100.00</Amt>', '<Amt Ccy="IDR">1e5</Amt>'),
        ('<Amt Ccy="IDR">100.00</Amt>', '<Amt Ccy="IDR">-100.00</Amt>'),
        ('<Amt Ccy="IDR">100.00</Amt>', '<Amt Ccy="IDR">100.001</Amt>'),
        ('<Amt Ccy="IDR">100.00</Amt>', '<Amt Ccy="IDR">999999999999999999.00</Amt>'),
        ('<Amt Ccy="IDR">100.00</Amt>', '<Amt Ccy="IDR">0.00</Amt>'),
        ('<Amt Ccy="IDR">100.00</Amt>', "<Amt>100.00</Amt>"),
        ('<Amt Ccy="IDR">100.00</Amt>', '<Amt Ccy="IDR">\u0661\u0660\u0660</Amt>'),
        ("<CdtDbtInd>DBIT</CdtDbtInd>", "<CdtDbtInd>PLUS</CdtDbtInd>"),
        ("<BookgDt><Dt>2026-03-21</Dt></BookgDt><ValDt><Dt>2026-03-21</Dt></ValDt>", ""),
        ("<Dt>2026-03-21</Dt></BookgDt>", "<Dt>2026-02-30</Dt></BookgDt>"),
        ("<Cd>CLBD</Cd>", "<Cd>ZZZZ</Cd>"),
        ("<Acct>", "<Acct2>"),
    ],
)
def test_a_field_that_breaks_its_form_is_refused_by_name(broken: tuple[str, str]):
    text = camt_053([entry(100)], closing=-7)
    if broken[0] == "<Acct>":
        text = text.replace("</Acct>", "</Acct2>")
    assert broken[0] in text

    with pytest.raises(bank_xml.BankFileInvalid):
        bank_file.read(text.replace(*broken, 1).encode())


def test_an_utf_16_file_with_its_mark_is_read():
    text = camt_053([entry(100)], closing=-100).replace('encoding="UTF-8"', 'encoding="UTF-16"')

    assert bank_file.read(text.encode("utf-16")).told[0].entries[0].amount == 100_00


def test_supplementary_data_of_another_schema_is_left_alone():
    foreign = '<SplmtryData><Envlp><x:Ntry xmlns:x="urn:x"><x:Amt>1</x:Amt></x:Ntry></Envlp></SplmtryData>'
    text = camt_053([entry(100)], closing=-100).replace("</Stmt>", f"{foreign}</Stmt>")

    assert len(bank_file.read(text.encode()).told[0].entries) == 1


def test_an_entry_keeps_its_key_from_notification_to_statement_and_twins_differ():
    same = entry(100, reference="", e2e="A" * 32)
    twins = [entry(100, reference="REF-1"), entry(100, reference="REF-1"), entry(100, reference="REF-1", debit=False)]

    def keys(text: str) -> list[str]:
        return [one.key for one in bank_file.read(text.encode()).told[0].entries]

    assert keys(camt_054([same])) == keys(camt_053([same], closing=-100))
    assert len(set(keys(camt_054(twins)))) == 3
    assert keys(camt_054(twins)) == keys(camt_054(twins))


def test_a_collected_booking_without_all_amounts_stays_one():
    detail = "<TxDtls><Refs><EndToEndId>X</EndToEndId></Refs></TxDtls>"
    text = entry(100).replace("</Ntry>", f"<NtryDtls>{detail}{detail}</NtryDtls></Ntry>")

    (told,) = bank_file.read(camt_054([text]).encode()).told

    assert [(one.amount, one.end_to_end_id) for one in told.entries] == [(100_00, "")]


def test_mutated_files_are_read_or_refused_by_name_and_nothing_else():
    seed = random.SystemRandom().randrange(10**9)
    print(f"seed {seed}")
    chance = random.Random(seed)
    originals = [*schema_valid_samples().values(), pain_002("B" * 32, [("A" * 32, "RJCT")]).encode()]
    outcomes = {"read": 0, "refused": 0}
    for _ in range(3_000):
        content = mutated(chance, chance.choice(originals))
        try:
            bank_file.read(content)
        except KelolaError:
            outcomes["refused"] += 1
        else:
            outcomes["read"] += 1

    assert min(outcomes.values()) > 100, outcomes


def test_a_statement_of_another_currency_in_one_balance_is_refused():
    text = camt_053([], closing=0).replace('Ccy="IDR"', 'Ccy="USD"', 1)

    with pytest.raises(bank_xml.BankFileInvalid, match="two currencies"):
        bank_file.read(text.encode())


def test_camt_names_are_those_of_the_editions():
    assert camt.STATEMENTS[0].endswith("camt.053.001.02")
    assert camt.NOTIFICATIONS[1].endswith("camt.054.001.08")
