"""Runs one command: whatever happens ends in sentences and an exit code, never in a traceback."""

from __future__ import annotations

import io
import re
import sys
from typing import TYPE_CHECKING, Final

import click

from hub_core.cli.commands import linkhub
from hub_core.cli.fault import place_of
from hub_core.cli.output import say
from hub_core.errors import (
    AlreadyLinked,
    HubError,
    InputError,
    InvalidForm,
    NotFound,
    WrongOrganization,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

WELL: Final = 0
NOT_WELL: Final = 1
USAGE: Final = 2
INTERRUPTED: Final = 130

_SECRET_OPTION: Final = re.compile(
    r"--?(client[-_]?secret|secret|password|passphrase|pass|token|api[-_]?key|master[-_]?key|key)(=.*)?",
    re.IGNORECASE | re.DOTALL,
)
_SECRET_SHAPE: Final = re.compile(
    r"[A-Za-z0-9]{30}|[A-Za-z0-9]{43}|[A-Za-z0-9+/_-]{43}=|lh_[0-9a-f]{12}_[A-Za-z0-9_-]{43}"
)
_CLASSES: Final = (re.compile(r"[a-z]"), re.compile(r"[A-Z]"), re.compile(r"[0-9]"))
_FIELDS: Final = {"target": "address"}
"""Fields of forms that go by another name here."""
_REFUSAL: Final = (
    "A secret does not belong on the command line: others on this machine can read it there, and the shell keeps it. "
    "Nothing was done. Pipe it in, name a file with --secret-file or --key-file, or let it be asked for. "
    "If this was a real secret, have it rotated."
)


def run(arguments: Sequence[str]) -> int:
    """Run one command and return its exit code."""
    _never_fail_over_encodings()
    if any(_secret_like(argument) for argument in arguments):
        say(_REFUSAL)
        return USAGE
    try:
        result = linkhub.main(list(arguments), prog_name="linkhub", standalone_mode=False)
    except (click.Abort, KeyboardInterrupt):
        return INTERRUPTED
    except Exception as error:  # noqa: BLE001 - the one place where whatever happened becomes sentences
        return _explain(error)
    return result if isinstance(result, int) else WELL


def _explain(error: Exception) -> int:
    """Print what happened and return its exit code."""
    if isinstance(error, click.UsageError):
        _show_usage(error)
        return USAGE
    if isinstance(error, click.ClickException):
        say(error.format_message())
        return error.exit_code
    if isinstance(error, InvalidForm):
        for problem in error.errors:
            say(f"{_FIELDS.get(problem.field, problem.field.replace('_', ' '))}: {problem.message}")
        return USAGE
    if isinstance(error, HubError):
        say(str(error))
        return USAGE if isinstance(error, InputError | NotFound | AlreadyLinked | WrongOrganization) else NOT_WELL
    say(f"Something went wrong inside Link Hub ({place_of(error)}). Please report this line.")
    return NOT_WELL


def _show_usage(error: click.UsageError) -> None:
    """Show what is wrong with the arguments, without repeating one that had no name: it may be a secret."""
    if error.format_message().startswith("Got unexpected extra argument"):
        error = click.UsageError("There are more arguments than this command takes.", error.ctx)
    error.show()


def _secret_like(argument: str) -> bool:
    if _SECRET_OPTION.fullmatch(argument):
        return True
    value = argument.partition("=")[2] if argument.startswith("--") else argument
    return bool(_SECRET_SHAPE.fullmatch(value)) and all(kind.search(value) for kind in _CLASSES)


def _never_fail_over_encodings() -> None:
    # A label may hold characters that the terminal's encoding has not, and a pipe may hold bytes that are no text.
    for stream, errors in ((sys.stdout, "backslashreplace"), (sys.stderr, "backslashreplace"), (sys.stdin, "replace")):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=errors)
