"""The addresses of the host, as its kernel tells them."""

from __future__ import annotations

from pathlib import Path

import pytest

from gatekeeper.directory.loaders import own_addresses
from gatekeeper.directory.snapshot import Directory, DirectoryContent


def test_the_host_knows_its_own_addresses() -> None:
    """Every Linux host has loopback; mail to a literal of its own is mail to a user of it."""
    own = own_addresses.own_literals()
    assert "[127.0.0.1]" in own
    reached = Directory(DirectoryContent(domains=["example.gov"], own=own)).reach([f"jo@{each}" for each in own])
    assert len(reached.users) == len(own) and reached.externals == frozenset()


def test_what_the_kernel_does_not_tell_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "odd").write_text("zz no address\n\n")
    monkeypatch.setattr(own_addresses, "_IPV4", tmp_path / "none")
    monkeypatch.setattr(own_addresses, "_IPV6", tmp_path / "odd")
    assert own_addresses.own_literals() == frozenset()
