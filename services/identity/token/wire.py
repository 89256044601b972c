"""Tokens and keys between the wire and the domain."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from chassis.errors import InvalidArgument
from chassis.wire import to_timestamp, to_uuid
from kelola.identity.v1 import token_pb2
from services.identity.token.domain import OPERATOR_SUBJECT, TokenOrder

KEY_SET = "jsonWebKeySet"
_BEARER = "Bearer"


def token_order(request: token_pb2.IssueTokenRequest) -> TokenOrder:
    """The token that a client asks for."""
    subject = request.subject
    return TokenOrder(
        person_id=None if subject == OPERATOR_SUBJECT else to_uuid(subject, "subject"),
        audiences=tuple(sorted(request.audiences)),
        lifetime=request.lifetime.ToTimedelta() if request.HasField("lifetime") else None,
        agency_ids=frozenset(to_uuid(agency_id, "agency_ids") for agency_id in request.agency_ids),
    )


def token_message(token: str, expires_at: datetime) -> token_pb2.IssueTokenResponse:
    """The issued token."""
    return token_pb2.IssueTokenResponse(
        access_token=token,
        token_type=_BEARER,
        expires_at=to_timestamp(expires_at),
    )


def require_key_set_name(name: str) -> None:
    """Refuse any other name than that of the one key set."""
    if name not in ("", KEY_SET):
        raise InvalidArgument.field("name", f"the only key set is {KEY_SET}")


def key_set_message(document: Mapping[str, Sequence[Mapping[str, Any]]]) -> token_pb2.JsonWebKeySet:
    """The public keys of a JWKS document."""
    shown = token_pb2.JsonWebKey.DESCRIPTOR.fields_by_name
    return token_pb2.JsonWebKeySet(
        name=KEY_SET,
        keys=[
            token_pb2.JsonWebKey(**{field: str(key[field]) for field in shown if field in key})
            for key in document["keys"]
        ],
    )
