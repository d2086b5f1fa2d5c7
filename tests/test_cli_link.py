"""Link, relink and edit on the command line; secrets come in by pipe, file or prompt only."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
import pytest

from hub_core.cli.commands import linkhub
from hub_core.sandbox import Fault
from tests.terminal import Terminal, at_terminal, organization

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MEADOW, ALPINE, ORCHARD = organization("Meadow"), organization("Alpine"), organization("Orchard")
STAGES = ("Format", "Reach", "Certificate", "Server", "Key", "Read", "Organization")


@pytest.fixture
def cli(
    tmp_path: Path, free_port: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Terminal:
    """Commands of an installation of their own."""
    return Terminal(tmp_path, free_port, monkeypatch, capsys)


def link_own_server(cli: Terminal, *options: str) -> None:
    """Link the sandbox's self-hosted organization by its address, as a server of one's own."""
    ran = cli(
        *("link", "--server", f"https://127.0.0.1:{cli.port}/selfhost", "--client-id", ORCHARD.client_id),
        *("--ca-file", str(cli.data / "sandbox" / "ca.pem"), "--label", "Orchard", *options),
        stdin=ORCHARD.secret,
    )
    assert ran.code == 0, ran.text


def commands(command: click.Command = linkhub, path: tuple[str, ...] = ()) -> Iterator[tuple[str, click.Command]]:
    """Walk the tree of commands."""
    if isinstance(command, click.Group):
        for name, inner in command.commands.items():
            yield from commands(inner, (*path, name))
    else:
        yield " ".join(path), command


# ---- link


def test_link_shows_stages_as_they_come_and_facts_at_the_end(cli: Terminal) -> None:
    """Every stage is a line on standard error, the facts are on standard output, and the secret is on neither."""
    ran = cli.link(MEADOW, "--tag", "customer", "--tag", "school", "--note", "by Ann", label="Meadow")
    assert ran.code == 0
    lines = [line for line in ran.err.splitlines() if line.startswith("✓")]
    assert [line.split()[1].rstrip(":") for line in lines] == list(STAGES)
    assert all(line.endswith("ms)") for line in lines)
    assert MEADOW.guid in ran.out
    assert "Meadow" in ran.out
    assert "240: " in ran.out
    assert MEADOW.secret not in ran.text
    shown = cli("show", "Meadow", "--json").json
    assert (shown["tags"], shown["note"], shown["status"]) == (["customer", "school"], "by Ann", "healthy")


def test_the_audit_trail_names_the_login_behind_the_command(cli: Terminal) -> None:
    """Who linked is `cli:` and a login name."""
    cli.link(MEADOW)
    with cli.store() as store:
        entry = store.audit_trail()[0]
    assert entry["action"] == "link"
    assert entry["actor"].startswith("cli:")
    assert len(entry["actor"]) > len("cli:")


def test_link_reads_the_secret_from_a_file(cli: Terminal, tmp_path: Path) -> None:
    """`--secret-file` is enough; standard input is then left alone."""
    file = tmp_path / "secret"
    file.write_text(MEADOW.secret + "\n", "utf-8")
    ran = cli.link(MEADOW, "--secret-file", str(file), stdin="something else")
    assert ran.code == 0


def test_link_reads_a_pasted_block(cli: Terminal) -> None:
    """`--paste` finds client id and secret in what the web vault shows."""
    block = f"client_id:\n{MEADOW.client_id}\nclient_secret:\n{MEADOW.secret}\nscope: api.organization\n"
    ran = cli("link", "--region", "sandbox", "--paste", "--label", "Meadow", stdin=block)
    assert ran.code == 0
    assert MEADOW.secret not in ran.text
    assert [row["organization"] for row in cli("list", "--json").json] == [MEADOW.guid]


def test_a_pasted_block_brings_its_server(cli: Terminal) -> None:
    """The address in the block is used where none is given."""
    with cli.sandbox():
        block = f"url=https://127.0.0.1:{cli.port}/selfhost\nclient_id={ORCHARD.client_id}\n"
        block += f"client_secret={ORCHARD.secret}\n"
        ca = str(cli.data / "sandbox" / "ca.pem")
        assert cli("link", "--paste", "--label", "Orchard", "--ca-file", ca, stdin=block).code == 0
        assert cli("show", "Orchard", "--json").json["region"] == "self_hosted"


def test_a_block_without_a_secret_is_refused(cli: Terminal) -> None:
    """What was pasted must hold a secret."""
    ran = cli("link", "--region", "sandbox", "--paste", "--label", "x", stdin=f"client_id: {MEADOW.client_id}")
    assert ran.code == 2
    assert "No client secret" in ran.err


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--client-id", MEADOW.client_id, "--label", "x"), "--region"),
        (("--region", "sandbox", "--label", "x"), "--client-id"),
        (("--region", "sandbox", "--client-id", MEADOW.client_id), "--label"),
        (("--region", "us", "--server", "a.example", "--client-id", "x", "--label", "x"), "fixed addresses"),
        (("--region", "moon"), "moon"),
        (("--region", "sandbox", "--paste", "--secret-file", "/nowhere"), "not both"),
        (("--region", "sandbox", "--client-id", "x", "--label", "x", "--secret-file", "/nowhere"), "/nowhere"),
        (("--region", "sandbox", "--client-id", MEADOW.client_id, "--label", " "), "label: "),
        (
            ("--region", "sandbox", "--client-id", MEADOW.client_id.replace("organization", "user"), "--label", "x"),
            "personal",
        ),
        (("--server", "http://vault.example", "--client-id", MEADOW.client_id, "--label", "x"), "server: "),
    ],
)
def test_wrong_entries_end_with_2_and_a_sentence(cli: Terminal, arguments: tuple[str, ...], sentence: str) -> None:
    """Nothing is sent and nothing is stored for what can be corrected."""
    ran = cli("link", *arguments, stdin=MEADOW.secret)
    assert ran.code == 2
    assert sentence in ran.err
    assert MEADOW.secret not in ran.text
    assert cli("list", "--json").json == []


def test_every_wrong_field_is_named_at_once(cli: Terminal) -> None:
    """A form with several faults is answered with all of them."""
    ran = cli("link", "--region", "sandbox", "--client-id", "nonsense", "--label", "", stdin="x")
    assert ran.code == 2
    assert {line.split(":")[0] for line in ran.err.splitlines()} == {"client id", "label"}


def test_no_secret_at_all_is_a_sentence(cli: Terminal) -> None:
    """An empty pipe ends with exit code 2."""
    ran = cli("link", "--region", "sandbox", "--client-id", MEADOW.client_id, "--label", "x", stdin="\n")
    assert ran.code == 2
    assert "--secret-file" in ran.err


def test_bytes_that_are_no_text_are_refused_with_a_sentence(cli: Terminal) -> None:
    """A binary file piped in by mistake is no traceback."""
    ran = cli("link", "--region", "sandbox", "--client-id", MEADOW.client_id, "--label", "x", stdin=b"\xff\xfe\x00")
    assert ran.code == 2
    assert "secret: " in ran.err


def test_a_refused_key_is_explained_and_not_linked(cli: Terminal) -> None:
    """The exit code is 1, the causes and steps are printed, the other cloud is named, and nothing is stored."""
    ran = cli("link", "--region", "sandbox", "--client-id", ALPINE.client_id, "--label", "x", stdin=ALPINE.secret)
    assert ran.code == 1
    assert "✕ Key: " in ran.err
    for words in ("Likely causes", "What to do:", "docs/troubleshooting.md#key-never-accepted", "--sandbox-server eu"):
        assert words in ran.err
    assert ran.out == ""
    assert cli("list", "--json").json == []


def test_a_server_that_asks_to_wait_is_quoted(cli: Terminal) -> None:
    """A rate limit says when to try again."""
    with cli.sandbox() as sandbox:
        sandbox.faults.set("us", Fault.RATE_LIMITED, on=True, seconds=37)
        ran = cli.link(MEADOW)
    assert ran.code == 1
    assert "Try again in 37 s." in ran.err


def test_the_same_organization_is_not_linked_twice(cli: Terminal) -> None:
    """The second link names the first and ends with 2."""
    cli.link(MEADOW, label="First")
    ran = cli.link(MEADOW, label="Second")
    assert ran.code == 2
    assert "already linked as “First”" in ran.err


def test_an_own_server_is_linked_by_its_address(cli: Terminal) -> None:
    """`--server` needs no region and gives both addresses."""
    with cli.sandbox():
        link_own_server(cli)
        shown = cli("show", "Orchard", "--json").json
    assert shown["api"] == f"https://127.0.0.1:{cli.port}/selfhost/api"
    assert shown["identity_address"] == f"https://127.0.0.1:{cli.port}/selfhost/identity"
    assert shown["own_ca"] is True


# ---- secrets


@pytest.mark.parametrize(
    "arguments",
    [
        ("link", "--secret", "abc"),
        ("link", "--client-secret=abc"),
        ("link", "--client_secret", "abc"),
        ("relink", "Meadow", "--password", "abc"),
        ("key", "rekey", "--key", "abc"),
        ("key", "rekey", "--master-key=abc"),
        ("relink", "Meadow", MEADOW.secret),
        ("link", f"--note={MEADOW.secret}"),
        ("key", "rekey", "q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA="),
        ("list", "--token", "abc"),
    ],
)
def test_what_looks_like_a_secret_in_arguments_is_refused(cli: Terminal, arguments: tuple[str, ...]) -> None:
    """It is refused before anything is done, with exit code 2, and is not repeated."""
    ran = cli(*arguments)
    assert ran.code == 2
    assert "does not belong on the command line" in ran.err
    assert arguments[-1].rpartition("=")[2] not in ran.text or arguments[-1].endswith("=")
    assert MEADOW.secret not in ran.text
    assert "q83vEjRWeJCrze8" not in ran.text
    assert not cli.data.exists()


def test_an_argument_too_many_is_not_repeated(cli: Terminal) -> None:
    """It may be a secret that is not shaped like one."""
    ran = cli("relink", "Meadow", "hunter2")
    assert ran.code == 2
    assert "more arguments" in ran.err
    assert "hunter2" not in ran.text


def test_no_option_takes_a_secret_as_its_value() -> None:
    """Walk the whole tree: an option about a secret or a key names a file, or is a flag."""
    words = ("secret", "password", "token", "key")
    for name, command in commands():
        for option in command.params:
            if isinstance(option, click.Option) and any(word in text for text in option.opts for word in words):
                assert option.is_flag or option.opts[0].endswith("-file"), f"{name} {option.opts}"


def test_the_prompt_does_not_show_the_secret(cli: Terminal) -> None:
    """At a terminal the secret is asked for, and what is typed does not appear."""
    code, screen = at_terminal(
        *("link", "--region", "sandbox"),
        answers=(("Client ID", MEADOW.client_id), ("Client secret", MEADOW.secret), ("Label", "Typed")),
    )
    assert code == 0, screen
    assert MEADOW.client_id in screen
    assert MEADOW.secret not in screen
    assert [row["label"] for row in cli("list", "--json").json] == ["Typed"]


# ---- relink


def test_relink_gives_the_new_key(cli: Terminal) -> None:
    """After a rotation the old key fails and the new one mends the account."""
    with cli.sandbox() as sandbox:
        cli.link(MEADOW, label="Meadow")
        new = sandbox.rotate(MEADOW.client_id)
        assert cli("check", "Meadow").code == 1
        ran = cli("relink", "Meadow", stdin=new)
        assert ran.code == 0
        assert new not in ran.text
        assert cli("check", "Meadow").code == 0


def test_a_refused_new_key_changes_nothing(cli: Terminal) -> None:
    """The old key stays and still works."""
    cli.link(MEADOW, label="Meadow")
    ran = cli("relink", "Meadow", stdin="A" * 30)
    assert ran.code == 1
    assert "Nothing was changed." in ran.err
    assert "Likely causes" in ran.err
    assert cli("check", "Meadow").code == 0


# ---- edit


def test_edit_changes_words_and_keeps_the_rest(cli: Terminal) -> None:
    """What is not given stays; an empty tag removes the tags."""
    cli.link(MEADOW, "--tag", "a", "--note", "n", label="Meadow")
    assert cli("edit", "Meadow", "--label", "Meadow Ltd").code == 0
    shown = cli("show", "Meadow Ltd", "--json").json
    assert (shown["tags"], shown["note"]) == (["a"], "n")
    assert cli("edit", "Meadow Ltd", "--tag", "", "--note", "").code == 0
    shown = cli("show", "Meadow Ltd", "--json").json
    assert (shown["label"], shown["tags"], shown["note"]) == ("Meadow Ltd", [], "")


def test_edit_without_a_change_is_a_usage_error(cli: Terminal) -> None:
    """There must be something to do."""
    cli.link(MEADOW, label="Meadow")
    assert cli("edit", "Meadow").code == 2


def test_another_address_asks_for_the_secret_again(cli: Terminal) -> None:
    """Without the secret nothing is sent there; with it the account moves once the key is proven."""
    with cli.sandbox():
        link_own_server(cli)
        moved = ("edit", "Orchard", "--server", f"https://localhost:{cli.port}/selfhost")
        refused = cli(*moved)
        assert refused.code == 2
        assert "Client secret" in refused.err
        before = f"https://127.0.0.1:{cli.port}/selfhost/api"
        assert cli("show", "Orchard", "--json").json["api"] == before
        ran = cli(*moved, "--label", "Orchard 2", stdin=ORCHARD.secret)
        assert ran.code == 0, ran.text
        assert ORCHARD.secret not in ran.text
        assert cli("show", "Orchard 2", "--json").json["api"] == f"https://localhost:{cli.port}/selfhost/api"


def test_an_address_that_fails_changes_nothing(cli: Terminal) -> None:
    """Mixed hosts are found before the secret is sent, and label and address stay."""
    with cli.sandbox():
        link_own_server(cli)
        base = f"https://127.0.0.1:{cli.port}"
        ran = cli(
            *("edit", "Orchard", "--api", f"{base}/selfhost/api", "--identity", f"{base}/us/identity", "--label", "X"),
            stdin=ORCHARD.secret,
        )
        assert ran.code == 1
        assert "docs/troubleshooting.md#hosts-mismatch" in ran.err
        assert cli("show", "Orchard", "--json").json["identity_address"] == f"{base}/selfhost/identity"


def test_another_certificate_alone_needs_no_secret(cli: Terminal) -> None:
    """The stored secret may go where it always went."""
    with cli.sandbox():
        link_own_server(cli)
        ca = str(cli.data / "sandbox" / "ca.pem")
        assert cli("edit", "Orchard", "--ca-file", ca).code == 0


def test_the_sandbox_keeps_its_addresses(cli: Terminal) -> None:
    """Its accounts are not edited to somewhere else."""
    cli.link(MEADOW, label="Meadow")
    ran = cli("edit", "Meadow", "--server", "https://vault.example", stdin=MEADOW.secret)
    assert ran.code == 2
    assert "keeps its addresses" in ran.err
