"""Other clients sending the requests of a check, a token and a read, to the same server: one of them per process."""

from __future__ import annotations

import asyncio
import json
import ssl
import sys
from contextlib import AsyncExitStack
from dataclasses import asdict
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode, urlsplit
from uuid import UUID

from bench_cost import Costs, peak_memory

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    Check = Callable[[dict[str, str]], Awaitable[Any]]

TOKEN, READ = "/identity/connect/token", "/api/public/policies"


def main(name: str, base: str, ca_file: str, *numbers: str) -> None:
    """Send the requests of so many checks a round, so many at once; print the costs of the best round as JSON."""
    number, at_once, rounds = map(int, numbers)
    context = ssl.create_default_context(cafile=ca_file) if base.startswith("https") else None
    forms = [form(n) for n in range(number)]

    async def measure() -> list[Costs]:
        async with AsyncExitStack() as opened:
            workers = [worker async for worker in CLIENTS[name](opened, base, context, at_once)]
            return [await cost(workers, forms) for _ in range(rounds)]

    best = min(asyncio.run(measure()))
    print(json.dumps({**asdict(best), "memory_peak": peak_memory()}))


async def cost(workers: list[Check], forms: list[dict[str, str]]) -> Costs:
    """Have the workers send everything and return what it cost."""
    left = iter(forms)

    async def work(check: Check) -> None:
        for given in left:
            if not (await check(given))["data"]:
                raise SystemExit("an answer is empty")

    before = Costs.now()
    await asyncio.gather(*map(work, workers))
    return Costs.now() - before


def form(n: int) -> dict[str, str]:
    """Return a token request's form."""
    return {
        "grant_type": "client_credentials",
        "client_id": f"organization.{UUID(int=n + 1)}",
        "client_secret": f"{n:030d}",
        "scope": "api.organization",
    }


async def httpx_shared(
    opened: AsyncExitStack, base: str, tls: ssl.SSLContext | None, at_once: int
) -> AsyncIterator[Check]:
    """One client, its pool shared by all workers."""
    import httpx  # noqa: PLC0415 - each client is loaded only where it is measured

    client = await opened.enter_async_context(httpx.AsyncClient(verify=tls or True, base_url=base))
    for _ in range(at_once):
        yield _by_httpx(client)


async def httpx_each(
    opened: AsyncExitStack, base: str, tls: ssl.SSLContext | None, at_once: int
) -> AsyncIterator[Check]:
    """A client for each worker."""
    import httpx  # noqa: PLC0415 - as above

    verify = tls or ssl.create_default_context()
    for _ in range(at_once):
        yield _by_httpx(await opened.enter_async_context(httpx.AsyncClient(verify=verify, base_url=base)))


async def httpx_aiohttp(
    opened: AsyncExitStack, base: str, tls: ssl.SSLContext | None, at_once: int
) -> AsyncIterator[Check]:
    """Httpx over aiohttp's connections."""
    import httpx  # noqa: PLC0415 - as above
    from httpx_aiohttp import AiohttpTransport  # noqa: PLC0415 - as above

    way = AiohttpTransport(verify=tls or True)
    client = await opened.enter_async_context(httpx.AsyncClient(transport=way, base_url=base))
    for _ in range(at_once):
        yield _by_httpx(client)


def _by_httpx(client: Any) -> Check:
    async def check(given: dict[str, str]) -> Any:
        token = (await client.post(TOKEN, data=given)).json()["access_token"]
        return (await client.get(READ, headers={"authorization": f"Bearer {token}"})).json()

    return check


async def aiohttp(opened: AsyncExitStack, base: str, tls: ssl.SSLContext | None, at_once: int) -> AsyncIterator[Check]:
    """One session, shared by all workers."""
    import aiohttp as library  # noqa: PLC0415 - as above

    connector = library.TCPConnector(ssl=tls or True, limit=at_once)
    session = await opened.enter_async_context(library.ClientSession(connector=connector))

    async def check(given: dict[str, str]) -> Any:
        async with session.post(base + TOKEN, data=given) as answer:
            token = (await answer.json())["access_token"]
        async with session.get(base + READ, headers={"authorization": f"Bearer {token}"}) as answer:
            return await answer.json()

    for _ in range(at_once):
        yield check


async def guarded(opened: AsyncExitStack, base: str, tls: ssl.SSLContext | None, at_once: int) -> AsyncIterator[Check]:
    """Link Hub's own transport without the rest of a check, its connections kept."""
    from hub_core.bitwarden.kept import Kept  # noqa: PLC0415 - as above
    from hub_core.bitwarden.policy import OutboundPolicy  # noqa: PLC0415 - as above
    from hub_core.bitwarden.transport import Session, Side  # noqa: PLC0415 - as above
    from hub_core.model import Endpoints, RegionId  # noqa: PLC0415 - as above

    where = Endpoints(RegionId.SELF_HOSTED, f"{base}/identity", f"{base}/api")
    policy = OutboundPolicy(loopback=frozenset({base.partition("://")[2]}))
    ca_pem = ssl.DER_cert_to_PEM_cert(tls.get_ca_certs(binary_form=True)[-1]) if tls else None
    kept = Kept()
    opened.callback(kept.close)

    async def check(given: dict[str, str]) -> Any:
        async with Session(where, policy, ca_pem=ca_pem, kept=kept) as session:
            token = (await session.post_token(given)).json()["access_token"]
            return (await session.get(Side.API, "/public/policies", token=token)).json()

    for _ in range(at_once):
        yield check


async def streams(opened: AsyncExitStack, base: str, tls: ssl.SSLContext | None, at_once: int) -> AsyncIterator[Check]:
    """A connection for each worker, and no more HTTP than this server needs: what nothing can be cheaper than."""
    where = urlsplit(base)
    for _ in range(at_once):
        reader, writer = await asyncio.open_connection(where.hostname, where.port, ssl=tls)
        opened.callback(writer.close)

        async def ask(line: str, rest: str, reader: Any = reader, writer: Any = writer) -> Any:
            writer.write(f"{line} HTTP/1.1\r\nHost: {where.netloc}\r\n{rest}".encode())
            head = await reader.readuntil(b"\r\n\r\n")
            length = next(int(h[15:]) for h in head.split(b"\r\n") if h.lower().startswith(b"content-length:"))
            return json.loads(await reader.readexactly(length))

        async def check(given: dict[str, str], ask: Any = ask) -> Any:
            body = urlencode(given)
            usual = "Content-Type: application/x-www-form-urlencoded"
            token = await ask(f"POST {TOKEN}", f"{usual}\r\nContent-Length: {len(body)}\r\n\r\n{body}")
            return await ask(f"GET {READ}", f"Authorization: Bearer {token['access_token']}\r\n\r\n")

        yield check


CLIENTS = {
    "guarded": guarded,
    "httpx_shared": httpx_shared,
    "httpx_each": httpx_each,
    "httpx_aiohttp": httpx_aiohttp,
    "aiohttp": aiohttp,
    "streams": streams,
}

if __name__ == "__main__":
    main(*sys.argv[1:])
