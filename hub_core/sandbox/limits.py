"""The rate limits of Bitwarden's cloud and of Vaultwarden's sign-in, counted as they count."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from hub_core.sandbox.wire import Answer, Headers, Request, json_answer, seven_decimals

VAULTWARDEN_BURST = 10
VAULTWARDEN_REFILL = 60.0

_SECOND = timedelta(seconds=1)
_MINUTE = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class _Rule:
    limit: int
    period: timedelta

    @property
    def word(self) -> str:
        return "1s" if self.period == _SECOND else "1m"


@dataclass(slots=True)
class _Window:
    start: datetime
    count: int


class Limits:
    """The counters of all servers; `on` switches them."""

    def __init__(self, *, on: bool) -> None:
        self.on = on
        self._windows: dict[tuple[str, str, str, str, str], _Window] = {}
        self._buckets: dict[str, tuple[float, datetime]] = {}

    def reset(self) -> None:
        """Forget everything counted so far."""
        self._windows.clear()
        self._buckets.clear()

    def count(self, service: str, request: Request, now: datetime) -> tuple[Answer | None, Headers]:
        """Count one request to a cloud service: the refusal if it is one too many, else the headers of the answer."""
        if not self.on:
            return None, ()
        path = request.path.lower().rstrip("/")
        rules = _rules(service.endswith("/identity"), request.method, path)
        told: Headers = ()
        for rule in rules:
            window = self._window((service, request.peer, request.method, path, rule.word), rule, now)
            window.count += 1
            if window.count > rule.limit:
                return _refusal(rule, window, now), ()
            told = (
                ("X-Rate-Limit-Limit", rule.word),
                ("X-Rate-Limit-Remaining", str(rule.limit - window.count)),
                ("X-Rate-Limit-Reset", seven_decimals(window.start + rule.period)),
            )
        return None, told

    def vaultwarden_sign_in(self, peer: str, now: datetime) -> bool:
        """Count one sign-in at Vaultwarden: 10 at once, then one a minute for each address."""
        if not self.on:
            return True
        left, at = self._buckets.get(peer, (float(VAULTWARDEN_BURST), now))
        left = min(VAULTWARDEN_BURST, left + max(0.0, (now - at).total_seconds()) / VAULTWARDEN_REFILL)
        if left < 1:
            self._buckets[peer] = (left, now)
            return False
        self._buckets[peer] = (left - 1, now)
        return True

    def _window(self, key: tuple[str, str, str, str, str], rule: _Rule, now: datetime) -> _Window:
        window = self._windows.get(key)
        if window is None or not window.start <= now < window.start + rule.period:
            window = self._windows[key] = _Window(now, 0)
        return window


def rate_limit_answer(period: str, retry_after: int) -> Answer:
    """Refuse as Bitwarden's own limiter does; it uses the internal error shape, not the public one."""
    body = {
        "object": "error",
        "message": f"Slow down! Too many requests. Try again in {period}.",
        "validationErrors": None,
        "exceptionMessage": None,
        "exceptionStackTrace": None,
        "innerExceptionMessage": None,
    }
    return json_answer(429, body, headers=(("Retry-After", str(retry_after)),))


def _rules(identity: bool, method: str, path: str) -> tuple[_Rule, ...]:  # noqa: FBT001 - one of two services
    """Return the rules that apply, shortest period first; of one period only the smallest limit counts."""
    if identity:
        return _Rule(5, _SECOND), _Rule(10 if (method, path) == ("POST", "/connect/token") else 60, _MINUTE)
    if method == "GET":
        return (_Rule(5 if path == "/alive" else 200, _MINUTE),)
    if method in {"POST", "PUT", "DELETE"}:
        return _Rule(5, _SECOND), _Rule(60, _MINUTE)
    return ()


def _refusal(rule: _Rule, window: _Window, now: datetime) -> Answer:
    left = (window.start + rule.period - now).total_seconds()
    return rate_limit_answer(rule.word, max(1, round(left)))
