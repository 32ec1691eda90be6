"""docs/deciding.md has the commands of those who decide as they print."""

from __future__ import annotations

import re

import pytest

from tests.cli.situations import COMMANDS
from tests.rendered import DECIDING, commands, deciding_page

NAMED = {
    "mailing": ("list", "show", "approve", "deny", "changes", "withdraw"),
    "request": ("submit", "list", "show", "approve", "changes", "deny"),
    "permit": ("show", "revoke", "emergency", "review"),
}


@pytest.fixture(scope="module")
def printed():
    return commands()


def test_the_page_has_the_commands_as_they_print():
    assert DECIDING.read_text(encoding="utf-8") == deciding_page(), "stale: run python -m tests.rendered"


def test_each_command_of_those_who_decide_is_there(printed):
    assert not [
        f"{group} {verb}"
        for group, verbs in NAMED.items()
        for verb in verbs
        if not re.search(rf"\$ gatekeeper {group} {verb}\b", printed)
    ]
    assert "mailing show M-1 --content" in printed and len({each.heading for each in COMMANDS}) == len(COMMANDS)


def test_times_are_in_the_zone_of_the_rules_and_nothing_is_printed_that_is_not_there(printed):
    assert not re.search(r"\bNone\b|\b1 (users|recipients|mailings|people|externals|lines)\b", printed)
    assert all(zone == "MST" for zone in re.findall(r"\d\d:\d\d (\S+)", printed))
