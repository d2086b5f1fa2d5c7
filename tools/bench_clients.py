"""What a check costs at full speed, beside others sending the same requests: each in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import bench_blackbox
import bench_stub
from bench_report import MIB

if TYPE_CHECKING:
    from bench_report import Report, Sizes
    from bench_stub import Stub

TOOLS = Path(__file__).resolve().parent
CPU_S = {"fresh": 1.6, "kept": 1.0}
MODES = {"fresh": "fresh tokens", "kept": "kept tokens"}
OTHERS = {
    "guarded": "Link Hub's own transport alone",
    "httpx_shared": "bare httpx, one shared pool",
    "httpx_each": "bare httpx, a client per worker",
    "httpx_aiohttp": "httpx over aiohttp",
    "aiohttp": "bare aiohttp",
    "streams": "raw asyncio streams",
}


def clients(report: Report, folder: Path, sizes: Sizes) -> None:
    """Print everything for 1,000 checks, a token and a read each; ours are judged and stored besides."""
    report.say(f"per 1,000 checks of {sizes.accounts:,} accounts, {sizes.at_once} at once; CPU is user + system")
    with bench_stub.running(folder / "stub") as stub:
        for scheme, base in (("http", stub.http), ("https", stub.https)):
            ours(report, folder, stub, base, sizes)
            for name, title in OTHERS.items():
                other(report, name, f"{title}, {scheme}", given=(base, str(stub.ca_file)), sizes=sizes)
            bench_blackbox.blackbox(report, folder / scheme, base, stub.ca_file, sizes)


def ours(report: Report, folder: Path, stub: Stub, base: str, sizes: Sizes) -> None:
    """Measure our own checks: the whole way from the database and back."""
    scheme = base.partition("://")[0]
    given = (str(folder / f"ours-{scheme}"), base, str(stub.ca_file), str(sizes.accounts))
    child("bench_checks.py", "prepare", *given)
    found = child("bench_checks.py", "measure", *given, str(sizes.at_once), str(sizes.rounds))
    for mode, title in MODES.items():
        costs, number = found[mode], sizes.accounts / 1000
        report.add(f"Link Hub, {title}, {scheme}: CPU", costs["cpu"] / number, "CPU s", at_most=CPU_S[mode])
        report.add("  speed", sizes.accounts / costs["wall"], "checks/s", at_least=500)
        report.add("  wall", costs["wall"] / number, "s")
        report.add("  database", costs["bytes"] / number / 1000, "KB", at_most=25)
    report.add("  memory of the process at most", found["memory_peak"] / MIB, "MiB")
    report.add("  of it above what the hub's modules need", found["memory_added"] / MIB, "MiB", at_most=80)


def other(report: Report, name: str, title: str, *, given: tuple[str, str], sizes: Sizes) -> None:
    """Measure a client that sends the same requests and keeps nothing."""
    found = child("bench_others.py", name, *given, str(sizes.accounts), str(sizes.at_once), str(sizes.rounds))
    number = sizes.accounts / 1000
    report.add(f"{title}: CPU", found["cpu"] / number, "CPU s")
    report.add("  speed", sizes.accounts / found["wall"], "checks/s")
    report.add("  memory of the process at most", found["memory_peak"] / MIB, "MiB")


def child(script: str, *given: str) -> dict[str, Any]:
    """Run one of the tools in a process of its own and return what it says in JSON."""
    ran = subprocess.run([sys.executable, str(TOOLS / script), *given], stdout=subprocess.PIPE, text=True, check=False)
    if ran.returncode:
        raise SystemExit(f"{script} failed")
    said: dict[str, Any] = json.loads(ran.stdout)
    return said
