"""What open pages cost the server: WebSocket clients that speak Streamlit's protocol and refresh as tabs do."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from statistics import quantiles
from typing import TYPE_CHECKING, Any

import bench_pages
import bench_start
from bench_cost import cpu_of, memory
from bench_report import MIB

if TYPE_CHECKING:
    from pathlib import Path

    from bench_report import Report, Sizes

ACCOUNTS = 200
PACE_S = 10.0


def viewers(report: Report, folder: Path, sizes: Sizes) -> None:
    """Open more and more pages and measure the server's processor time while they refresh themselves."""
    bench_pages.fill(folder, min(ACCOUNTS, sizes.accounts), days=sizes.history_days).close()
    for number in sizes.viewers:
        with bench_start.dashboard(folder, LINKHUB_SCHEDULER="off") as (url, server):
            command = [sys.executable, __file__, url, str(number), str(sizes.watched_s)]
            with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as watching:
                if not watching.stdin or not watching.stdout:
                    raise SystemExit("the viewers did not start")
                ready = watching.stdout.readline()
                began, used = time.perf_counter(), cpu_of(server.pid)
                print(file=watching.stdin, flush=True)
                said = watching.stdout.readline()
                share = (cpu_of(server.pid) - used) / (time.perf_counter() - began)
                if not said:
                    raise SystemExit(f"the viewers gave up {ready}")
                seen = json.loads(said)
            what = f"{number} viewers of {ACCOUNTS} accounts, every {seen['every']:g} s"
            report.add(f"{what}, server", share * 100, "% of a core", at_most=50 if number >= 100 else None)
            report.add("  a refresh, half of them within", seen["p50"] * 1000, "ms")
            report.add("  a refresh, 95 of 100 within", seen["p95"] * 1000, "ms")
            used_mib = memory(server.pid) / MIB
            report.add("  memory of the whole server", used_mib, "MiB", at_most=250 if number <= 5 else None)


class Viewer:
    """One open page."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._socket: Any = None
        self._refresh: tuple[str, float] | None = None
        self.every = PACE_S
        self.times: list[float] = []

    async def open(self) -> None:
        """Load the page and wait until it is there."""
        from websockets.asyncio.client import connect  # noqa: PLC0415 - only in the process of the viewers
        from websockets.typing import Origin, Subprotocol  # noqa: PLC0415

        address = self._url.replace("http", "ws", 1) + "/_stcore/stream"
        self._socket = await connect(
            address, origin=Origin(self._url), subprotocols=[Subprotocol("streamlit")], max_size=None
        )
        await self._run()
        if self._refresh:
            self.every = self._refresh[1]

    async def watch(self, ends: float) -> None:
        """Refresh as the page asks to, until a moment."""
        at = time.monotonic()
        while (at := at + self.every) < ends:
            await asyncio.sleep(max(0.0, at - time.monotonic()))
            began = time.monotonic()
            await self._run(fragment=self._refresh[0] if self._refresh else "")
            self.times.append(time.monotonic() - began)

    async def _run(self, fragment: str = "") -> None:
        """Have the page, or the part of it that refreshes, run; return when all of it has come."""
        from streamlit.proto.BackMsg_pb2 import BackMsg  # noqa: PLC0415 - only in the process of the viewers
        from streamlit.proto.ForwardMsg_pb2 import ForwardMsg  # noqa: PLC0415

        asked = BackMsg()
        asked.rerun_script.query_string = ""
        if fragment:
            asked.rerun_script.fragment_id = fragment
        await self._socket.send(asked.SerializeToString())
        while True:
            said = ForwardMsg.FromString(await self._socket.recv())
            kind = said.WhichOneof("type")
            if kind == "auto_rerun":
                self._refresh = (said.auto_rerun.fragment_id, said.auto_rerun.interval)
            if kind == "script_finished":
                return


async def watch(url: str, number: int, seconds: float) -> None:
    """Open the pages one after the other, say so, and watch once told to."""
    open_pages = [Viewer(url) for _ in range(number)]
    for page in open_pages:
        await page.open()
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    begins = time.monotonic()
    for page in open_pages:
        page.every = min(page.every, seconds / 2)

    async def later(n: int, page: Viewer) -> None:
        await asyncio.sleep(page.every * n / number)  # tabs are not opened at the same moment
        await page.watch(begins + seconds)

    await asyncio.gather(*(later(n, page) for n, page in enumerate(open_pages)))
    times = sorted(taken for page in open_pages for taken in page.times) or [0.0]
    slow = quantiles(times, n=20)[-1] if len(times) > 1 else times[0]
    print(json.dumps({"every": open_pages[0].every, "p50": times[len(times) // 2], "p95": slow}), flush=True)


if __name__ == "__main__":
    asyncio.run(watch(sys.argv[1], int(sys.argv[2]), float(sys.argv[3])))
