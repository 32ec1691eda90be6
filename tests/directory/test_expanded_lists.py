"""Lists that were expanded before the message came: by ORCPT, or by To and Cc with the members in the envelope."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatekeeper.directory.audience import count_audience
from gatekeeper.directory.entries import Entry
from gatekeeper.directory.expanded_lists import Written
from gatekeeper.directory.snapshot import Directory, DirectoryContent
from gatekeeper.model import Audience
from gatekeeper.smtp.parameters import original_address

STAFF = [f"u{number}@doa.example.gov" for number in range(6)]
LISTS = {
    "staff@example.gov": STAFF,
    "tax@example.gov": ["t1@doa.example.gov", "t2@example.org"],
    "everybody@example.gov": ["staff@example.gov", "tax@example.gov"],
}
HERE = Directory(
    DirectoryContent(
        {"DOA": ["doa.example.gov"]}, ["example.gov"], lists=LISTS, entries=[Entry("second@doa.example.gov", STAFF[1])]
    )
)
AUTHOR, STRANGER = "jo@doa.example.gov", "x@example.org"


def counted(
    people: Sequence[str], to: Sequence[str] = (), originals: Sequence[tuple[str, str]] = (), author: str = AUTHOR
) -> Audience:
    return count_audience(people, to, HERE, Written(tuple(originals), (author,)))


def by_orcpt(people: Sequence[str], name: str) -> list[tuple[str, str]]:
    return [(each, name) for each in people]


@pytest.mark.parametrize(
    ("parameters", "address"),
    [
        (("NOTIFY=NEVER", "ORCPT=rfc822;staff@example.gov"), "staff@example.gov"),
        (("orcpt=RFC822;staff+2Ball@example.gov",), "staff+all@example.gov"),
        (("ORCPT=utf-8;staff@example.gov",), "staff@example.gov"),
        (("ORCPT=x400;staff",), ""),
        (("ORCPT=rfc822;staff+G@example.gov",), ""),
        (("NOTIFY=NEVER",), ""),
        ((), ""),
    ],
)
def test_what_orcpt_says(parameters: tuple[str, ...], address: str) -> None:
    assert original_address(parameters) == address


def test_members_that_were_written_as_the_list_are_the_list() -> None:
    found = counted(STAFF[:3], originals=by_orcpt(STAFF[:3], "Staff@example.gov"))
    assert (found.lists, found.beside, len(found.users)) == ({"staff@example.gov"}, 0, 3)
    assert found.watched[found.together].members == set(STAFF)


def test_another_address_of_a_member_is_the_member() -> None:
    found = counted(["second@doa.example.gov"], originals=[("second@doa.example.gov", "staff@example.gov")])
    assert found.lists == {"staff@example.gov"} and found.users.keys() == {STAFF[1]}


def test_a_list_in_a_list_is_both() -> None:
    found = counted(STAFF, originals=by_orcpt(STAFF, "everybody@example.gov"))
    assert found.lists == {"staff@example.gov", "tax@example.gov", "everybody@example.gov"}
    assert found.lists == count_audience(["everybody@example.gov"], [], HERE).lists


@pytest.mark.parametrize("name", ["nobody@example.gov", "jo@doa.example.gov", "", "tax@example.gov"])
def test_who_is_not_in_the_list_did_not_come_by_it(name: str) -> None:
    found = counted(STAFF, originals=by_orcpt(STAFF, name))
    assert (found.lists, found.together, found.beside) == (frozenset(), "", 6)


def test_who_comes_beside_the_members_is_beside() -> None:
    people = [*STAFF, STRANGER, "y@example.org"]
    assert counted(people, originals=by_orcpt(people, "staff@example.gov")).beside == 2
    both = counted([*STAFF, "tax@example.gov"], originals=by_orcpt(STAFF, "staff@example.gov"))
    assert both.lists == {"staff@example.gov", "tax@example.gov"} and both.beside == 0
    assert both.watched[both.together].members == {*STAFF, "t1@doa.example.gov", "t2@example.org"}


@pytest.mark.parametrize(
    ("people", "to", "lists"),
    [
        (STAFF, ["staff@example.gov"], {"staff@example.gov"}),
        (STAFF[:1], ["staff@example.gov", "x@example.org"], {"staff@example.gov"}),
        ([*STAFF, AUTHOR], ["staff@example.gov"], {"staff@example.gov"}),
        (
            [*STAFF, "t1@doa.example.gov"],
            ["staff@example.gov", "tax@example.gov"],
            {"staff@example.gov", "tax@example.gov"},
        ),
        (STAFF, ["staff@example.gov", "tax@example.gov"], {"staff@example.gov"}),
        ([*STAFF, STRANGER], ["staff@example.gov"], set()),
        ([STRANGER], ["staff@example.gov"], set()),
        ([AUTHOR], ["staff@example.gov"], set()),
        (STAFF, ["jo@doa.example.gov"], set()),
        (STAFF, [], set()),
    ],
)
def test_a_list_in_to_with_its_members_in_the_envelope(people: list[str], to: list[str], lists: set[str]) -> None:
    assert counted(people, to).lists == lists


def test_a_copy_to_oneself_is_told() -> None:
    assert counted([AUTHOR]).alone and counted([AUTHOR], ["staff@example.gov"]).alone
    assert not counted([AUTHOR, STRANGER]).alone and not counted([STRANGER]).alone and not counted([]).alone


_PEOPLE = [*STAFF, "second@doa.example.gov", "t1@doa.example.gov", "t2@example.org", AUTHOR, STRANGER]
_NAMES = [*LISTS, *_PEOPLE, "", "STAFF@example.gov", "none@example.gov"]


@given(
    st.lists(st.tuples(st.sampled_from([*_PEOPLE, *LISTS]), st.sampled_from(_NAMES)), max_size=8),
    st.lists(st.sampled_from(_NAMES), max_size=4),
    st.sampled_from([*_PEOPLE, ""]),
)
def test_whatever_a_message_says_the_same_people_count(
    originals: list[tuple[str, str]], to: list[str], author: str
) -> None:
    people = [recipient for recipient, _ in originals]
    plain, found = count_audience(people, to, HERE), counted(people, to, originals, author)
    for name in ("users", "externals", "unresolved", "recipients", "visible", "certain"):
        assert getattr(found, name) == getattr(plain, name)
    reached = found.users.keys() | found.externals
    assert plain.lists <= found.lists
    assert found.beside == len(reached - (HERE.together(found.lists).members if found.lists else frozenset()))
    if found.together:
        assert reached & found.watched[found.together].members, "somebody of the lists is there"
        assert plain.beside >= found.beside
