"""Which combinations may be posted: rules over the public API, judged in every way that lines come into the books.

A rule binds the whole government, so each test makes a small tree of its own and ends its rules behind it.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from typing import Any
from uuid import uuid4

import grpc
import psycopg
import pytest

from chassis.testing import Refusal, call_as, refused
from chassis.wire import to_date
from cli.load.chart import dimension_value
from kelola.finance.v1 import (
    account_pb2,
    budget_change_pb2,
    budget_pb2,
    combination_rule_pb2,
    combination_rule_pb2_grpc,
    ledger_pb2,
)
from tests.integration.finance.books import EXPENSE, FUND, PAYABLE, YEAR, Agency, Books, line, rid, rupiah
from tests.integration.finance.changing import SUPPLEMENTARY, Changing, changed
from tests.integration.finance.funds import GOODS, UNIT, Unit, a_document, activation, an_item, new_line

FIRST = date(2021, 1, 1)
FREE, OTHER_FREE = "1.1.01.07", "7.1.01.01"
ACCOUNT = combination_rule_pb2.CLASSIFICATION_SEGMENT_ACCOUNT
PROGRAM = combination_rule_pb2.CLASSIFICATION_SEGMENT_PROGRAM
FUNCTION = combination_rule_pb2.CLASSIFICATION_SEGMENT_FUNCTION
BELOW = combination_rule_pb2.COMBINATION_EFFECT_MUST_BE_BELOW
NOT_BELOW = combination_rule_pb2.COMBINATION_EFFECT_MUST_NOT_BE_BELOW
GIVEN = combination_rule_pb2.COMBINATION_EFFECT_MUST_BE_GIVEN
EMPTY = combination_rule_pb2.COMBINATION_EFFECT_MUST_BE_EMPTY
ANY = combination_rule_pb2.COMBINATION_EFFECT_UNRESTRICTED


@dataclass
class Rules:
    """Rules of one test, over a programme tree of its own: `<top>`, `<top>.1`, `<top>.1.1`, `<top>.1.2`, `<top>.2`."""

    books: Books
    made: list[combination_rule_pb2.CombinationRule] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.top = f"P{uuid4().hex[:8]}"
        self.stub = combination_rule_pb2_grpc.CombinationRuleServiceStub(self.books.service.channel)
        self.token = self.books.token([uuid4()])
        values = [
            dimension_value("PROGRAM", code, code, FIRST, code.rpartition(".")[0])
            for code in (self.at(), self.at("1"), self.at("1.1"), self.at("1.2"), self.at("2"))
        ]
        request = account_pb2.BatchCreateDimensionValuesRequest(dimension_values=values, request_id=rid())
        call_as(self.books.accounts.BatchCreateDimensionValues, request, self.token)

    def at(self, below: str = "") -> str:
        """A code of the tree."""
        return f"{self.top}.{below}" if below else self.top

    def message(self, segment: int, effect: int, *codes: str, **values: Any) -> combination_rule_pb2.CombinationRule:
        """A rule that binds lines whose programme is the top of the tree or below."""
        return combination_rule_pb2.CombinationRule(
            **{
                "code": f"R{uuid4().hex[:8]}",
                "conditions": [condition(PROGRAM, self.at())],
                "segment": segment,
                "effect": effect,
                "codes": codes,
                "legal_source": "Perda 1/2025 art. 3",
                "explanation": "a test's rule",
                "valid_from": to_date(date(YEAR, 1, 1)),
                **values,
            }
        )

    def request(
        self, *rules: combination_rule_pb2.CombinationRule
    ) -> combination_rule_pb2.BatchCreateCombinationRulesRequest:
        return combination_rule_pb2.BatchCreateCombinationRulesRequest(combination_rules=rules, request_id=rid())

    def make(
        self, *rules: combination_rule_pb2.CombinationRule
    ) -> combination_rule_pb2.BatchCreateCombinationRulesResponse:
        """Rules in force; they must pass."""
        reply = call_as(self.stub.BatchCreateCombinationRules, self.request(*rules), self.token)
        self.made.extend(reply.combination_rules)
        return reply

    def rule(self, segment: int, effect: int, *codes: str, **values: Any) -> combination_rule_pb2.CombinationRule:
        return self.make(self.message(segment, effect, *codes, **values)).combination_rules[0]

    def refused(self, *rules: combination_rule_pb2.CombinationRule) -> Refusal:
        return refused(self.stub.BatchCreateCombinationRules, self.request(*rules), self.token)

    def end(self, rule: combination_rule_pb2.CombinationRule, valid_to: date) -> combination_rule_pb2.CombinationRule:
        request = combination_rule_pb2.EndCombinationRuleRequest(
            name=rule.name, valid_to=to_date(valid_to), request_id=rid()
        )
        return call_as(self.stub.EndCombinationRule, request, self.token).combination_rule


def condition(segment: int, code: str) -> combination_rule_pb2.CombinationCondition:
    return combination_rule_pb2.CombinationCondition(segment=segment, code=code)  # type: ignore[arg-type]  # an enum's number


@pytest.fixture
def rules(books: Books) -> Iterator[Rules]:
    made = Rules(books)
    yield made
    # The trees of other tests are their own, but a rule that is left costs each of their postings a look.
    with psycopg.connect(books.superuser_url, autocommit=True) as connection:
        ids = [one.combination_rule_id for one in made.made]
        connection.execute("delete from combination_rule where combination_rule_id = any (%s::uuid[])", (ids,))


def entry(agency: Agency, **segments: str) -> ledger_pb2.JournalEntry:
    """A manual entry without funds whose first line has these segments."""
    return agency.entry(line(FREE, 5, **segments), line(OTHER_FREE, None, 5))


def test_a_rule_forbids_what_it_says_and_names_itself(rules: Rules, agency: Agency):
    made = rules.rule(FUNCTION, BELOW, "01")

    why = agency.refused(entry(agency, program_code=rules.at("1.1"), function_code="02.01"))

    assert (why.code.name, why.reason) == ("FAILED_PRECONDITION", "COMBINATION_FORBIDDEN")
    assert {name: why.metadata[name] for name in ("rule", "legal_source", "segment", "found", "line_no", "codes")} == {
        "rule": made.code,
        "legal_source": "Perda 1/2025 art. 3",
        "segment": "FUNCTION",
        "found": "02.01",
        "line_no": "1",
        "codes": "01",
    }
    assert "FUNCTION must lie below 01 and is 02.01" in why.message
    agency.post(entry(agency, program_code=rules.at("1.1"), function_code="01.08"))
    # Another subtree is not bound.
    agency.post(entry(agency, function_code="02.01"))


@pytest.mark.parametrize(
    ("effect", "codes", "passes", "fails"),
    [
        (BELOW, ["01", "02"], ["01", "02.01"], ["", "07"]),
        (NOT_BELOW, ["01"], ["", "07", "02.01"], ["01", "01.08"]),
        (GIVEN, [], ["01"], [""]),
        (EMPTY, [], [""], ["01"]),
        (ANY, [], ["", "01"], []),
    ],
)
def test_each_effect_lets_through_and_stops(
    rules: Rules, agency: Agency, effect: int, codes: list[str], passes: list[str], fails: list[str]
):
    rules.rule(FUNCTION, effect, *codes)

    for code in passes:
        agency.post(entry(agency, program_code=rules.at("2"), function_code=code))
    for code in fails:
        why = agency.refused(entry(agency, program_code=rules.at("2"), function_code=code))
        assert why.reason == "COMBINATION_FORBIDDEN"


def test_a_more_specific_rule_sets_a_wider_one_aside(rules: Rules, agency: Agency):
    rules.rule(FUNCTION, BELOW, "01")
    rules.rule(FUNCTION, BELOW, "02", conditions=[condition(PROGRAM, rules.at("1"))])
    rules.rule(FUNCTION, ANY, conditions=[condition(PROGRAM, rules.at("1")), condition(ACCOUNT, OTHER_FREE)])

    agency.post(entry(agency, program_code=rules.at("2"), function_code="01"))
    agency.post(entry(agency, program_code=rules.at("1.1"), function_code="02.01"))
    why = agency.refused(entry(agency, program_code=rules.at("1.1"), function_code="01"))
    assert why.metadata["codes"] == "02"
    # On the other account nothing is asked below the middle, and the widest rule holds at the other branch.
    free = {"program_code": rules.at("1.2"), "function_code": "07"}
    agency.post(agency.entry(line(FREE, 5), line(OTHER_FREE, None, 5, **free)))
    bound = {"program_code": rules.at("2"), "function_code": "07"}
    assert agency.refused(agency.entry(line(FREE, 5), line(OTHER_FREE, None, 5, **bound))).metadata["line_no"] == "2"


def test_rules_that_are_not_more_specific_than_each_other_hold_together(rules: Rules, agency: Agency):
    rules.rule(FUNCTION, GIVEN)
    rules.rule(FUNCTION, NOT_BELOW, "02", conditions=[condition(ACCOUNT, FREE), condition(PROGRAM, rules.at("1"))])
    # Wider in the programme, narrower in the account: neither sets the other aside.
    rules.rule(FUNCTION, NOT_BELOW, "03", conditions=[condition(PROGRAM, rules.at("1.1"))])

    assert agency.refused(entry(agency, program_code=rules.at("1.1"), function_code="02")).reason
    assert agency.refused(entry(agency, program_code=rules.at("1.1"), function_code="03")).reason
    assert agency.refused(entry(agency, program_code=rules.at("2"))).metadata["effect"] == "MUST_BE_GIVEN"
    agency.post(entry(agency, program_code=rules.at("1.1")))


def test_the_accounting_day_decides_whether_a_rule_binds(rules: Rules, agency: Agency):
    made = rules.rule(FUNCTION, GIVEN, valid_from=to_date(date(YEAR, 3, 1)))
    bare = {"program_code": rules.at()}

    for day, passes in ((date(YEAR, 2, 28), True), (date(YEAR, 3, 1), False)):
        wanted = agency.entry(line(FREE, 5, **bare), line(OTHER_FREE, None, 5), on=day)
        assert (agency.post if passes else agency.refused)(wanted)
    ended = rules.end(made, date(YEAR, 4, 1))
    assert ended.valid_to == to_date(date(YEAR, 4, 1))
    agency.post(agency.entry(line(FREE, 5, **bare), line(OTHER_FREE, None, 5), on=date(YEAR, 4, 1)))
    agency.refused(agency.entry(line(FREE, 5, **bare), line(OTHER_FREE, None, 5), on=date(YEAR, 3, 31)))


def test_what_stands_in_the_books_is_taken_back_whatever_rule_came_since(rules: Rules, agency: Agency):
    posted = agency.post(entry(agency, program_code=rules.at("2")))
    rules.rule(FUNCTION, GIVEN)

    agency.refused(entry(agency, program_code=rules.at("2")))
    agency.reverse(posted)


def test_what_the_engine_adds_between_funds_is_nobodys_choice(rules: Rules, agency: Agency):
    value = dimension_value("FUND", rules.top, rules.top, FIRST)
    request = account_pb2.BatchCreateDimensionValuesRequest(dimension_values=[value], request_id=rid())
    call_as(rules.books.accounts.BatchCreateDimensionValues, request, rules.token)
    lines = line(OTHER_FREE, 5, fund_code=rules.top), line(FREE, None, 5)
    rules.rule(PROGRAM, GIVEN, conditions=[condition(ACCOUNT, "1.1.13")])

    posted = agency.post(agency.entry(*lines, fund_balancing=ledger_pb2.FUND_BALANCING_DUE))

    assert [one.account_code for one in posted.lines] == [OTHER_FREE, FREE, "1.1.13.90", "3.1.03.90"]


def test_single_calls_a_batch_and_a_stream_have_the_same_verdicts(rules: Rules, agency: Agency):
    seed = random.randrange(10**6)
    print(f"seed {seed}")
    chance = random.Random(seed)
    rules.rule(FUNCTION, BELOW, "01", "02")
    rules.rule(FUNCTION, EMPTY, conditions=[condition(PROGRAM, rules.at("1.2"))])
    entries = [
        entry(
            agency,
            program_code=chance.choice(["", rules.at(), rules.at("1"), rules.at("1.1"), rules.at("1.2")]),
            function_code=chance.choice(["", "01", "01.08", "02.01", "07"]),
        )
        for _ in range(60)
    ]

    single = [_one(agency, one) for one in entries]
    batch = call_as(
        agency.books.ledger.BatchCreateJournalEntries,
        ledger_pb2.BatchCreateJournalEntriesRequest(
            agency_id=str(agency.agency_id), journal_entries=entries, request_id=rid()
        ),
        agency.accountant,
    )
    stream = call_as(
        agency.books.ledger.ImportJournalEntries,
        iter([ledger_pb2.ImportJournalEntriesRequest(journal_entry=one, request_id=rid()) for one in entries]),
        agency.accountant,
    )

    expected = [_allowed(rules, one.lines[0]) for one in entries]
    assert single == expected
    assert [result.HasField("journal_entry") for result in batch.results] == expected
    refused_at = {refusal.position for refusal in stream.refusals}
    assert [position not in refused_at for position in range(1, 61)] == expected
    assert {True, False} == set(expected)


def _one(agency: Agency, wanted: ledger_pb2.JournalEntry) -> bool:
    request = ledger_pb2.CreateJournalEntryRequest(journal_entry=wanted, request_id=rid())
    try:
        call_as(agency.books.ledger.CreateJournalEntry, request, agency.accountant)
    except grpc.RpcError:
        return False
    return True


def _allowed(rules: Rules, one: ledger_pb2.JournalLine) -> bool:
    """What the two rules say, in other words."""
    if not one.program_code:
        return True
    if one.program_code == rules.at("1.2"):
        return one.function_code == ""
    return one.function_code.split(".")[0] in ("01", "02")


def test_a_rule_about_a_code_that_is_not_there_is_refused(rules: Rules):
    why = rules.refused(rules.message(FUNCTION, BELOW, "01", "no such function"))

    assert why.reason == "SEGMENT_UNKNOWN"
    assert why.metadata["codes"] == f"FUNCTION no such function on {YEAR}-01-01"


def test_a_loader_may_run_again_and_a_code_says_one_thing(rules: Rules):
    wanted = rules.message(FUNCTION, GIVEN)
    first = rules.make(wanted)

    again = rules.make(wanted)
    why = rules.refused(rules.message(FUNCTION, EMPTY, code=wanted.code))

    assert (again.existing_count, again.combination_rules[0].name) == (1, first.combination_rules[0].name)
    assert why.reason == "CLASSIFICATION_CONFLICT"


def test_rules_are_shown_one_by_one_and_by_the_page(rules: Rules):
    made = rules.rule(FUNCTION, BELOW, "01", valid_to=to_date(date(YEAR, 7, 1)))

    got = call_as(
        rules.stub.GetCombinationRule, combination_rule_pb2.GetCombinationRuleRequest(name=made.name), rules.token
    )
    listed = combination_rule_pb2.ListCombinationRulesRequest(
        valid_on=to_date(date(YEAR, 6, 30)), segment=FUNCTION, page_size=500
    )
    shown = call_as(rules.stub.ListCombinationRules, listed, rules.token).combination_rules
    listed.valid_on.CopyFrom(to_date(date(YEAR, 7, 1)))
    later = call_as(rules.stub.ListCombinationRules, listed, rules.token).combination_rules

    assert got == made
    assert made in shown
    assert made not in later


def test_a_rule_is_told_when_it_is_made_and_when_it_ends(rules: Rules, agency: Agency):
    made = rules.rule(FUNCTION, GIVEN)
    rules.end(made, date(YEAR, 6, 1))

    query = "select array_agg(sequence order by sequence) from outbox where key = %s and type like %s"
    (told,) = agency.row(query, made.combination_rule_id, "%CombinationRuleChanged")
    assert told == [1, 2]


# --- budget lines --------------------------------------------------------------------------------------------------


@pytest.fixture
def unit(books: Books) -> Unit:
    return Unit(books)


def test_a_budget_line_with_a_forbidden_combination_is_not_imported(rules: Rules, unit: Unit):
    rules.rule(FUNCTION, BELOW, "01")
    lines = [new_line(100), new_line(100, line_no=2, program_code=rules.at("1"), function_code="07")]

    why = refused(unit.budget.ImportAppropriation, unit.import_request(lines), unit.token("budget_officer"))

    assert (why.reason, why.message.split(":")[0]) == ("COMBINATION_FORBIDDEN", "lines[1]")


def test_a_draft_comes_into_force_under_the_rules_of_that_day(rules: Rules, unit: Unit):
    lines = [new_line(100), new_line(100, line_no=2, program_code=rules.at("1"), function_code="07")]
    draft = call_as(unit.budget.ImportAppropriation, unit.import_request(lines), unit.token("budget_officer"))
    made = rules.rule(FUNCTION, BELOW, "01", valid_from=to_date(date(YEAR - 1, 7, 1)))

    why = refused(unit.budget.ActivateAppropriation, activation(draft.appropriation), unit.token("budget_authority"))
    rules.end(made, date(YEAR, 1, 1))
    unit.activated(draft.appropriation)

    assert why.reason == "COMBINATION_FORBIDDEN"
    assert why.message.startswith(f"budget line {draft.budget_line_ids[1]}: ")
    shown = call_as(
        unit.budget.GetBudgetLine,
        budget_pb2.GetBudgetLineRequest(name=f"budgetLines/{draft.budget_line_ids[1]}"),
        unit.token("budget_officer"),
    )
    assert shown.status == budget_pb2.BUDGET_LINE_STATUS_ACTIVE


def test_what_is_posted_on_a_budget_line_has_that_lines_segments(rules: Rules, unit: Unit):
    lines = [new_line(100, program_code=rules.at("1"), function_code="07")]
    draft = call_as(unit.budget.ImportAppropriation, unit.import_request(lines), unit.token("budget_officer"))
    unit.activated(draft.appropriation)
    (line_id,) = draft.budget_line_ids
    rules.rule(FUNCTION, BELOW, "01", conditions=[condition(PROGRAM, rules.at()), condition(ACCOUNT, "8")])
    tag = {"budget_line_id": line_id}

    # The document that accrues an expense on it, and a clerk's entry, alike.
    why = unit.agency.refused(unit.agency.entry(line(EXPENSE, 5, **tag), line(PAYABLE, None, 5, **tag)))

    assert (why.reason, why.metadata["line_no"]) == ("COMBINATION_FORBIDDEN", "1")
    assert "PROGRAM" in why.metadata["segments"]


def test_a_documents_own_posting_is_judged_too(rules: Rules, unit: Unit):
    lines = [new_line(100, program_code=rules.at("1"), function_code="07")]
    draft = call_as(unit.budget.ImportAppropriation, unit.import_request(lines), unit.token("budget_officer"))
    unit.activated(draft.appropriation)
    (line_id,) = draft.budget_line_ids
    service = a_document(budget_pb2.FUNDS_DOCUMENT_KIND_SERVICE_ACCEPTANCE)
    order = an_item(line_id, 10)
    unit.did("ObligateFunds", [order], document=a_document(budget_pb2.FUNDS_DOCUMENT_KIND_PURCHASE_ORDER))
    rules.rule(FUNCTION, BELOW, "01", conditions=[condition(PROGRAM, rules.at()), condition(ACCOUNT, "8")])

    item = an_item(line_id, 10, liquidates_document_line_id=order.document_line_id)
    why = unit.refused("ExpendFunds", [item], by="budget_user", document=service)

    assert why.reason == "COMBINATION_FORBIDDEN"


def test_a_budget_change_brings_in_no_line_with_a_forbidden_combination(rules: Rules, books: Books):
    unit = Changing(books)
    (line_id,) = unit.lines(1_000)
    rules.rule(FUNCTION, BELOW, "01")

    def supplementary(function_code: str) -> Any:
        new = budget_change_pb2.NewBudgetLine(
            fund_code=FUND,
            organisation_code=UNIT,
            account_code=GOODS,
            line_no=9,
            program_code=rules.at("1"),
            function_code=function_code,
        )
        added = budget_change_pb2.BudgetChangeLine(new_line=new, amount=rupiah(1))
        return unit.change(SUPPLEMENTARY, lines=[changed(line_id, 1), added])

    why = unit.not_proposed(supplementary("07"))

    # The place is that of the change's own lines.
    assert (why.reason, why.message.split(":")[0]) == ("COMBINATION_FORBIDDEN", "lines[1]")
    unit.proposed(supplementary("01.08"))
