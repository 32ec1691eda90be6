"""Find where a message leads: what a link says, where it really goes, and whether these are two places."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from gatekeeper.lib.immutable import immutable
from gatekeeper.message.html_tags import attributes, decoded, read_tag, tokens
from gatekeeper.message.links import normalised_host
from gatekeeper.message.shown_text import READ
from gatekeeper.message.template_links import addresses_in, urls_in
from gatekeeper.message.text_parts import TextPart

_MOST = 1_000
_MOST_TEXT = 300  # characters of what a link says


@immutable
class ShownLink:
    """A link: what it says ("" where it stands in the text as it is), where it leads, and to which host."""

    text: str
    url: str
    host: str
    differs: bool  # it says that it leads to another host


def shown_links(parts: Iterable[TextPart]) -> tuple[ShownLink, ...]:
    """Return the links of the texts of a message, each once. Never raises; linear in their size."""
    found: dict[tuple[str, str], ShownLink] = {}
    for part in parts:
        pairs = (
            _anchors(part.text[: READ[-1]]) if part.is_html else (("", url) for url in urls_in(part.text[: READ[-1]]))
        )
        for text, url in pairs:
            found.setdefault((text, url), _link(text, url))
            if len(found) == _MOST:
                return tuple(found.values())
    return tuple(found.values())


def _anchors(html: str) -> Iterator[tuple[str, str]]:
    """Yield what each anchor says and where it leads."""
    url, words = "", [""]
    for inside, text in tokens(html):
        tag = read_tag(inside)
        if tag.name == "a":
            if url:
                yield _said("".join(words)), url
            url = "" if tag.ends else "".join(decoded(attributes(inside).get("href", "")).split())
            words = []
        words.append(text)
    if url:
        yield _said("".join(words)), url


def _said(text: str) -> str:
    return " ".join(decoded(text).split())[:_MOST_TEXT]


def _link(text: str, url: str) -> ShownLink:
    host = host_of(url)
    said = {host_of(each) for each in urls_in(text)} | {each.rpartition("@")[2] for each in addresses_in(text)}
    said -= {""}
    return ShownLink(text, url, host, bool(said) and bool(host) and _bare(host) not in {_bare(each) for each in said})


def host_of(url: str) -> str:
    """Return the host that a URL leads to; for a mail address its domain, "" where there is none."""
    scheme, colon, rest = url.partition(":")
    if colon and scheme.lower() == "mailto":
        return normalised_host(rest.partition("?")[0].rpartition("@")[2]) or ""
    place = rest if colon and rest.startswith(("/", "\\")) else url
    place = place.lstrip("/\\")
    authority = place.replace("\\", "/").partition("/")[0].partition("?")[0].partition("#")[0]
    return normalised_host(authority.rpartition("@")[2].partition(":")[0]) or ""


def _bare(host: str) -> str:
    return host.removeprefix("www.")
