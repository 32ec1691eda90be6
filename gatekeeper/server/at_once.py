"""What most clients say most of the time, done as it comes in: from the greeting to the reply to the dot, and QUIT.

`verbs.py` has the dialog, in a task that is woken for each line; this does the same things without a task, where they
can be done at once: the line is one of these and all that there is, the next hop has a connection in hand, and its
reply is passed on by whoever reads it. Everything else, and all that goes wrong, is left to a task that ends when there
is nothing left to do; what was begun here is finished there. tests/server/test_at_once.py holds the same dialogs
both ways.

What comes in goes to `_take`, which says what is under way:

- `_at_rest`: nothing; the client is to speak next;
- `_take_message_or_block`, then `_take_block`: its message;
- `receive_buffer.feed`: the next hop, the pipeline or the task is at work, and what the client says meanwhile waits.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import ClassVar

from gatekeeper.model import Recipient
from gatekeeper.server.data_intake import Intake
from gatekeeper.server.exchange import Exchange
from gatekeeper.server.ports import OnReplies
from gatekeeper.server.smtp_connection import EARLY, FAULT, GOING_DOWN, log
from gatekeeper.server.smtp_server import SmtpServer
from gatekeeper.server.verbs import (
    BAD_CONTENT,
    BYE,
    GO_AHEAD,
    NO_REPLY_YET,
    PAST_DATA,
    SAY_MAIL,
    VerbConnection,
    data_refusal,
    helo_reply,
)
from gatekeeper.smtp.commands import lone_group, lone_hello, lone_mail, lone_recipient, lone_sender
from gatekeeper.smtp.data import Fault, whole_content
from gatekeeper.smtp.parameters import ArgumentError, MailArgument, parse_mail
from gatekeeper.smtp.replies import Reply

_NOBODY = Recipient("")
_TURNS = 2  # of the loop, in which what a client sends without waiting for the greeting is read
_GROUP_OCTETS = 16_384  # beyond it recipients are asked about in parts, by the task
_DATA, _QUIT = b"DATA\r\n", b"QUIT\r\n"


class QuickConnection(VerbConnection):
    """A connection that answers at once wherever nothing must be waited for."""

    def __init__(self, server: SmtpServer) -> None:
        super().__init__(server)
        self._take: Callable[[bytes], None] = self.receive_buffer.feed
        self._half_a_command = False  # has come, and waits for its end
        self._recipient = _NOBODY  # whom the next hop is asked about
        self._recipients: list[Recipient] = []  # or all of them
        self._began = 0.0  # when it was told to go ahead with it
        self._work: asyncio.Task[Reply] | None = None  # the message that is judged
        self._latest: asyncio.TimerHandle | None = None  # when its client is to be told that there is no reply yet

    def data_received(self, data: bytes) -> None:
        self._take(data)

    def eof_received(self) -> bool:
        half_open = super().eof_received()
        if self._take != self.receive_buffer.feed:
            self.leave()  # else what is under way is answered first
        return half_open

    # -- the greeting --------------------------------------------------------------------------------------------

    def begin(self) -> None:
        self.loop.call_soon(self._welcome, self.refusal(), _TURNS)

    def _welcome(self, refused: Reply | None, turns: int) -> None:
        if self.closing:
            return  # it has left already, or the service has ended
        if turns:
            self.loop.call_soon(self._welcome, refused, turns - 1)
            return
        if not refused and self.receive_buffer.waiting:
            refused = EARLY
        if refused:
            log.info("connection refused client=%s reply=%s", self.peer, refused)
            self.close_with(refused)
        else:
            self.write(self.greeting.encode())
            self._rest()

    # -- one command ---------------------------------------------------------------------------------------------

    def _rest(self) -> None:
        """Go on with octets that have come meanwhile, or wait for the client."""
        if self.shutting_down and not self.closing:
            self.close_with(GOING_DOWN)
        if self.closing:
            return
        self._reset_timeout()
        self._take = self._at_rest
        if self.receive_buffer.waiting:
            self._at_rest(self.receive_buffer.take_now())
        elif self.receive_buffer.eof:
            self.leave()

    def _at_rest(self, data: bytes) -> None:
        if self.write_paused or self._half_a_command or not self._at_once(data):
            self.receive_buffer.feed(data)
            self._leave_to_the_task()

    def _at_once(self, data: bytes) -> bool:
        exchange = self._exchange
        if exchange is None:
            do = self._alone.get(data[:1])
            return do is not None and do(self, data)
        address = lone_recipient(data)
        if address is not None:
            return self._recipient_at_once(exchange, Recipient(address), data)
        return len(data) == len(_DATA) and data.upper() == _DATA and self._data_at_once(exchange)

    def _say(self, answer: Reply) -> None:
        self.write(answer.encode())
        self._rest()

    def _hello_at_once(self, data: bytes) -> bool:
        hello = lone_hello(data)
        if hello is None or self._idle_commands >= self._settings.max_commands:
            return False
        offered = self._server.offers_at_once() if hello[1] else {}
        if offered is None:
            return False
        self._idle_commands += 1
        speaker = self._speaker
        (speaker.helo, speaker.extended), speaker.forwarded = hello, {}
        self._offer(offered)
        self._say(self._hello_reply() if speaker.extended else helo_reply(self.hostname))
        return True

    def _goodbye(self, data: bytes) -> bool:
        if len(data) != len(_QUIT) or data.upper() != _QUIT:
            return False
        self.write(BYE.encode())
        self.leave()
        return True

    # -- MAIL and RCPT: the next hop is asked, and its reply passed on as it comes -------------------------------

    def _mail_at_once(self, data: bytes) -> bool:
        mail = self._plain_mail(data)
        if mail is not None:
            return self._begin_at_once(mail, [], self._mail_heard)
        group = lone_group(data) if len(data) <= _GROUP_OCTETS else None
        mail = self._plain_mail(group[0]) if group else None
        if group is None or mail is None or len(group[1]) > self._settings.max_recipients:
            return False
        if self._server.owns_any(group[1]):
            return False
        self._recipients = list(map(Recipient, group[1]))
        return self._begin_at_once(mail, self._recipients, self._group_heard)

    def _begin_at_once(self, mail: MailArgument, recipients: list[Recipient], heard: OnReplies) -> bool:
        counted = 2 if recipients else 1  # DATA is one, too
        if self._mail_refusal() or self._idle_commands + counted > self._settings.max_commands:
            return False
        if mail.address and not self._server.sender_allowed(mail.address):
            return False
        client = self._speaker.client()
        relayed = self._server.next_hop.resume(mail.address, mail.parameters, client, recipients, heard)
        if relayed is None:
            return False
        self._idle_commands += counted
        self._exchange = Exchange(mail, relayed)
        self._wait()
        return True

    def _plain_mail(self, data: bytes) -> MailArgument | None:
        """Return a MAIL command's argument where the command is a plain one."""
        address = lone_sender(data)
        if address is not None:
            return MailArgument(address)
        argument = lone_mail(data)
        if argument is None:
            return None
        try:
            return parse_mail(argument.decode("utf-8").strip(" "), self._offered, self._size_limit)
        except (ArgumentError, UnicodeDecodeError):
            return None

    def _mail_heard(self, answers: Sequence[Reply] | None) -> None:
        if self._exchange is None:
            return  # the client has left
        if answers is None:
            self._leave_to_the_task()
            return
        self._opened(self._exchange, answers[0])
        self._say(answers[0])

    def _opened(self, exchange: Exchange, answer: Reply) -> None:
        exchange.opened = answer
        if not answer.ok:
            self._exchange, self._speaker.forwarded = None, {}
            self._server.track(exchange.abandon())

    def _group_heard(self, answers: Sequence[Reply] | None) -> None:
        """Go on after the answers to MAIL and all RCPT; DATA is next."""
        exchange = self._exchange
        if exchange is None:
            return  # the client has left
        if answers is None:
            self._asked += self._recipients
            self.commands.feed(_DATA)
            self._idle_commands -= 1  # as it is counted there
            self._leave_to_the_task()
            return
        self._opened(exchange, answers[0])
        self.answer(answers[0])
        if self._exchange is None:
            self.answer_all([answers[0] if answers[0].transient else SAY_MAIL] * len(self._recipients))
            self.answer(SAY_MAIL)  # to DATA, as there was no MAIL
        else:
            exchange.note_all(self._recipients, answers[1:])
            self.answer_all(answers[1:])
            if self.receive_buffer.waiting:
                self.close_with(PAST_DATA)  # RFC 2920 3.1: DATA is the last of a group
            elif exchange.accepted and not self.shutting_down:
                self._take_message()
                return
            else:
                self.answer(data_refusal(exchange))
        self.write_replies()
        self._rest()

    def _recipient_at_once(self, exchange: Exchange, recipient: Recipient, command: bytes) -> bool:
        if len(exchange.accepted) >= self._settings.max_recipients or self._server.is_ours(recipient.address):
            return False
        self._recipient = recipient
        if not exchange.ask_at_once(recipient, command, self._recipient_heard):
            return False
        self._wait()
        return True

    def _recipient_heard(self, answer: Reply | None) -> None:
        exchange = self._exchange
        if exchange is None:
            return  # the client has left
        if answer is None:
            self._asked.append(self._recipient)
            self._leave_to_the_task()
        else:
            exchange.note(self._recipient, answer)
            self._say(answer)

    def _wait(self) -> None:
        """Wait for the next hop: the client's octets are kept, and its deadline stands still."""
        self._take = self.receive_buffer.feed
        self._deadline = math.inf

    # -- the message ---------------------------------------------------------------------------------------------

    def _data_at_once(self, exchange: Exchange) -> bool:
        if not exchange.accepted or self._idle_commands >= self._settings.max_commands:
            return False
        self._idle_commands += 1
        self._take_message()
        return True

    def _take_message(self) -> None:
        self.in_data = True
        self.answer(GO_AHEAD)
        self.write_replies()
        self._reset_timeout(self._settings.data_timeout)
        self._began = self.now()
        self._take = self._take_message_or_block

    async def _take_in(self, exchange: Exchange) -> None:
        """As the task's, which is told of the message's end rather than of each block."""
        self._take_message()

    def _take_message_or_block(self, data: bytes) -> None:
        content = whole_content(data, self._size_limit)
        if content is not None:
            self._wait()
            self._judge_or_refuse(content)
            return
        self._intake = self._new_intake(self._began)
        self._take = self._take_block
        self._take_block(data)

    def _take_block(self, data: bytes) -> None:
        assert self._intake is not None
        intake = self._intake
        rest = intake.feed(data)
        if rest is None:
            self._reset_timeout(self._settings.data_timeout)
            intake.too_slow()
            return
        self._wait()
        if rest:
            self.receive_buffer.feed(rest)
        if intake.is_small:
            self._intake = None  # it takes up no room
            self._judge_or_refuse(intake.take())
        else:
            self.run(partial(self._put_together, intake))

    async def _put_together(self, intake: Intake) -> None:
        dot = self.now()
        refused = self._judge(await intake.content(self._server.answer_within), dot)
        if refused:
            await self._refuse(refused)

    def _judge_or_refuse(self, content: bytes | Fault) -> None:
        refused = self._judge(content)
        if refused:
            self.run(partial(self._refuse, refused))

    def _judge(self, content: bytes | Fault, dot: float | None = None) -> Reply | None:
        """Have the message judged, in a task that outlives the client; or why it is refused.

        Args: `dot` is when it had come, where that is not now.
        """
        exchange = self._exchange
        if exchange is None or self.closing:
            return None  # the client has left, or was sent away
        self._note_message()
        refused = self._content_refusal(content)
        if refused or isinstance(content, Fault):
            return refused or BAD_CONTENT
        self._work = work = self._begin_judging(exchange, content)
        work.add_done_callback(self._judged)
        if self._server.answer_within is not None:
            end = (self.now() if dot is None else dot) + self._server.answer_within
            self._latest = self.loop.call_at(end, self._no_reply_yet, work)
        return None

    async def _refuse(self, refused: Reply) -> None:
        await self._abandon()
        self.in_data = False
        self.answer(refused)

    def _judged(self, work: asyncio.Task[Reply]) -> None:
        error = None if work.cancelled() else work.exception()
        if error is not None:
            log.error("fault in a connection client=%s", self.peer, exc_info=error)
        if self._work is not work:
            return  # the client was told that there is no reply yet
        self._work = None
        if self._latest:
            self._latest.cancel()  # else it keeps us for as long as it would have waited
        if error is not None or work.cancelled():
            self.close_with(FAULT)
        else:
            self._answer_message(work.result())

    def _no_reply_yet(self, work: asyncio.Task[Reply]) -> None:
        if self._work is not work:
            return
        self._work = None
        log.warning("no reply in time, the outcome is unknown client=%s", self.peer)
        self._answer_message(NO_REPLY_YET)

    def _answer_message(self, answer: Reply) -> None:
        if answer.ok:
            self._idle_commands = 0
        self.in_data = False
        self._say(answer)

    # -- what is left to the task --------------------------------------------------------------------------------

    def _leave_to_the_task(self) -> None:
        self._wait()
        self.run(self._go_on)

    async def _go_on(self) -> None:
        """Finish what was begun at once, then run all commands that have come in."""
        if self._exchange is not None and self._exchange.opened is None and not self._asked:  # with which it is asked
            await self._open(self._exchange)
        await self.run_pass()
        while not self.in_data:  # whose content comes without the task, and may be judged before a wait here is over
            await self.flush()
            if not self.receive_buffer.waiting or self.closing or self.shutting_down:
                return
            self._deadline = math.inf
            self.commands.feed(self.receive_buffer.take_now())
            await self.run_pass()

    def _ran(self, task: asyncio.Task[None]) -> None:
        self._handler_coroutine, self._half_a_command = None, self.commands.pending
        if self.closing or task.cancelled():
            self.leave()
        elif not self.in_data:
            self._rest()
        elif self._work is None:
            self._reset_timeout(self._settings.data_timeout)

    def leave(self) -> None:
        super().leave()
        self._take = _nothing  # rather than a method of its own, which would leave a ring to the garbage collector

    _alone: ClassVar[Mapping[bytes, Callable[[QuickConnection, bytes], bool]]] = {
        b"M": _mail_at_once,
        b"m": _mail_at_once,
        b"E": _hello_at_once,
        b"e": _hello_at_once,
        b"H": _hello_at_once,
        b"h": _hello_at_once,
        b"Q": _goodbye,
        b"q": _goodbye,
    }  # what a client says where no transaction is under way, by how it begins


def _nothing(data: bytes) -> None:
    """Ignore octets that come after the end."""
