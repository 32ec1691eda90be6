"""A report as tables: what the page shows, and the CSV files have."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from gatekeeper.lib.immutable import immutable

Document = Mapping[str, Any]
Row = tuple[Any, ...]


@immutable
class ReportTable:
    """A table: `name` for files, `title` for people, what it counts, and its rows; the first cell names the row."""

    name: str
    title: str
    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    note: str = ""
    has_change: bool = False  # the last column is the difference of the two before it


_FIGURES = {
    "mailings": "Mailings to many, or held",
    "people_reached": "People reached by them",
    "held": "Held for a decision",
    "approved": "Approved",
    "denied": "Denied",
    "sent_back": "Sent back for changes",
    "withdrawn": "Withdrawn by their senders",
    "undecided": "Not decided in time",
    "refused": "Refused by a rule",
    "hours_to_decide": "Hours to decide, half of them within",
    "hours_to_decide_90": "Hours to decide, nine of ten within",
    "requests": "Requests in advance",
    "late_requests": "Requests later than the rules ask",
    "violations": "Violations",
    "repeat_senders": "Senders with more than one violation",
    "emergencies": "Emergencies declared",
    "emergencies_to_review": "Emergencies still to be reviewed",
    "exceptions_in_force": "Standing exceptions in force at the end",
    "suspended": "Suspensions given",
    "suspensions_in_force": "Suspensions in force at the end",
    "would_have_been_stopped": "Messages that passed as the gate only observed",
    "observed_rules": "Messages that rules on trial matched",
}


def tables_of(document: Document) -> list[ReportTable]:
    """Return all tables of a report, in the order in which people read them."""
    return [
        _first_page(document),
        _denials(document),
        _agencies(document),
        _rules(document),
        _months(document),
        _delivery(document),
        _domains(document),
        _frequency(document),
        _senders(document, "repeat_senders", "Senders with more than one violation"),
        _senders(document, "top_senders", "Senders who reached most people at once"),
        _emergencies(document),
        _integrity(document),
        *_records(document),
    ]


def _first_page(document: Document) -> ReportTable:
    now, before = document["figures"]["now"], document["figures"]["before"]
    rows = tuple((text, now[name], before[name], _change(now[name], before[name])) for name, text in _FIGURES.items())
    note = (
        "A violation is a mailing, or a message without a number, that a rule held, refused or warned of, or would "
        "have, and that nobody has approved."
    )
    columns = ("", "This period", "Period before", "Change")
    return ReportTable("figures", "At a glance", columns, rows, note, has_change=True)


def _change(now: float | None, before: float | None) -> str | None:
    if now is None or before is None:
        return None
    difference = round(now - before, 1)
    return f"{difference:+,}" if difference else "0"


def _denials(document: Document) -> ReportTable:
    now, before = (document["figures"][part]["denied_by_category"] for part in ("now", "before"))
    rows = tuple((name, now.get(name, 0), before.get(name, 0)) for name in dict.fromkeys((*now, *before)))
    note = "Mailings and requests."
    return ReportTable("denials", "Denied, by category", ("Category", "This period", "Period before"), rows, note)


_OF_AGENCY = {
    "messages": "Messages",
    "mailings": "Mailings",
    "held": "Held",
    "released": "Approved",
    "denied": "Denied",
    "returned": "Sent back",
    "withdrawn": "Withdrawn",
    "expired": "Undecided",
    "refused": "Refused",
    "warned": "Warned",
    "violations": "Violations",
    "would_have_been_held": "Would have been held",
}


def _agencies(document: Document) -> ReportTable:
    found = document["agencies"].items()
    rows = tuple((_named(document, name), *(share[column] for column in _OF_AGENCY)) for name, share in found)
    note = "Of mailings judged in the period, with the state that they have now."
    return ReportTable("agencies", "By agency of the sender", ("Agency", *_OF_AGENCY.values()), rows, note)


def _rules(document: Document) -> ReportTable:
    rows = tuple(
        (
            each["rule"],
            each["cite"],
            f"{each['action']}, on trial" if each["observed"] else each["action"],
            each["messages"],
            None if each["observed"] else each["mailings"],
        )
        for each in document["by_rule"]
    )
    columns = ("Rule", "Clause", "Action", "Messages", "Mailings")
    return ReportTable("rules", "By rule, with the clause it stands for", columns, rows)


def _named(document: Document, agency: str) -> str:
    """Return an agency by its name and id."""
    name = document["agency_names"].get(agency)
    return f"{name} ({agency})" if name else agency


_OF_MONTH = {
    "messages": "Messages",
    "mailings": "Mailings",
    "held": "Held",
    "refused": "Refused",
    "people_reached": "People reached",
}


def _months(document: Document) -> ReportTable:
    rows = tuple((each["month"], *(each[column] for column in _OF_MONTH)) for each in document["months"])
    note = f"Months by the clock of {document['timezone']}; the first and the last may be in it in part."
    return ReportTable("months", "By month", ("Month", *_OF_MONTH.values()), rows, note)


_ANSWERS = {
    "recipients": "Recipients",
    "sent": "Sent",
    "refused": "Refused",
    "expired": "Given up",
    "waiting": "Waiting",
}


def _delivery(document: Document) -> ReportTable:
    delivery = document["delivery"]
    rows = tuple((text, *_answers(delivery[name])) for name, text in (("inside", "Inside"), ("outside", "Outside")))
    note = (
        "Recipients of mail that was kept before it was sent, by the answers of the next mail server. "
        f"Beside them {delivery['relayed_without_a_stop']:,} people were reached without a stop: there the next mail "
        "server answered the sender."
    )
    return ReportTable("delivery", "Delivery", ("Where", *_ANSWERS.values()), rows, note)


def _answers(found: Document) -> Row:
    return tuple(found[column] for column in _ANSWERS)


def _domains(document: Document) -> ReportTable:
    found = document["delivery"]["outside_domains"]
    rows = tuple((each["domain"], *_answers(each), _share(each)) for each in found)
    columns = ("Domain", *_ANSWERS.values(), "Not delivered")
    return ReportTable("outside_domains", "Outside domains that refused most", columns, rows)


def _share(each: Document) -> str:
    lost = each["refused"] + each["expired"]
    return f"{lost / each['recipients']:.1%}" if each["recipients"] else ""


def _frequency(document: Document) -> ReportTable:
    rows = tuple(
        (_named(document, each["audience"]), each["kind"], each["mailings"], each["people"], each["most_in_a_week"])
        for each in document["frequency"]
    )
    columns = ("Audience", "Kind", "Mailings", "People, each time", "Most within seven days")
    return ReportTable("frequency", "How often an audience was written to", columns, rows)


def _senders(document: Document, name: str, title: str) -> ReportTable:
    figures = ("agency", "mailings", "most_people", "violations")
    rows = tuple(
        (each["sender"] or "a sender of ordinary mail", *(each[figure] for figure in figures))
        for each in document[name]
    )
    return ReportTable(name, title, ("Sender", "Agency", "Mailings", "Most people", "Violations"), rows)


def _emergencies(document: Document) -> ReportTable:
    rows = tuple(
        (each["id"], ", ".join(each["agencies"]), each["by"], each["at"], each["until"], each["reason"])
        for each in document["emergencies_to_review"]
    )
    columns = ("Permit", "Agency", "Declared by", "At", "Until", "Reason")
    return ReportTable("emergencies", "Emergencies still to be reviewed", columns, rows)


_OF_RECORDS = {
    "cases": "Cases that are open",
    "holds": "Legal holds in force",
    "searches": "Searches of records in the period",
    "exports": "Exports of records in the period",
}


def _records(document: Document) -> Iterator[ReportTable]:
    """Yield what is due, preserved and was handed over, where there is any of it."""
    found = document.get("records") or {}
    rows: list[Row] = [(text, found[name]) for name, text in _OF_RECORDS.items() if found.get(name)]
    if found.get("certificates"):
        rows.append((f"Messages destroyed by the schedule ({', '.join(found['certificates'])})", found["destroyed"]))
    for each in found.get("due", ()):
        cite = f" ({each['cite']})" if each["cite"] else ""
        rows.append((f"Due to be destroyed of class {each['class']}{cite}", each["due"]))
    if rows:
        yield ReportTable("records", "Records", ("", "Number"), tuple(rows))


def _integrity(document: Document) -> ReportTable:
    found = document["integrity"]
    problems: Iterator[Row] = (("not as written", problem) for problem in found["problems"])
    whole = "whole: nothing was changed, removed or added" if found["whole"] else "not what was written"
    rows = (
        ("recorded decisions and acts", whole),
        ("chains", found["chains"]),
        ("records", found["records"]),
        ("recorded from", found["recorded_from"]),
        ("records of the period that were lost", found["lost"]),
        ("records of the period that cannot be read", found["damaged"]),
        *problems,
    )
    return ReportTable("integrity", "Integrity of the records", ("", "Found"), rows)
