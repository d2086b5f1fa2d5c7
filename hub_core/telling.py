"""How what has been is told: shares of time, incidents, proofs; the same words on pages and command line."""

from __future__ import annotations

import math
import re
from datetime import timedelta
from typing import TYPE_CHECKING

from hub_core import texts
from hub_core.history import DOWN
from hub_core.model import Capability, Outcome, ServerKind, Stage, Status
from hub_core.texts.text import PLACEHOLDERS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from hub_core.history import Change, Incident, Stretch
    from hub_core.model import Account, Observation, Reason
    from hub_core.storage.store import AccountRow

NOT_JUDGED = "not judged"
DASHBOARD = "dashboard"
"""Who is said to have done what was done on a page."""
ROTATE_AFTER_DAYS = 365
"""From this age on a key's rotation is recalled; nothing at Bitwarden makes a key expire."""
FEW_SEATS_LEFT = 0.95
"""From this share of the seats on people are told, while there is still one for the next colleague."""
SEATS_SPAN = timedelta(days=30)
"""Over which time seats are looked at; who takes as many again finds none left."""

_NUMBER = re.compile(r"\d+")


def share(of_time: float | None) -> str:
    """Return a share as per cent, rounded down: only what never failed is called 100%."""
    number = percent(of_time)
    if number is None:
        return NOT_JUDGED
    return "100%" if number == 100 else f"{number:.2f}%"  # noqa: PLR2004 - per cent


def percent(of_time: float | None) -> float | None:
    """Return a share in per cent, rounded down to hundredths, so that only what never failed is 100."""
    return None if of_time is None else math.floor(round(of_time * 10_000, 6)) / 100


# ---- incidents


def lasted(incident: Incident, now: datetime) -> timedelta:
    """Return how long an incident lasted, or has lasted so far."""
    return (incident.closed_at or now) - incident.opened_at


def lasted_words(incident: Incident, now: datetime) -> str:
    """Return the same as a span in words."""
    return texts.duration(lasted(incident, now).total_seconds())


def incident_status(incident: Incident) -> texts.StatusText:
    """Return how an incident is shown: by its status while it is open."""
    return texts.CLOSED if incident.closed_at else texts.STATUSES[incident.status]


def cause(reason: Reason | None) -> str:
    """Return the title of a reason; no reason is said to be none."""
    return texts.REASONS[reason].title if reason else "no cause is known"


def worst_stretch(incident: Incident) -> Stretch:
    """Return what an incident was at its worst, the first of equals."""
    order = list(Status)  # the vocabulary has them worst first
    return min(incident.story, key=lambda stretch: order.index(stretch.status))


def seen_by(incident: Incident) -> str:
    """Return who has seen an incident, or nothing."""
    return incident.acknowledged_by if incident.acknowledged_at else ""


def by_whom(actor: str) -> str:
    """Return by whom something was done; on the pages nobody signs in, so nobody has a name there."""
    return "on the dashboard" if actor == DASHBOARD else f"by {actor}"


def story_lines(incident: Incident) -> list[tuple[datetime, str]]:
    """Return what happened in an incident, each with its time, in the order it happened."""
    lines = [(incident.opened_at, "Opened" + (" during maintenance; nobody was told" if incident.maintenance else ""))]
    lines += [(at, f"{texts.STATUSES[status].word}: {cause(reason)}") for at, status, reason in incident.story]
    if incident.acknowledged_at:
        lines.append((incident.acknowledged_at, f"Acknowledged {by_whom(incident.acknowledged_by)}"))
    if incident.closed_at:
        lines.append((incident.closed_at, f"Closed after {lasted_words(incident, incident.closed_at)}"))
    return sorted(lines, key=lambda line: line[0])


def evidence(incident: Incident) -> dict[str, str]:
    """Return what the check saw that opened an incident, by names for people."""
    return {PLACEHOLDERS.get(name, name).capitalize(): value for name, value in incident.evidence.items()}


def changed(change: Change) -> str:
    """Return what a changed fact is called."""
    return texts.CHANGES.get(change.what) or texts.PATHS.get(change.what, change.what)


def changed_value(value: str) -> str:
    """Return the value of a changed fact; what a list answered is said in words."""
    return texts.CAPABILITIES[Capability(value)].word if value in set(Capability) else value


# ---- proofs


def highest_proof(observations: Iterable[Observation]) -> Stage | None:
    """Return the last stage that passed before the first that failed; None if not even the first did."""
    reached = None
    for seen in observations:
        if seen.outcome is Outcome.FAIL:
            break
        if seen.outcome in {Outcome.PASS, Outcome.WARN}:
            reached = seen.stage
    return reached


def proven_since(account: Account, incidents: Iterable[Incident]) -> datetime | None:
    """Return since when the highest proof is what it is.

    An account that works has worked since the last time it did not; one that does not, since its cause changed.
    """
    standing = account.standing
    if standing.status is Status.UNKNOWN:
        return None
    if standing.status in DOWN:
        return next((i.story[-1].at for i in incidents if not i.closed_at), standing.since)
    ends = (end for incident in incidents if (end := _down_until(incident)))
    return max(ends, default=account.linked_at)


def _down_until(incident: Incident) -> datetime | None:
    """Return when an incident last stopped being one of not working at all."""
    later = [*(stretch.at for stretch in incident.story[1:]), incident.closed_at]
    pairs = zip(incident.story, later, strict=True)
    return max((end for stretch, end in pairs if stretch.status in DOWN and end), default=None)


def concerns(observations: Iterable[Observation]) -> list[Observation]:
    """Return everything a check found that wants mending, in the order of the stages; each reason once."""
    found = {
        o.reason: o for o in reversed(list(observations)) if o.reason and o.outcome in {Outcome.WARN, Outcome.FAIL}
    }
    return list(reversed(found.values()))


# ---- facts that the neighbours, or the calendar, put into another light


def older_than(account: Account, rows: Iterable[AccountRow]) -> tuple[str, str] | None:
    """Return version and label of the newest server of the same kind among the links, if it is a release ahead."""
    kind, mine = account.facts.server_kind, _release(account.facts.server_version)
    if kind in {None, ServerKind.UNKNOWN} or not mine:
        return None
    others = [row for row in rows if row.server_kind == kind and row.server_version and row.id != account.id]
    newest = max(others, key=lambda row: _release(row.server_version), default=None)
    if newest is None or _release(newest.server_version)[:2] <= mine[:2]:
        return None
    return newest.server_version or "", newest.label


def _release(version: str | None) -> tuple[int, ...]:
    return tuple(map(int, _NUMBER.findall(version or "")))


def seats_since(account: Account, now: datetime) -> datetime:
    """Return from when on seats are looked at: for a month, or since the account was linked."""
    return max(now - SEATS_SPAN, account.linked_at)


def seats_words(account: Account, now: datetime, earlier: int | None) -> str:
    """Return the seats counted against those bought, and how many were taken `earlier`, where it was another number."""
    taken, bought = account.facts.seats_taken, account.facts.seats
    if taken is None or bought is None:
        return "not reported"
    words = f"{taken} of {bought} taken, as counted"
    days = (now - seats_since(account, now)).days
    return words if earlier in {None, taken} or not days else f"{words}; {texts.days(days)} ago {earlier}"


def few_seats(account: Account, now: datetime, earlier: int | None) -> str:
    """Return a sentence when nearly all seats are taken, or will be if as many go as since they were `earlier`."""
    taken, bought = account.facts.seats_taken, account.facts.seats
    if taken is None or not bought:
        return ""
    left, more = bought - taken, taken - (taken if earlier is None else earlier)
    if left > more and taken < bought * FEW_SEATS_LEFT:
        return ""
    days = (now - seats_since(account, now)).days
    lately = f", {more} more than {texts.days(days)} ago" if more > 0 and days else ""
    still = f"{left} {'is' if left == 1 else 'are'} left." if left > 0 else "nobody more can be invited."
    return f"{taken} of {bought} seats are taken{lately}: {still}"


def key_age(account: Account, now: datetime) -> str:
    """Return how long the key has been in use here; how old it is at Bitwarden is not known."""
    days = (now - account.key_entered_at).days
    return f"in use here for {texts.days(days)}" if days > 0 else "in use here since today"


def old_key(account: Account, now: datetime) -> str:
    """Return a sentence that recalls rotating a key that was entered long ago; nothing before."""
    if (now - account.key_entered_at).days < ROTATE_AFTER_DAYS:
        return ""
    return (
        f"This key is {key_age(account, now)}. Consider asking an Owner to rotate it, above all if somebody who knew "
        "it has left; then relink this account."
    )


def spoken(names: Sequence[str]) -> str:
    """Return names as a sentence has them: `a, b and c`."""
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1]))) if names else ""
