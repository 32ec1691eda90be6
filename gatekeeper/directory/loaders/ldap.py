"""Read a directory in LDAP: every entry that a filter finds, page by page (RFC 2696)."""

from __future__ import annotations

import ssl
from collections.abc import Iterator, Mapping
from typing import Any

from gatekeeper.directory.loaders.server_cache import Rows, SourceDown
from gatekeeper.directory.loaders.text_files import DirectoryError

_SECONDS = 10  # to wait for each answer
_PAGE = 500
_STARTTLS = "ldap+starttls://"


def ask_ldap(url: str, options: Mapping[str, str], password: str) -> Rows:
    """Return rows with address, user, agency and group.

    Each value of the attribute `address` (mail), without a leading `smtp:`, is an address of the entry's person.
    Addresses belong to one person by the attribute `user`, else by the first address.

    Raises SourceDown where the server cannot be asked, DirectoryError where the library is missing.
    """
    try:
        import ldap3
        from ldap3.core.exceptions import LDAPException
    except ImportError:
        raise DirectoryError(["directory: ldap needs a library: pip install 'gatekeeper-mail[ldap]'"]) from None
    try:
        return [row for entry in _search(ldap3, url, options, password) for row in _rows(entry, options)]
    except (LDAPException, OSError) as error:
        raise SourceDown(str(error).splitlines()[0] if str(error) else type(error).__name__) from None


def _search(ldap3: Any, url: str, options: Mapping[str, str], password: str) -> Iterator[Mapping[str, Any]]:
    starttls = url.startswith(_STARTTLS)
    tls = ldap3.Tls(validate=ssl.CERT_REQUIRED)
    address = url.replace(_STARTTLS, "ldap://") if starttls else url
    server = ldap3.Server(address, connect_timeout=_SECONDS, get_info=ldap3.NONE, tls=tls)
    bind = {"user": options["bind"], "password": password} if "bind" in options else {}
    when = ldap3.AUTO_BIND_TLS_BEFORE_BIND if starttls else ldap3.AUTO_BIND_NO_TLS
    with ldap3.Connection(
        server, **bind, auto_bind=when, read_only=True, receive_timeout=_SECONDS, raise_exceptions=True
    ) as connection:
        found = connection.extend.standard.paged_search(
            options["base"],
            options.get("filter", f"({_attribute(options, 'address')}=*)"),
            attributes=sorted({_attribute(options, name) for name in ("address", "user", "agency", "group")} - {""}),
            paged_size=_PAGE,
            generator=True,
        )
        yield from (entry for entry in found if entry.get("type") == "searchResEntry")


def _attribute(options: Mapping[str, str], name: str) -> str:
    return options.get(name, "mail" if name == "address" else "")


def _rows(entry: Mapping[str, Any], options: Mapping[str, str]) -> Iterator[dict[str, str]]:
    values = {name.lower(): value for name, value in entry["attributes"].items()}

    def of(name: str) -> list[str]:
        value = values.get(_attribute(options, name).lower(), ())
        return [str(each).strip() for each in (value if isinstance(value, list | tuple) else [value]) if each]

    addresses = [_without_kind(each) for each in of("address")]
    user = next(iter(of("user") or addresses), "")
    agency, group = next(iter(of("agency")), ""), " ".join(of("group"))
    for address in addresses:
        if "@" in address:
            yield {"address": address, "user": user, "agency": agency, "group": group}


def _without_kind(address: str) -> str:
    """Return an address without its kind (proxyAddresses: SMTP:jo@example.gov); "" for kinds other than SMTP."""
    kind, colon, rest = address.partition(":")
    if not colon:
        return address
    return rest if kind.lower() == "smtp" else ""
