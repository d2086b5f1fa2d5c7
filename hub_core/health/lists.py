"""Pure: what the answers of the public API's lists teach about an organization, and what they say about the link."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, NamedTuple

from hub_core import texts
from hub_core.errors import RemoteError
from hub_core.model import Capability, Reason

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from hub_core.bitwarden.client import ListAnswer

_COUNTED = {"/public/groups": "groups", "/public/collections": "collections", "/public/policies": "policies"}
_ODD_STATE = 1000
_ODD_SEATS = 2**31


class Remark(NamedTuple):
    """Something worth saying about a stage that did not fail."""

    reason: Reason
    evidence: dict[str, str]


def learn(answers: Mapping[str, ListAnswer]) -> dict[str, Any]:
    """Return the facts that the answers hold, by the names of `Facts`."""
    readable = {path: a for path, a in answers.items() if a.capability is Capability.READABLE}
    facts: dict[str, Any] = {
        "capabilities": {path: answer.capability for path, answer in answers.items()},
        "latency_ms": next((a.ms for a in answers.values() if a.capability is not Capability.FAULTY), None),
        "counts": {_COUNTED[path]: len(a.items) for path, a in readable.items() if path in _COUNTED},
    }
    if "/public/members" in readable:
        items = readable["/public/members"].items
        facts["members"] = dict(Counter(_member_state(item.get("status")) for item in items))
    if "/public/organization/subscription" in readable:
        facts["seats"] = _seats(readable["/public/organization/subscription"].value)
    return facts


def judge(answers: Mapping[str, ListAnswer], *, server: str) -> list[Remark]:
    """Return what is worth saying about the answers of a server of this name.

    Raises:
        RemoteError: the organization cannot be read, or is none.
    """
    members = answers.get("/public/members")
    if members and members.capability is Capability.READABLE and not members.items:
        raise RemoteError(Reason.MEMBERS_EMPTY)
    refused, faulty = (
        {path: answer for path, answer in answers.items() if answer.capability is kind}
        for kind in (Capability.REFUSED, Capability.FAULTY)
    )
    readable = any(answer.capability is Capability.READABLE for answer in answers.values())
    remarks = []
    if refused:
        reason = Reason.READS_PARTLY_REFUSED if readable else Reason.READ_FORBIDDEN
        remarks.append(Remark(reason, _evidence(refused)))
    if faulty:
        remarks.append(Remark(Reason.READ_FAULT, _evidence(faulty)))
    if remarks and not readable:
        raise RemoteError(remarks[0].reason, evidence=remarks[0].evidence)
    return remarks if readable else [Remark(Reason.READ_API_ABSENT, {"server": server})]


def names(paths: Iterable[str]) -> str:
    """Return the words for lists, in the order given."""
    return ", ".join(texts.PATHS[path] for path in paths)


def _evidence(answers: Mapping[str, ListAnswer]) -> dict[str, str]:
    status = next((answer.status for answer in answers.values() if answer.status), None)
    return {"names": names(answers)} | ({"status": str(status)} if status else {})


def _member_state(status: object) -> str:
    """Return the word for a member's state; what no server would number so is not reported."""
    plausible = isinstance(status, int) and not isinstance(status, bool) and abs(status) < _ODD_STATE
    return texts.member_state(status if plausible else None)


def _seats(subscription: Mapping[str, Any] | None) -> int | None:
    manager = (subscription or {}).get("passwordManager")
    seats = manager.get("seats") if isinstance(manager, dict) else None
    return seats if isinstance(seats, int) and not isinstance(seats, bool) and 0 <= seats < _ODD_SEATS else None
