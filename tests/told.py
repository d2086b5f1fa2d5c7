"""Accounts whose status changes as a test says, without any server, so that there is something to tell."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from hub_core.health import status
from hub_core.model import Check, Endpoints, Observation, Outcome, RegionId, Stage, Transition, Trigger
from hub_core.sandbox import SandboxOrganization, ServerName
from tests.scaled import organizations, proven, store_linked

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hub_core.hub import Hub
    from hub_core.model import Account, Reason, Status

PLACE = Endpoints(RegionId.US, "https://identity.example", "https://api.example")


def linked_accounts(hub: Hub, number: int, place: Endpoints = PLACE) -> Sequence[str]:
    """Store so many organizations of one server as linked and healthy; return their ids."""
    made = []
    for n, who in enumerate(organizations(number, ServerName.US)):
        named = SandboxOrganization(f"Account {n}", who.server, who.client_id, who.secret, "")
        made.append(store_linked(hub, named, place, ca_pem=None, check=proven(hub.clock.now())))
    with hub.store.database.write() as con:
        con.execute("UPDATE transition SET told = 1")
    return made


def change(hub: Hub, account_id: str, after: Status, reason: Reason | None, *, maintenance: bool = False) -> None:
    """Record a check that changes an account's status now."""
    now = hub.clock.now()
    seen = Observation(Stage.TOKEN, Outcome.FAIL if reason else Outcome.PASS, reason)
    check = Check(now, Trigger.SCHEDULE, (seen,))

    def step(account: Account) -> status.Step:
        usual = status.step(account, check, hub.watching.rhythm)
        standing = replace(account.standing, status=after, reason=reason, since=now, checked_at=now)
        before = account.standing.status
        return usual._replace(
            standing=standing, transition=Transition(now, before, after, reason) if before is not after else None
        )

    loaded = hub.store.load(account_id)
    hub.store.record(account_id, loaded.generation, step=step, maintenance=maintenance)
