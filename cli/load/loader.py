"""The engine of `kelola load`: rows into batches, batches into calls, refused rows into a file."""

from __future__ import annotations

import csv
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
from google.protobuf import json_format
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from chassis.ids import derived_id
from cli.connect import System, refusal
from cli.load.fields import from_columns
from cli.output import errors
from cli.reflection import Method, find_method

_CALL_SECONDS = 60.0
# Another try helps for these; every other code is the row's own fault.
_PASSING = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.ABORTED, grpc.StatusCode.RESOURCE_EXHAUSTED)
_TRIES = 5

Row = dict[str, Any]


@dataclass(frozen=True)
class Rows:
    """The rows of a file: CSV by its name, else JSON lines. `currency` is that of amounts without one."""

    file: Path
    currency: str = "IDR"

    def __iter__(self) -> Iterator[tuple[int, Row]]:
        """(line number, row). Rows of an error file are the rows that were refused."""
        with self.file.open(encoding="utf-8-sig", newline="") as lines:
            if self.file.suffix == ".csv":
                reader = csv.DictReader(lines)
                for row in reader:
                    yield reader.line_num, {name: value for name, value in row.items() if value not in ("", None)}
                return
            for number, text in enumerate(lines, start=1):
                if text.strip():
                    row = json.loads(text)
                    yield number, row["row"] if set(row) == {"line", "error", "row"} else row

    @property
    def name(self) -> str:
        """What the progress bar shows."""
        return self.file.name

    def count(self) -> int:
        """How many rows there are, for the progress bar."""
        return sum(1 for _ in self)


@dataclass(frozen=True)
class Given:
    """Rows that were made or read already: (line number, row)."""

    name: str
    rows: Sequence[tuple[int, Row]]
    currency: str = "IDR"

    def __iter__(self) -> Iterator[tuple[int, Row]]:
        return iter(self.rows)

    def count(self) -> int:
        """How many there are."""
        return len(self.rows)


@dataclass
class Batch:
    """Which RPC takes the rows, in which repeated field; None: each row is a request of its own.

    `complete` may add to a request what depends on its rows or on earlier answers (a control total, the id that
    the first call returned); `learn` sees each answer.
    """

    method: str
    rows_field: str | None
    fixed: Row = field(default_factory=dict)
    size: int = 500
    complete: Callable[[Row, Sequence[Row]], None] = lambda request, rows: None
    learn: Callable[[Row], None] = lambda answer: None
    facts: Callable[[], Mapping[str, Any]] = dict


@dataclass
class Result:
    """What became of a load."""

    loaded: int = 0
    refused: int = 0
    facts: Mapping[str, Any] = field(default_factory=dict)


class Loader:
    """Loads through one system, as one person."""

    def __init__(self, system: System, batch: Batch, person: str) -> None:
        self._system, self._batch, self._person = system, batch, person
        self._method: Method = find_method(system, batch.method)
        request = self._method.descriptor.input_type
        if batch.rows_field is not None and batch.rows_field not in request.fields_by_name:
            raise ValueError(f"{batch.method} has no field {batch.rows_field!r}")
        self._request_type = request
        # Messages of the rows, by which their columns are read.
        row_type = request.fields_by_name[batch.rows_field].message_type if batch.rows_field else request
        if row_type is None:
            raise ValueError(f"{batch.rows_field!r} of {batch.method} holds plain values, no rows")
        self._row_type = row_type

    def load(self, rows: Rows | Given, errors_to: Path, *, show_progress: bool) -> Result:
        """Load all rows. Raises RpcError when the service is away for longer than a few tries."""
        result = Result()
        refused: list[dict[str, Any]] = []
        columns = (TextColumn(rows.name), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with Progress(*columns, console=errors, disable=not show_progress) as progress:
            task = progress.add_task("load", total=rows.count())
            for part in _parts(rows, self._batch.size):
                self._send(part, rows.currency, refused)
                progress.update(task, advance=len(part))
                result.loaded += len(part)
        result.loaded -= len(refused)
        result.refused = len(refused)
        result.facts = self._batch.facts()
        if refused:
            errors_to.write_text("".join(f"{json.dumps(entry, ensure_ascii=False)}\n" for entry in refused), "utf-8")
        else:
            errors_to.unlink(missing_ok=True)
        return result

    def _send(self, part: list[tuple[int, Row]], currency: str, refused: list[dict[str, Any]]) -> None:
        try:
            self._call(self._requested([row for _, row in part], currency))
        except (grpc.RpcError, ValueError, json_format.ParseError) as error:
            if isinstance(error, grpc.RpcError) and error.code() in _PASSING:
                raise
            if len(part) > 1:
                # All or none of a batch goes in, so halves find the rows at fault.
                middle = len(part) // 2
                self._send(part[:middle], currency, refused)
                self._send(part[middle:], currency, refused)
                return
            (number, row) = part[0]
            said = refusal(error) if isinstance(error, grpc.RpcError) else {"message": str(error)}
            refused.append({"line": number, "error": said, "row": row})

    def _requested(self, rows: list[Row], currency: str) -> Row:
        """The request for these rows."""
        batch = self._batch
        if batch.rows_field is None:
            request = from_columns(self._request_type, {**batch.fixed, **rows[0]}, currency)
        else:
            request = from_columns(self._request_type, batch.fixed, currency)
            request[batch.rows_field] = [from_columns(self._row_type, row, currency) for row in rows]
            batch.complete(request, request[batch.rows_field])
        return request

    def _call(self, request: Row) -> None:
        # The same rows in the same call are the same act, in whichever run.
        key = derived_id("load", self._method.full_name, json.dumps(request, sort_keys=True))
        message = self._method.request(request, str(key))
        for attempt in range(_TRIES):
            try:
                metadata = self._system.metadata(self._person)
                channel = self._system.channel(self._method.service)
                for answer in self._method.call(channel, [message], metadata=metadata, timeout=_CALL_SECONDS):
                    self._batch.learn(answer)
                return
            except grpc.RpcError as error:
                if error.code() not in _PASSING or attempt == _TRIES - 1:
                    raise
                time.sleep(0.2 * 2**attempt)


def _parts(rows: Rows | Given, size: int) -> Iterator[list[tuple[int, Row]]]:
    part: list[tuple[int, Row]] = []
    for entry in rows:
        part.append(entry)
        if len(part) == size:
            yield part
            part = []
    if part:
        yield part
