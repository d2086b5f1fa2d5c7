"""The questions of one check, as httpx requests to one account's two servers."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Self

from httpx import URL, Headers, Request

from hub_core import __version__
from hub_core.bitwarden.answer import Answer
from hub_core.bitwarden.guarded import (
    LIST_LIMIT,
    OBJECT_LIMIT,
    TOKEN_PATH,
    Connected,
    ForbiddenRequest,
    GuardedTransport,
    Side,
    permit,
)
from hub_core.bitwarden.reach import Resolver, resolve
from hub_core.bitwarden.tls import TlsFacts
from hub_core.errors import RemoteError
from hub_core.model import Reason

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import TracebackType

    from hub_core.bitwarden.kept import Kept
    from hub_core.bitwarden.policy import OutboundPolicy
    from hub_core.model import Endpoints

__all__ = [
    "LIST_LIMIT",
    "OBJECT_LIMIT",
    "Answer",
    "Connected",
    "ForbiddenRequest",
    "Headers",
    "Resolver",
    "Session",
    "Side",
    "TlsFacts",
    "permit",
    "resolve",
]

_FIXED_HEADERS = {
    "User-Agent": f"link-hub/{__version__}",
    "Accept": "application/json",
    "Accept-Encoding": "identity",
}
_PRINTABLE = re.compile(r"[\x21-\x7e]+")


class Session:
    """All connections of one check against one account."""

    def __init__(
        self,
        endpoints: Endpoints,
        policy: OutboundPolicy,
        *,
        ca_pem: str | None = None,
        official: Callable[[str], bool] = lambda _: False,
        connect_s: float = 5.0,
        deadline_s: float = 30.0,
        resolve: Resolver = resolve,
        monotonic: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        kept: Kept | None = None,
    ) -> None:
        """Connect as a `GuardedTransport` does; `kept` lends connections of earlier checks."""
        self._transport = GuardedTransport(
            endpoints,
            policy,
            ca_pem=ca_pem,
            official=official,
            connect_s=connect_s,
            deadline_s=deadline_s,
            resolve=resolve,
            monotonic=monotonic,
            kept=kept,
        )
        self._bases = {Side.API: endpoints.api, Side.IDENTITY: endpoints.identity}
        self._now = now

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._transport.aclose()

    async def connect(self, side: Side) -> Connected:
        """Resolve the name once, check every address, and connect to one of them; 0 ms where that is done.

        Raises:
            RemoteError: ADDRESS_…, NAME_…, CONNECTION_…, NO_ROUTE, PROXY_FAILED.
        """
        return await self._transport.connect(side)

    async def handshake(self, side: Side) -> TlsFacts | None:
        """Shake hands, the name verified, and return what the server showed; nothing for plaintext.

        Raises:
            RemoteError: CERTIFICATE_…, CLIENT_CERTIFICATE_WANTED, TLS_…, or those of `connect`.
        """
        return await self._transport.handshake(side)

    async def get(
        self,
        side: Side,
        path: str,
        *,
        token: str | None = None,
        params: Mapping[str, str] | None = None,
        limit: int = OBJECT_LIMIT,
    ) -> Answer:
        """Read one of the listed paths; the token goes to the API only.

        Raises:
            RemoteError: ANSWER_…, or those of `handshake`.
            ForbiddenRequest: for any other path.
        """
        permit("GET", side, path)
        headers = dict(_FIXED_HEADERS)
        if token is not None:
            # Checked here, because an error about an illegal header would show it.
            if not _PRINTABLE.fullmatch(token):
                raise RemoteError(Reason.ANSWER_UNREADABLE, evidence={"what": "access token"})
            headers["Authorization"] = f"Bearer {token}"
        return await self._ask(
            Request("GET", _url(self._bases[side] + path), params=params, headers=headers, extensions={"limit": limit})
        )

    async def post_token(self, form: Mapping[str, str]) -> Answer:
        """Send the form to the token path of the identity server, once.

        Raises:
            RemoteError: ANSWER_…, or those of `handshake`.
        """
        url = self._bases[Side.IDENTITY] + TOKEN_PATH
        return await self._ask(Request("POST", _url(url), data=form, headers=_FIXED_HEADERS))

    async def _ask(self, request: Request) -> Answer:
        response = await self._transport.handle_async_request(request)
        return Answer(response.status_code, response.headers, response.content, response.extensions["ms"], self._now())


@lru_cache(maxsize=1024)
def _url(text: str) -> URL:
    """Return an address read; the same few are asked again and again, and reading one costs as much as an answer."""
    return URL(text)
