"""Messages on their way: over real sockets, to receivers that answer as they like, and by Apprise."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import subprocess
import sys
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from hub_core.access import written_out
from hub_core.alerts.apprise_child import SCHEMAS
from hub_core.alerts.apprising import Apprising
from hub_core.alerts.channel import ChannelDraft, Kind, Rules, State
from hub_core.alerts.form import ChannelForm
from hub_core.alerts.teller import BY_APPRISE, CLAIM, RETRIES, next_attempt
from hub_core.bitwarden.policy import OutboundPolicy
from hub_core.errors import InputError, InvalidForm
from hub_core.hub import Hub
from hub_core.model import Reason, Secret, Status
from hub_core.storage import statements
from hub_core.storage.channels import channel_place
from tests.leaks import leaks, leaks_in_folder
from tests.linked import Hands
from tests.receiving import CANARY, receiver
from tests.told import change, linked_accounts

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hub_core.alerts.channel import Channel, Delivery
    from hub_core.settings import Settings
    from tests.receiving import Receiver


ROOT = Path(__file__).resolve().parents[1]


class Telling:
    """A hub with one channel to a receiver, an account, and a clock to move."""

    def __init__(self, hub: Hub, inbox: Receiver, hands: Hands) -> None:
        self.hub, self.inbox, self.hands = hub, inbox, hands
        self.accounts = linked_accounts(hub, 5)
        self.teller = hub.alerts.teller()

    def add(self, **entered: object) -> tuple[Channel, str]:
        """Add a channel, and return it with its signing secret."""
        form = ChannelForm(**{"name": "Ops", "target": self.inbox.url, **entered})  # type: ignore[arg-type]  # fields
        added = self.hub.alerts.add(self.hub.alerts.read_form(form), actor="test")
        return added.channel, written_out(added.secret) if added.secret else ""

    def fail(
        self, *accounts: str, status: Status = Status.FAILING, reason: Reason = Reason.KEY_NO_LONGER_ACCEPTED
    ) -> None:
        """Let accounts fail for a cause."""
        for account in accounts:
            change(self.hub, account, status, reason)

    def mend(self, *accounts: str) -> None:
        """Let accounts work again."""
        for account in accounts:
            change(self.hub, account, Status.HEALTHY, None)

    def after(self, **time: float) -> None:
        """Let time pass and the teller look once, and wait until everything it sends is settled."""
        self.hands.forward(**time)

        async def look() -> None:
            await self.teller.round()
            await self.teller.idle()

        asyncio.run(look())

    def deliveries(self, channel: Channel) -> list[Delivery]:
        """Return what became of a channel's messages, newest first."""
        return self.hub.alerts.deliveries(channel.id)


@pytest.fixture
def inbox() -> Iterator[Receiver]:
    with receiver() as served:
        yield served


@pytest.fixture
def telling(settings: Settings, inbox: Receiver) -> Iterator[Telling]:
    hands = Hands()
    own = replace(settings, outbound_loopback=(inbox.place,), url="https://links.example")
    with closing(Hub.open(own, clock=hands.clock)) as hub:
        yield Telling(hub, inbox, hands)


def test_a_failure_is_told_once_signed_with_everything_in_it(telling: Telling, inbox: Receiver) -> None:
    """Two minutes after an account failed one signed message comes: what, why, since when, what to do, a link."""
    _, secret = telling.add()
    telling.fail(telling.accounts[0])
    telling.after(seconds=30)
    assert inbox.requests == []
    telling.after(minutes=2)
    telling.after(hours=1)
    (request,) = inbox.requests
    assert (request.method, request.path) == ("POST", inbox.url.partition(inbox.place)[2])
    said = request.verified(secret)
    assert said["type"] == "alert.trouble"
    (about,) = said["data"]["accounts"]
    assert (about["id"], about["label"], about["status"]) == (telling.accounts[0], "Account 0", "failing")
    assert about["reason"] == "key_no_longer_accepted"
    assert about["link"] == f"https://links.example/account?account={telling.accounts[0]}"
    assert about["title"]
    assert about["meaning"]
    assert about["steps"]
    assert about["since"]


def test_recovery_is_told_only_where_the_problem_was(telling: Telling, inbox: Receiver) -> None:
    """A channel that was told of the failure hears of the recovery; one for other accounts hears nothing."""
    telling.add()
    telling.add(name="Others", tags="elsewhere")
    telling.fail(telling.accounts[0])
    telling.after(minutes=3)
    telling.mend(telling.accounts[0])
    telling.after(minutes=3)
    assert [request.body.count(b"Account 0 works again") > 0 for request in inbox.requests] == [False, True]


def test_an_outage_of_many_is_one_message(telling: Telling, inbox: Receiver) -> None:
    """Five accounts of one server that fail for one cause are one message that names the number; so is their return."""
    _, secret = telling.add()
    telling.fail(*telling.accounts, status=Status.UNREACHABLE, reason=Reason.CONNECTION_REFUSED)
    telling.after(minutes=3)
    (request,) = inbox.requests
    data = request.verified(secret)["data"]
    assert data["title"].startswith("5 accounts are unreachable: ")
    assert data["count"] == len(data["accounts"]) == 5
    telling.mend(*telling.accounts)
    telling.after(minutes=3)
    assert json.loads(inbox.requests[1].body)["data"]["title"] == "5 accounts work again"
    assert len(inbox.requests) == 2


def test_a_refused_message_is_tried_again_under_the_same_id(telling: Telling, inbox: Receiver) -> None:
    """After a 500 the message is tried again on the table's times, with the same id and body, and then is there."""
    channel, _ = telling.add()
    inbox.status = 500
    telling.fail(telling.accounts[0])
    telling.after(minutes=3)
    (delivery,) = telling.deliveries(channel)
    assert (delivery.state, delivery.attempts, delivery.error) == (State.WAITING, 1, "It answered 500.")
    assert telling.hub.alerts.problem().startswith("Alerts to “Ops” do not get through since ")
    telling.after(seconds=5)
    assert len(inbox.requests) == 1
    inbox.status = 200
    telling.after(seconds=6)
    first, second = inbox.requests
    assert first.headers["webhook-id"] == second.headers["webhook-id"] == delivery.id
    assert first.body == second.body
    assert telling.deliveries(channel)[0].state is State.SENT
    assert telling.hub.alerts.problem() == ""


def test_a_message_is_given_up_after_a_day(telling: Telling, inbox: Receiver) -> None:
    """Ten attempts in a little over a day, then the message is given up, visibly, and its content is erased."""
    channel, _ = telling.add()
    inbox.status = 503
    telling.fail(telling.accounts[0])
    telling.after(minutes=3)
    for pause in RETRIES:
        telling.after(seconds=pause + 1)
    telling.after(days=1)
    (delivery,) = telling.deliveries(channel)
    assert (delivery.state, delivery.attempts) == (State.GIVEN_UP, len(RETRIES) + 1) == (State.GIVEN_UP, 10)
    assert len(set(inbox.ids)) == 1
    assert telling.hub.alerts.channel(channel.id).failing_since is not None
    assert timedelta(hours=24) < timedelta(seconds=sum(RETRIES)) < timedelta(hours=27)
    with telling.hub.store.database.read() as con:
        assert con.execute("SELECT message FROM delivery").fetchone()[0] == ""


def test_a_channel_that_is_gone_is_switched_off(telling: Telling, inbox: Receiver) -> None:
    """410 switches the channel off, visibly; what waited for it is given up; switching it on clears that."""
    channel, _ = telling.add()
    inbox.status = 410
    telling.fail(telling.accounts[0])
    telling.after(minutes=3)
    stopped = telling.hub.alerts.channel(channel.id)
    assert not stopped.enabled
    assert stopped.stopped == "It answered 410. The receiver wants no messages any more."
    assert telling.hub.alerts.problem().endswith("The channel was switched off.")
    assert telling.deliveries(channel)[0].state is State.GIVEN_UP
    telling.hub.alerts.set_enabled(channel.id, enabled=True, actor="test")
    assert telling.hub.alerts.problem() == ""


def test_what_waits_for_a_channel_that_is_switched_off_is_given_up(telling: Telling, inbox: Receiver) -> None:
    """A message that could not be sent is not sent when the channel is switched on again, perhaps weeks later."""
    channel, _ = telling.add()
    inbox.status = 500
    telling.fail(telling.accounts[0])
    telling.after(minutes=3)
    for enabled in (False, True):
        telling.hub.alerts.set_enabled(channel.id, enabled=enabled, actor="test")
    inbox.status, tried = 204, len(inbox.requests)
    telling.after(days=1)
    assert len(inbox.requests) == tried
    (given_up,) = telling.deliveries(channel)
    assert (given_up.state, given_up.error) == (State.GIVEN_UP, "The channel was switched off.")


def test_a_receiver_that_asks_to_wait_is_left_alone_so_long(telling: Telling, inbox: Receiver) -> None:
    """A 429 with Retry-After is obeyed although the table would try sooner."""
    telling.add()
    inbox.status, inbox.answer_headers = 429, {"Retry-After": "120"}
    telling.fail(telling.accounts[0])
    telling.after(minutes=3)
    telling.after(seconds=100)
    assert len(inbox.requests) == 1
    telling.after(seconds=21)
    assert len(inbox.requests) == 2


def test_a_redirect_is_not_followed(telling: Telling, inbox: Receiver) -> None:
    """A receiver that redirects is said to, and nothing is sent to where it points."""
    channel, _ = telling.add()
    with receiver() as other:
        inbox.status, inbox.answer_headers = 307, {"Location": other.url}
        telling.fail(telling.accounts[0])
        telling.after(minutes=3)
        assert other.requests == []
    assert "redirect" in telling.deliveries(channel)[0].error


def test_a_receiver_that_hangs_delays_no_other_channel(telling: Telling, inbox: Receiver) -> None:
    """While one receiver keeps its connection silent, a message to another channel gets there."""
    with receiver() as slow:
        slow.hang = True
        policy = OutboundPolicy(loopback=frozenset({inbox.place, slow.place}))
        telling.hub.alerts._policy = policy
        telling.add(name="Slow", target=slow.url)
        telling.add(name="Fast")
        telling.teller = telling.hub.alerts.teller()
        telling.fail(telling.accounts[0])
        telling.hands.forward(minutes=3)

        async def look() -> None:
            await telling.teller.round()
            await asyncio.to_thread(inbox.wait, 1)
            await asyncio.to_thread(slow.wait, 1)
            telling.fail(telling.accounts[1])
            telling.hands.forward(minutes=3)
            await telling.teller.round()
            await asyncio.to_thread(inbox.wait, 2)
            assert len(slow.requests) == 1
            slow.release.set()
            await telling.teller.idle()

        asyncio.run(look())


def test_two_tellers_on_one_database_tell_once(telling: Telling, inbox: Receiver) -> None:
    """Dashboard and watcher tell side by side: each message is routed once and sent once."""
    telling.add()
    with closing(Hub.open(telling.hub.settings, clock=telling.hands.clock)) as other:
        tellers = [telling.teller, other.alerts.teller()]
        for account in telling.accounts:
            telling.fail(account)
            telling.hands.forward(minutes=3)

            async def look() -> None:
                await asyncio.gather(*(teller.round() for teller in tellers))
                await asyncio.gather(*(teller.idle() for teller in tellers))

            asyncio.run(look())
    telling.after(minutes=10)
    assert len(set(inbox.ids)) == len(inbox.ids) == len(telling.accounts)


def test_who_passes_by_sends_everything_that_is_due(telling: Telling, inbox: Receiver) -> None:
    """One visit routes changes without letting them settle and sends several messages to each channel.

    What a failing channel keeps is counted as waiting, and with no time left nothing is begun.
    """
    telling.add()
    telling.fail(telling.accounts[0])
    telling.fail(telling.accounts[1], status=Status.UNREACHABLE, reason=Reason.NAME_NOT_FOUND)
    assert asyncio.run(telling.hub.alerts.teller(settle=timedelta()).clear(within_s=0.0)) == 0
    assert telling.hub.alerts.tell() == (2, 0)
    assert telling.hub.alerts.tell() == (0, 0)
    inbox.status = 500
    telling.mend(*telling.accounts[:2])
    assert telling.hub.alerts.tell() == (0, 2)
    told = sorted(json.loads(request.body)["data"]["title"].partition(":")[0] for request in inbox.requests)
    assert told == [
        *("Account 0 is failing", "Account 0 works again", "Account 1 is unreachable", "Account 1 works again")
    ]


def test_what_a_dead_teller_claimed_is_sent_by_the_next(telling: Telling, inbox: Receiver) -> None:
    """A message that was claimed and not settled is sent under its id once the claim has run out, not before."""
    channel, _ = telling.add()
    telling.fail(telling.accounts[0])
    telling.hands.forward(minutes=3)
    telling.teller.route()
    now = telling.hub.clock.now()
    (ready,) = telling.teller._outbox.claim(now=now, until=now + CLAIM, busy=[], by_apprise=BY_APPRISE)
    telling.after(seconds=60)
    assert inbox.requests == []
    telling.after(seconds=61)
    assert inbox.ids == [ready.id]
    assert telling.deliveries(channel)[0].state is State.SENT


def test_nobody_there_is_said_with_the_host_alone(telling: Telling, free_port: int) -> None:
    """A refused connection is a sentence with host, but neither path nor token."""
    telling.hub.alerts._policy = OutboundPolicy(loopback=frozenset({f"127.0.0.1:{free_port}"}))
    channel, _ = telling.add(target=f"http://127.0.0.1:{free_port}/{CANARY}")
    said = telling.hub.alerts.test(channel.id, actor="test").sentence
    assert "127.0.0.1" in said
    assert CANARY not in said


@pytest.mark.parametrize(
    ("attempts", "asked", "seconds"), [(0, None, 10), (1, 5, 60), (2, 4000, 4000), (0, 10**8, 21600)]
)
def test_the_next_attempt(attempts: int, asked: int | None, seconds: int) -> None:
    """The table decides, or what the receiver asked if that is longer, but never more than six hours."""
    now = Hands().now()
    assert next_attempt(attempts, asked, now) == now + timedelta(seconds=seconds)


def test_the_hub_pings_after_a_pass(settings: Settings, inbox: Receiver, caplog: pytest.LogCaptureFixture) -> None:
    """The dead-man's address is asked by GET; a failure is logged once, without the address."""
    caplog.set_level(logging.DEBUG)
    own = replace(settings, outbound_loopback=(inbox.place,), ping_url=Secret(inbox.url))
    with closing(Hub.open(own)) as hub:
        pinger = hub.alerts.pinger()
        assert pinger is not None
        asyncio.run(pinger.after_pass())
        assert [request.method for request in inbox.requests] == ["GET"]
        inbox.status = 500
        asyncio.run(pinger.after_pass())
        asyncio.run(pinger.after_pass())
    assert [record.message for record in caplog.records if "PING" in record.message] == [
        "LINKHUB_PING_URL could not be asked: it answered 500"
    ]
    assert leaks({"address": CANARY}, caplog.text) == []


def test_watching_pings_and_tells(settings: Settings, inbox: Receiver) -> None:
    """A hub that watches asks the dead-man's address by itself."""
    own = replace(settings, outbound_loopback=(inbox.place,), ping_url=Secret(inbox.url))
    with closing(Hub.open(own)) as hub:
        linked_accounts(hub, 0)
        hub.start_watching()
        inbox.wait(1)
    assert inbox.requests[0].method == "GET"


def test_what_is_told_leaves_no_address_behind(
    telling: Telling, inbox: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    """After messages that got there, failed and were given up, no file and no log record holds address or secret."""
    caplog.set_level(logging.DEBUG)
    channel, secret = telling.add()
    canaries = {"address": CANARY, "secret": secret}
    for status in (200, 500, 302, 410):
        inbox.status = status
        telling.hub.alerts.set_enabled(channel.id, enabled=True, actor="test")
        telling.fail(telling.accounts[0])
        telling.after(minutes=3)
        telling.mend(telling.accounts[0])
        telling.after(minutes=3)
    telling.hub.alerts.test(channel.id, actor="test")
    assert len(inbox.requests) > 5
    assert leaks(canaries, caplog.text + "".join(map(repr, (r.__dict__ for r in caplog.records)))) == []
    assert leaks(canaries, repr(telling.deliveries(channel)) + repr(telling.hub.store.audit_trail())) == []
    assert leaks_in_folder(canaries, telling.hub.settings.data) == []


@pytest.mark.parametrize(
    "wait",
    ["Mon, 01 Jan 99999999999999999999 00:00:00 GMT", "Mon, 01 Jan 2026 00:00:00 +99999999999999999999", "9" * 400],
)
def test_a_receiver_cannot_stop_the_channel_by_its_answer(telling: Telling, inbox: Receiver, wait: str) -> None:
    """An answer with a time nobody can wait for is a failed attempt like any other, and the next one is planned."""
    channel, _ = telling.add()
    inbox.status, inbox.answer_headers = 503, {"Retry-After": wait}
    telling.fail(telling.accounts[0])
    telling.after(minutes=3)
    (delivery,) = telling.deliveries(channel)
    assert (delivery.state, delivery.attempts, delivery.error) == (State.WAITING, 1, "It answered 503.")
    inbox.status = 204
    telling.after(hours=7)
    assert telling.deliveries(channel)[0].state is State.SENT


def test_a_message_that_cannot_be_sent_is_given_up(telling: Telling, caplog: pytest.LogCaptureFixture) -> None:
    """Where sending itself fails, here for a stored address that is none, attempts count; the log has no address."""
    channel, _ = telling.add()
    with telling.hub.store.database.write() as con:
        ring = statements.ring(con)
        place = channel_place(channel.id, "target")
        sealed = telling.hub.keychain.seal_at(Secret(f"http://[{CANARY}/"), place, ring)
        con.execute("UPDATE channel SET target = ?", (sealed,))
    telling.fail(telling.accounts[0])
    for _ in range(3 + len(RETRIES)):
        telling.after(hours=7)
    (delivery,) = telling.deliveries(channel)
    assert (delivery.state, delivery.attempts) == (State.GIVEN_UP, len(RETRIES) + 1)
    assert "report it" in delivery.error
    assert CANARY not in caplog.text


# ---- Apprise


def test_apprise_brings_a_message(telling: Telling, inbox: Receiver) -> None:
    """An Apprise address gets title and text; only its scheme and host are shown."""
    target = f"json://{inbox.place}/{CANARY}"
    channel, _ = telling.add(kind=Kind.APPRISE, target=target)
    assert channel.hint == "json://127.0.0.1"
    telling.fail(telling.accounts[0])
    telling.after(minutes=3)
    (request,) = inbox.requests
    assert request.path == f"/{CANARY}"
    assert b"Account 0 is failing" in request.body
    assert b'"type": "failure"' in request.body or b'"type":"failure"' in request.body
    assert telling.deliveries(channel)[0].state is State.SENT


def test_words_of_strangers_call_nobody_in_a_chat(telling: Telling, inbox: Receiver) -> None:
    """A label that would ring everybody in a room, or hide where a link leads, arrives as the text it is."""
    telling.add(kind=Kind.APPRISE, target=f"json://{inbox.place}/x")
    telling.hub.describe(
        telling.accounts[0], label="@everyone <!here> [bank](https://evil.example)", tags="", note="", actor="test"
    )
    telling.fail(telling.accounts[0])
    telling.after(minutes=3)
    said = json.loads(inbox.requests[0].body)
    assert said["title"].startswith("@\u2060everyone <\u2060!here> [bank]\u2060(https://evil.example) is failing")
    assert not any(trick in said["title"] + said["message"] for trick in ("@everyone", "<!", "]("))


def test_apprise_that_fails_says_so_without_its_address(
    telling: Telling, inbox: Receiver, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    """A service that refuses is a sentence; Apprise's own log, which may hold addresses, goes nowhere."""
    caplog.set_level(0)
    channel, _ = telling.add(kind=Kind.APPRISE, target=f"json://user:{CANARY}@{inbox.place}/{CANARY}")
    inbox.status = 500
    result = telling.hub.alerts.test(channel.id, actor="test")
    assert result.sentence == "“Ops” could not be reached. The service behind json:// did not take the message."
    said = capfd.readouterr()
    assert leaks({"address": CANARY}, caplog.text + said.out + said.err + repr(channel)) == []
    assert leaks_in_folder({"address": CANARY}, telling.hub.settings.data) == []


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ("syslog://", "not offered"),
        ("dbus://", "not offered"),
        ("macosx://", "not offered"),
        ("windows://", "not offered"),
        ("file:///etc/passwd", "not offered"),
        ("fcm://project/token?keyfile=/etc/passwd", "not offered"),
        ("made-up://x", "not offered"),
        ("no address", "one word"),
        ("mailto://a:b@hooks.example?pgp=yes", "files"),
        ("mailto://a:b@hooks.example?%70gp=yes", "files"),
        ("slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ?template=/etc/x.json", "files"),
        ("workflows://hooks.example/a/b?%74emplate=https://elsewhere.example/x", "files"),
        ("mailto://a:b@hooks.example", "Use mailtos://"),
        ("mailtos://a:b@hooks.example?mode=insecure", "without mode=insecure"),
        ("json://hooks.example/x", "Use jsons://"),
        ("slack://x", "does not understand"),
    ],
)
def test_apprise_addresses_that_are_refused(telling: Telling, target: str, words: str) -> None:
    """What uses this machine, reads files, travels in the clear, or is not understood, is refused in words."""
    with pytest.raises(InvalidForm) as caught:
        telling.add(kind=Kind.APPRISE, target=target)
    (error,) = caught.value.errors
    assert error.field == "target"
    assert words in error.message


def test_apprise_contacts_only_what_the_operator_allows(inbox: Receiver) -> None:
    """Inside the child every connection is checked: a listed target is reached, the same one unlisted is not."""

    async def send(policy: OutboundPolicy) -> str:
        return await Apprising(policy=policy).send(f"jsons://{inbox.place}/x", title="t", text="t", sort="info")

    refused = asyncio.run(send(OutboundPolicy()))
    assert refused == "This hub may not contact 127.0.0.1 (loopback). The operator decides what it may contact."
    assert inbox.requests == []
    listed = OutboundPolicy(loopback=frozenset({inbox.place}))
    assert asyncio.run(Apprising(policy=listed).send(f"json://{inbox.place}/x", title="t", text="t", sort="info")) == ""
    assert len(inbox.requests) == 1


def test_a_service_that_asks_in_the_clear_of_itself_is_stopped() -> None:
    """One that Apprise would ask over http://, key and all, is not asked unless the operator lists its host."""
    said = asyncio.run(
        Apprising(policy=OutboundPolicy()).send("kavenegar://key/15551232000", title="t", text="t", sort="info")
    )
    assert said.startswith("This hub may not contact api.kavenegar.com (plain http).")


@pytest.mark.parametrize(
    ("host", "words", "asked"),
    [
        ("169.254.169.254", "may not contact 169.254.169.254 (metadata address)", b""),
        ("0xa9fea9fe", "may not contact 0xa9fea9fe (reserved range)", b""),
        ("hooks.invalid:22", "may not contact hooks.invalid (port)", b""),
        ("hooks.invalid", "did not take the message", b"CONNECT hooks.invalid:443"),
    ],
)
def test_a_proxy_carries_apprise_only_where_the_hub_may_go(host: str, words: str, asked: bytes) -> None:
    """Through a proxy, too, addresses given as numbers and ports are checked; names are the proxy's to decide."""
    heard: list[bytes] = []

    async def proxy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.readline())
        writer.write(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()
        writer.close()

    async def send() -> str:
        server = await asyncio.start_server(proxy, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        apprising = Apprising(policy=OutboundPolicy(shared=True, proxy=f"http://127.0.0.1:{port}"))
        async with server:
            return await apprising.send(f"jsons://{host}/x", title="t", text="t", sort="info")

    assert words in asyncio.run(send())
    assert [line.rpartition(b" ")[0] for line in heard] == [asked] * bool(asked)


CONFINED = """
import subprocess, sys
from hub_core.alerts.confinement import confine
confine()
for misuse in (lambda: open(sys.argv[1]), lambda: open(sys.argv[1] + ".py", "w"), lambda: subprocess.run(["true"])):
    try:
        misuse()
    except PermissionError:
        print("refused")
try:
    bytearray(1 << 30)
except MemoryError:
    print("refused")
import colorsys
"""


def test_the_child_opens_no_file_and_starts_no_program(tmp_path: Path) -> None:
    """Whatever an address makes Apprise do, its process reads nothing but code, writes nothing and starts nothing."""
    private = tmp_path / "secrets.json"
    private.write_text("{}")
    run = subprocess.run(
        [sys.executable, "-c", CONFINED, str(private)], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert run.stdout.split() == ["refused"] * (4 if sys.platform == "linux" else 3)
    assert list(tmp_path.iterdir()) == [private]


def test_apprise_that_does_not_answer_is_ended(inbox: Receiver) -> None:
    """Where a service keeps silent the child is killed at the deadline."""
    inbox.hang = True
    policy = OutboundPolicy(loopback=frozenset({inbox.place}))
    apprising = Apprising(policy=policy, deadline_s=3.0)
    said = asyncio.run(apprising.send(f"json://{inbox.place}/x", title="t", text="t", sort="info"))
    assert said == "The service did not answer in time."


def children() -> int:
    """Return how many processes of Apprise this one has."""
    found = Path(f"/proc/{os.getpid()}/task").glob("*/children")
    lines = [Path(f"/proc/{child}/cmdline").read_text() for path in found for child in path.read_text().split()]
    return sum("apprise_child" in line for line in lines)


def test_few_processes_of_apprise_run_at_once(inbox: Receiver) -> None:
    """Of four orders two run while there are two places; the others follow when these end."""
    inbox.hang = True
    policy = OutboundPolicy(loopback=frozenset({inbox.place}))

    async def send() -> list[str]:
        apprising = Apprising(policy=policy, places=asyncio.Semaphore(2))
        orders = [apprising.send(f"json://{inbox.place}/x", title="t", text="t", sort="info") for _ in range(4)]
        sending = asyncio.gather(*orders)
        await asyncio.to_thread(inbox.wait, 2)
        assert children() == 2
        inbox.release.set()
        return await sending

    assert asyncio.run(send()) == [""] * 4
    assert len(inbox.requests) == 4


def test_what_finds_no_place_is_not_claimed_and_a_test_finds_one(telling: Telling, inbox: Receiver) -> None:
    """While Apprise brings as many messages as may be, others stay unclaimed, and a person still can test a channel."""
    for number in range(BY_APPRISE + 1):
        target = Secret(f"json://{inbox.place}/{number}")
        draft = ChannelDraft(name=f"Chat {number}", kind=Kind.APPRISE, rules=Rules(), hint="json://", target=target)
        tested = telling.hub.alerts.add(draft, actor="test").channel
    inbox.hang = True
    telling.fail(telling.accounts[0])
    telling.hands.forward(minutes=3)

    async def look() -> None:
        assert len(await telling.teller.round()) == BY_APPRISE
        assert await telling.teller.round() == []
        await asyncio.to_thread(inbox.wait, BY_APPRISE)
        assert children() == BY_APPRISE
        test = asyncio.create_task(asyncio.to_thread(telling.hub.alerts.test, tested.id, actor="test"))
        await asyncio.to_thread(inbox.wait, BY_APPRISE + 1)
        inbox.release.set()
        assert (await test).well
        await telling.teller.idle()
        assert len(await telling.teller.round()) == 1
        await telling.teller.idle()

    asyncio.run(look())
    assert len(inbox.requests) == BY_APPRISE + 2


def test_apprise_addresses_are_checked_by_apprise_itself() -> None:
    """A well-formed address of a known service is accepted, and no token of it is in the hint."""
    apprising = Apprising(policy=OutboundPolicy())
    assert asyncio.run(apprising.check("ntfys://secret-topic")) == "ntfys://"
    assert asyncio.run(apprising.check("discord://4174216298/JHMHI8qBe7bk2ZwO5U711o3dV_js")) == "discord://"
    assert asyncio.run(apprising.check("mailtos://u:p@mail.example?to=ops@mail.example")) == "mailtos://mail.example"
    with pytest.raises(InputError):
        asyncio.run(apprising.check("discord://x"))


def test_every_offered_service_is_apprises_own_and_over_the_network() -> None:
    """Each scheme of the list belongs to a service that ships with Apprise and asks for a host, a token or a user."""
    from apprise.manager_plugins import NotificationManager

    plugins: Any = NotificationManager()  # type: ignore[no-untyped-call]  # the library has no types
    known = set(plugins.schemas())
    assert known >= SCHEMAS
    for schema in SCHEMAS:
        assert plugins[schema].__module__.startswith("apprise.plugins.")
        assert all(template.partition("://")[2] for template in plugins[schema].templates), schema
