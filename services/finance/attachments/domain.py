"""What may be attached to what. Pure.

A journal entry rests on a document of proof (PP 71/2010, transparency and traceability; UU 11/2008 art. 5: electronic
documents are evidence when they are kept whole). A file is therefore known by its SHA-256 (FIPS 180-4), never changes,
and what was attached stays: it is superseded by a later one, with a reason.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from chassis.errors import AlreadyExists, FailedPrecondition, InvalidArgument, OutOfRange

# The size in which files are stored and sent, in bytes.
CHUNK_BYTES = 256 * 1024
# Attachments of one document, superseded ones among them: a paper file of a thick binder.
ATTACHMENTS_MAX = 200


class MediaTypeNotAllowed(FailedPrecondition):
    """The country pack does not list the media type on this day."""

    reason = "MEDIA_TYPE_NOT_ALLOWED"


class MediaTypeMismatch(InvalidArgument):
    """The file does not begin as files of its media type do."""

    reason = "MEDIA_TYPE_MISMATCH"


class ContentTooLarge(OutOfRange):
    """The file is larger than the service takes."""

    reason = "CONTENT_TOO_LARGE"


class ContentEmpty(InvalidArgument):
    """The upload brought no bytes."""

    reason = "CONTENT_EMPTY"


class ContentHashMismatch(InvalidArgument):
    """What came is not what the caller says it is."""

    reason = "CONTENT_HASH_MISMATCH"


class ContentUnknown(FailedPrecondition):
    """The agency has no file with that hash."""

    reason = "ATTACHMENT_CONTENT_UNKNOWN"


class AttachmentThere(AlreadyExists):
    """The document has the file already."""

    reason = "ATTACHMENT_THERE"


class AttachmentSuperseded(FailedPrecondition):
    """The attachment was superseded before."""

    reason = "ATTACHMENT_SUPERSEDED"


class AttachmentsTooMany(FailedPrecondition):
    """The document has as many attachments as one may have."""

    reason = "ATTACHMENTS_TOO_MANY"


@dataclass(frozen=True)
class MediaType:
    """A media type that the pack allows; `signature` are the bytes that its files begin with, empty for none."""

    media_type: str
    signature: bytes


@dataclass(frozen=True)
class Content:
    """A file of an agency."""

    attachment_content_id: UUID
    agency_id: UUID
    sha256: str
    byte_count: int
    media_type: str
    file_name: str
    person_id: UUID
    recorded_at: datetime


@dataclass(frozen=True)
class Attachment:
    """A file attached to a document."""

    attachment_id: UUID
    agency_id: UUID
    document_kind: str
    document_id: UUID
    content: Content
    description: str
    supersedes_id: UUID | None
    reason: str
    person_id: UUID
    recorded_at: datetime
    superseded_by_id: UUID | None = None


def allowed(media_type: str, types: Sequence[MediaType]) -> MediaType:
    """The allowed media type of that name."""
    for one in types:
        if one.media_type == media_type:
            return one
    raise MediaTypeNotAllowed(
        f"files of type {media_type} are not attached; allowed are {', '.join(one.media_type for one in types)} "
        "(attachment_media_types.csv)",
        metadata={"media_type": media_type},
    )


def check_beginning(first: bytes, kind: MediaType) -> None:
    """Refuse a file that does not begin as its media type says."""
    if not first.startswith(kind.signature):
        raise MediaTypeMismatch(
            f"the file does not begin with {kind.signature.hex(' ')} as {kind.media_type} does: name its real type",
            metadata={"media_type": kind.media_type},
        )


def check_size(byte_count: int, bytes_max: int) -> None:
    """Refuse what is more than the service takes; asked with every message, so that no more is held."""
    if byte_count > bytes_max:
        raise ContentTooLarge(
            f"a file has at most {bytes_max} bytes here (KELOLA_ATTACHMENT_BYTES_MAX): scan it with less detail, or "
            "attach it in parts",
            metadata={"limit_bytes": str(bytes_max)},
        )


def check_hash(came: str, given: str) -> None:
    """Refuse a file that is not the one whose hash the caller gave; empty is no claim."""
    if given and given != came:
        raise ContentHashMismatch(
            f"what came has SHA-256 {came}, the request says {given}: it was changed on the way, or is another file",
            metadata={"sha256": came, "given": given},
        )


def check_added(
    there: Sequence[Attachment], sha256: str, *, supersedes_id: UUID | None, reason: str, document: str
) -> None:
    """Whether one more file may join those of a document. `there` are all of its attachments."""
    if (supersedes_id is not None) != bool(reason):
        raise InvalidArgument.field(
            "attachment.reason", "say why the earlier attachment is superseded; without one give no reason"
        )
    if len(there) >= ATTACHMENTS_MAX:
        raise AttachmentsTooMany(
            f"{document} has {len(there)} attachments, the limit is {ATTACHMENTS_MAX}",
            metadata={"limit": str(ATTACHMENTS_MAX)},
        )
    for one in there:
        if one.content.sha256 == sha256 and one.superseded_by_id is None:
            raise AttachmentThere(
                f"{document} has this file already, as attachment {one.attachment_id}",
                metadata={"attachment_id": str(one.attachment_id)},
            )
    if supersedes_id is None:
        return
    earlier = next((one for one in there if one.attachment_id == supersedes_id), None)
    if earlier is None:
        raise InvalidArgument.field(
            "attachment.supersedes_attachment_id", f"{document} has no attachment {supersedes_id}"
        )
    if earlier.superseded_by_id is not None:
        raise AttachmentSuperseded(
            f"attachment {supersedes_id} was superseded by {earlier.superseded_by_id}: supersede that one",
            metadata={"superseded_by_attachment_id": str(earlier.superseded_by_id)},
        )


def check_known(hashes: Sequence[str], known: Collection[str]) -> None:
    """Refuse hashes that the agency has no file for."""
    missing = [one for one in hashes if one not in known]
    if missing:
        raise ContentUnknown(
            f"the agency has no file with SHA-256 {missing[0]}: upload it first (CreateAttachmentContent)",
            metadata={"sha256": missing[0], "missing_count": str(len(missing))},
        )
