"""What a revision makes of books that were kept before it: filled by hand at the revision before, then migrated."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import psycopg
import pytest

from chassis import migrate
from services.finance.tables import FinanceTable
from tests.conftest import FreshDatabase

_BEFORE = "finance_0017"
_VALUES = {
    "uuid": "gen_random_uuid()",
    "text": "''",
    "date": "date '2025-03-01'",
    "timestamp with time zone": "now()",
    "boolean": "false",
}


class Old:
    """A database at the revision before, whose rows need only what a test is about."""

    def __init__(self, database: FreshDatabase) -> None:
        self.database = database
        migrate.run(database.settings(), FinanceTable, to=_BEFORE)
        self.connection = psycopg.connect(database.superuser_url, autocommit=True)

    def put(self, table: str, **values: Any) -> None:
        """One row: `values` as SQL, every other column that must not be null with something of its type."""
        needed = self.connection.execute(
            "select column_name, data_type from information_schema.columns"
            " where table_schema = 'public' and table_name = %s and is_nullable = 'NO'",
            (table,),
        ).fetchall()
        row = {name: _VALUES.get(kind, "1") for name, kind in needed} | values
        names, expressions = ", ".join(row), ", ".join(str(one) for one in row.values())
        self.connection.execute(f"insert into {table} ({names}) values ({expressions})")

    def migrate(self) -> None:
        migrate.run(self.database.settings(), FinanceTable, to="finance_0019")

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        return self.connection.execute(query).fetchall()


@pytest.fixture
def old(database: Callable[..., FreshDatabase]) -> Any:
    one = Old(database("finance", migrate=False))
    yield one
    one.connection.close()


def _invoiced(old: Old, nth: int, *, currency: str, claim: int, variance: int) -> None:
    """An approved invoice of one order line, its claim beside what it clears."""
    order, invoice, entry = (f"md5('{kind}{nth}')::uuid" for kind in "oie")
    line = {"purchase_order_line_id": order, "foreign_currency": currency, "uninvoiced_minor": claim}
    old.put("purchase_order_line", **line, ordered="true")
    old.put(
        "invoice_line", invoice_id=invoice, purchase_order_line_id=order, amount_minor=claim, variance_minor=variance
    )
    old.put("journal_entry", journal_entry_id=entry, source_kind="'INVOICE'", source_id=invoice)
    for line_no, account, credit in ((1, "2.1.06.02", 0), (2, "2.1.06.01", claim)):
        debit = 0 if credit else claim - variance
        old.put(
            "journal_line",
            journal_entry_id=entry,
            line_no=line_no,
            account_code=f"'{account}'",
            document_line_id=order,
            debit_minor=debit,
            credit_minor=credit,
            functional_debit_minor=debit,
            functional_credit_minor=credit,
        )


def test_goods_of_foreign_orders_are_recorded_at_what_their_claims_were_entered_at(old: Old):
    for code in ("2.1.06.01", "2.1.06.02"):
        old.put("account", code=f"'{code}'", kind="'PAYABLE'", basis="'ACCRUAL'", normal_side="'CREDIT'")
    old.put("account_mapping", role="'GRNI'", account_code="'2.1.06.02'")
    _invoiced(old, 1, currency="'USD'", claim=1_000, variance=100)
    _invoiced(old, 2, currency="null", claim=500, variance=0)

    old.migrate()

    order = old.rows("select foreign_currency, uninvoiced_cost_minor from purchase_order_line order by 1")
    assert order == [("USD", 1_000), (None, None)]
    lines = old.rows("select cost_minor, cleared_cost_minor from invoice_line order by 1")
    assert lines == [(1_000, 900), (None, None)]
    walls = old.rows("select relforcerowsecurity from pg_class where relname in ('journal_line', 'invoice_line')")
    assert walls == [(True,), (True,)], "the walls stand again"


def _rule(old: Old, account: str, *, ended: bool = False) -> None:
    old.put(
        "approval_rule",
        document_kind="'INVOICE'",
        role=f"'role {account}'",
        account_prefix=f"'{account}'",
        organisation_prefix="''",
        valid_to="date '2025-03-02'" if ended else "null",
    )


def test_a_rules_prefix_becomes_the_node_of_its_code(old: Old):
    old.put("account", code="'5.2'", kind="'EXPENSE'", basis="'ACCRUAL'", normal_side="'DEBIT'")
    _rule(old, "5.2")
    _rule(old, "9.9", ended=True)

    old.migrate()

    rules = old.rows("select node_segments, node_codes from approval_rule order by 2")
    assert rules == [(["ACCOUNT"], ["5.2"]), (["ACCOUNT"], ["9.9"])]


def test_a_rule_in_force_for_a_code_that_is_in_no_tree_stops_the_migration_and_is_told(old: Old):
    _rule(old, "5.2.")

    with pytest.raises(ValueError, match=r"ACCOUNT 5\.2\. \(step 1 of INVOICE, rule .*end its rule"):
        old.migrate()

    assert old.rows("select account_prefix from approval_rule") == [("5.2.",)]
    assert old.rows("select version_num from alembic_version") == [("finance_0018",)]
