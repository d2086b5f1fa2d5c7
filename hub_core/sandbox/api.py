"""The API service of an official server: the public read routes, and what stands before them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hub_core.sandbox import events, records
from hub_core.sandbox.edge import WEB_VAULT_PAGE
from hub_core.sandbox.faults import Fault
from hub_core.sandbox.identity import ORGANIZATION_SCOPE
from hub_core.sandbox.info import config_answer, info_answer, only_get
from hub_core.sandbox.tokens import Judge, parse
from hub_core.sandbox.wire import Answer, html_answer, json_answer, text_answer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from hub_core.sandbox.organizations import SandboxOrganization
    from hub_core.sandbox.sandbox import Exchange
    from hub_core.sandbox.wire import Request

POLICY_TYPES = [
    "TwoFactorAuthentication",
    "MasterPassword",
    "PasswordGenerator",
    "SingleOrg",
    "RequireSso",
    "OrganizationDataOwnership",
    "DisableSend",
    "SendOptions",
    "ResetPassword",
    "MaximumVaultTimeout",
    "DisablePersonalVaultExport",
    "ActivateAutofill",
    "AutomaticAppLogIn",
    "FreeFamiliesSponsorshipPolicy",
    "RemoveUnlockWithPin",
    "RestrictedItemTypesPolicy",
    "UriMatchDefaults",
    "AutotypeDefaultSetting",
    "AutomaticUserConfirmation",
    "BlockClaimedDomainAccountCreation",
    "OrganizationUserNotification",
    "SendControls",
    "FillAssist",
]

_GUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\Z", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class _Call:
    """An authorized call: whose data, and what was asked. The organization is `None` once deleted."""

    exchange: Exchange
    organization: SandboxOrganization | None
    id: str

    @property
    def query(self) -> Mapping[str, str]:
        return self.exchange.request.query


def api_answer(exchange: Exchange) -> Answer:
    """Answer one request to the API service."""
    path = exchange.request.path.lower()
    if exchange.fault(Fault.VAULT_AT_API) is not None:
        return html_answer(200, WEB_VAULT_PAGE) if path in {"/", "/config"} else Answer(404)
    for pattern, methods, read in _ROUTES:
        match = pattern.fullmatch(path)
        if match:
            return _public(exchange, methods, read, match.groupdict().get("id", ""))
    if path.rstrip("/") == "/config":
        return only_get(exchange) or config_answer(exchange)
    return info_answer(exchange) or _either_kind(exchange, path.rstrip("/"))


def carried_organization(request: Request) -> str | None:
    """Return the client id inside the token of a request, unjudged."""
    token = bearer_of(request)
    parsed = parse(token) if token else None
    client_id = parsed[1].get("client_id") if parsed else None
    return client_id if isinstance(client_id, str) else None


def bearer_of(request: Request) -> str | None:
    """Return the token of a request: from the header, or without that header from the query."""
    header = request.headers.get("authorization", "").strip()
    if not header:
        return request.query.get("access_token") or None
    scheme, _, token = header.partition(" ")
    return (token.strip() or None) if scheme.lower() == "bearer" else None


def _either_kind(exchange: Exchange, path: str) -> Answer:
    """Answer the routes only the cloud, or only an own server, has."""
    if exchange.server.cloud:
        if path == "/healthz":
            return only_get(exchange) or text_answer(200, "Healthy")
        if path == "/healthz/extended":
            part: dict[str, Any] = {"status": "Healthy", "description": None, "data": {}}
            results = {"identity": part, "sqlserver": part}
            return only_get(exchange) or json_answer(200, {"status": "Healthy", "results": results})
        return Answer(404)
    if path == "/specs/public/swagger.json":
        document = {"openapi": "3.0.4", "info": {"title": "Bitwarden Public API", "version": "latest"}, "paths": {}}
        return only_get(exchange) or json_answer(200, document)
    if path == "/docs":
        return only_get(exchange) or html_answer(200, "<!doctype html><title>Bitwarden Public API</title>")
    return Answer(404)


def _public(exchange: Exchange, methods: str, read: Callable[[_Call], Answer] | None, given: str) -> Answer:
    if exchange.request.method not in methods.split(", "):
        return Answer(405, headers=(("Allow", methods),))
    refusal = _authorize(exchange)
    if refusal:
        return refusal
    if exchange.fault(Fault.API_500) is not None:
        return _error(500, "An unhandled server error has occurred.")
    if read is None or exchange.request.method != "GET":
        return _error(400, "The sandbox changes nothing.")
    deleted = exchange.fault(Fault.DELETE) is not None
    return read(_Call(exchange, None if deleted else exchange.organization, given))


def _authorize(exchange: Exchange) -> Answer | None:
    """Return the refusal of a request whose token does not open the public API."""
    stripped = exchange.fault(Fault.STRIP_AUTHORIZATION) is not None
    token = None if stripped else bearer_of(exchange.request)
    if token is None:
        return Answer(401, headers=(("WWW-Authenticate", "Bearer"),))
    sandbox = exchange.sandbox
    broken = exchange.fault(Fault.METADATA_BROKEN) is not None
    issuer = "" if broken else sandbox.issuer(exchange.server)
    verdict = Judge(sandbox.signer, exchange.kid, issuer, exchange.now).judge(token)
    if verdict.claims is None:
        return Answer(401, headers=(("WWW-Authenticate", verdict.challenge),))
    if ORGANIZATION_SCOPE not in verdict.claims.get("scope", ()) or exchange.fault(Fault.FORBIDDEN) is not None:
        return Answer(403)
    return None


def _error(status: int, message: str, errors: dict[str, list[str]] | None = None) -> Answer:
    return json_answer(status, {"object": "error", "message": message, "errors": errors})


def _invalid(field: str, value: str) -> Answer:
    errors = {field: [f"The value '{value}' is not valid."]}
    return _error(400, "The request's model state is invalid.", errors)


def _list(values: Iterable[Any], **more: Any) -> Answer:
    return json_answer(200, {"object": "list", "data": list(values), **more})


def _members(call: _Call) -> Answer:
    if call.organization is None or call.exchange.fault(Fault.EMPTY_MEMBERS) is not None:
        return _list(())
    return _list(records.members_of(call.organization))


def _groups(call: _Call) -> Answer:
    return _list(records.groups_of(call.organization) if call.organization else ())


def _collections(call: _Call) -> Answer:
    return _list(records.collections_of(call.organization) if call.organization else ())


def _policies(call: _Call) -> Answer:
    return _list(records.policies_of(call.organization) if call.organization else ())


def _one(call: _Call, all_of: Callable[[SandboxOrganization], Iterable[dict[str, Any]]]) -> Answer | dict[str, Any]:
    """Return the thing with the id asked for, or the refusal."""
    if not _GUID.match(call.id):
        return _invalid("id", call.id)
    things = all_of(call.organization) if call.organization else ()
    return next((thing for thing in things if thing["id"] == call.id), Answer(404))


def _reader(all_of: Callable[[SandboxOrganization], Iterable[dict[str, Any]]]) -> Callable[[_Call], Answer]:
    def read(call: _Call) -> Answer:
        found = _one(call, all_of)
        return found if isinstance(found, Answer) else json_answer(200, found)

    return read


def _id_reader(
    all_of: Callable[[SandboxOrganization], Iterable[dict[str, Any]]],
    ids_of: Callable[[SandboxOrganization, str], list[str]],
) -> Callable[[_Call], Answer]:
    def read(call: _Call) -> Answer:
        found = _one(call, all_of)
        if isinstance(found, Answer) or call.organization is None:
            return found if isinstance(found, Answer) else Answer(404)
        return json_answer(200, ids_of(call.organization, call.id))

    return read


def _policy(call: _Call) -> Answer:
    names = [name.lower() for name in POLICY_TYPES]
    kind = int(call.id) if call.id.isdecimal() else names.index(call.id) if call.id in names else -1
    if not 0 <= kind < len(POLICY_TYPES):
        return _invalid("type", call.id)
    saved = records.policies_of(call.organization) if call.organization else ()
    found = next((policy for policy in saved if policy["type"] == kind), None)
    return json_answer(200, found) if found else Answer(404)


def _events(call: _Call) -> Answer:
    for name in ("actingUserId", "itemId", "secretId", "projectId"):
        if call.query.get(name) and not _GUID.match(call.query[name]):
            return _invalid(name, call.query[name])
    now = call.exchange.now
    try:
        start, end = events.window(call.query, now)
    except events.BadRangeError:
        return _error(400, "Date range must be < 367 days.")
    except ValueError:
        return _invalid("start", call.query.get("start", ""))
    log = events.events_of(call.organization, now) if call.organization else []
    field = next((n for n in ("actingUserId", "itemId", "secretId", "projectId") if call.query.get(n)), None)
    chosen = [
        (moment, event)
        for moment, event in log
        if start <= moment <= end and (field is None or event[field] == call.query[field].lower())
    ]
    page_of = events.cloud_page if call.exchange.server.cloud else events.own_server_page
    try:
        page = page_of(chosen, call.query.get("continuationToken"))
    except events.BadTokenError:
        return _error(500, "An unhandled server error has occurred.")
    return _list(page.events, continuationToken=page.token)


def _subscription(call: _Call) -> Answer:
    if not call.exchange.server.cloud:
        return _error(400, "Only allowed when not self hosted.")
    if call.organization is None:
        return json_answer(500, {"message": "An error occurred while retrieving the subscription details."})
    return json_answer(200, records.subscription_of(call.organization))


_ONE = r"/(?P<id>[^/]+)"
_ROUTES: tuple[tuple[re.Pattern[str], str, Callable[[_Call], Answer] | None], ...] = tuple(
    (re.compile(f"/public/{path}/?"), methods, read)
    for path, methods, read in (
        ("members", "GET, POST", _members),
        (f"members{_ONE}", "GET, PUT, DELETE", _reader(records.members_of)),
        (f"members{_ONE}/group-ids", "GET, PUT", _id_reader(records.members_of, records.member_groups)),
        (f"members{_ONE}/(?:reinvite|revoke|restore)", "POST", None),
        ("groups", "GET, POST", _groups),
        (f"groups{_ONE}", "GET, PUT, DELETE", _reader(records.groups_of)),
        (f"groups{_ONE}/member-ids", "GET, PUT", _id_reader(records.groups_of, records.group_members)),
        ("collections", "GET", _collections),
        (f"collections{_ONE}", "GET, PUT, DELETE", _reader(records.collections_of)),
        ("policies", "GET", _policies),
        (f"policies{_ONE}", "GET, PUT", _policy),
        ("events", "GET", _events),
        ("organization/import", "POST", None),
        ("organization/subscription", "GET, PUT", _subscription),
    )
)
