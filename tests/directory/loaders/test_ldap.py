"""LDAP as sites have it, asked of a real slapd: large, nested, over TLS, with Active Directory's attributes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from gatekeeper.directory.audience import count_audience
from gatekeeper.directory.loaders.ldap import ask_ldap
from gatekeeper.directory.loaders.load import load
from gatekeeper.directory.loaders.server_cache import ServerCopies, SourceDown
from gatekeeper.directory.snapshot import Directory
from gatekeeper.rules import parse_ruleset
from tests.peers.certificates import make_certificate
from tests.peers.slapd import PASSWORD, READER, SUFFIX, Slapd

HEAD = "version: 1\ndomains: [example.gov, doa.example.gov]\nrules: []\n"


def entry(name: str, *lines: str) -> str:
    return "\n".join([f"dn: {name},{SUFFIX}", *lines]) + "\n\n"


def person(uid: str, *lines: str, mail: str = "") -> str:
    more = [f"mail: {mail or uid + '@example.gov'}"] if mail != "none" else []
    return entry(f"uid={uid}", "objectClass: inetOrgPerson", f"uid: {uid}", f"cn: {uid}", "sn: x", *more, *lines)


def group(name: str, *members: str, mail: str = "") -> str:
    """A group; its address is kept in an attribute that groupOfNames lets have, as no schema of Debian's has a mail."""
    more = ["objectClass: groupOfNames", f"cn: {name}", *([f"description: {mail}"] if mail else [])]
    return entry(f"cn={name}", *more, *(f"member: {member}" for member in members))


def dn(name: str) -> str:
    return f"{name},{SUFFIX}"


def options(**more: str) -> dict[str, str]:
    return {"base": SUFFIX, "bind": READER, **more}


def read(folder: Path, port: int, **more: str) -> Directory:
    (folder / "password.txt").write_text(PASSWORD)
    given = ", ".join(f"{name}: '{value}'" for name, value in options(**more).items())
    source = f"directory: [{{ldap: 'ldap://127.0.0.1:{port}', password_file: password.txt, {given}}}]\n"
    return load(parse_ruleset(HEAD + source, "rules.yaml", folder), ServerCopies())


def reached(here: Directory, address: str) -> set[str]:
    audience = count_audience([address], [], here)
    return {*audience.users, *audience.externals}


# -- large ---------------------------------------------------------------------------------------------------------

MANY = "".join(person(f"u{number}") for number in range(1_500))


def test_more_people_than_a_server_gives_at_once_are_read_page_by_page(tmp_path):
    with Slapd(tmp_path, MANY) as ldap:
        rows = ask_ldap(f"ldap://127.0.0.1:{ldap.port}", options(), PASSWORD).rows
    assert {row["address"] for row in rows} == {f"u{number}@example.gov" for number in range(1_500)}


def test_a_part_of_the_people_is_no_answer(tmp_path):
    """Else whom the server left out would be unknown, and mail to them refused or counted as nobody's."""
    with Slapd(tmp_path, MANY, most=1_000) as ldap, pytest.raises(SourceDown, match=r"only a part: sizeLimitExceeded"):
        ask_ldap(f"ldap://127.0.0.1:{ldap.port}", options(), PASSWORD)


# -- groups --------------------------------------------------------------------------------------------------------

PEOPLE = "".join(person(uid) for uid in ("ann", "bob", "cy", "dan", "eve")) + person("nobody", mail="none")
GROUPS = (
    group("staff", dn("cn=north"), f"uid = eve , {SUFFIX.upper()}", mail="staff@example.gov")
    + group("north", dn("uid=ann"), dn("cn=security"), mail="north@example.gov")
    + group("security", dn("uid=bob"), dn("cn=inner"))  # no address: its members count where it is a member
    + group("inner", dn("cn=security"), dn("cn=staff"), dn("uid=cy"))  # back to both
    + group("odd", dn("uid=dan"), dn("uid=nobody"), "cn=gone,dc=elsewhere", mail="odd@example.gov")
)


@pytest.fixture(scope="module")
def groups(tmp_path_factory) -> Iterator[Directory]:
    folder = tmp_path_factory.mktemp("groups")
    with Slapd(folder, PEOPLE + GROUPS) as ldap:
        yield read(folder, ldap.port, address="mail description", members="member")


def test_a_group_is_a_list_and_its_groups_are_expanded(groups: Directory) -> None:
    assert reached(groups, "north@example.gov") >= {"ann@example.gov", "bob@example.gov", "cy@example.gov"}
    everybody = {f"{name}@example.gov" for name in ("ann", "bob", "cy", "eve")}
    assert reached(groups, "staff@example.gov") == everybody
    assert reached(groups, "north@example.gov") == everybody  # by way of inner, staff is in it
    assert count_audience(["staff@example.gov"], [], groups).lists == {"staff@example.gov", "north@example.gov"}


def test_members_that_are_not_found_are_told(groups: Directory) -> None:
    assert reached(groups, "odd@example.gov") == {"dan@example.gov"}
    assert any("2 of the members of odd@example.gov have no address" in each for each in groups.problems)
    assert any("lead back to themselves" in each for each in groups.problems)


def test_members_may_be_addresses(tmp_path):
    list_of_addresses = group("all", dn("uid=ann"), mail="all@example.gov").replace(
        "member:", "businessCategory: jo@example.org\nbusinessCategory: bob@example.gov\nmember:"
    )
    with Slapd(tmp_path, PEOPLE + list_of_addresses) as ldap:
        here = read(tmp_path, ldap.port, address="mail description", members="businessCategory")
    assert reached(here, "all@example.gov") == {"jo@example.org", "bob@example.gov"}


# -- referrals -----------------------------------------------------------------------------------------------------


def test_what_the_server_refers_to_is_told_and_not_asked(tmp_path):
    """A referral names a host; whoever follows it sends the password there."""

    def refers(name: str, uri: str) -> str:
        return entry(
            f"cn={name}", "objectClass: referral", "objectClass: extensibleObject", f"cn: {name}", f"ref: {uri}"
        )

    elsewhere = "ldap://127.0.0.1:9/dc=other,dc=gov"
    noise = "ldap://example.gov/DC=DomainDnsZones,DC=example,DC=gov"
    with Slapd(tmp_path, PEOPLE + refers("other", elsewhere) + refers("zones", noise)) as ldap:
        here = read(tmp_path, ldap.port)
    assert here.user("ann@example.gov") == "ann@example.gov" and not here.expired
    (told,) = here.problems
    assert f"the server refers to {elsewhere}" in told and "which is not read" in told


def test_a_server_that_refers_to_another_for_all_of_it_is_no_empty_directory(tmp_path):
    told = pytest.raises(SourceDown, match=r"does not have the base, and refers to ldap://127\.0\.0\.1:9/")
    with Slapd(tmp_path, PEOPLE, head="referral ldap://127.0.0.1:9/") as ldap, told:
        ask_ldap(f"ldap://127.0.0.1:{ldap.port}", options(base="dc=other,dc=gov"), PASSWORD)


# -- TLS -----------------------------------------------------------------------------------------------------------


def test_starttls_with_an_authority_of_ones_own(tmp_path):
    (tmp_path / "other").mkdir()
    ours, other = make_certificate(tmp_path), make_certificate(tmp_path / "other")
    head = (
        f"TLSCertificateFile {ours.certificate}\nTLSCertificateKeyFile {ours.key}\nsecurity simple_bind=112\n"
        f"TLSCACertificateFile {ours.certificate}"
    )
    with Slapd(tmp_path, PEOPLE, head=head) as ldap:
        place = f"localhost:{ldap.port}"
        rows = ask_ldap(f"ldap+starttls://{place}", options(ca=str(ours.certificate)), PASSWORD).rows
        assert len(rows) == 5
        with pytest.raises(SourceDown, match="confidentialityRequired"):
            ask_ldap(f"ldap://{place}", options(), PASSWORD)
        with pytest.raises(SourceDown, match="certificate"):
            ask_ldap(f"ldap+starttls://{place}", options(ca=str(other.certificate)), PASSWORD)
        with pytest.raises(SourceDown, match="certificate"):
            ask_ldap(f"ldap+starttls://{place}", options(), PASSWORD)


# -- Active Directory ----------------------------------------------------------------------------------------------


def of_windows(name: str, kind: str, *lines: str) -> str:
    """An entry with the classes and attributes of Active Directory, as Debian's msuser.schema has them."""
    needed = ["instanceType: 4", f"objectCategory: cn=person,{SUFFIX}", "nTSecurityDescriptor: x"]
    more = ["sn: x"] if kind == "user" else ["groupType: 8"]
    return entry(f"cn={name}", f"objectClass: {kind}", f"cn: {name}", *needed, *more, *lines)


WINDOWS = (
    of_windows("ann", "user", "proxyAddresses: smtp:a.hara@example.gov", "proxyAddresses: SMTP:ann@example.gov",
        "proxyAddresses: X500:/o=x/cn=ann", "proxyAddresses: sip:ann@example.gov", "userAccountControl: 512")
    + of_windows("gone", "user", "proxyAddresses: SMTP:gone@example.gov", "userAccountControl: 514")
    + of_windows("all", "group", "proxyAddresses: SMTP:all@example.gov", "proxyAddresses: smtp:alle@example.gov",
        f"member: {dn('cn=ann')}", f"member: {dn('cn=gone')}")
)  # fmt: skip
PAGE = Path(__file__).parents[3] / "docs/directory.md"


def test_the_example_for_active_directory_is_right(tmp_path):
    """The filter of docs/directory.md: accounts that are in use, and groups."""
    (found,) = [line for line in PAGE.read_text().splitlines() if line.strip().startswith("filter: (|")]
    which = found.partition("filter: ")[2]
    with Slapd(tmp_path, WINDOWS) as ldap:
        here = read(tmp_path, ldap.port, address="mail proxyAddresses", members="member", filter=which)
    assert here.user("a.hara@example.gov") == "ann@example.gov"
    assert reached(here, "alle@example.gov") == reached(here, "all@example.gov") == {"ann@example.gov"}
    assert any("1 of the members of all@example.gov have no address" in each for each in here.problems)
