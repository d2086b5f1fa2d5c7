"""Write the table of settings in docs/configuration.md from the fields of the settings themselves."""

from __future__ import annotations

import sys
from dataclasses import MISSING, fields
from pathlib import Path
from typing import TYPE_CHECKING, Final

ROOT: Final = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from hub_core.settings import Settings  # noqa: E402 - needs the path above

if TYPE_CHECKING:
    from dataclasses import Field
    from typing import Any

TARGET: Final = ROOT / "docs" / "configuration.md"
BEGIN: Final = "<!-- settings: written by tools/configuration.py -->"
END: Final = "<!-- end of settings -->"

# Made when the program starts, from the home of whoever starts it: the manual says where, for everybody.
FOLDERS: Final = {"data": "~/.local/share/link-hub", "config": "~/.config/link-hub"}


def document(present: str) -> str:
    """Return the page with its table written anew.

    Raises:
        ValueError: the page lacks one of the two marks around the table.
    """
    before, begin, rest = present.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{TARGET.name} has to hold {BEGIN} and {END}")
    return f"{before}{BEGIN}\n{table()}{END}{after}"


def table() -> str:
    """Return every setting as one row: variable, what holds without it, what it does."""
    rows = [
        f"| `{field.metadata['env']}` | {_default(field)} | {field.metadata['doc']} |" for field in fields(Settings)
    ]
    return "\n".join(["| Setting | Default | What it does |", "|---|---|---|", *rows]) + "\n"


def _default(field: Field[Any]) -> str:
    if field.default is MISSING:
        return f"`{FOLDERS[field.name]}`"
    if isinstance(field.default, bool):
        return f"`{int(field.default)}`"
    return "none" if field.default in (None, ()) else f"`{field.default}`"


if __name__ == "__main__":
    TARGET.write_text(document(TARGET.read_text(encoding="utf-8")), encoding="utf-8")
    print(f"Wrote {TARGET.relative_to(ROOT)}")
