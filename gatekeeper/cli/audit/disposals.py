"""`gatekeeper audit dispose ...`: propose, sign, withdraw, list and show what is destroyed by the schedule."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import click

from gatekeeper.api.disposals import certificate_page, disposal_document, shown_disposal_document
from gatekeeper.api.report.pdf import PdfMissing, pdf_of
from gatekeeper.archive.certificate import CERTIFIED, certificate_of
from gatekeeper.cli.common import (
    CANNOT_CREATE,
    DATA_ERROR,
    UNAVAILABLE,
    USAGE,
    Failure,
    by_option,
    json_text,
    print_json,
)
from gatekeeper.cli.lazy_group import Verbs
from gatekeeper.cli.ledger_commands import Listing, id_argument, listing, on_the_ledger, print_timeline, shown_time
from gatekeeper.ledger.disposals import CLASSES, ShownDisposal
from gatekeeper.ledger.service import LedgerService
from gatekeeper.lifecycle import DisposalState
from gatekeeper.notices import say_count
from gatekeeper.store.disposals import DisposalView

_SHOWN = 20  # items that are listed for people


def _print_outcome(shown: ShownDisposal, as_json: bool) -> None:
    if as_json:
        print_json(shown_disposal_document(shown))
        return
    one = shown.disposal
    click.echo(f"{one.id} is {one.state}: {_about(one)}")
    click.echo(f"list: sha256 {one.digest}")
    if one.state is DisposalState.PROPOSED:
        click.echo(f"proposed by {one.proposed_by}; it waits for the signature of somebody else")
    kept = shown.counts["kept"]
    if one.state in (DisposalState.SIGNED, DisposalState.DONE):
        gone = shown.counts["destroyed"] + shown.counts["elsewhere"]
        click.echo(f"{gone:,} destroyed, {kept:,} left out, {shown.counts['listed']:,} to go")
    if one.certificate:
        click.echo(f"certificate: sha256 {one.certificate}")
        until = one.backups_until
        click.echo(f"copies in backups expire by {shown_time(until)[:10] if until else 'a day that nobody has said'}")


def _print_disposal(shown: ShownDisposal, as_json: bool) -> None:
    _print_outcome(shown, as_json)
    if as_json:
        return
    for item in shown.items[:_SHOWN]:
        click.echo(f"{item.name} {item.digest} {item.octets:,} octets, {item.state}{f': {item.why}' * bool(item.why)}")
    if len(shown.items) > _SHOWN:
        click.echo(f"... and {len(shown.items) - _SHOWN:,} more: --json has all")
    print_timeline(shown.events)


def _about(one: DisposalView) -> str:
    cite = f" by {one.cite}" if one.cite else ""
    listed = say_count(one.items, "message", "messages") if one.is_of_content else f"{one.items:,}"
    return f"{listed} of {one.name}, {one.octets:,} octets, due before {shown_time(one.cutoff)} ({one.keep}{cite})"


_COLUMNS: dict[str, Callable[[DisposalView], object]] = {
    "id": lambda one: one.id,
    "state": lambda one: one.state,
    "class": lambda one: one.name,
    "items": lambda one: one.items,
    "proposed": lambda one: shown_time(one.proposed_at),
    "by": lambda one: one.proposed_by or "the gate",
    "signed by": lambda one: one.signed_by or ("not needed" if one.automatic else ""),
}


# -- the commands -----------------------------------------------------------------------------------------------------


@click.group(cls=Verbs)
def dispose() -> None:
    """Destroy what is due by the schedule: one proposes it, another signs it, the gate does it."""


@dispose.command()
@by_option
@click.option("--class", "name", type=click.Choice(CLASSES), required=True, help="the class of records")
@click.option("--reason", default="", help="what its timeline should say of it")
@on_the_ledger(_print_outcome)
def propose(service: LedgerService, by: str, name: str, reason: str) -> ShownDisposal:
    """List what of a class is due now, and propose to destroy it, as a records officer."""
    return service.propose_disposal(name, by, reason)


@dispose.command()
@id_argument("D")
@by_option
@click.option("--list", "digest", help="the SHA-256 of the list that you looked at; another one is not signed")
@click.option("--reason", default="", help="what its timeline should say of it")
@on_the_ledger(_print_outcome)
def sign(service: LedgerService, id: int, by: str, digest: str | None, reason: str) -> ShownDisposal:
    """Sign what somebody else has proposed: then the gate destroys it."""
    return service.sign_disposal(id, by, reason, digest)


@dispose.command()
@id_argument("D")
@by_option
@click.option("--reason", default="", help="why")
@on_the_ledger(_print_outcome)
def withdraw(service: LedgerService, id: int, by: str, reason: str) -> ShownDisposal:
    """Withdraw what nobody has signed yet."""
    return service.withdraw_disposal(id, by, reason)


@dispose.command("list")
@by_option
@listing(Listing("disposals", DisposalState, disposal_document, _COLUMNS))
def list_disposals(service: LedgerService, state: str | None, by: str) -> list[DisposalView]:
    """List the disposals, newest first."""
    return service.disposals(by, state)


@dispose.command("show")
@id_argument("D")
@by_option
@on_the_ledger(_print_disposal)
def show_disposal(service: LedgerService, id: int, by: str) -> ShownDisposal:
    """Show a disposal: its list, what became of it, and its timeline."""
    return service.show_disposal(id, by)


def _print_certificate(written: str, as_json: bool) -> None:
    if as_json:
        print_json({"file": written})
    else:
        click.echo(written)


@dispose.command("certificate")
@id_argument("D")
@by_option
@click.option("--format", "kind", type=click.Choice(("json", "html", "pdf")), default="json", help="what is written")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="the file, which is not there yet")
@on_the_ledger(_print_certificate)
def certificate(service: LedgerService, id: int, by: str, kind: str, out: Path) -> str:
    """Write the certificate of what was destroyed."""
    shown = service.show_disposal(id, by)
    if shown.disposal.state is not DisposalState.DONE:
        raise Failure(f"{shown.disposal.id} is {shown.disposal.state}: a certificate is for what is {CERTIFIED}", USAGE)
    if shown.disposal.disposed is not None:
        raise Failure(f"{shown.disposal.id}: its list is destroyed, D-{shown.disposal.disposed}", DATA_ERROR)
    document = certificate_of(shown.disposal, shown.items)
    digest = shown.disposal.certificate or ""
    text = json_text(document, indent=2) + "\n" if kind == "json" else certificate_page(document, digest)
    try:
        octets = pdf_of(text) if kind == "pdf" else text.encode()
        with out.open("xb") as file:
            file.write(octets)
    except PdfMissing as error:
        raise Failure(str(error), UNAVAILABLE) from None
    except OSError as error:
        raise Failure(f"{out}: {error.strerror}", CANNOT_CREATE) from None
    return str(out)
