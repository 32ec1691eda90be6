"""Address lists: what is read, and what is marked as guessed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatekeeper.message.address_fields import is_address, read_addresses
from gatekeeper.model import Mailbox

WELL_FORMED = [
    ("ann@example.gov", [("", "ann@example.gov")]),
    ("Ann Lee <ann@example.gov>", [("Ann Lee", "ann@example.gov")]),
    ('"Lee, Ann" <ann@example.gov>, bob@example.gov', [("Lee, Ann", "ann@example.gov"), ("", "bob@example.gov")]),
    (r'"Ann \"A\" Lee" <ann@example.gov>', [('Ann "A" Lee', "ann@example.gov")]),
    ("ann@example.gov (Ann (A.) Lee)", [("Ann (A.) Lee", "ann@example.gov")]),
    ("staff: ann@example.gov, Bob <bob@example.gov>;", [("", "ann@example.gov"), ("Bob", "bob@example.gov")]),
    ("undisclosed-recipients:;", []),
    ("<undisclosed-recipients:;>", []),
    ("<ann @ example . gov>", [("", "ann@example.gov")]),
    ("<@relay.example.org,@other.example.org:ann@example.gov>", [("", "ann@example.gov")]),
    ("ann @ example . gov", [("", "ann@example.gov")]),
    ('"ann lee"@example.gov', [("", '"ann lee"@example.gov')]),
    ('"a,b" <"a b"@example.gov>', [("a,b", '"a b"@example.gov')]),
    ("ann@[192.0.2.1]", [("", "ann@[192.0.2.1]")]),
    (", ann@example.gov,, bob@example.gov,", [("", "ann@example.gov"), ("", "bob@example.gov")]),
    ("postmaster", [("", "postmaster")]),
    ("Jörg <jörg@example.org>", [("Jörg", "jörg@example.org")]),
    ("Dr. A. Lee <ann@example.gov>", [("Dr. A. Lee", "ann@example.gov")]),
    ("=?utf-8?Q?Lee,_Ann?= <ann@example.gov>", [("=?utf-8?Q?Lee,_Ann?=", "ann@example.gov")]),
    ("ann@example.gov <ann@example.gov>", [("ann@example.gov", "ann@example.gov")]),
    ("ann@example.gov; bob@example.gov;", [("", "ann@example.gov"), ("", "bob@example.gov")]),
    ("Dept: Health <ann@example.gov>", [("Dept: Health", "ann@example.gov")]),
    ("Re: Dept: Health <ann@example.gov>", [("Re: Dept: Health", "ann@example.gov")]),
    (
        "Dept: <ann@example.gov>, Re: Bob <bob@example.gov>, Carla <carla@example.gov>",
        [("Dept:", "ann@example.gov"), ("Re: Bob", "bob@example.gov"), ("Carla", "carla@example.gov")],
    ),
]

GUESSED = [
    ("ann@example.gov bob@example.gov", ["ann@example.gov", "bob@example.gov"]),
    ("<ann@example.gov> <bob@example.gov>", ["ann@example.gov", "bob@example.gov"]),
    ("=?utf-8?q?ann=40example.gov?=", ["=?utf-8?q?ann=40example.gov?="]),
    ("Ann <=?utf-8?q?ann?=@example.gov>", ["=?utf-8?q?ann?=@example.gov"]),
    ("Dept: Ann <ann@example.gov>, bob@example.gov", ["ann@example.gov", "bob@example.gov"]),
    ("Dept: Ann <ann@example.gov>, Staff: Bob <bob@example.gov>;", ["ann@example.gov", "bob@example.gov"]),
    ("Dept: Ann <ann@example.gov>, Staff:", ["ann@example.gov"]),
    ("Ann <ann@example.gov", ["ann@example.gov"]),
    ('"Ann <ann@example.gov>', []),
    ("Ann Lee", []),
    ("chief@example.gov <mallory@example.org>", ["mallory@example.org"]),
    ("ann@example.gov (never closed", ["ann@example.gov"]),
    ("staff: ann@example.gov", ["ann@example.gov"]),
    ("ann@example.gov: bob@example.gov;", ["ann@example.gov", "bob@example.gov"]),
    ("Ann <>", []),
    ("<ann lee@example.gov>", ["annlee@example.gov"]),
]


@pytest.mark.parametrize(("text", "expected"), WELL_FORMED)
def test_reads_what_the_grammar_allows(text, expected):
    read = read_addresses(text, 100)
    assert read.mailboxes == tuple(Mailbox(*pair) for pair in expected)
    assert not read.malformed


@pytest.mark.parametrize(("text", "expected"), GUESSED)
def test_reads_on_and_says_that_it_guessed(text, expected):
    read = read_addresses(text, 100)
    assert [mailbox.address for mailbox in read.mailboxes] == expected
    assert read.malformed


def test_more_than_the_limit_is_said():
    many = ", ".join(f"u{number}@example.gov" for number in range(11))
    assert read_addresses(many, 11).over_limit is False
    read = read_addresses(many, 10)
    assert len(read.mailboxes) == 10
    assert read.over_limit


NAMES = st.text('ab ,;:<>()"@\\', max_size=8)
BOXES = st.from_regex(r"[a-z]{1,5}@[a-z]{1,5}\.gov", fullmatch=True)


@given(st.lists(st.tuples(NAMES, BOXES)))
def test_any_display_name_when_quoted_leaves_the_addresses(pairs):
    text = ", ".join('"{}" <{}>'.format(name.replace("\\", "\\\\").replace('"', '\\"'), box) for name, box in pairs)
    read = read_addresses(text, 1000)
    assert [mailbox.address for mailbox in read.mailboxes] == [box for _, box in pairs]
    assert not read.malformed


@given(st.text('a@.,;:<>()[]"\\ \t=?', max_size=60))
def test_ends_on_any_text(text):
    for mailbox in read_addresses(text, 1000).mailboxes:
        assert mailbox.address


@pytest.mark.parametrize("text", ["ann", "@example.gov", "ann@", "a b@example.gov", "a@b@c", "a@b,c", ""])
def test_what_is_no_address(text):
    assert not is_address(text)
