"""Write docs/troubleshooting.md from the texts of the reasons."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

ROOT: Final = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from hub_core.texts import GROUPS, REASONS, REMEDIES, OnCloud, OnOwnServer, Text  # noqa: E402 - needs the path above
from hub_core.texts.explain import anchor  # noqa: E402 - needs the path above
from hub_core.texts.text import PLACEHOLDERS  # noqa: E402 - needs the path above

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from hub_core.model import Reason

TARGET: Final = ROOT / "docs" / "troubleshooting.md"

OPENING: Final = """\
# Troubleshooting

One section for every reason the hub can give. It is written by `python tools/troubleshooting.py` from the same
texts that the pages and the command line show, so do not edit it by hand.

**How to read it.** A check goes through stages: format, reach, certificate, server, key, read, organization. It stops
at the first stage that fails, and the reason belongs to that stage. The first lines of a section keep apart what is
certain and what is not. “The key was not judged” means that no Bitwarden server said anything about your key, so there
is no need to rotate it. Possible causes stand most likely first. Words in *italics* stand for what the hub saw. Lines
marked **Bitwarden cloud** or **Own server** apply only there; the hub shows only those that apply to the account.

**What the hub does itself**

- Every check asks for a fresh token. An older token would go on working for up to an hour after the key was rotated,
  and would prove nothing.
- A refused key is not tried again in a loop. Each try uses up a limit that is shared with people signing in.
- When a server asks to wait, the hub holds back its requests to it for that time. It also paces its own token requests
  (`LINKHUB_TOKEN_LIMIT`), and “Check all” waits for its turn.
- It follows no redirect, sends a secret only to the hosts that were shown to you, and has no switch that turns off the
  check of certificates.
- When a check fails, the last good figures stay, with their time. What was not reported is never shown as zero.
- Linking stores nothing unless the key was accepted for the right organization.

**After fixing something**, press *Check now* on the account's page, or run `linkhub check`.
"""


def document() -> str:
    """Return the whole page."""
    parts = [OPENING, "## Contents\n", *_contents()]
    for reason, text in REASONS.items():
        parts.extend(_section(reason, text))
    return "\n".join(parts).rstrip("\n") + "\n"


def _contents() -> Iterator[str]:
    for group in GROUPS:
        yield f"**{group.title}**\n"
        yield "\n".join(f"- [{text.title}](#{anchor(reason)})" for reason, text in group.reasons.items()) + "\n"


def _section(reason: Reason, text: Text) -> Iterator[str]:
    remedy = REMEDIES[text.remedy]
    yield f'<a id="{anchor(reason)}"></a>\n\n## {text.title}\n'
    yield f"{_readable(text.meaning)}\n"
    if text.causes:
        yield "Possible causes:\n"
        yield _list(text.causes, "-")
    yield "What to do:\n"
    yield _list(text.steps, "1.")
    yield f"Button: **{remedy.button}**. {remedy.sentence} Reason in exports and logs: `{reason.value}`.\n"


def _list(lines: Iterable[str], bullet: str) -> str:
    return "".join(f"{bullet} {_place(line)}{_readable(line)}\n" for line in lines)


def _place(line: str) -> str:
    if isinstance(line, OnCloud):
        return "**Bitwarden cloud:** "
    return "**Own server:** " if isinstance(line, OnOwnServer) else ""


def _readable(text: str) -> str:
    """Return the text with readable words in place of the placeholders."""
    return text.format_map({name: f"*{words}*" for name, words in PLACEHOLDERS.items()})


if __name__ == "__main__":
    TARGET.write_text(document(), encoding="utf-8")
    print(f"Wrote {TARGET.relative_to(ROOT)}")
