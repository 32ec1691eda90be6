"""Whom large lists reach is found off the event loop, so that other mail does not wait for it."""

from __future__ import annotations

import asyncio
import threading
from hashlib import blake2b

import pytest

from gatekeeper.directory import snapshot
from gatekeeper.directory.lists import as_watched
from gatekeeper.directory.snapshot import Directory
from gatekeeper.model import Client, Recipient, Transaction, WatchedList
from gatekeeper.pipeline.pipeline import Pipeline
from gatekeeper.policy.active import ActivePolicy
from gatekeeper.settings import Judging
from tests.pipeline.test_pipeline import NextHop
from tests.store.arrivals import people

JO = "jo@doa.example.gov"
RULES = """\
version: 1
agencies: {DOA: {name: Administration, domains: [doa.example.gov]}}
domains: [example.gov]
lists: {all@example.gov: {file: all.txt}, many@example.gov: {file: many.txt}, few@example.gov: {file: few.txt}}
mailing: {gather: off}
rules:
  - {id: alone, when: {users: {over: 1000}, unlisted: {over: 3}}, then: hold, say: Ask first.}
  - {id: reach, when: {reach: {of: many@example.gov, at_least: 100%}}, then: hold, say: Ask first.}
"""


@pytest.fixture
def path(tmp_path, monkeypatch):
    monkeypatch.setattr(snapshot, "_QUICK", 5)
    path = tmp_path / "rules.yaml"
    path.write_text(RULES)
    for name, members in (("all", people(30)), ("many", [*people(9), "all@example.gov"]), ("few", people(3))):
        (tmp_path / f"{name}.txt").write_text("\n".join(members))
    return path


@pytest.fixture
def asked(monkeypatch):
    """The lists that were looked into in the event loop's thread."""
    found, loop, expand = [], threading.get_ident(), Directory._expand

    def noting(self, name):
        if threading.get_ident() == loop and name not in self._expanded:
            found.append(name)
        return expand(self, name)

    monkeypatch.setattr(Directory, "_expand", noting)
    return found


def mail(*to, shown="undisclosed:;", original=()):
    content = f"From: {JO}\r\nTo: {shown}\r\nSubject: News\r\nMessage-ID: <1@x>\r\n\r\nHello\r\n".encode()
    recipients = tuple(Recipient(each, original) for each in to)
    return Transaction("smtp", Client("192.0.2.1"), JO, recipients, content, login=JO, authenticated=True)


@pytest.mark.parametrize(
    "message",
    [
        mail("all@example.gov"),
        mail("All+x@Example.GOV"),
        mail("all%example.gov@doa.example.gov"),
        mail(JO, shown="all@example.gov"),
        mail(*people(3), original=("ORCPT=rfc822;all@example.gov",)),
    ],
)
async def test_a_large_list_is_looked_into_off_the_loop(store, path, asked, message):
    pipeline = Pipeline(Judging(path, "enforce", 0, "", "gate.example.gov"), await start(path), store)
    await pipeline.receive(message, NextHop())
    assert asked == []


async def start(path):
    """Read the policy in a thread, as it is read anew."""
    return await asyncio.to_thread(ActivePolicy, path)


async def test_a_small_list_is_not_worth_a_thread(store, path, asked):
    pipeline = Pipeline(Judging(path, "enforce", 0, "", "gate.example.gov"), await start(path), store)
    await pipeline.receive(mail("few@example.gov", JO), NextHop())
    assert asked == ["few@example.gov"]


async def test_what_every_message_is_compared_with_is_found_when_the_rules_are_read(path):
    active = await start(path)
    directory = active.current.directory
    assert (directory._watched.keys(), directory._listed) == ({"many@example.gov"}, frozenset(people(30)))
    path.write_text(path.read_text().replace("of: many", "of: all"))
    await asyncio.to_thread(active.reload)
    assert active.current.directory._watched.keys() == {"all@example.gov"}


async def test_the_members_that_a_token_is_bound_to_are_found_off_the_loop(path, asked):
    policy = (await start(path)).current
    assert (await policy.members_of(["all@example.gov", JO])).keys() == {"all@example.gov"}
    assert asked == []


async def test_a_list_that_was_looked_into_is_not_looked_into_again(path):
    directory = (await start(path)).current.directory
    assert not directory.is_quick(["all@example.gov"])
    directory.watched("all@example.gov")
    assert directory.is_quick(["all@example.gov", JO])
    assert not directory.is_quick(["all@example.gov", "many@example.gov"]), "their union is made anew"


@pytest.mark.parametrize("number", [0, 1, 9, 10, 25])
def test_the_version_of_a_list_is_what_it_always_was(monkeypatch, number):
    members = frozenset(people(number))
    version = blake2b("\n".join(sorted(members)).encode(), digest_size=8).hexdigest()  # as databases have it
    monkeypatch.setattr("gatekeeper.directory.lists._PIECE", 5)
    assert as_watched(members) == WatchedList(members, version)
