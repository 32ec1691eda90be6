"""In which places mail joins, and whose it is: by login and MAIL FROM, and by From as far as these bear it out."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatekeeper.directory.loaders.load import load
from gatekeeper.message import read_facts
from gatekeeper.model import Client, Place, Recipient, Source, Transaction
from gatekeeper.policy.active import Policy
from gatekeeper.policy.evidence import source_of
from gatekeeper.rules import parse_ruleset

RULES = """\
version: 1
agencies:
  DOA: {name: Administration, domains: [doa.example.gov, "*.doa.example.gov"]}
  DEQ: {name: Environment, domains: [deq.example.gov]}
domains: [example.gov]
directory: [{csv: directory.csv}]
senders:
  governor@example.gov: {used_by: [ann@deq.example.gov]}
rules: []
"""
ME, BOSS, GOVERNOR, OUTSIDER = "jo@doa.example.gov", "boss@doa.example.gov", "governor@example.gov", "a@example.org"


@pytest.fixture(scope="module")
def policy(tmp_path_factory: pytest.TempPathFactory) -> Policy:
    folder = tmp_path_factory.mktemp("rules")
    (folder / "directory.csv").write_text(f"address,user\nj.doe@example.gov,{ME}\n")
    ruleset = parse_ruleset(RULES, "rules.yaml", folder)
    return Policy(ruleset, load(ruleset))


def source(policy: Policy, header: str, mail_from: str = "", login: str | None = None) -> Source:
    content = (header.replace("\n", "\r\n") + "\r\nSubject: Minutes\r\n\r\nText\r\n").encode()
    to = (Recipient("kim@deq.example.gov"),)
    transaction = Transaction("smtp", Client(), mail_from, to, content, login=login)
    return source_of(transaction, read_facts(content), policy)


MINE, THEIRS = Place(ME, agency="DOA"), Place(BOSS, named=True, agency="DOA")
CASES = {
    "as usual": (f"From: {ME}", ME, None, [MINE], ME),
    "with a login": (f"From: {ME}", "bounces@example.org", ME, [MINE], ME),
    "another address of one user": ("From: j.doe@example.gov", ME, None, [MINE], "j.doe@example.gov"),
    "a tag": (f"From: {ME}", "jo+x@doa.example.gov", None, [MINE], ME),
    "in BATV": (f"From: {ME}", f"prvs=12345abc={ME}", None, [MINE], ME),
    "forwarded by SRS": (f"From: {ME}", "SRS0=ab=cd=doa.example.gov=jo@example.org", None, [MINE], ME),
    "the boss's name": (f"From: {BOSS}", ME, None, [MINE, THEIRS], ME),
    "the boss's name, with a login": (f"From: {BOSS}", "x@example.org", ME, [MINE, THEIRS], ME),
    "the boss's name, from outside": (f"From: {BOSS}", OUTSIDER, None, [THEIRS], ""),
    "the boss's name, from nobody": (f"From: {BOSS}", "", None, [THEIRS], ""),
    "from somebody that cannot be undone": (f"From: {BOSS}", "bounces+SRS=44ldt=IX@example.gov", None, [THEIRS], ""),
    "own, but in doubt": (f"From: {ME}\nFrom: {ME}", ME, None, [MINE, Place(ME, True, "DOA")], ME),
    "nobody's name": ("To: x", ME, None, [MINE], ME),
    "nobody's name, from outside": ("To: x", OUTSIDER, None, [Place(OUTSIDER)], ""),
    "nobody at all": ("To: x", "", None, [Place("")], ""),
    "an outsider's own": (f"From: {OUTSIDER}", OUTSIDER, None, [Place(OUTSIDER)], OUTSIDER),
    "a lent name": (
        f"From: {GOVERNOR}",
        "ann@deq.example.gov",
        None,
        [Place("ann@deq.example.gov", agency="DEQ"), Place(GOVERNOR)],
        GOVERNOR,
    ),
    "a lent name, with a login": (
        f"From: {GOVERNOR}",
        "x@example.org",
        "ann@deq.example.gov",
        [Place("ann@deq.example.gov", agency="DEQ"), Place(GOVERNOR)],
        "ann@deq.example.gov",
    ),
    "a login without a domain": (f"From: {ME}", ME, "CORP\\jo", [Place("jo@example.gov"), MINE], ME),
    "a login without a domain, outside": (
        "From: jo@example.org",
        ME,
        "jo",
        [Place("jo@example.gov"), Place("jo@example.org", named=True)],
        "jo",
    ),
    "several authors": (
        f"From: {ME}, {BOSS}\nSender: {ME}",
        ME,
        None,
        [MINE, THEIRS],
        ME,
    ),
}


@pytest.mark.parametrize(("header", "mail_from", "login", "places", "owner"), CASES.values(), ids=CASES)
def test_places_and_who_gets_letters(policy, header, mail_from, login, places, owner):
    found = source(policy, header, mail_from, login)
    assert (list(found.places), found.owner) == (places, owner)


def test_whose_it_is(policy):
    """A lent name is its lender's, too; a name that is only named makes nobody an owner."""
    assert source(policy, f"From: {GOVERNOR}", login="ann@deq.example.gov").owners == ("ann@deq.example.gov", GOVERNOR)
    assert source(policy, f"From: {BOSS}", ME).owners == (ME,)
    assert source(policy, "From: j.doe@example.gov", ME).owners == ("j.doe@example.gov", ME)


def test_a_login_without_a_domain_has_one_place_whatever_from_lends_it(policy):
    first = {source(policy, f"From: jo@{n}.doa.example.gov", login="jo").places[0] for n in range(9)}
    assert first == {Place("jo@example.gov")}


NAMES = st.sampled_from([ME, "j.doe@example.gov", BOSS, GOVERNOR, "ann@deq.example.gov", OUTSIDER, "b@example.org", ""])
HEADERS = st.lists(st.builds("{}: {}".format, st.sampled_from(["From", "From", "Sender"]), NAMES), max_size=3)
LOGINS = st.one_of(st.none(), NAMES, st.sampled_from(["jo", "CORP\\jo", " "]))


@given(HEADERS, NAMES, LOGINS)
def test_of_any_names(policy, lines, mail_from, login):
    found = source(policy, "\n".join(lines) or "To: x", mail_from, login)
    user = policy.directory.user
    sends = bool(login and login.strip())
    assert found.places and len(set(found.places)) == len(found.places) <= 4
    named = {place.user for place in found.places if place.named}
    sending = {place.user for place in found.places if not place.named}
    written = {user(line.partition(": ")[2]) for line in lines if line.startswith("From: ")}
    assert named <= written  # nothing but From is only named
    if sends and login.strip() in (ME, "j.doe@example.gov"):
        assert found.places[0] == MINE  # whatever stands in From and MAIL FROM
    elif not sends and user(mail_from) == ME:
        assert found.places[0] == MINE
    if BOSS in sending:  # only by a login or MAIL FROM of theirs
        assert BOSS in (login, mail_from)
    if not {BOSS} & {login, mail_from}:
        assert BOSS not in found.owners
