"""The contracts keep the API design rules (Google AIPs) that buf's own rules cannot say.

Each test gathers every violation, so that one run shows all that is to be done.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from tools.descriptors import Contracts, Field, Message, Method, contracts

_STANDARD = re.compile(r"^(Get|List|Create|Update|Delete)([A-Z]\w*)$")
_UUID_RULES = ("uuid", "tuuid")
# Ids of others' systems, which are not UUIDs: the columns say so too.
_FOREIGN_IDS = {"client_id", "national_id", "tax_id"}


@pytest.fixture(scope="module")
def known() -> Contracts:
    return contracts()


_READ_VERBS = ("Get", "List", "LookUp", "Search", "Check")


def _reads(method: Method) -> bool:
    return method.access.public or method.proto.name.startswith(_READ_VERBS)


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])([A-Z])", r"_\1", name).lower()


def _reachable(known: Contracts, roots: set[str]) -> set[str]:
    """The messages of ours that these contain, themselves included."""
    seen: set[str] = set()
    waiting = [name for name in roots if name in known.messages]
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        waiting += [each.type_name for each in known.messages[name].fields if each.type_name in known.messages]
    return seen


def _inputs(known: Contracts) -> Iterator[tuple[Message, Field]]:
    """Every field that a caller may fill: of requests and what they contain, OUTPUT_ONLY ones aside."""
    for name in sorted(_reachable(known, {method.request for method in known.methods})):
        message = known.messages[name]
        for each in message.fields:
            if "OUTPUT_ONLY" not in each.behaviors:
                yield message, each


def test_every_rpc_says_who_may_call_it(known):
    bad = [
        f"{method.full_name}: {method.access.permission!r}"
        for method in known.methods
        if not method.access.public
        and not re.fullmatch(rf"{method.service.split('.')[1]}(\.[a-z][a-z0-9_]*){{2}}", method.access.permission)
    ]

    assert bad == [], "the access option must be public or a permission <service>.<resource>.<verb>"


def test_only_tokens_and_keys_are_public(known):
    public = {method.full_name for method in known.methods if method.access.public}

    assert public == {
        "kelola.identity.v1.TokenService.IssueToken",
        "kelola.identity.v1.TokenService.GetJsonWebKeySet",
    }


def test_every_mutation_can_be_repeated_by_its_request_id(known):
    bad = []
    for method in known.methods:
        request_id = known.messages[method.request].field("request_id")
        if _reads(method):
            if request_id is not None:
                bad.append(f"{method.full_name} reads, and takes a request_id")
        elif request_id is None:
            bad.append(f"{method.full_name} changes something, and takes no request_id")
        elif request_id.behaviors != {"REQUIRED"} or not request_id.rules.string.uuid:
            bad.append(f"{method.full_name}: request_id must be REQUIRED and a uuid")

    assert bad == []


def test_requests_are_named_after_their_rpc_and_never_shared(known):
    bad = [
        f"{method.full_name} takes {method.request}"
        for method in known.methods
        if method.request.rpartition(".")[2] != f"{method.proto.name}Request"
    ]

    assert bad == []


def test_standard_methods_return_the_resource_and_custom_ones_their_own_response(known):
    bad = []
    for method in known.methods:
        answer, name = method.response.rpartition(".")[2], method.proto.name
        standard = _STANDARD.match(name)
        verb, noun = standard.groups() if standard else ("", "")
        if method.response == "google.longrunning.Operation":
            continue
        if verb in ("Get", "Create", "Update"):
            # A report that is computed, not kept, is no resource: its answer is a response.
            expected = {noun, f"{name}Response"} if verb == "Get" else {noun}
        elif verb == "List":
            expected = {f"{name}Response"}
        else:
            expected = {f"{name}Response"}
        if answer not in expected:
            bad.append(f"{method.full_name} returns {answer}, not {' or '.join(sorted(expected))}")

    assert bad == []


def test_a_resource_has_its_name_and_its_id(known):
    resources = {
        method.response
        for method in known.methods
        if method.proto.name.startswith(("Get", "Create", "Update"))
        and method.response in known.messages
        and not method.response.endswith("Response")
        and not method.access.public
    }
    bad = []
    for resource in sorted(resources):
        message = known.messages[resource]
        name, own_id = message.field("name"), message.field(f"{_snake(message.name)}_id")
        if name is None or name.proto.number != 1 or name.behaviors != {"IDENTIFIER"}:
            bad.append(f"{resource}: `string name = 1` must be there, IDENTIFIER")
        if own_id is None or own_id.proto.number != 2 or own_id.behaviors != {"OUTPUT_ONLY"}:
            bad.append(f"{resource}: `string {_snake(message.name)}_id = 2` must be there, OUTPUT_ONLY")

    assert bad == []


def test_get_asks_by_name(known):
    bad = [
        method.full_name
        for method in known.methods
        if method.proto.name.startswith("Get")
        and not method.response.endswith("Response")
        and known.messages[method.request].field("name") is None
    ]

    assert bad == []


def test_lists_have_pages(known):
    bad = []
    for method in known.methods:
        if not method.proto.name.startswith("List"):
            continue
        request, response = known.messages[method.request], known.messages[method.response]
        wanted = {"page_size": "int32", "page_token": "string"}
        for name, kind in wanted.items():
            if (found := request.field(name)) is None or found.type_name != kind:
                bad.append(f"{method.full_name}: {kind} {name} is missing in the request")
        if response.field("next_page_token") is None:
            bad.append(f"{method.full_name}: next_page_token is missing in the response")
        if not response.fields or not response.fields[0].repeated:
            bad.append(f"{method.full_name}: the first field of the response must be the repeated one")

    assert bad == []


def test_updates_have_a_mask_and_guard_against_lost_updates(known):
    bad = []
    for method in known.methods:
        if method.proto.name.startswith("Update"):
            mask = known.messages[method.request].field("update_mask")
            if mask is None or mask.type_name != "google.protobuf.FieldMask":
                bad.append(f"{method.full_name}: update_mask is missing")
            if known.messages[method.response].field("etag") is None:
                bad.append(f"{method.response}: it can be updated, so it needs an etag")

    assert bad == []


def test_every_field_of_the_rpcs_says_how_it_behaves(known):
    roots = {method.request for method in known.methods} | {method.response for method in known.methods}
    bad = [
        f"{name}.{each.name}"
        for name in sorted(_reachable(known, roots))
        for each in known.messages[name].fields
        if not each.behaviors
    ]

    assert bad == []


def test_every_text_and_list_that_callers_send_has_a_limit(known):
    bad = []
    for message, each in _inputs(known):
        rules = each.rules
        items = rules.repeated.items if each.repeated else rules
        if each.repeated and not (rules.repeated.HasField("max_items") or rules.map.HasField("max_pairs")):
            bad.append(f"{message.full_name}.{each.name}: max_items is missing")
        if each.type_name == "string" and not (
            items.string.HasField("max_len")
            or items.string.HasField("len")
            or items.string.HasField("const")
            or items.string.HasField("pattern")
            or any(getattr(items.string, rule) for rule in _UUID_RULES)
            or getattr(items.string, "in")
        ):
            bad.append(f"{message.full_name}.{each.name}: max_len, uuid or pattern is missing")
        if each.type_name == "bytes" and not items.bytes.HasField("max_len"):
            bad.append(f"{message.full_name}.{each.name}: max_len is missing")

    assert bad == []


def test_references_are_uuids(known):
    bad = [
        f"{message.full_name}.{each.name}"
        for message, each in _inputs(known)
        if each.type_name == "string"
        and each.name.endswith(("_id", "_ids"))
        and each.name not in _FOREIGN_IDS
        and not (each.rules.repeated.items if each.repeated else each.rules).string.uuid
    ]

    assert bad == []


def test_required_messages_are_required_by_a_rule_that_runs(known):
    """field_behavior is a comment; only buf.validate refuses the call. An update names only what it changes."""
    updated = {method.response for method in known.methods if method.proto.name.startswith("Update")}
    bad = [
        f"{message.full_name}.{each.name}"
        for message, each in _inputs(known)
        if "REQUIRED" in each.behaviors
        and message.full_name not in updated
        and not each.repeated
        and each.type_name.partition(".")[0] in ("kelola", "google")
        and each.type_name not in known.enums
        and not each.rules.required
        and not each.proto.HasField("oneof_index")
    ]

    assert bad == []


def test_no_float_travels(known):
    bad = [
        f"{message.full_name}.{each.name}"
        for message in known.messages.values()
        for each in message.fields
        if each.type_name in ("float", "double")
    ]

    assert bad == [], "amounts are google.type.Money, quantities and rates google.type.Decimal"


def test_amounts_are_money(known):
    bad = [
        f"{message.full_name}.{each.name} is {each.type_name}"
        for message in known.messages.values()
        for each in message.fields
        if re.search(r"(^|_)(amount|price|value_amount)$", each.name) and each.type_name.startswith(("int", "uint"))
    ]

    assert bad == []


def test_events_live_in_event_files_and_travel_in_their_services_topic(known):
    bad = []
    for event in known.events:
        if not event.file.endswith("_events.proto"):
            bad.append(f"{event.full_name} is in {event.file}")
        if not re.fullmatch(r"[a-z][a-z_]*", event.event_area or ""):
            bad.append(f"{event.full_name}: area {event.event_area!r}")
        agency = event.field("agency_id")
        if agency is not None and agency.type_name != "string":
            bad.append(f"{event.full_name}.agency_id is no string")

    assert bad == []
    assert known.events
