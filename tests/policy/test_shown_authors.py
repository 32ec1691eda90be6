"""No From shows an author that the gate does not see (C5): four other parsers read what the gate lets pass."""

from __future__ import annotations

import email.errors
import email.header
import re
import unicodedata
from collections.abc import Iterator
from contextlib import suppress

import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from gatekeeper.address import normalise
from gatekeeper.policy.active import Policy
from gatekeeper.policy.sender_identity import UNTRUSTED, belong_together
from tests.message.samples import corpus_facts
from tests.peers.address_parsers import AddressParsers, address_parsers
from tests.policy.test_sender_identity import ME, policy, send

OTHERS = ("cio@example.gov", "ann@deq.example.gov")
_IN_A_NAME = re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+")


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Policy:
    return policy(tmp_path_factory.mktemp("shown"))


@pytest.fixture(scope="module")
def parsers() -> Iterator[AddressParsers]:
    with address_parsers() as started:
        yield started


def shown(parsers: AddressParsers, text: str) -> Iterator[tuple[str, str]]:
    """Yield every address that a parser finds, or that a name shows, whether the field is decoded before or after."""
    for form in {text, decoded(text)}:
        for parser, boxes in parsers.read(form).items():
            for name, address in boxes:
                yield from ((parser, each) for each in (address, decoded(address)) if each)
                yield from ((parser, each) for seen in visible(decoded(name)) for each in _IN_A_NAME.findall(seen))


def decoded(text: str) -> str:
    with suppress(email.errors.HeaderParseError, LookupError, ValueError):
        return str(email.header.make_header(email.header.decode_header(text)))
    return text


def visible(name: str) -> tuple[str, str]:
    """Return what people see of a name, read from either side where something turns the text around."""
    seen = unicodedata.normalize("NFKC", name)
    seen = "".join(each for each in seen if unicodedata.category(each) not in ("Cc", "Cf", "Mn"))
    return seen, seen[::-1] if "\u202e" in name else seen


def unseen(parsers: AddressParsers, here: Policy, text: str) -> list[tuple[str, str]]:
    """Return the inside addresses that are shown and that the sender may not use."""
    found = [(parser, normalise(address.strip("<>'\" "))) for parser, address in shown(parsers, text)]
    return [
        (parser, each)
        for parser, each in found
        if "@" in each and here.directory.is_inside(each) and not belong_together(ME, each, here)
    ]


HIDDEN = st.sampled_from(["\u200b", "\u2060", "\u00ad", "\u034f", "\u3164", "\u202e", "\u2067", "\u200f", "\u0301"])
ADDRESSES = st.sampled_from([ME, ME, "mallory@example.org", *OTHERS, "cio@example\u3002gov", "cio\uff20example.gov"])
WORDS = st.sampled_from(
    [
        "Jo",
        "Doe",
        "x",
        "=?utf-8?q?cio=40example.gov?=",
        "=?utf-8?q?cio=40example.gov=2C?=",
        "=?utf-8?b?PGNpb0BleGFtcGxlLmdvdj4=?=",
        "=?utf-8?q?=22?=",
        "=?utf-8?q?=3C?=",
        "=?x-unheard?q?cio?=",
        "vog.elpmaxe@oic",
        "cіo@example.gov",
        "Ꮯio@example.gov",
    ]
)
MARKS = st.sampled_from([*list("\"<>(),;:\\@.[] \t%!=?'"), "@a.example,@b.example:", "<>", "()", '""', "。", "\xa0"])
PIECES = st.one_of(ADDRESSES, WORDS, MARKS, MARKS, HIDDEN)
JOINED = st.lists(PIECES, max_size=9).map("".join)
QUOTED = JOINED.map(lambda text: '"' + text.replace('"', "") + '"')
COMMENT = JOINED.map(lambda text: f"({text})")
NAME = st.one_of(JOINED, QUOTED, COMMENT, st.tuples(QUOTED, COMMENT).map("".join), WORDS)
LOCAL = st.one_of(st.sampled_from(["jo", '"jo"', "jo+x"]), QUOTED, st.tuples(ADDRESSES, WORDS).map("".join))
DOMAIN = st.one_of(
    st.sampled_from(["doa.example.gov", "doa.example\u3002gov", "[192.0.2.1]", "[example.gov]", "(x)doa.example.gov"]),
    st.tuples(st.just("doa.example.gov"), MARKS).map("".join),
)
BOX = st.one_of(ADDRESSES, st.tuples(LOCAL, st.just("@"), DOMAIN).map("".join), JOINED)
ROUTE = st.sampled_from(["", "", "", "@a.example:", "@a.example,@example.gov:", "cio@example.gov:"])
ANGLE = st.tuples(NAME, st.sampled_from(["", " "]), ROUTE, BOX).map(lambda x: f"{x[0]}{x[1]}<{x[2]}{x[3]}>")
FIELDS = st.one_of(
    ANGLE,
    ANGLE,
    BOX,
    JOINED,
    st.tuples(BOX, COMMENT).map(" ".join),
    st.tuples(ANGLE, JOINED).map(" ".join),
    st.lists(st.one_of(ANGLE, BOX), min_size=2, max_size=3).map(", ".join),
)


@pytest.mark.parametrize("field", ["From", "Sender", "Resent-From"])
@given(text=FIELDS)
@settings(max_examples=700, deadline=None, suppress_health_check=list(HealthCheck))
def test_no_parser_shows_an_author_that_the_gate_does_not_see(parsers, here, field, text):  # C5
    header = f"{field}: {text}" if field == "From" else f"From: {ME}\n{field}: {text}"
    problem = send(here, header)[0].from_problem
    event("refused" if problem else "passes")
    assert problem or not unseen(parsers, here, text)


@pytest.mark.parametrize(
    "text",
    [
        '"admin@dphhs.example.gov x"@doa.example.gov',
        f"{chr(0x200B) * 1000}cio@example.gov <{ME}>",
        f'"{chr(0x0301) * 1000}cio@example.gov" <{ME}>',
        f"vog.elpmaxe{chr(0x202E)}@oic <{ME}>",
        f'"{chr(0x202E)}vog.elpmaxe@oic" <{ME}>',
        f'"{chr(0x2067)}gov{chr(0x200F)}.{chr(0x200F)}example{chr(0x200F)}@{chr(0x200F)}cio" <{ME}>',
        f"=?utf-8?q?=E2=80=AEvog=2Eelpmaxe=40oic?= <{ME}>",
        f"Jo <{ME}> (cio@example.gov)",
        f"Jo (cio@example.gov) <{ME}>",
        f"Jo (=?utf-8?q?cio=40example.gov?=) <{ME}>",
        "<@cio.example.gov,@b.example.gov:jo@doa.example.gov>",
        "<@cio@example.gov:jo@doa.example.gov>",
        "<jo(cio@example.gov)@doa.example.gov>",
        "jo (x) @doa.example.gov",
        "jo@doa.example\u3002gov",
        "jo@doa.example\uff0egov",
        "jo@doa\uff61example.gov",
        "cio=?utf-8?q?=40example.gov=3E?=@doa.example.gov",
        "jo@[doa.example.gov]",
        "jo\u200b@doa.example.gov",
        f"=?x-ebcdic?q?cio?= <{ME}>",
        f'"c i o @ example . gov" <{ME}>'.replace(" ", "\u200a"),
        f'"\u0391\u039d\u039d@deq.example.gov" <{ME}>',  # Greek capitals
        f'"cio@example\u3002gov" <{ME}>',
        f"{'x' * 1001} <{ME}>",
        "cio%example.gov@doa.example.gov",
        "example.gov!cio@doa.example.gov",
    ],
)
@pytest.mark.parametrize("field", ["From", "Sender", "Resent-From"])
def test_a_name_that_shows_another_author_is_refused(here, field, text):  # C5
    header = f"{field}: {text}" if field == "From" else f"From: {ME}\n{field}: {text}"
    assert send(here, header)[0].from_problem


@pytest.mark.parametrize(
    "text",
    [
        f"Jo Doe <{ME}>",
        f'"Doe, Jo" <{ME}>',
        f'"Doe, Jo \\"JD\\" (DOA)" <{ME}>',
        f"Jo Doe (DOA) <{ME}>",
        f"{ME} (Jo Doe)",
        f" <{ME}> ",
        f"{ME} <{ME}>",
        f"=?utf-8?q?J=C3=B6?= =?utf-8?b?RG9l?= <{ME}>",
        f"=?iso-2022-jp?B?GyRCO0NFRBsoQg==?= <{ME}>",
        f"J\u00f6rg M\u00fcller <{ME}>",
        f"\u200f\u05d9\u05d5\u05e1\u05d9\u200f <{ME}>",  # Hebrew with marks of direction
        f"\U0001f469\u200d\U0001f4bb Jo <{ME}>",
        f'"Jo @ Work" <{ME}>',
        f'"jo"@{ME.partition("@")[2]}',
        f"Jo\t<{ME}>",
        f"O'Brien-Smith, Jo. <{ME}>".replace(",", ""),
    ],
)
def test_ordinary_names_pass(here, text):
    assert not send(here, f"From: {text}")[0].from_problem


def test_hardly_any_real_sender_is_in_doubt():
    doubtful = [facts.author for facts in corpus_facts() if not UNTRUSTED.isdisjoint(facts.defects)]
    assert len(doubtful) <= len(corpus_facts()) / 1000, doubtful
