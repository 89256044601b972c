"""Payables' later acts: credit notes and refunds, split invoices, invoices as XML, withholding slips."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from chassis import migrate

revision = "finance_0009"
down_revision = "finance_0008"


def upgrade() -> None:
    """Make the tables, put them behind the agency wall, and let payables shrink."""
    _let_payables_shrink()
    _create_credit_notes()
    _create_invoice_documents()
    _create_withholding_slips()
    migrate.secure(op, "finance", "credit_note")
    migrate.secure(op, "finance", "credit_note_line", app="select, insert")
    migrate.secure(op, "finance", "invoice_document", app="select, insert")
    migrate.secure(op, "finance", "withholding_slip")


def downgrade() -> None:
    """What was taken back of an invoice is not forgotten: restore a backup instead."""
    raise NotImplementedError("credit notes are not taken back; restore a backup")


def _let_payables_shrink() -> None:
    op.add_column(
        "purchase_order_line", sa.Column("returned_quantity", sa.Numeric(), server_default=sa.text("0"), nullable=False)
    )
    op.add_column(
        "purchase_order_line", sa.Column("returned_minor", sa.BigInteger(), server_default=sa.text("0"), nullable=False)
    )
    for name, rule in (
        ("status", "status in ('OPEN', 'REQUESTED', 'ORDERED', 'PAID', 'CREDITED')"),
        ("above_zero", "amount_minor > 0 or (status = 'CREDITED' and amount_minor = 0)"),
        ("held_by_one_request", "(status in ('OPEN', 'CREDITED')) = (payment_request_id is null)"),
    ):
        op.drop_constraint(op.f(f"ck_payable_{name}"), "payable", type_="check")
        op.create_check_constraint(op.f(f"ck_payable_{name}"), "payable", rule)
    op.execute("grant update on payable_part to finance_app")
    op.add_column("invoice", sa.Column("split_from_invoice_id", sa.Uuid(), nullable=True))


def _create_credit_notes() -> None:
    op.create_table(
        "credit_note",
        sa.Column("credit_note_id", sa.Uuid(), nullable=False),
        sa.Column("agency_id", sa.Uuid(), nullable=False),
        sa.Column("invoice_id", sa.Uuid(), nullable=False),
        sa.Column("purchase_order_id", sa.Uuid(), nullable=False),
        sa.Column("supplier_id", sa.Uuid(), nullable=False),
        sa.Column("credit_note_number", sa.Text(), nullable=False),
        sa.Column("number_normalised", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("replaced", sa.Boolean(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("credited_on", sa.Date(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("total_minor", sa.BigInteger(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("created_by_person_id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("approved_by_person_id", sa.Uuid(), nullable=True),
        sa.Column("approved_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("journal_entry_id", sa.Uuid(), nullable=True),
        sa.Column("withdrawn_by_person_id", sa.Uuid(), nullable=True),
        sa.Column("withdrawal_explanation", sa.Text(), nullable=True),
        sa.Column("refunded_on", sa.Date(), nullable=True),
        sa.Column("refunded_by_person_id", sa.Uuid(), nullable=True),
        sa.Column("treasury_agency_id", sa.Uuid(), nullable=True),
        sa.Column("bank_reference", sa.Text(), nullable=True),
        sa.Column("earlier_year", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.CheckConstraint("kind in ('RETURN', 'PRICE')", name=op.f("ck_credit_note_kind")),
        sa.CheckConstraint(
            "status in ('REGISTERED', 'APPROVED', 'RECEIVABLE', 'REFUNDED', 'WITHDRAWN')",
            name=op.f("ck_credit_note_status"),
        ),
        sa.CheckConstraint(
            "approved_by_person_id <> created_by_person_id", name=op.f("ck_credit_note_maker_is_not_checker")
        ),
        sa.CheckConstraint("total_minor > 0", name=op.f("ck_credit_note_above_zero")),
        sa.CheckConstraint(
            "(status in ('APPROVED', 'RECEIVABLE', 'REFUNDED')) = (journal_entry_id is not null)",
            name=op.f("ck_credit_note_approved_is_posted"),
        ),
        sa.CheckConstraint(
            "(status = 'REFUNDED') = (bank_reference is not null)", name=op.f("ck_credit_note_refunded_by_the_bank")
        ),
        sa.PrimaryKeyConstraint("credit_note_id", name=op.f("pk_credit_note")),
    )
    op.create_index("ix_credit_note_invoice", "credit_note", ["invoice_id"], unique=False)
    op.create_index("ix_credit_note_list", "credit_note", ["agency_id", "credit_note_id"], unique=False)
    op.create_index(
        "uq_credit_note_number",
        "credit_note",
        ["agency_id", "supplier_id", "number_normalised"],
        unique=True,
        postgresql_where=sa.text("status <> 'WITHDRAWN'"),
    )
    op.create_table(
        "credit_note_line",
        sa.Column("credit_note_id", sa.Uuid(), nullable=False),
        sa.Column("purchase_order_line_id", sa.Uuid(), nullable=False),
        sa.Column("agency_id", sa.Uuid(), nullable=False),
        sa.Column("line_no", sa.Integer(), nullable=False),
        sa.Column("quantity", sa.Numeric(), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("tax_minor", sa.BigInteger(), nullable=False),
        sa.Column("cleared_minor", sa.BigInteger(), nullable=False),
        sa.Column("variance_minor", sa.BigInteger(), nullable=False),
        sa.Column("price_difference", sa.Numeric(), nullable=False),
        sa.CheckConstraint("amount_minor = cleared_minor + variance_minor", name=op.f("ck_credit_note_line_adds_up")),
        sa.CheckConstraint(
            "amount_minor >= 0 and tax_minor between 0 and amount_minor", name=op.f("ck_credit_note_line_amounts")
        ),
        sa.PrimaryKeyConstraint("credit_note_id", "purchase_order_line_id", name=op.f("pk_credit_note_line")),
        sa.UniqueConstraint("credit_note_id", "line_no", name=op.f("uq_credit_note_line_credit_note_id_line_no")),
    )
    op.create_index("ix_credit_note_line_order_line", "credit_note_line", ["purchase_order_line_id"], unique=False)


def _create_invoice_documents() -> None:
    op.create_table(
        "invoice_document",
        sa.Column("invoice_document_id", sa.Uuid(), nullable=False),
        sa.Column("agency_id", sa.Uuid(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("document_number", sa.Text(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.Column("invoice_id", sa.Uuid(), nullable=True),
        sa.Column("credit_note_id", sa.Uuid(), nullable=True),
        sa.Column("imported_by_person_id", sa.Uuid(), nullable=False),
        sa.Column("imported_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("kind in ('INVOICE', 'CREDIT_NOTE')", name=op.f("ck_invoice_document_kind")),
        sa.CheckConstraint(
            "(invoice_id is not null) = (kind = 'INVOICE') and (credit_note_id is not null) = (kind = 'CREDIT_NOTE')",
            name=op.f("ck_invoice_document_became_one"),
        ),
        sa.PrimaryKeyConstraint("invoice_document_id", name=op.f("pk_invoice_document")),
        sa.UniqueConstraint("agency_id", "sha256", name=op.f("uq_invoice_document_agency_id_sha256")),
    )
    op.create_index("ix_invoice_document_list", "invoice_document", ["agency_id", "invoice_document_id"], unique=False)


def _create_withholding_slips() -> None:
    op.drop_constraint(op.f("ck_number_queue_kind"), "number_queue", type_="check")
    op.create_check_constraint(
        op.f("ck_number_queue_kind"),
        "number_queue",
        "kind in ('PAYMENT_REQUEST', 'PAYMENT_AUTHORISATION', 'PAYMENT_ORDER', 'WITHHOLDING_SLIP')",
    )
    op.create_table(
        "withholding_slip",
        sa.Column("withholding_slip_id", sa.Uuid(), nullable=False),
        sa.Column("agency_id", sa.Uuid(), nullable=False),
        sa.Column("treasury_agency_id", sa.Uuid(), nullable=False),
        sa.Column("payment_order_id", sa.Uuid(), nullable=False),
        sa.Column("order_number", sa.Text(), nullable=False),
        sa.Column("creditor", sa.Text(), nullable=False),
        sa.Column("withholding_code", sa.Text(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("withheld_on", sa.Date(), nullable=False),
        sa.Column("slip_number", sa.Text(), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.CheckConstraint("amount_minor > 0", name=op.f("ck_withholding_slip_above_zero")),
        sa.PrimaryKeyConstraint("withholding_slip_id", name=op.f("pk_withholding_slip")),
        sa.UniqueConstraint(
            "payment_order_id", "withholding_code", name=op.f("uq_withholding_slip_payment_order_id_withholding_code")
        ),
    )
    op.create_index("ix_withholding_slip_list", "withholding_slip", ["agency_id", "withholding_slip_id"], unique=False)
    op.create_index(
        "uq_withholding_slip_number",
        "withholding_slip",
        ["treasury_agency_id", "slip_number"],
        unique=True,
        postgresql_where=sa.text("slip_number is not null"),
    )
