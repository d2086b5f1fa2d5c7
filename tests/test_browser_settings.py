"""The Settings page in Chromium: a channel against a local receiver, a token shown once, both themes, axe."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from hub_core.access import Refused, Scope
from tests.browsing import NARROW, Stage, Tab, staged
from tests.receiving import CANARY, Receiver, receiver

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.browser

PARTS = ("Channels", "Maintenance", "API", "Checks", "Audit", "Diagnostics")


@pytest.fixture(scope="module")
def inbox() -> Iterator[Receiver]:
    """A receiver on this machine."""
    with receiver() as receiving:
        yield receiving


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory, inbox: Receiver) -> Iterator[Stage]:
    """One dashboard for all tests here, with one account."""
    with staged(tmp_path_factory.mktemp("browser"), LINKHUB_OUTBOUND_LOOPBACK=inbox.place) as stage:
        stage.link("Meadow")
        yield stage


def part(tab: Tab, name: str) -> Tab:
    """Open one part of the settings."""
    return tab.open(f"/settings?part={name}")


def test_a_channel_is_added_and_tested(stage: Stage, inbox: Receiver) -> None:
    """A webhook is added in the browser; its test message arrives, signed with the secret that was shown once."""
    with stage.tab() as tab:
        part(tab, "Channels")
        tab.field("Name").fill("On-call")
        tab.field("Address").fill(inbox.url)
        tab.button("Add").click()
        secret = tab.page.get_by_test_id("stCode").get_by_text("whsec_").inner_text().strip()
        tab.settle()
        tab.button("I have copied it").click()
        expect(tab.page.get_by_text(secret)).to_have_count(0)
        tab.settle()
        tab.button("Test").click()
        tab.alert("The test message reached “On-call”.").wait_for()
        assert inbox.requests[-1].verified(secret)["type"] == "alert.test"
        assert CANARY not in tab.page.content()
        tab.assert_clean(CANARY, secret)
        tab.settle().shot("settings")
        inbox.status = 500
        tab.button("Test").click()
        tab.alert("could not be reached. It answered 500.").wait_for()
        tab.page.get_by_text("Failing", exact=True).first.wait_for()
        inbox.status = 204


def test_a_token_is_made_and_copied(stage: Stage) -> None:
    """An API token made in the browser works, and is not on the page any more after it was copied."""
    with stage.tab() as tab:
        part(tab, "API")
        tab.field("Name").fill("Grafana")
        tab.page.get_by_text("Metrics, for Prometheus").click()
        tab.button("Make a token").click()
        text = tab.page.get_by_test_id("stCode").get_by_text("lh_").inner_text().strip()
        assert not isinstance(stage.hub.access.admits(text, Scope.METRICS), Refused)
        tab.settle()
        tab.button("I have copied it").click()
        expect(tab.page.get_by_text(text)).to_have_count(0)
        tab.assert_clean(text)


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_axe(stage: Stage, dark: bool) -> None:  # noqa: FBT001 - a parameter of the test
    """No part of the settings has a serious accessibility fault, in either theme."""
    with stage.tab(dark=dark) as tab:
        part(tab, PARTS[0])
        found = {PARTS[0]: tab.faults(dark=dark)}
        for name in PARTS[1:]:
            tab.page.get_by_role("radio", name=name).click()
            tab.page.wait_for_url(f"**part={name}*")
            tab.page.mouse.move(0, 0)
            found[name] = tab.settle().faults(dark=dark)
        assert found == {name: [] for name in PARTS}


def test_narrow(stage: Stage) -> None:
    """On a phone nothing of the settings stands outside of the screen."""
    with stage.tab(size=NARROW) as tab:
        part(tab, "Channels")
        assert tab.page.evaluate("document.documentElement.scrollWidth") <= NARROW[0]
