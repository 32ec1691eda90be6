"""Read what a browser sends with a form: its fields, and files where a page takes some."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from urllib.parse import parse_qsl

from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request

from gatekeeper.console.words import _

_MOST_FORM = 65_536  # octets of a form without files
_MOST_FIELD = 4 * 1024 * 1024  # octets of a field beside files: a hundred thousand addresses
_MOST_FILES, _MOST_FIELDS = 2, 200


class TooLarge(Exception):
    """A form that is larger than may be; the text says how much may be."""


class Form(dict[str, str]):
    """The fields of a form, less what no database keeps; of one that is named twice the last.

    Args: `files` are the octets of files by the name of their field; a file's own name is not looked at.
    """

    def __init__(self, pairs: Iterable[tuple[str, str]] = (), files: dict[str, bytes] | None = None) -> None:
        self._pairs = tuple((name, _kept(value)) for name, value in pairs)
        super().__init__(self._pairs)
        self.files = files or {}

    def all(self, name: str) -> list[str]:
        """Return the values of all fields of a name, such as of checkboxes that are ticked."""
        return [value for field, value in self._pairs if field == name]


def _kept(text: str) -> str:
    """Return a text without NUL, which PostgreSQL refuses, and without halves of characters."""
    return text.replace("\0", "").encode("utf-8", "replace").decode()


async def read_form(request: Request, most_files: int) -> Form:
    """Return what a form holds. Raises TooLarge. Args: `most_files` octets with its files; 0 where it takes none."""
    kind = request.headers.get("content-type", "")
    if most_files and kind.startswith("multipart/form-data"):
        return await _read_files(request, most_files)
    octets = b"".join([chunk async for chunk in limited(request, _MOST_FORM)])
    if not kind.startswith("application/x-www-form-urlencoded"):
        return Form()
    return Form(parse_qsl(octets.decode("ascii", "replace"), keep_blank_values=True))


async def limited(request: Request, most: int) -> AsyncIterator[bytes]:
    """Yield what a request holds as it comes. Raises TooLarge for more octets than `most`."""
    taken = 0
    async for chunk in request.stream():
        taken += len(chunk)
        if taken > most:
            raise TooLarge(_("this form is too large: at most %(n)s octets are read") % {"n": f"{most:,}"})
        yield chunk


async def _read_files(request: Request, most: int) -> Form:
    """Read a form with files (RFC 7578), which are on disk while they come."""
    parser = MultiPartParser(
        request.headers,
        limited(request, most),  # type: ignore[arg-type]  # an async iterator is all that it needs
        max_files=_MOST_FILES,
        max_fields=_MOST_FIELDS,
        max_part_size=_MOST_FIELD,
    )
    try:
        found = await parser.parse()
    except MultiPartException as error:
        raise TooLarge(_("this form cannot be read: %(why)s") % {"why": error.message}) from None
    files = {name: await each.read() for name, each in found.multi_items() if isinstance(each, UploadFile)}
    await found.close()
    pairs = [(name, each) for name, each in found.multi_items() if isinstance(each, str)]
    return Form(pairs, {name: octets for name, octets in files.items() if octets})
