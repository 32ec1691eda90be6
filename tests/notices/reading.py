"""An independent reader: the standard library's parser, and a strict one of RFC 3464 fields written here."""

from __future__ import annotations

import re
from email import message_from_bytes, policy
from email.message import EmailMessage

_FIELD = re.compile(r"([A-Za-z][A-Za-z-]*): (\S.*)")
_PER_MESSAGE = {"Original-Envelope-Id", "Reporting-MTA", "Arrival-Date"}
_PER_RECIPIENT = {
    "Original-Recipient",
    "Final-Recipient",
    "Action",
    "Status",
    "Remote-MTA",
    "Diagnostic-Code",
    "Will-Retry-Until",
}


def read(octets: bytes) -> EmailMessage:
    """Parse, and refuse what RFC 5322 refuses: bare line breaks, long lines, defects, fields that came in twice."""
    assert b"\r" not in octets.replace(b"\r\n", b"") and b"\n" not in octets.replace(b"\r\n", b"")
    assert all(len(line) <= 998 for line in octets.split(b"\r\n"))
    message = message_from_bytes(octets, policy=policy.default)
    assert isinstance(message, EmailMessage)
    ours = [message, *(message.iter_parts() if message.is_multipart() else ())]
    assert not [defect for part in ours for defect in part.defects]  # what a sender wrote may have some
    names = [name.lower() for name in message]
    assert len(names) == len(set(names)), names
    return message


def text_of(message: EmailMessage) -> str:
    """The text for people, unfolded into one line."""
    body = message.get_body(("plain",))
    assert body is not None
    return " ".join(body.get_content().split())


def parts_of(message: EmailMessage) -> list[EmailMessage]:
    assert message.get_content_type() == "multipart/report" and message.get_param("report-type") == "delivery-status"
    parts = list(message.iter_parts())
    assert [part.get_content_type() for part in parts[:2]] == ["text/plain", "message/delivery-status"]
    assert len(parts) == 3
    return parts  # type: ignore[return-value]


def status_of(octets: bytes) -> list[dict[str, str]]:
    """Read the message/delivery-status part from the octets, without a MIME library: a block a dict."""
    found = re.search(rb'boundary="([^"]+)"', octets)
    assert found
    part = octets.split(b"--" + found[1])[2]
    body = part.split(b"\r\n\r\n", 1)[1].decode("ascii")
    blocks = [_block(block) for block in body.rstrip("\r\n").split("\r\n\r\n")]
    _check(blocks)
    return blocks


def _block(text: str) -> dict[str, str]:
    lines = re.sub(r"\r\n[ \t]+", " ", text).split("\r\n")
    fields = [match.groups() for line in lines if (match := _FIELD.fullmatch(line))]
    assert len(fields) == len(lines) == len(dict(fields)), text
    return dict(fields)


def _check(blocks: list[dict[str, str]]) -> None:
    assert set(blocks[0]) <= _PER_MESSAGE and blocks[0]["Reporting-MTA"].startswith("dns; ")
    for block in blocks[1:]:
        assert set(block) <= _PER_RECIPIENT
        assert re.fullmatch(r"(rfc822|utf-8); .+", block["Final-Recipient"])
        assert block["Action"] in ("failed", "delayed") and re.fullmatch(r"[45]\.\d{1,3}\.\d{1,3}", block["Status"])
        assert re.fullmatch(r"smtp; .+", block.get("Diagnostic-Code", "smtp; none"))
