"""Files that are hidden from some program are listed or marked, kind by kind; what ordinary senders do is neither."""

import pytest

from gatekeeper.message import read_facts
from tests.message.hidden_files import HIDDEN, ORDINARY


def _named(cases):
    return [f"{number} {case.kind}" for number, case in enumerate(cases)]


@pytest.mark.parametrize("case", HIDDEN, ids=_named(HIDDEN))
@pytest.mark.parametrize("line_end", [b"\r\n", b"\n"], ids=["CRLF", "LF"])
def test_what_is_hidden_is_a_file_or_a_defect(case, line_end):
    facts = read_facts(case.content.replace(b"\r\n", line_end))
    files = [file.name or file.type for file in facts.attachments]
    assert case.shows in (*files, *facts.defects), (files, facts.defects)


@pytest.mark.parametrize("case", ORDINARY, ids=_named(ORDINARY))
def test_what_ordinary_senders_write_is_no_defect(case):
    facts = read_facts(case.content)
    assert facts.defects == ()
    assert len(facts.attachments) == case.files, facts.attachments
