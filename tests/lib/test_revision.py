"""Which commit the program is of: as a release has it written, or as git says of a checkout."""

from __future__ import annotations

import subprocess
from pathlib import Path

from click.testing import CliRunner

from gatekeeper.cli import main
from gatekeeper.lib import __version__
from gatekeeper.lib.revision import revision

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def git(folder: Path, *words: str) -> str:
    named = ["-c", "user.name=x", "-c", "user.email=x@example.org"]
    return subprocess.run(["git", "-C", folder, *named, *words], check=True, capture_output=True, text=True).stdout


def test_a_release_has_it_written(tmp_path):
    (tmp_path / "commit.txt").write_text(f"{COMMIT}\n")
    assert revision(tmp_path) == COMMIT[:12]


def test_a_checkout_is_asked_and_git_archive_writes_it(tmp_path):
    package = tmp_path / "gatekeeper"
    package.mkdir()
    (package / "commit.txt").write_text("$Format:%H$\n")
    assert revision(package) == ""
    (tmp_path / ".gitattributes").write_text("gatekeeper/commit.txt export-subst\n")
    git(tmp_path, "init", "--quiet")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "--quiet", "--message", "one")
    commit = git(tmp_path, "rev-parse", "HEAD").strip()
    assert revision(package) == commit[:12]
    (package / "other.txt").write_text("x")
    git(tmp_path, "add", ".")
    assert revision(package) == f"{commit[:12]}-dirty"
    packed = subprocess.run(["git", "-C", tmp_path, "archive", "HEAD"], check=True, capture_output=True).stdout
    assert commit.encode() in packed


def test_the_version_says_it():
    said = CliRunner().invoke(main, ["--version"]).output
    assert said.startswith(f"gatekeeper, version {__version__}")
    assert not revision() or said == f"gatekeeper, version {__version__} (commit {revision()})\n"
