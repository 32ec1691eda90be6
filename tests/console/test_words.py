"""Every word of the pages goes through gettext: a language that is added needs no change of a page."""

from __future__ import annotations

import ast
import re
from gettext import NullTranslations
from pathlib import Path

import pytest
from jinja2 import nodes

from gatekeeper.console import rendering, words
from gatekeeper.console.desk import Desk
from gatekeeper.ledger.signins import Signins
from tests.console.test_pages import CIO, SMALL, URL, browser, hold
from tests.ledger.scene import Scene

PACKAGE = Path(words.__file__).parent
TEMPLATES = sorted(each.name for each in (PACKAGE / "templates").iterdir())
TAGS = re.compile(r"<!--.*?-->|<[^>]*>|&\w+;", re.DOTALL)
READ_ALOUD = re.compile(r'(?:aria-label|alt|title|placeholder|data-name)="([^"{]*[A-Za-z][^"{]*)"')
NAMES = {"Gatekeeper", "gatekeeper account link", "SHA-256", "SHA", "light dark"}  # said so in every language
WORD = re.compile(r"[A-Za-z]{2,}")


def untranslated(template):
    """What a template says that no catalogue can change."""
    source = (PACKAGE / "templates" / template).read_text()
    tree = rendering._ENVIRONMENT.parse(source)
    literal = "\0".join(each.data for each in tree.find_all(nodes.TemplateData))
    said = READ_ALOUD.findall(source) + re.split(r"\0|\n", TAGS.sub("\n", literal))
    return [text.strip() for text in said if WORD.search(text) and text.strip(" -") not in NAMES and "=" not in text]


@pytest.mark.parametrize("template", TEMPLATES)
def test_every_text_of_a_template_can_be_translated(template):
    assert untranslated(template) == []


@pytest.mark.parametrize("path", sorted((PACKAGE / "pages").glob("*.py")), ids=lambda path: path.name)
def test_what_a_page_refuses_or_tells_can_be_translated(path):
    """A sentence in a page's code is handed to `_`; docstrings and what an assert says are for us."""
    tree = ast.parse(path.read_text())
    handed = {id(each) for call in ast.walk(tree) if is_translation(call) for each in ast.walk(call)}
    own = {id(each.value) for each in ast.walk(tree) if isinstance(each, ast.Expr)}
    ours = {id(each) for about in ast.walk(tree) if is_for_us(about) for each in ast.walk(about)}
    for each in ast.walk(tree):
        if isinstance(each, ast.Constant) and isinstance(each.value, str) and id(each) not in handed | own | ours:
            assert not re.search(r"[a-z] [a-z]+ [a-z]", each.value), f"{path.name}:{each.lineno}: {each.value!r}"


def is_translation(node):
    return isinstance(node, ast.Call) and getattr(node.func, "id", "") in ("_", "plural")


def is_for_us(node):
    """A route's row in the docs, or a table of them."""
    route = isinstance(node, ast.Call) and getattr(node.func, "id", "") == "PageRoute"
    return route or (isinstance(node, ast.Assign) and "ANYBODY" in ast.dump(node.targets[0]))


class Pseudo(NullTranslations):
    """A language in which each text stands in brackets, and is a third longer."""

    def gettext(self, message):
        return f"⟦{message}{'~' * (len(message) // 3)}⟧"

    def ngettext(self, msgid1, msgid2, n):
        return self.gettext(msgid1 if n == 1 else msgid2)

    def info(self):
        return {"language": "en-XA"}


async def test_the_pages_speak_another_language_where_there_is_a_catalogue(store, tmp_path, monkeypatch):
    scene = Scene(store, tmp_path, SMALL)
    await hold(scene)
    monkeypatch.setattr(
        words, "_catalogue", lambda wanted: Pseudo() if wanted[:1] == ("en_XA",) else NullTranslations()
    )
    client = browser(Desk(lambda: scene.service, Signins(scene.store, clock=scene.clock), URL), CIO)
    client.headers["accept-language"] = "en-XA,en;q=0.5"
    for place in ("/waiting", "/mailings", "/mailings/M-1", "/account", "/accessibility", "/nowhere"):
        page = client.get(place)
        assert ('<html lang="en-XA"' in page.text and "<h1>⟦" in page.text) or place == "/mailings/M-1", place
    assert "⟦Why it is held" in client.get("/mailings/M-1").text
    client.headers["accept-language"] = "fr, en;q=0.1"
    assert '<html lang="en"' in client.get("/waiting").text


@pytest.mark.parametrize(
    ("header", "tags"),
    [
        ("", []),
        ("de-CH, de;q=0.9, en;q=0.8", ["de_CH", "de", "en"]),
        ("en;q=0.2,fr", ["fr", "en"]),
        ("../../etc/passwd, *;q=0.1, de;q=x", []),
        (",".join(["de"] * 40), ["de"] * 10),
    ],
)
def test_languages_are_read_as_browsers_send_them(header, tags):
    assert words._wanted(header) == tags
