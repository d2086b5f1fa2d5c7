"""Our own checks at full speed, judged and stored: a process of its own that reports what it cost."""

from __future__ import annotations

import asyncio
import gc
import json
import sys
import tempfile
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

from bench_cost import Costs, memory, peak_memory

from hub_core.bitwarden.client import LISTS
from hub_core.health import status
from hub_core.health.examiner import Plan
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
from hub_core.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Sequence

UNLIMITED = 10_000_000
BEFORE = memory()
"""Of this process with the modules that the server has loaded anyway."""


def main(task: str, folder: str, base: str, ca_file: str, *numbers: str) -> None:
    """Make a database with linked accounts, or check them all and print what that cost as JSON.

    Two processes, because making a database loads what checking does not need.
    """
    hub = open_hub(Path(folder), base.partition("://")[2])
    number, *more = map(int, numbers)
    if task == "prepare":
        fill(hub, base, Path(ca_file).read_text("ascii") if base.startswith("https") else None, number)
        print("{}")
    else:
        at_once, rounds = more
        print(json.dumps(measure(hub, [row.id for row in hub.accounts()], at_once, rounds)))
    hub.close()


def measure(hub: Hub, ids: Sequence[str], at_once: int, rounds: int) -> dict[str, Any]:
    """Check every account once a round, with fresh tokens and then with kept ones."""
    gc.collect()
    gc.freeze()  # as the server does once it has started
    found: dict[str, Any] = {}
    for name, light in (("fresh", False), ("kept", True)):
        check_all(hub, ids, at_once, light=light)  # what is stored once, such as the first facts, is stored now
        stored = size(hub)
        costs = []
        for _ in range(rounds):
            forget_token_requests(hub)
            costs.append(Costs.of(partial(check_all, hub, ids, at_once, light=light)))
        found[name] = {**asdict(min(costs)), "bytes": (size(hub) - stored) / rounds}
    return {**found, "memory_peak": peak_memory(), "memory_added": peak_memory() - BEFORE}


def open_hub(folder: Path, target: str) -> Hub:
    """Open a hub whose token budget is no limit, allowed to ask the server on this machine."""
    settings = Settings(
        data=folder / "data",
        config=folder / "config",
        token_limit=UNLIMITED,
        outbound_loopback=(target,),
        sandbox=False,
    )
    return Hub.open(settings)


def fill(hub: Hub, base: str, ca_pem: str | None, number: int) -> list[str]:
    """Store so many organizations as linked a moment ago; return the accounts' ids."""
    now = hub.clock.now()
    seen = tuple(Observation(stage, Outcome.PASS) for stage in Stage)
    check = Check(now, Trigger.LINK, seen, Facts(capabilities=dict.fromkeys(LISTS, Capability.READABLE)))
    where = Endpoints(RegionId.SELF_HOSTED, f"{base}/identity", f"{base}/api")
    ids = []
    for n in range(number):
        guid = str(UUID(int=n + 1))
        key = ApiKey(f"organization.{guid}", Secret(f"{n:030d}"))
        made = Account(
            guid,
            f"Customer {n}",
            where,
            key.client_id,
            ca_pem,
            (),
            "",
            Lifecycle.ACTIVE,
            "",
            now,
            now,
            Standing(),
            Facts(),
        )
        hub.store.add_account(
            made,
            seal=partial(hub.keychain.seal, key, account_id=made.id, endpoints=where),
            check=check,
            step=status.step(made, check),
            actor="bench",
        )
        ids.append(guid)
    return ids


def check_all(hub: Hub, ids: Sequence[str], at_once: int, *, light: bool) -> None:
    """Check every account once, as the scheduler does, but for its pace."""
    examiner, engine = hub._examiner, hub._engine  # noqa: SLF001 - what the scheduler is given
    plan = Plan(Trigger.SCHEDULE, 60.0, light=light)

    async def work() -> None:
        places = asyncio.Semaphore(at_once)

        async def one(account_id: str) -> None:
            async with places, examiner.turn(account_id):
                examined = await examiner.examine(account_id, plan, lambda _: None)
                if examined.check.failure or examined.check.light is not light:
                    raise SystemExit(f"a check failed: {examined.check}")
                await examiner.keep(examined)

        await asyncio.gather(*map(one, ids))

    engine.call(lambda _: work(), lambda _: None)


def size(hub: Hub) -> int:
    """Return the bytes of what is stored for good, packed; the token requests of the last minute are not."""
    forget_token_requests(hub)
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "copy.db"
        hub.store.database.backup(copy)
        return copy.stat().st_size


def forget_token_requests(hub: Hub) -> None:
    """Forget those of the last minute: no setting allows so many, and counting them would be measured, too."""
    with hub.store.database.write() as con:
        con.execute("DELETE FROM token_request")


if __name__ == "__main__":
    main(*sys.argv[1:])
