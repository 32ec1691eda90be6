"""Says whose decision a held mailing waits for, by name, and when it goes back: alike to deciders and to senders."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime

from gatekeeper.address import normalise
from gatekeeper.outbox.letterhead import Letterhead, said
from gatekeeper.policy.approvers import Approvers, Missing, Question, agency_of
from gatekeeper.policy.matters import moment_after
from gatekeeper.rules import Ask
from gatekeeper.rules.ruleset import calendar_of
from gatekeeper.store.events import ASKED, ESCALATED
from gatekeeper.store.held import HeldFacts
from gatekeeper.store.reminders import HeldBatches
from gatekeeper.store.views import EventView, MailingView

_NAMED = 6  # people of one term


def question_of_mailing(
    letterhead: Letterhead, mailing: MailingView, origin: HeldBatches | None, events: Sequence[EventView], today: date
) -> Question:
    """Return a held mailing as a question that is to be decided; its own people are owners and logins of what is held.

    Whom From alone names is none of them, and may decide.
    """
    since = mailing.held_at or 0.0
    facts = HeldFacts(
        key=mailing.key,
        id=mailing.id,
        sender=mailing.sender,
        subject=mailing.subject,
        users=mailing.counts.users,
        agency=None,
        held_at=since,
        rules=tuple(reason.rule for reason in mailing.reasons),
        lists=mailing.counts.lists,
        agencies=frozenset(mailing.counts.agencies),
        owner=origin.owner if origin else "",
        parties=origin.parties if origin else frozenset(),
        logins=origin.logins if origin else frozenset(),
        is_stored=origin is not None,
        also=frozenset(event.text or "" for event in events if event.act == ASKED and event.at >= since),
        passed_on=any(event.act == ESCALATED and event.at >= since for event in events),
    )
    return question_of_held(letterhead, facts, today)


def question_of_held(letterhead: Letterhead, held: HeldFacts, today: date) -> Question:
    """Return the same of a mailing of which only that is known which says who decides."""
    own = held.parties.union(map(normalise, held.logins)) if held.is_stored else frozenset({held.sender})
    question = Question(
        id=held.id,
        own=own,
        agency=agency_of(letterhead.ruleset, held.owner or held.sender),
        lists=held.lists,
        agencies=held.agencies,
        rules=held.rules,
        today=today,
        also=held.also,
    )
    return replace(question, escalated=escalated_to(letterhead, question)) if held.passed_on else question


def escalated_to(letterhead: Letterhead, question: Question) -> Ask:
    """Return to whom a matter is passed on: as rules.yaml says, else to the next role."""
    return letterhead.ruleset.held.escalate.to or Approvers(letterhead.ruleset).next_role(question)


def whose_yes(letterhead: Letterhead, question: Question, agreed: Mapping[str, date]) -> str:
    """Return who must still agree, by name: `cio@example.gov (approver), and hr@example.gov (owner)`."""
    missing = Approvers(letterhead.ruleset).missing_people(question, agreed)
    return ", and ".join(map(_one, missing)) or "nobody's any more"


def _one(missing: Missing) -> str:
    people, more = missing.people[:_NAMED], len(missing.people) - _NAMED
    named = [*people, f"{more} more"] if more > 0 else [*people]
    known = f" ({missing.role})" if missing.role else ""
    if not named:
        return f"{missing.term}, but nobody could give it: rules.yaml names none"
    if missing.number > 1:
        return f"{missing.number} of {', '.join(named)}{known}"
    return f"{' or '.join(filter(None, (', '.join(named[:-1]), named[-1])))}{known}"


def goes_back_at(letterhead: Letterhead, since: datetime) -> datetime | None:
    """Return when a mailing that is held since then goes back undecided; None where it never does."""
    return moment_after(calendar_of(letterhead.ruleset), since, letterhead.ruleset.held.expire)


def goes_back(letterhead: Letterhead, since: datetime, sender: str = "its sender") -> str:
    """Return what happens to a mailing that is held since then where nobody decides.

    Args: `sender` is how the sender is called: "you" in letters to them.
    """
    end = goes_back_at(letterhead, since)
    if end is None:
        return "it goes on waiting, and what is held of it is not sent."
    return f"what is held of it goes back to {sender} on {said(end, letterhead)}, and is not sent."
