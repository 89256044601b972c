"""Contracts of several years: their slices and who decides; plain values."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from uuid import UUID, uuid4

import pytest

from services.finance.budget.domain import Line, SamePerson
from services.finance.budget.span import Span
from services.finance.budget.years import domain
from services.finance.budget.years.domain import Authorisation, AuthorisationInvalid, AuthorisationStatus, Slice
from services.finance.classification.fiscal_calendar import CALENDAR_YEAR

MAKER, CHECKER = uuid4(), uuid4()
NOW = datetime(2025, 1, 2, 8, tzinfo=UTC)


def slices(**amounts: int) -> tuple[Slice, ...]:
    first = next(iter(amounts))
    return tuple(
        Slice(int(year[1:]), amount, uuid4(), uuid4() if year == first else None) for year, amount in amounts.items()
    )


def an_authorisation(**values) -> Authorisation:
    return Authorisation(
        **{
            "multi_year_authorisation_id": uuid4(),
            "agency_id": uuid4(),
            "document_number": "MYC/1",
            "legal_reference": "Perda 3/2025",
            "explanation": "a bridge",
            "contract_id": uuid4(),
            "contract_number": "KTR/1",
            "currency": "IDR",
            "ceiling": 1_000,
            "price": 900,
            "effective_on": date(2025, 2, 1),
            "slices": slices(y2025=300, y2026=400, y2027=200),
            "proposed_by": MAKER,
            "proposed_at": NOW,
            **values,
        }
    )


def test_n06_only_the_first_slice_is_obligated_and_the_rest_is_future():
    approved = domain.decide(an_authorisation(), AuthorisationStatus.APPROVED, by=CHECKER, at=NOW)
    first = replace(approved.slices[0], obligated_on=date(2025, 2, 1))

    opened = domain.with_slice(approved, first)
    second = domain.with_slice(opened, replace(opened.slices[1], obligated_on=date(2026, 1, 2)))

    assert (an_authorisation().future, approved.future, opened.future, second.future) == (0, 900, 600, 200)


@pytest.mark.parametrize(
    "values",
    [
        {"price": 901},
        {"ceiling": 899},
        {"slices": slices(y2025=900)},
        {"slices": slices(y2026=300, y2025=600)},
        {"slices": slices(y2025=900, y2026=0)},
        {"effective_on": date(2026, 1, 1)},
        {"slices": (Slice(2025, 300, uuid4()), Slice(2026, 600, uuid4()))},
    ],
)
def test_slices_add_up_to_the_price_within_the_ceiling_year_by_year(values):
    with pytest.raises(AuthorisationInvalid):
        check(an_authorisation(**values))


def check(authorisation: Authorisation, line: Line | None = None) -> None:
    """Judged with the line of the first slice, of 2025 alone unless another is given."""
    line_id = authorisation.slices[0].budget_line_id
    domain.check_form(authorisation, line or (line_id and a_line(line_id)), CALENDAR_YEAR)


def a_line(line_id: UUID, last_year: int = 2025) -> Line:
    span = Span(date(2025, 1, 1), date(last_year + 1, 1, 1), last_year) if last_year > 2025 else None
    return Line(line_id, uuid4(), "IDR", fiscal_year=2025, span=span)


def test_on_a_line_that_reaches_into_a_later_year_one_slice_is_enough():
    one = an_authorisation(slices=slices(y2025=900))
    line_id = one.slices[0].budget_line_id

    check(one, a_line(line_id, 2026))
    with pytest.raises(AuthorisationInvalid, match="ends with 2025"):
        check(one)


def test_what_a_projects_line_pays_is_obligated_at_once_and_what_is_beyond_it_waits():
    other = uuid4()
    first, *later = slices(y2025=100, y2026=200, y2027=250, y2028=350)
    later[1] = replace(later[1], budget_line_id=other)
    one = an_authorisation(slices=(first, *later))
    line = a_line(first.budget_line_id, 2027)

    parts = domain.at_once(one, first, line)
    after = domain.obligated(one, parts, date(2025, 2, 1))

    assert [(part.fiscal_year, part.budget_line_id) for part in parts] == [
        (2025, line.budget_line_id),
        (2026, line.budget_line_id),
    ]
    assert [part.obligated_on is None for part in after.slices] == [False, False, True, True]
    assert after.version == one.version + 1


def test_another_person_decides_once():
    with pytest.raises(SamePerson):
        domain.decide(an_authorisation(), AuthorisationStatus.APPROVED, by=MAKER, at=NOW)
    with pytest.raises(domain.NotTheProposer):
        domain.decide(an_authorisation(), AuthorisationStatus.RECALLED, by=CHECKER, at=NOW)
    rejected = domain.decide(an_authorisation(), AuthorisationStatus.REJECTED, by=CHECKER, at=NOW)
    with pytest.raises(domain.AuthorisationNotProposed):
        domain.decide(rejected, AuthorisationStatus.APPROVED, by=CHECKER, at=NOW)
