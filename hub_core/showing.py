"""How an account is shown: the same words on the pages and on the command line."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from hub_core import texts
from hub_core.bitwarden.regions import region, region_of_host
from hub_core.health.verdict import FAILURES_NEEDED
from hub_core.model import Account, Capability, Lifecycle, ServerKind, Status

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from hub_core.hub import Hub
    from hub_core.model import Endpoints, Reason
    from hub_core.storage.store import AccountRow
    from hub_core.texts import Explanation, StatusText

NOT_REPORTED = "not reported"

WORST_FIRST = (
    texts.LOCKED,
    *(texts.STATUSES[status] for status in (Status.FAILING, Status.UNREACHABLE, Status.DEGRADED, Status.UNKNOWN)),
    texts.STALE,
    *(texts.STATUSES[status] for status in (Status.LIMITED, Status.HEALTHY)),
    texts.PAUSED,
)
"""Every way an account is shown. What is not known stands before what is well; what was paused comes last."""

RANK = {text.word: rank for rank, text in enumerate(WORST_FIRST)}

SHOWN_WORDS = {
    **{text.word: status.value for status, text in texts.STATUSES.items()},
    texts.LOCKED.word: "needs_key",
    texts.STALE.word: "stale",
    texts.PAUSED.word: "paused",
}
"""The words of these for machines."""


def shown(hub: Hub, row: AccountRow | Account) -> StatusText:
    """Return how an account is shown now: what nobody should believe any more hides the status."""
    standing = row.standing if isinstance(row, Account) else row
    if row.locked:
        return texts.LOCKED
    if row.lifecycle is Lifecycle.PAUSED:
        return texts.PAUSED
    if standing.status is not Status.UNKNOWN and hub.watching.stale(row):
        return texts.STALE
    return texts.STATUSES[standing.status]


def explanation(
    hub: Hub,
    reason: Reason,
    evidence: Mapping[str, str],
    endpoints: Endpoints,
    *,
    worked_until: datetime | None = None,
    key_accepted: bool = False,
) -> Explanation:
    """Return what a reason means at these addresses; the sandbox's clouds are explained as clouds."""
    host = urlsplit(endpoints.identity).hostname or ""
    cloud = region_of_host(host) is not None or endpoints in [row for _, row in hub.sandbox.clouds()]
    return texts.explain(
        reason,
        evidence=evidence,
        worked_until=moment(worked_until) if worked_until else None,
        self_hosted=not cloud,
        official=cloud,
        key_accepted=key_accepted,
    )


def next_check(hub: Hub, account: Account) -> tuple[str, str]:
    """Return when an account is checked next, and a sentence that says why then."""
    if account.lifecycle is Lifecycle.PAUSED:
        return "paused", "Nothing is asked of its server until somebody resumes it."
    if not hub.watching.somebody():
        return "on request", "No scheduler runs here at present."
    due, now, rhythm = account.due, hub.clock.now(), hub.watching.rhythm
    at = due.next_at
    when = f"in {texts.duration((at - now).total_seconds())}" if at and at > now else "in its turn, now"
    if due.refusals:
        why = (
            "The key is not accepted, and each try uses up a token request: the pauses grow from 15 minutes to a day, "
            "until somebody relinks it or presses Check now."
        )
    elif due.waits:
        why = "The server, or the budget of token requests, asked to wait."
    elif account.standing.failures and account.standing.status is not Status.UNREACHABLE:
        why = (
            f"The last check could not reach it. After {FAILURES_NEEDED} such checks in a row, this one being "
            f"number {account.standing.failures}, it is called unreachable."
        )
    else:
        fresh = rhythm.key_every(account.neighbours)
        why = (
            f"A light check every {texts.duration(rhythm.interval.total_seconds())}, with a fresh token about every "
            f"{texts.duration(fresh.total_seconds())}, and every list once a day."
        )
    return when, why


def unseen(hub: Hub, account: Account) -> str:
    """Return a sentence that says how long a rotated key can go on looking well."""
    span = texts.duration(hub.watching.rhythm.unseen(account.neighbours).total_seconds())
    return f"A rotated key can stay unseen for up to {span}: until a fresh token is asked for."


def moment(at: datetime | None) -> str:
    """Return the exact time in UTC."""
    return at.strftime("%Y-%m-%d %H:%M:%S UTC") if at else NOT_REPORTED


def aged(at: datetime | None, now: datetime) -> str:
    """Return the exact time and its age."""
    return f"{moment(at)} ({texts.ago(at, now)})" if at else "never"


def server_line(kind: str | None, version: str | None) -> str:
    """Return who the server is and its version; `kind` is a word of `ServerKind`."""
    name = texts.SERVER_KINDS[ServerKind(kind)] if kind else NOT_REPORTED
    return f"{name} {version or ''}".strip()


def members_line(members: Mapping[str, int] | None) -> str:
    """Return the members by state, most first; what was not reported is said so."""
    if members is None:
        return NOT_REPORTED
    states = ", ".join(f"{count} {state}" for state, count in sorted(members.items(), key=lambda m: -m[1]))
    return f"{sum(members.values())}: {states}" if states else "0"


def link_facts(account: Account) -> dict[str, str]:
    """Return what was linked: facts, by their names for people."""
    facts = account.facts
    readable = [texts.PATHS.get(path, path) for path, c in facts.capabilities.items() if c is Capability.READABLE]
    return {
        "Label": account.label,
        "Region": region(account.endpoints.region).name,
        "API": account.endpoints.api,
        "Identity": account.endpoints.identity,
        "Organization": account.organization_id,
        "Client ID ends in": account.client_id[-4:],
        "Server": server_line(facts.server_kind, facts.server_version),
        "Can be read": ", ".join(readable) or "nothing on this server",
        "Members": members_line(facts.members),
    }
