"""docs/api.md from the protos: every RPC with who may call it and whether it may be repeated."""

from __future__ import annotations

from tools.descriptors import Contracts, Method, Service, contracts, topic_of

_HEADER = """# The API

<!-- Generated from the protos by `make docs`; edit those. -->

Every RPC asks for the permission in its row (roles hold permissions: `deploy/policies/`), in the agency that the
request names. A *mutation* carries a `request_id` (any UUID): repeating it with the same input returns the first
answer, byte for byte; with other input it is FAILED_PRECONDITION, reason IDEMPOTENCY_MISMATCH. Reads may always be
repeated. `kelola services` lists the same of a running system, and `kelola call` calls any of them.
"""


def render() -> str:
    """The page as Markdown."""
    known = contracts()
    parts = [_HEADER]
    for owner in sorted({service.owner for service in known.services}):
        parts.append(f"\n## {owner}\n")
        for service in sorted(known.services, key=lambda each: each.full_name):
            if service.owner == owner:
                parts.append(_service(service, known))
    parts.append(_events(known))
    return "\n".join(parts).rstrip() + "\n"


def _service(service: Service, known: Contracts) -> str:
    lines = [f"### {service.full_name}", "", _one_line(service.comment), ""]
    lines += ["| RPC | kind | permission | what it does |", "|---|---|---|---|"]
    for method in service.methods:
        permission = "public" if method.access.public else f"`{method.access.permission}`"
        lines.append(f"| `{method.proto.name}` | {_kind(method, known)} | {permission} | {_one_line(method.comment)} |")
    return "\n".join([*lines, ""])


def _kind(method: Method, known: Contracts) -> str:
    streams = [
        name
        for name, streamed in (
            ("client stream", method.proto.client_streaming),
            ("server stream", method.proto.server_streaming),
        )
        if streamed
    ]
    request = known.messages.get(method.request)
    repeatable = request is not None and request.field("request_id") is not None
    return ", ".join(["mutation" if repeatable else "read", *streams])


def _events(known: Contracts) -> str:
    lines = ["\n## Events", "", "CloudEvents on Kafka; `docs/asyncapi.yaml` has their schemas.", ""]
    lines += ["| topic | event | what happened |", "|---|---|---|"]
    for event in sorted(known.events, key=lambda each: (topic_of(each), each.name)):
        lines.append(f"| `{topic_of(event)}` | `{event.name}` | {_one_line(event.comment)} |")
    return "\n".join([*lines, ""])


def _one_line(comment: str) -> str:
    return comment.replace("\n", " ").replace("|", "\\|")
