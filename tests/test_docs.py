"""The documents: what they link to exists, what they list is complete, and what they say is the code's."""

from __future__ import annotations

import importlib
import re
from dataclasses import fields
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import click
import pytest

from hub_core import __version__
from hub_core.bitwarden.client import LISTS
from hub_core.bitwarden.transport import ForbiddenRequest, Side, permit
from hub_core.cli.commands import linkhub
from hub_core.sandbox import Sandbox
from hub_core.settings import Settings
from hub_core.texts import PAUSED, STALE, STATUSES

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parent.parent
DOCUMENTS = sorted(
    path.relative_to(ROOT).as_posix() for pattern in ("*.md", "docs/**/*.md") for path in ROOT.glob(pattern)
)
CODE = re.compile(r"```.*?```|`[^`\n]*`", re.DOTALL)
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#{1,6} (.+)$", re.MULTILINE)
EXPLICIT = re.compile(r'<a id="([^"]+)"></a>')
NAMED_FILE = re.compile(r"`((?:hub_core|pages|tests|tools|docs|\.streamlit|\.ci)/[\w./-]*[\w/])`")
PROOF = re.compile(r"tests/test_\w+\.py|docs/.+|[A-Z]+\.md|pyproject\.toml")
MAKE = re.compile(r"\bmake ([a-z]+)\b")

RULES = """
config-flow test-before-configure test-before-setup unique-config-entry config-flow-test-coverage appropriate-polling
common-modules runtime-data entity-unique-id has-entity-name entity-event-setup action-setup dependency-transparency
brands docs-high-level-description docs-installation-instructions docs-removal-instructions docs-actions docs-triggers
docs-conditions
reauthentication-flow log-when-unavailable entity-unavailable config-entry-unloading parallel-updates action-exceptions
integration-owner docs-installation-parameters docs-configuration-parameters test-coverage
reconfiguration-flow diagnostics repair-issues exception-translations entity-translations icon-translations
dynamic-devices stale-devices devices entity-category entity-device-class entity-disabled-by-default docs-data-update
docs-use-cases docs-examples docs-supported-functions docs-known-limitations docs-supported-devices
docs-troubleshooting discovery discovery-update-info
strict-typing inject-websession async-dependency
""".split()  # noqa: SIM905 - read beside the scale itself, one id is one word


@cache
def text_of(document: str) -> str:
    """Return a document of the repository."""
    return (ROOT / document).read_text(encoding="utf-8")


@cache
def anchors_of(document: str) -> frozenset[str]:
    """Return what can be linked to in a document: explicit anchors, and headings as the usual sites name them."""
    text = re.sub(r"```.*?```", "", text_of(document), flags=re.DOTALL)
    slugs = (re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-") for heading in HEADING.findall(text))
    return frozenset((*EXPLICIT.findall(text), *slugs))


def rules() -> dict[str, dict[str, str]]:
    """Read docs/quality.yaml, which is written plainly enough to need no library: names, and two words below each."""
    read: dict[str, dict[str, str]] = {}
    name = ""
    for line in text_of("docs/quality.yaml").splitlines():
        if not line or line.startswith("#"):
            continue
        key, colon, value = line.partition(":")
        assert colon, line
        if line.startswith("  "):
            read[name][key.strip()] = value.strip()
        else:
            assert not value, line
            assert key not in read, key
            name = key
            read[name] = {}
    return read


def missing_targets(document: str, text: str) -> Iterator[str]:
    """Yield the links in a document's text that lead nowhere in this repository."""
    for target in LINK.findall(CODE.sub("", text)):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        there = (ROOT / document).parent / path if path else ROOT / document
        if not there.exists():
            yield f"{target}: there is no such file"
        elif anchor and anchor not in anchors_of(there.resolve().relative_to(ROOT).as_posix()):
            yield f"{target}: there is no such section"


@pytest.mark.parametrize("document", DOCUMENTS)
def test_links_lead_somewhere(document: str) -> None:
    """Every link and picture of a document is a file of this repository, and every anchor a section of it."""
    assert list(missing_targets(document, text_of(document))) == []


@pytest.mark.parametrize(
    ("link", "found"),
    [
        ("docs/configuration.md#the-master-key", True),
        ("docs/troubleshooting.md#key-never-accepted", True),
        ("#start", True),
        ("https://example.com/anything", True),
        ("docs/no-such-file.md", False),
        ("docs/configuration.md#no-such-section", False),
        ("#no-such-section", False),
    ],
)
def test_broken_links_are_found(link: str, found: bool) -> None:  # noqa: FBT001 - a column of the table
    """A link is broken when its file or its section is missing, and only then."""
    assert (not list(missing_targets("README.md", f"See [here]({link})."))) is found


@pytest.mark.parametrize("document", DOCUMENTS)
def test_named_files_exist(document: str) -> None:
    """A file of the code that a document names is there."""
    assert [name for name in NAMED_FILE.findall(text_of(document)) if not (ROOT / name).exists()] == []


@pytest.mark.parametrize("document", DOCUMENTS)
def test_make_targets_exist(document: str) -> None:
    """Every `make` target a document names is in the Makefile."""
    code = " ".join(CODE.findall(text_of(document)))
    targets = set(re.findall(r"^([a-z]+):", text_of("Makefile"), re.MULTILINE))
    assert set(MAKE.findall(code)) <= targets


def test_the_table_of_settings_is_the_fields() -> None:
    """docs/configuration.md equals what its generator writes from the settings."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(ROOT / "tools")
        generator = importlib.import_module("configuration")
    page = text_of("docs/configuration.md")
    assert generator.document(page) == page


@pytest.mark.parametrize("name", [field.metadata["env"] for field in fields(Settings)])
def test_every_setting_has_a_row(name: str) -> None:
    """Each setting has exactly one row in the table of the manual."""
    table = text_of("docs/configuration.md").partition("## Settings")[2].partition("\n## ")[0]
    assert table.count(f"\n| `{name}` |") == 1


def test_documents_name_no_setting_that_is_not() -> None:
    """No document speaks of a setting that the program would refuse."""
    known = {field.metadata["env"] for field in fields(Settings)}
    named = {name for document in DOCUMENTS for name in re.findall(r"\bLINKHUB_[A-Z_]*[A-Z]\b", text_of(document))}
    assert named <= known


def test_the_default_folders_are_where_the_manual_says(monkeypatch: pytest.MonkeyPatch) -> None:
    """The folders, the only defaults the generator cannot read from the fields, are as it writes them."""
    for variable in ("XDG_DATA_HOME", "XDG_CONFIG_HOME"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("HOME", "/home/somebody")
    settings = Settings()
    page = text_of("docs/configuration.md")
    for name, folder in (("LINKHUB_DATA", settings.data), ("LINKHUB_CONFIG", settings.config)):
        assert f"| `{name}` | `~/{folder.relative_to('/home/somebody')}` |" in page


def test_the_readme_names_every_request() -> None:
    """README and SECURITY name each list that a check reads, and each path they allow is one the transport allows."""
    for path in LISTS:
        assert f"`GET {{api}}{path}`" in text_of("README.md")
        assert f"`{path}`" in text_of("SECURITY.md")
    assert "`POST {identity}/connect/token`" in text_of("README.md")
    for side, path in re.findall(r"`GET \{(api|identity)\}(/[^`]+)`", text_of("README.md")):
        permit("GET", Side(side), path)
    with pytest.raises(ForbiddenRequest):
        permit("GET", Side.API, "/public/unheard-of")


def test_the_readme_explains_every_status() -> None:
    """Every word a status is shown by has a row in README."""
    for text in (*STATUSES.values(), STALE, PAUSED):
        assert f"\n| {text.word} |" in text_of("README.md")


def test_the_readme_names_sandbox_organizations_that_exist() -> None:
    """The organizations the README sends people to live in the sandbox."""
    names = {organization.name for organization in Sandbox().organizations}
    assert {"Lapsed Theatre", "Alpine Logistics", "Cedar Makerspace"} <= names
    for name in ("Lapsed Theatre", "Alpine Logistics", "Cedar Makerspace"):
        assert name in " ".join(text_of("README.md").split())


def test_commands_are_those_of_the_program() -> None:
    """README lists every command, and a command that a document names exists."""
    table = text_of("README.md").partition("## Commands")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| (`[^|]+) \|", table, re.MULTILINE)
    assert {name for row in rows for name in re.findall(r"`([a-z]+)`", row)} == set(linkhub.commands)
    key = linkhub.commands["key"]
    assert isinstance(key, click.Group)
    for document in DOCUMENTS:
        for name, below in re.findall(r"`linkhub ([a-z]+)(?: ([a-z]+))?", text_of(document)):
            assert name in linkhub.commands, document
            assert name != "key" or not below or below in key.commands, document


def test_every_rule_of_the_quality_scale_has_a_state() -> None:
    """docs/quality.yaml has each of the 54 rules once, and no other."""
    assert len(RULES) == 54
    assert sorted(rules()) == sorted(RULES)


@pytest.mark.parametrize("rule", RULES)
def test_a_rule_has_its_proof_or_a_reason(rule: str) -> None:
    """A rule that is done names tests or documents that exist; any other says why it is not."""
    state = rules()[rule]
    if state["status"] == "done":
        assert set(state) == {"status", "proof"}
        assert [name for name in state["proof"].split(", ") if not PROOF.fullmatch(name)] == []
        assert [name for name in state["proof"].split(", ") if not (ROOT / name).is_file()] == []
    else:
        assert state["status"] in {"todo", "exempt"}
        assert set(state) == {"status", "why"}
        assert state["why"]


@pytest.mark.parametrize("place", ["README.md", "pages/about.py"])
def test_nobody_takes_this_for_bitwardens_own(place: str) -> None:
    """README and the About page say that this product is not Bitwarden's."""
    assert "not affiliated with" in " ".join(text_of(place).split())


def test_the_changelog_has_this_version() -> None:
    """The version of the code has a section in the changelog."""
    assert re.search(rf"^## {re.escape(__version__)}\b", text_of("CHANGELOG.md"), re.MULTILINE)


def test_decisions_are_numbered_short_and_listed() -> None:
    """The notes are numbered without a gap, at most 25 lines long, and each is in the list."""
    notes = sorted(path.name for path in (ROOT / "docs" / "decisions").glob("0*.md"))
    assert [name[:4] for name in notes] == [f"{number:04}" for number in range(1, len(notes) + 1)]
    for name in notes:
        note = text_of(f"docs/decisions/{name}")
        assert note.startswith(f"# {name[:4]}: ")
        assert len(note.splitlines()) <= 25
        assert f"({name})" in text_of("docs/decisions/README.md")
