"""Killed at any instant while telling: no message is lost, and what comes twice comes under the same id."""

from __future__ import annotations

import json
import multiprocessing
import os
import random
import threading
from collections import Counter
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from hub_core.access import written_out
from hub_core.alerts.form import ChannelForm
from hub_core.hub import Hub
from hub_core.model import Reason, Status
from hub_core.settings import Settings
from tests.receiving import receiver
from tests.scaled import FastTime, until
from tests.told import change, linked_accounts

if TYPE_CHECKING:
    from collections.abc import Iterator
    from multiprocessing.connection import Connection
    from pathlib import Path

    from tests.receiving import Receiver

FACTOR = 3000
"""How much faster time passes: two minutes of settling are 40 ms, a claim of two minutes as well."""
KILLS = 20

PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(["tests.test_telling_crash"])


def tell_for_ever(folder: Path, place: str, began: float, ready: Connection) -> None:
    """Change accounts for ever and tell of it, as a watcher does."""
    settings = Settings(data=folder / "data", config=folder / "config", outbound_loopback=(place,))
    hub = Hub.open(settings, clock=FastTime(FACTOR, began=began).clock)
    ids = sorted(row.id for row in hub.accounts())
    hub._engine.start(hub.alerts.teller().run)
    chance = random.Random(os.getpid())  # noqa: S311 - not for secrets
    ready.send("ready")
    while True:
        account_id = chance.choice(ids)
        standing = hub.account(account_id).standing.status
        if standing is Status.FAILING:
            change(hub, account_id, Status.HEALTHY, None)
        else:
            change(hub, account_id, Status.FAILING, Reason.KEY_NO_LONGER_ACCEPTED)
        threading.Event().wait(0.05)


@pytest.fixture
def inbox() -> Iterator[Receiver]:
    with receiver() as served:
        yield served


def live_and_die(settings: Settings, inbox: Receiver, time: FastTime, seconds: float) -> None:
    """Let a child tell for so long after it is ready, and kill it."""
    ours, theirs = PROCESSES.Pipe()
    given = (settings.data.parent, inbox.place, time.began, theirs)
    child = PROCESSES.Process(target=tell_for_ever, args=given)
    child.start()
    assert ours.recv() == "ready"
    threading.Event().wait(seconds)
    child.kill()
    child.join()
    ours.close()
    theirs.close()


def test_kills_amid_telling_lose_nothing(settings: Settings, inbox: Receiver) -> None:
    """Children are killed amid changing, routing and sending: all is told in the end, in turns, repeats by id alone."""
    time = FastTime(FACTOR)
    own = replace(settings, outbound_loopback=(inbox.place,))
    with closing(Hub.open(own, clock=time.clock)) as hub:
        ids = linked_accounts(hub, 2)
        form = ChannelForm(name="Ops", target=inbox.url)
        added = hub.alerts.add(hub.alerts.read_form(form), actor="test")
        assert added.secret is not None
        secret = written_out(added.secret)
    chance = random.Random(20261123)  # noqa: S311 - not for secrets
    for _ in range(KILLS):
        live_and_die(own, inbox, time, chance.uniform(0.05, 0.5))
    with closing(Hub.open(own, clock=time.clock)) as hub:
        assert hub.store.database.problems() == []
        hub._engine.start(hub.alerts.teller().run)
        until(lambda: settled(hub, added.channel.id))
        statuses = {row.id: row.status for row in hub.accounts()}
        sent = {delivery.id for delivery in hub.alerts.deliveries(added.channel.id, 10_000)}
    assert set(inbox.ids) == sent
    repeated = {number: count for number, count in Counter(inbox.ids).items() if count > 1}
    print(f"{len(sent)} messages, {len(repeated)} of them came more than once: {sum(repeated.values())} times")
    first: dict[str, bytes] = {}
    for request in inbox.requests:
        assert first.setdefault(request.headers["webhook-id"], request.body) == request.body
    assert secret.startswith("whsec_")
    bodies = sorted((json.loads(body) for body in first.values()), key=lambda said: said["timestamp"])
    for account_id in ids:
        news = [said["type"] for said in bodies if said["data"]["accounts"][0]["id"] == account_id]
        assert news == (["alert.trouble", "alert.recovery"] * len(news))[: len(news)]
        assert (len(news) % 2 == 1) is (statuses[account_id] is Status.FAILING)
    assert len(sent) > KILLS


def settled(hub: Hub, channel_id: str) -> bool:
    """Tell whether nothing is untold and nothing waits."""
    with hub.store.database.read() as con:
        untold = con.execute("SELECT count(*) FROM transition WHERE told = 0").fetchone()[0]
    return not untold and all(one.done_at for one in hub.alerts.deliveries(channel_id, 10_000))
