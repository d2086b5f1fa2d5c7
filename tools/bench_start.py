"""How long imports take, and from the command to the first page that can be used."""

from __future__ import annotations

import compileall
import os
import shutil
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.request import urlopen

from bench_report import best

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from bench_report import Report, Sizes
    from playwright.sync_api import Browser

ROOT = Path(__file__).resolve().parent.parent
START_DEADLINE_S = 60


def imports(report: Report, _: Path, sizes: Sizes) -> None:
    """Time what the command line and the pages load, as wall time of a fresh interpreter above an empty one."""
    bare = best(lambda: python("pass"), sizes.rounds)
    above = best(lambda: python("import hub_core"), sizes.rounds) - bare
    report.add("import hub_core", max(0.0, above), "s", at_most=0.3)
    report.add("import hub_core.hub", best(lambda: python("import hub_core.hub"), sizes.rounds) - bare, "s")
    heavy = "import hub_core.hub, sys; print(*{'streamlit', 'pandas', 'sqlite_utils'} & set(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", heavy], capture_output=True, text=True, check=True, cwd=ROOT)
    number = len(loaded.stdout.split())
    report.add("  loaded with it of streamlit, pandas, sqlite_utils", number, "modules", at_most=0)


def python(code: str) -> None:
    """Run a fresh interpreter."""
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


def start(report: Report, folder: Path, _: Sizes) -> None:
    """Time from the command to an answering server, and to the first page seen in Chromium."""
    for name in ("hub_core", "pages"):  # as an installer does; Python itself is often told not to
        compileall.compile_dir(ROOT / name, quiet=1)
    began = time.perf_counter()
    with dashboard(folder) as (url, _process):
        report.add("start to an answering server", time.perf_counter() - began, "s")
        if not shutil.which("chromium"):
            report.say("chromium: not installed (Debian: apt-get install chromium)")
            return
        opening = time.perf_counter()
        with chromium() as browser:
            page = browser.new_page()
            opened = time.perf_counter() - opening
            page.goto(url)
            page.get_by_role("button", name="Open the sandbox").wait_for(timeout=60_000)
            report.add("start to first page usable", time.perf_counter() - began - opened, "s", at_most=4)


@contextmanager
def dashboard(folder: Path, **settings: str) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """Run the dashboard on a free port, with its data in a folder; `settings` are environment variables."""
    port = free_port()
    environment = {
        "LINKHUB_DATA": str(folder / "data"),
        "LINKHUB_CONFIG": str(folder / "config"),
        "LINKHUB_PORT": str(port),
        "LINKHUB_SANDBOX_PORT": str(free_port()),
        **settings,
    }
    with served([sys.executable, str(ROOT / "app.py")], f"http://127.0.0.1:{port}", "/healthz", environment) as process:
        yield f"http://127.0.0.1:{port}", process


@contextmanager
def served(
    command: list[str], url: str, path: str, environment: Mapping[str, str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a server until the block ends; the block begins when it answers."""
    with subprocess.Popen(
        command,
        env={**os.environ, **(environment or {})},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd=ROOT,
    ) as server:
        try:
            give_up = time.monotonic() + START_DEADLINE_S
            while not answers(url + path):
                if server.poll() is not None or time.monotonic() > give_up:
                    raise SystemExit(f"{command[0]} does not answer")
                time.sleep(0.02)
            yield server
        finally:
            server.terminate()


@contextmanager
def chromium() -> Iterator[Browser]:
    """Start the machine's Chromium without a window."""
    from playwright.sync_api import sync_playwright  # noqa: PLC0415 - only where a browser is measured

    arguments = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-background-networking"]
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=shutil.which("chromium"), args=arguments)
        try:
            yield browser
        finally:
            browser.close()


def answers(url: str) -> bool:
    """Tell whether a server answers there."""
    try:
        with urlopen(url, timeout=2) as answer:  # noqa: S310 - our own loopback address
            return bool(answer.status == 200)
    except OSError:
        return False


def free_port() -> int:
    """Return a port of 127.0.0.1 that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
