"""Read `agencies`, `scope`, `directory`, `lists` and `people`: who belongs to the organisation, who may do what."""

from __future__ import annotations

import re
from typing import Any

from gatekeeper.rules.language.scalars import (
    ADDRESS,
    AGENCY,
    DAY,
    DURATION,
    FLAG,
    FOLDED_TEXT,
    OWN_DOMAIN,
    PATH,
    TEXT,
    WORD,
    word_of,
)
from gatekeeper.rules.language.value_types import Key, ListOf, MapOf, Reading, Reference, Section, made_into
from gatekeeper.rules.language.yaml_nodes import Mapping
from gatekeeper.rules.specs import ROLES, Agency, Delegation, DirectorySpec, ListSpec, Person

_TENANT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,254}")
_HTTPS = re.compile(r"https://[A-Za-z0-9.-]+(:[0-9]{1,5})?")

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
            Key("domains", ListOf(OWN_DOMAIN), 'Its mail domains; "*.x" for all below x.'),
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

_PEOPLE_OPTIONS = ("user", "agency", "group", "ca")
_SERVER_OPTIONS = {  # kind of server -> the options that it may have
    "ldap": ("base", "filter", "address", *_PEOPLE_OPTIONS, "members", "bind", "password_file"),
    "sql": ("query", "password_file"),
    "entra": ("client", "secret_file", "certificate_file", "address", *_PEOPLE_OPTIONS, "groups", "server", "login"),
    "google": ("subject", "key_file", *_PEOPLE_OPTIONS, "groups", "server"),
}
_DIRECTORY_KINDS = ("csv", "aliases", *_SERVER_OPTIONS)
_NEEDED = {"ldap": ("base",), "sql": ("query",), "entra": ("client",), "google": ("subject", "key_file")}
_CLOUD = ("entra", "google")
_DIRECTORY_OPTIONS = {
    "base": "Of ldap: below which entry to look.",
    "filter": "Of ldap: which entries; those with an address where left out.",
    "address": "Of ldap and entra: the attribute with the addresses, or several with blanks between; mail where left "
    "out, of entra proxyAddresses too.",
    "user": "Of ldap, entra and google: the attribute by which two addresses are one person; the first address where "
    "left out.",
    "agency": "Of ldap, entra and google: the attribute with the agency, such as department or orgUnitPath.",
    "group": "Of ldap, entra and google: the attribute with groups of senders.",
    "members": "Of ldap: the attribute with the members of a group; entries that have it are lists.",
    "groups": "Of entra and google: which groups are lists: all, where left out; none; or their addresses with blanks "
    "between.",
    "ca": "Of ldap, entra and google: a file with the certificates of the server's authority; those of the system "
    "where left out.",
    "bind": "Of ldap: the entry to log in as; nobody where left out.",
    "query": "Of sql: what to ask; its columns are address, user, agency, group, members.",
    "password_file": "Of ldap and sql: a file with the password.",
    "client": "Of entra: the application's id.",
    "secret_file": "Of entra: a file with the application's secret.",
    "certificate_file": "Of entra, in the place of a secret: a file with the application's certificate and key, PEM.",
    "subject": "Of google: the administrator in whose name the service account reads.",
    "key_file": "Of google: the key of the service account, JSON.",
    "server": "Of entra and google: where to ask; https://graph.microsoft.com or https://admin.googleapis.com where "
    "left out.",
    "login": "Of entra: where tokens come from; https://login.microsoftonline.com where left out.",
}


def _make_source(values: dict[str, Any], node: Mapping, reading: Reading) -> Any:
    kinds = [kind for kind in _DIRECTORY_KINDS if kind in values]
    if len(kinds) != 1:
        return reading.error(node, f"expected exactly one of {', '.join(_DIRECTORY_KINDS)} here")
    (kind,) = kinds
    if problem := _source_problem(kind, values):
        return reading.error(node, problem)
    options = {name: values[name] for name in _DIRECTORY_OPTIONS if name in values}
    options |= {"enabled": "true"} if values.get("enabled") else {}
    is_file = kind not in _SERVER_OPTIONS
    return DirectorySpec(
        kind,
        values[kind] if is_file else None,
        values.get("complete", False),
        values.get("age"),
        options if is_file else {**options, "url": f"{kind}:{values[kind]}" if kind in _CLOUD else values[kind]},
        values.get("refresh"),
        values.get("agencies", {}),
    )


def _source_problem(kind: str, values: dict[str, Any]) -> str:
    """Return what is wrong with the keys of a source; "" where nothing is."""
    allowed = _allowed(kind)
    if others := [name for name in values if name not in (kind, *allowed)]:
        return f"{' and '.join(others)} beside {kind}: expected {', '.join(allowed)} only"
    if missing := [name for name in _NEEDED.get(kind, ()) if name not in values]:
        return f"{kind} without {missing[0]}: expected it beside {kind}"
    if kind == "entra" and ("secret_file" in values) == ("certificate_file" in values):
        return "entra: expected exactly one of secret_file, certificate_file"
    if kind in _CLOUD and not _TENANT.fullmatch(values[kind]):
        return f"{kind}: expected a domain of the tenant, or its id"
    if wrong := [name for name in ("server", "login") if name in values and not _HTTPS.fullmatch(values[name])]:
        return f"{wrong[0]}: expected https:// and a host"
    return ""


def _allowed(kind: str) -> tuple[str, ...]:
    if kind not in _SERVER_OPTIONS:
        return ("complete", "age")
    more = (*(("agencies",) if kind != "sql" else ()), *(("enabled",) if kind in _CLOUD else ()))
    return ("complete", "age", *_SERVER_OPTIONS[kind], *more, "refresh")


DIRECTORY = ListOf(
    Section(
        "a source of the directory, such as {csv: directory.csv}",
        (
            Key("csv", PATH, "A file with the columns address, user, agency."),
            Key("aliases", PATH, "A file in Postfix alias syntax."),
            Key("ldap", TEXT, "An LDAP server: ldaps://host, ldap+starttls://host or ldap://host."),
            Key("sql", TEXT, "A database: postgresql://user@host/name or sqlite:///FILE."),
            Key("entra", TEXT, "Entra ID, by Microsoft Graph: the tenant's id, or one of its domains."),
            Key("google", TEXT, "Google Workspace, by the Directory API: a domain of the account, or its customer id."),
            Key("complete", FLAG, "true: an inside address that it does not know is unresolved."),
            Key("age", DURATION, "How old a copy may grow while the source is down."),
            Key("refresh", DURATION, "How often a server is asked again; 5m where left out, of entra and google 1h."),
            Key(
                "agencies",
                MapOf("values of the attribute agency with the ids that they are", FOLDED_TEXT, AGENCY),
                "Of ldap, entra and google: which agency a value is, such as {Department of Administration: DOA}.",
            ),
            Key("enabled", FLAG, "Of entra and google; true: accounts that are switched off are left out."),
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
