"""Measures what a user waits for and what a check costs; prints figures and ratios of one run.

Machines differ and are noisy: ratios within one run are what can be compared. Every figure is the best of several.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import ssl
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.request import urlopen

import httpx
import streamlit as st
from playwright.sync_api import sync_playwright
from streamlit.testing.v1 import AppTest

from hub_core.bitwarden.client import LISTS
from hub_core.drafts import Draft
from hub_core.hub import Hub
from hub_core.model import ApiKey, Endpoints, Secret
from hub_core.sandbox import Sandbox, endpoints_of
from hub_core.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).resolve().parent.parent

SIZES = (200, 1_000, 10_000)
VERIFIES = 60
ROUNDS = 3


def main() -> None:
    """Run every measurement and print a line for each."""
    with tempfile.TemporaryDirectory() as folder:
        base = Path(folder)
        imports()
        start(base / "start")
        for size in SIZES:
            accounts_page(base / f"page{size}", size)
        verifies(base / "verify")


def report(what: str, value: str, target: str = "") -> None:
    """Print one line."""
    print(f"{what:<58} {value:>18}   {target}", flush=True)


def imports() -> None:
    """Time what the command line and the pages load, as wall time of a fresh interpreter above an empty one."""
    bare = best(lambda: python("pass"))
    report("import hub_core", seconds(max(0.0, best(lambda: python("import hub_core")) - bare)), "target ≤ 0.3 s")
    report("import hub_core.hub", seconds(best(lambda: python("import hub_core.hub")) - bare))
    heavy = "import hub_core.hub, sys; print([m for m in ('streamlit', 'pandas', 'sqlite_utils') if m in sys.modules])"
    loaded = subprocess.run([sys.executable, "-c", heavy], capture_output=True, text=True, check=True, cwd=ROOT)
    report("  loaded with it of streamlit, pandas, sqlite_utils", loaded.stdout.strip(), "target none")


def python(code: str) -> None:
    """Run a fresh interpreter."""
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


def start(folder: Path) -> None:
    """Time from the command to an answering server, and to the first page seen in Chromium."""
    port, sandbox_port = 8741, 8742
    environment = {
        **os.environ,
        "LINKHUB_DATA": str(folder / "data"),
        "LINKHUB_CONFIG": str(folder / "config"),
        "LINKHUB_PORT": str(port),
        "LINKHUB_SANDBOX_PORT": str(sandbox_port),
    }
    began = time.perf_counter()
    with subprocess.Popen(
        [sys.executable, str(ROOT / "app.py")], env=environment, stdout=subprocess.DEVNULL, cwd=ROOT
    ) as server:
        try:
            while not answers(f"http://127.0.0.1:{port}/healthz"):
                time.sleep(0.02)
            report("start to an answering server", seconds(time.perf_counter() - began))
            if chromium := shutil.which("chromium"):
                see_first_page(chromium, port, began)
        finally:
            server.terminate()


def see_first_page(chromium: str, port: int, began: float) -> None:
    """Time until the Accounts page can be used, Chromium's own start left out."""
    with sync_playwright() as play:
        opening = time.perf_counter()
        browser = play.chromium.launch(
            executable_path=chromium, args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        )
        page = browser.new_page()
        opened = time.perf_counter() - opening
        page.goto(f"http://127.0.0.1:{port}/")
        page.get_by_role("button", name="Open the sandbox").wait_for(timeout=60_000)
        report("start to first page usable", seconds(time.perf_counter() - began - opened), "target ≤ 4 s")
        browser.close()


def answers(url: str) -> bool:
    """Tell whether a server answers there."""
    try:
        with urlopen(url, timeout=2) as answer:  # noqa: S310 - our own loopback address
            return bool(answer.status == 200)
    except OSError:
        return False


def accounts_page(folder: Path, size: int) -> None:
    """Time the page's script with many accounts, as a rerun in a session that is warm."""
    os.environ |= {"LINKHUB_DATA": str(folder / "data"), "LINKHUB_CONFIG": str(folder / "config")}
    hub = Hub.open(Settings.from_env())
    fill(hub, size)
    query = best(lambda: len(hub.accounts()))
    hub.close()
    st.cache_resource.clear()
    page = AppTest.from_file(str(ROOT / "pages" / "_shell.py"), default_timeout=120)
    page.run()
    script = best(page.run)
    if page.exception or len(page.dataframe[0].value) != min(size, 1_000):
        raise SystemExit(f"the page does not show {size} accounts: {page.exception}")
    target = {200: 50, 1_000: 100, 10_000: 400}[size]
    report(f"Accounts page, script run, {size:,} accounts", millis(script), f"target ≤ {target} ms")
    report("  of it the query", millis(query))


def fill(hub: Hub, size: int) -> None:
    """Write accounts straight into the database: a mix of statuses, regions and servers."""
    now = datetime.now(UTC)
    statuses = ("healthy",) * 16 + ("degraded", "limited", "failing", "unreachable")
    reasons = {
        "degraded": "certificate_ends_soon",
        "failing": "key_no_longer_accepted",
        "unreachable": "connection_timeout",
        "limited": "read_api_absent",
    }
    ms = round(now.timestamp() * 1000)
    ends = round((now + timedelta(days=90)).timestamp() * 1000)
    rows = [
        (
            f"00000000-0000-4000-8000-{n:012d}",
            f"Customer {n:05d}",
            ("us", "eu", "self_hosted")[n % 3],
            f"organization.00000000-0000-4000-8000-{n:012d}",
            statuses[n % len(statuses)],
            reasons.get(statuses[n % len(statuses)]),
            ms - n * 1000,
            ms - n * 1000,
            ms,
            ends,
            '["customer"]' if n % 2 else "[]",
        )
        for n in range(size)
    ]
    with hub.store.database.write() as con:
        con.executemany(
            "INSERT INTO account(id, label, region, client_id, status, reason, since, checked_at, key_proven_at, "
            "certificate_ends, tags, identity, api, identity_origin, note, sealed, lifecycle, pause_reason, linked_at, "
            "key_entered_at, generation, server_kind, server_version, latency_ms, facts) VALUES "
            "(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'https://i.example', 'https://a.example', 'https://i.example', '', 'x', "
            "'active', '', 0, 0, 0, 'official', '2026.8.0', 120, '{}')",
            rows,
        )
        con.execute("INSERT INTO schedule(account_id) SELECT id FROM account")


def verifies(folder: Path) -> None:
    """Compare the processor time of a verify with bare httpx doing the same requests to the same server."""
    with sandbox(folder) as (origin, ca_file):
        ours = min(cpu(lambda: our_verifies(folder, origin, ca_file)) for _ in range(ROUNDS)) / VERIFIES
        pooled = min(cpu(lambda: bare_httpx(origin, ca_file, share=True)) for _ in range(ROUNDS)) / VERIFIES
        fresh = min(cpu(lambda: bare_httpx(origin, ca_file, share=False)) for _ in range(ROUNDS)) / VERIFIES
    report("CPU per verify (8 requests, new TLS connection, stored)", millis(ours))
    report("  bare httpx, a new connection each verify", millis(fresh), f"ratio {ours / fresh:.2f}")
    report("  bare httpx, one shared pool", millis(pooled), f"ratio {ours / pooled:.2f}")


@contextmanager
def sandbox(folder: Path) -> Iterator[tuple[str, Path]]:
    """Serve the sandbox in a process of its own, so that its work is not counted, without rate limits."""
    folder.mkdir(parents=True)
    code = (
        "import sys, pathlib; from hub_core.sandbox import Sandbox, serve\n"
        "with serve(Sandbox(rate_limits=False), folder=pathlib.Path(sys.argv[1])) as s:\n"
        "    print(s.origin, flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(folder / "sandbox")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    ) as server:
        if not server.stdout or not server.stdin:
            raise SystemExit("the sandbox did not start")
        origin = server.stdout.readline().strip()
        try:
            yield origin, folder / "sandbox" / "ca.pem"
        finally:
            server.stdin.close()


def subject(origin: str) -> tuple[Endpoints, ApiKey]:
    """Return the endpoints and the key of a small healthy organization."""
    organization = next(o for o in Sandbox().organizations if o.name == "Harbor Clinic")
    return endpoints_of(origin, organization.server), ApiKey(organization.client_id, Secret(organization.secret))


def our_verifies(folder: Path, origin: str, ca_file: Path) -> None:
    """Verify, judge and record, one after the other, as the dashboard does."""
    home = Path(tempfile.mkdtemp(dir=folder))
    port = origin.rpartition(":")[2]
    hub = Hub.open(
        Settings(
            data=home / "data", config=home / "config", token_limit=100_000, outbound_loopback=(f"127.0.0.1:{port}",)
        )
    )
    endpoints, key = subject(origin)
    draft = Draft(endpoints=endpoints, key=key, label="Bench", ca_pem=ca_file.read_text())
    account = hub.link(draft, actor="bench").account
    for _ in range(VERIFIES - 1):
        check = hub.relink(account.id, key, actor="bench")
        if check.failure:
            raise SystemExit(f"a verify failed: {check.failure}")
    hub.close()


def bare_httpx(origin: str, ca_file: Path, *, share: bool) -> None:
    """Send the same eight requests with plain httpx and read the answers."""
    endpoints, key = subject(origin)
    context = ssl.create_default_context(cafile=str(ca_file))
    form = {
        "grant_type": "client_credentials",
        "client_id": key.client_id,
        "client_secret": key.secret.reveal(),
        "scope": "api.organization",
    }

    async def verify(client: httpx.AsyncClient) -> None:
        (await client.get(f"{endpoints.api}/config")).json()
        token = (await client.post(f"{endpoints.identity}/connect/token", data=form)).json()["access_token"]
        for path in LISTS:
            (await client.get(endpoints.api + path, headers={"authorization": f"Bearer {token}"})).json()

    async def all_of_them() -> None:
        if share:
            async with httpx.AsyncClient(verify=context) as client:
                for _ in range(VERIFIES):
                    await verify(client)
        else:
            for _ in range(VERIFIES):
                async with httpx.AsyncClient(verify=context) as client:
                    await verify(client)

    asyncio.run(all_of_them())


def best(work: Callable[[], object], rounds: int = 5) -> float:
    """Return the shortest wall time in seconds."""
    times = []
    for _ in range(rounds):
        began = time.perf_counter()
        work()
        times.append(time.perf_counter() - began)
    return min(times)


def cpu(work: Callable[[], None]) -> float:
    """Return the processor time in seconds of all our threads."""
    began = time.process_time()
    work()
    return time.process_time() - began


def seconds(value: float) -> str:
    """Return seconds for people."""
    return f"{value:.2f} s"


def millis(value: float) -> str:
    """Return milliseconds for people."""
    return f"{value * 1000:.1f} ms"


if __name__ == "__main__":
    main()
