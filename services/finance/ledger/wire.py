"""Between the wire and the ledger, both ways. Nothing is decided here."""

from __future__ import annotations

from datetime import date, datetime
from uuid import UUID

from google.rpc import status_pb2
from google.type import money_pb2

from chassis import outbox
from chassis.errors import FieldViolation, InvalidArgument, KelolaError
from chassis.grpc.status import status_of
from chassis.ids import new_id
from chassis.money import Money, total
from chassis.wire import (
    from_date,
    from_money,
    optional_uuid,
    resource_name,
    to_date,
    to_money,
    to_timestamp,
    to_uuid,
)
from kelola.finance.v1 import account_pb2, ledger_events_pb2, ledger_pb2
from services.finance.classification.pack import fiscal_calendar
from services.finance.ledger import reports
from services.finance.ledger.domain import (
    MANUAL,
    NO_SEGMENTS,
    Basis,
    CorrectionUnnamed,
    FundBalancing,
    JournalEntry,
    Line,
    Posted,
    Refused,
    Segments,
    Verdict,
    reversal_day,
)
from services.finance.ledger.events import EntriesPosted
from services.finance.ledger.store import StoredEntry

COLLECTION = "journalEntries"

_SEGMENTS = tuple(Segments.__dataclass_fields__)


def basis(value: int) -> Basis:
    """The basis of a proto enum's number (validated before: never unspecified)."""
    return Basis(account_pb2.Basis.Name(value).removeprefix("BASIS_"))


def basis_value(value: Basis) -> account_pb2.Basis.ValueType:
    """The proto enum's number."""
    return account_pb2.Basis.Value(f"BASIS_{value.value}")


def entry(message: ledger_pb2.JournalEntry, *, person_id: UUID, field: str = "journal_entry") -> JournalEntry:
    """A manual entry to be posted, with a fresh id."""
    corrects_id = corrected_id(message.kind, message.corrects_journal_entry_id, field, "corrects_journal_entry_id")
    return JournalEntry(
        journal_entry_id=new_id(),
        agency_id=to_uuid(message.agency_id, f"{field}.agency_id"),
        effective_on=from_date(message.effective_on, f"{field}.effective_on"),
        accounting_on=adjustment_day(message.adjustment_year),
        description=message.description,
        source_kind=MANUAL,
        source_id=None,
        lines=tuple(line(one, f"{field}.lines[{index}]") for index, one in enumerate(message.lines)),
        late_reason=message.late_reason,
        person_id=person_id,
        corrects_id=corrects_id,
        adjusts=message.adjustment_year != 0,
        auto_reverse=message.auto_reverse,
        attachments=tuple(message.attachment_hashes),
        balancing=balancing(message.fund_balancing),
    )


def balancing(value: int) -> FundBalancing:
    """How funds balance, by a proto enum's number; unspecified: by the lines as given."""
    if not value:
        return FundBalancing.GIVEN
    return FundBalancing(ledger_pb2.FundBalancing.Name(value).removeprefix("FUND_BALANCING_"))


def balancing_value(one: FundBalancing) -> ledger_pb2.FundBalancing.ValueType:
    """The proto enum's number."""
    if one is FundBalancing.GIVEN:
        return ledger_pb2.FUND_BALANCING_UNSPECIFIED
    return ledger_pb2.FundBalancing.Value(f"FUND_BALANCING_{one.value}")


def corrected_id(kind: int, named: str, field: str, name: str) -> UUID | None:
    """What the entry in `field` corrects, by its field `name`: a CORRECTION names it, and nothing else does."""
    corrects_id = optional_uuid(named, f"{field}.{name}")
    if kind == ledger_pb2.JOURNAL_ENTRY_KIND_CORRECTION and corrects_id is None:
        raise CorrectionUnnamed(
            f"{field}.{name}: a correction names the entry that it corrects",
            violations=(FieldViolation(f"{field}.{name}", "missing on a correction"),),
        )
    if kind == ledger_pb2.JOURNAL_ENTRY_KIND_ORDINARY and corrects_id is not None:
        raise InvalidArgument.field(f"{field}.kind", "an entry that names what it corrects is a CORRECTION")
    return corrects_id


def kind_value(corrects_id: UUID | None) -> ledger_pb2.JournalEntryKind.ValueType:
    """The proto enum's number of an entry that stands in the books."""
    return ledger_pb2.JOURNAL_ENTRY_KIND_ORDINARY if corrects_id is None else ledger_pb2.JOURNAL_ENTRY_KIND_CORRECTION


def adjustment_day(year: int) -> date | None:
    """The day of the adjustment period 13 of a year, its last one; None for year 0."""
    return fiscal_calendar().last_day(year) if year else None


def line(message: ledger_pb2.JournalLine, field: str) -> Line:
    """A line of an entry, or of a template."""
    if message.HasField("debit") == message.HasField("credit"):
        raise InvalidArgument.field(field, "give exactly one of debit and credit")
    side = "debit" if message.HasField("debit") else "credit"
    amount = from_money(getattr(message, side), f"{field}.{side}")
    if amount.minor <= 0:
        raise InvalidArgument.field(f"{field}.{side}", f"{amount} is not above zero; the side tells the sign")
    functional = None
    if message.HasField("functional_amount"):
        functional = from_money(message.functional_amount, f"{field}.functional_amount")
    given = {name: code for name in _SEGMENTS if (code := getattr(message, name))}
    return Line(
        basis=basis(message.basis),
        fund_code=message.fund_code,
        account_code=message.account_code,
        debit_minor=amount.minor if side == "debit" else 0,
        credit_minor=amount.minor if side == "credit" else 0,
        currency=amount.currency,
        functional_minor=None if functional is None else functional.minor,
        functional_currency="" if functional is None else functional.currency,
        segments=Segments(**given) if given else NO_SEGMENTS,
        budget_line_id=optional_uuid(message.budget_line_id, f"{field}.budget_line_id"),
    )


def _text(value: UUID | None) -> str:
    return "" if value is None else str(value)


def line_message(number: int, line: Line, currency: str | None) -> ledger_pb2.JournalLine:
    """A line; `currency` is that of its functional amount."""
    message = ledger_pb2.JournalLine(
        basis=basis_value(line.basis),
        fund_code=line.fund_code,
        account_code=line.account_code,
        line_no=number,
        budget_line_id=_text(line.budget_line_id),
        funds_movement_id=_text(line.funds_movement_id),
        document_line_id=_text(line.document_line_id),
        counterpart_agency_id=_text(line.counterpart_agency_id),
        counterpart_fund_code=line.counterpart_fund_code,
        **vars(line.segments),
    )
    amount = to_money(Money(line.amount_minor, line.currency))
    (message.debit if line.debit_minor else message.credit).CopyFrom(amount)
    # A line in the functional currency is its own functional amount.
    if line.functional_minor is not None and currency is not None and line.currency != currency:
        message.functional_amount.CopyFrom(to_money(Money(line.functional_minor, currency)))
    return message


def entry_message(
    entry: JournalEntry,
    *,
    accounting_on: date,
    recorded_at: datetime,
    period_number: int,
    reversed_by_id: UUID | None = None,
    functional_currency: str | None = None,
    lines: bool = True,
) -> ledger_pb2.JournalEntry:
    """An entry that stands in the books."""
    message = ledger_pb2.JournalEntry(
        name=resource_name(COLLECTION, entry.journal_entry_id),
        journal_entry_id=str(entry.journal_entry_id),
        agency_id=str(entry.agency_id),
        effective_on=to_date(entry.effective_on),
        accounting_on=to_date(accounting_on),
        recorded_at=to_timestamp(recorded_at),
        description=entry.description,
        source_kind=entry.source_kind,
        source_id=_text(entry.source_id),
        reverses_journal_entry_id=_text(entry.reverses_id),
        reversed_by_journal_entry_id=_text(reversed_by_id),
        person_id=_text(entry.person_id),
        late_reason=entry.late_reason,
        lines=[
            line_message(number, line, functional_currency)
            for number, line in enumerate(entry.lines if lines else (), start=1)
        ],
        kind=kind_value(entry.corrects_id),
        corrects_journal_entry_id=_text(entry.corrects_id),
        adjustment_year=fiscal_calendar().year_of(accounting_on) if entry.adjusts else 0,
        auto_reverse=entry.auto_reverse,
        period_number=period_number,
    )
    if entry.auto_reverse:
        message.reverse_on.CopyFrom(to_date(reversal_day(accounting_on)))
    return message


def posted_message(posted: Posted, *, lines: bool = True) -> ledger_pb2.JournalEntry:
    """An entry that was posted just now."""
    return entry_message(
        posted.entry,
        accounting_on=posted.accounting_on,
        recorded_at=posted.recorded_at,
        period_number=posted.period_number,
        functional_currency=posted.functional_currency,
        lines=lines,
    )


def stored_message(stored: StoredEntry, functional_currency: str | None) -> ledger_pb2.JournalEntry:
    """An entry as read."""
    return entry_message(
        stored.entry,
        accounting_on=stored.accounting_on,
        recorded_at=stored.recorded_at,
        period_number=stored.period_number,
        reversed_by_id=stored.reversed_by_id,
        functional_currency=functional_currency,
    )


def reply(verdict: Verdict, *, lines: bool = True) -> ledger_pb2.JournalEntry | KelolaError:
    """What CreateJournalEntry answers for a verdict."""
    return verdict.error if isinstance(verdict, Refused) else posted_message(verdict, lines=lines)


def result_message(verdict: Verdict) -> ledger_pb2.JournalEntryResult:
    """One result of a batch."""
    if isinstance(verdict, Refused):
        return ledger_pb2.JournalEntryResult(refusal=refusal_status(verdict.error))
    return ledger_pb2.JournalEntryResult(journal_entry=posted_message(verdict, lines=False))


def refusal_status(error: KelolaError) -> status_pb2.Status:
    """A refusal as data: the status that a call of its own would have had."""
    return status_of(error)


def _money(minor: int, currency: str) -> money_pb2.Money:
    return to_money(Money(minor, currency))


def trial_balance_message(balance: reports.TrialBalance, next_page_token: str) -> ledger_pb2.GetTrialBalanceResponse:
    """A page of a trial balance."""
    message = ledger_pb2.GetTrialBalanceResponse(
        rows=[
            ledger_pb2.TrialBalanceRow(
                account_code=row.account_code,
                display_name=row.display_name,
                debit=_money(row.debit_minor, row.currency),
                credit=_money(row.credit_minor, row.currency),
                balance=_money(row.debit_minor - row.credit_minor, row.currency),
                functional_balance=_money(row.functional_minor, balance.functional_currency),
                line_count=row.line_count,
            )
            for row in balance.rows
        ],
        totals=[
            ledger_pb2.TrialBalanceTotal(
                debit=_money(row.debit_minor, row.currency),
                credit=_money(row.credit_minor, row.currency),
                functional_balance=_money(row.functional_minor, balance.functional_currency),
            )
            for row in balance.totals
        ],
        next_page_token=next_page_token,
    )
    if balance.known_at is not None:
        message.known_at.CopyFrom(to_timestamp(balance.known_at))
    return message


def statement_message(
    statement: reports.Statement, currency: str, known_at: datetime | None, next_page_token: str
) -> ledger_pb2.ListAccountStatementResponse:
    """A page of an account's statement."""
    lines, running = [], statement.opening_minor
    for line in statement.lines:
        running = total([running, line.debit_minor, -line.credit_minor])
        lines.append(
            ledger_pb2.AccountStatementLine(
                journal_entry_id=str(line.journal_entry_id),
                line_no=line.line_no,
                accounting_on=to_date(line.accounting_on),
                effective_on=to_date(line.effective_on),
                description=line.description,
                fund_code=line.fund_code,
                debit=_money(line.debit_minor, currency),
                credit=_money(line.credit_minor, currency),
                balance=_money(running, currency),
            )
        )
    return ledger_pb2.ListAccountStatementResponse(
        lines=lines,
        opening_balance=_money(statement.opening_minor, currency),
        closing_balance=_money(running, currency),
        next_page_token=next_page_token,
        known_at=None if known_at is None else to_timestamp(known_at),
    )


@outbox.translates(EntriesPosted)
def _entries_posted(event: EntriesPosted) -> outbox.Envelope:
    first = event.entries[0].entry
    return outbox.Envelope(
        message=ledger_events_pb2.JournalEntriesPosted(
            agency_id=str(first.agency_id), entries=map(_posted_entry, event.entries)
        ),
        # The posting bears the name of its first entry; it never changes, so it has one version.
        aggregate_id=first.journal_entry_id,
        agency_id=first.agency_id,
        sequence=1,
    )


def told_entries(body: bytes) -> list[tuple[UUID, dict[UUID, int]]]:
    """The entries that a JournalEntriesPosted tells of, and what each spent: minor units by movement of funds."""
    return [
        (
            UUID(one.journal_entry_id),
            {UUID(each.funds_movement_id): from_money(each.amount).minor for each in one.spent},
        )
        for one in ledger_events_pb2.JournalEntriesPosted.FromString(body).entries
    ]


def _posted_entry(posted: Posted) -> ledger_events_pb2.PostedEntry:
    entry = posted.entry
    return ledger_events_pb2.PostedEntry(
        journal_entry_id=str(entry.journal_entry_id),
        effective_on=to_date(entry.effective_on),
        accounting_on=to_date(posted.accounting_on),
        source_kind=entry.source_kind,
        source_id=_text(entry.source_id),
        reverses_journal_entry_id=_text(entry.reverses_id),
        lines=map(_posted_line, entry.lines),
        spent=[
            ledger_events_pb2.DirectSpending(
                budget_line_id=str(line_id),
                funds_movement_id=str(what.funds_movement_id),
                amount=_money(what.amount_minor, what.currency),
            )
            for line_id, what in sorted(posted.spent.items())
            if what.funds_movement_id is not None
        ],
    )


def _posted_line(line: Line) -> ledger_events_pb2.PostedLine:
    amount = _money(line.amount_minor, line.currency)
    return ledger_events_pb2.PostedLine(
        basis=basis_value(line.basis),
        fund_code=line.fund_code,
        account_code=line.account_code,
        debit=amount if line.debit_minor else None,
        credit=None if line.debit_minor else amount,
        budget_line_id=_text(line.budget_line_id),
    )
