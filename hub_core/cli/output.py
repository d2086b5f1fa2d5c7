"""Prints for people: results to standard output, progress and explanations to standard error."""

from __future__ import annotations

import json
import unicodedata
from typing import TYPE_CHECKING, Any

import click

from hub_core import showing, texts
from hub_core.health.checks import Waiting
from hub_core.model import Observation, Outcome, Stage

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from hub_core.hub import Hub
    from hub_core.model import Check, Endpoints


def plain(text: str) -> str:
    """Return text from people or servers on one line, without anything a terminal would obey."""
    return "".join(
        " " if char in "\t\r\n" else char
        for char in text
        if char in "\t\r\n" or not unicodedata.category(char).startswith("C")
    )


def say(text: str) -> None:
    """Print sentences to standard error."""
    for line in text.splitlines() or [""]:
        click.echo(plain(line), err=True)


def show(text: str) -> None:
    """Print one line of a result."""
    click.echo(plain(text))


def show_json(values: Any) -> None:
    """Print a result for machines."""
    click.echo(json.dumps(values, indent=2, ensure_ascii=False))


def show_facts(facts: Mapping[str, str]) -> None:
    """Print names and values in two columns."""
    width = max(map(len, facts), default=0)
    for name, value in facts.items():
        show(f"{name:<{width}}  {value}")


def show_table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print columns as wide as what is in them."""
    lines = [list(head), *([plain(cell) for cell in row] for row in rows)]
    widths = [max(map(_width, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        padded = (cell + " " * (width - _width(cell)) for cell, width in zip(line, widths, strict=True))
        click.echo("  ".join(padded).rstrip())


def show_stage(event: Stage | Observation | Waiting) -> None:
    """Print one line about what a stage saw, as it comes."""
    if isinstance(event, Waiting):
        say(f"… waiting {event.seconds} s for a turn: the token requests of this minute are used up")
    elif isinstance(event, Observation):
        say(stage_line(event))


def stage_line(seen: Observation) -> str:
    """Return one line about what a stage saw: icon, words, milliseconds."""
    stage = texts.STAGES[seen.stage]
    what = {Outcome.PASS: stage.done, Outcome.SKIP: texts.skipped(seen.stage)}.get(seen.outcome)
    if what is None:
        what = texts.REASONS[seen.reason].title if seen.reason else texts.OUTCOMES[seen.outcome].word
    return f"{texts.OUTCOMES[seen.outcome].mark} {stage.name}: {what} ({seen.ms} ms)"


def explain_failure(hub: Hub, check: Check, endpoints: Endpoints) -> None:
    """Print why a verification stopped: what happened, what it means, likely causes, what to do."""
    seen = check.failure
    if seen is not None and seen.reason is not None:
        for line in explanation_lines(
            showing.explanation(hub, seen.reason, seen.evidence, endpoints, key_accepted=check.key_proven)
        ):
            say(line)
    if check.retry_after:
        say(f"Try again in {texts.duration(check.retry_after)}.")


def explanation_lines(told: texts.Explanation) -> list[str]:
    """Return an explanation as lines of text."""
    lines = ["", told.title, told.meaning]
    if told.causes:
        lines += ["", "Likely causes, most likely first:", *(f"  {n}. {text}" for n, text in enumerate(told.causes, 1))]
    if told.steps:
        lines += ["", "What to do:", *(f"  {n}. {text}" for n, text in enumerate(told.steps, 1))]
    return [*lines, "", f"More: {told.doc}"]


def _width(text: str) -> int:
    return sum(2 if unicodedata.east_asian_width(char) in "WF" else not unicodedata.combining(char) for char in text)
