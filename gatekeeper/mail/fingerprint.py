"""The fingerprint of a text: equal for copies that differ in what a mail merge or a salt changes.

First everything goes that differs between copies or is no content: quotes, greeting, signature, disclaimers, addresses,
parameters of links, anything with a digit, and names (words that start with a capital, unless that leaves too little).
Of the words that remain the smallest hashes of all runs of three are taken (a bottom-k sketch, Broder 1997): a changed
word reaches the sketch only by chance, and texts that share little share no sketch. A store can look it up by equality.
"""

from __future__ import annotations

import hashlib
import heapq
import re
import zlib
from collections.abc import Iterable, Iterator, Sequence

from .folding import fold
from .structure import ancestors
from .texts import Text

LEAST_WORDS = 12
LEAST_CHARACTERS = 60
_SKETCH = 4  # runs kept of a long text; more tell likely texts apart, fewer survive more changes
_SHORT_SKETCH = 6  # of a short one, where a few words make another message of it
_SHORT = 60  # words
_RUN = 3  # words
_GREETING_WORDS = 7

_QUOTE = re.compile(r"\s{0,3}[A-Za-z]{0,4}[>|]")
_QUOTED_FROM_HERE = re.compile(
    r"-{2,}\s?(?:original message|forwarded message|urspr.ngliche nachricht|message d'origine|forwarded by)", re.I
)
_SAYS = re.compile(r"(?:wrote|writes|said|schrieb|a écrit|escribió|ha scritto)\s?:\Z", re.I)
_RULE = re.compile(r"\s{0,9}[-_=*~+#]{6,}.{0,80}\Z")
_FOOTER_LINES = 15
_GREETING = re.compile(
    r"\s*(?:dear|hello|hi|hey|hiya|greetings|good (?:morning|day|afternoon|evening)|hallo|liebe[rs]?|guten tag"
    r"|sehr geehrte[rs]?|bonjour|ch[eè]re?s?|hola|buenos d[ií]as|estimad[oa]s?|ciao|gentile|ol[aá]|hej)\b"
    r"[^,:!.\n]{0,60}[,:!.]",
    re.I,
)
_DISCLAIMER = re.compile(
    r"confidential|privileged|intended (?:recipient|only|for|solely)|notify the sender|received this|in error|disclos"
    r"|unsubscribe|mailing list|disclaimer|vertraulich|prohibited|opt.?out|manage your (?:preferences|subscription)",
)
# URLs, addresses, and what holds a digit: a run of non-space that is not all letters and marks.
_NO_WORD = re.compile(r"(?<!\S)(?=\S*?(?:[@\d]|://|www\.))\S+")
_WORD = re.compile(
    "[\u0e00-\u0eff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]"  # scripts without spaces: a character is a word
    "|(?:[^\\W\\d_\u0e00-\u0eff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]|(?<=\\w)'(?=\\w))+"
)
_LONGEST_WORD = 30

_UNSHOWN = re.compile(r"<!--.*?(?:-->|\Z)|<(style|script|head|title)\b.*?(?:</\1\s*>|\Z)", re.I | re.DOTALL)
_BLOCK = re.compile(r"<(?:br|/?p|/?div|/?tr|/?table|/?li|/?ul|/?h[1-6]|/?td|hr|/?blockquote)\b[^>]*(?:>|\Z)", re.I)
_TAG = re.compile(r"<[^>]*(?:>|\Z)")
_ENTITY = re.compile(r"&(?:nbsp|#160|#xa0);?", re.I)


def text_fingerprint(texts: Sequence[Text], sample: int) -> str | None:
    """Hex fingerprint of the first `sample` characters of the message's own text; None where it is too short to tell.

    Plain text is preferred to HTML, which says the same in the mail that has both. Nested messages have no part in it.
    """
    own = [text for text in texts if not any(holder.is_message for holder in ancestors(text.part))]
    plain = "\n".join(text.text[:sample] for text in own if not text.is_html)[:sample]
    html = "\n".join(shown_text(text.text[: 4 * sample]) for text in own if text.is_html)[:sample]
    return fingerprint(plain) or fingerprint(html)


def fingerprint(text: str) -> str | None:
    """Hex fingerprint of a plain text, None where what remains of it has too few words or characters."""
    words = content_words(text)
    if len(words) < LEAST_WORDS or sum(map(len, words)) < LEAST_CHARACTERS:
        return None
    kept = _SKETCH if len(words) >= _SHORT else _SHORT_SKETCH
    sketch = sorted(heapq.nsmallest(kept, _runs(words), key=_rank))
    return hashlib.sha256("\n".join(sketch).encode("utf-8", "replace")).hexdigest()[:32]


def _runs(words: list[str]) -> set[str]:
    return set(map(" ".join, zip(*(words[start:] for start in range(_RUN)), strict=False)))


def _rank(run: str) -> tuple[int, str]:
    return zlib.crc32(run.encode("utf-8", "replace")), run


def content_words(text: str) -> list[str]:
    """Folded words of what a sender says to everyone."""
    own = "\n".join(_own_lines(text.replace("\r", "").split("\n")))
    own = _NO_WORD.sub(" ", own)
    words = [word for word in _WORD.findall(own) if len(word) <= _LONGEST_WORD]
    uncapitalised = [word for word in words if not word[0].isupper()]
    chosen = uncapitalised if len(uncapitalised) >= LEAST_WORDS else words
    return fold(" ".join(chosen)).split()


def _own_lines(lines: list[str]) -> Iterator[str]:
    own = [line for line in _before_quote(lines) if not _QUOTE.match(line)]
    own = _without_footer(_without_footer(list(_without_disclaimers(own))))  # a list's below a writer's
    greeting, rest = _split_greeting(own)
    yield from greeting
    yield from rest


def _without_disclaimers(lines: list[str]) -> Iterator[str]:
    for paragraph in _paragraphs(lines):
        if len(set(_DISCLAIMER.findall(" ".join(paragraph).lower()))) < 2:
            yield from paragraph


def _before_quote(lines: list[str]) -> Iterator[str]:
    for line in lines:
        ended = line.strip()
        if ended.startswith("--") and (ended == "--" or _QUOTED_FROM_HERE.match(ended)):  # "-- ": RFC 3676 4.3
            return
        if not (ended.endswith(":") and _SAYS.search(ended[-40:])):
            yield line


def _without_footer(lines: list[str]) -> list[str]:
    """A short end below a drawn line is the footer of a list or a program."""
    for above in range(len(lines) - 1, max(-1, len(lines) - 1 - _FOOTER_LINES), -1):
        if _RULE.match(lines[above][:200]) and any(map(str.strip, lines[:above])):
            return lines[:above]
    return lines


def _split_greeting(lines: list[str]) -> tuple[list[str], list[str]]:
    """The first line that is not empty: what is left of it once the greeting is gone, and the lines after it."""
    for number, line in enumerate(lines):
        if not line.strip():
            continue
        shortened = _GREETING.sub("", line[:200], count=1) + line[200:]
        is_greeting = len(line) < 100 and len(line.split()) <= _GREETING_WORDS and line.rstrip()[-1] in ",:!"
        return ([] if is_greeting else [shortened]), lines[number + 1 :]
    return [], []


def _paragraphs(lines: Iterable[str]) -> Iterator[list[str]]:
    paragraph: list[str] = []
    for line in lines:
        if line.strip():
            paragraph.append(line)
        elif paragraph:
            yield paragraph
            paragraph = []
    if paragraph:
        yield paragraph


def shown_text(html: str) -> str:
    """The words of HTML, blocks on lines of their own. Unclosed comments and tags end with the text."""
    return _ENTITY.sub(" ", _TAG.sub(" ", _BLOCK.sub("\n", _UNSHOWN.sub(" ", html))))
