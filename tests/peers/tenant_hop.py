"""A next hop that behaves as a tenant's front door: it takes few recipients a transaction, and may bring mail back.

What it is told is told of Exchange Online or Google Workspace by public documentation; nothing of it was tried on a
tenant. It is a `Sink`, with what these do besides:

async with TenantHop(recipient_limit=100) as tenant:            # 452 4.5.3 from the 101st on
async with TenantHop(domain_limit=200) as tenant:               # 4.5.3 for more than 200 of one domain
async with TenantHop(refusal="552 5.5.3 too many") as tenant:   # said otherwise
    tenant.bring_back(gate.port, cut=237)                       # a mail flow rule without an exception
    tenant.bring_back(gate.port, unless=b"X-Gate-Mark: secret") # and one with
    parts = await tenant.route(gate.port, sender, people, content)  # mail of a mailbox inside, cut up
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.peers.sink import Mail, Sink

LIMIT_REPLY = "452 4.5.3 Too many recipients"


@dataclass(frozen=True)
class Returned:
    """One transaction by which mail was brought back, and the reply to its dot, or the first that refused it."""

    recipients: Sequence[str]
    content: bytes = field(repr=False)
    reply: str


class TenantHop(Sink):
    """A `Sink` with the limits of a tenant's front door, and with a rule that routes mail.

    Args: `domain_limit` recipients of one domain a transaction; `refusal` is the reply to what is over either limit.
    """

    def __init__(self, *, domain_limit: int | None = None, refusal: str = LIMIT_REPLY, **options: Any) -> None:
        super().__init__(**options)
        self.domain_limit, self.refusal = domain_limit, refusal
        self.returned: list[Returned] = []
        self._route: Callable[[Mail], list[tuple[list[str], bytes]]] | None = None
        self._port = 0
        self._tasks: set[asyncio.Task[None]] = set()

    def limit_reply(self, recipients: Sequence[str], address: str) -> str:
        """Return the reply to a recipient over a limit; "" where there is room."""
        domain = address.rpartition("@")[2].lower()
        of_domain = Counter(each.rpartition("@")[2].lower() for each in recipients)
        is_full = len(recipients) >= self.recipient_limit
        is_full = is_full or (self.domain_limit is not None and of_domain[domain] >= self.domain_limit)
        return self.refusal if is_full else ""

    def bring_back(
        self,
        port: int,
        *,
        unless: bytes | None = None,
        cut: int = 1000,
        change: Callable[[bytes], bytes] = lambda content: content,
    ) -> None:
        """Route all mail that is taken to a gate, as a rule does; `unless` it has this header field.

        Args: `cut` recipients a transaction; `change` is what happens to a message inside.
        """

        def route(mail: Mail) -> list[tuple[list[str], bytes]]:
            head = mail.content.partition(b"\r\n\r\n")[0]
            if unless is not None and unless in head:
                return []
            trace = b"Received: from tenant.example.org by tenant.example.org; now\r\n"
            parts = [mail.addresses[start : start + cut] for start in range(0, len(mail.addresses), cut)]
            return [(part, trace + change(mail.content)) for part in parts]

        self._port, self._route = port, route

    def took(self, mail: Mail) -> None:
        """Route a message that was taken."""
        for recipients, content in self._route(mail) if self._route else ():
            task = asyncio.get_running_loop().create_task(self._return(mail.sender, recipients, content))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def idle(self) -> None:
        """Wait until nothing is on its way back."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    async def route(
        self, port: int, sender: str, recipients: list[str], content: bytes, cut: int = 237
    ) -> list[Returned]:
        """Route mail of one mailbox inside to the gate, cut up as a tenant does it; what became of each part."""
        self._port = port
        content = b"Received: from mailbox.example.org by tenant.example.org; now\r\n" + content
        parts = [recipients[start : start + cut] for start in range(0, len(recipients), cut)]
        return await asyncio.gather(*(self._hand_on(sender, part, content) for part in parts))

    async def _return(self, sender: str, recipients: list[str], content: bytes) -> None:
        self.returned.append(await self._hand_on(sender, recipients, content))

    async def _hand_on(self, sender: str, recipients: list[str], content: bytes) -> Returned:
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        stuffed = (b"\r\n" + content).replace(b"\r\n.", b"\r\n..")[2:]
        commands = ["EHLO tenant.example.org", f"MAIL FROM:<{sender}>", *(f"RCPT TO:<{each}>" for each in recipients)]
        try:
            reply = await _reply(reader)
            for command in (*(each.encode() for each in (*commands, "DATA")), stuffed + b"."):
                writer.write(command + b"\r\n")
                reply = await _reply(reader)
                if reply[0] in "45":
                    break
            return Returned(tuple(recipients), content, reply)
        finally:
            writer.close()


async def _reply(reader: asyncio.StreamReader) -> str:
    while True:
        line = (await reader.readline()).decode()
        if line[3:4] != "-":
            return line.rstrip("\r\n") or "421 closed"
