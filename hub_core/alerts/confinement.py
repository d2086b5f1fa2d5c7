"""Takes from this process what sending a message does not need: files, other programs, and memory without end."""

from __future__ import annotations

import os
import resource
import sys
from contextlib import suppress
from pathlib import PurePath
from typing import Final

MOST_MEMORY: Final = 512 * 1024 * 1024
"""Bytes of address space; Apprise needs a third of it."""

_CODE: Final = frozenset({".py", ".pyc", ".so", ".mo"})
"""What libraries read of themselves as they are loaded; nothing private is kept in such files."""

_WRITING: Final = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_PROGRAMS: Final = frozenset(
    {"subprocess.Popen", "os.system", "os.exec", "os.fork", "os.forkpty", "os.posix_spawn", "os.spawn", "pty.spawn"}
)


def confine() -> None:
    """Refuse, from now on and for good, opening files other than code, starting programs, and endless answers.

    This is Python's own word, not the kernel's: it holds against an address that names a file, and not against
    somebody else's machine code.
    """
    for limit, most in ((resource.RLIMIT_AS, MOST_MEMORY), (resource.RLIMIT_CORE, 0)):
        with suppress(ValueError, OSError):  # a system that knows no such limit
            resource.setrlimit(limit, (most, most))
    sys.addaudithook(_refuse)


def _refuse(event: str, given: tuple[object, ...]) -> None:
    if event in _PROGRAMS:
        raise PermissionError("no program is started for a message")
    if event == "open" and not isinstance(given[0], int):
        path, flags = given[0], given[2]
        name = os.fsdecode(path) if isinstance(path, str | bytes) else ""
        if PurePath(name).suffix not in _CODE or (isinstance(flags, int) and flags & _WRITING):
            raise PermissionError("no file is opened for a message")
