"""Connections that are kept from one check to the next, over real sockets and real TLS."""

from __future__ import annotations

import asyncio
import gc
import threading
from typing import TYPE_CHECKING

import pytest

from hub_core.bitwarden import kept as kept_module
from hub_core.bitwarden.kept import FRESH_S, LIFE_S, MOST_EACH, NAMES_S, Kept
from hub_core.bitwarden.policy import OutboundPolicy
from hub_core.bitwarden.transport import Session, Side
from hub_core.errors import RemoteError
from hub_core.model import Endpoints, Reason, RegionId
from tests.hostile import HOST, Hostile, Shop, Talk, answer, json_answer, once, polite

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

SECRET = "CaNaRyNeverPrinted0123456789"
FORM = {"grant_type": "client_credentials", "client_secret": SECRET}
SHOP = Shop()


class World:
    """What the sessions of a test have in common: a pool, a counter of seconds to move, a resolver to change."""

    def __init__(self, server: Hostile, *, scheme: str = "http") -> None:
        self.seconds = 1000.0
        self.kept = Kept(lambda: self.seconds)
        self.addresses = ["127.0.0.1"]
        self.asked = 0
        target = f"{HOST}:{server.port}"
        self.endpoints = Endpoints(RegionId.SELF_HOSTED, f"{scheme}://{target}/identity", f"{scheme}://{target}/api")
        self.policy = OutboundPolicy(loopback=frozenset({target}))

    async def resolve(self, host: str, port: int) -> Sequence[str]:
        """Give the addresses of the moment."""
        self.asked += 1
        return self.addresses

    def session(
        self, *, policy: OutboundPolicy | None = None, ca_pem: str | None = None, deadline_s: float = 10.0
    ) -> Session:
        """Open a session that borrows from the pool."""
        return Session(
            self.endpoints,
            policy or self.policy,
            ca_pem=ca_pem,
            resolve=self.resolve,
            deadline_s=deadline_s,
            monotonic=lambda: self.seconds,
            kept=self.kept,
        )

    async def read(self, path: str = "/config", *, token: str | None = None, **options: object) -> bytes:
        """Ask one path in a session of its own; return the body."""
        async with self.session(**options) as opened:  # type: ignore[arg-type]  # options of `session`
            return (await opened.get(Side.API, path, token=token)).body

    async def post(self) -> int:
        """Ask for a token in a session of its own; return the status."""
        async with self.session() as opened:
            return (await opened.post_token(FORM)).status


def run(world: World, do: Callable[[], Awaitable[None]]) -> None:
    async def whole() -> None:
        try:
            await do()
        finally:
            world.kept.close()

    asyncio.run(whole())


def test_a_connection_serves_one_check_after_another() -> None:
    """Name, connection and handshake are paid once; facts and addresses stay known."""
    with Hostile(polite(), tls=SHOP.good()) as server:
        world = World(server, scheme="https")

        async def checks() -> None:
            shown = []
            for _ in range(3):
                async with world.session(ca_pem=SHOP.ca_pem) as opened:
                    connected = await opened.connect(Side.API)
                    shown.append((connected.addresses, await opened.handshake(Side.API)))
                    await opened.get(Side.API, "/config")
                    await opened.post_token(FORM)
            assert shown[0] == shown[1] == shown[2]
            assert shown[0][1] is not None

        run(world, checks)
        assert server.connections() == 1
        assert len(server.requests) == 6
    assert world.asked == 1


def test_nothing_is_kept_without_being_asked_to() -> None:
    """A session of its own, such as that of a person's check, closes what it opened and borrows nothing."""
    with Hostile(polite()) as server:
        world = World(server)

        async def checks() -> None:
            await world.read()
            async with Session(world.endpoints, world.policy, resolve=world.resolve) as opened:
                await opened.get(Side.API, "/config")
            assert world.kept.number == 1

        run(world, checks)
        assert server.connections() == 2


@pytest.mark.parametrize("secure", [False, True])
def test_a_connection_that_the_server_closed_is_not_used(secure: bool) -> None:  # noqa: FBT001 - a parameter
    """Whether its end was seen before or only when asking, a read is answered over a new connection."""
    gone = threading.Event()

    def closing(talk: Talk) -> None:
        talk.request()
        talk.send(json_answer())
        gone.set()

    with Hostile(closing, tls=SHOP.good() if secure else None) as server:
        world = World(server, scheme="https" if secure else "http")

        async def checks() -> None:
            for _ in range(3):
                assert await world.read(ca_pem=SHOP.ca_pem if secure else None) == b"{}"
                await asyncio.to_thread(server.wait_idle)

        run(world, checks)
        assert server.connections() == 3
    assert gone.is_set()


def test_a_token_request_is_never_sent_twice() -> None:
    """A server that takes the form and hangs up has got it; asking again is not ours to decide."""

    def once_then_gone(talk: Talk) -> None:
        talk.request()
        talk.send(json_answer())
        talk.request()

    with Hostile(once_then_gone) as server:
        world = World(server)

        async def checks() -> None:
            await world.read()
            with pytest.raises(RemoteError) as caught:
                await world.post()
            assert caught.value.reason is Reason.ANSWER_LOST

        run(world, checks)
        assert [request.line.split()[0] for request in server.requests] == ["GET", "POST"]


def test_a_read_whose_connection_breaks_is_asked_once_more() -> None:
    """Reading changes nothing, so a connection that ended on the way costs no check."""

    def one_answer(talk: Talk) -> None:
        talk.request()
        talk.send(json_answer())
        talk.request()

    with Hostile(one_answer) as server:
        world = World(server)

        async def checks() -> None:
            await world.read()
            await world.read()

        run(world, checks)
        assert server.connections() == 2


@pytest.mark.parametrize("secure", [False, True])
def test_an_answer_nobody_asked_for_reaches_no_other_account(secure: bool) -> None:  # noqa: FBT001 - a parameter
    """A second answer pushed after the first would be read by whoever comes next; such a connection is dropped."""
    pushed = threading.Event()

    def pushing(talk: Talk) -> None:
        talk.request()
        talk.send(answer(b'{"own": 1}'))
        pushed.wait(10)
        talk.send(answer(b'{"foreign": 1}'))
        talk.stall()

    with Hostile(pushing, tls=SHOP.good() if secure else None) as server:
        world = World(server, scheme="https" if secure else "http")
        ca_pem = SHOP.ca_pem if secure else None

        async def checks() -> None:
            assert await world.read(ca_pem=ca_pem) == b'{"own": 1}'
            ((line,),) = world.kept._idle.values()
            pushed.set()
            assert line.plug
            await asyncio.get_running_loop().run_in_executor(None, _readable, line.plug._sock)
            assert await world.read(ca_pem=ca_pem) == b'{"own": 1}'

        run(world, checks)
        assert server.connections() == 2


def _readable(sock: object) -> None:
    import select

    assert select.select([sock], [], [], 10)[0]


def test_what_follows_an_answer_at_once_ends_the_connection() -> None:
    """Two answers in one packet are one answer too many."""
    with Hostile(once(answer(b'{"own": 1}') + answer(b'{"foreign": 1}'), then=Talk.stall)) as server:
        world = World(server)

        async def checks() -> None:
            assert [await world.read() for _ in range(2)] == [b'{"own": 1}'] * 2
            assert world.kept.number == 0

        run(world, checks)


def test_other_certificates_never_share_a_connection() -> None:
    """An account with its own CA does not ride on what another one's CA has verified."""
    with Hostile(polite(), tls=SHOP.good()) as server:
        world = World(server, scheme="https")

        async def checks() -> None:
            await world.read(ca_pem=SHOP.ca_pem)
            with pytest.raises(RemoteError) as caught:
                await world.read(ca_pem=Shop().ca_pem)
            assert caught.value.reason is Reason.CERTIFICATE_UNKNOWN_ISSUER
            with pytest.raises(RemoteError):
                await world.read(ca_pem=None)

        run(world, checks)
        assert len(server.requests) == 1


def test_a_tightened_policy_uses_nothing_of_the_looser_one() -> None:
    """What may not be connected to any more may not be talked to either, although the connection is there."""
    with Hostile(polite()) as server:
        world = World(server)
        tighter = OutboundPolicy(plaintext_hosts=frozenset({HOST}))

        async def checks() -> None:
            await world.read()
            with pytest.raises(RemoteError) as caught:
                await world.read(policy=tighter)
            assert caught.value.reason is Reason.ADDRESS_NOT_ALLOWED

        run(world, checks)
        assert len(server.requests) == 1


def keeping_alive(world: World, seconds: float) -> Callable[[], Awaitable[None]]:
    """Return what lets time pass while the connection is used again and again."""

    async def pass_time() -> None:
        ends = world.seconds + seconds
        while world.seconds < ends:
            world.seconds += FRESH_S / 2
            await world.read()

    return pass_time


def test_a_name_is_looked_up_again_while_its_connection_is_kept() -> None:
    """Once it leads elsewhere the kept connection is not used any more, however lively it is."""
    with Hostile(polite()) as server:
        world = World(server)

        async def checks() -> None:
            await world.read()
            world.addresses = ["127.0.0.9"]
            await keeping_alive(world, NAMES_S)()
            assert world.asked == 1
            world.seconds += FRESH_S / 2
            with pytest.raises(RemoteError) as caught:
                await world.read()
            assert caught.value.reason in {Reason.CONNECTION_REFUSED, Reason.ADDRESS_NOT_ALLOWED}
            assert world.kept.number == 0

        run(world, checks)
        assert server.connections() == 1


def test_a_name_that_rebinds_is_refused_while_its_connection_is_kept() -> None:
    """One forbidden address among those of the name closes the way for everybody who uses it."""
    with Hostile(polite()) as server:
        world = World(server)

        async def checks() -> None:
            await world.read()
            heard = len(server.requests)
            world.addresses = ["127.0.0.1", "169.254.169.254"]
            world.seconds += NAMES_S + 1
            for _ in range(2):
                with pytest.raises(RemoteError) as caught:
                    await world.read()
                assert caught.value.reason is Reason.ADDRESS_NOT_ALLOWED
            assert len(server.requests) == heard

        run(world, checks)


def test_a_silent_connection_is_not_trusted() -> None:
    """After two seconds without a sign of life the way is tried anew, so that reach and handshake mean something."""
    with Hostile(polite()) as server:
        world = World(server)

        async def checks() -> None:
            await world.read()
            world.seconds += FRESH_S + 0.1
            await world.read()

        run(world, checks)
        assert server.connections() == 2


def test_a_connection_that_only_shook_hands_counts_as_silent() -> None:
    """Being lent and given back without an answer is no sign of life."""
    with Hostile(polite(), tls=SHOP.good()) as server:
        world = World(server, scheme="https")

        async def checks() -> None:
            for _ in range(5):
                async with world.session(ca_pem=SHOP.ca_pem) as opened:
                    await opened.handshake(Side.IDENTITY)
                world.seconds += FRESH_S * 0.4

        run(world, checks)
        assert server.connections() == 2


def test_no_connection_lives_for_ever() -> None:
    """Every five minutes there is a new handshake, which shows a new certificate."""
    with Hostile(polite()) as server:
        world = World(server)

        async def checks() -> None:
            await world.read()
            await keeping_alive(world, LIFE_S + FRESH_S)()

        run(world, checks)
        assert server.connections() == 2


def test_the_deadline_holds_on_a_kept_connection() -> None:
    """A server that falls silent on the second request is given no more time than on the first, and not asked again."""

    def first_only(talk: Talk) -> None:
        talk.request()
        talk.send(json_answer())
        talk.request()
        talk.stall()

    with Hostile(first_only) as server:
        world = World(server)

        async def checks() -> None:
            await world.read()
            with pytest.raises(RemoteError) as caught:
                await world.read(deadline_s=0.2)
            assert caught.value.reason is Reason.ANSWER_TIMEOUT
            assert world.kept.number == 0

        run(world, checks)
        assert server.connections() == 1


def test_the_caps_hold_on_a_kept_connection() -> None:
    """An answer too large ends the connection, whatever the ones before it were."""
    large = answer(b" " * 1_000_001)
    with Hostile(polite({"/api/version": large})) as server:
        world = World(server)

        async def checks() -> None:
            await world.read()
            with pytest.raises(RemoteError) as caught:
                await world.read("/version")
            assert caught.value.reason is Reason.ANSWER_TOO_LARGE
            assert world.kept.number == 0

        run(world, checks)


def test_a_check_that_is_cancelled_leaves_no_half_read_connection() -> None:
    """What was under way when a check ended is nobody else's answer."""
    asked = threading.Event()

    def slow(talk: Talk) -> None:
        while talk.request():
            asked.set()
            talk.drip(answer(b'{"mine": 1}'), every=5)

    with Hostile(slow) as server:
        world = World(server)

        async def checks() -> None:
            task = asyncio.create_task(world.read())
            await asyncio.to_thread(asked.wait, 10)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert world.kept.number == 0

        run(world, checks)


def test_two_checks_at_once_never_share() -> None:
    """A connection belongs to one check at a time; afterwards both are kept."""
    with Hostile(polite()) as server:
        world = World(server)

        async def checks() -> None:
            async with world.session() as one, world.session() as other:
                await one.get(Side.API, "/config")
                await other.get(Side.API, "/config")
            assert world.kept.number == 2

        run(world, checks)
        assert server.connections() == 2


def test_only_so_many_are_kept() -> None:
    """More than the limit to one server are closed at once."""
    with Hostile(polite()) as server:
        world = World(server)

        async def checks() -> None:
            opened = [world.session() for _ in range(MOST_EACH + 5)]
            for one in opened:
                await one.get(Side.API, "/config")
            for one in opened:
                await one.__aexit__(None, None, None)
            assert world.kept.number == MOST_EACH

        run(world, checks)
        server.wait_idle()


def test_what_nobody_needs_is_closed_by_itself() -> None:
    """Idle connections do not wait for the next check to be closed."""
    with Hostile(polite()) as server:
        world = World(server)

        async def checks() -> None:
            await world.read()
            world.seconds += FRESH_S + 1
            await asyncio.to_thread(server.wait_idle)
            assert world.kept.number == 0

        run(world, checks)


def test_a_kept_connection_remembers_no_secret() -> None:
    """Key, access token and answers of the accounts before cannot be reached from what is kept."""
    secret_answer = answer(f'{{"access_token": "{SECRET}"}}'.encode())
    script = polite({"/identity/connect/token": secret_answer})
    with Hostile(script, tls=SHOP.good()) as server:
        world = World(server, scheme="https")

        async def checks() -> None:
            async with world.session(ca_pem=SHOP.ca_pem) as opened:
                assert SECRET.encode() in (await opened.post_token(FORM)).body
                await opened.get(Side.API, "/public/policies", token=SECRET)
            assert world.kept.number == 1
            assert not _reachable(world.kept, SECRET)
            assert _reachable([{"a": (bytearray(SECRET.encode()),)}], SECRET)

        run(world, checks)


def _reachable(start: object, secret: str) -> bool:
    """Tell whether a text can be reached from an object by following what holds what, code left out."""
    seen, todo = set(), [start]
    while todo:
        found = todo.pop()
        if id(found) in seen or callable(found) or isinstance(found, (type(kept_module), asyncio.AbstractEventLoop)):
            continue
        seen.add(id(found))
        if (isinstance(found, str) and secret in found) or (
            isinstance(found, (bytes, bytearray)) and secret.encode() in found
        ):
            return True
        todo += gc.get_referents(found)
    return False
