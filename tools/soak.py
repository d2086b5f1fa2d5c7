"""Lets a hub watch many organizations for long, in time that passes faster, and prints what grows and what is late.

The servers are a sandbox in a process of its own, over sockets and TLS, with its rate limits on; now and then one of
them breaks for a while. The hub is the real one, here in this process, so that its memory can be read (Linux only).
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
import tempfile
import threading
import time
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import timedelta
from multiprocessing import get_context
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, NamedTuple

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from hub_core.hub import Hub  # noqa: E402 - needs the path above
from hub_core.model import RegionId  # noqa: E402 - as above
from hub_core.sandbox import Fault, Sandbox, ServerName, endpoints_of, serve  # noqa: E402 - as above
from hub_core.settings import Settings  # noqa: E402 - as above
from tests.scaled import FastTime, organizations, proven, store_linked  # noqa: E402 - as above

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime
    from multiprocessing.connection import Connection

    from hub_core.sandbox import SandboxOrganization

MIB = 1024 * 1024
SETTLING = timedelta(minutes=45)
"""Fast time until every account has its first token at the pace of the budget; nobody is late before."""

SLOTS = 2
"""A slot is missed when an account was not checked for so many intervals; it is shown as stale then."""

BREAKS_EVERY, BROKEN_FOR = timedelta(hours=3), timedelta(minutes=40)
FAULTS = (Fault.BAD_GATEWAY, Fault.RESET, Fault.HTML)
WARM_UP = 0.25
"""The part of the run that is left out of the slope of memory."""

_LINE = "{:>7} {:>8} {:>6} {:>8} {:>8} {:>8} {:>9} {:>7} {:>6} {:>7} {:>9}"


class Sample(NamedTuple):
    """What this process used at one moment."""

    at: float
    """Real seconds since the beginning."""
    memory: float
    """MiB that are resident."""
    files: int
    threads: int
    database: float
    wal: float


def main() -> int:
    """Run, print a line every minute and a report at the end; return 1 if a slot was missed or an error logged."""
    options = _options()
    fast = FastTime(options.speed)
    with tempfile.TemporaryDirectory() as folder, served(options.accounts, fast) as (origin, ca_pem):
        host = origin.removeprefix("https://")
        settings = Settings(data=Path(folder, "data"), config=Path(folder, "config"), outbound_loopback=(host,))
        with closing(Hub.open(settings, clock=fast.clock, deadline_s=10.0)) as hub:
            for who in people(options.accounts):
                place = replace(endpoints_of(origin, who.server), region=RegionId.SELF_HOSTED)
                store_linked(hub, who, place, ca_pem=ca_pem, check=proven(fast.now()))
            return Soak(hub, fast).run(options.minutes)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=60, help="real minutes to run (60)")
    parser.add_argument("--accounts", type=int, default=200, help="linked organizations (200)")
    parser.add_argument("--speed", type=float, default=30, help="how much faster than real time (30)")
    return parser.parse_args()


# ---- the servers


def people(number: int) -> list[SandboxOrganization]:
    """Return so many organizations, one of ten on the server that breaks now and then."""
    made = organizations(number)
    return [replace(who, server=ServerName.EU) if n % 10 == 0 else who for n, who in enumerate(made)]


@contextmanager
def served(number: int, fast: FastTime) -> Iterator[tuple[str, str]]:
    """Serve the sandbox in another process; yields its origin and its CA certificate."""
    method = get_context("spawn")
    ours, theirs = method.Pipe()
    process = method.Process(target=serve_until_told, args=(theirs, number, fast.factor, fast.began), daemon=True)
    process.start()
    try:
        yield ours.recv()
    finally:
        ours.send("end")
        process.join()


def serve_until_told(pipe: Connection, number: int, factor: float, began: float) -> None:
    """Serve a sandbox whose time passes as fast, and break one of its servers now and then."""
    fast = FastTime(factor, began=began)
    sandbox = Sandbox(clock=fast.now, organizations=tuple(people(number)))
    with serve(sandbox) as running:
        pipe.send((running.origin, running.ca_pem))
        start, broken = fast.now(), False
        while not pipe.poll(0.2):
            turn, into = divmod(fast.now() - start, BREAKS_EVERY)
            wanted = turn > 0 and into < BROKEN_FOR
            if wanted and not broken:
                sandbox.faults.set(ServerName.EU, FAULTS[turn % len(FAULTS)])
            elif broken and not wanted:
                sandbox.faults.clear()
            broken = wanted


# ---- the hub, and what is seen of it


class Counting(logging.Handler):
    """Counts what the hub logs, and shows its errors."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.warnings = self.errors = 0

    def emit(self, record: logging.LogRecord) -> None:
        """Count a line."""
        if record.levelno >= logging.ERROR:
            self.errors += 1
            print("   logged:", record.getMessage(), flush=True)
        else:
            self.warnings += 1


class Soak:
    """One run: looks at every account each second, and at this process."""

    def __init__(self, hub: Hub, fast: FastTime) -> None:
        self._hub = hub
        self._fast = fast
        self._start = fast.now()
        self._began = time.monotonic()
        self._seen: dict[str, datetime | None] = {}
        self._samples: list[Sample] = []
        self._late_now: set[str] = set()
        self._longest = timedelta()
        self._bound = SLOTS * hub.watching.rhythm.interval
        self.checks = self.missed = self.stale = 0
        self.logged = Counting()
        logging.getLogger().addHandler(self.logged)

    def run(self, minutes: float) -> int:
        """Watch for so many real minutes; interrupting ends it early, with its report."""
        print(_LINE.format("minute", "MiB", "files", "threads", "db MiB", "wal MiB", "checks", "missed", "stale",
                           "errors", "warnings"))  # fmt: skip
        self._hub.start_watching()
        ends, line_at, pause = self._began + minutes * 60, self._began, threading.Event()
        try:
            while time.monotonic() < ends:
                self._look()
                if time.monotonic() >= line_at:
                    self._print_line()
                    line_at += 60
                pause.wait(1.0)
        except KeyboardInterrupt:
            print("interrupted")
        return self._report()

    def _look(self) -> None:
        """Count the checks since the last look, the slots that were missed, and the accounts shown as stale."""
        now = self._fast.now()
        settled = now - self._start > SETTLING
        for row in self._hub.accounts():
            last = self._seen.get(row.id)
            if row.checked_at != last:
                self._seen[row.id] = row.checked_at
                self._late_now.discard(row.id)
                self.checks += last is not None
            if not settled or row.checked_at is None:
                continue
            self._longest = max(self._longest, now - row.checked_at)
            if now - row.checked_at > self._bound and row.id not in self._late_now:
                self._late_now.add(row.id)
                self.missed += 1
            self.stale += self._hub.watching.stale(row)
        self._samples.append(sample(self._hub.settings.database, time.monotonic() - self._began))

    def _print_line(self) -> None:
        last = self._samples[-1]
        print(
            _LINE.format(
                f"{last.at / 60:.1f}", f"{last.memory:.1f}", last.files, last.threads, f"{last.database:.1f}",
                f"{last.wal:.1f}", self.checks, self.missed, self.stale, self.logged.errors, self.logged.warnings,
            ),
            flush=True,
        )  # fmt: skip

    def _report(self) -> int:
        self._print_line()
        took = self._samples[-1].at
        warm = [one for one in self._samples if one.at >= WARM_UP * took]
        first, last = warm[0], warm[-1]
        passed = self._fast.now() - self._start
        print(f"\n{len(self._seen)} accounts, {took / 60:.1f} real minutes, {passed / timedelta(hours=1):.1f} hours")
        for what, value in (
            ("checks", f"{self.checks}, {self.checks / took:.1f} a second"),
            ("memory, slope after warm-up", f"{slope(warm):+.2f} MiB an hour"),
            ("memory, first and last after warm-up", f"{first.memory:.1f} and {last.memory:.1f} MiB"),
            ("memory, highest", f"{max(one.memory for one in self._samples):.1f} MiB"),
            ("open files, first and highest", f"{first.files} and {max(one.files for one in warm)}"),
            ("threads, first and highest", f"{first.threads} and {max(one.threads for one in warm)}"),
            ("database, first and last", f"{first.database:.1f} and {last.database:.1f} MiB"),
            ("WAL, highest", f"{max(one.wal for one in self._samples):.1f} MiB"),
            ("processor time", f"{time.process_time():.1f} s, {time.process_time() / took:.1%} of one core"),
            ("longest age of a check", f"{self._longest / timedelta(minutes=1):.1f} min"),
            ("missed slots", f"{self.missed} (older than {self._bound / timedelta(minutes=1):.1f} min)"),
            ("looks at an account that was stale", str(self.stale)),
            ("logged", f"{self.logged.errors} errors, {self.logged.warnings} warnings"),
            ("accounts by status", self._statuses()),
        ):
            print(f"  {what:<38} {value}")
        return 1 if self.missed or self.logged.errors else 0

    def _statuses(self) -> str:
        found = [str(row.status) for row in self._hub.accounts()]
        return ", ".join(f"{found.count(status)} {status}" for status in sorted(set(found)))


def sample(database: Path, at: float) -> Sample:
    """Return what this process uses now."""
    resident = int(Path("/proc/self/statm").read_text("ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")
    wal = database.with_name(database.name + "-wal")
    return Sample(
        at,
        resident / MIB,
        len(os.listdir("/proc/self/fd")),  # noqa: PTH208 - only counted
        threading.active_count(),
        database.stat().st_size / MIB,
        wal.stat().st_size / MIB if wal.exists() else 0.0,
    )


def slope(samples: Sequence[Sample]) -> float:
    """Return by how many MiB an hour the memory grows, by least squares."""
    x, y = fmean(one.at for one in samples), fmean(one.memory for one in samples)
    spread = sum((one.at - x) ** 2 for one in samples)
    return 3600 * sum((one.at - x) * (one.memory - y) for one in samples) / spread if spread else 0.0


if __name__ == "__main__":
    sys.exit(main())
