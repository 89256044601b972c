"""A document of a supplier may become a bill of a contract."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "finance_0022"
down_revision = "finance_0021"

_BEFORE = "(invoice_id is not null) = (kind = 'INVOICE') and (credit_note_id is not null) = (kind = 'CREDIT_NOTE')"
_NOW = (
    "num_nonnulls(invoice_id, bill_id) = (kind = 'INVOICE')::int"
    " and (credit_note_id is not null) = (kind = 'CREDIT_NOTE')"
)


def upgrade() -> None:
    """The bill that a document became."""
    op.add_column("invoice_document", sa.Column("bill_id", sa.Uuid(), nullable=True))
    op.drop_constraint(op.f("ck_invoice_document_became_one"), "invoice_document", type_="check")
    op.create_check_constraint(op.f("ck_invoice_document_became_one"), "invoice_document", _NOW)


def downgrade() -> None:
    """Refused by the check when a document has become a bill: its bytes are kept, not dropped."""
    op.drop_constraint(op.f("ck_invoice_document_became_one"), "invoice_document", type_="check")
    op.create_check_constraint(op.f("ck_invoice_document_became_one"), "invoice_document", _BEFORE)
    op.drop_column("invoice_document", "bill_id")
