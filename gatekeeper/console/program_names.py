"""Name a browser as people do: what a browser says of itself names all its forebears."""

from __future__ import annotations

import re

from gatekeeper.notices.texts import plain

_MOST = 80  # characters
_BROWSERS = (  # the first that is there: most say that they are Safari, and many that they are Chrome
    ("Edge", re.compile(r"Edg(?:e|A|iOS)?/(\d+)")),
    ("Opera", re.compile(r"OPR/(\d+)")),
    ("Samsung Internet", re.compile(r"SamsungBrowser/(\d+)")),
    ("Firefox", re.compile(r"(?:Firefox|FxiOS)/(\d+)")),
    ("Chrome", re.compile(r"(?:Headless)?(?:Chrome|CriOS)/(\d+)")),
    ("Safari", re.compile(r"Version/(\d+)")),
)
_SYSTEMS = ("iPhone", "iPad", "Android", "Windows", "Macintosh", "CrOS", "Linux")


def program_name(said: str) -> str:
    """Return the browser and the system of a User-Agent, such as `Firefox 150, Android`; what is neither as it is."""
    for name, pattern in _BROWSERS:
        if (found := pattern.search(said)) and (name != "Safari" or name in said):
            system = next((each for each in _SYSTEMS if each in said), "")
            return ", ".join(filter(None, (f"{name} {found[1]}", system)))
    return plain(said, _MOST)
