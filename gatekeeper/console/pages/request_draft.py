"""A request that is being written: what its steps have answered so far, as the ledger keeps it and as it is asked."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

from gatekeeper.ledger.service import RequestCase, Unfinished, Wanted
from gatekeeper.lib.immutable import immutable
from gatekeeper.lifecycle import RequestState
from gatekeeper.policy.foresight import Reached


@immutable
class RequestDraft:
    """The answers so far."""

    answers: Mapping[str, Any]
    content: bytes | None = None

    @classmethod
    def of(cls, begun: Unfinished | None) -> RequestDraft:
        """Return what was kept; an empty draft where nothing was."""
        return cls(begun.values, begun.content) if begun else cls({})

    def with_answers(self, answers: Mapping[str, Any], content: bytes | None = None) -> RequestDraft:
        """Return the draft with further answers, in place of those that it had."""
        return RequestDraft({**self.answers, **answers}, content if content is not None else self.content)

    def without_content(self) -> RequestDraft:
        """Return the draft without its message."""
        return RequestDraft(self.answers)

    def kept(self) -> Unfinished:
        """Return what the ledger keeps."""
        return Unfinished(self.answers, self.content)

    def text(self, name: str) -> str:
        """Return an answer as its field shows it; several, one a line."""
        found = self.answers.get(name)
        return "" if found is None else "\n".join(found) if isinstance(found, list) else str(found)

    @property
    def number(self) -> int | None:
        """The number of the request that is submitted again; None for a new one."""
        return self.answers.get("number")

    @property
    def reached(self) -> Reached | None:
        """Whom the addresses that were given reach; None where none were."""
        found = self.answers.get("reached")
        return Reached(**found) if found else None

    def wanted(self) -> Wanted:
        """Return the request as the ledger takes it. Raises ValueError for a day that is none."""
        answers = self.answers
        return Wanted(
            agency=answers.get("agency") or None,
            senders=tuple(answers.get("senders", ())) or None,
            subject=answers.get("subject", ""),
            purpose=answers.get("purpose") or None,
            audiences=tuple(answers.get("audiences", ())) or None,
            users=answers.get("users"),
            planned=_day(answers.get("planned")),
            needed_by=_day(answers.get("needed_by")),
            exception=bool(answers.get("exception")),
            content=self.content,
        )


def _day(text: str | None) -> date | None:
    return date.fromisoformat(text) if text else None


def written_again(case: RequestCase, *, appeals: bool) -> Unfinished:
    """Return a request as a draft that is submitted under its number. Its message stays as it is."""
    request, draft = case.request, case.request.draft
    return Unfinished(
        {
            "number": int(request.id[2:]),
            "appeal": appeals,
            "agency": draft.agency,
            "senders": list(draft.senders),
            "subject": draft.subject,
            "purpose": draft.purpose,
            "audiences": list(draft.audiences),
            "users": draft.users,
            "planned": draft.planned.isoformat() if draft.planned else None,
            "needed_by": draft.needed_by.isoformat() if draft.needed_by else None,
            "exception": draft.exception,
            "had_message": draft.content is not None,
            "asked": (request.reason or "") if request.state == RequestState.CHANGES else "",
        }
    )
