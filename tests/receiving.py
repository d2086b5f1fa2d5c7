"""A receiver of messages on a socket of this machine: it keeps what came, and answers as it is told."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

from standardwebhooks import Webhook

from tests.scaled import until

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


@dataclass(frozen=True)
class Received:
    """One request as it came."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes

    def verified(self, secret: str) -> Any:
        """Return the body as values, if the real verifier accepts the signature."""
        return Webhook(secret).verify(self.body, dict(self.headers))


@dataclass
class Receiver:
    """What came, and what is answered."""

    port: int = 0
    requests: list[Received] = field(default_factory=list)
    status: int = 204
    answer_headers: dict[str, str] = field(default_factory=dict)
    hang: bool = False
    """Take the request and answer only when `release` is set."""
    release: threading.Event = field(default_factory=threading.Event)

    def wait(self, number: int) -> None:
        """Return once so many requests came."""
        until(lambda: len(self.requests) >= number)

    @property
    def place(self) -> str:
        """Host and port."""
        return f"127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        """An address with a path nobody may see."""
        return f"http://{self.place}/hooks/{CANARY}?token={CANARY}"

    @property
    def ids(self) -> list[str]:
        """The ids of the messages that came, each as often as it came."""
        return [request.headers["webhook-id"] for request in self.requests]


CANARY = "Hook0Canary0Path0000000001"
"""Stands in every receiver's address, and nowhere else."""


@contextmanager
def receiver() -> Iterator[Receiver]:
    """Serve a receiver for a while."""
    state = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            headers = {name.lower(): value for name, value in self.headers.items()}
            state.requests.append(Received(self.command, self.path, headers, body))
            if state.hang:
                state.release.wait(30)
            self.send_response(state.status)
            for name, value in state.answer_headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", "0")
            self.end_headers()

        do_POST = do_GET = do_PUT = _answer  # noqa: N815 - the names that http.server calls

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    state.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield state
    finally:
        state.release.set()
        server.shutdown()
        server.server_close()
        thread.join()
