"""What most clients say most of the time, done as it comes in: one MAIL, one RCPT, DATA, and the message.

`verbs.py` has the dialog, in a task that is woken for each line; this does the same things without waking it, where
they can be done at once: the line is one of these and all that there is, the next hop has a connection in hand, and its
reply is passed on by whoever reads it. Everything else, and all that goes wrong, is left to the task: what was begun
here is finished there (`unfinished`). tests/listeners/test_at_once.py holds the same dialogs both ways.
"""

from __future__ import annotations

import asyncio
import math
from typing import cast

from gatekeeper.listeners.connection import GOING_DOWN
from gatekeeper.listeners.exchange import Exchange
from gatekeeper.listeners.house import House
from gatekeeper.listeners.intake import Intake
from gatekeeper.listeners.verbs import GO_AHEAD, SmtpConnection
from gatekeeper.model import Recipient
from gatekeeper.wire.commands import is_data, lone_mail, lone_recipient
from gatekeeper.wire.parameters import ArgumentError, MailArgument, parse_mail
from gatekeeper.wire.replies import Reply


class QuickConnection(SmtpConnection):
    """A connection that waits for nothing that it need not wait for."""

    def __init__(self, house: House) -> None:
        super().__init__(house)
        self._intake: Intake | None = None  # the message that comes in, block by block
        self._taken: Intake | None = None  # the message that has come in, for the task to finish

    def data_received(self, data: bytes) -> None:
        if self._intake is not None:
            self._take_block(self._intake, data)
        elif not (self._at_rest and self._at_once(data)):
            self.inbox.feed(data)

    @property
    def _at_rest(self) -> bool:
        """True where the task waits for a command, nothing else is under way, and the client reads its replies."""
        if not self.inbox.awaited or self.in_data or self.closing or self.winding_up or self.commands.pending:
            return False
        return not cast(asyncio.WriteTransport, self.transport).get_write_buffer_size()

    def _at_once(self, data: bytes) -> bool:
        exchange = self._exchange
        if exchange is None:
            return self._mail_at_once(data)
        address = lone_recipient(data)
        if address is not None:
            return self._recipient_at_once(exchange, Recipient(address), data)
        return is_data(data) and self._data_at_once(exchange)

    # -- MAIL and RCPT: the next hop is asked, and its reply passed on as it comes --

    def _mail_at_once(self, data: bytes) -> bool:
        mail = self._plain_mail(data)
        if mail is None:
            return False
        client = self._speaker.client()
        relayed = self._house.next_hop.resume(mail.address, mail.parameters, client, self._mail_heard)
        if relayed is None:
            return False
        self._exchange = Exchange(mail, relayed)
        self._idle_commands += 1
        self._wait()
        return True

    def _plain_mail(self, data: bytes) -> MailArgument | None:
        """MAIL read, where there is nothing to be said against it."""
        argument = lone_mail(data)
        if argument is None or self._mail_refusal() or self._idle_commands >= self._settings.max_commands:
            return None
        try:
            mail = parse_mail(argument.decode("utf-8").strip(" "), self._offered, self._size_limit)
        except (ArgumentError, UnicodeDecodeError):
            return None
        return mail if not mail.address or self._house.sender_allowed(mail.address) else None

    def _mail_heard(self, answer: Reply | None) -> None:
        exchange = self._exchange
        if exchange is None:
            return  # the client has left
        if answer is None:
            self._leave_to_the_task()
            return
        exchange.opened = answer
        if not answer.ok:
            self._exchange, self._speaker.forwarded = None, {}
            self._house.track(exchange.abandon())
        self._pass_on(answer)

    def _recipient_at_once(self, exchange: Exchange, recipient: Recipient, command: bytes) -> bool:
        if len(exchange.accepted) >= self._settings.max_recipients or self._house.is_ours(recipient.address):
            return False

        def heard(answer: Reply | None) -> None:
            if self._exchange is not exchange:
                return  # the client has left
            if answer is None:
                self._asked.append(recipient)
                self._leave_to_the_task()
            else:
                exchange.note(recipient, answer)
                self._pass_on(answer)

        if not exchange.ask_at_once(recipient, command, heard):
            return False
        self._wait()
        return True

    def _wait(self) -> None:
        """Until the next hop has answered: what the client says meanwhile waits, and time is not the client's."""
        self.inbox.hold()
        self._deadline = math.inf

    def _pass_on(self, answer: Reply) -> None:
        self.answer(answer)
        self.write_replies()
        self._reset_timeout()
        self.inbox.release()
        if self.winding_up:
            self.dismiss(GOING_DOWN)

    def _leave_to_the_task(self) -> None:
        self.unfinished = True
        self.inbox.release(wake=True)

    # -- the message --

    def _data_at_once(self, exchange: Exchange) -> bool:
        if not exchange.accepted or self._idle_commands >= self._settings.max_commands:
            return False
        self._idle_commands += 1
        self.in_data = True
        self._intake = Intake(self, self._settings, self._size_limit)
        self.answer(GO_AHEAD)
        self.write_replies()
        self._reset_timeout(self._settings.data_timeout)
        return True

    def _take_block(self, intake: Intake, data: bytes) -> None:
        rest = intake.feed(data)
        if rest is None:
            self._reset_timeout(self._settings.data_timeout)
            if intake.too_slow():
                self._intake = None
            return
        self._intake, self._taken = None, intake
        self._deadline = math.inf
        if rest:
            self.inbox.feed(rest)
        self._leave_to_the_task()

    # -- what is left to the task --

    async def run_pass(self) -> None:
        if self.unfinished:
            self.unfinished = False
            await self._go_on()
        await super().run_pass()

    async def _go_on(self) -> None:
        intake, self._taken = self._taken, None
        if intake is not None and self._exchange is not None:
            self.answer(await self._finish(self._exchange, await intake.content()))
            self.in_data = False
        elif self._exchange is not None and self._exchange.opened is None:
            await self._open(self._exchange)
