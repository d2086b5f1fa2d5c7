"""Reads what a person entered about a channel into a draft, or says field by field what to correct."""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass
from datetime import time
from typing import TYPE_CHECKING, Final, TypeVar

from hub_core.alerts.address import hint_of, read_web_address
from hub_core.alerts.channel import TOLD_BY_DEFAULT, ChannelDraft, Kind, Quiet, Rules
from hub_core.bitwarden.credentials import unwrapped
from hub_core.drafts import one_line, read_tags
from hub_core.errors import InputError, InvalidForm
from hub_core.history import IN_TROUBLE
from hub_core.model import Reason, Secret

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from hub_core.bitwarden.policy import OutboundPolicy
    from hub_core.model import RegionId, Status

    T = TypeVar("T")

NAME_LIMIT: Final = 60
SECRET_PREFIX: Final = "whsec_"  # noqa: S105 - how every such secret begins
LONGEST_DIGEST: Final = 24 * 60
LONGEST_REMINDER: Final = 24 * 7
_SECRET_BYTES: Final = range(24, 65)
_CLOCK = re.compile(r"([01]?[0-9]|2[0-3]):([0-5][0-9])")


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class ChannelForm:
    """A channel as entered. Its representation shows nothing: an address is a secret, and is pasted anywhere."""

    name: str = ""
    kind: Kind = Kind.WEBHOOK
    target: str = ""
    """The address; empty to keep the one that is stored."""
    secret: str = ""
    """A webhook's signing secret, `whsec_…`; empty to keep it, or to have one made."""
    statuses: Collection[Status] = TOLD_BY_DEFAULT
    tags: str | Collection[str] = ""
    regions: Collection[RegionId] = ()
    recovery: bool = True
    reminder_hours: str | int = 0
    quiet_from: str = ""
    """By the clock on the wall, as `22:00`; empty for no quiet hours."""
    quiet_until: str = ""
    every_minutes: str | int = 0
    """Minutes for which messages are gathered; 0 for at once."""
    daily_at: str = ""
    """As `08:00`: everything is gathered and sent once a day; empty for no."""
    summary_at: str = ""
    """As `08:00`: when the daily summary is sent; empty for none."""


def read(
    form: ChannelForm, *, policy: OutboundPolicy, check_apprise: Callable[[str], str], changing: bool
) -> ChannelDraft:
    """Read the whole form.

    Args:
        form: as entered.
        policy: what may be contacted.
        check_apprise: returns what may be shown of an Apprise address; raises InputError.
        changing: whether there is a channel already, so that address and secret may be left empty.

    Raises:
        InvalidForm: with every field that needs correcting.
    """
    errors: list[InputError] = []

    def collect(reader: Callable[[], T]) -> T | None:
        try:
            return reader()
        except InputError as error:
            errors.append(error)
            return None

    name = collect(lambda: read_name(form.name))
    target = collect(lambda: _target(form, policy, check_apprise, changing=changing))
    secret = collect(lambda: _secret(form))
    parts = (
        collect(lambda: _statuses(form.statuses)),
        collect(lambda: _quiet(form.quiet_from, form.quiet_until)),
        collect(lambda: _number(form.reminder_hours, "reminder_hours", LONGEST_REMINDER, "hours between reminders")),
        collect(lambda: _number(form.every_minutes, "every_minutes", LONGEST_DIGEST, "minutes")),
        collect(lambda: _clock(form.daily_at, "daily_at")),
        collect(lambda: _clock(form.summary_at, "summary_at")),
    )
    statuses, quiet, reminder, every, daily, summary = parts
    if every and daily:
        errors.append(_wrong("daily_at", "Choose one: gathered for some minutes, or sent once a day."))
    if errors or name is None or statuses is None:
        raise InvalidForm(errors)
    rules = Rules(
        statuses=statuses,
        tags=frozenset(read_tags(form.tags)),
        regions=frozenset(form.regions),
        recovery=form.recovery,
        reminder_hours=reminder or 0,
        quiet=quiet,
        every_minutes=every or 0,
        daily_at=daily,
        summary_at=summary,
    )
    address, hint = target or (None, None)
    return ChannelDraft(name=name, kind=form.kind, rules=rules, hint=hint, target=address, secret=secret)


def read_name(text: str) -> str:
    """Return a channel's name in one line; raises InputError."""
    name = one_line(text)
    if not name or len(name) > NAME_LIMIT:
        raise _wrong("name", f"Give the channel a name of at most {NAME_LIMIT} characters.")
    return name


def new_secret(random: Callable[[int], bytes]) -> Secret:
    """Make a signing secret."""
    return Secret(SECRET_PREFIX + base64.b64encode(random(32)).decode())


def _target(
    form: ChannelForm, policy: OutboundPolicy, check_apprise: Callable[[str], str], *, changing: bool
) -> tuple[Secret, str] | None:
    if changing and not form.target.strip():
        return None
    if form.kind is Kind.WEBHOOK:
        url = read_web_address(form.target, policy)
        return Secret(url), hint_of(url)
    url = unwrapped(form.target)
    if not url:
        raise InputError("target", Reason.ADDRESS_MISSING, "Enter the Apprise address, such as ntfys://host/topic.")
    return Secret(url), check_apprise(url)


def _secret(form: ChannelForm) -> Secret | None:
    text = unwrapped(form.secret)
    if not text:
        return None
    if form.kind is not Kind.WEBHOOK:
        raise _wrong("secret", "Only a webhook has a signing secret; leave this empty.")
    try:
        bare = text.removeprefix(SECRET_PREFIX).rstrip("=")
        key = base64.b64decode(bare + "=" * (-len(bare) % 4), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not text.startswith(SECRET_PREFIX) or len(key) not in _SECRET_BYTES:
        raise _wrong("secret", "A signing secret is whsec_ and 24 to 64 bytes as base64. Leave it empty to have one.")
    return Secret(text)


def _statuses(chosen: Collection[Status]) -> frozenset[Status]:
    statuses = frozenset(chosen)
    if not statuses or not statuses <= IN_TROUBLE:
        raise _wrong("statuses", "Choose at least one of failing, unreachable and degraded.")
    return statuses


def _quiet(begins: str, ends: str) -> Quiet | None:
    first, last = _clock(begins, "quiet_from"), _clock(ends, "quiet_until")
    if (first is None) != (last is None):
        raise _wrong("quiet_until", "Give both ends of the quiet hours, or none.")
    if first is None or last is None:
        return None
    if first == last:
        raise _wrong("quiet_until", "Quiet hours that end when they begin would never end. Give another time.")
    return Quiet(first, last)


def _clock(text: str, field: str) -> time | None:
    if not text.strip():
        return None
    found = _CLOCK.fullmatch(text.strip())
    if not found:
        raise _wrong(field, "Give a time of day such as 22:00.")
    return time(int(found[1]), int(found[2]))


def _number(given: str | int, field: str, most: int, what: str) -> int:
    text = str(given).strip() or "0"
    if not text.isdecimal() or not text.isascii() or int(text) > most:
        raise _wrong(field, f"Give the {what} as a whole number from 0 to {most}.")
    return int(text)


def _wrong(field: str, message: str) -> InputError:
    return InputError(field, Reason.LABEL_MISSING, message)
