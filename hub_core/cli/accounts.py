"""The commands that show, check, pause and unlink accounts."""

from __future__ import annotations

from collections import Counter
from contextlib import closing
from typing import TYPE_CHECKING

import click

from hub_core import exports, showing, texts
from hub_core.bitwarden.regions import region
from hub_core.cli import describe, output
from hub_core.cli.entry import Wrong, ask
from hub_core.cli.find import find
from hub_core.cli.opening import actor, open_hub
from hub_core.errors import HubError
from hub_core.model import Lifecycle, RegionId, Status

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from hub_core.hub import Hub
    from hub_core.model import Account
    from hub_core.storage.store import AccountRow, StoredCheck

_WELL = frozenset({Status.HEALTHY, Status.LIMITED})
_SHORT_ID = 8

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON for machines.")
account_argument = click.argument("account")


@click.command("list")
@json_option
def list_accounts(*, as_json: bool) -> None:
    """List every account, worst first."""
    with open_hub() as hub:
        rows = _worst_first(hub, hub.accounts())
        if as_json:
            output.show_json([exports.row_values(hub, row) for row in rows])
        else:
            _show_rows(hub, rows)


@click.command
@account_argument
@json_option
def show(*, account: str, as_json: bool) -> None:
    """Show everything known about one account."""
    with open_hub() as hub:
        row = find(hub.accounts(), account)
        if as_json:
            output.show_json(exports.account_values(hub, hub.account(row.id)))
            return
        known = hub.account(row.id)
        output.show_facts(
            {
                "Status": describe.status_cell(hub, row),
                "Account": known.id,
                **showing.link_facts(known),
                **describe.more_facts(known, now=hub.clock.now()),
                "Next check": ": ".join(showing.next_check(hub, known)),
            }
        )
        last = hub.past.last_check(row.id)
        if last:
            _show_last_check(hub, known, last)


@click.command
@click.argument("accounts", nargs=-1, metavar="[ACCOUNT]...")
@click.option("--all", "every", is_flag=True, help="Check every account that is not paused.")
@click.option("--tag", "tags", multiple=True, help="Check those with this tag that are not paused; may be repeated.")
@json_option
def check(*, accounts: tuple[str, ...], every: bool, tags: tuple[str, ...], as_json: bool) -> int:
    """Check accounts now, with a fresh token each. Exit code 1 unless all are healthy or limited."""
    if sum(map(bool, (accounts, every, tags))) != 1:
        raise click.UsageError("Name the accounts to check, or give --all, or --tag.")
    with open_hub() as hub:
        ids = _chosen(hub.accounts(), accounts, tags)
        began = hub.clock.now()
        _check(hub, ids)
        hub.sum_up()
        checked = _worst_first(hub, [row for row in hub.accounts() if row.id in ids])
        well = [_is_well(hub, row, began) for row in checked]
        if as_json:
            _show_run(hub, checked, well)
        else:
            _show_rows(hub, checked)
        _tell(hub)
        return 0 if all(well) else 1


@click.command
@account_argument
@click.option("--why", default="", help="What your colleagues should know.")
def pause(*, account: str, why: str) -> None:
    """Stop checking an account; its key and its history stay."""
    with open_hub() as hub:
        row = find(hub.accounts(), account)
        hub.pause(row.id, why, actor=actor())
        output.show(f"Paused “{row.label}”.")


@click.command
@account_argument
def resume(*, account: str) -> None:
    """Check an account again."""
    with open_hub() as hub:
        row = find(hub.accounts(), account)
        hub.resume(row.id, actor=actor())
        output.show(f"“{row.label}” is checked again.")


@click.command
@account_argument
@click.option("--label", help="The account's exact label, as confirmation; asked for if not given.")
def unlink(*, account: str, label: str | None) -> None:
    """Erase an account, its secret and its history, at once. Nothing brings them back but a backup."""
    with open_hub() as hub:
        row = find(hub.accounts(), account)
        typed = ask(label, prompt=f"Type the label to confirm ({output.plain(row.label)})", option="--label")
        gone = hub.unlink(row.id, typed, actor=actor())
        output.show(f"Unlinked “{gone.label}”. Its secret and its history are erased.")
        output.say(
            "At Bitwarden nothing changed: the key goes on working there until an Owner rotates it "
            "(Admin Console → Settings → Organization info → Rotate API key)."
        )


def _chosen(rows: Sequence[AccountRow], words: Sequence[str], tags: Sequence[str]) -> list[str]:
    """Return the ids of the accounts that are named, or have one of the tags, or else of all; none that is paused."""
    named = [find(rows, word) for word in words]
    paused = next((row for row in named if row.lifecycle is Lifecycle.PAUSED), None)
    if paused:
        raise Wrong(f"“{paused.label}” is paused. `linkhub resume {paused.id}` lets it be checked.")
    unused = next((tag for tag in tags if not any(tag in row.tags for row in rows)), None)
    if unused is not None:
        raise Wrong(f"No account has the tag “{unused}”.")
    active = [row for row in rows if row.lifecycle is Lifecycle.ACTIVE]
    chosen = named or [row for row in active if not tags or set(tags) & set(row.tags)]
    return list(dict.fromkeys(row.id for row in chosen))


def _check(hub: Hub, account_ids: Sequence[str]) -> None:
    """Check accounts within the budgets, telling the progress."""
    waiting = False
    with closing(hub.check_many(account_ids)) as steps:
        for step in steps:
            if step is None:
                continue
            if step.waiting:
                if not waiting:
                    output.say(f"… waiting {step.waiting} s: the token requests of this minute are used up")
                waiting = True
            elif step.label:
                waiting = False
                word = texts.STATUSES[step.status].word if step.status else "unlinked meanwhile, or checked elsewhere"
                icon = texts.STATUSES[step.status].mark if step.status else "–"
                output.say(f"{icon} {step.done} of {step.total}: {step.label}: {word}")


def _tell(hub: Hub) -> None:
    """Tell people what was found where nobody else does, and say in a line what came of it."""
    if hub.watching.goes_on():
        return
    try:
        told, problem = hub.alerts.tell(), hub.alerts.problem()
    except HubError as error:
        output.say(f"Nobody could be told: {error}")
        return
    if any(told) or problem:
        output.say(f"Messages sent: {told.sent}, waiting: {told.waiting}. {problem}".rstrip())


def _is_well(hub: Hub, row: AccountRow, began: datetime) -> bool:
    """Tell whether an account works; one that could not be judged since the run began is not called well."""
    found = [beat.status for beat in hub.past.beats(row.id, began)]
    return row.status in _WELL and bool(found) and _WELL.issuperset(found)


def _worst_first(hub: Hub, rows: Sequence[AccountRow]) -> list[AccountRow]:
    return sorted(rows, key=lambda r: (showing.RANK[showing.shown(hub, r).word], r.label.casefold()))


def _show_run(hub: Hub, rows: Sequence[AccountRow], well: Sequence[bool]) -> None:
    """Print what was checked for machines; `docs/command-line.md` lists the keys."""
    values = [{**exports.row_values(hub, row), "well": fine} for row, fine in zip(rows, well, strict=True)]
    output.show_json(
        {
            "at": exports.iso(hub.clock.now()),
            "well": all(well),
            "checked": len(rows),
            "not_well": well.count(False),
            "statuses": Counter(value["shown"] for value in values),
            "accounts": values,
        }
    )


def _show_rows(hub: Hub, rows: Sequence[AccountRow]) -> None:
    now = hub.clock.now()
    if not rows:
        output.say("No account is linked yet. `linkhub link --help` shows how; `--region sandbox` needs no real key.")
    else:
        output.show_table(
            ("Status", "Label", "Region", "Server", "Last check", "Id", "Cause"),
            [
                (
                    describe.status_cell(hub, row),
                    row.label,
                    region(RegionId(row.region)).name,
                    showing.server_line(row.server_kind, row.server_version),
                    texts.ago(row.checked_at, now) if row.checked_at else "never",
                    row.id[:_SHORT_ID],
                    texts.REASONS[row.reason].title if row.reason else "",
                )
                for row in rows
            ],
        )


def _show_last_check(hub: Hub, account: Account, last: StoredCheck) -> None:
    output.show("")
    output.show(f"Last check, {showing.moment(last.at)} ({texts.TRIGGERS[last.trigger]}):")
    for seen in last.observations:
        output.show(output.stage_line(seen))
    cause = next((o for o in last.observations if o.reason is last.reason), None)
    if last.reason is None or cause is None:
        return
    told = showing.explanation(
        hub, last.reason, cause.evidence, account.endpoints, worked_until=account.standing.key_proven_at
    )
    for line in output.explanation_lines(told):
        output.show(line)
