"""What is due by the schedule of records, by class (C7): counted, and nothing done."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

from gatekeeper.archive.disposing import age_of
from gatekeeper.ledger.cases import check_sees_records
from gatekeeper.ledger.context import LedgerError, VerbContext
from gatekeeper.lib.immutable import immutable
from gatekeeper.rules.record_classes import (
    ACCESS,
    CERTIFICATES,
    CLASS_NAMES,
    DECISIONS,
    HELD,
    LEDGER,
    MASS,
    RecordClass,
)
from gatekeeper.store import Connection, due_lists
from gatekeeper.store import due as stored_due
from gatekeeper.store.acts_due import count_acts
from gatekeeper.store.due import NOTHING_DUE, Age, Due
from gatekeeper.store.matters_due import CERTIFICATE, OF_LEDGER


@immutable
class ClassDue:
    """A class of records, and what of it is due."""

    name: str
    rule: RecordClass
    cutoff: float | None  # before when things are due; None where nothing ever is
    due: Due


_COUNTS: Mapping[str, Callable[[Connection, Age], Due]] = {
    DECISIONS: stored_due.count_lines,
    LEDGER: partial(due_lists.count_matters, kinds=OF_LEDGER),
    HELD: partial(stored_due.count_contents, passed=False),
    MASS: partial(stored_due.count_contents, passed=True),
    ACCESS: count_acts,
    CERTIFICATES: partial(due_lists.count_matters, kinds=(CERTIFICATE,)),
}


def due(ctx: VerbContext, name: str | None) -> list[ClassDue]:
    """Return what is due of each class, or of one. Raises NotAllowed, LedgerError."""
    check_sees_records(ctx, "look at what is due")
    if name is not None and name not in CLASS_NAMES:
        raise LedgerError(f"class {name!r}: expected one of {', '.join(CLASS_NAMES)}")
    return [_due(ctx, each) for each in ([name] if name else CLASS_NAMES)]


def all_due(ctx: VerbContext) -> list[ClassDue]:
    """Return what is due of each class, for a report, which has nothing but the numbers."""
    return [_due(ctx, each) for each in CLASS_NAMES]


def _due(ctx: VerbContext, name: str) -> ClassDue:
    rule = ctx.ruleset.record_class(name)
    age = age_of(ctx.ruleset, name, ctx.now)
    count = _COUNTS.get(name)
    found = count(ctx.connection, age) if count and age else NOTHING_DUE
    return ClassDue(name, rule, age.before if age else None, found)
