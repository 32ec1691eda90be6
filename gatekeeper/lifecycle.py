"""The states of mailings, batches, requests, permits, suspensions, cases, holds, and tables of which act leads where.

Rules for a mailing:
- What was sent already is counted in any state.
- Only a held mailing can be decided. An open or released mailing becomes held when it outgrows its permit.
- When a mailing is approved in part, what the approver had seen is sent, and what came later stays held.
- A gathering mailing is judged when no batch has come for a while: it passes, is held, or is refused as a whole.
- When changes are asked for, the mailing goes back to its sender (S2), who sends it again as another one.
- Closing (denied, returned, withdrawn, expired) is final: later batches start a successor that knows who was reached.

Rules for a request:
- A request that was only received lets nothing pass (M3): only an approved request gives a permit.
- A request that no rule would hold is unneeded: it has no permit. When the rules change before its day it is submitted.
- When changes are asked for, the request goes back (S2); its requester submits it again under the same number.
- A denial by a `final` approver is final. Any other denial may be appealed once: the request is submitted again (S2).
- A request is used once its permit is used up. An approved or used request can be revoked (S5); others expire.

Rules for a permit:
- A permit is in force until its uses are used up; the mailings that used it stay covered until its window ends.
- A use is given back where the mailing was closed before anything of the mailing was sent.
- A permit can be narrowed (S3) and revoked (S5) as long as something may still leave under it.

A case is open until it is closed, which is final: people search, preserve and export for an open one only.

A hold is in force until it is released, which is final; for a lawsuit two people release it.

A disposal is proposed by one person and signed by another, unless the schedule needs no signature; then it is
destroyed, a part at a time. Until it is signed it can be withdrawn.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any, TypeVar


class LifecycleError(ValueError):
    """An act that the current state does not allow; the text says which states were expected."""


class MailingState(StrEnum):
    """The state of a mailing."""

    OPEN = "open"
    GATHERING = "gathering"
    HELD = "held"
    RELEASED = "released"
    DENIED = "denied"
    RETURNED = "returned"  # sent back with what should be changed
    WITHDRAWN = "withdrawn"
    EXPIRED = "expired"


class RequestState(StrEnum):
    """The state of a request."""

    SUBMITTED = "submitted"
    UNNEEDED = "unneeded"  # no rule would hold such a mailing
    CHANGES = "changes"
    APPROVED = "approved"
    DENIED = "denied"
    WITHDRAWN = "withdrawn"
    USED = "used"
    REVOKED = "revoked"
    EXPIRED = "expired"


class PermitState(StrEnum):
    """The state of a permit."""

    IN_FORCE = "in force"
    USED = "used"
    REVOKED = "revoked"
    EXPIRED = "expired"


class SuspensionState(StrEnum):
    """The state of a suspension. A suspension whose end has passed is no longer in force, whatever its state."""

    IN_FORCE = "in force"
    ENDED = "ended"


class CaseState(StrEnum):
    """The state of a case, for which records are searched, preserved and exported (D2)."""

    OPEN = "open"
    CLOSED = "closed"


class PreserveState(StrEnum):
    """The state of a legal hold: what is in the scope of one in force is not destroyed."""

    IN_FORCE = "in force"
    RELEASED = "released"


class DisposalState(StrEnum):
    """The state of a disposal: a list of what is to be destroyed, or was."""

    LISTING = "listing"  # its list is being made
    PROPOSED = "proposed"
    SIGNED = "signed"  # it is being destroyed
    WITHDRAWN = "withdrawn"
    DONE = "done"


class BatchState(StrEnum):
    """The state of a kept batch. `storing`: decided, but its body is not yet durable, so it was never acknowledged."""

    STORING = "storing"
    PASSING = "passing"  # for those beyond the next hop's limit, while the first part is at the next hop
    GATHERED = "gathered"
    HELD = "held"
    RELEASED = "released"  # on its way: the delivery queue owns the batch
    SENT = "sent"  # every recipient has a final answer of the next hop
    RETURNED = "returned"  # its sender was told that it was not sent
    WITHDRAWN = "withdrawn"
    PASSED = "passed"  # a copy of what mass mail says that passed: never the gate's to send, without recipients


class RecipientState(StrEnum):
    """The state of one recipient of a kept batch."""

    WAITING = "waiting"
    SENT = "sent"
    REFUSED = "refused"  # permanently, by the next hop; the sender gets a DSN
    EXPIRED = "expired"  # the next hop did not take the mail within five days


ACTIVE_MAILINGS = frozenset(
    {MailingState.OPEN, MailingState.GATHERING, MailingState.HELD, MailingState.RELEASED}
)  # states in which a mailing takes in batches
KEPT_BATCHES = frozenset(BatchState) - {
    BatchState.RETURNED,
    BatchState.WITHDRAWN,
    BatchState.PASSED,
    BatchState.PASSING,
}  # states in which a resend is no second copy
UNACKNOWLEDGED = frozenset({BatchState.STORING, BatchState.PASSING})  # no client was told of these yet

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
    "changes": {MailingState.HELD: MailingState.RETURNED},
    "refuse": {MailingState.GATHERING: MailingState.DENIED},
    "withdraw": {MailingState.HELD: MailingState.WITHDRAWN},
    "expire": {MailingState.HELD: MailingState.EXPIRED},
}
REQUEST_TABLE: dict[str, dict[RequestState, RequestState]] = {
    "approve": {RequestState.SUBMITTED: RequestState.APPROVED},
    "deny": {RequestState.SUBMITTED: RequestState.DENIED},
    "changes": {RequestState.SUBMITTED: RequestState.CHANGES},
    "dispense": {RequestState.SUBMITTED: RequestState.UNNEEDED},
    "need": {RequestState.UNNEEDED: RequestState.SUBMITTED},
    "revise": {
        RequestState.SUBMITTED: RequestState.SUBMITTED,
        RequestState.UNNEEDED: RequestState.SUBMITTED,
        RequestState.CHANGES: RequestState.SUBMITTED,
    },
    "appeal": {RequestState.DENIED: RequestState.SUBMITTED},
    "withdraw": {
        RequestState.SUBMITTED: RequestState.WITHDRAWN,
        RequestState.UNNEEDED: RequestState.WITHDRAWN,
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
CASE_TABLE: dict[str, dict[CaseState, CaseState]] = {
    "close": {CaseState.OPEN: CaseState.CLOSED},
}
PRESERVE_TABLE: dict[str, dict[PreserveState, PreserveState]] = {
    "agree to release": {PreserveState.IN_FORCE: PreserveState.IN_FORCE},
    "release": {PreserveState.IN_FORCE: PreserveState.RELEASED},
}
DISPOSAL_TABLE: dict[str, dict[DisposalState, DisposalState]] = {
    "list": {DisposalState.LISTING: DisposalState.PROPOSED},
    "sign": {DisposalState.PROPOSED: DisposalState.SIGNED},
    "withdraw": {
        DisposalState.LISTING: DisposalState.WITHDRAWN,
        DisposalState.PROPOSED: DisposalState.WITHDRAWN,
    },
    "destroy": {DisposalState.SIGNED: DisposalState.DONE},
}
COVERING = frozenset({PermitState.IN_FORCE, PermitState.USED})  # permits under which something may still leave
_STRICTEST_FIRST = (MailingState.HELD, MailingState.GATHERING, MailingState.RELEASED, MailingState.OPEN)
DECIDED = frozenset({MailingState.HELD, MailingState.RELEASED})  # states of mailings that a weak key never merges


def strictness(state: MailingState) -> int:
    """Return the rank of an active state. Where two mailings are merged, the lower rank is kept."""
    return _STRICTEST_FIRST.index(state)


State = TypeVar(
    "State", MailingState, RequestState, PermitState, SuspensionState, CaseState, PreserveState, DisposalState
)


def allows(state: State, act: str) -> bool:
    """Return True where an act may be done in a state."""
    return state in _TABLES[type(state)][1].get(act, {})


def advance(state: State, act: str) -> State:
    """Return the state that follows when an act (`hold`, `approve`, `deny`, ...) is done in `state` (docs/ledger.md).

    Raises LifecycleError where the act is not allowed in this state.
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
    CaseState: ("case", CASE_TABLE),
    PreserveState: ("hold", PRESERVE_TABLE),
    DisposalState: ("disposal", DISPOSAL_TABLE),
}


# -- in words ----------------------------------------------------------------------------------------------------

WITHOUT_ASKING = "no rule would hold it: you may send it without asking"
_SAID = {
    RequestState.UNNEEDED: "not needed",
    RequestState.CHANGES: "sent back for changes",
    MailingState.RETURNED: "sent back for changes",
    MailingState.GATHERING: "being counted",
}


def said(state: State) -> str:
    """Return the word for a state that people read after "is", in commands, mails and pages."""
    return _SAID.get(state, state.value)
