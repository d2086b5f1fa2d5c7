"""The Accounts page in Chromium while it refreshes by itself, and wall mode."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from hub_core.sandbox import Fault
from tests.browsing import PATIENCE_MS, Stage, Tab, staged
from tests.lived import live, populate

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Locator

pytestmark = pytest.mark.browser

GRID = "[data-testid=stDataFrame] .dvn-scroller"


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """One dashboard for all tests here."""
    with staged(tmp_path_factory.mktemp("accounts")) as stage:
        yield stage


@pytest.fixture
def stage(shared: Stage) -> Stage:
    """The dashboard with nothing linked, and a sandbox without faults."""
    shared.start_over()
    return shared


def lived(stage: Stage, number: int) -> list[str]:
    """Add accounts with a history until now."""
    now = stage.hub.clock.now()
    ids = populate(stage.hub, number, at=now)
    live(stage.hub, until=now, days=3)
    return ids


def set_status(stage: Stage, account_id: str, status: str, reason: str | None) -> None:
    """Change an account behind the page's back, as the scheduler would."""
    with stage.hub.store.database.write() as con:
        con.execute("UPDATE account SET status = ?, reason = ? WHERE id = ?", (status, reason, account_id))


def last_refreshed(tab: Tab) -> str:
    """Return the line that says when the page was refreshed."""
    return tab.page.get_by_text("Last refreshed").inner_text()


def refreshed(tab: Tab, since: str = "") -> None:
    """Wait until the page has refreshed itself once, from now on or since it said so."""
    expect(tab.page.get_by_text("Last refreshed")).not_to_have_text(since or last_refreshed(tab), timeout=PATIENCE_MS)


def open_menu(tab: Tab, row: int, entry: str) -> None:
    """Choose an entry of a row's menu by mouse."""
    canvas = tab.page.locator("[data-testid=stDataFrame] canvas").first
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    assert box
    tab.page.mouse.click(box["x"] + 303, box["y"] + 36 + 40 * row + 20)
    tab.page.get_by_role("menuitem", name=entry).or_(tab.page.get_by_role("option", name=entry)).first.click()


def half_typed(tab: Tab) -> Locator:
    """Open a dialog over the page, type half a sentence into it, and return its field."""
    tab.open()
    open_menu(tab, 0, "Pause")
    field = tab.page.get_by_role("dialog").get_by_role("textbox")
    field.press_sequentially("half a sen")
    return field


def test_refreshing_disturbs_nobody(stage: Stage) -> None:
    """New facts come by themselves, while scroll, selected cell, filters, address and a half-typed dialog stay."""
    ids = lived(stage, 60)
    with stage.tab() as tab:
        tab.open("/?q=client")
        tab.page.get_by_text("60 of 60 accounts").wait_for()
        failing = tab.page.get_by_text("Failing", exact=False)
        before = failing.count()
        grid = tab.page.locator(GRID)
        grid.scroll_into_view_if_needed()
        grid.evaluate("grid => { grid.scrollTop = 400 }")
        below = tab.page.locator("[data-testid=stDataFrame] [data-testid^=glide-cell][data-testid$='-12']")
        below.first.wait_for(state="attached")
        box = grid.bounding_box()
        assert box
        tab.page.mouse.click(box["x"] + 200, box["y"] + 200)
        selected = tab.page.locator("[role=gridcell][aria-selected=true]")
        expect(selected).to_have_count(1)
        cell = selected.get_attribute("data-testid")
        for account_id in ids[20:30]:
            set_status(stage, account_id, "failing", "key_no_longer_accepted")
        said = last_refreshed(tab)
        with stage.tab() as other:
            field = half_typed(other)
            refreshed(tab, said)
            tab.settle()
            refreshed(other)
            other.settle()
            expect(field).to_have_value("half a sen")
            expect(field).to_be_focused()
        assert failing.count() > before
        assert grid.evaluate("grid => grid.scrollTop") == 400
        expect(selected).to_have_count(1)
        assert selected.get_attribute("data-testid") == cell
        expect(tab.page.get_by_label("Search").first).to_have_value("client")
        assert tab.page.url.endswith("?q=client")


def test_checking_all_disturbs_nobody(stage: Stage) -> None:
    """While all are checked the page refreshes and its filters answer; every account is checked, the sum is told."""
    for word in ("Meadow", "Harbor"):
        stage.link(word)
    with stage.tab() as tab:
        tab.open()
        stage.sandbox.faults.set("us", Fault.SLOW, seconds=15, at="/connect/token")
        tab.button("Check all").click()
        tab.page.get_by_text("0 of 2 checked").wait_for()
        tab.page.get_by_label("Search").first.fill("Meadow")
        tab.page.get_by_text("1 of 2 accounts").wait_for()
        refreshed(tab)
        expect(tab.button("Stop")).to_be_visible()
        stage.sandbox.faults.clear()
        tab.page.get_by_text("2 checked: 2 healthy").wait_for()
        expect(tab.button("Stop")).to_have_count(0)
        tab.settle()
    assert {len(stage.hub.past.beats(row.id, row.since)) for row in stage.hub.accounts() if row.since} == {2}


def test_a_page_full_of_history(stage: Stage) -> None:
    """With needs, heartbeats and latencies on it, axe finds nothing serious, and nothing scrolls sideways."""
    lived(stage, 60)
    with stage.tab(size=(1440, 900)) as tab:
        tab.open()
        tab.page.get_by_text("60 of 60 accounts").wait_for()
        tab.settle()
        assert tab.faults(dark=False) == []
        assert tab.page.locator("[data-testid=stMain]").evaluate("main => main.scrollWidth <= main.clientWidth")
        tab.shot("accounts")
        with tab.darkened():
            assert tab.faults(dark=True) == []
            tab.shot("accounts-dark")


def test_wall_mode(stage: Stage) -> None:
    """The wall has neither menu nor controls, follows what happens by itself, and axe finds nothing serious."""
    ids = lived(stage, 120)
    with stage.tab(size=(1280, 720)) as tab:
        tab.page.goto(stage.server.url + "/?view=wall")
        tab.page.get_by_alt_text("need somebody").wait_for()
        tab.settle()
        expect(tab.page.locator("[data-testid=stTopNavLink], [data-testid=stButton], input")).to_have_count(0)
        tab.shot("wall")
        assert tab.faults(dark=False) == []
        with stage.hub.store.database.write() as con:
            con.execute("UPDATE account SET label = 'Newly Broken', status = 'failing' WHERE id = ?", (ids[0],))
        with tab.darkened():
            assert tab.faults(dark=True) == []
        tab.page.get_by_alt_text("Newly Broken").wait_for()


def test_views_and_filters_survive_a_reload(stage: Stage) -> None:
    """A view chosen on the page stands in the address, and a reload or another person's tab shows the same."""
    lived(stage, 60)
    with stage.tab() as tab:
        tab.open()
        tab.page.get_by_role("combobox", name="View").click()
        tab.page.get_by_role("option", name="Needs attention").click()
        tab.page.get_by_text("of 60 accounts").filter(has_not_text="60 of 60").wait_for()
        tab.settle()
        shown, url = tab.page.get_by_text("of 60 accounts").inner_text().split(" ·")[0], tab.page.url
        assert "view=Needs" in url
        tab.page.reload()
        tab.page.get_by_text(shown).wait_for()
        tab.button("Share").click()
        offered = tab.page.get_by_test_id("stCode").inner_text().strip()
    with stage.tab() as other:
        other.open(offered.removeprefix(stage.server.url))
        other.page.get_by_text(shown).wait_for()
