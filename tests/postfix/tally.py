"""What came out against what went in: for each message what was lost, sent twice, or changed.

Every message has one blind recipient more, whose copy Postfix sends past the gate to a witness. It is what Postfix
would have sent without a gate, trace fields included; what came through the gate must be the same octets behind the one
field that the gate adds.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from tests.peers.sink import Mail, Sink
from tests.postfix.mails import Letter

WITNESS = "witness@direct.example.org"
_ADDED = re.compile(rb"Received: from [^\r\n]+\r\n\tby [^\r\n]+;\r\n\t[^\r\n]+\r\n")  # the gate's, and nothing else
_QUEUED = re.compile(rb"(?s)\AReceived: .*?\bid (\w+)")
_KEPT = ("RET=", "ENVID=", "BODY=", "SMTPUTF8", "NOTIFY=", "ORCPT=")


def witnessed(witness: Sink) -> dict[str, str]:
    """main.cf lines that send one more copy of everything to the witness, past the gate but by the same transport."""
    route = f"{{direct.example.org=gate:[127.0.0.1]:{witness.port}}}"
    return {"always_bcc": WITNESS, "transport_maps": f"inline:{{{route}}}"}


@dataclass
class Tally:
    """Messages by what became of them; a line for each that is not as it should be."""

    letters: Sequence[Letter]
    lost: list[str] = field(default_factory=list)
    twice: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)

    @property
    def messages(self) -> int:
        return len(self.letters)

    @property
    def recipients(self) -> int:
        return sum(len(set(letter.recipients)) for letter in self.letters)

    @property
    def clean(self) -> bool:
        return not (self.lost or self.twice or self.changed)

    def __str__(self) -> str:
        return (
            f"{self.messages} messages, {self.recipients} recipients: "
            f"{len(self.lost)} lost, {len(self.twice)} duplicated, {len(self.changed)} changed"
            + "".join(f"\n{line}" for line in [*self.lost, *self.twice, *self.changed][:20])
        )


def tally(
    letters: Sequence[Letter], passed: Iterable[Mail], witness: Iterable[Mail], *, envelopes: bool = True
) -> Tally:
    """Compare what the next hop has with what the witness has, for every message that was injected.

    Args: `envelopes` False where no ESMTP parameters are known of what passed.
    """
    expected = {queue_id(mail.content): mail for mail in witness}
    copies: dict[str, list[Mail]] = defaultdict(list)
    for mail in passed:
        copies[queue_id(without_trace(mail.content))].append(mail)
    result = Tally(letters)
    for letter in letters:
        _count(result, letter, copies.pop(letter.queue_id, []), expected.get(letter.queue_id), envelopes)
    result.twice += [f"nobody sent {name}" for name in copies]
    return result


def _count(result: Tally, letter: Letter, copies: list[Mail], expected: Mail | None, envelopes: bool) -> None:
    name = f"{letter.kind} {letter.queue_id}"
    got = Counter(address for mail in copies for address in mail.addresses)
    wanted = Counter(set(letter.recipients))
    result.lost += [f"{name}: {each}" for each in wanted - got]
    result.twice += [f"{name}: {each}" for each in got - wanted]
    if expected is None:
        result.lost.append(f"{name}: the witness has none")
    elif any(without_trace(mail.content) != expected.content for mail in copies):
        result.changed.append(f"{name}: content")
    elif envelopes:
        differences = {_difference(mail, letter, expected) for mail in copies}
        result.changed += [f"{name}: {difference}" for difference in differences if difference]


def _difference(mail: Mail, letter: Letter, expected: Mail) -> str:
    """How a copy's envelope differs from what Postfix sends by itself; "" where it does not.

    Postfix names each recipient's own address where nobody gave ORCPT.
    """
    given, asked = _kept(mail.mail_parameters), _kept(expected.mail_parameters)
    if (mail.sender, given) != (expected.sender, asked):
        return f"<{mail.sender}> {given}, not <{expected.sender}> {asked}"
    for address, parameters in mail.recipients:
        asked = _kept(letter.each) or {f"ORCPT={_orcpt(address)}"}
        if _kept(parameters) != asked:
            return f"<{address}> {parameters}, not {asked}"
    return ""


def _orcpt(address: str) -> str:
    plain = set(range(33, 127)) - set(b"+=")  # RFC 3461 4
    return "rfc822;" + "".join(chr(each) if each in plain else f"+{each:02X}" for each in address.encode())


def _kept(parameters: Iterable[str]) -> set[str]:
    return {each for each in parameters if each.startswith(_KEPT)}


def without_trace(content: bytes) -> bytes:
    """What is behind the gate's own trace field; the content as it is where there is none."""
    added = _ADDED.match(content)
    return content[added.end() :] if added else content


def queue_id(content: bytes) -> str:
    """What Postfix called the message, by the trace field that it put in front."""
    found = _QUEUED.match(content)
    return found[1].decode() if found else ""
