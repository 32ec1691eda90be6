"""A message is safe to look at: nothing in it acts, loads or leads anywhere."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from gatekeeper.console import frame

SHARED = Path(__file__).parents[3] / "shared" / "console" / "message-payloads.json"
OWN = [
    '<img alt="x><script>alert(1)</script>">',
    '<img alt="&quot;&gt;&lt;script&gt;alert(1)&lt;/script&gt;" src="https://evil.example/x.png">',
    '<p style="background:url(https://evil.example/x)">hello</p>',
    '<a href="javascript:alert(1)">a</a><a href="https://evil.example">b</a>',
    '<img src="cid:none"><img src="data:text/html,x"><img srcset="https://evil.example/x 2x">',
    "<form action=https://evil.example><input autofocus onfocus=alert(1)></form>",
    '<meta http-equiv=refresh content="0;url=https://evil.example"><base href="https://evil.example">',
    "<svg onload=alert(1)><style>@import 'https://evil.example'</style></svg>",
    "<table background='https://evil.example/x'><tr><td>cell</table>",
    "<iframe src=https://evil.example></iframe><object data=x></object><video src=x autoplay></video>",
]


def payloads():
    if not SHARED.exists():
        return OWN
    return OWN + json.loads(SHARED.read_text())


class Acts(HTMLParser):
    """What in a document could act, load or lead somewhere."""

    def __init__(self, text):
        super().__init__()
        self.found = []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        if tag in ("script", "style", "link", "meta", "base", "form", "input", "button", "iframe", "object", "svg"):
            self.found.append(tag)
        for name, value in attributes:
            loads = name in ("src", "href", "srcset", "background", "action", "xlink:href", "poster", "data", "id")
            if name.startswith("on") or (loads and not (value or "").startswith("data:image/")):
                self.found.append(f"{tag} {name}={value}")
            if name == "style" and re.search(r"url|expression|import|\\\\|position|@", value or "", re.IGNORECASE):
                self.found.append(f"{tag} {name}={value}")


@pytest.mark.parametrize("payload", payloads(), ids=range(len(payloads())))
def test_nothing_acts_or_loads(payload):
    assert Acts(frame.clean(payload)).found == []


def test_a_picture_of_the_message_is_shown_and_one_from_outside_is_a_box_with_its_words():
    text = '<img src="cid:logo" alt="us"><img src="https://a.example/x" alt="a <b>">'
    shown = frame.clean(text, {"logo": "data:image/png;base64,AA"})
    assert 'src="data:image/png;base64,AA"' in shown
    assert "Picture from outside, not loaded: a &lt;b&gt;" in shown


def test_a_text_is_shown_as_it_stands_and_html_before_it():
    head = b"MIME-Version: 1.0\r\nContent-Type: "
    assert "&lt;b&gt;bold" in frame.rendered(head + b"text/plain\r\n\r\n<b>bold")
    parts = b"--b\r\n\r\nplain\r\n--b\r\nContent-Type: text/html\r\n\r\n<b>rich</b>\r\n--b--\r\n"
    both = head + b"multipart/alternative; boundary=b\r\n\r\n" + parts
    assert "<b>rich</b>" in frame.rendered(both) and "plain" not in frame.rendered(both)


def test_what_is_very_long_is_cut_and_said_so():
    text = b"MIME-Version: 1.0\r\nContent-Type: text/html\r\n\r\n" + b"<p>word</p>" * 60_000
    shown = frame.rendered(text)
    assert len(shown) < frame.MOST_HTML * 1.2 and "too long to be shown" in shown


def test_a_picture_inside_the_message_becomes_part_of_the_page():
    content = (
        b"MIME-Version: 1.0\r\nContent-Type: multipart/related; boundary=b\r\n\r\n"
        b"--b\r\nContent-Type: text/html\r\n\r\n"
        b'<img src="cid:logo@x">\r\n--b\r\nContent-Type: image/png\r\nContent-ID: <logo@x>\r\n'
        b"Content-Transfer-Encoding: base64\r\n\r\niVBORw0K\r\n--b--\r\n"
    )
    assert "data:image/png;base64,iVBORw0K" in frame.rendered(content)
