"""The Indonesian pack's classification holds together, and covers the published budget."""

from __future__ import annotations

from datetime import date
from uuid import uuid4

import pytest

from chassis.wire import from_date
from cli.load import published_budget
from cli.load.chart import PACK, regional
from kelola.finance.v1 import account_pb2
from services.finance.classification.domain import AccountMapping, Method

BUDGET = PACK.parent / "real" / "regional_budget_2025_six_units.csv"


def test_every_account_has_its_parent_and_its_code_once():
    pack = regional()

    codes = [account.code for account in pack.accounts]

    assert len(codes) == len(set(codes))
    seen: set[str] = set()
    for account in pack.accounts:
        assert not account.parent_code or account.parent_code in seen, account.code
        seen.add(account.code)


def test_every_dimension_value_has_its_parent():
    values = regional(funding_sources=[("PAD", "Pendapatan Asli Daerah")]).dimension_values

    known = {(value.kind, value.code) for value in values}

    assert all((value.kind, value.parent_code) in known for value in values if value.parent_code)
    kinds = {account_pb2.DimensionKind.Name(kind) for kind, _ in known}
    assert kinds >= {"DIMENSION_KIND_FUND", "DIMENSION_KIND_FUNDING_SOURCE", "DIMENSION_KIND_FUNCTION"}


def test_what_an_account_is_follows_from_the_longest_prefix():
    pack = regional()
    accounts = {account.code: account for account in pack.accounts}

    assert accounts["8.1.02.01"].funds_control
    assert not accounts["8.2.01"].funds_control, "depreciation uses no budget"
    assert accounts["1.3.07"].normal_side == account_pb2.NORMAL_SIDE_CREDIT
    assert accounts["2.1.06.02"].control
    assert not accounts["2.1.06.99"].control
    assert accounts["5.1.02.01"].basis == account_pb2.BASIS_BUDGET
    assert accounts["3.1.02.05"].basis == account_pb2.BASIS_BUDGET
    assert accounts["3.1.01.01"].basis == account_pb2.BASIS_ACCRUAL
    assert not accounts["5.1"].postable
    with pytest.raises(ValueError, match=r"account 9\.1"):
        pack.account("9.1", "No such group", "9")


def mappings() -> list[AccountMapping]:
    return [
        AccountMapping(
            uuid4(),
            row.role,
            row.expenditure_prefix,
            Method(account_pb2.MappingMethod.Name(row.method).removeprefix("MAPPING_METHOD_")),
            row.account_code,
            row.legal_source,
            from_date(row.valid_from),
        )
        for row in regional().mappings
    ]


def test_every_mapping_rule_names_accounts_of_the_chart_and_its_law():
    codes = {account.code: account for account in regional().accounts}

    for rule in mappings():
        assert rule.account_code in codes, rule
        assert rule.legal_source, rule
        assert rule.valid_from == date(2021, 1, 1)
        if rule.method is Method.FIXED:
            assert codes[rule.account_code].postable, rule


def test_every_published_line_finds_its_expense_or_asset_account_and_its_payable():
    postable = {account.code for account in regional().accounts if account.postable}
    rules = mappings()

    def account_for(role: str, expenditure_account_code: str) -> str | None:
        fitting = [rule for rule in rules if rule.role == role and rule.covers(expenditure_account_code)]
        best = max(fitting, key=lambda rule: len(rule.expenditure_prefix))
        return next((code for code in best.candidates(expenditure_account_code) if code in postable), None)

    for code in {line.account_code for line in published_budget.read(BUDGET)}:
        role = "FA" if code.startswith("5.2") else "EXP"
        found = account_for(role, code)
        assert found is not None, code
        assert found.startswith({"5.1": "8.1", "5.2": "1.3"}[code[:3]]), (code, found)
        assert str(account_for("AP", code)).startswith("2.1.06."), code
