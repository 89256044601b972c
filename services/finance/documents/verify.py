"""Whether no document left control, asked from outside."""

from __future__ import annotations

from sqlalchemy import Connection, text

from chassis.verify import PROBLEMS_MAX, Problem

# (table, key) of every kind of document, as its own table says where it stands.
TABLES = (
    ("budget_change", "budget_change_id"),
    ("budget_override", "budget_override_id"),
    ("budget_ceiling", "budget_ceiling_id"),
    ("budget_control_change", "budget_control_change_id"),
    ("budget_year_end", "budget_year_end_id"),
    ("multi_year_authorisation", "multi_year_authorisation_id"),
    ("appropriation", "appropriation_id"),
    ("invoice", "invoice_id"),
    ("credit_note", "credit_note_id"),
    ("bill", "bill_id"),
    ("payment_request", "payment_request_id"),
    ("payment_order", "payment_order_id"),
    ("payment_run", "payment_run_id"),
    ("payment_return", "payment_return_id"),
    ("payee_account", "payee_account_id"),
    ("imprest", "imprest_id"),
    ("imprest_voucher", "imprest_voucher_id"),
    ("fiscal_period_reopening", "fiscal_period_reopening_id"),
    ("withholding_remittance", "withholding_remittance_id"),
    ("late_interest_charge", "late_interest_charge_id"),
    ("bank_charge", "bank_charge_id"),
    ("credit_offset", "credit_offset_id"),
    ("late_delivery_penalty", "late_delivery_penalty_id"),
    ("approval_rule_change", "approval_rule_change_id"),
)

# D1: a document stands where its own table says.
_ELSEWHERE = """
    select format('{table} %s is %s, its history says %s', t.{key}, t.status, coalesce(s.status, 'nothing'))
    from {table} t left join document_state s on s.document_id = t.{key}
    where s.status is distinct from t.status
"""
_REQUESTS = """
    select format('budget request %s is %s, its history says %s', r.budget_request_id, v.status,
                  coalesce(s.status, 'nothing'))
    from budget_request r
    join budget_request_version v
         on v.budget_request_id = r.budget_request_id and v.version_number = r.latest_version_number
    left join document_state s on s.document_id = r.budget_request_id
    where s.status is distinct from v.status
"""
# D2 (I9): nobody who approved a step of a document's route, or for whom it was approved, took a part in the document.
# Whoever took it back after his own approval ended it, and whoever notes what became of it once it is in force (the
# file that went to the bank, money that came back, the tax office's receipt) controls nothing: no separation forbids
# either. What was decided on an earlier round of the route counts no more.
_TWO_PARTS = """
    select format('document %s: person %s approved a step of its route and took the part %s', d.approval_id, q.person,
                  p.key)
    from approval_decision d
    join approval a on (a.approval_id, a.round_number) = (d.approval_id, d.round_number)
    join document_state s on s.document_id = d.approval_id
    cross join lateral jsonb_each(s.persons) p
    cross join lateral jsonb_array_elements_text(p.value) q (person)
    where d.act = 'APPROVE' and q.person in (cast(d.person_id as text), cast(d.on_behalf_of_person_id as text))
      and p.key not in ('withdrawn', 'voided', 'cancelled', 'ended', 'rejected', 'exported', 'refunded',
                        'receipt_recorded')
      and s.status not in ('REJECTED', 'RECALLED', 'RETURNED')
      -- A version that is being written has no route yet; the one on record is that of the version before it.
      and (s.document_kind, s.status) <> ('BUDGET_REQUEST', 'DRAFT')
"""
# D3: what its route comes before is not done while the route is not approved.
_PAST_ITS_ROUTE = """
    select format('document %s is %s, its route is %s', s.document_id, s.status, a.status)
    from document_state s join approval a on a.approval_id = s.document_id
    where a.status <> 'APPROVED'
      and (s.document_kind, s.status) in (
          ('BUDGET_CHANGE', 'APPROVED'), ('BUDGET_OVERRIDE', 'OPEN'), ('BUDGET_OVERRIDE', 'CLOSED'),
          ('BUDGET_CEILING', 'APPROVED'), ('BUDGET_CONTROL_CHANGE', 'APPROVED'), ('BUDGET_YEAR_END', 'APPROVED'),
          ('MULTI_YEAR_AUTHORISATION', 'APPROVED'), ('INVOICE', 'APPROVED'), ('INVOICE', 'PAID'),
          ('CREDIT_NOTE', 'APPROVED'), ('CREDIT_NOTE', 'RECEIVABLE'), ('CREDIT_NOTE', 'REFUNDED'),
          ('BILL', 'CERTIFIED'), ('PAYMENT_REQUEST', 'AUTHORISED'), ('PAYMENT_REQUEST', 'ORDERED'),
          ('PAYMENT_RUN', 'APPROVED'), ('PAYMENT_RUN', 'EXPORTED'), ('PAYEE_ACCOUNT', 'APPROVED'),
          ('IMPREST_VOUCHER', 'PAID'), ('IMPREST_VOUCHER', 'CLAIMED'), ('IMPREST_VOUCHER', 'VALIDATED'),
          ('FISCAL_PERIOD_REOPENING', 'APPROVED'), ('WITHHOLDING_REMITTANCE', 'APPROVED'),
          ('WITHHOLDING_REMITTANCE', 'REMITTED'), ('LATE_INTEREST_CHARGE', 'APPROVED'), ('BANK_CHARGE', 'APPROVED'),
          ('CREDIT_OFFSET', 'APPROVED'), ('CREDIT_NOTE', 'OFFSET'), ('APPROPRIATION', 'ACTIVE'),
          ('BUDGET_REQUEST', 'APPROVED'), ('LATE_DELIVERY_PENALTY', 'APPROVED'),
          ('LATE_DELIVERY_PENALTY', 'WAIVED')
      )
"""


def problems(connection: Connection) -> list[Problem]:
    """What does not hold: D1, D2, D3."""
    found: list[Problem] = []
    queries = [("D1", _ELSEWHERE.format(table=table, key=key)) for table, key in TABLES]
    for name, query in (*queries, ("D1", _REQUESTS), ("D2", _TWO_PARTS), ("D3", _PAST_ITS_ROUTE)):
        rows = connection.execute(text(f"{query} limit :limit"), {"limit": PROBLEMS_MAX})
        found += [Problem(name, said) for said in rows.scalars()]
    return found
