"""Tables of credit notes. Behind the agency wall."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, Index, Numeric, Text, UniqueConstraint, Uuid, text
from sqlmodel import Field

from chassis.tables import instant_field, minor_field, uuid_key
from services.finance.tables import FinanceTable


class CreditNoteRow(FinanceTable, table=True):
    """A creditor's credit note on one invoice; approved by another person than who registered it."""

    __tablename__ = "credit_note"
    __table_args__ = (
        CheckConstraint("kind in ('RETURN', 'PRICE')", name="kind"),
        CheckConstraint(
            "status in ('REGISTERED', 'APPROVED', 'RECEIVABLE', 'REFUNDED', 'OFFSET', 'WITHDRAWN')", name="status"
        ),
        CheckConstraint("approved_by_person_id <> created_by_person_id", name="maker_is_not_checker"),
        CheckConstraint("total_minor > 0", name="above_zero"),
        CheckConstraint(
            "(status in ('APPROVED', 'RECEIVABLE', 'REFUNDED', 'OFFSET')) = (journal_entry_id is not null)",
            name="approved_is_posted",
        ),
        CheckConstraint("(status = 'REFUNDED') = (bank_reference is not null)", name="refunded_by_the_bank"),
        CheckConstraint("withheld_minor between 0 and total_minor", name="something_comes"),
        Index("ix_credit_note_invoice", "invoice_id"),
        Index("ix_credit_note_list", "agency_id", "credit_note_id"),
        # A withdrawn note may come again under its number.
        Index(
            "uq_credit_note_number",
            *("agency_id", "supplier_id", "number_normalised"),
            unique=True,
            postgresql_where=text("status <> 'WITHDRAWN'"),
        ),
    )

    credit_note_id: UUID = uuid_key()
    agency_id: UUID = Field(sa_type=Uuid)
    invoice_id: UUID = Field(sa_type=Uuid)
    purchase_order_id: UUID = Field(sa_type=Uuid)
    supplier_id: UUID = Field(sa_type=Uuid)
    credit_note_number: str = Field(sa_type=Text)
    number_normalised: str = Field(sa_type=Text)
    kind: str = Field(sa_type=Text)
    replaced: bool
    description: str = Field(sa_type=Text)
    credited_on: date
    currency: str = Field(sa_type=Text)
    total_minor: int = minor_field()
    status: str = Field(sa_type=Text)
    created_by_person_id: UUID = Field(sa_type=Uuid)
    created_at: datetime = instant_field()
    approved_by_person_id: UUID | None = Field(default=None, sa_type=Uuid, nullable=True)
    approved_at: datetime | None = instant_field(nullable=True)
    journal_entry_id: UUID | None = Field(default=None, sa_type=Uuid, nullable=True)
    withdrawn_by_person_id: UUID | None = Field(default=None, sa_type=Uuid, nullable=True)
    withdrawal_explanation: str | None = Field(default=None, sa_type=Text, nullable=True)
    refunded_on: date | None = Field(default=None, nullable=True)
    refunded_by_person_id: UUID | None = Field(default=None, sa_type=Uuid, nullable=True)
    treasury_agency_id: UUID | None = Field(default=None, sa_type=Uuid, nullable=True)
    bank_reference: str | None = Field(default=None, sa_type=Text, nullable=True)
    # The refund came after the year of the expenditure.
    earlier_year: bool = Field(default=False, sa_column_kwargs={"server_default": text("false")})
    version: int
    # Of a note in another currency than the books': theirs, and what really came back in it.
    functional_currency: str | None = Field(default=None, sa_type=Text, nullable=True)
    refunded_minor: int | None = minor_field(nullable=True)
    # Of the total, what was tax withheld from the payment: it is withheld no more, and does not come from the creditor.
    withheld_minor: int = Field(default=0, sa_type=BigInteger, sa_column_kwargs={"server_default": text("0")})


class CreditNoteLineRow(FinanceTable, table=True):
    """What a credit note takes back of one invoice line: `amount` = `cleared` + `variance`."""

    __tablename__ = "credit_note_line"
    __table_args__ = (
        CheckConstraint("amount_minor = cleared_minor + variance_minor", name="adds_up"),
        CheckConstraint("amount_minor >= 0 and tax_minor between 0 and amount_minor", name="amounts"),
        UniqueConstraint("credit_note_id", "line_no"),
        Index("ix_credit_note_line_order_line", "purchase_order_line_id"),
    )

    credit_note_id: UUID = uuid_key()
    purchase_order_line_id: UUID = uuid_key()
    agency_id: UUID = Field(sa_type=Uuid)
    line_no: int
    quantity: Decimal = Field(sa_type=Numeric)
    amount_minor: int = minor_field()
    tax_minor: int = minor_field()
    # What the note's total was rounded by, on the line that bears it.
    rounding_minor: int = Field(default=0, sa_type=BigInteger, sa_column_kwargs={"server_default": text("0")})
    cleared_minor: int = minor_field()
    variance_minor: int = minor_field()
    # By how much the line's Σ (invoice price - order price) × quantity falls, in units of the currency.
    price_difference: Decimal = Field(sa_type=Numeric)
    # In the currency of the books, when that is another one: what the payable lost by it, or what is owed back stands
    # at; what its goods were recorded at, and the part of that which had been received-not-invoiced.
    carried_minor: int | None = minor_field(nullable=True)
    cost_minor: int | None = minor_field(nullable=True)
    cleared_cost_minor: int | None = minor_field(nullable=True)
