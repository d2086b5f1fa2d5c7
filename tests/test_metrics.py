"""The metrics: what Prometheus' own parser reads of them, how they are named, and that they never flatter."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families as families

from hub_core import __version__
from hub_core.access import Scope
from hub_core.alerts.form import ChannelForm
from hub_core.health.maintenance import Once
from hub_core.health.maintenance import Scope as Concerns
from hub_core.model import Trigger
from hub_core.reasons import Reason
from hub_core.showing import SHOWN_WORDS
from hub_core.storage.migrations import MIGRATIONS
from hub_core.web.metrics import LABEL_LIMIT
from tests.linked import Hands, opened
from tests.machines import WHERE, Machines, failing, record, refused, served, well
from tests.scaled import proven

if TYPE_CHECKING:
    from collections.abc import Iterator

    from prometheus_client.metrics_core import Metric

    from hub_core.hub import Hub
    from hub_core.settings import Settings

HOSTILE = 'Acme "}\n# HELP fake\nfake{a="b"} 1 \\ ' + "x" * 120


@pytest.fixture
def hands() -> Hands:
    """The hands of the hub's clock."""
    return Hands()


@pytest.fixture
def hub(settings: Settings, hands: Hands) -> Iterator[Hub]:
    """A hub whose clock can be moved."""
    with opened(settings, hands.clock) as made:
        yield made


@pytest.fixture
def machines(hub: Hub) -> Iterator[Machines]:
    """What is served of it."""
    with served(hub) as running:
        yield running


def scraped(machines: Machines) -> dict[str, Metric]:
    """Return every family by its name, as Prometheus' parser reads the text."""
    answer = machines.get("/metrics", scope=Scope.METRICS)
    assert answer.status == 200, answer.body
    assert answer.headers["content-type"].startswith("text/plain; version=")
    assert answer.headers["cache-control"] == "no-store"
    found = list(families(answer.body))
    by_name = {family.name: family for family in found}
    assert len(by_name) == len(found)
    return by_name


def values(family: Metric, **labels: str) -> dict[tuple[str, ...], float]:
    """Return the values of a family's samples with these labels, by their further labels."""
    common = {"account", "label", "region"} | set(labels)
    return {
        tuple(value for name, value in sample.labels.items() if name not in common): sample.value
        for sample in family.samples
        if labels.items() <= sample.labels.items()
    }


def stamp(at: datetime | None) -> float:
    """Return the seconds of a time since 1970."""
    assert at is not None
    return at.timestamp()


def test_a_token_of_scope_metrics_is_wanted(machines: Machines) -> None:
    """Without a token nothing is told, and a token for the JSON API does not open it."""
    assert machines.get("/metrics").status == 401
    assert machines.get("/metrics", scope=Scope.READ).status == 403
    assert machines.get("/metrics", method="POST", scope=Scope.METRICS).status == 405
    assert machines.get("/metrics", method="HEAD", scope=Scope.METRICS).status == 200
    text = f"Bearer {machines.token(Scope.METRICS)}"
    assert machines.get("/metrics", Authorization=text, Origin="https://evil.example").status == 403


def test_an_account_is_told_with_its_clocks(hub: Hub, hands: Hands, machines: Machines) -> None:
    """Status, reason, two clocks, latency, certificate and uptime of each account, by what the page shows."""
    good, bad = well(hub, 0), well(hub, 1)
    hands.forward(minutes=5)
    check = proven(hub.clock.now(), Trigger.MANUAL)
    ends = (hub.clock.now() + timedelta(days=90)).replace(microsecond=0)
    record(hub, good, replace(check, facts=replace(check.facts, latency_ms=250, certificate_ends=ends)))
    refused(hub, bad)
    found = scraped(machines)
    status = found["linkhub_account_status"]
    assert values(status, account=good) == {(word,): float(word == "healthy") for word in SHOWN_WORDS.values()}
    assert values(status, account=bad) == {(word,): float(word == "failing") for word in SHOWN_WORDS.values()}
    assert values(found["linkhub_account_reason"], account=good) == {}
    assert values(found["linkhub_account_reason"], account=bad) == {("key_no_longer_accepted",): 1}
    assert values(found["linkhub_account_latency_seconds"], account=good) == {(): 0.25}
    assert values(found["linkhub_account_latency_seconds"], account=bad) == {}
    for account_id in (good, bad):
        standing = hub.account(account_id).standing
        for name, at in (
            ("checked", standing.checked_at),
            ("link_proven", standing.link_proven_at),
            ("key_proven", standing.key_proven_at),
        ):
            told = values(found[f"linkhub_account_{name}_timestamp_seconds"], account=account_id)
            assert told == {(): pytest.approx(stamp(at), abs=0.01)}
    assert values(found["linkhub_account_certificate_end_timestamp_seconds"]) == {(): stamp(ends)}
    opened_at = values(found["linkhub_account_incident_opened_timestamp_seconds"])
    assert opened_at == {(): pytest.approx(stamp(hub.account(bad).standing.since), abs=0.01)}
    assert set(values(found["linkhub_account_uptime_ratio"], account=good)) == {("1d",), ("7d",), ("30d",)}
    assert values(found["linkhub_accounts"]) == {
        (word,): float(word in {"healthy", "failing"}) for word in SHOWN_WORDS.values()
    }


def test_what_nobody_should_believe_is_not_told_as_well(hub: Hub, hands: Hands, machines: Machines) -> None:
    """An account that nobody checks is stale, and neither healthy nor fast nor failing for a reason."""
    good, bad = well(hub, 0), failing(hub, 1)
    hands.forward(days=3)
    found = scraped(machines)
    for account_id in (good, bad):
        told = values(found["linkhub_account_status"], account=account_id)
        assert [word for (word,), value in told.items() if value] == ["stale"]
    assert values(found["linkhub_account_reason"]) == {}
    assert values(found["linkhub_account_latency_seconds"]) == {}
    assert values(found["linkhub_accounts"])[("stale",)] == 2
    hub.pause(good, "", actor="test")
    hub.store.drop_secrets(at=hub.clock.now(), actor="test")
    hub.glances.latest(fresh=True)
    assert values(scraped(machines)["linkhub_accounts"])[("needs_key",)] == 2


def test_the_hub_tells_of_itself(hub: Hub, hands: Hands, machines: Machines) -> None:
    """Token budget, queue, scheduler, offline, channels, version of program and schema."""
    account_id = well(hub)
    origin = WHERE.identity_origin
    assert hub.store.schedule.take_lease("test", now=hub.clock.now(), lasts=timedelta(seconds=30)) == 1
    beat = hub.clock.now()
    hands.forward(hours=1)
    hub.windows.add(
        Concerns.ACCOUNT,
        account_id,
        Once(hub.clock.now() - timedelta(minutes=1), hub.clock.now() + timedelta(hours=1)),
        "",
        actor="test",
    )
    assert hub.store.budget.take(origin, at=hub.clock.now(), limit=8) == 0
    found = scraped(machines)
    assert values(found["linkhub_token_requests_used"]) == {(origin,): 1}
    assert values(found["linkhub_token_requests_limit"]) == {(origin,): hub.settings.token_limit}
    assert values(found["linkhub_queue_due"]) == {(): 1}
    assert values(found["linkhub_queue_running"]) == {(): 0}
    assert 0 < values(found["linkhub_queue_oldest_age_seconds"])[()] <= 3600
    assert values(found["linkhub_scheduler_beat_timestamp_seconds"]) == {(): pytest.approx(stamp(beat), abs=1)}
    assert values(found["linkhub_hub_offline"]) == {(): 0}
    assert values(found["linkhub_channels_failing"]) == {(): 0}
    assert values(found["linkhub_schema_version"]) == {(): len(MIGRATIONS)}
    assert values(found["linkhub_build_info"]) == {(__version__,): 1}
    assert values(found["linkhub_account_maintenance"]) == {(): 1}


def test_a_channel_that_fails_is_counted(settings: Settings, free_port: int) -> None:
    """After a message could not be delivered, until one can be again or the channel is gone."""
    target = f"http://127.0.0.1:{free_port}/hook"
    allowed = replace(settings, outbound_loopback=(f"127.0.0.1:{free_port}",))
    with opened(allowed) as hub, served(hub) as machines:
        channel = hub.alerts.add(hub.alerts.read_form(ChannelForm(name="Ops", target=target)), actor="test").channel
        assert values(scraped(machines)["linkhub_channels_failing"]) == {(): 0}
        assert not hub.alerts.test(channel.id, actor="test").well
        assert values(scraped(machines)["linkhub_channels_failing"]) == {(): 1}
        hub.alerts.remove(channel.id, actor="test")
        assert values(scraped(machines)["linkhub_channels_failing"]) == {(): 0}


def test_an_empty_hub_has_metrics_too(machines: Machines) -> None:
    """Every count of accounts is there as zero; what never was, such as a scheduler's beat, is left out."""
    found = scraped(machines)
    assert set(values(found["linkhub_accounts"]).values()) == {0}
    assert values(found["linkhub_queue_oldest_age_seconds"]) == {(): 0}
    assert "linkhub_scheduler_beat_timestamp_seconds" not in found


def test_a_broken_database_is_a_problem(hub: Hub, machines: Machines) -> None:
    """What was told before is not told again as if it were known: Prometheus sees the target as down."""
    well(hub)
    scraped(machines)
    hub.store.database.empty_wal()
    hub.settings.database.write_bytes(b"this is not a database " * 200)
    answer = machines.get("/metrics", scope=Scope.METRICS)
    assert answer.status == 503
    assert answer.headers["content-type"] == "application/problem+json"


def test_names_follow_the_conventions(hub: Hub, machines: Machines) -> None:
    """Each family is ours, a gauge with a sentence of help, in base units, and not called what it is not."""
    failing(hub)
    for name, family in scraped(machines).items():
        assert re.fullmatch(r"linkhub(_[a-z]+)+", name)
        assert family.type == "gauge"
        assert family.documentation.endswith(".")
        assert not name.endswith(("_total", "_count", "_bucket", "_sum", "_milliseconds", "_ms", "_days", "_percent"))
        assert ("_timestamp_" in name or "_age_" in name or "latency" in name) is name.endswith("_seconds")
        assert {sample.name for sample in family.samples} <= {name}


def test_labels_are_bounded_and_hold_nothing_secret(hub: Hub, machines: Machines) -> None:
    """A hostile label stays one cut value; reasons are of the closed set; client ids and secrets are nowhere."""
    bad = failing(hub, label=HOSTILE)
    found = scraped(machines)
    names = {name for family in found.values() for sample in family.samples for name in sample.labels}
    assert names <= {"account", "label", "region", "status", "reason", "window", "identity", "version"}
    labels = {
        sample.labels["label"] for family in found.values() for sample in family.samples if "label" in sample.labels
    }
    assert labels == {HOSTILE[:LABEL_LIMIT]}
    assert {reason for (reason,) in values(found["linkhub_account_reason"])} <= {reason.value for reason in Reason}
    body = machines.get("/metrics", scope=Scope.METRICS).body
    account = hub.account(bad)
    assert account.organization_id not in body
    assert account.client_id not in body


def test_openmetrics_is_spoken_where_it_is_asked_for(hub: Hub, machines: Machines) -> None:
    """A scraper that prefers OpenMetrics gets it, and its stricter parser reads the same families."""
    failing(hub)
    text = f"Bearer {machines.token(Scope.METRICS)}"
    accept = "application/openmetrics-text; version=1.0.0"
    answer = machines.get("/metrics", Authorization=text, Accept=accept)
    assert answer.headers["content-type"].startswith("application/openmetrics-text")
    assert {family.name for family in openmetrics(answer.body)} == set(scraped(machines))


def test_every_family_is_documented(hub: Hub, machines: Machines) -> None:
    """The manual lists each family that is told, and no other."""
    from pathlib import Path

    good = well(hub)
    hub.store.schedule.take_lease("test", now=datetime.now(UTC), lasts=timedelta(seconds=30))
    manual = (Path(__file__).resolve().parents[1] / "docs" / "api.md").read_text("utf-8")
    table = manual.partition("| Family |")[2].partition("\n\n")[0]
    refused(hub, good)
    assert set(re.findall(r"`(linkhub_[a-z_]+)`", table)) == set(scraped(machines))
    assert set(re.findall(r"\b(linkhub_[a-z_]+)", manual)) == set(scraped(machines))
