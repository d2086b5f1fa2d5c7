"""Serves a sandbox over TLS on 127.0.0.1, in a thread of the process that asks for it."""

from __future__ import annotations

import errno
import socket
import threading
from typing import TYPE_CHECKING, Self

from hub_core.sandbox.sandbox import utc_now

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime
    from pathlib import Path

    import uvicorn

    from hub_core.sandbox.sandbox import Sandbox

ADDRESS = "127.0.0.1"

_KEEP_ALIVE = 60
"""Seconds an idle connection is kept, much like nginx does."""


class RunningSandbox:
    """A sandbox that is being served, until `close()`."""

    def __init__(
        self, sandbox: Sandbox, *, origin: str, ca_pem: str, server: uvicorn.Server, listener: socket.socket
    ) -> None:
        self.sandbox = sandbox
        self.origin = origin
        self.ca_pem = ca_pem
        self._server = server
        self._listener = listener
        self._thread = threading.Thread(target=self._run, name="sandbox", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop serving; every open connection is dropped."""
        self._server.should_exit = True
        self._thread.join()
        self._listener.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _run(self) -> None:
        import asyncio  # noqa: PLC0415 - half the import time of this package

        asyncio.run(self._server.serve(sockets=[self._listener]))


def serve(
    sandbox: Sandbox, *, port: int = 0, folder: Path | None = None, clock: Callable[[], datetime] = utc_now
) -> RunningSandbox:
    """Serve a sandbox on a port of 127.0.0.1 (0: any free one) and tell it its origin.

    With a folder the certificate authority is kept there, so that a client that trusts it still does after a restart.
    `clock` dates the certificates; it is not the sandbox's, whose time may be invented while its clients' is not.

    Raises:
        OSError: if the port is taken.
    """
    import uvicorn  # noqa: PLC0415 - only when serving

    from hub_core.sandbox.certificate import certificates  # noqa: PLC0415 - as above
    from hub_core.sandbox.protocol import DroppableProtocol  # noqa: PLC0415 - as above

    listener = _listen(port)
    try:
        made = certificates(folder, clock())
    except BaseException:
        listener.close()
        raise
    sandbox.origin = f"https://{ADDRESS}:{listener.getsockname()[1]}"
    config = uvicorn.Config(
        sandbox.app,
        http=DroppableProtocol,
        ws="none",
        lifespan="off",
        loop="asyncio",
        log_config=None,
        log_level=None,
        server_header=False,
        date_header=False,
        proxy_headers=False,
        timeout_keep_alive=_KEEP_ALIVE,
        ssl_context_factory=lambda *_: made.context,
    )
    server = uvicorn.Server(config)
    return RunningSandbox(sandbox, origin=sandbox.origin, ca_pem=made.ca_pem, server=server, listener=listener)


def _listen(port: int) -> socket.socket:
    # asyncio switches Nagle's algorithm off only where TCP is named; with it every answer takes 40 ms longer.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((ADDRESS, port))
        listener.listen(512)
    except OSError as error:
        listener.close()
        if error.errno != errno.EADDRINUSE:
            raise
        sentence = f"Port {port} of {ADDRESS} is taken by another program; give the sandbox another one."
        raise OSError(errno.EADDRINUSE, sentence) from error
    return listener
