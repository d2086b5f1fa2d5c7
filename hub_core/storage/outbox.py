"""The outbox: changes of status are turned into messages exactly once, and messages are delivered at least once."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from hub_core.alerts.channel import Channel, Delivery, Kind, Sort, State
from hub_core.alerts.inbox import FOLLOW, Event, Inbox, Kept, Listener, Subject, Untold
from hub_core.model import Lifecycle, RegionId
from hub_core.storage import codec, notices, statements
from hub_core.storage.channels import SealedChannel, channel_of, give_up_waiting, read_channels

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Collection

    from hub_core.alerts.inbox import Decision, Post
    from hub_core.storage.database import Database
    from hub_core.storage.statements import Ring

LONGEST_WAIT_MS = 26 * 3_600_000
"""No attempt is planned further ahead; what is, was planned by a clock that was wrong."""

_DAY_MS = 24 * 3_600_000
_SUBJECT = (
    "SELECT a.id, a.label, a.tags, a.region, a.identity_origin, a.lifecycle, a.status, a.reason, a.since, "
    "a.key_proven_at, a.certificate_ends, "
    "CASE WHEN json_valid(a.facts) THEN json_extract(a.facts, '$.members.invited') END AS invited, "
    "i.acknowledged_at IS NOT NULL AS acknowledged, i.evidence, "
    "EXISTS (SELECT 1 FROM incident p WHERE p.account_id = a.id AND p.opened_at > :lately) AS failed "
    "FROM account a LEFT JOIN incident i ON i.account_id = a.id AND i.closed_at IS NULL "
)


_PENDING = (
    "SELECT EXISTS (SELECT 1 FROM transition WHERE told = 0) OR EXISTS (SELECT 1 FROM held) "
    "OR EXISTS (SELECT 1 FROM told) OR EXISTS (SELECT 1 FROM notice WHERE told < 2) "
    "OR EXISTS (SELECT 1 FROM channel WHERE json_extract(rules, '$.summary_at') IS NOT NULL) AS news, "
    "EXISTS (SELECT 1 FROM delivery WHERE state = 'waiting' AND (next_at <= :at OR next_at > :far)) AS due"
)


class Pending(NamedTuple):
    """Whether there may be anything to decide, and anything to send."""

    news: bool
    due: bool


class Ready(NamedTuple):
    """A message that is to be sent now, and everything needed for it."""

    id: str
    sort: Sort
    title: str
    text: str
    data: dict[str, Any]
    made_at: datetime
    attempts: int
    """How often it was tried before."""
    channel: Channel
    sealed: SealedChannel
    ring: Ring


class Outbox:
    """The rows of messages, and of what people were told."""

    def __init__(self, database: Database, *, new_id: Callable[[], str]) -> None:
        self._database = database
        self._new_id = new_id

    def pending(self, now: datetime) -> Pending:
        """Tell, by one short question, whether there may be anything to decide or to send."""
        at = codec.to_ms(now)
        with self._database.read() as con:
            row = con.execute(_PENDING, {"at": at, "far": at + LONGEST_WAIT_MS}).fetchone()
        return Pending(bool(row["news"]), bool(row["due"]))

    def route(self, decide: Callable[[Inbox], Decision], *, now: datetime, everybody: Callable[[Inbox], bool]) -> bool:
        """Store what `decide` makes of everything that is untold, kept or due, in one transaction.

        `everybody` tells whether all accounts are wanted, not only those with news. The decision is made twice, at
        first by reading alone, since there is nearly always nothing to do. Returns whether there was.
        """
        with self._database.read() as con:
            if decide(_inbox(con, now, everybody)).empty:
                return False
        with self._database.write() as con:
            decision = decide(_inbox(con, now, everybody))
            self._store(con, decision, now)
        return True

    def put(self, post: Post, *, now: datetime, claimed_until: datetime, actor: str) -> str:
        """Put one message on its way, claimed by who sends it at once, and the audit entry; return its id."""
        with self._database.write() as con:
            statements.audit(con, actor, f"channel {post.sort}", at=now, target=post.channel_id)
            return self._insert(con, post, now, claimed_until)

    def claim(self, *, now: datetime, until: datetime, busy: Collection[str], by_apprise: int) -> list[Ready]:
        """Claim what is due, the oldest of each channel that is not busy; a claim is void after `until`.

        Of channels of Apprise, busy ones included, there are `by_apprise` at most: those that have been due longest.
        """
        at = codec.to_ms(now)
        values = {"at": at, "far": at + LONGEST_WAIT_MS, "claimed": 2 * codec.to_ms(until) - at}
        # What is planned or claimed too far ahead was so by a clock that has been set back since.
        due = (
            "state = 'waiting' AND (next_at <= :at OR next_at > :far) AND (claimed_until <= :at OR "
            "claimed_until > :claimed)"
        )
        given = json.dumps(list(busy))
        with self._database.write() as con:
            found = con.execute(
                f"SELECT d.*, c.kind, min(d.made_at) FROM delivery d JOIN channel c ON c.id = d.channel_id WHERE {due} "  # noqa: S608 - own text
                "AND c.enabled AND c.id NOT IN (SELECT value FROM json_each(:busy)) GROUP BY d.channel_id "
                "ORDER BY d.next_at",
                {**values, "busy": given},
            ).fetchall()
            (running,) = con.execute(
                "SELECT count(*) FROM channel WHERE kind = ? AND id IN (SELECT value FROM json_each(?))",
                (Kind.APPRISE, given),
            ).fetchone()
            rows = [row for row in found if row["kind"] != Kind.APPRISE]
            rows += [row for row in found if row["kind"] == Kind.APPRISE][: max(by_apprise - running, 0)]
            con.executemany(
                "UPDATE delivery SET claimed_until = ? WHERE id = ?", [(codec.to_ms(until), row["id"]) for row in rows]
            )
            return [_ready(con, row) for row in rows]

    def ready(self, delivery_id: str) -> Ready:
        """Return one message with everything needed to send it."""
        with self._database.read() as con:
            return _ready(con, con.execute("SELECT * FROM delivery WHERE id = ?", (delivery_id,)).fetchone())

    def sent(self, ready: Ready, *, at: datetime) -> None:
        """Remember that a message is there; its channel is well."""
        with self._database.write() as con:
            _done(con, ready.id, State.SENT, at, "")
            con.execute("UPDATE channel SET failing_since = NULL, error = '' WHERE id = ?", (ready.channel.id,))

    def failed(self, ready: Ready, error: str, *, at: datetime, next_at: datetime | None) -> None:
        """Remember that an attempt failed and when the next is made; without one the message is given up."""
        with self._database.write() as con:
            if next_at is None:
                _done(con, ready.id, State.GIVEN_UP, at, error)
            else:
                con.execute(
                    "UPDATE delivery SET attempts = attempts + 1, next_at = ?, claimed_until = 0, error = ? "
                    "WHERE id = ? AND state = 'waiting'",
                    (codec.to_ms(next_at), error, ready.id),
                )
            con.execute(
                "UPDATE channel SET failing_since = coalesce(failing_since, ?), error = ? WHERE id = ?",
                (codec.to_ms(at), error, ready.channel.id),
            )

    def stop(self, ready: Ready, why: str, *, at: datetime) -> None:
        """Switch a channel off for good reason; what still waits for it is given up."""
        with self._database.write() as con:
            give_up_waiting(con, ready.channel.id, why, at)
            con.execute(
                "UPDATE channel SET enabled = 0, stopped = ?, error = ?, failing_since = coalesce(failing_since, ?) "
                "WHERE id = ?",
                (why, why, codec.to_ms(at), ready.channel.id),
            )
            statements.audit(con, "hub", "channel stop", at=at, target=ready.channel.id, host=ready.channel.hint)

    def deliveries(self, channel_id: str, limit: int) -> list[Delivery]:
        """Return a channel's messages, newest first."""
        with self._database.read() as con:
            rows = con.execute(
                "SELECT * FROM delivery WHERE channel_id = ? ORDER BY made_at DESC, rowid DESC LIMIT ?",
                (channel_id, limit),
            ).fetchall()
        return [_delivery(row) for row in rows]

    def waiting(self) -> dict[str, int]:
        """Return how many messages wait, by channel."""
        with self._database.read() as con:
            return dict(
                con.execute(
                    "SELECT channel_id, count(*) FROM delivery WHERE state = 'waiting' GROUP BY channel_id"
                ).fetchall()
            )

    def prune(self, before: datetime) -> int:
        """Erase messages that were done before a moment; return how many."""
        with self._database.write() as con:
            return con.execute("DELETE FROM delivery WHERE done_at < ?", (codec.to_ms(before),)).rowcount

    # ---- inside

    def _store(self, con: sqlite3.Connection, decision: Decision, now: datetime) -> None:
        at = codec.to_ms(now)
        con.executemany("UPDATE transition SET told = 1 WHERE id = ?", [(number,) for number in decision.routed])
        con.executemany("DELETE FROM told WHERE channel_id = ? AND account_id = ?", decision.untell)
        con.executemany(
            "INSERT OR REPLACE INTO told(channel_id, account_id, at) VALUES (?, ?, ?)",
            [(*pair, at) for pair in decision.told],
        )
        con.executemany("DELETE FROM held WHERE id = ?", [(number,) for number in decision.unkeep])
        for channel_id, event in decision.keep:
            values = {"channel_id": channel_id, "account_id": event.account_id, "at": codec.to_ms(event.at)}
            statements.insert(con, "held", {**values, "event": _dump_event(event)})
        for post in decision.posts:
            self._insert(con, post, now, None)
        for channel_id, day in decision.summed.items():
            con.execute("UPDATE channel SET summed_on = ? WHERE id = ?", (day.isoformat(), channel_id))
        for notice in decision.notices:
            notices.tell(con, notice)

    def _insert(self, con: sqlite3.Connection, post: Post, now: datetime, claimed_until: datetime | None) -> str:
        number, at = self._new_id(), codec.to_ms(now)
        values = {
            "id": number,
            "channel_id": post.channel_id,
            "account_id": post.account_id,
            "sort": post.sort,
            "cause": post.cause,
            "title": post.message.title,
            "message": _dump({"text": post.message.text, "data": dict(post.message.data)}),
            "made_at": at,
            "state": State.WAITING,
            "next_at": at,
            "claimed_until": codec.to_ms(claimed_until) or 0,
        }
        statements.insert(con, "delivery", values)
        return number


def _inbox(con: sqlite3.Connection, now: datetime, everybody: Callable[[Inbox], bool]) -> Inbox:
    untold = [
        Untold(
            row["id"],
            row["account_id"],
            codec.moment(row["at"]),
            codec.status_of(row["before"]),
            codec.status_of(row["after"]),
            codec.reason_of(row["reason"]),
            bool(row["maintenance"]),
        )
        for row in con.execute("SELECT * FROM transition WHERE told = 0 ORDER BY id")
    ]
    told = {
        (row["channel_id"], row["account_id"]): codec.moment(row["at"]) for row in con.execute("SELECT * FROM told")
    }
    inbox = Inbox(
        now,
        tuple(Listener(channel, date.fromisoformat(day)) for channel, day in read_channels(con)),
        tuple(untold),
        told=told,
        kept=tuple(
            Kept(row["id"], row["channel_id"], _load_event(row["event"]))
            for row in con.execute("SELECT id, channel_id, event FROM held ORDER BY at, id")
        ),
        causes=_causes(con, now),
        notices=tuple(notices.untold(con)),
    )
    named = {untold.account_id for untold in inbox.untold} | {account_id for _, account_id in told}
    subjects = _subjects(con, None if everybody(inbox) else named, now)
    return replace(inbox, subjects=subjects)


def _subjects(con: sqlite3.Connection, ids: Collection[str] | None, now: datetime) -> dict[str, Subject]:
    """Return the accounts of these ids, or all."""
    if ids is not None and not ids:
        return {}
    some = "" if ids is None else "WHERE a.id IN (SELECT value FROM json_each(:ids))"
    rows = con.execute(
        _SUBJECT + some,
        {"lately": codec.to_ms(now) - _DAY_MS, "ids": json.dumps(list(ids or ()))},
    )
    return {
        row["id"]: Subject(
            row["id"],
            row["label"],
            codec.load_words(row["tags"]),
            RegionId(row["region"]),
            row["identity_origin"],
            Lifecycle(row["lifecycle"]),
            codec.status_of(row["status"]),
            codec.reason_of(row["reason"]),
            codec.from_ms(row["since"]),
            codec.from_ms(row["key_proven_at"]),
            codec.from_ms(row["certificate_ends"]),
            row["invited"],
            bool(row["acknowledged"]),
            json.loads(row["evidence"] or "{}"),
            bool(row["failed"]),
        )
        for row in rows
    }


def _causes(con: sqlite3.Connection, now: datetime) -> dict[str, datetime]:
    rows = con.execute(
        "SELECT cause, max(made_at) AS at FROM delivery WHERE cause <> '' AND made_at > ? GROUP BY cause",
        (codec.to_ms(now - FOLLOW),),
    )
    return {row["cause"]: codec.moment(row["at"]) for row in rows}


def _ready(con: sqlite3.Connection, row: sqlite3.Row) -> Ready:
    channel = con.execute(
        "SELECT *, target IS NULL AS locked FROM channel WHERE id = ?", (row["channel_id"],)
    ).fetchone()
    message = json.loads(row["message"])
    return Ready(
        row["id"],
        Sort(row["sort"]),
        row["title"],
        message["text"],
        message["data"],
        codec.moment(row["made_at"]),
        row["attempts"],
        channel_of(channel),
        SealedChannel(channel["id"], channel["target"], channel["secret"]),
        statements.ring(con),
    )


def _done(con: sqlite3.Connection, delivery_id: str, state: State, at: datetime, error: str) -> None:
    """Close a message; what it said is not kept."""
    con.execute(
        "UPDATE delivery SET state = ?, attempts = attempts + 1, message = '', claimed_until = 0, done_at = ?, "
        "error = ? WHERE id = ? AND state = 'waiting'",
        (state, codec.to_ms(at), error, delivery_id),
    )


def _delivery(row: sqlite3.Row) -> Delivery:
    waits = row["state"] == State.WAITING
    return Delivery(
        row["id"],
        row["channel_id"],
        Sort(row["sort"]),
        row["title"],
        codec.moment(row["made_at"]),
        State(row["state"]),
        row["attempts"],
        codec.moment(row["next_at"]) if waits else None,
        codec.from_ms(row["done_at"]),
        row["error"],
    )


def _dump_event(event: Event) -> str:
    return _dump({**event._asdict(), "at": codec.to_ms(event.at), "since": codec.to_ms(event.since)})


def _load_event(text: str) -> Event:
    values = json.loads(text)
    moments = {"at": codec.moment(values["at"]), "since": codec.from_ms(values["since"])}
    return Event(**{**values, **moments, "sort": Sort(values["sort"]), "steps": tuple(values["steps"])})


def _dump(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
