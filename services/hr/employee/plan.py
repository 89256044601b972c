"""What a saga is to ask finance for, as plain JSON: written with the document, so that a repeat asks the same."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from uuid import UUID

from chassis.dates import Month
from services.hr.employee.domain import CommitmentItem, Employee, Planned


def to_json(planned: Planned) -> dict[str, Any]:
    """One line as JSON."""
    return {
        "fiscal_year": planned.fiscal_year,
        "budget_line_id": str(planned.budget_line_id),
        "document_line_id": str(planned.document_line_id),
        "schedule": [[month.year, month.month, minor] for month, minor in sorted(planned.schedule.items())],
    }


def from_json(item: Mapping[str, Any]) -> Planned:
    """The line that `to_json` wrote."""
    return Planned(
        item["fiscal_year"],
        UUID(item["budget_line_id"]),
        UUID(item["document_line_id"]),
        {Month(year, month): minor for year, month, minor in item["schedule"]},
    )


def lines_of(items: Iterable[Mapping[str, Any]]) -> list[Planned]:
    """The lines of a state's list."""
    return [from_json(item) for item in items]


def item_of(planned: Planned) -> CommitmentItem:
    """What is obligated once finance did as planned."""
    return CommitmentItem(planned.fiscal_year, planned.budget_line_id, planned.document_line_id, planned.amount)


def hire_state(employee: Employee, planned: Sequence[Planned]) -> dict[str, Any]:
    """The state of a hire's saga."""
    return {
        "person_id": str(employee.person_id),
        "document_number": employee.employee_number,
        "effective_on": employee.paid_from.isoformat(),
        "obligate": [to_json(one) for one in planned],
    }


def adjustment_state(
    employee: Employee, held: Sequence[CommitmentItem], planned: Sequence[Planned], state: Mapping[str, Any]
) -> dict[str, Any]:
    """What changes of an employment's obligation: first obligated, set anew, or freed for good."""
    items = {item.document_line_id: item for item in held}
    wanted = {one.document_line_id: one for one in planned if one.amount}
    released = [
        Planned(item.fiscal_year, item.budget_line_id, item.document_line_id, {})
        for key, item in items.items()
        if item.open and key not in wanted
    ]
    return {
        "document_number": employee.employee_number,
        **state,
        "obligate": [to_json(one) for key, one in wanted.items() if key not in items],
        "adjust": [to_json(one) for key, one in wanted.items() if key in items and items[key].open != one.amount],
        "release": [to_json(one) for one in released],
    }


def asks_something(state: Mapping[str, Any]) -> bool:
    """Whether the state has a line to ask for."""
    return bool(state["obligate"] or state["adjust"] or state["release"])
