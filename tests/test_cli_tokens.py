"""API tokens and badges on the command line."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from hub_core.access import ApiToken, Refused, Scope
from hub_core.hub import Hub
from hub_core.settings import Settings
from tests.terminal import Terminal, organization

if TYPE_CHECKING:
    from pathlib import Path

MEADOW = organization("Meadow")
KEYS = {"id", "name", "scopes", "state", "made_at", "made_by", "expires_at", "last_used_at", "revoked_at"}


@pytest.fixture
def cli(
    tmp_path: Path, free_port: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Terminal:
    """Commands of an installation of their own."""
    return Terminal(tmp_path, free_port, monkeypatch, capsys)


def admitted(cli: Terminal, text: str, scope: Scope) -> ApiToken | Refused:
    """Ask the installation's hub whether it takes a token."""
    hub = Hub.open(Settings(data=cli.data, config=cli.config, sandbox_port=cli.port))
    try:
        return hub.access.admits(text, scope)
    finally:
        hub.close()


def test_a_token_is_printed_once(cli: Terminal) -> None:
    """Standard output is the token and nothing else, ready to be piped into a file; the list never shows it."""
    ran = cli("token", "create", "Prometheus", "--scope", "metrics", "--days", "30")
    assert ran.code == 0
    assert re.fullmatch(r"lh_[0-9a-f]{12}_[A-Za-z0-9_-]{43}\n", ran.out)
    assert "only time" in ran.err
    assert "It expires at" in ran.err
    text = ran.out.strip()
    assert isinstance(admitted(cli, text, Scope.METRICS), ApiToken)
    assert admitted(cli, text, Scope.READ) is Refused.SCOPE
    listed = cli("token", "list")
    assert [word in listed.out for word in ("Prometheus", "metrics", "works", text.split("_")[1])] == [True] * 4
    assert text.split("_", 2)[2] not in listed.text + cli("token", "list", "--json").text


def test_the_list_for_machines_has_the_documented_keys(cli: Terminal) -> None:
    """`token list --json` is an array of tokens, newest first, without their texts."""
    cli("token", "create", "a", "--scope", "read", "--scope", "metrics")
    (listed,) = cli("token", "list", "--json").json
    assert set(listed) == KEYS
    assert (listed["name"], listed["scopes"], listed["state"]) == ("a", ["metrics", "read"], "works")
    assert (listed["expires_at"], listed["last_used_at"], listed["revoked_at"]) == (None, None, None)


def test_a_revoked_token_is_refused(cli: Terminal) -> None:
    """Revoking takes the id; the token stays in the list as revoked and works no more."""
    text = cli("token", "create", "a", "--scope", "read").out.strip()
    ran = cli("token", "revoke", text.split("_")[1])
    assert ran.code == 0
    assert admitted(cli, text, Scope.READ) is Refused.UNKNOWN
    assert cli("token", "list", "--json").json[0]["state"] == "revoked"


@pytest.mark.parametrize(
    "arguments",
    [
        ("create", "a"),
        ("create", "a", "--scope", "write"),
        ("create", "a", "--scope", "read", "--days", "0"),
        ("create", " ", "--scope", "read"),
        ("revoke", "000000000000"),
        ("revoke", "lh_0123456789ab_" + "aB3-" * 10 + "aB3"),
    ],
)
def test_what_cannot_be_done_is_a_sentence(cli: Terminal, arguments: tuple[str, ...]) -> None:
    """A missing scope, an impossible age, an unknown id and a token as an argument end with 2, and nothing is made."""
    ran = cli("token", *arguments)
    assert (ran.code, ran.out) == (2, "")
    assert ran.err
    assert "aB3-" not in ran.err
    listed = cli("token", "list")
    assert (listed.code, listed.out) == (0, "")
    assert "token create --help" in listed.err


def test_a_badge_is_switched_by_name(cli: Terminal) -> None:
    """`badge on` prints the path below the dashboard's address; `badge off` ends it."""
    with cli.sandbox():
        cli.link(MEADOW, label="Meadow")
    account_id = cli("list", "--json").json[0]["id"]
    assert cli("badge", "on", "Meadow").out == f"/badge/{account_id}.svg\n"
    assert cli("badge", "off", account_id).code == 0
    assert cli("badge", "on", "Nobody").code == 2
    with cli.store() as store:
        assert [entry["action"] for entry in store.audit_trail()][:2] == ["badge off", "badge on"]
