"""Find files inside invitations (RFC 5545 3.8.1.1) and behind `data:` URLs of HTML (RFC 2397)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import islice

from gatekeeper.message.calendars import unfolded
from gatekeeper.message.defects import DefectCollector
from gatekeeper.message.html_tags import all_tags, attributes, read_tag
from gatekeeper.message.limits import Limits
from gatekeeper.message.text_parts import TextPart
from gatekeeper.model import Attachment

_ATTACHED = re.compile(r"""^attach((?:;(?>[^":\n]++|"[^"\n]*+"?)*+)?):([^\n]*+)""", re.I | re.MULTILINE)
_NAME = re.compile(r"""(?:\A|;)(?:x-)?filename=(?:"([^"]*+)|([^;:"]*+))""", re.I)
_TYPE = re.compile(r"""(?:\A|;)fmttype="?([^;:",\s]*+)""", re.I)
_IS_DATA = re.compile(r"(?:\A|;)(?:encoding=\"?(?:base64|b)\b|value=\"?binary)", re.I)
_DATA = re.compile(r"\s{0,99}data:([^;,\s]{0,200})", re.I)
_UNKNOWN = "application/octet-stream"
_LEADS = ("href", "data", "src", "xlink:href", "action", "formaction")  # attributes of tags that are no pictures
_PICTURES = frozenset({"img", "image", "input", "source", "video", "audio", "track", "link", "script"})
_LINE_BREAKS = str.maketrans("", "", "\t\r\n")


def files_in_markup(texts: Iterable[TextPart], limits: Limits, defects: DefectCollector) -> tuple[Attachment, ...]:
    """Return the files of invitations and of HTML."""
    files = [file for text in texts for file in (_in_html if text.is_html else _in_calendar)(text.text, limits)]
    defects.add_if(len(files) > limits.parts, "too-many-parts")
    return tuple(files[: limits.parts])


def _in_calendar(text: str, limits: Limits) -> Iterator[Attachment]:
    for found in islice(_ATTACHED.finditer(unfolded(text)), limits.parts + 1):
        parameters, value = found.groups()
        data = _DATA.match(value)
        if data or _IS_DATA.search(parameters):
            named, kind = _NAME.search(parameters), _TYPE.search(parameters)
            name = (named[1] or named[2] or "").strip() if named else ""
            yield _file(name, (kind[1] if kind else "") or (data[1] if data else ""), value)


def _in_html(html: str, limits: Limits) -> Iterator[Attachment]:
    """Yield what links, frames and objects lead to. Pictures that are shown are no files."""
    tags = (tag for tag in all_tags(html) if read_tag(tag).name not in _PICTURES)
    for given in islice((given for tag in tags if (given := attributes(tag))), limits.parts * 100):
        for name in _LEADS:
            value = given.get(name, "").translate(_LINE_BREAKS)
            if data := _DATA.match(value):
                yield _file(given.get("download", "").strip(), data[1] or "text/plain", value)


def _file(name: str, kind: str, value: str) -> Attachment:
    """Return a file whose size is that of its base64, as far as it was read."""
    return Attachment(" ".join(name.split()), kind.lower() or _UNKNOWN, len(value.rpartition(",")[2].strip()) * 3 // 4)
