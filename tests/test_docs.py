"""The pages say what is there, all of it, and nothing that is not.

What docs/rules.md says of fields and tests is looked after in tests/rules/test_docs.py, docs/metrics.md in
tests/ops/test_metrics.py.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
import yaml

from gatekeeper.api.mailings import mailing_document
from gatekeeper.cli import common, main
from gatekeeper.lib import failpoints
from gatekeeper.lifecycle import MailingState
from gatekeeper.message import DEFECTS
from gatekeeper.model import Counts, Reason
from gatekeeper.settings import SETTINGS
from gatekeeper.store.views import MailingView
from tests.ops.test_metrics import exposed

ROOT = Path(__file__).parents[1]
PAGES = {path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8") for path in ROOT.glob("*.md")} | {
    path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8") for path in (ROOT / "docs").glob("**/*.md")
}
COMMANDS = PAGES["docs/commands.md"]
OTHERS_FLAGS = {"--version", "--help"}


def tree(command: click.Command, path: tuple[str, ...] = ()) -> Iterator[tuple[str, click.Command]]:
    """Every command that does something, by the words that it is called with."""
    is_group = isinstance(command, click.Group)
    if path and (not is_group or command.invoke_without_command):
        yield " ".join(path), command
    if not is_group:
        return
    for name, each in command.commands.items():
        yield from tree(each, (*path, name))


LEAVES = dict(tree(main))
SETTING_FLAGS = {f"--{setting.flag}" for setting in SETTINGS}


def flags_of(command: click.Command) -> set[str]:
    return {flag for each in command.params if isinstance(each, click.Option) for flag in each.opts}


def anchors(page: str) -> set[str]:
    """What a link into the page may name: its headings, as GitHub writes them."""
    headings = re.findall(r"^#+ (.+)$", page, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading).strip().lower().replace(" ", "-") for heading in headings}


def section(page: str, anchor: str) -> str:
    """The text below the heading of that anchor."""
    for part in re.split(r"^(?=## )", page, flags=re.MULTILINE):
        if anchors(part.partition("\n")[0]) == {anchor}:
            return part
    raise AssertionError(f"no section {anchor}")


def code_in(page: str) -> Iterator[str]:
    """Code in a page: fenced and indented blocks line by line, and what stands between backticks."""
    fenced = re.findall(r"^```\w*\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
    prose = re.sub(r"^```\w*\n.*?^```", "", page, flags=re.DOTALL | re.MULTILINE)
    yield from (line for block in fenced for line in block.splitlines())
    yield from re.findall(r"^    (.*)$", prose, re.MULTILINE)
    yield from re.findall(r"`([^`]+)`", prose)


# -- all of it ---------------------------------------------------------------------------------------------------


def test_every_setting_has_its_row_with_variable_and_default():
    rows = re.findall(r"^\| `(--[\w-]+)` \| `(\w+)` \| (.+?) \| \S", PAGES["docs/settings.md"], re.MULTILINE)
    shown = {flag: (variable, default.strip("`")) for flag, variable, default in rows}
    expected = {f"--{each.flag}": (each.variable, each.default or "empty") for each in SETTINGS}
    expected["--next-hop"] = ("GATEKEEPER_NEXT_HOP", "required")
    assert shown == expected


@pytest.mark.parametrize("name", LEAVES)
def test_every_command_and_option_has_its_words(name):
    row = re.search(rf"^\| \[`gatekeeper {name}`\]\(#([\w-]+)\)", COMMANDS, re.MULTILINE)
    assert row, f"docs/commands.md has no row for gatekeeper {name}"
    text = section(COMMANDS, row[1])
    assert f"gatekeeper {name}" in text, "no example"
    own = flags_of(LEAVES[name]) - SETTING_FLAGS - {"--json"}
    assert {flag for flag in own if f"`{flag}`" not in text and f"{flag} " not in text} == set()


def test_no_command_is_described_that_is_not_there():
    assert set(re.findall(r"^\| \[`gatekeeper ([\w ]+)`\]", COMMANDS, re.MULTILINE)) == set(LEAVES)


def test_every_exit_code_that_a_command_can_end_with_is_explained():
    source = "\n".join(path.read_text() for path in Path(common.__file__).parent.rglob("*.py"))
    used = set(re.findall(r"\b([A-Z_]+)\) from None|[,=(] ?([A-Z_]+)\)?$", source, re.MULTILINE))
    names = {name for pair in used for name in pair if isinstance(getattr(common, name, None), int)}
    documented = {int(code) for code in re.findall(r"^\| (\d+) \|", COMMANDS, re.MULTILINE)}
    assert documented == {0} | {getattr(common, name) for name in names}


def test_a_mailing_in_json_is_as_the_page_shows_it():
    reasons, counts = (Reason("approval", "hold"),), Counts(users=2400, agencies={"DOA": 1200, "DPHHS": 1200})
    mailing = MailingView(
        key=1,
        id="M-2",
        state=MailingState.HELD,
        sender="deputy@doa.example.gov",
        subject="Open enrolment",
        counts=counts,
        reasons=reasons,
        started_at=0,
        changed_at=0,
        held_at=0,
        relayed=0,
        reached_before=0,
        gather_until=None,
        joined={},
        batches=1,
        sent=0,
        refused=0,
        version="3f6c0d5a9b1e4c7f8a20",
        kept=1,
    )
    (example,) = (json.loads(each) for each in re.findall(r"^```json\n(.*?)^```", COMMANDS, re.DOTALL | re.MULTILINE))
    times = {"started": example["started"], "held": example["held"]}
    assert list(example.items()) == list((mailing_document(mailing) | times).items())


def test_every_defect_has_its_row():
    rows = re.findall(r"^\| `([a-z0-9-]+)` \| (.+) \|$", PAGES["docs/facts.md"], re.MULTILINE)
    assert dict(rows) == dict(DEFECTS) and len(rows) == len(DEFECTS)


def test_shipped_rules_hold_mass_mail_with_any_defect_that_may_hide_something():
    hiding = PAGES["docs/facts.md"].partition("**Something may be hidden.**")[2].partition("\n**")[0]
    names = re.findall(r"^\| `([a-z0-9-]+)`", hiding, re.MULTILINE)
    for path in (ROOT / "rules.yaml", *ROOT.glob("examples/*/rules.yaml")):
        (rule,) = (each for each in yaml.safe_load(path.read_text())["rules"] if each["id"] == "hidden")
        assert rule["when"] == {"mass": True, "defects": {"includes": names}}, path


def test_every_step_is_told_of_in_order_and_passed():
    listed = re.findall(r"`([a-z-]+)`", PAGES["CONTRIBUTING.md"].partition("### Steps")[2].partition("\n## ")[0])
    assert tuple(listed) == failpoints.STEPS
    source = "\n".join(path.read_text() for path in (ROOT / "gatekeeper").rglob("*.py"))
    assert set(re.findall(r'\bstep\("([a-z-]+)"\)', source)) == set(failpoints.STEPS)


def test_every_failure_was_tried():
    table = PAGES["docs/operations.md"].partition("## What can fail")[2].partition("**Open or closed.**")[0]
    rows = [row.split(" | ") for row in re.findall(r"^\| (.*) \|$", table, re.MULTILINE)][2:]
    assert len(rows) > 15
    for row in rows:
        tests = re.findall(r"`([\w/]+\.py)`", row[-1])
        assert len(row) == 4 and tests, row[0]
        assert all((ROOT / name).is_file() for name in tests), row[0]


def test_every_page_can_be_reached_from_the_first():
    reached, waiting = set(), ["README.md"]
    while waiting:
        page = waiting.pop()
        reached.add(page)
        waiting += [target for target, _ in links(page) if target in PAGES and target not in reached]
    assert reached == set(PAGES)


# -- and nothing that is not -------------------------------------------------------------------------------------


def links(page: str) -> Iterator[tuple[str, str]]:
    """Relative links of a page: path from the root, and anchor."""
    for target in re.findall(r"\]\(([^)\s]+)\)", PAGES[page]):
        if "://" not in target:
            path, _, anchor = target.partition("#")
            found = (ROOT / page).parent / path if path else ROOT / page
            yield found.resolve().relative_to(ROOT).as_posix(), anchor


@pytest.mark.parametrize("page", PAGES)
def test_every_link_leads_somewhere(page):
    for path, anchor in links(page):
        assert (ROOT / path).exists(), path
        assert not anchor or anchor in anchors(PAGES[path]), f"{path}#{anchor}"


@pytest.mark.parametrize("page", PAGES)
def test_every_variable_exists(page):
    known = {setting.variable for setting in SETTINGS} | {"GATEKEEPER_KILL_AT", "GATEKEEPER_BY"}
    assert set(re.findall(r"GATEKEEPER_\w*[A-Z]", PAGES[page])) <= known


@pytest.mark.parametrize("page", PAGES)
def test_every_flag_exists(page):
    known = SETTING_FLAGS | OTHERS_FLAGS | {flag for command in LEAVES.values() for flag in flags_of(command)}
    for code in code_in(PAGES[page]):
        ours = code.partition("gatekeeper ")[2] if "gatekeeper " in code else code if code.startswith("--") else ""
        assert set(re.findall(r"(?<![\w-])--[a-z][\w-]*", ours)) <= known, code


@pytest.mark.parametrize("page", PAGES)
def test_every_command_exists_with_the_flags_that_are_shown(page):
    for code in code_in(PAGES[page]):
        called = re.match(r"(?:\$ )?(?:[A-Z_]+=\S+ )*gatekeeper ((?:[a-z]+ ?)+)(.*)", code)
        if not called:
            continue
        words = called[1].split()
        names = [name for name in LEAVES if words[: len(name.split())] == name.split()]
        assert names or " ".join(words) in {name.split()[0] for name in LEAVES}, code
        for name in names and [max(names, key=len)]:
            assert set(re.findall(r"(?<![\w-])--[a-z][\w-]*", called[2])) <= flags_of(LEAVES[name]) | {"--help"}, code


@pytest.mark.parametrize("page", PAGES)
def test_every_metric_exists(page):
    pattern = r"\bgatekeeper_[a-z_]+[a-z]\b(?!-[0-9])"  # not the name of a wheel
    named = {name for code in code_in(PAGES[page]) for name in re.findall(pattern, code)}
    assert {name for name in named if name not in exposed()} == set()


@pytest.mark.parametrize("page", PAGES)
def test_every_file_of_the_program_exists(page):
    for code in code_in(PAGES[page]):
        for name in re.findall(r"(?<![\w/.*])[\w/]+\.py\b", code):
            assert (ROOT / name).is_file() or (ROOT / "gatekeeper" / name).is_file(), name
