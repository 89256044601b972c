"""`kelola verify` over the books of a whole life: a superuser breaks them, the command names what is broken."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import pytest

from tests.system import books

_IN_THE_WAY = "set session_replication_role = replica;"  # no trigger and no foreign key minds what is broken here


@dataclass(frozen=True)
class Break:
    """One thing to break: where, how, how to put it right, and how the command names it."""

    service: str
    breaking: str
    mending: str
    invariant: str
    found: str


def column(service: str, table: str, key: str, name: str, invariant: str, found: str, where: str = "true") -> Break:
    """One more on a number of the first row that satisfies `where`; `key` is its whole key, to find it again."""
    update = (
        f"update {table} set {name} = {name} {{change}} where ctid ="
        f" (select ctid from {table} where {where} order by {key} limit 1)"
    )
    return Break(service, update.format(change="+ 1"), update.format(change="- 1"), invariant, found)


def wording(service: str, table: str, key: str, name: str, invariant: str, found: str, where: str = "true") -> Break:
    """A letter more on a text of the first row that satisfies `where`."""
    first = f"(select {key} from {table} where {where} order by {key} limit 1)"
    return Break(
        service,
        f"update {table} set {name} = {name} || 'x' where {key} = {first}",
        f"update {table} set {name} = left({name}, -1) where {name} like '%x' and {key} = {first}",
        invariant,
        found,
    )


def untold(service: str, event: str) -> Break:
    """The first event of a type becomes one of another type."""
    return Break(
        service,
        f"update outbox set type = 'lost.' || type where id = (select min(id) from outbox where type like '%.{event}')",
        f"update outbox set type = substr(type, 6) where type like 'lost.%.{event}'",
        "I6",
        f"{event} of ",
    )


PROJECTIONS = [
    wording("finance", "purchase_order", "purchase_order_id", "purchase_order_number", "I6", "finance's orders: "),
    column("finance", "purchase_order_line", "purchase_order_line_id", "amount_minor", "I6", "finance's order lines: "),
    column("finance", "goods_receipt", "receipt_id", "value_minor", "I6", "finance's receipts: "),
    column(
        "finance",
        "stock_posting",
        "stock_movement_id",
        "value_minor",
        "I6",
        "finance's stock movements: ",
        where="value_minor <> 0",
    ),
    column(
        "logistics",
        "purchase_order_line",
        "purchase_order_line_id",
        "invoiced_minor",
        "I6",
        "what logistics knows to be invoiced: ",
        where="invoiced_minor > 1",
    ),
    column(
        "logistics",
        "purchase_order",
        "purchase_order_id",
        "paid_minor",
        "I6",
        "what logistics knows to be paid: ",
        where="paid_minor > 1",
    ),
    column(
        "hr", "payroll_payment", "payroll_run_id, payment_order_id", "amount_minor", "I6", "what hr knows to be paid: "
    ),
    wording("logistics", "legal_entity", "legal_entity_id", "display_name", "I6", "logistics' legal entities: "),
]

EFFECTS = [
    *(
        untold("finance", event)
        for event in (
            *("AppropriationChanged", "FundsAllotted", "FundsRefused", "InvoiceApproved"),
            *("PaymentRequested", "PaymentAuthorised", "PaymentOrdered", "PaymentMade", "PaymentRejected"),
        )
    ),
    Break(
        "finance",
        "update outbox set type = 'lost.' || type where id ="
        " (select min(id) from outbox where type like '%.FundsReserved')",
        "update outbox set type = substr(type, 6) where type like 'lost.%.FundsReserved'",
        "I6",
        "is told by no event",
    ),
    Break(
        "finance",
        "update outbox set type = 'lost.' || type where id ="
        " (select min(id) from outbox where type like '%.JournalEntriesPosted')",
        "update outbox set type = substr(type, 6) where type like 'lost.%.JournalEntriesPosted'",
        "I6",
        "is told by no event",
    ),
    *(
        untold("logistics", event)
        for event in (
            *("RequisitionApproved", "RequisitionCancelled", "RequisitionPaid", "PurchaseOrderIssued"),
            *("PurchaseOrderCancelled", "PurchaseOrderPaid", "GoodsAccepted", "StockMovementPosted"),
        )
    ),
    *(
        untold("hr", event)
        for event in (
            *("PositionCreated", "EmployeeHired", "EmployeeSeparated"),
            *("PayrollRunComputed", "PayrollRunApproved", "PayrollRunPaid", "PayrollRunCancelled"),
        )
    ),
    *(untold("identity", event) for event in ("LegalEntityRegistered", "GrantCreated", "GrantRevoked")),
    column("identity", "person", "person_id", "version", "I6", "PersonRegistered or PersonUpdated of "),
    column("identity", "agency", "agency_id", "version", "I6", "AgencyCreated or AgencyChanged of "),
    column("hr", "unit", "unit_id", "version", "I6", "UnitCreated or UnitChanged of "),
    column("logistics", "item", "item_id", "version", "I6", "ItemCreated or ItemChanged of "),
    column(
        "logistics",
        "supplier",
        "supplier_id",
        "version",
        "I6",
        "SupplierRegistered or SupplierChanged or SupplierDebarred of ",
    ),
    Break(
        "finance",
        "update payment_order set version = version - 9 where status = 'DEBITED'",
        "update payment_order set version = version + 9 where status = 'DEBITED'",
        "I6",
        "is the newest of payment_order",
    ),
]

_COPY = str(uuid4())
REPLIES = [
    Break(
        "identity",
        "update access_grant set grant_id = overlay(grant_id::text placing 'ffff' from 1 for 4)::uuid"
        " where revoked_at is not null",
        "update access_grant set grant_id = overlay(grant_id::text placing left((select key from outbox where type ="
        " 'kelola.identity.v1.GrantRevoked' and right(key, 32) = right(grant_id::text, 32)), 4) from 1 for 4)::uuid"
        " where grant_id::text like 'ffff%'",
        "I5",
        "which is not in access_grant",
    ),
    Break(
        "logistics",
        "insert into idempotency (subject, method, request_id, request_hash, answer)"
        f" select subject, method, '{_COPY}', request_hash, answer from idempotency"
        " where method like '%.CreateWarehouse' limit 1",
        f"delete from idempotency where request_id = '{_COPY}'",
        "I5",
        "was made twice: by request",
    ),
    Break(
        "hr",
        f"insert into idempotency (subject, method, request_id, request_hash, answer) values ('somebody',"
        f" 'kelola.hr.v1.UnitService.CreateUnit', '{_COPY}', 'hash', '\\xff')",
        f"delete from idempotency where request_id = '{_COPY}'",
        "I5",
        f"the answer of request {_COPY} of somebody on kelola.hr.v1.UnitService.CreateUnit cannot be read",
    ),
    Break(
        "finance",
        "insert into idempotency (subject, method, request_id, request_hash)"
        f" values ('somebody', 'any', '{_COPY}', 'h')",
        f"delete from idempotency where request_id = '{_COPY}'",
        "I5",
        f"request {_COPY} of somebody on any was claimed and has no answer",
    ),
]

# What a service's own books must hold. Finance's and identity's are broken in tests of their own as well.
BOOKS = [
    column("hr", "payslip_line", "payslip_id, line_no", "amount_minor", "I8", "the payslip says "),
    column("hr", "payroll_run", "payroll_run_id", "payslip_count", "I8", "its payslips give ", where="state = 'PAID'"),
    column(
        "hr", "payroll_run", "payroll_run_id", "paid_minor", "I8", "its payment orders paid ", where="paid_minor > 0"
    ),
    Break(
        "hr",
        "update position set state = 'VACANT' where position_id ="
        " (select min(position_id::text)::uuid from position where state = 'FILLED')",
        "update position set state = 'FILLED' where position_id in"
        " (select position_id from employee where state in ('PENDING', 'ACTIVE', 'SEPARATING'))",
        "I8",
        " is VACANT and has 1 holders",
    ),
    column(
        "logistics",
        "stock_position",
        "agency_id, fund_code, item_id, warehouse_id, lot",
        "value_minor",
        "I7",
        "its movements say ",
    ),
    column("logistics", "stock_cut", "agency_id", "last_number", "I7", "and the cut says "),
    column("logistics", "receipt_line", "receipt_line_id", "value_minor", "LOGISTICS-1", "its receipts say "),
    Break(
        "logistics",
        "update requisition_line set ordered_quantity = ordered_quantity - 1, description = description || ' (broken)'"
        " where requisition_line_id = (select min(requisition_line_id::text)::uuid from requisition_line"
        " where ordered_quantity >= 1)",
        "update requisition_line set ordered_quantity = ordered_quantity + 1,"
        " description = replace(description, ' (broken)', '') where description like '% (broken)'",
        "LOGISTICS-2",
        "its orders say ",
    ),
    column("logistics", "number_series", "agency_id, series, year", "last_number", "LOGISTICS-3", "the series says "),
    column(
        "identity", "agency", "agency_id", "depth", "IDENTITY-3", "does not follow from its parent", where="depth > 0"
    ),
]


@contextmanager
def broken(platform: Any, things: list[Break]) -> Iterator[None]:
    """Everything is broken at once for the block, and put right after it."""
    done: list[Break] = []
    try:
        for each in things:
            with platform.postgres.connect(each.service) as connection:
                connection.execute(_IN_THE_WAY)
                touched = connection.execute(each.breaking).rowcount
            done.append(each)
            assert touched > 0, each
        yield
    finally:
        for each in reversed(done):
            with platform.postgres.connect(each.service) as connection:
                connection.execute(_IN_THE_WAY)
                connection.execute(each.mending)


@pytest.mark.parametrize(
    "things", [PROJECTIONS, EFFECTS, REPLIES, BOOKS], ids=["projections", "effects", "replies", "books"]
)
def test_what_is_broken_is_named(lived, kelola, things):
    books.at_rest(lived.platform)

    with broken(lived.platform, things):
        answer = kelola("verify", status=1)

    assert not answer["holds"]
    unnamed = [
        each.found
        for each in things
        if not any(
            problem["invariant"] == each.invariant and each.found in problem["what"] for problem in answer["problems"]
        )
    ]
    assert unnamed == [], answer["problems"]
    assert kelola("verify", "--strict")["problems"] == []


def test_a_row_whose_event_is_under_way_is_in_flight_and_not_wrong(lived, kelola):
    books.at_rest(lived.platform)
    order = next(each for each in PROJECTIONS if each.found == "finance's orders: ")
    forget = "delete from inbox where consumer = 'on_purchase_order_issued' returning event_id"

    with broken(lived.platform, [order]):
        with lived.platform.postgres.connect("finance") as connection:
            taken = [row[0] for row in connection.execute(forget).fetchall()]
        try:
            answer = kelola("verify")
        finally:
            with lived.platform.postgres.connect("finance") as connection:
                for event_id in taken:
                    connection.execute(
                        "insert into inbox (consumer, event_id) values ('on_purchase_order_issued', %s)", (event_id,)
                    )

    assert answer["holds"]
    assert answer["between"]["rows_in_flight"] == 1
    assert [each["what"] for each in answer["not_compared"] if "a person dropped" not in each["what"]] == [
        "finance's orders: 1 rows wait for events that are under way or parked; not compared"
    ]


def test_a_stuck_saga_is_a_figure_and_fails_only_the_strict(lived, kelola):
    books.at_rest(lived.platform)
    turn = "update saga set status = '{to}' where saga_id = (select saga_id from saga where status in ('DONE', 'STUCK')"
    turn += " order by status = 'STUCK' desc, saga_id limit 1) returning saga_id"
    with lived.platform.postgres.connect("logistics") as connection:
        (saga_id,) = connection.execute(turn.format(to="STUCK")).fetchone()
    try:
        plain, strict = kelola("verify"), kelola("verify", "--strict", status=1)
    finally:
        with lived.platform.postgres.connect("logistics") as connection:
            connection.execute(turn.format(to="DONE"))

    assert plain["holds"]
    assert next(row for row in plain["services"] if row["service"] == "logistics")["sagas_stuck"] == 1
    assert not strict["holds"]
    assert strict["problems"] == []
    assert [each["invariant"] for each in strict["waiting"]] == ["I5"]
    assert str(saga_id) in strict["waiting"][0]["what"]


def test_one_service_can_be_asked_alone(lived, kelola):
    answer = kelola("verify", "hr")

    assert [row["service"] for row in answer["services"]] == ["hr"]
    assert answer["between"] is None
    assert answer["services"][0]["replies"] > 0
    assert answer["services"][0]["effects_told"] > 0
