"""What the doctor says: one fact about this installation, and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """How much a finding matters; only problems make the doctor fail."""

    OK = "ok"
    NOTE = "note"
    PROBLEM = "problem"


@dataclass(frozen=True, slots=True)
class Finding:
    """One fact: about what, how much it matters, a sentence, and what to do."""

    about: str
    level: Level
    text: str
    advice: str = ""


def ok(about: str, text: str) -> Finding:
    """Return a fact that is as it should be."""
    return Finding(about, Level.OK, text)


def note(about: str, text: str, advice: str = "") -> Finding:
    """Return a fact worth knowing."""
    return Finding(about, Level.NOTE, text, advice)


def problem(about: str, text: str, advice: str = "") -> Finding:
    """Return something that must be mended."""
    return Finding(about, Level.PROBLEM, text, advice)
