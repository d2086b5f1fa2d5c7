"""A kit of badly behaved servers: real sockets, real TLS, and scripts that say byte by byte what happens.

    with Hostile(once(json_answer('{"a": 1}'))) as server:
        ...  # talk to 127.0.0.1:server.port
        assert server.requests[0].line == "GET /api/config HTTP/1.1"

A script is a function of one `Talk` (one connection). `polite` answers by path and keeps the connection;
`once(answer)` gives the same bytes to every request. Certificates of every fault kind come from `Shop`.
"""

from __future__ import annotations

import contextlib
import gzip
import select
import socket
import ssl
import struct
import tempfile
import threading
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Self

import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

HOST = "vault.test"
"""The name all good certificates of the kit are for."""


@dataclass(frozen=True)
class Request:
    """What one request looked like on the wire."""

    line: str
    headers: Mapping[str, str]
    body: bytes
    raw: bytes = field(repr=False)

    @property
    def path(self) -> str:
        """The path without the query."""
        return self.line.split(" ")[1].partition("?")[0]


class Talk:
    """One connection, from the server's side."""

    def __init__(self, server: Hostile, sock: socket.socket) -> None:
        self._server = server
        self._sock = sock
        self._left = b""

    def request(self) -> Request | None:
        """Read one request; nothing when the client has closed."""
        while b"\r\n\r\n" not in self._left:
            data = self._sock.recv(65536)
            if not data:
                return None
            self._left += data
        head, _, rest = self._left.partition(b"\r\n\r\n")
        line, *lines = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (entry.partition(":") for entry in lines)}
        while len(rest) < int(headers.get("content-length", "0")):
            rest += self._sock.recv(65536)
        length = int(headers.get("content-length", "0"))
        self._left = rest[length:]
        request = Request(line, headers, rest[:length], head + b"\r\n\r\n" + rest[:length])
        self._server.requests.append(request)
        return request

    def hello(self) -> bytes:
        """Read whatever comes first, be it HTTP or not."""
        return self._sock.recv(65536)

    def send(self, data: bytes) -> None:
        """Send all of it."""
        self._sock.sendall(data)

    def drip(self, data: bytes, *, every: float = 0.02) -> None:
        """Send one byte at a time until all is sent or the test is over."""
        for byte in data:
            if self._server.over.wait(every):
                return
            self.send(bytes([byte]))

    def flood(self, data: bytes) -> None:
        """Send the same again and again until the client has enough."""
        while not self._server.over.is_set():
            self.send(data)

    def stall(self) -> None:
        """Say nothing until the client closes or the test is over."""
        while not self._server.over.is_set():
            readable, _, _ = select.select([self._sock], [], [], 0.05)
            if readable and not self._sock.recv(65536):
                return

    def join(self, other: socket.socket) -> None:
        """Pass bytes both ways between the client and another connection until one of them ends."""
        while not self._server.over.is_set():
            readable, _, _ = select.select([self._sock, other], [], [], 0.05)
            for source in readable:
                data = source.recv(65536)
                if not data:
                    return
                (other if source is self._sock else self._sock).sendall(data)

    def leave(self) -> None:
        """Say nothing more: the connection is closed when the script ends."""

    def reset(self) -> None:
        """End the connection with RST."""
        self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._sock.close()


Script = Callable[[Talk], None]


class Hostile:
    """A server on a free port of this machine that runs its script for every connection, each in its own thread."""

    def __init__(self, script: Script, *, tls: ssl.SSLContext | None = None, host: str = "127.0.0.1") -> None:
        self.requests: list[Request] = []
        self.over = threading.Event()
        self._script = script
        self._tls = tls
        self._peers: list[object] = []
        self._open = 0
        self._news = threading.Condition()
        self._listener = socket.create_server((host, 0), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
        self.port: int = self._listener.getsockname()[1]

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def connections(self) -> int:
        """Return how many connections arrived: ours comes last, so everything before it has been counted."""
        with socket.create_connection(self._listener.getsockname()[:2]) as ours, self._news:
            name = ours.getsockname()
            assert self._news.wait_for(lambda: name in self._peers, timeout=10)
            self._peers.remove(name)
            return len(self._peers)

    def wait_idle(self) -> None:
        """Wait until no connection is being served."""
        with self._news:
            assert self._news.wait_for(lambda: self._open == 0, timeout=10)

    def _accept(self) -> None:
        while True:
            try:
                sock, peer = self._listener.accept()
            except OSError:
                return
            with self._news:
                self._peers.append(peer)
                self._open += 1
                self._news.notify_all()
            threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock: socket.socket) -> None:
        with contextlib.suppress(OSError, ValueError):
            try:
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                if self._tls:
                    sock = self._tls.wrap_socket(sock, server_side=True)
                self._script(Talk(self, sock))
            finally:
                sock.close()
                with self._news:
                    self._open -= 1
                    self._news.notify_all()


# Answers, as bytes.


def answer(body: bytes = b"", *, status: str = "200 OK", headers: Mapping[str, str] | None = None) -> bytes:
    """Return a whole answer with its length; `headers` are added or take the place of the usual ones."""
    usual = {"Content-Type": "application/json; charset=utf-8", "Content-Length": str(len(body))}
    lines = [f"{name}: {value}" for name, value in (usual | dict(headers or {})).items()]
    return "\r\n".join([f"HTTP/1.1 {status}", *lines, "", ""]).encode("latin-1") + body


def json_answer(text: str = "{}", *, status: str = "200 OK") -> bytes:
    """Return an answer with a JSON text."""
    return answer(text.encode(), status=status)


def gzip_answer(body: bytes, *, coding: str = "gzip") -> bytes:
    """Return an answer whose body is already coded."""
    return answer(body, headers={"Content-Encoding": coding})


def gzip_bomb(megabytes: int = 200) -> bytes:
    """Return a small gzip body that unfolds to so many megabytes of zeros."""
    packer = zlib.compressobj(9, wbits=zlib.MAX_WBITS | 16)
    return b"".join(packer.compress(bytes(1_000_000)) for _ in range(megabytes)) + packer.flush()


def truncated_gzip() -> bytes:
    """Return a gzip body without its end."""
    return gzip.compress(b'{"data": "' + bytes(range(32, 127)) * 20 + b'"}')[:-12]


# Scripts.


def polite(answers: Mapping[str, bytes] | None = None) -> Script:
    """Answer each request by its path, `{}` by default, and keep the connection."""

    def script(talk: Talk) -> None:
        while request := talk.request():
            talk.send((answers or {}).get(request.path, json_answer()))

    return script


def once(data: bytes, *, then: Callable[[Talk], None] | None = None) -> Script:
    """Give these bytes to the first request, then close, or do something else first."""

    def script(talk: Talk) -> None:
        talk.request()
        talk.send(data)
        if then:
            then(talk)

    return script


def after_request(do: Callable[[Talk], None]) -> Script:
    """Read the request, then do this."""

    def script(talk: Talk) -> None:
        talk.request()
        do(talk)

    return script


def after_hello(do: Callable[[Talk], None]) -> Script:
    """Wait for the first bytes, such as TLS's hello, then do this."""

    def script(talk: Talk) -> None:
        talk.hello()
        do(talk)

    return script


def closed_port() -> int:
    """Return a port of 127.0.0.1 on which nothing listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


# Certificates.


class Shop:
    """Certificates of every kind: make one shop for a test file, and trust its `ca_pem`."""

    @cached_property
    def authority(self) -> trustme.CA:
        """The authority a test trusts."""
        return trustme.CA(organization_name="Corp Trust", organization_unit_name="Test CA")

    @property
    def ca_pem(self) -> str:
        """The certificate of that authority."""
        return self.authority.cert_pem.bytes().decode()

    def good(self, *names: str, version: ssl.TLSVersion | None = None) -> ssl.SSLContext:
        """Return a server's side with a proper certificate, for `HOST` unless other names are given."""
        context = self._serving(self.authority.issue_cert(*(names or (HOST,))))
        if version:
            context.maximum_version = version
        return context

    def expired(self) -> ssl.SSLContext:
        """Return a certificate that ended yesterday."""
        return self._serving(self.authority.issue_cert(HOST, not_before=_days(-30), not_after=_days(-1)))

    def not_yet(self) -> ssl.SSLContext:
        """Return a certificate that begins tomorrow."""
        return self._serving(self.authority.issue_cert(HOST, not_before=_days(1), not_after=_days(30)))

    def ending_in(self, days: float) -> ssl.SSLContext:
        """Return a proper certificate that ends so many days from now."""
        return self._serving(self.authority.issue_cert(HOST, not_after=_days(days)))

    def wrong_host(self) -> ssl.SSLContext:
        """Return a proper certificate for another name."""
        return self.good("other.test")

    def unknown_authority(self) -> ssl.SSLContext:
        """Return a certificate from an authority nobody trusts."""
        return self._serving(trustme.CA(organization_name="Middle Box Inc").issue_cert(HOST))

    def missing_intermediate(self) -> ssl.SSLContext:
        """Return a certificate whose intermediate is not sent."""
        leaf = self.authority.create_child_ca().issue_cert(HOST)
        return _context(leaf.private_key_pem.bytes(), leaf.cert_chain_pems[0].bytes())

    def self_signed(self) -> ssl.SSLContext:
        """Return a certificate that vouches for itself."""
        key = ec.generate_private_key(ec.SECP256R1())
        return _context(_pem_of(key), _certificate(key, signed_by=key))

    def weak_key(self) -> tuple[ssl.SSLContext, str]:
        """Return a server with an RSA key of 1024 bits, and the certificate of its authority."""
        authority = ec.generate_private_key(ec.SECP256R1())
        key = rsa.generate_private_key(65537, 1024)  # noqa: S505 - the weakness is the point
        leaf = _certificate(key, signed_by=authority, issuer="Old CA")
        context = _context(_pem_of(key), leaf, weak=True)
        return context, _certificate(
            authority, signed_by=authority, subject="Old CA", issuer="Old CA", ca=True
        ).decode()

    def not_an_authority(self) -> tuple[ssl.SSLContext, str]:
        """Return a server whose authority is marked as none, and that authority's certificate."""
        authority, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
        leaf = _certificate(key, signed_by=authority, issuer="Sloppy CA")
        return _context(_pem_of(key), leaf), _certificate(
            authority, signed_by=authority, subject="Sloppy CA", issuer="Sloppy CA", ca=False
        ).decode()

    def wants_client_certificate(self, version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3) -> ssl.SSLContext:
        """Return a server that demands a client certificate, in this version of TLS."""
        context = self.good(version=version)
        context.verify_mode = ssl.CERT_REQUIRED
        self.authority.configure_trust(context)
        return context

    def _serving(self, leaf: trustme.LeafCert) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        leaf.configure_cert(context)
        return context


_Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


def _certificate(  # one certificate with exactly the fault asked for
    key: _Key, *, signed_by: ec.EllipticCurvePrivateKey, subject: str = HOST, issuer: str = HOST, ca: bool | None = None
) -> bytes:
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject)]))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(_days(-1))
        .not_valid_after(_days(30))
    )
    if ca is None:
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(HOST)]), critical=False)
    else:
        builder = builder.add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
    return builder.sign(signed_by, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def _pem_of(key: _Key) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _context(key: bytes, chain: bytes, *, weak: bool = False) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    if weak:
        context.set_ciphers("DEFAULT@SECLEVEL=0")
    with tempfile.NamedTemporaryFile() as file:
        file.write(key + chain)
        file.flush()
        context.load_cert_chain(file.name)
    return context


def _days(days: float) -> datetime:
    return datetime.now(UTC) + timedelta(days=days)
