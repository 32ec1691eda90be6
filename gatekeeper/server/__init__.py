"""The sockets of the listeners: they drive the protocols of smtp/ and milter/, and hand messages to the pipeline.

Read first: `smtp_listener.py` and `milter_server.py` (the two listeners), `ports.py` (what they need of other rooms),
`spool.py` (where message content is while it arrives).
"""
