"""Browsers by the names that people know."""

from __future__ import annotations

import pytest

from gatekeeper.console.program_names import program_name

GECKO, KIT = "Gecko/20100101", "AppleWebKit/605.1.15 (KHTML, like Gecko)"


@pytest.mark.parametrize(
    ("said", "name"),
    [
        (f"Mozilla/5.0 (Android 16; Mobile; rv:150.0) {GECKO} Firefox/150.0", "Firefox 150, Android"),
        (f"Mozilla/5.0 (X11; Linux x86_64) {KIT} HeadlessChrome/156.0.0.0 Safari/537.36", "Chrome 156, Linux"),
        (f"Mozilla/5.0 (Windows NT 10.0) {KIT} Chrome/156.0.0.0 Safari/537.36 Edg/156.0.1.2", "Edge 156, Windows"),
        (f"Mozilla/5.0 (iPhone; CPU OS 19_0) {KIT} Version/19.0 Mobile/15E148 Safari/604.1", "Safari 19, iPhone"),
        (f"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) {KIT} Version/19.1 Safari/605.1.15", "Safari 19, Macintosh"),
        ("curl/8.14.1", "curl/8.14.1"),
        ("x\r\n" + "y" * 500, "x " + "y" * 77 + "…"),
        ("", ""),
    ],
)
def test_a_browser_and_its_system(said, name):
    assert program_name(said) == name
