"""The grammar of rules.yaml as tables: every key, its shape, its purpose.

The reader, the JSON Schema and the test that docs/rules.md is complete are made from these tables.
"""

from __future__ import annotations

from typing import Any

from gatekeeper.rules.language.read_conditions import Conditions, Context
from gatekeeper.rules.language.read_mailings import AUDIT, DENIAL_WORDS, HELD, MAILING, NOTICES, REQUESTS
from gatekeeper.rules.language.read_organisation import AGENCIES, DIRECTORY, LISTS, PEOPLE, SCOPE
from gatekeeper.rules.language.read_records import RECORDS, REPORTS
from gatekeeper.rules.language.read_rules import Defines, Rules
from gatekeeper.rules.language.read_senders import CONSENT, GROUPS, SENDERS, TOGETHER, WORKING_HOURS
from gatekeeper.rules.language.scalars import ADDRESS, AGENCY, DAY, DOMAIN, OWN_DOMAIN, TEXT, VERSION, Zone
from gatekeeper.rules.language.value_types import INVALID, Json, Key, ListOf, Reading, Section
from gatekeeper.rules.language.yaml_nodes import Node


class _Enforced:
    """The shape of `enforce:`, the agencies whose senders the rules act on; an empty list is nobody."""

    inner = ListOf(AGENCY)

    def read(self, node: Node, reading: Reading) -> Any:
        """Return a frozenset of ids."""
        values = self.inner.read(node, reading)
        return values if values is INVALID else frozenset(values)

    def schema(self) -> Json:
        """Return the schema of a list of ids."""
        return self.inner.schema()


DOCUMENT = Section(
    "a rules file with version: 1 and rules",
    (
        Key("version", VERSION, "The version of this grammar: 1.", required=True),
        Key("title", TEXT, "What these rules are called."),
        Key("effective", DAY, "The day from which they are in force, for people to know."),
        Key("review", DAY, "The day by which somebody should look at them again."),
        Key("contact", TEXT, "Whom a sender can ask; told in every refusal."),
        Key("timezone", Zone(), "The time zone of days in this file."),
        Key("agencies", AGENCIES, "The parts of the organisation."),
        Key("domains", ListOf(OWN_DOMAIN), "Further domains inside the organisation, of no agency."),
        Key("outside", ListOf(DOMAIN), "Domains below yours that are somebody else's."),
        Key("scope", SCOPE, "Whose senders these rules do not cover."),
        Key("directory", DIRECTORY, "Files that say which addresses are whose."),
        Key("lists", LISTS, "Addresses that stand for many."),
        Key("people", PEOPLE, "Who asks, decides and looks."),
        Key("groups", GROUPS, "Groups of senders, for sender_group and used_by."),
        Key("senders", SENDERS, "Sending addresses: who may send under them."),
        Key("together", TOGETHER, "Whose addresses belong together by themselves, for from_allowed."),
        Key("consent", CONSENT, "Who outside has consented to mass mail."),
        Key("working_hours", WORKING_HOURS, "When people are at work."),
        Key("mailing", MAILING, "What makes messages one mailing."),
        Key("requests", REQUESTS, "How early a mailing is asked for."),
        Key("held", HELD, "What becomes of a held mailing that nobody decides."),
        Key("audit", AUDIT, "What is recorded of decisions, and for how long."),
        Key("records", RECORDS, "Classes of records, and how long each is kept."),
        Key("reports", REPORTS, "Who gets the compliance report of each month."),
        Key("enforce", _Enforced(), "Agencies whose senders these rules act on; the others are only watched."),
        Key("notices", NOTICES, "What the gate's own mails say."),
        Key("denials", DENIAL_WORDS, "Categories of denials, and the words for each; added to those that there are."),
        Key("preflight", ADDRESS, "Mail to this address is judged and answered, and goes nowhere."),
        Key("mass", Conditions(Context(counts_only=True)), "When a mailing is a mass mailing: counts only."),
        Key("define", Defines(), "Conditions with names, to be used in several rules."),
        Key("rules", Rules(), "The rules; all are evaluated, the most severe wins.", required=True),
    ),
)
