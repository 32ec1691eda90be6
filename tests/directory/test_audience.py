"""Counting: users, agencies, externals and lists of one transaction."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatekeeper.address import normalise
from gatekeeper.directory.audience import count_audience
from gatekeeper.directory.entries import Entry
from gatekeeper.directory.lists import Consent
from gatekeeper.directory.snapshot import Directory, DirectoryContent

AGENCIES = {
    "DOA": ["doa.example.gov", "*.doa.example.gov"],
    "TAX": ["tax.doa.example.gov"],
    "MUS": ["*.univ.example.org"],
}


def directory(lists: Mapping[str, list[str]] | None = None, *entries: Entry, complete: bool = False) -> Directory:
    return Directory(
        DirectoryContent(
            AGENCIES, ["example.gov", "*.lab.example.gov"], entries=entries, lists=lists or {}, complete=complete
        )
    )


# -- who is who --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("address", "inside", "agency"),
    [
        ("jo@doa.example.gov", True, "DOA"),
        ("jo@a.b.doa.example.gov", True, "DOA"),
        ("jo@Tax.DOA.example.gov.", True, "TAX"),
        ("jo@x.tax.doa.example.gov", True, "DOA"),
        ("jo@law.univ.example.org", True, "MUS"),
        ("jo@univ.example.org", False, None),
        ("jo@xuniv.example.org", False, None),
        ("jo@example.gov", True, None),
        ("jo@other.example.gov", False, None),
        ("jo@a.lab.example.gov", True, None),
        ("jo@lab.example.gov", False, None),
        ("jo%doa.example.gov@example.org", False, None),
        ("jo", True, None),
        ("", False, None),
    ],
)
def test_domains_say_who_is_inside_and_in_which_agency(address: str, inside: bool, agency: str | None) -> None:
    here = directory()
    assert (here.is_inside(address), here.agency_of(address)) == (inside, agency)


def test_a_domain_of_two_agencies_is_reported() -> None:
    both = Directory(DirectoryContent({"A": ["x.example.gov"], "B": ["X.example.gov."]}))
    assert both.agency_of("jo@x.example.gov") == "A"
    assert both.problems == ("domain x.example.gov is listed for agency A and for B: it counts for A",)


def test_addresses_of_one_person_are_one_user() -> None:
    here = directory(
        None,
        Entry("jo@doa.example.gov", "j.doe@doa.example.gov"),
        Entry("J.Doe+hr@doa.example.gov", "e17"),
        Entry("j.doe@doa.example.gov", "E17"),
        Entry("jo@contractor.example.org", "e17"),
    )
    written = ["JO@doa.example.gov", "j.doe+x@doa.example.gov", "j.doe+hr@doa.example.gov", "jo@contractor.example.org"]
    assert count_audience(written, [], here).users == {"e17": "DOA"}
    assert {here.user(address) for address in written} == {"e17"}
    assert here.agency_of("jo@contractor.example.org") == "DOA"


def test_an_entry_states_the_agency_where_the_domain_does_not() -> None:
    here = directory(None, Entry("jo@doa.example.gov", agency="TAX"), Entry("ann@example.org", agency="DOA"))
    assert count_audience(["jo@doa.example.gov", "ann@example.org"], [], here).users == {
        "jo@doa.example.gov": "TAX",
        "ann@example.org": "DOA",
    }


def test_entries_that_lead_back_to_themselves_are_one_user_and_reported() -> None:
    a, b, c = (f"{name}@doa.example.gov" for name in "abc")
    here = directory(None, Entry(c, b), Entry(b, a), Entry(a, b))
    assert here.user(a) == here.user(b) == here.user(c) == a
    assert len(here.problems) == 1 and "lead back to themselves" in here.problems[0]


def test_a_tag_outside_is_part_of_the_name_but_for_an_address_that_is_known() -> None:
    here = directory({"news@lists.example.org": ["jo@doa.example.gov"]}, Entry("ann@example.org", agency="DOA"))
    reached = count_audience(
        ["x+1@example.org", "x+2@example.org", "ann+1@example.org", "news+1@lists.example.org"], [], here
    )
    assert reached.externals == {"x+1@example.org", "x+2@example.org"}
    assert reached.users == {"ann@example.org": "DOA", "jo@doa.example.gov": "DOA"}


def test_a_name_without_a_domain_gets_that_of_the_mail_host() -> None:
    lists = {"all@example.gov": ["jo", "ann@example.gov"]}
    here = Directory(
        DirectoryContent(
            AGENCIES, ["example.gov"], entries=[Entry("ann@example.gov", "E17")], lists=lists, mail_domain="Example.gov"
        )
    )
    assert count_audience(["All+x", "jo@example.gov"], [], here).users == {"jo@example.gov": None, "e17": None}
    assert here.user("e17") == "e17" and here.user("") == ""


def test_a_complete_directory_counts_and_names_whom_it_does_not_know() -> None:
    here = directory({"all@example.gov": ["who@example.gov"]}, Entry("jo@doa.example.gov"), complete=True)
    reached = count_audience(
        ["jo@doa.example.gov", "nobody@doa.example.gov", "x@example.org", "all@example.gov"], [], here
    )
    assert reached.unresolved == {"nobody@doa.example.gov", "who@example.gov"}
    assert reached.users.keys() == {"jo@doa.example.gov"} | reached.unresolved
    assert not count_audience(["nobody@doa.example.gov"], [], directory()).unresolved


@pytest.mark.parametrize(
    ("address", "is_unknown"),
    [
        ("nobody@doa.example.gov", True),
        ("Nobody+tag@DOA.example.gov", True),
        ("jo@doa.example.gov", False),
        ("Jo+tag@doa.example.gov", False),
        ("all@example.gov", False),
        ("All-owner@example.gov", False),  # of the list server
        ("owner-all@example.gov", False),
        ("all-unsubscribe@example.gov", False),
        ("all-bounces+jo=doa.example.gov@example.gov", False),
        ("jo-owner@doa.example.gov", True),
        ("-owner@example.gov", True),
        ("who@example.gov", True),  # who is only a member of a list
        ("x@example.org", False),
        ("nobody@other.example.gov", False),  # below an inside domain, but nobody declared it
        ("jo%doa.example.gov@example.gov", False),
        ("nobody%example.org@doa.example.gov", False),  # it leads elsewhere
        ("Postmaster@doa.example.gov", False),
        ("postmaster", False),
    ],
)
def test_a_complete_directory_tells_who_is_unknown(address: str, is_unknown: bool) -> None:
    content = {"agencies": AGENCIES, "domains": ["example.gov"], "entries": (Entry("jo@doa.example.gov"),)}
    content |= {"lists": {"all@example.gov": ["who@example.gov"]}}
    assert Directory(DirectoryContent(**content, complete=True)).is_unknown(address) == is_unknown
    assert not Directory(DirectoryContent(**content)).is_unknown(address)
    assert not Directory(DirectoryContent(**content, complete=True, expired=True)).is_unknown(address)


def test_visible_counts_people_and_lists_as_their_members() -> None:
    here = directory({"all@example.gov": [f"u{i}@doa.example.gov" for i in range(30)]})
    shown = ["all@example.gov", "U1@doa.example.gov", "x@example.org", "x@example.org", ""]
    reached = count_audience(["u1@doa.example.gov", "u1+a@doa.example.gov"], shown, here)
    assert (reached.recipients, reached.visible, len(reached.users)) == (2, 31, 1)


# -- lists -------------------------------------------------------------------------------------------------------


def test_a_list_counts_as_its_members_nested_ones_too() -> None:
    here = directory(
        {
            "all@example.gov": ["doa@example.gov", "Jo+x@doa.example.gov", "friend@example.org"],
            "doa@example.gov": ["ann@doa.example.gov", "jo@doa.example.gov"],
        },
        Entry("everybody@example.gov", "all@example.gov"),
    )
    reached = count_audience(["everybody+tag@example.gov"], [], here)
    assert reached.users == {"jo@doa.example.gov": "DOA", "ann@doa.example.gov": "DOA"}
    assert reached.externals == {"friend@example.org"}
    assert reached.lists == {"all@example.gov", "doa@example.gov"}
    assert here.is_inside("all@example.gov") and here.agency_of("all@example.gov") is None
    assert here.problems == ()


def test_cycles_do_no_harm_and_are_reported() -> None:
    here = directory(
        {
            "a@example.gov": ["b@example.gov", "one@doa.example.gov"],
            "b@example.gov": ["c@example.gov", "two@doa.example.gov"],
            "c@example.gov": ["a@example.gov"],
        }
    )
    for name in "abc":
        assert count_audience([f"{name}@example.gov"], [], here).users.keys() == {
            "one@doa.example.gov",
            "two@doa.example.gov",
        }
    assert here.problems == (
        "lists a@example.gov -> b@example.gov -> c@example.gov -> a@example.gov lead back to themselves: "
        "each counts the members of all",
    )


def test_a_list_that_names_itself_means_the_mailbox() -> None:
    here = directory({"jo@doa.example.gov": ["jo@doa.example.gov", "jo@example.org"]})
    reached = count_audience(["jo@doa.example.gov"], [], here)
    assert (reached.users, reached.externals) == ({"jo@doa.example.gov": "DOA"}, {"jo@example.org"})
    assert here.problems == ()


def test_an_empty_list_and_a_list_that_is_somebodys_address_are_reported() -> None:
    here = directory({"all@example.gov": []}, Entry("all@example.gov", "jo@example.gov"))
    assert [problem.split(":")[0] for problem in here.problems] == [
        "all@example.gov is a list, and by an entry jo@example.gov's address",
        "list all@example.gov has no members",
    ]


# -- against a naive counter -------------------------------------------------------------------------------------

NAMES = st.sampled_from([f"{name}@{domain}" for name in "abcdef" for domain in ("doa.example.gov", "example.org")])
LISTS = st.sampled_from([f"l{number}@example.gov" for number in range(6)])
NESTING = st.dictionaries(LISTS, st.lists(NAMES | LISTS, max_size=5))
SPELLINGS = st.sampled_from([str.upper, str.title, lambda address: address.replace("@", '"@').join(['"', "."])])
ENTRIES = st.dictionaries(NAMES, NAMES, max_size=5)


def people_of(
    address: str, lists: Mapping[str, list[str]], users: Mapping[str, str], above: frozenset[str]
) -> set[str]:
    """Whom an address stands for, one step at a time."""
    if address in above:
        return {address} if address in lists.get(address, ()) else set()
    if address not in lists:
        return {users.get(address, address)}
    found = {address} if address in lists[address] else set()
    for member in set(lists[address]) - {address}:
        found |= people_of(member, lists, users, above | {address})
    return found


@given(st.lists(NAMES | LISTS, max_size=8), NESTING, ENTRIES, SPELLINGS)
def test_counting_equals_a_naive_counter(
    written: list[str], lists: dict[str, list[str]], owners: dict[str, str], spell: Callable[[str], str]
) -> None:
    users = {address: user for address, user in owners.items() if user not in owners}  # chains: tested elsewhere
    here = directory(lists, *(Entry(address, user) for address, user in users.items()))
    reached = count_audience(map(spell, written), map(spell, written), here)
    expected = set().union(*(people_of(address, lists, users, frozenset()) for address in written))
    inside = {name for name in expected if name.endswith(".gov") or name in users.values()}
    assert reached.users.keys() == inside
    assert reached.externals == expected - inside
    assert reached.visible == len(expected) and reached.recipients == len(written)


@given(st.lists(NAMES, max_size=30))
def test_the_order_of_recipients_changes_nothing(written: list[str]) -> None:
    here = directory()
    once = count_audience(written, [], here)
    again = count_audience(sorted(written * 2), [], here)
    assert (once.users, once.externals) == (again.users, again.externals)


@given(NAMES | LISTS | st.builds("{}+{}@doa.example.gov".format, st.text(max_size=4), st.text(max_size=4)), ENTRIES)
def test_a_user_is_its_own_user(address: str, owners: dict[str, str]) -> None:
    here = directory({"l1@example.gov": ["l2@example.gov"]}, *(Entry(*pair) for pair in owners.items()))
    user = here.user(address)
    assert here.user(user) == user == normalise(user)
    assert here.is_inside(user) == here.is_inside(address)


# -- cost --------------------------------------------------------------------------------------------------------


def cheapest(run: Callable[[], object], times: int = 7) -> float:
    """Seconds of the quickest of several runs."""
    spent = []
    for _ in range(times):
        begun = time.perf_counter()
        run()
        spent.append(time.perf_counter() - begun)
    return min(spent)


def test_the_cost_grows_with_the_recipients_not_with_the_directory() -> None:
    written = [f"User{number}@Doa.Example.gov" for number in range(2500)]
    small = directory()
    large = directory(None, *(Entry(f"user{number}@doa.example.gov") for number in range(50_000)))
    plain = cheapest(lambda: [normalise(address) for address in written])
    assert cheapest(lambda: count_audience(written, [], small)) < 20 * plain
    assert cheapest(lambda: count_audience(written, [], large)) < 20 * plain


def test_a_list_is_expanded_once_a_snapshot() -> None:
    members = [f"u{number}@doa.example.gov" for number in range(30_000)]
    here = directory({"all@example.gov": members})
    first = cheapest(lambda: count_audience(["all@example.gov"], [], here), times=1)
    assert cheapest(lambda: count_audience(["all@example.gov"], [], here)) < first / 5


def test_deep_and_tangled_nesting_is_no_work() -> None:
    chain = {f"l{number}@example.gov": [f"l{number + 1}@example.gov"] for number in range(5000)}
    tangle = {f"t{number}@example.gov": [f"t{other}@example.gov" for other in range(60)] for number in range(60)}
    here = directory(chain | tangle)
    assert len(here.reach(["l0@example.gov"]).lists) == 5000
    assert len(here.reach(["t0@example.gov"]).lists) == 60
    assert len(here.problems) == 20


# -- lists that rules ask for, groups, consent -------------------------------------------------------------------


def test_the_members_of_a_list_are_those_of_all_its_lists_and_have_a_version_of_their_own() -> None:
    before = directory({"all@example.gov": ["a@doa.example.gov", "some@example.gov"], "some@example.gov": ["b@x.org"]})
    after = directory({"all@example.gov": ["a@doa.example.gov", "some@example.gov"], "some@example.gov": ["c@x.org"]})
    watched = before.watched("All@example.gov")
    assert watched is not None and watched.members == {"a@doa.example.gov", "b@x.org"}
    assert watched == directory({"all@example.gov": ["B@x.org", "a@doa.example.gov"]}).watched("all@example.gov")
    assert watched.version != after.watched("all@example.gov").version  # type: ignore[union-attr]
    assert before.watched("nobody@example.gov") is None


def test_who_is_in_no_list_is_told_whether_or_not_the_list_was_written_to() -> None:  # T3
    here = directory({"all@example.gov": ["a@doa.example.gov", "b@x.org"]}, Entry("j@example.gov", "a@doa.example.gov"))
    reached = here.reach(["j@example.gov", "b@x.org", "c@x.org"])
    assert here.unlisted([*reached.users, *reached.externals]) == {"c@x.org"}


def test_groups_are_told_by_entry_address_and_domain() -> None:  # M9
    here = Directory(
        DirectoryContent(
            AGENCIES,
            entries=[Entry("a@doa.example.gov", groups=("press", "night")), Entry("ann@x.org", "e17", "DOA")],
            groups={"press": ["b@doa.example.gov"], "outside": ["*.x.org", "x.org"], "e": ["ann@x.org"]},
        )
    )
    groups = {
        name: here.groups_of(name) for name in ("A@doa.example.gov", "b+x@doa.example.gov", "c@m.x.org", "z@y.org")
    }
    assert groups == {
        "A@doa.example.gov": ("night", "press"),
        "b+x@doa.example.gov": ("press",),
        "c@m.x.org": ("outside",),
        "z@y.org": (),
    }
    assert here.groups_of("ann@x.org") == ("e", "outside")


def test_suppression_wins_over_consent() -> None:  # T2
    both = Directory(
        DirectoryContent(AGENCIES, consent=Consent(frozenset({"A@x.org", "b@x.org"}), frozenset({"b@x.org"})))
    )
    assert both.unconsented(["a@x.org", "b@x.org", "c@x.org"]) == {"b@x.org", "c@x.org"}
    suppressed = Directory(DirectoryContent(AGENCIES, consent=Consent(None, frozenset({"b@x.org"}))))
    assert suppressed.unconsented(["a@x.org", "b@x.org"]) == {"b@x.org"}
    assert Directory(DirectoryContent(AGENCIES)).unconsented(["a@x.org"]) is None
