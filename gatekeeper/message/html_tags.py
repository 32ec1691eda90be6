"""Cut HTML into tags and texts, and say what a tag does to the text behind it: break it, quote it, hide it.

This follows what browsers and mail programs show (https://html.spec.whatwg.org/multipage/parsing.html), not what is
well formed: whoever wants copies of a text to look different to the gate, and alike to people, need not write it well.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Mapping
from functools import lru_cache

from gatekeeper.lib.immutable import immutable

BREAK = "\v"  # stands for the end of a line that is shown, while line ends of the source are mere spaces
_LONGEST_KNOWN = 300  # characters; longer tags are not cached
_LONGEST_KNOWN_STYLE = 16_384  # characters
_LONGEST_ATTRIBUTE = 4_000  # characters of an attribute's value that are read

# The first group is the inside of a tag, the second the text behind it. A quote in a tag ends at its like, if there is
# one. What begins like no tag is text; comments, and the content of elements that are not text, are cut out before.
_BEGINS = re.compile("<[a-zA-Z/!?]")
_TOKEN = re.compile(
    r"""<(?:([a-zA-Z/][^>=]*+(?>=\s*+(?>"[^"]*+"|'[^']*+')?+[^>=]*+)*+)|[!?][^>]*+)(?:>|\Z)"""
    r"""((?>[^<]++|<(?![a-zA-Z/!?]))*+)"""
)
_UNSHOWN = re.compile(
    r"<(?=[!stinxSTINX])(?:!--(?:-?>|[^-]*+(?>-(?!-!?>)[^-]*+)*+(?:--!?>|\Z))"
    r"|(style|script|title|template|iframe|noembed|noframes|xmp)\b[^>]*+(?:>|\Z)"
    r"[^<]*+(?><(?!/\1\b)[^<]*+)*+(?:</[a-z]+[^>]*+(?:>|\Z)|\Z))",
    re.I,
)
_UNSHOWN_LOWER = re.compile(_UNSHOWN.pattern)
UNSHOWN_END = re.compile("</(?:style|script|title|template|iframe|noembed|noframes|xmp)")
_STYLE = re.compile(r"<style\b[^>]*+(?:>|\Z)([^<]*+(?><(?!/style\b)[^<]*+)*+)", re.I)
_TAG = re.compile(r"""<([a-zA-Z][^>=]*+(?>=\s*+(?>"[^"]*+"|'[^']*+')?+[^>=]*+)*+)""")
NAME = re.compile(r"/?[^\s/]+")
_ATTRIBUTES = re.compile(r"""([^\s=/"'<>]{1,40})(?:\s*+=\s*+("[^"]*+"|'[^']*+'|[^\s"'>]*+))?""")
_CHARACTER = re.compile(r"&(?:#(?:x0*+([0-9a-f]{1,6})|0*+(\d{1,7}));?|([a-z][a-z0-9]{1,31};?))", re.I)


def names(text: str) -> frozenset[str]:
    return frozenset(text.split())


_BREAKS = names(
    "br p div tr table tbody thead tfoot li ul ol dl dt dd h1 h2 h3 h4 h5 h6 td th hr blockquote pre center form"
    " fieldset address article section header footer aside main nav figure figcaption body html head option select"
    " legend caption details summary button marquee"
)
VOID = names("area base basefont bgsound br col embed frame hr img input link meta param source track wbr")
QUOTING = ("gmail_quote", "gmail_attr", "yahoo_quoted", "moz-cite-prefix", "protonmail_quote", "zmail_extra")
_MAY_HIDE = re.compile(r"style|hidden|color|class|id\s*=|text", re.I)


@immutable
class Look:
    """What a tag says of how its text looks; None where it says nothing."""

    hidden: bool = False  # and all that it holds
    visible: bool | None = None  # an element inside may say otherwise (the property `visibility`)
    color: str | None = None
    background: str | None = None

    @property
    def is_plain(self) -> bool:
        """True for a text that is seen on white, or a background that black is seen on."""
        if self.hidden or self.visible is not None or self.color == "transparent":
            return False
        return not (self.color and is_invisible(self.color, WHITE)) and is_invisible(self.background or WHITE, WHITE)


@immutable
class Tag:
    """What a tag does."""

    name: str  # in lower case
    ends: bool = False  # an end tag
    separator: str = ""  # what it puts between the texts before and behind it
    quotes: bool = False
    look: Look | None = None  # None for most tags
    classes: frozenset[str] = frozenset()  # names of classes, and "#id"
    is_plain: bool = True  # it does nothing but separate, unless a style hides its class


def tokens(source: str) -> list[tuple[str, str]]:
    """Return (inside of a tag, text behind it) for a piece of HTML; the first has no tag. Time is linear."""
    source = _UNSHOWN.sub("", source)
    begins = _BEGINS.search(source)
    if not begins:
        return [("", source)]
    return [("", source[: begins.start()]), *_TOKEN.findall(source, begins.start())]


def unshown(source: str) -> list[tuple[int, int]]:
    """Return where comments, and elements whose content is no text, start and end in HTML in lower case."""
    return [found.span() for found in _UNSHOWN_LOWER.finditer(source)]


def tag_at(source: str, start: int, end: int) -> str:
    """Return the inside of the tag that starts at an offset, up to `end`; "" where none starts there."""
    found = _TAG.match(source, start, end)
    return found[1] if found else ""


def all_tags(source: str) -> Iterator[str]:
    """Yield the inside of each start tag, also of those that no program shows."""
    return (found[1] for found in _TAG.finditer(source))


def styles(source: str) -> str:
    """Return the content of all style elements."""
    return "\n".join(_STYLE.findall(source))


def read_tag(inside: str) -> Tag:
    """Read the inside of a tag."""
    return _known_tag(inside) if len(inside) <= _LONGEST_KNOWN else _read_tag(inside)


def _read_tag(inside: str) -> Tag:
    named = NAME.match(inside)
    name = named[0].lower() if named else ""
    if name.startswith("/"):
        name = name[1:]
        return Tag(name, ends=True, separator=BREAK if name in _BREAKS else "")
    separator = BREAK if name in _BREAKS else ""
    if name in ("blockquote", "pre") or not _MAY_HIDE.search(inside):
        is_quote = name == "blockquote"
        return Tag(name, separator=separator, quotes=is_quote, is_plain=not is_quote and name != "pre")
    given = attributes(inside)
    marks = f"{given.get('class', '')} {given.get('id', '')}"
    classes = frozenset([*given.get("class", "").lower().split(), f"#{given.get('id', '').lower()}"]) - {"#"}
    quotes = any(mark in marks for mark in QUOTING)
    look = _look(given)
    return Tag(name, False, separator, quotes, look, classes, is_plain=not quotes and (look is None or look.is_plain))


_known_tag = lru_cache(maxsize=4_096)(_read_tag)


def attributes(inside: str) -> Mapping[str, str]:
    """Return the attributes of a tag by name in lower case, entities decoded; the first of a name counts."""
    named = NAME.match(inside)
    found: dict[str, str] = {}
    for name, value in _ATTRIBUTES.findall(inside, named.end() if named else 0):
        found.setdefault(name.lower(), decoded(value[:_LONGEST_ATTRIBUTE].strip("\"'")))
    return found


def decoded(text: str) -> str:
    """Return the text with its character references decoded, numeric and named, as browsers read them."""
    return _CHARACTER.sub(_character, text) if "&" in text else text


def _character(reference: re.Match[str]) -> str:
    return _known_character(*reference.groups())


@lru_cache(maxsize=1_024)
def _known_character(hexadecimal: str | None, decimal: str | None, name: str | None) -> str:
    if name:
        return html.unescape(f"&{name}")
    return html.unescape(f"&#{int(hexadecimal, 16) if hexadecimal else decimal};")


# -- what is hidden ----------------------------------------------------------------------------------------------

_DECLARATION = re.compile(r"(?<![a-z-])([a-z-]{3,30}+)\s{0,20}+:\s{0,20}+([^;]{0,200}+)")
_COMMENT = re.compile(r"/\*[^*]*+(?>\*(?!/)[^*]*+)*+(?:\*/|\Z)")
_RULE = re.compile(r"([^{}]{1,500})\{([^{}]*+)\}")
_SELECTOR = re.compile(r"(?:[a-z][a-z0-9]{0,9})?([.#])([\w-]{1,60})\Z")
_MEDIA_OF_ALL = re.compile(r"@media\s[^{}();]{0,100}\{")
_AT_RULE = re.compile(r"@[^{};]{0,500}\{(?>[^{}]*+\{[^{}]*+\})*+[^{}]*+\}|@[^{};]{0,500};")
_LENGTH = re.compile(r"(-?\d{0,6}(?:\.\d{1,6})?)\s{0,3}(px|pt|em|rem|ex|%|vw|cm|mm|in|)\Z")
_COLOR = re.compile(r"#([0-9a-f]{6}|[0-9a-f]{3})\b|rgba?\(\s*(\d{1,3})[\s,]+(\d{1,3})[\s,]+(\d{1,3})|([a-z]{3,20})")
BLACK, WHITE = "000000", "ffffff"
_NO_COLORS = frozenset({"inherit", "initial", "unset", "auto", "windowtext", "currentcolor", "none", "window"})
_NAMED = {"white": "ffffff", "black": "000000", "snow": "fffafa", "ivory": "fffff0", "whitesmoke": "f5f5f5"}
_VISIBILITY = {"hidden": False, "collapse": False, "visible": True}
_TINY = 2.0  # px or pt; smaller text cannot be read
_IN_PX = {"": 1.0, "px": 1.0, "pt": 1.3, "em": 16.0, "rem": 16.0, "ex": 8.0, "%": 0.16}
_FAR = -99.0  # px
NEAR = 24  # how far two colors may lie apart in each of red, green and blue, and cannot be told from each other


def _look(given: Mapping[str, str]) -> Look | None:
    style = declarations(given.get("style", ""))
    hidden, visible = "hidden" in given or hides(style), _VISIBILITY.get(style.get("visibility", ""))
    color = _color(style.get("color") or given.get("color") or given.get("text") or "")
    background = _color(style.get("background-color") or style.get("background") or given.get("bgcolor") or "")
    if not (hidden or color or background) and visible is None:
        return None
    return Look(hidden, visible, color, background)


def declarations(style: str) -> dict[str, str]:
    """Return the properties of a style, the one that is in force of each: the last, or the last important one."""
    found: dict[str, str] = {}
    important: dict[str, str] = {}
    for name, value in _DECLARATION.findall(_COMMENT.sub("", style.lower())):
        plain, mark, _ = value.partition("!")
        (important if mark else found)[name] = plain.strip()
    return found | important


def hides(style: Mapping[str, str]) -> bool:
    """Return True where no client shows the text of an element of this style."""
    if style.get("display") == "none":
        return True
    if _pixels(style.get("font-size"), 16) < _TINY or _pixels(style.get("opacity"), 1) < 0.1:
        return True
    clipped = style.get("overflow") in ("hidden", "clip")
    if clipped and min(_pixels(style.get(name), 9) for name in ("height", "max-height", "width", "max-width")) < _TINY:
        return True
    if _pixels(style.get("text-indent"), 0) < _FAR or "scale(0" in style.get("transform", ""):
        return True
    moved = style.get("position") in ("absolute", "fixed")
    return moved and min(_pixels(style.get(side), 0) for side in ("left", "top", "right", "bottom")) < _FAR


def _pixels(length: str | None, otherwise: float) -> float:
    found = _LENGTH.match(length) if length else None
    if not found or found[1] in ("", "-"):
        return otherwise
    return float(found[1]) * _IN_PX.get(found[2], 10.0)


def _color(value: str) -> str | None:
    """Return the first color of a value as six hexadecimal digits, or its name; None where there is none."""
    found = _COLOR.search(value.lower()) if value else None
    if not found or "url(" in value:
        return None
    hexadecimal, red, green, blue, name = found.groups()
    if hexadecimal:
        return hexadecimal if len(hexadecimal) == 6 else "".join(digit * 2 for digit in hexadecimal)
    if name in _NO_COLORS:
        return None
    return _NAMED.get(name, name) if name else f"{int(red) & 255:02x}{int(green) & 255:02x}{int(blue) & 255:02x}"


def is_invisible(color: str, background: str) -> bool:
    """Return True where a text of the color cannot be told from its background."""
    if color == background or color == "transparent":
        return True
    try:
        one, other = bytes.fromhex(color), bytes.fromhex(background)
    except ValueError:
        return False
    return len(one) == len(other) == 3 and all(abs(a - b) <= NEAR for a, b in zip(one, other, strict=True))


def hidden_classes(source: str) -> frozenset[str]:
    """Return the classes, and "#id"s, that the style elements of a page hide whatever the screen."""
    css = styles(source)
    return _known_hidden(css) if len(css) <= _LONGEST_KNOWN_STYLE else _hidden_in(css)


def _hidden_in(css: str) -> frozenset[str]:
    found: set[str] = set()
    css = _MEDIA_OF_ALL.sub("", _COMMENT.sub("", css.lower()))  # what is left of these, an end, ends nothing
    for selectors, style in _RULE.findall(_AT_RULE.sub("", css)):
        given = declarations(style)
        if hides(given) or given.get("visibility") in ("hidden", "collapse"):
            for selector in selectors.split(","):
                if match := _SELECTOR.match(selector.strip()):
                    found.add(match[2] if match[1] == "." else f"#{match[2]}")
    return frozenset(found)


_known_hidden = lru_cache(maxsize=128)(_hidden_in)  # the programs of an organisation write a few styles
