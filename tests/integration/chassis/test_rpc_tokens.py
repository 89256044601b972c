"""Which tokens open the door, and which do not: each forged, stale or foreign one over a real socket."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4

import grpc
import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, OctKey

from chassis import auth
from chassis.testing import ISSUER, call_as, refused
from tests.integration.chassis.greeter import Greeter, greeter, pb

HOUR = 3600


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Greeter]:
    with greeter(tmp_path_factory.mktemp("greeter")) as service:
        yield service


def _part(value: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


def _claims(door: Greeter, **more: Any) -> dict[str, Any]:
    now = int(time.time())
    return {
        "iss": ISSUER,
        "sub": str(uuid4()),
        "aud": ["greeter"],
        "iat": now,
        "exp": now + HOUR,
        "grants": [{"role": "greeter.reader", "agencies": [str(door.agency)]}],
        **more,
    }


def _signed(door: Greeter, claims: dict[str, Any], *, header: dict[str, str] | None = None) -> str:
    key = door.keys.issuer_key
    return jwt.encode(header or {"alg": "Ed25519", "kid": str(key.kid)}, claims, key, algorithms=["Ed25519"])


def _alg_none(door: Greeter) -> str:
    return f"{_part({'alg': 'none', 'kid': 'people-1'})}.{_part(_claims(door))}."


def _alg_none_with_the_signature_of_another(door: Greeter) -> str:
    header, _, signature = door.reader.split(".")
    return f"{header}.{_part(_claims(door))}.{signature}"


def _signed_with_the_public_key_as_a_password(door: Greeter) -> str:
    public = json.dumps(door.keys.issuer_key.as_dict(private=False)).encode()
    return jwt.encode(
        {"alg": "HS256", "kid": "people-1"},
        _claims(door),
        OctKey.import_key(public),
        algorithms=["HS256"],
    )


def _service_signing_as_issuer(door: Greeter) -> str:
    key = door.keys.service_keys["greeter"]
    return jwt.encode({"alg": "Ed25519", "kid": key.kid}, _claims(door), key, algorithms=["Ed25519"])


def _issuer_signing_as_service(door: Greeter) -> str:
    claims = _claims(door, iss="kelola:service:greeter", sub="service:greeter", agencies=[])
    return _signed(door, claims)


def _service_under_another_name(door: Greeter) -> str:
    key = door.keys.service_keys["greeter"]
    claims = _claims(door, iss="kelola:service:finance", sub="service:finance", agencies=[])
    return jwt.encode({"alg": "Ed25519", "kid": key.kid}, claims, key, algorithms=["Ed25519"])


def _service_for_a_year(door: Greeter) -> str:
    key = door.keys.service_keys["greeter"]
    return auth.issue_token(
        key,
        issuer="kelola:service:greeter",
        subject="service:greeter",
        audience=["greeter"],
        lifetime_seconds=365 * 86_400,
        claims={"agencies": [str(door.agency)]},
    )


FORGED: dict[str, Callable[[Greeter], str]] = {
    "garbage": lambda door: "garbage",
    "three empty parts": lambda door: "..",
    "alg none": _alg_none,
    "another's signature": _alg_none_with_the_signature_of_another,
    "HMAC with the public key": _signed_with_the_public_key_as_a_password,
    "a key of one's own": lambda door: door.keys.token(uuid4(), audience="greeter", key=auth.new_key("people-1")),
    "an unknown key id": lambda door: door.keys.token(uuid4(), audience="greeter", key=auth.new_key("people-9")),
    "no key id": lambda door: _signed(door, _claims(door), header={"alg": "Ed25519"}),
    "another issuer": lambda door: door.keys.token(uuid4(), audience="greeter", issuer="https://evil.invalid"),
    "another audience": lambda door: door.keys.token(uuid4(), audience="finance"),
    "no audience": lambda door: _signed(door, _claims(door, aud=None)),
    "from the future": lambda door: door.keys.token(uuid4(), audience="greeter", now=time.time() + HOUR),
    "not yet valid": lambda door: _signed(door, _claims(door, nbf=int(time.time()) + HOUR)),
    "without an end": lambda door: _signed(door, _claims(door, exp=None)),
    "with an endless end": lambda door: _signed(door, _claims(door, exp=float("nan"))),
    "an end as text": lambda door: _signed(door, _claims(door, exp=str(int(time.time()) + HOUR))),
    "a subject that is no person": lambda door: _signed(door, _claims(door, sub="root")),
    "grants of another form": lambda door: _signed(door, _claims(door, grants={"role": "greeter.reader"})),
    "a service's role for a person": lambda door: _signed(
        door, _claims(door, grants=[{"role": "service.greeter", "agencies": []}])
    ),
    "a service's key for a person": _service_signing_as_issuer,
    "the issuer's key for a service": _issuer_signing_as_service,
    "a service under another's name": _service_under_another_name,
    "a service's token for a year": _service_for_a_year,
}


@pytest.mark.parametrize("forgery", FORGED)
def test_a_token_that_does_not_hold_opens_nothing(door: Greeter, forgery: str) -> None:
    token = FORGED[forgery](door)

    seen = refused(door.stub.Greet, pb.GreetRequest(name="Sri"), token)

    assert (seen.code, seen.reason) == (grpc.StatusCode.UNAUTHENTICATED, "TOKEN_INVALID")
    assert token not in seen.message


def test_an_expired_token_says_so(door: Greeter) -> None:
    token = door.keys.token(
        uuid4(), grants=[("greeter.reader", [door.agency])], audience="greeter", now=time.time() - 2 * HOUR
    )

    seen = refused(door.stub.Greet, pb.GreetRequest(name="Sri"), token)

    assert (seen.code, seen.reason) == (grpc.StatusCode.UNAUTHENTICATED, "TOKEN_EXPIRED")


def test_a_token_that_was_good_is_not_good_for_ever(door: Greeter) -> None:
    # It is over in a second by its own claim; the leeway is for tokens that come new.
    token = door.keys.token(
        uuid4(),
        grants=[("greeter.reader", [door.agency])],
        audience="greeter",
        now=time.time() - auth.LEEWAY_SECONDS,
        lifetime_seconds=1,
    )
    first = call_as(door.stub.Greet, pb.GreetRequest(name="Sri"), token)
    time.sleep(1.2)

    seen = refused(door.stub.Greet, pb.GreetRequest(name="Sri"), token)

    assert first.text == "Halo, Sri"
    assert seen.reason == "TOKEN_EXPIRED"


def test_another_scheme_than_bearer_is_refused(door: Greeter) -> None:
    with pytest.raises(grpc.RpcError) as failure:
        door.stub.Greet(pb.GreetRequest(name="Sri"), metadata=[("authorization", "Basic cm9vdDpyb290")], timeout=5)

    assert failure.value.code() is grpc.StatusCode.UNAUTHENTICATED


def test_a_service_acts_for_the_recorded_person_in_the_recorded_agency_alone(door: Greeter) -> None:
    person = uuid4()
    token = door.keys.service_token("greeter", audience="greeter", person_id=person, agencies=[door.agency])

    answer = call_as(door.stub.Greet, pb.GreetRequest(name="Sri", agency_id=str(door.agency)), token)
    elsewhere = refused(door.stub.Greet, pb.GreetRequest(name="Sri", agency_id=str(uuid4())), token)

    assert (answer.subject, answer.person_id) == ("service:greeter", str(person))
    assert list(answer.agencies) == [str(door.agency)]
    assert elsewhere.code is grpc.StatusCode.PERMISSION_DENIED


def test_tokens_of_an_es256_issuer_are_accepted(door: Greeter) -> None:
    key = ECKey.generate_key("P-256", {"kid": "people-es256", "alg": "ES256", "use": "sig"})
    document = auth.public_jwks([door.keys.issuer_key, key])
    door.keys.jwks_file.write_text(json.dumps(document), encoding="utf-8")
    token = door.keys.token(uuid4(), grants=[("greeter.reader", [door.agency])], audience="greeter", key=key)

    # A key id that is new makes the service read the keys again, at most every five seconds.
    deadline = time.monotonic() + 15
    while True:
        try:
            assert call_as(door.stub.Greet, pb.GreetRequest(name="Sri"), token).text == "Halo, Sri"
            break
        except grpc.RpcError as failure:
            if time.monotonic() > deadline or failure.code() is not grpc.StatusCode.UNAUTHENTICATED:
                raise
            time.sleep(0.5)
