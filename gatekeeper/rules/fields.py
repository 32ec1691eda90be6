"""The registry of fields: everything a rule can look at. The reader, docs/rules.md and the schema are made from it.

A field is None or empty where it is *missing*, and UNAVAILABLE where the gate cannot determine it (docs/rules.md).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from gatekeeper.address import normalise
from gatekeeper.model import Evidence, Mailbox, Name
from gatekeeper.rules.field_extractors import (
    attachment_size,
    clean,
    clean_all,
    consented,
    from_allowed,
    known,
    network,
    of_the_ledger,
    unavailable,
    unsubscribe,
)
from gatekeeper.rules.field_kinds import UNAVAILABLE, Extractor, Field, Kind


class FieldValues(dict[str, Any]):
    """The field values of one judgment, each read from the evidence when it is first needed."""

    __slots__ = ("evidence", "of_ruleset")

    def __init__(self, evidence: Evidence, of_ruleset: Mapping[str, Extractor] = {}) -> None:
        """Args: `of_ruleset` has the extractors of those fields that depend on the ruleset too."""
        super().__init__()
        self.evidence, self.of_ruleset = evidence, of_ruleset

    def __missing__(self, name: str) -> Any:
        extract = self.of_ruleset.get(name) or FIELDS[name].extract
        value = self[name] = extract(self.evidence)
        return value

    @property
    def beside(self) -> tuple[FieldValues, ...] | None:
        """Return the values with each name beside the mailbox as the source; None where nobody vouches."""
        names = self.evidence.source.beside
        return names if names is None else tuple(self._under(name) for name in names)

    def _under(self, name: Name) -> FieldValues:
        source = replace(self.evidence.source, mailbox=name.address, agency=name.agency, groups=name.groups)
        facts = replace(self.evidence.facts, author=(Mailbox("", name.address),))
        return FieldValues(replace(self.evidence, source=source, facts=facts), self.of_ruleset)


# -- the registry ------------------------------------------------------------------------------------------------

_OF_THE_MAILING = (
    Field(
        "users",
        Kind.COUNT,
        "mailing",
        "Different people inside the organisation that the mailing has reached so far, this message included.",
        lambda evidence: evidence.counts.users,
        growing=True,
    ),
    Field(
        "external",
        Kind.COUNT,
        "mailing",
        "Different recipients outside the organisation that the mailing has reached so far.",
        lambda evidence: evidence.counts.external,
        growing=True,
    ),
    Field(
        "people",
        Kind.COUNT,
        "mailing",
        "Users and externals together.",
        lambda evidence: evidence.counts.people,
        growing=True,
    ),
    Field(
        "agencies",
        Kind.NAMES,
        "mailing",
        "The agencies whose users the mailing has reached so far, by their ids.",
        lambda evidence: evidence.counts.agencies,
        growing=True,
    ),
    Field(
        "lists",
        Kind.NAMES,
        "mailing",
        "The lists that the mailing was sent to, by their addresses.",
        lambda evidence: evidence.counts.lists,
        growing=True,
    ),
    Field(
        "unresolved",
        Kind.COUNT,
        "mailing",
        "Inside addresses that a complete directory does not know, or that lead to somebody by more than their domain.",
        lambda evidence: evidence.counts.unresolved,
        growing=True,
    ),
    Field(
        "unlisted",
        Kind.COUNT,
        "mailing",
        "People that it reaches who are in no list that the gate knows: a managed audience has none (T3).",
        lambda evidence: known(evidence.counts.unlisted),
        growing=True,
    ),
    Field(
        "unconsented",
        Kind.COUNT,
        "mailing",
        "External recipients who have not given consent, or have taken it back (T2).",
        lambda evidence: known(evidence.counts.unconsented),
        growing=True,
    ),
    Field(
        "reach",
        Kind.REACH,
        "mailing",
        "How much of a list the mailing reaches, whether by the list or by pasted addresses (C3).",
        lambda evidence: evidence.counts.reach,
        growing=True,
    ),
    Field(
        "mass",
        Kind.FLAG,
        "mailing",
        "Whether the mailing is a mass mailing, by the condition under `mass:`.",
        unavailable,  # the judge sets it, from the ruleset
        growing=True,
    ),
)

_OF_THE_TRANSACTION = (
    Field(
        "recipients",
        Kind.COUNT,
        "transaction",
        "Recipients on the envelope of this message.",
        lambda evidence: evidence.audience.recipients,
    ),
    Field(
        "visible",
        Kind.COUNT,
        "transaction",
        "People in To and Cc of this message; a list counts as its members.",
        lambda evidence: evidence.audience.visible,
    ),
    Field(
        "subject",
        Kind.TEXT,
        "transaction",
        "The subject line; missing where there is none or it is blank.",
        lambda evidence: clean(evidence.facts.subject),
    ),
    Field(
        "sender",
        Kind.TEXT,
        "transaction",
        "Who sends: the mailbox of the login, else of From, else of the envelope.",
        lambda evidence: clean(evidence.source.mailbox),
    ),
    Field(
        "from",
        Kind.NAMES,
        "transaction",
        "The addresses in the From line; there should be one.",
        lambda evidence: tuple(map(normalise, clean_all(mailbox.address for mailbox in evidence.facts.author))),
    ),
    Field(
        "login",
        Kind.TEXT,
        "transaction",
        "The name that the sender logged in with; missing where nobody logged in.",
        lambda evidence: clean(evidence.transaction.login),
    ),
    Field(
        "sender_agency",
        Kind.TEXT,
        "transaction",
        "The agency of the sender, by its id; missing for a sender of no agency.",
        lambda evidence: evidence.source.agency,
    ),
    Field(
        "sender_group",
        Kind.NAMES,
        "transaction",
        "The groups that the sender is in, by the directory or by `groups`.",
        lambda evidence: evidence.source.groups,
    ),
    Field(
        "from_allowed",
        Kind.FLAG,
        "transaction",
        "Whether login, envelope, From and Sender belong together (C5).",
        from_allowed,
    ),
    Field(
        "from_problem",
        Kind.TEXT,
        "transaction",
        "Why `from_allowed` is false, in words for the sender; missing where it is true.",
        lambda evidence: known(evidence.source.from_problem),
    ),
    Field(
        "working_hours",
        Kind.FLAG,
        "transaction",
        "Whether the message came in working hours, by `working_hours` and the time zone.",
        unavailable,  # the judge sets it, from the ruleset and the time
    ),
    Field(
        "attachments",
        Kind.COUNT,
        "transaction",
        "How many files are attached.",
        lambda evidence: len(evidence.facts.attachments),
    ),
    Field(
        "attachment_size",
        Kind.SIZE,
        "transaction",
        "The size of all attached files together, once decoded.",
        attachment_size,
    ),
    Field(
        "attachment_names",
        Kind.NAMES,
        "transaction",
        "The names of the attached files.",
        lambda evidence: clean_all(attachment.name for attachment in evidence.facts.attachments),
    ),
    Field(
        "attachment_types",
        Kind.NAMES,
        "transaction",
        "The types of the attached files, such as application/pdf.",
        lambda evidence: clean_all(attachment.type for attachment in evidence.facts.attachments),
    ),
    Field(
        "tnef",
        Kind.FLAG,
        "transaction",
        "Whether a part is in Exchange's own format (winmail.dat). It is no attachment; files in it cannot be seen.",
        lambda evidence: evidence.facts.tnef,
    ),
    Field(
        "links",
        Kind.NAMES,
        "transaction",
        "The hosts that the text links to, such as survey.example.org.",
        lambda evidence: evidence.facts.links,
    ),
    Field(
        "size",
        Kind.SIZE,
        "transaction",
        "The size of the whole message.",
        lambda evidence: evidence.facts.size,
    ),
    Field(
        "defects",
        Kind.NAMES,
        "transaction",
        "What is wrong with the way the message is built, by the names in the list of defects.",
        lambda evidence: evidence.facts.defects,
    ),
    Field(
        "unsubscribe",
        Kind.WORD,
        "transaction",
        "How recipients can unsubscribe: one-click (RFC 8058) or link (RFC 2369); missing where they cannot.",
        unsubscribe,
        words=("one-click", "link"),
    ),
    Field(
        "listener",
        Kind.WORD,
        "transaction",
        "Where the message came in.",
        lambda evidence: evidence.transaction.listener,
        words=("smtp", "milter"),
    ),
    Field(
        "network",
        Kind.NETWORK,
        "transaction",
        "The address of the client, tested against networks; missing where it has none.",
        network,
    ),
    Field(
        "list_id",
        Kind.TEXT,
        "transaction",
        "The List-Id of mail that a mailing list sends (RFC 2919).",
        lambda evidence: clean(evidence.facts.list_id),
    ),
)

_OF_THE_STANDING = (
    Field(
        "designated",
        Kind.FLAG,
        "standing",
        "Whether the sender is a designated sender of its agency, or of every list that the mailing goes to (C8).",
        unavailable,  # the judge sets it, from the ruleset
    ),
    Field(
        "suspended",
        Kind.FLAG,
        "standing",
        "Whether the sender, its group or its agency is suspended from mass mail (C10).",
        of_the_ledger(lambda standing: bool(standing.suspensions)),
    ),
    Field(
        "purpose",
        Kind.TEXT,
        "standing",
        "What the mailing is for, by its approved request, else by the sender's entry under senders (T2).",
        unavailable,  # the judge sets it, from the ledger and the ruleset
    ),
    Field(
        "consented",
        Kind.FLAG,
        "standing",
        "Whether every external recipient has given consent (T2).",
        consented,
    ),
    Field(
        "earlier",
        Kind.EARLIER,
        "standing",
        "Mass mailings of this source, or to the audience named, in the time before (T4).",
        of_the_ledger(lambda standing: standing.earlier),
    ),
)

_OF_THE_ORIGIN = tuple(
    Field(name, Kind.SENT, "origin", doc, lambda evidence: evidence.counts.sent, growing=True)
    for name, doc in (
        ("sender_users", "Different users whom the sender has reached over all its mailings, whatever their subject."),
        ("sender_people", "Users and externals whom the sender has reached over all its mailings."),
        ("sender_agencies", "How many agencies the sender has reached over all its mailings."),
        ("client_users", "Different users whom mail from this client's address has reached."),
    )
)

OF_THE_LEDGER = ("suspended", "purpose", "earlier")
OF_NAMES = ("sender", "from", "sender_agency", "sender_group", "purpose")  # read off what a message is sent under
BY_THE_RULESET = ("mass", "working_hours")  # computed from ruleset, other values and time
_OF_THE_DIRECTORY = frozenset(
    (
        *("users", "external", "people", "agencies", "lists", "unresolved", "unlisted", "reach", "visible"),
        *("sender_agency", "sender_group", "from_allowed", "from_problem"),
        *(field.name for field in _OF_THE_ORIGIN),
    )
)


def _if_certain(field: Field) -> Field:
    """Return the field, made unavailable where the directory has not answered for too long."""
    extract = field.extract
    return replace(field, extract=lambda evidence: extract(evidence) if evidence.audience.certain else UNAVAILABLE)


_ALL = (*_OF_THE_MAILING, *_OF_THE_TRANSACTION, *_OF_THE_STANDING, *_OF_THE_ORIGIN)
FIELDS: dict[str, Field] = {
    field.name: _if_certain(field) if field.name in _OF_THE_DIRECTORY else field for field in _ALL
}
