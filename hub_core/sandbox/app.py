"""The ASGI application of all sandbox servers: finds the server, applies faults, puts answers on the wire."""

from __future__ import annotations

import asyncio
import re
import socket
import struct
from email.utils import format_datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from hub_core.sandbox.api import api_answer, carried_organization
from hub_core.sandbox.edge import edge_answer
from hub_core.sandbox.faults import Fault
from hub_core.sandbox.front import front_answer, vault_answer
from hub_core.sandbox.identity import carried_client_id, identity_answer
from hub_core.sandbox.organizations import ServerName
from hub_core.sandbox.sandbox import Exchange
from hub_core.sandbox.vaultwarden import vaultwarden_answer
from hub_core.sandbox.wire import SECURITY_HEADERS, Answer, Request

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, MutableMapping

    from hub_core.sandbox.sandbox import Sandbox

    Message = MutableMapping[str, Any]
    Receive = Callable[[], Awaitable[Message]]
    Send = Callable[[Message], Awaitable[None]]

_LONGEST_BODY = 1_000_000
_CLOUD = re.compile(r"/(us|eu)/(identity|api|vault)(/.*)?")
_ONE_ADDRESS = re.compile(r"/(selfhost|vaultwarden)(/.*)?")
_MEGABYTE = b" " * 1_000_000


class Application:
    """Serves every server of one sandbox, each under its own path; `serve` gives it the connections it may drop."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """Answer one HTTP request; anything else is not served."""
        if scope["type"] != "http":
            return
        exchange = self._exchange(scope, await _body(receive))
        transport = scope["state"]["transport"]
        if exchange is None:
            await _send(send, Answer(404), b"")
            return
        if exchange.fault(Fault.RESET) is not None:
            await _reset(transport, receive)
            return
        slow = exchange.fault(Fault.SLOW)
        if slow is not None and await _gone(receive, float(slow["seconds"])):
            return
        await _Delivery(exchange, receive, send, transport).deliver(_dated(exchange, answer_of(exchange)))

    def _exchange(self, scope: MutableMapping[str, Any], body: bytes) -> Exchange | None:
        path = scope["path"]
        match = _CLOUD.fullmatch(path)
        if match:
            server, part, rest = ServerName(match[1]), match[2], match[3]
        else:
            match = _ONE_ADDRESS.fullmatch(path)
            if not match:
                return None
            server = ServerName.SELF_HOSTED if match[1] == "selfhost" else ServerName.VAULTWARDEN
            part, rest = "front", match[2]
        request = _request(scope, rest or "", body)
        client_id = carried_client_id(request) or carried_organization(request)
        return Exchange(self._sandbox, server, part, request, client_id)


def answer_of(exchange: Exchange) -> Answer:
    """Return what a server, or what stands in front of it, answers."""
    if exchange.part == "front":
        return front_answer(exchange) if exchange.server is ServerName.SELF_HOSTED else vaultwarden_answer(exchange)
    stopped = edge_answer(exchange)
    if stopped:
        return stopped
    if exchange.part == "vault":
        return vault_answer(exchange)
    service = f"{exchange.server}/{exchange.part}"
    refused, told = exchange.sandbox.limits.count(service, exchange.request, exchange.sandbox.clock())
    answer = refused or (identity_answer if exchange.part == "identity" else api_answer)(exchange).adding(told)
    return answer.adding(SECURITY_HEADERS)


class _Delivery:
    """Puts one answer on the wire, the way a fault wants it."""

    def __init__(self, exchange: Exchange, receive: Receive, send: Send, transport: Any) -> None:
        self._exchange = exchange
        self._receive = receive
        self._send = send
        self._transport = transport

    async def deliver(self, answer: Answer) -> None:
        """Send the answer."""
        huge = self._exchange.fault(Fault.HUGE_BODY)
        drip = self._exchange.fault(Fault.DRIP)
        if huge is not None:
            await self._pour(answer, int(huge["megabytes"]))
        elif drip is not None:
            await self._drip(answer, float(drip["seconds"]))
        elif self._exchange.fault(Fault.TRUNCATED) is not None:
            await _start(self._send, answer, len(answer.body) + 100)
            await self._send({"type": "http.response.body", "body": answer.body[:-1], "more_body": True})
            self._transport.close()
            await _gone(self._receive)
        elif self._exchange.fault(Fault.BROKEN_JSON) is not None:
            await _send(self._send, answer, answer.body[: len(answer.body) // 2])
        else:
            await _send(self._send, answer, answer.body)

    async def _pour(self, answer: Answer, megabytes: int) -> None:
        await _start(self._send, answer, megabytes * len(_MEGABYTE) + len(answer.body))
        for _ in range(megabytes):
            if self._transport.is_closing():
                return
            await self._send({"type": "http.response.body", "body": _MEGABYTE, "more_body": True})
        await self._send({"type": "http.response.body", "body": answer.body})

    async def _drip(self, answer: Answer, seconds: float) -> None:
        await _start(self._send, answer, len(answer.body))
        for byte in answer.body:
            await self._send({"type": "http.response.body", "body": bytes((byte,)), "more_body": True})
            if await _gone(self._receive, seconds):
                return
        await self._send({"type": "http.response.body", "body": b""})


async def _body(receive: Receive) -> bytes:
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return bytes(body)
        if len(body) < _LONGEST_BODY:
            body += message.get("body", b"")
        if not message.get("more_body"):
            return bytes(body)


def _request(scope: MutableMapping[str, Any], path: str, body: bytes) -> Request:
    headers: dict[str, str] = {}
    for name, value in scope["headers"]:
        headers.setdefault(name.decode("latin-1").lower(), value.decode("latin-1"))
    query: dict[str, str] = {}
    for name, value in parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True):
        query.setdefault(name, value)
    peer = scope["client"][0] if scope.get("client") else ""
    return Request(scope["method"], path, peer, query, headers, body)


def _dated(exchange: Exchange, answer: Answer) -> Answer:
    return answer.adding((("Date", format_datetime(exchange.now, usegmt=True)),))


async def _send(send: Send, answer: Answer, body: bytes) -> None:
    await _start(send, answer, len(body))
    await send({"type": "http.response.body", "body": body})


async def _start(send: Send, answer: Answer, length: int) -> None:
    headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in answer.headers]
    headers.append((b"Content-Length", str(length).encode()))
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})


async def _gone(receive: Receive, seconds: float | None = None) -> bool:
    """Wait until the client has gone, at most some seconds; tell whether it has."""
    try:
        async with asyncio.timeout(seconds):
            while (await receive())["type"] != "http.disconnect":
                pass
    except TimeoutError:
        return False
    return True


async def _reset(transport: Any, receive: Receive) -> None:
    """Drop the connection with a TCP reset."""
    transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()
    await _gone(receive)
