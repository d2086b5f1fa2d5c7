"""The doctor: what it finds, also when nothing else starts."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from hub_core.cli import machine
from hub_core.cli.finding import Level
from hub_core.settings import Settings
from tests.terminal import Terminal, organization

MEADOW = organization("Meadow")
NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
MOUNTS = """\
overlay / overlay rw 0 0
proc /proc proc rw 0 0
server:/export /mnt/share nfs4 rw 0 0
/dev/sda1 /mnt/share/local ext4 rw 0 0
//server/x /mnt/win cifs rw 0 0
host:/home /mnt/two\\040words fuse.sshfs rw 0 0
"""


@pytest.fixture
def cli(
    tmp_path: Path, free_port: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Terminal:
    """Commands of an installation of their own."""
    return Terminal(tmp_path, free_port, monkeypatch, capsys)


def problems(cli: Terminal) -> dict[str, str]:
    """Return what the doctor calls a problem, by what it is about; it then ends with 1, else with 0."""
    ran = cli("doctor", "--json")
    found = {f["about"]: f"{f['text']} {f['advice']}" for f in ran.json["findings"] if f["level"] == "problem"}
    assert ran.json["well"] is (not found)
    assert ran.code == (1 if found else 0)
    return found


def finding(cli: Terminal, about: str) -> Any:
    """Return the first finding about something."""
    return next(f for f in cli("doctor", "--json").json["findings"] if f["about"] == about)


# ---- the whole


def test_a_good_installation_is_well(cli: Terminal) -> None:
    """Everything is looked at, the key is not shown, and the exit code is 0."""
    cli.link(MEADOW)
    ran = cli("doctor")
    assert ran.code == 0, ran.text
    for about in (
        "versions",
        "sqlite",
        "disk",
        "file system",
        "file modes",
        "database",
        "clock",
        "master key",
        "secrets",
    ):
        assert f" {about}: " in ran.out
    assert "all 1 open" in ran.out
    assert f"LINKHUB_DATA               {cli.data}" in ran.out
    assert (cli.config / "master.key").read_text("utf-8").strip() not in ran.text


def test_the_doctor_for_machines_has_the_documented_keys(cli: Terminal) -> None:
    """`well`, `findings` and `settings`."""
    cli.link(MEADOW)
    values = cli("doctor", "--json").json
    assert set(values) == {"well", "findings", "settings"}
    assert all(set(found) == {"about", "level", "text", "advice"} for found in values["findings"])
    assert values["settings"]["LINKHUB_TOKEN_LIMIT"] == "60"


def test_before_the_first_start_nothing_is_made(cli: Terminal) -> None:
    """Without a database the doctor is content, and makes neither database nor key."""
    assert problems(cli) == {}
    assert not cli.data.exists()
    assert not cli.config.exists()


# ---- broken things


def test_wrong_settings_are_findings(cli: Terminal) -> None:
    """Every problem of the settings is one; versions are told all the same."""
    cli.set(LINKHUB_PORT="zero", LINKHUB_NOPE="1")
    ran = cli("doctor", "--json")
    assert ran.code == 1
    texts = [f["text"] for f in ran.json["findings"] if f["about"] == "settings"]
    assert [text.split(":")[0] for text in texts] == ["LINKHUB_PORT", "LINKHUB_NOPE"]
    assert finding(cli, "versions")["level"] == "ok"


def test_a_missing_key_is_a_finding_that_says_what_to_do(cli: Terminal) -> None:
    """It names the key that is needed, and the way out if it is lost; no new key is made."""
    cli.link(MEADOW)
    key = cli("key", "status", "--json").json["master_id"]
    (cli.config / "master.key").unlink()
    found = problems(cli)
    assert key in found["master key"]
    assert "key reset --i-lost-it" in found["master key"]
    assert not (cli.config / "master.key").exists()


def test_a_secret_that_does_not_open_is_a_finding(cli: Terminal) -> None:
    """The account is named."""
    cli.link(MEADOW, label="Meadow")
    with cli.store() as store, store.database.write() as con:
        con.execute("UPDATE account SET identity = 'https://elsewhere.example'")
    assert "Meadow" in problems(cli)["secrets"]


def test_given_up_secrets_are_a_finding(cli: Terminal) -> None:
    """After a reset every account needs its key."""
    cli.link(MEADOW, label="Meadow")
    cli("key", "reset", "--i-lost-it")
    assert "Meadow" in problems(cli)["secrets"]


@pytest.mark.parametrize("damage", ["header", "truncated", "empty page", "newer"])
def test_a_damaged_or_newer_database_is_a_finding(cli: Terminal, damage: str) -> None:
    """It is told with what to do, the other commands refuse with 78, and the file is left as it is."""
    cli.link(MEADOW)
    file = cli.data / "hub.db"
    whole = file.read_bytes()
    if damage == "header":
        file.write_bytes(b"not a database, really" + whole[22:])
    elif damage == "truncated":
        file.write_bytes(whole[: len(whole) // 2])
    elif damage == "empty page":
        file.write_bytes(whole[:4096] + bytes(8192) + whole[12288:])
    else:
        with cli.store() as store, store.database.write() as con:
            con.execute("PRAGMA user_version = 999")
    before = file.read_bytes()
    found = problems(cli)["database"]
    assert "backup" in found
    assert cli("list").code == 78
    assert file.read_bytes() == before


def test_modes_others_could_use_are_findings(cli: Terminal) -> None:
    """A readable database is a problem with the command that mends it; a folder is a note."""
    cli.link(MEADOW)
    (cli.data / "hub.db").chmod(0o644)
    cli.data.chmod(0o755)
    assert f"chmod 600 {cli.data / 'hub.db'}" in problems(cli)["file modes"]
    (cli.data / "hub.db").chmod(0o600)
    assert problems(cli) == {}
    assert finding(cli, "file modes")["level"] == "note"


def test_a_key_in_the_data_folder_is_a_problem(cli: Terminal) -> None:
    """Whoever gets that folder could open every secret."""
    cli.link(MEADOW)
    shutil.copy(cli.config / "master.key", cli.data / "key")
    cli.set(LINKHUB_KEY_FILE=str(cli.data / "key"))
    assert "data folder" in problems(cli)["master key"]


def test_a_mounted_key_that_others_may_read_is_a_note(cli: Terminal, tmp_path: Path) -> None:
    """Such mounts are like that by design."""
    cli.link(MEADOW)
    shutil.copy(cli.config / "master.key", tmp_path / "mounted")
    (tmp_path / "mounted").chmod(0o444)
    cli.set(LINKHUB_KEY_FILE=str(tmp_path / "mounted"))
    ran = cli("doctor", "--json")
    assert ran.code == 0
    levels = [f["level"] for f in ran.json["findings"] if f["about"] == "master key"]
    assert levels == ["ok", "note"]


def test_secret_settings_are_only_told_as_set(cli: Terminal) -> None:
    """Neither the key nor a command line, which may hold a password, is printed."""
    cli.set(LINKHUB_KEY="AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=")
    ran = cli("doctor", "--json")
    assert ran.json["settings"]["LINKHUB_KEY"] == "set, not shown"
    assert "AAAAAAAA" not in ran.text
    cli.set(LINKHUB_KEY_COMMAND="vault --password=hunter2")
    ran = cli("doctor", "--json")
    assert ran.json["settings"]["LINKHUB_KEY_COMMAND"] == "set, not shown"
    assert "hunter2" not in ran.text


def test_a_clock_set_back_is_a_finding(cli: Terminal) -> None:
    """Something recorded in the future proves it."""
    cli.link(MEADOW)
    ahead = round((datetime.now(UTC) + timedelta(days=2)).timestamp() * 1000)
    with cli.store() as store, store.database.write() as con:
        con.execute("UPDATE account SET checked_at = ?", (ahead,))
    assert "set back" in problems(cli)["clock"]


# ---- the parts


@pytest.mark.parametrize(
    ("version", "affected"),
    [
        ((3, 6, 23), False),
        ((3, 7, 0), True),
        ((3, 40, 1), True),
        ((3, 44, 5), True),
        ((3, 44, 6), False),
        ((3, 45, 0), True),
        ((3, 50, 6), True),
        ((3, 50, 7), False),
        ((3, 51, 0), True),
        ((3, 51, 2), True),
        ((3, 51, 3), False),
        ((3, 54, 1), False),
    ],
)
def test_the_wal_reset_bug_is_told_by_version(version: tuple[int, int, int], *, affected: bool) -> None:
    """Affected libraries are a note that says it is mitigated, never a problem."""
    found = machine.sqlite_library(version)
    assert found.level is (Level.NOTE if affected else Level.OK)
    assert ("affected by the WAL-reset bug, mitigated" in found.text) is affected


@pytest.mark.parametrize(
    ("folder", "level", "kind"),
    [
        ("/srv/data", Level.OK, "overlay"),
        ("/mnt/share/hub", Level.PROBLEM, "nfs4"),
        ("/mnt/share/local/hub", Level.OK, "ext4"),
        ("/mnt/shared", Level.OK, "overlay"),
        ("/mnt/win", Level.PROBLEM, "cifs"),
        ("/mnt/two words/hub", Level.PROBLEM, "fuse.sshfs"),
    ],
)
def test_network_file_systems_are_recognized(folder: str, level: Level, kind: str) -> None:
    """The longest mount point that holds the folder decides, also when the folder is not there yet."""
    found = machine.file_system(Path(folder), MOUNTS)
    assert (found.level, kind in found.text) == (level, True)


def test_without_a_list_of_mounts_nothing_is_claimed() -> None:
    """Where the system has none, the kind is not reported."""
    assert machine.file_system(Path("/srv"), "").text == "/srv is on not reported"


def test_a_clock_before_this_version_is_wrong() -> None:
    """A battery ran out: 1970 is found without any record."""
    assert machine.clock(datetime(1970, 1, 1, tzinfo=UTC), None).level is Level.PROBLEM
    assert machine.clock(NOW, NOW + timedelta(minutes=4)).level is Level.OK
    assert machine.clock(NOW, NOW + timedelta(minutes=6)).level is Level.PROBLEM


def test_a_full_disk_is_a_problem(tmp_path: Path) -> None:
    """Less room than twice the database is not enough for a copy of it."""
    settings = Settings(data=tmp_path, config=tmp_path)
    assert machine.disk(settings).level is Level.OK
    free = shutil.disk_usage(tmp_path).free
    with settings.database.open("wb") as stream:
        stream.truncate(free)  # a hole takes no room
    assert machine.disk(settings).level is Level.PROBLEM


def test_damaged_contents_do_not_end_the_examination(cli: Terminal) -> None:
    """What cannot be read is a finding about it; the rest is examined all the same."""
    cli.link(MEADOW)
    with cli.store() as store, store.database.write() as con:
        con.execute("UPDATE account SET tags = '{'")
    found = problems(cli)
    assert set(found) == {"clock", "secrets"}
    assert "cannot be read" in found["secrets"]
    assert finding(cli, "database")["level"] == "ok"
