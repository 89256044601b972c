"""History delivered a second time changes nothing (trust T10, small)."""

from __future__ import annotations

from chassis.testing import wait_until
from cli.platform import _consumer_lag
from tests.system import books

SERVICES = ("identity", "finance", "hr", "logistics")


def test_every_topic_delivered_twice_has_no_new_effect(lived, kelola):
    before = books.at_rest(lived.platform)

    sent = {service: kelola("events", "replay", service, "--send")["sent"] for service in SERVICES}
    for service in SERVICES:
        wait_until(
            lambda service=service: _consumer_lag(lived.system.broker, service) == 0, what=f"{service} caught up"
        )
    after = books.at_rest(lived.platform)

    assert {service: count for service, count in sent.items() if count == 0} == {}
    assert books.changes(before, after) == {}
