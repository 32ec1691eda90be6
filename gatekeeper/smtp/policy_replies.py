"""The gate's own replies to a message, each one ASCII line of at most 512 octets (docs/flow.md).

Senders read these texts in a bounce, operators of mail servers in a log.
"""

from __future__ import annotations

from collections.abc import Sequence

from gatekeeper.model import Reason
from gatekeeper.smtp.data import Fault
from gatekeeper.smtp.refusals import PEER, TLS
from gatekeeper.smtp.replies import Reply, because, cut, octets_left, plain, reply

_LINK_OCTETS = 200
_CONTACT_OCTETS = 120
_RULES_OCTETS = 220
_LEAST_REASON = 24  # octets; a reason cut shorter says nothing


def held(mailing: str, why: str, link: str | None = None) -> Reply:
    """Return 250 for a batch that is durably held.

    Args: `mailing` is its number ("M-17"), `why` a clause that gives the reason, `link` the page that shows the
    mailing.
    """
    where = plain(link or "")
    suffix = "; do not resend" + (f"; {where}" if where and len(where) <= _LINK_OCTETS else "")
    return reply(250, f"Held for approval as {mailing}: not sent yet, {why.rstrip(' .;')}", "2.0.0", suffix)


def gathered(mailing: str, limit: float) -> Reply:
    """Return 250 for a batch that is durably kept while its mailing is counted, for at most `limit` seconds."""
    text = f"{mailing} not sent yet: counting recipients, up to {_in_words(limit)}; do not resend"
    return reply(250, text, "2.0.0")


def sent_on(mailing: str) -> Reply:
    """Return 250 for a resend of a batch that was kept, passed, and is being sent or was."""
    return reply(250, f"{mailing} taken before: it is sent once; do not resend", "2.0.0")


def rejected(reasons: Sequence[Reason], contact: str) -> Reply:
    """Return 550 with all reasons, whom to ask, and the rules' ids."""
    return _refusal(550, "5.7.1", "Not sent.", reasons, contact)


def deferred(reasons: Sequence[Reason], contact: str) -> Reply:
    """Return 451 with all reasons, whom to ask, and the rules' ids: the client is to try again."""
    return _refusal(451, "4.7.1", "Not sent yet, will be tried again.", reasons, contact)


def our_fault() -> Reply:
    """Return 451 where the gate itself cannot decide or keep mail: database, directory, a fault in the program."""
    return reply(451, "Not sent yet: the mail gate cannot decide now, try again later", "4.3.0")


def next_hop_down() -> Reply:
    """Return 451 where no next hop answers, or one that answers differently than before (RFC 3463 X.4.1)."""
    return reply(451, "Not sent yet: the next mail server does not answer, try again later", "4.4.1")


def next_hop_cannot() -> Reply:
    """Return 451 where the available next hop does not take such mail, although the client was offered it."""
    return reply(451, "Not sent yet: the next mail server cannot take such mail now, try again later", "4.4.1")


def outcome_unknown() -> Reply:
    """Return 451 where the next hop had the whole message and was lost before its answer (RFC 3463 X.4.2)."""
    return reply(451, "The next mail server was lost before it answered; the message may have been sent", "4.4.2")


def disk_full(*, of_sender: bool = False) -> Reply:
    """Return 452 where the storage is full, or as much of this sender is kept as may be (RFC 3463 X.3.1)."""
    if of_sender:
        return reply(
            452, "Not sent yet: the mail gate keeps as much of this sender as it may, try again later", "4.3.1"
        )
    return reply(452, "Not sent yet: the mail gate's storage is full, try again later", "4.3.1")


def too_many_large() -> Reply:
    """Return 451 where a large message waited too long for memory and was not processed (RFC 3463 X.3.2)."""
    return reply(451, "Not sent yet: too many large messages at once, try again later", "4.3.2")


def preflight() -> Reply:
    """Return 250 for a preflight: mail to be judged, which is sent to nobody."""
    return reply(250, "Judged as you asked, and sent to nobody: the answer comes by mail", "2.0.0")


def preflight_of_nobody() -> Reply:
    """Return 550 for a preflight whose answer could be sent to nobody."""
    return reply(550, "Not judged: who asks must be an inside person, to whom the answer goes", "5.7.1")


def came_back_twice() -> Reply:
    """Return 554 for mail that the gate has sent on twice, and the next hop brings back again (RFC 3463 X.4.6)."""
    return reply(554, "Not sent: the mail gate has sent this on twice, the message goes round in a loop", "5.4.6")


def too_many_hops() -> Reply:
    """Return 554 for a message with so many Received fields that it must be in a loop (RFC 5321 6.3)."""
    return reply(554, "Not sent: too many hops, the message goes round in a loop", "5.4.6")


def tls_first() -> Reply:
    """Return 530 for MAIL without TLS where TLS is demanded (RFC 3207 4)."""
    return because(TLS, reply(530, "Must issue a STARTTLS command first", "5.7.0"))


def not_of_peer(why: str, contact: str) -> Reply:
    """Return 550 for mail that is not that of the peer whose networks it comes from. Args: `why` is a clause."""
    return because(PEER, reply(550, f"Not taken: {why}.", "5.7.1", _help(contact, ())))


def unknown_recipient() -> Reply:
    """Return 550 for an inside address that the directory, which has all of them, does not have (RFC 3463 X.1.1)."""
    return reply(550, "no such address here: the directory of the organisation does not have it", "5.1.1")


def bad_address() -> Reply:
    """Return 553 for an envelope with an address that no next hop would take."""
    return reply(553, "an address that is too long or not UTF-8: expected one that mail can be sent to", "5.1.3")


def bad_content() -> Reply:
    """Return 550 for a message whose end two servers may see in different places (SMTP smuggling)."""
    return reply(550, "bare CR, bare LF or NUL in the message: expected CR LF at the end of lines only", "5.5.2")


def too_large(limit: int) -> Reply:
    """Return 552 for a message of more octets than are taken (RFC 1870 6.1)."""
    return reply(552, f"message too large: at most {limit} octets are taken", "5.3.4")


def too_many_recipients(limit: int) -> Reply:
    """Return 550 where an MTA has accepted too many recipients and cannot be told to send the others later."""
    return reply(550, f"too many recipients: at most {limit} are taken of one message, send it in parts", "5.5.3")


def not_taken_in(fault: Fault, octets: int, recipients: int) -> Reply:
    """Return the reply to a message with this fault. Args: at most so many `octets` and `recipients` are taken."""
    match fault:
        case Fault.SIZE:
            return too_large(octets)
        case Fault.RECIPIENTS:
            return too_many_recipients(recipients)
        case Fault.ADDRESS:
            return bad_address()
        case Fault.DISK:
            return disk_full()
        case Fault.MEMORY:
            return too_many_large()
        case Fault.LINE_ENDS:
            return bad_content()


# -- a refusal with its reasons ----------------------------------------------------------------------------------


def _refusal(code: int, enhanced: str, start: str, reasons: Sequence[Reason], contact: str) -> Reply:
    worst_first = sorted(reasons, key=lambda reason: -reason.action.severity)
    suffix = _help(contact, [reason.rule for reason in worst_first])
    texts = [plain(reason.text) or f"Rule {plain(reason.rule)}." for reason in worst_first]
    shared = _share(texts, octets_left(f"{enhanced} {start}", suffix))
    numbered = [f"{number}) {text}" for number, text in enumerate(shared, start=1)]
    return reply(code, " ".join([start, *numbered]), enhanced, suffix)


def _help(contact: str, rules: Sequence[str]) -> str:
    asked = cut(plain(contact), _CONTACT_OCTETS)
    named = _names(list(dict.fromkeys(plain(rule) for rule in rules)))
    return (f" Help: {asked}" if asked else "") + (f" ({named})" if named else "")


def _names(rules: Sequence[str]) -> str:
    """Return all ids; where they are too many, as many as fit and the number of the others."""
    for shown in range(len(rules), 0, -1):
        rest = [f"and {len(rules) - shown} more"] if shown < len(rules) else []
        named = ", ".join([*rules[:shown], *rest])
        if len(named) <= _RULES_OCTETS:
            return named
    return cut(", ".join(rules), _RULES_OCTETS)


def _share(texts: Sequence[str], octets: int) -> list[str]:
    """Cut texts so that together they fit in `octets`. Long texts get the room that short texts leave."""
    left = octets - sum(len(f" {number}) ") for number in range(1, len(texts) + 1))
    shares: dict[int, str] = {}
    for done, place in enumerate(sorted(range(len(texts)), key=lambda place: len(texts[place]))):
        shares[place] = cut(texts[place], max(_LEAST_REASON, left // (len(texts) - done)))
        left -= len(shares[place])
    return [shares[place] for place in range(len(texts))]


def _in_words(seconds: float) -> str:
    for unit, length in (("hour", 3600), ("minute", 60)):
        if seconds >= length and seconds % length == 0:
            count = int(seconds // length)
            return f"{count} {unit}{'s' if count != 1 else ''}"
    return f"{seconds:g} seconds"
