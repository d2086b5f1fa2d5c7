"""Listing and acknowledging incidents on the command line."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from hub_core.sandbox import Fault
from tests.terminal import Terminal, organization

if TYPE_CHECKING:
    from pathlib import Path

MEADOW, HARBOR = map(organization, ("Meadow", "Harbor"))
KEYS = {
    *("id", "account_id", "label", "open", "opened_at", "closed_at", "status", "reason", "cause", "story", "evidence"),
    *("maintenance", "acknowledged_at", "acknowledged_by", "note"),
}


@pytest.fixture
def cli(
    tmp_path: Path, free_port: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Terminal:
    """Commands of an installation of their own."""
    return Terminal(tmp_path, free_port, monkeypatch, capsys)


@pytest.fixture
def troubled(cli: Terminal) -> Terminal:
    """One account that fails, and one that failed and works again."""
    with cli.sandbox() as sandbox:
        for which in (MEADOW, HARBOR):
            cli.link(which, label=which.name.split()[0])
            sandbox.faults.set(which.client_id, Fault.DISABLE, on=True)
        cli("check", "--all")
        sandbox.faults.clear()
        sandbox.faults.set(MEADOW.client_id, Fault.DISABLE, on=True)
        cli("check", "--all")
    return cli


def test_without_incidents_nothing_is_printed(cli: Terminal) -> None:
    """The result is empty, the sentence is on standard error, and nothing is wrong."""
    ran = cli("incidents")
    assert (ran.code, ran.out, ran.err) == (0, "", "No incident is recorded.\n")
    assert cli("incidents", "--open").err == "No incident is open.\n"


def test_open_incidents_stand_first(troubled: Terminal) -> None:
    """Each is a line with sign, account, cause and number; what is over stands below."""
    head, first, second = troubled("incidents").out.splitlines()
    assert head.split() == ["Status", "Account", "Opened", "Duration", "Acknowledged", "Id", "Cause"]
    assert first.startswith("✕ Failing  Meadow")
    assert first.endswith("Bitwarden no longer accepts this key")
    assert second.startswith("✓ Closed   Harbor")


def test_incidents_for_machines_have_the_documented_keys(troubled: Terminal) -> None:
    """`--json` is an array; `--open` and `--account` leave out the others."""
    everything = troubled("incidents", "--json").json
    assert [set(one) for one in everything] == [KEYS, KEYS]
    assert [one["label"] for one in troubled("incidents", "--open", "--json").json] == ["Meadow"]
    assert [one["label"] for one in troubled("incidents", "--account", "Harbor", "--json").json] == ["Harbor"]
    assert troubled("incidents", "--account", "nobody").code == 2


def test_acknowledging(troubled: Terminal) -> None:
    """Who acknowledged is the login name, and stays; without a note the note stays too."""
    number = str(troubled("incidents", "--open", "--json").json[0]["id"])
    ran = troubled("acknowledge", number, "--note", "Owner is asked")
    assert ran.code == 0
    assert ran.out == f"Acknowledged incident {number} of “Meadow”: Bitwarden no longer accepts this key.\n"
    assert troubled("acknowledge", number).code == 0
    (incident,) = troubled("incidents", "--open", "--json").json
    assert incident["note"] == "Owner is asked"
    assert incident["acknowledged_by"].startswith("cli:")
    assert incident["acknowledged_by"] in troubled("incidents").out


@pytest.mark.parametrize("number", ["999", "0", "x", "9223372036854775808"])
def test_an_incident_that_is_not(cli: Terminal, number: str) -> None:
    """A number of no incident ends with 2 and a sentence."""
    ran = cli("acknowledge", number)
    assert ran.code == 2
    assert "Error" not in ran.err or "INCIDENT" in ran.err
