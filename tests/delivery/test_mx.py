"""mx://domain, against a DNS server of our own over loopback."""

import asyncio

import dns.asyncresolver
import dns.flags
import dns.message
import dns.rcode
import dns.rrset
import pytest

from gatekeeper.delivery.errors import NextHopError
from gatekeeper.delivery.hosts import Hosts
from gatekeeper.delivery.mx import LEAST_TTL, MOST_TTL, RETRY_SECONDS, MxHosts
from gatekeeper.delivery.relay import SmtpTransaction
from gatekeeper.delivery.route_url import MxDomain
from gatekeeper.delivery.smtp_client import Deadlines
from tests.delivery.conftest import CONTENT, Dialog, people
from tests.peers.certificates import make_certificate
from tests.peers.sink import Sink, say


class Names(asyncio.DatagramProtocol):
    """A DNS server with a zone: (name, type) -> (ttl, records)."""

    def __init__(self, zone):
        self.zone, self.questions, self.down = dict(zone), [], False

    def connection_made(self, transport):
        self.transport = transport
        self.port = transport.get_extra_info("sockname")[1]

    def datagram_received(self, data, address):
        query = dns.message.from_wire(data)
        question = query.question[0]
        name, kind = question.name.to_text(omit_final_dot=True), dns.rdatatype.to_text(question.rdtype)
        self.questions.append((name, kind))
        answer = dns.message.make_response(query)
        if self.down:
            answer.set_rcode(dns.rcode.SERVFAIL)
        elif (name, kind) in self.zone:
            ttl, *records = self.zone[name, kind]
            answer.answer.append(dns.rrset.from_text(question.name, ttl, "IN", kind, *records))
        elif name not in {known for known, _ in self.zone}:
            answer.set_rcode(dns.rcode.NXDOMAIN)
        self.transport.sendto(answer.to_wire(), address)


class Clock:
    now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
async def resolving():
    """Make MxHosts for example.gov of a zone; gives them, the server and the clock."""
    transports = []

    async def make(zone, port=25):
        loop = asyncio.get_running_loop()
        transport, names = await loop.create_datagram_endpoint(lambda: Names(zone), ("127.0.0.1", 0))
        transports.append(transport)
        resolver = dns.asyncresolver.Resolver(configure=False)
        resolver.nameservers, resolver.port, resolver.lifetime = ["127.0.0.1"], names.port, 1.0
        clock = Clock()
        return MxHosts(MxDomain("example.gov", port), resolver, clock), names, clock

    yield make
    for transport in transports:
        transport.close()


ZONE = {
    ("example.gov", "MX"): (300, "20 c.example.gov.", "10 a.example.gov.", "10 b.example.gov."),
    ("a.example.gov", "A"): (600, "192.0.2.1"),
    ("b.example.gov", "A"): (600, "192.0.2.2"),
    ("b.example.gov", "AAAA"): (600, "2001:db8::2"),
    ("c.example.gov", "A"): (600, "192.0.2.3"),
}


async def test_by_preference_and_equals_in_any_order(resolving):
    found, _, _ = await resolving(ZONE)
    orders = {tuple(host.name[0] for host in await found.hosts()) for _ in range(100)}
    assert all(order[-1] == "c" and sorted(order) == list("abbc") for order in orders)
    assert {order[0] for order in orders} == {"a", "b"}


@pytest.mark.parametrize(("ttl", "kept"), [(300, 300), (1, LEAST_TTL), (86400, MOST_TTL)])
async def test_answers_are_kept_for_their_time(resolving, ttl, kept):
    zone = {("example.gov", "MX"): (ttl, "10 a.example.gov."), ("a.example.gov", "A"): (86400, "192.0.2.1")}
    found, names, clock = await resolving(zone)
    await found.hosts()
    asked = len(names.questions)
    clock.now += kept - 1
    await found.hosts()
    assert len(names.questions) == asked
    clock.now += 2
    await found.hosts()
    assert len(names.questions) == 2 * asked


async def test_without_mx_the_domain_is_its_own_host(resolving):
    found, _, _ = await resolving({("example.gov", "A"): (300, "192.0.2.9")})
    assert [(host.name, host.address) for host in await found.hosts()] == [("example.gov", "192.0.2.9")]


@pytest.mark.parametrize(
    "zone",
    [
        {},
        {("example.gov", "MX"): (300, "0 .")},
        {("example.gov", "MX"): (300, "10 gone.example.gov.")},
        {("example.gov", "TXT"): (300, '"no mail"')},
    ],
    ids=["no domain", "null MX", "no address", "neither MX nor address"],
)
async def test_no_host_is_an_error(resolving, zone):
    found, _, _ = await resolving(zone)
    with pytest.raises(NextHopError) as caught:
        await found.hosts()
    assert caught.value.kind == "dns"


async def test_old_answers_while_the_dns_is_down(resolving):
    found, names, clock = await resolving(ZONE)
    before = {host.address for host in await found.hosts()}
    names.down = True
    clock.now += 100_000
    assert {host.address for host in await found.hosts()} == before
    asked = len(names.questions)
    await found.hosts()
    assert len(names.questions) == asked, "not asked again at once"
    names.down = False
    names.zone["example.gov", "MX"] = (300, "10 a.example.gov.")
    clock.now += RETRY_SECONDS + 1
    assert {host.address for host in await found.hosts()} == {"192.0.2.1"}


async def test_one_host_that_does_not_resolve_does_not_hide_the_others(resolving):
    zone = {key: value for key, value in ZONE.items() if key[0] != "a.example.gov"}
    found, _, _ = await resolving(zone)
    assert {host.name for host in await found.hosts()} == {"b.example.gov", "c.example.gov"}


def transaction(found, errors):
    hosts = Hosts(found.hosts, "gate.example.gov", Deadlines().capped(2), 30, errors.append)
    return hosts, Dialog(SmtpTransaction(hosts, "news@example.gov", (), None))


async def test_mail_goes_to_the_host_that_answers(resolving):
    zone = {
        ("example.gov", "MX"): (300, "10 dead.example.gov.", "20 a.example.gov."),
        ("dead.example.gov", "A"): (300, "127.0.0.99"),
        ("a.example.gov", "A"): (300, "127.0.0.1"),
    }
    errors = []
    async with Sink() as sink:
        found, _, _ = await resolving(zone, sink.port)
        hosts, relay = transaction(found, errors)
        assert [answer.code for answer in await relay.recipients(people("a"))] == [250]
        assert (await relay.data(CONTENT)).ok
        assert sink.recipients == ["a@example.org"] and errors == ["connect"]
        await hosts.close()


@pytest.mark.parametrize("broken", [False, True])
async def test_tls_is_used_where_it_is_offered_and_works(resolving, tmp_path, broken):
    errors = []
    async with Sink(certificate=make_certificate(tmp_path, "other.example.org")) as sink:
        if broken:
            sink.at("STARTTLS", say("454 4.7.0 not now"))
        found, _, _ = await resolving({("example.gov", "A"): (300, "127.0.0.1")}, sink.port)
        hosts, relay = transaction(found, errors)
        await relay.recipients(people("a"))
        assert (await relay.data(CONTENT)).ok
        assert [mail.tls for mail in sink.mails] == [not broken] and errors == []
        await hosts.close()


async def test_no_dns_is_451(resolving):
    errors = []
    found, _, _ = await resolving({})
    hosts, relay = transaction(found, errors)
    assert [answer.enhanced for answer in await relay.recipients(people("a"))] == ["4.4.1"]
    assert errors == ["dns"]
    assert await hosts.offers() is None
    await hosts.close()
