"""The MAP of `kelola load journal`: what the words of another system mean here (docs/journal-import.md).

TOML or JSON. Whatever it does not say is refused, never guessed: an unknown key, a rule without a kind, a currency
that is no code of ISO 4217.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any
from uuid import UUID

from chassis.wire import to_date
from cli.load.currencies import ISO_4217
from kelola.finance.v1 import account_pb2

# The first day that a fiscal year can have here: an account of another system holds on all days of its journal.
ALWAYS = date(1950, 1, 1)
_CODE_CHARACTERS_MAX = 120
_CURRENCY = re.compile(r"^[A-Z]{3}$")
SEGMENTS = (
    "organisation_code",
    "program_code",
    "function_code",
    "location_code",
    "project_code",
    "funding_source_code",
)


class MapRefused(ValueError):
    """The map cannot be used; the text says which part and why."""


@dataclass(frozen=True)
class CreateRule:
    """How an account that begins with `prefix` and is not named in `[accounts]` is made."""

    prefix: str
    code: str
    parent_code: str
    kind: int
    normal_side: int
    basis: int
    valid_from: date

    def account(self, name: str) -> account_pb2.Account:
        """The account for the source's `name`; MapRefused when its code is no code."""
        code = self.code.replace("{name}", name).replace("{rest}", name.removeprefix(self.prefix))
        if not 1 <= len(code) <= _CODE_CHARACTERS_MAX:
            raise MapRefused(f"account {name!r}: its code {code!r} has not 1 to {_CODE_CHARACTERS_MAX} characters")
        return account_pb2.Account(
            code=code,
            parent_code=self.parent_code,
            display_name=name[:300],
            kind=self.kind,
            normal_side=self.normal_side,
            basis=self.basis,
            postable=True,
            valid_from=to_date(self.valid_from),
        )


@dataclass(frozen=True)
class CurrencyRule:
    """The code of a currency here; `counted`: an amount is the source's count of its smallest units, kept as it is."""

    code: str
    counted: bool = False


@dataclass(frozen=True)
class JournalMap:
    """What the words of one source mean."""

    source: str
    fund_code: str
    agency_id: UUID | None = None
    scale: int | None = None
    negative_swaps: bool = False
    refuse_equal: bool = False
    create_fund: bool = False
    create_years: bool = False
    functional_currency: str = ""
    accounts: Mapping[str, str] = field(default_factory=dict)
    rules: tuple[CreateRule, ...] = ()
    currencies: Mapping[str, CurrencyRule] = field(default_factory=dict)
    segments: Mapping[str, str] = field(default_factory=dict)

    def rule_for(self, name: str) -> CreateRule | None:
        """The rule with the longest prefix that `name` begins with."""
        fitting = [rule for rule in self.rules if name.startswith(rule.prefix)]
        return max(fitting, key=lambda rule: len(rule.prefix)) if fitting else None

    def currency(self, name: str) -> CurrencyRule | None:
        """What the source's currency is here; None when nobody says."""
        found = self.currencies.get(name)
        return CurrencyRule(name) if found is None and name in ISO_4217 else found


def read(file: Path) -> JournalMap:
    """The map in `file`; MapRefused with the place and the reason."""
    try:
        text = file.read_text(encoding="utf-8-sig")
        found = json.loads(text) if file.suffix == ".json" else tomllib.loads(text)
    except (ValueError, UnicodeDecodeError) as bad:
        raise MapRefused(f"{file.name} is no {'JSON' if file.suffix == '.json' else 'TOML'}: {bad}") from None
    if not isinstance(found, dict):
        raise MapRefused(f"{file.name}: a map is one object")
    return _Reader(file.name).map(found)


class _Reader:
    """Reads the parts of a map; each refusal names its place."""

    def __init__(self, name: str) -> None:
        self._name = name

    def map(self, found: Mapping[str, Any]) -> JournalMap:
        self._only(
            found,
            "the map",
            {"source", "fund_code", "create_fund", "agency_id", "scale", "negative", "equal_entries"}
            | {"fiscal_years", "accounts", "create_accounts", "currencies", "segments"},
        )
        years = self._table(found, "fiscal_years")
        self._only(years, "[fiscal_years]", {"create", "functional_currency"})
        segments = self._table(found, "segments")
        self._only(segments, "[segments]", set(SEGMENTS))
        agency_id, scale = found.get("agency_id"), found.get("scale")
        try:
            agency = UUID(agency_id) if agency_id is not None else None
        except (ValueError, AttributeError, TypeError):
            raise self._refused("agency_id", f"{agency_id!r} is no UUID") from None
        if scale is not None and (type(scale) is not int or not 0 <= scale <= 18):
            raise self._refused("scale", f"{scale!r} is no whole number from 0 to 18")
        create_years = self._flag(years, "create", "[fiscal_years] create")
        functional = self._text(years, "functional_currency", "[fiscal_years]") if create_years else ""
        if create_years and not _CURRENCY.match(functional):
            raise self._refused("[fiscal_years] functional_currency", f"{functional!r} is no code of ISO 4217")
        accounts = self._table(found, "accounts")
        return JournalMap(
            source=self._text(found, "source", "the map"),
            fund_code=self._text(found, "fund_code", "the map"),
            agency_id=agency,
            scale=scale,
            negative_swaps=self._choice(found, "negative", ("refuse", "swap")) == "swap",
            refuse_equal=self._choice(found, "equal_entries", ("keep", "refuse")) == "refuse",
            create_fund=self._flag(found, "create_fund", "create_fund"),
            create_years=create_years,
            functional_currency=functional,
            accounts={name: self._text(accounts, name, "[accounts]") for name in accounts},
            rules=self._rules(found.get("create_accounts", [])),
            currencies={name: self._currency(name, value) for name, value in self._table(found, "currencies").items()},
            segments={name: self._text(segments, name, "[segments]") for name in segments},
        )

    def _rules(self, found: Any) -> tuple[CreateRule, ...]:
        if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
            raise self._refused("create_accounts", "a list of rules ([[create_accounts]])")
        return tuple(self._rule(one, f"[[create_accounts]] {number}") for number, one in enumerate(found, start=1))

    def _rule(self, found: Mapping[str, Any], place: str) -> CreateRule:
        self._only(found, place, {"prefix", "code", "parent_code", "kind", "normal_side", "basis", "valid_from"})
        valid_from = found.get("valid_from", ALWAYS)
        try:
            day = valid_from if isinstance(valid_from, date) else date.fromisoformat(valid_from)
        except (ValueError, TypeError):
            raise self._refused(f"{place} valid_from", f"{valid_from!r} is no day such as 2015-01-01") from None
        code = found.get("code", "{name}")
        if not isinstance(code, str) or ("{name}" not in code and "{rest}" not in code):
            raise self._refused(f"{place} code", "a text with {name} or {rest} in it, so that each account has its own")
        prefix, parent_code = found.get("prefix", ""), found.get("parent_code", "")
        if not isinstance(prefix, str) or not isinstance(parent_code, str):
            raise self._refused(place, "prefix and parent_code are texts")
        return CreateRule(
            prefix=prefix,
            code=code,
            parent_code=parent_code,
            kind=self._enum(account_pb2.AccountKind, "ACCOUNT_KIND_", found.get("kind"), f"{place} kind"),
            normal_side=self._enum(
                account_pb2.NormalSide, "NORMAL_SIDE_", found.get("normal_side"), f"{place} normal_side"
            ),
            basis=self._enum(account_pb2.Basis, "BASIS_", found.get("basis", "ACCRUAL"), f"{place} basis"),
            valid_from=day,
        )

    def _currency(self, name: str, value: Any) -> CurrencyRule:
        place = f"[currencies] {name!r}"
        if isinstance(value, dict):
            self._only(value, place, {"code", "counted"})
            rule = CurrencyRule(self._text(value, "code", place), self._flag(value, "counted", place))
        else:
            rule = CurrencyRule(value if isinstance(value, str) else "")
        if not _CURRENCY.match(rule.code):
            raise self._refused(place, f"{rule.code!r} is no code of three capital letters")
        return rule

    def _enum(self, enum: Any, prefix: str, value: Any, place: str) -> int:
        known = [name.removeprefix(prefix) for name in enum.keys() if not name.endswith("_UNSPECIFIED")]  # noqa: SIM118  # an enum wrapper
        if value not in known:
            raise self._refused(place, f"{value!r} is none of {', '.join(known)}")
        return int(enum.Value(f"{prefix}{value}"))

    def _choice(self, found: Mapping[str, Any], key: str, choices: tuple[str, ...]) -> str:
        value = found.get(key, choices[0])
        if value not in choices:
            raise self._refused(key, f"{value!r} is none of {', '.join(choices)}")
        return str(value)

    def _flag(self, found: Mapping[str, Any], key: str, place: str) -> bool:
        value = found.get(key, False)
        if not isinstance(value, bool):
            raise self._refused(place, f"{value!r} is neither true nor false")
        return value

    def _text(self, found: Mapping[str, Any], key: str, place: str) -> str:
        value = found.get(key)
        if not isinstance(value, str) or not value:
            raise self._refused(place, f"{key} is missing, or is no text")
        return value

    def _table(self, found: Mapping[str, Any], key: str) -> Mapping[str, Any]:
        value = found.get(key, {})
        if not isinstance(value, dict):
            raise self._refused(key, "a table")
        return value

    def _only(self, found: Mapping[str, Any], place: str, known: set[str]) -> None:
        if strange := sorted(set(found) - known):
            raise self._refused(place, f"no such key: {', '.join(strange)}; known are {', '.join(sorted(known))}")

    def _refused(self, place: str, why: str) -> MapRefused:
        return MapRefused(f"{self._name}: {place}: {why}")
