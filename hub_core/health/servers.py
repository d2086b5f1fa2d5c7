"""What servers said of themselves a moment ago, so that two hundred accounts of one server do not ask it each."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from hub_core.bitwarden.client import ServerInfo

BELIEVED_S = 60.0
"""No longer than the shortest interval: a server with one account is asked by every check of it."""


class _Said(NamedTuple):
    info: ServerInfo
    until: float


class Servers:
    """The last proper answer of each server's `/config`, by API address and by the CA that vouched for it."""

    def __init__(self, monotonic: Callable[[], float], *, believed_s: float = BELIEVED_S) -> None:
        """Believe an answer for `believed_s` seconds; with 0 every server is asked every time."""
        self._monotonic = monotonic
        self._believed_s = believed_s
        self._said: dict[tuple[str, str | None], _Said] = {}

    async def info(self, api: str, ca_pem: str | None, ask: Callable[[], Awaitable[ServerInfo]]) -> ServerInfo:
        """Return what a server says of itself, asking it unless it has just said so; what `ask` raises is not kept."""
        said = self._said.get((api, ca_pem))
        if said and self._monotonic() < said.until:
            return said.info
        info = await ask()
        now = self._monotonic()
        self._said = {who: said for who, said in self._said.items() if now < said.until}
        self._said[api, ca_pem] = _Said(info, now + self._believed_s)
        return info
