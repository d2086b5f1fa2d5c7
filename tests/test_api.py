"""The JSON API: who is let in, what it tells, how it pages, and that its description is true."""

from __future__ import annotations

import inspect
import json
import os
import re
import sqlite3
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from jsonschema import Draft202012Validator
from openapi_spec_validator import validate

from hub_core import __version__
from hub_core.access import WRONG_A_MINUTE, Scope
from hub_core.errors import StorageError
from hub_core.settings import Settings
from hub_core.showing import SHOWN_WORDS
from hub_core.web import fields
from hub_core.web.openapi import DEFAULT_LIMIT, LARGEST_LIMIT, document
from hub_core.web.routes import for_machines
from tests.linked import Hands, opened
from tests.machines import Machines, failing, record, refused, served, well
from tests.scaled import proven, until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hub_core.hub import Hub
    from tests.serving import Answer

EVERYTHING = ("/api/v1/accounts", "/api/v1/incidents")
CANARY = "CANARY <script>alert(1)</script> “&"


@pytest.fixture
def hands() -> Hands:
    """The hands of the hub's clock."""
    return Hands()


@pytest.fixture
def hub(settings: Settings, hands: Hands) -> Iterator[Hub]:
    """A hub whose clock can be moved."""
    with opened(settings, hands.clock) as made:
        yield made


@pytest.fixture
def machines(hub: Hub) -> Iterator[Machines]:
    """What is served of it."""
    with served(hub) as running:
        yield running


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machines]:
    """What is served of a hub without accounts, for the tests that only ask."""
    folder = tmp_path_factory.mktemp("empty")
    with (
        opened(Settings(data=folder / "data", config=folder / "config", sandbox=False)) as made,
        served(made) as running,
    ):
        yield running


def read(machines: Machines, path: str) -> Any:
    """Return the JSON of an answer that is well, and conforms to its schema with exactly the fields it describes."""
    answer = machines.get(path, scope=Scope.READ)
    assert answer.status == 200, answer.body
    assert answer.headers["content-type"] == "application/json"
    values = json.loads(answer.body)
    conforms(values, named(path))
    return values


def named(path: str) -> str:
    """Return the name of the object that a path answers with."""
    if path.startswith("/api/v1/incidents"):
        return "IncidentPage"
    return "AccountPage" if path.partition("?")[0] == "/api/v1/accounts" else "AccountDetails"


def conforms(values: Any, name: str) -> None:
    """Fail unless values are what the OpenAPI document says, without a field that it does not describe."""
    schemas = {
        name: {**schema, "additionalProperties": False} for name, schema in document()["components"]["schemas"].items()
    }
    schema = {"$ref": f"#/components/schemas/{name}", "components": {"schemas": schemas}}
    checker = Draft202012Validator(schema, format_checker=Draft202012Validator.FORMAT_CHECKER)
    assert [f"{error.json_path}: {error.message}" for error in checker.iter_errors(values)] == []


def problem(answer: Answer, status: int) -> str:
    """Return the sentence of a problem document."""
    assert answer.status == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["cache-control"] == "no-store"
    values = json.loads(answer.body)
    conforms(values, "Problem")
    assert values["status"] == status
    return str(values["detail"])


# ---- who is let in


@pytest.mark.parametrize("path", EVERYTHING)
def test_a_token_of_the_right_scope_is_wanted(empty: Machines, path: str) -> None:
    """Without a token, with a wrong one, or with one for something else, a problem says how to ask properly."""
    bare = empty.get(path)
    assert "linkhub token create" in problem(bare, 401)
    assert bare.headers["www-authenticate"] == 'Bearer realm="Link Hub"'
    text = empty.token(Scope.READ)
    for wrong in ("Bearer", "Bearer ", "Bearer nonsense", f"Basic {text}", text, f"Bearer {text}x", f"Bearer {text},"):
        answer = empty.get(path, Authorization=wrong)
        assert "does not work" in problem(answer, 401)
        assert answer.headers["www-authenticate"] == 'Bearer realm="Link Hub", error="invalid_token"'
        assert text not in answer.body
    other = empty.get(path, scope=Scope.METRICS)
    assert "lacks the scope “read”" in problem(other, 403)
    assert 'error="insufficient_scope"' in other.headers["www-authenticate"]
    assert empty.get(path, Authorization=f"bearer {text}").status == 200


def test_a_token_is_taken_from_nowhere_else(empty: Machines) -> None:
    """Neither a cookie nor a parameter stands for the header, and no answer sets a cookie."""
    text = empty.token(Scope.READ)
    assert empty.get(f"/api/v1/accounts?access_token={text}").status == 401
    assert empty.get("/api/v1/accounts", Cookie=f"token={text}").status == 401
    assert "set-cookie" not in empty.get("/api/v1/accounts", scope=Scope.READ).headers


def test_other_sites_and_names_are_refused_by_the_gate(empty: Machines) -> None:
    """Even with a right token, a page of another site gets nothing, under no name but the hub's own, and no CORS."""
    text = f"Bearer {empty.token(Scope.READ)}"
    assert empty.get("/api/v1/accounts", Authorization=text, Origin="https://evil.example").status == 403
    assert empty.get("/api/v1/accounts", Authorization=text, Host="evil.example").status == 421
    asked = empty.get("/api/v1/accounts", method="OPTIONS", Access_Control_Request_Method="GET")
    assert problem(asked, 405)
    assert [name for name in asked.headers if name.startswith("access-control")] == []


def test_only_reading_is_possible(empty: Machines) -> None:
    """HEAD answers without a body; every other method is refused, and says what is possible."""
    assert empty.get("/api/v1/accounts", method="HEAD", scope=Scope.READ).status == 200
    for method in ("POST", "PUT", "PATCH", "DELETE"):
        answer = empty.get("/api/v1/accounts", method=method, scope=Scope.READ)
        assert "only be read" in problem(answer, 405)
        assert answer.headers["allow"] == "GET, HEAD"


def test_a_revoked_and_an_expired_token_are_refused(hub: Hub, hands: Hands, machines: Machines) -> None:
    """From the moment on, with the same answer as to a token that never was."""
    for token in hub.access.tokens():
        hub.access.revoke(token.id, actor="test")
    assert problem(machines.get("/api/v1/accounts", scope=Scope.READ), 401) == problem(
        machines.get("/api/v1/accounts", Authorization="Bearer never"), 401
    )


def test_a_flood_of_wrong_tokens_is_slowed(machines: Machines) -> None:
    """After very many wrong tokens the answer is to wait; a right token is still answered."""
    for _ in range(WRONG_A_MINUTE):
        assert machines.get("/api/v1/accounts", Authorization="Bearer wrong").status == 401
    answer = machines.get("/api/v1/accounts", Authorization="Bearer wrong")
    assert "Wait" in problem(answer, 429)
    assert answer.headers["retry-after"] == "60"
    assert machines.get("/api/v1/accounts", scope=Scope.READ).status == 200


def test_the_last_use_is_noted(hub: Hub, machines: Machines) -> None:
    """Using a token shows in the list of tokens; not using it does not."""
    read(machines, "/api/v1/accounts")
    machines.get("/api/v1/accounts", scope=Scope.METRICS)

    def used() -> set[Scope]:
        return {scope for token in hub.access.tokens() if token.last_used_at for scope in token.scopes}

    until(lambda: used() == {Scope.READ})  # it is written after the answer


def test_nothing_runs_on_the_loop_of_the_sockets(hub: Hub) -> None:
    """No route is a coroutine, so that each runs on a thread and a slow database holds up nobody's page."""
    found = for_machines(hub)
    assert {route.path for route in found} >= {"/metrics", "/api/v1/accounts", "/badge/{account_id}.svg"}
    assert [route.path for route in found if inspect.iscoroutinefunction(route.endpoint)] == []


# ---- what it tells


def test_accounts_are_told_as_they_are_shown(hub: Hub, hands: Hands, machines: Machines) -> None:
    """A healthy account becomes stale, never stays healthy; its last known status is told beside it."""
    account_id = well(hub)
    (row,) = read(machines, "/api/v1/accounts")["accounts"]
    assert (row["id"], row["shown"], row["status"], row["stale"]) == (account_id, "healthy", "healthy", False)
    assert row["link_proven_at"] == row["key_proven_at"] == row["checked_at"]
    hands.forward(days=1)
    (row,) = read(machines, "/api/v1/accounts")["accounts"]
    assert (row["shown"], row["status"], row["stale"]) == ("stale", "healthy", True)
    hub.pause(account_id, "spring cleaning", actor="test")
    assert read(machines, f"/api/v1/accounts/{account_id}")["shown"] == "paused"


def test_one_account_is_told_with_cause_stages_and_incident(hub: Hub, hands: Hands, machines: Machines) -> None:
    """Everything a page shows: two clocks, reason in words and what to do, each stage, uptime, the open incident."""
    account_id = well(hub)
    hands.forward(minutes=5)
    refused(hub, account_id)
    told = read(machines, f"/api/v1/accounts/{account_id}")
    assert (told["shown"], told["reason"]) == ("failing", "key_no_longer_accepted")
    assert told["explanation"]["title"].startswith("Worked until ")
    assert told["explanation"]["steps"]
    assert told["explanation"]["remedy"] == "relink"
    assert told["key_proven_at"] < told["checked_at"]
    assert told["last_check"]["stages"] == [
        {
            "stage": "token",
            "outcome": "fail",
            "reason": "key_no_longer_accepted",
            "ms": 34,
            "evidence": {"host": "identity.bitwarden.eu", "status": "400"},
        }
    ]
    assert told["incident"]["open"] is True
    assert told["incident"]["id"] == told["incident_id"]
    assert told["uptime"]["day"] is not None


def test_an_account_without_a_reason_needs_no_explanation(hub: Hub, machines: Machines) -> None:
    """A healthy account has neither explanation nor incident."""
    told = read(machines, f"/api/v1/accounts/{well(hub)}")
    assert (told["explanation"], told["incident"], told["reason"]) == (None, None, None)


def test_what_people_wrote_is_data(hub: Hub, machines: Machines) -> None:
    """Labels, tags and notes come back as they were written, in JSON that no browser takes for a page."""
    account_id = well(hub)
    hub.describe(account_id, label=CANARY, tags=[CANARY], note=CANARY, actor="test")
    told = read(machines, f"/api/v1/accounts/{account_id}")
    assert (told["label"], told["tags"], told["note"]) == (CANARY, [CANARY[:40].strip()], CANARY)
    answer = machines.get(f"/api/v1/accounts/{account_id}", scope=Scope.READ)
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cache-control"] == "no-store"


def test_nothing_secret_is_told(hub: Hub, machines: Machines) -> None:
    """Neither secret nor client id nor sealed text of an account is in any answer."""
    account_id = failing(hub)
    account = hub.account(account_id)
    with closing(sqlite3.connect(hub.settings.database)) as con:
        (sealed,) = con.execute("SELECT sealed FROM account").fetchone()
    for path in (*EVERYTHING, f"/api/v1/accounts/{account_id}"):
        body = machines.get(path, scope=Scope.READ).body
        assert account.client_id not in body
        assert sealed not in body
        assert machines.token(Scope.READ) not in body


def test_accounts_are_filtered(hub: Hub, hands: Hands, machines: Machines) -> None:
    """By how they are shown, by region and by tag; each may be combined with the others."""
    one, two = well(hub, 0), failing(hub, 1)
    hub.describe(two, label="Two", tags=["shops & bars", "north"], note="", actor="test")

    def found(query: str) -> list[str]:
        return [row["id"] for row in read(machines, f"/api/v1/accounts?{query}")["accounts"]]

    assert found("status=failing") == [two]
    assert found("status=failing&status=healthy") == sorted([one, two])
    assert found("status=stale") == []
    assert found("region=eu") == sorted([one, two])
    assert found("region=us&region=gov") == []
    assert found("tag=shops%20%26%20bars&status=failing") == [two]
    assert found("tag=shops") == []
    hands.forward(days=3)
    assert found("status=healthy") == []
    assert found("status=stale") == sorted([one, two])


def test_incidents_are_filtered(hub: Hub, hands: Hands, machines: Machines) -> None:
    """Open or over, since a time, of one account; newest first."""
    accounts = [well(hub, number) for number in range(2)]
    began = hub.clock.now()
    for account_id in accounts:
        hands.forward(hours=1)
        refused(hub, account_id)
    hands.forward(hours=1)
    record(hub, accounts[0], proven(hub.clock.now()))

    def found(query: str) -> list[tuple[str, bool]]:
        page = read(machines, f"/api/v1/incidents?{query}")
        return [(incident["account_id"], incident["open"]) for incident in page["incidents"]]

    over, lasting = (accounts[0], False), (accounts[1], True)
    assert found("") == [lasting, over]
    assert found("open=true") == [lasting]
    assert found("open=false") == [over]
    assert found(f"account={accounts[0]}") == [over]
    assert found("account=nobody") == []
    since = (began + timedelta(hours=4)).isoformat(timespec="seconds").replace("+00:00", "Z")
    assert found(f"since={since}") == [lasting]
    assert found(f"since={began.isoformat()[:19]}") == [lasting, over]


def test_pages_follow_one_another(hub: Hub, machines: Machines) -> None:
    """Following `next` tells every entry once, also when one that was told, or is to come, is gone meanwhile."""
    accounts = [well(hub, number) for number in range(7)]
    for account_id in accounts:
        refused(hub, account_id)
    for path, key in (("/api/v1/accounts", "accounts"), ("/api/v1/incidents", "incidents")):
        told, page = [], read(machines, f"{path}?limit=3")
        while True:
            told += [entry["id"] for entry in page[key]]
            assert len(page[key]) <= 3
            if page["next"] is None:
                break
            page = read(machines, f"{path}?limit=3&cursor={page['next']}")
        assert told == [entry["id"] for entry in read(machines, path)[key]]
        assert len(told) == 7
    ids = sorted(accounts)
    first = read(machines, "/api/v1/accounts?limit=3")
    for gone in (ids[2], ids[3]):
        hub.unlink(gone, hub.account(gone).label, actor="test")
    hub.glances.latest(fresh=True)
    rest = read(machines, f"/api/v1/accounts?cursor={first['next']}")
    assert [row["id"] for row in rest["accounts"]] == ids[4:]


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ("accounts?status=broken", "status"),
        ("accounts?region=mars", "region"),
        ("accounts?limit=0", "limit"),
        ("accounts?limit=501", "limit"),
        ("accounts?limit=%D9%A3", "limit"),
        ("accounts?limit=1&limit=2", "limit"),
        ("accounts?tag=a&tag=b", "tag"),
        ("accounts?state=failing", "status, region, tag, limit, cursor"),
        ("incidents?open=yes", "open"),
        ("incidents?since=yesterday", "since"),
        ("incidents?since=0001-01-01T00:00:00%2B14:00", "since"),
        ("incidents?cursor=-1", "cursor"),
        ("incidents?cursor=99999999999999999999", "cursor"),
        ("accounts/x?limit=1", "none"),
    ],
)
def test_a_parameter_that_cannot_be_meant_is_named(empty: Machines, query: str, named: str) -> None:
    """No typo goes unseen, and what was typed is not repeated."""
    assert named in problem(empty.get(f"/api/v1/{query}", scope=Scope.READ), 400)


@pytest.mark.parametrize("path", ["/api", "/api/", "/api/v1", "/api/v2/accounts", "/api/v1/accounts/"])
def test_below_the_api_there_is_nothing_else(empty: Machines, path: str) -> None:
    """Another address is a problem, not the dashboard's page."""
    if path == "/api":
        assert empty.get(path).status in {307, 404}
    else:
        assert "openapi.json" in problem(empty.get(path), 404)


def test_an_unknown_account_is_a_problem(empty: Machines) -> None:
    """Whatever stands where an id is expected."""
    for word in ("nobody", "00000000-0000-0000-0000-000000000000", "%00", "%27%3B--"):
        assert "no such account" in problem(empty.get(f"/api/v1/accounts/{word}", scope=Scope.READ), 404)


# ---- a database in trouble


def test_a_busy_database_is_still_read(hub: Hub, machines: Machines) -> None:
    """While another program writes for long, readers are answered."""
    well(hub)
    with closing(sqlite3.connect(hub.settings.database, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        other.execute("UPDATE account SET note = 'half'")
        (row,) = read(machines, "/api/v1/accounts")["accounts"]
        assert row["shown"] == "healthy"
        other.execute("ROLLBACK")


def test_a_broken_database_is_a_problem(hub: Hub, machines: Machines) -> None:
    """A file that is no database any more is answered with 503 and a sentence, without a trace of where it is."""
    account_id = well(hub)
    path = hub.settings.database
    hub.store.database.empty_wal()
    os.truncate(path, 0)
    path.write_bytes(b"this is not a database " * 200)
    with pytest.raises(StorageError):
        hub.accounts()
    for asked in (*EVERYTHING, f"/api/v1/accounts/{account_id}"):
        answer = machines.get(asked, scope=Scope.READ)
        assert "does not answer" in problem(answer, 503)
        assert answer.headers["retry-after"] == "10"
        assert str(path) not in answer.body


# ---- its description


def test_the_document_is_openapi() -> None:
    """The document is valid OpenAPI 3.1, of this version, and names no object that it does not describe."""
    validate(document())
    assert document()["openapi"].startswith("3.1")
    assert document()["info"]["version"] == __version__
    text = json.dumps(document())
    assert {name for name in fields.OBJECTS if f'"#/components/schemas/{name}"' not in text} == set()


def test_the_document_is_served_to_everybody(empty: Machines) -> None:
    """It needs no token, because it tells nothing of this installation."""
    answer = empty.get("/api/v1/openapi.json")
    assert answer.status == 200
    assert json.loads(answer.body) == document()


def test_every_path_of_the_document_is_served(hub: Hub, machines: Machines) -> None:
    """Each path answers with a token, and each parameter it lists is known there."""
    account_id = well(hub)
    examples = {"status": "failing", "region": "eu", "open": "true", "since": "2026-11-01T00:00:00Z", "limit": "1"}
    for path, operations in document()["paths"].items():
        parameters = [one["name"] for one in operations["get"]["parameters"] if one["in"] == "query"]
        query = "&".join(f"{name}={examples.get(name, '1')}" for name in parameters)
        read(machines, f"{path.format(account_id=account_id)}?{query}".rstrip("?"))


def test_the_manual_lists_every_path_and_parameter() -> None:
    """docs/api.md has a row for each path of the document, with each of its parameters, and the limits."""
    manual = (Path(__file__).resolve().parents[1] / "docs" / "api.md").read_text("utf-8")
    rows = {
        path: set(re.findall(r"`([a-z]+)`", cells)) - {"true", "false"}
        for path, cells in re.findall(r"^\| `(/api/v1/[^`]+)` \|([^|]*)\|", manual, re.MULTILINE)
    }
    described = {
        path.replace("{account_id}", "{id}"): {
            one["name"] for one in operations["get"]["parameters"] if one["in"] == "query"
        }
        for path, operations in document()["paths"].items()
    }
    assert rows == described
    assert f"{DEFAULT_LIMIT} unless you say otherwise and {LARGEST_LIMIT} at most" in manual
    statuses = re.search(r"The statuses are ([^.]+)\.", manual)
    assert statuses
    assert re.findall(r"`([a-z_]+)`", statuses[1]) == list(SHOWN_WORDS.values())
