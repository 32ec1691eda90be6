"""What a message of few words is, whatever its subject: an invitation, a file, links, a few words."""

from __future__ import annotations

import base64

import pytest

from gatekeeper.message import read_facts
from tests.message.samples import HEAD, message, mixed

PLAIN = "Content-Type: text/plain; charset=utf-8"
AS_HTML = "Content-Type: text/html; charset=utf-8"


def key(*lines: str | bytes) -> str:
    return read_facts(message(*HEAD, *lines)).short_key


def of(text: str) -> str:
    return key(PLAIN, "", text)


def of_html(text: str) -> str:
    return key(AS_HTML, "", text)


# -- words -------------------------------------------------------------------------------------------------------

WORDS = "words:bulldlng closes early tomorrow"  # an i is an l: 1 and | may stand for either
SAME = [
    "The building closes early tomorrow.",
    "Hello Ann,\n\nThe building closes early tomorrow.\n\nKind regards,\nBob Smith\nDirector",
    "Dear all, the building closes early tomorrow! Thanks, Bob",
    "The building closes early tomorrow (17 of 40).",
    "17: The building closes early tomorrow",
    "Batch 3: the building closes early tomorrow\n\nBob Smith\nDirector of the office",
    "> The building closes early tomorrow.",
    "THE BUILDING CLOSES EARLY TOMORROW",
    "Th3 bu1lding c10ses 3arly t0morrow",
    "The buil\u200bding clo\u00adses early tomorrow",
    "FYI\n\n-----Original Message-----\nFrom: Bob\nSent: today\n\nThe building closes early tomorrow.",
]


@pytest.mark.parametrize("text", SAME)
def test_the_same_few_words(text):
    assert of(text) == WORDS
    assert read_facts(message(*HEAD, PLAIN, "", text)).fingerprints == ()


@pytest.mark.parametrize(
    "text",
    [
        "The building closes late tomorrow.",
        "The building opens early tomorrow.",
        "Early tomorrow the building closes.",
        "The building closes early on Tuesdays.",
    ],
)
def test_other_words(text):
    assert of(text).startswith("words:")
    assert of(text) != WORDS


COURTESIES = """
    Thanks! | See attached. | FYI | ok | Many thanks for your mail, have a nice weekend!
    Please find attached the file.
    Vielen Dank! | siehe Anlage
    Anbei die Datei, mit freundlichen Grüßen | Zur Kenntnis | Merci beaucoup et bonne journée
    Veuillez trouver ci-joint le document. Cordialement | Muchas gracias por su mensaje | Adjunto el archivo. Saludos
    Grazie mille e buona giornata | In allegato il documento. Cordiali saluti | Obrigado, segue em anexo o arquivo
    Bedankt! Zie bijlage. Met vriendelijke groet | Tack! Se bifogad fil. Vänliga hälsningar | Takk! Vennlig hilsen
    Kiitos! Ystävällisin terveisin | Dziękuję, pozdrawiam serdecznie | Спасибо! С уважением | 17 of 40 | 4711 0815 2026
"""


@pytest.mark.parametrize(
    "text", [each.strip() for line in COURTESIES.strip().splitlines() for each in line.split(" | ")]
)
def test_courtesies_and_numbers_are_no_key(text):
    assert of(text) == of(f"Hello,\n\n{text}\n\nAnn Miller\nDirector, Department of Administration\n406-555-0100") == ""


# -- links ---------------------------------------------------------------------------------------------------------

LINKED = "links:forms.example.org/survey"
LINKS = [
    "https://forms.example.org/survey?id=4711",
    "Please open https://forms.example.org/survey?u=ann@example.gov#top",
    "<https://forms.example.org/survey/8f3a77bc/>",
    "HTTP://user@Forms.Example.ORG:8080/survey.",
    "Enrolment: https://forms.example.org/survey",
]
HTML_LINKS = [
    '<a href="https://forms.example.org/survey?u=1">Click here</a>',
    "<p>Hello Ann,</p><p><a href='//forms.example.org/survey'>Open</a></p>",
    '<a href="https://forms.example.org/survey"><img src="cid:x"></a>',
    '<form action="https://forms.example.org/survey"><input name=x></form>',
    "<a href='https&colon;//forms.example.org/sur&#118;ey?x'>.</a>",
    '<div style="display:none"><a href="https://other.example">x</a></div><a href=https://forms.example.org/survey>x</a>',
]


@pytest.mark.parametrize("content", [*map(of, LINKS), *map(of_html, HTML_LINKS)])
def test_links_say_what_it_is_where_little_else_does(content):
    assert content == LINKED


def test_other_places_are_other_links():
    places = ["forms.example.org", "forms.example.org/other", "example.org/survey", "forms.example.org/survey/staff"]
    assert len({of(f"https://{place}") for place in places} | {LINKED}) == 5


def test_links_beside_words_or_in_a_signature_are_no_key():
    text = "The building closes early tomorrow, see https://forms.example.org/a"
    assert of(text) == "links:forms.example.org/a"  # four words are little
    assert of(f"{text} for the times of all other buildings").startswith("links:") is False
    assert of("Thanks!\n\nKind regards,\nAnn\nhttps://doa.example.gov") == ""
    assert of_html("<p>Thanks!</p><p>Kind regards,<br>Ann<br><a href='https://doa.example.gov'>web</a></p>") == ""


def test_other_schemes():
    assert of_html("<a href='mailto:ann+17@example.gov?subject=yes'>Yes</a>") == "links:mailto:ann@example.gov"
    assert of("tel:+1-406-555-0100") == "links:tel:14065550100"
    assert of("forms.example.org/survey") == of("ftp://ann@forms.example.org/survey") == LINKED


def test_a_picture_in_the_html_itself():
    one, other = (of_html(f"<img src='data:image/png;base64,{octets * 90}'>") for octets in ("QUJD", "REVG"))
    assert one.startswith("links:data:")
    assert one != other


@pytest.mark.parametrize("begin", ["begin 644", "begin \t0100644", "begin-base64  7"])
def test_a_file_in_the_text(begin):
    lines = "\r\n".join(["M" + "5V]R9',@:6X@82!F:6QE5V]R9',@:6X@82!F:6QE5V]R9',@:6X@82!F:6QE"] * 20)
    one, other = (of(f"Hello,\r\n\r\n{begin} {name}.txt\r\n{lines}\r\n`\r\nend\r\n") for name in ("a", "b"))
    assert one.startswith("file:")
    assert one == other


def test_a_picture_from_elsewhere():
    assert of_html("<img src='https://pictures.example.org/a.png?u=1'>") == "links:pictures.example.org/a.png"
    assert of_html("<p>The building closes early tomorrow.</p><img src='https://x.example/logo.png'>") == WORDS


# -- files ---------------------------------------------------------------------------------------------------------


def part(kind: str, octets: bytes, *fields: str) -> tuple[str | bytes, ...]:
    encoded = base64.encodebytes(octets).replace(b"\n", b"\r\n")
    return ("--b", f"Content-Type: {kind}", "Content-Transfer-Encoding: base64", *fields, "", encoded)


def text(words: str, kind: str = PLAIN) -> tuple[str, ...]:
    return ("--b", kind, "", words)


PLAN = part("application/pdf", b"%PDF plan" * 900, "Content-Disposition: attachment; filename=plan.pdf")
OTHER = part("application/pdf", b"%PDF other" * 900, "Content-Disposition: attachment; filename=plan.pdf")
PICTURE = part("image/png", b"\x89PNG" * 900, "Content-ID: <x>")
CARD = part("text/vcard", b"BEGIN:VCARD" * 900, "Content-Disposition: attachment; filename=ann.vcf")


def mixed_key(*lines: str | bytes, kind: str = "mixed") -> str:
    return read_facts(mixed(*lines, "--b--", kind=kind)).short_key


def test_the_largest_file_says_what_it_is():
    small = part("application/pdf", b"%PDF small", "Content-Disposition: attachment; filename=a.pdf")
    found = mixed_key(*text("See attached."), *PLAN)
    assert found.startswith("file:")
    assert mixed_key(*small, *text("Batch 17, as discussed"), *PLAN, *CARD) == found
    assert mixed_key(*text("See attached."), *OTHER) != found
    assert read_facts(message(*HEAD, *PLAN[1:])).short_key == found


def test_a_picture_says_it_where_it_stands_alone():
    alone = mixed_key(*text("<img src=cid:x>", AS_HTML), *PICTURE, kind="related")
    assert alone.startswith("file:")
    assert mixed_key(*text("Hello,"), *PICTURE) == alone
    assert mixed_key(*text("<p>Hello Ann,</p><img src=cid:x>", AS_HTML), *PICTURE, kind="related") == alone


def test_logos_cards_and_texts_of_gateways_are_no_key():
    logo = text("<p>Thanks!</p><p>Ann Miller<br>Director of the office<br>Capitol Complex</p><img src=cid:x>", AS_HTML)
    assert mixed_key(*logo, *PICTURE, kind="related") == ""
    assert mixed_key(*text("Thanks!"), *CARD) == ""
    assert (
        mixed_key(
            *text("Thanks!"),
            *part("text/plain", b"list footer", 'Content-Disposition: attachment; filename="ATT00001.txt"'),
        )
        == ""
    )
    assert mixed_key(*text("The building closes early tomorrow."), *PICTURE) == WORDS


# -- invitations ---------------------------------------------------------------------------------------------------


def calendar(uid: str, *more: str) -> str:
    return "\r\n".join(["BEGIN:VCALENDAR", "BEGIN:VEVENT", f"UID:{uid}", *more, "END:VEVENT", "END:VCALENDAR", ""])


def test_an_invitation_is_its_uid():
    one = key("Content-Type: text/calendar; method=REQUEST", "", calendar("40@example.gov", "SUMMARY:One"))
    assert one == "invitation:40@example.gov"
    folded = calendar("40@exa\r\n mple.gov", "SUMMARY:Two")
    other = (*text("Join us on Monday for the picnic of the office"), "--b", "Content-Type: text/calendar", "", folded)
    assert mixed_key(*other, kind="alternative") == one
    ics = part(
        "application/ics", calendar("40@example.gov").encode(), "Content-Disposition: attachment; filename=i.ics"
    )
    assert mixed_key(*text("See you!"), *ics) == one


def test_a_calendar_without_a_uid_is_none():
    assert mixed_key(*text("Thanks!"), "--b", "Content-Type: text/calendar", "", "BEGIN:VCALENDAR") == ""


# -- which text ----------------------------------------------------------------------------------------------------

LONG = (
    "the annual survey of all employees has started today and runs for three weeks, so please take ten minutes for it"
)


def test_a_text_of_many_words_needs_none():
    assert of(LONG) == ""
    assert read_facts(message(*HEAD, PLAIN, "", LONG)).fingerprints


def test_few_words_of_html_shown_in_place_of_another_text_are_a_key():
    both = (*text(LONG), *text("<p>The building closes early tomorrow.</p>", AS_HTML))
    assert mixed_key(*both, kind="alternative") == WORDS
    assert mixed_key(*both) == ""  # both are shown


def test_few_words_beside_a_long_html_are_none():
    both = (*text("To read this mail, open it in a browser of yours."), *text(f"<p>{LONG}</p>", AS_HTML))
    assert mixed_key(*both, kind="alternative") == ""
