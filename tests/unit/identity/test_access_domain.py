"""Grants: who may be given what, when it holds, over which agencies."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chassis.dates import Validity
from chassis.errors import InvalidArgument
from services.identity.access import domain
from services.identity.access.domain import (
    Grant,
    GrantOverlaps,
    GrantRevokedAlready,
    NewGrant,
    OwnGrant,
    RoleUnknown,
)

AT = datetime(2026, 1, 5, 3, tzinfo=UTC)
TODAY = date(2026, 1, 5)
HOLDER, MAKER, AGENCY, GRANT = UUID(int=1), UUID(int=2), UUID(int=3), UUID(int=4)
ROLES = frozenset({"finance.treasurer", "operator", "service.hr"})


def order(**fields) -> NewGrant:
    known = {
        "person_id": HOLDER,
        "role": "finance.treasurer",
        "agency_id": AGENCY,
        "valid_from": None,
        "valid_to": None,
    }
    return NewGrant(**{**known, **fields})


def made(*existing: Grant, by: UUID | None = MAKER, **fields) -> Grant:
    return domain.create(GRANT, order(**fields), existing=existing, roles=ROLES, by_person_id=by, at=AT, today=TODAY)


def test_a_grant_without_days_holds_from_today_on():
    grant = made()

    assert grant.validity == Validity(TODAY)
    assert not grant.holds_on(TODAY - timedelta(days=1))
    assert grant.holds_on(date(2099, 1, 1))


def test_nobody_grants_a_role_to_himself():
    with pytest.raises(OwnGrant):
        made(by=HOLDER)


def test_the_operator_who_is_no_person_may_grant():
    assert made(by=None).granted_by_person_id is None


@pytest.mark.parametrize("role", ["finance.emperor", "operator", "service.hr", ""])
def test_a_role_must_be_known_and_for_people(role):
    with pytest.raises(RoleUnknown):
        made(role=role)


@pytest.mark.parametrize(
    ("valid_from", "valid_to"),
    [(date(2026, 3, 1), date(2026, 3, 1)), (date(2026, 3, 2), date(2026, 3, 1)), (date(2025, 1, 1), TODAY)],
)
def test_days_in_the_wrong_order_or_all_past_are_refused(valid_from, valid_to):
    with pytest.raises(InvalidArgument):
        made(valid_from=valid_from, valid_to=valid_to)


def test_a_second_equal_grant_is_refused_with_the_id_of_the_first():
    with pytest.raises(GrantOverlaps) as refused:
        made(made())

    assert refused.value.metadata == {"grant_id": str(GRANT)}


def test_after_a_revocation_the_role_may_be_granted_anew():
    ended = domain.revoke(made(), by_person_id=MAKER, reason="moved", at=AT)

    assert made(ended).holds_on(TODAY)


days = st.dates(date(2026, 1, 6), date(2026, 3, 31))
spans = st.builds(
    lambda start, length: (start, None if length is None else start + timedelta(days=length)),
    days,
    st.none() | st.integers(1, 40),
)


@given(one=spans, other=spans)
def test_two_grants_overlap_exactly_when_some_day_is_in_both(one, other):
    first = made(valid_from=one[0], valid_to=one[1])
    end = date(2026, 6, 1)
    calendar = [TODAY + timedelta(days=day) for day in range((end - TODAY).days)]
    shared = any(Validity(*one).holds_on(day) and Validity(*other).holds_on(day) for day in calendar)

    if shared:
        with pytest.raises(GrantOverlaps):
            made(first, valid_from=other[0], valid_to=other[1])
    else:
        assert made(first, valid_from=other[0], valid_to=other[1]).validity == Validity(*other)


def test_a_revoked_grant_holds_on_no_day_and_is_not_revoked_twice():
    ended = domain.revoke(made(), by_person_id=MAKER, reason=" moved to \n another agency ", at=AT)

    assert not ended.holds_on(TODAY)
    assert ended.revocation_reason == "moved to another agency"
    with pytest.raises(GrantRevokedAlready):
        domain.revoke(ended, by_person_id=MAKER, reason="again", at=AT)


def test_grants_are_expanded_over_the_tree_for_the_day():
    root, left, right, leaf = (UUID(int=number) for number in range(10, 14))
    children = {root: [left, right], left: [leaf]}
    later = made(agency_id=root, valid_from=date(2026, 2, 1))
    now = made(agency_id=left)

    assert domain.expand([now, later], children, TODAY) == {"finance.treasurer": {left, leaf}}
    assert domain.expand([now, later], children, date(2026, 2, 1)) == {"finance.treasurer": {root, left, right, leaf}}


@given(st.lists(st.integers(0, 30), min_size=1, max_size=30))
def test_a_subtree_is_what_has_the_root_above_it(parents):
    # Agency n + 1 stands below agency parents[n] % (n + 1): a random tree.
    above = {number + 1: parent % (number + 1) for number, parent in enumerate(parents)}
    children: dict[UUID, list[UUID]] = {}
    for child, parent in above.items():
        children.setdefault(UUID(int=parent), []).append(UUID(int=child))

    for root in (0, len(above)):
        expected = set()
        for node in range(len(above) + 1):
            path = {node}
            current = node
            while current in above:
                current = above[current]
                path.add(current)
            if root in path:
                expected.add(UUID(int=node))
        assert domain.subtree(UUID(int=root), children) == expected
