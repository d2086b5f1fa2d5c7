"""What both services tell everybody: that they run, the time, the version; and the API's description of its server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hub_core.sandbox.faults import Fault
from hub_core.sandbox.organizations import ServerName
from hub_core.sandbox.sandbox import VERSION
from hub_core.sandbox.wire import Answer, json_answer, seven_decimals

if TYPE_CHECKING:
    from hub_core.model import Endpoints
    from hub_core.sandbox.sandbox import Exchange

_REGION_WORDS = {ServerName.US: "US", ServerName.EU: "EU", ServerName.SELF_HOSTED: "US"}
"""What the server believes of its cloud; the installer of an own server writes it too, so it proves nothing."""

_OTHERS = {ServerName.US: ServerName.EU, ServerName.EU: ServerName.US}


def info_answer(exchange: Exchange) -> Answer | None:
    """Answer `/alive`, `/now` and `/version`, which both services have."""
    path = exchange.request.path.lower().rstrip("/")
    if path in {"/alive", "/now"}:
        return only_get(exchange) or json_answer(200, seven_decimals(exchange.now))
    if path == "/version":
        return only_get(exchange) or json_answer(200, VERSION)
    return None


def only_get(exchange: Exchange) -> Answer | None:
    """Refuse every other method of a route that is mapped for GET, HEAD included."""
    return None if exchange.request.method == "GET" else Answer(405, headers=(("Allow", "GET"),))


def config_answer(exchange: Exchange) -> Answer:
    """Answer `/config` of an official server."""
    server = exchange.server
    return json_answer(
        200,
        {
            "object": "config",
            "version": VERSION,
            "gitHash": "5a9dbe70",
            "server": None,
            "environment": environment_of(named_endpoints(exchange), _REGION_WORDS[server]),
            "featureStates": {"pm-19934-sandbox-flag": server.cloud},
            "push": {"pushTechnology": 0, "vapidPublicKey": None},
            "communication": None,
            "settings": {"disableUserRegistration": False, "suppressOnboardingInterstitials": False},
        },
    )


def environment_of(endpoints: Endpoints, region: str | None) -> dict[str, Any]:
    """Return the addresses as `/config` names them."""
    return {
        "cloudRegion": region,
        "vault": endpoints.vault,
        "api": endpoints.api,
        "identity": endpoints.identity,
        "notifications": f"{endpoints.vault}/notifications",
        "sso": f"{endpoints.vault}/sso",
    }


def named_endpoints(exchange: Exchange) -> Endpoints:
    """Return the addresses the server believes it has: wrong ones if that fault is on."""
    sandbox = exchange.sandbox
    if exchange.fault(Fault.OTHER_HOSTS) is None:
        return sandbox.endpoints(exchange.server)
    if exchange.server in _OTHERS:
        return sandbox.endpoints(_OTHERS[exchange.server])
    own = sandbox.endpoints(exchange.server)
    return type(own)(
        own.region,
        identity="https://passwords.example.net/identity",
        api="https://passwords.example.net/api",
        vault="https://passwords.example.net",
    )
