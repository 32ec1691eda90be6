"""`gatekeeper directory convert`: exports of Exchange and of Google Workspace become files that the gate reads."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from gatekeeper.cli import main
from gatekeeper.directory.loaders.load import load
from gatekeeper.rules import read_ruleset

RULES = """\
version: 1
agencies:
  DOA: {name: Administration, domains: [doa.example.gov]}
  TAX: {name: Taxes, domains: [tax.example.gov]}
domains: [example.gov]
directory: [{csv: people.csv}, {aliases: groups.aliases}]
rules: []
"""
MAILBOXES = """\
#TYPE Selected.System.Management.Automation.PSCustomObject
"PrimarySmtpAddress","EmailAddresses","RecipientTypeDetails","Department"
"jo@example.gov","SMTP:jo@example.gov smtp:jo.doe@example.gov X500:/o=x SIP:jo@example.gov","UserMailbox","DOA"
"bob@tax.example.gov","SMTP:bob@tax.example.gov","UserMailbox","Taxes"
"pat@example.org","SMTP:pat@example.org","MailContact",""
"guest@example.org","SMTP:guest@example.org","GuestMailUser",""
"all@example.gov","SMTP:all@example.gov smtp:everybody@example.gov","MailUniversalDistributionGroup",""
"""
MEMBERS = "Group;Member\nall@example.gov;jo@example.gov\nall@example.gov;bob@tax.example.gov\n"
USERS = """\
primaryEmail,aliases,aliases.0,nonEditableAliases.0,orgUnitPath,suspended
jo@example.gov,1,jo.doe@example.gov,jo@example.gov.test-google-a.com,/State/DOA/Help,False
bob@tax.example.gov,0,,,/,True
"""
GROUPS = 'email,name,MembersCount,Members,Owners\nall@example.gov,All,2,"jo@example.gov\nbob@tax.example.gov",\n'
ONE_A_ROW = "group,type,role,id,status,email\nall@example.gov,CUSTOMER,MEMBER,C0,,\n"


def converted(folder: Path, *tables: str, options: tuple[str, ...] = ()):
    (folder / "rules.yaml").write_text(RULES)
    names = []
    for number, table in enumerate(tables):
        names.append(str(folder / f"{number}.csv"))
        Path(names[-1]).write_text(table)
    where = ["--people", str(folder / "people.csv"), "--groups", str(folder / "groups.aliases")]
    words = ["directory", "convert", *names, *where, "--rules", str(folder / "rules.yaml"), *options]
    return CliRunner().invoke(main, words, catch_exceptions=False)


@pytest.mark.parametrize(
    "tables", [(MAILBOXES, MEMBERS), (USERS, GROUPS), (USERS, ONE_A_ROW)], ids=["exchange", "gam", "gam everybody"]
)
def test_exports_become_files_that_the_gate_reads(tmp_path, tables):
    done = converted(tmp_path, *tables, options=("--is", "Taxes=TAX"))
    assert done.exit_code == 0, done.output
    here = load(read_ruleset(tmp_path / "rules.yaml"))
    assert here.user("jo.doe@example.gov") == "jo@example.gov"
    assert (here.agency_of("jo@example.gov"), here.agency_of("bob@tax.example.gov")) == ("DOA", "TAX")
    assert here.reach(["all@example.gov"]).users.keys() == {"jo@example.gov", "bob@tax.example.gov"}
    assert not here.is_inside("pat@example.org") and not here.is_inside("guest@example.org")
    assert "2 people with" in done.output


def test_other_addresses_of_a_group_are_the_group(tmp_path):
    assert converted(tmp_path, MAILBOXES, MEMBERS).exit_code == 0
    here = load(read_ruleset(tmp_path / "rules.yaml"))
    assert here.reach(["everybody@example.gov"]).users.keys() == {"jo@example.gov", "bob@tax.example.gov"}


def test_who_is_suspended_may_be_left_out(tmp_path):
    assert "1 people with" in converted(tmp_path, USERS, options=("--enabled",)).output


@pytest.mark.parametrize(
    ("table", "wrong"),
    [
        ('PrimarySmtpAddress,"Alias\na@example.gov,b\n', "unexpected end of data: expected a table"),
        (
            "PrimarySmtpAddress,EmailAddresses\njo@example.gov,System.Object[]\n",
            "0.csv:2: System.Object[] in the place of",
        ),
        ("name,mail\nx,y\n", "0.csv:1: expected a first row with"),
        ("primaryEmail,orgUnitPath\njo@example.gov\n", "0.csv:2: 1 values: expected 2"),
        ('primaryEmail\n"jo@example.gov\n', "expected a table"),
        ("primaryEmail\n", "nobody is in these tables"),
        ("", "0.csv:1: expected a first row with"),
    ],
)
def test_a_table_that_is_wrong_writes_nothing(tmp_path, table, wrong):
    (tmp_path / "people.csv").write_text("address\nold@example.gov\n")
    done = converted(tmp_path, table)
    assert done.exit_code == 65 and wrong in done.output
    assert (tmp_path / "people.csv").read_text() == "address\nold@example.gov\n"


def test_what_is_no_agency_and_no_address_is_told(tmp_path):
    table = "primaryEmail,orgUnitPath\njo@example.gov,/Nowhere\nnonsense,/\n"
    members = "group,member\nall@example.gov,x@example.gov\nall@example.gov,nonsense\n"
    done = converted(tmp_path, table, members)
    assert "'/Nowhere' (1)" in done.output and "'nonsense' is no address" in done.output
    assert load(read_ruleset(tmp_path / "rules.yaml")).user("jo@example.gov") == "jo@example.gov"


def test_an_agency_that_is_none_of_the_rules_is_refused(tmp_path):
    assert converted(tmp_path, USERS, options=("--is", "Taxes=NONE")).exit_code == 64
