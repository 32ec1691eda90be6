"""A real Postfix that has the gate as its milter, with the lines of docs/postfix.md."""

from __future__ import annotations

import asyncio
import base64
import re
import shutil
import smtplib
import socketserver
import subprocess
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.peers import free_port, require, wait_for
from tests.peers.gate import RULES, Gate
from tests.peers.postfix import Delivered, Postfix
from tests.peers.sink import Mail, Sink
from tests.postfix.inject import inject
from tests.postfix.mails import Letter
from tests.postfix.setups import read_setup
from tests.store.arrivals import people

HEAD = "head@doa.example.gov"
DEFERRING = "  - {id: later, when: {subject: {like: '*winner*'}}, then: defer, say: 100% of this waits.}\n"
GATHERING = RULES.replace("within: 24h}", "within: 24h, gather: {at: [50], quiet: 1s, limit: 60s}}")
PDF = "MIME-Version: 1.0\r\nContent-Type: application/pdf; name=a.pdf\r\n"


@dataclass
class Way:
    """Clients' Postfix, which keeps what it takes in, and the gate that it asks."""

    postfix: Postfix
    gate: Gate

    def send(self, recipients: list[str], content: bytes, login: str = "", port: int = 0) -> str:
        """The reply to the message."""
        with smtplib.SMTP("127.0.0.1", port or self.postfix.port, "client.example.gov", timeout=60) as client:
            client.ehlo()
            if login:
                client.login(login, "secret")
            client.mail(HEAD)
            for recipient in recipients:
                assert client.rcpt(recipient)[0] == 250
            code, text = client.data(content)
            return f"{code} {text.decode()}"

    def delivered(self, count: int) -> list[Delivered]:
        """What was put into mailboxes, once it is so much."""
        wait_for(lambda: len(self.postfix.mails()) >= count, lambda: f"delivered: {len(self.postfix.mails())}", 60, 0.2)
        self.postfix.wait_empty()
        return self.postfix.mails()

    def judged(self) -> list[str]:
        """The Message-IDs of the mail that the gate has relayed."""
        return re.findall(r"status=relayed .*? msgid=<([^>]*)>", self.gate.log())


@contextmanager
def open_way(
    *,
    again: bool = False,
    main: dict[str, str] | None = None,
    rules: str = RULES,
    relayhost: str = "",
    signer: str = "",
    flags: Sequence[str] = (),
    chroot: bool = False,
) -> Iterator[Way]:
    """Args: with `again` released mail passes the gate again, on its way to the same Postfix, which keeps all mail
    unless it has a `relayhost`; else it passes the milter `signer`.
    """
    behind = free_port()
    setup = read_setup("As a milter", 0, behind)
    services = [line.replace("-o smtpd_milters=", f"-o smtpd_milters={signer}") for line in setup.services]
    kept = {"relayhost": relayhost, "receives": not relayhost, "chroot": chroot}
    with Postfix(main={**setup.main, **(main or {})}, services=services, **kept) as postfix:  # type: ignore[arg-type]
        folder = postfix.home / "queue/gatekeeper"
        folder.mkdir()
        shutil.chown(folder, "root", "postfix")
        folder.chmod(0o2750)
        next_hop = f"smtp://127.0.0.1:{postfix.port if again else behind}"
        with Gate(next_hop, rules=rules, flags=["--milter", f"unix:{folder}/milter", *flags]) as gate:
            yield Way(postfix, gate)


@pytest.fixture(scope="module")
def way() -> Iterator[Way]:
    """Its smtpd and its cleanup are in a chroot, as Debian has them."""
    with open_way(rules=GATHERING + DEFERRING, chroot=True) as way:
        yield way


def message(subject: str, extra: str = "") -> bytes:
    named = f"Subject: {subject}\r\n" if subject else ""
    return (
        f"From: {HEAD}\r\n{named}To: undisclosed-recipients:;\r\n"
        f"Message-ID: <{subject}@doa.example.gov>\r\n{extra}\r\n.Hello\r\nyou\r\n"
    ).encode()


def children_of(pid: int | None) -> list[int]:
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def of(mails: list[Delivered], subject: str) -> list[Delivered]:
    return [mail for mail in mails if f"\r\nSubject: {subject}\r\n".encode() in mail.content]


# -- verdicts ----------------------------------------------------------------------------------------------------


def test_what_passes_is_taken_in_as_though_there_were_no_gate(way: Way) -> None:
    assert " queued as " in way.send(["one@example.org"], message("lunch"))
    (mail,) = of(way.delivered(1), "lunch")
    assert mail.content.endswith(message("lunch"))
    assert mail.content.count(b"\nReceived:") + mail.content.startswith(b"Received:") == 1


def test_the_smtpd_that_asks_is_in_a_chroot(way: Way) -> None:
    way.send(["one@example.org"], message("whose root"))
    queue = way.postfix.home / "queue"
    roots = [link.resolve() for pid in map(str, children_of(way.postfix.pid)) if (link := Path("/proc", pid, "root"))]
    assert queue.resolve() in roots


def test_a_warning_is_in_the_message(way: Way) -> None:
    assert " queued as " in way.send(people(201), message("picnic", PDF))
    wait_for(lambda: len(of(way.postfix.mails(), "picnic")) == 201, lambda: way.postfix.log()[-2000:], 60, 0.2)
    assert all(
        b"\r\nX-Gatekeeper-Warning: Link to the file instead. (attachments)\r\n" in mail.content
        for mail in of(way.postfix.mails(), "picnic")
    )


def test_a_refusal_is_the_clients_reply_with_all_reasons(way: Way) -> None:
    reply = way.send(people(201), message("", f"Cc: {', '.join(people(30))}\r\n"))
    assert reply.startswith("550 5.7.1 Not sent. 1) Add a subject line. 2) Move the 30 addresses")
    assert reply.endswith("(subject, blind-copy)")


def test_what_is_deferred_stays_with_the_client(way: Way) -> None:
    reply = way.send(["one@example.org"], message("a winner"))
    assert reply.startswith("451 4.7.1 Not sent yet, will be tried again. 1) 100% of this waits. Help:")


def test_what_is_gathered_comes_back_in_once_it_is_whole(way: Way) -> None:
    readers = people(100)
    for batch in (readers[:50], readers[50:]):
        assert " queued as " in way.send(batch, message("notes"))
    wait_for(lambda: len(of(way.postfix.mails(), "notes")) >= 100, way.gate.log, 60, 0.2)
    way.postfix.wait_empty()
    assert Counter(mail.recipient for mail in of(way.postfix.mails(), "notes")) == Counter(readers)
    assert len(re.findall(r"info gathered M-\d+ batches=2 verdict=relay$", way.gate.log(), re.MULTILINE)) == 1


async def test_mass_mail_is_held_and_later_released() -> None:
    everyone = people(2600)
    content = message("enrolment", "Bcc: hidden@example.org\r\nX-Odd:   two\r\n  lines \r\n")

    def scenario(way: Way) -> None:
        for _ in range(2):  # as a client that tries again
            assert " queued as " in way.send(everyone, content)
        (held,) = way.gate.mailings("held")
        assert (held["users"], held["batches"], held["sent"]) == (2600, 1, 0)
        way.gate.cli("mailing", "approve", "M-1", "--by", "cio@example.gov")

    async with Sink() as sink:
        mails = await released(sink, scenario, len(everyone))
    assert Counter(address for mail in mails for address in mail.addresses) == Counter(everyone)
    trace = rb"Received: from client.example.gov \(unknown \[127.0.0.1\]\)\r\n\tby mx.example.gov with ESMTP id \w{10}"
    assert all(re.search(trace, mail.content) for mail in mails)
    rest = message("enrolment", "X-Odd:   two\r\n  lines \r\n")
    assert all(mail.content.endswith(rest) for mail in mails)


async def test_released_mail_that_passes_the_gate_again_passes() -> None:
    everyone = people(2600)

    def scenario(way: Way) -> None:
        way.send(everyone, message("enrolment"))
        way.gate.cli("mailing", "approve", "M-1", "--by", "cio@example.gov")
        again = re.compile(r"milter \w+ from=<head@doa.example.gov> nrcpt=\d+ .*status=relayed rules= mailing=M-1")
        wait_for(lambda: len(again.findall(way.gate.log())) == 6, lambda: way.gate.log()[-3000:], 60, 0.2)

    async with Sink() as sink:
        mails = await released(sink, scenario, len(everyone), again=True)
    assert Counter(address for mail in mails for address in mail.addresses) == Counter(everyone)
    assert {mail.content.count(b"X-Gatekeeper-Released: ") for mail in mails} == {1}, "a new one in place of the old"


async def released(sink: Sink, scenario: Callable[[Way], None], count: int, *, again: bool = False) -> list[Mail]:
    """What Postfix has sent on behind the gate, once it is to so many."""

    def found() -> list[Mail]:
        return [mail for mail in sink.mails if mail.sender]

    def run() -> None:
        uncut = {"smtp_destination_recipient_limit": "5000"}
        with open_way(again=again, main=uncut, relayhost=f"[127.0.0.1]:{sink.port}") as way:
            scenario(way)
            wait_for(lambda: sum(len(mail.recipients) for mail in found()) >= count, way.gate.log, 60, 0.2)
            way.postfix.wait_empty()

    await asyncio.to_thread(run)
    return found()


def test_who_logs_in_is_who_sends(tmp_path: Path) -> None:
    with doorman(tmp_path) as path, open_way(main=sasl(path)) as way:
        assert " queued as " in way.send(["one@example.org"], message("lunch"), login="deputy@doa.example.gov")
        assert "login=<deputy@doa.example.gov>" in way.gate.log()


def test_mail_of_the_sendmail_command_is_judged(way: Way) -> None:
    command = [require("sendmail"), "-C", str(way.postfix.home / "config"), "-f", HEAD, "one@example.org"]
    subprocess.run(command, input=b"Subject: by hand\n\nx\n", check=True, timeout=60)
    wait_for(lambda: bool(of(way.postfix.mails(), "by hand")), lambda: way.postfix.log()[-2000:])
    assert re.search(r"info milter \w+ from=<head@doa.example.gov> nrcpt=1 .*status=relayed", way.gate.log())


# -- again and again ---------------------------------------------------------------------------------------------


def test_pipelining_clients_in_twenty_sessions(way: Way) -> None:
    letters = [Letter("", HEAD, (f"r{each}@example.org",), message(f"load-{each}")) for each in range(100)]
    asyncio.run(inject(way.postfix.port, letters))
    wait_for(
        lambda: sum(b"Subject: load" in mail.content for mail in way.postfix.mails()) == 100, way.postfix.log, 60, 0.2
    )
    assert {f"load-{each}@doa.example.gov" for each in range(100)} <= set(way.judged())


# -- the gate ends -----------------------------------------------------------------------------------------------


def test_a_gate_restarted_under_load_loses_nothing_and_lets_nothing_pass_unjudged() -> None:
    with open_way() as way:
        waiting = [message(f"busy-{each}") for each in range(100)]
        lock, refused = threading.Lock(), []

        def work() -> None:
            while waiting:
                with lock:
                    content = waiting.pop() if waiting else b""
                if content and not (reply := attempt(way, content)).startswith("250"):
                    refused.append(reply)
                    with lock:
                        waiting.append(content)

        workers = [threading.Thread(target=work) for _ in range(10)]
        for worker in workers:
            worker.start()
        for end in (way.gate.terminate, way.gate.kill):
            wait_for(lambda: len(waiting) < 90, lambda: "no mail passes", 60)
            end()
            way.gate.start()
        for worker in workers:
            worker.join()
        mails = way.delivered(100)
        found = {match[1].decode() for mail in mails if (match := re.search(rb"Message-ID: <(.*)>", mail.content))}
        assert len(found) == 100
        assert found <= set(way.judged())
        assert all(reply.startswith("4") for reply in refused)


def attempt(way: Way, content: bytes) -> str:
    try:
        return way.send(["one@example.org"], content)
    except (smtplib.SMTPException, OSError, AssertionError):
        return "451 refused before the message"


def test_a_gate_killed_between_keeping_and_saying_so_has_one_batch_after_the_retry() -> None:
    with open_way() as way:
        way.gate.kill()
        way.gate.start(kill_at="sealed:1")
        assert way.send(people(2600), message("enrolment")).startswith("451 4.7.1 ")
        assert way.gate.wait_dead() == -9
        way.gate.start()
        assert " queued as " in way.send(people(2600), message("enrolment"))
        (held,) = way.gate.mailings("held")
        assert (held["batches"], held["users"]) == (1, 2600)
        assert not of(way.postfix.mails(), "enrolment")


# -- a login -----------------------------------------------------------------------------------------------------


def sasl(path: Path) -> dict[str, str]:
    return {
        "smtpd_sasl_auth_enable": "yes",
        "smtpd_sasl_type": "dovecot",
        "smtpd_sasl_path": str(path),
        "smtpd_sasl_security_options": "noanonymous",
    }


class _Doorman(socketserver.StreamRequestHandler):
    """Dovecot's authentication protocol as far as Postfix needs it; everybody is who they say."""

    def handle(self) -> None:
        self.wfile.write(b"VERSION\t1\t0\nMECH\tPLAIN\tplaintext\nSPID\t1\nCUID\t1\nCOOKIE\t1\nDONE\n")
        for line in self.rfile:
            words = line.rstrip(b"\n").split(b"\t")
            if words[0] == b"AUTH":
                response = next(word[5:] for word in words if word.startswith(b"resp="))
                user = base64.b64decode(response).split(b"\0")[1]
                self.wfile.write(b"OK\t" + words[1] + b"\tuser=" + user + b"\n")


@contextmanager
def doorman(folder: Path) -> Iterator[Path]:
    path = Path("/tmp") / f"gk-{folder.name[-12:]}-auth"
    path.unlink(missing_ok=True)
    with socketserver.ThreadingUnixStreamServer(str(path), _Doorman) as server:
        path.chmod(0o666)
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield path
        server.shutdown()
    path.unlink()
