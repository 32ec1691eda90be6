"""What the rooms of the gate pass to each other: frozen values, standard library only.

The words are those of docs/flow.md: a *transaction* comes in, says *facts* about itself, reaches an *audience*,
belongs to a *mailing* with *counts* and a *standing*, and gets a *verdict* with *reasons*.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NamedTuple

from gatekeeper.lib.immutable import immutable


class Action(StrEnum):
    """What a rule asks for and what a verdict is; `severity` orders them (reject > hold > defer > warn > relay)."""

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
        """True where the message goes on to the next hop."""
        return self in (Action.RELAY, Action.WARN)


_SEVERITY = {action: rank for rank, action in enumerate(Action)}


# -- what came in ------------------------------------------------------------------------------------------------


@immutable
class Client:
    """The host that speaks to a listener, or for which a trusted one speaks by XCLIENT or XFORWARD."""

    address: str = ""  # IP address, without brackets or the IPv6: prefix
    name: str = ""  # reverse DNS name, "" where unknown
    helo: str = ""
    port: int = 0
    protocol: str = "ESMTP"  # as in a Received field's "with"


class Recipient(NamedTuple):
    """One RCPT: the address without brackets, and its ESMTP parameters as they were given (RFC 3461 4).

    There are thousands of a message; a named tuple is made in half the time.
    """

    address: str
    parameters: tuple[str, ...] = ()  # such as ("NOTIFY=NEVER", "ORCPT=rfc822;a@example.gov")


@immutable
class Transaction:
    """One SMTP mail transaction (RFC 5321 3.3): envelope and message."""

    listener: str  # "smtp" or "milter"
    client: Client
    sender: str  # MAIL FROM without brackets; "" for the null reverse-path
    recipients: tuple[Recipient, ...]
    content: bytes = field(repr=False)  # dot-unstuffed, CRLF line ends, as it came in
    parameters: tuple[str, ...] = ()  # of MAIL, such as ("BODY=8BITMIME", "RET=HDRS", "ENVID=QQ1")
    login: str | None = None  # SASL login, where the listener knows one
    authenticated: bool = False  # a login, or a client in the --authenticated networks
    upstream: str | None = None  # queue id at the MTA before us with its address: "4XyZ@192.0.2.1"
    trace: bytes = field(default=b"", repr=False)  # the MTA's own Received field, which it adds only behind a milter

    def envelope(self) -> Transaction:
        """The same without its octets; each message's is made, and `dataclasses.replace` takes five times as long."""
        return Transaction(
            self.listener,
            self.client,
            self.sender,
            self.recipients,
            b"",
            self.parameters,
            self.login,
            self.authenticated,
            self.upstream,
            self.trace,
        )


# -- what it says about itself -----------------------------------------------------------------------------------


@immutable
class Mailbox:
    """One address of a header field: display name (decoded) and addr-spec."""

    name: str
    address: str


@immutable
class Attachment:
    """A part that a mail program would offer as a file."""

    name: str  # "" where it has none
    type: str  # lower case, "application/pdf"
    size: int  # octets once decoded, to within a transfer encoding's padding


@immutable
class Facts:
    """What a message says about itself; made by `mail.read_facts`, in time linear in its size."""

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
    links: frozenset[str] = frozenset()  # hosts that the text links to, lower case, IDNA
    defects: tuple[str, ...] = ()  # closed vocabulary: mail.DEFECTS
    automatic: bool = False  # a DSN, MDN or auto-reply, told by its structure
    answers: tuple[str, ...] = ()  # Message-IDs of what it answers, where it is automatic
    received: int = 0  # Received fields
    content_digest: str = ""  # hex; body and the fields that people see, never trace, DKIM or Message-ID
    subject_key: str = ""  # subject folded for comparison; "" where there is none
    fingerprints: tuple[str, ...] = ()  # of the text, copies share one; () where it is too short to tell


def is_automatic(transaction: Transaction, facts: Facts) -> bool:
    """True for a DSN, MDN or auto-reply as it should be sent: from the null sender, to one recipient (RFC 3834 2)."""
    return facts.automatic and not transaction.sender and len(transaction.recipients) == 1


# -- whom it reaches ---------------------------------------------------------------------------------------------


@immutable
class Watched:
    """A list of whose members a rule asks how many are reached, as the directory has it now."""

    members: frozenset[str]  # users and externals, nested lists expanded
    version: str  # another one where the members are others


@immutable
class Share:
    """How many of a list's members a mailing has reached."""

    reached: int
    members: int


@immutable
class Audience:
    """Whom one transaction reaches, lists expanded; made by `audience.count`."""

    users: Mapping[str, str | None] = field(default_factory=dict)  # user -> agency id, None where in no agency
    externals: frozenset[str] = frozenset()
    lists: frozenset[str] = frozenset()  # addresses of the lists that were expanded
    unresolved: frozenset[str] = frozenset()  # users by an address that no directory or declared domain has
    recipients: int = 0  # of the envelope
    visible: int = 0  # people in To and Cc, lists counted as their members
    certain: bool = True  # False where the directory has not answered for too long
    unlisted: frozenset[str] | None = None  # people in no list that the gate knows; None where no rule asks
    unconsented: frozenset[str] | None = None  # externals without consent; None where that cannot be told
    watched: Mapping[str, Watched] = field(default_factory=dict)  # by the list's address, where a rule asks
    beside: int = 0  # people whom none of its lists has as a member


@immutable
class Counts:
    """Whom a mailing reaches so far, the transaction being judged included."""

    users: int = 0
    external: int = 0
    agencies: Mapping[str, int] = field(default_factory=dict)  # agency id -> users
    lists: frozenset[str] = frozenset()
    unresolved: int = 0
    unlisted: int | None = None  # None where it has not been counted
    unconsented: int | None = None
    reach: Mapping[str, Share] = field(default_factory=dict)  # of the lists that a rule asks for

    @property
    def people(self) -> int:
        return self.users + self.external

    @classmethod
    def of(cls, audience: Audience) -> Counts:
        """Count one transaction as though it were its whole mailing."""
        people = (audience.users.keys() | audience.externals) if audience.watched else frozenset()
        return cls(
            users=len(audience.users),
            external=len(audience.externals),
            agencies=_tally(audience.users.values()),
            lists=audience.lists,
            unresolved=len(audience.unresolved),
            unlisted=_how_many(audience.unlisted),
            unconsented=_how_many(audience.unconsented),
            reach={
                address: Share(len(people & watched.members), len(watched.members))
                for address, watched in audience.watched.items()
            },
        )


def _tally(agencies: Iterable[str | None]) -> dict[str, int]:
    """Users by agency; a Counter of a few takes four times as long."""
    tally: dict[str, int] = {}
    for agency in agencies:
        if agency is not None:
            tally[agency] = tally.get(agency, 0) + 1
    return tally


def _how_many(people: frozenset[str] | None) -> int | None:
    return None if people is None else len(people)


# -- who sends, and what the ledger says -------------------------------------------------------------------------


@immutable
class Source:
    """Who sends: the login's mailbox, else From, else MAIL FROM less VERP, BATV and SRS."""

    mailbox: str  # normalised address; "" only where the message names nobody at all
    authenticated: bool = False
    agency: str | None = None
    covered: bool = True  # False for agencies that the ruleset's scope excepts
    groups: tuple[str, ...] = ()  # that the directory or the ruleset puts them into
    from_problem: str | None = None  # why they may not use these names, "" where they may; None where no rule asks
    names: tuple[str, ...] = ()  # all that it is sent under, but for a lent From; the voucher's first, () without one
    proven: bool = False  # every name belongs to `agency`, by more than From alone
    separate: bool = False  # each of its messages is a mailing of its own
    others: tuple[tuple[str, str], ...] = ()  # sender, agency and group of all other names: a suspension may be of them

    @property
    def agencies(self) -> tuple[str | None, ...]:
        """The agencies of every name that it is sent under, its own first."""
        return (self.agency, *(name for kind, name in self.others if kind == "agency"))


@immutable
class Keys:
    """What makes two transactions one mailing. Strong keys join across sources, weak ones within a source."""

    strong: tuple[str, ...] = ()  # "queue:..." and "message:..."
    weak: tuple[str, ...] = ()  # "subject:..." and "text:...", or "auto:" alone


@immutable
class Scope:
    """Whose mail something is about; empty for anybody's."""

    senders: frozenset[str] = frozenset()  # mailboxes
    agencies: frozenset[str] = frozenset()  # ids
    groups: frozenset[str] = frozenset()

    def __bool__(self) -> bool:
        return bool(self.senders or self.agencies or self.groups)

    def __str__(self) -> str:
        """`head@doa.example.gov`, `agency DOA`, `group teachers`, or several of them."""
        named = [*sorted(self.senders), *(f"agency {name}" for name in sorted(self.agencies))]
        return ", ".join([*named, *(f"group {name}" for name in sorted(self.groups))])


@immutable
class Likeness:
    """What messages that vary have in common: what a `template` permit is bound to (DESIGN 6)."""

    fingerprints: frozenset[str] = frozenset()  # a message shares at least one of them
    links: frozenset[str] = frozenset()  # and has exactly these: host and path, for their parameters vary
    attachments: frozenset[str] = frozenset()  # and these: name, type, and a digest of what is in them


@immutable
class Permit:
    """What clears a hold: it answers the named rules, within its scope, binding, window, ceiling and uses."""

    id: str  # "P-9"
    rules: frozenset[str]
    digests: frozenset[str]  # content digests it is bound to (exact); empty where it binds by all else
    ceiling: int | None  # users; None for any number
    agencies: frozenset[str]  # that it may reach; empty for any
    until: datetime
    kind: str = "approval"  # or "exception", "emergency"
    state: str = "in force"  # a word of lifecycle.PermitState
    scope: Scope = Scope()
    subject: str = ""  # as it was asked for
    subject_key: str = ""  # folded for comparison; "" for any subject
    lists: frozenset[str] = frozenset()  # that it may go to; empty for any
    likeness: Likeness | None = None  # what it is bound to (template); None where it binds by all else
    since: datetime | None = None  # the beginning of its window
    purpose: str = ""  # of the request that it was given for
    claimed: bool = False  # the mailing that is judged has used it already


@immutable
class Suspension:
    """Somebody may not send mass mail until then (C10)."""

    id: str  # "S-2"
    who: Scope
    reason: str
    until: datetime


@immutable
class Earlier:
    """Which mass mailings before this one are counted: to an audience, or where that is "" of the same source (T4)."""

    to: str  # a list's address, an agency's id, or ""
    within: timedelta


@immutable
class Standing:
    """What the ledger says about a mailing when a transaction of it is judged."""

    mailing: str | None = None  # "M-17", None while it has no number
    state: str = "open"
    reasons: tuple[Reason, ...] = ()  # why it is held, where it is
    permits: tuple[Permit, ...] = ()
    whole: bool = False  # True where all of the ledger was asked, False where only the mailing's own state was
    suspensions: tuple[Suspension, ...] = ()
    earlier: Mapping[Earlier, int] = field(default_factory=dict)  # mailings, as the ruleset asks
    answers: bool = False  # automatic mail, to the sender of mail that the gate passed, about that mail


# -- what is decided ---------------------------------------------------------------------------------------------


@immutable
class Reason:
    """One matching rule, and what the sender is told."""

    rule: str
    action: Action
    cite: str = ""
    text: str = ""
    ask: tuple[str, ...] = ()  # whose yes a hold needs
    unknown: bool = False  # the rule could not be told: a field of it was unavailable
    repair: str = ""  # what is done to the message where it passes: "blind" hides a visible list


@immutable
class Verdict:
    """The most severe action, and every matching rule as a reason."""

    action: Action = Action.RELAY
    reasons: tuple[Reason, ...] = ()
    mass: bool = False
    permits: tuple[str, ...] = ()  # permits that cleared a hold

    @property
    def rules(self) -> tuple[str, ...]:
        return tuple(reason.rule for reason in self.reasons)

    @property
    def hangs_on_ledger(self) -> bool:
        """True where all of the ledger could make it another: mass mail, holds, and what could not be told."""
        return self.mass or any(reason.action is Action.HOLD or reason.unknown for reason in self.reasons)

    @property
    def blind(self) -> bool:
        """True where a visible list is hidden before the message passes."""
        return any(reason.repair == "blind" for reason in self.reasons)


class Asked(StrEnum):
    """Which rules are asked about a message."""

    ALL = "all"
    NAMES = "names"  # those about the names that it is sent under
    COUNTS = "counts"  # those about nothing but how many people a mailing reaches
    NONE = "none"


@immutable
class Evidence:
    """Everything a judgment reads, but for the ruleset and the time."""

    transaction: Transaction
    facts: Facts
    audience: Audience
    counts: Counts
    standing: Standing
    source: Source
    arrived: datetime | None = None  # when it came in, where it is judged later
    likeness: Likeness | None = None  # of its content, where a permit is bound to one

    @property
    def asked(self) -> Asked:
        """Which rules are asked about it (DESIGN 3.3): of mail that is exempt or automatic, not all."""
        if is_automatic(self.transaction, self.facts):
            return Asked.COUNTS if self.source.covered and not self.standing.answers else Asked.NONE
        return Asked.ALL if self.source.covered else Asked.NAMES

    def without_content(self) -> Evidence:
        """The same less the message's octets: what may wait to be recorded, where a body must not."""
        envelope = self.transaction.envelope()
        return Evidence(
            envelope,
            self.facts,
            self.audience,
            self.counts,
            self.standing,
            self.source,
            self.arrived,
            self.likeness,
        )


@immutable
class Outcome:
    """What the store made of a transaction: the verdict, the counts it was given on, and what is kept of it."""

    verdict: Verdict
    counts: Counts
    mailing: str | None = None  # "M-17" where it has a number
    key: int | None = None  # of the mailing in the database; None where nothing of it was kept
    batch: int | None = None  # id of the batch, where it is kept
    gathered: bool = False  # kept until its mailing is whole, not held
    repeated: bool = False  # a resend of a batch that is kept already
    flight: int | None = None  # by which a revocation knows that it is on its way; None where no permit lets it pass
