"""Decode text by the MIME name of its character set, from a closed table.

`codecs.lookup` is not used: it imports modules and keeps every name that was looked up, and some codecs (punycode, the
escapes) are no character sets or take more than linear time.
"""

from __future__ import annotations

import re

from gatekeeper.message.defects import DefectCollector

_SAME = (
    "utf-8",
    "us-ascii",
    "koi8-r",
    "koi8-u",
    "gb18030",
    "big5",
    "big5-hkscs",
    "euc-jp",
    "iso-2022-jp",
    "iso-2022-jp-1",
    "iso-2022-jp-2",
    "iso-2022-jp-3",
    "iso-2022-jp-ext",
    "iso-2022-kr",
    "utf-7",
    "utf-16",
    "utf-16le",
    "utf-16be",
    "utf-32",
    "utf-32le",
    "utf-32be",
    "cp437",
    "cp850",
    "cp852",
    "cp866",
    "cp932",
    "cp949",
    "ptcp154",
    "mac-cyrillic",
    "mac-greek",
)
_ALIASES = {
    "utf8": "utf-8",
    "utf8mb3": "utf-8",
    "utf8mb4": "utf-8",  # what MySQL calls it
    "utf-8-sig": "utf-8",
    "unicode-1-1-utf-8": "utf-8",
    "unicode-1-1-utf-7": "utf-7",
    "ascii": "us-ascii",
    "unknown-8bit": "us-ascii",  # RFC 1428
    "x-unknown": "us-ascii",
    "x-user-defined": "us-ascii",
    "ansi_x3.4-1968": "us-ascii",
    "iso646-us": "us-ascii",
    "latin1": "iso-8859-1",
    "latin-1": "iso-8859-1",
    "iso8859-1": "iso-8859-1",
    "iso_8859-1": "iso-8859-1",
    "iso8859-15": "iso-8859-15",
    "iso-8859-8-i": "iso-8859-8",
    "gb2312": "gb18030",
    "gb_2312-80": "gb18030",
    "gbk": "gb18030",
    "cp936": "gb18030",
    "x-gbk": "gb18030",
    "cn-gb": "gb18030",
    "hz-gb-2312": "hz",
    "shift_jis": "cp932",
    "shift-jis": "cp932",
    "sjis": "cp932",
    "x-sjis": "cp932",
    "windows-31j": "cp932",
    "euc-kr": "cp949",
    "ks_c_5601-1987": "cp949",
    "ksc5601": "cp949",
    "windows-949": "cp949",
    "tis-620": "tis-620",
    "windows-874": "cp874",
    "macintosh": "mac-roman",
    "x-mac-roman": "mac-roman",
    "ibm437": "cp437",
    "ibm850": "cp850",
    "ibm866": "cp866",
}
_CODECS = {name: name for name in _SAME}
_CODECS |= {f"iso-8859-{part}": f"iso-8859-{part}" for part in range(1, 17) if part != 12}
_CODECS |= {f"{prefix}{page}": f"cp{page}" for page in range(1250, 1259) for prefix in ("windows-", "cp", "x-cp")}
_CODECS |= _ALIASES
_HYPHEN = re.compile("[-_ ]")
_LOOSE = {_HYPHEN.sub("", name): codec for name, codec in _CODECS.items()}
_MARKS = {"utf-16": (b"\xff\xfe", b"\xfe\xff"), "utf-32": (b"\xff\xfe\0\0", b"\0\0\xfe\xff")}
_SHIFTING = ("utf-7", "utf-16", "utf-32", "iso-2022-", "hz")  # in which ASCII octets stand for other characters


def _codec_of(charset: str) -> str | None:
    """Return Python's codec for a MIME charset name, with or without its hyphens; None for an unknown name."""
    name = charset.strip().strip("\"'").lower()
    return _CODECS.get(name) or _LOOSE.get(_HYPHEN.sub("", name))


def keeps_ascii(charset: str) -> bool:
    """Return True where ASCII octets stand for themselves."""
    return not (_codec_of(charset) or "").startswith(_SHIFTING)


def decode(data: bytes, charset: str, defects: DefectCollector) -> str:
    """Decode octets of a header field or a file name.

    Octets that do not fit become U+FFFD, and are noted as a defect.
    """
    codec = _codec_of(charset)
    if codec is None:
        defects.add("unknown-charset")
        return guess(data)
    text = _characters(data, codec, defects)
    if codec == "us-ascii" and not data.isascii():
        text = guess(data)
        defects.add("undecodable-text")
    defects.add_if("\ufffd" in text and codec != "utf-7", "undecodable-text")
    return text


def decode_body(data: bytes, charset: str, defects: DefectCollector) -> str:
    """Decode the octets of a text part.

    Octets that do not fit are replaced without a defect: ordinary mail has them.
    """
    codec = _codec_of(charset) if charset else "us-ascii"
    defects.add_if(codec is None, "unknown-charset")
    return guess(data) if codec is None or codec == "us-ascii" else _characters(data, codec, defects)


def _characters(data: bytes, codec: str, defects: DefectCollector) -> str:
    """Decode octets; those that stand for no character become U+FFFD.

    So does half a surrogate pair, which only UTF-7 can spell (RFC 2152): neither a database nor a hash takes it.
    UTF-16 without a mark is big-endian (RFC 2781 4.3), which not every program knows.
    """
    if codec in _MARKS and data and not data.startswith(_MARKS[codec]):
        defects.add("unmarked-utf-16")
        codec += "-be"
    text = data.decode(codec, "replace")
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace") if codec == "utf-7" else text


def guess(data: bytes) -> str:
    """Decode octets as UTF-8 where they are that, else as ISO 8859-1, so that ASCII among them stays readable."""
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data.decode("iso-8859-1")
