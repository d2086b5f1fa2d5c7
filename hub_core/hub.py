"""Puts the parts together: the use cases, as plain blocking calls for pages, command line and scheduler."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Self

from hub_core import drafts
from hub_core.access import Access
from hub_core.alerts.alerts import Alerts
from hub_core.bitwarden.credentials import parse_block, parse_key
from hub_core.bitwarden.regions import sibling
from hub_core.bitwarden.transport import resolve
from hub_core.clock import Clock
from hub_core.engine import Engine
from hub_core.errors import InputError
from hub_core.glance import Glances
from hub_core.health.examiner import Examiner, Progress
from hub_core.health.scheduler import LEASE_S, Scheduler
from hub_core.held import Held
from hub_core.keychain import Keychain
from hub_core.linking import Linked, Linking
from hub_core.model import Account, ApiKey, Check, Lifecycle, Reason, RegionId, Trigger
from hub_core.past import Past
from hub_core.sandbox_host import SandboxHost
from hub_core.storage.maintenance import MaintenanceTable
from hub_core.storage.store import AccountRow, Store
from hub_core.storage.sums import Keep
from hub_core.trail import Trail
from hub_core.watching import Watching
from hub_core.windows import Windows

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence

    from hub_core.bitwarden.regions import Region
    from hub_core.bitwarden.transport import Resolver
    from hub_core.drafts import Draft, Form
    from hub_core.health.examiner import Sessions, Watch
    from hub_core.model import Endpoints, Transition
    from hub_core.settings import Settings

__all__ = ["Hub", "Linked", "Progress"]


def _ignore(_: object) -> None:
    """Watch nothing."""


def _keep(settings: Settings) -> Keep:
    days = settings.keep_checks_days, settings.keep_hours_days, settings.keep_days_days
    return Keep(*(timedelta(days=number) for number in days))


class Hub:
    """This installation: what pages, command line and scheduler can do."""

    def __init__(
        self,
        settings: Settings,
        store: Store,
        *,
        clock: Clock,
        resolve: Resolver,
        deadline_s: float,
        chance: Callable[[], float],
        engine: Engine | None = None,
        sessions: Sessions | None = None,
    ) -> None:
        self.settings = settings
        self.store = store
        self.clock = clock
        self.keychain = Keychain(store, settings, clock)
        self.sandbox = SandboxHost(settings)
        self.windows = Windows(MaintenanceTable(store.database), clock, settings.timezone)
        self._engine = engine or Engine()
        self._examiner = Examiner(
            store,
            self.keychain,
            self.sandbox,
            self._engine,
            settings=settings,
            windows=self.windows,
            clock=clock,
            resolve=resolve,
            deadline_s=deadline_s,
            chance=chance,
            sessions=sessions,
        )
        self._linking = Linking(store, self.keychain, self._examiner, settings)
        self.watching = Watching(store, self._examiner.rhythm, clock)
        self.past = Past(store, clock)
        self.glances = Glances(store, self.watching, self.windows, clock)
        self._held = Held(clock)
        self.access = Access(store.database, clock)
        self.alerts = Alerts(
            store,
            self.keychain,
            self._engine,
            settings=settings,
            clock=clock,
            resolve=resolve,
            maintained=lambda subject: self.windows.open_for(subject.id, subject.tags),
        )
        self.trail = Trail(store, self._names)

    @classmethod
    def open(
        cls,
        settings: Settings,
        *,
        clock: Clock | None = None,
        resolve: Resolver = resolve,
        deadline_s: float = 30.0,
        chance: Callable[[], float] = random.random,
        engine: Engine | None = None,
        sessions: Sessions | None = None,
    ) -> Self:
        """Open the database, find the master key, and be ready to work.

        Args:
            settings: of this installation.
            clock: the system's, if not given.
            resolve: looks host names up.
            deadline_s: seconds any one exchange with a server may take.
            chance: decides, from 0 to 1, where within its jitter a check is planned.
            engine: where everything asynchronous runs; one with a thread of its own, if not given.
            sessions: reaches the servers of an account; over the network, if not given.

        Raises:
            StorageError: the database is out of reach, damaged, or newer than this program.
            MasterKeyError: the master key is missing, wrong, ambiguous or badly kept.
        """
        store = Store.open(settings.database)
        try:
            return cls(
                settings,
                store,
                clock=clock or Clock(),
                resolve=resolve,
                deadline_s=deadline_s,
                chance=chance,
                engine=engine,
                sessions=sessions,
            )
        except BaseException:
            store.close()
            raise

    def close(self) -> None:
        """Stop what runs and close the database."""
        self._engine.close()
        self._examiner.close()
        self.sandbox.close()
        self.store.close()

    def ready(self) -> bool:
        """Tell whether the database answers."""
        return self.store.database.version > 0

    # ---- link

    def read_form(self, form: Form, *, sandbox_server: str | None = None) -> Draft:
        """Read the Link form; raises InvalidForm with every field to correct, SandboxUnavailable."""
        sandbox = None
        if form.region is RegionId.SANDBOX:
            sandbox = self.sandbox.endpoints(sandbox_server or "us")
            form = replace(form, ca=self.sandbox.ca_pem)
        return drafts.read(form, sandbox=sandbox, plaintext_hosts=self.settings.plaintext_hosts)

    def link(self, draft: Draft, *, actor: str, watch: Watch = _ignore) -> Linked:
        """Verify a draft and store it as an account, or store nothing; raises AlreadyLinked, VerifyFailed."""
        return self._linking.link(draft, actor=actor, watch=watch)

    def other_cloud(self, endpoints: Endpoints) -> tuple[Region, Endpoints] | None:
        """Return the cloud a refused key may belong to instead, if the refusal came from a cloud."""
        return sibling(endpoints, also=self.sandbox.clouds())

    def hold(self, entry: Draft | Form | ApiKey) -> str:
        """Keep what was entered between two clicks in memory for five minutes and return a ticket for it."""
        return self._held.put(entry)

    def take(self, ticket: str) -> Draft | Form | ApiKey | None:
        """Return what a ticket holds, once; None when it was taken or has expired."""
        return self._held.take(ticket)

    # ---- accounts

    def accounts(self) -> list[AccountRow]:
        """Return every account as the Accounts page shows it; one query, no network, no decryption."""
        return self.store.overview()

    def account(self, account_id: str) -> Account:
        """Return one account; raises NotFound."""
        return self.store.account(account_id)

    def transitions(self, account_id: str) -> list[Transition]:
        """Return an account's changes of status, newest first."""
        return self.past.transitions(account_id)

    def check(self, account_id: str, *, watch: Watch = _ignore, trigger: Trigger = Trigger.MANUAL) -> Check:
        """Check one account with a fresh token and record it; raises NotFound, Paused."""
        return self._examiner.check(account_id, trigger, watch)

    def check_many(self, account_ids: Sequence[str]) -> Generator[Progress | None, None, None]:
        """Check accounts that are not paused as `Examiner.check_many` does; what was checked before an end stays."""
        wanted = frozenset(account_ids)
        rows = [row for row in self.accounts() if row.id in wanted and row.lifecycle is Lifecycle.ACTIVE]
        return self._examiner.check_many(rows)

    def read_new_key(self, account_id: str, pasted: str) -> ApiKey:
        """Read a new secret for an account, alone or in a block with its client id; raises InputError, NotFound."""
        found = parse_block(pasted)
        client_id = found.client_id or self.account(account_id).client_id
        return parse_key(client_id, found.secret or pasted).key

    def relink(self, account_id: str, key: ApiKey, *, actor: str, watch: Watch = _ignore) -> Check:
        """Give an account its new key, as `Linking.relink` does; raises what that raises."""
        return self._linking.relink(account_id, key, actor=actor, watch=watch)

    def describe(self, account_id: str, *, label: str, tags: str | Sequence[str], note: str, actor: str) -> None:
        """Change label, tags and note; raises InputError, NotFound."""
        self.store.describe(
            account_id,
            label=drafts.read_label(label),
            tags=drafts.read_tags(tags),
            note=drafts.read_note(note),
            at=self.clock.now(),
            actor=actor,
        )

    def edit_server(self, account_id: str, form: Form, *, actor: str, watch: Watch = _ignore) -> Check:
        """Change an account's address or CA certificate, as `Linking.edit_server` does; raises what that raises."""
        return self._linking.edit_server(account_id, form, actor=actor, watch=watch)

    def pause(self, account_id: str, why: str, *, actor: str) -> None:
        """Stop checking an account; raises NotFound."""
        self.store.set_lifecycle(
            account_id,
            Lifecycle.PAUSED,
            why=drafts.one_line(why)[: drafts.REASON_LIMIT],
            at=self.clock.now(),
            actor=actor,
        )

    def resume(self, account_id: str, *, actor: str) -> None:
        """Check an account again; raises NotFound."""
        self.store.set_lifecycle(account_id, Lifecycle.ACTIVE, why="", at=self.clock.now(), actor=actor)

    def unlink(self, account_id: str, typed_label: str, *, actor: str) -> Account:
        """Erase an account and its secret at once; returns what it was.

        Raises:
            InputError: the typed label is not the account's.
            NotFound: unlinked already.
        """
        account = self.account(account_id)
        if drafts.one_line(typed_label) != account.label:
            raise InputError("label", Reason.LABEL_MISSING, f"Type the label exactly: {account.label}")
        self.store.unlink(account_id, at=self.clock.now(), actor=actor)
        self._examiner.tokens.forget(account_id)
        return account

    def _names(self) -> dict[str, str]:
        """Return what people call accounts, channels and tokens, by id."""
        accounts = {row.id: row.label for row in self.accounts()}
        channels = {channel.id: channel.name for channel in self.alerts.channels()}
        return accounts | channels | {token.id: token.name for token in self.access.tokens()}

    def sum_up(self) -> None:
        """Sum up the hours that are over and erase what is too old, as whoever watches does."""
        while self.store.sums.roll_up(self.clock.now(), _keep(self.settings)):
            pass

    def start_watching(self, *, lease_s: float = LEASE_S) -> None:
        """Check every account on its rhythm and tell people, until the hub is closed; harmless while others do."""
        pinger = self.alerts.pinger()
        scheduler = Scheduler(
            self.store,
            self._examiner,
            clock=self.clock,
            keep=_keep(self.settings),
            lease_s=lease_s,
            after_pass=pinger.after_pass if pinger else None,
        )
        self._engine.start(scheduler.run)
        self._engine.start(self.alerts.teller().run)
