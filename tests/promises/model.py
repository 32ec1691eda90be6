"""The naive model: whom a mailing reaches as plain sets of addresses, and what must hold of them and the database."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from functools import partial

from sqlalchemy import select

from gatekeeper.lifecycle import ACTIVE_MAILINGS
from gatekeeper.model import Action
from gatekeeper.store.db.hashing import keyed
from gatekeeper.store.db.schema import batches, jobs, mailing_keys, mailing_people, mailings, permits
from gatekeeper.store.mailing_keys import hash_arrival
from tests.promises.schedule import Send
from tests.promises.world import World

ON_ITS_WAY = ("released", "sent")
Rows = dict[str, list[tuple[str, str]]]  # by token, the states of its batches and of their mailings


@dataclass
class Part:
    """A mailing, or one part of it until something links the two."""

    counted: set[str] = field(default_factory=set)
    maybe: set[str] = field(default_factory=set)  # of those cut off in mid-decision
    reached: set[str] = field(default_factory=set)
    tokens: dict[str, Send] = field(default_factory=dict)

    def users(self, people: set[str]) -> set[str]:
        return {person for person in people if person.endswith(".gov")}


@dataclass
class Model:
    """What was sent, what was said, and what is so."""

    world: World
    parts: list[Part] = field(default_factory=lambda: [Part(), Part()])
    acknowledged: dict[str, Send] = field(default_factory=dict)
    said: Counter[str] = field(default_factory=Counter)  # token -> answers by which it may be at the next hop
    acts: list[str] = field(default_factory=list)  # approve, deny, withdraw, as they were done
    limit: int = 0  # the most in force in this round

    def part(self, send: Send) -> Part:
        """Where it counts. What would link two mailings that are both held goes with the older one."""
        if not send.links or len(self._mailings_of(self.parts[0]) | self._mailings_of(self.parts[1])) < 2:
            return self.parts[send.part]
        return min(self.parts, key=lambda part: min(self._mailings_of(part)))

    def link(self) -> None:
        """From here on the two parts are one, unless both were decided: a weak key leaves those be."""
        first, second = self.parts
        if first is second or len(self._mailings_of(first) | self._mailings_of(second)) > 1:
            return
        both = Part(*(getattr(first, name) | getattr(second, name) for name in ("counted", "maybe", "reached")))
        both.tokens = first.tokens | second.tokens
        self.parts = [both, both]

    # -- what was said -------------------------------------------------------------------------------------------

    def answered(self, send: Send, answer: object) -> None:
        """Note what became of one transaction. Property 5 is here: ordinary mail passes, at once."""
        if send.ordinary:
            relayed = self.world.hop.tried if self.world.schedule.busy else self.world.hop.relayed
            assert answer is None or send.token in relayed, f"ordinary mail was not relayed: {answer}"
            return
        self.said[send.token] += answer is None or answer.ok  # None where its client lost the connection
        part = self.part(send)
        part.tokens[send.token] = send
        passage = self.world.passages.get(send.token, [None])[-1]
        if answer is None or passage is None or (passage.failure and not passage.outcome):
            part.maybe |= send.people
        elif passage.outcome.verdict.action not in (Action.REJECT, Action.DEFER):
            part.counted |= send.people
        if answer is not None and answer.ok:
            self.acknowledged[send.token] = send

    # -- properties ----------------------------------------------------------------------------------------------

    def check(self, *, thoroughly: bool) -> None:
        """All properties that hold at any time; `thoroughly` also compares every set and batch."""
        rows = self._rows()
        self.check_limit(rows)
        if thoroughly:
            self.check_counts()
            self.check_kept(rows)

    def check_limit(self, rows: Rows) -> None:
        """Property 1: who was reached grows past the limit only under a permit, and no further than that allows."""
        ceiling = self._ceiling() if "approve" in self.acts else 0
        known = set().union(*(part.users(part.counted | part.maybe) for part in self.parts))
        assert ceiling <= len(known), f"a permit for {ceiling} users, of {len(known)} that were seen"
        allowed = max(self.limit, ceiling)
        for part in {id(part): part for part in self.parts}.values():
            reached = part.reached | self._reached(part, rows)
            users = part.users(reached)
            agencies = {user.partition("@")[2] for user in users}
            grew = len(reached) > len(part.reached)
            assert not grew or len(users) <= allowed or len(agencies) < 2, f"{len(users)} users reached of {allowed}"
            part.reached = reached

    def check_nobody(self) -> None:
        """Property 2: what came in one piece and is over the limit leaves whole or not at all."""
        everyone = set().union(*(part.users(part.counted) for part in self.parts))
        if len(everyone) > self.world.schedule.limit and len({user.partition("@")[2] for user in everyone}) > 1:
            assert not any(part.reached for part in self.parts), "somebody was reached by what came in one piece"

    def check_kept(self, rows: Rows) -> None:
        """Property 3: what was acknowledged is at the next hop, kept where it can still leave, or reported back."""
        for token in self.acknowledged:
            states = rows.get(token, [])
            assert self.world.hop.relayed[token] or any(state != "storing" for state, _ in states), f"{token} is lost"
            copies = [state for state, _ in states if state not in ("storing", "returned", "withdrawn")]
            assert len(copies) < 2, f"{token} is kept twice: {copies}"
            for state, mailing in states:
                assert state not in ("gathered", "held") or mailing == {"gathered": "gathering"}.get(state, state), (
                    f"{token} is {state} in a mailing that is {mailing}"
                )

    def check_counts(self) -> None:
        """Property 4: the people of the mailing in the database are those of the naive sets."""
        for part in {id(part): part for part in self.parts}.values():
            found = self._mailings_of(part)
            if not found:
                continue
            assert len(found) == 1, f"one mailing became {len(found)}"
            people, row = self._people(*found)
            secret = self.world.office.secret
            hashed = {keyed(secret, f"person {person}"): person for person in part.counted | part.maybe}
            assert len(people) == row["users"] + row["external"]
            unknown = [person for person in people if person not in hashed]
            assert not unknown, f"{len(unknown)} people are counted whom nobody wrote to"
            known = {hashed[person] for person in people}
            closed = {"deny", "withdraw"} & set(self.acts)
            least = part.reached if closed else part.counted
            assert known >= least, f"{len(least - known)} people are not counted"
            assert closed or known <= part.counted | part.maybe

    def check_copies(self) -> None:
        """Properties 3 and 6, at the end: each recipient has each copy once, and once more for each time that a worker
        was killed over it: after the next hop had it, and before that was written down.
        """
        sent = {token: sum(state == "sent" for state, _ in found) for token, found in self._rows().items()}
        copies = self.world.hop.copies
        for part in self.parts:
            for token, send in part.tokens.items():
                relayed = self.world.hop.relayed[token]
                assert relayed <= self.said[token], f"{token} was relayed {relayed} times of {self.said[token]}"
                due = relayed + sent.get(token, 0)
                for address in {recipient.address for recipient in send.transaction.recipients}:
                    most = due + self.world.in_flight[token, address]
                    found = copies[token, address]
                    assert due <= found <= most, f"{token}, {address}: {found} copies, not {due} to {most}"

    def check_settled(self) -> None:
        """At the end nothing is under way: what is kept is held, sent or returned, and reports are out."""
        under_way = {state for found in self._rows().values() for state, _ in found} & {"gathered", "released"}
        assert not under_way, f"batches are still {under_way}"
        kinds = Counter(self._call(lambda c: c.execute(select(jobs.c.kind).where(jobs.c.state == "due")).scalars()))
        assert not kinds, f"jobs still wait: {kinds}"
        self._check_reported()

    def _check_reported(self) -> None:
        """Who sent what people would not let go is told once a mailing, unless there is nobody to tell; no others."""
        sends = {token: send for part in self.parts for token, send in part.tokens.items()}
        ended = batches.c.state.in_(("returned", "withdrawn"))
        query = select(mailings.c.number, batches.c.parameters).join(batches).where(ended)
        returned: dict[str, list[Send]] = {}
        for number, parameters in self._call(lambda connection: connection.execute(query)):
            send = sends.get(parameters[0].partition("=")[2])
            returned.setdefault(f"report M-{number}", []).extend([send] if send else [])
        reports = {key: copies for key, copies in self.world.hop.copies.items() if key[0].startswith("report ")}
        many = {key: copies for key, copies in reports.items() if copies > 1 + self.world.in_flight[key]}
        assert not many, f"told more than once: {many}"
        told = {token for token, _ in reports}
        untold = {token for token, of_it in returned.items() if any(each.transaction.sender for each in of_it)} - told
        assert not untold, f"nobody was told: {untold}"
        assert told <= returned.keys(), f"told of what was not returned: {told - returned.keys()}"

    # -- the database --------------------------------------------------------------------------------------------

    def _call(self, query):
        def read(connection):
            found = query(connection)
            return list(found) if hasattr(found, "__iter__") else found

        return self.world.office.writer.read(read)

    def _rows(self) -> Rows:
        """Kept batches by token: their state, and their mailing's."""
        query = select(batches.c.parameters, batches.c.state, mailings.c.state).join(mailings)
        found: Rows = {}
        for parameters, state, mailing in self._call(lambda connection: connection.execute(query)):
            found.setdefault(parameters[0].partition("=")[2], []).append((state, mailing))
        return found

    def _reached(self, part: Part, rows: Rows) -> set[str]:
        on_its_way = {token for token, found in rows.items() if any(state in ON_ITS_WAY for state, _ in found)}
        tokens = (self.world.hop.tried | on_its_way) & part.tokens.keys()
        return {person for token in tokens for person in part.tokens[token].people}

    def _ceiling(self) -> int:
        return max(self._call(lambda connection: connection.execute(select(permits.c.ceiling)).scalars()), default=0)

    def _mailings_of(self, part: Part) -> set[int]:
        """Every mailing that takes in batches and to which a key of the part leads; what links has keys of both."""
        secret = self.world.office.secret
        own = [token for token, send in part.tokens.items() if not send.links]
        passages = [each for token in own for each in self.world.passages.get(token, ())]
        arrivals = [each.arrival for each in passages if each.arrival]
        keys = list({key for arrival in arrivals for key, _ in hash_arrival(secret, arrival).keys})
        return set(self._call(partial(_lead_to, keys=keys)))

    def _people(self, mailing_id: int):
        people = select(mailing_people.c.person).where(mailing_people.c.mailing_id == mailing_id)
        row = select(mailings).where(mailings.c.id == mailing_id)
        return (
            {bytes(person) for person in self._call(lambda connection: connection.execute(people).scalars())},
            self._call(lambda connection: connection.execute(row).mappings())[0],
        )


def _lead_to(connection, keys):
    found: set[int] = set()
    for start in range(0, len(keys), 500):
        query = (
            select(mailing_keys.c.mailing_id)
            .join(mailings)
            .where(mailing_keys.c.key.in_(keys[start : start + 500]), mailings.c.state.in_(ACTIVE_MAILINGS))
        )
        found.update(connection.execute(query).scalars())
    return found
