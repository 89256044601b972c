"""Calling any RPC of a running service by what the service itself tells of its contract (gRPC reflection)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import grpc
from google.protobuf import descriptor_pool, json_format, message_factory
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import Message
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

from cli.connect import System, new_request_id

_INFRASTRUCTURE = ("grpc.reflection.", "grpc.health.")


@dataclass(frozen=True)
class Method:
    """One RPC as a running service describes it."""

    service: str  # finance
    descriptor: MethodDescriptor
    pool: descriptor_pool.DescriptorPool

    @property
    def full_name(self) -> str:
        """kelola.finance.v1.BudgetService/AllotFunds."""
        return f"{self.descriptor.containing_service.full_name}/{self.descriptor.name}"

    @property
    def kind(self) -> str:
        """unary, server stream, client stream or bidi stream."""
        client, server = self.descriptor.client_streaming, self.descriptor.server_streaming
        return {(0, 0): "unary", (0, 1): "server stream", (1, 0): "client stream", (1, 1): "bidi stream"}[
            int(client), int(server)
        ]

    def request(self, fields: Mapping[str, Any], request_id: str | None = None) -> Message:
        """A request from JSON (either naming of fields). A mutation without a request_id is given one."""
        message = message_factory.GetMessageClass(self.descriptor.input_type)()
        json_format.ParseDict(dict(fields), message, descriptor_pool=self.pool)
        if "request_id" in self.descriptor.input_type.fields_by_name and not message.request_id:  # type: ignore[attr-defined]  # a field that its descriptor has
            message.request_id = request_id or new_request_id()  # type: ignore[attr-defined]  # a field that its descriptor has
        return message

    def call(
        self,
        channel: grpc.Channel,
        requests: Iterable[Message],
        *,
        metadata: list[tuple[str, str]],
        timeout: float,
    ) -> Iterator[dict[str, Any]]:
        """Call it; the answers as JSON objects, one for a unary RPC, as they come for a stream."""
        answer_class = message_factory.GetMessageClass(self.descriptor.output_type)
        client, server = self.descriptor.client_streaming, self.descriptor.server_streaming
        make = getattr(channel, f"{'stream' if client else 'unary'}_{'stream' if server else 'unary'}")
        stub = make(
            f"/{self.full_name}",
            request_serializer=lambda message: message.SerializeToString(),
            response_deserializer=answer_class.FromString,
        )
        sent = iter(requests) if client else next(iter(requests))
        answer = stub(sent, timeout=timeout, metadata=metadata)
        try:
            for message in answer if server else [answer]:
                yield json_format.MessageToDict(message, preserving_proto_field_name=True, descriptor_pool=self.pool)
        finally:
            if server:
                # Whoever has seen enough of a stream ends it.
                answer.cancel()


def methods(system: System, service: str, *, infrastructure: bool = False) -> list[Method]:
    """Every RPC that one running service offers; health and reflection only with `infrastructure`."""
    database = ProtoReflectionDescriptorDatabase(system.channel(service))
    pool = descriptor_pool.DescriptorPool(database)
    found = []
    for name in sorted(database.get_services()):
        if infrastructure or not name.startswith(_INFRASTRUCTURE):
            for method in pool.FindServiceByName(name).methods:
                found.append(Method(service, method, pool))
    return found


def find_method(system: System, wanted: str) -> Method:
    """The RPC named `Service/Method`, `package.Service/Method` or `service.Service/Method`; LookupError else."""
    service_part, separator, method_part = wanted.replace(".", "/", 0).rpartition("/")
    if not separator:
        raise LookupError(f"{wanted!r} is not of the form BudgetService/AllotFunds")
    first, _, short = service_part.partition(".")
    only = [first] if short and first in system.addresses else sorted(system.addresses)
    name = short if short and first in system.addresses else service_part
    close: list[str] = []
    hits: list[Method] = []
    for service in only:
        for method in methods(system, service, infrastructure=True):
            full = method.descriptor.containing_service.full_name
            if full == name or full.endswith(f".{name}"):
                close.append(method.full_name)
                if method.descriptor.name == method_part:
                    hits.append(method)
    if len(hits) == 1:
        return hits[0]
    if hits:
        names = ", ".join(f"{hit.service}.{hit.full_name}" for hit in hits)
        raise LookupError(f"{wanted} is several: write one of {names}")
    known = f"; {name} has {', '.join(each.rpartition('/')[2] for each in close)}" if close else ""
    raise LookupError(f"no running service offers {wanted}{known}; `kelola services` lists all")
