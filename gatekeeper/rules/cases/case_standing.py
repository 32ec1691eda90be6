"""Read the `standing:` of a case, what was before its message: earlier mailings, permits, a suspension.

`gatekeeper.policy.case_runner` turns this into what the ledger would say.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from gatekeeper.lib.immutable import immutable
from gatekeeper.model import EarlierMailings
from gatekeeper.rules.language.scalars import ADDRESS, AGENCY, DURATION, FLAG, TEXT, TEXT_JSON, WHOLE, word_of
from gatekeeper.rules.language.value_types import Key, ListOf, Reading, Section, Value
from gatekeeper.rules.language.yaml_nodes import Mapping


@immutable
class SentBefore:
    """A mass mailing that was sent some time before this one."""

    ago: timedelta
    to: frozenset[str] = frozenset()  # lists' addresses, agencies' ids
    sender: str | None = None  # its sender; None for the sender of the case

    def answers(self, question: EarlierMailings, mailbox: str) -> bool:
        """Return True where the question counts this mailing. Args: `mailbox` is the sender of the case's message."""
        if self.ago >= question.within:
            return False
        if not question.to:
            return self.sender in (None, mailbox)
        return question.to.casefold() in {name.casefold() for name in self.to}


@immutable
class Permitted:
    """A permit for the sender of the case, in force when the message comes."""

    rules: frozenset[str]
    kind: str = "approval"
    users: int | None = None
    agencies: frozenset[str] = frozenset()
    lists: frozenset[str] = frozenset()
    subject: str = ""
    purpose: str = ""


@immutable
class CaseStanding:
    """What the ledger says when the message of a case comes; nothing by default."""

    earlier: tuple[SentBefore, ...] = ()
    permits: tuple[Permitted, ...] = ()
    suspended: bool = False
    sent: int = 0  # people whom its origin and client have reached before, besides those of its mailing

    def how_many(self, questions: Iterable[EarlierMailings], mailbox: str) -> dict[EarlierMailings, int]:
        """Return the number of earlier mass mailings for each question of the rules."""
        return {each: sum(sent.answers(each, mailbox) for sent in self.earlier) for each in questions}


# -- the grammar -------------------------------------------------------------------------------------------------


def _frozen(make: type) -> Any:
    def made(values: dict[str, Any], node: Mapping, reading: Reading) -> Any:
        sets = {name: frozenset(value) for name, value in values.items() if isinstance(value, tuple)}
        return make(**{**values, **sets})

    return made


def _audience(text: str) -> str:
    """Read a list's address or an agency's id, unchecked: which agencies exist is not known here."""
    if not text.strip() or " " in text:
        raise ValueError(text)
    return text


_AUDIENCE = Value("a list's address or an agency's id", _audience, TEXT_JSON)
_SENT = Section(
    "an earlier mailing, such as {ago: 3d, to: all-staff@example.gov}",
    (
        Key("ago", DURATION, "How long before this message.", required=True),
        Key("to", ListOf(_AUDIENCE, 1), "Its audiences."),
        Key("sender", ADDRESS, "Who sent it; the same sender where left out."),
    ),
    _frozen(SentBefore),
)


def standing_of_rules(rule: Value) -> Section:
    """Return the shape of `standing:`. Args: `rule` reads the id of a rule."""
    permit = Section(
        "a permit, such as {rules: [approval], users: 2400}",
        (
            Key("rules", ListOf(rule, 1), "The rules that it answers.", required=True),
            Key("kind", word_of("approval", "exception", "emergency"), "What it is; an approval where left out."),
            Key("users", WHOLE, "The most users; any number where left out."),
            Key("agencies", ListOf(AGENCY, 1), "The agencies that it may reach; any where left out."),
            Key("lists", ListOf(ADDRESS, 1), "The lists that it may go to; any where left out."),
            Key("subject", TEXT, "The subject that it is for; any where left out."),
            Key("purpose", TEXT, "What the request was for."),
        ),
        _frozen(Permitted),
    )
    return Section(
        "what the ledger says, such as {earlier: [{ago: 3d}]}",
        (
            Key("earlier", ListOf(_SENT), "Mass mailings before it."),
            Key("permits", ListOf(permit), "Permits of its sender."),
            Key("sent", WHOLE, "How many people its sender and client have reached before, by other mailings."),
            Key("suspended", FLAG, "Whether its sender is suspended from mass mail."),
        ),
        lambda values, node, reading: CaseStanding(**values),
    )
