"""Mail on its way out: the next hop, connections to it, and the outcome of each message and recipient.

Read first: `next_hop.py` (what other rooms use), `relay.py` (one transaction, and what happens when a connection is
lost), `hosts.py` and `pool.py` (connections), `smtp_client.py` and `reply_stream.py` (SMTP over one connection).
"""

from gatekeeper.delivery.next_hop import NextHop
from gatekeeper.delivery.recipients import RecipientResult, Result
from gatekeeper.delivery.route_url import read_next_hop
from gatekeeper.delivery.transaction import RelayTransaction

__all__ = ["NextHop", "RecipientResult", "RelayTransaction", "Result", "read_next_hop"]
