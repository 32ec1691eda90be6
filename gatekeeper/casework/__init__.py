"""What people do: ask in advance, decide, take back, suspend, look. The same verbs for every front.

`Casework` is how fronts see it; what a verb does, in one transaction, is in the file of what it acts on. Who may do it
is in `who.py`.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from gatekeeper.casework import mailings
from gatekeeper.casework.desk import CaseworkError, Desk, NotAllowed, NotFound
from gatekeeper.casework.mailings import Case, Decision
from gatekeeper.faults import step
from gatekeeper.rules import Ruleset
from gatekeeper.store import Store, keeping, views
from gatekeeper.store.views import BatchView, MailingView
from gatekeeper.telling import Voice

__all__ = ["Case", "Casework", "CaseworkError", "Decision", "NotAllowed", "NotFound"]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Casework:
    """The verbs, on one store, under one ruleset."""

    store: Store
    voice: Voice
    clock: Callable[[], float] = time.time

    @property
    def ruleset(self) -> Ruleset:
        """What decides who may do what."""
        return self.voice.ruleset

    @property
    def desk(self) -> Desk:
        """What a verb works with now."""
        return Desk(self.voice, self.clock())

    def _do(self, verb: Callable[..., T], *arguments: object) -> T:
        """Carry out a verb in a transaction of its own."""
        desk = self.desk
        return self.store.call(lambda connection: verb(connection, desk, *arguments))

    # -- mailings ------------------------------------------------------------------------------------------------

    def mailings(self, state: str | None = None) -> list[MailingView]:
        """The numbered mailings, newest first; of one state, where named."""
        return self.store.call(partial(views.list_mailings, state=state))

    def show(self, number: int) -> Case:
        """One mailing with its batches and its timeline; raises NotFound."""
        return self.store.call(partial(mailings.show, number=number))

    def message(self, batch: BatchView) -> bytes:
        """The message of a batch as the next hop would get it: the Received field of ours, then what came in."""
        chunks = self.store.call(lambda connection: list(keeping.read_chunks(connection, batch.body)))
        return b"".join([batch.trace, *chunks])

    def export(self, number: int, by: str) -> Case:
        """The mailing for somebody who takes a copy of its messages, which its timeline notes first (policy S4, D4).

        Approvers, auditors and admins may, and whoever is asked about it. Raises NotFound or NotAllowed.
        """
        return self._do(mailings.export, number, by)

    def approve(self, number: int, by: str, reason: str = "") -> Decision:
        """Say yes to a held mailing; it is sent once everyone whom its rules ask has (DESIGN 6).

        Raises NotFound, NotAllowed, or CaseworkError where it is not held.
        """
        decision = self._do(mailings.approve, number, by, reason)
        step("approved")
        return decision

    def deny(self, number: int, by: str, reason: str) -> Decision:
        """Say no: nothing of what is held is sent, and its sender gets one DSN with the reason (RFC 3464).

        Raises NotFound, NotAllowed, or CaseworkError where it is not held or no reason is given.
        """
        return self._do(mailings.deny, number, by, reason)

    def withdraw(self, number: int, by: str, reason: str = "") -> Decision:
        """Take a held mailing back: its sender, or an admin; nothing of what is held is sent.

        Raises NotFound, NotAllowed, or CaseworkError where it is not held.
        """
        return self._do(mailings.withdraw, number, by, reason)
