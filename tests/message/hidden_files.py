"""Messages that hide a file from some program, by kind; and what ordinary senders write, which must be no defect."""

from __future__ import annotations

import base64
from typing import NamedTuple

from tests.message.samples import HEAD, message, mixed


class Hidden(NamedTuple):
    """A message, and what the gate must say of it: the name of a file, the type of one without a name, or a defect."""

    kind: str
    shows: str
    content: bytes


PAY = "UEsDBBQABgAIAAAAIQA="  # how a spreadsheet begins
SHEET = "application/vnd.ms-excel"
NAMED = "Content-Disposition: attachment; filename=pay.xlsx"


def beside(*header: str | bytes, body: str | bytes = PAY, kind: str = "mixed") -> bytes:
    """A text and another part."""
    return mixed("--b", "Content-Type: text/plain", "", "Hello.", "--b", *header, "", body, "--b--", kind=kind)


def alone(*header: str | bytes, body: str | bytes = PAY) -> bytes:
    """A message of one part."""
    return message(*HEAD, *header, "", body)


def shown_by(html: str, *header: str) -> bytes:
    """HTML that refers to the Content-ID of the part beside it."""
    lines = ("--b", "Content-Type: text/html", "", html, "--b", *header, "Content-ID: <one@x>", "", PAY, "--b--")
    return mixed(*lines, kind="related")


def page(html: str) -> bytes:
    return alone("Content-Type: text/html", body=html)


def calendar(*lines: str) -> bytes:
    event = ("BEGIN:VCALENDAR", "METHOD:REQUEST", "BEGIN:VEVENT", "UID:x", *lines, "END:VEVENT", "END:VCALENDAR")
    return beside("Content-Type: text/calendar; method=REQUEST", body="\r\n".join(event), kind="alternative")


def utf16(text: str, order: str = "be") -> str:
    return base64.b64encode(text.encode(f"utf-16-{order}")).decode()


IMG = '<img src="cid:one@x">'
PNG = "Content-Type: image/png; name=one.png"
UU = ("#4$L#", "`", "end")
HQX = (
    "(This file must be converted with BinHex 4.0)",
    ':#("KH5jiE(0i!&K-8c9B3d9-!!!!!!!$!!!!!")dB@*M%M3!!!:',
)
DATA = "data:application/vnd.ms-excel;base64,UEsDBBQABgAIAAAAIQA="

PLACES = [
    Hidden("signature", "pay.xlsx", beside("Content-Type: application/pgp-signature; name=pay.xlsx", kind="signed")),
    Hidden("signature", "pay.xlsx", beside("Content-Type: application/pkcs7-signature", NAMED, kind="signed")),
    Hidden(
        "signature that is no second part",
        "application/pgp-signature",
        mixed("--b", "Content-Type: application/pgp-signature", "", PAY, "--b", "", "Hi", "--b--", kind="signed"),
    ),
    Hidden("control part", "pay.xlsx", beside("Content-Type: application/pgp-encrypted", NAMED, kind="encrypted")),
    Hidden(
        "control part",
        "application/pgp-encrypted",
        beside("Content-Type: application/pgp-encrypted", body=f"{PAY}\r\n" * 99, kind="encrypted"),
    ),
    Hidden("report", "pay.xlsx", beside("Content-Type: message/delivery-status", NAMED, kind="report")),
    Hidden("report", "pay.xlsx", beside("Content-Type: message/feedback-report; name=pay.xlsx", kind="report")),
    Hidden("report", "pay.xlsx", beside("Content-Type: message/rfc822; name=pay.xlsx", kind="report")),
    Hidden("report", "pay.xlsx", beside("Content-Type: text/rfc822-headers; name=pay.xlsx", kind="report")),
]
IMAGES = [
    Hidden("cid: in a comment", "one.png", shown_by(f"<p>Hi<!-- {IMG} -->", PNG)),
    Hidden("cid: in an open comment", "one.png", shown_by(f"<p>Hi<!-- {IMG}", PNG)),
    Hidden("cid: in text", "one.png", shown_by("<p>Not cid:one@x", PNG)),
    Hidden("cid: in text", "one.png", shown_by('<p>src="cid:one@x"', PNG)),
    Hidden("cid: in a comment, of many", "one.png", shown_by(f"<!-- {IMG} -->{IMG.replace('e@', '@') * 20}", PNG)),
    Hidden("cid: in a title", "one.png", shown_by(f"<title>{IMG}</title><p>Hi", PNG)),
    Hidden("cid: in a script", "one.png", shown_by(f"<script>{IMG}</script><p>Hi", PNG)),
    Hidden("cid: in a link", "one.png", shown_by('<a href="cid:one@x">this</a>', PNG)),
    Hidden("cid: in another attribute", "one.png", shown_by('<p title="src=cid:one@x">Hi', PNG)),
    Hidden("cid: in another attribute", "one.png", shown_by(f"<p title='{IMG}'>Hi", PNG)),
    Hidden("cid: of a hidden picture", "one.png", shown_by('<img hidden src="cid:one@x">', PNG)),
    Hidden("cid: of a hidden picture", "one.png", shown_by('<img style="display:none" src="cid:one@x">', PNG)),
    *(
        Hidden("image that is not shown", f"image/{each}", shown_by(IMG, f"Content-Type: image/{each}"))
        for each in ("tiff", "vnd.dwg", "svg+xml", "x-anything")
    ),
    Hidden("image with another name", "pay.xlsx", shown_by(IMG, "Content-Type: image/png; name=pay.xlsx")),
    Hidden(
        "image with another name",
        "pay.xlsx",
        shown_by(IMG, "Content-Type: image/png", NAMED[:22] + "inline" + NAMED[31:]),
    ),
]
DISPOSITIONS = [
    Hidden("disposition", "text/plain", beside("Content-Disposition: whatever")),
    Hidden("disposition", "text/plain", beside("Content-Disposition: X-attached; size=3")),
    Hidden("disposition", "malformed-disposition", beside('Content-Disposition: "attachment"')),
    Hidden("disposition", "malformed-disposition", beside("Content-Disposition: =?utf-8?q?attachment?=")),
    Hidden("disposition", "malformed-disposition", beside("Content-Disposition: attach ment")),
    Hidden("disposition", "malformed-disposition", beside("Content-Disposition: (x) attachment")),
    Hidden("disposition", "malformed-disposition", beside("Content-Disposition: filename=pay.xlsx")),
    *(
        Hidden("disposition", shows, beside(f"Content-Disposition: {value}"))
        for value in ("attachment, filename=pay.xlsx", "attachment filename=pay.xlsx", "inline filename=pay.xlsx")
        for shows in ("pay.xlsx", "malformed-disposition")
    ),
    Hidden("disposition", "pay.xlsx", beside('Content-Disposition: inline, filename="pay.xlsx"')),
    Hidden("disposition", "pay.xlsx", beside("Content-Disposition: inline; name=pay.xlsx")),
    Hidden("disposition", "pay.xlsx", beside("Content-Type: text/plain; filename=pay.xlsx")),
    Hidden("disposition", "malformed-parameter", beside("Content-Disposition: inline; a=b,filename=pay.xlsx")),
    Hidden("type", "malformed-content-type", beside("Content-Type: text/plain, name=pay.xlsx")),
    Hidden("type", "malformed-content-type", beside("Content-Type: text/plain name=pay.xlsx")),
    Hidden("type", "malformed-content-type", beside("Content-Type:")),
]
MIME = f"Content-Type: {SHEET}; name=pay.xlsx"
STRUCTURE = [
    Hidden("empty line before the fields", "header-in-body", beside("", MIME)),
    Hidden("empty line before the fields", "header-in-body", beside("", "", "", MIME)),
    Hidden("empty line before the fields", "malformed-header", beside(" ", MIME)),
    Hidden("empty line before the fields", "header-in-body", beside("X-Mark: 1", "", MIME)),
    Hidden("empty line before the fields", "header-in-body", beside("", NAMED)),
    Hidden("empty line before the fields", "header-in-body", beside("", "content-transfer-encoding : base64", MIME)),
    Hidden("a part without a header", "header-in-body", alone(body=f"--b\r\n{MIME}\r\n\r\n{PAY}\r\n--b--")),
    Hidden("a part without a header", "header-in-body", alone(body=f"\r\n--b\r\n{NAMED}\r\n\r\n{PAY}\r\n--b--")),
    Hidden(
        "a part without a header",
        "header-in-body",
        alone(body=f"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n{MIME}\r\n\r\n{PAY}\r\n--b--"),
    ),
    *(
        Hidden("boundary without multipart", "stray-boundary", alone(head, body=f"--c\r\n{MIME}\r\n\r\n{PAY}\r\n--c--"))
        for head in ("Content-Type: text/plain; boundary=c", "Content-Type: application/x; boundary=c")
    ),
    Hidden(
        "boundary without multipart",
        "stray-boundary",
        beside("Content-Type: message/rfc822; boundary=c", body=f"X: y\r\n\r\n--c\r\n{MIME}\r\n\r\n{PAY}\r\n--c--"),
    ),
    *(
        Hidden("unknown type", each, beside(f"Content-Type: {each}"))
        for each in ("foo/bar", "x-text/plain", "texts/plain", "message/foo", "foo/mixed")
    ),
    *(
        Hidden("text that is not shown", each, beside(f"Content-Type: {each}"))
        for each in ("text/csv", "text/rtf", "text/vcard", "text/x-vcard", "text/x-own", "text/rfc822-headers")
    ),
]
PARAMETERS = [
    *(
        Hidden("parameter", "malformed-parameter", beside(f"Content-Disposition: inline; {given}"))
        for given in (
            "filename(x)=pay.xlsx",
            "filename[]=pay.xlsx",
            "<filename>=pay.xlsx",
            "'filename'=pay.xlsx",
            "filename**=pay.xlsx",
            "filename*x*=pay.xlsx",
            "filename*00000=pay.xlsx",
            "filename*1=.xlsx; filename*0=pay",
            "filename*1=pay.xlsx",
            "filename=<pay.xlsx>",
            "filename=[pay.xlsx]",
            "filename='pay.xlsx'",
            "filename=(x)pay.xlsx",
            "filename=)pay.xlsx",
            "filename*0*==?utf-8?q?pay.xlsx?=",
        )
    ),
    *(
        Hidden("parameter", "pay.xlsx", beside(f"Content-Disposition: inline; {given}"))
        for given in (
            "filename*0*=pay.xlsx",
            "filename*0*=pay; filename*1*=%2Exlsx",
            "filename*=pay.xlsx",
            "filename*=utf-8''pay.xlsx",
            "filename*=''pay.xlsx",
            "filename*1=.xlsx; filename*0=pay",
            "filename=<pay.xlsx>",
            "filename=[pay.xlsx]",
            "filename='pay.xlsx'",
            "filename=(x)pay.xlsx",
            "filename(x)=pay.xlsx",
        )
    ),
    *(
        Hidden("boundary", "malformed-parameter", mixed(f"--{cut}", MIME, "", PAY, f"--{cut}--").replace(b'"b"', given))
        for cut, given in (("c", b"'c'"), ("c", b"<c>"), ("c", b"(x)c"), ("c", b"[c]"))
    ),
]
CHARSETS = [
    Hidden(
        "utf-16", "unmarked-utf-16", beside(f"Content-Disposition: inline; filename==?utf-16?b?{utf16('pay.xlsx')}?=")
    ),
    Hidden("utf-16", "pay.xlsx", beside(f"Content-Disposition: inline; filename==?utf-16?b?{utf16('pay.xlsx')}?=")),
    Hidden(
        "utf-16", "unmarked-utf-16", alone("X: y").replace(b"Hello", f"=?utf-16?b?{utf16('Hello', 'le')}?=".encode())
    ),
    Hidden(
        "utf-16",
        "unmarked-utf-16",
        alone("Content-Type: text/plain; charset=utf-16", body="https://x.example".encode("utf-16-be")),
    ),
    Hidden("utf-16", "unmarked-utf-16", beside("Content-Disposition: inline; filename*=utf-16''%00p%00a%00y")),
]
ADDRESSES = [
    *(
        Hidden("encoded word in an address", "malformed-recipients", message(*HEAD[::2], f"To: {to}", "", "x"))
        for to in (
            "=?utf-8?q?ann=40example.gov?=",
            "<=?utf-8?q?ann?=@example.gov>",
            "Ann <=?utf-8?q?ann=40example.gov?=>",
            "ann@=?utf-8?q?example.gov?=",
            "bob@example.gov, =?utf-8?b?YW5uQGV4YW1wbGUuZ292?=",
        )
    ),
]
ENCODINGS = [
    *(
        Hidden("transfer encoding", "unknown-encoding", beside(MIME, f"Content-Transfer-Encoding: {given}"))
        for given in (
            "base64;x",
            '"base64"',
            "base64 (x)",
            "base 64",
            "base64,",
            "=?utf-8?q?base64?=",
            "base64.",
            "base64;",
        )
    ),
    *(
        Hidden("transfer encoding", "unknown-encoding", alone(f"Content-Transfer-Encoding: {given}", body="=55=55"))
        for given in ('"quoted-printable"', "quoted printable", "quoted-printable;", "quoted-printable\x0b", "x-qp")
    ),
    *(
        Hidden(
            "quoted-printable",
            "malformed-quoted-printable",
            make("Content-Transfer-Encoding: quoted-printable", body=body),
        )
        for make in (alone, beside)
        for body in ("Hello =ZZ there", "=5", "a ==41 b", "=4\r\n1")
    ),
    Hidden(
        "quoted-printable",
        "malformed-quoted-printable",
        beside(MIME, "Content-Transfer-Encoding: quoted-printable", body="=41=ZZ"),
    ),
]
IN_TEXTS = [
    *(
        Hidden("uuencode", "pay.xlsx", alone(body="\r\n".join(("Hi", *begin, *UU))))
        for begin in (
            ("begin 644 pay.xlsx",),
            ("begin  644  pay.xlsx",),
            ("begin\t644 pay.xlsx",),
            ("begin 644 pay.xlsx", ""),
            ("begin 644 pay.xlsx", "", " ", ""),
            ("begin 0100644 pay.xlsx",),
            ("begin 7 pay.xlsx",),
        )
    ),
    Hidden("uuencode", "malformed-uuencode", alone(body="begin 644 pay.xlsx\r\nzz\r\nend")),
    Hidden("uuencode", "pay.xlsx", alone(body="begin-base64  644 pay.xlsx\r\n\r\nUEsDBBQABgAI\r\n====")),
    Hidden("binhex", "pay.xlsx", alone(body="\r\n".join(HQX))),
    Hidden("binhex", "pay.xlsx", alone(body="\r\n".join((HQX[0], "", HQX[1])))),
    Hidden("binhex", "malformed-uuencode", alone(body="\r\n".join((HQX[0], ":~~~")))),
    Hidden("binhex", "pay.xlsx", beside("Content-Type: text/plain", body="\r\n".join(("Look:", *HQX)))),
]
CALENDARS = [
    Hidden("calendar", "pay.xlsx", calendar(f"ATTACH;ENCODING=BASE64;VALUE=BINARY;X-FILENAME=pay.xlsx:{PAY}")),
    Hidden("calendar", "pay.xlsx", calendar(f'ATTACH;FMTTYPE={SHEET};FILENAME="pay.xlsx";ENCODING=BASE64:{PAY}')),
    Hidden("calendar", SHEET, calendar(f"ATTACH;FMTTYPE={SHEET};VALUE=BINARY:{PAY}")),
    Hidden("calendar", SHEET, calendar(f"ATTACH:{DATA}")),
    Hidden("calendar", SHEET, calendar(f"ATT\r\n ACH:dat\r\n\ta:{DATA[5:]}")),
    Hidden("calendar", "a:b.xlsx", calendar(f'attach;x-filename="a:b.xlsx";encoding=base64:{PAY}')),
    Hidden("calendar", SHEET, alone("Content-Type: text/calendar", body=f"BEGIN:VEVENT\r\nATTACH:{DATA}")),
]
DOWNLOADS = [
    Hidden("download", "pay.xlsx", page(f'<a download="pay.xlsx" href="{DATA}">pay</a>')),
    Hidden("download", "pay.xlsx", page(f"<A HREF='{DATA}' DOWNLOAD=pay.xlsx>pay</A>")),
    Hidden("download", SHEET, page(f'<a href="{DATA}" download>pay</a>')),
    Hidden("download", SHEET, page(f'<a href="{DATA}">pay</a>')),
    Hidden("download", SHEET, page(f'<a href="&#100;ata{DATA[4:]}">pay</a>')),
    Hidden("download", SHEET, page(f'<a href=" da\nta{DATA[4:]}">pay</a>')),
    Hidden("download", SHEET, page(f'<map><area href="DATA{DATA[4:]}"></map>')),
    Hidden("download", SHEET, page(f'<object data="{DATA}"></object>')),
    Hidden("download", SHEET, page(f'<iframe src="{DATA}"></iframe>')),
    Hidden("download", SHEET, page(f'<embed src="{DATA}">')),
    Hidden("download", "text/plain", page('<a href="data:,pay">pay</a>')),
]
HIDDEN = [
    *(*PLACES, *IMAGES, *DISPOSITIONS, *STRUCTURE, *PARAMETERS, *CHARSETS, *ADDRESSES, *ENCODINGS, *IN_TEXTS),
    *(*CALENDARS, *DOWNLOADS),
]


class Ordinary(NamedTuple):
    """A message with as many files as a mail program shows, and no defect."""

    kind: str
    content: bytes
    files: int = 0


def signed(*header: str, kind: str = "signed") -> bytes:
    return beside(*header, body="Version: 1", kind=kind)


def to(field: str) -> bytes:
    return message(*HEAD[::2], f"To: {field}", "", "x")


BASE64 = "Content-Transfer-Encoding: base64"
FOOTER = "_______________________________________________\r\nA mailing list\r\nhttps://lists.example.org/a\r\n"
ORDINARY = [
    Ordinary("signature", signed("Content-Type: application/pgp-signature")),
    Ordinary("signature", signed("Content-Type: application/pgp-signature; name=signature.asc")),
    Ordinary(
        "signature",
        signed(
            "Content-Type: application/pgp-signature; name=OpenPGP_signature.asc",
            "Content-Disposition: attachment; filename=OpenPGP_signature.asc",
        ),
    ),
    Ordinary("signature", signed("Content-Type: application/pkcs7-signature; name=smime.p7s")),
    Ordinary("signature", signed('Content-Type: application/x-pkcs7-signature; name="smime.p7m"')),
    Ordinary("control part", signed("Content-Type: application/pgp-encrypted", kind="encrypted")),
    Ordinary("report", beside("Content-Type: message/delivery-status", body="Action: failed", kind="report")),
    Ordinary("report", beside("Content-Type: message/delivery-status; name=ATT00001.dat", body="x: y", kind="report")),
    Ordinary(
        "report",
        beside("Content-Type: message/disposition-notification; name=MDNPart2.txt", body="x: y", kind="report"),
    ),
    Ordinary("8 bit", alone("Content-Transfer-Encoding: 8 bit", body="x")),
    Ordinary("8 bit", alone("Content-Transfer-Encoding: 8-bit", body="x")),
    Ordinary("8 bit", alone("Content-Transfer-Encoding: 7 Bit", body="x")),
    Ordinary(
        "8 bit", mixed("--b", "", "x", "--b--").replace(b"Subject", b"Content-Transfer-Encoding: 8 bit\r\nSubject")
    ),
    *(
        Ordinary("charset", alone(f"Content-Type: text/plain; charset={charset}", body="x"))
        for charset in ("utf8mb4", "cp-850", "UTF_8", "iso88591", "ISO8859-15", "windows1252", "cp-1252", "utf-8-sig")
    ),
    Ordinary("charset", alone("Content-Type: text/plain; charset=utf-16", body="Hi".encode("utf-16"))),
    Ordinary("charset", alone("Content-Type: text/plain; charset=utf-16le", body="Hi".encode("utf-16-le"))),
    Ordinary(
        "charset",
        beside('Content-Disposition: attachment; filename="=?utf8mb4?q?a?=.txt"').replace(
            b"=?utf8mb4?q?a?=.txt", b"=?utf8mb4?q?a.txt?="
        ),
        1,
    ),
    Ordinary("semicolons in To", to("ann@example.gov; bob@example.gov")),
    Ordinary("semicolons in To", to("Ann <ann@example.gov>; Bob <bob@example.gov>;")),
    Ordinary("colon in a name", to("Dept: Health <ann@example.gov>")),
    Ordinary("colon in a name", to("Dept: Health <ann@example.gov>, Re: Bob <bob@example.gov>")),
    Ordinary("colon in a name", message("From: Dept: Health <ann@example.gov>", *HEAD[1:], "", "x")),
    Ordinary("footer after base64", alone(BASE64, body=f"SGVsbG8sIHdvcmxk\r\n{FOOTER}")),
    Ordinary("footer after base64", alone(BASE64, body=f"SGVsbG8sIHdvcmxkLg==\r\n\r\n{FOOTER}")),
    Ordinary(
        "footer after base64", beside("Content-Type: text/html", BASE64, body=f"SGVsbG8sIHdvcmxkLg==\r\n\r\n{FOOTER}")
    ),
    Ordinary("footer after base64", alone(BASE64, body="SGVsbG8sIHdvcmxkLg==\r\n-- \r\nA footer, of a list")),
    Ordinary("picture", shown_by(IMG, PNG)),
    Ordinary("picture", shown_by("<td background=cid:one@x>Hi", "Content-Type: image/jpeg")),
    Ordinary("picture", shown_by("<div style=\"background:url('cid:one@x')\">Hi", "Content-Type: image/gif")),
    Ordinary(
        "picture",
        shown_by('<img width="3" alt="a>b" src="cid:one%40x">', 'Content-Type: image/png; name="image001.png"'),
    ),
    Ordinary("picture", shown_by("<IMG\nSRC=cid:one@x>", "Content-Type: image/x-png; name=Outlook-1a2b")),
    Ordinary("picture", page('<img src="data:image/png;base64,UEsD">')),
    Ordinary("text", alone(body="Hello.\r\n-- \r\nContent-Type: is a field")),
    Ordinary("text", alone(body="--------\r\nOn Monday we meet.\r\n")),
    Ordinary("text", alone("Content-Type: text/plain; boundary=c", body="Hello.")),
    Ordinary("text", page("<p>To download data: click")),
    Ordinary("text", page('<a download="pay.xlsx" href="https://x.example/pay.xlsx">pay</a>')),
    Ordinary("text", alone("Content-Transfer-Encoding: quoted-printable", body="a =3d b =\r\nc=20\r\n=  \r\nx=\r\n")),
    Ordinary("text", alone(body="begin 644 times\r\nand end\r\n\r\nAbout BinHex: old.\r\n")),
    Ordinary("text", beside("Content-Type: text/enriched", body="<bold>x</bold>")),
    Ordinary("text", beside("Content-Type: text/x-amp-html", body="x", kind="alternative")),
    Ordinary("calendar", calendar("ATTACH;FILENAME=a.pdf;FMTTYPE=application/pdf:https://drive.example/a")),
    Ordinary("calendar", calendar("DESCRIPTION:attach data: later")),
    Ordinary("disposition", beside("Content-Disposition: INLINE", body="x")),
    Ordinary("disposition", beside("Content-Disposition: inline;", body="x")),
    Ordinary("disposition", beside("Content-Disposition: attachment ; filename=a.pdf;", body="x"), 1),
    Ordinary("disposition", beside("Content-Disposition: attachment (x); filename=a.pdf", body="x"), 1),
    Ordinary("parameter", beside("Content-Type: text/plain; charset='utf-8'", body="x")),
    Ordinary("parameter", beside("Content-Disposition: attachment; filename=report(1).pdf", body="x"), 1),
    Ordinary("parameter", beside('Content-Disposition: attachment; filename="[draft] a.pdf"', body="x"), 1),
    Ordinary("parameter", beside("Content-Disposition: attachment; filename=o'hara.pdf", body="x"), 1),
    Ordinary("parameter", beside("Content-Disposition: attachment; filename=a,b.pdf", body="x"), 1),
]
