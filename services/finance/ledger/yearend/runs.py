"""What a closing of a year and a carry-over into one have in common over the wire.

Both sum up an agency's books, post entries of their own, and may run again for what was posted since.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from chassis.paging import Page
from chassis.wire import to_uuid
from services.finance.ledger.yearend.domain import YearRun

Run = TypeVar("Run", bound=YearRun)


def start(
    db: Any, request: Any, call: Any, *, act: Callable[..., Run], reply: Callable[[Run], Any], collection: str
) -> bytes:
    """Do `act` for the request's agency and year by the acting person, in one transaction; the answer's bytes."""
    agency_id = to_uuid(request.agency_id, "agency_id")
    with db.begin(call) as work:
        done = act(
            work.session,
            agency_id=agency_id,
            year=request.year,
            person_id=call.principal.acting_person(),
            at=call.now,
        )
        work.reply(reply(done), resource=f"{collection}/{done.run_id}", agency_id=agency_id)
    return work.answer  # type: ignore[no-any-return]  # the chassis keeps answers as bytes


def page(db: Any, request: Any, call: Any, *, found: Callable[..., list[Run]]) -> tuple[list[Run], str]:
    """A page of the agency's runs, the newest first, and the token of the next."""
    agency_id = to_uuid(request.agency_id, "agency_id")
    asked = Page.of(request, filters={"agency_id": agency_id})
    with db.read(call) as session:
        runs = found(session, agency_id, after=asked.after, limit=asked.size + 1)
    shown = runs[: asked.size]
    return shown, asked.token([shown[-1].run_id]) if len(runs) > asked.size else ""
