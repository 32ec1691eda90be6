"""The kinds of mail of a week, each as a function that yields the messages of one occasion."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tests.promises.campaigns.campaign import html, mail, multipart, plain
from tests.promises.week.organisation import Organisation, Person

_SUBJECTS = """\
Meeting|Question|Update|Quick question|Budget|Minutes|Lunch|Vacation|Contract|Invoice|Draft|Schedule|Report|Agenda|Notes
Follow-up|Next steps|Hello|Reminder|Request|Parking|Printer|Interview|Feedback|Proposal|Training|Thank you|Your visit
"""
_SHORT = """\
Thanks!|OK, will do.|See you then.|Got it, thanks.|Please see attached.|Sounds good to me.|Done.|Yes, please go ahead.
I am on it.|Can you call me?|Great, thank you very much.|No objections from my side.|Will get back to you tomorrow.
"""
SUBJECTS, SHORT = (each.replace("\n", "|").strip("|").split("|") for each in (_SUBJECTS, _SHORT))
TEAMS = (
    "________________________________________________________________________________\r\nMicrosoft Teams Need help?\r\n"
    "Join the meeting now\r\nMeeting ID: {id}\r\nPasscode: {code}\r\nDial in by phone\r\nFind a local number\r\n"
    "Phone conference ID: {id}\r\nFor organizers: Meeting options | Reset dial-in PIN\r\n{line}\r\n"
)
ZOOM = (
    "{name} is inviting you to a scheduled Zoom meeting.\r\n\r\nJoin Zoom Meeting\r\nhttps://zoom.example.com/j/{id}\r\n\r\n"
    "Meeting ID: {id}\r\nPasscode: {code}\r\nOne tap mobile\r\nDial by your location\r\nFind your local number\r\n"
)


@dataclass(frozen=True)
class Letter:
    """One message. Those of one matter are one mailing in truth."""

    kind: str
    matter: str
    sender: str
    recipients: tuple[str, ...]
    content: bytes
    login: str = ""
    client: str = "198.51.100.7"
    message_id: str = ""  # where something may answer it


class Post:
    """Makes letters for one organisation, and numbers matters."""

    def __init__(self, organisation: Organisation) -> None:
        self.organisation, self.chance = organisation, organisation.chance
        self.number = 0

    def matter(self, kind: str) -> str:
        self.number += 1
        return f"{kind} {self.number}"

    def _letter(self, kind: str, matter: str, person: Person, to: Sequence[str], subject: str, text: str) -> Letter:
        """A message of a person who is logged in, as four in five are."""
        body, message_id = f"{text}\r\n\r\n{person.signature}", self._id()
        content = mail(f"{person.name} <{person.address}>", subject, body, (message_id,))
        login = person.address if self.chance.random() < 0.8 else ""
        answered = message_id.removeprefix("Message-ID: ")
        return Letter(kind, matter, person.address, tuple(to), content, login, message_id=answered)

    def _id(self) -> str:
        return f"Message-ID: <{self.chance.randrange(10**12)}@mx.example.gov>"

    def _subject(self) -> str:
        """A subject of one word where it was a short night, else of several."""
        word = self.chance.choice(SUBJECTS)
        if self.chance.random() < 0.35:
            return word
        return f"{word}: {' '.join(self.organisation.text(1, 1).split()[:5]).strip('.')}"

    # -- people --

    def conversation(self) -> Iterator[Letter]:
        """A thread: a message, and answers in the form of one mail program, each with words of its own or few."""
        matter, one = self.matter("conversation"), self.organisation.one()
        others = [self.organisation.one() for _ in range(self.chance.randint(1, 4))]
        subject, text = self._subject(), self.organisation.text(1, 7)
        yield self._letter("conversation", matter, one, [each.address for each in others], subject, text)
        for _ in range(self.chance.choice((0, 0, 1, 1, 2, 3))):
            answering = self.chance.choice(others)
            own = self.chance.choice(SHORT) if self.chance.random() < 0.5 else self.organisation.text(1, 4)
            quoted = self._quoted(one, subject, text)
            answer = f"{own}\r\n\r\n{quoted}"
            yield self._letter(
                "reply", f"{matter} {answering.address}", answering, [one.address], f"Re: {subject}", answer
            )

    def _quoted(self, author: Person, subject: str, text: str) -> str:
        """The answered message as Gmail, Outlook or Apple Mail put it below."""
        form, quoted = self.chance.randrange(3), "> " + text.replace("\r\n", "\r\n> ")
        if form == 0:
            return f"On Mon, 23 Nov 2026 at 09:12, {author.name} <{author.address}> wrote:\r\n\r\n{quoted}"
        if form == 1:
            head = f"From: {author.name} <{author.address}>\r\nSent: Monday, November 23, 2026 9:12 AM\r\nTo: everybody"
            return f"________________________________\r\n{head}\r\nSubject: {subject}\r\n\r\n{text}"
        return f"Begin forwarded message:\r\n\r\n> From: {author.name}\r\n> Subject: {subject}\r\n> \r\n{quoted}"

    def short(self) -> Iterator[Letter]:
        """A few words about some subject, to one or two."""
        person = self.organisation.one()
        subject = f"Re: {self._subject()}" if self.chance.random() < 0.7 else self._subject()
        matter = self.matter("short")
        yield self._letter("short", matter, person, self.organisation.some(2), subject, self.chance.choice(SHORT))

    def thanks(self) -> Iterator[Letter]:
        """`Thanks!` to fifty people."""
        person = self.organisation.one()
        to = self.organisation.exactly(50)
        yield self._letter("thanks", self.matter("thanks"), person, to, f"Re: {self._subject()}", "Thanks!")

    def file(self) -> Iterator[Letter]:
        """A file with hardly a word, and its way on to others by those who got it."""
        matter, octets = self.matter("file"), self.chance.randbytes(3000)
        person, subject = self.organisation.one(), self._subject()
        for _ in range(self.chance.choice((1, 1, 2))):
            to = self.organisation.some(4)
            body = base64.encodebytes(octets).decode().replace("\n", "\r\n")
            disposition = 'Content-Disposition: attachment; filename="report.pdf"\r\nContent-Transfer-Encoding: base64'
            part = f"Content-Type: application/pdf\r\n{disposition}\r\n\r\n{body}"
            text = plain(f"{self.chance.choice(SHORT)}\r\n\r\n{person.signature}")
            content = multipart(person.address, subject, "mixed", [text, part], (self._id(),))
            yield Letter("file", f"{matter} {person.address}", person.address, tuple(to), content, person.address)
            person = self.organisation.one()
            subject = f"FW: {subject}"

    def link(self) -> Iterator[Letter]:
        """A link, and little else."""
        person = self.organisation.one()
        path = "".join(self.chance.choices("abcdefgh", k=12))
        text = f"https://news.example.org/{path}"
        to = self.organisation.some(3)
        yield self._letter("link", self.matter("link"), person, to, self._subject(), text)

    def shared_mailbox(self) -> Iterator[Letter]:
        """Several people answer under the address of their office, whose name stands in From."""
        person = self.organisation.one()
        office = self.chance.choice(self.organisation.offices(person))
        to = self.organisation.outside() if self.chance.random() < 0.6 else self.organisation.some(1)
        text = f"{self.organisation.text(2, 4)}\r\n\r\nYour office"
        content = mail(office, f"Your inquiry {self.chance.randrange(10**5)}", text, (self._id(),))
        yield Letter("shared mailbox", self.matter("office"), person.address, tuple(to), content, person.address)

    def invitation(self) -> Iterator[Letter]:
        """An invitation with the text that the program writes below each, and the answers to it."""
        person, matter = self.organisation.one(), self.matter("invitation")
        uid, subject = f"{self.chance.randrange(10**12)}@example.gov", self._subject()
        form = TEAMS if self.chance.random() < 0.7 else ZOOM
        numbers = {"id": self.chance.randrange(10**11), "code": self.chance.randrange(10**6)}
        text = form.format(name=person.name, line="_" * 80, **numbers)
        to = self.organisation.some(12)
        yield self._calendar(matter, person, to, (subject, text), uid, "REQUEST")
        for address in to[:3]:
            guest = Person(address, address, "")
            yield self._calendar(
                f"{matter} {address}", guest, [person.address], (f"Accepted: {subject}", ""), uid, "REPLY"
            )

    def _calendar(
        self, matter: str, person: Person, to: Sequence[str], words: tuple[str, str], uid: str, method: str
    ) -> Letter:
        subject, text = words
        event = f"BEGIN:VCALENDAR\r\nMETHOD:{method}\r\nBEGIN:VEVENT\r\nUID:{uid}\r\nEND:VEVENT\r\nEND:VCALENDAR"
        calendar = f"Content-Type: text/calendar; method={method}; charset=utf-8\r\n\r\n{event}"
        parts = [plain(text), html(text.replace("\r\n", "<br>")), calendar]
        content = multipart(person.address, subject, "alternative", parts, (self._id(),))
        return Letter("invitation", matter, person.address, tuple(to), content, person.address)

    def absence(self) -> Iterator[Letter]:
        """Absence notes to those who wrote, of a program that does not mark them as automatic."""
        person, matter = self.organisation.one(), self.matter("absence")
        text = "I am out of the office this week and have no access to my mail. In urgent matters please call the desk."
        for _ in range(self.chance.randint(1, 6)):
            yield self._letter(
                "absence", matter, person, self.organisation.some(1), f"Automatic reply: {self._subject()}", text
            )

    # -- machines --

    def automatic_reply(self, to: Letter) -> Iterator[Letter]:
        """An absence note as RFC 3834 wants it, to somebody who has written."""
        person = self.organisation.one()
        fields = (self._id(), "Auto-Submitted: auto-replied", f"In-Reply-To: {to.message_id}")
        content = mail(person.address, f"Automatic reply: {self._subject()}", "I am away until Monday.", fields)
        yield Letter("automatic reply", self.matter("auto"), "", (to.sender,), content)

    def bounce(self, of: Letter) -> Iterator[Letter]:
        """A delivery report of the organisation's own server, about mail that somebody has sent."""
        domain = self.chance.choice(self.organisation.domains)
        report = (
            f"Reporting-MTA: dns; mx.{domain}\r\n\r\nFinal-Recipient: rfc822; {self.organisation.outside()[0]}\r\n"
            "Action: failed\r\nStatus: 5.1.1"
        )
        parts = [
            plain("This is the mail system. Your message could not be delivered to one or more recipients."),
            f"Content-Type: message/delivery-status\r\n\r\n{report}",
            f"Content-Type: text/rfc822-headers\r\n\r\nMessage-ID: {of.message_id}\r\nSubject: x",
        ]
        kind = "report; report-type=delivery-status"
        content = multipart(f"MAILER-DAEMON@{domain}", "Undelivered Mail Returned to Sender", kind, parts)
        yield Letter("bounce", self.matter("bounce"), "", (of.sender,), content)

    def scan(self) -> Iterator[Letter]:
        """A copier sends what somebody has laid on it, from a network that is `separate`."""
        domain = self.chance.choice(self.organisation.domains)
        body = base64.encodebytes(self.chance.randbytes(900)).decode().replace("\n", "\r\n")
        disposition = 'Content-Disposition: attachment; filename="scan.pdf"\r\nContent-Transfer-Encoding: base64'
        parts = [plain("Scanned from the device. Please open the attached document."), ""]
        parts[1] = f"Content-Type: application/pdf\r\n{disposition}\r\n\r\n{body}"
        sender = f"scanner{self.chance.randrange(90)}@{domain}"
        content = multipart(sender, "Scanned document", "mixed", parts, (self._id(),))
        to = tuple(self.organisation.some(1))
        yield Letter("scan", self.matter("scan"), sender, to, content, client="192.0.2.5")

    def ticket(self) -> Iterator[Letter]:
        """The service desk's acknowledgement, under an address that is `separate`."""
        number = self.chance.randrange(10**6)
        text = f"We have received your request {number}. A technician will contact you within one working day."
        sender = f"tickets@{self.organisation.domains[0]}"
        content = mail(sender, f"[#{number}] {self._subject()}", text, (self._id(),))
        yield Letter("ticket", self.matter("ticket"), sender, tuple(self.organisation.some(1)), content)

    def cron(self) -> Iterator[Letter]:
        """The nightly output of a host, to those who look after it."""
        domain, host = self.organisation.domains[0], self.chance.randrange(300)
        sender, code = f"root@{domain}", self.chance.randrange(10**5)
        text = f"backup: volume {code} finished, {self.chance.randrange(10**9)} octets written\r\nno errors were found"
        to = [each.address for each in self.organisation.people[:3]]
        content = mail(sender, f"Cron <root@host{host}> /usr/local/bin/backup", text, (self._id(),))
        yield Letter("cron", "cron", sender, tuple(to), content)

    def monitoring(self) -> Iterator[Letter]:
        """A warning of one of many hosts, each under its own name, to the same few."""
        domain, host = self.organisation.domains[0], self.chance.randrange(300)
        sender = f"nagios@host{host}.{domain}" if self.chance.random() < 0.2 else f"nagios{host}@{domain}"
        text = "Notification Type: PROBLEM\r\nService: disk space on the root volume\r\nState: WARNING\r\nMore: low"
        to = [each.address for each in self.organisation.people[3:8]]
        content = mail(sender, "** PROBLEM Service Alert: disk space is WARNING **", text, (self._id(),))
        yield Letter("monitoring", "monitoring", sender, tuple(to), content)

    def list_post(self) -> Iterator[Letter]:
        """A post to a list of forty that the gate does not know, by Mailman with VERP and a munged From."""
        matter, author = self.matter("list"), self.organisation.one()
        domain = self.chance.choice(self.organisation.domains)
        name = f"talk{self.chance.randrange(max(30, self.organisation.size // 100))}"
        subject = f"[{name}] {self._subject()}"
        text = (
            f"{self.organisation.text(2, 6)}\r\n_______________________________________________\r\n{name} mailing list"
        )
        fields = (self._id(), f"List-Id: <{name}.{domain}>", f"Reply-To: {author.address}")
        content = mail(f"{author.name} via {name} <{name}@{domain}>", subject, text, fields)
        for address in self.organisation.exactly(40):
            verp = f"{name}-bounces+{address.replace('@', '=')}@{domain}"
            yield Letter("list", matter, verp, (address,), content)

    def forwarded(self) -> Iterator[Letter]:
        """A newsletter from elsewhere that forty people have forwarded to a mailbox outside, by SRS."""
        matter, vendor = self.matter("forwarded"), f"vendor{self.chance.randrange(200)}.example.com"
        author, subject, text = f"news@{vendor}", self._subject(), self.organisation.text(4, 9)
        content = mail(author, f"Vendor news: {subject}", text, (self._id(),))
        for person in self.organisation.chance.sample(self.organisation.people, 40):
            domain = person.address.partition("@")[2]
            srs = f"SRS0=h{self.chance.randrange(999)}=IX={vendor}=news@{domain}"
            yield Letter("forwarded", f"{matter} {person.address}", srs, tuple(self.organisation.outside()), content)

    def newsletter(self) -> Iterator[Letter]:
        """An agency's newsletter to some of its people, in the frame of all its newsletters."""
        domain = self.chance.choice(self.organisation.domains)
        own = [each.address for each in self.organisation.people if each.address.endswith(domain)][:45]
        frame = "You get this newsletter because you work for us. To read it in a browser, follow the link below."
        text = f"{frame}\r\n{self.organisation.text(6, 12)}\r\nUnsubscribe | Privacy | Contact"
        parts = [plain(text), html(text.replace("\r\n", "<br>"))]
        sender = f"newsletter@{domain}"
        content = multipart(sender, f"Newsletter {self.chance.randrange(50)}", "alternative", parts, (self._id(),))
        yield Letter("newsletter", self.matter("newsletter"), sender, tuple(own), content)

    def case_letter(self) -> Iterator[Letter]:
        """A letter of a case system, with a bounce address for each, from a network that is `separate`."""
        domain, number = self.organisation.domains[-1], self.chance.randrange(10**6)
        text = f"Dear applicant,\r\n\r\n{self.organisation.text(2, 5)}\r\n\r\nYour case number is {number}."
        content = mail(f"grants@{domain}", f"Your application {number}", text, (self._id(),))
        sender = f"bounce-{number}@{domain}"
        to = tuple(self.organisation.outside())
        yield Letter("case letter", self.matter("case"), sender, to, content, client="192.0.2.6")

    # -- mail to everybody --

    def to_everybody(self, share: float = 0.3) -> Iterator[Letter]:
        """An approved mail to many, in parts of 500, and what comes of it: answers and forwards of those who got it."""
        matter, head = self.matter("everybody"), self.organisation.people[0]
        subject, text = "Open enrolment begins on Monday", self.organisation.text(8, 8)
        everybody = self.organisation.exactly(int(len(self.organisation.people) * share))
        content = mail(head.address, subject, f"{text}\r\n\r\n{head.signature}", (self._id(),))
        for at in range(0, len(everybody), 500):
            yield Letter("everybody", matter, head.address, tuple(everybody[at : at + 500]), content, head.address)
        names = {each.address: each for each in self.organisation.people}
        for address in everybody[: len(everybody) // 10]:
            person, quoted = names[address], self._quoted(head, subject, text)
            own = self.chance.choice((*SHORT, "", "", self.organisation.text(1, 2)))
            forward = self.chance.random() < 0.5
            to = self.organisation.some(6) if forward else [head.address]
            answer = f"{own}\r\n\r\n{quoted}"
            kind = "forward" if forward else "answer"
            begins = "FW:" if forward else "RE:"
            yield self._letter(kind, f"{matter} {address}", person, to, f"{begins} {subject}", answer)
