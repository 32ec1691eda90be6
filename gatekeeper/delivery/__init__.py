"""Mail on its way out: the next hop, its connections, and what came of a message there."""

from gatekeeper.delivery.next_hop import NextHop
from gatekeeper.delivery.recipients import RecipientResult, Result
from gatekeeper.delivery.relay import RelayTransaction
from gatekeeper.delivery.route_url import read_next_hop

__all__ = ["NextHop", "RecipientResult", "RelayTransaction", "Result", "read_next_hop"]
