"""`gatekeeper man` and `gatekeeper completion`: manual pages and shell completion, made from the commands."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import click
from click.shell_completion import get_completion_class

from gatekeeper.cli.common import CANNOT_CREATE, Failure
from gatekeeper.lib import __version__
from gatekeeper.settings import SETTINGS

_EXIT_CODES = (
    ("0", "done"),
    ("64", "the command line is not understood"),
    ("65", "what was given cannot be used: errors in rules.yaml, an act that the state does not allow"),
    ("66", "no such file, database or mailing"),
    ("69", "a service is not there, or an address cannot be had"),
    ("73", "a file or folder cannot be made"),
    ("75", "the database cannot do it now: try again"),
    ("77", "this person may not do that"),
    ("78", "a setting, the ruleset or the database cannot be used as it is"),
)


@click.command()
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@click.pass_context
def man(context: click.Context, folder: Path) -> None:
    """Write the manual pages of all commands into a folder (section 1 of the manual)."""
    root = context.find_root().command
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for words, command in _tree(root, ("gatekeeper",)):
            (folder / f"{'-'.join(words)}.1").write_text(page(words, command), encoding="utf-8")
    except OSError as error:
        raise Failure(f"{error.filename}: {error.strerror}", CANNOT_CREATE) from None


def _tree(command: click.Command, words: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    yield words, command
    if isinstance(command, click.Group):
        for name, each in sorted(command.commands.items()):
            yield from _tree(each, (*words, name))


def page(words: tuple[str, ...], command: click.Command) -> str:
    """Return the manual page of one command in the macros of man(7).

    Args: `words` are the full command, such as ("gatekeeper", "mailing", "show").
    """
    name, context = "-".join(words), click.Context(command, info_name=" ".join(words))
    about = " ".join((command.help or "").split())
    parts = [
        f'.TH "{name.upper()}" 1 "" "gatekeeper {__version__}" "Gatekeeper"',
        f".SH NAME\n{_plain(name)} \\- {_plain(about.partition('. ')[0].rstrip('.'))}",
        f".SH SYNOPSIS\n.B {_plain(' '.join(words))}\n{_plain(' '.join(command.collect_usage_pieces(context)))}",
        f".SH DESCRIPTION\n{_plain(about)}",
        _options(command, context),
        _commands(words, command),
        _environment(command),
        ".SH EXIT STATUS\n" + "\n".join(_item(code, text) for code, text in _EXIT_CODES),
        ".SH SEE ALSO\n" + _see_also(words, command),
    ]
    return "\n".join(part for part in parts if part) + "\n"


def _options(command: click.Command, context: click.Context) -> str:
    shown = [each.get_help_record(context) for each in command.get_params(context)]
    return "".join([".SH OPTIONS", *(f"\n{_item(*record)}" for record in shown if record)]) if any(shown) else ""


def _commands(words: tuple[str, ...], command: click.Command) -> str:
    if not isinstance(command, click.Group):
        return ""
    items = [_item(" ".join((*words, name)), each.get_short_help_str(200)) for name, each in command.commands.items()]
    return "\n".join([".SH COMMANDS", *items])


def _environment(command: click.Command) -> str:
    names = {each.name for each in command.params}
    used = [_item(each.variable, f"as --{each.flag}, which wins") for each in SETTINGS if each.name in names]
    return "\n".join([".SH ENVIRONMENT", *used]) if used else ""


def _see_also(words: tuple[str, ...], command: click.Command) -> str:
    others = ["-".join(words[:-1])] if len(words) > 1 else []
    if isinstance(command, click.Group):
        others += ["-".join((*words, name)) for name in sorted(command.commands)]
    return ",\n".join(f".BR {_plain(each)} (1)" for each in others).replace("(1),", "(1) ,")


def _item(term: str, text: str) -> str:
    return f".TP\n.B {_plain(term)}\n{_plain(text)}"


def _plain(text: str) -> str:
    """Escape text for roff and put it on one line, so that roff reads none of it as a request."""
    escaped = re.sub(r"([\\-])", r"\\\1", " ".join(text.split())).replace("\\\\", "\\e")
    return f"\\&{escaped}" if escaped[:1] in (".", "'") else escaped


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print the script that makes a shell complete commands and flags."""
    kind = get_completion_class(shell)
    assert kind is not None  # the choice above has only shells that click knows
    click.echo(kind(context.find_root().command, {}, "gatekeeper", "_GATEKEEPER_COMPLETE").source())
