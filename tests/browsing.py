"""The dashboard in a real browser: a server, its sandbox, and tabs that notice whatever goes wrong in them."""

from __future__ import annotations

import os
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal
from urllib.parse import unquote, urlsplit

from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]
from playwright.sync_api import expect

from hub_core.drafts import Form
from hub_core.hub import Hub
from hub_core.model import RegionId
from hub_core.sandbox import Sandbox, serve
from hub_core.settings import Settings
from tests.serving import ROOT, chromium, free_port, start_server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Browser, ConsoleMessage, Locator, Page, Request

    from hub_core.model import Account
    from hub_core.sandbox import SandboxOrganization
    from tests.serving import Server

PICTURES = ROOT / "docs" / "img"
LARGEST = 150 * 1024
WIDE = (1280, 800)
NARROW = (390, 844)
PATIENCE_MS = 20_000


@dataclass
class Stage:
    """A running dashboard, its sandbox, a second door to its database, and a browser."""

    server: Server
    sandbox: Sandbox
    hub: Hub
    browser: Browser

    def organization(self, word: str) -> SandboxOrganization:
        """Return the sandbox's organization whose name begins with a word, with its present key."""
        return next(o for o in self.sandbox.organizations if o.name.startswith(word))

    def link(self, word: str, *, label: str = "", tags: str = "") -> Account:
        """Link an organization of the sandbox without a page."""
        which = self.organization(word)
        form = Form(
            region=RegionId.SANDBOX,
            label=label or which.name,
            client_id=which.client_id,
            secret=which.secret,
            tags=tags,
        )
        return self.hub.link(self.hub.read_form(form, sandbox_server=which.server), actor="test").account

    def start_over(self) -> None:
        """Unlink everything and repair the sandbox."""
        self.sandbox.faults.clear()
        self.sandbox._generations.clear()  # every key is the one the Link page shows
        for row in self.hub.accounts():
            self.hub.unlink(row.id, row.label, actor="test")

    @contextmanager
    def tab(self, *, size: tuple[int, int] = WIDE, dark: bool = False) -> Iterator[Tab]:
        """Open a tab, and assert when it closes that nothing was wrong in it."""
        context = self.browser.new_context(
            viewport={"width": size[0], "height": size[1]}, color_scheme="dark" if dark else "light"
        )
        context.set_default_timeout(PATIENCE_MS)
        with context:
            tab = Tab(self, context.new_page())
            tab.watch()
            yield tab
            tab.assert_clean()


@dataclass
class Tab:
    """One tab of the browser."""

    stage: Stage
    page: Page
    urls: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def watch(self) -> None:
        """Note every request and every complaint of the browser."""
        self.page.on("request", self._requested)
        self.page.on("websocket", lambda socket: self.urls.append(socket.url))
        self.page.on("console", self._said)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))

    def _requested(self, request: Request) -> None:
        if urlsplit(request.url).scheme not in {"data", "blob"}:
            self.urls.append(request.url)

    def _said(self, message: ConsoleMessage) -> None:
        # On a deep link Streamlit's front end looks for its base path at the page's own address first.
        probe = urlsplit(message.location.get("url", "")).path
        if message.type in {"error", "warning"} and not probe.endswith(("/_stcore/health", "/_stcore/host-config")):
            self.complaints.append(f"{message.text} ({message.location.get('url')})")

    def assert_clean(self, *secrets: str) -> None:
        """Assert that nothing left this host, the browser found no fault, and no secret was in an address."""
        assert {urlsplit(url).netloc for url in self.urls} <= {f"127.0.0.1:{self.stage.server.port}"}
        assert self.complaints == []
        for secret in secrets:
            assert not [url for url in self.urls if secret in unquote(url)]

    # ---- going somewhere

    def open(self, path: str = "/") -> Tab:
        """Open a page by its address."""
        self.page.goto(self.stage.server.url + path)
        self.page.get_by_role("heading", level=1).first.wait_for()
        return self.settle()

    def settle(self) -> Tab:
        """Wait until the page's script has ended and everything it sent is drawn."""
        self.page.locator("[data-testid=stApp][data-test-script-state=notRunning]").wait_for()
        expect(self.page.locator("[data-testid=stSkeleton], [data-stale=true]")).to_have_count(0)
        return self

    def button(self, name: str) -> Locator:
        """Return the button with a name."""
        return self.page.get_by_role("button", name=name, exact=True)

    def alert(self, text: str) -> Locator:
        """Return the box that says something is wrong."""
        return self.page.get_by_test_id("stAlert").filter(has_text=text)

    def field(self, label: str) -> Locator:
        """Return the text field with a label."""
        return self.page.get_by_role("textbox", name=label, exact=True)

    def tab_to(self, target: Locator) -> None:
        """Press Tab until an element has the focus, and assert that it then looks different."""
        # The mark of the focus may come with the next frame, or a transition: wait for it.
        look = """element => [element, element.parentElement, element.parentElement.parentElement]
            .map(e => getComputedStyle(e))
            .map(s => [s.outlineStyle, s.outlineColor, s.boxShadow, s.borderColor, s.backgroundColor]).join()"""
        before, handle = target.evaluate(look), target.element_handle()
        for _ in range(60):
            self.page.keyboard.press("Tab")
            if target.evaluate("element => element === document.activeElement"):
                break
        expect(target).to_be_focused()
        self.page.wait_for_function(f"([element, before]) => ({look})(element) !== before", arg=[handle, before])

    # ---- looking

    def shot(self, name: str) -> None:
        """Write a picture for the manual, unless it is there already; DOCS_IMG=1 draws it anew."""
        path = PICTURES / f"{name}.png"
        if path.exists() and os.environ.get("DOCS_IMG") != "1":
            return
        PICTURES.mkdir(parents=True, exist_ok=True)
        self.page.mouse.move(0, 0)
        self.page.screenshot(path=path, animations="disabled", caret="hide")
        assert path.stat().st_size <= LARGEST, f"{path} is too large for the manual"

    @contextmanager
    def darkened(self) -> Iterator[Tab]:
        """Show the same page dark for a while."""
        self._switch("dark")
        yield self
        self._switch("light")

    def _switch(self, scheme: Literal["dark", "light"]) -> None:
        look = "getComputedStyle(document.querySelector('[data-testid=stApp]')).backgroundColor"
        before = self.page.evaluate(look)
        self.page.emulate_media(color_scheme=scheme)
        still = "document.getAnimations().every(one => one.playState !== 'running')"  # colors fade into each other
        self.page.wait_for_function(f"before => {look} !== before && {still}", arg=before)

    def faults(self, *, dark: bool) -> list[str]:
        """Return what axe finds serious or critical."""
        # Streamlit writes the chosen options of segmented controls and pills in the primary colour, which also carries
        # the white text of buttons: on a dark page no colour is both light and dark enough.
        chosen = ["[data-testid=stButtonGroup] [data-selected=true]"] if dark else []
        found = Axe().run(self.page, {"exclude": [[css] for css in chosen]} if chosen else None).response["violations"]
        return [
            f"{fault['id']}: {node['html'][:300]} {node['failureSummary'][:300]}"
            for fault in found
            if fault["impact"] in {"serious", "critical"}
            for node in fault["nodes"]
        ]


@contextmanager
def staged(folder: Path, **environment: str) -> Iterator[Stage]:
    """Start a dashboard with a sandbox of ours behind it, and a browser; more of its environment can be given."""
    data, config, port = folder / "data", folder / "config", free_port()
    data.mkdir(mode=0o700)
    with ExitStack() as opened:
        sandbox = Sandbox(rate_limits=False)
        opened.enter_context(serve(sandbox, port=port, folder=data / "sandbox"))
        server = opened.enter_context(
            # One origin is all of the sandbox's servers.
            start_server(folder, LINKHUB_SANDBOX_PORT=str(port), LINKHUB_TOKEN_LIMIT="60", **environment)
        )
        hub = Hub.open(Settings(data=data, config=config, sandbox_port=port, token_limit=60))
        opened.callback(hub.close)
        yield Stage(server, sandbox, hub, opened.enter_context(chromium()))
