"""The limit is exact: what is within it is relayed at once, and what is over it reaches nobody."""

from tests.faults.scene import LIMIT, Downstream, held_as, message, people, send
from tests.peers.gate import Gate

ONE_AGENCY = ("doa.example.gov", "tax.doa.example.gov")


def test_relayed_up_to_the_limit_and_held_over_it():
    with Downstream() as downstream, Gate(downstream.address) as gate:
        for name, recipients in {"at the limit": people(LIMIT), "one agency": people(2300, *ONE_AGENCY)}.items():
            assert send(gate, recipients, message(name)) == "250 2.0.0 taken"
            copies = downstream.copies(message(name))
            assert copies.total() == len(copies) == len(recipients)
        for name, recipients in {"one over": people(LIMIT + 1), "many": people(2400)}.items():
            held_as(send(gate, recipients, message(name)))
            assert not downstream.copies(message(name))
        assert [(held["users"], held["sent"]) for held in gate.mailings("held")] == [(2400, 0), (LIMIT + 1, 0)]
