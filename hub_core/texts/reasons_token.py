"""The texts of what the server says about itself, and of what it says to the key."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from hub_core.model import Reason, Remedy
from hub_core.texts.text import OnCloud, OnOwnServer, Text

if TYPE_CHECKING:
    from collections.abc import Mapping

_OPEN_INFO = (
    "Ask an Owner to open Admin Console → Settings → Organization info → View API key, and compare the client ID."
)
_NTP = "Turn on time synchronization (NTP) on the machine whose clock is off, then check again."

SERVER: Final[Mapping[Reason, Text]] = MappingProxyType(
    {
        Reason.API_PATH_WRONG: Text(
            title="There is no Bitwarden API at this address",
            meaning=(
                "The server answers, and has nothing under the API path. The host was {host}. "
                "No secret was sent, and the key was not judged."
            ),
            causes=(
                OnOwnServer("“/api” is missing, or stands there twice."),
                OnOwnServer("The identity address was entered as the API address."),
                OnOwnServer("The server is installed under a sub-path, such as /bitwarden."),
                OnOwnServer("The API is switched off on this server."),
                "Something in front of the server answers in its place.",
            ),
            steps=(
                OnOwnServer("Edit the server and enter the address at which the web vault opens in a browser."),
                OnOwnServer("If API and identity have different addresses, enter both."),
                OnCloud("Check that the hub's machine reaches the internet without a filter."),
                "Then check again.",
            ),
            remedy=Remedy.EDIT_SERVER,
        ),
        Reason.HOSTS_MISMATCH: Text(
            title="API and identity belong to different servers",
            meaning=(
                "The API names another identity host than the one set here. The API says {got}. "
                "Set here is {expected}. The hub stopped before any secret was sent, so the key was not judged."
            ),
            causes=(
                "The addresses of two regions were mixed.",
                OnOwnServer("One of the two addresses is that of another server."),
            ),
            steps=(
                "Choose the region in which people of this organization sign in. Its two hosts belong together.",
                OnOwnServer("Or edit the server, so that both addresses are of the same installation."),
            ),
            remedy=Remedy.CHOOSE_REGION,
        ),
        Reason.HOSTS_RENAMED: Text(
            title="The server calls itself by another name",
            meaning=(
                "The server's settings name another address than the one in use. The settings say {got}. "
                "In use is {expected}. On self-hosted servers this is common and mostly harmless."
            ),
            causes=(
                OnOwnServer("The server is reached through a proxy or by a second name."),
                OnOwnServer("It was renamed, and its settings still hold the old name."),
                "The address leads to another server than the one you mean.",
            ),
            steps=(
                "Make sure that both names mean the same server.",
                OnOwnServer("If it was renamed, correct the address in the server's settings or in this account."),
            ),
            remedy=Remedy.NOTHING,
        ),
        Reason.SERVER_UNKNOWN: Text(
            title="The server does not say what it is",
            meaning=(
                "Whether it is Bitwarden's own program or another is not clear. It calls itself {server}. "
                "The hub goes on and judges by what it answers."
            ),
            causes=(
                OnOwnServer("It is an old version."),
                OnOwnServer("It is another server that follows Bitwarden's interface."),
                "A proxy hides the answer.",
            ),
            steps=("Make sure that the address is the one you mean. A wrong server would be given the key.",),
            remedy=Remedy.NOTHING,
        ),
        Reason.CLOCK_SKEW: Text(
            title="The server's clock and the hub's clock differ",
            meaning=(
                "The link works. The difference is {skew}. Which of the two clocks is off is not certain. "
                "A server whose clock is off by minutes begins to refuse tokens and licenses."
            ),
            causes=(
                OnOwnServer("The server's clock is not synchronized."),
                "The clock of the hub's machine is not synchronized.",
            ),
            steps=(_NTP,),
            remedy=Remedy.FIX_SERVER,
        ),
        Reason.CLOCK_WRONG_HERE: Text(
            title="The clock of the hub's machine is wrong",
            meaning=(
                "It differs from a clock that can be trusted. The difference is {skew}. "
                "Times shown by the hub are off by as much. This says nothing about the key."
            ),
            causes=("Time synchronization is off.", "The machine was suspended."),
            steps=("Turn on time synchronization (NTP) on the machine of the hub, then check again.",),
            remedy=Remedy.FIX_SERVER,
        ),
    }
)

TOKEN: Final[Mapping[Reason, Text]] = MappingProxyType(
    {
        Reason.IDENTITY_PATH_WRONG: Text(
            title="There is no Bitwarden sign-in at this address",
            meaning=(
                "The server answers, and has nothing under the identity path. The host was {host}. "
                "The status was {status}. The key was not judged."
            ),
            causes=(
                OnOwnServer("“/identity” is missing, or stands there twice."),
                OnOwnServer("The API address was entered as the identity address."),
                OnOwnServer("The identity part is switched off on this server."),
                "Something in front of the server answers in its place.",
            ),
            steps=(
                OnOwnServer("Edit the server and enter the address at which the web vault opens in a browser."),
                OnOwnServer("If API and identity have different addresses, enter both."),
                OnCloud("Check that the hub's machine reaches the internet without a filter."),
                "Then check again.",
            ),
            remedy=Remedy.EDIT_SERVER,
        ),
        Reason.KEY_NEVER_ACCEPTED: Text(
            title="Bitwarden refused this key",
            meaning=(
                "The server refused this client ID with this secret. That is certain. The server asked was {host}. "
                "The cause is not certain: Bitwarden gives one and the same answer (invalid_client) to all of those "
                "below. This key has not worked here before, so a mix-up or a slip while copying is more likely "
                "than a change."
            ),
            causes=(
                OnCloud("The organization lives in another region. Its people sign in at another address."),
                OnCloud("The key is that of an organization on a self-hosted server, which has a key of its own."),
                OnOwnServer(
                    "The key is that of the organization on Bitwarden's cloud. "
                    "The organization on your own server has another client ID and another secret."
                ),
                "The secret was not copied exactly, is of another organization, or was rotated since.",
                "It is another kind of key, such as the one for SCIM or for billing sync.",
                "The organization's plan has no API. Teams and Enterprise have it, Free and Families do not.",
                OnCloud("The organization is disabled: its subscription has lapsed or was cancelled."),
                OnOwnServer("The organization is disabled: its license has expired or is not accepted."),
            ),
            steps=(
                OnCloud(
                    "Look at the address at which people of this organization sign in: vault.bitwarden.com is US, "
                    "vault.bitwarden.eu is EU, vault.bitwarden-gov.com is Government. Choose that region."
                ),
                OnOwnServer("Sign in to the web vault of your own server, not to Bitwarden's cloud."),
                (
                    "Ask an Owner to open Admin Console → Settings → Organization info → View API key, and copy "
                    "client ID and secret again with the copy buttons."
                ),
                "If there is no API key section on that page, the plan has no API.",
                OnCloud("In Admin Console → Billing → Subscription, see whether the organization is active."),
                OnOwnServer("In Admin Console → Billing → Subscription, see whether the license is valid."),
            ),
            remedy=Remedy.CORRECT_INPUT,
        ),
        Reason.KEY_NO_LONGER_ACCEPTED: Text(
            title="Bitwarden no longer accepts this key",
            meaning=(
                "The server now refuses the key that it accepted before. That is certain. "
                "The server asked was {host}. The cause is not certain: Bitwarden gives one and the same answer "
                "(invalid_client) to all of those below."
            ),
            causes=(
                "Somebody rotated the key. An organization has only one, and Bitwarden keeps no event of it.",
                OnCloud("The organization was disabled: its subscription has lapsed or was cancelled."),
                OnOwnServer("The license has expired or is no longer accepted, which disables the organization."),
                "The plan was changed to one without API, such as Families.",
                "The organization was deleted.",
            ),
            steps=(
                (
                    "Ask an Owner to open Admin Console → Settings → Organization info → View API key. "
                    "If the secret there is a new one, relink this account with it."
                ),
                "If there is no API key section on that page, the plan has no API.",
                OnCloud("In Admin Console → Billing → Subscription, see whether the organization is active."),
                OnOwnServer(
                    "In Admin Console → Billing → Subscription, see whether the license is valid. "
                    "The server's api log says why a license was turned down."
                ),
                "Give a rotated key also to every other program that uses it, such as directory sync or event export.",
            ),
            remedy=Remedy.RELINK,
        ),
        Reason.SCOPE_REFUSED: Text(
            title="The key is right, and its use was not granted",
            meaning=(
                "The server accepted client ID and secret, and did not grant the access that an organization key gives "
                "(invalid_scope). On Bitwarden's own servers this does not happen to organization keys."
            ),
            causes=(
                "The server is a variant that treats organization keys differently.",
                "A fault in this hub.",
            ),
            steps=("Report this with what “linkhub doctor” prints. It contains no secret.",),
            remedy=Remedy.REPORT,
        ),
        Reason.GRANT_REFUSED: Text(
            title="The server did not accept the way the key was sent",
            meaning=(
                "The server does not offer the exchange of a key for a token, or part of the request was lost on the "
                "way. On Bitwarden's own servers this answer means that client ID and secret are right."
            ),
            causes=("A proxy changed the request.", "The server is too old, or does not know organization keys."),
            steps=(
                OnOwnServer("Look for a proxy that rewrites requests to /identity."),
                OnOwnServer("Update the server if it is older than organization keys."),
                "If neither fits, report this with what “linkhub doctor” prints. It contains no secret.",
            ),
            remedy=Remedy.REPORT,
        ),
        Reason.REQUEST_MANGLED: Text(
            title="The request did not arrive as it was sent",
            meaning=(
                "The server says that the request lacks something (invalid_request) which the hub always sends. "
                "The key was not judged."
            ),
            causes=(
                "A proxy or redirect on the way changed the request or dropped its content.",
                "A fault in this hub.",
            ),
            steps=(
                OnOwnServer("Look for a proxy that rewrites requests to /identity, or turns http into https."),
                OnCloud("Look for a proxy or filter between the hub and the internet."),
                "If there is none, report this with what “linkhub doctor” prints. It contains no secret.",
            ),
            remedy=Remedy.REPORT,
        ),
        Reason.TOKEN_REQUEST_BLOCKED: Text(
            title="Something in front of the server refused the key exchange",
            meaning=(
                "The refusal does not have the form that Bitwarden gives it. The status was {status}. "
                "The key was not judged. The ray id is {ray}."
            ),
            causes=(
                "A protection in front of the server distrusts the hub's address or program.",
                "A proxy replaces the server's answers with its own.",
            ),
            steps=(
                OnOwnServer("Let the proxy pass requests and answers of /identity unchanged."),
                OnCloud("Let the hub reach the internet through another address, and check again."),
                OnCloud("If it stays, contact Bitwarden's support. Give them the ray id {ray}."),
                "If nothing of this fits, report it with what “linkhub doctor” prints. It contains no secret.",
            ),
            remedy=Remedy.FIX_SERVER,
        ),
        Reason.TOKEN_FAULT: Text(
            title="The server failed while judging the key",
            meaning="A fault inside the server stopped the exchange. The status was {status}. The key was not judged.",
            causes=(
                OnCloud("Bitwarden has an outage."),
                OnOwnServer("The server cannot reach its database."),
                "The organization has never had an API key made. Viewing the key once makes it.",
            ),
            steps=(
                OnCloud("Look at Bitwarden's status page, status.bitwarden.com."),
                OnOwnServer("On the server, look at the log of the identity container and at the database."),
                _OPEN_INFO,
                "Check again in a few minutes.",
            ),
            remedy=Remedy.FIX_SERVER,
        ),
        Reason.VAULTWARDEN_UNKNOWN_ID: Text(
            title="This server does not know the organization",
            meaning=(
                "Vaultwarden says that no organization key with this client ID exists here. That is certain. "
                "The key worked until {worked_until}. The secret was not looked at."
            ),
            causes=(
                "The client ID is of an organization on another server or on Bitwarden's cloud.",
                "The organization's key was never viewed, and so was never made.",
                "The organization was deleted, or the server's data was replaced.",
            ),
            steps=(
                "Sign in to the web vault of this very server as an Owner.",
                "Open Admin Console → Settings → Organization info → View API key, and copy client ID and secret.",
                "Or edit the server, if the organization lives on another one.",
            ),
            remedy=Remedy.CORRECT_INPUT,
        ),
        Reason.VAULTWARDEN_WRONG_SECRET: Text(
            title="The secret is wrong",
            meaning=(
                "Vaultwarden knows this organization and says that the secret does not match. That is certain. "
                "The key worked until {worked_until}."
            ),
            causes=("The key was rotated.", "The secret was not copied exactly, or is of another organization."),
            steps=(
                (
                    "Ask an Owner to open Admin Console → Settings → Organization info → View API key on this server, "
                    "and enter the secret shown there."
                ),
            ),
            remedy=Remedy.RELINK,
        ),
        Reason.VAULTWARDEN_REFUSED: Text(
            title="Vaultwarden refused the request",
            meaning=(
                "It says “{message}”. Vaultwarden looks at other things before it judges a key, "
                "so the key may still be good."
            ),
            causes=(
                "The version is too old. Organization keys exist since 1.29.0.",
                "A setting or a proxy of the server stands in the way.",
            ),
            steps=(
                "Look at the version in Vaultwarden's admin page, and update it if it is old.",
                "On the server, look at Vaultwarden's log for the time of this check.",
            ),
            remedy=Remedy.FIX_SERVER,
        ),
        Reason.KEY_OVERDUE: Text(
            title="The key has not been proven for too long",
            meaning=(
                "The link works with an access token that was given earlier. Whether the key is still accepted is not "
                "known, since no fresh token could be had. The key was last proven at {worked_until}. "
                "The time without proof was {wait}."
            ),
            causes=(
                "Somebody else uses up the token requests that the server allows this address, such as another hub.",
                "The server asks everybody at this address to wait.",
                "People check many accounts at this moment, and routine waits for them.",
            ),
            steps=(
                "Check this account now. What a person asks for goes before routine.",
                "If it comes back, let one hub check these organizations, and look for other programs with API keys.",
                "Until then a rotated key would not be noticed. Everything else is checked as always.",
            ),
            remedy=Remedy.WAIT,
        ),
    }
)
