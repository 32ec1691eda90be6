"""A scene with people of every role, and the console's desk on its store."""

from __future__ import annotations

import pytest

from gatekeeper.console.desk import Desk
from gatekeeper.ledger.signins import Signins
from tests.console.test_pages import SMALL, URL
from tests.ledger.scene import Scene


@pytest.fixture
def scene(store, tmp_path):
    return Scene(store, tmp_path, SMALL)


@pytest.fixture
def desk(scene):
    signins = Signins(scene.store, clock=scene.clock)
    return Desk(lambda: scene.service, signins, URL, policy=lambda: scene.active_policy.current)
