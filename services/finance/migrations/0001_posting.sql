-- The one statement that posts journal entries: one, a shared commit's, a batch's or a stream's.
--
-- It is a function because a group needs several steps on the same rows (lock, judge, write), and one round trip.
-- It runs as its caller, so row-level security holds: an entry on another agency's budget line finds no line.
-- Order of locks, the same everywhere: periods (shared), budget lines and their nodes by id, balances by key.
-- A refusal is a verdict (a row with a reason and figures), not an error: one bad entry costs the others nothing.

create type posting_entry as (
    n integer, journal_entry_id uuid, agency_id uuid, effective_on date, accounting_on date, description text,
    source_kind text, source_id uuid, reverses_journal_entry_id uuid, late_reason text, person_id uuid, area text,
    without_funds boolean,
    -- In the adjustment period 13 of the year of `accounting_on`; what it corrects; reversed when the next month begins.
    adjusts boolean, corrects_journal_entry_id uuid, auto_reverse boolean
);
create type posting_line as (
    n integer, line_no smallint, basis text, fund_code text, account_code text, currency text,
    debit_minor bigint, credit_minor bigint, functional_debit_minor bigint, functional_credit_minor bigint,
    organisation_code text, program_code text, function_code text, location_code text, project_code text,
    funding_source_code text, budget_line_id uuid, funds_movement_id uuid, document_line_id uuid,
    counterpart_agency_id uuid
);
create type posting_verdict as (
    n integer, reason text, figures jsonb, accounting_on date, fiscal_year integer, period_number smallint
);
-- What an entry expends directly on a budget line, and the movement that says so.
create type posting_demand as (n integer, budget_line_id uuid, amount_minor bigint, funds_movement_id uuid);


-- Where each entry falls: domain rules §1. A day in an open period stays; in a softly closed one it stays with a
-- reason for posting late; else it goes to the first day of the next open period. The periods stay locked shared.
-- An adjustment stands in period 13 of its year or nowhere, and nothing else stands there.
create function posting_periods(p_entries posting_entry[]) returns posting_verdict[]
language sql as $$
    with day as materialized (
        select distinct e.agency_id, e.area, coalesce(e.accounting_on, e.effective_on) as on_day,
                        coalesce(e.adjusts, false) as adjusts
        from unnest(p_entries) e order by 1, 2, 3, 4
    ), home as materialized (
        select d.*, p.year, p.number, p.state
        from day d cross join lateral (
            select p.year, p.number, p.state from fiscal_period p
            where p.agency_id = d.agency_id and p.area = d.area
              and p.starts_on <= d.on_day and p.ends_on >= d.on_day and (p.number = 13) = d.adjusts
            for share
        ) p
    ), later as materialized (
        select h.agency_id, h.area, h.on_day, h.adjusts, p.year, p.number, p.starts_on
        from home h cross join lateral (
            select p.year, p.number, p.starts_on from fiscal_period p
            where p.agency_id = h.agency_id and p.area = h.area and p.state = 'OPEN'
              and (p.year, p.number) > (h.year, h.number) and p.number <= 12
            order by p.year, p.number limit 1
            for share
        ) p
        where h.state in ('SOFT_CLOSED', 'HARD_CLOSED') and not h.adjusts
    ), placed as (
        select e.n, coalesce(e.accounting_on, e.effective_on) as on_day, h.state, h.year, h.number,
               coalesce(h.state = 'OPEN' or (h.state = 'SOFT_CLOSED' and e.late_reason <> ''), false) as stays,
               l.year as later_year, l.number as later_number, l.starts_on
        from unnest(p_entries) e
        left join home h on h.agency_id = e.agency_id and h.area = e.area
                        and h.on_day = coalesce(e.accounting_on, e.effective_on)
                        and h.adjusts = coalesce(e.adjusts, false)
        left join later l on l.agency_id = e.agency_id and l.area = e.area
                         and l.on_day = coalesce(e.accounting_on, e.effective_on)
                         and l.adjusts = coalesce(e.adjusts, false)
    )
    select array_agg(
        (n,
         case when not stays and starts_on is null then 'PERIOD_CLOSED' end,
         case when not stays and starts_on is null
              then jsonb_build_object('on', on_day, 'state', coalesce(state, 'ABSENT')) end,
         case when stays then on_day else starts_on end,
         case when stays then year else later_year end,
         case when stays then number else later_number end)::posting_verdict
        order by n)
    from placed
$$;


-- The first fault of each entry's lines: accounts, dimensions, budget lines.
create function posting_faults(p_entries posting_entry[], p_lines posting_line[], p_verdicts posting_verdict[])
returns posting_verdict[]
language sql as $$
    with judged as (
        select l.n, l.line_no, l.account_code, l.budget_line_id, l.basis, v.accounting_on, v.fiscal_year,
               b.status, f.code as missing_code, f.kind as missing_kind,
               case
                   when a.account_id is null then 'ACCOUNT_UNKNOWN'
                   when not a.postable then 'ACCOUNT_NOT_POSTABLE'
                   when a.basis <> l.basis then 'BASIS_MISMATCH'
                   when a.control and e.source_kind = 'MANUAL' then 'ACCOUNT_CONTROLLED'
                   when l.budget_line_id is not null and b.budget_line_id is null then 'BUDGET_LINE_UNKNOWN'
                   when a.funds_control and not e.without_funds and l.budget_line_id is null then 'FUNDS_MISSING'
                   when a.funds_control and not e.without_funds and e.source_kind <> 'MANUAL'
                        and l.funds_movement_id is null then 'FUNDS_MISSING'
                   when e.source_kind = 'MANUAL' and l.budget_line_id is not null then
                       case
                           when b.fiscal_year <> v.fiscal_year then 'BUDGET_LINE_UNKNOWN'
                           when b.status <> 'ACTIVE' or not b.postable then 'BUDGET_LINE_NOT_ACTIVE'
                           when b.fund_code <> l.fund_code or l.functional_debit_minor is null
                               then 'FUNDS_UNMATCHED'
                       end
                   when f.code is not null then 'DIMENSION_UNKNOWN'
               end as reason
        from unnest(p_lines) l
        join unnest(p_verdicts) v on v.n = l.n and v.reason is null
        join unnest(p_entries) e on e.n = l.n
        left join lateral (
            select a.account_id, a.postable, a.basis, a.control, a.funds_control from account a
            where a.code = l.account_code and a.valid_from <= v.accounting_on
              and (a.valid_to is null or v.accounting_on < a.valid_to)
            limit 1
        ) a on true
        left join budget_line b on b.budget_line_id = l.budget_line_id and b.agency_id = e.agency_id
        -- A line with a budget line takes its segments from there; only what it says itself is looked up.
        left join lateral (
            select s.kind, s.code
            from (values ('FUND', l.fund_code), ('ORGANISATION', l.organisation_code),
                         ('PROGRAM', l.program_code), ('FUNCTION', l.function_code),
                         ('LOCATION', l.location_code), ('PROJECT', l.project_code),
                         ('FUNDING_SOURCE', l.funding_source_code)) s (kind, code)
            where s.code <> '' and l.budget_line_id is null and not exists (
                select 1 from dimension_value d
                where d.kind = s.kind and d.code = s.code and d.valid_from <= v.accounting_on
                  and (d.valid_to is null or v.accounting_on < d.valid_to))
            limit 1
        ) f on true
    ), first_fault as (
        select distinct on (n) *
        from judged where reason is not null
        order by n, line_no
    )
    select array_agg(
        (n, reason,
         jsonb_build_object('line_no', line_no, 'account_code', account_code, 'basis', basis,
                            'on', accounting_on, 'fiscal_year', fiscal_year)
             || case when budget_line_id is not null
                     then jsonb_build_object('budget_line_id', budget_line_id, 'status', status)
                     else '{}' end
             || case when reason = 'DIMENSION_UNKNOWN'
                     then jsonb_build_object('dimension', missing_kind, 'code', missing_code) else '{}' end,
         null, null, null)::posting_verdict)
    from first_fault
$$;


-- Puts the refusals of `p_faults` over the verdicts.
create function posting_refuse(p_verdicts posting_verdict[], p_faults posting_verdict[]) returns posting_verdict[]
language sql immutable as $$
    select array_agg(
        case when f.n is null then v else (v.n, f.reason, f.figures, null, null, null)::posting_verdict end
        order by v.n)
    from unnest(p_verdicts) v left join unnest(p_faults) f on f.n = v.n
$$;


-- Which of a group's wishes the budget can carry, taken in order as if one after the other: the refusals. Locks the
-- lines and all nodes above them by id. A node that controls never goes below zero; whatever is given back was
-- expended. What an entry takes or gives is there for those after it, what a refused one asked is not.
create function posting_shortages(p_demands posting_demand[]) returns posting_verdict[]
language plpgsql as $$
declare
    v_nodes uuid[];
    v_controlling boolean[];
    v_available numeric[];
    v_expended numeric[];
    v_refused posting_verdict[];
    v_charge record;
    v_at integer;
    v_short integer;
begin
    with recursive node as (
        select b.budget_line_id, b.parent_id from budget_line b
        where b.budget_line_id = any (array(select d.budget_line_id from unnest(p_demands) d))
        union
        select b.budget_line_id, b.parent_id from budget_line b join node on b.budget_line_id = node.parent_id
    )
    select array_agg(budget_line_id order by budget_line_id) into v_nodes from node;
    perform 1 from budget_line b where b.budget_line_id = any (v_nodes) order by b.budget_line_id for update;
    select array_agg(b.controlling order by b.budget_line_id),
           array_agg(b.original_minor::numeric + b.supplementary_minor + b.virement_in_minor - b.virement_out_minor
                     + b.carried_in_minor - b.frozen_minor + b.override_minor - b.reserved_minor
                     - b.obligated_minor - b.advanced_minor - b.expended_minor - b.ordered_minor - b.paid_minor
                     order by b.budget_line_id),
           array_agg(b.expended_minor::numeric order by b.budget_line_id)
    into v_controlling, v_available, v_expended
    from budget_line b where b.budget_line_id = any (v_nodes);

    for v_charge in
        with recursive charge as (
            select d.n, d.budget_line_id, d.amount_minor from unnest(p_demands) d
            union all
            select c.n, b.parent_id, c.amount_minor
            from charge c join budget_line b on b.budget_line_id = c.budget_line_id
            where b.parent_id is not null
        ), asked as (
            select n, array_position(v_nodes, budget_line_id) as node, sum(amount_minor) as amount
            from charge group by n, budget_line_id
        )
        select n, array_agg(node order by node) as nodes, array_agg(amount order by node) as amounts
        from asked group by n order by n
    loop
        v_short := null;
        for v_at in 1 .. cardinality(v_charge.nodes) loop
            if v_expended[v_charge.nodes[v_at]] + v_charge.amounts[v_at] < 0
               or (v_controlling[v_charge.nodes[v_at]] and v_charge.amounts[v_at] > 0
                   and v_charge.amounts[v_at] > v_available[v_charge.nodes[v_at]]) then
                v_short := v_at;
                exit;
            end if;
        end loop;
        if v_short is null then
            for v_at in 1 .. cardinality(v_charge.nodes) loop
                v_available[v_charge.nodes[v_at]] := v_available[v_charge.nodes[v_at]] - v_charge.amounts[v_at];
                v_expended[v_charge.nodes[v_at]] := v_expended[v_charge.nodes[v_at]] + v_charge.amounts[v_at];
            end loop;
        else
            v_at := v_charge.nodes[v_short];
            v_refused := v_refused || (
                v_charge.n,
                case when v_charge.amounts[v_short] < 0 then 'FUNDS_UNMATCHED' else 'BUDGET_EXCEEDED' end,
                (select jsonb_build_object(
                            'asked_minor', v_charge.amounts[v_short], 'budget_line_id', b.budget_line_id,
                            'expended_minor', v_expended[v_at],
                            -- The node as it stands at this entry's turn.
                            'node', to_jsonb(b) || jsonb_build_object('expended_minor', v_expended[v_at]))
                 from budget_line b where b.budget_line_id = v_nodes[v_at]),
                null, null, null)::posting_verdict;
        end if;
    end loop;
    return v_refused;
end
$$;


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
        join unnest(p_entries) e on e.n = l.n and e.source_kind = 'MANUAL'
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
$$;


-- Writes accepted entries: header, lines, movements, budget buckets, kept balances.
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

        with recursive charge as (
            select d.budget_line_id, d.amount_minor
            from unnest(p_demands) d join unnest(p_accepted) v on v.n = d.n
            union all
            select b.parent_id, c.amount_minor
            from charge c join budget_line b on b.budget_line_id = c.budget_line_id
            where b.parent_id is not null
        ), asked as (
            select budget_line_id, sum(amount_minor)::bigint as amount from charge group by budget_line_id
        )
        update budget_line b set expended_minor = b.expended_minor + a.amount
        from asked a where a.budget_line_id = b.budget_line_id;
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
    left join budget_line b on b.budget_line_id = l.budget_line_id
    left join unnest(p_demands) d on d.n = l.n and d.budget_line_id = l.budget_line_id;

    -- Sums are numeric until they are stored; what does not fit 64 bits raises numeric_value_out_of_range.
    insert into account_balance as kept (agency_id, account_code, fund_code, basis, currency, fiscal_year,
                                         period_number, debit_minor, credit_minor, functional_debit_minor,
                                         functional_credit_minor, line_count)
    select e.agency_id, l.account_code, l.fund_code, l.basis, l.currency, v.fiscal_year, v.period_number,
           sum(l.debit_minor)::bigint, sum(l.credit_minor)::bigint,
           coalesce(sum(l.functional_debit_minor), 0)::bigint, coalesce(sum(l.functional_credit_minor), 0)::bigint,
           count(*)
    from unnest(p_lines) l
    join unnest(p_accepted) v on v.n = l.n
    join unnest(p_entries) e on e.n = l.n
    group by 1, 2, 3, 4, 5, 6, 7
    order by 1, 2, 3, 4, 5, 6, 7
    on conflict (agency_id, account_code, fund_code, basis, currency, fiscal_year, period_number) do update
    set debit_minor = kept.debit_minor + excluded.debit_minor,
        credit_minor = kept.credit_minor + excluded.credit_minor,
        functional_debit_minor = kept.functional_debit_minor + excluded.functional_debit_minor,
        functional_credit_minor = kept.functional_credit_minor + excluded.functional_credit_minor,
        line_count = kept.line_count + excluded.line_count;
end
$$;


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
    select array_agg(e order by e.n) into v_entries
    from json_populate_recordset(null::posting_entry, p_entries) e;
    select array_agg(l order by l.n, l.line_no) into v_lines
    from json_populate_recordset(null::posting_line, p_lines) l;
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
            join unnest(v_entries) e on e.n = l.n and e.source_kind = 'MANUAL'
            where l.budget_line_id is not null
        ), told as (
            select t.n, json_agg(json_build_array(
                       t.budget_line_id, b.currency, d.funds_movement_id, coalesce(d.amount_minor, 0),
                       b.organisation_code, b.program_code, b.function_code, b.location_code, b.project_code,
                       b.funding_source_code)) as spent
            from tag t
            join budget_line b on b.budget_line_id = t.budget_line_id
            left join unnest(v_demands) d on d.n = t.n and d.budget_line_id = t.budget_line_id
            group by t.n
        )
        select v.n, v.reason, v.figures, v.accounting_on, v.fiscal_year, v.period_number, transaction_timestamp(),
               t.spent
        from unnest(v_verdicts) v left join told t on t.n = v.n order by v.n;
end
$$;
