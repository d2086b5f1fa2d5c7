"""The state of all sandbox servers, and the one ASGI application that serves them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING

from hub_core.model import Endpoints, RegionId
from hub_core.sandbox.faults import Fault, Faults, Parameters
from hub_core.sandbox.limits import Limits
from hub_core.sandbox.organizations import ORGANIZATIONS, SandboxOrganization, ServerName, secret_of
from hub_core.sandbox.tokens import Signer, kid_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from hub_core.sandbox.app import Application
    from hub_core.sandbox.wire import Request

VERSION = "2026.8.0"

_FOLDERS = {ServerName.SELF_HOSTED: "selfhost", ServerName.VAULTWARDEN: "vaultwarden"}


def endpoints_of(origin: str, server: ServerName) -> Endpoints:
    """Return the addresses of one sandbox server, reached under an origin such as `https://127.0.0.1:8599`."""
    vault = f"{origin}/{server}/vault" if server.cloud else f"{origin}/{_FOLDERS[server]}"
    base = f"{origin}/{server}" if server.cloud else vault
    return Endpoints(RegionId.SANDBOX, identity=f"{base}/identity", api=f"{base}/api", vault=vault)


def utc_now() -> datetime:
    """Return the real time."""
    return datetime.now(UTC)


class Sandbox:
    """A stand-in Bitwarden: several servers, several organizations, and faults to switch on.

    `origin` is where the servers are reached; `serve` sets it. `issuers` replaces what a server calls itself in its
    tokens, as an operator of an own server can. `organizations` are those that exist there.
    """

    def __init__(
        self,
        *,
        clock: Callable[[], datetime] = utc_now,
        rate_limits: bool = True,
        origin: str = "https://127.0.0.1",
        issuers: Mapping[ServerName, str] | None = None,
        organizations: tuple[SandboxOrganization, ...] = ORGANIZATIONS,
    ) -> None:
        self._organizations = {o.client_id: o for o in organizations}
        self.clock = clock
        self.origin = origin
        self.faults = Faults(self._organizations)
        self.limits = Limits(on=rate_limits)
        self.signer = Signer()
        self._issuers = dict(issuers or {})
        self._generations: dict[str, int] = {}
        self._tokens = 0

    @property
    def organizations(self) -> tuple[SandboxOrganization, ...]:
        """Every organization, with the secret that is right at present."""
        return tuple(map(self._present, self._organizations.values()))

    def organization(self, client_id: str | None, server: ServerName) -> SandboxOrganization | None:
        """Return the organization (or person) with a client id, if it lives on a server."""
        found = self._organizations.get(client_id) if client_id else None
        return self._present(found) if found and found.server is server else None

    @cached_property
    def app(self) -> Application:
        """The ASGI application of all servers."""
        from hub_core.sandbox.app import Application  # noqa: PLC0415 - the application knows the sandbox

        return Application(self)

    def rotate(self, client_id: str) -> str:
        """Replace the secret of an organization, as its owner can, and return the new one.

        Raises:
            ValueError: if there is no such client id.
        """
        if client_id not in self._organizations:
            raise ValueError(f"“{client_id}” is not a client id of the sandbox.")
        self._generations[client_id] = self._generations.get(client_id, 0) + 1
        return secret_of(client_id, self._generations[client_id])

    def endpoints(self, server: ServerName) -> Endpoints:
        """Return the addresses of one of the servers."""
        return endpoints_of(self.origin, server)

    def issuer(self, server: ServerName) -> str:
        """Return what a server's identity calls itself in tokens."""
        if server in self._issuers:
            return self._issuers[server]
        if server is ServerName.VAULTWARDEN:
            return f"{self.origin}|api.organization"
        return self.endpoints(server).identity if server.cloud else "http://identity"

    def next_token_number(self) -> int:
        """Count the issued tokens; the number makes their ids."""
        self._tokens += 1
        return self._tokens

    def _present(self, organization: SandboxOrganization) -> SandboxOrganization:
        generation = self._generations.get(organization.client_id, 0)
        return replace(organization, secret=secret_of(organization.client_id, generation))


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request to one server, and what holds for it: faults, time, organizations."""

    sandbox: Sandbox
    server: ServerName
    part: str
    """`identity`, `api`, `vault`, or `front` for a server that has all behind one address."""
    request: Request
    client_id: str | None = None
    """The organization whose id or token the request carries."""

    def fault(self, fault: Fault) -> Parameters | None:
        """Return the parameters of a fault if it is on for this request."""
        path = self.request.path if self.part == "front" else f"/{self.part}{self.request.path}"
        return self.sandbox.faults.find(fault, server=self.server, client_id=self.client_id, path=path)

    @property
    def now(self) -> datetime:
        """The time of this server, wrong if its clock is."""
        now = self.sandbox.clock()
        for fault, sign in ((Fault.CLOCK_AHEAD, 1), (Fault.CLOCK_BEHIND, -1)):
            parameters = self.fault(fault)
            if parameters is not None:
                now += sign * timedelta(hours=float(parameters["hours"]))
        return now

    @property
    def organization(self) -> SandboxOrganization | None:
        """The organization the request carries, if it lives here."""
        return self.sandbox.organization(self.client_id, self.server)

    @property
    def kid(self) -> str:
        """The name of the key the API of this server knows."""
        return kid_of(self.server)

    def below(self, part: str, path: str) -> Exchange:
        """Return the same exchange as the program behind a front sees it."""
        return replace(self, part=part, request=self.request.at(path))
