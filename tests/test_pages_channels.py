"""The channels on the Settings page without a browser: adding, testing, editing, switching off, removing."""

from __future__ import annotations

from datetime import time
from typing import TYPE_CHECKING

import pytest

from hub_core.alerts.channel import Quiet, State
from hub_core.alerts.form import ChannelForm
from hub_core.model import Status
from tests.paging import Visitor, hub, own_hub
from tests.receiving import CANARY, receiver

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from hub_core.alerts.channel import Channel
    from tests.receiving import Receiver

GIVEN = "whsec_" + "QUJD" * 11


@pytest.fixture
def inbox() -> Iterator[Receiver]:
    """A receiver on this machine."""
    with receiver() as receiving:
        yield receiving


@pytest.fixture(autouse=True)
def _hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, inbox: Receiver) -> Iterator[None]:
    monkeypatch.setenv("LINKHUB_OUTBOUND_LOOPBACK", inbox.place)
    with own_hub(monkeypatch, tmp_path):
        yield


@pytest.fixture
def channel(inbox: Receiver) -> Channel:
    """A channel that works."""
    form = ChannelForm(name="Ops", target=inbox.url, secret=GIVEN)
    return hub().alerts.add(hub().alerts.read_form(form), actor="test").channel


def page() -> Visitor:
    """Open the channels."""
    return Visitor("settings.py", part="Channels")


def only() -> Channel:
    """Return the one channel there is."""
    (channel,) = hub().alerts.channels()
    return channel


def new(**fields: object) -> dict[str, object]:
    """Return fields of the form for a new channel by their keys."""
    return {f"channel_{name}_new-0": value for name, value in fields.items()}


def choose(visitor: Visitor, channel: Channel, action: str) -> None:
    """Choose something in a channel's menu."""
    visitor.at.menu_button(f"channel_more_{channel.id}").click(action)
    visitor.run()


def test_without_channels_the_page_teaches() -> None:
    """Without a channel the page says that nobody is told, and how to change that."""
    assert "Nobody is told yet." in page().text


def test_adding_a_webhook(inbox: Receiver) -> None:
    """A webhook is added by the form; its secret is shown once, its address never again, and the test message comes."""
    visitor = page().fill(**new(name="On-call", target=inbox.url, tags="prod, eu"))
    visitor.fill(**new(statuses=[Status.FAILING], quiet_from=time(22), quiet_until=time(7)))
    visitor.press("channel_go")
    channel = only()
    assert (channel.name, channel.hint) == ("On-call", f"http://{inbox.place}")
    assert channel.rules.statuses == {Status.FAILING}
    assert channel.rules.tags == {"prod", "eu"}
    assert channel.rules.quiet == Quiet(time(22), time(7))
    secret = next(code.value for code in visitor.at.code if code.value.startswith("whsec_"))
    visitor.press("channel_secret_copied")
    assert visitor.where(secret) == []
    assert visitor.where(CANARY) == []
    assert visitor.value("channel_name_new-1") == ""
    visitor.press(f"channel_test_{channel.id}")
    assert visitor.texts("success") == ["The test message reached “On-call”."]
    assert inbox.requests[0].verified(secret)["type"] == "alert.test"


def test_what_is_wrong_is_said_at_its_field_and_the_rest_is_kept(inbox: Receiver) -> None:
    """A form with mistakes names each, keeps everything but the secrets, and is taken once they are mended."""
    visitor = page().fill(**new(target="http://user:pw@hooks.example", tags="prod"))
    visitor.fill(**new(statuses=[])).press("channel_go")
    errors = visitor.texts("error")
    assert len(errors) == 3
    assert any("name" in error for error in errors)
    assert any("Choose at least one" in error for error in errors)
    assert visitor.value("channel_tags_new-0") == "prod"
    assert visitor.value("channel_target_new-0") == ""
    assert visitor.where("user:pw") == []
    visitor.fill(**new(name="Ops", target=inbox.url, statuses=[Status.DEGRADED]))
    visitor.press("channel_go")
    assert not visitor.at.error
    assert only().rules.tags == {"prod"}


def test_a_test_that_fails_is_shown(channel: Channel, inbox: Receiver) -> None:
    """A test message that is refused is shown as such, with the channel as failing and the message in its list."""
    inbox.status = 500
    visitor = page().press(f"channel_test_{channel.id}")
    assert visitor.texts("error") == ["“Ops” could not be reached. It answered 500."]
    assert "Failing" in visitor.text
    assert any("Alerts to “Ops” do not get through" in warning for warning in Visitor().texts("warning"))
    table = visitor.at.dataframe[0].value
    assert list(table["State"]) == ["Given up"]
    assert hub().alerts.deliveries(channel.id)[0].state is State.GIVEN_UP


def test_editing_keeps_the_address(channel: Channel, inbox: Receiver) -> None:
    """Editing changes the rules and leaves the stored address as it is."""
    visitor = page()
    choose(visitor, channel, "Edit")
    one = channel.id
    visitor.fill(**{f"channel_name_{one}": "Night shift", f"channel_reminder_hours_{one}": 4}).press("channel_go")
    assert (only().name, only().rules.reminder_hours) == ("Night shift", 4)
    visitor.press(f"channel_test_{one}")
    assert inbox.requests[0].verified(GIVEN)


def test_switching_off_and_removing(channel: Channel) -> None:
    """A channel can be switched off and on, and removed after one more question."""
    visitor = page()
    choose(visitor, channel, "Switch off")
    assert not only().enabled
    choose(visitor, channel, "Switch on")
    assert only().enabled
    choose(visitor, channel, "Remove")
    assert hub().alerts.channels()
    visitor.press("channel_remove_go")
    assert hub().alerts.channels() == []
