"""How much memory a gate takes: idle, with sessions, with large messages in flight.

    python -m bench.memory [--workers N]

Printed are megabytes of the gate's processes: resident, and of these what no file backs.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from contextlib import ExitStack

from bench import contenders, cpu
from bench.client import Session, transaction
from bench.contenders import Contender

_LARGE, _MANY = 10_000_000, 20
Found = tuple[float, float]


def memory(gate: Contender) -> Found:
    """Resident and anonymous megabytes."""
    return cpu.megabytes(gate.process), cpu.megabytes(gate.process, "Anonymous")


def with_sessions(gate: Contender, count: int) -> Found:
    """With so many clients connected, each in the midst of a transaction."""
    with ExitStack() as stack:
        for _ in range(count):
            session = Session(gate.port)
            stack.callback(session.close)
            session.say(b"MAIL FROM:<head@doa.example.gov>\r\n")
            session.expect(b"250")
        return memory(gate)


def with_large_messages(gate: Contender) -> Found:
    """With large messages that have come but for their last line; then they are sent on."""
    with ExitStack() as stack:
        sessions = []
        for _ in range(_MANY):
            session, (envelope, content) = Session(gate.port), transaction(1, _LARGE)
            stack.callback(session.close)
            session.say(envelope)
            session.expect(b"250", 2)
            session.expect(b"354")
            session.say(content[:-3])
            sessions.append(session)
        found = memory(gate)
        for session in sessions:
            session.say(b".\r\n")
        for session in sessions:
            session.expect(b"250")
        return found


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--workers", type=int, default=1)
    flags = ["--workers", str(parser.parse_args().workers), "--max-connections", "2000"]
    steps: list[tuple[str, Callable[[Contender], Found]]] = [
        ("idle", memory),
        ("100 sessions", lambda gate: with_sessions(gate, 100)),
        ("1,000 sessions", lambda gate: with_sessions(gate, 1000)),
        ("idle again", memory),
        (f"{_MANY} messages of 10 MB in flight", with_large_messages),
        ("idle again", memory),
    ]
    print("| | resident MB | of these anonymous MB |\n| --- | ---: | ---: |")
    with contenders.sink() as sink, contenders.gate(sink.port, *flags) as gate:
        for name, measured in steps:
            resident, anonymous = measured(gate)
            print(f"| {name} | {resident:.0f} | {anonymous:.0f} |", flush=True)


if __name__ == "__main__":
    main()
