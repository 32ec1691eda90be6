"""Rules and directory as `serve` would read them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gatekeeper.cli.common import CONFIG, Failure
from gatekeeper.policy.active import Policy, PolicyError, read_policy


@contextmanager
def reading_well() -> Iterator[None]:
    """Turn rules that cannot be used into a line on standard error and a code of sysexits.h."""
    try:
        yield
    except PolicyError as error:
        raise Failure(str(error), CONFIG) from None


def policy_at(rules: Path) -> Policy:
    """The rules of this file and all that it names; ends the command where they cannot be used."""
    with reading_well():
        return read_policy(rules)
