"""Take a shown text apart for comparison with an approved one: every word in order, and where it leads.

Nothing that a mail program may show is left out: hidden text, comments (some programs show conditional ones) and texts
in attributes are words as well. A word of HTML is known together with the styling around it, so that to show what was
hidden, or to hide what was shown, changes words. What varies in links is no word.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import blake2b

from gatekeeper.lib.immutable import immutable
from gatekeeper.message.html_tags import VOID, decoded, names
from gatekeeper.message.template_links import addresses_in, form_of, link_of, links_in_text
from gatekeeper.message.text_normalisation import fold
from gatekeeper.message.words import UNSPACED
from gatekeeper.model import WORD_OCTETS

MOST_WORDS = 20_000  # of one message; a longer one cannot be bound to a template
_DEEPEST = 100  # elements inside each other whose end is looked for

# A long run of letters counts as several words, and each character of a script without spaces and each symbol as one.
_WORDS = re.compile(rf"[^\W_{UNSPACED}]{{1,12}}|[^\s\w!\"'(),./:;?\[\]{{}}…-]|[{UNSPACED}]")
_PIECE = 1_000  # characters folded at once: sorting combining marks takes quadratic time
_LONGEST_KNOWN = 60  # characters; longer tokens are not cached

_DATES = re.compile(
    r"\b(?:(?:19|20)\d\d[./-]\d{1,2}[./-]\d{1,2}|\d{1,2}[./-]\d{1,2}[./-](?:19|20)\d\d"
    r"|(?:19|20)\d\d[01]\d[0-3]\d(?:T\d{6}Z?)?)\b"
)
_NUMBER = re.compile(r"\d(?:[ \xa0()./-]{0,3}\d){7,}")  # an account, a card, a telephone: eight digits or more
_CODE = re.compile(r"(?<![^\W_])(?=[a-z]{0,64}\d)(?=\d{0,64}[a-z])[a-z0-9]{16,}(?![^\W_])", re.I)

_ATTRIBUTE = r"""[^\s/>][^\s/>=]*+(?>\s*+=\s*+(?>"[^"]*+"|'[^']*+'|[^\s>"'][^\s>]*+)?+)?+"""
_MARKUP = re.compile(
    rf"""<!--(?:-?>|(?P<comment>.*?)(?:--!?>|\Z))|<(?P<end>/?)(?P<tag>[a-z][^\s/>]*+)(?P<attributes>(?>[\s/]++|{_ATTRIBUTE})*+)>?"""
    r"""|<[!?/][^>]*+>?""",
    re.I | re.DOTALL,
)
_FOREIGN = re.compile(r"<!\[CDATA\[|<(?:svg|math)", re.I)  # markup that is read by other rules (HTML 13.2.6.5)
_SHOWS_MARKUP = re.compile(r"attr|\\[0-9a-f]", re.I)  # a style that shows attributes, or spells that in escapes
_END = re.compile(r"</([a-z]{1,9})", re.I)
_ATTRIBUTES = re.compile(
    r"""([^\s/>][^\s/>=]*+)(?>\s*+=\s*+(?>"([^"]*+)"|'([^']*+)'|([^\s>"'][^\s>]*+))?+)?+""", re.DOTALL
)


_STYLES = names("style script")
_RAW = names("title textarea xmp iframe noembed noframes plaintext")  # shown, if at all, as it stands
_VOID = VOID - names("basefont")  # what it says of color and size goes on behind it
_CLOSES_ITSELF = names("p li tr td th option dt dd")
_LEADING = names(
    "href src action formaction background data poster cite longdesc codebase ping xlink:href lowsrc dynsrc"
)
_SAID = names("alt title value placeholder label summary aria-label content")
_STYLING = names("style class id hidden color bgcolor size dir width height align type")
_SHAPING = names("del s strike noscript template textarea select bdo font details small sup sub a form")


@immutable
class ShownText:
    """What one part says."""

    words: bytes  # hashes, in order
    spelled: tuple[str, ...]  # the same words
    links: frozenset[str]
    tokens: frozenset[str]  # numbers like those of accounts, and mail addresses
    styles: str = ""  # text of styles and scripts
    whole: bool = True  # False where there are more words than are read


@dataclass(slots=True)
class _Text:
    """A text that is being read."""

    room: int
    words: list[bytes] = field(default_factory=list)
    spelled: list[str] = field(default_factory=list)
    links: set[str] = field(default_factory=set)
    tokens: set[str] = field(default_factory=set)
    shown: list[str] = field(default_factory=list)
    styles: list[str] = field(default_factory=list)
    whole: bool = True

    def add(self, text: str, context: bytes) -> None:
        """Add a text that is shown in one styling."""
        if not self.whole or not text or text.isspace():
            return
        found, plain = links_in_text(text)
        self.links.update(found)
        for word in split_words(plain):
            if len(self.words) >= self.room:
                self.whole = False
                return
            self.words.append(_hashed(word, context))
            self.spelled.append(word)
        self.shown.append(text)

    def finished(self) -> ShownText:
        together = " ".join(self.shown)
        tokens = {*self.tokens, *_accounts(together), *addresses_in(together)}
        styles = "\n".join(self.styles)
        self.links.update(links_in_text(styles)[0])
        return ShownText(
            b"".join(self.words), tuple(self.spelled), frozenset(self.links), frozenset(tokens), styles, self.whole
        )


def plain_text(text: str, room: int) -> ShownText:
    """Read a plain text of at most `room` words."""
    read = _Text(room)
    read.add(text, b"")
    return read.finished()


def split_words(text: str) -> Iterator[str]:
    """Yield the folded words of a text."""
    for token in text.split():
        if len(token) <= _LONGEST_KNOWN:
            yield from _known_words(token)
        else:
            yield from _WORDS.findall("".join(fold(token[at : at + _PIECE]) for at in range(0, len(token), _PIECE)))


@lru_cache(maxsize=8_192)
def _known_words(token: str) -> tuple[str, ...]:
    return tuple(_WORDS.findall(fold(token)))


@lru_cache(maxsize=16_384)
def _hashed(word: str, context: bytes) -> bytes:
    return blake2b(word.encode("utf-8", "replace"), key=context, digest_size=WORD_OCTETS).digest()


def _accounts(text: str) -> Iterator[str]:
    """Yield numbers like those of accounts, cards and telephones; a date is none."""
    undated = _DATES.sub(" x ", text)
    for number in _NUMBER.findall(undated):
        yield "".join(str(int(each)) for each in number if each.isdecimal())
    yield from (code.lower() for code in _CODE.findall(undated))


# -- HTML --------------------------------------------------------------------------------------------------------


@immutable
class _Element:
    tag: str
    context: bytes  # a digest of the styling of this element and those around it


def html_text(html: str, room: int) -> ShownText:
    """Read an HTML text of at most `room` words, with its styles and scripts."""
    reader = _Html(_Text(room))
    reader.read(html)
    if _FOREIGN.search(html) or any(map(_SHOWS_MARKUP.search, reader.text.styles)):
        reader.text.styles.append(html)  # any of the markup may be shown: it is compared as it stands
    return reader.text.finished()


@dataclass(slots=True)
class _Html:
    text: _Text
    open: list[_Element] = field(default_factory=lambda: [_Element("", b"")])

    def read(self, html: str) -> None:
        at = 0
        while markup := _MARKUP.search(html, at):
            self._say(html[at : markup.start()])
            at = markup.end()
            if markup["tag"]:
                at = self._tag(html, markup, at)
            elif markup["comment"]:
                self._comment(markup["comment"])
            else:
                self.text.add(decoded(markup[0]), b"comment")
        self._say(html[at:])

    def _say(self, text: str) -> None:
        self.text.add(decoded(text) if "&" in text else text, self.open[-1].context)

    def _comment(self, inner: str) -> None:
        """Read a comment as a text of its own: some programs show conditional ones."""
        _Html(self.text, [_Element("", b"comment")]).read(inner.replace("<!", " "))

    def _tag(self, html: str, markup: re.Match[str], at: int) -> int:
        """Take a tag; return where the text goes on."""
        tag = markup["tag"].lower()
        if markup["end"]:
            self._close(tag)
            return at
        pairs = [(name.lower(), decoded(a or b or c)) for name, a, b, c in _ATTRIBUTES.findall(markup["attributes"])]
        self._open(tag, pairs)
        if tag in _STYLES or tag in _RAW:
            return self._raw(html, tag, at)
        return at

    def _raw(self, html: str, tag: str, at: int) -> int:
        """Take what stands up to the end of an element that holds no markup."""
        end = next((end.start() for end in _END.finditer(html, at) if end[1].lower() == tag), len(html))
        inner = html[at:end]
        if tag in _STYLES:
            self.text.styles.append(" ".join(inner.split()))
        else:
            self._say(inner)
            if "&" in inner:  # in some of these elements an entity is shown as it stands
                self.text.add(inner, self.open[-1].context)
        return at + len(inner)

    def _open(self, tag: str, pairs: list[tuple[str, str]]) -> None:
        around = self.open[-1]
        if tag in _CLOSES_ITSELF and around.tag == tag:
            self.open.pop()
            around = self.open[-1]
        links = list(_leading(tag, pairs))
        self.text.links.update(links)
        styling = [f"{name}={' '.join(value.split())}" for name, value in pairs if name in _STYLING]
        context = around.context
        if styling or tag in _SHAPING:
            context = _within(context, tag, (*sorted(styling), *(sorted(links) if tag == "a" else ())))
        for name, value in pairs:
            self._attribute(name, value, context)
        if tag in _VOID:
            return
        if len(self.open) <= _DEEPEST:
            self.open.append(_Element(tag, context))
        else:  # all that follows stands in it
            self.open[-1] = _Element(self.open[-1].tag, context)

    def _attribute(self, name: str, value: str, context: bytes) -> None:
        if name in _SAID:
            self.text.add(value, context)
        elif name not in _LEADING and ("/" in value or "\\" in value or ":" in value):
            self.text.links.update(links_in_text(value)[0])

    def _close(self, tag: str) -> None:
        for place in range(len(self.open) - 1, 0, -1):
            if self.open[place].tag == tag:
                del self.open[place:]
                return


def _leading(tag: str, pairs: Iterable[tuple[str, str]]) -> Iterator[str]:
    """Yield what the attributes of a tag lead to."""
    target = None
    for name, value in pairs:
        if name == "srcset":
            yield from (link for each in value.split(",") for link in link_of(each.split()[0] if each.split() else ""))
        elif name == "action" and tag == "form":
            target = value
        elif name == "formaction":
            yield from form_of(value)
        elif name in _LEADING:
            yield from link_of(value)
    if tag == "form":
        yield from form_of(target or "")


@lru_cache(maxsize=4_096)
def _within(context: bytes, tag: str, styling: tuple[str, ...]) -> bytes:
    """Return the digest of a styling inside another one."""
    said = "\0".join((tag, *styling)).encode("utf-8", "replace")
    return blake2b(said, key=context, digest_size=16).digest()
