"""Who and what is in the demo year, and when: two units with some of their published budget lines, three suppliers.

All persons, prices and rates are made up; budget lines, accounts and units are the published budget's. Every duty has
a person of its own, so that no paper passes the same hands twice.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal

from cli.demo import cast as month
from cli.load import published_budget
from cli.load.published_budget import PublishedLine

FISCAL_YEAR = month.FISCAL_YEAR
NEXT_YEAR = FISCAL_YEAR + 1
CURRENCY = "IDR"
MONTHS, ADJUSTMENTS = 12, 13

HEALTH, STAFF = "1.02.01", "5.01.01"
LINES = {HEALTH: 18, STAFF: 12}
UNITS = [unit for unit in month.units() if unit.code in LINES]

# The days to which the business clock is moved, one after the other; what is done there is dated on or before them.
JANUARY = date(FISCAL_YEAR, 1, 6)
MARCH = date(FISCAL_YEAR, 3, 10)
JUNE = date(FISCAL_YEAR, 6, 16)
SEPTEMBER = date(FISCAL_YEAR, 9, 15)
DECEMBER = date(FISCAL_YEAR, 12, 15)
NEW_YEAR = date(NEXT_YEAR, 1, 12)

_DUTIES = (
    "access_administrator", "budget_officer", "budget_authority", "accountant", "invoice_clerk", "invoice_approver",
    "expenditure_treasurer", "verifier", "budget_user", "treasurer", "requester", "requisition_approver",
    "procurement_officer", "commitment_officer", "receiver", "inspector", "auditor", "treasury_head", "reconciler",
)  # fmt: skip
OFFICERS = {label: month.OFFICERS[label] for label in _DUTIES} | {
    "regional_secretary": "finance.regional_secretary",
    "imprest_holder": "finance.expenditure_treasurer",
}

# The lines that the story spends from: (account, line_no) of the health office, and one of the staff office.
MEALS = ("5.1.02.01.01.0053", 1)
STATIONERY = ("5.1.02.01.01.0024", 1)
TRAVEL = ("5.1.02.04.01.0001", 1)
TRAINING = ("5.1.02.04.01.0001", 2)
ADVICE = ("5.1.02.02.08.0018", 1)
BUILDING = ("5.2.03.01.01.0001", 1)
MOSQUE = ("5.2.03.01.01.0008", 1)
COMPUTER_SUPPLIES = ("5.1.02.01.01.0029", 1)
# The line that the supplementary budget adds: office paper, which the first budget forgot.
PAPER = ("5.1.02.01.01.0025", 1)

# Middle rates of the demo, rupiah for one unit, by (month, day): those of each month's end, and of the days on which
# something happens in that currency. From 10 March to 15 September the dollar goes the way of N5 (domain rules, §2).
DOLLAR, SINGAPORE_DOLLAR = "USD", "SGD"
RATES = {
    DOLLAR: {
        (1, 31): "14900", (2, 12): "14940", (2, 28): "14982.25", (3, 10): "15000", (3, 31): "15100", (4, 30): "15150",
        (5, 31): "15200", (6, 12): "15300", (6, 30): "15350", (7, 31): "15380", (8, 31): "15400", (9, 15): "15350",
        (9, 30): "15442.25", (10, 31): "15484.50", (11, 18): "15526.75", (11, 30): "15526.75", (12, 31): "15569",
    },
    SINGAPORE_DOLLAR: {
        (1, 31): "11940.75", (2, 19): "11930", (2, 28): "11922.35", (3, 31): "11903.95", (4, 30): "11885.55",
        (5, 31): "11867.15", (6, 30): "11848.75", (7, 31): "11830.35", (8, 31): "11811.95", (9, 30): "11793.55",
        (10, 31): "11775.15", (11, 30): "11756.75", (12, 31): "11738.35",
    },
}  # fmt: skip


def rate(currency: str, on: date) -> Decimal:
    """The middle rate of a day of the first year; KeyError when nothing happens on it."""
    return Decimal(RATES[currency][on.month, on.day])


def officers() -> list[month.Person]:
    """One person a duty."""
    return [month.person(number, label) for number, label in enumerate(OFFICERS, start=1)]


def published() -> dict[str, list[PublishedLine]]:
    """The first lines of each unit as they were published, line numbers counted within them."""
    lines = published_budget.by_unit(published_budget.read(month.BUDGET_FILE))
    return {unit.code: lines[unit.code][: LINES[unit.code]] for unit in UNITS}


def next_year() -> dict[str, list[PublishedLine]]:
    """The second year's budget: the same lines, and the one that the supplementary budget added; amounts made up."""
    budget = published()
    account, line_no = PAPER
    like = next(line for line in budget[HEALTH] if line.account_code == STATIONERY[0])
    paper = replace(
        like, account_code=account, account_name="Belanja Kertas dan Cover", line_no=line_no, amount=25_000_000
    )
    return {unit: [*lines, paper] if unit == HEALTH else lines for unit, lines in budget.items()}
