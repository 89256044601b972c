"""SQL that every store of the treasury shares: one row in, changed, read, and pages of rows. Table names are ours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlmodel import Session

from chassis.errors import NotFound

# table -> (its key, what people call it)
_TABLES = {
    "bank_account": ("bank_account_id", "bank account"),
    "payee_account": ("payee_account_id", "payee account"),
    "payment_run": ("payment_run_id", "payment run"),
    "payment_instruction": ("payment_instruction_id", "payment instruction"),
    "payment_return": ("payment_return_id", "payment return"),
    "bank_file": ("bank_file_id", "bank file"),
    "bank_statement": ("bank_statement_id", "bank statement"),
    "bank_entry": ("bank_entry_id", "bank entry"),
}


def insert(session: Session, table: str, values: Mapping[str, Any]) -> None:
    """Insert one row."""
    columns = ", ".join(values)
    session.execute(
        text(f"insert into {table} ({columns}) values ({', '.join(f':{name}' for name in values)})"),  # noqa: S608
        dict(values),
    )


def insert_all(session: Session, table: str, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert several rows that name the same columns."""
    if rows:
        columns = ", ".join(rows[0])
        session.execute(
            text(f"insert into {table} ({columns}) values ({', '.join(f':{name}' for name in rows[0])})"),  # noqa: S608
            [dict(row) for row in rows],
        )


def update(session: Session, table: str, row_id: UUID, **changes: Any) -> None:
    """Change columns of one row; its version goes up."""
    key, _ = _TABLES[table]
    sets = ", ".join(f"{name} = :{name}" for name in changes)
    session.execute(
        text(f"update {table} set {sets}, version = version + 1 where {key} = :row_id"),  # noqa: S608
        {**changes, "row_id": row_id},
    )


def get(session: Session, table: str, row_id: UUID, *, lock: bool = False) -> Row[Any]:
    """One row; NOT_FOUND when the caller does not see it."""
    key, called = _TABLES[table]
    query = f"select * from {table} where {key} = :row_id"  # noqa: S608
    row = session.execute(text(f"{query} for update" if lock else query), {"row_id": row_id}).first()
    if row is None:
        raise NotFound.resource(called, row_id)
    return row


def page(
    session: Session,
    table: str,
    *,
    after: tuple[Any, ...] | None,
    limit: int,
    oldest_first: bool = False,
    **filters: Any,
) -> Sequence[Row[Any]]:
    """Rows by their key, the newest first unless said; filters that are None or empty do not count."""
    key, _ = _TABLES[table]
    wanted = {name: value for name, value in filters.items() if value not in (None, "")}
    sign, order = (">", "asc") if oldest_first else ("<", "desc")
    conditions = [f"{name} = :{name}" for name in wanted] + ([f"{key} {sign} :after"] if after else [])
    where = f"where {' and '.join(conditions)}" if conditions else ""
    return session.execute(
        text(f"select * from {table} {where} order by {key} {order} limit :limit"),  # noqa: S608
        {**wanted, "limit": limit, **({"after": after[0]} if after else {})},
    ).all()
