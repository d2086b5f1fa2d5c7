"""The guard itself: tests stay on this machine."""

from __future__ import annotations

import socket

import pytest

from tests.guard import LeftLoopback


@pytest.mark.parametrize("target", ["192.0.2.1", "10.0.0.1"])
def test_leaving_loopback_fails(target: str) -> None:
    """A test that connects to another machine fails before a packet is sent."""
    with socket.socket() as probe, pytest.raises(LeftLoopback):
        probe.connect((target, 9))
