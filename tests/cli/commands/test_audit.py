"""Audit, replay, report and mode, as an admin uses them on a running gate. One gate for all of it."""

from __future__ import annotations

import json
import sqlite3

import pytest
from click.testing import CliRunner

from gatekeeper.cli import main
from tests.peers import wait_for
from tests.peers.gate import RULES, Gate
from tests.store.arrivals import people

AGAIN = RULES + "audit: {keep: 30d}\n"


def mail(subject, extra=""):
    head = f"From: clerk@doa.example.gov\r\nMessage-ID: <{subject or 'none'}@doa.example.gov>\r\n"
    return (head + (f"Subject: {subject}\r\n" if subject else "") + f"{extra}\r\nHello\r\n").encode()


@pytest.fixture(scope="module")
def gate():
    """A gate that has had a day: ordinary mail, a refusal, a hold."""
    with Gate("maildir:out", rules=AGAIN) as gate:
        gate.send("clerk@doa.example.gov", people(1), mail("lunch"))
        gate.send("clerk@doa.example.gov", people(300), mail(""))
        gate.send("clerk@doa.example.gov", people(2400), mail("enrolment"))
        wait_for(lambda: gate.metric("gatekeeper_audit_records_total", result="written") == 3, gate.log)
        yield gate


def cli(gate, *words, check=True):
    """As `gate.cli`, without the start of a process."""
    done = CliRunner().invoke(main, words, env=gate.environment, catch_exceptions=False)
    assert not check or done.exit_code == 0, done.output
    return done


def ask(gate, *words):
    return json.loads(cli(gate, *words, "--json").stdout)


def draft(gate, text):
    gate.write("draft.yaml", text)
    return ask(gate, "rules", "replay", str(gate.home / "draft.yaml"))


def test_a_day_replayed_under_the_same_rules_shows_no_difference(gate):
    found = draft(gate, AGAIN)
    assert (found["decisions"], found["judged"], found["differences"]) == (3, 3, 0)
    assert (found["changes"], found["other_reasons"], found["notes"]) == ([], [], [])


def test_a_draft_shows_what_would_change_with_examples_and_reasons(gate):
    found = draft(gate, AGAIN.replace("over: 2000", "over: 5000").replace("then: reject", "then: warn"))
    changes = {(change["from"], change["to"]): change for change in found["changes"]}
    assert set(changes) == {("hold", "relay"), ("reject", "warn")} and found["differences"] == 2
    (example,) = changes["hold", "relay"]["examples"]
    assert (example["mailing"], example["subject"], example["users"]) == ("M-1", "enrolment", 2400)
    (example,) = changes["reject", "warn"]["examples"]
    assert "subject line" in example["would_be"]["reasons"][0]["text"]


def test_what_was_not_recorded_is_said_and_counted(gate):
    rule = '  - {id: new, when: {sender: {like: "clerk@*"}}, then: hold}\n'
    found = draft(gate, AGAIN.replace("audit:", f"{rule}audit:"))
    assert found["cannot_be_judged"] == {"decisions": 1, "tests": {"sender like clerk@*": 1}}
    text = cli(gate, "rules", "replay", str(gate.home / "draft.yaml")).stdout
    assert "cannot be judged: 1 decisions hang on 'sender like clerk@*'" in text


def test_a_draft_with_errors_says_where(gate):
    gate.write("draft.yaml", "version: 1\nrulez: []\n")
    done = cli(gate, "rules", "replay", str(gate.home / "draft.yaml"), check=False)
    assert done.exit_code == 65 and "draft.yaml:2:1: unknown key 'rulez'" in done.stderr
    assert cli(gate, "rules", "replay", "nowhere.yaml", check=False).exit_code == 66
    assert cli(gate, "rules", "replay", "rules.yaml", "--since", "soon", check=False).exit_code == 64


def test_the_chains_are_whole_and_so_they_stay(gate):
    found = ask(gate, "audit", "verify")
    assert found["whole"] and [chain["records"] for chain in found["chains"]][-1] == 3
    head = f"{found['chains'][-1]['chain']}:3:{found['chains'][-1]['head']}"
    assert cli(gate, "audit", "verify", "--head", head).exit_code == 0
    other = cli(gate, "audit", "verify", "--head", head[:-1] + ("0" if head[-1] != "0" else "1"), check=False)
    assert other.exit_code == 65 and "after 3 records its head is" in other.stdout


def test_the_compliance_report_by_agency(gate):
    """Clause M6: what came of its mail, and who sends mass mail again and again."""
    found = ask(gate, "report")
    agency = found["agencies"]["DOA"]
    assert (agency["messages"], agency["mailings"], agency["held"], agency["refused"]) == (3, 2, 1, 1)
    assert agency["violations"] == 2 and found["messages"] == {"relay": 1, "reject": 1, "hold": 1}
    (sender,) = found["repeat_senders"]
    assert sender == {
        "sender": "clerk@doa.example.gov",
        "agency": "DOA",
        "mailings": 2,
        "most_people": 2400,
        "violations": 2,
    }
    assert ask(gate, "report", "--agency", "DPHHS")["messages"] == {}
    assert cli(gate, "report", "--agency", "NONE", check=False).exit_code == 66
    assert "clerk@doa.example.gov: 2 mailings, 2400 people, 2 violations" in cli(gate, "report").stdout


def test_what_was_approved_is_no_violation():
    """Clause M6: of what was held, what somebody approved broke nothing; what went back is told apart."""
    small = RULES.replace("over: 2000", "over: 20").replace("over: 200}", "over: 10}")
    with Gate("maildir:out", rules=small) as gate:
        for subject in ("one", "two", "three"):
            gate.send("clerk@doa.example.gov", people(30), mail(subject))
        wait_for(lambda: gate.metric("gatekeeper_audit_records_total", result="written") == 3, gate.log)
        cli(gate, "mailing", "approve", "M-1", "--by", "cio@example.gov")
        cli(gate, "mailing", "withdraw", "M-2", "--by", "clerk@doa.example.gov")
        agency = ask(gate, "report")["agencies"]["DOA"]
        assert [agency[name] for name in ("held", "released", "withdrawn", "violations")] == [3, 1, 1, 2]
        table = cli(gate, "report").stdout.splitlines()[1]
        assert "withdrawn  expired" in table


def test_a_search_is_for_auditors_and_is_itself_recorded(gate):
    """Clauses D2 and D4: found by sender, mailing, subject and case; who looked, and for which, is in the audit."""
    refused = cli(gate, "audit", "search", "--by", "head@doa.example.gov", check=False)
    assert refused.exit_code == 77 and "who may: cio@example.gov" in refused.stderr
    search = ("audit", "search", "--by", "cio@example.gov", "--case", "2026-17")
    assert len(ask(gate, *search, "--sender", "clerk@doa.example.gov")["records"]) == 3
    (held,) = ask(gate, *search, "--mailing", "M-1")["records"]
    assert (held["verdict"], held["rules"], held["seen"]["users"]) == ("hold", ["approval"], 2400)
    assert [one["id"] for one in ask(gate, *search, "--subject", "ENROL")["records"]] == [held["id"]]
    assert ask(gate, *search, "--verdict", "reject", "--rule", "approval")["records"] == []
    acts = ask(gate, "audit", "search", "--by", "cio@example.gov", "--acts")["records"]
    assert {(act["by"], act["case"]) for act in acts if act["act"] == "audit search"} >= {
        ("cio@example.gov", "2026-17")
    }
    assert "--sender finds it, --subject does not" in cli(gate, *search).stdout


def test_observing_for_a_while_lets_pass_and_ends(gate):
    assert ask(gate, "mode")["mode"] == "enforce"
    refused = cli(gate, "mode", "observe", "--for", "1h", "--by", "clerk@doa.example.gov", "--reason", "x", check=False)
    assert refused.exit_code == 77 and "who may: cio@example.gov" in refused.stderr
    for length in ("8d", "soon"):
        words = ("mode", "observe", "--for", length, "--by", "cio@example.gov", "--reason", "x")
        assert cli(gate, *words, check=False).exit_code == 64
    said = ask(gate, "mode", "observe", "--for", "1h", "--by", "cio@example.gov", "--reason", "the gate holds all mail")
    assert said["mode"] == "observe" and said["said"]["by"] == "cio@example.gov"
    wait_for(lambda: "only observing until" in gate.log(), gate.log)
    assert gate.send("clerk@doa.example.gov", people(2400), mail("benefits"))[0] == 250
    assert gate.metric("gatekeeper_observed_total", verdict="hold") == 1 and len(gate.mailings("held")) == 1
    said = ask(gate, "mode", "enforce", "--by", "cio@example.gov", "--reason", "mended")
    assert said["mode"] == "enforce" and said["until"] is None
    wait_for(lambda: "enforcing: cio@example.gov said so: mended" in gate.log(), gate.log)
    assert "Held" in gate.send("clerk@doa.example.gov", people(2400), mail("retirement"))[1]
    wait_for(lambda: ask(gate, "report")["observed"]["would_have_been"] == {"hold": 1}, gate.log)
    found = ask(gate, "report")
    assert [one["subject"] for one in found["observed"]["mailings"]] == ["benefits"]
    assert [one["mode"] for one in found["observing"]] == ["observe", "enforce"]


def test_who_runs_by_which_rules_is_shown(gate):
    (process,) = ask(gate, "mode")["processes"]
    digest = process["rules"]
    gate.write("rules.yaml", AGAIN + "# changed\n")
    gate.reload()
    wait_for(lambda: ask(gate, "mode")["processes"][0]["rules"] != digest, gate.log)


def test_the_head_of_the_chain_of_acts_is_logged_after_each_act_of_a_command(gate):
    for who in ("a@doa.example.gov", "b@doa.example.gov"):
        words = (
            "suspend",
            "sender",
            who,
            "--by",
            "cio@example.gov",
            "--until",
            "2030-01-01",
            "--reason",
            "chain letters",
        )
        cli(gate, *words)
        acts, *_ = ask(gate, "audit", "verify")["chains"]
        logged = f"audit chain {acts['chain']}: {acts['records']} records, head {acts['head']}"
        wait_for(lambda logged=logged: logged in gate.log(), gate.log)


def test_what_was_changed_in_the_database_is_found(gate):
    gate.terminate()
    with sqlite3.connect(gate.home / "gate.db") as connection:
        connection.execute("DELETE FROM audit_blocks WHERE id = (SELECT max(id) FROM audit_blocks)")
    done = cli(gate, "audit", "verify", "--json", check=False)
    assert done.exit_code == 65 and not json.loads(done.stdout)["whole"]


def test_an_act_that_was_changed_is_named(gate):
    """Of the gate that has ended above; what it changed besides is told too."""
    with sqlite3.connect(gate.home / "gate.db") as connection:
        connection.execute("UPDATE modes SET by = 'eve@example.gov' WHERE mode = 'observe'")
        connection.execute("UPDATE rulesets SET text = text || ' # mine' WHERE id = 1")
        connection.execute("UPDATE body_chunks SET data = 'From: eve@example.gov' WHERE position = 0")
    done = cli(gate, "audit", "verify", check=False)
    assert done.exit_code == 65
    assert "mode 1 (mode observe by cio@example.gov): by is 'eve@example.gov', and was 'cio@example.gov'" in done.stdout
    assert (
        "ruleset 1: its text is not that of its digest" in done.stdout
        and "(M-1): it is not what came in" in done.stdout
    )
