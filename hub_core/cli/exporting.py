"""The command that exports accounts as CSV or JSON."""

from __future__ import annotations

from pathlib import Path

import click

from hub_core import exports
from hub_core.cli import output
from hub_core.cli.accounts import json_option
from hub_core.cli.files import write_private
from hub_core.cli.opening import open_hub


@click.command
@click.option(
    "--format", "kind", type=click.Choice(["csv", "json"]), default="csv", help="CSV is safe for spreadsheets."
)
@json_option
@click.option(
    "--output",
    "target",
    type=click.Path(dir_okay=False, path_type=Path),
    help="File to write, for its owner only; standard output if not given.",
)
@click.option("--force", is_flag=True, help="Replace the file if there is one.")
def export(*, kind: str, as_json: bool, target: Path | None, force: bool) -> None:
    """Export every account as CSV or JSON; never a secret."""
    with open_hub() as hub:
        rows, now = sorted(hub.accounts(), key=lambda row: row.label.casefold()), hub.clock.now()
        text = exports.to_json(rows, now=now) + "\n" if as_json or kind == "json" else exports.to_csv(rows, now=now)
        if target is None:
            click.echo(text, nl=False)
            if not rows:
                output.say("No account is linked yet.")
            return
        write_private(target, text, replace=force, instead="--force replaces it.")
        output.show(f"Wrote {len(rows)} {'account' if len(rows) == 1 else 'accounts'} to {target}.")
