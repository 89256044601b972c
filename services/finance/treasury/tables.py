"""Tables of the treasury. `agency_id` is the treasury's entity, except on payee accounts: there it is who owes."""

from __future__ import annotations

from datetime import date, datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, Index, LargeBinary, Text, UniqueConstraint, Uuid, text
from sqlmodel import Field

from chassis.tables import bigint_field, instant_field, minor_field, uuid_key
from services.finance.tables import FinanceTable

NUMBER_KINDS = "number_kind in ('IBAN', 'LOCAL')"
SAYS_WHICH_BANK = "bic is not null or clearing_code is not null"


def _uuid() -> UUID:
    return Field(sa_type=Uuid)


def _optional_uuid() -> UUID | None:
    return Field(default=None, sa_type=Uuid, nullable=True)


def _text() -> str:
    return Field(sa_type=Text)


def _optional_text() -> str | None:
    return Field(default=None, sa_type=Text, nullable=True)


class BankAccountRow(FinanceTable, table=True):
    """An account of the treasury and the cash account that mirrors it."""

    __tablename__ = "bank_account"
    __table_args__ = (
        CheckConstraint(NUMBER_KINDS, name="number_kind"),
        CheckConstraint(SAYS_WHICH_BANK, name="says_which_bank"),
        CheckConstraint("valid_to > valid_from", name="days"),
        Index("ix_bank_account_list", "agency_id", "bank_account_id"),
    )

    bank_account_id: UUID = uuid_key()
    agency_id: UUID = _uuid()
    account_code: str = _text()
    display_name: str = _text()
    holder_name: str = _text()
    account_number: str = _text()
    number_kind: str = _text()
    bic: str | None = _optional_text()
    clearing_code: str | None = _optional_text()
    currency: str = _text()
    valid_from: date
    valid_to: date | None = Field(default=None, nullable=True)
    created_by_person_id: UUID = _uuid()
    created_at: datetime = instant_field()
    version: int


class PayeeAccountRow(FinanceTable, table=True):
    """Where an agency pays a creditor. Holds once a second person has approved it."""

    __tablename__ = "payee_account"
    __table_args__ = (
        CheckConstraint(NUMBER_KINDS, name="number_kind"),
        CheckConstraint(SAYS_WHICH_BANK, name="says_which_bank"),
        CheckConstraint("status in ('PROPOSED', 'APPROVED')", name="status"),
        CheckConstraint("approved_by_person_id <> created_by_person_id", name="maker_is_not_checker"),
        CheckConstraint("valid_to >= valid_from", name="days"),
        Index("ix_payee_account_creditor", "agency_id", "creditor"),
    )

    payee_account_id: UUID = uuid_key()
    agency_id: UUID = _uuid()
    creditor: str = _text()
    holder_name: str = _text()
    account_number: str = _text()
    number_kind: str = _text()
    bic: str | None = _optional_text()
    clearing_code: str | None = _optional_text()
    currency: str = _text()
    valid_from: date
    valid_to: date | None = Field(default=None, nullable=True)
    status: str = _text()
    created_by_person_id: UUID = _uuid()
    created_at: datetime = instant_field()
    approved_by_person_id: UUID | None = _optional_uuid()
    approved_at: datetime | None = instant_field(nullable=True)
    version: int


class PaymentRunRow(FinanceTable, table=True):
    """Payments that go to the bank in one file."""

    __tablename__ = "payment_run"
    __table_args__ = (
        CheckConstraint("status in ('DRAFT', 'APPROVED', 'EXPORTED', 'CANCELLED')", name="status"),
        CheckConstraint("approved_by_person_id <> created_by_person_id", name="maker_is_not_checker"),
        CheckConstraint("(status = 'EXPORTED') = (file_sha256 is not null)", name="exported_with_its_hash"),
        Index("ix_payment_run_list", "agency_id", "payment_run_id"),
    )

    payment_run_id: UUID = uuid_key()
    agency_id: UUID = _uuid()
    bank_account_id: UUID = _uuid()
    status: str = _text()
    execution_on: date
    currency: str = _text()
    cash_limit_minor: int | None = minor_field(nullable=True)
    total_minor: int = minor_field()
    instruction_count: int
    created_by_person_id: UUID = _uuid()
    created_at: datetime = instant_field()
    approved_by_person_id: UUID | None = _optional_uuid()
    approved_at: datetime | None = instant_field(nullable=True)
    cancelled_by_person_id: UUID | None = _optional_uuid()
    cancellation_explanation: str | None = _optional_text()
    exported_by_person_id: UUID | None = _optional_uuid()
    file_format: str | None = _optional_text()
    file_name: str | None = _optional_text()
    file_sha256: str | None = _optional_text()
    version: int


class PaymentRunFileRow(FinanceTable, table=True):
    """The very bytes that a run was exported as."""

    __tablename__ = "payment_run_file"

    payment_run_id: UUID = uuid_key()
    agency_id: UUID = _uuid()
    content: bytes = Field(sa_type=LargeBinary)


class PaymentInstructionRow(FinanceTable, table=True):
    """One payment of a run, with the payee account as it was when the run was made."""

    __tablename__ = "payment_instruction"
    __table_args__ = (
        CheckConstraint(
            "status in ('IN_RUN', 'SENT', 'ACCEPTED', 'DEBITED', 'REJECTED', 'RETURNED', 'CANCELLED')", name="status"
        ),
        CheckConstraint("live = (status in ('IN_RUN', 'SENT', 'ACCEPTED'))", name="live"),
        CheckConstraint("amount_minor > 0", name="above_zero"),
        # An order is in one live run only, whatever runs at the same time.
        Index("uq_payment_instruction_live", "payment_order_id", unique=True, postgresql_where=text("live")),
        Index("ix_payment_instruction_run", "payment_run_id", "position"),
        Index("ix_payment_instruction_order", "payment_order_id"),
    )

    payment_instruction_id: UUID = uuid_key()
    agency_id: UUID = _uuid()
    payment_run_id: UUID = _uuid()
    paying_agency_id: UUID = _uuid()
    payment_order_id: UUID = _uuid()
    payment_return_id: UUID | None = _optional_uuid()
    position: int
    order_number: str = _text()
    priority: int
    due_on: date
    currency: str = _text()
    amount_minor: int = minor_field()
    payee_account_id: UUID = _uuid()
    payee_name: str = _text()
    payee_number: str = _text()
    payee_number_kind: str = _text()
    payee_bic: str | None = _optional_text()
    payee_clearing_code: str | None = _optional_text()
    status: str = _text()
    live: bool
    bank_reference: str | None = _optional_text()
    version: int


class PaymentOmissionRow(FinanceTable, table=True):
    """An order that was asked for or due, and is not in the run."""

    __tablename__ = "payment_omission"

    payment_run_id: UUID = uuid_key()
    payment_order_id: UUID = uuid_key()
    agency_id: UUID = _uuid()
    order_number: str | None = _optional_text()
    currency: str = _text()
    amount_minor: int = minor_field()
    reason: str = _text()


class BankFileRow(FinanceTable, table=True):
    """A file that the bank sent, as it was. Its hash makes a second import the first one's repeat."""

    __tablename__ = "bank_file"
    __table_args__ = (
        CheckConstraint("format in ('PAIN_002', 'CAMT_053', 'CAMT_054')", name="format"),
        UniqueConstraint("agency_id", "sha256"),
    )

    bank_file_id: UUID = uuid_key()
    agency_id: UUID = _uuid()
    sha256: str = _text()
    format: str = _text()
    message_id: str = _text()
    file_name: str = _text()
    content: bytes = Field(sa_type=LargeBinary)
    byte_count: int
    ignored_count: int
    imported_by_person_id: UUID = _uuid()
    imported_at: datetime = instant_field()


class BankStatementRow(FinanceTable, table=True):
    """A statement; `position` numbers an account's statements without a gap, each opening where the last closed."""

    __tablename__ = "bank_statement"
    __table_args__ = (
        UniqueConstraint("bank_account_id", "position"),
        UniqueConstraint("bank_account_id", "statement_reference"),
    )

    bank_statement_id: UUID = uuid_key()
    agency_id: UUID = _uuid()
    bank_account_id: UUID = _uuid()
    bank_file_id: UUID = _uuid()
    statement_reference: str = _text()
    sequence_number: str | None = _optional_text()
    position: int = bigint_field()
    currency: str = _text()
    opened_on: date
    closed_on: date
    opening_minor: int = minor_field()
    closing_minor: int = minor_field()
    entry_count: int


class BankEntryRow(FinanceTable, table=True):
    """A booked entry of a bank account. A notification and a statement may both tell it; it is one row."""

    __tablename__ = "bank_entry"
    __table_args__ = (
        CheckConstraint("direction in ('DEBIT', 'CREDIT')", name="direction"),
        CheckConstraint("status in ('MATCHED', 'UNMATCHED')", name="status"),
        CheckConstraint("amount_minor > 0", name="above_zero"),
        CheckConstraint("(status = 'MATCHED') = (journal_entry_id is not null)", name="matched_with_the_books"),
        UniqueConstraint("bank_account_id", "entry_key"),
        # One entry of the bank explains one entry of the books.
        Index(
            "uq_bank_entry_journal",
            "journal_entry_id",
            unique=True,
            postgresql_where=text("journal_entry_id is not null"),
        ),
        Index("ix_bank_entry_unmatched", "agency_id", "bank_entry_id", postgresql_where=text("status = 'UNMATCHED'")),
        Index("ix_bank_entry_statement", "bank_statement_id"),
        Index("ix_bank_entry_list", "bank_account_id", "bank_entry_id"),
    )

    bank_entry_id: UUID = uuid_key()
    agency_id: UUID = _uuid()
    bank_account_id: UUID = _uuid()
    bank_file_id: UUID = _uuid()
    bank_statement_id: UUID | None = _optional_uuid()
    entry_key: str = _text()
    bank_reference: str = _text()
    end_to_end_id: str = _text()
    remittance: str = _text()
    transaction_code: str = Field(default="", sa_type=Text, sa_column_kwargs={"server_default": text("''")})
    currency: str = _text()
    amount_minor: int = minor_field()
    direction: str = _text()
    booked_on: date
    value_on: date
    status: str = _text()
    outcome: str = _text()
    explanation: str = _text()
    payment_order_id: UUID | None = _optional_uuid()
    payment_return_id: UUID | None = _optional_uuid()
    journal_entry_id: UUID | None = _optional_uuid()
    matched_by_person_id: UUID | None = _optional_uuid()
    match_explanation: str | None = _optional_text()
    version: int


class BankAnswerRow(FinanceTable, table=True):
    """What one status or entry of a file came to, when the file was taken in. Never edited."""

    __tablename__ = "bank_answer"

    bank_file_id: UUID = uuid_key()
    position: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    agency_id: UUID = _uuid()
    end_to_end_id: str = _text()
    payment_instruction_id: UUID | None = _optional_uuid()
    payment_order_id: UUID | None = _optional_uuid()
    bank_entry_id: UUID | None = _optional_uuid()
    status_code: str = _text()
    reason_code: str = _text()
    outcome: str = _text()
    explanation: str = _text()


class PaymentReturnRow(FinanceTable, table=True):
    """A debited payment that came back: the claim lives on in RTN until it is paid again."""

    __tablename__ = "payment_return"
    __table_args__ = (
        CheckConstraint("status in ('RETURNED', 'REISSUED', 'PAID')", name="status"),
        CheckConstraint("(status = 'RETURNED') = (payee_account_id is null)", name="reissued_to_an_account"),
        UniqueConstraint("payment_order_id", "bank_reference"),
        Index("uq_payment_return_open", "payment_order_id", unique=True, postgresql_where=text("status <> 'PAID'")),
        Index(
            "uq_payment_return_instruction",
            "returned_instruction_id",
            unique=True,
            postgresql_where=text("returned_instruction_id is not null"),
        ),
        Index("ix_payment_return_list", "agency_id", "payment_return_id"),
    )

    payment_return_id: UUID = uuid_key()
    agency_id: UUID = _uuid()
    paying_agency_id: UUID = _uuid()
    payment_order_id: UUID = _uuid()
    returned_instruction_id: UUID | None = _optional_uuid()
    order_number: str = _text()
    currency: str = _text()
    amount_minor: int = minor_field()
    returned_on: date
    explanation: str = _text()
    bank_reference: str = _text()
    status: str = _text()
    account_code: str = _text()
    payee_account_id: UUID | None = _optional_uuid()
    recorded_by_person_id: UUID = _uuid()
    recorded_at: datetime = instant_field()
    reissued_by_person_id: UUID | None = _optional_uuid()
    reissued_on: date | None = Field(default=None, nullable=True)
    return_entry_id: UUID = _uuid()
    reissue_entry_id: UUID | None = _optional_uuid()
    debit_entry_id: UUID | None = _optional_uuid()
    paid_on: date | None = Field(default=None, nullable=True)
    version: int
