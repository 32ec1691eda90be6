"""What a report says of its period, added up: figures, rules, months, delivery, frequency. Pure."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, tzinfo

from gatekeeper.directory.domains import Domains
from gatekeeper.ledger.reports import Report, ReportPart
from gatekeeper.lib.immutable import immutable
from gatekeeper.model import Action
from gatekeeper.rules.judge import SENDER_DOMAINS
from gatekeeper.store.report_facts import Decided, DomainAnswers, ReportedMailing

_APPROVED, _DENIED, _RETURNED = ("approved", "approved in part"), ("denied",), ("returned", "changes asked")
_BY_PEOPLE = (*_APPROVED, *_DENIED, *_RETURNED)
_WEEK = 7 * 86_400.0
_HOUR = 3_600.0
_MOST_DOMAINS = 10
_NO_RULES = {SENDER_DOMAINS: Action.REJECT.value}  # among observed rules: what would have been done


@immutable
class Figures:
    """What stands on the first page."""

    mailings: int  # to many, or held
    people_reached: int
    held: int
    approved: int
    denied: int
    denied_by_category: dict[str, int]
    sent_back: int
    withdrawn: int
    undecided: int
    refused: int
    violations: int
    repeat_senders: int
    hours_to_decide: float | None  # median
    hours_to_decide_90: float | None  # nine of ten were decided in so many
    requests: int
    late_requests: int
    emergencies: int
    exceptions_in_force: int
    suspended: int
    suspensions_in_force: int
    would_have_been_stopped: int  # messages that passed as the gate only observed
    observed_rules: int  # messages that a rule which is only observed matched


def figures(part: ReportPart) -> Figures:
    """Return the figures of a period."""
    records, approved, acts = part.records, part.approved, Counter(each.act for each in _of_mailings(part.decided))
    shares = records.agencies.values()
    times = sorted(each.seconds for each in part.decided if each.seconds is not None and each.act in _BY_PEOPLE)
    standing = part.in_force
    return Figures(
        mailings=sum(len(share.mailings) for share in shares),
        people_reached=sum(each.reached for each in part.mailings),
        held=sum(len(share.held) for share in shares),
        approved=sum(acts[act] for act in _APPROVED),
        denied=sum(acts[act] for act in _DENIED),
        denied_by_category=_categories(part.decided),
        sent_back=sum(acts[act] for act in _RETURNED),
        withdrawn=acts["withdrawn"],
        undecided=acts["expired"],
        refused=sum(len(share.refused) for share in shares),
        violations=sum(len(share.violations(approved)) for share in shares),
        repeat_senders=len(records.repeat_senders(approved)),
        hours_to_decide=_hours(times, 0.5),
        hours_to_decide_90=_hours(times, 0.9),
        requests=standing.requests,
        late_requests=standing.late_requests,
        emergencies=standing.emergencies,
        exceptions_in_force=standing.exceptions,
        suspended=standing.suspended,
        suspensions_in_force=standing.suspensions,
        would_have_been_stopped=sum(records.observed.values()),
        observed_rules=sum(records.watched.values()),
    )


def _of_mailings(decided: Iterable[Decided]) -> Iterator[Decided]:
    return (each for each in decided if each.kind == "mailing")


def _categories(decided: Iterable[Decided]) -> dict[str, int]:
    """Return how many mailings and requests were denied by category (C4); "other" where none was said."""
    return dict(Counter(each.category or "other" for each in decided if each.act in _DENIED).most_common())


def _hours(times: Sequence[float], share: float) -> float | None:
    """Return the hours within which that share of decisions was made."""
    return round(times[math.ceil(share * len(times)) - 1] / _HOUR, 1) if times else None


# -- by rule, by month -------------------------------------------------------------------------------------------


@immutable
class RuleFigures:
    """How often a rule matched, and the clause that it stands for."""

    rule: str
    cite: str
    action: str
    messages: int
    mailings: int
    observed: bool  # it is only watched, and stopped nothing


def rules_of(report: Report) -> list[RuleFigures]:
    """Return the rules that matched, the one that matched most first."""
    records = report.now.records
    acting = [
        RuleFigures(name, share.cite or _cite(report, name), share.action, share.messages, len(share.mailings), False)
        for name, share in records.rule_shares.items()
    ]
    watched = [
        RuleFigures(name, _cite(report, name), _action(report, name), number, 0, True)
        for name, number in records.watched.items()
    ]
    return sorted([*acting, *watched], key=lambda each: (each.observed, -each.messages, each.rule))


def _action(report: Report, name: str) -> str:
    rule = report.ruleset.rule(name)
    return rule.action.value if rule else _NO_RULES.get(name, "")


def _cite(report: Report, name: str) -> str:
    rule = report.ruleset.rule(name)
    return rule.cite if rule else ""


@immutable
class MonthFigures:
    """One month, or the part of it that is in the period."""

    month: str  # 2026-11
    messages: int
    mailings: int
    held: int
    refused: int
    people_reached: int


def months_of(report: Report) -> list[MonthFigures]:
    """Return all months of the period, also those without any mail."""
    zone, shares = report.ruleset.timezone, report.now.records.months
    reached: Counter[str] = Counter()
    for each in report.now.mailings:
        reached[_month(each.started_at, zone)] += each.reached
    found = []
    for month in months_between(report.now.period.since, report.now.period.until, zone):
        share = shares.get(month)
        counts = (share.messages, len(share.mailings), len(share.held), len(share.refused)) if share else (0,) * 4
        found.append(MonthFigures(month, *counts, reached[month]))
    return found


def _month(at: float, zone: tzinfo) -> str:
    return f"{datetime.fromtimestamp(at, zone):%Y-%m}"


def months_between(since: float, until: float, zone: tzinfo) -> Iterator[str]:
    """Yield the months of a period, to whose end itself nothing belongs."""
    first, last = datetime.fromtimestamp(since, zone), datetime.fromtimestamp(max(since, until - 1), zone)
    for number in range(first.year * 12 + first.month - 1, last.year * 12 + last.month):
        yield f"{number // 12:04}-{number % 12 + 1:02}"


# -- delivery (T10), frequency (T4) ------------------------------------------------------------------------------


@dataclass
class AnswerFigures:
    """What became of recipients whose mail was kept."""

    sent: int = 0
    refused: int = 0
    expired: int = 0
    waiting: int = 0

    @property
    def recipients(self) -> int:
        """All of them."""
        return self.sent + self.refused + self.expired + self.waiting

    def add(self, answers: DomainAnswers) -> None:
        """Add recipients of one domain with one state."""
        setattr(self, answers.state, getattr(self, answers.state) + answers.recipients)


@dataclass
class Delivery:
    """Recipients inside and outside apart, the outside domains that refused most, and who had no stop."""

    inside: AnswerFigures = field(default_factory=AnswerFigures)
    outside: AnswerFigures = field(default_factory=AnswerFigures)
    domains: dict[str, AnswerFigures] = field(default_factory=dict)  # outside
    without_stop: int = 0  # people of mailings that the gate relayed as they came; the next hop answered the sender


def delivery_of(report: Report) -> Delivery:
    """Return what became of the recipients, externals apart (T10)."""
    found = Delivery(without_stop=sum(each.relayed for each in report.now.mailings))
    ruleset = report.ruleset
    agencies = {id: agency.domains for id, agency in ruleset.agencies.items()}
    domains = Domains(agencies, ruleset.domains, ruleset.outside)
    for each in report.answers:
        if domains.place(each.domain)[0]:
            found.inside.add(each)
            continue
        found.outside.add(each)
        found.domains.setdefault(each.domain, AnswerFigures()).add(each)
    most = sorted(found.domains.items(), key=lambda one: (-one[1].refused - one[1].expired, -one[1].recipients, one[0]))
    found.domains = dict(most[:_MOST_DOMAINS])
    return found


@immutable
class AudienceFigures:
    """How often an audience was written to."""

    audience: str
    kind: str  # agency, list
    mailings: int
    people: int | None  # reached in all, each as often as it was; None for a list
    most_in_a_week: int


def frequency_of(report: Report) -> list[AudienceFigures]:
    """Return how often each agency and list was written to, the most first (T4)."""
    found: dict[tuple[str, str], list[tuple[float, int]]] = {}
    for each in (one for one in report.now.mailings if one.reached):
        for kind, audience, people in _audiences(each):
            found.setdefault((kind, audience), []).append((each.started_at, people))
    rows = [
        AudienceFigures(
            audience=audience,
            kind=kind,
            mailings=len(seen),
            people=sum(people for _, people in seen) if kind == "agency" else None,
            most_in_a_week=_most_in_a_week(sorted(at for at, _ in seen)),
        )
        for (kind, audience), seen in found.items()
    ]
    return sorted(rows, key=lambda row: (-row.mailings, row.kind, row.audience))


def _audiences(mailing: ReportedMailing) -> Iterator[tuple[str, str, int]]:
    yield from (("agency", name, users) for name, users in mailing.agencies.items())
    yield from (("list", name, 0) for name in mailing.lists)


def _most_in_a_week(times: Sequence[float]) -> int:
    most = first = 0
    for last, at in enumerate(times):
        while at - times[first] >= _WEEK:
            first += 1
        most = max(most, last - first + 1)
    return most
