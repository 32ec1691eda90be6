"""What a rules file declares beside its rules: agencies, lists, people, mailings, requests, notices, spans of time."""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import field
from datetime import date, datetime, time, timedelta
from pathlib import Path

from gatekeeper.lib.immutable import immutable

ROLES = ("requester", "approver", "owner", "admin", "auditor")


# -- whom mail reaches -------------------------------------------------------------------------------------------


@immutable
class Agency:
    """A part of the organisation; domains are lower case A-labels, `*.x` for everything below x."""

    name: str
    domains: tuple[str, ...] = ()
    head: str | None = None  # address of who heads it
    senders: frozenset[str] = frozenset()  # designated senders: key individuals who send its mass mail (C8)


@immutable
class DirectorySpec:
    """One source of the directory."""

    kind: str  # "csv", "aliases", "ldap" or "sql"
    path: Path | None = None  # of csv and aliases; relative to the ruleset's folder
    complete: bool = False  # True where an inside address that it does not know is `unresolved`
    age: timedelta | None = None  # how old a snapshot may grow while its source is down
    options: Mapping[str, str] = field(default_factory=dict)  # of ldap and sql, `url` among them
    refresh: timedelta | None = None  # how often ldap and sql are asked again


@immutable
class ListSpec:
    """A distribution list: its members stand in a file or here, or in the directory where neither is given."""

    file: Path | None = None  # one address a line; relative to the ruleset's folder
    members: tuple[str, ...] = ()
    owner: str | None = None  # whose data it is; `people` says who answers for it by `of`
    senders: tuple[str, ...] = ()  # designated senders


@immutable
class Delegation:
    """Who acts in somebody's place, until the end of a day."""

    to: str
    until: date


@immutable
class Sender:
    """A sending address with something to be said about it: a shared mailbox, or one that others may write under."""

    used_by: tuple[str, ...] = ()  # addresses, ids of agencies and groups that may send under it (C5)
    purpose: str = ""  # what its mailings are for (T2)


@immutable
class ConsentSource:
    """Addresses of people outside: in a file, or in a database."""

    file: Path | None = None  # relative to the ruleset's folder
    sql: str | None = None  # the database's URL
    query: str = ""
    password_file: Path | None = None
    age: timedelta | None = None


@immutable
class Consents:
    """Who has consented to mass mail (T2), and who is never to get any."""

    given: tuple[ConsentSource, ...] = ()  # () for everybody who is not suppressed
    suppressed: tuple[ConsentSource, ...] = ()


@immutable
class WorkingHours:
    """When people are at work, in the ruleset's time zone."""

    begin: time = time(8)
    end: time = time(17)
    days: frozenset[int] = frozenset(range(5))  # 0 is Monday

    def cover(self, local: datetime, holidays: Container[date] = ()) -> bool:
        """True in working hours; `local` is in the ruleset's time zone."""
        at_work = local.weekday() in self.days and self.begin <= local.time() < self.end
        return at_work and local.date() not in holidays


@immutable
class Person:
    """Somebody who asks, decides or looks."""

    roles: tuple[str, ...] = ()
    of: tuple[str, ...] = ()  # agencies, list owners or list addresses that the roles are limited to; empty for all
    final: bool = False  # whose denial cannot be appealed
    when_needed: bool = False  # an owner whose yes is waited for only where an approver asks for it (T7)
    delegate: Delegation | None = None


# -- how mail becomes mailings -----------------------------------------------------------------------------------


@immutable
class Gather:
    """Which batches wait until their mailing is whole, and for how long."""

    sizes: frozenset[int] = frozenset({50, 100, 500, 1000})  # recipients at which MTAs cut mail up
    at_least: int | None = None  # `from: N`; the sizes are empty then
    quiet: timedelta = timedelta(seconds=20)
    limit: timedelta = timedelta(minutes=5)

    def takes(self, recipients: int) -> bool:
        """True where a transaction of that many recipients waits."""
        return recipients in self.sizes or (self.at_least is not None and recipients >= self.at_least)


@immutable
class MailingRules:
    """What makes transactions one mailing."""

    source: str = "sender"  # or "agency"
    within: timedelta = timedelta(hours=24)
    gather: Gather | None = Gather()  # None: off
    separate: frozenset[str] = frozenset()  # senders each of whose messages is a mailing of its own


# -- how long people have ----------------------------------------------------------------------------------------


@immutable
class Span:
    """A length of time for people: working days of the calendar, or time by the clock; one of them is zero."""

    working_days: int = 0
    time: timedelta = timedelta()

    def __bool__(self) -> bool:
        """False for `none`."""
        return bool(self.working_days or self.time)


@immutable
class Holidays:
    """Days by which an organisation's holidays differ from the calendar."""

    add: frozenset[date] = frozenset()
    remove: frozenset[date] = frozenset()


@immutable
class Requests:
    """How early a mailing is asked for (M2)."""

    notice: Span = Span()
    calendar: str | None = None  # country and subdivision such as US-MT; None: weekends only
    holidays: Holidays = Holidays()
    late: str = "flag"  # or "refuse"
    calendar_at: tuple[int, int] = field(default=(0, 0), compare=False)  # line and column of the calendar's name


# -- what is recorded of decisions -------------------------------------------------------------------------------


@immutable
class AuditRules:
    """How long recorded decisions stay, and which fields of ordinary mail are recorded by value (D4)."""

    keep: timedelta = timedelta(days=400)
    ordinary: frozenset[str] = frozenset()


# -- the rules ---------------------------------------------------------------------------------------------------


@immutable
class AskTerm:
    """One who must agree: a role (any one holder), a person, the audience's `owners`, the `head` of an agency."""

    kind: str  # "role", "person", "owners", "head"
    name: str = ""  # the role, the person's address, the agency of a head ("" for the sender's own)

    def __str__(self) -> str:
        if self.kind == "head" and self.name:
            return f"agencies.{self.name}.head"
        return self.name or self.kind


@immutable
class AskSome:
    """n of m: so many of these must agree."""

    number: int
    of: tuple[AskTerm, ...]

    def __str__(self) -> str:
        return f"any {self.number} of " + ", ".join(str(term) for term in self.of)


Ask = tuple[AskTerm | AskSome, ...]  # every one must agree
APPROVER: Ask = (AskTerm("role", "approver"),)


@immutable
class Escalation:
    """When, and to whom, what nobody decides is passed on."""

    after: Span = Span()
    to: Ask = ()  # nobody: to approvers, or to admins where approvers are asked already
    before: Span = Span(working_days=1)  # the day by which a legal notice is needed


@immutable
class Notices:
    """What the gate's own mails say."""

    templates: Path | None = None  # a folder with templates of this organisation; relative to the ruleset's folder


@immutable
class Held:
    """What becomes of a held mailing that nobody decides."""

    remind: Span = Span(working_days=2)
    escalate: Escalation = Escalation()
    expire: Span = Span(working_days=10)


@immutable
class During:
    """When a rule is in force: from a moment on (included), until another (not included)."""

    begin: datetime | None = None
    end: datetime | None = None

    def covers(self, now: datetime) -> bool:
        """True where the rule is in force; `now` is an aware datetime."""
        return (self.begin is None or self.begin <= now) and (self.end is None or now < self.end)
