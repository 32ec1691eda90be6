"""Packets of the milter protocol, and the terms that are made of offers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatekeeper.milter import packets
from gatekeeper.milter.packets import Actions, Command, Connected, GarbageError, Negotiation, PacketReader, Steps
from gatekeeper.smtp.replies import Reply, reply
from tests.peers.milter import ALL_ACTIONS, EVERYTHING, POSTFIX_2_3, SENDMAIL_8_13, SENDMAIL_8_17, SENDMAIL_LARGE, Offer

BARE = Negotiation(2, Actions(0), Steps(0))
FULL = packets.negotiate(Offer().encode())


@given(st.lists(st.tuples(st.sampled_from(Command), st.binary(max_size=300)), max_size=8), st.data())
def test_packets_come_out_as_they_went_in_however_they_are_cut(told, data):
    octets = b"".join(packets.packet(*each) for each in told)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(octets)), max_size=6)))
    reader, taken = PacketReader(), []
    for start, end in zip([0, *cuts], [*cuts, len(octets)], strict=True):
        reader.feed(octets[start:end])
        while (each := reader.take()) is not None:
            taken.append(each)
    assert taken == told


@pytest.mark.parametrize(
    "octets",
    [b"\0\0\0\0", b"\xff\xff\xff\xffB", b"\0\x10\0\x01B", b"GET / HTTP/1.1\r\n", b"\0\0\0\1\x80", b"\0\0\0\1z"],
)
def test_what_is_no_packet_is_garbage(octets):
    reader = PacketReader()
    reader.feed(octets)
    with pytest.raises(GarbageError, match="expected"):
        reader.take()


# -- terms -------------------------------------------------------------------------------------------------------


def test_of_a_full_offer_we_take_what_we_need_and_nothing_else():
    assert FULL.version == 6
    assert FULL.actions == Actions.ADDHDRS | Actions.CHGHDRS | Actions.SETSYMLIST
    assert FULL.steps & (Steps.HDR_LEADSPC | Steps.SKIP | Steps.NR_HDR | Steps.NR_RCPT | Steps.NOUNKNOWN)
    assert not FULL.steps & Steps.NR_BODY  # to say skip is to answer
    assert not FULL.steps & 0x7F  # no step is left out


@pytest.mark.parametrize(
    "offer", [SENDMAIL_8_17, SENDMAIL_LARGE, SENDMAIL_8_13, POSTFIX_2_3, Offer(3), Offer(4), Offer(5), Offer(9)]
)
def test_terms_are_within_the_offer(offer):
    """Sendmail closes the connection on anything that it did not offer, and where the version is above its own."""
    terms = packets.negotiate(offer.encode())
    assert terms.version == min(offer.version, 6)
    assert terms.actions & ~offer.actions == 0
    assert terms.steps & ~offer.steps == 0
    if offer.version < 6:
        assert not terms.steps & (Steps.SKIP | Steps.HDR_LEADSPC)
        assert not terms.actions & Actions.SETSYMLIST


@given(st.integers(2, 2**32 - 1), st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1))
def test_no_offer_gets_more_than_it_has(version, actions, steps):
    terms = packets.negotiate(Offer(version, actions, steps).encode())
    assert (terms.actions & ~actions, terms.steps & ~steps) == (0, 0)
    assert len(packets.negotiation_packet(terms)) >= 17


@pytest.mark.parametrize("offer", [b"", b"\0\0\0\6", Offer(1).encode(), Offer(0).encode()])
def test_an_offer_that_is_none_is_garbage(offer):
    with pytest.raises(GarbageError, match="expected"):
        packets.negotiate(offer)


def test_macros_are_asked_for_only_where_that_was_granted():
    assert b"{auth_authen}" in packets.negotiation_packet(FULL)
    assert len(packets.negotiation_packet(packets.negotiate(Offer(6, ALL_ACTIONS & ~0x100, EVERYTHING).encode()))) == 17


# -- what is told ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "data, expected",
    [
        (b"mx.example.org\x004\x9c\x40192.0.2.1\0", Connected("mx.example.org", "192.0.2.1", 40000)),
        (b"mx.example.org\x006\0\x19IPv6:2001:db8::1\0", Connected("mx.example.org", "2001:db8::1", 25)),
        (b"mx.example.org\x006\0\x192001:db8::1\0", Connected("mx.example.org", "2001:db8::1", 25)),
        (b"localhost\0L\0\0/run/submit\0", Connected("localhost")),
        (b"unknown\0U", Connected("unknown")),
        (b"mx\x004\0\x19none\0", Connected("mx", "", 25)),
    ],
)
def test_who_connected(data, expected):
    assert packets.read_connect(data) == expected


@pytest.mark.parametrize("data", [b"", b"mx", b"mx\0", b"mx\x007\0\x19x\0", b"mx\x004", b"mx\x004\0\x19192.0.2.1"])
def test_a_client_that_is_none_is_garbage(data):
    with pytest.raises(GarbageError):
        packets.read_connect(data)


def test_macros_come_with_and_without_braces():
    assert packets.read_macros(b"Mi\0QX\0{auth_authen}\0clerk\0") == ("M", {"i": "QX", "auth_authen": "clerk"})
    assert packets.read_macros(b"R") == ("R", {})


@pytest.mark.parametrize("data", [b"", b"Mi\0", b"Mi\0QX"])
def test_macros_that_are_none_are_garbage(data):
    with pytest.raises(GarbageError):
        packets.read_macros(data)


# -- what is answered --------------------------------------------------------------------------------------------


def test_a_reply_ends_with_nul_and_has_its_percent_signs_doubled():
    refused = packets.reply_packet(reply(550, "Not sent. 50% is %s too much", "5.7.1"))
    assert refused == packets.packet("y", b"550 5.7.1 Not sent. 50%% is %%s too much\0")


def test_a_reply_of_several_lines_keeps_them():
    assert packets.reply_packet(Reply(451, ("one", "two"))) == packets.packet("y", b"451-one\r\n451 two\0")


def test_an_added_field_is_told_with_lf_and_the_space_that_the_mta_does_not_put_there():
    field = b"X-Gatekeeper-Warning: one\r\n two\r\n"
    assert packets.add_header_packet(field, FULL) == packets.packet("h", b"X-Gatekeeper-Warning\0 one\n two\0")
    spaceless = Negotiation(6, Actions.ADDHDRS, Steps(0))
    assert packets.add_header_packet(field, spaceless) == packets.packet("h", b"X-Gatekeeper-Warning\0one\n two\0")


def test_nothing_is_changed_that_was_not_granted():
    assert packets.add_header_packet(b"X: y\r\n", BARE) == b""
    assert packets.delete_header_packet(b"X", 1, BARE) == b""
    assert packets.delete_header_packet(b"X", 2, FULL) == packets.packet("m", b"\0\0\0\2X\0\0")
