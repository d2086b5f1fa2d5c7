"""Stable numbers for the closed sets, and everything but time and duration of a beat packed into one of them.

The numbers are in databases: a member's place in these tuples never changes, a new one is added at the end, and one
that is gone leaves None behind.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Final, NamedTuple, TypeVar

from hub_core.model import Reason, Status, Trigger

if TYPE_CHECKING:
    from hub_core.history import Beat

_T = TypeVar("_T")

STATUSES: Final[tuple[Status | None, ...]] = (
    Status.HEALTHY,
    Status.LIMITED,
    Status.DEGRADED,
    Status.FAILING,
    Status.UNREACHABLE,
    Status.UNKNOWN,
)

TRIGGERS: Final[tuple[Trigger | None, ...]] = (
    Trigger.SCHEDULE,
    Trigger.MANUAL,
    Trigger.LINK,
    Trigger.RELINK,
    Trigger.EDIT,
)

REASONS: Final[tuple[Reason | None, ...]] = (
    None,  # no reason
    Reason.PERSONAL_KEY,
    Reason.INSTALLATION_KEY,
    Reason.FIELDS_SWAPPED,
    Reason.CLIENT_ID_MISSING,
    Reason.CLIENT_ID_BARE,
    Reason.CLIENT_ID_CUT,
    Reason.CLIENT_ID_MALFORMED,
    Reason.SECRET_MISSING,
    Reason.SECRET_MALFORMED,
    Reason.SECRET_LENGTH,
    Reason.SECRET_LOCKED,
    Reason.ADDRESS_MISSING,
    Reason.ADDRESS_MALFORMED,
    Reason.ADDRESS_PLAINTEXT,
    Reason.ADDRESS_NOT_ALLOWED,
    Reason.ADDRESS_OTHER_ORGANIZATION,
    Reason.LABEL_MISSING,
    Reason.CA_MALFORMED,
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
    Reason.CERTIFICATE_ENDS_SOON,
    Reason.CLIENT_CERTIFICATE_WANTED,
    Reason.TLS_FAILED,
    Reason.TLS_TIMEOUT,
    Reason.REDIRECTED,
    Reason.WEB_PAGE,
    Reason.EDGE_BLOCKED,
    Reason.EDGE_RATE_LIMITED,
    Reason.TRAFFIC_UNUSUAL,
    Reason.PROXY_PASSWORD,
    Reason.APPLICATION_DOWN,
    Reason.RATE_LIMITED,
    Reason.BUDGET_SPENT,
    Reason.ANSWER_TIMEOUT,
    Reason.ANSWER_LOST,
    Reason.ANSWER_TOO_LARGE,
    Reason.ANSWER_UNREADABLE,
    Reason.ANSWER_UNEXPECTED,
    Reason.SERVER_FAULT,
    Reason.API_PATH_WRONG,
    Reason.HOSTS_MISMATCH,
    Reason.HOSTS_RENAMED,
    Reason.SERVER_UNKNOWN,
    Reason.CLOCK_SKEW,
    Reason.CLOCK_WRONG_HERE,
    Reason.IDENTITY_PATH_WRONG,
    Reason.KEY_NEVER_ACCEPTED,
    Reason.KEY_NO_LONGER_ACCEPTED,
    Reason.SCOPE_REFUSED,
    Reason.GRANT_REFUSED,
    Reason.REQUEST_MANGLED,
    Reason.TOKEN_REQUEST_BLOCKED,
    Reason.TOKEN_FAULT,
    Reason.VAULTWARDEN_UNKNOWN_ID,
    Reason.VAULTWARDEN_WRONG_SECRET,
    Reason.VAULTWARDEN_REFUSED,
    Reason.TOKEN_NOT_DELIVERED,
    Reason.TOKEN_OF_OTHER_SERVER,
    Reason.SERVER_CANNOT_VALIDATE,
    Reason.SIGNING_KEY_UNKNOWN,
    Reason.TOKEN_ALREADY_EXPIRED,
    Reason.TOKEN_NOT_YET_VALID,
    Reason.TOKEN_REFUSED,
    Reason.READ_FORBIDDEN,
    Reason.READ_API_ABSENT,
    Reason.READS_PARTLY_REFUSED,
    Reason.READ_FAULT,
    Reason.MEMBERS_EMPTY,
    Reason.WRONG_ORGANIZATION,
    Reason.ORGANIZATION_NOT_REPORTED,
    Reason.STOPPED,
    Reason.INTERNAL,
    Reason.SLOW,
    Reason.KEY_OVERDUE,
)

# What is frequent is small: a light scheduled check that found all well is 0, which SQLite keeps in no byte at all.
_STATUS_BITS = 0b111
_FRESH = 1 << 3
_TRIGGER_AT, _TRIGGER_BITS = 4, 0b111
DOWN: Final = 1 << 7
_MAINTENANCE = 1 << 8
PAUSED: Final = 1 << 9
_REASON_AT, _REASON_BITS = 10, 0xFF

JUDGED: Final = f"(code & {_STATUS_BITS}) <> {STATUSES.index(Status.UNKNOWN)} OR code & {PAUSED}"
"""Condition, in SQL, of beats that say something about the time after them."""


class Marks(NamedTuple):
    """What a code stands for."""

    status: Status
    reason: Reason | None
    trigger: Trigger
    down: bool
    light: bool
    maintenance: bool
    paused: bool


def pack(beat: Beat) -> int:
    """Return the code of a beat: three bytes at most."""
    return (
        STATUSES.index(beat.status)
        | (0 if beat.light else _FRESH)
        | TRIGGERS.index(beat.trigger) << _TRIGGER_AT
        | (DOWN if beat.down else 0)
        | (_MAINTENANCE if beat.maintenance else 0)
        | (PAUSED if beat.paused else 0)
        | REASONS.index(beat.reason) << _REASON_AT
    )


@cache
def unpack(code: int) -> Marks:
    """Return what a code stands for; numbers of a newer program read as unknown, no reason, a schedule."""
    return Marks(
        _member(STATUSES, code & _STATUS_BITS) or Status.UNKNOWN,
        _member(REASONS, code >> _REASON_AT & _REASON_BITS),
        _member(TRIGGERS, code >> _TRIGGER_AT & _TRIGGER_BITS) or Trigger.SCHEDULE,
        bool(code & DOWN),
        not code & _FRESH,
        bool(code & _MAINTENANCE),
        bool(code & PAUSED),
    )


def _member(members: tuple[_T | None, ...], number: int) -> _T | None:
    return members[number] if number < len(members) else None
