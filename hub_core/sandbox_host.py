"""Starts the sandbox when it is first wanted, and stops it with the hub."""

from __future__ import annotations

import errno
import socket
import ssl
import threading
from typing import TYPE_CHECKING

from hub_core.errors import SandboxUnavailable
from hub_core.sandbox import Sandbox, ServerName, endpoints_of, serve

if TYPE_CHECKING:
    from hub_core.model import Endpoints
    from hub_core.sandbox import RunningSandbox, SandboxOrganization
    from hub_core.settings import Settings


_PROOF_S = 3.0


class SandboxHost:
    """The sandbox of this installation: on a fixed loopback port, so that linked accounts keep their addresses."""

    def __init__(self, settings: Settings) -> None:
        """Remember where it would run; nothing is started."""
        self.offered = settings.sandbox_offered
        self._port = settings.sandbox_port
        self._folder = settings.data / "sandbox"
        self._ca_file = self._folder / "ca.pem"
        self._lock = threading.Lock()
        self._running: RunningSandbox | None = None
        self.state: Sandbox | None = None
        """The running sandbox, for switching faults; None when it was not started here."""

    @property
    def origin(self) -> str:
        """Where it answers."""
        return f"https://127.0.0.1:{self._port}"

    @property
    def ca_pem(self) -> str:
        """The certificate of the sandbox's own CA; starts the sandbox. Raises SandboxUnavailable."""
        self.wake()
        return self._ca_file.read_text(encoding="ascii")

    def organizations(self) -> tuple[SandboxOrganization, ...]:
        """Return the organizations; their keys as they are now if the sandbox runs here, else as they were made."""
        return (self.state or Sandbox()).organizations

    def endpoints(self, server: str) -> Endpoints:
        """Return the addresses of one of its servers."""
        return endpoints_of(self.origin, ServerName(server))

    def clouds(self) -> list[tuple[str, Endpoints]]:
        """Return its two clouds, by the names of the regions they stand for."""
        if not self.offered:
            return []
        return [(name, self.endpoints(name.lower())) for name in ("US", "EU")]

    def server_at(self, endpoints: Endpoints) -> ServerName | None:
        """Return which of its servers these addresses are."""
        return next((server for server in ServerName if self.endpoints(server) == endpoints), None)

    def wake(self) -> None:
        """Start it unless it runs, here or in another process of this installation.

        Raises:
            SandboxUnavailable: it is switched off, or its port is taken by something else.
        """
        if not self.offered:
            raise SandboxUnavailable("The sandbox is switched off. It exists only while the dashboard is not shared.")
        with self._lock:
            if self._running:
                return
            state = Sandbox(origin=self.origin)
            try:
                self._running = serve(state, port=self._port, folder=self._folder)
                self.state = state
            except OSError as error:
                if error.errno != errno.EADDRINUSE:
                    why = (error.strerror or type(error).__name__).lower()
                    raise SandboxUnavailable(f"The sandbox cannot start in {self._folder}: {why}.") from None
                # The command line and the dashboard may both want it: the one that came first serves both.
                if not self._runs_elsewhere():
                    raise SandboxUnavailable(
                        f"The sandbox cannot start: another program uses port {self._port}. "
                        "Set LINKHUB_SANDBOX_PORT to a free one."
                    ) from None

    def _runs_elsewhere(self) -> bool:
        """Tell whether what has our port is this installation's sandbox: only that can prove our own CA."""
        try:
            context = ssl.create_default_context(cafile=str(self._ca_file))
            with (
                socket.create_connection(("127.0.0.1", self._port), timeout=_PROOF_S) as raw,
                context.wrap_socket(raw, server_hostname="127.0.0.1"),
            ):
                return True
        except OSError:
            return False

    def close(self) -> None:
        """Stop it if it was started here."""
        with self._lock:
            if self._running:
                self._running.close()
                self._running = None
