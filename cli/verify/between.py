"""What must agree between two services' books, asked of both databases from outside.

- I6: each projection is what its owner's facts make of it (projections.py).
- I7: stock = control account (domain rules §6): the value of an agency's stock movements up to finance's cut is the
  balance of the stock control account there. The cut is read first: movements up to it do not change any more.
- I8: payroll = payables (domain rules §5): what an accepted run costs is what finance owes for it. HR is read first: a
  run that it calls accepted has been accepted; one that finance has accepted and HR has not noted yet is in flight.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from cli.verify import projections

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from chassis.verify import Report

# The figures' home in the report's list of services.
NAME = "between services"

_CUTS = """
    select cut.agency_id, cut.posted_number as number,
           coalesce((select sum(debit_minor - credit_minor) from account_balance balance
                     where balance.agency_id = cut.agency_id and balance.account_code = inv.account_code), 0)
           - coalesce((select sum(value_minor) from stock_posting posting
                       where posting.agency_id = cut.agency_id and posting.stock_movement_number > cut.posted_number
                         and posting.kind not in ('TRANSFER_OUT', 'TRANSFER_IN')), 0)
           - coalesce((select sum(variance_minor) from stock_variance variance
                       where variance.agency_id = cut.agency_id and not variance.numbered), 0) as balance
    from stock_cut cut
    cross join (select account_code from account_mapping where role = 'INV' order by valid_from desc limit 1) inv
"""
_VALUES = """
    select agency_id, coalesce(sum(value_minor), 0) as value from stock_movement
    where stock_movement_number <= (cast(:cuts as jsonb) ->> agency_id::text)::bigint group by agency_id
"""
_RUNS = """
    select payroll_run_id, number, gross_minor + tax_allowance_minor + employer_parts_minor as cost
    from payroll_run where state in ('APPROVED', 'PAID')
"""
_OWED = """
    select source_document_id, sum(amount_minor) as owed from payable
    where source in ('PAYROLL', 'EMPLOYER_CONTRIBUTION') group by source_document_id
"""


def report(reader_urls: Mapping[str, str]) -> Report:
    """Compare the services with one another, as far as their reader URLs are given."""
    from chassis.verify import PROBLEMS_MAX, Problem, Report, together

    found: list[Problem] = []
    figures = {"stock_cuts": 0, "payroll_runs": 0}
    if {"finance", "logistics"} <= set(reader_urls):
        with _snapshots(reader_urls["finance"], reader_urls["logistics"]) as (finance, logistics):
            cuts = _rows(finance, _CUTS)
            figures["stock_cuts"] = len(cuts)
            found += [Problem("I7", what) for what in _stock(cuts, logistics)]
    if {"finance", "hr"} <= set(reader_urls):
        with _snapshots(reader_urls["hr"], reader_urls["finance"]) as (hr, finance):
            runs = _rows(hr, _RUNS)
            figures["payroll_runs"] = len(runs)
            found += [Problem("I8", what) for what in _payroll(runs, finance)]
    findings = together(_projected(reader_urls))
    problems = [*found[:PROBLEMS_MAX], *findings.problems]
    return Report(NAME, problems, {**figures, **findings.figures}, findings.remarks)


def _projected(reader_urls: Mapping[str, str]) -> Iterator[Any]:
    pairs = dict.fromkeys((each.subscriber, each.owner) for each in projections.PROJECTIONS)
    for subscriber, owner in pairs:
        if {subscriber, owner} <= set(reader_urls):
            with _snapshots(reader_urls[subscriber], reader_urls[owner]) as (kept, owned):
                for each in projections.PROJECTIONS:
                    if (each.subscriber, each.owner) == (subscriber, owner):
                        yield projections.compare(each, kept, owned)


def _stock(cuts: list[Any], logistics: Connection) -> Iterator[str]:
    import json

    numbers = json.dumps({str(cut.agency_id): cut.number for cut in cuts})
    values = {row.agency_id: int(row.value) for row in _rows(logistics, _VALUES, cuts=numbers)}
    for cut in cuts:
        value = values.get(cut.agency_id, 0)
        if value != int(cut.balance):
            yield (
                f"agency {cut.agency_id}: stock up to movement {cut.number} is worth {value}, "
                f"its control account says {cut.balance}"
            )


def _payroll(runs: list[Any], finance: Connection) -> Iterator[str]:
    owed = {row.source_document_id: int(row.owed) for row in _rows(finance, _OWED)}
    for run in runs:
        if owed.get(run.payroll_run_id, 0) != run.cost:
            yield (
                f"payroll run {run.payroll_run_id} ({run.number}) costs {run.cost}, "
                f"finance owes {owed.get(run.payroll_run_id, 0)} for it"
            )


def _rows(connection: Connection, query: str, **values: Any) -> list[Any]:
    from sqlalchemy import text

    return list(connection.execute(text(query), values))


@contextmanager
def _snapshots(first_url: str, second_url: str) -> Iterator[tuple[Connection, Connection]]:
    """Two databases, each in one snapshot; the first one's is taken first."""
    with _snapshot(first_url) as first, _snapshot(second_url) as second:
        yield first, second


@contextmanager
def _snapshot(url: str) -> Iterator[Connection]:
    from sqlalchemy import create_engine, text
    from sqlalchemy.pool import NullPool

    from chassis.database import sqlalchemy_url

    engine = create_engine(sqlalchemy_url(url), poolclass=NullPool)
    try:
        with engine.connect().execution_options(isolation_level="REPEATABLE READ") as connection:
            connection.execute(text("set transaction read only"))
            # The first query takes the snapshot.
            connection.execute(text("select 1"))
            yield connection
    finally:
        engine.dispose()
