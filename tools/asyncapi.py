"""docs/asyncapi.yaml from the protos: every topic, its events, their headers and payloads (AsyncAPI 3.1)."""

from __future__ import annotations

from typing import Any

import yaml
from google.protobuf import descriptor_pb2

from tools.descriptors import Contracts, Message, contracts, topic_of
from tools.protos import message_text

_HEADER = "# Generated from the protos by `make docs`; edit those.\n"

_CLOUDEVENT_HEADERS: dict[str, Any] = {
    "type": "object",
    "required": ["ce_specversion", "ce_id", "ce_source", "ce_type", "ce_time", "ce_partitionkey", "ce_sequence"],
    "properties": {
        "ce_specversion": {"const": "1.0"},
        "ce_id": {"type": "string", "format": "uuid", "description": "The same in every repeat: keep an inbox of it."},
        "ce_source": {"type": "string", "description": "/kelola/<service>."},
        "ce_type": {"type": "string", "description": "The message's full protobuf name."},
        "ce_time": {"type": "string", "format": "date-time", "description": "When the transaction began, UTC."},
        "ce_partitionkey": {"type": "string", "description": "The aggregate's id; its events keep their order."},
        "ce_sequence": {"type": "string", "pattern": "^[0-9]+$", "description": "The aggregate's version."},
        "ce_agency": {"type": "string", "format": "uuid", "description": "The agency, where the event has one."},
        "traceparent": {"type": "string", "description": "W3C trace context of the act that caused the event."},
        "content-type": {"const": "application/protobuf"},
    },
}


def render() -> str:
    """The document as YAML."""
    known = contracts()
    channels: dict[str, Any] = {}
    operations: dict[str, Any] = {}
    messages: dict[str, Any] = {}
    for event in sorted(known.events, key=lambda each: (topic_of(each), each.name)):
        topic = topic_of(event)
        service = topic.split(".")[1]
        reference = f"{service}.{event.name}"
        channel = channels.setdefault(
            topic,
            {
                "address": topic,
                "description": f"Facts of {service} in the area {event.event_area}, in order per key.",
                "messages": {},
                "bindings": {"kafka": {"topic": topic}},
            },
        )
        channel["messages"][event.name] = {"$ref": f"#/components/messages/{reference}"}
        operations.setdefault(
            f"send.{topic}",
            {"action": "send", "channel": {"$ref": f"#/channels/{topic}"}, "summary": f"{service} tells."},
        )
        messages[reference] = _message(event, known)
    document = {
        "asyncapi": "3.1.0",
        "info": {
            "title": "Kelola events",
            "version": "1",
            "description": "CloudEvents 1.0 on Kafka in binary mode: attributes in ce_* headers, protobuf as the value."
            " Consumers expect repeats (by ce_id) and unknown fields. Schemas: protos/kelola/*/v1/*_events.proto.",
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": "application/protobuf",
        "channels": channels,
        "operations": operations,
        "components": {"messages": messages, "schemas": {"cloudEventHeaders": _CLOUDEVENT_HEADERS}},
    }
    text: str = yaml.dump(document, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=116)
    return _HEADER + text


def _message(event: Message, known: Contracts) -> dict[str, Any]:
    return {
        "name": event.full_name,
        "title": event.name,
        "summary": event.comment.replace("\n", " "),
        "headers": {"$ref": "#/components/schemas/cloudEventHeaders"},
        "payload": {
            "schemaFormat": "application/vnd.google.protobuf;version=3",
            "schema": _schema(event, known),
        },
    }


def _schema(event: Message, known: Contracts) -> str:
    """The event and what it is made of, as a proto file that stands by itself but for well-known imports."""
    package = event.full_name.rpartition(".")[0]
    imports: set[str] = set()
    bodies: dict[str, str] = {}
    waiting = [event.full_name]
    while waiting:
        name = waiting.pop()
        if name in bodies:
            continue
        if name in known.enums:
            bodies[name] = "\n".join(enum_text(known.enums[name]))
            continue
        message = known.messages[name]
        bodies[name] = "\n".join(message_text(message.proto, "proto3"))
        for each in sorted(_types_in(message.proto), reverse=True):
            if each in known.imported:
                imports.add(known.imported[each])
            elif not each.startswith(f"{name}."):
                waiting.append(each)
    head = ['syntax = "proto3";', f"package {package};", *(f'import "{name}";' for name in sorted(imports))]
    # AsyncAPI's own tools find the message among several by this mark, and know types by their short names.
    text = "\n".join([*head, "// @RootNode", *bodies.values()]) + "\n"
    return text.replace(f" .{package}.", " ").replace(" .google.", " google.")


def _types_in(message: descriptor_pb2.DescriptorProto) -> set[str]:
    """The messages and enums that its fields name, those of nested messages and maps too."""
    found = {field.type_name.removeprefix(".") for field in message.field if field.type_name}
    return found.union(*(_types_in(nested) for nested in message.nested_type))


def enum_text(enum: descriptor_pb2.EnumDescriptorProto) -> list[str]:
    """An enum as proto source."""
    return [f"enum {enum.name} {{", *(f"  {value.name} = {value.number};" for value in enum.value), "}"]


class _Dumper(yaml.SafeDumper):
    """Repeats are written out, and texts of several lines as blocks."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _block(dumper: _Dumper, text: str) -> Any:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _block)
