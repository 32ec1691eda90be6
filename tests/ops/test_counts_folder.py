"""Folders of counts: those of living supervisors stay, those of killed ones go."""

from __future__ import annotations

import os
import tempfile
import time

import pytest

from gatekeeper.ops.counts_folder import CountsFolder


@pytest.fixture(autouse=True)
def temporary(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))


def grow_old(path):
    os.utime(path, (time.time() - 3600, time.time() - 3600))


def test_one_that_was_left_behind_is_removed_and_others_are_not(tmp_path):
    left, young, others = (tmp_path / f"gatekeeper-counts-{name}" for name in ("left", "young", "file"))
    left.mkdir()
    (left / "counter_1.db").write_bytes(b"x")
    grow_old(left)
    young.mkdir()
    others.write_text("no folder")
    grow_old(others)
    folder = CountsFolder()
    assert set(tmp_path.iterdir()) == {young, others, folder.path}
    folder.remove()


def test_that_of_a_living_supervisor_stays(tmp_path):
    folder = CountsFolder()
    grow_old(folder.path)
    another = CountsFolder()
    assert set(tmp_path.iterdir()) == {folder.path, another.path}
    folder.remove()
    another.remove()
    assert not list(tmp_path.iterdir())
