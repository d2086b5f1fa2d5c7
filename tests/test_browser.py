"""The dashboard in Chromium: whole ways through it, by mouse and by keyboard, wide and narrow, light and dark."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from hub_core.sandbox import Fault
from tests.browsing import NARROW, Stage, Tab, staged

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hub_core.model import Account

pytestmark = pytest.mark.browser

CANARY = "CanaryCanaryCanaryCanary012345"
HOSTILE = "<img src=x onerror=alert(1)> **b** [x](https://evil.example) =1+1 :red[r] $e^x$"


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """One dashboard for all tests here."""
    with staged(tmp_path_factory.mktemp("browser")) as stage:
        yield stage


@pytest.fixture
def stage(shared: Stage) -> Stage:
    """The dashboard with nothing linked, and a sandbox without faults."""
    shared.start_over()
    return shared


def mixed(stage: Stage) -> dict[str, Account]:
    """Link one account of each kind of standing."""
    tags = {"Meadow": "customer, Berlin", "Harbor": "customer", "Alpine": "customer", "Orchard": "", "Cedar": "own"}
    accounts = {word: stage.link(word, tags=text) for word, text in tags.items()}
    stage.sandbox.rotate(accounts["Harbor"].client_id)
    stage.sandbox.faults.set("eu", Fault.BAD_GATEWAY)
    stage.sandbox.faults.set("self_hosted", Fault.FORBIDDEN, at="/public/groups")
    for word in ("Harbor", "Alpine", "Orchard"):
        stage.hub.check(accounts[word].id)
    return accounts


def fill_in(tab: Tab, word: str, *, server: str = "") -> None:
    """Choose a sandbox organization and take its key, perhaps for another server."""
    which = tab.stage.organization(word)
    choice = tab.page.get_by_role("combobox", name="Sandbox organization")
    choice.click()  # brings it into view first: a list of options closes when the page scrolls
    choice.fill(which.name)
    expect(tab.page.get_by_role("option")).to_have_count(1)
    tab.page.get_by_role("option", name=which.name).click()
    tab.page.get_by_text(which.story).wait_for()
    tab.settle()
    tab.button("Use this key").click()
    expect(tab.field("Client ID")).to_have_value(which.client_id)
    tab.settle()
    if server:
        tab.page.get_by_role("radio", name=server).click()
        expect(tab.page.get_by_text("Requests go to")).to_contain_text(f"/{server[:2].lower()}/api")
        tab.settle()


def submit(tab: Tab) -> None:
    """Press the form's button."""
    tab.button("Verify and link").click()


def popup(tab: Tab, label: str) -> None:
    """Wait for the confirmation of a label."""
    expect(tab.page.get_by_role("dialog")).to_contain_text(label)
    tab.settle()


def row_menu(tab: Tab, row: int, entry: str) -> None:
    """Open a row's menu, in the third column of the table, by mouse and choose an entry."""
    canvas = tab.page.locator("[data-testid=stDataFrame] canvas").first
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    assert box
    tab.page.mouse.click(box["x"] + 303, box["y"] + 36 + 40 * row + 20)
    tab.page.get_by_role("menuitem", name=entry).or_(tab.page.get_by_role("option", name=entry)).first.click()


def test_the_whole_way(stage: Stage) -> None:
    """From the empty page over the sandbox, the live stages and the popup to relinking and unlinking."""
    with stage.tab() as tab:
        tab.open()
        tab.button("Open the sandbox").click()
        tab.page.get_by_role("heading", name="Link an organization").wait_for()
        fill_in(tab, "Meadow")
        stage.sandbox.faults.set("us", Fault.SLOW, seconds=2, at="/public/members")
        submit(tab)
        tab.page.get_by_text("The key is accepted").wait_for()
        tab.page.get_by_text("Asking what this key can read").wait_for()
        tab.page.get_by_role("heading", level=1).scroll_into_view_if_needed()
        tab.shot("stages")
        stage.sandbox.faults.clear()
        popup(tab, "Meadow Bakery")
        tab.button("Open account").click()
        tab.page.get_by_role("heading", name="Meadow Bakery").wait_for()
        tab.settle()
        tab.page.get_by_role("link", name="Accounts").last.click()
        tab.page.get_by_text("1 of 1 accounts").wait_for()
        tab.settle()
        secret = stage.sandbox.rotate(stage.organization("Meadow").client_id)
        row_menu(tab, 0, "Check now")
        tab.page.get_by_text("no longer accepts this key").first.wait_for()
        tab.settle()
        row_menu(tab, 0, "Relink")
        tab.field("Client secret").fill(secret)
        tab.button("Verify and relink").click()
        tab.page.get_by_text("Relinked: the new key works").first.wait_for()
        tab.settle()
        assert secret not in tab.page.content()
        tab.page.get_by_role("heading", name="Last check").wait_for()
        tab.button("More").click()
        tab.page.get_by_role("option", name="Unlink").or_(tab.page.get_by_role("menuitem", name="Unlink")).click()
        tab.page.get_by_role("dialog").get_by_role("textbox").fill("Meadow Bakery")
        tab.page.get_by_role("dialog").get_by_role("button", name="Unlink").click()
        tab.page.get_by_text("was unlinked and its secret erased").wait_for()
        tab.button("Open the sandbox").wait_for()
        tab.assert_clean(secret)
    assert not stage.hub.accounts()


def test_refused_key_leaves_no_secret(stage: Stage) -> None:
    """A refused secret is explained, is in no address and nowhere in the page, and the rest of the form stays."""
    with stage.tab() as tab:
        tab.open("/link?region=sandbox")
        tab.field("Client ID").fill(stage.organization("Meadow").client_id)
        tab.field("Client secret").fill(CANARY)
        tab.field("Label").fill("Bakery")
        submit(tab)
        tab.alert("Bitwarden refused this key").wait_for()
        tab.settle()
        assert CANARY not in tab.page.content()
        expect(tab.field("Client secret")).to_have_value("")
        expect(tab.field("Label")).to_have_value("Bakery")
        tab.assert_clean(CANARY)


def test_region_mismatch_and_duplicate(stage: Stage) -> None:
    """A key of the other cloud is linked there after one click; linked once more, the page says already linked."""
    with stage.tab() as tab:
        tab.open("/link?region=sandbox")
        fill_in(tab, "Alpine", server="US cloud")
        submit(tab)
        tab.button("Try the same key in EU").click()
        popup(tab, "Alpine Logistics")
        tab.button("Link another").click()
        expect(tab.page.get_by_role("dialog")).to_have_count(0)
        for label in ("Client ID", "Client secret", "Label"):
            expect(tab.field(label)).to_have_value("")
        tab.settle()
        fill_in(tab, "Alpine")
        submit(tab)
        tab.page.get_by_text("already linked as Alpine Logistics").wait_for()
        tab.button("Open account").click()
        tab.page.get_by_role("heading", name="Alpine Logistics").wait_for()


def test_countdown_does_not_flicker(stage: Stage) -> None:
    """While the wait is counted down the button stays and nothing else fades; then the same key is tried again."""
    with stage.tab() as tab:
        tab.open("/link?region=sandbox")
        fill_in(tab, "Harbor")
        stage.sandbox.faults.set("us", Fault.RATE_LIMITED, seconds=4)
        submit(tab)
        tab.page.get_by_role("button", name="Try again in").wait_for()
        tab.settle()
        tab.page.evaluate(
            """() => {
                window.seen = new Set(); window.gone = 0; window.faded = 0;
                const look = () => {
                    const buttons = [...document.querySelectorAll('button')].map(b => b.innerText)
                        .filter(text => text.includes('Try again'));
                    if (!buttons.length) window.gone++;
                    buttons.forEach(text => window.seen.add(text));
                    window.faded += [...document.querySelectorAll('[data-stale=true]')]
                        .filter(element => !element.innerText.includes('Try again')
                            && getComputedStyle(element).opacity < 1).length;
                };
                window.watcher = new MutationObserver(look);
                window.watcher.observe(document.body, {subtree: true, childList: true, attributes: true,
                    characterData: true});
            }"""
        )
        stage.sandbox.faults.clear()
        again = tab.button("Try again")
        again.wait_for()
        labels, gone, faded = tab.page.evaluate(
            "() => { window.watcher.disconnect(); return [[...window.seen], window.gone, window.faded] }"
        )
        assert len(labels) >= 3
        assert (gone, faded) == (0, 0)
        again.click()
        popup(tab, "Harbor Clinic")


def test_row_menu_and_stopping(stage: Stage) -> None:
    """A row is paused and resumed from its menu, and checking all can be stopped while it waits."""
    for word in ("Meadow", "Harbor", "Alpine"):
        stage.link(word)
    with stage.tab() as tab:
        tab.open()
        row_menu(tab, 2, "Pause")
        tab.page.get_by_role("dialog").get_by_role("textbox").fill("moving")
        tab.page.get_by_role("dialog").get_by_role("button", name="Pause").click()
        expect(tab.page.get_by_role("dialog")).to_have_count(0)
        tab.page.get_by_text("1 Paused").first.wait_for()
        tab.settle()
        row_menu(tab, 2, "Resume")
        tab.page.get_by_text("is checked again").wait_for()
        expect(tab.page.get_by_text("1 Paused")).to_have_count(0)
        tab.settle()
        for server in ("us", "eu"):
            stage.sandbox.faults.set(server, Fault.SLOW, seconds=30, at="/connect/token")
        tab.button("Check all").click()
        tab.page.get_by_text("0 of 3 checked").wait_for()
        tab.button("Stop").click()
        expect(tab.button("Stop")).to_have_count(0)
        tab.settle()
        assert {len(stage.hub.past.noteworthy(row.id)) for row in stage.hub.accounts()} == {1}


def test_hostile_names_and_export(stage: Stage) -> None:
    """A name full of Markdown and HTML is shown as text wherever it stands, and exported without its formula."""
    account = stage.link("Meadow", label=HOSTILE, tags="=1+1, <b>t</b>")
    with stage.tab() as tab:
        tab.open(f"/account?account={account.id}")
        assert tab.page.get_by_role("heading", level=1).inner_text().replace("\u2060", "").strip() == HOSTILE
        assert tab.page.locator("img[src=x], a[href*=evil], h1 strong, h1 a, .katex").count() == 0
        tab.open()
        with tab.page.expect_download() as download:
            tab.button("Export CSV").click()
        text = Path(download.value.path()).read_text("utf-8")
        assert "'=1+1" in text
        assert HOSTILE in text


def test_keyboard_only(stage: Stage) -> None:
    """Without a mouse one gets from the form to the popup and out of it, and always sees where one is."""
    which = stage.organization("Harbor")
    with stage.tab() as tab:
        tab.open("/link?region=sandbox")
        for label, text in (("Client ID", which.client_id), ("Client secret", which.secret), ("Label", which.name)):
            tab.tab_to(tab.field(label))
            tab.page.keyboard.type(text)
        tab.settle()
        tab.tab_to(tab.button("Verify and link"))
        tab.page.keyboard.press("Enter")
        popup(tab, "Harbor Clinic")
        tab.tab_to(tab.button("Link another"))
        tab.tab_to(tab.page.get_by_role("dialog").get_by_role("button", name="Close"))
        tab.page.keyboard.press("Escape")
        expect(tab.page.get_by_role("dialog")).to_have_count(0)
        tab.tab_to(tab.field("Client ID"))


def test_narrow_screen(stage: Stage) -> None:
    """On a telephone no page scrolls sideways, and pages, row menu and form are within reach."""
    account = mixed(stage)["Harbor"]
    with stage.tab(size=NARROW) as tab:
        for path in ("/", "/link?region=sandbox", "/link?region=self_hosted", f"/account?account={account.id}"):
            tab.open(path)
            assert tab.page.evaluate(
                "() => [document.documentElement, document.querySelector('[data-testid=stMain]')]"
                ".every(box => box.scrollWidth <= box.clientWidth)"
            ), path
        tab.page.get_by_test_id("stExpandSidebarButton").click()
        tab.page.get_by_test_id("stSidebar").get_by_role("link", name="Accounts").click()
        tab.page.get_by_text("5 of 5 accounts").wait_for()
        tab.page.get_by_test_id("stSidebarCollapseButton").get_by_role("button").click()
        tab.settle()
        tab.shot("narrow")
        tab.page.get_by_label("Search").first.fill("Harbor")
        tab.page.get_by_text("1 of 5 accounts").wait_for()
        tab.settle()
        row_menu(tab, 0, "Open")
        tab.page.get_by_role("heading", name="Harbor Clinic").wait_for()
        tab.page.get_by_test_id("stPageLink").get_by_role("link", name="Accounts").click()
        tab.page.get_by_role("heading", name="Accounts", exact=True).wait_for()
        tab.settle()
        tab.button("Link an organization").click()
        tab.page.get_by_role("heading", name="Link an organization").wait_for()
        tab.button("Verify and link").scroll_into_view_if_needed()


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_every_page_is_accessible(stage: Stage, *, dark: bool) -> None:
    """Axe finds nothing serious on any page in any state, in either theme."""
    faults: dict[str, list[str]] = {}
    with stage.tab(dark=dark) as tab:

        def survey(name: str, picture: str = "") -> None:
            tab.settle()
            faults[name] = tab.faults(dark=dark)
            if picture and not dark:
                tab.shot(picture)

        tab.open()
        survey("empty", "empty")
        tab.open("/link?region=us")
        survey("link", "link")
        tab.page.get_by_role("radio", name="Sandbox").click()
        tab.button("Use this key").wait_for()
        fill_in(tab, "Lapsed")
        submit(tab)
        tab.alert("Bitwarden refused this key").wait_for()
        tab.page.get_by_role("heading", level=1).scroll_into_view_if_needed()
        survey("refused", "refused")
        fill_in(tab, "Harbor")
        submit(tab)
        popup(tab, "Harbor Clinic")
        survey("popup", "linked")
        stage.start_over()
        accounts = mixed(stage)
        tab.open()
        survey("accounts")
        tab.open(f"/account?account={accounts['Meadow'].id}")
        survey("account")
        tab.open(f"/account?account={accounts['Harbor'].id}")
        survey("failing")
        tab.page.get_by_role("link", name="About").click()
        tab.page.get_by_role("heading", name="About", exact=True).wait_for()
        survey("about")
    assert {name: found for name, found in faults.items() if found} == {}
