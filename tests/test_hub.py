"""The use cases, against a real sandbox over TLS."""

from __future__ import annotations

import os
import threading
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from hub_core.drafts import Form
from hub_core.errors import (
    AlreadyLinked,
    HubError,
    InputError,
    InvalidForm,
    NotFound,
    Paused,
    SandboxUnavailable,
    SealError,
    StorageError,
    VerifyFailed,
    WrongOrganization,
)
from hub_core.health.examiner import Progress
from hub_core.hub import Hub
from hub_core.model import (
    ApiKey,
    Capability,
    Check,
    Lifecycle,
    Observation,
    Outcome,
    Reason,
    RegionId,
    Secret,
    ServerKind,
    Stage,
    Status,
    Trigger,
)
from hub_core.sandbox import Fault, ServerName
from hub_core.settings import Settings
from tests.linked import Hands, form, installation, link, opened, organization, reset, sandbox_without_limits

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from hub_core.sandbox import RunningSandbox

MEADOW = "6a2f1c84-3b5d-4e7a-9c10-b1f5a0d2e801"


@pytest.fixture(scope="module")
def served() -> Iterator[RunningSandbox]:
    with sandbox_without_limits() as running:
        yield running


@pytest.fixture
def running(served: RunningSandbox) -> Iterator[RunningSandbox]:
    yield served
    reset(served)


@pytest.fixture
def hands() -> Hands:
    return Hands()


@pytest.fixture
def hub(tmp_path: Path, running: RunningSandbox, hands: Hands) -> Iterator[Hub]:
    with opened(installation(tmp_path, running), hands.clock) as made:
        yield made


def reason_of(check: Check) -> Reason | None:
    return check.failure.reason if check.failure else None


def asked(running: RunningSandbox) -> int:
    """How many tokens the sandbox has given."""
    return running.sandbox._tokens


# ---- linking


@pytest.mark.parametrize(
    ("word", "expected", "kind"),
    [
        ("Meadow", Status.HEALTHY, ServerKind.OFFICIAL),
        ("Harbor", Status.HEALTHY, ServerKind.OFFICIAL),
        ("Alpine", Status.HEALTHY, ServerKind.OFFICIAL),
        ("Orchard", Status.HEALTHY, ServerKind.OFFICIAL),
        ("Cedar", Status.LIMITED, ServerKind.VAULTWARDEN),
    ],
)
def test_each_working_organization_of_the_sandbox_links(
    hub: Hub, running: RunningSandbox, word: str, expected: Status, kind: ServerKind
) -> None:
    """Every healthy organization ends on the Accounts page with its status, and Vaultwarden as limited."""
    linked = link(hub, organization(running, word))
    assert linked.account.standing.status is expected
    assert linked.account.facts.server_kind is kind
    assert [o.stage for o in linked.check.observations if o.outcome is not Outcome.WARN][:3] == [
        Stage.FORMAT,
        Stage.REACH,
        Stage.TLS,
    ]
    (row,) = hub.accounts()
    assert (row.id, row.status, row.locked) == (linked.account.id, expected, False)
    assert hub.store.audit_trail()[0]["action"] == "link"
    assert [(t.before, t.after) for t in hub.transitions(row.id)] == [(Status.UNKNOWN, expected)]


@pytest.mark.parametrize("word", ["Lapsed", "Garden"])
def test_a_disabled_organization_and_one_without_api_are_refused(hub: Hub, running: RunningSandbox, word: str) -> None:
    """The right key of an organization that may not use it is refused like a wrong one, and nothing is stored."""
    with pytest.raises(VerifyFailed) as caught:
        link(hub, organization(running, word))
    assert reason_of(caught.value.check) is Reason.KEY_NEVER_ACCEPTED
    assert hub.accounts() == []
    assert hub.store.audit_trail() == []


def test_a_key_of_the_other_cloud_is_refused_and_the_other_cloud_offered(hub: Hub, running: RunningSandbox) -> None:
    """An EU key at US is refused; the hub offers EU, and there the same draft links."""
    alpine = organization(running, "Alpine")
    draft = hub.read_form(form(alpine), sandbox_server="us")
    with pytest.raises(VerifyFailed) as caught:
        hub.link(draft, actor="test")
    assert reason_of(caught.value.check) is Reason.KEY_NEVER_ACCEPTED
    offered = hub.other_cloud(draft.endpoints)
    assert offered is not None
    assert offered[0].id is RegionId.EU
    assert offered[1] == hub.sandbox.endpoints(ServerName.EU)
    linked = hub.link(replace(draft, endpoints=offered[1]), actor="test")
    assert linked.account.standing.status is Status.HEALTHY
    assert hub.other_cloud(hub.sandbox.endpoints(ServerName.VAULTWARDEN)) is None


def test_a_personal_key_is_recognized_before_anything_is_sent(hub: Hub, running: RunningSandbox) -> None:
    """A person's key fails at the form."""
    with pytest.raises(InvalidForm) as caught:
        hub.read_form(form(organization(running, "Robin")))
    assert [error.reason for error in caught.value.errors] == [Reason.PERSONAL_KEY]


def test_a_self_hosted_server_is_linked_by_its_address(tmp_path: Path, running: RunningSandbox) -> None:
    """One typed address, a private CA and a listed loopback target are enough."""
    orchard = organization(running, "Orchard")
    origin = running.origin.removeprefix("https://")
    settings = installation(tmp_path, running, outbound_loopback=(origin,))
    typed = replace(form(orchard), region=RegionId.SELF_HOSTED, server=f"{running.origin}/selfhost/", ca=running.ca_pem)
    with opened(settings) as hub:
        linked = hub.link(hub.read_form(typed), actor="test")
        assert linked.account.endpoints.api == f"{running.origin}/selfhost/api"
        assert linked.account.standing.status is Status.HEALTHY
        assert hub.other_cloud(linked.account.endpoints) is None
        assert hub.check(linked.account.id).failure is None


def test_the_same_organization_is_linked_once(hub: Hub, running: RunningSandbox) -> None:
    """A second link of the same organization is refused before anything is sent, with who has it."""
    first = link(hub, organization(running, "Harbor"))
    before = asked(running)
    with pytest.raises(AlreadyLinked) as caught:
        link(hub, organization(running, "Harbor"), label="Again")
    assert (caught.value.account_id, caught.value.label) == (first.account.id, "Harbor Clinic")
    assert asked(running) == before
    assert len(hub.accounts()) == 1


def test_two_hubs_linking_the_same_organization_at_once(tmp_path: Path, running: RunningSandbox) -> None:
    """Two people in two processes: both verify, exactly one links, the other is told who did."""
    settings = installation(tmp_path, running)
    verified = threading.Barrier(2)
    outcomes: list[str] = []

    def work(hub: Hub) -> None:
        def watch(event: object) -> None:
            if isinstance(event, Observation) and event.stage is Stage.IDENTITY:
                verified.wait(20)

        draft = hub.read_form(form(organization(running, "Harbor")))
        try:
            outcomes.append(hub.link(draft, actor="test", watch=watch).account.id)
        except AlreadyLinked as error:
            outcomes.append(error.account_id)

    with opened(settings) as one, opened(settings) as two:
        people = [threading.Thread(target=work, args=(hub,)) for hub in (one, two)]
        for person in people:
            person.start()
        for person in people:
            person.join(30)
        (row,) = one.accounts()
        assert outcomes == [row.id, row.id]
        assert len(one.past.noteworthy(row.id)) == 1


def test_stages_are_told_while_they_run(hub: Hub, running: RunningSandbox) -> None:
    """The watcher gets each stage before its observation, in the order they run."""
    seen: list[object] = []
    hub.link(hub.read_form(form(organization(running, "Harbor"))), actor="test", watch=seen.append)
    assert [event for event in seen if isinstance(event, Stage)] == list(Stage)
    assert seen.index(Stage.READ) < next(
        n for n, e in enumerate(seen) if isinstance(e, Observation) and e.stage is Stage.READ
    )


def test_leaving_the_page_while_linking_stores_nothing(hub: Hub, running: RunningSandbox) -> None:
    """An exception of the page's display cancels the verification."""

    def watch(event: object) -> None:
        if event is Stage.TOKEN:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        hub.link(hub.read_form(form(organization(running, "Harbor"))), actor="test", watch=watch)
    assert hub.accounts() == []


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (Fault.HTML, Reason.WEB_PAGE),
        (Fault.RESET, Reason.ANSWER_LOST),
        (Fault.RATE_LIMITED, Reason.RATE_LIMITED),
        (Fault.MISSING_KEY_ROW, Reason.TOKEN_FAULT),
        (Fault.FORBIDDEN, Reason.READ_FORBIDDEN),
    ],
)
def test_nothing_is_stored_when_a_stage_fails(hub: Hub, running: RunningSandbox, fault: Fault, reason: Reason) -> None:
    """Whatever stops the verification is the exception's check; accounts and audit stay empty."""
    running.sandbox.faults.set(ServerName.US, fault)
    with pytest.raises(VerifyFailed) as caught:
        link(hub, organization(running, "Meadow"))
    assert reason_of(caught.value.check) is reason
    assert hub.accounts() == []


def test_an_unreadable_first_list_refuses_the_link(hub: Hub, running: RunningSandbox) -> None:
    """An accepted key whose every read ends in a server fault is not linked; the check tells that it was accepted."""
    running.sandbox.faults.set(organization(running, "Meadow").client_id, Fault.API_500)
    with pytest.raises(VerifyFailed) as caught:
        link(hub, organization(running, "Meadow"))
    assert reason_of(caught.value.check) is Reason.READ_FAULT
    assert caught.value.check.key_proven
    assert hub.accounts() == []


def test_what_is_stored_is_what_was_read(hub: Hub, running: RunningSandbox) -> None:
    """Members, counts, capabilities, certificate and addresses of the first check are the account's facts."""
    facts = link(hub, organization(running, "Meadow"), tags="a, b", note="n").account.facts
    assert facts.members is not None
    assert sum(facts.members.values()) == 240
    assert facts.capabilities["/public/members"] is Capability.READABLE
    assert facts.addresses == ("127.0.0.1",)
    assert facts.certificate_ends is not None
    assert facts.tls_version == "TLS 1.3"


# ---- checking


def test_a_rotated_key_is_told_from_one_that_never_worked(hub: Hub, running: RunningSandbox, hands: Hands) -> None:
    """After rotation at Bitwarden the account fails as “no longer accepted”, with a transition; relinking heals it."""
    meadow = organization(running, "Meadow")
    account_id = link(hub, meadow).account.id
    fresh = running.sandbox.rotate(meadow.client_id)
    hands.forward(seconds=20)
    check = hub.check(account_id)
    assert reason_of(check) is Reason.KEY_NO_LONGER_ACCEPTED
    standing = hub.account(account_id).standing
    assert (standing.status, standing.reason) == (Status.FAILING, Reason.KEY_NO_LONGER_ACCEPTED)
    assert standing.key_proven_at is not None
    assert standing.key_proven_at < check.at
    assert hub.transitions(account_id)[0].after is Status.FAILING
    hands.forward(seconds=20)
    hub.relink(account_id, hub.read_new_key(account_id, f' "{fresh}" '), actor="test")
    healed = hub.account(account_id)
    assert healed.standing.status is Status.HEALTHY
    assert healed.key_entered_at > healed.linked_at
    assert [t.after for t in hub.transitions(account_id)] == [Status.HEALTHY, Status.FAILING, Status.HEALTHY]
    assert [entry["action"] for entry in hub.store.audit_trail()] == ["relink", "link"]
    assert hub.check(account_id).failure is None


def test_a_check_of_nothing_is_not_found(hub: Hub) -> None:
    """Checking an account that was unlinked says so."""
    with pytest.raises(NotFound):
        hub.check("nobody")


@pytest.mark.parametrize("column", ["identity", "api", "client_id"])
def test_a_row_changed_behind_our_back_is_locked_and_its_secret_never_sent(
    hub: Hub, running: RunningSandbox, column: str
) -> None:
    """Whoever changes an address or the organization in the database gets neither the secret nor a token."""
    account_id = link(hub, organization(running, "Meadow")).account.id
    with hub.store.database.write() as con:
        con.execute(f"UPDATE account SET {column} = ?", (f"{running.origin[:-1]}x",))  # noqa: S608 - names above
    before = asked(running)
    check = hub.check(account_id)
    assert reason_of(check) is Reason.SECRET_LOCKED
    assert hub.account(account_id).standing.status is Status.FAILING
    assert asked(running) == before


def test_a_check_during_unlinking_leaves_nothing(hub: Hub, running: RunningSandbox) -> None:
    """An account that is unlinked while its check runs is gone, its check with it."""
    account_id = link(hub, organization(running, "Harbor")).account.id

    def watch(event: object) -> None:
        if event is Stage.READ:
            hub.unlink(account_id, "Harbor Clinic", actor="test")

    assert hub.check(account_id, watch=watch).failure is None
    assert hub.accounts() == []
    assert hub.past.noteworthy(account_id) == []
    assert hub.store.database.problems() == []


def test_a_check_during_relinking_does_not_overwrite_it(hub: Hub, running: RunningSandbox, hands: Hands) -> None:
    """However a check of the old key and the relinking with the new one meet, the new key's verdict stands."""
    harbor = organization(running, "Harbor")
    account_id = link(hub, harbor).account.id
    fresh = running.sandbox.rotate(harbor.client_id)
    hands.forward(seconds=20)
    relinked: list[Check] = []

    def watch(event: object) -> None:
        if isinstance(event, Observation) and event.outcome is Outcome.FAIL:
            key = hub.read_new_key(account_id, fresh)
            relinked.append(hub.relink(account_id, key, actor="test"))

    assert reason_of(hub.check(account_id, watch=watch)) is Reason.KEY_NO_LONGER_ACCEPTED
    assert len(relinked) == 1
    assert hub.account(account_id).standing.status is Status.HEALTHY
    assert hub.past.noteworthy(account_id)[0].trigger is Trigger.RELINK


def test_an_exhausted_budget_waits_for_nobody_and_blames_nobody(tmp_path: Path, running: RunningSandbox) -> None:
    """A single check says that the budget is spent; the status stays what it was."""
    settings = installation(tmp_path, running, token_limit=1)
    with opened(settings) as hub:
        account_id = link(hub, organization(running, "Harbor")).account.id
        check = hub.check(account_id)
        assert reason_of(check) is Reason.BUDGET_SPENT
        assert check.retry_after is not None
        assert 50 < check.retry_after <= 60
        assert hub.account(account_id).standing.status is Status.HEALTHY


# ---- checking many


def five(hub: Hub, running: RunningSandbox) -> dict[str, str]:
    return {
        word: link(hub, organization(running, word)).account.id for word in ("Meadow", "Alpine", "Orchard", "Cedar")
    }


def test_checking_many_tells_progress_and_records_all(hub: Hub, running: RunningSandbox) -> None:
    """Each finished account is one step with its label and new status; all of them are in the history."""
    ids = five(hub, running)
    running.sandbox.faults.set(organization(running, "Alpine").client_id, Fault.DISABLE)
    steps = [step for step in hub.check_many(list(ids.values())) if step is not None and step.waiting is None]
    assert [step.done for step in steps] == list(range(5))
    assert {step.total for step in steps} == {4}
    assert {step.label: step.status for step in steps[1:]} == {
        "Meadow Bakery": Status.HEALTHY,
        "Alpine Logistics": Status.FAILING,
        "Orchard School": Status.HEALTHY,
        "Cedar Makerspace": Status.LIMITED,
    }
    assert [len(hub.past.noteworthy(account_id)) for account_id in ids.values()] == [2, 2, 2, 2]


def test_checking_many_leaves_out_paused_and_unlinked_ones(hub: Hub, running: RunningSandbox) -> None:
    """Nothing is asked of the server of a paused account; an id that is gone is no error."""
    ids = five(hub, running)
    hub.pause(ids["Meadow"], "moving", actor="test")
    steps = [step for step in hub.check_many([*ids.values(), "gone", ids["Cedar"]]) if step]
    assert steps[-1] == Progress(3, 3, steps[-1].label, steps[-1].status)
    assert len(hub.past.noteworthy(ids["Meadow"])) == 1


def test_checking_none_ends_at_once(hub: Hub) -> None:
    """An empty selection is one step of nothing."""
    assert [step for step in hub.check_many([]) if step] == [Progress(0, 0)]


def test_one_account_in_trouble_does_not_stop_the_others(settings: Settings) -> None:
    """With the sandbox gone and one secret unreadable, each account gets its own reason and nobody is left out."""
    settings = replace(settings, token_limit=60)
    with opened(settings) as hub:
        hub.sandbox.wake()
        chosen = {o.name.split()[0]: o for o in hub.sandbox.organizations()}
        ids = {word: link(hub, chosen[word]).account.id for word in ("Harbor", "Alpine", "Cedar")}
        with hub.store.database.write() as con:
            con.execute("UPDATE account SET sealed = 'rubbish' WHERE id = ?", (ids["Cedar"],))
    off = replace(settings, sandbox=False, outbound_loopback=(f"127.0.0.1:{settings.sandbox_port}",))
    with opened(off) as hub:
        steps = [step for step in hub.check_many(list(ids.values())) if step]
        assert steps[-1].done == 3
        found = {word: hub.past.noteworthy(account_id)[0].reason for word, account_id in ids.items()}
    assert found == {
        "Harbor": Reason.CONNECTION_REFUSED,
        "Alpine": Reason.CONNECTION_REFUSED,
        "Cedar": Reason.SECRET_LOCKED,
    }


def test_an_account_unlinked_meanwhile_is_a_step_without_status(hub: Hub, running: RunningSandbox) -> None:
    """Somebody unlinks an account that waits in the group: the group goes on."""
    ids = five(hub, running)
    steps = []
    with closing(hub.check_many(list(ids.values()))) as group:
        for step in group:
            if step and step.done == 0 and step.waiting is None:
                hub.unlink(ids["Cedar"], "Cedar Makerspace", actor="test")
            if step:
                steps.append(step)
    assert steps[-1].done == 4
    assert {step.label: step.status for step in steps if step.label}["Cedar Makerspace"] in {None, Status.LIMITED}
    assert len(hub.accounts()) == 3


def test_stopping_keeps_what_was_checked_and_ends_the_rest(hub: Hub, running: RunningSandbox) -> None:
    """Closing the generator after the first account: that one is recorded, and nothing runs on."""
    ids = five(hub, running)
    running.sandbox.faults.set(organization(running, "Alpine").client_id, Fault.SLOW, seconds=60, at="/public")
    group = hub.check_many(list(ids.values()))
    checked = next(step.label for step in group if step and step.label)
    group.close()
    given = asked(running)
    histories = {hub.account(account_id).label: len(hub.past.noteworthy(account_id)) for account_id in ids.values()}
    assert histories[str(checked)] == 2
    assert histories["Alpine Logistics"] == 1
    assert hub.check(ids["Cedar"]).failure is None
    assert asked(running) == given + 1
    assert len(hub.past.noteworthy(ids["Alpine"])) == 1


def test_many_are_paced_by_the_budget_of_the_server(tmp_path: Path, running: RunningSandbox) -> None:
    """When the minute's token requests are used up the group waits, says so, and can be stopped."""
    settings = installation(tmp_path, running, token_limit=4)
    with opened(settings) as hub:
        ids = five(hub, running)
        group = hub.check_many(list(ids.values()))
        waiting = next(step.waiting for step in group if step and step.waiting)
        group.close()
        assert 50 < waiting <= 60
        assert [len(hub.past.noteworthy(account_id)) for account_id in ids.values()] == [1, 1, 1, 1]


def test_a_full_disk_ends_the_group_with_its_sentence(hub: Hub, running: RunningSandbox) -> None:
    """When nothing can be recorded the group stops as a StorageError, not as a group of exceptions."""
    ids = five(hub, running)
    with hub.store.database.write() as con:
        con.execute("PRAGMA query_only = ON")
    with pytest.raises(StorageError, match="may only be read"):
        list(hub.check_many(list(ids.values())))


def test_closing_the_hub_ends_a_group_with_a_sentence(tmp_path: Path, running: RunningSandbox) -> None:
    """Whoever waits for a group while the hub closes is told, and what was recorded is whole."""
    hub = Hub.open(installation(tmp_path, running))
    ids = five(hub, running)
    group = hub.check_many(list(ids.values()))
    next(group)
    hub.close()
    with pytest.raises(HubError, match="closed"):
        list(group)


# ---- changing


def test_a_key_of_another_organization_is_refused_before_anything_is_sent(hub: Hub, running: RunningSandbox) -> None:
    """Relinking with somebody else's key is a mix-up: nothing is sent, nothing changes."""
    account_id = link(hub, organization(running, "Harbor")).account.id
    meadow = organization(running, "Meadow")
    before, entered = asked(running), hub.account(account_id).key_entered_at
    block = f"client_id: {meadow.client_id}\nclient_secret: {meadow.secret}"
    with pytest.raises(WrongOrganization) as caught:
        hub.relink(account_id, hub.read_new_key(account_id, block), actor="test")
    assert caught.value.got == MEADOW
    assert asked(running) == before
    assert hub.account(account_id).key_entered_at == entered


def test_a_paused_account_is_not_checked(hub: Hub, running: RunningSandbox) -> None:
    """While a person has stopped the checks, a check is refused with a sentence and nothing is sent."""
    account_id = link(hub, organization(running, "Harbor")).account.id
    hub.pause(account_id, "moves", actor="test")
    before = asked(running)
    with pytest.raises(Paused, match="Resume them first"):
        hub.check(account_id)
    assert asked(running) == before
    hub.resume(account_id, actor="test")
    assert hub.check(account_id).failure is None


def test_a_refused_new_key_keeps_the_old_one(hub: Hub, running: RunningSandbox) -> None:
    """Relinking with a wrong secret stores nothing; the old secret goes on working."""
    account_id = link(hub, organization(running, "Harbor")).account.id
    with pytest.raises(VerifyFailed) as caught:
        hub.relink(account_id, hub.read_new_key(account_id, "x" * 30), actor="test")
    assert reason_of(caught.value.check) is Reason.KEY_NEVER_ACCEPTED
    assert len(hub.past.noteworthy(account_id)) == 1
    assert hub.check(account_id).failure is None


def test_a_new_key_is_read_as_typed_and_refused_as_typed(hub: Hub, running: RunningSandbox) -> None:
    """A missing secret is a correctable field; an unknown account is not found."""
    account_id = link(hub, organization(running, "Harbor")).account.id
    with pytest.raises(InputError) as caught:
        hub.read_new_key(account_id, "  ")
    assert caught.value.reason is Reason.SECRET_MISSING
    with pytest.raises(NotFound):
        hub.read_new_key("nobody", "x" * 30)


@pytest.fixture
def own(tmp_path: Path, running: RunningSandbox, hands: Hands) -> Iterator[Hub]:
    """A hub that may contact the sandbox as if it were a self-hosted server."""
    settings = installation(tmp_path, running, outbound_loopback=(running.origin.removeprefix("https://"),))
    with opened(settings, hands.clock) as made:
        yield made


def own_form(running: RunningSandbox, path: str, **changes: str) -> Form:
    base = f"{running.origin}/{path}"
    filled = replace(
        form(organization(running, "Orchard"), secret=""),
        region=RegionId.SELF_HOSTED,
        api=f"{base}/api",
        identity=f"{base}/identity",
        ca=running.ca_pem,
    )
    return replace(filled, **changes)  # type: ignore[arg-type]  # fields of text


def link_own(hub: Hub, running: RunningSandbox) -> str:
    secret = organization(running, "Orchard").secret
    draft = hub.read_form(own_form(running, "selfhost", secret=secret))
    return hub.link(draft, actor="test").account.id


def test_another_address_asks_for_the_secret_again(own: Hub, running: RunningSandbox) -> None:
    """A stored secret is never sent to an address it was not given for."""
    account_id = link_own(own, running)
    before = asked(running)
    for changed in (
        own_form(running, "elsewhere"),
        own_form(running, "selfhost", identity="https://evil.example/identity", api="https://evil.example/api"),
    ):
        with pytest.raises(InputError) as caught:
            own.edit_server(account_id, changed, actor="test")
        assert (caught.value.field, caught.value.reason) == ("secret", Reason.SECRET_MISSING)
    assert asked(running) == before


def test_moving_to_another_server_with_the_secret_seals_it_for_there(own: Hub, running: RunningSandbox) -> None:
    """With the secret typed again and proved there, address and seal move together; facts of the old server go."""
    orchard = organization(running, "Orchard")
    account_id = link_own(own, running)
    named = own_form(running, "selfhost", secret=orchard.secret, api=f"{running.origin}/selfhost/api/")
    own.edit_server(account_id, named, actor="test")
    elsewhere = own_form(running, "eu", secret=orchard.secret)
    with pytest.raises(VerifyFailed) as caught:
        own.edit_server(account_id, elsewhere, actor="test")
    assert reason_of(caught.value.check) is Reason.KEY_NEVER_ACCEPTED
    assert own.account(account_id).endpoints.api == f"{running.origin}/selfhost/api"
    assert own.check(account_id).failure is None


def test_changing_only_the_ca_needs_no_secret_and_keeps_its_age(
    own: Hub, running: RunningSandbox, hands: Hands
) -> None:
    """The same address with another CA uses the stored secret, and a CA that does not fit changes nothing."""
    account_id = link_own(own, running)
    entered = own.account(account_id).key_entered_at
    hands.forward(seconds=20)
    own.edit_server(account_id, own_form(running, "selfhost"), actor="test")
    assert own.account(account_id).key_entered_at == entered
    with pytest.raises(VerifyFailed) as caught:
        own.edit_server(account_id, own_form(running, "selfhost", ca=""), actor="test")
    assert reason_of(caught.value.check) in {Reason.CERTIFICATE_UNKNOWN_ISSUER, Reason.CERTIFICATE_SELF_SIGNED}
    assert own.account(account_id).ca_pem == running.ca_pem.strip() + "\n"
    assert [entry["action"] for entry in own.store.audit_trail()] == ["edit", "link"]


def test_editing_an_unreadable_secret_is_a_sentence(own: Hub, running: RunningSandbox) -> None:
    """When the stored secret was dropped, editing without typing it says to relink."""
    account_id = link_own(own, running)
    own.store.drop_secrets(at=own.clock.now(), actor="test")
    with pytest.raises(SealError, match="relink"):
        own.edit_server(account_id, own_form(running, "selfhost"), actor="test")


def test_an_address_of_another_organization_is_refused(own: Hub, running: RunningSandbox) -> None:
    """A pasted web-vault address of another organization does not become this account's."""
    account_id = link_own(own, running)
    page = f"{running.origin}/selfhost/#/organizations/{MEADOW}/settings/account"
    wrong = own_form(running, "selfhost", api="", identity="", server=page)
    with pytest.raises(InputError) as caught:
        own.edit_server(account_id, wrong, actor="test")
    assert caught.value.reason is Reason.ADDRESS_OTHER_ORGANIZATION


def test_describing_cleans_what_people_write(hub: Hub, running: RunningSandbox) -> None:
    """Label, tags and note are stored as the form reads them; an empty label is refused."""
    account_id = link(hub, organization(running, "Harbor")).account.id
    hub.describe(account_id, label=" New\n name ", tags="x, y, x", note="one\ntwo\ud800", actor="test")
    account = hub.account(account_id)
    assert (account.label, account.tags, account.note) == ("New name", ("x", "y"), "one\ntwo")
    with pytest.raises(InputError):
        hub.describe(account_id, label=" ", tags="", note="", actor="test")


def test_pausing_and_resuming(hub: Hub, running: RunningSandbox) -> None:
    """A paused account keeps its reason until it is resumed, and is never stale."""
    account_id = link(hub, organization(running, "Harbor")).account.id
    hub.pause(account_id, "  moving\noffices\udcff ", actor="test")
    paused = hub.account(account_id)
    assert (paused.lifecycle, paused.pause_reason) == (Lifecycle.PAUSED, "moving offices")
    hub.resume(account_id, actor="test")
    assert (hub.account(account_id).lifecycle, hub.account(account_id).pause_reason) == (Lifecycle.ACTIVE, "")


def test_a_status_becomes_stale_with_time(hub: Hub, running: RunningSandbox, hands: Hands) -> None:
    """After twice the interval without a check the status is no longer believed; a paused one is never stale."""
    account = link(hub, organization(running, "Harbor")).account
    assert not hub.watching.stale(account)
    hands.forward(minutes=2 * hub.settings.interval_minutes + 1)
    assert hub.watching.stale(account)
    assert not hub.watching.stale(replace(account, lifecycle=Lifecycle.PAUSED))


def test_unlinking_needs_the_label(hub: Hub, running: RunningSandbox) -> None:
    """The typed label must be the account's, blanks aside; then account and history are gone."""
    account_id = link(hub, organization(running, "Harbor"), label="Harbor  Cafe\u0301").account.id
    for typed in ("", "harbor café", "Harbor"):
        with pytest.raises(InputError):
            hub.unlink(account_id, typed, actor="test")
    gone = hub.unlink(account_id, "  Harbor\u00a0Café\u200b ", actor="test")
    assert gone.label == "Harbor Café"
    with pytest.raises(NotFound):
        hub.account(account_id)
    with pytest.raises(NotFound):
        hub.unlink(account_id, "Harbor Café", actor="test")
    assert [entry["action"] for entry in hub.store.audit_trail()] == ["unlink", "link"]
    assert link(hub, organization(running, "Harbor")).account.id != account_id


# ---- tickets


def test_a_ticket_is_taken_once(hub: Hub, running: RunningSandbox) -> None:
    """What was held comes back once; a second time, or by an invented ticket, there is nothing."""
    draft = hub.read_form(form(organization(running, "Harbor")))
    ticket = hub.hold(draft)
    assert hub.take(ticket) is draft
    assert hub.take(ticket) is None
    assert hub.take("") is None


def test_a_ticket_lasts_five_minutes(hub: Hub, running: RunningSandbox, hands: Hands) -> None:
    """What nobody took within five minutes is gone, from memory too once something else is held."""
    filled = form(organization(running, "Harbor"))
    first, second = hub.hold(filled), hub.hold(filled)
    hands.forward(minutes=4, seconds=59)
    assert hub.take(first) is filled
    hands.forward(seconds=2)
    hub.hold(filled)
    assert len(hub._held._kept) == 1
    assert hub.take(second) is None


def test_two_clicks_on_one_ticket(hub: Hub, running: RunningSandbox) -> None:
    """Of many threads that take the same ticket exactly one gets what it holds."""
    ticket = hub.hold(form(organization(running, "Harbor")))
    taken: list[object] = []
    threads = [threading.Thread(target=lambda: taken.append(hub.take(ticket))) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(thing is not None for thing in taken) == 1


# ---- the installation


def test_the_sandbox_of_a_shared_hub_does_not_exist(tmp_path: Path) -> None:
    """Once others can reach the dashboard, the region Sandbox is refused with a sentence."""
    settings = Settings(data=tmp_path / "d", config=tmp_path / "c", address="192.0.2.1", allow_open=True, hosts=("h",))
    with opened(settings) as hub:
        assert not hub.sandbox.offered
        assert hub.sandbox.clouds() == []
        with pytest.raises(SandboxUnavailable, match="switched off"):
            hub.read_form(Form(region=RegionId.SANDBOX))


def test_a_taken_sandbox_port_is_a_sentence(tmp_path: Path, running: RunningSandbox) -> None:
    """Another program on the sandbox's port is named, with the setting that changes it."""
    port = int(running.origin.rpartition(":")[2])
    settings = Settings(data=tmp_path / "d", config=tmp_path / "c", sandbox_port=port)
    with opened(settings) as hub, pytest.raises(SandboxUnavailable, match="LINKHUB_SANDBOX_PORT"):
        hub.sandbox.wake()


def test_the_sandbox_starts_when_it_is_wanted_and_ends_with_the_hub(
    settings: Settings, running: RunningSandbox
) -> None:
    """Linking a sandbox organization in a fresh installation needs nothing but the form."""
    before = sandboxes()
    with opened(settings) as hub:
        assert hub.sandbox.state is None
        harbor = next(o for o in hub.sandbox.organizations() if o.name == "Harbor Clinic")
        assert link(hub, harbor).account.standing.status is Status.HEALTHY
        assert hub.sandbox.state is not None
        assert sandboxes() == before + 1
    assert sandboxes() == before


def sandboxes() -> int:
    """Return how many sandboxes this process serves, those of other tests among them."""
    return sum(thread.name == "sandbox" for thread in threading.enumerate())


def test_a_fresh_hub_is_ready_and_a_broken_one_is_not(tmp_path: Path, running: RunningSandbox) -> None:
    """`ready` answers while the database does."""
    with opened(installation(tmp_path, running)) as hub:
        assert hub.ready()
        hub.settings.database.unlink()
        with pytest.raises(StorageError, match="not there"):
            hub.ready()


def test_closing_twice_ends_every_thread_and_file(tmp_path: Path, running: RunningSandbox) -> None:
    """After closing, no thread of the hub and no open file is left; using it is a sentence."""
    files = set(os.listdir("/proc/self/fd"))  # noqa: PTH208 - names of open files, not paths
    hub = Hub.open(installation(tmp_path, running))
    account_id = link(hub, organization(running, "Harbor")).account.id
    hub.close()
    hub.close()
    assert "link-hub" not in {thread.name for thread in threading.enumerate()}
    with pytest.raises(HubError, match="closed"):
        hub.check(account_id)
    with pytest.raises(StorageError, match="closed"):
        hub.pause(account_id, "", actor="test")
    assert len(set(os.listdir("/proc/self/fd")) - files) <= 1  # noqa: PTH208 - as above; the sandbox's own end


def test_a_wrong_secret_in_a_key_never_shows(hub: Hub, running: RunningSandbox) -> None:
    """The exception of a refused key names the reason, not the key."""
    harbor = organization(running, "Harbor")
    key = ApiKey(harbor.client_id, Secret("y" * 30))
    account_id = link(hub, harbor).account.id
    with pytest.raises(VerifyFailed) as caught:
        hub.relink(account_id, key, actor="test")
    assert "y" * 30 not in f"{caught.value!r}{caught.value}{caught.value.check!r}{key!r}"


def test_ten_thousand_accounts_are_listed_by_one_query(hub: Hub, running: RunningSandbox) -> None:
    """The list of a very large installation is complete and does not open a secret or read facts."""
    account_id = link(hub, organization(running, "Meadow")).account.id
    with hub.store.database.write() as con:
        names = [row["name"] for row in con.execute("PRAGMA table_info(account)")]
        others = ", ".join(name for name in names if name not in {"id", "no", "client_id", "facts", "sealed"})
        con.execute(
            f"INSERT INTO account(id, no, client_id, facts, sealed, {others}) "  # noqa: S608 - column names of our own
            f"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 9999) "
            f"SELECT 'id' || i, i + 1, 'organization.' || i, 'not read', 'not opened', {others} FROM account, n "
            "WHERE id = ?",
            (account_id,),
        )
        con.execute("INSERT INTO schedule(account_id) SELECT id FROM account WHERE id <> ?", (account_id,))
    rows = hub.accounts()
    assert len(rows) == 10_000
    assert {row.status for row in rows} == {Status.HEALTHY}
