"""Draws one account's past with a time axis: the checks of a day, the days of a quarter, and latency."""

from __future__ import annotations

import math
from collections import Counter
from datetime import timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import pandas as pd
import streamlit as st

from hub_core import telling, texts
from hub_core.history import Pulse, pulse_of
from hub_core.timeline import Why
from pages import _pulse

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    from hub_core.history import Beat, Period
    from hub_core.past import Latency
    from hub_core.timeline import Gap, Stood

Spec = dict[str, Any]

_STRIP: Final = 92
_CHART: Final = 210


class Sign(NamedTuple):
    """How one kind is told in the legend, and drawn."""

    legend: str
    """Markdown."""
    color: str
    height: float = 1.0


_WHYS: Final = {
    Why.NOT_LINKED: Sign("", "#8a93a000"),
    Why.PAUSED: Sign(":gray[▓]", "#8a93a080"),
    Why.MAINTENANCE: Sign(":blue[▒]", "#4a7fe050"),
    Why.NOBODY: Sign(":gray[░]", "#8a93a020"),
}
_STATES: Final = {"up": _pulse.GREEN, "degraded": _pulse.AMBER, "down": _pulse.RED}
_GROUNDS: Final = {"degraded": ":orange[░]", "down": ":red[░]"}
"""Legend of the time behind the bars; of time without trouble the bars tell enough."""
_PULSES: Final = {
    Pulse.UP: ":green[█]",
    Pulse.DEGRADED: ":orange[▆]",
    Pulse.MISSED: ":orange[┇]",
    Pulse.FAILING: ":red[┇]",
    Pulse.UNREACHABLE: ":red[▃]",
    Pulse.WAITED: ":gray[–]",
}
"""Legend of the bars, as Markdown; paused and maintenance are stretches of time, told as such."""
_NOT_JUDGED: Final = "not judged"
_FLOOR_OF_NOT_JUDGED: Final = 0.47
"""A day nobody judged is a dash halfway up: whatever stands on the ground was judged."""
_DAYS: Final = {
    "without trouble": Sign(":green[█]", _pulse.GREEN, 1.0),
    "degraded for a while": Sign(":orange[▇]", _pulse.AMBER, 0.88),
    "down for less than 1%": Sign(":orange[▅]", _pulse.AMBER, 0.62),
    "down for 1 to 5%": Sign(":red[▄]", _pulse.RED, 0.45),
    "down for more than 5%": Sign(":red[▂]", _pulse.RED, 0.3),
    _NOT_JUDGED: Sign(":gray[–]", _pulse.GRAY + "66", 0.53),
}
"""How a day is shown: color and height together, so that nobody has to tell colors apart."""


# ---- the checks of a day


def heartbeat(
    beats: Sequence[Beat], missing: Sequence[Gap], judged: Sequence[Stood], *, begins: datetime, ends: datetime
) -> None:
    """Draw every check at its time, behind them how the account stood or why nobody judged it."""
    layers = [_axis(begins, ends, "%H:%M")]
    layers += [_grounds(judged)] if judged else []
    layers += [_bands(missing)] if missing else []
    layers += [_bars(beats)] if beats else []
    told = [(_PULSES[kind], f"{number} {_pulse.LOOKS[kind].words}") for kind, number in _counted(beats)]
    told += [(_GROUNDS[state], f"{state} {texts.duration(length)}") for state, length in _trouble(judged)]
    told += [(_WHYS[why].legend, f"{texts.GAPS[why]} {texts.duration(length)}") for why, length in _lengths(missing)]
    _draw(layers, height=_STRIP, alt="Checks of the last 24 hours: " + (_words(told) or "none"))
    _legend(told)


def _counted(beats: Sequence[Beat]) -> list[tuple[Pulse, int]]:
    found = Counter(map(pulse_of, beats))
    return [(kind, found[kind]) for kind in _PULSES if found[kind]]


def _drawn(beats: Sequence[Beat]) -> list[tuple[Beat, _pulse.Look, tuple[float, float]]]:
    looks = [(beat, _pulse.LOOKS[pulse_of(beat)]) for beat in beats if not beat.paused]
    return [(beat, look, span) for beat, look in looks for span in look.spans]


def _trouble(judged: Sequence[Stood]) -> list[tuple[str, float]]:
    found = {of: sum((s.ends - s.begins).total_seconds() for s in judged if s.state == of) for of in _GROUNDS}
    return [(state, seconds) for state, seconds in found.items() if seconds]


def _lengths(missing: Sequence[Gap]) -> list[tuple[Why, float]]:
    found = {why: sum((gap.ends - gap.begins).total_seconds() for gap in missing if gap.why is why) for why in _WHYS}
    return [(why, seconds) for why, seconds in found.items() if seconds]


def _bars(beats: Sequence[Beat]) -> Spec:
    drawn = _drawn(beats)
    return {
        "data": _data(
            at=_times(beat.at for beat, _, _ in drawn),
            top=[1 - span[0] for _, _, span in drawn],
            bottom=[1 - span[1] for _, _, span in drawn],
            found=[look.words for _, look, _ in drawn],
            cause=[telling.cause(beat.reason) if beat.reason else "–" for beat, _, _ in drawn],
            latency=[f"{beat.latency_ms} ms" if beat.latency_ms is not None else "–" for beat, _, _ in drawn],
        ),
        "mark": {"type": "rule", "strokeWidth": 2.2},
        "encoding": {
            "x": _time("at"),
            "y": {"field": "top", **_HEIGHT},
            "y2": {"field": "bottom"},
            "color": _colors("found", {look.words: look.color for look in _pulse.LOOKS.values()}),
            "tooltip": [_when("at", "Time"), *_told(found="Found", cause="Cause", latency="Latency")],
        },
    }


def _grounds(judged: Sequence[Stood]) -> Spec:
    """Tint the time itself: between two checks an account stands as the earlier one found it."""
    return {
        "data": _data(
            begins=_times(one.begins for one in judged),
            ends=_times(one.ends for one in judged),
            top=[1.0] * len(judged),
            bottom=[0.0] * len(judged),
            stood=[one.state for one in judged],
            color=[_STATES[one.state] for one in judged],
        ),
        "mark": {"type": "rect", "opacity": 0.22},
        "encoding": {
            "x": _time("begins"),
            "x2": {"field": "ends"},
            "y": {"field": "top", **_HEIGHT},
            "y2": {"field": "bottom"},
            # A scale would be shared with the bands of unjudged time, and paint them green.
            "fill": {"field": "color", "type": "nominal", "scale": None, "legend": None},
            "tooltip": [_when("begins", "From"), _when("ends", "Until"), *_told(stood="Stood as")],
        },
    }


def _bands(missing: Sequence[Gap]) -> Spec:
    return {
        "data": _data(
            begins=_times(gap.begins for gap in missing),
            ends=_times(gap.ends for gap in missing),
            top=[1.0] * len(missing),
            bottom=[0.0] * len(missing),
            why=[texts.GAPS[gap.why] for gap in missing],
        ),
        "mark": {"type": "rect", "stroke": _pulse.GRAY, "strokeDash": [2, 3], "strokeWidth": 0.8},
        "encoding": {
            "x": _time("begins"),
            "x2": {"field": "ends"},
            "y": {"field": "top", **_HEIGHT},
            "y2": {"field": "bottom"},
            "fill": _colors("why", {texts.GAPS[why]: sign.color for why, sign in _WHYS.items()}),
            "tooltip": [_when("begins", "From"), _when("ends", "Until"), *_told(why="Not judged")],
        },
    }


# ---- the days of a quarter


def days(spans: Sequence[Period]) -> None:
    """Draw a bar for every day, full and green without trouble, shorter and redder the longer it was down."""
    kinds = [day_kind(span) for span in spans]
    layer = {
        "data": _data(
            at=_times(span.begins for span in spans),
            end=_times(span.begins + 0.82 * span.length for span in spans),
            kind=kinds,
            height=[_DAYS[kind].height for kind in kinds],
            floor=[_FLOOR_OF_NOT_JUDGED if kind == _NOT_JUDGED else 0.0 for kind in kinds],
            uptime=[telling.share(span.uptime) for span in spans],
            down=[texts.duration(span.down) if span.down else "–" for span in spans],
            checks=[float(span.checks) for span in spans],
        ),
        "mark": {"type": "rect", "cornerRadius": 1},
        "encoding": {
            "x": _time("at"),
            "x2": {"field": "end"},
            "y": {"field": "height", **_HEIGHT},
            "y2": {"field": "floor"},
            "color": _colors("kind", {kind: sign.color for kind, sign in _DAYS.items()}),
            "tooltip": [_day("at"), *_told(kind="Found", uptime="Uptime", down="Down for", checks="Checks")],
        },
    }
    told = [(_DAYS[kind].legend, f"{_of_days(kinds.count(kind))} {kind}") for kind in _DAYS if kind in kinds]
    _draw(
        [_axis(spans[0].begins, spans[-1].begins + spans[-1].length, "%-d %b"), layer],
        height=_STRIP,
        alt=f"The last {len(spans)} days: {_words(told)}",
    )
    _legend(told)


def table_of(spans: Sequence[Period]) -> pd.DataFrame:
    """Return the days as a table, the latest first, for whoever wants the numbers or cannot see the bars."""
    latest = list(reversed(spans))

    def minutes(seconds: int) -> str:
        return texts.duration(seconds) if seconds else ""

    return pd.DataFrame(
        {
            "Day (UTC)": [span.begins.strftime("%Y-%m-%d") for span in latest],
            "Found": [day_kind(span) for span in latest],
            "Uptime": [telling.share(span.uptime) for span in latest],
            "Down": [minutes(span.down) for span in latest],
            "Degraded": [minutes(span.degraded) for span in latest],
            "Maintenance": [minutes(span.maintenance) for span in latest],
            "Paused": [minutes(span.paused) for span in latest],
            "Checks": [span.checks for span in latest],
            "Failed": [span.failed for span in latest],
        }
    )


def day_kind(span: Period) -> str:
    """Return in which of the kinds of days a day is."""
    if not span.judged:
        return _NOT_JUDGED
    down = span.down / span.judged
    if not down:
        return "degraded for a while" if span.degraded else "without trouble"
    if down < 0.01:  # noqa: PLR2004 - the numbers of the words
        return "down for less than 1%"
    return "down for 1 to 5%" if down <= 0.05 else "down for more than 5%"  # noqa: PLR2004 - the numbers of the words


def _of_days(number: int) -> str:
    return "1 day" if number == 1 else f"{number} days"


# ---- latency


def latency(points: Sequence[Latency], *, begins: datetime, ends: datetime, clock: str) -> None:
    """Draw the median and the slow end of the answers; where nothing was measured the lines break."""
    colors = {"median (p50)": _pulse.BLUE, "slowest twentieth (p95)": _pulse.AMBER}
    lines = zip(colors, ([point.p50 for point in points], [point.p95 for point in points]), strict=True)
    rows = [(name, *at) for name, values in lines for at in _broken([p.at for p in points], values)]
    data = _data(
        at=_times(at for _, at, _ in rows),
        which=[name for name, _, _ in rows],
        ms=[math.nan if ms is None else float(ms) for _, _, ms in rows],
    )
    encoding = {
        "x": _time("at"),
        "y": {"field": "ms", "type": "quantitative", "title": "ms", "scale": {"zero": True}},
        "color": _colors("which", colors),
        "tooltip": [_when("at", "From"), *_told(which="Which", ms="Milliseconds")],
    }
    marks: list[Spec] = [{"type": "line", "strokeWidth": 1.8}, {"type": "point", "size": 12, "filled": True}]
    layers = [{"data": data, "mark": mark, "encoding": encoding} for mark in marks]
    _draw([_axis(begins, ends, clock), *layers], height=_CHART, alt=latency_words(points))
    _legend([(":blue[━]", "median (p50)"), (":orange[━]", "slowest twentieth (p95)")])


def latency_words(points: Sequence[Latency]) -> str:
    """Return what the chart shows, for whoever cannot see it."""
    if not points:
        return "Latency: none measured"
    return (
        f"Latency: the median was between {min(p.p50 for p in points):.0f} and {max(p.p50 for p in points):.0f} ms, "
        f"the slowest twentieth took up to {max(p.p95 for p in points):.0f} ms"
    )


def _broken(times: Sequence[datetime], values: Sequence[int]) -> list[tuple[datetime, int | None]]:
    """Return a line with an empty point in every hole, so that nothing is drawn across it."""
    step = min((later - earlier for earlier, later in pairwise(times)), default=timedelta())
    found: list[tuple[datetime, int | None]] = []
    for at, value in zip(times, values, strict=True):
        if found and at - found[-1][0] > 1.5 * step:
            found.append((found[-1][0] + step, None))
        found.append((at, value))
    return found


# ---- shared

_PADDING: Final = {"left": 0, "right": 8, "top": 4, "bottom": 2}
_TOGETHER: Final = "\u00a0"
_HEIGHT: Final = {"type": "quantitative", "scale": {"domain": [0, 1]}, "axis": None}


def _draw(layers: Sequence[Spec], *, height: int, alt: str) -> None:
    sets = {f"d{number}": layer["data"] for number, layer in enumerate(layers)}
    drawn = [{**layer, "data": {"name": name}} for name, layer in zip(sets, layers, strict=True)]
    look = {"view": {"stroke": None}, "axis": {"domain": False}}
    st.vega_lite_chart(
        spec={"height": height, "padding": _PADDING, "layer": drawn, "datasets": sets, "config": look},
        width="stretch",
        alt=alt,
    )


def _legend(told: Sequence[tuple[str, str]]) -> None:
    st.markdown(
        ":small[" + " \u2002 ".join(f"{sign} {words}".strip().replace(" ", _TOGETHER) for sign, words in told) + "]"
    )


def _words(told: Sequence[tuple[str, str]]) -> str:
    return ", ".join(words for _, words in told)


def _data(**columns: Any) -> pd.DataFrame:
    return pd.DataFrame(columns)


def _times(moments: Iterable[datetime]) -> pd.Series[Any]:
    return pd.Series(list(moments), dtype="datetime64[ms, UTC]")


def _axis(begins: datetime, ends: datetime, clock: str) -> Spec:
    """Return a layer that shows nothing and holds the whole span on the axis, whatever is known of it."""
    axis = {"format": clock, "title": None, "labelOverlap": True, "grid": False, "labelFlush": True}
    # A domain given as numbers comes out wrong: the page's policy allows no eval, and Vega's interpreter reads years.
    return {
        "data": _data(at=_times([begins, ends])),
        "mark": {"type": "rule", "opacity": 0, "tooltip": None},
        "encoding": {"x": {**_time("at"), "scale": {"type": "utc", "nice": False}, "axis": axis}},
    }


def _time(field: str) -> Spec:
    return {"field": field, "type": "temporal"}


def _colors(field: str, found: Mapping[str, str]) -> Spec:
    scale = {"domain": list(found), "range": list(found.values())}
    return {"field": field, "type": "nominal", "scale": scale, "legend": None}


def _when(field: str, title: str) -> Spec:
    return {
        "field": field,
        "type": "temporal",
        "title": f"{title} (UTC)",
        "timeUnit": "utcyearmonthdatehoursminutesseconds",
        "format": "%Y-%m-%d %H:%M:%S",
    }


def _day(field: str) -> Spec:
    return {
        "field": field,
        "type": "temporal",
        "title": "Day (UTC)",
        "timeUnit": "utcyearmonthdate",
        "format": "%Y-%m-%d",
    }


def _told(**titles: str) -> list[Spec]:
    return [{"field": field, "title": title} for field, title in titles.items()]
