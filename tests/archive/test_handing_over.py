"""An export is a bag that needs no program of ours (C6, D2): checked by sha256sum, bagit, openssl and mailbox."""

from __future__ import annotations

import asyncio
import csv
import json
import shutil
import subprocess
import venv
from contextlib import nullcontext
from functools import partial
from hashlib import sha256
from importlib.metadata import files
from pathlib import Path
from zipfile import ZipFile

import pytest
from click.testing import CliRunner
from sqlalchemy import select

from gatekeeper.api.bag import write
from gatekeeper.api.bag.write import BagWanted, write_bag
from gatekeeper.archive import bag_check
from gatekeeper.cli import main
from gatekeeper.ledger.searching import SearchWanted
from gatekeeper.store import Database, Store, audit_chain, passed
from gatekeeper.store.db.schema import mailings
from gatekeeper.store.rulesets import StoredRuleset, put_in_force
from tests.archive.scene import AUDITOR, FILE, RECORDS, RecordsScene, killed_at
from tests.store.databases import lay_out
from tests.store.test_audit_chain import problems

ENROLMENT = ("--by", RECORDS, "--case", "C-1", "enrolment OR sale")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with the database of a day, and a case."""
    folder = tmp_path_factory.mktemp("records")
    store = Store(Database(lay_out(folder / "gate.db"), timeout=5))
    store.open()
    scene = RecordsScene(store, folder)
    asyncio.run(scene.a_day())
    scene.open_case()
    ruleset = scene.active_policy.current.ruleset
    stored = StoredRuleset(ruleset.digest, str(folder / "rules.yaml"), ruleset.text)
    store.call(lambda connection: put_in_force(connection, stored, scene.now))
    store.close()
    return folder


def run(folder, *words, check=True):
    environment = {"GATEKEEPER_DATABASE": f"sqlite:///{folder}/gate.db"}
    done = CliRunner().invoke(main, ["audit", *map(str, words)], env=environment, catch_exceptions=False)
    assert not check or done.exit_code == 0, done.output
    return done


@pytest.fixture(scope="module")
def bag(folder):
    """An export with all that it may have."""
    flags = ("--format", "mbox", "--numbers", "--sign", "--timestamp-request")
    run(folder, "export", *ENROLMENT, "--to", folder / "bag", *flags)
    return folder / "bag"


def export(folder, target):
    """The same export again, without a signature."""
    flags = ("--format", "mbox", "--numbers", "--json")
    return json.loads(run(folder, "export", *ENROLMENT, "--to", target, *flags).stdout)


def text_of(path):
    return path.read_text(encoding="utf-8")


# -- without Gatekeeper ------------------------------------------------------------------------------------------


def shell(command, cwd):
    done = subprocess.run(["/bin/sh", "-ec", command], cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_sha256sum_says_that_it_is_whole(bag):
    """Clause C6: a manifest of digests."""
    shell("sha256sum --check --quiet --strict manifest-sha256.txt tagmanifest-sha256.txt", bag)
    shell("sha512sum --check --quiet --strict manifest-sha512.txt tagmanifest-sha512.txt", bag)
    listed = {line.split(None, 1)[1] for line in text_of(bag / "manifest-sha256.txt").splitlines()}
    assert listed == {path.relative_to(bag).as_posix() for path in (bag / "data").rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory):
    """A Python that has bagit and nothing of ours."""
    bagit = pytest.importorskip("bagit")
    home = tmp_path_factory.mktemp("elsewhere") / "python"
    venv.create(home, with_pip=False)
    (site,) = home.glob("lib/python*/site-packages")
    shutil.copy(bagit.__file__, site)
    about = Path(next(each for each in files("bagit") if each.name == "METADATA").locate()).parent
    shutil.copytree(about, site / about.name)
    return home / "bin" / "python"


def test_bagit_says_so_as_well(bag, elsewhere):
    shell(f"{elsewhere} -c 'import gatekeeper' 2>/dev/null && exit 1 || true", bag)
    shell(f"{elsewhere} -m bagit --validate .", bag)


def test_the_mbox_opens_with_the_standard_library(bag, elsewhere):
    program = (
        "import mailbox, sys; box = mailbox.mbox(sys.argv[1]); (one,) = box; "
        "parts = [part.get_filename() for part in one.walk()]; print(one['Subject'], parts)"
    )
    found = shell(f"""{elsewhere} -c "{program}" data/mailings/M-1/M-1.mbox""", bag)
    assert "Open enrolment" in found and "Plan 2026.pdf" in found


def readme(bag, heading):
    """The commands below a heading of README.txt, as whoever gets the bag has them."""
    part = text_of(bag / "README.txt").split(heading, 1)[1]
    found = []
    for line in part.splitlines()[1:]:
        if line and not line.startswith(" "):
            break
        if line.strip().split(" ")[0] in ("sed", "openssl", "sha256sum"):
            found.append(line.strip())
    return "\n".join(found)


def test_openssl_says_who_signed_it_by_the_commands_of_the_readme(bag, tmp_path):
    shutil.copytree(bag, tmp_path / "bag")
    assert "Verified" in shell(readme(bag, "Check the signature"), tmp_path / "bag")
    shell(readme(bag, "Check that it is whole"), tmp_path / "bag")
    (tmp_path / "bag" / "tagmanifest-sha256.txt").write_text("other\n")
    done = subprocess.run(["/bin/sh", "-c", readme(bag, "Check the signature")], cwd=tmp_path / "bag", check=False)
    assert done.returncode != 0


AUTHORITY = """\
[req]
distinguished_name = name
x509_extensions = authority
prompt = no
[name]
CN = A timestamp authority
[authority]
extendedKeyUsage = critical,timeStamping
basicConstraints = CA:TRUE
[tsa]
default_tsa = one
[one]
serial = ./serial
signer_digest = sha256
default_policy = 1.2.3.4
digests = sha256
ess_cert_id_alg = sha256
"""


def test_a_timestamp_of_an_authority_is_taken_in_without_a_call(folder, bag, tmp_path):
    """RFC 3161: a request that openssl's authority answers, an answer that openssl verifies; and no other one."""
    (tmp_path / "tsa.cnf").write_text(AUTHORITY)
    (tmp_path / "serial").write_text("01\n")
    make = "openssl req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out cert.pem -days 2 -config tsa.cnf 2>/dev/null"
    answer = "openssl ts -reply -config tsa.cnf -section one -signer cert.pem -inkey key.pem"
    answer += " -queryfile {query} -out {out}"
    shell(f"{make}; {answer.format(query=bag / 'timestamp.tsq', out='answer.tsr')}", tmp_path)
    shell("printf x > other; openssl ts -query -data other -sha256 -out other.tsq", tmp_path)
    shell(answer.format(query="other.tsq", out="other.tsr"), tmp_path)
    wrong = run(folder, "timestamp", "E-1", tmp_path / "other.tsr", "--by", RECORDS, check=False)
    assert wrong.exit_code == 65 and "another manifest" in wrong.stderr
    (tmp_path / "foreign").mkdir()
    words = ("timestamp", "E-1", tmp_path / "answer.tsr", "--by", RECORDS, "--bag")
    foreign = run(folder, *words, tmp_path / "foreign", check=False)
    assert foreign.exit_code == 65 and not list((tmp_path / "foreign").iterdir())
    run(folder, *words, bag)
    verify = "openssl ts -verify -data tagmanifest-sha256.txt -in timestamp.tsr -CAfile"
    assert verify in text_of(bag / "README.txt")
    shell(f"{verify} {tmp_path}/cert.pem", bag)


# -- what is in it -----------------------------------------------------------------------------------------------


def test_a_message_is_the_octets_that_came_in_beside_its_envelope(bag):
    """Clause C1: whole, with what the gate adds when it sends it described beside."""
    (path,) = (bag / "data" / "mailings" / "M-1").glob("*.eml")
    assert path.read_bytes() == FILE.replace("\n", "\r\n").encode()
    envelope = json.loads(text_of(path.with_suffix(".envelope.json")))
    assert len(envelope["envelope"]["recipients"]) == 240 and envelope["added_when_sent"].startswith("Received:")


def test_the_index_leads_to_every_message(bag):
    rows = list(csv.DictReader((bag / "data" / "index.csv").open(encoding="utf-8", newline="")))
    assert [(row["control_number"], row["mailing"]) for row in rows] == [("GK-000001", "M-1"), ("GK-000002", "M-3")]
    for row in rows:
        assert sha256((bag / row["file"]).read_bytes()).hexdigest() == row["sha256"]
    lines = [json.loads(line) for line in text_of(bag / "data" / "index.jsonl").splitlines()]
    assert [line["file"] for line in lines] == [row["file"] for row in rows]


def test_it_says_what_was_asked_what_is_not_there_and_who_had_it(bag):
    """Clauses C1 and D2: scope, and chain of custody."""
    scope = text_of(bag / "scope.txt")
    assert "Searched for: (enrolment) OR (sale)" in scope and "ordinary mail is not archived here" in scope
    custody = list(csv.DictReader((bag / "custody.csv").open(encoding="utf-8", newline="")))
    assert [(row["act"], row["by"]) for row in custody] == [("case opened", RECORDS), ("export begun", RECORDS)]
    exceptions = list(csv.DictReader((bag / "data" / "exceptions.csv").open(encoding="utf-8", newline="")))
    assert [row["part"] for row in exceptions] == ["Plan 2026.pdf"]


def test_decisions_are_there_with_the_rules_that_decided(bag):
    lines = [json.loads(each["line"]) for each in map(json.loads, text_of(bag / "data/audit/lines.jsonl").splitlines())]
    decisions = [line for line in lines if isinstance(line, list)]
    assert {line[5] for line in decisions} >= {"M-1", "M-3"} and "lunch" not in str(decisions)
    acts = {line["act"] for line in lines if isinstance(line, dict)}
    assert {"approved", "denied", "given"} <= acts
    for path in (bag / "data" / "rules").iterdir():
        assert sha256(path.read_bytes()).hexdigest() == path.stem and b"rules:" in path.read_bytes()
    assert (bag / "data" / "permits" / "P-1.json").is_file() and (bag / "data" / "premis.xml").is_file()


def test_premis_is_well_formed_and_names_each_message(bag):
    from xml.etree import ElementTree

    for name in ("data/premis.xml", "premis-export.xml"):
        root = ElementTree.parse(bag / name).getroot()
        kinds = [each.text for each in root.iter("{http://www.loc.gov/premis/v3}eventType")]
        assert kinds and root.tag.endswith("}premis")
    assert kinds == ["fixity check", "dissemination"]


# -- again, on, and by whom --------------------------------------------------------------------------------------


def test_the_same_export_has_the_same_payload_and_numbers_again(folder, bag):
    again = export(folder, folder / "again.zip")
    assert again["payload"] == sha256((bag / "manifest-sha256.txt").read_bytes()).hexdigest()
    with ZipFile(folder / "again.zip") as archive:
        assert archive.read("again/manifest-sha256.txt") == (bag / "manifest-sha256.txt").read_bytes()
    assert not list(folder.glob("*.unfinished"))


KILLS = [("export-begun", 1), ("export-file", 1), ("export-noted", 1), ("export-file", 4), ("export-noted", 7)]
KILLS += [("export-file", 11), ("export-whole", 1), ("export-done", 1)]


@pytest.mark.parametrize("form", ["", ".zip"])
def test_an_export_that_was_killed_goes_on_with_the_same_command(folder, bag, form):
    """At each step: the payload is that of the export that nobody killed, under one number."""
    for name, nth in KILLS:
        target = folder / f"{name}{nth}{form}"
        assert killed_at(name, partial(export, folder, target), nth), name
        assert not form or name == "export-done" or not target.exists()
        done = export(folder, target)
        assert done["payload"] == sha256((bag / "manifest-sha256.txt").read_bytes()).hexdigest()
        assert form or run(folder, "verify", "--bag", target).exit_code == 0
    begun = [act["details"]["export"] for act in acts(folder) if act["act"] == "export begun"]
    assert len(set(begun)) == len(begun), "none was begun twice"
    whole = {act["details"]["export"] for act in acts(folder) if act["act"] == "exported"}
    assert len(set(begun) - whole) == (1 if not form else 2), (
        "only one that was begun for an empty folder is not gone on with"
    )
    assert not list(folder.glob("*.unfinished"))


def test_an_export_to_a_file_that_found_no_room_goes_on_with_the_same_command(folder, bag, monkeypatch):
    def full(folder, target):
        raise OSError(28, "No space left on device")

    words = ("export", *ENROLMENT, "--to", folder / "full.zip", "--format", "mbox", "--numbers", "--json")
    with monkeypatch.context() as patched:
        patched.setattr(write, "zipped", full)
        done = run(folder, *words, check=False)
    assert done.exit_code == 73 and "the same command goes on" in done.stderr
    done = json.loads(run(folder, *words).stdout)
    assert done["payload"] == sha256((bag / "manifest-sha256.txt").read_bytes()).hexdigest()
    with ZipFile(folder / "full.zip") as archive:
        assert archive.testzip() is None and not [name for name in archive.namelist() if "unfinished" in name]
    noted = [act["act"] for act in acts(folder) if (act.get("details") or {}).get("export") == done["id"]]
    assert sorted(noted) == ["export begun", "exported"] and not list(folder.glob("*.unfinished"))


def acts(folder):
    words = ("search", "--by", AUDITOR, "--acts", "--since", "3650d", "--limit", "9999", "--json")
    return json.loads(run(folder, *words).stdout)["records"]


def test_a_bag_is_followed_to_the_chains_of_the_database(folder, bag, tmp_path):
    assert json.loads(run(folder, "verify", "--bag", bag, "--json").stdout)["by_the_chains"]
    shutil.copytree(bag, tmp_path / "forged")
    path = tmp_path / "forged" / "data" / "audit" / "lines.jsonl"
    path.write_text(text_of(path).replace("No advertisements", "No advertising!!"))
    done = run(folder, "verify", "--bag", tmp_path / "forged", check=False)
    assert done.exit_code == 65 and "lines.jsonl: it is not what its sha256 says" in done.stdout
    assert "is not what was recorded" in done.stdout
    away = CliRunner().invoke(
        main, ["audit", "verify", "--bag", str(bag)], env={"GATEKEEPER_DATABASE": f"sqlite:///{tmp_path}/none.db"}
    )
    assert away.exit_code == 0 and "no database to compare" in away.stdout


def forged(bag, folder, change):
    """A copy of a bag that was changed, with new manifests; it is whole by itself."""
    shutil.copytree(bag, folder)
    change(folder)
    for name in ("sha256", "sha512"):
        shell(f"{name}sum $(find data -type f | sort) > manifest-{name}.txt", folder)
    oxum = "$(cat $(find data -type f) | wc -c).$(find data -type f | wc -l)"
    shell(f'sed -i "s/^Payload-Oxum.*/Payload-Oxum: {oxum}/" bag-info.txt', folder)
    for name in ("sha256", "sha512"):
        shell(f"{name}sum $(ls *.txt *.csv *.xml | grep -v tagmanifest) > tagmanifest-{name}.txt", folder)
    return folder


def test_a_bag_is_compared_with_what_was_noted_of_the_export(folder, bag, tmp_path):
    """A bag whose manifests were made anew, or that lost its signature, is not what was exported."""
    shutil.copytree(bag, tmp_path / "unsigned")
    (tmp_path / "unsigned" / "signature.txt").unlink()
    made_anew = forged(bag, tmp_path / "anew", empty_index)
    info = forged(bag, tmp_path / "other", other_number)
    for place, told in (
        (tmp_path / "unsigned", "signature.txt: it is missing, and the export was signed"),
        (made_anew, "tagmanifest-sha256.txt: it is not that of E-1, whose SHA-256 is"),
        (info, "bag-info.txt: the database has no export 'E-77'"),
    ):
        done = run(folder, "verify", "--bag", place, check=False)
        assert done.exit_code == 65 and told in done.stdout, done.stdout


def empty_index(place):
    (place / "signature.txt").unlink()
    (place / "data" / "index.jsonl").write_text("")


def other_number(place):
    (place / "signature.txt").unlink()
    path = place / "bag-info.txt"
    path.write_text(text_of(path).replace("Identifier: E-1", "Identifier: E-77"))


def test_what_is_no_folder_is_no_bag(folder, tmp_path):
    (tmp_path / "bag.zip").write_bytes(b"PK")
    for place, told in ((tmp_path / "bag.zip", "unpack it first"), (tmp_path / "none", "no such folder")):
        done = run(folder, "verify", "--bag", place, check=False)
        assert done.exit_code == 66 and told in done.stderr


def test_a_question_that_cannot_be_read_begins_no_export(folder):
    before = [act for act in acts(folder) if act["act"] == "export begun"]
    done = run(folder, "export", "--by", RECORDS, "--case", "C-1", "sale OR", "--to", folder / "torn", check=False)
    assert done.exit_code == 65 and not (folder / "torn").exists()
    assert [act for act in acts(folder) if act["act"] == "export begun"] == before


def test_a_receipt_names_somebody(folder, bag):
    done = run(folder, "receipt", "E-1", "--by", RECORDS, "--to", " ", "--at", "2026-12-01", check=False)
    assert done.exit_code == 65 and "expected to whom" in done.stderr


def test_only_a_records_officer_exports_and_every_step_is_an_act(folder, bag):
    """Clause D4: who exported what and under which digest, to whom it was handed over."""
    refused = run(folder, "export", "--by", AUDITOR, "--case", "C-1", "enrolment", "--to", folder / "no", check=False)
    assert refused.exit_code == 77 and not (folder / "no").exists()
    run(folder, "receipt", "E-1", "--by", RECORDS, "--to", "Clerk of court, J. Doe", "--at", "2026-12-01")
    found = [act for act in acts(folder) if act.get("details", {}).get("export") == "E-1"]
    kinds = [act["act"] for act in found]
    assert kinds[:2] == ["export begun", "exported"] and kinds[-1] == "handed over"
    assert found[1]["details"]["payload"] == sha256((bag / "manifest-sha256.txt").read_bytes()).hexdigest()
    assert len(found[1]["details"]["key"]) == 64 and "J. Doe" in found[-1]["text"]
    shown = run(folder, "case", "show", "C-1", "--by", AUDITOR).stdout
    assert "handed over by records@example.gov E-1: to Clerk of court, J. Doe on 2026-12-01" in shown
    assert (
        run(folder, "receipt", "E-99", "--by", RECORDS, "--to", "x", "--at", "2026-12-01", check=False).exit_code == 66
    )
    assert run(folder, "verify").exit_code == 0


async def test_messages_that_were_to_be_kept_and_were_lost_are_exceptions(store, tmp_path):
    scene = RecordsScene(store, tmp_path)
    await scene.a_day()
    with store.database.engine.connect() as connection:
        keys = dict(map(tuple, connection.execute(select(mailings.c.number, mailings.c.id))))
    store.call(partial(passed.note_lost, lost=[(keys[2], 3, "the disk is full")], now=scene.now))
    how = BagWanted(scene.open_case(), SearchWanted("works"), RECORDS)
    write_bag(scene.service, tmp_path / "bag", how, lambda length: nullcontext(lambda steps: None))
    rows = list(csv.DictReader((tmp_path / "bag" / "data" / "exceptions.csv").open(encoding="utf-8", newline="")))
    lost = {"mailing": "M-2", "batch": "", "sha256": "", "part": "message"}
    assert rows == [lost | {"why": "content not kept: 3 messages: the disk is full"}]


async def test_the_scope_says_on_a_line_each_how_it_was_narrowed(store, tmp_path):
    scene = RecordsScene(store, tmp_path)
    await scene.a_day()
    wanted = SearchWanted("plan", subject="fair\nNot here\n- nothing", since=86_400.0)
    how = BagWanted(scene.open_case(), wanted, RECORDS)
    write_bag(scene.service, tmp_path / "bag", how, lambda length: nullcontext(lambda steps: None))
    lines = text_of(tmp_path / "bag" / "scope.txt").splitlines()
    assert "  subject: fair Not here - nothing" in lines and lines.count("Not here") == 1
    assert "  since: 1970-01-02T00:00:00Z" in lines


async def test_both_databases_hand_over_what_is_whole(store, tmp_path):
    scene = RecordsScene(store, tmp_path)
    await scene.a_day()
    case = scene.open_case()
    how = BagWanted(case, SearchWanted("enrolment OR sale"), RECORDS, mbox=True, prefix="GK")
    written = write_bag(scene.service, tmp_path / "bag", how, lambda length: nullcontext(lambda steps: None))
    assert list(bag_check.problems_of(tmp_path / "bag")) == [] and written.files > 10
    lines = list(bag_check.lines_of(tmp_path / "bag"))
    for line in lines:
        kept = store.writer.read(partial(audit_chain.line_at, chain=line.chain, number=line.record))
        assert kept is not None and (kept.line, kept.after) == (line.line, line.after)
    assert len(lines) == 5 and problems(store) == {}


def test_without_words_it_is_the_mailings_of_the_case(folder):
    words = ("export", "--by", RECORDS, "--case", "C-1", "--to", folder / "own")
    assert "has no mailings of its own" in run(folder, *words, check=False).stderr and not (folder / "own").exists()
    run(folder, "case", "add", "C-1", "M-3", "--by", RECORDS)
    run(folder, *words)
    assert {path.name for path in (folder / "own" / "data" / "mailings").iterdir()} == {"M-3"}


def test_a_saved_search_is_what_an_export_may_name(folder):
    run(folder, "search", "--by", RECORDS, "--case", "C-1", "--save", "sale")
    words = ("export", "--by", RECORDS, "--case", "C-1", "--search", "1", "--to", folder / "saved", "--json")
    done = json.loads(run(folder, *words).stdout)
    assert {path.name for path in (folder / "saved" / "data" / "mailings").iterdir()} == {"M-3"} and done["files"] > 5
    both = ("export", "--by", RECORDS, "--case", "C-1", "--search", "1", "sale", "--to", folder / "x")
    assert run(folder, *both, check=False).exit_code == 64
    again = run(folder, "export", "--by", RECORDS, "--case", "C-1", "sale", "--to", folder / "saved", check=False)
    assert again.exit_code == 73 and "is there already" in again.stderr
