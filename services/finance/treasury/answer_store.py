"""SQL of what the bank says: files, statements, entries, and the payments that they speak of."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import date
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlmodel import Session

from chassis.errors import NotFound
from services.finance.treasury.bank_rules import LastStatement, PossibleOrder


def file_by_hash(session: Session, agency_id: UUID, sha256: str) -> UUID | None:
    """The file with these very bytes, if the treasury has it."""
    return session.execute(
        text("select bank_file_id from bank_file where agency_id = :agency_id and sha256 = :sha256"),
        {"agency_id": agency_id, "sha256": sha256},
    ).scalar()


def file(session: Session, bank_file_id: UUID) -> Row[Any]:
    """A file without its content; NOT_FOUND when the caller does not see it."""
    row = session.execute(
        text(
            "select bank_file_id, agency_id, sha256, format, message_id, file_name, byte_count, ignored_count,"
            " imported_at"
            " from bank_file where bank_file_id = :id"
        ),
        {"id": bank_file_id},
    ).first()
    if row is None:
        raise NotFound.resource("bank file", bank_file_id)
    return row


def insert_file(session: Session, values: Mapping[str, Any]) -> bool:
    """Keep a file; False when the treasury has these bytes. Waits for a twin that is being imported."""
    columns = ", ".join(values)
    inserted = session.execute(
        text(
            f"insert into bank_file ({columns}) values ({', '.join(f':{name}' for name in values)})"  # noqa: S608
            " on conflict (agency_id, sha256) do nothing returning bank_file_id"
        ),
        dict(values),
    ).scalar()
    return inserted is not None


def lock_bank_account(session: Session, bank_account_id: UUID) -> None:
    """One import at a time for an account: its statements follow one another, its entries come once."""
    session.execute(text("select 1 from bank_account where bank_account_id = :id for update"), {"id": bank_account_id})


def last_statement(session: Session, bank_account_id: UUID) -> LastStatement | None:
    """The newest statement of an account."""
    row = session.execute(
        text(
            "select statement_reference, sequence_number, position, closed_on, closing_minor from bank_statement"
            " where bank_account_id = :id order by position desc limit 1"
        ),
        {"id": bank_account_id},
    ).first()
    return None if row is None else LastStatement(*row)


def statement_by_reference(session: Session, bank_account_id: UUID, reference: str) -> Row[Any] | None:
    """The statement that the bank named so."""
    return session.execute(
        text("select * from bank_statement where bank_account_id = :id and statement_reference = :reference"),
        {"id": bank_account_id, "reference": reference},
    ).first()


def entries_by_key(session: Session, bank_account_id: UUID, keys: Collection[str]) -> dict[str, Row[Any]]:
    """The entries that the account has already, by their keys."""
    rows = session.execute(
        text("select * from bank_entry where bank_account_id = :id and entry_key = any (cast(:keys as text[]))"),
        {"id": bank_account_id, "keys": list(keys)},
    )
    return {row.entry_key: row for row in rows}


def link_to_statement(session: Session, entry_ids: Collection[UUID], bank_statement_id: UUID) -> None:
    """Entries that a notification told stand on a statement now."""
    session.execute(
        text(
            "update bank_entry set bank_statement_id = :statement_id, version = version + 1"
            " where bank_entry_id = any (cast(:ids as uuid[]))"
        ),
        {"statement_id": bank_statement_id, "ids": list(entry_ids)},
    )


def instructions_by_id(session: Session, agency_id: UUID, ids: Collection[UUID]) -> dict[UUID, Row[Any]]:
    """A treasury's payments by their ids."""
    rows = session.execute(
        text(
            "select * from payment_instruction where agency_id = :agency_id"
            " and payment_instruction_id = any (cast(:ids as uuid[]))"
        ),
        {"agency_id": agency_id, "ids": list(ids)},
    )
    return {row.payment_instruction_id: row for row in rows}


def instructions_of_run(session: Session, agency_id: UUID, payment_run_id: UUID) -> Sequence[Row[Any]]:
    """All payments of a run, in its order."""
    return session.execute(
        text(
            "select * from payment_instruction where agency_id = :agency_id and payment_run_id = :run_id"
            " order by position"
        ),
        {"agency_id": agency_id, "run_id": payment_run_id},
    ).all()


def last_instruction(session: Session, payment_order_id: UUID) -> Row[Any] | None:
    """The newest payment of an order that went to the bank, or else the newest of all."""
    return session.execute(
        text(
            "select * from payment_instruction where payment_order_id = :id"
            " order by status = 'CANCELLED', payment_instruction_id desc limit 1"
        ),
        {"id": payment_order_id},
    ).first()


def orders_named(session: Session, agency_id: UUID, *, currency: str, amount: int, text_: str) -> dict[str, UUID]:
    """A treasury's orders over this amount whose number stands in a text, by their numbers.

    Of an order in a foreign currency the number is enough: what it costs in the account's currency, the bank says. Once
    it is debited, it is what left.
    """
    rows = session.execute(
        text(
            "select order_number, payment_order_id from payment_order where treasury_agency_id = :agency_id"
            " and (coalesce(debited_minor, net_minor) = :amount and currency = :currency"
            "      or foreign_minor = :amount and foreign_currency = :currency"
            "      or foreign_currency is not null and status = 'ISSUED' and currency = :currency)"
            " and position(order_number in :text) > 0"
        ),
        {"agency_id": agency_id, "amount": amount, "currency": currency, "text": text_},
    )
    return {row.order_number: row.payment_order_id for row in rows}


def lock_order(session: Session, payment_order_id: UUID) -> Row[Any] | None:
    """An order, locked; None when the caller does not see it."""
    return session.execute(
        text("select * from payment_order where payment_order_id = :id for update"), {"id": payment_order_id}
    ).first()


def left_in(session: Session, order: Row[Any], currency: str) -> bool:
    """Whether a debited order left an account in `currency`: its entry at the treasury moved cash in it."""
    return bool(
        session.execute(
            text(
                "select exists (select 1 from journal_entry e join journal_line l using (journal_entry_id)"
                " where e.agency_id = :agency_id and e.source_id = :order_id and e.source_kind = 'PAYMENT_ORDER'"
                " and l.agency_id = :agency_id and l.currency = :currency)"
            ),
            {"agency_id": order.treasury_agency_id, "order_id": order.payment_order_id, "currency": currency},
        ).scalar()
    )


def returns_of(session: Session, payment_order_id: UUID) -> Sequence[Row[Any]]:
    """Every return of an order, the newest last."""
    return session.execute(
        text("select * from payment_return where payment_order_id = :id order by payment_return_id"),
        {"id": payment_order_id},
    ).all()


def matched_entry_exists(
    session: Session, payment_order_id: UUID, payment_return_id: UUID | None, *, direction: str
) -> bool:
    """Whether an entry of the bank stands for this debit or return already."""
    return bool(
        session.execute(
            text(
                "select exists (select 1 from bank_entry where payment_order_id = :order_id and status = 'MATCHED'"
                " and payment_return_id is not distinct from cast(:return_id as uuid) and direction = :direction)"
            ),
            {"order_id": payment_order_id, "return_id": payment_return_id, "direction": direction},
        ).scalar()
    )


def cash_entry(
    session: Session, agency_id: UUID, source_id: UUID, account_codes: Sequence[str], *, signed_minor: int
) -> UUID | None:
    """The entry by which a document moved so much through a cash account, and which no bank entry is the twin of.

    `account_codes` are those that the cash account had, one after the other.
    """
    return session.execute(
        text(
            """
            select e.journal_entry_id
            from journal_entry e join journal_line l using (journal_entry_id)
            where e.agency_id = :agency_id and e.source_id = :source_id
              and l.account_code = any (cast(:account_codes as text[]))
              and not exists (select 1 from bank_entry b where b.journal_entry_id = e.journal_entry_id)
            group by e.journal_entry_id
            having sum(l.debit_minor - l.credit_minor) = :signed
            order by e.journal_entry_id limit 1
            """
        ),
        {
            "agency_id": agency_id,
            "source_id": source_id,
            "account_codes": list(account_codes),
            "signed": signed_minor,
        },
    ).scalar()


def answers(session: Session, bank_file_id: UUID) -> Sequence[Row[Any]]:
    """What came of a file."""
    return session.execute(
        text("select * from bank_answer where bank_file_id = :id order by position"), {"id": bank_file_id}
    ).all()


def statement_ids(session: Session, bank_file_id: UUID) -> list[UUID]:
    """The statements of a file."""
    rows = session.execute(
        text("select bank_statement_id from bank_statement where bank_file_id = :id order by position"),
        {"id": bank_file_id},
    )
    return [row.bank_statement_id for row in rows]


def possible_orders(
    session: Session, agency_id: UUID, currency: str, ranges: Collection[tuple[int, int]], *, limit: int
) -> list[PossibleOrder]:
    """Orders at the bank, and debited ones, whose net lies in one of the ranges; the newest first.

    An order in a foreign currency is looked for by what its payee gets, and in the currency of the books by its net.
    """
    rows = session.execute(
        text(
            """
            select o.payment_order_id, o.agency_id, o.order_number, n.minor,
                   coalesce(o.value_date, o.issued_on) as day, o.status = 'DEBITED' as debited
            from payment_order o
            cross join lateral (
                select case when o.foreign_currency = :currency then o.foreign_minor
                            else coalesce(o.debited_minor, o.net_minor) end as minor
            ) n
            where o.treasury_agency_id = :agency_id and :currency in (o.currency, o.foreign_currency)
              and o.status in ('ISSUED', 'DEBITED')
              and exists (select 1 from unnest(cast(:lows as bigint[]), cast(:highs as bigint[])) as r (low, high)
                          where n.minor between r.low and r.high)
            order by o.issued_on desc, o.payment_order_id limit :limit
            """
        ),
        {
            "agency_id": agency_id,
            "currency": currency,
            "lows": [low for low, _ in ranges],
            "highs": [high for _, high in ranges],
            "limit": limit,
        },
    )
    return [PossibleOrder(*row) for row in rows]


def creditors(session: Session, payment_order_id: UUID) -> list[str]:
    """Whom an order pays."""
    rows = session.execute(
        text(
            "select distinct creditor from payment_order_item join payable using (payable_id)"
            " where payment_order_id = :id order by creditor"
        ),
        {"id": payment_order_id},
    )
    return [row.creditor for row in rows]


def cash_account_of(session: Session, payment_instruction_id: UUID, on: date) -> str | None:
    """The code on a day of the cash account of the bank account from which a payment went."""
    return session.execute(
        text(
            "select carried_code('ACCOUNT', b.account_code, b.valid_from, :on_day)"
            " from payment_instruction i join payment_run r using (payment_run_id)"
            " join bank_account b using (bank_account_id) where i.payment_instruction_id = :id"
        ),
        {"id": payment_instruction_id, "on_day": on},
    ).scalar()
