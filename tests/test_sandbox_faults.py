"""The faults of the sandbox: what each does on the wire, and to whom."""

from __future__ import annotations

import socket
import ssl
import time
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

import httpx
import pytest

from hub_core.sandbox import Fault, ServerName
from hub_core.sandbox.console import apply, list_faults
from tests.sandboxed import Bench, bench, parts_of

if TYPE_CHECKING:
    from collections.abc import Iterator

US, OWN = ServerName.US, ServerName.SELF_HOSTED


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


def challenge(box: Bench, token: str | None = None) -> str:
    """Return the challenge of a refused read."""
    answer = box.read("/public/policies", token)
    assert (answer.status_code, answer.content) == (401, b"")
    return answer.headers["www-authenticate"]


def test_fault_of_one_organization_leaves_the_others_alone(box: Bench) -> None:
    """A fault of an organization acts on requests with its id or token, not on others or on `/config`."""
    token = box.token()
    box.sandbox.faults.set(box.us.client_id, Fault.HTML)
    assert box.ask_token().headers["content-type"] == "text/html"
    assert box.read("/public/policies", token).headers["content-type"] == "text/html"
    assert box.ask_token(box.organization("Harbor")).json()["expires_in"] == 3600
    assert box.read("/config", "").json()["object"] == "config"


def test_fault_of_one_server_leaves_the_others_alone(box: Bench) -> None:
    """A fault of a server acts on everything there and on nothing elsewhere."""
    box.sandbox.faults.set(US, Fault.HTML)
    assert box.read("/config", "").headers["content-type"] == "text/html"
    assert box.read("/config", "", server=ServerName.EU).json()["object"] == "config"


def test_fault_at_one_path(box: Bench) -> None:
    """A fault with `at` acts only on paths that contain it."""
    box.sandbox.faults.set(US, Fault.HTML, at="/public/members")
    assert box.read("/public/members").headers["content-type"] == "text/html"
    assert box.read("/public/groups").json()["object"] == "list"


def test_fault_off_again(box: Bench) -> None:
    """A fault is switched off alone, with its target, or with all."""
    faults = box.sandbox.faults
    faults.set(US, Fault.HTML)
    faults.set(US, Fault.SLOW)
    faults.set(US, Fault.SLOW, on=False)
    assert set(faults.on(US)) == {Fault.HTML}
    faults.clear(US)
    assert not faults.on(US)
    assert box.read("/config", "").json()["object"] == "config"


def test_unknown_target_and_parameter_are_refused(box: Bench) -> None:
    """A fault for nobody, or with a parameter it does not take, is refused with a sentence."""
    with pytest.raises(ValueError, match="neither a server nor a client id"):
        box.sandbox.faults.set("mars", Fault.HTML)
    with pytest.raises(ValueError, match="no parameter “minutes”"):
        box.sandbox.faults.set(US, Fault.SLOW, minutes=1)
    with pytest.raises(ValueError, match="takes a number as seconds"):
        box.sandbox.faults.set(US, Fault.SLOW, seconds="long")


def test_enable_a_disabled_organization(box: Bench) -> None:
    """A disabled organization and one without the API can be put right, and wrong again."""
    for name in ("Lapsed", "Garden"):
        organization = box.organization(name)
        box.sandbox.faults.set(organization.client_id, Fault.ENABLE)
        assert box.ask_token(organization).status_code == 200
        box.sandbox.faults.set(organization.client_id, Fault.DISABLE)
        assert box.ask_token(organization).status_code == 400


def test_slow_answers_late(box: Bench) -> None:
    """A slow server keeps a client waiting until it gives up."""
    box.sandbox.faults.set(US, Fault.SLOW, seconds=30)
    with pytest.raises(httpx.ReadTimeout):
        box.http.get(f"{box.api()}/config", timeout=0.2)
    box.sandbox.faults.set(US, Fault.SLOW, seconds=0.05)
    assert box.read("/config", "").status_code == 200


def test_drip_comes_byte_by_byte(box: Bench) -> None:
    """A dripping body arrives in single bytes, and whole in the end."""
    box.sandbox.faults.set(US, Fault.DRIP, seconds=0)
    with box.http.stream("GET", f"{box.api()}/version") as answer:
        chunks = list(answer.iter_raw())
    assert b"".join(chunks) == b'"2026.8.0"'


def test_reset_is_a_tcp_reset(box: Bench) -> None:
    """Instead of an answer the connection is reset, as seen below TLS, which hides the difference to an end."""
    box.sandbox.faults.set(US, Fault.RESET)
    context = ssl.create_default_context(cadata=box.running.ca_pem)
    address = ("127.0.0.1", int(box.running.origin.rpartition(":")[2]))
    secure = context.wrap_socket(socket.create_connection(address, timeout=20), server_hostname="127.0.0.1")
    secure.sendall(b"GET /us/api/config HTTP/1.1\r\nHost: sandbox\r\n\r\n")
    with socket.socket(fileno=secure.detach()) as plain:
        plain.settimeout(20)
        with pytest.raises(ConnectionResetError):
            list(iter(lambda: plain.recv(4096), b""))


def test_redirect_leads_to_another_host(box: Bench) -> None:
    """A sign-in proxy redirects to its own host."""
    box.sandbox.faults.set(US, Fault.REDIRECT)
    answer = box.ask_token()
    assert answer.status_code == 302
    assert answer.headers["location"].startswith("https://login.example.com/")


def test_password_of_a_proxy(box: Bench) -> None:
    """A proxy that wants a password asks with Basic."""
    box.sandbox.faults.set(US, Fault.BASIC_AUTH)
    answer = box.ask_token()
    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, 'Basic realm="Restricted"')


def test_rate_limited_by_the_server(box: Bench) -> None:
    """The server's own 429 comes with its body and the seconds asked for."""
    box.sandbox.faults.set(US, Fault.RATE_LIMITED, seconds=5)
    answer = box.ask_token()
    assert (answer.status_code, answer.headers["retry-after"], answer.json()["object"]) == (429, "5", "error")


def test_unusual_traffic(box: Bench) -> None:
    """Unusual traffic is told in JSON."""
    box.sandbox.faults.set(US, Fault.UNUSUAL_TRAFFIC)
    answer = box.ask_token()
    assert answer.status_code == 400
    assert "unusual" in answer.json()["message"]


@pytest.mark.parametrize(("fault", "sign"), [(Fault.CLOCK_AHEAD, 1), (Fault.CLOCK_BEHIND, -1)])
def test_wrong_clock_is_wrong_everywhere(box: Bench, fault: Fault, sign: int) -> None:
    """A wrong clock shows in `Date`, `/now` and the token, and both services agree on it."""
    box.sandbox.faults.set(US, fault, hours=2)
    answer = box.read("/now", "")
    assert (parsedate_to_datetime(answer.headers["date"]) - box.now).total_seconds() == sign * 7200
    assert answer.json().startswith("2026-08-20T14" if sign > 0 else "2026-08-20T10")
    token = box.token()
    assert parts_of(token)[1]["nbf"] - box.now.timestamp() == sign * 7200
    assert box.read("/public/policies", token).status_code == 200


def test_clock_of_one_service_wrong(box: Bench) -> None:
    """If only the API's clock is wrong, a fresh token has expired or is not valid yet."""
    box.sandbox.faults.set(US, Fault.CLOCK_AHEAD, hours=2, at="/api")
    assert "The token expired at" in challenge(box)
    box.sandbox.faults.set(US, Fault.CLOCK_BEHIND, hours=2, at="/api")
    assert "The token is not valid before" in challenge(box)


def test_foreign_issuer_is_named(box: Bench) -> None:
    """A token of another identity is refused by a foreign issuer, on an own server too."""
    box.sandbox.faults.set(US, Fault.FOREIGN_ISSUER)
    assert f"The issuer '{box.identity(ServerName.EU)}' is invalid" in challenge(box)
    box.sandbox.faults.set(OWN, Fault.FOREIGN_ISSUER)
    answer = box.read("/public/policies", box.token(box.organization("Orchard")), server=OWN)
    assert f"The issuer '{box.identity(ServerName.EU)}' is invalid" in answer.headers["www-authenticate"]


def test_broken_metadata_names_the_right_issuer(box: Bench) -> None:
    """An API without metadata refuses the very issuer its identity tells."""
    box.sandbox.faults.set(US, Fault.METADATA_BROKEN)
    issuer = box.http.get(f"{box.identity()}/.well-known/openid-configuration").json()["issuer"]
    assert f"The issuer '{issuer}' is invalid" in challenge(box)


def test_replaced_signing_key_is_not_found(box: Bench) -> None:
    """Tokens of a new certificate are refused; older ones still work."""
    old = box.token()
    box.sandbox.faults.set(US, Fault.SIGNING_KEY_REPLACED)
    assert "The signature key was not found" in challenge(box)
    assert box.read("/public/policies", old).status_code == 200


def test_stripped_authorization(box: Bench) -> None:
    """A dropped header looks as if no token had been sent."""
    box.sandbox.faults.set(US, Fault.STRIP_AUTHORIZATION)
    assert challenge(box) == "Bearer"


def test_forbidden(box: Bench) -> None:
    """A token of the wrong kind is an empty 403 with the server's headers."""
    box.sandbox.faults.set(US, Fault.FORBIDDEN)
    answer = box.read("/public/policies")
    assert (answer.status_code, answer.content) == (403, b"")
    assert "x-frame-options" in answer.headers


def test_broken_json_is_complete_but_unreadable(box: Bench) -> None:
    """Broken JSON comes with the right length and type."""
    box.sandbox.faults.set(US, Fault.BROKEN_JSON)
    answer = box.read("/config", "")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("application/json")
    with pytest.raises(ValueError, match=r"Expecting|Unterminated"):
        answer.json()


def test_truncated_body_is_noticed(box: Bench) -> None:
    """A truncated body ends before its announced length."""
    box.sandbox.faults.set(US, Fault.TRUNCATED)
    with pytest.raises(httpx.RemoteProtocolError, match="without sending complete message body"):
        box.read("/config", "")


def test_huge_body_is_announced_and_can_be_left(box: Bench) -> None:
    """A huge body is announced with its length, and a client may leave before its end."""
    box.sandbox.faults.set(US, Fault.HUGE_BODY, megabytes=64)
    with box.http.stream("GET", f"{box.api()}/config") as answer:
        assert int(answer.headers["content-length"]) > 64_000_000
        assert next(answer.iter_raw(1000))
    box.sandbox.faults.clear()
    assert box.read("/config", "").status_code == 200


def test_empty_members(box: Bench) -> None:
    """The members can be empty while everything else is there."""
    box.sandbox.faults.set(US, Fault.EMPTY_MEMBERS)
    assert box.read("/public/members").json() == {"object": "list", "data": []}
    assert box.read("/public/groups").json()["data"]


@pytest.mark.parametrize("server", list(ServerName))
def test_vault_at_api(box: Bench, server: ServerName) -> None:
    """The web vault can answer where the API should be."""
    box.sandbox.faults.set(server, Fault.VAULT_AT_API)
    answer = box.read("/config", "", server=server)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/html")


@pytest.mark.parametrize("server", list(ServerName))
def test_other_hosts(box: Bench, server: ServerName) -> None:
    """The server can name other hosts than those it is reached by: for a cloud, the other cloud's."""
    box.sandbox.faults.set(server, Fault.OTHER_HOSTS)
    named = box.read("/config", "", server=server).json()["environment"]
    assert named["identity"] != box.identity(server)
    if server is US:
        assert named["identity"] == box.identity(ServerName.EU)


def test_every_fault_changes_some_answer(box: Bench) -> None:
    """No fault is without effect: each changes the token, a read or the description of the server."""
    # Tested by their own means above.
    apart = {Fault.ENABLE, Fault.SLOW, Fault.DRIP, Fault.RESET, Fault.TRUNCATED, Fault.HUGE_BODY}
    headers = {"Authorization": f"Bearer {box.token()}"}

    def answers() -> list[object]:
        seen: list[object] = []
        for path in ("/config", "/public/members"):
            answer = box.http.get(f"{box.api()}{path}", headers=headers)
            seen += [answer.status_code, answer.headers["date"], answer.content]
        answer = box.ask_token()
        # A fresh token differs every time: its length counts, and whether it is accepted.
        seen += [answer.status_code, len(answer.content)]
        if answer.is_success and answer.text.endswith('"}'):
            seen.append(box.read("/public/members", answer.json()["access_token"]).status_code)
        return seen

    normal = answers()
    for fault in sorted(set(Fault) - apart):
        box.sandbox.faults.set(US, fault)
        assert answers() != normal, fault
        box.sandbox.faults.clear()


def test_console_switches_faults(box: Bench) -> None:
    """A line switches a fault on, with parameters, for a server or an organization by its first word."""
    assert apply(box.sandbox, "fault us slow seconds=0.5").startswith("slow is on for us.")
    assert box.sandbox.faults.on(US)[Fault.SLOW]["seconds"] == 0.5
    apply(box.sandbox, "fault meadow html at=/config")
    assert box.sandbox.faults.on(box.us.client_id)[Fault.HTML] == {"at": "/config"}
    apply(box.sandbox, f"clear {box.us.client_id}")
    assert not box.sandbox.faults.on(box.us.client_id)
    apply(box.sandbox, "clear all")
    assert not box.sandbox.faults.on(US)


def test_console_rotates_and_lists(box: Bench) -> None:
    """A line rotates a secret and tells the new one; the list shows every key and what is on."""
    said = apply(box.sandbox, 'rotate "Harbor Clinic"')
    assert box.organization("Harbor").secret in said
    apply(box.sandbox, "fault harbor disable")
    shown = apply(box.sandbox, "organizations")
    assert all(o.client_id in shown and o.secret in shown and o.story in shown for o in box.sandbox.organizations)
    assert "disable" in shown
    assert len(list_faults()) == len(Fault)
    assert all(str(fault) in apply(box.sandbox, "faults") for fault in Fault)


@pytest.mark.parametrize(
    "line",
    ["dance", "fault us", "fault us sunshine", "fault mars slow", "fault us slow now", "clear x", "rotate us", '"'],
)
def test_console_answers_nonsense_with_a_sentence(box: Bench, line: str) -> None:
    """A line nobody understands changes nothing and is answered."""
    assert apply(box.sandbox, line)
    assert not any(box.sandbox.faults.on(server) for server in ServerName)
    assert apply(box.sandbox, "") == ""
    assert "rotate" in apply(box.sandbox, "help")


def test_slow_does_not_hold_up_the_end() -> None:
    """A sandbox with a waiting client closes at once."""
    with bench() as made:
        made.sandbox.faults.set(US, Fault.SLOW, seconds=60)
        with pytest.raises(httpx.ReadTimeout):
            made.http.get(f"{made.api()}/config", timeout=0.2)
        begun = time.monotonic()
    assert time.monotonic() - begun < 10
