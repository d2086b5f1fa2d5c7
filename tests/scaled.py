"""Time that passes faster, and hubs with many linked organizations that it passes for."""

from __future__ import annotations

import asyncio
import threading
import time
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from uuid import UUID

from hub_core.bitwarden.client import LISTS
from hub_core.clock import Clock
from hub_core.health import status
from hub_core.hub import Hub
from hub_core.model import (
    Account,
    ApiKey,
    Capability,
    Check,
    Endpoints,
    Facts,
    Lifecycle,
    Observation,
    Outcome,
    RegionId,
    Secret,
    Stage,
    Standing,
    Trigger,
)
from hub_core.sandbox import SandboxOrganization, ServerName
from hub_core.sandbox.organizations import secret_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from hub_core.sandbox import RunningSandbox
    from hub_core.settings import Settings

DEADLINE_S = 60.0


class FastTime:
    """A clock whose hands turn so many times faster than the machine's, also for other processes given its start."""

    def __init__(self, factor: float, *, began: float | None = None) -> None:
        self.factor = factor
        self.began = time.time() if began is None else began

    def now(self) -> datetime:
        """Return the fast time of day."""
        return datetime.fromtimestamp(self.began, UTC) + timedelta(seconds=(time.time() - self.began) * self.factor)

    def seconds(self) -> float:
        """Return fast seconds."""
        return time.monotonic() * self.factor

    async def sleep(self, seconds: float) -> None:
        """Let fast seconds pass."""
        await asyncio.sleep(seconds / self.factor)

    @property
    def clock(self) -> Clock:
        """The clock that shows it."""
        return Clock(now=self.now, monotonic=self.seconds, sleep=self.sleep)


def organizations(number: int, server: ServerName = ServerName.US) -> tuple[SandboxOrganization, ...]:
    """Return so many organizations of a sandbox server."""
    made = []
    for n in range(number):
        client_id = f"organization.{UUID(int=n + 1)}"
        secret = secret_of(client_id)
        made.append(SandboxOrganization(f"Number {n}", server, client_id, secret, "One of many.", members=3))
    return tuple(made)


def proven(at: datetime, trigger: Trigger = Trigger.LINK) -> Check:
    """Return a check that found everything well."""
    seen = tuple(Observation(stage, Outcome.PASS) for stage in Stage)
    return Check(at, trigger, seen, Facts(capabilities=dict.fromkeys(LISTS, Capability.READABLE)))


def store_linked(
    hub: Hub, who: SandboxOrganization, endpoints: Endpoints, *, ca_pem: str | None, check: Check, known: int = 1
) -> str:
    """Store an organization as linked by a check, without asking anybody; return the account's id."""
    made = Account(
        str(UUID(int=known * 1000 + UUID(who.guid).int)),
        who.name,
        endpoints,
        who.client_id,
        ca_pem,
        (),
        "",
        Lifecycle.ACTIVE,
        "",
        check.at,
        check.at,
        Standing(),
        Facts(),
    )
    key = ApiKey(who.client_id, Secret(who.secret))
    hub.store.add_account(
        made,
        seal=lambda ring: hub.keychain.seal(key, ring, account_id=made.id, endpoints=endpoints),
        check=check,
        step=status.step(made, check, hub.watching.rhythm),
        actor="test",
    )
    return made.id


def fill(
    hub: Hub, running: RunningSandbox, *, at: datetime, region: RegionId = RegionId.SANDBOX, known: int = 1
) -> list[str]:
    """Store every organization of a sandbox as linked and checked at a time; return the accounts' ids."""
    ids = []
    for who in running.sandbox.organizations:
        where = running.sandbox.endpoints(who.server)
        place = Endpoints(region, where.identity, where.api)
        ids.append(store_linked(hub, who, place, ca_pem=running.ca_pem, check=proven(at), known=known))
    return ids


@contextmanager
def watched(settings: Settings, time: FastTime, *, deadline_s: float = 10.0) -> Iterator[Hub]:
    """Open a hub in fast time; it is closed at the end. Whether it watches is up to the test."""
    hub = Hub.open(settings, clock=time.clock, deadline_s=deadline_s, chance=lambda: 0.5)
    try:
        yield hub
    finally:
        hub.close()


def until(condition: Callable[[], bool], *, deadline_s: float = DEADLINE_S) -> None:
    """Return once something is so; fail when it takes too long."""
    ends, never = time.monotonic() + deadline_s, threading.Event()
    while not condition():
        assert time.monotonic() < ends, "it did not happen"
        never.wait(0.02)
