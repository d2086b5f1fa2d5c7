"""A lean server that answers a check like Bitwarden does, in a process of its own, so that its work is not counted."""

from __future__ import annotations

import asyncio
import base64
import json
import re
import ssl
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from email.utils import formatdate
from pathlib import Path
from typing import TYPE_CHECKING

import trustme

if TYPE_CHECKING:
    from collections.abc import Iterator

_CLIENT = re.compile(rb"client_id=(organization\.[0-9a-f-]{36})")
_BASIC = re.compile(rb"authorization: basic ([A-Za-z0-9+/=]+)", re.IGNORECASE)
_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
_LISTS = json.dumps(
    {
        "object": "list",
        "data": [{"object": "policy", "id": f"00000000-0000-4000-8000-00000000000{n}", "type": n} for n in range(3)],
        "continuationToken": None,
    }
).encode()


@dataclass(frozen=True)
class Stub:
    """The running server."""

    http: str
    https: str
    """Base addresses, without a path."""
    ca_file: Path


@contextmanager
def running(folder: Path) -> Iterator[Stub]:
    """Run the server; `folder` gets its CA certificate."""
    folder.mkdir(parents=True, exist_ok=True)
    with subprocess.Popen(
        [sys.executable, __file__, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as server:
        if not server.stdout or not server.stdin:
            raise SystemExit("the server did not start")
        plain, secure = server.stdout.readline().split()
        try:
            yield Stub(f"http://127.0.0.1:{plain}", f"https://127.0.0.1:{secure}", folder / "ca.pem")
        finally:
            server.stdin.close()


class Conversation(asyncio.Protocol):
    """One connection."""

    def __init__(self, config: bytes) -> None:
        self._config = config
        self._left = b""
        self._transport: asyncio.WriteTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        if isinstance(transport, asyncio.WriteTransport):
            self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Answer every whole request."""
        self._left += data
        while (end := self._left.find(b"\r\n\r\n")) >= 0:
            head = self._left[:end]
            length = int(found[1]) if (found := _LENGTH.search(head)) else 0
            if len(self._left) < end + 4 + length:
                return
            body, self._left = self._left[end + 4 : end + 4 + length], self._left[end + 4 + length :]
            if self._transport:
                self._transport.write(answer(head, body, self._config))


def answer(head: bytes, body: bytes, config: bytes) -> bytes:
    """Return the whole answer to one request."""
    _, path, _ = head.split(b" ", 2)
    if path.endswith(b"/connect/token"):
        found = _CLIENT.search(body) or _CLIENT.search(basic(head))
        said = token(found[1].decode()) if found else b'{"error":"invalid_client"}'
        return reply(b"200 OK" if found else b"400 Bad Request", said)
    if path.endswith(b"/config"):
        return reply(b"200 OK", config)
    if b"authorization: bearer" not in head.lower():
        return reply(b"401 Unauthorized", b"")
    return reply(b"200 OK", _LISTS)


def basic(head: bytes) -> bytes:
    """Return who a request says to be in its header, as if it had said so in a form."""
    found = _BASIC.search(head)
    return b"client_id=" + base64.b64decode(found[1]) if found else b""


def token(client_id: str) -> bytes:
    """Return the answer of the token endpoint; the token's claims name the organization."""
    claims = base64.urlsafe_b64encode(json.dumps({"client_id": client_id, "iss": "stub"}).encode()).rstrip(b"=")
    text = f"eyJhbGciOiJub25lIn0.{claims.decode()}.{'x' * 342}"
    said = {"access_token": text, "expires_in": 3600, "token_type": "Bearer", "scope": "api.organization"}
    return json.dumps(said).encode()


def reply(status: bytes, body: bytes) -> bytes:
    """Return an answer with the headers Bitwarden's server writes."""
    return (
        b"HTTP/1.1 %b\r\nContent-Type: application/json; charset=utf-8\r\nDate: %b\r\nServer: Kestrel\r\n"
        b"Content-Length: %d\r\nX-Frame-Options: SAMEORIGIN\r\nX-Content-Type-Options: nosniff\r\n"
        b"X-XSS-Protection: 1; mode=block\r\n\r\n"
    ) % (status, formatdate(usegmt=True).encode(), len(body)) + body


def config_of(origin: str) -> bytes:
    """Return what `/config` answers."""
    where = {"vault": origin, "api": f"{origin}/api", "identity": f"{origin}/identity", "notifications": origin}
    said = {"object": "config", "version": "2026.8.0", "gitHash": "00000000", "server": None, "environment": where}
    return json.dumps(said | {"featureStates": {f"feature-{n}": bool(n % 2) for n in range(40)}}).encode()


async def serve(folder: Path) -> None:
    """Listen with and without TLS until the input ends; print both ports."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(folder / "ca.pem")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    loop, ports = asyncio.get_running_loop(), []
    for scheme, tls in (("http", None), ("https", context)):
        config: list[bytes] = []
        server = await loop.create_server(lambda said=config: Conversation(said[0]), "127.0.0.1", 0, ssl=tls)
        ports.append(server.sockets[0].getsockname()[1])
        config.append(config_of(f"{scheme}://127.0.0.1:{ports[-1]}"))
    print(*ports, flush=True)
    await loop.run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(serve(Path(sys.argv[1])))
