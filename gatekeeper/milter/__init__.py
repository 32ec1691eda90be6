"""The milter protocol without I/O.

`session.py` has the life of a connection: it is fed octets, returns messages, and takes what the MTA is to do with
each. `packets.py` has the encoding of the packets. There is no standard; the reference is Sendmail's libmilter.
"""
