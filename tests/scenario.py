"""What happens in the simulated week: who has which trouble when, what people do, and within which bounds it shows."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

from hub_core.bitwarden.regions import region
from hub_core.health.rhythm import Rhythm
from hub_core.health.status import SUCCESSES_NEEDED
from hub_core.health.usual import QUICK_NEEDED, SLOW_NEEDED
from hub_core.model import Endpoints, Reason, RegionId, Status
from tests.world import Kind, Organization, Server, Trouble

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

RHYTHM = Rhythm()
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
ROUND = RHYTHM.interval * 1.1
"""The longest an account waits for its next light check, jitter and all."""

SLACK = 2 * MINUTE
"""For places in the queue, and for servers that let us wait."""

LOOK = MINUTE
"""How often the simulation looks: what it sees may be so old."""

CONFIRMED = 3 * ROUND + SLACK
"""Until the third failure in a row."""

UP_TO_SAYING = timedelta(days=60)


class Mix(NamedTuple):
    """How many organizations of each sort there are."""

    us: int
    eu: int
    hosted: int
    vaultwarden: int
    shared: int

    @classmethod
    def of(cls, number: int) -> Mix:
        """Return the usual mix of so many."""
        us, eu, hosted, warden = (round(number * part) for part in (0.4, 0.24, 0.2, 0.12))
        return cls(us, eu, hosted, warden, number - us - eu - hosted - warden)


@dataclass
class Case:
    """One trouble as people would tell it, and what the hub owes them."""

    name: str
    who: Sequence[Organization]
    begins: datetime
    ends: datetime
    status: Status | None
    """What the hub has to find; None where it must not say anything."""
    reasons: frozenset[Reason]
    detect: timedelta
    """Within which time it has to find it."""
    recover: timedelta
    """Within which time after the end it has to find that it is over."""
    bound: str
    """The same in words."""
    most: int = 1
    """How often it may be found at most."""
    required: bool = True
    """Whether the hub has to find it; else it may."""
    told: bool = True
    """Whether people hear of it."""
    down: bool = True
    """Whether it counts as down time."""
    outlasts: datetime | None = None
    """The end of the maintenance window that it began in: from then on people hear of it, and it counts."""


@dataclass
class Deed:
    """Something a person or the machine does at a moment."""

    at: datetime
    what: str
    who: Organization | None = None
    span: timedelta = timedelta()


@dataclass
class Quiet:
    """A time for which the hub has a good reason not to know everything."""

    begins: datetime
    ends: datetime
    region: RegionId | None = None


@dataclass
class Scenario:
    """Everybody, and everything that happens to them."""

    start: datetime
    mix: Mix
    organizations: list[Organization] = field(default_factory=list)
    troubles: list[Trouble] = field(default_factory=list)
    cases: list[Case] = field(default_factory=list)
    deeds: list[Deed] = field(default_factory=list)
    quiet: list[Quiet] = field(default_factory=list)
    sharing: Counter[str] = field(default_factory=Counter)
    """By identity origin, how many there are."""

    def settle(self) -> None:
        """Let everybody be."""
        self.organizations.extend(_everybody(self.mix))
        self.sharing.update(who.server.identity for who in self.organizations)

    def at(self, hours: float) -> datetime:
        """Return the moment so many hours after the beginning."""
        return self.start + hours * HOUR

    def of(self, name: str) -> list[Organization]:
        """Return the organizations of one sort."""
        return [who for who in self.organizations if name in who.tags]

    def neighbours(self, who: Organization) -> int:
        """Return how many share its token budget."""
        return self.sharing[who.server.identity]

    def catching_up(self, who: Sequence[Organization]) -> timedelta:
        """Return how long it takes until all of them have a fresh token again."""
        most = max(self.neighbours(one) for one in who)
        return max(ROUND, 1.1 * timedelta(minutes=most / RHYTHM.token_limit)) + SLACK

    # ---- kinds of cases

    def outage(
        self,
        name: str,
        who: Sequence[Organization],
        kind: Kind,
        reasons: set[Reason],
        *,
        begins: float,
        ends: float,
        status: Status | None = Status.UNREACHABLE,
        told: bool = True,
    ) -> None:
        """Let the servers of organizations be out of reach."""  # fmt: skip
        times = self.at(begins), self.at(ends)
        for server in {id(one.server): one.server for one in who}.values():
            self.troubles.append(Trouble(kind, *times, server=server))
        detect = CONFIRMED if len(who) == 1 else CONFIRMED + SLACK
        self.cases.append(Case(name, who, *times, status, frozenset(reasons), detect, self.catching_up(who),
                               "3 checks", told=told))  # fmt: skip

    def refusal(
        self, name: str, who: Organization, *, begins: float, relinked: float | None = None, mended: float | None = None
    ) -> None:
        """Let a key not be accepted any more, until a person gives the new one, or it is again by itself."""
        until = relinked or mended
        ends = self.at(until) if until else self.start + UP_TO_SAYING
        begun = self.at(begins)
        warden = who.server.vaultwarden
        if relinked:
            self.deeds += [Deed(begun, "rotate", who), Deed(ends, "relink", who)]
        else:
            self.troubles.append(Trouble(Kind.KEY_REFUSED, begun, ends, organization=who))
        again = (ends - begun) * 1.15 + 20 * MINUTE
        self.cases.append(
            Case(
                name, [who], begun, ends, Status.FAILING,
                frozenset({Reason.VAULTWARDEN_WRONG_SECRET if warden else Reason.KEY_NO_LONGER_ACCEPTED}),
                RHYTHM.unseen(self.neighbours(who)) + SLACK, SLACK if relinked else again, "unseen()",
            )
        )  # fmt: skip

    def flapping(self, name: str, who: Organization, *, begins: float, ends: float) -> None:
        """Let a server go for twenty minutes and come for ten, again and again."""
        at = self.at(begins)
        while at < self.at(ends):
            self.troubles.append(Trouble(Kind.NO_ANSWER, at, at + 20 * MINUTE, server=who.server))
            last, at = at + 20 * MINUTE, at + 30 * MINUTE
        reasons = frozenset({Reason.CONNECTION_TIMEOUT, Reason.ANSWER_TIMEOUT})
        most = max(2, round(ends - begins))
        self.cases.append(Case(name, [who], self.at(begins), last, Status.UNREACHABLE, reasons, CONFIRMED,
                               SUCCESSES_NEEDED * ROUND + SLACK, "3 checks, at most hourly", most=most))  # fmt: skip

    def be_quiet(self, begins: float, ends: float, region: RegionId | None = None) -> None:
        """Ask for no news about a time, nor about the catching up after it."""
        who = [one for one in self.organizations if region is None or one.server.endpoints.region is region]
        self.quiet.append(Quiet(self.at(begins), self.at(ends) + self.catching_up(who), region))


def morning(start: datetime, mix: Mix) -> Scenario:
    """Return what the tests simulate: one of everything in six hours."""
    made = Scenario(start, mix)
    made.settle()
    us, eu, hosted, warden = (made.of(name) for name in ("us", "eu", "hosted", "vaultwarden"))
    gone = {Reason.CONNECTION_TIMEOUT, Reason.ANSWER_TIMEOUT}
    made.be_quiet(0, 0)
    made.outage("server down for 20 minutes", hosted[:1], Kind.NO_ANSWER, gone, begins=0.6, ends=0.94)
    made.outage("blip of 8 minutes", hosted[1:2], Kind.NO_ANSWER, gone, begins=0.65, ends=0.78, status=None)
    made.outage("server down for 100 minutes", hosted[2:3], Kind.NO_ANSWER, gone, begins=0.7, ends=2.35)
    made.flapping("server comes and goes", hosted[3], begins=0.6, ends=2.0)
    made.outage("name gone from DNS", warden[:1], Kind.NO_NAME, {Reason.NAME_NOT_FOUND}, begins=0.7, ends=1.5)
    certificate(made, "certificate ends soon, renewed", hosted[4], begins=0.6, ends=2.2)
    made.refusal("key rotated, relinked", us[0], begins=0.7, relinked=2.0)
    made.refusal("Vaultwarden key rotated, relinked", warden[1], begins=0.8, relinked=2.1)
    made.refusal("organization disabled, enabled again", eu[0], begins=0.7, mended=1.5)
    offline(made, begins=2.6, ends=3.1)
    told_to_wait(made, begins=3.3, ends=3.45)
    made.outage("region out", eu, Kind.BAD_GATEWAY, {Reason.APPLICATION_DOWN}, begins=3.6, ends=4.1)
    window(made, "down in a maintenance window", hosted[5], begins=3.5, ends=4.6, down=(3.6, 4.1))
    window(made, "down for longer than the window", hosted[7], begins=3.5, ends=4.0, down=(3.6, 4.5))
    paused(made, "down while paused", hosted[6], begins=3.5, ends=4.4, down=(3.6, 4.1))
    killed(made, at=4.7, minutes=3)
    wrong_clock(made, begins=5.0, ends=5.4, by=2 * HOUR)
    no_fresh_tokens(made, "no fresh tokens for 45 minutes", made.of("shared"), begins=1.0)
    return made


def week(start: datetime, mix: Mix) -> Scenario:
    """Return the whole week."""
    made = morning(start, mix)
    us, eu, hosted, warden = (made.of(name) for name in ("us", "eu", "hosted", "vaultwarden"))
    gone, down = {Reason.CONNECTION_TIMEOUT, Reason.ANSWER_TIMEOUT}, {Reason.APPLICATION_DOWN}
    made.outage("server down for 6 hours", hosted[8:9], Kind.NO_ANSWER, gone, begins=7, ends=13)
    machine_sleeps(made, at=14, minutes=40)
    made.outage(
        "token requests fail for 3 hours", warden[2:3], Kind.TOKEN_FAULT, {Reason.TOKEN_FAULT}, begins=16, ends=19
    )
    made.cases[-1].detect += RHYTHM.unseen(1)
    made.cases[-1].recover = RHYTHM.unseen(1) + SLACK  # each try costs a token request, so it is tried as rarely
    made.outage("region out for 90 minutes", us, Kind.BAD_GATEWAY, down, begins=22, ends=23.5)
    made.refusal("plan lapsed", us[1], begins=27)
    made.outage(
        "certificate ended", hosted[7:8], Kind.CERTIFICATE_ENDED, {Reason.CERTIFICATE_EXPIRED}, begins=30, ends=40
    )
    killed(made, at=45, minutes=45)
    made.outage("shared server down for 6 hours", made.of("shared"), Kind.NO_ANSWER, gone, begins=50, ends=56)
    for n in range(5):
        made.refusal(f"one of five keys rotated ({n + 1})", us[5 + n], begins=60, relinked=66)
        made.refusal(f"one of five keys rotated in the EU ({n + 1})", eu[5 + n], begins=60, relinked=66)
    made.flapping("server comes and goes for a day", hosted[8], begins=70, ends=94)
    made.refusal("organization disabled for two days", eu[1], begins=72, mended=120)
    offline(made, begins=100, ends=100.4)
    wrong_clock(made, begins=104, ends=104.5, by=-2 * HOUR)
    slow(made, "answers take 9 s for 4 hours", hosted[6], begins=84, ends=88)
    window(made, "down in a window of another day", hosted[5], begins=110, ends=114, down=(110.5, 113))
    for n in range(10):
        made.outage(
            f"blip ({n + 1})",
            hosted[9 + n : 10 + n],
            Kind.NO_ANSWER,
            gone,
            begins=120 + n,
            ends=120.13 + n,
            status=None,
        )
        made.outage(
            f"20 minutes down ({n + 1})", warden[5 + n : 6 + n], Kind.NO_ANSWER, gone, begins=120 + n, ends=120.34 + n
        )
    told_to_wait(made, begins=140, ends=140.5)
    made.outage("region out once more", eu, Kind.BAD_GATEWAY, down, begins=145, ends=147)
    for n in range(12):
        killed(made, at=150 + n / 3, minutes=1)
    return made


def _everybody(mix: Mix) -> Iterator[Organization]:
    clouds = {name: Server(cloud) for name in ("us", "eu") if (cloud := region(RegionId(name)).endpoints)}
    shared = _own("shared")
    number = 0
    for sort, many in mix._asdict().items():
        for _ in range(many):
            server = clouds.get(sort) or (
                shared if sort == "shared" else _own(f"n{number}", warden=sort == "vaultwarden")
            )
            yield Organization(number, server, (sort, f"only {number}"))
            number += 1


def _own(name: str, *, warden: bool = False) -> Server:
    base = f"https://{name}.example"
    return Server(Endpoints(RegionId.SELF_HOSTED, f"{base}/identity", f"{base}/api", base), warden)


# ---- what else happens


def certificate(made: Scenario, name: str, who: Organization, *, begins: float, ends: float) -> None:
    """Let a certificate end soon."""
    times = made.at(begins), made.at(ends)
    made.troubles.append(Trouble(Kind.CERTIFICATE_ENDS, *times, server=who.server))
    reasons = frozenset({Reason.CERTIFICATE_ENDS_SOON})
    made.cases.append(
        Case(name, [who], *times, Status.DEGRADED, reasons, ROUND + SLACK, ROUND + SLACK, "the next check", down=False)
    )


def slow(made: Scenario, name: str, who: Organization, *, begins: float, ends: float) -> None:
    """Let a server take long for each answer, once it is known what is usual there."""
    times = made.at(begins), made.at(ends)
    made.troubles.append(Trouble(Kind.SLOW, *times, server=who.server))
    found, over = SLOW_NEEDED * ROUND + SLACK, QUICK_NEEDED * ROUND + SLACK
    reasons = frozenset({Reason.SLOW})
    made.cases.append(Case(name, [who], *times, Status.DEGRADED, reasons, found, over, "5 checks", down=False))


def no_fresh_tokens(made: Scenario, name: str, who: Sequence[Organization], *, begins: float) -> None:
    """Let the tokens that are kept be all there is, for less than they last."""
    lasts = 45 * MINUTE
    times = made.at(begins), made.at(begins) + lasts
    made.deeds.append(Deed(times[0], "hold", who[0], lasts))
    reasons, over = frozenset({Reason.KEY_OVERDUE}), made.catching_up(who)
    made.cases.append(Case(name, who, *times, Status.DEGRADED, reasons, lasts, over, "8 light checks", down=False))


def offline(made: Scenario, *, begins: float, ends: float) -> None:
    """Let the hub reach nobody."""
    made.troubles.append(Trouble(Kind.OFFLINE, made.at(begins), made.at(ends)))
    made.be_quiet(begins, ends)


def told_to_wait(made: Scenario, *, begins: float, ends: float) -> None:
    """Let a cloud ask everybody to wait."""
    server = made.of("eu")[0].server
    made.troubles.append(Trouble(Kind.TOO_MANY, made.at(begins), made.at(ends), server=server))
    made.be_quiet(begins, ends + 1 / 6, RegionId.EU)


def killed(made: Scenario, *, at: float, minutes: float) -> None:
    """Kill the hub and start it again."""
    made.deeds.append(Deed(made.at(at), "kill", span=minutes * MINUTE))
    made.be_quiet(at, at + minutes / 60)


def machine_sleeps(made: Scenario, *, at: float, minutes: float) -> None:
    """Let the hub's machine sleep."""
    made.deeds.append(Deed(made.at(at), "sleep", span=minutes * MINUTE))
    made.be_quiet(at, at + minutes / 60)


def window(
    made: Scenario, name: str, who: Organization, *, begins: float, ends: float, down: tuple[float, float]
) -> None:
    """Let a server be down while a maintenance window is open for it."""
    made.deeds.append(Deed(made.at(begins) - HOUR / 2, "window", who, made.at(ends) - made.at(begins)))
    gone = {Reason.CONNECTION_TIMEOUT, Reason.ANSWER_TIMEOUT}
    late = down[1] > ends
    made.outage(name, [who], Kind.NO_ANSWER, gone, begins=down[0], ends=down[1], told=late)
    made.cases[-1].down = late
    made.cases[-1].outlasts = made.at(ends) if late else None


def paused(
    made: Scenario, name: str, who: Organization, *, begins: float, ends: float, down: tuple[float, float]
) -> None:
    """Let a server be down while its account is paused."""
    made.deeds += [Deed(made.at(begins), "pause", who), Deed(made.at(ends), "resume", who)]
    made.outage(name, [who], Kind.NO_ANSWER, set(), begins=down[0], ends=down[1], status=None)


def wrong_clock(made: Scenario, *, begins: float, ends: float, by: timedelta) -> None:
    """Let the hub's own clock be wrong for a while: every server's date shows it, and it is said.

    After a leap ahead, as after a sleep, tokens are taken for ended; whoever waits for a fresh one finds it late.
    """
    made.deeds += [Deed(made.at(begins), "clock", span=by), Deed(made.at(ends), "clock")]
    reasons = frozenset({Reason.CLOCK_WRONG_HERE, Reason.CLOCK_SKEW})
    fresh = made.catching_up(made.organizations)
    made.cases.append(
        Case("the hub's clock is wrong", made.organizations, made.at(begins), made.at(ends), Status.DEGRADED, reasons,
             fresh, fresh, "a fresh token for all", required=False, down=False)
    )  # fmt: skip
    made.be_quiet(begins, ends)
