"""Cases, holds and disposals, as records officers and auditors use them on a running gate (policies C1, C7, D2)."""

from __future__ import annotations

import json
import sqlite3

import pytest
from click.testing import CliRunner

from gatekeeper.api.report.pdf import pdf_of
from gatekeeper.cli import main
from tests.peers import wait_for
from tests.peers.gate import RULES, Gate
from tests.store.arrivals import people

RECORDS, AUDITOR, CIO = "records@example.gov", "auditor@example.gov", "cio@example.gov"
SCHEDULED = (
    RULES.replace("people:\n", f"people:\n  {RECORDS}: {{roles: [records]}}\n  {AUDITOR}: {{roles: [auditor]}}\n", 1)
    + "records: {backups: 35d, classes: {held: {keep: 1s, cite: GS7-20}}}\n"
)


def mail(subject):
    text = f"From: clerk@doa.example.gov\r\nSubject: {subject}\r\nMessage-ID: <{subject}@doa.example.gov>\r\n\r\n"
    return (text + f"A zebra about {subject}.\r\n" * 40).encode()


@pytest.fixture(scope="module")
def gate():
    """A gate with three mailings that were held, of which two are denied."""
    with Gate("maildir:out", rules=SCHEDULED) as gate:
        for subject in ("enrolment", "parking", "flu"):
            gate.send("clerk@doa.example.gov", people(2400), mail(subject))
        for id in ("M-1", "M-2"):
            cli(gate, "mailing", "deny", id, "--by", CIO, "--reason", "not now")
        with sqlite3.connect(gate.home / "gate.db", timeout=30) as connection:
            connection.execute("UPDATE jobs SET due_at = 0 WHERE state = 'due'")  # a list of what waits, in an hour
        wait_for(lambda: is_sent(gate, "M-1", "M-2"), gate.log)
        yield gate


def is_sent(gate, *mailings):
    """Whether no letter about these waits."""
    return not any(job["mailing"] in mailings for job in ask(gate, "queue"))


def cli(gate, *words, code=0):
    """As `gate.cli`, without the start of a process."""
    done = CliRunner().invoke(main, words, env=gate.environment, catch_exceptions=False)
    assert done.exit_code == code, done.output
    return done


def ask(gate, *words):
    return json.loads(cli(gate, *words, "--json").stdout)


def test_a_case_is_opened_and_mail_is_preserved_for_it(gate):
    title = ["--title", "Smith v. State", "--kind", "request", "--number", "2026-17"]
    opened = cli(gate, "audit", "case", "open", "--by", RECORDS, *title).stdout
    assert opened == "C-1 is open: Smith v. State (2026-17), request\n"
    wanted = ["--case", "C-1", "--subject", "parking", "--custodian", "clerk@doa.example.gov", "--reason", "Smith"]
    placed = cli(gate, "audit", "preserve", "place", "--by", RECORDS, *wanted).stdout.splitlines()
    assert placed[0] == "H-1 is in force, for C-1: mail of clerk@doa.example.gov, about 'parking'"
    assert placed[1] == "it keeps 1 mailing, 1 with content (M-2)"
    acknowledged = ["audit", "preserve", "acknowledge", "H-1", "--by", "clerk@doa.example.gov"]
    assert "H-1 is in force" in cli(gate, *acknowledged).stdout
    (listed,) = ask(gate, "audit", "preserve", "list", "--by", AUDITOR)
    assert listed["custodians"][0]["acknowledged"] and listed["case"] == "C-1"
    cli(gate, "audit", "preserve", "list", "--by", "clerk@doa.example.gov", code=77)


def test_what_is_due_and_free_is_destroyed_by_two_people_while_the_gate_runs(gate):
    due = lambda: ask(gate, "audit", "due", "--by", RECORDS, "--class", "held")[0]  # noqa: E731
    wait_for(lambda: (due()["due"], due()["cite"]) == (2, "GS7-20"), gate.log)  # a second after the second denial
    proposed = ask(gate, "audit", "dispose", "propose", "--by", RECORDS, "--class", "held")
    assert [item["mailing"] for item in proposed["list_items"]] == ["M-1"]
    cli(gate, "audit", "dispose", "sign", "D-1", "--by", RECORDS, code=77)
    cli(gate, "audit", "dispose", "sign", "D-1", "--by", AUDITOR, "--list", "0" * 64, code=65)
    cli(gate, "audit", "dispose", "certificate", "D-1", "--by", AUDITOR, "--out", "no.json", code=64)
    cli(gate, "audit", "dispose", "sign", "D-1", "--by", AUDITOR, "--list", proposed["list"])
    shown = lambda: ask(gate, "audit", "dispose", "show", "D-1", "--by", AUDITOR)  # noqa: E731
    wait_for(lambda: shown()["state"] == "done", gate.log)
    assert shown()["counts"] == {"listed": 0, "destroyed": 1, "elsewhere": 0, "kept": 0}
    assert "(content destroyed, D-1)" in cli(gate, "mailing", "list").stdout
    assert gate.ask("mailing", "show", "M-1")["kept"] == [] and len(gate.ask("mailing", "show", "M-2")["kept"]) == 1


def test_the_certificate_is_written_and_the_gap_is_named(gate):
    folder = gate.home / "out-of-the-way"
    folder.mkdir()
    for kind in ("json", "html"):
        out = str(folder / f"D-1.{kind}")
        cli(gate, "audit", "dispose", "certificate", "D-1", "--by", RECORDS, "--format", kind, "--out", out)
    document = json.loads((folder / "D-1.json").read_text())
    assert document["destroyed"] == 1 and document["copies_in_backups_expire"]
    page = (folder / "D-1.html").read_text()
    assert document["items"][0]["sha256"] in page and "Certificate of destruction D-1" in page
    again = ["audit", "dispose", "certificate", "D-1", "--by", RECORDS, "--out", str(folder / "D-1.json")]
    cli(gate, *again, code=73)
    done = cli(gate, "audit", "verify")
    assert "D-1: content of 1 messages is destroyed; certificate" in done.stdout and "whole" in done.stdout
    assert ask(gate, "audit", "verify")["whole"]


def test_a_certificate_is_a_tagged_pdf_where_the_extra_is_there(gate):
    pytest.importorskip("weasyprint")
    out = gate.home / "D-1.pdf"
    cli(gate, "audit", "dispose", "certificate", "D-1", "--by", RECORDS, "--format", "pdf", "--out", str(out))
    assert out.read_bytes().startswith(b"%PDF-")
    octets = pdf_of((gate.home / "out-of-the-way" / "D-1.html").read_text(), uncompressed_pdf=True)
    assert b"/MarkInfo" in octets and b"/Lang" in octets


def test_a_released_hold_lets_it_go(gate):
    released = cli(gate, "audit", "preserve", "release", "H-1", "--by", RECORDS, "--reason", "Settled").stdout
    assert released.startswith("H-1 is released, for C-1")
    assert ask(gate, "audit", "dispose", "propose", "--by", RECORDS, "--class", "held")["items"] == 1
    withdrawn = cli(gate, "audit", "dispose", "withdraw", "D-2", "--by", RECORDS).stdout
    assert withdrawn.startswith("D-2 is withdrawn: 1 message of held")
    states = [one["state"] for one in ask(gate, "audit", "dispose", "list", "--by", AUDITOR)]
    assert states == ["withdrawn", "done"]
