"""A database of the first schema, with an approval in it, becomes one of the newest: what was approved stays so."""

from __future__ import annotations

from functools import partial
from hashlib import sha256
from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import text

from gatekeeper.store import Database, Store, audit_chain, audit_rows, matter_people
from gatekeeper.store.db import engine
from gatekeeper.store.permit_views import find_permit
from gatekeeper.store.tallies import tallies_of
from tests.store.db.test_schema_version import upgrade

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
BATCH = """
INSERT INTO batches (id, mailing_id, state, gathered, identity, listener, client, authenticated, sender, parameters,
    content_digest, body, trace, reasons, received_at, notify)
VALUES (1, 1, 'released', :no, :hash, 'smtp', '{}', :no, '', '[]', 'c0ffee', :hash, :hash, '[]', 1, :no)
"""
RECIPIENT = """
INSERT INTO batch_recipients (batch_id, position, address, parameters, state) VALUES (1, :position, 'a@x', '[]', :state)
"""


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
            connection.execute(text(BATCH), {"no": False, "hash": b"s"})
            for position, state in enumerate(("sent", "sent", "refused", "waiting")):
                connection.execute(text(RECIPIENT), {"position": position, "state": state})
            connection.commit()
        store = Store(database)
        store.open()
        permit = store.call(lambda connection: find_permit(connection, 9))
        assert (permit.state, permit.mailings, permit.uses, permit.used) == ("used", ("M-17",), 1, 1)
        assert (permit.ceiling, permit.digests, permit.rules) == (2400, ("c0ffee",), ("approval",))
        tally = store.call(lambda connection: tallies_of(connection, [1]))[1]
        assert (tally.recipients, tally.sent, tally.refused, tally.waiting) == (4, 2, 1, 1)
        of = partial(matter_people.of, kind=matter_people.MAILING)
        assert store.call(partial(of, address="head@doa.example.gov")) == {1}
        assert store.call(partial(of, address="cio@example.gov")) == {1}, "who decided it may see it"
        store.close()


RULES = "INSERT INTO rulesets (id, digest, name, text, loaded_at) VALUES (1, :digest, 'rules.yaml', '', 1)"
MODE = """
INSERT INTO modes (id, at, mode, "by", login, reason) VALUES (1, 1, 'observe', 'cio@example.gov', 'root', 'tried')
"""
CHAIN = """
INSERT INTO audit_chains (name, began_at, records, head, aged_out, checkpoint) VALUES ('gate', 1, 3, :head, 3, :head)
"""


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_what_was_done_before_the_chain_of_acts_had_it_is_verified_from_then_on(kind, tmp_path, request):
    """An upgrade writes it there; of terms that were given before, only the act is."""
    url = f"sqlite:///{tmp_path}/old.db" if kind == "sqlite" else request.getfixturevalue("postgres_url")
    upgrade(url, "0026")
    head = audit_chain.follow(audit_chain.root("gate", 1.0), [b"a", b"b", b"c"])  # which have aged out
    with Database(url, 5).engine.begin() as connection:
        connection.execute(text(MAILING), {"source": b"s"})
        connection.execute(text(PERMIT))
        connection.execute(text(EVENT))
        connection.execute(
            text("INSERT INTO events (id, permit_id, at, act, \"by\") VALUES (2, 1, 1, 'given', 'x@example.gov')")
        )
        connection.execute(text(RULES), {"digest": sha256(b"").hexdigest()})
        connection.execute(text(MODE))
        connection.execute(text(CHAIN), {"head": head})
    store = Store(Database(url, 5))
    store.open()
    reports, problems = store.call(audit_rows.verify_all)
    assert [one.problem for one in reports] == ["", ""] and problems == []
    store.call(lambda connection: connection.execute(text("UPDATE events SET \"by\" = 'eve@example.gov' WHERE id = 1")))
    (problem,) = store.call(audit_rows.verify_all)[1]
    assert problem == "event 1 (approved by cio@example.gov): by is 'eve@example.gov', and was 'cio@example.gov'"
    store.close()
