"""The stages of verifying, and `run()`: one organization in, one Check out; it never raises."""

from __future__ import annotations

import logging
from collections import Counter
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from hub_core import texts
from hub_core.bitwarden.client import LISTS, AccessToken, Client, ListAnswer, ServerInfo
from hub_core.bitwarden.transport import Side
from hub_core.errors import RemoteError
from hub_core.model import (
    Capability,
    Check,
    Facts,
    Observation,
    Outcome,
    Reason,
    ServerKind,
    Stage,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from hub_core.bitwarden.budget import TokenBudget
    from hub_core.bitwarden.tls import TlsFacts
    from hub_core.bitwarden.transport import Session
    from hub_core.clock import Clock
    from hub_core.model import ApiKey, Endpoints, Trigger

log = logging.getLogger(__name__)

CERTIFICATE_WARNING = timedelta(days=21)
SKEW_WARNING_S = 60
SKEW_BROKEN_S = 300
"""Five minutes: the JWT leeway of Bitwarden's API (bitwarden-protocol 1.3)."""

_API_STAGES = {Stage.SERVER, Stage.READ}
_COUNTED = {"/public/groups": "groups", "/public/collections": "collections", "/public/policies": "policies"}


@dataclass(frozen=True, slots=True)
class Waiting:
    """Told while a check waits for its turn at an identity server."""

    seconds: int


Watcher = "Callable[[Stage | Observation | Waiting], None]"


@dataclass(frozen=True, slots=True)
class Subject:
    """What is examined: a key, where it is sent, and what is known of its past."""

    endpoints: Endpoints
    key: ApiKey
    worked_before: bool
    trigger: Trigger
    ca_pem: str | None = None
    remarks: tuple[Reason, ...] = ()
    """What reading the typed text already noticed: warnings of the format stage."""


@dataclass(frozen=True, slots=True)
class Means:
    """What a check needs from outside, given as arguments."""

    session: Callable[[Subject], Session]
    budget: TokenBudget
    clock: Clock
    device: str
    clouds: tuple[Endpoints, ...]
    """Every row of paired hosts that is known to belong together."""
    official: Callable[[str], bool]
    patience_s: float = 0.0


async def run(subject: Subject, means: Means, watch: Callable[[Stage | Observation | Waiting], None]) -> Check:
    """Examine one organization stage by stage and stop at the first failure.

    `watch` is told each stage as it begins and each observation as it is made. Whatever goes wrong is in the check.
    """
    at = means.clock.now()
    ladder = _Ladder(subject, means, watch)
    try:
        async with means.session(subject) as session:
            await ladder.climb(session)
    except Exception:
        # The guard of the whole engine: a fault of ours must neither stop other checks nor blame the key.
        log.exception("a check failed inside the hub")
        ladder.note(Outcome.FAIL, Reason.INTERNAL)
    return Check(at, subject.trigger, tuple(ladder.observations), Facts(**ladder.facts), ladder.retry_after)


@dataclass(slots=True)
class _Ladder:
    """The state of one climb."""

    subject: Subject
    means: Means
    watch: Callable[[Stage | Observation | Waiting], None]
    observations: list[Observation] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)
    retry_after: int | None = None
    stage: Stage = Stage.FORMAT
    started: float = 0.0
    remarks: list[tuple[Reason, dict[str, str]]] = field(default_factory=list)

    async def climb(self, session: Session) -> None:
        client = Client(session, device=self.means.device)
        tokens: list[AccessToken] = []

        async def exchange() -> Outcome:
            tokens.append(await self._token(client))
            return Outcome.PASS

        rungs: tuple[tuple[Stage, Callable[[], Awaitable[Outcome]]], ...] = (
            (Stage.FORMAT, self._format),
            (Stage.REACH, lambda: self._reach(session)),
            (Stage.TLS, lambda: self._tls(session)),
            (Stage.SERVER, lambda: self._server(client)),
            (Stage.TOKEN, exchange),
            (Stage.READ, lambda: self._read(client, tokens[0])),
            (Stage.IDENTITY, lambda: self._identity(tokens[0])),
        )
        for stage, rung in rungs:
            self.stage, self.started = stage, self.means.clock.monotonic()
            self.watch(stage)
            try:
                outcome = await rung()
            except RemoteError as error:
                self.retry_after = error.retry_after
                self.note(Outcome.FAIL, error.reason, dict(error.evidence))
                return
            self._conclude(outcome)

    def note(self, outcome: Outcome, reason: Reason | None, evidence: dict[str, str] | None = None) -> None:
        """Record what the present stage saw."""
        elapsed = round((self.means.clock.monotonic() - self.started) * 1000) if self.started else 0
        known = {} if outcome is Outcome.SKIP or reason is None else {"host": self._host()}
        observation = Observation(self.stage, outcome, reason, elapsed, {**known, **(evidence or {})})
        self.observations.append(observation)
        self.watch(observation)

    def _conclude(self, outcome: Outcome) -> None:
        """Record a stage that did not fail: its remarks as warnings, or that it simply passed."""
        if not self.remarks:
            self.note(outcome, None)
        for reason, evidence in self.remarks:
            self.note(Outcome.WARN, reason, evidence)
            self.started = self.means.clock.monotonic()  # the stage's time is counted once
        self.remarks.clear()

    def _remark(self, reason: Reason, **evidence: str) -> None:
        self.remarks.append((reason, evidence))

    def _host(self) -> str:
        base = self.subject.endpoints.api if self.stage in _API_STAGES else self.subject.endpoints.identity
        return urlsplit(base).netloc

    # ---- the stages

    async def _format(self) -> Outcome:
        for reason in self.subject.remarks:
            self._remark(reason)
        return Outcome.PASS

    async def _reach(self, session: Session) -> Outcome:
        addresses: list[str] = []
        for side in (Side.API, Side.IDENTITY):
            addresses += (await session.connect(side)).addresses
        self.facts["addresses"] = tuple(dict.fromkeys(addresses))
        return Outcome.PASS

    async def _tls(self, session: Session) -> Outcome:
        found = [facts for side in (Side.API, Side.IDENTITY) if (facts := await session.handshake(side))]
        if not found:
            return Outcome.SKIP
        first_to_end = min(found, key=lambda facts: facts.not_after)
        self.facts |= _certificate(first_to_end)
        left = first_to_end.not_after - self.means.clock.now()
        if left < CERTIFICATE_WARNING:
            self._remark(
                Reason.CERTIFICATE_ENDS_SOON,
                days=str(left.days),
                ends=first_to_end.not_after.date().isoformat(),
                names=first_to_end.subject,
            )
        return Outcome.PASS

    async def _server(self, client: Client) -> Outcome:
        info = await client.config(now=self.means.clock.now())
        # Vaultwarden's /config gives the Bitwarden version it imitates; its own is at /version (field-problems 1.2).
        version = await client.version() if info.kind is ServerKind.VAULTWARDEN else None
        self.facts |= {
            "server_kind": info.kind,
            "server_name": info.name,
            "server_version": version or info.version,
            "vault": info.vault,
        }
        if info.kind is ServerKind.UNKNOWN:
            self._remark(Reason.SERVER_UNKNOWN, server=info.name or "")
        self._compare_hosts(info)
        self._compare_clocks(info)
        return Outcome.PASS

    def _compare_hosts(self, info: ServerInfo) -> None:
        """Find a mixed pair of hosts before the secret is sent."""
        wanted = self.subject.endpoints
        reported = _address(info.identity)
        if not reported or reported == _address(wanted.identity):
            return
        evidence = {"expected": wanted.identity, "got": info.identity or ""}
        clouds = {_address(row.identity) for row in self.means.clouds}
        if reported in clouds or _address(wanted.identity) in clouds:
            raise RemoteError(Reason.HOSTS_MISMATCH, evidence=evidence)
        self._remark(Reason.HOSTS_RENAMED, **evidence)

    def _compare_clocks(self, info: ServerInfo) -> None:
        if info.date is None:
            return
        # `Date` has whole seconds and was written about half a round trip before it arrived.
        skew = round((info.date - info.received_at).total_seconds() - info.ms / 2000)
        self.facts["skew_seconds"] = skew
        if abs(skew) <= SKEW_WARNING_S:
            return
        host = urlsplit(self.subject.endpoints.api).hostname or ""
        ours = abs(skew) > SKEW_BROKEN_S and self.means.official(host)
        self._remark(Reason.CLOCK_WRONG_HERE if ours else Reason.CLOCK_SKEW, skew=str(skew))

    async def _token(self, client: Client) -> AccessToken:
        origin = self.subject.endpoints.identity_origin
        budget, clock = self.means.budget, self.means.clock
        await budget.take(
            origin, patience_s=self.means.patience_s, waiting=lambda seconds: self.watch(Waiting(seconds))
        )
        self.started = clock.monotonic()  # waiting for a turn is not the server's time
        try:
            return await client.token(self.subject.key, worked_before=self.subject.worked_before, now=clock.now())
        except RemoteError as error:
            if error.reason in {Reason.RATE_LIMITED, Reason.EDGE_RATE_LIMITED}:
                await budget.hold(origin, error.retry_after or 60)
            raise

    async def _read(self, client: Client, token: AccessToken) -> Outcome:
        answers: dict[str, ListAnswer] = {}
        for path in LISTS:
            try:
                answers[path] = await client.read(path, token, now=self.means.clock.now())
            except RemoteError as error:
                # The first list decides about the link; a later one that breaks is that list's own trouble.
                if not answers or error.reason in _TOKEN_REFUSALS:
                    raise
                answers[path] = ListAnswer(Capability.FAULTY, 0, reason=error.reason)
        self.facts["capabilities"] = {path: answer.capability for path, answer in answers.items()}
        readable = {path: a for path, a in answers.items() if a.capability is Capability.READABLE}
        if readable:
            self.facts["latency_ms"] = next(iter(readable.values())).ms
        self._learn(readable)
        self._judge_capabilities(answers.values())
        return Outcome.PASS

    def _learn(self, readable: dict[str, ListAnswer]) -> None:
        self.facts["counts"] = {_COUNTED[p]: len(a.items) for p, a in readable.items() if p in _COUNTED}
        members = readable.get("/public/members")
        if members:
            states = Counter(texts.member_state(m.get("status")) for m in members.items)
            self.facts["members"] = dict(states)
            if not members.items:
                raise RemoteError(Reason.MEMBERS_EMPTY)
        subscription = readable.get("/public/organization/subscription")
        if subscription and subscription.value:
            seats = (subscription.value.get("passwordManager") or {}).get("seats")
            self.facts["seats"] = seats if isinstance(seats, int) else None

    def _judge_capabilities(self, answers: Iterable[ListAnswer]) -> None:
        seen = {answer.capability for answer in answers}
        if Capability.READABLE not in seen:
            if Capability.REFUSED in seen:
                raise RemoteError(Reason.READ_FORBIDDEN)
            if Capability.FAULTY in seen:
                raise RemoteError(Reason.READ_FAULT)
            self._remark(Reason.READ_API_ABSENT, server=str(self.facts.get("server_name") or ""))
        elif Capability.REFUSED in seen:
            self._remark(Reason.READS_PARTLY_REFUSED)
        elif Capability.FAULTY in seen:
            self._remark(Reason.READ_FAULT)

    async def _identity(self, token: AccessToken) -> Outcome:
        expected = self.subject.key.client_id
        if token.client_id is None:
            self._remark(Reason.ORGANIZATION_NOT_REPORTED)
        elif token.client_id.lower() != expected:
            raise RemoteError(
                Reason.WRONG_ORGANIZATION,
                evidence={
                    "expected": expected.removeprefix("organization."),
                    "got": token.client_id.removeprefix("organization.")[:64],
                },
            )
        return Outcome.PASS


_TOKEN_REFUSALS = frozenset(
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


def _certificate(facts: TlsFacts) -> dict[str, Any]:
    return {
        "tls_version": facts.version,
        "certificate_issuer": facts.issuer,
        "certificate_subject": facts.subject,
        "certificate_sha256": facts.sha256,
        "certificate_ends": facts.not_after,
    }


def _address(url: str | None) -> str | None:
    """Return host, port and path of a base address for comparing; the scheme may differ behind a proxy."""
    if not url:
        return None
    try:
        parts = urlsplit(url.lower())
        port = parts.port
    except ValueError:
        return None
    default = {"https": 443, "http": 80}.get(parts.scheme)
    where = parts.hostname or ""
    return f"{where}:{port}{parts.path.rstrip('/')}" if port not in {None, default} else where + parts.path.rstrip("/")
