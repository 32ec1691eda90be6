"""A Postfix before a gate whose next hop is not there yet: its mail waits, whatever it asks for, none bounces."""

from __future__ import annotations

import smtplib

from tests.faults.scene import Downstream
from tests.peers import free_port, wait_for
from tests.peers.gate import Gate
from tests.peers.sink import Sink
from tests.postfix.setups import RULES, relaying

SENDER = "clerk@doa.example.gov"
MAILS = {  # subject -> parameters of MAIL and of RCPT, sender, recipient, text
    "plain": ([], [], SENDER, "a@deq.example.gov", "x"),
    "8bit": (["BODY=8BITMIME"], [], SENDER, "b@deq.example.gov", "café"),
    "dsn": (["RET=HDRS", "ENVID=QQ1"], ["NOTIFY=FAILURE"], SENDER, "c@deq.example.gov", "x"),
    "utf8": (["SMTPUTF8", "BODY=8BITMIME"], [], "ż@doa.example.gov", "ó@deq.example.gov", "café"),
}


def hand_over(port: int) -> None:
    with smtplib.SMTP("127.0.0.1", port, timeout=60) as client:
        client.ehlo()
        for subject, (of_mail, of_rcpt, sender, recipient, text) in MAILS.items():
            client.command_encoding = "utf-8"
            assert client.mail(sender, of_mail)[0] == 250
            assert client.rcpt(recipient, of_rcpt)[0] == 250
            content = f"From: {sender}\r\nTo: {recipient}\r\nSubject: {subject}\r\n\r\n{text}\r\n"
            assert client.data(content.encode())[0] == 250


def test_it_defers_and_delivers_when_the_next_hop_is_there() -> None:
    port = free_port()
    with Gate(f"smtp://127.0.0.1:{port}", rules=RULES) as gate, relaying(gate) as postfix:
        hand_over(postfix.port)
        wait_for(lambda: postfix.log().count("status=deferred") >= len(MAILS), postfix.log)
        assert "status=bounced" not in postfix.log()
        assert {mail["queue_name"] for mail in postfix.queue()} == {"deferred"} and len(postfix.queue()) == len(MAILS)
        with Downstream(Sink(port=port)) as downstream:
            wait_for(lambda: postfix.flush() or not postfix.queue(), postfix.log, 60, 1)
            assert "status=bounced" not in postfix.log()
            assert sorted(downstream.sink.recipients) == sorted(mail[3] for mail in MAILS.values())
