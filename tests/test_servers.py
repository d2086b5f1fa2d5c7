"""What servers said of themselves: believed for a minute, apart for each address and CA."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import pytest

from hub_core.bitwarden.client import ServerInfo
from hub_core.errors import RemoteError
from hub_core.health.servers import BELIEVED_S, Servers
from hub_core.model import Reason, ServerKind

API = "https://api.example.test"


class Asked:
    """A server that counts how often it is asked, and an hour hand to move."""

    def __init__(self) -> None:
        self.times = 0
        self.seconds = 0.0
        self.broken = False

    async def ask(self) -> ServerInfo:
        """Answer with the number of the question as version."""
        self.times += 1
        if self.broken:
            raise RemoteError(Reason.SERVER_FAULT)
        at = datetime(2026, 1, 1, tzinfo=UTC)
        return ServerInfo(ServerKind.OFFICIAL, None, str(self.times), None, None, None, at, at, 1)


def version(servers: Servers, asked: Asked, api: str = API, ca_pem: str | None = None) -> str | None:
    return asyncio.run(servers.info(api, ca_pem, asked.ask)).version


def test_a_server_is_asked_once_a_minute() -> None:
    """Accounts of one server share its answer; after a minute it is asked again."""
    asked = Asked()
    servers = Servers(lambda: asked.seconds)
    assert [version(servers, asked) for _ in range(3)] == ["1"] * 3
    asked.seconds += BELIEVED_S
    assert version(servers, asked) == "2"


def test_answers_are_kept_apart() -> None:
    """Another address, or the same one vouched for by another CA, is another server."""
    asked = Asked()
    servers = Servers(lambda: asked.seconds)
    found = [version(servers, asked, api, ca) for api, ca in ((API, None), (API, "ca"), (API + ".other", None))]
    assert found == ["1", "2", "3"]


def test_a_failure_is_not_kept() -> None:
    """What a server did not answer is asked again by the next check."""
    asked = Asked()
    servers = Servers(lambda: asked.seconds)
    asked.broken = True
    with pytest.raises(RemoteError):
        version(servers, asked)
    asked.broken = False
    assert version(servers, asked) == "2"


def test_nothing_is_believed_where_a_person_asks() -> None:
    """Without belief every check asks."""
    asked = Asked()
    servers = Servers(lambda: asked.seconds, believed_s=0)
    assert [version(servers, asked) for _ in range(2)] == ["1", "2"]
