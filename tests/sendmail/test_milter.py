"""A real Sendmail that has the gate as its milter, with the lines of docs/sendmail.md."""

from __future__ import annotations

import re
import shutil
import smtplib
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.faults.scene import Downstream
from tests.peers import free_port, wait_for
from tests.peers.gate import RULES, Gate
from tests.peers.milter import NO_REPLY, SENDMAIL_8_17, Offer
from tests.peers.opendkim import OpenDkim
from tests.peers.sendmail import GROUP, Sendmail
from tests.peers.sink import Mail
from tests.peers.tap import tap
from tests.postfix.test_milter import DEFERRING, HEAD, PDF, message
from tests.store.arrivals import people

PAGE = Path(__file__).resolve().parents[2] / "docs/sendmail.md"


@dataclass
class Way:
    """Clients' Sendmail, the gate that it asks, the folder of its socket, and where all mail goes then."""

    sendmail: Sendmail
    gate: Gate
    folder: Path
    downstream: Downstream

    def send(self, recipients: list[str], content: bytes, *options: str) -> str:
        """The reply to the message, or to a command before it that was refused."""
        with smtplib.SMTP("127.0.0.1", self.sendmail.port, "client.example.gov", timeout=60) as client:
            client.ehlo()
            code, text = client.mail(HEAD)
            for recipient in recipients if code == 250 else ():
                code, text = client.rcpt(recipient, options)
                if code != 250:
                    break
            if code == 250:
                code, text = client.data(content)
            return f"{code} {text.decode()}"

    def came(self, subject: str, recipients: int) -> list[Mail]:
        """The mail of that subject that was sent on, once it is to so many."""
        line = f"\r\nSubject: {subject}\r\n".encode()

        def found() -> list[Mail]:
            return [mail for mail in list(self.downstream.sink.mails) if mail.sender and line in mail.content]

        def reached() -> int:
            return sum(len(mail.recipients) for mail in found())

        wait_for(lambda: reached() >= recipients, lambda: f"{reached()} of {recipients}: {self.gate.log()}", 60, 0.1)
        self.sendmail.wait_empty()
        return found()


@contextmanager
def open_way() -> Iterator[Way]:
    """Sendmail and the gate as the page has them, but for the folder and the port."""
    behind = free_port()
    with TemporaryDirectory(prefix="gk-", dir="/run") as name:  # Sendmail takes no socket where all may write
        folder = Path(name)
        shutil.chown(folder, "root", GROUP)
        folder.chmod(0o2750)
        with (
            Downstream() as downstream,
            Sendmail(downstream.sink.port, lines(folder / "milter", behind)) as sendmail,
            Gate(
                f"smtp://127.0.0.1:{behind}", rules=RULES + DEFERRING, flags=["--milter", f"unix:{folder}/milter"]
            ) as gate,
        ):
            yield Way(sendmail, gate, folder, downstream)


def lines(milter: Path, behind: int) -> str:
    """What the page adds to sendmail.mc for the gate."""
    block = blocks()[0]
    assert "/run/gatekeeper/milter" in block and "Port=10026" in block
    return block.replace("/run/gatekeeper/milter", str(milter)).replace("10026", str(behind))


def signed_lines(milter: Path, behind: int, signer: int) -> str:
    """And with a signer behind it."""
    gate, _, rest = lines(milter, behind).partition("\n")
    second = blocks()[1].replace("8891", str(signer))
    return gate + "\n" + second + rest.replace("InputFilter=", "InputFilter=opendkim")


def blocks() -> list[str]:
    return re.findall(r"^```m4\n(.*?)^```", PAGE.read_text(), re.DOTALL | re.MULTILINE)


@pytest.fixture(scope="module")
def way() -> Iterator[Way]:
    with open_way() as way:
        yield way


# -- verdicts ----------------------------------------------------------------------------------------------------


def test_what_passes_is_taken_in_as_though_there_were_no_gate(way: Way) -> None:
    assert way.send(["one@example.org"], message("lunch")).endswith("Message accepted for delivery")
    (mail,) = way.came("lunch", 1)
    assert b"X-Gatekeeper" not in mail.content and mail.content.count(b"Received: ") == 1
    assert mail.content.endswith(b"\r\n\r\n.Hello\r\nyou\r\n")


def test_sendmail_offers_what_was_recorded_and_takes_the_gates_terms(way: Way) -> None:
    wire = way.folder / "tapped"
    with (
        tap(wire, way.folder / "milter", GROUP) as calls,
        Sendmail(way.downstream.sink.port, lines(wire, free_port())) as other,
    ):
        assert replace(way, sendmail=other).send(["one@example.org"], message("tapped")).startswith("250 ")
        other.wait_empty()
    call = max(calls, key=lambda call: len(call.said))  # others only looked whether a port is open
    assert terms(call.said) == SENDMAIL_8_17
    assert terms(call.answered).version == 6
    assert terms(call.answered).steps & NO_REPLY["R"]  # so that it need not wait for us at each recipient


def terms(octets: bytearray) -> Offer:
    """Version, actions and steps of the first packet."""
    assert octets[4:5] == b"O", bytes(octets[:40])
    return Offer.decode(bytes(octets[5:17]))


def test_a_warning_is_in_the_message(way: Way) -> None:
    assert way.send(people(201), message("picnic", PDF)).endswith("Message accepted for delivery")
    warning = b"\r\nX-Gatekeeper-Warning: Link to the file instead. (attachments)\r\n"
    assert all(warning in mail.content for mail in way.came("picnic", 201))


def test_a_refusal_is_the_clients_reply_with_all_reasons(way: Way) -> None:
    reply = way.send(people(201), message("", f"Cc: {', '.join(people(30))}\r\n"))
    assert reply.startswith("550 5.7.1 Not sent. 1) Add a subject line. 2) Move the 30 addresses")
    assert reply.endswith("(subject, blind-copy)")


def test_what_is_deferred_stays_with_the_client(way: Way) -> None:
    reply = way.send(["one@example.org"], message("a winner"))
    assert reply.startswith("451 4.7.1 Not sent yet, will be tried again. 1) 100% of this waits. Help:")


def test_mass_mail_is_held_and_later_released(way: Way) -> None:
    everyone = people(2600)
    content = message("enrolment", "Bcc: hidden@example.org\r\nX-Odd:   two\r\n  lines \r\n")
    for _ in range(2):  # as a client that tries again
        assert way.send(everyone, content, "NOTIFY=NEVER").endswith("Message accepted for delivery")
    (held,) = way.gate.mailings("held")
    assert (held["users"], held["batches"], held["sent"]) == (2600, 1, 0)

    way.gate.cli("mailing", "approve", held["id"], "--by", "cio@example.gov")
    mails = way.came("enrolment", len(everyone))
    assert Counter(address for mail in mails for address in mail.addresses) == Counter(everyone)
    assert all(parameters == ("NOTIFY=NEVER",) for mail in mails for _, parameters in mail.recipients)
    # as Sendmail would have written it, had there been no gate
    trace = (
        rb"Received: from client.example.gov \(localhost \[127.0.0.1\]\)\r\n\tby mx.example.gov .*with ESMTP id \w{14}"
    )
    assert all(re.search(trace, mail.content) and b"hidden" not in mail.content for mail in mails)
    assert all(b"\r\nX-Odd:   two\r\n  lines \r\n\r\n.Hello" in mail.content for mail in mails)


@pytest.mark.soak
def test_a_signer_behind_the_gate_signs_its_warning_too_and_what_is_released(way: Way) -> None:
    behind = free_port()
    with (
        OpenDkim("doa.example.gov") as signer,
        Sendmail(way.downstream.sink.port, signed_lines(way.folder / "milter", behind, signer.port)) as sendmail,
    ):
        signed = replace(way, sendmail=sendmail)
        assert signed.send(people(201), message("signed", PDF)).startswith("250 ")
        with smtplib.SMTP("127.0.0.1", behind, "gate.example.gov", timeout=60) as gate:  # as the gate's queue does
            gate.sendmail(HEAD, ["one@example.org"], message("signed"))
        mails = signed.came("signed", 202)
        assert {b"X-Gatekeeper-Warning: " in mail.content for mail in mails} == {True, False}
        assert all(signer.verifies(mail.content) for mail in mails)


# -- the gate ends -----------------------------------------------------------------------------------------------


def test_while_the_gate_is_down_clients_keep_their_mail(way: Way) -> None:
    way.gate.terminate()
    assert way.send(["one@example.org"], message("early")).startswith("451 4.")
    way.gate.start(kill_at="decided:1")
    assert way.send(["one@example.org"], message("early")).startswith("451 4.")
    assert way.gate.wait_dead() == -9
    way.gate.start()
    assert way.send(["one@example.org"], message("early")).endswith("Message accepted for delivery")
    assert len(way.came("early", 1)) == 1
