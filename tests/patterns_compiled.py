"""Print how many patterns the gate compiles when it is imported, and those that older Pythons read otherwise, as JSON.

`python -m tests.patterns_compiled`, in a process of its own: what is imported already is compiled already.
"""

from __future__ import annotations

import importlib
import json
import pkgutil
import re._compiler as compiler  # type: ignore[import-untyped]
import re._constants as constants  # type: ignore[import-untyped]
import re._parser as parser  # type: ignore[import-untyped]
import sys
from collections.abc import Iterator
from contextlib import suppress

_compile = compiler.compile
_seen: dict[tuple[str | bytes, int], None] = {}


def noted(pattern, flags=0):
    """Compile, and note what."""
    if isinstance(pattern, (str, bytes)):
        _seen.setdefault((pattern, int(flags)))
    return _compile(pattern, flags)


def import_all() -> None:
    """Import every module; those of an extra that is not installed are passed over."""
    import gatekeeper

    for module in pkgutil.walk_packages(gatekeeper.__path__, "gatekeeper."):
        if not module.name.endswith("__main__") and ".migrations" not in module.name:
            with suppress(ImportError):
                importlib.import_module(module.name)


def repeated(items) -> Iterator[list]:
    """Yield what is repeated possessively."""
    for op, value in items:
        if op is constants.POSSESSIVE_REPEAT:
            yield value[2]
        for inner in value if isinstance(value, (tuple, list)) else (value,):
            for each in inner if isinstance(inner, list) else (inner,):
                if isinstance(each, parser.SubPattern):
                    yield from repeated(each)


def is_safe(items) -> bool:
    """Return True for one character or an atomic group."""
    return len(items) == 1 and (items[0][0] is constants.ATOMIC_GROUP or items[0][0] in compiler._UNIT_CODES)


if __name__ == "__main__":
    compiler.compile = noted
    import_all()
    wrong = [str(pattern) for pattern, flags in _seen if not all(map(is_safe, repeated(parser.parse(pattern, flags))))]
    json.dump([len(_seen), wrong], sys.stdout)
