"""What a check tells beside its finding: evidence, facts, times; over real sockets and TLS."""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, NoReturn

import pytest

from hub_core.bitwarden.budget import TokenBudget
from hub_core.bitwarden.policy import OutboundPolicy
from hub_core.bitwarden.transport import Session
from hub_core.clock import Clock
from hub_core.health import checks
from hub_core.health.servers import Servers
from hub_core.model import (
    ApiKey,
    Capability,
    Check,
    Endpoints,
    Observation,
    Outcome,
    Reason,
    RegionId,
    Secret,
    ServerKind,
    Stage,
    Status,
    Trigger,
)
from hub_core.storage.store import Store
from tests.cells import (
    CLIENT_ID,
    CONFIG,
    MEMBERS,
    ORGANIZATION,
    OTHER_ORGANIZATION,
    READ,
    SECRET,
    SHOP,
    TOKEN,
    ByPort,
    Cell,
    bearer,
    config_of,
    examine,
    granted,
    jwt,
    listed,
    own,
    page,
    proper,
    to_loopback,
)
from tests.hostile import HOST, Hostile, Talk, closed_port
from tests.matrix import LONG

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from tests.cells import Act, Result
    from tests.hostile import Script

R = Reason
BROKEN = own('{"object":"error","message":"An unhandled server error has occurred."}', "500 Internal Server Error")
LIMIT = own('{"message":"Slow down! Too many requests."}', "429 Too Many Requests", Retry_After="37")
PLAIN = Cell("read", "nothing", None, Status.HEALTHY)


def look(folder: Path, at: Mapping[str, Act] | None = None, **more: Any) -> Result:
    return examine(replace(PLAIN, at=at or {}, **more), folder)


def seen(check: Check, reason: Reason) -> Observation:
    return next(o for o in check.observations if o.reason is reason)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """A new database, for the budget."""
    opened = Store.open(tmp_path / "budget.db")
    yield opened
    opened.close()


# A link that works.


def test_a_good_link_passes_every_stage_in_order(tmp_path: Path) -> None:
    """Seven stages, each with its time, one token request, every list once, and the facts of the server."""
    result = look(tmp_path)
    assert [(o.stage, o.outcome) for o in result.check.observations] == [(stage, Outcome.PASS) for stage in Stage]
    facts = result.check.facts
    assert facts.server_kind is ServerKind.OFFICIAL
    assert (facts.server_version, facts.seats, facts.members) == ("2026.8.0", 5, {"confirmed": 1, "invited": 1})
    assert facts.counts == {"policies": 1, "groups": 1, "collections": 1}
    assert set(facts.capabilities.values()) == {Capability.READABLE}
    assert (facts.addresses, facts.tls_version) == (("127.0.0.1",), "TLS 1.3")
    assert facts.certificate_issuer == "Corp Trust"
    assert facts.skew_seconds in {-1, 0, 1}
    assert facts.latency_ms is not None
    lines = [line.partition("?")[0].removesuffix(" HTTP/1.1") for line in result.asked]
    assert lines == [
        "GET /api/config",
        "POST /identity/connect/token",
        "GET /api/public/policies",
        "GET /api/public/members",
        "GET /api/public/groups",
        "GET /api/public/collections",
        "GET /api/public/events",
        "GET /api/public/organization/subscription",
    ]


def test_a_vaultwarden_shows_its_own_version_and_is_limited(tmp_path: Path) -> None:
    """Its `/config` imitates Bitwarden's number; its own is at `/version`, and its lack of reads is no fault."""
    result = look(
        tmp_path,
        {
            CONFIG: ByPort(lambda port: config_of(port, server={"name": "Vaultwarden"}, version="2026.6.0")),
            "/api/version": own('"1.34.3"'),
            READ: own('{"error":{"code":404}}', "404 Not Found"),
        },
    )
    facts = result.check.facts
    assert (facts.server_kind, facts.server_version) == (ServerKind.VAULTWARDEN, "1.34.3")
    assert set(facts.capabilities.values()) == {Capability.NOT_OFFERED}
    assert facts.latency_ms is not None
    assert (facts.members, facts.counts) == (None, {})
    assert result.check.key_proven
    assert not result.check.link_proven
    assert seen(result.check, R.READ_API_ABSENT).evidence["server"] == "Vaultwarden"


def test_states_nobody_has_named_are_counted_as_they_are(tmp_path: Path) -> None:
    """Unknown numbers keep their number, and what is no plausible state is not reported."""
    members = listed(
        {"status": 9}, {"status": 9}, {"status": -1}, {}, {"status": "2"}, {"status": True}, {"status": 10**9}
    )
    facts = look(tmp_path, {MEMBERS: own(members)}).check.facts
    assert facts.members == {"other (9)": 2, "revoked": 1, "not reported": 4}


# Evidence.


def test_a_limit_says_how_long(tmp_path: Path) -> None:
    """The seconds to wait are evidence for a person and a number for the schedule."""
    check = look(tmp_path, {TOKEN: LIMIT}).check
    assert seen(check, R.RATE_LIMITED).evidence == {"host": HOST, "status": "429", "wait": "37"}
    assert check.retry_after == 37


def test_a_limit_holds_the_budget_for_everybody(store: Store) -> None:
    """After the server asked to wait, the next check is paced by us and sends nothing."""
    with standing(lambda path, port: LIMIT if path == TOKEN else proper(path, port)) as (server, place):
        first = check_at(place, store)
        second = check_at(place, store)
        assert sum(request.line.startswith("POST") for request in server.requests) == 1
    assert first.failure
    assert first.failure.reason is R.RATE_LIMITED
    assert second.failure
    assert second.failure.reason is R.BUDGET_SPENT
    assert int(second.failure.evidence["wait"]) == second.retry_after
    assert 30 <= int(second.failure.evidence["wait"]) <= 37


def test_a_limit_of_the_edge_gives_its_ray(tmp_path: Path) -> None:
    """Support can look up the id of the exchange."""
    check = look(tmp_path, {TOKEN: page("429 Too Many Requests", ray=True)}).check
    assert seen(check, R.EDGE_RATE_LIMITED).evidence["ray"] == "8a1b2c3d4e5f-FRA"
    assert check.retry_after == 60


def test_lists_that_could_not_be_read_are_named(tmp_path: Path) -> None:
    """A person reads which lists were refused and which broke, and with which status."""
    at = {f"{READ}groups": own(b"", "403 Forbidden"), f"{READ}events": BROKEN, f"{READ}collections": BROKEN}
    check = look(tmp_path, at).check
    assert seen(check, R.READS_PARTLY_REFUSED).evidence["names"] == "Groups"
    assert seen(check, R.READ_FAULT).evidence == {"host": HOST, "names": "Collections, Events", "status": "500"}


def test_the_servers_own_words_are_kept_safe(tmp_path: Path) -> None:
    """Words of a server arrive on one line, without control characters and at most 200 long."""
    body = {"message": f"Traffic from your network looks unusual. {LONG}"}
    words = seen(look(tmp_path, {TOKEN: own(body, "403 Forbidden")}).check, R.TRAFFIC_UNUSUAL).evidence["message"]
    assert words.startswith("Traffic from your network looks unusual. [*click*](http://evil.test) [31mxxx")
    assert len(words) == 200
    refused = look(tmp_path, {READ: bearer("The signature is invalid")}).check
    assert seen(refused, R.TOKEN_REFUSED).evidence["message"] == "The signature is invalid"


def test_a_server_that_repeats_our_secrets_does_not_get_them_shown(tmp_path: Path) -> None:
    """Key and token are taken out of whatever a server says."""
    token = jwt()
    check = look(tmp_path, {TOKEN: granted(access_token=token), READ: bearer(f"{SECRET} or {token}")}).check
    assert seen(check, R.TOKEN_REFUSED).evidence["message"] == "••• or •••"


def test_clocks_that_disagree_inside_the_server_show_our_difference(tmp_path: Path) -> None:
    """A fresh token that counts as expired comes with the skew seen before."""
    clock = Clock(now=lambda: datetime.now(UTC) - timedelta(hours=1))
    check = look(tmp_path, {READ: bearer("The token expired at '01/01/2026 00:00:00'")}, clock=clock).check
    assert int(seen(check, R.TOKEN_ALREADY_EXPIRED).evidence["skew"]) == pytest.approx(3600, abs=2)


def test_the_failing_side_is_named(store: Store) -> None:
    """Where API and identity are two hosts, the evidence names the one that was asked."""
    with standing(proper) as (_, place):
        wrong = replace(place, identity=f"https://login.example.test:{closed_port()}/identity")
        check = check_at(wrong, store)
    assert check.failure
    assert (check.failure.stage, check.failure.reason) == (Stage.REACH, R.CONNECTION_REFUSED)
    assert check.failure.evidence["host"] == "login.example.test"


@pytest.mark.parametrize(("named", "reason"), [(True, R.SERVER_CANNOT_VALIDATE), (False, R.TOKEN_OF_OTHER_SERVER)])
def test_a_refused_issuer_is_the_servers_fault_only_where_both_are_of_one_installation(
    store: Store, named: object, reason: Reason
) -> None:
    """With API and identity on two hosts, `/config` naming this identity tells a broken server from a wrong pair."""

    def answers(path: str, port: int) -> bytes:
        if path == CONFIG:
            identity = f"http://login.test:{port}/identity" if named else None
            return own({"object": "config", "environment": {"identity": identity}})
        return bearer("The issuer 'http://identity' is invalid") if path.startswith(READ) else proper(path, port)

    with standing(answers, tls=False) as (server, _):
        base = f"test:{server.port}"
        place = Endpoints(RegionId.SELF_HOSTED, f"http://login.{base}/identity", f"http://vault.{base}/api")
        assert seen(check_at(place, store), reason).evidence["issuer"] == "http://identity"


# What was learned before something broke.


def test_facts_of_earlier_stages_are_kept(tmp_path: Path) -> None:
    """A refused key still shows the server, its certificate and its clock."""
    check = look(tmp_path, {TOKEN: own({"error": "invalid_client"}, "400 Bad Request")}).check
    facts = check.facts
    assert None not in (facts.server_kind, facts.server_version, facts.certificate_sha256, facts.skew_seconds)
    assert facts.capabilities == {}


def test_a_limit_in_the_middle_keeps_what_was_read(tmp_path: Path) -> None:
    """The lists before it count, those after it are not asked, and the wait is remembered."""
    result = look(tmp_path, {f"{READ}groups": LIMIT})
    facts = result.check.facts
    assert facts.capabilities == dict.fromkeys(("/public/policies", "/public/members"), Capability.READABLE)
    assert facts.members == {"confirmed": 1, "invited": 1}
    assert result.check.link_proven
    assert result.check.retry_after == 37
    assert seen(result.check, R.RATE_LIMITED).evidence["names"] == "Groups, Collections, Events, Subscription"
    assert not any("collections" in line for line in result.asked)


def test_a_remark_before_a_failure_is_kept(tmp_path: Path) -> None:
    """What a stage noticed before it failed is told as well."""
    clock = Clock(now=lambda: datetime.now(UTC) + timedelta(hours=1))
    at = {CONFIG: ByPort(lambda port: config_of(port) | {"environment": {"identity": "https://identity.bitwarden.eu"}})}
    check = look(tmp_path, at, clock=clock).check
    assert [o.reason for o in check.observations if o.reason] == [R.CLOCK_SKEW, R.HOSTS_MISMATCH]


def test_nothing_of_another_organization_is_learned(tmp_path: Path) -> None:
    """What a wrong token could read is not shown as ours, and proves no link."""
    other = granted(access_token=jwt(client_id=f"organization.{OTHER_ORGANIZATION}"))
    check = look(tmp_path, {TOKEN: other}).check
    evidence = seen(check, R.WRONG_ORGANIZATION).evidence
    assert (evidence["expected"], evidence["got"]) == (ORGANIZATION, OTHER_ORGANIZATION)
    assert (check.facts.members, check.facts.counts, check.facts.capabilities) == (None, {}, {})
    assert not check.link_proven
    assert not check.key_proven


def test_a_wish_to_wait_outlives_a_later_failure(tmp_path: Path) -> None:
    """A limit met while reading still paces the next check when the check then fails."""
    other = granted(access_token=jwt(client_id=f"organization.{OTHER_ORGANIZATION}"))
    check = look(tmp_path, {TOKEN: other, f"{READ}groups": LIMIT}).check
    assert check.failure
    assert (check.failure.reason, check.retry_after) == (R.WRONG_ORGANIZATION, 37)


@pytest.mark.parametrize(
    "vault", ["javascript:alert(1)", "//evil.test", "https://", "https://[", f"https://x.test/{SECRET}", "x" * 5000, 7]
)
def test_only_a_web_address_becomes_the_vaults(tmp_path: Path, vault: object) -> None:
    """A link for people is made only of what is one, and never of our secret."""
    at = {CONFIG: own({"object": "config", "environment": {"vault": vault}})}
    assert look(tmp_path, at).check.facts.vault is None


# Deadlines.


def test_a_slow_server_cannot_hold_a_check_for_every_request(store: Store) -> None:
    """Answers that each come just in time together end with the deadline of the whole check."""

    def slow(talk: Talk) -> None:
        while request := talk.request():
            talk._server.over.wait(0.4)
            talk.send(proper(request.path, talk._server.port))

    with standing(script=slow) as (_, place):
        began = time.monotonic()
        check = check_at(place, store, deadline_s=1.4)
        took = time.monotonic() - began
    assert took < 1.4 + 2
    assert seen(check, R.READ_FAULT).outcome is Outcome.WARN
    assert check.facts.capabilities["/public/policies"] is Capability.READABLE
    assert check.facts.capabilities["/public/organization/subscription"] is Capability.FAULTY


def test_a_server_too_slow_for_one_list_is_not_asked_for_more(store: Store) -> None:
    """The lists after the one that took too long count as broken without being waited for."""

    def second_list_hangs(talk: Talk) -> None:
        while (request := talk.request()) and request.path != MEMBERS:
            talk.send(proper(request.path, talk._server.port))
        talk.stall()

    with standing(script=second_list_hangs) as (server, place):
        check = check_at(place, store, each_s=0.5)
        assert server.requests[-1].path == MEMBERS
    assert list(check.facts.capabilities.values()) == [Capability.READABLE, *[Capability.FAULTY] * 5]
    assert seen(check, R.READ_FAULT).evidence["names"] == "Members, Groups, Collections, Events, Subscription"


def test_waiting_for_a_turn_does_not_count_against_the_server(store: Store) -> None:
    """A check that waited for its place has its whole deadline for the server."""
    with standing(proper) as (_, place):
        store.budget.hold(place.identity_origin, datetime.now(UTC) + timedelta(seconds=2.5))
        told: list[object] = []
        check = check_at(place, store, deadline_s=2, patience_s=10, watch=told.append)
    assert check.failure is None
    assert any(isinstance(event, checks.Waiting) for event in told)
    assert next(o.ms for o in check.observations if o.stage is Stage.TOKEN) < 2000


def test_the_deadline_of_the_whole_check_ends_any_stage(store: Store) -> None:
    """Whatever a stage waits for, the check ends with a finding of that stage."""
    with standing(script=Talk.stall) as (_, place):
        check = check_at(place, store, deadline_s=0.3, each_s=30)
    assert check.failure
    assert (check.failure.stage, check.failure.reason) == (Stage.SERVER, R.ANSWER_TIMEOUT)
    assert check.failure.evidence["host"] == HOST


# Plaintext, faults of ours, stopping.


def test_plaintext_skips_the_certificate(store: Store) -> None:
    """Where nothing is encrypted there is no certificate to judge."""
    with standing(proper, tls=False) as (_, place):
        plain = replace(place, identity=place.identity.replace("s:", ":"), api=place.api.replace("s:", ":"))
        check = check_at(plain, store)
    assert check.failure is None
    assert next(o.outcome for o in check.observations if o.stage is Stage.TLS) is Outcome.SKIP
    assert check.facts.certificate_ends is None


@pytest.mark.parametrize("stage", list(Stage))
def test_a_fault_of_ours_is_a_finding(stage: Stage, store: Store, caplog: pytest.LogCaptureFixture) -> None:
    """A watcher that breaks, at whatever stage, ends the check without an exception and without blaming the key."""

    def break_at(event: object) -> None:
        if event is stage or (isinstance(event, Observation) and event.reason is R.INTERNAL):
            raise ZeroDivisionError(stage)

    with standing(proper) as (_, place), caplog.at_level(logging.ERROR):
        check = check_at(place, store, watch=break_at)
    assert check.failure
    assert (check.failure.stage, check.failure.reason) == (stage, R.INTERNAL)
    assert SECRET not in caplog.text


def test_a_session_that_cannot_be_made_is_a_finding(store: Store) -> None:
    """Even before the first stage nothing leaves a check as an exception."""

    def none(_: checks.Subject) -> NoReturn:
        raise OSError("no more files")

    check = check_at(
        Endpoints(RegionId.SELF_HOSTED, "https://a.test/identity", "https://a.test/api"), store, session=none
    )
    assert check.failure
    assert check.failure.reason is R.INTERNAL


def test_stopping_a_check_is_not_swallowed(store: Store) -> None:
    """Who cancels a check is told so, and it sends nothing more."""

    async def stopped(place: Endpoints) -> None:
        asked = asyncio.Event()
        running = asyncio.create_task(
            examination(place, store, watch=lambda event: asked.set() if event is Stage.SERVER else None)
        )
        await asked.wait()
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running

    with standing(script=Talk.stall) as (server, place):
        asyncio.run(stopped(place))
        assert not any(request.line.startswith("POST") for request in server.requests)


def test_what_was_typed_is_remarked_first(store: Store) -> None:
    """Remarks of the form come as warnings of the format stage, with the length where it matters."""
    with standing(proper) as (_, place):
        check = check_at(place, store, remarks=(R.SECRET_LENGTH,))
    first = check.observations[0]
    assert (first.stage, first.outcome, first.reason) == (Stage.FORMAT, Outcome.WARN, R.SECRET_LENGTH)
    assert first.evidence["got"] == str(len(SECRET))


# Help.


class standing:  # noqa: N801 - reads as a word: `with standing(proper) as …`
    """A server that answers by path and port, and the addresses of it."""

    def __init__(
        self, answers: Callable[[str, int], bytes] | None = None, *, script: Script | None = None, tls: bool = True
    ) -> None:
        def by_path(talk: Talk) -> None:
            while answers and (request := talk.request()):
                talk.send(answers(request.path, talk._server.port))

        self._server = Hostile(script or by_path, tls=SHOP.good() if tls else None)

    def __enter__(self) -> tuple[Hostile, Endpoints]:
        base = f"https://{HOST}:{self._server.__enter__().port}"
        return self._server, Endpoints(RegionId.SELF_HOSTED, f"{base}/identity", f"{base}/api")

    def __exit__(self, *error: object) -> None:
        self._server.__exit__(*error)


async def examination(
    place: Endpoints,
    store: Store,
    *,
    deadline_s: float = 20.0,
    each_s: float = 10.0,
    watch: Callable[[object], None] = lambda _: None,
    session: Callable[[checks.Subject], Session] | None = None,
    remarks: tuple[Reason, ...] = (),
    patience_s: float = 0.0,
) -> Check:
    hosts = frozenset(base.partition("://")[2].partition("/")[0] for base in (place.api, place.identity))

    def usual(subject: checks.Subject) -> Session:
        policy = OutboundPolicy(loopback=hosts)
        return Session(place, policy, ca_pem=subject.ca_pem, deadline_s=each_s, resolve=to_loopback)

    means = checks.Means(
        session=session or usual,
        budget=TokenBudget(store, Clock(), limit=60),
        clock=Clock(),
        device="00000000-0000-4000-8000-000000000000",
        clouds=(),
        official=lambda _: False,
        servers=Servers(time.monotonic, believed_s=0),
        deadline_s=deadline_s,
        patience_s=patience_s,
    )
    key = ApiKey(CLIENT_ID, Secret(SECRET))
    subject = checks.Subject(
        place, key, worked_before=False, trigger=Trigger.MANUAL, ca_pem=SHOP.ca_pem, remarks=remarks
    )
    return await checks.run(subject, means, watch)


def check_at(place: Endpoints, store: Store, **more: Any) -> Check:
    return asyncio.run(examination(place, store, **more))
