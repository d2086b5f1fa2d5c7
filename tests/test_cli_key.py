"""The key commands and the backup: what is kept where, and what a kill in between leaves behind."""

from __future__ import annotations

import hashlib
import json
import os
import pty
import sqlite3
import time
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

import pytest

from hub_core.model import Secret
from hub_core.storage.keys import from_recovery_sheet
from hub_core.storage.seal import MasterKey
from tests.terminal import DEADLINE, Terminal, at_terminal, child, organization

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MEADOW, HARBOR = organization("Meadow"), organization("Harbor")
OLD = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
NEW = "BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBA="


@pytest.fixture
def cli(
    tmp_path: Path, free_port: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Terminal:
    """Commands of an installation of their own, with one account."""
    made = Terminal(tmp_path, free_port, monkeypatch, capsys)
    assert made.link(MEADOW, label="Meadow").code == 0
    return made


def key_id(text: str) -> str:
    """Return the id of a master key."""
    return MasterKey.from_text(Secret(text)).id


def all_open(cli: Terminal) -> bool:
    """Tell whether every secret opens."""
    return cli("key", "verify").code == 0


@contextmanager
def database_busy(cli: Terminal) -> Iterator[None]:
    """Keep the database locked, as another program might."""
    with closing(sqlite3.connect(cli.data / "hub.db", isolation_level=None)) as con:
        con.execute("BEGIN IMMEDIATE")
        yield
        con.execute("ROLLBACK")


# ---- status, rotate, verify


def test_key_status_tells_ids_and_places_and_no_material(cli: Terminal) -> None:
    """The documented keys for machines; the key itself is nowhere in it."""
    ran = cli("key", "status", "--json")
    assert ran.code == 0
    assert set(ran.json) == {
        *("master_id", "source", "place", "data_key_id", "data_key_made", "secrets", "locked", "warnings"),
    }
    assert (ran.json["source"], ran.json["secrets"], ran.json["locked"]) == ("own file", 1, 0)
    key = (cli.config / "master.key").read_text("utf-8").strip()
    assert key not in ran.text
    told = cli("key", "status")
    assert key not in told.text
    assert ran.json["master_id"] in told.out


def test_rotate_seals_everything_with_a_new_data_key(cli: Terminal) -> None:
    """The data key changes, the master key stays, and every secret still opens."""
    before = cli("key", "status", "--json").json
    ran = cli("key", "rotate")
    assert ran.code == 0
    assert "1 secret " in ran.out
    after = cli("key", "status", "--json").json
    assert after["data_key_id"] != before["data_key_id"]
    assert after["master_id"] == before["master_id"]
    assert cli("check", "Meadow").code == 0


def test_verify_names_the_account_whose_secret_does_not_open(cli: Terminal) -> None:
    """A moved secret is found, status and rotate say so too, and nothing is changed by trying."""
    cli.link(HARBOR, label="Harbor")
    assert cli("key", "verify").out.strip() == "2 of 2 secrets can be opened."
    with cli.store() as store, store.database.write() as con:
        con.execute("UPDATE account SET sealed = (SELECT sealed FROM account WHERE label = 'Meadow')")
    ran = cli("key", "verify")
    assert ran.code == 1
    assert "Harbor" in ran.out
    assert "Meadow" not in ran.out
    assert cli("key", "status").code == 1
    assert cli("key", "rotate").code == 1
    assert "1 of 2" in cli("key", "verify").out


# ---- rekey


def test_rekey_replaces_the_made_file_and_keeps_the_old_one(cli: Terminal) -> None:
    """The new key is in place, the old one beside it under its id, and every secret opens."""
    old = cli("key", "status", "--json").json["master_id"]
    ran = cli("key", "rekey", stdin=NEW + "\n")
    assert ran.code == 0
    assert NEW not in ran.text
    assert (cli.config / "master.key").read_text("utf-8").strip() == NEW
    assert (cli.config / f"master.key.{old}").stat().st_mode & 0o777 == 0o600
    assert str(cli.config / f"master.key.{old}") in ran.err
    assert cli("key", "status", "--json").json["master_id"] == key_id(NEW)
    assert all_open(cli)


def test_rekey_makes_a_key_or_reads_a_file(cli: Terminal, tmp_path: Path) -> None:
    """`--generate` and `--key-file` both work; both together do not."""
    first = cli("key", "status", "--json").json["master_id"]
    assert cli("key", "rekey", "--generate").code == 0
    second = cli("key", "status", "--json").json["master_id"]
    file = tmp_path / "new.key"
    file.write_text(NEW, "utf-8")
    assert cli("key", "rekey", "--key-file", str(file)).code == 0
    assert len({first, second, cli("key", "status", "--json").json["master_id"], key_id(NEW)}) == 3
    assert cli("key", "rekey", "--generate", "--key-file", str(file)).code == 2
    assert all_open(cli)


@pytest.mark.parametrize(("stdin", "sentence"), [("nonsense", "not a master key"), ("", "--key-file")])
def test_a_malformed_new_key_changes_nothing(cli: Terminal, stdin: str, sentence: str) -> None:
    """It ends with 2, and the key in use stays."""
    before = (cli.config / "master.key").read_bytes()
    ran = cli("key", "rekey", stdin=stdin)
    assert ran.code == 2
    assert sentence in ran.err
    assert (cli.config / "master.key").read_bytes() == before


def test_rekey_with_the_key_in_use_is_refused(cli: Terminal) -> None:
    """Nothing is replaced and nothing is kept beside it."""
    ran = cli("key", "rekey", stdin=(cli.config / "master.key").read_text("utf-8"))
    assert ran.code == 2
    assert [path.name for path in cli.config.iterdir()] == ["master.key"]


def test_a_database_that_refuses_puts_the_old_key_back(cli: Terminal) -> None:
    """When wrapping fails, the old file is in place again and every secret opens."""
    before = (cli.config / "master.key").read_bytes()
    with database_busy(cli):
        ran = cli("key", "rekey", stdin=NEW)
    assert ran.code == 1
    assert "locked" in ran.err
    assert (cli.config / "master.key").read_bytes() == before
    assert [path.name for path in cli.config.iterdir()] == ["master.key"]
    assert all_open(cli)


def test_a_kill_between_file_and_database_leaves_a_way_back(cli: Terminal) -> None:
    """The next start refuses with 78 and names the kept file; renaming it as told opens everything."""
    old = cli("key", "status", "--json").json["master_id"]
    kept, file = cli.config / f"master.key.{old}", cli.config / "master.key"
    before = file.read_bytes()
    with database_busy(cli):
        process = child("key", "rekey", "--generate")
        until = time.monotonic() + DEADLINE
        while file.read_bytes() == before and process.poll() is None and time.monotonic() < until:
            os.sched_yield()
        process.kill()
        process.communicate()
    assert kept.exists()
    refused = cli("list")
    assert refused.code == 78
    assert f"It was kept as {kept}: rename that to master.key" in refused.err
    kept.replace(cli.config / "master.key")
    assert all_open(cli)


@pytest.mark.parametrize(
    ("settings", "place"),
    [
        ({"LINKHUB_KEY": OLD}, "LINKHUB_KEY"),
        ({"LINKHUB_KEY_COMMAND": f"echo {OLD}"}, "LINKHUB_KEY_COMMAND"),
        ({"LINKHUB_KEY_FILE": "old.key"}, "old.key"),
    ],
)
def test_rekey_of_a_key_we_do_not_keep_says_what_to_change(
    cli: Terminal, tmp_path: Path, settings: dict[str, str], place: str
) -> None:
    """The operator puts the new key in place; until then the hub refuses, afterwards everything opens."""
    assert cli("key", "rekey", stdin=OLD).code == 0
    (tmp_path / "old.key").write_text(OLD, "utf-8")
    (tmp_path / "old.key").chmod(0o600)
    given = {name: str(tmp_path / text) if text == "old.key" else text for name, text in settings.items()}
    cli.set(**given)
    made = cli("key", "rekey", "--generate")
    assert made.code == 2
    assert "openssl" in made.err
    cli.set(**given)  # reading the settings took LINKHUB_KEY out of the environment
    ran = cli("key", "rekey", stdin=NEW)
    assert ran.code == 0, ran.text
    assert place in ran.err
    assert key_id(NEW) in ran.out
    cli.set(**given)
    assert cli("list").code == 78
    cli.set(**{name: text.replace(OLD, NEW) for name, text in given.items()})
    (tmp_path / "old.key").write_text(NEW, "utf-8")
    assert all_open(cli)


# ---- export


def test_the_recovery_sheet_is_for_terminals_only(cli: Terminal) -> None:
    """Into a pipe it is refused, and nothing of the key is printed."""
    ran = cli("key", "export", stdin="y\n")
    assert (ran.code, ran.out) == (2, "")
    ours, theirs = pty.openpty()
    os.write(ours, b"y\n")
    process = child("key", "export", stdin=theirs)
    out, _ = process.communicate(timeout=DEADLINE)
    os.close(ours)
    os.close(theirs)
    assert (process.returncode, out) == (2, "")


def test_the_recovery_sheet_is_shown_after_asking(cli: Terminal) -> None:
    """At a terminal it is printed on yes, and reads back as the key; on no it is not printed."""
    key = (cli.config / "master.key").read_text("utf-8").strip()
    code, screen = at_terminal("key", "export", answers=(("Show the master key?", "y"),))
    assert code == 0
    lines = [line.strip() for line in screen.splitlines()]
    asked = next(number for number, line in enumerate(lines) if "Show the master key?" in line)
    assert from_recovery_sheet("\n".join(lines[asked + 1 : asked + 5])).id == key_id(key)
    code, screen = at_terminal("key", "export", answers=(("Show the master key?", "n"),))
    assert code == 1
    assert key[:4] not in screen


# ---- reset


def test_reset_needs_the_words(cli: Terminal) -> None:
    """Without --i-lost-it nothing is erased."""
    assert cli("key", "reset").code == 2
    assert all_open(cli)


@pytest.mark.parametrize("state", ["missing", "wrong"])
def test_reset_works_without_the_key_and_keeps_the_history(cli: Terminal, state: str) -> None:
    """Secrets are gone, accounts and checks stay, each account is shown to need its key, and relinking mends it."""
    file = cli.config / "master.key"
    if state == "missing":
        file.unlink()
    else:
        file.write_text(NEW, "utf-8")
    assert cli("list").code == 78
    ran = cli("key", "reset", "--i-lost-it")
    assert ran.code == 0
    assert "Erased 1 secret." in ran.out
    assert "✕ Needs its key" in cli("list").out
    shown = cli("show", "Meadow", "--json").json
    assert shown["needs_key"] is True
    assert shown["last_check"]["trigger"] == "link"
    assert cli("check", "Meadow").code == 1
    assert cli("relink", "Meadow", stdin=MEADOW.secret).code == 0
    assert cli("check", "Meadow").code == 0


def test_reset_without_a_database_makes_none(cli: Terminal, tmp_path: Path) -> None:
    """A mistyped LINKHUB_DATA is a refusal, not a new empty database."""
    cli.set(LINKHUB_DATA=str(tmp_path / "typo"))
    assert cli("key", "reset", "--i-lost-it").code == 78
    assert not (tmp_path / "typo").exists()


# ---- backup


def test_a_backup_is_a_private_copy_with_a_manifest_and_no_key(cli: Terminal, tmp_path: Path) -> None:
    """Both files have mode 0600, the checksum is right, ids are told, and the copy opens as a database."""
    folder = tmp_path / "backups"
    folder.mkdir()
    ran = cli("backup", str(folder))
    assert ran.code == 0
    copy, manifest = sorted(folder.iterdir())
    assert [path.stat().st_mode & 0o777 for path in (copy, manifest)] == [0o600, 0o600]
    values = json.loads(manifest.read_text("utf-8"))
    status = cli("key", "status", "--json").json
    assert values["database"] == copy.name
    assert values["sha256"] == hashlib.sha256(copy.read_bytes()).hexdigest()
    assert values["bytes"] == copy.stat().st_size
    assert values["master_key_ids"] == [status["master_id"]]
    assert values["data_key_ids"] == [status["data_key_id"]]
    assert values["schema_version"] >= 1
    assert set(values) - {"made_at", "program_version"} == {
        *("database", "sha256", "bytes", "schema_version", "master_key_ids", "data_key_ids"),
    }
    key = (cli.config / "master.key").read_bytes().strip()
    assert key not in copy.read_bytes() + manifest.read_bytes()
    with closing(sqlite3.connect(copy)) as con:
        assert con.execute("SELECT label FROM account").fetchall() == [("Meadow",)]


def test_a_restored_backup_works(cli: Terminal, tmp_path: Path) -> None:
    """Put in place as hub.db of an empty folder, with the key still there, every secret opens."""
    assert cli("backup", str(tmp_path / "copy.db")).code == 0
    restored = tmp_path / "restored"
    restored.mkdir(mode=0o700)
    (tmp_path / "copy.db").rename(restored / "hub.db")
    cli.set(LINKHUB_DATA=str(restored))
    assert all_open(cli)
    assert len(cli("list", "--json").json) == 1


def test_a_backup_needs_no_key(cli: Terminal, tmp_path: Path) -> None:
    """A lost key is no reason to have no copy."""
    (cli.config / "master.key").unlink()
    assert cli("backup", str(tmp_path / "copy.db")).code == 0


def test_a_backup_is_not_put_beside_the_key(cli: Terminal, tmp_path: Path) -> None:
    """The key's own folder is refused, and a folder above it warned about."""
    refused = cli("backup", str(cli.config))
    assert refused.code == 2
    assert "master.key" in refused.err
    assert [path.name for path in cli.config.iterdir()] == ["master.key"]
    above = cli("backup", str(tmp_path))
    assert above.code == 0
    assert "Warning" in above.err


@pytest.mark.parametrize("taken", ["copy.db", "copy.db.json"])
def test_a_backup_replaces_nothing(cli: Terminal, tmp_path: Path, taken: str) -> None:
    """An existing copy or manifest stays, and nothing is written beside it."""
    (tmp_path / taken).write_text("mine", "utf-8")
    before = sorted(path.name for path in tmp_path.iterdir())
    assert cli("backup", str(tmp_path / "copy.db")).code == 2
    assert (tmp_path / taken).read_text("utf-8") == "mine"
    assert sorted(path.name for path in tmp_path.iterdir()) == before


def test_a_backup_of_nothing_is_refused(cli: Terminal, tmp_path: Path) -> None:
    """Without a database there is nothing to copy, and none is made."""
    cli.set(LINKHUB_DATA=str(tmp_path / "typo"))
    assert cli("backup", str(tmp_path / "copy.db")).code == 78
    assert cli("backup", str(tmp_path / "nowhere" / "copy.db")).code == 2
    assert not (tmp_path / "copy.db").exists()
