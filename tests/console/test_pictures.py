"""The pictures of the docs: each page has one, and each one stands in a page of the docs."""

from __future__ import annotations

from pathlib import Path

from gatekeeper.console.routes import ROUTES
from tests.console.pictures import FOLDER, PICTURES

ROOT = Path(__file__).parents[2]
SHOWN_OTHERWISE = {"/", "/events", "/livez", "/static/{digest}/{name}"}  # no pages


def test_there_is_a_picture_of_each_page_and_no_other():
    assert {each.name for each in PICTURES} == {path.stem for path in FOLDER.glob("*.png")}
    places = {route.path for route in ROUTES if route.method == "GET"} - SHOWN_OTHERWISE
    numbered = {place.replace("{number:int}", number) for place in places for number in "123"}
    assert {each.place for each in PICTURES} <= numbered


def test_each_picture_stands_in_the_docs():
    text = (ROOT / "docs" / "console.md").read_text() + (ROOT / "README.md").read_text()
    assert [each.name for each in PICTURES if f"console/{each.name}.png" not in text] == []
