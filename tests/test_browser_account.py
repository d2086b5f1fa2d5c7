"""The Account and Incidents pages in Chromium: acknowledging, refreshing in place, wide, narrow, dark, axe."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from hub_core.health.maintenance import Once, Scope
from tests.browsing import NARROW, Stage, Tab, staged
from tests.lived import Life, live

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hub_core.model import Account

pytestmark = pytest.mark.browser

LIVES = {"Meadow": Life.MAINTAINED, "Harbor": Life.FAILING, "Orchard": Life.FLAPPING, "Alpine": Life.PAUSED}
TYPED = "The hosting company moves the machine"


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """One dashboard for all tests here, with four accounts that have lived for ninety days, and a new one."""
    with staged(tmp_path_factory.mktemp("browser")) as stage:
        accounts = {word: stage.link(word, tags="customer") for word in LIVES}
        now = stage.hub.clock.now()
        now -= timedelta(minutes=now.minute % 5, seconds=now.second)  # of the made-up checks, every third has a token
        with stage.hub.store.database.write() as con:
            long_ago = round((now - timedelta(days=120)).timestamp() * 1000)
            con.execute("UPDATE account SET linked_at = ?, key_entered_at = ?", (long_ago, long_ago))
        live(stage.hub, until=now, days=90, beats_days=14, lives=list(LIVES.values()))
        stage.link("Cedar")
        stage.hub.store.schedule.take_lease("somebody", now=now, lasts=timedelta(hours=1))
        rule = Once(now - timedelta(minutes=5), now + timedelta(hours=2))
        stage.hub.windows.add(Scope.ACCOUNT, accounts["Orchard"].id, rule, "New disks", actor="kim")
        yield stage


def account(stage: Stage, word: str) -> Account:
    """Return the account whose label begins with a word."""
    return stage.hub.account(next(row.id for row in stage.hub.accounts() if row.label.startswith(word)))


def address(stage: Stage, word: str, more: str = "") -> str:
    """Return the path of an account's page."""
    return f"/account?account={account(stage, word).id}{more}"


def choose(tab: Tab, row: int, entry: str) -> None:
    """Open the menu of a row, in the third column of the table, by mouse and choose an entry."""
    canvas = tab.page.locator("[data-testid=stDataFrame] canvas").first
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    assert box
    tab.page.mouse.click(box["x"] + 321, box["y"] + 36 + 36 * row + 18)
    tab.page.get_by_role("menuitem", name=entry).or_(tab.page.get_by_role("option", name=entry)).first.click()


def test_acknowledging(stage: Stage) -> None:
    """From the row's menu over the dialog: the note is kept, the list says who has seen it, filters stay."""
    with stage.tab() as tab:
        tab.open("/incidents?show=Open")
        choose(tab, 0, "Details and note")
        dialog = tab.page.get_by_role("dialog")
        dialog.get_by_text("What happened").wait_for()
        tab.settle()
        dialog.get_by_role("textbox").fill(TYPED)
        dialog.get_by_role("button", name="Acknowledge").click()
        tab.page.get_by_test_id("stToast").get_by_text("Acknowledged").wait_for()
        expect(dialog).to_have_count(0)
        tab.settle()
        assert "show=Open" in tab.page.url
        assert "incident=" not in tab.page.url
        tab.page.locator("[role=gridcell]", has_text="dashboard").first.wait_for(state="attached")
    (incident,) = stage.hub.past.incidents(account_id=account(stage, "Harbor").id, open_only=True)
    assert (incident.note, incident.acknowledged_by) == (TYPED, "dashboard")


def test_refreshing_keeps_view_range_and_what_is_open(stage: Stage) -> None:
    """A check made elsewhere appears by itself; the range, the address and an open fold stay as they were."""
    with stage.tab() as tab:
        tab.open(address(stage, "Meadow"))
        tab.page.get_by_role("radio", name="7 days").click()
        tab.settle()
        tab.page.get_by_text("Day by day, as a table").click()
        days = tab.page.get_by_test_id("stDataFrame")
        days.wait_for()
        stage.sandbox.rotate(account(stage, "Meadow").client_id)
        stage.hub.check(account(stage, "Meadow").id)
        tab.alert("no longer accepts this key").wait_for()
        tab.settle()
        expect(tab.page.get_by_role("radio", name="7 days")).to_be_checked()
        expect(tab.page.get_by_role("radio", name="Overview")).to_be_checked()
        expect(days).to_be_visible()
        assert "range=7" in tab.page.url
        tab.button("Relink").click()
        tab.field("Client secret").wait_for()
    stage.hub.relink(
        account(stage, "Meadow").id,
        stage.hub.read_new_key(account(stage, "Meadow").id, stage.organization("Meadow").secret),
        actor="test",
    )


def test_narrow(stage: Stage) -> None:
    """On a telephone no view of an account scrolls sideways, nor does the list of incidents or an incident."""
    (incident,) = stage.hub.past.incidents(account_id=account(stage, "Harbor").id, open_only=True)
    views = [address(stage, "Orchard", f"&do={view}") for view in ("Overview", "History", "Maintenance")]
    with stage.tab(size=NARROW) as tab:
        for path in (*views, address(stage, "Cedar"), "/incidents", f"/incidents?incident={incident.id}"):
            tab.open(path)
            assert tab.page.evaluate(
                "() => [document.documentElement, document.querySelector('[data-testid=stMain]')]"
                ".every(box => box.scrollWidth <= box.clientWidth)"
            ), path


def test_every_view_is_accessible(stage: Stage) -> None:
    """Axe finds nothing serious in any view of an account with a past, in the list of incidents, or in an incident."""
    faults: dict[str, list[str]] = {}
    (incident,) = stage.hub.past.incidents(account_id=account(stage, "Harbor").id, open_only=True)
    places = {
        "well": address(stage, "Meadow"),
        "failing": address(stage, "Harbor"),
        "flapping": address(stage, "Orchard"),
        "paused": address(stage, "Alpine"),
        "new": address(stage, "Cedar"),
        "history": address(stage, "Orchard", "&do=History"),
        "maintenance": address(stage, "Orchard", "&do=Maintenance"),
        "incidents": "/incidents",
        "incident": f"/incidents?incident={incident.id}",
    }
    also_dark = {"failing", "flapping", "maintenance", "incident"}
    pictures = {"well": "account", "failing": "account-failing", "incidents": "incidents", "incident": "incident"}
    with stage.tab(size=(1280, 1000)) as tab:
        for name, path in places.items():
            tab.open(path)
            if name == "incident":
                tab.page.get_by_role("dialog").get_by_text("What happened").wait_for()
                tab.settle()
            faults[name] = tab.faults(dark=False)
            if name in pictures:
                tab.shot(pictures[name])
            if name in also_dark:
                with tab.darkened():
                    faults[f"{name}, dark"] = tab.faults(dark=True)
    assert {name: found for name, found in faults.items() if found} == {}
