"""The dialog without a wire, as a script: what the client says, what the session wants, what it is answered."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatekeeper.model import Client, Recipient, Refusal, Transaction
from gatekeeper.smtp import policy_replies
from gatekeeper.smtp.client_identity import ClientIdentity
from gatekeeper.smtp.data import ContentReader, Fault
from gatekeeper.smtp.refusals import reason_of
from gatekeeper.smtp.replies import Reply, reply
from gatekeeper.smtp.session import Session
from gatekeeper.smtp.session_replies import RECIPIENT_OK
from gatekeeper.smtp.wanted import (
    ABANDON,
    FIND_OFFERS,
    READ,
    START_TLS,
    Abandon,
    Ask,
    FindOffers,
    Judge,
    Read,
    TakeMessage,
    Wanted,
)

OK = reply(250, "ok", "2.1.0")
TAKEN = reply(250, "taken", "2.0.0")
GONE = reply(550, "no such user", "5.1.1")
BUSY = reply(450, "busy", "4.2.0")
OFFERS = {"PIPELINING": "", "8BITMIME": "", "SMTPUTF8": "", "DSN": "", "SIZE": "100000"}
EHLO = b"EHLO client.example.gov\r\n"
MAIL = b"MAIL FROM:<a@doa.example.gov>\r\n"


@dataclass
class OneListener:
    """A listener that lets in who is not told to be kept out."""

    hostname: str = "gate.example.gov"
    max_commands: int = 1000
    max_recipients: int = 100
    has_tls: bool = True
    full: Reply | None = None
    trusts: bool = False
    counted: list[tuple[str, str]] = field(default_factory=list)  # stage and reason of what was refused
    named: str = ""  # what a certificate must name

    def hello(self, offered: Mapping[str, str], peer: str, *, starttls: bool) -> Reply:
        return Reply(250, (self.hostname, *offered, *(["STARTTLS"] if starttls else [])))

    def size_limit(self, offered: Mapping[str, str]) -> int:
        return int(offered.get("SIZE", 100_000))

    def obstacle(self) -> Reply | None:
        return self.full

    def peer_obstacle(self, identity: ClientIdentity) -> Reply | None:
        return None if not self.named or self.named in identity.certificate else policy_replies.tls_first()

    def peer_of(self, identity: ClientIdentity, client: Client, content: bytes) -> str | Reply:
        if b"X-Other:" in content:
            return policy_replies.not_of_peer(f"{client.helo} is another", "")
        return "tenant" if self.named else ""

    def sender_allowed(self, sender: str, peer: str) -> bool:
        return not sender.startswith("stranger")

    def answers_any(self, addresses: Sequence[str]) -> bool:
        return any(map(self.answer_to, addresses))

    def answer_to(self, address: str) -> Reply | None:
        return {"preflight": RECIPIENT_OK, "unknown": GONE}.get(address.partition("@")[0])

    def put_off(self, sender: str) -> dict[str, Reply]:
        return {}

    def note_put_off(self, sender: str, replies: Mapping[str, Reply]) -> None:
        pass

    def refused(self, stage: str, reply: Reply) -> None:
        self.counted.append((stage, reason_of(reply)))

    def may_xforward(self, peer: str) -> bool:
        return True

    def may_xclient(self, peer: str) -> bool:
        return True

    def is_authenticated(self, client: str) -> bool:
        return client == "192.0.2.1"


@dataclass
class Script:
    """A session, and what is left to do in it. Octets that a client sends early are `waiting`."""

    listener: OneListener = field(default_factory=OneListener)
    waiting: bool = False

    def __post_init__(self) -> None:
        self.session = Session(self.listener, ClientIdentity("192.0.2.1", 4000), lambda: self.waiting)
        self.dialog = self.session.dialog()
        self.wants: Wanted | None = None
        self.gets(None)

    def gets(self, outcome: Any) -> Wanted | None:
        """Resume the dialog; what it wants next, None where it is over."""
        self.wants = next(self.dialog) if outcome is None and self.wants is None else self._sent(outcome)
        return self.wants

    def _sent(self, outcome: Any) -> Wanted | None:
        try:
            return self.dialog.send(outcome)
        except StopIteration:
            return None

    def answers(self) -> list[str]:
        """The replies since the last call, without what follows the enhanced code."""
        said, self.session.replies = b"".join(self.session.replies).decode(), []
        return said.splitlines()

    def codes(self) -> list[str]:
        return [line[:9].rstrip() for line in self.answers()]


def hello(listener: OneListener | None = None) -> Script:
    """A client that has said EHLO and was answered."""
    script = Script(listener or OneListener())
    assert script.wants == READ
    assert script.gets(EHLO) == FIND_OFFERS
    assert script.gets(OFFERS) == READ
    assert script.answers()[0] == "220 gate.example.gov ESMTP Gatekeeper"
    return script


def asks(wants: Wanted | None) -> list[str]:
    assert isinstance(wants, Ask)
    return [recipient.address for recipient in wants.recipients]


# -- one question for what comes together ------------------------------------------------------------------------


def test_a_message_line_by_line() -> None:
    script = hello()
    assert asks(script.gets(MAIL)) == []
    assert script.gets([OK]) == READ
    assert asks(script.gets(b"RCPT TO:<b@example.org>\r\n")) == ["b@example.org"]
    assert script.gets([OK]) == READ
    assert script.codes() == ["250 2.1.0", "250 2.1.0"]
    assert script.gets(b"DATA\r\n") == TakeMessage(100_000)
    assert script.codes() == ["354 End d"]
    judge = script.gets(b"Subject: x\r\n\r\n")
    assert isinstance(judge, Judge)
    transaction = judge.transaction
    assert (transaction.sender, transaction.recipients) == ("a@doa.example.gov", (Recipient("b@example.org"),))
    assert (transaction.content, transaction.authenticated) == (b"Subject: x\r\n\r\n", True)
    assert transaction.client.helo == "client.example.gov"
    assert script.gets(TAKEN) == READ
    assert script.answers() == ["250 2.0.0 taken"]
    assert script.gets(b"QUIT\r\n") is None
    assert script.codes() == ["221 2.0.0"]


def test_mail_and_recipients_in_one_piece_are_one_question_and_one_answer() -> None:
    script = hello()
    wants = script.gets(MAIL + b"RCPT TO:<b@b.c>\r\nRCPT TO:<c@b.c> NOTIFY=NEVER\r\nrcpt to:<d@b.c>\r\nDATA\r\n")
    assert asks(wants) == ["b@b.c", "c@b.c", "d@b.c"]
    assert script.answers() == []
    assert script.gets([OK, OK, GONE, OK]) == TakeMessage(100_000)
    assert script.codes() == ["250 2.1.0", "250 2.1.0", "550 5.1.1", "250 2.1.0", "354 End d"]
    judge = script.gets(b"x\r\n")
    assert isinstance(judge, Judge)
    assert [each.address for each in judge.transaction.recipients] == ["b@b.c", "d@b.c"]


def test_what_the_gate_answers_itself_stands_in_its_place() -> None:
    script = hello(OneListener(max_recipients=2))
    recipients = [b"x@b.c>", b"broken", b"y@b.c> FOO=1", b"preflight@b.c>", b"z@b.c>"]
    wants = script.gets(MAIL + b"".join(b"RCPT TO:<" + each + b"\r\n" for each in recipients))
    assert asks(wants) == ["x@b.c"]
    assert script.gets([OK, BUSY]) == READ
    assert script.codes() == ["250 2.1.0", "450 4.2.0", "501 5.1.3", "555 5.5.4", "250 2.1.5", "452 4.5.3"]
    assert script.gets(b"DATA\r\n") == TakeMessage(100_000)


def test_a_recipient_of_the_gates_own_is_asked_of_nobody() -> None:
    script = hello()
    assert asks(script.gets(MAIL)) == []
    script.gets([OK])
    assert script.gets(b"RCPT TO:<preflight@b.c>\r\n") == READ
    assert script.codes() == ["250 2.1.0", "250 2.1.5"]


@pytest.mark.parametrize(("opened", "behind"), [(GONE, "503 5.5.1"), (BUSY, "450 4.2.0")])
def test_what_comes_with_a_refused_mail_is_refused(opened: Reply, behind: str) -> None:
    script = hello()
    script.gets(MAIL + b"RCPT TO:<b@b.c>\r\nRCPT TO:<\r\nRCPT TO:<preflight@b.c>\r\nDATA\r\n")
    assert script.gets([opened, OK]) == ABANDON
    assert script.gets(None) == READ
    assert script.codes() == [str(opened)[:9], behind, "501 5.1.3", behind, "503 5.5.1"]
    assert isinstance(script.gets(MAIL), Ask)


def test_a_next_hop_that_refuses_each_recipient() -> None:
    script = hello()
    script.gets(MAIL + b"RCPT TO:<b@b.c>\r\nRCPT TO:<c@b.c>\r\nDATA\r\n")
    assert script.gets([OK, GONE, GONE]) == READ
    assert script.codes() == ["250 2.1.0", "550 5.1.1", "550 5.1.1", "554 5.5.1"]


# -- a next hop that takes fewer -----------------------------------------------------------------------------------

FULL = reply(452, "too many recipients", "4.5.3")


def names(judge: Wanted | None) -> tuple[list[str], list[str]]:
    """Those of whom the next hop has heard, and those beyond its limit."""
    assert isinstance(judge, Judge)
    transaction = judge.transaction
    beyond = [each.address[0] for each in transaction.rest]
    return [each.address[0] for each in transaction.recipients[: -len(beyond) or None]], beyond


def test_those_beyond_the_next_hops_limit_are_taken_by_the_gate() -> None:
    script = hello()
    script.gets(MAIL + b"RCPT TO:<b@b.c>\r\nRCPT TO:<c@b.c>\r\nRCPT TO:<d@b.c>\r\nRCPT TO:<e@b.c>\r\n")
    script.gets([OK, OK, GONE, FULL, FULL])
    assert script.codes() == ["250 2.1.0", "250 2.1.0", "550 5.1.1", "250 2.1.5", "250 2.1.5"]
    assert asks(script.gets(b"RCPT TO:<f@b.c>\r\n")) == ["f@b.c"]
    script.gets([FULL])
    assert script.codes() == ["250 2.1.5"]
    assert script.gets(b"DATA\r\n") == TakeMessage(100_000)
    assert names(script.gets(b"x\r\n")) == (["b"], ["d", "e", "f"])


def test_where_the_next_hop_takes_nobody_its_refusal_is_ours() -> None:
    script = hello()
    script.gets(MAIL + b"RCPT TO:<b@b.c>\r\nRCPT TO:<c@b.c>\r\n")
    script.gets([OK, FULL, FULL])
    assert script.codes() == ["250 2.1.0", "452 4.5.3", "452 4.5.3"]
    assert script.gets(b"DATA\r\n") == READ
    assert script.codes() == ["554 5.5.1"]


def test_our_own_limit_is_told() -> None:
    script = hello(OneListener(max_recipients=3))
    script.gets(MAIL + b"".join(b"RCPT TO:<%c@b.c>\r\n" % letter for letter in b"bcdef"))
    script.gets([OK, OK, FULL, FULL])
    assert script.codes() == ["250 2.1.0", "250 2.1.0", "250 2.1.5", "250 2.1.5", "452 4.5.3", "452 4.5.3"]


def test_on_trust_those_beyond_the_limit_are_taken_too() -> None:
    script = trusting("b@b.c", "c@b.c", "d@b.c", "e@b.c")
    assert script.gets([OK, OK, FULL, GONE, FULL]) == TakeMessage(100_000)
    assert names(script.gets(b"x\r\n")) == (["b"], ["c", "e"])


# -- a next hop that is trusted to take all --------------------------------------------------------------------------


def trusting(*recipients: str) -> Script:
    """A client whose recipients were all answered, and that has sent DATA."""
    script = hello(OneListener(trusts=True))
    assert script.gets(MAIL) == READ
    assert script.gets(b"".join(f"RCPT TO:<{each}>\r\n".encode() for each in recipients)) == READ
    script.gets(b"DATA\r\n")
    return script


def test_on_trust_all_are_asked_about_at_data_in_one_go() -> None:
    script = trusting("b@b.c", "preflight@b.c", "c@b.c")
    assert script.codes() == ["250 2.1.0", "250 2.1.5", "250 2.1.5", "250 2.1.5"]
    assert asks(script.wants) == ["b@b.c", "c@b.c"]
    assert script.gets([OK, OK, OK]) == TakeMessage(100_000)
    judge = script.gets(b"x\r\n")
    assert isinstance(judge, Judge)
    assert [each.address for each in judge.transaction.recipients] == ["b@b.c", "c@b.c", "preflight@b.c"]
    assert judge.transaction.refused == ()


def test_on_trust_the_gate_itself_refuses_whom_nobody_knows() -> None:
    script = trusting("b@b.c", "unknown@b.c")
    assert script.codes() == ["250 2.1.0", "250 2.1.5", "550 5.1.1"]
    assert asks(script.wants) == ["b@b.c"]
    script = trusting("unknown@b.c")
    assert script.codes() == ["250 2.1.0", "550 5.1.1", "554 5.5.1"]


def test_on_trust_who_is_refused_for_good_stays_behind_and_is_named() -> None:
    script = trusting("b@b.c", "c@b.c", "d@b.c")
    assert script.gets([OK, OK, GONE, OK]) == TakeMessage(100_000)
    judge = script.gets(b"x\r\n")
    assert isinstance(judge, Judge)
    assert [each.address for each in judge.transaction.recipients] == ["b@b.c", "d@b.c"]
    assert judge.transaction.refused == (Refusal(Recipient("c@b.c"), "550 5.1.1 no such user"),)


@pytest.mark.parametrize(
    ("answers", "code"),
    [
        ([GONE, OK, OK], "550 5.1.1"),
        ([OK, GONE, GONE], "550 5.1.1"),
        ([OK, OK, BUSY], "450 4.2.0"),
        ([OK, GONE, BUSY], "450 4.2.0"),
        ([BUSY, BUSY, BUSY], "450 4.2.0"),
    ],
)
def test_on_trust_what_is_refused_whole_or_for_now_is_the_reply_to_data(answers: list[Reply], code: str) -> None:
    script = trusting("b@b.c", "c@b.c")
    script.answers()
    assert script.gets(answers) == ABANDON
    assert script.gets(None) == READ
    assert script.codes() == [code]
    assert script.gets(b"DATA\r\n") == READ
    assert script.codes() == ["503 5.5.1"]


def test_on_trust_what_comes_while_the_next_hop_is_asked_is_no_message() -> None:
    script = trusting("b@b.c")
    script.answers()
    script.waiting = True
    assert script.gets([OK, OK]) is None
    assert script.codes() == ["554 5.5.1"]


# -- any cut -----------------------------------------------------------------------------------------------------

LINES = [
    MAIL,
    b"mail from:<a@doa.example.gov> BODY=8BITMIME\r\n",
    b"MAIL FROM:<>\r\n",
    b"MAIL FROM:<a@doa.example.gov> NONSENSE=1\r\n",
    b"MAIL FROM:<a b@doa.example.gov>\r\n",
    b"MAIL FROM:<stranger@example.org>\r\n",
    b"RCPT TO:<b@example.org>\r\n",
    b"Rcpt To:<c@example.org>\r\n",
    b"RCPT TO:<gone@example.org>\r\n",
    b"RCPT TO:<preflight@example.org>\r\n",
    b"RCPT TO:<b@example.org> NOTIFY=NEVER\r\n",
    b"RCPT TO:<@example.net:d@example.org>\r\n",
    b"RCPT TO:<\xff@example.org>\r\n",
    b"RCPT\r\n",
    b"RSET\r\n",
    b"RSET now\r\n",
    b"NOOP\r\n",
    b"helo again.example.gov\r\n",
    EHLO,
    b"EHLO two names\r\n",
    b"XFORWARD NAME=pc ADDR=203.0.113.9\r\n",
    b"XCLIENT LOGIN=clerk\r\n",
    b"NO\rOP\r\n",
    b"NONSENSE\r\n",
    b"NOOP " + b"x" * 600 + b"\r\n",
    b"\xff\r\n",
    b"\r\n",
]
TEXTS = [b"Subject: x\r\n\r\nHello\r\n.\r\n", b"..\r\n\r\n.\r\n", b".\r\n", b"bare\n\r\n.\r\n", b"nul \0\r\n.\r\n"]
TEXTS += [b"x\r\n..y\r\n.\r\n", b"Received: x\r\n" * 60 + b".\r\n", b"x" * 100_001 + b"\r\n.\r\n"]
Group = tuple[list[bytes], bytes]  # commands in front of DATA, and the message that comes where that is let in


@dataclass
class Held:
    """What came of one dialog."""

    replies: bytes = b""
    asked: list[Recipient] = field(default_factory=list)
    judged: list[Transaction] = field(default_factory=list)


def hold(groups: Sequence[Group], cut: Sequence[int], *, trusts: bool = False) -> Held:
    """Hold a dialog whose octets come cut at these places; each question is answered as by a next hop."""
    held, script = Held(), hello(OneListener(trusts=trusts))
    for commands, text in groups:
        follow(script, pieces(b"".join(commands) + b"DATA\r\n", cut), held)
        if isinstance(script.wants, TakeMessage):
            send_message(script, pieces(text, cut), held)
    held.replies = b"".join(script.session.replies)
    return held


def pieces(octets: bytes, cut: Sequence[int]) -> list[bytes]:
    places = sorted({min(place, len(octets)) for place in cut} | {0, len(octets)})
    return [octets[start:end] for start, end in itertools.pairwise(places)]


def follow(script: Script, blocks: Sequence[bytes], held: Held) -> None:
    """Give the session all blocks, and whatever else it wants in between."""
    waiting = list(blocks)
    while waiting and script.wants is not None:
        if isinstance(script.wants, Read):
            script.gets(waiting.pop(0))
        serve(script, held)


def serve(script: Script, held: Held) -> None:
    while not isinstance(script.wants, Read | TakeMessage | None):
        match script.wants:
            case Ask(_, _, recipients):
                held.asked += recipients
                script.gets(answers_to(script, recipients))
            case Judge(transaction):
                held.judged.append(transaction)
                script.gets(TAKEN)
            case FindOffers():
                script.gets(OFFERS)
            case Abandon():
                script.gets(None)
            case _:
                raise AssertionError(script.wants)


def answers_to(script: Script, recipients: Sequence[Recipient]) -> list[Reply]:
    mail = script.session._mail
    assert mail is not None
    return [OK] * (script.listener.trusts or not mail.is_answered) + [
        GONE if each.address.startswith("gone") else OK for each in recipients
    ]


def send_message(script: Script, blocks: Sequence[bytes], held: Held) -> None:
    assert isinstance(script.wants, TakeMessage)
    reader = ContentReader(script.wants.limit)
    assert [rest for block in blocks if (rest := reader.feed(block)) is not None] == [b""]
    script.gets(reader.fault or reader.content())
    serve(script, held)


@given(
    st.lists(st.tuples(st.lists(st.sampled_from(LINES), max_size=8), st.sampled_from(TEXTS)), min_size=1, max_size=4),
    st.lists(st.integers(0, 700), max_size=30),
    st.booleans(),
)
def test_any_cut_is_answered_the_same(groups: list[Group], cut: list[int], trusts: bool) -> None:
    whole, by_pieces = hold(groups, [], trusts=trusts), hold(groups, cut, trusts=trusts)
    assert whole.replies == by_pieces.replies
    assert whole.judged == by_pieces.judged
    assert whole.asked == by_pieces.asked


@given(st.lists(st.tuples(st.lists(st.sampled_from(LINES), max_size=8), st.sampled_from(TEXTS)), max_size=3))
def test_by_octets_is_answered_as_in_one_piece(groups: list[Group]) -> None:
    assert hold(groups, []).replies == hold(groups, range(5000)).replies


# -- the message -------------------------------------------------------------------------------------------------


def in_message(listener: OneListener | None = None) -> Script:
    script = hello(listener)
    script.gets(MAIL + b"RCPT TO:<b@b.c>\r\nDATA\r\n")
    assert script.gets([OK, OK]) == TakeMessage(100_000)
    assert script.session.in_message
    script.answers()
    return script


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        (Fault.SIZE, "552 5.3.4"),
        (Fault.DISK, "452 4.3.1"),
        (Fault.MEMORY, "451 4.3.2"),
        (b"Received: x\r\n" * 51, "554 5.4.6"),
    ],
)
def test_what_cannot_be_taken_ends_the_transaction(fault: Fault | bytes, code: str) -> None:
    script = in_message()
    assert script.gets(fault) == ABANDON
    assert script.gets(None) == READ
    assert script.codes() == [code]
    assert not script.session.in_message


def test_behind_a_message_whose_end_is_in_doubt_nothing_is_a_command() -> None:
    script = in_message()
    assert script.gets(Fault.LINE_ENDS) == ABANDON
    assert script.gets(None) is None  # the connection is over
    assert script.codes() == ["550 5.5.2"] and not script.session.in_message


@pytest.mark.parametrize(
    "line",
    [b"POST / HTTP/1.1", b"get / HTTP/1.0", b"PRI * HTTP/2.0", b"CONNECT mx:25 HTTP/1.1", b"PROPFIND / HTTP/1.1"],
)
def test_a_browser_sends_no_mail(line: bytes) -> None:
    """A page can have a browser send what it likes as the body of a request."""
    script = Script(OneListener())
    assert script.gets(line + b"\r\nHost: gate\r\n\r\n" + EHLO + MAIL) is None
    assert script.codes()[-1] == "421 4.7.0"


@pytest.mark.parametrize("line", [b"AUTH PLAIN AGEAYg==", b"expn staff", b"ETRN example.gov"])
def test_commands_that_are_not_offered(line: bytes) -> None:
    script = hello()
    assert script.gets(line + b"\r\n") == READ and script.codes() == ["502 5.5.1"]


def test_of_a_chunk_nothing_is_a_command() -> None:
    """RFC 3030 2: the chunk follows at once, whatever the reply."""
    script = hello()
    assert script.gets(b"BDAT 60 LAST\r\n" + MAIL) is None and script.codes() == ["502 5.5.1"]


@pytest.mark.parametrize("waiting", [True, False])
def test_what_comes_behind_data_is_no_message(waiting: bool) -> None:
    """RFC 2920 3.1: whether it came in the same piece, or while the next hop was asked."""
    script = hello()
    script.gets(MAIL + b"RCPT TO:<b@b.c>\r\nDATA\r\n" + b"Subject: early" * (not waiting))
    script.waiting = waiting
    assert script.gets([OK, OK]) is None
    assert script.codes() == ["250 2.1.0", "250 2.1.0", "554 5.5.1"]


# -- who speaks --------------------------------------------------------------------------------------------------


def test_xforward_is_for_one_transaction_and_xclient_for_all() -> None:
    script = hello()
    assert script.gets(b"XCLIENT ADDR=203.0.113.9 LOGIN=clerk\r\n") == READ
    script.gets(EHLO)
    script.gets(OFFERS)
    script.gets(b"XFORWARD ADDR=203.0.113.77 IDENT=4XyZ\r\n")
    seen = []
    for _ in range(2):
        script.gets(MAIL + b"RCPT TO:<b@b.c>\r\nDATA\r\n")
        script.gets([OK, OK])
        judge = script.gets(b"x\r\n")
        assert isinstance(judge, Judge)
        seen.append((judge.transaction.client.address, judge.transaction.login, judge.transaction.upstream))
        script.gets(TAKEN)
    assert seen == [("203.0.113.77", "clerk", "4XyZ@192.0.2.1"), ("203.0.113.9", "clerk", None)]


def test_tls_begins_a_session_anew() -> None:
    script = hello()
    script.gets(MAIL)
    script.gets([OK])
    assert script.gets(b"STARTTLS\r\n") == ABANDON
    assert script.gets(None) == START_TLS
    assert script.gets(()) == READ
    script.answers()
    script.gets(MAIL)
    script.gets(b"STARTTLS\r\n")
    assert script.codes() == ["503 5.5.1", "503 5.5.1"]
    assert script.gets(EHLO) == FIND_OFFERS
    script.gets(OFFERS)
    assert "STARTTLS" not in "".join(script.answers())


@pytest.mark.parametrize("waiting", [True, False])
def test_nothing_in_the_clear_is_taken_for_encrypted(waiting: bool) -> None:
    script = hello()
    script.waiting = waiting
    assert script.gets(b"STARTTLS\r\n" + MAIL * (not waiting)) is None
    assert script.codes() == ["554 5.5.1"]


# -- limits, and the end -----------------------------------------------------------------------------------------


def test_commands_are_counted_from_message_to_message() -> None:
    script = in_message(OneListener(max_commands=4))
    script.gets(b"x\r\n")
    assert script.gets(TAKEN) == READ
    assert script.gets(b"NOOP\r\n" * 5) is None
    assert script.codes() == ["250 2.0.0", *["250 2.0.0"] * 4, "421 4.7.0"]


def test_while_no_mail_can_be_taken_mail_says_so() -> None:
    script = hello(OneListener(full=reply(452, "storage is full", "4.3.1")))
    assert script.gets(MAIL) == READ
    assert script.answers() == ["452 4.3.1 storage is full"]


def test_what_is_refused_before_rules_are_asked_is_counted() -> None:
    listener = OneListener(max_recipients=1)
    script = hello(listener)
    script.gets(b"MAIL FROM:<stranger@elsewhere.example>\r\n")
    script.gets(b"MAIL FROM:<a b@doa.example.gov>\r\n")
    script.gets(b"NONSENSE\r\n")
    script.gets(
        MAIL
        + b"RCPT TO:<a@>\r\nRCPT TO:<unknown@doa.example.gov>\r\nRCPT TO:<a@x.example>\r\nRCPT TO:<b@x.example>\r\n"
    )
    assert listener.counted == [
        *[("mail", "not-allowed"), ("mail", "address"), ("command", "syntax")],
        *[("rcpt", "address"), ("rcpt", "unknown"), ("rcpt", "recipients")],
    ]
    full = OneListener(full=reply(452, "storage is full", "4.3.1"))
    hello(full).gets(MAIL)
    assert full.counted == [("mail", "storage")]
    large = OneListener()
    script = in_message(large)
    assert script.gets(Fault.SIZE) == ABANDON
    script.gets(None)
    assert large.counted == [("data", "size")]
    doubtful = OneListener()
    script = in_message(doubtful)
    assert script.gets(Fault.LINE_ENDS) == ABANDON
    script.gets(None)
    assert doubtful.counted == [("data", "syntax")]  # once, though the connection ends with it
    looping = OneListener()
    hello(looping).gets(b"GET / HTTP/1.1\r\n")
    assert looping.counted == [("command", "limit")]


def test_stopped_in_mid_message_it_ends_behind_it() -> None:
    script = in_message()
    script.session.stop()
    script.gets(b"x\r\n")
    assert script.gets(TAKEN) is None
    assert script.codes() == ["250 2.0.0", "421 4.3.2"]


def test_stopped_before_its_first_message_it_takes_one() -> None:
    script = hello()
    script.session.stop()
    assert script.session.lingering
    script.gets(MAIL + b"RCPT TO:<b@b.c>\r\nDATA\r\n")
    script.gets([OK, OK])
    script.gets(b"x\r\n")
    assert script.gets(TAKEN) is None
    assert script.codes()[-2:] == ["250 2.0.0", "421 4.3.2"]


def test_stopped_between_messages_it_is_over() -> None:
    script = in_message()
    script.gets(b"x\r\n")
    script.gets(TAKEN)
    script.session.stop()
    assert script.session.stopping


# -- peers --------------------------------------------------------------------------------------------------------


def test_who_does_not_show_what_a_peer_must_show_is_refused_at_mail() -> None:
    listener = OneListener(named="mail.example.gov")
    script = hello(listener)
    assert script.gets(MAIL + b"RCPT TO:<b@b.c>\r\n") == READ
    assert script.codes() == ["530 5.7.0", "503 5.5.1"]
    script.gets(b"STARTTLS\r\n")
    assert script.gets(("other.example.gov",)) == READ
    script.gets(EHLO)
    script.gets(OFFERS)
    script.answers()
    script.gets(MAIL)
    assert script.codes() == ["530 5.7.0"]
    assert listener.counted == [("mail", "tls"), ("mail", "tls")]


def test_the_certificate_that_a_client_shows_is_known_to_the_end_of_the_connection() -> None:
    script = hello(OneListener(named="mail.example.gov"))
    script.gets(b"STARTTLS\r\n")
    script.gets(("a.example.gov", "mail.example.gov"))
    script.gets(EHLO)
    script.gets(OFFERS)
    for _ in range(2):
        script.gets(MAIL + b"RCPT TO:<b@b.c>\r\nDATA\r\n")
        script.gets([OK, OK])
        judge = script.gets(b"x\r\n")
        assert isinstance(judge, Judge) and judge.transaction.peer == "tenant"
        script.gets(TAKEN)


def test_a_message_that_is_not_the_peers_is_abandoned_and_the_connection_goes_on() -> None:
    listener = OneListener()
    script = hello(listener)
    script.gets(MAIL + b"RCPT TO:<b@b.c>\r\nDATA\r\n")
    script.gets([OK, OK])
    script.answers()
    assert script.gets(b"X-Other: 1\r\n\r\nx\r\n") == ABANDON
    assert script.gets(None) == READ
    assert script.answers() == ["550 5.7.1 Not taken: client.example.gov is another."]
    assert listener.counted == [("data", "peer")]
    assert isinstance(script.gets(MAIL), Ask)
