"""How long the Accounts page takes: its script alone, and until its facts are seen in Chromium."""

from __future__ import annotations

import logging
import os
import shutil
import sys
import time
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import bench_start
import streamlit as st
from bench_report import best
from streamlit.testing.v1 import AppTest

from hub_core.bitwarden.client import LISTS
from hub_core.health import status
from hub_core.hub import Hub
from hub_core.model import Capability, Check, Facts, Lifecycle, Observation, Outcome, Stage, Trigger
from hub_core.settings import Settings

if TYPE_CHECKING:
    from bench_report import Report, Sizes
    from playwright.sync_api import Browser

ROOT = Path(__file__).resolve().parent.parent
SCRIPT_MS = {200: 50, 1_000: 100, 10_000: 400}
GLANCE_S = {100: 1.5, 1_000: 2.5}
MOST_ROWS = 1_000
"""The page shows so many at once."""

EMPTY_PAGE = "import streamlit as st\nst.set_page_config(layout='wide')\nst.title('Empty')\n"
DRAWN = """() => {
    const app = document.querySelector('[data-testid="stApp"]');
    return app && app.getAttribute('data-test-script-state') === 'notRunning'
        && document.querySelectorAll('[data-testid="stDataFrame"] [role="gridcell"]').length > 0;
}"""
"""What was sent is on the page, cells of the table among it."""


def pages(report: Report, folder: Path, sizes: Sizes) -> None:
    """Time the page's script with many accounts and their history, as a rerun in a session that is warm."""
    for size in sizes.pages:
        home = folder / str(size)
        hub = fill(home, size, days=sizes.history_days)
        query = best(hub.accounts)
        glance = best(partial(hub.glances.latest, fresh=True))
        os.environ |= {"LINKHUB_DATA": str(home / "data"), "LINKHUB_CONFIG": str(home / "config")}
        # It warns that no server runs; that is so.
        logging.getLogger("streamlit.runtime.scriptrunner_utils.script_run_context").setLevel(logging.ERROR)
        st.cache_resource.clear()
        page = AppTest.from_file(str(ROOT / "pages" / "_shell.py"), default_timeout=300)
        first = best(page.run, 1)
        script = best(page.run)
        table = next(frame.value for frame in page.dataframe if "Account" in frame.value)
        if page.exception or len(table) != min(size, MOST_ROWS):
            raise SystemExit(f"the page does not show {size} accounts: {page.exception}")
        changed = best(page.run, before=_Checks(hub).go_on)
        hub.close()
        what = f"Accounts page, {size:,} accounts, {sizes.history_days} days of history"
        report.add(f"{what}, script", script * 1000, "ms", at_most=SCRIPT_MS.get(size))
        report.add("  where one in thirty was checked since", changed * 1000, "ms", at_most=SCRIPT_MS.get(size))
        report.add("  the first time, nothing kept yet", first * 1000, "ms")
        report.add("  of it the glance, read again", glance * 1000, "ms")
        report.add("  of it the query of the rows alone", query * 1000, "ms")


def fill(folder: Path, size: int, *, days: int) -> Hub:
    """Make a hub with so many accounts and days of history that ends now."""
    from tests import lived  # noqa: PLC0415 - found once `bench.py` has said where

    hub = Hub.open(Settings(data=folder / "data", config=folder / "config"))
    now = datetime.now(UTC)
    lived.populate(hub, size, at=now - timedelta(days=days + 5))
    lived.live(hub, until=now, days=days)
    return hub


class _Checks:
    """Checks of one account in thirty at a time, as they arrive in ten seconds at the usual rhythm."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._ids = [row.id for row in hub.accounts() if row.lifecycle is Lifecycle.ACTIVE]
        self._turn = 0

    def go_on(self) -> None:
        """Record that the next of them work."""
        self._turn += 1
        ids = self._ids[self._turn % 30 :: 30]
        self._hub.store.database.together([partial(self._record, account_id) for account_id in ids])

    def _record(self, account_id: str) -> None:
        kept = {Stage.TOKEN: Outcome.SKIP}
        seen = tuple(Observation(stage, kept.get(stage, Outcome.PASS)) for stage in Stage)
        facts = Facts(capabilities={LISTS[0]: Capability.READABLE}, latency_ms=60 + self._turn)
        check = Check(self._hub.clock.now(), Trigger.SCHEDULE, seen, facts)
        generation = self._hub.store.load(account_id).generation
        self._hub.store.record(account_id, generation, step=lambda present: status.step(present, check))


def glances(report: Report, folder: Path, sizes: Sizes) -> None:
    """Time in Chromium from the address to the drawn page, and what of it is Streamlit's own first load."""
    if not shutil.which("chromium"):
        report.say("chromium: not installed (Debian: apt-get install chromium)")
        return
    with bench_start.chromium() as browser:
        empty = empty_page(browser, folder, sizes.loads)
        report.add("an empty Streamlit page", empty, "s")
        for size in sizes.glances:
            home = folder / str(size)
            fill(home, size, days=sizes.history_days).close()
            with bench_start.dashboard(home, LINKHUB_SCHEDULER="off") as (url, _):
                whole = load(browser, url, DRAWN, sizes.loads)
            report.add(f"glance at {size:,} accounts, all facts visible", whole, "s")
            report.add("  above the empty page", whole - empty, "s", at_most=GLANCE_S.get(size))


def empty_page(browser: Browser, folder: Path, loads: int) -> float:
    """Return how long a page takes that has nothing but a title."""
    script = folder / "empty.py"
    script.write_text(EMPTY_PAGE, encoding="utf-8")
    url = f"http://127.0.0.1:{(port := bench_start.free_port())}"
    options = ["--server.headless=true", "--server.address=127.0.0.1", "--browser.gatherUsageStats=false"]
    command = [sys.executable, "-m", "streamlit", "run", str(script), f"--server.port={port}", *options]
    with bench_start.served(command, url, "/_stcore/health"):
        return load(browser, url, "() => document.querySelector('h1')?.innerText === 'Empty'", loads)


def load(browser: Browser, url: str, drawn: str, loads: int) -> float:
    """Return the shortest time in seconds, after one visit that warms the server, each in a browser without cache."""
    times = []
    for _ in range(loads + 1):
        context = browser.new_context(viewport={"width": 1440, "height": 900})
        page = context.new_page()
        began = time.perf_counter()
        page.goto(url, wait_until="commit")
        page.wait_for_function(drawn, timeout=60_000, polling=20)
        times.append(time.perf_counter() - began)
        context.close()
    return min(times[1:])
