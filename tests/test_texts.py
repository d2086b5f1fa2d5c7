"""What people read: complete, calm, honest about certainty, and the same in the manual."""

from __future__ import annotations

import re
import string
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from streamlit.material_icon_names import ALL_MATERIAL_ICONS

from hub_core.model import Capability, Outcome, Reason, Remedy, ServerKind, Stage, Status, Trigger
from hub_core.texts import (
    CAPABILITIES,
    GROUPS,
    OUTCOMES,
    PAUSED,
    REASONS,
    REMEDIES,
    SERVER_KINDS,
    STAGES,
    STALE,
    STATUSES,
    TRIGGERS,
    OnCloud,
    OnOwnServer,
    Text,
    ago,
    duration,
    explain,
    member_state,
)
from hub_core.texts.text import PLACEHOLDERS
from tools.troubleshooting import TARGET, document

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

every_reason = pytest.mark.parametrize("reason", list(Reason), ids=str)

PLACES: tuple[dict[str, Any], ...] = (
    {},
    {"self_hosted": True},
    {"self_hosted": True, "official": True},
    {"self_hosted": True, "official": False},
    {"official": True},
    {"official": False},
)
KNOWN = {name: f"<{name}>" for name in PLACEHOLDERS}
FORBIDDEN_WORDS = re.compile(
    r"\b(connections?|integrations?|tenants?|instances?|monitors?|services?|managers?|helpers?)\b", re.IGNORECASE
)
JARGON = re.compile(r"\b(TCP|DNS|JSON|HTML|HTTP|OAuth|JWT|GUID|UUID|IP|invalid_\w+|handshake|payload|scope)\b")
WIRE_WORDS = re.compile(r"invalid_client|invalid_scope|invalid_request|\b40[13]\b")


def lines(text: Text) -> tuple[str, ...]:
    """Return everything written about a reason."""
    return (text.title, text.meaning, *text.causes, *text.steps)


@pytest.mark.parametrize(
    ("texts", "members"),
    [
        (REASONS, Reason),
        (STATUSES, Status),
        (STAGES, Stage),
        (OUTCOMES, Outcome),
        (CAPABILITIES, Capability),
        (SERVER_KINDS, ServerKind),
        (TRIGGERS, Trigger),
        (REMEDIES, Remedy),
    ],
    ids=["reasons", "statuses", "stages", "outcomes", "capabilities", "servers", "triggers", "remedies"],
)
def test_every_member_has_a_text(texts: Mapping[object, object], members: Iterable[object]) -> None:
    """Each closed set is covered exactly: no member without words, no words without a member."""
    assert set(texts) == set(members)


def test_no_reason_is_in_two_groups() -> None:
    """Every reason belongs to one point of a check."""
    assert sum(len(group.reasons) for group in GROUPS) == len(REASONS)


def test_the_manual_is_what_the_texts_say() -> None:
    """docs/troubleshooting.md equals the generator's output, so the manual cannot fall behind."""
    assert TARGET.read_text(encoding="utf-8") == document()


@every_reason
def test_the_manual_has_one_section_for_a_reason(reason: Reason) -> None:
    """The link of an explanation leads to an anchor that exists once."""
    anchor = explain(reason).doc.partition("#")[2]
    assert anchor == reason.value.replace("_", "-")
    assert document().count(f'<a id="{anchor}"></a>\n\n## {REASONS[reason].title}\n') == 1


def test_the_manual_shows_no_placeholder() -> None:
    """Placeholders appear as readable words."""
    assert not re.search(r"[{}]", document())


@every_reason
def test_a_title_is_short_and_plain(reason: Reason) -> None:
    """A title fits a table cell, starts with a capital and does not shout."""
    title = REASONS[reason].title
    assert 8 < len(title) <= 60
    assert title[0].isupper()
    assert not re.search(r"[.!?{}]$|[{}!]", title)
    assert not JARGON.search(title)


def test_titles_are_unique() -> None:
    """Two reasons are never confused by their titles."""
    assert len({text.title for text in REASONS.values()}) == len(REASONS)


@every_reason
def test_only_known_placeholders_are_used(reason: Reason) -> None:
    """A text can hold only what evidence can fill."""
    for line in lines(REASONS[reason]):
        assert {name for _, name, _, _ in string.Formatter().parse(line) if name is not None} <= set(PLACEHOLDERS)


@every_reason
def test_wire_words_stay_in_the_meaning(reason: Reason) -> None:
    """Codes of the wire help experts in the meaning, and are nowhere else in the way."""
    text = REASONS[reason]
    for line in (text.title, *text.causes, *text.steps):
        assert not WIRE_WORDS.search(line)
    assert all(f"({word})" in text.meaning for word in WIRE_WORDS.findall(text.meaning))


@every_reason
def test_nothing_shouts_and_every_line_is_a_sentence(reason: Reason) -> None:
    """No exclamation marks; meaning, causes and steps end as sentences do."""
    text = REASONS[reason]
    assert not any("!" in line for line in lines(text))
    assert all(line.endswith(".") for line in (text.meaning, *text.causes, *text.steps))


def test_titles_and_buttons_use_the_glossary() -> None:
    """Words that mean something else here are in no title, button or short word."""
    shown = [text.title for text in REASONS.values()]
    shown += [remedy.button for remedy in REMEDIES.values()]
    shown += [state.word for table in (STATUSES, OUTCOMES, CAPABILITIES) for state in table.values()]
    shown += [stage.name for stage in STAGES.values()]
    assert [words for words in shown if FORBIDDEN_WORDS.search(words)] == []


def test_buttons_are_distinct() -> None:
    """Two remedies never show the same button."""
    assert len({remedy.button for remedy in REMEDIES.values()}) == len(REMEDIES)


@pytest.mark.parametrize("place", PLACES, ids=str)
@every_reason
def test_something_to_read_and_to_do_remains_without_evidence(reason: Reason, place: dict[str, Any]) -> None:
    """Wherever the account is and however little was seen, there is a meaning and a step."""
    explained = explain(reason, **place)
    assert explained.meaning
    assert explained.steps
    assert "" not in (*explained.causes, *explained.steps)


@every_reason
def test_a_meaning_does_not_lean_on_a_dropped_sentence(reason: Reason) -> None:
    """Without evidence the first sentence does not start with a word that points back."""
    assert not re.match(r"(That|This says|Why|So)\b", explain(reason).meaning)


@every_reason
def test_known_facts_are_all_shown(reason: Reason) -> None:
    """With every fact known nothing is left out and nothing is left open."""
    explained = explain(reason, evidence=KNOWN, self_hosted=True)
    for name in set(PLACEHOLDERS) - {"worked_until"}:
        assert (f"<{name}>" in explained.meaning) == (f"{{{name}}}" in REASONS[reason].meaning)
    assert not re.search(r"[{}]", " ".join((explained.title, explained.meaning, *explained.causes, *explained.steps)))


FRONT = [
    reason
    for group in GROUPS
    if group.title.startswith(("Reach", "TLS", "Any answer"))
    for reason in group.reasons
    if reason is not Reason.CERTIFICATE_ENDS_SOON
]


@pytest.mark.parametrize("reason", FRONT, ids=str)
def test_what_happens_in_front_of_the_server_never_blames_the_key(reason: Reason) -> None:
    """Names, routes, certificates, proxies, pages and faults say that the key was not judged."""
    text = REASONS[reason]
    assert re.search(r"[Tt]he key was not judged|says nothing about the key", text.meaning)
    assert text.remedy not in {Remedy.RELINK, Remedy.CORRECT_INPUT, Remedy.ASK_OWNER}


@pytest.mark.parametrize("reason", [*FRONT, Reason.API_PATH_WRONG], ids=str)
def test_a_fault_after_acceptance_does_not_deny_it(reason: Reason) -> None:
    """Once the key was accepted in a check, a later fault does not claim that it was not judged."""
    meaning = explain(reason, key_accepted=True).meaning
    assert "not judged" not in meaning
    assert not re.search(r"(Nothing|No secret) was sent", meaning)


@pytest.mark.parametrize("reason", [Reason.KEY_NEVER_ACCEPTED, Reason.KEY_NO_LONGER_ACCEPTED], ids=str)
@pytest.mark.parametrize("self_hosted", [False, True])
def test_a_refused_key_names_no_single_cause(reason: Reason, *, self_hosted: bool) -> None:
    """The refusal is certain, its cause is not, and several are offered."""
    explained = explain(reason, self_hosted=self_hosted)
    assert "That is certain." in explained.meaning
    assert "The cause is not certain" in explained.meaning
    assert len(explained.causes) >= 4


def positions(causes: tuple[str, ...], words: Iterable[str]) -> list[int]:
    """Return where the first cause with each word stands."""
    return [next(i for i, cause in enumerate(causes) if word in cause) for word in words]


@pytest.mark.parametrize(
    ("reason", "self_hosted", "order"),
    [
        (Reason.KEY_NEVER_ACCEPTED, False, ["region", "self-hosted", "copied", "plan", "disabled"]),
        (Reason.KEY_NEVER_ACCEPTED, True, ["Bitwarden's cloud", "copied", "plan", "license"]),
        (Reason.KEY_NO_LONGER_ACCEPTED, False, ["rotated", "disabled", "plan", "deleted"]),
        (Reason.KEY_NO_LONGER_ACCEPTED, True, ["rotated", "license", "plan", "deleted"]),
    ],
)
def test_causes_are_ranked_by_history(reason: Reason, order: list[str], *, self_hosted: bool) -> None:
    """Never worked: region, server, slip, plan, disabled. Worked before: rotated, lapsed, plan, deleted."""
    found = positions(explain(reason, self_hosted=self_hosted).causes, order)
    assert found == sorted(found)
    assert len(set(found)) == len(found)


@every_reason
def test_lines_for_another_place_are_left_out(reason: Reason) -> None:
    """A cloud account reads nothing about licenses of own servers, and the reverse."""
    text = REASONS[reason]
    cloud, own = explain(reason, official=True, evidence=KNOWN), explain(reason, self_hosted=True, evidence=KNOWN)
    for line in (*text.causes, *text.steps):
        if "{" not in line and isinstance(line, OnCloud | OnOwnServer):
            assert (line in (*cloud.causes, *cloud.steps)) == isinstance(line, OnCloud)
            assert (line in (*own.causes, *own.steps)) == isinstance(line, OnOwnServer)


def test_the_time_of_the_last_success_comes_first() -> None:
    """A key that stopped working says at once until when it worked."""
    explained = explain(Reason.KEY_NO_LONGER_ACCEPTED, worked_until="14:05")
    assert explained.title == "Worked until 14:05. Bitwarden no longer accepts this key"
    assert "Worked until" not in explained.meaning


def test_history_unknown_is_not_invented() -> None:
    """Without a time of last success no sentence speaks of one."""
    explained = explain(Reason.KEY_NO_LONGER_ACCEPTED)
    assert "Worked until" not in explained.title + explained.meaning


def test_the_remedy_fits_the_place() -> None:
    """A cloud account has no address to edit, an own server no region to choose."""
    assert explain(Reason.HOSTS_MISMATCH, self_hosted=True).remedy is Remedy.EDIT_SERVER
    assert explain(Reason.HOSTS_MISMATCH, official=True).remedy is Remedy.CHOOSE_REGION
    assert explain(Reason.NAME_NOT_FOUND, self_hosted=True).remedy is Remedy.EDIT_SERVER
    assert explain(Reason.NAME_NOT_FOUND, official=True).remedy is Remedy.FIX_SERVER


@given(
    reason=st.sampled_from(Reason),
    evidence=st.dictionaries(st.sampled_from([*PLACEHOLDERS, "other"]), st.text(max_size=400)),
    worked_until=st.none() | st.text(max_size=400),
    self_hosted=st.booleans(),
)
def test_any_evidence_is_survived(
    reason: Reason, evidence: dict[str, str], worked_until: str | None, *, self_hosted: bool
) -> None:
    """Whatever a server put into the evidence, the sentences stay on one line and bounded."""
    explained = explain(reason, evidence=evidence, worked_until=worked_until, self_hosted=self_hosted)
    for line in (explained.title, explained.meaning, *explained.causes, *explained.steps):
        assert line.isprintable()
        assert len(line) < 1800


@given(
    reason=st.sampled_from(Reason),
    evidence=st.dictionaries(
        st.sampled_from(list(PLACEHOLDERS)), st.text(st.characters(exclude_characters="{}"), max_size=60)
    ),
)
def test_no_brace_is_left(reason: Reason, evidence: dict[str, str]) -> None:
    """An unknown placeholder takes its sentence with it."""
    explained = explain(reason, evidence=evidence)
    assert not re.search(r"[{}]", " ".join((explained.title, explained.meaning, *explained.causes, *explained.steps)))


def test_evidence_is_not_filled_again() -> None:
    """A value that looks like a placeholder, or holds markup, is shown as it is."""
    explained = explain(Reason.SERVER_UNKNOWN, evidence={"server": "{host} **x** <b>", "host": "secret.example"})
    assert "It calls itself {host} **x** <b>." in explained.meaning


def test_evidence_is_cleaned() -> None:
    """Control and direction characters go, line breaks become blanks, long values are cut at 200."""
    shown = explain(Reason.SERVER_UNKNOWN, evidence={"server": "a\x00b\u202ec\r\nd" + "e" * 400}).meaning
    assert f"It calls itself abc d{'e' * 194}…." in shown


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [("wait", "37", "37 s"), ("wait", "in a while", "in a while"), ("wait", "3600", "1 h")],
)
def test_bare_seconds_get_a_unit(name: str, value: str, shown: str) -> None:
    """Numbers of seconds are shown as a span; anything else as it came."""
    assert f"The pause asked for is {shown}." in explain(Reason.RATE_LIMITED, evidence={name: value}).meaning


def test_skew_and_days_get_their_units() -> None:
    """A clock difference loses its sign, days are counted in words."""
    assert "The difference is 1 min." in explain(Reason.CLOCK_SKEW, evidence={"skew": "-75"}).meaning
    assert "The time left is 1 day." in explain(Reason.CERTIFICATE_ENDS_SOON, evidence={"days": "1"}).meaning


def test_the_end_of_a_refused_certificate_is_shown_as_a_date() -> None:
    """What the handshake learned about a refused certificate reaches the reader."""
    meaning = explain(Reason.CERTIFICATE_EXPIRED, evidence={"expires": "2026-11-01T12:00:00+00:00"}).meaning
    assert "The certificate ended on 2026-11-01." in meaning
    assert "“no TLS”" in explain(Reason.TLS_FAILED, evidence={"what": "no TLS"}).meaning


@pytest.mark.parametrize("reason", [Reason.HOSTS_MISMATCH, Reason.HOSTS_RENAMED], ids=str)
def test_hosts_are_told_apart(reason: Reason) -> None:
    """Expected is what this account is set to; got is what the server says of itself."""
    meaning = explain(reason, evidence={"expected": "https://ours", "got": "https://theirs"}).meaning
    assert re.search(r"say\w* https://theirs\.", meaning)
    assert re.search(r"(Set here|In use) is https://ours\.", meaning)


def test_states_differ_in_icon_and_word() -> None:
    """Color never stands alone: every status has an icon and a word of its own, paused and stale included."""
    states = [*STATUSES.values(), PAUSED, STALE]
    assert len({state.icon for state in states}) == len(states)
    assert len({state.word for state in states}) == len(states)
    assert STALE.color == "gray"


def test_words_of_the_statuses_are_the_design_s() -> None:
    """A status is called by the name it has everywhere else."""
    assert all(state.word == status.value.capitalize() for status, state in STATUSES.items())


def test_icons_exist() -> None:
    """Streamlit knows every icon that is named."""
    states = [*STATUSES.values(), *OUTCOMES.values(), *CAPABILITIES.values(), PAUSED, STALE]
    stages = STAGES.values()
    assert {state.icon for state in states} | {stage.icon for stage in stages} <= set(ALL_MATERIAL_ICONS)


@pytest.mark.parametrize(
    ("number", "word"),
    [(-1, "revoked"), (2, "confirmed"), (3, "staged"), (9, "other (9)"), (None, "not reported"), ([], "not reported")],
)
def test_member_states(number: object, word: str) -> None:
    """A state that nobody has named yet is shown as its number, a missing one as not reported."""
    assert member_state(number) == word


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0, "0 s"),
        (59.9, "59 s"),
        (240, "4 min"),
        (3600, "1 h"),
        (7800, "2 h 10 min"),
        (86400, "1 day"),
        (3 * 86400 + 5, "3 days"),
    ],
)
def test_duration(seconds: float, shown: str) -> None:
    """A span is shown with the parts that matter."""
    assert duration(seconds) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0, "just now"),
        (9, "just now"),
        (45, "45 s ago"),
        (240, "4 min ago"),
        (-60, "just now"),
        (-7200, "in 2 h"),
    ],
)
def test_ago(seconds: int, shown: str) -> None:
    """An age reads well, and clocks that differ a little do not put the past into the future."""
    now = datetime(2026, 11, 23, 12, tzinfo=UTC)
    assert ago(now - timedelta(seconds=seconds), now) == shown
