"""I5: what was acknowledged exists exactly once, asked of every stored reply by the contracts' descriptors.

A reply names what it speaks of: a `JournalEntry` by its `journal_entry_id`, a response by ids of its own such as
`allotment_order_id`, an operation by its name. The row is that of the table whose primary key has the field's name.
The replies are read once; each table is asked once for a page of ids.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any
from uuid import UUID

if TYPE_CHECKING:
    from google.protobuf.descriptor import Descriptor, FieldDescriptor, MethodDescriptor
    from google.protobuf.message import Message
    from sqlalchemy import Connection

    from chassis.verify import Findings

# RPCs whose replies name rows by something else than an id.
WITHOUT_IDS = {
    # A fiscal period is named by agency, year, number and area; a call opens or closes those of a whole year.
    "kelola.finance.v1.FiscalCalendarService.OpenFiscalPeriods",
    "kelola.finance.v1.FiscalCalendarService.SoftCloseFiscalPeriod",
    "kelola.finance.v1.FiscalCalendarService.HardCloseFiscalPeriod",
    # What is due of all templates on a day; each entry is found by its template and day.
    "kelola.finance.v1.JournalTemplateService.RunJournalTemplates",
}

# Classifications are asked for by their natural key: what is there already, and is the same, is the answer.
_THERE_OR_MADE = {
    *("account_id", "dimension_value_id", "account_mapping_id"),
    *("combination_rule_id", "code_succession_id", "reporting_class_id", "class_mapping_id"),
    *("exchange_rate_id", "virement_rule_id", "approval_rule_id", "period_limit_id"),
    # A file is kept once in an agency by its hash.
    "attachment_content_id",
    # What a bank or a supplier said, which they may say again.
    *("bank_file_id", "payment_return_id", "invoice_document_id"),
}

# RPCs that act on what their request names by its natural key, and so make nothing.
_BY_NATURAL_KEY = {
    # A fiscal year, named by agency and year; and the slices of one.
    "kelola.finance.v1.FiscalClosingService.IssueFinancialStatements",
    "kelola.finance.v1.MultiYearService.OpenMultiYearSlices",
}

# Where rows are kept that were taken back before they came into force, by their key column.
_TAKEN_BACK = {"budget_line_id": "withdrawn_budget_line"}

_REPLIES_A_PAGE = 500
_IDS_A_QUERY = 10_000
# Messages are nested two or three deep; none contains itself.
_DEPTH_MAX = 5


@dataclass(frozen=True)
class Named:
    """Where in a reply an id stands: the fields that lead to it, the last one holding it; and its key column."""

    path: tuple[FieldDescriptor, ...]
    column: str  # journal_entry_id
    in_name: bool = False  # the id is the last part of a resource name


@dataclass(frozen=True)
class Acknowledgement:
    """What the stored replies of one mutating RPC are and what they name."""

    method: str  # kelola.finance.v1.LedgerService.CreateJournalEntry
    reply: Descriptor
    named: tuple[Named, ...]
    # The key columns of what it makes: none for an RPC that acts on a resource that its request names.
    made: frozenset[str]


@cache
def acknowledgements() -> dict[str, Acknowledgement]:
    """Every RPC with a request_id, by the name under which its replies are stored."""
    from cli.contracts import modules

    found = {}
    for module in modules():
        for service in module.DESCRIPTOR.services_by_name.values():
            for method in service.methods:
                if "request_id" in method.input_type.fields_by_name:
                    found[method.full_name] = _acknowledgement(method)
    return found


def _acknowledgement(method: MethodDescriptor) -> Acknowledgement:
    asked = method.input_type.fields_by_name
    reply = method.output_type
    if method.client_streaming:
        # Each message of the stream is answered by itself: with the resource that it carries.
        (reply,) = {field.message_type for field in asked.values() if field.message_type is not None}
    named = tuple(_named(reply, (), own_only=not reply.name.endswith("Response")))
    makes = method.full_name not in _BY_NATURAL_KEY and not {"name", "update_mask"} & set(asked)
    made = frozenset(each.column for each in named if makes and each.column not in {*asked, *_THERE_OR_MADE})
    return Acknowledgement(method.full_name, reply, named, made)


def _named(message: Descriptor, path: tuple[FieldDescriptor, ...], *, own_only: bool) -> Iterator[Named]:
    own = f"{_snake(message.name)}_id"
    fields = message.fields_by_name
    if own in fields:
        yield Named((*path, fields[own]), own)
    elif "name" in fields and fields["name"].cpp_type == fields["name"].CPPTYPE_STRING and not path:
        yield Named((*path, fields["name"]), own, in_name=True)
    for field in message.fields:
        if not own_only and field.name.endswith(("_id", "_ids")) and field.name != own:
            yield Named((*path, field), field.name.removesuffix("s"))
        part = field.message_type
        if part is not None and part.full_name.startswith("kelola.") and len(path) < _DEPTH_MAX:
            yield from _named(part, (*path, field), own_only=True)


def _snake(name: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


def ids_in(message: Message, named: Named) -> Iterator[UUID]:
    """The ids at this place of a reply; absent parts have none."""
    holders: list[Any] = [message]
    for field in named.path[:-1]:
        holders = [
            part
            for holder in holders
            for part in (
                getattr(holder, field.name)
                if field.is_repeated
                else [getattr(holder, field.name)]
                if holder.HasField(field.name)
                else []
            )
        ]
    last = named.path[-1]
    for holder in holders:
        value = getattr(holder, last.name)
        for each in value if last.is_repeated else [value]:
            if each:
                yield UUID(each.rpartition("/")[2] if named.in_name else each)


def check(connection: Connection) -> Findings:
    """Every id that a stored reply names is in its table; what was made was made under one key."""
    from chassis.verify import PROBLEMS_MAX, Findings, Problem

    tables = _tables(connection)
    # By key column: where each id was named first; and the ids that were made.
    named: dict[str, dict[UUID, str]] = {}
    made: dict[str, dict[UUID, str]] = {}
    problems: list[Problem] = []
    replies = 0
    for method, key, answer in _replies(connection):
        replies += 1
        if answer is None:
            problems.append(Problem("I5", f"the answer of request {key} on {method} cannot be read"))
            continue
        for column, each in answer:
            if column not in tables:
                continue
            place = f"request {key} on {method}"
            named.setdefault(column, {}).setdefault(each, place)
            if column in acknowledgements()[method].made:
                first = made.setdefault(column, {}).setdefault(each, place)
                if first != place:
                    problems.append(Problem("I5", f"{column} {each} was made twice: by {first} and by {place}"))
    for column, places in named.items():
        missing = _missing(connection, tables[column], column, places)
        problems += [
            Problem("I5", f"{places[each]} was answered with {column} {each}, which is not in {tables[column]}")
            for each in missing
        ]
    figures = {"replies": replies, "replies_named": sum(len(places) for places in named.values())}
    return Findings(problems[:PROBLEMS_MAX], figures)


def _replies(connection: Connection) -> Iterator[tuple[str, str, list[tuple[str, UUID]] | None]]:
    """Method, key and ids of every stored reply of a known RPC; None for the ids where it cannot be read."""
    from google.protobuf import message_factory
    from google.protobuf.message import DecodeError
    from sqlalchemy import text

    known = acknowledgements()
    classes = {method: message_factory.GetMessageClass(each.reply) for method, each in known.items()}
    rows = connection.execute(
        text(
            "select method, subject, request_id, answer from idempotency where answer is not null"
            " and method = any(:methods)"
        ).execution_options(yield_per=_REPLIES_A_PAGE),
        {"methods": list(known)},
    )
    for row in rows:
        ids: list[tuple[str, UUID]] | None
        try:
            reply = classes[row.method].FromString(bytes(row.answer))
            ids = [(each.column, found) for each in known[row.method].named for found in ids_in(reply, each)]
        except (DecodeError, ValueError):
            ids = None
        yield row.method, f"{row.request_id} of {row.subject}", ids


def _tables(connection: Connection) -> Mapping[str, str]:
    """The tables with one column as their key, by that column; a table of the column's own name first."""
    from sqlalchemy import text

    rows = connection.execute(
        text(
            "select attribute.attname as column, class.relname as table from pg_index index"
            " join pg_class class on class.oid = index.indrelid"
            " join pg_attribute attribute on attribute.attrelid = class.oid and attribute.attnum = index.indkey[0]"
            " where index.indisprimary and index.indnkeyatts = 1 and class.relnamespace = 'public'::regnamespace"
            " and not class.relispartition and attribute.atttypid = 'uuid'::regtype"
            " order by attribute.attname || '' = class.relname || '_id', class.relname"
        )
    )
    return {row.column: row.table for row in rows}


def _missing(connection: Connection, table: str, column: str, ids: Iterable[UUID]) -> list[UUID]:
    from sqlalchemy import text

    # The names come from the catalog of the database that is asked, or are our own.
    aside = _TAKEN_BACK.get(column, "")
    has_aside = aside and connection.execute(text("select to_regclass(:name)"), {"name": aside}).scalar() is not None
    kept = " union all ".join(f'select "{column}" as key from "{one}"' for one in (table, aside)[: 1 + bool(has_aside)])  # noqa: S608
    query = text(
        f"select id from unnest(cast(:ids as uuid[])) as given (id) left join ({kept}) as kept on key = id"  # noqa: S608
        " group by id having count(key) <> 1"
    )
    known = list(ids)
    return [
        row.id
        for start in range(0, len(known), _IDS_A_QUERY)
        for row in connection.execute(query, {"ids": known[start : start + _IDS_A_QUERY]})
    ]
