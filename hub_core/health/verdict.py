"""Pure: what one check says about an account, reason by reason."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hub_core.model import Capability, Outcome, Reason, Stage, Status

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hub_core.model import Check

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
        Reason.SLOW,
        Reason.KEY_OVERDUE,
    }
)
"""Works, with something to mend soon."""

WAITING = frozenset(
    {Reason.RATE_LIMITED, Reason.EDGE_RATE_LIMITED, Reason.BUDGET_SPENT, Reason.STOPPED, Reason.INTERNAL}
)
"""Nothing was judged: the status stays what it was."""

AGAINST_THE_PAST = (Reason.KEY_OVERDUE, Reason.SLOW)
"""What only earlier checks make a reason: it decides where nothing else does, in this order."""

LIMITING = frozenset({Reason.READ_API_ABSENT})
"""The key is accepted, and this server offers no read API."""

NOTED = frozenset({Reason.SECRET_LENGTH, Reason.HOSTS_RENAMED, Reason.SERVER_UNKNOWN, Reason.ORGANIZATION_NOT_REPORTED})
"""Worth saying, and no reason to act."""


TOKEN_DOUBTS = frozenset(
    {
        Reason.TOKEN_NOT_DELIVERED,
        Reason.TOKEN_OF_OTHER_SERVER,
        Reason.SERVER_CANNOT_VALIDATE,
        Reason.SIGNING_KEY_UNKNOWN,
        Reason.TOKEN_ALREADY_EXPIRED,
        Reason.TOKEN_NOT_YET_VALID,
        Reason.TOKEN_REFUSED,
    }
)
"""The answers to a token that was not accepted: of a kept one they say nothing until a fresh one is asked for."""

BEFORE_TOKEN = frozenset({Stage.REACH, Stage.TLS, Stage.SERVER})
"""A check that ends here has used no token request."""

FAILURES_NEEDED = 3
"""Checks in a row, on a schedule, before an account is called unreachable."""

_LEFT_BY = {Capability.REFUSED: Reason.READS_PARTLY_REFUSED, Capability.FAULTY: Reason.READ_FAULT}
_LISTS_OF_EVERY_SERVER = frozenset(
    f"/public/{name}" for name in ("members", "groups", "collections", "policies", "events")
)


def judge(check: Check, known: Mapping[str, Capability] | None = None) -> tuple[Status, Reason | None] | None:
    """Return the status a check shows and its reason, or None when the check judged nothing.

    `known` is what earlier checks found about lists; it stands in for the lists that this check did not ask.
    """
    failure = check.failure
    if failure and failure.reason:
        if failure.reason in WAITING:
            return None
        # A reason that only degrades what works stops nothing; where it did stop the check, nothing was read.
        return (Status.FAILING if failure.reason in FAILING else Status.UNREACHABLE), failure.reason
    if not (check.key_proven or check.light):
        return None  # nothing failed because nothing was asked
    reasons = [o.reason for o in check.observations if o.outcome is Outcome.WARN and o.reason]
    asked = check.facts.capabilities
    unasked = {answer for path, answer in (known or {}).items() if path not in asked}
    reasons += [reason for answer, reason in _LEFT_BY.items() if answer in unasked]
    reasons = [r for r in reasons if r not in AGAINST_THE_PAST] + [r for r in AGAINST_THE_PAST if r in reasons]
    for status, members in ((Status.DEGRADED, DEGRADING), (Status.LIMITED, LIMITING)):
        found = next((reason for reason in reasons if reason in members), None)
        if found:
            return status, found
    absent = {path for path, answer in {**(known or {}), **asked}.items() if answer is Capability.NOT_OFFERED}
    return (Status.LIMITED if absent & _LISTS_OF_EVERY_SERVER else Status.HEALTHY), None


def found(check: Check, known: Mapping[str, Capability] | None = None) -> tuple[Status, Reason | None]:
    """Return what a check found by itself, for the history: unknown where it judged nothing, being told to wait."""
    verdict = None if key_in_doubt(check) else judge(check, known)
    return verdict or (Status.UNKNOWN, check.failure.reason if check.failure else None)


def key_in_doubt(check: Check) -> bool:
    """Tell whether a light check met what only a fresh token can judge: it is then confirmed before it counts."""
    reason = check.failure.reason if check.failure else None
    return check.light and (reason in FAILING or reason in TOKEN_DOUBTS)


def key_refused(check: Check) -> bool:
    """Tell whether a check with a fresh token found what a person must mend: it is not tried again in a loop."""
    failure = check.failure
    found = failure is not None and failure.reason in FAILING and failure.stage not in BEFORE_TOKEN
    return found and not check.light
