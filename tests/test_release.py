"""What is to be in step for a release: the version wherever it stands, the changelog's form, the pins."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from gatekeeper.lib import __version__

ROOT = Path(__file__).parents[1]
VERSION = re.escape(__version__)
CHANGELOG = (ROOT / "CHANGELOG.md").read_text()
KINDS = ["Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"]  # of keepachangelog.com, in their order


@pytest.mark.parametrize(
    ("path", "pattern"),
    [
        ("pyproject.toml", rf'^version = "{VERSION}"$'),
        ("deploy/debian/changelog", rf"\Agatekeeper \({VERSION}\) "),
        ("deploy/container/Dockerfile", rf"^ARG VERSION={VERSION}$"),
        ("deploy/kubernetes/kustomization.yaml", rf"^    newTag: {VERSION}$"),
        ("deploy/README.md", rf"gatekeeper_{VERSION}_amd64\.deb"),
        ("README.md", rf"gatekeeper_mail-{VERSION}-py3-none-any\.whl"),
        ("README.md", rf"gatekeeper_{VERSION}_amd64\.deb"),
        ("README.md", rf"^Version {VERSION}\b"),
        ("RELEASING.md", rf"gatekeeper:{VERSION} "),
    ],
)
def test_the_version_is_the_same_everywhere(path: str, pattern: str) -> None:
    assert re.search(pattern, (ROOT / path).read_text(), re.MULTILINE), path


def test_the_changelog_keeps_its_form() -> None:
    """As keepachangelog.com has it: versions with their day, newest first, and kinds of changes in their order."""
    headings = re.findall(r"^## (.*)$", CHANGELOG, re.MULTILINE)
    assert headings[0] == "[Unreleased]"
    assert all(re.fullmatch(r"\[\d+\.\d+\.\d+\] - \d{4}-\d{2}-\d{2}", heading) for heading in headings[1:])
    for part in re.split(r"^## .*$", CHANGELOG, flags=re.MULTILINE)[1:]:
        kinds = re.findall(r"^### (.*)$", part, re.MULTILINE)
        assert kinds == [kind for kind in KINDS if kind in kinds], kinds
        before_first = re.split(r"^### ", part, flags=re.MULTILINE)[0]
        assert not re.search(r"^- ", before_first, re.MULTILINE), "a line that is of no kind"


def test_what_a_gate_runs_with_is_a_part_of_what_is_pinned() -> None:
    made = subprocess.run(
        [sys.executable, ROOT / "tools/run_requirements.py"], capture_output=True, text=True, check=True
    ).stdout
    assert (ROOT / "deploy/requirements.txt").read_text() == made
    named = set(re.findall(r"^([a-z0-9][\w.-]*)==", made, re.MULTILINE))
    assert {"aiosmtpd", "sqlalchemy", "starlette", "psycopg", "ldap3", "opentelemetry-sdk", "markupsafe"} <= named
    assert not named & {"pytest", "mypy", "ruff", "hypothesis", "playwright"}
    for text in (made, (ROOT / "tools/dist.txt").read_text()):
        assert not re.search(r"://|^--", text, re.MULTILINE)
        blocks = re.split(r"^(?=[a-z0-9])", text, flags=re.MULTILINE)[1:]
        assert all("--hash=sha256:" in block for block in blocks)


def test_every_python_that_is_named_is_one_that_may_install_it() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    named = re.findall(r"Python :: (3\.\d+)$", "\n".join(project["classifiers"]), re.MULTILINE)
    assert named == ["3.11", "3.12", "3.13", "3.14"] and project["requires-python"] == ">=3.11"
