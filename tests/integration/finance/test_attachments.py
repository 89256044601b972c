"""Files: kept once by their hash, behind their agency's wall, attached for good."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import psycopg
import pytest
from sqlalchemy import create_engine
from sqlalchemy.pool import NullPool

from chassis.database import sqlalchemy_url
from chassis.testing import Refusal, call_as, refusal, refused
from kelola.finance.v1 import attachment_events_pb2, attachment_pb2, attachment_pb2_grpc, ledger_pb2
from services.finance.attachments import verify
from services.finance.attachments.domain import CHUNK_BYTES
from services.finance.attachments.store import DOCUMENTS
from tests.integration.finance.books import Agency, Books, line, rid
from tests.integration.finance.preparing import Preparing, head

SHARES, REVENUE = "1.1.01.07", "7.1.01.01"
PDF = "application/pdf"
MEBIBYTE = 1024 * 1024


def paper(text: str, size: int = 0) -> bytes:
    """A file that begins as a PDF does."""
    return f"%PDF-1.7 {text}".encode().ljust(size, b".")


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


class Files:
    """The files of one agency."""

    def __init__(self, agency: Agency) -> None:
        self.agency = agency
        self.stub = attachment_pb2_grpc.AttachmentServiceStub(agency.books.service.channel)

    def upload(
        self, content: bytes, *, parts: int = 1, request_id: str | None = None, **values: Any
    ) -> Iterator[attachment_pb2.CreateAttachmentContentRequest]:
        said = {"agency_id": str(self.agency.agency_id), "media_type": PDF, **values}
        request_id, size = request_id or rid(), -(-len(content) // parts) or 1
        for start in range(0, max(len(content), 1), size):
            message = attachment_pb2.CreateAttachmentContentRequest(
                data=content[start : start + size], request_id=request_id
            )
            if start == 0:
                message.attachment_content.CopyFrom(attachment_pb2.AttachmentContent(**said))
            yield message

    def kept(self, content: bytes, **values: Any) -> attachment_pb2.AttachmentContent:
        return call_as(self.stub.CreateAttachmentContent, self.upload(content, **values), self.agency.accountant)

    def not_kept(self, messages: Iterator[Any], token: str | None = None) -> Refusal:
        return refused(self.stub.CreateAttachmentContent, messages, token or self.agency.accountant)

    def read(self, name: str, token: str | None = None) -> list[attachment_pb2.GetAttachmentContentResponse]:
        request = attachment_pb2.GetAttachmentContentRequest(name=name)
        return list(call_as(self.stub.GetAttachmentContent, request, token or self.agency.accountant))

    def attaching(self, document: str, content: bytes, **values: Any) -> attachment_pb2.CreateAttachmentRequest:
        wanted = {
            "agency_id": str(self.agency.agency_id),
            "document": document,
            "sha256": sha256(content),
            "description": "the receipt",
            **values,
        }
        return attachment_pb2.CreateAttachmentRequest(attachment=attachment_pb2.Attachment(**wanted), request_id=rid())

    def attached(self, document: str, content: bytes, **values: Any) -> attachment_pb2.Attachment:
        return call_as(self.stub.CreateAttachment, self.attaching(document, content, **values), self.agency.accountant)

    def not_attached(self, document: str, content: bytes, **values: Any) -> Refusal:
        return refused(self.stub.CreateAttachment, self.attaching(document, content, **values), self.agency.accountant)

    def listed(self, document: str = "", size: int = 50) -> list[attachment_pb2.Attachment]:
        found, token = [], ""
        while True:
            request = attachment_pb2.ListAttachmentsRequest(
                agency_id=str(self.agency.agency_id), document=document, page_size=size, page_token=token
            )
            page = call_as(self.stub.ListAttachments, request, self.agency.accountant)
            found += page.attachments
            token = page.next_page_token
            if not token:
                return found

    def entry(self, **values: Any) -> ledger_pb2.JournalEntry:
        return self.agency.post(self.agency.entry(line(SHARES, 5), line(REVENUE, None, 5), **values))

    def stored(self) -> int:
        query = "select count(*) from attachment_content where agency_id = %s"
        return self.agency.row(query, self.agency.agency_id)[0]


@pytest.fixture
def files(agency: Agency) -> Files:
    return Files(agency)


def test_a_file_comes_back_as_it_went_in_whatever_the_size_of_its_parts(files: Files):
    content = bytes(paper("large")) + bytes(range(256)) * 3_000

    kept = files.kept(content, parts=7, sha256=sha256(content))
    messages = files.read(kept.name)

    assert (kept.sha256, kept.byte_count, kept.media_type) == (sha256(content), len(content), PDF)
    assert b"".join(one.data for one in messages) == content
    assert len(messages) == -(-len(content) // CHUNK_BYTES)
    assert messages[0].attachment_content == kept
    assert not any(one.HasField("attachment_content") for one in messages[1:])


def test_a_file_is_kept_once_in_an_agency_and_apart_from_other_agencies(books: Books, files: Files):
    content, elsewhere = paper("the same"), Files(books.agency())

    with ThreadPoolExecutor(4) as pool:
        kept = list(pool.map(lambda parts: files.kept(content, parts=parts), (1, 2, 3, 4)))
    theirs = elsewhere.kept(content)

    assert {one.name for one in kept} == {kept[0].name}
    assert (files.stored(), elsewhere.stored()) == (1, 1)
    assert theirs.name != kept[0].name
    with pytest.raises(grpc.RpcError) as said:
        files.read(kept[0].name, elsewhere.agency.accountant)
    assert refusal(said.value).code is grpc.StatusCode.NOT_FOUND


def test_a_repeated_upload_has_the_first_answer_and_another_file_under_its_id_is_refused(files: Files):
    request_id = rid()

    first = files.kept(paper("one"), request_id=request_id)
    again = files.kept(paper("one"), request_id=request_id, parts=3)
    other = files.not_kept(files.upload(paper("two"), request_id=request_id))

    assert again == first
    assert other.reason == "IDEMPOTENCY_MISMATCH"
    assert files.stored() == 1


def test_what_is_not_taken_in(files: Files):
    content = paper("x")
    two = list(files.upload(content, parts=2))
    cases = {
        "MEDIA_TYPE_NOT_ALLOWED": files.upload(content, media_type="application/x-msdownload"),
        "MEDIA_TYPE_MISMATCH": files.upload(b"MZ, a program"),
        "CONTENT_HASH_MISMATCH": files.upload(content, sha256=sha256(b"another")),
        "CONTENT_EMPTY": files.upload(b""),
        "CONTENT_TOO_LARGE": files.upload(paper("huge", 10 * MEBIBYTE + 1), parts=11),
        "INVALID_ARGUMENT": iter(two[1:]),
    }

    said = {reason: files.not_kept(messages).reason for reason, messages in cases.items()}

    assert said == {reason: reason for reason in cases}
    two[1].request_id = rid()
    assert files.not_kept(iter(two)).fields == ("request_id",)
    assert files.stored() == 0


def test_a_client_that_breaks_off_leaves_nothing(files: Files):
    def broken() -> Iterator[Any]:
        yield next(files.upload(paper("first half", 1000), parts=2))
        raise ConnectionError("the cable")

    with pytest.raises((grpc.RpcError, ConnectionError)):
        call_as(files.stub.CreateAttachmentContent, broken(), files.agency.accountant)

    assert files.stored() == 0


def test_a_file_is_attached_to_documents_of_its_agency_alone(books: Books, files: Files):
    content, elsewhere = paper("receipt"), Files(books.agency())
    files.kept(content)
    entry, theirs = files.entry(), elsewhere.entry()

    made = files.attached(entry.name, content)

    assert (made.document, made.sha256, made.media_type, made.byte_count) == (
        entry.name,
        sha256(content),
        PDF,
        len(content),
    )
    assert files.not_attached(theirs.name, content).code is grpc.StatusCode.NOT_FOUND
    assert files.not_attached(f"invoices/{rid()}", content).code is grpc.StatusCode.NOT_FOUND
    assert files.not_attached(f"persons/{rid()}", content).code is grpc.StatusCode.INVALID_ARGUMENT
    assert elsewhere.not_attached(theirs.name, content).reason == "ATTACHMENT_CONTENT_UNKNOWN"
    get = attachment_pb2.GetAttachmentRequest(name=made.name)
    assert call_as(files.stub.GetAttachment, get, files.agency.accountant) == made
    assert refused(files.stub.GetAttachment, get, elsewhere.agency.accountant).code is grpc.StatusCode.NOT_FOUND


def test_every_kind_of_document_has_its_table_with_key_and_agency(books: Books):
    with psycopg.connect(books.superuser_url) as connection:
        columns = set(
            connection.execute(
                "select table_name, column_name from information_schema.columns where table_schema = 'public'"
            ).fetchall()
        )

    for kind, (table, key) in DOCUMENTS.items():
        assert {(table, key), (table, "agency_id")} <= columns, kind


def test_a_ceiling_takes_a_file_of_its_agency_and_of_no_other(books: Books):
    unit = Preparing(books)
    ceiling = unit.proposed_ceiling(head(1_000))
    own, elsewhere = Files(unit.agency), Files(books.agency())
    content = paper("KUA-PPAS")
    for files in (own, elsewhere):
        files.kept(content)

    made = own.attached(ceiling.name, content)
    by_a_reader = refused(own.stub.CreateAttachment, own.attaching(ceiling.name, paper("more")), unit.token("verifier"))

    assert own.listed(ceiling.name) == [made]
    assert elsewhere.not_attached(ceiling.name, content).code is grpc.StatusCode.NOT_FOUND
    assert by_a_reader.metadata["permission"] == "finance.attachment.create"


def test_what_is_attached_stays_and_is_superseded_once_with_a_reason(files: Files):
    first, second, third = paper("first"), paper("second"), paper("third")
    for content in (first, second, third):
        files.kept(content)
    entry = files.entry()
    made = files.attached(entry.name, first)
    superseding = {"supersedes_attachment_id": made.attachment_id}

    assert files.not_attached(entry.name, first).reason == "ATTACHMENT_THERE"
    assert files.not_attached(entry.name, second, **superseding).fields == ("attachment.reason",)
    later = files.attached(entry.name, second, reason="the scan was blank", **superseding)
    assert files.not_attached(entry.name, third, reason="again", **superseding).reason == "ATTACHMENT_SUPERSEDED"

    assert [(one.name, one.superseded_by_attachment_id) for one in files.listed(entry.name)] == [
        (later.name, ""),
        (made.name, later.attachment_id),
    ]
    # What was superseded may come back as the latest.
    back = files.attached(entry.name, first, supersedes_attachment_id=later.attachment_id, reason="the first was right")
    assert back.supersedes_attachment_id == later.attachment_id


def test_attaching_at_once_supersedes_once(files: Files):
    contents = [paper(f"number {number}") for number in range(5)]
    for content in contents:
        files.kept(content)
    entry = files.entry()
    made = files.attached(entry.name, contents[0])

    def supersede(content: bytes) -> str:
        request = files.attaching(
            entry.name, content, supersedes_attachment_id=made.attachment_id, reason="a better scan"
        )
        try:
            call_as(files.stub.CreateAttachment, request, files.agency.accountant)
        except grpc.RpcError as failure:
            return refusal(failure).reason
        return "attached"

    with ThreadPoolExecutor(4) as pool:
        outcomes = sorted(pool.map(supersede, contents[1:]))

    assert outcomes == ["ATTACHMENT_SUPERSEDED"] * 3 + ["attached"]


def test_an_entry_names_its_files_when_it_is_posted(files: Files):
    content, unknown = paper("voucher"), sha256(b"not there")
    files.kept(content)

    entry = files.entry(attachment_hashes=[sha256(content)])
    lines = (line(SHARES, 5), line(REVENUE, None, 5))
    said = files.agency.refused(files.agency.entry(*lines, attachment_hashes=[sha256(content), unknown]))

    assert [(one.document, one.sha256) for one in files.listed(entry.name)] == [(entry.name, sha256(content))]
    assert (said.reason, said.metadata["sha256"]) == ("ATTACHMENT_CONTENT_UNKNOWN", unknown)
    assert files.agency.row("select count(*) from journal_entry where agency_id = %s", files.agency.agency_id) == (1,)
    assert len(files.listed()) == 1


def test_each_attachment_is_told_once_and_reading_a_file_is_on_record(files: Files):
    content = paper("told")
    kept = files.kept(content)
    made = files.attached(files.entry().name, content)
    files.read(kept.name)

    with psycopg.connect(files.agency.books.superuser_url) as connection:
        bodies = connection.execute(
            "select body from outbox where type = 'kelola.finance.v1.AttachmentAdded' and agency_id = %s",
            (files.agency.agency_id,),
        ).fetchall()
        actions = connection.execute(
            "select action from audit where resource = %s order by recorded_at", (kept.name,)
        ).fetchall()

    events = [attachment_events_pb2.AttachmentAdded.FromString(body) for (body,) in bodies]
    assert [(one.attachment_id, one.sha256, one.document) for one in events] == [
        (made.attachment_id, sha256(content), made.document)
    ]
    assert [action.rpartition(".")[2] for (action,) in actions] == ["CreateAttachmentContent", "GetAttachmentContent"]


def test_pages_of_attachments_have_each_once(files: Files):
    entry, names = files.entry(), []
    for number in range(5):
        content = paper(f"page {number}")
        files.kept(content)
        names.append(files.attached(entry.name, content).name)

    assert [one.name for one in files.listed(entry.name, size=2)] == names[::-1]


def test_verify_finds_a_file_that_was_changed_under_its_hash(files: Files):
    content = paper("intact")
    kept = files.kept(content)
    files.attached(files.entry().name, content)
    key = kept.attachment_content_id

    def problems() -> list[str]:
        engine = create_engine(sqlalchemy_url(files.agency.books.database.reader_url), poolclass=NullPool)
        with engine.connect() as connection:
            found = [problem.what for problem in verify.problems(connection)]
        engine.dispose()
        return [what for what in found if key in what]

    def put(data: bytes) -> None:
        with psycopg.connect(files.agency.books.superuser_url, autocommit=True) as connection:
            connection.execute("update attachment_chunk set data = %s where attachment_content_id = %s", (data, key))

    assert problems() == []
    put(paper("forged"))
    assert len(problems()) == 1
    put(content)
    assert problems() == []
