"""The milter listener on real sockets: what an MTA is answered, what the pipeline gets, who is let in, how it ends."""

from __future__ import annotations

import asyncio
import os
import socket
import stat
import struct
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from gatekeeper.model import Transaction
from gatekeeper.policy.peers import PeerChecks
from gatekeeper.server import milter_server as listener_module
from gatekeeper.server.milter_server import SOCKET_MODE, MilterListener
from gatekeeper.server.sockets import open_sockets
from gatekeeper.settings import SettingsError, read_settings
from gatekeeper.smtp.replies import Reply, reply
from tests.peers.milter import POSTFIX_3_7, SENDMAIL_8_13, Answer, MilterClient, Offer
from tests.server.peer_checks import checks
from tests.server.talking import Passer, until

SENDER = "clerk@doa.example.gov"
CONTENT = b"From: clerk@doa.example.gov\r\nSubject: one\r\n two\r\n\r\nHello\r\n"
LONG_ID = "4bXyZk2RqWz1tHn"
HELD = reply(250, "Held for approval as M-1", "2.0.0")


@dataclass
class Stand:
    """A listener that stands, and its pipeline."""

    listener: MilterListener
    pipeline: Passer
    path: str

    def client(self, offer: Offer = POSTFIX_3_7) -> MilterClient:
        return MilterClient.unix(self.path, offer) if self.path else MilterClient.tcp(self.listener.port, offer)

    async def send(self, content: bytes = CONTENT, offer: Offer = POSTFIX_3_7, **macros: str) -> Answer:
        """One message on a connection of its own."""

        def send() -> Answer:
            with self.client(offer) as mta:
                return mta.message(SENDER, ["b@example.org"], content, **macros)

        return await asyncio.to_thread(send)


@asynccontextmanager
async def open_stand(
    pipeline: Passer | None = None,
    obstacle: Callable[[], Reply | None] = lambda: None,
    peers: PeerChecks | None = None,
    **texts: str,
) -> AsyncIterator[Stand]:
    given = {"next_hop": "maildir:/nowhere", "milter": "127.0.0.1:0", "hostname": "gate.example.gov"}
    settings = read_settings(given | texts, {}).listening
    passer = pipeline or Passer()
    listener = MilterListener(settings, passer, obstacle, peers=peers)
    assert settings.milter
    await listener.start(open_sockets(settings.milter, SOCKET_MODE))
    try:
        yield Stand(listener, passer, settings.milter.path)
    finally:
        await listener.stop(1.0)


async def answers(answer: Reply) -> Reply:
    return answer


# -- time --------------------------------------------------------------------------------------------------------


async def test_an_mta_that_waits_for_acknowledgements_is_served_as_fast_as_one_that_does_not() -> None:
    """Postfix and Sendmail write small packets one by one, and the kernel sends the second once the first is
    acknowledged, which Linux does 40 ms later unless it is told otherwise.
    """

    def send_many(port: int, *, delays: bool) -> float:
        with MilterClient.tcp(port, delays=delays) as mta:
            mta.connect()
            began = time.perf_counter()
            for _ in range(30):
                mta.message(SENDER, ["b@example.org"], CONTENT, connect=False)
            return time.perf_counter() - began

    async with open_stand() as stand:
        plain = await asyncio.to_thread(send_many, stand.listener.port, delays=False)
        delayed = await asyncio.to_thread(send_many, stand.listener.port, delays=True)
        assert delayed < 5 * plain


# -- verdicts ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("offer", [POSTFIX_3_7, SENDMAIL_8_13])
async def test_what_passes_is_left_to_the_mta_and_its_received_field_is_not_ours_to_add(offer: Offer) -> None:
    async with open_stand() as stand:
        assert await stand.send(offer=offer) == Answer("accept")
        assert stand.pipeline.seen[0].content == CONTENT


async def test_a_warning_is_added_behind_the_mtas_own_received_field() -> None:
    passer = Passer()

    async def receive(transaction: Transaction, relay: Callable[[bytes], object]) -> Reply:
        return await relay(transaction.trace + b"X-Gatekeeper-Warning: one\r\n two\r\n")  # type: ignore[misc]

    passer.receive = receive  # type: ignore[method-assign,assignment]
    async with open_stand(passer) as stand:
        assert await stand.send() == Answer("accept", [("X-Gatekeeper-Warning", " one\n two")])


@pytest.mark.parametrize(
    "answer, verdict",
    [
        (HELD, "discard"),
        (reply(550, "Not sent. 1) 50% too many", "5.7.1"), "550 5.7.1 Not sent. 1) 50% too many"),
        (reply(451, "later", "4.7.1"), "451 4.7.1 later"),
    ],
)
async def test_what_is_kept_is_discarded_and_what_is_refused_is_told_why(answer: Reply, verdict: str) -> None:
    async with open_stand(Passer(before=lambda transaction: answers(answer))) as stand:
        assert await stand.send() == Answer(verdict)


@pytest.mark.parametrize(
    "content, verdict",
    [
        (b"Subject: x\r\n\r\nbare\nLF\r\n", "550 5.5.2 "),
        (b"Subject: x\r\n\r\nbare\rCR\r\n", "550 5.5.2 "),
        (b"Subject: x\r\n\r\nNUL\0\r\n", "550 5.5.2 "),
        (b"Subject: x\rX-Y: z\r\n\r\nx\r\n", "550 5.5.2 "),
        (b"Received: x\r\n" * 51 + b"\r\nx\r\n", "554 5.4.6 "),
        (b"\r\n" + b"x" * 300_000 + b"\r\n", "552 5.3.4 "),
    ],
)
async def test_what_the_smtp_listener_refuses_is_refused(content: bytes, verdict: str) -> None:
    async with open_stand(max_size="200KB") as stand:
        answer = await stand.send(content)
        assert answer.verdict.startswith(verdict)
        assert answer.skipped == (1 if verdict.startswith("552") else 0)
        assert not stand.pipeline.seen


async def test_an_address_that_is_none_is_refused_rather_than_tried_again() -> None:
    def send(stand: Stand) -> str:
        with stand.client() as mta:
            return mta.message(SENDER, ["b\udcfccher@example.org"], CONTENT).verdict  # one octet that is not UTF-8

    async with open_stand() as stand:
        assert (await asyncio.to_thread(send, stand)).startswith("553 5.1.3 ")
        assert not stand.pipeline.seen


async def test_too_many_recipients_and_a_full_disk_are_refused() -> None:
    async with open_stand(max_recipients="0") as stand:
        assert (await stand.send()).verdict.startswith("550 5.5.3 ")
    async with open_stand(obstacle=lambda: reply(452, "full", "4.3.1")) as stand:
        assert (await stand.send()).verdict == "452 4.3.1 full"
        assert not stand.pipeline.seen


# -- what the pipeline gets --------------------------------------------------------------------------------------


async def test_a_transaction_has_what_the_mta_knows() -> None:
    async with open_stand() as stand:
        await stand.send(auth_authen="clerk", i=LONG_ID)
        (transaction,) = stand.pipeline.seen
        assert (transaction.listener, transaction.sender, transaction.login) == ("milter", SENDER, "clerk")
        assert transaction.authenticated and transaction.client.address == "127.0.0.1"
        assert transaction.upstream == f"{LONG_ID}@127.0.0.1"
        received = (
            b"Received: from client.example.gov (client.example.gov [127.0.0.1])\r\n\tby mx.example.gov with ESMTPA"
        )
        assert transaction.trace.startswith(received + b" id " + LONG_ID.encode() + b";\r\n\t")


@pytest.mark.parametrize("queue_id", ["3F2A41C0D4", ""])
async def test_a_queue_id_that_comes_again_names_no_message(queue_id: str) -> None:
    async with open_stand(authenticated="192.0.2.0/24") as stand:
        await stand.send(i=queue_id)
        (transaction,) = stand.pipeline.seen
        assert transaction.upstream is None and not transaction.authenticated
        assert (b" id " in transaction.trace) == bool(queue_id)


async def test_a_large_message_comes_whole() -> None:
    content = b"Subject: x\r\n\r\n" + b"0123456789abcdef" * 100 + b"\r\n.\r\n" * 1_200_000
    async with open_stand() as stand:
        assert await stand.send(content) == Answer("accept")
        assert stand.pipeline.seen[0].content == content


async def test_many_messages_on_many_connections() -> None:
    def talk(stand: Stand, name: str) -> None:
        with stand.client() as mta:
            for number in range(10):
                content = f"Subject: {name}-{number}\r\n\r\nx\r\n".encode()
                assert mta.message(SENDER, ["b@example.org"], content, connect=number == 0).verdict == "accept"

    async with open_stand() as stand:
        await asyncio.gather(*(asyncio.to_thread(talk, stand, str(number)) for number in range(20)))
        assert len({transaction.content for transaction in stand.pipeline.seen}) == 200


# -- what is cut short -------------------------------------------------------------------------------------------

STAGES: list[Callable[[MilterClient], object]] = [
    lambda mta: mta.connect(),
    lambda mta: mta.envelope(SENDER, []),
    lambda mta: mta.step("R", b"<b@example.org>\0"),
    lambda mta: mta.step("T"),
    lambda mta: mta.step("L", b"Subject\0 x\0"),
    lambda mta: mta.step("N"),
    lambda mta: mta.step("B", b"x\r\n"),
]


@pytest.mark.parametrize("how", ["abort", "close", "half a packet"])
async def test_what_ends_at_any_stage_leaves_nothing_behind(how: str) -> None:
    def cut_short(stand: Stand, stages: int) -> None:
        with stand.client() as mta:
            for stage in STAGES[:stages]:
                stage(mta)
            if how == "abort":
                mta.say("A")
                assert mta.message(SENDER, ["b@example.org"], CONTENT, connect=stages == 0).verdict == "accept"
            elif how == "half a packet":
                mta.socket.sendall(b"\0\0\0\x20E")

    async with open_stand() as stand:
        for stages in range(len(STAGES) + 1):
            await asyncio.to_thread(cut_short, stand, stages)
        await until(lambda: not len(stand.listener.connections))
        whole = [(len(transaction.recipients), transaction.content) for transaction in stand.pipeline.seen]
        assert whole == [(1, CONTENT)] * (len(STAGES) + 1 if how == "abort" else 0)


async def test_garbage_closes_its_own_connection_and_no_other() -> None:
    def talk(stand: Stand) -> None:
        with stand.client() as good, stand.client() as bad:
            good.connect()
            bad.say("E")
            assert bad.answer() == ("", b"")
            assert good.message(SENDER, ["b@example.org"], CONTENT, connect=False).verdict == "accept"

    async with open_stand() as stand:
        await asyncio.to_thread(talk, stand)


async def test_an_mta_that_hangs_up_does_not_stop_the_work() -> None:
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def wait(transaction: Transaction) -> Reply:
        begun.set()
        await go_on.wait()
        return HELD

    async with open_stand(Passer(before=wait)) as stand:
        mta = await asyncio.to_thread(stand.client)
        await asyncio.to_thread(lambda: (mta.connect(), mta.envelope(SENDER, ["b@example.org"]), mta.content(CONTENT)))
        mta.say("E")
        await begun.wait()
        mta.close()
        go_on.set()
        await until(lambda: stand.pipeline.answers == [HELD])


async def test_a_slow_verdict_gives_signs_of_life(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listener_module, "_PROGRESS_SECONDS", 0.05)

    async def wait(transaction: Transaction) -> Reply:
        await asyncio.sleep(0.3)
        return HELD

    def count_signs(stand: Stand) -> int:
        with stand.client() as mta:
            mta.connect()
            mta.envelope(SENDER, ["b@example.org"])
            mta.content(CONTENT)
            mta.say("E")
            signs = 0
            while mta.answer()[0] == "p":
                signs += 1
            return signs

    async with open_stand(Passer(before=wait)) as stand:
        assert await asyncio.to_thread(count_signs, stand) >= 2


async def test_a_message_that_stops_in_its_middle_is_not_waited_for() -> None:
    def stop(stand: Stand) -> tuple[str, bytes]:
        with stand.client() as mta:
            mta.connect()
            mta.envelope(SENDER, ["b@example.org"])
            mta.step("T")
            mta.step("L", b"Subject\0 x\0")
            return mta.answer()

    async with open_stand(data_timeout="0.2s") as stand:
        assert await asyncio.to_thread(stop, stand) == ("", b"")


# -- the doors ---------------------------------------------------------------------------------------------------


async def test_strangers_and_who_is_one_too_many_are_closed() -> None:
    for texts in ({"clients": "192.0.2.0/24"}, {"max_connections": "0"}):
        async with open_stand(**texts) as stand:
            with socket.create_connection(("127.0.0.1", stand.listener.port)) as stranger:
                stranger.settimeout(10)
                assert await asyncio.to_thread(stranger.recv, 1) == b""


def reset(client: socket.socket) -> None:
    """Leave by a TCP reset, so that nobody can ask any more who this was."""
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()


def on(loop: str, scenario: Coroutine[None, None, None]) -> None:
    """Run it on a loop of that kind."""
    factory = pytest.importorskip("uvloop").new_event_loop if loop == "uvloop" else asyncio.new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(scenario)


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_who_has_left_before_it_is_let_in_is_a_stranger(loop: str, caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        async with open_stand(clients="192.0.2.0/24") as stand:
            early = socket.create_connection(("127.0.0.1", stand.listener.port))
            early.sendall(b"\0\0\0\x0dO" + POSTFIX_3_7.encode())
            reset(early)  # before the loop has had a turn
            await until(lambda: "connection" in caplog.text)
            await until(lambda: not len(stand.listener.connections))

    caplog.set_level("INFO")
    on(loop, scenario())
    assert 'connection refused client=unknown reply="554 5.7.1' in caplog.text


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_a_connection_that_is_reset_leaves_its_place_to_another(loop: str) -> None:
    def begin(stand: Stand) -> MilterClient:
        mta = stand.client()
        mta.connect()
        mta.envelope(SENDER, ["b@example.org"])
        mta.content(CONTENT)
        mta.say("E")
        return mta

    async def scenario() -> None:
        gone = asyncio.Event()

        async def wait(transaction: Transaction) -> None:
            await gone.wait()
            await asyncio.sleep(0.05)  # for the reset to come

        async with open_stand(Passer(before=wait), max_connections="1") as stand:
            for seen in (1, 2):
                mta = await asyncio.to_thread(begin, stand)
                await until(lambda: len(stand.pipeline.seen) == seen)  # noqa: B023 - called at once
                mta.stream.close()
                reset(mta.socket)
                gone.set()
                await until(lambda: not len(stand.listener.connections))
                gone.clear()
            gone.set()
            assert await stand.send() == Answer("accept")

    on(loop, scenario())


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_a_connection_that_is_closed_here_is_no_fault(loop: str, caplog: pytest.LogCaptureFixture) -> None:
    """It was aborted while its next packets had come already: no option can be set on its socket any more."""

    async def scenario() -> None:
        async with open_stand() as stand:
            reader, writer = await asyncio.open_connection("127.0.0.1", stand.listener.port)
            await until(lambda: len(stand.listener.connections) == 1)
            (connection,) = stand.listener.connections.connections()
            writer.write(b"\0\0\0\x0dO\0\0\0\x06\0\0\0\x3f\0\0\0\x7f")
            assert await reader.read(1)
            writer.write(b"\0\0\0\x01A")
            await asyncio.sleep(0)
            connection.abort()
            await until(lambda: not len(stand.listener.connections))
            writer.close()

    on(loop, scenario())
    assert not [each for each in caplog.records if each.levelname == "ERROR"]


async def test_an_mta_that_does_not_read_is_not_waited_for() -> None:
    def flood(stand: Stand) -> None:
        with stand.client(SENDMAIL_8_13) as mta, suppress(ConnectionError):
            while True:
                mta.socket.sendall(b"\0\0\0\x15M<a@doa.example.gov>\0" * 100)  # an answer is due to each

    async with open_stand(command_timeout="0.2s") as stand:
        await asyncio.to_thread(flood, stand)
        await until(lambda: not len(stand.listener.connections))


async def test_a_packet_that_comes_by_and_by_has_one_deadline() -> None:
    sent: list[int] = []

    def dribble(stand: Stand) -> None:
        packet = b"\0\0\0\x15M<a@doa.example.gov>\0"
        with stand.client(SENDMAIL_8_13) as mta, suppress(ConnectionError):
            for octet in packet * 10:
                mta.socket.sendall(bytes([octet]))
                sent.append(octet)
                time.sleep(0.05)

    async with open_stand(command_timeout="0.3s") as stand:
        await asyncio.to_thread(dribble, stand)
        assert len(sent) < 20
        await until(lambda: not len(stand.listener.connections))


async def test_a_unix_socket_is_open_to_its_group_and_to_nobody_else(tmp_path: Path) -> None:
    path = tmp_path / "milter"
    for _ in range(2):  # the second finds the file of the first
        async with open_stand(milter=f"unix:{path}", clients="none") as stand:
            assert stat.S_IMODE(os.stat(path).st_mode) == 0o660
            assert await stand.send(i=LONG_ID) == Answer("accept")
            assert stand.pipeline.seen[0].upstream == f"{LONG_ID}@127.0.0.1"


async def test_the_end_closes_the_idle_and_waits_for_messages() -> None:
    async with open_stand() as stand:
        idle, busy = await asyncio.to_thread(lambda: (stand.client(), stand.client()))
        await asyncio.to_thread(
            lambda: (idle.connect(), idle.flush(), busy.connect(), busy.envelope(SENDER, ["b@example.org"]))
        )
        await asyncio.to_thread(busy.content, CONTENT)
        ending = asyncio.create_task(stand.listener.stop(5.0))
        assert await asyncio.to_thread(idle.answer) == ("", b"")
        assert (await asyncio.to_thread(busy.end)).verdict == "accept"
        assert await asyncio.to_thread(busy.answer) == ("", b"")
        await ending
        idle.close()
        busy.close()


@pytest.mark.parametrize("text", ["127.0.0.1:10027,before-queue", "10027", "unix:/x,before-queue"])
def test_a_milter_address_that_is_none(text: str) -> None:
    with pytest.raises(SettingsError, match=r"--milter: .*expected"):
        read_settings({"next_hop": "maildir:/nowhere", "milter": text}, {})


# -- peers --------------------------------------------------------------------------------------------------------


async def test_a_message_that_is_not_the_peers_is_refused_by_milter_as_by_smtp() -> None:
    peers = checks("peers: {tenant: {networks: 192.0.2.0/24, tls: true, require: {X-Tenant: '1'}}}\n")
    async with open_stand(peers=peers) as stand:
        macros = {"client_addr": "192.0.2.7", "tls_version": "TLSv1.3"}
        assert (await stand.send(b"X-Tenant: 1\r\n" + CONTENT, **macros)).verdict == "accept"
        assert stand.pipeline.seen[0].peer == "tenant"
        for content, given, code in (
            (CONTENT, macros, "550 5.7.1 Not taken: the field X-Tenant is missing"),
            (b"X-Tenant: 1\r\n" + CONTENT, {"client_addr": "192.0.2.7"}, "530 5.7.0"),
        ):
            answer = await stand.send(content, **given)
            assert answer.verdict.startswith(code)
        assert len(stand.pipeline.seen) == 1


async def test_what_a_certificate_names_cannot_be_seen_by_milter() -> None:
    peers = checks("peers: {tenant: {networks: 192.0.2.0/24, certificate: mail.example.net}}\n")
    async with open_stand(peers=peers) as stand:
        answer = await stand.send(client_addr="192.0.2.7", tls_version="TLSv1.3", cert_subject="mail.example.net")
        assert "none of yours was shown" in answer.verdict and stand.pipeline.seen == []
