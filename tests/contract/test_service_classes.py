"""A service is one class made of its areas: no area may step on another's methods."""

from __future__ import annotations

import importlib
from collections import defaultdict

import pytest
from nameko.extensions import Extension

from chassis import audit_heads
from chassis.local.services import service_names
from chassis.outbox import topic_of
from chassis.retention import RetentionEntrypoints


@pytest.mark.parametrize("service", service_names())
def test_no_two_areas_of_a_service_define_one_name(service):
    """Mixins share one namespace, so that a second `_move` would silently take the place of the first."""
    service_class = _class_of(service)
    areas = [area for area in service_class.__mro__[1:] if area is not object]
    definers = defaultdict(list)
    for area in areas:
        for name, value in vars(area).items():
            # `db`, `clock`, `finance` … are the same dependency wherever an area declares it.
            if not name.startswith("__") and not isinstance(value, Extension):
                definers[name].append(area.__name__)

    assert areas, "a service has areas"
    assert {name: where for name, where in definers.items() if len(where) > 1} == {}


@pytest.mark.parametrize("service", service_names())
def test_every_service_removes_what_is_old(service):
    assert issubclass(_class_of(service), RetentionEntrypoints)


def test_every_service_tells_of_its_audit_heads_in_the_same_way():
    fields = {
        service: [
            (each.name, each.number, each.type)
            for each in audit_heads.event_class(service).DESCRIPTOR.fields  # RuntimeError when there is none
        ]
        for service in service_names()
    }

    assert [fields[service] for service in fields] == [fields["finance"]] * len(service_names())
    assert {service: topic_of(audit_heads.event_class(service).DESCRIPTOR) for service in fields} == {
        service: f"kelola.{service}.audit.v1" for service in fields
    }


def _class_of(service: str) -> type:
    module = importlib.import_module(f"services.{service}.service")
    return next(
        found
        for found in vars(module).values()
        if isinstance(found, type) and found.__module__ == module.__name__ and getattr(found, "name", None) == service
    )
