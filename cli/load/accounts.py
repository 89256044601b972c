"""Accounts that a published budget uses and the chart lacks: told as a list, or added under their parents."""

from __future__ import annotations

from collections.abc import Sequence

from chassis.ids import derived_id
from cli.connect import System
from cli.load import published_budget
from cli.load.chart import BATCH_MAX, regional
from cli.load.published_budget import PublishedLine
from kelola.finance.v1 import account_pb2, account_pb2_grpc

_CALL_SECONDS = 60.0
_PAGE = 500


def ensure(system: System, person: str, lines: Sequence[PublishedLine], *, add: bool) -> int:
    """Make sure that the chart has every account of `lines`; how many were added.

    Without `add` BudgetFileRefused is raised with the list of those that are missing. Nothing is ever dropped.
    """
    missing = published_budget.missing_accounts(lines, dict.fromkeys(known_codes(system, person)))
    if not add:
        published_budget.refuse_unknown(missing)
    pack = regional()
    accounts = [pack.account(code, name, code.rpartition(".")[0]) for code, name in missing.items()]
    stub = account_pb2_grpc.AccountServiceStub(system.channel("finance"))
    for start in range(0, len(accounts), BATCH_MAX):
        part = accounts[start : start + BATCH_MAX]
        request = account_pb2.BatchCreateAccountsRequest(accounts=part)
        # The same accounts are the same act, in whichever run.
        request.request_id = str(derived_id("load accounts", request.SerializeToString(deterministic=True).hex()))
        stub.BatchCreateAccounts(request, metadata=system.metadata(person), timeout=_CALL_SECONDS)
    return len(accounts)


def known_codes(system: System, person: str) -> set[str]:
    """The codes of the chart, whatever days they hold on."""
    stub = account_pb2_grpc.AccountServiceStub(system.channel("finance"))
    codes: set[str] = set()
    token = ""
    while True:
        request = account_pb2.ListAccountsRequest(page_size=_PAGE, page_token=token)
        page = stub.ListAccounts(request, metadata=system.metadata(person), timeout=_CALL_SECONDS)
        codes.update(account.code for account in page.accounts)
        token = page.next_page_token
        if not token:
            return codes
