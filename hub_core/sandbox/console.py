"""Lines a person types while the sandbox runs: which organizations there are, and which faults to switch."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from hub_core.sandbox.faults import TRAITS, Fault
from hub_core.sandbox.organizations import SandboxOrganization, ServerName

if TYPE_CHECKING:
    from hub_core.sandbox.faults import Parameter
    from hub_core.sandbox.sandbox import Sandbox

HELP = """\
organizations                         list every organization with its key and its faults
faults                                list every fault
fault <target> <fault> [name=value]   switch a fault on
clear <target> | clear all            switch faults off
rotate <organization>                 replace a secret, as its owner can
help                                  show this

A target is a server (us, eu, self-hosted, vaultwarden), a client id, or the first word of an organization's name."""


def list_faults() -> tuple[str, ...]:
    """Return one line for every fault: its name, its parameters, what it does."""
    return tuple(_fault_line(fault) for fault in Fault)


def apply(sandbox: Sandbox, line: str) -> str:
    """Carry out one line and return what to print; a line nobody understands is answered with a sentence."""
    try:
        words = shlex.split(line)
        return _command(sandbox, words) if words else ""
    except ValueError as error:
        return str(error)


def _command(sandbox: Sandbox, words: list[str]) -> str:  # noqa: PLR0911 - one return for each command
    match words:
        case ["help"]:
            return HELP
        case ["organizations"]:
            return "\n\n".join(_organization_lines(sandbox, o) for o in sandbox.organizations)
        case ["faults"]:
            return "\n".join(list_faults())
        case ["clear", "all"]:
            sandbox.faults.clear()
            return "Every fault is off."
        case ["clear", target]:
            sandbox.faults.clear(_target(sandbox, target))
            return f"Every fault of {target} is off."
        case ["rotate", target]:
            return f"The new secret is {sandbox.rotate(_target(sandbox, target))}"
        case ["fault", target, fault, *parameters]:
            given = dict(map(_parameter, parameters))
            sandbox.faults.set(_target(sandbox, target), _fault(fault), on=True, **given)
            return f"{fault} is on for {target}. {TRAITS[_fault(fault)].text}"
    raise ValueError(f"“{' '.join(words)}” is not understood; type help.")


def _target(sandbox: Sandbox, word: str) -> str:
    if (server := word.replace("-", "_")) in list(ServerName):
        return server
    names = (word.lower(), word.lower().replace("_", " "))
    for organization in sandbox.organizations:
        name = organization.name.lower()
        if organization.client_id == word or name in names or name.split()[0] in names:
            return organization.client_id
    raise ValueError(f"“{word}” is neither a server nor an organization of the sandbox; type organizations.")


def _fault(word: str) -> Fault:
    try:
        return Fault(word)
    except ValueError:
        raise ValueError(f"There is no fault “{word}”; type faults.") from None


def _parameter(word: str) -> tuple[str, Parameter]:
    name, equals, text = word.partition("=")
    if not equals:
        raise ValueError(f"“{word}” is not name=value.")
    for read in (int, float):
        try:
            return name, read(text)
        except ValueError:
            continue
    return name, text


def _fault_line(fault: Fault) -> str:
    trait = TRAITS[fault]
    parameters = "".join(f" {name}={value}" for name, value in trait.parameters.items())
    return f"{fault}{parameters}: {trait.text}"


def _organization_lines(sandbox: Sandbox, organization: SandboxOrganization) -> str:
    on = ", ".join(sandbox.faults.on(organization.client_id)) or "none"
    return (
        f"{organization.name} (--sandbox-server {organization.server.replace('_', '-')})\n  {organization.story}\n"
        f"  client_id      {organization.client_id}\n  client_secret  {organization.secret}\n  faults         {on}"
    )
