"""Gap-free numbers (domain rules §8): given after the commit by one short writer a series, in order of approval.

The transaction that approves a paper only queues it, so approvals never wait for one another. The numberer locks the
series' row, numbers a batch, writes the papers and their events in one transaction: killed anywhere, it has numbered
the whole batch or none of it. A number is never used twice and never given back.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import date
from typing import Any, Protocol
from uuid import UUID

from sqlmodel import Session

from chassis import outbox
from services.finance.payables import domain, events, number_store, pack, payment_store
from services.finance.payables.slips import usecases as slips

SUBJECT = "service:finance"
# Short transactions: papers wait for seconds at most, and nobody waits long for the series' row.
BATCH_MAX = 200


class Transactions(Protocol):
    """What the numberer needs of chassis.database."""

    def work(self, agencies: Any, *, subject: str) -> AbstractContextManager[Session]: ...


@dataclass(frozen=True)
class Series:
    """One series of numbers, and the agencies whose papers wait in it."""

    entity_id: UUID
    kind: str
    year: int
    paper_agency_ids: frozenset[UUID]


def number_waiting(db: Transactions, *, today: date) -> int:
    """Number what waits, series by series, a batch at a time; how many papers got a number."""
    numbered = 0
    for series in _waiting(db):
        while True:
            with db.work(series.paper_agency_ids, subject=SUBJECT) as session:
                count = _number_batch(session, series, today)
            numbered += count
            if count < BATCH_MAX:
                break
    return numbered


def _waiting(db: Transactions) -> list[Series]:
    with db.work((), subject=SUBJECT) as session:
        rows = number_store.waiting(session)
    return [Series(row.entity_id, row.kind, row.year, frozenset(row.paper_agency_ids)) for row in rows]


def _number_batch(session: Session, series: Series, today: date) -> int:
    key = series.entity_id, series.kind, series.year
    last = number_store.lock_series(session, *key)
    papers = number_store.next_papers(session, *key, series.paper_agency_ids, BATCH_MAX)
    if not papers:
        return 0
    day = domain.numbered_on(today, last.last_numbered_on)
    numbers = range(last.last_number + 1, last.last_number + 1 + len(papers))
    number_store.give(session, [paper.number_queue_id for paper in papers], numbers, day)
    document_ids = [paper.document_id for paper in papers]
    printed = [pack.paper_number(series.kind, number, series.year, day) for number in numbers]
    written = number_store.write_papers(session, series.kind, document_ids, printed)
    if written != len(papers):
        # A number without its paper would be a gap: nothing of the batch is kept.
        raise RuntimeError(f"{len(papers)} papers of series {series} were to be numbered, {written} took a number")
    number_store.end_series(session, *key, numbers[-1], day)
    if series.kind == "PAYMENT_ORDER":
        outbox.emit_all(session, _ordered(session, document_ids))
    if series.kind == slips.KIND:
        outbox.emit_all(session, slips.issued(session, document_ids))
    return len(papers)


def _ordered(session: Session, payment_order_ids: Sequence[UUID]) -> list[events.PaymentOrdered]:
    items = payment_store.order_items(session, payment_order_ids)
    return [
        events.PaymentOrdered(
            row.payment_order_id,
            row.agency_id,
            row.order_number,
            row.currency,
            row.gross_minor,
            row.net_minor,
            tuple(items.get(row.payment_order_id, ())),
            row.version,
        )
        for row in payment_store.orders(session, payment_order_ids)
    ]
