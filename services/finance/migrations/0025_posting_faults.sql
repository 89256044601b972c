-- The faults of a group: those of single lines, then combinations that a rule forbids. Reversals take back what stands
-- in the books, closing and opening entries and revaluations move sums, the engine makes the lines of the pairs: nobody
-- chose their segments. A document chose those of a line that names a budget line or a segment; its other accounts come
-- from the mapping.
create or replace function posting_faults(
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
      and l.counterpart_agency_id is null
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
