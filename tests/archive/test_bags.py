"""A bag as it is written: whole or to be gone on with, and nothing in it that its manifests do not name."""

from __future__ import annotations

import mailbox
import os
import re
from datetime import UTC, datetime
from hashlib import sha256
from zipfile import ZipFile

import pytest

from gatekeeper.archive import bag_check
from gatekeeper.archive.bag import Bag, BagError, zipped
from gatekeeper.archive.mbox import mbox_entry
from gatekeeper.archive.signing import problem_of_timestamp, timestamp_request

INFO = {"Source-Organization": "A\nB", "External-Identifier": "E-1"}


def write(folder, files, about="x"):
    bag = Bag.begin(folder, lambda: {"export": "E-1"}, about)
    for path, chunks in files.items():
        bag.add(path, lambda chunks=chunks: chunks, sha256(b"".join(chunks)).hexdigest())
    bag.tag("README.txt", "how to check\n")
    digests = bag.finish(INFO)
    bag.close()
    return digests


def test_a_bag_is_whole_and_anything_changed_added_or_removed_is_named(tmp_path):
    write(tmp_path / "bag", {"data/a.eml": [b"one", b"two"], "data/b/%\n.eml": [b"x"], "data/empty": []})
    assert list(bag_check.problems_of(tmp_path / "bag")) == []
    assert (tmp_path / "bag" / "data" / "a.eml").stat().st_mode & 0o077 == 0
    assert bag_check.info_of(tmp_path / "bag")["Payload-Oxum"] == "7.3"
    assert (tmp_path / "bag" / "manifest-sha256.txt").read_text().splitlines()[1].endswith("  data/b/%25%0A.eml")
    for path, change, told in (
        ("data/a.eml", b"onetwO", "data/a.eml: it is not what its sha256 says"),
        ("README.txt", b"trust me\n", "README.txt: it is not what"),
        ("data/new.eml", b"", "data/new.eml: manifest-sha256.txt does not have it"),
        ("data/empty", None, "data/empty: it is missing"),
        ("bag-info.txt", None, "bag-info.txt: it is missing"),
    ):
        changed = tmp_path / "changed"
        write(changed, {"data/a.eml": [b"onetwo"], "data/empty": []})
        (changed / path).unlink() if change is None else (changed / path).write_bytes(change)
        assert any(problem.startswith(told) for problem in bag_check.problems_of(changed)), told
        for each in sorted(changed.rglob("*"), reverse=True):
            each.rmdir() if each.is_dir() else each.unlink()
        changed.rmdir()


def emptied(bag):
    (bag / "tagmanifest-sha512.txt").write_text("")


def linked(bag):
    (bag / "data" / "a").unlink()
    (bag / "data" / "a").symlink_to(bag.parent / "same")


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (emptied, "README.txt: tagmanifest-sha512.txt does not have it"),
        (lambda bag: (bag / "more.txt").write_text("x"), "more.txt: tagmanifest-sha256.txt does not have it"),
        (lambda bag: (bag / "data" / "more").symlink_to("/etc"), "data/more: it is a link"),
        (linked, "data/a: it is a link"),
        (lambda bag: os.mkfifo(bag / "data" / "pipe"), "data/pipe: it is a link or a device"),
    ],
)
def test_what_no_manifest_vouches_for_is_named(tmp_path, change, told):
    (tmp_path / "same").write_text("x")
    write(tmp_path / "bag", {"data/a": [b"x"]})
    change(tmp_path / "bag")
    assert any(problem.startswith(told) for problem in bag_check.problems_of(tmp_path / "bag"))


def test_a_manifest_that_leads_out_of_the_bag_is_refused(tmp_path):
    (tmp_path / "secret").write_text("x")
    write(tmp_path / "bag", {"data/a": [b"x"]})
    manifest = tmp_path / "bag" / "manifest-sha256.txt"
    manifest.write_text(manifest.read_text().replace("data/a", "../secret"))
    assert "../secret: it is missing" in list(bag_check.problems_of(tmp_path / "bag"))


@pytest.mark.parametrize(
    ("path", "octets", "told"),
    [
        ("manifest-sha256.txt", b"nonsense\n", "manifest-sha256.txt: line 1 is not a digest and a path"),
        ("manifest-sha256.txt", b"00  data/\xff\n", "manifest-sha256.txt: line 1 is not a digest and a path"),
        ("manifest-sha512.txt", b"00  data/%00\n", "data/[U+0000]: it is missing"),
        ("manifest-sha512.txt", b"00  data/" + b"a" * 5000 + b"\n", "data/aaa"),
        ("manifest-sha512.txt", b"00  data/\x1b[2J\xe2\x80\xae\n", "data/[U+001B][2J[U+202E]: it is missing"),
        ("bag-info.txt", b"Payload-Oxum: \x1b[2J\xff\n", "bag-info.txt: Payload-Oxum is [U+001B][2J"),
        ("bag-info.txt", b"", "bag-info.txt: Payload-Oxum is None"),
        ("tagmanifest-sha256.txt", None, "tagmanifest-sha256.txt: it is missing"),
        ("tagmanifest-sha512.txt", None, "tagmanifest-sha512.txt: it is missing"),
    ],
)
def test_whatever_somebody_puts_into_a_bag_is_told_and_moves_no_terminal(tmp_path, path, octets, told):
    write(tmp_path / "bag", {"data/a": [b"x"]})
    (tmp_path / "bag" / path).unlink() if octets is None else (tmp_path / "bag" / path).write_bytes(octets)
    problems = list(bag_check.problems_of(tmp_path / "bag"))
    assert any(problem.startswith(told) for problem in problems), problems
    assert all(problem.isprintable() and len(problem) < 500 for problem in problems)
    bag_check.size_of(tmp_path / "bag")


@pytest.mark.parametrize(
    "line",
    [
        b"\xff\n",
        b"[" * 100_000 + b"\n",
        b'{"chain": Infinity, "record": 1, "before": "", "after": "", "line": "x"}\n',
        b'{"chain": 99999999999999999999, "record": 1, "before": "", "after": "", "line": "x"}\n',
        b'{"chain": 1, "record": -1, "before": "", "after": "", "line": "x"}\n',
        b'{"chain": 1, "record": 1, "before": "", "after": "", "line": "\\ud800"}\n',
        b"\n",
    ],
)
def test_an_audit_line_that_cannot_be_read_is_of_no_chain(tmp_path, line):
    write(tmp_path / "bag", {bag_check.LINES: [line]})
    assert [(each.chain, each.is_whole) for each in bag_check.lines_of(tmp_path / "bag")] == [(0, False)]
    assert list(bag_check.problems_of(tmp_path / "bag")) == [f"{bag_check.LINES}: line 1 cannot be read"]


def test_the_same_files_have_the_same_payload_manifest(tmp_path):
    files = {"data/a.eml": [b"one"], "data/b.eml": [b"two"]}
    first, _ = write(tmp_path / "first", files)
    second, _ = write(tmp_path / "second", files)
    assert first.sha256 == second.sha256


def test_a_bag_goes_on_where_it_was_left(tmp_path, monkeypatch):
    """Killed after each file, and in the middle of one: nothing is lost, nothing half, nothing written twice."""
    files = {f"data/{number}.eml": [f"{number}".encode()] * 3 for number in range(5)}
    whole, _ = write(tmp_path / "whole", files)
    written = []
    for number in range(1, 6):
        bag = Bag.begin(tmp_path / "bag", lambda: {"export": "E-1"}, "x")
        for path, chunks in list(files.items())[:number]:
            digest = sha256(b"".join(chunks)).hexdigest()
            bag.add(path, lambda path=path, chunks=chunks: written.append(path) or chunks, digest)
        (tmp_path / "bag" / "data" / f"{number}.eml.part").write_bytes(b"half")
        with (tmp_path / "bag" / ".unfinished").open("ab") as journal:
            journal.write(b'{"path": "data/half')
        (tmp_path / "bag" / ".unfinished").write_bytes((tmp_path / "bag" / ".unfinished").read_bytes()[:-19])
    assert written == list(files)
    digests = write(tmp_path / "bag", files)
    assert digests[0].sha256 == whole.sha256 and list(bag_check.problems_of(tmp_path / "bag")) == []
    assert not list((tmp_path / "bag").rglob("*.part")), "what was half is gone"


def test_a_bag_that_goes_on_has_what_is_there_by_then_and_nothing_else(tmp_path):
    """Killed, and gone on with when a message came and another was destroyed: no index of then, nothing left over."""
    old = {"data/gone.eml": [b"gone"], "data/index.csv": [b"gone"]}
    bag = Bag.begin(tmp_path / "bag", lambda: {"export": "E-1"}, "x")
    for path, chunks in old.items():
        bag.add(path, lambda chunks=chunks: chunks)
    bag.tag("signature.txt", "of before")
    new = {"data/new.eml": [b"new"], "data/index.csv": [b"news"]}
    whole, _ = write(tmp_path / "whole", new)
    assert write(tmp_path / "bag", new)[0].sha256 == whole.sha256
    assert list(bag_check.problems_of(tmp_path / "bag")) == []
    names = {path.relative_to(tmp_path / "bag").as_posix() for path in (tmp_path / "bag").rglob("*") if path.is_file()}
    assert "data/gone.eml" not in names and "signature.txt" not in names and ".unfinished" not in str(names)


def test_a_folder_of_something_else_is_left_alone(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("of mine")
    with pytest.raises(BagError, match="is there already"):
        Bag.begin(tmp_path / "mine", dict, "x")
    Bag.begin(tmp_path / "begun", dict, "x")
    with pytest.raises(BagError, match="begun for something else"):
        Bag.begin(tmp_path / "begun", dict, "y")


def test_a_zip_has_the_folder_and_is_always_the_same(tmp_path):
    write(tmp_path / "bag", {"data/a.eml": [b"one"]})
    zipped(tmp_path / "bag", tmp_path / "first.zip")
    with ZipFile(tmp_path / "first.zip") as archive:
        assert archive.read("first/data/a.eml") == b"one" and archive.testzip() is None
    (tmp_path / "again").mkdir()
    zipped(tmp_path / "bag", tmp_path / "again" / "first.zip")
    assert (tmp_path / "again" / "first.zip").read_bytes() == (tmp_path / "first.zip").read_bytes()
    assert (tmp_path / "first.zip").stat().st_mode & 0o077 == 0


def test_an_mbox_gives_back_every_message(tmp_path):
    """mboxrd: what begins with From, quoted or not, comes back as it was, wherever chunks are cut."""
    message = b"From: a@b.example\r\nSubject: x\r\n\r\nFrom here\r\n>From there\r\n>>From\r\nFromage\r\nend"
    for size in (1, 3, 7, 1000):
        chunks = [message[at : at + size] for at in range(0, len(message), size)]
        path = tmp_path / f"{size}.mbox"
        path.write_bytes(b"".join([*mbox_entry("a b@c.example", datetime(2026, 11, 23, tzinfo=UTC), chunks)] * 2))
        box = mailbox.mbox(path)
        assert len(box) == 2
        text = re.sub(rb"(?m)^>(>*From )", rb"\1", bytes(box[0].get_payload().encode()))
        assert text.rstrip() == b"From here\n>From there\n>>From\nFromage\nend"


def test_a_request_for_a_timestamp_is_of_that_digest_and_each_another():
    first, second = (timestamp_request(b"d" * 32) for _ in range(2))
    assert b"d" * 32 in first and first != second
    assert "expected the answer" in problem_of_timestamp(b"nonsense", b"d" * 32)
    assert "expected the answer" in problem_of_timestamp(b"", b"d" * 32)
