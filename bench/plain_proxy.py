"""What people would write: a relay of aiosmtpd and aiosmtplib, in a page. The gate is measured against it.

python -m bench.plain_proxy PORT NEXT_HOP_PORT
"""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import aiosmtplib
from aiosmtpd.smtp import SMTP, Envelope, Session

MOST_OCTETS = 52_428_800  # as the gate's own --max-size


class Relay:
    """Passes each message on over a connection of its own, and gives the next hop's reply as its own."""

    def __init__(self, port: int) -> None:
        self._port = port

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        try:
            _, reply = await aiosmtplib.send(
                envelope.original_content or b"",
                sender=envelope.mail_from or "",
                recipients=envelope.rcpt_tos,
                hostname="127.0.0.1",
                port=self._port,
                start_tls=False,
            )
        except aiosmtplib.SMTPException as error:
            return f"451 {error}"
        return f"250 {reply}"


async def serve(port: int, next_hop: int) -> None:
    """Relay until killed."""
    made: Any = lambda: SMTP(Relay(next_hop), data_size_limit=MOST_OCTETS)  # noqa: E731 - what create_server wants
    server = await asyncio.get_running_loop().create_server(made, "127.0.0.1", port, backlog=1024)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]), int(sys.argv[2])))
