"""Tables of budget changes and of the rules of virement. A decided change is never edited."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, Index, Numeric, SmallInteger, Text, UniqueConstraint, Uuid
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field

from chassis.tables import instant_field, minor_field, uuid_key
from services.finance.tables import FinanceTable


class VirementRuleRow(FinanceTable, table=True):
    """One dated rule of virement; rules belong to the whole government, as the chart does."""

    __tablename__ = "virement_rule"
    __table_args__ = (
        UniqueConstraint("code", "valid_from"),
        CheckConstraint("share_max > 0 and share_max <= 1", name="share"),
    )

    virement_rule_id: UUID = uuid_key()
    code: str = Field(sa_type=Text)
    from_prefix: str = Field(sa_type=Text)
    to_prefix: str = Field(sa_type=Text)
    # [["ORGANISATION", 0], ["ACCOUNT", 3]]: the segment and how many of its levels; 0 is all of them.
    equal: list[Any] = Field(sa_type=JSONB)
    may_differ: list[str] = Field(sa_type=JSONB)
    # [["5.1.01", ""]]: the account prefixes of the giving and the receiving line; "" is any.
    bans: list[Any] = Field(sa_type=JSONB)
    share_max: Decimal | None = Field(default=None, sa_type=Numeric, nullable=True)
    approver_role: str = Field(sa_type=Text)
    legal_source: str = Field(sa_type=Text)
    valid_from: date
    valid_to: date | None = Field(default=None, nullable=True)


class BudgetChangeRow(FinanceTable, table=True):
    """One act that changes authority: PROPOSED by one person, decided by another."""

    __tablename__ = "budget_change"
    __table_args__ = (
        CheckConstraint("kind in ('SUPPLEMENTARY', 'VIREMENT', 'FREEZE', 'UNFREEZE')", name="kind"),
        CheckConstraint("status in ('PROPOSED', 'APPROVED', 'REJECTED', 'RECALLED')", name="status"),
        CheckConstraint(
            "status not in ('APPROVED', 'REJECTED') or decided_by_person_id <> proposed_by_person_id",
            name="two_persons",
        ),
        UniqueConstraint("agency_id", "fiscal_year", "document_number"),
    )

    budget_change_id: UUID = uuid_key()
    agency_id: UUID = Field(sa_type=Uuid)
    fiscal_year: int
    kind: str = Field(sa_type=Text)
    document_number: str = Field(sa_type=Text)
    legal_reference: str = Field(sa_type=Text)
    explanation: str = Field(sa_type=Text)
    status: str = Field(sa_type=Text)
    currency: str = Field(sa_type=Text)
    increase_minor: int = minor_field()
    decrease_minor: int = minor_field()
    effective_on: date
    proposed_by_person_id: UUID = Field(sa_type=Uuid)
    proposed_at: datetime = instant_field()
    decided_by_person_id: UUID | None = Field(default=None, sa_type=Uuid, nullable=True)
    decided_at: datetime | None = instant_field(nullable=True)
    decision_reason: str = Field(sa_type=Text)
    journal_entry_id: UUID | None = Field(default=None, sa_type=Uuid, nullable=True)
    version: int


class BudgetChangeLineRow(FinanceTable, table=True):
    """What one change does to one line; for a virement, one transfer from a line to a line.

    `amount_minor` of a supplementary change has its sign; of the others it is above zero. A line that the change
    brings in has its id from the proposal on, and its segments in `new_line` until the approval makes it.
    """

    __tablename__ = "budget_change_line"
    __table_args__ = (
        CheckConstraint("amount_minor <> 0", name="amount"),
        Index("ix_budget_change_line_line", "budget_line_id"),
    )

    budget_change_id: UUID = uuid_key()
    line_no: int = Field(primary_key=True, sa_type=SmallInteger, sa_column_kwargs={"autoincrement": False})
    agency_id: UUID = Field(sa_type=Uuid)
    budget_line_id: UUID = Field(sa_type=Uuid)
    from_budget_line_id: UUID | None = Field(default=None, sa_type=Uuid, nullable=True)
    amount_minor: int = minor_field()
    new_line: dict[str, Any] | None = Field(default=None, sa_type=JSONB(none_as_null=True), nullable=True)  # type: ignore[call-overload]  # SQLModel's stub knows classes only
    # The rule that the approval found, kept so that the reader sees what was relied on.
    virement_rule_id: UUID | None = Field(default=None, sa_type=Uuid, nullable=True)
