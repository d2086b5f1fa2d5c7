"""Serving the sandbox: its certificates, its port, its organizations."""

from __future__ import annotations

import os
import ssl
import stat
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import httpx
import pytest
from cryptography import x509

from hub_core.model import RegionId
from hub_core.sandbox import Sandbox, ServerName, endpoints_of, serve
from hub_core.sandbox.certificate import AUTHORITY_FILE, CA_FILE, SERVER_FILE, certificates

if TYPE_CHECKING:
    from pathlib import Path

NOW = datetime.now(UTC)


def server_certificate(folder: Path) -> x509.Certificate:
    """Return the kept server certificate."""
    return x509.load_pem_x509_certificate((folder / SERVER_FILE).read_bytes())


def test_served_with_a_strictly_valid_chain(tmp_path: Path) -> None:
    """A client that trusts only the CA, and is strict, accepts the server by address and by name."""
    with serve(Sandbox(), folder=tmp_path) as running:
        context = ssl.create_default_context(cadata=running.ca_pem)
        context.verify_flags |= ssl.VERIFY_X509_STRICT
        assert running.origin.startswith("https://127.0.0.1:")
        for origin in (running.origin, running.origin.replace("127.0.0.1", "localhost")):
            assert httpx.get(f"{origin}/us/api/version", verify=context, trust_env=False).status_code == 200
        with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
            httpx.get(f"{running.origin}/us/api/version", trust_env=False)


def test_certificates_are_kept(tmp_path: Path) -> None:
    """The second start serves with the same CA and server certificate, from files only the owner reads."""
    first = certificates(tmp_path, NOW)
    content = (tmp_path / SERVER_FILE).read_bytes()
    assert certificates(tmp_path, NOW + timedelta(days=300)).ca_pem == first.ca_pem
    assert (tmp_path / SERVER_FILE).read_bytes() == content
    assert {path.name for path in tmp_path.iterdir()} == {CA_FILE, AUTHORITY_FILE, SERVER_FILE}
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in tmp_path.iterdir())


def test_ca_file_holds_the_certificate_alone(tmp_path: Path) -> None:
    """The file for clients holds the CA certificate and no key."""
    made = certificates(tmp_path, NOW)
    assert (tmp_path / CA_FILE).read_text() == made.ca_pem
    assert "PRIVATE" not in made.ca_pem


def test_lifetimes_and_names(tmp_path: Path) -> None:
    """The server certificate lives at most 397 days, the CA ten years and for loopback alone."""
    made = certificates(tmp_path, NOW)
    server, ca = server_certificate(tmp_path), x509.load_pem_x509_certificate(made.ca_pem.encode())
    assert server.not_valid_after_utc - server.not_valid_before_utc <= timedelta(days=397)
    assert ca.not_valid_after_utc - NOW > timedelta(days=3650)
    assert ca.extensions.get_extension_for_class(x509.NameConstraints).critical


def test_server_certificate_is_renewed_under_thirty_days(tmp_path: Path) -> None:
    """Under 30 days before its end the server certificate is renewed by the same CA."""
    first = certificates(tmp_path, NOW)
    ends = server_certificate(tmp_path).not_valid_after_utc
    later = ends - timedelta(days=29)
    assert certificates(tmp_path, later).ca_pem == first.ca_pem
    assert server_certificate(tmp_path).not_valid_after_utc > later + timedelta(days=300)


@pytest.mark.parametrize("name", [AUTHORITY_FILE, SERVER_FILE])
def test_damaged_files_are_replaced(tmp_path: Path, name: str) -> None:
    """A damaged or missing file is made anew, and the server certificate always fits the CA."""
    certificates(tmp_path, NOW)
    for damage in ("", "nonsense"):
        (tmp_path / name).write_text(damage)
        made = certificates(tmp_path, NOW)
        ca = x509.load_pem_x509_certificate(made.ca_pem.encode())
        server_certificate(tmp_path).verify_directly_issued_by(ca)
        (tmp_path / name).unlink()


def test_without_a_folder_nothing_is_kept() -> None:
    """Without a folder each sandbox has a CA of its own."""
    assert certificates(None, NOW).ca_pem != certificates(None, NOW).ca_pem


def test_taken_port_is_refused_with_a_sentence() -> None:
    """A taken port is an OSError that names it; after closing, the port is free again."""
    with serve(Sandbox()) as running:
        port = int(running.origin.rpartition(":")[2])
        with pytest.raises(OSError, match=f"Port {port} of 127.0.0.1 is taken"):
            serve(Sandbox(), port=port)
    serve(Sandbox(), port=port).close()


def test_endpoints_and_organizations() -> None:
    """Every kind of organization is there, with a constant key of the right form, a story and paired addresses."""
    origin = "https://127.0.0.1:8599"
    organizations = Sandbox().organizations
    assert organizations == Sandbox().organizations
    assert {o.server for o in organizations} == set(ServerName)
    assert sum(not o.enabled for o in organizations) == 1
    assert sum(not o.uses_api for o in organizations) == 1
    assert sum(o.personal for o in organizations) == 1
    assert all(len(o.secret) == 30 and o.secret.isalnum() and o.story.endswith(".") for o in organizations)
    assert len({o.client_id for o in organizations}) == len({o.secret for o in organizations}) == len(organizations)
    assert not any(o.secret in repr(o) for o in organizations)
    cloud, own = endpoints_of(origin, ServerName.EU), endpoints_of(origin, ServerName.SELF_HOSTED)
    assert (cloud.region, cloud.identity) == (RegionId.SANDBOX, f"{origin}/eu/identity")
    assert (cloud.api, cloud.vault) == (f"{origin}/eu/api", f"{origin}/eu/vault")
    assert (own.api, own.identity) == (f"{origin}/selfhost/api", f"{origin}/selfhost/identity")
    assert own.vault == f"{origin}/selfhost"


def test_vault_addresses_show_a_page() -> None:
    """The web vault a page links to is there, and nothing else is at the root."""
    with serve(Sandbox()) as running, httpx.Client(verify=ssl.create_default_context(cadata=running.ca_pem)) as http:
        for server in ServerName:
            answer = http.get(f"{endpoints_of(running.origin, server).vault}/")
            assert (answer.status_code, answer.headers["content-type"]) == (200, "text/html")
        assert http.get(f"{running.origin}/").status_code == 404


def test_import_stays_light() -> None:
    """Importing the sandbox loads neither a server nor cryptography nor an event loop."""
    heavy = "{'uvicorn', 'h11', 'cryptography', 'asyncio', 'ssl', 'httpx', 'starlette'}"
    code = f"import sys, hub_core.sandbox; assert not {heavy} & set(sys.modules), {heavy} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, env={**os.environ, "PYTHONPATH": os.getcwd()})  # noqa: PTH109 - pytest's own root
