"""What a sound rule about combinations is, how it is made again and ended, and what its refusal says."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any
from uuid import uuid4

import pytest

from services.finance.classification.combinations import domain
from services.finance.classification.combinations.domain import CombinationRule, Condition, Effect
from services.finance.classification.domain import ClassificationConflict
from services.finance.classification.segments import Segment

FROM = date(2025, 1, 1)


def rule(**values: Any) -> CombinationRule:
    """Capital expenditure names its location."""
    return CombinationRule(
        **{
            "combination_rule_id": uuid4(),
            "code": "CAPITAL-PLACE",
            "conditions": (Condition(Segment.ACCOUNT, "5.2"),),
            "segment": Segment.LOCATION,
            "effect": Effect.MUST_BE_GIVEN,
            "codes": (),
            "explanation": "",
            "legal_source": "made up",
            "valid_from": FROM,
            "valid_to": None,
            "recorded_at": datetime(2025, 1, 1, tzinfo=UTC),
            **values,
        }
    )


@pytest.mark.parametrize(
    "values",
    [
        {"conditions": ()},
        {"conditions": (Condition(Segment.ACCOUNT, "5.1"), Condition(Segment.ACCOUNT, "5.2"))},
        {"segment": Segment.ACCOUNT},
        {"effect": Effect.MUST_BE_BELOW},
        {"codes": ("12",)},
        {"effect": Effect.MUST_NOT_BE_BELOW, "codes": ("12", "12")},
        {"valid_to": FROM},
    ],
    ids=["binds every line", "two on one segment", "of its own condition", "no codes", "codes", "twice", "no day"],
)
def test_a_rule_by_which_no_line_could_be_judged_is_refused(values: dict[str, Any]):
    with pytest.raises(domain.CombinationRuleInvalid):
        domain.check_form(rule(**values))


def test_a_rule_that_is_there_is_taken_as_it_is_whenever_it_was_made():
    both = (Condition(Segment.ACCOUNT, "5.2"), Condition(Segment.FUND, "UMUM"))
    present = rule(conditions=both)
    again = rule(conditions=both[::-1], recorded_at=datetime(2025, 6, 1, tzinfo=UTC))

    assert domain.admit([again], [present]) == [(present, False)]


def test_a_code_says_one_thing_on_a_day():
    with pytest.raises(ClassificationConflict) as caught:
        domain.admit([rule(effect=Effect.MUST_BE_EMPTY)], [rule()])

    assert caught.value.metadata == {"code": "CAPITAL-PLACE", "valid_from": "2025-01-01"}


def test_a_code_says_another_thing_after_it_was_ended():
    ended = domain.end(rule(), date(2025, 7, 1))
    later = rule(effect=Effect.MUST_BE_EMPTY, valid_from=date(2025, 7, 1))

    assert domain.admit([later], [ended]) == [(later, True)]


def test_an_ended_rule_has_a_version_more():
    ended = domain.end(rule(), date(2025, 7, 1))

    assert (ended.valid_to, ended.version) == (date(2025, 7, 1), 2)


@pytest.mark.parametrize("last", [FROM, date(2024, 1, 1)])
def test_a_rule_does_not_end_before_it_began(last: date):
    with pytest.raises(domain.CombinationRuleEnded):
        domain.end(rule(), last)


def test_a_rule_is_not_ended_later_than_it_was():
    ended = replace(rule(), valid_to=date(2025, 7, 1))

    with pytest.raises(domain.CombinationRuleEnded):
        domain.end(ended, date(2025, 7, 1))
    assert domain.end(ended, date(2025, 6, 1)).valid_to == date(2025, 6, 1)


def test_a_refusal_names_line_segments_rule_and_law():
    said = domain.forbidden(
        "line 2, account 5.2.02",
        {
            "line_no": 2,
            "on": "2025-03-10",
            "rule": "CAPITAL-PLACE",
            "segment": "LOCATION",
            "found": "",
            "effect": "MUST_BE_GIVEN",
            "codes": [],
            "explanation": "an asset stands somewhere",
            "legal_source": "Perda 1",
            "segments": {"FUND": "UMUM", "ACCOUNT": "5.2.02"},
        },
    )

    assert said.message == (
        "line 2, account 5.2.02: rule CAPITAL-PLACE (an asset stands somewhere) forbids its combination on 2025-03-10: "
        "LOCATION must be given; the line has ACCOUNT 5.2.02, FUND UMUM; the rule rests on Perda 1"
    )
    assert (said.reason, said.metadata["rule"], said.metadata["legal_source"]) == (
        "COMBINATION_FORBIDDEN",
        "CAPITAL-PLACE",
        "Perda 1",
    )
