"""I6: an effect without its event, an event without its effect, and what the outbox has forgotten."""

from __future__ import annotations

from uuid import uuid4

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.pool import NullPool

from chassis import told
from chassis.database import sqlalchemy_url
from chassis.ids import new_id
from tests.integration.chassis import parcels

MOVED = "kelola.parcels.v1.ParcelMoved"
VERSIONS = told.versions(MOVED, table="parcel", key="parcel_id")


@pytest.fixture
def settings(database):
    return parcels.migrated(database)


@pytest.fixture
def superuser(settings, postgres):
    name = settings.database_owner_url.rpartition("/")[2]
    engine = create_engine(sqlalchemy_url(postgres.url(name)), poolclass=NullPool)
    with engine.connect() as connection:
        yield connection
    engine.dispose()


@pytest.fixture
def parcel(settings):
    """A parcel that moved three times: three versions, three events."""
    parcel_id = new_id()
    parcels.send(settings, parcel_id, parcel_id, parcel_id)
    return parcel_id


def words(findings) -> list[str]:
    assert {problem.invariant for problem in findings.problems} <= {"I6"}
    return [problem.what for problem in findings.problems]


def test_each_version_has_its_event(superuser, parcel):
    findings = told.compare(superuser, [VERSIONS])

    assert findings.problems == []
    assert findings.figures == {"effects_told": 3, "effects_too_old": 0}


@pytest.mark.parametrize(
    ("breaking", "found"),
    [
        ("delete from outbox where sequence = 2", "sequence 2: 1 effects, 0 events"),
        ("update outbox set sequence = 1 where sequence = 2", "sequence 1: 1 effects, 2 events"),
        ("update parcel set version = 4", "sequence 4: 1 effects, 0 events"),
        ("update parcel set version = 2", "sequence 3: 0 effects, 1 events"),
        ("delete from parcel", "sequence 1: 0 effects, 1 events"),
    ],
)
def test_what_a_superuser_breaks_is_named(superuser, parcel, breaking, found):
    superuser.execute(text(breaking))

    assert f"ParcelMoved of {parcel}, {found}" in words(told.compare(superuser, [VERSIONS]))


def test_events_of_one_key_are_counted_where_they_have_no_number_of_their_own(superuser, parcel):
    counted = told.told(MOVED, "parcel", "parcel_id")

    assert words(told.compare(superuser, [counted])) == [f"ParcelMoved of {parcel}: 1 effects, 3 events"]


def test_an_event_of_a_version_that_never_was_is_named(superuser, parcel):
    what = told.numbered(MOVED, table="parcel", key="parcel_id")
    assert told.versions_that_were(superuser, [what]).problems == []

    superuser.execute(text("update outbox set sequence = 9 where sequence = 3"))
    superuser.execute(text("update outbox set sequence = 1 where sequence = 2"))

    assert words(told.versions_that_were(superuser, [what])) == [
        f"{MOVED} of {parcel}, sequence 1: 2 events; version 3 is the newest of parcel",
        f"{MOVED} of {parcel}, sequence 9: 1 events; version 3 is the newest of parcel",
    ]
    superuser.execute(text("delete from parcel"))
    assert f"{MOVED} of {parcel}, sequence 9: 1 events; parcel has no such row" in words(
        told.versions_that_were(superuser, [what])
    )


def test_what_is_older_than_the_outbox_is_not_compared_and_said_to_be_so(superuser, settings, parcel):
    superuser.execute(text("update relay_state set outbox_floor = 2"))
    superuser.execute(text("delete from outbox where sequence < 3"))

    # The oldest day that is left is today's: what was born before tomorrow may have been dropped.
    findings = told.compare(superuser, [VERSIONS])
    assert findings.problems == []
    assert findings.figures == {"effects_told": 1, "effects_too_old": 2}
    assert findings.remarks == ["ParcelMoved: 2 effects are older than what the outbox keeps; not compared"]

    # An event is never told of nothing, however old.
    superuser.execute(text("delete from parcel"))
    assert words(told.compare(superuser, [VERSIONS])) == [f"ParcelMoved of {parcel}, sequence 3: 0 effects, 1 events"]


def _day(superuser, ago: int) -> None:
    """The outbox's day of so many days ago, as if it had been kept."""
    superuser.execute(
        text(
            "do $$ declare day timestamptz := date_trunc('day', clock_timestamp() at time zone 'UTC')"
            f" at time zone 'UTC' - interval '{ago} days'; begin"
            " execute format('create table outbox_day.%I partition of outbox for values from (%L) to (%L)',"
            " to_char(day at time zone 'UTC', '\"d\"YYYYMMDD'), day, day + interval '1 day'); end $$"
        )
    )


def test_what_is_younger_than_the_outbox_is_compared_after_days_were_dropped(superuser, parcel):
    superuser.execute(text("update relay_state set outbox_floor = 2"))
    for ago in (1, 2, 3):
        _day(superuser, ago)
    superuser.execute(text("delete from outbox where sequence = 2"))

    assert words(told.compare(superuser, [VERSIONS])) == [f"ParcelMoved of {parcel}, sequence 2: 1 effects, 0 events"]


def test_a_day_that_an_unsent_event_holds_back_does_not_make_those_after_it_whole(superuser, parcel):
    superuser.execute(text("update relay_state set outbox_floor = 2"))
    _day(superuser, 30)
    superuser.execute(text("delete from outbox where sequence < 3"))

    assert told.compare(superuser, [VERSIONS]).figures == {"effects_told": 1, "effects_too_old": 2}


def test_an_effect_whose_id_tells_no_time_counts_as_old_only_when_days_were_dropped(superuser, settings):
    timeless = uuid4()
    parcels.send(settings, timeless)
    superuser.execute(text("delete from outbox"))
    assert words(told.compare(superuser, [VERSIONS])) == [f"ParcelMoved of {timeless}, sequence 1: 1 effects, 0 events"]

    superuser.execute(text("update relay_state set outbox_floor = 1"))

    assert told.compare(superuser, [VERSIONS]).figures == {"effects_told": 0, "effects_too_old": 1}
