"""Fuzz the MIME reader under coverage: nothing raises, nothing is slow. Not part of the tests; needs `atheris`.

    .venv/bin/pip install atheris
    .venv/bin/python tests/fuzz/mime_reader.py seeds FOLDER           writes small messages to begin with
    .venv/bin/python tests/fuzz/mime_reader.py FOLDER -max_len=2048 -runs=10000000

Options and output are libFuzzer's. An input that takes over twenty seconds ends the run, as one that raises does.
"""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))
ROOMS = ["gatekeeper.message.attachments", "gatekeeper.message.mime_tree", "gatekeeper.message.mime_parameters"]
ROOMS += ["gatekeeper.message.headers", "gatekeeper.message.transfer_encoding", "gatekeeper.message.uuencode"]
ROOMS += ["gatekeeper.message.charsets", "gatekeeper.message.encoded_words", "gatekeeper.message.text_parts"]
ROOMS += ["gatekeeper.message.misplaced_headers", "gatekeeper.message.links", "gatekeeper.message.facts"]
ROOMS += ["gatekeeper.message.files_in_markup", "gatekeeper.message.address_fields"]


def write_seeds(folder: Path) -> None:
    """Write the messages of the tests, one a file."""
    from tests.message.hidden_files import HIDDEN, ORDINARY
    from tests.message.test_hostile import PIECES

    folder.mkdir(parents=True, exist_ok=True)
    contents = [*(each.content for each in (*HIDDEN, *ORDINARY)), *PIECES]
    for number, content in enumerate(contents):
        (folder / f"{number:04}").write_bytes(content)


def fuzz() -> None:
    """Run libFuzzer on the reader, with the options of the command line."""
    import atheris  # type: ignore[import-not-found]

    with atheris.instrument_imports(include=ROOMS):
        from gatekeeper.message import attachments, facts, files_in_markup, links, mime_tree, text_parts
        from gatekeeper.message.defects import DEFECTS, DefectCollector
        from gatekeeper.message.limits import Limits

    limits = Limits()

    def read(content: bytes) -> None:
        defects = DefectCollector()
        structure = mime_tree.read_structure(content, limits, defects)
        texts = text_parts.read_text_parts(content, structure.parts, limits, defects)
        files = attachments.find_files(content, structure, links.shown_content_ids(texts), defects)
        facts._inserted(content, structure, texts, limits, defects)
        files_in_markup.files_in_markup(texts, limits, defects)
        assert all(file.size >= 0 for file in files) and set(defects.found) <= set(DEFECTS)

    atheris.Setup([*sys.argv, "-timeout=20"], read)
    atheris.Fuzz()


if __name__ == "__main__":
    if sys.argv[1:2] == ["seeds"]:
        write_seeds(Path(sys.argv[2]))
    else:
        fuzz()
