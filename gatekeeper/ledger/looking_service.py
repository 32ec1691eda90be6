"""The verbs that only look, the same for every face: what waits, lists by parts, one thing as one person sees it.

None of them waits for mail or keeps mail waiting: they read beside the writer. Only the state behind a version that was
never shown before is written, so that who decides can say what they had looked at.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from functools import partial
from typing import TypeVar

from gatekeeper.ledger import (
    changes,
    deliveries,
    lists,
    looking,
    mailing_cases,
    permits,
    request_cases,
    requests,
    surroundings,
    waiting,
)
from gatekeeper.ledger.changes import Changes
from gatekeeper.ledger.context import VerbContext, act_of
from gatekeeper.ledger.deliveries import Answers, Delivery, KeptRecipient, Recipients
from gatekeeper.ledger.drafts import Wanted
from gatekeeper.ledger.lists import ListPage, Shown, Sought
from gatekeeper.ledger.looking import VisibleCase
from gatekeeper.ledger.mailing_cases import MailingCase
from gatekeeper.ledger.permits import PermitCase
from gatekeeper.ledger.request_cases import VisiblePermit, VisibleRequest
from gatekeeper.ledger.requests import RequestCase
from gatekeeper.ledger.seen import States, states_of_permits, states_of_requests
from gatekeeper.ledger.sight import decides
from gatekeeper.ledger.surroundings import Neighbours, Surroundings
from gatekeeper.ledger.waiting import Queue
from gatekeeper.lib.immutable import immutable
from gatekeeper.lib.moments import moment_of
from gatekeeper.message.preview import Contents, read_contents
from gatekeeper.outbox.letterhead import Letterhead
from gatekeeper.rules import Ruleset
from gatekeeper.rules.ruleset import calendar_of
from gatekeeper.store import Connection, Store, batches, snapshots, versions
from gatekeeper.store import events as stored_events
from gatekeeper.store.batch_views import BatchView
from gatekeeper.store.permit_views import PermitView
from gatekeeper.store.requests import RequestView
from gatekeeper.store.views import MailingView

T = TypeVar("T")
_ANY, _EVERYBODY = Sought(), Recipients()


@immutable
class LookingService:
    """The verbs that look, on one store, under one ruleset. Where they name nobody, `by` is "": all facts are seen.

    Args: `login` by which people act; "" for the operating system's.
    """

    store: Store
    letterhead: Letterhead
    clock: Callable[[], float] = time.time
    pause: Callable[[float], None] = time.sleep
    login: str = ""

    @property
    def ruleset(self) -> Ruleset:
        """The rules, which decide who may do what."""
        return self.letterhead.ruleset

    def decides(self, by: str) -> bool:
        """Return True for somebody who may be asked to decide today."""
        return decides(self.ruleset, by, calendar_of(self.ruleset).day(moment_of(self.clock())))

    def _do(self, verb: Callable[..., T], *arguments: object, by: str = "", reason: str = "") -> T:
        """Carry out a verb in a transaction of its own. Args: `by` and `reason` of the act, where it is one."""
        act = act_of(by, reason, self.clock(), self.login)
        return self.store.call(lambda connection: verb(VerbContext(connection, self.letterhead, act), *arguments))

    def _see(self, verb: Callable[..., T], *arguments: object, by: str) -> T:
        """Carry out a verb that only reads, which mail never waits for."""
        act = act_of(by, "", self.clock())
        return self.store.writer.read(
            lambda connection: verb(VerbContext(connection, self.letterhead, act), *arguments)
        )

    def _list(self, verb: Callable[..., Shown[T]], sought: Sought, by: str) -> ListPage[T]:
        found, unkept = self._see(verb, sought, by=by)
        if unkept:
            self.store.call(partial(versions.keep, states=unkept, now=self.clock()))
        return found

    def _shown(self, states_of: Callable[[Connection], States]) -> None:
        """Store the states behind versions that are about to be shown, where they are not stored yet."""
        now = self.clock()

        def unkept(connection: Connection) -> States:
            return versions.unkept(connection, states_of(connection), now)

        if states := self.store.writer.read(unkept):
            self.store.call(partial(versions.keep, states=states, now=now))

    # -- mailings ------------------------------------------------------------------------------------------------

    def mailings(self, sought: Sought = _ANY, by: str = "") -> ListPage[MailingView]:
        """Return a part of the numbered mailings that somebody may see, newest first. Raises LedgerError."""
        return self._list(lists.mailings, sought, by)

    def show(self, number: int) -> MailingCase:
        """Return one mailing with its batches and its timeline; raises NotFound."""
        case = self._see(mailing_cases.show, number, by="")
        self._shown(partial(snapshots.states_of, mailings=[case.mailing]))
        return case

    def look(self, number: int, by: str) -> VisibleCase:
        """Return one mailing as somebody sees it; raises NotFound where it is not for them."""
        seen = self._see(looking.look, number, by=by)
        self._shown(partial(snapshots.states_of, mailings=[seen.case.mailing]))
        return seen

    def waiting(self, by: str, sought: Sought = _ANY) -> Queue:
        """Return a part of the mailings and requests that wait for a decision, and that somebody may see.

        Those that wait for them come first, and of these the soonest to end. Raises LedgerError.
        """
        return self._see(waiting.waiting, sought, by=by)

    def count_waiting(self, by: str) -> int:
        """Return how many mailings and requests wait for somebody."""
        return self._see(waiting.count, by=by)

    def surroundings(self, mailing: MailingView, by: str) -> Surroundings:
        """Return what else the people of a mailing get about then, and how long sending it takes.

        Args: `mailing` as `look` has returned it for this person.
        """
        return self._see(surroundings.surroundings, mailing, by=by)

    def beside_planned(self, wanted: Wanted, by: str, number: int | None = None) -> Neighbours:
        """Return what else the people of a planned mailing get about its day. Raises LedgerError.

        Args: `number` of the request that is submitted again.
        """
        return self._see(surroundings.beside_planned, wanted, number, by=by)

    def reached_lately(self, persons: Iterable[str]) -> int:
        """Return how many of these people mailings to many have reached in the last seven days."""
        return self.store.writer.read(partial(surroundings.reached_lately, persons=persons, now=self.clock()))

    def delivery(self, number: int, by: str = "") -> Delivery:
        """Return what became of the recipients of a mailing, and what waits to be sent; raises NotFound."""
        return self._see(deliveries.delivery, number, by=by)

    def answers(self, number: int, by: str = "") -> Answers:
        """Return the recipients of a mailing by domain and answer; raises NotFound."""
        return self._see(deliveries.answers, number, by=by)

    def recipients(self, number: int, by: str, sought: Recipients = _EVERYBODY) -> ListPage[KeptRecipient]:
        """Return a part of a mailing's recipients for somebody who may read them, which the timeline notes first.

        Raises NotFound, NotAllowed, LedgerError.
        """
        look = self._see if sought.is_noted else self._do
        return look(deliveries.recipients, number, sought, by=by)

    def take_recipients(self, number: int, by: str, sought: Recipients = _EVERYBODY) -> list[KeptRecipient]:
        """Return all of them for somebody who takes a copy, which the timeline notes each time. Raises as above."""
        return self._do(deliveries.take_recipients, number, sought, by=by)

    def message(self, batch: BatchView) -> bytes:
        """Return the message of a batch as the next hop would get it.

        Our Received field, then the octets that came in.
        """
        chunks = self.store.writer.read(lambda connection: list(batches.read_chunks(connection, batch.body)))
        return b"".join([batch.trace, *chunks])

    def contents(self, batch: BatchView) -> Contents:
        """Return what the message of a batch shows: texts, links, files, defects."""
        return read_contents(self.store.writer.read(partial(batches.read_body, digest=batch.body)))

    def newest_event(self) -> int:
        """Return the number of the newest event of all timelines; 0 where there is none."""
        return self.store.writer.read(stored_events.newest)

    def changes(self, after: int, by: str) -> Changes:
        """Return what has changed since an event, as far as somebody may see it."""
        return self._see(changes.changes, after, by=by)

    # -- requests and permits ------------------------------------------------------------------------------------

    def requests(self, sought: Sought = _ANY, by: str = "") -> ListPage[RequestView]:
        """Return a part of the requests that somebody may see, newest first. Raises LedgerError."""
        return self._list(lists.requests, sought, by)

    def show_request(self, number: int) -> RequestCase:
        """Return one request with who must agree, its permits and its timeline; raises NotFound."""
        case = self._see(requests.look, number, by="")
        self._shown(lambda _: states_of_requests([case.request]))
        return case

    def look_at_request(self, number: int, by: str) -> VisibleRequest:
        """Return one request as somebody sees it, with what they may do; raises NotFound where it is not for them."""
        seen = self._see(request_cases.look, number, by=by)
        self._shown(lambda _: states_of_requests([seen.case.request]))
        return seen

    def read_request(self, number: int, by: str, case: str = "") -> bytes | None:
        """Return the message that a request is bound to for somebody who reads it, which the timeline notes (D4).

        None where it has none. Raises NotFound, NotAllowed.
        """
        message = self.store.writer.read(partial(request_cases.content_ahead, number=number))
        return self._do(request_cases.read, number, message, case, by=by)

    def permits(self, sought: Sought = _ANY, by: str = "") -> ListPage[PermitView]:
        """Return a part of the permits that somebody may see, newest first. Raises LedgerError."""
        return self._list(lists.permits, sought, by)

    def show_permit(self, number: int) -> PermitCase:
        """Return one permit with its timeline; raises NotFound."""
        case = self._see(permits.look, number, by="")
        self._shown(lambda _: states_of_permits([case.permit]))
        return case

    def look_at_permit(self, number: int, by: str) -> VisiblePermit:
        """Return one permit as somebody sees it, with what they may do; raises NotFound where it is not for them."""
        seen = self._see(request_cases.look_at_permit, number, by=by)
        self._shown(lambda _: states_of_permits([seen.case.permit]))
        return seen
