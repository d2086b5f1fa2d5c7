"""Hubs that work against a served sandbox without rate limits: installations, forms, links and a clock to move."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from hub_core.clock import Clock
from hub_core.drafts import Form
from hub_core.hub import Hub
from hub_core.model import RegionId
from hub_core.sandbox import Sandbox, ServerName, serve
from hub_core.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from hub_core.hub import Linked
    from hub_core.sandbox import RunningSandbox, SandboxOrganization


@contextmanager
def sandbox_without_limits() -> Iterator[RunningSandbox]:
    """Serve a sandbox that never asks to wait."""
    with serve(Sandbox(rate_limits=False)) as running:
        yield running


def reset(running: RunningSandbox) -> None:
    """Switch off every fault."""
    running.sandbox.faults.clear()


def installation(folder: Path, running: RunningSandbox, **options: object) -> Settings:
    """Return settings of an installation whose sandbox is the one that is served already."""
    kept = folder / "data" / "sandbox"
    kept.mkdir(parents=True, mode=0o700, exist_ok=True)
    (kept / "ca.pem").write_text(running.ca_pem, encoding="ascii")
    settings = Settings(
        data=folder / "data",
        config=folder / "config",
        sandbox_port=int(running.origin.rpartition(":")[2]),
        token_limit=60,
    )
    return replace(settings, **options)  # type: ignore[arg-type]  # options are fields of it


@contextmanager
def opened(settings: Settings, clock: Clock | None = None, *, deadline_s: float = 10.0) -> Iterator[Hub]:
    """Open a hub for a while."""
    hub = Hub.open(settings, clock=clock, deadline_s=deadline_s)
    try:
        yield hub
    finally:
        hub.close()


def organization(running: RunningSandbox, word: str) -> SandboxOrganization:
    """Return the organization whose name starts with a word, with its present secret."""
    return next(o for o in running.sandbox.organizations if o.name.startswith(word))


def form(who: SandboxOrganization, **changes: str) -> Form:
    """Return the filled-in form of a sandbox organization."""
    filled = Form(region=RegionId.SANDBOX, label=who.name, client_id=who.client_id, secret=who.secret)
    return replace(filled, **changes)  # type: ignore[arg-type]  # changes are fields of text


def link(hub: Hub, who: SandboxOrganization, *, at: ServerName | None = None, **changes: str) -> Linked:
    """Link a sandbox organization, at its own server unless another is given."""
    return hub.link(hub.read_form(form(who, **changes), sandbox_server=at or who.server), actor="test")


class Hands:
    """The hands of a clock: the real time, moved by as much as a test says."""

    def __init__(self) -> None:
        self.moved = timedelta()

    def now(self) -> datetime:
        """Return the moved time."""
        return datetime.now(UTC) + self.moved

    def forward(self, **time: float) -> None:
        """Let time pass."""
        self.moved += timedelta(**time)

    @property
    def clock(self) -> Clock:
        """The clock that shows it."""
        return Clock(now=self.now)
