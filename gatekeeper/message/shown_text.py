"""Return the text of HTML as mail programs show it: blocks on lines, quotes marked with ">", without hidden text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from gatekeeper.message.html_tags import (
    BLACK,
    BREAK,
    VOID,
    WHITE,
    Look,
    Tag,
    attributes,
    decoded,
    hidden_classes,
    is_invisible,
    names,
    read_tag,
    tokens,
)
from gatekeeper.message.words import length_of_words, plainly_spaced

READ = (32_768, 262_144)  # characters that are read at first, and where these show too little
_DEEPEST = 60  # elements among which an end tag, or the start of a block, looks for what it ends
_MOST_AGAIN = 8  # elements of formatting that go on behind the block in which they began
_FORMATTING = names("a b big code em font i nobr s small strike strong tt u")
ENDS_PARAGRAPH = names(
    "p div table ul ol dl h1 h2 h3 h4 h5 h6 hr blockquote pre center form fieldset address article section header"
    " footer aside main nav figure"
)
_ENDED_BY = {  # start tag: the elements that it ends, up to the nearest of the others
    "li": (("li",), ("ul", "ol")),
    "td": (("td", "th"), ("table", "tr")),
    "th": (("td", "th"), ("table", "tr")),
    "tr": (("tr",), ("table",)),
    "dt": (("dt", "dd"), ("dl",)),
    "dd": (("dt", "dd"), ("dl",)),
    "option": (("option",), ("select",)),
}
_CELLS = ("td", "th", "table", "caption")


def shown_text(html: str, most: int, leading: Sequence[str] = ()) -> str:
    """Return the shown text of HTML, about `most` characters or a beginning that has more. Time is linear.

    Args: `leading` names attributes whose values are written into the text, such as "href".
    """
    text = ""
    for length in READ:
        text = _shown(html[:length], leading)
        if length >= len(html) or 4 * length_of_words(text) >= most:
            break
    return text


def all_text(html: str) -> str:
    """Return the text of HTML whether or not it is shown."""
    return _finished([piece for tag, text in tokens(html[: READ[-1]]) for piece in (read_tag(tag).separator, text)])


def _shown(html: str, leading: Sequence[str]) -> str:
    pieces = tokens(html)
    if leading:
        pieces = [(inside, _led_to(inside, leading) + text) for inside, text in pieces]
    tags = {inside: read_tag(inside) for inside in {inside for inside, _ in pieces}}
    hidden = (
        hidden_classes(html) if any(tag.classes for tag in tags.values()) and "style" in html.lower() else frozenset()
    )
    if not hidden and (plain := _joined(pieces, tags)) is not None:
        return plain
    reader = _Reader(hidden)
    for inside, text in pieces:
        reader.read(tags[inside], text)
    return _finished(reader.out)


def plainly_shown(pieces: list[tuple[str, str]]) -> str | None:
    """Return the text of tags and texts; None where a tag does more than separate; classes hide nothing."""
    return _joined(pieces, {inside: read_tag(inside) for inside in {inside for inside, _ in pieces}})


def _joined(pieces: list[tuple[str, str]], tags: Mapping[str, Tag]) -> str | None:
    if not all(tag.is_plain for tag in tags.values()):
        return None
    separators = {inside: tag.separator for inside, tag in tags.items()}
    return _finished([piece for inside, text in pieces for piece in (separators[inside], text)])


def _led_to(inside: str, leading: Sequence[str]) -> str:
    """Return where a tag leads, in angle brackets and without white space."""
    lower = inside.lower()
    if not any(name in lower for name in leading):
        return ""
    given = attributes(inside)
    return "".join(f" <{''.join(given[name].split())}> " for name in leading if name in given)


def _finished(pieces: list[str]) -> str:
    text = decoded("".join(pieces)).replace("\r", "").replace("\n", " ")
    return plainly_spaced(text).replace(BREAK, "\n")


@dataclass(slots=True)
class _Frame:
    """An open element, and how text in it looks."""

    name: str
    hidden: bool = False
    visible: bool = True
    quoted: bool = False
    color: str = BLACK
    background: str = WHITE
    invisible: bool = False


@dataclass(slots=True)
class _Reader:
    """Reads tags and texts with a stack of open elements: what is hidden or quoted ends where a browser ends it."""

    hidden_classes: frozenset[str]
    out: list[str] = field(default_factory=list)
    stack: list[_Frame] = field(default_factory=lambda: [_Frame("")])
    count: dict[str, int] = field(default_factory=dict)  # how many elements of a name are open
    was_quoted: bool = False

    def read(self, tag: Tag, text: str) -> None:
        if tag.ends:
            self._end(tag.name)
        elif tag.name:
            self._start(tag)
        now = self.stack[-1]
        if now.hidden or now.invisible or not now.visible:
            return
        quoted = now.quoted
        if tag.separator or quoted != self.was_quoted:
            self.out.append(f"{BREAK}> " if quoted else BREAK)
            self.was_quoted = quoted
        self.out.append(text.replace("\n", f"{BREAK}> " if quoted else BREAK) if self.count.get("pre") else text)

    def _start(self, tag: Tag) -> None:
        if tag.name in ENDS_PARAGRAPH and self.count.get("p"):
            self._end_nearest(("p",), _CELLS)
        if ended := _ENDED_BY.get(tag.name):
            self._end_nearest(*ended)
        if tag.name not in VOID:
            self._push(_inside(tag, self.stack[-1], self.hidden_classes))

    def _end(self, name: str) -> None:
        if self.count.get(name):
            self._end_nearest((name,), () if name in ("table", "body", "html") else _CELLS)

    def _end_nearest(self, names: tuple[str, ...], within: tuple[str, ...]) -> None:
        """End the nearest open element of a name, and all inside it, unless one of the others lies between."""
        for depth in range(1, min(len(self.stack), _DEEPEST)):
            name = self.stack[-depth].name
            if name in names:
                return self._pop(depth)
            if name in within:
                return None
        return None

    def _pop(self, number: int) -> None:
        """End the innermost elements. Formatting goes on behind them, as browsers have it (adoption agency)."""
        ended = self.stack[-number:]
        del self.stack[-number:]
        for frame in ended:
            self.count[frame.name] -= 1
        again = [frame for frame in ended[1:] if frame.name in _FORMATTING]
        for frame in again[:_MOST_AGAIN]:
            self._push(frame)

    def _push(self, frame: _Frame) -> None:
        self.stack.append(frame)
        self.count[frame.name] = self.count.get(frame.name, 0) + 1


def _inside(tag: Tag, around: _Frame, hidden_classes: frozenset[str]) -> _Frame:
    is_hiding = not hidden_classes.isdisjoint(tag.classes)
    if tag.look is None and not tag.quotes and not is_hiding:  # most tags
        looks = around.color, around.background, around.invisible
        return _Frame(tag.name, around.hidden, around.visible, around.quoted, *looks)
    look = tag.look or Look()
    hidden = around.hidden or look.hidden or is_hiding
    visible = around.visible if look.visible is None else look.visible
    color, background = look.color or around.color, look.background or around.background
    invisible = (look.color or look.background or around.invisible) and is_invisible(color, background)
    return _Frame(tag.name, hidden, visible, around.quoted or tag.quotes, color, background, bool(invisible))
