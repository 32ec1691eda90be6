"""What a rules file means once it is read: frozen values that the rest of the gate goes by.

Every default that `docs/rules.md` states is the default of a field here.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping
from dataclasses import field
from datetime import date, datetime, time, timedelta
from functools import partial
from pathlib import Path
from zoneinfo import ZoneInfo

from ..immutable import immutable
from ..model import Action, Earlier
from .conditions import Condition, Matcher, Test, earlier_of, tests_of
from .designated import is_designated, purpose_of
from .holidays import holidays_of
from .kinds import Extractor
from .problems import Problem
from .say import placeholders
from .shortlist import Shortlist, make_shortlist

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


@immutable
class Rule:
    """One rule: what it looks for, what it asks for, what the sender is told."""

    id: str
    action: Action
    when: Condition
    unless: Condition | None = None
    cite: str = ""
    say: str = ""
    ask: Ask = APPROVER
    during: During | None = None
    observe: bool = False
    repair: str | None = None  # "blind": a visible list is hidden before the message passes
    line: int = 0
    matches: Matcher = field(default=lambda values: False, repr=False, compare=False)  # when and not unless, compiled

    def tests(self) -> Iterator[Test]:
        """Every test of `when` and `unless`."""
        yield from tests_of(self.when)
        yield from tests_of(self.unless) if self.unless else ()


MASS = Test("people", "over", 200, "people over 200")


@immutable
class Ruleset:
    """A whole rules file; made by `read_ruleset` or `parse_ruleset` and never changed."""

    digest: str  # hex SHA-256 of the text
    text: str = field(repr=False)
    folder: Path
    title: str = "Mail rules"
    effective: date | None = None
    review: date | None = None
    contact: str = "your help desk"
    timezone: ZoneInfo = field(default_factory=lambda: ZoneInfo("UTC"))
    agencies: Mapping[str, Agency] = field(default_factory=dict)
    domains: tuple[str, ...] = ()  # inside, but of no agency
    outside: tuple[str, ...] = ()  # below these, but somebody else's
    scope_except: frozenset[str] = frozenset()  # agencies whose senders are not covered (M9)
    directory: tuple[DirectorySpec, ...] = ()
    lists: Mapping[str, ListSpec] = field(default_factory=dict)
    people: Mapping[str, Person] = field(default_factory=dict)
    groups: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # group -> addresses and domain patterns
    senders: Mapping[str, Sender] = field(default_factory=dict)
    consent: Consents | None = None
    working_hours: WorkingHours = WorkingHours()
    together: str = "agency"  # or "person": whose addresses belong together by themselves
    mailing: MailingRules = MailingRules()
    requests: Requests = Requests()
    held: Held = Held()
    notices: Notices = Notices()
    preflight: str | None = None  # mail to this address is judged, answered, and goes nowhere (C3)
    audit: AuditRules = AuditRules()
    enforce: frozenset[str] | None = None  # agencies whose senders the rules act on; None: all
    mass: Condition = MASS
    mass_matches: Matcher = field(default=lambda values: False, repr=False, compare=False)  # `mass`, compiled
    rules: tuple[Rule, ...] = ()
    warnings: tuple[Problem, ...] = ()
    candidates: Shortlist[Rule] = field(init=False, repr=False, compare=False)  # the rules worth a look
    inside_domains: tuple[str, ...] = field(init=False, repr=False, compare=False)  # all patterns that are inside
    watched: frozenset[str] = field(init=False, repr=False, compare=False)  # lists whose reach a rule asks for
    reads: frozenset[str] = field(init=False, repr=False, compare=False)  # fields that a rule looks at or tells of
    observes: bool = field(init=False, repr=False, compare=False)  # it has a rule that only watches
    reads_suspended: bool = field(init=False, repr=False, compare=False)  # a rule of its own is about it
    earlier: frozenset[Earlier] = field(init=False, repr=False, compare=False)  # what its rules ask the ledger
    draws: Mapping[str, Extractor] = field(init=False, repr=False, compare=False)  # fields that it has a part in

    def __post_init__(self) -> None:
        object.__setattr__(self, "candidates", make_shortlist(self.rules))
        domains = (domain for agency in self.agencies.values() for domain in agency.domains)
        object.__setattr__(self, "inside_domains", (*domains, *self.domains))
        tests = tuple(self._tests())
        said = (name for rule in self.rules for name in placeholders(rule.say))
        object.__setattr__(self, "reads", frozenset((*(test.field for test in tests), *said)))
        watched = (dict(test.operand)["of"] for test in tests if test.field == "reach")
        object.__setattr__(self, "watched", frozenset(watched))
        draws = {
            "designated": partial(is_designated, self.agencies, self.lists),
            "purpose": partial(purpose_of, self.senders),
        }
        object.__setattr__(self, "draws", draws)
        object.__setattr__(self, "observes", any(rule.observe for rule in self.rules))
        acting = [test for rule in self.rules if not rule.observe for test in rule.tests()]
        object.__setattr__(self, "reads_suspended", any(test.field == "suspended" for test in acting))
        object.__setattr__(self, "earlier", frozenset(earlier_of(test) for test in acting if test.field == "earlier"))

    def _tests(self) -> Iterator[Test]:
        yield from tests_of(self.mass)
        for rule in self.rules:
            yield from (test for part in (rule.when, rule.unless) if part for test in tests_of(part))

    def at_work(self, moment: datetime) -> bool:
        """True in working hours, which are none on holidays; raises ValueError for a calendar that is unknown."""
        return self.working_hours.cover(moment.astimezone(self.timezone), holidays_of(self.requests))

    @property
    def looks_into(self) -> bool:
        """True where a rule asks more of an audience than numbers: lists reached, people in no list, consent."""
        return bool(self.watched) or not self.reads.isdisjoint(("unlisted", "consented", "unconsented"))

    def people_with(self, role: str) -> tuple[str, ...]:
        """Addresses of those who hold the role, in the order of the file."""
        return tuple(address for address, person in self.people.items() if role in person.roles)

    def acts_on(self, *agencies: str | None) -> bool:
        """True where the rules act on mail of a sender of any of these; else they only watch it (`enforce:`)."""
        return self.enforce is None or not self.enforce.isdisjoint(agencies)

    def rule(self, rule_id: str) -> Rule | None:
        """The rule of that id; None where this ruleset has none (an older one may have had it)."""
        return next((rule for rule in self.rules if rule.id == rule_id), None)
