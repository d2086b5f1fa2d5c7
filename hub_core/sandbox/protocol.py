"""The HTTP protocol of the sandbox: uvicorn's, but the application can drop the connection, and nothing is logged."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from uvicorn.protocols.http.h11_impl import H11Protocol

if TYPE_CHECKING:
    import asyncio


class DroppableProtocol(H11Protocol):
    """Hands the transport to the application, as `scope["state"]["transport"]`."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.access_log = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        """Remember the transport for the application."""
        super().connection_made(transport)
        self.app_state = {**self.app_state, "transport": transport}

    def shutdown(self) -> None:
        """Drop the connection at once: a slow answer must not hold up the end."""
        self.transport.abort()
