"""Names of files that came by mail: what to save them as, and what is suspicious about them."""

from __future__ import annotations

import re
import unicodedata

_MOST = 100  # characters
_LONGEST_READ = 1_000  # characters: sorting combining marks takes quadratic time
_KEPT = re.compile(r"[^\w.,+=()\[\] -]")
_ACTING = frozenset(
    [
        "exe",
        "com",
        "scr",
        "pif",
        "bat",
        "cmd",
        "ps1",
        "vbs",
        "vbe",
        "js",
        "jse",
        "wsf",
        "wsh",
        "hta",
        "msi",
        "msp",
        "jar",
        "lnk",
        "reg",
        "cpl",
        "dll",
        "iso",
        "img",
        "vhd",
        "app",
        "sh",
        "py",
        "apk",
    ]
)
_MACROS = frozenset(["docm", "dotm", "xlsm", "xltm", "xlam", "xlsb", "pptm", "potm", "ppam", "ppsm", "sldm"])
_PLAIN = frozenset(
    ["pdf", "doc", "docx", "xls", "xlsx", "ppt", "pptx", "txt", "csv", "rtf", "jpg", "jpeg", "png", "gif", "zip"]
)
RUNS, MACROS, TWO_ENDINGS = "runs", "macros", "two-endings"


def saved_name(name: str, otherwise: str) -> str:
    """Return a name that a file can be saved under on any system; `otherwise` where nothing is left of it."""
    last = unicodedata.normalize("NFC", name[-_LONGEST_READ:]).replace("\\", "/").rpartition("/")[2]
    shown = "".join(each for each in last if unicodedata.category(each)[0] != "C")
    cleaned = " ".join(_KEPT.sub("_", shown).split()).strip(". ")
    stem, dot, ending = cleaned.rpartition(".")
    if len(cleaned) > _MOST and dot:
        cleaned = f"{stem[: _MOST - len(ending[:10]) - 1]}.{ending[:10]}"
    return cleaned[:_MOST] or otherwise


def warnings_of(name: str) -> tuple[str, ...]:
    """Return what is suspicious about a file's name: it runs, may hold macros, or hides its real ending."""
    shown = "".join(each for each in name if unicodedata.category(each)[0] != "C").rstrip(". ").lower()
    endings = [each.strip() for each in shown.split(".")[1:]]
    if not endings:
        return ()
    found = [RUNS] if endings[-1] in _ACTING else []
    found += [MACROS] if endings[-1] in _MACROS else []
    hides = len(endings) > 1 and endings[-2] in _PLAIN and endings[-1] in _ACTING | _MACROS
    return tuple(found + ([TWO_ENDINGS] if hides else []))
