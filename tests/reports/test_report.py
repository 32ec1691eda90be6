"""The compliance report (M6): one computation, every form of it, and who may have which."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import re
import sqlite3
import zlib
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path

import pytest
from click.testing import CliRunner

from gatekeeper.api.report import csv_files as files
from gatekeeper.api.report.page import report_page
from gatekeeper.api.report.pdf import PdfMissing, report_pdf
from gatekeeper.api.report.tables import ReportTable, tables_of
from gatekeeper.cli import main
from gatekeeper.ledger import reports
from gatekeeper.ledger.context import LedgerError, NotAllowed, NotFound
from gatekeeper.ledger.report_figures import months_between
from gatekeeper.ledger.reports import Period
from gatekeeper.rules import parse_ruleset
from gatekeeper.store import Database, Store
from gatekeeper.store.rulesets import StoredRuleset, put_in_force
from tests.ledger.scene import CIO, HEAD
from tests.reports.quarter import PERIOD, RULES, HalfYear, document_of, played, sample
from tests.reports.sample import PAGE
from tests.store.databases import lay_out

RULESET = parse_ruleset(RULES, "rules.yaml", Path("."))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with the database of half a year."""
    folder = tmp_path_factory.mktemp("half-year")
    scene = asyncio.run(played(folder))
    stored = StoredRuleset(RULESET.digest, str(folder / "rules.yaml"), RULES)
    scene.store.call(lambda connection: put_in_force(connection, stored, scene.now))
    scene.store.close()
    return folder


@pytest.fixture(scope="module")
def document():
    return asyncio.run(sample())


def run(folder, *words):
    """The command on that database, for the period of the sample."""
    environment = {"GATEKEEPER_DATABASE": f"sqlite:///{folder}/gate.db"}
    span = ("--since", "2026-09-01", "--until", "2026-11-30")
    return CliRunner().invoke(main, ["report", *span, *map(str, words)], env=environment, catch_exceptions=False)


# -- what is counted ---------------------------------------------------------------------------------------------


def test_the_first_page_has_the_figures_of_the_period_and_of_the_one_before(document):
    """Clause M6: mailings, held, denied, violations, repeat senders, emergencies still to review."""
    now, before = document["figures"]["now"], document["figures"]["before"]
    assert (now["mailings"], now["held"], now["approved"], now["denied"], now["sent_back"]) == (11, 8, 4, 3, 1)
    assert (before["mailings"], before["held"], before["approved"], before["denied"]) == (4, 2, 1, 1)
    assert (now["violations"], now["repeat_senders"], now["refused"]) == (5, 1, 1)
    assert (now["emergencies_to_review"], before["emergencies_to_review"]) == (1, None), "nobody can tell any more"
    assert (now["suspended"], now["suspensions_in_force"], before["suspensions_in_force"]) == (1, 1, 0)


def test_what_was_denied_is_counted_by_category(document):
    """Clause C4."""
    now, before = (document["figures"][each]["denied_by_category"] for each in ("now", "before"))
    assert (now, before) == ({"personal": 2, "content": 1}, {"personal": 1})


def test_how_long_a_decision_took_is_the_median_and_nine_of_ten(document):
    now = document["figures"]["now"]
    assert sorted([2, 26, 1, 3, 20, 5, 2, 50])[3] == 3 == now["hours_to_decide"] and now["hours_to_decide_90"] == 50


def test_requests_that_were_late_are_counted(document):
    """Clause M2."""
    now = document["figures"]["now"]
    assert (now["requests"], now["late_requests"]) == (2, 1)


def test_a_rule_stands_with_its_clause_and_one_on_trial_apart(document):
    rules = {each["rule"]: each for each in document["by_rule"]}
    assert (rules["approval"]["cite"], rules["approval"]["mailings"]) == ("1220.XS2 III.A", 8)
    assert rules["outside"]["observed"] and not rules["approval"]["observed"]


def test_every_month_is_there_and_the_months_are_those_of_the_organisation(document):
    assert [each["month"] for each in document["months"]] == ["2026-09", "2026-10", "2026-11"]
    assert sum(each["mailings"] for each in document["months"]) == document["figures"]["now"]["mailings"]
    assert sum(each["people_reached"] for each in document["months"]) == document["figures"]["now"]["people_reached"]


def test_a_period_to_the_last_of_a_month_has_no_month_after_it():
    begin, end = (datetime(2026, month, 1, tzinfo=UTC).timestamp() for month in (10, 12))
    assert list(months_between(begin, end, UTC)) == ["2026-10", "2026-11"]
    assert list(months_between(end, end, UTC)) == ["2026-12"]


def test_externals_are_told_apart_by_what_became_of_them(document):
    """Clause T10: what was sent and refused, inside and outside, and by which domain outside."""
    delivery = document["delivery"]
    assert (delivery["inside"]["recipients"], delivery["inside"]["refused"]) == (1100, 55)
    assert (delivery["outside"]["recipients"], delivery["outside"]["refused"]) == (40, 2)
    assert [each["domain"] for each in delivery["outside_domains"]] == ["mail.example.org", "example.com"]


def test_how_often_an_audience_was_written_to_leaves_out_what_was_never_sent(document):
    """Clause T4."""
    (first, *_) = document["frequency"]
    assert (first["audience"], first["mailings"], first["most_in_a_week"]) == ("DOA", 6, 1)


def test_what_is_due_preserved_and_handed_over_stands_in_the_report_of_all_agencies(folder):
    """Clause C7."""
    assert json.loads(run(folder, "--agency", "DOA", "--json").stdout)["records"] is None
    found = json.loads(run(folder, "--json").stdout)["records"]
    assert (found["cases"], found["holds"], found["exports"]) == (0, 0, 0)
    shown = {"destroyed": 5, "certificates": ["D-3"]} | {
        "due": [{"class": "held", "due": 3, "cite": "GS7-20"}],
        "cases": 1,
        "holds": 0,
        "searches": 2,
        "exports": 0,
    }
    (table,) = [each for each in tables_of({**found_document(folder), "records": shown}) if each.name == "records"]
    assert table.rows == (
        ("Cases that are open", 1),
        ("Searches of records in the period", 2),
        ("Messages destroyed by the schedule (D-3)", 5),
        ("Due to be destroyed of class held (GS7-20)", 3),
    )


def found_document(folder):
    return json.loads(run(folder, "--json").stdout)


def test_senders_of_ordinary_mail_have_no_name(document):
    """Clause D4."""
    assert "lunch" not in json.dumps(document) and "enrolment" not in json.dumps(document["top_senders"])


async def test_both_databases_say_the_same(store, tmp_path, document):
    scene = HalfYear(store, tmp_path)
    await scene.play()
    assert document_of(scene) == document


def test_a_report_of_one_agency_has_nothing_of_another(folder):
    found = json.loads(run(folder, "--agency", "DPHHS", "--json").stdout)
    assert set(found["agencies"]) == {"DPHHS"} and found["figures"]["now"]["mailings"] == 4
    assert "news@doa.example.gov" not in json.dumps(found)


def test_what_was_changed_in_the_database_is_on_the_first_page(folder, tmp_path):
    path = tmp_path / "gate.db"
    with sqlite3.connect(folder / "gate.db") as connection:
        connection.execute("VACUUM INTO ?", [str(path)])
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE suspensions SET reason = 'none'")
    page = run(tmp_path, "--format", "html").stdout
    assert "The records are not what was written" in page and "S-1: reason is" in page


# -- the forms ---------------------------------------------------------------------------------------------------


def test_the_text_begins_as_it_always_did(folder):
    first, second, *others = run(folder).stdout.splitlines()
    assert first.startswith("messages judged from 2026-09-01T06:00:00Z to 2026-12-01T07:00:00Z: 35 relay, 8 hold")
    assert second.split() == (
        [
            "agency",
            "mailings",
            "held",
            "released",
            "denied",
            "returned",
            "withdrawn",
            "expired",
            "refused",
            "warned",
            "violations",
            "would",
            "have",
            "been",
            "held",
        ]
    )
    assert any(line.startswith("Mailings to many, or held") for line in others)


def test_csv_has_a_file_a_table_that_a_spreadsheet_takes_for_text(folder, tmp_path):
    done = run(folder, "--format", "csv", "--out", tmp_path / "out")
    assert done.exit_code == 0, done.output
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {f"{table.name}.csv" for table in tables_of(json.loads(run(folder, "--json").stdout))}
    for path in (tmp_path / "out").iterdir():
        octets = path.read_bytes()
        assert octets.endswith(b"\r\n") and octets.count(b"\n") == octets.count(b"\r\n")
        head, *rows = csv.reader(io.StringIO(octets.decode("utf-8"), newline=""))
        assert all(len(row) == len(head) for row in rows)
        assert not [cell for row in rows for cell in row if cell[:1] in tuple("=+-@")]
    assert path.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", '=HYPERLINK("x")', "\t=1", "a,b", 'a"b', "a\r\nb"])
def test_a_cell_comes_back_as_it_was_but_for_what_begins_a_formula(text):
    (_, row) = csv.reader(io.StringIO(files.csv_of(ReportTable("x", "X", ("a",), ((text,),))).decode(), newline=""))
    assert row == [f"'{text}" if text[0] in "=+-@\t" else text]


class Page(HTMLParser):
    """What the page has: tags with their attributes, and its text."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.text = [], ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.text += data

    def all(self, name):
        return [given for tag, given in self.tags if tag == name]


def test_the_page_needs_nothing_beside_it_and_says_in_words_what_its_charts_show(document):
    page = Page(report_page(document))
    assert page.all("html") == [{"lang": "en"}] and len(page.all("h1")) == 1
    assert not {"script", "link", "img", "iframe"} & {tag for tag, _ in page.tags}
    assert not [given for _, given in page.tags if {"src", "href", "style"} & set(given)]
    assert all(each.get("scope") in ("col", "row") for each in page.all("th"))
    assert [each["role"] for each in page.all("svg")] == ["img", "img"]
    assert page.all("svg")[1]["aria-label"].startswith("People reached a month. 2026-09: 633;")
    for month in document["months"]:
        assert f"{month['people_reached']:,}" in page.text, "the figures stand beside the chart"


def test_no_name_breaks_the_page(document):
    hostile = json.loads(json.dumps(document).replace("Water main broken", "<script>alert(1)</script>"))
    assert "<script" not in report_page(hostile) and "&lt;script&gt;" in report_page(hostile)


def test_the_sample_in_the_docs_is_what_the_program_makes(document):
    assert PAGE.read_text(encoding="utf-8") == report_page(document), "stale: run python -m tests.reports.sample"


def inflated(pdf):
    """The PDF with its streams as they are before they are deflated."""
    found = [pdf]
    for stream in re.findall(rb"stream\r?\n(.*?)\r?\nendstream", pdf, re.DOTALL):
        try:
            found.append(zlib.decompress(stream))
        except zlib.error:
            continue
    return b"\n".join(found)


def test_the_pdf_is_tagged_for_who_hears_it_read(document):
    """PDF/UA-1: marked, with its language and title, headings and tables as such, and each figure in words."""
    try:
        pdf = inflated(report_pdf(document))
    except PdfMissing as error:
        pytest.skip(f"peer missing: {error}")
    assert re.search(rb"/MarkInfo\s*<<\s*/Marked true", pdf) and re.search(rb"/Lang\s*\(en\)", pdf)
    assert b"/StructTreeRoot" in pdf and b"/DisplayDocTitle true" in pdf
    assert b'pdfuaid:part="1"' in pdf and b"compliance report</rdf:li>" in pdf
    for tag in (b"/H1", b"/H2", b"/Table", b"/TH", b"/Figure"):
        assert re.search(rb"/S\s*" + tag + rb"\b", pdf), tag
    assert len(re.findall(rb"/Alt\s*\(", pdf)) == 2 == len(re.findall(rb"/S\s*/Figure\b", pdf))


def test_without_weasyprint_the_command_says_what_to_install(folder, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "weasyprint", None)
    done = run(folder, "--format", "pdf")
    assert done.exit_code == 69 and "pip install 'gatekeeper-mail[pdf]'" in done.stderr


def test_a_file_that_is_there_is_not_written_over(folder, tmp_path):
    (tmp_path / "there").write_text("mine")
    assert run(folder, "--format", "html", "--out", tmp_path / "there").exit_code == 73
    assert run(folder, "--format", "csv").exit_code == 64
    assert (tmp_path / "there").read_text() == "mine"


# -- kept reports, and whose a report is -------------------------------------------------------------------------


def test_a_kept_report_stays_as_it_was_and_shows_in_every_form(folder, tmp_path):
    first = run(folder, "--keep", "--json", "--by", CIO)
    id, digest = re.search(r"kept as (RP-\d+), SHA-256 ([0-9a-f]{64})", first.stderr).groups()
    again = run(folder, "--kept", id, "--json")
    assert json.loads(again.stdout) == json.loads(first.stdout) and digest in again.stderr
    assert "At a glance" in run(folder, "--kept", id, "--format", "html").stdout
    acts = CliRunner().invoke(
        main,
        ["audit", "search", "--by", CIO, "--acts", "--json", "--since", "1d"],
        env={"GATEKEEPER_DATABASE": f"sqlite:///{folder}/gate.db"},
    )
    (act,) = [each for each in json.loads(acts.stdout)["records"] if each["act"] == "report kept"]
    assert (act["by"], act["digest"]) == (CIO, digest)
    path = tmp_path / "gate.db"
    with sqlite3.connect(folder / "gate.db") as connection:
        connection.execute("VACUUM INTO ?", [str(path)])
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE kept_reports SET document = replace(document, 'personal', 'official')")
    changed = run(tmp_path, "--kept", id)
    assert changed.exit_code == 65 and "is not what was kept" in changed.stderr
    verified = CliRunner().invoke(main, ["audit", "verify"], env={"GATEKEEPER_DATABASE": f"sqlite:///{path}"})
    assert verified.exit_code == 65 and f"report kept by {CIO}): document is" in verified.stdout


def test_a_requester_sees_their_agency_alone():
    """Clause M6: whose report it is."""
    assert reports.allowed(RULESET, HEAD, None) == "DOA" == reports.allowed(RULESET, HEAD, "DOA")
    assert reports.allowed(RULESET, CIO, None) is None and reports.allowed(RULESET, "", "MDT") == "MDT"
    with pytest.raises(NotAllowed, match="requesters their agency's"):
        reports.allowed(RULESET, HEAD, "MDT")
    with pytest.raises(NotAllowed):
        reports.allowed(RULESET, "stranger@example.gov", None)
    with pytest.raises(NotFound):
        reports.allowed(RULESET, CIO, "NONE")
    two = parse_ruleset(RULES.replace("of: [DOA]", "of: [DOA, MDT]"), "rules.yaml", Path("."))
    with pytest.raises(LedgerError, match="expected one agency"):
        reports.allowed(two, HEAD, None)


def test_a_period_without_anything_is_a_report_too(tmp_path):
    store = Store(Database(lay_out(tmp_path / "gate.db"), timeout=5))
    store.open()
    found = reports.compute(store, RULESET, Period(PERIOD.since, PERIOD.until))
    store.close()
    assert found.answers == () and found.now.records.agencies == {}
