"""The commands of those who decide, ask and declare, played on a gate of their own, with what they print."""

from __future__ import annotations

import shlex
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from unittest.mock import patch

from click.testing import CliRunner

from gatekeeper.cli import main
from gatekeeper.store import rulesets
from gatekeeper.store.db.clock import Clock
from gatekeeper.store.rulesets import StoredRuleset
from tests.notices.situations import ADMIN, CIO, CLERK, DEPUTY, FILE, HEAD, HOUR, NEWS, ONE, RULES, URL, Play

ASKED = (
    f'request submit --by {HEAD} --agency DOA --sender {NEWS} --subject "Open enrolment" --planned 2026-12-02 '
    '--users 2400 --audience DOA --audience DPHHS --purpose benefits --reason "The plans change by law"'
)


class Desk(Play):
    """A gate and somebody with a shell on it, at a time of ours."""

    def __init__(self, folder: Path, rules: str = ONE) -> None:
        super().__init__(folder, rules)
        self.database = f"sqlite:///{folder}/gate.db"
        stored = StoredRuleset("d", "rules.yaml", rules, "gate.example.gov", URL)
        self.store.call(partial(rulesets.put_in_force, ruleset=stored, now=self.now))
        self.typed: list[str] = []

    def types(self, command: str, seconds: float = 60.0) -> Desk:
        """Type a command, so many seconds after the last; note it with what it prints."""
        self.now += seconds
        given = {"GATEKEEPER_DATABASE": self.database, "COLUMNS": "120"}
        with patch.object(Clock, "now", lambda _: self.now):
            done = CliRunner().invoke(main, shlex.split(command), env=given, catch_exceptions=False)
        self.typed.append(f"$ gatekeeper {command}\n{done.output.rstrip()}")
        return self

    @property
    def printed(self) -> str:
        """All that was typed and printed."""
        return "\n\n".join(self.typed)


@dataclass(frozen=True)
class Shown:
    """A situation in which somebody types commands: what they do, and what is printed."""

    heading: str
    play: Callable[[Path], Awaitable[str]]


COMMANDS: list[Shown] = []


def shown(heading: str):
    """Add a function that plays a situation to COMMANDS."""

    def add(play: Callable[[Path], Awaitable[Desk]]) -> Callable[[Path], Awaitable[Desk]]:
        async def printed(folder: Path) -> str:
            return (await play(folder)).printed

        COMMANDS.append(Shown(heading, printed))
        return play

    return add


async def held(folder: Path, rules: str = ONE, **more: object) -> Desk:
    """A gate on which a mailing is held, of which its deciders were told."""
    desk = Desk(folder, rules)
    await desk.mass(**more)
    await desk.after()
    return desk


# -- mailings ----------------------------------------------------------------------------------------------------


@shown("Look at what is held")
async def look(folder: Path) -> Desk:
    desk = Desk(folder, RULES)
    await desk.mass(1500)
    await desk.mass(900, start=1500, text=FILE, file=True)
    await desk.after()
    return desk.types("mailing list --state held").types("mailing show M-1")


@shown("Read its message")
async def read_it(folder: Path) -> Desk:
    desk = await held(folder, text=FILE, file=True)
    return desk.types(f"mailing show M-1 --content --by {CIO}")


@shown("Approve a mailing")
async def approve(folder: Path) -> Desk:
    desk = await held(folder)
    return desk.types(f'mailing approve M-1 --by {CIO} --reason "Agreed with HR"').types("permit show P-1")


@shown("Approve a mailing that two must approve")
async def approve_by_two(folder: Path) -> Desk:
    desk = await held(folder, RULES)
    return desk.types(f"mailing approve M-1 --by {DEPUTY}").types(f"mailing approve M-1 --by {CIO}")


@shown("Deny mailings; several at once, one of them not there")
async def deny(folder: Path) -> Desk:
    desk = await held(folder)
    await desk.mass(sender=CLERK, text=b"A birthday\n" * 30)
    return desk.types(f'mailing deny M-1 M-2 M-9 --by {CIO} --reason "Not official business" --category official')


@shown("Send a mailing back with changes asked")
async def changes(folder: Path) -> Desk:
    desk = await held(folder)
    return desk.types(f'mailing changes M-1 --by {CIO} --reason "Name the people to call"')


@shown("Withdraw a mailing, as its sender")
async def withdraw(folder: Path) -> Desk:
    desk = await held(folder)
    return desk.types(f'mailing withdraw M-1 --by {NEWS} --reason "wrong list"').types("mailing list")


@shown("Decide what is not yours to decide")
async def refused(folder: Path) -> Desk:
    return (await held(folder)).types(f"mailing approve M-1 --by {NEWS}").types(f"mailing approve M-1 --by {ADMIN}")


@shown("Take an approval back")
async def revoke(folder: Path) -> Desk:
    desk = await held(folder)
    desk.types(f"mailing approve M-1 --by {CIO}")
    return desk.types(f'permit revoke P-1 --by {CIO} --reason "The form is wrong"')


# -- requests ----------------------------------------------------------------------------------------------------


@shown("Ask for a mailing in advance")
async def submit(folder: Path) -> Desk:
    return Desk(folder).types(ASKED).types("request list").types("request show R-1")


@shown("Ask for one that no rule would hold")
async def submit_unneeded(folder: Path) -> Desk:
    return Desk(folder).types(ASKED.replace("2400", "150")).types("request show R-1")


@shown("Approve a request")
async def approve_request(folder: Path) -> Desk:
    desk = Desk(folder).types(ASKED)
    return desk.types(f'request approve R-1 --by {CIO} --reason "Good luck"').types("permit show P-1")


@shown("Send a request back, and submit it again")
async def changes_of_request(folder: Path) -> Desk:
    desk = Desk(folder).types(ASKED)
    desk.types(f'request changes R-1 --by {CIO} --reason "After the holiday, please"')
    return desk.types(f"request submit --revise R-1 --by {HEAD} --planned 2026-12-04")


@shown("Deny a request, and appeal")
async def deny_request(folder: Path) -> Desk:
    desk = Desk(folder).types(ASKED)
    desk.types(f'request deny R-1 --by {DEPUTY} --reason "Not in the week of the election"')
    return desk.types(f'request submit --appeal R-1 --by {HEAD} --reason "The law names the day"')


# -- emergencies -------------------------------------------------------------------------------------------------


@shown("Declare an emergency, and review it")
async def emergency(folder: Path) -> Desk:
    desk = Desk(folder).types(f'permit emergency --agency DOA --by {HEAD} --hours 12 --reason "The water is not safe"')
    await desk.after()
    await desk.mass()
    desk.types("permit show P-1", HOUR)
    return desk.types(f'permit review P-1 --by {CIO} --reason "One message, to those in the building"')
