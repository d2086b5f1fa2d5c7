"""Where the master key comes from: exactly one source, and never a new key over secrets that need another."""

from __future__ import annotations

import errno
import os
import shlex
import signal
import stat
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hub_core.errors import MasterKeyError
from hub_core.model import Secret
from hub_core.storage.seal import MasterKey, Random, from_recovery_sheet, recovery_sheet

if TYPE_CHECKING:
    from hub_core.settings import Settings

__all__ = [
    "FoundKey",
    "find_key",
    "from_recovery_sheet",
    "recovery_sheet",
    "replace_key_file",
    "write_new_key_file",
]

COMMAND_SECONDS = 10.0
"""How long LINKHUB_KEY_COMMAND may take."""

_FILE_NAME = "master.key"
_OTHERS = stat.S_IRWXG | stat.S_IRWXO
_LONGEST_FILE = 4096
_KEYRING_ENTRY = ("link-hub", "master-key")
_SECURE_STORES = frozenset(f"keyring.backends.{name}" for name in ("SecretService", "kwallet", "macOS", "Windows"))

KeyStore = Callable[[], Any]
"""Returns the back end of the package `keyring` that holds the key."""

_Reading = tuple[MasterKey, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class FoundKey:
    """The master key, and where it was found: a word for the source, its variable or path, and warnings."""

    master: MasterKey
    source: str
    """`environment`, `file`, `command`, `keyring` or `own file`."""
    place: str
    warnings: tuple[str, ...] = ()


def _installed_key_store() -> Any:
    # By name: an optional extra, which a type checker need not find.
    return import_module("keyring").get_keyring()


def find_key(
    settings: Settings,
    *,
    needed: frozenset[str],
    command_seconds: float = COMMAND_SECONDS,
    key_store: KeyStore = _installed_key_store,
    random: Random = os.urandom,
) -> FoundKey:
    """Return the master key of the one source that is set; `needed` are the key ids the database already uses.

    Only without any needed id, and without any source set, a missing key is made, as a file in the config folder.

    Raises:
        MasterKeyError: if there is no usable key, or it is not the needed one; it says what to do.
    """
    source, place, read = _source(settings, command_seconds, key_store, partial(_made, settings, needed, random))
    try:
        master, warnings = read()
    except MasterKeyError as error:
        raise MasterKeyError(f"{place}: {error}{_need(needed)}") from None
    if needed - {master.id}:
        kept = _kept_beside(Path(place), needed) if source in {"file", "own file"} else ""
        raise MasterKeyError(f"{place}: This is master key {master.id}.{_need(needed)}{kept}")
    return FoundKey(master=master, source=source, place=place, warnings=warnings)


def write_new_key_file(folder: Path, master: MasterKey) -> Path:
    """Write the key to `master.key` in a folder that has none yet, and return its path.

    Raises:
        MasterKeyError: if there is one, or it cannot be written.
    """
    if not _write_first(folder, master):
        raise MasterKeyError(f"{folder / _FILE_NAME} exists already; a key file is never overwritten.")
    return folder / _FILE_NAME


def replace_key_file(path: Path, master: MasterKey) -> None:
    """Put another key into a key file, keeping the old one beside it as `master.key.<old id>`.

    Do this before the data keys are wrapped anew: whatever happens between the two, the refusal to start names
    the file that has to be put back.

    Raises:
        MasterKeyError: if the old file is not kept well, or the new one cannot be written; the old one then stands.
    """
    try:
        kept = _kept_name(path, _read_made(path).id)
        with _temporary_file(path.parent, master) as temporary:
            kept.unlink(missing_ok=True)
            kept.hardlink_to(path)
            temporary.replace(path)
        _flush_folder(path.parent)
    except MasterKeyError as error:
        raise MasterKeyError(f"{path}: {error}") from None
    except OSError as error:
        raise MasterKeyError(f"{path}: It cannot be replaced ({error.strerror}).") from None


def _source(
    settings: Settings, command_seconds: float, key_store: KeyStore, made: Callable[[], _Reading]
) -> tuple[str, str, Callable[[], _Reading]]:
    if settings.key is not None:
        key = settings.key
        return "environment", "LINKHUB_KEY", lambda: (MasterKey.from_text(key), ())
    if settings.key_file is not None:
        return "file", str(settings.key_file), partial(_read_given, settings.key_file, settings.data)
    if settings.key_command is not None:
        return "command", "LINKHUB_KEY_COMMAND", partial(_run, settings.key_command, command_seconds)
    if settings.key_keyring:
        return "keyring", "LINKHUB_KEY_KEYRING", partial(_ask_key_store, key_store)
    return "own file", str(settings.config / _FILE_NAME), made


def _need(needed: frozenset[str]) -> str:
    if not needed:
        return ""
    return (
        f" The stored secrets need master key {', '.join(sorted(needed))}: give that one, from its copy or its "
        "recovery sheet. No other key opens them, and no new one is made while they are there. Nothing was changed."
    )


def _kept_beside(path: Path, needed: frozenset[str]) -> str:
    kept = [old for old in (_kept_name(path, key_id) for key_id in sorted(needed)) if old.is_file()]
    return f" It was kept as {kept[0]}: rename that to {path.name}." if kept else ""


def _kept_name(path: Path, key_id: str) -> Path:
    return path.with_name(f"{path.name}.{key_id}")


# --- files


def _made(settings: Settings, needed: frozenset[str], random: Random) -> _Reading:
    path = settings.config / _FILE_NAME
    if not needed and not os.path.lexists(path):
        _write_first(settings.config, MasterKey.generate(random))
    return _read_made(path), _beside_the_data(path, settings.data)


def _read_made(path: Path) -> MasterKey:
    text, status = _read_file(path, os.O_NOFOLLOW)
    if status.st_uid != os.geteuid():
        raise MasterKeyError(f"It belongs to user id {status.st_uid}, not to the one running this: chown it.")
    if status.st_mode & _OTHERS:
        raise MasterKeyError(f"Others may use it (mode {stat.S_IMODE(status.st_mode):04o}): run `chmod 600 {path}`.")
    return MasterKey.from_text(text)


def _read_given(path: Path, data: Path) -> _Reading:
    text, status = _read_file(path, 0)
    warnings = _beside_the_data(path, data)
    if status.st_mode & _OTHERS:
        # Mounted secrets are like this by design, so it is said and left alone.
        mode = f"{stat.S_IMODE(status.st_mode):04o}"
        warnings = (f"{path}: others on this machine may read the master key (mode {mode}).", *warnings)
    return MasterKey.from_text(text), warnings


def _read_file(path: Path, flags: int) -> tuple[Secret, os.stat_result]:
    try:
        # Without O_NONBLOCK a named pipe would hang the start.
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | flags), "rb") as stream:
            status = os.fstat(stream.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise MasterKeyError("It is not a regular file.")
            return Secret(stream.read(_LONGEST_FILE).decode("utf-8", "replace")), status
    except OSError as error:
        problem = "it is a link, not a regular file" if error.errno == errno.ELOOP else error.strerror
        raise MasterKeyError(f"It cannot be read ({problem}).") from None


def _beside_the_data(path: Path, data: Path) -> tuple[str, ...]:
    if not path.resolve().is_relative_to(data.resolve()):
        return ()
    return (f"{path}: the master key lies in the data folder, so a copy of that folder opens every secret. Move it.",)


def _write_first(folder: Path, master: MasterKey) -> bool:
    """Write the key file unless there is one; of several writers the first wins, and none is seen half done."""
    try:
        _make_folder(folder)
        with _temporary_file(folder, master) as temporary:
            (folder / _FILE_NAME).hardlink_to(temporary)
        _flush_folder(folder)
    except FileExistsError:
        return False
    except OSError as error:
        raise MasterKeyError(f"No key file can be made in {folder} ({error.strerror}).") from None
    return True


@contextmanager
def _temporary_file(folder: Path, master: MasterKey) -> Iterator[Path]:
    descriptor, name = tempfile.mkstemp(dir=folder, prefix=f".{_FILE_NAME}.")
    try:
        with os.fdopen(descriptor, "wb") as stream:
            os.fchmod(descriptor, 0o600)  # whatever the umask took away
            master.write(stream)
            stream.flush()
            os.fsync(descriptor)
        yield Path(name)
    finally:
        Path(name).unlink(missing_ok=True)


def _make_folder(folder: Path) -> None:
    for part in reversed([folder, *folder.parents]):
        if not part.exists():
            with suppress(FileExistsError):
                part.mkdir(mode=0o700)
                part.chmod(0o700)  # whatever the umask took away


def _flush_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


# --- command and key store


def _run(command: str, seconds: float) -> _Reading:
    try:
        words = shlex.split(command)
    except ValueError:
        words = []
    if not words:
        raise MasterKeyError("This cannot be split into words as a shell would: look at its quotes.")
    output, problem = _output_of(words, seconds)
    if problem:
        raise MasterKeyError(f"The command {problem}. It runs without a shell: no pipes, no variables.")
    return MasterKey.from_text(Secret(output.decode("utf-8", "replace"))), ()


def _output_of(words: list[str], seconds: float) -> tuple[bytes, str]:
    """Return what the command printed and what went wrong, in words that quote neither it nor its output."""
    try:
        process = subprocess.Popen(  # noqa: S603 - the operator's own setting, split into words, no shell
            words,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # so that what it started can be ended with it
        )
    except OSError as error:
        return b"", f"could not be started ({error.strerror})"
    except ValueError:
        return b"", "could not be started"
    with process:
        try:
            output, _ = process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
            return b"", f"did not end within {seconds:g} seconds"
    return output, f"ended with code {process.returncode}" if process.returncode else ""


def _ask_key_store(key_store: KeyStore) -> _Reading:
    try:
        store = _secure_store(key_store())
        text = store.get_password(*_KEYRING_ENTRY)
    except MasterKeyError:
        raise
    except ImportError:
        raise MasterKeyError("The package keyring is not installed: install `link-hub[keyring]`.") from None
    except Exception as error:  # noqa: BLE001 - each store raises what its desktop raises
        raise MasterKeyError(f"The key store failed ({type(error).__name__}): unlock it and start again.") from None
    if text is None:
        entry = " ".join(_KEYRING_ENTRY)
        raise MasterKeyError(f"The key store has no entry {entry}: put the key there with `keyring set {entry}`.")
    return MasterKey.from_text(Secret(text)), ()


def _secure_store(chosen: Any) -> Any:
    # Where several stores exist, keyring puts a chain in front, which would also ask the plain text ones.
    chained = type(chosen).__module__ == "keyring.backends.chainer"
    stores = list(chosen.backends) if chained else [chosen]
    for store in stores:
        if type(store).__module__ in _SECURE_STORES:
            return store
    names = ", ".join(f"{type(store).__module__}.{type(store).__qualname__}" for store in stores)
    raise MasterKeyError(f"This machine offers no key store that keeps secrets safe, only {names}.")
