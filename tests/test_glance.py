"""The one snapshot of all accounts: what is in it, how seldom it is read, and what it notices."""

from __future__ import annotations

import threading
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from hub_core.clock import Clock
from hub_core.glance import EVERY_S, Glance, GlanceLine
from hub_core.health.maintenance import Once, Scope
from hub_core.history import pulse_of
from hub_core.hub import Hub
from tests.lived import live, populate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from hub_core.settings import Settings

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
DAY, HOUR = timedelta(days=1), timedelta(hours=1)


class Hands:
    """A clock that stands still until it is set."""

    def __init__(self) -> None:
        self.at = NOON

    @property
    def clock(self) -> Clock:
        """The clock that shows it."""
        return Clock(now=lambda: self.at, monotonic=lambda: self.at.timestamp())  # noqa: PLW0108 - it moves

    def wait(self) -> None:
        """Let as much time pass as a snapshot is kept."""
        self.at += timedelta(seconds=EVERY_S)


@pytest.fixture
def hands() -> Hands:
    return Hands()


@pytest.fixture
def hub(settings: Settings, hands: Hands) -> Iterator[Hub]:
    with closing(Hub.open(settings, clock=hands.clock)) as opened:
        populate(opened, 12, at=NOON - 8 * DAY)
        live(opened, until=NOON, days=8)
        yield opened


def line(glance: Glance, account_id: str) -> GlanceLine:
    return next(line for line in glance.lines if line.row.id == account_id)


def ids(hub: Hub) -> list[str]:
    return [row.id for row in hub.accounts()]


def test_a_line_is_what_the_past_says_of_an_account(hub: Hub, hands: Hands) -> None:
    """Row, letters and latencies of the last thirty checks, uptime and the open incident, of every sort of account."""
    for at in (NOON, NOON + 3 * HOUR, NOON + 7 * DAY):
        hands.at = at
        glance = hub.glances.latest(fresh=True)
        assert [one.row for one in glance.lines] == hub.accounts()
        for one in glance.lines:
            beats = hub.past.recent(one.row.id, 30)[::-1]
            assert one.pulse == "".join(pulse_of(beat) for beat in beats)
            assert one.latencies == tuple(beat.latency_ms for beat in beats)
            assert one.uptime == hub.past.uptime(one.row.id)
            assert [one.incident] == (hub.past.incidents(account_id=one.row.id, open_only=True) or [None])
            assert not one.maintenance
        hub.sum_up()
    assert {letter for one in glance.lines for letter in one.pulse} >= set("udxnp")


def test_unchanged_data_is_the_same_object(hub: Hub, hands: Hands) -> None:
    """However often and however urgently it is asked for, and whatever is written that no line shows."""
    first = hub.glances.latest()
    hands.wait()
    assert hub.glances.latest() is first
    assert hub.glances.latest(fresh=True) is first
    row = first.lines[0].row
    hub.describe(row.id, label=row.label, tags=row.tags, note="seen on the account's own page", actor="test")
    hub.sum_up()
    hands.wait()
    assert hub.glances.latest() is first


def test_it_is_read_once_for_all_who_look(hub: Hub, hands: Hands) -> None:
    """Twenty viewers at once get one object; within two seconds nothing is read again unless somebody insists."""
    seen: list[Glance] = []
    barrier = threading.Barrier(20)

    def look() -> None:
        barrier.wait()
        seen.append(hub.glances.latest())

    threads = [threading.Thread(target=look) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (first,) = {id(glance): glance for glance in seen}.values()
    assert first.version == 1
    hub.describe(ids(hub)[0], label="New", tags="", note="", actor="test")
    assert hub.glances.latest() is first
    fresh = hub.glances.latest(fresh=True)
    assert (fresh.version, line(fresh, ids(hub)[0]).row.label) == (2, "New")
    hub.describe(ids(hub)[0], label="Newer", tags="", note="", actor="test")
    assert hub.glances.latest() is fresh
    hands.wait()
    assert line(hub.glances.latest(), ids(hub)[0]).row.label == "Newer"


def acknowledge(hub: Hub) -> None:
    hub.past.acknowledge(hub.past.incidents(open_only=True)[0].id, "on it", actor="test")


def open_window(hub: Hub) -> None:
    now = hub.clock.now()
    hub.windows.add(Scope.ACCOUNT, ids(hub)[0], Once(now - HOUR, now + HOUR), "", actor="test")


@pytest.mark.parametrize("change", [acknowledge, open_window])
def test_a_change_is_seen_and_the_other_lines_stay_the_same(hub: Hub, change: Callable[[Hub], None]) -> None:
    """A new version with one other line; all others are the very objects they were."""
    before = hub.glances.latest()
    change(hub)
    after = hub.glances.latest(fresh=True)
    assert after.version == before.version + 1
    assert sum(one is not other for one, other in zip(before.lines, after.lines, strict=True)) == 1


def test_who_is_paused_or_gone_is_seen_and_leaves_more_of_the_budget(hub: Hub) -> None:
    """Neighbours on the same identity origin get another row and keep the rest; the others stay as they are."""
    before, first = hub.glances.latest(), ids(hub)[0]
    origin = line(before, first).row.identity_origin
    hub.pause(first, "", actor="test")
    paused = hub.glances.latest(fresh=True)
    assert line(paused, first).pulse.endswith("p")
    hub.unlink(first, "Client 00001", actor="test")
    after = hub.glances.latest(fresh=True)
    assert first not in {one.row.id for one in after.lines}
    for one in after.lines:
        known = line(before, one.row.id)
        assert (one is known) == (one.row.identity_origin != origin)
        assert one[1:] == known[1:]
        assert one.row.neighbours == sum(
            row.neighbours > 0 and row.identity_origin == one.row.identity_origin and row.lifecycle == "active"
            for row in hub.accounts()
        )


def test_another_process_is_noticed(hub: Hub, settings: Settings) -> None:
    """What the command line changed is in the next reading of the dashboard."""
    hub.glances.latest()
    with closing(Hub.open(settings, clock=hub.clock)) as other:
        other.pause(ids(hub)[0], "moving", actor="cli")
    assert line(hub.glances.latest(fresh=True), ids(hub)[0]).pulse.endswith("p")


def test_time_alone_changes_uptime(hub: Hub, hands: Hands) -> None:
    """An hour later the shares are of another span, although nothing was recorded."""
    failing = ids(hub)[1]
    before = line(hub.glances.latest(), failing).uptime
    hands.at += 20 * DAY
    after = line(hub.glances.latest(), failing).uptime
    assert after != before
    assert after == hub.past.uptime(failing)


def test_who_does_not_check_and_what_waits_is_told(hub: Hub, hands: Hands) -> None:
    """The queue, and since when nobody checks, are of the moment of reading."""
    hands.at = NOON + HOUR
    glance = hub.glances.latest()
    assert glance.queue.due > 0
    assert glance.nobody_since is not None
    assert glance.offline_since is None
    assert glance.at == hands.at
