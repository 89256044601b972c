"""Rules of the approval matrix name nodes of any segment; routes of documents that change, round by round.

Also: a draft appropriation may be withdrawn, for what its route rejected has to go somewhere; and the index by which
the newest run of a kind of job is found.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from chassis import migrate

revision = "finance_0019"
down_revision = "finance_0018"

_ROUTED = (
    *("PAYMENT_REQUEST", "SUPPLEMENTARY_BUDGET", "VIREMENT", "BUDGET_FREEZE", "BUDGET_OVERRIDE", "INVOICE"),
    *("CREDIT_NOTE", "BILL", "IMPREST_VOUCHER", "BUDGET_CEILING", "BUDGET_CONTROL_CHANGE", "BUDGET_YEAR_END"),
    *("MULTI_YEAR_AUTHORISATION", "FISCAL_PERIOD_REOPENING", "PAYMENT_RUN", "PAYEE_ACCOUNT"),
    *("WITHHOLDING_REMITTANCE", "LATE_INTEREST_CHARGE", "BANK_CHARGE", "CREDIT_OFFSET"),
    *("APPROPRIATION", "BUDGET_REQUEST"),
)
# A prefix becomes the node of its code, in the order of the segments' names.
_NODES = """
    update approval_rule set
        node_segments = array_remove(array[case when account_prefix <> '' then 'ACCOUNT' end,
                                           case when organisation_prefix <> '' then 'ORGANISATION' end], null),
        node_codes = array_remove(array[nullif(account_prefix, ''), nullif(organisation_prefix, '')], null)
"""
# A prefix held for whatever was spelled so; a node that is in no tree holds for nothing, and the steps of its rule
# would be left out of every route from now on without anybody being told.
_UNKNOWN = """
    select string_agg(format('%s %s (step %s of %s, rule %s)', n.segment, n.code, r.step_number, r.document_kind,
                             r.approval_rule_id), '; ' order by n.segment, n.code, r.approval_rule_id)
    from approval_rule r
    cross join lateral (values ('ACCOUNT', r.account_prefix), ('ORGANISATION', r.organisation_prefix)) n (segment, code)
    where n.code <> '' and (r.valid_to is null or r.valid_to > current_date)
      and not exists (select from account a where n.segment = 'ACCOUNT' and a.code = n.code)
      and not exists (select from dimension_value d where d.kind = n.segment and d.code = n.code)
"""


def upgrade() -> None:
    """Turn prefixes into nodes, let two more kinds take routes, and number the rounds of every route."""
    _nodes()
    kinds = ", ".join(f"'{kind}'" for kind in _ROUTED)
    op.drop_constraint(op.f("ck_approval_rule_document_kind"), "approval_rule", type_="check")
    op.create_check_constraint(op.f("ck_approval_rule_document_kind"), "approval_rule", f"document_kind in ({kinds})")
    for table in ("approval", "approval_step", "approval_decision"):
        # The default fills what is there; from now on whoever writes says which round.
        op.add_column(table, sa.Column("round_number", sa.Integer(), nullable=False, server_default="1"))
        op.alter_column(table, "round_number", server_default=None)
    op.drop_index("uq_approval_decision_person", "approval_decision")
    op.create_index(
        "uq_approval_decision_person",
        "approval_decision",
        ["approval_id", "round_number", "person_id"],
        unique=True,
        postgresql_where=sa.text("person_id is not null"),
    )
    _withdrawals()
    # Nothing asks for the open runs; the newest of a kind is asked for by every list and every run of the service.
    op.drop_index("ix_job_run_open", "job_run")
    op.create_index("ix_job_run_kind", "job_run", ["agency_id", "kind", "job_run_id"], unique=False)


def downgrade() -> None:
    """What was decided in later rounds has no place in the tables before: restore a backup instead."""
    raise NotImplementedError("approvals are not taken back; restore a backup")


def _nodes() -> None:
    unknown = op.get_bind().execute(sa.text(_UNKNOWN)).scalar_one()
    if unknown:
        raise ValueError(
            "rules of the approval matrix hold for codes by how they are spelled, and these codes are in no tree: "
            f"{unknown}. Create each code (BatchCreateAccounts, BatchCreateDimensionValues), or end its rule "
            "(EndApprovalRule, with the version before) and make it anew for a code that is there; then migrate again"
        )
    for name in ("node_segments", "node_codes"):
        op.add_column(
            "approval_rule", sa.Column(name, postgresql.ARRAY(sa.Text()), nullable=False, server_default="{}")
        )
    op.execute(_NODES)
    for name in ("node_segments", "node_codes"):
        op.alter_column("approval_rule", name, server_default=None)
    op.drop_constraint("uq_approval_rule_content", "approval_rule", type_="unique")
    for name in ("organisation_prefix", "account_prefix"):
        op.drop_column("approval_rule", name)
    op.create_check_constraint(
        op.f("ck_approval_rule_nodes"), "approval_rule", "cardinality(node_segments) = cardinality(node_codes)"
    )
    op.create_unique_constraint(
        "uq_approval_rule_content",
        "approval_rule",
        [
            *("document_kind", "step_number", "role", "amount_currency", "amount_from_minor"),
            *("node_segments", "node_codes", "valid_from"),
        ],
    )


def _withdrawals() -> None:
    """Let a draft appropriation be taken back, and its lines alone leave the budget; they are kept aside."""
    op.add_column("appropriation", sa.Column("withdrawal_reason", sa.Text(), nullable=False, server_default=""))
    op.add_column("appropriation", sa.Column("withdrawn_by_person_id", sa.Uuid(), nullable=True))
    op.add_column("appropriation", sa.Column("withdrawn_at", sa.DateTime(timezone=True), nullable=True))
    op.drop_constraint(op.f("ck_appropriation_status"), "appropriation", type_="check")
    op.create_check_constraint(
        op.f("ck_appropriation_status"), "appropriation", "status in ('DRAFT', 'ACTIVE', 'WITHDRAWN')"
    )
    op.create_check_constraint(
        op.f("ck_appropriation_withdrawn_by"),
        "appropriation",
        "(status = 'WITHDRAWN') = (withdrawn_by_person_id is not null)",
    )
    op.create_table(
        "withdrawn_budget_line",
        sa.Column("budget_line_id", sa.Uuid(), nullable=False),
        sa.Column("agency_id", sa.Uuid(), nullable=False),
        sa.Column("appropriation_id", sa.Uuid(), nullable=False),
        sa.Column("line", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.PrimaryKeyConstraint("budget_line_id", name=op.f("pk_withdrawn_budget_line")),
    )
    op.create_index(
        "ix_withdrawn_budget_line_appropriation", "withdrawn_budget_line", ["appropriation_id"], unique=False
    )
    migrate.secure(op, "finance", "withdrawn_budget_line", app="select, insert")
    op.execute("grant delete on budget_line to finance_app")
    op.execute(
        "create policy drafts_alone_are_deleted on budget_line as restrictive for delete using (status = 'DRAFT')"
    )
