"""A mail transaction between MAIL and DATA: recipients that were accepted, and RCPTs whose replies are due."""

from __future__ import annotations

from collections.abc import Sequence

from gatekeeper.model import Client, Recipient
from gatekeeper.smtp.parameters import MailArgument
from gatekeeper.smtp.replies import Reply
from gatekeeper.smtp.session_replies import RECIPIENT_OK, SAY_MAIL


class MailTransaction:
    """MAIL and its recipients. RCPTs that come together are noted, asked about in one go, and answered in order."""

    def __init__(self, argument: MailArgument, client: Client) -> None:
        """Args: `argument` of MAIL; `client` is the one that the transaction is for."""
        self.argument, self.client = argument, client
        self.is_open = False  # the next hop has accepted MAIL
        self.accepted: list[Recipient] = []  # by the next hop, or by the gate itself
        self.refused = False  # the next hop has refused a recipient
        self.to_ask: list[Recipient] = []  # noted ones that the next hop answers
        self._own: list[Recipient] = []  # noted ones that the gate answers itself
        self._ours: dict[int, Reply] = {}  # place of a noted RCPT -> the gate's own reply to it

    @property
    def is_due(self) -> bool:
        """True where MAIL or a RCPT is to be answered."""
        return bool(self.to_ask) or not self.is_open or bool(self._ours)

    @property
    def recipients(self) -> int:
        """The number of recipients, noted RCPTs included."""
        return len(self.accepted) + len(self.to_ask) + len(self._ours)

    def note_own(self, recipient: Recipient) -> None:
        """Note a recipient that the gate itself answers; those of the next hop are added to `to_ask`."""
        self._own.append(recipient)
        self.note_refused(RECIPIENT_OK)

    def note_refused(self, refusal: Reply) -> None:
        """Note a RCPT that the gate refuses."""
        self._ours[len(self.to_ask) + len(self._ours)] = refusal

    def conclude(self, answers: Sequence[Reply]) -> Sequence[Reply]:
        """Note the next hop's answers to `to_ask`; return the replies to all noted RCPTs, in order."""
        asked, self.to_ask = self.to_ask, []
        if len(answers) > 1 and answers.count(answers[0]) == len(answers):  # of thousands nearly all are the same
            self.accepted += asked if answers[0].ok else []
            self.refused = self.refused or not answers[0].ok
        elif answers:
            accepted = [each for each, answer in zip(asked, answers, strict=True) if answer.ok]
            self.accepted += accepted
            self.refused = self.refused or len(accepted) < len(asked)
        return self._merged(answers) if self._ours else answers

    def _merged(self, answers: Sequence[Reply]) -> list[Reply]:
        ours, self._ours = self._ours, {}
        self.accepted += self._own
        self._own = []
        theirs = iter(answers)
        return [ours[place] if place in ours else next(theirs) for place in range(len(ours) + len(answers))]

    def refuse_all(self, refusal: Reply) -> list[Reply]:
        """Return the replies to all noted RCPTs where the next hop has refused MAIL with `refusal`."""
        answer = refusal if refusal.transient else SAY_MAIL
        noted = self._merged([answer] * len(self.to_ask))
        return [answer if each.ok else each for each in noted]
