"""What every page shares: the opened hub, names made safe to show, status badges, live stages and explanations."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING

import streamlit as st

from hub_core import telling, texts
from hub_core.health.checks import Waiting
from hub_core.hub import Hub
from hub_core.model import Observation, Outcome, Remedy, Stage, Status
from hub_core.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from streamlit.delta_generator import DeltaGenerator

    from hub_core.glance import Glance
    from hub_core.texts import Explanation, StatusText

ACTOR = telling.DASHBOARD
"""Who is written into the audit trail: there is no sign-in yet."""

_WORTH_TELLING = timedelta(minutes=1)
_MARKDOWN = re.compile(r"([\\`*_{}\[\]()#+\-.!|~<>$:&\"'^=@])")
_AUTOLINK = re.compile(r"(?i)(://|www\.|@|:(?=[a-z_+-]))")
_JOINER = "\u2060"
_COPYABLE = re.compile(r"https?://[\w.:/\[\]~-]+|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


@st.cache_resource(show_spinner=False)
def hub() -> Hub:
    """Open the hub once for the whole server; the server's lifespan calls this first."""
    return Hub.open(Settings.from_env())


def plain(text: str) -> str:
    """Return text from people or servers as Markdown that shows just that text: no link, image, icon or formula."""
    # Streamlit turns icon names and addresses in the *parsed* text into icons and links: escaping alone is too early.
    split = _AUTOLINK.sub(lambda match: match[1][0] + _JOINER + match[1][1:], " ".join(text.split()))
    return _MARKDOWN.sub(r"\\\1", split)


def fact(text: str) -> str:
    """Return a value of a table of facts; addresses and ids can be copied as they stand."""
    return f"`{text}`" if _COPYABLE.fullmatch(text) else plain(text)


def badge(text: StatusText) -> None:
    """Show a status as icon, word and colour."""
    st.badge(text.word, icon=f":material/{text.icon}:", color=text.color, help=text.meaning)


def when(at: datetime | None) -> str:
    """Return a time as its age, or that it never was."""
    return texts.ago(at, hub().clock.now()) if at else "never"


def alarms(glance: Glance) -> list[str]:
    """Return what everybody must know about the hub itself: that nobody checks, or that it is offline."""
    found = []
    if glance.nobody_since:
        found.append(
            f"Nobody is checking: the last sign of a check was {when(glance.nobody_since)}. Start `linkhub watch`, or "
            "the dashboard without `LINKHUB_SCHEDULER=off`; until then a status changes only when you check."
        )
    if glance.offline_since:
        found.append(
            f"The hub has been offline since {glance.offline_since:%Y-%m-%d %H:%M} UTC: no server could be reached at "
            "all. See to the network of its machine. Meanwhile no account is judged."
        )
    return found


def warn() -> None:
    """Say so when nobody checks, when the hub is offline, or when alerts do not get through."""
    for sentence in alarms(hub().glances.latest()):
        st.warning(sentence, icon=":material/visibility_off:")
    if problem := hub().alerts.problem():
        st.warning(plain(problem), icon=":material/notifications_off:")


def queue_note(glance: Glance) -> None:
    """Say how many checks wait and until when, if they are more than the few that always do."""
    queue = glance.queue
    if queue.done_in and queue.done_in >= _WORTH_TELLING:
        checks = "1 check waiting" if queue.due == 1 else f"{queue.due} checks waiting"
        done = texts.duration(queue.done_in.total_seconds())
        st.badge(f"{checks}, done in about {done}", color="gray", icon=":material/hourglass_empty:")


class LiveStages:
    """Shows the stages of a check while they run."""

    def __init__(self, title: str) -> None:
        """Open the display."""
        self._box = st.status(title, expanded=True)
        self._lines = self._box.empty()
        self._done: list[Observation] = []

    def __call__(self, event: Stage | Observation | Waiting) -> None:
        """Show one event of the check."""
        now = ""
        if isinstance(event, Stage):
            now = f":gray[:material/hourglass_empty: {texts.STAGES[event].doing}…]"
        elif isinstance(event, Waiting):
            now = f":gray[:material/schedule: Waiting {event.seconds} s: this minute's token requests are used up…]"
        else:
            self._done.append(event)
        self._lines.markdown("  \n".join([*map(observation_line, self._done), now]))

    def finish(self, label: str, *, good: bool) -> None:
        """Close the display with a verdict."""
        self._box.update(label=label, state="complete" if good else "error", expanded=not good)


def observation_line(seen: Observation, *, timed: bool = True) -> str:
    """Return one line of Markdown about what a stage saw, with or without its milliseconds."""
    stage, outcome = texts.STAGES[seen.stage], texts.OUTCOMES[seen.outcome]
    if seen.outcome is Outcome.WARN and seen.reason and texts.REASONS[seen.reason].remedy is Remedy.NOTHING:
        outcome = texts.STATUSES[Status.LIMITED]  # no care is needed
    what = {Outcome.PASS: stage.done, Outcome.SKIP: f"{stage.name}: {texts.skipped(seen.stage)}"}.get(seen.outcome) or (
        texts.REASONS[seen.reason].title if seen.reason else stage.name
    )
    color = f":{outcome.color}[:material/{outcome.icon}:]"
    took = f" · {seen.ms} ms" if seen.ms and timed else ""
    return f"{color} {what}{took}"


def explain(text: Explanation, *, kind: Callable[..., DeltaGenerator] = st.error, expanded: bool = True) -> None:
    """Show an explanation: what happened and what it means, then likely causes and what to do."""
    kind(f"**{plain(text.title)}**  \n{plain(text.meaning)}")
    parts = [("Likely causes, most likely first", text.causes), ("What to do", text.steps)]
    told = "\n\n".join(f"**{head}**\n\n{_numbered(lines)}" for head, lines in parts if lines)
    if told and expanded:
        st.markdown(told)
    elif told:
        with st.expander("Causes, and what to do"):
            st.markdown(told)


def _numbered(lines: Sequence[str]) -> str:
    return "\n".join(f"{number}. {plain(line)}" for number, line in enumerate(lines, 1))


def tell(message: str, icon: str) -> None:
    """Have a short message shown in the next run: what this run shows is lost when it ends in a rerun."""
    st.session_state.told = (plain(message), f":material/{icon}:")


def show_told() -> None:
    """Show the message an earlier run left."""
    if told := st.session_state.pop("told", None):
        message, icon = told
        st.toast(message, icon=icon)


def open_page(page: str, **query: str) -> None:
    """Go to another page."""
    # Without query parameters of its own, `switch_page` fails while a filter or a view stands in the address.
    st.switch_page(page, query_params=query)


def open_account(account_id: str, **query: str) -> None:
    """Go to an account's page."""
    open_page("account.py", account=account_id, **query)
