"""Files: taken in once, attached to documents, never changed."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

from sqlmodel import Session

from chassis import outbox
from chassis.errors import NotFound
from chassis.ids import new_id
from services.finance.attachments import domain, pack, store
from services.finance.attachments.domain import Attachment, Content
from services.finance.attachments.events import AttachmentAdded


@dataclass(frozen=True)
class Upload:
    """A file that came whole: its parts in the size in which they are stored, and what they are."""

    sha256: str
    byte_count: int
    chunks: tuple[bytes, ...]


def receive(parts: Iterable[bytes], *, media_type: str, sha256: str, bytes_max: int, on: date) -> Upload:
    """Take the parts of a file in, with no transaction open.

    Raises MEDIA_TYPE_NOT_ALLOWED before anything is read, MEDIA_TYPE_MISMATCH, CONTENT_TOO_LARGE as soon as it is too
    much, CONTENT_EMPTY, CONTENT_HASH_MISMATCH.
    """
    kind = domain.allowed(media_type, pack.media_types(on))
    digest, byte_count, chunks = hashlib.sha256(), 0, []
    for chunk in _cut(parts, bytes_max):
        digest.update(chunk)
        byte_count += len(chunk)
        chunks.append(chunk)
    if not chunks:
        raise domain.ContentEmpty("the upload brought no bytes: send the file in `data`")
    domain.check_beginning(chunks[0], kind)
    domain.check_hash(digest.hexdigest(), sha256)
    return Upload(digest.hexdigest(), byte_count, tuple(chunks))


def _cut(parts: Iterable[bytes], bytes_max: int) -> Iterator[bytes]:
    """The same bytes in parts of CHUNK_BYTES, however they came."""
    # A file may come in parts of a few bytes each: what was gathered is not copied anew with every one of them.
    came, rest = 0, bytearray()
    for part in parts:
        came += len(part)
        domain.check_size(came, bytes_max)
        rest += part
        while len(rest) >= domain.CHUNK_BYTES:
            yield bytes(rest[: domain.CHUNK_BYTES])
            del rest[: domain.CHUNK_BYTES]
    if rest:
        yield bytes(rest)


def keep(
    session: Session,
    upload: Upload,
    *,
    agency_id: UUID,
    media_type: str,
    file_name: str,
    person_id: UUID,
    at: datetime,
) -> Content:
    """Keep a file in an agency; the one that is there when it came before."""
    content = Content(new_id(), agency_id, upload.sha256, upload.byte_count, media_type, file_name, person_id, at)
    if store.add_content(session, content, upload.chunks):
        return content
    key = (agency_id, upload.sha256)
    return store.contents(session, [key])[key]


def content(session: Session, attachment_content_id: UUID) -> Content:
    """One file without its bytes; NOT_FOUND when it belongs to an agency that the caller does not see."""
    found = store.content(session, attachment_content_id)
    if found is None:
        raise NotFound.resource("attachment content", attachment_content_id)
    return found


@dataclass(frozen=True)
class Wanted:
    """An attachment to be made."""

    agency_id: UUID
    document_kind: str
    document_id: UUID
    sha256: str
    description: str
    supersedes_id: UUID | None
    reason: str

    @property
    def document(self) -> str:
        """The document's name."""
        return f"{self.document_kind}/{self.document_id}"


def attach(session: Session, wanted: Wanted, *, person_id: UUID, at: datetime) -> Attachment:
    """Attach a file of an agency to one of its documents."""
    if not store.has_document(session, wanted.document_kind, wanted.document_id, wanted.agency_id):
        raise NotFound.resource("document", wanted.document)
    key = (wanted.agency_id, wanted.sha256)
    found = store.contents(session, [key])
    domain.check_known([wanted.sha256], [sha256 for _, sha256 in found])
    store.lock_document(session, wanted.document_id)
    there = store.of_document(session, wanted.document_id, wanted.agency_id)
    domain.check_added(
        there,
        wanted.sha256,
        supersedes_id=wanted.supersedes_id,
        reason=wanted.reason,
        document=wanted.document,
    )
    made = Attachment(
        new_id(),
        wanted.agency_id,
        wanted.document_kind,
        wanted.document_id,
        found[key],
        wanted.description,
        wanted.supersedes_id,
        wanted.reason,
        person_id,
        at,
    )
    _add(session, [made])
    return made


def get(session: Session, attachment_id: UUID) -> Attachment:
    """One attachment; NOT_FOUND when it belongs to an agency that the caller does not see."""
    found = store.get(session, attachment_id)
    if found is None:
        raise NotFound.resource("attachment", attachment_id)
    return found


# --- files that journal entries name when they are posted ------------------------------------------------------------


def known(session: Session, named: Iterable[tuple[UUID, Sequence[str]]]) -> Mapping[tuple[UUID, str], Content]:
    """The files that entries name: by (agency, SHA-256). One query; none when nothing is named."""
    keys = [(agency_id, sha256) for agency_id, hashes in named for sha256 in hashes]
    return store.contents(session, keys) if keys else {}


def check_named(agency_id: UUID, hashes: Sequence[str], files: Mapping[tuple[UUID, str], Content]) -> None:
    """Refuse (ATTACHMENT_CONTENT_UNKNOWN) an entry that names a file which its agency does not have."""
    if hashes:
        domain.check_known(hashes, [sha256 for owner, sha256 in files if owner == agency_id])


@dataclass(frozen=True)
class Naming:
    """An entry that was posted, and the files that it names."""

    agency_id: UUID
    journal_entry_id: UUID
    hashes: Sequence[str]
    person_id: UUID
    recorded_at: datetime


def attach_named(session: Session, named: Sequence[Naming], files: Mapping[tuple[UUID, str], Content]) -> None:
    """Attach to entries that were posted just now the files that they name, each once."""
    _add(
        session,
        [
            Attachment(
                new_id(),
                one.agency_id,
                "journalEntries",
                one.journal_entry_id,
                files[one.agency_id, sha256],
                "",
                None,
                "",
                one.person_id,
                one.recorded_at,
            )
            for one in named
            for sha256 in dict.fromkeys(one.hashes)
        ],
    )


def _add(session: Session, made: Sequence[Attachment]) -> None:
    if made:
        store.add(session, made)
        outbox.emit_all(session, [AttachmentAdded(one) for one in made])
