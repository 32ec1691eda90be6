"""Campaigns whose subject is another each time; the text is the same to whoever reads it, but not to a program."""

from __future__ import annotations

import base64
import quopri
from collections.abc import Callable

from tests.promises.campaigns.campaign import (
    Copy,
    Material,
    Reach,
    campaign,
    html,
    letters,
    mail,
    multipart,
    plain,
    sentences,
    word,
)

_CYRILLIC = str.maketrans("aeopcx", "аеорсх")
_LEET = str.maketrans("oeas", "03@5")
_FULL_WIDTH = str.maketrans({chr(each): chr(each + 0xFEE0) for each in range(ord("a"), ord("z") + 1)})


def _text(name: str, dress: Callable[[Material, int], str], open_because: str = "") -> None:
    """Add a campaign of plain text."""

    @campaign(f"text: {name}", open_because or "the text as it is read", Reach.ALL if open_because else Reach.LIMIT)
    def _(material: Material, number: int) -> Copy:
        return Copy(mail(material.fixed, material.own_subject(number), dress(material, number)), material.fixed)


def _html(name: str, dress: Callable[[Material, int], str]) -> None:
    """Add two campaigns of HTML: alone, and beside a plain text that is another each time."""

    @campaign(f"HTML, {name}", "the HTML as it is shown", row=f"HTML: {name}")
    def _(material: Material, number: int) -> Copy:
        content = multipart(material.fixed, material.own_subject(number), "mixed", [html(dress(material, number))])
        return Copy(content, material.fixed)

    @campaign(f"HTML beside a random plain part, {name}", "the HTML as it is shown", row=f"HTML: {name}")
    def _(material: Material, number: int) -> Copy:
        parts = [plain(sentences(material.chance(number), 40)), html(dress(material, number))]
        content = multipart(material.fixed, material.own_subject(number), "alternative", parts)
        return Copy(content, material.fixed)


def _salt(material: Material, number: int, words: int) -> str:
    return sentences(material.chance(number + 300_000), words)


def _within_words(text: str, mark: Callable[[int], str], number: int) -> str:
    """Put something into each word, at another place each time."""
    place = number % 3 + 2
    return " ".join(f"{each[:place]}{mark(index)}{each[place:]}" for index, each in enumerate(text.split()))


def _half(material: Material, number: int, dress: Callable[[str], str]) -> str:
    """Dress half of the words, others each time."""
    chance = material.chance(number + 600_000)
    return " ".join(dress(each) if chance.random() < 0.5 else each for each in material.text.split(" "))


def _letters(text: str, number: int, change: Callable[[str], str]) -> str:
    """Change some of the letters, others each time."""
    return "".join(
        change(each) if each.isalpha() and (number >> (place % 7)) & 1 else each for place, each in enumerate(text)
    )


def _between(material: Material, number: int) -> str:
    """Put a word that nobody sees behind each word."""
    words = enumerate(material.text.split())
    hidden = (material.chance(number * 1000 + place) for place, _ in enumerate(material.text.split()))
    return " ".join(
        f'{each}<span style="display:none"> {word(chance)} </span>'
        for (_, each), chance in zip(words, hidden, strict=True)
    )


def _cells(text: str) -> str:
    return "<table><tr>" + "".join(f"<td>{each}</td>" for each in text.split()) + "</tr></table>"


_text("the same text", lambda material, number: material.text)
_text("a greeting and a name", lambda m, n: f"Dear {word(m.chance(n)).title()},\r\n\r\n{m.text}")
_text("a code at the end", lambda m, n: f"{m.text}\r\n\r\n{n:06} {letters(n)}")
_text("three names within", lambda m, n: m.text.replace(". ", f" {word(m.chance(n)).title()}. ", 3))
_text("quoted with `> `", lambda m, n: f"{word(m.chance(n))}\r\n\r\n> " + m.text.replace("\r\n", "\r\n> "))
_text("below a signature mark", lambda m, n: f"{word(m.chance(n))}\r\n-- \r\n{m.text}")
_text("below `Original Message`", lambda m, n: f"{word(m.chance(n))}\r\n\r\n-----Original Message-----\r\n{m.text}")
_text("in capitals", lambda m, n: m.text.upper() if n % 2 else m.text)
_text(
    "digits for letters",
    lambda m, n: "".join(c.translate(_LEET) if n >> (i % 7) & 1 else c for i, c in enumerate(m.text)),
)
_text("half of the words in capitals, others each time", lambda m, n: _half(m, n, str.upper))
_text("half of the words with a capital first, others each time", lambda m, n: _half(m, n, str.capitalize))
_text("half of the words with digits, others each time", lambda m, n: _half(m, n, lambda each: each.translate(_LEET)))
_text(
    "Cyrillic letters",
    lambda m, n: "".join(c.translate(_CYRILLIC) if n >> (i % 7) & 1 else c for i, c in enumerate(m.text)),
)
_text("full-width letters", lambda m, n: m.text.translate(_FULL_WIDTH) if n % 2 else m.text)
_text(
    "accents",
    lambda m, n: "".join(f"{c}\u0301" if c in "aeo" and n >> (i % 7) & 1 else c for i, c in enumerate(m.text)),
)
_text("zero-width characters within words", lambda m, n: _within_words(m.text, lambda i: "\u200b" * (n % 9 + 1), n))
_text("soft hyphens within words", lambda m, n: _within_words(m.text, lambda i: "\u00ad", n))
_text("other line breaks", lambda m, n: m.text.replace("\r\n", " ").replace(" ", "\r\n" if n % 2 else " ", n % 60))
_text("the footer of a list", lambda m, n: f"{m.text}\r\n_______________________\r\n{sentences(m.chance(n), 20)}")
_text("blank lines below a few words of its own", lambda m, n: m.own_subject(n) + "\r\n" * 6_000 + m.text)
_text("lines of a dot below a few words of its own", lambda m, n: m.own_subject(n) + "\r\n." * 6_000 + m.text)
_text("a line of its own below", lambda m, n: f"{m.text}\r\n\r\n{_salt(m, n, 10)}")
_text(
    "1,600 characters of its own above",
    lambda m, n: f"{_salt(m, n, 200)}\r\n\r\n{m.text}",
    "what is compared ends before it: `sender_users`",
)
_text("another text each time", lambda m, n: _salt(m, n, 60), "nothing in common but the sender: `sender_users`")

_html("the same", lambda m, n: f"<p>{m.text}</p>")
_html(
    "numeric entities",
    lambda m, n: "".join(f"&#{ord(c)};" if c.isalpha() and (i + n) % 3 else c for i, c in enumerate(m.text)),
)
_html(
    "hexadecimal entities",
    lambda m, n: "".join(f"&#x{ord(c):x};" if c.isalpha() and (i + n) % 5 else c for i, c in enumerate(m.text)),
)
_html("empty tags within words", lambda m, n: _within_words(m.text, lambda i: "<b></b>", n))
_html("spans within words", lambda m, n: _within_words(m.text, lambda i: f"<span class='{letters(n)}'></span>", n))
_html("comments within words", lambda m, n: _within_words(m.text, lambda i: f"<!-- {letters(n)} -->", n))
_html("soft hyphens within words", lambda m, n: _within_words(m.text, lambda i: "&shy;", n))
_html("zero-width entities within words", lambda m, n: _within_words(m.text, lambda i: "&#8203;&zwnj;", n))
_html(
    "tags around each letter",
    lambda m, n: "".join(f"<i>{c}</i>" if c.isalpha() and (i + n) % 2 else c for i, c in enumerate(m.text)),
)
_html("not displayed text above", lambda m, n: f'<div style="display:none">{_salt(m, n, 200)}</div><p>{m.text}</p>')
_html("invisible text above", lambda m, n: f'<div style="visibility: hidden">{_salt(m, n, 200)}</div><p>{m.text}</p>')
_html("text of no size above", lambda m, n: f'<span style="font-size:0px">{_salt(m, n, 200)}</span><p>{m.text}</p>')
_html("white text above", lambda m, n: f'<font color="#ffffff">{_salt(m, n, 200)}</font><p>{m.text}</p>')
_html(
    "a style in capitals that hides text above",
    lambda m, n: f"<STYLE>.x{{display:none}}</STYLE><p class=x>{_salt(m, n, 200)}</p><p>{m.text}</p>",
)
_html("white space of the source within", lambda m, n: f"<p>{m.own_subject(n)}" + " \r\n" * 20_000 + f"{m.text}</p>")
_html("blank lines below a few words of its own", lambda m, n: f"{m.own_subject(n)}{'<br>' * 9_000}{m.text}")
_html("a hidden attribute", lambda m, n: f"<div hidden>{_salt(m, n, 200)}</div><p>{m.text}</p>")
_html(
    "a title and styles above",
    lambda m, n: f"<title>{_salt(m, n, 50)}</title><style>{_salt(m, n, 200)}</style><p>{m.text}</p>",
)
_html(
    "text between words that nobody sees",
    lambda m, n: " ".join(
        f'{each}<span style="display:none"> {word(m.chance(n * 1000 + i))} </span>'
        for i, each in enumerate(m.text.split())
    ),
)
_html(
    "in a table, a cell a word",
    lambda m, n: "<table><tr>" + "".join(f"<td>{each}</td>" for each in m.text.split()) + "</tr></table>",
)
_html("in a blockquote", lambda m, n: f"<p>{word(m.chance(n))}</p><blockquote type='cite'>{m.text}</blockquote>")


@campaign("in a nested message", "the text of the nested message")
def _(material: Material, number: int) -> Copy:
    inner = mail(material.address(number), material.own_subject(number), material.text).decode()
    parts = [plain(word(material.chance(number))), f"Content-Type: message/rfc822\r\n\r\n{inner}"]
    return Copy(multipart(material.fixed, material.own_subject(number), "mixed", parts), material.fixed)


@campaign("encodings rotate", "the text, decoded")
def _(material: Material, number: int) -> Copy:
    text = f"{material.text}\r\n{number}\r\n".encode()
    encoding, octets = (
        ("base64", base64.encodebytes(text)),
        ("quoted-printable", quopri.encodestring(text)),
        ("7bit", text),
    )[number % 3]
    field = f"Content-Transfer-Encoding: {encoding}"
    body = octets.decode().replace("\r\n", "\n").replace("\n", "\r\n")
    return Copy(mail(material.fixed, material.own_subject(number), body, (field,)), material.fixed)


@campaign("charsets rotate", "the text, decoded")
def _(material: Material, number: int) -> Copy:
    charset = ("utf-8", "iso-8859-1", "utf-16-be", "koi8-r", "utf-7")[number % 5]
    body = base64.encodebytes(material.text.encode(charset)).decode().replace("\n", "\r\n")
    kind = f"text/plain; charset={charset.replace('utf-16-be', 'utf-16be')}"
    fields = ("Content-Transfer-Encoding: base64",)
    return Copy(mail(material.fixed, material.own_subject(number), body, fields, kind), material.fixed)


@campaign("in a second part, below another text", "the text of every part")
def _(material: Material, number: int) -> Copy:
    parts = [plain(f"{word(material.chance(number))} {number}"), plain(material.text)]
    return Copy(multipart(material.fixed, material.own_subject(number), "mixed", parts), material.fixed)
