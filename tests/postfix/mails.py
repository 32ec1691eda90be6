"""Mail to send through Postfix: ordinary, real, and odd, each from a seed. Line ends are CRLF."""

from __future__ import annotations

import base64
import textwrap
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from random import Random

WORDS = ("budget", "meeting", "road", "parcel", "licence", "annual", "water", "forest", "court", "form", "permit")


@dataclass(frozen=True)
class Letter:
    """One message to inject: the envelope, with ESMTP parameters, and the content."""

    kind: str
    sender: str
    recipients: tuple[str, ...]
    content: bytes = field(repr=False)
    parameters: tuple[str, ...] = ()  # of MAIL
    each: tuple[str, ...] = ()  # of every RCPT
    queue_id: str = ""  # what Postfix called it, once it took it


def ordinary(random: Random, number: int) -> Letter:
    """A short text from one person to a few others, a fifth of them outside."""
    sender = f"writer{number}@doa.example.gov"
    subject = " ".join(random.choices(WORDS, k=4))
    body = textwrap.fill(" ".join(random.choices(WORDS, k=random.randint(5, 400))), 72).replace("\n", "\r\n")
    content = f"{_head(sender, f'{subject} {number}', number)}\r\n{body}\r\n".encode()
    return Letter("ordinary", sender, _readers(random, number), content)


def real(random: Random, number: int, content: bytes) -> Letter:
    """A message as somebody once wrote it, under an envelope of ours."""
    return Letter("real", f"writer{number}@doa.example.gov", _readers(random, number), content)


def odd(random: Random, count: int, first: int = 0) -> Iterator[Letter]:
    """So many messages that a careless relay would change, lose or send twice: all kinds in turn."""
    for number in range(first, first + count):
        kind = KINDS[number % len(KINDS)]
        yield replace(_MAKERS[kind](random, number), kind=kind)


def mixture(seed: int, count: int, odd_count: int, corpus: Sequence[bytes]) -> list[Letter]:
    """`count` messages in random order: the real ones, `odd_count` odd ones, the rest ordinary; some sent twice."""
    random = Random(seed)
    letters = [real(random, number, content) for number, content in enumerate(corpus)]
    letters += odd(random, odd_count, first=len(letters))
    letters += (ordinary(random, number) for number in range(len(letters), count - odd_count // 20))
    letters += random.sample(letters, count - len(letters))  # duplicates, octet for octet
    random.shuffle(letters)
    return letters


# -- envelopes ---------------------------------------------------------------------------------------------------


def _readers(random: Random, number: int, most: int = 4) -> tuple[str, ...]:
    return _people(random, number, random.randint(1, most))


def _people(random: Random, number: int, count: int) -> tuple[str, ...]:
    domains = ["dphhs.example.gov", "deq.example.gov", "doa.example.gov", "library.example.gov", "example.org"]
    return tuple(f"reader{number}.{each}@{random.choice(domains)}" for each in range(count))


def _head(sender: str, subject: str, number: int) -> str:
    return (
        f"From: {sender}\r\nTo: undisclosed-recipients:;\r\nSubject: {subject}\r\n"
        f"Date: Mon, 5 Jan 2026 10:00:00 -0700\r\nMessage-ID: <{number}@doa.example.gov>\r\n"
    )


def _letter(random: Random, number: int, body: bytes, *, extra: str = "", **changes: object) -> Letter:
    """An ordinary envelope and header about a body that is odd, or the other way round."""
    sender = f"writer{number}@doa.example.gov"
    content = (_head(sender, f"odd {number}", number) + extra).encode() + b"\r\n" + body
    letter = Letter("", sender, _readers(random, number), content)
    return replace(letter, **changes)  # type: ignore[arg-type]


# -- odd contents ------------------------------------------------------------------------------------------------


def _eight_bit_header(random: Random, number: int) -> Letter:
    name = random.choice(["Grüße", "Ω", "naïve"]).encode(random.choice(["utf-8", "utf-16-le"])).replace(b"\0", b"\xa0")
    head = _head(f"writer{number}@doa.example.gov", "", number).encode().replace(b"Subject: ", b"Subject: " + name)
    return _letter(random, number, b"", content=head + b"\r\nK\xf6ln\r\n", parameters=("BODY=8BITMIME",))


def _eight_bit_body(random: Random, number: int) -> Letter:
    body = bytes(random.choice(range(128, 256)) for _ in range(2000))
    return _letter(random, number, body + b"\r\n", parameters=random.choice([(), ("BODY=8BITMIME",)]))


def _no_header(random: Random, number: int) -> Letter:
    return _letter(random, number, b"", content=b"%d: no header at all\r\nSubject: not one\r\n" % number)


def _blank_header(random: Random, number: int) -> Letter:
    return _letter(random, number, b"", content=b"\r\n%d: the body begins at once\r\n" % number)


def _empty_body(random: Random, number: int) -> Letter:
    return _letter(random, number, b"")


def _header_alone(random: Random, number: int) -> Letter:
    return _letter(random, number, b"", content=_head("a@doa.example.gov", f"alone {number}", number).encode())


def _nothing(random: Random, number: int) -> Letter:
    return _letter(random, number, b"", content=b"")


def _dots(random: Random, number: int) -> Letter:
    lines = (random.choice([b".", b"..", b"...", b".a", b". ", b"", b"a.", b"\t."]) for _ in range(200))
    return _letter(random, number, b"".join(line + b"\r\n" for line in lines))


def _long_lines(random: Random, number: int) -> Letter:
    lengths = [510, 997, 998, 999, 2047, 2048, 2049, 4096, 65_535, 120_000]
    return _letter(random, number, b"".join(b"x" * length + b"\r\n" for length in random.sample(lengths, 5)))


def _no_final_newline(random: Random, number: int) -> Letter:
    return _letter(random, number, b"it ends without a line end")


def _blank_lines(random: Random, number: int) -> Letter:
    return _letter(random, number, b"\r\n" * random.randint(1, 500))


def _blanks(random: Random, number: int) -> Letter:
    body = b" \r\n\t\r\ntrailing \t \r\n   leading\r\n\x0c\r\n"
    return _letter(random, number, body, extra="X-Folded: one\r\n \ttwo\r\n  three \r\nX-Empty:\r\nX-Blank: \r\n")


def _controls(random: Random, number: int) -> Letter:
    octets = [each for each in range(1, 32) if each not in (10, 13)] + [127]
    return _letter(random, number, bytes(random.choices(octets, k=500)) + b"\r\n")


def _huge_header(random: Random, number: int) -> Letter:
    ids = "".join(f"\r\n <{random.getrandbits(96):x}@example.org>" for _ in range(1200))
    fields = "".join(f"X-Field-{each}: {'v' * 60}\r\n" for each in range(300))
    return _letter(random, number, b"text\r\n", extra=f"References:{ids}\r\n{fields}")


def _oversize_field(random: Random, number: int) -> Letter:
    return _letter(random, number, b"text\r\n", extra=f"X-Large: {'w ' * 60_000}\r\n")


def _many_hops(random: Random, number: int) -> Letter:
    hops = "".join(f"Received: from h{hop}.example.org by h{hop + 1}.example.org; today\r\n" for hop in range(35))
    return _letter(random, number, b"far\r\n", extra=hops)


def _twice_the_same_field(random: Random, number: int) -> Letter:
    extra = f"Subject: another {number}\r\nFrom: b@doa.example.gov\r\nMESSAGE-ID: <b{number}@example.gov>\r\n"
    return _letter(random, number, b"text\r\n", extra=extra)


def _broken_fields(random: Random, number: int) -> Letter:
    return _letter(random, number, b"text\r\n", extra="Spaced : x\r\n: no name\r\nNo-Colon\r\nX-Late: y\r\n")


def _mbox(random: Random, number: int) -> Letter:
    body = b"From here on\r\n>From there\r\n>>From\r\n\r\nFrom a@example.org Mon Jan  5 10:00:00 2026\r\n"
    return _letter(random, number, body)


def _nested_mime(random: Random, number: int) -> Letter:
    body, kind = b"the innermost\r\n", "text/plain"
    for depth in range(random.randint(5, 30)):
        mark = f"=_{depth}".encode()
        part = b"Content-Type: " + kind.encode() + b"\r\n\r\n" + body
        body = b"--" + mark + b"\r\n" + part + b"\r\n--" + mark + b"--\r\n"
        kind = f'multipart/mixed; boundary="{mark.decode()}"'
    return _letter(random, number, body, extra=f"MIME-Version: 1.0\r\nContent-Type: {kind}\r\n")


def _unclosed_mime(random: Random, number: int) -> Letter:
    body = b"preamble\r\n--b\r\nContent-Type: text/html; charset=nonsense\r\n\r\n<p>\r\n--b\r\n--c--\r\n--b"
    return _letter(random, number, body, extra="Content-Type: multipart/alternative; boundary=b\r\n")


def _enclosed_message(random: Random, number: int) -> Letter:
    inner = b"".join([b"From: x@example.org\r\nBcc: y@example.org\r\nReturn-Path: <z@example.org>\r\n\r\n.inner\r\n"])
    return _letter(random, number, inner, extra="MIME-Version: 1.0\r\nContent-Type: message/rfc822\r\n")


def _uuencode(random: Random, number: int) -> Letter:
    lines = [b"M" + bytes(random.choices(range(32, 97), k=60)) for _ in range(50)]
    return _letter(random, number, b"begin 644 form.pdf\r\n" + b"\r\n".join([*lines, b"`", b"end", b""]))


def _attachment(random: Random, number: int) -> Letter:
    body = base64.encodebytes(random.randbytes(random.randint(1, 150_000))).replace(b"\n", b"\r\n")
    extra = "MIME-Version: 1.0\r\nContent-Type: application/pdf\r\nContent-Transfer-Encoding: base64\r\n"
    return _letter(random, number, body, extra=extra)


# -- odd envelopes -----------------------------------------------------------------------------------------------


def _smtputf8(random: Random, number: int) -> Letter:
    sender = f"jörg{number}@doa.example.gov"
    content = _head(sender, "Grüße aus Köln", number).encode() + b"\r\nK\xc3\xb6ln\r\n"
    readers = (f"ünal{number}@dphhs.example.gov", f"reader{number}@bücher.example.org")
    return Letter("", sender, readers, content, ("SMTPUTF8", "BODY=8BITMIME"))


def _dsn(random: Random, number: int) -> Letter:
    parameters = (f"RET={random.choice(['FULL', 'HDRS'])}", f"ENVID=QQ+2B{number}")
    wanted = random.choice(["NEVER", "FAILURE", "FAILURE,DELAY", "SUCCESS,FAILURE,DELAY"])
    each = (f"NOTIFY={wanted}", f"ORCPT=rfc822;first+2B{number}@example.gov")
    return _letter(random, number, b"text\r\n", parameters=parameters, each=each)


def _null_sender(random: Random, number: int) -> Letter:
    return _letter(random, number, b"nobody sent this\r\n", sender="")


def _report(random: Random, number: int) -> Letter:
    extra = "MIME-Version: 1.0\r\nContent-Type: multipart/report; report-type=delivery-status; boundary=b\r\n"
    status = b"Reporting-MTA: dns; mx.example.org\r\n\r\nFinal-Recipient: rfc822; a@example.org\r\nAction: failed\r\n"
    parts = b"--b\r\n\r\nsorry\r\n--b\r\nContent-Type: message/delivery-status\r\n\r\n" + status + b"\r\n--b--\r\n"
    return _letter(random, number, parts, extra=extra, sender="")


def _many_recipients(random: Random, number: int) -> Letter:
    count = random.choice([30, 49, 51, 99, 101, 149, 190])  # below mass, and none of the sizes that are gathered
    return _letter(random, number, b"to many\r\n", recipients=_people(random, number, count))


def _strange_addresses(random: Random, number: int) -> Letter:
    readers = (f'"a b {number}"@dphhs.example.gov', f"x+tag{number}@deq.example.gov", f"o'b{number}=c@example.org")
    readers += (f"{'l' * 55}{number}@example.org", f"CASE{number}@DEQ.Example.GOV", f"under_{number}@example.org")
    sender = f"bounces+reader{number}=example.org@doa.example.gov"
    return _letter(random, number, b"text\r\n", recipients=readers, sender=sender)


_MAKERS: dict[str, Callable[[Random, int], Letter]] = {
    make.__name__.strip("_").replace("_", " "): make
    for make in (
        *(_eight_bit_header, _eight_bit_body, _no_header, _blank_header, _empty_body, _header_alone, _nothing, _dots),
        *(_long_lines, _no_final_newline, _blank_lines, _blanks, _controls, _huge_header, _oversize_field, _many_hops),
        *(_twice_the_same_field, _broken_fields, _mbox, _nested_mime, _unclosed_mime, _enclosed_message, _uuencode),
        *(_attachment, _smtputf8, _dsn, _null_sender, _report, _many_recipients, _strange_addresses),
    )
}
KINDS = tuple(_MAKERS)  # of odd letters
