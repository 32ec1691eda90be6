"""Inside addresses whose local part routes count as what they lead to, and so does what is below an inside domain."""

from __future__ import annotations

import time
import weakref

import pytest
from hypothesis import example, given
from hypothesis import strategies as some

from gatekeeper.address import normalise
from gatekeeper.directory.domains import Domains
from gatekeeper.directory.entries import Entry
from gatekeeper.directory.routed_local_parts import routed_address
from gatekeeper.directory.snapshot import Directory, DirectoryContent

AGENCIES = {"DOA": ["doa.example.gov"], "DPHHS": ["dphhs.example.gov"], "UNIV": ["*.univ.example.edu"]}
STAFF = "staff@example.gov"
DIRECTORY = Directory(
    DirectoryContent(
        AGENCIES,
        ["example.gov", "[192.0.2.10]"],
        lists={STAFF: ["a@doa.example.gov", "b%dphhs.example.gov@example.gov"]},
        entries=[Entry("known@dphhs.example.gov"), Entry("kim@lab.doa.example.gov")],
        outside=["alumni.example.gov", "news.univ.example.edu"],
        own=["[203.0.113.7]"],
        mail_domain="example.gov",
    )
)
ROUTES = Domains(AGENCIES, ["example.gov"]).routes
U = "u@dphhs.example.gov"
# as a Postfix delivers them whose own domains are these: tests/postfix/test_routed.py
LED = {
    "u%dphhs.example.gov@example.gov": U,
    "dphhs.example.gov!u@example.gov": U,
    '"u@dphhs.example.gov"@example.gov': U,
    "u%dphhs.example.gov@localhost": U,
    "u%dphhs.example.gov@[127.0.0.1]": U,
    "u%dphhs.example.gov@[192.0.2.99]": U,
    "u%dphhs.example.gov@[IPv6:::1]": U,
    "u%dphhs.example.gov": U,
    '"u@dphhs.example.gov"': U,
    "u@dphhs.example.gov@example.gov": U,
    "U%DPHHS.Example.gov.@EXAMPLE.gov.": U,
    "u+x%dphhs.example.gov@doa.example.gov": U,
    "u%dphhs.example.gov@undeclared.example.gov": U,
    "u%dphhs.example.gov%localhost@example.gov": U,
    '"u%dphhs.example.gov@[127.0.0.1]"@example.gov': U,
    "example.gov!dphhs.example.gov!u@example.gov": U,
    '"\\"u@dphhs.example.gov\\"@example.gov"@example.gov': U,
    '"@x.org:u@dphhs.example.gov"@example.gov': U,
    "@x.org:u%dphhs.example.gov@example.gov": U,
    'u%"dphhs.example.gov"@example.gov': U,
    '"u@ dphhs.example.gov "@example.gov': U,
    '"dphhs.example.gov\\!u"@example.gov': U,
    "u\\%dphhs.example.gov@example.gov": U,
    "!u%dphhs.example.gov@example.gov": U,
    "u%dphhs.example.gov%@example.gov": U,
    '"@r1:u%dphhs.example.gov"@example.gov': U,
    '"@r1,@r2:u%dphhs.example.gov"@example.gov': U,
    '"@[127.0.0.1]:u%dphhs.example.gov"@example.gov': U,
    '"@[IPv6:::1]:u%dphhs.example.gov"@example.gov': U,
    '"@r1:dphhs.example.gov!u"@example.gov': U,
    '"\\@r1:u%dphhs.example.gov"@example.gov': U,
    '"@:u%dphhs.example.gov"@example.gov': U,
    '"@r1:u%dphhs.example.gov"': U,
    '"@r1:u"@dphhs.example.gov': U,
    '"@r1:u%localhost"@example.gov': "u@localhost",
    '"@r1:u"@example.gov': "u@example.gov",
    '"u%dphhs. example.gov"@example.gov': U,
    '"dphhs .example.gov!u"@example.gov': U,
    '"u@dphhs.example.gov@"@example.gov': U,
    "u%host%dphhs.example.gov@example.gov": "u%host@dphhs.example.gov",
    '"u u"%dphhs.example.gov@example.gov': '"u u"@dphhs.example.gov',
    "jo@[127.0.0.1]": "jo@[127.0.0.1]",
    "jo@[0.0.0.0]": "jo@[0.0.0.0]",
    "jo@[IPv6:::ffff:127.0.0.1]": "jo@[ipv6:::ffff:7f00:1]",
    "jo@[192.0.2.10]": "jo@[192.0.2.10]",
    "jo@[203.0.113.7]": "jo@[203.0.113.7]",
    "Jo@LocalHost": "jo@localhost",
    "u%host@example.gov": "u%host@example.gov",
    "jo@undeclared.dphhs.example.gov": "jo@undeclared.dphhs.example.gov",
    "jo@a.b.example.gov": "jo@a.b.example.gov",
}
OUTSIDE = {
    "u%x.example.org@example.gov": "u@x.example.org",
    "u%dphhs.example.gov@x.example.org": "u%dphhs.example.gov@x.example.org",
    "u%dphhs.example.gov@alumni.example.gov": "u%dphhs.example.gov@alumni.example.gov",
    "u%x.org%dphhs.example.gov@example.gov": "u@x.org",
    "x.example.org!u%dphhs.example.gov@example.gov": "u@x.example.org",  # whichever sign is read first
    "jo@[192.0.2.99]": "jo@[192.0.2.99]",
    "jo@alumni.example.gov": "jo@alumni.example.gov",
    "jo@mail.alumni.example.gov": "jo@mail.alumni.example.gov",
    "jo@news.univ.example.edu": "jo@news.univ.example.edu",
    "jo@univ.example.edu": "jo@univ.example.edu",
}
DPHHS = {U, "u%host@dphhs.example.gov", '"u u"@dphhs.example.gov', "jo@undeclared.dphhs.example.gov"}


@pytest.mark.parametrize("address", LED)
def test_an_inside_address_counts_as_what_it_leads_to(address):
    reached = DIRECTORY.reach([address])
    user = LED[address]
    assert reached.users == {user: "DPHHS" if user in DPHHS else None}
    assert reached.externals == frozenset()
    assert reached.unresolved == {user}


@pytest.mark.parametrize("address", OUTSIDE)
def test_what_leads_outside_is_external(address):
    reached = DIRECTORY.reach([address])
    assert (reached.users, reached.externals, reached.unresolved) == ({}, {OUTSIDE[address]}, frozenset())


@pytest.mark.parametrize(
    "address",
    [
        "staff%example.gov@localhost",
        "example.gov!staff@doa.example.gov",
        '"Staff@example.gov"@[127.0.0.1]',
        "staff@localhost",
        "staff@\uff4cocalhost",
        "staff@loca\u00adlhost",
        "staff@localho\u017ft",
        "STAFF@[203.0.113.7]",
        "staff",
        '"@r1:staff"@example.gov',
        '"@r1,@r2:staff"@example.gov',
        '"@:staff"@example.gov',
        '"@r1:staff%localhost"@example.gov',
        '"@r1:staff"@localhost',
        '"@[127.0.0.1]:staff"@example.gov',
        '"@r1:staff"',
    ],
)
def test_a_list_in_such_a_form_is_the_list(address):
    reached = DIRECTORY.reach([address])
    assert reached.lists == {STAFF} and reached.users == {"a@doa.example.gov": "DOA", "b@dphhs.example.gov": "DPHHS"}


def test_each_address_is_looked_into_whatever_the_others_are():
    """Two `@` in one and none in the next are not one in each."""
    reached = DIRECTORY.reach(["staff@example.gov@localhost", "postmaster"])
    assert reached.lists == {STAFF} and "postmaster@example.gov" in reached.users


def test_what_stands_before_a_domain_that_is_not_ours_is_not_looked_into():
    assert DIRECTORY.reach(['"@r1:staff"@x.example.org']).externals == {'"@r1:staff"@x.example.org'}


def test_who_is_known_is_still_one_user_and_unresolved():
    reached = DIRECTORY.reach(["known@dphhs.example.gov", "known%dphhs.example.gov@example.gov"])
    assert reached.users == {"known@dphhs.example.gov": "DPHHS"} and reached.unresolved == {"known@dphhs.example.gov"}


def test_an_entry_below_a_domain_is_of_its_parents_agency_as_a_recipient_and_a_problem():
    reached = DIRECTORY.reach(["kim@lab.doa.example.gov"])
    assert reached.users == {"kim@lab.doa.example.gov": "DOA"} and reached.unresolved == frozenset()
    (problem,) = DIRECTORY.problems
    assert problem.startswith("kim@lab.doa.example.gov: nobody declared lab.doa.example.gov")


def test_senders_go_by_declared_domains_only():
    for address in ("jo@undeclared.example.gov", "jo@localhost", "jo@[127.0.0.1]", "jo@alumni.example.gov"):
        assert not DIRECTORY.is_inside(address) and DIRECTORY.agency_of(address) is None
    assert DIRECTORY.agency_of("u%dphhs.example.gov@doa.example.gov") == "DOA"


LOCAL = some.text('u%!@"\\ .[]:+', max_size=12)
DOMAIN = some.sampled_from(
    ["example.gov", "dphhs.example.gov", "x.example.gov", "localhost", "[127.0.0.1]", "x.org", ""]
)
STEP = some.sampled_from(["%{}", "{}!", "@{}"])


@given(LOCAL, DOMAIN)
@example("%" * 300, "example.gov")
@example('"', "")
@example("dphhs.example.gov!u@+x", "example.gov")
def test_any_address_is_counted_once_and_where_it_leads_is_the_end(local, domain):
    address = f"{local}@{domain}" if domain else local
    reached = DIRECTORY.reach([address])
    assert len(reached.users) + len(reached.externals) == (1 if normalise(address) else 0)
    led = routed_address(address, ROUTES)
    assert led == normalise(led)
    if "\\" not in local:  # outside quotes an escape is dropped on the way only
        assert routed_address(led, ROUTES) == led


@given(
    some.lists(some.tuples(some.sampled_from("%!@"), DOMAIN.filter(lambda each: each not in ("", "x.org"))), max_size=6)
)
def test_however_often_it_is_wrapped_it_leads_to_the_same(wrapping):
    """Wrapping with one kind of sign at a time, as each sign is read from its own end."""
    address = U
    for sign, domain in wrapping:
        local, _, inner = address.rpartition("@")
        bare = {"%": f"{local}%{inner}", "!": f"{inner}!{local}", "@": None}[sign]
        mixed = bare is not None and not set('%!"@').isdisjoint(local)
        quoted = '"' + address.replace("\\", "\\\\").replace('"', '\\"') + '"'
        address = f"{quoted if bare is None or mixed else bare}@{domain}"
    assert list(DIRECTORY.reach([address]).users) == [U]


@given(some.lists(some.sampled_from([*LED, U, STAFF, "known@dphhs.example.gov", "a@example.org", ""]), max_size=6))
def test_many_addresses_reach_what_each_reaches(written):
    together = DIRECTORY.reach(written)
    each = [DIRECTORY.reach([address]) for address in written]
    assert together.users.keys() == set().union(*(one.users.keys() for one in each))
    assert together.externals == frozenset().union(*(one.externals for one in each))
    assert together.unresolved == frozenset().union(*(one.unresolved for one in each))


def test_a_long_way_costs_what_the_address_is_long():
    def cost(steps: int) -> float:
        addresses = [f"u{number}" + "%example.gov" * steps + "@example.gov" for number in range(200)]
        began = time.process_time()
        DIRECTORY.reach(addresses)
        return time.process_time() - began

    cost(10)
    assert min(cost(160) for _ in range(3)) < 16 * min(cost(20) for _ in range(3))


def test_a_snapshot_that_was_replaced_is_gone_at_once():
    """Rings are looked for seldom, and of a large directory each snapshot takes megabytes."""
    snapshot = Directory(DirectoryContent(AGENCIES, entries=[Entry("known@dphhs.example.gov")]))
    assert snapshot.reach(["known@dphhs.example.gov"]) == snapshot.reach(["known@dphhs.example.gov"])
    gone = weakref.ref(snapshot)
    del snapshot
    assert gone() is None
