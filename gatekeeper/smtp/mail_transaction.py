"""A mail transaction between MAIL and DATA: recipients that were accepted, and RCPTs whose replies are due."""

from __future__ import annotations

from collections.abc import Sequence

from gatekeeper.model import Client, Recipient, Refusal, Transaction
from gatekeeper.smtp.client_identity import ClientIdentity
from gatekeeper.smtp.parameters import MailArgument
from gatekeeper.smtp.replies import Reply
from gatekeeper.smtp.session_replies import NO_VALID, RECIPIENT_OK, SAY_MAIL, TOO_MANY_RECIPIENTS


class MailTransaction:
    """MAIL and its recipients. RCPTs that come together are noted, asked about in one go, and answered in order."""

    def __init__(self, argument: MailArgument, client: Client, room: int) -> None:
        """Args: `argument` of MAIL; `client` is the one that the transaction is for; `room` for so many recipients."""
        self.argument, self.client, self.room = argument, client, room
        self.is_answered = False  # MAIL was accepted
        self.accepted: list[Recipient] = []  # by the next hop, or on trust
        self.own: list[Recipient] = []  # recipients that are the gate's own
        self.beyond: list[Recipient] = []  # the next hop's limit: they are the gate's to send to, in further parts
        self.to_ask: list[Recipient] = []  # noted ones that the next hop answers
        self.was_refused = False  # a recipient, and not for a malformed command
        self.refused: list[Refusal] = []  # by the next hop, after they were accepted on trust
        self.put_off: dict[str, Reply] = {}  # address -> its reply; before `settle` of earlier messages
        self._ours: dict[int, Reply] = {}  # place of a noted RCPT -> the gate's own reply to it

    @property
    def is_due(self) -> bool:
        """True where MAIL or a RCPT is to be answered."""
        return bool(self.to_ask) or not self.is_answered or bool(self._ours)

    def note_all(self, recipients: list[Recipient]) -> None:
        """Note recipients that the next hop answers."""
        self.room -= len(recipients)
        self.to_ask += recipients

    def note(self, recipient: Recipient, answer: Reply | None) -> None:
        """Note a recipient. Args: `answer` is the gate's own; None where the next hop answers."""
        if answer is None:
            self.note_all([recipient])
            return
        self.note_reply(answer)
        if answer.ok:
            self.own.append(recipient)
            self.room -= 1
        else:
            self.was_refused = True

    def note_reply(self, reply: Reply) -> None:
        """Note the gate's own reply to a RCPT."""
        self._ours[len(self.to_ask) + len(self._ours)] = reply

    def conclude_one(self, recipient: Recipient, answer: Reply) -> Reply:
        """Note the next hop's answer to a recipient that was asked about by itself; return the reply to its RCPT."""
        if answer.ok:
            self.accepted.append(recipient)
            self.room -= 1
            return answer
        self.room -= 1
        return self._sort([recipient], [answer])[0]

    def trust(self) -> Sequence[Reply]:
        """Accept all noted recipients without asking; return the replies to all noted RCPTs, in order."""
        return self.conclude([RECIPIENT_OK] * len(self.to_ask))

    def conclude(self, answers: Sequence[Reply]) -> Sequence[Reply]:
        """Note the next hop's answers to `to_ask`; return the replies to all noted RCPTs, in order."""
        asked, self.to_ask = self.to_ask, []
        many = len(answers) > 1
        if answers and answers[0].ok and (not many or answers.count(answers[0]) == len(answers)):  # as nearly always
            self.accepted += asked
        else:
            answers = self._sort(asked, answers)
        return self._merged(answers) if self._ours else answers

    def _sort(self, asked: Sequence[Recipient], answers: Sequence[Reply]) -> list[Reply]:
        """Note who is accepted, beyond the next hop's limit or refused; return the replies to their RCPTs.

        A next hop's limit is not ours: where it takes anybody, those beyond it are accepted too. They get the message
        in further transactions.
        """
        self.accepted += [each for each, answer in zip(asked, answers, strict=True) if answer.ok]
        if self.accepted:
            self.beyond += [each for each, answer in zip(asked, answers, strict=True) if answer.is_beyond_limit]
            answers = [RECIPIENT_OK if answer.is_beyond_limit else answer for answer in answers]
        refused = sum(not answer.ok for answer in answers)
        self.room += refused
        self.was_refused = self.was_refused or refused > 0
        return list(answers)

    def _merged(self, answers: Sequence[Reply]) -> list[Reply]:
        ours, self._ours = self._ours, {}
        theirs = iter(answers)
        return [ours[place] if place in ours else next(theirs) for place in range(len(ours) + len(answers))]

    def refuse_all(self, refusal: Reply) -> list[Reply]:
        """Return the replies to all noted RCPTs where the next hop has refused MAIL with `refusal`."""
        answer = refusal if refusal.transient else SAY_MAIL
        noted = self._merged([answer] * len(self.to_ask))
        return [answer if each.ok else each for each in noted]

    def settle(self, opened: Reply, answers: Sequence[Reply]) -> Reply | None:
        """Note the next hop's answers to MAIL and to all recipients that were accepted on trust.

        Returns the reply that refuses DATA: where MAIL or all recipients are refused, or some are put off, since only
        the client can try again later.
        """
        if not opened.ok:
            return opened
        asked, self.accepted = self.accepted, []
        pairs = list(zip(asked, map(_as_meant, self._sort(asked, answers)), strict=True))
        refusals = [(recipient, answer) for recipient, answer in pairs if not answer.ok]
        self.refused = [Refusal(recipient, str(answer)) for recipient, answer in refusals]
        self.put_off = {recipient.address: answer for recipient, answer in refusals if not answer.permanent}
        if self.put_off or self.accepted or self.own:
            return next(iter(self.put_off.values()), None)
        return refusals[0][1] if refusals else NO_VALID

    def with_content(
        self, content: bytes, identity: ClientIdentity, authenticated: bool, peer: str = ""
    ) -> Transaction:
        """Return the whole transaction.

        Args: `authenticated` is True for a client in the --authenticated networks; `peer` is whose mail it is.
        """
        parameters = self.argument.parameters
        if parameters:
            parameters = tuple(each for each in parameters if not each.startswith("SIZE="))
        return Transaction(
            listener="smtp",
            client=self.client,
            sender=self.argument.address,
            recipients=(*self.accepted, *self.own, *self.beyond),
            content=content,
            parameters=parameters,
            login=identity.login,
            authenticated=bool(identity.login) or authenticated,
            upstream=identity.upstream,
            peer=peer,
            refused=tuple(self.refused),
            beyond=len(self.beyond),
        )


def _as_meant(answer: Reply) -> Reply:
    """Return 452 for a permanent reply to a recipient beyond the next hop's limit (RFC 5321 4.5.3.1.10)."""
    return TOO_MANY_RECIPIENTS if answer.permanent and answer.is_beyond_limit else answer
