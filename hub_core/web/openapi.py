"""The OpenAPI document of the JSON API; what its objects hold comes from the table the answers are made from."""

from __future__ import annotations

from typing import Any, Final

from hub_core import __version__
from hub_core.access import Scope
from hub_core.model import RegionId
from hub_core.showing import SHOWN_WORDS
from hub_core.web import fields
from hub_core.web.bearer import PROBLEM_TYPE

DEFAULT_LIMIT: Final = 100
LARGEST_LIMIT: Final = 500

_ABOUT: Final = (
    "What the dashboard knows about its accounts, read-only. Times are UTC in ISO 8601; null means never, none, or not "
    "reported. Further fields may be added. Text marked as untrusted was written by people or servers: escape it."
)
_PROBLEMS: Final = {
    "400": "A parameter cannot be used.",
    "401": "There is no API token, or one that does not work.",
    "403": "The API token lacks the scope.",
    "429": "Too many wrong tokens.",
    "503": "The database does not answer.",
}
_NO_SUCH_ACCOUNT: Final = {"404": "There is no such account."}


def document() -> dict[str, Any]:
    """Return the document."""
    return {
        "openapi": "3.1.0",
        "info": {"title": "Link Hub for Bitwarden", "version": __version__, "description": _ABOUT},
        "servers": [{"url": "/", "description": "The dashboard."}],
        "security": [{"token": [Scope.READ.value]}],
        "paths": {
            "/api/v1/accounts": {"get": _accounts()},
            "/api/v1/accounts/{account_id}": {"get": _account()},
            "/api/v1/incidents": {"get": _incidents()},
        },
        "components": {
            "securitySchemes": {
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "An API token of scope “read”, made in Settings or by `linkhub token create`.",
                }
            },
            "schemas": {name: fields.schema_of(name) for name in fields.OBJECTS},
        },
    }


def _accounts() -> dict[str, Any]:
    words = list(SHOWN_WORDS.values())
    return _operation(
        "listAccounts",
        "Every account",
        "AccountPage",
        _parameter("status", {"type": "array", "items": {"enum": words}}, "How it is shown; may be repeated."),
        _parameter("region", {"type": "array", "items": {"enum": list(map(str, RegionId))}}, "May be repeated."),
        _parameter("tag", {"type": "string"}, "Accounts with this tag."),
        *_paging(),
    )


def _account() -> dict[str, Any]:
    account_id = {**_parameter("account_id", {"type": "string"}, "The account's id."), "in": "path", "required": True}
    return _operation(
        "getAccount", "Everything known about one account", "AccountDetails", account_id, more=_NO_SUCH_ACCOUNT
    )


def _incidents() -> dict[str, Any]:
    return _operation(
        "listIncidents",
        "Incidents, newest first",
        "IncidentPage",
        _parameter("open", {"type": "boolean"}, "Only those that last, or only those that are over."),
        _parameter("since", {"type": "string", "format": "date-time"}, "Leaves out those that ended before."),
        _parameter("account", {"type": "string"}, "Those of the account with this id."),
        *_paging(),
    )


def _paging() -> tuple[dict[str, Any], ...]:
    limit = {"type": "integer", "minimum": 1, "maximum": LARGEST_LIMIT, "default": DEFAULT_LIMIT}
    return (
        _parameter("limit", limit, "How many at most."),
        _parameter("cursor", {"type": "string"}, "What the page before had as “next”."),
    )


def _parameter(name: str, schema: dict[str, Any], about: str) -> dict[str, Any]:
    return {"name": name, "in": "query", "description": about, "schema": schema}


def _operation(
    name: str, summary: str, answer: str, *parameters: dict[str, Any], more: dict[str, str] | None = None
) -> dict[str, Any]:
    problems = {**_PROBLEMS, **(more or {})}
    return {
        "operationId": name,
        "summary": summary,
        "parameters": list(parameters),
        "responses": {
            "200": _response(f"{summary}.", "application/json", answer),
            **{status: _response(about, PROBLEM_TYPE, "Problem") for status, about in sorted(problems.items())},
        },
    }


def _response(about: str, content_type: str, name: str) -> dict[str, Any]:
    schema = {"$ref": f"#/components/schemas/{name}"}
    return {"description": about, "content": {content_type: {"schema": schema}}}
