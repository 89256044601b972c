"""ISO 20022 pain.001, the customer credit transfer: a payment run as the bank's file.

Written by hand and in one order, so that equal runs are equal bytes: `pain.001.001.09` (2019) and, for banks that have
not moved on, `pain.001.001.03` (2009). Between the two, as far as we use them, BIC becomes BICFI and the day of
execution gets a choice of its own. Tests hold what is written against the schema's rules.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from enum import Enum
from uuid import UUID
from xml.sax.saxutils import escape

from chassis.money import exponent
from services.finance.treasury.domain import Account, NumberKind

_REFERENCE_MAX = 35


class Format(Enum):
    """The editions that banks take."""

    PAIN_001_001_09 = "pain.001.001.09"
    PAIN_001_001_03 = "pain.001.001.03"


@dataclass(frozen=True)
class Payment:
    """One credit transfer."""

    end_to_end_id: str
    order_number: str
    amount: int
    payee: Account


@dataclass(frozen=True)
class Message:
    """A file: one debtor account, one day."""

    message_id: str
    created_at: datetime
    debtor: Account
    execution_on: date
    payments: Sequence[Payment]


def message_id(payment_run_id: UUID) -> str:
    """The MsgId of a run: 32 signs (Max35Text), the same for ever."""
    return payment_run_id.hex


def end_to_end_id(payment_instruction_id: UUID) -> str:
    """The EndToEndId of a payment, which the bank sends back with its answers."""
    return payment_instruction_id.hex


def file_name(payment_run_id: UUID, edition: Format) -> str:
    """A name that says what is inside."""
    return f"{edition.value}-{payment_run_id}.xml"


def write(message: Message, edition: Format) -> bytes:
    """The file: UTF-8, one element a line, no blank that is not needed."""
    currency = message.debtor.currency
    total = _amount(sum(payment.amount for payment in message.payments), currency)
    count = str(len(message.payments))
    day = f"<ReqdExctnDt>{message.execution_on}</ReqdExctnDt>"
    if edition is Format.PAIN_001_001_09:
        day = f"<ReqdExctnDt><Dt>{message.execution_on}</Dt></ReqdExctnDt>"
    lines = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        f'<Document xmlns="urn:iso:std:iso:20022:tech:xsd:{edition.value}">',
        "<CstmrCdtTrfInitn>",
        "<GrpHdr>",
        f"<MsgId>{message.message_id}</MsgId>",
        f"<CreDtTm>{message.created_at.astimezone(UTC):%Y-%m-%dT%H:%M:%S}Z</CreDtTm>",
        f"<NbOfTxs>{count}</NbOfTxs>",
        f"<CtrlSum>{total}</CtrlSum>",
        f"<InitgPty><Nm>{escape(message.debtor.holder_name)}</Nm></InitgPty>",
        "</GrpHdr>",
        "<PmtInf>",
        f"<PmtInfId>{message.message_id}</PmtInfId>",
        "<PmtMtd>TRF</PmtMtd>",
        # Each order is debited by itself, so that each has its own entry on the statement.
        "<BtchBookg>false</BtchBookg>",
        f"<NbOfTxs>{count}</NbOfTxs>",
        f"<CtrlSum>{total}</CtrlSum>",
        day,
        f"<Dbtr><Nm>{escape(message.debtor.holder_name)}</Nm></Dbtr>",
        f"<DbtrAcct>{_account_id(message.debtor)}<Ccy>{currency}</Ccy></DbtrAcct>",
        f"<DbtrAgt>{_agent(message.debtor, edition)}</DbtrAgt>",
        *(_transfer(payment, currency, edition) for payment in message.payments),
        "</PmtInf>",
        "</CstmrCdtTrfInitn>",
        "</Document>",
    ]
    return ("\n".join(lines) + "\n").encode()


def _transfer(payment: Payment, currency: str, edition: Format) -> str:
    number = escape(payment.order_number)
    # InstrId is a Max35Text; a government whose numbers are longer keeps the whole one in the remittance.
    instruction = number if len(payment.order_number) <= _REFERENCE_MAX else payment.end_to_end_id
    return "\n".join(
        [
            "<CdtTrfTxInf>",
            f"<PmtId><InstrId>{instruction}</InstrId><EndToEndId>{payment.end_to_end_id}</EndToEndId></PmtId>",
            f'<Amt><InstdAmt Ccy="{currency}">{_amount(payment.amount, currency)}</InstdAmt></Amt>',
            f"<CdtrAgt>{_agent(payment.payee, edition)}</CdtrAgt>",
            f"<Cdtr><Nm>{escape(payment.payee.holder_name)}</Nm></Cdtr>",
            f"<CdtrAcct>{_account_id(payment.payee)}</CdtrAcct>",
            f"<RmtInf><Ustrd>{number}</Ustrd></RmtInf>",
            "</CdtTrfTxInf>",
        ]
    )


def _agent(account: Account, edition: Format) -> str:
    if account.bic:
        tag = "BICFI" if edition is Format.PAIN_001_001_09 else "BIC"
        return f"<FinInstnId><{tag}>{account.bic}</{tag}></FinInstnId>"
    return f"<FinInstnId><ClrSysMmbId><MmbId>{account.clearing_code}</MmbId></ClrSysMmbId></FinInstnId>"


def _account_id(account: Account) -> str:
    if account.number_kind is NumberKind.IBAN:
        return f"<Id><IBAN>{account.account_number}</IBAN></Id>"
    return f"<Id><Othr><Id>{account.account_number}</Id></Othr></Id>"


def _amount(minor: int, currency: str) -> str:
    """The amount in the currency's units, with all of its decimals."""
    digits = exponent(currency)
    whole, part = divmod(minor, 10**digits)
    return f"{whole}.{part:0{digits}d}" if digits else str(whole)
