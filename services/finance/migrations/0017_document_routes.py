"""Routes of approval for every kind of document; where each document stands, and all that was done with it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from chassis import migrate

revision = "finance_0017"
down_revision = "finance_0016"

_ROUTED = (
    *("PAYMENT_REQUEST", "SUPPLEMENTARY_BUDGET", "VIREMENT", "BUDGET_FREEZE", "BUDGET_OVERRIDE", "INVOICE"),
    *("CREDIT_NOTE", "BILL", "IMPREST_VOUCHER", "BUDGET_CEILING", "BUDGET_CONTROL_CHANGE", "BUDGET_YEAR_END"),
    *("MULTI_YEAR_AUTHORISATION", "FISCAL_PERIOD_REOPENING", "PAYMENT_RUN", "PAYEE_ACCOUNT"),
    *("WITHHOLDING_REMITTANCE", "LATE_INTEREST_CHARGE", "BANK_CHARGE", "CREDIT_OFFSET"),
)

# (table, kind of document, its key, and the columns of its number, currency and amount; '' has none).
_DOCUMENTS = (
    ("budget_change", "BUDGET_CHANGE", "budget_change_id", "document_number", "currency", "increase_minor"),
    ("budget_override", "BUDGET_OVERRIDE", "budget_override_id", "document_number", "currency", ""),
    ("budget_ceiling", "BUDGET_CEILING", "budget_ceiling_id", "document_number", "currency", ""),
    ("budget_request", "BUDGET_REQUEST", "budget_request_id", "document_number", "currency", ""),
    ("budget_request_version", "BUDGET_REQUEST", "budget_request_id", "", "", ""),
    ("budget_control_change", "BUDGET_CONTROL_CHANGE", "budget_control_change_id", "document_number", "", ""),
    ("budget_year_end", "BUDGET_YEAR_END", "budget_year_end_id", "document_number", "", ""),
    (
        *("multi_year_authorisation", "MULTI_YEAR_AUTHORISATION", "multi_year_authorisation_id"),
        *("document_number", "currency", "ceiling_minor"),
    ),
    ("appropriation", "APPROPRIATION", "appropriation_id", "document_number", "currency", "total_minor"),
    ("invoice", "INVOICE", "invoice_id", "supplier_invoice_number", "currency", "total_minor"),
    ("credit_note", "CREDIT_NOTE", "credit_note_id", "credit_note_number", "currency", "total_minor"),
    ("bill", "BILL", "bill_id", "bill_number", "currency", "gross_minor"),
    ("payment_request", "PAYMENT_REQUEST", "payment_request_id", "request_number", "currency", "amount_minor"),
    ("payment_order", "PAYMENT_ORDER", "payment_order_id", "order_number", "currency", "gross_minor"),
    ("withholding_remittance", "WITHHOLDING_REMITTANCE", "withholding_remittance_id", "", "currency", "amount_minor"),
    (
        *("late_interest_charge", "LATE_INTEREST_CHARGE", "late_interest_charge_id"),
        *("source_document_number", "currency", "amount_minor"),
    ),
    ("credit_offset", "CREDIT_OFFSET", "credit_offset_id", "credit_note_number", "currency", "amount_minor"),
    ("bank_charge", "BANK_CHARGE", "bank_charge_id", "", "currency", "amount_minor"),
    ("payment_run", "PAYMENT_RUN", "payment_run_id", "", "currency", "total_minor"),
    ("payment_return", "PAYMENT_RETURN", "payment_return_id", "order_number", "currency", "amount_minor"),
    ("payee_account", "PAYEE_ACCOUNT", "payee_account_id", "", "", ""),
    ("imprest", "IMPREST", "imprest_id", "", "currency", "amount_minor"),
    ("imprest_voucher", "IMPREST_VOUCHER", "imprest_voucher_id", "", "", ""),
    ("fiscal_period_reopening", "FISCAL_PERIOD_REOPENING", "fiscal_period_reopening_id", "", "", ""),
)

# Whatever columns a document keeps its people in: `approved_by_person_id` is the part `approved`.
_PARTS = """
    create function document_parts(p_row jsonb) returns jsonb language sql immutable parallel safe as $$
        select coalesce(
            jsonb_object_agg(
                regexp_replace(key, '(_by)?_person_ids?$', ''),
                case jsonb_typeof(value) when 'array' then value else jsonb_build_array(value) end
            ),
            '{}'
        )
        from jsonb_each(p_row) where key ~ '_person_ids?$' and jsonb_typeof(value) in ('string', 'array')
    $$
"""
# The text that came with the act: an explanation, a reason or a remark that was not there before.
_REASON = """
    create function document_reason(p_row jsonb, p_before jsonb) returns text language sql immutable parallel safe as $$
        select coalesce(
            (select value from jsonb_each_text(p_row)
             where key ~ '(explanation|reason|remark)$' and value <> ''
               and (p_before is null or p_before ->> key is distinct from value)
             order by key limit 1),
            ''
        )
    $$
"""
# Whatever code changes a document, what was done is written down with it, in the same transaction.
_NOTE = """
    create function note_document() returns trigger language plpgsql as $$
    declare
        v_row jsonb := to_jsonb(new);
        v_before jsonb := case when tg_op = 'UPDATE' then to_jsonb(old) end;
        v_id uuid := (v_row ->> tg_argv[1])::uuid;
        v_number text := coalesce(v_row ->> nullif(tg_argv[2], ''), '');
        v_amount bigint := (v_row ->> nullif(tg_argv[4], ''))::bigint;
        v_parts jsonb := document_parts(v_row);
        v_act text := coalesce(current_setting('kelola.act', true), '');
        v_person uuid := nullif(current_setting('kelola.person_id', true), '')::uuid;
        v_acted boolean := tg_op = 'INSERT';
    begin
        if tg_op = 'UPDATE' then
            v_acted := v_row ->> 'status' is distinct from v_before ->> 'status'
                       or v_parts <> document_parts(v_before);
            if not v_acted and v_number = coalesce(v_before ->> nullif(tg_argv[2], ''), '')
               and v_amount is not distinct from (v_before ->> nullif(tg_argv[4], ''))::bigint then
                return null;
            end if;
        end if;
        insert into document_state as kept (document_id, agency_id, document_kind, document_number, status, since,
                                            currency, amount_minor, persons)
        values (v_id, new.agency_id, tg_argv[0], v_number, coalesce(v_row ->> 'status', 'DRAFT'),
                transaction_timestamp(), v_row ->> nullif(tg_argv[3], ''), v_amount, v_parts)
        on conflict (document_id) do update set
            document_number = coalesce(nullif(excluded.document_number, ''), kept.document_number),
            status = coalesce(v_row ->> 'status', kept.status),
            since = case when coalesce(v_row ->> 'status', kept.status) = kept.status then kept.since
                         else excluded.since end,
            currency = coalesce(excluded.currency, kept.currency),
            amount_minor = coalesce(excluded.amount_minor, kept.amount_minor),
            -- A new version of a document begins with its own people.
            persons = case when tg_op = 'INSERT' then excluded.persons else kept.persons || excluded.persons end;
        if v_acted then
            insert into document_act (agency_id, document_id, act, approval_step, person_id, reason, status_before,
                                      status, recorded_at)
            values (new.agency_id, v_id, v_act, '', v_person, document_reason(v_row, v_before),
                    v_before ->> 'status', v_row ->> 'status', transaction_timestamp());
        end if;
        return null;
    end
    $$
"""
# Who brought lines into an appropriation stands in its batches.
_NOTE_IMPORT = """
    create function note_appropriation_import() returns trigger language plpgsql as $$
    begin
        update document_state set persons = jsonb_set(
            persons, '{imported}', coalesce(persons -> 'imported', '[]') || to_jsonb(new.person_id)
        )
        where document_id = new.appropriation_id;
        insert into document_act (agency_id, document_id, act, approval_step, person_id, reason, status_before, status,
                                  recorded_at)
        values (new.agency_id, new.appropriation_id, coalesce(current_setting('kelola.act', true), ''), '',
                new.person_id, '', 'DRAFT', 'DRAFT', transaction_timestamp());
        return null;
    end
    $$
"""
# Of versions the latest speaks for the document: an earlier one that is superseded later says nothing of it.
_LATEST_ONLY = {
    "budget_request_version": (
        "when (new.status <> 'SUPERSEDED')",
        "where version_number = (select latest_version_number from budget_request r"
        " where r.budget_request_id = t.budget_request_id)",
    )
}
# What documents that are there already say of themselves: where they stand, and each act with a person and a time.
_STATES = """
    insert into document_state (document_id, agency_id, document_kind, document_number, status, since, currency,
                                amount_minor, persons)
    select (j ->> '{key}')::uuid, (j ->> 'agency_id')::uuid, '{kind}', coalesce(j ->> nullif('{number}', ''), ''),
           coalesce(j ->> 'status', 'DRAFT'),
           coalesce((select max(value::timestamptz) from jsonb_each_text(j) where key ~ '_at$'), now()),
           j ->> nullif('{currency}', ''), (j ->> nullif('{amount}', ''))::bigint, document_parts(j)
    from (select to_jsonb(t) as j from {table} t {latest}) as rows
    on conflict (document_id) do update set status = excluded.status, since = excluded.since, persons = excluded.persons
"""
_ACTS = """
    insert into document_act (agency_id, document_id, act, approval_step, person_id, reason, status_before, status,
                              recorded_at)
    select (j ->> 'agency_id')::uuid, (j ->> '{key}')::uuid, p.part, '', (j ->> (p.part || '_by_person_id'))::uuid, '',
           null, null, (j ->> (p.part || '_at'))::timestamptz
    from (select to_jsonb(t) as j from {table} t) as rows,
         lateral (select regexp_replace(key, '_by_person_id$', '') as part from jsonb_each_text(j)
                  where key ~ '_by_person_id$') as p
    where j ->> (p.part || '_by_person_id') is not null and j ->> (p.part || '_at') is not null
    order by (j ->> (p.part || '_at'))::timestamptz
"""


def upgrade() -> None:
    """Let every kind of document take a route; make the two tables, fill them, and keep them by triggers."""
    op.drop_constraint(op.f("ck_approval_rule_document_kind"), "approval_rule", type_="check")
    kinds = ", ".join(f"'{kind}'" for kind in _ROUTED)
    op.create_check_constraint(op.f("ck_approval_rule_document_kind"), "approval_rule", f"document_kind in ({kinds})")
    op.create_index(
        "ix_approval_step_open",
        "approval_step",
        ["agency_id", "role"],
        unique=False,
        postgresql_where=sa.text("status = 'OPEN'"),
    )
    _create_tables()
    for function in (_PARTS, _REASON, _NOTE, _NOTE_IMPORT):
        op.execute(function)
    for name in (
        *("document_parts(jsonb)", "document_reason(jsonb, jsonb)"),
        *("note_document()", "note_appropriation_import()"),
    ):
        op.execute(f"revoke all on function {name} from public")
        op.execute(f"grant execute on function {name} to finance_app")
    # A table's wall is its owner's too, and lifted while its rows are read.
    for table, *_ in _DOCUMENTS:
        op.execute(f"alter table {table} no force row level security")
    for table, kind, key, number, currency, amount in _DOCUMENTS:
        names = {"table": table, "kind": kind, "key": key, "number": number, "currency": currency, "amount": amount}
        _fill(**names)
        arguments = ", ".join(f"'{value}'" for value in (kind, key, number, currency, amount))
        op.execute(
            f"create trigger what_was_done_is_noted after insert or update on {table}"
            f" for each row {_LATEST_ONLY.get(table, ('', ''))[0]} execute function note_document({arguments})"
        )
    for table, *_ in _DOCUMENTS:
        op.execute(f"alter table {table} force row level security")
    op.execute(
        "create trigger who_imported_is_noted after insert on appropriation_import"
        " for each row execute function note_appropriation_import()"
    )
    migrate.secure(op, "finance", "document_state")
    migrate.secure(op, "finance", "document_act", app="select, insert")


def downgrade() -> None:
    """What was done with documents is not forgotten: restore a backup instead."""
    raise NotImplementedError("the history of documents is not taken back; restore a backup")


def _fill(*, table: str, **names: str) -> None:
    """Write down what the rows of a table say."""
    op.execute(_STATES.format(table=table, latest=_LATEST_ONLY.get(table, ("", ""))[1], **names))
    op.execute(_ACTS.format(table=table, key=names["key"]))


def _create_tables() -> None:
    op.create_table(
        "document_state",
        sa.Column("document_id", sa.Uuid(), nullable=False),
        sa.Column("agency_id", sa.Uuid(), nullable=False),
        sa.Column("document_kind", sa.Text(), nullable=False),
        sa.Column("document_number", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("currency", sa.Text(), nullable=True),
        sa.Column("amount_minor", sa.BigInteger(), nullable=True),
        sa.Column("persons", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.PrimaryKeyConstraint("document_id", name=op.f("pk_document_state")),
    )
    op.create_index("ix_document_state_waiting", "document_state", ["agency_id", "document_kind", "status"])
    op.create_table(
        "document_act",
        sa.Column("document_act_no", sa.BigInteger(), sa.Identity(always=True, cache=1), nullable=False),
        sa.Column("agency_id", sa.Uuid(), nullable=False),
        sa.Column("document_id", sa.Uuid(), nullable=False),
        sa.Column("act", sa.Text(), nullable=False),
        sa.Column("approval_step", sa.Text(), nullable=False),
        sa.Column("person_id", sa.Uuid(), nullable=True),
        sa.Column("on_behalf_of_person_id", sa.Uuid(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("status_before", sa.Text(), nullable=True),
        sa.Column("status", sa.Text(), nullable=True),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("document_act_no", name=op.f("pk_document_act")),
    )
    op.create_index("ix_document_act_document", "document_act", ["document_id", "document_act_no"])
