"""What the supervisor makes of signals, addresses and settings: SIGTERM drains, SIGHUP reaches all."""

from __future__ import annotations

import os
import re
import signal
import socket
from pathlib import Path

import pytest

from gatekeeper.settings import SettingsError, read_settings
from tests.faults.scene import Client, Downstream, held_as, message, on_wire, people, send
from tests.peers import wait_for
from tests.peers.gate import Gate
from tests.workers.scene import NO_GATHER, gate_of, lives, processes

ALL = ("worker-1", "worker-2", "worker-3", "office")


def folders_of_counts(gate: Gate) -> list[Path]:
    return list(gate.home.glob("gatekeeper-counts-*"))


def digests(gate: Gate) -> dict[str, str]:
    """The digest that each process judges by."""
    shown = re.findall(
        r'^gatekeeper_process_ruleset_info\{digest="(\w+)",process="([\w-]+)"\} 1\.0$',
        gate.page("/metrics")[1],
        re.MULTILINE,
    )
    return {process: digest for digest, process in shown}


@pytest.mark.parametrize("to_all", [True, pytest.param(False, marks=pytest.mark.soak)])
def test_sigterm_lets_messages_end(to_all):
    """Sent to the supervisor, as by a person, or to all processes, as by systemd."""
    contents = {name: message(name, 50_000) for name in ("one", "two", "three", "four")}
    with Downstream() as downstream, gate_of(2, downstream) as gate:
        children = list(processes(gate).values())
        assert len(folders_of_counts(gate)) == 1
        clients = {name: Client(gate.port) for name in [*contents, "idle"]}
        for client in clients.values():
            client.hello()
        for name, content in contents.items():
            assert clients[name].envelope(people(2)).startswith("354")
            clients[name].say(on_wire(content)[:20_000])
        assert gate.process is not None
        for process in (gate.process.pid, *(children if to_all else ())):
            os.kill(process, signal.SIGTERM)
        assert clients["idle"].reply().startswith("421 4.3.2")
        for name, content in contents.items():
            clients[name].say(on_wire(content)[20_000:])
            assert clients[name].reply() == "250 2.0.0 taken"
        assert gate.wait_dead() == 0
        assert not any(map(lives, children))
        for name, content in contents.items():
            assert downstream.copies(content) == dict.fromkeys(people(2), 1), name
        for client in clients.values():
            client.close()
        assert not folders_of_counts(gate)


def test_counts_are_their_owners_alone():
    """The files that the workers and the office keep their counters in, whatever the umask of the gate."""
    with Downstream() as downstream, gate_of(2, downstream) as gate:
        send(gate, people(2), message("counted"))
        (folder,) = folders_of_counts(gate)
        modes = {file.name: oct(file.stat().st_mode & 0o777) for file in folder.iterdir()}
        assert modes and set(modes.values()) == {"0o600"}, modes


def test_sighup_reaches_all():
    with Downstream() as downstream, gate_of(3, downstream) as gate:
        (old,) = set(digests(gate).values())
        assert set(digests(gate)) == set(ALL)
        assert gate.log().count(f"digest {old[:12]}") == 4
        gate.write("rules.yaml", NO_GATHER.replace("over: 2000", "over: 20"))
        gate.reload()
        wait_for(lambda: set(digests(gate)) == set(ALL) and old not in digests(gate).values(), gate.log)
        assert len(set(digests(gate).values())) == 1
        assert gate.metric("gatekeeper_ruleset_reloads_total", result="ok") == 2  # the office's
        for number in range(6):
            held_as(send(gate, people(21), message(f"{number}"), f"user{number}@doa.example.gov"))
        gate.write("rules.yaml", NO_GATHER.replace("hold", "hodl"))
        gate.reload()
        wait_for(lambda: gate.metric("gatekeeper_ruleset_reloads_total", result="failed") == 1, gate.log)
        wait_for(lambda: gate.log().count("the last good ones stay in force") == 4, gate.log)
        status, page = gate.page("/readyz")
        assert status == 200 and "hodl" in page, page
        assert page.count("the rules on disk cannot be used, the last good ones are in force: ") == 1, page
        gate.write("rules.yaml", NO_GATHER)
        gate.reload()
        wait_for(lambda: gate.page("/readyz") == (200, "ok\n"), gate.log)


def refused(gate: Gate) -> str:
    """What a gate says that does not start."""
    gate.start(wait=False)
    code = gate.wait_dead()
    assert not processes(gate), "processes were started"
    assert not folders_of_counts(gate)
    return f"{code}: {gate.log()}"


def test_what_cannot_be_had_ends_it_at_once():
    gate = Gate("maildir:out", flags=["--workers", "2"])
    gate.environment["TMPDIR"] = str(gate.home)
    try:
        with socket.create_server(("127.0.0.1", gate.port)):
            assert f"69: gatekeeper: --listen 127.0.0.1:{gate.port}: Address already in use" in refused(gate)
        gate.write("rules.yaml", NO_GATHER.replace("hold", "hodl"))
        said = refused(gate)
        assert said.startswith("78: ") and "rules.yaml:" in said
    finally:
        gate.__exit__()


def test_no_workers_are_no_gate():
    with pytest.raises(SettingsError, match="--workers: 0 workers take in no mail: expected 1 or more"):
        read_settings({"workers": "0"}, {})


def test_what_holds_for_the_gate_is_divided_among_workers():
    given = {"workers": "3", "max_connections": "100", "max_connections_per_client": "20", "outage_allowance": "100"}
    settings = read_settings(given, {}).share_of_worker()
    assert (settings.listening.max_connections, settings.listening.max_connections_per_client) == (34, 20)
    assert settings.judging.outage_allowance == 33
    assert settings.listening.memory_for_content == (64 << 20) // 3
