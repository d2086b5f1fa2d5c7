"""What needs a person: worst first, many with one cause as one entry, nobody called for nothing."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from hub_core import texts
from hub_core.glance import GlanceLine
from hub_core.history import Incident, Stretch, Uptime
from hub_core.model import Lifecycle, Reason, Remedy, Status
from hub_core.needing import FEW, Line, needing
from hub_core.storage.rows import AccountRow

if TYPE_CHECKING:
    from hub_core.texts import StatusText

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
ORIGIN = "https://vault.example.com"


def line(
    name: str,
    status: Status | StatusText,
    reason: Reason | None = None,
    *,
    origin: str = ORIGIN,
    minutes: int = 10,
    maintenance: bool = False,
    seen_by: str = "",
) -> Line:
    """Return an account at a glance."""
    text = texts.STATUSES[status] if isinstance(status, Status) else status
    since = NOW - timedelta(minutes=minutes)
    row = AccountRow(
        name, name, "self_hosted", f"organization.{name}", origin, (), Lifecycle.ACTIVE,
        status if isinstance(status, Status) else Status.HEALTHY, reason, since, since, None, None, None, None, None,
        text is texts.LOCKED,
    )  # fmt: skip
    incident = None
    if seen_by:
        story = (Stretch(since, row.status, reason),)
        incident = Incident(1, name, name, since, None, story, {}, acknowledged_at=NOW, acknowledged_by=seen_by)
    return Line(GlanceLine(row, "", (), Uptime(None, None, None), incident, maintenance), text)


REFUSED = Reason.KEY_NO_LONGER_ACCEPTED
TIMEOUT = Reason.CONNECTION_TIMEOUT


def test_worst_first() -> None:
    """What fails stands before what cannot be reached, then what is degraded, then what nobody has checked."""
    needs = needing(
        [
            line("stale", texts.STALE),
            line("degraded", Status.DEGRADED, Reason.CERTIFICATE_ENDS_SOON),
            line("unreachable", Status.UNREACHABLE, TIMEOUT),
            line("failing", Status.FAILING, REFUSED),
            line("locked", texts.LOCKED),
        ]
    )
    assert [need.title for need in needs] == ["locked", "failing", "unreachable", "degraded", "stale"]


@pytest.mark.parametrize(
    "quiet",
    [
        line("healthy", Status.HEALTHY),
        line("limited", Status.LIMITED, Reason.READ_API_ABSENT),
        line("unknown", Status.UNKNOWN),
        line("paused", texts.PAUSED),
        line("window", Status.UNREACHABLE, TIMEOUT, maintenance=True),
    ],
    ids=lambda quiet: quiet.seen.row.id,
)
def test_nobody_is_called_for_nothing(quiet: Line) -> None:
    """What works, what is not known yet, what is paused and what is being maintained need nobody."""
    assert needing([quiet]) == []


def test_one_cause_on_one_server_is_one_entry() -> None:
    """Accounts that cannot reach the same server for the same reason are one entry that names it."""
    many = [line(f"a{n}", Status.UNREACHABLE, TIMEOUT, minutes=n + 1) for n in range(14)]
    other = line("b", Status.UNREACHABLE, TIMEOUT, origin="https://other.example")
    first, second = needing([*many, other])
    assert (first.title, len(first.lines)) == ("14 accounts on vault.example.com", 14)
    assert first.since == NOW - timedelta(minutes=14)
    assert second.title == "b"
    assert second.host == ""


def test_what_concerns_many_stands_first() -> None:
    """A server that is down for many accounts is not hidden behind single refused keys, an amber matter of many is."""
    failing = [line(f"f{n}", Status.FAILING, REFUSED) for n in range(9)]
    down = [line(f"d{n}", Status.UNREACHABLE, TIMEOUT) for n in range(4)]
    ending = [line(f"e{n}", Status.DEGRADED, Reason.CERTIFICATE_ENDS_SOON) for n in range(20)]
    assert [len(need.lines) for need in needing([*failing, *ending, *down])] == [4, *[1] * 9, 20]


def test_each_key_needs_its_own_owner() -> None:
    """Refused keys stay one entry each, even on one server: each is mended by another person."""
    needs = needing([line(f"a{n}", Status.FAILING, REFUSED) for n in range(5)])
    assert [len(need.lines) for need in needs] == [1] * 5
    assert {need.remedy for need in needs} == {Remedy.RELINK}


@pytest.mark.parametrize(("number", "entries"), [(FEW, FEW), (FEW + 1, 1)])
def test_many_without_their_secret_are_one_entry(number: int, entries: int) -> None:
    """A few accounts that need their key are named, many are one entry."""
    assert len(needing([line(f"a{n}", texts.LOCKED) for n in range(number)])) == entries


def test_stale_ones_are_one_entry() -> None:
    """Accounts nobody has checked lately are one entry, wherever they are, since the last check of the first."""
    stale = [line(f"a{n}", texts.STALE, origin=f"https://{n}.example", minutes=n) for n in range(9)]
    (need,) = needing(stale)
    assert (need.title, need.remedy) == ("9 accounts", Remedy.WAIT)
    assert need.since == NOW - timedelta(minutes=8)


def test_what_somebody_has_seen_to_comes_last() -> None:
    """An acknowledged failure stands behind what nobody has looked at, and says by whom."""
    needs = needing(
        [
            line("seen", Status.FAILING, REFUSED, seen_by="kim"),
            line("new", Status.DEGRADED, Reason.CERTIFICATE_ENDS_SOON),
        ]
    )
    assert [(need.title, need.seen_by) for need in needs] == [("new", ""), ("seen", "kim")]


def test_latest_first_within_a_status() -> None:
    """Of what is equally bad, the latest stands first."""
    needs = needing([line("old", Status.FAILING, REFUSED, minutes=99), line("new", Status.FAILING, REFUSED, minutes=1)])
    assert [need.title for need in needs] == ["new", "old"]
