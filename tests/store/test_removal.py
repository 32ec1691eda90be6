"""Recorded things are removed in one place, which asks what is preserved (policies C7, D2): the package is read."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import gatekeeper
from gatekeeper.store.db.schema import metadata

PACKAGE = Path(gatekeeper.__file__).parent
THE_PLACE = "store/removal.py"
PASSING = {  # tables of nothing that is a record: what runs, who is signed in, what counts for hours
    "accounts", "clocks", "console_sessions", "directory_sources", "flights", "passkeys", "preflights", "processes",
    "recovery_codes", "release_tokens", "returned_mail", "sent_counts", "sent_sums", "signin_links", "signin_pins",
    "signin_steps", "unfinished_requests",
    "texts",  # made of what is recorded, and made again where it is gone
}  # fmt: skip
# No records either, but written only once, or in another's transaction: nobody removes them today.
KEPT_AS_THEY_ARE = {"counters", "secrets"}
RECORDED = set(metadata.tables) - PASSING
MATTER_PEOPLE = "store/matter_people.py"  # whose a mailing is: removed with it, by removal.py
CONTENT = {  # columns that say what mail said, to whom it went, or what people did
    "address", "body", "content_digest", "data", "details", "login", "message_id", "owners", "payload", "sender",
    "subject", "trace",
}  # fmt: skip


def files() -> Iterator[tuple[str, ast.Module, str]]:
    for path in sorted(PACKAGE.rglob("*.py")):
        name = path.relative_to(PACKAGE).as_posix()
        if "migrations" not in name:
            text = path.read_text()
            yield name, ast.parse(text), text


def deletes(tree: ast.Module) -> Iterator[str]:
    """The tables of DELETE statements, as the code names them."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        if isinstance(node.func, ast.Name) and node.func.id == "delete":
            yield ast.unparse(node.args[0])
        elif isinstance(node.func, ast.Attribute) and node.func.attr == "delete" and not node.args:
            yield ast.unparse(node.func.value)


def test_every_delete_of_something_recorded_stands_in_one_place():
    found = {
        (name, table)
        for name, tree, _ in files()
        if name not in (THE_PLACE, MATTER_PEOPLE)
        for table in deletes(tree)
        if "store" in name and table not in PASSING
    }
    assert found == set(), "remove it in store/removal.py, which asks what is preserved"


def test_no_statement_removes_by_hand():
    for name, tree, _ in files():
        texts = {
            node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)
        }
        found = [text for text in texts if re.match(r"\s*(DELETE FROM|TRUNCATE|DROP TABLE)\b", text)]
        allowed = [text for text in found if "text_words" in text or "sqlite_sequence WHERE name = :name" in text]
        assert found == allowed, name


def emptied(tree: ast.Module) -> Iterator[str]:
    """Content columns that functions with an UPDATE give nothing as their value."""
    for function in ast.walk(tree):
        if not isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        if not any(isinstance(node, ast.Name) and node.id == "update" for node in ast.walk(function)):
            continue
        for node in ast.walk(function):
            if isinstance(node, ast.Dict):
                pairs = zip(node.keys, node.values, strict=True)
                yield from (key.value for key, value in pairs if isinstance(key, ast.Constant) and _is_nothing(value))
            elif isinstance(node, ast.keyword) and node.arg and _is_nothing(node.value):
                yield node.arg


def _is_nothing(value: ast.expr) -> bool:
    return ast.unparse(value) in ("None", "''", "b''", "[]", "{}")


def test_every_update_that_empties_what_is_recorded_stands_in_one_place():
    found = {
        (name, column)
        for name, tree, _ in files()
        if name.startswith("store/") and name != THE_PLACE
        for column in emptied(tree)
        if column in CONTENT
    }
    assert found == set(), "empty it in store/removal.py, which asks what is preserved"


def test_every_table_is_recorded_or_said_not_to_be():
    assert set(metadata.tables) >= PASSING | KEPT_AS_THEY_ARE
    assert {"mailings", "bodies", "events", "audit_blocks", "preserves", "cases", "rulesets"} <= RECORDED


def test_the_place_asks_what_is_preserved_before_it_removes():
    """Each function that removes mailings or their content begins with what is free."""
    tree = ast.parse((PACKAGE / THE_PLACE).read_text())
    asks = {"free", "any_kept", "kept"}
    for function in tree.body:
        if isinstance(function, ast.FunctionDef) and function.name in ("forget_mailing", "remove_ordinary", "point_to"):
            called = {
                node.func.id
                for node in ast.walk(function)
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
            }
            assert called & asks, function.name
