"""Hide a file in a message by random structure, and ask other readers of mail whether they show it."""

from __future__ import annotations

import base64
import email
import email.policy
import random
from collections.abc import Iterator, Mapping, Sequence

from gatekeeper.model import Facts
from tests.message.hidden_files import NAMED, PAY

NAME = "pay.xlsx"
_SHEET = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
_KINDS = (
    "mixed",
    "alternative",
    "related",
    "signed",
    "encrypted",
    "report",
    "digest",
    "parallel",
    "x-own",
    "form-data",
)
_TYPES = (
    *(_SHEET, "application/octet-stream", "application/pgp-signature", "application/pkcs7-signature", "image/png"),
    *(
        "application/pgp-encrypted",
        "message/delivery-status",
        "message/feedback-report",
        "message/rfc822",
        "text/plain",
    ),
    *(
        "text/html",
        "text/csv",
        "text/calendar",
        "text/rfc822-headers",
        "image/tiff",
        "image/svg+xml",
        "foo/bar",
        "text",
    ),
    *("message/partial", "message/external-body", "multipart/mixed", "application", "text/", "/", "", "message/global"),
)
_DISPOSITIONS = ("attachment", "inline", "Attachment", "whatever", '"attachment"', "", "x-y", "attach ment", "in-line")
_NAMES = (
    *(
        "name",
        "filename",
        "Name",
        "FILENAME",
        "filename*",
        "filename*0",
        "filename*0*",
        "name*",
        "name*0",
        "filename**",
    ),
    *("filename*1", "file name", "filename(x)", "(x)filename", "<filename>", "filename[]", "'filename'", "fil\\ename"),
)
_VALUES = (
    *(
        "pay.xlsx",
        '"pay.xlsx"',
        "'pay.xlsx'",
        "<pay.xlsx>",
        "[pay.xlsx]",
        "(x)pay.xlsx",
        "pay.xlsx(x)",
        '"pay.xlsx',
        "pay",
    ),
    *("utf-8''pay.xlsx", "utf-8'en'pay%2Exlsx", "''pay.xlsx", "=?utf-8?q?pay.xlsx?=", '"=?utf-8?b?cGF5Lnhsc3g=?="', ""),
    *(
        '"pay\\.xlsx"',
        '"pay" ".xlsx"',
        "pay .xlsx",
        "=?utf-16?b?AHAAYQB5AC4AeABsAHMAeA==?=",
        '"pa\r\n y.xlsx"',
        "pay;.xlsx",
    ),
)
_SEPARATORS = (
    "; ",
    ";",
    " ;",
    ", ",
    " ",
    ";\r\n ",
    ";\r\n\t",
    ";;",
    "; ;",
    ",",
    "\r\n ; ",
    "; x=y; ",
    '; x="; ',
    "; (x) ",
)
_ENCODINGS = (
    *(
        "base64",
        "BASE64",
        "base64;",
        '"base64"',
        "base64 (x)",
        "7bit",
        "8bit",
        "binary",
        "quoted-printable",
        "x-uuencode",
    ),
    *("base 64", " base64", "base64,", "8 bit", "", "uuencode", "=?utf-8?q?base64?=", "base-64", "none"),
)
_BOUNDARIES = ("b", "b1", "=_b", "b b", "b'", "'b'", "<b>", '"b"', "b;b", "(b)", "b(x)", "", " b", "b:b", "bé", "b/b?b")
_PIECES = (
    *(
        b"\r\n",
        b"\n",
        b"\r",
        b" ",
        b"\t",
        b'"',
        b";",
        b":",
        b"(",
        b")",
        b"<",
        b"\\",
        b"=",
        b"\0",
        b"--",
        b"\xc2\xa0",
        b",",
    ),
    *(
        b"\r\n\r\n",
        b"\r\n \r\n",
        b"X: y\r\n",
        b"\r\nx\r\n",
        b"\x0b",
        b"\x0c",
        b"\xff",
        b"*",
        b"'",
        b"?=",
        b"=?",
        b"\xe2\x80\x8b",
    ),
)
CRLF = "\r\n"
_EXEMPT = frozenset(  # where they have no name, and are in their place or shown
    {"application/pgp-signature", "application/pkcs7-signature", "application/pgp-encrypted", "message/delivery-status"}
    | {
        "message/feedback-report",
        "message/rfc822",
        "message/global",
        "image/png",
        "text/plain",
        "text/html",
        "text/calendar",
    }
    | {"text/rfc822-headers", "text"}  # the last is text/plain (RFC 2045 5.2)
)
_READ = ("message/rfc822", "message/global", "message/news")
_FILES = (PAY, "=50=4B", "#4$L#", "PK", f"begin 644 {NAME}\r\n#4$L#\r\n`\r\nend", "")


class _Writer:
    """Writes one message. `odd` is the share of its places that are written in a way that is not usual."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._odd = self._random.choice((0.0, 0.02, 0.05, 0.1, 0.3))

    def write(self) -> bytes:
        head = "From: a@example.gov\r\nTo: b@example.gov\r\nSubject: Hello\r\nMIME-Version: 1.0\r\n"
        content = (head + self._entity(self._random.choice((0, 1, 1, 1, 2, 3)))).encode()
        for _ in range(self._random.choice((0, 0, 0, 0, 1, 1, 2))):
            content = self._changed(content)
        return content if self._random.random() < 0.8 else content.replace(b"\r\n", b"\n")

    def _one(self, ways: tuple[str, ...], usual: int = 1) -> str:
        """Return one of the ways, mostly one of the usual ones, which are the first."""
        return self._random.choice(ways if self._random.random() < self._odd else ways[:usual])

    def _maybe(self, share: float) -> bool:
        return self._random.random() < share

    def _entity(self, depth: int) -> str:
        """Return a header and a body: the file itself, or a multipart or a message that holds it."""
        if depth == 0:
            return self._file()
        if self._maybe(0.1):
            return f"Content-Type: message/rfc822\r\n\r\nSubject: x\r\n{self._entity(depth - 1)}"
        boundary = self._one((f"b{depth}", *_BOUNDARIES))
        quoted = self._one((f'"{boundary}"', boundary))
        parts = [self._text(), self._entity(depth - 1)]
        if self._maybe(0.2):
            parts.reverse()
        if self._maybe(0.2):
            parts.append(self._text())
        close = f"\r\n--{boundary}--\r\n"
        body = "".join(f"\r\n--{boundary}\r\n{part}" for part in parts) + self._one(
            (close, f"{close}footer\r\n", ""), 2
        )
        extra = self._one(("", "; type=x", "; report-type=delivery-status", "; boundary=c"), 3)
        return (
            f"Content-Type: multipart/{self._one(_KINDS, 8)}{self._one(_SEPARATORS)}boundary={quoted}{extra}\r\n{body}"
        )

    def _text(self) -> str:
        kind = self._random.choice(("plain", "plain", "html", "calendar"))
        text = self._random.choice(("Hello.", "<p>Hello", '<img src="cid:one@x">', "<!-- cid:one@x -->", "cid:one@x"))
        return f"Content-Type: text/{kind}\r\n\r\n{text}\r\n"

    def _file(self) -> str:
        fields = []
        if self._maybe(0.9):
            fields.append(f"Content-Type: {self._one(_TYPES, 18)}{self._name(0.5)}")
        if self._maybe(0.6):
            fields.append(f"Content-Disposition: {self._one(_DISPOSITIONS, 4)}{self._name(0.8)}")
        if self._maybe(0.7):
            fields.append(f"Content-Transfer-Encoding: {self._one(_ENCODINGS)}")
        if self._maybe(0.3):
            fields.append("Content-ID: <one@x>")
        if odd := self._one(("", NAMED, "Content-Type: text/plain", "X-Mark", " folded", "Content-Type : a/b", " ")):
            fields.append(odd)
        self._random.shuffle(fields)
        header = "".join(f"{field}\r\n" for field in fields)
        return f"{self._one(('', CRLF, CRLF * 2))}{header}\r\n{self._one(_FILES)}\r\n"

    def _name(self, share: float) -> str:
        if not self._maybe(share):
            return ""
        rest = self._one(("", "; filename*1=.xlsx", "; filename*1*=%2Exlsx; filename*0=pay", "; x=y"))
        return f"{self._one(_SEPARATORS)}{self._one(_NAMES, 2)}={self._one(_VALUES, 2)}{rest}"

    def _changed(self, content: bytes) -> bytes:
        """Return the message with a piece put in, cut out or doubled, mostly in the header of some part."""
        seeded = self._random
        places = [at for at in range(len(content)) if content.startswith((b"Content-", b"--", b";", b"=", b"\r\n"), at)]
        at = seeded.choice(places) if places and self._maybe(0.8) else seeded.randrange(len(content))
        at = min(len(content), at + seeded.choice((0, 0, 1, 2, 8, 12, 13)))
        put = seeded.choice(_PIECES) if self._maybe(0.8) else content[at : at + 9]
        return content[:at] + put + content[at + seeded.choice((0, 0, 0, 1, 2, 4)) :]


def hide(seed: int) -> bytes:
    """Return a message that holds a file called pay.xlsx, written in some way that programs may read or not."""
    return _Writer(seed).write()


def silent(facts: Facts, shown: Mapping[str, Sequence[tuple[str, str]]]) -> list[str]:
    """Return the readers that show a file which the gate neither lists nor marks."""
    if facts.defects or any(file.type.startswith("message/") and file.type not in _READ for file in facts.attachments):
        return []  # a message of an unknown type is one file, whatever it holds
    ours = [file.name for file in facts.attachments]
    return [reader for reader, files in shown.items() if any(_is_missed(*file, ours) for file in files)]


def _is_missed(name: str, kind: str, ours: Sequence[str]) -> bool:
    """Return True for a file of the name that has another here, and for any file, but a part of its place, of none."""
    if NAME in name:
        return not any(NAME in each for each in ours)
    return not ours and not (kind in _EXEMPT and not name)


def shown_by_python(content: bytes) -> dict[str, list[tuple[str, str]]]:
    """Return the files that Python's `email` shows, by its old and its new interface."""
    policies = {"python": email.policy.compat32, "python's new interface": email.policy.default}
    return {name: list(_files(content, policy)) for name, policy in policies.items()}


def _files(content: bytes, policy: email.policy.Policy) -> Iterator[tuple[str, str]]:
    try:
        for part in email.message_from_bytes(content, policy=policy).walk():
            name, kind = part.get_filename() or "", part.get_content_type()
            text = kind.startswith("text/") and part.get_content_disposition() != "attachment"
            if name or not (part.is_multipart() or part.get_content_maintype() == "multipart" or text):
                yield " ".join(str(name).split()), kind
    except Exception:  # a program with this parser shows no more
        return


def encoded(content: bytes) -> str:
    return base64.b64encode(content).decode()
