"""Tokens: who signs them, how they are verified, how a service signs its own (JWT, RFC 7519).

People's tokens come from one issuer, whose keys are fetched as a JWKS and kept. A service signs tokens for
its own calls with its own key; they name the recorded person and agencies for whom it acts.
Only `Ed25519` (RFC 9864) and `ES256` are accepted; `none` and HMAC never are.
"""

from __future__ import annotations

import base64
import hashlib
import json
import threading
import time
import urllib.request
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID, uuid4

import structlog
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, OKPKey

from chassis.call import Grant, Principal
from chassis.errors import Unauthenticated, Unavailable
from chassis.policy import Policy

log = structlog.get_logger("chassis.auth")

ALGORITHMS = ("Ed25519", "ES256")
SERVICE_ISSUER = "kelola:service:"
# The `sub` of whoever runs the platform, who is no person: it registers the first ones.
OPERATOR_SUBJECT = "operator"
# How far clocks may be apart (seconds).
LEEWAY_SECONDS = 30
SERVICE_TOKEN_SECONDS = 60
_SERVICE_TOKEN_SECONDS_MAX = 300
_TOKEN_BYTES_MAX = 64 * 1024
_TOKENS_KEPT_MAX = 10_000

# Keys: read again after this age; a key id that is unknown causes a read at most every few seconds, so that
# made-up ids do not become a flood; when the issuer is away, the keys last read hold for ten minutes.
_KEYS_FRESH_SECONDS = 300.0
_KEYS_ASK_AGAIN_SECONDS = 5.0
_KEYS_STALE_SECONDS = 600.0
_KEYS_TIMEOUT_SECONDS = 3.0
_KEYS_BYTES_MAX = 1024 * 1024

SigningKey = OKPKey | ECKey


class TokenInvalid(Unauthenticated):
    """The token does not hold: malformed, forged, expired, or for somebody else."""

    reason = "TOKEN_INVALID"


class TokenExpired(Unauthenticated):
    """The token's time is over; get a new one."""

    reason = "TOKEN_EXPIRED"


class TokenMissing(Unauthenticated):
    """The call carries no token."""

    reason = "TOKEN_MISSING"


class KeysUnavailable(Unavailable):
    """The issuer's keys cannot be read, so no token can be judged."""

    reason = "TOKEN_KEYS_UNAVAILABLE"


class KeySource:
    """The public keys behind one JWKS address (file:// or http(s)://), kept and read again as needed."""

    def __init__(self, url: str, *, clock: Callable[[], float] = time.monotonic) -> None:
        if urlsplit(url).scheme not in ("file", "http", "https"):
            raise ValueError(f"a JWKS address begins with file://, http:// or https://, not {url!r}")
        self._url, self._clock = url, clock
        self._lock = threading.Lock()
        self._keys: dict[str, SigningKey] = {}
        self._read_at: float | None = None
        self._asked_at: float | None = None

    def key(self, kid: str) -> SigningKey | None:
        """The key with this id; None when the issuer has none such. Raises `KeysUnavailable`."""
        now = self._clock()
        found = self._keys.get(kid)
        if found is not None and self._read_at is not None and now - self._read_at < _KEYS_FRESH_SECONDS:
            return found
        with self._lock:
            if self._asked_at is None or now - self._asked_at >= _KEYS_ASK_AGAIN_SECONDS:
                self._asked_at = now
                self._read(now)
            if self._read_at is None or now - self._read_at > _KEYS_STALE_SECONDS:
                raise KeysUnavailable("the keys of the token issuer cannot be read; retry later")
            return self._keys.get(kid)

    def _read(self, now: float) -> None:
        try:
            with urllib.request.urlopen(self._url, timeout=_KEYS_TIMEOUT_SECONDS) as answer:  # noqa: S310
                document = json.loads(answer.read(_KEYS_BYTES_MAX))
            keys = {entry["kid"]: _import_public(entry) for entry in document["keys"] if "kid" in entry}
        except (OSError, ValueError, KeyError, TypeError, JoseError):
            log.warning("token keys cannot be read", url=self._url, kept=len(self._keys))
            return
        self._keys, self._read_at = {kid: key for kid, key in keys.items() if key is not None}, now


def _import_public(entry: Mapping[str, str]) -> SigningKey | None:
    if entry.get("kty") == "OKP" and entry.get("crv") == "Ed25519":
        return OKPKey.import_key(dict(entry))
    if entry.get("kty") == "EC" and entry.get("crv") == "P-256":
        return ECKey.import_key(dict(entry))
    return None


class Authenticator:
    """From a bearer token to a `Principal`. Verified tokens are kept, by their hash, until they expire."""

    def __init__(
        self,
        *,
        audience: str,
        issuer: str,
        people: KeySource | None,
        services: KeySource | None,
        policy: Policy,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._audience, self._issuer = audience, issuer
        self._people, self._services, self._policy, self._now = people, services, policy, now
        self._kept: dict[bytes, tuple[int, Principal]] = {}
        self._lock = threading.Lock()

    def principal(self, token: str) -> Principal:
        """The principal that `token` proves. Raises `TokenInvalid`, `TokenExpired` or `KeysUnavailable`."""
        mark = hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
        kept = self._kept.get(mark)
        if kept is not None and self._now() < kept[0]:
            return kept[1]
        if len(token) > _TOKEN_BYTES_MAX:
            raise TokenInvalid(f"the token is longer than {_TOKEN_BYTES_MAX} bytes")
        claims = self._claims(token)
        principal = self._principal(claims)
        self._keep(mark, claims["exp"], principal)
        return principal

    def anonymous(self) -> Principal:
        """Whoever calls a public RPC: nobody in particular, with no grants."""
        return Principal("anonymous", None, ())

    def _keep(self, mark: bytes, expires: int, principal: Principal) -> None:
        with self._lock:
            if len(self._kept) >= _TOKENS_KEPT_MAX:
                now = self._now()
                self._kept = {m: kept for m, kept in self._kept.items() if kept[0] > now}
                if len(self._kept) >= _TOKENS_KEPT_MAX:
                    self._kept = {}
            self._kept[mark] = (expires, principal)

    def _claims(self, token: str) -> dict[str, Any]:
        header, unverified = _peeked(token)
        issuer, kid = unverified.get("iss"), header.get("kid")
        if header.get("alg") not in ALGORITHMS or not isinstance(kid, str) or not isinstance(issuer, str):
            raise TokenInvalid("the token needs a `kid`, an `iss`, and Ed25519 or ES256 as its algorithm")
        # The issuer only chooses the key here; the claims count once the signature holds.
        if issuer.startswith(SERVICE_ISSUER):
            # A service's key may sign for that service alone.
            source = self._services if kid == issuer.removeprefix(SERVICE_ISSUER) else None
        else:
            source = self._people if issuer == self._issuer else None
        key = source.key(kid) if source is not None else None
        if key is None:
            raise TokenInvalid("the token is not signed by a key of an issuer that this service trusts")
        try:
            claims = dict(jwt.decode(token, key, algorithms=list(ALGORITHMS)).claims)
        except (JoseError, ValueError, TypeError, KeyError) as bad:
            raise TokenInvalid("the token's signature does not hold") from bad
        self._check(claims)
        return claims

    def _check(self, claims: Mapping[str, Any]) -> None:
        now = self._now()
        expires, issued = claims.get("exp"), claims.get("iat")
        # Whole numbers only: NaN, which JSON parsers let through, would never be over.
        if type(expires) is not int or type(issued) is not int:
            raise TokenInvalid("the token needs `exp` and `iat` as whole seconds")
        if now >= expires + LEEWAY_SECONDS:
            raise TokenExpired("the token's time is over; get a new one")
        not_before = claims.get("nbf", issued)
        if type(not_before) is not int or max(issued, not_before) > now + LEEWAY_SECONDS:
            raise TokenInvalid("the token is from the future; set the clocks right")
        audience = claims.get("aud")
        named = [audience] if isinstance(audience, str) else audience
        if not isinstance(named, list) or self._audience not in named:
            raise TokenInvalid(f"the token is not meant for the service {self._audience}")

    def _principal(self, claims: Mapping[str, Any]) -> Principal:
        issuer, subject = str(claims["iss"]), claims.get("sub")
        try:
            if issuer.startswith(SERVICE_ISSUER):
                name = issuer.removeprefix(SERVICE_ISSUER)
                if subject != f"service:{name}" or claims["exp"] - claims["iat"] > _SERVICE_TOKEN_SECONDS_MAX:
                    raise ValueError("not a service's own short token")
                agencies = frozenset(UUID(agency) for agency in claims.get("agencies", []))
                person = UUID(claims["person_id"]) if claims.get("person_id") else None
                grants: tuple[Grant, ...] = (Grant(f"service.{name}", agencies),)
                return Principal(subject, person, grants, service=name, role_holds=self._policy.role_holds)
            # The operator sets up a fresh installation, where no person is registered yet.
            person = None if subject == OPERATOR_SUBJECT else UUID(str(subject))
            grants = tuple(_grant(entry) for entry in claims.get("grants", []))
        except (ValueError, TypeError, KeyError, AttributeError) as bad:
            raise TokenInvalid("the token's `sub`, `grants` or `agencies` are not of the agreed form") from bad
        return Principal(str(person or subject), person, grants, role_holds=self._policy.role_holds)


def _grant(entry: Mapping[str, Any]) -> Grant:
    role = entry["role"]
    # Roles of services are never granted to people, whatever an issuer writes.
    if not isinstance(role, str) or role.startswith("service."):
        raise ValueError("not a role for people")
    return Grant(role, frozenset(UUID(agency) for agency in entry["agencies"]))


def _peeked(token: str) -> tuple[dict[str, Any], dict[str, Any]]:
    parts = token.split(".")
    try:
        if len(parts) != 3:
            raise ValueError("not three parts")
        header, claims = (json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))) for part in parts[:2])
        if not isinstance(header, dict) or not isinstance(claims, dict):
            raise ValueError("not objects")
    except (ValueError, RecursionError) as bad:
        raise TokenInvalid("the token is not a signed JWT") from bad
    return header, claims


def bearer(metadata: Iterable[tuple[str, str | bytes]] | None) -> str:
    """The token in the call's metadata (`authorization: Bearer …`). Raises `TokenMissing` or `TokenInvalid`."""
    for key, value in metadata or ():
        if key.lower() == "authorization" and isinstance(value, str):
            scheme, _, token = value.partition(" ")
            if scheme.lower() != "bearer" or not token.strip():
                raise TokenInvalid("authorization is not of the form `Bearer <token>`")
            return token.strip()
    raise TokenMissing("the call carries no token; send `authorization: Bearer <token>`")


# --- signing --------------------------------------------------------------------------------------------


def new_key(kid: str) -> OKPKey:
    """A fresh Ed25519 signing key with this id."""
    return OKPKey.generate_key("Ed25519", {"kid": kid, "alg": "Ed25519", "use": "sig"})


def load_key(file: Path) -> SigningKey:
    """The private key in a JWK file. Raises ValueError when it is not one of ours."""
    key = _import_public(json.loads(file.read_text(encoding="utf-8")))
    if key is None or not key.is_private or not key.kid:
        raise ValueError(f"{file.name} holds no private Ed25519 or P-256 key with a `kid`")
    return key


def write_key(key: SigningKey, file: Path) -> None:
    """Store the private key, readable by the owner alone."""
    file.touch(mode=0o600)
    file.write_text(json.dumps(key.as_dict(private=True)), encoding="utf-8")


def public_jwks(keys: Iterable[SigningKey]) -> dict[str, list[dict[str, Any]]]:
    """The JWKS document of the keys' public parts."""
    return {"keys": [dict(key.as_dict(private=False)) for key in keys]}


def issue_token(
    key: SigningKey,
    *,
    issuer: str,
    subject: str,
    audience: Sequence[str],
    lifetime_seconds: int,
    claims: Mapping[str, Any] | None = None,
    now: float | None = None,
) -> str:
    """A signed JWT for `subject`. `claims` are added: `grants` for a person."""
    issued = int(time.time() if now is None else now)
    body = {
        **(claims or {}),
        "iss": issuer,
        "sub": subject,
        "aud": list(audience),
        "iat": issued,
        "exp": issued + lifetime_seconds,
        "jti": str(uuid4()),
    }
    algorithm = "ES256" if isinstance(key, ECKey) else "Ed25519"
    return jwt.encode({"alg": algorithm, "kid": key.kid}, body, key, algorithms=[algorithm])


def grants_claim(grants: Iterable[tuple[str, Iterable[UUID]]]) -> list[dict[str, Any]]:
    """The `grants` claim: (role, agencies) pairs, the agencies already expanded over the tree."""
    return [{"role": role, "agencies": [str(agency) for agency in agencies]} for role, agencies in grants]


def service_token(
    key: SigningKey,
    *,
    service: str,
    audience: str,
    person_id: UUID | None,
    agencies: Iterable[UUID],
    now: float | None = None,
) -> str:
    """A token that `service` signs for one call to `audience`, for the recorded person and agencies."""
    return issue_token(
        key,
        issuer=f"{SERVICE_ISSUER}{service}",
        subject=f"service:{service}",
        audience=[audience],
        lifetime_seconds=SERVICE_TOKEN_SECONDS,
        claims={
            "agencies": [str(agency) for agency in agencies],
            **({"person_id": str(person_id)} if person_id else {}),
        },
        now=now,
    )
