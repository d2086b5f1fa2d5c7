"""The channels that people are told through: their rows, and their sealed addresses."""

from __future__ import annotations

import json
from datetime import time
from typing import TYPE_CHECKING, Any, NamedTuple

from hub_core.alerts.channel import Channel, Kind, Quiet, Rules
from hub_core.errors import NotFound
from hub_core.model import RegionId, Status
from hub_core.storage import codec, statements
from hub_core.storage.seal import Place

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable
    from datetime import date, datetime

    from hub_core.alerts.channel import ChannelDraft
    from hub_core.storage.database import Database
    from hub_core.storage.statements import Ring

    Seal = Callable[[Place, Ring], str]

_COLUMNS = (
    "id, name, kind, hint, enabled, rules, made_at, failing_since, error, stopped, target IS NULL AS locked, summed_on"
)
_NO_SUCH = "There is no such channel; it may have been removed."


class SealedChannel(NamedTuple):
    """A channel's address and signing secret as they are stored."""

    channel_id: str
    target: str | None
    secret: str | None


class Channels:
    """The rows of the channels."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def all(self) -> list[Channel]:
        """Return every channel, by name."""
        with self._database.read() as con:
            return [channel for channel, _ in read_channels(con)]

    def one(self, channel_id: str) -> Channel:
        """Return one channel; raises NotFound."""
        with self._database.read() as con:
            return channel_of(_row(con, channel_id))

    def all_sealed(self) -> tuple[list[SealedChannel], Ring]:
        """Return every channel's sealed address, and the data keys of the same moment."""
        with self._database.read() as con:
            return sealed_channels(con), statements.ring(con)

    def add(
        self,
        channel_id: str,
        draft: ChannelDraft,
        *,
        seal_target: Seal,
        seal_secret: Seal | None,
        summed_on: date,
        at: datetime,
        actor: str,
    ) -> None:
        """Store a new channel with its sealed address, and the audit entry, in one transaction."""
        with self._database.write() as con:
            ring = statements.ring(con)
            values = {
                "id": channel_id,
                "name": draft.name,
                "kind": draft.kind,
                "hint": draft.hint,
                "target": seal_target(channel_place(channel_id, "target"), ring),
                "secret": seal_secret(channel_place(channel_id, "secret"), ring) if seal_secret else None,
                "enabled": 1,
                "rules": dump_rules(draft.rules),
                "made_at": codec.to_ms(at),
                "summed_on": summed_on.isoformat(),
            }
            statements.insert(con, "channel", values)
            statements.audit(con, actor, "channel add", at=at, target=channel_id, kind=draft.kind, host=draft.hint)

    def change(
        self,
        channel_id: str,
        draft: ChannelDraft,
        *,
        seal_target: Seal | None,
        seal_secret: Seal | None,
        summed_on: date,
        at: datetime,
        actor: str,
    ) -> None:
        """Store what was changed about a channel; raises NotFound."""
        with self._database.write() as con:
            ring = statements.ring(con)
            row = _row(con, channel_id)
            values: dict[str, Any] = {"name": draft.name, "rules": dump_rules(draft.rules)}
            if draft.rules.summary_at != load_rules(row["rules"]).summary_at:
                values["summed_on"] = summed_on.isoformat()
            if seal_target:
                values["target"] = seal_target(channel_place(channel_id, "target"), ring)
                values |= {"hint": draft.hint, "failing_since": None, "error": "", "stopped": ""}
            if seal_secret:
                values["secret"] = seal_secret(channel_place(channel_id, "secret"), ring)
            _update(con, channel_id, values)
            statements.audit(
                con, actor, "channel change", at=at, target=channel_id, address=bool(seal_target), host=draft.hint or ""
            )
        if seal_target or seal_secret:
            self._database.empty_wal()

    def remove(self, channel_id: str, *, at: datetime, actor: str) -> None:
        """Erase a channel, its address and its messages, also from the WAL; raises NotFound."""
        with self._database.write() as con:
            row = _row(con, channel_id)
            con.execute("DELETE FROM channel WHERE id = ?", (channel_id,))
            statements.audit(con, actor, "channel remove", at=at, target=channel_id, host=row["hint"])
        self._database.empty_wal()

    def set_enabled(self, channel_id: str, *, enabled: bool, at: datetime, actor: str) -> None:
        """Switch a channel on or off; what waits for one that is switched off is given up. Raises NotFound."""
        with self._database.write() as con:
            _row(con, channel_id)
            values: dict[str, Any] = {"enabled": int(enabled)}
            if enabled:
                values |= {"failing_since": None, "error": "", "stopped": ""}
            else:  # weeks later it would be old news
                give_up_waiting(con, channel_id, "The channel was switched off.", at)
            _update(con, channel_id, values)
            action = "channel enable" if enabled else "channel disable"
            statements.audit(con, actor, action, at=at, target=channel_id)


def give_up_waiting(con: sqlite3.Connection, channel_id: str, why: str, at: datetime) -> None:
    """Give up every message that waits for a channel."""
    con.execute(
        "UPDATE delivery SET state = 'given_up', message = '', done_at = ?, error = ? "
        "WHERE channel_id = ? AND state = 'waiting'",
        (codec.to_ms(at), why, channel_id),
    )


def channel_place(channel_id: str, column: str) -> Place:
    """Return where a channel's sealed text belongs."""
    return Place(table="channel", row=channel_id, column=column, client_id="", origin="")


def read_channels(con: sqlite3.Connection) -> list[tuple[Channel, str]]:
    """Return every channel, by name, with the date of its last daily summary."""
    found = con.execute(f"SELECT {_COLUMNS} FROM channel ORDER BY name, id").fetchall()  # noqa: S608 - own names
    return [(channel_of(row), row["summed_on"]) for row in found]


def sealed_channels(con: sqlite3.Connection) -> list[SealedChannel]:
    """Return every channel's sealed address."""
    return [SealedChannel(*row) for row in con.execute("SELECT id, target, secret FROM channel")]


def reseal_channels(con: sqlite3.Connection, reseal: Callable[[str, Place], str]) -> int:
    """Replace every channel's sealed texts by what `reseal` returns; return how many."""
    number = 0
    for row in sealed_channels(con):
        for column, token in (("target", row.target), ("secret", row.secret)):
            if token is not None:
                _update(con, row.channel_id, {column: reseal(token, channel_place(row.channel_id, column))})
                number += 1
    return number


def drop_channel_secrets(con: sqlite3.Connection) -> int:
    """Erase every channel's sealed texts; return how many addresses that were."""
    return con.execute("UPDATE channel SET target = NULL, secret = NULL WHERE target IS NOT NULL").rowcount


def channel_of(row: sqlite3.Row) -> Channel:
    """Return the channel in a row."""
    return Channel(
        id=row["id"],
        name=row["name"],
        kind=Kind(row["kind"]),
        hint=row["hint"],
        enabled=bool(row["enabled"]),
        rules=load_rules(row["rules"]),
        made_at=codec.moment(row["made_at"]),
        failing_since=codec.from_ms(row["failing_since"]),
        error=row["error"],
        stopped=row["stopped"],
        locked=bool(row["locked"]),
    )


def dump_rules(rules: Rules) -> str:
    """Return a channel's rules as compact JSON."""
    values = {
        "statuses": sorted(rules.statuses),
        "tags": sorted(rules.tags),
        "regions": sorted(rules.regions),
        "recovery": rules.recovery,
        "reminder_hours": rules.reminder_hours,
        "quiet": [at.isoformat("minutes") for at in rules.quiet] if rules.quiet else None,
        "every_minutes": rules.every_minutes,
        "daily_at": _clock(rules.daily_at),
        "summary_at": _clock(rules.summary_at),
    }
    return json.dumps(values, ensure_ascii=False, separators=(",", ":"))


def load_rules(text: str) -> Rules:
    """Return stored rules."""
    values = json.loads(text)
    return Rules(
        statuses=frozenset(map(Status, values["statuses"])),
        tags=frozenset(values["tags"]),
        regions=frozenset(map(RegionId, values["regions"])),
        recovery=values["recovery"],
        reminder_hours=values["reminder_hours"],
        quiet=Quiet(*map(time.fromisoformat, values["quiet"])) if values["quiet"] else None,
        every_minutes=values["every_minutes"],
        daily_at=_time(values["daily_at"]),
        summary_at=_time(values["summary_at"]),
    )


def _clock(at: time | None) -> str | None:
    return at.isoformat("minutes") if at else None


def _time(text: str | None) -> time | None:
    return time.fromisoformat(text) if text else None


def _row(con: sqlite3.Connection, channel_id: str) -> Any:
    row = con.execute(f"SELECT {_COLUMNS} FROM channel WHERE id = ?", (channel_id,)).fetchone()  # noqa: S608 - own names
    if row is None:
        raise NotFound(_NO_SUCH)
    return row


def _update(con: sqlite3.Connection, channel_id: str, values: dict[str, Any]) -> None:
    columns = ", ".join(f"{name} = ?" for name in values)
    con.execute(f"UPDATE channel SET {columns} WHERE id = ?", (*values.values(), channel_id))  # noqa: S608 - own names
