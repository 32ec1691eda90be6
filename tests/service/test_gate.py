"""A gate of one process: what it says at its start, and on /readyz of rules that cannot be used."""

from __future__ import annotations

import io
import logging

import pytest
from click.testing import CliRunner
from prometheus_client import generate_latest

from gatekeeper.cli import main
from gatekeeper.ops.log import configure
from gatekeeper.policy import active
from gatekeeper.service.gate import SingleProcessGate, announce
from gatekeeper.settings import Settings, read_settings
from tests.peers.gate import RULES
from tests.store.databases import lay_out


@pytest.fixture
def rules(tmp_path):
    (tmp_path / "rules.yaml").write_text(RULES)
    return tmp_path / "rules.yaml"


def settings_of(rules, **more: str) -> Settings:
    database = f"sqlite:///{rules.parent}/gate.db"
    given = {"rules": str(rules), "next_hop": f"maildir:{rules.parent}", "database": database, "ops": "off", **more}
    return read_settings(given, {})


async def test_rules_that_cannot_be_used_are_told_until_they_can(rules, monkeypatch):
    monkeypatch.setattr(active, "_SETTLED_SECONDS", 0)
    lay_out(rules.parent / "gate.db")
    made = SingleProcessGate(settings_of(rules), b"")
    await made.gate.database_keeper.open()
    assert made.ready() == (True, ())
    rules.write_text(RULES.replace("then: hold", "then: hodl", 1) + "nonsense: 1\n")
    await made.gate.reloader.poll()
    well, (told,) = made.ready()
    assert well and told.startswith("the rules on disk cannot be used, the last good ones are in force: ")
    assert f"{rules}:" in told and told.endswith(" (and 1 more)")
    assert "gatekeeper_ruleset_last_reload_successful 0.0" in generate_latest(made.metrics.registry).decode()
    assert (await mode_of(made)).splitlines()[-1].strip().startswith("the rules on its disk cannot be used")
    rules.write_text(RULES)
    await made.gate.reloader.poll()
    assert "cannot be used" not in await mode_of(made)
    assert made.ready() == (True, ())
    assert "gatekeeper_ruleset_last_reload_successful 1.0" in generate_latest(made.metrics.registry).decode()
    await made.gate.database_keeper.close()


async def mode_of(made):
    """What `gatekeeper mode` shows, once the process has told the database."""
    await made.gate._recording
    database = made.gate.base.store.database.url.render_as_string()
    shown = CliRunner().invoke(main, ["mode"], env={"GATEKEEPER_DATABASE": database})
    assert "gate on" in shown.output, shown.output
    return shown.output


def test_settings_in_force_are_in_the_log_without_a_password(rules):
    logger, stream = logging.getLogger("gatekeeper"), io.StringIO()
    before = logger.handlers[:], logger.level, logger.propagate
    settings = settings_of(
        rules,
        next_hop="smtps://gate:s3cret@mail.example.gov:465",
        database="postgresql://gate:s3cret@db.example.gov/gate",
        max_size="20MB",
    )
    configure(settings.ops, b"k", stream)
    announce(settings, {}, None, SingleProcessGate(settings_of(rules), b"").gate.ruleset)
    logger.handlers[:], logger.level, logger.propagate = before
    _, chosen, default = stream.getvalue().splitlines()
    assert " info settings " in chosen and " --max-size=20MB" in chosen and f"--rules={rules}" in chosen
    assert " --next-hop=smtps://gate:***@mail.example.gov:465" in chosen
    assert "s3cret" not in stream.getvalue() and "gate:***@db.example.gov" in chosen
    assert " info settings at their defaults " in default and " --max-recipients=10000" in default
    assert "--max-size" not in default and "--max-recipients" not in chosen
