"""What the demo's bank sends: a status report (pain.002.001.10) and a day's statement (camt.053.001.08).

The order of elements is that of the ISO 20022 message definitions. Every reference is derived from what it answers, so
that a second run sends the same bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

from chassis.money import Money, exponent

REJECTED, ACCEPTED = "RJCT", "ACSP"
# ISO 20022 external code: the account's number is wrong.
WRONG_ACCOUNT = "AC01"


@dataclass(frozen=True)
class Status:
    """What the bank says of one payment that it was told by its end-to-end id."""

    end_to_end_id: str
    code: str
    reason: str = ""


@dataclass(frozen=True)
class Debit:
    """A payment that left the account."""

    end_to_end_id: str
    reference: str
    amount: Money
    remittance: str


def status_report(message_id: str, statuses: Sequence[Status], *, on: date) -> bytes:
    """The answer to our message `message_id`, payment by payment."""
    document, report = _document("pain.002.001.10", "CstmrPmtStsRpt")
    _header(report, f"R{message_id[:30]}", on, "09:00:00")
    original = SubElement(report, "OrgnlGrpInfAndSts")
    _text(original, "OrgnlMsgId", message_id)
    _text(original, "OrgnlMsgNmId", "pain.001.001.09")
    block = SubElement(report, "OrgnlPmtInfAndSts")
    _text(block, "OrgnlPmtInfId", message_id)
    for status in statuses:
        transaction = SubElement(block, "TxInfAndSts")
        _text(transaction, "OrgnlEndToEndId", status.end_to_end_id)
        _text(transaction, "TxSts", status.code)
        if status.reason:
            _text(SubElement(SubElement(transaction, "StsRsnInf"), "Rsn"), "Cd", status.reason)
    return _bytes(document)


def statement(account: str, debits: Sequence[Debit], *, number: int, opening: Money, on: date) -> tuple[bytes, Money]:
    """The statement of a day and the balance that it closes with."""
    closing = opening - Money(sum(debit.amount.minor for debit in debits), opening.currency)
    document, said = _document("camt.053.001.08", "BkToCstmrStmt")
    _header(said, f"M{account}-{number:05d}", on, "18:00:00")
    one = SubElement(said, "Stmt")
    _text(one, "Id", f"S{account}-{number:05d}")
    _text(one, "ElctrncSeqNb", str(number))
    _text(one, "CreDtTm", f"{on}T18:00:00")
    holder = SubElement(one, "Acct")
    _text(SubElement(SubElement(holder, "Id"), "Othr"), "Id", account)
    _text(holder, "Ccy", opening.currency)
    for code, balance in (("OPBD", opening), ("CLBD", closing)):
        _balance(one, code, balance, on)
    for debit in debits:
        _entry(one, debit, on)
    return _bytes(document), closing


def _balance(statement: Element, code: str, balance: Money, on: date) -> None:
    made = SubElement(statement, "Bal")
    _text(SubElement(SubElement(made, "Tp"), "CdOrPrtry"), "Cd", code)
    _amount(made, abs(balance.minor), balance.currency)
    _text(made, "CdtDbtInd", "DBIT" if balance.minor < 0 else "CRDT")
    _text(SubElement(made, "Dt"), "Dt", str(on))


def _entry(statement: Element, debit: Debit, on: date) -> None:
    entry = SubElement(statement, "Ntry")
    _amount(entry, debit.amount.minor, debit.amount.currency)
    _text(entry, "CdtDbtInd", "DBIT")
    _text(SubElement(entry, "Sts"), "Cd", "BOOK")
    for name in ("BookgDt", "ValDt"):
        _text(SubElement(entry, name), "Dt", str(on))
    _text(entry, "AcctSvcrRef", debit.reference)
    SubElement(entry, "BkTxCd")
    details = SubElement(SubElement(entry, "NtryDtls"), "TxDtls")
    _text(SubElement(details, "Refs"), "EndToEndId", debit.end_to_end_id)
    _text(SubElement(details, "RmtInf"), "Ustrd", debit.remittance)


def _document(name: str, content: str) -> tuple[Element, Element]:
    document = Element("Document", xmlns=f"urn:iso:std:iso:20022:tech:xsd:{name}")
    return document, SubElement(document, content)


def _header(parent: Element, message_id: str, on: date, at: str) -> None:
    header = SubElement(parent, "GrpHdr")
    _text(header, "MsgId", message_id)
    _text(header, "CreDtTm", f"{on}T{at}")


def _amount(parent: Element, minor: int, currency: str) -> None:
    """An amount in the currency's own number of decimals, written from whole minor units."""
    places = exponent(currency)
    whole, rest = divmod(minor, 10**places)
    SubElement(parent, "Amt", Ccy=currency).text = f"{whole}.{rest:0{places}d}" if places else str(whole)


def _text(parent: Element, name: str, text: str) -> None:
    SubElement(parent, name).text = text


def _bytes(document: Element) -> bytes:
    return ElementTree.tostring(document, encoding="UTF-8", xml_declaration=True)
