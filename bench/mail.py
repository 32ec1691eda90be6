"""Messages of an organisation: each of 3,000 people writes subjects and texts of their own, to somebody of their own.

Texts are sentences of common words, so that subjects, keys and fingerprints differ from message to message as in mail.
"""

from __future__ import annotations

import base64
import binascii
import os
import random
from collections.abc import Callable, Mapping
from email.utils import formatdate

from tests.message.changes import WORDS

SENDERS = 3_000
_SENTENCES, _PLAIN, _OFFICE = 500, 66, 24  # sentences that texts are made of; of a plain message; of an office message
_LOGO_OCTETS = 11_000
_NAMES = ("Ann Miller", "Robert Smith", "Jo Nguyen", "Maria Lopez", "Peter Jones", "Ruth Weber", "Sam Green")
_SIGNATURE = ("Kind regards,", "{name}", "Department of Administration", "Capitol Complex, room 40", "406-555-0100")
_STYLE = "p.Mso{n}, li.Mso{n}, div.Mso{n}\r\n\t{{margin:0in; font-size:11.0pt; font-family:Calibri,sans-serif;}}\r\n"
_HEAD = (
    '<html xmlns:o="urn:schemas-microsoft-com:office:office">\r\n<head><style><!--\r\n{style}--></style></head>\r\n'
    "<body lang=EN-US link=blue vlink=purple>\r\n<div class=WordSection1>\r\n"
).format(style="".join(_STYLE.format(n=n) for n in range(70)))
_PARAGRAPH = "<p class=MsoNormal><span style='font-size:11.0pt;color:#1F497D'>{}<o:p></o:p></span></p>\r\n"
_IMAGE = '<p class=MsoNormal><img width=180 height=60 src="cid:logo.png@example.gov" alt=Seal></p>\r\n'


class Writer:
    """A writer of messages, which differ from those of any other process."""

    def __init__(self) -> None:
        self._random = random.Random(os.getpid())
        self._sentences = [self._sentence() for _ in range(_SENTENCES)]
        encoded = base64.encodebytes(self._random.randbytes(_LOGO_OCTETS)).replace(b"\n", b"\r\n")
        fields = 'Content-Type: image/png; name="logo.png"\r\nContent-ID: <logo.png@example.gov>\r\n'
        self._logo = f"{fields}Content-Transfer-Encoding: base64\r\n\r\n".encode() + encoded

    def _sentence(self) -> str:
        words = self._random.choices(WORDS, k=self._random.randint(6, 14))
        return " ".join([words[0].capitalize(), *words[1:]]) + "."

    def write(self, kind: str, number: int) -> tuple[bytes, bytes]:
        """Return the envelope of a message, MAIL to DATA, and its content with the dot."""
        sender, recipient = f"p{number % SENDERS}@doa.example.gov", f"p{number % SENDERS}@dphhs.example.gov"
        name = _NAMES[number % SENDERS % len(_NAMES)]  # the same each time
        fields = (
            "Received: from mail.doa.example.gov (mail.doa.example.gov [192.0.2.25])\r\n\tby mx.example.gov with ESMTPS"
            f" id {number:x}; {formatdate()}",
            f'From: "{name}" <{sender}>',
            f"To: <{recipient}>",
            f"Subject: {' '.join(self._random.choices(WORDS, k=5))} {os.getpid()}",
            f"Date: {formatdate()}",
            f"Message-ID: <{os.getpid()}.{number}@doa.example.gov>",
            "MIME-Version: 1.0",
        )
        content = "\r\n".join(fields).encode() + b"\r\n" + KINDS[kind](self, name)
        stuffed = content.replace(b"\r\n.", b"\r\n..") + b".\r\n"
        return f"MAIL FROM:<{sender}>\r\nRCPT TO:<{recipient}>\r\nDATA\r\n".encode(), stuffed

    def plain(self, name: str) -> bytes:
        """Return a text of 5 KB, from its first MIME field on."""
        lines = self._random.choices(self._sentences, k=_PLAIN)
        return "\r\n".join(["Content-Type: text/plain; charset=utf-8", "", *lines, ""]).encode()

    def office(self, name: str) -> bytes:
        """Return a text in two forms with a signature and a logo, 30 KB, from its first MIME field on."""
        lines = [*self._random.choices(self._sentences, k=_OFFICE), *(line.format(name=name) for line in _SIGNATURE)]
        html = _HEAD + "".join(map(_PARAGRAPH.format, lines)) + _IMAGE + "</div></body></html>\r\n"
        texts = _multipart("alternative", _text("plain", "\r\n".join(lines) + "\r\n"), _text("html", html))
        return _multipart("related", texts, self._logo)


KINDS: Mapping[str, Callable[[Writer, str], bytes]] = {"plain": Writer.plain, "office": Writer.office}


def _text(kind: str, text: str) -> bytes:
    fields = f"Content-Type: text/{kind}; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
    return fields.encode() + binascii.b2a_qp(text.encode(), istext=True)


def _multipart(kind: str, *parts: bytes) -> bytes:
    boundary = f"=_{kind}_of_an_office".encode()
    body = b"".join(b"--%b\r\n%b\r\n" % (boundary, part) for part in parts)
    return b'Content-Type: multipart/%b; boundary="%b"\r\n\r\n%b--%b--\r\n' % (kind.encode(), boundary, body, boundary)
