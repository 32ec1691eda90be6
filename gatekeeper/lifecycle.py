"""States of a mailing and of a batch, as tables: the rules first, then what each act makes of each state.

A mailing's rules:
- What was sent already is counted in any state.
- Only a held mailing can be decided; one that is released or open can become held when it outgrows its permit.
- A gathering one is judged when it has been quiet: it passes, is held, or is refused as a whole.
- Closing (denied, withdrawn, expired) is final: what comes next starts a successor that knows who was reached.
"""

from __future__ import annotations

from enum import StrEnum


class LifecycleError(ValueError):
    """An act that the state does not allow; the text says what was expected."""


class MailingState(StrEnum):
    """Where a mailing stands."""

    OPEN = "open"
    GATHERING = "gathering"
    HELD = "held"
    RELEASED = "released"
    DENIED = "denied"
    WITHDRAWN = "withdrawn"
    EXPIRED = "expired"


class BatchState(StrEnum):
    """Where a kept batch stands. `storing`: decided, its body not yet durable, so never acknowledged."""

    STORING = "storing"
    GATHERED = "gathered"
    HELD = "held"
    RELEASED = "released"  # on its way: the queue owns it
    SENT = "sent"  # every recipient has a final answer of the next hop
    RETURNED = "returned"  # its sender was told that it was not sent
    WITHDRAWN = "withdrawn"


class RecipientState(StrEnum):
    """Where one recipient of a kept batch stands."""

    WAITING = "waiting"
    SENT = "sent"
    REFUSED = "refused"  # by the next hop, for good; its sender gets a DSN
    EXPIRED = "expired"  # the next hop did not take it in five days


ACTIVE_MAILINGS = frozenset(
    {MailingState.OPEN, MailingState.GATHERING, MailingState.HELD, MailingState.RELEASED}
)  # those that still take in batches
CLOSED_MAILINGS = frozenset(MailingState) - ACTIVE_MAILINGS
KEPT_BATCHES = frozenset(BatchState) - {BatchState.RETURNED, BatchState.WITHDRAWN}  # whose resend is no second copy

_MAILING: dict[str, dict[MailingState, MailingState]] = {
    "gather": {
        MailingState.OPEN: MailingState.GATHERING,
        MailingState.GATHERING: MailingState.GATHERING,
    },
    "hold": {
        MailingState.OPEN: MailingState.HELD,
        MailingState.GATHERING: MailingState.HELD,
        MailingState.HELD: MailingState.HELD,
        MailingState.RELEASED: MailingState.HELD,
    },
    "pass": {MailingState.GATHERING: MailingState.OPEN},
    "approve": {MailingState.HELD: MailingState.RELEASED},
    "deny": {MailingState.HELD: MailingState.DENIED},
    "refuse": {MailingState.GATHERING: MailingState.DENIED},
    "withdraw": {MailingState.HELD: MailingState.WITHDRAWN},
    "expire": {MailingState.HELD: MailingState.EXPIRED},
}
MAILING_ACTS = frozenset(_MAILING)
_STRICTEST_FIRST = (MailingState.HELD, MailingState.GATHERING, MailingState.RELEASED, MailingState.OPEN)
DECIDED = frozenset({MailingState.HELD, MailingState.RELEASED})  # which a weak key never merges with each other


def strictness(state: MailingState) -> int:
    """Rank an active state; of two mailings that turn out to be one the lower rank is kept."""
    return _STRICTEST_FIRST.index(state)


def advance(state: MailingState, act: str) -> MailingState:
    """Return the state that an act (`hold`, `approve`, `deny`, ...) makes of a mailing's state.

    Raises LifecycleError where the act is not for this state (DESIGN 6).
    """
    try:
        return _MAILING[act][state]
    except KeyError:
        expected = ", ".join(sorted(_MAILING.get(act, ())))
        raise LifecycleError(f"it is {state}; {act} is for a mailing that is {expected}") from None
