"""How the dashboard's server is started, and that it listens where the settings say and nowhere else."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from hub_core.errors import SettingsError
from hub_core.settings import Settings

if TYPE_CHECKING:
    from collections.abc import MutableMapping


def dashboard() -> Path:
    """Return the script that is the server: inside this package once installed, beside it in a checkout."""
    package = Path(__file__).resolve().parents[1]
    installed = package / "dashboard" / "app.py"
    return installed if installed.exists() else package.parent / "app.py"


def command() -> list[str]:
    """Return the command that serves the dashboard where LINKHUB_ADDRESS and LINKHUB_PORT say.

    Start it with the environment as it was given: reading the settings first takes LINKHUB_KEY out of it.
    """
    return [sys.executable, str(dashboard())]


def agree(environ: MutableMapping[str, str], *, address: str, port: int) -> None:
    """Hold the settings to the address and port on which another program, `streamlit run`, listens already.

    What the operator left open follows that program, and is then judged like any other setting; what the operator
    said otherwise is refused, because the dashboard must not listen anywhere but where it was told to.

    Raises:
        SettingsError: with a sentence for each that differs.
    """
    problems = []
    listening = {"LINKHUB_ADDRESS": ("server.address", _number(address)), "LINKHUB_PORT": ("server.port", str(port))}
    for name, (option, there) in listening.items():
        wanted = _number(environ.get(name, "").strip())
        if not wanted:
            environ[name] = there
        elif wanted != there:
            problems.append(
                f"{name}: {wanted} is wanted, but Streamlit listens on {there}. Start with `python app.py`, which "
                f"follows {name}, or add `--{option} {wanted}`."
            )
    if problems:
        raise SettingsError(problems)


def checked(environ: MutableMapping[str, str]) -> Settings:
    """Return the settings, leaving `environ` whole for the hub, which reads them again.

    Raises:
        SettingsError: with one sentence for every problem found.
    """
    return Settings.from_env(dict(environ))


def url(settings: Settings) -> str:
    """Return the address to type into a browser on this machine."""
    address = f"[{settings.address}]" if ":" in settings.address else settings.address
    return f"http://{address}:{settings.port}"


def _number(address: str) -> str:
    return "127.0.0.1" if address == "localhost" else address.strip("[]")
