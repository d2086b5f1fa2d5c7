"""The commands about channels: addresses come in by standard input alone, and never come out again."""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from hub_core.sandbox import Fault
from tests.leaks import leaks, leaks_in_folder
from tests.receiving import CANARY, receiver
from tests.terminal import Terminal, organization

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.receiving import Receiver

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


@pytest.fixture
def inbox() -> Iterator[Receiver]:
    with receiver() as served:
        yield served


@pytest.fixture
def run(
    tmp_path: Path,
    free_port: int,
    inbox: Receiver,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Terminal:
    terminal = Terminal(tmp_path, free_port, monkeypatch, capsys)
    terminal.set(LINKHUB_OUTBOUND_LOOPBACK=f"{inbox.place},127.0.0.1:{free_port},localhost:{free_port}")
    return terminal


def test_a_channel_from_adding_to_removing(run: Terminal, inbox: Receiver) -> None:
    """Add, list, show, test, switch, list messages, remove: each says what it did, and none shows the address."""
    options = ("--status", "failing", "--tag", "acme", "--region", "self-hosted", "--quiet-from", "22:00")
    added = run("channel", "add", "Ops", *options, "--quiet-until", "07:00", "--remind", "4", stdin=inbox.url)
    assert added.code == 0, added.text
    (secret,) = re.findall(r"Signing secret: (whsec_\S+)", added.out)
    listed = run("channel", "list")
    assert f"http://{inbox.place}" in listed.out
    shown = run("channel", "show", "Ops", "--json")
    assert shown.json["quiet"] == ["22:00", "07:00"]
    assert (shown.json["tags"], shown.json["regions"]) == (["acme"], ["self_hosted"])
    assert "22:00 to 07:00" in run("channel", "show", "Ops").out
    tried = run("channel", "test", "Ops")
    assert (tried.code, tried.out.strip()) == (0, "The test message reached “Ops”.")
    assert inbox.requests[0].verified(secret)["type"] == "alert.test"
    (sent,) = run("channel", "deliveries", "Ops", "--json").json
    assert (sent["state"], sent["about"]) == ("sent", "test")
    assert "Test of “Ops”" in run("channel", "deliveries", "Ops").out
    assert run("channel", "disable", "Ops").code == 0
    assert run("channel", "list", "--json").json[0]["enabled"] is False
    assert run("channel", "enable", "Ops").code == 0
    everything = "".join(run(*words).text for words in (("channel", "list"), ("channel", "show", "Ops"), ("doctor",)))
    assert leaks({"address": CANARY, "secret": secret}, added.err + listed.text + shown.text + everything) == []
    assert run("channel", "remove", "Ops").code == 0
    assert run("channel", "list", "--json").json == []
    assert leaks_in_folder({"address": CANARY, "secret": secret}, run.data) == []


def test_a_given_secret_is_not_shown(run: Terminal, inbox: Receiver, tmp_path: Path) -> None:
    """With a secret of one's own, from a file, none is printed; the address may come from a file as well."""
    (tmp_path / "secret").write_text(SECRET + "\n")
    (tmp_path / "address").write_text(inbox.url + "\n")
    files = ("--secret-file", str(tmp_path / "secret"), "--address-file", str(tmp_path / "address"))
    added = run("channel", "add", "Ops", *files)
    assert added.code == 0, added.text
    assert "whsec_" not in added.text
    assert run("channel", "test", "Ops").code == 0
    inbox.requests[0].verified(SECRET)


def test_what_cannot_be_used_is_said_without_repeating_it(run: Terminal) -> None:
    """A wrong address, no address, and an unknown channel are usage errors in words."""
    refused = run("channel", "add", "Ops", stdin=f"https://user:{CANARY}@hooks.example/")
    assert refused.code == 2
    assert "Leave out the “@”" in refused.err
    assert leaks({"address": CANARY}, refused.text) == []
    assert run("channel", "add", "Ops", stdin="").code == 2
    assert run("channel", "add", "Ops", "--quiet-from", "22:00", stdin="https://hooks.example/x").code == 2
    unknown = run("channel", "show", "Nobody")
    assert (unknown.code, "no such channel" in unknown.err) == (2, True)


def test_a_failing_test_ends_with_one_and_the_doctor_knows(run: Terminal, inbox: Receiver) -> None:
    """A test that does not get there ends with 1; the doctor calls that a problem, and says when there is none."""
    assert "nobody is told" in run("channel", "list").err
    assert "There is no channel, so nobody is told" in run("doctor").out
    run("channel", "add", "Ops", stdin=inbox.url)
    assert "“Ops” (http://" in run("doctor").out
    inbox.status = 500
    tried = run("channel", "test", "Ops")
    assert (tried.code, tried.out.strip()) == (1, "“Ops” could not be reached. It answered 500.")
    examined = run("doctor")
    assert examined.code == 1
    assert "“Ops” cannot be reached: It answered 500." in examined.out


def test_a_channel_that_cannot_be_opened_is_named(run: Terminal, inbox: Receiver, tmp_path: Path) -> None:
    """Where a channel's sealed address was altered, `key verify` and the doctor name it instead of calling all well."""
    assert run("channel", "add", "Ops", stdin=inbox.url).code == 0
    assert run("key", "verify").code == 0
    with closing(sqlite3.connect(next(tmp_path.rglob("hub.db")))) as con, con:
        con.execute("UPDATE channel SET target = secret")
    verified = run("key", "verify")
    assert verified.code == 1
    assert "Channel “Ops”" in verified.out
    assert "The address of the channel “Ops” cannot be opened." in run("doctor").text
    assert run("key", "rotate").code != 0


# ---- what a check tells


@pytest.fixture
def failing(run: Terminal, inbox: Receiver) -> Iterator[str]:
    """The client id of an account that was healthy and fails from now on, with a channel that is told of it."""
    meadow = organization("Meadow")
    with run.sandbox() as sandbox:
        assert run.link(meadow, label="Meadow").code == 0
        assert run("channel", "add", "Ops", stdin=inbox.url).code == 0
        sandbox.faults.set(meadow.client_id, Fault.DISABLE, on=True)
        yield meadow.client_id


def test_a_check_that_nobody_watches_tells_people(run: Terminal, inbox: Receiver, failing: str) -> None:
    """From a cron line, what a check found is sent before it ends, once; the exit code is the check's own."""
    ran = run("check", failing)
    assert (ran.code, ran.err.splitlines()[-1]) == (1, "Messages sent: 1, waiting: 0.")
    (told,) = [request.body for request in inbox.requests]
    assert b"Meadow is failing" in told
    again = run("check", "--all", "--json")
    assert (again.code, again.json["not_well"], "Messages" in again.err) == (1, 1, False)
    assert len(inbox.requests) == 1


def test_a_check_says_what_could_not_be_sent_and_the_next_one_tries_again(
    run: Terminal, inbox: Receiver, failing: str
) -> None:
    """A receiver that fails is named in the line and changes no exit code; the message waits for another run."""
    inbox.status = 500
    ran = run("check", failing)
    assert ran.code == 1
    assert ran.err.splitlines()[-1].startswith("Messages sent: 0, waiting: 1. Alerts to “Ops” do not get through since")
    assert ran.err.splitlines()[-1].endswith("It answered 500.")
    inbox.status = 204
    with run.store() as store, store.database.write() as con:
        con.execute("UPDATE delivery SET next_at = 0")
    ran = run("check", failing)
    assert (ran.code, ran.err.splitlines()[-1]) == (1, "Messages sent: 1, waiting: 0.")
    assert len(set(inbox.ids)) == 1


def test_a_check_leaves_telling_to_whoever_watches(run: Terminal, inbox: Receiver, failing: str) -> None:
    """While a watcher holds the lease nothing is sent; once it is gone, the next check tells what it left."""
    with run.store() as store:
        assert store.schedule.take_lease("watcher", now=datetime.now(UTC), lasts=timedelta(seconds=100)) is not None
        ran = run("check", failing)
        assert (ran.code, "Messages" in ran.err, inbox.requests) == (1, False, [])
        store.schedule.release_lease("watcher")
    assert run("check", failing).err.splitlines()[-1] == "Messages sent: 1, waiting: 0."
