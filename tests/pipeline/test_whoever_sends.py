"""One mailing stays one, whoever it says it is from: at most 20 people, however names rotate.

What is counted across the organisation is left out: it would stop all of these (tests/store/test_across.py).
"""

from __future__ import annotations

from itertools import cycle

import pytest

from gatekeeper.model import Client, Recipient, Transaction
from gatekeeper.pipeline.pipeline import Pipeline
from gatekeeper.policy.active import ActivePolicy
from gatekeeper.settings import Judging
from tests.pipeline.test_pipeline import NextHop
from tests.store.arrivals import people

RULES = """\
version: 1
agencies:
  DOA: {{name: Administration, domains: [doa.example.gov]}}
  DPHHS: {{name: Health, domains: [dphhs.example.gov]}}
mailing: {{source: {source}, across: off, within: 24h, gather: off, separate: [noreply@doa.example.gov]}}
mass: {{people: {{over: 10}}}}
rules:
  - {{id: approval, when: {{users: {{over: 20}}, agencies: {{over: 1}}}}, then: hold, say: Ask first.}}
"""
TEXT = b"""This year the enrolment for health insurance opens early and closes sooner than before, so please read what
changes for families, compare both plans carefully and choose whichever serves your household best this time.
"""


def named(number):
    return f"name{number}@doa.example.gov"


def made(to, number, author="boss@doa.example.gov", mail_from="boss@doa.example.gov", **more):
    """One message of a campaign to one person."""
    fields = {"From": author, "Subject": "Enrolment", "Message-ID": f"<{number}@x>", **more.pop("fields", {})}
    head = "".join(f"{name}: {value}\r\n" for name, value in fields.items() if value)
    content = head.encode() + b"\r\n" + more.pop("text", TEXT)
    return Transaction("smtp", Client("192.0.2.1"), mail_from, (Recipient(to),), content, **more)


# what one person's message is like; `n` goes up with each
CAMPAIGNS = {
    "as usual": lambda to, n: made(to, n),
    "MAIL FROM rotates outside": lambda to, n: made(to, n, mail_from=f"b{n}@example.org"),
    "MAIL FROM rotates inside": lambda to, n: made(to, n, mail_from=named(n)),
    "MAIL FROM that cannot be undone": lambda to, n: made(to, n, mail_from=f"bounces+SRS={n}ab=cd@example.gov"),
    "From rotates under one MAIL FROM": lambda to, n: made(to, n, author=named(n)),
    "From rotates outside under one login": lambda to, n: made(
        to, n, author=f"a{n}@example.org", mail_from=f"b{n}@example.org", login="boss@doa.example.gov"
    ),
    "From of a login without a domain": lambda to, n: made(
        to, n, author=f"boss@{n}.example.org", mail_from=f"b{n}@example.org", login="boss"
    ),
    "Sender rotates": lambda to, n: made(to, n, fields={"Sender": named(n)}),
    "one of two authors stays": lambda to, n: made(
        to, n, author=f"{named(n)}, boss@doa.example.gov", mail_from=f"b{n}@example.org"
    ),
    "From given twice": lambda to, n: made(
        to, n, author=f"boss@doa.example.gov\r\nFrom: {named(n)}", mail_from=f"b{n}@example.org"
    ),
    "no From, one MAIL FROM outside": lambda to, n: made(to, n, author="", mail_from="a@example.org"),
    "all names rotate, one Message-ID": lambda to, n: made(
        to, 1, author=named(n), mail_from=f"b{n}@example.org", fields={"Sender": f"s{n}@example.org"}
    ),
    "From is separate": lambda to, n: made(to, n, author="noreply@doa.example.gov"),
    "From is separate, MAIL FROM nobody": lambda to, n: made(
        to, n, author="noreply@doa.example.gov", mail_from=f"bounces+SRS={n}ab=cd@example.gov"
    ),
    "texts alone": lambda to, n: made(
        to, n, mail_from=f"b{n}@example.org", fields={"Subject": f"{'abcdefghi'[n % 9]}{n}"}
    ),
}
OF_AN_AGENCY = {
    "four colleagues": lambda to, n: made(to, n, author=named(n % 4), mail_from=named(n % 4)),
    "colleagues' names, from outside": lambda to, n: made(to, n, author=named(n), mail_from=f"b{n}@example.org"),
    "a name elsewhere, by colleagues": lambda to, n: made(to, n, author=f"a{n}@example.org", mail_from=named(n)),
}


@pytest.fixture
def pipeline(store, tmp_path, request):
    path = tmp_path / "rules.yaml"
    path.write_text(RULES.format(source=request.param))
    return Pipeline(Judging(path, "enforce", 0, "", "gate.example.gov"), ActivePolicy(path), store)


async def reached(pipeline, campaign):
    hop, held = NextHop(), 0
    for number, to in enumerate(people(30)):
        answer = await pipeline.receive(campaign(to, number), hop)
        held += "Held" in answer.text
    assert len(hop.added) + held == 30
    return len(hop.added)


@pytest.mark.parametrize("pipeline", ["sender"], indirect=True)
@pytest.mark.parametrize("campaign", CAMPAIGNS.values(), ids=CAMPAIGNS)
async def test_a_campaign_reaches_no_more_than_the_limit(pipeline, campaign):
    """Clause M1."""
    assert await reached(pipeline, campaign) == 20


@pytest.mark.parametrize("pipeline", ["agency"], indirect=True)
@pytest.mark.parametrize("campaign", OF_AN_AGENCY.values(), ids=OF_AN_AGENCY)
async def test_a_campaign_of_an_agency_reaches_no_more_than_the_limit(pipeline, campaign):
    """Clause M1: by text, across all that send for one agency."""
    assert await reached(pipeline, campaign) == 20


@pytest.mark.parametrize("pipeline", ["agency"], indirect=True)
async def test_what_is_only_said_to_be_an_agencys_holds_nothing_of_the_agency(pipeline):
    """An outsider sends an agency's own text under the agency's names."""
    assert await reached(pipeline, OF_AN_AGENCY["colleagues' names, from outside"]) == 20
    ours = cycle([named(70), named(71)])
    for number, to in enumerate(people(20, start=100)):
        sender = next(ours)
        answer = await pipeline.receive(made(to, f"o{number}", author=sender, mail_from=sender), NextHop())
        assert "queued" in answer.text
