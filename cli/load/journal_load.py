"""The engine of `kelola load journal`: two readings of the file, the second one through ImportJournalEntries.

The first reading learns what the file names, so that accounts and years are there, or listed, before the first entry
goes in. The second sends entries in streams of a thousand; what the file or the service refuses goes to the error
file. Neither holds more than one stream of entries.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO
from uuid import UUID

import grpc
from google.rpc import error_details_pb2
from google.type import money_pb2
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from chassis.money import Money
from chassis.wire import to_date, to_money
from cli.connect import System, refusal
from cli.load.journal_file import Amount, Entry, Found, Reader, Refused
from cli.load.journal_map import JournalMap
from cli.load.journal_target import Books, Target
from cli.output import errors
from kelola.finance.v1 import fiscal_calendar_pb2, fiscal_calendar_pb2_grpc, ledger_pb2, ledger_pb2_grpc

# As many as ImportJournalEntries tells the refusals of.
STREAM = 1_000
_STREAM_SECONDS = 300.0
_CALL_SECONDS = 60.0
# Another try helps for these: entries are told apart by their request ids, so nothing is posted twice.
_PASSING = (
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.ABORTED,
    grpc.StatusCode.RESOURCE_EXHAUSTED,
    grpc.StatusCode.DEADLINE_EXCEEDED,
)
_TRIES = 6


@dataclass
class Outcome:
    """What became of a load."""

    posted: int = 0
    refused: int = 0
    found: Found = field(default_factory=Found)
    accounts_added: int = 0
    years_added: int = 0


class MapChanged(ValueError):
    """An entry was loaded before under another map."""


class JournalLoader:
    """Loads one file into one agency's books, as one person."""

    def __init__(self, system: System, person: str, agency_id: UUID, journal_map: JournalMap) -> None:
        self._system, self._person, self._agency_id, self._map = system, person, agency_id, journal_map
        self._ledger = ledger_pb2_grpc.LedgerServiceStub(system.channel("finance"))
        self._functional = ""

    def load(self, file: Path, errors_to: Path, *, show_progress: bool) -> Outcome:
        """Load the file. Raises FileRefused or Unknown before anything was posted, MapChanged, RpcError."""
        columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
        )
        with Progress(*columns, console=errors, disable=not show_progress) as progress:
            found = self._look_through(file, progress)
            target = Books(self._system, self._person, self._agency_id).prepare(self._map, found)
            self._functional = self._functional_currency()
            outcome = Outcome(found=found, accounts_added=target.accounts_added, years_added=target.years_added)
            self._post(file, errors_to, target, outcome, progress)
        if not outcome.refused:
            errors_to.unlink(missing_ok=True)
        return outcome

    def _look_through(self, file: Path, progress: Progress) -> Found:
        task = progress.add_task(f"reading {file.name}", total=file.stat().st_size)
        reader = Reader(file, self._map)
        for number, _ in enumerate(reader):
            if number % STREAM == 0:
                progress.update(task, completed=reader.bytes_read)
        progress.update(task, completed=reader.bytes_read)
        return reader.found

    def _functional_currency(self) -> str:
        """The currency of the agency's books, in which `functional` amounts are."""
        stub = fiscal_calendar_pb2_grpc.FiscalCalendarServiceStub(self._system.channel("finance"))
        request = fiscal_calendar_pb2.ListFiscalYearsRequest(agency_id=str(self._agency_id), page_size=500)
        metadata = self._system.metadata(self._person)
        years = stub.ListFiscalYears(request, metadata=metadata, timeout=_CALL_SECONDS).fiscal_years
        return years[-1].functional_currency if years else ""

    def _post(self, file: Path, errors_to: Path, target: Target, outcome: Outcome, progress: Progress) -> None:
        task: TaskID = progress.add_task(f"posting {file.name}", total=outcome.found.entries + outcome.found.refused)
        with errors_to.open("w", encoding="utf-8") as to:
            for part in _parts(Reader(file, self._map)):
                entries = []
                for one in part:
                    if isinstance(one, Refused):
                        outcome.refused += 1
                        _tell(to, one.line, {"message": one.reason}, one.row)
                    else:
                        entries.append(one)
                if entries:
                    reply = self._send(entries, target)
                    outcome.posted += reply.posted_count
                    for refused in reply.refusals:
                        outcome.refused += 1
                        entry = entries[refused.position - 1]
                        _tell(to, entry.line, _words(refused.status), entry.row)
                progress.update(task, advance=len(part))

    def _send(self, entries: Sequence[Entry], target: Target) -> ledger_pb2.ImportJournalEntriesResponse:
        for attempt in range(_TRIES):
            try:
                reply: ledger_pb2.ImportJournalEntriesResponse = self._ledger.ImportJournalEntries(
                    self._requests(entries, target),
                    metadata=self._system.metadata(self._person),
                    timeout=_STREAM_SECONDS,
                )
                return reply
            except grpc.RpcError as error:
                if refusal(error).get("reason") == "IDEMPOTENCY_MISMATCH":
                    raise MapChanged(
                        f"an entry of lines {entries[0].line} to {entries[-1].line} was loaded before under another "
                        "map: load the file with the map of the first time, or reverse what went in"
                    ) from None
                if error.code() not in _PASSING or attempt == _TRIES - 1:
                    raise
                time.sleep(0.2 * 2**attempt)
        raise AssertionError("unreachable")

    def _requests(self, entries: Sequence[Entry], target: Target) -> Iterator[ledger_pb2.ImportJournalEntriesRequest]:
        for entry in entries:
            yield ledger_pb2.ImportJournalEntriesRequest(
                journal_entry=ledger_pb2.JournalEntry(
                    agency_id=str(self._agency_id),
                    effective_on=to_date(entry.on),
                    description=entry.description,
                    lines=[self._line(amount, target) for amount in entry.amounts],
                ),
                request_id=entry.request_id(self._agency_id, self._map.source),
            )

    def _line(self, amount: Amount, target: Target) -> ledger_pb2.JournalLine:
        code, basis = target.accounts[amount.account]
        line = ledger_pb2.JournalLine(
            basis=basis,  # type: ignore[arg-type]  # the number of an enum's value
            fund_code=self._map.fund_code,
            account_code=code,
            **self._map.segments,
        )
        side = line.debit if amount.debit_minor else line.credit
        side.CopyFrom(_money(amount.debit_minor or amount.credit_minor, amount.currency))
        if amount.functional_minor is not None:
            line.functional_amount.CopyFrom(_money(amount.functional_minor, self._functional))
        return line


def _money(minor: int, currency: str) -> money_pb2.Money:
    return to_money(Money(minor, currency))


def _parts(reader: Reader) -> Iterator[list[Entry | Refused]]:
    part: list[Entry | Refused] = []
    for one in reader:
        part.append(one)
        if len(part) == STREAM:
            yield part
            part = []
    if part:
        yield part


def _words(status: Any) -> dict[str, Any]:
    said: dict[str, Any] = {"message": status.message}
    for detail in status.details:
        info = error_details_pb2.ErrorInfo()
        if detail.Unpack(info):
            said |= {"reason": info.reason, "metadata": dict(info.metadata)}
    return said


def _tell(to: TextIO, line: int, error: dict[str, Any], row: Any) -> None:
    # Escaped, so that what was no text in the file (a lone surrogate) is a text here all the same.
    to.write(f"{json.dumps({'line': line, 'error': error, 'row': row})}\n")
