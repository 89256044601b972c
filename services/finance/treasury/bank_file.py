"""Which message a bank's file is, and what it says."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from chassis.errors import InvalidArgument
from services.finance.treasury import bank_xml, camt, pain002

# Statuses and entries that one import takes into the books in its one transaction. A debit was measured at 50 ms on two
# busy cores, so the caller of a full file names a deadline of a minute or two (the server allows five).
ANSWERS_MAX = 1_000


class Format(Enum):
    """The kinds of files that banks send."""

    PAIN_002 = "PAIN_002"
    CAMT_053 = "CAMT_053"
    CAMT_054 = "CAMT_054"


class BankFileFormatUnknown(InvalidArgument):
    """The file is no message that the treasury reads."""

    reason = "BANK_FILE_FORMAT_UNKNOWN"


@dataclass(frozen=True)
class BankFile:
    """A file's content: statuses, or statements and notifications."""

    format: Format
    message_id: str
    statuses: pain002.Report | None
    told: tuple[camt.Told, ...]
    ignored_count: int


def read(content: bytes) -> BankFile:
    """Read a file. BANK_FILE_INVALID, BANK_FILE_UNSAFE, BANK_FILE_TOO_LARGE, BANK_FILE_FORMAT_UNKNOWN."""
    namespace, root = bank_xml.parse(content)
    if root.name != "Document":
        raise BankFileFormatUnknown(f"the file begins with {root.name[:60]}, not with an ISO 20022 Document")
    if namespace in pain002.NAMESPACES:
        report = pain002.read(root)
        _check_count(len(report.statuses))
        return BankFile(Format.PAIN_002, report.message_id, report, (), 0)
    if namespace in camt.STATEMENTS:
        return _camt(Format.CAMT_053, camt.read_statements(root))
    if namespace in camt.NOTIFICATIONS:
        return _camt(Format.CAMT_054, camt.read_notifications(root))
    known = ", ".join(name.rpartition(":")[2] for name in (*pain002.NAMESPACES, *camt.STATEMENTS, *camt.NOTIFICATIONS))
    raise BankFileFormatUnknown(f"the file is of the schema {namespace[:100]!r}; what is read: {known}")


def _camt(format_: Format, report: camt.Report) -> BankFile:
    _check_count(sum(len(one.entries) for one in report.told))
    return BankFile(format_, report.message_id, None, report.told, report.ignored_count)


def _check_count(count: int) -> None:
    if count > ANSWERS_MAX:
        raise bank_xml.BankFileTooLarge(
            f"the file has {count} entries; an import takes at most {ANSWERS_MAX}: let the bank send it in parts"
        )
