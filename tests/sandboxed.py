"""A served sandbox for tests, with an invented time, and the requests the tests send to it."""

from __future__ import annotations

import base64
import json
import ssl
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import httpx

from hub_core.sandbox import Sandbox, SandboxOrganization, ServerName, endpoints_of, serve

if TYPE_CHECKING:
    from collections.abc import Iterator

SCOPE = "api.organization"
DEVICE = {"device_identifier": "5f0c", "device_name": "test", "device_type": "8"}
SECURITY = {"x-frame-options": "SAMEORIGIN", "x-xss-protection": "1; mode=block", "x-content-type-options": "nosniff"}


class Bench:
    """One served sandbox and a client that trusts it."""

    start = datetime(2026, 8, 20, 12, 0, 0, tzinfo=UTC)

    def __init__(self, issuers: dict[ServerName, str] | None = None) -> None:
        self.now = self.start
        self.sandbox = Sandbox(clock=lambda: self.now, rate_limits=False, issuers=issuers)
        self.running = serve(self.sandbox)
        context = ssl.create_default_context(cadata=self.running.ca_pem)
        self.http = httpx.Client(verify=context, trust_env=False, timeout=20)

    def reset(self) -> None:
        """Bring everything back to how it was at first."""
        self.now = self.start
        self.sandbox.faults.clear()
        self.sandbox.limits.reset()
        self.sandbox.limits.on = False

    def later(self, **time: float) -> None:
        """Let time pass."""
        self.now += timedelta(**time)

    def close(self) -> None:
        """Stop serving."""
        self.http.close()
        self.running.close()

    def organization(self, word: str) -> SandboxOrganization:
        """Return the organization whose name starts with a word."""
        return next(o for o in self.sandbox.organizations if o.name.startswith(word))

    @property
    def us(self) -> SandboxOrganization:
        """The healthy organization of the US cloud."""
        return self.organization("Meadow")

    def identity(self, server: ServerName = ServerName.US) -> str:
        """Return the identity address of a server."""
        return endpoints_of(self.running.origin, server).identity

    def api(self, server: ServerName = ServerName.US) -> str:
        """Return the API address of a server."""
        return endpoints_of(self.running.origin, server).api

    def ask_token(
        self, organization: SandboxOrganization | None = None, at: ServerName | None = None, /, **fields: str | None
    ) -> httpx.Response:
        """Ask for a token with the right fields, some of them replaced, or left out by `None`."""
        who = organization or self.us
        form: dict[str, str | None] = {"grant_type": "client_credentials", "scope": SCOPE, **DEVICE}
        form |= {"client_id": who.client_id, "client_secret": who.secret} | fields
        data = {name: value for name, value in form.items() if value is not None}
        return self.http.post(f"{self.identity(at or who.server)}/connect/token", data=data)

    def token(self, organization: SandboxOrganization | None = None) -> str:
        """Return a fresh access token."""
        text = self.ask_token(organization).json()["access_token"]
        assert isinstance(text, str)
        return text

    def read(
        self, path: str, token: str | None = None, *, server: ServerName = ServerName.US, **query: str
    ) -> httpx.Response:
        """Read a path of an API, with a fresh token of the healthy organization unless another is given."""
        bearer = self.token() if token is None else token
        headers = {"Authorization": f"Bearer {bearer}"} if bearer else {}
        return self.http.get(f"{self.api(server)}{path}", headers=headers, params=query)


@contextmanager
def bench(**options: Any) -> Iterator[Bench]:
    """Serve a sandbox for a while."""
    made = Bench(**options)
    try:
        yield made
    finally:
        made.close()


def parts_of(token: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return header and claims of a token."""
    header, claims, _ = token.split(".")
    return _decoded(header), _decoded(claims)


def _decoded(text: str) -> dict[str, Any]:
    value = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    assert isinstance(value, dict)
    return value
