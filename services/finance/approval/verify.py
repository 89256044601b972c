"""Whether the approval matrix is what two persons made it, asked from outside."""

from __future__ import annotations

from sqlalchemy import Connection, text

from chassis.verify import PROBLEMS_MAX, Problem

_COLUMNS = (
    *("document_kind", "step_number", "display_name", "role", "approvers", "amount_currency", "amount_from_minor"),
    *("node_segments", "node_codes", "deadline_days", "escalation_role", "legal_source", "valid_from"),
)
# M1: every rule is as an approved change brought it. Those from before changes had two persons name none.
_BROUGHT = f"""
    select format('rule %s of the matrix is not as change %s brought it, or that was never approved',
                  r.approval_rule_id, r.approval_rule_change_id)
    from approval_rule r
    where r.approval_rule_change_id is not null and not exists (
        select from approval_rule_change c join approval_rule_addition a using (approval_rule_change_id)
        where c.approval_rule_change_id = r.approval_rule_change_id and c.status = 'APPROVED'
          and a.approval_rule_id = r.approval_rule_id
          and ({", ".join(f"a.{name}" for name in _COLUMNS)}) = ({", ".join(f"r.{name}" for name in _COLUMNS)})
    )
"""  # noqa: S608  # only constants
# M2: a rule ends on the day with which it came, or earlier by an approved change, and on no other day.
_ENDED = """
    select format('rule %s of the matrix ends on %s, by the changes that were approved on %s', r.approval_rule_id,
                  coalesce(cast(r.valid_to as text), 'no day'), coalesce(cast(said.valid_to as text), 'no day'))
    from approval_rule r
    cross join lateral (
        select min(days.valid_to) as valid_to from (
            select a.valid_to from approval_rule_addition a
            where a.approval_rule_id = r.approval_rule_id
              and a.approval_rule_change_id = r.approval_rule_change_id
            union all
            select e.valid_to from approval_rule_ending e join approval_rule_change c using (approval_rule_change_id)
            where e.approval_rule_id = r.approval_rule_id and c.status = 'APPROVED'
        ) days
    ) said
    where r.valid_to is distinct from said.valid_to
      and (r.approval_rule_change_id is not null or coalesce(r.valid_to, 'infinity') > said.valid_to)
"""


def problems(connection: Connection) -> list[Problem]:
    """What does not hold: M1 and M2."""
    found: list[Problem] = []
    for name, query in (("M1", _BROUGHT), ("M2", _ENDED)):
        rows = connection.execute(text(f"{query} limit :limit"), {"limit": PROBLEMS_MAX})
        found += [Problem(name, said) for said in rows.scalars()]
    return found
