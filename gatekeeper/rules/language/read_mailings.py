"""Read `mailing`, `requests`, `held`, `audit` and `notices`: how mail becomes mailings, and what happens to them."""

from __future__ import annotations

from typing import Any

from gatekeeper.rules.fields import BY_THE_RULESET, FIELDS
from gatekeeper.rules.language.read_approvers import ASK
from gatekeeper.rules.language.scalars import (
    ADDRESS,
    CALENDAR,
    DAY,
    DURATION,
    NETWORK,
    PATH,
    POSITIVE,
    SPAN,
    SWITCH,
    TEXT,
    WORD,
    word_of,
)
from gatekeeper.rules.language.value_types import (
    INVALID,
    Json,
    Key,
    ListOf,
    MapOf,
    Reading,
    Section,
    Value,
    made_into,
)
from gatekeeper.rules.language.yaml_nodes import Mapping, Node, Scalar
from gatekeeper.rules.specs import (
    DENIALS,
    AuditRules,
    Escalation,
    Gather,
    Held,
    Holidays,
    MailingRules,
    Notices,
    Requests,
)

_MOST_ADDRESSES = 1_024  # of a network of scanners or monitors; one with more is warned of

# -- what one mailing is -----------------------------------------------------------------------------------------


def _make_gather(values: dict[str, Any], node: Mapping, reading: Reading) -> Any:
    if "sizes" in values and "at_least" in values:
        return reading.error(node, "at and from together: expected one of them")
    if "at_least" in values:
        values["sizes"] = frozenset()
    gather = Gather(**{**values, "sizes": frozenset(values.get("sizes", Gather().sizes))})
    if gather.quiet > gather.limit:
        return reading.error(node, "quiet is longer than limit: expected a limit that leaves time to be quiet")
    return gather


class _GatherOrOff:
    """The shape of `gather:`: `off`, or which batches wait and for how long."""

    record = Section(
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
        """Return a Gather, or None for off."""
        if isinstance(node, Scalar) and node.text.lower() in ("off", "false", "no"):
            return None
        return self.record.read(node, reading)

    def schema(self) -> Json:
        """Return the schema of the section or off, which an editor's YAML may read as false."""
        return {"anyOf": [self.record.schema(), {"enum": ["off", False]}]}


def _make_network(values: dict[str, Any], node: Mapping, reading: Reading) -> Any:
    network = values["network"]
    if network.num_addresses > _MOST_ADDRESSES:
        reading.warn(node, f"{network} is wide: whatever its {network.num_addresses} addresses send is counted apart")
    return network


class _Separate:
    """The shape of one entry of `separate:`: the address of a sender, or the network of clients."""

    record = Section(
        "the address of a sender, or {network: 192.0.2.0/28}",
        (Key("network", NETWORK, "The addresses of clients, such as scanners.", required=True),),
        _make_network,
    )

    def read(self, node: Node, reading: Reading) -> Any:
        """Return the address, or the network."""
        return (self.record if isinstance(node, Mapping) else ADDRESS).read(node, reading)

    def schema(self) -> Json:
        """Return the schema of the address or the section."""
        return {"anyOf": [ADDRESS.schema(), self.record.schema()]}


def _make_mailing(values: dict[str, Any], node: Mapping, reading: Reading) -> Any:
    entries = values.pop("separate", ())
    senders = frozenset(each for each in entries if isinstance(each, str))
    networks = tuple(each for each in entries if not isinstance(each, str))
    mailing = MailingRules(**values, separate=senders, separate_networks=networks)
    if mailing.gather and mailing.gather.limit > mailing.within:
        reading.warn(node, "gather.limit is longer than within: a mailing would end while its batches wait")
    return mailing


MAILING = Section(
    "what makes one mailing, such as {source: sender, within: 24h}",
    (
        Key("source", word_of("sender", "agency"), "Whose messages are counted together."),
        Key("within", DURATION, "How long after its first message a mailing takes in more."),
        Key("gather", _GatherOrOff(), "Which batches wait until their mailing is whole."),
        Key("across", SWITCH, "off: one text from many senders of the organisation is not counted together."),
        Key("separate", ListOf(_Separate()), "Senders and clients each of whose messages is a mailing of its own."),
    ),
    _make_mailing,
)


# -- how long people have ----------------------------------------------------------------------------------------


def _make_holidays(values: dict[str, Any], node: Mapping, reading: Reading) -> Any:
    holidays = Holidays(**{key: frozenset(days) for key, days in values.items()})
    both = sorted(holidays.add & holidays.remove)
    if both:
        return reading.error(node, f"{both[0]} in add and in remove: expected it in one of them")
    return holidays


HOLIDAYS = Section(
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


REQUESTS = Section(
    "how early a mailing is asked for, such as {notice: 5 working days}",
    (
        Key("notice", SPAN, "How long before the planned day a request must come."),
        Key("calendar", CALENDAR, "Whose holidays are no working days; weekends alone where left out."),
        Key("holidays", HOLIDAYS, "Days by which this organisation's holidays differ from the calendar."),
        Key("late", word_of("flag", "refuse"), "What becomes of a late request."),
    ),
    _make_requests,
)
_ESCALATE = Section(
    "when and to whom it is passed on, such as {after: 5 working days, to: admin}",
    (
        Key("after", SPAN, "When it is passed on; never where left out."),
        Key("to", ASK, "To whom; to approvers where left out, to admins where approvers are asked."),
        Key("before", SPAN, "How long before the day by which a legal notice is needed."),
    ),
    made_into(Escalation),
)
HELD = Section(
    "what becomes of a held mailing, such as {remind: 2 working days, expire: 10 working days}",
    (
        Key("remind", SPAN, "When those who are asked are reminded."),
        Key("escalate", _ESCALATE, "When others may decide in the place of those who are asked."),
        Key("expire", SPAN, "When it goes back to its sender."),
    ),
    made_into(Held),
)

# -- what is kept and said ---------------------------------------------------------------------------------------

_RECORDED = word_of(*(name for name in FIELDS if name not in BY_THE_RULESET))
AUDIT = Section(
    "what is recorded of decisions, such as {keep: 400d, ordinary: [sender]}",
    (
        Key("keep", DURATION, "How long a recorded decision stays."),
        Key("ordinary", ListOf(_RECORDED), "Fields of ordinary mail that are recorded by value; none where left out."),
    ),
    lambda values, node, reading: AuditRules(**{**values, "ordinary": frozenset(values.get("ordinary", ()))}),
)

_MOST_LINES = 100


def _lines(text: str) -> int:
    if text.lower() == "none":
        return 0
    number = int(text) if text.isascii() and text.isdigit() and len(text) < 4 else 0
    if not 0 < number <= _MOST_LINES:
        raise ValueError(text)
    return number


_EXCERPT = Value(
    f"a number of lines from 1 to {_MOST_LINES}, or none",
    _lines,
    {"anyOf": [{"type": "integer", "minimum": 1, "maximum": _MOST_LINES}, {"enum": ["none"]}]},
)
NOTICES = Section(
    "what the gate's own mails say, such as {templates: notices}",
    (
        Key("templates", PATH, "A folder with templates of your own, such as held.txt."),
        Key("excerpt", _EXCERPT, "Lines of a held message's text that those who decide are sent; 20 where left out."),
    ),
    made_into(Notices),
)


class _Denials:
    """The shape of `denials:`, categories of denials with their words; those that are left out keep theirs."""

    inner = MapOf("categories of denials with their words, such as personal: a private matter", WORD, TEXT)

    def read(self, node: Node, reading: Reading) -> Any:
        """Return all categories with their words."""
        values = self.inner.read(node, reading)
        return values if values is INVALID else {**DENIALS, **values}

    def schema(self) -> Json:
        """Return the schema of an object with free keys."""
        return self.inner.schema()


DENIAL_WORDS = _Denials()
