"""Tables of contracts that are paid by bills. All behind the agency wall."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from uuid import UUID

from sqlalchemy import CheckConstraint, Index, Numeric, Text, UniqueConstraint, Uuid, text
from sqlmodel import Field

from chassis.tables import instant_field, minor_field, uuid_key
from services.finance.tables import FinanceTable


def _uuid() -> UUID:
    return Field(sa_type=Uuid)


def _optional_uuid() -> UUID | None:
    return Field(default=None, sa_type=Uuid, nullable=True)


class ContractTermsRow(FinanceTable, table=True):
    """How a contract is paid; its lines carry the sums to date."""

    __tablename__ = "contract_terms"
    __table_args__ = (
        CheckConstraint("retention_kind in ('WITHHELD', 'GUARANTEE')", name="retention_kind"),
        CheckConstraint("price_minor > 0 and prepayment_limit_minor between 0 and price_minor", name="amounts"),
        CheckConstraint("retention_rate >= 0 and retention_rate < 1 and tax_rate >= 0", name="rates"),
        UniqueConstraint("contract_id"),
        Index("ix_contract_terms_list", "agency_id", "contract_terms_id"),
    )

    contract_terms_id: UUID = uuid_key()
    agency_id: UUID = _uuid()
    contract_id: UUID = _uuid()
    contract_number: str = Field(sa_type=Text)
    supplier_id: UUID = _uuid()
    supplier_class: str = Field(sa_type=Text)
    retention_kind: str = Field(sa_type=Text)
    signed_on: date
    maintenance_until: date
    tax_rate: Decimal = Field(sa_type=Numeric)
    retention_rate: Decimal = Field(sa_type=Numeric)
    currency: str = Field(sa_type=Text)
    # The currency of its budget lines, when that is another one: amounts of terms and bills are in `currency`.
    functional_currency: str | None = Field(default=None, sa_type=Text, nullable=True)
    price_minor: int = minor_field()
    prepayment_limit_minor: int = minor_field()
    created_by_person_id: UUID = _uuid()
    created_at: datetime = instant_field()
    version: int


class ContractLineRow(FinanceTable, table=True):
    """One line of a contract: an obligation on one budget line."""

    __tablename__ = "contract_line"
    __table_args__ = (
        CheckConstraint(
            "price_minor > 0 and least(billed_minor, recovered_minor, retained_minor) >= 0"
            " and billed_minor <= price_minor and recovered_minor + retained_minor <= billed_minor",
            name="within_the_price",
        ),
    )

    contract_id: UUID = uuid_key()
    document_line_id: UUID = uuid_key()
    agency_id: UUID = _uuid()
    budget_line_id: UUID = _uuid()
    price_minor: int = minor_field()
    billed_minor: int = minor_field()
    recovered_minor: int = minor_field()
    retained_minor: int = minor_field()
    # What `recovered_minor` stood at in the currency of the books, of a contract in another one; at first none.
    recovered_worth_minor: int | None = minor_field(nullable=True)


class PrepaymentRow(FinanceTable, table=True):
    """An advance on a contract. What of it was debited its payable knows."""

    __tablename__ = "prepayment"
    __table_args__ = (
        CheckConstraint("amount_minor > 0 and guarantee_minor >= amount_minor", name="guaranteed"),
        Index("ix_prepayment_list", "agency_id", "prepayment_id"),
        Index("ix_prepayment_contract", "contract_id"),
    )

    prepayment_id: UUID = uuid_key()
    agency_id: UUID = _uuid()
    contract_id: UUID = _uuid()
    currency: str = Field(sa_type=Text)
    amount_minor: int = minor_field()
    claimed_on: date
    guarantee_number: str = Field(sa_type=Text)
    guarantee_minor: int = minor_field()
    guarantee_valid_until: date
    payable_id: UUID = _uuid()
    created_by_person_id: UUID = _uuid()
    created_at: datetime = instant_field()


class BillRow(FinanceTable, table=True):
    """A bill for work done; certified by another person than who registered it."""

    __tablename__ = "bill"
    __table_args__ = (
        CheckConstraint("status in ('REGISTERED', 'CERTIFIED', 'REJECTED')", name="status"),
        CheckConstraint("decided_by_person_id <> created_by_person_id", name="certifier_is_not_maker"),
        CheckConstraint("(status = 'CERTIFIED') = (journal_entry_id is not null)", name="certified_is_posted"),
        # A bill that was sent back may come again under its number.
        Index(
            "uq_bill_number",
            *("contract_id", "bill_number"),
            unique=True,
            postgresql_where=text("status <> 'REJECTED'"),
        ),
        Index("ix_bill_list", "agency_id", "bill_id"),
    )

    bill_id: UUID = uuid_key()
    agency_id: UUID = _uuid()
    contract_id: UUID = _uuid()
    bill_number: str = Field(sa_type=Text)
    description: str = Field(sa_type=Text)
    billed_on: date
    final: bool
    currency: str = Field(sa_type=Text)
    gross_minor: int = minor_field()
    status: str = Field(sa_type=Text)
    created_by_person_id: UUID = _uuid()
    created_at: datetime = instant_field()
    certified_on: date | None = Field(default=None, nullable=True)
    decided_by_person_id: UUID | None = _optional_uuid()
    decided_at: datetime | None = instant_field(nullable=True)
    rejection_explanation: str | None = Field(default=None, sa_type=Text, nullable=True)
    payable_id: UUID | None = _optional_uuid()
    retention_payable_id: UUID | None = _optional_uuid()
    journal_entry_id: UUID | None = _optional_uuid()
    version: int


class BillLineRow(FinanceTable, table=True):
    """One line of a bill; recovery and retention are set when it is certified."""

    __tablename__ = "bill_line"
    __table_args__ = (CheckConstraint("gross_minor > 0", name="above_zero"),)

    bill_id: UUID = uuid_key()
    document_line_id: UUID = uuid_key()
    agency_id: UUID = _uuid()
    gross_minor: int = minor_field()
    recovered_minor: int = minor_field()
    retained_minor: int = minor_field()
    recovered_worth_minor: int | None = minor_field(nullable=True)
