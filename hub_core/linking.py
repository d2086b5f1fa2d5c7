"""Links, relinks and edits accounts: every key is verified with a fresh token before anything is stored."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING
from uuid import uuid4

from hub_core import drafts
from hub_core.bitwarden.credentials import clean, parse_key
from hub_core.errors import AlreadyLinked, InputError, VerifyFailed, WrongOrganization
from hub_core.health import checks
from hub_core.health.changes import of_addresses
from hub_core.model import Account, ApiKey, Check, Facts, Lifecycle, Reason, Standing, Trigger

if TYPE_CHECKING:
    from collections.abc import Callable

    from hub_core.bitwarden.client import AccessToken
    from hub_core.drafts import Draft, Form
    from hub_core.health.examiner import Examiner, Watch
    from hub_core.health.status import Step
    from hub_core.keychain import Keychain
    from hub_core.model import Endpoints
    from hub_core.settings import Settings
    from hub_core.storage.statements import Ring
    from hub_core.storage.store import Loaded, Store


@dataclass(frozen=True, slots=True)
class Linked:
    """A new account and the check that proved it."""

    account: Account
    check: Check


class Linking:
    """The use cases that store a key, or send one somewhere new; nothing is stored unless verified."""

    def __init__(self, store: Store, keychain: Keychain, examiner: Examiner, settings: Settings) -> None:
        self._store = store
        self._keychain = keychain
        self._examiner = examiner
        self._settings = settings

    def link(self, draft: Draft, *, actor: str, watch: Watch) -> Linked:
        """Verify a draft and store it as an account, or store nothing.

        Raises:
            AlreadyLinked: this organization is linked on this identity origin, perhaps by somebody a moment ago.
            VerifyFailed: a stage failed; carries the check.
        """
        twin = self._store.find(draft.key.client_id, draft.endpoints.identity_origin)
        if twin:
            raise AlreadyLinked(*twin)
        check, fresh = self._verify(
            checks.Subject(
                draft.endpoints,
                draft.key,
                worked_before=False,
                trigger=Trigger.LINK,
                ca_pem=draft.ca_pem,
                remarks=draft.remarks,
            ),
            watch,
        )
        blank = Account(
            id=str(uuid4()),
            label=draft.label,
            endpoints=draft.endpoints,
            client_id=draft.key.client_id,
            ca_pem=draft.ca_pem,
            tags=draft.tags,
            note=draft.note,
            lifecycle=Lifecycle.ACTIVE,
            pause_reason="",
            linked_at=check.at,
            key_entered_at=check.at,
            standing=Standing(),
            facts=Facts(),
        )
        self._store.add_account(
            blank,
            seal=self._sealing(blank.id, draft.key, draft.endpoints),
            check=check,
            step=self._examiner.step(blank, check),
            actor=actor,
        )
        self._examiner.tokens.learn(blank.id, 0, check, fresh)
        return Linked(self._store.account(blank.id), check)

    def relink(self, account_id: str, key: ApiKey, *, actor: str, watch: Watch) -> Check:
        """Give an account its organization's new key.

        Raises:
            WrongOrganization: the key is another organization's; nothing was sent.
            VerifyFailed: a stage failed; the old key stays.
            NotFound, ChangedMeanwhile: unlinked or changed by somebody else meanwhile.
        """
        loaded = self._store.load(account_id)
        account = loaded.account
        if key.client_id != account.client_id:
            raise WrongOrganization(account.organization_id, key.organization_id)
        return self._replace(
            loaded,
            key,
            account.endpoints,
            account.ca_pem,
            entered=True,
            trigger=Trigger.RELINK,
            actor=actor,
            watch=watch,
        )

    def edit_server(self, account_id: str, form: Form, *, actor: str, watch: Watch) -> Check:
        """Change an account's address or CA certificate through the same verification.

        The stored secret may be sent only to the addresses it was sealed for, so another one asks for it again.

        Raises:
            InputError: the address, the CA or the secret needs correcting.
            SealError: the stored secret cannot be opened; relink instead.
            AlreadyLinked, VerifyFailed, ChangedMeanwhile: nothing was changed.
        """
        # One reading of the account: the secret is sent to the addresses it was stored with, or not at all.
        loaded = self._store.load(account_id)
        account = loaded.account
        place = drafts.read_server(form, sandbox=None, plaintext_hosts=self._settings.plaintext_hosts)
        ca_pem = drafts.read_ca(form.ca)
        if place.organization_id not in {None, account.organization_id}:
            raise InputError(
                "server",
                Reason.ADDRESS_OTHER_ORGANIZATION,
                f"The address is of organization {place.organization_id}; this account is {account.organization_id}.",
            )
        typed = bool(clean(form.secret)[0])
        if not typed and _addresses(place.endpoints) != _addresses(account.endpoints):
            raise InputError(
                "secret",
                Reason.SECRET_MISSING,
                "Paste the client secret again: a stored secret is never sent to another address.",
            )
        if typed:
            key = parse_key(account.client_id, form.secret).key
        else:
            key = ApiKey(account.client_id, self._keychain.open(loaded.sealed, loaded.ring))
        return self._replace(
            loaded, key, place.endpoints, ca_pem, entered=typed, trigger=Trigger.EDIT, actor=actor, watch=watch
        )

    # ---- inside

    def _verify(self, subject: checks.Subject, watch: Watch) -> tuple[Check, AccessToken | None]:
        """Run the stages for a key a person just gave, and return its token, too; raises VerifyFailed."""
        check, fresh = self._examiner.verify(subject, watch)
        # READ_FAULT fails the stage and yet the key was accepted; a form still asks to try again later.
        if check.failure:
            raise VerifyFailed(check)
        return check, fresh

    def _sealing(self, account_id: str, key: ApiKey, endpoints: Endpoints) -> Callable[[Ring], str]:
        """Return what seals a key, in the transaction that stores it, for where it was proved."""
        return lambda ring: self._keychain.seal(key, ring, account_id=account_id, endpoints=endpoints)

    def _replace(
        self,
        loaded: Loaded,
        key: ApiKey,
        endpoints: Endpoints,
        ca_pem: str | None,
        *,
        entered: bool,
        trigger: Trigger,
        actor: str,
        watch: Watch,
    ) -> Check:
        account = loaded.account
        check, fresh = self._verify(
            checks.Subject(
                endpoints,
                key,
                # A new key has no past; only an unchanged one can have stopped working.
                worked_before=not entered and account.standing.key_proven_at is not None,
                trigger=trigger,
                ca_pem=ca_pem,
            ),
            watch,
        )
        moved = _addresses(endpoints) != _addresses(account.endpoints)

        def step(present: Account) -> Step:
            # What the old server told is not true of another one.
            done = self._examiner.step(replace(present, facts=Facts(), usual_ms=None) if moved else present, check)
            return done._replace(changes=(*of_addresses(present.endpoints, endpoints, check.at), *done.changes))

        self._store.replace_key(
            account.id,
            loaded.generation,
            seal=self._sealing(account.id, key, endpoints),
            endpoints=endpoints,
            ca_pem=ca_pem,
            check=check,
            step=step,
            entered=entered,
            actor=actor,
            action=trigger.value,
        )
        self._examiner.tokens.learn(account.id, loaded.generation + 1, check, fresh)
        return check


def _addresses(endpoints: Endpoints) -> tuple[str, str]:
    return endpoints.identity, endpoints.api
