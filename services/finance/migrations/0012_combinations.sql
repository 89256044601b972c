-- Which combinations of segments may be posted, judged in the posting statement and for budget lines alike.
--
-- A rule binds a line whose segments lie in the subtrees of all its conditions; of those that bind a line and speak of
-- one segment, a less specific one is set aside (docs/decisions/0015-combinations-of-segments.md). Without a rule the
-- cost of posting is one look at an empty table.

create type combination_line as (
    n integer, line_no integer, on_day date, account_code text, fund_code text, organisation_code text,
    program_code text, function_code text, location_code text, project_code text, funding_source_code text
);
create type combination_fault as (n integer, line_no integer, combination_rule_id uuid, figures jsonb);


-- The first fault of each `n`: of its lines in order, the first rule (by code) that forbids one.
-- (In PL/pgSQL, since its plan is kept: planning it anew would cost more than what it does for a single entry.)
create function combination_faults(p_lines combination_line[]) returns setof combination_fault
language plpgsql stable as $$
begin
    return query
    with recursive rule as materialized (
        select r.* from combination_rule r
        where r.valid_from <= (select max(l.on_day) from unnest(p_lines) l)
          and (r.valid_to is null or r.valid_to > (select min(l.on_day) from unnest(p_lines) l))
    ), segment as materialized (
        select l.n, l.line_no, l.on_day, s.kind, s.code
        from unnest(p_lines) l
        cross join lateral (values ('ACCOUNT', l.account_code), ('FUND', l.fund_code),
                                   ('ORGANISATION', l.organisation_code), ('PROGRAM', l.program_code),
                                   ('FUNCTION', l.function_code), ('LOCATION', l.location_code),
                                   ('PROJECT', l.project_code), ('FUNDING_SOURCE', l.funding_source_code)
        ) s (kind, code)
        where exists (select from rule)
    ), chain (on_day, kind, leaf, code, above) as (
        -- Each code with all that stand above it on its day; 32 levels are more than any chart has.
        select distinct s.on_day, s.kind, s.code, s.code, 0 from segment s where s.code <> ''
        union all
        select c.on_day, c.kind, c.leaf, p.parent_code, c.above + 1
        from chain c
        cross join lateral (
            select a.parent_code from account a
            where c.kind = 'ACCOUNT' and a.code = c.code and a.valid_from <= c.on_day
              and (a.valid_to is null or c.on_day < a.valid_to)
            union all
            select d.parent_code from dimension_value d
            where d.kind = c.kind and d.code = c.code and d.valid_from <= c.on_day
              and (d.valid_to is null or c.on_day < d.valid_to)
        ) p
        where p.parent_code <> '' and c.above < 32
    ), met as (
        select s.n, s.line_no, r.combination_rule_id, s.kind, h.above
        from rule r
        cross join lateral unnest(r.condition_segments, r.condition_codes) c (kind, code)
        join segment s on s.kind = c.kind and s.on_day >= r.valid_from
                      and (r.valid_to is null or s.on_day < r.valid_to)
        join chain h on h.on_day = s.on_day and h.kind = s.kind and h.leaf = s.code and h.code = c.code
    ), bound as (
        -- How far above the line's code each condition stands; 99 where the rule has none on that segment.
        select m.n, m.line_no, m.combination_rule_id, r.segment,
               array[coalesce(min(m.above) filter (where m.kind = 'ACCOUNT'), 99),
                     coalesce(min(m.above) filter (where m.kind = 'FUND'), 99),
                     coalesce(min(m.above) filter (where m.kind = 'ORGANISATION'), 99),
                     coalesce(min(m.above) filter (where m.kind = 'PROGRAM'), 99),
                     coalesce(min(m.above) filter (where m.kind = 'FUNCTION'), 99),
                     coalesce(min(m.above) filter (where m.kind = 'LOCATION'), 99),
                     coalesce(min(m.above) filter (where m.kind = 'PROJECT'), 99),
                     coalesce(min(m.above) filter (where m.kind = 'FUNDING_SOURCE'), 99)] as distance
        from met m join rule r on r.combination_rule_id = m.combination_rule_id
        group by m.n, m.line_no, m.combination_rule_id, r.segment, r.condition_segments
        having count(*) = cardinality(r.condition_segments)
    ), speaking as (
        select b.n, b.line_no, b.combination_rule_id from bound b
        where not exists (
            select from bound a
            where a.n = b.n and a.line_no = b.line_no and a.segment = b.segment and a.distance <> b.distance
              and not exists (select from unnest(a.distance, b.distance) d (of_a, of_b) where d.of_a > d.of_b))
    ), broken as (
        select distinct on (s.n) s.n, s.line_no, r.combination_rule_id, r.code, r.segment, r.effect, r.codes,
               r.condition_segments, r.condition_codes, r.explanation, r.legal_source, g.code as found, g.on_day
        from speaking s
        join rule r on r.combination_rule_id = s.combination_rule_id
        join segment g on g.n = s.n and g.line_no = s.line_no and g.kind = r.segment
        where case r.effect
                  when 'MUST_BE_GIVEN' then g.code = ''
                  when 'MUST_BE_EMPTY' then g.code <> ''
                  when 'MUST_BE_BELOW' then not exists (
                      select from chain h where h.on_day = g.on_day and h.kind = g.kind and h.leaf = g.code
                                            and h.code = any (r.codes))
                  when 'MUST_NOT_BE_BELOW' then exists (
                      select from chain h where h.on_day = g.on_day and h.kind = g.kind and h.leaf = g.code
                                            and h.code = any (r.codes))
                  else false
              end
        order by s.n, s.line_no, r.code
    )
    select b.n, b.line_no, b.combination_rule_id,
           jsonb_build_object(
               'line_no', b.line_no, 'on', b.on_day, 'rule', b.code, 'segment', b.segment, 'found', b.found,
               'effect', b.effect, 'codes', to_jsonb(b.codes), 'explanation', b.explanation,
               'legal_source', b.legal_source,
               'segments', (select jsonb_object_agg(g.kind, g.code) from segment g
                            where g.n = b.n and g.line_no = b.line_no and g.code <> ''))
    from broken b;
end
$$ set enable_nestloop = on;


-- What a code is called after `p_after`, by the day `p_on`: its default successors followed one after the other.
-- A code may be used anew after it ended; only successions later than the day from which it was known here count.
create function carried_code(p_segment text, p_code text, p_after date, p_on date) returns text
language sql stable as $$
    with recursive step (code, since, number) as (
        select p_code, p_after, 0
        union all
        select s.new_code, s.effective_on, step.number + 1
        from step
        cross join lateral (
            select c.new_code, c.effective_on from code_succession c
            where c.segment = p_segment and c.old_code = step.code and c.is_default
              and c.effective_on > step.since and c.effective_on <= p_on
            order by c.effective_on limit 1
        ) s
        where step.number < 32
    )
    select code from step order by number desc limit 1
$$;
