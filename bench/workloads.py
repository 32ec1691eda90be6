"""The loads: what is sent, by whom, and how many at once."""

from __future__ import annotations

import base64
import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

from tests.peers import require

SENDER = "head@doa.example.gov"
RECIPIENT = "user@dphhs.example.gov"  # of one agency, so that no rule holds any number of them


@dataclass(frozen=True)
class Workload:
    """One kind of load."""

    name: str
    what: str
    size: int  # octets of the text
    recipients: int = 1
    sessions: int = 20
    reuse: bool = False  # connections are kept
    pipelined: bool = False
    kind: str = ""  # of the messages of bench/mail.py; "" where all are alike
    attachment: bool = False
    subject: bool = False  # what reaches many needs one, or a rule refuses it
    least: int = 200  # messages a round, however slow the contender
    seconds: float = field(default=1.5)  # that a round should take


WORKLOADS = {
    each.name: each
    for each in (
        Workload("W1", "5 KB to 1, a connection each", 5_000),
        Workload("W1r", "5 KB to 1, connections kept", 5_000, reuse=True),
        Workload("real", "5 KB of 3,000 people to 1, pipelined", 5_000, reuse=True, pipelined=True, kind="plain"),
        Workload("office", "30 KB with HTML and a logo to 1", 30_000, reuse=True, pipelined=True, kind="office"),
        Workload("W2", "20 KB to 2,500", 20_000, 2500, 4, reuse=True, subject=True, least=4),
        Workload("W2p", "20 KB to 2,500, pipelined", 20_000, 2500, 4, reuse=True, pipelined=True, least=4),
        Workload("W3", "10 MB base64 to 1", 10_000_000, 1, 4, reuse=True, attachment=True, least=4),
        Workload("W4", "10 KB to 100", 10_000, 100, 10, reuse=True, subject=True, least=20),
    )
}


def send(workload: Workload, port: int, messages: int, folder: Path, round_: str) -> None:
    """Send so many messages to a port of this machine; raises CalledProcessError where one is refused.

    Args: `folder` is for files; `round_` names the round: its mass mail is a mailing of its own.
    """
    sessions = min(workload.sessions, messages)
    words = _own_client(workload, port) if workload.pipelined else _smtp_source(workload, port, folder, round_)
    numbers = _flags(workload, messages, sessions)
    subprocess.run([*words[0], *numbers, *words[1]], check=True, stdin=subprocess.DEVNULL, timeout=600)


def _flags(workload: Workload, messages: int, sessions: int) -> list[str]:
    if workload.pipelined:
        return ["--messages", str(messages), "--sessions", str(sessions)]
    return ["-m", str(messages), "-s", str(sessions)]


def _own_client(workload: Workload, port: int) -> tuple[list[str], list[str]]:
    sizes = ["--recipients", str(workload.recipients), "--size", str(workload.size)]
    kind = ["--kind", workload.kind] if workload.kind else []
    return [sys.executable, "-m", "bench.client", str(port), *sizes, *kind], []


def _smtp_source(workload: Workload, port: int, folder: Path, round_: str) -> tuple[list[str], list[str]]:
    # all mail of smtp-source has one text: that of one sender is one mailing, however many loads it is of
    sender = SENDER if workload.attachment else f"{workload.name.lower()}@doa.example.gov"
    words = [require("smtp-source"), "-C", "10", "-f", sender, "-t", RECIPIENT]
    words += ["-d"] if workload.reuse else []
    words += ["-N", "-r", str(workload.recipients)] if workload.recipients > 1 else []
    words += ["-S", f"News of the day, {round_}"] if workload.subject else []
    words += ["-F", str(_attachment(folder, workload.size))] if workload.attachment else ["-l", str(workload.size)]
    return words, [f"127.0.0.1:{port}"]


def _attachment(folder: Path, size: int) -> Path:
    """A message with a file of random octets in it, made once, with LF line ends as smtp-source wants it."""
    path = folder / f"attachment-{size}.eml"
    if not path.exists():
        encoded = base64.encodebytes(os.urandom(size * 57 // 78))
        header = b'Subject: A file\nMIME-Version: 1.0\nContent-Type: multipart/mixed; boundary="=_cut"\n'
        text = b"\n--=_cut\nContent-Type: text/plain\n\nHere it is.\n"
        file = b'--=_cut\nContent-Type: application/pdf; name="plan.pdf"\nContent-Transfer-Encoding: base64\n\n'
        names = f"From: {SENDER}\nTo: {RECIPIENT}\n".encode()
        path.write_bytes(names + header + text + file + encoded + b"--=_cut--\n")
    return path
