"""The guard that keeps every test on this machine."""

from __future__ import annotations

import ipaddress
import socket
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


class LeftLoopback(AssertionError):
    """A test tried to reach something that is not this machine."""


def guarded(original: Callable[..., Any]) -> Callable[..., Any]:
    def connect(self: socket.socket, address: Any, *rest: Any) -> Any:
        if self.family in {socket.AF_INET, socket.AF_INET6}:
            host = str(address[0])
            try:
                here = ipaddress.ip_address(host.partition("%")[0]).is_loopback
            except ValueError:
                here = host == "localhost"
            if not here:
                raise LeftLoopback(f"a test tried to connect to {host}")
        return original(self, address, *rest)

    return connect
