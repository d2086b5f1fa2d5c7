"""The server: Streamlit's, behind our gate, listening where the settings say."""

from __future__ import annotations

import gc
import importlib
import logging
import os
import secrets
from contextlib import ExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import click
import streamlit as st
from starlette.middleware import Middleware

from hub_core.errors import HubError
from hub_core.web import launch
from hub_core.web.gate import Gate, allowed_hosts, inline_script_hashes, traced
from hub_core.web.routes import for_machines, routes
from pages import _ui

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

_log = logging.getLogger("hub_core.pages")

try:
    if __name__ != "__main__":  # `streamlit run` opened its socket before it imported this file
        launch.agree(os.environ, address=st.get_option("server.address") or "::", port=st.get_option("server.port"))
    settings = launch.checked(os.environ)
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("hub_core").setLevel(settings.log_level)
    hub = _ui.hub()
except HubError as error:
    click.echo(str(error), err=True)
    raise SystemExit(os.EX_CONFIG) from None

_opened = ExitStack()
_opened.callback(hub.close)


@asynccontextmanager
async def lifespan(_app: st.App) -> AsyncIterator[None]:
    """Load what pages need and begin checking before the first visitor comes; close the hub after the last has gone."""
    for name in ("pandas", "pyarrow"):
        importlib.import_module(name)
    with suppress(HubError):  # then the pages say what is wrong
        hub.glances.latest()  # the first look at ten thousand accounts takes seconds
    # What is there for good need not be searched for garbage again and again.
    gc.collect()
    gc.freeze()
    if settings.scheduler:
        hub.start_watching()
    click.echo(f"Link Hub listens on {launch.url(settings)}")
    try:
        yield
    finally:
        _opened.close()
        click.echo("Link Hub stopped.")


def on_script_error(error: Exception) -> bool:
    """Tell the visitor a reference and the log where it happened; the error's text goes to neither."""
    reference = secrets.token_hex(4)
    _log.error("A page failed, reference %s: %s", reference, traced(error))
    st.error(f"Something went wrong on this page. Its operator finds more in the log, under reference {reference}.")
    return True


# Streamlit logs the text of every failed run, which may hold what somebody typed, before it asks `on_script_error`.
logging.getLogger("streamlit.error_util").addFilter(lambda record: record.exc_info is None)

app = st.App(
    Path(__file__).resolve().parent / "pages" / "_shell.py",
    lifespan=lifespan,
    routes=[*routes(hub.ready), *for_machines(hub)],
    middleware=[
        Middleware(
            Gate,
            hosts=allowed_hosts(settings),
            script_hashes=inline_script_hashes((Path(st.__file__).parent / "static" / "index.html").read_text("utf-8")),
        )
    ],
    on_script_error=on_script_error,
)

if __name__ == "__main__":
    with _opened, suppress(KeyboardInterrupt):
        app.run(config={"server.address": settings.address, "server.port": settings.port})
