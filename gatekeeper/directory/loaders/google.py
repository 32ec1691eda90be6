"""Read people and groups of Google Workspace by the Directory API, as a service account in an administrator's name.

Members are those that Google gives as derived, nested groups included. A member that stands for everybody of the
account counts as all its people.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from functools import partial
from urllib.parse import quote, urlencode

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import RSAKey

from gatekeeper.address import is_valid, normalise
from gatekeeper.directory.loaders.cloud_people import NONE, CloudPeople, Group, texts_at
from gatekeeper.directory.loaders.https_service import HttpsService, Json, Link, NextPage, NotThere
from gatekeeper.directory.loaders.server_cache import ServerAnswer, SourceDown
from gatekeeper.directory.loaders.text_files import DirectoryError

_ADMIN = "https://admin.googleapis.com"
_PATH = "/admin/directory/v1"
_READS = "https://www.googleapis.com/auth/admin.directory."
_USERS, _GROUPS, _MEMBERS = "user.readonly", "group.readonly", "group.member.readonly"
_GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
_TOKEN_SECONDS = 3600
_ADDRESSES = ("aliases", "nonEditableAliases")
_EVERYBODY, _IS_GROUP = "CUSTOMER", "GROUP"


def ask_google(options: Mapping[str, str], secret: str, link: Link) -> ServerAnswer:
    """Return rows with address, user, agency and group; rows of lists have address and members.

    Args: `secret` is the content of `key_file`.
    Raises SourceDown where the service cannot be asked or gives only a part, DirectoryError for a key that cannot be
    used.
    """
    people = CloudPeople(options)
    with HttpsService(options.get("server", _ADMIN), link, partial(_new_token, options, secret)) as directory:
        everybody = _take_people(people, directory)
        if options.get("groups") != NONE:
            _take_groups(people, directory, everybody)
    return people.answer()


def _take_people(people: CloudPeople, directory: HttpsService) -> list[str]:
    """Take in all people; return the first address of each, those who are switched off included."""
    path = _listing(f"{_PATH}/users", customer="my_customer", maxResults="500", projection="full")
    everybody = list[str]()
    for found in directory.items(path, "users", _next(directory, path)):
        addresses = [*texts_at(found, "primaryEmail"), *(each for key in _ADDRESSES for each in texts_at(found, key))]
        if not addresses:
            raise SourceDown("an entry has no primaryEmail")
        everybody.append(addresses[0])
        is_off = found.get("suspended") is True or found.get("archived") is True
        if people.options.get("enabled") != "true" or not is_off:
            people.add_person(addresses[0], addresses, found)
    return everybody


def _take_groups(people: CloudPeople, directory: HttpsService, everybody: Sequence[str]) -> None:
    path = _listing(f"{_PATH}/groups", customer="my_customer", maxResults="200")
    groups = []
    for found in directory.items(path, "groups", _next(directory, path)):
        addresses = [*texts_at(found, "email"), *(each for key in _ADDRESSES for each in texts_at(found, key))]
        if not addresses:
            raise SourceDown("a group has no email")
        groups.append(Group(addresses[0], tuple(addresses)))
    own = {normalise(address) for group in groups for address in group.addresses}
    for group in people.wanted(groups):
        members = _members(directory, group, everybody)
        people.add_list(group, [each for each in members if normalise(each) not in own])


def _members(directory: HttpsService, group: Group, everybody: Sequence[str]) -> list[str]:
    """Return the addresses of a group's members, those of nested groups included."""
    path = _listing(
        f"{_PATH}/groups/{quote(group.key, safe='')}/members", includeDerivedMembership="true", maxResults="200"
    )
    found = list[str]()
    try:
        for member in directory.items(path, "members", _next(directory, path)):
            if member.get("type") == _EVERYBODY:
                found += everybody
            else:
                found += [address for address in texts_at(member, "email") if is_valid(address)]
    except NotThere:  # deleted since the groups were listed
        return []
    return found


def _listing(path: str, **parameters: str) -> str:
    return f"{path}?{urlencode(parameters)}"


def _next(directory: HttpsService, path: str) -> NextPage:
    """Return what finds the page after a page of the listing at `path`."""

    def following(page: Json) -> str:
        token = page.get("nextPageToken") or ""
        if not isinstance(token, str) or "kind" not in page:
            raise SourceDown("a page is not one of the Directory API")
        return f"{directory.server}{path}&{urlencode({'pageToken': token})}" if token else ""

    return following


# -- tokens ------------------------------------------------------------------------------------------------------


def _new_token(options: Mapping[str, str], secret: str, service: HttpsService) -> str:
    wrong = DirectoryError([f"{options['key_file']}: expected the key of a service account, as Google gives it (JSON)"])
    try:
        key = json.loads(secret)
        url, account, pem, name = (key[each] for each in ("token_uri", "client_email", "private_key", "private_key_id"))
        if not isinstance(url, str) or not url.startswith("https://"):
            raise wrong
        now = int(time.time())
        scopes = (_USERS,) if options.get("groups") == NONE else (_USERS, _GROUPS, _MEMBERS)
        claims = {
            "iss": account,
            "sub": options["subject"],
            "scope": " ".join(_READS + each for each in scopes),
            "aud": url,
            "iat": now,
            "exp": now + _TOKEN_SECONDS,
        }
        header = {"alg": "RS256", "typ": "JWT", "kid": name}
        assertion = jwt.encode(header, claims, RSAKey.import_key(pem), algorithms=["RS256"])
    except (JoseError, ValueError, TypeError, KeyError):
        raise wrong from None
    return service.token(url, {"grant_type": _GRANT, "assertion": assertion})
