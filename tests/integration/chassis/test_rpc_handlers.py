"""A service whose class and contract do not fit does not start, and says every misfit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from nameko.testing.services import worker_factory

from chassis.grpc import rpc
from chassis.grpc.handlers import HandlersIncomplete, check_handlers
from tests.integration.chassis.greeter import (
    GREETER,
    GreeterService,
    GreetingEntrypoints,
    TroubleEntrypoints,
    greeter,
    pb,
)


class HalfService(GreetingEntrypoints):
    name = "half"


class DoubleService(GreetingEntrypoints, TroubleEntrypoints):
    name = "double"

    @rpc(GREETER)
    def greet(self, request: Any, call: Any) -> Any:
        """Hides the other one."""


class StrayService(GreeterService):
    name = "stray"

    @rpc(GREETER)
    def greet_twice(self, request: Any, call: Any) -> Any:
        """Of no RPC."""


def test_a_service_that_fits_is_accepted() -> None:
    check_handlers(GreeterService, whole_package=True)


def test_every_rpc_without_a_handler_is_named() -> None:
    with pytest.raises(HandlersIncomplete) as misfit:
        check_handlers(HalfService, whole_package=False)

    assert "GreeterService.Fail: no handler; write fail with @rpc" in str(misfit.value)
    assert "GreeterService.Relay: no handler" in str(misfit.value)


def test_a_handler_that_hides_another_is_named() -> None:
    with pytest.raises(HandlersIncomplete, match="DoubleService hides the entrypoint of GreetingEntrypoints"):
        check_handlers(DoubleService, whole_package=False)


def test_private_methods_of_two_areas_that_hide_one_another_are_named() -> None:
    class OneArea:
        def _move(self) -> None: ...

    class OtherArea:
        def _move(self, what: str) -> None: ...

    class TwoAreas(OneArea, OtherArea):
        name = "two_areas"

    with pytest.raises(HandlersIncomplete, match="_move: OneArea hides the method of OtherArea"):
        check_handlers(TwoAreas, whole_package=False)


def test_a_handler_of_no_rpc_is_named() -> None:
    with pytest.raises(HandlersIncomplete, match=r"greet_twice: .* has no such RPC"):
        check_handlers(StrayService, whole_package=False)


def test_the_protos_of_the_services_package_count_although_no_rpc_names_them() -> None:
    class Empty:
        name = "greeter"

    with pytest.raises(HandlersIncomplete, match="Ping: no handler"):
        check_handlers(Empty, whole_package=True)


def test_it_does_not_start(tmp_path: Path) -> None:
    with pytest.raises(HandlersIncomplete), greeter(tmp_path, HalfService):
        pytest.fail("it started")


def test_namekos_worker_factory_makes_the_service_with_what_a_test_gives_it() -> None:
    service = worker_factory(GreeterService)
    service.other.stub.return_value.Greet.return_value = pb.GreetResponse(text="from a stand-in")

    answer = service.relay(pb.RelayRequest(), None)

    assert answer.greeted.text == "from a stand-in"
