"""Renders the mails that the gate itself sends: delivery status notifications and notices to senders.

Every function returns a whole message as bytes with CRLF line ends and sends nothing. They go out with the null
reverse-path (RFC 5321 4.5.5), so that nothing ever answers them with mail.
"""

from gatekeeper.notify.notices import held_notice, released_notice, warning_notice
from gatekeeper.notify.reports import delivery_status
from gatekeeper.notify.values import (
    AgencyShare,
    DeliveryReport,
    MailingSummary,
    Occasion,
    Organisation,
    RecipientReport,
)

__all__ = [
    "AgencyShare",
    "DeliveryReport",
    "MailingSummary",
    "Occasion",
    "Organisation",
    "RecipientReport",
    "delivery_status",
    "held_notice",
    "released_notice",
    "warning_notice",
]
