"""A random schedule: one mailing, how it is cut up and in which order it comes, and what happens meanwhile.

A schedule is made of its seed and nothing else. Its figures are those of rules.yaml (2,000 users, cuts of 50 to 1,000,
mailings of up to 6,000) or the same made smaller, where more can happen in a second.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from random import Random

from gatekeeper.model import Client, Recipient, Transaction

QUIET, LIMIT, RETRY = 20.0, 300.0, 300.0  # seconds: of the gather, and until an MTA tries again
LIMITS = {"small": 40, "medium": 200, "full": 2000}  # users that a mailing may reach without approval
STEPS = ("received", "decided", "body-opened", "body-complete", "sealed", "notice-queued")
LATER_STEPS = ("gather-judged", "gather-ended", "leased", "body-read", "sent", "recorded", "finished")
TEXT = """The office moves across the river before winter begins. Please pack whatever belongs to your ctx into the
boxes that stand beside every printer, write your room number on two sides, and leave keys with the porter downstairs.
Movers collect everything on Thursday evening; nobody should stay behind after supper. Monday morning you will find the
boxes where your new ctx stands. Telephones keep their numbers, parking needs another permit, and the canteen opens
somewhat later than usual during that first week.
"""
OTHER_TEXT = """Open enrolment for health plans closes within days. Whoever wants to change coverage, add children or
leave dental insurance must hand in the form with a signature, either online or at any personnel counter. People who do
nothing remain covered as they were last year, though premiums rise slightly for families. Questions about pharmacies
abroad, glasses or retirement accounts are answered every afternoon by telephone, where waiting may take a while.
"""


@dataclass(frozen=True)
class Send:
    """One transaction, to be sent until it is answered for good; `people` are who it reaches, counted naively."""

    token: str  # goes along as ENVID, so that every copy is known again
    transaction: Transaction = field(repr=False)
    people: frozenset[str] = field(repr=False)
    part: int = 0  # of a mailing whose parts have no key in common until `links`
    links: bool = False
    ordinary: bool = False


@dataclass(frozen=True)
class Round:
    """What happens at one time, all at once, `pause` seconds after the last."""

    pause: float
    sends: tuple[Send, ...] = ()
    act: str = ""  # approve, deny, withdraw, reload, lower
    kill: str = ""  # a step, or "await"


@dataclass(frozen=True)
class Schedule:
    """Everything about one run."""

    seed: str
    limit: int
    sizes: tuple[int, ...]
    gather: str  # of rules.yaml
    workers: int
    lists: dict[str, tuple[str, ...]] = field(repr=False)
    rounds: tuple[Round, ...] = field(repr=False)
    end: str  # what people do with it once it is held: approve, deny or nothing
    after: tuple[Send, ...] = field(repr=False)  # what comes when they have
    calm: bool  # comes within `quiet` of each other, without a fault, and opens its gather with the first batch
    faulty: bool  # workers are killed
    busy: bool  # the next hop says 451 now and then
    joined_by: str

    @property
    def sends(self) -> list[Send]:
        return [send for each in self.rounds for send in each.sends]


def make(seed: str, scale: str) -> Schedule:
    """The schedule of a seed. Args: `scale` is a key of LIMITS, which the seed does not choose."""
    return _Maker(Random(f"{seed} {scale}"), seed, LIMITS[scale], most_batches=500 if scale == "full" else 300).make()


def naive(address: str) -> str:
    """One person's addresses made equal: an inside one without its +tag."""
    local, _, domain = address.lower().partition("@")
    return f"{local.partition('+')[0]}@{domain}" if domain.endswith(".gov") else f"{local}@{domain}"


def expand(addresses: Sequence[str], lists: dict[str, tuple[str, ...]]) -> Iterator[str]:
    """Everyone behind some addresses, lists within lists included."""
    for address in map(naive, addresses):
        if address in lists:
            yield from expand(lists[address], lists)
        else:
            yield address


class _Maker:
    def __init__(self, rng: Random, seed: str, limit: int, most_batches: int) -> None:
        self.rng, self.seed, self.limit = rng, seed, limit
        self.most_batches = most_batches
        self.sizes = tuple(max(2, limit * each // 2000) for each in (50, 100, 500, 1000))
        one_agency = rng.random() < 0.12
        self.domains = ("doa.example.gov",) if one_agency else ("doa.example.gov", "dphhs.example.gov")
        crew = tuple(self._user(index) for index in range(limit // 8))
        self.lists = {"crew@example.gov": crew, "all@example.gov": ("crew@example.gov", self._user(limit // 8))}
        self.joined_by = rng.choice(("subject", "subject", "message", "text", "queue", "agency", "chain"))
        self.calm = rng.random() < 0.35
        self.faulty = not self.calm and rng.random() < 0.4
        self.busy = not self.calm and rng.random() < 0.4
        self.seen: set[object] = set()
        self.numbered = 0

    def make(self) -> Schedule:
        rng = self.rng
        cuts = self._cuts()
        sends = self._sends(cuts)
        after = sends[len(sends) - rng.randint(0, min(4, len(sends) - 1)) :] if rng.random() < 0.6 else []
        sends = sends[: len(sends) - len(after)]
        gather = self._gather()
        rounds = self._rounds(sends)
        opens = rounds[0].sends and all(len(s.transaction.recipients) in self.sizes for s in _mail(rounds[0]))
        return Schedule(
            seed=self.seed,
            limit=self.limit,
            sizes=self.sizes,
            gather=gather,
            workers=rng.randint(2, 4),
            lists=self.lists,
            rounds=tuple(rounds),
            end="nothing" if self.joined_by == "chain" else rng.choice(("approve", "approve", "deny", "nothing")),
            after=tuple(after),
            calm=bool(self.calm and opens and gather.startswith("{at") and self.joined_by != "chain"),
            faulty=self.faulty,
            busy=self.busy,
            joined_by=self.joined_by,
        )

    def _gather(self) -> str:
        timing = f"quiet: {QUIET:.0f}s, limit: {LIMIT / 60:.0f}m"
        kind = "at" if self.calm else self.rng.choice(("at", "at", "at", "from", "off"))
        if kind == "off":
            return "off"
        what = f"at: {list(self.sizes)}" if kind == "at" else f"from: {self.rng.choice(self.sizes)}"
        return f"{{{what}, {timing}}}"

    # -- whom it reaches, and how it is cut -----------------------------------------------------------------------

    def _user(self, index: int) -> str:
        return f"user{index}@{self.domains[index % len(self.domains)]}"

    def _spelling(self, index: int) -> str:
        """A person's address, written in one of the ways that are all the same person."""
        if self.rng.random() < 0.03:
            return f"person{index}@example.org"
        address = self._user(index)
        chance = self.rng.random()
        if chance < 0.05:
            address = address.replace("@", f"+{self.rng.choice(('news', 'a+b'))}@")
        return address.title() if chance > 0.93 else address

    def _cuts(self) -> list[list[str]]:
        rng, most = self.rng, 3 * self.limit
        number = rng.choice((rng.randint(1, most), rng.randint(self.limit, most), rng.randint(1, self.limit)))
        style = rng.choice(("even", "even", "mixed", "singles"))
        if style == "singles":
            number = min(number, self.most_batches, self.limit + 60)
        size = 1 if style == "singles" else max(rng.choice(self.sizes), -(-number // self.most_batches))
        everyone = [self._spelling(index) for index in range(number)]
        cuts, start = [], 0
        while start < number:
            step = size if style != "mixed" else rng.choice((rng.randint(1, self.limit // 2), *self.sizes))
            cuts.append(everyone[start : start + step])
            start += step
        cuts += [rng.sample(everyone, min(number, rng.choice(self.sizes))) for _ in range(rng.choice((0, 0, 1, 4)))]
        cuts += [[name, self._user(rng.randrange(number))] for name in self.lists if rng.random() < 0.2]
        return self._ordered(cuts)

    def _ordered(self, cuts: list[list[str]]) -> list[list[str]]:
        order = self.rng.choice(("as cut", "tail first", "any"))
        if self.calm:  # what opens the gather is first
            return sorted(cuts, key=lambda cut: len(cut) not in self.sizes)
        if order == "any":
            self.rng.shuffle(cuts)
        return cuts[::-1] if order == "tail first" else cuts

    # -- transactions --------------------------------------------------------------------------------------------

    def _sends(self, cuts: list[list[str]]) -> list[Send]:
        parts = [0 if self.joined_by != "chain" or place < len(cuts) // 2 else 1 for place in range(len(cuts))]
        sends = [send for cut, part in zip(cuts, parts, strict=True) if (send := self._send(cut, part))]
        if self.joined_by == "chain" and {send.part for send in sends} == {0, 1}:
            self.rng.shuffle(sends)
            if link := self._send([self._user(0), self._user(1), "link@doa.example.gov"], 0, links=True):
                sends.insert(self.rng.randint(len(sends) // 2, len(sends)), link)
        return sends

    def _send(self, cut: list[str], part: int, *, links: bool = False) -> Send | None:
        """A batch; None where it would be taken for a resend of another (same people, Message-ID and content)."""
        unique = list({naive(address): address for address in cut}.values())
        if (key := (part, frozenset(unique))) in self.seen:
            return None
        self.seen.add(key)
        self.numbered += 1
        token = f"{self.seed}-{self.numbered}"
        transaction = self._transaction(token, unique, part, links)
        return Send(token, transaction, frozenset(expand(unique, self.lists)), part, links)

    def _transaction(self, token: str, recipients: list[str], part: int, links: bool) -> Transaction:
        rng, kind = self.rng, self.joined_by
        several = kind in ("message", "queue")
        upstream = f"4X{self.seed}@192.0.2.1" if kind == "queue" else None
        listener, sender = rng.choice(("smtp", "milter")), self._envelope_sender(recipients)
        content = self._content(token, part, links)
        login = f"clerk{rng.randrange(3)}@doa.example.gov" if several else None
        return Transaction(
            listener=listener,
            client=Client("192.0.2.1", "mx.example.gov", "mx.example.gov"),
            sender=sender,
            recipients=tuple(Recipient(address) for address in recipients),
            content=content,
            parameters=(f"ENVID={token}",),
            login=login or (None if sender else "head@doa.example.gov"),  # else From alone says whose it is
            authenticated=True,
            upstream=upstream,
        )

    def _envelope_sender(self, recipients: list[str]) -> str:
        kind = self.rng.random()
        if kind < 0.15:
            return ""
        if kind < 0.4:
            local, _, domain = recipients[0].partition("@")
            return f"news-bounces+{local}={domain}@doa.example.gov"
        return "head@doa.example.gov"

    def _content(self, token: str, part: int, links: bool) -> bytes:
        """A message whose keys are what the schedule is joined by."""
        subject, message_id, body = f"Move {self.seed}", f"{token}@x", f"Dear {token},\r\n\r\nplease come.\r\n"
        author = f"clerk{self.rng.randrange(3)}" if self.joined_by == "agency" else "head"
        if self.joined_by == "subject":
            subject = self.rng.choice((subject, f"Re: {subject}", subject.upper(), f"[staff] {subject}"))
        elif self.joined_by == "message":
            message_id, body = f"all-{self.seed}@x", TEXT
        elif self.joined_by == "queue":
            message_id, body = "", TEXT
        elif self.joined_by in ("text", "agency"):
            subject, body = f"{token.replace('-', ' for ')} here", TEXT
        else:  # two parts: one by its subject, one by its text; the link has the subject of one and the other's text
            subject = f"{token.replace('-', ' of ')} there" if part else f"Move {self.seed}"
            body = OTHER_TEXT if part or links else body
        head = f"From: Head <{author}@doa.example.gov>\r\nSubject: {subject}\r\n"
        head += f"Message-ID: <{message_id}>\r\n" if message_id else ""
        return f"{head}\r\n{body}\r\n".encode()

    def _ordinary(self) -> Send:
        self.numbered += 1
        token, to = f"{self.seed}-{self.numbered}", [self._user(self.rng.randrange(self.limit))]
        by = self.rng.choice(("head@doa.example.gov", f"user{self.numbered}@dphhs.example.gov"))
        words = self.rng.choice(("lunch", "minutes", "keys")) + "x" * self.numbered
        content = f"From: {by}\r\nSubject: {words}\r\nMessage-ID: <{token}@y>\r\n\r\nSee {words}.\r\n".encode()
        client, recipients = Client("192.0.2.2"), tuple(Recipient(address) for address in to)
        transaction = Transaction("smtp", client, by, recipients, content, (f"ENVID={token}",), authenticated=True)
        return Send(token, transaction, frozenset(to), ordinary=True)

    # -- when ----------------------------------------------------------------------------------------------------

    def _rounds(self, sends: list[Send]) -> list[Round]:
        streams, rounds = self.rng.choice((1, 3, 8, 20, 40)), list[Round]()
        waiting = list(sends)
        while waiting:
            most = 1 if waiting[0].links else self.rng.randint(1, streams)
            batch = [waiting.pop(0)]
            while waiting and len(batch) < most and not waiting[0].links:
                batch.append(waiting.pop(0))
            rounds.append(self._round(batch, sends))
        if self.calm:  # all of it within the time for which a gather may go on
            share = min(1.0, 0.9 * LIMIT / max(1.0, sum(each.pause for each in rounds)))
            rounds = [Round(each.pause * share, each.sends) for each in rounds]
        return rounds

    def _round(self, batch: list[Send], sends: list[Send]) -> Round:
        rng = self.rng
        ordinary = [self._ordinary() for _ in range(rng.choice((0, 0, 1, 3)))]
        if self.calm:
            return Round(rng.uniform(0, 0.9 * QUIET), (*batch, *ordinary))
        link = any(send.links for send in batch)
        repeats = [rng.choice(sends)] if rng.random() < 0.15 and self.joined_by != "chain" else []
        kill = rng.choice((*STEPS, *STEPS, *LATER_STEPS, "await", "await", "await"))
        act = "" if self.joined_by == "chain" else rng.choice(("approve", "deny", "withdraw", "reload", "lower"))
        return Round(
            pause=rng.choice((0, 0, 0.5, 1, 5, 19, 20.5, 21, 60, 305)),
            sends=(*batch, *(each for each in repeats if each not in batch), *ordinary),
            act=act if rng.random() < 0.08 else "",
            kill=kill if self.faulty and not link and rng.random() < 0.25 else "",
        )


def _mail(round_: Round) -> list[Send]:
    return [send for send in round_.sends if not send.ordinary]
