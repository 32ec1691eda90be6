"""Mail on its way out: the next hop, its connections, and what came of a message there."""

from gatekeeper.delivery.next_hop import NextHop
from gatekeeper.delivery.relay import RelayTransaction
from gatekeeper.delivery.routes import read_next_hop
from gatekeeper.delivery.submit import RecipientResult, Result

__all__ = ["NextHop", "RecipientResult", "RelayTransaction", "Result", "read_next_hop"]
