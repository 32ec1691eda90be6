"""Read an arriving message and whom it reaches: at once, or in a thread where that takes long."""

from __future__ import annotations

from collections.abc import Sequence

from gatekeeper.lib.aio import run_long
from gatekeeper.message import read_facts
from gatekeeper.model import Audience, Facts, Recipient
from gatekeeper.policy.active import Policy
from gatekeeper.policy.evidence import audience_of, written_addresses

_LARGE = 65_536  # octets above which a message is read in a thread, off the event loop
_LONG_HEADER = 8_192  # octets above which a header is read in a thread too: few are so long, and such can take long


async def find_facts(content: bytes) -> Facts:
    """Return what a message says of itself."""
    if len(content) < _LARGE and not _has_long_header(content):
        return read_facts(content)
    return await run_long(read_facts, content)


def _has_long_header(content: bytes) -> bool:
    return len(content) > _LONG_HEADER and content.find(b"\r\n\r\n", 0, _LONG_HEADER) < 0


async def find_audience(
    recipients: Sequence[str], facts: Facts, policy: Policy, envelope: Sequence[Recipient]
) -> Audience:
    """Return `audience_of` the same arguments."""
    directory = policy.directory
    if directory.has_large_lists:
        lists = directory.lists_of(recipients) | directory.lists_of(written_addresses(facts, envelope))
        if not directory.is_quick(lists):
            return await run_long(_find, lists, recipients, facts, policy, envelope)
    return audience_of(recipients, facts, policy, envelope)


def _find(
    lists: frozenset[str], recipients: Sequence[str], facts: Facts, policy: Policy, envelope: Sequence[Recipient]
) -> Audience:
    if len(lists) == 1:
        policy.directory.watched(*lists)  # so that the next part of the mailing finds it known
    return audience_of(recipients, facts, policy, envelope)
