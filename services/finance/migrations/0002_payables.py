"""Payables and payments: projections of orders, invoices, payables, payment papers, stock postings, numbers."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from chassis import migrate

revision = "finance_0002"
down_revision = "finance_0001"


def upgrade() -> None:
    """Make the tables and put them behind the agency wall."""
    _create_tables()
    _secure()


def downgrade() -> None:
    """Money that was paid is not forgotten: restore a backup instead."""
    raise NotImplementedError("payments are not taken back; restore a backup")


def _create_tables() -> None:
    op.create_table(
        "goods_receipt",
        sa.Column("receipt_id", sa.Uuid(), nullable=False),
        sa.Column("agency_id", sa.Uuid(), nullable=False),
        sa.Column("purchase_order_id", sa.Uuid(), nullable=False),
        sa.Column("receipt_number", sa.Text(), nullable=False),
        sa.Column("accepted_on", sa.Date(), nullable=False),
        sa.Column("value_minor", sa.BigInteger(), nullable=False),
        sa.Column("journal_entry_id", sa.Uuid(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("receipt_id", name=op.f("pk_goods_receipt")),
    )
    op.create_index(op.f("ix_goods_receipt_purchase_order_id"), "goods_receipt", ["purchase_order_id"], unique=False)
    op.create_table(
        "invoice",
        sa.Column("invoice_id", sa.Uuid(), nullable=False),
        sa.Column("agency_id", sa.Uuid(), nullable=False),
        sa.Column("purchase_order_id", sa.Uuid(), nullable=False),
        sa.Column("supplier_id", sa.Uuid(), nullable=False),
        sa.Column("supplier_invoice_number", sa.Text(), nullable=False),
        sa.Column("invoice_number_normalised", sa.Text(), nullable=False),
        sa.Column("invoiced_on", sa.Date(), nullable=False),
        sa.Column("received_on", sa.Date(), nullable=False),
        sa.Column("due_on", sa.Date(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("total_minor", sa.BigInteger(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("holds", postgresql.JSONB(), nullable=False),
        sa.Column("created_by_person_id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("hold_released_by_person_id", sa.Uuid(), nullable=True),
        sa.Column("hold_release_explanation", sa.Text(), nullable=True),
        sa.Column("approved_by_person_id", sa.Uuid(), nullable=True),
        sa.Column("approved_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("voided_by_person_id", sa.Uuid(), nullable=True),
        sa.Column("void_explanation", sa.Text(), nullable=True),
        sa.Column("payable_id", sa.Uuid(), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.CheckConstraint(
            "status in ('WAITING_RECEIPT', 'HELD', 'MATCHED', 'APPROVED', 'PAID', 'VOID')",
            name=op.f("ck_invoice_status"),
        ),
        sa.CheckConstraint(
            "approved_by_person_id <> created_by_person_id", name=op.f("ck_invoice_maker_is_not_checker")
        ),
        sa.CheckConstraint(
            "hold_released_by_person_id <> created_by_person_id", name=op.f("ck_invoice_maker_releases_no_hold")
        ),
        sa.PrimaryKeyConstraint("invoice_id", name=op.f("pk_invoice")),
    )
    op.create_index("ix_invoice_list", "invoice", ["agency_id", "invoice_id"], unique=False)
    op.create_index("ix_invoice_order", "invoice", ["purchase_order_id"], unique=False)
    op.create_index(
        "ix_invoice_supplier", "invoice", ["agency_id", "supplier_id", "invoice_number_normalised"], unique=False
    )
    op.create_table(
        "invoice_line",
        sa.Column("invoice_line_id", sa.Uuid(), nullable=False),
        sa.Column("agency_id", sa.Uuid(), nullable=False),
        sa.Column("invoice_id", sa.Uuid(), nullable=False),
        sa.Column("line_no", sa.Integer(), nullable=False),
        sa.Column("purchase_order_line_id", sa.Uuid(), nullable=False),
        sa.Column("quantity", sa.Numeric(), nullable=False),
        sa.Column("unit_price", sa.Numeric(), nullable=False),
        sa.Column("net_minor", sa.BigInteger(), nullable=False),
        sa.Column("tax_minor", sa.BigInteger(), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("variance_minor", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("invoice_line_id", name=op.f("pk_invoice_line")),
        sa.UniqueConstraint(
            "invoice_id", "purchase_order_line_id", name=op.f("uq_invoice_line_invoice_id_purchase_order_line_id")
        ),
    )
    op.create_index("ix_invoice_line_order_line", "invoice_line", ["purchase_order_line_id"], unique=False)
    op.create_table(
        "number_queue",
        sa.Column("number_queue_id", sa.Uuid(), nullable=False),
        sa.Column("entity_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("year", sa.Integer(), nullable=False),
        sa.Column("document_id", sa.Uuid(), nullable=False),
        sa.Column("paper_agency_id", sa.Uuid(), nullable=False),
        sa.Column("approved_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=True),
        sa.Column("numbered_on", sa.Date(), nullable=True),
        sa.CheckConstraint(
            "kind in ('PAYMENT_REQUEST', 'PAYMENT_AUTHORISATION', 'PAYMENT_ORDER')", name=op.f("ck_number_queue_kind")
        ),
        sa.PrimaryKeyConstraint("number_queue_id", name=op.f("pk_number_queue")),
        sa.UniqueConstraint(
            "entity_id", "kind", "year", "number", name=op.f("uq_number_queue_entity_id_kind_year_number")
        ),
        sa.UniqueConstraint("kind", "document_id", name=op.f("uq_number_queue_kind_document_id")),
    )
    op.create_index(
        "ix_number_queue_waiting",
        "number_queue",
        ["entity_id", "kind", "year", "approved_at"],
        unique=False,
        postgresql_where=sa.text("number is null"),
    )
    op.create_table(
        "number_series",
        sa.Column("entity_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("year", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("last_number", sa.BigInteger(), nullable=False),
        sa.Column("last_numbered_on", sa.Date(), nullable=True),
        sa.PrimaryKeyConstraint("entity_id", "kind", "year", name=op.f("pk_number_series")),
    )
    op.create_table(
        "payable",
        sa.Column("payable_id", sa.Uuid(), nullable=False),
        sa.Column("agency_id", sa.Uuid(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("source_document_id", sa.Uuid(), nullable=False),
        sa.Column("source_document_number", sa.Text(), nullable=False),
        sa.Column("purchase_order_id", sa.Uuid(), nullable=True),
        sa.Column("creditor", sa.Text(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("due_on", sa.Date(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("payment_request_id", sa.Uuid(), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.CheckConstraint(
            "(status = 'OPEN') = (payment_request_id is null)", name=op.f("ck_payable_held_by_one_request")
        ),
        sa.CheckConstraint("source in ('INVOICE', 'PAYROLL', 'EMPLOYER_CONTRIBUTION')", name=op.f("ck_payable_source")),
        sa.CheckConstraint("status in ('OPEN', 'REQUESTED', 'ORDERED', 'PAID')", name=op.f("ck_payable_status")),
        sa.CheckConstraint("amount_minor > 0", name=op.f("ck_payable_above_zero")),
        sa.PrimaryKeyConstraint("payable_id", name=op.f("pk_payable")),
        sa.UniqueConstraint(
            "source", "source_document_id", "creditor", name=op.f("uq_payable_source_source_document_id_creditor")
        ),
    )
    op.create_index("ix_payable_list", "payable", ["agency_id", "payable_id"], unique=False)
    op.create_index("ix_payable_source_document", "payable", ["source_document_id"], unique=False)
    op.create_table(
        "payable_part",
        sa.Column("payable_id", sa.Uuid(), nullable=False),
        sa.Column("document_line_id", sa.Uuid(), nullable=False),
        sa.Column("budget_line_id", sa.Uuid(), nullable=False),
        sa.Column("agency_id", sa.Uuid(), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("net_minor", sa.BigInteger(), nullable=False),
        sa.Column("tax_minor", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("payable_id", "document_line_id", "budget_line_id", name=op.f("pk_payable_part")),
    )
    op.create_table(
        "payable_withholding",
        sa.Column("payable_id", sa.Uuid(), nullable=False),
        sa.Column("withholding_code", sa.Text(), nullable=False),
        sa.Column("agency_id", sa.Uuid(), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("payable_id", "withholding_code", name=op.f("pk_payable_withholding")),
    )
    op.create_table(
        "payment_order",
        sa.Column("payment_order_id", sa.Uuid(), nullable=False),
        sa.Column("agency_id", sa.Uuid(), nullable=False),
        sa.Column("treasury_agency_id", sa.Uuid(), nullable=False),
        sa.Column("payment_request_id", sa.Uuid(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("gross_minor", sa.BigInteger(), nullable=False),
        sa.Column("net_minor", sa.BigInteger(), nullable=False),
        sa.Column("issued_on", sa.Date(), nullable=False),
        sa.Column("issued_by_person_id", sa.Uuid(), nullable=False),
        sa.Column("issued_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("order_number", sa.Text(), nullable=True),
        sa.Column("value_date", sa.Date(), nullable=True),
        sa.Column("bank_reference", sa.Text(), nullable=True),
        sa.Column("bank_recorded_by_person_id", sa.Uuid(), nullable=True),
        sa.Column("rejection_explanation", sa.Text(), nullable=True),
        sa.Column("agency_entry_id", sa.Uuid(), nullable=False),
        sa.Column("treasury_entry_id", sa.Uuid(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.CheckConstraint(
            "(status = 'UNNUMBERED') = (order_number is null)", name=op.f("ck_payment_order_numbered_before_the_bank")
        ),
        sa.CheckConstraint(
            "status in ('UNNUMBERED', 'ISSUED', 'DEBITED', 'REJECTED')", name=op.f("ck_payment_order_status")
        ),
        sa.CheckConstraint(
            "gross_minor > 0 and net_minor >= 0 and net_minor <= gross_minor", name=op.f("ck_payment_order_amounts")
        ),
        sa.PrimaryKeyConstraint("payment_order_id", name=op.f("pk_payment_order")),
    )
    op.create_index("ix_payment_order_list", "payment_order", ["agency_id", "payment_order_id"], unique=False)
    op.create_index("ix_payment_order_request", "payment_order", ["payment_request_id"], unique=False)
    op.create_index(
        "uq_payment_order_number",
        "payment_order",
        ["treasury_agency_id", "order_number"],
        unique=True,
        postgresql_where=sa.text("order_number is not null"),
    )
    op.create_table(
        "payment_order_item",
        sa.Column("payment_order_id", sa.Uuid(), nullable=False),
        sa.Column("payable_id", sa.Uuid(), nullable=False),
        sa.Column("agency_id", sa.Uuid(), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("payment_order_id", "payable_id", name=op.f("pk_payment_order_item")),
    )
    op.create_index("ix_payment_order_item_payable", "payment_order_item", ["payable_id"], unique=False)
    op.create_table(
        "payment_order_withholding",
        sa.Column("payment_order_id", sa.Uuid(), nullable=False),
        sa.Column("withholding_code", sa.Text(), nullable=False),
        sa.Column("agency_id", sa.Uuid(), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("payment_order_id", "withholding_code", name=op.f("pk_payment_order_withholding")),
    )
    op.create_table(
        "payment_request",
        sa.Column("payment_request_id", sa.Uuid(), nullable=False),
        sa.Column("agency_id", sa.Uuid(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("requested_on", sa.Date(), nullable=False),
        sa.Column("requested_by_person_id", sa.Uuid(), nullable=False),
        sa.Column("requested_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("verified_by_person_id", sa.Uuid(), nullable=True),
        sa.Column("verified_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("authorised_by_person_id", sa.Uuid(), nullable=True),
        sa.Column("authorised_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("withdrawn_by_person_id", sa.Uuid(), nullable=True),
        sa.Column("withdrawal_explanation", sa.Text(), nullable=True),
        sa.Column("request_number", sa.Text(), nullable=True),
        sa.Column("authorisation_number", sa.Text(), nullable=True),
        sa.Column("payment_order_id", sa.Uuid(), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.CheckConstraint(
            "status in ('REQUESTED', 'VERIFIED', 'AUTHORISED', 'ORDERED', 'WITHDRAWN')",
            name=op.f("ck_payment_request_status"),
        ),
        sa.CheckConstraint(
            "authorised_by_person_id <> requested_by_person_id",
            name=op.f("ck_payment_request_authoriser_is_not_requester"),
        ),
        sa.CheckConstraint(
            "authorised_by_person_id <> verified_by_person_id",
            name=op.f("ck_payment_request_authoriser_is_not_verifier"),
        ),
        sa.CheckConstraint(
            "verified_by_person_id <> requested_by_person_id", name=op.f("ck_payment_request_verifier_is_not_requester")
        ),
        sa.PrimaryKeyConstraint("payment_request_id", name=op.f("pk_payment_request")),
    )
    op.create_index("ix_payment_request_list", "payment_request", ["agency_id", "payment_request_id"], unique=False)
    op.create_table(
        "payment_request_item",
        sa.Column("payment_request_id", sa.Uuid(), nullable=False),
        sa.Column("payable_id", sa.Uuid(), nullable=False),
        sa.Column("agency_id", sa.Uuid(), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("payment_request_id", "payable_id", name=op.f("pk_payment_request_item")),
    )
    op.create_index("ix_payment_request_item_payable", "payment_request_item", ["payable_id"], unique=False)
    op.create_table(
        "purchase_order",
        sa.Column("purchase_order_id", sa.Uuid(), nullable=False),
        sa.Column("agency_id", sa.Uuid(), nullable=False),
        sa.Column("purchase_order_number", sa.Text(), nullable=False),
        sa.Column("supplier_id", sa.Uuid(), nullable=False),
        sa.Column("legal_entity_id", sa.Uuid(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("purchase_order_id", name=op.f("pk_purchase_order")),
    )
    op.create_table(
        "purchase_order_line",
        sa.Column("purchase_order_line_id", sa.Uuid(), nullable=False),
        sa.Column("agency_id", sa.Uuid(), nullable=False),
        sa.Column("purchase_order_id", sa.Uuid(), nullable=False),
        sa.Column("budget_line_id", sa.Uuid(), nullable=False),
        sa.Column("treatment", sa.Text(), nullable=False),
        sa.Column("item_id", sa.Uuid(), nullable=True),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("ordered", sa.Boolean(), nullable=False),
        sa.Column("quantity", sa.Numeric(), nullable=False),
        sa.Column("unit_price", sa.Numeric(), nullable=False),
        sa.Column("tax_rate", sa.Numeric(), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("accepted_quantity", sa.Numeric(), nullable=False),
        sa.Column("accepted_minor", sa.BigInteger(), nullable=False),
        sa.Column("cancelled_quantity", sa.Numeric(), nullable=False),
        sa.Column("cleared_quantity", sa.Numeric(), nullable=False),
        sa.Column("cleared_minor", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("purchase_order_line_id", name=op.f("pk_purchase_order_line")),
    )
    op.create_index("ix_purchase_order_line_order", "purchase_order_line", ["purchase_order_id"], unique=False)
    op.create_table(
        "stock_cut",
        sa.Column("agency_id", sa.Uuid(), nullable=False),
        sa.Column("seen_number", sa.BigInteger(), nullable=False),
        sa.Column("posted_number", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("agency_id", name=op.f("pk_stock_cut")),
    )
    op.create_table(
        "stock_posting",
        sa.Column("agency_id", sa.Uuid(), nullable=False),
        sa.Column("stock_movement_number", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("stock_movement_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("item_id", sa.Uuid(), nullable=True),
        sa.Column("fund_code", sa.Text(), nullable=False),
        sa.Column("value_minor", sa.BigInteger(), nullable=False),
        sa.Column("journal_entry_id", sa.Uuid(), nullable=True),
        sa.Column("invoice_id", sa.Uuid(), nullable=True),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("agency_id", "stock_movement_number", name=op.f("pk_stock_posting")),
    )
    op.create_table(
        "stock_variance",
        sa.Column("invoice_id", sa.Uuid(), nullable=False),
        sa.Column("purchase_order_line_id", sa.Uuid(), nullable=False),
        sa.Column("agency_id", sa.Uuid(), nullable=False),
        sa.Column("variance_minor", sa.BigInteger(), nullable=False),
        sa.Column("numbered", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("invoice_id", "purchase_order_line_id", name=op.f("pk_stock_variance")),
    )


def _secure() -> None:
    migrate.secure(op, "finance", "goods_receipt", app="select, insert")
    migrate.secure(op, "finance", "invoice")
    migrate.secure(op, "finance", "invoice_line")
    migrate.secure(op, "finance", "number_queue", agency=False)
    migrate.secure(op, "finance", "number_series", agency=False)
    migrate.secure(op, "finance", "payable")
    migrate.secure(op, "finance", "payable_part", app="select, insert")
    migrate.secure(op, "finance", "payable_withholding", app="select, insert")
    migrate.secure(op, "finance", "payment_order")
    migrate.secure(op, "finance", "payment_order_item", app="select, insert")
    migrate.secure(op, "finance", "payment_order_withholding", app="select, insert")
    migrate.secure(op, "finance", "payment_request")
    migrate.secure(op, "finance", "payment_request_item", app="select, insert")
    migrate.secure(op, "finance", "purchase_order")
    migrate.secure(op, "finance", "purchase_order_line")
    migrate.secure(op, "finance", "stock_cut")
    migrate.secure(op, "finance", "stock_posting")
    migrate.secure(op, "finance", "stock_variance")
