"""Loading: real files, as an admin keeps them, made into a snapshot or into a list of what is wrong."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from gatekeeper.directory.audience import count_audience
from gatekeeper.directory.loaders.load import load
from gatekeeper.directory.loaders.text_files import DirectoryError
from gatekeeper.directory.snapshot import Directory
from gatekeeper.rules import Agency, DirectorySpec, ListSpec, Ruleset

AGENCIES = {
    "DOA": Agency("Administration", ("doa.example.gov",)),
    "TAX": Agency("Taxes", ("*.tax.example.gov", "tax.example.gov")),
}
CSV = DirectorySpec("csv", Path("people.csv"))
ALIASES = DirectorySpec("aliases", Path("aliases"))
Load = Callable[..., Directory]


@pytest.fixture
def loaded(tmp_path: Path) -> Load:
    """Write files by name and load a ruleset that names them; text is written as UTF-8, bytes as they are."""

    def write_and_load(files: Mapping[str, str | bytes], **given: Any) -> Directory:
        for name, content in files.items():
            path = tmp_path / name
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
        ruleset = {"agencies": AGENCIES, "domains": ("example.gov",), **given}
        return load(Ruleset(digest="", text="", folder=tmp_path, **ruleset))

    return write_and_load


def errors(loaded: Load, tmp_path: Path, files: Mapping[str, str | bytes], **given: Any) -> list[str]:
    """What loading complains of, without the folder."""
    with pytest.raises(DirectoryError) as caught:
        loaded(files, **given)
    assert str(caught.value) == "\n".join(caught.value.problems)
    return [problem.replace(f"{tmp_path}/", "") for problem in caught.value.problems]


def problems(here: Directory, tmp_path: Path) -> list[str]:
    return [problem.replace(f"{tmp_path}/", "") for problem in here.problems]


# -- CSV ---------------------------------------------------------------------------------------------------------

ROWS = (
    'address,user,agency\njo@doa.example.gov,,\n"jo@tax.example.gov","jo@doa.example.gov",\nann@example.org,E17,TAX\n'
)


# As spreadsheets and PowerShell write it: Excel's "CSV UTF-8" in Germany, "Unicode Text", an empty column, Export-Csv.
AS_FOUND = [
    b"\xef\xbb\xbf" + ROWS.replace(",", ";").replace("\n", "\r\n").encode(),
    ROWS.replace(",", "\t").replace("\n", "\r\n").encode("utf-16"),
    b"\xfe\xff" + ROWS.replace(",", "\t").encode("utf-16-be"),
    "sep=;\r\n" + ROWS.replace(",", ";").replace("\n", "\r\n"),
    ROWS.replace("\n", ",,\n"),
    '#TYPE Selected.System.Management.Automation.PSCustomObject\r\n"address","user","agency"\r\n' + ROWS[20:],
]


@pytest.mark.parametrize(
    "written",
    [
        ROWS,
        ROWS.replace("\n", "\r\n"),
        b"\xef\xbb\xbf" + ROWS.encode(),
        ROWS.replace("address,user,agency", " Address ,USER, Agency"),
        ROWS.replace("\n", "\n\n") + ",,\n",
        ROWS + "JO@doa.example.gov,jo@DOA.example.gov,\n",
        *AS_FOUND,
    ],
)
def test_a_table_says_whose_an_address_is(loaded: Load, written: str | bytes) -> None:
    here = loaded({"people.csv": written}, directory=(CSV,))
    assert count_audience(["jo@tax.example.gov", "JO@doa.example.gov", "ann@example.org"], [], here).users == {
        "jo@doa.example.gov": "DOA",
        "e17": "TAX",
    }
    assert not here.complete and here.problems == ()


def test_columns_may_be_left_out(loaded: Load) -> None:
    here = loaded({"people.csv": "address\njo@example.org\n"}, directory=(CSV,))
    assert here.is_inside("jo@example.org")


def test_all_errors_of_all_files_come_at_once(loaded: Load, tmp_path: Path) -> None:
    rows = [
        "address,user,agency",
        "jo,,",
        "ann@example.gov,a@b@,HR",
        "ann@example.gov",
        "jo@example.gov,,DOA",
        "Jo@example.gov,,TAX",
        "j1@example.gov,jo@example.gov,TAX",
    ]
    found = errors(
        loaded,
        tmp_path,
        {"people.csv": "\n".join(rows), "aliases": "what is this\n", "staff.txt": "jo@example.gov ann@example.gov\n"},
        directory=(DirectorySpec("csv", Path("gone.csv")), CSV, ALIASES),
        lists={"staff@example.gov": ListSpec(Path("staff.txt")), "all@example.gov": ListSpec(Path("all.txt"))},
    )
    assert found == [
        "gone.csv: no such file: check the path",
        "staff.txt:1: 'jo@example.gov ann@example.gov': expected one address, such as jo@example.gov",
        "all.txt: no such file: check the path",
        "people.csv:2: address 'jo': expected an address such as jo@example.gov",
        "people.csv:3: user 'a@b@': expected an address, or a name without @",
        "people.csv:3: agency 'HR' is not in the rules: expected one of DOA, TAX",
        "people.csv:4: 1 values: expected 3 (address, user, agency)",
        "people.csv:6: Jo@example.gov has another user, agency or group at people.csv:5: keep one of them",
        "people.csv:7: user jo@example.gov is in agency TAX here, and in DOA at people.csv:5",
        "aliases:1: expected name: target, target; or blanks first, to go on with a line",
    ]


@pytest.mark.parametrize(
    ("written", "problem"),
    [
        ("", "people.csv:1: no column address"),
        ("jo@example.gov,,DOA\n", "people.csv:1: no column address"),
        ("address,usr\n", "people.csv:1: unknown column 'usr'"),
        ("address,user,user\n", "people.csv:1: a column twice"),
        ('address\n"jo@example.gov\n', "people.csv:2: unexpected end of data"),
        ("address,user\njo@example.gov,Jörg\n".encode("latin-1"), "people.csv:2: octet 0xF6 is not UTF-8"),
        ("sep=|\r\naddress,user\r\n", "people.csv:2: no column address"),
        ("sep=;\naddress;user\nx;y;z\n", "people.csv:3: 3 values: expected 2"),
        ("address|user\n", "people.csv:1: no column address"),
        ("address\n".encode("utf-16") + b"\x00\xd8\n", "people.csv:2: this is no UTF-16"),
    ],
)
def test_a_file_that_is_no_table(loaded: Load, tmp_path: Path, written: str | bytes, problem: str) -> None:
    assert errors(loaded, tmp_path, {"people.csv": written}, directory=(CSV,))[0].startswith(problem)


def test_a_folder_is_no_file(loaded: Load, tmp_path: Path) -> None:
    (tmp_path / "people.csv").mkdir()
    assert errors(loaded, tmp_path, {}, directory=(CSV,)) == [
        "people.csv: is a directory: expected a file that the gate may read"
    ]


def test_thousands_of_errors_are_cut_for_the_reader() -> None:
    error = DirectoryError([f"people.csv:{line}: wrong" for line in range(150)])
    assert len(error.problems) == 150
    assert str(error).splitlines()[99:] == ["people.csv:99: wrong", "and 50 more"]


# -- aliases -----------------------------------------------------------------------------------------------------


def test_aliases_in_postfix_syntax(loaded: Load, tmp_path: Path) -> None:
    text = r"""
# people
Postmaster:  jo
jo.doe:      \jo
"front desk": jo, ann@doa.example.gov,
    # a comment does not end the line

    "bob smith", Carl <carl@example.org>
staff:
    :include:lists/staff.txt,
	postmaster
owner-staff: postmaster
"""
    included = "# the staff\nann@doa.example.gov, dan\n  eve\n:include:lists/more.txt\n"
    here = loaded({"aliases": text, "lists/staff.txt": included, "lists/more.txt": "fay\r\n"}, directory=(ALIASES,))
    assert here.user("postmaster@example.gov") == here.user("jo.doe@example.gov") == "jo@example.gov"
    assert here.user("owner-staff@example.gov") == "jo@example.gov"
    ctx = count_audience(['"Front Desk"@example.gov'], [], here)
    assert ctx.users.keys() == {"jo@example.gov", "ann@doa.example.gov", '"bob smith"@example.gov'}
    assert ctx.externals == {"carl@example.org"}
    staff = count_audience(["staff@example.gov"], [], here)
    assert staff.users.keys() == {
        "ann@doa.example.gov",
        "dan@example.gov",
        "eve@example.gov",
        "fay@example.gov",
        "jo@example.gov",
    }
    assert staff.lists == {"staff@example.gov"}
    assert problems(here, tmp_path) == []


def test_what_an_alias_is(loaded: Load) -> None:
    text = "jo: jo, jo@example.org\naway: home@example.org\nself: self\nbot: |run\nboss: all\nall: jo, self\n"
    here = loaded({"aliases": text}, directory=(DirectorySpec("aliases", Path("aliases"), complete=True),))
    both = count_audience(["jo@example.gov"], [], here)
    assert (both.users.keys(), both.externals) == ({"jo@example.gov"}, {"jo@example.org"})
    people = count_audience([f"{name}@example.gov" for name in ("away", "self", "bot")], [], here)
    assert people.users.keys() == {"away@example.gov", "self@example.gov", "bot@example.gov"}
    assert not people.externals and not people.lists and not people.unresolved
    assert count_audience(["boss@example.gov"], [], here).lists == {"all@example.gov", "jo@example.gov"}
    assert here.complete and count_audience(["nobody@example.gov"], [], here).unresolved


def test_what_cannot_be_followed_is_reported(loaded: Load, tmp_path: Path) -> None:
    lines = [
        'list: "|/usr/bin/run -l a, b", jo, ann',
        "dump: /dev/null",
        "List: jo",
        "gone: :include:gone.txt, jo",
        "loop: :include:loop.txt, :include:loop.txt, jo",
        "hole: :blackhole:",
    ]
    here = loaded({"aliases": "\n".join(lines), "loop.txt": "ann, :include:loop.txt\n"}, directory=(ALIASES,))
    assert problems(here, tmp_path) == [
        "aliases:1: |/usr/bin/run -l a, b is a command: whom it reaches is not counted",
        "aliases:2: /dev/null is a file: whom it reaches is not counted",
        "aliases:4: included file gone.txt is missing: nobody is counted for it",
        "loop.txt:1: included file loop.txt includes itself: it is read once",
        "aliases:6: :blackhole: is no address: whom it reaches is not counted",
        "aliases:3: alias List@example.gov again: the one at aliases:1 counts",
    ]
    assert len(count_audience(["list@example.gov"], [], here).users) == 2
    assert len(count_audience(["loop@example.gov"], [], here).users) == 2


FOUND = {
    "Debian": """\
# See man 5 aliases for format
postmaster:    root
root: jo
""",
    "Red Hat": """\
#
#  Aliases in this file will NOT be expanded in the header from
#  Mail, but WILL be visible over networks or from /bin/mail.
#
# Basic system aliases -- these MUST be present.
mailer-daemon:\tpostmaster
postmaster:\troot

# General redirections for pseudo accounts.
bin:\t\troot
daemon:\t\troot
# trap decode to catch security attacks
decode:\t\troot

# Person who should get root's mail
#root:\t\tmarc
root:\t\tjo (the administrator)
""",
    "Sendmail, with vacation and Majordomo": """\
MAILER-DAEMON: postmaster
postmaster: root
root: \\jo, "|/usr/bin/vacation -a root jo"
jo.doe: jo
staff: "|/usr/lib/majordomo/wrapper resend -l staff -h doa.example.gov staff-outgoing"
staff-outgoing: :include:/nowhere/staff
owner-staff: jo,
nobody: /dev/null
""",
    "Mailman 2": """\
# STANZA START: staff
# CREATED: Mon Nov 30 08:00:00 2026
staff:              "|/var/lib/mailman/mail/mailman post staff"
staff-admin:        "|/var/lib/mailman/mail/mailman admin staff"
# STANZA END: staff
root: jo
postmaster: root
""",
    "Exim": """\
postmaster: root
root: jo@example.gov
former: :fail: This person has left, see https://example.gov, or call
spam: :blackhole:
later: :defer: The mailbox is being moved
""",
    "virtual(5) of Postfix": """\
example.gov        anything
postmaster@example.gov   root@example.gov
root@example.gov\tjo@example.gov
@old.example.gov   jo@example.gov
desk@example.gov   jo@example.gov,
\tann@example.org
""",
}


@pytest.mark.parametrize("mta", FOUND)
def test_alias_files_of_mail_servers_as_they_are_found(loaded: Load, mta: str) -> None:
    here = loaded({"aliases": FOUND[mta]}, directory=(ALIASES,))
    assert here.user("postmaster@example.gov") == "jo@example.gov"
    told = {problem.partition("aliases:")[2].partition(": ")[2] for problem in here.problems}
    assert not {problem for problem in told if "expected" in problem}
    if mta == "Exim":
        assert here.user("former@example.gov") == "former@example.gov" and len(told) == 3
    if mta.startswith("virtual"):
        assert told == {
            "example.gov is a domain: what is sent to it is not followed",
            "old.example.gov is a domain: what is sent to it is not followed",
        }
        desk = count_audience(["desk@example.gov"], [], here)
        assert (set(desk.users), desk.externals) == ({"jo@example.gov"}, {"ann@example.org"})


def test_aliases_that_lead_back_to_themselves_are_reported(loaded: Load) -> None:
    here = loaded({"aliases": "a: b, jo\nb: a, ann\n"}, directory=(ALIASES,))
    assert count_audience(["a@example.gov"], [], here).users.keys() == {"jo@example.gov", "ann@example.gov"}
    assert len(here.problems) == 1 and "lead back to themselves" in here.problems[0]


def test_bad_targets_are_errors(loaded: Load, tmp_path: Path) -> None:
    text = 'staff: jo ann, "bob\n  , x@, ok\n@: jo\nlatin: :include:latin.txt\n'
    files: dict[str, str | bytes] = {"aliases": text, "latin.txt": b"J\xf6rg\n"}
    assert errors(loaded, tmp_path, files, directory=(ALIASES,)) == [
        "aliases:1: 'jo ann': expected a name or an address, with commas between them",
        "aliases:1: '\"bob': expected a name or an address, with commas between them",
        "aliases:1: 'x@': expected a name or an address, with commas between them",
        "aliases:3: '@': expected a name or an address, with commas between them",
        "latin.txt:1: octet 0xF6 is not UTF-8: save the file as UTF-8",
    ]


def test_which_domain_a_name_gets(loaded: Load, tmp_path: Path) -> None:
    files = {"aliases": "jo: ann\n"}
    here = loaded(files, directory=(ALIASES,), domains=("*.example.gov", "mail.example.gov", "example.gov"))
    assert here.user("jo@mail.example.gov") == here.user("jo") == "ann@mail.example.gov" and here.problems == ()
    here = loaded(files, directory=(ALIASES,), domains=())
    assert here.user("jo@doa.example.gov") == "ann@doa.example.gov"
    assert here.user("jo") == "jo"
    assert problems(here, tmp_path)[0].startswith("aliases: names without a domain count as @doa.example.gov;")
    assert errors(loaded, tmp_path, files, directory=(ALIASES,), domains=(), agencies={}) == [
        "aliases: its names have no domain: list the mail host's own first under domains:"
    ]


def test_a_csv_row_counts_against_an_alias_and_it_is_said(loaded: Load, tmp_path: Path) -> None:
    rows = "address,user\njo@example.gov,E1\nj.doe@example.gov,E1\nann@example.gov,E2\naway@example.gov,\n"
    text = "jo: j.doe\nann: jo\naway: away@example.org\nnew: ann\n"
    here = loaded({"people.csv": rows, "aliases": text}, directory=(ALIASES, CSV))
    assert here.user("ann@example.gov") == here.user("new@example.gov") == "e2"
    assert problems(here, tmp_path) == [
        "aliases:2: ann@example.gov is jo@example.gov here, and e2 in a CSV file, which counts"
    ]


# -- lists -------------------------------------------------------------------------------------------------------


def test_lists_come_from_files_members_and_aliases(loaded: Load, tmp_path: Path) -> None:
    here = loaded(
        {
            "lists/all.txt": "# all\r\njo@example.gov # the boss\r\n\r\n#no\no#neil@example.gov",
            "aliases": "desk: jo, ann",
        },
        directory=(ALIASES,),
        lists={
            "all@example.gov": ListSpec(Path("lists/all.txt"), ("desk@example.gov",)),
            "desk@example.gov": ListSpec(owner="hr"),
            "none@example.gov": ListSpec(),
        },
    )
    assert count_audience(["All@example.gov"], [], here).users.keys() == {
        "jo@example.gov",
        "o#neil@example.gov",
        "ann@example.gov",
    }
    assert problems(here, tmp_path) == [
        "list none@example.gov has no file, members or alias: mail to it counts as to one address"
    ]


# -- reload ------------------------------------------------------------------------------------------------------


def test_the_digest_tells_whether_anything_has_changed(loaded: Load) -> None:
    files = {"people.csv": ROWS, "aliases": "all: jo, :include:more.txt\n", "more.txt": "ann\n"}
    given: dict[str, Any] = {"directory": (CSV, ALIASES)}
    digests = [
        loaded(files, **given).digest,
        loaded(files | {"people.csv": ROWS + "x@example.org,,\n"}, **given).digest,
        loaded(files | {"more.txt": "bob\n"}, **given).digest,
        loaded(files, **given, domains=("example.gov", "x.example.gov")).digest,
    ]
    assert len(set(digests)) == 4
    assert loaded(files, **given).digest == digests[0]
