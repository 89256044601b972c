"""The rules of an ISO 20022 schema, applied to a file: order, cardinality, lengths, patterns, codes, choices.

The schemas themselves may not be copied into the repository; their rules are taken from the classes that the test
dependency pyiso20022 generated from them.
"""

from __future__ import annotations

import re
import types
import typing
from collections.abc import Iterator
from dataclasses import Field, fields, is_dataclass
from decimal import Decimal, InvalidOperation
from enum import Enum
from functools import cache
from importlib import import_module
from typing import Any
from xml.etree import ElementTree


def schema_problems(content: bytes) -> list[str]:
    """What the file's own schema says against it; the schema is named by the namespace."""
    root = ElementTree.fromstring(content)
    namespace, _, local = root.tag[1:].partition("}")
    name = namespace.rpartition(":")[2]
    module = import_module(f"pyiso20022.{name.partition('.')[0]}.{name.replace('.', '_')}")
    assert local == "Document", root.tag
    return list(_element(root, module.Document, namespace, "Document"))


def _element(element: ElementTree.Element, cls: type, namespace: str, path: str) -> Iterator[str]:
    hints = _hints(cls)
    elements = [one for one in fields(cls) if one.metadata.get("type") == "Element"]
    attributes = {one.metadata["name"]: one for one in fields(cls) if one.metadata.get("type") == "Attribute"}
    text = next(
        (one for one in fields(cls) if one.metadata.get("type") not in ("Element", "Attribute", "Wildcard")), None
    )
    yield from _attributes(element, attributes, hints, path)
    if text is not None and not elements:
        yield from _value((element.text or "").strip(), text, hints[text.name], path)
        return
    place, counts = 0, dict.fromkeys((one.metadata["name"] for one in elements), 0)
    for child in element:
        tag = child.tag.removeprefix(f"{{{namespace}}}")
        found = next((nth for nth, one in enumerate(elements) if one.metadata["name"] == tag), None)
        if found is None:
            yield f"{path}/{tag}: not in the schema"
            continue
        if found < place:
            yield f"{path}/{tag}: stands after {elements[place].metadata['name']}"
        place = max(place, found)
        counts[tag] += 1
        yield from _child(child, elements[found], hints[elements[found].name], namespace, f"{path}/{tag}")
    for one in elements:
        yield from _count(one, counts[one.metadata["name"]], hints[one.name], f"{path}/{one.metadata['name']}")
    if cls.__name__.endswith("Choice") and len(element) != 1:
        yield f"{path}: a choice has {len(element)} children"


@cache
def _hints(cls: type) -> dict[str, Any]:
    return typing.get_type_hints(cls)


def _count(field: Field[Any], count: int, hint: Any, path: str) -> Iterator[str]:
    several = typing.get_origin(hint) is list
    low = field.metadata.get("min_occurs", 0) if several else int(bool(field.metadata.get("required")))
    high = field.metadata.get("max_occurs") if several else 1
    if count < low or (high is not None and count > high):
        yield f"{path}: {count} times, {low} to {high or 'many'} allowed"


def _child(child: ElementTree.Element, field: Field[Any], hint: Any, namespace: str, path: str) -> Iterator[str]:
    cls = _plain(hint)
    if is_dataclass(cls) and isinstance(cls, type):
        yield from _element(child, cls, namespace, path)
    elif len(child):
        yield f"{path}: has elements, and is a text"
    else:
        yield from _value((child.text or "").strip(), field, hint, path)


def _attributes(
    element: ElementTree.Element, known: dict[str, Field[Any]], hints: dict[str, Any], path: str
) -> Iterator[str]:
    for name in element.attrib:
        if name not in known:
            yield f"{path}@{name}: not in the schema"
    for name, field in known.items():
        if name in element.attrib:
            yield from _value(element.attrib[name], field, hints[field.name], f"{path}@{name}")
        elif field.metadata.get("required"):
            yield f"{path}@{name}: missing"


def _value(text: str, field: Field[Any], hint: Any, path: str) -> Iterator[str]:
    rules, cls = field.metadata, _plain(hint)
    if "pattern" in rules and not re.fullmatch(rules["pattern"], text):
        yield f"{path}: {text!r} does not fit {rules['pattern']}"
    if len(text) > rules.get("max_length", len(text)) or len(text) < rules.get("min_length", 0):
        yield f"{path}: {len(text)} signs"
    if isinstance(cls, type) and issubclass(cls, Enum) and text not in [one.value for one in cls]:
        yield f"{path}: {text!r} is no code of {cls.__name__}"
    if cls is bool and text not in ("true", "false", "0", "1"):
        yield f"{path}: {text!r} is no truth value"
    if cls is Decimal:
        yield from _number(text, rules, path)
    if getattr(cls, "__name__", "") in ("XmlDate", "XmlDateTime"):
        try:
            cls.from_string(text)
        except ValueError as bad:
            yield f"{path}: {bad}"


def _number(text: str, rules: Any, path: str) -> Iterator[str]:
    try:
        number = Decimal(text)
    except InvalidOperation:
        yield f"{path}: {text!r} is no number"
        return
    digits, exponent = number.as_tuple().digits, number.as_tuple().exponent
    assert isinstance(exponent, int)
    if len(digits) > rules.get("total_digits", len(digits)) or -exponent > rules.get("fraction_digits", -exponent):
        yield f"{path}: {text} has too many digits"
    if "min_inclusive" in rules and number < rules["min_inclusive"]:
        yield f"{path}: {text} is below {rules['min_inclusive']}"


def _plain(hint: Any) -> Any:
    """The type inside `None | X` and `list[X]`."""
    if typing.get_origin(hint) is list:
        return typing.get_args(hint)[0]
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        return next(one for one in typing.get_args(hint) if one is not type(None))
    return hint
