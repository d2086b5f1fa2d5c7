"""Runs checks of linked organizations, one or many at once, and records them."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, NamedTuple
from uuid import NAMESPACE_URL, uuid4, uuid5

from hub_core.bitwarden.budget import TokenBudget
from hub_core.bitwarden.client import LISTS, AccessToken
from hub_core.bitwarden.kept import Kept
from hub_core.bitwarden.policy import OutboundPolicy
from hub_core.bitwarden.regions import REGIONS, region_of_host
from hub_core.bitwarden.transport import Session, Side
from hub_core.engine import to_its_end
from hub_core.errors import (
    Busy,
    HubError,
    MasterKeyError,
    NotFound,
    Paused,
    RemoteError,
    SandboxUnavailable,
    SealError,
)
from hub_core.health import checks, status
from hub_core.health.light import Tokens, small_read
from hub_core.health.rhythm import Rhythm
from hub_core.health.servers import Servers
from hub_core.health.status import Step
from hub_core.model import ApiKey, Check, Lifecycle, Observation, Outcome, Reason, RegionId, Stage, Trigger
from hub_core.together import Together

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Generator, Sequence

    from hub_core.bitwarden.transport import Resolver
    from hub_core.clock import Clock
    from hub_core.engine import Engine
    from hub_core.keychain import Keychain
    from hub_core.model import Account, Endpoints, Status
    from hub_core.sandbox_host import SandboxHost
    from hub_core.settings import Settings
    from hub_core.storage.store import AccountRow, Loaded, Store
    from hub_core.windows import Windows

    Watch = Callable[[Stage | Observation | checks.Waiting], None]
    Sessions = Callable[[Endpoints, str | None], Session]
    """How the servers of an account are reached, given its own CA certificate."""

DEVICE = str(uuid5(NAMESPACE_URL, "link-hub"))
"""The device identifier of every token request: one constant, since it stands for the product, not for a person."""

AT_ONCE = 10
"""How many organizations are checked at the same time."""

AT_ONCE_PER_SERVER = 3
"""How many of them on one identity server, so that one whose budget is spent does not hold up the others."""

PATIENCE_S = 24 * 3600.0
"""How long one of many checks may wait for its turn at an identity server."""

PERSONS_PATIENCE_S = 15.0
"""How long a person's check may: routine lets it go first, ten seconds lie between two of its requests, and five more
are for somebody who came a moment earlier."""

HOLD = timedelta(seconds=30)
"""How long an account stays closed to other processes after the last sign of one that checks it."""

HOLD_AGAIN_S = 10.0
HOLD_POLL_S = 0.25
HOLD_PATIENCE_S = 180.0
"""How long a check waits while another process checks the account; none takes longer than two minutes."""


@dataclass(frozen=True, slots=True)
class Progress:
    """One step of checking many accounts."""

    done: int
    total: int
    label: str | None = None
    status: Status | None = None
    waiting: int | None = None
    """Seconds until the budget of an identity server allows the next token request."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How a check is made: by default as a person wants it, with a fresh token and every list."""

    trigger: Trigger = Trigger.MANUAL
    patience_s: float = PERSONS_PATIENCE_S
    ahead: bool = True
    """Whether routine lets it go first at the identity server."""
    limit: int | None = None
    """Token requests a minute, where it is less than the budget has."""
    light: bool = False
    """Whether a kept token will do."""


class Examined(NamedTuple):
    """A check that is not recorded yet."""

    loaded: Loaded
    check: Check
    fresh: AccessToken | None


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
        windows: Windows,
        clock: Clock,
        resolve: Resolver,
        deadline_s: float,
        chance: Callable[[], float],
        sessions: Sessions | None = None,
    ) -> None:
        self._store = store
        self._reads = Together(partial(store.database.together, reading=True))
        self._writes = Together(store.database.together)
        self._keychain = keychain
        self._sandbox = sandbox
        self._engine = engine
        self._windows = windows
        self._clock = clock
        self._resolve = resolve
        self._deadline_s = deadline_s
        self._session_of = sessions or self._over_the_network
        self._budget = TokenBudget(store, clock, limit=settings.token_limit, sleep=clock.sleep, write=self._writes.do)
        self._chance = chance
        self._turns: dict[str, tuple[asyncio.Lock, int]] = {}
        self._holder = str(uuid4())
        self.tokens = Tokens(clock.monotonic)
        self.rhythm = Rhythm(timedelta(minutes=settings.interval_minutes), settings.token_limit)
        self._kept = Kept()
        self._servers = Servers(clock.monotonic)
        self._session_again = sessions or self._over_kept_connections
        self._policy = OutboundPolicy.from_settings(settings)

    def verify(self, subject: checks.Subject, watch: Watch) -> tuple[Check, AccessToken | None]:
        """Run the stages for a key a person just gave; nothing is recorded. Returns the token it was given, too."""
        fresh: list[AccessToken] = []
        plan = Plan(subject.trigger)
        check = self._engine.call(lambda report: self._run(subject, report, plan=plan, granted=fresh.append), watch)
        return check, fresh[0] if fresh else None

    def check(self, account_id: str, trigger: Trigger, watch: Watch) -> Check:
        """Check one account and record it; raises NotFound, Paused, Busy."""
        return self._engine.call(lambda report: self._check(account_id, Plan(trigger), report), watch)[0]

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
            step = None
            async with places_at[row.identity_origin], places:
                with suppress(NotFound, Paused, Busy):  # unlinked or paused meanwhile; the others go on
                    _, step = await self._check(row.id, Plan(patience_s=PATIENCE_S, ahead=False), waiting)
            done += 1
            report(Progress(done, len(rows), row.label, step.standing.status if step else None))

        report(Progress(0, len(rows)))
        try:
            async with asyncio.TaskGroup() as group:
                for row in rows:
                    group.create_task(one(row))
        except ExceptionGroup as failed:
            # What failed is the hub, such as a full disk: the first says it, and the others say the same.
            raise failed.exceptions[0] from None

    async def _check(self, account_id: str, plan: Plan, watch: Watch) -> tuple[Check, Step | None]:
        async with self.turn(account_id), self._held(account_id):
            examined = await self.examine(account_id, plan, watch)
            check, account = examined.check, examined.loaded.account
            if check.failure and check.failure.reason is Reason.BUDGET_SPENT:
                # We only told ourselves to wait: as a row of the history it would hide the last real check.
                return check, Step(account.standing, None, account.facts, account.due, check)
            done = await self.keep(examined)
            return done.check if done else check, done

    @asynccontextmanager
    async def _held(self, account_id: str) -> AsyncIterator[None]:
        """Keep other processes from checking an account, which whoever watches does by a claim; raises Busy, NotFound.

        A process that dies gives no more signs, and half a minute later the account is free.
        """
        give_up = self._clock.monotonic() + HOLD_PATIENCE_S
        while not await self._hold(account_id):
            if self._clock.monotonic() > give_up:
                raise Busy
            await self._clock.sleep(HOLD_POLL_S)
        holding = asyncio.create_task(self._hold_on(account_id))
        try:
            yield
        finally:
            holding.cancel()
            await asyncio.wait([holding])
            with suppress(HubError):  # then it runs out by itself
                await to_its_end(asyncio.to_thread(self._store.schedule.release, account_id, self._holder))

    async def _hold(self, account_id: str) -> bool:
        return await to_its_end(
            asyncio.to_thread(self._store.schedule.hold, account_id, self._holder, now=self._clock.now(), lasts=HOLD)
        )

    async def _hold_on(self, account_id: str) -> None:
        while True:
            await self._clock.sleep(HOLD_AGAIN_S)
            with suppress(HubError):  # the next sign may come through
                await self._hold(account_id)

    # ---- for the scheduler, in the engine's loop

    @asynccontextmanager
    async def turn(self, account_id: str) -> AsyncIterator[None]:
        """Keep every other check of this account, in this process, waiting meanwhile."""
        lock, waiting = self._turns.get(account_id, (asyncio.Lock(), 0))
        self._turns[account_id] = lock, waiting + 1
        try:
            async with lock:
                yield
        finally:
            lock, waiting = self._turns.pop(account_id)
            if waiting > 1:
                self._turns[account_id] = lock, waiting - 1

    def busy(self) -> set[str]:
        """Return the accounts that are being checked, by whomever in this process."""
        return set(self._turns)

    async def examine(self, account_id: str, plan: Plan, watch: Watch) -> Examined:
        """Check one account and record nothing yet; raises NotFound, Paused."""
        loaded = await self._reads.do(partial(self._store.load, account_id))
        account = loaded.account
        if account.lifecycle is Lifecycle.PAUSED:
            raise Paused
        try:
            secret = self._keychain.open(loaded.sealed, loaded.ring)
        except (SealError, MasterKeyError):
            check = self._locked(plan.trigger)
            watch(check.observations[0])
            return Examined(loaded, check, None)
        subject = checks.Subject(
            account.endpoints,
            ApiKey(account.client_id, secret),
            worked_before=account.standing.key_proven_at is not None,
            trigger=plan.trigger,
            ca_pem=account.ca_pem,
            token=self.tokens.get(account.id, loaded.generation) if plan.light else None,
            lists=self._lists(account, plan),
        )
        fresh: list[AccessToken] = []
        check = await self._run(subject, watch, plan=plan, granted=fresh.append)
        return Examined(loaded, check, fresh[0] if fresh else None)

    async def keep(self, examined: Examined, *, fence: int | None = None) -> Step | None:
        """Record a check; return what it did, or None when it came too late to say anything about the account."""
        loaded, check, fresh = examined
        self.tokens.learn(loaded.account.id, loaded.generation, check, fresh)
        return await to_its_end(self._writes.do(partial(self._record, loaded, check, self._chance(), fence)))

    def _record(self, loaded: Loaded, check: Check, chance: float, fence: int | None) -> Step | None:
        account = loaded.account
        return self._store.record(
            account.id,
            loaded.generation,
            step=lambda present: self.step(present, check, chance),
            fence=fence,
            maintenance=self._windows.open_for(account.id, account.tags, since=check.at),
        )

    def step(self, account: Account, check: Check, chance: float | None = None) -> Step:
        """Return what a check does to an account, by the rhythm of this installation."""
        return status.step(account, check, self.rhythm, chance=self._chance() if chance is None else chance)

    async def answers(self, account_id: str) -> bool:
        """Tell whether the API server of an account can be connected to at all."""
        account = (await asyncio.to_thread(self._store.load, account_id)).account
        return await self.reaches(account.endpoints, account.ca_pem)

    async def reaches(self, endpoints: Endpoints, ca_pem: str | None = None) -> bool:
        """Tell whether an API server can be connected to; nothing is sent to it."""
        async with self._session_of(endpoints, ca_pem) as session:
            try:
                await session.connect(Side.API)
            except RemoteError:
                return False
        return True

    def close(self) -> None:
        """Close the connections that were kept, once nothing runs any more."""
        self._kept.close()

    # ---- inside

    def _lists(self, account: Account, plan: Plan) -> tuple[str, ...]:
        """Return every list for a person, and once a day; else the one that tells most cheaply."""
        deep_at = account.due.deep_at
        deep = not plan.light and (deep_at is None or deep_at <= self._clock.now())
        return LISTS if plan.trigger is not Trigger.SCHEDULE or deep else small_read(account.facts.capabilities)

    async def _run(
        self,
        subject: checks.Subject,
        watch: Watch,
        *,
        plan: Plan,
        granted: Callable[[AccessToken], None] = lambda _: None,
    ) -> Check:
        if subject.endpoints.region is RegionId.SANDBOX:
            with suppress(SandboxUnavailable):  # then nothing answers there, and the check says so
                await asyncio.to_thread(self._sandbox.wake)
        clouds = [row.endpoints for row in REGIONS if row.endpoints]
        clouds += [endpoints for _, endpoints in self._sandbox.clouds()]
        # What a person asks for is looked at anew, down to the name and the handshake.
        routine = plan.trigger is Trigger.SCHEDULE
        reach = self._session_again if routine else self._session_of
        means = checks.Means(
            session=lambda subject: reach(subject.endpoints, subject.ca_pem),
            budget=self._budget,
            clock=self._clock,
            device=DEVICE,
            clouds=tuple(clouds),
            official=_official,
            patience_s=plan.patience_s,
            limit=plan.limit,
            ahead=plan.ahead,
            granted=granted,
            servers=self._servers if routine else Servers(self._clock.monotonic, believed_s=0),
        )
        return await checks.run(subject, means, watch)

    def _locked(self, trigger: Trigger) -> Check:
        observation = Observation(Stage.FORMAT, Outcome.FAIL, Reason.SECRET_LOCKED)
        return Check(self._clock.now(), trigger, (observation,))

    def _over_kept_connections(self, endpoints: Endpoints, ca_pem: str | None) -> Session:
        return self._over_the_network(endpoints, ca_pem, self._kept)

    def _over_the_network(self, endpoints: Endpoints, ca_pem: str | None, kept: Kept | None = None) -> Session:
        return Session(
            endpoints,
            self._policy,
            ca_pem=ca_pem,
            official=_official,
            deadline_s=self._deadline_s,
            resolve=self._resolve,
            kept=kept,
        )


def _official(host: str) -> bool:
    return region_of_host(host) is not None
