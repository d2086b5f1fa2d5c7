"""The Accounts page at a glance, without a browser: what needs a person, views, wall mode, notices of the hub."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit
from uuid import UUID

import pytest

from hub_core import telling
from hub_core.health.maintenance import Once, Scope
from hub_core.storage.notices import NoticeKind, Notices
from pages import _accounts_table, _live
from tests.lived import populate
from tests.paging import Visitor, change_row, check, hub, link, own_hub, rotate

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from hub_core.model import Account

SOME = timedelta(hours=3)


@pytest.fixture(autouse=True)
def _hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    with own_hub(monkeypatch, tmp_path):
        yield


def listed(visitor: Visitor) -> list[str]:
    """Return the labels of the table, in their order."""
    return [str(label) for label in visitor.at.dataframe[0].value["Account"]]


def needs(visitor: Visitor) -> list[str]:
    """Return the lines of the “Needs you” list without their badges."""
    found = [re.fullmatch(r":\w+-badge\[:material/\w+: [\w ]+\] (.+)", text) for text in visitor.texts("markdown")]
    return [match[1].replace("**", "") for match in found if match and "**" in match[1]]


def tiles(visitor: Visitor) -> list[str]:
    """Return what the tiles of wall mode say to whoever cannot see them."""
    return [picture.alt for image in visitor.at.get("image") for picture in image.proto.imgs]


def many(number: int, *, failing: int = 0) -> None:
    """Add accounts that were checked just now."""
    ids = populate(hub(), number, at=hub().clock.now())
    with hub().store.database.write() as con:
        con.execute("UPDATE account SET checked_at = linked_at")
    for account_id in ids[:failing]:
        change_row(account_id, status="failing", reason="key_no_longer_accepted")


def set_status(account: Account, status: str, reason: str | None) -> None:
    """Give an account a standing."""
    change_row(account.id, status=status, reason=reason, since=hub().clock.now() - SOME)


# ---- what needs a person


def test_a_refused_key_needs_its_new_one() -> None:
    """A failing account is named with its cause, how long it lasts, and the button that leads to the new key."""
    account, _ = link("Harbor"), link("Meadow")
    rotate("Harbor")
    check(account)
    visitor = Visitor()
    assert needs(visitor) == ["Harbor Clinic: Bitwarden no longer accepts this key"]
    assert ":gray-badge[just now]" in visitor.texts("markdown")
    assert visitor.at.button("mend_0").label.endswith("Relink")
    assert "relink_go" in visitor.press("mend_0").buttons


def test_one_server_down_is_one_line_and_one_button() -> None:
    """Accounts that one server's trouble keeps from working are one line, whose button checks just these."""
    accounts = [link(word) for word in ("Meadow", "Harbor", "Alpine")]
    for account in accounts[:2]:
        set_status(account, "unreachable", "connection_timeout")
    visitor = Visitor()
    (line,) = needs(visitor)
    assert line.startswith("2 accounts on 127.0.0.1:")
    assert ":gray-badge[3 h ago]" in visitor.texts("markdown")
    before = hub().account(accounts[2].id).standing.checked_at
    visitor.press("mend_0")
    while "check_all_stop" in visitor.buttons:
        visitor.run()
    assert needs(visitor) == []
    assert "Nothing needs you: 3 of 3 work." in visitor.text
    assert hub().account(accounts[2].id).standing.checked_at == before


def test_many_of_one_kind_are_shown_by_a_filter() -> None:
    """What many have in common and no check mends is shown in the table by its button."""
    for word in ("Meadow", "Harbor"):
        set_status(link(word), "failing", "api_path_wrong")
    link("Alpine")
    visitor = Visitor()
    assert visitor.at.button("mend_0").label.endswith("Show them")
    visitor.press("mend_0")
    assert listed(visitor) == ["Harbor Clinic", "Meadow Bakery"]
    assert visitor.value("status") == ["Failing"]


def test_wrong_server_is_mended_by_editing() -> None:
    """An account with a wrong address leads to the form for its server."""
    set_status(link("Meadow"), "failing", "api_path_wrong")
    assert Visitor().press("mend_0").value("do") == "Edit"


def test_more_than_fit_are_one_click_away() -> None:
    """Only the worst are listed; the others are counted, and shown by a button."""
    many(9, failing=8)
    visitor = Visitor()
    assert len(needs(visitor)) == 6
    assert visitor.at.button("needs_more").label == "And 2 more accounts"
    assert len(listed(visitor)) == 9
    visitor.press("needs_more")
    assert len(listed(visitor)) == 8
    assert visitor.value("view") == "Needs attention"


def test_the_others_are_counted_by_account() -> None:
    """What is not listed may be one line for many accounts; the button says how many accounts there are."""
    many(13, failing=7)
    for number in (10, 13):  # of one cloud, for one cause: one line for both
        change_row(str(UUID(int=number, version=4)), status="degraded", reason="certificate_ends_soon")
    assert Visitor().at.button("needs_more").label == "And 3 more accounts"


def test_maintenance_needs_nobody() -> None:
    """While a window is open its accounts call nobody, and the table says why."""
    account = link("Meadow")
    set_status(account, "unreachable", "connection_timeout")
    now = hub().clock.now()
    hub().windows.add(Scope.ACCOUNT, account.id, Once(now - SOME, now + SOME), "moving", actor="test")
    visitor = Visitor()
    assert needs(visitor) == []
    assert visitor.at.dataframe[0].value["Cause"][0].startswith("In maintenance: ")


def test_nothing_is_called_calm_while_nobody_knows(monkeypatch: pytest.MonkeyPatch) -> None:
    """When nobody checks, old statuses are one line that needs somebody, and no calm sentence stands there."""
    monkeypatch.setenv("LINKHUB_INTERVAL_MINUTES", "1")
    accounts = [link("Meadow"), link("Harbor")]
    for account in accounts:
        change_row(account.id, checked_at=hub().clock.now() - SOME)
    with hub().store.database.write() as con:
        con.execute("UPDATE last_check SET at = at - 10800000")
    visitor = Visitor()
    assert needs(visitor) == ["2 accounts: no recent check, so nothing is known about now"]
    assert "Nothing needs you" not in visitor.text


# ---- what the hub says of itself


@pytest.mark.parametrize("page", ["accounts.py", "link.py", "about.py"])
def test_every_page_says_that_the_hub_is_offline(page: str) -> None:
    """While no server can be reached one notice says so on every page, and blames no account."""
    link("Meadow")
    Notices(hub().store.database).begin(NoticeKind.OFFLINE, hub().clock.now())
    warnings = Visitor(page).texts("warning")
    assert len(warnings) == 1
    assert "The hub has been offline since" in warnings[0]


def test_queue_is_visible() -> None:
    """After a restart the page says how many accounts wait for their turn, and how long that takes."""
    many(240)
    assert "waiting" not in Visitor().text
    now = hub().clock.now()
    hub().store.schedule.take_lease("somebody", now=now, lasts=SOME)
    with hub().store.database.write() as con:
        con.execute("UPDATE schedule SET next_at = 1")
    assert re.search(r"240 checks waiting, done in about \d min", Visitor().text)


def test_own_actions_are_seen_at_once() -> None:
    """What was just done shows in the next run, although all share what was read a moment ago."""
    account = link("Meadow")
    visitor = Visitor()
    hub().pause(account.id, "", actor="test")
    assert "1 Paused" in visitor.run().text
    rotate("Harbor")
    link("Harbor")
    assert len(listed(visitor.run())) == 2


@pytest.mark.parametrize(("viewers", "seconds"), [(1, 10), (100, 10), (101, 30), (300, 30), (301, 60), (5000, 60)])
def test_the_more_watch_the_rarer_pages_refresh(viewers: int, seconds: int) -> None:
    """The pace keeps the whole server below about ten runs a second, for up to six hundred viewers."""
    assert _live.pace(viewers) == seconds


def test_last_refresh_is_an_exact_time() -> None:
    """The page says when it was refreshed, and how often it is."""
    link("Meadow")
    assert re.search(r"Last refreshed \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC, again every 10 s", Visitor().text)


# ---- the table


def test_what_was_not_judged_is_no_number() -> None:
    """An account without history has no uptime, neither 0 nor 100."""
    many(1)
    row = Visitor().at.dataframe[0].value.iloc[0]
    assert all(row.isna()[name] for name in ("Up 24 h", "Up 7 d", "Up 30 d", "Latency"))


def test_uptime_is_cut_off_not_rounded() -> None:
    """What failed once is never shown as 100 percent, in the table as in words."""
    assert [telling.percent(share) for share in (1.0, 0.999999, 0.0, None)] == [100.0, 99.99, 0.0, None]


def test_unchanged_table_is_sent_as_it_was() -> None:
    """While nothing changes the very same bytes are sent, so that browsers need not load them again."""
    link("Meadow")
    visitor = Visitor()
    before = visitor.at.dataframe[0].proto.SerializeToString()
    assert visitor.run().at.dataframe[0].proto.SerializeToString() == before


def test_many_rows_come_in_pages() -> None:
    """Of more than a thousand accounts one page is sent at a time."""
    many(1_005)
    visitor = Visitor()
    assert len(listed(visitor)) == 1_000
    assert "1005 of 1005 accounts" in visitor.text
    assert listed(visitor.type(page=2)) == [f"Client {n:05}" for n in range(1_001, 1_006)]


def test_no_row_is_mistaken_for_another(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows that a refresh has just moved are known, so that an open menu hits no other account; filters move none."""
    state = {"table_rows": [("a",), ("b",), ("c",)], "table_before": (["b", "a", "c"], 100.0)}
    monkeypatch.setattr(_accounts_table, "state", state)
    assert [_accounts_table.row_moved(row, 101.0) for row in range(3)] == [True, True, False]
    assert not _accounts_table.row_moved(0, 120.0)
    del state["table_before"]
    assert not _accounts_table.row_moved(0, 101.0)


# ---- views


@pytest.fixture
def kinds() -> dict[str, Account]:
    """One account for each ready-made view."""
    accounts = {word: link(word) for word in ("Meadow", "Harbor", "Cedar", "Orchard", "Alpine")}
    now = hub().clock.now()
    set_status(accounts["Meadow"], "failing", "key_no_longer_accepted")
    change_row(accounts["Harbor"].id, region="self_hosted")
    change_row(accounts["Cedar"].id, certificate_ends=now + timedelta(days=29))
    change_row(accounts["Orchard"].id, key_proven_at=now - timedelta(hours=25))
    return accounts


@pytest.mark.usefixtures("kinds")
@pytest.mark.parametrize(
    ("view", "found"),
    [
        ("Needs attention", ["Meadow Bakery"]),
        ("Self-hosted", ["Harbor Clinic"]),
        ("Certificate ends soon", ["Cedar Makerspace"]),
        ("Key not proven lately", ["Orchard School"]),
    ],
)
def test_ready_made_views(view: str, found: list[str]) -> None:
    """A view shows its accounts, chosen on the page or by its address."""
    assert listed(Visitor(view=view)) == found
    visitor = Visitor().type(view=view)
    assert listed(visitor) == found
    assert f"{len(found)} of 5 accounts" in visitor.text


@pytest.mark.usefixtures("kinds")
def test_address_of_a_view() -> None:
    """The address to share holds view, search and filters, whatever stands in them."""
    visitor = Visitor().type(view="Certificate ends soon", q="a&b=c", status=["Failing"])
    assert parse_qs(urlsplit(visitor.at.code[0].value).query) == {
        "view": ["Certificate ends soon"],
        "q": ["a&b=c"],
        "status": ["Failing"],
    }


# ---- wall mode


def test_wall_shows_trouble_large_and_the_rest_as_counts() -> None:
    """On the wall each trouble is a tile with cause and time, worst first, and what works is counted by tag."""
    harbor = link("Harbor", tags="customer")
    alpine = link("Alpine", tags="customer")
    link("Meadow", tags="own")
    rotate("Harbor")
    check(harbor)
    set_status(alpine, "degraded", "certificate_ends_soon")
    visitor = Visitor(view="wall")
    head, first, second, *counts = tiles(visitor)
    assert head.startswith("2 of 3 need somebody. Last refreshed ")
    assert first.startswith("Failing: Harbor Clinic, Bitwarden no longer accepts this key, since 20")
    assert second.startswith("Degraded: Alpine Logistics")
    assert counts == ["customer: 0 of 2 work", "own: 1 of 1 works"]


def test_wall_has_nothing_to_press() -> None:
    """Wall mode shows no button, no filter and no link."""
    link("Meadow")
    visitor = Visitor(view="wall")
    assert not visitor.at.button
    assert not visitor.at.selectbox
    assert not visitor.at.get("page_link")
    assert tiles(visitor) == [tiles(visitor)[0], "Sandbox: 1 of 1 works"]
    assert tiles(visitor)[0].startswith("Nothing needs you: 1 linked")


def test_wall_of_very_many() -> None:
    """A thousand accounts fit on the wall: the worst are tiles, the others are counted."""
    many(1_000, failing=40)
    found = tiles(Visitor(view="wall"))
    assert len(found) <= 1 + 12 + 12
    assert "and 29 more accounts" in found


def test_wall_says_that_nobody_checks(monkeypatch: pytest.MonkeyPatch) -> None:
    """If nobody checks, or the hub is offline, the wall says so large, and nothing on it looks well."""
    monkeypatch.setenv("LINKHUB_INTERVAL_MINUTES", "1")
    account = link("Meadow")
    change_row(account.id, checked_at=hub().clock.now() - SOME)
    with hub().store.database.write() as con:
        con.execute("UPDATE last_check SET at = at - 10800000")
    Notices(hub().store.database).begin(NoticeKind.OFFLINE, hub().clock.now())
    found = "\n".join(tiles(Visitor(view="wall")))
    assert "Nobody is checking" in found
    assert "The hub has been offline since" in found
    assert "No recent check: Meadow Bakery" in found
    assert "0 of 1 work" in found


def test_wall_without_accounts() -> None:
    """An empty hub says on the wall that nothing is linked."""
    assert tiles(Visitor(view="wall"))[0].startswith("No organization is linked yet")
