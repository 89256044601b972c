"""Files: cut, hashed and judged while they come, whatever the size of their parts."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterator
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.finance.attachments import domain, pack
from services.finance.attachments.domain import CHUNK_BYTES
from services.finance.attachments.store import DOCUMENTS
from services.finance.attachments.usecases import receive
from services.finance.documents.kinds import KINDS

DAY = date(2025, 3, 1)
CSV = "text/csv"


def received(parts, *, bytes_max=10**7, media_type=CSV, sha256=""):
    return receive(parts, media_type=media_type, sha256=sha256, bytes_max=bytes_max, on=DAY)


@given(
    content=st.binary(min_size=1, max_size=200).map(lambda few: few * 7_000),
    cuts=st.lists(st.integers(min_value=0, max_value=1_400_000), max_size=12),
)
def test_a_file_is_the_same_whatever_its_parts(content, cuts):
    places = sorted({0, *(min(cut, len(content)) for cut in cuts), len(content)})
    parts = [content[start:end] for start, end in itertools.pairwise(places)]

    upload = received(parts)

    assert b"".join(upload.chunks) == content
    assert all(len(chunk) == CHUNK_BYTES for chunk in upload.chunks[:-1])
    assert (upload.sha256, upload.byte_count) == (hashlib.sha256(content).hexdigest(), len(content))


def test_a_file_that_is_too_large_is_refused_before_it_has_come_whole():
    taken = []

    def endless() -> Iterator[bytes]:
        while True:
            taken.append(1)
            yield b"x" * 1_000

    with pytest.raises(domain.ContentTooLarge):
        received(endless(), bytes_max=10_000)

    assert len(taken) == 11


def test_the_limit_itself_is_taken():
    assert received([b"x" * 10_000], bytes_max=10_000).byte_count == 10_000


def test_the_pack_names_what_each_type_begins_with():
    types = {one.media_type: one.signature for one in pack.media_types(DAY)}

    assert types["application/pdf"] == b"%PDF-"
    assert types["image/png"] == b"\x89PNG\r\n\x1a\n"
    with pytest.raises(domain.MediaTypeNotAllowed):
        domain.allowed("text/html", pack.media_types(DAY))


def test_every_kind_of_document_that_has_a_status_takes_files():
    assert {one.collection for one in KINDS.values()} - DOCUMENTS.keys() == set()
