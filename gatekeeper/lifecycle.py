"""States of mailing, batch, request, permit, suspension as tables: the rules, then what each act makes of each state.

A mailing's rules:
- What was sent already is counted in any state.
- Only a held mailing can be decided; one that is released or open can become held when it outgrows its permit.
- Approved in part, what somebody had seen of it is sent, and what came later stays held.
- A gathering one is judged when it has been quiet: it passes, is held, or is refused as a whole.
- Closing (denied, withdrawn, expired) is final: what comes next starts a successor that knows who was reached.

A request's rules:
- That it was received lets nothing pass (M3): only an approved one gives a permit.
- Changes asked send it back (S2); its requester submits it again, under its number.
- A denial by a `final` approver is final, another may be appealed once: it is submitted again (S2).
- It is used once its permit is used up. What is approved or used can be revoked (S5); time ends the rest.

A permit's rules:
- It is in force until its uses are used up; the mailings that used it stay covered until its window ends.
- A use goes back where the mailing was closed before anything of it was sent.
- It can be narrowed (S3) and revoked (S5) as long as something may still leave under it.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any, TypeVar


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


class RequestState(StrEnum):
    """Where a request stands."""

    SUBMITTED = "submitted"
    CHANGES = "changes"
    APPROVED = "approved"
    DENIED = "denied"
    WITHDRAWN = "withdrawn"
    USED = "used"
    REVOKED = "revoked"
    EXPIRED = "expired"


class PermitState(StrEnum):
    """Where a permit stands."""

    IN_FORCE = "in force"
    USED = "used"
    REVOKED = "revoked"
    EXPIRED = "expired"


class SuspensionState(StrEnum):
    """Where a suspension stands; one whose end has come is in force no longer, whatever its state."""

    IN_FORCE = "in force"
    ENDED = "ended"


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

MAILING_TABLE: dict[str, dict[MailingState, MailingState]] = {
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
    "approve in part": {MailingState.HELD: MailingState.HELD},
    "deny": {MailingState.HELD: MailingState.DENIED},
    "changes": {MailingState.HELD: MailingState.DENIED},
    "refuse": {MailingState.GATHERING: MailingState.DENIED},
    "withdraw": {MailingState.HELD: MailingState.WITHDRAWN},
    "expire": {MailingState.HELD: MailingState.EXPIRED},
}
REQUEST_TABLE: dict[str, dict[RequestState, RequestState]] = {
    "approve": {RequestState.SUBMITTED: RequestState.APPROVED},
    "deny": {RequestState.SUBMITTED: RequestState.DENIED},
    "changes": {RequestState.SUBMITTED: RequestState.CHANGES},
    "revise": {
        RequestState.SUBMITTED: RequestState.SUBMITTED,
        RequestState.CHANGES: RequestState.SUBMITTED,
    },
    "appeal": {RequestState.DENIED: RequestState.SUBMITTED},
    "withdraw": {
        RequestState.SUBMITTED: RequestState.WITHDRAWN,
        RequestState.CHANGES: RequestState.WITHDRAWN,
        RequestState.APPROVED: RequestState.WITHDRAWN,
    },
    "use": {RequestState.APPROVED: RequestState.USED},
    "give back": {RequestState.USED: RequestState.APPROVED},
    "revoke": {
        RequestState.APPROVED: RequestState.REVOKED,
        RequestState.USED: RequestState.REVOKED,
    },
    "expire": {
        RequestState.SUBMITTED: RequestState.EXPIRED,
        RequestState.CHANGES: RequestState.EXPIRED,
        RequestState.APPROVED: RequestState.EXPIRED,
    },
}
PERMIT_TABLE: dict[str, dict[PermitState, PermitState]] = {
    "use up": {PermitState.IN_FORCE: PermitState.USED},
    "give back": {
        PermitState.IN_FORCE: PermitState.IN_FORCE,
        PermitState.USED: PermitState.IN_FORCE,
    },
    "narrow": {
        PermitState.IN_FORCE: PermitState.IN_FORCE,
        PermitState.USED: PermitState.USED,
    },
    "revoke": {
        PermitState.IN_FORCE: PermitState.REVOKED,
        PermitState.USED: PermitState.REVOKED,
    },
    "expire": {
        PermitState.IN_FORCE: PermitState.EXPIRED,
        PermitState.USED: PermitState.EXPIRED,
    },
}
SUSPENSION_TABLE: dict[str, dict[SuspensionState, SuspensionState]] = {
    "end": {SuspensionState.IN_FORCE: SuspensionState.ENDED},
}
MAILING_ACTS = frozenset(MAILING_TABLE)
COVERING = frozenset({PermitState.IN_FORCE, PermitState.USED})  # permits under which something may still leave
_STRICTEST_FIRST = (MailingState.HELD, MailingState.GATHERING, MailingState.RELEASED, MailingState.OPEN)
DECIDED = frozenset({MailingState.HELD, MailingState.RELEASED})  # which a weak key never merges with each other


def strictness(state: MailingState) -> int:
    """Rank an active state; of two mailings that turn out to be one the lower rank is kept."""
    return _STRICTEST_FIRST.index(state)


State = TypeVar("State", MailingState, RequestState, PermitState, SuspensionState)


def advance(state: State, act: str) -> State:
    """Return the state that an act (`hold`, `approve`, `deny`, ...) makes of that of a mailing, request or permit.

    Raises LifecycleError where the act is not for this state (DESIGN 6).
    """
    thing, table = _TABLES[type(state)]
    follows: State | None = table.get(act, {}).get(state)
    if follows is None:
        expected = " or ".join(sorted(table.get(act, ())))
        raise LifecycleError(f"it is {state}; {act} is for a {thing} that is {expected}")
    return follows


_TABLES: dict[type[StrEnum], tuple[str, dict[str, dict[Any, Any]]]] = {
    MailingState: ("mailing", MAILING_TABLE),
    RequestState: ("request", REQUEST_TABLE),
    PermitState: ("permit", PERMIT_TABLE),
    SuspensionState: ("suspension", SUSPENSION_TABLE),
}
