"""What the server knows of one RPC from its descriptor, worked out once at the start."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from google.protobuf import message_factory
from google.protobuf.descriptor import Descriptor, FieldDescriptor, MethodDescriptor
from google.protobuf.message import DecodeError, Message

from chassis.errors import FieldViolation, InvalidArgument
from kelola.type.v1 import options_pb2

# An agency is named in the request itself, in its resource (one step down), or in each resource of a batch
# (`requests[].resource.agency_id`, two steps down). Deeper mentions are the use case's business.
_AGENCY_STEPS_MAX = 2
_AGENCY_FIELD = "agency_id"

Path = tuple[FieldDescriptor, ...]


class MalformedRequest(InvalidArgument):
    """The bytes are not a message of the RPC's request type."""

    reason = "MALFORMED_REQUEST"


class TextWithNul(InvalidArgument):
    """A text holds the character U+0000, which PostgreSQL's texts cannot keep."""

    reason = "TEXT_WITH_NUL"


@dataclass(frozen=True)
class Method:
    """One RPC: its name, who may call it, how its requests are read, where they name an agency."""

    full_name: str  # kelola.finance.v1.LedgerService.CreateJournalEntry
    path: str  # /kelola.finance.v1.LedgerService/CreateJournalEntry
    permission: str | None  # None for a public RPC
    request_class: type[Message]
    client_streaming: bool
    server_streaming: bool
    has_request_id: bool
    agency_paths: tuple[Path, ...]

    @classmethod
    def of(cls, descriptor: MethodDescriptor, *, permission: str | None = None) -> Method:
        """The facts of `descriptor`. `permission` is given for contracts that are not ours alone.

        A start error when the `access` option says neither who may call, nor that everybody may, or both.
        """
        access = descriptor.GetOptions().Extensions[options_pb2.access]
        if permission is None and bool(access.permission) == access.public:
            raise LookupError(
                f"{descriptor.full_name} needs option (kelola.type.v1.access) with a permission, or public: true"
            )
        return cls(
            full_name=descriptor.full_name,
            path=f"/{descriptor.containing_service.full_name}/{descriptor.name}",
            permission=permission or access.permission or None,
            request_class=message_factory.GetMessageClass(descriptor.input_type),
            client_streaming=descriptor.client_streaming,
            server_streaming=descriptor.server_streaming,
            has_request_id="request_id" in descriptor.input_type.fields_by_name,
            agency_paths=tuple(_agency_paths(descriptor.input_type, _AGENCY_STEPS_MAX)),
        )

    @property
    def span_name(self) -> str:
        """The name of spans and metrics: package, service and method (rpc.method of the conventions)."""
        return self.path[1:]

    def parse(self, data: bytes) -> Message:
        """The message in `data`; INVALID_ARGUMENT for bytes that are none, and for a text with U+0000 in it."""
        try:
            message = self.request_class.FromString(data)
        except (DecodeError, ValueError) as bad:
            raise MalformedRequest(
                f"the bytes are not a {self.request_class.DESCRIPTOR.full_name}; "
                "is the client built from the same protos?"
            ) from bad
        # Most requests have no zero byte at all, so the walk is rare.
        if b"\0" in data and (where := _text_with_nul(message, "")) is not None:
            raise TextWithNul(
                f"{where}: the character U+0000 cannot be kept", violations=(FieldViolation(where, "has U+0000"),)
            )
        return message

    def agencies(self, request: Message) -> Iterator[tuple[str, UUID]]:
        """The agencies that the request names, each with its field's path. INVALID_ARGUMENT for no UUID."""
        for path in self.agency_paths:
            for where, text in _values(request, path, ""):
                try:
                    yield where, UUID(text)
                except ValueError as bad:
                    raise InvalidArgument.field(where, "not a UUID of the form 8-4-4-4-12") from bad

    def request_id(self, request: Message) -> str | None:
        """The mutation's request_id in lower case (a UUID has two spellings); None where there is none."""
        text: str = request.request_id if self.has_request_id else ""  # type: ignore[attr-defined]  # a field that its descriptor has
        return text.lower() or None

    def request_hash(self, request: Message) -> bytes:
        """SHA-256 of the request without its request_id: the same input has the same hash."""
        copy = request
        if self.has_request_id:
            copy = self.request_class()
            copy.CopyFrom(request)
            copy.ClearField("request_id")
        return hashlib.sha256(copy.SerializeToString(deterministic=True)).digest()


def _text_with_nul(message: Any, where: str) -> str | None:
    """The path of the first text of `message` that has U+0000 in it."""
    for field, value in message.ListFields():
        here = f"{where}.{field.name}" if where else field.name
        if field.message_type is not None and field.message_type.GetOptions().map_entry:
            values = [*value.keys(), *value.values()]
        else:
            values = list(value) if field.is_repeated else [value]
        for index, one in enumerate(values):
            place = f"{here}[{index}]" if field.is_repeated else here
            if isinstance(one, str) and "\0" in one:
                return place
            if isinstance(one, Message) and (inner := _text_with_nul(one, place)) is not None:
                return inner
    return None


def _agency_paths(message: Descriptor, steps: int) -> Iterator[Path]:
    for field in message.fields:
        if field.name == _AGENCY_FIELD and field.type == FieldDescriptor.TYPE_STRING and not field.is_repeated:
            yield (field,)
        elif steps and (inner := field.message_type) is not None and _is_ours(inner):
            for rest in _agency_paths(inner, steps - 1):
                yield (field, *rest)


def _is_ours(message: Descriptor) -> bool:
    # Map entries are messages without a class; well-known types name no agency.
    return message.full_name.startswith("kelola.") and not message.GetOptions().map_entry


def _values(message: Any, path: Path, where: str) -> Iterator[tuple[str, str]]:
    field, rest = path[0], path[1:]
    here = f"{where}.{field.name}" if where else field.name
    if not rest:
        text = getattr(message, field.name)
        if text:
            yield here, text
    elif field.is_repeated:
        for index, item in enumerate(getattr(message, field.name)):
            yield from _values(item, rest, f"{here}[{index}]")
    elif message.HasField(field.name):
        yield from _values(getattr(message, field.name), rest, here)
