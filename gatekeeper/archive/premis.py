"""Events of what is preserved, as PREMIS 3 has them (https://www.loc.gov/standards/premis/v3/)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from xml.sax.saxutils import escape

from gatekeeper.lib.immutable import immutable

_HEAD = (
    '<?xml version="1.0" encoding="UTF-8"?>\n'
    '<premis xmlns="http://www.loc.gov/premis/v3" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" '
    'version="3.0">\n'
)


@immutable
class PremisObject:
    """A file: its path in the bag, size, and SHA-256."""

    path: str
    size: int
    sha256: str


@immutable
class PremisEvent:
    """An event: its kind by PREMIS, when (RFC 3339), what happened, by whom, and the objects that it is about."""

    kind: str  # ingestion, fixity check, ...
    at: str
    detail: str
    agent: str
    objects: tuple[str, ...] = ()


def premis(objects: Iterable[PremisObject], events: Iterable[PremisEvent]) -> Iterator[bytes]:
    """Yield a PREMIS document piece by piece."""
    yield _HEAD.encode()
    agents: dict[str, None] = {}
    for each in objects:
        yield _object(each).encode("utf-8", "backslashreplace")
    for number, event in enumerate(events, 1):
        agents[event.agent] = None
        yield _event(number, event).encode("utf-8", "backslashreplace")
    for agent in agents:
        yield _agent(agent).encode("utf-8", "backslashreplace")
    yield b"</premis>\n"


def _object(each: PremisObject) -> str:
    fixity = (
        "<fixity><messageDigestAlgorithm>SHA-256</messageDigestAlgorithm>"
        f"<messageDigest>{each.sha256}</messageDigest></fixity>"
    )
    format = "<format><formatDesignation><formatName>message/rfc822</formatName></formatDesignation></format>"
    return (
        f'<object xsi:type="file">{_identifier("object", "path", each.path)}<objectCharacteristics>{fixity}'
        f"<size>{each.size}</size>{format}</objectCharacteristics></object>\n"
    )


def _event(number: int, event: PremisEvent) -> str:
    objects = "".join(_link("Object", "path", path) for path in event.objects)
    detail = f"<eventDetailInformation><eventDetail>{_text(event.detail)}</eventDetail></eventDetailInformation>"
    return (
        f"<event>{_identifier('event', 'local', str(number))}<eventType>{event.kind}</eventType>"
        f"<eventDateTime>{event.at}</eventDateTime>{detail}{_link('Agent', 'name', event.agent)}{objects}</event>\n"
    )


def _agent(name: str) -> str:
    return f"<agent>{_identifier('agent', 'name', name)}<agentName>{_text(name)}</agentName></agent>\n"


def _identifier(of: str, kind: str, value: str) -> str:
    return (
        f"<{of}Identifier><{of}IdentifierType>{kind}</{of}IdentifierType>"
        f"<{of}IdentifierValue>{_text(value)}</{of}IdentifierValue></{of}Identifier>"
    )


def _link(of: str, kind: str, value: str) -> str:
    name = f"linking{of}Identifier"
    return f"<{name}><{name}Type>{kind}</{name}Type><{name}Value>{_text(value)}</{name}Value></{name}>"


def _text(value: str) -> str:
    """Return text as XML may have it: without control characters."""
    return escape("".join(letter if letter.isprintable() or letter in "\n\t" else "�" for letter in value))
