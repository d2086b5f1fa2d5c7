"""Fixtures every test may use."""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING

import pytest

from hub_core.hub import Hub
from hub_core.settings import Settings
from tests import guard

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


# Before any test module is imported, and for as long as the process lives: there is nothing to undo.
guard.install()
guard.for_children(os.environ)


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
