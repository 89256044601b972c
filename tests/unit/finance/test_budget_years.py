"""Contracts of several years: their slices and who decides; plain values."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from uuid import uuid4

import pytest

from services.finance.budget.domain import SamePerson
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
        domain.check_form(an_authorisation(**values), CALENDAR_YEAR)


def test_another_person_decides_once():
    with pytest.raises(SamePerson):
        domain.decide(an_authorisation(), AuthorisationStatus.APPROVED, by=MAKER, at=NOW)
    with pytest.raises(domain.NotTheProposer):
        domain.decide(an_authorisation(), AuthorisationStatus.RECALLED, by=CHECKER, at=NOW)
    rejected = domain.decide(an_authorisation(), AuthorisationStatus.REJECTED, by=CHECKER, at=NOW)
    with pytest.raises(domain.AuthorisationNotProposed):
        domain.decide(rejected, AuthorisationStatus.APPROVED, by=CHECKER, at=NOW)
