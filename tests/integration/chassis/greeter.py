"""A service that has no business, for tests of the chassis. Its proto is compiled here, outside `protos/`.

`python -m tests.integration.chassis.greeter` serves it as a process of its own.
"""

from __future__ import annotations

import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.integration.chassis.compiled import make_importable

make_importable(Path(__file__).with_suffix(".proto"), "kelola.greeter.v1")

import psycopg  # noqa: E402
import sqlalchemy.exc  # noqa: E402
from nameko.extensions import DependencyProvider  # noqa: E402

from chassis.call import Replayed, TransactionConflict  # noqa: E402
from chassis.container import every, serve  # noqa: E402
from chassis.errors import FailedPrecondition, NotFound, PermissionDenied  # noqa: E402
from chassis.grpc import rpc  # noqa: E402
from chassis.ids import new_id  # noqa: E402
from chassis.peer import Peer  # noqa: E402
from chassis.settings import ServiceSettings  # noqa: E402
from chassis.testing import RunningService, TestKeys, call_as, running  # noqa: E402
from chassis.transaction_flag import open_transaction  # noqa: E402
from kelola.greeter.v1 import greeter_pb2 as pb  # noqa: E402
from kelola.greeter.v1 import greeter_pb2_grpc as pb_grpc  # noqa: E402

GREETER = pb.DESCRIPTOR.services_by_name["GreeterService"]
SECRET = "password=hunter2 of 3171012345678901"

POLICIES = """
permit (principal in Role::"greeter.reader", action in [Action::"greeter.greeting.read"], resource);
permit (principal in Role::"greeter.writer",
        action in [Action::"greeter.greeting.read", Action::"greeter.greeting.create"], resource);
permit (principal in Role::"service.greeter", action in [Action::"greeter.greeting.read"], resource);
"""


class GreetingsClosed(FailedPrecondition):
    reason = "GREETINGS_CLOSED"


class Lives(DependencyProvider):
    """Counts worker lives, so that tests see each one end."""

    begun = ended = failed = 0
    ticks = 0
    lock = threading.Lock()

    @classmethod
    def clear(cls) -> None:
        with cls.lock:
            cls.begun = cls.ended = cls.failed = cls.ticks = 0

    @classmethod
    def count(cls, name: str) -> int:
        with cls.lock:
            setattr(cls, name, getattr(cls, name) + 1)
            value: int = getattr(cls, name)
            return value

    def get_dependency(self, worker_ctx: Any) -> type[Lives]:
        return Lives

    def worker_setup(self, worker_ctx: Any) -> None:
        Lives.count("begun")

    def worker_result(self, worker_ctx: Any, result: Any = None, exc_info: Any = None) -> None:
        if exc_info is not None:
            Lives.count("failed")

    def worker_teardown(self, worker_ctx: Any) -> None:
        Lives.count("ended")


class Denials(DependencyProvider):
    """Stands where a database stands in a real service: it is told of denied decisions."""

    seen: list[dict[str, Any]] = []  # noqa: RUF012
    answering = True

    def get_dependency(self, worker_ctx: Any) -> Denials:
        return self

    def audit_denied(self, **decision: Any) -> None:
        Denials.seen.append(decision)

    def answers(self) -> bool:
        return Denials.answering


class GreetingEntrypoints:
    @rpc(GREETER)
    def ping(self, request: Any, call: Any) -> Any:
        return pb.PingResponse()

    @rpc(GREETER)
    def greet(self, request: Any, call: Any) -> Any:
        time.sleep(request.sleep_milliseconds / 1000)
        return pb.GreetResponse(
            text=f"Halo, {request.name}",
            subject=call.principal.subject,
            person_id=str(call.principal.person_id or ""),
            agencies=sorted(str(agency) for agency in call.agencies),
            seconds_left=call.deadline - time.monotonic(),
            worker=threading.current_thread().name,
        )

    @rpc(GREETER)
    def create_greeting(self, request: Any, call: Any) -> Any:
        if request.greeting.text == "again":
            raise Replayed(pb.Greeting(text="the first answer").SerializeToString())
        if request.greeting.text == "hash":
            return pb.Greeting(text=call.request_hash.hex()[:20], agency_id=call.request_id or "")
        return request.greeting.SerializeToString()

    @rpc(GREETER)
    def batch_create_greetings(self, request: Any, call: Any) -> Any:
        return pb.BatchCreateGreetingsResponse()

    @rpc(GREETER)
    def stream_greetings(self, request: Any, call: Any) -> Iterator[Any]:
        for number in range(request.count):
            time.sleep(request.pause_milliseconds / 1000)
            yield pb.Greeting(text=str(number))

    @rpc(GREETER)
    def import_greetings(self, request: Any, call: Any) -> Any:
        return pb.ImportGreetingsResponse(count=sum(1 for _ in request))


class TroubleEntrypoints:
    @rpc(GREETER)
    def fail(self, request: Any, call: Any) -> Any:
        attempts = self.lives.count("ticks")  # type: ignore[attr-defined]
        match request.how.split(":")[0]:
            case "value":
                raise ValueError(SECRET)
            case "closed":
                raise GreetingsClosed("greetings close at 16:00", metadata={"closed_at": "16:00"})
            case "not found":
                raise NotFound.resource("greeting", 7)
            case "own work":
                raise PermissionDenied("the maker may not approve", metadata={"rule": "maker-checker"})
            case "conflict":
                if attempts <= int(request.how.split(":")[1]):
                    raise TransactionConflict
            case "database lost":
                raise sqlalchemy.exc.OperationalError("select secret", {}, psycopg.OperationalError(SECRET))
            case "statement timeout":
                raise sqlalchemy.exc.OperationalError("select", {}, psycopg.errors.QueryCanceled(SECRET))
            case "huge":
                return pb.GreetResponse(text="x" * 5_000_000)
        return pb.FailResponse(attempts=attempts)

    @rpc(GREETER)
    def relay(self, request: Any, call: Any) -> Any:
        stub = self.other.stub(pb_grpc.GreeterServiceStub)  # type: ignore[attr-defined]
        if request.how == "in transaction":
            with open_transaction():
                stub.Greet(pb.GreetRequest(name="Budi"))
        if request.how == "refused":
            stub.Fail(pb.FailRequest(how="closed"))
        if request.how == "broken":
            stub.Fail(pb.FailRequest(how="value"))
        return pb.RelayResponse(greeted=stub.Greet(pb.GreetRequest(name="Budi")))


class GreeterService(GreetingEntrypoints, TroubleEntrypoints):
    name = "greeter"

    db = Denials()
    lives = Lives()
    other = Peer("greeter")


class TickingService:
    name = "ticker"

    lives = Lives()

    @every(0.02)
    def tick(self) -> None:
        if self.lives.count("ticks") == 2:
            raise ValueError("one tick fails")


class Greeter:
    """What a test needs to call the service: the address, a stub, an agency, and tokens of three people."""

    def __init__(self, service: RunningService, keys: TestKeys) -> None:
        self.service, self.keys = service, keys
        self.address, self.channel, self.container = service.address, service.channel, service.container
        self.stub = pb_grpc.GreeterServiceStub(service.channel)
        self.agency, self.person = new_id(), new_id()
        self.reader = keys.token(self.person, grants=[("greeter.reader", [self.agency])], audience="greeter")
        self.writer = keys.token(new_id(), grants=[("greeter.writer", [self.agency])], audience="greeter")
        self.stranger = keys.token(new_id(), audience="greeter")

    def raw(self, method: str, data: bytes, token: str | None = None) -> bytes:
        """Send bytes as they are."""
        call = self.channel.unary_unary(f"/kelola.greeter.v1.GreeterService/{method}")
        answer: bytes = call_as(call, data, token)
        return answer


@contextmanager
def greeter(
    folder: Path, service_cls: type = GreeterService, *, policies_text: str = POLICIES, **values: Any
) -> Iterator[Greeter]:
    """The service in this process, with policies, keys and itself as its only peer."""
    policies = folder / "policies"
    policies.mkdir(exist_ok=True)
    (policies / "greeter.cedar").write_text(policies_text, encoding="utf-8")
    keys = TestKeys(folder, services=("greeter",))
    Denials.seen.clear()
    Lives.clear()
    port = free_port()
    settings = keys.settings(
        "greeter",
        **{"policies_dir": policies, "grpc_port": port, "peers": {"greeter": f"127.0.0.1:{port}"}, **values},
    )
    with running(service_cls, settings) as service:
        yield Greeter(service, keys)


def free_port() -> int:
    """A port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


if __name__ == "__main__":
    sys.exit(serve(GreeterService, ServiceSettings(service="greeter")))
