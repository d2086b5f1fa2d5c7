"""The Link page without a browser: region, address, key, what goes wrong, and what is linked."""

from __future__ import annotations

import dataclasses
import socket
from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple

import pytest

from hub_core import texts
from hub_core.bitwarden.regions import REGIONS
from hub_core.model import Reason, RegionId, Remedy, Status
from hub_core.sandbox import Fault, ServerName
from tests.paging import Visitor, check, forget_requests, hub, link, organization, own_hub, rotate, sandbox

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

UUID = "0f8fad5b-d9cb-469f-a165-70867728950e"
CLIENT_ID = f"organization.{UUID}"
SECRET = "CanaryCanaryCanaryCanary012345"


@pytest.fixture(autouse=True)
def _hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    with own_hub(monkeypatch, tmp_path):
        yield


def fresh(region: RegionId = RegionId.US) -> Visitor:
    """Open the Link page at a region."""
    return Visitor("link.py", region=region)


def in_sandbox(word: str, *, at: ServerName | None = None) -> Visitor:
    """Open the Link page and fill in a sandbox organization's key, perhaps for another server."""
    visitor = choose(fresh(RegionId.SANDBOX), word)
    return visitor.type(link_sandbox_server=at) if at else visitor


def choose(visitor: Visitor, word: str) -> Visitor:
    """Fill in a sandbox organization's key by the buttons of the page."""
    offered = next(o for o in hub().sandbox.organizations() if o.name.startswith(word))
    return visitor.type(link_sandbox_organization=offered).press("link_use")


def then_links(visitor: Visitor, word: str = "Harbor") -> None:
    """Prove that the same page links an organization after whatever went wrong."""
    forget_requests()
    sandbox().faults.clear()
    if visitor.value("link_region") is not RegionId.SANDBOX:
        visitor.type(link_region=RegionId.SANDBOX)
    choose(visitor, word).press("link_submit")
    assert visitor.facts()["Label"] == organization(word).name
    assert "linked_open" in visitor.buttons
    assert not visitor.at.error


# ---- where


def test_empty_page_has_two_doors() -> None:
    """With nothing linked the Accounts page teaches, and leads to the form and to the sandbox."""
    assert "No organization is linked yet" in Visitor().text
    assert Visitor().press("door_link").value("link_region") is RegionId.US
    assert Visitor().press("door_sandbox").value("link_region") is RegionId.SANDBOX


def test_no_sandbox_no_door(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the sandbox neither its door nor its region is offered, not even by address."""
    monkeypatch.setenv("LINKHUB_SANDBOX", "0")
    assert Visitor().buttons == {"door_link"}
    visitor = fresh(RegionId.SANDBOX)
    assert visitor.value("link_region") is RegionId.US
    assert "Sandbox" not in visitor.text


@pytest.mark.parametrize("chosen", [RegionId.US, RegionId.EU, RegionId.GOV])
def test_region_rules_the_page(chosen: RegionId) -> None:
    """A cloud shows its own two hosts and its own web vault, and not one host of any other cloud."""
    visitor = fresh().type(link_region=chosen, link_client_id=CLIENT_ID)
    clouds = {row.id: row.endpoints for row in REGIONS if row.endpoints}
    own = clouds.pop(chosen)
    assert f"Requests go to `{own.api}` and `{own.identity}`, nowhere else." in visitor.text
    assert f"Sign in to `{own.vault}` as an **Owner**" in visitor.text
    (button,) = visitor.at.link_button
    assert button.url == f"{own.vault}/#/organizations/{UUID}/settings/account"
    for other in clouds.values():
        for address in (other.api, other.identity, other.vault):
            assert f"`{address}`" not in visitor.text


def test_deep_link_waits_for_a_client_id() -> None:
    """Without a client id that can be read there is no button, and a sentence says what it waits for."""
    visitor = fresh()
    assert not visitor.at.link_button
    assert "Type the client ID, and a button here opens the right page." in visitor.text
    assert not visitor.type(link_client_id="organization.nonsense").at.link_button
    assert visitor.type(link_client_id=UUID.upper()).press("link_prefix").at.link_button


def test_self_hosted_guide() -> None:
    """The guide names the person's own vault once it is known, and no plan or cloud."""
    visitor = fresh(RegionId.SELF_HOSTED)
    assert "your own server's web vault" in visitor.text
    visitor.type(link_server="vault.corp.example/#/login", link_client_id=CLIENT_ID)
    assert "Sign in to `https://vault.corp.example`" in visitor.text
    assert visitor.at.link_button[0].url.startswith("https://vault.corp.example/#/organizations/")
    assert "its own key" in visitor.text
    assert "bitwarden.com" not in visitor.text


def test_unknown_region_in_the_address() -> None:
    """A made-up region in the address opens the form all the same."""
    assert Visitor("link.py", region="mars").value("link_region") is RegionId.US


@pytest.mark.parametrize(
    ("typed", "base", "note"),
    [
        ("vault.corp.example", "https://vault.corp.example", "Put https:// in front"),
        (" “https://vault.corp.example/” ", "https://vault.corp.example", "Removed blanks"),
        ("https://vault.corp.example/api/", "https://vault.corp.example", "Left out /api"),
        ("https://vault.corp.example/identity/connect/token", "https://vault.corp.example", "Left out /identity"),
        (f"https://v.example:8443/#/organizations/{UUID}/vault", "https://v.example:8443", "page of the web vault"),
        ("https://corp.example/bitwarden", "https://corp.example/bitwarden", ""),
        ("https://bücher.example", "https://xn--bcher-kva.example", "looked up as"),
    ],
)
def test_address_is_echoed(typed: str, base: str, note: str) -> None:
    """Whatever is pasted, the two addresses that will be called are shown before anything is sent."""
    visitor = fresh(RegionId.SELF_HOSTED).type(link_server=typed)
    assert f"Requests go to `{base}/api` and `{base}/identity`, nowhere else." in visitor.text
    assert note in visitor.text
    assert not visitor.at.error


@pytest.mark.parametrize(("typed", "cloud"), [("vault.bitwarden.com", "US"), ("bitwarden.eu", "EU")])
def test_cloud_address_is_recognized(typed: str, cloud: str) -> None:
    """The address of a cloud typed as a server means that cloud."""
    visitor = fresh(RegionId.SELF_HOSTED).type(link_server=typed)
    endpoints = next(row.endpoints for row in REGIONS if row.name == cloud)
    assert endpoints
    assert f"`{endpoints.api}` and `{endpoints.identity}`" in visitor.text
    assert f"Bitwarden's {cloud} cloud" in visitor.text


BAD_ADDRESSES = [
    ("http://vault.corp.example", "Over http:// everyone on the way could read the key."),
    ("ftp://vault.corp.example", "Only https:// addresses can be used"),
    ("https:vault.corp.example", "Two slashes are missing"),
    ("https//vault.corp.example", "with its colon"),
    ("https://", "has no host name"),
    ("me:pass@vault.corp.example", "Leave out the “@”"),
    ("https://vault.corp.example?x=1", "Leave out the “?”"),
    ("https://vault.corp.example#x y", "no blanks"),
    ("https://vault.corp.example#x=y", "Leave out the “#”"),
    ("https://vault corp.example", "no blanks"),
    ("https://vault.corp.example\\api", "backslash"),
    ("https://vault%2ecorp.example", "no “%”"),
    ("https://vault..example", "not a host name"),
    ("https://vault.corp.example:99999", "from 1 to 65535"),
    ("https://2001:db8::1/", "IPv6 address in brackets"),
    ("https://[::zz]/", "not an IPv6 address"),
    ("https://0x7f.1", "four plain numbers"),
    ("https://vault.corp.example/a/../b", "Type it without"),
    ("https://vault.corp.example/<b>", "letters a to z"),
    ("https://vault.bitwarden.com:8443", "does not answer on port"),
    ("https://" + "a" * 3000, "far too long"),
    ("https://vault\u202ecorp.example", "cannot be seen"),
]


def test_bad_address_gets_its_sentence() -> None:
    """Each class of address that cannot be used is answered with what to type instead, and a good one mends it."""
    visitor = fresh(RegionId.SELF_HOSTED)
    for typed, sentence in BAD_ADDRESSES:
        (error,) = visitor.type(link_server=typed).texts("error")
        assert sentence in error, typed
        assert "Requests go to" not in visitor.text
        assert not visitor.type(link_server="vault.corp.example").at.error


def test_pair_of_addresses() -> None:
    """Two addresses can be given apart; the single one steps aside, and mixed-up ones are told."""
    visitor = fresh(RegionId.SELF_HOSTED)
    visitor.type(link_api="https://api.corp.example", link_identity="https://sso.corp.example/bw")
    assert "Requests go to `https://api.corp.example` and `https://sso.corp.example/bw`" in visitor.text
    assert visitor.element("link_server").disabled
    assert "belongs in the other field" in visitor.type(link_api="https://v.example/identity").texts("error")[0]
    visitor.type(link_api="https://api.bitwarden.com", link_identity="https://identity.bitwarden.eu")
    assert "belong to different places" in visitor.texts("error")[0]


# ---- the key


@pytest.mark.parametrize(
    ("typed", "sentence"),
    [
        ("user." + UUID, "personal API key"),
        ("installation." + UUID, "installation id"),
        (CLIENT_ID[:-7], "7 characters are missing"),
        ("organization.zzz", "not an organization's id"),
        ("https://vault.bitwarden.com", "an address, not a client ID"),
        ("me@corp.example", "an e-mail address"),
        ("Meadow Bakery", "looks like a name"),
        ("o" * 5000, "far too long"),
    ],
)
def test_wrong_client_id_is_told_while_typing(typed: str, sentence: str) -> None:
    """What is not an organization's client id is recognized as soon as the field is left."""
    visitor = fresh(RegionId.EU).type(link_client_id=typed)
    assert sentence in visitor.texts("error")[0]
    assert not visitor.type(link_client_id=CLIENT_ID).at.error


def test_bare_uuid_gets_its_prefix() -> None:
    """A uuid alone is recognized, and one click puts the prefix in front."""
    visitor = fresh().type(link_client_id=UUID.upper())
    assert "without “organization.”" in visitor.texts("error")[0]
    assert visitor.press("link_prefix").value("link_client_id") == CLIENT_ID
    assert not visitor.at.error


def test_cleaned_client_id_is_said() -> None:
    """What copying added is removed, and the page says so."""
    visitor = fresh().type(link_client_id=f' "{CLIENT_ID.upper()}"\u200b\n')
    assert "Removed quotation marks around the client ID." in visitor.text
    assert "Wrote the client ID the way Bitwarden does" in visitor.text


def test_swapped_fields() -> None:
    """The secret in the field of the client id is told, and taken out of the page."""
    visitor = fresh().fill(link_client_id=SECRET, link_secret=CLIENT_ID, link_label="Meadow").press("link_submit")
    assert "Swap the two fields" in visitor.texts("error")[0]
    assert not visitor.where(SECRET)
    then_links(visitor)


def test_secret_alone_in_the_wrong_field() -> None:
    """A secret typed as the client id is recognized and does not stay readable on the page after the submit."""
    visitor = fresh().fill(link_client_id=SECRET, link_label="Meadow").press("link_submit")
    assert "looks like the client secret" in visitor.texts("error")[0]
    assert not visitor.where(SECRET)


@pytest.mark.parametrize(
    "block",
    [
        f"client_id:\n{CLIENT_ID}\nclient_secret:\n{SECRET}\nscope:\napi.organization\ngrant_type:\nclient_credentials",
        f"BW_CLIENT_ID={CLIENT_ID}\nBW_CLIENT_SECRET='{SECRET}'",
        f'{{"client_id": "{CLIENT_ID}", "client_secret": "{SECRET}"}}',
    ],
)
def test_paste_everything(block: str) -> None:
    """One pasted block fills in the client id and keeps the secret, which is nowhere on the page afterwards."""
    visitor = fresh().type(link_block=block).press("link_fill")
    assert visitor.value("link_client_id") == CLIENT_ID
    assert "Found in the pasted text: client ID, client secret." in visitor.text
    assert not visitor.where(SECRET)
    assert "leave empty to use it again" in visitor.element("link_secret").proto.placeholder
    visitor.press("link_submit")
    assert visitor.texts("error") == [
        "Give the organization a label. Bitwarden does not tell its name, so this is what you will see."
    ]


def test_paste_with_a_server() -> None:
    """A block that names the server fills in its address too, where one is asked for."""
    visitor = fresh(RegionId.SELF_HOSTED).type(
        link_block=f"server: https://vault.corp.example\nclient_id: {CLIENT_ID}\nclient_secret: {SECRET}"
    )
    visitor.press("link_fill")
    assert visitor.value("link_server") == "https://vault.corp.example"
    assert "Requests go to `https://vault.corp.example/api`" in visitor.text


def test_block_without_a_key() -> None:
    """Text with no key in it changes nothing and says so."""
    visitor = fresh().type(link_client_id=CLIENT_ID, link_block="good morning").press("link_fill")
    assert "Found no key in the pasted text." in visitor.text
    assert visitor.value("link_client_id") == CLIENT_ID


def test_block_never_outlives_a_submit() -> None:
    """A block that was pasted and not used is gone after the submit too."""
    visitor = fresh().fill(link_block=f"client_secret: {SECRET}").press("link_submit")
    assert not visitor.where(SECRET)


def test_field_errors_keep_what_was_typed() -> None:
    """Errors stand at their fields, everything but the secret stays, and the kept secret serves the next try."""
    which = organization("Meadow")
    visitor = fresh(RegionId.SANDBOX)
    visitor.fill(link_client_id=which.client_id[:-1], link_secret=which.secret, link_label=" ", link_tags="a, b")
    visitor.fill(link_note="hello").press("link_submit")
    assert len(visitor.texts("error")) == 2
    assert visitor.value("link_client_id") == which.client_id[:-1]
    assert (visitor.value("link_tags"), visitor.value("link_note")) == ("a, b", "hello")
    assert visitor.value("link_secret") == ""
    visitor.fill(link_client_id=which.client_id, link_label="Meadow").press("link_submit")
    assert visitor.facts()["Label"] == "Meadow"
    assert (hub().accounts()[0].tags, hub().account(hub().accounts()[0].id).note) == (("a", "b"), "hello")


def test_nothing_filled_in() -> None:
    """An empty form is answered field by field."""
    told = " ".join(fresh().press("link_submit").texts("error"))
    assert "Paste the client ID" in told
    assert "Give the organization a label" in told


def test_limits_hold_without_a_browser() -> None:
    """Text longer than the fields allow is cut to their limits, whoever sends it."""
    visitor = in_sandbox("Meadow")
    visitor.fill(link_label="x" * 10_000, link_note="y" * 10_000, link_tags=",".join(str(n) * 50 for n in range(99)))
    visitor.press("link_submit")
    account = hub().account(hub().accounts()[0].id)
    assert (len(account.label), len(account.note), len(account.tags)) == (120, 4000, 20)
    assert all(len(tag) <= 40 for tag in account.tags)


def test_address_of_another_organization() -> None:
    """The uuid in a pasted vault address is compared with the client id before anything is sent."""
    other = UUID[:-1] + "f"
    visitor = fresh(RegionId.SELF_HOSTED).type(link_server=f"https://v.example/#/organizations/{other}/vault")
    visitor.fill(link_client_id=CLIENT_ID, link_secret=SECRET, link_label="Meadow").press("link_submit")
    assert f"The address is of organization {other}" in visitor.texts("error")[0]
    assert not visitor.where(SECRET)


def test_bad_ca_certificate() -> None:
    """A CA certificate that cannot be read is told at its field."""
    visitor = fresh(RegionId.SELF_HOSTED).type(link_server="vault.corp.example")
    visitor.fill(link_client_id=CLIENT_ID, link_secret=SECRET, link_label="M", link_ca="no certificate")
    assert visitor.press("link_submit").texts("error")
    assert not visitor.where(SECRET)


# ---- what goes wrong


class Case(NamedTuple):
    """One thing that goes wrong while verifying in the sandbox, and what the page shows."""

    reason: Reason
    word: str = "Meadow"
    at: ServerName | None = None
    fault: Fault | None = None
    secret: str = ""
    button: str = ""

    def __str__(self) -> str:
        return "-".join(str(part) for part in (self.fault or self.word.lower(), self.at) if part)


OTHER, AGAIN, WAIT = "link_other", "link_again", "link_wait"
CASES = [
    Case(Reason.KEY_NEVER_ACCEPTED, "Lapsed", button=OTHER),
    Case(Reason.KEY_NEVER_ACCEPTED, "Garden", button=OTHER),
    Case(Reason.KEY_NEVER_ACCEPTED, "Alpine", ServerName.US, button=OTHER),
    Case(Reason.KEY_NEVER_ACCEPTED, "Meadow", ServerName.EU, button=OTHER),
    Case(Reason.KEY_NEVER_ACCEPTED, "Orchard", secret=SECRET),
    Case(Reason.VAULTWARDEN_WRONG_SECRET, "Cedar", secret=SECRET),
    Case(Reason.VAULTWARDEN_UNKNOWN_ID, "Meadow", ServerName.VAULTWARDEN),
    Case(Reason.TOKEN_FAULT, fault=Fault.TOKEN_500, button=AGAIN),
    Case(Reason.TOKEN_FAULT, fault=Fault.MISSING_KEY_ROW, button=AGAIN),
    Case(Reason.READ_FAULT, fault=Fault.API_500, button=AGAIN),
    Case(Reason.APPLICATION_DOWN, fault=Fault.BAD_GATEWAY, button=AGAIN),
    Case(Reason.WEB_PAGE, fault=Fault.HTML, button=AGAIN),
    Case(Reason.ANSWER_LOST, fault=Fault.RESET, button=AGAIN),
    Case(Reason.REDIRECTED, fault=Fault.REDIRECT, button=AGAIN),
    Case(Reason.EDGE_BLOCKED, fault=Fault.EDGE_403, button=AGAIN),
    Case(Reason.EDGE_BLOCKED, fault=Fault.EDGE_1020, button=AGAIN),
    Case(Reason.EDGE_RATE_LIMITED, fault=Fault.EDGE_429, button=WAIT),
    Case(Reason.TRAFFIC_UNUSUAL, fault=Fault.UNUSUAL_TRAFFIC, button=AGAIN),
    Case(Reason.PROXY_PASSWORD, fault=Fault.BASIC_AUTH, button=AGAIN),
    Case(Reason.TOKEN_OF_OTHER_SERVER, fault=Fault.FOREIGN_ISSUER),
    Case(Reason.SIGNING_KEY_UNKNOWN, fault=Fault.SIGNING_KEY_REPLACED, button=AGAIN),
    Case(Reason.SERVER_CANNOT_VALIDATE, fault=Fault.METADATA_BROKEN, button=AGAIN),
    Case(Reason.TOKEN_NOT_DELIVERED, fault=Fault.STRIP_AUTHORIZATION, button=AGAIN),
    Case(Reason.READ_FORBIDDEN, fault=Fault.FORBIDDEN),
    Case(Reason.ANSWER_UNREADABLE, fault=Fault.BROKEN_JSON, button=AGAIN),
    Case(Reason.ANSWER_LOST, fault=Fault.TRUNCATED, button=AGAIN),
    Case(Reason.ANSWER_TOO_LARGE, fault=Fault.HUGE_BODY),
    Case(Reason.MEMBERS_EMPTY, fault=Fault.EMPTY_MEMBERS),
    Case(Reason.HOSTS_MISMATCH, fault=Fault.OTHER_HOSTS),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_failure_is_explained(case: Case) -> None:
    """A failed stage shows title, meaning, causes and steps and the one button that helps; then linking works."""
    visitor = in_sandbox(case.word, at=case.at)
    if case.fault:
        sandbox().faults.set(case.at or organization(case.word).server, case.fault)
    secret = case.secret or visitor.value("link_secret")
    label = visitor.value("link_label")
    visitor.fill(link_secret=secret).press("link_submit")
    check, _, _ = visitor.at.session_state["link_failed"]
    assert check.failure.reason is case.reason
    official = visitor.value("link_sandbox_server") in {ServerName.US, ServerName.EU}
    told = texts.explain(
        case.reason,
        evidence=check.failure.evidence,
        self_hosted=not official,
        official=official,
        key_accepted=check.key_proven,
    )
    kind = "warning" if told.remedy is Remedy.WAIT else "error"
    assert told.title in visitor.texts(kind)[0]
    for sentence in (told.meaning, *told.causes, *told.steps):
        assert " ".join(sentence.split()) in visitor.text
    assert visitor.at.status[0].label == "Not linked: nothing was stored"
    assert visitor.buttons & {OTHER, AGAIN, WAIT} == ({case.button} if case.button else set())
    assert visitor.value("link_label") == label
    assert [kind for kind in visitor.where(secret) if kind != "code"] == []
    assert not hub().accounts()
    then_links(visitor)


def test_personal_key_never_leaves() -> None:
    """The sandbox's personal key is recognized before anything is sent."""
    visitor = in_sandbox("Robin").press("link_submit")
    assert "personal API key" in visitor.texts("error")[0]
    assert not sandbox().limits._windows
    then_links(visitor)


def test_odd_secret_is_only_a_warning() -> None:
    """A secret of the wrong length is sent all the same, and the page says that it looks odd."""
    visitor = in_sandbox("Meadow").fill(link_secret=SECRET[:-1]).press("link_submit")
    assert texts.REASONS[Reason.SECRET_LENGTH].title in visitor.text
    assert visitor.at.session_state["link_failed"][0].failure.reason is Reason.KEY_NEVER_ACCEPTED
    assert not visitor.where(SECRET[:-1])


def test_try_the_same_key_in_the_other_cloud() -> None:
    """A key refused by one cloud is sent to the other only after the click, which links it there."""
    visitor = in_sandbox("Alpine", at=ServerName.US).press("link_submit")
    assert visitor.at.button(OTHER).label == "Try the same key in EU"
    assert all("eu" not in service.split("/") for service, *_ in sandbox().limits._windows)
    visitor.press(OTHER)
    assert visitor.facts()["Label"] == "Alpine Logistics"
    assert any("eu" in service.split("/") for service, *_ in sandbox().limits._windows)
    account = hub().accounts()[0]
    assert "/eu/" in hub().account(account.id).endpoints.identity
    assert not visitor.press("linked_another").at.error


def test_a_failure_goes_with_its_addresses() -> None:
    """What one server said is not left standing when another one is chosen."""
    visitor = in_sandbox("Lapsed").press("link_submit")
    assert "refused this key" in visitor.texts("error")[0]
    visitor.fill(link_sandbox_server=ServerName.SELF_HOSTED)
    visitor.run()
    assert not visitor.at.error


def test_refused_in_both_clouds() -> None:
    """After the other cloud refused the key too, the page does not send people back and forth."""
    visitor = in_sandbox("Lapsed").press("link_submit").press(OTHER)
    assert "refused this key" in visitor.texts("error")[0]
    assert OTHER not in {button.key for button in visitor.at.button}
    assert visitor.value("link_sandbox_server") is ServerName.EU
    then_links(visitor)


def test_rate_limit_counts_down() -> None:
    """A 429 is never called a bad key: the page says how long to wait, then offers to try again with the same key."""
    visitor = in_sandbox("Meadow")
    sandbox().faults.set("us", Fault.RATE_LIMITED, seconds=37)
    visitor.press("link_submit")
    assert "The server asks to wait" in visitor.texts("warning")[0]
    assert "refused this key" not in visitor.text
    assert visitor.at.button(WAIT).disabled
    assert visitor.at.button(WAIT).label.startswith("Try again in 3")
    sandbox().faults.clear()
    _a_minute_later(visitor)
    assert visitor.run().press(AGAIN).facts()["Label"] == "Meadow Bakery"


def test_spent_budget_counts_down() -> None:
    """The hub's own budget makes a person wait, says so, and blames no key."""
    visitor = in_sandbox("Meadow")
    origin = hub().sandbox.origin
    for _ in range(hub().settings.token_limit):
        assert not hub().store.budget.take(origin, at=hub().clock.now(), limit=60, spacing_ms=0)
    visitor.press("link_submit")
    assert "The hub is pacing itself" in visitor.texts("warning")[0]
    assert "refused this key" not in visitor.text
    assert visitor.at.button(WAIT).disabled
    _a_minute_later(visitor)
    assert visitor.run().press(AGAIN).facts()["Label"] == "Meadow Bakery"


def _a_minute_later(visitor: Visitor) -> None:
    """Let the wait be over: the failed check is older, and the minute's requests are forgotten."""
    check, endpoints, ticket = visitor.at.session_state["link_failed"]
    earlier = dataclasses.replace(check, at=check.at - timedelta(minutes=2))
    visitor.at.session_state["link_failed"] = (earlier, endpoints, ticket)
    forget_requests()


def test_held_key_expires() -> None:
    """When the held key is gone the page asks for the secret again instead of failing."""
    visitor = in_sandbox("Alpine", at=ServerName.US).press("link_submit")
    hub()._held._kept.clear()
    visitor.press(OTHER)
    assert visitor.texts("error") == ["Too much time has passed: paste the secret again."]
    then_links(visitor)


def test_hub_starts_its_own_sandbox(monkeypatch: pytest.MonkeyPatch, free_port: int, tmp_path: Path) -> None:
    """While the sandbox's port is taken the form says so and keeps what was typed; then the hub starts its own."""
    monkeypatch.setenv("LINKHUB_SANDBOX_PORT", str(free_port))
    (tmp_path / "data" / "sandbox" / "ca.pem").unlink()
    with socket.create_server(("127.0.0.1", free_port)):
        visitor = in_sandbox("Meadow").press("link_submit")
        assert "The sandbox cannot start" in visitor.texts("error")[0]
        assert f"port {free_port}." in visitor.texts("error")[0]
        assert visitor.value("link_client_id") == organization("Meadow").client_id
    then_links(visitor)
    assert hub().sandbox.state


# ---- what is linked


def test_success_shows_facts() -> None:
    """The popup tells what was linked in facts, and its secret is known nowhere but in the sandbox's own display."""
    visitor = in_sandbox("Meadow")
    secret = visitor.value("link_secret")
    visitor.press("link_submit")
    facts = visitor.facts()
    which = organization("Meadow")
    assert facts["Region"] == "Sandbox"
    assert facts["API"] == f"{hub().sandbox.origin}/us/api"
    assert facts["Organization"] == which.guid
    assert facts["Client ID ends in"] == which.client_id[-4:]
    assert facts["Server"].startswith("Bitwarden 20")
    assert facts["Can be read"].split(", ")[1] == "Members"
    assert facts["Members"].startswith("240: ")
    assert visitor.where(secret) == ["code"]
    assert all(visitor.value(name) == "" for name in ("link_client_id", "link_secret", "link_label", "link_tags"))


def test_vaultwarden_success_says_what_is_missing() -> None:
    """Where nothing can be read, the popup says so instead of showing zeros."""
    facts = in_sandbox("Cedar").press("link_submit").facts()
    assert facts["Can be read"] == "nothing on this server"
    assert facts["Members"] == "not reported"
    assert hub().accounts()[0].status is Status.LIMITED


def test_popup_leads_on() -> None:
    """Each button of the popup leads where it says, and the popup does not come back."""
    visitor = in_sandbox("Meadow").press("link_submit").press("linked_open")
    assert visitor.at.title[0].value == "Meadow Bakery"
    visitor = in_sandbox("Harbor").press("link_submit").press("linked_another")
    assert "linked_open" not in visitor.buttons
    assert visitor.value("link_client_id") == ""
    visitor = in_sandbox("Alpine").press("link_submit").press("linked_accounts")
    assert visitor.at.title[0].value == "Accounts"
    assert "linked_open" not in visitor.go("link.py").buttons


def test_popup_of_an_account_that_is_gone() -> None:
    """An account unlinked by somebody else before the popup opened leaves an empty form."""
    account = link("Meadow")
    visitor = fresh()
    visitor.at.session_state["linked"] = account.id
    hub().unlink(account.id, account.label, actor="somebody")
    assert "linked_open" not in visitor.run().buttons


def test_already_linked_opens_the_account() -> None:
    """The same organization is not linked twice: the page names the account and opens it."""
    link("Meadow", label="Bakery of *ours*")
    visitor = in_sandbox("Meadow").press("link_submit")
    assert "already linked as **Bakery of *ours***" in visitor.texts("warning")[0]
    assert {"link_twin_open", "link_twin_relink"} <= visitor.buttons
    assert len(hub().accounts()) == 1
    assert visitor.press("link_twin_open").at.title[0].value.replace("\\", "") == "Bakery of *ours*"


def test_already_linked_takes_the_new_key() -> None:
    """The key typed for an organization that is linked already can be handed to that account."""
    account = link("Meadow")
    secret = rotate("Meadow")
    check(account)
    visitor = in_sandbox("Meadow").fill(link_secret=secret).press("link_submit").press("link_twin_relink")
    assert visitor.texts("toast") == ["Relinked: the new key works"]
    assert hub().account(account.id).standing.status is Status.HEALTHY
    assert not visitor.where(secret)


def test_already_linked_then_another() -> None:
    """After “already linked” another organization is linked on the same page."""
    link("Meadow")
    then_links(in_sandbox("Meadow").press("link_submit"))


def test_hostile_label_is_plain_text() -> None:
    """A label full of Markdown and HTML is linked and shown as it was typed."""
    hostile = "<img src=x onerror=alert(1)> **b** [x](https://evil.example) $x$ :material/key: `c`"
    visitor = in_sandbox("Meadow").fill(link_label=hostile).press("link_submit")
    assert visitor.facts()["Label"] == hostile
    assert all("https://evil" not in str(table.proto) for table in visitor.at.table)
