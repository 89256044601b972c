"""What must hold in HR's database whatever happened (trust §3): I8, I9, and that facts do not contradict."""

from __future__ import annotations

from sqlalchemy import Connection, text

from chassis.told import compare, numbered, told, versions, versions_that_were
from chassis.verify import PROBLEMS_MAX, Findings, Problem, together

_EVENTS = "kelola.hr.v1."
# I6. Not one to one, and so not here: PositionChanged (a seat that is filled or vacated gets a version too),
# EmployeeChanged (so does an answer of finance) and PayrollRunRefused (a refused run may be approved again).
TOLD = (
    versions(f"{_EVENTS}UnitCreated", f"{_EVENTS}UnitChanged", table="unit", key="unit_id"),
    told(f"{_EVENTS}PositionCreated", "position", "position_id"),
    told(f"{_EVENTS}EmployeeHired", "employee", "employee_id", where="state in ('ACTIVE', 'SEPARATING', 'SEPARATED')"),
    told(f"{_EVENTS}EmployeeHireRefused", "employee", "employee_id", where="state = 'REFUSED'"),
    told(f"{_EVENTS}EmployeeSeparated", "employee", "employee_id", where="state = 'SEPARATED'"),
    told(f"{_EVENTS}PayrollRunComputed", "payroll_run", "payroll_run_id", where="state <> 'COMPUTING'"),
    told(f"{_EVENTS}PayrollRunApproved", "payroll_run", "payroll_run_id", where="state in ('APPROVED', 'PAID')"),
    told(f"{_EVENTS}PayrollRunPaid", "payroll_run", "payroll_run_id", where="state = 'PAID'"),
    told(f"{_EVENTS}PayrollRunCancelled", "payroll_run", "payroll_run_id", where="state = 'CANCELLED'"),
)

NUMBERED = (
    numbered(f"{_EVENTS}PositionCreated", f"{_EVENTS}PositionChanged", table="position", key="position_id"),
    numbered(
        *(f"{_EVENTS}Employee{what}" for what in ("Hired", "HireRefused", "Changed", "Separated")),
        table="employee",
        key="employee_id",
    ),
    numbered(
        *(f"{_EVENTS}PayrollRun{what}" for what in ("Computed", "Approved", "Refused", "Paid", "Cancelled")),
        table="payroll_run",
        key="payroll_run_id",
    ),
)

# I8: each payslip's net = gross + tax allowance − deductions, and its lines are its sums.
_PAYSLIP_LINES = """
    select format('payslip %s of run %s: lines give gross %s, tax allowance %s, deductions %s, employer parts %s; '
                  'the payslip says %s, %s, %s, %s',
                  p.payslip_id, p.payroll_run_id, coalesce(l.gross, 0), coalesce(l.tax_allowance, 0),
                  coalesce(l.deductions, 0), coalesce(l.employer_parts, 0),
                  p.gross_minor, p.tax_allowance_minor, p.deductions_minor, p.employer_parts_minor)
    from payslip p
    left join (select payslip_id,
                      sum(amount_minor) filter (where side = 'EARNING') as gross,
                      sum(amount_minor) filter (where side = 'TAX_ALLOWANCE') as tax_allowance,
                      sum(amount_minor) filter (where side = 'DEDUCTION') as deductions,
                      sum(amount_minor) filter (where side = 'EMPLOYER_PART') as employer_parts
               from payslip_line group by payslip_id) l using (payslip_id)
    where (coalesce(l.gross, 0), coalesce(l.tax_allowance, 0), coalesce(l.deductions, 0), coalesce(l.employer_parts, 0))
          <> (p.gross_minor, p.tax_allowance_minor, p.deductions_minor, p.employer_parts_minor)
       or p.gross_minor + p.tax_allowance_minor - p.deductions_minor <> p.net_minor
"""

# I8: a run's totals are the sums of its payslips: what finance was asked to accept.
_RUN_TOTALS = """
    select format('payroll run %s (%s) says %s payslips, net %s, cost %s; its payslips give %s, %s, %s',
                  r.payroll_run_id, r.number, r.payslip_count, r.net_minor,
                  r.gross_minor + r.tax_allowance_minor + r.employer_parts_minor, s.payslips, s.net, s.cost)
    from payroll_run r
    cross join lateral (select count(*) as payslips, coalesce(sum(net_minor), 0) as net,
                               coalesce(sum(gross_minor + tax_allowance_minor + employer_parts_minor), 0) as cost
                        from payslip p where p.payroll_run_id = r.payroll_run_id) s
    where r.state <> 'COMPUTING'
      and (r.payslip_count, r.net_minor, r.gross_minor + r.tax_allowance_minor + r.employer_parts_minor)
          <> (s.payslips, s.net, s.cost)
"""

# I8: a person is in a run or left out of it, never both; every charged line names its budget line.
_BOTH = """
    select format('employment %s is both paid by run %s and left out of it', employee_id, payroll_run_id)
    from payslip join payroll_exception using (payroll_run_id, employee_id) where left_out
"""
_UNFUNDED = """
    select format('line %s of payslip %s (%s) is borne by no budget line', line_no, payslip_id, component)
    from payslip_line where side <> 'DEDUCTION' and budget_line_id is null
"""

# I9: nobody approved what he made; an accepted run has an approver.
_MAKER = """
    select format('payroll run %s (%s), %s: created by %s, approved by %s',
                  payroll_run_id, number, state, created_by_person_id, coalesce(approved_by_person_id::text, 'nobody'))
    from payroll_run
    where approved_by_person_id = created_by_person_id
       or (state in ('ACCEPTING', 'APPROVED', 'PAID', 'REFUSED_FUNDS') and approved_by_person_id is null)
"""

# One thing is believed of one day: facts that are known now do not overlap.
_FACTS_OVERLAP = """
    select format('employment %s: two facts are believed of %s', employee_id, valid_from)
    from (select employee_id, valid_from,
                 lag(coalesce(valid_to, 'infinity'::date)) over (partition by employee_id order by valid_from) as before
          from employee_fact where known_to is null) as believed
    where valid_from < before
"""

# A seat is filled if, and only if, somebody holds it.
_SEATS = """
    select format('position %s (%s) is %s and has %s holders', p.position_id, p.code, p.state, count(e.employee_id))
    from position p
    left join employee e on e.position_id = p.position_id and e.state in ('PENDING', 'ACTIVE', 'SEPARATING')
    group by p.position_id, p.code, p.state
    having (p.state = 'FILLED') <> (count(e.employee_id) = 1)
"""

# Paid is what was owed; nothing is paid beyond it.
_OVERPAID = """
    select format('payroll run %s (%s), %s: paid %s of %s', payroll_run_id, number, state, paid_minor,
                  gross_minor + tax_allowance_minor + employer_parts_minor)
    from payroll_run
    where paid_minor > gross_minor + tax_allowance_minor + employer_parts_minor
       or (state = 'PAID') <> (state in ('APPROVED', 'PAID') and paid_minor > 0
                               and paid_minor = gross_minor + tax_allowance_minor + employer_parts_minor)
"""

_PAYMENTS = """
    select format('payroll run %s (%s) says it was paid %s; its payment orders paid %s', r.payroll_run_id, r.number,
                  r.paid_minor, coalesce(p.paid, 0))
    from payroll_run r
    left join (select payroll_run_id, sum(amount_minor) as paid from payroll_payment group by payroll_run_id) p
           using (payroll_run_id)
    where r.paid_minor <> coalesce(p.paid, 0)
"""

_CHECKS = (
    ("I8", _PAYSLIP_LINES),
    ("I8", _RUN_TOTALS),
    ("I8", _BOTH),
    ("I8", _UNFUNDED),
    ("I8", _OVERPAID),
    ("I8", _PAYMENTS),
    ("I9", _MAKER),
    ("I8", _FACTS_OVERLAP),
    ("I8", _SEATS),
)


def effects(connection: Connection) -> Findings:
    """I6: each effect and its one event."""
    return together([compare(connection, TOLD), versions_that_were(connection, NUMBERED)])


def problems(connection: Connection) -> list[Problem]:
    """Every violation found, at most PROBLEMS_MAX of a kind."""
    found = []
    for invariant, query in _CHECKS:
        rows = connection.execute(text(query)).fetchmany(PROBLEMS_MAX)
        found += [Problem(invariant, str(row[0])) for row in rows]
    return found
