"""Journals of other systems, line by line: JSON Lines, UTF-8, one entry a line, amounts in whole minor units.

    {"date": "2018-02-01", "description": "…", "currency": "EUR", "scale": 2,
     "lines": [{"account": "Assets:Cash", "debit": 10000, "credit": 0}, …]}

`id` (or `ref`) names the entry in its source; `currency` and `scale` may stand on a line too; `functional` on a line
is its amount in the currency of the books. A line that cannot be read is refused with its number and the reason, and
the next one is read.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any
from uuid import UUID

from chassis.ids import derived_id
from chassis.money import INT64_MAX, exponent
from cli.load.journal_map import JournalMap

# One entry of 2 000 lines with long names has less than a megabyte; beyond this it is another kind of file.
LINE_BYTES_MAX = 8 * 1024 * 1024
_DESCRIPTION_CHARACTERS_MAX = 500
_LINES_MAX = 2_000
_YEARS = range(1950, 2201)


class LineRefused(ValueError):
    """One line cannot be taken; the text says what is wrong with it."""


class FileRefused(ValueError):
    """The whole file cannot be read."""


@dataclass(frozen=True)
class Amount:
    """One line of an entry, amounts in minor units of `currency` as they will stand here."""

    account: str
    debit_minor: int
    credit_minor: int
    currency: str
    functional_minor: int | None = None


@dataclass(frozen=True)
class Entry:
    """One entry of the file."""

    line: int  # in the file; in the first file, when this one is an error file
    key: str
    on: date
    description: str
    amounts: tuple[Amount, ...]
    digest: bytes
    row: Mapping[str, Any] = field(repr=False)

    def request_id(self, agency_id: UUID, source: str) -> str:
        """The entry's own, from its content and its place: its name in the source, or the line where it stands."""
        return str(derived_id("journal entry", agency_id, source, self.key, self.digest.hex()))


@dataclass(frozen=True)
class Refused:
    """A line of the file that was refused, as it stood there."""

    line: int
    reason: str
    row: Any


@dataclass
class Found:
    """What a reading of the whole file came upon."""

    entries: int = 0
    refused: int = 0
    equal_entries: int = 0
    zero_lines: int = 0
    cut_descriptions: int = 0
    accounts: dict[str, tuple[int, date]] = field(default_factory=dict)  # the line that names it first, its first day
    currencies: dict[str, int] = field(default_factory=dict)  # those that nobody explains
    months: set[tuple[int, int]] = field(default_factory=set)
    debits: dict[str, int] = field(default_factory=dict)

    def name(self, account: str, line: int, on: date) -> None:
        """Note that an entry names this account."""
        first, earliest = self.accounts.get(account, (line, on))
        self.accounts[account] = first, min(earliest, on)

    @property
    def first_day(self) -> date | None:
        """The first day of the journal."""
        return min((on for _, on in self.accounts.values()), default=None)


class Reader:
    """One reading of a file. `found` grows with it; what is seen is kept as digests, 16 bytes an entry."""

    def __init__(self, file: Path, journal_map: JournalMap) -> None:
        self._file, self._map = file, journal_map
        self.found = Found()
        self.bytes_read = 0
        self._ids: dict[bytes, int] = {}
        self._contents: dict[bytes, int] = {}

    def __iter__(self) -> Iterator[Entry | Refused]:
        """Every line of the file in order, blank ones aside. FileRefused when it is no UTF-8 text at all."""
        with self._file.open("rb") as lines:
            number = 0
            while raw := lines.readline(LINE_BYTES_MAX + 1):
                number += 1
                self.bytes_read += len(raw)
                if number == 1:
                    raw = _without_mark(raw)
                too_long = len(raw) > LINE_BYTES_MAX and not raw.endswith(b"\n")
                while too_long and (rest := lines.readline(LINE_BYTES_MAX)):
                    self.bytes_read += len(rest)
                    if rest.endswith(b"\n"):
                        break
                if too_long:
                    yield self._refuse(number, f"longer than {LINE_BYTES_MAX} bytes: one entry a line?", None)
                elif raw.strip():
                    yield self._line(number, raw)

    def _line(self, number: int, raw: bytes) -> Entry | Refused:
        row: Any = None
        try:
            try:
                row = raw.decode("utf-8").rstrip("\r\n")
                row = _parsed(row)
            except UnicodeDecodeError as bad:
                row = raw.decode("latin-1").rstrip("\r\n")
                raise LineRefused(
                    f"byte {bad.start + 1} (0x{raw[bad.start]:02x}) is not UTF-8; convert the file, for instance with "
                    "iconv -t UTF-8"
                ) from None
            place, row = (row["line"], row["row"]) if _is_refused_row(row) else (number, row)
            entry = self._entry(number, place, row)
        except LineRefused as refused:
            return self._refuse(number, str(refused), row)
        return entry

    def _refuse(self, number: int, reason: str, row: Any) -> Refused:
        self.found.refused += 1
        return Refused(number, reason, row)

    def _entry(self, number: int, place: int, row: Any) -> Entry:
        if not isinstance(row, dict):
            raise LineRefused(f"an entry is an object, not {type(row).__name__}")
        on, lines = _day(row.get("date")), row.get("lines")
        if not isinstance(lines, list) or not lines:
            raise LineRefused("lines: a list of at least two lines is missing")
        if len(lines) > _LINES_MAX:
            raise LineRefused(f"lines: {len(lines)} given, an entry has at most {_LINES_MAX}")
        name = row.get("id") or row.get("ref")
        if name is not None and not isinstance(name, str | int):
            raise LineRefused("id: a text or a number is needed")
        digest = hashlib.sha256(json.dumps(row, sort_keys=True).encode("utf-8", "surrogatepass")).digest()[:16]
        amounts = [self._amount(one, row, f"lines[{index}]", number) for index, one in enumerate(lines)]
        self._explained(amounts, number, on)
        kept = tuple(amount for amount in amounts if amount is not None)
        if len(kept) < 2:
            raise LineRefused("lines: fewer than two lines have an amount; an entry needs a debit and a credit")
        self._once(number, name, digest)
        self._add_up(kept)
        description, cut = _description(row, name)
        found = self.found
        found.entries += 1
        found.zero_lines += len(amounts) - len(kept)
        found.cut_descriptions += cut
        found.months.add((on.year, on.month))
        for amount in kept:
            found.name(amount.account, number, on)
        key = f"id {name}" if name is not None else f"line {place}"
        return Entry(place, key, on, description, kept, digest, row)

    def _explained(self, amounts: list[Amount | None], number: int, on: date) -> None:
        """Refuse an entry in a currency that nobody explains; its accounts are noted, so that one list tells all."""
        strange = sorted({amount.currency for amount in amounts if amount is not None} & set(self.found.currencies))
        if strange:
            for amount in amounts:
                if amount is not None:
                    self.found.name(amount.account, number, on)
            raise LineRefused(f"currency {strange[0]!r} is no code of ISO 4217, and the map does not explain it")

    def _once(self, number: int, name: str | int | None, digest: bytes) -> None:
        """Refuse an entry that is there already: by its name in the source, or by its content when the map says so."""
        if name is not None:
            named = hashlib.sha256(str(name).encode("utf-8", "surrogatepass")).digest()[:16]
            if (first := self._ids.setdefault(named, number)) != number:
                raise LineRefused(f"duplicate: the entry {name!r} stands on line {first} already")
        elif (first := self._contents.setdefault(digest, number)) != number:
            if self._map.refuse_equal:
                raise LineRefused(f"duplicate: the same entry stands on line {first} already")
            self.found.equal_entries += 1

    def _add_up(self, amounts: tuple[Amount, ...]) -> None:
        """Refuse an entry with which the debits of a currency leave 64 bits: no trial balance could show them."""
        debits = dict(self.found.debits)
        for amount in amounts:
            debits[amount.currency] = debits.get(amount.currency, 0) + amount.debit_minor
            if debits[amount.currency] > INT64_MAX:
                raise LineRefused(
                    f"with this entry the debits in {amount.currency} sum to {debits[amount.currency]} minor units, "
                    "which 64 bits do not hold"
                )
        self.found.debits = debits

    def _amount(self, line: Any, row: Mapping[str, Any], place: str, number: int) -> Amount | None:
        if not isinstance(line, dict):
            raise LineRefused(f"{place}: a line is an object, not {type(line).__name__}")
        account = line.get("account")
        if not isinstance(account, str) or not account.strip():
            raise LineRefused(f"{place}.account: a name is missing")
        _sound(account, f"{place}.account")
        debit, credit = (_whole(line.get(side, 0), f"{place}.{side}") for side in ("debit", "credit"))
        if min(debit, credit) < 0:
            if not self._map.negative_swaps:
                raise LineRefused(f'{place}: a negative amount; the map may say negative = "swap"')
            debit, credit = max(debit, 0) + max(-credit, 0), max(credit, 0) + max(-debit, 0)
        if debit and credit:
            raise LineRefused(f"{place}: both a debit and a credit; make it two lines")
        currency, scaling = self._currency(line.get("currency", row.get("currency")), line, row, place, number)
        if not debit and not credit:
            return None
        functional = line.get("functional")
        return Amount(
            account,
            _scaled(debit, scaling, f"{place}.debit", currency),
            _scaled(credit, scaling, f"{place}.credit", currency),
            currency,
            None if functional is None else _whole(functional, f"{place}.functional"),
        )

    def _currency(
        self, name: Any, line: Mapping[str, Any], row: Mapping[str, Any], place: str, number: int
    ) -> tuple[str, int]:
        """The currency's code here, and by how many decimals amounts are to be moved (above zero: to be added)."""
        if not isinstance(name, str) or not name:
            raise LineRefused(f"{place}.currency: neither the line nor the entry names one")
        rule = self._map.currency(name)
        if rule is None:
            self.found.currencies.setdefault(name, number)
            return name, 0
        scale = line.get("scale", row.get("scale", self._map.scale))
        if rule.counted or scale is None:
            return rule.code, 0
        if type(scale) is not int or not 0 <= scale <= 18:
            raise LineRefused(f"{place}.scale: {scale!r} is no whole number from 0 to 18")
        return rule.code, exponent(rule.code) - scale


def _without_mark(raw: bytes) -> bytes:
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")) or b"\0" in raw[:4]:
        raise FileRefused("the file is UTF-16 or UTF-32; convert it, for instance with iconv -f UTF-16 -t UTF-8")
    return raw.removeprefix(b"\xef\xbb\xbf")


def _is_refused_row(row: Any) -> bool:
    """Whether the row is one of an error file: there the entry keeps the line where it stood at first."""
    return isinstance(row, dict) and set(row) == {"line", "error", "row"} and isinstance(row["line"], int)


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise LineRefused("a key stands twice in one object")
    return made


def _constant(text: str) -> None:
    raise LineRefused(f"{text} is no number")


_DECODER = json.JSONDecoder(object_pairs_hook=_pairs, parse_constant=_constant)


def _parsed(text: str) -> Any:
    try:
        return _DECODER.decode(text)
    except json.JSONDecodeError as bad:
        raise LineRefused(f"no JSON: {bad.msg} at column {bad.colno}") from None
    except RecursionError:
        raise LineRefused("no JSON that an entry has: nested too deeply") from None
    except LineRefused:
        raise
    except ValueError as bad:
        # Python itself refuses whole numbers of thousands of digits.
        raise LineRefused(f"no JSON: {bad}") from None


def _day(value: Any) -> date:
    try:
        if not isinstance(value, str) or len(value) != 10:
            raise ValueError
        day = date.fromisoformat(value)
    except ValueError:
        raise LineRefused(f"date: {value!r} is no day such as 2018-02-01") from None
    if day.year not in _YEARS:
        raise LineRefused(f"date: {value} is not in the years {_YEARS[0]} to {_YEARS[-1]}")
    return day


def _whole(value: Any, place: str) -> int:
    if type(value) is not int:
        raise LineRefused(f"{place}: {value!r} is no whole number of minor units")
    if abs(value) > INT64_MAX:
        raise LineRefused(f"{place}: {value} minor units are more than 64 bits hold")
    return value


def _scaled(minor: int, decimals: int, place: str, currency: str) -> int:
    """`minor` in minor units of `currency`; refused when decimals would be lost or 64 bits left."""
    if decimals >= 0:
        return _whole(minor * 10**decimals, place)
    made, rest = divmod(minor, 10**-decimals)
    if rest:
        raise LineRefused(
            f"{place}: {minor} has more decimals than {currency} ({exponent(currency)}); the map may say counted = true"
        )
    return made


def _sound(text: str, place: str) -> None:
    """Refuse what the database cannot keep: NUL, and halves of surrogate pairs."""
    if "\0" in text:
        raise LineRefused(f"{place}: a NUL character")
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        raise LineRefused(f"{place}: half of a surrogate pair, which is no character") from None


def _description(row: Mapping[str, Any], name: str | int | None) -> tuple[str, bool]:
    """The description, and whether it had to be cut."""
    text = row.get("description") or ""
    if not isinstance(text, str):
        raise LineRefused("description: a text is needed")
    _sound(text, "description")
    text = text.strip() or str(name or "(no description)")
    _sound(text, "id")
    if len(text) <= _DESCRIPTION_CHARACTERS_MAX:
        return text, False
    return text[: _DESCRIPTION_CHARACTERS_MAX - 1] + "…", True
