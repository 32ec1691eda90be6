"""The SMTP protocol without I/O: commands, parameters, replies, data, envelope, Received (RFC 5321).

What a client sends is read by `commands.py`, `parameters.py` and `data.py`; what a next hop answers by `replies.py`.
`envelope.py` and `dot_stuffing.py` write what goes to a next hop, `policy_replies.py` has the texts of the gate's
replies.
"""
