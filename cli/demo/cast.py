"""Who is in the story: the government's agencies, its officers, its officials. All persons are synthetic.

Every duty has a person of its own, so that no paper passes the same hands twice.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

from chassis.settings import ROOT

BUDGET_FILE = ROOT / "data" / "real" / "regional_budget_2025_six_units.csv"
TOTALS_FILE = ROOT / "data" / "real" / "regional_budget_2025_six_units_totals.csv"
FISCAL_YEAR = 2025

GOVERNMENT, TREASURY = "government", "treasury"


@dataclass(frozen=True)
class Scale:
    """How much of the story is told. Ten or more requisitions have every course in them but one, thirteen all."""

    officials: int = 200
    requisitions: int = 40


@dataclass(frozen=True)
class Agency:
    """An agency of the story: `label` is how the story calls it, `code` how the budget does."""

    label: str
    code: str
    display_name: str


@dataclass(frozen=True)
class Person:
    """A synthetic person with a structurally valid national id."""

    label: str
    full_name: str
    national_id: str
    birth_date: date
    female: bool


# label -> role; each is held at the government, hence in all its agencies.
OFFICERS = {
    "access_administrator": "identity.administrator",
    "budget_officer": "finance.budget_officer",
    "budget_authority": "finance.budget_authority",
    "accountant": "finance.accountant",
    "invoice_clerk": "finance.invoice_clerk",
    "invoice_approver": "finance.budget_user",
    "expenditure_treasurer": "finance.expenditure_treasurer",
    "verifier": "finance.verifier",
    "budget_user": "finance.budget_user",
    "treasurer": "finance.treasurer",
    "hr_officer": "hr.officer",
    "payroll_officer": "hr.payroll_officer",
    "payroll_approver": "hr.payroll_approver",
    "requester": "logistics.requester",
    "requisition_approver": "logistics.approver",
    "procurement_officer": "logistics.procurement_officer",
    "commitment_officer": "logistics.commitment_officer",
    "receiver": "logistics.receiver",
    "inspector": "logistics.commitment_officer",
    "storekeeper": "logistics.storekeeper",
    "catalog_officer": "logistics.catalog_officer",
    "auditor": "auditor",
    "treasury_head": "finance.treasury_head",
    "reconciler": "finance.reconciler",
}

SUPPLIER_OWNERS = 3


def units(budget_file: Path = BUDGET_FILE) -> list[Agency]:
    """The spending agencies that occur in the budget file, in its order."""
    with budget_file.open(encoding="utf-8", newline="") as file:
        names = {row["unit_code"]: row["unit_name"] for row in csv.DictReader(file)}
    return [Agency(code, code, name) for code, name in names.items()]


def person(number: int, label: str) -> Person:
    """The `number`-th synthetic person: same number, same person, in every run."""
    birth = date(1970, 1, 1) + timedelta(days=(number * 97) % 10_500)
    female = number % 2 == 0
    day = birth.day + (40 if female else 0)
    national_id = f"1171{1 + number % 9:02d}{day:02d}{birth:%m%y}{1 + number:04d}"
    return Person(label, f"Demo Person {number:03d}", national_id, birth, female)


def officers() -> list[Person]:
    """One person a duty."""
    return [person(number, label) for number, label in enumerate(OFFICERS, start=1)]


def owners() -> list[Person]:
    """The owners of the suppliers."""
    return [person(100 + number, f"owner-{number}") for number in range(1, SUPPLIER_OWNERS + 1)]


def officials(count: int) -> list[Person]:
    """Those who are hired and paid."""
    return [person(200 + number, f"official-{number:03d}") for number in range(1, count + 1)]
