"""The sandbox's limits, edge, diagnostics and layouts, points 24 to 32 of its specification."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from hub_core.sandbox import Fault, ServerName
from tests.sandboxed import SECURITY, Bench, bench

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx

US, OWN, VAULTWARDEN = ServerName.US, ServerName.SELF_HOSTED, ServerName.VAULTWARDEN
DOTNET_TIME = re.compile(r"2026-08-20T12:00:00\.\d{7}Z")


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


def own(box: Bench, path: str) -> httpx.Response:
    """Ask the address of the self-hosted server."""
    return box.http.get(f"{box.running.origin}/selfhost{path}")


def ask_apart(box: Bench, count: int) -> list[int]:
    """Ask for a token a few times, a second apart, and return the statuses."""
    statuses = []
    for _ in range(count):
        statuses.append(box.ask_token(client_secret="wrong").status_code)
        box.later(seconds=1)
    return statuses


def test_point_24_token_windows(box: Bench) -> None:
    """The token endpoint takes ten a minute and five a second, refused keys included."""
    box.sandbox.limits.on = True
    assert [box.ask_token(client_secret="wrong").status_code for _ in range(6)] == [400] * 5 + [429]
    box.later(seconds=1)
    assert ask_apart(box, 6) == [400] * 5 + [429]
    box.later(minutes=1)
    assert ask_apart(box, 11) == [400] * 10 + [429]


def test_point_24_api_windows(box: Bench) -> None:
    """The API takes 200 reads a minute for each path, but only 5 of `/alive`; identity takes 60 of others."""
    box.sandbox.limits.on = True
    assert [box.read("/alive", "").status_code for _ in range(6)] == [200] * 5 + [429]
    assert [box.read("/version", "").status_code for _ in range(201)] == [200] * 200 + [429]
    assert box.read("/now", "").status_code == 200
    seen = []
    for number in range(61):
        seen.append(box.http.get(f"{box.identity()}/alive").status_code)
        box.later(seconds=1 if number % 4 == 3 else 0)
    assert seen == [200] * 60 + [429]


def test_point_24_own_servers_have_no_limits(box: Bench) -> None:
    """An own server has no limits and tells none."""
    box.sandbox.limits.on = True
    answers = [box.ask_token(box.organization("Orchard")) for _ in range(12)]
    assert {answer.status_code for answer in answers} == {200}
    assert not any(name.startswith("x-rate-limit") for name in answers[0].headers)


def test_point_25_refusal(box: Bench) -> None:
    """A 429 has the internal error shape and `Retry-After`, and no limit headers."""
    box.sandbox.limits.on = True
    ask_apart(box, 10)
    answer = box.ask_token()
    assert answer.status_code == 429
    assert answer.content == (
        b'{"object":"error","message":"Slow down! Too many requests. Try again in 1m.","validationErrors":null,'
        b'"exceptionMessage":null,"exceptionStackTrace":null,"innerExceptionMessage":null}'
    )
    assert answer.headers["retry-after"] == "50"
    assert answer.headers["content-type"] == "application/json; charset=utf-8"
    assert not any(name.startswith("x-rate-limit") for name in answer.headers)
    assert SECURITY.items() <= dict(answer.headers).items()


def test_point_25_headers_of_other_answers(box: Bench) -> None:
    """Other answers of the cloud name the longest period, what is left of it and its end."""
    box.sandbox.limits.on = True
    headers = box.ask_token(client_secret="wrong").headers
    assert headers["x-rate-limit-limit"] == "1m"
    assert headers["x-rate-limit-remaining"] == "9"
    assert headers["x-rate-limit-reset"] == "2026-08-20T12:01:00.0000000Z"


def test_point_26_edge_answers(box: Bench) -> None:
    """The edge blocks with a page, a text or nothing, and its answers lack the server's headers."""
    expected = {
        Fault.EDGE_403: (403, "text/html", b"Cloudflare Ray ID"),
        Fault.EDGE_1020: (403, "text/plain", b"error code: 1020"),
        Fault.EDGE_429: (429, None, b""),
    }
    for fault, (status, kind, body) in expected.items():
        box.sandbox.faults.set(US, fault)
        for answer in (box.ask_token(), box.read("/config", "")):
            assert (answer.status_code, answer.headers.get("content-type")) == (status, kind)
            assert body in answer.content
            assert bool(answer.content) == bool(body)
            assert "cf-ray" in answer.headers
            assert "retry-after" not in answer.headers
            assert not SECURITY.keys() & answer.headers.keys()
        box.sandbox.faults.clear()


@pytest.mark.parametrize("status", [400, 429])
def test_point_26_default_user_agents(box: Bench, status: int) -> None:
    """The edge can refuse the default User-Agent of a library while an own one passes."""
    box.sandbox.faults.set(US, Fault.EDGE_USER_AGENT, status=status)
    assert box.read("/config", "").status_code == status
    polite = box.http.get(f"{box.api()}/config", headers={"User-Agent": "link-hub/1.0"})
    assert polite.status_code == 200


@pytest.mark.parametrize("status", [502, 503, 504])
def test_point_26_gateway_pages(box: Bench, status: int) -> None:
    """A proxy without its program answers with its own page."""
    box.sandbox.faults.set(US, Fault.BAD_GATEWAY, status=status)
    answer = box.ask_token()
    assert (answer.status_code, answer.headers["content-type"]) == (status, "text/html")
    assert b"<center>nginx</center>" in answer.content


@pytest.mark.parametrize("server", [US, ServerName.EU, OWN])
def test_point_27_alive_now_version_on_both_services(box: Bench, server: ServerName) -> None:
    """Both services tell the time with seven decimals and their version, each as a JSON string."""
    for base in (box.api(server), box.identity(server)):
        for path in ("/alive", "/now"):
            answer = box.http.get(base + path)
            assert answer.headers["content-type"] == "application/json; charset=utf-8"
            assert DOTNET_TIME.fullmatch(answer.json())
        assert box.http.get(f"{base}/version").content == b'"2026.8.0"'


def test_point_27_config_and_discovery_each_on_one_service(box: Bench) -> None:
    """`/config` is the API's alone; discovery and keys are identity's alone and need GET."""
    assert box.http.get(f"{box.api()}/config").json()["object"] == "config"
    assert box.http.get(f"{box.identity()}/config").status_code == 404
    for path in ("/.well-known/openid-configuration", "/.well-known/openid-configuration/jwks"):
        assert box.http.get(box.identity() + path).headers["content-type"] == "application/json; charset=UTF-8"
        assert box.http.post(box.identity() + path).status_code == 405
        assert box.http.get(box.api() + path).status_code == 404


def test_point_27_discovery_names(box: Bench) -> None:
    """Discovery tells the issuer; on an own server it names hosts nobody outside can reach."""
    cloud = box.http.get(f"{box.identity()}/.well-known/openid-configuration").json()
    assert (cloud["issuer"], cloud["token_endpoint"]) == (box.identity(), f"{box.identity()}/connect/token")
    assert cloud["token_endpoint_auth_methods_supported"] == ["client_secret_basic", "client_secret_post"]
    hosted = box.http.get(f"{box.identity(OWN)}/.well-known/openid-configuration").json()
    assert hosted["issuer"] == "http://identity"
    assert hosted["token_endpoint"] == "http://identity:5000/identity/connect/token"
    assert "/identity/identity/" in hosted["authorization_endpoint"]


def test_point_28_routes_of_one_kind_of_server(box: Bench) -> None:
    """Only the cloud's API has `/healthz`, only an own server's the documentation."""
    assert box.http.get(f"{box.api()}/healthz").text == "Healthy"
    assert box.http.get(f"{box.api()}/healthz/extended").json()["status"] == "Healthy"
    assert box.http.get(f"{box.identity()}/healthz").status_code == 404
    assert box.http.get(f"{box.api(OWN)}/healthz").status_code == 404
    for path, kind in (("/specs/public/swagger.json", "application/json; charset=utf-8"), ("/docs/", "text/html")):
        assert box.http.get(box.api(OWN) + path).headers["content-type"] == kind
        assert box.http.get(box.api() + path).status_code == 404


def test_point_29_front_while_all_is_well(box: Bench) -> None:
    """The front of an own server: a constant `/alive`, a redirect to `/api/`, its page, and empty 404s."""
    assert own(box, "/alive").text == "alive"
    moved = own(box, "/api")
    assert (moved.status_code, moved.headers["location"]) == (301, f"{box.api(OWN)}/")
    assert own(box, "/").headers["content-type"] == "text/html"
    for path in ("/public/members", "/config", "/connect/token", "/identityx"):
        answer = own(box, path)
        assert (answer.status_code, answer.content) == (404, b"")


def test_point_29_front_with_its_programs_down(box: Bench) -> None:
    """With the programs down, `/alive` and the page stay, and what they would answer is nginx's 502."""
    box.sandbox.faults.set(OWN, Fault.BAD_GATEWAY)
    assert (own(box, "/alive").status_code, own(box, "/").status_code) == (200, 200)
    for answer in (own(box, "/api/config"), box.ask_token(box.organization("Orchard"))):
        assert (answer.status_code, answer.headers["content-type"]) == (502, "text/html")
        assert not SECURITY.keys() & answer.headers.keys()


def test_point_29_one_program_down(box: Bench) -> None:
    """Identity alone can be down while the API answers."""
    box.sandbox.faults.set(OWN, Fault.BAD_GATEWAY, at="/identity")
    assert own(box, "/api/config").status_code == 200
    assert box.ask_token(box.organization("Orchard")).status_code == 502


def test_point_30_config_of_own_server(box: Bench) -> None:
    """An own server says it is of the US cloud, but names its own addresses, and no server name."""
    config = own(box, "/api/config").json()
    base = f"{box.running.origin}/selfhost"
    assert config["server"] is None
    assert config["environment"] == {
        "cloudRegion": "US",
        "vault": base,
        "api": f"{base}/api",
        "identity": f"{base}/identity",
        "notifications": f"{base}/notifications",
        "sso": f"{base}/sso",
    }
    cloud = box.read("/config", "", server=ServerName.EU).json()["environment"]
    assert (cloud["cloudRegion"], cloud["identity"]) == ("EU", box.identity(ServerName.EU))


def test_point_30_vaultwarden_names_itself(box: Bench) -> None:
    """Vaultwarden names itself, imitates a Bitwarden version, and tells its own at `/version`."""
    config = box.read("/config", "", server=VAULTWARDEN).json()
    assert config["server"]["name"] == "Vaultwarden"
    assert (config["version"], config["environment"]["cloudRegion"]) == ("2026.8.0", None)
    assert box.read("/version", "", server=VAULTWARDEN).json() == "1.37.2"


def test_point_30_vaultwarden_sign_in(box: Bench) -> None:
    """Vaultwarden wants every field, in order, and says in its own shape what is wrong with a key."""
    cedar = box.organization("Cedar")
    assert set(box.ask_token(cedar).json()) == {"access_token", "expires_in", "token_type", "scope"}
    wrong: tuple[tuple[dict[str, str | None], str], ...] = (
        ({"client_id": None, "device_type": None}, "client_id cannot be blank"),
        ({"client_secret": ""}, "client_secret cannot be blank"),
        ({"scope": None}, "scope cannot be blank"),
        ({"device_identifier": None}, "device_identifier cannot be blank"),
        ({"device_name": None}, "device_name cannot be blank"),
        ({"device_type": None}, "device_type cannot be blank"),
        ({"scope": "api"}, "Scope not supported"),
        ({"client_id": cedar.guid}, "Malformed client_id"),
        ({"client_id": box.us.client_id}, "Invalid client_id"),
        ({"client_secret": box.us.secret}, "Incorrect client_secret"),
    )
    for fields, message in wrong:
        answer = box.ask_token(cedar, **fields)
        assert answer.status_code == 400
        assert answer.json() == {
            "message": message,
            "validationErrors": {"": [message]},
            "errorModel": {"message": message, "object": "error"},
            "error": "",
            "error_description": "",
            "exceptionMessage": None,
            "exceptionStackTrace": None,
            "innerExceptionMessage": None,
            "object": "error",
        }
    page = box.ask_token(cedar, grant_type=None)
    assert (page.status_code, page.headers["content-type"]) == (422, "text/html")
    spelled = {"device_identifier": None, "deviceIdentifier": "5f0c", "Client_Id": cedar.client_id, "client_id": None}
    assert box.ask_token(cedar, **spelled).status_code == 200


def test_point_30_vaultwarden_has_no_read_api(box: Bench) -> None:
    """Vaultwarden answers every read with its framework's 404, and unknown paths of identity with a page."""
    token = box.token(box.organization("Cedar"))
    for path in ("members", "groups", "collections", "policies", "events", "organization/subscription"):
        answer = box.read(f"/public/{path}", token, server=VAULTWARDEN)
        assert answer.status_code == 404
        assert answer.content == (
            b'{"error":{"code":404,"reason":"Not Found","description":"The requested resource could not be found."}}'
        )
    discovery = box.http.get(f"{box.identity(VAULTWARDEN)}/.well-known/openid-configuration")
    assert (discovery.status_code, discovery.headers["content-type"]) == (404, "text/html")


def test_point_30_vaultwarden_sign_in_limit(box: Bench) -> None:
    """Vaultwarden takes ten sign-ins at once, then one a minute, and says so without `Retry-After`."""
    cedar = box.organization("Cedar")
    box.sandbox.limits.on = True
    assert [box.ask_token(cedar).status_code for _ in range(11)] == [200] * 10 + [429]
    box.later(seconds=60)
    answers = [box.ask_token(cedar) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [200, 429]
    assert answers[1].json()["message"] == "Too many login requests"
    assert "retry-after" not in answers[1].headers


def test_point_31_security_headers_on_everything_of_the_server(box: Bench) -> None:
    """Every answer of the server carries the three headers, refusals and failures included."""
    answers = [box.read("/config", ""), box.read("/nothing", ""), box.read("/public/members", "")]
    answers += [box.ask_token(), box.ask_token(client_secret="wrong"), box.http.get(f"{box.identity()}/nothing")]
    answers += [box.http.head(f"{box.api()}/config"), box.read("/public/members/abc")]
    box.sandbox.faults.set(US, Fault.TOKEN_500)
    answers.append(box.ask_token())
    assert {answer.status_code for answer in answers} == {200, 400, 401, 404, 405, 500}
    assert all(SECURITY.items() <= dict(answer.headers).items() for answer in answers)


def test_point_31_front_repeats_two_of_them(box: Bench) -> None:
    """The front repeats two of the headers on what it passes on, and adds its own."""
    headers = own(box, "/api/config").headers
    assert headers.get_list("x-content-type-options") == ["nosniff", "nosniff"]
    assert headers.get_list("x-frame-options") == ["SAMEORIGIN"]
    assert headers["strict-transport-security"] == "max-age=15768000"


def test_point_32_head(box: Bench) -> None:
    """HEAD is a wrong method on every route that is mapped for GET."""
    for path in ("/config", "/alive", "/now", "/version", "/public/members", "/public/events"):
        answer = box.http.head(f"{box.api()}{path}")
        assert answer.status_code == 405
        assert "GET" in answer.headers["allow"]
