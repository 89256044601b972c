"""The table of lines between the funds of an agency."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import CheckConstraint, Index, SmallInteger, Text, Uuid
from sqlmodel import Field

from chassis.tables import uuid_key
from services.finance.tables import FinanceTable


class InterfundLineRow(FinanceTable, table=True):
    """A journal line that says what its fund and another one owe each other. Only ever added, with its line.

    Beside the lines, so that the many that are between no funds bear nothing for the few that are. `basis` and
    `fund_code` are the line's.
    """

    __tablename__ = "interfund_line"
    __table_args__ = (
        CheckConstraint("fund_code <> counterpart_fund_code", name="two_funds"),
        Index("ix_interfund_line_pair", "agency_id", "fund_code", "counterpart_fund_code", "basis"),
    )

    journal_entry_id: UUID = uuid_key()
    line_no: int = Field(primary_key=True, sa_type=SmallInteger, sa_column_kwargs={"autoincrement": False})
    agency_id: UUID = Field(sa_type=Uuid)
    basis: str = Field(sa_type=Text)
    fund_code: str = Field(sa_type=Text)
    counterpart_fund_code: str = Field(sa_type=Text)
