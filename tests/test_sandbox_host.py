"""The sandbox of an installation: started when wanted, shared between processes, and never taken for another."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from hub_core.errors import SandboxUnavailable
from hub_core.sandbox_host import SandboxHost
from tests.hostile import Hostile, Shop, polite

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hub_core.settings import Settings


@contextlib.contextmanager
def host(settings: Settings) -> Iterator[SandboxHost]:
    opened = SandboxHost(settings)
    try:
        yield opened
    finally:
        opened.close()


def test_two_processes_share_the_one_that_came_first(settings: Settings) -> None:
    """Command line and dashboard use one sandbox; the second finds it by its certificate."""
    with host(settings) as first, host(settings) as second:
        first.wake()
        second.wake()
        assert (first.state is None, second.state is None) == (False, True)
        assert first.ca_pem == second.ca_pem


def test_another_program_on_the_port_is_not_taken_for_it(settings: Settings) -> None:
    """Whatever else answers there, with or without TLS, leads to a sentence about the port."""
    with host(settings) as first:
        first.wake()
    for tls in (None, Shop().good("127.0.0.1")):
        with (
            Hostile(polite(), tls=tls) as other,
            host(replace(settings, sandbox_port=other.port)) as second,
            pytest.raises(SandboxUnavailable, match="another program uses port"),
        ):
            second.wake()


def test_a_folder_that_cannot_be_used_is_not_called_a_taken_port(settings: Settings) -> None:
    """The sentence names the folder."""
    settings.data.mkdir(parents=True)
    (settings.data / "sandbox").write_text("a file")
    with host(settings) as only, pytest.raises(SandboxUnavailable, match="cannot start in"):
        only.wake()
