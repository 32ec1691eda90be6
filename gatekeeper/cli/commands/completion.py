"""`gatekeeper completion`: what makes a shell complete our commands and flags."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print the completion of commands and flags for a shell."""
    kind = get_completion_class(shell)
    assert kind is not None  # the choice has only those that there are
    click.echo(kind(context.find_root().command, {}, "gatekeeper", "_GATEKEEPER_COMPLETE").source())
