"""`gatekeeper mailing ...`: list and show mailings, decide held mailings, export their messages."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from gatekeeper.api.contents import reading_document
from gatekeeper.api.mailings import export_document, export_file_name, mailing_case_document, mailing_document
from gatekeeper.cli.common import CANNOT_CREATE, USAGE, Failure, by_option, json_text, print_json
from gatekeeper.cli.lazy_group import Verbs
from gatekeeper.cli.ledger_commands import (
    Listing,
    category_option,
    filtered_listing,
    id_argument,
    ids_argument,
    on_each,
    on_the_ledger,
    print_agreements,
    print_timeline,
    seen_option,
    shown_time,
    terms_of,
    terms_options,
)
from gatekeeper.cli.message_contents import contents_lines
from gatekeeper.ledger.service import (
    Decision,
    FilePlace,
    LedgerService,
    ListPage,
    MailingCase,
    MailingCopy,
    Reading,
    Sought,
)
from gatekeeper.lib.private_files import make_private_folder, write_private_file
from gatekeeper.lifecycle import MailingState, said
from gatekeeper.message.preview import Contents
from gatekeeper.notices import say_count
from gatekeeper.store.views import MailingView

# -- how a mailing is shown --------------------------------------------------------------------------------------


def _print_case(case: MailingCase) -> None:
    mailing = case.mailing
    named = bool(case.batches) and all(mailing.sender not in batch.owners for batch in case.batches)
    about = _ended(mailing) or f"{mailing.subject!r} of {mailing.sender}{' (by From alone)' if named else ''}"
    click.echo(f"{mailing.id}  {said(mailing.state)}  {about}")
    click.echo(f"version: {mailing.version}")
    click.echo(f"reaches {_reach(mailing)}; sent: {mailing.sent:,}")
    for agency, users in sorted(mailing.counts.agencies.items()):
        click.echo(f"  {agency:<12} {users:>6,}")
    for reason in mailing.reasons:
        click.echo(f"{reason.action}: {reason.text} ({reason.rule}{', ' + reason.cite if reason.cite else ''})")
    if mailing.reached_before is not None:
        click.echo(f"reached before it was held: {say_count(mailing.reached_before, 'person', 'people')}")
    if mailing.joined:
        click.echo("joined by " + ", ".join(f"{_KEYS[kind]}: {number}" for kind, number in mailing.joined.items()))
    for batch in case.batches:
        lost = batch.tally.refused + batch.tally.expired
        not_delivered = f", {lost:,} not delivered" if lost else ""
        reached = say_count(batch.tally.recipients, "recipient", "recipients")
        size = f"{reached}{not_delivered}, {batch.size:,} octets"
        origin = f"{batch.owner or batch.sender or '<>'}, {batch.client.address}"
        click.echo(f"batch {batch.id}: {batch.state}, {size}, received {shown_time(batch.received_at)} from {origin}")
    print_agreements(case.agreements, case.whose)
    print_timeline(case.events)


def _reach(mailing: MailingView) -> str:
    counts = mailing.counts
    users = say_count(counts.users, "user", "users")
    return f"{users} and {say_count(counts.external, 'external', 'externals')}" if counts.external else users


def _decision_document(decision: Decision) -> dict[str, Any]:
    _warn(decision)
    missing = list(decision.missing)
    document = mailing_document(decision.mailing) | {"permit": decision.permit, "missing": missing}
    return document | {"sending": decision.sending, "still_held": decision.still_held}


def _warn(decision: Decision) -> None:
    if decision.grew:
        click.echo(f"gatekeeper: {decision.grew}", err=True)


def _print_decision(decision: Decision) -> None:
    _warn(decision)
    click.echo(f"{decision.mailing.id} is {said(decision.mailing.state)}")
    if permit := decision.permit:
        click.echo(f"by permit {permit}; to stop what has not left: gatekeeper permit revoke {permit}")
    if decision.still_held:
        sending, held = (say_count(each, "recipient", "recipients") for each in (decision.sending, decision.still_held))
        click.echo(f"what was seen is being sent, to {sending}; what came after it, for {held}, is still held")
    if decision.missing:
        click.echo(f"noted; who must still agree: {decision.whose}")


def _show_decision(decision: Decision, as_json: bool) -> None:
    print_json(_decision_document(decision)) if as_json else _print_decision(decision)


Read = tuple[Reading, list[Contents]]  # what somebody reads, and each of its messages


def _show_case(found: MailingCase | Read, as_json: bool) -> None:
    if isinstance(found, MailingCase):
        print_json(mailing_case_document(found)) if as_json else _print_case(found)
    elif as_json:
        print_json(reading_document(*found))
    else:
        click.echo("\n".join(contents_lines(*found)))


_COLUMNS: dict[str, Callable[[MailingView], object]] = {
    "id": lambda one: one.id,
    "state": lambda one: said(one.state),
    "users": lambda one: one.counts.users,
    "agencies": lambda one: len(one.counts.agencies),
    "changed": lambda one: shown_time(one.changed_at),
    "sender": lambda one: _ended(one) or one.sender,
    "subject": lambda one: "" if one.forgotten or one.disposed else f"{one.subject!r}{_destroyed(one)}",
}


def _ended(one: MailingView) -> str:
    """Return why the mailing's sender and subject are not shown; "" where they can be shown."""
    if one.disposed:
        return f"all but this line is destroyed, {one.disposed}"
    if not one.forgotten:
        return ""
    ended = "refused" if one.state is MailingState.DENIED else "passed"
    return f"{ended} as ordinary mail; nothing of it is kept"


def _destroyed(one: MailingView) -> str:
    return f" (content destroyed, {one.destroyed})" if one.destroyed else ""


Export = tuple[str, Path, list[str]]  # the mailing's id, the folder, the names of the files


def _show_export(export: Export, as_json: bool) -> None:
    id, folder, written = export
    if as_json:
        print_json({"id": id, "folder": str(folder), "files": written})
    else:
        click.echo(f"{id}: {len(written)} files in {folder}")


# -- the commands -----------------------------------------------------------------------------------------------------


@click.group(cls=Verbs)
def mailing() -> None:
    """List, show, approve, deny, withdraw and export mailings."""


@mailing.command("list")
@filtered_listing(Listing("mailings", MailingState, mailing_document, _COLUMNS))
def list_mailings(service: LedgerService, sought: Sought, by: str) -> ListPage[MailingView]:
    """List the mailings that have a number, newest first."""
    return service.mailings(sought, by)


@mailing.command()
@id_argument("M")
@click.option("--content", is_flag=True, help="show its messages instead: texts, links, files; the timeline notes it")
@click.option("--by", help="who looks: an address under people in rules.yaml, or the sender's; default: all facts")
@click.option("--batch", type=click.IntRange(1), help="the batch whose message is shown; default: one of each content")
@click.option("--case", default="", help="the case for which an admin or auditor reads them")
@click.option("--file", "part", type=click.IntRange(1), help="take this file of the batch, by its place in the list")
@click.option("--to", type=click.Path(path_type=Path), help="where the file is written: a new file")
@on_the_ledger(_show_case)
def show(service: LedgerService, id: int, content: bool, by: str | None, **given: Any) -> MailingCase | Read:
    """Show one mailing: whom it reaches, why it is held, its batches and its timeline; or its messages."""
    batch, case, part, to = (given[name] for name in ("batch", "case", "part", "to"))
    if not content:
        if any(given.values()):
            raise Failure("--batch, --case, --file: expected --content too", USAGE)
        if by:
            service.look(id, by)
        return service.show(id)
    if not by:
        raise Failure("--content: expected --by too, who reads the messages", USAGE)
    if (part or to) and not (part and to and batch):
        raise Failure("--file: expected --batch and --to too: of which message, and where to", USAGE)
    if batch and part:
        _check_is_new(to)
        _write_file(service.take_file(id, by, FilePlace(batch, part), case), to)
    reading = service.read(id, by, batch, case)
    return reading, [service.contents(each) for each in reading.batches]


@mailing.command()
@ids_argument("M")
@by_option
@click.option("--reason", default="", help="what the sender should know; the sender reads it")
@terms_options
@seen_option
@click.option("--only-seen", is_flag=True, help="send the messages that --seen had, and keep later ones held")
@on_each(_decision_document, _print_decision)
def approve(
    service: LedgerService, id: int, by: str, reason: str, seen: str | None, only_seen: bool, **given: Any
) -> Decision:
    """Send a held mailing on. The approval covers what is held now, whom it reaches, and two working days more."""
    if only_seen and not seen:
        raise Failure("--only-seen: expected --seen VERSION too, of what was looked at", USAGE)
    return service.approve(id, by, reason, terms_of(given), seen, only_seen=only_seen)


@mailing.command()
@ids_argument("M")
@by_option
@click.option("--reason", required=True, help="why not; the sender reads it")
@category_option
@seen_option
@on_each(_decision_document, _print_decision)
def deny(service: LedgerService, id: int, by: str, reason: str, category: str, seen: str | None) -> Decision:
    """Refuse a held mailing: nobody receives it, and its sender gets one delivery report with the reason."""
    return service.deny(id, by, reason, seen, category)


@mailing.command()
@ids_argument("M")
@by_option
@click.option("--reason", required=True, help="what should be changed; the sender reads it")
@seen_option
@on_each(_decision_document, _print_decision)
def changes(service: LedgerService, id: int, by: str, reason: str, seen: str | None) -> Decision:
    """Send a held mailing back to its sender with what should be changed; nothing of it is sent."""
    return service.ask_changes(id, by, reason, seen)


@mailing.command()
@id_argument("M")
@by_option
@click.option("--whom", required=True, help="who must agree as well: an address under people in rules.yaml")
@click.option("--reason", default="", help="why; they read it")
@on_the_ledger(_show_decision)
def ask(service: LedgerService, id: int, by: str, whom: str, reason: str) -> Decision:
    """Require one more person's approval of a held mailing, such as an owner who is asked only when needed."""
    return service.ask(id, by, whom, reason)


@mailing.command()
@ids_argument("M")
@by_option
@click.option("--reason", default="", help="why")
@seen_option
@on_each(_decision_document, _print_decision)
def withdraw(service: LedgerService, id: int, by: str, reason: str, seen: str | None) -> Decision:
    """Take a held mailing back, as its sender or an admin."""
    return service.withdraw(id, by, reason, seen)


@mailing.command()
@id_argument("M")
@by_option
@click.option("--to", "folder", type=click.Path(file_okay=False, path_type=Path), required=True, help="a new folder")
@on_the_ledger(_show_export)
def export(service: LedgerService, id: int, by: str, folder: Path) -> Export:
    """Write the kept messages of a mailing, with their envelopes, into a folder (policy C6)."""
    if folder.exists():
        raise Failure(f"{folder} is there already: expected the name of a new folder", CANNOT_CREATE)
    copy = service.export(id, by)
    return copy.case.mailing.id, folder, _write_export(service, copy, folder)


def _check_is_new(file: Path) -> None:
    if file.exists():
        raise Failure(f"{file} is there already: expected the name of a new file", CANNOT_CREATE)


def _write_file(octets: bytes, to: Path) -> None:
    try:
        write_private_file(to, octets)
    except OSError as error:
        raise Failure(f"{to}: {error.strerror}", CANNOT_CREATE) from None


def _write_export(service: LedgerService, copy: MailingCopy, folder: Path) -> list[str]:
    try:
        make_private_folder(folder)
        names = []
        for batch in copy.batches:
            name = export_file_name(copy, batch)
            write_private_file(folder / name, service.message(batch))
            names.append(name)
        document = json_text(export_document(copy), indent=2) + "\n"
        write_private_file(folder / "mailing.json", document.encode("utf-8", "backslashreplace"))
    except OSError as error:
        raise Failure(f"{folder}: {error.strerror}", CANNOT_CREATE) from None
    return [*names, "mailing.json"]


_KEYS = {
    "queue": "queue id",
    "message": "Message-ID and content",
    "subject": "subject",
    "text": "text",
    "short": "short text",
    "auto": "automatic mail",
    "common": "subject and text of several senders",
}
