"""The commands that run until they are stopped: the dashboard, the scheduler and the sandbox."""

from __future__ import annotations

import os
import signal
import sys
import threading
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from hub_core.cli import output
from hub_core.cli.opening import log_to_stderr, open_hub, read_settings
from hub_core.errors import SandboxUnavailable
from hub_core.sandbox import console
from hub_core.sandbox_host import SandboxHost
from hub_core.web import launch

if TYPE_CHECKING:
    from collections.abc import Iterator


@click.command
def serve() -> None:
    """Serve the dashboard, until Ctrl-C. LINKHUB_ADDRESS and LINKHUB_PORT say where."""
    # The settings are not read here: reading them takes LINKHUB_KEY out of the environment.
    command = launch.command()
    if not Path(command[-1]).exists():
        raise click.ClickException("The dashboard's files are missing: install Link Hub again.")
    sys.stdout.flush()
    os.execv(command[0], command)  # noqa: S606 - our own interpreter and script


@click.command
def watch() -> None:
    """Check accounts on their rhythm and tell people, until Ctrl-C. It needs no dashboard."""
    with _until_told() as told, open_hub() as hub:
        hub.start_watching()
        output.say("Watching. Accounts that stop or start working are told here.")
        told.wait()
    output.say("Stopped watching.")


@contextmanager
def _until_told() -> Iterator[threading.Event]:
    """Give an event that is set when somebody wants this process to end."""
    told = threading.Event()
    before = {which: signal.signal(which, lambda *_: told.set()) for which in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield told
    finally:
        for which, handler in before.items():
            signal.signal(which, handler)


@click.command
def sandbox() -> None:
    """Serve the sandbox, the stand-in Bitwarden. Type help for its faults; end of input or Ctrl-C ends it."""
    settings = read_settings()
    host = SandboxHost(settings)
    with log_to_stderr(settings.log_level), closing(host):
        host.wake()
        if host.state is None:
            raise SandboxUnavailable(
                f"The sandbox already runs at {host.origin}, in another process of this installation. "
                "Stop that one to switch faults from here."
            )
        output.show(f"The sandbox answers at {host.origin}. Link its organizations with --region sandbox.")
        click.echo(console.apply(host.state, "organizations"))
        output.say("Type help to see what can be switched; Ctrl-D ends.")
        for line in sys.stdin:
            answer = console.apply(host.state, line)
            if answer:
                click.echo(answer)
    output.say("The sandbox stopped.")
