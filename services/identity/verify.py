"""What must hold in identity's books, asked from outside by the reader's role.

I6  each person's and agency's every version, each grant and its end, and each legal entity is told by one event
I9  no grant was made by its holder, nor by a person outside the registry
I12 no national id in the clear in outbox, idempotency or audit
IDENTITY-1  no two grants of one role to one person at one agency share a day
IDENTITY-2  every person opens, and the blind indexes are those of the numbers inside
IDENTITY-3  the agency tree is whole: government and depth follow from the parent

IDENTITY-2 needs the sealing keys: KELOLA_SEALING_KEYS_FILE or KELOLA_DATA_DIR.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import structlog
from sqlalchemy import Connection, text

from chassis.told import compare, told, versions
from chassis.verify import PROBLEMS_MAX, Findings, Problem
from services.identity.person import sealing, store
from services.identity.person.sealing import Sealer
from services.identity.person.tables import PersonRow

log = structlog.get_logger("services.identity.verify")

_PAGE = 1_000
# A NIK: 16 digits that do not begin with 0, as a legal entity's public tax number does.
_NATIONAL_ID = re.compile(rb"(?<![0-9])[1-9][0-9]{15}(?![0-9])")


_EVENTS = "kelola.identity.v1."
TOLD = (
    versions(f"{_EVENTS}PersonRegistered", f"{_EVENTS}PersonUpdated", table="person", key="person_id"),
    versions(f"{_EVENTS}AgencyCreated", f"{_EVENTS}AgencyChanged", table="agency", key="agency_id"),
    told(f"{_EVENTS}LegalEntityRegistered", "legal_entity", "legal_entity_id"),
    told(f"{_EVENTS}GrantCreated", "access_grant", "grant_id"),
    told(f"{_EVENTS}GrantRevoked", "access_grant", "grant_id", where="revoked_at is not null"),
)


def effects(connection: Connection) -> Findings:
    """I6: each effect and its one event."""
    return compare(connection, TOLD)


def problems(connection: Connection) -> list[Problem]:
    """Every violation, at most a pageful of each kind."""
    return [
        *_rows(connection, "I9", _OWN_GRANTS),
        *_rows(connection, "I9", _UNKNOWN_MAKERS),
        *_rows(connection, "IDENTITY-1", _OVERLAPPING_GRANTS),
        *_persons(connection),
        *_rows(connection, "IDENTITY-3", _BROKEN_TREE),
        *_national_ids_in_the_clear(connection),
    ]


_OWN_GRANTS = """
    select format('grant %s was made by its holder, person %s', grant_id, person_id)
    from access_grant where granted_by_person_id = person_id
"""

_UNKNOWN_MAKERS = """
    select format('grant %s was made by %s, who is no registered person', grant_id, granted_by_person_id)
    from access_grant
    where granted_by_person_id is not null
      and not exists (select 1 from person where person.person_id = access_grant.granted_by_person_id)
"""

_OVERLAPPING_GRANTS = """
    select format('grants %s and %s give person %s the role %s at agency %s on the same days',
                  one.grant_id, other.grant_id, one.person_id, one.role, one.agency_id)
    from access_grant as one
    join access_grant as other using (person_id, role, agency_id)
    where one.grant_id < other.grant_id and one.revoked_at is null and other.revoked_at is null
      and daterange(one.valid_from, one.valid_to) && daterange(other.valid_from, other.valid_to)
"""

_BROKEN_TREE = """
    select format('agency %s does not follow from its parent %s: depth %s after %s, government %s after %s',
                  child.agency_id, parent.agency_id, child.depth, parent.depth,
                  child.government_agency_id, parent.government_agency_id)
    from agency as child join agency as parent on parent.agency_id = child.parent_agency_id
    where child.depth <> parent.depth + 1 or child.government_agency_id <> parent.government_agency_id
"""


def _rows(connection: Connection, invariant: str, query: str) -> list[Problem]:
    return [Problem(invariant, str(row[0])) for row in connection.execute(text(query)).fetchmany(PROBLEMS_MAX)]


def key_file() -> Path | None:
    """The sealing keys, where this process can find them."""
    if given := os.environ.get("KELOLA_SEALING_KEYS_FILE"):
        return Path(given)
    folder = os.environ.get("KELOLA_DATA_DIR")  # `kelola verify` sets it for the local platform
    file = Path(folder) / "sealing_keys.json" if folder else None
    return file if file is not None and file.exists() else None


def _persons(connection: Connection) -> list[Problem]:
    file = key_file()
    if file is None:
        log.warning("persons were not checked: no sealing keys here; set KELOLA_SEALING_KEYS_FILE")
        return []
    sealer = sealing.load(file)
    found: list[Problem] = []
    for row in _pages(connection, "select * from person where person_id > :after order by person_id", "person_id"):
        problem = _of_person(PersonRow(**row), sealer)
        if problem is not None:
            found.append(Problem("IDENTITY-2", problem))
            if len(found) >= PROBLEMS_MAX:
                break
    return found


def _of_person(row: PersonRow, sealer: Sealer) -> str | None:
    try:
        person = store.opened(row, sealer)
    except sealing.SealBroken as broken:
        return str(broken)
    differing = [name for name, index in store.indexes(person, sealer).items() if index != getattr(row, name)]
    if differing:
        return f"person {row.person_id}: {', '.join(differing)} is not that of the number inside"
    return None


def _pages(connection: Connection, query: str, key: str) -> Iterator[dict[str, Any]]:
    after: object = "00000000-0000-0000-0000-000000000000"
    while True:
        page = connection.execute(text(f"{query} limit {_PAGE}"), {"after": after}).mappings().all()
        yield from (dict(row) for row in page)
        if len(page) < _PAGE:
            return
        after = page[-1][key]


def _national_ids_in_the_clear(connection: Connection) -> list[Problem]:
    places = (
        ("outbox", "event_id", "body"),
        ("idempotency", "request_id", "answer"),
        ("audit", "audit_id", "convert_to(details::text, 'UTF8')"),
    )
    found: list[Problem] = []
    for table, key, value in places:
        # The names are those above; nothing of it comes from outside.
        rows = connection.execution_options(yield_per=_PAGE).execute(
            text(f"select {key} as key, {value} as value from {table}")  # noqa: S608
        )
        found += [
            Problem("I12", f"{table} {row.key} holds what looks like a national id")
            for row in rows
            if row.value is not None and _NATIONAL_ID.search(bytes(row.value))
        ]
    return found[:PROBLEMS_MAX]
