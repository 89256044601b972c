"""A budget as governments publish it: one row a line, whole units of the currency, control totals beside it.

Columns: unit_code, unit_name, function_code, function_name, account_code, account_name, amount_idr (others are
passed over). Equal unit, function and account on several rows are separate lines and get a running `line_no`, since
a transcription may have lost the activity that each belongs to. Amounts of zero stay. Nothing is ever dropped: a row
that cannot be read, a total that differs, or an account that the chart does not have stops the load with a list,
unless the caller asks to add the missing accounts below the nearest one that exists.
"""

from __future__ import annotations

import csv
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

_COLUMNS = ("unit_code", "unit_name", "function_code", "function_name", "account_code", "account_name", "amount_idr")
_TOTAL_COLUMNS = ("unit_code", "rows", "amount_idr")
_LISTED_MAX = 20


class BudgetFileRefused(ValueError):
    """The file cannot be loaded as it is; the message lists what is wrong and where."""


@dataclass(frozen=True)
class PublishedLine:
    """One line as published. `amount` is in whole units of the currency, `row` the line of the file."""

    row: int
    unit_code: str
    unit_name: str
    function_code: str
    function_name: str
    account_code: str
    account_name: str
    line_no: int
    amount: int


def read(file: Path) -> list[PublishedLine]:
    """All lines in the file's order. Raises BudgetFileRefused with every row that cannot be read."""
    lines: list[PublishedLine] = []
    wrong: list[str] = []
    numbers: Counter[tuple[str, str, str]] = Counter()
    with file.open(encoding="utf-8-sig", newline="") as content:
        rows = csv.DictReader(content)
        if missing := [column for column in _COLUMNS if column not in (rows.fieldnames or ())]:
            raise BudgetFileRefused(f"{file.name} has no column {', '.join(missing)}")
        for row in rows:
            values = {column: (row[column] or "").strip() for column in _COLUMNS}
            amount = values["amount_idr"]
            if not amount.isascii() or not amount.isdigit():
                wrong.append(f"line {rows.line_num}: amount_idr {amount!r} is no whole number of at least zero")
                continue
            if empty := [column for column in ("unit_code", "account_code") if not values[column]]:
                wrong.append(f"line {rows.line_num}: {', '.join(empty)} is empty")
                continue
            key = (values["unit_code"], values["function_code"], values["account_code"])
            numbers[key] += 1
            lines.append(
                PublishedLine(
                    rows.line_num,
                    values["unit_code"],
                    values["unit_name"],
                    values["function_code"],
                    values["function_name"],
                    values["account_code"],
                    values["account_name"],
                    numbers[key],
                    int(amount),
                )
            )
    if wrong:
        raise BudgetFileRefused(_listed(f"{file.name}: {len(wrong)} rows cannot be read", wrong))
    return lines


def by_unit(lines: Iterable[PublishedLine]) -> dict[str, list[PublishedLine]]:
    """The lines of each unit, units and lines in the file's order."""
    found: dict[str, list[PublishedLine]] = defaultdict(list)
    for line in lines:
        found[line.unit_code].append(line)
    return dict(found)


def check_totals(lines: Iterable[PublishedLine], totals_file: Path) -> None:
    """Compare rows and sum of every unit with the control totals, to the unit of the currency."""
    units = by_unit(lines)
    wrong: list[str] = []
    expected: set[str] = set()
    with totals_file.open(encoding="utf-8-sig", newline="") as content:
        rows = csv.DictReader(content)
        if missing := [column for column in _TOTAL_COLUMNS if column not in (rows.fieldnames or ())]:
            raise BudgetFileRefused(f"{totals_file.name} has no column {', '.join(missing)}")
        for row in rows:
            unit = row["unit_code"]
            expected.add(unit)
            count, amount = len(units.get(unit, ())), sum(line.amount for line in units.get(unit, ()))
            if count != int(row["rows"]):
                wrong.append(f"unit {unit}: {count} rows, the control total says {row['rows']}")
            if amount != int(row["amount_idr"]):
                wrong.append(f"unit {unit}: sum {amount}, the control total says {row['amount_idr']}")
    wrong += [f"unit {unit} has no control total" for unit in units if unit not in expected]
    if wrong:
        raise BudgetFileRefused(_listed("the control totals differ", wrong))


def missing_accounts(lines: Iterable[PublishedLine], known: Mapping[str, object]) -> dict[str, str]:
    """Codes that the chart does not have, with their published names, parents first.

    Levels between a missing account and its nearest known ancestor are missing too; they take the ancestor's place
    in the tree with the code as their name. A code with no known ancestor at all is refused: it is no gap in the
    chart but another chart.
    """
    names = {line.account_code: line.account_name for line in lines}
    missing: dict[str, str] = {}
    for code in sorted(names):
        levels = code.split(".")
        paths = [".".join(levels[: depth + 1]) for depth in range(len(levels))]
        if paths[0] not in known:
            raise BudgetFileRefused(f"account {code}: the chart has not even its first level {paths[0]}")
        for path in paths:
            if path not in known and path not in missing:
                missing[path] = names.get(path) or path
    return missing


def refuse_unknown(missing: Mapping[str, str]) -> None:
    """Stop with the list of missing accounts."""
    if missing:
        listed = [f"{code} {name}" for code, name in missing.items()]
        raise BudgetFileRefused(
            _listed(f"{len(missing)} accounts are not in the chart; add them, or load with --unknown add", listed)
        )


def _listed(head: str, entries: list[str]) -> str:
    shown = entries[:_LISTED_MAX]
    rest = f"\n  … and {len(entries) - len(shown)} more" if len(entries) > len(shown) else ""
    return head + "".join(f"\n  {entry}" for entry in shown) + rest
