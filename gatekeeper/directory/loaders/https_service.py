"""Ask a service that answers JSON over HTTPS, page by page, with a token that is fetched where it is needed.

An answer that is not whole, a page that leads to another host and a service that keeps refusing all end a load: half a
directory would count too few people. Nothing that is raised here has a secret in it.
"""

from __future__ import annotations

import json
import ssl
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

import httpx2

from gatekeeper.directory.loaders.server_cache import SourceDown
from gatekeeper.directory.loaders.text_files import DirectoryError
from gatekeeper.lib.immutable import immutable

_SECONDS = 30.0  # for each step of a request
_LONGEST_LOAD = 1800.0  # seconds for all requests of one load, waiting included
_LONGEST_WAIT = 300.0  # that a service may ask for at once
_USUAL_WAIT = 5.0  # where it does not say how long
_MOST_WAITS = 6  # for one request
_MOST_OCTETS = 64 * 1024 * 1024  # of one answer
_MOST_ENTRIES = 5_000_000  # people, groups and members of one load, which are kept in memory
_LONGEST_REASON = 200  # characters
_OVERLOADED = (429, 503)
_SECRETS = ("client_secret", "client_assertion", "assertion")  # values of a form that nobody is told
_NOT_COMPRESSED = ("", "identity")
_QUOTA = ("rateLimitExceeded", "userRateLimitExceeded", "quotaExceeded")  # Google says so with 403

Json = dict[str, Any]
NextPage = Callable[[Json], str]  # a page -> the URL of the next one, "" after the last


@immutable
class Link:
    """How a service is reached."""

    ca: str | None = None  # a file with the certificates of its authority; None for those of the system
    transport: httpx2.BaseTransport | None = None  # in the place of the network, for tests
    clock: Callable[[], float] = time.monotonic
    wait: Callable[[float], object] = time.sleep


class NotThere(SourceDown):
    """The service says that what was asked for does not exist."""


@dataclass(slots=True)
class _Answer:
    status: int
    headers: Mapping[str, str]
    content: bytes

    def document(self) -> Json:
        """Return the JSON object; raise ValueError where the answer is none."""
        found = json.loads(self.content)
        if not isinstance(found, dict):
            raise ValueError("no JSON object")
        return found

    def reason(self, hidden: Iterable[str]) -> str:
        """Return what a refusal says, in one printable line without what is hidden."""
        try:
            error = self.document().get("error", "")
        except (ValueError, RecursionError):
            return ""
        if isinstance(error, dict):
            parts = [error.get("code"), error.get("message")]
        else:
            parts = [error, self.document().get("error_description")]
        text = ": ".join(str(part) for part in parts if part and part != self.status)
        for each in filter(None, hidden):
            text = text.replace(each, "***")
        return "".join(each if each.isprintable() else " " for each in text)[:_LONGEST_REASON].strip()

    def is_overloaded(self) -> bool:
        """Return True where the service asks to come again later."""
        return self.status in _OVERLOADED or (self.status == 403 and any(each in _text(self) for each in _QUOTA))

    def wait(self) -> float:
        """Return how many seconds the service asks to wait (RFC 9110, section 10.2.3)."""
        asked = self.headers.get("retry-after", "").strip()
        if asked.isascii() and asked.isdigit():
            return float(asked[:9])
        try:
            return max(0.0, parsedate_to_datetime(asked).timestamp() - time.time())
        except (ValueError, TypeError, OverflowError):
            return _USUAL_WAIT


def _text(answer: _Answer) -> str:
    return answer.content[:4096].decode("utf-8", "replace")


@dataclass(slots=True)
class HttpsService:
    """One service during one load. Args: `server` is its https:// origin, `new_token` fetches a token."""

    server: str
    link: Link
    new_token: Callable[[HttpsService], str]
    _client: httpx2.Client = field(init=False)
    _token: str = ""
    _entries: int = 0  # so far
    _ends: float = field(init=False)

    def __post_init__(self) -> None:
        self._client = httpx2.Client(
            headers={"Accept-Encoding": "identity"},
            timeout=_SECONDS,
            transport=self.link.transport,
            verify=_context(self.link),
            follow_redirects=False,
        )
        self._ends = self.link.clock() + _LONGEST_LOAD

    def __enter__(self) -> HttpsService:
        return self

    def __exit__(self, *error: object) -> None:
        self._client.close()

    def items(self, path: str, key: str, following: NextPage) -> Iterator[Json]:
        """Yield the objects of all pages, from `path` on; `key` is the name of the list in a page.

        Raises SourceDown where a page is not whole, leads elsewhere, or leads back.
        """
        url = self.server + path
        seen = {url}
        while url:
            page = self.get(url)
            found = _objects(page, key)
            self._entries += len(found)
            if self._entries > _MOST_ENTRIES:
                raise SourceDown(f"more than {_MOST_ENTRIES:,} entries: name the groups that are to be read")
            yield from found
            url = following(page)
            if url in seen:
                raise SourceDown("a page leads back to one that was read already")
            if url and _origin(url) != _origin(self.server):
                raise SourceDown("a page leads to another host, which is not asked")
            seen.add(url)

    def get(self, url: str) -> Json:
        """Return the object at a URL of the server. Raises SourceDown; NotThere where there is none."""
        fresh = not self._token
        answer = self._get(url)
        if answer.status == 401 and not fresh:  # expired in mid-load
            self._token = ""
            answer = self._get(url)
        return self._document(answer, urlsplit(url).path, [self._token])

    def _get(self, url: str) -> _Answer:
        if not self._token:
            self._token = self.new_token(self)
        return self._patiently("GET", url, {"Authorization": f"Bearer {self._token}"}, None)

    def token(self, url: str, form: Mapping[str, str]) -> str:
        """Return the access token that a form is answered with (RFC 6749, section 5.1)."""
        hidden = [form[name] for name in _SECRETS if name in form]
        token = self._document(self._patiently("POST", url, {}, form), "the token", hidden).get("access_token")
        if not isinstance(token, str) or not token.isascii() or not token.isprintable() or not token or " " in token:
            raise SourceDown("the answer has no token that can be used")
        return token

    def _document(self, answer: _Answer, what: str, hidden: Iterable[str]) -> Json:
        if answer.status != 200:
            kind = NotThere if answer.status == 404 else SourceDown
            reason = answer.reason(hidden)
            raise kind(f"{what}: answered {answer.status}{f' ({reason})' if reason else ''}")
        try:
            found = answer.document()
        except (ValueError, RecursionError):
            raise SourceDown(f"{what}: the answer is not whole, or no JSON") from None
        if "error" in found:
            raise SourceDown(f"{what}: answered an error ({answer.reason(hidden)})")
        return found

    def _patiently(self, method: str, url: str, headers: Mapping[str, str], form: Mapping[str, str] | None) -> _Answer:
        """Send a request, and again after each time that the service asked to wait."""
        for _ in range(_MOST_WAITS):
            answer = self._send(method, url, headers, form)
            if not answer.is_overloaded():
                return answer
            seconds = answer.wait()
            if seconds > min(_LONGEST_WAIT, self._ends - self.link.clock()):
                break
            self.link.wait(seconds)
        raise SourceDown(f"the service asks to come again later ({answer.status})")

    def _send(self, method: str, url: str, headers: Mapping[str, str], form: Mapping[str, str] | None) -> _Answer:
        self._check_time()
        try:
            with self._client.stream(method, url, headers=dict(headers), data=dict(form) if form else None) as response:
                content = self._content(response)
                return _Answer(response.status_code, response.headers, content)
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError) as error:
            raise SourceDown(f"{urlsplit(url).hostname}: {_first_line(error)}") from None
        except ValueError:  # such as a URL that cannot be written
            raise SourceDown("a page leads to what is no address") from None

    def _content(self, response: httpx2.Response) -> bytes:
        """Return the content, which nobody has compressed: a few octets may stand for more than there is memory."""
        if response.headers.get("content-encoding", "").strip().lower() not in _NOT_COMPRESSED:
            raise SourceDown("an answer is compressed, which was not asked for")
        pieces, octets = [], 0
        for piece in response.iter_bytes():
            octets += len(piece)
            if octets > _MOST_OCTETS:
                raise SourceDown("an answer is larger than 64 MB")
            self._check_time()
            pieces.append(piece)
        return b"".join(pieces)

    def _check_time(self) -> None:
        if self.link.clock() > self._ends:
            raise SourceDown(f"not read to the end within {_LONGEST_LOAD / 60:.0f} minutes")


def _context(link: Link) -> ssl.SSLContext | bool:
    try:
        return ssl.create_default_context(cafile=link.ca) if link.transport is None else True
    except OSError:
        raise DirectoryError([f"{link.ca}: expected a file with certificates (PEM)"]) from None


def _objects(page: Json, key: str) -> list[Json]:
    found = page.get(key, [])
    if not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
        raise SourceDown(f"a page has no list {key}")
    return found


def _origin(url: str) -> tuple[str, str]:
    """Return scheme and host with its port, as written; a login in a URL is part of it, and so differs."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "", url
    return parts.scheme.lower(), parts.netloc.lower().removesuffix(":443")


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:_LONGEST_REASON]
