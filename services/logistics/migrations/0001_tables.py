"""The logistics service's first tables: catalog, suppliers, requisitions, orders, receipts, stock, counts, numbers."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from chassis import migrate

revision = "logistics_0001"
down_revision = None

# Outside the agency wall: the catalog, suppliers and legal entities serve the whole government.
_SHARED = ("item", "legal_entity", "supplier")
# Added, never edited.
_LEDGERS = ("stock_movement",)
_DOCUMENTS = (
    "requisition",
    "requisition_line",
    "purchase_order",
    "purchase_order_line",
    "receipt",
    "receipt_line",
    "warehouse",
    "stock_cut",
    "stock_position",
    "stock_count",
    "number_series",
)


def upgrade() -> None:
    """Make the tables and put those of agencies behind the agency wall."""
    migrate.shared_tables(op, "logistics")
    _create_tables()
    for table in _SHARED:
        migrate.secure(op, "logistics", table, agency=False)
    migrate.secure(op, "logistics", "debarment", agency=False, app="select, insert")
    for table in _LEDGERS:
        migrate.secure(op, "logistics", table, app="select, insert")
    for table in _DOCUMENTS:
        migrate.secure(op, "logistics", table)


def downgrade() -> None:
    """There is nothing before the first revision: drop the database instead."""
    raise NotImplementedError("the first revision is not taken back; drop the database")


def _create_tables() -> None:
    op.create_table(
        "item",
        sa.Column("item_id", sa.Uuid(), nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("display_name", sa.Text(), nullable=False),
        sa.Column("unit_of_measure", sa.Text(), nullable=False),
        sa.Column("treatment", sa.Text(), nullable=False),
        sa.Column("valuation_method", sa.Text(), nullable=True),
        sa.Column("negative_allowed", sa.Boolean(), nullable=False),
        sa.Column("unspsc_code", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("expenditure_account_code", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("item_id", name=op.f("pk_item")),
        sa.UniqueConstraint("code", name=op.f("uq_item_code")),
    )
    op.create_table(
        "legal_entity",
        sa.Column("legal_entity_id", sa.Uuid(), nullable=False),
        sa.Column("display_name", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("legal_entity_id", name=op.f("pk_legal_entity")),
    )
    op.create_table(
        "number_series",
        sa.Column("agency_id", sa.Uuid(), nullable=False),
        sa.Column("series", sa.Text(), nullable=False),
        sa.Column("year", sa.Integer(), nullable=False),
        sa.Column("last_number", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("agency_id", "series", "year", name=op.f("pk_number_series")),
    )
    op.create_table(
        "requisition",
        sa.Column("requisition_id", sa.Uuid(), nullable=False),
        sa.Column("agency_id", sa.Uuid(), nullable=False),
        sa.Column("requisition_number", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("purpose", sa.Text(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("needed_on", sa.Date(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("requested_by_person_id", sa.Uuid(), nullable=False),
        sa.Column("approved_by_person_id", sa.Uuid(), nullable=True),
        sa.Column("cancelled_by_person_id", sa.Uuid(), nullable=True),
        sa.Column("cancel_cause", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("refusal", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("approved_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("approved_by_person_id <> requested_by_person_id", name=op.f("ck_requisition_two_persons")),
        sa.PrimaryKeyConstraint("requisition_id", name=op.f("pk_requisition")),
    )
    op.create_index("ix_requisition_agency", "requisition", ["agency_id", "requisition_id"], unique=False)
    op.create_table(
        "stock_cut",
        sa.Column("agency_id", sa.Uuid(), nullable=False),
        sa.Column("last_number", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("agency_id", name=op.f("pk_stock_cut")),
    )
    op.create_table(
        "supplier",
        sa.Column("supplier_id", sa.Uuid(), nullable=False),
        sa.Column("legal_entity_id", sa.Uuid(), nullable=False),
        sa.Column("display_name", sa.Text(), nullable=False),
        sa.Column("categories", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("documents", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("supplier_id", name=op.f("pk_supplier")),
        sa.UniqueConstraint("legal_entity_id", name=op.f("uq_supplier_legal_entity_id")),
    )
    op.create_table(
        "warehouse",
        sa.Column("warehouse_id", sa.Uuid(), nullable=False),
        sa.Column("agency_id", sa.Uuid(), nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("display_name", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("warehouse_id", name=op.f("pk_warehouse")),
        sa.UniqueConstraint("agency_id", "code", name=op.f("uq_warehouse_agency_id_code")),
    )
    op.create_table(
        "debarment",
        sa.Column("debarment_id", sa.Uuid(), nullable=False),
        sa.Column("supplier_id", sa.Uuid(), nullable=False),
        sa.Column("valid_from", sa.Date(), nullable=False),
        sa.Column("valid_to", sa.Date(), nullable=True),
        sa.Column("decision_number", sa.Text(), nullable=False),
        sa.Column("cause", sa.Text(), nullable=False),
        sa.Column("decided_by_person_id", sa.Uuid(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("valid_to is null or valid_to > valid_from", name=op.f("ck_debarment_span")),
        sa.ForeignKeyConstraint(["supplier_id"], ["supplier.supplier_id"], name=op.f("fk_debarment_supplier_id")),
        sa.PrimaryKeyConstraint("debarment_id", name=op.f("pk_debarment")),
    )
    op.create_index("ix_debarment_supplier", "debarment", ["supplier_id", "valid_from"], unique=False)
    op.create_table(
        "purchase_order",
        sa.Column("purchase_order_id", sa.Uuid(), nullable=False),
        sa.Column("agency_id", sa.Uuid(), nullable=False),
        sa.Column("purchase_order_number", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("requisition_id", sa.Uuid(), nullable=False),
        sa.Column("supplier_id", sa.Uuid(), nullable=False),
        sa.Column("legal_entity_id", sa.Uuid(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("deliver_by", sa.Date(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("paid_minor", sa.BigInteger(), nullable=False),
        sa.Column("made_by_person_id", sa.Uuid(), nullable=False),
        sa.Column("signed_by_person_id", sa.Uuid(), nullable=True),
        sa.Column("cancelled_by_person_id", sa.Uuid(), nullable=True),
        sa.Column("cancel_cause", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("refusal", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("signed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("issued_on", sa.Date(), nullable=True),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("signed_by_person_id <> made_by_person_id", name=op.f("ck_purchase_order_two_persons")),
        sa.ForeignKeyConstraint(
            ["requisition_id"], ["requisition.requisition_id"], name=op.f("fk_purchase_order_requisition_id")
        ),
        sa.ForeignKeyConstraint(["supplier_id"], ["supplier.supplier_id"], name=op.f("fk_purchase_order_supplier_id")),
        sa.PrimaryKeyConstraint("purchase_order_id", name=op.f("pk_purchase_order")),
    )
    op.create_index("ix_purchase_order_agency", "purchase_order", ["agency_id", "purchase_order_id"], unique=False)
    op.create_index("ix_purchase_order_requisition", "purchase_order", ["requisition_id"], unique=False)
    op.create_index("ix_purchase_order_supplier", "purchase_order", ["supplier_id"], unique=False)
    op.create_table(
        "requisition_line",
        sa.Column("requisition_line_id", sa.Uuid(), nullable=False),
        sa.Column("requisition_id", sa.Uuid(), nullable=False),
        sa.Column("agency_id", sa.Uuid(), nullable=False),
        sa.Column("ordinal", sa.Integer(), nullable=False),
        sa.Column("item_id", sa.Uuid(), nullable=True),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("quantity", sa.Numeric(precision=24, scale=6), nullable=False),
        sa.Column("estimated_unit_price", sa.Numeric(precision=24, scale=6), nullable=False),
        sa.Column("tax_rate", sa.Numeric(precision=24, scale=6), nullable=False),
        sa.Column("budget_line_id", sa.Uuid(), nullable=False),
        sa.Column("fund_code", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("treatment", sa.Text(), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("ordered_quantity", sa.Numeric(precision=24, scale=6), nullable=False),
        sa.Column("closed", sa.Boolean(), nullable=False),
        sa.CheckConstraint(
            "ordered_quantity between 0 and quantity", name=op.f("ck_requisition_line_ordered_quantity")
        ),
        sa.CheckConstraint("quantity > 0", name=op.f("ck_requisition_line_quantity")),
        sa.ForeignKeyConstraint(["item_id"], ["item.item_id"], name=op.f("fk_requisition_line_item_id")),
        sa.ForeignKeyConstraint(
            ["requisition_id"], ["requisition.requisition_id"], name=op.f("fk_requisition_line_requisition_id")
        ),
        sa.PrimaryKeyConstraint("requisition_line_id", name=op.f("pk_requisition_line")),
    )
    op.create_index("ix_requisition_line_requisition", "requisition_line", ["requisition_id", "ordinal"], unique=False)
    op.create_table(
        "stock_count",
        sa.Column("stock_count_id", sa.Uuid(), nullable=False),
        sa.Column("agency_id", sa.Uuid(), nullable=False),
        sa.Column("warehouse_id", sa.Uuid(), nullable=False),
        sa.Column("item_id", sa.Uuid(), nullable=False),
        sa.Column("fund_code", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("lot", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("counted_quantity", sa.Numeric(precision=24, scale=6), nullable=False),
        sa.Column("unit_price", sa.Numeric(precision=24, scale=6), nullable=True),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("cause", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("counted_by_person_id", sa.Uuid(), nullable=False),
        sa.Column("approved_by_person_id", sa.Uuid(), nullable=True),
        sa.Column("stock_movement_id", sa.Uuid(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("approved_by_person_id <> counted_by_person_id", name=op.f("ck_stock_count_two_persons")),
        sa.ForeignKeyConstraint(["item_id"], ["item.item_id"], name=op.f("fk_stock_count_item_id")),
        sa.ForeignKeyConstraint(["warehouse_id"], ["warehouse.warehouse_id"], name=op.f("fk_stock_count_warehouse_id")),
        sa.PrimaryKeyConstraint("stock_count_id", name=op.f("pk_stock_count")),
    )
    op.create_index("ix_stock_count_agency", "stock_count", ["agency_id", "stock_count_id"], unique=False)
    op.create_table(
        "stock_movement",
        sa.Column("stock_movement_id", sa.Uuid(), nullable=False),
        sa.Column("agency_id", sa.Uuid(), nullable=False),
        sa.Column("stock_movement_number", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("item_id", sa.Uuid(), nullable=False),
        sa.Column("warehouse_id", sa.Uuid(), nullable=False),
        sa.Column("fund_code", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("lot", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("quantity", sa.Numeric(precision=24, scale=6), nullable=False),
        sa.Column("value_minor", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("priced", sa.Boolean(), nullable=False),
        sa.Column("effective_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("effective_on", sa.Date(), nullable=False),
        sa.Column("accounting_on", sa.Date(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("corrected_movement_id", sa.Uuid(), nullable=True),
        sa.Column("cause_movement_id", sa.Uuid(), nullable=True),
        sa.Column("value_before_minor", sa.BigInteger(), nullable=True),
        sa.Column("value_after_minor", sa.BigInteger(), nullable=True),
        sa.Column("linked_movement_id", sa.Uuid(), nullable=True),
        sa.Column("receipt_id", sa.Uuid(), nullable=True),
        sa.Column("purchase_order_line_id", sa.Uuid(), nullable=True),
        sa.Column("budget_line_id", sa.Uuid(), nullable=True),
        sa.Column("stock_count_id", sa.Uuid(), nullable=True),
        sa.Column("invoice_id", sa.Uuid(), nullable=True),
        sa.Column("purpose", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("person_id", sa.Uuid(), nullable=True),
        sa.ForeignKeyConstraint(["item_id"], ["item.item_id"], name=op.f("fk_stock_movement_item_id")),
        sa.ForeignKeyConstraint(
            ["warehouse_id"], ["warehouse.warehouse_id"], name=op.f("fk_stock_movement_warehouse_id")
        ),
        sa.PrimaryKeyConstraint("stock_movement_id", name=op.f("pk_stock_movement")),
        sa.UniqueConstraint(
            "agency_id", "stock_movement_number", name=op.f("uq_stock_movement_agency_id_stock_movement_number")
        ),
    )
    op.create_index("ix_stock_movement_corrected", "stock_movement", ["corrected_movement_id"], unique=False)
    op.create_index(
        "ix_stock_movement_history",
        "stock_movement",
        ["agency_id", "item_id", "fund_code", "effective_at", "stock_movement_number"],
        unique=False,
    )
    op.create_index("ix_stock_movement_order_line", "stock_movement", ["purchase_order_line_id"], unique=False)
    op.create_table(
        "stock_position",
        sa.Column("agency_id", sa.Uuid(), nullable=False),
        sa.Column("fund_code", sa.Text(), nullable=False),
        sa.Column("item_id", sa.Uuid(), nullable=False),
        sa.Column("warehouse_id", sa.Uuid(), nullable=False),
        sa.Column("lot", sa.Text(), nullable=False),
        sa.Column("quantity", sa.Numeric(precision=24, scale=6), nullable=False),
        sa.Column("value_minor", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("layers", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("shortages", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("last_unit_cost", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("last_effective_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["item_id"], ["item.item_id"], name=op.f("fk_stock_position_item_id")),
        sa.ForeignKeyConstraint(
            ["warehouse_id"], ["warehouse.warehouse_id"], name=op.f("fk_stock_position_warehouse_id")
        ),
        sa.PrimaryKeyConstraint(
            "agency_id", "fund_code", "item_id", "warehouse_id", "lot", name=op.f("pk_stock_position")
        ),
    )
    op.create_table(
        "purchase_order_line",
        sa.Column("purchase_order_line_id", sa.Uuid(), nullable=False),
        sa.Column("purchase_order_id", sa.Uuid(), nullable=False),
        sa.Column("agency_id", sa.Uuid(), nullable=False),
        sa.Column("ordinal", sa.Integer(), nullable=False),
        sa.Column("requisition_line_id", sa.Uuid(), nullable=False),
        sa.Column("item_id", sa.Uuid(), nullable=True),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("quantity", sa.Numeric(precision=24, scale=6), nullable=False),
        sa.Column("unit_price", sa.Numeric(precision=24, scale=6), nullable=False),
        sa.Column("tax_rate", sa.Numeric(precision=24, scale=6), nullable=False),
        sa.Column("budget_line_id", sa.Uuid(), nullable=False),
        sa.Column("fund_code", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("treatment", sa.Text(), nullable=False),
        sa.Column("net_minor", sa.BigInteger(), nullable=False),
        sa.Column("tax_minor", sa.BigInteger(), nullable=False),
        sa.Column("final", sa.Boolean(), nullable=False),
        sa.Column("accepted_quantity", sa.Numeric(precision=24, scale=6), nullable=False),
        sa.Column("accepted_value_minor", sa.BigInteger(), nullable=False),
        sa.Column("cancelled_quantity", sa.Numeric(precision=24, scale=6), nullable=False),
        sa.Column("invoiced_quantity", sa.Numeric(precision=24, scale=6), nullable=False),
        sa.Column("invoiced_minor", sa.BigInteger(), nullable=False),
        sa.CheckConstraint(
            "accepted_quantity >= 0 and cancelled_quantity >= 0 and accepted_quantity + cancelled_quantity <= quantity",
            name=op.f("ck_purchase_order_line_accepted_quantity"),
        ),
        sa.CheckConstraint(
            "invoiced_quantity between 0 and quantity", name=op.f("ck_purchase_order_line_invoiced_quantity")
        ),
        sa.CheckConstraint("quantity > 0", name=op.f("ck_purchase_order_line_quantity")),
        sa.ForeignKeyConstraint(["item_id"], ["item.item_id"], name=op.f("fk_purchase_order_line_item_id")),
        sa.ForeignKeyConstraint(
            ["purchase_order_id"],
            ["purchase_order.purchase_order_id"],
            name=op.f("fk_purchase_order_line_purchase_order_id"),
        ),
        sa.ForeignKeyConstraint(
            ["requisition_line_id"],
            ["requisition_line.requisition_line_id"],
            name=op.f("fk_purchase_order_line_requisition_line_id"),
        ),
        sa.PrimaryKeyConstraint("purchase_order_line_id", name=op.f("pk_purchase_order_line")),
    )
    op.create_index(
        "ix_purchase_order_line_order", "purchase_order_line", ["purchase_order_id", "ordinal"], unique=False
    )
    op.create_index(
        "ix_purchase_order_line_requisition_line", "purchase_order_line", ["requisition_line_id"], unique=False
    )
    op.create_table(
        "receipt",
        sa.Column("receipt_id", sa.Uuid(), nullable=False),
        sa.Column("agency_id", sa.Uuid(), nullable=False),
        sa.Column("receipt_number", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("purchase_order_id", sa.Uuid(), nullable=False),
        sa.Column("warehouse_id", sa.Uuid(), nullable=True),
        sa.Column("delivery_note", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("delivered_on", sa.Date(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("received_by_person_id", sa.Uuid(), nullable=False),
        sa.Column("accepted_by_person_id", sa.Uuid(), nullable=True),
        sa.Column("accepted_on", sa.Date(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("accepted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("accepted_by_person_id <> received_by_person_id", name=op.f("ck_receipt_two_persons")),
        sa.ForeignKeyConstraint(
            ["purchase_order_id"], ["purchase_order.purchase_order_id"], name=op.f("fk_receipt_purchase_order_id")
        ),
        sa.ForeignKeyConstraint(["warehouse_id"], ["warehouse.warehouse_id"], name=op.f("fk_receipt_warehouse_id")),
        sa.PrimaryKeyConstraint("receipt_id", name=op.f("pk_receipt")),
    )
    op.create_index("ix_receipt_agency", "receipt", ["agency_id", "receipt_id"], unique=False)
    op.create_index("ix_receipt_order", "receipt", ["purchase_order_id"], unique=False)
    op.create_table(
        "receipt_line",
        sa.Column("receipt_line_id", sa.Uuid(), nullable=False),
        sa.Column("receipt_id", sa.Uuid(), nullable=False),
        sa.Column("agency_id", sa.Uuid(), nullable=False),
        sa.Column("ordinal", sa.Integer(), nullable=False),
        sa.Column("purchase_order_line_id", sa.Uuid(), nullable=False),
        sa.Column("treatment", sa.Text(), nullable=False),
        sa.Column("lot", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("delivered_quantity", sa.Numeric(precision=24, scale=6), nullable=False),
        sa.Column("accepted_quantity", sa.Numeric(precision=24, scale=6), nullable=True),
        sa.Column("rejected_quantity", sa.Numeric(precision=24, scale=6), nullable=True),
        sa.Column("value_minor", sa.BigInteger(), nullable=False),
        sa.Column("stock_movement_number", sa.BigInteger(), nullable=False),
        sa.CheckConstraint(
            "accepted_quantity + rejected_quantity = delivered_quantity", name=op.f("ck_receipt_line_inspected")
        ),
        sa.CheckConstraint("delivered_quantity > 0", name=op.f("ck_receipt_line_delivered_quantity")),
        sa.ForeignKeyConstraint(
            ["purchase_order_line_id"],
            ["purchase_order_line.purchase_order_line_id"],
            name=op.f("fk_receipt_line_purchase_order_line_id"),
        ),
        sa.ForeignKeyConstraint(["receipt_id"], ["receipt.receipt_id"], name=op.f("fk_receipt_line_receipt_id")),
        sa.PrimaryKeyConstraint("receipt_line_id", name=op.f("pk_receipt_line")),
    )
    op.create_index("ix_receipt_line_order_line", "receipt_line", ["purchase_order_line_id"], unique=False)
    op.create_index("ix_receipt_line_receipt", "receipt_line", ["receipt_id", "ordinal"], unique=False)
