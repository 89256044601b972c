"""The second government's imprests: cash, purchases, a replenishment, a settlement."""

from __future__ import annotations

from collections.abc import Callable

from kelola.finance.v1 import imprest_pb2
from tests.system.rehearsal import TODAY, YEAR, Company, rupiah
from tests.system.rehearsal_finance import FUND, Budget

_CASH = 400_000


def spend_cash(company: Company, budget: Budget, bring: Callable[[Company, str], None]) -> None:
    """Call every RPC of ImprestService; `bring` pays a payable to the bank's debit."""
    agency_id, holder = company.agencies["unit"], "expenditure_treasurer"
    imprest = company.act(
        imprest_pb2.CreateImprestRequest(
            imprest=imprest_pb2.Imprest(
                agency_id=agency_id,
                kind=imprest_pb2.IMPREST_KIND_STANDING,
                fiscal_year=YEAR,
                fund_code=FUND,
                holder_person_id=company.persons[holder],
                amount=rupiah(_CASH),
                claimed_on=TODAY,
            )
        ),
        by=holder,
    )
    bring(company, imprest.payable_id)
    unwanted = _approved(company, budget, imprest, 100_000)
    company.act(imprest_pb2.CancelImprestVoucherRequest(name=unwanted.name, explanation="Batal"), by="budget_user")
    voucher = _approved(company, budget, imprest, 150_000)
    company.act(imprest_pb2.PayImprestVoucherRequest(name=voucher.name, paid=rupiah(140_000), paid_on=TODAY), by=holder)
    company.read(imprest_pb2.GetImprestVoucherRequest(name=voucher.name), by=holder)
    company.read(
        imprest_pb2.ListImprestVouchersRequest(agency_id=company.agencies["unit"], imprest_id=imprest.imprest_id),
        by="auditor",
    )
    claimed = company.act(imprest_pb2.ReplenishImprestRequest(name=imprest.name, claimed_on=TODAY), by=holder)
    bring(company, claimed.payable_id)
    company.act(
        imprest_pb2.SettleImprestRequest(
            name=imprest.name,
            treasury_agency_id=company.agencies["treasury"],
            settled_on=TODAY,
            bank_reference="RETUR-UJI",
        ),
        by="treasurer",
    )
    company.read(imprest_pb2.GetImprestRequest(name=imprest.name), by=holder)
    company.read(imprest_pb2.ListImprestsRequest(agency_id=agency_id, page_size=3), by="auditor")


def _approved(
    company: Company, budget: Budget, imprest: imprest_pb2.Imprest, amount: int
) -> imprest_pb2.ImprestVoucher:
    answer: imprest_pb2.ImprestVoucher = company.act(
        imprest_pb2.CreateImprestVoucherRequest(
            imprest_voucher=imprest_pb2.ImprestVoucher(
                agency_id=company.agencies["unit"],
                imprest_id=imprest.imprest_id,
                budget_line_id=budget.goods,
                amount=rupiah(amount),
                payee="Toko Uji",
                description="Meterai",
                approved_on=TODAY,
            )
        ),
        by="budget_user",
    )
    return answer
