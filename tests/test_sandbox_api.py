"""The sandbox's public API, points 13 to 23 of its specification (bitwarden-protocol.md section 13)."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

import pytest

from hub_core.sandbox import Fault, ServerName
from tests.sandboxed import Bench, bench, parts_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx

LISTS = ("/public/members", "/public/groups", "/public/collections", "/public/policies", "/public/events")
NOBODY = str(uuid.UUID(int=7))


@pytest.fixture(scope="module")
def served() -> Iterator[Bench]:
    """One served sandbox for the module."""
    with bench() as made:
        yield made


@pytest.fixture
def box(served: Bench) -> Iterator[Bench]:
    """The sandbox, as good as new."""
    yield served
    served.reset()


def challenge(answer: httpx.Response) -> str:
    """Return the challenge of a refusal, which must have no body."""
    assert (answer.status_code, answer.content) == (401, b"")
    return answer.headers["www-authenticate"]


def invalid(description: str) -> str:
    """Return the challenge with a description."""
    return f'Bearer error="invalid_token", error_description="{description}"'


def forged(token: str, box: Bench, **header: str) -> str:
    """Return the same claims signed by the sandbox under another header."""
    _, claims = parts_of(token)
    return box.sandbox.signer.sign(claims, **{"kid": parts_of(token)[0]["kid"], **header})


def test_point_13_no_token(box: Bench) -> None:
    """Without a token every public route is an empty 401 with the bare challenge, other schemes included."""
    for path in (*LISTS, "/public/organization/subscription", f"/public/members/{NOBODY}"):
        assert challenge(box.read(path, "")) == "Bearer"
    basic = box.http.get(f"{box.api()}/public/members", auth=("a", "b"))
    assert challenge(basic) == "Bearer"


def test_point_13_token_in_the_query(box: Bench) -> None:
    """A token is also taken from the query, but only if there is no header."""
    token = box.token()
    assert box.read("/public/policies", "", access_token=token).status_code == 200
    assert challenge(box.read("/public/policies", "x", access_token=token)) == 'Bearer error="invalid_token"'


def test_point_14_expired(box: Bench) -> None:
    """A token is refused as expired only more than five minutes after its end."""
    token = box.token()
    box.later(seconds=3600 + 300)
    assert box.read("/public/policies", token).status_code == 200
    box.later(seconds=1)
    assert challenge(box.read("/public/policies", token)) == invalid("The token expired at '08/20/2026 13:00:00'")


def test_point_14_not_yet_valid(box: Bench) -> None:
    """A token is refused as not yet valid only more than five minutes before its start."""
    token = box.token()
    box.later(seconds=-300)
    assert box.read("/public/policies", token).status_code == 200
    box.later(seconds=-1)
    refusal = invalid("The token is not valid before '08/20/2026 12:00:00'")
    assert challenge(box.read("/public/policies", token)) == refusal


def test_point_14_foreign_issuer(box: Bench) -> None:
    """A token of the other region is refused by its issuer, but after its end by that."""
    token = box.token(box.organization("Alpine"))
    issuer = box.identity(ServerName.EU)
    assert challenge(box.read("/public/policies", token)) == invalid(f"The issuer '{issuer}' is invalid")
    box.later(hours=2)
    assert challenge(box.read("/public/policies", token)) == invalid("The token expired at '08/20/2026 13:00:00'")


def test_point_14_unknown_key(box: Bench) -> None:
    """A token with the right issuer but an unknown key is refused by the key."""
    token = forged(box.token(), box, kid="AB" * 20 + "RS256")
    assert challenge(box.read("/public/policies", token)) == invalid("The signature key was not found")


def test_point_14_altered_signature(box: Bench) -> None:
    """A token whose claims or signature were altered is refused by the signature."""
    token, other = box.token(), box.token(box.organization("Harbor"))
    signed, _, signature = token.rpartition(".")
    for altered in (f"{signed}.{'A' * len(signature)}", f"{other.rpartition('.')[0]}.{signature}"):
        assert challenge(box.read("/public/policies", altered)) == invalid("The signature is invalid")


def test_point_14_no_token_at_all_or_of_another_type(box: Bench) -> None:
    """What is no JWT, or one of another type, is refused without a description."""
    for text in ("x", "a.b.c", box.us.secret, forged(box.token(), box, typ="JWT")):
        assert challenge(box.read("/public/policies", text)) == 'Bearer error="invalid_token"'


def test_point_15_other_scope(box: Bench) -> None:
    """A valid token of another scope is an empty 403 without a challenge."""
    device = {"deviceType": "8", "deviceIdentifier": "5f0c", "deviceName": "test"}
    token = box.ask_token(box.organization("Robin"), scope="api", **device).json()["access_token"]
    answer = box.read("/public/members", token)
    assert (answer.status_code, answer.content) == (403, b"")
    assert "www-authenticate" not in answer.headers


def test_point_16_routing_comes_before_authentication(box: Bench) -> None:
    """Without a token an unknown path is an empty 404 and a wrong method an empty 405 that lists the right ones."""
    for path in ("/public/nothing", "/public", "//public/members", "/members", "/connect/token"):
        answer = box.read(path, "")
        assert (answer.status_code, answer.content) == (404, b"")
    for method, path, allowed in (
        ("PATCH", "/public/members", "GET, POST"),
        ("POST", "/public/events", "GET"),
        ("GET", "/public/organization/import", "POST"),
    ):
        answer = box.http.request(method, f"{box.api()}{path}")
        assert (answer.status_code, answer.content, answer.headers["allow"]) == (405, b"", allowed)


def test_point_17_issued_tokens_outlive_the_key(box: Bench) -> None:
    """Disabling, losing the API and rotating change nothing for issued tokens; new ones are refused."""
    harbor = box.organization("Harbor")
    token = box.token(harbor)
    box.sandbox.rotate(harbor.client_id)
    for fault in (Fault.DISABLE, Fault.NO_API):
        box.sandbox.faults.set(harbor.client_id, fault)
        assert len(box.read("/public/members", token).json()["data"]) == 12
        assert box.ask_token(harbor).status_code == 400


def test_point_17_deleted_organization(box: Bench) -> None:
    """After deletion lists are empty, things are not found, and the subscription breaks."""
    token = box.token()
    member = box.read("/public/members", token).json()["data"][0]["id"]
    box.sandbox.faults.set(box.us.client_id, Fault.DELETE)
    for path in LISTS:
        assert box.read(path, token).json()["data"] == []
    assert box.read(f"/public/members/{member}", token).status_code == 404
    answer = box.read("/public/organization/subscription", token)
    message = "An error occurred while retrieving the subscription details."
    assert (answer.status_code, answer.json()) == (500, {"message": message})
    assert box.ask_token().json() == {"error": "invalid_client"}


def test_point_18_member_list(box: Bench) -> None:
    """Members come all at once, in every state, one of them unknown, with nulls written out."""
    body = box.read("/public/members").json()
    members: list[dict[str, Any]] = body["data"]
    assert (set(body), body["object"], len(members)) == ({"object", "data"}, "list", 240)
    assert {member["status"] for member in members} == {-1, 0, 1, 2, 3, 9}
    assert sum(member["status"] == 9 for member in members) == 1
    assert {member["type"] for member in members} == {0, 1, 2, 4}
    fields = "object id userId name email twoFactorEnabled status type collections resetPasswordEnrolled ssoExternalId "
    assert all(set(member) == set((fields + "externalId permissions").split()) for member in members)
    assert all((member["permissions"] is not None) == (member["type"] == 4) for member in members)
    assert all(member["userId"] is None for member in members if member["status"] == 0)
    assert len({member["id"] for member in members} | {member["email"] for member in members}) == 480


def test_point_18_other_lists(box: Bench) -> None:
    """Groups, collections and policies come in the list envelope with their full models."""
    expected = {
        "groups": {"object", "id", "name", "externalId", "collections"},
        "collections": {"object", "id", "externalId", "groups"},
        "policies": {"object", "id", "type", "enabled", "data"},
    }
    for path, fields in expected.items():
        body = box.read(f"/public/{path}").json()
        assert body["object"] == "list"
        assert body["data"]
        assert all(set(thing) == fields for thing in body["data"])


def test_point_18_single_things_and_bare_id_lists(box: Bench) -> None:
    """Each thing is readable alone; the two id routes answer with bare arrays that agree with each other."""
    for path in ("members", "groups", "collections"):
        first = box.read(f"/public/{path}").json()["data"][0]
        assert box.read(f"/public/{path}/{first['id']}/").json() == first
        assert box.read(f"/public/{path}/{NOBODY}").status_code == 404
    group = box.read("/public/groups").json()["data"][1]["id"]
    members = box.read(f"/public/groups/{group}/member-ids").json()
    assert members
    assert group in box.read(f"/public/Members/{members[0].upper()}/group-ids").json()


def test_point_18_writes_are_refused(box: Bench) -> None:
    """The sandbox answers a write with a refusal: it changes nothing."""
    headers = {"Authorization": f"Bearer {box.token()}"}
    answer = box.http.post(f"{box.api()}/public/members", json={}, headers=headers)
    assert (answer.status_code, answer.json()["message"]) == (400, "The sandbox changes nothing.")


def test_point_19_policies(box: Bench) -> None:
    """A policy is found by number or name; one never saved is an empty 404, an unknown one a 400 with errors."""
    assert box.read("/public/policies/1").json() == box.read("/public/policies/MasterPassword").json()
    never = box.read("/public/policies/12")
    assert (never.status_code, never.content) == (404, b"")
    for kind in ("23", "Nonsense", "-1"):
        answer = box.read(f"/public/policies/{kind}")
        assert (answer.status_code, list(answer.json()["errors"])) == (400, ["type"])


def test_point_20_bad_guid(box: Bench) -> None:
    """What is no uuid is a 400 in the public error shape."""
    for path in ("members/abc", "groups/abc", "collections/abc", "members/abc/group-ids"):
        answer = box.read(f"/public/{path}")
        assert answer.status_code == 400
        body = answer.json()
        assert (body["object"], body["message"]) == ("error", "The request's model state is invalid.")
        assert list(body["errors"]) == ["id"]


def pages(box: Bench, name: str, **query: str) -> list[dict[str, Any]]:
    """Read every page of events."""
    organization = box.organization(name)
    token, found = box.token(organization), []
    while True:
        found.append(box.read("/public/events", token, server=organization.server, **query).json())
        if not found[-1]["continuationToken"]:
            return found
        query["continuationToken"] = found[-1]["continuationToken"]


def test_point_21_cloud_pages(box: Bench) -> None:
    """The cloud pages by 50 with an opaque token, and has a short and an empty page that still name a next one."""
    found = pages(box, "Meadow", start="2025-09-01", end="2026-08-20")
    assert [len(page["data"]) for page in found] == [50, 13, 0, 50, 50, 50, 50, 37]
    assert not any(str(page["continuationToken"]).isdecimal() for page in found)
    events = [event for page in found for event in page["data"]]
    dates = [event["date"] for event in events]
    assert dates == sorted(dates, reverse=True)
    assert len({(event["date"], event["type"]) for event in events}) == 300
    assert 9999 in {event["type"] for event in events}
    assert len(events[0]) == 15


def test_point_21_own_server_pages(box: Bench) -> None:
    """An own server pages by 50 with a number, ends with a page that is not full, and ignores an unreadable token."""
    found = pages(box, "Orchard", start="2025-09-01", end="2026-08-20")
    assert [len(page["data"]) for page in found] == [50, 50, 30]
    assert all(page["continuationToken"].isdecimal() for page in found[:-1])
    orchard = box.organization("Orchard")
    again = box.read("/public/events", box.token(orchard), server=orchard.server, continuationToken="nonsense")
    assert again.json() == found[0]


def test_point_21_default_range_and_one_date_alone(box: Bench) -> None:
    """Without both dates the last 30 days hold; a date alone is ignored; reversed dates are swapped."""
    default = box.read("/public/events").json()
    assert box.read("/public/events", start="2020-01-01").json() == default
    assert box.read("/public/events", end="2020-01-01").json() == default
    day = box.read("/public/events", start="2026-08-10", end="2026-08-11T00:00:00Z").json()
    assert day == box.read("/public/events", start="2026-08-11", end="2026-08-10").json()
    assert {event["date"][:10] for event in day["data"]} == {"2026-08-10"}


def test_point_21_too_long_and_unreadable_ranges(box: Bench) -> None:
    """More than 367 days is a 400 with Bitwarden's sentence; what is no date is a model error."""
    answer = box.read("/public/events", start="2025-01-01", end="2026-01-04")
    assert answer.status_code == 400
    assert answer.json() == {"object": "error", "message": "Date range must be < 367 days.", "errors": None}
    assert box.read("/public/events", start="2025-01-01", end="2026-01-03").status_code == 200
    assert box.read("/public/events", start="soon", end="2026-01-03").json()["errors"]


def test_point_21_filters(box: Bench) -> None:
    """Events are filtered by acting user before item; a foreign item gives nothing, a bad uuid an error."""
    event = next(event for event in box.read("/public/events").json()["data"] if event["itemId"])
    mine = box.read("/public/events", actingUserId=event["actingUserId"], itemId=NOBODY).json()["data"]
    assert {found["actingUserId"] for found in mine} == {event["actingUserId"]}
    assert box.read("/public/events", itemId=NOBODY).json()["data"] == []
    assert list(box.read("/public/events", itemId="abc").json()["errors"]) == ["itemId"]


def test_point_22_subscription(box: Bench) -> None:
    """The cloud tells seats without an `object`; an own server says it is not allowed, but only once authenticated."""
    body = box.read("/public/organization/subscription").json()
    assert body["passwordManager"] == {"seats": 250, "maxAutoScaleSeats": None, "storage": 1}
    assert set(body) == {"passwordManager", "secretsManager"}
    own = box.token(box.organization("Orchard"))
    answer = box.read("/public/organization/subscription", own, server=ServerName.SELF_HOSTED)
    assert answer.status_code == 400
    assert answer.content == b'{"object":"error","message":"Only allowed when not self hosted.","errors":null}'
    assert box.read("/public/organization/subscription", "", server=ServerName.SELF_HOSTED).status_code == 401


def test_point_23_internal_error(box: Bench) -> None:
    """An unhandled error has the public error shape, byte for byte."""
    token = box.token()
    box.sandbox.faults.set(box.us.client_id, Fault.API_500)
    answer = box.read("/public/members", token)
    body = b'{"object":"error","message":"An unhandled server error has occurred.","errors":null}'
    assert (answer.status_code, answer.content) == (500, body)
