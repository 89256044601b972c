"""Other requests made from a good one: a little different and still valid, or broken in every way there is."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any
from uuid import UUID, uuid4

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

_STRING = FieldDescriptor.TYPE_STRING
_INTEGERS = {
    FieldDescriptor.TYPE_INT32,
    FieldDescriptor.TYPE_INT64,
    FieldDescriptor.TYPE_UINT32,
    FieldDescriptor.TYPE_UINT64,
    FieldDescriptor.TYPE_SINT32,
    FieldDescriptor.TYPE_SINT64,
}
# Texts for people, in which any words are as valid as the ones before.
_WORDS = {"cause", "delivery_note", "description", "display_name", "explanation", "full_name", "purpose", "reason",
          "title", "late_reason", "document_number", "supplier_invoice_number", "payroll_run_number",
          "decision_number", "file_name"}  # fmt: skip
_DECIMAL, _DATE = "google.type.Decimal", "google.type.Date"
_DEPTH_MAX = 4

HOSTILE_TEXTS = (
    "",
    " ",
    "\x00",
    "'; drop table person; --",
    "%s%s%n{0}",
    "../../etc/passwd",
    "\u202e\ud7ff\ufffd",
    "𝕬" * 50,
    "A" * 5_000,
    "00000000-0000-0000-0000-000000000000",
    "99999999-9999-9999-9999-999999999999",
    "NaN",
    "Infinity",
    "1e999999",
    "-0",
    "1_000",
    "٣",
    "0x10",
    "null",
    "journalEntries/",
    "a/b/c/d",
)
HOSTILE_NUMBERS = (0, -1, 1, 13, 99, 2_147_483_647, -2_147_483_648, 2**63 - 1, -(2**63))


def other_valid(request: Message) -> Iterator[Message]:
    """Requests that differ from `request` in one field each, the most surely valid first."""
    found = [
        *_words(request),
        *_dates(request),
        *_names(request),
        *_amounts(request),
        *_numbers(request),
        *_choices(request),
        *_flags(request),
    ]
    for change in found:
        copy = type(request)()
        copy.CopyFrom(request)
        change(copy)
        yield copy


def _changes(request: Message, wanted: Any, change: Any) -> Iterator[Any]:
    """For each field that `wanted` says yes to: a function that changes this field in a copy of the request."""
    for path in _paths(request, _DEPTH_MAX):
        owner = _at(request, path[:-1])
        if wanted(owner.DESCRIPTOR.fields_by_name[path[-1][0]], owner):

            def apply(copy: Message, path: Any = path) -> None:
                change(_at(copy, path[:-1]), path[-1][0])

            yield apply


def _words(request: Message) -> Iterator[Any]:
    return _changes(
        request,
        lambda field, owner: field.name in _WORDS and field.type == _STRING and getattr(owner, field.name),
        lambda owner, name: setattr(owner, name, f"{getattr(owner, name)} lain"),
    )


def _dates(request: Message) -> Iterator[Any]:
    def later(owner: Any, name: str) -> None:
        day = getattr(owner, name)
        day.day = day.day + 1 if day.day < 28 else 1

    return _changes(
        request,
        lambda field, owner: _is(field, _DATE) and owner.HasField(field.name),
        later,
    )


def _names(request: Message) -> Iterator[Any]:
    def other(owner: Any, name: str) -> None:
        setattr(owner, name, f"{getattr(owner, name).partition('/')[0]}/{uuid4()}")

    return _changes(
        request,
        lambda field, owner: field.name == "name" and field.type == _STRING and "/" in owner.name,
        other,
    )


def _amounts(request: Message) -> Iterator[Any]:
    def more(owner: Any, name: str) -> None:
        getattr(owner, name).value = str(int(getattr(owner, name).value) + 1)

    return _changes(
        request,
        lambda field, owner: (
            _is(field, _DECIMAL) and owner.HasField(field.name) and getattr(owner, field.name).value.isdigit()
        ),
        more,
    )


def _numbers(request: Message) -> Iterator[Any]:
    return _changes(
        request,
        lambda field, owner: field.type in _INTEGERS and not field.is_repeated and getattr(owner, field.name) > 1,
        lambda owner, name: setattr(owner, name, getattr(owner, name) - 1),
    )


def _choices(request: Message) -> Iterator[Any]:
    """Lists of enum values, with one value more."""

    def longer(owner: Any, name: str) -> None:
        chosen = getattr(owner, name)
        known = owner.DESCRIPTOR.fields_by_name[name].enum_type.values
        chosen.append(next(value.number for value in known if value.number and value.number not in chosen))

    return _changes(request, lambda field, owner: field.type == FieldDescriptor.TYPE_ENUM and field.is_repeated, longer)


def _flags(request: Message) -> Iterator[Any]:
    return _changes(
        request,
        lambda field, owner: field.type == FieldDescriptor.TYPE_BOOL,
        lambda owner, name: setattr(owner, name, not getattr(owner, name)),
    )


def _is(field: FieldDescriptor, message: str) -> bool:
    return field.message_type is not None and field.message_type.full_name == message and not field.is_repeated


# A path is a list of (field name, index in a list or None).
_Path = list[tuple[str, int | None]]


def _paths(message: Message, depth: int) -> Iterator[_Path]:
    """The paths of all fields, set or not, that a request has or could have, down to what is set."""
    for field in message.DESCRIPTOR.fields:
        yield [(field.name, None)]
        if field.message_type is None or not depth or field.message_type.GetOptions().map_entry:
            continue
        if field.is_repeated:
            for index, item in enumerate(getattr(message, field.name)):
                yield from ([(field.name, index), *rest] for rest in _paths(item, depth - 1))
        elif message.HasField(field.name):
            yield from ([(field.name, None), *rest] for rest in _paths(getattr(message, field.name), depth - 1))


def _at(message: Any, path: _Path) -> Any:
    for name, index in path:
        message = getattr(message, name)
        if index is not None:
            message = message[index]
    return message


def broken(request: Message, chance: random.Random) -> bytes:
    """The request's bytes after one to three mutations of fields, or of the bytes themselves."""
    copy = type(request)()
    copy.CopyFrom(request)
    if chance.random() < 0.75:
        for _ in range(chance.randint(1, 3)):
            _mutate_field(copy, chance)
        return copy.SerializeToString()
    return _mutate_bytes(copy.SerializeToString(), chance)


def _mutate_field(message: Message, chance: random.Random) -> None:
    path = chance.choice(list(_paths(message, _DEPTH_MAX)))
    owner, name = _at(message, path[:-1]), path[-1][0]
    field = owner.DESCRIPTOR.fields_by_name[name]
    if chance.random() < 0.25:
        owner.ClearField(name)
    elif field.is_repeated:
        _mutate_list(owner, field, chance)
    elif field.message_type is not None:
        # Set though empty, or one of its own fields mutated.
        getattr(owner, name).SetInParent()
        if field.message_type.fields and chance.random() < 0.7:
            _mutate_field(getattr(owner, name), chance)
    else:
        setattr(owner, name, _scalar(field, getattr(owner, name), chance))


def _mutate_list(owner: Any, field: FieldDescriptor, chance: random.Random) -> None:
    values = getattr(owner, field.name)
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        owner.ClearField(field.name)
    elif field.message_type is not None:
        if values and chance.random() < 0.5:
            values.add().CopyFrom(values[0])
        else:
            values.add()
    else:
        values.append(_scalar(field, values[0] if values else None, chance))


def _scalar(field: FieldDescriptor, value: Any, chance: random.Random) -> Any:
    if field.type == _STRING:
        if isinstance(value, str) and value and chance.random() < 0.3:
            return _edited(value, chance)
        # Drawn from the generator, so that the seed repeats the request.
        return chance.choice([*HOSTILE_TEXTS, str(UUID(int=chance.getrandbits(128), version=4))])
    if field.type == FieldDescriptor.TYPE_BOOL:
        return not value
    if field.type == FieldDescriptor.TYPE_BYTES:
        return chance.randbytes(chance.randint(0, 40))
    if field.type == FieldDescriptor.TYPE_ENUM:
        return chance.choice([0, 1, 2, 77, -5])
    if field.type in _INTEGERS:
        small = field.type in (FieldDescriptor.TYPE_INT32, FieldDescriptor.TYPE_SINT32)
        unsigned = field.type in (FieldDescriptor.TYPE_UINT32, FieldDescriptor.TYPE_UINT64)
        fitting = [n for n in HOSTILE_NUMBERS if (not small or abs(n) < 2**31) and (not unsigned or n >= 0)]
        return chance.choice(fitting)
    return chance.choice([0.0, -1.0, float("nan"), float("inf")])


def _edited(text: str, chance: random.Random) -> str:
    at = chance.randrange(len(text))
    return text[:at] + chance.choice(["", "é", "0", "'", "\n", "/", text[at] * 2]) + text[at + 1 :]


def _mutate_bytes(body: bytes, chance: random.Random) -> bytes:
    data = bytearray(body or b"\x0a\x01x")
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(len(data) + 1)
        match chance.randrange(4):
            case 0 if data:
                data[min(at, len(data) - 1)] ^= 1 << chance.randrange(8)
            case 1:
                del data[at:]
            case 2:
                data[at:at] = chance.randbytes(chance.randint(1, 8))
            case _:
                data += data[at:]
    return bytes(data)
