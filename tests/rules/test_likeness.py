"""What a permit of kind `template` covers: a tenth of the words may differ, and nothing that leads elsewhere."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gatekeeper.message import read_likeness
from gatekeeper.model import Likeness
from gatekeeper.rules.likeness import unlike

WORDS = [f"{first}{second}" for first in "bdfgklmnprst" for second in ("a", "eno", "ilu", "oral", "ute", "ymi")]
TEXT = " ".join(WORDS[number % len(WORDS)] for number in range(60))
HTML = (
    "<html><head><style>p {margin: 0}</style></head><body><p>{text}</p>"
    "<p style='display:none'>hidden words of nobody</p><a href='https://benefits.example.gov/go?u=1'>here</a>"
    "<form action='https://forms.example.gov/send'><input name=x></form></body></html>"
)


def plain(text: str, *header: str) -> bytes:
    return "\r\n".join(["From: a@example.gov", *header, "Content-Type: text/plain; charset=utf-8", "", text]).encode()


def both(text: str, html: str, *more: str) -> bytes:
    parts = ["Content-Type: text/plain\r\n\r\n" + text, "Content-Type: text/html\r\n\r\n" + html, *more]
    body = "".join(f"--b\r\n{part}\r\n" for part in parts)
    return f'From: a@example.gov\r\nContent-Type: multipart/mixed; boundary="b"\r\n\r\n{body}--b--\r\n'.encode()


def html(text: str = TEXT) -> str:
    return HTML.replace("{text}", text)


def difference(approved: bytes, own: bytes) -> str:
    return unlike(read_likeness(approved), read_likeness(own))


@given(st.integers(10, 400), st.data())
@settings(max_examples=150, deadline=None)
def test_a_tenth_of_the_words_may_differ_and_no_more(number, data):
    words = [f"{WORDS[each % len(WORDS)]}{chr(97 + each // len(WORDS))}" for each in range(number)]
    most = number // 10
    places = data.draw(st.lists(st.integers(0, number - 1), unique=True, min_size=most + 1, max_size=most + 1))
    for make in (plain, lambda text: both("x", f"<p>{text}</p>")):
        changed = [*words]
        for place in places[:most]:
            changed[place] = "other"
        assert difference(make(" ".join(words)), make(" ".join(changed))) == ""
        changed[places[most]] = "other"
        told = difference(make(" ".join(words)), make(" ".join(changed)))
        assert f"of {number} words" in told and f"{most} may: other" in told


@given(st.lists(st.sampled_from(["Ann", "Bob Lee", "J\u00f6rg", "Dr. K. Mbeki", "O'Brien"]), min_size=2, max_size=2))
def test_a_mail_merge_of_names_passes(names):
    one, other = (f"Dear {name},\n\n{TEXT}\n\nYour day: 2026-12-0{len(name) % 9 + 1}\n" for name in names)
    assert difference(plain(one), plain(other)) == ""
    assert difference(both(one, html(one)), both(other, html(other))) == ""


@pytest.mark.parametrize(
    ("own", "told"),
    [
        (both(TEXT, "<p>Pay at once, or your account is closed for ever</p>"), "has other links"),
        (both(TEXT, html("Pay at once, or your account is closed")), "not like what was approved: of"),
        (both("Pay at once", html()), "not like what was approved: of"),
        (both(TEXT + "\n\nPlease pay to IBAN DE89 3704 0044 0532 0130 00", html()), "a number or an address"),
        (both(TEXT + " Please pay to our new account at the bank", html()), "of 69 words of text/plain 9 words"),
        (both(TEXT + " call 406 555 0100", html()), "a number or an address that was not approved (4065550100)"),
        (both(TEXT + " write eve@evil.example", html()), "a number or an address that was not approved (eve@evil"),
        (both(TEXT + " evil.example", html()), "has other links than what was approved (evil.example)"),
        (both(TEXT, html().replace("forms.example.gov", "forms.example.org")), "(form:forms.example.org/send)"),
        (both(TEXT, html().replace(" action='https://forms.example.gov/send'", "")), "(form:)"),
        (both(TEXT, html().replace("benefits.example.gov", "benefits.example.org")), "(benefits.example.org/go)"),
        (both(TEXT, html().replace("?u=1", "?u=//evil.example")), "(inside:evil.example)"),
        (both(TEXT, html().replace("here", "<img src=//evil.example/x.png>here")), "(evil.example/x.png)"),
        (both(TEXT, html().replace("href='https:", "href='ftp:")), "has other links"),
        (both(TEXT, html().replace("margin: 0", "content: 'Pay'")), "other styles or scripts"),
        (both(TEXT, html() + f"<!--[if mso]>{' pay' * 9}<![endif]-->"), "not like"),
        (both(TEXT, html(), "Content-Type: text/plain\r\n\r\nmore"), "other parts than what was approved"),
        (both(TEXT, html(), "Content-Type: application/pdf; name=pay.pdf\r\n\r\nx"), "other attachments than"),
        (plain(TEXT), "has other links"),
    ],
)  # fmt: skip
def test_what_does_not_pass(own, told):
    assert told in difference(both(TEXT, html()), own)


def test_what_varies_from_copy_to_copy_passes():
    link = html().replace("?u=1", "?u=4711&token=eyJhbGciOi.eyJzdWIiOiIx.SflKxwRJSMeKKF2QT4fwpMeJf36POk6y#top")
    assert difference(both(TEXT, html()), both(TEXT, link)) == ""
    mail = [html() + f"<a href='mailto:answers+{number}@example.gov?subject={number}'>answer</a>" for number in (1, 2)]
    assert difference(both(TEXT, mail[0]), both(TEXT, mail[1])) == ""
    encoded = plain(TEXT).replace(
        b"charset=utf-8\r\n", b"charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n"
    )
    assert difference(plain(TEXT), encoded.replace(b" ", b"=20", 0)) == ""
    assert difference(plain(TEXT), plain(TEXT.replace(" ", "\r\n", 5).upper())) == ""


def test_words_after_the_96th_count():
    long = " ".join(WORDS * 4)
    assert difference(plain(long), plain(long[: len(long) // 2] + " evil" * 150))


def test_words_in_another_order_are_no_copy():
    words = TEXT.split()
    told = difference(plain(TEXT), plain(" ".join(words[::-1])))
    assert "the order of words changed" in told


def test_what_was_hidden_stays_hidden():
    hidden = "<p>shown</p><div style='display:none'>" + TEXT + "</div>"
    assert difference(both("x", hidden), both("x", hidden.replace("display:none", "display:block")))
    moved = "<p style='display:none'>shown</p><div>" + TEXT + "</div>"
    assert difference(both("x", hidden), both("x", moved))


def test_answers_go_where_they_were_to_go():
    one, other = plain(TEXT, "Reply-To: Ann <ann@example.gov>"), plain(TEXT, "Reply-To: Ann <eve@evil.example>")
    assert "(reply-to:eve@evil.example)" in difference(one, other)
    leave = [
        plain(TEXT, f"List-Unsubscribe: <https://{host}/u/{n}>") for n, host in enumerate(["a.gov", "a.gov", "b.gov"])
    ]
    assert difference(leave[0], leave[1]) == ""
    assert "(unsubscribe:b.gov)" in difference(leave[0], leave[2])


def test_a_file_of_the_same_name_with_another_content_is_another_one():
    one, other = (both(TEXT, html(), f"Content-Type: application/pdf; name=a.pdf\r\n\r\n{text}") for text in "xy")
    assert "other attachments than what was approved (files of the same name)" in difference(one, other)
    pictures = (both(TEXT, html(), f"Content-Type: image/png\r\nContent-ID: <a>\r\n\r\n{text}") for text in "xy")
    assert "other attachments" in difference(*pictures)


def test_what_can_be_read_in_more_ways_is_no_copy():
    doubtful = both(TEXT, html()).replace(b"--b--\r\n", b"")
    assert "can be read in more ways" in difference(both(TEXT, html()), doubtful)


def test_what_is_too_long_or_was_not_read_is_not_covered():
    long = read_likeness(plain("word " * 20_001))
    for approved, own in ((long, long), (read_likeness(plain(TEXT)), None), (read_likeness(plain(TEXT)), long)):
        assert "cannot be compared" in unlike(approved, own)


def test_a_permit_from_before_whole_texts_were_compared_covers_nothing():
    old = replace(read_likeness(plain(TEXT)), comparable=False)
    assert "has to be given again" in unlike(old, read_likeness(plain(TEXT)))


def test_a_likeness_without_texts_is_equal_to_itself():
    assert unlike(Likeness(), Likeness()) == ""
