"""A maildir as next hop, to try the gate out without a mail server: each message becomes a file.

Before the message stand trace lines: Return-Path with the envelope's sender, and an X-Original-To for each recipient.
The rest is the message as it came in, CRLF included. A file in new/ is synced.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import os
import socket
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from gatekeeper.delivery.transaction import OnReplies
from gatekeeper.lib.private_files import create_private_file, make_private_folder
from gatekeeper.model import Recipient
from gatekeeper.ops.log import event
from gatekeeper.smtp import policy_replies
from gatekeeper.smtp.replies import Reply, reply

OFFERS = {"PIPELINING": "", "SIZE": "", "8BITMIME": "", "SMTPUTF8": "", "ENHANCEDSTATUSCODES": ""}
_TAKEN = reply(250, "Sender ok", "2.1.0")
_RECIPIENT_TAKEN = reply(250, "Recipient ok", "2.1.5")
_NO_RECIPIENTS = reply(554, "No valid recipients", "5.5.1")

_numbers = itertools.count(1)


class MaildirTransaction:
    """A RelayTransaction that accepts every recipient and writes one file."""

    def __init__(self, folder: Path, sender: str, report: Callable[[str], None]) -> None:
        self._folder, self._sender, self._report = folder, sender, report
        self._recipients: list[Recipient] = []
        self._is_open = False
        self._asking: asyncio.Handle | None = None
        self.outcome_unknown = False

    def ask(self, recipients: Sequence[Recipient], then: OnReplies) -> None:
        opened = [] if self._is_open else [_TAKEN]
        self._is_open = True
        self._recipients += recipients
        self._asking = asyncio.get_running_loop().call_soon(then, [*opened, *[_RECIPIENT_TAKEN] * len(recipients)])

    async def data(self, content: bytes | Sequence[bytes]) -> Reply:
        if not self._recipients:
            return _NO_RECIPIENTS
        chunks = [content] if isinstance(content, bytes) else content
        trace = _trace(self._sender, [recipient.address for recipient in self._recipients])
        try:
            name = await asyncio.to_thread(write_message, self._folder, [trace, *chunks])
        except OSError as error:
            about = {"kind": "storage", "folder": str(self._folder), "error": str(error)}
            event("next hop: error", about, logging.WARNING)
            self._report("storage")
            return policy_replies.disk_full()
        self._recipients = []
        return reply(250, f"Written as {name}", "2.0.0")

    async def abandon(self) -> None:
        self._recipients = []
        if self._asking is not None:
            self._asking.cancel()


def make_maildir(folder: Path) -> None:
    """Make the folder and its three parts with mode 0700; raise OSError."""
    for part in ("tmp", "new", "cur"):
        make_private_folder(folder / part)


def write_message(folder: Path, chunks: Sequence[bytes]) -> str:
    """Write a file into new/, synced before it appears there, and return its name; raise OSError."""
    make_maildir(folder)
    name = f"{time.time():.6f}.P{os.getpid()}Q{next(_numbers)}.{socket.gethostname().replace('/', '_')}"
    unfinished = folder / "tmp" / name
    try:
        with create_private_file(unfinished) as file:
            file.writelines(chunks)
            file.flush()
            os.fsync(file.fileno())
        os.rename(unfinished, folder / "new" / name)
    except OSError:
        unfinished.unlink(missing_ok=True)
        raise
    _sync_folder(folder / "new")
    return name


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _trace(sender: str, recipients: Sequence[str]) -> bytes:
    lines = [f"Return-Path: <{sender}>", *(f"X-Original-To: {recipient}" for recipient in recipients)]
    return "".join(line + "\r\n" for line in lines).encode("utf-8", "surrogateescape")
