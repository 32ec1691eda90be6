"""Read people and groups of Entra ID by Microsoft Graph, with a secret or a certificate of an application.

Members are those that Graph gives as transitive: of nested groups, and of groups whose members a rule decides.
"""

from __future__ import annotations

import hashlib
import re
import ssl
import time
import uuid
from collections.abc import Mapping, Sequence
from functools import partial
from urllib.parse import quote

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import RSAKey
from joserfc.util import urlsafe_b64encode

from gatekeeper.address import is_valid
from gatekeeper.directory.loaders.cloud_people import NONE, CloudPeople, Group, texts_at
from gatekeeper.directory.loaders.https_service import HttpsService, Json, Link, NotThere
from gatekeeper.directory.loaders.ldap_entries import smtp_addresses
from gatekeeper.directory.loaders.server_cache import ServerAnswer, SourceDown
from gatekeeper.directory.loaders.text_files import DirectoryError

_GRAPH, _LOGIN = "https://graph.microsoft.com", "https://login.microsoftonline.com"
_ADDRESSES = "mail proxyAddresses"
_PAGE = 999  # the most that Graph gives at once
_ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_ASSERTION_SECONDS = 300
_CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)
_KEY = re.compile(r"-----BEGIN ((?:RSA )?PRIVATE KEY)-----.+?-----END \1-----", re.DOTALL)
_HIDDEN = "HiddenMembership"


def ask_entra(options: Mapping[str, str], secret: str, link: Link) -> ServerAnswer:
    """Return rows with address, user, agency and group; rows of lists have address and members.

    Args: `secret` is the content of `secret_file` or `certificate_file`.
    Raises SourceDown where the service cannot be asked or gives only a part, DirectoryError for a certificate that
    cannot be used.
    """
    people = CloudPeople(options)
    guests = dict[str, str]()  # key -> address: not inside, and counted as members of groups
    with HttpsService(options.get("server", _GRAPH), link, partial(_new_token, options, secret)) as graph:
        for found in graph.items(f"/v1.0/users?$top={_PAGE}&$select={_selected(options)}", "value", _next):
            _take_person(people, found, guests)
        if options.get("groups") != NONE:
            _take_groups(people, graph, guests)
    return people.answer()


def _next(page: Json) -> str:
    link = page.get("@odata.nextLink") or ""
    if "value" not in page or not isinstance(link, str):
        raise SourceDown("a page has no list value")
    return link


def _selected(options: Mapping[str, str]) -> str:
    paths = [*_addresses_of(options), *(options.get(name, "") for name in ("user", "agency", "group"))]
    names = {path.partition(".")[0] for path in paths} - {""}
    return quote(",".join(sorted({"id", "userType", "accountEnabled", *names})), safe=",")


def _addresses_of(options: Mapping[str, str]) -> list[str]:
    return options.get("address", _ADDRESSES).split()


def _take_person(people: CloudPeople, found: Json, guests: dict[str, str]) -> None:
    key = _key(found)
    texts = [text for path in _addresses_of(people.options) for text in texts_at(found, path)]
    addresses = [each for each in smtp_addresses(texts) if is_valid(each)]
    if found.get("userType") == "Guest":
        guests.update({key: addresses[0]} if addresses else {})
    elif people.options.get("enabled") != "true" or found.get("accountEnabled") is not False:
        people.add_person(key, addresses, found)


def _take_groups(people: CloudPeople, graph: HttpsService, guests: Mapping[str, str]) -> None:
    path = f"/v1.0/groups?$top={_PAGE}&$filter=mailEnabled%20eq%20true&$select=id,mail,proxyAddresses,visibility"
    hidden, groups = set[str](), list[Group]()
    for found in graph.items(path, "value", _next):
        texts = [*texts_at(found, "mail"), *texts_at(found, "proxyAddresses")]
        groups.append(Group(_key(found), tuple(smtp_addresses(texts))))
        hidden |= {_key(found)} if found.get("visibility") == _HIDDEN else set()
    known = {**people.addresses, **guests}
    for group in people.wanted(groups):
        members, unknown = _members(graph, group, known)
        if not members and group.key in hidden:
            people.notes.append(f"{group.addresses[0]} hides its members: the application needs Member.Read.Hidden")
        people.add_list(group, members, unknown)


def _members(graph: HttpsService, group: Group, known: Mapping[str, str]) -> tuple[Sequence[str], int]:
    """Return the addresses of a group's members, and how many people among them have none.

    Groups among the members are left out: whom they have is among the transitive members. So are devices.
    """
    path = f"/v1.0/groups/{quote(group.key, safe='')}/transitiveMembers?$top={_PAGE}&$select=id,mail"
    found, unknown = [], 0
    try:
        for member in graph.items(path, "value", _next):
            address = known.get(_key(member)) or next(iter(texts_at(member, "mail")), "")
            if str(member.get("@odata.type", "#microsoft.graph.user")) not in _PEOPLE:
                continue
            found += [address] if is_valid(address) else []
            unknown += not is_valid(address)
    except NotThere:  # deleted since the groups were listed
        return [], 0
    return found, unknown


_PEOPLE = ("#microsoft.graph.user", "#microsoft.graph.orgContact")


def _key(found: Json) -> str:
    key = found.get("id")
    if not isinstance(key, str) or not key:
        raise SourceDown("an entry has no id")
    return key


# -- tokens ------------------------------------------------------------------------------------------------------


def _new_token(options: Mapping[str, str], secret: str, service: HttpsService) -> str:
    tenant = options["url"].partition(":")[2]
    url = f"{options.get('login', _LOGIN)}/{tenant}/oauth2/v2.0/token"
    form = {
        "grant_type": "client_credentials",
        "client_id": options["client"],
        "scope": f"{options.get('server', _GRAPH)}/.default",
    }
    if "secret_file" in options:
        form["client_secret"] = secret
    else:
        form |= {"client_assertion_type": _ASSERTION, "client_assertion": _assertion(options, secret, url)}
    return service.token(url, form)


def _assertion(options: Mapping[str, str], pem: str, audience: str) -> str:
    """Return a statement signed with the certificate's key (RFC 7523), named by the certificate's digest."""
    certificate, key = _CERTIFICATE.search(pem), _KEY.search(pem)
    file = options["certificate_file"]
    wrong = DirectoryError([f"{file}: expected a certificate and its RSA key, without a password"])
    if certificate is None or key is None:
        raise wrong
    now = int(time.time())
    claims = {
        "aud": audience,
        "iss": options["client"],
        "sub": options["client"],
        "jti": str(uuid.uuid4()),
        "nbf": now,
        "iat": now,
        "exp": now + _ASSERTION_SECONDS,
    }
    try:
        digest = hashlib.sha256(ssl.PEM_cert_to_DER_cert(certificate[0])).digest()
        header = {"alg": "PS256", "typ": "JWT", "x5t#S256": urlsafe_b64encode(digest).decode()}
        return jwt.encode(header, claims, RSAKey.import_key(key[0]), algorithms=["PS256"])
    except (JoseError, ValueError, TypeError):
        raise wrong from None
