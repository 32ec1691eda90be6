"""Nodes are upgraded one after the other: the program of the schema before this one, out of this project's own history,
goes on working beside a new one that has upgraded the database under it."""

from __future__ import annotations

import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest

from gatekeeper.store.db.engine import NEWEST_SCHEMA
from tests.faults.scene import Downstream, approve, message, people, send, wait_queue_empty
from tests.peers import wait_for
from tests.peers.gate import RULES, Gate

ROOT = Path(__file__).parents[2]
ENGINE = "gatekeeper/store/db/engine.py"
BEFORE = f"{int(NEWEST_SCHEMA) - 1:04}"
GATHER = RULES.replace("within: 24h}", "within: 24h, gather: {at: [50], quiet: 20s, limit: 10m}}")


def git(*words: str) -> str:
    done = subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True)
    return done.stdout.strip() if done.returncode == 0 else ""


def is_whole(commit: str) -> bool:
    """True where its migrations form one line: a commit that has two of one number never ran anywhere."""
    names = git("ls-tree", "--name-only", commit, "gatekeeper/store/migrations/versions/").splitlines()
    return sum("/v0" in name for name in names) <= int(BEFORE)


@pytest.fixture
def older(tmp_path) -> Path:
    """The last program of the schema before, checked out."""
    changes = git("log", "--format=%H", f'-SNEWEST_SCHEMA = "{BEFORE}"', "--", ENGINE).split()
    commit = git("rev-parse", f"{changes[0]}^") if changes else ""
    while commit and not is_whole(commit):
        commit = git("rev-parse", f"{commit}^")
    if f'NEWEST_SCHEMA = "{BEFORE}"' not in git("show", f"{commit}:{ENGINE}"):
        pytest.skip("the history of the project is not here")
    return check_out(commit, tmp_path)


def check_out(commit: str, folder: Path) -> Path:
    archive = subprocess.run(["git", "archive", commit, "gatekeeper"], cwd=ROOT, capture_output=True, check=True).stdout
    subprocess.run(["tar", "-x", "-C", folder], input=archive, check=True)
    return folder


@pytest.fixture
def first(tmp_path) -> Path:
    """The last program of the first schema, which 0.1 had, checked out."""
    second = "gatekeeper/store/migrations/versions/v0002_audit.py"
    added = git("log", "--diff-filter=A", "--format=%H", "--", second)
    commit = git("rev-parse", f"{added}^") if added else ""
    return check_out(commit, tmp_path) if commit else pytest.skip("the history of the project is not here")


def schema(url: str) -> str:
    with psycopg.connect(url) as connection:
        return connection.execute("SELECT version_num FROM alembic_version").fetchone()[0]


def test_a_node_one_schema_behind_keeps_working_and_starts_again(older, postgres_url):
    everyone, content = people(2400), message("rolling")
    with Downstream() as downstream:
        options = {"rules": GATHER, "database": postgres_url, "flags": ["--lease", "2s"]}
        old, new = (Gate(downstream.address, **options) for _ in range(2))
        old.within = ["env", f"PYTHONPATH={older}"]
        with old:
            assert schema(postgres_url) == BEFORE
            with new:
                assert schema(postgres_url) == NEWEST_SCHEMA
                cuts = [everyone[start : start + 50] for start in range(0, 2400, 50)]
                with ThreadPoolExecutor(4) as pool:
                    both = [(old, new)[number % 2] for number in range(len(cuts))]
                    answers = list(pool.map(lambda gate, cut: send(gate, cut, content), both, cuts))
                assert all("not sent yet" in answer for answer in answers), answers
                wait_for(lambda: bool(new.mailings("held")), new.log)
                (mailing,) = new.mailings()
                assert (mailing["users"], mailing["batches"], mailing["sent"]) == (2400, 48, 0)
                assert not downstream.copies(content)
                old.kill()
                old.start()
                assert f"its schema is {NEWEST_SCHEMA}, newer than {BEFORE}: upgrade this node soon" in old.log()
            approve(old, mailing["id"])  # the new one is gone: what it has written is left to the old one
            wait_queue_empty(old)
        assert downstream.copies(content) == dict.fromkeys(everyone, 1)


@pytest.mark.soak
def test_mail_that_the_first_program_held_is_released_by_this_one(first, tmp_path):
    """SQLite: held, and waiting for the next hop, when the program is exchanged; `db upgrade` by the new one."""
    readers, content, waiting = people(2400), message("enrolment"), message("approved before")
    url = f"sqlite:///{tmp_path}/gate.db"
    with Downstream() as downstream:
        old = Gate(downstream.address, rules=RULES, database=url, flags=["--lease", "2s"])
        old.within = ["env", f"PYTHONPATH={first}"]
        with old:
            assert send(old, readers, content).startswith("250"), old.log()
            assert send(old, readers, waiting).startswith("250"), old.log()
        with Gate(downstream.address, rules=RULES, database=url, flags=["--lease", "2s"]) as new:
            held = new.mailings("held")
            assert sorted(each["users"] for each in held) == [2400, 2400], new.log()
            for each in held:
                approve(new, each["id"])
            wait_queue_empty(new)
            for text in (content, waiting):
                assert downstream.copies(text) == dict.fromkeys(readers, 1)
            assert new.ask("audit", "verify", "--json")
