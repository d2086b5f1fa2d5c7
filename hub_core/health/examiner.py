"""Runs checks of linked organizations, one or many at once, and records them."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple
from uuid import NAMESPACE_URL, uuid5

from hub_core.bitwarden.budget import TokenBudget
from hub_core.bitwarden.policy import OutboundPolicy
from hub_core.bitwarden.regions import REGIONS, region_of_host
from hub_core.bitwarden.transport import Session
from hub_core.engine import to_its_end
from hub_core.errors import MasterKeyError, NotFound, Paused, SandboxUnavailable, SealError
from hub_core.health import checks, status
from hub_core.model import ApiKey, Check, Lifecycle, Observation, Outcome, Reason, RegionId, Stage, Trigger

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence

    from hub_core.bitwarden.transport import Resolver
    from hub_core.clock import Clock
    from hub_core.engine import Engine
    from hub_core.keychain import Keychain
    from hub_core.model import Standing, Status
    from hub_core.sandbox_host import SandboxHost
    from hub_core.settings import Settings
    from hub_core.storage.store import AccountRow, Store

    Watch = Callable[[Stage | Observation | checks.Waiting], None]

DEVICE = str(uuid5(NAMESPACE_URL, "link-hub"))
"""The device identifier of every token request: one constant, since it stands for the product, not for a person."""

AT_ONCE = 10
"""How many organizations are checked at the same time."""

AT_ONCE_PER_SERVER = 3
"""How many of them on one identity server, so that one whose budget is spent does not hold up the others."""

PATIENCE_S = 24 * 3600.0
"""How long one of many checks may wait for its turn at an identity server."""


@dataclass(frozen=True, slots=True)
class Progress:
    """One step of checking many accounts."""

    done: int
    total: int
    label: str | None = None
    status: Status | None = None
    waiting: int | None = None
    """Seconds until the budget of an identity server allows the next token request."""


class _Recorded(NamedTuple):
    """A check, and what it made of the account: None when it came too late to say anything about it."""

    check: Check
    standing: Standing | None


class Examiner:
    """Gives every check what it needs, within the shared budgets, and keeps what it found."""

    def __init__(
        self,
        store: Store,
        keychain: Keychain,
        sandbox: SandboxHost,
        engine: Engine,
        *,
        settings: Settings,
        clock: Clock,
        resolve: Resolver,
        deadline_s: float,
    ) -> None:
        self._store = store
        self._keychain = keychain
        self._sandbox = sandbox
        self._engine = engine
        self._clock = clock
        self._resolve = resolve
        self._deadline_s = deadline_s
        self._budget = TokenBudget(store, clock, limit=settings.token_limit)
        self._policy = OutboundPolicy.from_settings(settings)

    def verify(self, subject: checks.Subject, watch: Watch) -> Check:
        """Run the stages for a key a person just gave; nothing is recorded."""
        return self._engine.call(lambda report: self._run(subject, report), watch)

    def check(self, account_id: str, trigger: Trigger, watch: Watch) -> Check:
        """Check one account and record it; raises NotFound, Paused."""
        return self._engine.call(lambda report: self._check(account_id, trigger, report), watch).check

    def check_many(self, rows: Sequence[AccountRow]) -> Generator[Progress | None, None, None]:
        """Check accounts, paced by the token budgets; yields progress, and None every half second.

        Closing the generator stops the work; what was checked until then is recorded.
        """
        return self._engine.stream(lambda report: self._check_all(rows, report))

    async def _check_all(self, rows: Sequence[AccountRow], report: Callable[[Progress], None]) -> None:
        places = asyncio.Semaphore(AT_ONCE)
        places_at = {row.identity_origin: asyncio.Semaphore(AT_ONCE_PER_SERVER) for row in rows}
        done = 0

        def waiting(event: object) -> None:
            if isinstance(event, checks.Waiting):
                report(Progress(done, len(rows), waiting=event.seconds))

        async def one(row: AccountRow) -> None:
            nonlocal done
            standing = None
            async with places_at[row.identity_origin], places:
                with suppress(NotFound, Paused):  # unlinked or paused meanwhile; the others go on
                    standing = (await self._check(row.id, Trigger.MANUAL, waiting, patience_s=PATIENCE_S)).standing
            done += 1
            report(Progress(done, len(rows), row.label, standing.status if standing else None))

        report(Progress(0, len(rows)))
        try:
            async with asyncio.TaskGroup() as group:
                for row in rows:
                    group.create_task(one(row))
        except ExceptionGroup as failed:
            # What failed is the hub, such as a full disk: the first says it, and the others say the same.
            raise failed.exceptions[0] from None

    async def _check(self, account_id: str, trigger: Trigger, watch: Watch, *, patience_s: float = 0.0) -> _Recorded:
        loaded = await asyncio.to_thread(self._store.load, account_id)
        account = loaded.account
        if account.lifecycle is Lifecycle.PAUSED:
            raise Paused
        try:
            secret = self._keychain.open(loaded.sealed, loaded.ring)
        except (SealError, MasterKeyError):
            check = self._locked(trigger)
            watch(check.observations[0])
        else:
            subject = checks.Subject(
                account.endpoints,
                ApiKey(account.client_id, secret),
                worked_before=account.standing.key_proven_at is not None,
                trigger=trigger,
                ca_pem=account.ca_pem,
            )
            check = await self._run(subject, watch, patience_s=patience_s)
            if check.failure and check.failure.reason is Reason.BUDGET_SPENT:
                # We only told ourselves to wait: as a row of the history it would hide the last real check.
                return _Recorded(check, account.standing)
        standing = await to_its_end(
            asyncio.to_thread(
                self._store.record,
                account_id,
                loaded.generation,
                check=check,
                step=lambda present: status.step(present, check),
            )
        )
        return _Recorded(check, standing)

    async def _run(self, subject: checks.Subject, watch: Watch, *, patience_s: float = 0.0) -> Check:
        if subject.endpoints.region is RegionId.SANDBOX:
            with suppress(SandboxUnavailable):  # then nothing answers there, and the check says so
                await asyncio.to_thread(self._sandbox.wake)
        clouds = [row.endpoints for row in REGIONS if row.endpoints]
        clouds += [endpoints for _, endpoints in self._sandbox.clouds()]
        means = checks.Means(
            session=self._session,
            budget=self._budget,
            clock=self._clock,
            device=DEVICE,
            clouds=tuple(clouds),
            official=_official,
            patience_s=patience_s,
        )
        return await checks.run(subject, means, watch)

    def _locked(self, trigger: Trigger) -> Check:
        observation = Observation(Stage.FORMAT, Outcome.FAIL, Reason.SECRET_LOCKED)
        return Check(self._clock.now(), trigger, (observation,))

    def _session(self, subject: checks.Subject) -> Session:
        return Session(
            subject.endpoints,
            self._policy,
            ca_pem=subject.ca_pem,
            official=_official,
            deadline_s=self._deadline_s,
            resolve=self._resolve,
        )


def _official(host: str) -> bool:
    return region_of_host(host) is not None
