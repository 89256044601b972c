"""Between the wire and attachments, both ways."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import UUID

from chassis import outbox
from chassis.errors import InvalidArgument
from chassis.wire import optional_uuid, resource_id, resource_name, to_timestamp, to_uuid
from kelola.finance.v1 import attachment_events_pb2, attachment_pb2
from services.finance.attachments.domain import Attachment, Content
from services.finance.attachments.events import AttachmentAdded
from services.finance.attachments.store import DOCUMENTS
from services.finance.attachments.usecases import Wanted

CONTENTS, ATTACHMENTS = "attachmentContents", "attachments"


def content_id(name: str) -> UUID:
    """The id in a file's name."""
    return resource_id(CONTENTS, name)


def attachment_id(name: str) -> UUID:
    """The id in an attachment's name."""
    return resource_id(ATTACHMENTS, name)


def document(name: str, field: str) -> tuple[str, UUID]:
    """The kind and id in a document's name; INVALID_ARGUMENT for what takes no attachments."""
    kind, _, key = name.partition("/")
    if kind not in DOCUMENTS:
        raise InvalidArgument.field(field, f"name a document as one of {', '.join(DOCUMENTS)}, each with /{{uuid}}")
    return kind, to_uuid(key, field)


def wanted(message: attachment_pb2.Attachment) -> Wanted:
    """An attachment to be made."""
    field = "attachment"
    kind, document_id = document(message.document, f"{field}.document")
    return Wanted(
        to_uuid(message.agency_id, f"{field}.agency_id"),
        kind,
        document_id,
        message.sha256,
        message.description,
        optional_uuid(message.supersedes_attachment_id, f"{field}.supersedes_attachment_id"),
        message.reason,
    )


def parts(
    first: attachment_pb2.CreateAttachmentContentRequest,
    rest: Iterator[attachment_pb2.CreateAttachmentContentRequest],
) -> Iterator[bytes]:
    """The bytes of an upload, message by message. Refused: a message of another upload among them."""
    yield first.data
    for message in rest:
        if message.request_id.lower() != first.request_id.lower():
            raise InvalidArgument.field("request_id", "every message of an upload has the request_id of the first")
        if message.HasField("attachment_content"):
            raise InvalidArgument.field("attachment_content", "the first message says what it is, the others do not")
        yield message.data


def content_message(content: Content) -> attachment_pb2.AttachmentContent:
    """A file without its bytes."""
    return attachment_pb2.AttachmentContent(
        name=resource_name(CONTENTS, content.attachment_content_id),
        attachment_content_id=str(content.attachment_content_id),
        agency_id=str(content.agency_id),
        media_type=content.media_type,
        sha256=content.sha256,
        byte_count=content.byte_count,
        file_name=content.file_name,
        person_id=str(content.person_id),
        recorded_at=to_timestamp(content.recorded_at),
    )


def attachment_message(one: Attachment) -> attachment_pb2.Attachment:
    """An attachment."""
    return attachment_pb2.Attachment(
        name=resource_name(ATTACHMENTS, one.attachment_id),
        attachment_id=str(one.attachment_id),
        agency_id=str(one.agency_id),
        document=resource_name(one.document_kind, one.document_id),
        sha256=one.content.sha256,
        description=one.description,
        supersedes_attachment_id="" if one.supersedes_id is None else str(one.supersedes_id),
        reason=one.reason,
        superseded_by_attachment_id="" if one.superseded_by_id is None else str(one.superseded_by_id),
        attachment_content_id=str(one.content.attachment_content_id),
        media_type=one.content.media_type,
        byte_count=one.content.byte_count,
        person_id=str(one.person_id),
        recorded_at=to_timestamp(one.recorded_at),
    )


@outbox.translates(AttachmentAdded)
def _added(event: AttachmentAdded) -> outbox.Envelope:
    one = event.attachment
    message = attachment_events_pb2.AttachmentAdded(
        attachment_id=str(one.attachment_id),
        agency_id=str(one.agency_id),
        document=resource_name(one.document_kind, one.document_id),
        sha256=one.content.sha256,
        media_type=one.content.media_type,
        byte_count=one.content.byte_count,
        supersedes_attachment_id="" if one.supersedes_id is None else str(one.supersedes_id),
    )
    return outbox.Envelope(message, one.attachment_id, one.agency_id, 1)
