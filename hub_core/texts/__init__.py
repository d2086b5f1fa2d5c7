"""Every word a person reads about a reason, a status, a stage and the other closed sets."""

from hub_core.texts.explain import Explanation, explain
from hub_core.texts.reasons import GROUPS, REASONS, Group
from hub_core.texts.text import OnCloud, OnOwnServer, Text
from hub_core.texts.times import ago, duration
from hub_core.texts.words import (
    CAPABILITIES,
    LOCKED,
    MEMBER_STATES,
    OUTCOMES,
    PATHS,
    PAUSED,
    REMEDIES,
    SERVER_KINDS,
    STAGES,
    STALE,
    STATUSES,
    TRIGGERS,
    RemedyText,
    StageText,
    StatusText,
    member_state,
    skipped,
)

__all__ = [
    "CAPABILITIES",
    "GROUPS",
    "LOCKED",
    "MEMBER_STATES",
    "OUTCOMES",
    "PATHS",
    "PAUSED",
    "REASONS",
    "REMEDIES",
    "SERVER_KINDS",
    "STAGES",
    "STALE",
    "STATUSES",
    "TRIGGERS",
    "Explanation",
    "Group",
    "OnCloud",
    "OnOwnServer",
    "RemedyText",
    "StageText",
    "StatusText",
    "Text",
    "ago",
    "duration",
    "explain",
    "member_state",
    "skipped",
]
