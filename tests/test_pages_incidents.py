"""The Incidents page without a browser: order, filters in the address, details, acknowledging, notes, exports."""

from __future__ import annotations

import csv
import io
import json
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from hub_core import exports
from hub_core.model import Status
from hub_core.sandbox import Fault
from tests.lived import Life, live, populate
from tests.paging import Visitor, check, hub, link, own_hub, rotate, sandbox

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from hub_core.history import Incident
    from hub_core.model import Account

HOSTILE = "<img src=x> **b** [x](https://evil.example) =1+1"


@pytest.fixture(autouse=True)
def _hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    with own_hub(monkeypatch, tmp_path):
        yield


def failing(word: str = "Meadow", *, label: str = "", tags: str = "") -> tuple[Account, Incident]:
    """Link an account and let its key be refused; return both."""
    account = link(word, label=label, tags=tags)
    rotate(word)
    check(account)
    (incident,) = hub().past.incidents(account_id=account.id)
    return account, incident


def page(**query: str) -> Visitor:
    """Open the Incidents page."""
    return Visitor("incidents.py", **query)


def listed(visitor: Visitor, column: str = "Account") -> list[str]:
    """Return a column of the table."""
    return [cell[0] if isinstance(cell, list) else cell for cell in visitor.at.dataframe[0].value[column]]


def test_empty_page_teaches() -> None:
    """Where there was no incident, the page says what one is, and shows no filters."""
    link("Meadow")
    visitor = page()
    assert "No incident so far" in visitor.text
    assert "An **incident** opens when" in visitor.text
    assert not visitor.at.dataframe


def test_open_ones_stand_first() -> None:
    """An open incident stands above a later one that is over, each with cause, duration and changes."""
    failing("Meadow")
    orchard = link("Orchard")
    sandbox().faults.set("self_hosted", Fault.FORBIDDEN, at="/public/groups")
    check(orchard)
    sandbox().faults.clear()
    check(orchard)
    visitor = page()
    assert listed(visitor) == ["Meadow Bakery", "Orchard School"]
    assert listed(visitor, "Status") == ["✕ Failing", "✓ Closed"]
    assert listed(visitor, "Cause")[0] == "Bitwarden no longer accepts this key"
    assert listed(visitor, "Changes") == [0, 0]
    assert "2 incidents, 1 open" in visitor.text


def lived() -> None:
    """Let nine accounts have lived for a month, each in its own way."""
    now = hub().clock.now()
    populate(hub(), 9, at=now - timedelta(days=40))
    live(hub(), until=now)


@pytest.mark.parametrize(
    ("query", "check_them"),
    [
        ({"show": "Open"}, lambda found, _: all(i.closed_at is None for i in found)),
        ({"show": "Closed"}, lambda found, _: all(i.closed_at for i in found)),
        ({"where": "EU"}, lambda found, row: {row(i).region for i in found} == {"eu"}),
        ({"tagged": "schools"}, lambda found, row: all("schools" in row(i).tags for i in found)),
        ({"who": "client 00002"}, lambda found, _: {i.label for i in found} == {"Client 00002"}),
        (
            {"cause": "The server's certificate ends soon"},
            lambda found, _: {i.status for i in found} == {Status.DEGRADED},
        ),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_filters_stand_in_the_address(query: dict[str, str], check_them: object) -> None:
    """Whoever opens an address with a filter sees just what passes it."""
    lived()
    everything = page(span="90 days")
    filtered = page(span="90 days", **query)
    rows = {row.id: row for row in hub().accounts()}
    shown = [hub().past.incident(number) for number, _ in filtered.at.session_state["incident_ids"]]
    assert 0 < len(shown) < len(listed(everything))
    assert callable(check_them)
    assert check_them(shown, lambda incident: rows[incident.account_id])


def test_span_leaves_out_what_was_over_before() -> None:
    """A short span shows what was open in it, however long ago that began."""
    lived()
    day, quarter = page(span="24 h"), page(span="90 days")
    assert len(listed(day)) < len(listed(quarter))
    assert "Client 00005" in listed(day)  # degraded for three days, and still


def test_nothing_passes_the_filters() -> None:
    """Filters that let nothing through say so and stay to be changed."""
    failing()
    visitor = page(who="nobody")
    assert "No incident passes these filters." in visitor.text
    assert listed(visitor.type(who="")) == ["Meadow Bakery"]


# ---- one incident


def test_deep_link_opens_the_incident() -> None:
    """An address of an incident shows what happened, what was seen, what it means, and where to go."""
    account, incident = failing()
    visitor = page(incident=str(incident.id))
    assert "no longer accepts this key" in visitor.texts("error")[0]
    assert "Likely causes, most likely first" in visitor.text
    story = [str(what) for what in visitor.at.table[0].value["What"]]
    assert [line.split("\\")[0] for line in story] == ["Opened", "Failing"]
    assert visitor.facts()["Status code"] == "400"
    assert visitor.press("incident_account").at.title[0].value == account.label


def test_row_menu_leads_to_the_incident_and_to_its_account() -> None:
    """What a row's menu was asked for is done in the next run."""
    account, incident = failing()
    visitor = page()
    visitor.at.session_state["incident_action"] = (":material/visibility: Details and note", incident.id, account.id)
    assert "incident_acknowledge" in visitor.run().buttons
    visitor = page()
    visitor.at.session_state["incident_action"] = (":material/open_in_full: Open account", incident.id, account.id)
    assert visitor.run().at.title[0].value == account.label


def test_acknowledging_with_a_note() -> None:
    """Who acknowledged an incident is kept and shown; the dialog closes; the account's page says it too."""
    account, incident = failing()
    key = f"incident_note_{incident.id}"
    visitor = page(incident=str(incident.id)).fill(**{key: "Owner is\nasked =1"}).press("incident_acknowledge")
    stored = hub().past.incident(incident.id)
    assert (stored.acknowledged_by, stored.note) == ("dashboard", "Owner is\nasked =1")
    assert visitor.texts("toast") == ["Acknowledged"]
    assert "incident_acknowledge" not in visitor.buttons
    assert listed(visitor, "Acknowledged") == ["dashboard"]
    assert "Seen on the dashboard" in {b.label for b in Visitor("account.py", account=account.id).at.button}


def test_the_note_is_changed_later() -> None:
    """A later note replaces the first; who acknowledged, and when, stays."""
    _, incident = failing()
    hub().past.acknowledge(incident.id, "first", actor="kim")
    before = hub().past.incident(incident.id)
    key = f"incident_note_{incident.id}"
    visitor = page(incident=str(incident.id))
    assert visitor.value(key) == "first"
    assert [b.label for b in visitor.at.button if b.key == "incident_acknowledge"] == ["Save note"]
    visitor.fill(**{key: "second"}).press("incident_acknowledge")
    after = hub().past.incident(incident.id)
    assert (after.note, after.acknowledged_by, after.acknowledged_at) == ("second", "kim", before.acknowledged_at)


@pytest.mark.parametrize("number", ["999", "nonsense", "-1", "1e400", "99999999999999999999999"])
def test_an_incident_that_is_not(number: str) -> None:
    """An address of no incident says so above the list."""
    failing()
    visitor = page(incident=number)
    assert "There is no such incident any more" in visitor.texts("info")[0]
    assert listed(visitor)


def test_hostile_words_are_shown_as_they_are() -> None:
    """Labels and notes full of Markdown are text, in the dialog and in the account's list."""
    account, incident = failing(label=HOSTILE)
    hub().past.acknowledge(incident.id, HOSTILE, actor="kim")
    assert HOSTILE in page(incident=str(incident.id)).text
    visitor = Visitor("account.py", account=account.id)
    assert f"Note: {HOSTILE}" in visitor.text.replace("**Note:**", "Note:")


# ---- exports


def test_exports_are_safe_and_complete() -> None:
    """CSV starts no formula in a spreadsheet; JSON has the story; neither has more than the table."""
    _, incident = failing(label="=1+1")
    hub().past.acknowledge(incident.id, "@note", actor="kim")
    found = hub().past.incidents()
    (row,) = csv.DictReader(io.StringIO(exports.incidents_to_csv(found, now=hub().clock.now())))
    assert (row["label"], row["note"], row["changes"], row["open"]) == ("'=1+1", "'@note", "0", "True")
    (value,) = json.loads(exports.incidents_to_json(found))
    assert value["story"][0]["reason"] == value["reason"] == "key_no_longer_accepted"
    assert value["acknowledged_by"] == "kim"


def test_checks_are_exported() -> None:
    """Every check that is kept is a line, a pause among them."""
    lived()
    account_id = next(row.id for row in hub().accounts() if row.label == "Client 00006")
    beats = hub().past.beats(account_id, hub().clock.now() - timedelta(days=30))
    rows = list(csv.DictReader(io.StringIO(exports.beats_to_csv(beats))))
    assert len(rows) == len(beats)
    assert rows[-1]["status"] == "paused"
    assert Life.PAUSED == "paused"
