"""Read `agencies`, `scope`, `directory`, `lists` and `people`: who belongs to the organisation, who may do what."""

from __future__ import annotations

from typing import Any

from gatekeeper.rules.language.scalars import ADDRESS, AGENCY, DAY, DOMAIN, DURATION, FLAG, PATH, TEXT, WORD, word_of
from gatekeeper.rules.language.value_types import Key, ListOf, MapOf, Reading, Reference, Section, made_into
from gatekeeper.rules.language.yaml_nodes import Mapping
from gatekeeper.rules.specs import ROLES, Agency, Delegation, DirectorySpec, ListSpec, Person

# -- agencies ----------------------------------------------------------------------------------------------------


def _make_agency(values: dict[str, Any], node: Mapping, reading: Reading) -> Any:
    return Agency(**{**values, "senders": frozenset(values.get("senders", ()))})


AGENCIES = MapOf(
    "agencies by their ids, such as DOA: {name: Administration, domains: [doa.example.gov]}",
    WORD,
    Section(
        "an agency, such as {name: Administration, domains: [doa.example.gov]}",
        (
            Key("name", TEXT, "Its name, for people.", required=True),
            Key("domains", ListOf(DOMAIN), 'Its mail domains; "*.x" for all below x.'),
            Key("head", ADDRESS, "Who heads it: asked where a rule asks head."),
            Key("senders", ListOf(ADDRESS), "Its designated senders, who send its mass mail."),
        ),
        _make_agency,
    ),
)
SCOPE = Section(
    "{except: [ids of agencies]}",
    (Key("except", ListOf(AGENCY), "Agencies whose senders these rules do not cover."),),
    lambda values, node, reading: frozenset(values.get("except", ())),
)

_DIRECTORY_KINDS = ("csv", "aliases", "ldap", "sql")
_LDAP_OPTIONS = ("base", "filter", "address", "user", "agency", "group", "members", "bind", "password_file", "ca")
_SQL_OPTIONS = ("query", "password_file")
_NEEDED = {"ldap": "base", "sql": "query"}
_DIRECTORY_OPTIONS = {
    "base": "Of ldap: below which entry to look.",
    "filter": "Of ldap: which entries; those with an address where left out.",
    "address": "Of ldap: the attribute with the addresses, or several with blanks between; mail where left out.",
    "user": "Of ldap: the attribute by which two addresses are one person; the first address where left out.",
    "agency": "Of ldap: the attribute with the id of the agency.",
    "group": "Of ldap: the attribute with groups of senders.",
    "members": "Of ldap: the attribute with the members of a group; entries that have it are lists.",
    "ca": "Of ldap: a file with the certificates of the server's authority; those of the system where left out.",
    "bind": "Of ldap: the entry to log in as; nobody where left out.",
    "query": "Of sql: what to ask; its columns are address, user, agency, group, members.",
    "password_file": "Of ldap and sql: a file with the password.",
}


def _make_source(values: dict[str, Any], node: Mapping, reading: Reading) -> Any:
    kinds = [kind for kind in _DIRECTORY_KINDS if kind in values]
    if len(kinds) != 1:
        return reading.error(node, f"expected exactly one of {', '.join(_DIRECTORY_KINDS)} here")
    (kind,) = kinds
    place = values[kind]
    options = {name: values[name] for name in _DIRECTORY_OPTIONS if name in values}
    allowed = {"ldap": _LDAP_OPTIONS, "sql": _SQL_OPTIONS}.get(kind, ())
    times = [name for name in ("refresh",) if name in values and not allowed]
    if others := [*(name for name in options if name not in allowed), *times]:
        return reading.error(node, f"{' and '.join(others)} beside {kind}: expected {_listed(allowed)} only")
    if kind in _NEEDED and _NEEDED[kind] not in options:
        return reading.error(node, f"{kind} without {_NEEDED[kind]}: expected it beside {kind}")
    path = None if allowed else place
    options |= {"url": place} if allowed else {}
    return DirectorySpec(kind, path, values.get("complete", False), values.get("age"), options, values.get("refresh"))


def _listed(names: tuple[str, ...]) -> str:
    return ", ".join(("complete", "age", *names, "refresh") if names else ("complete", "age"))


DIRECTORY = ListOf(
    Section(
        "a source of the directory, such as {csv: directory.csv}",
        (
            Key("csv", PATH, "A file with the columns address, user, agency."),
            Key("aliases", PATH, "A file in Postfix alias syntax."),
            Key("ldap", TEXT, "An LDAP server: ldaps://host, ldap+starttls://host or ldap://host."),
            Key("sql", TEXT, "A database: postgresql://user@host/name or sqlite:///FILE."),
            Key("complete", FLAG, "true: an inside address that it does not know is unresolved."),
            Key("age", DURATION, "How old a copy may grow while the source is down."),
            Key("refresh", DURATION, "How often ldap and sql are asked again; 5m where left out."),
            *(Key(name, TEXT, doc) for name, doc in _DIRECTORY_OPTIONS.items()),
        ),
        _make_source,
    )
)


def _make_list(values: dict[str, Any], node: Mapping, reading: Reading) -> Any:
    if "file" in values and "members" in values:
        return reading.error(node, "file and members together: expected one of them")
    return ListSpec(**values)


LISTS = MapOf(
    "lists by their addresses, such as all-staff@example.gov: {file: all-staff.txt}",
    ADDRESS,
    Section(
        "a list, such as {file: all-staff.txt, owner: hr}",
        (
            Key("file", PATH, "A file with an address a line."),
            Key("members", ListOf(ADDRESS), "The addresses themselves."),
            Key("owner", WORD, "Whose data it is; people answer for it by of."),
            Key("senders", ListOf(ADDRESS), "Who may send to it as a matter of course."),
        ),
        _make_list,
    ),
)


_DELEGATE = Section(
    "who acts in their place, such as {to: deputy@example.gov, until: 2026-12-24}",
    (
        Key("to", ADDRESS, "Who decides in their place.", required=True),
        Key("until", DAY, "The last day on which they do.", required=True),
    ),
    made_into(Delegation),
)


def _make_people(values: dict[str, Any], node: Mapping, reading: Reading) -> Any:
    values["when_needed"] = values.pop("asked", "always") == "when needed"
    if values["when_needed"] and "owner" not in values["roles"]:
        return reading.error(node, "asked: when needed beside other roles: expected it for an owner")
    return Person(**values)


PEOPLE = MapOf(
    "people by their addresses, such as cio@example.gov: {roles: [approver]}",
    ADDRESS,
    Section(
        "what somebody may do, such as {roles: [requester], of: [DOA]}",
        (
            Key("roles", ListOf(word_of(*ROLES), 1), "What they may do.", required=True),
            Key(
                "of",
                ListOf(
                    Reference(
                        "an agency's id, a list's address or the owner that a list names", lambda names: names.audiences
                    )
                ),
                "For whom or for which data; everything where left out.",
            ),
            Key("final", FLAG, "true: a denial by them cannot be appealed."),
            Key(
                "asked", word_of("always", "when needed"), "when needed: an owner asked only where an approver says so."
            ),
            Key("delegate", _DELEGATE, "Who decides in their place, and until when."),
        ),
        _make_people,
    ),
)
