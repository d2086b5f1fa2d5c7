"""Channels as pages and command line use them: entered, stored sealed, tried, switched and removed."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from datetime import time
from typing import TYPE_CHECKING

import pytest

from hub_core.access import written_out
from hub_core.alerts.channel import Kind, Quiet, State
from hub_core.alerts.form import ChannelForm
from hub_core.errors import InvalidForm, NotFound
from hub_core.hub import Hub
from hub_core.model import RegionId, Status
from hub_core.storage.channels import Channels
from hub_core.storage.keys import replace_key_file
from hub_core.storage.seal import MasterKey
from tests.leaks import leaks_in_folder
from tests.receiving import CANARY, receiver

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hub_core.alerts.channel import Added
    from hub_core.settings import Settings
    from tests.receiving import Receiver

GIVEN = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


@pytest.fixture
def inbox() -> Iterator[Receiver]:
    with receiver() as served:
        yield served


@pytest.fixture
def hub(settings: Settings, inbox: Receiver) -> Iterator[Hub]:
    with closing(Hub.open(replace(settings, outbound_loopback=(inbox.place,), url="https://links.example"))) as opened:
        yield opened


def add(hub: Hub, inbox: Receiver, **entered: object) -> Added:
    form = ChannelForm(**{"name": "Ops", "target": inbox.url, **entered})  # type: ignore[arg-type]  # fields of it
    return hub.alerts.add(hub.alerts.read_form(form), actor="test")


def wrong(hub: Hub, **entered: object) -> dict[str, str]:
    """Return what is to be corrected, by field."""
    good = {"name": "Ops", "target": "https://hooks.example/x"}
    with pytest.raises(InvalidForm) as caught:
        hub.alerts.read_form(ChannelForm(**{**good, **entered}))  # type: ignore[arg-type]  # fields of it
    return {error.field: error.message for error in caught.value.errors}


def test_a_webhook_is_added_and_only_a_hint_of_it_is_shown(hub: Hub, inbox: Receiver) -> None:
    """A new channel shows scheme and host alone, and its signing secret, made here, this once."""
    added = add(hub, inbox, tags="a, b", regions=[RegionId.EU], quiet_from="22:00", quiet_until="7:00")
    (channel,) = hub.alerts.channels()
    assert channel == added.channel
    assert channel.hint == f"http://{inbox.place}"
    assert CANARY not in repr(added)
    assert added.secret is not None
    assert written_out(added.secret).startswith("whsec_")
    assert channel.rules.tags == {"a", "b"}
    assert channel.rules.quiet == Quiet(time(22), time(7))
    assert channel.rules.statuses == {Status.FAILING, Status.UNREACHABLE}


def test_neither_address_nor_secret_is_in_the_database(hub: Hub, inbox: Receiver) -> None:
    """What is secret about a channel is stored sealed, and gone from every file when the channel is removed."""
    added = add(hub, inbox)
    assert added.secret is not None
    canaries = {"address": CANARY, "secret": written_out(added.secret)}
    assert leaks_in_folder(canaries, hub.settings.data) == []
    with hub.store.database.read() as con:
        sealed = {"target": str(con.execute("SELECT target FROM channel").fetchone()[0])}
    hub.alerts.remove(added.channel.id, actor="test")
    assert leaks_in_folder(sealed, hub.settings.data) == []
    with pytest.raises(NotFound):
        hub.alerts.channel(added.channel.id)


def test_a_test_message_is_signed_and_recorded(hub: Hub, inbox: Receiver) -> None:
    """The test button sends at once; the real verifier accepts it, and it is among the deliveries."""
    added = add(hub, inbox, secret=GIVEN)
    assert added.secret is None
    result = hub.alerts.test(added.channel.id, actor="test")
    assert result.well
    assert result.sentence == "The test message reached “Ops”."
    (request,) = inbox.requests
    assert request.verified(GIVEN)["type"] == "alert.test"
    (delivery,) = hub.alerts.deliveries(added.channel.id)
    assert (delivery.id, delivery.state) == (request.headers["webhook-id"], State.SENT)
    assert hub.alerts.problem() == ""


def test_a_test_that_fails_says_why_and_is_not_tried_again(hub: Hub, inbox: Receiver) -> None:
    """A refused test message is a sentence without the address, and the channel is shown as failing."""
    added = add(hub, inbox)
    inbox.status = 500
    result = hub.alerts.test(added.channel.id, actor="test")
    assert not result.well
    assert result.sentence == "“Ops” could not be reached. It answered 500."
    (delivery,) = hub.alerts.deliveries(added.channel.id)
    assert (delivery.state, delivery.next_at) == (State.GIVEN_UP, None)
    assert hub.alerts.channel(added.channel.id).failing_since is not None
    assert hub.alerts.problem().startswith("Alerts to “Ops” do not get through since ")
    inbox.status = 200
    assert hub.alerts.test(added.channel.id, actor="test").well
    assert hub.alerts.problem() == ""


def test_a_channel_is_changed_without_entering_its_address_again(hub: Hub, inbox: Receiver) -> None:
    """Name and rules change, the address stays; a new address replaces the old one."""
    channel = add(hub, inbox, secret=GIVEN).channel
    form = ChannelForm(name="Night shift", statuses=[Status.DEGRADED], every_minutes="30")
    hub.alerts.change(channel.id, hub.alerts.read_form(form, channel_id=channel.id), actor="test")
    changed = hub.alerts.channel(channel.id)
    assert (changed.name, changed.hint, changed.rules.every_minutes) == ("Night shift", channel.hint, 30)
    assert hub.alerts.test(channel.id, actor="test").well
    elsewhere = replace(form, target=f"http://{inbox.place}/elsewhere")
    hub.alerts.change(channel.id, hub.alerts.read_form(elsewhere, channel_id=channel.id), actor="test")
    assert hub.alerts.test(channel.id, actor="test").well
    assert [request.path for request in inbox.requests] == [inbox.url.partition(inbox.place)[2], "/elsewhere"]


def test_what_people_do_to_channels_is_in_the_audit_trail(hub: Hub, inbox: Receiver) -> None:
    """Adding, changing, switching, testing and removing leave an entry each, without path or secret."""
    channel = add(hub, inbox).channel
    form = ChannelForm(name="Other")
    hub.alerts.change(channel.id, hub.alerts.read_form(form, channel_id=channel.id), actor="test")
    hub.alerts.set_enabled(channel.id, enabled=False, actor="test")
    hub.alerts.set_enabled(channel.id, enabled=True, actor="test")
    hub.alerts.test(channel.id, actor="test")
    hub.alerts.remove(channel.id, actor="test")
    entries = [entry for entry in hub.store.audit_trail() if entry["target"] == channel.id]
    assert [entry["action"].removeprefix("channel ") for entry in reversed(entries)] == [
        "add", "change", "disable", "enable", "test", "remove",
    ]  # fmt: skip
    assert CANARY not in repr(entries)


def test_rotating_the_data_key_reseals_channels(hub: Hub, inbox: Receiver) -> None:
    """After the data key was rotated, a channel is sealed anew and still works."""
    channel = add(hub, inbox).channel
    (before,), _ = Channels(hub.store.database).all_sealed()
    assert hub.keychain.rotate(actor="test") == 2
    (after,), ring = Channels(hub.store.database).all_sealed()
    assert len(ring) == 1
    assert before.target != after.target
    assert before.secret != after.secret
    assert hub.alerts.test(channel.id, actor="test").well


def test_another_master_key_still_opens_channels(hub: Hub, inbox: Receiver) -> None:
    """After a change of the master key a channel works, in this hub and in one opened anew."""
    channel = add(hub, inbox).channel
    new = MasterKey.generate()
    replace_key_file(hub.settings.config / "master.key", new)
    hub.keychain.rekey(new, actor="test")
    assert hub.alerts.test(channel.id, actor="test").well
    with closing(Hub.open(hub.settings)) as again:
        assert again.alerts.test(channel.id, actor="test").well


def test_a_sealed_address_opens_at_its_own_channel_only(hub: Hub, inbox: Receiver) -> None:
    """An address moved to another channel, or into the column of the secret, does not open there."""
    one, two = add(hub, inbox).channel, add(hub, inbox, name="Two").channel
    with hub.store.database.write() as con:
        con.execute(
            "UPDATE channel SET target = (SELECT target FROM channel WHERE id = ?) WHERE id = ?", (one.id, two.id)
        )
        con.execute("UPDATE channel SET target = secret WHERE id = ?", (one.id,))
    for channel in (one, two):
        said = hub.alerts.test(channel.id, actor="test").sentence
        assert said.endswith("Its stored address cannot be opened any more. Enter it again.")
    assert inbox.requests == []


def test_a_lost_master_key_takes_the_addresses_with_it(hub: Hub, inbox: Receiver) -> None:
    """When every secret was given up, a channel says that its address is wanted, and takes it again."""
    channel = add(hub, inbox).channel
    hub.store.drop_secrets(at=hub.clock.now(), actor="test")
    with closing(Hub.open(hub.settings)) as again:
        assert again.alerts.channel(channel.id).locked
        assert not again.alerts.test(channel.id, actor="test").well
        with pytest.raises(InvalidForm):
            again.alerts.read_form(ChannelForm(name="Ops"), channel_id=channel.id)
        form = ChannelForm(name="Ops", target=inbox.url)
        added = again.alerts.change(channel.id, again.alerts.read_form(form, channel_id=channel.id), actor="test")
        assert added.secret is not None
        assert again.alerts.test(channel.id, actor="test").well


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ("", "Enter the address"),
        ("hooks.example/x", "begins with https://"),
        ("ftp://hooks.example/x", "begins with https://"),
        ("http://hooks.example/x", "Over http://"),
        ("https://user:word@hooks.example/x", "Leave out the “@”"),
        ("https://hooks.example/x#part", "Leave out the “#”"),
        ("https://hooks .example/x", "not an address"),
        ("https://hooks.example\\@evil.example/x", "Leave out the “@”"),
        ("https:///x", "not an address"),
        ("https://127.1/x", "not a host name"),
        ("https://0x7f000001/x", "not a host name"),
        ("https://2130706433/x", "not a host name"),
        ("https://a..b/x", "not a host name"),
        ("https://[1.2.3.4]/x", "not a host name"),
        ("https://hooks.example:0/x", "The port"),
        ("https://hooks.example:99999/x", "The port"),
        ("https://127.0.0.1/x", "may not contact that address (loopback)"),
        ("https://localhost/x", "may not contact that address (loopback)"),
        ("https://169.254.169.254/latest", "may not contact that address (metadata address)"),
        ("https://[fd00:ec2::254]/x", "may not contact that address (metadata address)"),
        ("https://[::ffff:127.0.0.1]/x", "may not contact that address (loopback)"),
        ("https://hooks.example/" + "x" * 3000, "at most 2000 characters"),
    ],
)
def test_an_address_that_cannot_be_used_is_refused_in_words(hub: Hub, target: str, words: str) -> None:
    """Each wrong address gets a sentence that says what is wrong, and never repeats the address."""
    said = wrong(hub, target=target)
    assert words in said["target"]
    assert not target or target not in said["target"]


@pytest.mark.parametrize(
    ("field", "entered"),
    [
        ("name", {"name": " "}),
        ("name", {"name": "x" * 61}),
        ("secret", {"secret": "hunter2"}),
        ("secret", {"secret": "whsec_" + "A" * 8}),
        ("secret", {"secret": "whsec_not base64 at all, really not"}),
        ("statuses", {"statuses": []}),
        ("statuses", {"statuses": [Status.HEALTHY]}),
        ("quiet_from", {"quiet_from": "25:00", "quiet_until": "07:00"}),
        ("quiet_until", {"quiet_from": "22:00"}),
        ("quiet_until", {"quiet_from": "22:00", "quiet_until": "22:00"}),
        ("reminder_hours", {"reminder_hours": "-1"}),
        ("reminder_hours", {"reminder_hours": "1000"}),
        ("every_minutes", {"every_minutes": "soon"}),
        ("daily_at", {"daily_at": "8"}),
        ("daily_at", {"daily_at": "08:00", "every_minutes": "5"}),
        ("summary_at", {"summary_at": "24:00"}),
    ],
)
def test_each_wrong_field_is_named(hub: Hub, field: str, entered: dict[str, object]) -> None:
    """A field that needs correcting is named, with a sentence, and no other is."""
    said = wrong(hub, **entered)
    assert set(said) == {field}
    assert said[field].endswith(".")


def test_a_signing_secret_made_here_can_be_given_elsewhere(hub: Hub, inbox: Receiver) -> None:
    """What this hub makes for one channel is accepted for another, with and without padding."""
    made = add(hub, inbox).secret
    assert made is not None
    for number, text in enumerate((written_out(made), written_out(made).rstrip("="))):
        channel = add(hub, inbox, name=f"Twin {number}", secret=text).channel
        assert hub.alerts.test(channel.id, actor="test").well
        inbox.requests[-1].verified(written_out(made))


def test_every_wrong_field_is_told_at_once(hub: Hub) -> None:
    """Several mistakes are told together."""
    assert set(wrong(hub, name="", target="x", statuses=[], summary_at="x")) == {
        "name", "target", "statuses", "summary_at",
    }  # fmt: skip


def test_a_channel_keeps_its_kind(hub: Hub, inbox: Receiver) -> None:
    """A webhook does not become an Apprise channel by editing."""
    channel = add(hub, inbox).channel
    with pytest.raises(InvalidForm) as caught:
        hub.alerts.read_form(ChannelForm(name="Ops", kind=Kind.APPRISE), channel_id=channel.id)
    assert [error.field for error in caught.value.errors] == ["kind"]


def test_a_form_shows_nothing_of_what_was_entered() -> None:
    """The representation of a form, in a traceback for instance, holds neither address nor secret."""
    assert CANARY not in repr(ChannelForm(target=CANARY, secret=CANARY, name=CANARY))
