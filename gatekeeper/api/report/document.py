"""The JSON of a compliance report."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from gatekeeper.audit.compliance import ComplianceShare, ObservedViolation
from gatekeeper.ledger import report_figures
from gatekeeper.ledger.report_figures import AnswerFigures
from gatekeeper.ledger.reports import Report, ReportPart
from gatekeeper.lib.moments import utc_text
from gatekeeper.store.modes import ModeChange
from gatekeeper.store.report_facts import Integrity
from gatekeeper.store.views import Emergency

Document = dict[str, Any]
_TOP = 10
_SHOWN = 50  # mailings that would have been stopped


def document_text(document: Document) -> str:
    """Return a report's document as it is kept, and its digest made of."""
    return json.dumps(document, ensure_ascii=False, sort_keys=True)


def report_document(report: Report) -> Document:
    """Return a report as a JSON object. Senders of ordinary mail have no name in it."""
    now, approved = report.now, report.now.approved
    records = now.records
    return {
        "title": report.ruleset.title,
        "ruleset": report.ruleset.digest,
        "made": utc_text(report.made_at),
        "timezone": str(report.ruleset.timezone),
        "since": utc_text(now.period.since),
        "until": utc_text(now.period.until),
        "before": {"since": utc_text(report.before.period.since), "until": utc_text(report.before.period.until)},
        "agency": report.agency,
        "agency_names": {name: agency.name for name, agency in report.ruleset.agencies.items()},
        "figures": _figures(report),
        "messages": dict(records.verdicts),
        "rules": dict(records.rules.most_common()),
        "agencies": {name: _agency(share, now, approved) for name, share in sorted(records.agencies.items())},
        "by_rule": [asdict(rule) for rule in report_figures.rules_of(report)],
        "months": [asdict(month) for month in report_figures.months_of(report)],
        "delivery": _delivery(report),
        "frequency": [asdict(audience) for audience in report_figures.frequency_of(report)],
        "top_senders": [_sender(share, approved) for share in records.top_senders(_TOP)],
        "repeat_senders": [_sender(share, approved) for share in records.repeat_senders(approved)],
        "observed": {
            "would_have_been": dict(records.observed),
            "mailings": [_stopped(one) for one in _latest(records.stopped.values())],
            "rules": dict(records.watched.most_common()),
        },
        "emergencies_to_review": [_emergency(one) for one in report.emergencies],
        "observing": [_mode(change) for change in report.observing],
        "integrity": _integrity(report.integrity, report.now),
        "records": _records(report),
    }


def _figures(report: Report) -> Document:
    """Return the first page: each figure of the period, and of the one before; None where nobody can tell any more."""
    now, before = (asdict(report_figures.figures(part)) for part in (report.now, report.before))
    now["emergencies_to_review"] = len(report.emergencies)
    before["emergencies_to_review"] = None
    return {"now": now, "before": before}


def _agency(share: ComplianceShare, part: ReportPart, approved: set[str]) -> Document:
    states = [part.statuses[name].state for name in share.mailings if name in part.statuses]
    return {
        "messages": share.messages,
        "mailings": len(share.mailings),
        "held": len(share.held),
        "released": states.count("released"),
        "denied": states.count("denied"),
        "returned": states.count("returned"),
        "withdrawn": states.count("withdrawn"),
        "expired": states.count("expired"),
        "refused": len(share.refused),
        "warned": len(share.warned),
        "violations": len(share.violations(approved)),
        "would_have_been_held": len(share.would_be_held),
        "would_have_been_refused": len(share.would_be_refused),
    }


def _sender(share: ComplianceShare, approved: set[str]) -> Document:
    return {
        "sender": share.sender,
        "agency": share.agency,
        "mailings": len(share.mailings),
        "most_people": share.most_people,
        "violations": len(share.violations(approved)),
    }


def _latest(stopped: Iterable[ObservedViolation]) -> list[ObservedViolation]:
    return sorted(stopped, key=lambda one: -one.at)[:_SHOWN]


def _stopped(one: ObservedViolation) -> Document:
    return {
        "mailing": one.unit,
        "at": utc_text(one.at),
        "verdict": one.verdict,
        "rules": list(one.rules),
        "sender": one.sender,
        "subject": one.subject,
        "users": one.users,
    }


def _delivery(report: Report) -> Document:
    found = report_figures.delivery_of(report)
    return {
        "inside": _answers(found.inside),
        "outside": _answers(found.outside),
        "outside_domains": [{"domain": name, **_answers(each)} for name, each in found.domains.items()],
        "relayed_without_a_stop": found.without_stop,
    }


def _answers(answers: AnswerFigures) -> Document:
    return {"recipients": answers.recipients, **asdict(answers)}


def _emergency(one: Emergency) -> Document:
    return {
        "id": one.id,
        "agencies": list(one.agencies),
        "by": one.by,
        "at": utc_text(one.at),
        "until": utc_text(one.until),
        "reason": one.reason,
    }


def _mode(change: ModeChange) -> Document:
    return {
        "at": utc_text(change.at),
        "mode": change.mode,
        "until": utc_text(change.until) if change.until else None,
        "by": change.by,
        "reason": change.reason,
    }


def _records(report: Report) -> Document | None:
    """Return what is due, preserved and was handed over; None in a report of one agency."""
    if report.used is None:
        return None
    due = [{"class": each.name, "due": each.due.number, "cite": each.rule.cite} for each in report.due]
    named = report.ruleset.records.classes
    return {"due": [each for each in due if each["due"] or each["class"] in named], **asdict(report.used)}


def _integrity(found: Integrity, part: ReportPart) -> Document:
    return {
        "whole": not found.problems,
        "chains": found.chains,
        "records": found.records,
        "lost": part.lost,
        "damaged": part.damaged,
        "problems": list(found.problems),
        "recorded_from": utc_text(found.recorded_from),
    }
