"""A rules file once it is read: the frozen values that the rest of the gate uses.

Every default that `docs/rules.md` states is the default of a field here.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping
from dataclasses import field, replace
from datetime import date, datetime, timedelta, tzinfo
from functools import lru_cache, partial
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from gatekeeper.lib.immutable import immutable
from gatekeeper.model import Action, Audience, Counts, EarlierMailings, Evidence, SentQuery
from gatekeeper.rules.field_kinds import OF_THE_ORIGIN, UNAVAILABLE, Extractor
from gatekeeper.rules.language.problems import Problem
from gatekeeper.rules.matching.conditions import Condition, Matcher, Test, earlier_of, tests_of
from gatekeeper.rules.matching.least_numbers import asks_counts, least_people, least_sent, most_sent
from gatekeeper.rules.matching.rule_index import Shortlist, make_shortlist
from gatekeeper.rules.permit_coverage import is_for_sender_and_subject
from gatekeeper.rules.record_classes import DECISIONS, Keep, RecordClass, Records
from gatekeeper.rules.specs import (
    APPROVER,
    DENIALS,
    Agency,
    Ask,
    AuditRules,
    Consents,
    DirectorySpec,
    During,
    Held,
    ListSpec,
    MailingRules,
    Notices,
    Person,
    ReportRules,
    Requests,
    Sender,
    WorkingHours,
)
from gatekeeper.rules.text_template import placeholders
from gatekeeper.workdays import Calendar, holidays_of


@immutable
class Rule:
    """One rule: its conditions, its action, and the text for the sender."""

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
    matches: Matcher = field(default=lambda values: False, repr=False, compare=False)  # when and not unless

    def tests(self) -> Iterator[Test]:
        """Yield every test of `when` and `unless`."""
        yield from tests_of(self.when)
        yield from tests_of(self.unless) if self.unless else ()


MASS = Test("people", "over", 200, "people over 200")


@immutable
class Ruleset:
    """A whole rules file, made by `read_ruleset` or `parse_ruleset` and never changed."""

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
    outside: tuple[str, ...] = ()  # domains below these that belong to somebody else
    scope_except: frozenset[str] = frozenset()  # agencies whose senders are not covered (M9)
    directory: tuple[DirectorySpec, ...] = ()
    lists: Mapping[str, ListSpec] = field(default_factory=dict)
    people: Mapping[str, Person] = field(default_factory=dict)
    groups: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # group -> addresses and domain patterns
    senders: Mapping[str, Sender] = field(default_factory=dict)
    consent: Consents | None = None
    working_hours: WorkingHours = WorkingHours()
    together: str = "agency"  # or "person": whose addresses belong together without an entry
    mailing: MailingRules = MailingRules()
    requests: Requests = Requests()
    held: Held = Held()
    notices: Notices = Notices()
    denials: Mapping[str, str] = field(default_factory=lambda: dict(DENIALS))  # category -> words (C4)
    preflight: str | None = None  # mail to this address is judged, answered, and goes nowhere (C3)
    audit: AuditRules = AuditRules()
    records: Records = Records()
    reports: ReportRules = ReportRules()
    enforce: frozenset[str] | None = None  # agencies to whose senders the rules apply; None: all
    mass: Condition = MASS
    mass_matches: Matcher = field(default=lambda values: False, repr=False, compare=False)  # `mass`, compiled
    rules: tuple[Rule, ...] = ()
    warnings: tuple[Problem, ...] = ()
    candidates: Shortlist[Rule] = field(init=False, repr=False, compare=False)  # finds the rules that may match
    inside_domains: tuple[str, ...] = field(init=False, repr=False, compare=False)  # all patterns of inside domains
    watched: frozenset[str] = field(init=False, repr=False, compare=False)  # lists whose reach a rule asks for
    reads: frozenset[str] = field(init=False, repr=False, compare=False)  # fields that rules test or name
    observes: bool = field(init=False, repr=False, compare=False)  # True where a rule has `mode: observe`
    least_people: int = field(init=False, repr=False, compare=False)  # below it no rule about counts matches
    observes_counts: bool = field(init=False, repr=False, compare=False)  # True where such a rule is about counts
    reads_suspended: bool = field(init=False, repr=False, compare=False)  # True where a rule tests `suspended`
    earlier: frozenset[EarlierMailings] = field(init=False, repr=False, compare=False)  # what rules ask the ledger
    sent: frozenset[SentQuery] = field(init=False, repr=False, compare=False)  # what rules ask about origins
    least_sent: int = field(init=False, repr=False, compare=False)  # below it no rule about these matches
    most_sent: Mapping[SentQuery, int] = field(init=False, repr=False, compare=False)  # from there on all of them match
    draws: Mapping[str, Extractor] = field(init=False, repr=False, compare=False)  # fields that depend on the ruleset

    def __post_init__(self) -> None:
        object.__setattr__(self, "candidates", make_shortlist(self.rules))
        domains = (domain for agency in self.agencies.values() for domain in agency.domains)
        object.__setattr__(self, "inside_domains", (*domains, *self.domains))
        tests = tuple(self._tests())
        placeholder_fields = (name for rule in self.rules for name in placeholders(rule.say))
        object.__setattr__(self, "reads", frozenset((*(test.field for test in tests), *placeholder_fields)))
        watched = (dict(test.operand)["of"] for test in tests if test.field == "reach")
        object.__setattr__(self, "watched", frozenset(watched))
        draws = {
            "designated": partial(_is_designated, self.agencies, self.lists),
            "purpose": partial(_purpose_of, self.senders),
        }
        object.__setattr__(self, "draws", draws)
        object.__setattr__(self, "observes", any(rule.observe for rule in self.rules))
        sent = [test for test in tests if test.field in OF_THE_ORIGIN]
        object.__setattr__(self, "most_sent", most_sent(sent))
        object.__setattr__(self, "sent", frozenset(self.most_sent))
        acting = [test for rule in self.rules if not rule.observe for test in rule.tests()]
        conditions = [rule.when for rule in self.rules]
        object.__setattr__(self, "least_people", least_people(conditions, self.mass))
        observes_counts = any(rule.observe and asks_counts(rule.when) for rule in self.rules)
        object.__setattr__(self, "observes_counts", observes_counts)
        object.__setattr__(self, "least_sent", least_sent(conditions))
        object.__setattr__(self, "reads_suspended", any(test.field == "suspended" for test in acting))
        object.__setattr__(self, "earlier", frozenset(earlier_of(test) for test in acting if test.field == "earlier"))

    def _tests(self) -> Iterator[Test]:
        yield from tests_of(self.mass)
        for rule in self.rules:
            yield from (test for part in (rule.when, rule.unless) if part for test in tests_of(part))

    @property
    def counts_within(self) -> timedelta:
        """Return for how long people of a mailing count, from its first message on."""
        return self.mailing.within + max((query.within for query in self.sent), default=timedelta())

    def at_work(self, moment: datetime) -> bool:
        """Return True in working hours; holidays have none. Raises ValueError for an unknown calendar."""
        return self.working_hours.cover(moment.astimezone(self.timezone), _holidays_of(self))

    @property
    def needs_audience_details(self) -> bool:
        """Return True where a rule needs more of an audience than numbers: reach of lists, unlisted people, consent."""
        return bool(self.watched) or not self.reads.isdisjoint(("unlisted", "consented", "unconsented"))

    def people_with(self, role: str) -> tuple[str, ...]:
        """Return the addresses of the people with the role, in the order of the file."""
        return tuple(address for address, person in self.people.items() if role in person.roles)

    def record_class(self, name: str) -> RecordClass:
        """Return how long a class of records is kept, and how it is destroyed."""
        found = self.records.of(name)
        if name == DECISIONS and name not in self.records.classes:
            return replace(found, keep=Keep(time=self.audit.keep, text=f"{self.audit.keep.days}d"))
        return found

    def due_before(self, name: str, now: datetime) -> datetime | None:
        """Return before when records of a class are due, by the organisation's calendar; None where none ever is."""
        return self.record_class(name).keep.cutoff(now.astimezone(self.timezone))

    def acts_on(self, *agencies: str | None) -> bool:
        """Return True where the rules apply to senders of one of the agencies; else they only observe (`enforce:`)."""
        return self.enforce is None or not self.enforce.isdisjoint(agencies)

    def rule(self, rule_id: str) -> Rule | None:
        """Return the rule of that id; None where this ruleset has none (an older one may have had it)."""
        return next((rule for rule in self.rules if rule.id == rule_id), None)


# -- working days ----------------------------------------------------------------------------------------------------


def calendar_of(ruleset: Ruleset) -> Calendar:
    """Return the organisation's working days. Raises ValueError for an unknown calendar."""
    requests = ruleset.requests
    return _calendar(ruleset.timezone, requests.calendar, requests.holidays.add, requests.holidays.remove)


@lru_cache(maxsize=16)  # pages ask for it once a row
def _calendar(zone: tzinfo, public: str | None, added: frozenset[date], removed: frozenset[date]) -> Calendar:
    return Calendar(zone, holidays_of(public, added, removed))


def calendar_problem(ruleset: Ruleset, name: str) -> Problem | None:
    """Return what is wrong with the calendar that the rules name; None where nothing is. Args: `name` is the file's."""
    try:
        calendar_of(ruleset)
    except ValueError as error:
        return Problem(*ruleset.requests.calendar_at, str(error), name)
    return None


def _holidays_of(ruleset: Ruleset) -> Container[date]:
    return calendar_of(ruleset).holidays


# -- what a ruleset knows of senders (C8, T2) ------------------------------------------------------------------------

_BESIDE = 1  # people outside the lists that a designated sender may add: a copy to oneself


def _is_designated(agencies: Mapping[str, Agency], lists: Mapping[str, ListSpec], evidence: Evidence) -> bool:
    """Return True where the sender is designated by its agency, or by every list of a mailing that goes to lists only.

    An unauthenticated sender is never designated, because anybody can write a From. For the same reason every name that
    the message is sent under must be that of a designated sender.
    """
    source, audience = evidence.source, evidence.audience
    if not source.authenticated or not source.names:
        return False
    agency = agencies.get(source.agency or "")
    if agency and agency.senders.issuperset(source.names):
        return True
    reached = evidence.counts.lists | audience.lists
    named = all(address in lists and _may_send_to(address, lists[address], source.names) for address in reached)
    return bool(reached) and named and (audience.alone or _goes_to_lists(audience, evidence.counts))


def _goes_to_lists(audience: Audience, counts: Counts) -> bool:
    """Return True where a mailing goes to lists only.

    Of lists that were expanded before, the members may come in many transactions, each with somebody beside them: there
    the whole mailing is looked at.
    """
    beside = counts.beside if audience.together else audience.beside
    return bool(audience.lists) and audience.beside <= _BESIDE and beside is not None and beside <= _BESIDE


def _may_send_to(address: str, spec: ListSpec, names: tuple[str, ...]) -> bool:
    """Return True where all names may send to the list. The list's own addresses may stand beside, but cannot vouch."""
    voucher, *others = names
    own = _own_addresses(address)
    return voucher in spec.senders and all(name in spec.senders or name in own for name in others)


def _own_addresses(address: str) -> tuple[str, ...]:
    """Return the addresses that list servers write into Sender beside the author's From."""
    local, _, domain = address.rpartition("@")
    own = (local, f"{local}-bounces", f"{local}-bounce", f"{local}-owner", f"owner-{local}", f"{local}-request")
    return tuple(f"{each}@{domain}" for each in own)


def _purpose_of(senders: Mapping[str, Sender], evidence: Evidence) -> Any:
    """Return the mailing's purpose: of an approved request, else of the sender's entry; None where neither has one."""
    if not evidence.standing.whole:
        return UNAVAILABLE
    asked = (
        permit.purpose
        for permit in evidence.standing.permits
        if permit.purpose and is_for_sender_and_subject(permit, evidence)
    )
    known = senders.get(evidence.source.mailbox)
    return next(asked, None) or (known.purpose if known else "") or None
