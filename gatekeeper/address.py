"""Mail addresses: split, normalise and check them, and find the source that a transaction's addresses name.

Counting asks whether two addresses belong to one person. So `normalise` folds whatever mail systems fold in practice,
and `envelope_origin` removes what list servers and forwarders write into a MAIL FROM for one recipient or one day.
Normalised addresses are for comparing and showing only: mail is relayed with the addresses that came in.
"""

from __future__ import annotations

import ipaddress
import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property, lru_cache

import idna

from gatekeeper.model import Mailbox

_BLANKS = " \t\r\n"
MOST_DOMAIN_OCTETS = 255  # RFC 5321 4.5.3.1.2
_LONGEST_KNOWN = 100  # characters; longer addresses are not cached
_LOCALHOST = ("localhost", "localhost.localdomain")
_LONGEST_COMPOSED = 1000  # characters; no mailbox is longer. Sorting combining marks takes quadratic time

_ATEXT = r"A-Za-z0-9!#$%&'*+/=?^_`{|}~\-"  # RFC 5322 3.2.3
_BEYOND_ASCII = r"\u00a1-\ud7ff\ue000-\U0010ffff"  # RFC 6531 3.3, without C1 controls, no-break space and surrogates
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?"

# The usual form of an address, which only needs lower case. One character class a side is three times as fast as labels
_is_plain = re.compile(r"(?!\.)[a-zA-Z0-9!#$%&'*+/=?^_`{|}~.-]++(?<!\.)@[a-zA-Z0-9.-]++(?<!\.)").fullmatch
_are_plain = re.compile(r"(?>[a-z0-9_-]++(?>\.[a-z0-9_-]++)*+@[a-z0-9-]++(?>\.[a-z0-9-]++)*+(?:\n|\Z))++").fullmatch
_ROUTE = re.compile(r"(?>@(?:\[[^\]\s]*+\]|[^\s@,:\[\"]++)(?>,@(?:\[[^\]\s]*+\]|[^\s@,:\[\"]++))*+:)++")
_ROUTE_BEFORE = re.compile(r"(?>@(?>\[[^\[\]]*+\]|[^:])*+:)++(?=.)", re.DOTALL)  # a source route as Postfix reads it
_DOT_ATOM = re.compile(rf"[{_ATEXT}{_BEYOND_ASCII}]++(?>\.[{_ATEXT}{_BEYOND_ASCII}]++)*+")
_QUOTED = re.compile(rf'"(?>[ !#-\[\]-~{_BEYOND_ASCII}]|\\[ -~])*+"')  # RFC 5321 4.1.2 Quoted-string, RFC 6531 3.3
_QUOTED_LOOSELY = re.compile(r'"(?>[^"\\]|\\.)*+"', re.DOTALL)
_PAIR = re.compile(r"\\(.)", re.DOTALL)
_SPECIAL = re.compile(r'(["\\])')
_ASCII_DOMAIN = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")


# -- one address -------------------------------------------------------------------------------------------------


def split(address: str) -> tuple[str, str]:
    """Split an address into local part and domain, each as written; the domain is "" where there is none.

    A source route (RFC 5321 appendix C) is dropped. Percent and bang forms stay in the local part (`routing_targets`).
    """
    address = address.strip(_BLANKS)
    if address.startswith("@") and (route := _ROUTE.match(address)):
        address = address[route.end() :].strip(_BLANKS)
    if address.rstrip(_BLANKS + ".").endswith('"'):  # a quoted local part that stands alone, with or without an @ in it
        return address, ""
    local, at, domain = address.rpartition("@")
    return (local, domain) if at else (address, "")


def normalise(address: str, internal: bool = False) -> str:
    """Return the form that all spellings of one mailbox share. Normalising the result again changes nothing.

    The domain becomes lower case and A-labels (RFC 5890 2.3.2.1, mapped by UTS 46), without a trailing dot. The local
    part gets its case folded (RFC 5321 2.4 lets hosts tell cases apart; in practice none do), its needless quotes
    removed, and is put into NFC (RFC 6532 3.1).

    Args: `address` as written; "" gives "". `internal` also cuts `+tag` (RFC 5233), as our own mail hosts do.
    """
    return _known(address, internal) if len(address) <= _LONGEST_KNOWN else _normalise(address, internal)


def _normalise(address: str, internal: bool) -> str:
    if ".." in address or not _is_plain(address):
        return _normalise_unusual(address, internal)
    lower = address.lower()
    if internal and "+" in lower:
        local, _, domain = lower.partition("@")
        return f"{_quoted_if_needed(_untagged(local))}@{domain}"
    return lower


_known = lru_cache(maxsize=8_192)(_normalise)  # one message names its sender many times


class Addresses(tuple[str, ...]):
    """Addresses as written, which are normalised once, when that is first asked for; plain ones all in one step."""

    @cached_property
    def normalised(self) -> Sequence[str]:
        """`normalise` of each address, in order."""
        return [normalise(address) for address in self] if self._plain is None else self._plain

    @property
    def are_plain(self) -> bool:
        """True where all are ordinary: letters, digits, dots and hyphens before and behind one @, no name of a host."""
        return self._plain is not None

    @cached_property
    def _plain(self) -> Sequence[str] | None:
        joined = "\n".join(self)
        if not joined.isascii() or joined.count("\n") != len(self) - 1:
            return None
        lower = joined.lower()
        return lower.split("\n") if _are_plain(lower) and "@localhost" not in lower else None


def _normalise_unusual(address: str, internal: bool) -> str:
    local, domain = split(address)
    name = _unquoted(local)
    name = _fold(_untagged(name) if internal else name)
    domain = normalise_domain(domain)
    if not domain:
        return _quoted_if_needed(name) if name else ""
    return f"{_quoted_if_needed(name)}@{domain}"


def normalise_domain(domain: str) -> str:
    """Return the form that all spellings of one domain share: lower case, A-labels, no trailing dot, literals alike."""
    domain = domain.strip(_BLANKS).rstrip(_BLANKS + ".")
    if domain.startswith("["):
        return _normalise_literal(domain.lower())
    # Text too long for a domain is not converted: an attacker must not cause work or fill the cache.
    if domain.isascii() or len(domain) > MOST_DOMAIN_OCTETS:
        return domain.lower()
    return _a_labels(domain) or _a_labels(domain.lower()) or domain.lower()


def routing_targets(local: str) -> tuple[tuple[str, str], ...]:
    """Return the addresses that a local part routes to: (local part, domain), as mail servers may read them.

    A local part routes by `user%domain`, `domain!user` and, in quotes or not, `user@domain`. What Postfix drops is
    dropped: quotes, escapes, a source route, operators without an operand, blanks in a domain. A local part with both
    `!` and `%` has two readings, Postfix's first. The last reading of one with a source route is what stands behind the
    route, with the domain "": it stays at the domain that was taken off.

    Returns () for a local part that does not route. The domain is normalised; the local part is not, and may route
    again.
    """
    local = local.strip(_BLANKS)
    name = _PAIR.sub(r"\1", local) if "\\" in local and not local.startswith('"') else _unquoted(local)
    name = name.strip(_BLANKS).rstrip("@%" + _BLANKS).lstrip("!")
    route = _ROUTE_BEFORE.match(name)
    return (*_readings(name[route.end() :]), (name[route.end() :], "")) if route else _readings(name)


def _readings(name: str) -> tuple[tuple[str, str], ...]:
    """Return what `routing_targets` says of a local part that has no quotes and no source route any more."""
    if "@" in name:
        user, _, domain = name.rpartition("@")
        found = [(user, domain)]
    else:
        (host, bang, user), (left, percent, right) = name.partition("!"), name.rpartition("%")
        found = ([(user, host)] if bang else []) + ([(left, right)] if percent else [])
    return tuple((user, normalise_domain(_compact(domain))) for user, domain in found if user.strip(_BLANKS))


def _compact(domain: str) -> str:
    """Return the domain without the quotes and blanks in it."""
    return "".join(domain.replace('"', "").split())


def join(local: str, domain: str) -> str:
    """Return the normalised address of a local part, quoted or not, and a domain."""
    return _mailbox(_unquoted(local.strip(_BLANKS)), domain)


def _mailbox(name: str, domain: str) -> str:
    return normalise(f"{_quoted_if_needed(name)}@{domain}")


def is_literal(domain: str) -> bool:
    """Return True for a domain in brackets, whether or not an IP address stands in them."""
    return domain.startswith("[") and domain.endswith("]")


def is_loopback(domain: str) -> bool:
    """Return True for `localhost` and for loopback and unspecified literals. Args: `domain` is normalised."""
    if domain in _LOCALHOST:
        return True
    ip = _ip_address(domain[1:-1]) if is_literal(domain) else None
    ip = getattr(ip, "ipv4_mapped", None) or ip
    return ip is not None and (ip.is_loopback or ip.is_unspecified)


def is_valid(address: str) -> bool:
    """Return True for a Mailbox of RFC 5321 4.1.2 (with RFC 6531 3.3 for SMTPUTF8), without brackets or source route.

    The length of a local part is not checked: 64 octets is only what every host must take (RFC 5321 4.5.3.1), and
    VERP addresses are longer. A domain has at most 255 octets, a label at most 63.
    """
    local, at, domain = address.rpartition("@")
    if not at or not (_DOT_ATOM.fullmatch(local) or _QUOTED.fullmatch(local)):
        return False
    return is_valid_domain(domain)


def is_valid_domain(domain: str) -> bool:
    """Return True for a Domain or address-literal of RFC 5321 4.1.2, or a domain with U-labels (RFC 6531 3.3)."""
    if len(domain) > MOST_DOMAIN_OCTETS:
        return False
    if domain.startswith("["):
        return domain.endswith("]") and _ip_address(domain[1:-1]) is not None
    ascii_domain = domain if domain.isascii() else _a_labels(domain)
    if not _ASCII_DOMAIN.fullmatch(ascii_domain) or len(ascii_domain) > MOST_DOMAIN_OCTETS:
        return False
    return all(len(label) <= 63 for label in ascii_domain.split("."))


def _untagged(local: str) -> str:
    name, _, _ = local.partition("+")
    return name or local


def _fold(local: str) -> str:
    if local.isascii():
        return local.lower()
    if len(local) > _LONGEST_COMPOSED:
        return local.casefold()
    folded = unicodedata.normalize("NFC", unicodedata.normalize("NFD", local).casefold())
    # A second time, because composing may leave a letter that folds again (Unicode 5.18, on caseless matching).
    return unicodedata.normalize("NFC", unicodedata.normalize("NFD", folded).casefold())


def _unquoted(local: str) -> str:
    return _PAIR.sub(r"\1", local[1:-1]) if _QUOTED_LOOSELY.fullmatch(local) else local


def _quoted_if_needed(name: str) -> str:
    if _DOT_ATOM.fullmatch(name):
        return name
    return '"' + _SPECIAL.sub(r"\\\1", name) + '"'


@lru_cache(maxsize=4096)
def _a_labels(domain: str) -> str:
    """Return the domain in A-labels, "" where no such form exists."""
    try:
        return idna.encode(domain, uts46=True).decode("ascii").rstrip(".")
    except UnicodeError:  # the base class of idna.IDNAError
        return ""


def _ip_address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """Return the IP address that an address literal holds (RFC 5321 4.1.3); None for text that is no IP address."""
    try:
        if text[:5].lower() == "ipv6:":
            return ipaddress.IPv6Address(text[5:])
        return ipaddress.IPv4Address(text)
    except ValueError:
        return None


def _normalise_literal(literal: str) -> str:
    ip = _ip_address(literal[1:-1]) if literal.endswith("]") else None
    if ip is None:
        return literal
    return f"[ipv6:{_ipv6_text(ip)}]" if isinstance(ip, ipaddress.IPv6Address) else f"[{ip}]"


def _ipv6_text(ip: ipaddress.IPv6Address) -> str:
    """Return an address as Python 3.11 writes it: from 3.13 on a mapped one has dots, and would be another name."""
    if ip.ipv4_mapped is None:
        return str(ip)
    number = int(ip.ipv4_mapped)
    return f"::ffff:{number >> 16:x}:{number & 0xFFFF:x}"


# -- the envelope sender -----------------------------------------------------------------------------------------

_HOST = r'[^\s=@"\[\]]+\.[^\s=@"\[\].]+'

# BATV, draft-levine-smtp-batv: prvs=KDDDSSSSSS=user, in older drafts prvs=user/KDDDSSSSSS. msprvs1=tag=user is Message
# Systems' form of it, btv1==tag==user Barracuda's.
_BATV = re.compile(r"(?:prvs|msprvs1)=[^=]+=(.+)|btv1==[^=]+==(.+)|prvs=([^=]+)/[^=/]+")

# SRS, http://www.open-spf.org/srs/srs.pdf and Mail::SRS::Guarded: SRS0=hash=day=domain=user, at a second forwarder
# SRS1=hash=forwarder==hash=day=domain=user; the separator after SRS0, and what SRS1 kept of it, is one of = + -.
# Exchange Online writes bounces+SRS=hash=day=domain=user.
_SRS = re.compile(rf"(?:srs0[=+-]|srs1[=+-][^=]+=[^=]+=[=+-]|[^+]+\+srs=)[^=]+=[^=]+=(?P<domain>{_HOST})=(?P<name>.+)")

_SRS_LEFT = re.compile(r'"?(?:srs[01][=+-]|[^+@]*\+srs=)')

# VERP, https://cr.yp.to/proto/verp.txt: owner-list-user=domain. Postfix (VERP_README), Mailman (VERP_FORMAT) write
# owner-list+user=domain; ezmlm (ezmlm-send) list-return-123-user=domain; Sympa bounce+user==a==domain==list.
_VERP = re.compile(rf"(?P<head>.+)={_HOST}")
_VERP_SYMPA = re.compile(r"[^+]+\+[^=]+==a==[^=]+==(?P<list>[^=]+)(?:==[a-z])?")
_LIST_ENDS = re.compile(r"(?:^|-)(?:return|bounces?|errors?)(?=-)|.(?=-[0-9]+-)")  # in list-return-123-user
_COUNTER_REVERSED = re.compile(
    r"(?>[0-9]++-)*+"
)  # ezmlm numbers its messages, others their mailings; read from the end
_OWNER = "owner-"


def envelope_origin(mail_from: str, recipients: Sequence[str]) -> str:
    """Return the original sender of a MAIL FROM, normalised: VERP, BATV and SRS are removed, in any order.

    The VERP senders that one list makes for its recipients all give the same result.

    Args: `recipients` are the envelope's; they show where the list's name ends and a recipient's begins. Where none
    matches (mail that was aliased after the list) the usual marks of list servers show it, else the first `+` or `-`.
    Returns "" for the null reverse-path.
    """
    origin = normalise(mail_from)
    if "=" not in origin:
        return origin
    endings = tuple(_verp_endings(recipients))
    while (shorter := _without_layer(origin, endings)) != origin:
        origin = shorter
    return origin


def names_somebody(origin: str) -> bool:
    """Return False for "", and for an SRS address that no longer holds the original (`bounces+SRS=44ldt=IX@`).

    Args: `origin` is what `envelope_origin` returned.
    """
    return bool(origin) and not _SRS_LEFT.match(origin)


def _without_layer(origin: str, endings: Iterable[str]) -> str:
    """Return `origin` with one layer of BATV, SRS or VERP removed; `origin` itself where it has none."""
    local, domain = split(origin)
    name = _unquoted(local)
    if batv := _BATV.fullmatch(name):
        return _mailbox(batv[1] or batv[2] or batv[3], domain)
    if srs := _SRS.fullmatch(name):
        return _mailbox(srs["name"], srs["domain"])
    return _mailbox(_without_verp(name, endings) or name, domain)


def _without_verp(name: str, endings: Iterable[str]) -> str:
    """Return the list's own part of a VERP local part, "" for a local part that is not VERP."""
    if sympa := _VERP_SYMPA.fullmatch(name):
        return sympa["list"]
    if known := max((end for end in endings if name.endswith(end)), key=len, default=""):
        return _without_counter(name[: -len(known)].partition("+")[0])
    verp = _VERP.fullmatch(name)
    return _guessed_list(verp["head"]) if verp else ""


def _without_counter(name: str) -> str:
    """Return the name without the numbers at its end, each of which follows a hyphen."""
    counter = _COUNTER_REVERSED.match(name[::-1])
    return name[: len(name) - counter.end()] if counter else name


def _verp_endings(recipients: Sequence[str]) -> Iterator[str]:
    for local, domain in map(split, map(normalise, recipients)):
        yield f"+{_unquoted(local)}={domain}"
        yield f"-{_unquoted(local)}={domain}"


def _guessed_list(head: str) -> str:
    """Return the list's part of `list-user` or `list+user`, by the marks that list servers leave."""
    if "+" in head:
        return head.partition("+")[0]
    if mark := _LIST_ENDS.search(head):
        return head[: mark.end()]
    owner = _OWNER if head.startswith(_OWNER) else ""
    name, dash, _ = head[len(owner) :].partition("-")
    return owner + name if dash else ""


# -- the source --------------------------------------------------------------------------------------------------


def source(
    login: str | None, author: Iterable[Mailbox], mail_from: str, recipients: Sequence[str], login_domain: str = ""
) -> str:
    """Return the sender's mailbox: the login's, else the first of From, else `envelope_origin`; "" where none is named.

    A login without a domain gets `login_domain`, else the domain of the From mailbox with the same local part, else
    stays without one. `CORP\\jdoe` is jdoe. The mailbox is normalised; aliases are the directory's matter.
    """
    authors = [mailbox.address for mailbox in author if mailbox.address.strip()]
    if login and login.strip():
        return _login_mailbox(login, authors, login_domain)
    return normalise(authors[0]) if authors else envelope_origin(mail_from, recipients)


def _login_mailbox(login: str, authors: Sequence[str], login_domain: str) -> str:
    mailbox = normalise(login.rpartition("\\")[2] or login)
    if split(mailbox)[1]:
        return mailbox
    if login_domain:
        return normalise(f"{mailbox}@{login_domain}")
    same = (address for address in map(normalise, authors) if split(address)[0] == mailbox)
    return next(same, mailbox)
