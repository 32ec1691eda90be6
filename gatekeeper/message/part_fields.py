"""Read what the header of a part says of its body: type, disposition, transfer encoding (RFC 2045 5, 6; RFC 2183)."""

from __future__ import annotations

import re
from functools import lru_cache

from gatekeeper.lib.immutable import immutable
from gatekeeper.message.defects import DefectCollector
from gatekeeper.message.headers import Header, read_header, text_of
from gatekeeper.message.limits import Limits
from gatekeeper.message.mime_parameters import ParameterisedValue, read_parameterised

IDENTITY = frozenset({"", "7bit", "8bit", "binary"})  # RFC 2045 6.2
_IDENTITIES = re.compile(r"[\"']?([78])[ _-]?bits?\b.*", re.DOTALL)  # as ordinary senders write them
_DISGUISED = re.compile(r"[^a-z]{0,9}(base64|quoted-printable)(?![\w-]).*", re.DOTALL)
_TOKEN = re.compile(r"[\w!#$%&'*+.^`{|}~-]+", re.ASCII)  # RFC 2045 5.1
_ENCODINGS = IDENTITY | {"base64", "quoted-printable"}
_TYPE = re.compile(r"[\w!#$&^.+-]+/[\w!#$&^.+-]+", re.ASCII)
_ONCE = frozenset(
    {
        "mime-version",
        "content-type",
        "content-transfer-encoding",
        "content-disposition",
        "content-id",
        "content-description",
    }
)
_LIMITS = Limits()
_NOT_GIVEN = ParameterisedValue()
_LONGEST_KNOWN = 200  # octets; longer headers of parts, and fields, are not cached. These have fewer fields than octets


@immutable
class PartFields:
    """What the header of a part says about the part."""

    header: Header
    content_type: ParameterisedValue
    disposition: ParameterisedValue
    encoding: str
    is_typed: bool  # it says of what type the part is
    is_doubtful: bool  # a program may look for parts in its body


def read_known_fields(block: bytes, limits: Limits, defects: DefectCollector) -> PartFields:
    """Read the header of a part. Those of texts come again and again; one with a boundary does not, and is not kept."""
    if len(block) > min(_LONGEST_KNOWN, limits.parameters, limits.fields) or b"boundary" in block:
        return read_part_fields(block, limits, defects)
    read, noted = _known_fields(block)
    defects.update(noted)
    return read


@lru_cache(maxsize=1_024)
def _known_fields(block: bytes) -> tuple[PartFields, tuple[str, ...]]:
    defects = DefectCollector()
    return read_part_fields(block, _LIMITS, defects), defects.found


def read_part_fields(block: bytes, limits: Limits, defects: DefectCollector) -> PartFields:
    """Read the header of a part, or of the message itself. Where mail programs disagree, a defect is noted."""
    header = read_header(block, limits, defects)
    defects.add_if(bool(header.repeated(_ONCE)), "duplicate-mime")
    given = _parameterised(header, "content-type", limits, defects)
    disposition = _parameterised(header, "content-disposition", limits, defects)
    if disposition.is_cut or (disposition.main and not _TOKEN.fullmatch(disposition.main)):
        defects.add("malformed-disposition")
    written = header.first("content-transfer-encoding")
    encoding = _encoding(written.decode("latin-1").lower(), defects) if written else ""
    kind, is_typed = _type(header, given, defects), bool(given.main)
    is_doubtful = not is_typed or ("boundary" in given.parameters and not kind.main.startswith("multipart/"))
    return PartFields(header, kind, disposition, encoding, is_typed, is_doubtful)


def _type(header: Header, given: ParameterisedValue, defects: DefectCollector) -> ParameterisedValue:
    """Return the type of a part, which is text/plain where Content-Type says nothing that can be read."""
    if _TYPE.fullmatch(given.main):
        defects.add_if(given.is_cut, "malformed-content-type")
        return given
    is_absent = not given.main and header.first("content-type") is None
    is_old = given.main == "text"  # RFC 1049
    defects.add_if(given.is_cut or not (is_absent or is_old), "malformed-content-type")
    return ParameterisedValue("text/plain", given.parameters)


def _encoding(written: str, defects: DefectCollector) -> str:
    """Return a Content-Transfer-Encoding as RFC 2045 6.1 writes it; not every program reads it where it is not."""
    if written in _ENCODINGS:
        return written
    if identity := _IDENTITIES.fullmatch(written):
        return f"{identity[1]}bit"
    disguised = _DISGUISED.fullmatch(written)
    defects.add_if(disguised is not None, "unknown-encoding")
    return disguised[1] if disguised else written


def _parameterised(header: Header, name: str, limits: Limits, defects: DefectCollector) -> ParameterisedValue:
    value = header.first(name)
    if not value:
        return _NOT_GIVEN
    if len(value) > min(_LONGEST_KNOWN, limits.parameters) or b"boundary" in value:
        return read_parameterised(text_of(value, defects), limits, defects)
    read, noted = _known_parameters(value)
    defects.update(noted)
    return read


@lru_cache(maxsize=1_024)
def _known_parameters(value: bytes) -> tuple[ParameterisedValue, tuple[str, ...]]:
    """Return a short MIME field's value and its defects. Cached, because most of them come again and again."""
    defects = DefectCollector()
    return read_parameterised(text_of(value, defects), _LIMITS, defects), defects.found
