"""I6 is asked of everything: every event that a service tells, and every event that another one takes in."""

from __future__ import annotations

import importlib
import inspect

import pytest

from chassis.events import OnEvent
from cli.contracts import event_classes
from cli.verify.projections import PROJECTIONS
from services.finance.budget.verify import FUNDS_EVENTS

SERVICES = ("identity", "finance", "hr", "logistics")
# What the relay tells of the audit chain is compared with the chain itself (I10).
_OF_THE_CHASSIS = "AuditHeadSigned"


@pytest.mark.parametrize("service", SERVICES)
def test_every_event_of_a_service_is_compared_with_what_it_tells_of(service):
    verify = importlib.import_module(f"services.{service}.verify")
    asked = {name for each in (*verify.TOLD, *getattr(verify, "NUMBERED", ())) for name in each.types}
    if service == "finance":
        # Compared entry by entry, and movement by movement.
        asked |= FUNDS_EVENTS | {"kelola.finance.v1.JournalEntriesPosted"}

    events = {name for name in event_classes() if name.startswith(f"kelola.{service}.")}

    assert asked == {name for name in events if not name.endswith(f".{_OF_THE_CHASSIS}")}


@pytest.mark.parametrize("service", SERVICES)
def test_what_every_consumer_keeps_is_compared_with_its_owner(service):
    module = importlib.import_module(f"services.{service}.service")
    (service_class,) = (
        each for _, each in inspect.getmembers(module, inspect.isclass) if getattr(each, "name", None) == service
    )
    consumers = {
        name
        for name, method in inspect.getmembers(service_class, inspect.isfunction)
        if any(isinstance(each, OnEvent) for each in getattr(method, "nameko_entrypoints", ()))
    }

    compared = {
        name for name in consumers for each in PROJECTIONS if each.subscriber == service and f"'{name}'" in each.events
    }

    assert compared == consumers
