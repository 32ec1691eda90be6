"""Renders the mails that the gate itself sends: delivery status notifications and notices to senders.

Every function returns a whole message as bytes with CRLF line ends and sends nothing. They go out with the null
reverse-path (RFC 5321 4.5.5), so that nothing ever answers them with mail.
"""

from gatekeeper.notices.dsn import delivery_status
from gatekeeper.notices.notices import held_notice, matter_notice, reach, released_notice, warning_notice
from gatekeeper.notices.texts import BUILT_IN, Texts, TextsError, labelled, numbered, people, plain, read_texts
from gatekeeper.notices.values import (
    AgencyShare,
    DeliveryReport,
    MailingSummary,
    MatterNotice,
    Occasion,
    Organisation,
    RecipientReport,
)

__all__ = [
    "BUILT_IN",
    "AgencyShare",
    "DeliveryReport",
    "MailingSummary",
    "MatterNotice",
    "Occasion",
    "Organisation",
    "RecipientReport",
    "Texts",
    "TextsError",
    "delivery_status",
    "held_notice",
    "labelled",
    "matter_notice",
    "numbered",
    "people",
    "plain",
    "reach",
    "read_texts",
    "released_notice",
    "warning_notice",
]
