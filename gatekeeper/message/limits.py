"""How much of a message is read. Content over a limit is a defect, so that such a message never passes as clean."""

from __future__ import annotations

from gatekeeper.lib.immutable import immutable


@immutable
class Limits:
    """Bounds that keep the reading of one message linear and small, whatever the message holds.

    Above each group of limits stands the defect that an exceeded limit leads to; `defects.py` describes the defects.
    """

    # header-over-limit
    header_bytes: int = 262_144  # octets of one header, of the message or of a part
    fields: int = 2_000  # fields of one header
    # too-many-addresses
    addresses: int = 20_000  # mailboxes of one kind of field, such as all of To
    # too-many-parts
    parts: int = 1_000  # MIME parts and files inside text, nested messages included
    boundary_lines: int = 100_000  # lines that start with "--", each of which could be a delimiter
    inserts: int = 10_000  # lines of texts that look like the start of a uuencoded file
    # too-deep
    depth: int = 50  # multiparts and messages inside each other
    # too-many-parameters
    parameters: int = 200  # parameters of one Content-Type or Content-Disposition
    # text-over-limit
    text: int = 1_048_576  # octets of decoded text that are read for links
    # no defect: the fingerprint of a long text is taken from its beginning
    sample: int = 65_536  # characters of text that the fingerprint is taken from
