"""A process of its own in which Apprise runs: what it connects to is checked, what it prints and logs goes nowhere.

Read from standard input: one order as JSON; written to standard output: one answer as JSON. Apprise chooses hosts by
itself, follows its own libraries and may log addresses, so it gets no part in the hub's process.
"""

from __future__ import annotations

import ipaddress
import json
import logging
import os
import re
import socket
import sys
from typing import TYPE_CHECKING, Any, Final, NoReturn
from urllib.parse import unquote, urlsplit

from hub_core.alerts.confinement import confine
from hub_core.bitwarden.policy import OutboundPolicy
from hub_core.errors import RemoteError

if TYPE_CHECKING:
    from collections.abc import Callable

_SERVICES: Final = """
mailto mailtos mailgun sendgrid postmark resend brevo smtp2go sparkpost mailersend ses sns
slack discord guilded workflow workflows gchat mmost mmosts rocket rockets matrix matrixs mastodon mastodons toot toots
zulip webex wxteams twist ryver lark feishu dingtalk wecombot nctalk nctalks ncloud nclouds synology synologys flock
cliq zcliq zohocliq stackfield line zoom tgram signal signals threema whatsapp revolt
ntfy ntfys gotify gotifys pover pbul prowl bark barks join spush simplepush pushy psafer psafers push notica noticas
lametric lametrics onesignal notifiarr pushplus schan
pagerduty opsgenie splunk victorops pagertree squadcast incidentio ilert goalert goalerts betterstack spike signl4
xmatters firehydrant jira github twilio nexmo vonage sinch plivo clicksend msg91 seven bulksms telnyx d7sms msgbird
kavenegar infobip smseagle smseagles voipms
hassio hassios ifttt json jsons xml xmls form forms apprise apprises
"""
SCHEMAS: Final = frozenset(_SERVICES.split())
"""The services offered: those that are reached over the network alone. Nothing on this machine is among them, nothing
that reads files, and nothing that was added to Apprise by others."""

_NOT_UNDERSTOOD: Final = "Apprise does not understand this {}:// address. Its manual says what it looks like."
_NO_FILES: Final = "Leave out what names files: nothing is read from this machine for a message."
_FILES: Final = re.compile(r"pgp|keyfile=|attach=|file=|template=[^&;]*/")
_CONNECT_S, _READ_S = 5.0, 10.0


class Watchman:
    """Checks every address that this process is about to contact."""

    def __init__(self, policy: OutboundPolicy) -> None:
        self._policy = policy
        self._names: dict[str, str] = {}
        self._proxy = urlsplit(policy.proxy).netloc if policy.proxy else ""
        self.refused = ""
        """The host and rule of what was refused last."""

    def stand(self) -> None:
        """Have every socket of this process ask first."""
        ask = socket.getaddrinfo

        def getaddrinfo(host: Any, port: Any, *rest: Any, **named: Any) -> Any:
            found = ask(host, port, *rest, **named)
            name = host.decode("ascii", "replace") if isinstance(host, bytes) else str(host or "")
            self._names.update({str(entry[4][0]): name.lower() for entry in found})
            return found

        socket.getaddrinfo = getaddrinfo
        for name in ("connect", "connect_ex", "sendto", "sendmsg"):
            setattr(socket.socket, name, self._asking(getattr(socket.socket, name)))

    def _asking(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def reach(sock: socket.socket, *given: Any) -> Any:
            target = next((value for value in reversed(given) if isinstance(value, tuple)), None)
            if sock.family not in {socket.AF_INET, socket.AF_INET6}:
                raise PermissionError("not over the network")
            if target is not None:
                self._check(str(target[0]), int(target[1]))
            return original(sock, *given)

        return reach

    def read_along(self) -> None:
        """Have every web request ask first: nothing goes in the clear, or to a number by way of a proxy, unasked.

        What a name comes to behind a proxy, the proxy decides.
        """
        from requests import Session  # noqa: PLC0415 - comes with Apprise

        send = Session.send

        def asking(session: Session, request: Any, **named: Any) -> Any:
            parts = urlsplit(request.url)
            secure, host = parts.scheme == "https", parts.hostname or ""
            self._check_request(host, parts.port or (443 if secure else 80), secure=secure)
            return send(session, request, **named)

        Session.send = asking  # type: ignore[assignment, method-assign]  # of this process alone

    def _check_request(self, host: str, port: int, *, secure: bool) -> None:
        if not secure and not self._policy.plaintext_allowed(host, port):
            self._refuse(host, "plain http")
        if self._proxy:
            try:
                if _is_numeric(host):
                    self._policy.check(host, host=host, port=port)
                self._policy.check_port(host, port)
            except RemoteError as error:
                self._refuse(host, error.evidence.get("rule", ""))

    def _check(self, host: str, port: int) -> None:
        try:
            ipaddress.ip_address(host.partition("%")[0])
        except ValueError:
            # Looked up by the socket itself: what it would come to is not known, so it is looked up here.
            for entry in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM):
                self._check(str(entry[4][0]), port)
            return
        name = self._names.get(host, host)
        if self._proxy in {f"{name}:{port}", f"{host}:{port}"}:
            return
        try:
            self._policy.check(host, host=name, port=port)
        except RemoteError as error:
            self._refuse(name, error.evidence.get("rule", ""))

    def _refuse(self, name: str, rule: str) -> NoReturn:
        self.refused = f"{name} ({rule})"
        raise PermissionError("not allowed") from None


def obey(order: dict[str, Any]) -> dict[str, str]:
    """Check an address, or send a message to it; return what came of it, in words without the address."""
    url, policy = str(order["url"]), policy_of(order["policy"])
    scheme = url.partition("://")[0].lower()
    wrong = _refusal(url, scheme)
    if wrong:
        return {"wrong": wrong}
    watchman = Watchman(policy)
    watchman.stand()
    plugin = _instance(url)
    wrong = _misuse(plugin, scheme, policy) if plugin else _NOT_UNDERSTOOD.format(scheme)
    if wrong:
        return {"wrong": wrong}
    if order["do"] == "check":
        return {"hint": _hint(plugin, scheme)}
    watchman.read_along()
    return _send(plugin, order, watchman, scheme)


def _send(plugin: Any, order: dict[str, Any], watchman: Watchman, scheme: str) -> dict[str, str]:
    failed = f"The service behind {scheme}:// did not take the message."
    try:
        sent = plugin.notify(body=order["text"], title=order["title"], notify_type=order["type"], body_format="text")
    except Exception as error:  # noqa: BLE001 - whatever a service's code does, it says nothing of the address here
        sent, failed = False, f"Apprise failed while sending ({type(error).__name__})."
    if watchman.refused and not sent:
        failed = f"This hub may not contact {watchman.refused}. The operator decides what it may contact."
    return {"sent": "yes"} if sent else {"failed": failed}


def _is_numeric(host: str) -> bool:
    """Tell whether a host is a number, also in a spelling that only some resolvers take for one."""
    last = host.rstrip(".").rpartition(".")[2]
    return ":" in host or re.fullmatch(r"[0-9]+|0x[0-9a-f]*", last.lower()) is not None


def policy_of(values: dict[str, Any]) -> OutboundPolicy:
    """Return the policy that `apprising` wrote down."""
    return OutboundPolicy(
        shared=values["shared"],
        hosts=frozenset(values["hosts"]),
        networks=tuple(map(ipaddress.ip_network, values["networks"])),
        loopback=frozenset(values["loopback"]),
        ports=frozenset(values["ports"]),
        plaintext_hosts=frozenset(values["plaintext_hosts"]),
        proxy=values["proxy"],
    )


def _refusal(url: str, scheme: str) -> str:
    if "://" not in url or any(char.isspace() or not char.isprintable() for char in url):
        return "An Apprise address is one word that begins with the name of a service, such as ntfys://."
    if scheme not in SCHEMAS:
        return "This service is not offered: only those are that are reached over the network and read no files."
    query = unquote(unquote(url.partition("?")[2])).lower()
    return _NO_FILES if _FILES.search(query) else ""


def _instance(url: str) -> Any:
    from apprise import Apprise, AppriseAsset  # noqa: PLC0415 - an extra, and slow to load

    asset = AppriseAsset(storage_mode="memory", app_id="Link Hub", app_desc="Link Hub for Bitwarden", app_url="")
    try:
        plugin = Apprise.instantiate(url, asset=asset)
    except Exception:  # noqa: BLE001 - its text may hold the address
        return None
    if plugin is None or not type(plugin).__module__.startswith("apprise.plugins."):
        return None
    plugin.verify_certificate, plugin.redirects = True, False
    plugin.socket_connect_timeout, plugin.socket_read_timeout = _CONNECT_S, _READ_S
    return plugin


def _misuse(plugin: Any, scheme: str, policy: OutboundPolicy) -> str:
    """Return why an address may not be used: it names a file, or travels in the clear where that is not allowed."""
    from apprise import AppriseAttachment  # noqa: PLC0415 - as above

    if any(isinstance(value, AppriseAttachment) and len(value) for value in vars(plugin).values()):
        return _NO_FILES  # such as a template, which is a file of this machine or an address to fetch it from
    secure = plugin.secure_protocol
    secure = secure if isinstance(secure, str) else next(iter(secure or ()), "")
    mode = getattr(plugin, "secure_mode", None)  # of mail, which may be secure by either scheme, and by neither
    if (plugin.secure if mode is None else mode != "insecure") or not plugin.protocol or not secure:
        return ""
    host = str(getattr(plugin, "smtp_host", "") or plugin.host or "")
    if policy.plaintext_allowed(host, int(plugin.port or 80)):
        return ""
    return f"In {scheme}:// messages travel readable to everyone on the way. Use {secure}://" + (
        " without mode=insecure." if mode else "."
    )


def _hint(plugin: Any, scheme: str) -> str:
    """Return what may be shown: the host only where every form of the address has one; it may be a token elsewhere."""
    has_host = all("{host}" in template for template in plugin.templates)
    return f"{scheme}://{plugin.host}" if has_host and plugin.host else f"{scheme}://"


def main() -> None:
    """Obey one order."""
    order = json.load(sys.stdin)
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    logging.disable()
    confine()
    json.dump(obey(order), answers)
    answers.close()


if __name__ == "__main__":
    main()
