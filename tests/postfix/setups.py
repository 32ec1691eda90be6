"""The set-ups of docs/postfix.md, read from the page itself: the tests run what it says, line for line."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.peers.gate import Gate
from tests.peers.postfix import Postfix

TOP = Path(__file__).resolve().parents[2]
PAGE = TOP / "docs/postfix.md"
RULES = (TOP / "rules.yaml").read_text()  # as shipped
GATE, BEHIND = "127.0.0.1]:10025", "10026"  # where the page has the gate, and the smtpd behind it
_BLOCK = re.compile(r"```ini\n# /etc/postfix/(\S+)\n(.*?)```", re.DOTALL)
_CONTINUED = re.compile(r"\n[ \t]+")


@dataclass(frozen=True)
class Setup:
    """What one section of the page adds to Postfix's configuration."""

    main: Mapping[str, str]
    services: list[str]  # lines of master.cf, options on the line
    smtpd: Mapping[str, str] = field(default_factory=dict)  # options of the smtpd that clients come to


def read_setup(section: str, gate: int, behind: int = 0) -> Setup:
    """Read the code blocks of the section whose heading begins so, with these ports for the page's two."""
    texts = {"main.cf": "", "master.cf": ""}
    for name, text in _BLOCK.findall(_section(section)):
        texts[name] += text.replace("10025", str(gate)).replace("10026", str(behind))
    main = dict(re.split(r"\s*=\s*", line, maxsplit=1) for line in _entries(texts["main.cf"]))
    services = _entries(texts["master.cf"])
    own = [line for line in services if line.startswith("smtp ")]
    options = re.findall(r"-o (\w+)=(\S*)", " ".join(own))
    return Setup(main, [line for line in services if line not in own], dict(options))


def _section(heading: str) -> str:
    found = re.search(rf"^## {re.escape(heading)}.*?(?=^## |\Z)", PAGE.read_text(), re.DOTALL | re.MULTILINE)
    assert found, f"{PAGE.name} has no section {heading}"
    return found[0]


def _entries(text: str) -> list[str]:
    """Logical lines of a configuration file: remarks left out, lines that begin with a blank joined to theirs."""
    return [line for line in _CONTINUED.sub(" ", text).splitlines() if line and not line.startswith("#")]


def relaying(gate: Gate, **more: Any) -> Postfix:
    """A Postfix that hands its outbound mail to the gate; `more` is for Postfix, its `main` beside the page's."""
    setup = read_setup("Relay", gate.port)
    return Postfix(main={**setup.main, **more.pop("main", {})}, services=setup.services, **more)


def next_hop(**more: Any) -> Postfix:
    """A Postfix behind the gate that keeps all it gets."""
    setup = read_setup("The next hop", 0)
    return Postfix(receives=True, main={**setup.main, **more.pop("main", {})}, services=setup.services, **more)


def around(section: str, gate: Gate, behind: int, **more: Any) -> Postfix:
    """A Postfix both before and behind the gate, which has `behind` as its next hop."""
    setup = read_setup(section, gate.port, behind)
    main = {**setup.main, **more.pop("main", {})}
    return Postfix(main=main, services=setup.services, smtpd=setup.smtpd, **more)
