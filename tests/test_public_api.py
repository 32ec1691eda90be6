"""The public API: what `import gatekeeper` promises, and what it costs."""

from __future__ import annotations

import doctest
import json
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import gatekeeper
from gatekeeper import lib, message, model, rules

ROOT = Path(__file__).parents[1]


def test_the_example_of_the_docstring_judges_a_message(monkeypatch):
    monkeypatch.chdir(ROOT)
    done = doctest.testmod(gatekeeper)
    assert done.attempted >= 10 and done.failed == 0


def test_every_name_is_that_of_its_room():
    rooms = (model, rules, message)
    for name in gatekeeper.__all__:
        assert any(getattr(gatekeeper, name) is getattr(room, name, None) for room in rooms), name
    assert set(gatekeeper.__all__) <= set(dir(gatekeeper))


def test_another_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="module 'gatekeeper' has no attribute 'read_mail'"):
        gatekeeper.read_mail  # noqa: B018 - the look-up is what is tested


def test_importing_the_package_imports_no_room():
    script = "import json, sys, gatekeeper; print(json.dumps([n for n in sys.modules if n.startswith('gatekeeper.')]))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == ["gatekeeper.lib"]


def test_the_version_is_that_of_the_package():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert gatekeeper.__version__ == lib.__version__ == project["version"]
