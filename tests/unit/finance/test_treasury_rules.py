"""The treasury's rules on plain values: what goes into a run, what an answer means, what a statement agrees with."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import date, timedelta
from itertools import product
from uuid import UUID, uuid4

import pytest

from services.finance.treasury import bank_rules, domain
from services.finance.treasury.bank_rules import (
    ACCEPTING,
    PENDING,
    REJECTING,
    Booked,
    LastStatement,
    Outcome,
    PaymentState,
    PossibleOrder,
    Reconciliation,
    Statement,
    Tolerance,
    decide_entry,
    decide_status,
    suggest,
)
from services.finance.treasury.domain import Account, Candidate, NumberKind, OmissionReason, Payee, select

DAY = date(2026, 3, 21)
PAYEE = Payee(uuid4(), Account("CV Maju", "1200000001", NumberKind.LOCAL, None, "008", "IDR"))


def candidate(number: int, amount: int, **values: object) -> Candidate:
    return Candidate(
        **{
            "payment_order_id": UUID(int=number),
            "payment_return_id": None,
            "paying_agency_id": uuid4(),
            "order_number": f"{number:05d}/SP2D/2026",
            "payable": True,
            "in_live_run": False,
            "currency": "IDR",
            "amount": amount,
            "priority": 3,
            "due_on": DAY,
            "creditors": ("S",),
            "payee": PAYEE,
            **values,
        }
    )


def numbers(selection: domain.Selection) -> list[int]:
    return [one.payment_order_id.int for one in selection.included]


# --- runs ------------------------------------------------------------------------------------------------------------


def test_priority_then_due_date_then_number_and_urgent_before_all():
    late, early = DAY + timedelta(1), DAY
    given = [candidate(1, 1, due_on=late), candidate(2, 1), candidate(3, 1, priority=1, due_on=late), candidate(4, 1)]

    plain = select(given, currency="IDR", cash_limit=None)
    urgent = select(given, currency="IDR", cash_limit=None, urgent={UUID(int=1)})

    assert early < late
    assert numbers(plain) == [3, 2, 4, 1]
    assert numbers(urgent) == [1, 3, 2, 4]


def test_a_large_order_that_does_not_fit_lets_smaller_ones_pass_and_is_listed():
    selection = select([candidate(1, 60), candidate(2, 50), candidate(3, 40)], currency="IDR", cash_limit=100)

    assert numbers(selection) == [1, 3]
    assert selection.total == 100
    assert [(one.payment_order_id.int, reason) for one, reason in selection.omitted] == [
        (2, OmissionReason.OVER_CASH_LIMIT)
    ]


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"in_live_run": True}, OmissionReason.IN_ANOTHER_RUN),
        ({"payable": False}, OmissionReason.NOT_PAYABLE),
        ({"currency": "USD"}, OmissionReason.OTHER_CURRENCY),
        ({"amount": 0}, OmissionReason.NOTHING_TO_PAY),
        ({"payee": None}, OmissionReason.NO_PAYEE_ACCOUNT),
        ({"payee": None, "creditors": ("A", "B")}, OmissionReason.SEVERAL_CREDITORS),
    ],
)
def test_why_an_order_never_fits(values: dict[str, object], reason: OmissionReason):
    selection = select([replace(candidate(1, 10), **values)], currency="IDR", cash_limit=None)

    assert [found for _, found in selection.omitted] == [reason]


def test_a_run_is_full_at_its_limit():
    many = [candidate(number, 1) for number in range(domain.INSTRUCTIONS_MAX + 1)]

    selection = select(many, currency="IDR", cash_limit=None)

    assert len(selection.included) == domain.INSTRUCTIONS_MAX
    assert [reason for _, reason in selection.omitted] == [OmissionReason.RUN_FULL]


def test_whatever_is_asked_the_parts_are_the_whole_and_the_limit_holds():
    seed = random.SystemRandom().randrange(10**9)
    print(f"seed {seed}")
    chance = random.Random(seed)
    for _ in range(300):
        given = [candidate(nth, chance.randint(0, 100), priority=chance.randint(1, 3)) for nth in range(20)]
        limit = chance.randint(0, 800)
        selection = select(given, currency="IDR", cash_limit=limit)

        assert selection.total <= limit
        assert len(selection.included) + len(selection.omitted) == len(given)
        left = limit - selection.total
        waiting = [one for one, reason in selection.omitted if reason is OmissionReason.OVER_CASH_LIMIT]
        assert all(one.amount > left for one in waiting), "what would still fit stayed out"


# --- accounts --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("iban", ["GB82WEST12345698765432", "DE89370400440532013000", "SA0380000000608010167519"])
def test_ibans_hold_by_their_check_digits(iban: str):
    account = Account("Name", iban, NumberKind.IBAN, "WESTGB22", None, "IDR")
    domain.check_account(account, "account")
    wrong = iban[:-1] + str((int(iban[-1]) + 1) % 10)

    with pytest.raises(domain.AccountNumberInvalid) as refusal:
        domain.check_account(replace(account, account_number=wrong), "account")

    assert wrong not in refusal.value.message, "account numbers are not repeated in messages"
    assert wrong[-4:] in refusal.value.message


# --- what the bank says ----------------------------------------------------------------------------------------------


def test_a_status_has_one_meaning_in_every_state():
    table = {
        (state, kind): {decide_status(code, state).outcome for code in codes}
        for state, (kind, codes) in product(
            PaymentState, {"accept": ACCEPTING, "pend": PENDING, "reject": REJECTING, "other": {"ZZZZ"}}.items()
        )
    }

    assert all(len(outcomes) == 1 for outcomes in table.values())
    assert {key: outcomes.pop().value for key, outcomes in table.items() if key[1] == "reject"} == {
        (PaymentState.NOT_SENT, "reject"): "CONTRADICTED",
        (PaymentState.OPEN, "reject"): "REJECTED",
        (PaymentState.DEBITED, "reject"): "RETURNED",
        (PaymentState.REJECTED, "reject"): "REPEATED",
        (PaymentState.RETURNED, "reject"): "REPEATED",
    }


def test_only_a_rejection_in_time_or_too_late_has_an_effect_of_money():
    moving = {
        (code, state)
        for code in ACCEPTING | PENDING | REJECTING
        for state in PaymentState
        if decide_status(code, state).outcome in (Outcome.REJECTED, Outcome.RETURNED, Outcome.DEBITED)
    }

    assert moving == {(code, state) for code in REJECTING for state in (PaymentState.OPEN, PaymentState.DEBITED)}


@pytest.mark.parametrize(
    ("debit", "state", "debit_seen", "return_seen", "outcome"),
    [
        (True, PaymentState.OPEN, False, False, Outcome.DEBITED),
        (True, PaymentState.NOT_SENT, False, False, Outcome.DEBITED),
        (True, PaymentState.DEBITED, False, False, Outcome.CONFIRMED),
        (True, PaymentState.DEBITED, True, False, Outcome.CONTRADICTED),
        (True, PaymentState.REJECTED, False, False, Outcome.CONTRADICTED),
        (True, PaymentState.RETURNED, False, False, Outcome.CONFIRMED),
        (True, PaymentState.RETURNED, True, True, Outcome.CONTRADICTED),
        (False, PaymentState.DEBITED, True, False, Outcome.RETURNED),
        (False, PaymentState.RETURNED, True, False, Outcome.CONFIRMED),
        (False, PaymentState.RETURNED, True, True, Outcome.CONTRADICTED),
        (False, PaymentState.OPEN, False, False, Outcome.CONTRADICTED),
        (False, PaymentState.REJECTED, False, False, Outcome.CONTRADICTED),
    ],
)
def test_what_a_booked_entry_means(
    debit: bool, state: PaymentState, debit_seen: bool, return_seen: bool, outcome: Outcome
):
    found = decide_entry(debit=debit, state=state, debit_seen=debit_seen, return_seen=return_seen)

    assert found.outcome is outcome


# --- statements ------------------------------------------------------------------------------------------------------


def booked(amount: int, *, debit: bool = True) -> Booked:
    return Booked(uuid4().hex, debit, amount, "IDR", DAY, DAY, "", "", "", "", "")


def statement(opening: int, closing: int, *entries: Booked, sequence: str | None = None) -> Statement:
    return Statement("S-2", sequence, "IDR", DAY, DAY, opening, closing, entries)


def test_opening_and_entries_come_to_the_closing_balance():
    bank_rules.check_balances(statement(1_000, 700, booked(500), booked(200, debit=False)))

    with pytest.raises(bank_rules.StatementUnbalanced):
        bank_rules.check_balances(statement(1_000, 701, booked(500), booked(200, debit=False)))


@pytest.mark.parametrize(
    ("opening", "sequence", "follows"),
    [
        (700, "8", True),
        (700, "1", True),  # the bank's numbers start again with a year
        (700, None, True),
        (700, "A-8", True),
        (700, "9", False),
        (700, "7", False),
        (701, "8", False),
    ],
)
def test_a_statement_follows_the_one_before_it(opening: int, sequence: str | None, follows: bool):
    last = LastStatement("S-1", "7", 1, DAY, 700)
    this = statement(opening, opening, sequence=sequence)

    if follows:
        bank_rules.check_continuity(this, last)
        bank_rules.check_continuity(this, None)
    else:
        with pytest.raises(bank_rules.StatementGap):
            bank_rules.check_continuity(this, last)


# --- suggestions and reconciliation ----------------------------------------------------------------------------------


def possible(number: int, amount: int, *, days: int = 0, debited: bool = False) -> PossibleOrder:
    return PossibleOrder(
        UUID(int=number), uuid4(), f"{number:05d}/SP2D/2026", amount, DAY - timedelta(days=days), debited
    )


def test_suggestions_are_ranked_by_reference_amount_and_day_within_the_tolerance():
    orders = [
        possible(1, 1_000, days=3),
        possible(2, 1_000, days=1),
        possible(3, 990),
        possible(4, 1_010, days=400),
        possible(5, 1_200),
        possible(6, 1_000, days=40),
        possible(7, 1_000, debited=True),
    ]

    found = suggest(
        debit=True, amount=1_000, on=DAY, text="SP2D 00004/SP2D/2026", orders=orders, tolerance=Tolerance(10, 10)
    )
    back = suggest(debit=False, amount=1_000, on=DAY, text="", orders=orders, tolerance=Tolerance(10, 10))

    assert [one.order.payment_order_id.int for one in found] == [4, 2, 1, 3]
    assert [(one.amount_difference, one.day_distance, one.reference_matches) for one in found][:2] == [
        (-10, 400, True),
        (0, 1, False),
    ]
    assert [one.order.payment_order_id.int for one in back] == [7]


def test_an_order_number_inside_a_longer_one_is_another_order():
    assert bank_rules.names("bayar 00001/SP2D/2026.", "00001/SP2D/2026")
    assert not bank_rules.names("bayar 100001/SP2D/2026", "00001/SP2D/2026")
    assert not bank_rules.names("bayar 00001/SP2D/20261", "00001/SP2D/2026")


def test_books_and_bank_differ_by_what_is_on_one_side_only():
    agreed = Reconciliation(ledger=-300, statement=945, opening=1_000, in_books_only=-200, on_statement_only=45)

    assert agreed.difference == -1_245
    assert agreed.unexplained == 0
    assert replace(agreed, ledger=-299).unexplained == 1
