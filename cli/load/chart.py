"""The country pack's classification as messages: chart, dimensions, account mapping.

The pack is a folder of CSV files (`data/id/` is Indonesia): the chart as the regulation prints it, the accounts that
the pack adds, the traits of accounts by code prefix, functions, regions, and the mapping. Whatever is not in a file
is not made up here.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from chassis.wire import to_date
from kelola.finance.v1 import account_pb2

PACK = Path(__file__).resolve().parent.parent.parent / "data" / "id"
# Levels 1 and 2 (account, group) are headings; lines name an account from level 3 on. The transcription of the
# chart is not complete below, so that a level-3 account must be able to stand in for its missing children.
_POSTABLE_FROM_LEVEL = 3
BATCH_MAX = 1_000


@dataclass(frozen=True)
class Traits:
    """What accounts whose code lies under a prefix are."""

    code_prefix: str
    kind: int
    normal_side: int
    basis: int
    control: bool
    funds_control: bool

    def covers(self, code: str) -> bool:
        """Whether `code` lies under the prefix, by whole levels."""
        return code == self.code_prefix or code.startswith(self.code_prefix + ".")


@dataclass(frozen=True)
class Pack:
    """A country pack's classification."""

    accounts: list[account_pb2.Account]
    dimension_values: list[account_pb2.DimensionValue]
    mappings: list[account_pb2.AccountMapping]
    traits: list[Traits]
    valid_from: date

    def account(self, code: str, display_name: str, parent_code: str, english_name: str = "") -> account_pb2.Account:
        """An account of the pack's chart with the traits that its code gives it; ValueError when no prefix does."""
        fitting = [traits for traits in self.traits if traits.covers(code)]
        if not fitting:
            raise ValueError(f"account {code}: no prefix of account_traits.csv covers it; add one")
        traits = max(fitting, key=lambda one: len(one.code_prefix))
        return account_pb2.Account(
            code=code,
            parent_code=parent_code,
            display_name=display_name,
            english_name=english_name,
            kind=traits.kind,
            normal_side=traits.normal_side,
            basis=traits.basis,
            postable=code.count(".") + 1 >= _POSTABLE_FROM_LEVEL,
            control=traits.control,
            funds_control=traits.funds_control,
            valid_from=to_date(self.valid_from),
        )


def rows_of(file: Path) -> list[dict[str, str]]:
    """The rows of a CSV file."""
    with file.open(encoding="utf-8-sig", newline="") as lines:
        return list(csv.DictReader(lines))


def regional(
    folder: Path = PACK,
    *,
    valid_from: date = date(2021, 1, 1),
    funds: Sequence[tuple[str, str]] = (("UMUM", "Dana Umum"),),
    funding_sources: Sequence[tuple[str, str]] = (),
) -> Pack:
    """The regional chart of Permendagri 90/2019, in force since budget year 2021."""
    traits = [
        Traits(
            row["code_prefix"],
            account_pb2.AccountKind.Value(f"ACCOUNT_KIND_{row['kind']}"),
            account_pb2.NormalSide.Value(f"NORMAL_SIDE_{row['normal_side']}"),
            account_pb2.Basis.Value(f"BASIS_{row['basis']}"),
            row["control"] == "true",
            row["funds_control"] == "true",
        )
        for row in rows_of(folder / "account_traits.csv")
    ]
    pack = Pack([], [], [], traits, valid_from)
    chart = [*rows_of(folder / "coa_regional_pmdn90.csv"), *rows_of(folder / "accounts_added.csv")]
    for row in sorted(chart, key=lambda row: int(row["level"])):
        pack.accounts.append(pack.account(row["code"], row["name_id"], row["parent_code"], row["name_en"]))
    pack.dimension_values.extend(
        [
            *_values("FUND", funds, valid_from),
            *_values("FUNDING_SOURCE", funding_sources, valid_from),
            *_tree("FUNCTION", rows_of(folder / "functions_regional_pmdn90.csv"), "name_id", valid_from),
            *_regions(folder, valid_from),
        ]
    )
    pack.mappings.extend(mapping(row) for row in rows_of(folder / "account_mapping.csv"))
    return pack


def dimension_value(
    kind: str, code: str, display_name: str, valid_from: date, parent_code: str = ""
) -> account_pb2.DimensionValue:
    """One value of a dimension (`kind` without its prefix: FUND, ORGANISATION, PROGRAM, …)."""
    return account_pb2.DimensionValue(
        kind=account_pb2.DimensionKind.Value(f"DIMENSION_KIND_{kind}"),
        code=code,
        parent_code=parent_code,
        display_name=display_name,
        valid_from=to_date(valid_from),
    )


def _values(kind: str, pairs: Iterable[tuple[str, str]], valid_from: date) -> list[account_pb2.DimensionValue]:
    return [dimension_value(kind, code, name, valid_from) for code, name in pairs]


def _tree(kind: str, rows: Iterable[dict[str, str]], name: str, valid_from: date) -> list[account_pb2.DimensionValue]:
    return [dimension_value(kind, row["code"], row[name], valid_from, row["parent_code"]) for row in rows]


def _regions(folder: Path, valid_from: date) -> list[account_pb2.DimensionValue]:
    """Provinces and regencies, where the pack has them."""
    provinces, regencies = folder / "regions_provinces.csv", folder / "regions_regencies.csv"
    values = []
    if provinces.exists():
        values += [
            dimension_value("LOCATION", row["region_code"], row["name_id"], valid_from) for row in rows_of(provinces)
        ]
    if regencies.exists():
        values += [
            dimension_value("LOCATION", row["region_code"], row["name_id"], valid_from, row["province_code"])
            for row in rows_of(regencies)
        ]
    return values


def mapping(row: dict[str, str]) -> account_pb2.AccountMapping:
    """A rule of the account mapping from its row."""
    mapping = account_pb2.AccountMapping(
        role=row["role"],
        expenditure_prefix=row["expenditure_prefix"],
        method=account_pb2.MappingMethod.Value(f"MAPPING_METHOD_{row['method']}"),
        account_code=row["account_code"],
        legal_source=row["legal_source"],
        valid_from=to_date(date.fromisoformat(row["valid_from"])),
    )
    if row["valid_to"]:
        mapping.valid_to.CopyFrom(to_date(date.fromisoformat(row["valid_to"])))
    return mapping
