"""What a verify costs, as when a person links, relinks or checks: everything anew, every list, stored."""

from __future__ import annotations

import asyncio
import ssl
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
from bench_cost import Costs

from hub_core.bitwarden.client import LISTS
from hub_core.drafts import Draft
from hub_core.hub import Hub
from hub_core.model import ApiKey, Endpoints, Secret
from hub_core.sandbox import Sandbox, endpoints_of
from hub_core.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench_report import Report, Sizes

ROOT = Path(__file__).resolve().parent.parent


def verifies(report: Report, folder: Path, sizes: Sizes) -> None:
    """Compare the processor time of a verify with bare httpx doing the same requests to the same server."""
    number = sizes.verifies
    with sandbox(folder) as (origin, ca_file):
        ours, fresh, pooled = (
            min(Costs.of(work).cpu for _ in range(sizes.rounds)) / number
            for work in (
                lambda: our_verifies(folder, origin, ca_file, number),
                lambda: bare_httpx(origin, ca_file, number, share=False),
                lambda: bare_httpx(origin, ca_file, number, share=True),
            )
        )
    report.add("CPU per verify (8 requests, new TLS connection, stored)", ours * 1000, "ms")
    report.add("  bare httpx, a new connection each verify", fresh * 1000, "ms")
    report.add("  bare httpx, one shared pool", pooled * 1000, "ms")
    report.add("  ratio to a new connection each verify", ours / fresh, "×")


@contextmanager
def sandbox(folder: Path) -> Iterator[tuple[str, Path]]:
    """Serve the sandbox in a process of its own, so that its work is not counted, without rate limits."""
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


def our_verifies(folder: Path, origin: str, ca_file: Path, number: int) -> None:
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
    for _ in range(number - 1):
        check = hub.relink(account.id, key, actor="bench")
        if check.failure:
            raise SystemExit(f"a verify failed: {check.failure}")
    hub.close()


def bare_httpx(origin: str, ca_file: Path, number: int, *, share: bool) -> None:
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
                for _ in range(number):
                    await verify(client)
        else:
            for _ in range(number):
                async with httpx.AsyncClient(verify=context) as client:
                    await verify(client)

    asyncio.run(all_of_them())
