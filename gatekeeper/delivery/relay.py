"""One transaction with the next hop, as the proxy sees it: MAIL, batches of RCPT, and after the verdict the message.

What happens when a connection is lost (docs/flow.md):

- before the dot, all commands are sent again on another connection. Its answers must be those that our client has been
  given already; where they are not, the answer is 451 4.4.1.
- after the dot it is unknown whether the message was accepted: 451 4.4.2, and we do not try again.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence

from gatekeeper.delivery.errors import NextHopError
from gatekeeper.delivery.hosts import Hosts
from gatekeeper.delivery.smtp_client import SmtpClient, wire_line
from gatekeeper.delivery.transaction import OnReplies
from gatekeeper.model import Client, Recipient
from gatekeeper.smtp import policy_replies
from gatekeeper.smtp.envelope import (
    MISSING_EXTENSION,
    content_refusal,
    identity_command,
    mail_command,
    plain_rcpt_commands,
    rcpt_command,
)
from gatekeeper.smtp.replies import Reply, reply
from gatekeeper.smtp.session_replies import TOO_MANY_RECIPIENTS

log = logging.getLogger("gatekeeper.delivery")

_MOST_LOST = 4  # connections that a transaction may lose before it fails: an idle one, then fresh ones
_AT_A_TIME = 500  # recipients: Postfix hangs up on clients that go a thousand beyond its limit
_RCPT = "RCPT"
_TOO_MANY = ("4.5.3", "5.5.3")  # recipients (RFC 3463 3.6, RFC 5321 4.5.3.1.10): later ones are not sent at all
_NO_RECIPIENTS = reply(554, "No valid recipients", "5.5.1")
_Conversation = Callable[[SmtpClient], Awaitable[list[Reply]]]
_RcptCommand = Callable[[Recipient, Mapping[str, str]], str | Reply]


class SmtpTransaction:
    """A RelayTransaction over SMTP. Nothing is sent before the first `ask`.

    Args: `offered` is True where our client was offered all the extensions that it uses.
    """

    def __init__(
        self, hosts: Hosts, sender: str, parameters: Sequence[str], client: Client | None, *, offered: bool = False
    ) -> None:
        self._offered = offered
        self._limit = hosts.most_recipients  # that the next hop is asked to take
        self._hosts, self._sender, self._parameters, self._client = hosts, sender, tuple(parameters), client
        self._connection: SmtpClient | None = None
        self._lost = 0
        self._mail: Reply | None = None  # the reply to MAIL, as our client was given it
        self._asked: list[Recipient] = []
        self._answers: list[Reply] = []  # as our client was given them, one for each of `_asked`
        self._enough: Reply | None = None  # the answer to recipients beyond the next hop's limit
        self._over: Reply | None = None  # the answer to every further step
        self._asking: tuple[Sequence[Recipient], OnReplies] = ((), lambda said: None)  # of the `ask` under way
        self._task: asyncio.Task[None] | None = None  # of an `ask` that has to wait
        self.outcome_unknown = False

    def ask(self, recipients: Sequence[Recipient], then: OnReplies) -> None:
        if not self._ask_at_once(recipients, then):
            self._ask_in_task(recipients, then)

    async def data(self, content: bytes | Sequence[bytes]) -> Reply:
        if self._over is None and not any(answer.ok for answer in self._answers):
            return await self._end(_NO_RECIPIENTS)
        chunks = [content] if isinstance(content, bytes) else content
        while self._over is None:
            final = await self._try_data(chunks)
            if final is not None:
                return await self._end(final)
            await self._speak([])  # a fresh connection, on which all is said again
        return await self._end(self._over)

    async def abandon(self) -> None:
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait([task])
        await self._end(_NO_RECIPIENTS)

    # -- asking without waiting: in one write on the connection at hand ------------------------------------------

    def _ask_at_once(self, recipients: Sequence[Recipient], then: OnReplies) -> bool:
        """Send MAIL, where it was not sent yet, and RCPT; return False where nothing could be sent without waiting."""
        if self._over or self._enough or len(recipients) > self._at_a_time():
            return False
        if self._mail is None:
            return not self._lost and self._open_at_once(recipients, then)
        connection = self._connection
        if connection is None or not connection.usable or not self._mail.ok:
            return False
        octets = self._rcpt_octets(connection, recipients, is_first=False)
        if octets is None:
            return False
        self._asking = (recipients, then)
        connection.say(octets, [_RCPT] * len(recipients), self._heard)
        return True

    def _open_at_once(self, recipients: Sequence[Recipient], then: OnReplies) -> bool:
        connection = self._hosts.kept(self._client)
        if connection is None:
            return False
        mail = mail_command(self._sender, self._parameters, connection.offers)
        octets = self._rcpt_octets(connection, recipients, is_first=True)
        if isinstance(mail, Reply) or octets is None or self._identity(connection):
            self._hosts.give_back(connection)
            return False
        self._connection = connection
        self._asking = (recipients, then)
        connection.say(wire_line(mail) + octets, [mail, *([_RCPT] * len(recipients))], self._heard)
        return True

    def _rcpt_octets(self, connection: SmtpClient, recipients: Sequence[Recipient], *, is_first: bool) -> bytes | None:
        """Return the RCPT commands as octets; None where they need several writes, or one is refused by us."""
        if len(recipients) > (0 if is_first else 1) and not connection.pipelines:
            return None
        plain = plain_rcpt_commands(recipients)
        if plain is not None:
            return plain
        commands = [rcpt_command(each, connection.offers) for each in recipients]
        lines = _lines(commands)
        return b"".join(map(wire_line, lines)) if len(lines) == len(commands) else None

    def _heard(self, said: list[Reply] | NextHopError) -> None:
        recipients, then = self._asking
        if self._over is not None:
            return  # abandoned meanwhile
        if isinstance(said, NextHopError):
            self._drop(said)
            self._ask_in_task(recipients, then)
            return
        answers = said
        if self._mail is None:
            self._mail, *answers = said
        if self._mail.ok and answers:
            self._note(recipients, answers)
        then(said)

    def _note(self, recipients: Sequence[Recipient], answers: Sequence[Reply]) -> None:
        self._asked += recipients
        self._answers += answers
        last = answers[-1]
        if not last.ok and last.enhanced in _TOO_MANY:
            self._enough = last
        elif self._at_a_time() == 0:
            self._enough = TOO_MANY_RECIPIENTS

    def _at_a_time(self) -> int:
        """Return how many recipients the next hop may be asked about in one write."""
        if self._limit is None:
            return _AT_A_TIME
        return min(_AT_A_TIME, self._limit - sum(answer.ok for answer in self._answers))

    # -- asking in a task: on other connections, and in parts ----------------------------------------------------

    def _ask_in_task(self, recipients: Sequence[Recipient], then: OnReplies) -> None:
        self._task = asyncio.get_running_loop().create_task(self._ask_and_tell(recipients, then))

    async def _ask_and_tell(self, recipients: Sequence[Recipient], then: OnReplies) -> None:
        is_first = self._mail is None
        try:
            answers = await self._ask_in_parts(recipients)
            opened = self._over or self._mail or policy_replies.next_hop_down()
        except Exception:  # a fault of ours must not leave the client without a reply
            log.exception("fault in a transaction with the next hop")
            self._over = opened = policy_replies.next_hop_down()
            answers = [opened] * len(recipients)
        self._task = None
        then([opened, *answers] if is_first else answers)

    async def _ask_in_parts(self, recipients: Sequence[Recipient]) -> list[Reply]:
        if not recipients:
            return await self._speak([])
        answers: list[Reply] = []
        while len(answers) < len(recipients) and self._enough is None:
            part = recipients[len(answers) : len(answers) + self._at_a_time()]
            said = await self._speak(part)
            self._note(part, said)
            answers += said
        rest = [self._enough] if self._enough else []
        return answers + rest * (len(recipients) - len(answers))

    # -- MAIL and RCPT -------------------------------------------------------------------------------------------

    async def _speak(self, batch: Sequence[Recipient]) -> list[Reply]:
        """Send MAIL, all earlier recipients and this batch, as far as the connection has not had them; return the
        replies to the batch.
        """
        if self._over is None and self._mail is not None and not self._mail.ok:
            return [self._mail] * len(batch)
        if self._over is None and self._connection is not None:
            replies = await self._try(self._connection, lambda connection: self._say_more(connection, batch))
            if replies is not None:
                return replies
        return await self._speak_to_another(batch)

    async def _speak_to_another(self, batch: Sequence[Recipient]) -> list[Reply]:
        """Do the same on the first other connection that holds; where none does, the transaction is over."""
        while self._over is None:
            lost = self._lost
            async for connection in self._others():
                replies = await self._try(connection, lambda connection: self._say_all(connection, batch))
                if replies is not None:
                    return replies
                if self._over is not None:
                    break
            if self._lost == lost:  # none was to be had
                self._over = self._over or policy_replies.next_hop_down()
        return [self._over] * len(batch)

    async def _others(self) -> AsyncIterator[SmtpClient]:
        """Yield an idle connection at first, then fresh ones; none where the DNS names no host."""
        try:
            async for connection in self._hosts.connections(self._client, kept=not self._lost):
                yield connection
        except NextHopError:
            return  # was logged where it was raised

    async def _try(self, connection: SmtpClient, say: _Conversation) -> list[Reply] | None:
        """Use the connection and keep it; return None where it was lost."""
        self._connection = connection
        try:
            return await say(connection)
        except NextHopError as error:
            self._drop(error)
            return None
        except BaseException:  # cancelled: nobody will read the replies that are still to come
            connection.abort()
            raise

    def _drop(self, error: NextHopError) -> None:
        """Give the connection up. Where a fresh one timed out, no further one is tried."""
        connection, self._connection = self._connection, None
        if connection is None:
            return
        connection.abort()
        self._lost += 1
        self._hosts.failed(error, connection.host)
        if self._lost >= _MOST_LOST or (error.kind == "timeout" and not connection.used):
            self._over = policy_replies.next_hop_down()

    async def _say_all(self, connection: SmtpClient, batch: Sequence[Recipient]) -> list[Reply]:
        mail = mail_command(self._sender, self._parameters, connection.offers)
        if isinstance(mail, Reply):
            return self._mail_refused(self._for_now(mail), batch)
        opening = [*self._identity(connection), mail]
        answer, answers = await _open_transaction(connection, opening, [*self._asked, *batch], self._rcpt_command)
        return self._compared(answer, answers) if answer.ok else self._mail_refused(answer, batch)

    def _identity(self, connection: SmtpClient) -> list[str]:
        """Return the XFORWARD command where it is offered: it is for the next hop's log, and lasts for one
        transaction.
        """
        if self._client is None or connection.client is not None or "XFORWARD" not in connection.offers:
            return []
        line = identity_command("XFORWARD", self._client, connection.offers["XFORWARD"])
        return [line] if line else []

    async def _say_more(self, connection: SmtpClient, batch: Sequence[Recipient]) -> list[Reply]:
        plain = plain_rcpt_commands(batch) if connection.pipelines else None
        if plain is not None:
            return await connection.batch(plain, [_RCPT] * len(batch))
        commands = [self._rcpt_command(each, connection.offers) for each in batch]
        return _merged(commands, await connection.commands(_lines(commands)))

    def _rcpt_command(self, recipient: Recipient, offers: Mapping[str, str]) -> str | Reply:
        command = rcpt_command(recipient, offers)
        return self._for_now(command) if isinstance(command, Reply) else command

    def _for_now(self, refusal: Reply) -> Reply:
        """Return our refusal for a missing extension; 451 instead where that is not final.

        Our client was offered the extension, before any host was reached or by other hosts: it should try again with
        what is offered then. A stored message waits for a host that offered it once, or was not reached yet.
        """
        needed = MISSING_EXTENSION.get(refusal)
        if needed is None or not (self._offered or self._hosts.may_offer(needed)):
            return refusal
        self._hosts.forget_offers()
        return policy_replies.next_hop_cannot()

    def _mail_refused(self, refusal: Reply, batch: Sequence[Recipient]) -> list[Reply]:
        if self._mail is not None and _classes([self._mail]) != _classes([refusal]):
            self._answers_differ()
            return [policy_replies.next_hop_down()] * len(batch)
        self._mail = self._mail or refusal
        return [self._mail] * len(batch)

    def _compared(self, mail: Reply, answers: list[Reply]) -> list[Reply]:
        """Return the answers to the new recipients; those to repeated commands must be the same as before."""
        again, new = answers[: len(self._asked)], answers[len(self._asked) :]
        if self._mail is not None and _classes([mail, *again]) != _classes([self._mail, *self._answers]):
            self._answers_differ()
            return [policy_replies.next_hop_down()] * len(new)
        self._mail = self._mail or mail
        return new

    def _answers_differ(self) -> None:
        self._hosts.failed(NextHopError("replay", "asked again after a loss, the next hop answers otherwise"))
        self._over = policy_replies.next_hop_down()

    # -- DATA ----------------------------------------------------------------------------------------------------

    async def _try_data(self, chunks: Sequence[bytes]) -> Reply | None:
        """Return the final reply, or None where the connection was lost before the dot."""
        connection = self._connection
        if connection is None:
            return None
        refusal = content_refusal(self._parameters, chunks, connection.offers)
        if refusal is not None:
            return self._for_now(refusal)
        try:
            answer = await connection.message(chunks)
            return Reply(451, answer.lines) if answer.code == 421 else answer  # 421 would say that we close
        except NextHopError as error:
            return self._lost_in_data(connection, error)
        except BaseException:
            connection.abort()
            raise

    def _lost_in_data(self, connection: SmtpClient, error: NextHopError) -> Reply | None:
        if not connection.dot_sent:
            self._drop(error)
            return None
        connection.abort()
        unknown = NextHopError("unknown", f"outcome unknown: {error} after the message's end")
        self._hosts.failed(unknown, connection.host)
        self.outcome_unknown = True
        return policy_replies.outcome_unknown()

    async def _end(self, final: Reply) -> Reply:
        """Give the connection back, or drop it; every further step is answered with the final reply."""
        connection, self._connection = self._connection, None
        self._over = self._over or final
        if connection is None:
            return final
        if not connection.dot_sent and connection.usable:
            await self._reset(connection)
        connection.dot_sent = False
        self._hosts.give_back(connection)
        return final

    async def _reset(self, connection: SmtpClient) -> None:
        try:
            await connection.reset()
        except NextHopError as error:
            self._hosts.failed(error, connection.host)
            connection.abort()


def _classes(answers: Sequence[Reply]) -> list[int]:
    """Return the classes of replies, as our client tells them apart: accepted, refused for now, refused (RFC 5321
    4.2.1).
    """
    return [answer.code // 100 for answer in answers]


async def _open_transaction(
    connection: SmtpClient, opening: list[str], recipients: Sequence[Recipient], command: _RcptCommand
) -> tuple[Reply, list[Reply]]:
    """Return the reply to MAIL, the last command of the opening, and those to RCPT; one write where PIPELINING is
    offered.
    """
    plain = plain_rcpt_commands(recipients) if connection.pipelines else None
    if plain is not None:
        octets = b"".join(map(wire_line, opening)) + plain
        replies = await connection.batch(octets, [*opening, *([_RCPT] * len(recipients))])
        return replies[len(opening) - 1], replies[len(opening) :]
    commands = [command(each, connection.offers) for each in recipients]
    if connection.pipelines:
        replies = await connection.commands([*opening, *_lines(commands)])
        return replies[len(opening) - 1], _merged(commands, replies[len(opening) :])
    mail = (await connection.commands(opening))[-1]
    return mail, _merged(commands, await connection.commands(_lines(commands))) if mail.ok else []


def _lines(commands: Sequence[str | Reply]) -> list[str]:
    """Return the commands that can be sent; the others are refused by us."""
    return [command for command in commands if isinstance(command, str)]


def _merged(commands: Sequence[str | Reply], answers: Sequence[Reply]) -> list[Reply]:
    """Return a reply for each command: our own where it could not be sent, else the next hop's."""
    said = iter(answers)
    return [command if isinstance(command, Reply) else next(said) for command in commands]
