"""`gatekeeper demo`: a sample day, told truly."""

from __future__ import annotations

from aiosmtpd.controller import Controller

from tests.peers import free_port
from tests.peers.gate import Gate


def mail_server(took):
    class Keeper:
        async def handle_DATA(self, server, session, envelope):
            took.append(envelope)
            return "250 ok"

    return Running(Keeper(), hostname="127.0.0.1", port=free_port())


class Running(Controller):
    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *error):
        self.stop()


def test_the_sample_day_has_a_message_of_every_verdict():
    took = []
    with Gate("maildir:out") as gate, mail_server(took) as other:
        refused = gate.cli("demo", "--listen", f"127.0.0.1:{other.port}", check=False).stderr
        assert "answers at" in refused and "is not the gate at" in refused and "--really sends" in refused
        verdicts = [(each["verdict"], each["rules"]) for each in gate.ask("demo")]
    assert verdicts == [
        ("relay", []),
        ("reject", ["subject"]),
        ("reject", ["blind-copy"]),
        ("warn", ["attachments"]),
        ("hold", ["approval"]),
    ]
    assert took == [], "what listens there is another than the one whose --ops said that mail goes to a maildir"


def test_a_next_hop_that_is_down_is_what_the_demo_says():
    with Gate(f"smtp://127.0.0.1:{free_port()}") as gate:
        refused = gate.cli("demo", check=False).stderr
        assert "relays to smtp:: expected one with --next-hop maildir:DIR; --really sends" in refused
        assert "to see it work" not in gate.log()
        replies = {each["reply"][:9] for each in gate.ask("demo", "--really")}
    assert replies == {"451 4.4.1"}
