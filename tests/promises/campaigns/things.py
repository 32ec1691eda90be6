"""Campaigns of one thing: a link, a picture, a file, an invitation. Subjects differ, and words are few."""

from __future__ import annotations

import base64

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
    word,
)

_COURTESIES = (
    "Please see attached.",
    "See attached, thanks!",
    "FYI",
    "As discussed, attached.",
    "Find the file attached.",
)


def _octets(material: Material, size: int = 6_000) -> bytes:
    return material.chance(-1).randbytes(size)


def _file(kind: str, octets: bytes, disposition: str) -> str:
    body = base64.encodebytes(octets).decode().replace("\n", "\r\n")
    return (
        f"Content-Type: {kind}\r\nContent-Disposition: {disposition}\r\nContent-Transfer-Encoding: base64\r\n\r\n{body}"
    )


def _with(material: Material, number: int, *parts: str, kind: str = "mixed") -> Copy:
    return Copy(multipart(material.fixed, material.own_subject(number), kind, parts), material.fixed)


@campaign("one link", "host and path of the link")
def _(material: Material, number: int) -> Copy:
    text = f"https://survey.example.org/{material.slug}?id={letters(number)}"
    return Copy(mail(material.fixed, material.own_subject(number), text), material.fixed)


@campaign("one link with a word beside it", "host and path of the link")
def _(material: Material, number: int) -> Copy:
    text = f"{word(material.chance(number))}: https://survey.example.org/{material.slug}?id={number}#{letters(number)}"
    return Copy(mail(material.fixed, material.own_subject(number), text), material.fixed)


@campaign("one link in HTML", "host and path of the link")
def _(material: Material, number: int) -> Copy:
    link = f'<a href="https://survey.example.org/{material.slug}?id={number}">{word(material.chance(number))}</a>'
    return _with(material, number, html(link), kind="alternative")


@campaign("one picture in HTML", "the picture")
def _(material: Material, number: int) -> Copy:
    picture = _file("image/png", _octets(material), "inline").replace("\r\n", "\r\nContent-ID: <p>\r\n", 1)
    return _with(material, number, html('<img src="cid:p">'), picture, kind="related")


@campaign("one picture from elsewhere", "host and path of the picture")
def _(material: Material, number: int) -> Copy:
    picture = f'<img src="https://img.example.org/{material.slug}.png?u={number}">'
    return _with(material, number, html(picture), kind="alternative")


@campaign("one picture, attached", "the picture")
def _(material: Material, number: int) -> Copy:
    name = f'attachment; filename="{letters(number)}.jpg"'
    return _with(material, number, plain(""), _file("image/jpeg", _octets(material), name))


@campaign("one file, and courtesies", "the largest file")
def _(material: Material, number: int) -> Copy:
    name = f'attachment; filename="{letters(number)}.pdf"'
    text = f"Hi {word(material.chance(number)).title()},\r\n{_COURTESIES[number % 5]}"
    return _with(material, number, plain(text), _file("application/pdf", _octets(material), name))


@campaign("one file and another small one", "the largest file")
def _(material: Material, number: int) -> Copy:
    small = _file("text/csv", material.chance(number).randbytes(60), f'attachment; filename="{number}.csv"')
    large = _file("application/pdf", _octets(material), 'attachment; filename="a.pdf"')
    return _with(material, number, plain(word(material.chance(number))), small, large)


@campaign("nothing but a file", "the largest file")
def _(material: Material, number: int) -> Copy:
    return _with(material, number, _file("application/pdf", _octets(material), "attachment"))


@campaign("one invitation", "the UID of the invitation")
def _(material: Material, number: int) -> Copy:
    calendar = (
        f"Content-Type: text/calendar; method=REQUEST; charset=utf-8\r\n\r\nBEGIN:VCALENDAR\r\nMETHOD:REQUEST\r\n"
        f"BEGIN:VEVENT\r\nUID:{material.slug}@example.gov\r\nSEQUENCE:{number}\r\nSUMMARY:{material.own_subject(number)}\r\n"
        f"ATTENDEE:mailto:user{number}@dphhs.example.gov\r\nEND:VEVENT\r\nEND:VCALENDAR"
    )
    return _with(material, number, plain(word(material.chance(number))), calendar, kind="alternative")


@campaign("three words or more, and nothing else", "what the short text says")
def _(material: Material, number: int) -> Copy:
    return Copy(mail(material.fixed, material.own_subject(number), material.few), material.fixed)


@campaign("one picture with a pixel changed", "another picture to a program: `sender_users`", reach=Reach.ALL)
def _(material: Material, number: int) -> Copy:
    octets = _octets(material) + letters(number).encode()
    picture = _file("image/png", octets, "inline").replace("\r\n", "\r\nContent-ID: <p>\r\n", 1)
    return _with(material, number, html('<img src="cid:p">'), picture, kind="related")


@campaign("an encrypted body", "nobody but its readers can compare it: `sender_users`", reach=Reach.ALL)
def _(material: Material, number: int) -> Copy:
    body = base64.encodebytes(material.chance(number).randbytes(900)).decode().replace("\n", "\r\n")
    armor = f"-----BEGIN PGP MESSAGE-----\r\n\r\n{body}-----END PGP MESSAGE-----"
    parts = [
        "Content-Type: application/pgp-encrypted\r\n\r\nVersion: 1",
        f"Content-Type: application/octet-stream\r\n\r\n{armor}",
    ]
    return _with(material, number, *parts, kind='encrypted; protocol="application/pgp-encrypted"')
