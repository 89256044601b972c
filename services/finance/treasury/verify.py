"""Whether the treasury and its bank agree, asked from outside: B1 to B5, I5, I9."""

from __future__ import annotations

from sqlalchemy import Connection, text

from chassis.verify import PROBLEMS_MAX, Problem

# B1: a statement's entries lead from its opening to its closing balance, and each statement opens where the one before
# it closed.
_STATEMENTS = """
    select format('statement %s: opens at %s, its %s entries come to %s, it closes at %s', s.statement_reference,
                  s.opening_minor, e.count, s.opening_minor + e.total, s.closing_minor)
    from bank_statement s
    cross join lateral (
        select count(*) as count,
               coalesce(sum(case direction when 'DEBIT' then -amount_minor else amount_minor end), 0)::bigint as total
        from bank_entry where bank_statement_id = s.bank_statement_id
    ) e
    where s.opening_minor + e.total <> s.closing_minor or e.count <> s.entry_count
    union all
    select format('statement %s of account %s opens at %s, the one before it closed at %s', statement_reference,
                  bank_account_id, opening_minor, before)
    from (select *, lag(closing_minor) over account as before, lag(position) over account as place
          from bank_statement window account as (partition by bank_account_id order by position)) chained
    where before <> opening_minor or position <> coalesce(place, 0) + 1
"""
# B2: a matched entry of the bank and its twin in the books moved the same amount through the account's cash account.
# With it, books less statement is explained to the last minor unit by what is on one side only.
_TWINS = """
    with mirrored as materialized (
        select bank_account_id, account_heirs(account_code, valid_from, valid_to) as codes from bank_account
    )
    select format('bank entry %s moved %s, its entry in the books %s', b.bank_entry_id, b.signed, coalesce(l.signed, 0))
    from (select e.*, a.codes, case direction when 'DEBIT' then -amount_minor else amount_minor end as signed
          from bank_entry e join mirrored a using (bank_account_id) where e.status = 'MATCHED') b
    left join lateral (
        select sum(debit_minor - credit_minor)::bigint as signed from journal_line
        where journal_entry_id = b.journal_entry_id and account_code = any (b.codes) and agency_id = b.agency_id
    ) l on true
    where b.signed is distinct from l.signed
"""
# B3: a run is the sum of its payments, its file has its hash, and what is settled at the bank is settled in the books.
_RUNS = """
    select format('payment run %s: %s payments of %s, its instructions are %s of %s', r.payment_run_id,
                  r.instruction_count, r.total_minor, i.count, i.total)
    from payment_run r
    cross join lateral (
        select count(*) as count, coalesce(sum(amount_minor), 0)::bigint as total from payment_instruction
        where payment_run_id = r.payment_run_id and status <> 'CANCELLED'
    ) i
    where r.status <> 'CANCELLED' and (i.count, i.total) <> (r.instruction_count, r.total_minor)
    union all
    select format('payment run %s: its file is not the one with its hash', r.payment_run_id)
    from payment_run r left join payment_run_file f using (payment_run_id)
    where r.file_sha256 is distinct from encode(sha256(f.content), 'hex')
    union all
    select format('payment instruction %s is %s, payment order %s is %s', i.payment_instruction_id, i.status,
                  o.order_number, o.status)
    from payment_instruction i join payment_order o using (payment_order_id)
    where i.status in ('DEBITED', 'RETURNED') and o.status <> 'DEBITED'
       or i.status = 'REJECTED' and i.payment_return_id is null and o.status <> 'REJECTED'
    union all
    select format('payment instruction %s pays %s, payment order %s %s', i.payment_instruction_id, i.amount_minor,
                  o.order_number, coalesce(r.amount_minor, o.foreign_minor, o.net_minor))
    from payment_instruction i join payment_order o using (payment_order_id)
    left join payment_return r using (payment_return_id)
    where (i.amount_minor, i.currency)
       <> (coalesce(r.amount_minor, o.foreign_minor, o.net_minor),
           coalesce(r.currency, o.foreign_currency, o.currency))
"""
# B4: TRANSIT of a treasury is what it has ordered and the bank has not debited; RTN what came back and is not ordered
# anew.
_ACCOUNTS = """
    select format('treasury %s: %s in %s is %s, its open %s sum to %s', agency_id, role, currency, balance, what,
                  expected)
    from (
        select coalesce(b.agency_id, w.agency_id) as agency_id, coalesce(b.role, w.role) as role,
               coalesce(b.currency, w.currency) as currency, coalesce(b.balance, 0) as balance,
               case coalesce(b.role, w.role) when 'TRANSIT' then 'orders' else 'returns' end as what,
               coalesce(w.total, 0) as expected
        from (
            select agency_id, role, currency, sum(minor)::bigint as balance
            from (
                select agency_id, account_code, currency, credit_minor - debit_minor as minor from account_balance
                union all
                -- What a month's end makes of claims in a foreign currency is in the currency of the books: no order.
                select l.agency_id, l.account_code, l.currency, l.debit_minor - l.credit_minor
                from foreign_revaluation r join journal_line l using (journal_entry_id)
            ) a
            join (select distinct role, account_code from account_mapping where role in ('TRANSIT', 'RTN')) m
                 using (account_code)
            group by 1, 2, 3
        ) b
        full join (
            select agency_id, role, currency, sum(amount)::bigint as total
            from (
                select treasury_agency_id as agency_id, 'TRANSIT' as role, currency, net_minor as amount
                from payment_order where status in ('UNNUMBERED', 'ISSUED')
                union all
                select agency_id, case status when 'REISSUED' then 'TRANSIT' else 'RTN' end, currency, amount_minor
                from payment_return where status in ('REISSUED', 'RETURNED')
            ) open group by 1, 2, 3
        ) w using (agency_id, role, currency)
    ) compared
    where balance <> expected
"""
# I5: one entry of the bank for each debit and each return.
_TWICE = """
    select format('%s entries of the bank are the %s of payment order %s', count(*), direction, payment_order_id)
    from bank_entry where status = 'MATCHED' and payment_order_id is not null
    group by payment_order_id, payment_return_id, direction having count(*) > 1
"""
# A charge that is booked explains its entry of the bank with its own amount, and no payment does.
_CHARGES = """
    select format('bank charge %s of %s: its entry of the bank is %s of %s', c.bank_charge_id, c.amount_minor,
                  e.outcome, e.amount_minor)
    from bank_charge c join bank_entry e using (bank_entry_id)
    where c.status = 'APPROVED'
      and (e.outcome <> 'BOOKED' or e.amount_minor <> c.amount_minor or e.payment_order_id is not null
           or e.journal_entry_id is distinct from c.journal_entry_id)
    union all
    -- Of an account in a foreign currency its cash moved in it, and is worth what the charge is in the books.
    select format('bank charge %s of %s %s, %s in the books: its entry moved %s', c.bank_charge_id, c.currency,
                  c.amount_minor, c.functional_minor, coalesce(l.worth, 0))
    from bank_charge c
    left join lateral (
        select sum(j.functional_debit_minor + j.functional_credit_minor)::bigint as worth from journal_line j
        where j.journal_entry_id = c.journal_entry_id and j.currency = c.currency
    ) l on true
    where c.status = 'APPROVED' and c.functional_minor is not null and l.worth is distinct from c.functional_minor
"""
# I9: nobody approves or matches his own work.
_MAKERS = """
    select format('payment run %s was approved by its maker', payment_run_id) from payment_run
    where approved_by_person_id = created_by_person_id
    union all
    select format('payee account %s was approved by its maker', payee_account_id) from payee_account
    where approved_by_person_id = created_by_person_id
    union all
    select format('bank charge %s was approved by who proposed it', bank_charge_id) from bank_charge
    where approved_by_person_id = created_by_person_id
    union all
    select format('bank entry %s was matched by who issued the order', b.bank_entry_id)
    from bank_entry b join payment_order o using (payment_order_id)
    where b.matched_by_person_id = o.issued_by_person_id
"""


def problems(connection: Connection) -> list[Problem]:
    """What does not hold, the first few of each kind."""
    found: list[Problem] = []
    for invariant, query in (
        ("B1", _STATEMENTS),
        ("B2", _TWINS),
        ("B3", _RUNS),
        ("B4", _ACCOUNTS),
        ("I5", _TWICE),
        ("I5", _CHARGES),
        ("I9", _MAKERS),
    ):
        rows = connection.execute(text(f"select * from ({query}) as found limit {PROBLEMS_MAX}"))  # noqa: S608
        found += [Problem(invariant, str(row[0])) for row in rows]
    return found
