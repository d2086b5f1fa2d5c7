"""The sandbox's token endpoint, points 1 to 12 of its specification (bitwarden-protocol.md section 13)."""

from __future__ import annotations

import base64
import uuid
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicNumbers
from cryptography.hazmat.primitives.hashes import SHA256

from hub_core.sandbox import Fault, ServerName
from tests.sandboxed import SECURITY, Bench, bench, parts_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx


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


def refused(answer: httpx.Response, code: str) -> bool:
    """Tell whether an answer is the OAuth error with this code, byte for byte."""
    return (answer.status_code, answer.content) == (400, f'{{"error":"{code}"}}'.encode())


@pytest.mark.parametrize("name", ["Meadow", "Alpine", "Orchard"])
def test_point_01_token_endpoint_in_both_layouts(box: Bench, name: str) -> None:
    """The token endpoint is served in cloud layout and under `/identity` in self-host layout."""
    assert box.ask_token(box.organization(name)).status_code == 200


@pytest.mark.parametrize("server", [ServerName.US, ServerName.SELF_HOSTED])
def test_point_01_token_path_is_exact_but_for_case(box: Bench, server: ServerName) -> None:
    """The token path is matched without case; a trailing or doubled slash is an empty 404."""
    identity = box.identity(server)
    assert refused(box.http.post(f"{identity}/Connect/TOKEN", data={"client_id": "x"}), "invalid_client")
    for path in ("/connect/token/", "//connect/token"):
        answer = box.http.post(f"{identity}{path}", data={"client_id": "x"})
        assert (answer.status_code, answer.content) == (404, b"")


def test_point_02_other_methods_and_bodies(box: Bench) -> None:
    """Anything but a form sent with POST is `invalid_request`."""
    url = f"{box.identity()}/connect/token"
    form = {"grant_type": "client_credentials", "client_id": box.us.client_id, "client_secret": box.us.secret}
    for method in ("GET", "PUT", "DELETE"):
        assert refused(box.http.request(method, url), "invalid_request")
    assert refused(box.http.post(url, json=form), "invalid_request")
    assert refused(box.http.post(url, files={"client_id": b"x"}), "invalid_request")
    assert refused(box.http.post(url, content=b"client_id=x"), "invalid_request")


def test_point_03_basic_comes_before_the_form(box: Bench) -> None:
    """Credentials in a Basic header win; a Basic header without secret leaves it to the form."""
    url = f"{box.identity()}/connect/token"
    grant = {"grant_type": "client_credentials"}
    right = (box.us.client_id, box.us.secret)
    wrong = {**grant, "client_id": box.us.client_id, "client_secret": "wrong"}
    assert box.http.post(url, data=grant, auth=right).status_code == 200
    assert box.http.post(url, data=wrong, auth=right).status_code == 200
    both = {**grant, "client_id": right[0], "client_secret": right[1]}
    assert refused(box.http.post(url, data=both, auth=(right[0], "wrong")), "invalid_client")
    assert box.http.post(url, data=both, auth=(right[0], "")).status_code == 200


def test_point_03_first_value_wins_and_length_is_bounded(box: Bench) -> None:
    """The first of repeated fields counts; no id, a blank or an over-long one is `invalid_request`."""
    url = f"{box.identity()}/connect/token"
    twice = {"grant_type": "client_credentials", "client_id": [box.us.client_id, "x"], "client_secret": box.us.secret}
    assert box.http.post(url, data=twice).status_code == 200
    for client_id in (None, "", "  ", "organization." + "a" * 100):
        assert refused(box.ask_token(client_id=client_id), "invalid_request")
    assert refused(box.ask_token(client_secret="x" * 101), "invalid_request")


@pytest.mark.parametrize(
    "spelling", ["{}", "{{{}}}", "({})", " {} "], ids=["dashes", "braces", "parentheses", "blanks"]
)
def test_point_04_guid_is_read_leniently(box: Bench, spelling: str) -> None:
    """The uuid of the client id is accepted in every spelling .NET accepts; the prefix must be exact."""
    for guid in (box.us.guid, box.us.guid.upper()):
        assert box.ask_token(client_id="organization." + spelling.format(guid)).status_code == 200
    assert box.ask_token(client_id="organization." + box.us.guid.replace("-", "")).status_code == 200


def test_point_04_every_refused_id_gets_the_same_bytes(box: Bench) -> None:
    """Unknown, malformed, foreign, disabled and API-less organizations cannot be told apart."""
    guid = box.us.guid
    ids = ["organization.not-a-guid", "organization.", "organization", f"Organization.{guid}", f"organization.{guid}.x"]
    ids += [guid, f"organization.{uuid.UUID(int=7)}", f"installation.{guid}", f"organization.{guid[:-1]}"]
    answers = [box.ask_token(client_id=client_id) for client_id in ids]
    answers += [box.ask_token(box.organization(name)) for name in ("Lapsed", "Garden")]
    answers += [box.ask_token(box.organization("Alpine"), ServerName.US)]
    assert all(refused(answer, "invalid_client") for answer in answers)
    assert len({tuple(answer.headers.items()) for answer in answers}) == 1


def test_point_05_secret_is_compared_exactly(box: Bench) -> None:
    """A secret is neither trimmed nor compared without case; a missing one is wrong."""
    right = box.us.secret
    for secret in (right + " ", " " + right, right + "\n", right.swapcase(), right[:-1], "", " ", None):
        assert refused(box.ask_token(client_secret=secret), "invalid_client")


def test_point_05_rotation_counts_at_once(box: Bench) -> None:
    """After a rotation only the new secret is accepted."""
    harbor = box.organization("Harbor")
    fresh = box.sandbox.rotate(harbor.client_id)
    assert len(fresh) == 30
    assert fresh.isalnum()
    assert refused(box.ask_token(harbor), "invalid_client")
    assert box.ask_token(harbor, client_secret=fresh).status_code == 200
    assert box.organization("Harbor").secret == fresh


def test_point_06_grant_and_scope_only_after_the_secret(box: Bench) -> None:
    """Grant and scope are judged only once the secret was right."""
    for grant, code in (
        (None, "unsupported_grant_type"),
        ("", "unsupported_grant_type"),
        ("webauthn", "unsupported_grant_type"),
        ("password", "unauthorized_client"),
        ("authorization_code", "unauthorized_client"),
        ("refresh_token", "invalid_request"),
    ):
        assert refused(box.ask_token(grant_type=grant), code)
        assert refused(box.ask_token(grant_type=grant, client_secret="wrong"), "invalid_client")
    assert refused(box.ask_token(grant_type="refresh_token", refresh_token="x"), "invalid_grant")


def test_point_06_scope(box: Bench) -> None:
    """Without a scope the only one is granted; any other is `invalid_scope`."""
    for scope in (None, "", " "):
        assert box.ask_token(scope=scope).json()["scope"] == "api.organization"
    for scope in ("api", "openid", "API.ORGANIZATION", "api.organization api"):
        assert refused(box.ask_token(scope=scope), "invalid_scope")


def test_point_07_personal_key(box: Bench) -> None:
    """A personal key with its right secret is refused the organization scope, with a wrong one it is a wrong client."""
    robin = box.organization("Robin")
    assert robin.client_id.startswith("user.")
    assert refused(box.ask_token(robin), "invalid_scope")
    assert refused(box.ask_token(robin, client_secret="wrong"), "invalid_client")
    answer = box.ask_token(robin, scope="api")
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant")
    assert "ErrorModel" in answer.json()


def test_point_08_headers_of_the_token_endpoint(box: Bench) -> None:
    """Errors and successes forbid caching and name their character set; errors need no sign-in scheme."""
    for answer in (box.ask_token(), box.ask_token(client_secret="wrong")):
        assert answer.headers["content-type"] == "application/json; charset=UTF-8"
        assert answer.headers["cache-control"] == "no-store, no-cache, max-age=0"
        assert answer.headers["pragma"] == "no-cache"
        assert "www-authenticate" not in answer.headers
        assert SECURITY.items() <= dict(answer.headers).items()


def test_point_09_success_body(box: Bench) -> None:
    """A success has exactly four members."""
    body = box.ask_token().json()
    token = body.pop("access_token")
    assert body == {"expires_in": 3600, "token_type": "Bearer", "scope": "api.organization"}
    assert token.count(".") == 2


def test_point_10_claims(box: Bench) -> None:
    """The token has the claims of section 1.3, a canonical client id, and neither `sub` nor `aud`."""
    sent = "organization." + box.us.guid.upper().replace("-", "")
    header, claims = parts_of(box.ask_token(client_id=sent).json()["access_token"])
    seconds = int(box.now.timestamp())
    jti = claims.pop("jti")
    assert claims == {
        "iss": box.identity(),
        "nbf": seconds,
        "iat": seconds,
        "exp": seconds + 3600,
        "scope": ["api.organization"],
        "client_id": box.us.client_id,
        "client_sub": box.us.guid,
        "client_type": "Organization",
    }
    assert (len(jti), jti) == (32, jti.upper())
    assert (header["alg"], header["typ"]) == ("RS256", "at+jwt")
    assert header["kid"].endswith("RS256")


def test_point_10_signature_verifies_with_the_served_key(box: Bench) -> None:
    """The signature is a real one: the key of the served key set verifies it."""
    token = box.token()
    keys = box.http.get(f"{box.identity()}/.well-known/openid-configuration/jwks").json()["keys"]
    (key,) = (key for key in keys if key["kid"] == parts_of(token)[0]["kid"])
    n, e = (int.from_bytes(base64.urlsafe_b64decode(key[name] + "==")) for name in ("n", "e"))
    signed, _, signature = token.rpartition(".")
    public = RSAPublicNumbers(e, n).public_key()
    public.verify(base64.urlsafe_b64decode(signature + "=="), signed.encode(), PKCS1v15(), SHA256())


def test_point_10_issuers(box: Bench) -> None:
    """Each kind of server has its own kind of issuer, and an operator may set another."""
    issuers = {name: parts_of(box.token(box.organization(name)))[1]["iss"] for name in ("Alpine", "Orchard", "Cedar")}
    origin = box.running.origin
    assert issuers == {
        "Alpine": f"{origin}/eu/identity",
        "Orchard": "http://identity",
        "Cedar": f"{origin}|api.organization",
    }
    with bench(issuers={ServerName.SELF_HOSTED: "http://localhost"}) as lite:
        assert parts_of(lite.token(lite.organization("Orchard")))[1]["iss"] == "http://localhost"


def test_point_11_unknown_fields_are_ignored(box: Bench) -> None:
    """Device fields and unknown ones change nothing, present or not."""
    without = dict.fromkeys(("device_identifier", "device_name", "device_type"))
    assert box.ask_token(**without).status_code == 200
    assert box.ask_token(deviceType="8", anything="x").status_code == 200


def test_point_12_unhandled_failures_are_an_empty_500(box: Bench) -> None:
    """A missing key row and a lost database end in a 500 without a body, whatever the secret."""
    for fault in (Fault.MISSING_KEY_ROW, Fault.TOKEN_500):
        box.sandbox.faults.set(box.us.client_id, fault)
        for answer in (box.ask_token(), box.ask_token(client_secret="wrong")):
            assert (answer.status_code, answer.content) == (500, b"")
        assert box.ask_token(box.organization("Harbor"), client_secret="wrong").status_code == 400
        box.sandbox.faults.clear()
