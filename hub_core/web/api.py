"""The JSON API: accounts and incidents, to be read only."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from hub_core import showing
from hub_core.access import Scope
from hub_core.errors import NotFound
from hub_core.exports import account_values, incident_values, iso, row_values
from hub_core.model import RegionId
from hub_core.web import fields
from hub_core.web.bearer import Problem, json_reply, reading
from hub_core.web.openapi import DEFAULT_LIMIT, LARGEST_LIMIT, document

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import Route

    from hub_core.glance import GlanceLine
    from hub_core.history import Uptime
    from hub_core.hub import Hub
    from hub_core.model import Account, Observation

_ALL_INCIDENTS: Final = 100_000
_FLAGS: Final = {"true": True, "false": False}
_NUMBER: Final = re.compile(r"[0-9]{1,19}")
_LARGEST_ID: Final = 2**63 - 1


def routes(hub: Hub) -> list[Route]:
    """Return the routes of the API, and one that says that there is nothing else below it."""

    def api(path: str, answer: Callable[[Hub, Request], Any], scope: Scope | None = Scope.READ) -> Route:
        def json(request: Request) -> Response:
            return json_reply(answer(hub, request))

        return reading(path, json, access=hub.access, scope=scope)

    return [
        api("/api/v1/openapi.json", lambda _hub, _request: document(), None),
        api("/api/v1/accounts", _accounts),
        api("/api/v1/accounts/{account_id}", _account),
        api("/api/v1/incidents", _incidents),
        api("/api/{rest:path}", _nothing, None),
    ]


def _nothing(_hub: Hub, _request: Request) -> Any:
    raise Problem(HTTPStatus.NOT_FOUND, "There is nothing here. /api/v1/openapi.json tells what there is.")


# ---- accounts


def _accounts(hub: Hub, request: Request) -> Any:
    asked = _Asked(request, "status", "region", "tag", "limit", "cursor")
    wanted = asked.words("status", showing.SHOWN_WORDS.values())
    regions, tag = asked.words("region", list(RegionId)), asked.text("tag")
    after = asked.text("cursor") or ""
    limit = asked.limit()
    glance = hub.glances.latest()
    found = [
        line
        for line in sorted(glance.lines, key=lambda line: line.row.id)
        if line.row.id > after
        and (not regions or line.row.region in regions)
        and (tag is None or tag in line.row.tags)
        and (not wanted or showing.SHOWN_WORDS[showing.shown(hub, line.row).word] in wanted)
    ]
    page = found[:limit]
    values = {
        "at": iso(hub.clock.now()),
        "accounts": [fields.of("Account", {**row_values(hub, line.row), **_beside(line)}) for line in page],
        "next": page[-1].row.id if len(found) > limit else None,
    }
    return fields.of("AccountPage", values)


def _account(hub: Hub, request: Request) -> Any:
    _Asked(request)
    account = hub.account(request.path_params["account_id"])
    # One that was linked a moment ago is not in the snapshot that others share.
    lines = (line for fresh in (False, True) for line in hub.glances.latest(fresh=fresh).lines)
    line = next((line for line in lines if line.row.id == account.id), None)
    if line is None:
        raise NotFound("There is no such account; it may have been unlinked.")
    open_now = next(iter(hub.past.incidents(account_id=account.id, open_only=True, limit=1)), None)
    last = hub.past.last_check(account.id)
    values = {
        **account_values(hub, account),
        **_beside(line._replace(incident=open_now)),
        "next_check_at": iso(account.due.next_at) if account.lifecycle == "active" else None,
        "explanation": _explanation(hub, account, last.observations if last else ()),
        "incident": incident_values(open_now) if open_now else None,
    }
    return fields.of("AccountDetails", values)


def _beside(line: GlanceLine) -> dict[str, Any]:
    """Return what a snapshot knows of an account beside its row."""
    return {
        "maintenance": line.maintenance,
        "uptime": fields.of("Uptime", _uptime(line.uptime)),
        "incident_id": line.incident.id if line.incident else None,
    }


def _uptime(uptime: Uptime) -> dict[str, float | None]:
    return {name: None if share is None else round(share, 6) for name, share in uptime._asdict().items()}


def _explanation(hub: Hub, account: Account, seen: Sequence[Observation]) -> dict[str, Any] | None:
    reason = account.standing.reason
    if reason is None:
        return None
    evidence = next((dict(one.evidence) for one in seen if one.reason is reason), {})
    told = showing.explanation(hub, reason, evidence, account.endpoints, worked_until=account.standing.key_proven_at)
    values = {
        "title": told.title,
        "meaning": told.meaning,
        "causes": list(told.causes),
        "steps": list(told.steps),
        "remedy": told.remedy.value,
        "manual": told.doc,
    }
    return fields.of("Explanation", values)


# ---- incidents


def _incidents(hub: Hub, request: Request) -> Any:
    asked = _Asked(request, "open", "since", "account", "limit", "cursor")
    wanted, since, account_id = asked.flag("open"), asked.time("since"), asked.text("account")
    before, limit = asked.number("cursor", 1, _LARGEST_ID), asked.limit()
    every = hub.past.incidents(account_id=account_id, open_only=bool(wanted), since=since, limit=_ALL_INCIDENTS)
    found = [
        incident
        for incident in sorted(every, key=lambda incident: -incident.id)
        if (before is None or incident.id < before) and wanted in {None, incident.closed_at is None}
    ]
    page = found[:limit]
    values = {
        "at": iso(hub.clock.now()),
        "incidents": [incident_values(incident) for incident in page],
        "next": str(page[-1].id) if len(found) > limit else None,
    }
    return fields.of("IncidentPage", values)


# ---- what was asked


class _Asked:
    """The parameters of a request; whatever cannot be meant is refused by its name, so that no typo goes unseen."""

    def __init__(self, request: Request, *known: str) -> None:
        self._given = request.query_params
        unknown = next((name for name in self._given if name not in known), None)
        if unknown is not None:
            raise Problem(
                HTTPStatus.BAD_REQUEST, f"There is no such parameter; known here: {', '.join(known) or 'none'}."
            )

    def text(self, name: str) -> str | None:
        """Return one text, if it is given."""
        given = self._given.getlist(name)
        if len(given) > 1:
            raise _refused(name, "give it once")
        return given[0] if given else None

    def words(self, name: str, known: Collection[str]) -> frozenset[str]:
        """Return words of a closed set; none where it is not given."""
        given = frozenset(self._given.getlist(name))
        if not given <= set(known):
            raise _refused(name, f"give one of {', '.join(known)}; it may be repeated")
        return given

    def flag(self, name: str) -> bool | None:
        """Return true or false, if it is given."""
        text = self.text(name)
        if text is not None and text not in _FLAGS:
            raise _refused(name, "give true or false")
        return None if text is None else _FLAGS[text]

    def number(self, name: str, low: int, high: int) -> int | None:
        """Return a whole number, if it is given."""
        text = self.text(name)
        if text is None:
            return None
        if not _NUMBER.fullmatch(text) or not low <= int(text) <= high:
            raise _refused(name, f"give a whole number from {low} to {high}")
        return int(text)

    def limit(self) -> int:
        """Return how many are wanted at most."""
        return self.number("limit", 1, LARGEST_LIMIT) or DEFAULT_LIMIT

    def time(self, name: str) -> datetime | None:
        """Return a time, UTC unless it says otherwise, if it is given."""
        text = self.text(name)
        try:
            at = datetime.fromisoformat(text) if text else None
            return at.replace(tzinfo=UTC) if at and not at.tzinfo else at and at.astimezone(UTC)
        except (ValueError, OverflowError):
            raise _refused(name, "give a time such as 2026-11-01T00:00:00Z") from None


def _refused(name: str, what: str) -> Problem:
    return Problem(HTTPStatus.BAD_REQUEST, f"{name}: {what}.")
