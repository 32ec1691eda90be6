"""Recipients whose local part routes: a Postfix behind the gate delivers them, and the gate counts whom they reach."""

from __future__ import annotations

import smtplib
from collections.abc import Iterator

import pytest

from tests.directory.test_routed_local_parts import LED, OUTSIDE
from tests.peers import wait_for
from tests.peers.gate import RULES, Gate
from tests.peers.postfix import Postfix

OWN = "example.gov, doa.example.gov, dphhs.example.gov, undeclared.example.gov, localhost"
LIMITED = RULES.replace("over: 2000", "over: 20").replace("over: 200}", "over: 10}")
LIMITED = LIMITED.replace("agencies:\n", "domains: [example.gov]\nagencies:\n", 1)
FORMS = (
    "u{}%dphhs.example.gov@example.gov",
    "dphhs.example.gov!u{}@example.gov",
    '"u{}@dphhs.example.gov"@example.gov',
    "u{}%dphhs.example.gov@localhost",
    "u{}%dphhs.example.gov@[127.0.0.1]",
    "u{}%dphhs.example.gov%localhost@doa.example.gov",
    '"@r1:u{}%dphhs.example.gov"@example.gov',
    '"@r1,@r2:dphhs.example.gov!u{}"@example.gov',
)


@pytest.fixture(scope="module")
def behind() -> Iterator[Postfix]:
    """A Postfix that is the mail server of the organisation, and keeps all that it gets."""
    main = {"mydestination": OWN, "local_transport": "virtual:"}
    with Postfix(receives=True, main=main) as postfix:
        yield postfix


def deliver(postfix: Postfix, addresses: list[str]) -> dict[str, str]:
    """Where it delivers each of the addresses, in lower case; those that it refuses are left out."""
    taken: dict[str, str] = {}
    with smtplib.SMTP("127.0.0.1", postfix.port) as client:
        client.ehlo("gate.example.gov")
        for number, address in enumerate(addresses):
            client.mail("jo@doa.example.gov")
            if (
                client.docmd("RCPT", f"TO:<{address}>")[0] == 250
                and client.data(f"Subject: form {number}\n\nHello\n")[0] == 250
            ):
                taken[f"form {number}"] = address
            client.rset()
    wait_for(lambda: len(postfix.mails()) >= len(taken), lambda: f"{len(postfix.mails())} of {len(taken)}")
    found = {}
    for mail in postfix.mails():
        subject = mail.content.partition(b"Subject: ")[2].partition(b"\r\n")[0].decode()
        found[taken[subject]] = mail.recipient.lower()
    return found


def test_postfix_delivers_them_where_the_gate_counts_them() -> None:
    """The table of tests/directory/test_routed_local_parts.py is what a Postfix does that has these domains."""
    counted = LED | OUTSIDE
    with Postfix(receives=True, main={"mydestination": OWN, "local_transport": "virtual:"}) as postfix:
        found = deliver(postfix, list(counted))
    assert len(found) > 30
    otherwise = {form: (there, counted[form]) for form, there in found.items() if there != counted[form]}
    assert set(otherwise) <= NOT_POSTFIX, otherwise


# tags, IPv6 and names that this Postfix has not, and forms that other mail servers read on
NOT_POSTFIX = {
    "u+x%dphhs.example.gov@doa.example.gov",  # the gate cuts tags
    "u%dphhs.example.gov@[IPv6:::1]",  # it has no IPv6
    "u%dphhs.example.gov@[192.0.2.99]",  # which is not its own
    "x.example.org!u%dphhs.example.gov@example.gov",
    "jo@[IPv6:::ffff:127.0.0.1]",
    "u%host@example.gov",  # to a host without a dot, which counts as it stands
    "u%host%dphhs.example.gov@example.gov",
}


def test_mass_mail_in_such_forms_is_held(behind: Postfix) -> None:
    """Clause M1: users of an agency are counted, by whatever address."""
    with Gate(f"smtp://127.0.0.1:{behind.port}", rules=LIMITED) as gate:
        recipients = [FORMS[number % len(FORMS)].format(number) for number in range(20)]
        head = "From: jo@doa.example.gov\r\nMessage-ID: <1@doa.example.gov>\r\nSubject: Open enrolment\r\n\r\nHello\r\n"
        code, text = gate.send("jo@doa.example.gov", [*recipients, "a@doa.example.gov"], head.encode())
        assert code == 250 and "Held for approval as M-1" in text
        (mailing,) = gate.mailings("held")
        assert (mailing["users"], mailing["external"], sorted(mailing["agencies"])) == (21, 0, ["DOA", "DPHHS"])
        small = head.replace("enrolment", "day").replace("<1@", "<2@").encode()
        assert gate.send("jo@doa.example.gov", recipients[:6], small)[0] == 250

        def readers() -> list[str]:
            return [mail.recipient for mail in behind.mails() if b"<2@doa" in mail.content]  # not those of notices

        wait_for(lambda: len(readers()) >= 6, behind.log)
        assert sorted(readers()) == [f"u{number}@dphhs.example.gov" for number in range(6)]
