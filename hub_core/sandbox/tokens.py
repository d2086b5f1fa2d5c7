"""Access tokens: really signed with RS256, and judged as the API judges them, with its exact refusals."""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

from hub_core.sandbox.wire import compact

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

LIFETIME = 3600
SKEW = 300
"""Seconds a token is still accepted after its end and already before its start."""

_PARTS = 3


class Signer:
    """The key pair of the sandbox, made at the first token. Servers differ by the name they give their key."""

    @cached_property
    def _key(self) -> RSAPrivateKey:
        from cryptography.hazmat.primitives.asymmetric import rsa  # noqa: PLC0415 - only once a token is wanted

        return rsa.generate_private_key(public_exponent=65537, key_size=2048)

    def sign(self, claims: dict[str, Any], *, kid: str, typ: str = "at+jwt") -> str:
        """Return the claims as a signed token."""
        from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15  # noqa: PLC0415 - as above
        from cryptography.hazmat.primitives.hashes import SHA256  # noqa: PLC0415 - as above

        header = {"alg": "RS256", "kid": kid, "x5t": thumbprint_of(kid), "typ": typ}
        signed = f"{_encode(compact(header))}.{_encode(compact(claims))}"
        return f"{signed}.{_encode(self._key.sign(signed.encode(), PKCS1v15(), SHA256()))}"

    def signed(self, token: str) -> bool:
        """Tell whether the signature of a token of three parts is ours."""
        from cryptography.exceptions import InvalidSignature  # noqa: PLC0415 - as above
        from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15  # noqa: PLC0415 - as above
        from cryptography.hazmat.primitives.hashes import SHA256  # noqa: PLC0415 - as above

        signed, _, signature = token.rpartition(".")
        try:
            self._key.public_key().verify(_decode(signature), signed.encode(), PKCS1v15(), SHA256())
        except (InvalidSignature, ValueError):
            return False
        return True

    def key_set(self, kid: str) -> dict[str, Any]:
        """Return the public half as the document an API fetches it by."""
        numbers = self._key.public_key().public_numbers()
        key = {
            "kty": "RSA",
            "use": "sig",
            "kid": kid,
            "x5t": thumbprint_of(kid),
            "e": _encode(numbers.e.to_bytes(3, "big")),
            "n": _encode(numbers.n.to_bytes(256, "big")),
            "alg": "RS256",
        }
        return {"keys": [key]}


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the API thinks of a token: its claims, or the `WWW-Authenticate` value of the refusal."""

    claims: dict[str, Any] | None
    challenge: str = ""


@dataclass(frozen=True, slots=True)
class Judge:
    """One API's view: which key it knows, which issuer it expects, what time it has."""

    signer: Signer
    kid: str
    issuer: str
    now: datetime

    def judge(self, token: str) -> Verdict:
        """Judge a token in the order the JWT library checks things."""
        parsed = parse(token)
        if parsed is None:
            return _refused("")
        header, claims = parsed
        known = header.get("kid") == self.kid
        if known and not self.signer.signed(token):
            return _refused("The signature is invalid")
        problem = self._lifetime(claims) or self._issuer(claims)
        if problem:
            return _refused(problem)
        if not known:
            return _refused("The signature key was not found")
        if header.get("typ") != "at+jwt":
            return _refused("")
        return Verdict(claims)

    def _lifetime(self, claims: dict[str, Any]) -> str:
        now = self.now.timestamp()
        if now < claims["nbf"] - SKEW:
            return f"The token is not valid before '{_invariant(claims['nbf'])}'"
        if now > claims["exp"] + SKEW:
            return f"The token expired at '{_invariant(claims['exp'])}'"
        return ""

    def _issuer(self, claims: dict[str, Any]) -> str:
        return "" if claims["iss"] == self.issuer else f"The issuer '{claims['iss']}' is invalid"


def parse(token: str) -> tuple[dict[str, Any], dict[str, Any]] | None:
    """Return header and claims of anything that looks like an access token, unjudged."""
    parts = token.split(".")
    if len(parts) != _PARTS:
        return None
    try:
        header, claims = (json.loads(_decode(part)) for part in parts[:2])
    except ValueError:
        return None
    if not isinstance(header, dict) or not isinstance(claims, dict):
        return None
    numbers = isinstance(claims.get("nbf"), int) and isinstance(claims.get("exp"), int)
    return (header, claims) if numbers and isinstance(claims.get("iss"), str) else None


def kid_of(name: str) -> str:
    """Return the name of a server's signing key: a certificate's thumbprint and the algorithm."""
    return hashlib.sha1(f"sandbox signing key of {name}".encode(), usedforsecurity=False).hexdigest().upper() + "RS256"


def thumbprint_of(kid: str) -> str:
    """Return the same thumbprint as the header field `x5t` spells it."""
    return _encode(bytes.fromhex(kid.removesuffix("RS256")))


def _refused(description: str) -> Verdict:
    challenge = 'Bearer error="invalid_token"'
    return Verdict(None, f'{challenge}, error_description="{description}"' if description else challenge)


def _invariant(seconds: int) -> str:
    """Write a time as .NET's invariant culture does."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%m/%d/%Y %H:%M:%S")


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _decode(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
