"""The guard itself: tests stay on this machine."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.guard import LeftLoopback
from tests.serving import environment

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("target", ["192.0.2.1", "10.0.0.1"])
def test_leaving_loopback_fails(target: str) -> None:
    """A test that connects to another machine fails before a packet is sent."""
    with socket.socket() as probe, pytest.raises(LeftLoopback):
        probe.connect((target, 9))


def test_a_datagram_elsewhere_fails() -> None:
    """Nor does a datagram leave."""
    with socket.socket(type=socket.SOCK_DGRAM) as probe, pytest.raises(LeftLoopback):
        probe.sendto(b"x", ("192.0.2.1", 9))


def test_asking_for_a_foreign_name_fails() -> None:
    """A name is not looked up: the question alone would leave the machine."""
    with pytest.raises(LeftLoopback):
        socket.getaddrinfo("vault.example.com", 443)


@pytest.mark.parametrize("own", [True, False], ids=["inherited environment", "environment of a server"])
def test_children_are_guarded(tmp_path: Path, own: bool) -> None:  # noqa: FBT001 - a parameter of the table
    """Python programs that tests start are held back in the same way."""
    code = "import socket; socket.create_connection(('192.0.2.1', 9), timeout=1)"
    given = dict(os.environ) if own else environment(tmp_path)
    ran = subprocess.run([sys.executable, "-c", code], env=given, capture_output=True, text=True, check=False)
    assert "LeftLoopback" in ran.stderr
