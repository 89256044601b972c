"""Events are written with their change, in the order of their keys, and as CloudEvents."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import uuid4

import protovalidate
import pytest
from cloudevents.core.bindings.kafka import KafkaMessage, from_binary
from cloudevents.core.formats.json import JSONFormat

from chassis import cloudevent, outbox
from chassis.cloudevent import Malformed, Record
from chassis.errors import FailedPrecondition
from tests.integration.chassis import parcels
from tests.integration.chassis.parcels import AGENCY, Moved, pb


@pytest.fixture
def settings(database):
    return parcels.migrated(database)


@pytest.fixture
def db(settings):
    with parcels.transactions(settings) as made:
        yield made


def test_the_event_and_the_change_commit_together(db, settings):
    parcel_id = uuid4()

    with pytest.raises(FailedPrecondition), db.work([AGENCY], subject="test") as session:
        parcels.move(session, parcel_id)
        raise FailedPrecondition("no")
    assert parcels.query(settings, "select 1 from outbox") == []

    with db.work([AGENCY], subject="test") as session:
        parcels.move(session, parcel_id)
    row = parcels.query(settings, "select * from outbox")[0]
    assert (row.topic, row.type, row.key) == (parcels.TOPIC, "kelola.parcels.v1.ParcelMoved", str(parcel_id))
    assert (row.agency_id, row.sequence, row.sent_at, row.position) == (AGENCY, 1, None, None)
    assert pb.ParcelMoved.FromString(bytes(row.body)).version == 1


def test_the_aggregate_is_written_before_its_event(db):
    """The unit of work would insert first and update later: emit flushes."""
    parcel = parcels.Parcel(parcel_id=uuid4(), agency_id=AGENCY, version=1, price_minor=0)
    with db.work([AGENCY], subject="test") as session:
        session.add(parcel)
    with db.work([AGENCY], subject="test") as session:
        held = session.get(parcels.Parcel, parcel.parcel_id)
        held.version = 2
        assert session.dirty

        outbox.emit(session, Moved(parcel.parcel_id, 2))

        assert not session.dirty


def test_many_events_keep_their_order(db, settings):
    parcel_id = uuid4()

    with db.work([AGENCY], subject="test") as session:
        ids = outbox.emit_all(session, [Moved(parcel_id, version) for version in range(1, 2_501)])

    rows = parcels.query(settings, "select event_id, sequence from outbox order by id")
    assert [row.sequence for row in rows] == list(range(1, 2_501))
    assert [row.event_id for row in rows] == ids


def test_the_sequence_of_ids_is_not_cached(settings):
    """A session that kept numbers back would give a later row of a key a lower id."""
    caches = parcels.query(settings, "select cache_size from pg_sequences where sequencename = 'outbox_id_seq'")

    assert [row.cache_size for row in caches] == [1]


def test_an_event_that_breaks_its_contract_is_not_written(db):
    with pytest.raises(protovalidate.ValidationError), db.work([AGENCY], subject="test") as session:
        outbox.emit(session, Moved(uuid4(), 0))


def test_an_event_that_is_too_large_is_not_written(db):
    with pytest.raises(ValueError, match="holds at most"), db.work([AGENCY], subject="test") as session:
        outbox.emit(session, Moved(uuid4(), 1, padding=outbox.EVENT_BYTES_MAX))


def test_what_has_no_translation_is_our_mistake(db):
    with pytest.raises(RuntimeError, match="no translation"), db.work([AGENCY], subject="test") as session:
        outbox.emit(session, object())


def test_a_message_that_is_no_event_has_no_topic():
    with pytest.raises(ValueError, match="is no event"):
        outbox.topic_of(pb.Parcel.DESCRIPTOR)


def headers(**changes):
    given = {
        "event_id": uuid4(),
        "source": "parcels",
        "type_name": "kelola.parcels.v1.ParcelMoved",
        "time": datetime(2026, 3, 1, 12, 30, tzinfo=UTC),
        "key": "a-key",
        "sequence": 7,
        "agency_id": AGENCY,
        "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-03",
    }
    return cloudevent.headers(**{**given, **changes})


def test_the_headers_are_cloudevents_by_their_own_library():
    message = KafkaMessage(headers=dict(headers()), key=b"a-key", value=b"body")

    event = from_binary(message, JSONFormat())

    assert event.get_source() == "/kelola/parcels"
    assert event.get_type() == "kelola.parcels.v1.ParcelMoved"
    assert event.get_extension("partitionkey") == "a-key"
    assert event.get_extension("sequence") == "7".zfill(19)
    assert event.get_datacontenttype() == "application/protobuf"


def record(body=None, **changes):
    if body is None:
        body = pb.ParcelMoved(parcel_id=str(uuid4()), agency_id=str(AGENCY), version=1).SerializeToString()
    return Record(parcels.TOPIC, 0, 0, "a-key", tuple(headers(**changes)), body)


CLASSES = {"kelola.parcels.v1.ParcelMoved": pb.ParcelMoved}


def test_a_record_is_read_as_it_was_written():
    event_id = uuid4()

    event = cloudevent.decode(record(event_id=event_id), CLASSES)

    assert (event.id, event.source, event.agency_id, event.sequence) == (event_id, "service:parcels", AGENCY, 7)
    assert event.time == datetime(2026, 3, 1, 12, 30, tzinfo=UTC)
    assert event.message.version == 1


def test_an_unknown_type_is_none_of_ours():
    assert cloudevent.decode(record(type_name="kelola.other.v1.Thing"), CLASSES) is None


def without(name):
    whole = record()
    return Record(whole.topic, 0, 0, whole.key, tuple(pair for pair in whole.headers if pair[0] != name), whole.body)


def with_header(name, value):
    whole = record()
    return Record(
        whole.topic,
        *(0, 0, whole.key),
        tuple((key, value if key == name else old) for key, old in whole.headers),
        whole.body,
    )


@pytest.mark.parametrize(
    ("broken", "why"),
    [
        (without("ce_id"), "ce_id is missing"),
        (without("ce_type"), "ce_type is missing"),
        (without("ce_source"), "ce_source is missing"),
        (without("ce_time"), "no RFC 3339"),
        (without("ce_sequence"), "ce_sequence"),
        (without("ce_specversion"), "ce_specversion"),
        (with_header("ce_id", b"\xff\xfe"), "not UTF-8"),
        (with_header("ce_id", b"tuesday"), "no UUID"),
        (with_header("ce_agency", b"everywhere"), "no UUID"),
        (with_header("ce_time", b"2026-03-01T12:00:00"), "no offset"),
        (with_header("ce_time", b"2999-01-01T00:00:00Z"), "a day ahead"),
        (with_header("ce_sequence", "²".encode()), "no whole number"),
        (record(body=b"\xff\xff\xff"), "is no kelola.parcels.v1.ParcelMoved"),
        (record(body=b""), "breaks the contract"),
        (record(body=bytes(outbox.EVENT_BYTES_MAX + 1)), "holds at most"),
        (Record(parcels.TOPIC, 0, 0, "k", record().headers, None), "tombstone"),
    ],
)
def test_a_broken_record_says_what_is_wrong(broken, why):
    with pytest.raises(Malformed, match=why):
        cloudevent.decode(broken, CLASSES)


def test_the_trace_rides_in_the_row(db, settings):
    from opentelemetry import trace
    from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags

    context = SpanContext(0xABC, 0xDEF, is_remote=False, trace_flags=TraceFlags(1))
    with trace.use_span(NonRecordingSpan(context)), db.work([AGENCY], subject="test") as session:
        parcels.move(session, uuid4())

    row = parcels.query(settings, "select traceparent from outbox")[0]
    assert f"{0xABC:032x}" in row.traceparent
