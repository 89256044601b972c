"""Rules of virement, what authority does to lines and nodes, and how releases follow: plain values."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime
from fractions import Fraction
from uuid import UUID, uuid4

import pytest

from services.finance.budget.authority import AuthorityAct, AuthorityBelowZero
from services.finance.budget.changes import domain
from services.finance.budget.changes.domain import Change, ChangeInvalid, ChangeKind, ChangeLine, ChangeStatus
from services.finance.budget.changes.virement import (
    Ban,
    Equal,
    Segment,
    VirementNotAllowed,
    VirementRule,
    VirementRuleConflict,
    VirementShareExceeded,
    admit,
    check_share,
    rule_for,
)
from services.finance.budget.domain import Buckets, Document, DocumentKind, Line, MovementKind, SamePerson
from services.finance.budget.todate import Release, uncovered
from services.finance.classification.fiscal_calendar import CALENDAR_YEAR

AGENCY, MAKER, CHECKER = uuid4(), uuid4(), uuid4()
TODAY = date(2025, 4, 1)
NOW = datetime(2025, 4, 1, 8, tzinfo=UTC)


def a_line(original: int = 1_000, **values) -> Line:
    return Line(
        **{
            "budget_line_id": uuid4(),
            "agency_id": AGENCY,
            "currency": "IDR",
            "fiscal_year": 2025,
            "organisation_code": "1.02.01",
            "account_code": "5.1.02.01.01",
            "original": original,
            **values,
        }
    )


def a_rule(code: str = "DETAIL", **values) -> VirementRule:
    return VirementRule(
        **{
            "virement_rule_id": uuid4(),
            "code": code,
            "from_prefix": "",
            "to_prefix": "",
            "equal": (Equal(Segment.ORGANISATION), Equal(Segment.ACCOUNT, 4)),
            "may_differ": frozenset({Segment.ACCOUNT}),
            "bans": (),
            "share_max": None,
            "approver_role": "finance.budget_authority",
            "legal_source": "a test's own law",
            "valid_from": date(2021, 1, 1),
            "valid_to": None,
            **values,
        }
    )


def an_act(*lines: Line) -> AuthorityAct:
    return AuthorityAct(lines, document=Document(DocumentKind.BUDGET_CHANGE, uuid4(), "CHG/1"), new_id=uuid4)


def a_change(kind: ChangeKind, *lines: ChangeLine, **values) -> Change:
    return Change(
        **{
            "budget_change_id": uuid4(),
            "agency_id": AGENCY,
            "fiscal_year": 2025,
            "kind": kind,
            "document_number": "CHG/1",
            "legal_reference": "Perda 9/2025",
            "explanation": "why",
            "currency": "IDR",
            "effective_on": TODAY,
            "lines": lines,
            "proposed_by": MAKER,
            "proposed_at": NOW,
            **values,
        }
    )


# --- rules -----------------------------------------------------------------------------------------------------


def test_n08_a_tenth_of_the_original_may_leave_gross():
    rule, giving, other = a_rule(share_max=Fraction(1, 10)), a_line(1_000), a_line(1_000, account_code="5.1.02.01.02")
    act = an_act(giving, other)

    def virement(from_line: Line, to_line: Line, amount: int) -> None:
        check_share(rule, act.lines[from_line.budget_line_id], amount)
        act.vire(from_line.budget_line_id, to_line.budget_line_id, amount)

    virement(giving, other, 60)
    virement(other, giving, 30)
    with pytest.raises(VirementShareExceeded) as refusal:
        virement(giving, other, 50)
    virement(giving, other, 40)

    assert refusal.value.metadata["virement_out"] == "IDR 0.60"
    assert act.lines[giving.budget_line_id].revised == 930


def test_the_limit_of_a_share_is_not_rounded_in_anybodys_favour():
    rule, giving = a_rule(share_max=Fraction(1, 10)), a_line(1_005)

    check_share(rule, giving, 100)
    with pytest.raises(VirementShareExceeded):
        check_share(rule, giving, 101)


def test_no_rule_is_not_allowed_and_says_which_segments_differ():
    giving, receiving = a_line(), a_line(organisation_code="1.03.01", program_code="2.01")

    with pytest.raises(VirementNotAllowed) as refusal:
        rule_for([a_rule()], giving, receiving, on=TODAY)

    assert refusal.value.metadata["differing_segments"] == "ORGANISATION,PROGRAM"


def test_a_segment_that_no_rule_mentions_must_be_equal():
    with pytest.raises(VirementNotAllowed):
        rule_for([a_rule()], a_line(location_code="11"), a_line(location_code="12"), on=TODAY)


def test_levels_are_whole_levels():
    giving, receiving = a_line(account_code="5.1.02.01.01"), a_line(account_code="5.1.02.011.01")

    with pytest.raises(VirementNotAllowed):
        rule_for([a_rule()], giving, receiving, on=TODAY)


@pytest.mark.parametrize("turned", [False, True])
def test_the_most_specific_rule_wins_whatever_the_order(turned: bool):
    wide = a_rule("WIDE", equal=(Equal(Segment.ACCOUNT, 3),))
    narrow = a_rule("NARROW", equal=(Equal(Segment.ACCOUNT, 4),))
    whole = a_rule("WHOLE", equal=(Equal(Segment.ACCOUNT),), may_differ=frozenset())
    rules = [wide, narrow, whole][:: -1 if turned else 1]

    assert rule_for(rules, a_line(), a_line(account_code="5.1.02.01.02"), on=TODAY).code == "NARROW"
    assert rule_for(rules, a_line(), a_line(account_code="5.1.02.02.01"), on=TODAY).code == "WIDE"
    assert rule_for(rules, a_line(), a_line(), on=TODAY).code == "WHOLE"


def test_a_rule_for_named_accounts_is_more_specific_than_a_general_one():
    general, special = a_rule("GENERAL", equal=(Equal(Segment.ACCOUNT, 4),)), a_rule("SPECIAL", from_prefix="5.1.02.01")

    assert rule_for([general, special], a_line(), a_line(account_code="5.1.02.01.02"), on=TODAY).code == "SPECIAL"


def test_a_banned_direction_is_refused_although_a_wider_rule_would_allow_it():
    wages = a_rule(
        "WAGES", equal=(), bans=(Ban("5.1.01", ""), Ban("", "5.1.02.04")), from_prefix="5.1", to_prefix="5.1"
    )
    free = a_rule("FREE", equal=())
    wage, goods, travel = (a_line(account_code=code) for code in ("5.1.01.01.01", "5.1.02.01.01", "5.1.02.04.01"))

    with pytest.raises(VirementNotAllowed):
        rule_for([wages, free], wage, goods, on=TODAY)
    with pytest.raises(VirementNotAllowed):
        rule_for([wages, free], goods, travel, on=TODAY)
    assert rule_for([wages, free], travel, goods, on=TODAY).code == "WAGES"


def test_a_rule_holds_from_its_first_day_to_the_day_before_its_last():
    rule = a_rule(valid_from=TODAY, valid_to=date(2025, 5, 1))

    def found(on: date) -> bool:
        try:
            return rule_for([rule], a_line(), a_line(), on=on) is rule
        except VirementNotAllowed:
            return False

    assert [found(date(2025, 3, 31)), found(TODAY), found(date(2025, 4, 30)), found(date(2025, 5, 1))] == [
        False,
        True,
        True,
        False,
    ]


def test_a_rule_that_is_there_is_taken_as_it_is_and_another_content_is_refused():
    rule = a_rule()

    assert admit([a_rule(), a_rule("OTHER")], [rule])[0] == (rule, False)
    with pytest.raises(VirementRuleConflict):
        admit([a_rule(share_max=Fraction(1, 2))], [rule])
    assert admit([a_rule(share_max=Fraction(1, 2), valid_from=date(2030, 1, 1))], [a_rule(valid_to=date(2030, 1, 1))])


# --- authority -------------------------------------------------------------------------------------------------


def a_tree() -> tuple[Line, Line, Line]:
    """A hard stop of 100 over a and b, neither of which is one."""
    node = a_line(100, postable=False)
    a, b = (a_line(amount, parent_id=node.budget_line_id, controlling=False) for amount in (60, 40))
    return node, a, b


def test_f1_a_virement_moves_lines_and_leaves_their_node_where_it_was():
    node, a, b = a_tree()
    act = an_act(node, a, b)

    legs = act.vire(a.budget_line_id, b.budget_line_id, 25)

    assert [act.lines[line.budget_line_id].revised for line in (node, a, b)] == [100, 35, 65]
    assert [(leg.kind, leg.authority) for leg in legs] == [(MovementKind.VIREMENT, -25), (MovementKind.VIREMENT, 25)]
    assert (act.lines[node.budget_line_id].virement_in, act.lines[node.budget_line_id].virement_out) == (25, 25)


def test_a_supplementary_cut_is_stopped_by_the_node_that_has_spent():
    node, a, b = a_tree()
    spent = Buckets(obligated=90)
    act = an_act(node.moved(spent), a.moved(Buckets(obligated=10)), b.moved(Buckets(obligated=80)))

    act.appropriate(a.budget_line_id, -11)

    assert [short.line.budget_line_id for short in act.shortages()] == [node.budget_line_id]


def test_nobody_takes_from_a_line_what_it_has_used_although_its_parent_controls_it():
    node, a, b = a_tree()
    spent = Buckets(obligated=60)
    act = an_act(node.moved(spent), a.moved(spent), b)

    act.vire(a.budget_line_id, b.budget_line_id, 1)

    assert [short.line.budget_line_id for short in act.shortages()] == [a.budget_line_id]


def test_what_is_frozen_is_not_available_and_is_given_free_once():
    line = a_line(100)
    act = an_act(line)

    act.freeze(line.budget_line_id, 70)
    act.freeze(line.budget_line_id, -20)

    assert (act.lines[line.budget_line_id].available, act.lines[line.budget_line_id].frozen) == (50, 50)
    with pytest.raises(AuthorityBelowZero):
        act.freeze(line.budget_line_id, -51)


def test_a_revised_budget_below_zero_is_refused():
    line = a_line(100, controlling=False)

    with pytest.raises(AuthorityBelowZero):
        an_act(line).appropriate(line.budget_line_id, -101)


# --- the document ----------------------------------------------------------------------------------------------


def broken() -> Iterator[Change]:
    line_id, other_id = uuid4(), uuid4()
    yield a_change(ChangeKind.SUPPLEMENTARY, ChangeLine(line_id, 5), legal_reference="")
    yield a_change(ChangeKind.SUPPLEMENTARY)
    yield a_change(ChangeKind.SUPPLEMENTARY, ChangeLine(line_id, 0))
    yield a_change(ChangeKind.SUPPLEMENTARY, ChangeLine(line_id, 5), ChangeLine(line_id, 6))
    yield a_change(ChangeKind.SUPPLEMENTARY, ChangeLine(line_id, 5, from_line_id=other_id))
    yield a_change(ChangeKind.SUPPLEMENTARY, ChangeLine(line_id, 5), effective_on=date(2026, 1, 1))
    yield a_change(ChangeKind.FREEZE, ChangeLine(line_id, -5))
    yield a_change(ChangeKind.VIREMENT, ChangeLine(line_id, 5))
    yield a_change(ChangeKind.VIREMENT, ChangeLine(line_id, -5, from_line_id=other_id))
    yield a_change(ChangeKind.VIREMENT, ChangeLine(line_id, 5, from_line_id=line_id))


@pytest.mark.parametrize("change", list(broken()))
def test_a_change_that_no_budget_could_take_is_refused(change: Change):
    with pytest.raises(ChangeInvalid):
        domain.check_form(change, CALENDAR_YEAR)


def test_a_proposer_recalls_and_another_person_decides_once():
    change = a_change(ChangeKind.FREEZE, ChangeLine(uuid4(), 5))

    for status in (ChangeStatus.APPROVED, ChangeStatus.REJECTED):
        with pytest.raises(SamePerson):
            domain.decide(change, status, by=MAKER, at=NOW)
    with pytest.raises(domain.NotTheProposer):
        domain.decide(change, ChangeStatus.RECALLED, by=CHECKER, at=NOW)
    approved = domain.decide(change, ChangeStatus.APPROVED, by=CHECKER, at=NOW)
    with pytest.raises(domain.ChangeNotProposed):
        domain.decide(approved, ChangeStatus.REJECTED, by=CHECKER, at=NOW)
    assert domain.decide(change, ChangeStatus.RECALLED, by=MAKER, at=NOW).version == 2


# --- releases --------------------------------------------------------------------------------------------------


def shifts_of(change: Change, revised: dict[UUID, int], releases: list[Release]) -> list[tuple[UUID, int, int]]:
    after = {line_id: a_line(amount, budget_line_id=line_id) for line_id, amount in revised.items()}
    giving = next(line.from_line_id or line.budget_line_id for line in change.lines)
    found = domain.release_shifts(change, after, {giving: releases})
    return [(shift.budget_line_id, shift.month_from, shift.amount) for shift in found]


def test_releases_follow_a_virement_by_the_latest_months_first():
    a, b = uuid4(), uuid4()
    change = a_change(ChangeKind.VIREMENT, ChangeLine(b, 350, from_line_id=a))
    releases = [Release(1, 3, 300), Release(4, 6, 300)]

    assert shifts_of(change, {a: 250, b: 350}, releases) == [
        (a, 4, -300),
        (b, 4, 300),
        (a, 1, -50),
        (b, 1, 50),
    ]


def test_releases_stay_where_the_revised_budget_covers_them():
    a, b = uuid4(), uuid4()
    change = a_change(ChangeKind.VIREMENT, ChangeLine(b, 100, from_line_id=a))

    assert shifts_of(change, {a: 900, b: 100}, [Release(1, 3, 900)]) == []


def test_a_supplementary_cut_withdraws_what_was_released_above_it():
    a = uuid4()
    change = a_change(ChangeKind.SUPPLEMENTARY, ChangeLine(a, -100))

    assert shifts_of(change, {a: 500}, [Release(1, 3, 300), Release(4, 6, 300), Release(4, 6, -50)]) == [(a, 4, -50)]


def test_requests_to_date_that_releases_no_longer_cover_are_found():
    assert uncovered([Release(1, 3, 100)], {1: 60, 3: 40}) is None
    short = uncovered([Release(1, 3, 100), Release(3, 3, -10)], {1: 60, 3: 40})
    assert short is not None
    assert (short.month, short.allotted, short.reached) == (3, 90, 100)
