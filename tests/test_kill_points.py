"""Killed before any one statement of record, route and deliver: nothing is lost, and nobody is told twice.

A child is killed at the k-th statement that its writing connection runs, for every k there is; then the hub is opened
again, as the next start does, and goes on. The receiver is a real one, on a socket.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from hub_core.alerts.channel import Sort, State
from hub_core.alerts.form import ChannelForm
from hub_core.clock import Clock
from hub_core.health import status
from hub_core.hub import Hub
from hub_core.model import Check, Endpoints, Observation, Outcome, Reason, RegionId, Stage, Status, Trigger
from hub_core.settings import Settings
from tests.receiving import receiver
from tests.scaled import organizations, proven, store_linked

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.receiving import Receiver

ROOT = Path(__file__).resolve().parents[1]
NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
PLACE = Endpoints(RegionId.US, "https://identity.bitwarden.com", "https://api.bitwarden.com")
GONE = (Observation(Stage.REACH, Outcome.FAIL, Reason.CONNECTION_TIMEOUT),)


@dataclass
class Hands:
    """A clock that is moved by hand."""

    at: datetime = NOON

    def now(self) -> datetime:
        """Return what it shows."""
        return self.at


def settings_of(folder: Path, place: str) -> Settings:
    return Settings(data=folder / "data", config=folder / "config", outbound_loopback=(place,))


def fall_and_rise(hub: Hub, hands: Hands) -> None:
    """Record a trouble and its end, and tell people of both; what was done before a kill is not done again."""
    (row,) = hub.accounts()
    before = {change.after for change in hub.past.transitions(row.id)}
    if Status.UNREACHABLE not in before:
        record(hub, row.id, Check(hands.at, Trigger.MANUAL, GONE))
    tell(hub, hands)
    if hub.account(row.id).standing.status is Status.UNREACHABLE:
        record(hub, row.id, proven(hands.at, Trigger.MANUAL))
    tell(hub, hands)


def record(hub: Hub, account_id: str, check: Check) -> None:
    hub.store.record(account_id, 0, step=lambda account: status.step(account, check))


def tell(hub: Hub, hands: Hands) -> None:
    """Let three minutes pass and have whoever watches tell what there is to tell."""
    hands.at += 3 * MINUTE

    async def go() -> None:
        teller = hub.alerts.teller()
        await teller.round()
        await teller.idle()

    asyncio.run(go())


# ---- the children


def live(folder: Path, place: str, deadly: int) -> None:
    """Do everything, and be killed at a statement; with 0 print how many there are."""
    hands, seen = Hands(), 0

    def count(_: str) -> None:
        nonlocal seen
        seen += 1
        if seen == deadly:
            os.kill(os.getpid(), signal.SIGKILL)

    with closing(Hub.open(settings_of(folder, place), clock=Clock(now=hands.now))) as hub:
        hub.store.database._writer.set_trace_callback(count)
        fall_and_rise(hub, hands)
        hub.store.database._writer.set_trace_callback(None)
    os.write(1, json.dumps(seen).encode() + b"\n")


def nursery() -> None:
    """Fork a child for every line that comes in, and say when it has ended."""
    import sqlite_utils  # noqa: F401 - so that the children have it
    import standardwebhooks  # noqa: F401 - as above

    for line in sys.stdin:
        folder, place, deadly = json.loads(line)
        child = os.fork()
        if not child:
            try:
                live(Path(folder), place, deadly)
            finally:
                os._exit(0)
        os.write(1, json.dumps(["ended", os.waitpid(child, 0)[1]]).encode() + b"\n")


class Nursery:
    """The helper process; children are forked from one that has imported everything."""

    def __init__(self) -> None:
        command = [sys.executable, "-c", "from tests.test_kill_points import nursery; nursery()"]
        self.process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def life(self, folder: Path, place: str, deadly: int) -> tuple[list[int], int]:
        """Let one child live to its end; return what it printed, and the signal it died of."""
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write(json.dumps([str(folder), place, deadly]).encode() + b"\n")
        self.process.stdin.flush()
        said: list[int] = []
        for line in self.process.stdout:
            heard = json.loads(line)
            if isinstance(heard, list):
                return said, os.WTERMSIG(heard[1])
            said.append(heard)
        raise AssertionError("the nursery is gone")


@contextmanager
def nursing() -> Iterator[Nursery]:
    made = Nursery()
    try:
        yield made
    finally:
        made.process.kill()
        made.process.wait()


# ---- who looks


@pytest.fixture
def inbox() -> Iterator[Receiver]:
    with receiver() as served:
        yield served


@pytest.fixture
def original(tmp_path: Path, inbox: Receiver) -> Path:
    """An installation with one healthy account and one channel."""
    folder = tmp_path / "original"
    with closing(Hub.open(settings_of(folder, inbox.place), clock=Clock(now=lambda: NOON))) as hub:
        store_linked(hub, organizations(1)[0], PLACE, ca_pem=None, check=proven(NOON - MINUTE))
        hub.alerts.add(hub.alerts.read_form(ChannelForm(name="Ops", target=inbox.url)), actor="test")
    return folder


def messages(inbox: Receiver, sort: Sort) -> list[str]:
    """Return the ids of the messages of a sort, each as often as it came."""
    kind = f"alert.{sort}"
    return [one.headers["webhook-id"] for one in inbox.requests if json.loads(one.body)["type"] == kind]


def test_a_kill_before_any_statement_loses_nothing_and_tells_nobody_twice(
    tmp_path: Path, original: Path, inbox: Receiver
) -> None:
    """For every statement: trouble and recovery are each told by one message, which may come twice under one id."""
    repeated = 0
    with nursing() as nursery:
        shutil.copytree(original, tmp_path / "whole")
        (statements,), died = nursery.life(tmp_path / "whole", inbox.place, 0)
        assert died == 0
        assert [len(messages(inbox, sort)) for sort in (Sort.TROUBLE, Sort.RECOVERY)] == [1, 1]
        for deadly in range(1, statements + 1):
            inbox.requests.clear()
            folder = tmp_path / "killed"
            shutil.copytree(original, folder)
            assert nursery.life(folder, inbox.place, deadly) == ([], signal.SIGKILL)
            repeated += goes_on(folder, inbox)
            shutil.rmtree(folder)
    print(f"{statements} statements, {repeated} times a message came twice under one id")
    assert statements > 40
    assert 0 < repeated < statements / 4


def goes_on(folder: Path, inbox: Receiver) -> int:
    """Open what the killed child left, go on, and look at everything; return how many messages came twice."""
    hands = Hands(NOON + 20 * MINUTE)
    with closing(Hub.open(settings_of(folder, inbox.place), clock=Clock(now=hands.now))) as hub:
        assert hub.store.database.problems() == []
        fall_and_rise(hub, hands)
        (row,) = hub.accounts()
        (channel,) = hub.alerts.channels()
        deliveries = hub.alerts.deliveries(channel.id)
        incidents = hub.past.incidents(account_id=row.id)
        changes = [change.after for change in reversed(hub.past.transitions(row.id))]
    assert changes == [Status.HEALTHY, Status.UNREACHABLE, Status.HEALTHY]
    assert [incident.closed_at is not None for incident in incidents] == [True]
    trouble, recovery = (messages(inbox, sort) for sort in (Sort.TROUBLE, Sort.RECOVERY))
    assert {delivery.state for delivery in deliveries} <= {State.SENT}
    assert sorted({*trouble, *recovery}) == sorted(delivery.id for delivery in deliveries)
    assert len(set(trouble)) == len(set(recovery)) == 1
    assert max(len(trouble), len(recovery)) <= 2
    return len(trouble) + len(recovery) - 2
