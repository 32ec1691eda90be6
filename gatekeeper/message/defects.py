"""The closed vocabulary of what can be wrong with a message, and the collector of the defects of one message."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType

DEFECTS: Mapping[str, str] = MappingProxyType(
    {
        "header-over-limit": "A header is longer, or has more fields, than the gate reads.",
        "malformed-header": "A header has a line that is no field, a space before a colon, or a blank fold.",
        "control-character": "A header holds a NUL, a bare CR, or hides a control character in encoded text.",
        "undecodable-header": "A header field has 8-bit octets that are not UTF-8.",
        "missing-from": "There is no From field, or an empty one.",
        "malformed-from": "From, Sender or a Resent field can be read as other addresses, or hides characters.",
        "duplicate-from": "There are two From or two Sender fields, of which mail programs show either.",
        "group-in-from": "From, Sender or a Resent field names a group, whose name people see, and not who is in it.",
        "several-authors": "From names several authors and no Sender says who of them sends.",
        "duplicate-subject": "There are two Subject fields, of which mail programs show either.",
        "duplicate-recipients": "To, Cc or Bcc is there more than once.",
        "duplicate-field": "Message-ID, Date, Reply-To, In-Reply-To or References is there more than once.",
        "duplicate-mime": "A MIME field, such as Content-Type, is there more than once in one header.",
        "malformed-recipients": "To, Cc or Bcc cannot be read as addresses without guessing.",
        "too-many-addresses": "An address field names more mailboxes than the gate reads.",
        "malformed-encoded-word": "Encoded text in a header or a name is cut off or cannot be decoded.",
        "unknown-charset": "A text or a name is in a character set that the gate does not know.",
        "unmarked-utf-16": "UTF-16 or UTF-32 has no mark of its order: programs read it in two ways.",
        "undecodable-text": "Encoded text in a header or a name does not fit the character set it claims.",
        "malformed-content-type": "A Content-Type has no type and subtype, or no semicolon behind them.",
        "malformed-disposition": "A Content-Disposition is no word, or has no semicolon behind it.",
        "malformed-parameter": "A parameter of a MIME field is unclosed, out of order, in brackets or runs on.",
        "clashing-parameters": "A MIME field gives the same parameter twice.",
        "too-many-parameters": "A MIME field has more parameters than the gate reads.",
        "missing-boundary": "A multipart does not say what separates its parts.",
        "clashing-boundary": "A boundary starts like another one, or like a line of a part: two ways to cut.",
        "unclosed-multipart": "A multipart does not end, or has no parts at all.",
        "part-after-end": "A boundary is seen again after the multipart that it belongs to has ended.",
        "header-in-body": "A body begins like a part: an empty line stands before fields such as Content-Type.",
        "stray-boundary": "A part that is no multipart has a boundary, and lines that it would cut.",
        "encoded-container": "A multipart or a nested message is itself encoded, which MIME forbids.",
        "unknown-encoding": "A part has a Content-Transfer-Encoding that the gate does not know, or ill written.",
        "malformed-base64": "A base64 part holds characters, or an end, that decoders read differently.",
        "malformed-quoted-printable": "Quoted-printable text has a = that stands for nothing.",
        "malformed-uuencode": "A uuencoded or BinHex file in a text does not end, or cannot be read.",
        "partial-message": "The message is one piece of a bigger one, whose content is unknown.",
        "clashing-names": "An attachment has two names with different endings.",
        "too-many-parts": "The message has more parts, or lines that look like boundaries, than the gate reads.",
        "too-deep": "Parts and messages are nested deeper than the gate reads.",
        "text-over-limit": "The text is longer than the gate reads for links.",
        "bare-cr": "A line of the body has a CR without its LF.",
    }
)


class DefectCollector:
    """A collector of the defects of one message, each once. All readers of the message share one collector."""

    def __init__(self) -> None:
        self._noted: set[str] = set()

    def add(self, defect: str) -> None:
        """Add a defect of the vocabulary. Raises KeyError for any other name."""
        DEFECTS[defect]
        self._noted.add(defect)

    def add_if(self, found: bool, defect: str) -> None:
        if found:
            self.add(defect)

    def update(self, noted: Iterable[str]) -> None:
        """Add the defects that another collector found."""
        self._noted.update(noted)

    def __contains__(self, defect: str) -> bool:
        return defect in self._noted

    @property
    def found(self) -> tuple[str, ...]:
        return tuple(sorted(self._noted))
