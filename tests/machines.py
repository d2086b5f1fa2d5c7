"""Serves what programs read of a hub, behind the gate, and stores accounts in any state without asking anybody."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware

from hub_core.access import Scope, written_out
from hub_core.health import status
from hub_core.model import Check, Endpoints, Observation, Outcome, Reason, RegionId, Stage, Trigger
from hub_core.web.gate import Gate, allowed_hosts
from hub_core.web.routes import for_machines
from tests.scaled import organizations, proven, store_linked
from tests.serving import Answer, ask

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hub_core.hub import Hub

WHERE = Endpoints(RegionId.EU, "https://identity.bitwarden.eu", "https://api.bitwarden.eu")


class Machines:
    """What is served of one hub."""

    def __init__(self, hub: Hub, port: int) -> None:
        self.hub, self.port = hub, port
        self._tokens = {scope: written_out(hub.access.create(scope, [scope], None, actor="test")[1]) for scope in Scope}

    def token(self, scope: Scope) -> str:
        """Return the text of a token of this scope."""
        return self._tokens[scope]

    def get(self, path: str, *, method: str = "GET", scope: Scope | None = None, **headers: str) -> Answer:
        """Ask once, with a token of this scope; underscores in names of headers are dashes."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if scope:
            sent["Authorization"] = f"Bearer {self.token(scope)}"
        return ask(self.port, path, method=method, headers=sent, host=sent.pop("Host", None))


@contextmanager
def served(hub: Hub) -> Iterator[Machines]:
    """Serve a hub's routes for machines on a free port, on a bare Starlette behind the gate."""
    application = Starlette(routes=for_machines(hub), middleware=[Middleware(Gate, hosts=allowed_hosts(hub.settings))])
    config = uvicorn.Config(application, host="127.0.0.1", port=0, log_level="critical", lifespan="off")
    sock = config.bind_socket()
    sock.listen()
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [sock]})
    thread.start()
    try:
        yield Machines(hub, sock.getsockname()[1])
    finally:
        server.should_exit = True
        thread.join(20)
        sock.close()


def well(hub: Hub, number: int = 0, *, label: str = "", endpoints: Endpoints = WHERE) -> str:
    """Store an account that is healthy as of now; return its id."""
    return _stored(hub, number, proven(hub.clock.now()), label, endpoints)


def failing(hub: Hub, number: int = 1, *, label: str = "", endpoints: Endpoints = WHERE) -> str:
    """Store an account whose key was refused just now; return its id."""
    evidence = {"host": "identity.bitwarden.eu", "status": "400"}
    seen = (
        Observation(Stage.REACH, Outcome.PASS, None, 12),
        Observation(Stage.TOKEN, Outcome.FAIL, Reason.KEY_NEVER_ACCEPTED, 34, evidence),
    )
    return _stored(hub, number, Check(hub.clock.now(), Trigger.LINK, seen), label, endpoints)


def _stored(hub: Hub, number: int, check: Check, label: str, endpoints: Endpoints) -> str:
    who = organizations(number + 1)[number]
    return store_linked(hub, replace(who, name=label or who.name), endpoints, ca_pem=None, check=check)


def refused(hub: Hub, account_id: str) -> None:
    """Record a check of a person's in which the key of an account was refused; that opens an incident."""
    evidence = {"host": "identity.bitwarden.eu", "status": "400"}
    seen = Observation(Stage.TOKEN, Outcome.FAIL, Reason.KEY_NO_LONGER_ACCEPTED, 34, evidence)
    record(hub, account_id, Check(hub.clock.now(), Trigger.MANUAL, (seen,)))


def record(hub: Hub, account_id: str, check: Check) -> None:
    """Record a check of an account as it is now."""
    generation = hub.store.load(account_id).generation
    done = hub.store.record(
        account_id,
        generation,
        step=lambda account: status.step(account, check, hub.watching.rhythm),
    )
    assert done is not None
