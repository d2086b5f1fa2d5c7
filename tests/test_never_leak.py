"""No secret leaves the hub: canaries go through every flow, and everything it leaves behind is searched for them."""

from __future__ import annotations

import asyncio
import base64
import gc
import json
import logging
import pickle
import ssl
import subprocess
import sys
import traceback
from contextlib import closing, suppress
from dataclasses import is_dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

import httpx
import pytest

from hub_core import diagnostics
from hub_core.access import Scope
from hub_core.alerts.channel import Kind
from hub_core.alerts.form import ChannelForm
from hub_core.clock import Clock
from hub_core.errors import HubError, VerifyFailed
from hub_core.exports import to_csv, to_json
from hub_core.hub import Hub
from hub_core.model import ApiKey, Observation, RegionId, Secret, Stage
from hub_core.sandbox import Fault, ServerName
from hub_core.sandbox.faults import TRAITS
from hub_core.storage.channels import Channels
from hub_core.storage.keys import replace_key_file
from hub_core.storage.seal import MasterKey
from tests import paging
from tests.leaks import forms, leaks, leaks_in_folder, texts_within
from tests.linked import Hands, form, installation, organization, reset, sandbox_without_limits
from tests.machines import served as served_to_machines

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from hub_core.alerts.teller import Pinger
    from hub_core.sandbox import RunningSandbox
    from hub_core.settings import Settings

ROOT = Path(__file__).resolve().parents[1]
EXAMPLE = 'Ca+na/ry=S&cret\u00e9"x0123456789'
PING = "PingCanary0000000000000000001"
SLOW = {Fault.SLOW: {"seconds": 3}, Fault.DRIP: {"seconds": 3}, Fault.HUGE_BODY: {"megabytes": 2}}


# ---- the scanner itself


ENCODINGS: dict[str, Callable[[bytes], bytes]] = {
    "raw": lambda data: data,
    "reversed": lambda data: data[::-1],
    "hex": lambda data: data.hex().encode(),
    "HEX": lambda data: data.hex().upper().encode(),
    "url": lambda data: quote(data, safe="").encode(),
    "json": lambda data: json.dumps(data.decode()).encode(),
    "base64 at 0": base64.b64encode,
    "base64 at 1": lambda data: base64.b64encode(b"." + data + b".."),
    "base64 at 2": lambda data: base64.b64encode(b"Basic:.." + data + b"."),
    "base64url at 0": base64.urlsafe_b64encode,
    "utf-16": lambda data: data.decode().encode("utf-16-le"),
    "python": lambda data: repr(data).encode(),
}


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("kind", ["text", "a file", "an object"])
def test_a_planted_leak_is_found(tmp_path: Path, encoding: str, kind: str) -> None:
    """A canary that is hidden in any encoding, in any kind of artefact, is found."""
    canary = EXAMPLE.replace("\u00e9", "e") if encoding == "utf-16" else EXAMPLE
    planted = b"before " + ENCODINGS[encoding](canary.encode()) + b" after"
    canaries = {"canary": canary}
    if kind == "text":
        assert leaks(canaries, planted)
    elif kind == "a file":
        (tmp_path / "deep").mkdir()
        (tmp_path / "deep" / "hub.db-wal").write_bytes(bytes(5000) + planted)
        assert leaks_in_folder(canaries, tmp_path)
    else:
        hidden = {"outer": [({"inner": Secret(planted.decode("latin-1"))},)]}
        assert leaks(canaries, "\n".join(texts_within(hidden)).encode("latin-1", "replace"))


def test_what_is_not_a_leak_is_not_found() -> None:
    """The beginning or the end of a canary alone, or another secret, is no finding; no form is short or empty."""
    assert leaks({"canary": EXAMPLE}, EXAMPLE[:-1] + " " + EXAMPLE[1:]) == []
    assert min(len(form) for form in forms(EXAMPLE).values()) > 20


# ---- the hub


@pytest.fixture(scope="module")
def served() -> Iterator[RunningSandbox]:
    with sandbox_without_limits() as running:
        yield running


@pytest.fixture
def running(served: RunningSandbox) -> Iterator[RunningSandbox]:
    yield served
    reset(served)


def token_mark(running: RunningSandbox, word: str = "Harbor") -> str:
    """Return what every access token of a server begins with: its header."""
    who = organization(running, word)
    form = {"grant_type": "client_credentials", "scope": "api.organization", "client_id": who.client_id}
    form |= {"client_secret": who.secret, "deviceType": "8", "deviceIdentifier": "x", "deviceName": "x"}
    context = ssl.create_default_context(cadata=running.ca_pem)
    url = f"{running.sandbox.endpoints(who.server).identity}/connect/token"
    with httpx.Client(verify=context, trust_env=False) as client:
        return str(client.post(url, data=form).json()["access_token"]).split(".")[0]


def keys_of(hub: Hub) -> dict[str, str | bytes]:
    """Return the master key and the data keys as canaries."""
    master = hub.keychain.master
    text = master.to_text().reveal()
    found: dict[str, str | bytes] = {"master key": text, "master key's bytes": base64.b64decode(text)}
    return found | {f"data key {row.dek_id}": master.unwrap(row) for row in hub.store.ring()}


class Evidence:
    """Everything the flows leave behind beside the files."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def note(self, *things: object) -> None:
        """Keep what things say of themselves."""
        self.texts += [text for thing in things for text in (repr(thing), str(thing))]

    def caught(self, error: BaseException) -> None:
        """Keep everything an exception says: text, traceback, and its pickle if it can be had."""
        self.note(error, *getattr(error, "errors", ()))
        self.texts.append("".join(traceback.format_exception(error)))
        with suppress(TypeError, AttributeError, pickle.PicklingError):
            self.texts.append(pickle.dumps(error).decode("latin-1"))
        if isinstance(error, VerifyFailed):
            self.note(error.check)

    def living(self) -> None:
        """Keep the representation of every value of the hub that lives at this moment."""
        self.note(
            *(
                thing
                for thing in gc.get_objects()
                if is_dataclass(type(thing))
                and type(thing).__module__.startswith("hub_core.")
                and not type(thing).__module__.startswith("hub_core.sandbox")
            )
        )

    def attempt(self, work: Callable[[], object]) -> None:
        """Do something that may fail, and keep what it returns or raises."""
        try:
            self.note(work())
        except HubError as error:
            self.caught(error)

    def watch(self, event: object) -> None:
        """Keep what is told while a check runs, and once what lives while the access token does."""
        self.note(event)
        if isinstance(event, Observation) and event.stage is Stage.TOKEN:
            self.living()


def every_flow(hub: Hub, running: RunningSandbox, evidence: Evidence, folder: Path) -> dict[str, str | bytes]:
    """Send canaries through every flow of the hub, failures included, and return them."""
    harbor = organization(running, "Harbor")
    first = running.sandbox.rotate(harbor.client_id)
    wrong = "WrongCanary0000000000000000001"
    canaries: dict[str, str | bytes] = {"secret": first, "wrong secret": wrong, "token": token_mark(running)}
    canaries |= keys_of(hub)
    good = replace(form(harbor), secret=first)

    def try_link(filled: object, at: str = "us") -> None:
        evidence.attempt(
            lambda: hub.link(hub.read_form(filled, sandbox_server=at), actor="x", watch=evidence.watch)  # type: ignore[arg-type]
        )

    for mistake in (
        {"client_id": first, "secret": harbor.client_id},
        {"client_id": first},
        {"secret": harbor.client_id, "client_id": f"user.{harbor.guid}"},
        {"client_id": ""},
        {"label": ""},
        {"secret": f"{first} {first}"},
        {"secret": first * 4},
        {"secret": first + "\u00e9"},
        {"ca": first, "region": RegionId.US},
        {"client_id": harbor.guid},
        {"secret": wrong},
    ):
        try_link(replace(good, **mistake))  # type: ignore[arg-type]  # fields of the form
    try_link(good, "eu")
    for fault in TRAITS:
        running.sandbox.faults.set(ServerName.US, fault, **SLOW.get(fault, {}))  # type: ignore[arg-type]
        try_link(good)
        reset(running)
        for row in hub.accounts():
            hub.unlink(row.id, row.label, actor="x")
    try_link(good)
    (row,) = hub.accounts()
    evidence.note(hub.keychain.status(), hub.store.load(row.id), hub.settings, hub.account(row.id))
    evidence.attempt(lambda: hub.check(row.id, watch=evidence.watch))
    for fault in (Fault.DISABLE, Fault.FOREIGN_ISSUER, Fault.HTML, Fault.API_500):
        running.sandbox.faults.set(harbor.client_id, fault)
        evidence.attempt(lambda: hub.check(row.id, watch=evidence.watch))
        reset(running)
    evidence.note(*hub.check_many([row.id]))
    try_link(good)  # already linked
    second = running.sandbox.rotate(harbor.client_id)
    canaries["second secret"] = second
    for key in (ApiKey(harbor.client_id, Secret(wrong)), ApiKey(harbor.client_id, Secret(second))):
        evidence.attempt(lambda key=key: hub.relink(row.id, key, actor="x", watch=evidence.watch))  # type: ignore[misc]
    evidence.attempt(lambda: hub.read_new_key(row.id, harbor.client_id))
    evidence.attempt(lambda: hub.edit_server(row.id, replace(good, region=RegionId.EU), actor="x"))
    evidence.note(hub.take(hub.hold(good)), hub.hold(good))
    canaries |= every_channel(hub, running, evidence)
    canaries["address of the ping"] = PING
    evidence.attempt(lambda: asyncio.run(must(hub.alerts.pinger()).after_pass()))
    evidence.note(diagnostics.collect(hub), diagnostics.settings_in_use(hub.settings))
    evidence.attempt(lambda: hub.keychain.rotate(actor="x"))
    canaries |= keys_of(hub)
    new = MasterKey.generate()
    replace_key_file(hub.settings.config / "master.key", new)
    evidence.attempt(lambda: hub.keychain.rekey(new, actor="x"))
    canaries |= keys_of(hub)
    hub.store.database.backup(folder / "backup.db")
    now = hub.clock.now()
    (folder / "export.csv").write_text(to_csv(hub.accounts(), now=now))
    (folder / "export.json").write_text(to_json(hub.accounts(), now=now))
    canaries |= every_door(hub, row.id, evidence)
    evidence.living()
    return canaries


def must(found: Pinger | None) -> Pinger:
    """Return what is there."""
    assert found
    return found


def every_door(hub: Hub, account_id: str, evidence: Evidence) -> dict[str, str]:
    """Read everything that programs can read, rightly and wrongly, and return the API tokens."""
    hub.access.set_badge(account_id, True, actor="x")
    paths = ("accounts", f"accounts/{account_id}", "incidents", "openapi.json", "accounts?cursor=x&limit=x")
    with served_to_machines(hub) as machines:
        for path in (*(f"/api/v1/{path}" for path in paths), "/metrics", f"/badge/{account_id}.svg"):
            evidence.note(*(machines.get(path, scope=scope) for scope in (None, *Scope)))
        return {f"api token to {scope}": machines.token(scope) for scope in Scope}


def every_channel(hub: Hub, running: RunningSandbox, evidence: Evidence) -> dict[str, str | bytes]:
    """Add channels of both kinds that nobody answers, also wrongly; try and change them; return the canaries."""
    place, path, given = (
        running.origin,
        "HookCanary0000000000000000001",
        "whsec_" + base64.b64encode(b"c" * 32).decode(),
    )
    apprise = f"jsons://u:{path}@{place.removeprefix('https://')}/{path}"
    made: dict[str, str | bytes] = {"address of a channel": path, "signing secret": given}
    for entered in (
        ChannelForm(name="web", target=f"{place}/{path}?token={path}", secret=given),
        ChannelForm(name="made", target=f"{place}/{path}"),
        ChannelForm(name="apprise", kind=Kind.APPRISE, target=apprise),
        ChannelForm(name="wrong", target=f"https://{path}@hooks.example/", secret=path),
        ChannelForm(name="wrong", kind=Kind.APPRISE, target=f"syslog://{path}"),
    ):
        evidence.note(entered)
        evidence.attempt(lambda entered=entered: hub.alerts.add(hub.alerts.read_form(entered), actor="x"))  # type: ignore[misc]
    assert [channel.name for channel in hub.alerts.channels()] == ["apprise", "made", "web"]
    for channel in hub.alerts.channels():
        evidence.attempt(lambda channel=channel: hub.alerts.test(channel.id, actor="x"))  # type: ignore[misc]
        evidence.note(channel, *hub.alerts.deliveries(channel.id), hub.alerts.problem())
    evidence.note(Channels(hub.store.database).all_sealed())
    return made


def test_no_flow_leaks(tmp_path: Path, running: RunningSandbox, caplog: pytest.LogCaptureFixture) -> None:
    """After every flow, no canary is in any file, log record at DEBUG, exception, pickle or representation."""
    settings = installation(
        tmp_path,
        running,
        outbound_loopback=(running.origin.removeprefix("https://"),),
        ping_url=Secret(f"{running.origin}/{PING}?key={PING}"),
    )
    evidence, hands = Evidence(), Hands()

    def jump() -> object:
        hands.forward(seconds=1)
        return hands.now()

    clock = Clock(now=jump)  # type: ignore[arg-type]  # a time; it goes on so that no flow waits for the budget
    caplog.set_level(logging.DEBUG)
    with closing(Hub.open(settings, clock=clock, deadline_s=1.0)) as hub:
        canaries = every_flow(hub, running, evidence, settings.data)
        alive = leaks_in_folder(canaries, settings.data)
    assert "LINKHUB_PING_URL could not be asked" in caplog.text
    assert alive == []
    assert leaks_in_folder(canaries, settings.data) == []
    assert [(text[:80], leak) for text in set(evidence.texts) for leak in leaks(canaries, text, "a text")] == []
    assert leaks(canaries, caplog.text + "".join(map(repr, (r.__dict__ for r in caplog.records))), "the log") == []
    said = "\n".join(evidence.texts)
    for word in (
        "AccessToken(",
        "ApiKey(",
        "drafts.Form object",
        "Draft(",
        "Sealed(",
        "Settings(",
        "VerifyFailed",
        "Traceback",
    ):
        assert word in said


def test_the_search_would_have_found_it(tmp_path: Path, running: RunningSandbox) -> None:
    """The same search finds a secret that is planted into label, note, audit trail, log and exception."""
    settings = installation(tmp_path, running)
    with closing(Hub.open(settings)) as hub:
        secret = organization(running, "Alpine").secret
        alpine = organization(running, "Alpine")
        hub.link(hub.read_form(form(alpine, note=secret), sandbox_server="eu"), actor="x")
        assert leaks_in_folder({"secret": secret}, settings.data)
        hub.store.database.backup(tmp_path / "copy.db")
        assert leaks({"secret": secret}, (tmp_path / "copy.db").read_bytes())
        (row,) = hub.accounts()
        assert leaks({"secret": secret}, to_json([row._replace(label=secret)], now=hub.clock.now()))
        evidence = Evidence()
        evidence.caught(HubError(secret))
        assert leaks({"secret": secret}, "\n".join(evidence.texts))


@pytest.mark.parametrize("kind", [Secret("x" * 30), ApiKey("organization.x", Secret("x" * 30)), MasterKey(bytes(32))])
def test_what_holds_a_secret_is_not_pickled(kind: object) -> None:
    """Secrets, keys and whatever contains them refuse to be pickled."""
    with pytest.raises(TypeError, match="not pickled"):
        pickle.dumps(kind)


# ---- the command line


def run_watched(settings: Settings, *arguments: str, stdin: str) -> tuple[int, str]:
    """Run a command as a child, and return its code with everything it printed and everything others could see."""
    env = {
        "PATH": "/usr/bin:/bin",
        "LINKHUB_DATA": str(settings.data),
        "LINKHUB_CONFIG": str(settings.config),
        "LINKHUB_SANDBOX_PORT": str(settings.sandbox_port),
        "LINKHUB_TOKEN_LIMIT": "60",
        "LINKHUB_LOG_LEVEL": "DEBUG",
    }
    command = [sys.executable, "-m", "hub_core", *arguments]
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    seen = ""
    with subprocess.Popen(command, cwd=ROOT, env=env, text=True, **pipes) as child:  # type: ignore[call-overload]
        child.stdin.write(stdin)
        child.stdin.close()
        while child.poll() is None:
            for name in ("cmdline", "environ"):
                with suppress(OSError):
                    seen += Path(f"/proc/{child.pid}/{name}").read_bytes().decode("utf-8", "replace") + "\n"
            with suppress(subprocess.TimeoutExpired):
                child.wait(0.05)
        seen += child.stdout.read() + child.stderr.read()
        return child.returncode, seen


def test_no_command_leaks(tmp_path: Path, running: RunningSandbox) -> None:
    """Commands that get a secret on stdin show it neither in what they print nor to others on the machine."""
    settings = installation(tmp_path, running)
    orchard = organization(running, "Orchard")
    secret = running.sandbox.rotate(orchard.client_id)
    wrong = "WrongCanary0000000000000000002"
    where = ("--region", "sandbox", "--sandbox-server", "self-hosted", "--label", "Orchard")
    client = ("--client-id", orchard.client_id)
    runs = [
        run_watched(settings, "link", *where, *client, stdin=wrong),
        run_watched(settings, "link", *where, "--client-id", f"user.{orchard.guid}", stdin=secret),
        run_watched(settings, "link", *where, *client, stdin=orchard.client_id + secret),
        run_watched(settings, "link", *where, *client, stdin=secret),
        run_watched(settings, "relink", "Orchard", stdin=wrong),
        run_watched(settings, "show", "Orchard", "--json", stdin=""),
        run_watched(settings, "check", "--all", "--json", stdin=""),
        run_watched(settings, "export", "--format", "json", stdin=""),
        run_watched(settings, "doctor", stdin=""),
        run_watched(settings, "key", "status", stdin=""),
        run_watched(settings, "backup", str(tmp_path / "copy"), stdin=""),
    ]
    assert [code for code, _ in runs] == [1, 2, 2, 0, 1, 0, 0, 0, 0, 0, 0], runs
    canaries: dict[str, str | bytes] = {"secret": secret, "wrong": wrong, "token": token_mark(running, "Orchard")}
    with closing(Hub.open(settings)) as hub:
        canaries |= keys_of(hub)
        assert len(hub.accounts()) == 1
    assert [leak for code, seen in runs for leak in leaks(canaries, seen, f"a command that ended with {code}")] == []
    assert leaks_in_folder(canaries, settings.data) == []
    assert not (tmp_path / "copy").is_dir() or leaks_in_folder(canaries, tmp_path / "copy") == []


# ---- the pages


@pytest.fixture
def pages(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    with paging.own_hub(monkeypatch, tmp_path):
        yield tmp_path / "data"


def on_page(visitor: paging.Visitor) -> str:
    """Return everything the page sent to the browser, and everything its session still knows."""
    sent = [str(getattr(node, "proto", node)) for node in visitor.at]
    state = visitor.at.session_state
    known = [*texts_within(dict(state.items())), repr(state._state)]  # its own store keeps what was typed, too
    return "\n".join([*sent, *known, *map(str, visitor.at.query_params.values())])


def typed(visitor: paging.Visitor, word: str, secret: str, **changes: object) -> paging.Visitor:
    """Fill in the form and send it."""
    who = paging.organization(word)
    visitor.type(link_sandbox_server=who.server)
    filled = {"link_client_id": who.client_id, "link_secret": secret, "link_label": who.name} | changes
    return visitor.fill(**filled).press("link_submit")


def test_no_page_leaks(pages: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Whatever was done on the pages, neither page nor session nor any file knows a secret."""
    caplog.set_level(logging.DEBUG)
    caplog.set_level(logging.INFO, "fsevents")
    canary = paging.rotate("Harbor")
    wrong = "WrongCanary0000000000000000003"
    canaries: dict[str, str | bytes] = {"secret": canary, "wrong": wrong}
    seen: list[str] = []

    def look(visitor: paging.Visitor, step: str) -> None:
        seen.extend(leaks(canaries, on_page(visitor), step))

    fresh = paging.Visitor("link.py", region=RegionId.SANDBOX)
    look(typed(fresh, "Harbor", wrong), "a refusal")
    paging.forget_requests()
    who = paging.organization("Harbor")
    swapped = typed(fresh, "Harbor", who.client_id, link_client_id=canary)
    look(swapped, "swapped fields")
    look(typed(fresh, "Harbor", canary, link_label=""), "a missing label")
    paging.forget_requests()
    look(typed(fresh, "Harbor", canary), "linked")
    (row,) = paging.hub().accounts()
    look(paging.Visitor(), "accounts")
    again = paging.Visitor("link.py", region=RegionId.SANDBOX)
    look(typed(again, "Harbor", canary), "a twin")
    paging.forget_requests()
    account = paging.Visitor("account.py", account=row.id, do="Relink")
    account.fill(relink_secret=wrong).press("relink_go")
    look(account, "a refused relink")
    paging.forget_requests()
    account.fill(relink_secret=canary).press("relink_go")
    look(account, "a relink")
    assert seen == []
    assert leaks_in_folder(canaries, pages) == []
    assert leaks(canaries, caplog.text, "the log") == []


def test_no_part_of_the_settings_page_leaks(
    pages: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Address and signing secret of a channel, API tokens once copied, and the ping's address are on no part of it."""
    caplog.set_level(logging.INFO)
    monkeypatch.setenv("LINKHUB_PING_URL", f"https://ping.invalid/{PING}")
    hook, given = "HookCanary0000000000000000002", "whsec_" + base64.b64encode(b"d" * 32).decode()
    canaries: dict[str, str | bytes] = {"ping": PING, "address": hook, "signing secret": given}
    visitor = paging.Visitor("settings.py", part="Channels")
    fields = {"channel_target_new-0": f"ftp://hooks.invalid/{hook}", "channel_secret_new-0": given}
    visitor.fill(**fields | {"channel_name_new-0": "Ops"}).press("channel_go")
    assert leaks(canaries, on_page(visitor), "a channel that was refused") == []
    fields["channel_target_new-0"] = f"https://hooks.invalid/{hook}"
    visitor.fill(**fields).press("channel_go")
    (channel,) = paging.hub().alerts.channels()
    assert leaks(canaries, on_page(visitor), "a channel that was added") == []
    token = paging.Visitor("settings.py", part="API")
    token.fill(token_name="Grafana", token_scopes=[Scope.READ]).press("token_go")
    canaries["api token"] = next(code.value for code in token.at.code if code.value.startswith("lh_"))
    token.press("token_copied")
    seen = [leak for part in (visitor, token) for leak in leaks(canaries, on_page(part), "afterwards")]
    for part in ("Channels", "Maintenance", "API", "Checks", "Audit", "Diagnostics"):
        seen += leaks(canaries, on_page(paging.Visitor("settings.py", part=part)), part)
    assert seen == []
    assert channel.hint == "https://hooks.invalid"
    assert paging.hub().settings.ping_url
    assert leaks_in_folder(canaries, pages) == []
    assert leaks(canaries, caplog.text, "the log") == []


def test_the_search_of_pages_would_have_found_it(pages: Path) -> None:
    """The same search finds a secret that is shown on a page, or kept in the session's state."""
    shown = paging.organization("Meadow").secret  # the sandbox shows its own keys on purpose
    visitor = paging.Visitor("link.py", region=RegionId.SANDBOX)
    assert leaks({"shown": shown}, on_page(visitor))
    visitor.at.session_state["kept"] = [ApiKey("organization.x", Secret(EXAMPLE))]
    assert leaks({"kept": EXAMPLE}, on_page(visitor))
