"""Tables of imprests. All behind the agency wall."""

from __future__ import annotations

from datetime import date, datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, Index, Text, Uuid, text
from sqlmodel import Field

from chassis.tables import instant_field, minor_field, uuid_key
from services.finance.tables import FinanceTable


def _uuid() -> UUID:
    return Field(sa_type=Uuid)


def _optional_uuid() -> UUID | None:
    return Field(default=None, sa_type=Uuid, nullable=True)


class ImprestRow(FinanceTable, table=True):
    """Cash that a unit holds. Its cash is found from payables and vouchers, never stored."""

    __tablename__ = "imprest"
    __table_args__ = (
        CheckConstraint("kind in ('STANDING', 'ADDITIONAL')", name="kind"),
        CheckConstraint("status in ('OPEN', 'SETTLED')", name="status"),
        CheckConstraint("amount_minor > 0 and returned_minor >= 0", name="amounts"),
        Index("ix_imprest_list", "agency_id", "imprest_id"),
        Index(
            "uq_imprest_standing",
            *("agency_id", "fiscal_year"),
            unique=True,
            postgresql_where=text("kind = 'STANDING'"),
        ),
        Index(
            "uq_imprest_additional_open",
            "agency_id",
            unique=True,
            postgresql_where=text("kind = 'ADDITIONAL' and status = 'OPEN'"),
        ),
    )

    imprest_id: UUID = uuid_key()
    agency_id: UUID = _uuid()
    kind: str = Field(sa_type=Text)
    fiscal_year: int
    fund_code: str = Field(sa_type=Text)
    currency: str = Field(sa_type=Text)
    holder_person_id: UUID = _uuid()
    amount_minor: int = minor_field()
    claimed_on: date
    due_on: date | None = Field(default=None, nullable=True)
    status: str = Field(sa_type=Text)
    payable_id: UUID = _uuid()
    returned_minor: int = minor_field()
    settled_on: date | None = Field(default=None, nullable=True)
    settled_by_person_id: UUID | None = _optional_uuid()
    bank_reference: str | None = Field(default=None, sa_type=Text, nullable=True)
    created_by_person_id: UUID = _uuid()
    created_at: datetime = instant_field()
    version: int


class ImprestLineRow(FinanceTable, table=True):
    """A budget line that an additional imprest reserved."""

    __tablename__ = "imprest_line"

    imprest_id: UUID = uuid_key()
    budget_line_id: UUID = uuid_key()
    agency_id: UUID = _uuid()
    document_line_id: UUID = _uuid()
    amount_minor: int = minor_field()


class ImprestVoucherRow(FinanceTable, table=True):
    """A purchase from an imprest: approved by one person, paid by the holder."""

    __tablename__ = "imprest_voucher"
    __table_args__ = (
        CheckConstraint("status in ('APPROVED', 'PAID', 'CLAIMED', 'VALIDATED', 'CANCELLED')", name="status"),
        CheckConstraint("amount_minor > 0 and paid_minor between 0 and amount_minor", name="amounts"),
        CheckConstraint("paid_by_person_id <> created_by_person_id", name="payer_is_not_approver"),
        Index("ix_imprest_voucher_list", "agency_id", "imprest_voucher_id"),
        Index("ix_imprest_voucher_imprest", "imprest_id"),
        Index("ix_imprest_voucher_payable", "payable_id", postgresql_where=text("payable_id is not null")),
    )

    imprest_voucher_id: UUID = uuid_key()
    agency_id: UUID = _uuid()
    imprest_id: UUID = _uuid()
    budget_line_id: UUID = _uuid()
    document_line_id: UUID = _uuid()
    amount_minor: int = minor_field()
    payee: str = Field(sa_type=Text)
    description: str = Field(sa_type=Text)
    approved_on: date
    status: str = Field(sa_type=Text)
    paid_minor: int = minor_field()
    paid_on: date | None = Field(default=None, nullable=True)
    paid_by_person_id: UUID | None = _optional_uuid()
    journal_entry_id: UUID | None = _optional_uuid()
    payable_id: UUID | None = _optional_uuid()
    cancel_explanation: str | None = Field(default=None, sa_type=Text, nullable=True)
    created_by_person_id: UUID = _uuid()
    created_at: datetime = instant_field()


class ImprestReplenishmentRow(FinanceTable, table=True):
    """A claim of the paid vouchers of a standing imprest."""

    __tablename__ = "imprest_replenishment"
    __table_args__ = (Index("ix_imprest_replenishment_imprest", "imprest_id"),)

    imprest_replenishment_id: UUID = uuid_key()
    agency_id: UUID = _uuid()
    imprest_id: UUID = _uuid()
    payable_id: UUID = _uuid()
    amount_minor: int = minor_field()
    claimed_on: date
    created_by_person_id: UUID = _uuid()
    created_at: datetime = instant_field()
