"""An open page hears what changes of what its reader may see, and nothing else; keys and colours are chosen."""

from __future__ import annotations

import json

from gatekeeper.console.live import Streams, Watch
from tests.console.browsing import send, told
from tests.console.test_pages import HEAD, NOBODY, browser, hold
from tests.ledger.scene import CIO


def watch(scene, by, **more):
    usual = {
        "ask": scene.service.newest_event,
        "look": lambda after: scene.service.changes(after, by),
        "is_alive": lambda: True,
        "after": scene.service.newest_event(),
    }
    return Watch(Streams(), **{**usual, **more})


async def heard(stream, number):
    """So many events of a stream: name and data."""
    found = []
    async for text in stream:
        for block in text.split("\n\n"):
            lines = dict(line.split(": ", 1) for line in block.splitlines() if ": " in line and line[0] != ":")
            if "event" in lines:
                found.append((lines["event"], json.loads(lines["data"])))
        if len(found) >= number:
            return found
    return found


async def test_a_decider_hears_what_waits_and_what_changes(scene):
    stream = watch(scene, CIO).stream(pause=0.01)
    assert await heard(stream, 1) == [("waiting", {"count": 0})]
    await hold(scene)
    stream = watch(scene, CIO, after=0).stream(pause=0.01)
    (mailing, waiting) = await heard(stream, 2)
    assert mailing[0] == "mailing" and mailing[1]["id"] == "M-1" and mailing[1]["state"] == "held"
    assert mailing[1]["version"] == scene.service.show(1).mailing.version and waiting == ("waiting", {"count": 1})
    scene.service.deny(1, CIO, "no")
    (mailing, waiting) = await heard(stream, 2)
    assert mailing[1]["state"] == "denied" and waiting == ("waiting", {"count": 0})


async def test_others_hear_nothing_of_what_is_not_for_them(scene):
    await hold(scene)
    scene.ask()
    assert await heard(watch(scene, NOBODY, after=0).stream(pause=0.01), 1) == [("waiting", {"count": 0})]
    names = [name for name, _ in await heard(watch(scene, HEAD, after=0).stream(pause=0.01), 3)]
    assert sorted(names) == ["mailing", "request", "waiting"]  # both of their agency


async def test_nothing_is_told_twice_and_what_came_late_is_told_all_the_same(scene):
    await hold(scene)
    seen = watch(scene, CIO, after=0)
    stream = seen.stream(pause=0.01)
    await heard(stream, 2)
    seen.after -= 1  # as on two nodes, where an earlier event is there later
    scene.ask()
    assert [name for name, _ in await heard(stream, 2)] == ["request", "waiting"]


async def test_the_stream_ends_with_the_session(scene, desk):
    client = browser(desk, CIO)
    token = client.cookies["gatekeeper"]
    seen = watch(scene, CIO, is_alive=lambda: desk.signins.is_alive(token))
    desk.signins.end(token)
    assert await heard(seen.stream(pause=0.01), 1) == []


async def test_the_stream_ends_with_the_console(scene):
    seen = watch(scene, CIO)
    seen.streams.closed = True
    assert await heard(seen.stream(pause=0.01), 1) == []


async def test_a_stream_is_no_use_of_a_session(scene, desk):
    token = browser(desk, CIO).cookies["gatekeeper"]
    for _ in range(3):
        assert desk.signins.is_alive(token)
        scene.now += 600
    scene.now += 1
    assert not desk.signins.is_alive(token)


async def test_four_pages_are_told_and_no_more(desk):
    client = browser(desk, CIO)
    assert all(desk.streams.begin(CIO) for _ in range(4)) and not desk.streams.begin(CIO)
    answer = client.get("/events")
    assert answer.status_code == 429 and "close some" in answer.text
    desk.streams.end(CIO)
    assert desk.streams.begin(CIO)


async def test_the_navigation_counts_what_waits(scene, desk):
    client = browser(desk, CIO)
    assert "data-waits" not in client.get("/mailings").text
    await hold(scene)
    assert "data-waits>1<" in client.get("/mailings").text
    scene.service.deny(1, CIO, "no")
    assert "data-waits" not in client.get("/mailings").text


async def test_colours_and_shortcuts_are_chosen_for_a_browser(desk):
    client = browser(desk, NOBODY)
    page = client.get("/account").text
    assert 'data-theme="auto"' in page and "data-shortcuts" in page
    answer = send(client, "/account", "/appearance", theme="dark", shortcuts=[])
    assert told(client, answer) == "Noted for this browser."
    page = client.get("/account").text
    assert 'data-theme="dark"' in page and "data-shortcuts" not in page
    odd = f'gatekeeper={client.cookies["gatekeeper"]}; gatekeeper-appearance=loud.off"><script>'
    assert 'data-theme="auto"' in client.get("/account", headers={"cookie": odd}).text
    assert send(client, "/account", "/appearance", theme="loud").status_code == 422
