"""Addresses: what is equal, what is valid, and whose an envelope sender is."""

from __future__ import annotations

import time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gatekeeper import address
from gatekeeper.model import Mailbox

LOCALS = st.from_regex(r"[a-z0-9]{1,6}([._+=-][a-z0-9]{1,6}){0,3}", fullmatch=True)
DOMAINS = st.from_regex(r"([a-z][a-z0-9-]{0,5}[a-z0-9]\.){1,3}(gov|org)", fullmatch=True)
MAILBOXES = st.builds("{}@{}".format, LOCALS, DOMAINS)
LISTS = st.from_regex(r"[a-z]{2,6}(-[a-z]{1,6}){0,2}", fullmatch=True)
AWKWARD = st.text(st.sampled_from('ab.+=@"\\<>:, []-\tÄßİΣς.ﬁ\u0345\u212a\u00ad\u3002'), max_size=14) | st.text(
    max_size=12
)


@pytest.mark.parametrize(
    ("written", "outside", "inside"),
    [
        ("Jo.Doe@DOA.Example.Gov", "jo.doe@doa.example.gov", "jo.doe@doa.example.gov"),
        ("jo+news@example.gov", "jo+news@example.gov", "jo@example.gov"),
        ("jo+a+b@example.gov", "jo+a+b@example.gov", "jo@example.gov"),
        ("+news@example.gov", "+news@example.gov", "+news@example.gov"),
        ("jo@example.gov.", "jo@example.gov", "jo@example.gov"),
        (' "jo"@example.gov ', "jo@example.gov", "jo@example.gov"),
        (r'"j\o"@example.gov', "jo@example.gov", "jo@example.gov"),
        ('"Jo Doe"@example.gov', '"jo doe"@example.gov', '"jo doe"@example.gov'),
        ('"jo+a b"@example.gov', '"jo+a b"@example.gov', "jo@example.gov"),
        ("@relay.example.org,@b.example.org:jo@example.gov", "jo@example.gov", "jo@example.gov"),
        ("@[192.0.2.1]:jo@example.gov", "jo@example.gov", "jo@example.gov"),
        ("jo%example.gov@relay.example.org", "jo%example.gov@relay.example.org", "jo%example.gov@relay.example.org"),
        ("relay!jo@example.gov", "relay!jo@example.gov", "relay!jo@example.gov"),
        ("jo@BÜCHER.example.org", "jo@xn--bcher-kva.example.org", "jo@xn--bcher-kva.example.org"),
        ("jo@bu\u0308cher。example.org", "jo@xn--bcher-kva.example.org", "jo@xn--bcher-kva.example.org"),
        ("jo@XN--BCHER-KVA.example.org", "jo@xn--bcher-kva.example.org", "jo@xn--bcher-kva.example.org"),
        ("jo@no_idnä.example.org", "jo@no_idnä.example.org", "jo@no_idnä.example.org"),
        ("JOSE\u0301@example.org", "josé@example.org", "josé@example.org"),
        ("jo@[IPv6:2001:DB8:0::1]", "jo@[ipv6:2001:db8::1]", "jo@[ipv6:2001:db8::1]"),
        ("jo@[192.0.2.1]", "jo@[192.0.2.1]", "jo@[192.0.2.1]"),
        ("Postmaster", "postmaster", "postmaster"),
        ("", "", ""),
    ],
)
def test_addresses_of_one_mailbox_are_equal(written: str, outside: str, inside: str) -> None:
    assert address.normalise(written) == outside
    assert address.normalise(written, internal=True) == inside


@given(AWKWARD | st.builds("{}@{}".format, AWKWARD, AWKWARD), st.booleans())
@example('@".', False)
def test_normalising_again_changes_nothing(written: str, internal: bool) -> None:
    once = address.normalise(written, internal)
    assert address.normalise(once, internal) == once
    assert address.normalise(written.strip(" \t\r\n"), internal) == once


@given(MAILBOXES)
def test_case_and_needless_quotes_change_nothing(mailbox: str) -> None:
    local, domain = address.split(mailbox)
    assert address.normalise(f'"{local}"@{domain.upper()}.') == address.normalise(mailbox.upper()) == mailbox
    assert address.is_valid(mailbox) and address.is_valid(f'"{local}"@{domain}')


@given(AWKWARD)
def test_a_quoted_name_is_valid_once_normalised(local: str) -> None:
    name = "".join(letter for letter in local if " " <= letter <= "~")
    quoted = name.replace("\\", "\\\\").replace('"', '\\"')
    assert address.is_valid(f'"{quoted}"@example.org')
    assert address.is_valid(address.normalise(f'"{quoted}"@example.org'))


@pytest.mark.parametrize(
    "written",
    [
        "jo@example.gov",
        "o'neil+x@example.gov",
        '"a b"@example.gov',
        r'"a\"b"@example.gov',
        '""@example.gov',
        "jo@[192.0.2.1]",
        "jo@[IPv6:2001:db8::1]",
        "jo@localhost",
        "jörg@bücher.example.org",
        "x" * 200 + "@example.gov",
    ],
)
def test_valid(written: str) -> None:
    assert address.is_valid(written)


@pytest.mark.parametrize(
    "written",
    [
        "",
        "jo",
        "@example.gov",
        "jo@",
        "jo.@example.gov",
        ".jo@example.gov",
        "j..o@example.gov",
        "jo doe@example.gov",
        '"jo@example.gov',
        '"a"b"@example.gov',
        "jo@example..gov",
        "jo@-example.gov",
        "jo@exam_ple.gov",
        "jo@example.gov.",
        "jo@[192.0.2]",
        "jo@[2001:db8::1]",
        "jo@[IPv6:2001:db8::1",
        "<jo@example.gov>",
        "@relay.example.org:jo@example.gov",
        "jo@example.gov\r\n",
        "jo\x85@example.gov",
        "jo@" + "a" * 64 + ".gov",
        "jo@" + "a.b" * 90,
    ],
)
def test_not_valid(written: str) -> None:
    assert not address.is_valid(written)


def test_split_finds_the_last_at() -> None:
    assert address.split('"a@b"@example.gov') == ('"a@b"', "example.gov")
    assert address.split('"a@b"') == ('"a@b"', "")
    assert address.split("@a,@b:") == ("", "")


@pytest.mark.parametrize(
    ("mail_from", "origin"),
    [
        ("", ""),
        ("Jo@Example.gov", "jo@example.gov"),
        ("a=b@example.gov", "a=b@example.gov"),
        ("owner-staff+bob=example.org@lists.example.gov", "owner-staff@lists.example.gov"),
        ("owner-staff-bob=example.org@lists.example.gov", "owner-staff@lists.example.gov"),
        ("staff-bounces+bob=example.org@lists.example.gov", "staff-bounces@lists.example.gov"),
        ("bounce-123-bob=example.org@lists.example.gov", "bounce@lists.example.gov"),
        ("news-7-bob-x=example.org@lists.example.gov", "news@lists.example.gov"),
        ("all-staff-return-123-bob-x=example.org@lists.example.gov", "all-staff-return@lists.example.gov"),
        ("bounce+bob==a==example.org==staff@lists.example.gov", "staff@lists.example.gov"),
        ("bounce+bob==a==example.org==staff==w@lists.example.gov", "staff@lists.example.gov"),
        ("prvs=1234ABCDEF=jo@example.gov", "jo@example.gov"),
        ("prvs=jo/1234ABCDEF@example.gov", "jo@example.gov"),
        ("msprvs1=17456Tk8CKq5N=jo@example.gov", "jo@example.gov"),
        ("btv1==0213456789a==jo@example.gov", "jo@example.gov"),
        ("SRS0=HHH=TT=example.org=Jo@fwd.example.gov", "jo@example.org"),
        ("SRS0+HH+/=TT=example.org=jo@fwd.example.gov", "jo@example.org"),
        ("srs0-HHH=TT=example.org=jo@fwd.example.gov", "jo@example.org"),
        ("SRS1=HHH=fwd.example.gov==HHH=TT=example.org=jo@two.example.gov", "jo@example.org"),
        ("SRS1+HHH=fwd.example.gov=-HHH=TT=example.org=jo@two.example.gov", "jo@example.org"),
        ("bounces+SRS=HHH=TT=example.org=jo@fwd.example.gov", "jo@example.org"),
        ("SRS0=H=T=example.org=prvs=12ab=staff-bounces+bob=example.gov@fwd.example.gov", "staff-bounces@example.org"),
    ],
)
def test_origin_without_knowing_the_recipient(mail_from: str, origin: str) -> None:
    assert address.envelope_origin(mail_from, []) == origin


@given(
    st.lists(MAILBOXES, min_size=2, max_size=4), LISTS, st.sampled_from(["+", "-", "-return-17-", "-bounces+", "-9-"])
)
def test_every_recipients_verp_sender_is_one_origin(recipients: list[str], name: str, joint: str) -> None:
    origins = set()
    for recipient in recipients:
        encoded = recipient.replace("@", "=")
        origins.add(address.envelope_origin(f"{name}{joint}{encoded}@lists.example.gov", [recipient.upper()]))
    ending = joint.rstrip("+-").rstrip("0123456789").rstrip("-")
    assert origins == {f"{name}{ending}@lists.example.gov"}


@given(MAILBOXES, LISTS, st.sampled_from(["prvs={}={}@{}", "btv1=={}=={}@{}", "msprvs1={}={}@{}"]))
def test_batv_comes_off_whatever_the_tag(recipient: str, name: str, form: str) -> None:
    verp = f"{name}-bounces+{recipient.replace('@', '=')}"
    mail_from = form.format("1234abcdef", verp, "lists.example.gov")
    assert address.envelope_origin(mail_from, [recipient]) == f"{name}-bounces@lists.example.gov"


@given(
    st.from_regex(r"[a-z]{1,8}(\.[a-z]{1,8})?", fullmatch=True), DOMAINS, st.sampled_from("=+-"), st.sampled_from("=+-")
)
def test_srs_leads_back_over_one_and_two_forwarders(local: str, domain: str, first: str, second: str) -> None:
    once = f"SRS0{first}Ha/h=T7={domain}={local}@one.example.org"
    twice = f"SRS1{second}Hash=one.example.org={first}Ha/h=T7={domain}={local}@two.example.org"
    assert address.envelope_origin(once, []) == address.envelope_origin(twice, []) == f"{local}@{domain}"


@given(AWKWARD | st.builds("{}@{}".format, AWKWARD, AWKWARD), MAILBOXES)
def test_an_origin_is_its_own_origin(mail_from: str, recipient: str) -> None:
    origin = address.envelope_origin(mail_from, [recipient])
    assert address.envelope_origin(origin, [recipient]) == origin == address.normalise(origin)


@pytest.mark.parametrize(
    "unit", ["@a,", "@a:", '"', '"\\', "a.", "ä.", "\u0315\u0300", "a@ä.", "+=", "-1", "prvs=a=", "-b=x.y", "=a."]
)
def test_the_work_on_a_hostile_address_grows_as_its_length(unit: str) -> None:
    def work(length: int) -> float:
        mailbox = unit * (length // len(unit)) + "@example.org"
        begun = time.process_time()
        address.normalise(mailbox)
        address.is_valid(mailbox)
        address.envelope_origin(mailbox[-1000:], ["b@x.y"])  # more than a MAIL command holds (RFC 5321 4.5.3.1.3)
        return time.process_time() - begun

    short, long = (min(work(length) for _ in range(3)) for length in (10_000, 80_000))
    assert long < 30 * short + 0.01  # a square would be 64 times as long


JO = Mailbox("Jo", "Jo@DOA.example.gov")


def test_the_source_is_the_login_else_from_else_the_envelope() -> None:
    envelope = "owner-staff+bob=example.org@lists.example.gov"
    assert address.source("Ann@example.gov", [JO], envelope, []) == "ann@example.gov"
    assert address.source(None, [JO], envelope, []) == "jo@doa.example.gov"
    assert address.source("", [Mailbox("", " "), JO], "", []) == "jo@doa.example.gov"
    assert address.source(None, [], envelope, ["bob@example.org"]) == "owner-staff@lists.example.gov"
    assert address.source(None, [], "", []) == ""


def test_a_login_without_a_domain_finds_one() -> None:
    assert address.source("jo", [JO], "", []) == "jo@doa.example.gov"
    assert address.source("CORP\\Jo", [JO], "", []) == "jo@doa.example.gov"
    assert address.source("ann", [JO], "", []) == "ann"
    assert address.source("ann", [JO], "", [], login_domain="Example.gov") == "ann@example.gov"
    assert address.source("jo", [JO], "", [], login_domain="example.gov") == "jo@example.gov"


ODD = st.sampled_from(
    ["", "A@B.c", "a+b@c.d", "a..b@c", "a@b\nc@d", "\u212a@x.y", '"q q"@x.y', "@a:b@c", "a@b.", "a@b.c\n"]
)


@given(st.lists(ODD | AWKWARD | MAILBOXES, max_size=8))
def test_many_are_normalised_as_each_is(addresses: list[str]) -> None:
    assert list(address.Addresses(addresses).normalised) == [address.normalise(each) for each in addresses]
