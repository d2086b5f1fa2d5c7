"""The real server, started as people start it: where it listens, what it refuses, how it starts and ends."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from hub_core import __version__
from hub_core.access import Scope, written_out
from hub_core.settings import Settings
from hub_core.storage.store import Store
from hub_core.web import launch
from tests.linked import opened
from tests.scaled import until
from tests.serving import (
    ROOT,
    STOP_DEADLINE,
    Server,
    ask,
    chromium,
    environment,
    free_port,
    handshake,
    start_server,
    streamlit_run,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

PYTHON_APP = [sys.executable, str(ROOT / "app.py")]
CANARY = "CANARY-typed-by-somebody"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Serve one dashboard for the tests that only ask."""
    with start_server(tmp_path_factory.mktemp("server")) as running:
        yield running


def listening(pid: int) -> set[tuple[str, int]]:
    """Return the addresses and ports on which a process listens, as the kernel sees them."""
    sockets = {str(entry.readlink()) for entry in Path(f"/proc/{pid}/fd").iterdir() if entry.is_symlink()}
    found = set()
    for table in ("tcp", "tcp6"):
        for row in Path(f"/proc/{pid}/net/{table}").read_text("ascii").splitlines()[1:]:
            _, local, _, state, *_, inode = row.split()[:10]
            if state == "0A" and f"socket:[{inode}]" in sockets:
                address, port = local.split(":")
                found.add((_readable(address), int(port, 16)))
    return found


def _readable(address: str) -> str:
    return ".".join(str(byte) for byte in bytes.fromhex(address)[::-1]) if len(address) == 8 else f"[{address}]"


def test_listens_on_loopback_only(server: Server) -> None:
    """The process has no listening socket but the dashboard's and the sandbox's, both on 127.0.0.1."""
    sockets = listening(server.process.pid)
    assert ("127.0.0.1", server.port) in sockets
    assert sockets <= {("127.0.0.1", server.port), ("127.0.0.1", server.sandbox_port)}


def test_health(server: Server) -> None:
    """The health route answers with status and version, to GET and to HEAD."""
    assert ask(server.port, "/healthz").body == f'{{"status":"ok","version":"{__version__}"}}'
    assert ask(server.port, "/healthz", method="HEAD").status == 200


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/", 200),
        ("/accounts", 307),
        ("/link", 200),
        ("/healthz", 200),
        ("/_stcore/health", 200),
        ("/_stcore/host-config", 200),
        ("/_stcore/metrics", 404),
        ("/_stcore/agent/openapi.json", 404),
        ("/_stcore/agent/mcp", 404),
        ("/_stcore/script-health-check", 404),
        ("/media/nothing.csv", 404),
        ("/static/nothing.js", 200),
        ("//evil.example", 400),
        ("/metrics", 401),
        ("/api/v1/accounts", 401),
        ("/api/v1/openapi.json", 200),
        ("/api/v2", 404),
        ("/badge/nobody.svg", 404),
    ],
)
def test_every_answer_is_guarded(server: Server, path: str, expected: int) -> None:
    """Streamlit's pages, routes and errors carry our headers, and its closed routes are closed."""
    answer = ask(server.port, path)
    assert answer.status == expected
    assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
    assert "unsafe" not in answer.headers["content-security-policy"].split("style-src")[0]
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "no-referrer"
    if answer.headers.get("content-type", "").startswith("text/html"):
        assert answer.headers["cache-control"] == "no-store"


def test_programs_read_with_a_token_only(server: Server) -> None:
    """Behind Streamlit's own middleware the API and the metrics answer a token, and take or give no cookie."""
    folder = server.log_file.parent
    with opened(Settings(data=folder / "data", config=folder / "config", sandbox_port=server.sandbox_port)) as hub:
        token, secret = hub.access.create("test", list(Scope), 1, actor="test")
        sent = {"Authorization": f"Bearer {written_out(secret)}"}
        for path, content_type in (
            ("/api/v1/accounts", "application/json"),
            ("/api/v1/incidents", "application/json"),
            ("/metrics", "text/plain; version="),
        ):
            answer = ask(server.port, path, headers=sent)
            assert answer.status == 200
            assert answer.headers["content-type"].startswith(content_type)
            assert answer.headers["cache-control"] == "no-store"
            assert "set-cookie" not in answer.headers
            assert ask(server.port, path, method="HEAD", headers=sent).body == ""
            assert ask(server.port, path, method="POST", headers=sent).status == 405
            assert ask(server.port, path, headers=sent | {"Origin": "http://evil.example"}).status == 403
            assert ask(server.port, path, headers=sent, host=f"evil.example:{server.port}").status == 421
        hub.access.revoke(token.id, actor="test")
        assert ask(server.port, "/metrics", headers=sent).status == 401
    assert written_out(secret) not in server.log


def test_rebinding_is_refused(server: Server) -> None:
    """A hostile name that points here gets no page, and its own origin opens no socket."""
    evil = f"evil.example:{server.port}"
    assert ask(server.port, "/", host=evil).status == 421
    assert handshake(server.port, host=evil, origin=f"http://{evil}").status == 421


@pytest.mark.parametrize(
    ("host", "origin", "expected"),
    [
        ("127.0.0.1:{port}", "http://127.0.0.1:{port}", 101),
        ("localhost:{port}", "http://localhost:{port}", 101),
        ("localhost:{port}", "http://localhost:9999", 403),
        ("127.0.0.1:{port}", "http://evil.example", 403),
        ("127.0.0.1:{port}", None, 403),
    ],
)
def test_sockets_open_for_our_own_page_only(server: Server, host: str, origin: str | None, expected: int) -> None:
    """The socket that drives pages opens for the page it belongs to, under any of its names."""
    port = server.port
    answer = handshake(port, host=host.format(port=port), origin=origin and origin.format(port=port))
    assert answer.status == expected
    assert answer.headers["x-frame-options"] == "DENY"


@pytest.mark.parametrize(
    ("command", "env", "sentence"),
    [
        (PYTHON_APP, {"LINKHUB_PORT": "often"}, "LINKHUB_PORT: give a whole number from 1 to 65535."),
        (PYTHON_APP, {"LINKHUB_PROT": "8502"}, "LINKHUB_PROT: no such setting."),
        (PYTHON_APP, {"LINKHUB_ADDRESS": "0.0.0.0"}, "0.0.0.0 can be reached by others"),  # noqa: S104 - refused
        (
            PYTHON_APP,
            {"LINKHUB_ADDRESS": "0.0.0.0", "LINKHUB_ALLOW_OPEN": "1"},  # noqa: S104 - refused
            "LINKHUB_HOSTS: name the hosts",
        ),
        (PYTHON_APP, {"LINKHUB_KEY": "too short"}, "key"),
        (streamlit_run("--server.port", "{port}"), {"LINKHUB_TOKEN_LIMIT": "0"}, "LINKHUB_TOKEN_LIMIT: give"),
        (
            streamlit_run("--server.port", "{port}"),
            {"STREAMLIT_SERVER_ADDRESS": "0.0.0.0"},  # noqa: S104 - refused
            "0.0.0.0 can be reached by others",
        ),
        (
            streamlit_run("--server.port", "{port}", "--server.address", "::"),
            {"LINKHUB_ADDRESS": "127.0.0.1"},
            "LINKHUB_ADDRESS: 127.0.0.1 is wanted, but Streamlit listens on ::.",
        ),
        (
            streamlit_run("--server.port", "{port}"),
            {"LINKHUB_PORT": "9000"},
            "LINKHUB_PORT: 9000 is wanted, but Streamlit listens on {port}.",
        ),
    ],
)
def test_refuses_to_start(tmp_path: Path, command: list[str], env: dict[str, str], sentence: str) -> None:
    """A wrong setting, key or address ends the start with 78 and a sentence, never with a traceback."""
    port = str(free_port())
    arguments = [part.format(port=port) for part in command]
    ended = subprocess.run(
        arguments,
        cwd=tmp_path,
        env=environment(tmp_path, **env),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert sentence.format(port=port) in ended.stderr
    assert ended.returncode == os.EX_CONFIG
    assert "Traceback" not in ended.stderr


def test_refuses_a_database_that_is_none(tmp_path: Path) -> None:
    """A damaged database ends the start with 78 and a sentence."""
    env = environment(tmp_path, LINKHUB_PORT=str(free_port()))
    data = Path(env["LINKHUB_DATA"])
    data.mkdir(mode=0o700)
    (data / "hub.db").write_bytes(b"this is not a database, whatever its name says " * 100)
    ended = subprocess.run(PYTHON_APP, env=env, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == os.EX_CONFIG
    assert "hub.db" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_listens_where_the_settings_say_and_ends_cleanly(tmp_path: Path) -> None:
    """The command of `linkhub serve` follows address and port from any folder, and SIGTERM closes the hub."""
    with start_server(
        tmp_path,
        command=launch.command(),
        cwd=tmp_path,
        LINKHUB_ADDRESS="127.0.0.3",
        STREAMLIT_SERVER_ADDRESS="0.0.0.0",  # noqa: S104 - overruled
    ) as running:
        assert listening(running.process.pid) - {("127.0.0.1", running.sandbox_port)} == {("127.0.0.3", running.port)}
        assert ask(running.port, "/", address="127.0.0.3").status == 200
        # SQLite keeps this file while a database is open, and clears it away when the last connection is closed.
        write_ahead_log = tmp_path / "data" / "hub.db-wal"
        assert write_ahead_log.exists()
        # uvicorn ends in order, then lets the signal have its way, so that a supervisor sees what it asked for.
        assert running.stop() in {0, -signal.SIGTERM}
        lines = running.log.splitlines()
    assert lines == [f"Link Hub listens on {running.url}", "Link Hub stopped."]
    assert not write_ahead_log.exists()


@pytest.mark.parametrize("command", [PYTHON_APP, []], ids=["python app.py", "streamlit run"])
def test_an_interrupt_ends_cleanly(tmp_path: Path, command: list[str]) -> None:
    """Ctrl+C closes the hub too, and prints no traceback."""
    with start_server(tmp_path, command=command) as running:
        running.process.send_signal(signal.SIGINT)
        running.process.wait(STOP_DEADLINE)
    assert "Link Hub stopped." in running.log
    assert "Traceback" not in running.log
    assert not (tmp_path / "data" / "hub.db-wal").exists()


def test_the_landing_page_has_a_name(server: Server) -> None:
    """A link to the Accounts page by its name leads to the root with its filters, and nowhere else."""
    assert ask(server.port, "/accounts").headers["location"] == "./"
    assert ask(server.port, "/accounts?status=failing&tag=a%2Fb").headers["location"] == "./?status=failing&tag=a%2Fb"


@pytest.mark.browser
@pytest.mark.parametrize("path", ["/accounts", "/link"])
def test_the_first_request_may_be_a_deep_link(tmp_path: Path, path: str) -> None:
    """A deep link as the very first request is drawn inside the frame, from this server alone, within the policy."""
    asked: list[str] = []
    complaints: list[str] = []
    with start_server(tmp_path, cwd=tmp_path) as running, chromium() as browser:
        page = browser.new_page()
        page.on("request", lambda request: asked.append(request.url))
        page.on("websocket", lambda socket: asked.append(socket.url.replace("ws://", "http://")))
        page.on("console", lambda message: complaints.append(message.text))
        page.goto(running.url + path)
        page.get_by_test_id("stTopNavLink").or_(page.get_by_test_id("stSidebarNavLink")).first.wait_for()
        page.get_by_role("heading", level=1).first.wait_for()
        page.locator("[data-testid=stApp][data-test-script-state=notRunning]").wait_for()
        body, log = page.inner_text("body"), running.log
    assert "Page not found" not in body
    assert [url for url in asked if not url.startswith((running.url + "/", "data:", "blob:"))] == []
    assert [text for text in complaints if "Content Security Policy" in text] == []
    assert log.splitlines() == [f"Link Hub listens on {running.url}"]


@pytest.mark.browser
def test_a_failing_page_shows_a_reference_only(tmp_path: Path) -> None:
    """The visitor of a broken page sees a reference that leads to the place in the log; nobody sees the text."""
    root = tmp_path / "checkout"
    for name in ("pages", ".streamlit"):
        shutil.copytree(ROOT / name, root / name)
    shutil.copy(ROOT / "app.py", root)
    (root / "pages" / "accounts.py").write_text(f"raise ValueError({CANARY!r})\n", "utf-8")
    with start_server(tmp_path, root=root, cwd=root, PYTHONPATH=str(ROOT)) as running, chromium() as browser:
        page = browser.new_page()
        page.goto(running.url)
        shown = page.get_by_text("Something went wrong on this page").inner_text()
        reference = shown.rstrip(".").split()[-1]
        body, log = page.inner_text("body"), running.log
    assert f"A page failed, reference {reference}: ValueError" in log
    assert "accounts.py:1" in log
    assert CANARY not in body + log


@pytest.mark.parametrize(
    ("environ", "address", "port", "expected"),
    [
        ({}, "127.0.0.1", 8501, {"LINKHUB_ADDRESS": "127.0.0.1", "LINKHUB_PORT": "8501"}),
        ({"LINKHUB_PORT": " "}, "::", 9000, {"LINKHUB_ADDRESS": "::", "LINKHUB_PORT": "9000"}),
        (
            {"LINKHUB_ADDRESS": "localhost", "LINKHUB_PORT": "8501"},
            "127.0.0.1",
            8501,
            {"LINKHUB_ADDRESS": "localhost", "LINKHUB_PORT": "8501"},
        ),
    ],
)
def test_settings_follow_the_socket(environ: dict[str, str], address: str, port: int, expected: dict[str, str]) -> None:
    """What the operator left open is what the server listens on already, so it is judged by the same rules."""
    launch.agree(environ, address=address, port=port)
    assert environ == expected


@pytest.mark.parametrize(("word", "watching"), [("on", True), ("off", False)])
def test_the_server_watches_unless_told_otherwise(tmp_path: Path, word: str, watching: object) -> None:
    """The scheduler runs before any visitor came, and lets go of its lease when the server ends."""
    with start_server(tmp_path, command=PYTHON_APP, LINKHUB_SCHEDULER=word) as server:
        with closing(Store.open(tmp_path / "data" / "hub.db")) as store:
            if watching:
                until(lambda: store.schedule.watcher().beat_at is not None)
        server.stop()
        assert "Link Hub stopped." in server.log
    with closing(Store.open(tmp_path / "data" / "hub.db")) as store:
        assert (store.schedule.watcher().beat_at is not None) is watching
        fence = store.schedule.take_lease("next", now=datetime.now(UTC), lasts=timedelta(seconds=30))
        assert fence == (2 if watching else 1)
