"""What people do with a held mailing: look, approve, deny, withdraw, export. The same verbs for every front.

Each verb is one transaction: it reads the mailing, checks who acts, changes it, and queues what follows from that.
"""

from __future__ import annotations

import getpass
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial

from gatekeeper import notify
from gatekeeper.address import normalise
from gatekeeper.calendars import calendar_of
from gatekeeper.faults import step
from gatekeeper.lifecycle import BatchState, LifecycleError, advance
from gatekeeper.notify import Occasion
from gatekeeper.rules import Ask, AskSome, AskTerm, Ruleset
from gatekeeper.rules.ruleset import APPROVER
from gatekeeper.store import Connection, Store, keeping, ledger, views
from gatekeeper.store.ledger import Act
from gatekeeper.store.views import BatchView, EventView, MailingView
from gatekeeper.telling import Voice, queue_notice, queue_report, report_to

_WINDOW = 2  # working days for which an approval stands (DESIGN 6)
_READERS = {"approver", "auditor", "admin"}  # roles that may take a copy of what is kept


class CaseworkError(Exception):
    """An act that cannot be done; the text names the mailing, what was expected and what to do."""


class NotAllowed(CaseworkError):
    """An act by somebody who may not do it."""


class NotFound(CaseworkError):
    """A mailing that is not there."""


@dataclass(frozen=True, slots=True)
class Case:
    """A mailing with all that belongs to it, for who decides."""

    mailing: MailingView
    batches: list[BatchView]
    events: list[EventView]


@dataclass(frozen=True, slots=True)
class Decision:
    """What came of an act: the mailing afterwards, the permit that was given, whose yes is still missing."""

    mailing: MailingView
    permit: str | None = None
    missing: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Casework:
    """The verbs, on one store, under one ruleset."""

    store: Store
    voice: Voice
    clock: Callable[[], float] = time.time

    @property
    def ruleset(self) -> Ruleset:
        return self.voice.ruleset

    def mailings(self, state: str | None = None) -> list[MailingView]:
        """The numbered mailings, newest first; of one state, where named."""
        return self.store.call(partial(views.list_mailings, state=state))

    def show(self, number: int) -> Case:
        """One mailing with its batches and its timeline; raises NotFound."""
        return self.store.call(partial(self._case, number=number))

    def message(self, batch: BatchView) -> bytes:
        """The message of a batch as the next hop would get it: the Received field of ours, then what came in."""
        chunks = self.store.call(lambda connection: list(keeping.read_chunks(connection, batch.body)))
        return b"".join([batch.trace, *chunks])

    def export(self, number: int, by: str) -> Case:
        """The mailing for somebody who takes a copy of its messages, which its timeline notes first (policy S4, D4).

        Approvers, auditors and admins may, and whoever is asked about it. Raises NotFound or NotAllowed.
        """
        return self.store.call(partial(self._export, number=number, act=self._act(by, "")))

    def approve(self, number: int, by: str, reason: str = "") -> Decision:
        """Say yes to a held mailing; it is sent once everyone whom its rules ask has (DESIGN 6).

        Raises NotFound, NotAllowed, or CaseworkError where it is not held.
        """
        act = self._act(by, reason)
        decision = self.store.call(partial(self._approve, number=number, act=act))
        step("approved")
        return decision

    def deny(self, number: int, by: str, reason: str) -> Decision:
        """Say no: nothing of what is held is sent, and its sender gets one DSN with the reason (RFC 3464).

        Raises NotFound, NotAllowed, or CaseworkError where it is not held or no reason is given.
        """
        if not reason.strip():
            raise CaseworkError("a denial needs a reason: the sender reads it")
        return self.store.call(partial(self._deny, number=number, act=self._act(by, reason)))

    def withdraw(self, number: int, by: str, reason: str = "") -> Decision:
        """Take a held mailing back: its sender, or an admin; nothing of what is held is sent.

        Raises NotFound, NotAllowed, or CaseworkError where it is not held.
        """
        return self.store.call(partial(self._withdraw, number=number, act=self._act(by, reason)))

    # -- each in one transaction ---------------------------------------------------------------------------------

    def _case(self, connection: Connection, number: int) -> Case:
        mailing = self._find(connection, number)
        return Case(mailing, views.find_batches(connection, mailing.key), views.timeline(connection, mailing.key))

    def _export(self, connection: Connection, number: int, act: Act) -> Case:
        mailing = self._find(connection, number)
        person = self.ruleset.people.get(act.by)
        if not (person and _READERS & set(person.roles)) and act.by not in self._asked(mailing):
            raise NotAllowed(f"{mailing.id}: {act.by} may not read it; an approver, an auditor or an admin may")
        ledger.note(connection, mailing, "exported", act)
        return self._case(connection, number)

    def _approve(self, connection: Connection, number: int, act: Act) -> Decision:
        mailing = self._find(connection, number)
        self._check_may_decide(mailing, act.by)
        with _named(mailing):
            advance(mailing.state, "approve")
        missing = self._missing(mailing, ledger.agreed(connection, mailing) | {act.by})
        if missing:
            ledger.note(connection, mailing, "agreed", act)
            return Decision(mailing, missing=missing)
        return self._release(connection, mailing, act)

    def _release(self, connection: Connection, mailing: MailingView, act: Act) -> Decision:
        kept = views.find_batches(connection, mailing.key)
        permit = ledger.approve(connection, mailing, kept, act, self._window_end(act.at))
        self._tell_released(connection, mailing, kept, act, permit)
        return Decision(self._find(connection, int(mailing.id[2:])), permit=permit)

    def _tell_released(
        self, connection: Connection, mailing: MailingView, kept: Iterable[BatchView], act: Act, permit: str
    ) -> None:
        told = [batch for batch in kept if batch.notify]
        if not told:
            return
        summary = self.voice.summary(
            mailing.id, mailing.sender, mailing.subject, mailing.counts, mailing.reasons, told[0].message_id
        )
        now = datetime.fromtimestamp(act.at, UTC)
        content = notify.released_notice(summary, self.voice.organisation, now, act.by, act.reason)
        queue_notice(connection, f"released:{mailing.id}:{permit}", mailing.sender, content, act.at, mailing.key)

    def _deny(self, connection: Connection, number: int, act: Act) -> Decision:
        mailing = self._find(connection, number)
        self._check_may_decide(mailing, act.by)
        return self._close(connection, mailing, "deny", act, BatchState.RETURNED, Occasion.DENIED)

    def _withdraw(self, connection: Connection, number: int, act: Act) -> Decision:
        mailing = self._find(connection, number)
        person = self.ruleset.people.get(act.by)
        if act.by != mailing.sender and not (person and "admin" in person.roles):
            raise NotAllowed(f"{mailing.id}: {act.by} may not withdraw it; its sender {mailing.sender} or an admin may")
        return self._close(connection, mailing, "withdraw", act, BatchState.WITHDRAWN, Occasion.WITHDRAWN)

    def _close(
        self,
        connection: Connection,
        mailing: MailingView,
        name: str,
        act: Act,
        left: BatchState,
        occasion: Occasion,
    ) -> Decision:
        kept = [batch for batch in views.find_batches(connection, mailing.key) if batch.state is BatchState.HELD]
        with _named(mailing):
            ledger.close(connection, mailing, name, act, left)
        inside = any(batch.notify for batch in kept)
        reasons = (act.reason,) if act.reason else ()
        to = report_to(kept, mailing, inside)
        queue_report(connection, self.voice, mailing, kept, to, occasion, reasons, act.at)
        return Decision(self._find(connection, int(mailing.id[2:])))

    def _find(self, connection: Connection, number: int) -> MailingView:
        found = views.find_mailing(connection, number, lock=True)
        if found is None:
            raise NotFound(f"M-{number}: no such mailing; `gatekeeper mailing list` shows what there is")
        return found

    # -- who may -------------------------------------------------------------------------------------------------

    def _act(self, by: str, reason: str) -> Act:
        return Act(self.clock(), normalise(by), _login(), " ".join(reason.split()))

    def _check_may_decide(self, mailing: MailingView, by: str) -> None:
        if by == mailing.sender:
            raise NotAllowed(f"{mailing.id}: {by} sent it; nobody decides their own")
        asked = self._asked(mailing)
        if by not in asked:
            names = ", ".join(sorted(asked)) or "nobody: name an approver under people in rules.yaml"
            raise NotAllowed(f"{mailing.id}: {by} may not decide it; who may: {names}")

    def _asked(self, mailing: MailingView) -> set[str]:
        return {person for reason in mailing.reasons for person in self._askable(mailing, self._ask(reason.rule))}

    def _ask(self, rule_id: str) -> Ask:
        rule = self.ruleset.rule(rule_id)
        return rule.ask if rule and rule.ask else APPROVER

    def _missing(self, mailing: MailingView, agreed: frozenset[str]) -> tuple[str, ...]:
        terms = {str(term): term for reason in mailing.reasons for term in self._ask(reason.rule)}
        return tuple(name for name, term in terms.items() if not self._satisfied(mailing, term, agreed))

    def _satisfied(self, mailing: MailingView, term: AskTerm | AskSome, agreed: frozenset[str]) -> bool:
        if isinstance(term, AskSome):
            return sum(self._satisfied(mailing, each, agreed) for each in term.of) >= term.number
        groups = self._holders(mailing, term)
        return bool(groups) and all(group & agreed for group in groups)

    def _askable(self, mailing: MailingView, ask: Iterable[AskTerm | AskSome]) -> set[str]:
        found: set[str] = set()
        for term in ask:
            if isinstance(term, AskSome):
                found |= self._askable(mailing, term.of)
            else:
                found.update(*self._holders(mailing, term))
        return found

    def _holders(self, mailing: MailingView, term: AskTerm) -> list[set[str]]:
        """Groups of which one person each must agree: a role is one group, owners are a group an audience (T7)."""
        match term.kind:
            case "role":
                return [set(self.ruleset.people_with(term.name))]
            case "person":
                return [{term.name}]
            case "owners":
                return [self._owners(name) for name in sorted(mailing.counts.lists)]
            case _:
                return [self._heads(term.name or self._agency_of(mailing.sender))]

    def _owners(self, list_address: str) -> set[str]:
        spec = self.ruleset.lists.get(list_address)
        wanted = {list_address, spec.owner if spec else None}
        people = self.ruleset.people
        return {by for by in self.ruleset.people_with("owner") if not people[by].of or wanted & set(people[by].of)}

    def _heads(self, agency: str | None) -> set[str]:
        found = self.ruleset.agencies.get(agency or "")
        return {found.head} if found and found.head else set()

    def _agency_of(self, mailbox: str) -> str | None:
        domain = mailbox.rpartition("@")[2]
        for name, agency in self.ruleset.agencies.items():
            if any(domain == known or (known[:2] == "*." and domain.endswith(known[1:])) for known in agency.domains):
                return name
        return None

    def _window_end(self, now: float) -> float:
        """The end of the second working day from now, by the organisation's clock."""
        calendar = calendar_of(self.ruleset)
        today = calendar.day(datetime.fromtimestamp(now, UTC))
        return calendar.end_of(calendar.add(today, _WINDOW)).timestamp()


class _named:
    """Puts the mailing's number before what its lifecycle says."""

    def __init__(self, mailing: MailingView) -> None:
        self.mailing = mailing

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, _: object) -> None:
        if isinstance(error, LifecycleError):
            raise CaseworkError(f"{self.mailing.id}: {error}") from None


def _login() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return ""
