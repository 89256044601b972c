"""Why the posting statement refused an entry: its verdicts as errors, in words that a clerk can act on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from uuid import UUID

from chassis.errors import FailedPrecondition, KelolaError, OutOfRange
from services.finance.budget import domain as budget
from services.finance.budget.buckets import BUCKET_NAMES
from services.finance.classification.combinations.domain import forbidden


class PeriodClosed(FailedPrecondition):
    """Neither the day's period nor a later one takes the entry."""

    reason = "PERIOD_CLOSED"


class AccountUnknown(FailedPrecondition):
    """No such account on that day."""

    reason = "ACCOUNT_UNKNOWN"


class AccountNotPostable(FailedPrecondition):
    """The account is a heading."""

    reason = "ACCOUNT_NOT_POSTABLE"


class AccountControlled(FailedPrecondition):
    """A manual entry names a control account."""

    reason = "ACCOUNT_CONTROLLED"


class BasisMismatch(FailedPrecondition):
    """The account belongs to the other basis."""

    reason = "BASIS_MISMATCH"


class DimensionUnknown(FailedPrecondition):
    """No such value of a dimension on that day."""

    reason = "DIMENSION_UNKNOWN"


class FundsMissing(FailedPrecondition):
    """A line that the budget controls names no budget line, or no funds movement."""

    reason = "FUNDS_MISSING"


class FundsUnmatched(FailedPrecondition):
    """What the entry expends on a budget line is not what it owes under that line."""

    reason = "FUNDS_UNMATCHED"


class BalanceOutOfRange(OutOfRange):
    """A kept balance would leave 64 bits."""

    reason = "AMOUNT_OUT_OF_RANGE"


class CorrectedEntryUnknown(FailedPrecondition):
    """No such entry of the agency, or none of the year that is adjusted."""

    reason = "CORRECTED_ENTRY_UNKNOWN"


class EntryAlreadyReversed(FailedPrecondition):
    """The entry was reversed before."""

    reason = "ENTRY_ALREADY_REVERSED"


class ReversalWithoutSuccessor(FailedPrecondition):
    """A code of the entry that is reversed has ended since, and nothing has taken its place."""

    reason = "REVERSAL_WITHOUT_SUCCESSOR"


def refusal(reason: str, figures: Mapping[str, Any]) -> KelolaError:
    """The error behind a verdict of the posting statement."""
    return _ERRORS[reason](figures)


def _metadata(figures: Mapping[str, Any]) -> dict[str, str]:
    return {name: str(value) for name, value in figures.items() if isinstance(value, str | int)}


def _line(figures: Mapping[str, Any]) -> str:
    return f"line {figures['line_no']}, account {figures['account_code']}"


def _period_closed(figures: Mapping[str, Any]) -> KelolaError:
    state, day = figures["state"], figures["on"]
    if "adjustment_year" in figures:
        return PeriodClosed(
            f"the adjustment period of {figures['adjustment_year']} is {state}: it takes corrections while it is OPEN "
            "(after the last month is closed), and those of the named authority while it is SOFT_CLOSED",
            metadata=_metadata(figures),
        )
    advice = {
        "ABSENT": "the agency has no fiscal year with that day: create it",
        "FUTURE": "its period is not open yet: open it, or wait",
    }.get(state, f"its period is {state} and no later one is open: open the next period")
    return PeriodClosed(f"nothing can be accounted on {day}: {advice}", metadata=_metadata(figures))


def _budget_exceeded(figures: Mapping[str, Any]) -> KelolaError:
    node = figures["node"]
    line = budget.Line(
        budget_line_id=UUID(node["budget_line_id"]),
        agency_id=UUID(node["agency_id"]),
        currency=node["currency"],
        fiscal_year=node["fiscal_year"],
        organisation_code=node["organisation_code"],
        account_code=node["account_code"],
        fund_code=node["fund_code"],
        **{
            name: node[f"{name}_minor"]
            for name in "original supplementary virement_in virement_out carried_in frozen override".split()
        },
        buckets=budget.Buckets(*(node[f"{name}_minor"] for name in BUCKET_NAMES)),
    )
    asked = int(figures["asked_minor"])
    return budget.exceeded([budget.Shortage(line, asked)], figures["users"])


def _funds_unmatched(figures: Mapping[str, Any]) -> KelolaError:
    if "node" in figures:
        text = (
            f"budget line {figures['budget_line_id']} has only {figures['expended_minor']} minor units expended and "
            "unpaid: what was paid since is put right by a refund, not by a reversal"
        )
    elif "line_no" in figures:
        text = (
            f"{_line(figures)}: a line that spends a budget line is in that line's fund, and has an amount in the "
            "functional currency"
        )
    else:
        text = (
            f"budget line {figures['budget_line_id']}: {figures['expended_minor']} minor units are expended and "
            f"{figures['owed_minor']} owed; name the budget line on the expense and on the payable, with one amount"
        )
    return FundsUnmatched(text, metadata=_metadata(figures))


def _account_unknown(figures: Mapping[str, Any]) -> KelolaError:
    if "reverses_journal_entry_id" in figures:
        return _ended(figures, f"account {figures['account_code']}")
    return AccountUnknown(f"{_line(figures)}: no such account on {figures['on']}", metadata=_metadata(figures))


def _dimension_unknown(figures: Mapping[str, Any]) -> KelolaError:
    code = f"{figures['dimension']} {figures['code']}"
    if "reverses_journal_entry_id" in figures:
        return _ended(figures, code)
    return DimensionUnknown(f"{_line(figures)}: no {code} on {figures['on']}", metadata=_metadata(figures))


def _ended(figures: Mapping[str, Any], code: str) -> KelolaError:
    """What was posted stood on codes that held: a reversal finds one missing only where it ended without successor."""
    advice = (
        "a fund has no successor: what one fund owes another is posted between them"
        if figures.get("dimension") == "FUND"
        else "name its successor (BatchCreateCodeSuccessions), then reverse again"
    )
    return ReversalWithoutSuccessor(
        f"line {figures['line_no']}: the reversal would stand on {figures['on']}, when {code} of the entry is not in "
        f"force and has no successor: {advice}; or reverse on a day on which it held, if its period, or the adjustment "
        "period of its year, still takes it",
        metadata=_metadata(figures),
    )


_ERRORS: Mapping[str, Callable[[Mapping[str, Any]], KelolaError]] = {
    "PERIOD_CLOSED": _period_closed,
    "ACCOUNT_UNKNOWN": _account_unknown,
    "ACCOUNT_NOT_POSTABLE": lambda figures: AccountNotPostable(
        f"{_line(figures)} is a heading; name an account below it", metadata=_metadata(figures)
    ),
    "ACCOUNT_CONTROLLED": lambda figures: AccountControlled(
        f"{_line(figures)} is kept by documents (orders, receipts, payments); a manual entry may not name it",
        metadata=_metadata(figures),
    ),
    "BASIS_MISMATCH": lambda figures: BasisMismatch(
        f"{_line(figures)} does not belong to the basis {figures['basis']}", metadata=_metadata(figures)
    ),
    "DIMENSION_UNKNOWN": _dimension_unknown,
    "COMBINATION_FORBIDDEN": lambda figures: forbidden(
        f"line {figures['line_no']}, account {figures['segments']['ACCOUNT']}", figures
    ),
    "FUNDS_MISSING": lambda figures: FundsMissing(
        f"{_line(figures)} is controlled by the budget; name the budget line that it spends",
        metadata=_metadata(figures),
    ),
    "BUDGET_LINE_UNKNOWN": lambda figures: budget.BudgetLineUnknown(
        f"{_line(figures)}: the agency has no budget line {figures['budget_line_id']} in {figures['fiscal_year']}",
        metadata=_metadata(figures),
    ),
    "BUDGET_LINE_NOT_ACTIVE": lambda figures: budget.BudgetLineNotUsable(
        f"{_line(figures)}: budget line {figures['budget_line_id']} is {figures['status']}, or has lines below it; "
        "only an active line without lines below it can be spent",
        metadata=_metadata(figures),
    ),
    "BUDGET_EXCEEDED": _budget_exceeded,
    "FUNDS_UNMATCHED": _funds_unmatched,
    "AMOUNT_OUT_OF_RANGE": lambda figures: BalanceOutOfRange(
        "a kept balance of one of the entry's accounts would leave 64 bits; nothing was posted"
    ),
    "CORRECTED_ENTRY_UNKNOWN": lambda figures: CorrectedEntryUnknown(
        f"the agency has no entry {figures['corrects_journal_entry_id']} that could be corrected here; in the "
        f"adjustment period it is one of {figures['fiscal_year']}",
        metadata=_metadata(figures),
    ),
    "ENTRY_ALREADY_REVERSED": lambda figures: EntryAlreadyReversed(
        f"the entry was reversed by {figures['reversed_by_journal_entry_id']}", metadata=_metadata(figures)
    ),
}
