"""All engines of a test process share what SQLAlchemy has compiled: each test has an engine, a gate one for its life.

Imported for what it does. Compiling the same statements for each engine anew took a quarter of the time of such tests.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import util
from sqlalchemy.engine import Engine
from sqlalchemy.engine.default import DefaultDialect

_compiled: util.LRUCache[Any, Any] = util.LRUCache(5_000)
_begin = Engine.__init__


def _is_alike(self: DefaultDialect, other: object) -> bool:
    return type(self) is type(other)


def _begin_sharing(self: Engine, *words: Any, **named: Any) -> None:
    _begin(self, *words, **named)
    self._compiled_cache = _compiled


DefaultDialect.__eq__ = _is_alike  # type: ignore[method-assign]
DefaultDialect.__hash__ = lambda self: hash(type(self))  # type: ignore[method-assign]
Engine.__init__ = _begin_sharing  # type: ignore[method-assign]
