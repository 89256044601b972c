"""By which day a payment's step is due, in either country; statements of responsibility; the age of a receipt."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta

import pytest

from chassis import country_pack
from chassis.errors import InvalidArgument
from chassis.settings import ROOT
from services.finance.payables import statements
from services.finance.payables.clocks import pack
from services.finance.payables.clocks.domain import Outcome, Step, days_late
from services.finance.payables.statements import Rule, Statement, StatementMissing
from services.finance.payables.uninvoiced import pack as uninvoiced_pack
from services.finance.payables.uninvoiced.domain import AgeRule

# A Thursday.
DAY = date(2026, 1, 1)
RULE = Rule("statement", "a law, art. 1")


@pytest.fixture
def sembara() -> Iterator[None]:
    country_pack.choose(ROOT / "tests" / "data" / "sembara")
    yield
    country_pack.choose(ROOT / "data" / "id")


def due(step: Step, on: date) -> tuple[date, date]:
    rule = pack.rule(step, on)
    assert rule is not None
    return rule.due_on(on), rule.return_due_on(on)


def test_in_id_a_payment_is_ordered_within_two_days_and_sent_back_within_one():
    # PP 12/2019 art. 149.
    assert due(Step.ORDER, DAY) == (date(2026, 1, 3), date(2026, 1, 2))
    assert due(Step.AUTHORISATION, DAY) == (date(2026, 1, 3), date(2026, 1, 2))


@pytest.mark.usefixtures("sembara")
def test_the_second_country_counts_working_days_and_rests_on_friday_and_saturday():
    # Sunday 4, Monday 5 and Tuesday 6 count.
    assert due(Step.ORDER, DAY) == (date(2026, 1, 6), date(2026, 1, 4))
    assert due(Step.AUTHORISATION, DAY)[0] == date(2026, 1, 8)


def test_no_day_is_set_before_the_law():
    assert pack.rule(Step.ORDER, date(2019, 3, 5)) is None


@pytest.mark.parametrize(
    ("ended", "outcome", "today", "late"),
    [
        (None, None, 2, 0),
        (None, None, 3, 1),
        (2, Outcome.DONE, 9, 0),
        (5, Outcome.DONE, 9, 3),
        (1, Outcome.RETURNED, 9, 0),
        (2, Outcome.RETURNED, 9, 1),
        (2, Outcome.WITHDRAWN, 9, 0),
    ],
)
def test_lateness_is_counted_to_the_end_or_today_and_what_is_sent_back_by_its_own_day(ended, outcome, today, late):
    found = days_late(
        due_on=DAY + timedelta(2),
        return_due_on=DAY + timedelta(1),
        ended_on=None if ended is None else DAY + timedelta(ended),
        outcome=outcome,
        today=DAY + timedelta(today),
    )

    assert found == late


def test_an_authorisation_without_the_needed_statement_says_what_to_give():
    with pytest.raises(StatementMissing, match=r"SHA-256 of the signed file as statement_of_responsibility"):
        statements.check_authorisation("00001/SPP/2026", None, RULE, requested_on=DAY, today=DAY)


@pytest.mark.parametrize("days", [-1, 3])
def test_a_statement_is_signed_between_the_request_and_today(days: int):
    signed = Statement(DAY + timedelta(days), "0" * 64)

    with pytest.raises(InvalidArgument):
        statements.check_authorisation("1", signed, RULE, requested_on=DAY, today=DAY + timedelta(2))


def test_a_request_that_is_dated_ahead_is_stated_from_today_on():
    signed = Statement(DAY, "0" * 64)

    statements.check_authorisation("1", signed, RULE, requested_on=DAY + timedelta(1), today=DAY)


def test_id_needs_a_statement_and_the_second_country_does_not(sembara: None):
    there = statements.needed(DAY)
    country_pack.choose(ROOT / "data" / "id")
    here = statements.needed(DAY)

    assert there is None
    assert here is not None
    assert here.legal_source == "PP 12/2019 art. 149"
    statements.check_authorisation("1", None, there, requested_on=DAY, today=DAY)
    statements.check_order("1", None, there)


def test_an_acceptance_is_an_exception_the_day_after_its_last_day():
    rule = AgeRule(30, "finance.invoice_clerk")

    assert rule.due_on(DAY) == date(2026, 1, 31)
    assert rule.last_day(date(2026, 1, 31)) < DAY
    assert rule.last_day(date(2026, 2, 1)) == DAY


@pytest.mark.usefixtures("sembara")
def test_the_second_country_waits_longer_for_an_invoice():
    assert uninvoiced_pack.rule(DAY) == AgeRule(45, "finance.accountant")
