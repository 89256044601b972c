"""Who may ask for a token, for whom, and what stands in it."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from uuid import UUID

import pytest

from chassis.dates import Validity
from chassis.errors import InvalidArgument
from services.identity.access.domain import Grant
from services.identity.token import domain
from services.identity.token.domain import ClientAssertionInvalid, SubjectNotAllowed, TokenOrder, TokenTooLarge

AT = datetime(2026, 1, 5, 3, tzinfo=UTC)
NOW = int(AT.timestamp())
TODAY = date(2026, 1, 5)
ISSUER = "https://issuer.test.kelola.invalid"
PERSON = UUID(int=9)
ROOT, LEFT, RIGHT = (UUID(int=number) for number in range(1, 4))
CHILDREN = {ROOT: [LEFT, RIGHT]}


def claims(**changed) -> dict[str, object]:
    known = {"iss": "portal", "sub": "portal", "aud": ISSUER, "jti": "1", "exp": NOW + 60}
    return {name: value for name, value in {**known, **changed}.items() if value is not None}


def order(person_id: UUID | None = PERSON, **fields) -> TokenOrder:
    known = {"audiences": ("hr",), "lifetime": None, "agency_ids": frozenset()}
    return TokenOrder(person_id, **{**known, **fields})


def grant(role: str, agency_id: UUID) -> Grant:
    return Grant(UUID(int=7), PERSON, role, agency_id, Validity(date(2026, 1, 1)), None, AT)


def test_a_client_may_ask_for_persons_and_the_operators_own_for_both():
    assert domain.client("portal", None).subjects == {"persons"}
    assert domain.client("operator", None).subjects == {"operator", "persons"}
    assert domain.client("portal", []).subjects == frozenset()
    with pytest.raises(ValueError, match="portal"):
        domain.client("portal", ["everybody"])


def test_a_sound_assertion_is_remembered_for_as_long_as_it_could_be_used():
    used = domain.assertion(domain.client("portal", None), claims(aud=[ISSUER, "other"]), issuer=ISSUER, at=AT)

    assert used.expires_at >= AT + timedelta(seconds=60) + domain.CLOCK_LEEWAY


@pytest.mark.parametrize(
    "wrong",
    [
        {"iss": "other"},
        {"sub": "other"},
        {"aud": "https://elsewhere.invalid"},
        {"aud": None},
        {"jti": None},
        {"jti": ""},
        {"jti": "x" * 201},
        {"exp": None},
        {"exp": "soon"},
        {"exp": float(NOW + 60)},
        {"exp": True},
        {"exp": NOW - 31},
        {"exp": NOW + 331},
    ],
    ids=str,
)
def test_an_assertion_that_does_not_hold_is_refused(wrong):
    with pytest.raises(ClientAssertionInvalid):
        domain.assertion(domain.client("portal", None), claims(**wrong), issuer=ISSUER, at=AT)


@pytest.mark.parametrize("exp", [NOW - 29, NOW + 330])
def test_clocks_may_be_half_a_minute_apart(exp):
    assert domain.assertion(domain.client("portal", None), claims(exp=exp), issuer=ISSUER, at=AT).jti == "1"


def test_a_client_gets_no_token_for_whom_it_may_not_ask():
    domain.require_subject(domain.client("portal", None), order())

    with pytest.raises(SubjectNotAllowed):
        domain.require_subject(domain.client("portal", None), order(None))
    with pytest.raises(SubjectNotAllowed):
        domain.require_subject(domain.client("setup", ["operator"]), order())


def test_a_token_lives_five_minutes_unless_asked_otherwise_and_an_hour_at_most():
    limits = {"default": timedelta(minutes=5), "longest": timedelta(hours=1)}

    assert domain.lifetime(order(), **limits) == timedelta(minutes=5)
    assert domain.lifetime(order(lifetime=timedelta(hours=1)), **limits) == timedelta(hours=1)
    with pytest.raises(InvalidArgument):
        domain.lifetime(order(lifetime=timedelta(seconds=3601)), **limits)


def test_a_persons_token_names_each_role_with_its_part_of_the_tree():
    held = [grant("hr.officer", LEFT), grant("auditor", ROOT), grant("hr.officer", RIGHT)]

    found = domain.grants(order(), held=held, children=CHILDREN, agencies={ROOT, LEFT, RIGHT}, day=TODAY)

    assert found == [("auditor", [ROOT, LEFT, RIGHT]), ("hr.officer", [LEFT, RIGHT])]


def test_a_narrowed_token_names_no_more_than_was_asked_for():
    held = [grant("hr.officer", LEFT), grant("auditor", ROOT)]

    found = domain.grants(
        order(agency_ids=frozenset({RIGHT})), held=held, children=CHILDREN, agencies={ROOT, LEFT, RIGHT}, day=TODAY
    )

    assert found == [("auditor", [RIGHT])]


def test_the_operator_covers_every_agency_and_acts_where_there_is_none_yet():
    assert domain.grants(order(None), held=[], children={}, agencies=set(), day=TODAY) == [("operator", [])]
    assert domain.grants(order(None), held=[], children=CHILDREN, agencies={ROOT, LEFT}, day=TODAY) == [
        ("operator", [ROOT, LEFT])
    ]


def test_a_token_that_no_call_could_carry_is_refused():
    domain.require_size(domain.TOKEN_BYTES_MAX)

    with pytest.raises(TokenTooLarge):
        domain.require_size(domain.TOKEN_BYTES_MAX + 1)
