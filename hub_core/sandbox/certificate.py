"""The sandbox's own certificate authority and the server certificate it signs; imported only when serving."""

from __future__ import annotations

import os
import ssl
import tempfile
from dataclasses import dataclass
from datetime import timedelta
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.x509.oid import ExtendedKeyUsageOID

if TYPE_CHECKING:
    from datetime import datetime

CA_FILE = "ca.pem"
"""The certificate alone, for clients to read."""
AUTHORITY_FILE = "authority.pem"
SERVER_FILE = "server.pem"
CA_LIFE = timedelta(days=3652)
SERVER_LIFE = timedelta(days=396)
RENEW_BEFORE = timedelta(days=30)

_MARGIN = timedelta(days=1)
"""Certificates start this long ago, so that a client whose clock is behind accepts them."""


@dataclass(frozen=True, slots=True)
class Certificates:
    """What a sandbox serves with, and the CA certificate its clients are to trust."""

    context: ssl.SSLContext
    ca_pem: str


@dataclass(frozen=True, slots=True)
class _Pair:
    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate


def certificates(folder: Path | None, now: datetime) -> Certificates:
    """Return the certificates kept in a folder, made or renewed as needed; without a folder, new ones."""
    if folder is None:
        with tempfile.TemporaryDirectory() as temporary:
            return certificates(Path(temporary), now)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    ca = _kept(folder / AUTHORITY_FILE, now) or _keep(folder / AUTHORITY_FILE, _make_ca(now))
    server = _kept(folder / SERVER_FILE, now)
    if server is None or not _issued(server, ca):
        _keep(folder / SERVER_FILE, _make_server(ca, now))
    _write(folder / CA_FILE, _pem(ca.certificate))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / SERVER_FILE)
    return Certificates(context, _pem(ca.certificate).decode())


def _kept(path: Path, now: datetime) -> _Pair | None:
    """Return the pair in a file, unless there is none, it cannot be read, or it ends soon."""
    try:
        text = path.read_bytes()
        key = serialization.load_pem_private_key(text, None)
        certificate = x509.load_pem_x509_certificate(text)
    except (FileNotFoundError, ValueError, TypeError):
        return None
    if not isinstance(key, ec.EllipticCurvePrivateKey) or certificate.not_valid_after_utc - now < RENEW_BEFORE:
        return None
    return _Pair(key, certificate)


def _issued(server: _Pair, ca: _Pair) -> bool:
    try:
        server.certificate.verify_directly_issued_by(ca.certificate)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def _keep(path: Path, pair: _Pair) -> _Pair:
    key = pair.key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    _write(path, key + _pem(pair.certificate))
    return pair


def _write(path: Path, content: bytes) -> None:
    """Fill a file only its owner can read, with all of it or nothing."""
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=path.name)  # made with mode 0600
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _make_ca(now: datetime) -> _Pair:
    """Make an authority that can vouch for this machine's loopback only, should somebody come to trust it widely."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = _name(f"Link Hub sandbox CA {now:%Y-%m-%d %H:%M}")
    loopback = [x509.DNSName("localhost"), x509.IPAddress(ip_network("127.0.0.1/32"))]
    builder = (
        _builder(name, name, key, now, CA_LIFE)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.NameConstraints(permitted_subtrees=loopback, excluded_subtrees=None), critical=True)
    )
    return _signed(builder, key, key)


def _make_server(ca: _Pair, now: datetime) -> _Pair:
    key = ec.generate_private_key(ec.SECP256R1())
    names = [x509.DNSName("localhost"), x509.IPAddress(ip_address("127.0.0.1"))]
    signer = ca.key.public_key()
    builder = (
        _builder(_name("Link Hub sandbox"), ca.certificate.subject, key, now, SERVER_LIFE)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer), critical=False)
    )
    return _signed(builder, key, ca.key)


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, text)])


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, now: datetime, life: timedelta
) -> x509.CertificateBuilder:

    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _MARGIN)
        .not_valid_after(now + life)
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _signed(
    builder: x509.CertificateBuilder, key: ec.EllipticCurvePrivateKey, signer: ec.EllipticCurvePrivateKey
) -> _Pair:
    return _Pair(key, builder.sign(signer, SHA256()))


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)
