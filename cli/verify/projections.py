"""I6, second half: what a service keeps of another's facts is what the facts say.

Each projection is compared with its owner's own rows, which is what a replay of the owner's events from zero would
make of it. The subscriber is read before the owner, each in one snapshot. A row that differs is looked at again: if an
event that tells of it has not been taken in yet (it is under way, or parked), the row is in flight and not wrong.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import UUID

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from chassis.verify import Findings

_ROWS_A_PAGE = 1_000
_KEYS_A_QUERY = 5_000
# The inbox forgets too, so that an event is not in it need not mean that it is under way. An older one is not: topics
# keep it no longer, by default.
_UNDER_WAY_SECONDS_MAX = 7 * 24 * 3_600


@dataclass(frozen=True)
class Projection:
    """One thing that `subscriber` keeps of `owner`'s facts.

    `kept` and `owned` select the same columns, the first being `key` (a UUID). `events` selects `key`, `consumer` and
    `event_id` of the events that tell of `:keys`, from the owner's outbox.
    """

    name: str
    subscriber: str
    owner: str
    kept: str
    owned: str
    events: str


def _of_order(consumers: Mapping[str, str], key: str = "purchase_order_id", of: str = "purchase_order") -> str:
    """The events whose key is the order's, for rows of `of`; `consumers` by event."""
    types = ", ".join(f"('kelola.logistics.v1.{event}', '{consumer}')" for event, consumer in consumers.items())
    return f"""
        select owner.{key} as key, consumer.name as consumer, outbox.event_id
        from {of} owner join outbox on outbox.key = owner.purchase_order_id::text
        join (values {types}) as consumer (type, name) on consumer.type = outbox.type
        where owner.{key} = any(:keys)
    """  # noqa: S608  # constants of this file


_ISSUED = {"PurchaseOrderIssued": "on_purchase_order_issued"}
_ACCEPTED = {"GoodsAccepted": "on_goods_accepted"}
_CANCELLED = {"PurchaseOrderCancelled": "on_purchase_order_cancelled"}
# An order's `issued_on` stands while finance is asked, and goes when it refuses.
_IS_ISSUED = "issued_on is not null and status <> 'PENDING'"

PROJECTIONS = (
    Projection(
        "finance's orders",
        subscriber="finance",
        owner="logistics",
        kept="""
            select purchase_order_id as key, agency_id, purchase_order_number, supplier_id, legal_entity_id, currency
            from purchase_order
        """,
        owned=f"""
            select purchase_order_id as key, agency_id, purchase_order_number, supplier_id, legal_entity_id, currency
            from purchase_order where {_IS_ISSUED}
        """,  # noqa: S608
        events=_of_order(_ISSUED),
    ),
    Projection(
        "finance's order lines",
        subscriber="finance",
        owner="logistics",
        # The end of a budget year points the line at next year's budget line: a decision of finance's own. Logistics
        # goes on naming the first one, on which the order line held its funds before.
        kept="""
            with recursive moved as (
                select budget_line_id as first_id, next_budget_line_id as now_id from budget_year_end_line
                where next_budget_line_id is not null
                union all
                select moved.first_id, later.next_budget_line_id
                from moved join budget_year_end_line later on later.budget_line_id = moved.now_id
                where later.next_budget_line_id is not null
            )
            select purchase_order_line_id as key, purchase_order_id,
                   coalesce(named.budget_line_id, line.budget_line_id) as budget_line_id, treatment, item_id,
                   description, quantity, unit_price, tax_rate, amount_minor, accepted_quantity, accepted_minor,
                   cancelled_quantity
            from purchase_order_line line
            left join lateral (
                select held.budget_line_id from funds_position held
                join moved on moved.first_id = held.budget_line_id and moved.now_id = line.budget_line_id
                join budget_line using (budget_line_id)
                where held.document_line_id = line.purchase_order_line_id order by fiscal_year limit 1
            ) named on true
        """,
        owned=f"""
            select purchase_order_line_id as key, purchase_order_id, budget_line_id, treatment, item_id, description,
                   quantity, unit_price, tax_rate, net_minor + tax_minor as amount_minor, accepted_quantity,
                   accepted_value_minor as accepted_minor, cancelled_quantity
            from purchase_order_line line join purchase_order using (purchase_order_id) where {_IS_ISSUED}
        """,  # noqa: S608
        events=_of_order(_ISSUED | _ACCEPTED | _CANCELLED, "purchase_order_line_id", "purchase_order_line"),
    ),
    Projection(
        "finance's receipts",
        subscriber="finance",
        owner="logistics",
        kept="""
            select receipt_id as key, agency_id, purchase_order_id, receipt_number, accepted_on, value_minor
            from goods_receipt
        """,
        # What was accepted for nothing is no claim: finance keeps no receipt of it.
        owned="""
            select receipt_id as key, agency_id, purchase_order_id, receipt_number, accepted_on, value_minor
            from receipt join lateral (select sum(line.value_minor)::bigint as value_minor from receipt_line line
                                       where line.receipt_id = receipt.receipt_id) as lines on true
            where status = 'ACCEPTED' and value_minor <> 0
        """,
        events=_of_order(_ACCEPTED, "receipt_id", "receipt"),
    ),
    Projection(
        "finance's stock movements",
        subscriber="finance",
        owner="logistics",
        kept="""
            select stock_movement_id as key, agency_id, stock_movement_number, kind, item_id, value_minor
            from stock_posting where value_minor <> 0
        """,
        owned="""
            select stock_movement_id as key, agency_id, stock_movement_number, kind, item_id, value_minor
            from stock_movement where value_minor <> 0
        """,
        # A receipt is noted when its acceptance is accrued.
        events="""
            select movement.stock_movement_id as key, consumer.name as consumer, outbox.event_id
            from stock_movement movement left join receipt using (receipt_id)
            join outbox on outbox.key in (movement.agency_id::text, receipt.purchase_order_id::text)
            join (values ('kelola.logistics.v1.StockMovementPosted', 'on_stock_movement_posted'),
                         ('kelola.logistics.v1.GoodsAccepted', 'on_goods_accepted')) as consumer (type, name)
                 on consumer.type = outbox.type
            where movement.stock_movement_id = any(:keys)
              and (outbox.type = 'kelola.logistics.v1.GoodsAccepted'
                   or outbox.sequence = movement.stock_movement_number)
        """,
    ),
    Projection(
        "what logistics knows to be invoiced",
        subscriber="logistics",
        owner="finance",
        kept="""
            select purchase_order_line_id as key, invoiced_quantity as quantity, invoiced_minor as amount_minor
            from purchase_order_line where invoiced_quantity <> 0 or invoiced_minor <> 0
        """,
        # Credited before payment it is owed no more; goods that come again, and stock, may be invoiced anew.
        owned="""
            select purchase_order_line_id as key, sum(quantity) as quantity, sum(amount_minor)::bigint as amount_minor
            from (
                select purchase_order_line_id, quantity, amount_minor
                from invoice_line join invoice using (invoice_id) where status in ('APPROVED', 'PAID')
                union all
                select purchase_order_line_id,
                       case when note.replaced or line.treatment = 'STOCK' then -credited.quantity else 0 end,
                       case when note.status = 'APPROVED' then -credited.amount_minor else 0 end
                from credit_note_line credited join credit_note note using (credit_note_id)
                join purchase_order_line line using (purchase_order_line_id)
                where note.status in ('APPROVED', 'RECEIVABLE', 'REFUNDED')
            ) claimed group by 1 having sum(quantity) <> 0 or sum(amount_minor) <> 0
        """,
        events="""
            select purchase_order_line_id as key, 'on_invoice_approved' as consumer, outbox.event_id
            from invoice_line join outbox on outbox.key = invoice_line.invoice_id::text
            where type = 'kelola.finance.v1.InvoiceApproved' and purchase_order_line_id = any(:keys)
            union all
            select purchase_order_line_id, 'on_credit_note_approved', outbox.event_id
            from credit_note_line join outbox on outbox.key = credit_note_line.credit_note_id::text
            where type = 'kelola.finance.v1.CreditNoteApproved' and purchase_order_line_id = any(:keys)
        """,
    ),
    Projection(
        "what logistics knows to be paid",
        subscriber="logistics",
        owner="finance",
        kept="select purchase_order_id as key, paid_minor from purchase_order where paid_minor <> 0",
        owned="""
            select payable.purchase_order_id as key, sum(item.amount_minor)::bigint as paid_minor
            from payment_order_item item join payment_order using (payment_order_id) join payable using (payable_id)
            where payment_order.status = 'DEBITED' and payable.source = 'INVOICE' group by 1
        """,
        events="""
            select payable.purchase_order_id as key, 'on_payment_made' as consumer, outbox.event_id
            from payable join payment_order_item item using (payable_id)
            join outbox on outbox.key = item.payment_order_id::text
            where type = 'kelola.finance.v1.PaymentMade' and payable.purchase_order_id = any(:keys)
        """,
    ),
    Projection(
        "what hr knows to be paid",
        subscriber="hr",
        owner="finance",
        kept="""
            select payroll_run_id as key, sum(amount_minor)::bigint as paid_minor, count(*) as orders
            from payroll_payment group by 1
        """,
        owned="""
            select payable.source_document_id as key, sum(item.amount_minor)::bigint as paid_minor,
                   count(distinct item.payment_order_id) as orders
            from payment_order_item item join payment_order using (payment_order_id) join payable using (payable_id)
            where payment_order.status = 'DEBITED' and payable.source in ('PAYROLL', 'EMPLOYER_CONTRIBUTION')
            group by 1
        """,
        events="""
            select payable.source_document_id as key, 'on_payment_made' as consumer, outbox.event_id
            from payable join payment_order_item item using (payable_id)
            join outbox on outbox.key = item.payment_order_id::text
            where type = 'kelola.finance.v1.PaymentMade' and payable.source_document_id = any(:keys)
        """,
    ),
    Projection(
        "logistics' legal entities",
        subscriber="logistics",
        owner="identity",
        kept="select legal_entity_id as key, display_name from legal_entity",
        owned="select legal_entity_id as key, display_name from legal_entity",
        events="""
            select legal_entity_id as key, 'on_legal_entity_registered' as consumer, outbox.event_id
            from legal_entity join outbox on outbox.key = legal_entity_id::text
            where type = 'kelola.identity.v1.LegalEntityRegistered' and legal_entity_id = any(:keys)
        """,
    ),
)


@dataclass(frozen=True)
class _Difference:
    key: UUID
    kept: tuple[Any, ...] | None
    owned: tuple[Any, ...] | None


def compare(projection: Projection, subscriber: Connection, owner: Connection) -> Findings:
    """One projection against its owner's rows. The subscriber's snapshot is the older one."""
    from chassis.verify import PROBLEMS_MAX, Findings, Problem

    columns, kept = _rows(subscriber, projection.kept)
    _, owned = _rows(owner, projection.owned)
    compared, differing = 0, []
    for found in _side_by_side(kept, owned):
        compared += 1
        if found.kept != found.owned:
            differing.append(found)
    problems, remarks, in_flight, given_up = [], [], 0, 0
    for start in range(0, len(differing), _KEYS_A_QUERY):
        page = differing[start : start + _KEYS_A_QUERY]
        waiting, dropped = _not_taken_in(projection, subscriber, owner, [each.key for each in page])
        for each in page:
            if each.key in waiting:
                in_flight += 1
            elif each.key in dropped:
                given_up += 1
            else:
                problems.append(Problem("I6", f"{projection.name}: {_words(each, columns, projection)}"))
    if in_flight:
        remarks.append(
            f"{projection.name}: {in_flight} rows wait for events that are under way or parked; not compared"
        )
    if given_up:
        remarks.append(f"{projection.name}: {given_up} rows rest on events that a person dropped; not compared")
    return Findings(problems[:PROBLEMS_MAX], {"rows_projected": compared, "rows_in_flight": in_flight}, remarks)


def _words(found: _Difference, columns: Sequence[str], projection: Projection) -> str:
    if found.kept is None:
        return f"{found.key} of {projection.owner} is missing"
    if found.owned is None:
        return f"{found.key} is kept and {projection.owner} has none"
    return f"{found.key}: " + ", ".join(
        f"{column} is {kept}, {projection.owner} has {owned}"
        for column, kept, owned in zip(columns, found.kept, found.owned, strict=True)
        if kept != owned
    )


def _rows(connection: Connection, query: str) -> tuple[list[str], Iterator[tuple[UUID, tuple[Any, ...]]]]:
    """The columns behind the key, and key and values, by ascending key."""
    from sqlalchemy import text

    # The queries are constants of this file.
    statement = text(f"select * from ({query}) as rows order by key")  # noqa: S608
    result = connection.execute(statement.execution_options(yield_per=_ROWS_A_PAGE))
    return list(result.keys())[1:], ((row[0], tuple(row[1:])) for row in result)


def _side_by_side(
    kept: Iterator[tuple[UUID, tuple[Any, ...]]], owned: Iterator[tuple[UUID, tuple[Any, ...]]]
) -> Iterator[_Difference]:
    """Both sides by key, in one pass; PostgreSQL orders UUIDs as Python does, by their bytes."""
    left, right = next(kept, None), next(owned, None)
    while left is not None or right is not None:
        if right is None or (left is not None and left[0] < right[0]):
            assert left is not None, "one side is there"
            yield _Difference(left[0], left[1], None)
            left = next(kept, None)
        elif left is None or right[0] < left[0]:
            yield _Difference(right[0], None, right[1])
            right = next(owned, None)
        else:
            yield _Difference(left[0], left[1], right[1])
            left, right = next(kept, None), next(owned, None)


def _not_taken_in(
    projection: Projection, subscriber: Connection, owner: Connection, keys: list[UUID]
) -> tuple[set[UUID], set[UUID]]:
    """Which of the keys have an event that waits, and which have one that a person dropped."""
    import time

    from sqlalchemy import text

    events = owner.execute(text(projection.events), {"keys": keys}).all()
    rows = subscriber.execute(
        text(
            "select consumer, event_id,"
            " case when parked.state = 'DROPPED' then 'DROPPED' when parked.state = 'PARKED' or young then 'WAITS'"
            " end as state"
            " from unnest(cast(:consumers as text[]), cast(:events as uuid[]), cast(:young as bool[]))"
            " as asked (consumer, event_id, young) left join parked using (consumer, event_id)"
            " where not exists (select 1 from inbox where inbox.consumer = asked.consumer"
            " and inbox.event_id = asked.event_id)"
        ),
        {
            "consumers": [row.consumer for row in events],
            "events": [row.event_id for row in events],
            "young": [_sent_at_seconds(row.event_id) > time.time() - _UNDER_WAY_SECONDS_MAX for row in events],
        },
    ).all()
    missing = {(row.consumer, row.event_id): row.state for row in rows}
    states = [
        (row.key, missing[row.consumer, row.event_id]) for row in events if (row.consumer, row.event_id) in missing
    ]
    return {key for key, state in states if state == "WAITS"}, {key for key, state in states if state == "DROPPED"}


def _sent_at_seconds(event_id: UUID) -> float:
    """When an event came into being, Unix seconds: an event's id is a UUIDv7, which begins with its milliseconds."""
    return (event_id.int >> 80) / 1_000
