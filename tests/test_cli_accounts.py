"""List, show, check, pause, resume, unlink and export on the command line."""

from __future__ import annotations

import csv
import io
import json
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from hub_core.cli.accounts import _is_well
from hub_core.cli.entry import Wrong
from hub_core.cli.find import find
from hub_core.sandbox import Fault
from hub_core.settings import Settings
from tests.linked import opened
from tests.machines import well
from tests.terminal import Terminal, organization

if TYPE_CHECKING:
    from pathlib import Path

    from hub_core.hub import Hub

MEADOW, HARBOR, ORCHARD, CEDAR = map(organization, ("Meadow", "Harbor", "Orchard", "Cedar"))
ROW = {
    *("id", "label", "region", "organization", "identity", "lifecycle", "status", "reason", "cause", "since"),
    *("checked_at", "key_proven_at", "server", "version", "latency_ms", "certificate_ends", "certificate_days", "tags"),
}
LISTED = ROW | {"shown", "stale", "needs_key", "link_proven_at"}
SHOWN = LISTED | {
    *("client_id", "api", "identity_address", "vault", "own_ca", "note", "pause_reason", "linked_at"),
    *("key_entered_at", "members", "counts", "seats", "capabilities", "tls_version"),
    *("certificate_issuer", "certificate_sha256", "skew_seconds", "last_check"),
}


@pytest.fixture
def cli(
    tmp_path: Path, free_port: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Terminal:
    """Commands of an installation of their own."""
    return Terminal(tmp_path, free_port, monkeypatch, capsys)


# ---- list and show


def test_an_empty_list_says_how_to_begin(cli: Terminal) -> None:
    """The hint is on standard error; the result is empty."""
    ran = cli("list")
    assert (ran.code, ran.out) == (0, "")
    assert "link --help" in ran.err


def test_the_list_is_worst_first(cli: Terminal) -> None:
    """A failing account stands above a healthy one, a paused one last; each has icon and word."""
    with cli.sandbox() as sandbox:
        cli.link(MEADOW, label="A healthy")
        cli.link(HARBOR, label="B failing")
        cli.link(ORCHARD, label="C paused")
        cli("pause", "C paused")
        sandbox.faults.set(HARBOR.client_id, Fault.DISABLE, on=True)
        cli("check", "B failing")
    ran = cli("list")
    assert ran.code == 0
    head, *lines = ran.out.splitlines()
    assert head.split() == ["Status", "Label", "Region", "Server", "Last", "check", "Id", "Cause"]
    assert [line.split()[:3] for line in lines] == [
        ["✕", "Failing", "B"],
        ["✓", "Healthy", "A"],
        ["‖", "Paused", "C"],
    ]
    assert "Bitwarden" in lines[0]


def test_the_list_for_machines_has_the_documented_keys(cli: Terminal) -> None:
    """`list --json` is an array of accounts."""
    cli.link(MEADOW)
    (row,) = cli("list", "--json").json
    assert set(row) == LISTED
    assert (row["status"], row["stale"], row["needs_key"]) == ("healthy", False, False)


def test_show_for_machines_has_the_documented_keys(cli: Terminal) -> None:
    """`show --json` is one account with its last check."""
    cli.link(MEADOW, label="Meadow")
    shown = cli("show", "Meadow", "--json").json
    assert set(shown) == SHOWN
    assert set(shown["last_check"]) == {"at", "trigger", "status", "reason", "ms", "stages"}
    assert set(shown["last_check"]["stages"][0]) == {"stage", "outcome", "reason", "ms", "evidence"}
    assert shown["members"]["confirmed"] == 179


def test_show_explains_the_last_check(cli: Terminal) -> None:
    """A person reads what failed, why, and what to do."""
    with cli.sandbox() as sandbox:
        cli.link(MEADOW, label="Meadow")
        sandbox.faults.set(MEADOW.client_id, Fault.DISABLE, on=True)
        cli("check", "Meadow")
    ran = cli("show", "Meadow")
    assert ran.code == 0
    for words in ("✕ Failing", "Last check, ", "✕ Key: ", "Worked until ", "What to do:", "#key-no-longer-accepted"):
        assert words in ran.out


def test_an_account_has_five_names(cli: Terminal) -> None:
    """Id, beginning of it, client id, organization uuid and exact label all mean it."""
    cli.link(MEADOW, label="Meadow Ltd")
    account_id = cli("list", "--json").json[0]["id"]
    for word in (account_id, account_id[:8], account_id.upper(), MEADOW.client_id, MEADOW.guid, "Meadow Ltd"):
        assert cli("show", word, "--json").json["id"] == account_id


@pytest.mark.parametrize("word", ["Meadow", "meadow ltd", "zzzz", "", " "])
def test_an_unknown_account_is_a_sentence(cli: Terminal, word: str) -> None:
    """Nothing is guessed: part of a label, or another case, is not its name."""
    cli.link(MEADOW, label="Meadow Ltd")
    ran = cli("show", word)
    assert (ran.code, ran.err) == (2, "There is no such account. `linkhub list` shows them all.\n")


def test_an_ambiguous_name_lists_what_it_may_mean(cli: Terminal) -> None:
    """Two accounts of one label end with 2, and are both named; so does the beginning of several ids."""
    cli.link(MEADOW, label="Same")
    cli.link(HARBOR, label="Same")
    ran = cli("unlink", "Same", "--label", "Same")
    assert ran.code == 2
    assert "Several accounts are meant" in ran.err
    assert ran.err.count("“Same”") == 2
    with cli.store() as store:
        rows = [row._replace(id=f"abc{n}") for n, row in enumerate(store.overview())]
    with pytest.raises(Wrong, match="Several accounts"):
        find(rows, "abc")
    assert find(rows, "abc1") is rows[1]


def test_a_label_cannot_command_the_terminal(cli: Terminal) -> None:
    """Control characters from servers or people are not printed."""
    cli.link(MEADOW, label="Plain")
    with cli.store() as store, store.database.write() as con:
        con.execute("UPDATE account SET server_version = ?, note = ?", ("1\x1b[2J", "a\x1b]0;x\x07b\u202ec"))
    assert "\x1b" not in cli("list").out
    shown = cli("show", "Plain").out
    assert not {"\x1b", "\x07", "\u202e"} & set(shown)


# ---- check


def test_a_check_tells_progress_and_ends_with_0_when_all_is_well(cli: Terminal) -> None:
    """Healthy and limited are both well."""
    with cli.sandbox():
        cli.link(MEADOW, label="Meadow")
        cli.link(CEDAR, label="Cedar")
        ran = cli("check", "--all")
    assert ran.code == 0
    assert "2 of 2: " in ran.err
    assert "◐ Limited" in ran.out
    assert "✓ Healthy" in ran.out


def test_a_check_ends_with_1_when_one_account_is_not_well(cli: Terminal) -> None:
    """With --json it is one object: the accounts with the keys of the list, and what is said of them all."""
    with cli.sandbox() as sandbox:
        cli.link(MEADOW, label="Meadow")
        cli.link(HARBOR, label="Harbor")
        sandbox.faults.set(HARBOR.client_id, Fault.DISABLE, on=True)
        ran = cli("check", "Meadow", "Harbor", "Harbor", "--json")
    assert ran.code == 1
    assert set(ran.json) == {"at", "well", "checked", "not_well", "statuses", "accounts"}
    assert (ran.json["well"], ran.json["checked"], ran.json["not_well"]) == (False, 2, 1)
    assert ran.json["statuses"] == {"failing": 1, "healthy": 1}
    rows = ran.json["accounts"]
    assert [set(row) for row in rows] == [LISTED | {"well"}] * 2
    assert [(row["shown"], row["well"]) for row in rows] == [("failing", False), ("healthy", True)]
    assert (rows[0]["reason"], rows[1]["reason"]) == ("key_no_longer_accepted", None)
    assert "2 of 2: " in ran.err


def test_an_account_that_could_not_be_judged_is_not_called_well(cli: Terminal) -> None:
    """A rate limit leaves the status healthy, and yet the exit code is 1."""
    with cli.sandbox() as sandbox:
        cli.link(MEADOW, label="Meadow")
        sandbox.faults.set("us", Fault.RATE_LIMITED, on=True, seconds=60)
        ran = cli("check", "Meadow", "--json")
    assert ran.json["accounts"][0]["status"] == "healthy"
    assert (ran.json["well"], ran.code) == (False, 1)


def test_an_account_whose_turn_never_came_is_not_called_well(hub: Hub) -> None:
    """What was found before the run began does not stand for it, however good it was."""
    began = hub.clock.now()
    stored = well(hub)
    (row,) = hub.accounts()
    assert row.id == stored
    assert _is_well(hub, row, began)
    assert not _is_well(hub, row, hub.clock.now() + timedelta(seconds=1))


def test_all_leaves_out_paused_accounts_and_naming_one_is_refused(cli: Terminal) -> None:
    """A person stopped its checks; resuming is one command away."""
    cli.link(MEADOW, label="Meadow")
    assert cli("pause", "Meadow", "--why", "spring cleaning").code == 0
    everything = cli("check", "--all", "--json")
    assert (everything.code, everything.json["well"], everything.json["accounts"]) == (0, True, [])
    named = cli("check", "Meadow")
    assert named.code == 2
    assert "linkhub resume" in named.err
    assert cli("show", "Meadow", "--json").json["pause_reason"] == "spring cleaning"
    assert cli("resume", "Meadow").code == 0
    assert cli("check", "Meadow").code == 0


def test_a_check_by_tag_leaves_the_others_alone(cli: Terminal) -> None:
    """Accounts with any of the tags are checked, unless they are paused."""
    with cli.sandbox():
        cli.link(MEADOW, "--tag", "shops", "--tag", "north", label="Meadow")
        cli.link(HARBOR, "--tag", "south", label="Harbor")
        cli.link(ORCHARD, "--tag", "shops", label="Orchard")
        cli("pause", "Orchard")
        one = cli("check", "--tag", "shops", "--json")
        two = cli("check", "--tag", "shops", "--tag", "south", "--json")
    assert [row["label"] for row in one.json["accounts"]] == ["Meadow"]
    assert sorted(row["label"] for row in two.json["accounts"]) == ["Harbor", "Meadow"]
    assert (one.code, two.code) == (0, 0)


def test_a_check_beside_a_running_scheduler(cli: Terminal) -> None:
    """Whoever else checks the same accounts at the same time, the run is complete."""
    with cli.sandbox():
        for number, who in enumerate((MEADOW, HARBOR, ORCHARD)):
            cli.link(who, label=f"{number}")
        with opened(Settings(data=cli.data, config=cli.config, sandbox_port=cli.port, token_limit=60)) as hub:
            hub.start_watching()
            ran = cli("check", "--all", "--json")
    assert (ran.code, ran.json["checked"], ran.json["statuses"]) == (0, 3, {"healthy": 3})


@pytest.mark.parametrize(
    "arguments", [(), ("--all", "Meadow"), ("--tag", "shops", "--all"), ("--tag", "shops"), ("--tag", "")]
)
def test_a_check_needs_to_know_what(cli: Terminal, arguments: tuple[str, ...]) -> None:
    """Accounts, --all or a tag that is in use: not none of them, and not two."""
    ran = cli("check", *arguments)
    assert (ran.code, ran.out) == (2, "")


# ---- unlink


def test_unlink_wants_the_exact_label(cli: Terminal) -> None:
    """A wrong or missing label erases nothing; the right one does, and rotating is recalled."""
    cli.link(MEADOW, label="Meadow")
    assert cli("unlink", "Meadow").code == 2
    assert cli("unlink", "Meadow", "--label", "meadow").code == 2
    assert len(cli("list", "--json").json) == 1
    ran = cli("unlink", MEADOW.guid, "--label", "Meadow")
    assert ran.code == 0
    assert "until an Owner rotates it" in ran.err
    assert cli("list", "--json").json == []


# ---- export


def test_export_writes_csv_and_json(cli: Terminal) -> None:
    """CSV is the default, safe against formulas; JSON has the keys of an account."""
    cli.link(MEADOW, label="=1+1")
    ran = cli("export")
    (row,) = csv.DictReader(io.StringIO(ran.out))
    assert row["label"] == "'=1+1"
    assert set(row) == ROW
    for options in (("--format", "json"), ("--json",)):
        (values,) = cli("export", *options).json
        assert set(values) == ROW
    assert MEADOW.secret not in ran.text


def test_an_exported_file_is_private_and_never_replaced_unasked(cli: Terminal, tmp_path: Path) -> None:
    """Mode 0600; a second export needs --force."""
    cli.link(MEADOW, label="Meadow")
    target = tmp_path / "accounts.json"
    assert cli("export", "--json", "--output", str(target)).code == 0
    assert target.stat().st_mode & 0o777 == 0o600
    assert json.loads(target.read_text("utf-8"))[0]["label"] == "Meadow"
    again = cli("export", "--output", str(target))
    assert again.code == 2
    assert "exists already" in again.err
    assert json.loads(target.read_text("utf-8"))[0]["label"] == "Meadow"
    assert cli("export", "--output", str(target), "--force").code == 0
    assert target.read_text("utf-8").startswith("id,label,")
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_an_export_into_nowhere_is_a_sentence(cli: Terminal, tmp_path: Path) -> None:
    """A missing folder ends with 2."""
    ran = cli("export", "--output", str(tmp_path / "nowhere" / "x.csv"))
    assert ran.code == 2
    assert "no such file" in ran.err
