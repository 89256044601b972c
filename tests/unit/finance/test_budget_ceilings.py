"""The rules of ceilings and of versions of budget requests, without a database."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from chassis import country_pack
from chassis.country_pack import PackIncomplete
from chassis.money import AmountOutOfRange
from chassis.settings import ROOT
from services.finance.budget.domain import SamePerson
from services.finance.budget.preparation import domain, pack
from services.finance.budget.preparation.ceilings import domain as ceilings
from services.finance.budget.preparation.ceilings.domain import (
    Ceiling,
    CeilingBelowApproved,
    CeilingExceeded,
    CeilingInvalid,
    CeilingMissing,
    CeilingOutOfOrder,
    CeilingStatus,
    Demand,
    Head,
    Limit,
    Place,
)
from services.finance.budget.preparation.domain import Request, Stage, Version, VersionStatus

AT = datetime(2025, 8, 1, tzinfo=UTC)
JULY, AUGUST, SEPTEMBER = (date(2025, month, 1) for month in (7, 8, 9))
EVERYTHING = Place()
GOODS = Place("1.02.01", "1.02.02", "5.1.02.01.01")
MAKER, REVIEWER, APPROVER = uuid4(), uuid4(), uuid4()


def limit(*amounts: int, place: Place = EVERYTHING, version: int = 1, on: date = JULY) -> Limit:
    """An approved head."""
    return Limit(Head(uuid4(), place, amounts, version), f"PPAS/{version}", on)


def demand(*amounts: int, place: Place = GOODS, request: UUID | None = None, version: int = 1) -> Demand:
    """What a version asks for at one place."""
    request = request or uuid4()
    return Demand(request, version, f"RKA/{str(request)[-4:]}", place, amounts)


def ceiling(*heads: Head, on: date = AUGUST) -> Ceiling:
    """A proposed document."""
    return Ceiling(uuid4(), uuid4(), 2026, "PPAS/9", "KUA-PPAS", "", "IDR", on, heads, MAKER, AT)


def check(limits: list[Limit], asked: list[Demand], others: list[Demand] | None = None, **values: object) -> None:
    """The check of a request of 2026 in rupiah."""
    ceilings.check(limits, asked, others or [], fiscal_year=2026, currency="IDR", **values)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("place", "covers"),
    [
        (Place(), True),
        (Place("1.02"), True),
        (Place("1.02.01"), True),
        (Place("1.0"), False),
        (Place("1.02.01.01"), False),
        (Place("1.02", "", "5.1"), True),
        (Place("1.02", "", "5.10"), False),
        (Place("", "1.02.03"), False),
    ],
)
def test_a_head_covers_what_lies_under_its_codes(place: Place, covers: bool):
    assert place.covers(GOODS) is covers


def test_a_demand_fits_to_the_last_minor_unit_and_not_one_beyond():
    check([limit(100)], [demand(40)], [demand(60)])

    with pytest.raises(CeilingExceeded):
        check([limit(100)], [demand(41)], [demand(60)])


def test_every_head_over_a_demand_binds():
    nested = [limit(1_000), limit(100, place=Place("1.02")), limit(10, place=Place("", "", "5.1"))]

    check(nested, [demand(10)])
    with pytest.raises(CeilingExceeded) as refused:
        check(nested, [demand(11)])

    assert refused.value.metadata["account_code"] == "5.1"


def test_a_demand_under_no_head_is_refused():
    with pytest.raises(CeilingMissing):
        check([limit(100, place=Place("9"))], [demand(1)])


def test_a_year_that_the_ceiling_does_not_limit_is_free():
    check([limit(100)], [demand(100, 999_999)])

    with pytest.raises(CeilingExceeded) as refused:
        check([limit(100, 50)], [demand(100, 51)])

    assert refused.value.metadata["year"] == "2027"


def test_of_two_versions_of_one_request_the_greater_counts_year_by_year():
    request = uuid4()
    demands = [demand(60, 5, request=request), demand(40, 9, request=request, version=2), demand(1, 1)]

    assert ceilings.usage(limit(0, 0).head, demands).amounts == (61, 10)


def test_a_version_that_asks_for_no_more_than_before_can_always_follow_a_lower_ceiling():
    request = uuid4()
    held = [demand(60, request=request)]

    check([limit(50)], [demand(60, request=request, version=2)], held=held)
    with pytest.raises(CeilingExceeded):
        check([limit(50)], [demand(61, request=request, version=2)], held=held)


def test_the_version_of_the_day_binds_and_so_do_those_to_come():
    versions = [limit(100, version=1), limit(80, version=2, on=AUGUST), limit(70, version=3, on=SEPTEMBER)]

    def bound(on: date) -> list[int]:
        return [one.head.amounts[0] for one in ceilings.binding(versions, on=on)]

    assert bound(JULY) == [100, 80, 70]
    assert bound(AUGUST) == [80, 70]
    assert bound(SEPTEMBER) == [70]


def test_a_later_version_of_the_same_day_takes_the_place_of_the_one_before():
    versions = [limit(100, version=1), limit(120, version=2)]

    assert [one.head.amounts[0] for one in ceilings.binding(versions, on=JULY)] == [120]
    assert [one.head.amounts[0] for one in ceilings.binding(versions, on=date(2025, 6, 30))] == [120]


def test_versions_of_a_place_are_numbered_and_their_days_do_not_go_back():
    before = [limit(100, version=1), limit(90, version=2, on=AUGUST)]
    other = Place("1.03")
    document = ceiling(Head(uuid4(), Place(), (80,)), Head(uuid4(), other, (5,)))

    assert [head.version_number for head in ceilings.numbered(document, before).heads] == [3, 1]
    with pytest.raises(CeilingOutOfOrder):
        ceilings.numbered(replace(document, effective_on=JULY), before)


def test_a_ceiling_is_never_below_what_is_approved_under_it():
    document = ceiling(Head(uuid4(), Place(), (59,)))

    ceilings.check_above_approved(document, [demand(59)])
    with pytest.raises(CeilingBelowApproved):
        ceilings.check_above_approved(document, [demand(60)])


@pytest.mark.parametrize(
    "heads",
    [
        (),
        (Head(uuid4(), Place(), (1,)), Head(uuid4(), Place(), (2,))),
        (Head(uuid4(), Place(), (-1,)),),
        (Head(uuid4(), Place(), (1, 1)),),
    ],
    ids=["none", "twice", "negative", "years"],
)
def test_a_ceiling_that_says_nothing_sensible_is_refused(heads: tuple[Head, ...]):
    with pytest.raises(CeilingInvalid):
        ceilings.check_form(ceiling(*heads), medium_term_years=3)


@pytest.fixture
def made_up_pack(tmp_path: Path) -> Iterator[None]:
    """A country whose budget looks three years ahead, and from 2030 on not at all."""
    (tmp_path / "budget_preparation.csv").write_text(
        "rule,value,valid_from,valid_to,legal_source\n"
        "MEDIUM_TERM_YEARS,3,2020-01-01,2030-01-01,none: a test's own\n"
        "MEDIUM_TERM_YEARS,0,2030-01-01,2031-01-01,none: a test's own\n"
    )
    country_pack.choose(tmp_path)
    yield
    country_pack.choose(ROOT / "data" / "id")


def test_how_many_medium_term_years_there_are_is_the_packs(made_up_pack: None):
    assert [pack.medium_term_years(date(year, 1, 1)) for year in (2029, 2030)] == [3, 0]
    with pytest.raises(PackIncomplete):
        pack.medium_term_years(date(2031, 1, 1))


def test_a_pack_with_three_medium_term_years_takes_three_and_no_other_number():
    ceilings.check_form(ceiling(Head(uuid4(), Place(), (1, 2, 3, 4))), medium_term_years=3)
    request = replace(draft(), medium_term_years=3)
    key = domain.LineKey("1.02.01", "", "5.1.02", "", "", "", "", "", 1)

    domain.check_lines(request, [domain.RequestLine(key, "", (1, 2, 3, 4))])
    with pytest.raises(domain.RequestInvalid):
        domain.check_lines(request, [domain.RequestLine(key, "", (1, 2))])


def test_a_ceiling_is_decided_by_another_person_and_recalled_by_its_own():
    document = ceiling(Head(uuid4(), Place(), (1,)))

    assert ceilings.decide(document, CeilingStatus.APPROVED, by=APPROVER, at=AT).status is CeilingStatus.APPROVED
    with pytest.raises(SamePerson):
        ceilings.decide(document, CeilingStatus.APPROVED, by=MAKER, at=AT)
    with pytest.raises(ceilings.NotTheProposer):
        ceilings.decide(document, CeilingStatus.RECALLED, by=APPROVER, at=AT)


def test_whatever_is_let_through_in_whatever_order_never_passes_a_ceiling(seed: int):
    print("seed", seed)
    rng = random.Random(seed)
    limits = [limit(1_000), limit(300, place=Place("1.02")), limit(200, 150, place=Place("", "", "5.1.02"))]
    places = [GOODS, Place("1.03.01", "", "5.1.02.02"), Place("1.02.02", "", "5.2.01")]
    requests = [uuid4() for _ in range(6)]
    standing: dict[UUID, list[Demand]] = {}
    for _ in range(400):
        request = rng.choice(requests)
        held = standing.get(request, [])
        others = [one for key, demands in standing.items() if key != request for one in demands]
        wanted = demand(rng.randint(0, 250), rng.randint(0, 120), place=rng.choice(places), request=request)
        action = rng.random()
        if action < 0.25:
            standing.pop(request, None)
            continue
        wanted = replace(wanted, version_number=len(held) + 1)
        try:
            check(limits, [wanted], others, held=held)
        except CeilingExceeded:
            continue
        # Approved in place of the older ones, or standing beside them.
        standing[request] = [wanted] if action < 0.5 else [*held, wanted]
        everything = [one for demands in standing.values() for one in demands]
        for each in limits:
            used = ceilings.usage(each.head, everything).amounts
            assert all(minor <= ceiling for minor, ceiling in zip(used, each.head.amounts, strict=True))


# --- versions --------------------------------------------------------------------------------------------------


def draft(**values: object) -> Request:
    """A request whose first version has a line."""
    latest = Version(1, Stage.FIRST, frozenset({MAKER}), AT, line_count=1, totals=(10, 5))
    made = Request(uuid4(), uuid4(), 2026, "1.02", "RKA/1", "", "IDR", 1, latest, MAKER, AT)
    return replace(made, latest=replace(latest, **values))  # type: ignore[arg-type]


def test_maker_reviewer_and_approver_are_three_persons():
    submitted = domain.submit(draft(), by=MAKER, at=AT)
    with pytest.raises(SamePerson):
        domain.review(submitted, by=MAKER, at=AT, remark="")

    reviewed = domain.review(submitted, by=REVIEWER, at=AT, remark="")
    for person in (MAKER, REVIEWER):
        with pytest.raises(SamePerson):
            domain.approve(reviewed, by=person, at=AT)

    assert domain.approve(reviewed, by=APPROVER, at=AT).latest.status is VersionStatus.APPROVED


def test_a_submission_is_recalled_by_who_made_it_until_it_is_reviewed():
    submitted = domain.submit(draft(), by=MAKER, at=AT)

    assert domain.recall(submitted, by=MAKER, at=AT, reason="").latest.status is VersionStatus.RECALLED
    with pytest.raises(domain.NotTheProposer):
        domain.recall(submitted, by=REVIEWER, at=AT, reason="")
    with pytest.raises(domain.VersionNotIn):
        domain.recall(domain.review(submitted, by=REVIEWER, at=AT, remark=""), by=MAKER, at=AT, reason="")


def test_whoever_hands_in_what_another_wrote_is_a_maker_too():
    submitted = domain.submit(draft(), by=REVIEWER, at=AT)

    with pytest.raises(SamePerson):
        domain.review(submitted, by=REVIEWER, at=AT, remark="")


@pytest.mark.parametrize(
    "status", [VersionStatus.DRAFT, VersionStatus.SUBMITTED, VersionStatus.REVIEWED, VersionStatus.SUPERSEDED]
)
def test_the_next_version_waits_for_the_one_before_it(status: VersionStatus):
    with pytest.raises(domain.VersionNotIn):
        domain.open_next(draft(status=status), Stage.FINAL, by=MAKER, at=AT)


def test_stages_go_forward_or_stay():
    after = draft(status=VersionStatus.RETURNED, stage=Stage.AFTER_REVIEW)

    assert domain.open_next(after, Stage.AFTER_REVIEW, by=MAKER, at=AT).latest.version_number == 2
    with pytest.raises(domain.StageGoesBack):
        domain.open_next(after, Stage.FIRST, by=MAKER, at=AT)


@pytest.mark.parametrize("status", [one for one in VersionStatus if one is not VersionStatus.APPROVED])
def test_only_what_is_approved_becomes_an_appropriation(status: VersionStatus):
    with pytest.raises(domain.NotFinal):
        domain.appropriate(draft(status=status, stage=Stage.FINAL), uuid4())


def test_an_empty_version_is_not_handed_in():
    with pytest.raises(domain.VersionNotIn):
        domain.submit(draft(line_count=0), by=MAKER, at=AT)


def test_a_version_has_an_end():
    domain.recounted(draft(), domain.LINES_MAX, (1, 1))
    with pytest.raises(domain.VersionTooLong):
        domain.recounted(draft(), domain.LINES_MAX + 1, (1, 1))
    with pytest.raises(AmountOutOfRange):
        domain.recounted(draft(), 2, (2**63, 0))
