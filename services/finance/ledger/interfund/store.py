"""SQL of lines between funds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from uuid import UUID

from sqlalchemy import insert, select, text
from sqlmodel import Session

from chassis.money import checked
from services.finance.ledger.domain import Basis, JournalEntry
from services.finance.ledger.interfund.domain import Due
from services.finance.ledger.interfund.tables import InterfundLineRow


def add(session: Session, entries: Iterable[JournalEntry]) -> None:
    """Keep the other fund of each line between funds; the entries were posted just now."""
    rows = [
        {
            "journal_entry_id": entry.journal_entry_id,
            "line_no": number,
            "agency_id": entry.agency_id,
            "basis": line.basis.value,
            "fund_code": line.fund_code,
            "counterpart_fund_code": line.counterpart_fund_code,
        }
        for entry in entries
        for number, line in enumerate(entry.lines, start=1)
        if line.counterpart_fund_code
    ]
    if rows:
        session.execute(insert(InterfundLineRow), rows)


def counterparts(session: Session, entry_ids: Sequence[UUID]) -> dict[tuple[UUID, int], str]:
    """The other fund of each line between funds of these entries, by entry and line number."""
    row = InterfundLineRow
    query = select(row.journal_entry_id, row.line_no, row.counterpart_fund_code).where(
        row.journal_entry_id.in_(entry_ids)  # type: ignore[attr-defined]  # a column
    )
    return {(entry_id, number): fund for entry_id, number, fund in session.execute(query)}


def lock(session: Session, agency_ids: Iterable[UUID]) -> None:
    """One settlement in an agency at a time, until the transaction ends."""
    for agency_id in sorted(agency_ids):
        session.execute(text("select pg_advisory_xact_lock(5107115, hashtext(:id))"), {"id": str(agency_id)})


_OWED = text(
    """
    select coalesce(sum(l.functional_debit_minor), 0)::numeric - coalesce(sum(l.functional_credit_minor), 0)
    from interfund_line i
    join journal_line l using (journal_entry_id, line_no)
    where i.agency_id = :agency_id and i.basis = :basis and i.fund_code = :creditor
          and i.counterpart_fund_code = :debtor
    """
)


def owed(session: Session, agency_id: UUID, settled: Iterable[Due]) -> Mapping[Due, int]:
    """What each debtor owes its creditor, less what that one owes it: minor units of the functional currency."""
    return {
        due: int(
            session.execute(
                _OWED,
                {
                    "agency_id": agency_id,
                    "basis": due.basis.value,
                    "creditor": due.creditor_fund_code,
                    "debtor": due.debtor_fund_code,
                },
            ).scalar_one()
        )
        for due in settled
    }


_DEBTS = text(
    """
    select i.basis, i.counterpart_fund_code as debtor, i.fund_code as creditor,
           sum(l.functional_debit_minor)::numeric - sum(l.functional_credit_minor) as amount
    from interfund_line i
    join journal_line l using (journal_entry_id, line_no)
    where i.agency_id = :agency_id and (cast(:as_of as date) is null or l.accounting_on <= :as_of)
      and (cast(:basis as text) is null
           or (i.basis, i.counterpart_fund_code, i.fund_code) > (:basis, :debtor, :creditor))
    group by 1, 2, 3
    having sum(l.functional_debit_minor) > sum(l.functional_credit_minor)
    order by 1, 2, 3 limit :limit
    """
)


def debts(
    session: Session, agency_id: UUID, as_of: date | None, *, after: tuple[str, str, str] | None, limit: int
) -> list[Due]:
    """Which fund owes which other one how much, by basis, debtor and creditor: those above zero.

    Reads every line between funds of the agency once; the two sides are equal, so the creditor's says it.
    """
    basis, debtor, creditor = after or (None, None, None)
    rows = session.execute(
        _DEBTS,
        {
            "agency_id": agency_id,
            "as_of": as_of,
            "basis": basis,
            "debtor": debtor,
            "creditor": creditor,
            "limit": limit,
        },
    )
    return [Due(Basis(row.basis), row.debtor, row.creditor, checked(int(row.amount))) for row in rows]
