"""The Accounts page without a browser: counts, order, search, filters, row actions and checking all."""

from __future__ import annotations

import csv
import io
import re
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from hub_core.exports import to_csv
from hub_core.model import Lifecycle, Status
from hub_core.sandbox import Fault
from tests.paging import Visitor, change_row, check, hub, link, own_hub, rotate, sandbox

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from hub_core.model import Account

WORDS = {
    "Check now": ":material/refresh: Check now",
    "Open": ":material/open_in_full: Open",
    "Relink": ":material/key: Relink",
    "Pause": ":material/pause_circle: Pause",
    "Resume": ":material/play_circle: Resume",
    "Unlink": ":material/link_off: Unlink",
}
HOSTILE = [
    "<script>alert(1)</script>",
    "**bold** _it_ `code` [x](https://evil.example) ![i](https://evil.example/i.png)",
    '=HYPERLINK("https://evil.example","x")',
    "@SUM(1+9)",
    "$e^x$ :material/key: :red[x] :smile: <https://evil.example>",
    "شركة البستان \u202eevil",
    "👩‍👩‍👧‍👦 組織",
    "a\0b",
    "x" * 10_000,
]


@pytest.fixture(autouse=True)
def _hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    with own_hub(monkeypatch, tmp_path):
        yield


@pytest.fixture
def mixed() -> dict[str, Account]:
    """One account in every kind of standing: healthy, limited, degraded, failing, unreachable, paused, stale."""
    words = {"Meadow": "prod, Berlin", "Harbor": "prod", "Alpine": "", "Orchard": "", "Cedar": "test"}
    accounts = {word: link(word, tags=tags) for word, tags in words.items()}
    rotate("Harbor")
    sandbox().faults.set("eu", Fault.BAD_GATEWAY)
    for word in ("Harbor", "Alpine"):
        check(accounts[word])
    hub().pause(accounts["Orchard"].id, "moving house", actor="test")
    return accounts


def listed(visitor: Visitor) -> list[str]:
    """Return the labels of the table, in their order."""
    return [str(label) for label in visitor.at.dataframe[0].value["Account"]]


def counted(visitor: Visitor) -> list[str]:
    """Return how many accounts the page says are in each status."""
    badges = [re.fullmatch(r":\w+-badge\[:material/\w+: (\d+ [\w ]+)\]", text) for text in visitor.texts("markdown")]
    return [found[1] for found in badges if found]


def checked_all(visitor: Visitor) -> Visitor:
    """Have every listed account checked, and wait until it is."""
    visitor.press("check_all")
    while "check_all_stop" in visitor.buttons:
        visitor.run()
    return visitor


def act(visitor: Visitor, word: str, account: Account) -> Visitor:
    """Choose an entry of a row's menu, as the click in the browser hands it over."""
    present = hub().account(account.id)
    visitor.at.session_state["row_action"] = (WORDS[word], account.id, present.label, present.lifecycle)
    return visitor.run()


@pytest.mark.usefixtures("mixed")
def test_counts_and_worst_first() -> None:
    """Every status that occurs is counted, and the table begins with what needs somebody."""
    visitor = Visitor()
    assert counted(visitor) == ["5 linked", "1 Failing", "1 Unreachable", "1 Limited", "1 Healthy", "1 Paused"]
    assert listed(visitor) == [
        "Harbor Clinic",
        "Alpine Logistics",
        "Cedar Makerspace",
        "Meadow Bakery",
        "Orchard School",
    ]
    frame = visitor.at.dataframe[0].value
    assert list(frame["Status"][0]) == ["✕ Failing"]
    assert "no longer accepts this key" in frame["Cause"][0]
    assert frame["Cert."][3] > 300


@pytest.mark.usefixtures("mixed")
@pytest.mark.parametrize(
    ("typed", "found"),
    [
        ("MEADOW", ["Meadow Bakery"]),
        ("berlin", ["Meadow Bakery"]),
        ("e802", ["Harbor Clinic"]),
        ("2026.8", ["Harbor Clinic", "Alpine Logistics", "Meadow Bakery", "Orchard School"]),
        ("sandbox", ["Harbor Clinic", "Alpine Logistics", "Cedar Makerspace", "Meadow Bakery", "Orchard School"]),
        ("127.0.0.1", ["Harbor Clinic", "Alpine Logistics", "Cedar Makerspace", "Meadow Bakery", "Orchard School"]),
    ],
)
def test_search(typed: str, found: list[str]) -> None:
    """Search finds labels, tags, hosts, ids, versions of servers and regions, whatever the case."""
    visitor = Visitor().type(q=typed)
    assert listed(visitor) == found
    assert f"{len(found)} of 5 accounts" in visitor.text


@pytest.mark.usefixtures("mixed")
def test_filters() -> None:
    """Status and tag narrow the table together, and a sentence says when nothing is left."""
    visitor = Visitor().type(status=["Failing", "Healthy"])
    assert listed(visitor) == ["Harbor Clinic", "Meadow Bakery"]
    assert listed(visitor.type(tag=["Berlin"])) == ["Meadow Bakery"]
    visitor.type(q="nobody")
    assert "No account passes these filters." in visitor.text
    assert not visitor.at.dataframe
    assert len(listed(visitor.type(q="", status=[], tag=[]))) == 5


@pytest.mark.usefixtures("mixed")
def test_filters_come_from_the_address() -> None:
    """A shared address opens with its search and filters set, and nonsense in it does no harm."""
    visitor = Visitor(q="bak", status="Healthy", tag="prod")
    assert listed(visitor) == ["Meadow Bakery"]
    assert visitor.value("status") == ["Healthy"]
    assert len(listed(Visitor(status="Splendid", tag="none", **{"in": "mars"}))) == 5


def test_leaving_a_filtered_table(mixed: dict[str, Account]) -> None:
    """With filters in the address every way to another page is open."""
    filtered = {"q": "bak", "status": "Healthy"}
    assert Visitor(**filtered).press("go_link").at.title[0].value == "Link an organization"
    assert act(Visitor(**filtered), "Open", mixed["Meadow"]).at.title[0].value == "Meadow Bakery"
    visitor = act(Visitor(**filtered), "Unlink", mixed["Harbor"])
    assert not visitor.fill(unlink_label="Harbor Clinic").press("unlink_go").at.error


def test_region_filter_only_with_two_regions() -> None:
    """A filter that could change nothing is not shown."""
    one, two = link("Meadow"), link("Harbor")
    assert not Visitor().at.multiselect
    change_row(one.id, region="eu")
    visitor = Visitor()
    assert [choice.key for choice in visitor.at.multiselect] == ["in"]
    assert listed(visitor.type(**{"in": ["eu"]})) == ["Meadow Bakery"]
    assert listed(visitor.type(**{"in": ["sandbox"]})) == [two.label]


# ---- row actions


def test_row_check_now(mixed: dict[str, Account]) -> None:
    """A row is checked with its stages shown, good and bad."""
    visitor = act(Visitor(), "Check now", mixed["Meadow"])
    assert visitor.at.status[0].label == "Checked “Meadow Bakery”: the key works"
    assert "The key is accepted" in visitor.text
    act(visitor, "Check now", mixed["Harbor"])
    assert visitor.at.status[0].state == "error"
    assert "no longer accepts this key" in visitor.at.status[0].label
    sandbox().faults.clear()
    act(visitor, "Check now", mixed["Alpine"])
    assert "Unreachable" not in visitor.text


def test_row_open_and_relink(mixed: dict[str, Account]) -> None:
    """Opening leads to the account, relinking to its field for the new secret."""
    visitor = act(Visitor(), "Open", mixed["Meadow"])
    assert visitor.at.title[0].value == "Meadow Bakery"
    assert "relink_go" not in visitor.buttons
    assert "relink_go" in act(Visitor(), "Relink", mixed["Harbor"]).buttons


def test_row_pause_and_resume(mixed: dict[str, Account]) -> None:
    """Pausing asks why and keeps it; resuming is one click."""
    visitor = act(Visitor(), "Pause", mixed["Meadow"])
    visitor.fill(pause_why="  moving\nhouse ").press("pause_go")
    account = hub().account(mixed["Meadow"].id)
    assert (account.lifecycle, account.pause_reason) == (Lifecycle.PAUSED, "moving house")
    assert "‖ Paused" in visitor.text
    act(visitor, "Resume", mixed["Meadow"])
    assert hub().account(mixed["Meadow"].id).lifecycle is Lifecycle.ACTIVE
    assert "is checked again" in visitor.at.toast[0].value


def test_row_unlink(mixed: dict[str, Account]) -> None:
    """Unlinking wants the label typed: a wrong one is told and erases nothing, the right one erases at once."""
    visitor = act(Visitor(), "Unlink", mixed["Meadow"])
    assert "until an Owner rotates it" in visitor.text
    visitor.fill(unlink_label="Meadow").press("unlink_go")
    assert visitor.texts("error") == ["Type the label exactly: Meadow Bakery"]
    assert len(hub().accounts()) == 5
    visitor.fill(unlink_label=" Meadow Bakery ").press("unlink_go")
    assert len(hub().accounts()) == 4
    assert "“Meadow Bakery” was unlinked and its secret erased" in visitor.texts("success")[0]
    assert not visitor.run().at.success


def test_unlinking_the_last_one() -> None:
    """After the last account is unlinked the empty page says what happened."""
    account = link("Meadow")
    visitor = act(Visitor(), "Unlink", account).fill(unlink_label=account.label).press("unlink_go")
    assert "was unlinked" in visitor.texts("success")[0]
    assert "door_link" in visitor.buttons


@pytest.mark.parametrize("word", list(WORDS))
def test_row_of_an_account_that_is_gone(word: str) -> None:
    """An action on an account somebody else has unlinked meanwhile ends in a sentence, not in a failure."""
    account, _ = link("Meadow"), link("Harbor")
    visitor = Visitor()
    row = (WORDS[word], account.id, account.label, Lifecycle.PAUSED if word == "Resume" else Lifecycle.ACTIVE)
    hub().unlink(account.id, account.label, actor="somebody")
    visitor.at.session_state["row_action"] = row
    visitor.run()


# ---- check all


def test_check_all(mixed: dict[str, Account]) -> None:
    """Checking all goes over every account but paused ones, and the page shows what it found."""
    sandbox().faults.clear()
    rotate("Meadow")
    before = {row.id: row.checked_at for row in hub().accounts()}
    visitor = checked_all(Visitor())
    after = {row.id: row.checked_at for row in hub().accounts()}
    assert {word for word, account in mixed.items() if before[account.id] == after[account.id]} == {"Orchard"}
    assert listed(visitor)[:2] == ["Harbor Clinic", "Meadow Bakery"]
    assert "check_all_stop" not in visitor.buttons


def test_check_all_keeps_to_the_filter(mixed: dict[str, Account]) -> None:
    """What the filters hide is not checked."""
    before = {row.id: row.checked_at for row in hub().accounts()}
    checked_all(Visitor().type(status=["Healthy"]))
    changed = {row.id for row in hub().accounts() if row.checked_at != before[row.id]}
    assert changed == {mixed["Meadow"].id}


# ---- names, staleness, export


def test_stale_is_never_green(monkeypatch: pytest.MonkeyPatch) -> None:
    """An account nobody has checked for long is shown as such, before the healthy ones."""
    monkeypatch.setenv("LINKHUB_INTERVAL_MINUTES", "1")
    old, _ = link("Meadow"), link("Harbor")
    change_row(old.id, checked_at=hub().clock.now() - timedelta(minutes=5))
    visitor = Visitor()
    assert listed(visitor) == ["Meadow Bakery", "Harbor Clinic"]
    assert list(visitor.at.dataframe[0].value["Status"][0]) == ["◷ No recent check"]
    assert "1 Healthy" in counted(visitor)
    assert hub().account(old.id).standing.status is Status.HEALTHY


@pytest.mark.parametrize("label", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_names(label: str) -> None:
    """A label of any kind is listed, opened, asked for and exported as the text it is."""
    account = link("Meadow")
    change_row(account.id, label=label, tags='["' + "<b>t</b>" + '"]', note=label, pause_reason=label)
    visitor = Visitor()
    assert listed(visitor) == [label]
    act(visitor, "Check now", account)
    assert "https://evil" not in str(visitor.at.status[0].proto)
    act(visitor, "Unlink", account)
    visitor.go("account.py", account=account.id)
    head = visitor.at.title[0].proto.body
    assert "<script" not in head.replace("\\<", "")
    assert "](" not in head.replace("\\]", "").replace("\\(", "")
    for view in ("Relink", "Edit", "History"):
        visitor.type(do=view)
    hub().pause(account.id, label, actor="test")
    visitor.run()
    rows = list(csv.DictReader(io.StringIO(to_csv(hub().accounts(), now=hub().clock.now()))))
    assert rows[0]["label"][0] not in "=@+-"


def test_export_is_offered() -> None:
    """The table can be taken away as CSV."""
    link("Meadow")
    assert Visitor().at.download_button("export_csv").label == "Export CSV"
