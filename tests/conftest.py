"""Fixtures every test may use, and the guard that keeps every test on this machine."""

from __future__ import annotations

import ipaddress
import socket
from typing import TYPE_CHECKING, Any

import pytest

from hub_core.hub import Hub
from hub_core.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


class LeftLoopback(AssertionError):  # noqa: N818 - it is what happened
    """A test tried to reach something that is not this machine."""


def _guarded(original: Callable[..., Any]) -> Callable[..., Any]:
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


@pytest.fixture(autouse=True, scope="session")
def _loopback_only() -> Iterator[None]:
    """Fail any test that opens a socket to somewhere else, whichever library it does it with."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("connect", "connect_ex"):
            patch.setattr(socket.socket, name, _guarded(getattr(socket.socket, name)))
        yield


@pytest.fixture
def free_port() -> int:
    """A port of this machine that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def settings(tmp_path: Path, free_port: int) -> Settings:
    """Settings of an installation of its own, its sandbox on a free port."""
    return Settings(data=tmp_path / "data", config=tmp_path / "config", sandbox_port=free_port)


@pytest.fixture
def hub(settings: Settings) -> Iterator[Hub]:
    """A new hub."""
    opened = Hub.open(settings)
    yield opened
    opened.close()
