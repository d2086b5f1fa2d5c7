"""The fields of every object of the JSON API: one table behind both its answers and its OpenAPI document."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from hub_core.model import (
    Capability,
    Lifecycle,
    Outcome,
    Reason,
    RegionId,
    Remedy,
    ServerKind,
    Stage,
    Status,
    Trigger,
)
from hub_core.showing import SHOWN_WORDS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

Schema = dict[str, Any]


class Field(NamedTuple):
    """One field: what JSON it is, and a sentence about it."""

    schema: Schema
    about: str


def _words(words: Iterable[str]) -> Schema:
    return {"type": "string", "enum": [str(word) for word in words]}


def _or_null(schema: Schema) -> Schema:
    if "$ref" in schema:
        return {"oneOf": [schema, {"type": "null"}]}
    nullable = {**schema, "type": [schema["type"], "null"]}
    return nullable | {"enum": [*schema["enum"], None]} if "enum" in schema else nullable


def _object(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def _list_of(schema: Schema) -> Schema:
    return {"type": "array", "items": schema}


def _by_name(schema: Schema) -> Schema:
    return {"type": "object", "additionalProperties": schema}


_TEXT: Final[Schema] = {"type": "string"}
_NUMBER: Final[Schema] = {"type": "integer"}
_COUNT: Final[Schema] = {"type": "integer", "minimum": 0}
_FLAG: Final[Schema] = {"type": "boolean"}
_TIME: Final[Schema] = {"type": "string", "format": "date-time"}
_SHARE: Final[Schema] = _or_null({"type": "number", "minimum": 0, "maximum": 1})
_REASON: Final[Schema] = _or_null(_words(Reason))
_CAUSE: Final[Schema] = _or_null(_TEXT)

_ACCOUNT: Final = {
    "id": Field(_TEXT, "The account's id."),
    "label": Field(_TEXT, "How people call it; untrusted text."),
    "tags": Field(_list_of(_TEXT), "Its tags; untrusted text."),
    "region": Field(_words(RegionId), "Where the organization lives."),
    "organization": Field(_TEXT, "The organization's uuid at Bitwarden."),
    "identity": Field(_TEXT, "Origin of the identity server."),
    "lifecycle": Field(_words(Lifecycle), "Whether it is checked at all."),
    "shown": Field(_words(SHOWN_WORDS.values()), "How the dashboard shows it: the status, unless something hides it."),
    "status": Field(_words(Status), "What the last check that judged left behind. Believe it only if not stale."),
    "stale": Field(_FLAG, "Whether the last check is too old to believe the status."),
    "needs_key": Field(_FLAG, "Whether the stored secret was given up, so that the account must be relinked."),
    "maintenance": Field(_FLAG, "Whether a maintenance window is open now."),
    "reason": Field(_REASON, "Why it is not healthy, as a word of the manual."),
    "cause": Field(_CAUSE, "The same as a short sentence."),
    "since": Field(_or_null(_TIME), "When this status began."),
    "checked_at": Field(_or_null(_TIME), "The last check that judged."),
    "link_proven_at": Field(_or_null(_TIME), "When a read was last answered."),
    "key_proven_at": Field(_or_null(_TIME), "When the key was last accepted."),
    "server": Field(_or_null(_words(ServerKind)), "Who wrote the server that answered."),
    "version": Field(_or_null(_TEXT), "The server's version."),
    "latency_ms": Field(_or_null(_COUNT), "Milliseconds of the last read."),
    "certificate_ends": Field(_or_null(_TIME), "When the server's certificate ends."),
    "certificate_days": Field(_or_null(_NUMBER), "Whole days until then."),
    "uptime": Field(_object("Uptime"), "Shares of the judged time in which it worked."),
    "incident_id": Field(_or_null(_NUMBER), "The open incident, if there is one."),
}

_DETAILS: Final = {
    "next_check_at": Field(_or_null(_TIME), "When the next check is planned; null: in its turn, now, or never."),
    "api": Field(_TEXT, "Address of the API."),
    "identity_address": Field(_TEXT, "Address of the identity server."),
    "vault": Field(_or_null(_TEXT), "Address of the web vault."),
    "own_ca": Field(_FLAG, "Whether a CA certificate of its own is set."),
    "note": Field(_TEXT, "What people wrote; untrusted text."),
    "pause_reason": Field(_TEXT, "Why it is paused; untrusted text."),
    "linked_at": Field(_TIME, "When it was linked."),
    "key_entered_at": Field(_TIME, "When a person last gave the key."),
    "members": Field(_or_null(_by_name(_COUNT)), "Members by state; null: not reported."),
    "counts": Field(_by_name(_COUNT), "Lengths of the other lists that could be read."),
    "seats": Field(_or_null(_COUNT), "Seats; null: not reported."),
    "capabilities": Field(_by_name(_words(Capability)), "What each list of the public API answered to this key."),
    "tls_version": Field(_or_null(_TEXT), "As the connection had it."),
    "certificate_issuer": Field(_or_null(_TEXT), "Who issued the certificate; untrusted text."),
    "certificate_sha256": Field(_or_null(_TEXT), "Fingerprint of the certificate."),
    "skew_seconds": Field(_or_null(_NUMBER), "How far the server's clock is from ours."),
    "explanation": Field(_or_null(_object("Explanation")), "What the reason means, and what to do."),
    "last_check": Field(_or_null(_object("Check")), "The last check, stage by stage."),
    "incident": Field(_or_null(_object("Incident")), "The open incident, if there is one."),
}

OBJECTS: Final[Mapping[str, Mapping[str, Field]]] = MappingProxyType(
    {
        "Account": _ACCOUNT,
        "AccountDetails": {**_ACCOUNT, **_DETAILS},
        "Uptime": {
            "day": Field(_SHARE, "Of the last 24 hours; null: nothing was judged."),
            "week": Field(_SHARE, "Of the last 7 days."),
            "month": Field(_SHARE, "Of the last 30 days."),
        },
        "Explanation": {
            "title": Field(_TEXT, "What happened."),
            "meaning": Field(_TEXT, "What is certain, and what is not."),
            "causes": Field(_list_of(_TEXT), "Likely causes, most likely first."),
            "steps": Field(_list_of(_TEXT), "What to do, in order."),
            "remedy": Field(_words(Remedy), "The one thing that helps."),
            "manual": Field(_TEXT, "Where the manual has more."),
        },
        "Check": {
            "at": Field(_TIME, "When it began."),
            "trigger": Field(_words(Trigger), "What asked for it."),
            "status": Field(_words(Status), "What it found."),
            "reason": Field(_REASON, "Why."),
            "ms": Field(_COUNT, "Milliseconds over all stages."),
            "stages": Field(_list_of(_object("Stage")), "What each stage saw, in order."),
        },
        "Stage": {
            "stage": Field(_words(Stage), "Which step."),
            "outcome": Field(_words(Outcome), "How it ended."),
            "reason": Field(_REASON, "Why."),
            "ms": Field(_COUNT, "Milliseconds it took."),
            "evidence": Field(_by_name(_TEXT), "Facts such as host names and status codes; untrusted text."),
        },
        "Incident": {
            "id": Field(_NUMBER, "Its number; a later one is higher."),
            "account_id": Field(_TEXT, "Whose it is."),
            "label": Field(_TEXT, "How people call that account; untrusted text."),
            "open": Field(_FLAG, "Whether it lasts."),
            "opened_at": Field(_TIME, "When the account left healthy or limited."),
            "closed_at": Field(_or_null(_TIME), "When it regained that."),
            "status": Field(_words(Status), "The status it has, or had at its end."),
            "reason": Field(_REASON, "Why."),
            "cause": Field(_CAUSE, "The same as a short sentence."),
            "story": Field(_list_of(_object("Stretch")), "Every change of status or reason, oldest first."),
            "evidence": Field(_by_name(_TEXT), "Facts of the check that opened it; untrusted text."),
            "maintenance": Field(_FLAG, "Whether it began in a maintenance window, so that nobody was told."),
            "acknowledged_at": Field(_or_null(_TIME), "When somebody took it up."),
            "acknowledged_by": Field(_TEXT, "Who did."),
            "note": Field(_TEXT, "What they wrote; untrusted text."),
        },
        "Stretch": {
            "at": Field(_TIME, "From when on."),
            "status": Field(_words(Status), "The status."),
            "reason": Field(_REASON, "Why."),
        },
        "AccountPage": {
            "at": Field(_TIME, "When this was read."),
            "accounts": Field(_list_of(_object("Account")), "In the order of their ids."),
            "next": Field(_or_null(_TEXT), "The cursor of the next page; null: this is the last one."),
        },
        "IncidentPage": {
            "at": Field(_TIME, "When this was read."),
            "incidents": Field(_list_of(_object("Incident")), "Newest first."),
            "next": Field(_or_null(_TEXT), "The cursor of the next page; null: this is the last one."),
        },
        "Problem": {
            "type": Field(_TEXT, "Always about:blank."),
            "title": Field(_TEXT, "The status in words."),
            "status": Field(_NUMBER, "The HTTP status."),
            "detail": Field(_TEXT, "What to do about it."),
        },
    }
)


def of(name: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the object of this name: exactly its fields, in their order, whatever else there is in `values`."""
    return {field: values[field] for field in OBJECTS[name]}


def schema_of(name: str) -> Schema:
    """Return the JSON schema of the object of this name; further fields may be added to it later."""
    fields = OBJECTS[name]
    described = {field: {**schema, "description": about} for field, (schema, about) in fields.items()}
    return {"type": "object", "required": list(fields), "properties": described}
