"""A service is one class made of its areas: no area may step on another's methods."""

from __future__ import annotations

import importlib
from collections import defaultdict

import pytest
from nameko.extensions import Extension

from chassis.local.services import service_names


@pytest.mark.parametrize("service", service_names())
def test_no_two_areas_of_a_service_define_one_name(service):
    """Mixins share one namespace, so that a second `_move` would silently take the place of the first."""
    module = importlib.import_module(f"services.{service}.service")
    service_class = next(
        found
        for found in vars(module).values()
        if isinstance(found, type) and found.__module__ == module.__name__ and getattr(found, "name", None) == service
    )
    areas = [area for area in service_class.__mro__[1:] if area is not object]
    definers = defaultdict(list)
    for area in areas:
        for name, value in vars(area).items():
            # `db`, `clock`, `finance` … are the same dependency wherever an area declares it.
            if not name.startswith("__") and not isinstance(value, Extension):
                definers[name].append(area.__name__)

    assert areas, "a service has areas"
    assert {name: where for name, where in definers.items() if len(where) > 1} == {}
