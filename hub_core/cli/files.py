"""Writes files that only their owner may read."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from hub_core.cli.entry import Wrong


def write_private(path: Path, text: str, *, replace: bool = False, instead: str = "") -> None:
    """Write a file with mode 0600, whole or not at all; an existing one only if it may be replaced.

    `instead` is said where there is one, and is what a person can do then.

    Raises:
        Wrong: there is one already, or it cannot be written.
    """
    try:
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as stream:
                stream.write(text)
                stream.flush()
                os.fsync(descriptor)
            if replace:
                Path(name).replace(path)
            else:
                path.hardlink_to(name)
        finally:
            Path(name).unlink(missing_ok=True)
    except FileExistsError:
        raise Wrong(f"{path} exists already; nothing was written. {instead}".rstrip()) from None
    except OSError as error:
        raise Wrong(f"{path} cannot be written ({(error.strerror or '').lower()}).") from None
