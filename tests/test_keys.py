"""The master key comes from exactly one place, is kept well there, and never replaces one that is needed."""

from __future__ import annotations

import errno
import os
import shlex
import stat
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from hub_core.errors import MasterKeyError
from hub_core.model import Secret
from hub_core.settings import Settings
from hub_core.storage.keys import FoundKey, find_key, replace_key_file, write_new_key_file
from hub_core.storage.seal import MasterKey

NOTHING: frozenset[str] = frozenset()
KEY = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
KEY_ID = "02672b337031a7e6"
CANARY = "canary-5f1e"
ROUNDS = 10
PROCESSES = 8


@pytest.fixture
def home(tmp_path: Path) -> Settings:
    """Return settings whose folders do not exist yet."""
    return Settings(config=tmp_path / "config" / "link-hub", data=tmp_path / "data")


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


def names_in(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


def key_file(path: Path, *, text: str = KEY + "\n", mode: int = 0o600) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(mode)
    return path


def with_file(home: Settings, path: Path) -> Settings:
    return Settings(config=home.config, data=home.data, key_file=path)


def with_command(home: Settings, *words: str) -> Settings:
    return Settings(config=home.config, data=home.data, key_command=shlex.join(words))


def python(home: Settings, code: str, *words: str) -> Settings:
    return with_command(home, sys.executable, "-c", code, *words)


def refusal(settings: Settings, *, needed: frozenset[str] = NOTHING, **arguments: Any) -> str:
    with pytest.raises(MasterKeyError) as caught:
        find_key(settings, needed=needed, **arguments)
    return str(caught.value)


def whole_chain(error: BaseException | None) -> str:
    """Return every text an over-eager log could find in an error and in those behind it."""
    texts = []
    while error is not None:
        texts += [str(error), repr(error), repr(vars(error))]
        error = error.__cause__ or error.__context__
    return "\n".join(texts)


# --- the file that is made on first use


def test_the_first_run_makes_a_key_file(home: Settings) -> None:
    """Without any source and any sealed secret, a key file is made that only its owner can use."""
    found = find_key(home, needed=NOTHING)
    path = home.config / "master.key"
    assert (found.source, found.place, found.warnings) == ("own file", str(path), ())
    assert (mode_of(path), mode_of(path.parent), mode_of(path.parent.parent)) == (0o600, 0o700, 0o700)
    assert names_in(home.config) == ["master.key"]
    assert path.stat().st_nlink == 1
    assert MasterKey.from_text(Secret(path.read_text())).id == found.master.id


def test_the_second_run_finds_the_same_key(home: Settings) -> None:
    """A made key stays: it is found again, with and without secrets that need it."""
    first = find_key(home, needed=NOTHING).master
    assert find_key(home, needed=NOTHING).master.id == first.id
    assert find_key(home, needed=frozenset({first.id})).master.id == first.id


def test_each_installation_has_its_own_key(home: Settings, tmp_path: Path) -> None:
    """Two first runs make two keys."""
    other = Settings(config=tmp_path / "other", data=tmp_path / "data")
    assert find_key(home, needed=NOTHING).master.id != find_key(other, needed=NOTHING).master.id


@pytest.mark.parametrize("umask", [0o000, 0o002, 0o022, 0o077, 0o277, 0o777])
def test_modes_hold_under_any_umask(home: Settings, umask: int) -> None:
    """Whatever umask the program is started with, folder and file are the owner's, no more and no less."""
    before = os.umask(umask)
    try:
        find_key(home, needed=NOTHING)
    finally:
        os.umask(before)
    assert mode_of(home.config / "master.key") == 0o600
    assert mode_of(home.config) == 0o700


def test_a_folder_that_exists_keeps_its_mode(home: Settings) -> None:
    """A config folder somebody made is used as it is."""
    home.config.mkdir(parents=True)
    home.config.chmod(0o750)
    find_key(home, needed=NOTHING)
    assert mode_of(home.config) == 0o750


RACER = """
import sys
from pathlib import Path
from hub_core.settings import Settings
from hub_core.storage.keys import find_key
for line in sys.stdin:
    folder = Path(line.strip())
    found = find_key(Settings(config=folder / "config", data=folder / "data"), needed=frozenset())
    print(found.master.id, flush=True)
"""


def test_first_runs_that_race_agree_on_one_key(tmp_path: Path) -> None:
    """10 times 8 processes start on an empty folder: each time all use one key, and no temporary is left."""
    racers = [
        subprocess.Popen([sys.executable, "-c", RACER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(PROCESSES)
    ]
    try:
        for number in range(ROUNDS):
            folder = tmp_path / str(number)
            for racer in racers:
                assert racer.stdin
                racer.stdin.write(f"{folder}\n")
            for racer in racers:
                assert racer.stdin
                racer.stdin.flush()
            ids = [racer.stdout.readline().strip() for racer in racers if racer.stdout]
            path = folder / "config" / "master.key"
            assert len(ids) == PROCESSES
            assert set(ids) == {MasterKey.from_text(Secret(path.read_text())).id}
            assert mode_of(path) == 0o600
            assert names_in(path.parent) == ["master.key"]
    finally:
        for racer in racers:
            racer.communicate(timeout=30)


# --- never a key over secrets that need another


def test_no_key_is_made_over_sealed_secrets(home: Settings) -> None:
    """If secrets need a key that is gone, the start is refused with its id, the path and what to do."""
    sentence = refusal(home, needed=frozenset({KEY_ID}))
    assert KEY_ID in sentence
    assert str(home.config / "master.key") in sentence
    assert os.strerror(errno.ENOENT) in sentence
    assert "recovery sheet" in sentence
    assert not home.config.exists()


def test_another_made_key_is_refused_and_left_alone(home: Settings) -> None:
    """If the file holds another key, the sentence names the needed and the found id, and the file stays."""
    found = find_key(home, needed=NOTHING)
    before = Path(found.place).read_bytes()
    sentence = refusal(home, needed=frozenset({KEY_ID}))
    assert all(word in sentence for word in (KEY_ID, found.master.id, found.place, "Nothing was changed"))
    assert Path(found.place).read_bytes() == before


@pytest.mark.parametrize("source", ["LINKHUB_KEY", "LINKHUB_KEY_FILE", "LINKHUB_KEY_COMMAND", "LINKHUB_KEY_KEYRING"])
def test_another_key_of_any_source_is_refused(home: Settings, tmp_path: Path, source: str) -> None:
    """Each source is refused by both ids and its place if the secrets need another key."""
    path = key_file(tmp_path / "given")
    environ = {
        "LINKHUB_CONFIG": str(home.config),
        "LINKHUB_DATA": str(home.data),
        source: {
            "LINKHUB_KEY": KEY,
            "LINKHUB_KEY_FILE": str(path),
            "LINKHUB_KEY_COMMAND": f"cat {shlex.quote(str(path))}",
            "LINKHUB_KEY_KEYRING": "1",
        }[source],
    }
    settings = Settings.from_env(environ)
    sentence = refusal(settings, needed=frozenset({"feedfeedfeedfeed"}), key_store=lambda: desktop_store(KEY))
    assert all(word in sentence for word in ("feedfeedfeedfeed", KEY_ID, str(path) if "FILE" in source else source))
    assert KEY not in sentence
    assert not home.config.exists()


def test_two_needed_keys_are_both_named(home: Settings) -> None:
    """A database that needs two keys at once is refused with both ids."""
    found = find_key(home, needed=NOTHING).master
    assert ", ".join(sorted({KEY_ID, found.id})) in refusal(home, needed=frozenset({KEY_ID, found.id}))


# --- how the made file must be kept


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o602, 0o610, 0o644, 0o666, 0o777])
def test_a_made_file_others_may_use_is_refused(home: Settings, mode: int) -> None:
    """A key file with any bit for group or others is refused, and the sentence holds the command that mends it."""
    path = key_file(home.config / "master.key", mode=mode)
    sentence = refusal(home)
    assert f"chmod 600 {path}" in sentence
    assert f"{mode:04o}" in sentence
    assert mode_of(path) == mode


def test_a_made_file_that_is_read_only_is_fine(home: Settings) -> None:
    """Mode 0400 is stricter than asked and accepted."""
    key_file(home.config / "master.key", mode=0o400)
    assert find_key(home, needed=NOTHING).master.id == KEY_ID


@pytest.mark.parametrize("target", ["real", "missing"])
def test_a_link_is_not_a_made_file(home: Settings, tmp_path: Path, target: str) -> None:
    """A link in the place of the key file is refused, dangling or not, and nothing is written through it."""
    key_file(tmp_path / "real")
    home.config.mkdir(parents=True)
    (home.config / "master.key").symlink_to(tmp_path / target)
    assert "is a link" in refusal(home)
    assert not (tmp_path / "missing").exists()


@pytest.mark.parametrize("kind", ["folder", "pipe"])
def test_only_a_regular_file_is_a_key_file(home: Settings, kind: str) -> None:
    """A folder or a named pipe is refused at once, also as a given file."""
    path = home.config / "master.key"
    home.config.mkdir(parents=True)
    if kind == "folder":
        path.mkdir(mode=0o700)
    else:
        os.mkfifo(path, 0o600)
    assert str(path) in refusal(home)
    assert str(path) in refusal(with_file(home, path))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file to somebody else")
def test_a_made_file_of_somebody_else_is_refused(home: Settings) -> None:
    """A key file that belongs to another user is refused with that user's id."""
    path = key_file(home.config / "master.key")
    os.chown(path, 12345, -1)
    assert "12345" in refusal(home)


@pytest.mark.parametrize("text", ["", "\n", CANARY, KEY[:-4], KEY + KEY, "\0" * 44, KEY + CANARY])
def test_a_damaged_made_file_is_refused_and_kept(home: Settings, text: str) -> None:
    """A file that holds no key is refused with its path, without its content, and is not overwritten."""
    path = key_file(home.config / "master.key", text=text)
    sentence = refusal(home)
    assert str(path) in sentence
    assert CANARY not in sentence
    assert path.read_text() == text


def test_a_config_folder_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    """If the config folder cannot be made, the sentence names the path and the system's reason."""
    (tmp_path / "blocked").write_text("a file where a folder should be")
    settings = Settings(config=tmp_path / "blocked" / "link-hub", data=tmp_path / "data")
    sentence = refusal(settings)
    assert str(settings.config) in sentence
    assert os.strerror(errno.ENOTDIR) in sentence


def test_a_key_beside_the_data_is_warned_about(tmp_path: Path) -> None:
    """A key file under the data folder works, with a warning that a copy of the folder opens everything."""
    settings = Settings(config=tmp_path / "data" / "config", data=tmp_path / "data")
    (warning,) = find_key(settings, needed=NOTHING).warnings
    assert "data folder" in warning
    given = key_file(tmp_path / "data" / "given")
    (tmp_path / "link").symlink_to(given)
    for path in (given, tmp_path / "link"):
        (warning,) = find_key(with_file(settings, path), needed=NOTHING).warnings
        assert "data folder" in warning


# --- given by the operator


def test_the_key_of_the_environment_is_used(home: Settings) -> None:
    """LINKHUB_KEY is the key, and no file is made beside it."""
    environ = {"LINKHUB_KEY": f" {KEY}\n", "LINKHUB_CONFIG": str(home.config), "LINKHUB_DATA": str(home.data)}
    found = find_key(Settings.from_env(environ), needed=NOTHING)
    assert (found.master.id, found.source, found.place, found.warnings) == (KEY_ID, "environment", "LINKHUB_KEY", ())
    assert not home.config.exists()


def test_a_malformed_key_of_the_environment_is_refused(home: Settings) -> None:
    """A malformed LINKHUB_KEY is refused by its name, without its text."""
    sentence = refusal(Settings(config=home.config, data=home.data, key=Secret(CANARY)))
    assert sentence.startswith("LINKHUB_KEY: ")
    assert CANARY not in sentence


def test_a_given_file_is_used(home: Settings, tmp_path: Path) -> None:
    """LINKHUB_KEY_FILE is read, and no file is made beside it."""
    path = key_file(tmp_path / "given")
    found = find_key(with_file(home, path), needed=frozenset({KEY_ID}))
    assert (found.master.id, found.source, found.place, found.warnings) == (KEY_ID, "file", str(path), ())
    assert not home.config.exists()


@pytest.mark.parametrize("mode", [0o440, 0o444, 0o644])
def test_a_mounted_secret_is_followed_warned_about_and_left_alone(home: Settings, tmp_path: Path, mode: int) -> None:
    """A readable file behind links, as container platforms mount secrets, works with a warning and keeps its mode."""
    path = key_file(tmp_path / "..data_1" / "key", mode=mode)
    (tmp_path / "..data").symlink_to("..data_1")
    (tmp_path / "key").symlink_to("..data/key")
    found = find_key(with_file(home, tmp_path / "key"), needed=NOTHING)
    assert found.master.id == KEY_ID
    assert f"{mode:04o}" in found.warnings[0]
    assert mode_of(path) == mode


def test_a_given_file_that_is_missing_is_never_made(home: Settings, tmp_path: Path) -> None:
    """A missing LINKHUB_KEY_FILE is refused with its path, even if no secret needs a key yet."""
    sentence = refusal(with_file(home, tmp_path / "absent"))
    assert str(tmp_path / "absent") in sentence
    assert os.strerror(errno.ENOENT) in sentence
    assert not (tmp_path / "absent").exists()
    assert KEY_ID in refusal(with_file(home, tmp_path / "absent"), needed=frozenset({KEY_ID}))


def test_an_endless_given_file_is_read_only_so_far(home: Settings) -> None:
    """A device as LINKHUB_KEY_FILE is refused, not read for ever."""
    assert "regular file" in refusal(with_file(home, Path("/dev/zero")))


# --- the command


def test_what_the_command_prints_is_the_key(home: Settings) -> None:
    """The command's output is the key, line end and all; what it says on stderr is ignored."""
    code = f"import sys; print({KEY!r}); print({CANARY!r}, file=sys.stderr)"
    found = find_key(python(home, code), needed=NOTHING)
    assert (found.master.id, found.source, found.place) == (KEY_ID, "command", "LINKHUB_KEY_COMMAND")
    assert not home.config.exists()


def test_the_command_says_nothing_on_our_stderr(home: Settings, capfd: pytest.CaptureFixture[str]) -> None:
    """What the command writes to stderr reaches neither our stderr nor our stdout."""
    find_key(python(home, f"import sys; print({KEY!r}); print({CANARY!r}, file=sys.stderr)"), needed=NOTHING)
    assert capfd.readouterr() == ("", "")


def test_the_command_runs_without_a_shell(home: Settings, tmp_path: Path) -> None:
    """Shell characters are words like others: nothing is expanded, redirected or run behind them."""
    trace = tmp_path / "trace"
    code = f"import sys; print({KEY!r} if sys.argv[1:] == ['$HOME', ';', 'touch', {str(trace)!r}, '>', '*'] else '')"
    command = f"{shlex.join([sys.executable, '-c', code])} $HOME ; touch {trace} > *"
    settings = Settings(config=home.config, data=home.data, key_command=command)
    assert find_key(settings, needed=NOTHING).master.id == KEY_ID
    assert not trace.exists()


def test_the_command_is_not_fed_from_our_stdin(home: Settings) -> None:
    """A command that asks for input gets none instead of waiting for a person."""
    code = f"import sys; print({KEY!r} if sys.stdin.read() == '' else '')"
    assert find_key(python(home, code), needed=NOTHING).master.id == KEY_ID


FAILING = {
    "exit code": f"import sys; print({CANARY!r}); print({CANARY!r}, file=sys.stderr); sys.exit(3)",
    "key and exit code": f"import sys; print({KEY!r}); sys.exit(1)",
    "killed": f"import os; print({CANARY!r}, flush=True); os.kill(os.getpid(), 9)",
    "nothing": "pass",
    "no key": f"print({CANARY!r})",
    "two keys": f"print({KEY!r}); print({KEY!r})",
    "not text": "import os; os.write(1, bytes(range(128, 256)))",
    "never ends": f"import time; print({CANARY!r}, flush=True); time.sleep(600)",
}


@pytest.mark.parametrize("code", FAILING.values(), ids=FAILING.keys())
def test_a_failing_command_is_refused_without_its_words(home: Settings, code: str) -> None:
    """However the command fails, the error and all behind it hold neither its output nor its arguments."""
    with pytest.raises(MasterKeyError) as caught:
        find_key(python(home, code, CANARY), needed=frozenset({KEY_ID}), command_seconds=2)
    everything = whole_chain(caught.value)
    assert str(caught.value).startswith("LINKHUB_KEY_COMMAND: ")
    assert KEY_ID in everything
    assert not any(word in everything for word in (CANARY, KEY, code, "argv", "sleep"))


@pytest.mark.parametrize(
    "command",
    [f"no-such-program-anywhere {CANARY}", f"/ {CANARY}", f"'{CANARY}", f"\0{CANARY}", "''", f"TOKEN={CANARY} x"],
)
def test_a_command_that_cannot_start_is_refused_without_its_words(home: Settings, command: str) -> None:
    """A missing program, a folder, open quotes or a NUL give a sentence that names the setting only."""
    with pytest.raises(MasterKeyError) as caught:
        find_key(Settings(config=home.config, data=home.data, key_command=command), needed=NOTHING)
    assert str(caught.value).startswith("LINKHUB_KEY_COMMAND: ")
    assert CANARY not in whole_chain(caught.value)


def test_a_slow_command_is_ended_with_all_it_started(home: Settings, tmp_path: Path) -> None:
    """At the limit the command and its children are ended, also if they would hold the output open."""
    fifo = tmp_path / "alive"
    os.mkfifo(fifo)
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    started = time.monotonic()
    sentence = refusal(with_command(home, "sh", "-c", f"exec 3>{fifo}; sleep 600 & sleep 600"), command_seconds=1)
    assert "did not end within 1 seconds" in sentence
    assert time.monotonic() - started < 30
    os.set_blocking(reader, True)
    assert os.read(reader, 1) == b""  # the end of file: nobody holds the pipe any more
    os.close(reader)


# --- the desktop's key store


def store_of(module: str, name: str, text: str | None = None, error: Exception | None = None) -> Any:
    """Return an object that looks like a back end of the package keyring, which is not installed for tests."""

    def get_password(_self: object, service: str, user: str) -> str | None:
        assert (service, user) == ("link-hub", "master-key")
        if error:
            raise error
        return text

    return type(name, (), {"__module__": module, "get_password": get_password})()


def desktop_store(text: str | None) -> Any:
    return store_of("keyring.backends.SecretService", "Keyring", text)


def keyring_settings(home: Settings) -> Settings:
    return Settings(config=home.config, data=home.data, key_keyring=True)


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("keyring.backends.SecretService", "Keyring"),
        ("keyring.backends.kwallet", "DBusKeyring"),
        ("keyring.backends.macOS", "Keyring"),
        ("keyring.backends.Windows", "WinVaultKeyring"),
    ],
)
def test_known_key_stores_are_used(home: Settings, module: str, name: str) -> None:
    """The four key stores of desktops give the key."""
    found = find_key(keyring_settings(home), needed=NOTHING, key_store=lambda: store_of(module, name, KEY))
    assert (found.master.id, found.source, found.place) == (KEY_ID, "keyring", "LINKHUB_KEY_KEYRING")
    assert not home.config.exists()


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("keyrings.alt.file", "PlaintextKeyring"),
        ("keyrings.alt.file", "EncryptedKeyring"),
        ("keyring.backends.fail", "Keyring"),
        ("keyring.backends.null", "Keyring"),
        ("sneaky.SecretService", "Keyring"),
    ],
)
def test_other_key_stores_are_refused_by_name(home: Settings, module: str, name: str) -> None:
    """A key store not known to be safe is refused by its name, though it has a key."""
    sentence = refusal(keyring_settings(home), key_store=lambda: store_of(module, name, KEY))
    assert f"{module}.{name}" in sentence
    assert KEY not in sentence


def test_a_chain_of_key_stores_is_asked_for_its_safe_one_only(home: Settings) -> None:
    """Where several stores are installed, the plain text one is never asked."""
    plain = store_of("keyrings.alt.file", "PlaintextKeyring", error=AssertionError("asked"))
    chain = store_of("keyring.backends.chainer", "ChainerBackend")
    chain.backends = [plain, desktop_store(KEY)]
    assert find_key(keyring_settings(home), needed=NOTHING, key_store=lambda: chain).master.id == KEY_ID
    chain.backends = [plain]
    assert "PlaintextKeyring" in refusal(keyring_settings(home), key_store=lambda: chain)


def test_an_empty_key_store_says_how_to_fill_it(home: Settings) -> None:
    """A key store without our entry is refused with the command that puts it there."""
    sentence = refusal(keyring_settings(home), key_store=lambda: desktop_store(None))
    assert "keyring set link-hub master-key" in sentence


def test_a_locked_key_store_is_refused_without_its_words(home: Settings) -> None:
    """An error of the key store becomes a sentence that repeats nothing of it."""
    store = store_of("keyring.backends.kwallet", "DBusKeyring", error=RuntimeError(CANARY))
    sentence = refusal(keyring_settings(home), key_store=lambda: store)
    assert "RuntimeError" in sentence
    assert CANARY not in sentence


def test_a_missing_package_keyring_says_what_to_install() -> None:
    """Without the optional package the sentence names the extra to install."""
    code = (
        "import sys; sys.modules['keyring'] = None\n"
        "from hub_core.settings import Settings; from hub_core.storage.keys import find_key\n"
        "find_key(Settings(key_keyring=True), needed=frozenset())"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "install `link-hub[keyring]`" in ended.stderr


# --- changing the key


def test_a_new_key_file_is_written_once(tmp_path: Path) -> None:
    """A key is written into a new folder, and a second one never over it."""
    first, second = MasterKey.generate(), MasterKey.generate()
    path = write_new_key_file(tmp_path / "new", first)
    assert path == tmp_path / "new" / "master.key"
    with pytest.raises(MasterKeyError, match="exists already"):
        write_new_key_file(tmp_path / "new", second)
    assert MasterKey.from_text(Secret(path.read_text())).id == first.id
    assert names_in(path.parent) == ["master.key"]


def test_a_replaced_key_is_kept_beside_the_new_one(home: Settings) -> None:
    """After a replacement the file holds the new key, the old one lies beside it, and both are the owner's only."""
    old = find_key(home, needed=NOTHING)
    new = MasterKey.generate()
    path = Path(old.place)
    replace_key_file(path, new)
    kept = path.with_name(f"master.key.{old.master.id}")
    assert find_key(home, needed=frozenset({new.id})).master.id == new.id
    assert MasterKey.from_text(Secret(kept.read_text())).id == old.master.id
    assert (mode_of(path), mode_of(kept)) == (0o600, 0o600)
    assert names_in(path.parent) == ["master.key", kept.name]


def test_a_replacement_can_be_taken_back_and_repeated(home: Settings) -> None:
    """Going back and forth between two keys leaves exactly the two, whatever was kept before."""
    old = find_key(home, needed=NOTHING)
    new = MasterKey.generate()
    path = Path(old.place)
    for master in (new, old.master, new):
        replace_key_file(path, master)
        assert find_key(home, needed=NOTHING).master.id == master.id
    assert names_in(path.parent) == sorted(["master.key", *(f"master.key.{k.id}" for k in (new, old.master))])


def test_a_refusal_after_a_broken_change_names_the_kept_file(home: Settings) -> None:
    """If the data still needs the replaced key, the sentence names the file beside, which then works again."""
    old = find_key(home, needed=NOTHING)
    path = Path(old.place)
    replace_key_file(path, MasterKey.generate())
    kept = path.with_name(f"master.key.{old.master.id}")
    assert f"{kept}: rename that to master.key" in refusal(home, needed=frozenset({old.master.id}))
    kept.replace(path)
    assert find_key(home, needed=frozenset({old.master.id})).master.id == old.master.id


@pytest.mark.parametrize("trouble", ["missing", "link", "readable", "damaged"])
def test_a_badly_kept_file_is_not_replaced(tmp_path: Path, trouble: str) -> None:
    """A key file that would be refused is not replaced, and no other file appears."""
    real = key_file(tmp_path / "real" / "key", text=CANARY if trouble == "damaged" else KEY)
    path = tmp_path / "folder" / "master.key"
    path.parent.mkdir()
    if trouble == "link":
        path.symlink_to(real)
    elif trouble != "missing":
        key_file(path, text=real.read_text(), mode=0o644 if trouble == "readable" else 0o600)
    before = names_in(path.parent)
    with pytest.raises(MasterKeyError, match=str(path)) as caught:
        replace_key_file(path, MasterKey.generate())
    assert CANARY not in str(caught.value)
    assert names_in(path.parent) == before


def test_a_found_key_never_shows_itself(home: Settings) -> None:
    """Printing what was found shows the key's id and place, not the key."""
    found = find_key(Settings(config=home.config, data=home.data, key=Secret(KEY)), needed=NOTHING)
    assert isinstance(found, FoundKey)
    assert KEY_ID in repr(found)
    assert KEY not in f"{found} {found!r} {[found]}"
