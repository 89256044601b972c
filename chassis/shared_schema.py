"""The shared tables as a migration makes them, and who may do what with them."""

from __future__ import annotations

from typing import Any

from sqlalchemy import MetaData
from sqlalchemy.orm import registry
from sqlmodel import SQLModel

from chassis import audit_heads, outbox_days, retention, tables

# The app adds; what the relay, verify and audit need is the reader's. Nobody edits or deletes audit rows:
# the reader may fill the chain's three columns, no other. What is old goes by functions that know what is old.
_GRANTS: dict[str, tuple[str, ...]] = {
    "outbox": (
        "select, insert to {app}",
        "select, update (sent_at, position, tries, error, parked_at) to {reader}",
    ),
    "relay_state": ("select to {app}", "select, insert, update to {reader}"),
    "broker_offset": ("select, insert, update, delete to {reader}",),
    "inbox": ("select, insert to {app}", "select to {reader}"),
    "parked": ("select, insert, update to {app}", "select, update to {reader}"),
    "idempotency": ("select, insert, update, delete to {app}", "select to {reader}"),
    "audit": ("insert to {app}", "select, update (position, prev_hash, hash) to {reader}"),
    "audit_head": ("select, insert to {reader}",),
    "saga": ("select, insert, update to {app}", "select to {reader}"),
    "operation": ("select, insert, update to {app}", "select to {reader}"),
}

_MIXINS: tuple[type[SQLModel], ...] = (
    tables.OutboxMixin,
    tables.RelayStateMixin,
    tables.BrokerOffsetMixin,
    tables.InboxMixin,
    tables.ParkedMixin,
    tables.IdempotencyMixin,
    tables.AuditMixin,
    tables.AuditHeadMixin,
    tables.SagaMixin,
    tables.OperationMixin,
)


def metadata() -> MetaData:
    """The shared tables alone, in a MetaData of their own."""
    make: Any = type(SQLModel)
    base = make(
        "SharedTable",
        (SQLModel,),
        {"__module__": __name__},
        registry=registry(metadata=MetaData(naming_convention=dict(tables.NAMING))),
    )
    for mixin in _MIXINS:
        make(mixin.__name__.removesuffix("Mixin"), (base, mixin), {"__module__": __name__}, table=True)
    found: MetaData = base.metadata
    return found


def create(op: Any, service: str) -> None:
    """Make every shared table in the database of `op` and grant the rights of `<service>_app` and `_reader`."""
    app, reader = f"{service}_app", f"{service}_reader"
    op.execute(f"grant usage on schema public to {app}, {reader}")
    metadata().create_all(op.get_bind())
    outbox_days.create(op, reader)
    audit_heads.create(op, service, reader)
    retention.create(op, app)
    for table, grants in _GRANTS.items():
        op.execute(f"revoke all on {table} from public")
        for grant in grants:
            privileges, grantee = grant.format(app=app, reader=reader).split(" to ")
            op.execute(f"grant {privileges} on {table} to {grantee}")
    op.execute(
        "insert into relay_state (singleton, position, audit_position, audit_hash)"
        " values (true, 0, 0, decode(repeat('00', 32), 'hex')) on conflict do nothing"
    )
    # A claim is answered in the same transaction, so the new row version belongs on the same page.
    op.execute("alter table idempotency set (fillfactor = 80)")
