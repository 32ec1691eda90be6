"""SIGTERM lets what is on its way end, and loses nothing; SIGHUP with bad rules changes nothing."""

from __future__ import annotations

import signal

from tests.faults.scene import Client, Downstream, approve, held_as, message, on_wire, people, send, wait_queue_empty
from tests.peers import wait_for
from tests.peers.gate import RULES, Gate
from tests.peers.sink import delay

ONE = people(1)


def ask_to_end(gate: Gate) -> None:
    assert gate.process is not None
    gate.process.send_signal(signal.SIGTERM)
    wait_for(lambda: "ending: mail on its way" in gate.log(), gate.log)


def test_sigterm_in_the_middle_of_messages():
    """A message that was begun is taken in and answered, held or relayed; who is idle or comes anew is sent away."""
    contents = {"relayed": (ONE, message("relayed", 50_000)), "held": (people(2400), message("held", 50_000))}
    with Downstream() as downstream, Gate(downstream.address) as gate:
        clients = {name: Client(gate.port) for name in [*contents, "idle"]}
        for client in clients.values():
            client.hello()
        for name, (recipients, content) in contents.items():
            assert clients[name].envelope(recipients).startswith("354")
            clients[name].say(on_wire(content)[:20_000])
        ask_to_end(gate)
        assert clients["idle"].reply().startswith("421 4.3.2")
        for name, (_, content) in contents.items():
            clients[name].say(on_wire(content)[20_000:])
        assert clients["relayed"].reply() == "250 2.0.0 taken"
        mailing = held_as(clients["held"].reply())
        assert gate.wait_dead() == 0
        for client in clients.values():
            client.close()
        assert downstream.copies(contents["relayed"][1]) == dict.fromkeys(ONE, 1)
        assert [held["id"] for held in gate.mailings("held")] == [mailing]


def test_sigterm_during_a_release():
    """The group under way is finished and written down; the next life sends the others, and nobody gets it twice."""
    content = message("release")
    with Downstream() as downstream, Gate(downstream.address, flags=["--lease", "1s"]) as gate:
        mailing = held_as(send(gate, people(2400), content))
        wait_queue_empty(gate)
        downstream.sink.at("DOT", delay(0.5))
        approve(gate, mailing)
        wait_for(lambda: bool(downstream.copies(content)), gate.log)
        assert gate.terminate() == 0
        sent = downstream.copies(content).total()
        assert 0 < sent < 2400 and gate.mailings()[0]["sent"] == sent
        downstream.sink.behave()
        gate.start()
        wait_queue_empty(gate)
        assert downstream.copies(content) == dict.fromkeys(people(2400), 1)


def test_sighup_with_bad_rules():
    with Downstream() as downstream, Gate(downstream.address) as gate:
        gate.write("rules.yaml", RULES.replace("hold", "hodl"))
        gate.reload()
        failed = {"result": "failed"}
        wait_for(lambda: gate.metric("gatekeeper_ruleset_reloads_total", **failed) == 1, gate.log)
        assert "the last good ones stay in force" in gate.log()
        held_as(send(gate, people(2400), message("mass")))
        gate.write("rules.yaml", RULES.replace("over: 2000", "over: 20"))
        gate.reload()
        wait_for(lambda: gate.metric("gatekeeper_ruleset_reloads_total", result="ok") == 2, gate.log)
        held_as(send(gate, people(21), message("not so many")))
        assert not downstream.sink.mails or not any(mail.sender for mail in downstream.sink.mails)
