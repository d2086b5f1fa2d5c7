"""Pure: what a check says about an account, and what that does to its standing."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import TYPE_CHECKING, NamedTuple

from hub_core.model import Capability, Facts, Lifecycle, Outcome, Reason, Standing, Status, Transition

if TYPE_CHECKING:
    from datetime import datetime, timedelta

    from hub_core.model import Account, Check

FAILING = frozenset(
    {
        Reason.PERSONAL_KEY,
        Reason.INSTALLATION_KEY,
        Reason.FIELDS_SWAPPED,
        Reason.CLIENT_ID_MISSING,
        Reason.CLIENT_ID_BARE,
        Reason.CLIENT_ID_CUT,
        Reason.CLIENT_ID_MALFORMED,
        Reason.SECRET_MISSING,
        Reason.SECRET_MALFORMED,
        Reason.SECRET_LOCKED,
        Reason.ADDRESS_MISSING,
        Reason.ADDRESS_MALFORMED,
        Reason.ADDRESS_PLAINTEXT,
        Reason.ADDRESS_NOT_ALLOWED,
        Reason.ADDRESS_OTHER_ORGANIZATION,
        Reason.LABEL_MISSING,
        Reason.CA_MALFORMED,
        Reason.HOSTS_MISMATCH,
        Reason.API_PATH_WRONG,
        Reason.IDENTITY_PATH_WRONG,
        Reason.KEY_NEVER_ACCEPTED,
        Reason.KEY_NO_LONGER_ACCEPTED,
        Reason.SCOPE_REFUSED,
        Reason.GRANT_REFUSED,
        Reason.REQUEST_MANGLED,
        Reason.VAULTWARDEN_UNKNOWN_ID,
        Reason.VAULTWARDEN_WRONG_SECRET,
        Reason.VAULTWARDEN_REFUSED,
        Reason.TOKEN_OF_OTHER_SERVER,
        Reason.TOKEN_REFUSED,
        Reason.READ_FORBIDDEN,
        Reason.MEMBERS_EMPTY,
        Reason.WRONG_ORGANIZATION,
    }
)
"""A person must act: the key, its kind, its organization or the pair of hosts is wrong."""

UNREACHABLE = frozenset(
    {
        Reason.NAME_NOT_FOUND,
        Reason.NAME_TIMEOUT,
        Reason.CONNECTION_REFUSED,
        Reason.CONNECTION_TIMEOUT,
        Reason.NO_ROUTE,
        Reason.PROXY_FAILED,
        Reason.CERTIFICATE_EXPIRED,
        Reason.CERTIFICATE_NOT_YET_VALID,
        Reason.CERTIFICATE_SELF_SIGNED,
        Reason.CERTIFICATE_UNKNOWN_ISSUER,
        Reason.CERTIFICATE_INTERCEPTED,
        Reason.CERTIFICATE_WRONG_NAME,
        Reason.CERTIFICATE_LEGACY_CA,
        Reason.CLIENT_CERTIFICATE_WANTED,
        Reason.TLS_FAILED,
        Reason.TLS_TIMEOUT,
        Reason.REDIRECTED,
        Reason.WEB_PAGE,
        Reason.EDGE_BLOCKED,
        Reason.TRAFFIC_UNUSUAL,
        Reason.PROXY_PASSWORD,
        Reason.APPLICATION_DOWN,
        Reason.ANSWER_TIMEOUT,
        Reason.ANSWER_LOST,
        Reason.ANSWER_TOO_LARGE,
        Reason.ANSWER_UNREADABLE,
        Reason.ANSWER_UNEXPECTED,
        Reason.SERVER_FAULT,
        Reason.TOKEN_REQUEST_BLOCKED,
        Reason.TOKEN_FAULT,
        Reason.TOKEN_NOT_DELIVERED,
        Reason.SERVER_CANNOT_VALIDATE,
        Reason.SIGNING_KEY_UNKNOWN,
        Reason.TOKEN_ALREADY_EXPIRED,
        Reason.TOKEN_NOT_YET_VALID,
    }
)
"""Something on the way, or the server itself, is in trouble; the organization's key is not at fault."""

DEGRADING = frozenset(
    {
        Reason.CERTIFICATE_ENDS_SOON,
        Reason.CLOCK_SKEW,
        Reason.CLOCK_WRONG_HERE,
        Reason.READS_PARTLY_REFUSED,
        Reason.READ_FAULT,
    }
)
"""Works, with something to mend soon."""

WAITING = frozenset(
    {Reason.RATE_LIMITED, Reason.EDGE_RATE_LIMITED, Reason.BUDGET_SPENT, Reason.STOPPED, Reason.INTERNAL}
)
"""Nothing was judged: the status stays what it was."""

LIMITING = frozenset({Reason.READ_API_ABSENT})
"""The key is accepted, and this server offers no read API."""

NOTED = frozenset({Reason.SECRET_LENGTH, Reason.HOSTS_RENAMED, Reason.SERVER_UNKNOWN, Reason.ORGANIZATION_NOT_REPORTED})
"""Worth saying, and no reason to act."""


_LISTS_OF_EVERY_SERVER = frozenset(
    f"/public/{name}" for name in ("members", "groups", "collections", "policies", "events")
)


def judge(check: Check) -> tuple[Status, Reason | None] | None:
    """Return the status a check shows and its reason, or None when the check judged nothing."""
    failure = check.failure
    if failure and failure.reason:
        if failure.reason in WAITING:
            return None
        # A reason that only degrades what works stops nothing; where it did stop the check, nothing was read.
        return (Status.FAILING if failure.reason in FAILING else Status.UNREACHABLE), failure.reason
    if not check.key_proven:
        return None  # nothing failed because nothing was asked
    reasons = [o.reason for o in check.observations if o.outcome is Outcome.WARN and o.reason]
    for status, members in ((Status.DEGRADED, DEGRADING), (Status.LIMITED, LIMITING)):
        found = next((reason for reason in reasons if reason in members), None)
        if found:
            return status, found
    absent = {path for path, answer in check.facts.capabilities.items() if answer is Capability.NOT_OFFERED}
    return (Status.LIMITED if absent & _LISTS_OF_EVERY_SERVER else Status.HEALTHY), None


def advance(standing: Standing, check: Check) -> tuple[Standing, Transition | None]:
    """Return the standing after a check, and the change of status if there was one."""
    verdict = judge(check)
    clocks = replace(
        standing,
        checked_at=check.at if verdict else standing.checked_at,
        link_proven_at=check.at if check.link_proven else standing.link_proven_at,
        key_proven_at=check.at if check.key_proven else standing.key_proven_at,
    )
    if verdict is None:
        return clocks, None
    status, reason = verdict
    if status is standing.status:
        return replace(clocks, reason=reason), None
    after = replace(clocks, status=status, reason=reason, since=check.at)
    return after, Transition(check.at, standing.status, status, reason)


class Step(NamedTuple):
    """What one check does to an account."""

    standing: Standing
    transition: Transition | None
    facts: Facts


def step(account: Account, check: Check) -> Step:
    """Return an account's standing, change of status and facts after a check."""
    return Step(*advance(account.standing, check), merge_facts(account.facts, check.facts))


def merge_facts(known: Facts, learned: Facts) -> Facts:
    """Return what is known after a check: what it did not get to see stays as it was."""
    news = {f.name: value for f in fields(Facts) if (value := getattr(learned, f.name)) not in (None, (), {})}
    if learned.server_kind:
        news |= {name: getattr(learned, name) for name in ("server_name", "server_version", "vault", "skew_seconds")}
    merged = replace(known, **news)
    judged = {path for path, answer in learned.capabilities.items() if answer is not Capability.FAULTY}
    gone = {path for path in judged if learned.capabilities[path] is not Capability.READABLE}
    return replace(
        merged,
        capabilities={**known.capabilities, **learned.capabilities},
        # A list that can no longer be read has no number; one that broke keeps its last good one.
        counts={name: n for name, n in known.counts.items() if f"/public/{name}" not in judged} | dict(learned.counts),
        members=None if "/public/members" in gone else merged.members,
        seats=learned.seats if "/public/organization/subscription" in judged else known.seats,
    )


def is_stale(checked_at: datetime | None, lifecycle: Lifecycle, *, now: datetime, interval: timedelta) -> bool:
    """Tell whether the last check is too old to believe the status: further than twice the interval from now."""
    if lifecycle is Lifecycle.PAUSED:
        return False
    # A check from the future was dated by a clock that has been set back since.
    return checked_at is None or abs(now - checked_at) > 2 * interval
