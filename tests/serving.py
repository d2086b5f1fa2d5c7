"""Starts the real server as a child process, and speaks HTTP and the WebSocket handshake byte by byte."""

from __future__ import annotations

import base64
import http.client
import os
import shutil
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import sync_playwright

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from playwright.sync_api import Browser

ROOT = Path(__file__).resolve().parents[1]
START_DEADLINE = 40.0
STOP_DEADLINE = 20.0


@dataclass(frozen=True)
class Answer:
    """What came back: status, headers with lower-case names (values of repeated ones joined), and body."""

    status: int
    headers: Mapping[str, str]
    body: str


@dataclass(frozen=True)
class Server:
    """The running dashboard."""

    url: str
    port: int
    sandbox_port: int
    process: subprocess.Popen[bytes]
    log_file: Path

    @property
    def log(self) -> str:
        """Everything the server has printed so far."""
        return self.log_file.read_text("utf-8")

    def stop(self) -> int:
        """Ask the server to end, wait until it has, and return its exit code."""
        self.process.terminate()
        return self.process.wait(STOP_DEADLINE)


def free_port() -> int:
    """Return a port of 127.0.0.1 that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def environment(tmp_path: Path, **extra: str) -> dict[str, str]:
    """Return an environment that shares nothing with the machine's own user but the search path."""
    return {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": os.environ["PYTHONPATH"],  # the guard of tests/guard.py
        "HOME": str(tmp_path / "home"),
        "LINKHUB_DATA": str(tmp_path / "data"),
        "LINKHUB_CONFIG": str(tmp_path / "config"),
        "LINKHUB_SANDBOX_PORT": str(free_port()),
        "LINKHUB_SCHEDULER": "off",
        **extra,
    }


def streamlit_run(*options: str, root: Path = ROOT) -> list[str]:
    """Return the command `streamlit run app.py` with options."""
    return [sys.executable, "-m", "streamlit", "run", str(root / "app.py"), *options]


@contextmanager
def start_server(
    tmp_path: Path, *, command: Sequence[str] = (), cwd: Path = ROOT, root: Path = ROOT, **env: str
) -> Iterator[Server]:
    """Start the dashboard with its own folders below `tmp_path`, wait until it answers, and end it afterwards.

    Without `command` it is `streamlit run app.py` of the folder `root`; `env` adds to the isolated environment.
    """
    env = environment(tmp_path, LINKHUB_PORT=str(free_port()), LINKHUB_ADDRESS="127.0.0.1") | env
    address, port = env["LINKHUB_ADDRESS"], int(env["LINKHUB_PORT"])
    arguments = list(command) or streamlit_run("--server.port", str(port), root=root)
    log_file = tmp_path / "server.log"
    with log_file.open("wb") as log:
        process = subprocess.Popen(arguments, cwd=cwd, env=env, stdout=log, stderr=subprocess.STDOUT)
    server = Server(f"http://{address}:{port}", port, int(env["LINKHUB_SANDBOX_PORT"]), process, log_file)
    try:
        _wait_until_ready(server, address)
        yield server
    finally:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(STOP_DEADLINE)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _wait_until_ready(server: Server, address: str) -> None:
    deadline = time.monotonic() + START_DEADLINE
    while time.monotonic() < deadline:
        try:
            if ask(server.port, "/healthz", address=address).status == 200:
                return
        except OSError:
            pass
        try:
            server.process.wait(0.05)
        except subprocess.TimeoutExpired:
            continue
        raise AssertionError(f"the server ended with {server.process.returncode}:\n{server.log}")
    raise AssertionError(f"no answer within {START_DEADLINE} s:\n{server.log}")


@contextmanager
def chromium() -> Iterator[Browser]:
    """Start the machine's Chromium without a window; without one the test fails in CI and is skipped elsewhere."""
    path = shutil.which("chromium")
    if not path and os.environ.get("CI") == "true":
        pytest.fail("no Chromium on this machine")
    if not path:
        pytest.skip("NO BROWSER TESTED: install Chromium, on Debian `apt-get install chromium`")
    arguments = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-background-networking"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=arguments)
        try:
            yield browser
        finally:
            browser.close()


def ask(
    port: int,
    path: str,
    *,
    method: str = "GET",
    host: str | None = None,
    headers: Mapping[str, str] | None = None,
    address: str = "127.0.0.1",
) -> Answer:
    """Send one request over a connection of its own, under any Host."""
    connection = http.client.HTTPConnection(address, port, timeout=10)
    try:
        connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
        connection.putheader("Host", host or f"{address}:{port}")
        for name, value in (headers or {}).items():
            connection.putheader(name, value)
        connection.endheaders()
        response = connection.getresponse()
        return Answer(response.status, _joined(response.getheaders()), response.read().decode())
    finally:
        connection.close()


def handshake(port: int, path: str = "/_stcore/stream", *, host: str, origin: str | None) -> Answer:
    """Send the bytes that ask for a WebSocket and return the answer's head, and its body unless it was accepted."""
    lines = [
        f"GET {path} HTTP/1.1",
        f"Host: {host}",
        "Upgrade: websocket",
        "Connection: Upgrade",
        f"Sec-WebSocket-Key: {base64.b64encode(bytes(16)).decode()}",
        "Sec-WebSocket-Version: 13",
        *([f"Origin: {origin}"] if origin is not None else []),
    ]
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall("\r\n".join((*lines, "", "")).encode())
        response = http.client.HTTPResponse(connection)
        response.begin()
        body = "" if response.status == 101 else response.read().decode()
        return Answer(response.status, _joined(response.getheaders()), body)


def _joined(pairs: Sequence[tuple[str, str]]) -> dict[str, str]:
    headers: dict[str, str] = {}
    for name, value in pairs:
        key = name.lower()
        headers[key] = f"{headers[key]}, {value}" if key in headers else value
    return headers
