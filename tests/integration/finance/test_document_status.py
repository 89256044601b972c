"""Every document answers where it is, who has it, since when, what next; and everybody sees what waits for him."""

from __future__ import annotations

import shutil
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import grpc
import psycopg
import pytest
from sqlalchemy import create_engine
from sqlalchemy.pool import NullPool

from chassis import migrate
from chassis.local.databases import ServiceDatabase, prepare
from chassis.local.postgres import PostgresServer
from chassis.local.services import upgrade
from chassis.migrate import sqlalchemy_url
from chassis.testing import call_as, refused
from kelola.finance.v1 import document_status_pb2, payables_pb2
from kelola.logistics.v1 import catalog_pb2
from services.finance.documents import verify
from services.finance.tables import FinanceTable
from tests.integration.finance.bank import Bank
from tests.integration.finance.books import Books, rid
from tests.integration.finance.changing import SUPPLIES, Changing
from tests.integration.finance.funds import Unit
from tests.integration.finance.preparing import Preparing
from tests.integration.finance.purchase import Purchase
from tests.integration.finance.routing import CHIEF, HEAD, Routes, under
from tests.integration.finance.test_imprest import Cash

OFFICE, INSURANCE = "5.1.02.02.04", "5.1.02.02.05"
RESCUE = "5.2.02.14"


@pytest.fixture
def unit(books: Books) -> Changing:
    return Changing(books)


def bought(unit: Unit, account: str = RESCUE) -> tuple[Purchase, payables_pb2.Invoice]:
    (line,) = unit.lines(6_000_000, account=account)
    unit.allotted()
    purchase = Purchase(unit, line, 10, 50_000, treatment=catalog_pb2.GOODS_TREATMENT_ASSET).issued()
    return purchase, purchase.invoiced(10, 50_000)


def test_a_document_without_a_route_says_where_it_is_and_who_has_it(unit: Changing):
    a, b = unit.lines_of((SUPPLIES, 100), ("5.1.02.01.02", 100))
    here = Routes.of(unit)
    before = datetime.now(UTC)

    change = unit.proposed(unit.transfer(a, b, 10))
    status = here.status(change.budget_change_id)

    assert (status.status, status.document_name, status.document_number) == (
        "PROPOSED",
        change.name,
        change.document_number,
    )
    assert abs(status.since.ToDatetime(UTC) - before) < timedelta(minutes=1)
    (holder,) = status.holders
    assert holder.display_name == "ApproveBudgetChange"
    assert set(holder.roles) == {CHIEF, "finance.budget_user", "finance.regional_secretary"}
    assert list(holder.excluded_person_ids) == [str(unit.persons["budget_officer"])]
    assert [act.rpc for act in status.next_acts] == [
        "ApproveBudgetChange",
        "RejectBudgetChange",
        "RecallBudgetChange",
    ]
    assert not status.HasField("approval")


def test_the_history_tells_who_did_what_when_and_why_also_on_the_route(unit: Changing):
    here = Routes.of(unit)
    rule = here.rule("VIREMENT", HEAD, nodes=under(account="5.1.02.02"), display_name="Legal office")
    a, b = unit.lines_of((OFFICE, 100), (INSURANCE, 100))
    change = unit.proposed(unit.transfer(a, b, 10))
    approver = uuid4()
    here.approved(change.budget_change_id, here.token(HEAD, person_id=approver))
    unit.approved(change)
    here.ended(rule)

    acts = here.history(change.budget_change_id).document_acts
    first = here.history(change.budget_change_id, page_size=2)
    rest = here.history(change.budget_change_id, page_size=2, page_token=first.next_page_token)

    assert [(act.act, act.approval_step, act.person_id, act.status_before, act.status) for act in acts] == [
        ("CreateBudgetChange", "", str(unit.persons["budget_officer"]), "", "PROPOSED"),
        ("ApproveStep", "Legal office", str(approver), "", ""),
        ("ApproveBudgetChange", "", str(unit.persons["budget_authority"]), "PROPOSED", "APPROVED"),
    ]
    assert acts[0].reason == "a test's change"
    assert [*first.document_acts, *rest.document_acts] == list(acts)
    assert here.status(change.budget_change_id).holders == []


def test_what_the_service_does_by_itself_is_in_the_history_too(unit: Changing):
    here = Routes.of(unit)
    purchase, invoice = bought(unit)
    waiting = here.status(invoice.invoice_id)
    purchase.accepted(10)

    acts = here.history(invoice.invoice_id).document_acts

    assert (waiting.status, list(waiting.holders)) == ("WAITING_RECEIPT", [])
    assert [(act.act, act.status) for act in acts] == [
        ("CreateInvoice", "HELD"),
        ("CreateInvoice", "WAITING_RECEIPT"),
        ("test", "MATCHED"),
    ]
    assert acts[-1].person_id == ""


def test_a_payment_is_followed_from_the_invoice_to_the_run(books: Books):
    unit = Unit(books)
    bank = Bank(unit)
    here = Routes.of(unit)
    purchase, invoice = bought(unit)
    purchase.accepted(10)
    payable = purchase.approved(purchase.seen(invoice))
    asked_for = here.status(invoice.invoice_id)
    bank.payee(payable.creditor)
    order = unit.ordered([payable.payable_id])
    run = bank.run(order)
    run_reader = here.token("finance.treasury_head")

    of_invoice = here.status(invoice.invoice_id)
    of_request = here.status(of_invoice.carried_by.rpartition("/")[2])
    of_order = here.status(of_request.carried_by.rpartition("/")[2], here.token("finance.treasurer"))
    of_run = here.status(of_order.carried_by.rpartition("/")[2], run_reader)

    assert [holder.display_name for holder in asked_for.holders] == ["CreatePaymentRequest"]
    assert (of_invoice.status, list(of_invoice.holders)) == ("APPROVED", [])
    assert (of_request.status, of_order.status, of_run.status) == ("ORDERED", "ISSUED", "DRAFT")
    assert of_run.document_name == run.name
    assert [holder.display_name for holder in of_run.holders] == ["ApprovePaymentRun"]


def test_the_steps_of_a_payment_request_keep_their_persons_apart(books: Books):
    unit = Unit(books)
    here = Routes.of(unit)
    purchase, invoice = bought(unit)
    purchase.accepted(10)
    request = unit.requested([purchase.approved(purchase.seen(invoice)).payable_id])

    (verifier,) = here.status(request.payment_request_id).holders
    call_as(
        unit.payables.VerifyPaymentRequest,
        payables_pb2.VerifyPaymentRequestRequest(name=request.name, request_id=rid()),
        unit.token("verifier"),
    )
    (authoriser,) = here.status(request.payment_request_id).holders

    assert verifier.display_name == "VerifyPaymentRequest"
    assert set(authoriser.excluded_person_ids) == {
        str(unit.persons["expenditure_treasurer"]),
        str(unit.persons["verifier"]),
    }


def test_a_purchase_from_an_imprest_is_with_its_holder(books: Books):
    unit = Unit(books)
    cash = Cash(unit, 300).opened()
    voucher = cash.approved(50)
    here = Routes.of(unit)

    (holder,) = here.status(voucher.imprest_voucher_id).holders

    assert holder.display_name == "PayImprestVoucher"
    assert list(holder.only_person_ids) == [str(unit.persons["expenditure_treasurer"])]
    assert voucher.imprest_voucher_id in here.desk(cash.holder)
    assert voucher.imprest_voucher_id not in here.desk(here.token("finance.expenditure_treasurer"))


def test_a_budget_request_stands_where_its_latest_version_stands(books: Books):
    unit = Preparing(books)
    here = Routes.of(unit)
    request = unit.opened()

    status = here.status(request.budget_request_id)

    assert (status.status, status.document_number) == ("DRAFT", request.document_number)
    assert {holder.display_name for holder in status.holders} == {"SetBudgetRequestLines", "SubmitBudgetRequest"}


def test_a_desk_holds_what_waits_for_a_person_and_nothing_that_he_may_not_do(unit: Changing):
    a, b = unit.lines_of((SUPPLIES, 100), ("5.1.02.01.02", 100))
    here = Routes.of(unit)
    ids = [unit.proposed(unit.transfer(a, b, 1)).budget_change_id for _ in range(5)]
    both = here.token("finance.budget_officer", CHIEF, person_id=unit.persons["budget_officer"])

    of_the_authority = here.desk(unit.token("budget_authority"), page_size=2)
    of_the_maker = here.desk(both)
    made = here.desk(both, made_by_caller=True)
    of_a_clerk = here.desk(unit.token("invoice_clerk"))
    of_another_kind = here.desk(
        unit.token("budget_authority"), document_kind=document_status_pb2.DOCUMENT_KIND_BUDGET_OVERRIDE
    )

    assert of_the_authority == ids
    assert of_the_maker == []
    assert made == ids
    assert of_a_clerk == of_another_kind == []


def test_with_a_route_a_document_is_on_the_desk_of_the_step_and_then_of_who_puts_it_in_force(unit: Changing):
    here = Routes.of(unit)
    rule = here.rule("VIREMENT", HEAD, nodes=under(account="5.1.02.02"), step_number=1)
    a, b = unit.lines_of((OFFICE, 100), (INSURANCE, 100))
    change = unit.proposed(unit.transfer(a, b, 10))
    here.ended(rule)
    head = uuid4()
    as_head, as_both = here.token(HEAD, person_id=head), here.token(CHIEF, person_id=head)

    first = (here.desk(as_head), here.desk(unit.token("budget_authority")))
    here.approved(change.budget_change_id, as_head)
    then = (here.desk(as_head), here.desk(unit.token("budget_authority")), here.desk(as_both))

    assert first == ([change.budget_change_id], [])
    assert then == ([], [change.budget_change_id], [])


def test_who_may_not_read_a_document_does_not_read_its_status(books: Books):
    unit = Unit(books)
    bank = Bank(unit)
    account = bank.did("CreatePayeeAccount", bank.payee_account(str(uuid4())), "treasurer")
    here = Routes.of(unit)
    get = document_status_pb2.GetDocumentStatusRequest(name=f"documentStatuses/{account.payee_account_id}")
    acts = document_status_pb2.ListDocumentActsRequest(document_status=get.name)

    without = here.token("finance.budget_officer")
    elsewhere = books.token([uuid4()], "finance.treasurer")
    denied = [
        refused(here.statuses.GetDocumentStatus, get, without),
        refused(here.statuses.ListDocumentActs, acts, without),
    ]
    unseen = [
        refused(here.statuses.GetDocumentStatus, get, elsewhere),
        refused(here.statuses.ListDocumentActs, acts, elsewhere),
    ]

    assert {one.code for one in denied} == {grpc.StatusCode.PERMISSION_DENIED}
    assert {one.metadata["permission"] for one in denied} == {"finance.payee_account.read"}
    assert {one.code for one in unseen} == {grpc.StatusCode.NOT_FOUND}


def test_verify_finds_a_document_that_left_control(books: Books):
    """D1 to D3, each by a hand in the database, which no RPC could be."""
    unit = Changing(books)
    here = Routes.of(unit)
    rule = here.rule("VIREMENT", HEAD, nodes=under(account="5.1.02.02"))
    a, b = unit.lines_of((OFFICE, 100), (INSURANCE, 100))
    change = unit.proposed(unit.transfer(a, b, 10))
    here.ended(rule)
    here.approved(change.budget_change_id, here.token(HEAD, person_id=unit.persons["verifier"]))
    unit.approved(change)
    whole = problems(books, change.budget_change_id)

    hands = {
        "D1": "update document_state set status = 'PROPOSED' where document_id = %s",
        "D2": "update document_state set persons = persons || jsonb_build_object('decided', jsonb_build_array('{}'))"
        " where document_id = %s".format(unit.persons["verifier"]),
        "D3": "update approval set status = 'PENDING' where approval_id = %s",
    }
    found = {}
    for name, hand in hands.items():
        with psycopg.connect(books.superuser_url, autocommit=True) as connection:
            connection.execute(hand, (change.budget_change_id,))
            found[name] = problems(books, change.budget_change_id)
            connection.execute(
                "update document_state set status = 'APPROVED', persons = jsonb_set(persons, '{decided}', %s::jsonb)"
                " where document_id = %s",
                (f'["{unit.persons["budget_authority"]}"]', change.budget_change_id),
            )
            connection.execute(
                "update approval set status = 'APPROVED' where approval_id = %s", (change.budget_change_id,)
            )

    assert whole == []
    assert found == {"D1": ["D1"], "D2": ["D2"], "D3": ["D3"]}


def problems(books: Books, document_id: str) -> list[str]:
    """The invariants that a document breaks."""
    engine = create_engine(sqlalchemy_url(books.database.reader_url), poolclass=NullPool)
    with engine.connect() as connection:
        return [one.invariant for one in verify.problems(connection) if document_id in one.what]


def migrated_before(database: ServiceDatabase, revision: str, folder: Path) -> None:
    """Bring a database to the revision before one, `0017_…` for instance."""
    revisions = Path(str(sys.modules[FinanceTable.__module__].__file__)).parent / "migrations"
    for one in revisions.iterdir():
        if one.is_file() and one.name < revision:
            shutil.copy(one, folder / one.name)
    migrate.run(database.settings(), FinanceTable, migrations=folder)


def _name_the_nodes(connection: psycopg.Connection[tuple[object, ...]]) -> None:
    """The codes for which the rules hold are in their trees, else they are not migrated."""
    connection.execute(
        "insert into dimension_value (dimension_value_id, kind, code, parent_code, display_name, valid_from)"
        " values (gen_random_uuid(), 'ORGANISATION', '1.02', '', 'x', '2025-01-01')"
    )
    connection.execute(
        "insert into account (account_id, code, parent_code, display_name, english_name, kind, normal_side, basis,"
        " postable, control, funds_control, valid_from) values (gen_random_uuid(), '5.1', '', 'x', 'x',"
        " 'BUDGET_EXPENDITURE', 'DEBIT', 'BUDGET', false, false, true, '2025-01-01')"
    )


def test_documents_from_before_the_history_stand_where_they_stood(postgres: PostgresServer, tmp_path: Path):
    database = prepare(postgres, "finance", name="finance_before_history")
    migrated_before(database, "0017", tmp_path)
    ids = [uuid4(), uuid4()]
    agency_id, maker, checker, request_id = uuid4(), uuid4(), uuid4(), uuid4()
    at = datetime(2025, 3, 1, tzinfo=UTC)
    with psycopg.connect(postgres.url("finance_before_history"), autocommit=True) as connection:
        for nth, status in enumerate(("PROPOSED", "APPROVED")):
            connection.execute(
                "insert into payee_account (payee_account_id, agency_id, creditor, holder_name, account_number,"
                " number_kind, clearing_code, currency, valid_from, status, created_by_person_id, created_at,"
                " approved_by_person_id, approved_at, version)"
                " values (%s, %s, 'x', 'x', '1', 'LOCAL', '008', 'IDR', '2025-01-01', %s, %s, %s, %s, %s, 1)",
                (ids[nth], agency_id, status, maker, at, *((checker, at + timedelta(days=1)) if nth else (None, None))),
            )
        connection.execute(
            "insert into budget_request (budget_request_id, agency_id, fiscal_year, organisation_code,"
            " document_number, explanation, currency, medium_term_years, latest_version_number, created_by_person_id,"
            " created_at, version) values (%s, %s, 2026, '1', 'RKA/1', '', 'IDR', 1, 2, %s, %s, 1)",
            (request_id, agency_id, maker, at),
        )
        for version, status in ((1, "SUPERSEDED"), (2, "SUBMITTED")):
            connection.execute(
                "insert into budget_request_version (budget_request_id, version_number, agency_id, stage, status,"
                " maker_person_ids, line_count, totals_minor, opened_at, review_remark, decision_reason)"
                " values (%s, %s, %s, 'FIRST', %s, %s, 0, '{0,0}', %s, '', '')",
                (request_id, version, agency_id, status, [maker], at),
            )
        connection.execute(
            "insert into approval_rule (approval_rule_id, document_kind, step_number, display_name, role, approvers,"
            " amount_currency, amount_from_minor, organisation_prefix, account_prefix, deadline_days, escalation_role,"
            " legal_source, valid_from)"
            " select gen_random_uuid(), 'PAYMENT_REQUEST', n, 'x', 'x', 1, 'IDR', 0, o, a, 0, '', 'x', '2025-01-01'"
            " from (values (1, '', ''), (2, '1.02', ''), (3, '1.02', '5.1')) v (n, o, a)"
        )
        _name_the_nodes(connection)
        upgrade(database.settings())
        rules = connection.execute("select node_segments, node_codes from approval_rule order by step_number")
        nodes = rules.fetchall()
        states = connection.execute("select document_id, status, document_number, persons from document_state")
        found = {row[0]: row[1:] for row in states}
        acts = connection.execute(
            "select act, person_id, recorded_at from document_act where document_id = %s order by 3", (ids[1],)
        ).fetchall()
        walls = connection.execute(
            "select count(*) from pg_class where relrowsecurity and not relforcerowsecurity and relkind = 'r'"
        ).fetchone()

    assert found == {
        ids[0]: ("PROPOSED", "", {"created": [str(maker)]}),
        ids[1]: ("APPROVED", "", {"created": [str(maker)], "approved": [str(checker)]}),
        request_id: ("SUBMITTED", "RKA/1", {"maker": [str(maker)]}),
    }
    assert acts == [("created", maker, at), ("approved", checker, at + timedelta(days=1))]
    assert walls == (0,)
    assert nodes == [([], []), (["ORGANISATION"], ["1.02"]), (["ACCOUNT", "ORGANISATION"], ["5.1", "1.02"])]
