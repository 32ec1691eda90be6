"""A database of the first schema, with an approval in it, becomes one of the newest: what was approved stays so."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import text

from gatekeeper.store import Database, Store
from gatekeeper.store.db import engine
from gatekeeper.store.permits import find_permit

MAILING = """
INSERT INTO mailings (id, number, state, source, sender, subject, started_at, changed_at, users, external, unresolved,
    relayed, agencies, lists, reasons, joined, version)
VALUES (1, 17, 'released', :source, 'head@doa.example.gov', 'Open enrolment', 1, 1, 2400, 0, 0,
    0, '{}', '[]', '[]', '{}', 1)
"""
PERMIT = """
INSERT INTO permits (id, number, kind, state, mailing_id, rules, binding, digests, ceiling, agencies, until, given_by,
    given_at)
VALUES (1, 9, 'approval', 'in force', 1, '["approval"]', 'exact', '["c0ffee"]', 2400, '["DOA"]', 9e9, 'cio@example.gov',
    1)
"""
EVENT = "INSERT INTO events (id, mailing_id, at, act, by) VALUES (1, 1, 1, 'approved', 'cio@example.gov')"


def test_what_was_approved_before_the_ledger_had_its_tables_stays_approved(postgres_url, tmp_path):
    for url in (f"sqlite:///{tmp_path}/old.db", postgres_url):
        database = Database(url, 5)
        with database.engine.connect() as connection:
            config = Config()
            config.set_main_option("script_location", str(Path(engine.__file__).parents[1] / "migrations"))
            config.attributes["connection"] = connection
            command.upgrade(config, "0001")
            connection.execute(text(MAILING), {"source": b"s"})
            connection.execute(text(PERMIT))
            connection.execute(text(EVENT))
            connection.commit()
        store = Store(database)
        store.open()
        permit = store.call(lambda connection: find_permit(connection, 9))
        assert (permit.state, permit.mailings, permit.uses, permit.used) == ("used", ("M-17",), 1, 1)
        assert (permit.ceiling, permit.digests, permit.rules) == (2400, ("c0ffee",), ("approval",))
        store.close()
