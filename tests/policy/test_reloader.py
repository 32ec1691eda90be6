"""Rules, directory and lists are read anew where their contents changed, whole or not at all."""

from __future__ import annotations

import asyncio
import os

import pytest

from gatekeeper.directory.loaders.sources import SourceSize
from gatekeeper.policy import active
from gatekeeper.policy.active import ActivePolicy, PolicyError
from gatekeeper.policy.reloader import Reloader, SourceRecords
from gatekeeper.store import Database, Store
from tests.peers.gate import RULES

LIST = "lists:\n  staff@example.gov: {file: staff.txt}\n"


@pytest.fixture(autouse=True)
def no_pause(monkeypatch):
    monkeypatch.setattr(active, "_SETTLED_SECONDS", 0)


@pytest.fixture
def path(tmp_path):
    (tmp_path / "staff.txt").write_text("a@doa.example.gov\n")
    (tmp_path / "rules.yaml").write_text(RULES + LIST)
    return tmp_path / "rules.yaml"


def reached(held):
    return set(held.current.directory.reach(["staff@example.gov"]).users)


def test_what_has_not_changed_is_not_even_parsed(path, monkeypatch):
    held = ActivePolicy(path)
    monkeypatch.setattr(active, "read_policy", None)
    os.utime(path)
    assert held.poll() is False


@pytest.mark.parametrize("name", ["rules.yaml", "staff.txt"])
def test_a_change_of_any_file_is_seen_though_size_and_time_are_the_same(path, name):
    held, file = ActivePolicy(path), path.parent / name
    before, status = held.current, file.stat()
    file.write_text(file.read_text().replace("a@doa", "b@doa") if name == "staff.txt" else RULES[:-1] + " \n" + LIST)
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert held.poll() is True and held.current is not before
    assert reached(held) == {"b@doa.example.gov" if name == "staff.txt" else "a@doa.example.gov"}


def test_links_that_are_exchanged_as_a_config_map_does(tmp_path):
    for version, member in (("one", "a@doa.example.gov"), ("two", "b@doa.example.gov")):
        (tmp_path / version).mkdir()
        (tmp_path / version / "rules.yaml").write_text(RULES + LIST)
        (tmp_path / version / "staff.txt").write_text(f"{member}\n")
    (tmp_path / "..data").symlink_to("one")
    for name in ("rules.yaml", "staff.txt"):
        (tmp_path / name).symlink_to(f"..data/{name}")
    held = ActivePolicy(tmp_path / "rules.yaml")
    (tmp_path / "new").symlink_to("two")
    (tmp_path / "new").rename(tmp_path / "..data")
    assert held.poll() is True and reached(held) == {"b@doa.example.gov"}


def test_a_file_that_is_still_being_written_is_left_until_it_is_whole(path, monkeypatch):
    """Half a rules file can be a valid one, with half of its rules."""
    held = ActivePolicy(path)
    whole = RULES + LIST + "# the end\n"
    path.write_text(RULES[: RULES.index("  - id: subject")])
    monkeypatch.setattr(active.time, "sleep", lambda seconds: path.write_text(whole))
    assert held.poll() is False and len(held.current.ruleset.rules) == 4
    assert held.poll() is True and held.current.ruleset.text == whole


def test_a_file_that_is_mended_while_we_look_is_no_error(path, monkeypatch):
    held = ActivePolicy(path)
    path.write_text("rules: [")
    monkeypatch.setattr(active.time, "sleep", lambda seconds: path.write_text(RULES + LIST + "\n"))
    assert held.poll() is True


@pytest.mark.parametrize("broken", ["rules: [", None])
async def test_what_cannot_be_read_leaves_what_is_in_force_and_is_told_once(path, broken, caplog):
    tried = []
    held = ActivePolicy(path)
    reloading = Reloader(held, tried.append)
    good = held.current
    path.write_text(broken) if broken else path.unlink()
    for _ in range(3):
        await reloading.poll()
    assert held.current is good and tried == [False]
    path.write_text(RULES + LIST + "# mended\n")
    await reloading.poll()
    assert held.current is not good and tried == [False, True]


@pytest.mark.parametrize("broken", ["peers: [", None])
async def test_peers_are_read_anew_as_the_rules_are(path, broken, caplog):
    tried, peers = [], path.parent / "peers.yaml"
    peers.write_text("peers: {a: {networks: 192.0.2.1}}\n")
    held = ActivePolicy(path, peers=peers)
    reloading = Reloader(held, tried.append)
    peers.write_text(broken) if broken else peers.unlink()
    for _ in range(2):
        await reloading.poll()
    assert [peer.name for peer in held.current.peers.peers] == ["a"] and tried == [False]
    assert caplog.text.count("peers.yaml") == 1 and "peers.yaml" in reloading.problem
    peers.write_text("peers: {b: {networks: 192.0.2.1}}\n")
    await reloading.poll()
    assert [peer.name for peer in held.current.peers.peers] == ["b"] and tried == [False, True]
    assert held.poll() is False


def test_a_gate_does_not_start_on_peers_that_it_cannot_read(path):
    with pytest.raises(PolicyError, match="--peers names the peers"):
        ActivePolicy(path, peers=path.parent / "none.yaml")
    (path.parent / "peers.yaml").write_text("peers: {a: {network: 192.0.2.1}}\n")
    with pytest.raises(PolicyError, match=r"peers.yaml:1:13: unknown key 'network'"):
        ActivePolicy(path, peers=path.parent / "peers.yaml")


async def test_that_it_is_good_again_is_told_also_where_it_is_as_before(path, caplog):
    caplog.set_level("INFO")
    good, tried = path.read_text(), []
    reloading = Reloader(ActivePolicy(path), tried.append)
    for text in (good + "nonsense: 1\n", good, good + "# mended\n"):
        path.write_text(text)
        await reloading.poll()
        await reloading.poll()
    assert tried == [False, True, True]
    assert caplog.text.count("the rules on disk can be used again") == 1


def test_a_list_that_was_missing_is_found_when_it_comes(path):
    held = ActivePolicy(path)
    path.write_text(RULES + LIST.replace("staff.txt", "other.txt"))
    with pytest.raises(PolicyError, match="no such file"):
        held.poll()
    (path.parent / "other.txt").write_text("c@doa.example.gov\n")
    assert held.poll() is True and reached(held) == {"c@doa.example.gov"}


async def test_it_is_looked_at_again_and_again(path, monkeypatch):
    monkeypatch.setattr("gatekeeper.policy.reloader._SECONDS", 0.01)
    came = asyncio.Event()
    loop = asyncio.get_running_loop()
    reloading = Reloader(ActivePolicy(path), lambda went_well: loop.call_soon_threadsafe(came.set))
    reloading.start()
    path.write_text(RULES + LIST + "# changed\n")
    await asyncio.wait_for(came.wait(), 30)
    await reloading.stop()


async def test_that_the_sizes_of_sources_cannot_be_read_is_logged_once(path, tmp_path, caplog):
    store = Store(Database(f"sqlite:///{tmp_path}/gate.db", 5))
    store.open()
    records = SourceRecords(ActivePolicy(path), store)
    (tmp_path / "gate.db").unlink()
    assert not await records.load() and not await records.load()
    assert caplog.text.count("the sizes of directory sources: waiting for the database") == 1
    store.close()


def test_nobody_is_unknown_before_it_is_known_how_large_the_directory_was(path):
    (path.parent / "people.csv").write_text("address\na@doa.example.gov\n")
    path.write_text(RULES + "directory: [{csv: people.csv, complete: true}]\n")
    held = ActivePolicy(path)
    assert held.sources.unproven and not held.is_unknown("b@doa.example.gov")
    held.sources.learn({"people.csv": SourceSize(1)})
    assert held.is_unknown("b@doa.example.gov") and not held.is_unknown("a@doa.example.gov")
