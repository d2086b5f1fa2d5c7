"""The Settings page without a browser: maintenance, API tokens, badges, what is decided elsewhere, diagnostics."""

from __future__ import annotations

import json
import re
from datetime import UTC, timedelta
from typing import TYPE_CHECKING

import pytest

from hub_core import diagnostics
from hub_core.access import Refused, Scope
from hub_core.health.maintenance import Once, Weekly
from hub_core.health.maintenance import Scope as Whose
from hub_core.model import Secret
from hub_core.settings import Settings
from hub_core.texts.windows import rule_in_words
from tests.paging import Visitor, hub, link, own_hub

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CANARY = "canary-host.example"


@pytest.fixture(autouse=True)
def _hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    with own_hub(monkeypatch, tmp_path):
        yield


def page(part: str) -> Visitor:
    """Open one part of the Settings page."""
    return Visitor("settings.py", part=part)


# ---- maintenance


def test_windows_are_told_alike_in_the_audit_trail() -> None:
    """Who looks up who added a window reads when it is open in the words of the page it was added on."""
    page("Maintenance").press("window_go")
    visitor = page("Maintenance").type(window_scope=Whose.TAG, window_kind="Every week")
    visitor.fill(window_tag="prod", window_days=[0, 3]).press("window_go")
    once = hub().windows.list()[0].rule
    assert isinstance(once, Once)
    assert list(page("Audit").at.dataframe[0].value["Detail"]) == [
        "for tag prod: Mon, Thu at 02:00 for 2 h (UTC)",
        f"for all accounts: {rule_in_words(once, UTC)} (UTC)",
    ]


def test_adding_a_window_for_all() -> None:
    """A window once, for all accounts, is added by the form and shown with its note."""
    visitor = page("Maintenance")
    assert "There is no maintenance window." in visitor.text
    visitor.fill(window_note="Router swap").press("window_go")
    (window,) = hub().windows.list()
    assert (window.scope, window.note) == (Whose.ALL, "Router swap")
    assert isinstance(window.rule, Once)
    assert window.rule.ends - window.rule.begins == timedelta(hours=2)
    assert "Router swap" in visitor.text
    assert "Open now" in visitor.text


def test_adding_a_weekly_window_for_a_tag() -> None:
    """A weekly window for a tag is added by the form, and told in words."""
    visitor = page("Maintenance").type(window_scope=Whose.TAG, window_kind="Every week")
    visitor.fill(window_tag="prod", window_days=[0, 3], window_note="Patch day").press("window_go")
    assert visitor.value("window_note") == ""
    visitor.press("window_go")
    assert visitor.texts("error") == ["There is such a window already."]
    (window,) = hub().windows.list()
    assert (window.scope, window.target) == (Whose.TAG, "prod")
    assert window.rule == Weekly(frozenset({0, 3}), 120, timedelta(hours=2))
    assert "Mon, Thu at 02:00 for 2 h (UTC)" in visitor.text


def test_adding_a_window_for_one_account() -> None:
    """A window for one account is shown by the account's label."""
    account = link("Meadow", label="Meadow & Sons")
    visitor = page("Maintenance").type(window_scope=Whose.ACCOUNT)
    visitor.fill(window_account=account.id).press("window_go")
    assert hub().windows.list()[0].target == account.id
    assert "Meadow & Sons" in visitor.text


def test_a_window_that_cannot_be() -> None:
    """A weekly window without a day is refused with a sentence, and what was entered stays."""
    visitor = page("Maintenance").type(window_kind="Every week")
    visitor.fill(window_note="Kept").press("window_go")
    assert visitor.texts("error") == ["Choose at least one day of the week."]
    assert visitor.value("window_note") == "Kept"
    visitor.fill(window_days=[6]).press("window_go")
    assert len(hub().windows.list()) == 1


def test_removing_a_window() -> None:
    """The button beside a window removes it."""
    now = hub().clock.now()
    window = hub().windows.add(Whose.ALL, "", Once(now, now + timedelta(hours=1)), "", actor="test")
    visitor = page("Maintenance").press(f"window_remove_{window.id}")
    assert hub().windows.list() == []
    assert "There is no maintenance window." in visitor.text


# ---- API tokens and badges


def test_a_token_is_shown_until_it_was_copied() -> None:
    """A token is made by the form, works, outlives a new run, and once copied is gone from the page and its state."""
    visitor = page("API").fill(token_name="Grafana", token_scopes=[Scope.METRICS]).press("token_go")
    text = next(code.value for code in visitor.at.code if code.value.startswith("lh_"))
    token = hub().access.admits(text, Scope.METRICS)
    assert not isinstance(token, Refused)
    assert token.name == "Grafana"
    assert hub().access.admits(text, Scope.READ) is Refused.SCOPE
    assert (visitor.value("token_name"), visitor.value("token_scopes")) == ("", [])
    visitor.at.run()
    assert text in [code.value for code in visitor.at.code]
    visitor.press("token_copied")
    assert visitor.where(text) == []
    assert "Grafana" in visitor.text


def test_a_token_without_a_name_or_scope() -> None:
    """A token needs a name and something to read; each is said, and then it is made."""
    visitor = page("API").press("token_go")
    assert visitor.texts("error") == ["Give the token a name of at most 60 characters."]
    visitor.fill(token_name="Cron").press("token_go")
    assert visitor.texts("error") == ["Say what the token may read."]
    visitor.fill(token_scopes=[Scope.READ]).press("token_go")
    assert [token.name for token in hub().access.tokens()] == ["Cron"]


def test_revoking_a_token() -> None:
    """A revoked token works no more, and stays listed as revoked."""
    token, secret = hub().access.create("Old", {Scope.READ}, None, actor="test")
    visitor = page("API").press(f"token_revoke_{token.id}")
    assert hub().access.admits(secret.reveal(), Scope.READ) is Refused.UNKNOWN
    assert "Revoked" in visitor.text


def test_a_badge_is_switched_on_for_one_account() -> None:
    """A badge is off until somebody switches it on; then its Markdown is offered."""
    account = link("Meadow")
    visitor = page("API")
    assert not hub().access.badge_shown(account.id)
    visitor.type(**{f"badge_on_{account.id}": True})
    assert hub().access.badge_shown(account.id)
    assert f"/badge/{account.id}.svg" in visitor.text


# ---- what is decided elsewhere, and diagnostics


def test_what_the_environment_decides() -> None:
    """The page tells how often is checked and how long what is kept, and names every setting."""
    visitor = page("Checks")
    facts = visitor.facts()
    assert facts["Light check"] == "every 5 min"
    assert facts["Every check"] == "14 days"
    assert facts["LINKHUB_KEEP_DAYS_DAYS"] == "730"


def test_diagnostics_tell_nothing_of_whom() -> None:
    """Diagnostics count accounts by status and server, and hold no label, tag, address, id or path."""
    account = link("Meadow", label="Canary label", tags="canarytag", note="canary note")
    visitor = page("Diagnostics")
    text = visitor.at.code[0].value
    told = json.loads(text)
    assert told["accounts"]["by_status"] == {"Healthy": 1}
    assert told["versions"]["link-hub"]
    for secret in ("anary", account.id, account.organization_id, "127.0.0.1", str(hub().settings.data)):
        assert secret not in text, secret
    assert visitor.element("diagnostics_download")


def test_diagnostics_show_numbers_and_switches_only() -> None:
    """Of a setting that is a word, diagnostics tell only whether it is set."""
    settings = Settings(
        hosts=(CANARY,), proxy=f"http://{CANARY}:3128", key=Secret(CANARY), key_command=CANARY, ping_url=Secret(CANARY)
    )
    told = diagnostics.settings_without_values(settings)
    assert CANARY not in json.dumps(told)
    assert told["LINKHUB_HOSTS"] == told["LINKHUB_PROXY"] == told["LINKHUB_KEY"] == "set"
    assert (told["LINKHUB_INTERVAL_MINUTES"], told["LINKHUB_SCHEDULER"], told["LINKHUB_URL"]) == (5, True, "not set")
    in_use = diagnostics.settings_in_use(settings)
    assert not re.search(CANARY, in_use["LINKHUB_KEY"] + in_use["LINKHUB_KEY_COMMAND"] + in_use["LINKHUB_PING_URL"])
    assert in_use["LINKHUB_HOSTS"] == CANARY
