"""The stages of verifying, and `run()`: one organization in, one Check out; it never raises."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

from hub_core.bitwarden.client import LISTS, AccessToken, Client, ListAnswer, ServerInfo, safe_text
from hub_core.bitwarden.reach import Origin, within
from hub_core.bitwarden.transport import Side
from hub_core.errors import RemoteError
from hub_core.health import lists
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
    from collections.abc import Awaitable, Callable, Mapping
    from datetime import datetime

    from hub_core.bitwarden.budget import TokenBudget
    from hub_core.bitwarden.tls import TlsFacts
    from hub_core.bitwarden.transport import Session
    from hub_core.clock import Clock
    from hub_core.health.servers import Servers
    from hub_core.model import ApiKey, Endpoints, Trigger

T = TypeVar("T")

log = logging.getLogger(__name__)

CERTIFICATE_WARNING = timedelta(days=21)
SKEW_WARNING_S = 60
SKEW_BROKEN_S = 300
"""Five minutes: the JWT leeway of Bitwarden's API (bitwarden-protocol 1.3)."""
CHECK_DEADLINE_S = 120.0
"""A whole check, waiting for a turn not counted: a slow server must not hold it for every request's own deadline."""

_API_STAGES = {Stage.SERVER, Stage.READ}
_LATE = {Stage.REACH: Reason.CONNECTION_TIMEOUT, Stage.TLS: Reason.TLS_TIMEOUT}
_ORGANIZATION_FACTS = ("capabilities", "members", "counts", "seats", "latency_ms")
_ASKS_TO_WAIT = frozenset({Reason.RATE_LIMITED, Reason.EDGE_RATE_LIMITED})
_OF_CLOCKS = frozenset({Reason.TOKEN_ALREADY_EXPIRED, Reason.TOKEN_NOT_YET_VALID})
_REFUSING = _OF_CLOCKS | {
    Reason.TOKEN_NOT_DELIVERED,
    Reason.TOKEN_OF_OTHER_SERVER,
    Reason.SERVER_CANNOT_VALIDATE,
    Reason.SIGNING_KEY_UNKNOWN,
    Reason.TOKEN_REFUSED,
    Reason.EDGE_BLOCKED,
    Reason.PROXY_PASSWORD,
}
"""What counts as a refusal of one list, once another list has answered."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """Told while a check waits for its turn at an identity server."""

    seconds: int


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
    token: AccessToken | None = None
    """A kept one makes this a light check: no token request, and nothing proved about the key."""
    lists: tuple[str, ...] = LISTS
    """The lists to ask, the one that decides about the link first."""


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
    servers: Servers
    patience_s: float = 0.0
    limit: int | None = None
    """Token requests a minute, where it is less than the budget has."""
    ahead: bool = True
    """Whether a person waits for it, so that routine lets it go first."""
    granted: Callable[[AccessToken], None] = lambda _: None
    """Told a fresh token as it comes."""
    deadline_s: float = CHECK_DEADLINE_S


async def run(subject: Subject, means: Means, watch: Callable[[Stage | Observation | Waiting], None]) -> Check:
    """Examine one organization stage by stage and stop at the first failure.

    `watch` is told each stage as it begins and each observation as it is made. Whatever goes wrong is in the check.
    """
    at = means.clock.now()
    ladder = _Ladder(subject, means, watch, asyncio.get_running_loop().time() + means.deadline_s)
    try:
        async with means.session(subject) as session:
            await ladder.climb(session)
    except Exception:
        # The guard of the whole engine: a fault of ours must neither stop other checks nor blame the key.
        log.exception("a check failed inside the hub")
        with suppress(Exception):  # the watcher may be what failed; the observation is kept before it is told
            ladder.note(Outcome.FAIL, Reason.INTERNAL)
    return Check(at, subject.trigger, tuple(ladder.observations), Facts(**ladder.facts), ladder.retry_after)


@dataclass(slots=True)
class _Ladder:
    """The state of one climb."""

    subject: Subject
    means: Means
    watch: Callable[[Stage | Observation | Waiting], None]
    ends: float
    """When the whole check has to be over, by the loop's clock."""
    observations: list[Observation] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)
    retry_after: int | None = None
    stage: Stage = Stage.FORMAT
    started: float = 0.0
    remarks: list[tuple[Reason, dict[str, str]]] = field(default_factory=list)
    tokens: list[AccessToken] = field(default_factory=list)
    paired: bool = False
    """Whether API and identity are known to be of one installation."""

    async def climb(self, session: Session) -> None:
        client = Client(session, device=self.means.device)
        rungs: tuple[tuple[Stage, Callable[[], Awaitable[Outcome]]], ...] = (
            (Stage.FORMAT, self._format),
            (Stage.REACH, lambda: self._reach(session)),
            (Stage.TLS, lambda: self._tls(session)),
            (Stage.SERVER, lambda: self._server(client)),
            (Stage.TOKEN, lambda: self._token(client)),
            (Stage.READ, lambda: self._read(client, self.tokens[0])),
            (Stage.IDENTITY, lambda: self._identity(self.tokens[0])),
        )
        if self.subject.token:
            # Who the token is of was seen when it was given.
            rungs = rungs[1:-1]
        for stage, rung in rungs:
            self.stage, self.started = stage, self.means.clock.monotonic()
            self.watch(stage)
            try:
                outcome = await rung()
            except RemoteError as error:
                self._fail(error)
                return
            self._conclude(outcome)

    def note(self, outcome: Outcome, reason: Reason | None, evidence: Mapping[str, str] | None = None) -> None:
        """Record what the present stage saw."""
        elapsed = round((self.means.clock.monotonic() - self.started) * 1000) if self.started else 0
        known = {} if outcome is Outcome.SKIP or reason is None else {"host": self._host()}
        safe = {name: self._safe(text) for name, text in (known | dict(evidence or {})).items()}
        observation = Observation(self.stage, outcome, reason, elapsed, safe)
        self.observations.append(observation)
        self.watch(observation)

    def _conclude(self, outcome: Outcome) -> None:
        """Record a stage that did not fail: its remarks as warnings, or that it simply passed."""
        if not self.remarks:
            self.note(outcome, None)
        self._note_remarks()

    def _fail(self, error: RemoteError) -> None:
        """Record what stopped the check, after what the stage had remarked until then."""
        self._note_remarks()
        self.retry_after = error.retry_after or self.retry_after
        reason, evidence = error.reason, dict(error.evidence)
        if reason is Reason.SERVER_CANNOT_VALIDATE and not self.paired:
            reason = Reason.TOKEN_OF_OTHER_SERVER
        if reason in _OF_CLOCKS and "skew_seconds" in self.facts:
            evidence["skew"] = str(self.facts["skew_seconds"])
        self.note(Outcome.FAIL, reason, evidence)

    def _note_remarks(self) -> None:
        for reason, evidence in self.remarks:
            self.note(Outcome.WARN, reason, evidence)
            self.started = self.means.clock.monotonic()  # the stage's time is counted once
        self.remarks.clear()

    def _remark(self, reason: Reason, evidence: Mapping[str, str] | None = None) -> None:
        self.remarks.append((reason, dict(evidence or {})))

    def _host(self, side: Side | None = None) -> str:
        side = side or (Side.API if self.stage in _API_STAGES else Side.IDENTITY)
        base = self.subject.endpoints.api if side is Side.API else self.subject.endpoints.identity
        return Origin.of(base).host

    def _safe(self, text: str) -> str:
        return safe_text(text, self.subject.key.secret, *(token.secret for token in self.tokens))

    async def _timely(self, doing: Awaitable[T], side: Side | None = None) -> T:
        """Wait for it, but not beyond the end of the whole check."""
        late = _LATE.get(self.stage, Reason.ANSWER_TIMEOUT)
        return await within(doing, until=self.ends, late=late, host=self._host(side))

    # ---- the stages

    async def _format(self) -> Outcome:
        for reason in self.subject.remarks:
            length = {"got": str(len(self.subject.key.secret))} if reason is Reason.SECRET_LENGTH else None
            self._remark(reason, length)
        return Outcome.PASS

    async def _reach(self, session: Session) -> Outcome:
        for side in (Side.API, Side.IDENTITY):
            connected = await self._timely(session.connect(side), side)
            self.facts["addresses"] = tuple(dict.fromkeys((*self.facts.get("addresses", ()), *connected.addresses)))
        return Outcome.PASS

    async def _tls(self, session: Session) -> Outcome:
        found: list[tuple[TlsFacts, str]] = []
        for side in (Side.API, Side.IDENTITY):
            facts = await self._timely(session.handshake(side), side)
            if facts:
                found.append((facts, self._host(side)))
                self.facts |= _certificate(min(found, key=_end)[0])
        if not found:
            return Outcome.SKIP
        first_to_end, host = min(found, key=_end)
        left = first_to_end.not_after - self.means.clock.now()
        if left < CERTIFICATE_WARNING:
            ends = first_to_end.not_after.date().isoformat()
            self._remark(Reason.CERTIFICATE_ENDS_SOON, {"host": host, "days": str(left.days), "ends": ends})
        return Outcome.PASS

    async def _server(self, client: Client) -> Outcome:
        where = self.subject.endpoints.api, self.subject.ca_pem
        ask = self.means.servers.info(*where, lambda: client.server(now=self.means.clock.now()))
        info = await self._timely(ask)
        self.facts |= {
            "server_kind": info.kind,
            "server_name": self._safe(info.name or "") or None,
            "server_version": self._safe(info.version or "") or None,
            "vault": _web_address(self._safe(info.vault or "")),
        }
        if info.kind is ServerKind.UNKNOWN:
            self._remark(Reason.SERVER_UNKNOWN, {"server": info.name or ""})
        self._compare_clocks(info)
        self._compare_hosts(info)
        return Outcome.PASS

    def _compare_hosts(self, info: ServerInfo) -> None:
        """Find a mixed pair of hosts before the secret is sent."""
        wanted = self.subject.endpoints
        reported = _address(info.identity)
        self.paired = reported == _address(wanted.identity) or self._host(Side.API) == self._host(Side.IDENTITY)
        if not reported or reported == _address(wanted.identity):
            return
        evidence = {"expected": wanted.identity, "got": info.identity or ""}
        clouds = {_address(row.identity) for row in self.means.clouds}
        if reported in clouds or _address(wanted.identity) in clouds:
            raise RemoteError(Reason.HOSTS_MISMATCH, evidence=evidence)
        self._remark(Reason.HOSTS_RENAMED, evidence)

    def _compare_clocks(self, info: ServerInfo) -> None:
        if info.date is None:
            return
        # `Date` was written about half a round trip before the answer was complete.
        skew = round((info.date - info.received_at).total_seconds() + info.ms / 2000)
        self.facts["skew_seconds"] = skew
        if abs(skew) <= SKEW_WARNING_S:
            return
        ours = abs(skew) > SKEW_BROKEN_S and self.means.official(self._host(Side.API))
        self._remark(Reason.CLOCK_WRONG_HERE if ours else Reason.CLOCK_SKEW, {"skew": str(skew)})

    async def _token(self, client: Client) -> Outcome:
        if self.subject.token:
            self.tokens.append(self.subject.token)
            return Outcome.SKIP
        origin = self.subject.endpoints.identity_origin
        budget, clock, loop = self.means.budget, self.means.clock, asyncio.get_running_loop()
        asked = loop.time()
        await budget.take(
            origin,
            patience_s=self.means.patience_s,
            waiting=lambda seconds: self.watch(Waiting(seconds)),
            limit=self.means.limit,
            ahead=self.means.ahead,
        )
        self.ends += loop.time() - asked
        self.started = clock.monotonic()  # waiting for a turn is not the server's time
        try:
            self.tokens.append(
                await self._timely(
                    client.token(self.subject.key, worked_before=self.subject.worked_before, now=clock.now())
                )
            )
        except RemoteError as error:
            if error.reason in _ASKS_TO_WAIT and error.retry_after:
                await budget.hold(origin, error.retry_after)
            raise
        self.means.granted(self.tokens[0])
        return Outcome.PASS

    async def _read(self, client: Client, token: AccessToken) -> Outcome:
        answers: dict[str, ListAnswer] = {}
        await self._ask_lists(client, token, answers)
        self.facts |= lists.learn(answers)
        for reason, evidence in lists.judge(answers, server=self.facts.get("server_name") or ""):
            self._remark(reason, evidence)
        return Outcome.PASS

    async def _ask_lists(self, client: Client, token: AccessToken, answers: dict[str, ListAnswer]) -> None:
        """Ask every list; the first decides about the link, a later one that breaks is that list's own trouble."""
        for path in self.subject.lists:
            try:
                answers[path] = await self._timely(client.read(path, token, now=self.means.clock.now()))
            except RemoteError as error:
                if not answers:
                    raise
                left = [other for other in self.subject.lists if other not in answers]
                if error.reason in _ASKS_TO_WAIT:
                    self.retry_after = error.retry_after
                    self._remark(error.reason, {**error.evidence, "names": lists.names(left)})
                    return
                trouble = Capability.REFUSED if error.reason in _REFUSING else Capability.FAULTY
                answers[path] = ListAnswer(trouble, 0, reason=error.reason)
                if error.reason is Reason.ANSWER_TIMEOUT:
                    # Who is too slow for one list is not kept waiting for by the others.
                    answers |= dict.fromkeys(left, answers[path])
                    return

    async def _identity(self, token: AccessToken) -> Outcome:
        expected = self.subject.key.client_id
        if token.client_id is None:
            self._remark(Reason.ORGANIZATION_NOT_REPORTED)
        elif token.client_id.lower() != expected:
            for name in _ORGANIZATION_FACTS:  # what was read is another organization's
                self.facts.pop(name, None)
            got = token.client_id.removeprefix("organization.")
            raise RemoteError(
                Reason.WRONG_ORGANIZATION,
                evidence={"expected": expected.removeprefix("organization."), "got": got},
            )
        return Outcome.PASS


def _end(found: tuple[TlsFacts, str]) -> datetime:
    return found[0].not_after


def _web_address(url: str) -> str | None:
    """Return an address a person may be sent to, or nothing."""
    whole = url.startswith(("https://", "http://")) and url.isascii()
    return url if whole and _address(url) else None


def _certificate(facts: TlsFacts) -> dict[str, Any]:
    return {
        "tls_version": facts.version,
        "certificate_issuer": facts.issuer,
        "certificate_subject": facts.subject,
        "certificate_sha256": facts.sha256,
        "certificate_ends": facts.not_after,
    }


@lru_cache(maxsize=1024)
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
