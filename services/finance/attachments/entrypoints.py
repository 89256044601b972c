"""AttachmentService: what each RPC does, in order."""

from __future__ import annotations

import hashlib
import itertools
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Any

from nameko.extensions import DependencyProvider

from chassis import audit
from chassis.errors import InvalidArgument
from chassis.grpc import rpc
from chassis.grpc.caps import Cap
from chassis.paging import Page
from chassis.wire import to_uuid
from kelola.finance.v1 import attachment_pb2
from services.finance.attachments import store, usecases, wire
from services.finance.settings import FinanceSettings

ATTACHMENT = attachment_pb2.DESCRIPTOR.services_by_name["AttachmentService"]


@dataclass(frozen=True)
class UploadLimits:
    """How large a file may be, and places for those that are under way."""

    bytes_max: int
    cap: Cap

    def place(self) -> AbstractContextManager[None]:
        """A place for one upload; RESOURCE_EXHAUSTED when all are taken."""
        return self.cap.place()


class Uploads(DependencyProvider):
    """The limits of uploads, from the settings."""

    def setup(self) -> None:
        """Read the settings; what runs without finance's own has the defaults."""
        fields, settings = FinanceSettings.model_fields, self.container.settings
        bytes_max, uploads_max = (
            getattr(settings, name, fields[name].default) for name in ("attachment_bytes_max", "attachment_uploads_max")
        )
        self._limits = UploadLimits(bytes_max, Cap(uploads_max, "uploads"))

    def get_dependency(self, worker_ctx: object) -> UploadLimits:
        """The limits, the same for every worker."""
        return self._limits


class AttachmentEntrypoints:
    """The RPCs of AttachmentService."""

    db: Any
    uploads = Uploads()

    @rpc(ATTACHMENT)
    def create_attachment_content(self, requests, call):
        person_id = call.principal.acting_person()
        # The first message is judged by the chain as it is read: who may not upload takes no place.
        first = next(requests, None)
        if first is None or not first.HasField("attachment_content"):
            raise InvalidArgument.field("attachment_content", "the first message says what it is")
        asked = first.attachment_content
        with self.uploads.place():
            # The file is taken in while no transaction is open; a slow client holds no connection.
            upload = usecases.receive(
                wire.parts(first, requests),
                media_type=asked.media_type,
                sha256=asked.sha256,
                bytes_max=self.uploads.bytes_max,
                on=call.now.date(),
            )
            said = asked.SerializeToString(deterministic=True) + bytes.fromhex(upload.sha256)
            own = replace(call, request_id=first.request_id.lower(), request_hash=hashlib.sha256(said).digest())
            with self.db.begin(own) as work:
                content = usecases.keep(
                    work.session,
                    upload,
                    agency_id=to_uuid(asked.agency_id, "attachment_content.agency_id"),
                    media_type=asked.media_type,
                    file_name=asked.file_name,
                    person_id=person_id,
                    at=call.now,
                )
                work.reply(wire.content_message(content))
        return work.answer

    @rpc(ATTACHMENT)
    def get_attachment_content(self, request, call):
        content_id = wire.content_id(request.name)
        with self.db.work(call.agencies, subject=call.principal.subject) as session:
            content = usecases.content(session, content_id)
            audit.record(session, call, resource=request.name, agency_id=content.agency_id)
        for number in itertools.count(1):
            # Each part in a transaction of its own: none is open while the client takes its time.
            with self.db.read(call) as session:
                data = store.chunk(session, content_id, number)
            if data is None:
                return
            message = attachment_pb2.GetAttachmentContentResponse(data=data)
            if number == 1:
                message.attachment_content.CopyFrom(wire.content_message(content))
            yield message

    @rpc(ATTACHMENT)
    def create_attachment(self, request, call):
        wanted = wire.wanted(request.attachment)
        with self.db.begin(call) as work:
            made = usecases.attach(work.session, wanted, person_id=call.principal.acting_person(), at=call.now)
            work.reply(wire.attachment_message(made))
        return work.answer

    @rpc(ATTACHMENT)
    def get_attachment(self, request, call):
        with self.db.read(call) as session:
            return wire.attachment_message(usecases.get(session, wire.attachment_id(request.name)))

    @rpc(ATTACHMENT)
    def list_attachments(self, request, call):
        agency_id = to_uuid(request.agency_id, "agency_id")
        document = wire.document(request.document, "document") if request.document else None
        page = Page.of(request, filters={"agency_id": agency_id, "document": request.document})
        with self.db.read(call) as session:
            found = store.page(session, agency_id=agency_id, document=document, after=page.after, limit=page.size + 1)
        shown = found[: page.size]
        return attachment_pb2.ListAttachmentsResponse(
            attachments=[wire.attachment_message(one) for one in shown],
            next_page_token=page.token([shown[-1].attachment_id]) if len(found) > page.size else "",
        )
