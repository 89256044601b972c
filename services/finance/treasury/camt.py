"""ISO 20022 camt.053 and camt.054: the bank's statement, and its notification of debits and credits.

Editions .02 (2009) and .08 (2019). Only booked entries count: pending ones and information are told again when they are
booked. An entry that collects several transactions with amounts of their own is read as these; opening balance, entries
and closing balance are taken as they stand (`bank_rules.check_balances` compares them).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date
from fractions import Fraction
from typing import Any

from chassis.money import INT64_MAX, exponent
from services.finance.treasury.bank_rules import Booked, Statement
from services.finance.treasury.bank_xml import BankFileInvalid, Element, decimal_text

_PREFIX = "urn:iso:std:iso:20022:tech:xsd:"
STATEMENTS = tuple(f"{_PREFIX}camt.053.001.{edition}" for edition in ("02", "08"))
NOTIFICATIONS = tuple(f"{_PREFIX}camt.054.001.{edition}" for edition in ("02", "08"))
_REFERENCE_MAX = 35
_REMITTANCE_MAX = 500


@dataclass(frozen=True)
class Account:
    """The account that a statement is of; `currency` is empty when the bank did not say it."""

    account_number: str
    currency: str


@dataclass(frozen=True)
class Told:
    """A statement or a notification: the account and its booked entries; with balances when it is a statement."""

    account: Account
    entries: tuple[Booked, ...]
    statement: Statement | None


@dataclass(frozen=True)
class Report:
    """A camt file."""

    message_id: str
    told: tuple[Told, ...]
    ignored_count: int


def read_statements(root: Element) -> Report:
    """The statements of a camt.053, in the file's order."""
    return _read(root, "BkToCstmrStmt", "Stmt", balances=True)


def read_notifications(root: Element) -> Report:
    """The notifications of a camt.054."""
    return _read(root, "BkToCstmrDbtCdtNtfctn", "Ntfctn", balances=False)


def _read(root: Element, body: str, item: str, *, balances: bool) -> Report:
    message = root.first(body)
    if message is None:
        raise BankFileInvalid(f"the document has no {body}")
    header = message.first("GrpHdr")
    if header is None:
        raise BankFileInvalid("the message has no GrpHdr")
    told, ignored = [], 0
    for element in message.all(item):
        entries = [entry for entry in element.all("Ntry") if _is_booked(entry)]
        ignored += sum(1 for _ in element.all("Ntry")) - len(entries)
        told.append(_told(element, entries, balances=balances))
    if not told:
        raise BankFileInvalid(f"the message has no {item}")
    return Report(header.required("MsgId", limit=_REFERENCE_MAX), tuple(told), ignored)


def _told(element: Element, entries: list[Element], *, balances: bool) -> Told:
    number = element.required("Acct/Id/IBAN", "Acct/Id/Othr/Id", limit=34)
    account = Account(number, element.text("Acct/Ccy", limit=3))
    booked = _numbered([one for entry in entries for one in _transactions(entry)])
    return Told(account, booked, _statement(element, booked) if balances else None)


def _statement(element: Element, booked: tuple[Booked, ...]) -> Statement:
    found = {balance.text("Tp/CdOrPrtry/Cd", limit=4): balance for balance in element.all("Bal")}
    opening, closing = found.get("OPBD") or found.get("PRCD"), found.get("CLBD")
    if opening is None or closing is None:
        raise BankFileInvalid(
            "the statement has no booked opening balance (OPBD or PRCD) or no booked closing balance (CLBD)"
        )
    currencies = {_currency(balance) for balance in (opening, closing)}
    if len(currencies) > 1:
        raise BankFileInvalid("opening and closing balance are in two currencies")
    return Statement(
        statement_reference=element.required("Id", limit=_REFERENCE_MAX),
        sequence_number=element.text("LglSeqNb", "ElctrncSeqNb", limit=18) or None,
        currency=currencies.pop(),
        opened_on=_day(opening, "Dt"),
        closed_on=_day(closing, "Dt"),
        opening=_signed(opening),
        closing=_signed(closing),
        entries=booked,
    )


def _is_booked(entry: Element) -> bool:
    return entry.text("Sts/Cd", "Sts", limit=_REFERENCE_MAX) == "BOOK"


def _transactions(entry: Element) -> Iterator[Booked]:
    """The entry, or the transactions that it collects when their amounts come to its own."""
    details = list(entry.all("NtryDtls/TxDtls"))
    whole = _booked(entry, details[0] if len(details) == 1 else None)
    if len(details) > 1:
        parts = [_part(whole, entry, detail, nth) for nth, detail in enumerate(details, start=1)]
        known = [part for part in parts if part is not None]
        if len(known) == len(details) and sum(part.signed for part in known) == whole.signed:
            yield from known
            return
    yield whole


def _booked(entry: Element, detail: Element | None) -> Booked:
    currency, amount = _currency(entry), _amount(entry)
    if amount <= 0:
        raise BankFileInvalid("an entry has an amount of nil; the schema allows it, a booking does not")
    debit = _is_debit(entry)
    booked_on = _day(entry, "BookgDt", "ValDt")
    reference = entry.text("AcctSvcrRef", limit=_REFERENCE_MAX)
    return Booked(
        key=reference,
        debit=debit,
        amount=amount,
        currency=currency,
        booked_on=booked_on,
        value_on=_day(entry, "ValDt", "BookgDt"),
        bank_reference=reference,
        transaction_code=_transaction_code(entry),
        **_references(detail, entry),
    )


def _transaction_code(entry: Element) -> str:
    """BkTxCd (BankTransactionCodeStructure4): domain/family/sub-family, or the bank's own code; empty when unsaid."""
    names = ("Domn/Cd", "Domn/Fmly/Cd", "Domn/Fmly/SubFmlyCd")
    codes = [entry.text(f"BkTxCd/{name}", limit=4) for name in names]
    return "/".join(codes) if all(codes) else entry.text("BkTxCd/Prtry/Cd", limit=_REFERENCE_MAX)


def _part(whole: Booked, entry: Element, detail: Element, nth: int) -> Booked | None:
    """One transaction of a collected entry; None when it has no amount of its own in the entry's currency."""
    holder = detail if detail.first("Amt") is not None else detail.first("AmtDtls/TxAmt")
    if holder is None or _currency(holder) != whole.currency:
        return None
    amount = _amount(holder)
    if amount <= 0:
        return None
    reference = detail.text("Refs/AcctSvcrRef", limit=_REFERENCE_MAX)
    debit = _is_debit(detail) if detail.first("CdtDbtInd") is not None else whole.debit
    own = reference if reference and reference != whole.bank_reference else ""
    return replace(
        whole,
        key=own or (f"{whole.key}#{nth}" if whole.key else ""),
        debit=debit,
        amount=amount,
        bank_reference=own or whole.bank_reference,
        **_references(detail, entry),
    )


def _references(detail: Element | None, entry: Element) -> dict[str, Any]:
    texts = [entry.text("AddtlNtryInf")]
    if detail is None:
        return {"end_to_end_id": "", "instruction_reference": "", "remittance": texts[0], "reason": ""}
    texts = ["".join(piece.pieces).strip() for piece in detail.all("RmtInf/Ustrd")] + texts
    end_to_end = detail.text("Refs/EndToEndId", limit=_REFERENCE_MAX)
    words = [
        detail.text("RtrInf/Rsn/Cd", "RtrInf/Rsn/Prtry", limit=_REFERENCE_MAX),
        *("".join(piece.pieces).strip() for piece in detail.all("RtrInf/AddtlInf")),
    ]
    return {
        "end_to_end_id": "" if end_to_end == "NOTPROVIDED" else end_to_end,
        "instruction_reference": detail.text("Refs/InstrId", limit=_REFERENCE_MAX),
        "remittance": " ".join(text for text in texts if text)[:_REMITTANCE_MAX],
        "reason": " ".join(word for word in words if word)[:300],
    }


def _numbered(entries: list[Booked]) -> tuple[Booked, ...]:
    """Entries with a key each, by which the same entry told again is known.

    The bank's own reference (AcctSvcrRef) with direction and amount, because some banks give a booking and its reversal
    one reference. NtryRef is no key: it may number the entries of one statement. Without a reference the content
    speaks; equal entries of one file are told apart by their order, so that the same day told again has the same keys.
    """
    seen: dict[str, int] = {}
    numbered = []
    for entry in entries:
        side = "D" if entry.debit else "C"
        key = f"{entry.key}|{side}|{entry.amount}" if entry.key else f"content|{_digest(entry)}"
        seen[key] = seen.get(key, 0) + 1
        numbered.append(replace(entry, key=key if seen[key] == 1 else f"{key}|{seen[key]}"))
    return tuple(numbered)


def _digest(entry: Booked) -> str:
    # The text may be worded anew in another message; where the payment is named, that is enough.
    text = entry.end_to_end_id or f"{entry.instruction_reference}\x1f{entry.remittance}"
    said = (entry.debit, entry.amount, entry.currency, entry.booked_on, text)
    return hashlib.sha256("\x1f".join(map(str, said)).encode()).hexdigest()[:32]


def _is_debit(element: Element) -> bool:
    mark = element.text("CdtDbtInd", limit=4)
    if mark not in ("DBIT", "CRDT"):
        raise BankFileInvalid(f"{element.name}/CdtDbtInd is {mark or 'missing'}; it is CRDT or DBIT")
    return mark == "DBIT"


def _signed(balance: Element) -> int:
    amount = _amount(balance)
    return -amount if _is_debit(balance) else amount


def _currency(element: Element) -> str:
    amount = element.first("Amt")
    currency = amount.attributes.get("Ccy", "") if amount is not None else ""
    if len(currency) != 3 or not currency.isascii() or not currency.isalpha() or not currency.isupper():
        raise BankFileInvalid(f"{element.name}/Amt has no currency (Ccy)")
    return currency


def _amount(element: Element) -> int:
    currency = _currency(element)
    text = decimal_text(element.required("Amt", limit=30), f"{element.name}/Amt")
    minor = Fraction(text) * 10 ** exponent(currency)
    if minor.denominator != 1 or minor > INT64_MAX:
        raise BankFileInvalid(f"{element.name}/Amt: {text} has more decimals than {currency}, or more digits than fit")
    return int(minor)


def _day(element: Element, *names: str) -> date:
    """A civil day: of a day as it stands, of an instant the day that the bank wrote."""
    text = element.required(*(f"{name}/{kind}" for name in names for kind in ("Dt", "DtTm")), limit=40)
    try:
        return date.fromisoformat(text[:10])
    except ValueError as bad:
        raise BankFileInvalid(f"{element.name}/{names[0]}: {text!r} is not a day such as 2026-01-31") from bad
