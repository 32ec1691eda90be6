"""A Postgres database that cannot hold all text is refused, and the words say what to do."""

from __future__ import annotations

import psycopg
import pytest
from click.testing import CliRunner

from gatekeeper.cli import main


@pytest.mark.parametrize("encoding", ["SQL_ASCII", "LATIN1"])
def test_a_database_of_another_encoding_is_refused(postgres_server, encoding):
    """SQL_ASCII is what a machine without a locale makes; there the driver gives octets in the place of text."""
    name = f"of_{encoding.lower()}"
    with psycopg.connect(postgres_server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE template0 ENCODING '{encoding}' LOCALE 'C'")
        try:
            url = postgres_server.replace("/postgres?", f"/{name}?")
            done = CliRunner().invoke(main, ["db", "upgrade", "--database", url])
        finally:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
    assert done.exit_code == 78, done.output
    assert f"the encoding of {name} is {encoding}: expected UTF8" in done.stderr
