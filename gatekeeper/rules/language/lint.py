"""Find what an admin should know about valid rules: warnings that need more than one place of the file."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from itertools import product
from typing import Any

from gatekeeper.address import normalise
from gatekeeper.model import Action
from gatekeeper.rules.language.read_records import refuse_two_times, warn_of_records, warn_of_reports
from gatekeeper.rules.language.value_types import Failed, Reading
from gatekeeper.rules.language.yaml_nodes import Mapping, Node, Scalar, Sequence
from gatekeeper.rules.matching.conditions import Condition, Test, conjunction, tests_of
from gatekeeper.rules.ruleset import Rule
from gatekeeper.rules.specs import AskSome, AskTerm, Held, Span

_MOST_COMPARED = 300  # rules that are compared with each other
_TEXTS = frozenset({"say", "title", "contact", "name", "cite"})
_COMMENT = re.compile(r"( +)#(.?)")
_MOST_BOUNDS = 50  # tests of one rule that are compared with each other


def warn_of_findings(root: Mapping, values: Any, reading: Reading) -> None:
    """Warn of agencies without or with shared domains, rules that cannot fire, and holds that ask nobody."""
    if isinstance(values, Failed):
        return
    _agencies(values, root.get("agencies"), reading)
    _nested_domains(values, root.get("agencies"), reading)
    _outside(values, root.get("outside"), reading)
    _list_owners(values, root.get("lists"), reading)
    _delegates(values, root.get("people"), reading)
    _approvers(values, root.get("people"), reading)
    _sending_addresses(values, root, reading)
    _held(values, root.get("held"), reading)
    if not refuse_two_times(root, reading):
        warn_of_records(values, root, reading)
        warn_of_reports(values, root, reading)
    rules = root.get("rules")
    nodes = rules.items if isinstance(rules, Sequence) else []
    if not nodes:
        reading.warn(rules or root, "no rules: everything is relayed")
    reported: set[str] = set()
    compared = [(other, conjunction(other.when)) for other in values["rules"][:_MOST_COMPARED]]
    for place, (rule, node) in enumerate(zip(values["rules"], nodes, strict=True)):
        for text in (
            *_never(rule),
            *_without_effect(rule, node),
            *_asks_nobody(rule, values, reported),
            *_cannot_be_told(rule, values),
            *_shadowed(rule, compared if place < _MOST_COMPARED else []),
        ):
            reading.warn(node, f"rule {rule.id} {text}")


# -- agencies and lists ------------------------------------------------------------------------------------------


def _agencies(values: dict[str, Any], node: Node | None, reading: Reading) -> None:
    owners: dict[str, str] = {}
    inside = set(values.get("domains", ()))
    for (agency_id, agency), (place, _) in zip(values.get("agencies", {}).items(), _pairs(node), strict=True):
        if not agency.domains:
            reading.warn(place, f"agency {agency_id} has no domains: only the directory can say who belongs to it")
        for domain in agency.domains:
            other = owners.setdefault(domain, agency_id)
            if other != agency_id:
                reading.warn(
                    place, f"domain {domain} of {agency_id} is {other}'s already: expected one agency a domain"
                )
            if domain in inside:
                reading.warn(place, f"domain {domain} of {agency_id} stands under domains as well: expected it once")


def _nested_domains(values: dict[str, Any], node: Node | None, reading: Reading) -> None:
    """Warn of an agency's domains below those of another: the longest pattern wins, which may surprise."""
    owners = {domain: name for name, agency in values.get("agencies", {}).items() for domain in agency.domains}
    for (agency_id, agency), (place, _) in zip(values.get("agencies", {}).items(), _pairs(node), strict=True):
        for domain in agency.domains:
            above = domain.removeprefix("*.").partition(".")[2]
            while above:
                other = owners.get(f"*.{above}")
                if other is not None and other != agency_id:
                    reading.warn(
                        place, f"domain {domain} of {agency_id} lies below *.{above} of {other}: it is {agency_id}'s"
                    )
                    break
                above = above.partition(".")[2]


def _outside(values: dict[str, Any], node: Node | None, reading: Reading) -> None:
    """Warn of domains under `outside` that are declared inside as well, or that are below no inside domain."""
    agencies = (domain for agency in values.get("agencies", {}).values() for domain in agency.domains)
    inside = {*agencies, *values.get("domains", ())}
    if node is None:
        return
    places = node.items if isinstance(node, Sequence) else [node]
    for domain, place in zip(values["outside"], places, strict=True):
        above = _patterns_above(domain)
        if domain in inside:
            reading.warn(place, f"domain {domain} stands under outside, and is inside as well: it counts as inside")
        elif inside.isdisjoint(above):
            reading.warn(place, f"domain {domain} stands under outside, and is below no domain that is inside")


def _patterns_above(domain: str) -> Iterator[str]:
    """Yield the patterns above a domain or pattern: `y` and `*.y` for `x.y` and for `*.x.y`."""
    parent = domain.removeprefix("*.") if domain.startswith("*.") else domain.partition(".")[2]
    while parent:
        yield from (parent, f"*.{parent}")
        parent = parent.partition(".")[2]


def _delegates(values: dict[str, Any], node: Node | None, reading: Reading) -> None:
    for (address, person), (place, _) in zip(values.get("people", {}).items(), _pairs(node), strict=True):
        if person.delegate and person.delegate.to == address:
            reading.warn(place, f"{address} delegates to nobody else: expected the address of somebody in their place")


def _approvers(values: dict[str, Any], node: Node | None, reading: Reading) -> None:
    for (address, person), (place, _) in zip(values.get("people", {}).items(), _pairs(node), strict=True):
        if "approver" in person.roles and not _is_inside(address, values):
            text = f"approver {address} is below no domain that is inside: letters about held mail go outside"
            reading.warn(place, text)


def _sending_addresses(values: dict[str, Any], root: Mapping, reading: Reading) -> None:
    """Warn of sending addresses that no domain covers: what comes from them is nobody's mail."""
    for section in ("agencies", "lists"):
        for (name, spec), (place, _) in zip(values.get(section, {}).items(), _pairs(root.get(section)), strict=True):
            for address in sorted(spec.senders):
                if not _is_inside(address, values):
                    reading.warn(place, f"sender {address} of {name} is below no domain that is inside")
    for key, _ in _pairs(root.get("senders")):
        if "@" in key.text and not _is_inside(normalise(key.text), values):
            reading.warn(key, f"sender {key.text} is below no domain that is inside")


def _is_inside(address: str, values: dict[str, Any]) -> bool:
    """Return True where a domain of the file covers the address or lies below it, or where there are no domains."""
    agencies = (domain for agency in values.get("agencies", {}).values() for domain in agency.domains)
    inside, domain = {*agencies, *values.get("domains", ())}, address.rpartition("@")[2]
    above = {each for name in inside for each in _patterns_above(name)}
    return not inside or domain in inside | above or not inside.isdisjoint(_patterns_above(domain))


def _held(values: dict[str, Any], node: Node | None, reading: Reading) -> None:
    held: Held = values.get("held", Held())
    if node is None or not (held.remind and held.expire):
        return
    if _days(held.expire) <= _days(held.remind):
        reading.warn(node, "expire comes before remind: what is held goes back before anybody is reminded of it")


def _days(span: Span) -> float:
    return span.working_days + span.time / timedelta(days=1)


def warn_of_lost_text(root: Node | None, text: str, reading: Reading) -> None:
    """Warn of texts that a # cuts short: with a blank before it, it begins a comment."""
    lines, waiting = text.split("\n"), [root]
    while waiting:
        node = waiting.pop()
        if isinstance(node, Sequence):
            waiting += node.items
        for key, value in _pairs(node):
            waiting.append(value)
            if key.text in _TEXTS and isinstance(value, Scalar) and value.plain and _is_cut(value, lines):
                reading.warn(value, f"{key.text} ends before the #, which begins a comment: put the text in quotes")


def _is_cut(value: Scalar, lines: list[str]) -> bool:
    line = lines[value.line - 1][value.column - 1 :] if value.line <= len(lines) else ""
    if not value.text or not line.startswith(value.text):
        return False
    found = _COMMENT.match(line, len(value.text))
    return found is not None and (len(found[1]) == 1 or found[2] not in ("", " "))


def _list_owners(values: dict[str, Any], node: Node | None, reading: Reading) -> None:
    answered = {name for person in values.get("people", {}).values() if "owner" in person.roles for name in person.of}
    for (address, spec), (key, _) in zip(values.get("lists", {}).items(), _pairs(node), strict=True):
        if spec.owner and not {spec.owner, address} & answered:
            reading.warn(
                key, f"nobody answers for {spec.owner}: expected roles: [owner], of: [{spec.owner}] under people"
            )


def _pairs(node: Node | None) -> list[Any]:
    return node.pairs if isinstance(node, Mapping) else []


# -- rules -------------------------------------------------------------------------------------------------------


def _never(rule: Rule) -> Iterator[str]:
    """Yield why a rule can never fire, in simple cases."""
    tests = conjunction(rule.when)
    if rule.unless is not None and all(part in tests for part in conjunction(rule.unless)[:_MOST_BOUNDS]):
        yield "can never fire: its unless takes back every match of its when"
    bounds = [test for test in tests if isinstance(test, Test)][:_MOST_BOUNDS]
    for low, high in product(bounds, bounds):
        if low.field == high.field and _empty_between(low, high):
            yield f"can never fire: nothing is both {low.text} and {high.text}"


def _empty_between(low: Test, high: Test) -> bool:
    """Return True where the least number that one test admits is more than the most that the other admits."""
    least = {"over": 1, "at_least": 0}.get(low.operator)
    most = {"under": -1, "at_most": 0}.get(high.operator)
    return least is not None and most is not None and bool(low.operand + least > high.operand + most)


def _without_effect(rule: Rule, node: Node) -> Iterator[str]:
    if rule.action is Action.RELAY:
        yield "relays, and lets nothing past the other rules: write unless in those"
    if rule.action is not Action.HOLD and isinstance(node, Mapping) and node.get("ask"):
        yield f"asks somebody, which has no effect beside then: {rule.action}"


def _asks_nobody(rule: Rule, values: dict[str, Any], reported: set[str]) -> Iterator[str]:
    """Yield why nobody could clear a hold, once for each role and head."""
    if rule.action is not Action.HOLD:
        return
    held_roles = {role for person in values.get("people", {}).values() for role in person.roles}
    for term in _terms(rule):
        if str(term) in reported:
            continue
        reported.add(str(term))
        if term.kind == "role" and term.name not in held_roles:
            yield f"asks {term.name}, a role that nobody under people has"
        elif term.kind == "head" and term.name and values["agencies"][term.name].head is None:
            yield f"asks the head of {term.name}, and agencies.{term.name}.head is not given"


def _terms(rule: Rule) -> Iterator[AskTerm]:
    for term in rule.ask:
        yield from term.of if isinstance(term, AskSome) else (term,)


def _cannot_be_told(rule: Rule, values: dict[str, Any]) -> Iterator[str]:
    """Yield fields that need something the file does not have. They are unknown, which holds mass mail."""
    tests = [test for part in (rule.when, rule.unless) if part for test in tests_of(part)]
    fields = {test.field for test in tests}
    asked = sorted(fields & {"consented", "unconsented"})
    if asked and values.get("consent") is None:
        yield f"asks for {asked[0]}, and consent does not say who has consented: it cannot be told"
    if values.get("directory"):
        return  # the directory may know more lists and groups
    if "unlisted" in fields and not values.get("lists"):
        yield "asks for unlisted, and there are no lists: everybody is"
    for test in tests:
        address = dict(test.operand)["of"] if test.field == "reach" else None
        if address is not None and address not in values.get("lists", {}):
            yield f"asks for the reach of {address}, which is no list: it cannot be told"
        named = set(test.operand) if test.field == "sender_group" and isinstance(test.operand, tuple) else set()
        for group in sorted(named - {group.casefold() for group in values.get("groups", {})}, key=str):
            if isinstance(group, str):
                yield f"asks for the group {group}, which nothing declares"


# -- rules that others leave nothing to decide -------------------------------------------------------------------


def _shadowed(rule: Rule, rules: list[tuple[Rule, tuple[Condition, ...]]]) -> Iterator[str]:
    """Yield that another rule matches whenever this one does, and demands the same or more.

    Args: `rules` are all rules with their necessary conditions.
    """
    needs = conjunction(rule.when)
    known, bounds = frozenset(needs), [part for part in needs if isinstance(part, Test) and part.operator in _LEAST]
    for other, wanted in rules:
        if not all(part in known or _is_bounded(part, bounds) for part in wanted) or not _may_shadow(other, rule):
            continue
        why = "asks for the same" if other.action is rule.action else f"asks for {other.action}, which is more"
        yield f"decides nothing: {other.id} in line {other.line} matches whenever it does, and {why}"
        return


def _may_shadow(other: Rule, rule: Rule) -> bool:
    if other is rule or other.unless is not None or other.during is not None or other.observe:
        return False
    if other.action.severity < rule.action.severity or rule.action is Action.RELAY:
        return False
    if other.action is not rule.action:
        return True
    return not (rule.ask != other.ask or other.line > rule.line or rule.repair or rule.unless or rule.during)


_LEAST = {"over": 1, "at_least": 0}  # operator -> how far the smallest number that passes is above the bound


def _is_bounded(wanted: Condition, bounds: list[Test]) -> bool:
    """Return True where one of the bounds is at least as high as the wanted one."""
    if not isinstance(wanted, Test) or wanted.operator not in _LEAST or wanted.field == "reach":
        return False
    least = wanted.operand + _LEAST[wanted.operator]
    return any(part.field == wanted.field and part.operand + _LEAST[part.operator] >= least for part in bounds)
