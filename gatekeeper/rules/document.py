"""The grammar of rules.yaml as tables: every key, what may stand there, what it is for.

The reader, the JSON Schema and the test that docs/rules.md is whole are made from these tables.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from typing import Any

from ..model import Action
from .compile import compile_rule
from .fields import BY_THE_RULESET, FIELDS
from .read_ask import ASK
from .read_conditions import Conditions, Context, define_problem, read_define
from .read_senders import CONSENT, GROUPS, SENDERS, TOGETHER, WORKING_HOURS
from .ruleset import (
    ROLES,
    Agency,
    AuditRules,
    Delegation,
    DirectorySpec,
    During,
    Escalation,
    Gather,
    Held,
    Holidays,
    ListSpec,
    MailingRules,
    Notices,
    Person,
    Requests,
    Rule,
)
from .scalars import (
    ADDRESS,
    AGENCY,
    CALENDAR,
    DAY,
    DOMAIN,
    DURATION,
    FLAG,
    PATH,
    POSITIVE,
    SPAN,
    TEXT,
    WORD,
    Moment,
    Saying,
    Zone,
    word_of,
)
from .shapes import INVALID, Json, Key, ListOf, MapOf, Reading, Record, Reference, Value
from .yaml_nodes import Mapping, Node, Scalar, Sequence


def _make(kind: Callable[..., Any]) -> Callable[[dict[str, Any], Mapping, Reading], Any]:
    """Put a record's values into a dataclass, whose own defaults stand for what was left out."""
    return lambda values, node, reading: kind(**values)


# -- who belongs to the organisation -----------------------------------------------------------------------------


def _make_agency(values: dict[str, Any], node: Mapping, reading: Reading) -> Any:
    return Agency(**{**values, "senders": frozenset(values.get("senders", ()))})


AGENCIES = MapOf(
    "agencies by their ids, such as DOA: {name: Administration, domains: [doa.example.gov]}",
    WORD,
    Record(
        "an agency, such as {name: Administration, domains: [doa.example.gov]}",
        (
            Key("name", TEXT, "Its name, for people.", required=True),
            Key("domains", ListOf(DOMAIN), 'Its mail domains; "*.x" for all below x.'),
            Key("head", ADDRESS, "Who heads it: asked where a rule asks head."),
            Key("senders", ListOf(ADDRESS), "Its designated senders, who send its mass mail."),
        ),
        _make_agency,
    ),
)
SCOPE = Record(
    "{except: [ids of agencies]}",
    (Key("except", ListOf(AGENCY), "Agencies whose senders these rules do not cover."),),
    lambda values, node, reading: frozenset(values.get("except", ())),
)

DIRECTORY_KINDS = ("csv", "aliases", "ldap", "sql")
_LDAP_OPTIONS = ("base", "filter", "address", "user", "agency", "group", "bind", "password_file")
_SQL_OPTIONS = ("query", "password_file")
_NEEDED = {"ldap": "base", "sql": "query"}
_DIRECTORY_OPTIONS = {
    "base": "Of ldap: below which entry to look.",
    "filter": "Of ldap: which entries; those with an address where left out.",
    "address": "Of ldap: the attribute with the addresses; mail where left out.",
    "user": "Of ldap: the attribute by which two addresses are one person; the first address where left out.",
    "agency": "Of ldap: the attribute with the id of the agency.",
    "group": "Of ldap: the attribute with groups of senders.",
    "bind": "Of ldap: the entry to log in as; nobody where left out.",
    "query": "Of sql: what to ask; its columns are address, user, agency, group.",
    "password_file": "Of ldap and sql: a file with the password.",
}


def _make_source(values: dict[str, Any], node: Mapping, reading: Reading) -> Any:
    kinds = [kind for kind in DIRECTORY_KINDS if kind in values]
    if len(kinds) != 1:
        return reading.error(node, f"expected exactly one of {', '.join(DIRECTORY_KINDS)} here")
    (kind,) = kinds
    place = values[kind]
    options = {name: values[name] for name in _DIRECTORY_OPTIONS if name in values}
    allowed = {"ldap": _LDAP_OPTIONS, "sql": _SQL_OPTIONS}.get(kind, ())
    times = [name for name in ("refresh",) if name in values and not allowed]
    if others := [*(name for name in options if name not in allowed), *times]:
        return reading.error(node, f"{' and '.join(others)} beside {kind}: expected {_listed(allowed)} only")
    if kind in _NEEDED and _NEEDED[kind] not in options:
        return reading.error(node, f"{kind} without {_NEEDED[kind]}: expected it beside {kind}")
    path = None if allowed else place
    options |= {"url": place} if allowed else {}
    return DirectorySpec(kind, path, values.get("complete", False), values.get("age"), options, values.get("refresh"))


def _listed(names: tuple[str, ...]) -> str:
    return ", ".join(("complete", "age", *names, "refresh") if names else ("complete", "age"))


DIRECTORY = ListOf(
    Record(
        "a source of the directory, such as {csv: directory.csv}",
        (
            Key("csv", PATH, "A file with the columns address, user, agency."),
            Key("aliases", PATH, "A file in Postfix alias syntax."),
            Key("ldap", TEXT, "An LDAP server: ldaps://host, ldap+starttls://host or ldap://host."),
            Key("sql", TEXT, "A database: postgresql://user@host/name or sqlite:///FILE."),
            Key("complete", FLAG, "true: an inside address that it does not know is unresolved."),
            Key("age", DURATION, "How old a copy may grow while the source is down."),
            Key("refresh", DURATION, "How often ldap and sql are asked again; 5m where left out."),
            *(Key(name, TEXT, doc) for name, doc in _DIRECTORY_OPTIONS.items()),
        ),
        _make_source,
    )
)


def _make_list(values: dict[str, Any], node: Mapping, reading: Reading) -> Any:
    if "file" in values and "members" in values:
        return reading.error(node, "file and members together: expected one of them")
    return ListSpec(**values)


LISTS = MapOf(
    "lists by their addresses, such as all-staff@example.gov: {file: all-staff.txt}",
    ADDRESS,
    Record(
        "a list, such as {file: all-staff.txt, owner: hr}",
        (
            Key("file", PATH, "A file with an address a line."),
            Key("members", ListOf(ADDRESS), "The addresses themselves."),
            Key("owner", WORD, "Whose data it is; people answer for it by of."),
            Key("senders", ListOf(ADDRESS), "Who may send to it as a matter of course."),
        ),
        _make_list,
    ),
)


DELEGATE = Record(
    "who acts in their place, such as {to: deputy@example.gov, until: 2026-12-24}",
    (
        Key("to", ADDRESS, "Who decides in their place.", required=True),
        Key("until", DAY, "The last day on which they do.", required=True),
    ),
    _make(Delegation),
)


def _make_people(values: dict[str, Any], node: Mapping, reading: Reading) -> Any:
    values["when_needed"] = values.pop("asked", "always") == "when needed"
    if values["when_needed"] and "owner" not in values["roles"]:
        return reading.error(node, "asked: when needed beside other roles: expected it for an owner")
    return Person(**values)


PEOPLE = MapOf(
    "people by their addresses, such as cio@example.gov: {roles: [approver]}",
    ADDRESS,
    Record(
        "what somebody may do, such as {roles: [requester], of: [DOA]}",
        (
            Key("roles", ListOf(word_of(*ROLES), 1), "What they may do.", required=True),
            Key(
                "of",
                ListOf(
                    Reference(
                        "an agency's id, a list's address or the owner that a list names", lambda names: names.audiences
                    )
                ),
                "For whom or for which data; everything where left out.",
            ),
            Key("final", FLAG, "true: a denial by them cannot be appealed."),
            Key(
                "asked", word_of("always", "when needed"), "when needed: an owner asked only where an approver says so."
            ),
            Key("delegate", DELEGATE, "Who decides in their place, and until when."),
        ),
        _make_people,
    ),
)

# -- how mail becomes mailings -----------------------------------------------------------------------------------


def _make_gather(values: dict[str, Any], node: Mapping, reading: Reading) -> Any:
    if "sizes" in values and "at_least" in values:
        return reading.error(node, "at and from together: expected one of them")
    if "at_least" in values:
        values["sizes"] = frozenset()
    gather = Gather(**{**values, "sizes": frozenset(values.get("sizes", Gather().sizes))})
    if gather.quiet > gather.limit:
        return reading.error(node, "quiet is longer than limit: expected a limit that leaves time to be quiet")
    return gather


class GatherOrOff:
    """`off`, or which batches wait and for how long."""

    record = Record(
        "{at: [50, 100], quiet: 20s, limit: 5m}, or {from: 50}, or off",
        (
            Key("at", ListOf(POSITIVE, 1), "Batches of these sizes wait.", attribute="sizes"),
            Key("from", POSITIVE, "Batches of at least this size wait.", attribute="at_least"),
            Key("quiet", DURATION, "How long no further batch must come."),
            Key("limit", DURATION, "How long a batch waits at most."),
        ),
        _make_gather,
    )

    def read(self, node: Node, reading: Reading) -> Any:
        """Make a Gather, or None for off."""
        if isinstance(node, Scalar) and node.text.lower() in ("off", "false", "no"):
            return None
        return self.record.read(node, reading)

    def schema(self) -> Json:
        """The record or off, which an editor's YAML may read as false."""
        return {"anyOf": [self.record.schema(), {"enum": ["off", False]}]}


def _make_mailing(values: dict[str, Any], node: Mapping, reading: Reading) -> Any:
    values["separate"] = frozenset(values.get("separate", ()))
    mailing = MailingRules(**values)
    if mailing.gather and mailing.gather.limit > mailing.within:
        reading.warn(node, "gather.limit is longer than within: a mailing would end while its batches wait")
    return mailing


MAILING = Record(
    "what makes one mailing, such as {source: sender, within: 24h}",
    (
        Key("source", word_of("sender", "agency"), "Whose messages are counted together."),
        Key("within", DURATION, "How long after its first message a mailing takes in more."),
        Key("gather", GatherOrOff(), "Which batches wait until their mailing is whole."),
        Key("separate", ListOf(ADDRESS), "Senders each of whose messages is a mailing of its own."),
    ),
    _make_mailing,
)


def _make_holidays(values: dict[str, Any], node: Mapping, reading: Reading) -> Any:
    holidays = Holidays(**{key: frozenset(days) for key, days in values.items()})
    both = sorted(holidays.add & holidays.remove)
    if both:
        return reading.error(node, f"{both[0]} in add and in remove: expected it in one of them")
    return holidays


HOLIDAYS = Record(
    "days by which the calendar differs, such as {add: [2026-11-27], remove: [2026-10-12]}",
    (
        Key("add", ListOf(DAY), "Days on which this organisation does not work."),
        Key("remove", ListOf(DAY), "Holidays of the calendar on which it does."),
    ),
    _make_holidays,
)


def _make_requests(values: dict[str, Any], node: Mapping, reading: Reading) -> Any:
    named = node.get("calendar")
    return Requests(**values, calendar_at=(named.line, named.column) if named else (0, 0))


REQUESTS = Record(
    "how early a mailing is asked for, such as {notice: 5 working days}",
    (
        Key("notice", SPAN, "How long before the planned day a request must come."),
        Key("calendar", CALENDAR, "Whose holidays are no working days; weekends alone where left out."),
        Key("holidays", HOLIDAYS, "Days by which this organisation's holidays differ from the calendar."),
        Key("late", word_of("flag", "refuse"), "What becomes of a late request."),
    ),
    _make_requests,
)
ESCALATE = Record(
    "when and to whom it is passed on, such as {after: 5 working days, to: admin}",
    (
        Key("after", SPAN, "When it is passed on; never where left out."),
        Key("to", ASK, "To whom; to approvers where left out, to admins where approvers are asked."),
        Key("before", SPAN, "How long before the day by which a legal notice is needed."),
    ),
    _make(Escalation),
)
HELD = Record(
    "what becomes of a held mailing, such as {remind: 2 working days, expire: 10 working days}",
    (
        Key("remind", SPAN, "When those who are asked are reminded."),
        Key("escalate", ESCALATE, "When others may decide in the place of those who are asked."),
        Key("expire", SPAN, "When it goes back to its sender."),
    ),
    _make(Held),
)

RECORDED = word_of(*(name for name in FIELDS if name not in BY_THE_RULESET))
AUDIT = Record(
    "what is recorded of decisions, such as {keep: 400d, ordinary: [sender]}",
    (
        Key("keep", DURATION, "How long a recorded decision stays."),
        Key("ordinary", ListOf(RECORDED), "Fields of ordinary mail that are recorded by value; none where left out."),
    ),
    lambda values, node, reading: AuditRules(**{**values, "ordinary": frozenset(values.get("ordinary", ()))}),
)

NOTICES = Record(
    "what the gate's own mails say, such as {templates: notices}",
    (Key("templates", PATH, "A folder with templates of your own, such as held.txt."),),
    _make(Notices),
)

# -- the rules ---------------------------------------------------------------------------------------------------


def _make_during(values: dict[str, Any], node: Mapping, reading: Reading) -> Any:
    if not values:
        return reading.error(node, "expected from or until, or both")
    zone = reading.names.timezone
    begin, end = values.get("from"), values.get("until")
    if isinstance(end, date) and not isinstance(end, datetime):
        end += timedelta(days=1)  # the last day counts
    during = During(*(_moment(value, zone) for value in (begin, end)))
    if during.begin and during.end and during.begin >= during.end:
        return reading.error(node, "until is not after from: expected a time in which the rule is in force")
    return during


def _moment(value: Any, zone: Any) -> datetime | None:
    if value is None or isinstance(value, datetime):
        return value if value is None or value.tzinfo else value.replace(tzinfo=zone)
    return datetime.combine(value, time(), zone)


DURING = Record(
    "when the rule is in force, such as {from: 2026-01-01, until: 2026-12-31}",
    (
        Key("from", Moment(), "Its first day, or the moment from which it is in force."),
        Key("until", Moment(), "Its last day, or the moment at which it ends."),
    ),
    _make_during,
)


def _make_rule(values: dict[str, Any], node: Mapping, reading: Reading) -> Any:
    action = Action(values.pop("then"))
    observe = values.pop("mode", "enforce") == "observe"
    values.setdefault("say", f"This mail falls under the rule {values['id']}.")
    if values.get("repair") and action is not Action.WARN:
        return reading.error(node, f"repair beside then: {action}: expected it beside then: warn")
    matches = compile_rule(values["when"], values.get("unless"))
    return Rule(action=action, observe=observe, line=node.line, matches=matches, **values)


RULE = Record(
    "a rule with id, when and then",
    (
        Key("id", WORD, "Its name, in replies, logs and permits; each once.", required=True),
        Key("cite", TEXT, "The sentence of the policy that it stands for."),
        Key("when", Conditions(), "What it looks for: all of these.", required=True),
        Key("unless", Conditions(Context(turned="unless")), "What takes a match back: all of these."),
        Key("then", word_of(*Action), "What it asks for.", required=True),
        Key("ask", ASK, "Who must agree before a held mailing may leave."),
        Key("say", Saying(), "What the sender is told, with {placeholders}."),
        Key("during", DURING, "When it is in force; always where left out."),
        Key("mode", word_of("enforce", "observe"), "observe: it is watched and changes nothing."),
        Key("repair", word_of("blind"), "blind, beside then: warn: hides a visible list."),
    ),
    _make_rule,
)


class Rules:
    """The list of rules; ids occur once."""

    def read(self, node: Node, reading: Reading) -> Any:
        """Make a tuple of rules."""
        if not isinstance(node, Sequence):
            return reading.error(node, f"{node.describe} here: expected a list of rules, each beginning with - id:")
        values = tuple(RULE.read(item, reading) for item in node.items)
        again = self._refuse_same_ids(node, reading)
        return INVALID if again or INVALID in values else values

    def _refuse_same_ids(self, node: Sequence, reading: Reading) -> bool:
        lines: dict[str, int] = {}
        again = False
        for item in node.items:
            name = item.get("id") if isinstance(item, Mapping) else None
            if isinstance(name, Scalar) and lines.setdefault(name.text, name.line) != name.line:
                reading.error(name, f"rule {name.text} again: its id stands in line {lines[name.text]} already")
                again = True
        return again

    def schema(self) -> Json:
        """An array of rules."""
        return {"type": "array", "items": RULE.schema()}


def _version(text: str) -> int:
    if text != "1":
        raise ValueError(text)
    return 1


class Defines:
    """Named conditions; they are read where they are used, and here so that unused ones are checked as well."""

    inner = MapOf("conditions by their names, such as everybody: {agencies: {at_least: 10}}", WORD, Conditions())

    def read(self, node: Node, reading: Reading) -> Any:
        """Check every define."""
        if not isinstance(node, Mapping):
            return self.inner.read(node, reading)
        problems = [reading.error(key, text) for key, _ in node.pairs if (text := define_problem(key.text))]
        values = [read_define(key.text, reading).condition for key, _ in node.pairs]
        return INVALID if problems or INVALID in values else values

    def schema(self) -> Json:
        """An object of conditions."""
        return self.inner.schema()


class Enforced:
    """The agencies that the rules act on, as a set; an empty list is nobody."""

    inner = ListOf(AGENCY)

    def read(self, node: Node, reading: Reading) -> Any:
        """Make a frozenset of ids."""
        values = self.inner.read(node, reading)
        return values if values is INVALID else frozenset(values)

    def schema(self) -> Json:
        """A list of ids."""
        return self.inner.schema()


VERSION = Value("1, the version of this grammar", _version, {"enum": [1, "1"]})
DOCUMENT = Record(
    "a rules file with version: 1 and rules",
    (
        Key("version", VERSION, "The version of this grammar: 1.", required=True),
        Key("title", TEXT, "What these rules are called."),
        Key("effective", DAY, "The day from which they are in force, for people to know."),
        Key("review", DAY, "The day by which somebody should look at them again."),
        Key("contact", TEXT, "Whom a sender can ask; told in every refusal."),
        Key("timezone", Zone(), "The time zone of days in this file."),
        Key("agencies", AGENCIES, "The parts of the organisation."),
        Key("domains", ListOf(DOMAIN), "Further domains inside the organisation, of no agency."),
        Key("scope", SCOPE, "Whose senders these rules do not cover."),
        Key("directory", DIRECTORY, "Files that say which addresses are whose."),
        Key("lists", LISTS, "Addresses that stand for many."),
        Key("people", PEOPLE, "Who asks, decides and looks."),
        Key("groups", GROUPS, "Groups of senders, for sender_group and used_by."),
        Key("senders", SENDERS, "Sending addresses: who may send under them."),
        Key("together", TOGETHER, "Whose addresses belong together by themselves, for from_allowed."),
        Key("consent", CONSENT, "Who outside has consented to mass mail."),
        Key("working_hours", WORKING_HOURS, "When people are at work."),
        Key("mailing", MAILING, "What makes messages one mailing."),
        Key("requests", REQUESTS, "How early a mailing is asked for."),
        Key("held", HELD, "What becomes of a held mailing that nobody decides."),
        Key("audit", AUDIT, "What is recorded of decisions, and for how long."),
        Key("enforce", Enforced(), "Agencies whose senders these rules act on; the others are only watched."),
        Key("notices", NOTICES, "What the gate's own mails say."),
        Key("preflight", ADDRESS, "Mail to this address is judged and answered, and goes nowhere."),
        Key("mass", Conditions(Context(counts_only=True)), "When a mailing is a mass mailing: counts only."),
        Key("define", Defines(), "Conditions with names, to be used in several rules."),
        Key("rules", Rules(), "The rules; all are evaluated, the most severe wins.", required=True),
    ),
)
