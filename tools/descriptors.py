"""The contracts as data, from `gen/kelola.binpb`: services, RPCs, messages, fields, with their comments."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

# Imported so that their extensions are known when the file is parsed.
from buf.validate import validate_pb2
from google.api import field_behavior_pb2
from google.protobuf import descriptor_pb2

from kelola.type.v1 import options_pb2

ROOT = Path(__file__).resolve().parent.parent
IMAGE = ROOT / "gen" / "kelola.binpb"

# Numbers of fields in descriptor.proto, of which the paths of comments are made.
_MESSAGE, _ENUM, _SERVICE, _FIELD, _NESTED, _METHOD, _VALUE = 4, 5, 6, 2, 3, 2, 2


@dataclass(frozen=True)
class Field:
    """A field of a message."""

    proto: descriptor_pb2.FieldDescriptorProto
    comment: str

    @property
    def name(self) -> str:
        """Its name."""
        return self.proto.name

    @property
    def repeated(self) -> bool:
        """Whether it is a list (maps are lists too)."""
        return self.proto.label == descriptor_pb2.FieldDescriptorProto.LABEL_REPEATED

    @property
    def type_name(self) -> str:
        """The full name of its message or enum type, else the scalar's name."""
        if self.proto.type_name:
            return self.proto.type_name.removeprefix(".")
        return descriptor_pb2.FieldDescriptorProto.Type.Name(self.proto.type).removeprefix("TYPE_").lower()

    @property
    def behaviors(self) -> set[str]:
        """google.api.field_behavior: REQUIRED, OPTIONAL, OUTPUT_ONLY, IDENTIFIER …"""
        values = self.proto.options.Extensions[field_behavior_pb2.field_behavior]
        return {field_behavior_pb2.FieldBehavior.Name(value) for value in values}

    @property
    def rules(self) -> Any:
        """buf.validate's rules of the field."""
        return self.proto.options.Extensions[validate_pb2.field]


@dataclass(frozen=True)
class Message:
    """A message, nested ones too."""

    full_name: str
    file: str
    proto: descriptor_pb2.DescriptorProto
    comment: str
    fields: tuple[Field, ...]

    @property
    def name(self) -> str:
        """Its name without the package."""
        return self.proto.name

    @property
    def event_area(self) -> str | None:
        """The area of its topic when it is an event."""
        if not self.proto.options.HasExtension(options_pb2.event):
            return None
        return self.proto.options.Extensions[options_pb2.event].area

    def field(self, name: str) -> Field | None:
        """The field of that name."""
        return next((each for each in self.fields if each.name == name), None)


@dataclass(frozen=True)
class Method:
    """An RPC."""

    service: str  # kelola.finance.v1.BudgetService
    proto: descriptor_pb2.MethodDescriptorProto
    comment: str

    @property
    def full_name(self) -> str:
        """kelola.finance.v1.BudgetService.AllotFunds."""
        return f"{self.service}.{self.proto.name}"

    @property
    def access(self) -> Any:
        """Who may call it."""
        return self.proto.options.Extensions[options_pb2.access]

    @property
    def request(self) -> str:
        """The request's full name."""
        return self.proto.input_type.removeprefix(".")

    @property
    def response(self) -> str:
        """The response's full name."""
        return self.proto.output_type.removeprefix(".")


@dataclass(frozen=True)
class Service:
    """A gRPC service."""

    full_name: str
    file: str
    comment: str
    methods: tuple[Method, ...]

    @property
    def owner(self) -> str:
        """The service that offers it: finance."""
        return self.full_name.split(".")[1]


@dataclass(frozen=True)
class Contracts:
    """All of ours."""

    services: tuple[Service, ...]
    messages: dict[str, Message]
    enums: dict[str, descriptor_pb2.EnumDescriptorProto]
    files: dict[str, descriptor_pb2.FileDescriptorProto] = field(repr=False)
    imported: dict[str, str] = field(repr=False)  # types of others -> the file that declares them

    @property
    def methods(self) -> list[Method]:
        """Every RPC."""
        return [method for service in self.services for method in service.methods]

    @property
    def events(self) -> list[Message]:
        """Every event message."""
        return [message for message in self.messages.values() if message.event_area is not None]


@cache
def contracts() -> Contracts:
    """Read the image that `make protos` made."""
    image = descriptor_pb2.FileDescriptorSet.FromString(IMAGE.read_bytes())
    files = {file.name: file for file in image.file if file.name.startswith("kelola/")}
    services: list[Service] = []
    messages: dict[str, Message] = {}
    enums: dict[str, descriptor_pb2.EnumDescriptorProto] = {}
    for file in files.values():
        comments = {
            tuple(location.path): _text(location.leading_comments) for location in file.source_code_info.location
        }
        for index, service in enumerate(file.service):
            services.append(_service(file, service, index, comments))
        for index, message in enumerate(file.message_type):
            for made in _messages(file.name, f"{file.package}.{message.name}", message, (_MESSAGE, index), comments):
                messages[made.full_name] = made
        enums |= {f"{file.package}.{enum.name}": enum for enum in file.enum_type}
        for message in file.message_type:
            enums |= {f"{file.package}.{message.name}.{enum.name}": enum for enum in message.enum_type}
    imported = {
        f"{file.package}.{name}": file.name
        for file in image.file
        if file.name not in files
        for name in [*(each.name for each in file.message_type), *(each.name for each in file.enum_type)]
    }
    return Contracts(tuple(services), messages, enums, files, imported)


def topic_of(message: Message) -> str:
    """The topic on which an event travels."""
    *package, version = message.full_name.rpartition(".")[0].split(".")
    return ".".join([*package, str(message.event_area), version])


_Comments = dict[tuple[int, ...], str]


def _service(
    file: descriptor_pb2.FileDescriptorProto,
    service: descriptor_pb2.ServiceDescriptorProto,
    index: int,
    comments: _Comments,
) -> Service:
    full_name = f"{file.package}.{service.name}"
    methods = tuple(
        Method(full_name, method, comments.get((_SERVICE, index, _METHOD, number), ""))
        for number, method in enumerate(service.method)
    )
    return Service(full_name, file.name, comments.get((_SERVICE, index), ""), methods)


def _messages(
    file: str, full_name: str, proto: descriptor_pb2.DescriptorProto, path: tuple[int, ...], comments: _Comments
) -> Iterator[Message]:
    fields = tuple(Field(each, comments.get((*path, _FIELD, number), "")) for number, each in enumerate(proto.field))
    yield Message(full_name, file, proto, comments.get(path, ""), fields)
    for number, nested in enumerate(proto.nested_type):
        if not nested.options.map_entry:
            yield from _messages(file, f"{full_name}.{nested.name}", nested, (*path, _NESTED, number), comments)


def _text(comment: str) -> str:
    return "\n".join(line.strip() for line in comment.strip().splitlines())
