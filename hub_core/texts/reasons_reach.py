"""The texts of names, routes and certificates: the way to a server."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from hub_core.model import Reason, Remedy
from hub_core.texts.text import OnCloud, OnOwnServer, Text

if TYPE_CHECKING:
    from collections.abc import Mapping

_RENEW = "Renew the certificate on the server or on the proxy in front of it, reload it, then check again."
_STATUS_PAGE = OnCloud("Look at Bitwarden's status page, status.bitwarden.com.")

REACH: Final[Mapping[Reason, Text]] = MappingProxyType(
    {
        Reason.NAME_NOT_FOUND: Text(
            title="The server's name was not found",
            meaning="As seen from the hub, the name has no address. The name is {host}. The key was not judged.",
            causes=(
                OnOwnServer("A typing error in the address."),
                OnOwnServer("The name exists only inside another network, and the hub runs outside of it."),
                "The name server the hub uses is down, or a block list hides the name.",
            ),
            steps=(
                OnOwnServer("Compare the address with the one in the browser of somebody who can sign in."),
                "On the machine of the hub, look up the name with “nslookup”.",
                OnOwnServer("If the name is internal, run the hub inside that network."),
                OnCloud("Allow the two host names of the region in the name server or filter your network uses."),
            ),
            remedy=Remedy.EDIT_SERVER,
        ),
        Reason.NAME_TIMEOUT: Text(
            title="Looking up the server's name took too long",
            meaning=(
                "The name server gave no answer in time. Whether the name exists is open. The name is {host}. "
                "The key was not judged."
            ),
            causes=("The name server is slow or down.", "A firewall drops name requests of the hub."),
            steps=("Check the name servers set on the machine of the hub.", "Then check again."),
            remedy=Remedy.FIX_SERVER,
        ),
        Reason.CONNECTION_REFUSED: Text(
            title="Nothing answers at this address",
            meaning=(
                "The machine was reached, and it refused to talk on this port. The host was {host}. "
                "The key was not judged."
            ),
            causes=(
                OnOwnServer("The server or the proxy in front of it is stopped."),
                OnOwnServer("The port is wrong."),
                "A firewall refuses the hub.",
            ),
            steps=(
                OnOwnServer("Make sure the server is running and listens on the port in the address."),
                OnOwnServer("Correct the port in the address if it moved."),
                "Allow outgoing HTTPS from the hub to this host in the firewall.",
                _STATUS_PAGE,
            ),
            remedy=Remedy.FIX_SERVER,
        ),
        Reason.CONNECTION_TIMEOUT: Text(
            title="The server could not be reached in time",
            meaning=(
                "No sign of life came back. The host was {host}. Whether the server is down or the way to it is "
                "blocked cannot be told from here. The key was not judged."
            ),
            causes=(
                "A firewall drops the packets without a word.",
                "Your network lets programs out only through a proxy.",
                OnOwnServer("The machine is off, or its address changed."),
                "The name has an IPv6 address, and the way there is broken.",
            ),
            steps=(
                "Allow outgoing HTTPS from the hub to this host in the firewall.",
                "If your network needs a proxy, whoever runs the hub sets it in LINKHUB_PROXY.",
                OnOwnServer("Make sure the machine is up and the name leads to it."),
                _STATUS_PAGE,
            ),
            remedy=Remedy.FIX_SERVER,
        ),
        Reason.NO_ROUTE: Text(
            title="There is no way to this network",
            meaning="The hub's machine knows no way to that network. The host was {host}. The key was not judged.",
            causes=(
                "The hub's machine is offline.",
                OnOwnServer("A VPN to the server's network is down."),
                "The name has only an IPv6 address, and the hub has no IPv6.",
            ),
            steps=(
                "Check the network of the hub's machine. If every account is unreachable, this is the cause.",
                OnOwnServer("Bring up the VPN, or give the server an IPv4 address."),
            ),
            remedy=Remedy.FIX_SERVER,
        ),
        Reason.PROXY_FAILED: Text(
            title="The outgoing proxy did not let the request through",
            meaning=(
                "The hub is set to use a proxy, and the proxy gave no way to the server. The host was {host}. "
                "The proxy's status was {status}. The key was not judged."
            ),
            causes=(
                "The proxy is down, or its address in LINKHUB_PROXY is wrong.",
                "The proxy does not allow this host or port.",
                "The proxy asks for a password, which the hub does not send.",
            ),
            steps=(
                "Whoever runs the hub checks LINKHUB_PROXY.",
                "Ask the network team to allow this host on the proxy for the hub, without a password.",
            ),
            remedy=Remedy.FIX_SERVER,
        ),
    }
)

TLS: Final[Mapping[Reason, Text]] = MappingProxyType(
    {
        Reason.CERTIFICATE_EXPIRED: Text(
            title="The server's certificate has expired",
            meaning=(
                "Its time of validity is over. The host was {host}. The certificate ended on {ends}. "
                "Nothing was sent, and the key was not judged."
            ),
            causes=("Its automatic renewal stopped.", "It was renewed, and the server still uses the old one."),
            steps=(OnOwnServer(_RENEW), "Check the clock of the hub's machine.", _STATUS_PAGE),
            remedy=Remedy.FIX_SERVER,
        ),
        Reason.CERTIFICATE_NOT_YET_VALID: Text(
            title="The server's certificate is not valid yet",
            meaning="Its first day of validity lies in the future. Nothing was sent, and the key was not judged.",
            causes=(
                "The clock of the hub's machine is behind.",
                OnOwnServer("The certificate was made on a machine whose clock is ahead."),
            ),
            steps=(
                "Check the clock of the hub's machine and turn on time synchronization.",
                OnOwnServer("If that clock is right, make the certificate again."),
            ),
            remedy=Remedy.FIX_SERVER,
        ),
        Reason.CERTIFICATE_SELF_SIGNED: Text(
            title="The server's certificate is self-signed",
            meaning=(
                "No authority vouches for it, so the hub cannot tell this server from an impostor. "
                "The host was {host}. Nothing was sent, and the key was not judged."
            ),
            causes=(
                OnOwnServer("The server was set up with a certificate of its own."),
                "Something between the hub and the server answers in its place.",
            ),
            steps=(
                OnOwnServer("Edit the server of this account and paste its certificate (PEM) as CA certificate."),
                OnOwnServer("Or give the server a certificate of a public authority."),
                OnCloud("Do not trust it. Ask your network team what answers in Bitwarden's place."),
                "There is no switch that turns the check off: the key has the powers of an Owner.",
            ),
            remedy=Remedy.EDIT_SERVER,
        ),
        Reason.CERTIFICATE_UNKNOWN_ISSUER: Text(
            title="The certificate comes from an unknown authority",
            meaning=(
                "The hub's machine does not know whoever issued it. The host was {host}. The issuer is {issuer}. "
                "Nothing was sent, and the key was not judged."
            ),
            causes=(
                OnOwnServer("The server uses a private authority of your company."),
                OnOwnServer("The server does not send its intermediate certificate. Browsers hide that."),
                "A program that inspects encrypted traffic sits in between.",
            ),
            steps=(
                OnOwnServer("Edit the server of this account and paste the CA certificate (PEM) of that authority."),
                "Or install that CA in the trust store of the hub's machine.",
                OnOwnServer("If browsers accept the server, let it send the full chain."),
            ),
            remedy=Remedy.EDIT_SERVER,
        ),
        Reason.CERTIFICATE_INTERCEPTED: Text(
            title="A Bitwarden host showed an untrusted certificate",
            meaning=(
                "Bitwarden's hosts have certificates of public authorities, and the hub's machine does not trust "
                "this one. "
                "The host was {host}. The issuer is {issuer}. "
                "Nothing was sent, and the key was not judged."
            ),
            causes=(
                "A company proxy or a security program inspects encrypted traffic.",
                "The trust store of the hub's machine is missing or out of date.",
                "A stranger in the network answers in Bitwarden's place.",
            ),
            steps=(
                "Ask your network team whether they know this issuer and inspect encrypted traffic.",
                "Best: have the two host names of the region exempted from inspection.",
                (
                    "Otherwise install the company's CA in the trust store of the hub's machine. "
                    "The inspecting program can then read the key."
                ),
            ),
            remedy=Remedy.FIX_SERVER,
        ),
        Reason.CERTIFICATE_WRONG_NAME: Text(
            title="The certificate is for another name",
            meaning=(
                "The server showed a certificate that does not list the name in the address. The address says {host}. "
                "The certificate names {names}. Nothing was sent, and the key was not judged."
            ),
            causes=(
                OnOwnServer("The address uses an IP address or an alias that the certificate does not list."),
                OnOwnServer("The proxy shows the certificate of another site."),
                "The name leads to the wrong machine.",
            ),
            steps=(
                OnOwnServer("Edit the server and use a name that the certificate lists."),
                OnOwnServer("Or have a certificate issued that lists this name."),
                OnCloud("Ask your network team what answers in Bitwarden's place."),
                "Then check again.",
            ),
            remedy=Remedy.EDIT_SERVER,
        ),
        Reason.CERTIFICATE_LEGACY_CA: Text(
            title="The private authority does not follow current rules",
            meaning=(
                "The CA certificate is known, and it lacks a mark that is required today. Older programs accept it. "
                "The report says “{message}”. Nothing was sent, and the key was not judged."
            ),
            causes=("The CA certificate was made without “Basic Constraints” marked as critical.",),
            steps=(
                (
                    "Whoever runs the private authority issues the CA certificate again, with critical Basic "
                    "Constraints and Key Usage."
                ),
                "Then replace it on the server and in the CA field of this account.",
            ),
            remedy=Remedy.FIX_SERVER,
        ),
        Reason.CERTIFICATE_ENDS_SOON: Text(
            title="The server's certificate ends soon",
            meaning=(
                "The link works. The certificate ends on {ends}. The time left is {days}. The host is {host}. "
                "Once the certificate has ended, the hub and every other program stop reaching the server."
            ),
            causes=(),
            steps=(
                OnOwnServer(_RENEW),
                OnCloud("Bitwarden renews its certificates itself. There is nothing to do on your side."),
                "Check again a few days before the end.",
            ),
            remedy=Remedy.FIX_SERVER,
        ),
        Reason.CLIENT_CERTIFICATE_WANTED: Text(
            title="The server asks for a client certificate",
            meaning=(
                "Only visitors that show a certificate of their own are admitted, and the hub cannot show one. "
                "The host was {host}. The key was not judged."
            ),
            causes=("The proxy in front of the server demands it (mTLS).",),
            steps=("On that proxy, exempt the paths /api and /identity for the hub's address.",),
            remedy=Remedy.FIX_SERVER,
        ),
        Reason.TLS_FAILED: Text(
            title="No encrypted exchange could be agreed on",
            meaning=(
                "The server was reached, and setting up encryption failed. The report says “{message}”. "
                "Nothing was sent, and the key was not judged."
            ),
            causes=(
                OnOwnServer("The port speaks plain HTTP."),
                OnOwnServer("The server offers only old TLS versions."),
                OnOwnServer("The proxy knows no site of this name."),
                "Something in between cuts the exchange.",
            ),
            steps=(
                OnOwnServer("Check address and port, and that the server offers TLS 1.2 or newer."),
                OnCloud("Ask your network team whether encrypted traffic to this host is filtered."),
                "Then check again.",
            ),
            remedy=Remedy.EDIT_SERVER,
        ),
        Reason.TLS_TIMEOUT: Text(
            title="Setting up encryption took too long",
            meaning="The server was reached and then went silent. The host was {host}. The key was not judged.",
            causes=(
                OnOwnServer("The server is overloaded."),
                OnOwnServer("The port belongs to another program."),
                "A firewall lets the first packets through and drops the rest.",
            ),
            steps=(
                "Check again in a few minutes.",
                OnOwnServer("If it stays, look at the load of the server and at the port in the address."),
                "If only the hub is affected, ask your network team about filters on the way.",
            ),
            remedy=Remedy.FIX_SERVER,
        ),
    }
)
