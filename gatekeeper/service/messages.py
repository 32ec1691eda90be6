"""The messages between the supervisor and its child processes, over a socket pair: one JSON object a line.

The supervisor sends a process its `StartParameters`, and then words: RELOAD, END. The process sends a `Report` whenever
something has changed. Where the connection breaks, the other side has died: a process without its supervisor ends
as if it had been told to.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, field
from datetime import date

from gatekeeper.lib.immutable import immutable
from gatekeeper.settings import Settings

OFFICE, CONSOLE = "office", "console"  # their names; workers are worker-1 and so on
LONGEST_ORDERS = 1 << 20  # octets of start parameters; a setting may be a list of many networks
RELOAD, END = b"reload\n", b"end\n"


@immutable
class StartParameters:
    """Startup parameters that the supervisor sends to a child process."""

    texts: Mapping[str, str]  # the settings of the gate
    origins: Mapping[str, str]
    log_key: str = field(repr=False)  # of hashed addresses, hex: the same in all processes
    doors: Mapping[str, tuple[int, ...]]  # file descriptors of listening sockets, by listener

    def encode(self) -> bytes:
        """One line."""
        return _line(asdict(self))

    @classmethod
    def decode(cls, line: bytes) -> StartParameters:
        """Read a line of `encode`."""
        return cls(**json.loads(line))

    def settings(self) -> Settings:
        """The settings of the gate; raises SettingsError."""
        return Settings.from_texts(self.texts, self.origins)


@immutable
class Report:
    """The state that a child process reports: it works, by this ruleset."""

    digest: str
    title: str
    review: str | None  # YYYY-MM-DD
    problem: str = ""  # why the rules on disk cannot be used; "" where they can

    def encode(self) -> bytes:
        """One line."""
        return _line(asdict(self))

    @classmethod
    def decode(cls, line: bytes) -> Report:
        """Read a line of `encode`."""
        return cls(**json.loads(line))

    @property
    def review_date(self) -> date | None:
        """The day on which the ruleset is due for review."""
        return date.fromisoformat(self.review) if self.review else None


def _line(document: Mapping[str, object]) -> bytes:
    return json.dumps(document).encode() + b"\n"
