"""The errors of the hub: each is something we can explain to a person.

    HubError
    ├── InputError            a field of a form can be corrected
    ├── InvalidForm           several of them; carries every InputError
    ├── AlreadyLinked         this organization is linked here already
    ├── WrongOrganization     a key of another organization was given for this account
    ├── NotFound              no such account
    ├── ChangedMeanwhile      somebody else changed this account while it was being verified
    ├── Paused                the checks of this account are paused
    ├── Busy                  another process checks this account and does not end
    ├── VerifyFailed          the check of a new key stopped; carries the check
    ├── RemoteError           a server did not give what we asked; carries the reason
    ├── SandboxUnavailable    the sandbox is off, or its port is taken
    ├── StorageError          the database is newer than this program, damaged or out of reach
    ├── MasterKeyError        the master key is missing, wrong, ambiguous or badly kept
    ├── SealError             one stored secret cannot be opened here
    └── SettingsError         settings are wrong; carries every problem at once

No message contains a secret, a token or a body of an answer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from hub_core.model import Check, Reason


class HubError(Exception):
    """Something went wrong that we can explain to a person."""


class InputError(HubError):
    """A field of a form can be corrected: which one, why, and a sentence."""

    def __init__(self, field: str, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.field = field
        self.reason = reason
        self.message = message


class InvalidForm(HubError):
    """Fields of a form can be corrected; `errors` lists every one of them."""

    def __init__(self, errors: Sequence[InputError]) -> None:
        super().__init__(" ".join(error.message for error in errors))
        self.errors = tuple(errors)


class AlreadyLinked(HubError):
    """This organization is linked on this identity origin already."""

    def __init__(self, account_id: str, label: str) -> None:
        super().__init__(f"This organization is already linked as “{label}”.")
        self.account_id = account_id
        self.label = label


class WrongOrganization(HubError):
    """A key of another organization was given for this account."""

    def __init__(self, expected: str, got: str) -> None:
        super().__init__(f"This key belongs to organization {got}; this account is organization {expected}.")
        self.expected = expected
        self.got = got


class NotFound(HubError):
    """No account with this id."""


class ChangedMeanwhile(HubError):
    """Somebody else changed the key or the server of this account meanwhile; nothing was changed here."""

    def __init__(self) -> None:
        super().__init__(
            "Somebody changed the key or the server of this account meanwhile. Look at it, then try again."
        )


class Paused(HubError):
    """The checks of this account are paused; a person has to resume them."""

    def __init__(self) -> None:
        super().__init__("The checks of this account are paused. Resume them first.")


class Busy(HubError):
    """Another process has been checking this account for longer than a check takes."""

    def __init__(self) -> None:
        super().__init__(
            "Another program of this installation is checking this account and does not come to an end. "
            "Try again in a minute."
        )


class VerifyFailed(HubError):
    """The check of a new or changed key stopped before the end; nothing was stored."""

    def __init__(self, check: Check) -> None:
        failure = check.failure
        super().__init__(f"Verification stopped: {failure.reason if failure else 'unknown'}")
        self.check = check


class RemoteError(HubError):
    """A server did not give what we asked."""

    def __init__(
        self, reason: Reason, *, evidence: Mapping[str, str] | None = None, retry_after: int | None = None
    ) -> None:
        super().__init__(reason.value)
        self.reason = reason
        self.evidence: Mapping[str, str] = evidence or {}
        self.retry_after = retry_after


class SandboxUnavailable(HubError):
    """The sandbox is off, or its port is taken by something else."""


class StorageError(HubError):
    """The database is newer than this program, damaged, or out of reach."""


class MasterKeyError(HubError):
    """The master key is missing, wrong, ambiguous or badly kept."""


class SealError(HubError):
    """A stored secret cannot be opened here: moved, altered, or bound to another address."""


class SettingsError(HubError):
    """Settings are wrong; `problems` lists every one of them."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)
