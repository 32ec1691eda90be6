"""What is searched is read off the path of mail, whatever the octets; and what is read can be stored."""

from __future__ import annotations

import asyncio
import threading
from hashlib import sha256

from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import insert

from gatekeeper.archive import text_duty
from gatekeeper.archive.text_duty import TextDuty
from gatekeeper.archive.texts import catch_up, content_text
from gatekeeper.store import StoreError, batches, texts
from gatekeeper.store.active_mailing import new_row
from gatekeeper.store.db import schema
from tests.archive.scene import RecordsScene

HOSTILE = [
    b"",
    b"\r\n\r\n",
    b"Subject: =?utf-8?b?AAECAwQ=?=\r\n\r\n\0\0quagga\0",
    b"Subject: \xed\xa0\x80 \xff\xfe\r\nFrom: \xf0\x9f\x98\x80@x\r\n\r\nokapi 'a':1 & ! <-> (b) \\ \"c\" * \xc3\x28",
    b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: application/pdf\r\n"
    b"Content-Disposition: attachment; filename*=utf-8''%00%ED%A0%80%0A%5C%27.pdf\r\n\r\nx\r\n--b--\r\n",
    b"Content-Type: text/plain; charset=utf-7\r\n\r\n+2AA- +AAA- zebra",
]


def read_all(store):
    """Have these searched; the words of all."""
    made = [content_text(sha256(octets).digest(), octets) for octets in HOSTILE]
    for octets in HOSTILE:
        digest = sha256(octets).digest()
        store.call(lambda c, digest=digest, octets=octets: batches.store_whole(c, digest, octets, 0.0))
    store.call(lambda connection: texts.write(connection, made, 0.0))
    return [word for each in made for word in each.words]


def test_words_of_hostile_messages_are_stored_and_found(store):
    words = read_all(store)
    assert {"quagga", "okapi", "zebra"} <= set(words)
    for word in set(words):
        assert store.writer.read(lambda c, word=word: texts.ids_with(c, [word], is_prefix=True)), word
    assert dict(store.writer.read(lambda connection: list(texts.names_of_files(connection))))


@given(st.binary(max_size=400), st.text(max_size=60))
def test_every_message_is_read_to_words_of_letters_and_digits(octets, text):
    """No quote, operator or control character of a message gets into a query or a vector."""
    head = f"Subject: {text}\r\n".encode("utf-8", "surrogatepass")
    for message in (octets, head + b"\r\n" + octets):
        made = content_text(b"", message)
        assert all(word.isalnum() and len(word) <= 65 for word in made.words)
        assert all("\n" not in name for name in made.files)


async def test_a_gate_reads_what_is_new_and_finishes_that_before_it_ends(store, tmp_path, monkeypatch):
    scene = RecordsScene(store, tmp_path)
    await scene.a_day()
    duty = TextDuty(store)
    await duty.read()
    assert store.writer.read(lambda c: texts.ids_with(c, ["burgerversammlung"]))
    begun, done = threading.Event(), []

    def slowly(store, steps, is_over):
        begun.set()
        while not is_over():
            pass
        done.append(True)

    monkeypatch.setattr(text_duty, "catch_up", slowly)
    reading = asyncio.ensure_future(duty.read())
    await asyncio.to_thread(begun.wait, 30)
    await duty.stop()
    assert done == [True] and await asyncio.wait_for(reading, 30) is None


def test_what_is_unread_is_looked_for_once_for_many_steps(store, monkeypatch):
    """All that was read is passed over each time: after an upgrade a hundred thousand mailings are unread."""
    named = {"sender": "a@doa.example.gov", "mass": True, "state": "released"}
    numbered = [{**new_row(b"a", store.now()), **named, "number": number} for number in range(1, 1_002)]
    store.call(lambda connection: connection.execute(insert(schema.mailings), numbered))
    looked, unread = [], texts.unread_matters
    monkeypatch.setattr(texts, "unread_matters", lambda *args, **named: looked.append(1) or unread(*args, **named))
    assert catch_up(store, 2) == 400 and catch_up(store) == 601 and catch_up(store) == 0
    assert len(looked) == 3


async def test_while_the_database_is_away_it_waits(store, caplog, monkeypatch):
    def away():
        raise StoreError("database: gone")

    monkeypatch.setattr(store.database, "check_present", away)
    await TextDuty(store).read()
    assert "reading what is searched: waiting for the database" in caplog.text
