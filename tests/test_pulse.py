"""The small pictures of what has been: every kind of beat told apart by shape, gaps kept, untrusted text harmless."""

from __future__ import annotations

import re
from urllib.parse import unquote
from xml.etree import ElementTree as ET

import pytest

from hub_core.history import Pulse
from pages import _pulse, _tiles


def drawn(address: str) -> ET.Element:
    """Return the picture of an image address."""
    head, _, svg = address.partition(",")
    assert head == "data:image/svg+xml"
    return ET.fromstring(unquote(svg))  # noqa: S314 - our own picture


def shapes(svg: ET.Element) -> list[tuple[str, str]]:
    """Return where each line of a picture lies and how thick it is, without its color."""
    return [
        (re.sub(r"M\S+ (\S+)h\S+", r"\1", path.get("d") or ""), path.get("stroke-width") or "")
        for path in svg.iter("{http://www.w3.org/2000/svg}path")
    ]


def test_no_two_kinds_of_beat_have_the_same_shape() -> None:
    """Whoever sees no colors tells every kind of beat from every other."""
    found = [tuple(shapes(drawn(_pulse.bar(kind.value)))) for kind in Pulse]
    assert len(set(found)) == len(Pulse)


@pytest.mark.parametrize("pulse", ["", "u", "u" * 30, "uxn" * 20, "".join(Pulse)])
def test_bar_is_a_small_picture(pulse: str) -> None:
    """A row of beats is one valid picture of one size, small when all is well."""
    svg = drawn(_pulse.bar(pulse))
    assert (svg.get("width"), svg.get("height")) == ("120", "34")
    if len(set(pulse)) < 2:
        assert len(_pulse.bar(pulse)) < 300


def test_newest_beat_is_at_the_right() -> None:
    """A short history begins late and ends at the edge; of a long one the last thirty are drawn."""
    assert "M116 " in unquote(_pulse.bar("x"))
    assert _pulse.bar("x" * 10 + "u" * 30) == _pulse.bar("u" * 30)


def test_spark_keeps_gaps() -> None:
    """Latencies that were not measured leave a gap and are no zero; nothing measured is no picture."""
    path = unquote(_pulse.spark((10, 20, None, 30)) or "")
    assert path.count("M") == 2
    assert path.count("L") == 1
    assert _pulse.spark((None, None)) is None
    assert _pulse.spark(()) is None
    assert drawn(_pulse.spark((0,)) or "") is not None


@pytest.mark.parametrize(
    "text",
    [
        "<script>alert(1)</script>",
        '"/><image href="https://evil.example/x"/>',
        "a\0b\x1b",
        "\u202eevil",
        "\ud800",
        "組織" * 60,
    ],
)
def test_tiles_show_text_as_text(text: str) -> None:
    """Names and causes of any kind leave a tile a valid picture that holds nothing but text."""
    for svg in (
        _tiles.trouble(text, text, text, text, "red"),
        _tiles.count(text, text, "green"),
        _tiles.banner(text, text, "slate"),
    ):
        tags = {element.tag.rpartition("}")[2] for element in ET.fromstring(svg).iter()}  # noqa: S314 - ours
        assert tags == {"svg", "rect", "text"}


def test_long_names_are_cut() -> None:
    """A name that does not fit ends in dots instead of running out of its tile."""
    assert "…</text>" in _tiles.trouble("Failing", "x" * 400, "cause", "", "red")
    assert "…" not in _tiles.trouble("Failing", "Meadow Bakery", "cause", "", "red")


@pytest.mark.parametrize("length", range(1, 31))
def test_names_that_were_made_to_fit_are_whole(length: int) -> None:
    """A name whose letters were made smaller so that it just fits is shown to its last letter."""
    assert "…" not in _tiles.trouble("Failing", "x" * length, "cause", "", "red")
