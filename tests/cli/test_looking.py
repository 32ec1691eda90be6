"""Commands that only look read beside the writer: they wait for no mail, and no mail waits for them."""

from __future__ import annotations

import sqlite3

from tests.cli.situations import ASKED, CIO, held

LOOKS = (
    "queue",
    "mode",
    "report",
    "directory list",
    "account list",
    "audit verify",
    "mailing list",
    "mailing show M-1",
    "request list",
    "request show R-1",
    f"request show R-1 --by {CIO}",
    "permit list",
    "permit show P-1",
    f"permit show P-1 --by {CIO}",
    "suspend list",
)


async def test_commands_that_look_wait_for_no_writer(tmp_path, monkeypatch):
    monkeypatch.setenv("GATEKEEPER_DATABASE_TIMEOUT", "100ms")
    desk = await held(tmp_path)
    desk.types(ASKED).types(f"request approve R-1 --by {CIO}")
    for command in LOOKS:
        desk.types(command, 0)  # the state that somebody is shown first is stored
    shown = desk.typed[-len(LOOKS) :]
    with sqlite3.connect(tmp_path / "gate.db", isolation_level=None) as writer:
        writer.execute("BEGIN IMMEDIATE")
        for command in LOOKS:
            desk.types(command, 0)
        writer.execute("ROLLBACK")
    assert desk.typed[-len(LOOKS) :] == shown
