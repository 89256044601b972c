"""`kelola services`, `call`, `token`: any RPC of the running system, as any person, by reflection."""

from __future__ import annotations

import itertools
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from cli.output import Json, console, errors, fail, line, show, table

As = Annotated[str, typer.Option("--as", help="A person's id (UUID), or `operator`.")]


def services(
    service: Annotated[str | None, typer.Argument(help="Only this service.")] = None, as_json: Json = False
) -> None:
    """List the RPCs that the running services offer, with the permission that each asks for."""
    from cli.connect import NotRunning, running_system
    from cli.reflection import methods

    rows = []
    try:
        with running_system() as system:
            for name in [service] if service else system.addresses:
                for method in methods(system, name):
                    access = _access(method.descriptor.GetOptions().SerializeToString())
                    rows.append(
                        {
                            "service": name,
                            "rpc": method.full_name,
                            "kind": method.kind,
                            "permission": "(public)" if access.public else access.permission,
                        }
                    )
    except NotRunning as missing:
        fail(str(missing), as_json=as_json)
    show(rows, as_json=as_json, human=lambda: table(rows, ["service", "rpc", "kind", "permission"]))


def _access(raw_options: bytes) -> Any:
    """The `access` option of an RPC, from the bytes of its options as the service sent them."""
    from google.protobuf import descriptor_pb2

    from kelola.type.v1 import options_pb2

    return descriptor_pb2.MethodOptions.FromString(raw_options).Extensions[options_pb2.access]


def call(
    method: Annotated[str, typer.Argument(help="For instance BudgetService/ListBudgetLines.")],
    body: Annotated[
        str, typer.Argument(help="The request as JSON, @file, or - for stdin; several JSON lines for a client stream.")
    ] = "{}",
    person: As = "operator",
    request_id: Annotated[
        str | None, typer.Option(help="For a mutation that shall be safe to repeat; otherwise one is made.")
    ] = None,
    timeout: Annotated[float, typer.Option(help="Seconds to wait.")] = 30.0,
    count: Annotated[int | None, typer.Option(min=1, help="End a server stream after so many messages.")] = None,
    as_json: Json = False,
) -> None:
    """Call any RPC, streams too. Prints the answer as JSON (a stream: one line a message).

    A service's health as it changes: kelola call finance.grpc.health.v1.Health/Watch --count 1
    """
    import grpc
    from google.protobuf import json_format

    from cli.connect import NotRunning, refusal, running_system
    from cli.reflection import find_method

    streams = False
    try:
        with running_system() as system:
            found = find_method(system, method)
            streams = bool(found.descriptor.server_streaming)
            requests = [found.request(fields, request_id) for fields in _documents(body)]
            if not found.descriptor.client_streaming and len(requests) != 1:
                fail(f"{method} takes one request, {len(requests)} were given", as_json=as_json, status=2)
            if not request_id and "request_id" in found.descriptor.input_type.fields_by_name and not as_json:
                errors.print(f"request_id {requests[0].request_id}", style="dim", markup=False)  # type: ignore[attr-defined]  # a field that its descriptor has
            metadata = [] if _is_public(found) else system.metadata(person)
            channel = system.channel(found.service)
            answers = found.call(channel, requests, metadata=metadata, timeout=timeout)
            for answer in itertools.islice(answers, count):
                if streams:
                    line(answer)
                else:
                    print(json.dumps(answer, indent=None if as_json else 2, ensure_ascii=False))
    except (NotRunning, LookupError) as missing:
        fail(str(missing), as_json=as_json, status=2)
    except (json_format.ParseError, json.JSONDecodeError) as bad:
        fail(f"the request does not fit {method}: {bad}", as_json=as_json, status=2)
    except grpc.RpcError as error:
        said = refusal(error)
        fail(f"{said.pop('code')}: {said.pop('message')}", as_json=as_json, as_line=streams, **said)


def _is_public(method: Any) -> bool:
    return bool(_access(method.descriptor.GetOptions().SerializeToString()).public)


def _documents(body: str) -> Iterator[Any]:
    """The JSON documents of `body`: one, or several behind one another."""
    if body == "-":
        body = sys.stdin.read()
    elif body.startswith("@"):
        body = Path(body[1:]).read_text(encoding="utf-8")
    decoder, rest = json.JSONDecoder(), body.strip()
    while rest:
        document, end = decoder.raw_decode(rest)
        yield from document if isinstance(document, list) else [document]
        rest = rest[end:].strip()


def token(
    person: Annotated[str, typer.Argument(help="A person's id (UUID), or `operator`.")] = "operator",
    audience: Annotated[list[str] | None, typer.Option(help="Services that shall accept it (default: all).")] = None,
    as_json: Json = False,
) -> None:
    """Print a bearer token for a person, signed by identity at the operator's request."""
    import grpc

    from cli.connect import TOKEN_SECONDS, NotRunning, refusal, running_system

    try:
        with running_system() as system:
            value = system.token(person, audience)
    except NotRunning as missing:
        fail(str(missing), as_json=as_json)
    except grpc.RpcError as error:
        said = refusal(error)
        fail(f"{said.pop('code')}: {said.pop('message')}", as_json=as_json, **said)
    show(
        {"access_token": value, "token_type": "Bearer", "expires_in": TOKEN_SECONDS},
        as_json=as_json,
        human=lambda: console.print(value, soft_wrap=True, markup=False),
    )
