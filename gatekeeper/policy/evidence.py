"""Make the evidence of a judgment from a transaction: its source, its audience, its likeness to other messages.

Pure. The pipeline, background work and `gatekeeper explain` all start here, so that they judge alike.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator
from dataclasses import replace
from datetime import datetime

from gatekeeper import address
from gatekeeper.directory.audience import count_audience
from gatekeeper.directory.expanded_lists import Written
from gatekeeper.lib.immutable import immutable
from gatekeeper.message import read_likeness
from gatekeeper.message.mailing_keys import shared_text
from gatekeeper.model import Audience, Evidence, Facts, Likeness, Recipient, Source, Standing, Transaction, Verdict
from gatekeeper.policy import exemption
from gatekeeper.policy.active import Policy
from gatekeeper.policy.origins import origins_of
from gatekeeper.policy.sender_identity import from_problem
from gatekeeper.rules import Ruleset
from gatekeeper.smtp.parameters import original_address
from gatekeeper.smtp.replies import plain

WARNING_FIELD = b"X-Gatekeeper-Warning"
_MOST_SOURCES = 4_096  # that a policy keeps
_MOST_AUTHORS = 20  # of one message, who may have a copy of their own
_LONGEST_NAMES = 300  # characters of the names of one of them


@immutable
class Judgment:
    """One judgment: ruleset, evidence, verdict and time."""

    ruleset: Ruleset
    evidence: Evidence
    verdict: Verdict
    now: datetime


def source_of(transaction: Transaction, facts: Facts, policy: Policy) -> Source:
    """Return who sends the transaction, and whether the rules cover them (M9).

    The policy keeps the sources of those who sent of late, by all that a source depends on but the client's address.
    """
    source = _known_source(transaction, facts, policy)
    if not source.separate and exemption.is_separate_client(transaction, policy):
        return replace(source, separate=True)
    return source


def _known_source(transaction: Transaction, facts: Facts, policy: Policy) -> Source:
    names = _plain_names(transaction, facts)
    if names is None:
        return _source_of(transaction, facts, policy)
    known = policy.known_sources.get(names)
    if known is None:
        if len(policy.known_sources) >= _MOST_SOURCES:
            policy.known_sources.clear()
        known = policy.known_sources[names] = _source_of(transaction, facts, policy)
    return known


def _plain_names(transaction: Transaction, facts: Facts) -> Hashable | None:
    """Return all that the source depends on besides the policy; None where that is more than a few short texts.

    Of an address with "=" (VERP, BATV, SRS) it depends on the recipients too.
    """
    login, sender = transaction.login, transaction.sender
    if len(facts.author) != 1 or facts.sender or facts.resent or "=" in sender:
        return None
    author = facts.author[0]
    if len(author.name) + len(author.address) + len(sender) + len(login or "") > _LONGEST_NAMES:
        return None
    return login, sender, author.name, author.address, facts.defects, transaction.authenticated


def _source_of(transaction: Transaction, facts: Facts, policy: Policy) -> Source:
    mailbox = address.source(transaction.login, facts.author, transaction.sender, transaction.addresses)
    mailbox = address.normalise(mailbox, internal=policy.directory.is_inside(mailbox))
    agency = policy.directory.agency_of(mailbox)
    names = exemption.names_of(transaction, facts, mailbox, policy)
    proven = exemption.are_of_agency(names, mailbox, agency, transaction, policy)
    groups = policy.directory.groups_of(mailbox)
    own_names = exemption.without_lent(names, policy)
    asked = not policy.ruleset.reads.isdisjoint(("from_allowed", "from_problem"))
    problem = from_problem(transaction, facts, mailbox, policy) if asked else None
    origins = origins_of(transaction, facts, mailbox, policy)
    return Source(
        mailbox,
        authenticated=transaction.authenticated,
        agency=agency,
        covered=not (proven and agency in policy.ruleset.scope_except),
        groups=groups,
        from_problem=problem,
        names=own_names,
        beside=exemption.beside(own_names, mailbox, policy),
        proven=proven,
        separate=exemption.is_separate(names, policy),
        others=exemption.others_of(transaction, facts, mailbox, policy),
        places=origins.places,
        owners=origins.owners,
    )


def shared_text_of(facts: Facts, source: Source, policy: Policy) -> str:
    """Return subject and text, by which mail of several senders is counted together; "" where it is not."""
    return shared_text(facts) if policy.ruleset.mailing.across and not source.separate else ""


def audience_of(
    recipients: Iterable[str], facts: Facts, policy: Policy, envelope: Iterable[Recipient] = ()
) -> Audience:
    """Return whom a transaction to these recipients reaches, by the directory in force.

    Args: `envelope` are the recipients with their parameters, where ORCPT may say that a list was expanded before.
    """
    visible = (mailbox.address for mailbox in (*facts.to, *facts.cc))
    written = _written(facts, envelope) if policy.directory.has_lists else Written()
    audience = count_audience(recipients, visible, policy.directory, written)
    return _with_memberships(audience, policy) if policy.ruleset.needs_audience_details else audience


def written_addresses(facts: Facts, envelope: Iterable[Recipient]) -> Iterator[str]:
    """Yield the addresses that a message shows, and those that ORCPT gives."""
    yield from (mailbox.address for mailbox in (*facts.to, *facts.cc))
    yield from (original for _, original in _written(facts, envelope).originals)


def _written(facts: Facts, envelope: Iterable[Recipient]) -> Written:
    """Return what a message says of lists that its members stand for."""
    pairs = ((each.address, original_address(each.parameters)) for each in envelope if each.parameters)
    authors = tuple(mailbox.address for mailbox in (*facts.author, *facts.sender)[:_MOST_AUTHORS])
    return Written(tuple(pair for pair in pairs if pair[1]), authors)


def _with_memberships(audience: Audience, policy: Policy) -> Audience:
    """Add what rules may ask for beyond numbers: reach of lists, people in no list, people without consent."""
    ruleset, directory = policy.ruleset, policy.directory
    consent = not ruleset.reads.isdisjoint(("consented", "unconsented"))
    lists = ((address, directory.watched(address)) for address in ruleset.watched)
    return replace(
        audience,
        unlisted=directory.unlisted((*audience.users, *audience.externals)) if "unlisted" in ruleset.reads else None,
        unconsented=directory.unconsented(audience.externals) if consent else None,
        watched=dict(audience.watched) | {address: watched for address, watched in lists if watched is not None},
    )


def likeness_for(standing: Standing, content: bytes) -> Likeness | None:
    """Return what the message has in common with others like it; None where no permit is bound to a template."""
    return read_likeness(content) if any(permit.likeness for permit in standing.permits) else None


def warning_field(verdict: Verdict) -> bytes:
    """Return the header field that says why a message was warned of, folded (RFC 5322 2.2.3)."""
    texts = [f"{plain(reason.text)} ({plain(reason.rule)})" for reason in verdict.reasons]
    return WARNING_FIELD + b": " + "\r\n ".join(texts).encode("ascii", "replace") + b"\r\n"
