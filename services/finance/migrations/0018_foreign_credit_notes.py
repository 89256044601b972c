"""Credit notes on invoices in foreign currencies: what goods were recorded at, what a credit stands at, what came back.

Also the tax office's receipt of a remittance.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "finance_0018"
down_revision = "finance_0017"

# What goods of open claims were recorded at was not kept before: what their debt stood at is the nearest figure that
# was. Of approved invoices it is what the claim was entered at.
_FILLED = ("purchase_order_line", "invoice_line", "journal_entry", "journal_line")
_UNINVOICED = """
    update purchase_order_line set uninvoiced_cost_minor = coalesce(uninvoiced_minor, 0)
    where foreign_currency is not null
"""
_INVOICED = """
    update invoice_line n set cost_minor = c.claim,
        cleared_cost_minor = case when n.amount_minor = 0 then c.claim
                                  else round(c.claim * (n.amount_minor - coalesce(n.variance_minor, 0))::numeric
                                             / n.amount_minor) end
    from (
        -- From the orders in foreign currencies by index, so that it takes as long as those are many: the journal of
        -- all others, which nobody may read meanwhile, is not looked at.
        select i.invoice_id, i.purchase_order_line_id as document_line_id,
               sum(l.functional_credit_minor - l.functional_debit_minor)::bigint as claim
        from purchase_order_line f
        join invoice_line i on i.purchase_order_line_id = f.purchase_order_line_id
        join journal_entry e on e.source_id = i.invoice_id and e.source_kind = 'INVOICE'
        join journal_line l on l.journal_entry_id = e.journal_entry_id
                           and l.document_line_id = i.purchase_order_line_id
        where f.foreign_currency is not null
          and l.account_code in (select code from account where kind = 'PAYABLE')
          and l.account_code not in (select account_code from account_mapping where role = 'GRNI')
        group by 1, 2
    ) c
    where c.invoice_id = n.invoice_id and c.document_line_id = n.purchase_order_line_id
"""


def upgrade() -> None:
    """Nullable columns only: what is in the currency of the books carries nothing of this."""
    op.add_column("purchase_order_line", sa.Column("uninvoiced_cost_minor", sa.BigInteger(), nullable=True))
    for name in ("cost_minor", "cleared_cost_minor"):
        op.add_column("invoice_line", sa.Column(name, sa.BigInteger(), nullable=True))
    op.add_column("credit_note", sa.Column("functional_currency", sa.Text(), nullable=True))
    op.add_column("credit_note", sa.Column("refunded_minor", sa.BigInteger(), nullable=True))
    for name in ("carried_minor", "cost_minor", "cleared_cost_minor"):
        op.add_column("credit_note_line", sa.Column(name, sa.BigInteger(), nullable=True))
    # A receivable in a foreign currency is worth another amount at each month's end.
    op.execute("grant update (carried_minor, cost_minor, cleared_cost_minor) on credit_note_line to finance_app")
    op.add_column("credit_offset", sa.Column("functional_minor", sa.BigInteger(), nullable=True))
    op.create_index("ix_credit_offset_payable", "credit_offset", ["payable_id", "credit_offset_id"], unique=False)
    op.create_index(
        "ix_payable_part_foreign",
        "payable_part",
        ["document_line_id"],
        unique=False,
        postgresql_where=sa.text("foreign_minor is not null"),
    )
    _receipts()
    # A table's wall is its owner's too, and lifted while its rows are read.
    for table in _FILLED:
        op.execute(f"alter table {table} no force row level security")
    op.execute(_UNINVOICED)
    op.execute(_INVOICED)
    for table in _FILLED:
        op.execute(f"alter table {table} force row level security")


def downgrade() -> None:
    """What was decided about money is not forgotten: restore a backup instead."""
    raise NotImplementedError("decisions about money are not taken back; restore a backup")


def _receipts() -> None:
    op.add_column("withholding_remittance", sa.Column("receipt_number", sa.Text(), nullable=True))
    op.add_column("withholding_remittance", sa.Column("received_on", sa.Date(), nullable=True))
    op.add_column("withholding_remittance", sa.Column("receipt_recorded_by_person_id", sa.Uuid(), nullable=True))
    op.create_check_constraint(
        "receipt_of_what_was_remitted", "withholding_remittance", "receipt_number is null or status = 'REMITTED'"
    )
    op.create_index(
        "uq_withholding_remittance_receipt",
        "withholding_remittance",
        ["agency_id", "receipt_number"],
        unique=True,
        postgresql_where=sa.text("receipt_number is not null"),
    )
