"""Tell of which commit the program is: of a release, or of the checkout that it runs from."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).parents[1]
_DIGITS = 12  # of a commit that are shown


def revision(package: Path = _PACKAGE) -> str:
    """Return the commit, with `-dirty` where files of a checkout were changed since; "" where it is not known.

    `git archive`, and so each release, writes the commit into commit.txt.
    """
    written = package / "commit.txt"
    text = written.read_text(encoding="ascii").strip() if written.exists() else ""
    return text[:_DIGITS] if text and not text.startswith("$") else _of_checkout(package.parent)


def _of_checkout(folder: Path) -> str:
    import subprocess  # for this alone, which is rarely asked

    if not (folder / ".git").exists():
        return ""
    words = ["git", "-C", str(folder), "describe", "--always", "--dirty", f"--abbrev={_DIGITS}", "--exclude=*"]
    try:
        return subprocess.run(words, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""
