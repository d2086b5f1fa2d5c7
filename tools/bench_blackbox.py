"""Prometheus' blackbox exporter doing the same checks, where it is installed."""

from __future__ import annotations

import asyncio
import json
import shutil
import time
from typing import TYPE_CHECKING
from urllib.parse import urlencode, urlsplit
from uuid import UUID

import bench_start
from bench_cost import cpu_of, peak_memory
from bench_report import MIB

if TYPE_CHECKING:
    from pathlib import Path

    from bench_report import Report, Sizes

PROGRAM = "prometheus-blackbox-exporter"


def blackbox(report: Report, folder: Path, base: str, ca_file: Path, sizes: Sizes) -> None:
    """Have it probe every account once a round: a fresh token and a read, nothing kept."""
    scheme = base.partition("://")[0]
    title = f"blackbox exporter, {scheme}"
    if not shutil.which(PROGRAM):
        report.say(f"{title}: not installed (Debian: apt-get install {PROGRAM})")
        return
    folder.mkdir()
    config = folder / "blackbox.yml"
    modules = {f"m{n}": module(n, base, ca_file) for n in range(sizes.accounts)}
    config.write_text(json.dumps({"modules": modules}), encoding="utf-8")  # JSON is YAML
    url = f"http://127.0.0.1:{(port := bench_start.free_port())}"
    command = [PROGRAM, f"--config.file={config}", f"--web.listen-address=127.0.0.1:{port}", "--log.level=error"]
    with bench_start.served(command, url, "/-/healthy") as server:
        cpu, wall = min(round_of(server.pid, url, base, sizes) for _ in range(sizes.rounds))
        report.add(f"{title}: CPU", cpu / sizes.accounts * 1000, "CPU s")
        report.add("  speed", sizes.accounts / wall, "checks/s")
        report.add("  memory of the process at most", peak_memory(server.pid) / MIB, "MiB")


def module(n: int, base: str, ca_file: Path) -> dict[str, object]:
    """Return the configuration of one account's probe."""
    tls = {"ca_file": str(ca_file)} if base.startswith("https") else {}
    return {
        "prober": "http",
        "timeout": "30s",
        "http": {
            "follow_redirects": False,
            "preferred_ip_protocol": "ip4",
            "tls_config": tls,
            "oauth2": {
                "client_id": f"organization.{UUID(int=n + 1)}",
                "client_secret": f"{n:030d}",
                "token_url": f"{base}/identity/connect/token",
                "scopes": ["api.organization"],
                "tls_config": tls,
            },
        },
    }


def round_of(pid: int, url: str, base: str, sizes: Sizes) -> tuple[float, float]:
    """Return the seconds of processor time and of wall time of one round."""
    began, used = time.perf_counter(), cpu_of(pid)
    asyncio.run(probe_all(url, base, sizes))
    return cpu_of(pid) - used, time.perf_counter() - began


async def probe_all(url: str, base: str, sizes: Sizes) -> None:
    """Ask for every probe, so many at once."""
    where, left = urlsplit(url), iter(range(sizes.accounts))

    async def work() -> None:
        reader, writer = await asyncio.open_connection(where.hostname, where.port)
        for n in left:
            query = urlencode({"module": f"m{n}", "target": f"{base}/api/public/policies"})
            writer.write(f"GET /probe?{query} HTTP/1.1\r\nHost: {where.netloc}\r\n\r\n".encode())
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            text = await body_of(reader, head)
            if b"\nprobe_success 1" not in text:
                raise SystemExit("a probe of the blackbox exporter failed")
        writer.close()

    await asyncio.gather(*(work() for _ in range(sizes.at_once)))


async def body_of(reader: asyncio.StreamReader, head: bytes) -> bytes:
    """Return the body of an answer, whole or in chunks."""
    lengths = [int(line[15:]) for line in head.split(b"\r\n") if line.startswith(b"content-length:")]
    if lengths:
        return await reader.readexactly(lengths[0])
    parts = []
    while length := int(await reader.readline(), 16):
        parts.append(await reader.readexactly(length))
        await reader.readline()
    await reader.readline()
    return b"".join(parts)
