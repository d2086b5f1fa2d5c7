"""API tokens and badges: what is stored of them, who is admitted, and who is told to wait."""

from __future__ import annotations

import hashlib
import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from hub_core.access import DAYS_LIMIT, WRONG_A_MINUTE, Access, ApiToken, Refused, Scope, badge_path, written_out
from hub_core.clock import Clock
from hub_core.errors import InputError, NotFound
from hub_core.sandbox import Sandbox, serve
from hub_core.storage.store import Store
from tests.linked import installation, link, opened, organization

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

START = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)


class Time:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.passed = timedelta()

    @property
    def clock(self) -> Clock:
        """What shows it."""
        return Clock(now=lambda: START + self.passed, monotonic=self._seconds)

    def _seconds(self) -> float:
        return self.passed.total_seconds()


@pytest.fixture
def time() -> Time:
    """The time of the tests below."""
    return Time()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """A new database."""
    opened = Store.open(tmp_path / "data" / "hub.db")
    yield opened
    opened.close()


@pytest.fixture
def access(store: Store, time: Time) -> Access:
    """Access with true randomness."""
    return Access(store.database, time.clock)


def made(access: Access, *scopes: Scope, days: int | None = None) -> tuple[ApiToken, str]:
    """Make a token and return it with its text."""
    token, secret = access.create("Prometheus", scopes or (Scope.READ,), days, actor="test")
    return token, written_out(secret)


# ---- making


def test_a_token_is_256_random_bits_behind_its_id(store: Store, time: Time) -> None:
    """The text is `lh_`, the id, and 32 bytes of the randomness that was given."""
    given: list[int] = []

    def randomness(size: int) -> bytes:
        given.append(size)
        return bytes(range(200, 200 + size))

    token, secret = Access(store.database, time.clock, randomness=randomness).create(
        " My   token ", [Scope.METRICS], 30, actor="somebody"
    )
    assert given == [6, 32]
    assert written_out(secret) == "lh_c8c9cacbcccd_yMnKy8zNzs_Q0dLT1NXW19jZ2tvc3d7f4OHi4-Tl5uc"
    assert token == ApiToken(
        "c8c9cacbcccd", "My token", frozenset({Scope.METRICS}), START, "somebody", START + timedelta(days=30)
    )


def test_the_text_is_kept_nowhere(access: Access, store: Store, tmp_path: Path) -> None:
    """The database holds the SHA-256 of a token; its text is in no file, no audit entry and no representation."""
    token, text = made(access)
    assert text not in repr((token, access.create("b", [Scope.READ], None, actor="test")))
    assert text not in repr(store.audit_trail())
    files = b"".join(path.read_bytes() for path in (tmp_path / "data").iterdir())
    assert hashlib.sha256(text.encode()).digest() in files
    assert text.rpartition("_")[2].encode() not in files


def test_two_tokens_differ(access: Access) -> None:
    """Each token has its own id and its own text, in the documented form."""
    (first, one), (second, two) = made(access), made(access)
    assert first.id != second.id
    assert one.split("_", 2)[2] != two.split("_", 2)[2]
    assert re.fullmatch(rf"lh_{first.id}_[A-Za-z0-9_-]{{43}}", one)


@pytest.mark.parametrize(
    ("name", "scopes", "days", "field"),
    [
        ("", [Scope.READ], None, "name"),
        ("x" * 61, [Scope.READ], None, "name"),
        ("a", [], None, "scopes"),
        ("a", [Scope.READ], 0, "days"),
        ("a", [Scope.READ], DAYS_LIMIT + 1, "days"),
    ],
)
def test_what_cannot_be_made_is_said(
    access: Access, name: str, scopes: list[Scope], days: int | None, field: str
) -> None:
    """A missing name, no scope and an impossible age name their field, and nothing is made."""
    with pytest.raises(InputError) as caught:
        access.create(name, scopes, days, actor="test")
    assert caught.value.field == field
    assert access.tokens() == []


def test_making_and_revoking_are_in_the_audit_trail(access: Access, store: Store) -> None:
    """Who made and who revoked a token is written down, by id and scopes, once."""
    token, _ = made(access, Scope.READ, Scope.METRICS)
    access.revoke(token.id, actor="another")
    access.revoke(token.id, actor="another")
    assert [(e["actor"], e["action"], e["target"], e["detail"]) for e in store.audit_trail()] == [
        ("another", "token revoke", token.id, {}),
        ("test", "token create", token.id, {"scopes": ["metrics", "read"]}),
    ]


# ---- admitting


def test_a_token_opens_what_its_scopes_say(access: Access) -> None:
    """A right text is recognized, and refused what its scopes leave out."""
    token, text = made(access, Scope.METRICS)
    assert access.admits(text, Scope.METRICS) == token
    assert access.admits(text, Scope.READ) is Refused.SCOPE


@pytest.mark.parametrize(
    "wrong",
    [
        "",
        "lh_",
        "lh_000000000000_" + "A" * 43,
        "{id}",
        "lh_{id}_" + "A" * 43,
        "{text} ",
        "{text}\n",
        "{text}=",
        "{swapped}",
        "{short}",
        "\udcff\x00’" * 50_000,
    ],
)
def test_a_wrong_token_is_unknown(access: Access, wrong: str) -> None:
    """Whatever is not exactly the text of a token gets one and the same refusal."""
    token, text = made(access)
    filled = wrong.format(id=token.id, text=text, swapped=text.swapcase(), short=text[:-1])
    assert access.admits(filled, Scope.READ) is Refused.UNKNOWN
    assert access.admits(text, Scope.READ) == token


def test_a_token_ends(access: Access, time: Time) -> None:
    """A token works until the moment it expires, and one that was revoked not a moment longer."""
    _, brief = made(access, days=1)
    token, lasting = made(access)
    time.passed = timedelta(days=1) - timedelta(seconds=1)
    assert isinstance(access.admits(brief, Scope.READ), ApiToken)
    time.passed += timedelta(seconds=1)
    assert access.admits(brief, Scope.READ) is Refused.UNKNOWN
    assert isinstance(access.admits(lasting, Scope.READ), ApiToken)
    access.revoke(token.id, actor="test")
    assert access.admits(lasting, Scope.READ) is Refused.UNKNOWN
    assert [t.works(START + time.passed) for t in access.tokens()] == [False, False]


def test_a_flood_of_wrong_tokens_is_told_to_wait(access: Access, time: Time) -> None:
    """After many wrong tokens the answer is to wait, for a minute, but never for a right one."""
    _, text = made(access)
    assert {access.admits("wrong", Scope.READ) for _ in range(WRONG_A_MINUTE)} == {Refused.UNKNOWN}
    assert access.admits("wrong", Scope.READ) is Refused.TOO_MANY
    assert isinstance(access.admits(text, Scope.READ), ApiToken)
    time.passed = timedelta(seconds=61)
    assert access.admits("wrong", Scope.READ) is Refused.UNKNOWN


def test_use_is_noted_once_a_minute(access: Access, time: Time) -> None:
    """The last use is written at once and then at most once a minute, also after the clock was set back."""
    _, text = made(access)
    for seconds, noted in ((0, 0), (59, 0), (61, 61), (30, 30)):
        time.passed = timedelta(seconds=seconds)
        token = access.admits(text, Scope.READ)
        assert isinstance(token, ApiToken)
        access.note_use(token)
        assert access.tokens()[0].last_used_at == START + timedelta(seconds=noted)


def test_noting_use_never_stands_in_the_way(access: Access, store: Store) -> None:
    """A database that cannot be written is not the reader's trouble."""
    token, _ = made(access)
    store.close()
    access.note_use(token)


def test_what_is_not_there_cannot_be_revoked(access: Access) -> None:
    """Revoking an unknown token says so."""
    with pytest.raises(NotFound):
        access.revoke("000000000000", actor="test")


# ---- badges


def test_a_badge_is_opted_into_and_ends_with_its_account(tmp_path: Path) -> None:
    """An account has no badge until somebody wants one, and none after it was unlinked."""
    with serve(Sandbox(rate_limits=False)) as running, opened(installation(tmp_path, running)) as hub:
        account = link(hub, organization(running, "Meadow")).account
        assert not hub.access.badge_shown(account.id)
        for _ in range(2):
            hub.access.set_badge(account.id, True, actor="test")
            assert hub.access.badge_shown(account.id)
        hub.access.set_badge(account.id, False, actor="test")
        assert not hub.access.badge_shown(account.id)
        hub.access.set_badge(account.id, True, actor="test")
        assert [e["action"] for e in hub.store.audit_trail()][:4] == ["badge on", "badge off", "badge on", "badge on"]
        hub.unlink(account.id, account.label, actor="test")
        assert not hub.access.badge_shown(account.id)
        with pytest.raises(NotFound):
            hub.access.set_badge(account.id, True, actor="test")
    assert badge_path("an-id") == "/badge/an-id.svg"
