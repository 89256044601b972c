"""Whether files are what their hashes say, and whether what they are attached to is there."""

from __future__ import annotations

from sqlalchemy import Connection, text

from chassis.verify import PROBLEMS_MAX, Problem
from services.finance.attachments.store import DOCUMENTS

# Files of one page of ids at a time: a file is put together in memory to be hashed, and is of bounded size.
_PAGE = 200
_FILES = """
    select c.attachment_content_id, c.agency_id, c.sha256, c.byte_count,
           coalesce(encode(sha256(string_agg(p.data, '' order by p.chunk_no)), 'hex'), 'nothing') as came,
           coalesce(sum(length(p.data)), 0) as came_bytes
    from (
        select * from attachment_content
        where cast(:after as uuid) is null or attachment_content_id > cast(:after as uuid)
        order by attachment_content_id limit :page
    ) c
    left join attachment_chunk p
           on (p.attachment_content_id, p.agency_id) = (c.attachment_content_id, c.agency_id)
    group by 1, 2, 3, 4
    order by 1
"""
_STRAY = """
    select a.attachment_id, a.document_kind, a.document_id from attachment a
    where a.document_kind = '{kind}' and not exists (
        select 1 from {table} d where d.{key} = a.document_id and d.agency_id = a.agency_id)
    order by 1 limit :limit
"""
_OTHERS = """
    select a.attachment_id from attachment a
    left join attachment_content c on (c.attachment_content_id, c.agency_id) = (a.attachment_content_id, a.agency_id)
    left join attachment s on s.attachment_id = a.supersedes_attachment_id
    where c.attachment_content_id is null
       or (a.supersedes_attachment_id is not null
           and (s.agency_id, s.document_kind, s.document_id)
               is distinct from (a.agency_id, a.document_kind, a.document_id))
    order by 1 limit :limit
"""


def problems(connection: Connection) -> list[Problem]:
    """What does not hold: each stored file has the hash and size that it is kept under (all, page by page); each
    attachment has its file and its document in its own agency, and supersedes one of the same document."""
    found: list[Problem] = []
    after = None
    while len(found) < PROBLEMS_MAX:
        rows = connection.execute(text(_FILES), {"after": after, "page": _PAGE}).all()
        found += [
            Problem(
                "A1",
                f"file {row.attachment_content_id} of agency {row.agency_id} is kept as {row.sha256}, {row.byte_count} "
                f"bytes; what is stored is {row.came}, {row.came_bytes} bytes",
            )
            for row in rows
            if row.came != row.sha256 or row.came_bytes != row.byte_count
        ]
        if len(rows) < _PAGE:
            break
        after = rows[-1].attachment_content_id
    for kind, (table, key) in DOCUMENTS.items():
        # Names of tables and columns of our own.
        query = _STRAY.format(kind=kind, table=table, key=key)
        found += [
            Problem("A1", f"attachment {row.attachment_id}: its agency has no {row.document_kind}/{row.document_id}")
            for row in connection.execute(text(query), {"limit": PROBLEMS_MAX})
        ]
    found += [
        Problem("A1", f"attachment {row.attachment_id} has no file of its agency, or supersedes another document's")
        for row in connection.execute(text(_OTHERS), {"limit": PROBLEMS_MAX})
    ]
    return found
