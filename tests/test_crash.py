"""Killed at any instant: nothing acknowledged is lost, nothing is half there, and every secret still opens.

The children are forked by a helper process that has imported everything, so that fifty of them cost seconds.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
from collections import Counter
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from queue import SimpleQueue
from threading import Event, Thread, Timer
from typing import TYPE_CHECKING, Any

import pytest

from hub_core.clock import Clock
from hub_core.errors import AlreadyLinked, NotFound
from hub_core.health import rollup
from hub_core.hub import Hub
from hub_core.keychain import Keychain
from hub_core.model import Trigger
from hub_core.sandbox import Sandbox, serve
from hub_core.sandbox.organizations import ORGANIZATIONS
from hub_core.settings import Settings
from hub_core.storage.database import Database
from hub_core.storage.migrations import MIGRATIONS
from hub_core.storage.store import Store
from hub_core.storage.sums import Keep
from tests.linked import installation, link, sandbox_without_limits
from tests.lived import live, populate
from tests.scaled import FastTime, until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import sqlite_utils

    from hub_core.sandbox import RunningSandbox, SandboxOrganization

ROOT = Path(__file__).resolve().parents[1]
WORDS = ("Harbor", "Alpine", "Orchard", "Cedar")
SEED = 20261123
LIVED_UNTIL = datetime(2026, 11, 23, 12, tzinfo=UTC)
KEEP = Keep(timedelta(days=14), timedelta(days=90), timedelta(days=730))
FACTOR = 300
"""How much faster time passes for a watcher: its lease of half a minute is a tenth of a second."""


# ---- what the children do


class Jumps:
    """A clock that goes on by a minute at every operation, so that no child ever waits for the token budget."""

    def __init__(self, turn: int) -> None:
        self._start = datetime.now(UTC) + timedelta(hours=turn)
        self.operations = 0

    def now(self) -> datetime:
        """Return the time of the present operation."""
        return self._start + timedelta(seconds=61 * self.operations)


def say(*words: object) -> None:
    """Acknowledge, in one write that is either seen whole or not at all."""
    os.write(1, (json.dumps(words) + "\n").encode())


def link_and_check(settings: Settings, turn: int) -> None:
    """Link, check and unlink for ever, and acknowledge each thing that was done."""
    jumps = Jumps(turn)
    hub = Hub.open(settings, clock=Clock(now=jumps.now))
    say("ready")
    while True:
        for word in WORDS:
            known = {row.label.split()[0]: row.id for row in hub.accounts()}
            jumps.operations += 1
            with suppress(AlreadyLinked, NotFound):  # another process was faster
                link_or_check(hub, word, known.get(word), unlink=jumps.operations % 7 == 0)


def of_sandbox(word: str) -> SandboxOrganization:
    """Return an organization of the sandbox as it is at first."""
    return next(o for o in ORGANIZATIONS if o.name.startswith(word))


def link_or_check(hub: Hub, word: str, known: str | None, *, unlink: bool) -> None:
    """Do one thing to one organization, and acknowledge it."""
    if known is None:
        say("linked", link(hub, of_sandbox(word)).account.id)
    elif unlink:
        say("unlinking", known)
        hub.unlink(known, hub.account(known).label, actor="child")
        say("unlinked", known)
    else:
        say("checked", known, round(hub.check(known).at.timestamp() * 1000))


def rotate(settings: Settings, turn: int) -> None:
    """Rotate the data key for ever."""
    with closing(Store.open(settings.database)) as store:
        keys = Keychain(store, settings, Clock())
        say("ready")
        while True:
            say("rotated", turn, keys.rotate(actor="child"))


def slow_steps() -> list[Callable[[sqlite_utils.Database], None]]:
    """Return the migrations of a program that is forty versions newer."""

    def step(number: int) -> Callable[[sqlite_utils.Database], None]:
        def add(db: sqlite_utils.Database) -> None:
            db.execute(f"CREATE TABLE extra{number}(at INTEGER NOT NULL) STRICT")
            db.execute(f"INSERT INTO extra{number} SELECT at FROM token_request")  # noqa: S608 - a number
            db.execute(f"ALTER TABLE account ADD COLUMN extra{number} TEXT")

        return add

    return [step(number) for number in range(40)]


def upgrade(settings: Settings, _: int) -> None:
    """Open the database as a much newer program."""
    say("ready")
    Database(settings.database, steps=(*MIGRATIONS, *slow_steps())).close()
    say("upgraded")


def watch(settings: Settings, _: int) -> None:
    """Watch for ever, in the fast time that the folder tells, as `linkhub watch` does."""
    began = float(settings.data.with_name("began").read_text("ascii"))
    hub = Hub.open(settings, clock=FastTime(FACTOR, began=began).clock)
    hub.start_watching()
    say("ready")
    Event().wait()


def sum_up(settings: Settings, _: int) -> None:
    """Sum up history for ever, a few hours at a time, and again from further back each time all is done."""
    with closing(Store.open(settings.database)) as store:
        say("ready")
        while True:
            if not store.sums.roll_up(LIVED_UNTIL, KEEP, at_most=7):
                with store.database.write() as con:
                    con.execute("UPDATE rolled SET hour = hour - 20 - 7 * (no % 3)")
                say("all")


JOBS = {job.__name__: job for job in (link_and_check, rotate, upgrade, watch, sum_up)}


def nursery() -> None:
    """Fork a child for every line that comes in, and say when it has ended."""
    import sqlite_utils  # noqa: F401 - so that the children have it

    for line in sys.stdin:
        name, turn, folder, port = json.loads(line)
        settings = Settings(data=Path(folder, "data"), config=Path(folder, "config"), sandbox_port=port, token_limit=60)
        child = os.fork()
        if not child:
            say("pid", os.getpid())
            try:
                JOBS[name](settings, turn)
            finally:
                os._exit(0)
        say("ended", os.waitpid(child, 0)[1])


# ---- who starts, kills and looks


def kill(child: int) -> None:
    """Kill a child, unless it has come to its end by itself."""
    with suppress(ProcessLookupError):
        os.kill(child, signal.SIGKILL)


class Nursery:
    """The helper process, and what its children say."""

    def __init__(self, settings: Settings) -> None:
        self._given = [str(settings.data.parent), settings.sandbox_port]
        command = [sys.executable, "-c", "from tests.test_crash import nursery; nursery()"]
        self.process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self._lines: SimpleQueue[list[Any]] = SimpleQueue()
        Thread(target=self._listen, daemon=True).start()
        self._turn = 0

    def _listen(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._lines.put(json.loads(line))

    def start(self, name: str) -> int:
        """Start a child and return its process id."""
        assert self.process.stdin is not None
        self._turn += 1
        self.process.stdin.write(json.dumps([name, self._turn, *self._given]).encode() + b"\n")
        self.process.stdin.flush()
        return int(self.until("pid", [])[1])

    def until(self, word: str, heard: list[list[Any]]) -> list[Any]:
        """Return the first line with a word; what comes before it goes to `heard`."""
        while (line := self._lines.get(timeout=30))[0] != word:
            heard.append(line)
        return line

    def life(self, name: str, seconds: float, *, after: int = 0) -> list[list[Any]]:
        """Let one child live until it has said so many things, and so long; kill it, and return what it said."""
        heard: list[list[Any]] = []
        child = self.start(name)
        self.until("ready", heard)
        heard += [self._lines.get(timeout=30) for _ in range(after)]
        killer = Timer(seconds, kill, (child,))
        killer.start()
        self.until("ended", heard)
        killer.cancel()
        killer.join()
        return heard


@pytest.fixture(scope="module")
def running() -> Iterator[RunningSandbox]:
    with sandbox_without_limits() as served:
        yield served


@pytest.fixture
def settings(tmp_path: Path, running: RunningSandbox) -> Settings:
    return installation(tmp_path, running)


@contextmanager
def nursing(settings: Settings) -> Iterator[Nursery]:
    made = Nursery(settings)
    try:
        yield made
    finally:
        made.process.kill()
        made.process.wait()


def whole(settings: Settings) -> set[str]:
    """Open what the killed child left, as the next start does, and return the ids of its accounts.

    The database is sound, every secret opens, and every account has its first check, beat, transition and entry.
    """
    with closing(Store.open(settings.database)) as store:
        assert store.database.problems() == []
        keys = Keychain(store, settings, Clock())
        assert keys.locked() == []
        with store.database.read() as con:
            accounts = {row[0] for row in con.execute("SELECT id FROM account")}
            for table in ("checks", "transition", "last_check"):
                assert {row[0] for row in con.execute(f"SELECT DISTINCT account_id FROM {table}")} == accounts  # noqa: S608 - names above
            numbers = {row[0] for row in con.execute("SELECT no FROM account")}
            for table in ("beat", "rolled"):
                assert {row[0] for row in con.execute(f"SELECT DISTINCT no FROM {table}")} == numbers  # noqa: S608 - names above
            linked = {row[0] for row in con.execute("SELECT target FROM audit WHERE action = 'link'")}
            unlinked = {row[0] for row in con.execute("SELECT target FROM audit WHERE action = 'unlink'")}
        assert linked - unlinked == accounts
    return accounts


def lives(number: int, most: int, longest: float) -> list[tuple[int, float]]:
    """Return after how many words, and how much later, to kill: on a slow machine as much is done as on a fast one."""
    chance = random.Random(SEED)  # noqa: S311 - not for secrets
    return [(chance.randint(0, most), chance.uniform(0, longest)) for _ in range(number)]


def seconds(number: int, longest: float) -> list[float]:
    """Return the instants at which to kill: random, and the same in every run."""
    chance = random.Random(SEED)  # noqa: S311 - not for secrets
    return [chance.uniform(0, longest) for _ in range(number)]


def checks_of(settings: Settings) -> set[tuple[str, int]]:
    with closing(Store.open(settings.database)) as store, store.database.read() as con:
        return {(row[0], row[1]) for row in con.execute("SELECT account_id, at FROM checks")}


def expected(heard: Sequence[list[Any]], present: set[str]) -> set[str]:
    """Tell which accounts must be there: what was acknowledged, but for the one that may have been unlinked last."""
    for word, *rest in heard:
        if word == "linked":
            present = present | {rest[0]}
        elif word == "unlinking":
            present = present - {rest[0]}
    return present


def test_fifty_kills_while_linking_and_checking(settings: Settings, running: RunningSandbox) -> None:
    """Fifty times a child is killed amid linking, checking and unlinking: every acknowledged thing is there."""
    present: set[str] = set()
    counts: Counter[str] = Counter()
    with nursing(settings) as nursery:
        for words, instant in lives(50, 8, 0.05):
            heard = nursery.life("link_and_check", instant, after=words)
            counts.update(word for word, *_ in heard)
            after = whole(settings)
            must = expected(heard, present)
            gone = {rest[0] for word, *rest in heard if word == "unlinked"}
            may = {rest[0] for word, *rest in heard if word == "unlinking"} - gone
            assert must <= after
            assert not gone & after
            assert len(after - must - may) <= 1  # stored, and killed before it could be said
            checked = {(str(rest[0]), int(rest[1])) for word, *rest in heard if word == "checked"}
            assert {check for check in checked if check[0] in after} <= checks_of(settings)
            present = after
    print(dict(counts))
    assert counts["linked"] > 10
    assert counts["checked"] > 20
    assert counts["unlinked"] > 0


def test_twenty_kills_while_rotating_the_data_key(settings: Settings, running: RunningSandbox) -> None:
    """Twenty times a child is killed amid rotations of the data key: each secret opens with the key that is there."""
    with closing(Hub.open(settings)) as hub:
        ids = {link(hub, of_sandbox(word)).account.id for word in WORDS}
    rotations = 0
    with nursing(settings) as nursery:
        for words, instant in lives(20, 4, 0.02):
            rotations += sum(word == "rotated" for word, *_ in nursery.life("rotate", instant, after=words))
            assert whole(settings) == ids
            with closing(Store.open(settings.database)) as store:
                assert len(store.ring()) == 1
    assert rotations > 20


def test_twenty_kills_during_an_upgrade(settings: Settings, running: RunningSandbox) -> None:
    """Twenty times an upgrade of forty steps is killed: each step is whole or absent, and the next start goes on."""
    steps = (*MIGRATIONS, *slow_steps())
    with closing(Store.open(settings.database)) as store:
        store.budget.take("https://identity.example", at=datetime.now(UTC), limit=60)
    original = settings.database.read_bytes()
    reached = set()
    with nursing(settings) as nursery:
        for instant in seconds(20, 0.12):
            for file in settings.data.glob("hub.db*"):
                file.unlink()
            settings.database.write_bytes(original)
            nursery.life("upgrade", instant)
            with closing(sqlite3.connect(settings.database)) as con:
                version = con.execute("PRAGMA user_version").fetchone()[0]
                tables = {row[0] for row in con.execute("SELECT name FROM sqlite_schema WHERE name LIKE 'extra%'")}
            assert tables == {f"extra{number}" for number in range(version - len(MIGRATIONS))}
            reached.add(version)
            with closing(Database(settings.database, steps=steps)) as database:
                assert database.problems() == []
                assert database.version == len(steps)
                with database.read() as reader:
                    kept = [reader.execute(f"SELECT count(*) FROM extra{n}").fetchone()[0] for n in range(40)]  # noqa: S608 - numbers
            assert kept == [1] * 40
    assert len(reached) > 3


def test_two_processes_racing_while_one_is_killed(settings: Settings, running: RunningSandbox) -> None:
    """Two processes link, check and unlink the same organizations; one is killed: the other goes on, all is whole."""
    with nursing(settings) as first, nursing(settings) as second:
        survivor = first.start("link_and_check")
        first.until("ready", [])
        for instant in seconds(10, 0.4):
            second.life("link_and_check", instant)
        heard: list[list[Any]] = []
        first.until("checked", heard)
        kill(survivor)
        first.until("ended", heard)
    whole(settings)


def test_twenty_kills_while_summing_up(settings: Settings) -> None:
    """Twenty times a child is killed amid sums: what is answered is always what the single checks say."""
    first, last = rollup.hour_of(LIVED_UNTIL) - 4 * 24, rollup.hour_of(LIVED_UNTIL)
    with closing(Hub.open(settings)) as hub:
        ids = populate(hub, 9, at=LIVED_UNTIL - timedelta(days=5))
        live(hub, until=LIVED_UNTIL, days=4, beats_days=4)
        with hub.store.database.write() as con:
            con.execute("UPDATE rolled SET hour = ?", (first,))
        epoch, until = datetime.fromtimestamp(0, UTC), int(LIVED_UNTIL.timestamp())
        truth = {i: rollup.hours(hub.past.beats(i, epoch), first, last, until=until) for i in ids}
    heard: list[list[Any]] = []
    with nursing(settings) as nursery:
        for instant in seconds(20, 0.2):
            heard += nursery.life("sum_up", instant)
            with closing(Store.open(settings.database)) as store:
                assert store.database.problems() == []
                assert {i: store.sums.hours(i, last - first + 1, LIVED_UNTIL)[:-1] for i in ids} == truth
                days = {i: store.sums.days(i, 5, LIVED_UNTIL) for i in ids}
            assert {i: sum(day.up for day in days[i]) for i in ids} == {i: sum(h.up for h in truth[i]) for i in ids}
    print(f"all was summed up {len(heard)} times")


def scheduled(settings: Settings) -> dict[str, list[tuple[datetime, datetime]]]:
    """Return when each scheduled check of each account began, and when it had its answer at the earliest."""
    found: dict[str, list[tuple[datetime, datetime]]] = {}
    with closing(Store.open(settings.database)) as store:
        for row in store.overview():
            beats = store.past.beats(row.id, datetime.fromtimestamp(0, UTC))
            scheduled = [beat for beat in beats if beat.trigger is Trigger.SCHEDULE]
            found[row.id] = [(beat.at, beat.at + timedelta(milliseconds=beat.latency_ms or 0)) for beat in scheduled]
    return found


def test_forty_kills_of_a_watcher(tmp_path: Path) -> None:
    """Forty times a watcher is killed: the next takes over, and no check is lost, stuck or made twice at once."""
    time = FastTime(FACTOR)
    with serve(Sandbox(clock=time.now, rate_limits=False)) as running:
        kill_watchers(installation(tmp_path, running), time)


def kill_watchers(settings: Settings, time: FastTime) -> None:
    """Kill forty watchers, let two live, and look at every check they made."""
    settings.data.with_name("began").write_text(str(time.began), "ascii")
    with closing(Hub.open(settings, clock=time.clock)) as hub:
        ids = {link(hub, of_sandbox(word)).account.id for word in WORDS}
    with nursing(settings) as first, nursing(settings) as second:
        for number, instant in enumerate(seconds(40, 0.3)):
            (first, second)[number % 2].life("watch", 0.1 + instant)
        assert whole(settings) == ids
        killed, last = scheduled(settings), time.now()
        children = [first.start("watch"), second.start("watch")]
        try:
            until(lambda: all(checks[-1][0] > last + timedelta(minutes=20) for checks in scheduled(settings).values()))
        finally:
            for child in children:
                kill(child)
    found = scheduled(settings)
    print({account_id: (len(killed.get(account_id, [])), len(found[account_id])) for account_id in ids})
    assert found.keys() == killed.keys() == ids
    for account_id, checks in found.items():
        assert set(killed[account_id]) <= set(checks)
        assert sum(later[0] < earlier[1] for earlier, later in pairwise(checks)) == 0
