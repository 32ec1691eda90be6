"""The values from which a mail of the gate is rendered; ledger, background work and queue fill them in."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import field
from datetime import datetime
from enum import StrEnum

from gatekeeper.lib.immutable import immutable
from gatekeeper.model import Reason, Recipient
from gatekeeper.notices.texts import BUILT_IN, NoticeTemplates

_LOCAL = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]"
_ADDRESS = re.compile(rf"(?<!{_LOCAL}){_LOCAL}++@[A-Za-z0-9.-]+\.[A-Za-z0-9-]*[A-Za-z0-9]")


@immutable
class Organisation:
    """The organisation in whose name the gate writes: the ruleset's title and contact, and the gate's host name."""

    title: str
    contact: str  # as in rules.yaml: "servicedesk@example.gov, 406-555-0100"
    hostname: str
    texts: NoticeTemplates = field(default=BUILT_IN, repr=False)

    @property
    def address(self) -> str:
        """Return the contact's mail address, where answers are read; else postmaster (RFC 5321 4.5.1)."""
        found = _ADDRESS.search(self.contact)
        return found[0] if found else f"postmaster@{self.hostname}"


@immutable
class AgencyShare:
    """The number of users that a mailing reaches in one agency."""

    name: str
    users: int


@immutable
class MailingSummary:
    """What a sender is told about a mailing."""

    number: str  # "M-17"
    sender: str  # the source's mailbox, which gets the notice
    subject: str | None
    users: int
    external: int = 0
    agencies: Mapping[str, AgencyShare] = field(default_factory=dict)  # by agency id
    reasons: tuple[Reason, ...] = ()
    message_id: str | None = None  # without angle brackets, as in Facts
    link: str = ""  # the page that shows the mailing; "" without a console
    sent: str = ""  # sentences: who has it already, or is about to; "" where nobody has it
    decides: str = ""  # whose decision a held mailing waits for, by name
    otherwise: str = ""  # what happens if nobody decides


@immutable
class ApprovalNote:
    """Who approved a mailing, what the last of them says, to how many it goes, whether a part is still held, for how
    many.
    """

    by: tuple[str, ...]
    comment: str = ""
    in_part: bool = False
    recipients: int = 0
    held: int = 0  # recipients


@immutable
class MatterNotice:
    """A mail about a mailing or a request that people decide: to the deciders, to the sender, to the requester.

    All mails about one matter are one thread: they name the Message-ID of the first mail (RFC 5322 3.6.4).
    """

    kind: str  # the name of its template
    to: tuple[str, ...]  # everybody who gets a copy of the same mail
    number: str  # "M-17" or "R-4"
    subject: str | None
    root: str  # Message-ID of the first mail about the matter, without angle brackets
    opens: bool = False  # True for the first mail
    link: str = ""
    words: Mapping[str, str] = field(default_factory=dict)  # a line each; `details` and `reasons` may have more
    stamp: str = ""  # distinguishes two mails of one kind about one matter


class Occasion(StrEnum):
    """The reason for a delivery status notification; each has a template of that name."""

    DENIED = "denied"  # an approver denied the mailing
    RETURNED = "returned"  # an approver asks for changes
    REFUSED = "refused"  # a rule rejects the message, which was known only after it was taken in
    WITHDRAWN = "withdrawn"  # the sender or the sender's agency withdrew the mailing
    LAPSED = "lapsed"  # nobody decided in time
    UNDELIVERABLE = "undeliverable"  # the next hop refused recipients, or took no mail for days
    DELAYED = "delayed"  # the next hop does not take the message yet


@immutable
class RecipientReport:
    """What happened to the message for one recipient (RFC 3464 2.3)."""

    recipient: Recipient  # its NOTIFY and ORCPT are honoured
    status: str = "5.7.1"  # RFC 3463; "4.4.7" where the time for delivery is over
    diagnostic: str = ""  # the next hop's reply: "550 5.1.1 no such user"
    remote: str = ""  # host name of the next hop that gave the reply


@immutable
class DeliveryReport:
    """One delivery status notification: to whom, about what, and why."""

    occasion: Occasion
    number: str  # of the mailing; all kept mail has one
    sender: str  # envelope sender, who gets the report
    arrived: datetime  # aware
    recipients: tuple[RecipientReport, ...]
    content: bytes = field(repr=False)  # the message as it came in
    parameters: tuple[str, ...] = ()  # of MAIL: RET and ENVID are honoured
    subject: str | None = None
    reasons: tuple[str, ...] = ()  # in plain language, all of them
    message_id: str | None = None
    link: str = ""
    sent: str = ""  # sentences: who has it already, or is about to, of a mailing whose rest is returned
    by: str = ""  # who denied or withdrew it, or asked for changes
    retry_until: datetime | None = None  # for DELAYED (RFC 3464 2.3.9)
