"""Campaigns of those who hide who sends: names that rotate, or that are another's. Subject and text stay the same."""

from __future__ import annotations

from tests.promises.campaigns.campaign import Copy, Material, Reach, campaign, letters, mail, word

OUTSIDE = ("mail.example.org", "news.example.net", "list.example.com")


def _same(material: Material, author: str, fields: tuple[str, ...] = ()) -> bytes:
    return mail(author, material.subject, material.text, fields)


@campaign("nothing is hidden", "the sender, by subject and text")
def _(material: Material, number: int) -> Copy:
    return Copy(_same(material, material.fixed), material.fixed)


@campaign("From rotates in the own domain", "MAIL FROM")
def _(material: Material, number: int) -> Copy:
    return Copy(_same(material, material.address(number)), material.fixed)


@campaign("From rotates in the own domain, one Message-ID", "Message-ID with the content")
def _(material: Material, number: int) -> Copy:
    return Copy(
        _same(material, material.address(number), (f"Message-ID: <1@{material.slug}.example>",)), material.fixed
    )


@campaign("From rotates outside", "MAIL FROM")
def _(material: Material, number: int) -> Copy:
    return Copy(_same(material, material.address(number, OUTSIDE[number % 3])), material.fixed)


@campaign("From rotates over agencies", "MAIL FROM")
def _(material: Material, number: int) -> Copy:
    domain = ("doa.example.gov", "dphhs.example.gov")[number % 2]
    return Copy(_same(material, material.address(number, domain)), material.fixed)


@campaign("MAIL FROM rotates inside", "From, as a name")
def _(material: Material, number: int) -> Copy:
    return Copy(_same(material, material.fixed), material.address(number))


@campaign("MAIL FROM rotates outside, From inside", "From, as a name")
def _(material: Material, number: int) -> Copy:
    return Copy(_same(material, material.fixed), material.address(number, OUTSIDE[number % 3]))


@campaign("MAIL FROM rotates outside, From outside", "From, as a name")
def _(material: Material, number: int) -> Copy:
    author = f"{material.slug}@{OUTSIDE[0]}"
    return Copy(_same(material, author), material.address(number, OUTSIDE[number % 3]))


@campaign("From and MAIL FROM rotate together", "counted across the organisation")
def _(material: Material, number: int) -> Copy:
    return Copy(_same(material, material.address(number)), material.address(number))


@campaign("From and MAIL FROM rotate apart", "counted across the organisation")
def _(material: Material, number: int) -> Copy:
    return Copy(_same(material, material.address(number)), material.address(number + 100_000))


@campaign("From and MAIL FROM rotate outside", "counted across the organisation")
def _(material: Material, number: int) -> Copy:
    sender = material.address(number, OUTSIDE[number % 3])
    return Copy(_same(material, sender), sender)


@campaign("From and MAIL FROM rotate over agencies", "counted across the organisation")
def _(material: Material, number: int) -> Copy:
    sender = material.address(number, ("doa.example.gov", "dphhs.example.gov")[number % 2])
    return Copy(_same(material, sender), sender)


@campaign("four colleagues, without a login", "counted across the organisation")
def _(material: Material, number: int) -> Copy:
    sender = f"{material.slug}-{letters(number % 4)}@doa.example.gov"
    return Copy(_same(material, sender), sender)


@campaign("four colleagues, each logged in", "counted across the organisation")
def _(material: Material, number: int) -> Copy:
    sender = f"{material.slug}-{letters(number % 4)}@doa.example.gov"
    return Copy(_same(material, sender), sender, login=sender)


@campaign("four colleagues of two agencies, each logged in", "counted across the organisation")
def _(material: Material, number: int) -> Copy:
    sender = f"{material.slug}-{letters(number % 4)}@{('doa', 'dphhs')[number % 2]}.example.gov"
    return Copy(_same(material, sender), sender, login=sender)


@campaign("a login for each message", "counted across the organisation")
def _(material: Material, number: int) -> Copy:
    sender = material.address(number)
    return Copy(_same(material, sender), sender, login=sender)


@campaign("one login, all other names rotate", "the login")
def _(material: Material, number: int) -> Copy:
    content = _same(material, material.address(number), (f"Sender: {material.address(number + 100_000)}",))
    return Copy(content, material.address(number + 200_000), login=material.fixed)


@campaign("logins rotate under one From", "From, as a name")
def _(material: Material, number: int) -> Copy:
    return Copy(_same(material, material.fixed), material.fixed, login=material.address(number))


@campaign("Sender rotates", "MAIL FROM and From")
def _(material: Material, number: int) -> Copy:
    return Copy(_same(material, material.fixed, (f"Sender: {material.address(number)}",)), material.fixed)


@campaign("a null sender, From rotates", "counted across the organisation")
def _(material: Material, number: int) -> Copy:
    return Copy(_same(material, material.address(number)), "")


@campaign("a null sender as of an automatic reply, From rotates", "counted across the organisation")
def _(material: Material, number: int) -> Copy:
    fields = ("Auto-Submitted: auto-replied", f"In-Reply-To: <{letters(number)}@{material.slug}.example>")
    return Copy(_same(material, material.address(number), fields), "")


@campaign("an automatic reply of one name", "automatic mail of one origin is one mailing")
def _(material: Material, number: int) -> Copy:
    fields = ("Auto-Submitted: auto-replied", f"In-Reply-To: <{letters(number)}@{material.slug}.example>")
    return Copy(mail(material.fixed, material.own_subject(number), material.own_subject(number), fields), "")


@campaign("VERP", "MAIL FROM without VERP")
def _(material: Material, number: int) -> Copy:
    verp = f"{material.slug}-bounces+user{number}=dphhs.example.gov@doa.example.gov"
    return Copy(_same(material, material.address(number)), verp)


@campaign("BATV", "MAIL FROM without BATV")
def _(material: Material, number: int) -> Copy:
    batv = f"prvs={number:010d}={material.fixed}"
    return Copy(_same(material, material.address(number)), batv)


@campaign("SRS that is undone", "counted across the organisation")
def _(material: Material, number: int) -> Copy:
    srs = f"SRS0={letters(number)}=IX={OUTSIDE[0]}={material.slug}@doa.example.gov"
    return Copy(_same(material, material.address(number)), srs)


@campaign("SRS that cannot be undone", "counted across the organisation")
def _(material: Material, number: int) -> Copy:
    srs = f"bounces+SRS={letters(number)}=IX@doa.example.gov"
    return Copy(_same(material, material.address(number)), srs)


@campaign("tags rotate in MAIL FROM and From", "tags are left out of inside addresses")
def _(material: Material, number: int) -> Copy:
    sender = f"{material.slug}+{letters(number)}@doa.example.gov"
    return Copy(_same(material, sender), sender)


@campaign("the display name rotates, and with it the text names its writer", "counted across the organisation")
def _(material: Material, number: int) -> Copy:
    writer = word(material.chance(number)).title()
    content = mail(f"{writer} <{material.address(number)}>", material.subject, f"{material.text}\r\n\r\n{writer}")
    return Copy(content, material.address(number))


@campaign("two From fields, one of which rotates", "the other From, as a name")
def _(material: Material, number: int) -> Copy:
    return Copy(_same(material, material.fixed, (f"From: {material.address(number)}",)), material.address(number))


@campaign("several authors, who rotate", "MAIL FROM")
def _(material: Material, number: int) -> Copy:
    authors = f"{material.address(number)}, {material.address(number + 100_000)}"
    return Copy(_same(material, authors, (f"Sender: {material.address(number)}",)), material.fixed)


@campaign("no From, MAIL FROM rotates", "counted across the organisation")
def _(material: Material, number: int) -> Copy:
    return Copy(_same(material, material.fixed).partition(b"\r\n")[2], material.address(number))


@campaign("From is a separate source", "every origin must be `separate`")
def _(material: Material, number: int) -> Copy:
    return Copy(_same(material, "noreply@doa.example.gov"), material.fixed)


@campaign("From is a separate source, and a null sender", "a login or MAIL FROM must name somebody")
def _(material: Material, number: int) -> Copy:
    return Copy(_same(material, "noreply@doa.example.gov"), "")


@campaign("From is a separate source, Sender rotates", "every origin must be `separate`")
def _(material: Material, number: int) -> Copy:
    content = _same(material, "noreply@doa.example.gov", (f"Sender: {material.address(number)}",))
    return Copy(content, material.fixed)


@campaign("From is of an agency outside of the scope", "every origin must be out of the scope")
def _(material: Material, number: int) -> Copy:
    return Copy(_same(material, f"{material.slug}@mus.example.edu"), material.fixed)


@campaign("MAIL FROM is of an agency outside of the scope", "every origin must be out of the scope")
def _(material: Material, number: int) -> Copy:
    return Copy(_same(material, material.fixed), f"{material.slug}@mus.example.edu")


@campaign("a mailing list of the own, From munged for DMARC", "From, as a name")
def _(material: Material, number: int) -> Copy:
    fields = ("List-Id: <talk.doa.example.gov>", f"Reply-To: {material.address(number)}")
    author = f"{word(material.chance(number))} via talk <{material.slug}@doa.example.gov>"
    return Copy(_same(material, author, fields), material.address(number, OUTSIDE[0]))


@campaign("three people a message, From rotates", "MAIL FROM", each=3)
def _(material: Material, number: int) -> Copy:
    return Copy(_same(material, material.address(number)), material.fixed)


@campaign("names, subject and text rotate, without a login", "nothing but the client: `client_users`", Reach.ALL)
def _(material: Material, number: int) -> Copy:
    sender, own = material.address(number), material.own_subject(number)
    return Copy(
        mail(sender, own, f"{own} {material.own_subject(number + 100_000)} {word(material.chance(number))}"), sender
    )
