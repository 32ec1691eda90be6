"""The arguments of MAIL and RCPT: what is taken, as what, and what each refusal is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatekeeper.smtp.parameters import (
    XCLIENT,
    XFORWARD,
    ArgumentError,
    decode_xtext,
    parse_attributes,
    parse_mail,
    parse_rcpt,
)

OFFERED = ("SIZE", "8BITMIME", "SMTPUTF8", "DSN")
LIMIT = 10_000


def mail_refusal(argument: str, offered: tuple[str, ...] = OFFERED) -> str:
    with pytest.raises(ArgumentError) as caught:
        parse_mail(argument, offered, LIMIT)
    return f"{caught.value.reply.code} {caught.value.reply.enhanced}"


def rcpt_refusal(argument: str, utf8: bool = False, offered: tuple[str, ...] = OFFERED) -> str:
    with pytest.raises(ArgumentError) as caught:
        parse_rcpt(argument, offered, utf8)
    return f"{caught.value.reply.code} {caught.value.reply.enhanced}"


@pytest.mark.parametrize(
    ("argument", "address"),
    [
        ("FROM:<a@doa.example.gov>", "a@doa.example.gov"),
        ("from: <a@doa.example.gov>", "a@doa.example.gov"),
        ("FROM:a@doa.example.gov", "a@doa.example.gov"),
        ("FROM:<>", ""),
        ('FROM:<"a b>c"@doa.example.gov>', '"a b>c"@doa.example.gov'),
        (r'FROM:<"a\"b"@doa.example.gov>', r'"a\"b"@doa.example.gov'),
        ("FROM:<a@[192.0.2.1]>", "a@[192.0.2.1]"),
        ("FROM:<a@[IPv6:2001:db8::1]>", "a@[IPv6:2001:db8::1]"),
        ("FROM:<@x.example.org,@y.example.org:a@doa.example.gov>", "a@doa.example.gov"),
        ("FROM:<a..b.@doa.example.gov>", "a..b.@doa.example.gov"),
        ("FROM:<root@localhost>", "root@localhost"),
        ("FROM:<" + "l" * 255 + "@doa.example.gov>", "l" * 255 + "@doa.example.gov"),
    ],
)
def test_paths_are_kept_as_given(argument: str, address: str) -> None:
    assert parse_mail(argument, OFFERED, LIMIT).address == address


@pytest.mark.parametrize(
    "argument",
    [
        "FROM:<a>",
        "FROM:<a@>",
        "FROM:<@b.c>",
        "FROM:<a@b..c>",
        "FROM:<a b@b.c>",
        "FROM:<a@b.c>x",
        "FROM:<a@b.c",
        "FROM:",
        "FROM:<<a@b.c>>",
        'FROM:<"a@b.c>',
        "FROM:<a@b.c@d.e>",
        "FROM:<" + "l" * 256 + "@doa.example.gov>",
        "FROM:<a@" + "d." * 127 + "example>",
        "FROM:<a\x07@b.c>",
    ],
)
def test_malformed_senders(argument: str) -> None:
    assert mail_refusal(argument) == "501 5.1.7"


def test_other_words_than_from() -> None:
    assert mail_refusal("TO:<a@b.c>") == "501 5.5.4"
    assert mail_refusal("") == "501 5.5.4"
    assert rcpt_refusal("FROM:<a@b.c>") == "501 5.5.4"


def test_postmaster_needs_no_domain_and_nobody_is_no_recipient() -> None:
    assert parse_rcpt("TO:<Postmaster>", OFFERED, False).address == "Postmaster"
    assert rcpt_refusal("TO:<>") == "501 5.1.3"
    assert rcpt_refusal("TO:<a>") == "501 5.1.3"


def test_parameters_are_kept_in_canonical_case() -> None:
    mail = parse_mail("FROM:<a@b.c> size=100 Body=8bitmime RET=hdrs ENVID=QQ+3D1 SMTPUTF8", OFFERED, LIMIT)
    assert mail.parameters == ("SIZE=100", "BODY=8BITMIME", "RET=HDRS", "ENVID=QQ+3D1", "SMTPUTF8")
    assert (mail.size, mail.utf8) == (100, True)
    recipient = parse_rcpt("TO:<a@b.c> notify=success,Delay ORCPT=rfc822;a+2Bb@b.c", OFFERED, False)
    assert recipient.parameters == ("NOTIFY=SUCCESS,DELAY", "ORCPT=rfc822;a+2Bb@b.c")
    assert parse_rcpt("TO:<a@b.c> ORCPT=utf-8;ü\\x{20}@b.c", OFFERED, True).parameters == ("ORCPT=utf-8;ü\\x{20}@b.c",)


@pytest.mark.parametrize(
    "parameters",
    [
        "SIZE=x",
        "SIZE",
        "SIZE=" + "1" * 21,
        "BODY=BINARYMIME",
        "BODY",
        "SMTPUTF8=1",
        "RET=SOME",
        "ENVID=a+2",
        "ENVID=+0D+0A",
        "ENVID=" + "x" * 101,
        "SIZE=1 SIZE=1",
        "BODY=7BIT body=7BIT",
        "=1",
        "RET==FULL",
    ],
)
def test_malformed_mail_parameters(parameters: str) -> None:
    assert mail_refusal(f"FROM:<a@b.c> {parameters}") == "501 5.5.4"


@pytest.mark.parametrize(
    "parameters",
    [
        "NOTIFY=",
        "NOTIFY=NEVER,SUCCESS",
        "NOTIFY=SUCCESS,SUCCESS",
        "NOTIFY=OFTEN",
        "ORCPT=a@b.c",
        "ORCPT=rfc822;a+0Ab",
        "ORCPT=rfc822;" + "x" * 500,
        "NOTIFY=NEVER NOTIFY=NEVER",
    ],
)
def test_malformed_rcpt_parameters(parameters: str) -> None:
    assert rcpt_refusal(f"TO:<a@b.c> {parameters}") == "501 5.5.4"


def test_what_is_not_offered_is_555() -> None:
    assert mail_refusal("FROM:<a@b.c> AUTH=<>") == "555 5.5.4"
    assert mail_refusal("FROM:<a@b.c> RET=FULL", ("SIZE",)) == "555 5.5.4"
    assert mail_refusal("FROM:<a@b.c> NOTIFY=NEVER") == "555 5.5.4"
    assert rcpt_refusal("TO:<a@b.c> NOTIFY=NEVER", offered=()) == "555 5.5.4"


def test_too_large_by_its_own_word() -> None:
    assert parse_mail(f"FROM:<a@b.c> SIZE={LIMIT}", OFFERED, LIMIT).size == LIMIT
    assert mail_refusal(f"FROM:<a@b.c> SIZE={LIMIT + 1}") == "552 5.3.4"


def test_utf8_addresses_want_smtputf8() -> None:
    assert mail_refusal("FROM:<ü@b.c>") == "553 5.6.7"
    assert parse_mail("FROM:<ü@bücher.example> SMTPUTF8", OFFERED, LIMIT).address == "ü@bücher.example"
    assert rcpt_refusal("TO:<ü@b.c>") == "553 5.6.7"
    assert parse_rcpt("TO:<ü@b.c>", OFFERED, True).address == "ü@b.c"


@given(st.text(max_size=60))
def test_any_argument_is_taken_or_refused(text: str) -> None:
    for read in (lambda: parse_mail(text, OFFERED, LIMIT), lambda: parse_rcpt("TO:<" + text, OFFERED, True)):
        try:
            read()
        except ArgumentError as error:
            assert error.reply.code in (501, 552, 553, 555)


@given(st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=40))
def test_xtext_is_decoded(text: str) -> None:
    encoded = "".join(f"+{ord(each):02X}" if each in "+= " else each for each in text)
    assert decode_xtext(encoded) == text


def test_attributes_of_trusted_peers() -> None:
    given_ = "NAME=spike.example.org ADDR=IPV6:2001:db8::1 helo=a+20b PORT=[UNAVAILABLE] IDENT=4XyZ"
    assert parse_attributes(given_, XFORWARD) == {
        "NAME": "spike.example.org",
        "ADDR": "2001:db8::1",
        "HELO": "a b",
        "PORT": "",
        "IDENT": "4XyZ",
    }
    assert parse_attributes("LOGIN=[TEMPUNAVAIL]", XCLIENT) == {"LOGIN": ""}


@pytest.mark.parametrize("bad", ["", "NAME", "LOGIN=x", "ADDR=x", "PORT=70000", "PORT=x", "NAME=a+0D+0Ab", "HELO=a+2"])
def test_malformed_attributes(bad: str) -> None:
    with pytest.raises(ArgumentError, match=r"^501 5\.5\.4"):
        parse_attributes(bad, XFORWARD)
