"""A visitor of the pages without a browser, on a hub of its own with a sandbox beside it."""

from __future__ import annotations

import re
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pandas as pd
import streamlit as st
from streamlit.testing.v1 import AppTest

from hub_core.drafts import Form
from hub_core.model import RegionId
from hub_core.sandbox import Sandbox, serve
from hub_core.storage import codec
from pages import _ui

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    import pytest
    from streamlit.testing.v1.element_tree import Node

    from hub_core.hub import Hub
    from hub_core.model import Account
    from hub_core.sandbox import RunningSandbox, SandboxOrganization

SHELL = Path(__file__).resolve().parents[1] / "pages" / "_shell.py"
PATIENCE_S = 60
_ESCAPED = re.compile(r"\\(?=[^\sA-Za-z0-9])")
_JOINER = "\u2060"


@contextmanager
def own_hub(patch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """Give the pages a hub in folders of its own and a sandbox as on the first day, and close the hub afterwards.

    It is opened with the first page, so a test may set more of the environment before.
    """
    own = {"LINKHUB_DATA": str(tmp_path / "data"), "LINKHUB_CONFIG": str(tmp_path / "config")}
    own |= {"LINKHUB_TOKEN_LIMIT": "60"}  # all sandbox servers are one origin, and each has limits of its own
    own |= {"LINKHUB_SANDBOX_PORT": str(urlsplit(_served().origin).port)}
    for name, value in own.items():
        patch.setenv(name, value)
    authority = tmp_path / "data" / "sandbox" / "ca.pem"
    authority.parent.mkdir(parents=True, mode=0o700)
    authority.write_text(_served().ca_pem, "ascii")
    sandbox().faults.clear()
    sandbox().limits.reset()
    sandbox()._generations.clear()
    try:
        yield
    finally:
        hub().close()
        st.cache_resource.clear()


@cache
def _served() -> RunningSandbox:
    """Serve one sandbox until the tests end: starting and stopping one takes longer than most tests."""
    return serve(Sandbox())


def hub() -> Hub:
    """Return the hub the pages of this test use, opened as they open it."""
    return _ui.hub()


def sandbox() -> Sandbox:
    """Return the running sandbox, for switching faults and rotating keys."""
    return _served().sandbox


def organization(word: str) -> SandboxOrganization:
    """Return the sandbox's organization whose name begins with a word, with its present key."""
    return next(o for o in sandbox().organizations if o.name.startswith(word))


def link(word: str, *, label: str = "", tags: str = "", note: str = "") -> Account:
    """Link an organization of the sandbox without a page."""
    which = organization(word)
    form = Form(
        region=RegionId.SANDBOX,
        label=label or which.name,
        client_id=which.client_id,
        secret=which.secret,
        tags=tags,
        note=note,
    )
    forget_requests()
    return hub().link(hub().read_form(form, sandbox_server=which.server), actor="test").account


def check(account: Account) -> None:
    """Check an account without a page."""
    forget_requests()
    hub().check(account.id)


def forget_requests() -> None:
    """Let every wait for another token request be over."""
    with hub().store.database.write() as con:
        con.execute("DELETE FROM token_request")
        con.execute("DELETE FROM origin_hold")


def rotate(word: str) -> str:
    """Rotate an organization's key in the sandbox, as its Owner can, and return the new secret."""
    return sandbox().rotate(organization(word).client_id)


def change_row(account_id: str, **columns: str | int | datetime | None) -> None:
    """Change columns of an account behind the hub's back, as time or another program would."""
    values = {n: v if v is None or isinstance(v, str | int) else codec.to_ms(v) for n, v in columns.items()}
    assignments = ", ".join(f"{name} = ?" for name in values)
    with hub().store.database.write() as con:
        con.execute(f"UPDATE account SET {assignments} WHERE id = ?", (*values.values(), account_id))  # noqa: S608 - names of this file


class Visitor:
    """Somebody with the dashboard open; every run is asserted to end without an exception."""

    def __init__(self, page: str = "accounts.py", **query: str) -> None:
        self.at = AppTest.from_file(SHELL, default_timeout=PATIENCE_S)
        if page == "accounts.py":
            self.at.query_params.update(query)
        self.run()
        if page != "accounts.py":
            self.go(page, **query)

    def run(self) -> Visitor:
        """Run the page once more."""
        self.at.run()
        assert not self.at.exception, self.at.exception[0].proto
        return self

    def go(self, page: str, **query: str) -> Visitor:
        """Open another page."""
        self.at.switch_page(page)
        self.at.query_params.clear()
        self.at.query_params.update(query)
        return self.run()

    def fill(self, **fields: Any) -> Visitor:
        """Type into fields, or choose in them, without leaving them yet."""
        for key, value in fields.items():
            self.element(key).set_value(value)
        return self

    def type(self, **fields: Any) -> Visitor:
        """Type into fields, or choose in them, and leave them."""
        return self.fill(**fields).run()

    def press(self, key: str) -> Visitor:
        """Press a button."""
        self.at.button(key).click()
        return self.run()

    @property
    def buttons(self) -> set[str]:
        """The keys of every button that is there."""
        return {button.key for button in self.at.button if button.key}

    @property
    def text(self) -> str:
        """Everything there is to read, as it is read: without the marks that keep Markdown plain."""
        return "\n".join(_read(part) for node in self.at for part in _parts(node))

    def texts(self, kind: str) -> list[str]:
        """Return what elements of one kind say, such as `error`."""
        nodes: Sequence[Any] = self.at.get(kind)
        return [_read(node.value) for node in nodes]

    def element(self, key: str) -> Any:
        """Return the element with a key."""
        return self.at.get_by_key(key)

    def facts(self) -> dict[str, str]:
        """Return the tables of facts on the page as one."""
        found: dict[str, str] = {}
        for table in self.at.table:
            for row in table.value.itertuples():
                name, value = row[-2:] if len(row) > 2 else row  # the name is a column or the index
                found[_read(str(name))] = re.sub(r"^`([^`]*)`$", r"\1", _read(str(value)))
        return found

    def value(self, key: str) -> Any:
        """Return what a field holds."""
        return self.element(key).value

    def where(self, needle: str) -> list[str]:
        """Return where a text is still known: keys of the session's state, and elements sent to the browser."""
        state = [key for key, value in self.at.session_state.items() if needle in repr(value)]
        return state + [node.type for node in self.at if needle in str(getattr(node, "proto", ""))]


def _parts(node: Node) -> Iterator[str]:
    for name in ("label", "value"):
        found = getattr(node, name, None)
        if isinstance(found, str):
            yield found
        elif isinstance(found, pd.DataFrame):
            yield found.to_string()


def _read(text: str) -> str:
    return _ESCAPED.sub("", text).replace(_JOINER, "")
