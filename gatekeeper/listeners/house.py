"""What the connections of the SMTP listener share: the rooms behind it, and what it may offer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from gatekeeper.listeners.guests import Guests
from gatekeeper.listeners.seams import NextHop, Pipeline
from gatekeeper.settings import Listening
from gatekeeper.wire.replies import Reply

BEFORE_QUEUE_SECONDS = 90.0  # from the dot to the reply: Postfix waits 100 for a proxy (smtpd_proxy_timeout)
IMPLEMENTED = ("PIPELINING", "8BITMIME", "SMTPUTF8", "DSN", "ENHANCEDSTATUSCODES")


class House(Guests):
    """The SMTP listener's connections and what they need."""

    def __init__(
        self,
        settings: Listening,
        next_hop: NextHop,
        pipeline: Pipeline,
        sender_allowed: Callable[[str], bool],
        obstacle: Callable[[], Reply | None],
        is_ours: Callable[[str], bool],
    ) -> None:
        super().__init__(settings, settings.max_connections_per_client)
        self.next_hop, self.pipeline = next_hop, pipeline
        self.sender_allowed, self.obstacle, self.is_ours = sender_allowed, obstacle, is_ours
        self.answer_within = BEFORE_QUEUE_SECONDS if settings.listen.before_queue else None
        self.shared: Mapping[str, Any] = {}  # what every connection begins with; set as the listener starts

    # -- what is offered --

    async def offers(self) -> dict[str, str]:
        """EHLO keywords that every next hop offers and we implement, with their arguments."""
        theirs = await self.next_hop.extensions()
        ours = {keyword: "" for keyword in IMPLEMENTED if keyword in theirs}
        return ours | ({"SIZE": str(self._smaller(theirs["SIZE"]))} if "SIZE" in theirs else {})

    def _smaller(self, theirs: str) -> int:
        limit = int(theirs) if theirs.isdigit() else 0  # 0 or nothing: no fixed limit (RFC 1870 4)
        return min(limit, self.settings.max_size) if limit else self.settings.max_size

    def size_limit(self, offered: Mapping[str, str]) -> int:
        """The largest message that is taken from a client that was offered this, in octets."""
        return int(offered.get("SIZE", self.settings.max_size))
