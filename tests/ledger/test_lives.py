"""Lives of requests, permits and mailings at random: no path sends without a permit that covered it at that moment."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from sqlalchemy import delete

from gatekeeper.ledger.service import LedgerError, Narrowed, Sought, Terms, Wanted
from gatekeeper.store.db.schema import metadata
from tests.ledger.scene import CIO, DEPUTY, HEAD, SENDER, TODAY, Scene, limited
from tests.store.arrivals import NOON, people

LIMIT, DAY = 20, 86_400.0
# each message is a mailing of its own, so that each needs a permit of its own
SEPARATE = limited(LIMIT).replace("gather: off}", f"gather: off, separate: [{SENDER}]}}")
SUBJECTS = st.sampled_from(["one", "two"])
USERS = st.sampled_from([20, 21, 30, 40])
ASKED = st.sampled_from([21, 30, 40])  # fewer need no request
# an oracle beside lifecycle.py: what each act makes of each state
NEXT = {
    ("submitted", "approve"): "approved",
    ("submitted", "deny"): "denied",
    ("submitted", "changes"): "changes",
    ("submitted", "withdraw"): "withdrawn",
    ("submitted", "revise"): "submitted",
    ("changes", "revise"): "submitted",
    ("changes", "withdraw"): "withdrawn",
    ("approved", "withdraw"): "withdrawn",
    ("approved", "revoke"): "revoked",
    ("used", "revoke"): "revoked",
}


class Lives(RuleBasedStateMachine):
    """People, mail and time, in any order."""

    requests = Bundle("requests")

    def __init__(self, scene: Scene) -> None:
        super().__init__()
        scene.store.call(_empty)
        self.scene, scene.now = scene, NOON.timestamp()
        scene.hop.added.clear()
        self.states: dict[int, str] = {}
        self.held: dict[str, tuple[str, int]] = {}  # mailing -> subject and users

    # -- people --

    @rule(target=requests, subject=SUBJECTS, users=ASKED)
    def submit(self, subject, users):
        case = self.scene.ask(subject=subject, users=users, planned=self._today())
        number = int(case.request.id[2:])
        self.states[number] = "submitted"
        return number

    def _today(self):
        return TODAY + timedelta(days=round((self.scene.now - NOON.timestamp()) / DAY))

    @rule(number=requests, act=st.sampled_from(["deny", "changes", "withdraw", "revoke", "revise"]))
    def decide(self, number, act):
        service = self.scene.service
        verbs = {
            "deny": lambda: service.deny_request(number, DEPUTY, "no"),
            "changes": lambda: service.ask_changes_of_request(number, CIO, "fewer"),
            "withdraw": lambda: service.withdraw_request(number, HEAD),
            "revoke": lambda: service.revoke_request(number, CIO, "no more"),
            "revise": lambda: service.submit_again(number, Wanted(planned=self._today()), HEAD),
        }
        self._act(number, act, verbs[act])

    @rule(number=requests, uses=st.integers(1, 2))
    def approve(self, number, uses):
        self._act(number, "approve", lambda: self.scene.service.approve_request(number, CIO, terms=Terms(uses=uses)))

    def _act(self, number, act, verb):
        follows = NEXT.get((self._state(number), act))
        try:
            verb()
        except LedgerError as error:
            over = act == "approve" and "last day" in str(error)
            assert follows is None or over, f"{act} of a request that is {self._state(number)}: {error}"
            return
        assert follows is not None, f"{act} of a request that was {self.states[number]}"
        self.states[number] = follows

    def _state(self, number):
        state = self.scene.service.show_request(number).request.state.value
        known = self.states[number]
        assert state == known or (known, state) == ("approved", "used"), f"R-{number}: {known} became {state}"
        self.states[number] = state
        return state

    @rule(ceiling=USERS)
    def narrow(self, ceiling):
        for permit in self.scene.service.permits(Sought(("in force",))).rows:
            if ceiling < permit.ceiling:
                self.scene.service.narrow(int(permit.id[2:]), CIO, "fewer", Narrowed(max_users=ceiling))

    # -- mail and time --

    @rule(subject=SUBJECTS, users=USERS)
    def send(self, subject, users):
        before = self._permits()
        reply = asyncio.run(self.scene.send(people(users), subject=subject, text=b"short"))
        covering = {id for id, permit in before.items() if self._covers(permit, subject, users)}
        passed = "queued" in reply.text
        assert passed == (users <= LIMIT or bool(covering)), f"{users} users of {subject!r}: {reply.text}"
        used = {id for id, permit in self._permits().items() if permit.used > before[id].used}
        assert used <= covering and len(used) == (passed and users > LIMIT)
        if not passed:
            self.held[reply.text.split("as ")[1].split(":")[0]] = (subject, users)

    @rule()
    def meet(self):
        before = self._permits()
        asyncio.run(self.scene.rechecks.run_due())
        for id, permit in self._permits().items():
            for mailing in set(permit.mailings) - set(before[id].mailings):
                assert self._covers(before[id], *self.held.pop(mailing)), f"{mailing} was released by {id}"

    @rule(days=st.sampled_from([0.1, 1, 3]))
    def wait(self, days):
        self.scene.now += days * DAY

    def _permits(self):
        return {permit.id: permit for permit in self.scene.service.permits().rows}

    def _covers(self, permit, subject, users):
        in_time = permit.since <= self.scene.now <= permit.until
        return permit.state == "in force" and permit.subject == subject and users <= permit.ceiling and in_time

    @invariant()
    def no_permit_is_used_more_often_than_it_allows(self):
        for permit in self._permits().values():
            assert permit.used == len(permit.mailings) <= permit.uses


def _empty(connection):
    for table in reversed(metadata.sorted_tables):
        if table.name != "secrets":
            connection.execute(delete(table))


def test_lives_at_random(store, tmp_path):
    """Clauses M3, S2, S3 and S5."""
    scene = Scene(store, tmp_path, SEPARATE)
    run_state_machine_as_test(
        lambda: Lives(scene),
        settings=settings(
            max_examples=12,
            stateful_step_count=15,
            deadline=None,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
        ),
    )
