"""The rules that keep the parts apart, read from the source itself."""

from __future__ import annotations

import ast
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[1]
ABOVE = {"streamlit", "pandas", "numpy", "pyarrow", "app", "pages", "tests"}
"""What the core never imports: it runs from a cron line."""


def modules(*folders: str) -> list[Path]:
    found = [path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))]
    assert found
    return found


CORE = modules("hub_core")
PRODUCT = [*CORE, *modules("pages"), ROOT / "app.py"]
TESTS = modules("tests")


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text("utf-8"), name(path))


def imported(path: Path) -> Iterator[str]:
    """Yield the modules a file imports, wherever in it, but not those named only for type checking."""
    types = {
        id(node)
        for block in ast.walk(tree(path))
        if isinstance(block, ast.If) and isinstance(block.test, ast.Name) and block.test.id == "TYPE_CHECKING"
        for node in ast.walk(block)
    }
    for node in ast.walk(tree(path)):
        if id(node) in types:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name(path)}: imports are absolute"
            yield str(node.module)
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def importers(*packages: str, among: list[Path]) -> set[str]:
    return {name(path) for path in among if any(module.split(".")[0] in packages for module in imported(path))}


def inside(*places: str) -> set[str]:
    """Return the files that a rule allows: whole folders end in a slash."""
    return {
        name(path)
        for path in PRODUCT
        if any(name(path) == place or (place.endswith("/") and name(path).startswith(place)) for place in places)
    }


def calls(path: Path) -> Iterator[str]:
    """Yield dotted names of every attribute that is read: `os.environ`, `secret.reveal`."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Attribute):
            base = node.value.id if isinstance(node.value, ast.Name) else ""
            yield f"{base}.{node.attr}"


def test_the_core_imports_nothing_above_it() -> None:
    """No module of the core imports Streamlit, pandas, pages, the app or tests."""
    assert importers(*ABOVE, among=CORE) == set()


@pytest.mark.parametrize("module", ["hub_core.hub", "hub_core.web.gate", "hub_core.web.routes", "hub_core.sandbox"])
def test_importing_the_core_loads_nothing_heavy(module: str) -> None:
    """What the command line and the health check import leaves Streamlit, pandas and sqlite-utils unloaded."""
    program = f"import sys, {module}; print(*sorted({{m.partition('.')[0] for m in sys.modules}}))"
    run = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert {"streamlit", "pandas", "sqlite_utils", "numpy"}.isdisjoint(run.stdout.split())


def test_secrets_are_revealed_in_few_modules_only() -> None:
    """`reveal()` is called where a secret is sealed, where it is sent, and where what was made here is shown once."""
    found = {name(path) for path in PRODUCT if any(call.endswith(".reveal") for call in calls(path))}
    assert found == {
        "hub_core/storage/seal.py",
        "hub_core/bitwarden/client.py",
        "hub_core/alerts/sending.py",
        "hub_core/access.py",
    }


def test_a_secret_is_shown_only_where_one_is_made() -> None:
    """`written_out`, by which a new API token or signing secret is shown once, is used where these are made alone."""
    found = {name(path) for path in PRODUCT if "written_out" in path.read_text("utf-8")}
    assert found == {
        "hub_core/access.py",
        "hub_core/cli/channel.py",
        "hub_core/cli/tokens.py",
        "pages/_settings_access.py",
        "pages/_settings_channels.py",
    }


def test_sql_is_in_the_storage_only() -> None:
    """Only `storage/` speaks to SQLite; the doctor knows the library's version and its errors, no statement."""
    assert importers("sqlite3", "sqlite_utils", among=PRODUCT) <= inside("hub_core/storage/", "hub_core/cli/examine.py")
    doctor = ROOT / "hub_core/cli/examine.py"
    assert {call for call in calls(doctor) if call.startswith("sqlite3.")} <= {
        "sqlite3.Error",
        "sqlite3.sqlite_version_info",
    }


def test_http_is_in_two_packages_only() -> None:
    """Only `bitwarden/` makes requests to servers, and only `alerts/` to channels; all else hands values to them."""
    clients = ("httpx", "httpcore", "h11", "requests", "urllib3", "aiohttp", "http", "truststore")
    # Apprise's child asks nobody by itself: it takes hold of the library by which Apprise does.
    alerts = ("hub_core/alerts/posting.py", "hub_core/alerts/apprise_child.py")
    found = importers(*clients, among=PRODUCT) - inside("hub_core/bitwarden/", *alerts)
    # The sandbox is a server; the gate and the routes answer requests.
    assert {path for path in found if not path.startswith(("hub_core/sandbox/", "hub_core/web/"))} == set()
    assert not any(module in {"urllib.request", "http.client"} for path in PRODUCT for module in imported(path))


def test_apprise_stays_in_its_own_process() -> None:
    """Only the child process imports Apprise: it chooses hosts and writes logs as it likes."""
    assert importers("apprise", among=PRODUCT) == {"hub_core/alerts/apprise_child.py"}


def test_cryptography_is_in_few_modules() -> None:
    """Secrets are encrypted in one module; certificates are read in one, and made for the sandbox."""
    allowed = inside("hub_core/storage/seal.py", "hub_core/bitwarden/tls.py", "hub_core/sandbox/")
    assert importers("cryptography", among=PRODUCT) <= allowed


def test_the_environment_is_read_in_one_place() -> None:
    """Environment variables are settings, read once; only the launchers hand the environment over."""
    found = {name(path) for path in PRODUCT if {"os.environ", "os.getenv", "os.putenv"} & set(calls(path))}
    assert found <= inside(
        "hub_core/settings.py", "hub_core/cli/", "hub_core/__main__.py", "hub_core/web/launch.py", "app.py"
    )


def test_pages_know_no_sql_http_or_secrets() -> None:
    """Pages import use cases and vocabulary: no storage but for types, no transport, no client."""
    forbidden = ("hub_core.storage", "hub_core.bitwarden.client", "hub_core.bitwarden.transport", "hub_core.keychain")
    found = {
        f"{name(path)}: {module}"
        for path in modules("pages")
        for module in imported(path)
        if module.startswith(forbidden)
    }
    assert found == set()


def test_no_html_of_ours_reaches_a_page() -> None:
    """`unsafe_allow_html` is nowhere, nor is any other way to put raw HTML or scripts on a page."""
    for path in [*modules("pages"), ROOT / "app.py"]:
        words = {node.arg for node in ast.walk(tree(path)) if isinstance(node, ast.keyword)}
        assert "unsafe_allow_html" not in words, name(path)
        assert not {"st.html", "components.html", "components.declare_component"} & set(calls(path)), name(path)


def test_no_test_replaces_parts_of_the_core() -> None:
    """Nothing inside the core is patched: time, network, paths and chance are its arguments."""
    for path in TESTS:
        assert not any(module.startswith("unittest.mock") for module in imported(path)), name(path)
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "setattr":
                assert "hub_core" not in ast.unparse(node), name(path)


@pytest.mark.parametrize("path", [*PRODUCT, *TESTS], ids=name)
def test_a_module_opens_by_saying_what_it_is_for(path: Path) -> None:
    """Every module begins with a docstring whose first line is a sentence."""
    if path.name == "__init__.py" and not tree(path).body:
        return
    first = (ast.get_docstring(tree(path)) or "").split("\n\n")[0].strip()
    assert first.endswith((".", ":")), name(path)


@pytest.mark.parametrize("path", [path for path in TESTS if path.name.startswith("test_")], ids=name)
def test_a_test_says_what_it_proves(path: Path) -> None:
    """Every test function has a docstring of a sentence."""
    silent = [
        node.name
        for node in ast.walk(tree(path))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.name.startswith("test_")
        and not (ast.get_docstring(node) or "").split("\n\n")[0].rstrip().endswith(".")
    ]
    assert silent == []


@pytest.mark.parametrize("path", PRODUCT, ids=name)
def test_a_module_stays_readable_in_one_go(path: Path) -> None:
    """No module of the product is longer than four hundred lines, but for the vocabulary."""
    limit = 440 if name(path) == "hub_core/model.py" else 400
    assert len(path.read_text("utf-8").splitlines()) <= limit
