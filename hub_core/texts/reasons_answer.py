"""The texts of answers that come from something in front of the server, or are no proper answers."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from hub_core.model import Reason, Remedy
from hub_core.texts.text import OnCloud, OnOwnServer, Text

if TYPE_CHECKING:
    from collections.abc import Mapping

_STATUS_PAGE = OnCloud("Look at Bitwarden's status page, status.bitwarden.com.")
_EXEMPT = OnOwnServer("On that proxy, exempt the paths /api and /identity. They have their own protection.")

ANSWER: Final[Mapping[Reason, Text]] = MappingProxyType(
    {
        Reason.REDIRECTED: Text(
            title="The server points to another address",
            meaning=(
                "The host {host} sent a redirect instead of an answer. It leads to {location}. "
                "The hub follows no redirect, because that could hand the key to a stranger. The key was not judged."
            ),
            causes=(
                OnOwnServer("The server moved to another name."),
                OnOwnServer("A sign-in page (Access, Authelia, Authentik) stands in front of the server."),
                "A network sign-in page answers in place of the server.",
            ),
            steps=(
                OnOwnServer("If the server moved, edit the address. The hub then asks for the secret again."),
                _EXEMPT,
                OnCloud("Check that the hub's machine has full access to the internet, with no sign-in page."),
                "Then check again.",
            ),
            remedy=Remedy.EDIT_SERVER,
        ),
        Reason.WEB_PAGE: Text(
            title="A web page answered instead of the server",
            meaning=(
                "Data was expected, and a page meant for people came. The host was {host}. The status was {status}. "
                "The key was not judged."
            ),
            causes=(
                OnOwnServer("The address is that of the web vault, without /api or /identity."),
                OnOwnServer("A sign-in page stands in front of the server."),
                "A network sign-in page or a filter answers in place of the server.",
            ),
            steps=(
                OnOwnServer("Edit the server: one address for both, or the two that end in /api and /identity."),
                _EXEMPT,
                OnCloud("Open the host in a browser on the hub's machine to see what answers there."),
                "Then check again.",
            ),
            remedy=Remedy.EDIT_SERVER,
        ),
        Reason.EDGE_BLOCKED: Text(
            title="The request was blocked before it reached the server",
            meaning=(
                "A protection in front of the server turned the hub away. The host was {host}. "
                "The status was {status}. The key was not judged. The ray id is {ray}."
            ),
            causes=(
                "The public IP address of the hub has a poor reputation (VPN, data center, shared exit).",
                "A rule there blocks programs or this country.",
            ),
            steps=(
                OnCloud("Contact Bitwarden's support. Give them the ray id {ray}."),
                OnOwnServer("Allow the hub's address in the protection in front of your server."),
                "Or let the hub reach the internet through another address.",
            ),
            remedy=Remedy.FIX_SERVER,
        ),
        Reason.EDGE_RATE_LIMITED: Text(
            title="Something in front of the server slows the hub down",
            meaning=(
                "A protection in front of the server refuses requests for now. It was not the server itself. "
                "The host was {host}. The key was not judged. The ray id is {ray}."
            ),
            causes=(
                "The public IP address of the hub is shared with many others or has a poor reputation.",
                "Other programs behind the same address ask too often.",
            ),
            steps=(
                "Wait some minutes before the next check. More tries prolong it. The pause asked for is {wait}.",
                "If it comes back, let the hub use another public address.",
                OnCloud("Bitwarden's support can look up the ray id {ray}."),
            ),
            remedy=Remedy.WAIT,
        ),
        Reason.TRAFFIC_UNUSUAL: Text(
            title="The traffic from your network looks unusual to the server",
            meaning=(
                "The server asks for proof that a person is at work, which a program cannot give. "
                "It says: “{message}”. The key was not judged."
            ),
            causes=("The public address of the hub is that of a VPN, a data center or a busy shared exit.",),
            steps=(
                "Let the hub reach the internet through another address, such as your office's own.",
                OnCloud("If you cannot, contact Bitwarden's support and name the public address."),
                "Then check again.",
            ),
            remedy=Remedy.FIX_SERVER,
        ),
        Reason.PROXY_PASSWORD: Text(
            title="A proxy in front of the server asks for a password",
            meaning=(
                "The question came from a proxy, not from Bitwarden. The host was {host}. "
                "The key was not judged. The hub has no password to give there."
            ),
            causes=(),
            steps=(
                _EXEMPT,
                OnCloud("Ask your network team which proxy answers in Bitwarden's place."),
                "Then check again.",
            ),
            remedy=Remedy.FIX_SERVER,
        ),
        Reason.APPLICATION_DOWN: Text(
            title="The proxy answers, the server behind it does not",
            meaning=(
                "The machine was reached, and no Bitwarden program answered. The host was {host}. "
                "The status was {status}. The key was not judged."
            ),
            causes=(
                OnOwnServer("The containers are stopped, starting, or failing to start."),
                OnOwnServer("Only one of them is down: API and identity run separately."),
                OnCloud("Bitwarden has an outage or maintenance."),
            ),
            steps=(
                OnOwnServer("On the server, look at the containers and at their logs (“docker ps”, “docker logs”)."),
                _STATUS_PAGE,
                "Check again in a few minutes.",
            ),
            remedy=Remedy.FIX_SERVER,
        ),
        Reason.RATE_LIMITED: Text(
            title="The server asks to wait",
            meaning=(
                "Too many requests came from the hub's public IP address. The pause asked for is {wait}. "
                "The key was not judged. This says nothing against it."
            ),
            causes=(
                "Many accounts were checked within a minute.",
                "Other programs or people signing in share the same address and the same limit.",
            ),
            steps=(
                "Check again when the countdown has ended. The hub holds back its own requests until then.",
                "If it comes back often, lower LINKHUB_TOKEN_LIMIT or find out what else uses this address.",
            ),
            remedy=Remedy.WAIT,
        ),
        Reason.BUDGET_SPENT: Text(
            title="The hub is pacing itself",
            meaning=(
                "The hub asks each server for only a few tokens a minute, and those are used up. "
                "Nothing was sent, and the key was not judged. A place is free in {wait}."
            ),
            causes=(),
            steps=("Check again in a minute. “Check all” keeps the pace by itself.",),
            remedy=Remedy.WAIT,
        ),
        Reason.ANSWER_TIMEOUT: Text(
            title="The server did not answer in time",
            meaning="The request was sent, and no complete answer came. The host was {host}. The key was not judged.",
            causes=(
                "The server is overloaded.",
                OnOwnServer("Its database is slow or stuck."),
                "The way to the server loses data.",
            ),
            steps=(
                "Check again in a few minutes.",
                OnOwnServer("If it stays, look at the load of the server and of its database."),
                _STATUS_PAGE,
            ),
            remedy=Remedy.FIX_SERVER,
        ),
        Reason.ANSWER_LOST: Text(
            title="The answer broke off",
            meaning="The exchange stopped in the middle. The host was {host}. The key was not judged.",
            causes=(
                "The server or a proxy restarted at that moment.",
                "A firewall or filter cut the exchange.",
                OnOwnServer("The server crashes on this request."),
            ),
            steps=(
                "Check again in a minute.",
                OnOwnServer("If it comes back, look at the logs of the proxy and of the server."),
                _STATUS_PAGE,
            ),
            remedy=Remedy.FIX_SERVER,
        ),
        Reason.ANSWER_TOO_LARGE: Text(
            title="The answer was larger than the hub accepts",
            meaning=(
                "The hub stops reading at a limit, to protect itself. The host was {host}. "
                "This answer says nothing about the key."
            ),
            causes=(
                "The address leads to something other than a Bitwarden server.",
                "The organization is far larger than any the hub was made for.",
            ),
            steps=(
                OnOwnServer("Check that the address leads to the server you mean."),
                "If it does, report this together with the number of members.",
            ),
            remedy=Remedy.REPORT,
        ),
        Reason.ANSWER_UNREADABLE: Text(
            title="The answer was damaged",
            meaning=(
                "An answer came, and its content could not be decoded. The host was {host}. "
                "This answer says nothing about the key."
            ),
            causes=(
                "A proxy changed or cut the answer.",
                "The address leads to something other than a Bitwarden server.",
            ),
            steps=(
                "Check again once.",
                OnOwnServer("If it stays, look at the proxy in front of the server, above all at compression."),
                OnCloud("If it stays, look for a filter between the hub and the internet."),
            ),
            remedy=Remedy.FIX_SERVER,
        ),
        Reason.ANSWER_UNEXPECTED: Text(
            title="The answer has a form the hub does not know",
            meaning=(
                "It is not an answer that a Bitwarden server is known to give. The host was {host}. "
                "The status was {status}. This answer says nothing about the key."
            ),
            causes=(
                "The address leads to another kind of server.",
                "A proxy replaced the answer with its own.",
                "The server is much older or newer than this hub.",
            ),
            steps=(
                OnOwnServer("Check that the address leads to the server you mean, and that no proxy rewrites answers."),
                "If the address is right, report this with what “linkhub doctor” prints. It contains no secret.",
            ),
            remedy=Remedy.REPORT,
        ),
        Reason.SERVER_FAULT: Text(
            title="The server answered with a fault",
            meaning=(
                "The server, or something in front of it, failed while handling the request. The host was {host}. "
                "The status was {status}. The key was not judged."
            ),
            causes=(
                OnCloud("Bitwarden has an outage or maintenance."),
                OnOwnServer("The server cannot reach its database."),
                OnOwnServer("An update or a change of settings went wrong."),
            ),
            steps=(
                _STATUS_PAGE,
                OnOwnServer("On the server, look at the logs of the api and identity containers."),
                "Check again in a few minutes.",
            ),
            remedy=Remedy.FIX_SERVER,
        ),
    }
)
