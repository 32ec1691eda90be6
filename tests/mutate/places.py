"""The places of a module that can be changed: comparisons, booleans, constants, statements, arguments.

What says nothing about what the program does is left out: annotations, docstrings, decorators, words for people and for
the log; and the words of long tables.
"""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass

_OPPOSITE: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
}
_TABLE = 8  # elements from which on a set or list of strings is a table
_LONGEST = 30  # characters of a string that is taken for a name rather than for words
_SAID = {"log", "logging", "warnings", "logger"}  # whose calls are for people
_SAYING = {
    "debug",
    "info",
    "warning",
    "error",
    "exception",
    "step",
}  # calls that are, and the names of points to be killed at
_OF_CODECS = {"replace", "ignore", "surrogateescape", "strict", "utf-8", "ascii", "latin-1"}
_OF_VALUES = {"repr", "slots", "init", "compare", "frozen", "kw_only", "default_factory"}  # arguments of dataclasses
_SYMMETRIC = {
    "min",
    "max",
    "isinstance",
    "issubclass",
    "cast",
    "getattr",
    "zip",
    "print",
    "step",
    "TypeVar",
    "or_",
    "and_",
    "where",
    "gather",
}


@dataclass
class Place:
    """One change: `number` among those of its module, the lines of its statement, and what is done there."""

    number: int
    line: int
    first: int  # line of its statement
    last: int
    kind: str
    words: str
    copy: int  # how many of the same words are before it in the module
    apply: Callable[[], None]


def places_in(tree: ast.Module) -> list[Place]:
    """Return every place of a module, in the order of its text; `apply` of one changes the tree."""
    found: list[Place] = []
    copies = Counter[str]()
    for statement, node, parent in _walk(tree):
        for kind, words, apply in _changes(node, parent):
            last = statement.end_lineno or statement.lineno
            if hasattr(statement, "body"):  # of a compound statement only its head is run for it
                last = max(node.end_lineno or node.lineno, statement.lineno)
            place = Place(len(found), node.lineno, statement.lineno, last, kind, words, copies[kind + words], apply)
            copies[kind + words] += 1
            found.append(place)
    return found


def mutated(source: str, number: int) -> ast.Module:
    """Return the module with one place changed."""
    tree = ast.parse(source)
    places_in(tree)[number].apply()
    return ast.fix_missing_locations(tree)


# -- which nodes -------------------------------------------------------------------------------------------------


def _walk(tree: ast.Module) -> Iterator[tuple[ast.stmt, ast.expr | ast.stmt, ast.AST]]:
    """Yield each node that does something, with its statement and its parent."""
    for statement, owner in _statements(tree):
        yield statement, statement, owner
        if isinstance(statement, ast.Import | ast.ImportFrom | ast.Assert | ast.Raise) or _is_said(statement):
            continue
        if isinstance(statement, ast.Assign) and ast.unparse(statement.targets[0]) == "__all__":
            continue
        for field, value in ast.iter_fields(statement):
            if field in ("annotation", "decorator_list", "returns", "body", "orelse", "finalbody", "handlers", "bases"):
                continue
            for each in value if isinstance(value, list) else [value]:
                if isinstance(each, ast.AST):
                    yield from ((statement, node, parent) for node, parent in _expressions(each, statement))


def _statements(owner: ast.AST) -> Iterator[tuple[ast.stmt, ast.AST]]:
    for field in ("body", "orelse", "finalbody", "handlers", "cases"):
        for each in getattr(owner, field, ()) if not isinstance(owner, ast.expr) else ():
            if isinstance(each, ast.stmt):
                if isinstance(each, ast.If) and "TYPE_CHECKING" in ast.unparse(each.test):
                    continue
                yield each, owner
            if isinstance(each, ast.stmt | ast.excepthandler | ast.match_case):
                yield from _statements(each)


def _expressions(node: ast.AST, parent: ast.AST) -> Iterator[tuple[ast.expr, ast.AST]]:
    if isinstance(node, ast.JoinedStr | ast.arg) or (isinstance(node, ast.keyword) and node.arg in _OF_VALUES):
        return
    if len(getattr(node, "elts", ())) >= _TABLE or len(getattr(node, "keys", ())) >= _TABLE:
        return
    if isinstance(node, ast.expr):
        yield node, parent
    for field, value in ast.iter_fields(node):
        if field in ("annotation", "returns"):
            continue
        for each in value if isinstance(value, list) else [value]:
            if isinstance(each, ast.AST):
                yield from _expressions(each, node)


def _is_said(statement: ast.stmt) -> bool:
    call = statement.value if isinstance(statement, ast.Expr) else None
    call = call.value if isinstance(call, ast.Await) else call
    if isinstance(call, ast.Call) and ast.unparse(call.func).rsplit(".", 1)[-1] in _SAYING:
        return True
    while isinstance(call, ast.Call | ast.Attribute):
        call = call.func if isinstance(call, ast.Call) else call.value
    return isinstance(call, ast.Name) and call.id in _SAID


# -- which changes -----------------------------------------------------------------------------------------------

Change = tuple[str, str, Callable[[], None]]


def _changes(node: ast.expr | ast.stmt, parent: ast.AST) -> Iterator[Change]:
    if isinstance(node, ast.stmt):
        yield from _removed(node, parent)
    elif isinstance(node, ast.Compare) and len(node.ops) == 1:
        other = _OPPOSITE[type(node.ops[0])]()
        yield "comparison", f"{ast.unparse(node)}: {type(other).__name__}", lambda: _set(node, ops=[other])
    elif isinstance(node, ast.BoolOp):
        operator = ast.Or() if isinstance(node.op, ast.And) else ast.And()
        yield "boolean", f"{ast.unparse(node)}: {type(operator).__name__}", lambda: _set(node, op=operator)
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        yield "boolean", f"{ast.unparse(node)}: without not", lambda: _set(node, operand=_not(node.operand))
    elif isinstance(node, ast.Constant):
        yield from _other_constants(node, parent)
    elif isinstance(node, ast.Call):
        yield from _swapped(node)


def _removed(node: ast.stmt, parent: ast.AST) -> Iterator[Change]:
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant | ast.Yield | ast.YieldFrom):
        return
    does = isinstance(node, ast.Expr | ast.AugAssign | ast.Delete | ast.Raise | ast.Continue | ast.Break)
    if isinstance(node, ast.Assign):
        does = any(isinstance(target, ast.Attribute | ast.Subscript) for target in node.targets)
    if does and not _is_said(node):
        yield "statement", f"{ast.unparse(node).splitlines()[0]}: removed", lambda: _replace(node, parent)


def _replace(node: ast.stmt, parent: ast.AST) -> None:
    for field in ("body", "orelse", "finalbody"):
        found = getattr(parent, field, None)
        if isinstance(found, list):
            setattr(parent, field, [ast.copy_location(ast.Pass(), node) if each is node else each for each in found])


def _other_constants(node: ast.Constant, parent: ast.AST) -> Iterator[Change]:
    value, other = node.value, None
    if isinstance(value, bool):
        other = not value
    elif isinstance(value, int):
        other = value + 1
    elif isinstance(value, float):
        other = value * 2 or 1.0
    elif isinstance(value, str) and 0 < len(value) <= _LONGEST and not set(" %{\n") & set(value):
        other = None if value in _OF_CODECS else value + "x"
    if other is not None and not isinstance(parent, ast.FormattedValue):
        yield "constant", f"{value!r}: {other!r}", lambda: _set(node, value=other)


def _swapped(node: ast.Call) -> Iterator[Change]:
    name = ast.unparse(node.func).rsplit(".", 1)[-1]
    first, second, *_ = [*node.args, None, None]
    if first is None or second is None or name in _SYMMETRIC:
        return
    if isinstance(first, ast.Starred) or isinstance(second, ast.Starred) or ast.dump(first) == ast.dump(second):
        return
    swapped = [second, first, *node.args[2:]]
    yield "arguments", f"{name}({ast.unparse(first)}, {ast.unparse(second)}): swapped", lambda: _set(node, args=swapped)


def _set(node: ast.AST, **values: object) -> None:
    for name, value in values.items():
        setattr(node, name, value)


def _not(node: ast.expr) -> ast.expr:
    return ast.copy_location(ast.UnaryOp(ast.Not(), node), node)
