"""The overview of an account: uptime, its past in pictures, latency, incidents, last check, facts and what changed."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

import streamlit as st

from hub_core import showing, telling, texts, timeline
from hub_core.bitwarden import regions
from hub_core.model import Stage, Status
from hub_core.watching import twins_among
from pages import _account_charts, _account_view, _incident, _linked, _ui

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hub_core.history import Incident, Period
    from hub_core.model import Account, Observation

_DAY: Final = timedelta(days=1)
_SPANS: Final = {"24 h": (_DAY, "%H:%M"), "7 days": (7 * _DAY, "%-d %b"), "30 days": (30 * _DAY, "%-d %b")}
_TICK: Final = timedelta(minutes=5)
"""The axes move on in such steps: a picture that shows nothing new is not drawn anew at every look."""
_INCIDENTS: Final = 5
_CHANGES: Final = 20
_LONGEST_BAR: Final = 10


def show(account_id: str) -> None:
    """Show everything that is known about how an account does."""
    account = _account_view.fresh(account_id)
    incidents = _ui.hub().past.incidents(account_id=account.id)
    earlier = _seats_earlier(account)
    _metrics(account, earlier)
    _notes(account, earlier)
    _day(account)
    _quarter(_ui.hub().past.days(account.id))
    left, right = st.columns(2, gap="large")
    with left:
        _latency(account)
        _last_check(account, incidents)
        # A key that is refused reads nothing; what is known is of the time when it was not.
        works = account.standing.status not in {Status.FAILING, Status.UNREACHABLE}
        st.subheader("What this key can read" if works else "What this key could read when it worked", anchor=False)
        _capabilities(account)
    with right:
        _incidents(incidents)
        _changes(account)
        st.subheader("Facts", anchor=False)
        _linked.facts_table(_facts(account, earlier))
        if account.note:
            st.subheader("Note", anchor=False)
            st.text(account.note)
        page = regions.organization_page(account.endpoints, account.organization_id)
        if page:
            st.link_button("Open Organization info", page, icon=":material/open_in_new:")


# ---- figures


def _metrics(account: Account, seats_earlier: int | None) -> None:
    standing, facts, uptime = account.standing, account.facts, _ui.hub().past.uptime(account.id)
    when, why = showing.next_check(_ui.hub(), account)
    judged = "Share of the judged time in which it worked. Pauses, maintenance and times without a hub do not count."
    latency = f"{facts.latency_ms} ms" if facts.latency_ms is not None else showing.NOT_REPORTED
    members = showing.NOT_REPORTED if facts.members is None else str(sum(facts.members.values()))
    seats = telling.seats_words(account, _ui.hub().clock.now(), seats_earlier)
    with st.container(horizontal=True):
        for label, of_time in zip(("Uptime 24 h", "Uptime 7 days", "Uptime 30 days"), uptime, strict=True):
            st.metric(label, telling.share(of_time), border=True, help=judged)
        st.metric("Latency", latency, border=True, help="First read answer of the last check")
        st.metric("Members", members, border=True, help=f"Seats: {seats}")
    with st.container(horizontal=True):
        for label, at in (("Link proven", standing.link_proven_at), ("Key proven", standing.key_proven_at)):
            if at is None and standing.status is Status.LIMITED and label == "Link proven":
                st.metric(label, "not offered", border=True, help="The server has nothing that the key could read.")
            else:
                st.metric(label, _ui.when(at), border=True, help=showing.moment(at))
        st.metric("Next check", when, border=True, help=why)
        st.metric("Certificate", _certificate_left(account), border=True, help=showing.moment(facts.certificate_ends))
    st.caption(f"{why} {showing.unseen(_ui.hub(), account)}" if when not in {"paused", "on request"} else why)


def _certificate_left(account: Account) -> str:
    ends = account.facts.certificate_ends
    return showing.NOT_REPORTED if ends is None else texts.days((ends - _ui.hub().clock.now()).days)


def _seats_earlier(account: Account) -> int | None:
    """Return how many seats were taken a month ago, where that was another number."""
    hub = _ui.hub()
    return hub.past.seats_taken(account.id, telling.seats_since(account, hub.clock.now()))


def _notes(account: Account, seats_earlier: int | None) -> None:
    """Say what wants no action now, and yet is worth knowing."""
    # Of the snapshot all pages share: among ten thousand accounts a look of one's own would cost more than the rest.
    rows = [line.row for line in _ui.hub().glances.latest().lines]
    now = _ui.hub().clock.now()
    notes = [telling.few_seats(account, now, seats_earlier), telling.old_key(account, now)]
    if ahead := telling.older_than(account, rows):
        version, label = ahead
        notes.append(
            f"Its server runs version {account.facts.server_version}; that of another account, {label}, runs {version}."
        )
    labels = {row.id: row.label for row in rows}
    twins = [labels[other] for other in twins_among(rows).get(account.id, ()) if other in labels]
    if twins:
        notes.append(f"The same organization is linked here as {telling.spoken(twins)}, too, on another server.")
    for note in filter(None, notes):
        st.markdown(f":blue[:material/info:] {_ui.plain(note)}")


# ---- its past in pictures


def _day(account: Account) -> None:
    past, now, ends = _ui.hub().past, _ui.hub().clock.now(), _next_tick()
    begins = ends - _DAY
    beats = past.beats(account.id, begins - _DAY)
    first = beats[0].at if beats else now
    paused = first > begins and any(hour.paused for hour in past.hours(account.id, 25) if hour.begins < first)
    missing = timeline.gaps(beats, begins=begins, ends=now, linked_at=account.linked_at, paused=paused)
    st.subheader("Last 24 hours (UTC)", anchor=False)
    judged = timeline.stood(beats, begins=begins, ends=now)
    shown = [beat for beat in beats if beat.at >= begins]
    _account_charts.heartbeat(shown, missing, judged, begins=begins, ends=ends)


def _quarter(days: Sequence[Period]) -> None:
    st.subheader(f"Last {len(days)} days (UTC)", anchor=False)
    _account_charts.days(days)
    with st.expander("Day by day, as a table"):
        st.dataframe(
            _account_charts.table_of(days), key="days_table", hide_index=True, height=300, alt="Days, the latest first"
        )


def _latency(account: Account) -> None:
    with st.container(horizontal=True, vertical_alignment="center"):
        st.subheader("Latency", anchor=False, width="stretch")
        chosen = st.segmented_control(
            "Range of the chart",
            list(_SPANS),
            default="24 h",
            key="range",
            required=True,
            bind="query-params",
            label_visibility="collapsed",
            width="content",
        )
    span, clock = _SPANS[chosen or "24 h"]
    points = _ui.hub().past.latency(account.id, span)
    if points:
        ends = _next_tick()
        _account_charts.latency(points, begins=min(ends - span, points[0].at), ends=ends, clock=clock)
    else:
        st.markdown("Nothing was measured in this time.")


def _next_tick() -> datetime:
    now = _ui.hub().clock.now()
    return now + _TICK - (now - datetime.min.replace(tzinfo=now.tzinfo)) % _TICK


# ---- incidents, and what changed


def _incidents(incidents: Sequence[Incident]) -> None:
    st.subheader("Incidents", anchor=False)
    if not incidents:
        st.markdown("None is recorded: it has worked since it was linked, as far as anybody checked.")
        return
    for incident in incidents[:_INCIDENTS]:
        _incident.fold(incident)
    if len(incidents) > _INCIDENTS:
        with st.expander(f"{len(incidents) - _INCIDENTS} earlier ones"):
            for incident in incidents[_INCIDENTS:]:
                _incident.line(incident)


def _changes(account: Account) -> None:
    changes = _ui.hub().past.changes(account.id, _CHANGES)
    if not changes:
        return
    st.subheader("What changed", anchor=False)
    for change in changes:
        before, after = (_ui.plain(telling.changed_value(value)) for value in (change.before, change.after))
        day = change.at.strftime("%Y-%m-%d")
        st.markdown(f"{day} · **{_ui.plain(telling.changed(change))}** from {before} to {after}")


# ---- the last check, and what is known


def _last_check(account: Account, incidents: Sequence[Incident]) -> None:
    st.subheader("Last check", anchor=False)
    last = _ui.hub().past.last_check(account.id)
    if not last:
        st.markdown("None yet.")
        return
    st.markdown(f"{_ui.when(last.at)} · {showing.moment(last.at)} · {texts.TRIGGERS[last.trigger]}")
    stages(last.observations)
    reached, since = telling.highest_proof(last.observations), telling.proven_since(account, incidents)
    if reached is None:
        st.markdown("Nothing is proven at present.")
    else:
        rung = f"stage {list(Stage).index(reached) + 1} of {len(Stage)}"
        span = f", since {showing.moment(since)}, {_ui.when(since)}" if since else ""
        st.markdown(f"It got as far as: **{texts.STAGES[reached].done}** ({rung}){span}.")


def stages(observations: Sequence[Observation]) -> None:
    """Show the stages of a check, each with the time it took as number and bar."""
    longest = max((seen.ms for seen in observations), default=0) or 1
    st.table(
        {
            "Stage": [_ui.observation_line(seen, timed=False) for seen in observations],
            "Time": [f"{seen.ms} ms" if seen.ms else "" for seen in observations],
            "Share": [f":blue[{'▬' * round(_LONGEST_BAR * seen.ms / longest)}]" for seen in observations],
        },
        border="horizontal",
        hide_index=True,
        hide_header=True,
        alt="Stages of the check with milliseconds",
    )


def _capabilities(account: Account) -> None:
    found = account.facts.capabilities
    if not found:
        st.markdown("Not reported yet.")
        return
    rows = {}
    for path, capability in found.items():
        text = texts.CAPABILITIES[capability]
        count = account.facts.counts.get(path.rpartition("/")[2])
        number = f" ({count})" if count is not None else ""
        rows[_ui.plain(texts.PATHS.get(path, path))] = f":{text.color}[:material/{text.icon}:] {text.word}{number}"
    st.table(rows, border="horizontal", hide_header=True)


def _facts(account: Account, seats_earlier: int | None) -> dict[str, str]:
    facts, unknown = account.facts, showing.NOT_REPORTED
    skew = facts.skew_seconds
    return {
        "Region": regions.region(account.endpoints.region).name,
        "API": account.endpoints.api,
        "Identity": account.endpoints.identity,
        "Addresses": ", ".join(facts.addresses) or unknown,
        "Organization": account.organization_id,
        "Server": showing.server_line(facts.server_kind, facts.server_version),
        "Members": showing.members_line(facts.members),
        "Seats": telling.seats_words(account, _ui.hub().clock.now(), seats_earlier),
        "TLS": facts.tls_version or unknown,
        "Certificate of": facts.certificate_subject or unknown,
        "Issued by": facts.certificate_issuer or unknown,
        "Certificate ends": showing.moment(facts.certificate_ends),
        "Clock difference": unknown if skew is None else "none" if abs(skew) <= 1 else f"{skew} s",
        "Linked": showing.moment(account.linked_at),
        "Key": f"{telling.key_age(account, _ui.hub().clock.now())}; entered {showing.moment(account.key_entered_at)}",
    }
