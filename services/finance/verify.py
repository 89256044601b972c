"""Whether finance's books hold, asked from outside by the reader's role (`kelola verify`)."""

from __future__ import annotations

from sqlalchemy import Connection

from chassis.verify import Problem
from services.finance.billing import verify as billing
from services.finance.budget import verify as budget
from services.finance.imprest import verify as imprest
from services.finance.ledger import verify as ledger
from services.finance.payables import verify as payables
from services.finance.treasury import verify as treasury


def problems(connection: Connection) -> list[Problem]:
    """What does not hold: I1 to I4, F1 to F7, and the tie between ledger and funds."""
    return [
        *ledger.problems(connection),
        *budget.problems(connection),
        *payables.problems(connection),
        *billing.problems(connection),
        *imprest.problems(connection),
        *treasury.problems(connection),
    ]
