"""The values of a rules file except its rules: agencies, lists, people, mailings, requests, notices, times."""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import field
from datetime import date, datetime, time, timedelta
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path

from gatekeeper.lib.immutable import immutable

ROLES = ("requester", "approver", "owner", "admin", "auditor", "records")


# -- whom mail reaches -------------------------------------------------------------------------------------------


@immutable
class Agency:
    """A part of the organisation; domains are lower case A-labels, `*.x` for everything below x."""

    name: str
    domains: tuple[str, ...] = ()
    head: str | None = None  # address of the agency's head
    senders: frozenset[str] = frozenset()  # designated senders: key individuals who send the agency's mass mail (C8)


@immutable
class DirectorySpec:
    """One source of the directory."""

    kind: str  # "csv", "aliases", "ldap", "sql", "entra" or "google"
    path: Path | None = None  # of csv and aliases; relative to the ruleset's folder
    complete: bool = False  # True where inside addresses unknown to the source are `unresolved`
    age: timedelta | None = None  # how old a copy may become while its source is down
    options: Mapping[str, str] = field(default_factory=dict)  # of servers, `url` among them
    refresh: timedelta | None = None  # how often a server is asked again
    agencies: Mapping[str, str] = field(default_factory=dict)  # value of the attribute `agency`, folded -> agency's id


@immutable
class ListSpec:
    """A distribution list: its members are in a file or here; with neither, they are in the directory."""

    file: Path | None = None  # one address a line; relative to the ruleset's folder
    members: tuple[str, ...] = ()
    owner: str | None = None  # owner of the data; people answer for an owner by `of`
    senders: tuple[str, ...] = ()  # designated senders


@immutable
class Delegation:
    """A delegation: who acts in somebody's place, until the end of a day."""

    to: str
    until: date


@immutable
class Sender:
    """A sending address that the rules describe: a shared mailbox, or one under which others may send."""

    used_by: tuple[str, ...] = ()  # addresses, ids of agencies and groups that may send under it (C5)
    purpose: str = ""  # the purpose of its mailings (T2)


@immutable
class ConsentSource:
    """A source of addresses of externals: a file or a database."""

    file: Path | None = None  # relative to the ruleset's folder
    sql: str | None = None  # the database's URL
    query: str = ""
    password_file: Path | None = None
    age: timedelta | None = None


@immutable
class Consents:
    """Who has consented to mass mail (T2), and who must never get any."""

    given: tuple[ConsentSource, ...] = ()  # () where everybody has consented who is not suppressed
    suppressed: tuple[ConsentSource, ...] = ()


@immutable
class WorkingHours:
    """When people are at work, in the ruleset's time zone."""

    begin: time = time(8)
    end: time = time(17)
    days: frozenset[int] = frozenset(range(5))  # 0 is Monday

    def cover(self, local: datetime, holidays: Container[date] = ()) -> bool:
        """Return True in working hours. Args: `local` is in the ruleset's time zone."""
        at_work = local.weekday() in self.days and self.begin <= local.time() < self.end
        return at_work and local.date() not in holidays


@immutable
class Person:
    """A person with roles: who requests, decides or audits."""

    roles: tuple[str, ...] = ()
    of: tuple[str, ...] = ()  # agencies, list owners or list addresses that limit the roles; empty for all
    final: bool = False  # True where the person's denial cannot be appealed
    when_needed: bool = False  # True for an owner who must agree only where an approver asks for it (T7)
    delegate: Delegation | None = None


# -- how mail becomes mailings -----------------------------------------------------------------------------------


@immutable
class Gather:
    """Which batches wait until their mailing is whole, and for how long."""

    sizes: frozenset[int] = frozenset({50, 100, 500, 1000})  # numbers of recipients at which MTAs split mail
    at_least: int | None = None  # `from: N`; `sizes` is empty then
    quiet: timedelta = timedelta(seconds=20)
    limit: timedelta = timedelta(minutes=5)

    def takes(self, recipients: int) -> bool:
        """Return True where a transaction of that many recipients waits."""
        return recipients in self.sizes or (self.at_least is not None and recipients >= self.at_least)


@immutable
class MailingRules:
    """Which transactions make one mailing."""

    source: str = "sender"  # or "agency"
    within: timedelta = timedelta(hours=24)
    gather: Gather | None = Gather()  # None: off
    across: bool = True  # one text from many senders is counted together
    separate: frozenset[str] = frozenset()  # senders whose messages are each a mailing of their own
    separate_networks: tuple[IPv4Network | IPv6Network, ...] = ()  # of clients, likewise


# -- how long people have ----------------------------------------------------------------------------------------


@immutable
class Span:
    """A length of time: working days of the calendar, or time by the clock; one of the two is zero."""

    working_days: int = 0
    time: timedelta = timedelta()

    def __bool__(self) -> bool:
        """Return False for `none`."""
        return bool(self.working_days or self.time)


@immutable
class Holidays:
    """Days by which an organisation's holidays differ from the calendar."""

    add: frozenset[date] = frozenset()
    remove: frozenset[date] = frozenset()


@immutable
class Requests:
    """How early a mailing must be requested (M2)."""

    notice: Span = Span()
    calendar: str | None = None  # country and subdivision such as US-MT; None: weekends only
    holidays: Holidays = Holidays()
    late: str = "flag"  # or "refuse"
    calendar_at: tuple[int, int] = field(default=(0, 0), compare=False)  # line and column of the calendar's name


# -- what is recorded of decisions -------------------------------------------------------------------------------


@immutable
class AuditRules:
    """How long recorded decisions are kept, and which fields of ordinary mail are recorded by value (D4)."""

    keep: timedelta = timedelta(days=400)
    ordinary: frozenset[str] = frozenset()


@immutable
class ReportRules:
    """Who gets the compliance report without asking for it (M6)."""

    monthly: tuple[str, ...] = ()  # addresses: once a month, of the month before


# -- the rules ---------------------------------------------------------------------------------------------------


@immutable
class AskTerm:
    """One who must agree: any holder of a role, a person, the audience's `owners`, the `head` of an agency."""

    kind: str  # "role", "person", "owners", "head"
    name: str = ""  # the role, the person's address, the agency of a head ("" for the sender's own)

    def __str__(self) -> str:
        if self.kind == "head" and self.name:
            return f"agencies.{self.name}.head"
        return self.name or self.kind


@immutable
class AskSome:
    """A number of terms that must agree: n of m."""

    number: int
    of: tuple[AskTerm, ...]

    def __str__(self) -> str:
        return f"any {self.number} of " + ", ".join(str(term) for term in self.of)


Ask = tuple[AskTerm | AskSome, ...]  # all of these must agree
APPROVER: Ask = (AskTerm("role", "approver"),)


@immutable
class Escalation:
    """When, and to whom, a matter is passed on that nobody decides."""

    after: Span = Span()
    to: Ask = ()  # (): to approvers, or to admins where approvers are asked already
    before: Span = Span(working_days=1)  # the day by which a legal notice is needed


@immutable
class Notices:
    """The settings of the gate's own mails."""

    templates: Path | None = None  # a folder with templates of this organisation; relative to the ruleset's folder
    excerpt: int = 20  # lines of a held message's text that those who decide are sent; 0 for none


OTHER_DENIAL = "other"
DENIALS: Mapping[str, str] = {  # categories of denials and their words; rules.yaml may rename and add some (C4)
    "official": "not official business",
    "audience": "not the right people",
    "content": "the content",
    "timing": "not at this time",
    "duplicate": "sent before, or by others",
    "security": "not safe",
    "personal": "a personal advertisement or announcement",
    OTHER_DENIAL: "",
}


@immutable
class Held:
    """What happens to a held mailing that nobody decides."""

    remind: Span = Span(working_days=2)
    escalate: Escalation = Escalation()
    expire: Span = Span(working_days=10)


@immutable
class During:
    """When a rule is in force: from a moment on (included) until another (excluded)."""

    begin: datetime | None = None
    end: datetime | None = None

    def covers(self, now: datetime) -> bool:
        """Return True where the rule is in force. Args: `now` is an aware datetime."""
        return (self.begin is None or self.begin <= now) and (self.end is None or now < self.end)
