"""No password of a URL is in a text that people, logs or metrics get."""

from __future__ import annotations

import logging
import time

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from gatekeeper.cli import main
from gatekeeper.lib.url_passwords import without_passwords
from gatekeeper.ops.log import JsonFormatter, TextFormatter

SECRET = "s3cret"
URLS = {
    "postgresql://gate:s3cret@db/mail": "postgresql://gate:***@db/mail",
    "postgresql+psycopg://gate:s3/cr@et-s3cret@db/mail": "postgresql+psycopg://gate:***@db/mail",
    "ldaps://cn=gate:s3cret/s3cret@ldap.example.gov": "ldaps://cn=gate:***@ldap.example.gov",
    "smtp://a:s3cret@one:25,smtps://b:s3cret@two": "smtp://a:***@one:25,smtps://b:***@two",
    "https://gate:s3cret@login.example.gov/x": "https://gate:***@login.example.gov/x",
    "postgresql://db/mail?user=gate&password=s3cret&sslmode=require": (
        "postgresql://db/mail?user=gate&password=***&sslmode=require"
    ),
    "https://gate.example.gov:8443/mailings/M-1?to=a@b.gov": "https://gate.example.gov:8443/mailings/M-1?to=a@b.gov",
    "sqlite:////var/lib/a:b@c.db": "sqlite:////var/lib/a:b@c.db",
    "smtp://one:25,two:25": "smtp://one:25,two:25",
    "postgresql://gate@db:5432/mail": "postgresql://gate@db:5432/mail",
}


@pytest.mark.parametrize(("written", "shown"), URLS.items())
def test_three_stars_stand_for_a_password_and_for_nothing_else(written, shown):
    assert without_passwords(f"{written}: no answer") == f"{shown}: no answer"


word = st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="@:/,?&\"'"), min_size=1)
password = st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters=",")).map(lambda x: f"<{x}>")


@given(word, password, word)
def test_whatever_a_password_of_a_server_is(user, secret, host):
    assert without_passwords(f"x postgresql://{user}:{secret}@{host}/mail y") == (
        f"x postgresql://{user}:***@{host}/mail y"
    )


def test_a_long_text_takes_no_long_time():
    began = time.perf_counter()
    for text in ("postgresql://a:" * 20_000, "://a:" * 20_000, "smtp://" + "a:" * 20_000, ",smtp://a:b" * 9_000):
        without_passwords(text)
    assert time.perf_counter() - began < 5


@pytest.mark.parametrize("formatter", [TextFormatter(str), JsonFormatter(str)], ids=["text", "json"])
def test_a_log_has_none(formatter):
    record = logging.LogRecord("x", logging.ERROR, "", 0, "database %s", ("postgresql://a:s3cret@b/c",), None)
    record.fields = {"url": "smtps://a:s3cret@b"}
    try:
        raise ValueError("postgresql://a:s3cret@b/c")
    except ValueError as error:
        record.exc_info = (type(error), error, error.__traceback__)
    line = formatter.format(record)
    assert SECRET not in line and line.count("***@b") >= 3


@pytest.mark.parametrize("url", ["oracle://gate:s3cret@db/x", "postgresql://gate:s3cret@db:port/x"])
def test_a_command_that_fails_says_none(url):
    done = CliRunner().invoke(main, ["mailing", "list", "--database", url])
    assert done.exit_code == 78 and SECRET not in done.output
