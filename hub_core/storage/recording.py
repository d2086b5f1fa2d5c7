"""What a check leaves behind, inside the transaction that stores it: beat, log, transition, incident, changed facts."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from hub_core.health import changes
from hub_core.history import DOWN, IN_TROUBLE, Beat
from hub_core.model import Status, Trigger
from hub_core.storage import codec, codes, statements

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable
    from datetime import datetime

    from hub_core.health.status import Step
    from hub_core.history import Change
    from hub_core.model import Account, Check, Reason

HOUR_MS = 3_600_000
_AHEAD_MS = 24 * HOUR_MS
"""A beat so much younger than the present one was dated by a clock that has been set back since."""

_STORY_LIMIT = 200
_SAME_CHANGE = timedelta(days=7)
"""Servers behind one name may differ; what comes and goes is told once in so long."""


def begin(con: sqlite3.Connection, account_id: str, at: datetime) -> int:
    """Give a new account its number in the history, which begins at a time; return the number."""
    no = con.execute("SELECT coalesce(max(no), 0) + 1 AS no FROM account").fetchone()["no"]
    statements.update(con, account_id, {"no": no})
    statements.insert(con, "rolled", {"no": no, "hour": codec.to_ms(at) // HOUR_MS})
    return int(no)


def keep(con: sqlite3.Connection, no: int, before: Account, done: Step, *, maintenance: bool = False) -> None:
    """Store what a check found of an account, by its number, and what it did to it."""
    check, (status, reason) = done.check, done.found
    beat = Beat(
        check.at,
        status,
        reason,
        check.trigger,
        check.facts.latency_ms,
        done.holds,
        down=done.standing.status in DOWN,
        light=check.light,
        maintenance=maintenance,
    )
    _insert_beat(con, no, beat)
    last = con.execute("SELECT reason FROM last_check WHERE account_id = ?", (before.id,)).fetchone()
    known = {before.standing.reason, codec.reason_of(last["reason"])} if last else set()
    if check.trigger is not Trigger.SCHEDULE or done.transition or reason not in known:
        statements.insert_check_row(con, before.id, check, status=done.standing.status)
    _remember(con, before.id, check, status=done.standing.status, reason=reason)
    if done.transition:
        statements.insert_transition(con, before.id, done.transition, maintenance=maintenance)
        if beat.down and done.transition.at < check.at:
            _book_from(con, no, codec.to_ms(done.transition.at))
    _incident(con, before.id, check, done, maintenance=maintenance)
    _insert_changes(con, before.id, done.changes)


def unjudged(con: sqlite3.Connection, account_id: str, check: Check, *, status: str, reason: Reason) -> None:
    """Store a check that could not be evaluated; the account keeps its status."""
    down = codec.status_of(status) in DOWN
    beat = Beat(check.at, Status.UNKNOWN, reason, check.trigger, None, timedelta(), down=down)
    _insert_beat(con, _number(con, account_id), beat)
    statements.insert_check_row(con, account_id, check, status=status)
    _remember(con, account_id, check, status=status, reason=reason)


def pause(con: sqlite3.Connection, account_id: str, at: datetime) -> None:
    """Mark that a person stopped the checks: what was known is not believed any longer."""
    marker = Beat(at, Status.UNKNOWN, None, Trigger.MANUAL, None, timedelta(), down=False, paused=True)
    _insert_beat(con, _number(con, account_id), marker)


def erase(con: sqlite3.Connection, account_id: str) -> None:
    """Erase everything that was recorded of an account."""
    no = _number(con, account_id)
    for table in ("beat", "hourly", "daily", "rolled"):
        con.execute(f"DELETE FROM {table} WHERE no = ?", (no,))  # noqa: S608 - own names
    for table in ("checks", "last_check", "transition", "incident", "change"):
        con.execute(f"DELETE FROM {table} WHERE account_id = ?", (account_id,))  # noqa: S608 - own names
    con.execute("DELETE FROM maintenance WHERE scope = 'account' AND target = ?", (account_id,))


# ---- inside


def _number(con: sqlite3.Connection, account_id: str) -> int:
    return int(con.execute("SELECT no FROM account WHERE id = ?", (account_id,)).fetchone()["no"])


def _insert_beat(con: sqlite3.Connection, no: int, beat: Beat) -> None:
    at = codec.to_ms(beat.at)
    con.execute("DELETE FROM beat WHERE no = ? AND at > ?", (no, at + _AHEAD_MS))
    con.execute(
        "INSERT OR REPLACE INTO beat(no, at, code, holds, latency) VALUES (?, ?, ?, ?, ?)",
        (no, at, codes.pack(beat), codec.minutes(beat.holds), beat.latency_ms),
    )
    _sum_up_again(con, no, at)


def _book_from(con: sqlite3.Connection, no: int, at: int) -> None:
    """Book a failure that is confirmed now as down from the first one on."""
    con.execute("UPDATE beat SET code = code | ? WHERE no = ? AND at >= ?", (codes.DOWN, no, at))
    _sum_up_again(con, no, at)


def _sum_up_again(con: sqlite3.Connection, no: int, at: int) -> None:
    """Let the sums from an hour on be made again, where they were made before what is known now."""
    hour = at // HOUR_MS
    con.execute("UPDATE rolled SET hour = ? WHERE no = ? AND hour > ?", (hour, no, hour))


def _remember(con: sqlite3.Connection, account_id: str, check: Check, *, status: str, reason: Reason | None) -> None:
    con.execute(
        "INSERT OR REPLACE INTO last_check(account_id, at, trigger, status, reason, ms, latency_ms, observations) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (
            *(account_id, codec.to_ms(check.at), check.trigger, status, reason, check.ms, check.facts.latency_ms),
            codec.dump_observations(check.observations),
        ),
    )


def _incident(con: sqlite3.Connection, account_id: str, check: Check, done: Step, *, maintenance: bool) -> None:
    """Open, continue or close the account's incident; a status that is not known leaves it as it is."""
    status, reason = done.standing.status, done.standing.reason
    at = codec.to_ms(done.transition.at if done.transition else check.at)
    row = con.execute(
        "SELECT id, story FROM incident WHERE account_id = ? AND closed_at IS NULL", (account_id,)
    ).fetchone()
    if row and status in {Status.HEALTHY, Status.LIMITED}:
        last = json.loads(row["story"])[-1][0]
        con.execute("UPDATE incident SET closed_at = ? WHERE id = ?", (max(at, last), row["id"]))
    elif row and status in IN_TROUBLE:
        story = _continued(json.loads(row["story"]), at, status, reason)
        if story:
            con.execute("UPDATE incident SET story = ? WHERE id = ?", (_dump(story), row["id"]))
    elif status in IN_TROUBLE:
        evidence = next((o.evidence for o in check.observations if o.reason is reason), {})
        values = {"account_id": account_id, "opened_at": at, "story": _dump([[at, status, reason]])}
        values |= {"evidence": _dump(dict(evidence)), "maintenance": maintenance}
        statements.insert(con, "incident", values)


def _continued(story: list[list[Any]], at: int, status: Status, reason: Reason | None) -> list[list[Any]] | None:
    """Return a story with what came to it, or None if nothing did; of a very long one the early part is shortened."""
    last_at, *last = story[-1]
    if last == [status, reason]:
        return None
    story.append([max(at, last_at), status, reason])
    return story[:1] + story[1:][1 - _STORY_LIMIT :]


def _insert_changes(con: sqlite3.Connection, account_id: str, found: Iterable[Change]) -> None:
    """Store changed facts, but not what has come and gone before lately; how many seats are taken, always."""
    for change in found:
        at = codec.to_ms(change.at)
        lately = at - codec.span_ms(_SAME_CHANGE)
        con.execute(
            "INSERT INTO change(account_id, at, what, before, after) SELECT :id, :at, :what, :before, :after "
            "WHERE :what = :counted OR NOT EXISTS (SELECT 1 FROM change WHERE account_id = :id AND at > :lately "
            "AND what = :what AND before = :before AND after = :after)",
            {"id": account_id, "lately": lately, "counted": changes.SEATS_TAKEN, **change._asdict(), "at": at},
        )


def _dump(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
