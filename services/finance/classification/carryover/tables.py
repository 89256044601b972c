"""Tables of successions, which belong to the whole government, and of what an agency carried over."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, Index, Text, UniqueConstraint, Uuid, text
from sqlmodel import Field

from chassis.tables import instant_field, json_field, uuid_key
from services.finance.classification.segments import Segment
from services.finance.tables import FinanceTable

_SEGMENTS = ", ".join(f"'{one.value}'" for one in Segment)


class CodeSuccessionRow(FinanceTable, table=True):
    """A code takes the place of another from a day on; one of several successors is the default."""

    __tablename__ = "code_succession"
    __table_args__ = (
        CheckConstraint(f"segment in ({_SEGMENTS})", name="segment"),
        CheckConstraint("old_code <> new_code", name="codes"),
        UniqueConstraint("segment", "old_code", "effective_on", "new_code", name="uq_code_succession_key"),
        Index(
            "uq_code_succession_default",
            "segment",
            "old_code",
            "effective_on",
            unique=True,
            postgresql_where=text("is_default"),
        ),
    )

    code_succession_id: UUID = uuid_key()
    segment: str = Field(sa_type=Text)
    old_code: str = Field(sa_type=Text)
    new_code: str = Field(sa_type=Text)
    effective_on: date
    is_default: bool
    legal_source: str = Field(sa_type=Text)


class BalanceCarryOverRow(FinanceTable, table=True):
    """A carry-over of an agency's balances. `carried` repeats its entries' lines, for the list."""

    __tablename__ = "balance_carry_over"
    __table_args__ = (Index("ix_balance_carry_over_list", "agency_id", "balance_carry_over_id"),)

    balance_carry_over_id: UUID = uuid_key()
    agency_id: UUID = Field(sa_type=Uuid)
    year: int
    carried: list[dict[str, Any]] = json_field()
    journal_entry_ids: list[str] = json_field()
    person_id: UUID = Field(sa_type=Uuid)
    recorded_at: datetime = instant_field()
