"""The values that the rooms of the gate pass to each other: frozen dataclasses, standard library only.

The words are those of docs/flow.md: a *transaction* comes in, has *facts* about its message, reaches an *audience*,
belongs to a *mailing* with *counts* and a *standing*, and gets a *verdict* with *reasons*.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NamedTuple

from gatekeeper.lib.immutable import immutable


class Action(StrEnum):
    """What a rule demands, and what a verdict says; `severity` orders them (reject > hold > defer > warn > relay)."""

    RELAY = "relay"
    WARN = "warn"
    DEFER = "defer"
    HOLD = "hold"
    REJECT = "reject"

    @property
    def severity(self) -> int:
        return _SEVERITY[self]

    @property
    def passes(self) -> bool:
        """Return True where the message goes on to the next hop."""
        return self in (Action.RELAY, Action.WARN)


_SEVERITY = {action: rank for rank, action in enumerate(Action)}


# -- what came in ------------------------------------------------------------------------------------------------


@immutable
class Client:
    """The host that is connected to a listener, or that a trusted host names by XCLIENT or XFORWARD."""

    address: str = ""  # IP address, without brackets or the IPv6: prefix
    name: str = ""  # reverse DNS name; "" where it is unknown
    helo: str = ""
    port: int = 0
    protocol: str = "ESMTP"  # as in a Received field's "with"


class Recipient(NamedTuple):
    """One RCPT: the address without brackets, and its ESMTP parameters as they were given (RFC 3461 4).

    A message may have thousands of recipients, and a named tuple is made in half the time of a dataclass.
    """

    address: str
    parameters: tuple[str, ...] = ()  # such as ("NOTIFY=NEVER", "ORCPT=rfc822;a@example.gov")


class Refusal(NamedTuple):
    """A recipient that the next hop refused for good, and its reply: "550 5.1.1 no such user"."""

    recipient: Recipient
    reply: str


@immutable
class Transaction:
    """One SMTP mail transaction (RFC 5321 3.3): envelope and message."""

    listener: str  # "smtp" or "milter"
    client: Client
    sender: str  # MAIL FROM without brackets; "" for the null reverse-path
    recipients: tuple[Recipient, ...]
    content: bytes = field(repr=False)  # dot-unstuffed, CRLF line ends, as it came in
    parameters: tuple[str, ...] = ()  # ESMTP parameters of MAIL, such as ("BODY=8BITMIME", "RET=HDRS", "ENVID=QQ1")
    login: str | None = None  # SASL login, where the listener knows one
    authenticated: bool = False  # a login, or a client in the --authenticated networks
    upstream: str | None = None  # queue id at the MTA before the gate, and that MTA's address: "4XyZ@192.0.2.1"
    trace: bytes = field(default=b"", repr=False)  # the Received field that the MTA adds only after its milters
    refused: tuple[Refusal, ...] = ()  # by the next hop, after the client was told that they are taken (--rcpt trust)
    peer: str = ""  # the one of --peers whose mail it is
    beyond: int = 0  # so many recipients, the last ones, are beyond the next hop's limit: they get it in further parts

    @property
    def addresses(self) -> tuple[str, ...]:
        """Return the recipients' addresses, as written."""
        return tuple([recipient.address for recipient in self.recipients])

    @property
    def rest(self) -> tuple[Recipient, ...]:
        """Return the recipients beyond the next hop's limit."""
        return self.recipients[len(self.recipients) - self.beyond :]


# -- what the message says about itself --------------------------------------------------------------------------


@immutable
class Mailbox:
    """One address of a header field: display name (decoded) and addr-spec."""

    name: str
    address: str


@immutable
class Attachment:
    """A MIME part that a mail program would offer as a file."""

    name: str  # "" where it has none
    type: str  # lower case, "application/pdf"
    size: int  # octets once decoded, exact but for the padding of the transfer encoding


@immutable
class Facts:
    """What a message says about itself; made by `message.read_facts` in time linear in the message's size."""

    size: int = 0  # octets
    author: tuple[Mailbox, ...] = ()  # From
    sender: tuple[Mailbox, ...] = ()  # Sender
    resent: tuple[Mailbox, ...] = ()  # Resent-From and Resent-Sender
    to: tuple[Mailbox, ...] = ()
    cc: tuple[Mailbox, ...] = ()
    bcc: tuple[Mailbox, ...] = ()
    subject: str | None = None  # decoded (RFC 2047); None where missing or blank
    message_id: str | None = None  # with its angle brackets removed
    list_id: str | None = None  # the identifier between the brackets (RFC 2919), lower case
    unsubscribe: tuple[str, ...] = ()  # URIs of List-Unsubscribe (RFC 2369)
    one_click: bool = False  # List-Unsubscribe-Post: List-Unsubscribe=One-Click (RFC 8058)
    attachments: tuple[Attachment, ...] = ()
    tnef: bool = False  # has a part in Exchange's own format (winmail.dat), whose files cannot be seen
    links: frozenset[str] = frozenset()  # hosts that the text links to, lower case, IDNA
    defects: tuple[str, ...] = ()  # closed vocabulary: message.DEFECTS
    automatic: bool = False  # a DSN, MDN or auto-reply, recognised by its structure
    answers: tuple[str, ...] = ()  # Message-IDs that an automatic message answers
    received: int = 0  # number of Received fields
    content_digest: str = ""  # hex; body and the fields that people see, never trace, DKIM or Message-ID
    copy_digest: str = ""  # of the same without From and Sender: what copies share, whoever they say sends them
    subject_key: str = ""  # subject folded for comparison; "" where there is none
    fingerprints: tuple[str, ...] = ()  # of the text; copies share at least one. () where the text is too short
    short_key: str = ""  # of a text that is too short: what it is, by its invitation, file, links or words


def is_automatic(transaction: Transaction, facts: Facts) -> bool:
    """Return True for a DSN, MDN or auto-reply with a null sender and one recipient, as it should be (RFC 3834 2)."""
    return facts.automatic and not transaction.sender and len(transaction.recipients) == 1


# -- whom a transaction reaches ----------------------------------------------------------------------------------


@immutable
class WatchedList:
    """A list whose reach a rule asks for: how many of its members get the mailing. The directory's current state."""

    members: frozenset[str]  # users and externals, nested lists expanded
    version: str  # changes when the members change


@immutable
class SentQuery:
    """What a rule asks about an origin: how many people it has reached over all its mailings, within a time."""

    field: str  # "sender_users", "sender_people", "sender_agencies" or "client_users"
    within: timedelta


@immutable
class ListReach:
    """How many of a list's members a mailing has reached."""

    reached: int
    members: int


@immutable
class Audience:
    """Whom one transaction reaches, lists expanded; made by `directory.audience.count_audience`."""

    users: Mapping[str, str | None] = field(default_factory=dict)  # user -> agency id; None for a user in no agency
    externals: frozenset[str] = frozenset()
    lists: frozenset[str] = frozenset()  # addresses of the lists that were expanded
    unresolved: frozenset[str] = frozenset()  # users by addresses that no directory or declared domain has
    recipients: int = 0  # number of recipients of the envelope
    visible: int = 0  # people in To and Cc, lists counted as their members
    certain: bool = True  # False where the directory has not answered for too long
    unlisted: frozenset[str] | None = None  # people in no known list; None where no rule asks
    unconsented: frozenset[str] | None = None  # externals without consent; None where that is unknown
    watched: Mapping[str, WatchedList] = field(default_factory=dict)  # list address -> list, where a rule asks
    beside: int = 0  # people who are in none of the lists of this transaction
    alone: bool = False  # it goes to its own authors only: a copy to oneself
    together: str = ""  # in `watched`, all lists of the transaction as one, where some were expanded before it came


@immutable
class Counts:
    """Whom a mailing has reached so far, the transaction being judged included."""

    users: int = 0
    external: int = 0
    agencies: Mapping[str, int] = field(default_factory=dict)  # agency id -> users
    lists: frozenset[str] = frozenset()
    unresolved: int = 0
    unlisted: int | None = None  # None where they were not counted
    unconsented: int | None = None
    reach: Mapping[str, ListReach] = field(default_factory=dict)  # list address -> reach, where a rule asks
    sent: Mapping[SentQuery, int] = field(default_factory=dict)  # by its origin, at most, where a rule asks
    beside: int | None = None  # people in none of its lists, at most, where these were expanded before; None: unknown

    @property
    def people(self) -> int:
        return self.users + self.external

    @classmethod
    def of(cls, audience: Audience) -> Counts:
        """Return the counts of one transaction, as though it were its whole mailing."""
        people = (audience.users.keys() | audience.externals) if audience.watched else frozenset()
        return cls(
            users=len(audience.users),
            external=len(audience.externals),
            agencies=_tally(audience.users.values()),
            lists=audience.lists,
            unresolved=len(audience.unresolved),
            unlisted=_how_many(audience.unlisted),
            unconsented=_how_many(audience.unconsented),
            beside=audience.beside if audience.together else None,
            reach={
                address: ListReach(len(people & watched.members), len(watched.members))
                for address, watched in audience.watched.items()
            },
        )


def _tally(agencies: Iterable[str | None]) -> dict[str, int]:
    """Return the number of users by agency. A Counter of a few takes four times as long."""
    tally: dict[str, int] = {}
    for agency in agencies:
        if agency is not None:
            tally[agency] = tally.get(agency, 0) + 1
    return tally


def _how_many(people: frozenset[str] | None) -> int | None:
    return None if people is None else len(people)


# -- who sends, and what the ledger says -------------------------------------------------------------------------


@immutable
class Name:
    """A name that a message is sent under beside its source's mailbox."""

    address: str  # normalised
    agency: str | None = None
    groups: tuple[str, ...] = ()


class Place(NamedTuple):
    """A name under which mail is sent, within which weak keys join."""

    user: str
    named: bool = False  # by a From that is not own, which never joins what the user sends
    agency: str | None = None

    @property
    def name(self) -> str:
        """The name by which the place is told from all others."""
        return f"named {self.user}" if self.named else self.user


@immutable
class Source:
    """Who sends: the login's mailbox, else From, else MAIL FROM without VERP, BATV and SRS."""

    mailbox: str  # normalised address; "" only where the message names no sender at all
    authenticated: bool = False
    agency: str | None = None
    covered: bool = True  # False for senders of agencies that the ruleset's scope excepts
    groups: tuple[str, ...] = ()  # groups of the sender, by the directory or the ruleset
    from_problem: str | None = None  # why the sender may not use these names, "" where allowed; None where no rule asks
    names: tuple[str, ...] = ()  # all it is sent under but a lent From, the vouching one first; () where none vouches
    beside: (
        tuple[Name, ...] | None
    ) = ()  # `names` of others than the mailbox's own and its users; None without a voucher
    proven: bool = False  # every name belongs to `agency`, and not by From alone
    separate: bool = False  # each message of this source is a mailing of its own
    others: tuple[tuple[str, str], ...] = ()  # ("sender", "agency" or "group", its name) of the other names
    places: tuple[Place, ...] = ()  # within which weak keys join, the sending one first
    owners: tuple[str, ...] = ()  # whose mail it is, the one that letters go to first; () where From alone says who

    @property
    def owner(self) -> str:
        """The mailbox that letters about the mail go to; "" where From alone says whose it is."""
        return self.owners[0] if self.owners else ""

    @property
    def agencies(self) -> tuple[str | None, ...]:
        """Return the agencies of all names that the message is sent under, the source's own agency first."""
        return (self.agency, *(name for kind, name in self.others if kind == "agency"))


@immutable
class Keys:
    """The keys that make transactions one mailing. Strong keys join across sources, weak keys within a place."""

    strong: tuple[str, ...] = ()  # "queue:..." and "message:..."
    weak: tuple[str, ...] = ()  # "subject:...", "text:..." and "short:...", or "auto:" alone


@immutable
class Scope:
    """The senders whose mail a permit or a suspension is about; empty for all senders."""

    senders: frozenset[str] = frozenset()  # mailboxes
    agencies: frozenset[str] = frozenset()  # ids
    groups: frozenset[str] = frozenset()

    def __bool__(self) -> bool:
        return bool(self.senders or self.agencies or self.groups)

    def __str__(self) -> str:
        """Return `head@doa.example.gov`, `agency DOA`, `group teachers`, or several of these."""
        named = [*sorted(self.senders), *(f"agency {name}" for name in sorted(self.agencies))]
        return ", ".join([*named, *(f"group {name}" for name in sorted(self.groups))])


WORD_OCTETS = 6  # of a word's hash in `TextLikeness.words`


@immutable
class TextLikeness:
    """What a shown part says, for comparison with its copies."""

    type: str  # "text/plain"
    words: bytes = field(repr=False)  # a hash of each, in order
    spelled: tuple[str, ...] = field(default=(), repr=False, compare=False)  # the words; () in what is stored


@immutable
class Likeness:
    """What the varying copies of a message have in common; a `template` permit is bound to it."""

    texts: tuple[TextLikeness, ...] = ()  # at most a tenth of the words of each may differ
    links: frozenset[str] = frozenset()  # a copy has exactly these, of all schemes; values in a query may vary
    attachments: frozenset[str] = frozenset()  # a copy has exactly these: name, type and digest of the content
    tokens: frozenset[str] = frozenset()  # a copy has no other: numbers like those of accounts, mail addresses
    styles: str = ""  # a copy has these styles and scripts: a digest
    defects: frozenset[str] = frozenset()  # a copy has no other: with more, programs may show something else
    whole: bool = True  # False where the message is too long to be compared
    comparable: bool = True  # False where it was stored by a version that compared less


@immutable
class Permit:
    """A permit clears holds of the named rules, within the permit's scope, binding, window, ceiling and uses."""

    id: str  # "P-9"
    rules: frozenset[str]
    digests: frozenset[str]  # content digests the permit is bound to (`exact`); empty where content does not bind
    ceiling: int | None  # most users; None for any number
    agencies: frozenset[str]  # agencies that may be reached; empty for any
    until: datetime
    kind: str = "approval"  # or "exception", "emergency"
    state: str = "in force"  # a value of lifecycle.PermitState
    scope: Scope = Scope()
    subject: str = ""  # the subject as requested
    subject_key: str = ""  # the folded subject (`message.subject_key`); "" for any subject
    lists: frozenset[str] = frozenset()  # lists that the mailing may go to; empty for any
    likeness: Likeness | None = None  # what the content must be like (`template`); None where it need not
    since: datetime | None = None  # when the permit's window begins
    purpose: str = ""  # the purpose of the request
    claimed: bool = False  # the mailing being judged has used this permit already


@immutable
class Cancelled:
    """An approved mailing whose invitation a message calls off, to nobody whom the mailing has not reached."""

    mailing: str  # "M-17"
    key: int  # row of the mailing in the database
    permit: Permit  # the one that let the mailing pass, with the content of the message


@immutable
class Suspension:
    """A suspension: senders who may not send mass mail until a moment (C10)."""

    id: str  # "S-2"
    who: Scope
    reason: str
    until: datetime


@immutable
class EarlierMailings:
    """The earlier mass mailings that a rule counts: those to an audience, or those of the same source (T4)."""

    to: str  # a list's address or an agency's id; "" counts those of the same source
    within: timedelta


@immutable
class Standing:
    """What the ledger says about a mailing at the time when a transaction of the mailing is judged."""

    mailing: str | None = None  # "M-17"; None while the mailing has no number
    state: str = "open"
    reasons: tuple[Reason, ...] = ()  # why the mailing is held, where it is
    permits: tuple[Permit, ...] = ()
    whole: bool = False  # True where the whole ledger was read, False where only the mailing's own state was
    suspensions: tuple[Suspension, ...] = ()
    earlier: Mapping[EarlierMailings, int] = field(default_factory=dict)  # mailings, where a rule asks
    answers: bool = False  # automatic mail that answers mail which the gate passed from its recipient


# -- what is decided ---------------------------------------------------------------------------------------------


@immutable
class Reason:
    """One matching rule, and the text that the sender gets."""

    rule: str
    action: Action
    cite: str = ""
    text: str = ""
    ask: tuple[str, ...] = ()  # who must agree before a held mailing is released
    unknown: bool = False  # a field was unavailable, so whether the rule matches is unknown
    repair: str = ""  # a change to a message that passes: "blind" hides the visible list of recipients


@immutable
class Verdict:
    """The most severe action, and every matching rule as a reason."""

    action: Action = Action.RELAY
    reasons: tuple[Reason, ...] = ()
    mass: bool = False
    permits: tuple[str, ...] = ()  # ids of the permits that cleared a hold
    lasting: tuple[str, ...] = ()  # where it is a reject: those of its rules that hang on how far the mailing reaches
    mendable: tuple[str, ...] = ()  # of these, the rules about something in the message that can be put right

    @property
    def rules(self) -> tuple[str, ...]:
        return tuple(reason.rule for reason in self.reasons)

    @property
    def depends_on_ledger(self) -> bool:
        """Return True where reading the whole ledger could change the verdict: mass mail, holds, unknown rules."""
        return self.mass or any(reason.action is Action.HOLD or reason.unknown for reason in self.reasons)

    @property
    def blind(self) -> bool:
        """Return True where a visible list is hidden before the message passes."""
        return any(reason.repair == "blind" for reason in self.reasons)

    def without_repairs(self) -> Verdict:
        """Return the verdict by which the message passes as it came."""
        return replace(self, reasons=tuple(replace(reason, repair="") for reason in self.reasons))


class RuleSelection(StrEnum):
    """Which rules are evaluated for a message."""

    ALL = "all"
    NAMES = "names"  # rules about the names that the message is sent under
    COUNTS = "counts"  # rules about nothing but how many people a mailing reaches
    NONE = "none"


@immutable
class Evidence:
    """Everything that a judgment reads, except the ruleset and the time."""

    transaction: Transaction
    facts: Facts
    audience: Audience
    counts: Counts
    standing: Standing
    source: Source
    arrived: datetime | None = None  # when the message came in, where it is judged later
    likeness: Likeness | None = None  # of the content; read only where a permit is bound to a likeness

    @property
    def rule_selection(self) -> RuleSelection:
        """Return which rules are evaluated: not all for mail that is exempt or automatic."""
        if is_automatic(self.transaction, self.facts):
            return RuleSelection.COUNTS if self.source.covered and not self.standing.answers else RuleSelection.NONE
        return RuleSelection.ALL if self.source.covered else RuleSelection.NAMES


@immutable
class Outcome:
    """What the store decided about a transaction: the verdict, the counts behind it, and what was stored."""

    verdict: Verdict
    counts: Counts
    mailing: str | None = None  # "M-17" where the mailing has a number
    key: int | None = None  # row of the mailing in the database; None where nothing was stored
    batch: int | None = None  # id of the batch, where the batch is kept
    gathered: bool = False  # kept until the mailing is whole, but not held
    repeated: bool = False  # this is a resend of a batch that is kept already
    flight: int | None = None  # id by which a revocation finds mail on its way; None where no permit lets it pass
    rest: int | None = None  # id of the batch of those beyond the next hop's limit, where it passes
