-- The one statement that posts journal entries: one, a shared commit's, a batch's or a stream's.
--
-- It is a function because a group needs several steps on the same rows (lock, judge, write), and one round trip.
-- It runs as its caller, so row-level security holds: an entry on another agency's budget line finds no line.
-- Order of locks, the same everywhere: periods (shared), budget lines and their nodes by id, turnovers and then
-- balances by key.
-- MANUAL and JOINT_ENTRY are by hand: they spend budget lines directly, and name no control account but the
-- inter-entity pair that the engine makes.
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


-- The first fault of each entry's lines: accounts, dimensions, budget lines. Entries that
-- carry balances over to a new chart (OPENING) may name accounts that have ended, and segments as they were.
create function posting_line_faults(
    p_entries posting_entry[], p_lines posting_line[], p_verdicts posting_verdict[]
) returns posting_verdict[]
language sql as $$
    with judged as (
        select l.n, l.line_no, l.account_code, l.budget_line_id, l.basis, v.accounting_on, v.fiscal_year,
               b.status, f.code as missing_code, f.kind as missing_kind,
               case
                   when a.account_id is null then 'ACCOUNT_UNKNOWN'
                   when not a.postable then 'ACCOUNT_NOT_POSTABLE'
                   when a.basis <> l.basis then 'BASIS_MISMATCH'
                   when a.control and e.source_kind in ('MANUAL', 'JOINT_ENTRY') and l.counterpart_agency_id is null
                       then 'ACCOUNT_CONTROLLED'
                   when l.budget_line_id is not null and b.budget_line_id is null then 'BUDGET_LINE_UNKNOWN'
                   when a.funds_control and not e.without_funds and l.budget_line_id is null then 'FUNDS_MISSING'
                   when a.funds_control and not e.without_funds
                        and e.source_kind not in ('MANUAL', 'JOINT_ENTRY') and l.funds_movement_id is null then 'FUNDS_MISSING'
                   when e.source_kind in ('MANUAL', 'JOINT_ENTRY') and l.budget_line_id is not null then
                       case
                           when v.fiscal_year not between b.fiscal_year and coalesce(b.last_fiscal_year, b.fiscal_year)
                                or v.accounting_on < b.valid_from or v.accounting_on >= b.valid_to
                               then 'BUDGET_LINE_UNKNOWN'
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
              and (a.valid_to is null or v.accounting_on < a.valid_to or e.source_kind = 'OPENING')
            order by a.valid_from desc limit 1
        ) a on true
        left join lateral (
            select b.budget_line_id, b.fiscal_year, b.last_fiscal_year, b.valid_from, b.valid_to, b.status, b.postable, b.fund_code from budget_line b
            where b.budget_line_id = l.budget_line_id and b.agency_id = e.agency_id
            limit 1
        ) b on true
        -- A line with a budget line takes its segments from there; only what it says itself is looked up.
        left join lateral (
            select s.kind, s.code
            from (values ('FUND', l.fund_code), ('ORGANISATION', l.organisation_code),
                         ('PROGRAM', l.program_code), ('FUNCTION', l.function_code),
                         ('LOCATION', l.location_code), ('PROJECT', l.project_code),
                         ('FUNDING_SOURCE', l.funding_source_code)) s (kind, code)
            where s.code <> '' and l.budget_line_id is null and e.source_kind <> 'OPENING' and not exists (
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


-- The faults of a group: those of single lines, then combinations that a rule forbids. Reversals take back what stands
-- in the books, closing and opening entries and revaluations move sums: nobody chose their segments. A document chose
-- those of a line that names a budget line or a segment; its other accounts come from the mapping.
create function posting_faults(
    p_entries posting_entry[], p_lines posting_line[], p_verdicts posting_verdict[]
) returns posting_verdict[]
language plpgsql as $$
declare
    v_faults posting_verdict[];
    v_judged combination_line[];
begin
    v_faults := posting_line_faults(p_entries, p_lines, p_verdicts);
    if not exists (select from combination_rule) then
        return v_faults;
    end if;
    select array_agg(
        (l.n, l.line_no, v.accounting_on, l.account_code, l.fund_code,
         coalesce(b.organisation_code, l.organisation_code), coalesce(b.program_code, l.program_code),
         coalesce(b.function_code, l.function_code), coalesce(b.location_code, l.location_code),
         coalesce(b.project_code, l.project_code),
         coalesce(b.funding_source_code, l.funding_source_code))::combination_line)
    into v_judged
    from unnest(p_lines) l
    join unnest(p_verdicts) v on v.n = l.n and v.reason is null
    join unnest(p_entries) e on e.n = l.n
    left join lateral (
        select b.organisation_code, b.program_code, b.function_code, b.location_code, b.project_code,
               b.funding_source_code
        from budget_line b where b.budget_line_id = l.budget_line_id
        limit 1
    ) b on true
    where e.reverses_journal_entry_id is null
      and e.source_kind not in ('CLOSING', 'OPENING', 'EXCHANGE_DIFFERENCE')
      and (e.source_kind in ('MANUAL', 'JOINT_ENTRY') or l.budget_line_id is not null
           or concat(l.organisation_code, l.program_code, l.function_code, l.location_code, l.project_code,
                     l.funding_source_code) <> '')
      and not exists (select from unnest(v_faults) f where f.n = l.n);
    if v_judged is null then
        return v_faults;
    end if;
    return v_faults || array(
        select (c.n, 'COMBINATION_FORBIDDEN', c.figures, null, null, null)::posting_verdict
        from combination_faults(v_judged) c);
end
$$;


-- Puts the refusals of `p_faults` over the verdicts; a row without a reason only adds its figures.
create function posting_refuse(p_verdicts posting_verdict[], p_faults posting_verdict[]) returns posting_verdict[]
language sql immutable as $$
    select array_agg(
        case when f.n is null then v
             when f.reason is null
                 then (v.n, null, f.figures, v.accounting_on, v.fiscal_year, v.period_number)::posting_verdict
             else (v.n, f.reason, f.figures, null, null, null)::posting_verdict end
        order by v.n)
    from unnest(p_verdicts) v left join unnest(p_faults) f on f.n = v.n
$$;


-- Which of a group's wishes the budget can carry, taken in order as if one after the other: the refusals. Locks the
-- lines and all nodes above them by id. A node that controls never goes below zero; whatever is given back was
-- expended. What an entry takes or gives is there for those after it, what a refused one asked is not. An entry that
-- passes a node that only warns is no refusal: it comes without a reason, and its figures say what went over.
create function posting_shortages(p_demands posting_demand[]) returns posting_verdict[]
language plpgsql as $$
declare
    v_nodes uuid[];
    v_controlling boolean[];
    v_warning boolean[];
    v_over jsonb;
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
    select array_agg(b.controlling order by b.budget_line_id), array_agg(b.warning order by b.budget_line_id),
           array_agg(b.original_minor::numeric + b.supplementary_minor + b.virement_in_minor - b.virement_out_minor
                     + b.carried_in_minor - b.frozen_minor + b.override_minor - b.reserved_minor
                     - b.obligated_minor - b.advanced_minor - b.expended_minor - b.ordered_minor - b.paid_minor
                     order by b.budget_line_id),
           array_agg(b.expended_minor::numeric order by b.budget_line_id)
    into v_controlling, v_warning, v_available, v_expended
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
            v_over := null;
            for v_at in 1 .. cardinality(v_charge.nodes) loop
                if v_warning[v_charge.nodes[v_at]] and v_charge.amounts[v_at] > 0
                   and v_charge.amounts[v_at] > v_available[v_charge.nodes[v_at]] then
                    v_over := coalesce(v_over, '[]') || jsonb_build_object(
                        'budget_line_id', v_nodes[v_charge.nodes[v_at]], 'asked_minor', v_charge.amounts[v_at],
                        'available_minor', v_available[v_charge.nodes[v_at]]);
                end if;
                v_available[v_charge.nodes[v_at]] := v_available[v_charge.nodes[v_at]] - v_charge.amounts[v_at];
                v_expended[v_charge.nodes[v_at]] := v_expended[v_charge.nodes[v_at]] + v_charge.amounts[v_at];
            end loop;
            if v_over is not null then
                v_refused := v_refused
                    || (v_charge.n, null, jsonb_build_object('over_limits', v_over), null, null, null)::posting_verdict;
            end if;
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
$$ set enable_nestloop = on;
