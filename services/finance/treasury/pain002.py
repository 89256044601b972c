"""ISO 20022 pain.002, the customer payment status report: what the bank says of a run's payments.

Editions .03 (2009) and .10 (2019). A status may stand for the whole message, for a payment information block or for
one transaction; the nearest one counts. Reasons are code and text of the bank, kept as they are.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from services.finance.treasury.bank_xml import BankFileInvalid, Element

NAMESPACES = tuple(f"urn:iso:std:iso:20022:tech:xsd:pain.002.001.{edition}" for edition in ("03", "10"))
_CODE_MAX, _REFERENCE_MAX = 4, 35


@dataclass(frozen=True)
class Status:
    """One status. Without an `end_to_end_id` it is that of the whole message `original_message_id`."""

    original_message_id: str
    end_to_end_id: str
    code: str
    reason_code: str
    reason_text: str
    bank_reference: str


@dataclass(frozen=True)
class Report:
    """A file of statuses."""

    message_id: str
    created_on: str
    statuses: tuple[Status, ...]


def read(root: Element) -> Report:
    """The statuses of a report, the ones of transactions before the one of the whole message."""
    report = root.first("CstmrPmtStsRpt")
    if report is None:
        raise BankFileInvalid("the document has no CstmrPmtStsRpt")
    header = report.first("GrpHdr")
    if header is None:
        raise BankFileInvalid("the report has no GrpHdr")
    message_id = header.required("MsgId", limit=_REFERENCE_MAX)
    group = report.first("OrgnlGrpInfAndSts")
    if group is None:
        raise BankFileInvalid("the report has no OrgnlGrpInfAndSts")
    original = group.required("OrgnlMsgId", limit=_REFERENCE_MAX)
    statuses = [
        status for block in report.all("OrgnlPmtInfAndSts") for status in _transactions(block, original, message_id)
    ]
    code = group.text("GrpSts", limit=_CODE_MAX) or _one_code(report)
    if code:
        reason_code, reason_text = _reason(group)
        statuses.append(Status(original, "", code, reason_code, reason_text, message_id))
    if not statuses:
        raise BankFileInvalid("the report has no status at all")
    return Report(message_id, header.required("CreDtTm")[:10], tuple(statuses))


def _one_code(report: Element) -> str:
    """The status of the payment information, when all blocks have one and it is the same. Our files have one block."""
    codes = {block.text("PmtInfSts", limit=_CODE_MAX) for block in report.all("OrgnlPmtInfAndSts")}
    return codes.pop() if len(codes) == 1 else ""


def _transactions(block: Element, original: str, message_id: str) -> Iterator[Status]:
    for transaction in block.all("TxInfAndSts"):
        code = transaction.text("TxSts", limit=_CODE_MAX)
        if code:
            reason_code, reason_text = _reason(transaction)
            yield Status(
                original,
                transaction.required("OrgnlEndToEndId", limit=_REFERENCE_MAX),
                code,
                reason_code,
                reason_text,
                transaction.text("AcctSvcrRef", "StsId", limit=_REFERENCE_MAX) or message_id,
            )


def _reason(element: Element) -> tuple[str, str]:
    information = element.first("StsRsnInf")
    if information is None:
        return "", ""
    code = information.text("Rsn/Cd", "Rsn/Prtry", limit=_REFERENCE_MAX)
    words = ["".join(piece.pieces).strip() for piece in information.all("AddtlInf")]
    return code, " ".join(word for word in words if word)[:300]
