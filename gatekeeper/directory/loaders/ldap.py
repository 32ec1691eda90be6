"""Read a directory in LDAP: every entry that a filter finds, page by page (RFC 2696), from the server that is named."""

from __future__ import annotations

import re
import ssl
from collections.abc import Iterator, Mapping
from typing import Any

from gatekeeper.directory.loaders.ldap_entries import Entries, attributes_of
from gatekeeper.directory.loaders.server_cache import ServerAnswer, SourceDown
from gatekeeper.directory.loaders.text_files import DirectoryError

_SECONDS = 10  # to wait for each answer
_PAGE = 500  # entries; Active Directory gives at most 1,000
_PAGED, _GOOD, _REFERRAL = "1.2.840.113556.1.4.319", 0, 10
_STARTTLS = "ldap+starttls://"
# Parts of Active Directory that it always refers to, and in which there are no people.
_NO_PEOPLE = re.compile(r"/(?:DC=(?:DomainDnsZones|ForestDnsZones)|CN=(?:Configuration|Schema))\b", re.IGNORECASE)


def ask_ldap(url: str, options: Mapping[str, str], password: str) -> ServerAnswer:
    """Return rows with address, user, agency and group; rows of lists have address and members.

    Raises SourceDown where the server cannot be asked or gives only a part, DirectoryError where the library is
    missing.
    """
    try:
        import ldap3
        from ldap3.core.exceptions import LDAPException
    except ImportError:
        raise DirectoryError(["directory: ldap needs a library: pip install 'gatekeeper-mail[ldap]'"]) from None
    entries, elsewhere = Entries(attributes_of(options)), dict[str, None]()
    try:
        for found in _search(ldap3, url, options, password, entries):
            if found["type"] == "searchResEntry":
                entries.add(found["dn"], found["attributes"])
            elif found["type"] == "searchResRef":
                elsewhere |= dict.fromkeys(uri for uri in found["uri"] if not _NO_PEOPLE.search(uri))
    except (LDAPException, OSError) as error:
        raise SourceDown(str(error).splitlines()[0] if str(error) else type(error).__name__) from None
    rows = entries.rows()
    return ServerAnswer(rows, (*map(_refers, elsewhere), *entries.notes))


def _refers(uri: str) -> str:
    return f"the server refers to {uri}, which is not read: name it as a source of its own if there are people in it"


def _search(
    ldap3: Any, url: str, options: Mapping[str, str], password: str, entries: Entries
) -> Iterator[Mapping[str, Any]]:
    """Yield what the server answers. No referral is followed: the password would go to whom the server names."""
    starttls = url.startswith(_STARTTLS)
    tls = ldap3.Tls(validate=ssl.CERT_REQUIRED, ca_certs_file=options.get("ca"))
    server = ldap3.Server(
        url.replace(_STARTTLS, "ldap://") if starttls else url,
        connect_timeout=_SECONDS,
        get_info=ldap3.NONE,
        tls=tls,
        allowed_referral_hosts=[],
    )
    bind = {"user": options["bind"], "password": password} if "bind" in options else {}
    when = ldap3.AUTO_BIND_TLS_BEFORE_BIND if starttls else ldap3.AUTO_BIND_NO_TLS
    how = {"auto_bind": when, "read_only": True, "auto_referrals": False, "receive_timeout": _SECONDS}
    with ldap3.Connection(server, **bind, **how, raise_exceptions=True) as connection:
        yield from _pages(connection, options["base"], options.get("filter", entries.filter), entries.wanted)


def _pages(connection: Any, base: str, which: str, wanted: list[str]) -> Iterator[Mapping[str, Any]]:
    cookie: bytes | None = None
    while cookie is None or cookie:
        connection.search(base, which, attributes=wanted, paged_size=_PAGE, paged_cookie=cookie)
        _check(connection.result)
        yield from connection.response
        page = (connection.result.get("controls") or {}).get(_PAGED, {})
        cookie = page.get("value", {}).get("cookie") or b""


def _check(result: Mapping[str, Any]) -> None:
    """Raise SourceDown where the server gave less than there is, which the library takes for an answer."""
    if result["result"] == _REFERRAL:
        raise SourceDown(f"the server does not have the base, and refers to {', '.join(result['referrals'] or ())}")
    if result["result"] != _GOOD:
        raise SourceDown(f"the server gave only a part: {result['description']}: let the gate read all of it")
