"""A book of many lines: what posting costs on it, how long its reports take, what its rows weigh.

The lines come straight into the tables of the bench's own database, as the posting statement would have left them
(entry, two lines, movement, kept balances, budget buckets), and are proved before anything is measured: every entry
balances, kept balances and buckets are the sums of their lines and movements.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from typing import Any

import psycopg
from google.protobuf.message import Message

from benchmarks import journal
from benchmarks.figures import Latency, ratio
from benchmarks.town import Town
from chassis.wire import to_date
from kelola.finance.v1 import account_pb2, budget_pb2, budget_pb2_grpc, ledger_pb2, ledger_pb2_grpc

SMALL_LINES = 20_000
_AT_ONCE = 250_000
_ASKED = 20
_YEAR = 2025
_MIDDLE, _LATE = date(_YEAR, 8, 16), date(_YEAR, 11, 16)
_PAGE = 50
# Rows of a page of a report, which comes with the sums of all rows; each row of the budget's has thirteen amounts.
_ROWS = 100
_EXPENSE, _PAYABLE = "8.1.02.01", "2.1.06.99"


class BookBroken(RuntimeError):
    """The seeded book is not one that the service could have written."""


# Numbered, so that every line has its share; two days' distance between the entries of one line and month.
_SEED = """
with line as materialized (
    select budget_line_id, agency_id, fund_code, organisation_code, program_code, function_code, location_code,
           project_code, funding_source_code, row_number() over (order by budget_line_id) - 1 as nth,
           count(*) over () as lines
    from budget_line where budget_line_id = any (%(lines)s)
), made as materialized (
    select uuidv7() as entry, uuidv7() as movement, l.*, 100 + g %% 100 as amount,
           date '2025-01-01' + (g * 7919 %% 365)::integer as day,
           '8.1.02.0' || (1 + g %% 5) as account
    from generate_series(%(first)s::bigint, %(last)s::bigint) g join line l on l.nth = g %% l.lines
), entry as (
    insert into journal_entry (journal_entry_id, agency_id, effective_on, accounting_on, fiscal_year, period_number,
                               recorded_at, description, source_kind, late_reason, person_id)
    select entry, agency_id, day, day, 2025, extract(month from day), transaction_timestamp(), 'a durable entry',
           'MANUAL', '', %(person)s
    from made
), moved as (
    insert into funds_movement (funds_movement_id, agency_id, budget_line_id, kind, reserved_minor, obligated_minor,
                                advanced_minor, expended_minor, ordered_minor, paid_minor, authority_minor,
                                document_kind, document_id, document_number, effective_on, accounting_on,
                                recorded_at, person_id, journal_entry_id)
    select movement, agency_id, budget_line_id, 'EXPEND', 0, 0, 0, amount, 0, 0, 0, 'JOURNAL_ENTRY', entry,
           entry::text, day, day, transaction_timestamp(), %(person)s, entry
    from made
), written as (
    insert into journal_line (journal_entry_id, line_no, agency_id, basis, fund_code, account_code, currency,
                              debit_minor, credit_minor, functional_debit_minor, functional_credit_minor,
                              organisation_code, program_code, function_code, location_code, project_code,
                              funding_source_code, budget_line_id, funds_movement_id, accounting_on, fiscal_year,
                              period_number, recorded_at)
    select entry, v.no, agency_id, 'ACCRUAL', fund_code, v.account, 'IDR', v.debit, v.credit, v.debit, v.credit,
           organisation_code, program_code, function_code, location_code, project_code, funding_source_code,
           budget_line_id, movement, day, 2025, extract(month from day), transaction_timestamp()
    from made, lateral (values (1::smallint, account, amount, 0::bigint),
                               (2::smallint, '2.1.06.99', 0::bigint, amount)) v (no, account, debit, credit)
    returning agency_id, account_code, fund_code, basis, currency, accounting_on, fiscal_year, period_number,
              debit_minor, credit_minor
), day as (
    insert into account_turnover as b (agency_id, account_code, fund_code, basis, currency, accounting_on,
                                       period_number, fiscal_year, debit_minor, credit_minor,
                                       functional_debit_minor, functional_credit_minor, line_count)
    select agency_id, account_code, fund_code, basis, currency, accounting_on, period_number, fiscal_year,
           sum(debit_minor), sum(credit_minor), sum(debit_minor), sum(credit_minor), count(*)
    from written group by 1, 2, 3, 4, 5, 6, 7, 8
    on conflict (agency_id, account_code, fund_code, basis, currency, accounting_on, period_number) do update
    set debit_minor = b.debit_minor + excluded.debit_minor, credit_minor = b.credit_minor + excluded.credit_minor,
        functional_debit_minor = b.functional_debit_minor + excluded.functional_debit_minor,
        functional_credit_minor = b.functional_credit_minor + excluded.functional_credit_minor,
        line_count = b.line_count + excluded.line_count
), kept as (
    insert into account_balance as b (agency_id, account_code, fund_code, basis, currency, fiscal_year, period_number,
                                      debit_minor, credit_minor, functional_debit_minor, functional_credit_minor,
                                      line_count)
    select agency_id, account_code, fund_code, basis, currency, fiscal_year, period_number, sum(debit_minor),
           sum(credit_minor), sum(debit_minor), sum(credit_minor), count(*)
    from written group by 1, 2, 3, 4, 5, 6, 7
    on conflict (agency_id, account_code, fund_code, basis, currency, fiscal_year, period_number) do update
    set debit_minor = b.debit_minor + excluded.debit_minor, credit_minor = b.credit_minor + excluded.credit_minor,
        functional_debit_minor = b.functional_debit_minor + excluded.functional_debit_minor,
        functional_credit_minor = b.functional_credit_minor + excluded.functional_credit_minor,
        line_count = b.line_count + excluded.line_count
)
insert into bench_spent select budget_line_id, sum(amount) from made group by budget_line_id
"""

# Lines and the nodes above them, as a posting charges them.
_CHARGE = """
with recursive charge as (
    select budget_line_id, amount from bench_spent
    union all
    select b.parent_id, c.amount from charge c join budget_line b on b.budget_line_id = c.budget_line_id
    where b.parent_id is not null
)
update budget_line b set expended_minor = expended_minor + a.amount
from (select budget_line_id, sum(amount)::bigint as amount from charge group by 1) a
where a.budget_line_id = b.budget_line_id
"""

_PROOFS = {
    "an entry does not balance": """
        select count(*) from (select journal_entry_id from journal_line group by journal_entry_id
                              having sum(debit_minor) <> sum(credit_minor)) x""",
    "a kept balance is not the sum of its lines": """
        select count(*) from account_balance b full join (
            select agency_id, account_code, fund_code, basis, currency, fiscal_year, period_number,
                   sum(debit_minor) as debit, sum(credit_minor) as credit, count(*) as lines
            from journal_line group by 1, 2, 3, 4, 5, 6, 7) l
        using (agency_id, account_code, fund_code, basis, currency, fiscal_year, period_number)
        where b.debit_minor is distinct from l.debit or b.credit_minor is distinct from l.credit
              or b.line_count is distinct from l.lines""",
    "a kept day is not the sum of its lines": """
        select count(*) from account_turnover b full join (
            select agency_id, account_code, fund_code, basis, currency, accounting_on, period_number,
                   sum(debit_minor) as debit, sum(credit_minor) as credit, count(*) as lines
            from journal_line group by 1, 2, 3, 4, 5, 6, 7) l
        using (agency_id, account_code, fund_code, basis, currency, accounting_on, period_number)
        where b.debit_minor is distinct from l.debit or b.credit_minor is distinct from l.credit
              or b.line_count is distinct from l.lines""",
    "a budget line's expended is not the sum of its movements": """
        select count(*) from (
            select budget_line_id, sum(expended_minor) as moved from funds_movement group by 1) m
        join budget_line b using (budget_line_id) where b.expended_minor <> m.moved""",
}


def measure(town: Town, say: Callable[[str], None], *, lines: int, seconds: float) -> dict[str, Any]:
    """Posting on a book of 2 × 10⁴ lines and on one of `lines`; then the reports of the large one."""
    ways = [way for way in journal.ways(town.lines) if way.name in ("unary_64_spread", "batch_100_spread")]
    found: dict[str, Any] = {"lines": {}}
    for label, size in (("small", SMALL_LINES), ("large", lines)):
        say(f"book: {size} lines")
        found["lines"][label] = seed(town, size)
        for way in ways:
            journal.run_way(town, way, 1.0, seed=99)
        for way in ways:
            say(f"book: {way.name} on {found['lines'][label]} lines")
            found.setdefault(way.name, {})[label] = journal.plain_figures(
                way, journal.run_way(town, way, seconds, seed=5)
            )
    for way in ways:
        both = found[way.name]
        both["large_to_small"] = round(
            ratio(both["large"]["entries_per_second"], both["small"]["entries_per_second"]), 3
        )
    say("book: reports")
    found["reports_ms"] = {name: _asked(ask) for name, ask in _reports(town)}
    found["bytes_kept_per_entry"] = journal.sizes(town)
    return found


def seed(town: Town, lines: int) -> int:
    """Bring the book to at least `lines` lines and prove it; how many it has."""
    with psycopg.connect(town.platform.postgres.url("finance"), autocommit=True) as connection:
        have = int(_one(connection, "select count(*) from journal_line"))
        values: dict[str, Any] = {
            "lines": [line.budget_line_id for line in town.lines],
            "person": town.government.persons["accountant"],
        }
        connection.execute("create temp table bench_spent (budget_line_id uuid, amount numeric)")
        with _without_indexes(connection, "journal_line", "funds_movement", "journal_entry"):
            for first in range(have // 2, lines // 2, _AT_ONCE):
                last = min(first + _AT_ONCE, lines // 2) - 1
                connection.execute(_SEED, {**values, "first": first, "last": last})
            connection.execute(_CHARGE)
        connection.execute("vacuum analyze")
        connection.execute("checkpoint")
        for wrong, query in _PROOFS.items():
            if count := _one(connection, query):
                raise BookBroken(f"{wrong}: {count} times")
        return int(_one(connection, "select count(*) from journal_line"))


@contextmanager
def _without_indexes(connection: psycopg.Connection[Any], *tables: str) -> Iterator[None]:
    """Indexes that keep no rule are made anew afterwards, which is several times faster than row by row."""
    rows = connection.execute(
        "select i.indexrelid::regclass::text, pg_get_indexdef(i.indexrelid) from pg_index i"
        " where i.indrelid::regclass::text = any (%s) and not i.indisunique",
        (list(tables),),
    ).fetchall()
    for name, _ in rows:
        connection.execute(f"drop index {name}")
    try:
        yield
    finally:
        connection.execute("set maintenance_work_mem = '512MB'")
        for _, definition in rows:
            connection.execute(definition)


def _one(connection: psycopg.Connection[Any], query: str) -> Any:
    row = connection.execute(query).fetchone()  # type: ignore[call-overload]  # constants of this module
    assert row is not None, "an aggregate answers one row"
    return row[0]


def _asked(ask: Callable[[], object]) -> dict[str, float]:
    times = []
    for _ in range(_ASKED):
        began = time.monotonic()
        ask()
        times.append(time.monotonic() - began)
    latency = Latency.of(times)
    return {"median": latency.median_ms, "max": latency.max_ms}


def _reports(town: Town) -> Iterator[tuple[str, Callable[[], object]]]:
    agency_id = journal.widest_agency(town.lines)
    accrual = account_pb2.BASIS_ACCRUAL

    def ledger(rpc: str, request: Message) -> Callable[[], Any]:
        return lambda: town.government.read(ledger_pb2_grpc.LedgerServiceStub, rpc, request, by="auditor")

    def balance(**given: Any) -> Callable[[], Any]:
        return ledger("GetTrialBalance", ledger_pb2.GetTrialBalanceRequest(basis=accrual, page_size=_ROWS, **given))

    def statement(**given: Any) -> Callable[[], Any]:
        return ledger(
            "ListAccountStatement",
            ledger_pb2.ListAccountStatementRequest(
                **{"account_code": _EXPENSE, **given},
                agency_id=agency_id, basis=accrual, currency="IDR", page_size=_PAGE,
            ),
        )  # fmt: skip

    yield "trial balance, one agency", balance(agency_id=agency_id)
    yield "trial balance, all agencies", balance()
    yield "trial balance of a past day, one agency", balance(agency_id=agency_id, as_of=to_date(_MIDDLE))
    yield "trial balance of a past day, all agencies", balance(as_of=to_date(_MIDDLE))
    execution = budget_pb2.GetExecutionReportRequest(fiscal_year=_YEAR, page_size=_ROWS)
    yield (
        "budget execution, all agencies",
        lambda: town.government.read(budget_pb2_grpc.BudgetServiceStub, "GetExecutionReport", execution, by="auditor"),
    )
    for what, code in (("an expense", _EXPENSE), ("the payable", _PAYABLE)):
        yield f"statement of {what}, first page", statement(account_code=code)
        yield f"statement of {what}, from a late day", statement(account_code=code, accounting_from=to_date(_LATE))
        token = statement(account_code=code, accounting_from=to_date(_LATE))().next_page_token
        yield (
            f"statement of {what}, a page after that",
            statement(account_code=code, accounting_from=to_date(_LATE), page_token=token),
        )
