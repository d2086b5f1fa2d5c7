"""The only module that reads environment variables: typed settings, every problem reported at once."""

from __future__ import annotations

import ipaddress
import os
import re
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from hub_core.errors import SettingsError
from hub_core.model import Secret

if TYPE_CHECKING:
    from collections.abc import Callable, MutableMapping

LOOPBACK_NAMES = ("localhost", "127.0.0.1", "[::1]")

_HOST = re.compile(r"(?=.{1,253}\Z)[a-z0-9_]([a-z0-9_-]{0,62})(\.[a-z0-9_]([a-z0-9_-]{0,62}))*\Z")
_LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")


def _setting(env: str, parse: Callable[[str], Any], default: Any, doc: str) -> Any:
    """Declare one setting: its variable, how its text is read, what holds without it, a sentence for the manual."""
    metadata = {"env": env, "parse": parse, "doc": doc}
    if callable(default):
        return field(default_factory=default, metadata=metadata)
    return field(default=default, metadata=metadata)


def _folder(text: str) -> Path:
    try:
        path = Path(text).expanduser()
    except RuntimeError:
        raise ValueError("there is no such home folder; give an absolute path") from None
    if not path.is_absolute():
        raise ValueError("give an absolute path")
    return path


def _flag(text: str) -> bool:
    word = text.strip().lower()
    if word in {"1", "true", "yes", "on"}:
        return True
    if word in {"0", "false", "no", "off", ""}:
        return False
    raise ValueError("give 1 or 0")


def _between(low: int, high: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if not text.strip().isdecimal() or not low <= int(text) <= high:
            raise ValueError(f"give a whole number from {low} to {high}")
        return int(text)

    return parse


def _words(text: str) -> tuple[str, ...]:
    return tuple(word for word in re.split(r"[,\s]+", text.strip()) if word)


def _address(text: str) -> str:
    if text == "localhost":
        return "127.0.0.1"
    try:
        return str(ipaddress.ip_address(text.strip("[]")))
    except ValueError:
        raise ValueError("give an IP address such as 127.0.0.1") from None


def _host(text: str) -> str:
    host = text.lower().rstrip(".")
    if not _HOST.match(host) and not _is_ip(host.strip("[]")):
        raise ValueError(f"“{text}” is not a host name or an IP address")
    return host


def _hosts(text: str) -> tuple[str, ...]:
    return tuple(_host(word) for word in _words(text))


def _hosts_or_networks(text: str) -> tuple[str, ...]:
    return tuple(str(ipaddress.ip_network(w, strict=False)) if "/" in w else _host(w) for w in _words(text))


def _host_ports(text: str) -> tuple[str, ...]:
    for word in _words(text):
        host, _, port = word.rpartition(":")
        if not host or not port.isdecimal() or not 0 < int(port) < 65536:  # noqa: PLR2004 - the range of ports
            raise ValueError(f"“{word}” is not host:port")
    return tuple(word.lower() for word in _words(text))


def _ports(text: str) -> tuple[int, ...]:
    read = _between(1, 65535)
    return tuple(read(word) for word in _words(text))


def _proxy(text: str) -> str:
    match = re.fullmatch(r"http://([^/@\s:]+|\[[0-9a-fA-F:]+\]):(\d{1,5})/?", text.strip())
    if not match or not 0 < int(match[2]) < 65536:  # noqa: PLR2004 - the range of ports
        raise ValueError("give http://host:port, without user name or password")
    return text.strip().rstrip("/")


def _timezone(text: str) -> str:
    try:
        return ZoneInfo(text.strip()).key
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError("give a time zone such as Europe/Berlin") from None


def _base_url(text: str) -> str:
    if not re.fullmatch(r"https?://[^\s/?#@]+(/[^\s?#]*)?", text.strip()):
        raise ValueError("give an address such as https://links.corp.example")
    return text.strip().rstrip("/")


def _level(text: str) -> str:
    level = text.strip().upper()
    if level not in _LOG_LEVELS:
        raise ValueError(f"give one of {', '.join(_LOG_LEVELS)}")
    return level


def _is_ip(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _home(variable: str, fallback: str) -> Callable[[], Path]:
    def folder() -> Path:
        base = os.environ.get(variable, "")
        return (Path(base) if base.startswith("/") else Path.home() / fallback) / "link-hub"

    return folder


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything an operator can decide. `docs/configuration.md` lists the same; a test holds them equal."""

    data: Path = _setting(
        "LINKHUB_DATA",
        _folder,
        _home("XDG_DATA_HOME", ".local/share"),
        "Folder of the database and its backups. Made with mode 0700.",
    )
    config: Path = _setting(
        "LINKHUB_CONFIG",
        _folder,
        _home("XDG_CONFIG_HOME", ".config"),
        "Folder of the master key file that is made on first use. Keep it out of the backups of the data folder.",
    )
    address: str = _setting(
        "LINKHUB_ADDRESS",
        _address,
        "127.0.0.1",
        "IP address the dashboard listens on. Anything but loopback is refused.",
    )
    port: int = _setting("LINKHUB_PORT", _between(1, 65535), 8501, "Port the dashboard listens on.")
    allow_open: bool = _setting(
        "LINKHUB_ALLOW_OPEN",
        _flag,
        False,
        "Set to 1 to listen on an address others can reach although the dashboard has no sign-in: everyone who reaches "
        "it can use every linked key through it.",
    )
    hosts: tuple[str, ...] = _setting(
        "LINKHUB_HOSTS",
        _hosts,
        (),
        "Host names, separated by commas, by which browsers may call the dashboard besides localhost and 127.0.0.1. "
        "Naming one means that others use it, so the rules of a shared dashboard hold from then on.",
    )
    key: Secret | None = _setting(
        "LINKHUB_KEY",
        Secret,
        None,
        "The master key itself, 32 bytes as base64. The weakest source: visible to whoever can inspect the process. "
        "Removed from the environment once read.",
    )
    key_file: Path | None = _setting(
        "LINKHUB_KEY_FILE", _folder, None, "File that holds the master key, such as a Docker or Kubernetes secret."
    )
    key_command: str | None = _setting(
        "LINKHUB_KEY_COMMAND",
        str,
        None,
        "Command that prints the master key, run without a shell, at most 10 seconds: "
        "`vault kv get …`, `systemd-creds decrypt …`.",
    )
    key_keyring: bool = _setting(
        "LINKHUB_KEY_KEYRING",
        _flag,
        False,
        "Set to 1 to keep the master key in the desktop's key store (install `link-hub[keyring]`).",
    )
    outbound_allow: tuple[str, ...] = _setting(
        "LINKHUB_OUTBOUND_ALLOW",
        _hosts_or_networks,
        (),
        "Hosts or networks in private ranges that may be contacted once the dashboard is shared, "
        "such as `vault.corp.example,10.20.0.0/16`. Not needed while it is not shared.",
    )
    outbound_loopback: tuple[str, ...] = _setting(
        "LINKHUB_OUTBOUND_LOOPBACK",
        _host_ports,
        (),
        "Targets on this machine that may be contacted, as `127.0.0.1:8443`. The sandbox is allowed without it.",
    )
    outbound_ports: tuple[int, ...] = _setting(
        "LINKHUB_OUTBOUND_PORTS",
        _ports,
        (),
        "Ports beside 443 and 8443 that may be contacted once the dashboard is shared.",
    )
    plaintext_hosts: tuple[str, ...] = _setting(
        "LINKHUB_PLAINTEXT_HOSTS",
        _hosts,
        (),
        "Hosts that may be linked over http://. The key travels readable to everyone on the way.",
    )
    proxy: str | None = _setting(
        "LINKHUB_PROXY",
        _proxy,
        None,
        "Proxy for outgoing requests, as http://host:port. HTTPS_PROXY and its like are not read. "
        "The proxy then resolves names, so it decides which addresses can be reached.",
    )
    token_limit: int = _setting(
        "LINKHUB_TOKEN_LIMIT",
        _between(1, 60),
        8,
        "Token requests a minute to one identity server, by everything together. Bitwarden's cloud allows 10 for "
        "each public IP address, shared with the people signing in behind it.",
    )
    interval_minutes: int = _setting(
        "LINKHUB_INTERVAL_MINUTES",
        _between(1, 10080),
        5,
        "Minutes between two light checks of an account. After twice that without a check it is shown as stale.",
    )
    keep_checks_days: int = _setting(
        "LINKHUB_KEEP_CHECKS_DAYS", _between(1, 366), 14, "Days for which every single check is kept."
    )
    keep_hours_days: int = _setting(
        "LINKHUB_KEEP_HOURS_DAYS",
        _between(31, 1830),
        90,
        "Days for which the sums of each hour are kept: uptime and latency.",
    )
    keep_days_days: int = _setting(
        "LINKHUB_KEEP_DAYS_DAYS",
        _between(90, 3660),
        730,
        "Days for which the sums of each day, incidents and changes of status are kept.",
    )
    timezone: str = _setting(
        "LINKHUB_TIMEZONE",
        _timezone,
        "UTC",
        "Time zone of weekly maintenance windows, quiet hours and digests, such as `Europe/Berlin`.",
    )
    url: str | None = _setting(
        "LINKHUB_URL",
        _base_url,
        None,
        "Address by which people open the dashboard, such as `https://links.corp.example`: alerts link to it.",
    )
    ping_url: Secret | None = _setting(
        "LINKHUB_PING_URL",
        Secret,
        None,
        "Address, such as Healthchecks gives, that is asked once a minute while checks go on: its owner tells when it "
        "stays silent, so that a hub that died is noticed. Whoever knows the address can pretend to be this hub.",
    )
    scheduler: bool = _setting(
        "LINKHUB_SCHEDULER",
        _flag,
        True,
        "Set to off to let the dashboard check only on request, because `linkhub watch` or cron checks instead.",
    )
    sandbox: bool = _setting(
        "LINKHUB_SANDBOX",
        _flag,
        True,
        "Set to 0 to leave out the sandbox, the stand-in Bitwarden to try things on. Always off once shared.",
    )
    sandbox_port: int = _setting("LINKHUB_SANDBOX_PORT", _between(1, 65535), 8599, "Port of the sandbox on 127.0.0.1.")
    log_level: str = _setting(
        "LINKHUB_LOG_LEVEL", _level, "WARNING", "How much is logged: DEBUG, INFO, WARNING or ERROR. Never a secret."
    )

    @property
    def database(self) -> Path:
        """Where the database file is."""
        return self.data / "hub.db"

    @property
    def listens_openly(self) -> bool:
        """Whether the dashboard listens where other machines reach it."""
        return not ipaddress.ip_address(self.address).is_loopback

    @property
    def shared(self) -> bool:
        """Whether others use the dashboard: it listens openly, or a proxy brings them in under a name of its own."""
        return self.listens_openly or bool(self.hosts)

    @property
    def sandbox_offered(self) -> bool:
        """Whether the region Sandbox exists: never once shared."""
        return self.sandbox and not self.shared

    @classmethod
    def from_env(cls, environ: MutableMapping[str, str] | None = None) -> Settings:
        """Read the settings from `environ` (default: the process environment).

        `LINKHUB_KEY` is removed from it, so that children do not inherit the key.

        Raises:
            SettingsError: with one sentence for every problem found.
        """
        env = os.environ if environ is None else environ
        values: dict[str, Any] = {}
        problems: list[str] = []
        known = {f.metadata["env"]: f for f in fields(cls)}
        for name, setting in known.items():
            text = env.pop(name, "") if name == "LINKHUB_KEY" else env.get(name, "")
            if not text.strip():
                continue
            try:
                values[setting.name] = setting.metadata["parse"](text)
            except ValueError as error:
                problems.append(f"{name}: {error}.")
        problems += [
            f"{name}: no such setting. See docs/configuration.md."
            for name in sorted(env)
            if name.startswith("LINKHUB_") and name not in known
        ]
        settings = cls(**values)
        problems += settings._conflicts()
        if problems:
            raise SettingsError(problems)
        return settings

    def _conflicts(self) -> list[str]:
        problems = []
        sources = [
            name
            for name, given in (
                ("LINKHUB_KEY", self.key),
                ("LINKHUB_KEY_FILE", self.key_file),
                ("LINKHUB_KEY_COMMAND", self.key_command),
                ("LINKHUB_KEY_KEYRING", self.key_keyring),
            )
            if given
        ]
        if len(sources) > 1:
            problems.append(f"{', '.join(sources)}: set exactly one source of the master key, not {len(sources)}.")
        if self.listens_openly and not self.allow_open:
            problems.append(
                f"LINKHUB_ADDRESS: {self.address} can be reached by others, and this dashboard has no sign-in yet. "
                "Listen on 127.0.0.1 and put a proxy with sign-in in front, or set LINKHUB_ALLOW_OPEN=1 if everyone "
                "who can reach it may use every linked key."
            )
        if self.listens_openly and self.allow_open and not self.hosts:
            problems.append(
                "LINKHUB_HOSTS: name the hosts by which browsers call this dashboard; without it a hostile web page "
                "could use it through a name of its own."
            )
        return problems
