"""The faults that can be switched on: which there are, for whom they are on, and with which parameters."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from hub_core.sandbox.organizations import ServerName

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

Parameter = str | int | float
Parameters = dict[str, Parameter]


class Fault(StrEnum):
    """One way in which an organization, a server or something in front of it goes wrong."""

    DISABLE = "disable"
    ENABLE = "enable"
    DELETE = "delete"
    NO_API = "no_api"
    MISSING_KEY_ROW = "missing_key_row"
    TOKEN_500 = "token_500"  # noqa: S105 - the name of a fault
    API_500 = "api_500"
    BAD_GATEWAY = "bad_gateway"
    SLOW = "slow"
    DRIP = "drip"
    HTML = "html"
    RESET = "reset"
    REDIRECT = "redirect"
    EDGE_403 = "edge_403"
    EDGE_1020 = "edge_1020"
    EDGE_429 = "edge_429"
    EDGE_USER_AGENT = "edge_user_agent"
    RATE_LIMITED = "rate_limited"
    UNUSUAL_TRAFFIC = "unusual_traffic"
    BASIC_AUTH = "basic_auth"
    CLOCK_AHEAD = "clock_ahead"
    CLOCK_BEHIND = "clock_behind"
    FOREIGN_ISSUER = "foreign_issuer"
    SIGNING_KEY_REPLACED = "signing_key_replaced"
    METADATA_BROKEN = "metadata_broken"
    STRIP_AUTHORIZATION = "strip_authorization"
    FORBIDDEN = "forbidden"
    BROKEN_JSON = "broken_json"
    TRUNCATED = "truncated"
    HUGE_BODY = "huge_body"
    EMPTY_MEMBERS = "empty_members"
    VAULT_AT_API = "vault_at_api"
    OTHER_HOSTS = "other_hosts"


@dataclass(frozen=True, slots=True)
class Trait:
    """What a fault does, in one sentence, and the parameters it takes with what holds without them."""

    text: str
    parameters: Mapping[str, Parameter] = field(default_factory=dict)


TRAITS: Mapping[Fault, Trait] = {
    Fault.DISABLE: Trait("The organization is disabled: new tokens are refused, issued ones keep working."),
    Fault.ENABLE: Trait("The organization is enabled again and its plan has the API, whatever it was before."),
    Fault.DELETE: Trait("The organization is gone: new tokens are refused, lists are empty for issued ones."),
    Fault.NO_API: Trait("The plan loses the API: new tokens are refused, issued ones keep working."),
    Fault.MISSING_KEY_ROW: Trait("The key was never viewed, so it has no row: the token request ends in an empty 500."),
    Fault.TOKEN_500: Trait("The token request ends in an empty 500, as without a database."),
    Fault.API_500: Trait("Public API requests end in a 500 with the API's own error body."),
    Fault.BAD_GATEWAY: Trait("The program behind the proxy is down: its page instead of an answer.", {"status": 502}),
    Fault.SLOW: Trait("Nothing is answered for some seconds.", {"seconds": 60}),
    Fault.DRIP: Trait("The body comes one byte at a time.", {"seconds": 1}),
    Fault.HTML: Trait("A web page is answered instead, with 200."),
    Fault.RESET: Trait("The connection is reset instead of an answer."),
    Fault.REDIRECT: Trait("A sign-in proxy redirects to its own host.", {"to": "https://login.example.com/"}),
    Fault.EDGE_403: Trait("The network in front blocks with a page and a ray id."),
    Fault.EDGE_1020: Trait("The network in front blocks with the text “error code: 1020”."),
    Fault.EDGE_429: Trait("The network in front refuses with an empty 429."),
    Fault.EDGE_USER_AGENT: Trait(
        "The network in front refuses the default User-Agent of well-known HTTP libraries.", {"status": 400}
    ),
    Fault.RATE_LIMITED: Trait("The server's own rate limiter refuses.", {"seconds": 37, "period": "1m"}),
    Fault.UNUSUAL_TRAFFIC: Trait("The server finds the traffic of this network unusual.", {"status": 400}),
    Fault.BASIC_AUTH: Trait("A proxy in front asks for a password of its own."),
    Fault.CLOCK_AHEAD: Trait("The server's clock is ahead.", {"hours": 1}),
    Fault.CLOCK_BEHIND: Trait("The server's clock is behind.", {"hours": 1}),
    Fault.FOREIGN_ISSUER: Trait("Tokens come from another server's identity: the API refuses their issuer."),
    Fault.SIGNING_KEY_REPLACED: Trait("Tokens are signed with a new certificate the API does not know yet."),
    Fault.METADATA_BROKEN: Trait("The API cannot reach its identity server: it refuses even the right issuer."),
    Fault.STRIP_AUTHORIZATION: Trait("A proxy drops the Authorization header on the way to the API."),
    Fault.FORBIDDEN: Trait("The API finds the token of the wrong kind: an empty 403."),
    Fault.BROKEN_JSON: Trait("The body stops in the middle of the JSON, although it is complete."),
    Fault.TRUNCATED: Trait("The connection closes in the middle of the body."),
    Fault.HUGE_BODY: Trait("The body is endlessly large.", {"megabytes": 64}),
    Fault.EMPTY_MEMBERS: Trait("The list of members is empty."),
    Fault.VAULT_AT_API: Trait("The web vault answers where the API should be."),
    Fault.OTHER_HOSTS: Trait("The server's own description names other hosts."),
}

_OPPOSITES = {
    Fault.DISABLE: (Fault.ENABLE,),
    Fault.NO_API: (Fault.ENABLE,),
    Fault.DELETE: (Fault.ENABLE,),
    Fault.ENABLE: (Fault.DISABLE, Fault.NO_API, Fault.DELETE),
    Fault.CLOCK_AHEAD: (Fault.CLOCK_BEHIND,),
    Fault.CLOCK_BEHIND: (Fault.CLOCK_AHEAD,),
}


class Faults:
    """Which faults are on, for one organization (its client id) or for everything on one server.

    Every fault also takes `at`: then it acts only on requests whose path contains that text, such as `/identity`,
    `/connect/token`, `/api/config` or `/public/members`.
    """

    def __init__(self, client_ids: Iterable[str]) -> None:
        self._targets = {str(server) for server in ServerName} | set(client_ids)
        self._on: dict[str, dict[Fault, Parameters]] = {}

    def set(self, target: str, fault: Fault, on: bool = True, **parameters: Parameter) -> None:  # noqa: FBT001, FBT002 - a switch
        """Switch a fault on or off for a client id or a server.

        Raises:
            ValueError: with a sentence, if the target or a parameter is unknown.
        """
        chosen = self._of(target)
        trait = TRAITS[fault]
        unknown = sorted(set(parameters) - set(trait.parameters) - {"at"})
        if unknown:
            known = ", ".join(sorted({*trait.parameters, "at"}))
            raise ValueError(f"{fault} has no parameter “{unknown[0]}”; it takes {known}.")
        for name, default in trait.parameters.items():
            if not isinstance(default, str) and isinstance(parameters.get(name, default), str):
                raise ValueError(f"{fault} takes a number as {name}.")  # noqa: TRY004 - a person typed it
        if on:
            for opposite in _OPPOSITES.get(fault, ()):
                chosen.pop(opposite, None)
            chosen[fault] = {**trait.parameters, **parameters}
        else:
            chosen.pop(fault, None)

    def clear(self, target: str | None = None) -> None:
        """Switch off every fault of a target, or of all."""
        if target is None:
            self._on.clear()
        else:
            self._of(target).clear()

    def on(self, target: str) -> Mapping[Fault, Parameters]:
        """Return the faults that are on for a target, with their parameters."""
        return dict(self._of(target))

    def find(self, fault: Fault, *, server: ServerName, client_id: str | None, path: str) -> Parameters | None:
        """Return the parameters of a fault if it is on for a request, the organization's before the server's."""
        for target in (client_id, server):
            parameters = self._on.get(target or "", {}).get(fault)
            if parameters is not None and str(parameters.get("at", "")).lower() in path.lower():
                return parameters
        return None

    def _of(self, target: str) -> dict[Fault, Parameters]:
        if target not in self._targets:
            raise ValueError(f"“{target}” is neither a server nor a client id of the sandbox.")
        return self._on.setdefault(str(target), {})
