"""The entry point of the command line: `python -m hub_core` and the script `linkhub`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from hub_core.cli.run import run

if TYPE_CHECKING:
    from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; `arguments` are the process's own if not given."""
    return run(sys.argv[1:] if arguments is None else list(arguments))


if __name__ == "__main__":
    sys.exit(main())
