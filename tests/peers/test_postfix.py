"""The Postfix that other tests stand on does what they take for granted."""

import asyncio
import smtplib
from email.message import EmailMessage

import pytest

from tests.peers import require, wait_for
from tests.peers.postfix import Postfix, runs
from tests.peers.sink import Sink, say


def message(subject: str) -> bytes:
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = "a@doa.example.gov", "undisclosed-recipients:;", subject
    mail.set_content(".a dot\n..two dots\n\nüber\n")
    return mail.as_bytes().replace(b"\n", b"\r\n")


def send(port: int, recipients: list[str], content: bytes) -> None:
    with smtplib.SMTP("127.0.0.1", port, timeout=30) as client:
        assert client.sendmail("a@doa.example.gov", recipients, content) == {}


async def test_mail_goes_through_postfix_to_a_sink_uncut():
    people = [f"user{number}@dphhs.example.gov" for number in range(120)]
    content = message("through")
    async with Sink() as sink:
        relay = {"relayhost": f"[127.0.0.1]:{sink.port}", "main": {"smtp_destination_recipient_limit": "5000"}}
        async with Postfix(**relay) as postfix:
            await asyncio.to_thread(send, postfix.port, people, content)
            await asyncio.to_thread(postfix.wait_empty)
            assert "status=sent (250 2.0.0 taken)" in postfix.log()
    assert len(sink.mails) == 1 and sorted(sink.mails[0].addresses) == sorted(people)
    assert sink.mails[0].content.endswith(content) and sink.mails[0].content.startswith(b"Received:")


async def test_a_refusal_waits_in_the_queue_and_says_why():
    async with Sink() as sink:
        sink.at("MAIL", say("451 4.3.0 try again later"))
        async with Postfix(relayhost=f"[127.0.0.1]:{sink.port}") as postfix:
            await asyncio.to_thread(send, postfix.port, ["b@example.org"], message("deferred"))
            await asyncio.to_thread(_until_deferred, postfix)
            sink.behave()
            await asyncio.to_thread(postfix.flush)
            await asyncio.to_thread(postfix.wait_empty)
    assert sink.recipients == ["b@example.org"]


def _until_deferred(postfix: Postfix) -> None:
    reasons = lambda: [each.get("delay_reason", "") for mail in postfix.queue() for each in mail["recipients"]]  # noqa: E731
    wait_for(lambda: any("451 4.3.0 try again" in reason for reason in reasons()), lambda: str(postfix.queue()))


def test_two_instances_beside_each_other_one_receives_and_both_end():
    content = message("received")
    with Postfix(receives=True) as last, Postfix(relayhost=f"[127.0.0.1]:{last.port}") as first:
        send(first.port, ["b@example.org", "c@example.org"], content)
        first.wait_empty()
        last.wait_empty()
        mails, pids = last.mails(), [first.pid, last.pid]
    assert sorted(mail.recipient for mail in mails) == ["b@example.org", "c@example.org"]
    assert all(mail.sender == "a@doa.example.gov" and mail.content.endswith(content) for mail in mails)
    assert None not in pids and first.pid is None and not first.home.exists() and not last.home.exists()
    assert [runs(pid) for pid in pids] == [False, False]


@pytest.mark.parametrize(("ci", "outcome"), [("true", pytest.fail.Exception), ("", pytest.skip.Exception)])
def test_a_missing_peer_is_seen(monkeypatch, ci, outcome):
    monkeypatch.setenv("CI", ci)
    with pytest.raises(outcome, match="program no-such-daemon"):
        require("no-such-daemon")
