"""Has Apprise check an address or send a message, in a process of its own that ends in time."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from contextlib import suppress
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hub_core
from hub_core.errors import InputError
from hub_core.model import Reason

if TYPE_CHECKING:
    from hub_core.bitwarden.policy import OutboundPolicy

MISSING = "Apprise is not installed here. Install the extra: pip install 'link-hub[apprise]'."
DEADLINE_S = 60.0
"""Seconds for one order; loading Apprise is part of it, waiting for a place is not."""

AT_ONCE = 4
"""Processes at once: each costs a second of a processor, and may take 512 MiB."""

_TOO_LATE = "The service did not answer in time."
_BROKEN = "Apprise ended without an answer."


@dataclass(frozen=True, slots=True, kw_only=True)
class Apprising:
    """Gives orders to Apprise by the operator's rules."""

    policy: OutboundPolicy
    deadline_s: float = DEADLINE_S
    places: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(AT_ONCE))
    """Who gets none waits."""

    async def check(self, url: str) -> str:
        """Return what may be shown of an address; raises InputError."""
        answer = await self._order({"do": "check", "url": url})
        if "hint" in answer:
            return answer["hint"]
        wrong = answer.get("wrong") or answer.get("failed") or _BROKEN
        raise InputError("target", Reason.ADDRESS_MALFORMED, wrong)

    async def send(self, url: str, *, title: str, text: str, sort: str) -> str:
        """Send a message; return why that failed, in a sentence that is safe to show, or nothing."""
        answer = await self._order({"do": "send", "url": url, "title": title, "text": text, "type": sort})
        return "" if "sent" in answer else answer.get("wrong") or answer.get("failed") or _BROKEN

    async def _order(self, order: dict[str, str]) -> dict[str, str]:
        if find_spec("apprise") is None:
            return {"failed": MISSING}
        given = json.dumps({**order, "policy": _written(self.policy)}).encode()
        async with self.places:
            said = await self._said(given)
        if said is None:
            return {"failed": _TOO_LATE}
        try:
            answer = json.loads(said)
        except ValueError:
            return {"failed": _BROKEN}
        return {str(name): str(value) for name, value in answer.items()} if isinstance(answer, dict) else {}

    async def _said(self, given: bytes) -> bytes | None:
        """Return what a process says to an order; None where it had to be ended."""
        child = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "hub_core.alerts.apprise_child"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            cwd="/",
            env=_surroundings(self.policy),
        )
        try:
            async with asyncio.timeout(self.deadline_s):
                return (await child.communicate(given))[0]
        except TimeoutError:
            return None
        finally:
            with suppress(ProcessLookupError):
                child.kill()
            await child.wait()


def _surroundings(policy: OutboundPolicy) -> dict[str, str]:
    """Return the child's environment: where modules are, and the proxy that is a setting; nothing of ours."""
    places = [str(Path(hub_core.__file__).parents[1]), *filter(None, sys.path)]
    proxy = dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY"), policy.proxy) if policy.proxy else {}
    return {"PYTHONPATH": os.pathsep.join(dict.fromkeys(places)), "PATH": os.defpath, "LANG": "C.UTF-8", **proxy}


def _written(policy: OutboundPolicy) -> dict[str, Any]:
    return {
        "shared": policy.shared,
        "hosts": sorted(policy.hosts),
        "networks": [str(network) for network in policy.networks],
        "loopback": sorted(policy.loopback),
        "ports": sorted(policy.ports),
        "plaintext_hosts": sorted(policy.plaintext_hosts),
        "proxy": policy.proxy,
    }
