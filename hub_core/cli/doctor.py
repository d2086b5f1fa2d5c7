"""The command that examines this installation, also when nothing else starts."""

from __future__ import annotations

from dataclasses import asdict
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

import click

from hub_core.cli import output
from hub_core.cli.accounts import json_option
from hub_core.cli.examine import examine, without_settings
from hub_core.cli.finding import Level, problem
from hub_core.diagnostics import settings_in_use
from hub_core.errors import SettingsError
from hub_core.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Mapping

_ICONS: Final[Mapping[Level, str]] = MappingProxyType({Level.OK: "✓", Level.NOTE: "i", Level.PROBLEM: "✕"})


@click.command
@json_option
def doctor(*, as_json: bool) -> int:
    """Examine settings, database, keys and machine. Works also when they are broken."""
    settings: dict[str, str] = {}
    try:
        read = Settings.from_env()
    except SettingsError as error:
        findings = [*without_settings(), *(problem("settings", text) for text in error.problems)]
    else:
        settings = settings_in_use(read)
        findings = list(examine(read))
    well = all(finding.level is not Level.PROBLEM for finding in findings)
    if as_json:
        output.show_json({"well": well, "findings": [asdict(f) for f in findings], "settings": settings})
    else:
        for finding in findings:
            output.show(f"{_ICONS[finding.level]} {finding.about}: {finding.text}")
            if finding.advice:
                output.show(f"    → {finding.advice}")
        if settings:
            output.show("")
            output.show_facts(settings)
    return 0 if well else 1
