"""Whether the preparation holds, asked from outside: nothing approved above a ceiling, versions as handed in."""

from __future__ import annotations

from sqlalchemy import Connection, text

from chassis.verify import PROBLEMS_MAX, Problem

# P1: of each place the version in force and those to come; what is approved under them is not more than they allow.
_ABOVE_CEILING = """
    with head as (
        select distinct on (c.agency_id, c.fiscal_year, c.currency, h.organisation_code, h.program_code, h.account_code,
                            c.effective_on)
               c.agency_id, c.fiscal_year, c.currency, c.effective_on, c.document_number, h.organisation_code,
               h.program_code, h.account_code, h.version_number, h.amounts_minor
        from budget_ceiling c join budget_ceiling_head h using (budget_ceiling_id)
        where c.status = 'APPROVED'
        order by c.agency_id, c.fiscal_year, c.currency, h.organisation_code, h.program_code, h.account_code,
                 c.effective_on, h.version_number desc
    ), bound as (
        select * from head h
        where not exists (
            select 1 from head n
            where (n.agency_id, n.fiscal_year, n.currency, n.organisation_code, n.program_code, n.account_code)
                  = (h.agency_id, h.fiscal_year, h.currency, h.organisation_code, h.program_code, h.account_code)
              and n.effective_on > h.effective_on and n.effective_on <= current_date)
    ), asked as (
        select q.agency_id, q.fiscal_year, q.currency, l.organisation_code, l.program_code, l.account_code, y.nth,
               sum(y.minor) as minor
        from budget_request q join budget_request_version v using (budget_request_id)
        join budget_request_line l on l.budget_request_id = v.budget_request_id
                                   and l.version_number = v.version_number
        cross join lateral unnest(l.amounts_minor) with ordinality y (minor, nth)
        where v.status = 'APPROVED'
        group by 1, 2, 3, 4, 5, 6, 7
    )
    select format('ceiling %s of unit %s program %s account %s, year %s: %s allowed, %s approved', b.document_number,
                  b.organisation_code, b.program_code, b.account_code, b.fiscal_year + a.nth - 1,
                  b.amounts_minor[a.nth], sum(a.minor))
    from bound b join asked a on (a.agency_id, a.fiscal_year, a.currency) = (b.agency_id, b.fiscal_year, b.currency)
     and a.nth <= cardinality(b.amounts_minor)
     and (b.organisation_code in ('', a.organisation_code)
          or starts_with(a.organisation_code, b.organisation_code || '.'))
     and (b.program_code in ('', a.program_code) or starts_with(a.program_code, b.program_code || '.'))
     and (b.account_code in ('', a.account_code) or starts_with(a.account_code, b.account_code || '.'))
    group by b.agency_id, b.fiscal_year, b.currency, b.effective_on, b.document_number, b.organisation_code,
             b.program_code, b.account_code, b.version_number, b.amounts_minor, a.nth
    having sum(a.minor) > b.amounts_minor[a.nth]
"""

# P2: a version's sums are those of its lines, and one version of a request is approved at most.
_VERSIONS = """
    select format('budget request %s, version %s: keeps %s lines of %s, its lines are %s of %s', q.document_number,
                  v.version_number, v.line_count, v.totals_minor[1], s.lines, s.minor)
    from budget_request q join budget_request_version v using (budget_request_id)
    cross join lateral (
        select count(*) as lines, coalesce(sum(amounts_minor[1]), 0) as minor from budget_request_line l
        where l.budget_request_id = v.budget_request_id and l.version_number = v.version_number
    ) s
    where (v.line_count, v.totals_minor[1]) <> (s.lines, s.minor)
    union all
    select format('budget request %s has %s approved versions', q.document_number, count(*))
    from budget_request q join budget_request_version v using (budget_request_id)
    where v.status = 'APPROVED' group by q.budget_request_id, q.document_number having count(*) > 1
"""

# P3: an appropriation has every line of the version that it comes from, with the same amount.
_APPROPRIATED = """
    select format('budget request %s: line of unit %s, account %s, line_no %s asks for %s, its appropriation has %s',
                  q.document_number, l.organisation_code, l.account_code, l.line_no, l.amounts_minor[1],
                  coalesce(b.original_minor::text, 'no such line'))
    from budget_request q
    join budget_request_line l on l.budget_request_id = q.budget_request_id
                               and l.version_number = q.latest_version_number
    left join budget_line b on b.appropriation_id = q.appropriation_id and b.fund_code = l.fund_code
        and b.organisation_code = l.organisation_code and b.program_code = l.program_code
        and b.account_code = l.account_code and b.function_code = l.function_code
        and b.location_code = l.location_code and b.project_code = l.project_code
        and b.funding_source_code = l.funding_source_code and b.line_no = l.line_no
    where q.appropriation_id is not null and b.original_minor is distinct from l.amounts_minor[1]
"""

# I9: whoever wrote in a request does not put its appropriation in force.
_PERSONS = """
    select format('budget request %s: %s wrote in it and activated its appropriation', q.document_number,
                  a.activated_by_person_id)
    from budget_request q join appropriation a using (appropriation_id)
    join budget_request_version v on v.budget_request_id = q.budget_request_id
                                  and a.activated_by_person_id = any (v.maker_person_ids)
"""


def problems(connection: Connection) -> list[Problem]:
    """What does not hold: P1 to P3, and I9 of requests."""
    found = []
    for name, question in (
        ("P1", _ABOVE_CEILING),
        ("P2", _VERSIONS),
        ("P3", _APPROPRIATED),
        ("I9", _PERSONS),
    ):
        rows = connection.execute(text(f"{question} limit :limit"), {"limit": PROBLEMS_MAX})
        found += [Problem(name, str(what)) for (what,) in rows]
    return found
