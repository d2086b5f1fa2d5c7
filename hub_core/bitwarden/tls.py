"""TLS as we insist on it: contexts, the stream, what a certificate says, and what each failure means.

There is no way to switch verification off. A failure is told apart by OpenSSL's verify code, never by
its text, and carries what the refused certificate said about itself.
"""

from __future__ import annotations

import hashlib
import re
import ssl
import sys
import threading
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from hub_core.errors import InputError, RemoteError
from hub_core.model import Reason

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from cryptography.x509 import Certificate, Name

CA_LIMIT = 100_000
"""Characters of a CA text; the whole bundle of an operating system is twice that."""

_RECORD = 16 * 1024
_NAMES_SHOWN = 8
_NAME_KINDS = ("DNS", "IP Address")
_BLOCK = re.compile(r"-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----")
_UNPRINTABLE = re.compile(r"[^\x20-\x7e\u00a1-\ud7ff\ue000-\ufffd]")

# Where systems keep their bundle when OpenSSL's own default holds nothing (a Python built elsewhere).
_BUNDLES = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
)

_BY_VERIFY_CODE = {
    9: Reason.CERTIFICATE_NOT_YET_VALID,
    10: Reason.CERTIFICATE_EXPIRED,
    18: Reason.CERTIFICATE_SELF_SIGNED,
    2: Reason.CERTIFICATE_UNKNOWN_ISSUER,
    19: Reason.CERTIFICATE_UNKNOWN_ISSUER,
    20: Reason.CERTIFICATE_UNKNOWN_ISSUER,
    21: Reason.CERTIFICATE_UNKNOWN_ISSUER,
    62: Reason.CERTIFICATE_WRONG_NAME,
    64: Reason.CERTIFICATE_WRONG_NAME,
    # Keys and digests too weak for today, and the strict profile of RFC 5280.
    **dict.fromkeys((66, 67, 68, 79, *range(85, 96)), Reason.CERTIFICATE_LEGACY_CA),
}
_UNTRUSTED = {Reason.CERTIFICATE_SELF_SIGNED, Reason.CERTIFICATE_UNKNOWN_ISSUER}

# The server names its wish in TLS 1.3; in TLS 1.2 it only breaks off after it has shown its own certificate.
_WANTS_CERTIFICATE = {"TLSV13_ALERT_CERTIFICATE_REQUIRED"}
_BROKE_OFF = {"SSLV3_ALERT_HANDSHAKE_FAILURE", "SSLV3_ALERT_BAD_CERTIFICATE", "TLSV1_ALERT_ACCESS_DENIED"}


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateFacts:
    """What one certificate says about itself."""

    issuer: str
    """Organisation and common name."""
    subject: str
    names: tuple[str, ...]
    not_before: datetime
    not_after: datetime
    sha256: str
    """Fingerprint, 64 lower-case hexadecimal digits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsFacts(CertificateFacts):
    """What a handshake showed: the protocol's version and the server's certificate."""

    version: str


class Wire(Protocol):
    """A byte stream: the socket, or TLS over it."""

    async def read(self) -> bytes:
        """Return the next bytes, or nothing at the end."""

    async def write(self, data: bytes) -> None:
        """Send all of it."""

    def waiting(self) -> bytes | None:
        """Take what is there to be read already: nothing (None), some bytes, or the end (no bytes)."""

    def quiet(self) -> bool:
        """Whether nothing waits to be read: an idle connection with something to say is about to close."""


class Tls:
    """TLS over a wire we opened ourselves, so that the name is verified while the address stays pinned."""

    def __init__(self, wire: Wire, context: ssl.SSLContext, host: str) -> None:
        self._wire = wire
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._ssl = context.wrap_bio(self._incoming, self._outgoing, server_hostname=host)
        self._first = b""

    async def handshake(self) -> TlsFacts:
        """Shake hands and return what the server showed.

        Raises:
            ssl.SSLError, OSError: see `failure`.
        """
        await self._run(self._ssl.do_handshake)
        return _verified_facts(
            self._ssl.getpeercert() or {},
            der=self._ssl.getpeercert(binary_form=True) or b"",
            version=(self._ssl.version() or "").replace("TLSv", "TLS "),
        )

    async def read(self) -> bytes:
        """Return the next bytes, or nothing at the end, announced or not: the framing above knows what is missing."""
        try:
            data: bytes = await self._run(self._ssl.read, _RECORD)
        except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
            return b""
        return data

    async def write(self, data: bytes) -> None:
        """Send all of it."""
        await self._run(self._ssl.write, data)

    def waiting(self) -> bytes | None:
        """Take what is there to be read already: nothing (None), some bytes, or the end (no bytes)."""
        if data := self._wire.waiting():
            self._incoming.write(data)
        elif data is not None:
            return b""
        try:
            return self._ssl.read(_RECORD)
        except ssl.SSLWantReadError:
            return None  # at most what TLS itself had to say, such as a session ticket
        except ssl.SSLError:
            return b""

    def quiet(self) -> bool:
        """Whether nothing waits to be read: an idle connection with something to say is about to close."""
        return self.waiting() is None

    def failure(self, error: Exception, *, host: str, official: bool) -> RemoteError:
        """Return what a broken handshake, or a broken first read, means, with what the refused certificate said."""
        leaf = self._shown_certificate()
        reason = _reason(error, certificate_seen=leaf is not None)
        if official and reason in _UNTRUSTED:
            reason = Reason.CERTIFICATE_INTERCEPTED
        evidence = {"host": host}
        if reason is Reason.TLS_FAILED:
            evidence["what"] = self._what(error)
        if leaf and reason is not Reason.TLS_FAILED:
            evidence |= _evidence(leaf)
        return RemoteError(reason, evidence=evidence)

    def _what(self, error: Exception) -> str:
        if self._first.startswith(b"HTTP/"):
            return "answered in plain HTTP"
        # Python 3.11.2, Debian 12's, reports an end that nobody announced as if it had been.
        if isinstance(error, (ssl.SSLEOFError, ssl.SSLZeroReturnError, ConnectionError)):
            return "closed during the handshake"
        named = getattr(error, "reason", None)
        return named.lower().replace("_", " ") if isinstance(named, str) else "no TLS"

    def _shown_certificate(self) -> CertificateFacts | None:
        # Public since Python 3.13; before that on the object below. Read for the words to a person only.
        below = self._ssl if sys.version_info >= (3, 13) else self._ssl._sslobj  # type: ignore[attr-defined] # noqa: SLF001 - see above
        chain: Any = getattr(below, "get_unverified_chain", lambda: None)()
        if not chain:
            return None
        try:
            return _facts(
                chain[0] if isinstance(chain[0], bytes) else ssl.PEM_cert_to_DER_cert(chain[0].public_bytes())
            )
        except ValueError:
            return None

    async def _run(self, step: Callable[..., Any], *given: Any) -> Any:
        while True:
            try:
                result = step(*given)
            except ssl.SSLWantReadError:
                await self._flush()
                await self._fill()
            except ssl.SSLError:
                await self._flush()
                raise
            else:
                await self._flush()
                return result

    async def _flush(self) -> None:
        if self._outgoing.pending:
            await self._wire.write(self._outgoing.read())

    async def _fill(self) -> None:
        data = await self._wire.read()
        self._first = self._first or data[:8]
        if data:
            self._incoming.write(data)
        else:
            self._incoming.write_eof()


def context_for(ca_pem: str | None) -> ssl.SSLContext:
    """Return the context that trusts the operating system and, on top, the certificates in `ca_pem`; made once.

    Raises:
        InputError: CA_MALFORMED.
    """
    with _making:
        return _context("\n".join(_blocks(ca_pem)) if ca_pem else "")


def parse_ca(pem: str) -> list[CertificateFacts]:
    """Return what the pasted CA certificates say, so that a person can recognize them.

    Raises:
        InputError: CA_MALFORMED, never echoing what was pasted.
    """
    found = [_facts(_der(block)) for block in _blocks(pem)]
    context_for(pem)
    return found


_making = threading.Lock()


@lru_cache(maxsize=64)
def _context(blocks: str) -> ssl.SSLContext:
    context = _trusting_the_system()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if blocks:
        # A person may trust exactly one server's certificate, or an intermediate, without its root.
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        try:
            context.load_verify_locations(cadata=blocks)
        except ssl.SSLError:
            raise _ca_malformed("One of these certificates cannot be read.") from None
    return context


def _trusting_the_system() -> ssl.SSLContext:
    if sys.platform in {"win32", "darwin"}:
        import truststore  # noqa: PLC0415 - only where the system verifies for itself

        return truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    # truststore does the same on Linux, but reads the bundle again for every connection: 20 ms each.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.set_default_verify_paths()
    defaults = ssl.get_default_verify_paths()
    if not defaults.cafile and not any(Path(defaults.capath or "/nonexistent").glob("*.0")):
        for bundle in _BUNDLES:
            try:
                context.load_verify_locations(cafile=bundle)
            except OSError:
                continue
            break
    return context


def _blocks(pem: str) -> list[str]:
    if len(pem) > CA_LIMIT:
        raise _ca_malformed("This is longer than 100 KB. Give only the CA certificates this server needs.")
    if "PRIVATE KEY" in pem:
        raise _ca_malformed(
            "This contains a private key. Nothing was kept. Give only the CA certificate; "
            "if the key is in use anywhere, treat it as known to others."
        )
    if not pem.strip():
        raise _ca_malformed("The CA certificate is empty.")
    blocks = _BLOCK.findall(pem)
    if not blocks or len(blocks) != pem.count("-----BEGIN "):
        raise _ca_malformed("Give certificates as text: each from BEGIN CERTIFICATE to END CERTIFICATE.")
    return blocks


def _der(block: str) -> bytes:
    try:
        der = ssl.PEM_cert_to_DER_cert("\n".join(block.split("\n")).strip())
        _facts(der)
    except ValueError:
        raise _ca_malformed("One of these certificates cannot be read.") from None
    return der


def _ca_malformed(sentence: str) -> InputError:
    return InputError("ca", Reason.CA_MALFORMED, sentence)


def _verified_facts(read: Mapping[str, Any], *, der: bytes, version: str) -> TlsFacts:
    """Return the facts of a certificate that OpenSSL verified, from what it has read of it."""

    def who(name: str) -> str:
        parts = {kind: value for relative in read.get(name, ()) for kind, value in relative}
        return _joined(parts.get(kind, "") for kind in ("organizationName", "commonName"))

    return TlsFacts(
        version=version,
        issuer=who("issuer"),
        subject=who("subject"),
        names=tuple(_printable(value) for kind, value in read.get("subjectAltName", ()) if kind in _NAME_KINDS),
        not_before=_moment(read["notBefore"]),
        not_after=_moment(read["notAfter"]),
        sha256=hashlib.sha256(der).hexdigest(),
    )


def _moment(text: str) -> datetime:
    return datetime.fromtimestamp(ssl.cert_time_to_seconds(text), UTC)


@lru_cache(maxsize=512)
def _facts(der: bytes) -> CertificateFacts:
    from cryptography import x509  # noqa: PLC0415 - 40 ms that only a refused or a pasted certificate needs

    certificate = x509.load_der_x509_certificate(der)
    return CertificateFacts(
        issuer=_who(certificate.issuer),
        subject=_who(certificate.subject),
        names=_names(certificate),
        not_before=certificate.not_valid_before_utc,
        not_after=certificate.not_valid_after_utc,
        sha256=hashlib.sha256(der).hexdigest(),
    )


def _who(name: Name) -> str:
    from cryptography.x509.oid import NameOID  # noqa: PLC0415 - see `_facts`

    wanted = (NameOID.ORGANIZATION_NAME, NameOID.COMMON_NAME)
    return _joined(part.value for oid in wanted for part in name.get_attributes_for_oid(oid))


def _joined(parts: Iterable[str | bytes]) -> str:
    return ", ".join(dict.fromkeys(filter(None, map(_printable, parts)))) or "no name"


def _names(certificate: Certificate) -> tuple[str, ...]:
    from cryptography import x509  # noqa: PLC0415 - see `_facts`

    try:
        extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except (x509.ExtensionNotFound, x509.DuplicateExtension, x509.UnsupportedGeneralNameType, ValueError):
        return ()
    kinds = (x509.DNSName, x509.IPAddress)
    return tuple(_printable(str(name.value)) for name in extension.value if isinstance(name, kinds))


def _printable(text: str | bytes) -> str:
    """Return a stranger's text without control or direction characters, at a length one can show."""
    words = text if isinstance(text, str) else text.decode("utf-8", "replace")
    return _UNPRINTABLE.sub("", words).strip()[:100]


def _evidence(leaf: CertificateFacts) -> dict[str, str]:
    shown = ", ".join(leaf.names[:_NAMES_SHOWN]) or "none"
    return {
        "issuer": leaf.issuer,
        "subject": leaf.subject,
        "names": shown + (" …" if len(leaf.names) > _NAMES_SHOWN else ""),
        "valid_from": leaf.not_before.isoformat(),
        "expires": leaf.not_after.isoformat(),
        "sha256": leaf.sha256,
    }


def _reason(error: Exception, *, certificate_seen: bool) -> Reason:
    if isinstance(error, ssl.SSLCertVerificationError):
        return _BY_VERIFY_CODE.get(error.verify_code, Reason.TLS_FAILED)
    said = getattr(error, "reason", None)
    if said in _WANTS_CERTIFICATE or (said in _BROKE_OFF and certificate_seen):
        return Reason.CLIENT_CERTIFICATE_WANTED
    return Reason.TLS_FAILED
