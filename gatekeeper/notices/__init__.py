"""Render the mails that the gate itself sends: delivery status notifications and notices to people.

Every function returns a whole message as bytes with CRLF line ends, and sends nothing. These mails are sent with the
null reverse-path (RFC 5321 4.5.5), so that no mail server answers them with mail.

`dsn.py` renders delivery status notifications and `notices.py` notices; `texts.py` has the templates, `compose.py` the
header fields and MIME parts, `values.py` what a mail is rendered from.
"""

from gatekeeper.notices.dsn import delivery_status
from gatekeeper.notices.notices import describe_reach, held_notice, matter_notice, released_notice, warning_notice
from gatekeeper.notices.texts import (
    BUILT_IN,
    NoticeTemplates,
    TemplatesError,
    by_all,
    labelled,
    numbered_list,
    plain,
    read_templates,
    say_count,
)
from gatekeeper.notices.values import (
    AgencyShare,
    ApprovalNote,
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
    "ApprovalNote",
    "DeliveryReport",
    "MailingSummary",
    "MatterNotice",
    "NoticeTemplates",
    "Occasion",
    "Organisation",
    "RecipientReport",
    "TemplatesError",
    "by_all",
    "delivery_status",
    "describe_reach",
    "held_notice",
    "labelled",
    "matter_notice",
    "numbered_list",
    "plain",
    "read_templates",
    "released_notice",
    "say_count",
    "warning_notice",
]
