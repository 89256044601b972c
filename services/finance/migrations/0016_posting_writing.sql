-- The second half of the posting statement: 0016_posting_judging.sql says what holds for both.


-- Charges lines and all nodes above them with what entries expend.
create function posting_charge(p_demands posting_demand[]) returns void
language sql as $$
    with recursive charge as (
        select d.budget_line_id, d.amount_minor from unnest(p_demands) d
        union all
        select b.parent_id, c.amount_minor
        from charge c join budget_line b on b.budget_line_id = c.budget_line_id
        where b.parent_id is not null
    ), asked as (
        select budget_line_id, sum(amount_minor)::bigint as amount from charge group by budget_line_id
    )
    update budget_line b set expended_minor = b.expended_minor + a.amount
    from asked a where a.budget_line_id = b.budget_line_id
$$ set enable_nestloop = on;


-- Writes accepted entries: header, lines, movements, budget buckets, kept turnovers of days and balances of periods.
create function posting_write(
    p_entries posting_entry[], p_lines posting_line[], p_demands posting_demand[], p_accepted posting_verdict[]
) returns void
language plpgsql as $$
begin
    if cardinality(p_accepted) = 0 then
        return;
    end if;

    insert into journal_entry (journal_entry_id, agency_id, effective_on, accounting_on, fiscal_year, period_number,
                               recorded_at, description, source_kind, source_id, reverses_journal_entry_id,
                               late_reason, person_id, corrects_journal_entry_id, reverse_on)
    select e.journal_entry_id, e.agency_id, e.effective_on, v.accounting_on, v.fiscal_year, v.period_number,
           transaction_timestamp(), e.description, e.source_kind, e.source_id, e.reverses_journal_entry_id,
           e.late_reason, e.person_id, e.corrects_journal_entry_id,
           case when e.auto_reverse then (date_trunc('month', v.accounting_on) + interval '1 month')::date end
    from unnest(p_entries) e join unnest(p_accepted) v on v.n = e.n;

    if p_demands is not null then
        insert into funds_movement (funds_movement_id, agency_id, budget_line_id, kind, reserved_minor,
                                    obligated_minor, advanced_minor, expended_minor, ordered_minor, paid_minor,
                                    authority_minor, document_kind, document_id, document_number,
                                    effective_on, accounting_on, recorded_at, person_id, journal_entry_id)
        select d.funds_movement_id, e.agency_id, d.budget_line_id, 'EXPEND', 0, 0, 0, d.amount_minor, 0, 0, 0,
               'JOURNAL_ENTRY', e.journal_entry_id, e.journal_entry_id::text,
               e.effective_on, v.accounting_on, transaction_timestamp(), e.person_id, e.journal_entry_id
        from unnest(p_demands) d
        join unnest(p_accepted) v on v.n = d.n
        join unnest(p_entries) e on e.n = d.n;

        perform posting_charge(array(
            select d from unnest(p_demands) d join unnest(p_accepted) v on v.n = d.n));
    end if;

    insert into journal_line (journal_entry_id, line_no, agency_id, basis, fund_code, account_code, currency,
                              debit_minor, credit_minor, functional_debit_minor, functional_credit_minor,
                              organisation_code, program_code, function_code, location_code, project_code,
                              funding_source_code, budget_line_id, funds_movement_id, document_line_id,
                              counterpart_agency_id, accounting_on, fiscal_year, period_number, recorded_at)
    select e.journal_entry_id, l.line_no, e.agency_id, l.basis, l.fund_code, l.account_code, l.currency,
           l.debit_minor, l.credit_minor, l.functional_debit_minor, l.functional_credit_minor,
           coalesce(b.organisation_code, l.organisation_code), coalesce(b.program_code, l.program_code),
           coalesce(b.function_code, l.function_code), coalesce(b.location_code, l.location_code),
           coalesce(b.project_code, l.project_code), coalesce(b.funding_source_code, l.funding_source_code),
           l.budget_line_id, coalesce(l.funds_movement_id, d.funds_movement_id), l.document_line_id,
           l.counterpart_agency_id, v.accounting_on, v.fiscal_year, v.period_number, transaction_timestamp()
    from unnest(p_lines) l
    join unnest(p_accepted) v on v.n = l.n
    join unnest(p_entries) e on e.n = l.n
    left join unnest(p_demands) d on d.n = l.n and d.budget_line_id = l.budget_line_id
    left join lateral (
        select b.organisation_code, b.program_code, b.function_code, b.location_code, b.project_code,
               b.funding_source_code
        from budget_line b where b.budget_line_id = l.budget_line_id
        limit 1
    ) b on true;

    -- Sums are numeric until they are stored; what does not fit 64 bits raises numeric_value_out_of_range.
    with day as materialized (
        select e.agency_id, l.account_code, l.fund_code, l.basis, l.currency, v.accounting_on, v.period_number,
               v.fiscal_year, sum(l.debit_minor) as debit, sum(l.credit_minor) as credit,
               coalesce(sum(l.functional_debit_minor), 0) as functional_debit,
               coalesce(sum(l.functional_credit_minor), 0) as functional_credit, count(*) as line_count
        from unnest(p_lines) l
        join unnest(p_accepted) v on v.n = l.n
        join unnest(p_entries) e on e.n = l.n
        group by 1, 2, 3, 4, 5, 6, 7, 8
    ), balance as (
        insert into account_balance as kept (agency_id, account_code, fund_code, basis, currency, fiscal_year,
                                             period_number, debit_minor, credit_minor, functional_debit_minor,
                                             functional_credit_minor, line_count)
        select agency_id, account_code, fund_code, basis, currency, fiscal_year, period_number, sum(debit)::bigint,
               sum(credit)::bigint, sum(functional_debit)::bigint, sum(functional_credit)::bigint,
               sum(line_count)::bigint
        from day
        group by 1, 2, 3, 4, 5, 6, 7
        order by 1, 2, 3, 4, 5, 6, 7
        on conflict (agency_id, account_code, fund_code, basis, currency, fiscal_year, period_number) do update
        set debit_minor = kept.debit_minor + excluded.debit_minor,
            credit_minor = kept.credit_minor + excluded.credit_minor,
            functional_debit_minor = kept.functional_debit_minor + excluded.functional_debit_minor,
            functional_credit_minor = kept.functional_credit_minor + excluded.functional_credit_minor,
            line_count = kept.line_count + excluded.line_count
    )
    insert into account_turnover as kept (agency_id, account_code, fund_code, basis, currency, accounting_on,
                                          period_number, fiscal_year, debit_minor, credit_minor,
                                          functional_debit_minor, functional_credit_minor, line_count)
    select agency_id, account_code, fund_code, basis, currency, accounting_on, period_number, fiscal_year,
           debit::bigint, credit::bigint, functional_debit::bigint, functional_credit::bigint, line_count
    from day
    order by 1, 2, 3, 4, 5, 6, 7
    on conflict (agency_id, account_code, fund_code, basis, currency, accounting_on, period_number) do update
    set debit_minor = kept.debit_minor + excluded.debit_minor,
        credit_minor = kept.credit_minor + excluded.credit_minor,
        functional_debit_minor = kept.functional_debit_minor + excluded.functional_debit_minor,
        functional_credit_minor = kept.functional_credit_minor + excluded.functional_credit_minor,
        line_count = kept.line_count + excluded.line_count;
end
$$ set enable_nestloop = off;


-- Judges a group in order and writes what is accepted, as sets: the verdicts, and what was asked of budget lines (also
-- by entries that were refused then).
create function post_journal_group(
    p_entries posting_entry[], p_lines posting_line[], out v_verdicts posting_verdict[], out v_demands posting_demand[]
)
language plpgsql as $$
declare
    v_faults posting_verdict[];
begin
    v_verdicts := posting_periods(p_entries);

    v_faults := posting_faults(p_entries, p_lines, v_verdicts);
    if v_faults is not null then
        v_verdicts := posting_refuse(v_verdicts, v_faults);
    end if;

    select array_agg((e.n, 'ENTRY_ALREADY_REVERSED',
                      jsonb_build_object('reversed_by_journal_entry_id', r.journal_entry_id),
                      null, null, null)::posting_verdict)
    into v_faults
    from unnest(p_entries) e
    join unnest(v_verdicts) v on v.n = e.n and v.reason is null
    join journal_entry r on r.reverses_journal_entry_id = e.reverses_journal_entry_id
    where e.reverses_journal_entry_id is not null;
    if v_faults is not null then
        v_verdicts := posting_refuse(v_verdicts, v_faults);
    end if;

    -- A correction names an entry of the same books; in the adjustment period, one of the same year.
    select array_agg((e.n, 'CORRECTED_ENTRY_UNKNOWN',
                      jsonb_build_object('corrects_journal_entry_id', e.corrects_journal_entry_id,
                                         'fiscal_year', v.fiscal_year),
                      null, null, null)::posting_verdict)
    into v_faults
    from unnest(p_entries) e
    join unnest(v_verdicts) v on v.n = e.n and v.reason is null
    where e.corrects_journal_entry_id is not null and not exists (
        select 1 from journal_entry c
        where c.journal_entry_id = e.corrects_journal_entry_id and c.agency_id = e.agency_id
          and (not coalesce(e.adjusts, false) or c.fiscal_year = v.fiscal_year));
    if v_faults is not null then
        v_verdicts := posting_refuse(v_verdicts, v_faults);
    end if;

    -- Manual entries spend their budget lines directly: expended by the expense, owed by the payable (F5).
    with wish as (
        select l.n, l.budget_line_id,
               coalesce(sum(l.functional_debit_minor - l.functional_credit_minor)
                        filter (where a.funds_control), 0)::bigint as expended,
               coalesce(sum(l.functional_credit_minor - l.functional_debit_minor)
                        filter (where a.kind = 'PAYABLE'), 0)::bigint as owed
        from unnest(p_lines) l
        join unnest(p_entries) e on e.n = l.n and e.source_kind in ('MANUAL', 'JOINT_ENTRY')
        join unnest(v_verdicts) v on v.n = l.n and v.reason is null
        cross join lateral (
            select a.funds_control, a.kind from account a
            where a.code = l.account_code and a.valid_from <= v.accounting_on
              and (a.valid_to is null or v.accounting_on < a.valid_to)
            limit 1
        ) a
        where l.budget_line_id is not null
        group by l.n, l.budget_line_id
    ), unmatched as (
        -- An entry may be unmatched on several lines; the first of them is told.
        select distinct on (n) * from wish where expended <> owed order by n, budget_line_id
    )
    select (select array_agg((w.n, w.budget_line_id, w.expended, uuidv7())::posting_demand
                             order by w.n, w.budget_line_id)
            from wish w
            where w.expended <> 0 and not exists (select 1 from unmatched u where u.n = w.n)),
           (select array_agg((u.n, 'FUNDS_UNMATCHED',
                              jsonb_build_object('budget_line_id', u.budget_line_id, 'expended_minor', u.expended,
                                                 'owed_minor', u.owed),
                              null, null, null)::posting_verdict)
            from unmatched u)
    into v_demands, v_faults;
    if v_faults is not null then
        v_verdicts := posting_refuse(v_verdicts, v_faults);
    end if;

    if v_demands is not null then
        v_faults := posting_shortages(v_demands);
        if v_faults is not null then
            v_verdicts := posting_refuse(v_verdicts, v_faults);
        end if;
    end if;

    perform posting_write(p_entries, p_lines, v_demands,
                          array(select v from unnest(v_verdicts) v where v.reason is null));
end
$$ set enable_nestloop = off;


-- What callers call: the verdict of every entry, in order. Entries are numbered 1, 2, 3 … in `n`. What a manual entry
-- spent comes with its verdict, since nobody needs to read back what was made here: for each of its budget lines
-- [line, currency, movement or null, amount, its six segments].
create function post_journal_entries(p_entries json, p_lines json)
returns table (n integer, reason text, figures jsonb, accounting_on date, fiscal_year integer,
               period_number smallint, recorded_at timestamptz, spent json)
language plpgsql as $$
declare
    v_entries posting_entry[];
    v_lines posting_line[];
    v_verdicts posting_verdict[];
    v_demands posting_demand[];
    v_one record;
    v_first integer[];
    v_last integer[];
    v_n integer;
begin
    -- What an entry or a line does not say is absent, empty or false: callers leave it out, which makes half the text.
    select array_agg(e order by e.n) into v_entries
    from json_populate_recordset(
        (null, null, null, null, null, null, null, null, null, '', null, null, false, false, null, false)::posting_entry,
        p_entries) e;
    select array_agg(l order by l.n, l.line_no) into v_lines
    from json_populate_recordset(
        (null, null, null, null, null, null, null, null, null, null, '', '', '', '', '', '', null, null, null, null)
            ::posting_line,
        p_lines) l;
    begin
        select g.v_verdicts, g.v_demands into v_verdicts, v_demands from post_journal_group(v_entries, v_lines) g;
    exception when numeric_value_out_of_range then
        -- A kept balance would leave 64 bits: find out whose entry does it, one by one.
        select array_agg(place.first order by place.n), array_agg(place.last order by place.n)
        into v_first, v_last
        from (select l.n, min(l.ordinality) as first, max(l.ordinality) as last
              from unnest(v_lines) with ordinality l group by l.n) place;
        v_verdicts := '{}';
        v_demands := '{}';
        for v_n in 1 .. cardinality(v_entries) loop
            begin
                select * into v_one
                from post_journal_group(v_entries[v_n : v_n], v_lines[v_first[v_n] : v_last[v_n]]);
                v_verdicts := v_verdicts || v_one.v_verdicts;
                v_demands := v_demands || v_one.v_demands;
            exception when numeric_value_out_of_range then
                v_verdicts := v_verdicts
                    || (v_n, 'AMOUNT_OUT_OF_RANGE', '{}'::jsonb, null, null, null)::posting_verdict;
            end;
        end loop;
    end;
    return query
        with tag as (
            select distinct l.n, l.budget_line_id
            from unnest(v_lines) l
            join unnest(v_verdicts) v on v.n = l.n and v.reason is null
            join unnest(v_entries) e on e.n = l.n and e.source_kind in ('MANUAL', 'JOINT_ENTRY')
            where l.budget_line_id is not null
        ), told as (
            select t.n, json_agg(json_build_array(
                       t.budget_line_id, b.currency, d.funds_movement_id, coalesce(d.amount_minor, 0),
                       b.organisation_code, b.program_code, b.function_code, b.location_code, b.project_code,
                       b.funding_source_code)) as spent
            from tag t
            left join unnest(v_demands) d on d.n = t.n and d.budget_line_id = t.budget_line_id
            cross join lateral (
                select b.currency, b.organisation_code, b.program_code, b.function_code, b.location_code,
                       b.project_code, b.funding_source_code
                from budget_line b where b.budget_line_id = t.budget_line_id
                limit 1
            ) b
            group by t.n
        )
        select v.n, v.reason, v.figures, v.accounting_on, v.fiscal_year, v.period_number, transaction_timestamp(),
               t.spent
        from unnest(v_verdicts) v left join told t on t.n = v.n order by v.n;
end
$$ set enable_nestloop = off;
