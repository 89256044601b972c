"""Who owns a held invoice and what may be decided of it, as plain values."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from chassis.errors import InvalidArgument
from services.finance.payables.domain import HoldReason, SamePerson
from services.finance.payables.exceptions import domain
from services.finance.payables.exceptions.domain import FirstOwner, HoldNotReleasable, HoldRule, Outcome

AT = datetime(2025, 3, 14, 9, tzinfo=UTC)
CLERK, APPROVER = uuid4(), uuid4()
RULES = [
    HoldRule(HoldReason.DUPLICATE, FirstOwner.NOBODY, 3),
    HoldRule(HoldReason.PRICE, FirstOwner.REGISTRANT, 7),
    HoldRule(HoldReason.QUANTITY, FirstOwner.REGISTRANT, 14),
]


def test_the_rule_that_stands_first_names_the_owner_and_the_shortest_deadline_counts():
    begun = domain.opened([HoldReason.QUANTITY, HoldReason.PRICE], RULES, registrant_person_id=CLERK, at=AT)
    with_duplicate = domain.opened(
        [HoldReason.QUANTITY, HoldReason.DUPLICATE], RULES, registrant_person_id=CLERK, at=AT
    )

    assert begun == domain.Opened(CLERK, AT + timedelta(days=7))
    assert with_duplicate == domain.Opened(None, AT + timedelta(days=3))


def test_age_counts_whole_days_and_is_never_below_nil():
    assert domain.age_days(AT, AT + timedelta(days=2, hours=23)) == 2
    assert domain.age_days(AT, AT - timedelta(seconds=1)) == 0


def test_a_question_to_a_supplier_has_an_end():
    with pytest.raises(InvalidArgument):
        domain.inquiry_due(AT, domain.INQUIRY_DAYS_MAX + 1)


def test_the_registrant_decides_nothing_and_figures_are_not_released():
    duplicate = {HoldReason.DUPLICATE}

    domain.check_decision("INV", duplicate, Outcome.RELEASED, registrant_person_id=CLERK, by=APPROVER)
    with pytest.raises(SamePerson):
        domain.check_decision("INV", duplicate, Outcome.REJECTED, registrant_person_id=CLERK, by=CLERK)
    with pytest.raises(HoldNotReleasable):
        domain.check_decision(
            "INV", {*duplicate, HoldReason.PRICE}, Outcome.RELEASED, registrant_person_id=CLERK, by=APPROVER
        )
