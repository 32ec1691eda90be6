"""A DKIM signer behind the gate, as docs/postfix.md has the two: whatever leaves has a signature that fits."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from tests.peers import wait_for
from tests.peers.opendkim import OpenDkim
from tests.peers.sink import Mail, Sink
from tests.postfix.setups import read_setup
from tests.postfix.test_milter import PDF, Way, message, open_way
from tests.store.arrivals import people

EVERYONE = people(2600)


@contextmanager
def signed_way(signer: OpenDkim, next_hop: int) -> Iterator[Way]:
    """The gate and then the signer as milters; what is released passes the signer alone."""
    both = read_setup("As a milter, with a DKIM signer", 0).main
    main = {name: value.replace("inet:127.0.0.1:8891", signer.milter) for name, value in both.items()}
    assert all(value.endswith(signer.milter) for value in main.values())
    main["smtp_destination_recipient_limit"] = "5000"
    with open_way(main=main, signer=signer.milter, relayhost=f"[127.0.0.1]:{next_hop}") as way:
        yield way


async def test_what_leaves_is_signed_be_it_relayed_warned_of_or_released() -> None:
    with OpenDkim("doa.example.gov") as signer:
        async with Sink() as sink:
            await asyncio.to_thread(scenario, signer, sink)
        mails = [mail for mail in sink.mails if mail.sender]
        assert all(signer.verifies(mail.content) for mail in mails)
        assert not any(signer.verifies(mail.content.replace(b"Hello", b"hello")) for mail in mails)
    assert reached(mails, "enrolment") == Counter(EVERYONE)
    assert reached(mails, "lunch") == Counter(["one@example.org"])
    assert reached(mails, "picnic") == Counter(people(201))
    assert {b"X-Gatekeeper-Warning: " in mail.content for mail in mails} == {True, False}


def scenario(signer: OpenDkim, sink: Sink) -> None:
    def sent_on(count: int) -> bool:
        return sum(len(mail.recipients) for mail in list(sink.mails) if mail.sender) == count

    with signed_way(signer, sink.port) as way:
        for recipients, content in (
            (["one@example.org"], message("lunch")),
            (people(201), message("picnic", PDF)),
            (EVERYONE, message("enrolment", "Bcc: hidden@example.org\r\n")),
        ):
            assert " queued as " in way.send(recipients, content)
        wait_for(lambda: sent_on(202), way.postfix.log, 60, 0.2)
        (held,) = way.gate.mailings("held")
        way.gate.cli("mailing", "approve", held["id"], "--by", "cio@example.gov")
        wait_for(lambda: sent_on(2802), way.postfix.log, 60, 0.2)
        way.postfix.wait_empty()


def reached(mails: list[Mail], subject: str) -> Counter[str]:
    line = f"\r\nSubject: {subject}\r\n".encode()
    return Counter(address for mail in mails if line in mail.content for address in mail.addresses)
