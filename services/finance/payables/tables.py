"""Tables of payables and payments. Numbers of papers come from `number_queue`, one writer a series."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, Index, Numeric, Text, UniqueConstraint, Uuid, text
from sqlmodel import Field

from chassis.tables import bigint_field, instant_field, json_field, minor_field, uuid_key
from services.finance.tables import FinanceTable


def _uuid() -> UUID:
    return Field(sa_type=Uuid)


def _optional_uuid() -> UUID | None:
    return Field(default=None, sa_type=Uuid, nullable=True)


def _number() -> Decimal:
    return Field(sa_type=Numeric)


def _optional_text() -> str | None:
    return Field(default=None, sa_type=Text, nullable=True)


class PurchaseOrderRow(FinanceTable, table=True):
    """Logistics' issued orders, as far as matching needs them. A projection: filled by events alone."""

    __tablename__ = "purchase_order"

    purchase_order_id: UUID = uuid_key()
    agency_id: UUID = _uuid()
    purchase_order_number: str = Field(sa_type=Text)
    supplier_id: UUID = _uuid()
    legal_entity_id: UUID = _uuid()
    currency: str = Field(sa_type=Text)


class PurchaseOrderLineRow(FinanceTable, table=True):
    """One order line: what was ordered (from PurchaseOrderIssued), accepted (GoodsAccepted), invoiced (here).

    The two events travel on two topics, so either may come first: `ordered` tells whether the order's own has come.
    """

    __tablename__ = "purchase_order_line"
    __table_args__ = (
        Index("ix_purchase_order_line_order", "purchase_order_id"),
        Index(
            "ix_purchase_order_line_uninvoiced",
            *("agency_id", "purchase_order_line_id"),
            postgresql_where=text("accepted_minor > returned_minor + cleared_minor"),
        ),
    )

    purchase_order_line_id: UUID = uuid_key()
    agency_id: UUID = _uuid()
    purchase_order_id: UUID = _uuid()
    budget_line_id: UUID = _uuid()
    treatment: str = Field(sa_type=Text)
    item_id: UUID | None = _optional_uuid()
    description: str = Field(sa_type=Text)
    ordered: bool
    quantity: Decimal = _number()
    unit_price: Decimal = _number()
    tax_rate: Decimal = _number()
    amount_minor: int = minor_field()
    accepted_quantity: Decimal = _number()
    accepted_minor: int = minor_field()
    cancelled_quantity: Decimal = _number()
    # Accepted value whose claim an approved invoice has named: what left received-not-invoiced.
    cleared_quantity: Decimal = _number()
    cleared_minor: int = minor_field()
    # Of an order in a foreign currency: what its received-not-invoiced stands at in the currency of the books.
    foreign_currency: str | None = _optional_text()
    uninvoiced_minor: int | None = minor_field(nullable=True)
    # And what its goods were recorded at, which no later rate changes.
    uninvoiced_cost_minor: int | None = minor_field(nullable=True)
    # Accepted and given back by credit notes.
    returned_quantity: Decimal = Field(
        default=Decimal(0), sa_type=Numeric, sa_column_kwargs={"server_default": text("0")}
    )
    returned_minor: int = Field(default=0, sa_type=BigInteger, sa_column_kwargs={"server_default": text("0")})


class GoodsReceiptRow(FinanceTable, table=True):
    """One acceptance that was accrued."""

    __tablename__ = "goods_receipt"

    receipt_id: UUID = uuid_key()
    agency_id: UUID = _uuid()
    purchase_order_id: UUID = Field(sa_type=Uuid, index=True)
    receipt_number: str = Field(sa_type=Text)
    accepted_on: date
    value_minor: int = minor_field()
    journal_entry_id: UUID = _uuid()
    recorded_at: datetime = instant_field()


class InvoiceRow(FinanceTable, table=True):
    """A creditor's invoice."""

    __tablename__ = "invoice"
    __table_args__ = (
        CheckConstraint("status in ('WAITING_RECEIPT', 'HELD', 'MATCHED', 'APPROVED', 'PAID', 'VOID')", name="status"),
        # Trust I9: the database too keeps maker and checker apart.
        CheckConstraint("approved_by_person_id <> created_by_person_id", name="maker_is_not_checker"),
        CheckConstraint("hold_released_by_person_id <> created_by_person_id", name="maker_releases_no_hold"),
        Index("ix_invoice_order", "purchase_order_id"),
        Index("ix_invoice_supplier", "agency_id", "supplier_id", "invoice_number_normalised"),
        Index("ix_invoice_list", "agency_id", "invoice_id"),
    )

    invoice_id: UUID = uuid_key()
    agency_id: UUID = _uuid()
    purchase_order_id: UUID = _uuid()
    supplier_id: UUID = _uuid()
    supplier_invoice_number: str = Field(sa_type=Text)
    invoice_number_normalised: str = Field(sa_type=Text)
    invoiced_on: date
    received_on: date
    due_on: date
    currency: str = Field(sa_type=Text)
    total_minor: int = minor_field()
    status: str = Field(sa_type=Text)
    # Shown to people; what decides is recomputed at every match.
    holds: list[dict[str, Any]] = json_field()
    created_by_person_id: UUID = _uuid()
    created_at: datetime = instant_field()
    hold_released_by_person_id: UUID | None = _optional_uuid()
    hold_release_explanation: str | None = _optional_text()
    approved_by_person_id: UUID | None = _optional_uuid()
    approved_at: datetime | None = instant_field(nullable=True)
    voided_by_person_id: UUID | None = _optional_uuid()
    void_explanation: str | None = _optional_text()
    payable_id: UUID | None = _optional_uuid()
    split_from_invoice_id: UUID | None = _optional_uuid()
    version: int


class InvoiceLineRow(FinanceTable, table=True):
    """One line of an invoice."""

    __tablename__ = "invoice_line"
    __table_args__ = (
        UniqueConstraint("invoice_id", "purchase_order_line_id"),
        Index("ix_invoice_line_order_line", "purchase_order_line_id"),
    )

    invoice_line_id: UUID = uuid_key()
    agency_id: UUID = _uuid()
    invoice_id: UUID = _uuid()
    line_no: int
    purchase_order_line_id: UUID = _uuid()
    quantity: Decimal = _number()
    unit_price: Decimal = _number()
    net_minor: int = minor_field()
    tax_minor: int = minor_field()
    # What the invoice's total was rounded by, on the line that bears it.
    rounding_minor: int = Field(default=0, sa_type=BigInteger, sa_column_kwargs={"server_default": text("0")})
    amount_minor: int = minor_field()
    variance_minor: int | None = minor_field(nullable=True)
    # Of an order in a foreign currency: what the line's goods were recorded at in that of the books, and the part of it
    # that had been received-not-invoiced.
    cost_minor: int | None = minor_field(nullable=True)
    cleared_cost_minor: int | None = minor_field(nullable=True)


class PayableRow(FinanceTable, table=True):
    """What is owed to one creditor by one document."""

    __tablename__ = "payable"
    __table_args__ = (
        CheckConstraint(
            "source in ('INVOICE', 'PAYROLL', 'EMPLOYER_CONTRIBUTION', 'PREPAYMENT', 'BILL', 'RETENTION', 'IMPREST',"
            " 'REPLENISHMENT', 'REMITTANCE', 'LATE_INTEREST')",
            name="source",
        ),
        CheckConstraint(
            "(fund_code is not null) = (source in ('IMPREST', 'REPLENISHMENT', 'REMITTANCE'))",
            name="fund_of_cash",
        ),
        CheckConstraint("status in ('OPEN', 'REQUESTED', 'ORDERED', 'PAID', 'CREDITED')", name="status"),
        CheckConstraint("amount_minor > 0 or (status = 'CREDITED' and amount_minor = 0)", name="above_zero"),
        CheckConstraint("(status in ('OPEN', 'CREDITED')) = (payment_request_id is null)", name="held_by_one_request"),
        UniqueConstraint("source", "source_document_id", "creditor"),
        Index("ix_payable_list", "agency_id", "payable_id"),
        Index("ix_payable_source_document", "source_document_id"),
        Index("ix_payable_contract", "contract_id", postgresql_where=text("contract_id is not null")),
    )

    payable_id: UUID = uuid_key()
    agency_id: UUID = _uuid()
    source: str = Field(sa_type=Text)
    source_document_id: UUID = _uuid()
    source_document_number: str = Field(sa_type=Text)
    purchase_order_id: UUID | None = _optional_uuid()
    contract_id: UUID | None = _optional_uuid()
    # The fund of cash that moves no budget line (imprests); the others have parts.
    fund_code: str | None = _optional_text()
    creditor: str = Field(sa_type=Text)
    currency: str = Field(sa_type=Text)
    amount_minor: int = minor_field()
    due_on: date
    status: str = Field(sa_type=Text)
    payment_request_id: UUID | None = _optional_uuid()
    version: int
    # What is owed in the creditor's currency: `amount_minor` is what that stands at in the currency of the books.
    foreign_currency: str | None = _optional_text()
    foreign_minor: int | None = minor_field(nullable=True)
    # What was paid by what the creditor owed: `amount_minor` is without it.
    offset_minor: int = Field(default=0, sa_type=BigInteger, sa_column_kwargs={"server_default": text("0")})


class PayablePartRow(FinanceTable, table=True):
    """Which funds position a part of a payable stands on, and what of it is the price and what the tax."""

    __tablename__ = "payable_part"
    __table_args__ = (
        # A month's end asks for the debts of document lines, which are few beside all that was ever owed.
        Index("ix_payable_part_foreign", "document_line_id", postgresql_where=text("foreign_minor is not null")),
    )

    payable_id: UUID = uuid_key()
    document_line_id: UUID = uuid_key()
    budget_line_id: UUID = uuid_key()
    agency_id: UUID = _uuid()
    amount_minor: int = minor_field()
    net_minor: int = minor_field()
    tax_minor: int = minor_field()
    foreign_minor: int | None = minor_field(nullable=True)
    # What a payment request counted into the releases (F3): a later rate does not change it.
    requested_minor: int | None = minor_field(nullable=True)


class PayableWithholdingRow(FinanceTable, table=True):
    """What is withheld from a payroll payable, by creditor."""

    __tablename__ = "payable_withholding"

    payable_id: UUID = uuid_key()
    withholding_code: str = Field(sa_type=Text, primary_key=True)
    agency_id: UUID = _uuid()
    amount_minor: int = minor_field()


class PaymentRequestRow(FinanceTable, table=True):
    """A request to pay (SPP) and its authorisation (SPM): no two steps by one person."""

    __tablename__ = "payment_request"
    __table_args__ = (
        CheckConstraint("status in ('REQUESTED', 'VERIFIED', 'AUTHORISED', 'ORDERED', 'WITHDRAWN')", name="status"),
        CheckConstraint("verified_by_person_id <> requested_by_person_id", name="verifier_is_not_requester"),
        CheckConstraint("authorised_by_person_id <> requested_by_person_id", name="authoriser_is_not_requester"),
        CheckConstraint("authorised_by_person_id <> verified_by_person_id", name="authoriser_is_not_verifier"),
        CheckConstraint("(statement_signed_on is null) = (statement_sha256 is null)", name="statement_whole"),
        CheckConstraint("statement_sha256 ~ '^[0-9a-f]{64}$'", name="statement_digest"),
        Index("ix_payment_request_list", "agency_id", "payment_request_id"),
    )

    payment_request_id: UUID = uuid_key()
    agency_id: UUID = _uuid()
    status: str = Field(sa_type=Text)
    currency: str = Field(sa_type=Text)
    amount_minor: int = minor_field()
    description: str = Field(sa_type=Text)
    requested_on: date
    requested_by_person_id: UUID = _uuid()
    requested_at: datetime = instant_field()
    verified_by_person_id: UUID | None = _optional_uuid()
    verified_at: datetime | None = instant_field(nullable=True)
    authorised_by_person_id: UUID | None = _optional_uuid()
    authorised_at: datetime | None = instant_field(nullable=True)
    # The authoriser's statement of responsibility.
    statement_signed_on: date | None = Field(default=None, nullable=True)
    statement_sha256: str | None = _optional_text()
    withdrawn_by_person_id: UUID | None = _optional_uuid()
    withdrawal_explanation: str | None = _optional_text()
    # What its payables were paid by before, by what their creditor owed.
    offset_minor: int = Field(default=0, sa_type=BigInteger, sa_column_kwargs={"server_default": text("0")})
    request_number: str | None = _optional_text()
    authorisation_number: str | None = _optional_text()
    payment_order_id: UUID | None = _optional_uuid()
    version: int


class PaymentRequestItemRow(FinanceTable, table=True):
    """What a request asks to pay; stays when the request is withdrawn."""

    __tablename__ = "payment_request_item"
    __table_args__ = (Index("ix_payment_request_item_payable", "payable_id"),)

    payment_request_id: UUID = uuid_key()
    payable_id: UUID = uuid_key()
    agency_id: UUID = _uuid()
    amount_minor: int = minor_field()


class PaymentOrderRow(FinanceTable, table=True):
    """A payment order (SP2D). UNNUMBERED until the numberer came by; only a numbered one may be debited."""

    __tablename__ = "payment_order"
    __table_args__ = (
        CheckConstraint("status in ('UNNUMBERED', 'ISSUED', 'DEBITED', 'REJECTED', 'STOPPED')", name="status"),
        CheckConstraint("(status = 'UNNUMBERED') = (order_number is null)", name="numbered_before_the_bank"),
        CheckConstraint("gross_minor > 0 and net_minor >= 0 and net_minor <= gross_minor", name="amounts"),
        Index("ix_payment_order_list", "agency_id", "payment_order_id"),
        Index("ix_payment_order_request", "payment_request_id"),
        # A bank's entry is looked for by its amount.
        Index("ix_payment_order_net", "treasury_agency_id", "net_minor"),
        Index(
            "ix_payment_order_waiting",
            *("treasury_agency_id", "issued_on"),
            postgresql_where=text("status = 'ISSUED'"),
        ),
        Index(
            "uq_payment_order_number",
            *("treasury_agency_id", "order_number"),
            unique=True,
            postgresql_where=text("order_number is not null"),
        ),
    )

    payment_order_id: UUID = uuid_key()
    agency_id: UUID = _uuid()
    treasury_agency_id: UUID = _uuid()
    payment_request_id: UUID = _uuid()
    status: str = Field(sa_type=Text)
    currency: str = Field(sa_type=Text)
    gross_minor: int = minor_field()
    net_minor: int = minor_field()
    issued_on: date
    issued_by_person_id: UUID = _uuid()
    issued_at: datetime = instant_field()
    order_number: str | None = _optional_text()
    value_date: date | None = Field(default=None, nullable=True)
    bank_reference: str | None = _optional_text()
    bank_recorded_by_person_id: UUID | None = _optional_uuid()
    rejection_explanation: str | None = _optional_text()
    agency_entry_id: UUID = _uuid()
    treasury_entry_id: UUID = _uuid()
    version: int
    # What is to be paid in the creditor's currency, and what then really left in the currency of the books.
    foreign_currency: str | None = _optional_text()
    foreign_minor: int | None = minor_field(nullable=True)
    debited_minor: int | None = minor_field(nullable=True)


class PaymentOrderItemRow(FinanceTable, table=True):
    """What an order pays; stays when the bank rejects it."""

    __tablename__ = "payment_order_item"
    __table_args__ = (Index("ix_payment_order_item_payable", "payable_id"),)

    payment_order_id: UUID = uuid_key()
    payable_id: UUID = uuid_key()
    agency_id: UUID = _uuid()
    amount_minor: int = minor_field()


class PaymentOrderWithholdingRow(FinanceTable, table=True):
    """What an order withholds for others."""

    __tablename__ = "payment_order_withholding"

    payment_order_id: UUID = uuid_key()
    withholding_code: str = Field(sa_type=Text, primary_key=True)
    agency_id: UUID = _uuid()
    amount_minor: int = minor_field()


class StockPostingRow(FinanceTable, table=True):
    """One numbered stock movement of an agency that the books hold: by its receipt, its invoice or itself."""

    __tablename__ = "stock_posting"

    agency_id: UUID = uuid_key()
    stock_movement_number: int = Field(sa_type=BigInteger, primary_key=True, sa_column_kwargs={"autoincrement": False})
    stock_movement_id: UUID = _uuid()
    kind: str = Field(sa_type=Text)
    item_id: UUID | None = _optional_uuid()
    fund_code: str = Field(sa_type=Text)
    value_minor: int = minor_field()
    journal_entry_id: UUID | None = _optional_uuid()
    invoice_id: UUID | None = _optional_uuid()
    recorded_at: datetime = instant_field()


class StockCutRow(FinanceTable, table=True):
    """How far an agency's stock movements are in the books: `posted_number` is the cut, without a gap below."""

    __tablename__ = "stock_cut"

    agency_id: UUID = uuid_key()
    seen_number: int = bigint_field()
    posted_number: int = bigint_field()


class StockVarianceRow(FinanceTable, table=True):
    """A price variance that an invoice put on stock; `numbered` once logistics has published its movement."""

    __tablename__ = "stock_variance"

    invoice_id: UUID = uuid_key()
    purchase_order_line_id: UUID = uuid_key()
    agency_id: UUID = _uuid()
    variance_minor: int = minor_field()
    numbered: bool


class NumberSeriesRow(FinanceTable, table=True):
    """A gap-free series of numbers of one entity, kind and year. Its row is the one writer's lock."""

    __tablename__ = "number_series"

    entity_id: UUID = uuid_key()
    kind: str = Field(sa_type=Text, primary_key=True)
    year: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    last_number: int = bigint_field()
    last_numbered_on: date | None = Field(default=None, nullable=True)


class NumberQueueRow(FinanceTable, table=True):
    """A paper that waits for its number, or has it. Not behind the agency wall: the numberer serves all agencies.

    It holds ids and numbers only. `paper_agency_id` is the agency whose transaction writes the paper itself.
    """

    __tablename__ = "number_queue"
    __table_args__ = (
        CheckConstraint(
            "kind in ('PAYMENT_REQUEST', 'PAYMENT_AUTHORISATION', 'PAYMENT_ORDER', 'WITHHOLDING_SLIP')", name="kind"
        ),
        UniqueConstraint("kind", "document_id"),
        UniqueConstraint("entity_id", "kind", "year", "number"),
        Index(
            "ix_number_queue_waiting",
            *("entity_id", "kind", "year", "approved_at"),
            postgresql_where=text("number is null"),
        ),
    )

    number_queue_id: UUID = uuid_key()
    entity_id: UUID = _uuid()
    kind: str = Field(sa_type=Text)
    year: int
    document_id: UUID = _uuid()
    paper_agency_id: UUID = _uuid()
    approved_at: datetime = instant_field()
    number: int | None = bigint_field(nullable=True)
    numbered_on: date | None = Field(default=None, nullable=True)
