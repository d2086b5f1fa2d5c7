"""Runs a hub through a scenario in virtual time and keeps what could be seen of it."""

from __future__ import annotations

import logging
import random
import socket
from collections import defaultdict
from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple

from hub_core.alerts.channel import Sort
from hub_core.alerts.form import ChannelForm
from hub_core.bitwarden.client import LISTS
from hub_core.errors import VerifyFailed
from hub_core.health import status
from hub_core.health.maintenance import Once, Scope
from hub_core.hub import Hub
from hub_core.model import (
    Account,
    Capability,
    Check,
    Facts,
    Lifecycle,
    Observation,
    Outcome,
    Reason,
    Stage,
    Standing,
    Status,
    Trigger,
)
from hub_core.settings import Settings
from tests.scenario import LOOK, RHYTHM
from tests.virtual import VirtualEngine, VirtualTime
from tests.world import World

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime
    from pathlib import Path

    from tests.scenario import Deed, Scenario
    from tests.world import Organization

SEED = 20261123
STALE_EVERY = 5
"""Looks from one look at stale accounts to the next."""


class Move(NamedTuple):
    """A change of status, and when it could be seen."""

    seen: datetime
    after: Status
    reason: Reason | None


class Telling(NamedTuple):
    """When people began, or ceased, to know of an account as being in trouble."""

    seen: datetime
    began: bool


class Letter(NamedTuple):
    """A message that was put on its way."""

    seen: datetime
    sort: Sort
    cause: str
    """What the many accounts it is about have in common; empty where it is about one."""


class Logged(logging.Handler):
    """Keeps the errors that the hub logs."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep one."""
        self.lines.append(record.getMessage())


class Simulation:
    """One run of a scenario."""

    def __init__(self, scenario: Scenario, folder: Path) -> None:
        self.scenario = scenario
        self.time = VirtualTime(scenario.start)
        self.world = World(self.time)
        self.moves: dict[int, list[Move]] = defaultdict(list)
        """By number of the organization."""
        self.tellings: dict[int, list[Telling]] = defaultdict(list)
        self.letters: list[Letter] = []
        self.stale: list[tuple[datetime, Organization]] = []
        self.came_again = 0
        """How often a person was told to come again."""
        self.logged = Logged()
        self._settings = Settings(data=folder / "data", config=folder / "config")
        self._chance = random.Random(SEED)  # noqa: S311 - not for secrets
        self._ids: dict[int, str] = {}
        self._people: dict[str, Organization] = {}
        self._last_move = self._last_letter = 0
        self._known: set[str] = set()
        self._looks = 0
        self._dead: list[tuple[Hub, VirtualEngine]] = []
        self.hub, self._engine = self._open()
        channel = self.hub.alerts.read_form(ChannelForm(name="Everybody", target="https://receiver.example/hook"))
        self.hub.alerts.add(channel, actor="simulation")

    def run(self, length: timedelta, progress: Callable[[datetime], None] = lambda _: None) -> None:
        """Let everything happen that happens in so much time."""
        for trouble in self.scenario.troubles:
            self.world.befall(trouble)
        for who in self.scenario.organizations:
            self.world.add(who)
            self._link(who)
        logging.getLogger("hub_core").addHandler(self.logged)
        try:
            self.hub.start_watching()
            self._let_happen(self.scenario.start + length, progress)
        finally:
            logging.getLogger("hub_core").removeHandler(self.logged)

    def close(self) -> None:
        """End every hub, the killed ones last."""
        for hub, _ in [(self.hub, self._engine), *self._dead]:
            hub.close()

    def id_of(self, who: Organization) -> str:
        """Return the account of an organization."""
        return self._ids[who.number]

    def _let_happen(self, ends: datetime, progress: Callable[[datetime], None]) -> None:
        deeds = sorted((deed for deed in self.scenario.deeds if deed.at < ends), key=lambda deed: deed.at)
        while (now := self.time.true()) < ends:
            if deeds and deeds[0].at <= now:
                self._do(deeds.pop(0))
                continue
            upcoming = min([now + LOOK, ends, *(deed.at for deed in deeds[:1])])
            self._engine.let_pass((upcoming - now).total_seconds())
            self._look()
            progress(now)

    # ---- the hub

    def _open(self) -> tuple[Hub, VirtualEngine]:
        engine = VirtualEngine(self.time)
        hub = Hub.open(
            self._settings,
            clock=self.time.clock,
            chance=self._chance.random,
            engine=engine,
            sessions=self.world.session,
            resolve=_nowhere,
        )
        return hub, engine

    def _link(self, who: Organization) -> None:
        """Store an organization as linked a moment ago; five hundred at the pace of the budget would take an hour."""
        place = who.server.endpoints
        check = _first_check(who, self.time.true() - RHYTHM.interval * self._chance.random())
        made = Account(
            f"account-{who.number:05d}", f"Organization {who.number}", place, who.client_id, None, who.tags, "",
            Lifecycle.ACTIVE, "", check.at, check.at, Standing(), Facts(),
        )  # fmt: skip
        self.hub.store.add_account(
            made,
            seal=lambda ring: self.hub.keychain.seal(who.key, ring, account_id=made.id, endpoints=place),
            check=check,
            step=status.step(made, check, RHYTHM, chance=self._chance.random()),
            actor="simulation",
        )
        self._ids[who.number], self._people[made.id] = made.id, who

    def _do(self, deed: Deed) -> None:
        account_id = self._ids[deed.who.number] if deed.who else ""
        if deed.what == "kill":
            self._dead.append((self.hub, self._engine))
            self.time.counted += deed.span.total_seconds()
            self.hub, self._engine = self._open()
            self.hub.start_watching()
        elif deed.what == "sleep":
            self.time.sleep_machine(deed.span)
        elif deed.what == "clock":
            self.time.wrong_by = deed.span
        elif deed.what == "pause":
            self.hub.pause(account_id, "simulated", actor="simulation")
        elif deed.what == "resume":
            self.hub.resume(account_id, actor="simulation")
        elif deed.what == "window":
            begins = deed.at + timedelta(minutes=30)
            rule = Once(begins, begins + deed.span)
            self.hub.windows.add(Scope.ACCOUNT, account_id, rule, "simulated", actor="simulation")
        elif deed.who and deed.what == "hold":
            self.hub.store.budget.hold(deed.who.server.identity, self.time.shown() + deed.span)
        elif deed.who and deed.what == "rotate":
            deed.who.generation += 1
        elif deed.who:
            self._relink(account_id, deed.who)

    def _relink(self, account_id: str, who: Organization) -> None:
        """Relink as people do: whoever is told to come again after some seconds does so."""
        try:
            self.hub.relink(account_id, who.key, actor="simulation")
        except VerifyFailed as failed:
            if not failed.check.retry_after:
                raise
            self.came_again += 1
            self._engine.let_pass(failed.check.retry_after)
            self._relink(account_id, who)

    # ---- what can be seen

    def _look(self) -> None:
        now = self.time.true()
        with self.hub.store.database.read() as con:
            rows = con.execute(
                "SELECT id, account_id, after, reason FROM transition WHERE id > ? ORDER BY id", (self._last_move,)
            ).fetchall()
        for number, account_id, after, reason in rows:
            self._last_move = number
            move = Move(now, Status(after), Reason(reason) if reason else None)
            self.moves[self._people[account_id].number].append(move)
        self._read_the_post(now)
        self._looks += 1
        if self._looks % STALE_EVERY == 0:
            late = [row.id for row in self.hub.accounts() if self.hub.watching.stale(row)]
            self.stale += [(now, self._people[account_id]) for account_id in late]

    def _read_the_post(self, now: datetime) -> None:
        with self.hub.store.database.read() as con:
            told = {row[0] for row in con.execute("SELECT account_id FROM told")}
            letters = con.execute(
                "SELECT rowid, sort, cause FROM delivery WHERE rowid > ? ORDER BY rowid", (self._last_letter,)
            ).fetchall()
        for account_id in told ^ self._known:
            self.tellings[self._people[account_id].number].append(Telling(now, account_id in told))
        self._known = told
        for number, sort, cause in letters:
            self._last_letter = number
            self.letters.append(Letter(now, Sort(sort), cause))


async def _nowhere(host: str, port: int) -> list[str]:
    """Find no address: messages are made, and stay on their way."""
    raise socket.gaierror(socket.EAI_NONAME, f"{host}:{port}")


def _first_check(who: Organization, at: datetime) -> Check:
    """Return the check that linked an organization."""
    seen = [Observation(stage, Outcome.PASS) for stage in Stage]
    if who.server.vaultwarden:
        seen[-2] = Observation(Stage.READ, Outcome.WARN, Reason.READ_API_ABSENT)
    answer = Capability.NOT_OFFERED if who.server.vaultwarden else Capability.READABLE
    return Check(at, Trigger.LINK, tuple(seen), Facts(capabilities=dict.fromkeys(LISTS, answer)))
