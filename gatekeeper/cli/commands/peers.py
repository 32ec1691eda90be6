"""`gatekeeper peers check`, `peers show` and `peers schema`: check the file of --peers, show it, print its schema."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from gatekeeper import rules as rules_package
from gatekeeper.cli.common import (
    DATA_ERROR,
    NO_INPUT,
    USAGE,
    Failure,
    json_option,
    print_json,
    setting_options,
    settings_of,
)
from gatekeeper.cli.lazy_group import Verbs
from gatekeeper.cli.problem_formats import DOCUMENTS, FORMATS, lines, placed
from gatekeeper.cli.table import table
from gatekeeper.policy.peer_settings import peer_warnings
from gatekeeper.rules import Peer, Peers, Problem, RulesetError
from gatekeeper.settings import Settings

_TITLES = ("peer", "networks", "certificate", "fields", "tls", "from")
_USED = ("peers", "clients", "authenticated", "xclient", "xforward", "tls_cert", "tls_key", "client_cert_ca")


@click.group(cls=Verbs)
def peers() -> None:
    """Check the file of --peers, who may hand mail to the gate; show it, and print its JSON Schema."""


@peers.command()
@click.argument("file", type=click.Path(path_type=Path), required=False)
@click.option(
    "--format",
    "form",
    type=click.Choice(FORMATS),
    default="text",
    help="the output: for people, programs or a code host",
)
@setting_options(*_USED)
@json_option
def check(file: Path | None, form: str, as_json: bool, **given: Any) -> None:
    """List all problems of FILE (default: --peers), as file:line:column, and of settings that do not go with it; exit
    65 on errors.
    """
    settings = settings_of(given)
    path = _path(file, settings)
    found, form = tuple(_problems(path, settings)), "json" if as_json else form
    if form in DOCUMENTS:
        print_json([DOCUMENTS[form](problem) for problem in found])
    else:
        for line in lines(found, form):
            click.echo(line)
        if not any(problem.severity == "error" for problem in found):
            click.echo(f"{path}: good" + (f", {len(found)} warnings" if found else ""))
    if any(problem.severity == "error" for problem in found):
        raise SystemExit(DATA_ERROR)


def _path(file: Path | None, settings: Settings) -> Path:
    path = file or settings.judging.peers
    if path is None:
        raise Failure("expected a file of peers, or --peers", USAGE)
    return path


def _problems(path: Path, settings: Settings) -> Iterator[Problem]:
    try:
        read = rules_package.read_peers(path)
    except RulesetError as error:
        yield from error.problems
        return
    except OSError as error:
        raise Failure(f"{path}: {error.strerror}", NO_INPUT) from None
    yield from (placed(text, str(path), warning=True) for text in peer_warnings(read, settings.listening))


@peers.command()
@click.argument("file", type=click.Path(path_type=Path), required=False)
@setting_options("peers")
@json_option
def show(file: Path | None, as_json: bool, **given: Any) -> None:
    """Show the peers of FILE (default: --peers): where each sends from, what it must show, and what it vouches for."""
    path = _path(file, settings_of(given))
    try:
        read = rules_package.read_peers(path)
    except RulesetError as error:
        raise Failure(str(error), DATA_ERROR) from None
    except OSError as error:
        raise Failure(f"{path}: {error.strerror}", NO_INPUT) from None
    if as_json:
        print_json([_document(peer) for peer in read.peers])
        return
    for line in table(_rows(read), _TITLES):
        click.echo(line)


def _document(peer: Peer) -> dict[str, Any]:
    return {
        "name": peer.name,
        "networks": list(map(str, peer.networks)),
        "certificate": list(peer.certificate),
        "require": sorted(peer.require),
        "from": peer.vouches,
        "tls": peer.tls or bool(peer.certificate),
    }


def _rows(read: Peers) -> Iterator[tuple[object, ...]]:
    """Yield a line a peer. The values of fields are not shown: one may be a secret."""
    for each in map(_document, read.peers):
        yield (
            each["name"],
            " ".join(each["networks"]),
            " ".join(each["certificate"]) or "-",
            " ".join(each["require"]) or "-",
            "yes" if each["tls"] else "no",
            "vouched for" if each["from"] else "-",
        )


@peers.command()
def schema() -> None:
    """Print the JSON Schema of the file of --peers, for editors."""
    print_json(rules_package.peers_schema())
