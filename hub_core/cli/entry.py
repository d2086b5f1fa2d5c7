"""Reads what a person enters: secrets from standard input, a file or a hidden prompt, never from arguments."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final

import click

if TYPE_CHECKING:
    from pathlib import Path


class Wrong(click.ClickException):
    """What was entered cannot be used; a sentence, without the reminder of how the command is used."""

    exit_code = 2


LONGEST: Final = 100_000
"""Characters read at most; a CA bundle is the longest thing anybody enters."""


def at_terminal() -> bool:
    """Tell whether a person can be asked."""
    return sys.stdin is not None and sys.stdin.isatty()


def read_stdin() -> str:
    """Return what is piped in, or typed until Ctrl-D."""
    return "" if sys.stdin is None else sys.stdin.read(LONGEST)


def read_file(path: Path, option: str) -> str:
    """Return the text of a file that an option names; raises Wrong."""
    try:
        with path.open(encoding="utf-8", errors="replace") as stream:
            return stream.read(LONGEST)
    except OSError as error:
        raise Wrong(f"{option}: {path} cannot be read ({error.strerror}).") from None


def read_secret(file: Path | None, *, prompt: str, option: str = "--secret-file") -> str:
    """Return a secret from the file, or from a hidden prompt at a terminal, or from what is piped in.

    Raises:
        Wrong: nothing was given, or the file cannot be read.
    """
    if file:
        text = read_file(file, option)
    elif at_terminal():
        text = str(click.prompt(prompt, hide_input=True, err=True))
    else:
        text = read_stdin()
    if not text.strip():
        raise Wrong(f"{prompt}: pipe it in, or name a file with {option}.")
    return text.strip("\r\n")


def ask(value: str | None, *, prompt: str, option: str) -> str:
    """Return an option's value, or ask for it at a terminal; raises Wrong."""
    if value is not None:
        return value
    if not at_terminal():
        raise Wrong(f"Give {option}.")
    return str(click.prompt(prompt, err=True))
