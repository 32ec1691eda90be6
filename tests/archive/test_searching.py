"""Records are found by words and people for a case (D2), with what was not searched; every search is an act (D4)."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from functools import partial
from hashlib import sha256

import pytest

from gatekeeper.api.searching import found_document
from gatekeeper.archive import texts as reading
from gatekeeper.archive.query import read_query
from gatekeeper.archive.texts import CUT, ENCRYPTED, FILE, content_text
from gatekeeper.audit.history import History
from gatekeeper.ledger.context import LedgerError, NotAllowed, NotFound
from gatekeeper.ledger.searching import SearchWanted
from gatekeeper.store import Database, batches, cleanup, record_search, texts
from gatekeeper.store.db.schema import disposal_items, disposals, requests
from tests.archive.scene import AUDITOR, RECORDS, RecordsScene
from tests.ledger.scene import CIO, SENDER
from tests.store.arrivals import people
from tests.store.databases import lay_out


@pytest.fixture
async def scene(store, tmp_path):
    made = RecordsScene(store, tmp_path)
    await made.a_day()
    made.open_case()
    return made


def search(scene, query="", by=RECORDS, save=False, limit=100, **more):
    return scene.service.search(1, SearchWanted(query=query, **more), by, limit, save=save)


def places(found):
    return sorted({(hit.id, hit.place) for hit in found.hits})


async def test_records_are_found_by_words_of_facts_and_of_content(scene):
    """Clauses C1 and D2."""
    assert places(search(scene, "enrolment")) == [("M-1", "held"), ("M-1", "ledger"), ("P-1", "ledger")]
    assert places(search(scene, "burgerversammlung")) == [("M-1", "held")], "HTML, its charset, case and accents"
    assert places(search(scene, '"plan comparison"')) == [("M-1", "held")], "across the tags of HTML"
    assert places(search(scene, '"goes to all"')) == [("M-1", "ledger"), ("P-1", "ledger")], "why it was approved"
    assert places(search(scene, "compares fair")) == [("R-1", "ledger")], "what was asked for, and why"
    assert places(search(scene, "plan -compares")) == [("M-1", "held")]
    assert places(search(scene, "advertis*")) == [("M-3", "ledger")]
    assert places(search(scene, "works")) == [("M-2", "ledger")], "what passed without a stop is there by its facts"


async def test_of_ordinary_mail_nothing_is_searched_or_kept_for_it(scene, store):
    """Clause D4 and promise 5: neither its words, nor that of mail which was gathered and passed."""
    assert search(scene, "secret OR recipe OR lunch").total == 0
    with store.database.engine.connect() as connection:
        kinds = [row.kind for row in connection.execute(texts.texts.select())]
    assert sorted(kinds) == sorted(["content"] * 2 + ["mailing"] * 3 + ["filled", "mark", "permit", "request"])


async def test_counts_come_first_and_content_is_opened_at_a_second_step(scene):
    found = search(scene, "enrolment", limit=1)
    assert (found.total, found.counts, len(found.hits)) == (3, {"mailing": 1, "permit": 1, "held": 1}, 1)
    document = json.dumps(found_document(search(scene, "plan")))
    assert "versammlung" not in document.lower() and "please" not in document


async def test_people_and_facts_narrow_a_search(scene):
    """Clause D2: by person, subject, time."""
    own = [("M-1", "held"), ("M-1", "ledger"), ("M-2", "ledger"), ("R-1", "ledger")]
    assert places(search(scene, sender=SENDER)) == own
    assert places(search(scene, subject="for SALE")) == [("M-3", "held"), ("M-3", "ledger")]
    assert places(search(scene, file="*.PDF")) == [("M-1", "held")]
    assert places(search(scene, state="denied", places=("ledger",))) == [("M-3", "ledger")]
    assert places(search(scene, rule="approval", places=("ledger",))) == [("M-1", "ledger"), ("M-3", "ledger")]
    decided = [("M-1", "ledger"), ("M-3", "ledger"), ("P-1", "ledger")]
    assert places(search(scene, person=CIO, places=("ledger",))) == decided
    assert places(search(scene, since=scene.now - 30, places=("held", "mass"))) == [("M-3", "held")]
    assert search(scene, until=scene.now - 1e6).total == 0
    assert {hit.id for hit in search(scene, agency="DOA", places=("ledger",)).hits} >= {"M-1", "M-2", "M-3", "R-1"}


async def test_a_suspension_is_found_by_whom_it_is_about(scene):
    until = date(2026, 12, 31)
    for kind, name in (("sender", SENDER), ("sender", "jo@doa.example.gov"), ("agency", "DPHHS")):
        scene.service.suspend(kind, name, CIO, "Chain letters", until)

    def found(**narrowed):
        hits = search(scene, places=("ledger",), **narrowed).hits
        return sorted(hit.id for hit in hits if hit.kind == "suspension")

    assert found(sender=SENDER) == found(person=SENDER) == ["S-1"] and found(agency="DPHHS") == ["S-3"]
    assert found(person=CIO) == ["S-1", "S-2", "S-3"] and found(recipient=SENDER) == []


async def test_a_recipient_is_found_in_what_is_kept_and_by_hash_in_what_passed(scene):
    """Clause D2: "reached, by its hash; no list is kept"."""
    (address, *_) = people(1)
    hits = search(scene, recipient=address.upper(), places=("ledger",)).hits
    assert {hit.id: hit.kept for hit in hits} == {"M-1": True, "M-2": False, "M-3": True}
    assert search(scene, recipient="nobody@doa.example.gov").total == 0


async def test_every_answer_says_what_it_does_not_cover(scene):
    """Clause C1: ordinary mail is not archived here, and a search says so; what could not be read, by item."""
    scope = search(scene, "enrolment").scope
    assert "ordinary mail is not archived here" in scope.not_here[0]
    assert scope.unsearched_messages == 1
    ((id, part, why),) = [(each.id, each.part, each.why) for each in scope.unsearched]
    assert (id, part, why) == ("M-1", "Plan 2026.pdf", FILE)
    assert search(scene, "enrolment", places=("mass",)).scope.unsearched == ()
    assert scope.read_as == "enrolment" and scope.asked == {"query": "enrolment", "places": ["ledger", "held", "mass"]}


async def test_an_answer_names_the_certificates_of_what_was_destroyed(scene, store):
    """Clause C7."""
    row = {"number": 3, "state": "done", "class": "held", "schedule": "", "cite": "", "keep": "3 years", "items": 12}
    row |= {"cutoff": scene.now - 9e7, "automatic": False, "octets": 1, "digest": "", "proposed_by": RECORDS}
    row |= {"proposed_at": scene.now, "done_at": scene.now, "certificate": "c" * 64}
    with store.database.engine.begin() as connection:
        connection.execute(disposals.insert().values(**row))
        connection.execute(disposals.insert().values(**{**row, "number": 4, "state": "proposed", "done_at": None}))
        of_list = {"disposal_id": 1, "mailing_id": 1, "body": b"d" * 32, "octets": 1}
        for place, state in enumerate(("destroyed", "elsewhere", "kept", "kept")):
            item = {"position": place, "number": place, "state": state}
            connection.execute(disposal_items.insert().values(**of_list, **item))
    (destroyed,) = found_document(search(scene, "enrolment"))["scope"]["gone"]["destroyed"]
    assert (destroyed["id"], destroyed["messages"], destroyed["certificate"]) == ("D-3", 10, "c" * 64)


async def test_what_cannot_be_searched_is_named_with_the_reason():
    sealed = (
        b"From: a@b.example\r\nMIME-Version: 1.0\r\nContent-Type: application/pkcs7-mime; name=smime.p7m\r\n\r\nx\r\n"
    )
    assert [why for _, why in content_text(b"", sealed).unsearched] == [ENCRYPTED]
    torn = b"From: a@b.example\r\nSubject: x\r\nSubject: y\r\n\r\nx\r\n"
    ((part, why),) = content_text(b"", torn).unsearched
    assert part == "message" and why.startswith("defective (") and "duplicate-subject" in why


HEAD = b"From: a@b.example\r\nMIME-Version: 1.0\r\nContent-Type: text/%s; charset=utf-8\r\n\r\n"


def test_what_html_hides_is_searched_and_what_was_not_read_of_it_is_named():
    hidden = content_text(
        b"", HEAD % b"html" + b"<p>Shown <b>words</b></p><span style='display:none'>secret sale</span>"
    )
    assert {"shown", "words", "secret", "sale"} <= set(hidden.words) and hidden.unsearched == ()
    assert content_text(b"", HEAD % b"html" + b"<p>All of it</p>").words[-3:] == ("all", "of", "it")
    long = content_text(b"", HEAD % b"html" + b"<p>word</p>" * 30_000 + b"<p>lastword</p>")
    assert "lastword" not in long.words and long.unsearched == (("text", CUT),)


def test_a_text_that_is_encrypted_is_named():
    sealed = HEAD % b"plain" + b"-----BEGIN PGP MESSAGE-----\r\n\r\nhQEMA\r\n-----END PGP MESSAGE-----\r\n"
    assert content_text(b"", sealed).unsearched == (("text/plain", ENCRYPTED),)


async def test_the_message_of_a_request_is_named_too_where_it_cannot_be_searched(scene, store):
    sealed = HEAD % b"plain" + b"-----BEGIN PGP MESSAGE-----\r\n"
    digest = sha256(sealed).digest()
    store.call(lambda c: batches.store_whole(c, digest, sealed, scene.now))
    store.call(lambda c: c.execute(requests.update().values(body=digest)))
    scope = search(scene, "enrolment").scope
    assert scope.unsearched_messages == 2
    assert ("R-1", "text/plain", ENCRYPTED) in [(each.id, each.part, each.why) for each in scope.unsearched]


async def test_an_answer_says_what_its_narrowing_leaves_out(scene):
    """Nothing found is no proof where nothing was looked at."""
    assert not any("permits" in line for line in search(scene, "plan").scope.not_here)
    assert any(line.startswith("permits: neither") for line in search(scene, sender=SENDER).scope.not_here)
    assert any("nor a rule finds them" in line for line in search(scene, rule="approval").scope.not_here)
    assert any("no agency 'NOPE'" in line for line in search(scene, agency="NOPE").scope.not_here)
    both = search(scene, agency="DOA", places=("decisions", "access"))
    assert both.total == 0
    assert both.scope.not_here[-2:] == (
        "decisions: agency does not find anything there",
        "access: agency does not find anything there",
    )
    with pytest.raises(LedgerError, match=r"state 'bogus': expected one of .*denied, "):
        search(scene, state="bogus")
    for name in ("sender", "recipient", "person"):
        with pytest.raises(LedgerError, match=f"{name} 'jo': expected an address"):
            search(scene, **{name: "jo"})


async def test_recorded_decisions_about_ordinary_mail_are_found_by_their_sender(scene):
    found = search(scene, sender=SENDER, places=("decisions",))
    assert [hit.sender for hit in found.hits].count("") == 1, "of ordinary mail there is only the hash"


async def test_the_timeline_says_how_a_search_was_narrowed(scene):
    search(scene, "plan", state="approved", recipient="x@doa.example.gov", since=0.0 + 86_400)
    said = scene.service.show_case(1, RECORDS).events[-1].text
    assert said.startswith("plan, recipient x@doa.example.gov, state approved, since 1970-01-02T00:00:00Z; found")


async def test_who_may_search_and_that_every_search_is_an_act(scene, store):
    """Clause D4: who searched, for what and for which case, before they saw the answer."""
    for by in (CIO, SENDER, "stranger@example.gov"):
        with pytest.raises(NotAllowed):
            search(scene, "enrolment", by=by)
    search(scene, "enrolment", by=AUDITOR)
    saved = search(scene, "sale", save=True)
    assert saved.number == 1
    acts = [act for act in History(store, 0, 1e12).acts() if act["act"] == "searched"]
    assert [(act["by"], act["case_id"]["number"], act["details"]["asked"]["query"]) for act in acts] == [
        (AUDITOR, 1, "enrolment"),
        (RECORDS, 1, "sale"),
    ]
    assert acts[1]["details"]["digest"] == saved.digest and acts[1]["text"].startswith("search 1: sale")
    assert [event.act for event in scene.service.show_case(1, RECORDS).events] == [
        "case opened",
        "searched",
        "searched",
    ]
    looked = search(scene, "enrolment", places=("access",), person=AUDITOR)
    assert [(hit.id, hit.place) for hit in looked.hits] == [("C-1", "access")]


async def test_a_search_needs_a_case_that_is_open_and_words_that_can_be_read(scene):
    with pytest.raises(LedgerError, match="the search cannot be read"):
        search(scene, '"open')
    with pytest.raises(LedgerError, match="expected some of ledger, held"):
        search(scene, "x", places=("attic",))
    with pytest.raises(NotFound):
        scene.service.search(7, SearchWanted("x"), RECORDS)
    scene.service.close_case(1, RECORDS)
    with pytest.raises(LedgerError, match="closed"):
        search(scene, "x")


async def test_what_becomes_a_record_after_all_was_read_is_read_as_well(scene, store):
    """No event tells of a mailing to many that passes; one that an event tells of may be old."""
    search(scene, "enrolment")
    scene.now += 60
    await scene.send(people(60), subject="Snow day", text=b"Stay at home\n")
    assert places(search(scene, "snow")) == [("M-4", "ledger")]
    await scene.send(people(240), subject="Parking garage", text=b"Closed for the quagga migration\n")
    assert places(search(scene, "quagga")) == [("M-5", "held")]
    scene.service.ask_changes(5, CIO, "Say okapi, too")
    assert places(search(scene, "okapi")) == [("M-5", "ledger")]


async def test_what_several_read_at_once_is_found_once(scene, store):
    """A gate and a search read what is new at the same moment."""
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: reading.catch_up(store), range(4)))
    assert search(scene, "enrolment").counts == {"mailing": 1, "permit": 1, "held": 1}


async def test_decisions_are_searched_where_that_is_asked_for(scene):
    found = search(scene, "enrolment", places=("decisions",))
    assert [(hit.id, hit.kind, hit.state) for hit in found.hits] == [("M-1", "decision", "hold")]
    assert search(scene, rule="approval", places=("decisions",)).counts == {"decisions": 2}


async def test_what_changes_is_found_as_it_is_and_what_is_removed_no_more(scene, store):
    search(scene, "enrolment")
    scene.now += 60
    scene.service.suspend("sender", SENDER, CIO, "Zebra crossing", date(2026, 12, 31))
    assert places(search(scene, "zebra")) == [("S-1", "ledger")]
    reading.catch_up(store)
    assert reading.catch_up(store) == 0, "nothing is read twice"
    digest = sha256(b"").digest()
    assert store.call(partial(texts.forget_contents, digests=[digest])) == 0
    with store.database.engine.begin() as connection:
        for table in ("jobs", "batch_recipients", "batches"):
            connection.exec_driver_sql(f"DELETE FROM {table}")
    store.call(partial(cleanup.forget_bodies, before=scene.now + 1e6))
    assert search(scene, "burgerversammlung").total == 0
    assert store.writer.read(lambda c: texts.ids_with(c, ["burgerversammlung"])) == set(), "its words are gone"


# -- charsets ----------------------------------------------------------------------------------------------------

_LATIN, _EAST, _CYRILLIC, _GREEK = "Bürgermeister café", "Őrség Łódź", "Собрание жильцов", "Συνέλευση πολιτών"
CHARSETS = {
    **dict.fromkeys(("utf-8", "utf-7", "utf-16", "utf-32", "iso-8859-1", "iso-8859-15", "windows-1252"), _LATIN),
    **dict.fromkeys(("iso-8859-3", "iso-8859-4", "iso-8859-9", "iso-8859-10", "iso-8859-14", "cp437"), "Bürgermeister"),
    **dict.fromkeys(("cp850", "windows-1254", "windows-1257", "windows-1258", "iso-8859-13"), "Bürgermeister"),
    **dict.fromkeys(("iso-8859-2", "iso-8859-16", "windows-1250", "cp852"), _EAST),
    **dict.fromkeys(("koi8-r", "koi8-u", "windows-1251", "iso-8859-5", "cp866", "mac-cyrillic", "ptcp154"), _CYRILLIC),
    **dict.fromkeys(("iso-8859-7", "windows-1253", "mac-greek"), _GREEK),
    **dict.fromkeys(("iso-8859-8", "windows-1255"), "ישיבת מועצה"),
    **dict.fromkeys(("iso-8859-6", "windows-1256"), "اجتماع المجلس"),
    **dict.fromkeys(("iso-2022-jp", "euc-jp", "shift_jis"), "会議の記録"),
    **dict.fromkeys(("gb2312", "gbk", "gb18030"), "会议记录"),
    **dict.fromkeys(("big5", "big5-hkscs"), "會議記錄"),
    **dict.fromkeys(("euc-kr", "iso-2022-kr"), "회의 기록"),
    "tis-620": "การประชุม",
}


def test_a_message_is_found_whatever_its_charset_in_headers_parts_and_nested_messages():
    """Clause D2: forty charsets, each in a subject, in a text, in HTML and in a message within."""
    assert len(CHARSETS) >= 40
    for charset, words in CHARSETS.items():
        body = words.encode(charset)
        inner = f"From: a@b.example\r\nContent-Type: text/plain; charset={charset}\r\n\r\n".encode() + body + b"\r\n"
        message = b"From: a@b.example\r\nMIME-Version: 1.0\r\n" + b'Content-Type: multipart/mixed; boundary="b"\r\n\r\n'
        message += b"--b\r\nContent-Type: message/rfc822\r\n\r\n" + inner + b"\r\n--b--\r\n"
        query = read_query(f'"{words.upper()}"')
        assert query.matches(list(content_text(b"", message).words)), charset
        flat = f"From: a@b.example\r\nContent-Type: text/plain; charset={charset}\r\n\r\n".encode() + body + b"\r\n"
        assert query.matches(list(content_text(b"", flat).words)), charset


@pytest.mark.parametrize("words", [None, range(600)])
def test_a_search_for_somebodys_mail_begins_with_their_mailings(tmp_path, words):
    """SQLite would begin with all messages, of which a hundred thousand take a third of a second."""
    theirs = record_search.RecordFilters(keys=frozenset(range(1, 61)))

    def begins_with(connection):
        query = record_search._of_contents(connection, words, theirs, record_search.HELD)
        text = str(query.compile(connection.engine, compile_kwargs={"literal_binds": True}))
        plan = [row.detail for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {text}")]
        return next(step for step in plan if step.startswith(("SEARCH", "SCAN")))

    database = Database(lay_out(tmp_path / "gate.db"), 5)
    with database.engine.connect() as connection:
        assert begins_with(connection).startswith("SEARCH mailings")
    database.dispose()
