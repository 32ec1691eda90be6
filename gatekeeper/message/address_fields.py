"""Read the address lists of From, To and similar fields (RFC 5322 3.4, obsolete forms of 4.4) tolerantly, in one pass.

An address that can only be guessed is still read, so that nobody is left uncounted, and the field counts as malformed.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field

from gatekeeper.lib.immutable import immutable
from gatekeeper.model import Mailbox

# Every alternative takes at least one character and none backtracks: one pass, whatever the text.
_TOKEN = re.compile(
    r"""(?P<space>\s+)
    | (?P<comment>\()
    | (?P<quoted>"(?>[^"\\]++|\\.)*+"?)
    | (?P<angle><(?>"(?>[^"\\]++|\\.)*+"|[^<>"])*+>?)
    | (?P<special>[>,;:])
    | (?P<atom>=\?[^?\s]{1,60}\?[bBqQ]\?[^?\s]*+\?=|(?:\[[^\]\s<>,]{0,255}\]|[^\s()<>,;:"])+)
    | (?P<junk>.)""",
    re.VERBOSE | re.DOTALL,
)
_PLAIN_ADDRESS = r"[A-Za-z0-9!#$%&'*+/=^_`{|}~.-]++@[A-Za-z0-9.-]++"
# One address, alone or behind a name: nearly all fields have this form, which can be read in one way only.
_ORDINARY = re.compile(
    rf"""(?:"([^"\\=]*+)"[ ]*+|([\w'-]++(?>[ ][\w'-]++)*+)[ ]*+)?<({_PLAIN_ADDRESS})>|({_PLAIN_ADDRESS})"""
)
_UNCLOSED = re.compile(r'"(?>[^"\\]++|\\.)*+\Z', re.DOTALL)
_COMMENT = re.compile(r"\\.|[()]|[^()\\]+|\\", re.DOTALL)
_INNER_COMMENT = re.compile(r"\([^()]*\)")
_WORDS = re.compile(r"[^\s.@]\s+[^\s.@(]")
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_ADDRESS = re.compile(r"""(?:"(?>[^"\\]|\\.)*+"|[^\s"(),:;<>@\[\]\\]+)@(?:\[[^\]\s]+\]|[^\s"(),:;<>@\[\]\\]+)""")


@immutable
class AddressList:
    """Mailboxes in order. `malformed`: another reader could find other mailboxes. `over_limit`: more follow."""

    mailboxes: tuple[Mailbox, ...] = ()
    malformed: bool = False
    over_limit: bool = False
    grouped: bool = False  # the field has a group, a name with a colon and members (RFC 5322 3.4)
    loose: bool = False  # an address has white space, a comment or a route in it (RFC 5322 4.4); or ";" for ","
    comments: tuple[str, ...] = ()  # decoded


def read_addresses(text: str, limit: int, decode: Callable[[str], str] = str) -> AddressList:
    """Return the mailboxes of an unfolded field value, members of groups included.

    Args: at most `limit` mailboxes are read; `decode` decodes display names (RFC 2047).
    """
    if limit and (ordinary := _ORDINARY.fullmatch(text)):
        quoted, words, bracketed, bare = ordinary.groups("")
        return AddressList((Mailbox((quoted or words).strip(), bracketed or bare),))
    return _read_any(text, limit, decode)


def _read_any(text: str, limit: int, decode: Callable[[str], str]) -> AddressList:
    reader = _Reader(text, decode)
    while not reader.done and len(reader.mailboxes) < limit:
        reader.step()
    over = not reader.done
    reader.finish()
    comments = tuple(map(decode, reader.comments))
    return AddressList(tuple(reader.mailboxes[:limit]), reader.malformed, over, reader.grouped, reader.loose, comments)


def is_address(address: str) -> bool:
    """Return True for a local part, @ and a domain without anything else, deliverable or not."""
    return len(address) <= 2000 and _ADDRESS.fullmatch(address) is not None


@dataclass(slots=True)
class _Reader:
    text: str
    decode: Callable[[str], str]
    at: int = 0
    mailboxes: list[Mailbox] = field(default_factory=list)
    malformed: bool = False
    runs: list[list[str]] = field(default_factory=list)  # words; words without white space between them are one run
    glued: bool = False  # no white space since the last word
    angle: str | None = None
    comment: str = ""
    comments: list[str] = field(default_factory=list)
    loose: bool = False
    colons: dict[int, str] = field(default_factory=dict)  # mailbox in the open group: words before a colon before it
    nested: bool = False  # a colon within the open group
    bare: bool = False  # a mailbox without brackets in the open group
    in_group: bool = False
    grouped: bool = False

    @property
    def done(self) -> bool:
        return self.at >= len(self.text)

    def step(self) -> None:
        token = _TOKEN.match(self.text, self.at)
        assert token is not None and token.lastgroup is not None  # "junk" takes any character
        self.at = token.end()
        getattr(self, "_" + token.lastgroup)(token[0])

    def finish(self) -> None:
        self._end_mailbox()
        if self.in_group:
            self._take_colons()

    def _take_colons(self) -> None:
        """Take a group that never ends for names with a colon, which some programs do not quote."""
        if self.bare or len(self.mailboxes) <= max(self.colons):
            self.malformed = self.grouped = True
            return
        for number, words in self.colons.items():
            box = self.mailboxes[number]
            self.mailboxes[number] = Mailbox(f"{self.decode(words)}: {box.name}".strip(), box.address)

    def _space(self, token: str) -> None:
        self.glued = False

    def _junk(self, token: str) -> None:
        self.malformed = True

    def _comment(self, token: str) -> None:
        """Take a comment, which may nest (RFC 5322 3.2.2).

        It may hold the display name, an old habit: a@example.gov (Ann).
        """
        depth, start = 1, self.at
        for piece in _COMMENT.finditer(self.text, start):
            depth += (piece[0] == "(") - (piece[0] == ")")
            if not depth:
                break
        self.malformed |= depth > 0
        self.at = piece.end() if depth == 0 else len(self.text)
        self.comments.append(self.text[start : self.at - 1].strip())
        self.comment = self.comment or self.comments[-1]
        self.glued = False

    def _quoted(self, token: str) -> None:
        self.malformed |= len(token) < 2 or not token.endswith('"')
        self._word(token)

    def _atom(self, token: str) -> None:
        self._word(token)

    def _word(self, token: str) -> None:
        """Add a word to the current run or begin a run. RFC 5322 4.4 allows white space around the dots and the @."""
        joined = self.runs and self.angle is None
        if joined and (self.glued or token[0] in "@." or self.runs[-1][-1][-1] in "@."):
            self.runs[-1] += [token] if self.glued else [" ", token]
        else:
            self.malformed |= self.angle is not None
            self.runs.append([token])
        self.glued = True

    def _angle(self, token: str) -> None:
        self.malformed |= not token.endswith(">")
        if self.angle is not None:  # two addresses without a comma between them: both are read
            self.malformed = True
            self._end_mailbox()
        inner = token.removeprefix("<").removesuffix(">")
        self.malformed |= '"' not in inner and _WORDS.search(inner) is not None
        self.angle = _bare_address(inner)
        self.loose |= self.angle != inner.strip()

    def _special(self, token: str) -> None:
        if token == ",":
            self._end_mailbox()
        elif token == ";":  # ends a group; some programs put a semicolon between addresses
            self._end_mailbox()
            self._end_group()
        elif token == ":":
            self._begin_group()
        else:
            self.malformed = True

    def _end_group(self) -> None:
        self.malformed |= self.nested
        self.loose |= not self.in_group
        self.grouped |= self.in_group
        self.in_group = self.nested = self.bare = False
        self.colons.clear()

    def _begin_group(self) -> None:
        self.malformed |= self.angle is not None or not self.runs
        words = " ".join(_unquote("".join(run)) for run in self.runs)
        if self.angle is not None or any("@" in word for run in self.runs for word in run):
            self.malformed = True
            self._end_mailbox()
        self.nested |= self.in_group
        self.in_group = True
        before = self.colons.get(len(self.mailboxes))
        self.colons[len(self.mailboxes)] = f"{before}: {words}" if before is not None else words
        self._forget()

    def _end_mailbox(self) -> None:
        if self.angle is not None:
            self._add_named(self.angle)
        elif self.runs:
            self._add_bare()
        self._forget()

    def _add_named(self, address: str) -> None:
        runs = list(map("".join, self.runs))
        self.malformed |= any("@" in run and run[0] != '"' and run != address for run in runs) or "=?" in address
        name = self.decode(" ".join(map(_unquote, runs))) or self.decode(self.comment)
        if address.endswith(":;"):  # an empty group in brackets, as some programs write it
            return
        if address:
            self.mailboxes.append(Mailbox(name.strip(), address))
        else:
            self.malformed |= not self.in_group

    def _add_bare(self) -> None:
        """Add an address without brackets, which is one word.

        Of several words those with an @ are read, as malformed.
        """
        runs = list(map("".join, self.runs))
        found = [run for run in runs if "@" in run and not _UNCLOSED.match(run)]
        if not found and len(runs) == 1 and not runs[0].endswith('"') and " " not in runs[0]:
            found = runs  # a local part alone, such as postmaster
        self.malformed |= len(runs) > 1 or not found or any("=?" in run for run in found)  # RFC 2047 5 (3)
        self.bare |= self.in_group
        name = self.decode(self.comment).strip()
        self.mailboxes += [Mailbox(name, address) for address in map(_bare_address, found) if address]
        self.loose |= any(_bare_address(run) != run for run in found)

    def _forget(self) -> None:
        self.runs, self.angle, self.comment, self.glued = [], None, "", False


def _bare_address(inner: str) -> str:
    """Return the address between < and >, without comments, white space and an obsolete route (RFC 5322 4.4)."""
    if '"' not in inner:
        inner = "".join(_INNER_COMMENT.sub("", inner).split())
    inner = inner.strip()
    if inner.startswith("@") and ":" in inner:
        inner = inner.partition(":")[2]
    return inner


def _unquote(run: str) -> str:
    if run.startswith('"'):
        return _ESCAPED.sub(r"\1", run.removeprefix('"').removesuffix('"'))
    return run
