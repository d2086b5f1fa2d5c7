"""From a reason and what was seen to the sentences a person reads."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from hub_core.model import Reason, Remedy
from hub_core.texts.reasons import REASONS
from hub_core.texts.text import PLACEHOLDERS, OnCloud, OnOwnServer
from hub_core.texts.times import days, duration

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_LONGEST: Final = 200
_OTHER_NAMES: Final = MappingProxyType({"expires": "ends", "what": "message", "rule": "message"})
"""What certificates, handshakes and the address policy call the same facts in their evidence."""
_NOTHING: Final[Mapping[str, str]] = MappingProxyType({})
_PLACEHOLDER: Final = re.compile(r"\{([a-z_]+)\}")
_SENTENCE_END: Final = re.compile(r"(?<=[.?]) ")
_NOT_JUDGED: Final = frozenset(
    {
        "The key was not judged.",
        "Nothing was sent, and the key was not judged.",
        "No secret was sent, and the key was not judged.",
    }
)
_ACCEPTED: Final = "The key itself was accepted in this check."
_MOMENT: Final = re.compile(r"\d{4}-\d\d-\d\dT")
_WHOLE_NUMBER: Final = re.compile(r"[+-]?[0-9]{1,9}")


@dataclass(frozen=True, slots=True)
class Explanation:
    """What a person reads about one finding; plain text, which pages escape before showing."""

    title: str
    meaning: str
    causes: tuple[str, ...]
    steps: tuple[str, ...]
    remedy: Remedy
    doc: str
    """Where the manual has more, as `docs/troubleshooting.md#key-never-accepted`."""


def explain(
    reason: Reason,
    *,
    evidence: Mapping[str, str] = _NOTHING,
    worked_until: str | None = None,
    self_hosted: bool = False,
    official: bool | None = None,
    key_accepted: bool = False,
) -> Explanation:
    """Say what a reason means for one account.

    Args:
        reason: what the check found.
        evidence: facts of the observation, untrusted, by placeholder; unknown keys are ignored.
        worked_until: when the key was last proven, ready to be read; `None` if it never was.
        self_hosted: whether the account is on the customer's own server.
        official: whether it is on a cloud of Bitwarden's; if not given, everything not self-hosted is.
        key_accepted: whether the key had been accepted in the same check before this was found.
    """
    text = REASONS[reason]
    cloud = not self_hosted and official is not False
    known = _known(evidence, worked_until)
    title = text.title
    if reason is Reason.KEY_NO_LONGER_ACCEPTED and "worked_until" in known:
        title = f"Worked until {known['worked_until']}. {title}"
    return Explanation(
        title=title,
        meaning=_fill(_judged(text.meaning) if key_accepted else text.meaning, known),
        causes=_lines(text.causes, known, self_hosted=self_hosted, cloud=cloud),
        steps=_lines(text.steps, known, self_hosted=self_hosted, cloud=cloud),
        remedy=_remedy(text.remedy, self_hosted=self_hosted, official=official),
        doc=f"docs/troubleshooting.md#{anchor(reason)}",
    )


def _remedy(remedy: Remedy, *, self_hosted: bool, official: bool | None) -> Remedy:
    """Return the remedy this account has: own servers have no region to choose, clouds no address to edit."""
    if remedy is Remedy.CHOOSE_REGION and self_hosted:
        return Remedy.EDIT_SERVER
    if remedy is Remedy.EDIT_SERVER and official and not self_hosted:
        return Remedy.FIX_SERVER
    return remedy


def anchor(reason: Reason) -> str:
    """Return the anchor of a reason's section in the manual."""
    return reason.value.replace("_", "-")


def _known(evidence: Mapping[str, str], worked_until: str | None) -> dict[str, str]:
    """Return the values that can fill placeholders, cleaned; empty ones count as unknown."""
    given = {_OTHER_NAMES[name]: value for name, value in evidence.items() if name in _OTHER_NAMES} | dict(evidence)
    values = {name: _readable(name, _clean(given[name])) for name in PLACEHOLDERS if name in given}
    if worked_until is not None:
        values["worked_until"] = _clean(worked_until)
    return {name: value for name, value in values.items() if value}


def _clean(value: str) -> str:
    """Return untrusted text on one line, without control or direction characters, at most 200 long."""
    line = " ".join(value[: 4 * _LONGEST].split())
    shown = "".join(char for char in line if not unicodedata.category(char).startswith("C")).strip()
    return shown if len(shown) <= _LONGEST else shown[: _LONGEST - 1] + "…"


def _readable(name: str, value: str) -> str:
    """Return bare seconds and bare days with their unit, and a moment of ending as its date."""
    if name in {"skew", "wait", "days"} and _WHOLE_NUMBER.fullmatch(value):
        return days(int(value)) if name == "days" else duration(int(value))
    if name == "ends" and _MOMENT.match(value):
        return value[:10]
    return value


def _judged(meaning: str) -> str:
    """Return the meaning for a fault met after the key was accepted."""
    return " ".join(_ACCEPTED if part in _NOT_JUDGED else part for part in _SENTENCE_END.split(meaning))


def _lines(lines: Iterable[str], known: Mapping[str, str], *, self_hosted: bool, cloud: bool) -> tuple[str, ...]:
    applying = (
        line
        for line in lines
        if not (isinstance(line, OnOwnServer) and not self_hosted) and not (isinstance(line, OnCloud) and not cloud)
    )
    return tuple(filled for line in applying if (filled := _fill(line, known)))


def _fill(template: str, known: Mapping[str, str]) -> str:
    """Fill the placeholders in one pass, and leave out every sentence that has an unknown one."""
    sentences = (
        _PLACEHOLDER.sub(lambda match: known[match[1]], sentence)
        for sentence in _SENTENCE_END.split(template)
        if all(name in known for name in _PLACEHOLDER.findall(sentence))
    )
    return " ".join(sentences)
