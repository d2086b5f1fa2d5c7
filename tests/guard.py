"""The guard that keeps every test on this machine, in this process and in the Python programs it starts.

`tests/guarded/sitecustomize.py` puts the same guard into child processes.
"""

from __future__ import annotations

import ipaddress
import os
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

CHILDREN = Path(__file__).parent / "guarded"
"""Stands in PYTHONPATH, so that Python children load the guard before anything else."""


class LeftLoopback(AssertionError):
    """A test tried to reach something that is not this machine."""


def install() -> None:
    """Fail whatever opens a socket to somewhere else, sends a datagram there, or asks for a foreign name."""
    for name in ("connect", "connect_ex", "sendto"):
        setattr(socket.socket, name, _guarded(getattr(socket.socket, name)))
    ask = socket.getaddrinfo

    def getaddrinfo(host: Any, *rest: Any, **named: Any) -> Any:
        _stay(host.decode("ascii", "replace") if isinstance(host, bytes) else host)
        return ask(host, *rest, **named)

    socket.getaddrinfo = getaddrinfo  # type: ignore[assignment]


def for_children(environ: dict[str, str] | os._Environ[str]) -> None:
    """Have Python programs started with this environment load the guard."""
    paths = [str(CHILDREN), *filter(None, [environ.get("PYTHONPATH")])]
    environ["PYTHONPATH"] = os.pathsep.join(dict.fromkeys(paths))


def _guarded(original: Callable[..., Any]) -> Callable[..., Any]:
    def reach(self: socket.socket, *given: Any) -> Any:
        address = given[0] if isinstance(given[0], tuple) else given[-1]
        if self.family in {socket.AF_INET, socket.AF_INET6}:
            _stay(address[0])
        return original(self, *given)

    return reach


def _stay(host: str | None) -> None:
    if host in {None, "", "localhost", "0.0.0.0", "::"}:  # noqa: S104 - names for this machine, not a binding
        return
    try:
        here = ipaddress.ip_address(str(host).partition("%")[0]).is_loopback
    except ValueError:
        here = False
    if not here:
        raise LeftLoopback(f"a test tried to reach {host}")
