"""The verbs on a request: submit, show, approve, deny, ask for changes, withdraw, revoke (M2, M3, S1, S2, S5).

Each verb is one transaction. A request that was received lets nothing pass; only its approval gives a permit.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from gatekeeper.address import normalise
from gatekeeper.ledger import context
from gatekeeper.ledger import permits as permit_verbs
from gatekeeper.ledger.context import LedgerError, NotAllowed, NotFound, VerbContext, named, require_reason
from gatekeeper.ledger.drafts import Wanted, assess, doubts_about, draft_of
from gatekeeper.ledger.seen import check_request, keep_requests
from gatekeeper.ledger.terms import Terms
from gatekeeper.lib.immutable import immutable
from gatekeeper.lifecycle import PermitState, RequestState, advance
from gatekeeper.model import Likeness, Scope
from gatekeeper.outbox import to_approvers, to_requesters
from gatekeeper.outbox.held_content import HeldContent, request_content
from gatekeeper.policy.agreement import Agreement, Agreements, agreements_to_request, likeness_of
from gatekeeper.policy.approvers import Approvers, Question
from gatekeeper.policy.planned_rules import rules_for
from gatekeeper.rules.likeness import unlike
from gatekeeper.store import Connection, permit_views, views
from gatekeeper.store import permits as stored_permits
from gatekeeper.store import requests as stored_requests
from gatekeeper.store.events import ASKED, Act
from gatekeeper.store.permit_views import PermitView
from gatekeeper.store.permits import Grant
from gatekeeper.store.requests import Content, RequestView, state_of
from gatekeeper.store.views import EventView


@immutable
class RequestCase:
    """A request with permits, timeline and approvals, for people who decide."""

    request: RequestView
    needs: tuple[str, ...]  # who must agree; () where no rule holds such a mailing
    missing: tuple[str, ...]  # who must still agree
    permits: tuple[PermitView, ...]
    events: tuple[EventView, ...]
    permit: str | None = None  # that was given just now
    stopped: stored_permits.PermitEffect | None = None  # what taking it back has stopped
    agreements: Agreements = Agreements()  # while it waits
    whose: str = ""  # who must still agree, by name
    still: int = 0  # how many of them
    warnings: tuple[str, ...] = ()  # what is probably not meant, of one that was asked just now


# -- asking ------------------------------------------------------------------------------------------------------


def submit(ctx: VerbContext, wanted: Wanted) -> RequestCase:
    """Ask for a mailing. Raises NotAllowed, or LedgerError where something is missing, wrong, or too late (M2)."""
    act = ctx.act
    draft = draft_of(ctx, wanted, None)
    check_may_ask(ctx, draft.agency, act.by)
    assessed = assess(ctx, draft)
    case = show(ctx, stored_requests.submit(ctx.connection, draft, assessed, act))
    return replace(case, warnings=tuple(doubts_about(ctx.ruleset, draft)))


def submit_again(ctx: VerbContext, number: int, wanted: Wanted, *, appeal: bool = False) -> RequestCase:
    """Answer changes asked, or appeal a denial once (S2). Raises NotFound, NotAllowed, LedgerError."""
    request, act = find(ctx.connection, number), ctx.act
    draft = draft_of(ctx, wanted, request.draft)
    check_may_ask(ctx, draft.agency, act.by)
    if appeal:
        _check_may_appeal(request)
        require_reason(ctx, f"{request.id}: an appeal needs a reason: who decides about it reads it")
    assessed = assess(ctx, draft)
    with named(request.id):
        submit_again = stored_requests.appeal if appeal else stored_requests.revise
        submit_again(ctx.connection, request, draft, assessed, act)
    return replace(show(ctx, number), warnings=tuple(doubts_about(ctx.ruleset, draft)))


def check_may_ask(ctx: VerbContext, agency: str, by: str) -> None:
    """Raise NotAllowed where somebody may not ask for mailings of an agency."""
    person = ctx.ruleset.people.get(by)
    if person is None or "requester" not in person.roles or (person.of and agency not in person.of):
        may = [each for each in ctx.ruleset.people_with("requester") if _asks_for(ctx, each, agency)]
        names = ", ".join(may) or "nobody: name a requester under people in rules.yaml"
        raise NotAllowed(f"{by} may not ask for {agency}; who may: {names}")


def _asks_for(ctx: VerbContext, by: str, agency: str) -> bool:
    of = ctx.ruleset.people[by].of
    return not of or agency in of


def _check_may_appeal(request: RequestView) -> None:
    if request.state is RequestState.DENIED and request.final:
        raise NotAllowed(f"{request.id}: {request.decided_by} denied it, whose decision is final")
    if request.state is RequestState.DENIED and request.appealed:
        raise NotAllowed(f"{request.id}: it was appealed before; a denial may be appealed once")


# -- deciding ----------------------------------------------------------------------------------------------------


def approve(ctx: VerbContext, number: int, terms: Terms, seen: str | None) -> RequestCase:
    """Approve a request; it has a permit once everyone asked has approved.

    Raises NotFound, NotAllowed, LedgerError, Stale.
    """
    request, act = find(ctx.connection, number), ctx.act
    with named(request.id):
        advance(request.state, "approve")
    check_request(ctx.connection, request, seen, terms.as_row())
    own = Agreement(act.by, act.at, state_of(request), terms.as_row())
    act = replace(act, details=own.as_details())
    terms = Terms.from_row(request.terms).and_also(terms)
    rules = rules_for(ctx.ruleset, request.draft, terms.max_users or request.draft.users, ctx.moment)
    question = question_of(ctx, request, rules)
    context.check_may_decide(ctx.ruleset, question, act.by)
    given = _grant(ctx, request, rules, terms)
    others = agreements_to_request(request, views.events_of(ctx.connection, request=request.key))
    if context.missing(ctx.ruleset, question, others.days(ctx.ruleset) | {act.by: ctx.today}):
        stored_requests.note_yes(ctx.connection, request, terms.as_row(), act)
        return show(ctx, number)
    decided = _decided(act) | {"rules": list(rules)}
    stored_requests.change(ctx.connection, request, "approve", act, "approved", terms=terms.as_row(), **decided)
    permit = stored_permits.grant(ctx.connection, given, act)
    return replace(show(ctx, number), permit=permit)


def _decided(act: Act) -> dict[str, Any]:
    """Return the columns of a request that say who decided about it, and why."""
    return {"reason": act.reason, "decided_by": act.by}


def _grant(ctx: VerbContext, request: RequestView, rules: tuple[str, ...], terms: Terms) -> Grant:
    draft = request.draft
    since, until = _window(ctx, request, terms)
    binding = terms.binding or ("exact" if draft.content else "none")
    if binding != "none" and draft.content is None:
        raise LedgerError(f"{request.id}: it has no content to bind to; expected no --binding, or content to be sent")
    lists = tuple(each for each in draft.audiences if each not in ctx.ruleset.agencies)
    exact = draft.content is not None and binding == "exact"
    return Grant(
        kind=stored_permits.EXCEPTION if draft.exception else stored_permits.APPROVAL,
        rules=rules,
        scope=scope_of(ctx, draft.senders),
        since=since,
        until=until,
        binding=binding,
        digests=(draft.content.digest,) if draft.content and exact else (),
        likeness=_likeness(ctx, draft.content) if draft.content and binding == "template" else None,
        subject=draft.subject,
        subject_key=draft.subject_key,
        lists=lists,
        agencies=() if lists else draft.audiences,
        ceiling=terms.max_users or draft.users,
        uses=terms.uses or (None if draft.exception else 1),
        purpose=draft.purpose,
        request_key=request.key,
    )


def _likeness(ctx: VerbContext, content: Content) -> Likeness:
    """Return what the content of a request is like; one that was stored by an earlier version is read again."""
    known = content.likeness if content.likeness.comparable else likeness_of(ctx.connection, content.body)
    if difference := unlike(known, known):
        raise LedgerError(f"it cannot be bound to a template ({difference}): expected --binding exact")
    return known


def _window(ctx: VerbContext, request: RequestView, terms: Terms) -> tuple[float, float]:
    draft = request.draft
    if draft.exception and terms.until is None:
        raise LedgerError(f"{request.id}: an exception stands until it ends (M8): expected --until and its last day")
    since = ctx.start_of(draft.planned) if draft.planned else ctx.now
    until = ctx.end_of(terms.until) if terms.until else ctx.window_end(draft.planned or ctx.today)
    if until <= max(since, ctx.now):
        last = terms.until or ctx.day_of(until)
        raise LedgerError(f"{request.id}: its last day {last} is over, or before its first: expected a later --until")
    return since, until


def scope_of(ctx: VerbContext, senders: tuple[str, ...]) -> Scope:
    """Return whose mail is meant: of an agency, of groups, or of single senders (S1)."""
    agencies = frozenset(each for each in senders if each in ctx.ruleset.agencies)
    groups = frozenset(each.removeprefix("group:") for each in senders if each.startswith("group:"))
    mailboxes = frozenset(each for each in senders if each not in agencies and not each.startswith("group:"))
    return Scope(mailboxes, agencies, groups)


def deny(ctx: VerbContext, number: int, seen: str | None, category: str) -> RequestCase:
    """Deny a request; final where the approver is `final` (S2). Raises NotFound, NotAllowed, LedgerError, Stale."""
    require_reason(ctx, "a denial needs a reason: the requester reads it")
    request, act = find(ctx.connection, number), context.denial(ctx, category)
    context.check_may_decide(ctx.ruleset, question_of(ctx, request, request.rules), act.by)
    check_request(ctx.connection, request, seen, {})
    final = context.is_final(ctx.ruleset, act.by)
    with named(request.id):
        stored_requests.change(
            ctx.connection, request, "deny", act, "denied", reason=act.reason, decided_by=act.by, final=final
        )
    return show(ctx, number)


def ask_changes(ctx: VerbContext, number: int, seen: str | None) -> RequestCase:
    """Send a request back with what should be changed (S2). Raises NotFound, NotAllowed, LedgerError, Stale."""
    require_reason(ctx, "changes need a text that says what should be changed: the requester reads it")
    request, act = find(ctx.connection, number), ctx.act
    context.check_may_decide(ctx.ruleset, question_of(ctx, request, request.rules), act.by)
    check_request(ctx.connection, request, seen, {})
    with named(request.id):
        stored_requests.change(
            ctx.connection, request, "changes", act, "changes asked", reason=act.reason, decided_by=act.by
        )
    return show(ctx, number)


def content_for_asking(connection: Connection, number: int) -> HeldContent | None:
    """Read the message of a request, for a notice to one more person; takes long, so that no lock is held."""
    request = stored_requests.find_request(connection, number)
    return request_content(connection, request) if request else None


def ask(ctx: VerbContext, number: int, whom: str, content: HeldContent | None) -> RequestCase:
    """Have one more agree: an owner who is asked only when needed (T7). Raises NotFound, NotAllowed, LedgerError."""
    request, act, also = find(ctx.connection, number), ctx.act, normalise(whom)
    question = question_of(ctx, request, request.rules)
    context.check_may_decide(ctx.ruleset, question, act.by)
    context.check_may_be_asked(ctx.ruleset, question, also)
    with named(request.id):
        advance(request.state, "approve")
    events = views.events_of(ctx.connection, request=request.key)
    brief = to_requesters.of_request(ctx.letterhead, request, events, act.at, content)
    asked = to_approvers.ask_also(ctx.connection, brief, also, act)
    stored_requests.note(ctx.connection, request.key, ASKED, replace(act, reason=also, details=asked.as_details()))
    return show(ctx, number)


def withdraw(ctx: VerbContext, number: int, seen: str | None) -> RequestCase:
    """Withdraw a request, as its requester, another of its agency, or an admin. Raises as `deny`."""
    request, act = find(ctx.connection, number, lock=False), ctx.act
    theirs = act.by == request.requester or (
        context.holds(ctx.ruleset, act.by, "requester") and _asks_for(ctx, act.by, request.draft.agency)
    )
    if not theirs and not context.holds(ctx.ruleset, act.by, "admin"):
        raise NotAllowed(f"{request.id}: {act.by} may not withdraw it; {request.requester} or an admin may")
    return _take_back(ctx, request, "withdraw", act, seen)


def revoke(ctx: VerbContext, number: int, seen: str | None) -> RequestCase:
    """Revoke an approved request (S5). Raises as `deny`."""
    require_reason(ctx, "revoking needs a reason: who sends it reads it")
    request, act = find(ctx.connection, number, lock=False), ctx.act
    context.may_revoke(ctx.ruleset, question_of(ctx, request, request.rules), act.by)
    return _take_back(ctx, request, "revoke", act, seen)


def _take_back(ctx: VerbContext, request: RequestView, name: str, act: Act, seen: str | None) -> RequestCase:
    # mailings, permit, request: in the order of mail that uses it up
    given = permit_views.permits_of(ctx.connection, request.key)
    locked = {permit.id: stored_permits.lock_with_mailings(ctx.connection, permit.key) for permit in given}
    request = find(ctx.connection, int(request.id[2:]))
    check_request(ctx.connection, request, seen, {})
    noted = {"withdraw": "withdrawn", "revoke": "revoked"}[name]
    with named(request.id):
        stored_requests.change(ctx.connection, request, name, act, noted, **_decided(act))
    for permit in permit_views.permits_of(ctx.connection, request.key):
        if permit.state in (PermitState.IN_FORCE, PermitState.USED):
            of_it = locked.get(permit.id) or stored_permits.lock_with_mailings(
                ctx.connection, permit.key
            )  # approved meanwhile
            permit_verbs.take_back(ctx, permit, of_it, act)
    return show(ctx, int(request.id[2:]))


# -- looking -----------------------------------------------------------------------------------------------------


def show(ctx: VerbContext, number: int) -> RequestCase:
    """Return one request that was just acted on, and store the state behind its version; raises NotFound."""
    case = look(ctx, number)
    keep_requests(ctx.connection, [case.request], ctx.now)
    return case


def look(ctx: VerbContext, number: int) -> RequestCase:
    """Return one request with who must agree, its permits and its timeline; raises NotFound."""
    request = find(ctx.connection, number, lock=False)
    question = question_of(ctx, request, request.rules)
    needs = context.wanted(ctx.ruleset, question) if request.rules else ()
    events = views.events_of(ctx.connection, request=request.key)
    agreements = agreements_to_request(request, events)
    waits, yeses = request.state is RequestState.SUBMITTED, agreements.days(ctx.ruleset)
    asks = waits and bool(request.rules)
    return RequestCase(
        request,
        needs,
        context.missing(ctx.ruleset, question, yeses) if asks else (),
        tuple(permit_views.permits_of(ctx.connection, request.key)),
        tuple(events),
        agreements=agreements if waits else Agreements(),
        whose=context.whose(ctx, question, yeses) if asks else "",
        still=Approvers(ctx.ruleset).number_missing(question, yeses) if asks else 0,
    )


def find(connection: Connection, number: int, *, lock: bool = True) -> RequestView:
    """Return the request of a number, locked until the transaction ends unless told not to; raises NotFound."""
    found = stored_requests.find_request(connection, number, lock=lock)
    if found is None:
        raise NotFound(f"R-{number}: no such request; `gatekeeper request list` shows what there is")
    return found


def question_of(ctx: VerbContext, request: RequestView, rules: tuple[str, ...]) -> Question:
    """Return a request as a question that is to be decided today."""
    events = views.events_of(ctx.connection, request=request.key)
    return to_requesters.question_of(ctx.letterhead, request, rules, events, ctx.today)
