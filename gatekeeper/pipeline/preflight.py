"""Mail to the preflight address: judged as though it were sent, answered by mail, and never passed on (policy C3).

It would reach all other recipients of its envelope, and everybody in To and Cc. A mail server may cut the message up:
its parts are put together, and answered once, when no more of them come.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from functools import partial

from gatekeeper import notices, rules
from gatekeeper.address import normalise
from gatekeeper.lib.moments import moment_of
from gatekeeper.message import subject_key
from gatekeeper.model import Action, Counts, Evidence, Facts, Mailbox, Permit, Recipient, Standing, Transaction, Verdict
from gatekeeper.notices import MatterNotice, numbered_list
from gatekeeper.outbox.letterhead import Letterhead
from gatekeeper.policy.active import Policy
from gatekeeper.policy.evidence import audience_of, likeness_for
from gatekeeper.smtp import policy_replies
from gatekeeper.smtp.replies import Reply
from gatekeeper.store import Arrival, Connection, Store, jobs, preflights
from gatekeeper.store.mailing_keys import hash_arrival
from gatekeeper.store.standing import Claimant, LedgerQuery, whole_standing

_AT_ONCE = timedelta(seconds=1)
_ANSWERS = {
    Action.RELAY: ("You may send this", "it would be sent."),
    Action.WARN: ("You may send this, but please note", "it would be sent, with a warning."),
    Action.HOLD: ("This needs approval", "it would be held until it is approved."),
    Action.DEFER: ("This cannot be told now", "it would be put off, for something that a rule asks is not known now."),
    Action.REJECT: ("Please do not send this", "it would be refused."),
}
_NEXT_STEPS = {
    Action.RELAY: "send it, to the same people and without the address that you asked.",
    Action.WARN: "put right what is listed, then send it without the address that you asked.",
    Action.HOLD: "ask for approval before you send it, or send it and wait for the decision.",
    Action.DEFER: "ask again later.",
    Action.REJECT: "put right what is listed, and ask again.",
}


def is_preflight(policy: Policy, transaction: Transaction, facts: Facts) -> bool:
    """Return True for mail to the preflight address: it is a recipient, or stands in To, Cc or Bcc.

    A mail server that cuts a message up leaves these fields in every part, so that no part of a preflight is ever sent.
    """
    address = policy.ruleset.preflight
    return address is not None and address in map(normalise, _named(transaction, facts))


def everybody_in(policy: Policy, transaction: Transaction, facts: Facts) -> frozenset[str]:
    """Return the addresses of everybody whom the mail is meant for, normalised."""
    addresses = map(normalise, _named(transaction, facts))
    return frozenset(each for each in addresses if each and each != policy.ruleset.preflight)


def _named(transaction: Transaction, facts: Facts) -> tuple[str, ...]:
    visible = (mailbox.address for mailbox in (*facts.to, *facts.cc, *facts.bcc))
    return (*transaction.addresses, *visible)


async def take_in(store: Store, arrival: Arrival, policy: Policy, letterhead: Letterhead) -> Reply:
    """Add a part to its message, where its sender can be answered; return the reply to it. Raises StoreError."""
    if not arrival.notify:
        return policy_replies.preflight_of_nobody()
    secret = store.secret
    await store.run(partial(add_part, secret=secret, arrival=arrival, policy=policy, letterhead=letterhead))
    return policy_replies.preflight()


def add_part(
    connection: Connection, secret: bytes, arrival: Arrival, policy: Policy, letterhead: Letterhead
) -> Verdict:
    """Add a part to the others of its message, and queue the answer to all parts that have arrived so far."""
    transaction, facts, now = arrival.transaction, arrival.facts, arrival.now.timestamp()
    name = f"{arrival.source.mailbox}\0{facts.message_id or facts.content_digest}"
    asked = preflights.join(connection, secret, name, everybody_in(policy, transaction, facts), now)
    verdict, counts = _judge(connection, secret, arrival, policy, asked.addresses)
    content = _render(arrival, letterhead, verdict, counts)
    wait = timedelta(seconds=arrival.gathering.quiet) if arrival.gathering and arrival.gathering.opens else _AT_ONCE
    due_at = now + wait.total_seconds()
    answer = jobs.NewJob(jobs.NOTICE, now, recipient=arrival.source.owner, content=content, due_at=due_at)
    preflights.answer(connection, asked, answer)
    return verdict


def _judge(
    connection: Connection, secret: bytes, arrival: Arrival, policy: Policy, addresses: frozenset[str]
) -> tuple[Verdict, Counts]:
    """Judge all parts as one mailing that has still to begin, by the present ledger; no permit is used up."""
    recipients = tuple(Recipient(address) for address in sorted(addresses))
    transaction = replace(arrival.transaction, recipients=recipients)
    facts = replace(arrival.facts, to=_without(arrival.facts.to, policy), cc=_without(arrival.facts.cc, policy))
    audience = audience_of(transaction.addresses, facts, policy)
    counts, standing = Counts.of(audience), _standing(connection, secret, arrival, policy)
    likeness = likeness_for(standing, transaction.content)
    evidence = Evidence(transaction, facts, audience, counts, standing, arrival.source, likeness=likeness)
    return rules.judge(policy.ruleset, evidence, arrival.now), counts


def _standing(connection: Connection, secret: bytes, arrival: Arrival, policy: Policy) -> Standing:
    """Return what the ledger says about such a mailing."""
    claimant, now = Claimant(arrival.source, arrival.facts.subject_key), arrival.now.timestamp()
    query = LedgerQuery([claimant], policy.ruleset.earlier, now, hash_arrival(secret, arrival).source)
    found = whole_standing(connection, Standing(), query)
    return replace(found, permits=tuple(map(_by_subject, found.permits)))


def _by_subject(permit: Permit) -> Permit:
    """Let a permit for exact content match by its subject instead.

    The preflight address is part of the content that is asked about.
    """
    if not permit.digests:
        return permit
    return replace(permit, digests=frozenset(), subject_key=subject_key(permit.subject))


def _without(mailboxes: tuple[Mailbox, ...], policy: Policy) -> tuple[Mailbox, ...]:
    return tuple(each for each in mailboxes if normalise(each.address) != policy.ruleset.preflight)


def _render(arrival: Arrival, letterhead: Letterhead, verdict: Verdict, counts: Counts) -> bytes:
    source, facts = arrival.source.owner, arrival.facts
    headline, text = _ANSWERS[verdict.action]
    text = text.replace("sent", f"sent, allowed by {', '.join(verdict.permits)}", 1) if verdict.permits else text
    texts = [f"{reason.text} ({reason.cite or reason.rule})" for reason in verdict.reasons]
    shares = letterhead.shares(counts.agencies)
    reach = notices.MailingSummary("", source, facts.subject, counts.users, counts.external, shares)
    words = {
        "headline": headline,
        "verdict": text,
        "reach": notices.describe_reach(reach),
        "reasons": numbered_list(texts) if texts else "",
        "next": _NEXT_STEPS[verdict.action],
    }
    root = facts.message_id or f"preflight.{arrival.identity()[:24]}@{letterhead.hostname}"
    notice = MatterNotice("preflight", (source,), "", facts.subject, root, words=words)
    return notices.matter_notice(notice, letterhead.organisation, moment_of(arrival.now.timestamp()))
