"""Runs the command line for tests: in this process, or as a child at a pipe or a pseudo-terminal."""

from __future__ import annotations

import io
import json
import os
import pty
import select
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hub_core.__main__ import main
from hub_core.sandbox import Sandbox, serve
from hub_core.storage.store import Store

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import pytest

    from hub_core.sandbox import SandboxOrganization

DEADLINE = 60.0


@dataclass(frozen=True)
class Ran:
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def text(self) -> str:
        """Everything it printed."""
        return self.out + self.err

    @property
    def json(self) -> Any:
        """Its result for machines."""
        return json.loads(self.out)


class Terminal:
    """An installation of its own below `tmp_path`, and commands in it."""

    def __init__(
        self, tmp_path: Path, port: int, patch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        self.data, self.config, self.port = tmp_path / "data", tmp_path / "config", port
        self._patch, self._capsys = patch, capsys
        for name in [name for name in os.environ if name.startswith("LINKHUB_")]:
            patch.delenv(name)
        self.set(
            LINKHUB_DATA=str(self.data),
            LINKHUB_CONFIG=str(self.config),
            LINKHUB_SANDBOX_PORT=str(port),
            LINKHUB_OUTBOUND_LOOPBACK=f"127.0.0.1:{port},localhost:{port}",
            LINKHUB_TOKEN_LIMIT="60",
        )

    def set(self, **settings: str) -> None:
        """Set environment variables."""
        for name, value in settings.items():
            self._patch.setenv(name, value)

    def unset(self, name: str) -> None:
        """Remove an environment variable."""
        self._patch.delenv(name, raising=False)

    def __call__(self, *arguments: str, stdin: str | bytes = "") -> Ran:
        """Run a command in this process."""
        data = stdin.encode() if isinstance(stdin, str) else stdin
        self._patch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data), encoding="utf-8"))
        self._capsys.readouterr()
        code = main(arguments)
        said = self._capsys.readouterr()
        return Ran(code, said.out, said.err)

    def link(self, organization: SandboxOrganization, *options: str, label: str = "", stdin: str = "") -> Ran:
        """Link an organization of the sandbox."""
        return self(
            "link",
            *("--region", "sandbox", "--sandbox-server", organization.server.replace("_", "-")),
            *("--client-id", organization.client_id, "--label", label or organization.name, *options),
            stdin=stdin or organization.secret,
        )

    @contextmanager
    def store(self) -> Iterator[Store]:
        """Open the database beside the commands."""
        opened = Store.open(self.data / "hub.db")
        try:
            yield opened
        finally:
            opened.close()

    @contextmanager
    def sandbox(self) -> Iterator[Sandbox]:
        """Serve this installation's sandbox, as a running dashboard does, so that faults can be switched."""
        state = Sandbox(rate_limits=False)
        with serve(state, port=self.port, folder=self.data / "sandbox"):
            yield state


def organization(word: str) -> SandboxOrganization:
    """Return the organization of the sandbox whose name starts with a word."""
    return next(found for found in Sandbox().organizations if found.name.startswith(word))


def child(*arguments: str, **options: Any) -> subprocess.Popen[str]:
    """Start a command as a child, at pipes."""
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    return subprocess.Popen([sys.executable, "-m", "hub_core", *arguments], text=True, **(pipes | options))


def at_terminal(*arguments: str, answers: tuple[tuple[str, str], ...] = ()) -> tuple[int, str]:
    """Run a command at a pseudo-terminal, answer each question as it comes, and return code and screen."""
    ours, theirs = pty.openpty()
    process = child(*arguments, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True)
    os.close(theirs)
    screen, left, until = "", list(answers), time.monotonic() + DEADLINE
    try:
        while time.monotonic() < until:
            if not select.select([ours], [], [], 1.0)[0]:
                continue
            try:
                read = os.read(ours, 4096).decode("utf-8", "replace")
            except OSError:  # the other end is closed
                break
            if not read:
                break
            screen += read
            if left and left[0][0] in screen:
                os.write(ours, f"{left.pop(0)[1]}\n".encode())
        return process.wait(DEADLINE), screen
    finally:
        process.kill()
        process.wait()
        os.close(ours)
