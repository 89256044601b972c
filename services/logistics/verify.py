"""What must hold in logistics' books, asked from outside by the reader's role.

I6  what a document came to, each acceptance and each stock movement is told by one event
I7  stock on hand = Σ movements, per position, in quantity and value; ≥ 0 unless the item's policy allows negative;
    each movement has the value that its history gives it (late news is corrected); numbers per agency are 1, 2, 3 …
I9  no requisition, order, receipt or count was approved by its maker
LOGISTICS-1  order lines: accepted = Σ accepted of receipts, in quantity and value; never more than ordered
LOGISTICS-2  requisition lines: ordered = Σ of orders that hold the quantity; never more than requested
LOGISTICS-3  document numbers per series are without gaps and as many as the series says
"""

from __future__ import annotations

from collections import defaultdict
from uuid import UUID

from sqlalchemy import Connection, text

from chassis.errors import KelolaError
from chassis.told import Told, compare, numbered, told, versions, versions_that_were
from chassis.verify import PROBLEMS_MAX, Findings, Problem, together
from services.logistics.catalog.domain import ValuationMethod
from services.logistics.stock.domain import Entry, Kind, Policy, Position, replay

_EVENTS = "kelola.logistics.v1."
# A refused document may be approved again, so RequisitionRefused and PurchaseOrderRefused are not one to one.
TOLD = (
    versions(f"{_EVENTS}ItemCreated", f"{_EVENTS}ItemChanged", table="item", key="item_id"),
    versions(
        *(f"{_EVENTS}{name}" for name in ("SupplierRegistered", "SupplierChanged", "SupplierDebarred")),
        table="supplier",
        key="supplier_id",
    ),
    told(
        f"{_EVENTS}RequisitionApproved",
        "requisition",
        "requisition_id",
        where="approved_at is not null and status not in ('PENDING', 'REFUSED')"
        " and coalesce(refusal, 'null') = 'null'::jsonb",
    ),
    told(
        f"{_EVENTS}RequisitionCancelled",
        "requisition",
        "requisition_id",
        where="cancelled_by_person_id is not null and status <> 'CANCELLING'",
    ),
    told(f"{_EVENTS}RequisitionPaid", "requisition", "requisition_id", where="status = 'PAID'"),
    # `issued_on` is set while finance is asked, and taken away when it refuses.
    told(
        f"{_EVENTS}PurchaseOrderIssued",
        "purchase_order",
        "purchase_order_id",
        where="issued_on is not null and status <> 'PENDING'",
    ),
    told(
        f"{_EVENTS}PurchaseOrderCancelled",
        "purchase_order",
        "purchase_order_id",
        where="cancelled_by_person_id is not null and status <> 'CANCELLING'",
    ),
    told(f"{_EVENTS}PurchaseOrderPaid", "purchase_order", "purchase_order_id", where="status = 'PAID'"),
    # Its key is the order's, of which each acceptance is told.
    told(f"{_EVENTS}GoodsAccepted", "receipt", "purchase_order_id", where="status = 'ACCEPTED'", born="receipt_id"),
    Told(
        (f"{_EVENTS}StockMovementPosted",),
        "select agency_id as key, stock_movement_id as born, stock_movement_number as sequence from stock_movement",
        numbered=True,
    ),
)

NUMBERED = (
    numbered(
        *(f"{_EVENTS}Requisition{what}" for what in ("Approved", "Refused", "Cancelled", "Paid")),
        table="requisition",
        key="requisition_id",
    ),
    numbered(
        *(f"{_EVENTS}PurchaseOrder{what}" for what in ("Issued", "Refused", "Cancelled", "Paid")),
        f"{_EVENTS}GoodsAccepted",
        table="purchase_order",
        key="purchase_order_id",
    ),
)


def effects(connection: Connection) -> Findings:
    """I6: each effect and its one event."""
    return together([compare(connection, TOLD), versions_that_were(connection, NUMBERED)])


def problems(connection: Connection) -> list[Problem]:
    """Every violation, at most a pageful of each kind."""
    return [
        *_rows(connection, "I7", _POSITIONS),
        *_rows(connection, "I7", _NEGATIVE),
        *_rows(connection, "I7", _NUMBERS),
        *_replayed(connection),
        *(problem for query in _MAKERS for problem in _rows(connection, "I9", query)),
        *_rows(connection, "LOGISTICS-1", _ACCEPTED),
        *_rows(connection, "LOGISTICS-2", _ORDERED),
        *_rows(connection, "LOGISTICS-3", _SERIES),
    ]


def _rows(connection: Connection, invariant: str, query: str) -> list[Problem]:
    return [Problem(invariant, str(row[0])) for row in connection.execute(text(query)).fetchmany(PROBLEMS_MAX)]


_POSITIONS = """
    select format('agency %s item %s warehouse %s lot %L holds %s worth %s, its movements say %s worth %s',
                  agency_id, item_id, warehouse_id, lot, held.quantity, held.value_minor, moved.quantity,
                  moved.value_minor)
    from (select agency_id, fund_code, item_id, warehouse_id, lot, quantity, value_minor from stock_position) as held
    full join (select agency_id, fund_code, item_id, warehouse_id, lot, sum(quantity) as quantity,
                      sum(value_minor) as value_minor
               from stock_movement group by 1, 2, 3, 4, 5) as moved
         using (agency_id, fund_code, item_id, warehouse_id, lot)
    where held.quantity is distinct from moved.quantity or held.value_minor is distinct from moved.value_minor
"""

_NEGATIVE = """
    select format('agency %s item %s warehouse %s: %s on hand at %s, and the item may not be negative',
                  agency_id, item_id, warehouse_id, on_hand, effective_at)
    from (select agency_id, item_id, warehouse_id, effective_at,
                 sum(quantity) over (partition by agency_id, fund_code, item_id, warehouse_id, lot
                                     order by effective_at, stock_movement_number) as on_hand
          from stock_movement) as running join item using (item_id)
    where on_hand < 0 and not negative_allowed
"""

_NUMBERS = """
    select format('agency %s: %s movements, numbered %s to %s, and the cut says %s',
                  agency_id, count(stock_movement_id), min(stock_movement_number), max(stock_movement_number),
                  max(last_number))
    from stock_cut left join stock_movement using (agency_id)
    group by agency_id
    having count(stock_movement_id) <> max(last_number)
           or coalesce(max(stock_movement_number), 0) <> max(last_number)
"""

_MAKERS = tuple(
    # The names are constants of this module.
    f"select format('{document} %s was approved by its maker', {key}) from {table} where {maker} = {checker}"  # noqa: S608
    for document, table, key, maker, checker in (
        ("requisition", "requisition", "requisition_id", "requested_by_person_id", "approved_by_person_id"),
        ("order", "purchase_order", "purchase_order_id", "made_by_person_id", "signed_by_person_id"),
        ("receipt", "receipt", "receipt_id", "received_by_person_id", "accepted_by_person_id"),
        ("count", "stock_count", "stock_count_id", "counted_by_person_id", "approved_by_person_id"),
    )
)

_ACCEPTED = """
    select format('order line %s has %s accepted worth %s of %s, its receipts say %s worth %s',
                  line.purchase_order_line_id, line.accepted_quantity, line.accepted_value_minor, line.quantity,
                  coalesce(received.quantity, 0), coalesce(received.value_minor, 0))
    from purchase_order_line as line
    left join (select purchase_order_line_id, sum(accepted_quantity) as quantity, sum(value_minor) as value_minor
               from receipt_line where accepted_quantity is not null group by 1) as received
         using (purchase_order_line_id)
    where line.accepted_quantity <> coalesce(received.quantity, 0)
          or line.accepted_value_minor <> coalesce(received.value_minor, 0)
          or line.accepted_quantity + line.cancelled_quantity > line.quantity
          or (line.accepted_quantity = line.quantity
              and line.accepted_value_minor <> line.net_minor + line.tax_minor)
"""

_ORDERED = """
    select format('requisition line %s has %s ordered of %s, its orders say %s',
                  line.requisition_line_id, line.ordered_quantity, line.quantity, coalesce(taken.quantity, 0))
    from requisition_line as line
    left join (select requisition_line_id, sum(purchase_order_line.quantity) as quantity
               from purchase_order_line join purchase_order using (purchase_order_id)
               where status not in ('DRAFT', 'REFUSED', 'CANCELLED') group by 1) as taken
         using (requisition_line_id)
    where line.ordered_quantity <> coalesce(taken.quantity, 0) or line.ordered_quantity > line.quantity
"""

_SERIES = """
    select format('agency %s series %s/%s: %s documents carry a number, the series says %s',
                  agency_id, series, year, count(number), last_number)
    from number_series
    left join (select agency_id, requisition_number as number from requisition
               union select agency_id, purchase_order_number from purchase_order
               union select agency_id, receipt_number from receipt) as numbered
         using (agency_id)
    where number is null or number like series || '/' || year || '/%'
    group by agency_id, series, year, last_number
    having count(number) <> last_number
"""

_GROUPS = """
    select distinct agency_id, fund_code, item_id, valuation_method, negative_allowed
    from stock_movement join item using (item_id)
    order by agency_id, fund_code, item_id
"""

_LEDGER = """
    select stock_movement_id, warehouse_id, lot, kind, quantity, value_minor, priced, effective_at,
           stock_movement_number, corrected_movement_id, linked_movement_id
    from stock_movement
    where agency_id = :agency_id and fund_code = :fund_code and item_id = :item_id
    order by stock_movement_number
"""


def _replayed(connection: Connection) -> list[Problem]:
    """Movements whose recorded value, corrections included, is not what a replay of the whole ledger gives."""
    found: list[Problem] = []
    groups = connection.execute(text(_GROUPS)).all()
    for agency_id, fund_code, item_id, method, negative_allowed in groups:
        policy = Policy(ValuationMethod(method), negative_allowed)
        key = {"agency_id": agency_id, "fund_code": fund_code, "item_id": item_id}
        rows = connection.execute(text(_LEDGER), key).all()
        changed: dict[UUID, int] = defaultdict(int)
        for row in rows:
            if row.corrected_movement_id is not None:
                changed[row.corrected_movement_id] += row.value_minor
        recorded, entries = {}, []
        for row in rows:
            if row.corrected_movement_id is not None:
                continue
            value = row.value_minor + changed[row.stock_movement_id]
            recorded[row.stock_movement_id] = value
            linked = (row.linked_movement_id,) if row.kind == Kind.TRANSFER_IN.value else ()
            entries.append(
                Entry(
                    movement_id=row.stock_movement_id,
                    position=Position(item_id, row.warehouse_id, row.lot),
                    effective_at=row.effective_at,
                    sequence=row.stock_movement_number,
                    quantity=row.quantity,
                    value_minor=value if row.priced else None,
                    linked_from=linked,
                    is_transfer=row.kind == Kind.TRANSFER_OUT.value,
                )
            )
        found += _compared(entries, recorded, item_id, policy)
        if len(found) >= PROBLEMS_MAX:
            break
    return found[:PROBLEMS_MAX]


def _compared(entries: list[Entry], recorded: dict[UUID, int], item_id: UUID, policy: Policy) -> list[Problem]:
    try:
        values = replay(entries, {item_id: policy}).values
    except KelolaError as failure:
        return [Problem("I7", f"item {item_id} cannot be replayed: {failure.message}")]
    return [
        Problem("I7", f"movement {movement_id} is worth {recorded[movement_id]}, a replay says {value}")
        for movement_id, value in values.items()
        if value != recorded[movement_id]
    ]
