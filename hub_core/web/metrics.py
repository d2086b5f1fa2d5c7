"""The hub as Prometheus reads it: what the dashboard knows already; nothing is asked of any server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from hub_core import __version__
from hub_core.access import Scope
from hub_core.model import Status
from hub_core.showing import SHOWN_WORDS, shown
from hub_core.web.bearer import reading, reply

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime

    from prometheus_client.metrics_core import GaugeMetricFamily, Metric
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import Route

    from hub_core.glance import Glance, GlanceLine
    from hub_core.hub import Hub

LABEL_LIMIT: Final = 100
"""Characters of an account's label that are told."""

_WELL: Final = frozenset({Status.HEALTHY.value, Status.LIMITED.value, Status.DEGRADED.value})


def route(hub: Hub) -> Route:
    """Return the route of the metrics."""

    def metrics(request: Request) -> Response:
        # Costs a tenth of a second, wanted only where somebody scrapes.
        from prometheus_client import CollectorRegistry  # noqa: PLC0415
        from prometheus_client.exposition import choose_encoder  # noqa: PLC0415

        registry = CollectorRegistry(auto_describe=False)
        registry.register(_Collector(hub))
        encode, content_type = choose_encoder(request.headers.get("accept", ""))
        return reply(encode(registry), content_type)

    return reading("/metrics", metrics, access=hub.access, scope=Scope.METRICS)


class _Collector:
    """Collects everything from one snapshot."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub

    def describe(self) -> Iterable[Metric]:
        """Describe nothing, so that registering collects nothing."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """Yield every family."""
        glance = self._hub.glances.latest()
        told = [_Told(self._hub, line) for line in glance.lines]
        yield from _of_accounts(told)
        yield from _of_the_hub(self._hub, glance, told)


class _Told:
    """One account as it is told: its labels, and how it is shown."""

    def __init__(self, hub: Hub, line: GlanceLine) -> None:
        self.line = line
        self.row = line.row
        self.labels = (self.row.id, self.row.label[:LABEL_LIMIT], self.row.region)
        self.shown = SHOWN_WORDS[shown(hub, self.row).word]
        self.believed = self.shown in {status.value for status in Status}


def _of_accounts(told: list[_Told]) -> Iterator[Metric]:
    states = _account_gauge("status", "1 for how the account is shown now, 0 for every other way.", "status")
    reasons = _account_gauge("reason", "1 for the reason why the account is not healthy; none while it is.", "reason")
    latency = _account_gauge("latency_seconds", "Time the last read took; none unless the link works.")
    maintenance = _account_gauge("maintenance", "1 while a maintenance window is open.")
    incident = _account_gauge("incident_opened_timestamp_seconds", "When the open incident began.")
    uptime = _account_gauge("uptime_ratio", "Share of the judged time in which the account worked.", "window")
    for one in told:
        for word in SHOWN_WORDS.values():
            states.add_metric((*one.labels, word), float(word == one.shown))
        if one.believed and one.row.reason:
            reasons.add_metric((*one.labels, one.row.reason), 1)
        if one.shown in _WELL and one.row.latency_ms is not None:
            latency.add_metric(one.labels, one.row.latency_ms / 1000)
        maintenance.add_metric(one.labels, float(one.line.maintenance))
        if one.line.incident:
            incident.add_metric(one.labels, one.line.incident.opened_at.timestamp())
        for window, share in zip(("1d", "7d", "30d"), one.line.uptime, strict=True):
            if share is not None:
                uptime.add_metric((*one.labels, window), share)
    yield from (states, reasons, latency, maintenance, incident, uptime)
    yield _times("checked", "When a check last judged.", ((o.labels, o.row.checked_at) for o in told))
    yield _times("link_proven", "When a read was last answered.", ((o.labels, o.row.link_proven_at) for o in told))
    yield _times("key_proven", "When the key was last accepted.", ((o.labels, o.row.key_proven_at) for o in told))
    yield _times("certificate_end", "When the certificate ends.", ((o.labels, o.row.certificate_ends) for o in told))


def _of_the_hub(hub: Hub, glance: Glance, told: list[_Told]) -> Iterator[Metric]:
    counts = _gauge("accounts", "Accounts by how they are shown.", "status")
    for word in SHOWN_WORDS.values():
        counts.add_metric((word,), sum(one.shown == word for one in told))
    used = _gauge("token_requests_used", "Token requests within the last minute.", "identity")
    limit = _gauge("token_requests_limit", "Token requests allowed within a minute.", "identity")
    for load in hub.watching.load():
        used.add_metric((load.origin,), load.used)
        limit.add_metric((load.origin,), load.limit)
    yield from (counts, used, limit)
    queue = glance.queue
    waits = (hub.clock.now() - queue.oldest_due).total_seconds() if queue.oldest_due else 0
    yield _one("queue_due", "Accounts that wait for their check.", queue.due)
    yield _one("queue_running", "Accounts that are being checked.", queue.running)
    yield _one("queue_oldest_age_seconds", "How long the longest of them waits.", max(waits, 0))
    beat = hub.store.schedule.watcher().beat_at
    if beat:
        name = "scheduler_beat_timestamp_seconds"
        yield _one(name, "When a scheduler last gave a sign of life.", beat.timestamp())
    yield _one("hub_offline", "1 while no server at all can be reached from here.", float(bool(glance.offline_since)))
    failing = sum(bool(channel.failing_since) for channel in hub.alerts.channels())
    yield _one("channels_failing", "Channels that messages cannot be delivered to.", failing)
    yield _one("schema_version", "Version of the database's schema.", hub.store.database.version)
    build = _gauge("build_info", "1, labelled with the version of the program.", "version")
    build.add_metric((__version__,), 1)
    yield build


def _gauge(name: str, about: str, *labels: str) -> GaugeMetricFamily:
    from prometheus_client.metrics_core import GaugeMetricFamily  # noqa: PLC0415 - as above

    return GaugeMetricFamily(f"linkhub_{name}", about, labels=labels)


def _one(name: str, about: str, value: float) -> GaugeMetricFamily:
    family = _gauge(name, about)
    family.add_metric((), value)
    return family


def _account_gauge(name: str, about: str, *labels: str) -> GaugeMetricFamily:
    return _gauge(f"account_{name}", about, "account", "label", "region", *labels)


def _times(name: str, about: str, times: Iterable[tuple[tuple[str, ...], datetime | None]]) -> GaugeMetricFamily:
    family = _account_gauge(f"{name}_timestamp_seconds", about)
    for labels, at in times:
        if at:
            family.add_metric(labels, at.timestamp())
    return family
