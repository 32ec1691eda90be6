"""Never raises, never takes more than linear time: random octets, broken real mail, and messages made to hurt."""

import random
import time
from itertools import count

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gatekeeper.message import DEFECTS, Limits, read_facts, read_likeness
from tests.message.samples import HEAD, corpus, message, mixed

PIECES = [
    *(b"\r\n", b"\n", b"\r", b" ", b"--b", b"--b--", b"--bb", b"From: ", b"Subject: ", b"a@b", b"<", b">", b'"', b"\\"),
    *(b"Content-Type: multipart/mixed; boundary=b\r\n", b"Content-Type: message/rfc822\r\n", b"\r\n\r\n"),
    *(b"Content-Transfer-Encoding: base64\r\n", b"Content-Transfer-Encoding: quoted-printable\r\n", b"name*0*="),
    *(b"Content-Type: text/html\r\n", b"begin 644 a\r\n", b"#0V%T", b"\nend", b"QUJD", b"=", b"http://", b"&#1;"),
    *(b"Content-Disposition: attachment; filename=", b"=?iso-2022-jp?b?", b"=?utf-8?q?", b"?=", b"(", b")", b";"),
    *(b"[", b"\0", b"=ybegin ", b"\xff", b"'", b"=?utf-7?q?+2AA-?=", b'boundary="'),
]
TINY = Limits(
    header_bytes=200, fields=5, addresses=2, parts=4, depth=3, parameters=2, text=50, inserts=2, boundary_lines=5
)


@given(st.one_of(st.binary(), st.lists(st.sampled_from(PIECES), max_size=60).map(b"".join)))
@settings(max_examples=200, deadline=None)
def test_any_octets_have_facts(content):
    for limits in (Limits(), TINY):
        facts = read_facts(content, limits)
        assert facts.size == len(content)
        assert set(facts.defects) <= set(DEFECTS)
        assert len(facts.content_digest) == 64
        assert all(file.size >= 0 for file in facts.attachments)


MARKUP = [
    *(
        "<p style='display:none'>",
        "</p>",
        "<style>.a{display:none}@media x{#b{}}</style>",
        "<div class=a id=b>",
        "</div>",
    )
]
MARKUP += [
    "&#x110000;",
    "&#xD800;",
    "&#0;",
    "&notin;",
    "&#" + "9" * 5_000 + ";",
    "<",
    "<!--",
    "-->",
    "<b x='",
    '<b y="',
    ">",
    "=",
    "\0",
]
MARKUP += [
    "<a href=' http://x/y?z '>",
    "<a href=//x/8f3a77>",
    "<img src=data:x>",
    "<blockquote>",
    "<pre>",
    "\n",
    "é",
    "中文",
    "\u200b",
]
MARKUP += [
    "А",
    "ﬁ",
    "١٢",
    "word ",
    "WORD ",
    "w0rd ",
    "Word ",
    ". ",
    "> ",
    "-- \n",
    "From: x\n",
    "Sent: y\n",
    "<td>",
    "<li>",
    "<table>",
]
MARKUP += [
    "<p style=font-size:-.px;color:#12;background:url(x)>",
    "<p style='color:rgb(999,1,2);left:-.em'>",
    "</b>",
    "UID:x\n y\n",
]


@given(st.lists(st.sampled_from(MARKUP), max_size=40).map("".join), st.sampled_from(("html", "plain", "calendar")))
@settings(max_examples=300, deadline=None)
def test_any_text_has_keys(text, kind):
    facts = read_facts(message(*HEAD, f"Content-Type: text/{kind}; charset=utf-8", "", text))
    " ".join((facts.short_key, *facts.fingerprints)).encode("utf-8")


@given(st.lists(st.sampled_from(MARKUP), max_size=40).map("".join), st.sampled_from(("html", "plain", "calendar")))
@settings(max_examples=300, deadline=None)
def test_any_text_has_a_likeness(text, kind):
    likeness = read_likeness(message(*HEAD, f"Content-Type: text/{kind}; charset=utf-8", "", text))
    assert [each.type for each in likeness.texts] == [f"text/{kind}"]


HALF_A_PAIR = "=?utf-7?Q?Open_+2AA-enrolment_+3AA-?="


@pytest.mark.parametrize(
    "field",
    [
        f"Subject: {HALF_A_PAIR}",
        f"From: {HALF_A_PAIR} <a@b.example>",
        f'Content-Type: multipart/mixed; boundary="{HALF_A_PAIR}"',
        f'Content-Type: application/pdf; name="{HALF_A_PAIR}"',
    ],
)
def test_half_a_surrogate_pair_is_no_text(field):
    """No database and no hash takes one, so that a mailing which had it in its subject could never be held."""
    facts = read_facts(message(field, "", "Hello"))
    names = (*(box.name for box in facts.author), *(file.name for file in facts.attachments))
    "".join((facts.subject or "", *names)).encode("utf-8")


def break_mail(seed: int, count: int) -> None:
    """Real mail with octets changed, pieces cut out, doubled and strewn in."""
    seeded = random.Random(seed)
    for content in seeded.choices(corpus(), k=count):
        broken = bytearray(content[:20_000])
        for _ in range(seeded.randint(1, 8)):
            at = seeded.randrange(len(broken))
            broken[at : at + seeded.choice((0, 0, 1, 50))] = seeded.choice((*PIECES, broken[at - 40 : at]))
        read_facts(bytes(broken))


def test_broken_real_mail_has_facts():
    break_mail(seed=5, count=200)


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(20))
def test_much_broken_real_mail_has_facts(seed):
    break_mail(seed, count=5_000)


def nested(count: int) -> bytes:
    parts = b"".join(b"Content-Type: multipart/mixed; boundary=%d.\r\n\r\n--%d.\r\n" % (n, n) for n in range(count))
    return message(*HEAD)[:-2] + b"\r\n" + parts + b"--0\r\n" * count


def in_every_field(piece: bytes, count: int) -> bytes:
    fields = (b"From: ", b"To: ", b"Subject: ", b"Content-Type: text/plain; ", b"Content-Disposition: a; filename=")
    return b"".join(field + piece * (count // len(piece)) + b"\r\n" for field in fields) + b"\r\nx"


def html(piece: bytes, count: int) -> bytes:
    return message(*HEAD, "Content-Type: text/html", "") + piece * (count // len(piece))


def plain(piece: bytes, count: int) -> bytes:
    return message(*HEAD, "Content-Type: text/plain", "") + piece * (count // len(piece))


def calendar(piece: bytes, count: int) -> bytes:
    return message(*HEAD, "Content-Type: text/calendar", "") + piece * (count // len(piece))


def in_encoding(encoding: str, piece: bytes, count: int) -> bytes:
    return message(*HEAD, f"Content-Transfer-Encoding: {encoding}", "") + piece * (count // len(piece))


def alternative(piece: bytes, count: int) -> bytes:
    """Short lines, and HTML that begins with them and has something else between two of them."""
    lines = ("--b", "Content-Type: text/plain", "", b"a\r\n" * (count // 4), "--b", "Content-Type: text/html", "")
    shown = b"<p>a" * 3 + piece * (count // len(piece)) + b"<p>a" * (count // 4)
    return mixed(*lines, shown, "--b--", kind="alternative")


def reply(piece: bytes, count: int) -> bytes:
    """A reply in both forms that says the same above the quote, with something again and again in the quotes."""
    own = b"The yearly survey of all employees begins next week and takes ten minutes or a little more."
    many = piece * (count // len(piece))
    lines = ("--b", "Content-Type: text/plain", "", own, "", "On Monday Bob wrote:", b"> x" + many)
    html = b"<p>" + own + b"</p><div class=gmail_quote>x" + many + b"</div>"
    return mixed(*lines, "--b", "Content-Type: text/html", "", html, "--b--", kind="alternative")


IN_HEADER = (b"<", b"(", b'"', b"=?", b";", b"=?a?q?", b"=?utf-8?q?a?= ", b"[", b"\\", b'"\\', b",", b":", b"<(", b"a ")
IN_HEADER += (b"@", b"re:", b"[a]", b"(1/2)", b" #1", b"\r\n ", b"a*0=b;", b'a="', b"\xff", b"'")
IN_TEXT = (b"<", b"<!--", b"<style", b"http://", b"http://a@", b'href="', b"=\"'", b"&#65;", b"1", b"\n> ", b"wrote:\n")
IN_TEXT += (
    b"<p style='display:none'>",
    b"<b hidden>x",
    b"<div><b style=color:#fff>",
    b"</b>",
    b"<td><p>",
    b"</div><p>",
)
IN_TEXT += (
    b"<blockquote>x",
    b"<pre>\n",
    b"<a href=x>",
    b"<b x='",
    b'<b x="',
    b"<b =",
    b"<!-",
    b"-->",
    b"<style>.a{",
    b"{}",
)
IN_TEXT += (
    b"&#x41",
    b"&#0",
    b"&zwnj;",
    b"<script></",
    b"A1b ",
    b"AB ",
    b"x.\n",
    b"> x\n",
    b"From: a\n",
    b"https://a/b ",
)
IN_TEXT += (b"begin 644 x\n", b"begin 644 x\n#0V%T\n", b"=ybegin \n", b"\n", b" ", b"\r", b"www.", b"hi ", b"_")
IN_PLAIN = (b"\n> ", b":\n", b"wrote:\n", b"\n--", b"-", b"From: a\n", b"\xc2\xa0", b"\xe2\x80\x8b", b"aB0 ", b"virus ")
IN_HEADER += (b"a: b <c@d>, ", b"a*1=b;", b"a=b,c=", b"(a)b=c;", b"<a>=;", b"; ,")
IN_TEXT += (
    b'<img src="cid:a">',
    b"cid:",
    b"<a cid:",
    b"<!--cid:",
    b'<b "cid:',
    b"<!--><b src=cid:a>",
    b"<img cid:a>cid:",
)
IN_TEXT += (
    b'<a href="data:,x">',
    b"<a download href=data:",
    b"</title><img src=cid:a>",
    b"<a href=data:,x b=",
    b"=data:",
)
IN_PLAIN += (
    b"begin 644 a.b\n\n",
    b"begin\t\t7 ",
    b"(This file must be converted with BinHex\n:",
    b"\n--b\nContent-Type:",
)
IN_CALENDAR = (
    b"ATTACH:data:,x\r\n",
    b'ATTACH;"',
    b"ATTACH;",
    b'ATTACH;x="y";',
    b"ATTACH\r\n ",
    b"\r\n ATTACH:data:,",
    b"\r\n ",
)
ENCODED = [("quoted-printable", piece) for piece in (b"=", b"=Z", b"= ", b"=\r", b"=\t\t", b"=\n", b"=4", b"=0A")]
ENCODED += [("base64", piece) for piece in (b"QQ==\n", b"*\n", b"A\n-\n", b"=", b"\n", b"QUJD\n* ")]
IN_QUOTE = (
    b"<div>",
    b"</div>",
    b"<p>",
    b"<blockquote>",
    b"<table><tr><td>",
    b"<b",
    b"<!--",
    b"<div class=gmail_quote>",
)
IN_QUOTE += (b"\n> x", b"\n>", b"\n", b"<br>", b"<li>", b"</p>", b"\nFrom: x\nSent:")
BETWEEN_LINES = (b"<p>", b"<p>a", b"&nbsp;", b" ", b"<p style='display:none'>", b"<blockquote>", b"<!--x-->")
HOSTILE = {
    "parts": lambda n: mixed(b"--b\r\n\r\nx\r\n" * (n // 4)),
    "parts beyond the limit": lambda n: mixed(b"--b\r\n\r\nx\r\n" * n),
    "boundary prefixes": lambda n: mixed(b"--bc\r\n\r\nx\r\n" * n),
    "lines like boundaries": lambda n: mixed(b"--\r\n" * n),
    "never closed": lambda n: mixed(b"--b\r\nX: y\r\n" * n),
    "never an empty line": lambda n: mixed(b"--b\r\nX" * n),
    "multiparts in multiparts": nested,
    "messages in messages": lambda n: mixed("--b", b"Content-Type: message/rfc822\r\n\r\n" * n),
    "fields": lambda n: message(*HEAD) + b"X: y\r\n" * n,
    "one field": lambda n: message(*HEAD, b"X: " + b"y" * 10 * n, "", "x"),
    "recipients": lambda n: message("From: a@b", b"To: " + b"a@b, " * n, "", "x"),
    **{f"header of {piece!r}": lambda n, piece=piece: in_every_field(piece, n // 2) for piece in IN_HEADER},
    **{f"text of {piece!r}": lambda n, piece=piece: html(piece, 4 * n) for piece in IN_TEXT},
    **{f"plain text of {piece!r}": lambda n, piece=piece: plain(piece, 4 * n) for piece in IN_PLAIN},
    **{f"calendar of {piece!r}": lambda n, piece=piece: calendar(piece, 4 * n) for piece in IN_CALENDAR},
    **{
        f"{kind} of {piece!r}": lambda n, kind=kind, piece=piece: in_encoding(kind, piece, 4 * n)
        for kind, piece in ENCODED
    },
    # what took the MIME reader longest, for its length, under a coverage-guided fuzzer (tests/fuzz/mime_reader.py)
    "empty parts": lambda n: mixed(b"--b\r\n\n" * (n // 4)),
    "empty messages of a digest": lambda n: mixed(b"--b\r\n\n--b\r\n\r\n" * (n // 8), kind="digest"),
    "texts of a word": lambda n: mixed(b"--b\r\nContent-Disposition: filename=a.b\r\n\r\nHello.\r\n" * (n // 8)),
    "parts of half a header": lambda n: mixed(
        b'--b\r\nContent-ename=a.b\r\n--b\r\nConten\x8b\0t: filename="b"\r\n' * (n // 8)
    ),
    "boundaries on texts": lambda n: mixed(b"--b\r\nContent-Type: text/plain; boundary=c\r\n\r\n--d\r\n" * (n // 4)),
    **{f"reply with {piece!r}": lambda n, piece=piece: reply(piece, 2 * n) for piece in IN_QUOTE},
    **{f"alternative of {piece!r}": lambda n, piece=piece: alternative(piece, 2 * n) for piece in BETWEEN_LINES},
}


_numbers = count()


def seconds(content: bytes) -> float:
    """Processor time of one reading, the better of two; each of another text, since texts of late are known."""
    best = float("inf")
    for _ in range(2):
        another = b"%s\r\n%d\r\n" % (content, next(_numbers))
        start = time.process_time()
        read_facts(another)
        best = min(best, time.process_time() - start)
    return best


def check_linear(make, size: int) -> None:
    """Four times the size takes at most eight times as long (a quadratic reader takes sixteen), noise apart."""
    small, large = make(size), make(4 * size)
    for _ in range(3):
        if seconds(large) <= 8 * seconds(small) + 0.005:
            return
    raise AssertionError("four times the size takes more than eight times as long")


@pytest.mark.parametrize("make", HOSTILE.values(), ids=HOSTILE)
def test_time_is_linear(make):
    check_linear(make, 4_000)


@pytest.mark.soak
@pytest.mark.parametrize("make", HOSTILE.values(), ids=HOSTILE)
def test_time_is_linear_at_length(make):
    check_linear(make, 100_000)


def test_limits_hold_whatever_there_is_more_of():
    facts = read_facts(HOSTILE["parts beyond the limit"](5_000))
    assert "too-many-parts" in facts.defects
    assert "too-deep" in read_facts(nested(1_500)).defects
    assert "header-over-limit" in read_facts(HOSTILE["one field"](100_000)).defects
