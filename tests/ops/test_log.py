"""The log: lines that a mail admin can grep, and that nobody's subject or address can break."""

import asyncio
import io
import json
import logging
import os
import re
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gatekeeper.model import Action
from gatekeeper.ops.log import STATUSES, Address, Id, TransactionLine, configure, event, transaction
from gatekeeper.settings import Ops

LINE = TransactionLine(
    id="5f1c09",
    listener="smtp",
    sender="a@doa.example.gov",
    recipients=2400,
    size=5120,
    status=STATUSES[Action.HOLD],
    client="192.0.2.1",
    rules=("approval", "attachments"),
    mailing="M-17",
    message_id="abc@doa.example.gov",
    reply='250 2.0.0 Held for approval as M-17: "not" sent yet',
    delay=0.0214,
)
KEY = b"k" * 16


@pytest.fixture(autouse=True)
def restored():
    logger = logging.getLogger("gatekeeper")
    before = logger.handlers[:], logger.level, logger.propagate
    yield
    logger.handlers[:], logger.level, logger.propagate = before


def logged(what, log_format="text", addresses="plain", level="info", key=KEY) -> str:
    stream = io.StringIO()
    configure(Ops(None, log_format, addresses, level), key, stream)
    what()
    return stream.getvalue()


def test_one_transaction_is_one_line():
    line = logged(lambda: transaction(LINE))
    time, level, rest = line.split(" ", 2)
    assert time.endswith("Z") and level == "info"
    assert rest == (
        "smtp 5f1c09 from=<a@doa.example.gov> nrcpt=2400 size=5120 status=held rules=approval,attachments mailing=M-17 "
        "client=192.0.2.1 msgid=<abc@doa.example.gov> "
        'reply="250 2.0.0 Held for approval as M-17: \\"not\\" sent yet" delay=0.021\n'
    )


def test_ordinary_mail_of_the_null_sender():
    bounce = TransactionLine("5f1c10", "milter", "", 1, 10, "relayed", "192.0.2.1", relay="250 ok")
    line = logged(lambda: transaction(bounce))
    assert " milter 5f1c10 from=<> nrcpt=1 size=10 status=relayed rules= mailing= client=192.0.2.1 " in line
    assert ' relay="250 ok" delay=' in line


def test_json_is_an_object_a_line():
    document = json.loads(logged(lambda: transaction(LINE), "json"))
    assert (document["event"], document["id"], document["nrcpt"]) == ("smtp", "5f1c09", 2400)
    assert document["from"] == "<a@doa.example.gov>"
    assert document["level"] == "info" and document["rules"] == "approval,attachments"


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_hashed_addresses_tell_two_apart_and_not_whose_they_are(log_format):
    def lines(key, *addresses):
        say = lambda: [event("queue", {"to": Address(address)}) for address in addresses]  # noqa: E731
        return [line.split("#")[1][:16] for line in logged(say, log_format, "hashed", key=key).splitlines()]

    one, same, other = lines(KEY, "a@example.gov", "A@EXAMPLE.GOV", "b@example.gov")
    assert one == same != other
    assert lines(b"another", "a@example.gov") != [one]
    named = TransactionLine("5f1c11", "smtp", "a@example.gov", 1, 1, "held", "-", login="b@example.gov")
    assert "example" not in logged(lambda: transaction(named), log_format, "hashed")


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_addresses_in_what_others_say_are_hashed_too(log_format):
    """Replies of a next hop name the recipient, as do errors, and what the log says in words."""
    said = (
        '550 5.1.1 <Ann.Hara+x@example.gov>: no such user; "odd one"@example.gov, ann@bücher.example, ann@[192.0.2.7]'
    )

    def say():
        named = TransactionLine("5f1c11", "smtp", "a@example.gov", 1, 1, "rejected", "-", reply=said, relay=said)
        transaction(named)
        logging.getLogger("gatekeeper.queue").warning("release job=%d status=%s relay=%s", 7, "refused", said)
        try:
            raise ValueError(said)
        except ValueError:
            logging.getLogger("gatekeeper.x").exception("fault")

    shown = logged(say, log_format, "hashed")
    assert "example" not in shown and "192.0.2.7" not in shown and "odd" not in shown and "Hara" not in shown
    assert "no such user" in shown and "550 5.1.1 <#" in shown
    one = logged(lambda: event("x", {"to": Address("a@example.gov")}), log_format, "hashed").partition("<#")[2][:16]
    assert f"refused by #{one} at" in logged(lambda: event("refused by A@example.gov at noon"), log_format, "hashed")
    assert "Hara" in logged(say, log_format)


def test_what_a_line_is_about_stands_without_its_name_and_json_has_it_as_a_field():
    def say():
        event("gathered", {"mailing": Id("M-17"), "batches": 2})

    assert logged(say).endswith(" gathered M-17 batches=2\n")
    assert json.loads(logged(say, "json")) | {"time": ""} == {
        "time": "", "level": "info", "event": "gathered", "mailing": "M-17", "batches": 2,
    }  # fmt: skip


def test_an_error_is_behind_its_fields():
    def say():
        try:
            raise ValueError("gone")
        except ValueError as error:
            event("a fault", {"client": "192.0.2.1"}, logging.ERROR, error)

    assert " error a fault client=192.0.2.1\n\tTraceback" in logged(say)
    document = json.loads(logged(say, "json"))
    assert document["client"] == "192.0.2.1" and "ValueError: gone" in document["error"]


def test_other_handlers_have_the_fields_in_the_text(caplog):
    logging.getLogger("gatekeeper").propagate = True
    event("release", {"mailing": Id("M-17"), "relay": "550 no"}, logging.WARNING)
    assert 'release M-17 relay="550 no"' in caplog.text
    event("settings", {"--database": "postgresql://gate:s3cret@db/gate", "--mode": "observe"}, logging.WARNING)
    assert "settings --database=postgresql://gate:***@db/gate --mode=observe" in caplog.text


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_journald_gets_the_priority_of_each_line(monkeypatch, tmp_path, log_format):
    with (tmp_path / "log").open("w+") as stream:
        status = os.fstat(stream.fileno())
        monkeypatch.setenv("JOURNAL_STREAM", f"{status.st_dev}:{status.st_ino}")
        configure(Ops(None, log_format, "plain", "debug"), KEY, stream)
        event("fine")
        event("look here", {}, logging.WARNING)
        try:
            raise ValueError("gone")
        except ValueError as error:
            event("a fault", {}, logging.ERROR, error)
        stream.seek(0)
        lines = stream.read().splitlines()
    assert [line[:3] for line in lines[:3]] == ["<6>", "<4>", "<3>"]
    assert all(line.startswith("<3>") for line in lines[2:])
    if log_format == "json":
        assert json.loads(lines[1][3:])["event"] == "look here"
    monkeypatch.setenv("JOURNAL_STREAM", "8:1")  # of somebody else, whose child we are
    assert not logged(lambda: event("fine")).startswith("<")


def test_every_field_of_a_transaction_is_on_the_page():
    page = (Path(__file__).parents[2] / "docs/log.md").read_text()
    table = page.partition("## The line of a transaction")[2].partition("## Other lines")[0]
    told = re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)
    all_of_it = replace(
        LINE, login="a@example.gov", relay="250 ok", observed="held", watched=("x",), repeated=True, trace="0af7"
    )
    document = json.loads(logged(lambda: transaction(all_of_it), "json"))
    assert told == [name for name in document if name not in ("time", "level", "event")]
    for status in STATUSES.values():
        assert f"`{status}`" in table


def test_below_the_level_nothing_is_formatted():
    class Costly:
        def __str__(self):
            raise AssertionError("formatted although nobody reads it")

    assert logged(lambda: event("queue", {"x": Costly()}), level="warning") == ""
    assert logged(lambda: transaction(LINE), level="warning") == ""
    assert "queue x=1" in logged(lambda: event("queue", {"x": 1}, logging.ERROR), level="warning")


class Pieces(io.StringIO):
    """A stream that knows in how many pieces it was written."""

    def __init__(self):
        super().__init__()
        self.pieces = []

    def write(self, text):
        self.pieces.append(text)
        return super().write(text)


async def test_lines_of_one_turn_of_the_loop_are_one_piece_and_a_warning_waits_for_nobody():
    stream = Pieces()
    configure(Ops(None, "text", "plain", "info"), KEY, stream)
    event("one")
    logging.getLogger("gatekeeper.x").info("two")
    assert stream.pieces == []
    await asyncio.sleep(0)
    event("three")
    logging.getLogger("gatekeeper.x").warning("four")
    assert [[line.split(" ", 2)[2] for line in piece.splitlines()] for piece in stream.pieces] == [
        ["one", "two"],
        ["three", "four"],
    ]
    await asyncio.sleep(0)
    await asyncio.to_thread(event, "from a thread that has no loop")
    assert len(stream.pieces) == 3


async def test_a_log_that_cannot_be_written_stops_nothing():
    stream = Pieces()
    configure(Ops(None, "text", "plain", "info"), KEY, stream)
    stream.close()
    transaction(LINE)
    logging.getLogger("gatekeeper.x").error("gone")
    await asyncio.sleep(0)


def test_a_traceback_stays_behind_its_line():
    def fail():
        try:
            raise ValueError("first\n2026-01-01T00:00:00.000Z info smtp forged")
        except ValueError:
            logging.getLogger("gatekeeper.store").exception("the database is gone")

    first, *rest = logged(fail).splitlines()
    assert first.endswith("error the database is gone") and rest and all(line.startswith("\t") for line in rest)
    assert "forged" in json.loads(logged(fail, "json"))["error"]


@settings(deadline=None)
@given(st.text(), st.sampled_from(["text", "json"]))
def test_no_value_breaks_its_line(value, log_format):
    def say():
        event(f"rules {value}", {"subject": value, "to": Address(value)})
        logging.getLogger("gatekeeper.x").info("reply %s", value)

    lines = logged(say, log_format).splitlines()
    assert len(lines) == 2 and all(line.isprintable() for line in lines)


@given(st.text(max_size=50))
def test_a_quoted_value_can_be_read_back(value):
    shown = logged(lambda: event("x", {"reply": value})).rstrip("\n").split(" x reply=", 1)[1]
    if shown.startswith('"'):
        assert shown.endswith('"') and '"' not in shown[1:-1].replace("\\\\", "").replace('\\"', "")
    else:
        assert shown == value and " " not in shown
