"""grpc.health.v1: each service by name and the whole server (""), Check, Watch and List.

grpcio's servicer has no List, and its watchers would keep a draining server waiting, so both are here.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from typing import Any

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from grpc_health.v1 import health, health_pb2

Watcher = Callable[[health_pb2.HealthCheckResponse | None], None]

WHOLE_SERVER = ""
# A name of its own for liveness probes: it serves as long as the process does, with or without a database.
LIVENESS = "liveness"
_LIST_MAX = 100  # health.proto lets a server refuse to list more than a hundred


def _list_messages() -> tuple[Any, Any]:
    """The request and response of List: from the installed health.proto, or as it defines them since 2024."""
    existing = getattr(health_pb2, "HealthListRequest", None)
    if existing is not None:
        return existing, health_pb2.HealthListResponse
    file = descriptor_pb2.FileDescriptorProto(
        name="grpc/health/v1/health_list.proto",
        package="grpc.health.v1",
        syntax="proto3",
        dependency=[health_pb2.DESCRIPTOR.name],
    )
    file.message_type.add(name="HealthListRequest")
    response = file.message_type.add(name="HealthListResponse")
    entry = response.nested_type.add(name="StatusesEntry")
    entry.options.map_entry = True
    optional, repeated = 1, 3  # labels
    text, message = 9, 11  # types
    entry.field.add(name="key", number=1, type=text, label=optional)
    entry.field.add(
        name="value", number=2, type=message, label=optional, type_name=".grpc.health.v1.HealthCheckResponse"
    )
    response.field.add(
        name="statuses",
        number=1,
        type=message,
        label=repeated,
        type_name=".grpc.health.v1.HealthListResponse.StatusesEntry",
    )
    pool = descriptor_pool.Default()
    pool.AddSerializedFile(file.SerializeToString())
    request_class, response_class = (
        message_factory.GetMessageClass(pool.FindMessageTypeByName(f"grpc.health.v1.{name}"))
        for name in ("HealthListRequest", "HealthListResponse")
    )
    return request_class, response_class


HealthListRequest, HealthListResponse = _list_messages()


class Health(health.HealthServicer):
    """Health of the server and of each of its services: SERVING while what they need answers, until `drain()`."""

    def __init__(self, services: Iterable[str]) -> None:
        super().__init__()
        self._watchers: set[Watcher] = set()
        self._watchers_changed = threading.Condition()
        # Not SERVING before the server listens and everything it needs has been set up.
        self._names = [WHOLE_SERVER, LIVENESS, *services]
        self._set_all(health_pb2.HealthCheckResponse.NOT_SERVING)

    def open(self) -> None:
        """Everything is up."""
        self._set_all(health_pb2.HealthCheckResponse.SERVING)

    def ready(self, answers: bool) -> None:
        """Whether what the services need answers; LIVENESS stays, since a restart would not mend it."""
        status = health_pb2.HealthCheckResponse.SERVING if answers else health_pb2.HealthCheckResponse.NOT_SERVING
        self._set_all(status, except_liveness=True)

    def drain(self) -> None:
        """Show NOT_SERVING from now on, whatever is set later."""
        self.enter_graceful_shutdown()

    def release_watchers(self, seconds: float) -> None:
        """End the Watch streams: their clients have seen NOT_SERVING. At most `seconds` for those who do not read."""
        with self._watchers_changed:
            watchers = list(self._watchers)
        for watcher in watchers:
            watcher(None)
        with self._watchers_changed:
            self._watchers_changed.wait_for(lambda: self._watchers.isdisjoint(watchers), seconds)

    def _set_all(self, status: Any, *, except_liveness: bool = False) -> None:
        for name in self._names:
            if not (except_liveness and name == LIVENESS):
                self.set(name, status)

    def Check(self, request: health_pb2.HealthCheckRequest, context: grpc.ServicerContext) -> Any:
        """The status of one service; NOT_FOUND for an unknown one (health.proto)."""
        return super().Check(request, context)

    def Watch(
        self,
        request: health_pb2.HealthCheckRequest,
        context: grpc.ServicerContext,
        send_response_callback: Watcher | None = None,
    ) -> Any:
        """The status of one service now and at each change. It holds no thread."""
        if send_response_callback is not None:
            watcher = send_response_callback
            with self._watchers_changed:
                self._watchers.add(watcher)
            context.add_callback(lambda: self._forget(watcher))
        return super().Watch(request, context, send_response_callback)

    def List(self, request: Any, context: grpc.ServicerContext) -> Any:
        """The statuses of all services."""
        with self._lock:
            statuses = dict(self._server_status)
        if len(statuses) > _LIST_MAX:
            context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "too many services to list")
        response = HealthListResponse()
        for name, status in statuses.items():
            response.statuses[name].status = status
        return response

    def _forget(self, watcher: Watcher) -> None:
        with self._watchers_changed:
            self._watchers.discard(watcher)
            self._watchers_changed.notify_all()


def health_handler(servicer: Health) -> grpc.GenericRpcHandler[Any, Any]:
    """The three RPCs of grpc.health.v1.Health."""
    request, response = health_pb2.HealthCheckRequest, health_pb2.HealthCheckResponse
    return grpc.method_handlers_generic_handler(
        health.SERVICE_NAME,
        {
            "Check": grpc.unary_unary_rpc_method_handler(
                servicer.Check, request.FromString, response.SerializeToString
            ),
            "Watch": grpc.unary_stream_rpc_method_handler(
                servicer.Watch, request.FromString, response.SerializeToString
            ),
            "List": grpc.unary_unary_rpc_method_handler(
                servicer.List, HealthListRequest.FromString, HealthListResponse.SerializeToString
            ),
        },
    )
