"""The Account and About pages without a browser: banner, facts, history, relink, edit, pause, unlink."""

from __future__ import annotations

import json
import re
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from hub_core import __version__, texts
from hub_core.health.maintenance import Once, Scope
from hub_core.model import Lifecycle, Status
from hub_core.sandbox import Fault
from tests.lived import Life, live, populate
from tests.paging import Visitor, change_row, check, hub, link, organization, own_hub, rotate, sandbox

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from hub_core.model import Account

SECRET = "CanaryCanaryCanaryCanary012345"


@pytest.fixture(autouse=True)
def _hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    with own_hub(monkeypatch, tmp_path):
        yield


@pytest.fixture
def account() -> Account:
    """A healthy account."""
    return link("Meadow", tags="prod", note="Ask *Ada*.\nTwice.")


def page(account: Account, **query: str) -> Visitor:
    """Open an account's page."""
    return Visitor("account.py", account=account.id, **query)


def badge(visitor: Visitor) -> str:
    """Return the status beside the title."""
    return next(str(m.value) for m in visitor.at.markdown if "-badge[" in m.value)


def broken(account: Account, fault: Fault, *, at: str = "") -> Visitor:
    """Open an account's page after a check that met a fault, perhaps at one path only."""
    sandbox().faults.set("us", fault, at=at)
    check(account)
    return page(account)


def test_healthy_account(account: Account) -> None:
    """A healthy account shows no banner, but its clocks, the stages, what its key reads, and facts."""
    visitor = page(account)
    assert "Healthy" in badge(visitor)
    assert "green" in badge(visitor)
    assert not visitor.at.error
    assert not visitor.at.warning
    assert "mend" not in visitor.buttons
    assert {m.label for m in visitor.at.metric} == {
        "Uptime 24 h", "Uptime 7 days", "Uptime 30 days",
        "Link proven", "Key proven", "Next check", "Latency", "Members", "Certificate",
    }  # fmt: skip
    for stage in texts.STAGES.values():
        assert stage.done in visitor.text
    facts = visitor.facts()
    assert "Readable (12)" in facts["Groups"]
    assert facts["Organization"] == account.organization_id
    assert facts["API"] == account.endpoints.api
    assert facts["TLS"] == "TLS 1.3"
    assert [t.value for t in visitor.at.text] == ["Ask *Ada*.\nTwice."]


def test_limited_account_does_not_claim_zeros() -> None:
    """Where nothing can be read, the page says not reported, in blue, and asks nobody to act."""
    visitor = page(link("Cedar"))
    assert "Limited" in badge(visitor)
    assert "This server offers nothing to read" in visitor.texts("info")[0]
    figures = {m.label: m.value for m in visitor.at.metric}
    assert ":blue[:material/info:] This server offers nothing to read" in visitor.text
    assert (figures["Members"], figures["Link proven"], figures["Key proven"]) == (
        "not reported",
        "not offered",
        "just now",
    )
    assert "mend" not in visitor.buttons


def test_refused_key(account: Account) -> None:
    """A rotated key: since when it worked, causes, steps, and the button that leads to relinking."""
    rotate("Meadow")
    check(account)
    visitor = page(account)
    assert "Failing" in badge(visitor)
    (error,) = visitor.texts("error")
    assert "Worked until 20" in error
    assert "Likely causes, most likely first" in visitor.text
    assert "Since 20" in visitor.text
    assert "The key is accepted" not in visitor.text
    assert "relink_go" in visitor.press("mend").buttons


@pytest.mark.parametrize(
    ("fault", "at", "status", "title", "button"),
    [
        (Fault.BAD_GATEWAY, "", "Unreachable", "The proxy answers, the server behind it does not", None),
        (Fault.HTML, "", "Unreachable", "A web page answered instead of the server", None),
        (Fault.API_500, "", "Unreachable", "The key is accepted, reading had a fault", None),
        (Fault.API_500, "/public/groups", "Degraded", "The key is accepted, reading had a fault", None),
        (Fault.FORBIDDEN, "/public/groups", "Degraded", "Some lists could not be read", None),
        (Fault.CLOCK_AHEAD, "", "Degraded", "The server's clock and the hub's clock differ", None),
        (Fault.OTHER_HOSTS, "", "Failing", "API and identity belong to different servers", "Edit server"),
        (Fault.FORBIDDEN, "", "Failing", "This key may not read the organization", "Relink"),
        (Fault.EMPTY_MEMBERS, "", "Failing", "The server reports an organization without members", "Owner"),
    ],
)
def test_banner(account: Account, *, fault: Fault, at: str, status: str, title: str, button: str | None) -> None:
    """The banner names what is wrong and offers the one button that mends it; a check after the repair clears it."""
    visitor = broken(account, fault, at=at)
    assert status in badge(visitor)
    told = visitor.texts("error") + visitor.texts("warning")
    assert title in told[0]
    mending = [b.label for b in visitor.at.button if b.key == "mend"]
    if button == "Owner":
        assert len(visitor.at.link_button) == 2
    else:
        assert mending == ([button] if button else [])
    sandbox().faults.clear()
    visitor.press("check_now")
    assert "Healthy" in badge(visitor.run())
    assert not visitor.at.error
    assert not visitor.at.warning


def test_told_to_wait_is_no_status(account: Account) -> None:
    """A rate limit leaves the status as it was and says that the last check was told to wait."""
    visitor = broken(account, Fault.RATE_LIMITED)
    assert "Healthy" in badge(visitor)
    assert "The server asks to wait" in visitor.texts("info")[0]
    assert not visitor.at.error


def test_check_now(account: Account) -> None:
    """Checking shows the stages, and the page beneath is of the new check."""
    rotate("Meadow")
    visitor = page(account).press("check_now")
    assert visitor.at.status[0].state == "error"
    assert "no longer accepts this key" in visitor.texts("error")[0]
    assert len(hub().past.noteworthy(account.id)) == 2


def test_history(account: Account) -> None:
    """The history lists the checks, newest first, with status and cause."""
    rotate("Meadow")
    check(account)
    visitor = page(account, do="History")
    frame = visitor.at.dataframe[0].value
    assert list(frame["Status"]) == ["✕ Failing", "✓ Healthy"]
    assert list(frame["Asked by"]) == ["By hand", "Linked"]
    assert frame["Cause"][0] == "Bitwarden no longer accepts this key"
    changes = visitor.at.dataframe[2].value
    assert list(zip(changes["From"], changes["To"], strict=True)) == [
        ("✓ Healthy", "✕ Failing"),
        ("? Unknown", "✓ Healthy"),
    ]


def test_stale_is_grey(monkeypatch: pytest.MonkeyPatch) -> None:
    """A check too old to believe is never shown green, and the page says so until somebody checks."""
    monkeypatch.setenv("LINKHUB_INTERVAL_MINUTES", "1")
    account = link("Meadow")
    change_row(account.id, checked_at=hub().clock.now() - timedelta(minutes=5))
    visitor = page(account)
    assert ":gray-badge" in badge(visitor)
    assert "No recent check" in badge(visitor)
    assert any("too old to say anything about now" in text for text in visitor.texts("warning"))
    assert "Healthy" in badge(visitor.press("check_now").run())


def test_next_check_without_a_scheduler(account: Account) -> None:
    """Where nobody watches, the page does not promise a check."""
    assert {m.label: m.value for m in page(account).at.metric}["Next check"] == "on request"


def test_next_check_says_when_why_and_what_can_stay_unseen(account: Account) -> None:
    """A watched account shows the time of its next check, the rhythm, and how long a rotated key can look well."""
    sign = hub().clock.now()
    hub().store.schedule.take_lease("somebody", now=sign, lasts=timedelta(seconds=30))
    visitor = page(account)
    assert {m.label: m.value for m in visitor.at.metric}["Next check"] in {"in 4 min", "in 5 min"}
    assert "A light check every 5 min, with a fresh token about every 15 min" in visitor.texts("caption")[0]
    assert "A rotated key can stay unseen for up to 16 min" in visitor.texts("caption")[0]
    rotate("Meadow")
    check(account)
    visitor = page(account)
    assert {m.label: m.value for m in visitor.at.metric}["Next check"].startswith("in 1")
    assert "until somebody relinks it" in visitor.texts("caption")[0]


def test_nobody_is_checking(account: Account) -> None:
    """Three intervals without a sign of a scheduler or a check are said on every page; one sign ends it."""
    long_ago = hub().clock.now() - timedelta(minutes=16)
    change_row(account.id, checked_at=long_ago)
    for name in ("accounts.py", "link.py", "about.py"):
        assert "Nobody is checking: the last sign of a check was 16 min ago" in Visitor(name).texts("warning")[0]
    hub().store.schedule.take_lease("somebody", now=hub().clock.now(), lasts=timedelta(seconds=30))
    hub().glances.latest(fresh=True)
    assert not [text for text in Visitor().texts("warning") if "Nobody is checking" in text]


@pytest.mark.parametrize("account_id", ["", "nonsense", "' OR 1=1 --", "00000000-0000-0000-0000-000000000000"])
def test_unknown_account(account_id: str) -> None:
    """An address of no account says so and leads back to the list."""
    link("Meadow")
    visitor = Visitor("account.py", account=account_id)
    assert visitor.at.title[0].value == "No such account"
    assert visitor.at.get("page_link")


def test_unknown_view(account: Account) -> None:
    """A made-up view in the address shows the overview."""
    assert "Last check" in page(account, do="Nonsense").text


# ---- relink


def test_relink(account: Account) -> None:
    """Relinking asks for the secret alone, verifies it and makes the account healthy; the secret stays nowhere."""
    secret = rotate("Meadow")
    check(account)
    visitor = page(account, do="Relink")
    assert {field.key for field in visitor.at.text_input} == {"relink_secret"}
    visitor.fill(relink_secret=f' "{secret}" ').press("relink_go")
    assert visitor.texts("toast") == ["Relinked: the new key works"]
    assert "Last check" in visitor.text
    assert not visitor.where(secret)
    assert "Healthy" in badge(visitor.run())
    assert hub().account(account.id).key_entered_at > account.key_entered_at


def test_relink_refused_keeps_the_old_key(account: Account) -> None:
    """A refused secret changes nothing: the old key still works; the right one then does too."""
    visitor = page(account, do="Relink").fill(relink_secret=SECRET).press("relink_go")
    assert visitor.at.status[0].label == "Nothing was changed"
    assert "refused this key" in visitor.texts("error")[0]
    assert not visitor.where(SECRET)
    assert not hub().check(account.id).failure
    visitor.fill(relink_secret=organization("Meadow").secret).press("relink_go")
    assert not visitor.at.error


@pytest.mark.parametrize("typed", ["", "two words", "organization.6a2f1c84-3b5d-4e7a-9c10-b1f5a0d2e801"])
def test_relink_input_errors(account: Account, typed: str) -> None:
    """What cannot be a secret is told, and nothing is sent."""
    checks = len(hub().past.noteworthy(account.id))
    visitor = page(account, do="Relink").fill(relink_secret=typed).press("relink_go")
    assert visitor.texts("error")
    assert len(hub().past.noteworthy(account.id)) == checks


def test_relink_told_to_wait(account: Account) -> None:
    """A rate limit while relinking says to wait and keeps the old key."""
    sandbox().faults.set("us", Fault.RATE_LIMITED)
    secret = organization("Meadow").secret
    visitor = page(account, do="Relink").fill(relink_secret=secret).press("relink_go")
    assert "The server asks to wait" in visitor.texts("error")[0]
    assert hub().account(account.id).key_entered_at == account.key_entered_at


# ---- edit


def test_edit_words(account: Account) -> None:
    """Label, tags and note are saved at once; an empty label is told and saves nothing."""
    visitor = page(account, do="Edit")
    label, tags, note = (f"edit_{name}_{account.id}" for name in ("label", "tags", "note"))
    visitor.fill(**{label: " ", tags: "a, b, a"}).press("edit_save")
    assert "Give the organization a label" in visitor.texts("error")[0]
    assert hub().account(account.id).tags == ("prod",)
    visitor.fill(**{label: "New  name", note: "x"}).press("edit_save")
    changed = hub().account(account.id)
    assert (changed.label, changed.tags, changed.note) == ("New name", ("a", "b"), "x")
    assert visitor.at.title[0].value == "New name"


def test_sandbox_keeps_its_addresses(account: Account) -> None:
    """An account of the sandbox has no address to edit, and the page says so."""
    visitor = page(account, do="Edit")
    assert "The sandbox keeps its addresses." in visitor.text
    assert "server_go" not in visitor.buttons


def own_server(account: Account) -> None:
    """Make the account one of a self-hosted server: the same addresses, typed by a person."""
    change_row(account.id, region="self_hosted")


def test_edit_server_wants_the_secret_again() -> None:
    """Another address without the secret is refused with the reason, and nothing is sent."""
    account = link("Orchard")
    own_server(account)
    visitor = page(account, do="Edit")
    assert visitor.value("server_api") == account.endpoints.api
    visitor.fill(server_identity="https://127.0.0.1:1/identity").press("server_go")
    assert "never sent to another address" in visitor.texts("error")[0]
    assert hub().account(account.id).endpoints.identity == account.endpoints.identity


def test_edit_server_bad_address() -> None:
    """A wrong address is told in its sentence; what was typed stays."""
    account = link("Orchard")
    own_server(account)
    visitor = page(account, do="Edit").fill(server_api="ftp://x", server_secret=SECRET).press("server_go")
    assert "Only https:// addresses" in visitor.texts("error")[0]
    assert not visitor.where(SECRET)
    assert visitor.value("server_api") == "ftp://x"


def test_edit_region_without_the_secret() -> None:
    """Moving an account to a cloud asks for the secret too."""
    account = link("Orchard")
    own_server(account)
    visitor = page(account, do="Edit").type(**{f"server_region_{account.id}": "eu"})
    assert "server_api" not in {field.key for field in visitor.at.text_input}
    visitor.press("server_go")
    assert "Paste the client secret again" in visitor.texts("error")[0]


# ---- pause, unlink


def test_pause_and_resume(account: Account) -> None:
    """A paused account says why, in grey, and is checked again after one click."""
    visitor = page(account)
    visitor.at.menu_button("more").click("Pause")
    visitor.run().fill(pause_why="renewal <b>in May</b>").press("pause_go")
    assert "Paused" in badge(visitor)
    assert "Checks are paused: renewal <b>in May</b>" in visitor.texts("info")[0]
    assert "check_now" not in visitor.buttons
    visitor.press("resume")
    assert hub().account(account.id).lifecycle is Lifecycle.ACTIVE
    assert "Healthy" in badge(visitor)


def test_an_account_without_a_secret_asks_for_its_key(account: Account) -> None:
    """After the stored secrets were given up, the page says so and its one button leads to relinking."""
    hub().store.drop_secrets(at=hub().clock.now(), actor="test")
    visitor = page(account)
    assert "Needs its key" in badge(visitor)
    assert "The stored secret cannot be opened here" in visitor.texts("error")[0]
    visitor.press("mend")
    assert "relink_secret" in {field.key for field in visitor.at.text_input}


def test_relink_takes_the_whole_block(account: Account) -> None:
    """The block as the web vault shows it is read, and one of another organization is refused before it is sent."""
    secret = rotate("Meadow")
    other = organization("Harbor")
    visitor = page(account, do="Relink")
    visitor.fill(relink_secret=f"client_id: {other.client_id} client_secret: {other.secret}").press("relink_go")
    assert "This key belongs to organization" in visitor.texts("error")[0]
    visitor.fill(relink_secret=f"client_id: {account.client_id} client_secret: {secret}").press("relink_go")
    assert hub().check(account.id).failure is None


def test_unlink(account: Account) -> None:
    """Unlinking wants the label; then the account is gone and its page says so."""
    visitor = page(account)
    visitor.at.menu_button("more").click("Unlink")
    visitor.run().press("unlink_go")
    assert "Type the label exactly" in visitor.texts("error")[0]
    visitor.fill(unlink_label=account.label).press("unlink_go")
    assert not hub().accounts()
    assert "was unlinked" in visitor.texts("success")[0]
    assert page(account).at.title[0].value == "No such account"


@pytest.mark.parametrize("view", ["Overview", "History", "Relink", "Edit"])
def test_unlink_from_every_view(account: Account, view: str) -> None:
    """Whatever view stands in the address, unlinking leads to the list."""
    visitor = page(account, do=view)
    visitor.at.menu_button("more").click("Unlink")
    visitor.run().fill(unlink_label=account.label).press("unlink_go")
    assert visitor.at.title[0].value == "Accounts"
    assert not hub().accounts()


def test_locked_secret(account: Account) -> None:
    """A stored secret that no longer opens is told, and relinking mends it."""
    with hub().store.database.write() as con:
        sealed = con.execute("SELECT sealed FROM account").fetchone()[0]
        con.execute("UPDATE account SET sealed = ?", (sealed[:-4] + ("AAAA" if sealed[-4:] != "AAAA" else "BBBB"),))
    check(account)
    visitor = page(account)
    assert "Failing" in badge(visitor)
    visitor.press("mend").fill(relink_secret=organization("Meadow").secret).press("relink_go")
    assert hub().account(account.id).standing.status is Status.HEALTHY


# ---- what has been


def lived(life: Life, *, days: int = 30) -> Account:
    """Let a made-up account have lived for a month."""
    now = hub().clock.now()
    (account_id,) = populate(hub(), 1, at=now - timedelta(days=days + 1))
    live(hub(), until=now, days=days, lives=[life])
    return hub().account(account_id)


def figures(visitor: Visitor) -> dict[str, str]:
    """Return the figures by their labels."""
    return {m.label: m.value for m in visitor.at.metric}


def legends(visitor: Visitor) -> list[str]:
    """Return what stands under the pictures."""
    return [text.replace("\u00a0", " ") for text in visitor.texts("markdown") if text.startswith(":small[")]


@pytest.mark.parametrize(
    ("life", "day", "month"),
    [(Life.DEGRADED, "100%", "100%"), (Life.FAILING, "0.00%", "9"), (Life.PAUSED, "not judged", "100%")],
)
def test_uptime(life: Life, day: str, month: str) -> None:
    """Uptime is told for a day, a week and a month; what was not judged is no number."""
    found = figures(page(lived(life)))
    assert found["Uptime 24 h"] == day
    assert found["Uptime 30 days"].startswith(month)


def test_a_day_and_a_quarter_in_words() -> None:
    """Under the strips stands what they show: how many checks found what, and how long nothing was judged."""
    day, quarter, _ = legends(page(lived(Life.MAINTAINED)))
    assert re.search(r"\d{3} up .* maintenance 2 h", day)
    assert re.search(r"3[01] days without trouble .* (59|60) days not judged", quarter)
    assert "hub not running" not in day


def test_a_refused_key_is_down_between_its_rare_tries() -> None:
    """The time between two tries of a refused key is told as down, and no colour of it reaches time nobody judged."""
    visitor = page(lived(Life.FAILING))
    assert re.search(r"\d failing .* down (1 day|23 h)", legends(visitor)[0])
    (spec,) = [
        json.loads(chart.proto.spec) for chart in visitor.at.get("vega_lite_chart") if "24 hours" in chart.proto.alt
    ]
    fills = [layer["encoding"]["fill"] for layer in spec["layer"] if "fill" in layer["encoding"]]
    assert sum(fill["scale"] is not None for fill in fills) <= 1


def test_a_pause_and_a_stop_of_the_hub_are_told_apart() -> None:
    """Where nobody checked, it is said whether a person wanted that."""
    paused = lived(Life.PAUSED)
    assert "paused 23 h" in legends(page(paused))[0]
    with hub().store.database.write() as con:
        con.execute("DELETE FROM beat")
        con.execute("DELETE FROM hourly")
    assert "hub not running 23 h" in legends(page(paused))[0]


@pytest.mark.parametrize(
    ("life", "heading"),
    [
        (Life.LIMITED, "What this key can read"),
        (Life.FAILING, "What this key could read when it worked"),
        (Life.UNREACHABLE, "What this key could read when it worked"),
    ],
)
def test_what_a_key_reads_is_past_while_it_is_down(life: Life, heading: str) -> None:
    """A key that is refused, or that nobody can try, is not said to read anything now."""
    assert [text for text in page(lived(life)).texts("subheader") if text.startswith("What this key")] == [heading]


def test_days_can_be_read_as_a_table() -> None:
    """Every day is a row too, the latest first, for whoever cannot see the bars."""
    account, before = lived(Life.FLAPPING), hub().clock.now()
    frame = page(account).at.dataframe[0].value
    assert len(frame) == 90
    # Midnight may pass while the page is made.
    assert frame["Day (UTC)"][0] in {f"{at:%Y-%m-%d}" for at in (before, hub().clock.now())}
    assert "down for 1 to 5%" in set(frame["Found"])
    assert frame["Found"][89] == "not judged"


@pytest.mark.parametrize("span", ["24 h", "7 days", "30 days"])
def test_latency_has_a_range(span: str) -> None:
    """The range of the latency chart stands in the address, and the chart can be read without seeing it."""
    visitor = page(lived(Life.SLOW), range=span)
    assert visitor.value("range") == span
    (told,) = [chart.proto.alt for chart in visitor.at.get("vega_lite_chart") if "Latency" in chart.proto.alt]
    assert re.fullmatch(r"Latency: the median was between \d+ and \d+ ms, the slowest .* up to \d+ ms", told)


def test_incidents_of_an_account() -> None:
    """The last incidents open to their story, earlier ones are a line each."""
    visitor = page(lived(Life.FLAPPING))
    folds = [fold.label for fold in visitor.at.expander]
    assert sum("could not be reached" in label for label in folds) == 5
    assert any("earlier ones" in label for label in folds)
    assert "Closed after" in visitor.text


def test_what_changed() -> None:
    """A server that was updated is told with both versions."""
    assert "**Server version** from 2026.7.1 to 2026.8.0" in page(lived(Life.WELL)).text


def test_the_furthest_proof(account: Account) -> None:
    """How far the last check came is said, and since when."""
    assert "It got as far as: **The key belongs to this organization** (stage 7 of 7)" in page(account).text
    rotate("Meadow")
    check(account)
    assert "It got as far as: **The server introduced itself** (stage 4 of 7)" in page(account).text


def test_everything_that_is_degraded_is_listed(account: Account) -> None:
    """The worst reason has the banner; the others are listed beneath it."""
    sandbox().faults.set("us", Fault.CLOCK_AHEAD)
    visitor = broken(account, Fault.FORBIDDEN, at="/public/groups")
    assert "Degraded" in badge(visitor)
    told = visitor.texts("warning")[0] + visitor.text
    assert "Also: **" in told
    assert "clock differ" in told
    assert "could not be read" in told


def test_worth_knowing(account: Account) -> None:
    """An old key, few seats, a newer server elsewhere and a twin are told, and change no status."""
    now = hub().clock.now()
    other = link("Harbor", label="Twin *elsewhere*")
    change_row(account.id, key_entered_at=now - timedelta(days=400))
    facts = {"server_kind": "official", "server_version": "2020.1.0", "members": {"confirmed": 99}, "seats": 100}
    change_row(account.id, facts=json.dumps(facts))
    change_row(other.id, client_id=account.client_id, identity_origin="https://elsewhere.example")
    hub().glances.latest(fresh=True)
    visitor = page(account)
    assert "in use here for 400 days. Consider asking an Owner" in visitor.text
    assert "99 of 100 seats are taken: 1 is left." in visitor.text
    assert "Its server runs version 2020.1.0; that of another account, Twin *elsewhere*, runs 2026" in visitor.text
    assert "linked here as Twin *elsewhere*, too" in visitor.text
    assert "Healthy" in badge(visitor)


def test_seats_over_time(account: Account) -> None:
    """The facts tell how many were taken a month ago, and who runs out of them soon is told before."""
    now = hub().clock.now()
    facts = {"server_kind": "official", "members": {"confirmed": 16, "invited": 2}, "seats": 20}
    change_row(account.id, facts=json.dumps(facts), linked_at=now - timedelta(days=90))
    with hub().store.database.write() as con:
        con.execute(
            "INSERT INTO change(account_id, at, what, before, after) VALUES (?, ?, 'seats_taken', '12', '18')",
            (account.id, round((now - timedelta(days=9)).timestamp() * 1000)),
        )
    visitor = page(account)
    assert "18 of 20 taken, as counted; 30 days ago 12" in visitor.text
    assert "18 of 20 seats are taken, 6 more than 30 days ago: 2 are left." in visitor.text
    assert "What changed" not in visitor.text


def test_unlinked_while_the_page_is_open(account: Account) -> None:
    """A page that refreshes itself says that its account is gone."""
    visitor = page(account)
    hub().unlink(account.id, account.label, actor="somebody")
    assert visitor.run().at.title[0].value == "No such account"


# ---- history


def test_older_checks_are_one_click_away() -> None:
    """The history shows the last 200 checks, and older ones when asked."""
    visitor = page(lived(Life.WELL), do="History")
    assert len(visitor.at.dataframe[0].value) == 200
    assert len(visitor.press("history_older").at.dataframe[0].value) == 400


def test_stages_of_a_check_that_was_kept(account: Account) -> None:
    """Choosing a check that is kept with its stages shows them."""
    rotate("Meadow")
    check(account)
    visitor = page(account, do="History")
    assert "The server introduced itself" not in visitor.text
    visitor.at.session_state["noteworthy_table"] = {"selection": {"rows": [0], "columns": [], "cells": []}}
    visitor.run()
    assert "The server introduced itself" in visitor.text
    assert "The organization can be read" not in visitor.text


# ---- maintenance


def test_a_window_is_added_and_removed(account: Account) -> None:
    """A window for the account is open at once, said on every view, and removed by one click."""
    visitor = page(account, do="Maintenance").fill(window_note="new *disks*").press("window_add")
    (window,) = hub().windows.list()
    assert (window.target, window.note) == (account.id, "new *disks*")
    assert "open now" in visitor.text
    for view in ("Overview", "History", "Maintenance"):
        assert any(
            "In maintenance until" in text and "new *disks*" in text for text in page(account, do=view).texts("info")
        )
    visitor.press(f"window_remove_{window.id}")
    assert not hub().windows.list()
    assert not page(account).at.info


@pytest.mark.parametrize(
    ("month", "hour", "really"), [(3, 1, 2), (3, 2, 2), (10, 1, 2), (10, 2, 3)], ids=["before", "gap", "fall", "twice"]
)
def test_a_window_over_a_change_of_the_clock(
    monkeypatch: pytest.MonkeyPatch, month: int, hour: int, really: int
) -> None:
    """Two hours are two hours that really pass; begun at a time that comes twice, they count from its second coming."""
    monkeypatch.setenv("LINKHUB_TIMEZONE", "Europe/Berlin")
    account = link("Meadow")
    days = (datetime(hub().clock.now().year + 1, month, day, hour, 30) for day in range(25, 32))  # noqa: DTZ001 - as typed
    sunday = next(day for day in days if day.weekday() == 6)
    page(account, do="Maintenance").fill(window_begins=sunday).press("window_add")
    (window,) = hub().windows.list()
    assert isinstance(window.rule, Once)
    assert window.rule.ends - window.rule.begins == timedelta(hours=really)


def test_windows_of_others_are_not_removed_here(account: Account) -> None:
    """A window for a tag is listed where it applies, and is not taken from everybody by way of one account."""
    now = hub().clock.now()
    rule = Once(now, now + timedelta(hours=1))
    window = hub().windows.add(Scope.TAG, "PROD", rule, "", actor="test")
    visitor = page(account, do="Maintenance")
    assert "Accounts tagged PROD" in visitor.text
    assert f"window_remove_{window.id}" not in visitor.buttons


def test_a_window_that_is_over_is_refused(account: Account) -> None:
    """What cannot be is said in a sentence, and nothing is added."""
    past = hub().clock.now().replace(tzinfo=None) - timedelta(days=2)
    visitor = page(account, do="Maintenance").fill(window_begins=past).press("window_add")
    assert "over already" in visitor.texts("error")[0]
    assert not hub().windows.list()


# ---- about


def test_about() -> None:
    """About tells the version, what is not seen, and where the master key is kept, but not the key."""
    visitor = Visitor("about.py")
    assert __version__ in visitor.text
    assert "not affiliated with" in visitor.text
    assert visitor.facts()["Database"] == str(hub().settings.database)
    assert visitor.facts()["Sealed secrets"] == "0"
