"""What the hub remembers, in its own terms: accounts, checks, standing, keys, token budget, audit."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from hub_core.errors import AlreadyLinked, ChangedMeanwhile, NotFound
from hub_core.health import status
from hub_core.health.maintenance import Once, Scope
from hub_core.model import (
    Account,
    Capability,
    Check,
    Endpoints,
    Facts,
    Lifecycle,
    Observation,
    Outcome,
    Reason,
    RegionId,
    ServerKind,
    Stage,
    Standing,
    Status,
    Trigger,
)
from hub_core.storage.maintenance import MaintenanceTable
from hub_core.storage.seal import KeyringRow
from hub_core.storage.store import Store

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NOW = datetime(2026, 11, 23, 12, 0, 0, 123000, tzinfo=UTC)
EU = Endpoints(RegionId.EU, "https://identity.bitwarden.eu", "https://api.bitwarden.eu", "https://vault.bitwarden.eu")
OWN = Endpoints(RegionId.SELF_HOSTED, "https://bw.example/identity", "https://bw.example/api", None)
FACTS = Facts(
    server_kind=ServerKind.OFFICIAL,
    server_name="Bitwarden",
    server_version="2026.8.0",
    vault="https://vault.bitwarden.eu",
    addresses=("192.0.2.1", "2001:db8::1"),
    tls_version="TLSv1.3",
    certificate_issuer="R11",
    certificate_subject="*.bitwarden.eu",
    certificate_sha256="ab" * 32,
    certificate_ends=NOW + timedelta(days=30),
    skew_seconds=-2,
    latency_ms=41,
    capabilities={
        "/public/members": Capability.READABLE,
        "/public/events": Capability.REFUSED,
        "/public/organization/subscription": Capability.READABLE,
    },
    members={"confirmed": 3, "other (9)": 1},
    counts={"groups": 0, "policies": 7},
    seats=10,
)
ORIGIN = EU.identity_origin


def account(number: int = 1, **changes: Any) -> Account:
    made = Account(
        id=f"00000000-0000-4000-8000-{number:012}",
        label=f"Label {number} \N{SNOWMAN}",
        endpoints=EU,
        client_id=f"organization.{number:08x}-0000-4000-8000-000000000000",
        ca_pem=None,
        tags=("a", "b, c"),
        note="first\nsecond",
        lifecycle=Lifecycle.ACTIVE,
        pause_reason="",
        linked_at=NOW,
        key_entered_at=NOW,
        standing=Standing(),
        facts=Facts(),
    )
    return replace(made, **changes)


def good(at: datetime = NOW, **changes: Any) -> Check:
    observations = tuple(Observation(stage, Outcome.PASS, ms=5) for stage in Stage)
    return replace(Check(at, Trigger.LINK, observations, FACTS), **changes)


def bad(reason: Reason, at: datetime = NOW, stage: Stage = Stage.TOKEN) -> Check:
    return Check(at, Trigger.MANUAL, (Observation(stage, Outcome.FAIL, reason, 7, {"host": "h", "status": "400"}),))


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store.open(tmp_path / "hub.db")
    yield opened
    opened.close()


def add(store: Store, made: Account, token: str = "sealed") -> None:
    check = good()
    store.add_account(made, seal=lambda _: token, check=check, step=status.step(made, check), actor="test")


def record(store: Store, made: Account, check: Check, generation: int = 0) -> status.Step | None:
    return store.record(made.id, generation, step=lambda present: status.step(present, check))


def replace_key(
    store: Store, made: Account, endpoints: Endpoints = EU, *, generation: int = 0, entered: bool = True
) -> None:
    check = good(NOW + timedelta(hours=1), trigger=Trigger.RELINK)
    store.replace_key(
        made.id,
        generation,
        seal=lambda _: "resealed",
        endpoints=endpoints,
        ca_pem="PEM",
        check=check,
        step=lambda present: status.step(present, check),
        entered=entered,
        actor="test",
        action="relink",
    )


def test_an_account_comes_back_as_it_was_stored(store: Store) -> None:
    """Every field survives the way through the database, facts and times included."""
    made = account()
    add(store, made)
    expected = replace(
        made,
        standing=Standing(Status.HEALTHY, None, NOW, NOW, NOW, NOW),
        facts=FACTS,
        due=status.step(made, good()).due,
    )
    assert store.account(made.id) == expected
    assert store.load(made.id).account == expected


def test_the_first_check_transition_and_audit_entry_are_stored_with_the_account(store: Store) -> None:
    """Linking writes the check that proved the key, the change from unknown to healthy, and who did it."""
    made = account()
    add(store, made)
    (check,) = store.past.noteworthy(made.id)
    assert (check.status, check.trigger, check.latency_ms, check.observations) == (
        Status.HEALTHY,
        Trigger.LINK,
        41,
        good().observations,
    )
    (change,) = store.past.transitions(made.id)
    assert (change.before, change.after, change.at) == (Status.UNKNOWN, Status.HEALTHY, NOW)
    (entry,) = store.audit_trail()
    assert (entry["actor"], entry["action"], entry["target"], entry["at"]) == ("test", "link", made.id, NOW)
    assert entry["detail"] == {"client_id": made.client_id}


def test_an_organization_is_linked_once_per_identity_origin(store: Store) -> None:
    """The same organization at the same identity server is refused, at another server it is another account."""
    add(store, account(1))
    with pytest.raises(AlreadyLinked) as caught:
        add(store, replace(account(2), client_id=account(1).client_id))
    assert (caught.value.account_id, caught.value.label) == (account(1).id, account(1).label)
    add(store, replace(account(3), client_id=account(1).client_id, endpoints=OWN))
    assert len(store.overview()) == 2
    assert store.find(account(1).client_id, ORIGIN) == (account(1).id, account(1).label)
    assert store.find(account(1).client_id, "https://elsewhere") is None


def test_a_refused_twin_leaves_nothing_behind(store: Store) -> None:
    """The second account's check and audit entry are undone with it, and nothing was sealed for it."""
    add(store, account(1))
    sealed: list[object] = []
    twin = replace(account(2), client_id=account(1).client_id)
    with pytest.raises(AlreadyLinked):
        store.add_account(
            twin, seal=lambda ring: sealed.append(ring) or "x", check=good(), step=status.step(twin, good()), actor="t"
        )
    assert sealed == []
    assert len(store.audit_trail()) == 1
    assert store.past.noteworthy(twin.id) == []


def test_many_people_linking_the_same_organization_at_once(store: Store) -> None:
    """Of several threads exactly one links; every other is told who did."""
    outcomes: list[str] = []

    def work(number: int) -> None:
        try:
            add(store, replace(account(number), client_id=account(1).client_id))
            outcomes.append("linked")
        except AlreadyLinked as error:
            outcomes.append(error.account_id)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(1, 9)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (row,) = store.overview()
    assert sorted(outcomes) == sorted(["linked", *[row.id] * 7])


@pytest.mark.parametrize("call", ["account", "load"])
def test_an_unknown_account_is_not_found(store: Store, call: str) -> None:
    """Asking for what is not there raises NotFound."""
    with pytest.raises(NotFound):
        getattr(store, call)("nobody")


def test_changes_of_an_unknown_account_are_not_found(store: Store) -> None:
    """Changing what is not there raises NotFound and writes nothing to the audit trail."""
    with pytest.raises(NotFound):
        store.describe("nobody", label="x", tags=(), note="", at=NOW, actor="t")
    with pytest.raises(NotFound):
        store.set_lifecycle("nobody", Lifecycle.PAUSED, why="", at=NOW, actor="t")
    with pytest.raises(NotFound):
        store.unlink("nobody", at=NOW, actor="t")
    with pytest.raises(NotFound):
        replace_key(store, account())
    assert store.audit_trail() == []


def test_the_overview_has_one_row_for_each_account(store: Store) -> None:
    """The row of the Accounts page carries what the page shows, and whether the secret is gone."""
    add(store, account(1))
    add(store, replace(account(2), tags=()))
    record(store, account(2), bad(Reason.KEY_NO_LONGER_ACCEPTED, NOW + timedelta(hours=1)))
    first, second = sorted(store.overview())
    assert (first.label, first.region, first.tags, first.status) == (
        account(1).label,
        "eu",
        ("a", "b, c"),
        Status.HEALTHY,
    )
    assert (first.server_version, first.latency_ms, first.certificate_ends) == ("2026.8.0", 41, FACTS.certificate_ends)
    assert (second.status, second.reason, second.tags) == (Status.FAILING, Reason.KEY_NO_LONGER_ACCEPTED, ())
    assert second.since == second.checked_at == NOW + timedelta(hours=1)
    assert second.key_proven_at == NOW
    assert not first.locked
    store.drop_secrets(at=NOW, actor="t")
    assert all(row.locked for row in store.overview())


def test_a_check_changes_standing_and_history_and_keeps_what_it_did_not_see(store: Store) -> None:
    """A refused key makes the account failing since then; facts of before stay."""
    made = account()
    add(store, made)
    later = NOW + timedelta(minutes=5)
    done = record(store, made, bad(Reason.KEY_NO_LONGER_ACCEPTED, later))
    kept = store.account(made.id)
    assert done
    assert (done.standing, done.due) == (kept.standing, kept.due)
    assert kept.standing == Standing(Status.FAILING, Reason.KEY_NO_LONGER_ACCEPTED, later, later, NOW, NOW)
    assert kept.facts == FACTS
    newest, oldest = store.past.noteworthy(made.id)
    assert (newest.status, newest.reason) == (Status.FAILING, Reason.KEY_NO_LONGER_ACCEPTED)
    assert newest.observations == bad(Reason.KEY_NO_LONGER_ACCEPTED).observations
    assert oldest.trigger is Trigger.LINK
    assert [(t.before, t.after) for t in store.past.transitions(made.id)] == [
        (Status.HEALTHY, Status.FAILING),
        (Status.UNKNOWN, Status.HEALTHY),
    ]


def test_a_check_of_an_older_generation_says_nothing(store: Store) -> None:
    """A check that began before the key was replaced is not recorded, whatever it found."""
    made = account()
    add(store, made)
    before = store.load(made.id).generation
    replace_key(store, made)
    assert record(store, made, bad(Reason.KEY_NO_LONGER_ACCEPTED), before) is None
    assert store.account(made.id).standing.status is Status.HEALTHY
    assert len(store.past.noteworthy(made.id)) == 2
    assert record(store, made, good(NOW + timedelta(hours=2)), store.load(made.id).generation) is not None


def test_a_check_of_an_unlinked_account_says_nothing(store: Store) -> None:
    """A check that ends after the account was unlinked leaves no row."""
    made = account()
    add(store, made)
    store.unlink(made.id, at=NOW, actor="t")
    assert record(store, made, good()) is None
    assert store.past.noteworthy(made.id) == []
    assert store.database.problems() == []


def test_two_checks_at_once_both_count(store: Store) -> None:
    """Each step is taken from the account as it is inside the transaction: no change of status is overwritten."""
    made = account()
    add(store, made)
    reasons = [Reason.KEY_NO_LONGER_ACCEPTED, Reason.SERVER_FAULT] * 4

    def work(number: int) -> None:
        record(store, made, bad(reasons[number], NOW + timedelta(seconds=number + 1)))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with store.database.read() as con:
        changes = con.execute("SELECT before, after FROM transition ORDER BY id").fetchall()
    assert [row["after"] for row in changes][:-1] == [row["before"] for row in changes][1:]
    assert changes[-1]["after"] == store.account(made.id).standing.status
    assert len(store.past.noteworthy(made.id)) == 9


def test_a_new_key_replaces_the_old_with_its_check(store: Store) -> None:
    """Relinking stores token, address, CA, time of entry, check, standing and audit entry together."""
    made = account()
    add(store, made)
    record(store, made, bad(Reason.KEY_NO_LONGER_ACCEPTED))
    replace_key(store, made, OWN)
    loaded = store.load(made.id)
    assert (loaded.sealed.token, loaded.sealed.origins) == ("resealed", "https://bw.example https://bw.example")
    assert (loaded.account.endpoints, loaded.account.ca_pem) == (OWN, "PEM")
    assert loaded.account.key_entered_at == NOW + timedelta(hours=1)
    assert loaded.account.standing.status is Status.HEALTHY
    assert loaded.generation == 1
    assert store.audit_trail()[0]["detail"] == {"identity": OWN.identity, "api": OWN.api}


def test_a_key_verified_for_an_older_generation_is_not_stored(store: Store) -> None:
    """Of two people who change key or server at once, the second is told, and undoes nothing."""
    made = account()
    add(store, made)
    replace_key(store, made)
    with pytest.raises(ChangedMeanwhile):
        replace_key(store, made, OWN)
    assert store.account(made.id).endpoints == EU


def test_the_time_of_entry_stays_when_no_secret_was_typed(store: Store) -> None:
    """Changing only the CA does not pretend that the key is new."""
    made = account()
    add(store, made)
    replace_key(store, made, entered=False)
    assert store.account(made.id).key_entered_at == NOW


def test_an_account_cannot_move_onto_another(store: Store) -> None:
    """An address at which the organization is linked already is refused, and nothing changes."""
    add(store, account(1))
    add(store, replace(account(2), client_id=account(1).client_id, endpoints=OWN))
    with pytest.raises(AlreadyLinked) as caught:
        replace_key(store, account(2), EU)
    assert caught.value.account_id == account(1).id
    assert store.load(account(2).id).sealed.token == "sealed"


def test_words_lifecycle_and_audit(store: Store) -> None:
    """Describing, pausing and resuming change what they say, and the audit trail tells who, newest first."""
    made = account()
    add(store, made)
    store.describe(made.id, label="New", tags=("x",), note="n", at=NOW, actor="ann")
    store.set_lifecycle(made.id, Lifecycle.PAUSED, why="moving", at=NOW, actor="bob")
    paused = store.account(made.id)
    assert (paused.label, paused.tags, paused.note) == ("New", ("x",), "n")
    assert (paused.lifecycle, paused.pause_reason) == (Lifecycle.PAUSED, "moving")
    store.set_lifecycle(made.id, Lifecycle.ACTIVE, why="", at=NOW, actor="bob")
    assert store.account(made.id).lifecycle is Lifecycle.ACTIVE
    assert [(e["actor"], e["action"]) for e in store.audit_trail()] == [
        ("bob", "resume"),
        ("bob", "pause"),
        ("ann", "describe"),
        ("test", "link"),
    ]


def test_unlinking_erases_secret_label_and_history_from_every_file(store: Store, tmp_path: Path) -> None:
    """After unlinking, neither the token nor the label nor a note is in any byte of the database's files."""
    marks = (
        "Label-to-erase",
        "note-to-erase",
        "tag-to-erase",
        "s1.token-to-erase",
        "evidence-to-erase",
        "window-to-erase",
    )
    made = account(1, label=marks[0], note=marks[1], tags=(marks[2],))
    add(store, account(2))
    add(store, made, token=marks[3])
    failed = Check(NOW, Trigger.MANUAL, (Observation(Stage.REACH, Outcome.FAIL, Reason.NO_ROUTE, 1, {"x": marks[4]}),))
    record(store, made, failed)
    replace_key(store, made)
    window = Once(NOW, NOW + timedelta(hours=1))
    MaintenanceTable(store.database).add(Scope.ACCOUNT, made.id, window, marks[5], at=NOW, actor="t")
    before = b"".join(file.read_bytes() for file in tmp_path.iterdir())
    assert marks[0].encode() in before
    assert marks[3].encode() not in before  # replaced by relinking
    store.unlink(made.id, at=NOW, actor="t")
    after = b"".join(file.read_bytes() for file in tmp_path.iterdir())
    assert [mark for mark in (*marks, "resealed") if mark.encode() in after] == []
    assert store.database.problems() == []
    assert [row.id for row in store.overview()] == [account(2).id]


def test_history_is_newest_first_and_limited(store: Store) -> None:
    """The page asks for so many checks and gets the newest."""
    made = account()
    add(store, made)
    for minute in range(5):
        record(store, made, bad(Reason.SERVER_FAULT, NOW + timedelta(minutes=minute)))
    assert [check.at.minute for check in store.past.noteworthy(made.id, limit=3)] == [4, 3, 2]


def test_words_of_another_version_are_read_without_breaking(store: Store) -> None:
    """A reason or status this program does not know reads as none and unknown."""
    made = account()
    add(store, made)
    with store.database.write() as con:
        con.execute("UPDATE account SET status = 'splendid', reason = 'because'")
    (row,) = store.overview()
    assert (row.status, row.reason) == (Status.UNKNOWN, None)
    assert store.account(made.id).standing.status is Status.UNKNOWN


@pytest.mark.parametrize(
    "text", ["", "a" * 10_000, "\N{RIGHT-TO-LEFT MARK}abc", "=1+1", "<b>'\"; --", "nul\0nul", "\U0001f9c1"]
)
def test_any_label_and_note_comes_back(store: Store, text: str) -> None:
    """Text is kept as it is; making it safe to show is not the store's."""
    add(store, account(label=text, note=text))
    kept = store.account(account().id)
    assert (kept.label, kept.note) == (text, text)


def test_the_budget_gives_so_many_tokens_a_minute(store: Store) -> None:
    """The limit holds in every window of sixty seconds; the wait is exact and then enough."""
    at = NOW
    for _ in range(8):
        assert store.budget.take(ORIGIN, at=at, limit=8) == 0
        at += timedelta(milliseconds=250)
    wait = store.budget.take(ORIGIN, at=at, limit=8)
    assert wait == 58_000
    assert store.budget.take(ORIGIN, at=at + timedelta(milliseconds=wait - 1), limit=8) == 1
    assert store.budget.take(ORIGIN, at=at + timedelta(milliseconds=wait), limit=8) == 0
    assert store.budget.take("https://other.example", at=at, limit=8) == 0


def test_token_requests_keep_a_distance(store: Store) -> None:
    """A burst stays below five a second."""
    assert store.budget.take(ORIGIN, at=NOW, limit=60) == 0
    assert store.budget.take(ORIGIN, at=NOW + timedelta(milliseconds=100), limit=60) == 150
    assert store.budget.take(ORIGIN, at=NOW + timedelta(milliseconds=250), limit=60) == 0


def test_a_server_that_said_wait_is_left_alone(store: Store) -> None:
    """Nothing is asked before the time it gave; a shorter wait does not shorten a longer one."""
    store.budget.hold(ORIGIN, NOW + timedelta(seconds=37))
    store.budget.hold(ORIGIN, NOW + timedelta(seconds=5))
    assert store.budget.take(ORIGIN, at=NOW, limit=8) == 37_000
    assert store.budget.take(ORIGIN, at=NOW + timedelta(seconds=37), limit=8) == 0


def test_a_clock_that_was_set_back_does_not_block_for_ever(store: Store) -> None:
    """Rows and holds of the future are no reason to wait."""
    tomorrow = NOW + timedelta(days=1)
    for second in range(8):
        store.budget.take(ORIGIN, at=tomorrow + timedelta(seconds=second), limit=8)
    store.budget.hold(ORIGIN, tomorrow)
    assert store.budget.take(ORIGIN, at=NOW, limit=8) == 0


def test_the_first_data_key_is_stored_once(store: Store) -> None:
    """Of two processes that start at once, the second one's data key is not stored."""
    first, second = (KeyringRow(name, "kek", b"x", "active", "now") for name in ("first", "second"))
    store.first_key(lambda: first)
    store.first_key(lambda: second)
    assert store.ring() == (first,)


def test_dropping_secrets_keeps_accounts_and_history(store: Store, tmp_path: Path) -> None:
    """After a lost key every token and data key is gone from every file; accounts and checks stay."""
    add(store, account(1), token="s1.token-to-erase")
    store.first_key(lambda: KeyringRow("dek", "kek", b"wrapped-to-erase", "active", "now"))
    assert store.drop_secrets(at=NOW, actor="t") == 1
    everything = b"".join(file.read_bytes() for file in tmp_path.iterdir())
    assert b"to-erase" not in everything
    assert store.ring() == ()
    assert len(store.past.noteworthy(account(1).id)) == 1
    assert store.load(account(1).id).sealed.token is None
