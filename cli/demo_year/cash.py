"""The health office's imprest: cash for the year (UP), what it buys, the replenishment (GU), the settlement (nihil)."""

from __future__ import annotations

from datetime import date
from typing import Any

from chassis.wire import to_date
from cli.demo.budgeting import FUND
from cli.demo_year import cast
from cli.demo_year.banking import Claim
from cli.demo_year.year import Year, rupiah, shown
from kelola.finance.v1 import imprest_pb2, imprest_pb2_grpc

_IMPREST = imprest_pb2_grpc.ImprestServiceStub
CASH = 30_000_000
HOLDER = "imprest_holder"


def take(year: Year, *, on: date) -> tuple[Any, Claim]:
    """Ask for the year's cash; the imprest, and the payable that brings it."""
    made = year.government.do(
        _IMPREST,
        "CreateImprest",
        imprest_pb2.CreateImprestRequest(
            imprest=imprest_pb2.Imprest(
                agency_id=year.unit_id(cast.HEALTH),
                kind=imprest_pb2.IMPREST_KIND_STANDING,
                fiscal_year=cast.FISCAL_YEAR,
                fund_code=FUND,
                holder_person_id=year.foundation.persons[HOLDER],
                amount=rupiah(CASH),
                claimed_on=to_date(on),
            )
        ),
        by=HOLDER,
        step="imprest",
    )
    return made, Claim(cast.HEALTH, made.payable_id, "imprest/pay")


def spend(
    year: Year, imprest: Any, step: str, approved: int, paid: int, *, key: tuple[str, int], on: date
) -> dict[str, Any]:
    """A purchase that one person approves up to an amount and the holder pays: a voucher."""
    voucher = year.government.do(
        _IMPREST,
        "CreateImprestVoucher",
        imprest_pb2.CreateImprestVoucherRequest(
            imprest_voucher=imprest_pb2.ImprestVoucher(
                agency_id=year.unit_id(cast.HEALTH),
                imprest_id=imprest.imprest_id,
                budget_line_id=year.line(key),
                amount=rupiah(approved),
                payee="Toko Demo",
                description="Belanja harian",
                approved_on=to_date(on),
            )
        ),
        by="budget_user",
        step=f"{step}/approve",
    )
    bought = year.government.do(
        _IMPREST,
        "PayImprestVoucher",
        imprest_pb2.PayImprestVoucherRequest(name=voucher.name, paid=rupiah(paid), paid_on=to_date(on)),
        by=HOLDER,
        step=f"{step}/pay",
    ).imprest_voucher
    return {"voucher": step, "day": str(on), "approved": shown(bought.amount), "paid": shown(bought.paid)}


def replenish(year: Year, imprest: Any, *, on: date) -> Claim:
    """Claim what was spent (GU)."""
    answer = year.government.do(
        _IMPREST,
        "ReplenishImprest",
        imprest_pb2.ReplenishImprestRequest(name=imprest.name, claimed_on=to_date(on)),
        by=HOLDER,
        step="imprest/replenish",
    )
    return Claim(cast.HEALTH, answer.payable_id, "imprest/replenish/pay")


def settle(year: Year, imprest: Any, *, on: date) -> list[dict[str, Any]]:
    """The year's end of the cash: what was spent is validated, nothing is left to bring back (nihil)."""
    answer = year.government.do(
        _IMPREST,
        "SettleImprest",
        imprest_pb2.SettleImprestRequest(
            name=imprest.name, treasury_agency_id=year.treasury_id, settled_on=to_date(on)
        ),
        by="treasurer",
        step="imprest/settle",
    )
    return [{"day": str(on), "validated": shown(answer.validated), "returned": shown(answer.returned)}]
