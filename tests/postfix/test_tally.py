"""The tally that the campaigns stand on sees what it is there to see."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.peers.sink import Mail
from tests.postfix.mails import Letter
from tests.postfix.tally import WITNESS, tally

TRACE = b"Received: from c (unknown [127.0.0.1])\r\n\tby mx.example.gov (Postfix) with ESMTP id 4Xq1;\r\n\tnow\r\n"
ADDED = b"Received: from mx.example.gov (unknown [127.0.0.1])\r\n\tby gate with ESMTP id 77;\r\n\ttoday\r\n"
BODY = b"Subject: x\r\n\r\n.text\r\n"
LETTER = Letter("plain", "a@doa.example.gov", ("b@example.org", "c@example.org"), BODY, ("RET=HDRS",), (), "4Xq1")


def mail(content: bytes, *addresses: str) -> Mail:
    people = [(each, (f"ORCPT=rfc822;{each}",)) for each in addresses]
    return Mail("a@doa.example.gov", ("SIZE=9", "RET=HDRS"), people, content, 1, b"")


GOOD = mail(ADDED + TRACE + BODY, *LETTER.recipients)


@pytest.mark.parametrize(
    ("passed", "lost", "twice", "changed"),
    [
        ([GOOD], 0, 0, 0),
        ([mail(ADDED + TRACE + BODY, each) for each in LETTER.recipients], 0, 0, 0),
        ([], 2, 0, 0),
        ([mail(ADDED + TRACE + BODY, "b@example.org")], 1, 0, 0),
        ([GOOD, GOOD], 0, 2, 0),
        ([GOOD, mail(ADDED + TRACE.replace(b"4Xq1", b"4Xq2") + BODY, "b@example.org")], 0, 1, 0),
        ([mail(ADDED + TRACE + BODY + b"\r\n", *LETTER.recipients)], 0, 0, 1),
        ([mail(ADDED + b"X-Added: y\r\n" + TRACE + BODY, *LETTER.recipients)], 2, 1, 0),
        ([replace(GOOD, sender="")], 0, 0, 1),
        ([replace(GOOD, mail_parameters=())], 0, 0, 1),
        ([replace(GOOD, recipients=[(each, ()) for each in LETTER.recipients])], 0, 0, 1),
    ],
)
def test_what_is_lost_sent_twice_or_changed_is_seen(passed: list[Mail], lost: int, twice: int, changed: int) -> None:
    result = tally([LETTER], passed, [mail(TRACE + BODY, WITNESS)])
    assert (len(result.lost), len(result.twice), len(result.changed)) == (lost, twice, changed), str(result)


def test_a_witness_that_got_nothing_is_seen() -> None:
    assert "the witness has none" in str(tally([LETTER], [GOOD], []))
