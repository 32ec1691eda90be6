"""Make gatekeeper/message/look_alikes.py from Unicode's confusables.txt (UTS 39), whose path is the only argument.

`make look-alikes` fetches the file and calls this. The module has each character that may stand in a domain name by
IDNA 2008 and looks like one ASCII letter or several, as it stands after `fold` has taken case, compatibility forms and
accents away. A capital that looks like a letter (Cyrillic В) is entered as its small form (в), unless that one looks
like another letter. What looks like a digit is left out: Cyrillic б and з would make numbers of words.
"""

from __future__ import annotations

import sys
import unicodedata
from collections.abc import Iterable, Iterator
from pathlib import Path
from string import ascii_uppercase

from idna.idnadata import codepoint_classes
from idna.intranges import intranges_contain

_WIDTH = 120
_HEAD = '''"""Letters that look like Latin ones, by these. Made by tools/look_alikes.py: do not edit.

Made from Unicode's confusables data, version {version}; the characters are those that IDNA 2008 allows in a domain.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

LOOK_ALIKES: Mapping[str, str] = MappingProxyType(
    {{
'''
_TAIL = "    }\n)\n"


def module(data: str) -> str:
    """Return the text of the module for the text of confusables.txt."""
    version = next(line.partition("Version:")[2].strip() for line in data.splitlines() if "Version:" in line)
    found = look_alikes(data)
    letters: dict[str, list[str]] = {}
    for look in sorted(found):
        letters.setdefault(found[look], []).append(look)
    entries = "".join(line for letter in sorted(letters) for line in _entry(letter, letters[letter]))
    return _HEAD.format(version=version) + entries + _TAIL


def look_alikes(data: str) -> dict[str, str]:
    """Return each folded character that looks like ASCII letters, and these."""
    pairs = list(_pairs(data))
    small = {chr(code): target for code, target in pairs if _plain(chr(code)) == chr(code)}
    others = {_plain(chr(code)): target for code, target in pairs}
    named = {look: letter.lower() for letter in ascii_uppercase for look in _small_capital(letter)}
    found = {**named, **others, **small}
    return {look: letters for look, letters in found.items() if look != letters and _is_allowed(look)}


def _pairs(data: str) -> Iterator[tuple[int, str]]:
    """Yield the characters that look like ASCII letters, and these."""
    for line in data.removeprefix("\ufeff").splitlines():
        fields = line.partition("#")[0].split(";")
        if len(fields) < 2:
            continue
        shown = "".join(chr(int(code, 16)) for code in fields[1].split())
        target = _plain(shown)
        if target.isascii() and target.isalpha() and "ß" not in shown:  # β looks like one letter, not like two
            yield int(fields[0], 16), target


def _plain(text: str) -> str:
    """Return the text without case, compatibility forms and accents."""
    folded = unicodedata.normalize("NFKD", unicodedata.normalize("NFKC", text).casefold())
    return unicodedata.normalize("NFC", "".join(each for each in folded if unicodedata.category(each) != "Mn"))


def _small_capital(letter: str) -> Iterator[str]:
    """Yield the small capital of a letter; the data has only some of them."""
    try:
        yield unicodedata.lookup(f"LATIN LETTER SMALL CAPITAL {letter}")
    except KeyError:
        return


def _is_allowed(look: str) -> bool:
    return len(look) == 1 and not look.isascii() and bool(intranges_contain(ord(look), codepoint_classes["PVALID"]))


def _entry(letter: str, looks: Iterable[str]) -> Iterator[str]:
    """Yield the lines of one letter, in the form that the formatter leaves alone."""
    escapes = [_escape(look) for look in looks]
    line = f'        "{letter}": "{"".join(escapes)}",\n'
    if len(line) <= _WIDTH + 1:
        yield line
        return
    yield f'        "{letter}": (\n'
    row = ""
    for escape in [*escapes, ""]:
        if not escape or len(row) + len(escape) > _WIDTH - len('            ""'):
            yield f'            "{row}"\n'
            row = ""
        row += escape
    yield "        ),\n"


def _escape(look: str) -> str:
    return f"\\u{ord(look):04x}" if ord(look) < 0x10000 else f"\\U{ord(look):08x}"


if __name__ == "__main__":
    here = Path(__file__).parents[1] / "gatekeeper/message/look_alikes.py"
    here.write_text(module(Path(sys.argv[1]).read_text("utf-8")), "utf-8")
