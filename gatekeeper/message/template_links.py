"""Find all that a text leads to, of every scheme, in the form that the copies of a template share.

A link is bound by scheme, user, host, port and path. Values behind `?` and `#` vary from copy to copy, and so does the
`+tag` of a mailto; but a host or an address inside of them is a link of its own, however it is encoded there.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Iterable, Iterator
from hashlib import blake2b
from urllib.parse import unquote

from gatekeeper.address import normalise
from gatekeeper.message.links import normalised_host

_LONGEST = 2_000  # characters of a link that are taken apart; of a longer one the digest counts
_DECODED = 3  # times that a value is decoded from percent-encoding
_MOST_INSIDE = 200  # links and hosts inside one link
_DOTS = str.maketrans("。．｡․", "....")
_REMOVED = re.compile(r"[\t\r\n]")  # by browsers, from within a URL
_TRAILING = "/.,;:!?)]}'\"\\…”’»"

_LABEL = r"[^\W_](?:[\w-]{0,61}[^\W_])?"
_HOST = rf"(?:{_LABEL}\.)+[^\W\d_]{{2,24}}"
_URL = re.compile(
    r"""(?:(?<![a-z0-9+.-])[a-z][a-z0-9+.-]{1,20}:[/\\]{2}|(?<![a-z0-9+.-])(?:mailto|tel|sms|callto|fax|sips?|xmpp|geo):"""
    r"""|(?<![:/\\\w])[/\\]{2}(?=[\w\[]))[^\s<>"']+""",
    re.I,
)
_BARE = re.compile(rf"(?<![\w@.-]){_HOST}(?!\.?[\w-])(?:[:/?#][^\s<>\"']*+)?")
_ADDRESS = re.compile(rf"(?<![\w.+%=&'~-])[\w.+%=&'~-]++@{_HOST}(?![\w-])")
_SCHEME = re.compile(r"\s*([a-z][a-z0-9+.-]{1,20}):", re.I)
_SPECIAL = re.compile(r"(?:https?|ftp|wss?):[/\\]*", re.I)  # browsers take any number of slashes, none as well
_PLACE = re.compile(r"([^/\\?#]*+)([^?#]*+)", re.DOTALL)
_SEPARATORS = re.compile(r"%[0-9a-f]{2}|[=&;]", re.I)  # what is left of encoding, and between values
_BETWEEN = re.compile(r"[,;]")
_HOST_ENDS = re.compile(r"[/\\?#&]")
_PORT = re.compile(r":\d{0,5}\Z")
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]{12,}={0,2}")
_ORDINARY = re.compile(r"[a-z]\.[a-z]{3,24}")  # an initial and a name, "J.Smith", and few hosts
_SHORT_HOSTS = frozenset({"com", "org", "net", "gov", "edu", "mil", "info", "biz"})
_DIALLED = frozenset({"tel", "sms", "callto", "fax"})
_MAIL = "mailto"
_INSIDE_THE_MESSAGE = frozenset({"cid", "mid"})


def links_in_text(text: str) -> tuple[list[str], str]:
    """Return the links of a text, and the text with each written as one word: what varies in it is no word.

    Args: `text` is as it is shown, entities decoded.
    """
    found: list[str] = []

    def taken(match: re.Match[str]) -> str:
        link = list(link_of(match[0].rstrip(_TRAILING)))
        found.extend(link)
        return f" {link[0]} " if link else match[0]

    rest = _URL.sub(taken, text.translate(_DOTS))
    for bare in _BARE.finditer(rest):  # a host without a scheme
        if not _is_initial(bare[0]):
            found.extend(_web("", bare[0].rstrip(_TRAILING)))
    return found, rest


def urls_in(text: str) -> Iterator[str]:
    """Yield the links of a text as they are written, each once: of every scheme, and hosts without one."""
    rest = text.translate(_DOTS)
    found = [match[0].rstrip(_TRAILING) for match in _URL.finditer(rest)]
    bare = (match[0].rstrip(_TRAILING) for match in _BARE.finditer(_URL.sub(" ", rest)) if not _is_initial(match[0]))
    yield from dict.fromkeys([*found, *bare])


def addresses_in(text: str) -> Iterator[str]:
    """Yield the mail addresses of a text, normalised, without their tags."""
    if "@" in text:
        yield from (_untagged(match[0]) for match in _ADDRESS.finditer(text.translate(_DOTS)))


def link_of(url: str) -> Iterator[str]:
    """Yield what a URL leads to, and what is inside of its varying values; nothing for what leads nowhere.

    A relative URL leads to a place of the page's own `<base>`, which is a link itself.
    """
    url = _REMOVED.sub("", url).strip("\0\x01 \t\r\n\f").translate(_DOTS)
    if len(url) > _LONGEST:
        yield f"long:{blake2b(url.encode('utf-8', 'replace'), digest_size=16).hexdigest()}"
        return
    scheme = _SCHEME.match(url)
    kind = scheme[1].lower() if scheme else ""
    if special := _SPECIAL.match(url):
        yield from _web("" if kind in ("http", "https") else f"{kind}://", url[special.end() :])
    elif url[:2] in ("//", "\\\\", "/\\", "\\/"):
        yield from _web("", url.lstrip("/\\"))
    elif kind == _MAIL:
        yield from _mail(url[len(kind) + 1 :])
    elif kind in _DIALLED:
        yield f"{kind}:{''.join(filter(str.isalnum, url[len(kind) + 1 :].partition('?')[0]))}"
        yield from _inside(url.partition("?")[2])
    elif kind and kind not in _INSIDE_THE_MESSAGE:
        yield from _other(kind, url[len(kind) + 1 :])


def _web(scheme: str, rest: str) -> Iterator[str]:
    place = _PLACE.match(rest)
    assert place is not None  # takes any text
    user, at, host = place[1].rpartition("@")
    port = _PORT.search(host)
    known = normalised_host(host[: port.start()] if port else host)
    if known:
        shown_port = port[0] if port and port[0] not in (":", ":80", ":443") else ""
        yield f"{scheme}{user}{at}{known}{shown_port}{place[2].replace(chr(92), '/').rstrip(_TRAILING)}"
    yield from _inside(rest[place.end() :])


def _mail(rest: str) -> Iterator[str]:
    to, _, query = rest.partition("?")
    for each in _BETWEEN.split(unquote(to)):
        if each.strip():
            yield f"mailto:{_untagged(each.strip())}"
    yield from _inside(query)


def _other(scheme: str, rest: str) -> Iterator[str]:
    """Yield a link of any other scheme; of one that is a program or a document in itself, the digest."""
    if scheme in ("data", "javascript", "vbscript", "blob"):
        yield f"{scheme}:{blake2b(rest.encode('utf-8', 'replace'), digest_size=16).hexdigest()}"
        return
    place, _, query = rest.partition("?")
    yield f"{scheme}:{place.rstrip(_TRAILING)}"
    yield from _inside(query)


def _inside(varying: str) -> Iterator[str]:
    """Yield the hosts and addresses inside of what varies, each once."""
    found = dict.fromkeys(each for form in _decoded(varying) for each in _hosts(form)) if varying else {}
    yield from sorted(found)[:_MOST_INSIDE]


def _hosts(value: str) -> Iterator[str]:
    text = _SEPARATORS.sub(" ", value)
    for match in _URL.finditer(text):
        scheme = _SCHEME.match(match[0])
        rest = match[0][scheme.end() :] if scheme else match[0]
        if scheme is None or scheme[1].lower() not in (_MAIL, *_DIALLED):
            host = _HOST_ENDS.split(rest.lstrip("/\\"), maxsplit=1)[0].rpartition("@")[2]
            yield f"inside:{normalised_host(_PORT.sub('', host))}"
    yield from (f"inside:{address}" for address in addresses_in(text))
    for bare in _BARE.finditer(text):
        host = _HOST_ENDS.split(bare[0], maxsplit=1)[0].partition(":")[0]
        if not _is_initial(host):
            yield f"inside:{normalised_host(host)}"


def _decoded(text: str) -> Iterator[str]:
    """Yield the values of a query decoded from percent-encoding, and what stands in base64 in them."""
    for _ in range(_DECODED):
        text = unquote(text)
    yield text
    yield from filter(None, map(_from_base64, _BASE64.findall(text)))


def _from_base64(text: str) -> str:
    """Return what a value says in base64, "" where that is no readable text."""
    plain = text.rstrip("=").translate(str.maketrans("-_", "+/"))
    try:
        octets = binascii.a2b_base64(plain[: len(plain) - (len(plain) % 4 == 1)] + "==")
    except binascii.Error:
        return ""
    said = octets.decode("ascii", "ignore")
    return said if len(said) == len(octets) and said.isprintable() and "." in said else ""


def _untagged(address: str) -> str:
    local, at, domain = address.rpartition("@")
    return normalise(f"{local.partition('+')[0] or local}{at}{domain}")


def _is_initial(written: str) -> bool:
    return _ORDINARY.fullmatch(written.lower()) is not None and written.lower()[2:] not in _SHORT_HOSTS


def form_of(url: str) -> Iterable[str]:
    """Return where a form sends what is filled in; a form without a target has one, too: the page itself."""
    return [f"form:{link}" for link in link_of(url)] or ["form:"]
