"""What commands on the ledger print for people: titles, words, times in the rules' zone, several ids, who acts."""

from __future__ import annotations

import json
import unicodedata

import pytest
from click.testing import CliRunner

from gatekeeper.cli import main
from gatekeeper.cli.common import print_json
from tests.peers.gate import RULES, Gate
from tests.store.arrivals import people

CIO = "cio@example.gov"
SMALL = RULES.replace("over: 2000", "over: 20").replace("over: 200}", "over: 10}")
SMALL = SMALL.replace("timezone: UTC", "timezone: America/Denver")


def mail(subject):
    head = f"From: clerk@doa.example.gov\r\nSubject: {subject}\r\nMessage-ID: <{subject}@doa.example.gov>\r\n"
    return f"{head}\r\nHello\r\n".encode()


@pytest.fixture(scope="module")
def gate():
    with Gate("maildir:out", rules=SMALL) as gate:
        for number in range(6):
            gate.send("clerk@doa.example.gov", people(30), mail(f"news {'abcdef'[number]}"))
        yield gate


def cli(gate, *words, check=True, **variables):
    done = CliRunner().invoke(main, words, env={**gate.environment, **variables}, catch_exceptions=False)
    assert not check or done.exit_code == 0, done.output
    return done


def submit(gate, *more):
    words = (
        "--agency",
        "DOA",
        "--subject",
        "Parking",
        "--planned",
        "2099-12-01",
        "--users",
        "40",
        "--audience",
        "DOA",
        "--audience",
        "DPHHS",
    )
    return cli(gate, "request", "submit", *words, *more, GATEKEEPER_BY="head@doa.example.gov")


def test_listings_have_titles_and_times_in_the_zone_of_the_rules(gate):
    titles, first, *_ = cli(gate, "mailing", "list").stdout.splitlines()
    assert titles.split() == ["id", "state", "users", "agencies", "changed", "sender", "subject"]
    assert first.startswith("M-6  held") and (" MST  " in first or " MDT  " in first)
    assert titles.index("sender") == first.index("clerk@doa.example.gov")


def test_a_count_of_one_is_no_plural_and_what_there_is_none_of_is_not_told(gate):
    shown = cli(gate, "mailing", "show", "M-6").stdout
    assert "reaches 30 users; sent: 0" in shown and "externals" not in shown and "None" not in shown


def test_several_are_decided_at_once_and_one_refusal_stops_no_other(gate):
    done = cli(gate, "mailing", "deny", "M-1", "M-99", "M-2", "M-1", "--by", CIO, "--reason", "no", check=False)
    assert done.stdout.splitlines() == ["M-1 is denied", "M-2 is denied"]
    assert done.exit_code == 66 and "M-99" in done.stderr
    together = cli(gate, "mailing", "withdraw", "M-3", "M-4", "--by", "clerk@doa.example.gov", "--json").stdout
    assert [one["id"] for one in json.loads(together)] == ["M-3", "M-4"]
    refused = cli(gate, "mailing", "deny", "M-5", "M-6", "--by", CIO, "--reason", "x", "--seen", "v", check=False)
    assert refused.exit_code == 64 and "expected one id" in refused.stderr


def test_who_acts_may_stand_in_the_environment_and_approving_names_the_permit(gate):
    done = cli(gate, "mailing", "approve", "M-5", GATEKEEPER_BY=CIO)
    assert done.stdout.splitlines() == [
        "M-5 is released",
        "by permit P-1; to stop what has not left: gatekeeper permit revoke P-1",
    ]
    assert cli(gate, "mailing", "approve", "M-6", check=False).exit_code == 64
    listed = cli(gate, "permit", "list").stdout
    assert listed.splitlines()[0].split() == ["id", "state", "kind", "until", "for", "review"]
    assert "None" not in listed
    assert "P-1 is revoked" in cli(gate, "permit", "revoke", "P-1", "--by", CIO, "--reason", "again").stdout


def test_a_request_that_the_gate_would_not_take_is_warned_of(gate):
    done = submit(gate, "--sender", "news@elsewhere.example.com", "--audience", "nobody@doa.example.gov")
    assert "sender news@elsewhere.example.com is below no domain of the rules" in done.stderr
    assert "audience nobody@doa.example.gov: rules.yaml names no such list" in done.stderr
    assert submit(gate, "--sender", "news@doa.example.gov", "--audience", "DPHHS").stderr == ""


def test_the_state_of_what_was_sent_back_is_told_in_words(gate):
    submit(gate, "--sender", "news@doa.example.gov")
    number = json.loads(cli(gate, "request", "list", "--json").stdout)[0]["id"]
    done = cli(gate, "request", "changes", number, "--by", CIO, "--reason", "say when")
    assert f"{number} is changes" not in done.stdout


def test_json_has_escapes_for_what_a_terminal_might_act_on(capsys):
    hidden = "a\x1b[2J\x9b1m\u202eb\u200bc\U000e0041d\u2066\u180e\ud800\ufeff \u00e9"
    print_json({"subject": hidden})
    printed = capsys.readouterr().out
    assert not [each for each in printed if unicodedata.category(each) in ("Cc", "Cf", "Cs") and each != "\n"]
    assert json.loads(printed)["subject"] == hidden and "\u00e9" in printed


def test_a_file_is_taken_by_itself_and_the_timeline_says_so(gate):
    parts = (
        "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nthe plan of the year\r\n"
        "--b\r\nContent-Type: application/pdf; name=plan.pdf\r\nContent-Transfer-Encoding: base64\r\n\r\n"
        "JVBERg==\r\n--b--\r\n"
    )
    head = "From: files@doa.example.gov\r\nSubject: The plan\r\nMessage-ID: <plan@doa.example.gov>\r\n"
    assert gate.send("files@doa.example.gov", people(30), (head + parts).encode())[0] == 250
    number = json.loads(cli(gate, "mailing", "list", "--json").stdout)[0]["id"]
    batch = str(json.loads(cli(gate, "mailing", "show", number, "--json").stdout)["kept"][0]["id"])
    to, read = gate.home / "plan.pdf", ("mailing", "show", number, "--content", "--by", CIO, "--batch", batch)
    assert "plan.pdf" in cli(gate, *read, "--file", "1", "--to", str(to)).stdout
    assert to.read_bytes() == b"%PDF"
    assert cli(gate, *read, "--file", "1", "--to", str(to), check=False).exit_code == 73  # a new file only
    assert cli(gate, *read, "--file", "2", "--to", str(gate.home / "x"), check=False).exit_code == 66
    assert cli(gate, *read, "--file", "1", check=False).exit_code == 64
    timeline = json.loads(cli(gate, "mailing", "show", number, "--json").stdout)["timeline"]
    acts = [(each["act"], each["text"]) for each in timeline if each["act"] in ("downloaded", "read")]
    assert acts == [("downloaded", f"batch {batch}, file 1"), ("read", f"batch {batch}")]  # none of what was refused
