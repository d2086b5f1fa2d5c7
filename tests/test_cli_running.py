"""The command line as a process: what it loads, how it serves, how it ends; and that its manual is complete."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import click
import pytest

from hub_core import __version__
from hub_core.cli.commands import linkhub
from hub_core.model import Trigger
from hub_core.sandbox import ServerName, endpoints_of
from tests.scaled import until
from tests.serving import ask, environment, start_server
from tests.terminal import DEADLINE, Terminal, child, organization

if TYPE_CHECKING:
    from collections.abc import Iterator

MANUAL = Path(__file__).resolve().parents[1] / "docs" / "command-line.md"
HEAVY = ("streamlit", "pandas", "sqlite_utils", "cryptography", "uvicorn")
MEADOW = organization("Meadow")


@pytest.fixture
def cli(
    tmp_path: Path, free_port: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Terminal:
    """Commands of an installation of their own."""
    return Terminal(tmp_path, free_port, monkeypatch, capsys)


def python(*arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    """Run Python to its end."""
    return subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, timeout=DEADLINE, check=False, env=env or None
    )


def tree(command: click.Command = linkhub, path: tuple[str, ...] = ()) -> Iterator[tuple[str, click.Command]]:
    """Walk the tree of commands."""
    if isinstance(command, click.Group):
        for name, inner in command.commands.items():
            yield from tree(inner, (*path, name))
    else:
        yield " ".join(path), command


# ---- what is loaded


def test_help_loads_nothing_heavy() -> None:
    """`--help` needs none of the large libraries."""
    ran = python("-X", "importtime", "-m", "hub_core", "--help")
    assert ran.returncode == 0
    loaded = {line.rpartition("|")[2].strip().partition(".")[0] for line in ran.stderr.splitlines() if "|" in line}
    assert "click" in loaded
    assert not loaded & set(HEAVY)


def test_the_version_is_told() -> None:
    """`python -m hub_core --version` works as a process."""
    ran = python("-m", "hub_core", "--version")
    assert (ran.returncode, ran.stdout) == (0, f"Link Hub {__version__}\n")


# ---- how it ends


def test_every_command_has_help(cli: Terminal) -> None:
    """It ends with 0, and its first line is a sentence."""
    for name, command in tree():
        ran = cli(*name.split(), "-h")
        assert ran.code == 0, name
        assert (command.help or "").splitlines()[0].endswith((".", ",")), name


def test_no_summary_in_a_list_of_commands_is_cut() -> None:
    """At 80 columns the first sentence about each command is there to its end."""
    for group in (linkhub, *(one for one in linkhub.commands.values() if isinstance(one, click.Group))):
        room = 78 - 6 - max(map(len, group.commands))
        cut = [name for name, one in group.commands.items() if one.get_short_help_str(room).endswith("...")]
        assert cut == [], group.name


NOTHING_THERE = (
    *(("list",), ("check", "--all"), ("incidents",), ("export",), ("key", "verify"), ("key", "rotate"), ("doctor",)),
    *(("maintenance", "list"), ("channel", "list"), ("token", "list"), ("key", "status")),
)
NOBODY_THERE = (
    *(("show", "x"), ("check", "x"), ("relink", "x"), ("edit", "x", "--label", "y"), ("pause", "x"), ("resume", "x")),
    *(("unlink", "x", "--label", "x"), ("badge", "on", "x"), ("badge", "off", "x"), ("acknowledge", "1")),
    *(("maintenance", "remove", "1"), ("channel", "show", "x"), ("channel", "test", "x"), ("channel", "enable", "x")),
    *(
        ("channel", "disable", "x"),
        ("channel", "remove", "x"),
        ("channel", "deliveries", "x"),
        ("token", "revoke", "x"),
    ),
)


def test_every_command_is_there_when_nothing_is_linked(cli: Terminal) -> None:
    """On an empty installation those about all of it end well with a sentence, those about one thing with 2."""
    for words in NOTHING_THERE:
        ran = cli(*words)
        assert (ran.code, bool(ran.text.strip())) == (0, True), words
    for words in NOBODY_THERE:
        ran = cli(*words)
        assert (ran.code, ran.out) == (2, ""), words
        assert re.search(r"There is no such |There is no maintenance|No account", ran.err), (words, ran.err)
    assert cli("list").err.startswith("No account is linked yet.")


@pytest.mark.parametrize("arguments", [(), ("nonsense",), ("list", "--nonsense"), ("show",), ("key",)])
def test_wrong_usage_ends_with_2(cli: Terminal, arguments: tuple[str, ...]) -> None:
    """Usage is on standard error, and nothing is on standard output."""
    ran = cli(*arguments)
    assert (ran.code, ran.out) == (2, "")
    assert "Usage: " in ran.err


@pytest.mark.parametrize(
    ("name", "value"),
    [("LINKHUB_PORT", "x"), ("LINKHUB_NOPE", "1"), ("LINKHUB_KEY", "x"), ("LINKHUB_KEY_FILE", "/nowhere")],
)
@pytest.mark.parametrize("command", [("list",), ("check", "--all"), ("key", "status"), ("link", "--region", "us")])
def test_wrong_configuration_ends_with_78(cli: Terminal, name: str, value: str, command: tuple[str, ...]) -> None:
    """The sentence names the setting; there is no traceback."""
    cli.set(**{name: value})
    ran = cli(*command)
    assert ran.code == 78
    assert name in ran.err or value in ran.err
    assert "Traceback" not in ran.err


def test_what_nobody_expected_is_one_line_without_contents(cli: Terminal) -> None:
    """A row that cannot be read ends with 1, and with the type and place of the fault, never with its text."""
    cli.link(MEADOW)
    with cli.store() as store, store.database.write() as con:
        con.execute("UPDATE account SET tags = '{canary'")
    ran = cli("list")
    assert (ran.code, ran.out) == (1, "")
    assert "JSONDecodeError at decoder.py:" in ran.err
    assert "canary" not in ran.err
    assert len(ran.err.splitlines()) == 1


def test_ctrl_c_ends_quietly_with_130(cli: Terminal) -> None:
    """While a secret is awaited, an interrupt prints no traceback."""
    process = child("link", "--region", "sandbox", "--client-id", MEADOW.client_id, "--label", "x")
    wait_until_it_reads(process)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=DEADLINE)
    assert process.returncode == 130
    assert (out, err.strip()) == ("", "")


def wait_until_it_reads(process: subprocess.Popen[str]) -> None:
    """Return when the process waits for standard input: an interrupt during its imports proves nothing.

    One that hits while Python makes a dataclass ends the interpreter with the signal, even when it was handled.
    """
    until = time.monotonic() + DEADLINE
    while not Path(f"/proc/{process.pid}/syscall").read_text("ascii").startswith("0 0x0 "):
        assert process.poll() is None
        assert time.monotonic() < until
        os.sched_yield()


# ---- watch


@pytest.mark.parametrize("told", [signal.SIGTERM, signal.SIGINT])
def test_watching_goes_on_until_told_to_end(cli: Terminal, told: signal.Signals) -> None:
    """It checks what is due, gives signs of life, and ends cleanly, so that another may begin at once."""
    with cli.sandbox():
        assert cli.link(MEADOW).code == 0
        with cli.store() as store, store.database.write() as con:
            con.execute("UPDATE schedule SET next_at = 0, light_at = NULL")
        process = child("watch")
        assert process.stderr
        assert process.stderr.readline().startswith("Watching.")
        with cli.store() as store:
            until(lambda: store.past.recent(store.overview()[0].id, 1)[0].trigger is Trigger.SCHEDULE)
            assert store.schedule.watcher().beat_at
        process.send_signal(told)
        out, err = process.communicate(timeout=DEADLINE)
    assert (process.returncode, out, err) == (0, "", "Stopped watching.\n")
    with cli.store() as store:
        now = datetime.now(UTC)
        assert store.schedule.take_lease("another", now=now, lasts=timedelta(seconds=30)) == 2
    assert "Next check" in cli("show", MEADOW.name).out


# ---- sandbox and serve


def test_the_sandbox_serves_until_end_of_input(cli: Terminal) -> None:
    """It prints organizations with keys, other processes link them, and lines switch faults."""
    process = child("sandbox")
    assert process.stdin
    assert process.stdout
    assert process.stderr
    told = [process.stdout.readline()]
    while MEADOW.secret not in told[-1]:
        told.append(process.stdout.readline())
        assert told[-1]
    assert f"https://127.0.0.1:{cli.port}" in told[0]
    assert any(MEADOW.client_id in line for line in told)
    assert any("Meadow Bakery (--sandbox-server us)" in line for line in told)
    assert cli.link(MEADOW, label="Meadow").code == 0
    process.stdin.write("fault Meadow disable\nnonsense\n")
    process.stdin.flush()
    while "is not understood" not in told[-1]:
        told.append(process.stdout.readline())
        assert told[-1]
    assert "disable is on for Meadow" in told[-2]
    assert cli("check", "Meadow").code == 1
    second = cli("sandbox")
    assert second.code == 1
    assert "already runs" in second.err
    _, err = process.communicate(timeout=DEADLINE)
    assert process.returncode == 0
    assert "Traceback" not in err


def test_the_sandbox_ends_quietly_on_ctrl_c(cli: Terminal) -> None:
    """An interrupt is the usual way to end it."""
    process = child("sandbox")
    assert process.stdout
    assert process.stdout.readline().startswith("The sandbox answers")
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=DEADLINE)
    assert process.returncode == 130
    assert "Traceback" not in err


def test_a_sandbox_that_is_switched_off_is_a_sentence(cli: Terminal) -> None:
    """It ends with 1 and starts nothing."""
    cli.set(LINKHUB_SANDBOX="0")
    ran = cli("sandbox")
    assert ran.code == 1
    assert "switched off" in ran.err


def test_linked_sandbox_accounts_keep_their_addresses(cli: Terminal) -> None:
    """The command line serves it from the same folder and port as the dashboard does."""
    cli.link(MEADOW, label="Meadow")
    shown = cli("show", "Meadow", "--json").json
    assert shown["api"] == endpoints_of(f"https://127.0.0.1:{cli.port}", ServerName.US).api
    assert (cli.data / "sandbox" / "ca.pem").exists()


def test_serve_is_the_dashboard_with_the_environment_as_given(tmp_path: Path) -> None:
    """The master key in LINKHUB_KEY still reaches the server, and the server ends as it does alone."""
    key = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
    command = [sys.executable, "-m", "hub_core", "serve"]
    with start_server(tmp_path, command=command, LINKHUB_KEY=key) as server:
        assert ask(server.port, "/healthz").status == 200
        server.stop()
    assert not (tmp_path / "config" / "master.key").exists()
    env = environment(tmp_path, LINKHUB_KEY=key)
    assert python("-m", "hub_core", "key", "verify", **env).returncode == 0


# ---- the manual


def test_the_manual_names_every_command_and_option() -> None:
    """Each command has its heading, and each of its options stands below it or is said of all."""
    manual = MANUAL.read_text("utf-8")
    head, *sections = re.split(r"^### ", manual.partition("## Accounts as JSON")[0], flags=re.MULTILINE)
    by_name = {name.strip(): text for text in sections for name in text.partition("\n")[0].split(",")}
    assert set(by_name) == {name for name, _ in tree()}
    for name, command in tree():
        for option in command.params:
            if isinstance(option, click.Option):
                text = by_name[name]
                assert any(f"`{word}" in text or f" {word}`" in text or f" {word} " in text for word in option.opts), (
                    f"{name} {option.opts}"
                )
    assert "`-h`" in head
    assert "`--help`" in head


def test_the_manual_names_every_exit_code() -> None:
    """0, 1, 2, 78 and 130."""
    codes = re.findall(r"^\| (\d+) \|", MANUAL.read_text("utf-8"), flags=re.MULTILINE)
    assert codes == ["0", "1", "2", "78", "130"]


def test_the_manual_names_every_key_of_the_json(cli: Terminal) -> None:
    """Whatever a command prints for machines is listed."""
    cli.link(MEADOW, label="Meadow")
    named = set(re.findall(r"`([a-z_0-9]+)`", MANUAL.read_text("utf-8")))
    shown = cli("show", "Meadow", "--json").json
    doctor = cli("doctor", "--json").json
    keys = {*shown, *shown["last_check"], *shown["last_check"]["stages"][0]}
    keys |= {*doctor, *doctor["findings"][0], *cli("key", "status", "--json").json}
    assert keys <= named
