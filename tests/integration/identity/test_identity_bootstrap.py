"""From an empty database to a person who may act: what the operator does on the first day."""

from __future__ import annotations

import json
import urllib.request

from joserfc import jwt
from joserfc.jwk import OKPKey

from kelola.identity.v1 import token_pb2


def claims_of(service, token: str) -> dict:
    keys = service.tokens.GetJsonWebKeySet(token_pb2.GetJsonWebKeySetRequest(), timeout=10).keys
    fields = {field.name: getattr(keys[0], field.name) for field in keys[0].DESCRIPTOR.fields}
    return jwt.decode(token, OKPKey.import_key(fields), algorithms=["Ed25519"]).claims


def test_the_operator_founds_a_government_and_grants_the_first_role(service):
    government = service.created_agency("11")
    with_government = service.token()
    health = service.created_agency("1.02", government, token=with_government)
    clinic = service.created_agency("1.02.01", health, token=with_government)
    person = service.registered()
    service.granted(person, "identity.administrator", health)

    claims = claims_of(service, service.token(person.person_id, audiences=["identity", "hr"]))

    assert claims["sub"] == person.person_id
    assert claims["aud"] == ["hr", "identity"]
    assert claims["grants"] == [
        {"role": "identity.administrator", "agencies": sorted([health.agency_id, clinic.agency_id])}
    ]
    assert claims["exp"] - claims["iat"] == 600


def test_keys_are_the_same_over_http_and_grpc(service):
    address = service.settings.http_address_file.read_text()

    with urllib.request.urlopen(f"http://{address}/jwks.json", timeout=5) as answer:
        served = json.load(answer)["keys"]
    with urllib.request.urlopen(f"http://{address}/.well-known/openid-configuration", timeout=5) as answer:
        configuration = json.load(answer)

    by_grpc = service.tokens.GetJsonWebKeySet(token_pb2.GetJsonWebKeySetRequest(), timeout=10).keys
    assert [key["x"] for key in served] == [key.x for key in by_grpc]
    assert all("d" not in key for key in served)
    assert configuration["issuer"] == service.settings.token_issuer
    assert configuration["jwks_uri"] == f"http://{address}/jwks.json"
