"""A milter connection without a wire, as a script: what is told, what is answered, what comes of it."""

from __future__ import annotations

import random
import tracemalloc
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatekeeper.milter.packets import (
    ACCEPT,
    CONTINUE,
    DISCARD,
    MOST_OCTETS,
    SKIP,
    Command,
    GarbageError,
    PacketReader,
    packet,
)
from gatekeeper.milter.session import Conclusion, Message, MessageLimits, Session, with_final_crlf
from gatekeeper.model import Recipient
from gatekeeper.smtp.data import Fault
from gatekeeper.smtp.replies import reply
from tests.peers.milter import POSTFIX_2_3, POSTFIX_3_7, SENDMAIL_8_13, SENDMAIL_8_17, Offer

CAPS = MessageLimits(recipients=10, octets=200_000)
HEADER = [("L", b"Subject\0 one\n two\0"), ("L", b"To\0b@example.org\0")]
ENVELOPE = [("M", b"<a@doa.example.gov>\0SIZE=99\0"), ("R", b"<b@example.org>\0")]
CONNECTED = [("C", b"mx.example.gov\x004\0\x19192.0.2.1\0"), ("H", b"mx.example.gov\0")]
MESSAGE = [*ENVELOPE, ("T", b""), *HEADER, ("N", b""), ("B", b"Hello\r\n"), ("E", b"")]
OLD = SENDMAIL_8_13
Told = Sequence[tuple[str, bytes]]


def octets(told: Told) -> bytes:
    return b"".join(packet(*each) for each in told)


def begun(offer: Offer = POSTFIX_3_7, caps: MessageLimits = CAPS) -> Session:
    session = Session(caps)
    session.feed(packet("O", offer.encode()))
    assert session.run() is None
    assert session.answers()[4:5] == b"O"
    return session


def run(session: Session, told: Told) -> Message | None:
    session.feed(octets(told))
    return session.run()


def content_of(message: Message) -> bytes:
    """The message put together, as the listener does."""
    return with_final_crlf(message.pieces.take())


def message_of(told: Told, offer: Offer = POSTFIX_3_7, caps: MessageLimits = CAPS) -> Message:
    message = run(begun(offer, caps), told)
    assert message is not None
    return message


# -- what a message is -------------------------------------------------------------------------------------------


def test_a_message_is_put_together():
    macros = [("D", b"Mi\0QX\0{auth_authen}\0clerk\0"), ("D", b"Cj\0mx1.example.gov\0{tls_version}\0TLSv1.3\0")]
    message = message_of([*CONNECTED, *macros, *MESSAGE])
    assert content_of(message) == b"Subject: one\r\n two\r\nTo:b@example.org\r\n\r\nHello\r\n"
    assert (message.sender, message.recipients) == ("a@doa.example.gov", (Recipient("b@example.org"),))
    assert (message.login, message.queue_id, message.mta) == ("clerk", "QX", "mx1.example.gov")
    client = message.client
    assert (client.address, client.name, client.helo, client.port) == ("192.0.2.1", *["mx.example.gov"] * 2, 25)
    assert client.protocol == "ESMTPSA"


def test_without_leading_spaces_each_field_gets_its_own():
    told = [*ENVELOPE, ("L", b"Subject\0one\n two\0"), ("N", b""), ("E", b"")]
    assert content_of(message_of(told, OLD)) == b"Subject: one\r\n two\r\n\r\n"


def test_the_last_piece_may_come_with_the_end():
    told = [*ENVELOPE, ("N", b""), ("B", b"one\r\n"), ("E", b"two")]
    assert content_of(message_of(told)) == b"\r\none\r\ntwo\r\n"


def test_the_mta_knows_the_client_better_than_the_connection():
    macros = [("D", b"C{client_addr}\0IPv6:2001:db8::7\0{client_name}\0unknown\0")]
    client = message_of([*macros, *CONNECTED, *MESSAGE]).client
    assert (client.address, client.name) == ("2001:db8::7", "")


def test_parameters_that_we_know_are_kept():
    mail = b"<a@doa.example.gov>\0SIZE=99\0BODY=8BITMIME\0RET=hdrs\0ENVID=QQ1\0AUTH=<>\0SMTPUTF8\0XVERP\0"
    rcpt = b"<b@example.org>\0NOTIFY=never\0ORCPT=rfc822;b@example.org\0NOTIFY=\0"
    message = message_of([("M", mail), ("R", rcpt), ("N", b""), ("E", b"")])
    assert message.parameters == ("BODY=8BITMIME", "RET=HDRS", "ENVID=QQ1", "SMTPUTF8")
    assert message.recipients[0].parameters == ("NOTIFY=NEVER", "ORCPT=rfc822;b@example.org")


@pytest.mark.parametrize(
    "path, address",
    [
        ("<>", ""),
        ("<a@example.gov>", "a@example.gov"),
        ("a@example.gov", "a@example.gov"),
        ("<@relay.example.org:a@example.gov>", "a@example.gov"),
        ("<root>", "root"),
        ('<"a b"@example.gov>', '"a b"@example.gov'),
        ("<bücher@example.gov>", "bücher@example.gov"),
    ],
)
def test_an_address_that_the_mta_took_is_taken(path, address):
    assert message_of([("M", path.encode() + b"\0"), *MESSAGE[1:]]).sender == address


@pytest.mark.parametrize("path", [b"<a\r\nb@example.gov>\0", b"<\xff@example.gov>\0", b"<" + b"a" * 2000 + b">\0"])
def test_an_address_that_nobody_takes_is_a_fault(path):
    for told in ([("M", path), *MESSAGE[1:]], [MESSAGE[0], ("R", path), *MESSAGE[1:]]):
        message = message_of(told)
        assert message.fault is Fault.ADDRESS and not message.pieces
        assert "" in (message.sender, message.recipients[0].address)


@pytest.mark.parametrize(
    "field", [b"Subject\0x\nBcc: y\0", b"Subject\0x\r\n\r\nbody\0", b"X\n\nbody\0x\0", b"A\0x\n\0"]
)
def test_a_field_that_is_more_than_one_field_is_a_fault(field):
    message = message_of([*ENVELOPE, ("L", field), ("N", b""), ("E", b"")])
    assert message.fault is Fault.LINE_ENDS and not message.pieces


# -- limits ------------------------------------------------------------------------------------------------------


def test_too_many_recipients_are_a_fault():
    told = [ENVELOPE[0], *[ENVELOPE[1]] * 11, ("N", b""), ("E", b"")]
    message = message_of(told)
    assert (message.fault, len(message.recipients)) == (Fault.RECIPIENTS, 10)


@pytest.mark.parametrize("offer, answered", [(Offer(), SKIP), (OLD, CONTINUE)])
def test_too_large_a_message_is_a_fault_and_told_no_further(offer, answered):
    session = begun(offer)
    for piece in range(5):
        assert run(session, [*([] if piece else [*ENVELOPE, ("N", b"")]), ("B", b"x" * 65_535)]) is None
        answers = session.answers()
    assert answers == answered
    message = run(session, [("E", b"")])
    assert message is not None and message.fault is Fault.SIZE and not message.pieces


def test_a_packet_beyond_the_limit_is_garbage_before_it_has_come():
    session = begun()
    session.feed((MOST_OCTETS + 1).to_bytes(4, "big"))
    with pytest.raises(GarbageError, match="octets: expected"):
        session.run()


# -- what is answered --------------------------------------------------------------------------------------------


def test_who_agrees_to_wait_for_nothing_is_answered_nothing_but_bodies():
    session = begun()
    assert run(session, [*CONNECTED, *MESSAGE]) is not None
    assert session.answers() == CONTINUE  # to the one piece of the body, which might have been skipped


@pytest.mark.parametrize("offer", [OLD, POSTFIX_2_3])
def test_an_old_mta_is_answered_at_each_step(offer):
    session = begun(offer)
    told = [each for each in [*CONNECTED, *MESSAGE] if each[0] != "T"]  # DATA came with version 4
    assert run(session, told) is not None
    assert session.answers() == CONTINUE * (len(told) - 1)


def test_an_unknown_command_is_answered_where_it_is_told():
    session = begun(Offer(3, 0x3F, 0x7F))
    assert run(session, [("U", b"FOO\0")]) is None
    assert session.answers() == CONTINUE


@pytest.mark.parametrize(
    "conclusion, answer",
    [
        (Conclusion(), ACCEPT),
        (Conclusion(discard=True), DISCARD),
        (Conclusion(reply(550, "no", "5.7.1")), packet("y", b"550 5.7.1 no\0")),
        (Conclusion(added=(b"X-W: a\r\n b\r\n",)), packet("h", b"X-W\0 a\n b\0") + ACCEPT),
        (Conclusion(removed=((b"X-R", 1),)), packet("m", b"\0\0\0\1X-R\0\0") + ACCEPT),
    ],
)
def test_conclusions(conclusion, answer):
    session = begun()
    assert run(session, MESSAGE) is not None
    session.answers()
    session.conclude(conclusion)
    assert session.answers() == answer


# -- order -------------------------------------------------------------------------------------------------------


def test_messages_follow_each_other_and_leave_nothing_to_each_other():
    session = begun()
    first = run(session, [*CONNECTED, ("D", b"Mi\0Q1\0{auth_authen}\0clerk\0"), *MESSAGE])
    session.conclude(Conclusion())
    second = run(session, [("D", b"Mi\0Q2\0"), *MESSAGE])
    assert first is not None and second is not None
    assert (first.queue_id, second.queue_id) == ("Q1", "Q2")
    assert (first.login, second.login) == ("clerk", None)
    assert content_of(first) == content_of(second)
    assert second.client.address == "192.0.2.1"


@pytest.mark.parametrize("length", range(len(MESSAGE)))
def test_an_abort_at_any_step_leaves_nothing(length):
    session = begun()
    other = [("M", b"<x@doa.example.gov>\0"), ("R", b"<y@example.org>\0"), ("N", b""), ("B", b"other"), ("E", b"")]
    message = run(session, [*CONNECTED, ("D", b"M{auth_authen}\0z\0"), *MESSAGE[:length], ("A", b""), *other])
    assert message is not None
    assert (message.sender, len(message.recipients), message.login) == ("x@doa.example.gov", 1, None)
    assert content_of(message) == b"\r\nother\r\n"


def test_helo_voids_the_message_under_way():
    session = begun()
    assert run(session, [*CONNECTED, *ENVELOPE, ("H", b"again\0")]) is None
    assert not session.in_message


def test_quit_ends_and_quit_and_go_on_begins_anew():
    session = begun()
    assert run(session, [*CONNECTED, ("K", b""), ("C", b"other.example.gov\0U")]) is None
    assert not session.ended
    message = run(session, MESSAGE)
    assert message is not None and (message.client.name, message.client.address) == ("other.example.gov", "")
    assert run(session, [("Q", b"")]) is None
    assert session.ended


@pytest.mark.parametrize(
    "told",
    [
        [("R", b"<b@example.org>\0")],
        [("L", b"a\0b\0")],
        [("E", b"")],
        [("M", b"<>\0"), ("E", b"")],
        [("M", b"<>\0"), ("T", b"")],
        [*ENVELOPE, ("B", b"x")],
        [*ENVELOPE, ("N", b""), ("L", b"a\0b\0")],
        [*CONNECTED, *CONNECTED],
        [("O", Offer().encode())],
        [("M", b"no end")],
        [*ENVELOPE, ("L", b"name\0")],
        [*ENVELOPE, ("L", b"\0value\0")],
    ],
)
def test_what_is_out_of_order_or_out_of_shape_is_garbage(told):
    with pytest.raises(GarbageError):
        run(begun(), told)


def test_nothing_comes_before_the_terms():
    session = Session(CAPS)
    with pytest.raises(GarbageError, match="before the terms"):
        run(session, CONNECTED)


# -- fuzz --------------------------------------------------------------------------------------------------------

WHOLE = [
    [*CONNECTED, ("D", b"Mi\0QX\0{auth_authen}\0clerk\0"), *MESSAGE, *MESSAGE, ("A", b""), ("Q", b"")],
    [("C", b"x\0L\0\0/run/x\0"), *MESSAGE[:3], ("A", b""), *MESSAGE, ("K", b""), *CONNECTED, *MESSAGE],
    [("U", b"FOO\0"), ("D", b"Cj\0mx\0"), *CONNECTED, ("M", b"<>\0RET=FULL\0"), *MESSAGE[1:]],
]
OFFERS = (Offer(), SENDMAIL_8_17, SENDMAIL_8_13, POSTFIX_2_3, Offer(4))
LETTERS = "ABCDEHKLMNOQRTU"


def talk(session: Session, stream: bytes, size: int) -> tuple[int, bool]:
    """Say a stream in pieces of that size: how many messages came of it, and whether it was garbage at last."""
    messages = 0
    try:
        for start in range(0, len(stream), size):
            session.feed(stream[start : start + size])
            while (message := session.run()) is not None:
                messages += 1
                assert len(message.recipients) <= CAPS.recipients
                assert len(message.pieces) <= CAPS.octets
                content_of(message)
                session.conclude(Conclusion(added=(b"X: y\r\n",)))
            read_back(session.answers())
    except GarbageError as error:
        assert str(error)
        return messages, True
    return messages, False


def read_back(answers: bytes) -> None:
    """What we say is whole packets of letters that a milter may say."""
    while answers:
        length = int.from_bytes(answers[:4], "big")
        assert chr(answers[4]) in "Ocashmy" and len(answers) >= 4 + length
        answers = answers[4 + length :]


@given(st.lists(st.tuples(st.sampled_from(LETTERS), st.binary(max_size=60)), max_size=30), st.sampled_from(OFFERS))
def test_any_packets_are_messages_or_garbage(told, offer):
    talk(begun(offer), octets(told), 50)


@given(st.binary(max_size=400), st.integers(1, 50))
def test_any_octets_are_messages_or_garbage(stream, size):
    talk(Session(CAPS), stream, size)


@given(st.sampled_from(WHOLE), st.integers(1, 200))
def test_the_cut_of_the_octets_makes_no_difference(told, size):
    assert talk(begun(), octets(told), size) == talk(begun(), octets(told), 1_000_000)


def mutated(random_: random.Random, told: Told) -> list[tuple[str, bytes]]:
    """Some packets with other letters, other data, twice, gone or elsewhere."""
    result = list(told)
    for _ in range(random_.randint(1, 3)):
        place = random_.randrange(len(result))
        letter, data = result[place]
        change = random_.randrange(6)
        if change == 0:
            result[place] = (random_.choice(LETTERS), data)
        elif change == 1:
            at = random_.randrange(len(data) + 1)
            result[place] = (letter, data[:at] + random_.randbytes(random_.randint(0, 4)) + data[at + 1 :])
        elif change == 2:
            result.insert(place, result[random_.randrange(len(result))])
        elif change == 3 and len(result) > 1:
            del result[place]
        elif change == 4:
            result[place] = (letter, data[: random_.randrange(len(data) + 1)])
        else:
            result[place] = (letter, data * random_.randint(2, 30))
    return result


class Counting(Session):
    """Knows how many packets it has looked at."""

    looked_at = 0

    def _check(self, command: Command) -> None:
        self.looked_at += 1
        super()._check(command)


def campaign(packets: int, seed: int) -> tuple[int, int, int]:
    """Say mutated connections until so many packets were looked at; packets, messages, connections of garbage."""
    random_ = random.Random(seed)
    looked_at = messages = garbage = 0
    while looked_at < packets:
        told = mutated(random_, random_.choice(WHOLE))
        stream = bytearray(octets(told))
        if random_.random() < 0.2:
            stream[random_.randrange(len(stream))] = random_.randrange(256)
        session = Counting(CAPS)
        offer = packet("O", random_.choice(OFFERS).encode())
        came, with_final_crlf = talk(session, offer + stream, random_.choice((7, 64, 100_000)))
        looked_at, messages, garbage = looked_at + session.looked_at, messages + came, garbage + with_final_crlf
    return looked_at, messages, garbage


def test_mutated_connections_are_messages_or_garbage():
    looked_at, messages, garbage = campaign(20_000, seed=4)
    assert messages and garbage and looked_at >= 20_000


@pytest.mark.soak
def test_a_million_mutated_packets(capsys):
    looked_at, messages, garbage = campaign(1_000_000, seed=20261122)
    with capsys.disabled():
        print(f"\n{looked_at} packets, {messages} messages, {garbage} connections closed for garbage")
    assert messages and garbage and looked_at >= 1_000_000


def test_a_reader_keeps_nothing_of_what_was_taken():
    reader = PacketReader()
    for _ in range(1000):
        reader.feed(packet("B", b"x" * 1000))
        assert reader.take() is not None
    reader.feed(b"")
    assert len(reader._octets) == 0


def test_a_message_of_many_small_packets_is_not_kept_in_many_objects():
    session = begun(caps=MessageLimits(recipients=10, octets=1 << 30))
    assert run(session, ENVELOPE) is None
    field = packet("L", b"a\0\0") * 10_000
    tracemalloc.start()
    for _ in range(10):
        session.feed(field)
        assert session.run() is None
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    message = run(session, [("N", b""), ("E", b"")])
    assert message is not None and content_of(message) == b"a:\r\n" * 100_000 + b"\r\n"
    assert kept < 3 * 400_000  # octets of the message
