"""Journal entries of imprests (domain rules §4). Payment orders bring the cash itself (payables/journals.py)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from uuid import UUID

from sqlmodel import Session

from services.finance.budget.journals import post_one
from services.finance.classification import mapping
from services.finance.imprest.store import Voucher
from services.finance.ledger.domain import Basis, Line, Posted
from services.finance.payables.journals import Tag, debit, entry


def post_voucher(session: Session, voucher: Voucher, tag: Tag, *, paid_on: date, person_id: UUID) -> Posted:
    """Dr EXP or FA / Cr IMPREST: what was bought in cash."""
    code = tag.account_code
    goods = mapping.goods_roles(session, {code}, on=paid_on)[code]
    accounts = mapping.accounts_for(session, [(goods, code), ("IMPREST", "")], on=paid_on)
    lines = [
        debit(Basis.ACCRUAL, accounts[goods, code], voucher.paid_minor, tag),
        Line(Basis.ACCRUAL, tag.fund_code, accounts["IMPREST", ""], 0, voucher.paid_minor, tag.currency),
    ]
    key = voucher.imprest_voucher_id
    return post_one(
        session,
        entry(voucher.agency_id, paid_on, "Paid from imprest", "IMPREST_VOUCHER", key, lines, person_id=person_id),
    )


def post_validation(
    session: Session,
    agency_id: UUID,
    tagged: Sequence[tuple[Tag, int]],
    *,
    on: date,
    source_kind: str,
    source_id: UUID,
    person_id: UUID,
    undone: bool = False,
) -> Posted:
    """BUDGET Dr BEL / Cr SAL on each voucher's line; with `undone` its mirror (the order was rejected)."""
    sign = -1 if undone else 1
    accounts = mapping.accounts_for(session, [("SAL", ""), *(("BEL", tag.account_code) for tag, _ in tagged)], on=on)
    lines = [debit(Basis.BUDGET, accounts["BEL", tag.account_code], sign * amount, tag) for tag, amount in tagged]
    by_fund: dict[tuple[str, str], int] = {}
    for tag, amount in tagged:
        by_fund[tag.fund_code, tag.currency] = by_fund.get((tag.fund_code, tag.currency), 0) + sign * amount
    for (fund, currency), amount in sorted(by_fund.items()):
        lines.append(
            Line(Basis.BUDGET, fund, accounts["SAL", ""], max(-amount, 0), max(amount, 0), currency),
        )
    what = "Imprest vouchers no longer validated" if undone else "Imprest vouchers validated"
    return post_one(session, entry(agency_id, on, what, source_kind, source_id, lines, person_id=person_id))


def post_return(
    session: Session,
    *,
    agency_id: UUID,
    treasury_agency_id: UUID,
    imprest_id: UUID,
    fund_code: str,
    amount: int,
    currency: str,
    on: date,
    person_id: UUID,
) -> None:
    """A Dr RK-A / Cr IMPREST; T Dr CASH / Cr RK-T: the rest of the cash goes back."""
    roles = [("RK-A", ""), ("IMPREST", ""), ("CASH", ""), ("RK-T", "")]
    accounts = mapping.accounts_for(session, roles, on=on)

    def line(role: str, minor: int, counterpart: UUID | None = None) -> Line:
        account = accounts[role, ""]
        taken, given = max(minor, 0), max(-minor, 0)
        return Line(Basis.ACCRUAL, fund_code, account, taken, given, currency, counterpart_agency_id=counterpart)

    legs = (
        (agency_id, [line("RK-A", amount, treasury_agency_id), line("IMPREST", -amount)]),
        (treasury_agency_id, [line("CASH", amount), line("RK-T", -amount, agency_id)]),
    )
    for owner, lines in legs:
        post_one(session, entry(owner, on, "Imprest returned", "IMPREST", imprest_id, lines, person_id=person_id))
