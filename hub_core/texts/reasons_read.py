"""The texts of what happens once the key is accepted, and of what happens in the hub itself."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from hub_core.model import Reason, Remedy
from hub_core.texts.text import OnCloud, OnOwnServer, Text

if TYPE_CHECKING:
    from collections.abc import Mapping

_STATUS_PAGE = OnCloud("Look at Bitwarden's status page, status.bitwarden.com.")
_REPORT = "If this does not help, report it with what “linkhub doctor” prints. It contains no secret."

READ: Final[Mapping[Reason, Text]] = MappingProxyType(
    {
        Reason.TOKEN_NOT_DELIVERED: Text(
            title="The token got lost on the way to the API",
            meaning=(
                "The key is accepted. The API then said that no token arrived, although the hub sent it. "
                "So something in between removes it."
            ),
            causes=("A proxy drops the Authorization header.", "A sign-in proxy uses that header for itself."),
            steps=(
                OnOwnServer("Let the proxy pass the Authorization header of requests to /api unchanged."),
                OnCloud("Look for a proxy or filter between the hub and the internet."),
                "Then check again.",
            ),
            remedy=Remedy.FIX_SERVER,
        ),
        Reason.TOKEN_OF_OTHER_SERVER: Text(
            title="The API belongs to another server than the key",
            meaning=(
                "The key is accepted by the identity host. The API does not take tokens from there. "
                "The token was issued by {issuer}."
            ),
            causes=(
                "API and identity addresses are of different regions.",
                OnOwnServer("One of the two addresses is that of another server."),
            ),
            steps=(
                "Choose one region for both hosts: the one in which people of this organization sign in.",
                OnOwnServer("Or edit the server, so that both addresses are of the same installation."),
            ),
            remedy=Remedy.CHOOSE_REGION,
        ),
        Reason.SERVER_CANNOT_VALIDATE: Text(
            title="The server cannot verify its own tokens",
            meaning=(
                "The key is accepted, so it is not the problem. The API refuses the token that its own identity host "
                "issued a moment ago. The issuer is {issuer}."
            ),
            causes=(
                "The API container cannot reach the identity container to fetch its signing keys.",
                "The internal identity address in the server's settings is wrong.",
                "The API started before identity was ready.",
            ),
            steps=(
                OnOwnServer("Restart the identity container, then the api container."),
                OnOwnServer("If it stays, look at the api log for “IDX20803” and check the internal identity address."),
                _STATUS_PAGE,
                "Then check again.",
            ),
            remedy=Remedy.FIX_SERVER,
        ),
        Reason.SIGNING_KEY_UNKNOWN: Text(
            title="The API does not know who signed the token",
            meaning=(
                "The key is accepted by the identity host. The API does not know the signature under the token, "
                "so the two do not belong together or have not exchanged keys."
            ),
            causes=(
                OnOwnServer("API and identity addresses are of two different self-hosted servers."),
                OnOwnServer("The signing certificate was replaced, and the API still holds the old one."),
                OnCloud("Bitwarden is replacing its signing keys at this moment."),
            ),
            steps=(
                OnOwnServer("Make sure that both addresses are of the same installation."),
                OnOwnServer("If they are, restart the api container."),
                _STATUS_PAGE,
                "Then check again.",
            ),
            remedy=Remedy.FIX_SERVER,
        ),
        Reason.TOKEN_ALREADY_EXPIRED: Text(
            title="A fresh token counts as expired",
            meaning=(
                "The key is accepted. The API holds the token, issued a moment ago, for too old. "
                "So the clocks of the server's parts disagree. The difference to the hub's clock is {skew}."
            ),
            causes=("The machine of the API is ahead of the machine of identity by more than an hour.",),
            steps=(
                OnOwnServer("Turn on time synchronization (NTP) on every machine of the server."),
                _STATUS_PAGE,
                "Then check again.",
            ),
            remedy=Remedy.FIX_SERVER,
        ),
        Reason.TOKEN_NOT_YET_VALID: Text(
            title="A fresh token counts as not valid yet",
            meaning=(
                "The key is accepted. The API holds the token for one from the future. "
                "So the clocks of the server's parts disagree. The difference to the hub's clock is {skew}."
            ),
            causes=("The machine of identity is ahead of the machine of the API by more than 5 min.",),
            steps=(
                OnOwnServer("Turn on time synchronization (NTP) on every machine of the server."),
                _STATUS_PAGE,
                "Then check again.",
            ),
            remedy=Remedy.FIX_SERVER,
        ),
        Reason.TOKEN_REFUSED: Text(
            title="The API refused a fresh token",
            meaning=(
                "The key is accepted by the identity host. The API turned its token away (401) and gave no reason the "
                "hub knows. The API says “{message}”."
            ),
            causes=(
                "API and identity do not belong together.",
                "A proxy changes the Authorization header.",
                OnOwnServer("The server was installed under another address than it is told in its settings."),
            ),
            steps=(
                "Check that both hosts are of one region or one installation.",
                OnOwnServer("Look at the server's api log for the time of this check."),
                _REPORT,
            ),
            remedy=Remedy.FIX_SERVER,
        ),
        Reason.READ_FORBIDDEN: Text(
            title="This key may not read the organization",
            meaning=(
                "The server gave a token and then refused it every read (403). "
                "That happens to keys of another kind. Organization keys may read everything the API offers."
            ),
            causes=(
                "The key is not that of an organization.",
                "A proxy in front of the API refuses these paths.",
            ),
            steps=(
                (
                    "Ask an Owner to open Admin Console → Settings → Organization info → View API key, "
                    "and relink with the key shown there."
                ),
                OnOwnServer("Let the proxy pass requests to /api/public unchanged."),
            ),
            remedy=Remedy.RELINK,
        ),
        Reason.READ_API_ABSENT: Text(
            title="This server offers nothing to read",
            meaning=(
                "The key is accepted, and the server has nothing more to offer it. The server calls itself {server}. "
                "Members, groups, collections, policies and events cannot be read here. So this link can show "
                "only whether the server answers, its certificate and version, and that the key is accepted. "
                "This is not a fault."
            ),
            causes=(
                OnOwnServer("It is Vaultwarden, which does not have this part."),
                OnOwnServer("It is an old version of the server."),
                "A proxy hides the paths under /public.",
            ),
            steps=(
                "Nothing needs to be done. The hub asks again at every check and shows more as soon as it is offered.",
                OnOwnServer("If it is Bitwarden's own server, update it or let the proxy pass /api/public."),
            ),
            remedy=Remedy.NOTHING,
        ),
        Reason.READS_PARTLY_REFUSED: Text(
            title="Some lists could not be read",
            meaning=(
                "The key is accepted and part of the data was read. These could not be read: {names}. "
                "What was not read is shown as not reported, never as zero."
            ),
            causes=(
                "The server had a passing fault.",
                OnOwnServer("The server is older than these lists."),
                OnOwnServer("A proxy lets only some paths through."),
            ),
            steps=(
                "Check again in a few minutes.",
                OnOwnServer("If it stays, update the server, and let the proxy pass everything under /api/public."),
                _STATUS_PAGE,
            ),
            remedy=Remedy.FIX_SERVER,
        ),
        Reason.READ_FAULT: Text(
            title="The key is accepted, reading had a fault",
            meaning=(
                "The server had a fault while reading some or all of the data. The status was {status}. "
                "The last good figures are kept with their time."
            ),
            causes=(
                OnCloud("Bitwarden has an outage."),
                OnOwnServer("The server's database is in trouble."),
                OnOwnServer("An update is not finished."),
            ),
            steps=(
                _STATUS_PAGE,
                OnOwnServer("On the server, look at the api log and at the database."),
                "Check again in a few minutes.",
            ),
            remedy=Remedy.FIX_SERVER,
        ),
        Reason.SLOW: Text(
            title="The server answers much slower than usual",
            meaning=(
                "The link works. Several checks in a row took more than three times as long as is usual for this "
                "account. The last one took {got}. On a usual day 19 of 20 take at most {expected}."
            ),
            causes=(
                OnOwnServer("The server or its database is busy, such as with a backup or an update."),
                OnCloud("Bitwarden has an outage that begins or ends."),
                "The way to the server is slow. Where several servers are slow at once, it is that of the hub.",
            ),
            steps=(
                OnOwnServer("On the server, look at memory, processor, disk and database."),
                _STATUS_PAGE,
                "If several servers are slow at once, look at the network of the hub's machine, and at its load.",
                "If it stays so, for instance because the server moved, it counts as usual after four days.",
            ),
            remedy=Remedy.FIX_SERVER,
        ),
        Reason.MEMBERS_EMPTY: Text(
            title="The server reports an organization without members",
            meaning=(
                "The key was accepted, and the list of members is empty. "
                "A real organization has at least its Owner, so it was probably deleted at this moment."
            ),
            causes=("The organization was just deleted.", "The server's data is being moved or restored."),
            steps=(
                "Check again in a minute. If the organization is gone, its key will be refused.",
                "Ask the Owner whether the organization still exists.",
            ),
            remedy=Remedy.ASK_OWNER,
        ),
    }
)

IDENTITY: Final[Mapping[Reason, Text]] = MappingProxyType(
    {
        Reason.WRONG_ORGANIZATION: Text(
            title="This key belongs to another organization",
            meaning=(
                "The key works, for an organization other than that of this account. The key opens {got}. "
                "This account is {expected}. The stored account was not changed."
            ),
            causes=("The key was copied from another organization of the same Owner.",),
            steps=(
                (
                    "Open the right organization in the web vault, and copy its key from Admin Console → Settings → "
                    "Organization info → View API key."
                ),
                "If you want to watch the other organization as well, link it as an account of its own.",
            ),
            remedy=Remedy.RELINK,
        ),
        Reason.ORGANIZATION_NOT_REPORTED: Text(
            title="The server does not say whose key it is",
            meaning=(
                "The key is accepted. The token does not name the organization, so the hub relies on the client ID "
                "that was entered."
            ),
            causes=("The server is not Bitwarden's own, and makes tokens of another form.",),
            steps=("Nothing needs to be done if the data shown is that of your organization.",),
            remedy=Remedy.NOTHING,
        ),
    }
)

HUB: Final[Mapping[Reason, Text]] = MappingProxyType(
    {
        Reason.STOPPED: Text(
            title="The check was stopped",
            meaning="A person stopped it, or the hub was shutting down. The key was not judged to the end.",
            causes=(),
            steps=("Check again when it suits you.",),
            remedy=Remedy.WAIT,
        ),
        Reason.INTERNAL: Text(
            title="The hub made a mistake",
            meaning=(
                "A fault in the hub itself ended the check. This says nothing about the key or the server. "
                "The stored account is unchanged."
            ),
            causes=(),
            steps=(
                "Check again once.",
                "If it comes back, report the time and what “linkhub doctor” prints. Neither contains a secret.",
            ),
            remedy=Remedy.REPORT,
        ),
    }
)
