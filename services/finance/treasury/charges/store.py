"""SQL of the bank's fees and interest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlmodel import Session

from chassis.errors import NotFound


def budget_line(session: Session, budget_line_id: UUID) -> Row[Any] | None:
    """The line that is to bear a fee, as far as the rules ask; None when the caller does not see it."""
    return session.execute(
        text("select agency_id, fund_code, account_code, currency from budget_line where budget_line_id = :id"),
        {"id": budget_line_id},
    ).first()


def insert(session: Session, values: Mapping[str, Any]) -> bool:
    """Insert a charge (`values` by column); False when its entry is in a live one."""
    row = session.execute(
        text(
            f"insert into bank_charge ({', '.join(values)}) values ({', '.join(f':{name}' for name in values)})"  # noqa: S608
            " on conflict (bank_entry_id) where status <> 'REJECTED' do nothing returning bank_charge_id"
        ),
        dict(values),
    ).first()
    return row is not None


def update(session: Session, bank_charge_id: UUID, **changes: Any) -> None:
    """Change columns of a charge; its version goes up."""
    sets = ", ".join(f"{name} = :{name}" for name in changes)
    session.execute(
        text(f"update bank_charge set {sets}, version = version + 1 where bank_charge_id = :id"),  # noqa: S608
        {**changes, "id": bank_charge_id},
    )


_READ = "select * from bank_charge where bank_charge_id = :id"


def get(session: Session, bank_charge_id: UUID, *, lock: bool = False) -> Row[Any]:
    """One charge; NOT_FOUND when the caller does not see it."""
    row = session.execute(text(f"{_READ} for update" if lock else _READ), {"id": bank_charge_id}).first()
    if row is None:
        raise NotFound.resource("bank charge", bank_charge_id)
    return row


def page(
    session: Session, *, agency_id: UUID | None, status: str, after: tuple[Any, ...] | None, limit: int
) -> Sequence[Row[Any]]:
    """Charges, the newest id first."""
    return session.execute(
        text(
            """
            select * from bank_charge
            where (cast(:agency_id as uuid) is null or agency_id = :agency_id)
              and (:status = '' or status = :status)
              and (cast(:after as uuid) is null or bank_charge_id < :after)
            order by bank_charge_id desc limit :limit
            """
        ),
        {"agency_id": agency_id, "status": status, "after": after[0] if after else None, "limit": limit},
    ).all()
