"""The vocabulary of the hub: frozen values and closed sets, no input or output.

The words are the design's glossary. Whatever the pages, the command line, the database and the
documentation call a thing is the name it has here.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Final, NoReturn

from hub_core.reasons import Reason as Reason  # noqa: PLC0414 - part of the vocabulary, kept in a file of its own

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime


class RegionId(StrEnum):
    """Where an organization lives: one row of the table of paired hosts."""

    US = "us"
    EU = "eu"
    GOV = "gov"
    SELF_HOSTED = "self_hosted"
    SANDBOX = "sandbox"


class Stage(StrEnum):
    """One named step of verifying, in the order they run."""

    FORMAT = "format"
    REACH = "reach"
    TLS = "tls"
    SERVER = "server"
    TOKEN = "token"  # noqa: S105 - the name of a stage
    READ = "read"
    IDENTITY = "identity"


class Outcome(StrEnum):
    """How one stage ended."""

    PASS = "pass"  # noqa: S105 - a verdict
    WARN = "warn"
    FAIL = "fail"
    SKIP = "skip"


class Remedy(StrEnum):
    """What a person can do about a reason; the page turns it into one button."""

    RELINK = "relink"
    CHOOSE_REGION = "choose_region"
    EDIT_SERVER = "edit_server"
    WAIT = "wait"
    ASK_OWNER = "ask_owner"
    FIX_SERVER = "fix_server"
    CORRECT_INPUT = "correct_input"
    REPORT = "report"
    NOTHING = "nothing"


class Status(StrEnum):
    """An account's standing, worst first."""

    FAILING = "failing"
    UNREACHABLE = "unreachable"
    DEGRADED = "degraded"
    UNKNOWN = "unknown"
    LIMITED = "limited"
    HEALTHY = "healthy"


class Lifecycle(StrEnum):
    """Whether an account is checked at all; not a status."""

    ACTIVE = "active"
    PAUSED = "paused"


class Trigger(StrEnum):
    """What asked for a check."""

    LINK = "link"
    RELINK = "relink"
    EDIT = "edit"
    MANUAL = "manual"
    SCHEDULE = "schedule"


class Capability(StrEnum):
    """What one GET list of the public API answered to this key."""

    READABLE = "readable"
    REFUSED = "refused"
    NOT_OFFERED = "not_offered"
    NOT_APPLICABLE = "not_applicable"
    FAULTY = "faulty"


class ServerKind(StrEnum):
    """Who wrote the server that answered."""

    OFFICIAL = "official"
    VAULTWARDEN = "vaultwarden"
    UNKNOWN = "unknown"


class Secret:
    """Text that never shows itself: `repr`, `str` and `format` are dots; `reveal()` is for few modules only.

    Which ones, a test holds: where a secret is sealed, where it is sent, where a new API token is shown once.
    """

    __slots__ = ("_text",)

    DOTS: Final = "•••"

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """Return the text itself."""
        return self._text

    def __len__(self) -> int:
        return len(self._text)

    def __bool__(self) -> bool:
        return bool(self._text)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self._text == other._text

    def __hash__(self) -> int:
        return hash(self._text)

    def __repr__(self) -> str:
        return self.DOTS

    def __format__(self, spec: str) -> str:
        return self.DOTS

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret is not pickled")


@dataclass(frozen=True, slots=True)
class ApiKey:
    """An organization API key: who, and the proof of it."""

    client_id: str
    """`organization.` and a lower-case dashed uuid."""
    secret: Secret = field(repr=False)

    @property
    def organization_id(self) -> str:
        """The uuid behind the prefix."""
        return self.client_id.removeprefix("organization.")


@dataclass(frozen=True, slots=True)
class Endpoints:
    """The pair of base addresses an account talks to, without trailing slash, and the web vault for links."""

    region: RegionId
    identity: str
    api: str
    vault: str | None = None

    @property
    def identity_origin(self) -> str:
        """`scheme://host[:port]` of the identity address: what a sealed secret is bound to."""
        return origin_of(self.identity)


def origin_of(url: str) -> str:
    """Return `scheme://host[:port]` of an already normalized address."""
    scheme, _, rest = url.partition("://")
    return f"{scheme}://{rest.partition('/')[0]}"


@dataclass(frozen=True, slots=True)
class Observation:
    """What one stage saw."""

    stage: Stage
    outcome: Outcome
    reason: Reason | None = None
    ms: int = 0
    evidence: Mapping[str, str] = field(default_factory=dict)
    """Safe facts for a person: host names, status codes, dates. Never a key, a token or a body."""


OCCUPYING: Final = ("invited", "accepted", "confirmed")
"""States of members that take a seat."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What a check learned about the server and the organization; `None` means not reported."""

    server_kind: ServerKind | None = None
    server_name: str | None = None
    server_version: str | None = None
    vault: str | None = None
    addresses: tuple[str, ...] = ()
    tls_version: str | None = None
    certificate_issuer: str | None = None
    certificate_subject: str | None = None
    certificate_sha256: str | None = None
    certificate_ends: datetime | None = None
    skew_seconds: int | None = None
    latency_ms: int | None = None
    """Milliseconds of the first read answer: request sent to body complete."""
    capabilities: Mapping[str, Capability] = field(default_factory=dict)
    """By path of the public API, such as `/public/members`."""
    members: Mapping[str, int] | None = None
    """Number of members by state word, such as `confirmed`; unknown states as `other (n)`."""
    counts: Mapping[str, int] = field(default_factory=dict)
    """Length of the other readable lists: groups, collections, policies."""
    seats: int | None = None

    @property
    def seats_taken(self) -> int | None:
        """Seats that members take, as they are counted: invited ones do, revoked ones do not."""
        return None if self.members is None else sum(self.members.get(state, 0) for state in OCCUPYING)


@dataclass(frozen=True, slots=True)
class Check:
    """One examination of one account: its observations, at one time."""

    at: datetime
    trigger: Trigger
    observations: tuple[Observation, ...]
    facts: Facts = field(default_factory=Facts)
    retry_after: int | None = None
    """Seconds the server, or our own budget, asked to wait."""

    @property
    def failure(self) -> Observation | None:
        """The observation that stopped the check, if one did."""
        return next((o for o in self.observations if o.outcome is Outcome.FAIL), None)

    @property
    def warnings(self) -> tuple[Observation, ...]:
        """Everything that works but wants mending."""
        return tuple(o for o in self.observations if o.outcome is Outcome.WARN)

    @property
    def key_proven(self) -> bool:
        """Whether a fresh token was given to this key, for this organization."""
        return self._passed(Stage.TOKEN) and not any(o.reason is Reason.WRONG_ORGANIZATION for o in self.observations)

    @property
    def link_proven(self) -> bool:
        """Whether at least one read answered."""
        return Capability.READABLE in self.facts.capabilities.values()

    @property
    def light(self) -> bool:
        """Whether it used a token that was kept: it can prove the link, never the key."""
        return any(o.stage is Stage.TOKEN and o.outcome is Outcome.SKIP for o in self.observations)

    @property
    def ms(self) -> int:
        """Milliseconds over all stages."""
        return sum(o.ms for o in self.observations)

    def _passed(self, stage: Stage) -> bool:
        return any(o.stage is stage and o.outcome in {Outcome.PASS, Outcome.WARN} for o in self.observations)


@dataclass(frozen=True, slots=True)
class Standing:
    """What an account's status is now, since when, and the two clocks."""

    status: Status = Status.UNKNOWN
    reason: Reason | None = None
    since: datetime | None = None
    checked_at: datetime | None = None
    link_proven_at: datetime | None = None
    key_proven_at: datetime | None = None
    failures: int = 0
    """Checks in a row that could not reach the organization."""
    first_failure_at: datetime | None = None
    """When the first of those was."""
    recovered_at: datetime | None = None
    """When it could last be reached again after it was unreachable."""
    successes: int = 0
    """Good checks in a row of an account that is still called unreachable, because it came and went."""
    slow: int = 0
    """Slow checks in a row, up to when it is called slow."""
    quick: int = 0
    """Quick checks in a row of an account that is still called slow."""
    lights: int = 0
    """Good light checks since a fresh token was given."""


@dataclass(frozen=True, slots=True)
class Due:
    """When an account is to be checked next; None means at once."""

    light_at: datetime | None = None
    key_at: datetime | None = None
    deep_at: datetime | None = None
    """From when on a key check asks every list."""
    refusals: int = 0
    """How often in a row the key was refused since a person last acted."""
    waits: int = 0
    """How often in a row a server, or our own budget, asked to wait."""

    @property
    def next_at(self) -> datetime | None:
        """The earlier of both; a refused key is only tried again by itself, never lightly."""
        if self.refusals:
            return self.key_at
        return min(self.light_at, self.key_at) if self.light_at and self.key_at else None


@dataclass(frozen=True, slots=True)
class Transition:
    """A change of status, with its reason and time."""

    at: datetime
    before: Status
    after: Status
    reason: Reason | None


@dataclass(frozen=True, slots=True)
class Account:
    """Our record that one organization is linked. It holds no secret."""

    id: str
    label: str
    endpoints: Endpoints
    client_id: str
    ca_pem: str | None
    tags: tuple[str, ...]
    note: str
    lifecycle: Lifecycle
    pause_reason: str
    linked_at: datetime
    key_entered_at: datetime
    standing: Standing
    facts: Facts
    """Of the last check that learned something."""
    locked: bool = False
    """There is no stored secret any more; the account needs its key again."""
    due: Due = Due()
    neighbours: int = 1
    """Accounts that are checked on the same identity origin, this one among them: they share its token budget."""
    usual_ms: int | None = None
    """Milliseconds that its first read answer does not exceed 19 times of 20 on a usual day; None while not known."""

    @property
    def organization_id(self) -> str:
        """The organization's uuid at Bitwarden."""
        return self.client_id.removeprefix("organization.")

    @property
    def rests_until(self) -> datetime | None:
        """Until when nobody looks, by plan: its key is refused, or its token requests fail again and again."""
        due = self.due
        fails = self.standing.status is Status.UNREACHABLE and due.light_at == due.key_at and not due.waits
        return due.key_at if due.refusals or fails else None
