"""Hides the passwords of URLs in texts for people, logs and metrics."""

from __future__ import annotations

import re

# A password in an address of a server is taken to reach to the last @, for it may have a slash or an @ that was to be
# escaped; in any other URL to the first slash, since a path may have both. Bounded lengths make the time bounded.
_OF_SERVER = r"(?:postgres(?:ql)?|mysql|mariadb|mssql|oracle|ldaps?|smtps?)(?:\+[a-z0-9]+)?"
_ONE_URL = r"(?:(?!,[a-z][a-z0-9+.\-]*://)\S)"  # of several with commas between them
_LOGIN = re.compile(
    rf"\b({_OF_SERVER}://[^/@\s:]{{0,256}}):{_ONE_URL}{{0,256}}@|(?<=://)([^/@\s:]{{0,256}}):[^/@\s]{{0,256}}@|"
    r"((?:password|passwd|pwd)=)[^&\s,\"']+",
    re.IGNORECASE,
)


def without_passwords(text: str) -> str:
    """Return the text with three stars where an address in it has a password."""
    if "://" not in text:
        return text
    return _LOGIN.sub(lambda found: f"{found[3]}***" if found[3] else f"{found[1] or found[2]}:***@", text)
