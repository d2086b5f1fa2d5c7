"""Badges: who has one, what it tells, and how little that is."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from typing import TYPE_CHECKING

import pytest

from hub_core.texts import LOCKED, PAUSED, STALE, STATUSES
from hub_core.web.badge import _COLORS, drawn
from tests.linked import Hands, opened
from tests.machines import failing, served, well

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hub_core.hub import Hub
    from hub_core.settings import Settings

LABEL = "Acme & Sons <GmbH>"


@pytest.fixture
def hands() -> Hands:
    """The hands of the hub's clock."""
    return Hands()


@pytest.fixture
def hub(settings: Settings, hands: Hands) -> Iterator[Hub]:
    """A hub whose clock can be moved."""
    with opened(settings, hands.clock) as made:
        yield made


def texts_of(svg: str) -> list[str]:
    """Return every text of an SVG, after the parser has found it to be well-formed."""
    return [text.strip() for text in ET.fromstring(svg).itertext() if text.strip()]  # noqa: S314 - our own


def test_a_badge_tells_the_status_and_nothing_else(hub: Hub) -> None:
    """The word as the dashboard has it and the product's name; no label, id, reason or time."""
    account_id = failing(hub, label=LABEL)
    hub.access.set_badge(account_id, True, actor="test")
    with served(hub) as machines:
        answer = machines.get(f"/badge/{account_id}.svg")
        assert machines.get(f"/badge/{account_id}.svg", method="HEAD").status == 200
    assert answer.status == 200
    assert answer.headers["content-type"] == "image/svg+xml; charset=utf-8"
    assert answer.headers["cache-control"] == "max-age=60"
    assert answer.headers["cross-origin-resource-policy"] == "cross-origin"
    assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
    assert "set-cookie" not in answer.headers
    assert texts_of(answer.body) == ["Link Hub: Failing", "Link Hub", "Failing"]
    assert _COLORS["red"] in answer.body
    for known in ("Acme", account_id, "key", "bitwarden"):
        assert known not in answer.body


def test_a_badge_grows_stale(hub: Hub, hands: Hands) -> None:
    """Once nobody checks, a healthy account's badge is grey and says that there was no recent check."""
    account_id = well(hub)
    hub.access.set_badge(account_id, True, actor="test")
    with served(hub) as machines:
        assert _COLORS["green"] in machines.get(f"/badge/{account_id}.svg").body
        hands.forward(days=1)
        stale = machines.get(f"/badge/{account_id}.svg").body
    assert texts_of(stale)[-1] == "No recent check"
    assert _COLORS["gray"] in stale
    assert _COLORS["green"] not in stale


def test_no_badge_is_no_badge(hub: Hub) -> None:
    """An account without a badge, one that is not linked and any other address get the same answer, with any token."""
    account_id = well(hub)
    taken = well(hub, 1)
    hub.access.set_badge(taken, True, actor="test")
    hub.access.set_badge(taken, False, actor="test")
    with served(hub) as machines:
        answers = [
            machines.get(path, **headers)
            for path in (
                f"/badge/{account_id}.svg",
                f"/badge/{taken}.svg",
                "/badge/00000000-0000-0000-0000-000000000000.svg",
                f"/badge/{account_id}",
                "/badge/",
                "/badge/%2e%2e/%00.svg",
            )
            for headers in ({}, {"Authorization": "Bearer nonsense"}, {"Cookie": "a=b"})
        ]
    assert {(answer.status, answer.body) for answer in answers} == {(404, answers[0].body)}
    assert {answer.headers["cache-control"] for answer in answers} == {"no-store"}


def test_a_badge_is_only_read(hub: Hub) -> None:
    """Every other method is refused, and another site's script gets nothing."""
    account_id = well(hub)
    hub.access.set_badge(account_id, True, actor="test")
    with served(hub) as machines:
        for method in ("POST", "PUT", "PATCH", "DELETE", "OPTIONS"):
            assert machines.get(f"/badge/{account_id}.svg", method=method).status == 405
        assert machines.get(f"/badge/{account_id}.svg", Origin="https://evil.example").status == 403
        assert machines.get(f"/badge/{account_id}.svg", Host="evil.example").status == 421


@pytest.mark.parametrize("text", [*STATUSES.values(), LOCKED, STALE, PAUSED], ids=lambda text: text.word)
def test_every_way_an_account_is_shown_can_be_drawn(text: object) -> None:
    """Each status has a badge that a parser reads, wide enough for its word."""
    word, color = text.word, text.color  # type: ignore[attr-defined]
    svg = drawn(word, _COLORS[color])
    assert texts_of(svg)[-1] == word
    assert int(ET.fromstring(svg).attrib["width"]) >= 7 * (len("Link Hub") + len(word))  # noqa: S314 - our own


def test_what_is_drawn_is_escaped() -> None:
    """Signs of markup in a word stay text."""
    assert texts_of(drawn('<a href="x">&', "#000"))[-1] == '<a href="x">&'
