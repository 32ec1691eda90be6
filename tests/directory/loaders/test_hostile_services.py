"""What a directory service answers that is broken or hostile: a load ends with a reason, and the next one is tried."""

from __future__ import annotations

import gzip
import json
import tracemalloc
from datetime import timedelta
from itertools import count

import httpx2
import pytest

from gatekeeper.directory.loaders import https_service
from gatekeeper.directory.loaders.entra import ask_entra
from gatekeeper.directory.loaders.google import ask_google
from gatekeeper.directory.loaders.https_service import Link
from gatekeeper.directory.loaders.server_cache import ServerAnswer, ServerCopies, SourceDown
from tests.directory.loaders.test_entra import ENTRA, key_file
from tests.peers.graph import Cloud

SECRET = "s3cr3t-of-the-application"
OPTIONS = {**ENTRA, "subject": "a@example.gov", "key_file": "k", "server": "https://h", "login": "https://h"}


def asked(answer: httpx2.Response, token: httpx2.Response | None = None, ask=ask_entra) -> str:
    """Why a load ends where every page is this answer."""
    given = token or httpx2.Response(200, json={"access_token": "t0ken-of-the-load"})
    told = httpx2.MockTransport(lambda request: given if request.method == "POST" else answer)
    secret = SECRET if ask is ask_entra else key_file(Cloud())
    copy = ServerCopies().of("key", lambda: ask(OPTIONS, secret, Link(transport=told)), timedelta(hours=1))
    assert copy.problem and not copy.rows
    return copy.problem


@pytest.mark.parametrize("encoding", ["gzip", "gzip, gzip", "br", "x-unknown"])
def test_an_answer_that_is_compressed_is_not_unpacked(encoding):
    bomb = gzip.compress(gzip.compress(bytes(256 << 20), 9), 9)
    answer = httpx2.Response(200, headers={"Content-Encoding": encoding}, stream=httpx2.ByteStream(bomb))
    tracemalloc.start()
    try:
        assert "compressed" in asked(answer)
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("ask", [ask_entra, ask_google])
@pytest.mark.parametrize(
    "page",
    [
        {"value": [], "@odata.nextLink": "https://h/\ud800", "kind": "k", "nextPageToken": "\ud800"},
        {"value": [], "@odata.nextLink": "https://h:x/", "kind": "k", "nextPageToken": {"a": 1}},
        {"value": [], "@odata.nextLink": "http://h/v1.0/users", "kind": "k", "nextPageToken": 7},
        {"value": [], "@odata.nextLink": "https://h@elsewhere.example/", "kind": 1, "users": {}},
    ],
    ids=["surrogate", "port", "http", "login"],
)
def test_a_page_that_leads_nowhere_ends_a_load(ask, page):
    answer = httpx2.Response(200, content=json.dumps(page).encode())
    assert "\ud800" not in asked(answer, ask=ask)


def test_pages_without_end_are_not_kept(monkeypatch):
    monkeypatch.setattr(https_service, "_MOST_ENTRIES", 1_000)
    numbers = count()

    def answer(request: httpx2.Request) -> httpx2.Response:
        if request.method == "POST":
            return httpx2.Response(200, json={"access_token": "t"})
        people = [{"id": f"{next(numbers)}", "mail": None}] * 99
        return httpx2.Response(200, json={"value": people, "@odata.nextLink": f"https://h/{next(numbers)}"})

    with pytest.raises(SourceDown, match="more than 1,000 entries"):
        ask_entra(OPTIONS, SECRET, Link(transport=httpx2.MockTransport(answer)))
    assert next(numbers) < 40


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_nobody_is_led_elsewhere(status):
    away = httpx2.Response(status, headers={"Location": "https://elsewhere.example.org/"})
    assert f"answered {status}" in asked(away)
    assert f"answered {status}" in asked(away, away)


def test_a_secret_that_is_given_back_is_not_told():
    words = f"wrong: {'x' * 180} {SECRET}"
    echo = httpx2.Response(401, json={"error": "invalid_client", "error_description": words})
    assert "s3cr" not in asked(echo, echo) and "invalid_client" in asked(echo, echo)
    again = httpx2.Response(403, json={"error": {"code": "x", "message": "your t0ken-of-the-load is bad"}})
    assert "t0ken" not in asked(again) and "is bad" in asked(again)


def test_a_fault_beside_does_not_end_all_further_loads():
    copies, times = ServerCopies(patience=5.0, clock=lambda: now), []
    now = 0.0

    def ask() -> ServerAnswer:
        times.append(now)
        if len(times) < 2:
            raise UnicodeEncodeError("utf-8", SECRET, 0, 1, "no such text")
        return ServerAnswer([{"address": "a@example.gov"}])

    first = copies.of("key", ask, timedelta(hours=1), slow=True)
    assert "UnicodeEncodeError" in first.problem and SECRET not in first.problem
    now = 60.0
    again = copies.of("key", ask, timedelta(hours=1), slow=True)
    assert not again.problem and again.rows and times == [0.0, 60.0]
