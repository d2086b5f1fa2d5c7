"""The texts of all reasons, in the order in which a check can meet them."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Final, NamedTuple

from hub_core.texts import reasons_answer, reasons_format, reasons_reach, reasons_read, reasons_token

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hub_core.model import Reason
    from hub_core.texts.text import Text


class Group(NamedTuple):
    """Reasons met at the same point of a check."""

    title: str
    reasons: Mapping[Reason, Text]


GROUPS: Final = (
    Group("Format: what was typed or pasted", reasons_format.FORMAT),
    Group("Reach: finding the servers", reasons_reach.REACH),
    Group("TLS: the encrypted way to them", reasons_reach.TLS),
    Group("Any answer: something in front, or no proper answer", reasons_answer.ANSWER),
    Group("Server: what it says about itself", reasons_token.SERVER),
    Group("Token: whether the key is accepted", reasons_token.TOKEN),
    Group("Read: whether the data can be read", reasons_read.READ),
    Group("Identity: whose key it is", reasons_read.IDENTITY),
    Group("The hub itself", reasons_read.HUB),
)

REASONS: Final[Mapping[Reason, Text]] = MappingProxyType(
    {reason: text for group in GROUPS for reason, text in group.reasons.items()}
)
