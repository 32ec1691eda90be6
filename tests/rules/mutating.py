"""Files as people and accidents make them: octets, lines, words and whole branches of sound ones changed at random."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml

from tests.rules.making import ROOT

RULES = (ROOT / "rules.yaml", *sorted((ROOT / "examples").glob("*/rules.yaml")))
ODD_WORDS = (
    *("NO", "~", "", "null", "1:30", "212.10", "1e999", "-1", "0x1F", "2026-02-30", "9" * 400, "1000000 years", "5KB"),
    *("{users}", "{", "{{", "}}", "*a", "&a", "<<", "!!python/object:os.system", "@", "@example.gov", "*.", "xn--"),
    *("%", "120%", "\\", "(", "(?P<x", "[", "a{9999}", "é\u200b", "A" * 5000, "users", "mass", "any", "not"),
)
PIECES = (*"{}[]\n\t*'\"9é\x00\ufeff:#,&|>!%@`", "  ", ": ", "- ", "\r\n", "...\n", "---\n", "? ")
_WORD = re.compile(r"[\w@.*%-]+")
_DEEPEST = 12


def mutants(files: Sequence[Path], dice: random.Random) -> Iterator[tuple[Path, bytes]]:
    """Files without end, each with the name of the sound one that it was made of."""
    texts = {path: path.read_text(encoding="utf-8") for path in files}
    words = [*ODD_WORDS, *sorted({word for text in texts.values() for word in _WORD.findall(text)})]
    trees = {path: yaml.load(text, yaml.BaseLoader) for path, text in texts.items()}
    branches = [*ODD_WORDS, *(branch for tree in trees.values() for branch in _branches(tree))]
    while True:
        path = dice.choice(files)
        if dice.random() < 0.4:
            yield path, _other_tree(trees[path], branches, dice).encode("utf-8", "replace")
        else:
            yield path, _other_text(texts[path], words, dice)


# -- octets, lines, words ----------------------------------------------------------------------------------------


def _other_text(text: str, words: Sequence[str], dice: random.Random) -> bytes:
    for _ in range(dice.choice((1, 1, 1, 2, 3, 8))):
        change: Callable[..., str] = dice.choice((_spliced, _reworded, _reworded, _reworded, _of_other_lines))
        text = change(text, words, dice)
    octets = bytearray(text.encode())
    for _ in range(dice.choice((0, 0, 0, 0, 1, 3)) if octets else 0):
        octets[dice.randrange(len(octets))] = dice.randrange(256)
    return bytes(octets)


def _spliced(text: str, words: Sequence[str], dice: random.Random) -> str:
    place, length = dice.randint(0, len(text)), dice.choice((0, 0, 1, 5, 30, 300))
    return text[:place] + dice.choice(PIECES) * dice.choice((1, 1, 1, 2, 50)) + text[place + length :]


def _reworded(text: str, words: Sequence[str], dice: random.Random) -> str:
    found = [*_WORD.finditer(text)]
    if not found:
        return dice.choice(words)
    word = dice.choice(found)
    return text[: word.start()] + dice.choice(words) + text[word.end() :]


def _of_other_lines(text: str, words: Sequence[str], dice: random.Random) -> str:
    lines = text.splitlines(keepends=True) or [""]
    one, other = dice.randrange(len(lines)), dice.randrange(len(lines))
    match dice.randrange(4):
        case 0:
            lines[one], lines[other] = lines[other], lines[one]
        case 1:
            lines.insert(one, lines[other])
        case 2:
            del lines[one]
        case _:
            lines[one] = " " * dice.randint(0, 9) + lines[one].lstrip(" ")
    return "".join(lines)


# -- branches ----------------------------------------------------------------------------------------------------


def _branches(tree: Any) -> Iterator[Any]:
    yield tree
    for branch in tree.values() if isinstance(tree, dict) else tree if isinstance(tree, list) else ():
        yield from _branches(branch)


def _other_tree(tree: Any, branches: Sequence[Any], dice: random.Random) -> str:
    changed = json.loads(json.dumps(tree))
    for _ in range(dice.choice((1, 1, 2, 4))):
        changed = _grafted(changed, branches, dice)
    if dice.random() < 0.5:
        return json.dumps(changed, indent=dice.choice((None, 2)), ensure_ascii=False)
    return str(yaml.safe_dump(changed, allow_unicode=True, sort_keys=False))


def _grafted(tree: Any, branches: Sequence[Any], dice: random.Random, depth: int = 0) -> Any:
    """The tree with one branch, somewhere, made another."""
    if not isinstance(tree, dict | list) or not tree or depth > _DEEPEST or dice.random() < 0.1:
        graft = json.loads(json.dumps(dice.choice(branches)))
        return dice.choice((graft, graft, graft, [graft], [tree, graft], {str(tree)[:20]: graft}))
    place = dice.choice([*tree] if isinstance(tree, dict) else [*range(len(tree))])
    if dice.random() < 0.1:
        del tree[place]
    elif isinstance(tree, dict) and dice.random() < 0.1:
        tree[str(dice.choice(branches))[:30]] = tree.pop(place)
    else:
        tree[place] = _grafted(tree[place], branches, dice, depth + 1)
    return tree
