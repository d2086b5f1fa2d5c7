"""The tree of commands."""

from __future__ import annotations

import click

from hub_core import __version__
from hub_core.cli.accounts import check, list_accounts, pause, resume, show, unlink
from hub_core.cli.backup import backup
from hub_core.cli.channel import channel
from hub_core.cli.doctor import doctor
from hub_core.cli.exporting import export
from hub_core.cli.incidents import acknowledge, incidents
from hub_core.cli.key import key
from hub_core.cli.linking import edit, link, relink
from hub_core.cli.maintenance import maintenance
from hub_core.cli.running import sandbox, serve, watch
from hub_core.cli.tokens import badge, token


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="Link Hub", message="%(prog)s %(version)s")
def linkhub() -> None:
    """Link Hub for Bitwarden: link organizations by API key and see whether every link works.

    ACCOUNT is an account's id or the beginning of it, its client id, its organization's uuid, or its exact label.
    Secrets are read from standard input, from a file, or asked for; never from arguments.

    Exit codes: 0 all well, 1 something is not, 2 usage or input, 78 configuration.
    """


for _command in (
    link,
    list_accounts,
    show,
    check,
    relink,
    edit,
    pause,
    resume,
    unlink,
    incidents,
    acknowledge,
    export,
    backup,
    doctor,
    key,
    token,
    badge,
    channel,
    maintenance,
    sandbox,
    serve,
    watch,
):
    linkhub.add_command(_command)
