"""The cheapest gate that can be written in Python: a lower bound for what the gate costs, and no gate to use.

    python -m bench.floor PORT NEXT_HOP_PORT FOLDER

It reads what `model.Facts` holds (`bench/floor_facts.py`), counts the people of each mailing exactly, commits in groups
with synchronous=FULL, gives the next hop's replies over kept connections, and logs a line a message. It has no rules,
holds nothing, waits for nobody, and believes all it gets: commands and messages are well formed, DATA ends its packet,
and each reply of the next hop has one line and is no refusal.
"""

from __future__ import annotations

import asyncio
import os
import queue
import re
import sqlite3
import sys
import threading
import time
from collections.abc import Callable
from hashlib import blake2b
from pathlib import Path
from typing import cast

from bench.floor_facts import Facts, read_facts
from gatekeeper.service.runtime import prepare

_GROUP = 100  # messages a commit
_SCHEMA = """
PRAGMA journal_mode=WAL;
PRAGMA synchronous=FULL;
CREATE TABLE mailings (id INTEGER PRIMARY KEY, users INTEGER NOT NULL);
CREATE TABLE keys (name BLOB PRIMARY KEY, mailing INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE people (mailing INTEGER, person BLOB, PRIMARY KEY (mailing, person)) WITHOUT ROWID;
"""
_GROWN = "INSERT INTO mailings VALUES (?, ?) ON CONFLICT DO UPDATE SET users = users + excluded.users"


# -- counting ----------------------------------------------------------------------------------------------------


class Case:
    """One message that waits for its commit: its mailing's keys, and its people."""

    __slots__ = ("client", "keys", "line", "mailing", "people")

    def __init__(self, client: Client, facts: Facts, sender: bytes, recipients: list[bytes]) -> None:
        self.client, self.mailing = client, 0
        source = facts.author[0].lower() if facts.author else sender
        names = [b"message %b %b" % (facts.message_id, facts.digest.encode())]
        names += [b"subject %b %b" % (source, facts.subject_key.encode())] if facts.subject_key else []
        names += [b"text %b %b" % (source, each.encode()) for each in facts.fingerprints]
        self.keys = [blake2b(name, digest_size=16).digest() for name in names]
        self.people = {blake2b(each.lower(), digest_size=16).digest() for each in recipients}
        self.line = f"from=<{sender.decode()}> nrcpt={len(recipients)} msgid=<{facts.message_id.decode()}>"


class Ledger(threading.Thread):
    """The one writer: what waits at the same time is counted and committed together."""

    def __init__(self, path: Path, counted: Callable[[list[Case]], None]) -> None:
        super().__init__(daemon=True)
        self._path, self._counted, self.waiting = path, counted, queue.SimpleQueue[Case]()
        self._last = 0

    def run(self) -> None:
        database = sqlite3.connect(self._path, isolation_level=None)
        database.executescript(_SCHEMA)
        while True:
            cases = [self.waiting.get()]
            while not self.waiting.empty() and len(cases) < _GROUP:
                cases.append(self.waiting.get())
            database.execute("BEGIN IMMEDIATE")
            self._count(database, cases)
            database.execute("COMMIT")
            self._counted(cases)

    def _count(self, database: sqlite3.Connection, cases: list[Case]) -> None:
        """Find or open the mailing of each case, and add the people that it has not reached yet."""
        keys = [key for case in cases for key in case.keys]
        found = f"SELECT name, mailing FROM keys WHERE name IN ({','.join('?' * len(keys))})"
        leads, counts = dict(database.execute(found, keys).fetchall()), dict[int, int]()
        for case in cases:
            case.mailing = next((leads[key] for key in case.keys if key in leads), 0) or self._open()
            leads.update(dict.fromkeys(case.keys, case.mailing))
            before = database.total_changes
            people = [(case.mailing, person) for person in case.people]
            database.executemany("INSERT OR IGNORE INTO people VALUES (?, ?)", people)
            counts[case.mailing] = counts.get(case.mailing, 0) + database.total_changes - before
        database.executemany("INSERT OR REPLACE INTO keys VALUES (?, ?)", [(key, leads[key]) for key in keys])
        database.executemany(_GROWN, counts.items())

    def _open(self) -> int:
        self._last += 1
        return self._last


# -- SMTP --------------------------------------------------------------------------------------------------------

_EHLO = b"250-floor.example.gov\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 SIZE 52428800\r\n"
_ADDRESS = re.compile(rb"(?:FROM|TO):<([^>]*)>", re.IGNORECASE)
_END = b"\r\n.\r\n"


class NextHop(asyncio.Protocol):
    """A connection to the next hop; it is kept, and its replies go to the client that it works for."""

    write: Callable[[bytes], None]

    def __init__(self, client: Client) -> None:
        self.client: Client | None = client
        self._greeted = self._ready = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.write = cast(asyncio.Transport, transport).write

    def data_received(self, data: bytes) -> None:
        if self._ready and self.client:
            self.client.answered(data)
        elif not self._greeted:
            self._greeted = True
            self.write(b"EHLO floor.example.gov\r\n")
        elif not self._ready and self.client:
            self._ready = True
            self.client.begin(self)


class Gate:
    """What all connections share: the ledger, the log, and connections to the next hop that nobody uses."""

    def __init__(self, next_hop: int, folder: Path) -> None:
        self._port, self.idle = next_hop, list[NextHop]()
        self._loop, self._tasks = asyncio.get_running_loop(), set[asyncio.Task[object]]()
        self._log = os.open(folder / "floor.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        self.ledger = Ledger(
            folder / "floor.db", lambda cases: self._loop.call_soon_threadsafe(self._relay, cases) and None
        )
        self.ledger.start()

    def connect(self, client: Client) -> None:
        """Open a connection to the next hop for a client."""
        task = self._loop.create_task(self._loop.create_connection(lambda: NextHop(client), "127.0.0.1", self._port))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _counted(self, cases: list[Case]) -> None:
        self._loop.call_soon_threadsafe(self._relay, cases)

    def _relay(self, cases: list[Case]) -> None:
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        os.write(self._log, "".join([f"{now} info {case.line} mailing={case.mailing}\n" for case in cases]).encode())
        trace = b"Received: from client by floor.example.gov with ESMTP; %b\r\n" % now.encode()
        for case in cases:
            case.client.relay(trace)


class Client(asyncio.Protocol):
    """A client's connection: envelope, content, and the replies of the next hop."""

    write: Callable[[bytes], None]

    def __init__(self, gate: Gate) -> None:
        self._gate, self._hop = gate, None
        self._hop: NextHop | None
        self._rest = self._trace = b""
        self._envelope = list[bytes]()
        self._replies, self._due, self._asked_data, self._relaying = b"", 0, False, False
        self._content: list[bytes] | None = None
        self._tail = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self.write = self._transport.write
        self.write(b"220 floor.example.gov ESMTP\r\n")

    def connection_lost(self, error: Exception | None) -> None:
        self._give_back()

    def data_received(self, data: bytes) -> None:
        if self._content is not None:
            self._take(self._content, data)
            return
        data = self._rest + data
        end = data.rfind(b"\n") + 1
        self._rest, lines = data[end:], data[:end]
        verb = lines[:4].upper()
        if verb in (b"MAIL", b"RCPT", b"DATA"):
            self._pass_on(lines)
        elif verb == b"EHLO" or verb == b"HELO":
            self.write(_EHLO if verb == b"EHLO" else b"250 floor.example.gov\r\n")
        elif verb == b"QUIT":
            self.write(b"221 bye\r\n")
            self._transport.close()
        elif lines:
            self.write(b"250 ok\r\n")

    # -- envelope

    def _pass_on(self, lines: bytes) -> None:
        """Pass on MAIL and RCPT as they came, but not DATA."""
        self._asked_data = lines[-6:].upper() == b"DATA\r\n"
        commands = lines[:-6] if self._asked_data else lines
        self._due += commands.count(b"\n")
        self._envelope.append(commands)
        if self._hop is not None:
            self._hop.write(commands)
        elif self._gate.idle:
            self.begin(self._gate.idle.pop())
        elif len(self._envelope) == 1:
            self._gate.connect(self)
        if not self._due:
            self._answer()

    def begin(self, hop: NextHop) -> None:
        """Say what has come of the envelope to the next hop."""
        self._hop, hop.client = hop, self
        hop.write(b"".join(self._envelope))

    def answered(self, replies: bytes) -> None:
        """Give replies of the next hop: to the envelope all at once, to DATA by sending the content."""
        if not self._relaying:
            self._due -= replies.count(b"\n")
            self._replies += replies
            if not self._due:
                self._answer()
        elif self._trace and self._hop:
            self._hop.write(self._trace + b"".join(self._content or ()))
            self._trace, self._content = b"", None
        else:
            self.write(replies)
            self._give_back()

    def _answer(self) -> None:
        self.write(self._replies + (b"354 go on\r\n" if self._asked_data else b""))
        self._replies, self._content = b"", [] if self._asked_data else None

    def _give_back(self) -> None:
        if self._hop is not None:
            self._hop.client = None
            self._gate.idle.append(self._hop)
        self._hop, self._envelope, self._relaying = None, [], False

    # -- content

    def _take(self, content: list[bytes], data: bytes) -> None:
        content.append(data)
        self._tail = (self._tail + data[-5:])[-5:]
        if self._tail != _END:
            return
        self._tail = b""
        whole = b"".join(content)[:-3]
        sender, *recipients = _ADDRESS.findall(b"".join(self._envelope))
        facts = read_facts(whole.replace(b"\r\n..", b"\r\n.") if b"\r\n.." in whole else whole)
        self._gate.ledger.waiting.put(Case(self, facts, sender, recipients))

    def relay(self, trace: bytes) -> None:
        """Send the message: it has been counted."""
        if self._hop is not None:
            self._relaying, self._trace = True, trace
            self._hop.write(b"DATA\r\n")


async def serve(port: int, next_hop: int, folder: Path) -> None:
    """Relay until killed."""
    gate = Gate(next_hop, folder)
    server = await asyncio.get_running_loop().create_server(lambda: Client(gate), "127.0.0.1", port, backlog=1024)
    await server.serve_forever()


if __name__ == "__main__":
    prepare()
    asyncio.run(serve(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])))
