"""What nobody sees is shown as a mark."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatekeeper.lib.marks import marked, marked_line


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("plain", "plain"),
        ("two\nlines\tand a tab", "two\nlines\tand a tab"),
        ("invoice\u202efdp.exe", "invoice[U+202E]fdp.exe"),
        ("a\0b\x1b[2J", "a[U+0000]b[U+001B][2J"),
        ("pad\u200b\u200b\u200bding", "pad[U+200B x 3]ding"),
        ("\u3164blank", "[U+3164]blank"),
        ("\U000e0041tag", "[U+E0041]tag"),
        ("half \ud83d", "half [U+D83D]"),
        ("می\u200cخواهم", "می\u200cخواهم"),  # a word of Persian
        ("👩\u200d🌾", "👩\u200d🌾"),
        ("pay\u200dpal", "pay[U+200D]pal"),  # Latin letters need no joiner
        ("Grüße, 你好", "Grüße, 你好"),
    ],
)
def test_marks(written, shown):
    assert marked(written) == shown


def test_a_line_has_no_line_breaks_and_is_cut():
    assert marked_line("a\r\nBcc: x\u2028y", 100) == "a[U+000D] Bcc: x[U+2028]y"
    assert marked_line("x" * 50, 10) == "x" * 9 + "…"


@given(st.text(st.characters(), max_size=80))
def test_what_is_left_is_seen(text):
    """Nothing that turns text around, hides or controls is left but joiners between what is seen."""
    for character in marked(text):
        assert character in "\n\t\u200c\u200d" or unicodedata.category(character) not in ("Cc", "Cf", "Cs", "Zl", "Zp")
    assert "\n" not in marked_line(text, 40) and len(marked_line(text, 40)) <= 40
